//! Programs in Python: clients and publishers that were not written here.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::Process;
use super::wait::PATIENCE;

/// Runs a script of `tests/python/` to its end; what it printed, line by line.
pub(crate) fn run(script: &str, arguments: &[&str]) -> Vec<String> {
    let mut process = start(script, arguments);
    let status = process.end(PATIENCE);
    assert!(status.success(), "{script} {arguments:?} failed: {status}");
    process.output.all()
}

/// Starts a script of `tests/python/`, to be read while it runs.
pub(crate) fn start(script: &str, arguments: &[&str]) -> Process {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python: PathBuf = root.join(".venv/bin/python");
    assert!(
        python.exists(),
        "no .venv: run `make test`, or tests/setup.sh"
    );
    let mut command = Command::new(python);
    // Bytecode beside the scripts would lie in the working tree.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.arg(root.join("tests/python").join(script));
    Process::start(command.args(arguments))
}
