//! The application is asked over real sockets, and a real clock dates tokens.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::support::gateway::Gateway;
use crate::support::wait;

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// Answers each question by the facility that it is about; one about `hang` never.
fn application(mut stream: impl Read + Write) {
    let mut heard = Vec::new();
    let mut bytes = [0; 4_096];
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        heard.extend_from_slice(&bytes[..n]);
        if !heard.ends_with(b"\r\n\r\n") {
            continue;
        }
        let asked = String::from_utf8(std::mem::take(&mut heard)).unwrap();
        let facility = |name: &str| asked.contains(&format!("X-Ws4redis-Facility: {name}\r\n"));
        let answer = if facility("hang") {
            continue;
        } else if facility("error") {
            "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
        } else if facility("no") {
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        } else if facility("cut") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{");
            return;
        } else if facility("john") {
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"user\": \r\n7\r\n\"john\"}\r\n0\r\n\r\n"
        } else {
            NO_CONTENT
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// An application on a port of its own, and how many connections it has taken.
fn serve() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&taken);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || application(stream));
        }
    });
    (port, taken)
}

fn asking(url: &str) -> Gateway {
    let arguments = [
        "--identity",
        "callback",
        "--callback-url",
        url,
        "--callback-timeout",
        "500ms",
    ];
    Gateway::start_embedded(&arguments)
}

#[test]
fn an_application_is_asked_and_its_no_its_errors_and_its_silence_are_told_apart() {
    let (port, taken) = serve();
    // By name, so that it is looked up.
    let gateway = asking(&format!("http://localhost:{port}/may"));
    for (facility, expected) in [
        ("yes", 101),
        ("no", 403),
        ("error", 503),
        ("cut", 503),
        ("hang", 503),
        ("yes", 101),
    ] {
        let got = match gateway.client_with(&format!("{facility}?subscribe-broadcast"), &[]) {
            Ok(_) => 101,
            Err(refused) => refused.status,
        };
        assert_eq!(got, expected, "{facility}");
    }
    let _john = gateway.client("john?subscribe-user");
    let heard = wait::until("john is heard of", || {
        gateway
            .metric("ws4redis_channels")
            .filter(|channels| *channels == 1.0)
    });
    assert_eq!(heard, 1.0);
    // Connections are used again, but for the two that were spoilt.
    assert!(taken.load(Ordering::SeqCst) <= 4);
    wait::until("the reasons are logged", || {
        let log = gateway.log_text();
        (log.contains("status 500") && log.contains("in time") && log.contains("says no"))
            .then_some(())
    });
}

#[test]
fn an_application_may_be_on_a_unix_socket_and_one_that_is_not_there_lets_nobody_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("app.sock");
    let gateway = asking(&format!("unix:{}:/may", path.display()));
    let refused = gateway.client_with("yes", &[]).unwrap_err();
    assert_eq!(refused.status, 503);
    let listener = UnixListener::bind(&path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || application(stream));
        }
    });
    wait::until("it is found", || gateway.client_with("yes", &[]).ok());
    assert_eq!(gateway.client_with("no", &[]).unwrap_err().status, 403);
}
