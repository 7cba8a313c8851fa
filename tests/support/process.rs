//! A program that lives as long as its test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait;

/// A running program. It is killed when this goes, so that a failing test leaves nobody behind; and what it said
/// is shown then, because that is usually where the reason stands.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    muted: bool,
    /// Its standard output, line by line.
    pub(crate) output: Lines,
    /// Its standard error, line by line.
    pub(crate) errors: Lines,
}

/// What a program has said so far on one of its streams.
#[derive(Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Process {
    /// Starts `command` with both output streams captured.
    pub(crate) fn start(command: &mut Command) -> Process {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start {name}: {error}; tests/setup.sh says what is missing")
            });
        let output = Lines::of(child.stdout.take().unwrap());
        let errors = Lines::of(child.stderr.take().unwrap());
        Process {
            name,
            child,
            muted: false,
            output,
            errors,
        }
    }

    /// For a program that says much and little of use: not shown when the test fails.
    pub(crate) fn muted(mut self) -> Process {
        self.muted = true;
        self
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Writes a line to its standard input.
    pub(crate) fn say(&mut self, line: &str) {
        let stdin: &mut ChildStdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
    }

    /// Its exit status, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(&mut self, patience: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        let status = wait::until_within(patience, &what, || self.child.try_wait().unwrap());
        // Its last words may still be in the pipes.
        wait::until("its last words are read", || {
            (self.output.is_whole() && self.errors.is_whole()).then_some(())
        });
        status
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and no zombie.
    pub(crate) fn kill(&mut self) {
        // Fails only for a program that has ended, which is what was wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() && !self.muted {
            for line in self.output.all().iter().chain(&self.errors.all()) {
                eprintln!("{}: {line}", self.name);
            }
        }
    }
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Lines {
        let lines = Lines::default();
        let theirs = Lines(Arc::clone(&lines.0));
        // Ends with the program, whose end of the pipe closes.
        thread::spawn(move || {
            let mut stream = BufReader::new(stream);
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                theirs.0.lock().unwrap().push(text);
                line.clear();
            }
        });
        lines
    }

    /// Is the stream at its end? Its reader has let go of the lines then.
    fn is_whole(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    /// Waits for the line of this number, counted from 0.
    pub(crate) fn nth(&self, n: usize) -> String {
        wait::until(&format!("line {n}"), || self.all().get(n).cloned())
    }

    /// Waits for the first line of which `pick` makes something.
    pub(crate) fn first<T>(&self, what: &str, pick: impl Fn(&str) -> Option<T>) -> T {
        wait::until(what, || self.all().iter().find_map(|line| pick(line)))
    }
}

/// The first of these programs that stands in one of the directories of `PATH`.
pub(crate) fn first_installed(names: &[&str]) -> String {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = |name: &&&str| {
        std::env::split_paths(&path).any(|dir| dir.join(OsStr::new(**name)).is_file())
    };
    names.iter().find(installed).map_or_else(
        || panic!("none of {names:?} is installed; tests/setup.sh installs it"),
        |name| (*name).to_owned(),
    )
}
