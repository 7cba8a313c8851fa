//! Who is it, and what may they.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ws4redis::config::Origins;
use ws4redis::peer::From;
use ws4redis::{Config, channel};

use crate::world::client::Request;
use crate::world::{HERE, World};

const ALL: &str = "/ws/f?subscribe-broadcast&subscribe-user&subscribe-group&subscribe-session";

/// Which channels such a request gets.
fn channels(
    from: From,
    change: impl FnOnce(&mut Config),
    request: &Request,
) -> Result<Vec<String>, u16> {
    let mut world = World::new(change);
    let who = world.ask(from, request);
    world.run();
    match world.clients[who].status() {
        Some(101) => Ok(world.redis.heard().into_iter().collect()),
        status => Err(status.unwrap()),
    }
}

fn named() -> Request {
    Request::to(ALL)
        .with("X-Ws4redis-User", "j%C3%B6hn")
        .with("X-Ws4redis-Groups", "staff, chat%2Cters")
        .with("X-Ws4redis-Session", "k3y")
}

fn trusting(config: &mut Config) {
    config.trusted = vec!["192.0.2.0/24".parse().unwrap()];
}

#[test]
fn identity_headers_are_believed_from_unix_sockets_and_listed_peers_and_nobody_else() {
    let all = [
        "broadcast:f",
        "group:chat,ters:f",
        "group:staff:f",
        "session:k3y:f",
        "user:jöhn:f",
    ];
    assert_eq!(channels(From::Unix, |_| {}, &named()).unwrap(), all);
    assert_eq!(channels(HERE, trusting, &named()).unwrap(), all);
    let mapped = Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped();
    assert_eq!(
        channels(From::Ip(mapped.into()), trusting, &named()).unwrap(),
        all
    );
    assert_eq!(channels(HERE, |_| {}, &named()).unwrap(), ["broadcast:f"]);
    let elsewhere = From::Ip(IpAddr::V6(Ipv6Addr::LOCALHOST));
    assert_eq!(
        channels(elsewhere, trusting, &named()).unwrap(),
        ["broadcast:f"]
    );
}

#[test]
fn an_identity_header_that_stands_twice_is_refused_from_the_trusted_and_ignored_from_others() {
    for name in ["X-Ws4redis-User", "x-ws4redis-groups", "X-WS4REDIS-SESSION"] {
        let twice = named().with(name, "other");
        assert_eq!(channels(From::Unix, |_| {}, &twice), Err(400));
        assert_eq!(channels(HERE, |_| {}, &twice).unwrap(), ["broadcast:f"]);
    }
}

#[test]
fn an_identity_with_control_characters_is_refused_and_an_empty_one_is_none() {
    let bad = Request::to(ALL).with("X-Ws4redis-User", "a%0Ab");
    assert_eq!(channels(From::Unix, |_| {}, &bad), Err(400));
    let none = Request::to(ALL)
        .with("X-Ws4redis-User", "")
        .with("X-Ws4redis-Groups", " , ")
        .with("X-Ws4redis-Session", "");
    assert_eq!(
        channels(From::Unix, |_| {}, &none).unwrap(),
        ["broadcast:f"]
    );
}

#[test]
fn the_session_key_is_the_cookie_of_the_configured_name() {
    let request = Request::to(ALL).cookie("a=b; sessionid=k1; sid=k2");
    let heard = channels(HERE, |_| {}, &request).unwrap();
    assert_eq!(heard, ["broadcast:f", "session:k1:f"]);
    let change = |config: &mut Config| config.session_cookie = "sid".to_owned();
    let heard = channels(HERE, change, &request).unwrap();
    assert_eq!(heard, ["broadcast:f", "session:k2:f"]);
    // A trusted peer knows better than the cookie.
    let request = request.with("X-Ws4redis-Session", "k3");
    let heard = channels(From::Unix, |_| {}, &request).unwrap();
    assert_eq!(heard, ["broadcast:f", "session:k3:f"]);
}

#[test]
fn the_facility_is_decoded_once_and_the_prefix_stands_before_everything() {
    let change = |config: &mut Config| config.prefix = "site".to_owned();
    let request = Request::to("/ws/a%2Fb%2520c/d?subscribe-broadcast");
    let heard = channels(HERE, change, &request).unwrap();
    assert_eq!(heard, [channel::broadcast("site", "a/b%20c/d")]);
}

#[test]
fn flags_are_names_in_any_case_and_unknown_ones_are_nothing() {
    let request = Request::to("/ws/f?Subscribe-BROADCAST=no&x&=&&%20subscribe-session%20=1");
    let request = request.cookie("sessionid=k");
    let heard = channels(HERE, |_| {}, &request).unwrap();
    assert_eq!(heard, ["broadcast:f", "session:k:f"]);
    let heard = channels(HERE, |_| {}, &Request::to("/ws/f?subscribe")).unwrap();
    assert!(heard.is_empty());
}

#[test]
fn pages_of_other_hosts_may_not_connect_unless_they_are_listed() {
    let from = |origin: &str| Request::to("/ws/f").with("Origin", origin);
    let any = |config: &mut Config| config.origins = Origins::Any;
    let listed = |config: &mut Config| {
        config.origins = Origins::Listed(vec!["https://app.example".to_owned()]);
    };
    assert!(channels(HERE, |_| {}, &from("https://example.com")).is_ok());
    assert!(channels(HERE, |_| {}, &Request::to("/ws/f")).is_ok());
    for origin in [
        "https://evil.example",
        "null",
        "https://example.com.evil.example",
        "",
    ] {
        assert_eq!(channels(HERE, |_| {}, &from(origin)), Err(403), "{origin}");
        assert_eq!(channels(HERE, listed, &from(origin)), Err(403), "{origin}");
        assert!(channels(HERE, any, &from(origin)).is_ok());
    }
    assert!(channels(HERE, listed, &from("https://app.example")).is_ok());
    assert_eq!(
        channels(HERE, listed, &from("https://example.com")),
        Err(403)
    );
    let twice = from("https://example.com").with("Origin", "https://example.com");
    assert_eq!(channels(HERE, |_| {}, &twice), Err(400));
}

#[test]
fn sessions_of_one_address_are_counted_until_they_end() {
    let mut world = World::new(|config| {
        config.limits.sessions_per_address_max = 2;
        config.trusted = vec!["198.51.100.0/24".parse().unwrap()];
    });
    let request = Request::to("/ws/f?subscribe-broadcast");
    let status = |world: &mut World, from: From| {
        let who = world.ask(from, &request);
        world.run();
        (who, world.clients[who].status())
    };
    let (ann, _) = status(&mut world, HERE);
    let (bob, _) = status(&mut world, HERE);
    assert_eq!(status(&mut world, HERE).1, Some(429));
    // The same address, as a dual-stack listener sees it.
    let mapped = Ipv4Addr::new(192, 0, 2, 7).to_ipv6_mapped();
    assert_eq!(status(&mut world, From::Ip(mapped.into())).1, Some(429));
    let proxy = From::Ip(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)));
    for _ in 0..5 {
        assert_eq!(status(&mut world, proxy).1, Some(101));
        assert_eq!(status(&mut world, From::Unix).1, Some(101));
    }
    world.clients[ann].reset();
    world.clients[bob].say_close(None);
    world.run();
    assert_eq!(status(&mut world, HERE).1, Some(101));
    assert_eq!(status(&mut world, HERE).1, Some(101));
    assert_eq!(status(&mut world, HERE).1, Some(429));
}

#[test]
fn who_is_refused_or_gives_up_before_its_101_does_not_count() {
    let mut world = World::new(|config| config.limits.sessions_per_address_max = 1);
    world.redis.mood.stalls = true;
    let ann = world.connect("/ws/f?subscribe-broadcast");
    world.run();
    world.clients[ann].reset();
    world.run();
    world.redis.mood.stalls = false;
    world.redis.mood.denied.insert("broadcast:f".to_owned());
    let bob = world.connect("/ws/f?subscribe-broadcast");
    world.run();
    assert_eq!(world.clients[bob].status(), Some(503));
    world.redis.mood.denied.clear();
    world.join("/ws/f?subscribe-broadcast");
}
