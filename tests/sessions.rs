//! Sessions of real Django in one real Redis, messages in another: the one of the sessions is stopped, killed and
//! comes back, and only those notice who want in.

use std::thread;
use std::time::Duration;

use data_encoding::BASE64;
use serde_json::Value;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::http;
use crate::support::redis::Redis;
use crate::support::resp::Reply;
use crate::support::wait::{self, Deadline};

const TAIL: &str = "f?subscribe-user&subscribe-broadcast";

/// John's session as Django wrote it through this engine; returns the session key.
fn log_in(redis: &Redis, engine: &str, db: &str) -> String {
    let lines = include_str!("sessions.jsonl").lines();
    let mut sessions = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_johns = |stored: &Value| {
        stored["engine"] == engine && stored["name"].as_str().unwrap().starts_with("john")
    };
    let john = sessions.rfind(is_johns).unwrap();
    let text = |name: &str| john[name].as_str().unwrap();
    let raw = BASE64.decode(text("raw").as_bytes()).unwrap();
    let mut connection = redis.connect();
    connection.call(&["SELECT", db]);
    let set = connection.call(&[b"SET", text("key").as_bytes(), &raw]);
    assert_eq!(set, Reply::Simple("OK".to_owned()));
    text("session_key").to_owned()
}

/// A gateway with these two, and further arguments.
fn launch(messages: &Redis, sessions: &str, more: &[&str]) -> Gateway {
    let messages = messages.unix_url();
    let arguments = [
        "--redis",
        &messages,
        "--identity=django",
        "--django-redis",
        sessions,
        "--django-key-prefix=site",
        "--origin-required-with-cookie=off",
    ];
    Gateway::launch(&[&arguments[..], more].concat())
}

/// Asks to come in with a session; the status of the answer.
fn ask(gateway: &Gateway, key: &str) -> Result<Client, u16> {
    let cookie = format!("sessionid={key}");
    let asked = gateway.client_with(TAIL, &[("Cookie", &cookie)]);
    asked.map_err(|refused| refused.status)
}

/// What the gateway's connections to this Redis are, by their databases.
fn links(redis: &Redis) -> Vec<String> {
    let Reply::Bulk(list) = redis.call(&["CLIENT", "LIST"]) else {
        panic!("no list");
    };
    let list = String::from_utf8(list).unwrap();
    let ours = list.lines().filter(|line| line.contains(" name=ws4redis "));
    let db = |line: &str| {
        line.split(' ')
            .find(|field| field.starts_with("db="))
            .map(str::to_owned)
    };
    let mut dbs: Vec<String> = ours.filter_map(db).collect();
    dbs.sort_unstable();
    dbs
}

fn not_ready(gateway: &Gateway) -> Option<String> {
    let answer = http::get(&gateway.admin(), "/readyz").unwrap();
    (answer.status == 503).then_some(answer.body)
}

#[test]
fn sessions_of_each_engine_are_found_in_a_redis_of_their_own_with_its_password_and_database() {
    let messages = Redis::start();
    let sessions = Redis::start();
    for (engine, name) in [
        ("RedisSessions", "redis_sessions"),
        ("Cache", "cache"),
        ("CachedDb", "cached_db"),
    ] {
        let key = log_in(&sessions, engine, "3");
        sessions.call(&[
            "ACL",
            "SETUSER",
            "reader",
            "on",
            ">s3cret",
            "+select",
            "+get",
            "+ping",
            "+client|setname",
            "~site:*",
        ]);
        let url = format!("unix://reader:s3cret@{}?db=3", sessions.socket());
        let engine = format!("--django-engine={name}");
        let gateway = launch(&messages, &url, &[&engine, "--log=trace"]);
        gateway.wait_ready();
        let mut john = ask(&gateway, &key).unwrap();
        assert_eq!(messages.publish("user:john:f", "hello"), 1);
        john.expect("hello");
        wait::until("it has one connection, to that database", || {
            (links(&sessions) == ["db=3"]).then_some(())
        });
        assert!(!gateway.log_text().contains("s3cret"));
    }
    assert_eq!(
        sessions.call(&["PUBSUB", "CHANNELS", "*"]),
        Reply::Array(Vec::new())
    );
    assert_eq!(messages.call(&["DBSIZE"]), Reply::Integer(0));
}

#[test]
fn the_same_redis_and_database_have_one_connection_and_another_database_has_its_own() {
    let redis = Redis::start();
    for (db, expected) in [("0", &["db=0"][..]), ("2", &["db=0", "db=2"])] {
        let key = log_in(&redis, "RedisSessions", db);
        let gateway = launch(&redis, &format!("{}?db={db}", redis.unix_url()), &[]);
        gateway.wait_ready();
        assert_eq!(links(&redis), expected);
        let mut john = ask(&gateway, &key).unwrap();
        redis.publish("user:john:f", db);
        john.expect(db);
        assert_eq!(links(&redis), expected);
        drop(gateway);
        wait::until("the connections are gone", || {
            links(&redis).is_empty().then_some(())
        });
    }
}

#[test]
fn who_waits_on_a_stopped_redis_of_sessions_is_refused_soon_and_others_notice_nothing() {
    let messages = Redis::start();
    let sessions = Redis::start();
    let key = log_in(&sessions, "RedisSessions", "0");
    let gateway = launch(&messages, &sessions.unix_url(), &[]);
    gateway.wait_ready();
    let mut early = ask(&gateway, &key).unwrap();
    sessions.pause();
    // Two seconds, and what a busy machine adds; the handshake's own deadline is ten.
    let soon = Deadline::after(Duration::from_secs(5));
    thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| assert_eq!(ask(&gateway, &key).map(|_| ()), Err(503)));
        }
    });
    assert!(soon.left().is_some(), "they waited too long");
    let why = wait::until("it is not ready", || not_ready(&gateway));
    assert_eq!(
        why,
        "not ready: no proven link to the Redis of Django's sessions\n"
    );
    assert_eq!(gateway.metric("ws4redis_django_link_up"), Some(0.0));
    assert_eq!(gateway.metric("ws4redis_link_up"), Some(1.0));
    assert!(
        gateway
            .log_text()
            .contains("no link to the Redis of Django's sessions: two probes")
    );
    // Whoever is in goes on, and who has no session comes in.
    let mut nobody = gateway.client("f?subscribe-broadcast");
    messages.publish("broadcast:f", "all the while");
    early.expect("all the while");
    nobody.expect("all the while");
    sessions.resume();
    gateway.wait_ready();
    let mut late = ask(&gateway, &key).unwrap();
    messages.publish("user:john:f", "back");
    late.expect("back");
}

#[test]
fn a_killed_redis_of_sessions_refuses_at_once_and_lets_in_when_it_is_back() {
    let messages = Redis::start();
    let mut sessions = Redis::start();
    let key = log_in(&sessions, "RedisSessions", "0");
    let gateway = launch(&messages, &sessions.tcp_url(), &[]);
    gateway.wait_ready();
    let mut early = ask(&gateway, &key).unwrap();
    sessions.kill();
    wait::until("it is not ready", || not_ready(&gateway));
    let soon = Deadline::after(Duration::from_secs(2));
    assert_eq!(ask(&gateway, &key).map(|_| ()), Err(503));
    assert!(soon.left().is_some(), "it waited");
    sessions.restart();
    gateway.wait_ready();
    // It is empty now: nobody is logged in, and that is no fault.
    let mut logged_out = ask(&gateway, &key).unwrap();
    log_in(&sessions, "RedisSessions", "0");
    let mut john = ask(&gateway, &key).unwrap();
    messages.publish("user:john:f", "to john");
    messages.publish("broadcast:f", "to all");
    john.expect("to john");
    john.expect("to all");
    early.expect("to john");
    logged_out.expect("to all");
    assert!(gateway.metric("ws4redis_django_link_losses_total") >= Some(1.0));
    assert_eq!(gateway.metric("ws4redis_link_losses_total"), Some(0.0));
}

#[test]
fn a_gateway_listens_and_says_what_is_missing_while_there_is_no_redis_of_sessions() {
    let messages = Redis::start();
    let mut sessions = Redis::start();
    sessions.kill();
    let gateway = launch(&messages, &sessions.tcp_url(), &[]);
    wait::until("the log tells", || {
        let log = gateway.log_text();
        let told = "no link to the Redis of Django's sessions: Connection refused";
        log.contains(told).then_some(())
    });
    let mut nobody = wait::until("the messages' link is up", || {
        gateway.client_with("f?subscribe-broadcast", &[]).ok()
    });
    messages.publish("broadcast:f", "hello");
    nobody.expect("hello");
    assert!(!gateway.is_ready());
    sessions.restart();
    gateway.wait_ready();
}
