//! `ws4redis bench`: against our own gateway, where all is well, and against one that does everything wrong.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use serde_json::Value;

use super::{Run, run};
use crate::support::gateway::Gateway;
use crate::support::redis::Redis;
use crate::support::stream::Address;

/// Short, small, and for machines.
const BRIEF: [&str; 7] = [
    "--connections=20",
    "--warm-up=100ms",
    "--duration=300ms",
    "--size=200",
    "--concurrency=8",
    "--json",
    "--channels=4",
];

fn bench(mode: &str, gateway: &Gateway, flags: &str, more: &[&str]) -> Run {
    let Address::Tcp(address) = gateway.address() else {
        panic!("it listens on TCP")
    };
    let url = format!("ws://{address}/ws/bench-{{channel}}?{flags}");
    let pid = gateway.id().to_string();
    let arguments = [
        &["bench", mode, "--url", &url, "--pid", &pid],
        &BRIEF[..],
        more,
    ]
    .concat();
    run(&arguments)
}

fn report(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"))
}

#[test]
fn fan_out_through_our_gateway_loses_nothing_at_any_pace_and_says_what_it_cost() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let url = redis.unix_url();
    let drawn = ["--window=8", "--random=7", "--settle=50ms", "--awake"];
    for pace in [&["--window=8"][..], &["--rate=200"], &drawn] {
        let flags = [&["--redis", &url], pace].concat();
        let run = bench("fanout", &gateway, "subscribe-broadcast", &flags);
        assert_eq!(run.code, 0, "{run:?}");
        let report = report(&run);
        let phase = &report["phases"][0];
        let sums = &phase["sums"];
        let published = sums["published"].as_u64().unwrap();
        assert!(published > 20, "{report}");
        // Each of the four channels has five clients.
        assert!(
            sums["delivered"].as_u64().unwrap() >= 5 * (published - 8),
            "{report}"
        );
        assert_eq!(sums["lost"], 0);
        assert!(phase["gateway_cpu_seconds"].as_f64().unwrap() > 0.0);
        let p50 = phase["latency"]["p50"].as_f64().unwrap();
        let last = phase["to_the_last"]["p50"].as_f64().unwrap();
        assert!(0.0 < p50 && p50 <= last, "{report}");
        assert_eq!(report["handshakes"], 20);
    }
}

#[test]
fn every_key_of_the_json_is_in_the_document_and_none_is_there_that_is_not() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let run = bench(
        "fanout",
        &gateway,
        "subscribe-broadcast",
        &["--redis", &redis.unix_url()],
    );
    let mut keys = BTreeSet::new();
    collect_keys(&report(&run), &mut keys);
    let text = std::fs::read_to_string("docs/bench.md").unwrap();
    let (_, table) = text.split_once("| Key | is |").unwrap();
    let quoted = table.split('`').skip(1).step_by(2);
    let documented = quoted.filter(|word| !["slow", "idle", "--pid"].contains(word));
    assert_eq!(keys, documented.map(str::to_owned).collect());
}

fn collect_keys(value: &Value, keys: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                keys.insert(key.clone());
                collect_keys(value, keys);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_keys(value, keys)),
        _ => {}
    }
}

#[test]
fn what_the_benchmark_spends_with_looking_is_not_its_cost() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let more = ["--redis", &redis.unix_url(), "--rate=20", "--awake"];
    let report = report(&bench("fanout", &gateway, "subscribe-broadcast", &more));
    let phase = &report["phases"][0];
    let (own, seconds) = (&phase["own_cpu_seconds"], &phase["seconds"]);
    assert!(
        own.as_f64().unwrap() < 0.5 * seconds.as_f64().unwrap(),
        "{report}"
    );
}

#[test]
fn a_client_may_listen_to_several_channels_and_say_who_it_is() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &["--identity=headers", "--trusted=127.0.0.1"]);
    let Address::Tcp(address) = gateway.address() else {
        panic!("it listens on TCP")
    };
    let url = format!("ws://{address}/ws/many?subscribe-group");
    let redis = redis.unix_url();
    let arguments = [
        &["bench", "fanout", "--url", &url, "--redis", &redis][..],
        &BRIEF[..6],
        &["--window=16", "--channels=70"],
        &["--publish-channel=group:{channel}:many"],
        &["--header=X-Ws4redis-User: bench"],
    ]
    .concat();
    let refused = run(&arguments);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("{channels}"), "{refused:?}");

    let run = run(&[&arguments[..], &["--header=X-Ws4redis-Groups: {channels}"]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let sums = &report(&run)["phases"][0]["sums"];
    assert!(sums["published"].as_u64().unwrap() > 70, "{run:?}");
    // Each channel has one client.
    let (published, delivered) = (&sums["published"], sums["delivered"].as_u64().unwrap());
    assert!(delivered + 16 >= published.as_u64().unwrap(), "{run:?}");
}

#[test]
fn each_other_mode_has_its_figures() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let connect = report(&bench("connect", &gateway, "subscribe-broadcast", &[]));
    assert!(
        connect["phases"][0]["events"].as_u64().unwrap() > 20,
        "{connect}"
    );

    let idle = report(&bench("idle", &gateway, "subscribe-broadcast", &[]));
    assert!(idle["memory_per_connection"].as_f64().is_some(), "{idle}");

    let flags = "subscribe-broadcast&publish-broadcast&echo";
    let run = bench("publish", &gateway, flags, &[]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        report(&run)["phases"][0]["events"].as_u64().unwrap() > 20,
        "{run:?}"
    );

    let url = redis.unix_url();
    let slow = bench(
        "slow",
        &gateway,
        "subscribe-broadcast",
        &["--redis", &url, "--slow=5"],
    );
    assert_eq!(slow.code, 0, "{slow:?}");
    let slow = report(&slow);
    assert_eq!(slow["phases"].as_array().unwrap().len(), 2);
    assert_eq!(slow["handshakes"], 25);
}

#[test]
fn a_gateway_that_loses_repeats_reorders_and_changes_messages_is_found_out() {
    let (url, post) = start_faulty();
    let arguments = [
        &[
            "bench",
            "fanout",
            "--url",
            &url,
            "--post",
            &post,
            "--publishers=1",
        ][..],
        &[
            "--connections=1",
            "--rate=100",
            "--warm-up=50ms",
            "--duration=400ms",
            "--json",
        ],
    ];
    let run = run(&arguments.concat());
    assert_eq!(run.code, 1, "{run:?}");
    let sums = &report(&run)["phases"][0]["sums"];
    for (fault, count) in [
        ("lost", 2),
        ("duplicate", 1),
        ("reordered", 1),
        ("corrupt", 1),
    ] {
        assert_eq!(sums[fault], count, "{fault}: {sums}");
    }
}

/// Where to connect to, and where to POST.
fn start_faulty() -> (String, String) {
    let clients = TcpListener::bind("127.0.0.1:0").unwrap();
    let publishers = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", clients.local_addr().unwrap());
    let post = format!("http://{}/", publishers.local_addr().unwrap());
    thread::spawn(move || {
        let mut client = clients.accept().unwrap().0;
        let head = read_head(&mut BufReader::new(client.try_clone().unwrap()));
        let key = head
            .split("Sec-WebSocket-Key: ")
            .nth(1)
            .unwrap()
            .lines()
            .next()
            .unwrap();
        let accept = ws4redis::wire::ws::accept(key.as_bytes());
        write!(
            client,
            "HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .unwrap();
        relay(publishers.accept().unwrap().0, client);
    });
    (url, post)
}

fn relay(mut publisher: TcpStream, mut client: TcpStream) {
    let mut reader = BufReader::new(publisher.try_clone().unwrap());
    let mut held = Vec::new();
    for number in 0.. {
        let head = read_head(&mut reader);
        let Some(length) = head.split("Content-Length: ").nth(1) else {
            return;
        };
        let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        write!(publisher, "HTTP/1.1 204 \r\n\r\n").unwrap();
        if number == 25 {
            body[60] ^= 1;
        }
        let frame = ws4redis::wire::ws::message(&body);
        // Well after what is warming up.
        match number {
            15 => {}
            18 => client.write_all(&[&frame[..], &frame].concat()).unwrap(),
            21 => held = frame.to_vec(),
            22 => client.write_all(&[&frame[..], &held].concat()).unwrap(),
            _ => client.write_all(&frame).unwrap(),
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 0 && !head.ends_with("\r\n\r\n") {}
    head
}

#[test]
fn what_cannot_be_measured_is_said_in_a_line() {
    for (arguments, code, says) in [
        (
            &["--url", "ws://127.0.0.1:1/"][..],
            1,
            "only 0 of 20 clients could be opened at 127.0.0.1:1: ",
        ),
        (&["--url", "wss://localhost/ws/a"], 2, "TLS"),
        (&["--url", "localhost/ws/a"], 2, "must begin with ws://"),
        (
            &["--pid", "4294967295"],
            1,
            "cannot measure process 4294967295",
        ),
        (&["--size", "3"], 2, "must be from 32"),
        (
            &["--header", "no colon"],
            2,
            "must be one line, as in 'Name: value'",
        ),
        (&["--header", "A: b\r\nC: d"], 2, "must be one line"),
    ] {
        let run = run(&[&["bench", "idle"], &BRIEF[..3], arguments].concat());
        assert_eq!(run.code, code, "{run:?}");
        assert!(run.stderr.contains(says), "{run:?}");
    }
}
