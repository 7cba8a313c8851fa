//! The main job on real input: programs that know only Redis publish, and real WebSocket clients get it.

use serde_json::{Value, json};
use tungstenite::Message;

use crate::support::gateway::Gateway;
use crate::support::python;
use crate::support::redis::Redis;
use crate::support::resp::Reply;
use crate::support::stream::Address;
use crate::support::wait;

#[test]
fn a_thousand_messages_from_redis_cli_reach_every_client_once_and_in_order() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let mut clients: Vec<_> = (0..50)
        .map(|_| gateway.client("news?subscribe-broadcast"))
        .collect();
    let mut redis_cli = std::process::Command::new("redis-cli");
    let commands: String = (0..1_000)
        .map(|n| format!("PUBLISH broadcast:news {n:0>128}\n"))
        .collect();
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), commands).unwrap();
    let input = std::fs::File::open(script.path()).unwrap();
    let output = redis_cli
        .args(["-s", redis.socket()])
        .stdin(input)
        .output()
        .unwrap();
    assert!(output.status.success());
    for client in &mut clients {
        for n in 0..1_000 {
            client.expect(&format!("{n:0>128}"));
        }
    }
    let marker = redis.speaker("broadcast:news");
    clients[0].expect_silence("that was all", marker);
    assert_eq!(gateway.metric("ws4redis_messages_in_total"), Some(1_001.0));
    let deliveries = wait::until("all is counted", || {
        gateway.metric("ws4redis_deliveries_total")
    });
    assert_eq!(deliveries, 50_050.0);
}

#[test]
fn a_message_published_right_after_the_101_arrives() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    for n in 0..200 {
        let mut client = gateway.client(&format!("room/{n}?subscribe-broadcast"));
        assert_eq!(redis.publish(&format!("broadcast:room/{n}"), "first"), 1);
        client.expect("first");
    }
}

#[test]
fn every_audience_hears_its_own_and_nothing_else() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &["--trusted", "127.0.0.0/8", "--prefix", "app"]);
    let page = format!("http://{}", gateway.address());
    let john = [
        ("Origin", page.as_str()),
        ("X-Ws4redis-User", "john%20d"),
        ("X-Ws4redis-Groups", "chatters, staff"),
        ("Cookie", "a=b; sessionid=k3y"),
    ];
    let flags = "f?subscribe-broadcast&subscribe-user&subscribe-group&subscribe-session";
    let mut client = gateway.client_with(flags, &john).unwrap();
    let mut stranger = gateway.client(flags);
    for (channel, heard) in [
        ("app:broadcast:f", 1),
        ("app:user:john d:f", 1),
        ("app:group:chatters:f", 1),
        ("app:group:staff:f", 1),
        ("app:session:k3y:f", 1),
        ("app:user:mary:f", 0),
        ("broadcast:f", 0),
        ("app:broadcast:F", 0),
    ] {
        assert_eq!(redis.publish(channel, channel), heard, "{channel}");
        if heard == 1 {
            client.expect(channel);
        }
    }
    stranger.expect("app:broadcast:f");
    stranger.expect_silence("only that", redis.speaker("app:broadcast:f"));
}

#[test]
fn a_client_speaks_to_every_audience_and_redis_keeps_its_last_word() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &["--trusted", "127.0.0.1/32", "--expire", "77"]);
    let john = [
        ("X-Ws4redis-User", "john"),
        ("X-Ws4redis-Groups", "g"),
        ("X-Ws4redis-Session", "s"),
    ];
    let flags =
        "f?publish-broadcast&publish-user&publish-group&publish-session&subscribe-user&echo";
    let mut client = gateway.client_with(flags, &john).unwrap();
    client.send("hello");
    client.expect("hello");
    for key in ["broadcast:f", "user:john:f", "group:g:f", "session:s:f"] {
        let value = wait::until("it is persisted", || match redis.call(&["GET", key]) {
            Reply::Bulk(value) => Some(value),
            _ => None,
        });
        assert_eq!(value, b"hello", "{key}");
        assert_eq!(redis.call(&["TTL", key]), Reply::Integer(77), "{key}");
    }
}

#[test]
fn expire_0_persists_nothing_and_leaves_what_is_there() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &["--expire", "0"]);
    redis.call(&["SET", "broadcast:f", "old"]);
    let mut client = gateway.client("f?publish-broadcast&subscribe-broadcast&echo");
    client.expect("old");
    client.send("new");
    client.expect("new");
    assert_eq!(
        redis.call(&["GET", "broadcast:f"]),
        Reply::Bulk(b"old".to_vec())
    );
}

#[test]
fn what_is_persisted_is_sent_on_connect_as_text_or_binary() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    redis.call(&["SETEX", "broadcast:text", "60", "Grüße"]);
    redis
        .connect()
        .call(&[&b"SETEX"[..], b"broadcast:bytes", b"60", b"\xff\x00"]);
    redis.call(&["LPUSH", "broadcast:list", "x"]);
    gateway.client("text?subscribe-broadcast").expect("Grüße");
    let binary = gateway.client("bytes?subscribe-broadcast").next();
    assert_eq!(binary, Message::binary(&b"\xff\x00"[..]));
    // A key of another type is as good as none; it disturbs nobody.
    let mut list = gateway.client("list?subscribe-broadcast");
    list.expect_silence("live", redis.speaker("broadcast:list"));
}

#[test]
fn one_connection_to_redis_serves_all_clients() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let clients: Vec<_> = (0..40)
        .map(|n| gateway.client(&format!("{n}?subscribe-broadcast&publish-broadcast")))
        .collect();
    let Reply::Bulk(list) = redis.call(&["CLIENT", "LIST"]) else {
        panic!("no list")
    };
    let ours = String::from_utf8_lossy(&list)
        .lines()
        .filter(|line| line.contains("name=ws4redis"))
        .count();
    assert_eq!(ours, 1);
    drop(clients);
    wait::until("Redis hears that nobody listens", || {
        (!redis.has_subscriber("broadcast:7")).then_some(())
    });
}

#[test]
fn a_client_not_written_here_in_python_hears_and_speaks_over_tcp_and_unix_socket() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("gateway.sock");
    let unix = format!("unix:{}", socket.display());
    let gateway = Gateway::start(&redis, &["--listen", "127.0.0.1:0", "--listen", &unix]);
    let mut witness = gateway.client("f?subscribe-broadcast");
    for address in gateway.addresses() {
        let (url, more) = match &address {
            Address::Tcp(address) => (format!("ws://{address}"), vec![]),
            Address::Unix(path) => (
                "ws://localhost".to_owned(),
                vec!["--unix-socket".to_owned(), path.display().to_string()],
            ),
        };
        let url = format!("{url}/ws/f?subscribe-broadcast&publish-broadcast&echo");
        let mut arguments = vec![url.as_str(), "--count", "1", "--send", "ping from python"];
        arguments.extend(more.iter().map(String::as_str));
        redis.call(&["DEL", "broadcast:f"]);
        let lines = python::run("listen_websockets.py", &arguments);
        let heard: Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!(heard, json!({ "type": "text", "data": "ping from python" }));
        witness.expect("ping from python");
    }
}

#[test]
fn redis_py_publishes_atomically_and_the_client_gets_it_live_and_on_connect() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let mut client = gateway.client("f?subscribe-broadcast");
    python::run(
        "publish_redis_py.py",
        &[
            "--unix-socket",
            redis.socket(),
            "--channel",
            "broadcast:f",
            "--expire",
            "60",
            "one",
            "two",
        ],
    );
    client.expect("one");
    client.expect("two");
    gateway.client("f?subscribe-broadcast").expect("two");
}

#[test]
fn redis_cli_and_redis_py_work_against_the_embedded_redis_as_against_any() {
    let gateway = Gateway::start_embedded(&[]);
    let mut client = gateway.client("f?subscribe-broadcast");
    let port = gateway.embedded().to_string();
    let port = port.rsplit(':').next().unwrap().to_owned();
    let redis_cli = |words: &[&str]| {
        let output = std::process::Command::new("redis-cli")
            .args(["-p", &port])
            .args(words)
            .output()
            .unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(redis_cli(&["PING"]), "PONG");
    assert_eq!(redis_cli(&["PUBLISH", "broadcast:f", "by redis-cli"]), "1");
    client.expect("by redis-cli");
    // redis-py's pipelines are MULTI/EXEC.
    let arguments = [
        "--port",
        &port,
        "--channel",
        "broadcast:f",
        "--expire",
        "60",
        "by redis-py",
    ];
    assert_eq!(python::run("publish_redis_py.py", &arguments), ["1"]);
    client.expect("by redis-py");
    assert_eq!(redis_cli(&["GET", "broadcast:f"]), "by redis-py");
    assert_eq!(redis_cli(&["-3", "TTL", "broadcast:f"]), "60");
    assert!(redis_cli(&["INFO", "server"]).contains("ws4redis"));
}
