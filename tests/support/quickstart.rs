//! A document of lines to copy, and a place where they are run as they stand.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::gateway::Gateway;
use super::process::Process;
use super::redis::{Redis, free_port};
use super::wait::{self, PATIENCE};

/// One document, and a directory of its own with what its reader would have by now. Its lines are run word for word
/// but for the ports, which the system chooses.
#[derive(Debug)]
pub(crate) struct Quickstart {
    blocks: Vec<Block>,
    dir: TempDir,
    ports: RefCell<Vec<(String, String)>>,
    gateway: OnceCell<Gateway>,
    programs: RefCell<Vec<Process>>,
    /// The Redis of the document.
    pub(crate) redis: Redis,
}

#[derive(Debug)]
struct Block {
    text: String,
    used: Cell<bool>,
}

impl Quickstart {
    /// Reads `docs/quickstart-<name>.md`, whose application has `port`.
    pub(crate) fn open(name: &str, port: u16) -> Quickstart {
        Quickstart::of(&format!("docs/quickstart-{name}.md"), port)
    }

    /// Reads any other document with lines to copy.
    pub(crate) fn of(document: &str, port: u16) -> Quickstart {
        let document = std::fs::read_to_string(document).unwrap();
        let redis = Redis::start();
        let ports = vec![
            ("redis-cli".into(), format!("redis-cli -p {}", redis.port())),
            ("6379".into(), redis.port().to_string()),
            (port.to_string(), free_port().to_string()),
        ];
        let node_modules = root().join("tests/node/node_modules");
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(node_modules, dir.path().join("node_modules")).unwrap();
        Quickstart {
            blocks: blocks(&document),
            dir,
            ports: RefCell::new(ports),
            gateway: OnceCell::new(),
            programs: RefCell::default(),
            redis,
        }
    }

    /// Writes the file that the document shows: the block whose first line names it.
    pub(crate) fn write(&self, file: &str) {
        let named = |line: &str| line.split([' ', ':']).any(|word| word == file);
        let text = self.block(file, |text| text.lines().next().is_some_and(named));
        let path = self.dir.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Starts the gateway as the document says.
    pub(crate) fn start_gateway(&self) -> &Gateway {
        let text = self.beginning("ws4redis serve ");
        let arguments: Vec<&str> = text.split_whitespace().skip(2).collect();
        let gateway = Gateway::start_in(self.dir.path(), &self.redis, &arguments);
        let port = |address: String| address.rsplit(':').next().unwrap().to_owned();
        let mut ports = self.ports.borrow_mut();
        ports.push(("8000".into(), port(gateway.address().to_string())));
        ports.push(("8001".into(), port(gateway.admin().to_string())));
        self.gateway.set(gateway).unwrap();
        self.gateway()
    }

    /// The gateway that was started.
    pub(crate) fn gateway(&self) -> &Gateway {
        self.gateway.get().expect("a gateway was started")
    }

    /// The text of the block that begins so, to be run somewhere else.
    pub(crate) fn beginning(&self, words: &str) -> String {
        self.block(words, |text| text.starts_with(words))
    }

    /// Runs the shell's block that begins so to its end; what it printed.
    pub(crate) fn run(&self, words: &str) -> String {
        self.shell(&self.beginning(words))
    }

    /// Runs lines of the test's own in the document's place.
    pub(crate) fn shell(&self, lines: &str) -> String {
        let mut process = Process::start(&mut self.command(&format!("set -e\n{lines}")));
        let status = process.end(PATIENCE);
        let (output, errors) = (process.output.all(), process.errors.all());
        assert!(status.success(), "{lines}: {output:?} {errors:?}");
        output.join("\n")
    }

    /// Starts the program whose block begins so, and leaves it running.
    pub(crate) fn start(&self, words: &str) {
        let program = format!("exec {}", self.beginning(words));
        let process = Process::start(&mut self.command(&program));
        self.programs.borrow_mut().push(process);
    }

    /// As [`Quickstart::start`], and waits until the application listens.
    pub(crate) fn start_application(&self, words: &str) {
        self.start(words);
        let port: u16 = self
            .application()
            .rsplit(':')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        // By name, as browsers and the gateway find it: on IPv4 or IPv6.
        wait::until("the application listens", || {
            let mut addresses = ("localhost", port).to_socket_addrs().unwrap();
            addresses.find_map(|address| TcpStream::connect(address).ok())
        });
    }

    /// What the program that was started last has printed, as soon as there is this line.
    pub(crate) fn heard(&self, line: &str) {
        let programs = self.programs.borrow();
        let last = programs.last().expect("a program was started");
        last.output
            .first(line, |said| said.contains(line).then_some(()));
    }

    /// `http://localhost:port` of the application.
    pub(crate) fn application(&self) -> String {
        format!("http://localhost:{}", self.ports.borrow()[2].1)
    }

    /// Every block of the document was run, but for those that begin so.
    pub(crate) fn is_run_but_for(&self, known: &[&str]) {
        let left = self.blocks.iter().filter(|block| !block.used.get());
        let left: Vec<&str> = left
            .filter(|block| !known.iter().any(|words| block.text.starts_with(words)))
            .map(|block| block.text.as_str())
            .collect();
        assert!(left.is_empty(), "never run: {left:#?}");
    }

    fn block(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let block = self.blocks.iter().find(|block| is(&block.text));
        let block = block.unwrap_or_else(|| panic!("no block for {what}"));
        block.used.set(true);
        let ports = self.ports.borrow();
        let replaced = |text: String, (from, to): &(String, String)| text.replace(from, to);
        ports.iter().fold(block.text.clone(), replaced)
    }

    fn command(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        let binary = PathBuf::from(env!("CARGO_BIN_EXE_ws4redis"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = [root().join(".venv/bin"), binary.parent().unwrap().into()];
        let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path)));
        command.env("PATH", path.unwrap());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("WS4REDIS_CONNECTION", self.redis.tcp_url());
        if let Some(gateway) = self.gateway.get() {
            command.env("WS4REDIS_LISTEN", gateway.address().to_string());
        }
        command.current_dir(self.dir.path()).args(["-c", script]);
        command
    }
}

/// What stands between fences.
fn blocks(document: &str) -> Vec<Block> {
    let fenced = document.split("\n```").skip(1).step_by(2);
    let text = fenced.map(|block| block.split_once('\n').unwrap().1.to_owned());
    text.map(|text| Block {
        text,
        used: Cell::new(false),
    })
    .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
