//! The package that we succeed, django-websocket-redis 0.6.0 from PyPI, as publisher: no line of it changed.

use crate::support::gateway::Gateway;
use crate::support::python;
use crate::support::redis::Redis;

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
