//! The gateway as a process: its listeners, its answers to what is no handshake, its way of going down.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::gateway::Gateway;
use crate::support::http;
use crate::support::redis::Redis;
use crate::support::stream::Stream;
use crate::support::wait::{self, PATIENCE};

#[test]
fn a_unix_socket_has_the_mode_asked_for_replaces_a_stale_one_and_is_removed_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.sock");
    // What a killed process leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let listen = format!("unix:{}?mode=0660", path.display());
    let mut gateway = Gateway::start_embedded(&["--listen", &listen]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    // Whoever may open the socket is trusted.
    let fields = [("X-Ws4redis-User", "john")];
    let mut client = gateway.client_with("f?subscribe-user", &fields).unwrap();
    gateway
        .embedded_redis()
        .call(&["PUBLISH", "user:john:f", "for john"]);
    client.expect("for john");

    let second = Gateway::refused(&["--embedded=127.0.0.1:0", "--listen", &listen]);
    assert!(second.contains("another process listens on it"), "{second}");

    gateway.terminate();
    assert!(gateway.end(PATIENCE).success());
    assert!(!path.exists());
}

#[test]
fn what_is_no_handshake_gets_a_clear_answer_a_log_line_and_a_count() {
    let gateway = Gateway::start_embedded(&[]);
    let long = format!(
        "GET /ws/f HTTP/1.1\r\nHost: h\r\nX-Long: {}",
        "x".repeat(9_000)
    );
    let upgrade =
        "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
    for (request, status, reason) in [
        (
            "GET /ws/f HTTP/1.1\r\nHost: h\r\n\r\n",
            426,
            "upgrade_required",
        ),
        ("POST /ws/f HTTP/1.1\r\nHost: h\r\n\r\n", 405, "method"),
        (
            "GET /elsewhere HTTP/1.1\r\nHost: h\r\n\r\n",
            404,
            "not_found",
        ),
        (
            "\x16\x03\x01\x02garbage of a TLS client\r\n\r\n",
            400,
            "malformed",
        ),
        (long.as_str(), 431, "head_too_large"),
        (
            &format!("GET /ws/f HTTP/1.1\r\n{upgrade}\r\n"),
            400,
            "no_key",
        ),
        (
            &format!(
                "GET /ws/%0d%0a HTTP/1.1\r\n{upgrade}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ),
            400,
            "bad_facility",
        ),
        (
            &format!(
                "GET /ws/f HTTP/1.1\r\n{upgrade}Origin: https://evil.example\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            ),
            403,
            "origin",
        ),
    ] {
        let answer = http::request(&gateway.address(), request).unwrap();
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.body.lines().count(), 1, "{}", answer.body);
        let metric = format!("ws4redis_refusals_total{{reason=\"{reason}\"}}");
        wait::until(&metric, || {
            (gateway.metric(&metric) == Some(1.0)).then_some(())
        });
        wait::until("the log has a line", || {
            let lines = gateway.log_text();
            (lines.matches(&format!("\"{reason}\"")).count() == 1).then_some(())
        });
    }
    // Nobody else was disturbed.
    let mut client = gateway.client("f?subscribe-broadcast&publish-broadcast&echo");
    client.send("still here");
    client.expect("still here");
}

#[test]
fn a_frame_that_breaks_the_protocol_closes_its_own_session_with_the_code_that_fits() {
    let gateway = Gateway::start_embedded(&["--message-bytes-max", "1KiB"]);
    let mut witness = gateway.client("f?subscribe-broadcast");
    for (bytes, code) in [
        (&b"\x81\x02hi"[..], 1002),                    // unmasked
        (b"\xc1\x80\0\0\0\0", 1002),                   // RSV1
        (b"\x83\x80\0\0\0\0", 1002),                   // reserved opcode
        (b"\x80\x80\0\0\0\0", 1002),                   // continuation of nothing
        (b"\x81\x82\0\0\0\0\xff\xff", 1007),           // not UTF-8
        (b"\x82\xff\0\0\x01\0\0\0\0\0\0\0\0\0", 1009), // announces a terabyte
    ] {
        let mut client = gateway.client("f?publish-broadcast");
        client.stream().write_all(bytes).unwrap();
        assert_eq!(client.closed().0, code, "{}", bytes.escape_ascii());
    }
    gateway
        .embedded_redis()
        .call(&["PUBLISH", "broadcast:f", "undisturbed"]);
    witness.expect("undisturbed");
}

#[test]
fn a_client_that_never_reads_is_closed_and_the_others_get_everything_in_time() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &["--queue-bytes-max", "256KiB"]);
    let mut slow = gateway.client("f?subscribe-broadcast");
    let mut quick = gateway.client("f?subscribe-broadcast");
    let message = "x".repeat(8_000);
    let mut connection = redis.connect();
    let closed = "ws4redis_closes_total{reason=\"slow\"}";
    let mut sent = 0;
    while gateway.metric(closed) == Some(0.0) {
        assert!(sent < 5_000, "40 MB and the slow one is still there");
        for _ in 0..20 {
            connection.call(&["PUBLISH", "broadcast:f", &message]);
            quick.expect(&message);
            sent += 1;
        }
    }
    assert_eq!(gateway.metric("ws4redis_sessions"), Some(1.0));
    // What the slow one finds when it reads at last: whole frames, then the reason.
    assert_eq!(slow.closed(), (1013, "slow".to_owned()));
}

#[test]
fn sigterm_drains_clients_are_told_to_come_back_and_the_exit_code_is_0() {
    let redis = Redis::start();
    let mut gateway = Gateway::start(&redis, &["--drain-per-second", "100"]);
    let clients: Vec<_> = (0..60)
        .map(|_| gateway.client("f?subscribe-broadcast"))
        .collect();
    gateway.terminate();
    wait::until("readiness is false", || (!gateway.is_ready()).then_some(()));
    let refused = gateway.client_with("f", &[]).unwrap_err();
    assert_eq!(
        (refused.status, refused.retry_after.as_deref()),
        (503, Some("2"))
    );
    for mut client in clients {
        assert_eq!(client.closed(), (1012, "drain".to_owned()));
        client.gone();
    }
    assert!(gateway.end(PATIENCE).success());
}

#[test]
fn a_connection_on_which_nothing_was_said_does_not_hold_up_the_end() {
    let mut gateway =
        Gateway::start_embedded(&["--handshake-timeout", "60s", "--drain-timeout", "60s"]);
    // As browsers do: they connect ahead of need.
    let mut ahead = Stream::connect(&gateway.address()).unwrap();
    let connections = "ws4redis_connections";
    wait::until("it is accepted", || {
        (gateway.metric(connections) == Some(1.0)).then_some(())
    });
    gateway.terminate();
    let mut answer = String::new();
    ahead.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "");
    assert!(gateway.end(Duration::from_secs(10)).success());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut gateway =
        Gateway::start_embedded(&["--drain-per-second", "1", "--drain-timeout", "60s"]);
    let _clients: Vec<_> = (0..200).map(|_| gateway.client("f")).collect();
    gateway.terminate();
    wait::until("it drains", || {
        gateway.log_text().contains("draining").then_some(())
    });
    gateway.signal(Signal::INT);
    gateway.end(Duration::from_secs(5));
}

#[test]
fn clients_that_vanish_leave_nothing_behind() {
    let gateway = Gateway::start_embedded(&[]);
    for n in 0..50 {
        let mut client = gateway.client(&format!("{n}?subscribe-broadcast"));
        if n % 2 == 0 {
            client.stream().write_all(b"\x81\xfe").unwrap();
        }
    }
    for name in [
        "ws4redis_sessions",
        "ws4redis_connections",
        "ws4redis_channels",
        "ws4redis_partial_bytes",
    ] {
        wait::until(name, || (gateway.metric(name) == Some(0.0)).then_some(()));
    }
}

#[test]
fn more_connections_than_descriptors_are_told_so_and_the_others_live_on() {
    let gateway = Gateway::start_with_descriptors(330, &[]);
    assert!(gateway.log_text().contains("fewer sessions than asked for"));
    let mut first = gateway.client("f?subscribe-broadcast");
    let mut answers = Vec::new();
    let mut held = Vec::new();
    for _ in 0..400 {
        let mut stream = Stream::connect(&gateway.address()).unwrap();
        let request = "GET /ws/f HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        // Who was turned away already may find the connection closed.
        if stream.write_all(request.as_bytes()).is_err() {
            answers.push("closed".to_owned());
            continue;
        }
        let mut answer = [0; 12];
        match stream.read_exact(&mut answer) {
            Ok(()) => answers.push(String::from_utf8_lossy(&answer).into_owned()),
            Err(_) => answers.push("closed".to_owned()),
        }
        held.push(stream);
    }
    assert!(answers.iter().any(|answer| answer == "HTTP/1.1 101"));
    assert!(
        answers.iter().any(|answer| answer == "HTTP/1.1 503"),
        "{answers:?}"
    );
    drop(held);
    wait::until("the places are free again", || {
        (gateway.metric("ws4redis_sessions") == Some(1.0)).then_some(())
    });
    gateway.client("f?publish-broadcast").send("after the rush");
    first.expect("after the rush");
}

#[test]
fn the_log_holds_no_cookie_no_query_and_no_message_at_any_level() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &["--log", "trace", "--trusted", "127.0.0.1/32"]);
    let page = format!("http://{}", gateway.address());
    let fields = [
        ("Origin", page.as_str()),
        ("Cookie", "sessionid=verysecretcookie"),
        ("Authorization", "Bearer verysecrettoken"),
        ("X-Ws4redis-User", "verysecretuser"),
    ];
    let flags = "f?subscribe-broadcast&publish-broadcast&echo&verysecretquery=1";
    let mut client = gateway.client_with(flags, &fields).unwrap();
    client.send("verysecretmessage");
    client.expect("verysecretmessage");
    client.close();
    wait::until("the end is logged", || {
        gateway.log_text().contains("session closed").then_some(())
    });
    assert!(
        !gateway.log_text().contains("verysecret"),
        "{}",
        gateway.log_text()
    );
}

#[test]
fn the_operator_finds_health_readiness_and_metrics_and_clients_do_not() {
    let gateway = Gateway::start_embedded(&[]);
    for (path, body) in [("/healthz", "alive\n"), ("/readyz", "ready\n")] {
        let answer = http::get(&gateway.admin(), path).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, body));
    }
    let metrics = http::get(&gateway.admin(), "/metrics").unwrap();
    for name in [
        "sessions",
        "channels",
        "messages_in",
        "deliveries",
        "sent_bytes",
        "queued_bytes",
        "closes",
        "refusals",
        "link_up",
        "canary_delay_seconds",
        "publish_queue",
    ] {
        assert!(
            metrics.body.contains(&format!("# TYPE ws4redis_{name} ")),
            "{name}"
        );
    }
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(http::get(&gateway.address(), path).unwrap().status, 404);
    }
}
