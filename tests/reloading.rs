//! SIGHUP: the file, the environment and the flags are read anew, and nobody who is connected notices.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use ws4redis::config::Listen;
use ws4redis::{Config, RedisSubscriber};

use crate::support::gateway::Gateway;
use crate::support::http;
use crate::support::resp::{Reply, Resp};
use crate::support::stream::Address;
use crate::support::wait::{self, PATIENCE};

const OK: &str = "ws4redis_reloads_total{result=\"ok\"}";
const REFUSED: &str = "ws4redis_reloads_total{result=\"refused\"}";

/// A file for `--config`, which may change.
struct File {
    dir: TempDir,
    path: String,
}

impl File {
    fn new(text: &str) -> File {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ws4redis.toml");
        let path = path.to_str().unwrap().to_owned();
        std::fs::write(&path, text).unwrap();
        File { dir, path }
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.path, text).unwrap();
    }

    /// Another file beside it.
    fn beside(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

/// SIGHUP, and waits until that has come to something.
fn reload(gateway: &Gateway) {
    let count = || gateway.metric(OK).unwrap() + gateway.metric(REFUSED).unwrap();
    let before = count();
    gateway.signal(Signal::HUP);
    wait::until("it is reloaded", || (count() > before).then_some(()));
}

fn status(gateway: &Gateway, tail: &str, fields: &[(&str, &str)]) -> u16 {
    match gateway.client_with(tail, fields) {
        Ok(_) => 101,
        Err(refused) => refused.status,
    }
}

/// Waits for a log line with this in it; log lines come some time after the metric.
fn logged(gateway: &Gateway, what: &str) -> String {
    wait::until(what, || {
        let log = gateway.log_text();
        log.lines()
            .rfind(|line| line.contains(what))
            .map(str::to_owned)
    })
}

#[test]
fn a_good_file_is_for_whoever_comes_next_and_who_is_connected_notices_nothing() {
    let file = File::new("facilities = ['chat']\n");
    let gateway = Gateway::start_embedded(&["--config", &file.path]);
    let mut ann = gateway.client("chat?subscribe-broadcast");
    assert_eq!(status(&gateway, "news", &[]), 404);
    let began = gateway
        .metric("ws4redis_config_last_reload_timestamp_seconds")
        .unwrap();
    file.write(
        "facilities = ['news']\nlisten = ['127.0.0.1:1']\nprefix = 'shop'\n\
         [[rule]]\nfacility = 'news'\nallow = ['subscribe-broadcast']\n",
    );
    reload(&gateway);
    logged(&gateway, "configuration reloaded: facilities, rule changed");
    // The ports of the command line beat the file's.
    let kept = logged(&gateway, "only a restart takes them");
    assert!(kept.contains("\"prefix: changed"), "{kept}");
    assert_eq!(status(&gateway, "chat", &[]), 404);
    let mut bob = gateway.client("news?subscribe-broadcast");
    let mut redis = gateway.embedded_redis();
    redis.call(&["PUBLISH", "broadcast:chat", "to ann"]);
    redis.call(&["PUBLISH", "broadcast:news", "to bob"]);
    ann.expect("to ann");
    bob.expect("to bob");
    let taken = gateway
        .metric("ws4redis_config_last_reload_timestamp_seconds")
        .unwrap();
    assert!(taken > began, "{taken} {began}");
}

#[test]
fn a_bad_file_keeps_the_old_rules_and_says_why_in_the_words_of_check() {
    let file = File::new("facilities = ['chat']\n");
    let gateway = Gateway::start_embedded(&["--config", &file.path]);
    for (bad, what) in [
        ("facilities = ['news']\norigin = 'any'\n", "line 2"),
        ("facilities = ['news']\n[[rule]]\nallow = 'all'\n", "line 2"),
        ("facilities = [\n", "not TOML"),
        ("facilities = ['news']\nlog = 'a=b=c'\n", "log must be"),
    ] {
        file.write(bad);
        reload(&gateway);
        let line = logged(&gateway, what);
        assert!(
            line.contains("the old one stays") && line.contains("ERROR"),
            "{line}"
        );
        let check = Command::new(env!("CARGO_BIN_EXE_ws4redis"))
            .args(["check", "--config", &file.path, "--embedded=127.0.0.1:0"])
            .output()
            .unwrap();
        let check = String::from_utf8(check.stderr).unwrap();
        let said = check.trim_end().strip_prefix("ws4redis: ").unwrap();
        let messages = gateway.log();
        let mut messages = messages
            .iter()
            .filter_map(|line| line.get("message")?.as_str());
        assert!(
            messages.any(|message| message.ends_with(said)),
            "{check}\n{line}"
        );
        assert_eq!(status(&gateway, "chat", &[]), 101);
        assert_eq!(status(&gateway, "news", &[]), 404);
    }
    std::fs::remove_file(&file.path).unwrap();
    reload(&gateway);
    logged(&gateway, "cannot read the configuration");
    assert_eq!(status(&gateway, "chat", &[]), 101);
    assert_eq!(gateway.metric(OK), Some(0.0));
    assert_eq!(gateway.metric(REFUSED), Some(5.0));

    file.write("facilities = ['news']\n");
    reload(&gateway);
    assert_eq!(status(&gateway, "news", &[]), 101);
}

#[test]
fn flags_and_the_environment_still_beat_the_file() {
    let file = File::new("");
    let gateway = Gateway::start_with_environment(
        &[
            ("WS4REDIS_CONFIG", &file.path),
            ("WS4REDIS_ORIGINS", "https://a.example"),
        ],
        &["--facilities", "chat"],
    );
    file.write("facilities = ['news']\norigins = ['https://b.example']\nexpire = 7\n");
    reload(&gateway);
    logged(&gateway, "configuration reloaded: expire changed");
    let from = |origin| status(&gateway, "chat", &[("Origin", origin)]);
    assert_eq!(from("https://a.example"), 101);
    assert_eq!(from("https://b.example"), 403);
    assert_eq!(status(&gateway, "news", &[]), 404);
}

#[test]
fn an_unchanged_file_changes_nothing_whatever_the_system_chose_and_allowed() {
    let file = File::new("facilities = ['chat']\n");
    // Fewer files than sessions, and ports that nobody named.
    let gateway = Gateway::start_with_descriptors(330, &["--config", &file.path]);
    reload(&gateway);
    logged(&gateway, "configuration reloaded: nothing to change");
    let log = gateway.log_text();
    assert!(!log.contains("only a restart"), "{log}");
    assert_eq!(status(&gateway, "chat", &[]), 101);
}

#[test]
fn key_files_are_read_anew_and_one_that_is_no_good_is_named() {
    let file = File::new("");
    let key = file.beside("key");
    std::fs::write(&key, "a key for tests, of thirty-two bytes or so").unwrap();
    file.write(&format!(
        "identity = ['jwt']\n[jwt]\nalgorithms = ['HS256']\nkey_file = '{key}'\n"
    ));
    let gateway = Gateway::start_embedded(&["--config", &file.path]);
    std::fs::write(&key, "another key, of thirty-two bytes and more").unwrap();
    reload(&gateway);
    logged(&gateway, "configuration reloaded: jwt_key_file changed");
    std::fs::write(&key, "short").unwrap();
    reload(&gateway);
    let line = logged(&gateway, "the keys of [jwt]");
    assert!(line.contains(&key), "{line}");
    std::fs::remove_file(&key).unwrap();
    reload(&gateway);
    let line = logged(&gateway, "cannot be read");
    assert!(
        line.contains(&key) && line.contains("line 4: key_file"),
        "{line}"
    );
    for secret in ["another key", "a key for tests", "\"short\""] {
        assert!(!gateway.log_text().contains(secret));
    }
}

#[test]
fn any_number_of_signals_is_fine_and_while_it_drains_they_are_ignored() {
    let file = File::new("");
    let mut gateway = Gateway::start_embedded(&["--config", &file.path, "--drain-per-second", "1"]);
    let mut ann = gateway.client("f?subscribe-broadcast&publish-broadcast&echo");
    for n in 0..100 {
        gateway.signal(Signal::HUP);
        let text = n.to_string();
        ann.send(&text);
        ann.expect(&text);
    }
    assert!(gateway.metric(OK).unwrap() >= 1.0);
    assert_eq!(gateway.metric(REFUSED), Some(0.0));
    // Somebody who does not leave when told to keeps the drain from being over.
    let _bob = gateway.client("f");
    gateway.terminate();
    logged(&gateway, "draining");
    gateway.signal(Signal::HUP);
    logged(&gateway, "draining: the configuration is not reloaded");
    drop((ann, _bob));
    assert!(gateway.end(PATIENCE).success());
}

#[test]
fn a_log_that_nobody_reads_any_more_ends_nothing() {
    let mut process = Command::new(env!("CARGO_BIN_EXE_ws4redis"))
        .args(["serve", "--embedded=127.0.0.1:0", "--admin", "off"])
        .args(["--listen", "127.0.0.1:0", "--log-format", "text"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
    let mut redis = None;
    // When its link is up it heeds signals, too.
    let lines = log.by_ref().map(Result::unwrap);
    for line in lines.take_while(|line| !line.contains("link to Redis is up")) {
        let (_, address) = line.split_once("door=\"embedded\" address=").unzip();
        redis = redis.or(address.map(|address| address.parse().unwrap()));
    }
    let redis = Address::Tcp(redis.unwrap());
    drop(log);
    for _ in 0..3 {
        // A line is lost for each.
        kill_process(Pid::from_child(&process), Signal::HUP).unwrap();
        let pong = Resp::connect(&redis).unwrap().call(&["PING"]);
        assert_eq!(pong, Reply::Simple("PONG".to_owned()));
    }
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    assert!(process.wait().unwrap().success());
}

#[test]
fn a_program_with_the_library_reloads_from_wherever_it_likes_and_on_any_thread() {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let config = move |facility: &str| {
        let mut config = Config {
            listen: vec![Listen::Tcp(any)],
            admin: None,
            embedded: Some(any),
            ..Config::default()
        };
        config.rules.facilities = vec![facility.to_owned()];
        config
    };
    let loads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&loads);
    let (tell, told) = mpsc::channel();
    let serving = thread::spawn(move || {
        let first = config("first");
        let mut gateway = ws4redis::Gateway::bind(first, Box::new(RedisSubscriber)).unwrap();
        gateway.on_reload(move || match counted.fetch_add(1, Ordering::Relaxed) {
            0 => Err("not yet".into()),
            _ => Ok(config("second")),
        });
        let Listen::Tcp(address) = gateway.bound().clients[0].clone() else {
            panic!("a TCP address was asked for")
        };
        tell.send((address, gateway.handle())).unwrap();
        gateway.run().unwrap();
    });
    let (address, handle) = told.recv().unwrap();
    let address = Address::Tcp(address);
    let exists = |facility: &str| {
        let path = format!("/ws/{facility}");
        // 426 is for those who could have upgraded.
        http::get(&address, &path).unwrap().status == 426
    };
    assert!(exists("first") && !exists("second"));
    handle.reload();
    wait::until("it is asked", || {
        (loads.load(Ordering::Relaxed) == 1).then_some(())
    });
    assert!(exists("first"));
    handle.reload();
    wait::until("it is taken", || exists("second").then_some(()));
    assert!(!exists("first"));
    handle.drain();
    serving.join().unwrap();
}
