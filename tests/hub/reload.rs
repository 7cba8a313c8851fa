//! The configuration is read anew: who comes next meets it, and nobody who is there notices.

use ws4redis::Config;
use ws4redis::config::{
    DjangoEngine, JwtAlgorithm, KeyMaterial, Origins, RedisAddress, Require, Rule, Source,
};
use ws4redis::report::{ReloadReport, Report};

use super::identity::{KEY, bears, said, token, with_tokens};
use crate::world::application::answer;
use crate::world::client::Request;
use crate::world::{HERE, Who, World, ms};

const TARGET: &str = "/ws/f?subscribe-broadcast&subscribe-user&publish-broadcast";
const OTHER_KEY: &str = "another key, of thirty-two bytes and more";

/// The defaults with this change are what was read.
fn reload(world: &mut World, change: impl FnOnce(&mut Config)) {
    let mut config = Config::default();
    change(&mut config);
    world.hub.reload(world.now, Ok(config));
    world.run();
}

fn status(world: &mut World, request: &Request) -> u16 {
    let who = world.ask(HERE, request);
    world.run();
    world.clients[who].status().unwrap()
}

/// Does this client still hear what is said?
fn hears(world: &mut World, who: Who) -> bool {
    let before = world.messages(who).len();
    world.redis.publish("broadcast:f", "still there?");
    world.run();
    world.messages(who).len() == before + 1
}

/// What the last reload came to: what changed and what did not, or why nothing did.
fn outcome(world: &World) -> Result<(Vec<&str>, Vec<&str>), &str> {
    let outcome = world.reports.iter().rev().find_map(|report| match report {
        Report::Reload(ReloadReport::Taken { changed, kept }) => {
            Some(Ok((changed.clone(), kept.clone())))
        }
        Report::Reload(ReloadReport::Refused { why }) => Some(Err(why.as_str())),
        _ => None,
    });
    outcome.unwrap()
}

fn only_news(config: &mut Config) {
    config.rules.facilities = vec!["news".to_owned()];
}

#[test]
fn rules_are_for_whoever_comes_next_and_who_is_in_stays_in() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?subscribe-broadcast");
    reload(&mut world, |config| {
        only_news(config);
        config.rules.rules.push(Rule {
            facility: "news".to_owned(),
            allow: None,
            require: Some(Require::User),
        });
    });
    assert_eq!(
        outcome(&world),
        Ok((vec!["facilities", "rule"], Vec::new()))
    );
    assert!(hears(&mut world, ann));
    assert_eq!(status(&mut world, &Request::to("/ws/f")), 404);
    assert_eq!(status(&mut world, &Request::to("/ws/news")), 403);
    reload(&mut world, only_news);
    assert_eq!(status(&mut world, &Request::to("/ws/news")), 101);
    assert!(hears(&mut world, ann));
}

#[test]
fn a_key_that_was_exchanged_lets_nobody_in_any_more_and_puts_nobody_out() {
    let mut world = World::new(with_tokens);
    let old = bears(&token(KEY, r#""sub":"ann""#, 60));
    let new = bears(&token(OTHER_KEY, r#""sub":"ann""#, 60));
    let ann = world.ask(HERE, &old);
    world.run();
    assert_eq!(status(&mut world, &new), 403);
    reload(&mut world, |config| {
        with_tokens(config);
        config.jwt.keys = Some(said(OTHER_KEY));
    });
    assert_eq!(outcome(&world), Ok((vec!["jwt_key_file"], Vec::new())));
    assert_eq!(status(&mut world, &old), 403);
    assert_eq!(status(&mut world, &new), 101);
    assert!(hears(&mut world, ann));
}

#[test]
fn origins_and_trusted_peers_are_those_of_the_new_configuration() {
    let mut world = World::new(|_| {});
    let page = Request::to("/ws/f").with("Origin", "https://app.example");
    let named = Request::to(TARGET).with("X-Ws4redis-User", "john");
    assert_eq!(status(&mut world, &page), 403);
    status(&mut world, &named);
    assert!(!world.redis.heard().contains("user:john:f"));
    reload(&mut world, |config| {
        config.origins = Origins::Listed(vec!["https://app.example".to_owned()]);
        config.trusted = vec!["192.0.2.0/24".parse().unwrap()];
    });
    assert_eq!(status(&mut world, &page), 101);
    status(&mut world, &named);
    assert!(world.redis.heard().contains("user:john:f"));
}

#[test]
fn sessions_of_an_address_count_that_were_there_before_they_were_counted() {
    let mut world = World::new(|_| {});
    let request = Request::to("/ws/f?subscribe-broadcast");
    let ann = world.join("/ws/f?subscribe-broadcast");
    world.join("/ws/f");
    reload(&mut world, |config| {
        config.limits.sessions_per_address_max = 2;
    });
    assert_eq!(status(&mut world, &request), 429);
    world.clients[ann].reset();
    world.run();
    assert_eq!(status(&mut world, &request), 101);
    assert_eq!(status(&mut world, &request), 429);
    reload(&mut world, |_| {});
    assert_eq!(status(&mut world, &request), 101);
}

#[test]
fn bounds_and_times_hold_from_now_on_for_everybody() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?subscribe-broadcast&publish-broadcast");
    world.clients[ann].say("one");
    world.run();
    assert_eq!(world.redis.ttl("broadcast:f"), Some(3_600));
    reload(&mut world, |config| {
        config.expire = 7;
        config.limits.message_bytes_max = 4;
    });
    assert_eq!(
        outcome(&world),
        Ok((vec!["expire", "message_bytes_max"], Vec::new()))
    );
    world.clients[ann].say("two");
    world.run();
    assert_eq!(world.redis.ttl("broadcast:f"), Some(7));
    world.clients[ann].say("three");
    world.run();
    assert_eq!(world.clients[ann].close().unwrap().0, Some(1009));
}

#[test]
fn messages_that_wait_for_redis_have_the_age_of_the_new_configuration() {
    let mut world = World::new(|_| {});
    let ann = world.join("/ws/f?publish-broadcast");
    world.redis.mood.refuses = true;
    world.cut();
    world.clients[ann].say("lost");
    world.run();
    reload(&mut world, |config| {
        config.limits.publish_queue_age_max = ms(1_000);
    });
    world.advance(ms(1_100));
    assert_eq!(world.hub.tally().publishes_failed, 1);
}

#[test]
fn a_handshake_under_way_keeps_its_call_and_meets_the_new_rules_when_it_is_answered() {
    let asking = |config: &mut Config| {
        config.identity = vec![Source::Callback];
        config.callback.url = "http://app/".parse().ok();
    };
    let mut world = World::new(asking);
    let ann = world.connect(TARGET);
    let bob = world.connect("/ws/news?subscribe-broadcast&subscribe-user");
    world.run();
    assert_eq!(world.application.asked.len(), 2);
    reload(&mut world, |config| {
        asking(config);
        only_news(config);
        config.callback.timeout /= 2;
    });
    // Nobody is asked twice, and nothing that was asked is dropped.
    assert_eq!(world.clients[bob].status(), None);
    world.application.answer = answer("200 OK", r#"{"user": "bob"}"#);
    world.run();
    assert_eq!(world.application.asked.len(), 2);
    assert_eq!(world.clients[ann].status(), Some(404));
    assert!(world.clients[bob].is_open());
    assert!(world.redis.heard().contains("user:bob:news"));
}

#[test]
fn the_application_is_asked_from_the_reload_on_that_names_it_and_no_longer_than_that() {
    let url = |config: &mut Config| config.callback.url = "http://app/".parse().ok();
    let asking = |config: &mut Config| {
        url(config);
        config.identity = vec![Source::Callback];
    };
    let mut world = World::new(url);
    world.application.answer = answer("403 Forbidden", "");
    assert_eq!(status(&mut world, &Request::to(TARGET)), 101);
    reload(&mut world, asking);
    assert_eq!(status(&mut world, &Request::to(TARGET)), 403);
    reload(&mut world, url);
    assert_eq!(status(&mut world, &Request::to(TARGET)), 101);
    assert_eq!(world.application.asked.len(), 1);
}

#[test]
fn what_only_a_restart_takes_is_named_and_stays_and_the_rest_is_taken() {
    let mut world = World::new(|config| config.heartbeat = Some("beat".to_owned()));
    let ann = world.join("/ws/f?subscribe-broadcast");
    reload(&mut world, |config| {
        config.prefix = "shop".to_owned();
        config.redis.address = RedisAddress::Unix("/run/redis.sock".into());
        only_news(config);
    });
    assert_eq!(
        outcome(&world),
        Ok((vec!["facilities"], vec!["redis", "prefix", "heartbeat"]))
    );
    assert!(hears(&mut world, ann));
    world.join("/ws/news?subscribe-broadcast");
    assert!(world.redis.heard().contains("broadcast:news"));
    world.advance(ms(4_000));
    assert!(world.messages(ann).contains(&"beat".to_owned()));
}

#[test]
fn what_cannot_be_used_changes_nothing_and_is_counted() {
    let mut world = World::new(|config| {
        with_tokens(config);
        only_news(config);
    });
    world.hub.reload(world.now, Err("line 7: no".to_owned()));
    world.run();
    assert_eq!(outcome(&world), Err("line 7: no"));
    // Its rules are good, but its key is none.
    reload(&mut world, |config| {
        with_tokens(config);
        config.jwt.algorithms = vec![JwtAlgorithm::Es256];
    });
    let why = outcome(&world).unwrap_err();
    assert!(why.contains("the keys of [jwt]"), "{why}");
    reload(&mut world, |config| {
        config.identity = vec![Source::Callback];
        config.callback.url = "http://app/".parse().ok();
    });
    let why = outcome(&world).unwrap_err();
    assert!(
        why.contains("only a restart takes the change of callback_url"),
        "{why}"
    );
    assert_eq!(status(&mut world, &Request::to("/ws/f")), 404);
    let good = bears(&token(KEY, r#""sub":"ann""#, 60)).line("GET /ws/news HTTP/1.1");
    assert_eq!(status(&mut world, &good), 101);
    assert_eq!(world.hub.tally().reloads_refused, 3);
    assert_eq!(world.hub.tally().reloads, 0);
}

#[test]
fn the_operator_sees_when_the_configuration_was_taken_and_how_often_it_was_not() {
    let mut world = World::new(|_| {});
    let began = world.hub.tally().config_at;
    world.advance(ms(5_000));
    world.hub.reload(world.now, Err("no".to_owned()));
    assert_eq!(world.hub.tally().config_at, began);
    reload(&mut world, |_| {});
    assert_eq!(outcome(&world), Ok((Vec::new(), Vec::new())));
    assert!(world.hub.tally().config_at >= began + ms(5_000));
    let (_, metrics) = world.admin("/metrics");
    for line in [
        "ws4redis_reloads_total{result=\"ok\"} 1",
        "ws4redis_reloads_total{result=\"refused\"} 1",
    ] {
        assert!(metrics.lines().any(|printed| printed == line), "{metrics}");
    }
}

#[test]
fn while_it_drains_nothing_is_reloaded() {
    let mut world = World::new(|_| {});
    world.join("/ws/f");
    world.hub.drain(world.now);
    reload(&mut world, only_news);
    assert!(
        world
            .reports
            .contains(&Report::Reload(ReloadReport::Ignored))
    );
    assert_eq!(world.hub.tally().reloads, 0);
}

#[test]
fn headers_are_signed_from_the_reload_on_that_asks_for_it() {
    let trusting = |config: &mut Config| {
        config.trusted = vec!["192.0.2.0/24".parse().unwrap()];
    };
    let mut world = World::new(trusting);
    let named = |user: &str| Request::to(TARGET).with("X-Ws4redis-User", user);
    status(&mut world, &named("ann"));
    assert!(world.redis.heard().contains("user:ann:f"));
    reload(&mut world, |config| {
        trusting(config);
        config.headers_secret = Some(KeyMaterial {
            path: Some("/etc/key".into()),
            ..said(KEY)
        });
    });
    status(&mut world, &named("bob"));
    assert!(!world.redis.heard().contains("user:bob:f"));
    assert!(world.redis.heard().contains("user:ann:f"));
}

#[test]
fn a_link_for_djangos_sessions_is_made_when_they_are_needed_and_asked_of_no_one_when_not() {
    let other = |config: &mut Config| {
        config.django.engine = DjangoEngine::Cache;
        config.django.redis = Some("redis://other/0".parse().unwrap());
    };
    let mut world = World::new(other);
    assert_eq!(world.sessions.connects, 0);
    let key = "k3y0f3ss10nabcdefghijklmnopqrstu";
    let place = format!(":1:django.contrib.sessions.cache{key}");
    world
        .sessions
        .set(&place, r#"{"ws4redis:username":"john"}"#);
    let with_cookie = Request::to(TARGET).cookie(&format!("sessionid={key}"));
    reload(&mut world, |config| {
        other(config);
        config.identity = vec![Source::Django];
    });
    assert_eq!(outcome(&world), Ok((vec!["identity"], Vec::new())));
    assert_eq!(status(&mut world, &with_cookie), 101);
    assert!(world.redis.heard().contains("user:john:f"));
    world.sessions.mood.refuses = true;
    world.cut_sessions();
    world.run();
    assert!(world.hub.ready().is_err());
    reload(&mut world, other);
    assert_eq!(world.hub.ready(), Ok(()));
    assert_eq!(world.hub.tally().sessions_link, None);
    assert_eq!(status(&mut world, &with_cookie), 101);
    let told = |world: &World| {
        let links = world.reports.iter();
        links
            .filter(|report| matches!(report, Report::Link(_)))
            .count()
    };
    let before = told(&world);
    world.advance(ms(100_000));
    assert_eq!(told(&world), before, "nobody misses it");
}

#[test]
fn a_session_that_is_under_way_is_read_as_when_it_was_asked_for() {
    let django = |config: &mut Config| {
        config.django.engine = DjangoEngine::Cache;
        config.identity = vec![Source::Django];
    };
    let mut world = World::new(django);
    let key = "k3y0f3ss10nabcdefghijklmnopqrstu";
    let place = format!(":1:django.contrib.sessions.cache{key}");
    world.redis.set(&place, r#"{"ws4redis:username":"john"}"#);
    let cookie = Request::to(TARGET).cookie(&format!("sessionid={key}"));
    let john = world.ask(HERE, &cookie);
    world.redis.mood.stalls = true;
    world.run();
    assert_eq!(world.clients[john].status(), None);
    reload(&mut world, |_| {});
    world.redis.mood.stalls = false;
    world.run();
    assert!(world.clients[john].is_open());
    assert!(world.redis.heard().contains("user:john:f"));
}
