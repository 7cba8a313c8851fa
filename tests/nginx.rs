//! Behind a real nginx, by the snippet of the README and the files of docs/nginx, word for word but for ports and
//! paths.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::client::{Client, Refused};
use crate::support::gateway::Gateway;
use crate::support::http;
use crate::support::nginx::Nginx;
use crate::support::python;
use crate::support::redis::{Redis, free_port};
use crate::support::stream::Address;
use crate::support::wait::{self, Deadline};

#[test]
fn clients_are_served_through_the_readmes_nginx_and_cannot_claim_to_be_somebody() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::start(&redis, &["--listen", &socket(dir.path(), "gateway")]);
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, snippet) = readme.split_once("```nginx\n").unwrap();
    let snippet = snippet.split("```").next().unwrap();
    let path = dir.path().display().to_string();
    let location = snippet.replace("/run/ws4redis/ws4redis", &format!("{path}/gateway"));
    let front = Address::Unix(dir.path().join("nginx.sock"));
    let site = format!("server {{ listen {front};\n{location}}}");
    let _nginx = Nginx::start(dir.path(), &site, &front);

    let fields = [
        ("X-Ws4redis-User", "root"),
        ("Origin", "http://localhost"),
        ("Cookie", "sessionid=k3y"),
    ];
    let flags = "/ws/f/%C3%A4%20b?subscribe-broadcast&subscribe-user&subscribe-session&publish-broadcast&echo";
    let mut client = Client::connect_with(&front, flags, &fields).unwrap();
    assert_eq!(redis.publish("broadcast:f/ä b", "through nginx"), 1);
    client.expect("through nginx");
    assert_eq!(redis.publish("user:root:f/ä b", "not for this one"), 0);
    assert_eq!(redis.publish("session:k3y:f/ä b", "for its session"), 1);
    client.expect("for its session");
    client.send("and back");
    client.expect("and back");

    let foreign = [("Origin", "https://evil.example")];
    let refused = Client::connect_with(&front, flags, &foreign).unwrap_err();
    assert_eq!(refused.status, 403);
    assert_eq!(gateway.metric("ws4redis_sessions"), Some(1.0));
}

/// One file of docs/nginx in a real nginx.
struct Site {
    front: SocketAddr,
    _nginx: Nginx,
}

impl Site {
    /// Starts it on a port that is free, with these words of the file replaced.
    fn start(dir: &Path, file: &str, replacements: &[(&str, &str)]) -> Site {
        let port = free_port();
        let mut text = fs::read_to_string(format!("docs/nginx/{file}")).unwrap();
        let listen = format!("listen 127.0.0.1:{port};");
        for (word, by) in [&[("listen 80;", listen.as_str())][..], replacements].concat() {
            assert!(text.contains(word), "{file} has no {word}");
            text = text.replace(word, by);
        }
        let front = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Site {
            front,
            _nginx: Nginx::start(dir, &text, &Address::Tcp(front)),
        }
    }

    fn address(&self) -> Address {
        Address::Tcp(self.front)
    }

    /// A page of this site connects.
    fn connect(&self, tail: &str, fields: &[(&str, &str)]) -> Result<Client, Refused> {
        let origin = format!("http://{}", self.front);
        let fields = [&[("Origin", origin.as_str())][..], fields].concat();
        Client::connect_with(&self.address(), &format!("/ws/{tail}"), &fields)
    }
}

/// `--listen` for a socket that nginx' workers may connect to.
fn socket(dir: &Path, name: &str) -> String {
    format!("unix:{}/{name}.sock?mode=0666", dir.display())
}

/// A gateway on a unix socket, and where nginx' file has to look for it.
fn gateway() -> (TempDir, Gateway, String) {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_embedded(&["--listen", &socket(dir.path(), "ws4redis")]);
    let run = dir.path().display().to_string();
    (dir, gateway, run)
}

/// It hears what is published, nobody believes who it says it is, and its address is the client's.
#[track_caller]
fn assert_serves(site: &Site, gateway: &Gateway) {
    let forged = [
        ("X-Ws4redis-User", "root"),
        ("X-Ws4redis-Groups", "staff"),
        ("X-Ws4redis-Session", "k3y"),
    ];
    let tail = "f?subscribe-broadcast&subscribe-user&subscribe-group&subscribe-session";
    let mut client = site.connect(tail, &forged).unwrap();
    let mut redis = gateway.embedded_redis();
    for channel in [
        "user:root:f",
        "group:staff:f",
        "session:k3y:f",
        "broadcast:f",
    ] {
        redis.call(&["PUBLISH", channel, channel]);
    }
    client.expect("broadcast:f");
    let foreign = [("Origin", "http://evil.example")];
    let refused = Client::connect_with(&site.address(), "/ws/f", &foreign).unwrap_err();
    assert_eq!(refused.status, 403);
    let line = wait::until("the refusal is logged", || {
        let log = gateway.log_text();
        log.lines()
            .find(|line| line.contains("evil.example"))
            .map(str::to_owned)
    });
    assert!(line.contains(r#""from":"127.0.0.1""#), "{line}");
}

#[test]
fn unix_conf_serves_its_own_pages() {
    let (dir, gateway, run) = gateway();
    let site = Site::start(dir.path(), "unix.conf", &[("/run/ws4redis", &run)]);
    assert_serves(&site, &gateway);
}

#[test]
fn plain_conf_serves_its_own_pages() {
    let dir = tempfile::tempdir().unwrap();
    let gateway = Gateway::start_embedded(&["--trusted", "127.0.0.1"]);
    let port = gateway.address().to_string();
    let site = Site::start(dir.path(), "plain.conf", &[("127.0.0.1:8000", &port)]);
    assert_serves(&site, &gateway);
}

#[test]
fn tls_conf_offers_http_2_to_pages_and_http_1_1_to_their_websockets() {
    let (dir, gateway, run) = gateway();
    let port = free_port();
    let listen = format!("listen 127.0.0.1:{port} ssl http2;");
    let mut openssl = Command::new("openssl");
    openssl.current_dir(dir.path()).args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
    ]);
    let made = openssl
        .output()
        .expect("openssl, which tests/setup.sh installs");
    assert!(made.status.success(), "{made:?}");
    let certificate = dir.path().join("cert.pem").display().to_string();
    let key = dir.path().join("key.pem").display().to_string();
    let replacements = [
        ("/run/ws4redis", run.as_str()),
        ("listen 443 ssl http2;", &listen),
        ("/etc/ssl/example.com.pem", &certificate),
        ("/etc/ssl/example.com.key", &key),
    ];
    let site = Site::start(dir.path(), "tls.conf", &replacements);
    let mut browser = python::start("through_tls.py", &[&port.to_string(), &certificate]);
    assert_eq!(browser.output.nth(0), "h2");
    assert_eq!(browser.output.nth(1), "no extended connect");
    assert_eq!(browser.output.nth(2), "http/1.1");
    gateway
        .embedded_redis()
        .call(&["PUBLISH", "broadcast:f", "by TLS"]);
    assert_eq!(browser.output.nth(3), "by TLS");
    assert!(browser.end(wait::PATIENCE).success());

    let plain = http::get(&site.address(), "/ws/f").unwrap();
    assert_eq!(plain.status, 301);
}

/// An application that knows `john` by his cookie, and sends the banned away.
fn application() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut heard, mut bytes) = (String::new(), [0; 4_096]);
            while !heard.ends_with("\r\n\r\n") {
                match stream.read(&mut bytes) {
                    Ok(n @ 1..) => heard += &String::from_utf8_lossy(&bytes[..n]),
                    _ => break,
                }
            }
            let answer = if heard.contains("sessionid=johns") {
                "204 No Content\r\nX-Ws4redis-User: john\r\nX-Ws4redis-Groups: a,b%2Cc"
            } else if heard.contains("sessionid=banned") {
                "403 Forbidden"
            } else {
                "204 No Content"
            };
            let _ = write!(stream, "HTTP/1.0 {answer}\r\nContent-Length: 0\r\n\r\n");
        }
    });
    port
}

#[test]
fn auth_request_conf_lets_the_application_say_who_it_is_and_nobody_else() {
    let (dir, gateway, run) = gateway();
    let application = format!("http://127.0.0.1:{}", application());
    let replacements = [
        ("/run/ws4redis", run.as_str()),
        ("http://127.0.0.1:8080", &application),
    ];
    let site = Site::start(dir.path(), "auth_request.conf", &replacements);
    assert_serves(&site, &gateway);

    let tail = "f?subscribe-user&subscribe-group&subscribe-broadcast";
    let fields = [("Cookie", "sessionid=johns"), ("X-Ws4redis-User", "root")];
    let mut john = site.connect(tail, &fields).unwrap();
    let mut redis = gateway.embedded_redis();
    for channel in ["user:root:f", "user:john:f", "group:a:f", "group:b,c:f"] {
        redis.call(&["PUBLISH", channel, channel]);
    }
    for channel in ["user:john:f", "group:a:f", "group:b,c:f"] {
        john.expect(channel);
    }
    let banned = site.connect(tail, &[("Cookie", "sessionid=banned")]);
    assert_eq!(banned.unwrap_err().status, 403);
    // The application's own address is nobody's business.
    assert_eq!(http::get(&site.address(), "/ws-auth").unwrap().status, 404);
}

#[test]
fn limit_conn_conf_counts_a_websocket_until_it_is_closed() {
    let (dir, _gateway, run) = gateway();
    let site = Site::start(dir.path(), "limit_conn.conf", &[("/run/ws4redis", &run)]);
    let connect = || site.connect("f?subscribe-broadcast", &[]);
    let mut clients: Vec<Client> = (0..20).map(|_| connect().unwrap()).collect();
    assert_eq!(connect().unwrap_err().status, 429);
    clients.pop().unwrap().close();
    wait::until("there is room again", || connect().ok());
}

#[test]
fn upstream_conf_spreads_clients_and_goes_round_a_gateway_that_drains() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let listen = [socket(dir.path(), "1"), socket(dir.path(), "2")];
    let [mut first, second] = listen.each_ref().map(|listen| {
        let arguments = [
            "--listen",
            listen,
            "--drain-per-second",
            "1",
            "--drain-timeout",
            "10s",
        ];
        Gateway::start(&redis, &arguments)
    });
    let run = dir.path().display().to_string();
    let site = Site::start(dir.path(), "upstream.conf", &[("/run/ws4redis", &run)]);
    let connect = || site.connect("f?subscribe-broadcast", &[]).unwrap();
    let mut clients: Vec<Client> = (0..8).map(|_| connect()).collect();
    for gateway in [&first, &second] {
        assert_eq!(gateway.metric("ws4redis_sessions"), Some(4.0));
    }
    assert_eq!(redis.publish("broadcast:f", "to both"), 2);
    clients
        .iter_mut()
        .for_each(|client| client.expect("to both"));

    first.terminate();
    wait::until("the first drains", || {
        first.log_text().contains("draining").then_some(())
    });
    clients.extend((0..4).map(|_| connect()));
    assert_eq!(second.metric("ws4redis_sessions"), Some(8.0));
    first.kill();
    connect();
}

#[test]
fn operator_conf_shows_readiness_to_the_monitor_and_nothing_to_others() {
    let (dir, gateway, run) = gateway();
    let admin = gateway.admin().to_string();
    let replacements = [("/run/ws4redis", run.as_str()), ("127.0.0.1:8001", &admin)];
    let site = Site::start(dir.path(), "operator.conf", &replacements);
    assert_serves(&site, &gateway);
    let status = |site: &Site, path| http::get(&site.address(), path).unwrap().status;
    assert_eq!(status(&site, "/readyz"), 200);
    for path in ["/healthz", "/metrics", "/readyz/"] {
        assert_eq!(status(&site, path), 404, "{path}");
    }
    let stranger = [&replacements[..], &[("allow 127.0.0.1;", "")]].concat();
    let other = tempfile::tempdir().unwrap();
    let site = Site::start(other.path(), "operator.conf", &stranger);
    assert_eq!(status(&site, "/readyz"), 403);
}

/// A line of the snippet gone, and what real nginx and the real gateway make of it. `tests/cli/nginx.rs` has what `check
/// --nginx` says of the same lines.
#[test]
fn each_line_of_the_snippet_is_needed() {
    let (_dir, _gateway, run) = gateway();
    let snippet = fs::read_to_string("docs/nginx/snippets/ws4redis.conf").unwrap();
    for (line, status) in [
        ("proxy_http_version 1.1;\n", 400),
        ("proxy_set_header Upgrade $http_upgrade;\n", 426),
        ("proxy_set_header Connection \"upgrade\";\n", 426),
        ("proxy_set_header Host $http_host;\n", 403),
    ] {
        let dir = tempfile::tempdir().unwrap();
        assert!(snippet.contains(line), "{line}");
        fs::create_dir(dir.path().join("snippets")).unwrap();
        let file = dir.path().join("snippets/ws4redis.conf");
        fs::write(file, snippet.replace(line, "")).unwrap();
        let site = Site::start(dir.path(), "unix.conf", &[("/run/ws4redis", &run)]);
        let refused = site.connect("f?subscribe-broadcast", &[]).unwrap_err();
        assert_eq!(refused.status, status, "{line}");
    }
}

#[test]
fn nginx_cuts_off_who_is_silent_for_longer_than_its_read_timeout_and_pings_prevent_it() {
    let dir = tempfile::tempdir().unwrap();
    let listen = socket(dir.path(), "ws4redis");
    let run = dir.path().display().to_string();
    let include = "include snippets/ws4redis.conf;";
    let short = format!("{include} proxy_read_timeout 1s;");
    let fragment = fs::read_to_string("docs/nginx/snippets/ws4redis.conf").unwrap();
    let without = fragment.replace("proxy_read_timeout 90s;", "");
    for (ping_interval, is_cut) in [("1h", true), ("200ms", false)] {
        let arguments = ["--listen", &listen, "--ping-interval", ping_interval];
        let gateway = Gateway::start_embedded(&arguments);
        fs::create_dir_all(dir.path().join("snippets")).unwrap();
        fs::write(dir.path().join("snippets/ws4redis.conf"), &without).unwrap();
        let replacements = [("/run/ws4redis", run.as_str()), (include, &short)];
        let site = Site::start(dir.path(), "unix.conf", &replacements);
        let mut client = site.connect("f?subscribe-broadcast", &[]).unwrap();
        if is_cut {
            client.gone();
            continue;
        }
        // It answers no ping in this time, and need not: what the gateway sends is enough.
        let passed = Deadline::after(Duration::from_millis(2_500));
        wait::until("more than two of nginx' timeouts are over", || {
            passed.left().is_none().then_some(())
        });
        let mut redis = gateway.embedded_redis();
        redis.call(&["PUBLISH", "broadcast:f", "still there"]);
        client.expect("still there");
    }
}
