//! Valgrind counts: one run of so many rounds, one of twice as many, at the same time.

use std::fs;
use std::process::{Child, Command, Stdio};

use super::scenarios::Scenario;

/// Where callgrind's profiles are left.
pub const PROFILES: &str = "target/instructions";

/// Instructions for each unit of a scenario.
pub fn count(scenario: &Scenario) -> f64 {
    fs::create_dir_all(PROFILES).unwrap();
    let runs = [1, 2].map(|factor| start(scenario, factor * scenario.rounds));
    let [once, twice] = runs.map(collected);
    (twice - once) as f64 / (scenario.rounds * scenario.units) as f64
}

fn start(scenario: &Scenario, rounds: usize) -> Child {
    let profile = match rounds == scenario.rounds {
        true => "/dev/null".to_owned(),
        false => format!("{PROFILES}/{}", scenario.name),
    };
    Command::new("valgrind")
        // What the environment says lies on the stack, and moves it.
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={profile}"))
        .arg(std::env::current_exe().unwrap())
        .args(["play", scenario.name, &rounds.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("valgrind: `make setup` installs it")
}

/// From `==4711== Collected : 123456`.
fn collected(run: Child) -> u64 {
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said
        .lines()
        .find_map(|line| line.split_once("Collected : "))
        .and_then(|(_, count)| count.trim().parse().ok());
    count.unwrap_or_else(|| panic!("valgrind does not count:\n{said}"))
}
