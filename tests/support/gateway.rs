//! The built binary, running.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::client::{Client, Refused};
use super::http;
use super::process::Process;
use super::redis::Redis;
use super::resp::Resp;
use super::stream::Address;
use super::wait;

/// `ws4redis serve`, on ports and sockets that the system chose. It ends with the test.
#[derive(Debug)]
pub(crate) struct Gateway {
    process: Process,
    doors: Vec<Door>,
}

/// One address on which it said that it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Door {
    name: String,
    address: Address,
}

impl Gateway {
    /// Starts it for a Redis, over its unix socket, and waits until it is ready.
    pub(crate) fn start(redis: &Redis, arguments: &[&str]) -> Gateway {
        let gateway = Gateway::launch(&[&["--redis", &redis.unix_url()], arguments].concat());
        gateway.wait_ready();
        gateway
    }

    /// As [`Gateway::start`], in a directory to which the paths of its arguments belong.
    pub(crate) fn start_in(dir: &Path, redis: &Redis, arguments: &[&str]) -> Gateway {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ws4redis"));
        command.current_dir(dir);
        let redis = redis.unix_url();
        let arguments = [&["--redis", &redis], arguments].concat();
        let gateway = Gateway::launch_by(command, &arguments);
        gateway.wait_ready();
        gateway
    }

    /// Starts it with its own little Redis, and waits until it is ready.
    pub(crate) fn start_embedded(arguments: &[&str]) -> Gateway {
        let gateway = Gateway::launch(&[&["--embedded=127.0.0.1:0"], arguments].concat());
        gateway.wait_ready();
        gateway
    }

    /// Starts it and waits until it listens, not until it is ready: there may be no Redis for it.
    pub(crate) fn launch(arguments: &[&str]) -> Gateway {
        Gateway::launch_by(Command::new(env!("CARGO_BIN_EXE_ws4redis")), arguments)
    }

    /// As [`Gateway::start_embedded`], with these variables in its environment.
    pub(crate) fn start_with_environment(
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Gateway {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ws4redis"));
        command.envs(environment.iter().copied());
        let arguments = [&["--embedded=127.0.0.1:0"], arguments].concat();
        let gateway = Gateway::launch_by(command, &arguments);
        gateway.wait_ready();
        gateway
    }

    /// As [`Gateway::start_embedded`], with so many open files allowed.
    pub(crate) fn start_with_descriptors(limit: u32, arguments: &[&str]) -> Gateway {
        let arguments = [&["--embedded=127.0.0.1:0"], arguments].concat();
        let gateway = Gateway::launch_with_descriptors(limit, &arguments);
        gateway.wait_ready();
        gateway
    }

    /// As [`Gateway::launch`], with so many open files allowed.
    pub(crate) fn launch_with_descriptors(limit: u32, arguments: &[&str]) -> Gateway {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_ws4redis")]);
        Gateway::launch_by(command, arguments)
    }

    /// Starts it in the knowledge that it cannot: what it says of that.
    pub(crate) fn refused(arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ws4redis"));
        let output = serve(&mut command, arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    fn launch_by(mut command: Command, arguments: &[&str]) -> Gateway {
        let process = Process::start(serve(&mut command, arguments));
        let mut gateway = Gateway {
            process,
            doors: Vec::new(),
        };
        let expected = [
            arguments
                .iter()
                .filter(|word| **word == "--listen")
                .count()
                .max(1),
            1,
            usize::from(arguments.iter().any(|word| word.starts_with("--embedded"))),
        ];
        gateway.doors = wait::until("the gateway listens", || {
            if let Some(status) = gateway.process.ended() {
                panic!("the gateway ended at once: {status}");
            }
            let lines = gateway.process.errors.all();
            let doors: Vec<Door> = lines.iter().filter_map(|line| listening(line)).collect();
            (doors.len() >= expected.iter().sum()).then_some(doors)
        });
        gateway
    }

    /// Waits until `/readyz` says yes.
    pub(crate) fn wait_ready(&self) {
        wait::until("the gateway is ready", || self.is_ready().then_some(()));
    }

    /// Does `/readyz` say yes?
    pub(crate) fn is_ready(&self) -> bool {
        http::get(&self.admin(), "/readyz").is_ok_and(|answer| answer.status == 200)
    }

    /// Where clients connect: the first of `--listen`.
    pub(crate) fn address(&self) -> Address {
        self.door("clients")
    }

    /// All of `--listen`.
    pub(crate) fn addresses(&self) -> Vec<Address> {
        let clients = self.doors.iter().filter(|door| door.name == "clients");
        clients.map(|door| door.address.clone()).collect()
    }

    /// Where the operator connects.
    pub(crate) fn admin(&self) -> Address {
        self.door("admin")
    }

    /// The embedded Redis.
    pub(crate) fn embedded(&self) -> Address {
        self.door("embedded")
    }

    /// A connection to the embedded Redis.
    pub(crate) fn embedded_redis(&self) -> Resp {
        Resp::connect(&self.embedded()).unwrap()
    }

    /// A client on `/ws/` + `tail`, such as `chat?subscribe-broadcast`.
    pub(crate) fn client(&self, tail: &str) -> Client {
        Client::connect(&self.address(), &format!("/ws/{tail}"))
    }

    /// As [`Gateway::client`], with further header fields; a refusal is an answer.
    pub(crate) fn client_with(
        &self,
        tail: &str,
        fields: &[(&str, &str)],
    ) -> Result<Client, Refused> {
        Client::connect_with(&self.address(), &format!("/ws/{tail}"), fields)
    }

    /// The value of a metric, by its name and labels as they stand in `/metrics`; `None` if it is not there.
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let metrics = http::get(&self.admin(), "/metrics").unwrap().body;
        let mut lines = metrics.lines().filter_map(|line| line.rsplit_once(' '));
        let (_, value) = lines.find(|(named, _)| *named == name)?;
        value.parse().ok()
    }

    /// Its log so far, a JSON object for each line.
    pub(crate) fn log(&self) -> Vec<Value> {
        let lines = self.process.errors.all();
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.as_str().into()))
            .collect()
    }

    /// The log as it was written, to look for what must not be in it.
    pub(crate) fn log_text(&self) -> String {
        self.process.errors.all().join("\n")
    }

    /// The process, for whoever measures it.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// SIGTERM: it drains.
    pub(crate) fn terminate(&self) {
        self.process.signal(Signal::TERM);
    }

    /// Any other signal.
    pub(crate) fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// SIGKILL: it is gone.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits until it ends by itself, or because of [`Gateway::terminate`].
    pub(crate) fn end(&mut self, patience: Duration) -> ExitStatus {
        self.process.end(patience)
    }

    fn door(&self, name: &str) -> Address {
        let door = self.doors.iter().find(|door| door.name == name);
        let door = door.unwrap_or_else(|| panic!("no door for {name} among {:?}", self.doors));
        door.address.clone()
    }
}

/// Adds `serve`, with ports of the system's choice, to the program of `command`.
fn serve<'a>(command: &'a mut Command, arguments: &[&str]) -> &'a mut Command {
    // What this shell has set is not what the test asks for.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("WS4REDIS_") || name == "WEBSOCKET_URL" {
            command.env_remove(name);
        }
    }
    command.args(["serve", "--log-format", "json", "--admin", "127.0.0.1:0"]);
    if !arguments.contains(&"--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    command.args(arguments)
}

/// What a log line says about listening, if it does. The one place that knows the words of the log.
fn listening(line: &str) -> Option<Door> {
    let line: Value = serde_json::from_str(line).ok()?;
    // The fields stand in the line itself, or in an object of their own.
    let fields = line.get("fields").unwrap_or(&line);
    if fields.get("message")?.as_str()? != "listening" {
        return None;
    }
    let name = fields.get("door")?.as_str()?.to_owned();
    let address = fields.get("address")?.as_str()?;
    let address = match address.strip_prefix("unix:") {
        // The socket's mode may follow the path, as it does in --listen.
        Some(path) => Address::Unix(PathBuf::from(path.split('?').next()?)),
        None => Address::Tcp(address.parse().ok()?),
    };
    Some(Door { name, address })
}

/// `127.0.0.1` with a port that nobody listens on, for a gateway that shall come back to where it was.
pub(crate) fn free_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, super::redis::free_port()))
}
