//! A real redis-server is killed, emptied, stopped and cut off under open sessions, which must not notice more
//! than silence.

use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::redis::Redis;
use crate::support::resp::Reply;
use crate::support::wait;

#[test]
fn clients_outlive_a_killed_redis_and_hear_the_next_one() {
    let mut redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let mut clients: Vec<_> = (0..200)
        .map(|n| gateway.client(&format!("room/{}?subscribe-broadcast", n % 20)))
        .collect();
    redis.kill();
    wait::until("the gateway is not ready", || {
        (!gateway.is_ready()).then_some(())
    });
    let refused = gateway
        .client_with("room/1?subscribe-broadcast", &[])
        .unwrap_err();
    assert_eq!(refused.status, 503);
    assert!(refused.retry_after.is_some());
    redis.restart();
    gateway.wait_ready();
    for room in 0..20 {
        let channel = format!("broadcast:room/{room}");
        wait::until("the channel is subscribed", || {
            redis.has_subscriber(&channel).then_some(())
        });
        redis.publish(&channel, "back");
    }
    for client in &mut clients {
        client.expect("back");
    }
    assert_eq!(gateway.metric("ws4redis_sessions"), Some(200.0));
    assert_eq!(gateway.metric("ws4redis_link_up"), Some(1.0));
}

#[test]
fn after_a_cut_each_client_gets_what_it_missed_and_only_that() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let atomically = |room: &str, text: &str| {
        let mut connection = redis.connect();
        connection.call(&["MULTI"]);
        connection.call(&["SETEX", room, "60", text]);
        connection.call(&["PUBLISH", room, text]);
        connection.call(&["EXEC"]);
    };
    atomically("broadcast:same", "same");
    atomically("broadcast:changed", "before");
    let mut same = gateway.client("same?subscribe-broadcast");
    let mut changed = gateway.client("changed?subscribe-broadcast");
    same.expect("same");
    changed.expect("before");
    // Cut off, and changed before the gateway is back: both in one script, so that it cannot come between.
    let cut = "redis.call('SETEX', 'broadcast:changed', 60, 'after')";
    let mut connection = redis.connect();
    connection.call(&["MULTI"]);
    connection.call(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    connection.call(&["EVAL", cut, "0"]);
    connection.call(&["EXEC"]);
    changed.expect("after");
    wait::until("the link is back", || {
        redis.has_subscriber("broadcast:same").then_some(())
    });
    same.expect_silence("live", redis.speaker("broadcast:same"));
    assert_eq!(gateway.metric("ws4redis_link_losses_total"), Some(1.0));
}

#[test]
fn a_stopped_redis_is_noticed_and_forgiven() {
    let redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    let mut client = gateway.client("f?subscribe-broadcast&publish-broadcast");
    let mut other = gateway.client("f?subscribe-broadcast");
    redis.pause();
    // The socket stays connected: only the canary can tell. Two seconds, and what a busy machine adds.
    wait::until_within(Duration::from_secs(4), "the stop is noticed", || {
        (!gateway.is_ready()).then_some(())
    });
    client.send("said during the outage");
    redis.resume();
    gateway.wait_ready();
    other.expect("said during the outage");
    let marker = redis.speaker("broadcast:f");
    other.expect_silence("once", marker);
}

#[test]
fn a_redis_that_came_back_empty_makes_nobody_hear_the_past_again() {
    let mut redis = Redis::start();
    let gateway = Gateway::start(&redis, &[]);
    redis.call(&["SET", "broadcast:f", "state"]);
    let mut client = gateway.client("f?subscribe-broadcast");
    client.expect("state");
    redis.restart();
    wait::until("the link is back", || {
        redis.has_subscriber("broadcast:f").then_some(())
    });
    client.expect_silence("new life", redis.speaker("broadcast:f"));
}

#[test]
fn a_gateway_without_redis_says_what_to_do_and_serves_when_it_comes() {
    let mut redis = Redis::start();
    redis.kill();
    let gateway = Gateway::launch(&["--redis", &redis.tcp_url()]);
    let advice = wait::until("the log tells", || {
        gateway
            .log_text()
            .lines()
            .find(|line| line.contains("no link to Redis"))
            .map(str::to_owned)
    });
    assert!(advice.contains("refused"), "{advice}");
    assert!(!gateway.is_ready());
    redis.restart();
    gateway.wait_ready();
    let mut client = gateway.client("f?subscribe-broadcast");
    redis.publish("broadcast:f", "here");
    client.expect("here");
}

#[test]
fn user_password_and_database_of_the_url_are_used_and_never_logged() {
    let redis = Redis::start_with(&["--requirepass", "s3cret pass"]);
    let url = format!("unix://{}?db=3&password=s3cret%20pass", redis.socket());
    let gateway = Gateway::launch(&["--redis", &url, "--log", "trace"]);
    gateway.wait_ready();
    let mut client = gateway.client("f?publish-broadcast&subscribe-broadcast&echo");
    client.send("in three");
    client.expect("in three");
    let mut connection = redis.connect();
    connection.call(&["AUTH", "s3cret pass"]);
    connection.call(&["SELECT", "3"]);
    assert_eq!(
        connection.call(&["GET", "broadcast:f"]),
        Reply::Bulk(b"in three".to_vec())
    );
    assert!(!gateway.log_text().contains("s3cret"));

    let wrong = Gateway::launch(&[
        "--redis",
        &format!("unix://{}?password=wrong1", redis.socket()),
    ]);
    wait::until("the log tells", || {
        wrong
            .log_text()
            .contains("check user and password")
            .then_some(())
    });
    assert!(!wrong.log_text().contains("wrong1"));
}
