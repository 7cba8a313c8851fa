//! Strangers at the door, bursts from Redis, and a Redis that is none: the others must not pay for them.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use crate::support::gateway::Gateway;
use crate::support::redis::Redis;
use crate::support::resp::Reply;
use crate::support::stream::Stream;
use crate::support::wait::{self, Deadline};

#[test]
fn a_burst_for_many_fast_readers_makes_slow_readers_of_none() {
    const MESSAGES: usize = 3_000;
    let redis = Redis::start();
    // Were it queued before any of it is written, the places in the queues alone would take 6 MB.
    let budget = ["--queue-bytes-max", "1MiB", "--budget-bytes-max", "5MiB"];
    let gateway = Gateway::start(&redis, &budget);
    let mut clients: Vec<_> = (0..250)
        .map(|_| gateway.client("burst?subscribe-broadcast"))
        .collect();
    let mut speaker = redis.connect();
    let burst = (0..MESSAGES).map(|n| {
        let n = n.to_string();
        [b"PUBLISH".to_vec(), b"broadcast:burst".to_vec(), n.into()]
    });
    let burst: Vec<_> = burst.collect();
    speaker.send_all(burst.iter().map(|words| &words[..]));
    for _ in 0..MESSAGES {
        assert_eq!(speaker.reply(), Reply::Integer(1));
    }
    for client in &mut clients {
        for n in 0..MESSAGES {
            client.expect(&n.to_string());
        }
    }
    assert_eq!(slow(&gateway), 0.0);
}

#[test]
fn messages_that_are_never_ended_cost_those_who_began_them_and_nobody_else() {
    let gateway = Gateway::start_embedded(&["--budget-bytes-max", "4MiB"]);
    let mut others: Vec<_> = (0..10)
        .map(|_| gateway.client("news?subscribe-broadcast"))
        .collect();
    // A frame that announces 60,000 bytes and lacks the last one: nearly the whole budget in all.
    let mut begun = vec![0x82, 0x80 | 126];
    begun.extend(60_000_u16.to_be_bytes());
    begun.extend([0; 4 + 59_999]);
    let mut strangers: Vec<_> = (0..69).map(|_| gateway.client("f")).collect();
    for stranger in &mut strangers {
        stranger.stream().write_all(&begun).unwrap();
    }
    // A quarter of the budget is for what is half received: 17 of them, and the others are closed.
    wait::until("their part of the budget is used up", || {
        (slow(&gateway) == 52.0).then_some(())
    });
    assert!(gateway.metric("ws4redis_partial_bytes").unwrap() <= f64::from(1 << 20));
    let news = ["x".repeat(60_000), "y".repeat(60_000)];
    let mut speaker = gateway.embedded_redis();
    let both = news
        .each_ref()
        .map(|text| ["PUBLISH", "broadcast:news", text]);
    // In one write, so that the first waits for the others when room is made for the second.
    speaker.send_all(both.iter().map(|words| &words[..]));
    for other in &mut others {
        other.expect(&news[0]);
        other.expect(&news[1]);
    }
}

#[test]
fn what_waited_for_those_who_were_closed_is_held_by_nobody() {
    let gateway = Gateway::start_embedded(&["--close-timeout", "1s"]);
    let readers = (0..50).map(|_| gateway.client("large?subscribe-broadcast"));
    let readers: Vec<_> = readers.collect();
    let mut speaker = gateway.embedded_redis();
    // More than the kernel takes for one who never reads; twice, and the second is one too many.
    let large = "x".repeat(8 << 20);
    for _ in 0..2 {
        speaker.call(&["PUBLISH", "broadcast:large", &large]);
    }
    wait::until("all are closed", || (slow(&gateway) == 50.0).then_some(()));
    let held = gateway.metric("ws4redis_queued_bytes").unwrap();
    assert!(held < 20e6, "a frame counts once, not for each: {held}");
    wait::until("nothing is held", || {
        (gateway.metric("ws4redis_queued_bytes") == Some(0.0)).then_some(())
    });
    drop(readers);
}

#[test]
fn the_way_to_redis_has_a_descriptor_whoever_takes_the_others() {
    let mut redis = Redis::start();
    // Those who say nothing must stay for the whole of the test.
    let arguments = ["--redis", &redis.tcp_url(), "--handshake-timeout", "5m"];
    let gateway = Gateway::launch_with_descriptors(330, &arguments);
    gateway.wait_ready();
    let mut session = gateway.client("f?subscribe-broadcast");
    let stranger = || Stream::connect(&gateway.address()).unwrap();
    let _strangers: Vec<_> = (0..400).map(|_| stranger()).collect();
    redis.kill();
    wait::until("the operator sees that it is gone", || {
        (gateway.metric("ws4redis_link_up") == Some(0.0)).then_some(())
    });
    // More come, and one of them may have what the link had.
    let full = || gateway.metric("ws4redis_refusals_total{reason=\"full\"}");
    let before = full().unwrap();
    let _more: Vec<_> = (0..20).map(|_| stranger()).collect();
    wait::until("they are turned away", || {
        (full()? > before + 15.0).then_some(())
    });
    redis.restart();
    wait::until("the link is back", || {
        redis.has_subscriber("broadcast:f").then_some(())
    });
    redis.publish("broadcast:f", "still here");
    session.expect("still here");
}

#[test]
fn a_redis_that_greets_and_hangs_up_is_tried_less_and_less_often() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let gateway = Gateway::launch(&["--redis", &format!("redis://127.0.0.1:{port}")]);
    // The waits of seven tries are 1.6 s at least; thirty times a second they would be over in a quarter of one.
    let at_best = Deadline::after(Duration::from_millis(1_200));
    for _ in 0..8 {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 100]).unwrap();
        stream
            .write_all(b"%1\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n+OK\r\n")
            .unwrap();
    }
    assert!(at_best.left().is_none(), "it came back too soon");
    assert!(!gateway.is_ready());
}

/// How many sessions were closed for reading too slowly.
fn slow(gateway: &Gateway) -> f64 {
    let closes = gateway.metric("ws4redis_closes_total{reason=\"slow\"}");
    closes.unwrap()
}
