//! The command line, as the binary that people run.

mod bench; // it measures, and finds faults
mod check; // what it asks Redis, and what it says
mod enemies; // bench, against gateways that do wrong
mod listen; // the WebSocket client
mod nginx; // check --nginx
mod publish; // publish and fetch
mod settings; // file, environment, flags
mod trial; // check --url

use std::io::Write;
use std::process::{Command, Stdio};

/// What a run of the binary came to.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The binary with these arguments, and nothing of ours in its environment.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ws4redis"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("WS4REDIS_") || name == "WEBSOCKET_URL" {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Run {
    run_in(&[], arguments)
}

pub(crate) fn run_in(environment: &[(&str, &str)], arguments: &[&str]) -> Run {
    let mut command = command(arguments);
    command.envs(environment.iter().copied());
    finish(command.output().unwrap())
}

/// With this on its standard input.
fn run_with(input: &[u8], arguments: &[&str]) -> Run {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without reading all of it.
    let _ = child.stdin.take().unwrap().write_all(input);
    finish(child.wait_with_output().unwrap())
}

fn finish(output: std::process::Output) -> Run {
    Run {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

const COMMANDS: [&str; 7] = [
    "serve",
    "publish",
    "fetch",
    "listen",
    "check",
    "completions",
    "man",
];

#[test]
fn help_names_every_command_and_every_command_helps() {
    let help = run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    for name in COMMANDS {
        assert!(help.stdout.contains(&format!("\n  {name} ")), "{name}");
        let own = run(&[name, "--help"]);
        assert_eq!((own.code, own.stderr.as_str()), (0, ""), "{name}");
        assert!(own.stdout.contains("Usage: ws4redis"), "{name}");
        assert!(name == "man" || own.stdout.contains("Examples:"), "{name}");
    }
    assert!(run(&["serve", "--help"]).stdout.contains("--sessions-max"));
    let version = run(&["--version"]);
    assert_eq!(
        (version.code, version.stdout),
        (0, format!("ws4redis {}\n", env!("CARGO_PKG_VERSION")))
    );
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_would_be_right() {
    for (arguments, hint) in [
        (&["serv"][..], "serve"),
        (&["serve", "--lisen", "x"], "--listen"),
        (&["publish", "news"], "MESSAGE"),
        (&["fetch", "news", "--audience", "all"], "broadcast"),
        (&["fetch", "a\nb"], "control characters"),
        (&["listen", "news", "--cookie", "k"], "NAME=VALUE"),
        (&["listen", "news", "--count", "0"], "0"),
        (&["listen", "wss://h/ws/news"], "ws://"),
        (&["serve", "--listen", "8000"], "127.0.0.1:8000"),
        (&["serve", "--log", "=x=y="], "info"),
    ] {
        let run = run(arguments);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.starts_with("ws4redis: "), "{}", run.stderr);
        assert!(run.stderr.contains(hint), "{arguments:?}: {}", run.stderr);
    }
}

#[test]
fn nothing_typed_is_answered_with_help_and_is_no_success() {
    let run = run(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.contains("Usage: ws4redis <COMMAND>"));
}

#[test]
fn a_reader_who_has_seen_enough_ends_it_quietly() {
    for arguments in [
        &["check", "--print"][..],
        &["completions", "bash"],
        &["man"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let run = finish(command(arguments).stdout(writer).output().unwrap());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{arguments:?}");
    }
}

#[test]
fn completions_and_manual_pages_know_the_commands_and_the_settings() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell]);
        assert_eq!(script.code, 0);
        for word in ["publish", "websocket-url", "sessions-max"] {
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
    }
    assert!(run(&["man"]).stdout.contains(".TH ws4redis 1"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_str().unwrap();
    assert_eq!(run(&["man", path]).code, 0);
    let page = std::fs::read_to_string(dir.path().join("ws4redis-serve.1")).unwrap();
    assert!(page.contains("WS4REDIS_CONNECTION"));
    let missing = run(&["man", "/nowhere/at/all"]);
    assert_eq!(missing.code, 1);
    assert!(missing.stderr.contains("/nowhere/at/all"));
}
