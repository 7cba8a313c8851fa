//! The package that we succeed, django-websocket-redis 0.6.0 from PyPI, as publisher and in the page: no line of it
//! changed.

use std::path::PathBuf;
use std::process::Command;

use crate::support::browser::Browser;
use crate::support::gateway::{Gateway, free_address};
use crate::support::python;
use crate::support::redis::Redis;
use crate::support::wait::PATIENCE;

#[test]
fn its_publisher_reaches_clients_of_every_audience() {
    let redis = Redis::start();
    let arguments = [
        "--trusted",
        "127.0.0.1/32",
        "--prefix",
        "site",
        "--heartbeat",
        "--beat--",
    ];
    let gateway = Gateway::start(&redis, &arguments);
    let page = format!("http://{}", gateway.address());
    let john = [
        ("Origin", page.as_str()),
        ("X-Ws4redis-User", "john"),
        ("X-Ws4redis-Groups", "staff"),
        ("Cookie", "sessionid=abcdefgh"),
    ];
    let flags = "f?subscribe-broadcast&subscribe-user&subscribe-group&subscribe-session";
    let mut client = gateway.client_with(flags, &john).unwrap();
    let channels = python::run(
        "publish_original.py",
        &[
            "--unix-socket",
            redis.socket(),
            "--prefix",
            "site",
            "--facility",
            "f",
            "--broadcast",
            "--user",
            "john",
            "--group",
            "staff",
            "--session",
            "abcdefgh",
            "hello",
        ],
    );
    assert_eq!(
        channels,
        [
            "site:broadcast:f",
            "site:group:staff:f",
            "site:session:abcdefgh:f",
            "site:user:john:f"
        ]
    );
    let mut heard = 0;
    while heard < 4 {
        match client.text().as_str() {
            "--beat--" => {}
            "hello" => heard += 1,
            other => panic!("{other}"),
        }
    }
}

#[test]
fn what_it_persisted_is_sent_on_connect_and_its_last_word_is_what_a_client_ends_up_with() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let words: Vec<String> = (0..200).map(|n| format!("state {n}")).collect();
    let mut arguments = vec![
        "--unix-socket",
        redis.socket(),
        "--facility",
        "f",
        "--broadcast",
    ];
    arguments.extend(words.iter().map(String::as_str));
    let mut publisher = python::start("publish_original.py", &arguments);
    // Clients arrive while it says PUBLISH, then SETEX, 200 times; whatever of it each one hears is in order and
    // ends with the newest.
    let mut clients = Vec::new();
    while publisher.ended().is_none() {
        clients.push(gateway.client("f?subscribe-broadcast"));
    }
    clients.push(gateway.client("f?subscribe-broadcast"));
    for client in &mut clients {
        let mut last = None;
        while last != Some(199) {
            let text = client.text();
            let n: i32 = text.strip_prefix("state ").unwrap().parse().unwrap();
            assert!(last.is_none_or(|last| n > last), "{n} after {last:?}");
            last = Some(n);
        }
    }
}

#[test]
fn its_publisher_works_against_the_embedded_redis() {
    let gateway = Gateway::start_embedded(&[]);
    let mut client = gateway.client("f?subscribe-broadcast");
    let port = gateway.embedded().to_string();
    let port = port.rsplit(':').next().unwrap();
    python::run(
        "publish_original.py",
        &[
            "--port",
            port,
            "--facility",
            "f",
            "--broadcast",
            "to a very small Redis",
        ],
    );
    client.expect("to a very small Redis");
    gateway
        .client("f?subscribe-broadcast")
        .expect("to a very small Redis");
}

#[test]
fn pages_with_its_script_hear_speak_and_come_back_without_a_change() {
    let redis = Redis::start();
    let address = free_address().to_string();
    let arguments = ["--listen", &address, "--heartbeat=--beat--", "--playground"];
    let mut gateway = Gateway::start(&redis, &arguments);
    let mut other = gateway.client("f?subscribe-broadcast&subscribe-user");
    let mut browser = Browser::start();
    browser.open(&format!("http://{address}/"));
    for script in [
        "django.contrib.admin/static/admin/js/vendor/jquery/jquery.min.js",
        "ws4redis/static/js/ws4redis.js",
    ] {
        browser.evaluate(&std::fs::read_to_string(installed(script)).unwrap());
    }
    browser.evaluate(&format!(
        "var heard = [], opened = 0; var ws = WS4Redis({{
            uri: 'ws://{address}/ws/f?subscribe-broadcast&publish-broadcast&echo',
            connected: () => opened++, receive_message: (data) => heard.push(data), heartbeat_msg: '--beat--',
        }}, jQuery); 1"
    ));
    browser.wait("opened === 1 && ws.is_connected()");
    redis.publish("broadcast:f", "to the page");
    browser.wait("heard.join() === 'to the page'");
    browser.evaluate("ws.send_message('from the page'); 1");
    browser.wait("heard.join() === 'to the page,from the page'");
    let mut heard = std::iter::from_fn(|| Some(other.text())).filter(|text| text != "--beat--");
    assert_eq!(heard.next().unwrap(), "to the page");
    assert_eq!(heard.next().unwrap(), "from the page");

    gateway.terminate();
    gateway.end(PATIENCE);
    let _again = Gateway::start(&redis, &arguments);
    browser.wait("opened === 2 && ws.is_connected()");
    // What is kept is the last word.
    browser.wait("heard.join() === 'to the page,from the page,from the page'");
}

/// A file of a Python package in `.venv`.
fn installed(file: &str) -> PathBuf {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/.venv/bin/python");
    let package = file.split('/').next().unwrap();
    let ask = format!(
        "import importlib.util as u; print(u.find_spec('{package}').submodule_search_locations[0])"
    );
    let output = Command::new(python).args(["-c", &ask]).output().unwrap();
    let dir = String::from_utf8(output.stdout).unwrap();
    let rest = file.split_once('/').unwrap().1;
    PathBuf::from(dir.trim_end()).join(rest)
}
