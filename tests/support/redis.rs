//! A real redis-server of one test's own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Process;
use super::resp::{Reply, Resp};
use super::stream::Address;
use super::wait;

/// A redis-server on a unix socket and on a TCP port, without persistence. It ends with the test.
#[derive(Debug)]
pub(crate) struct Redis {
    process: Process,
    port: u16,
    socket: PathBuf,
    arguments: Vec<String>,
    dir: TempDir,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub(crate) fn start() -> Redis {
        Redis::start_with(&[])
    }

    /// As [`Redis::start`], with further arguments for redis-server.
    pub(crate) fn start_with(arguments: &[&str]) -> Redis {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("redis.sock");
        let arguments: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
        // Somebody may take the port between our question and redis-server's bind; then there are others.
        let (port, process) = wait::until("a port for redis-server", || {
            let port = free_port();
            Some((port, launch(port, &socket, &arguments)?))
        });
        Redis {
            process,
            port,
            socket,
            arguments,
            dir,
        }
    }

    /// Its unix socket, for a gateway or a client.
    pub(crate) fn unix(&self) -> Address {
        Address::Unix(self.socket.clone())
    }

    /// Its TCP port.
    pub(crate) fn tcp(&self) -> Address {
        Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
    }

    /// `unix:///...`
    pub(crate) fn unix_url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// `redis://...`
    pub(crate) fn tcp_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The file of its unix socket.
    pub(crate) fn socket(&self) -> &str {
        self.socket.to_str().unwrap()
    }

    /// The number of its TCP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Resp {
        Resp::connect(&self.unix()).unwrap()
    }

    /// Says one command on a connection of its own.
    pub(crate) fn call(&self, words: &[&str]) -> Reply {
        self.connect().call(words)
    }

    /// PUBLISH; how many heard it.
    pub(crate) fn publish(&self, channel: &str, message: &str) -> i64 {
        match self.call(&["PUBLISH", channel, message]) {
            Reply::Integer(heard) => heard,
            other => panic!("PUBLISH was answered with {other:?}"),
        }
    }

    /// Publishes to a channel whatever it is given.
    pub(crate) fn speaker(&self, channel: &'static str) -> impl Fn(&str) {
        move |message| {
            self.publish(channel, message);
        }
    }

    /// Is anybody subscribed to this channel?
    pub(crate) fn has_subscriber(&self, channel: &str) -> bool {
        let answer = self.call(&["PUBSUB", "NUMSUB", channel]);
        matches!(answer, Reply::Array(pair) if matches!(pair[..], [_, Reply::Integer(1..)]))
    }

    /// Cuts all pub/sub connections, as an operator may (`CLIENT KILL TYPE pubsub`); how many there were.
    pub(crate) fn cut_subscribers(&self) -> i64 {
        match self.call(&["CLIENT", "KILL", "TYPE", "pubsub"]) {
            Reply::Integer(cut) => cut,
            other => panic!("CLIENT KILL was answered with {other:?}"),
        }
    }

    /// SIGKILL: its connections break, and its keys are gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, empty, on the same socket and port.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.process = wait::until("redis-server starts again", || {
            launch(self.port, &self.socket, &self.arguments)
        });
    }

    /// SIGSTOP: connections stay, nobody answers.
    pub(crate) fn pause(&self) {
        self.process.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.process.signal(Signal::CONT);
    }
}

/// Runs redis-server and waits until it answers; `None` if it gives up, which it does when the port is taken.
fn launch(port: u16, socket: &PathBuf, arguments: &[String]) -> Option<Process> {
    let mut process = Process::start(
        Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .arg("--unixsocket")
            .arg(socket)
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .arg("--dir")
            .arg(socket.parent()?)
            .args(arguments),
    );
    let address = Address::Unix(socket.clone());
    wait::until("redis-server answers", || {
        if process.ended().is_some() {
            return Some(false);
        }
        // A password may be asked for; an error is an answer too.
        let mut resp = Resp::connect(&address).ok()?;
        matches!(resp.call(&["PING"]), Reply::Simple(_) | Reply::Error(_)).then_some(true)
    })
    .then_some(process)
}

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}
