//! What the comparison with other gateways claims about itself, in the language that it is written in.

use std::process::Command;

#[test]
fn the_comparison_with_peers_keeps_its_claims() {
    let tests = ["-B", "-m", "unittest", "discover", "benches/peers"];
    let output = Command::new("python3").args(tests).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("Ran 0 tests"), "{said}");
}
