//! An application that knows everybody, and says so at once: what the callback costs the gateway, not its answer.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

const BODY: &str = r#"{"user":"john"}"#;

/// Answers on a port of the system's choice, which it returns.
pub(crate) fn on_tcp() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || answer(stream));
        }
    });
    port
}

/// Answers on a unix socket.
pub(crate) fn on_unix(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
}

/// One question after the other, until the gateway hangs up. There are no more of these than `connections_max`.
fn answer(mut stream: impl Read + Write) {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let mut heard = Vec::new();
    let mut bytes = [0; 4_096];
    while let Ok(n @ 1..) = stream.read(&mut bytes) {
        heard.extend_from_slice(&bytes[..n]);
        if heard.ends_with(b"\r\n\r\n") {
            heard.clear();
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}
