//! Programs that were not written here: the original's publisher, redis-py, the Python package `websockets`, a real
//! redis-server and what can happen to it.

use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::python;
use crate::support::redis::Redis;
use crate::support::stream::Address;
use crate::support::wait;

#[test]
fn the_original_publisher_reaches_every_audience_through_a_real_redis() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}/gateway.sock", dir.path().display());
    let gateway = Gateway::start(&redis, &["--listen", &socket, "--prefix", "shop"]);
    let identity = [
        ("x-ws4redis-user", "john"),
        ("x-ws4redis-groups", "staff"),
        ("x-ws4redis-session", "k3y"),
    ];
    for (audience, arguments) in [
        ("broadcast", &["--broadcast"][..]),
        ("user", &["--user", "john"]),
        ("group", &["--group", "staff"]),
        ("session", &["--session", "k3y"]),
    ] {
        let mut client = gateway
            .client_with(&format!("news?subscribe-{audience}"), &identity)
            .unwrap();
        let connection = ["--unix-socket", redis.socket(), "--prefix", "shop"];
        let messages = ["--facility", "news", "eins", "zwei ☃"];
        let channels = python::run(
            "publish_original.py",
            &[&connection, arguments, &messages].concat(),
        );
        assert_eq!(channels.len(), 1, "{channels:?}");
        client.expect("eins");
        client.expect("zwei ☃");

        // The original persists what it publishes; who comes later gets the newest, and nothing else.
        let mut late = gateway
            .client_with(&format!("news?subscribe-{audience}"), &identity)
            .unwrap();
        late.expect("zwei ☃");
        late.expect_silence("marker", |marker| {
            assert_eq!(redis.publish(&channels[0], marker), 1);
        });
    }
}

#[test]
fn the_original_publisher_and_a_python_client_meet_in_embedded_mode() {
    let gateway = Gateway::start_embedded(&[]);
    let port = port(&gateway.embedded());
    let listener = listen(&gateway, "news?subscribe-broadcast", "2");
    let arguments = [
        "--port",
        &port,
        "--facility",
        "news",
        "--broadcast",
        "hello",
        "again",
    ];
    python::run("publish_original.py", &arguments);
    assert_eq!(
        line(&listener, 1),
        json!({ "type": "text", "data": "hello" })
    );
    assert_eq!(
        line(&listener, 2),
        json!({ "type": "text", "data": "again" })
    );
}

#[test]
fn redis_py_reaches_a_python_client_with_publish_and_with_a_pipeline() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let channel = [
        "--unix-socket",
        redis.socket(),
        "--channel",
        "broadcast:news",
    ];
    let listener = listen(&gateway, "news?subscribe-broadcast", "2");
    let heard = python::run("publish_redis_py.py", &[&channel[..], &["plain"]].concat());
    assert_eq!(heard, ["1"]);
    python::run(
        "publish_redis_py.py",
        &[&channel[..], &["--expire", "60", "kept"]].concat(),
    );
    assert_eq!(
        line(&listener, 1),
        json!({ "type": "text", "data": "plain" })
    );
    assert_eq!(
        line(&listener, 2),
        json!({ "type": "text", "data": "kept" })
    );
    gateway.client("news?subscribe-broadcast").expect("kept");
}

#[test]
fn a_python_client_publishes_and_hears_the_gateway_say_goodbye() {
    let gateway = Gateway::start_embedded(&[]);
    let mut other = gateway.client("news?subscribe-broadcast");
    let url = url(&gateway, "news?publish-broadcast");
    let speaker = python::start("listen_websockets.py", &[&url, "--send", "from Python"]);
    other.expect("from Python");
    gateway.terminate();
    assert_eq!(line(&speaker, 1)["close"], 1012);
    assert_eq!(other.closed().0, 1012);
}

#[test]
fn sessions_outlive_a_redis_that_is_killed_and_comes_back_empty() {
    let mut redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let mut client = gateway.client("news?subscribe-broadcast");
    redis.kill();
    wait::until("readiness says no", || (!gateway.is_ready()).then_some(()));
    redis.restart();
    gateway.wait_ready();
    assert_eq!(redis.publish("broadcast:news", "back"), 1);
    client.expect("back");
}

#[test]
fn sessions_outlive_a_cut_of_the_subscribed_connection() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let mut client = gateway.client("news?subscribe-broadcast");
    assert_eq!(redis.cut_subscribers(), 1);
    wait::until("the channel is subscribed again", || {
        redis.has_subscriber("broadcast:news").then_some(())
    });
    redis.publish("broadcast:news", "again");
    client.expect("again");
}

#[test]
fn a_redis_that_stands_still_is_noticed() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let mut client = gateway.client("news?subscribe-broadcast");
    redis.pause();
    wait::until("readiness says no", || (!gateway.is_ready()).then_some(()));
    redis.resume();
    gateway.wait_ready();
    wait::until("somebody hears", || {
        (redis.publish("broadcast:news", "on") == 1).then_some(())
    });
    client.expect("on");
}

/// The Python client, connected.
fn listen(gateway: &Gateway, tail: &str, count: &str) -> Process {
    let listener = python::start(
        "listen_websockets.py",
        &[&url(gateway, tail), "--count", count],
    );
    assert_eq!(line(&listener, 0), json!({ "open": true }));
    listener
}

fn url(gateway: &Gateway, tail: &str) -> String {
    format!("ws://{}/ws/{tail}", gateway.address())
}

fn line(process: &Process, n: usize) -> Value {
    serde_json::from_str(&process.output.nth(n)).unwrap()
}

fn port(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.port().to_string(),
        Address::Unix(path) => panic!("{path:?} has no port"),
    }
}
