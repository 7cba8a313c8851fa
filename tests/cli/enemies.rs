//! `ws4redis bench` against gateways and publishers that do wrong: the verdict, the exit status and one clear line.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{Run, command, finish, run};
use crate::support::gateway::Gateway;
use crate::support::process::Process;
use crate::support::redis::Redis;
use crate::support::stream::Address;
use crate::support::wait;

/// Listens, and gives each connection to `serve` in a thread of its own; where.
fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Reads a head; empty at the end of the stream.
fn read_head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        match reader.read_line(&mut head) {
            Ok(1..) => {}
            _ => return String::new(),
        }
    }
    head
}

/// Answers the handshake as it should be.
fn shake(client: &TcpStream) -> BufReader<TcpStream> {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let head = read_head(&mut reader);
    let key = head.split("Sec-WebSocket-Key: ").nth(1).unwrap_or_default();
    let key = key.lines().next().unwrap_or_default();
    let accept = ws4redis::wire::ws::accept(key.as_bytes());
    let _ = write!(
        &mut &*client,
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    reader
}

/// What a client of the benchmark says, whose masks are zero; `None` at the end. Pongs are part of it.
fn read_frame(reader: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut start = [0; 2];
    reader.read_exact(&mut start).ok()?;
    let mut length = usize::from(start[1] & 0x7f);
    if length == 126 {
        let mut bytes = [0; 2];
        reader.read_exact(&mut bytes).ok()?;
        length = u16::from_be_bytes(bytes).into();
    }
    let mut payload = vec![0; length + 4];
    reader.read_exact(&mut payload).ok()?;
    Some((start[0], payload.split_off(4)))
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = ws4redis::wire::ws::message(payload).to_vec();
    frame[0] = first;
    frame
}

/// A gateway that sends each client's messages back to it, as `answer` makes them of their number and payload; an
/// empty answer to the one behind which it hangs up.
fn echo(answer: impl Fn(usize, &[u8]) -> Vec<Vec<u8>> + Send + Sync + 'static) -> String {
    server(move |mut client| {
        let mut reader = shake(&client);
        let mut number = 0;
        while let Some((first, payload)) = read_frame(&mut reader) {
            if first != 0x81 {
                assert_eq!((first, &payload[..]), (0x8a, &b"are you there"[..]));
                continue;
            }
            for bytes in answer(number, &payload) {
                if bytes.is_empty() || client.write_all(&bytes).is_err() {
                    return;
                }
            }
            number += 1;
        }
    })
}

/// A measurement that is over soon, with one client, whose warm-up is nothing.
fn brief(mode: &str, address: &str, more: &[&str]) -> Run {
    let url = format!("ws://{address}/{{channel}}");
    let lasts = more.iter().any(|word| word.starts_with("--duration"));
    let duration: &[&str] = if lasts { &[] } else { &["--duration=200ms"] };
    let plan = ["--connections=1", "--concurrency=1", "--warm-up=0s"];
    run(&[&["bench", mode, "--url", &url], &plan[..], duration, more].concat())
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|_| panic!("{run:?}"))
}

#[test]
fn a_gateway_that_may_do_what_it_does_is_not_blamed() {
    type Answer = fn(usize, &[u8]) -> Vec<Vec<u8>>;
    let ways: [(&str, Answer); 5] = [
        ("binary", |_, message| vec![frame(0x82, message)]),
        ("fragments", |_, message| {
            let (start, end) = message.split_at(20);
            vec![
                frame(0x01, start),
                frame(0x00, b""),
                frame(0x89, b"are you there"),
                frame(0x80, end),
            ]
        }),
        ("pings", |_, message| {
            vec![frame(0x89, b"are you there"), frame(0x81, message)]
        }),
        ("heartbeats", |_, message| {
            vec![frame(0x81, b"--heartbeat--"), frame(0x81, message)]
        }),
        ("envelopes", |_, message| {
            let text = str::from_utf8(message).unwrap();
            let json = serde_json::json!({ "type": "message", "data": text });
            vec![frame(0x81, json.to_string().as_bytes())]
        }),
    ];
    for (way, answer) in ways {
        for size in ["--size=32", "--size=300"] {
            let run = brief("publish", &echo(answer), &[size, "--json"]);
            assert_eq!(run.code, 0, "{way}: {run:?}");
            let report = json(&run);
            assert_eq!(report["verdict"], "clean", "{way}");
            assert!(report["phases"][0]["events"].as_u64().unwrap() > 1, "{way}");
        }
    }
}

#[test]
fn of_a_client_that_publishes_as_many_messages_are_under_way_as_was_asked_for() {
    let held = Mutex::new(Vec::new());
    // It answers when it has four: with fewer under way it would never.
    let address = echo(move |_, message| {
        let mut held = held.lock().unwrap();
        held.push(frame(0x81, message));
        match held.len() {
            4 => vec![std::mem::take(&mut *held).concat()],
            _ => Vec::new(),
        }
    });
    let run = brief("publish", &address, &["--window=4", "--json"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        json(&run)["phases"][0]["events"].as_u64() > Some(40),
        "{run:?}"
    );
}

#[test]
fn what_a_gateway_does_wrong_while_it_is_measured_is_counted_and_called_what_it_is() {
    type Answer = fn(usize, &[u8]) -> Vec<Vec<u8>>;
    let ways: [(Answer, &str); 9] = [
        (
            |n, m| vec![frame(if n == 3 { 0xc1 } else { 0x81 }, m)],
            "compressed (RSV1)",
        ),
        (
            |n, m| vec![frame(if n == 3 { 0x83 } else { 0x81 }, m)],
            "reserved bit or opcode",
        ),
        (
            |n, m| vec![frame(if n == 3 { 0x80 } else { 0x81 }, m)],
            "belongs to no message",
        ),
        (
            |n, m| match n {
                3 => vec![vec![0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0]],
                _ => vec![frame(0x81, m)],
            },
            "over 2097152 bytes",
        ),
        (
            |n, m| match n {
                3 => vec![frame(0x89, &[b'a'; 126])],
                _ => vec![frame(0x81, m)],
            },
            "control frame",
        ),
        (
            |n, m| match n {
                3 => vec![frame(0x88, b"\x03\xf5slow")],
                _ => vec![frame(0x81, m)],
            },
            "closed the connection with 1013 (slow)",
        ),
        (
            |n, m| match n {
                3 => vec![Vec::new()],
                _ => vec![frame(0x81, m)],
            },
            "first to break         the gateway",
        ),
        (
            |n, m| {
                let mut wrong = m.to_vec();
                wrong[30] ^= u8::from(n == 3);
                vec![frame(0x81, &wrong)]
            },
            "1 changed",
        ),
        (
            |n, m| vec![frame(0x81, m); if n == 3 { 2 } else { 1 }],
            "1 twice",
        ),
    ];
    for (answer, says) in ways {
        let run = brief("publish", &echo(answer), &["--window=2"]);
        assert_eq!(run.code, 1, "{says}: {run:?}");
        assert!(run.stdout.contains(says), "{says}: {run:?}");
        assert!(run.stdout.contains("FAULTS"), "{run:?}");
    }
}

#[test]
fn a_handshake_that_goes_wrong_is_told_in_a_line_and_as_json() {
    for (answer, says) in [
        (
            "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: no\r\n\r\n",
            "a wrong Sec-WebSocket-Accept",
        ),
        (
            "HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\n\r\n",
            "301 Moved\", to \"/elsewhere\"",
        ),
        (
            "HTTP/1.1 403 Forbidden\r\n\r\nnot you\r\n",
            "403 Forbidden\", \"not you\"",
        ),
        ("HTTP/1.0 101 X\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.0"),
        (
            "HTTP/1.1 101 X\r\nUpgr",
            "the gateway closed the connection",
        ),
        ("+PONG\r\n", "is no HTTP"),
    ] {
        let enemy = server(move |mut client| {
            read_head(&mut BufReader::new(client.try_clone().unwrap()));
            let _ = client.write_all(answer.as_bytes());
            let _ = client.shutdown(Shutdown::Write);
            let _ = client.read_to_end(&mut Vec::new());
        });
        let run = brief("idle", &enemy, &["--json"]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(
            run.stderr
                .contains("only 0 of 1 clients could be opened at 127.0.0.1:"),
            "{run:?}"
        );
        assert_eq!(run.stderr.lines().count(), 1, "{run:?}");
        let report = json(&run);
        assert_eq!(report["verdict"], "failed");
        assert!(report["error"].as_str().unwrap().contains(says), "{run:?}");
    }
}

#[test]
fn handshakes_that_never_come_about_are_no_success() {
    let silent = server(|mut client| {
        let _ = client.read_to_end(&mut Vec::new());
    });
    let run = brief("connect", &silent, &[]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("no handshake came about"), "{run:?}");
}

#[test]
fn past_the_ports_of_one_address_clients_come_from_the_next() {
    let peers = Arc::new(Mutex::new(BTreeMap::<IpAddr, usize>::new()));
    let seen = Arc::clone(&peers);
    let gateway = server(move |mut client| {
        let from = client.peer_addr().unwrap().ip();
        *seen.lock().unwrap().entry(from).or_default() += 1;
        let _ = shake(&client);
        let _ = client.read_to_end(&mut Vec::new());
    });
    let many = ["--connections=25", "--concurrency=4", "--per-address=10"];
    let url = format!("ws://{gateway}/");
    let run = run(&[
        &[
            "bench",
            "idle",
            "--url",
            &url,
            "--duration=50ms",
            "--warm-up=0s",
        ],
        &many[..],
    ]
    .concat());
    assert_eq!(run.code, 0, "{run:?}");
    let peers = peers.lock().unwrap();
    let counts = [("127.0.0.1", 10), ("127.0.0.2", 10), ("127.0.0.3", 5)];
    let expected = counts.map(|(from, count)| (from.parse().unwrap(), count));
    assert_eq!(*peers, BTreeMap::from(expected));
}

#[test]
fn more_clients_than_one_address_has_ports_are_refused_where_there_is_only_one() {
    for url in ["ws://192.0.2.1/", "ws://[::1]:1/"] {
        let run = run(&["bench", "idle", "--url", url, "--connections=20001"]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{run:?}");
        for says in ["20001 clients need 2 source addresses", "--per-address"] {
            assert!(run.stderr.contains(says), "{run:?}");
        }
    }
}

/// A gateway that hears nothing but what is POSTed, with `answer` to each POST; where to connect, and where to POST.
fn post(answer: impl Fn(&mut TcpStream, usize) -> bool + Send + Sync + 'static) -> [String; 2] {
    let clients = Arc::new(Mutex::new(Vec::<TcpStream>::new()));
    let open = Arc::clone(&clients);
    let gateway = server(move |client| {
        // Nothing is passed on between its 101 and its place on the list.
        let mut open = open.lock().unwrap();
        let mut reader = shake(&client);
        open.push(client);
        drop(open);
        while read_frame(&mut reader).is_some() {}
    });
    let number = Mutex::new(0);
    let publisher = server(move |mut stream| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let head = read_head(&mut reader);
            let Some(length) = head.split("Content-Length: ").nth(1) else {
                return;
            };
            let mut body = vec![0; length.lines().next().unwrap().parse().unwrap()];
            reader.read_exact(&mut body).unwrap();
            // Held until it is answered, so that the order is that of the numbers.
            let mut number = number.lock().unwrap();
            for mut client in clients.lock().unwrap().iter() {
                let _ = client.write_all(&frame(0x81, &body));
            }
            *number += 1;
            if !answer(&mut stream, *number) {
                return;
            }
        }
    });
    [gateway, format!("http://{publisher}/")]
}

#[test]
fn a_publisher_may_answer_in_every_way_that_http_has() {
    type Answer = fn(&mut TcpStream, usize) -> bool;
    let ways: [(&str, Answer); 4] = [
        ("chunked", |stream, _| {
            let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
            stream.write_all(text.as_bytes()).is_ok()
        }),
        ("closed behind each", |stream, _| {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
            false
        }),
        ("closed without a word", |stream, _| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            false
        }),
        ("until it closes", |stream, _| {
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nok");
            false
        }),
    ];
    for (way, answer) in ways {
        let [gateway, post] = post(answer);
        let more = ["--post", &post, "--publishers=1", "--json"];
        let run = brief("fanout", &gateway, &more);
        assert_eq!(run.code, 0, "{way}: {run:?}");
        let events = json(&run)["phases"][0]["events"].as_u64().unwrap();
        assert!(events > 2, "{way}: {run:?}");
    }
}

#[test]
fn a_publisher_that_fails_ends_it_with_what_was_measured_until_then() {
    let [gateway, post] = post(|stream, number| {
        let status = if number < 10 { "200 OK" } else { "500 Oh" };
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).is_ok()
    });
    let run = brief("fanout", &gateway, &["--post", &post, "--publishers=1"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("it answers 500"), "{run:?}");
    assert!(run.stdout.contains(&post["http://".len()..]), "{run:?}");
    assert!(run.stdout.contains("latency"), "{run:?}");
    assert!(!run.stdout.contains("FAULTS"), "{run:?}");
}

#[test]
fn a_stall_counts_for_every_message_that_was_due_in_it() {
    let [gateway, post] = post(|stream, number| {
        if number == 20 {
            thread::sleep(Duration::from_millis(300));
        }
        stream.write_all(b"HTTP/1.1 204 \r\n\r\n").is_ok()
    });
    let more = ["--post", &post, "--publishers=1", "--rate=100", "--json"];
    let run = brief(
        "fanout",
        &gateway,
        &[&more[..], &["--duration=1s"]].concat(),
    );
    assert_eq!(run.code, 0, "{run:?}");
    // 30 of 100 were due in it: from the time when they were sent all but one would have been fast.
    let phase = &json(&run)["phases"][0];
    assert!(phase["latency"]["p90"].as_f64().unwrap() > 0.1, "{run:?}");
    assert!(
        phase["to_the_last"]["p99"].as_f64().unwrap() > 0.25,
        "{run:?}"
    );
}

#[test]
fn a_message_that_is_lost_does_not_end_the_measurement() {
    let [gateway, post] = post(|stream, _| stream.write_all(b"HTTP/1.1 204 \r\n\r\n").is_ok());
    let lossy = server(move |mut client| {
        let mut inner = TcpStream::connect(&gateway).unwrap();
        inner.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut inner = BufReader::new(inner);
        read_head(&mut inner);
        let _ = shake(&client);
        // 128 bytes behind a header of four.
        let mut frame = [0; 132];
        for number in 0.. {
            if inner.read_exact(&mut frame).is_err() {
                return;
            }
            if number != 5 && client.write_all(&frame).is_err() {
                return;
            }
        }
    });
    let more = [
        "--post",
        &post,
        "--publishers=1",
        "--json",
        "--duration=1500ms",
    ];
    let run = brief("fanout", &lossy, &more);
    assert_eq!(run.code, 1, "{run:?}");
    let sums = &json(&run)["phases"][0]["sums"];
    assert_eq!(sums["lost"], 1, "{sums}");
    assert!(sums["delivered"].as_u64().unwrap() > 20, "{sums}");
}

#[test]
fn when_all_clients_are_gone_it_ends() {
    let [_, post] = post(|stream, _| stream.write_all(b"HTTP/1.1 204 \r\n\r\n").is_ok());
    let fleeting = server(move |client| {
        let _ = shake(&client);
        thread::sleep(Duration::from_millis(100));
    });
    let more = ["--post", &post, "--publishers=1", "--duration=1h"];
    let run = brief("fanout", &fleeting, &more);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stdout.contains("no client is connected any more"),
        "{run:?}"
    );
    assert!(
        run.stdout.contains("the gateway closed the connection"),
        "{run:?}"
    );
}

/// One that runs against our own gateway for as long as it may, once it has begun to measure.
fn endless(gateway: &Gateway, redis: &Redis) -> Process {
    let Address::Tcp(address) = gateway.address() else {
        panic!("it listens on TCP")
    };
    let url = format!("ws://{address}/ws/endless?subscribe-broadcast");
    let (redis_url, pid) = (redis.unix_url(), gateway.id().to_string());
    let arguments = [
        &[
            "bench", "fanout", "--url", &url, "--redis", &redis_url, "--pid", &pid,
        ][..],
        &[
            "--connections=3",
            "--rate=100",
            "--warm-up=0s",
            "--duration=1h",
        ],
        &["--publish-channel=broadcast:endless", "--json"],
    ];
    let deliveries = || gateway.metric("ws4redis_deliveries_total").unwrap_or(0.0);
    let before = deliveries();
    let process = Process::start(&mut command(&arguments.concat()));
    wait::until("it measures", || {
        (deliveries() > before + 20.0).then_some(())
    });
    process
}

fn ended(mut process: Process) -> (Option<i32>, Value) {
    let status = process.end(wait::PATIENCE);
    let text = process.output.all().concat();
    (status.code(), serde_json::from_str(&text).unwrap())
}

#[test]
fn whoever_interrupts_it_gets_what_was_measured() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let process = endless(&gateway, &redis);
    process.signal(Signal::INT);
    let (code, report) = ended(process);
    assert_eq!(code, Some(1));
    assert_eq!(report["verdict"], "incomplete", "{report}");
    assert_eq!(report["error"], "interrupted");
    assert!(
        report["phases"][0]["events"].as_u64().unwrap() > 20,
        "{report}"
    );
}

#[test]
fn a_gateway_or_a_redis_that_dies_ends_it_with_what_was_measured() {
    let mut redis = Redis::start();
    let mut gateway = Gateway::start(&redis, &[]);
    let process = endless(&gateway, &redis);
    redis.kill();
    let (code, report) = ended(process);
    assert_eq!(code, Some(1));
    let error = report["error"].as_str().unwrap();
    assert!(error.contains("cannot publish through unix"), "{report}");
    assert!(
        report["phases"][0]["events"].as_u64().unwrap() > 20,
        "{report}"
    );

    redis.restart();
    gateway.wait_ready();
    let process = endless(&gateway, &redis);
    gateway.kill();
    let (code, report) = ended(process);
    assert_eq!(code, Some(1));
    assert_eq!(report["verdict"], "faults", "{report}");
    let error = report["error"].as_str().unwrap();
    assert!(error.contains("cannot measure process"), "{report}");
}

#[test]
fn a_redis_that_is_not_there_is_told_by_name_before_clients_connect() {
    let idle = server(|mut client| {
        let _ = client.read_to_end(&mut Vec::new());
    });
    let run = brief("fanout", &idle, &["--redis=redis://:secret@127.0.0.1:1/0"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(
        run.stderr
            .contains("through redis://:***@127.0.0.1:1/0: Connection refused"),
        "{run:?}"
    );
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    for (arguments, says) in [
        (&["fanout", "--rate=0"][..], "from 0.01"),
        (&["fanout", "--rate=NaN"], "from 0.01"),
        (&["fanout", "--window=0"], "0 is not in"),
        (&["fanout", "--window=4294967296"], "is not in"),
        (&["idle", "--connections=0"], "0 is not in"),
        (&["idle", "--duration=0"], "more than nothing"),
        (&["idle", "--duration=25h"], "a day"),
        (&["idle", "--per-address=0"], "0 is not in"),
        (&["slow", "--slow=4294967295"], "is not in"),
        (
            &["idle", "--channels=2000"],
            "2000 channels are more than 1000 clients",
        ),
        (
            &["idle", "--channels=2", "--url=ws://127.0.0.1:1/"],
            "{channel} in --url",
        ),
        (
            &["publish", "--url=ws://127.0.0.1:1/"],
            "{channel} in --url",
        ),
        (
            &["fanout", "--channels=2", "--publish-channel=a"],
            "{channel} in --publish-channel",
        ),
        (
            &["fanout", "--channels=2", "--post=http://127.0.0.1:1/"],
            "{channel} in --post",
        ),
        (&["idle", "--url=ws://me:secret@127.0.0.1/"], "has a user"),
    ] {
        let run = run(&[&["bench"], arguments].concat());
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{run:?}");
        assert!(run.stderr.contains(says), "{says}: {run:?}");
    }
}

#[test]
fn the_verdict_stands_if_nobody_reads_the_table() {
    let enemy = echo(|_, message| vec![frame(0x81, message); 2]);
    let url = format!("ws://{enemy}/");
    let arguments = [
        "bench",
        "publish",
        "--connections=1",
        "--warm-up=0s",
        "--duration=100ms",
        "--url",
        &url,
    ];
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let run = finish(command(&arguments).stdout(writer).output().unwrap());
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
}
