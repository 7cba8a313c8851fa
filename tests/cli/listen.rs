//! `listen`, against the real gateway.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::command;
use crate::support::gateway::{Gateway, free_address};
use crate::support::process::Process;
use crate::support::wait::PATIENCE;

/// The listener, connected.
fn listen(arguments: &[&str]) -> Process {
    let listener = start(arguments);
    said(&listener, "connected to");
    listener
}

fn start(arguments: &[&str]) -> Process {
    Process::start(&mut command(&[&["listen"], arguments].concat()))
}

fn said(listener: &Process, words: &str) -> String {
    listener
        .errors
        .first(words, |line| line.contains(words).then(|| line.to_owned()))
}

fn publish(gateway: &Gateway, channel: &str, message: &[u8]) {
    let words = [b"PUBLISH", channel.as_bytes(), message];
    gateway.embedded_redis().call(&words);
}

#[test]
fn messages_are_printed_with_their_time_until_there_were_enough() {
    let gateway = Gateway::start_embedded(&["--heartbeat", "beat"]);
    let address = gateway.address().to_string();
    let mut listener = listen(&[
        "news",
        "--listen",
        &address,
        "--count",
        "2",
        "--heartbeat",
        "beat",
    ]);
    publish(&gateway, "broadcast:news", b"beat");
    publish(&gateway, "broadcast:news", "It rains \u{1b}[2J".as_bytes());
    publish(&gateway, "broadcast:news", b"\xff");
    assert!(listener.end(PATIENCE).success());
    let lines = listener.output.all();
    // The heartbeat is not among them.
    let [text, binary] = &lines[..] else {
        panic!("{lines:?}");
    };
    let (time, text) = text.split_once("  ").unwrap();
    assert_eq!(
        (time.len(), text),
        ("12:34:56.789".len(), "It rains \\u{1b}[2J")
    );
    assert!(binary.ends_with("1 bytes: \\xff"), "{binary}");
    // It said goodbye: 1000 is the client's own close.
    crate::support::wait::until("the session is closed by its client", || {
        (gateway.metric("ws4redis_closes_total{reason=\"client\"}") == Some(1.0)).then_some(())
    });
}

#[test]
fn programs_get_one_json_object_a_line() {
    let gateway = Gateway::start_embedded(&[]);
    let url = format!("ws://{}/ws/news?subscribe-broadcast", gateway.address());
    let mut listener = listen(&[&url, "--json", "--count", "2"]);
    publish(&gateway, "broadcast:news", b"a\nb");
    publish(&gateway, "broadcast:news", b"\xff\xfe");
    assert!(listener.end(PATIENCE).success());
    let lines = listener.output.all();
    let values: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&values[0]["type"], &values[0]["data"]),
        (&"text".into(), &"a\nb".into())
    );
    assert_eq!(
        (&values[1]["type"], &values[1]["data_base64"]),
        (&"binary".into(), &"//4=".into())
    );
    assert!(values[0]["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn lines_that_are_typed_are_published_over_a_unix_socket_with_the_session_of_the_cookie() {
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", dir.path().join("ws.sock").display());
    let _gateway = Gateway::start_embedded(&["--listen", &socket]);
    let flags = [
        "--publish-session",
        "--subscribe-session",
        "--cookie",
        "sessionid=k3y",
    ];
    let mut speaker = listen(&[&["chat", "--listen", &socket], &flags[..], &["--echo"]].concat());
    let listener = listen(&[&["chat", "--listen", &socket], &flags[..]].concat());
    speaker.say("hello");
    speaker.say("");
    speaker.say("again");
    for process in [&speaker, &listener] {
        assert!(process.output.nth(0).ends_with("  hello"));
        assert!(process.output.nth(1).ends_with("  again"));
    }
}

#[test]
fn an_interrupt_is_a_clean_end() {
    let gateway = Gateway::start_embedded(&[]);
    let address = gateway.address().to_string();
    for signal in [Signal::INT, Signal::TERM] {
        let mut listener = listen(&["news", "--listen", &address]);
        listener.signal(signal);
        assert_eq!(listener.end(PATIENCE).code(), Some(0));
    }
    let mut nobody = start(&["news", "--listen", &free_address().to_string()]);
    said(&nobody, "again in");
    nobody.signal(Signal::INT);
    assert_eq!(nobody.end(PATIENCE).code(), Some(0));
}

#[test]
fn it_connects_again_when_the_gateway_comes_back_and_says_what_happened() {
    let address = free_address().to_string();
    let arguments = ["--listen", address.as_str()];
    let mut gateway = Gateway::start_embedded(&arguments);
    let listener = listen(&["news", "--listen", &address]);
    gateway.terminate();
    assert!(gateway.end(PATIENCE).success());
    let line = said(&listener, "closed with 1012");
    assert!(line.contains("the gateway restarts"), "{line}");
    said(&listener, "is `ws4redis serve` running there?");
    let gateway = Gateway::start_embedded(&arguments);
    listener.errors.first("connected twice", |_| {
        let lines = listener.errors.all();
        (lines
            .iter()
            .filter(|line| line.contains("connected to"))
            .count()
            == 2)
            .then_some(())
    });
    publish(&gateway, "broadcast:news", b"back");
    assert!(listener.output.nth(0).ends_with("  back"));
}

#[test]
fn once_means_once_and_a_refusal_that_will_not_change_ends_it() {
    let gateway = Gateway::start_embedded(&[]);
    let address = gateway.address().to_string();
    let origin = [
        "news",
        "--listen",
        &address,
        "--header",
        "Origin: http://evil.example",
    ];
    let mut refused = start(&origin);
    assert_eq!(refused.end(PATIENCE).code(), Some(1));
    let line = said(&refused, "refused with 403");
    assert!(
        line.contains("pages of this origin may not connect"),
        "{line}"
    );

    let mut once = listen(&["news", "--listen", &address, "--once"]);
    gateway.terminate();
    assert_eq!(once.end(PATIENCE).code(), Some(1));
    said(&once, "closed with 1012");
    let mut nobody = start(&["news", "--listen", &free_address().to_string(), "--once"]);
    assert_eq!(nobody.end(Duration::from_secs(15)).code(), Some(1));
}
