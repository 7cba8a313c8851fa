//! The library for Rust programs, against a real redis-server and against servers that are none.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ws4redis::config::{self, Config, Listen};
use ws4redis::net::Handle;
use ws4redis::wire::resp;
use ws4redis::{Audience, Gateway, Identity, RedisSubscriber};
use ws4redis::{RedisMessage, RedisPublisher, RedisStore, SELF, StoreError};

use crate::support::client::Client;
use crate::support::redis::Redis;
use crate::support::resp::{Reply, Resp};
use crate::support::stream::Address;
use crate::support::wait::{self, Deadline};

#[test]
fn a_message_reaches_each_audience_of_a_gateway() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let address = Address::Unix(dir.path().join("gateway.sock"));
    let (gateway, handle) = gateway(&redis, &address);
    let client = |flag: &str| {
        let path = format!("/ws/f?subscribe-{flag}");
        // Believed from a unix socket.
        let fields = [
            ("X-Ws4redis-User", "john"),
            ("X-Ws4redis-Groups", "staff,chatters"),
            ("X-Ws4redis-Session", "k3y"),
        ];
        wait::until("the gateway has its Redis", || {
            Client::connect_with(&address, &path, &fields).ok()
        })
    };
    let mut store = store(&redis.unix_url()).prefix("p");
    let publisher = || RedisPublisher::new("f");
    for (flag, publisher, channels) in [
        ("broadcast", publisher().broadcast(), 1),
        ("user", publisher().users(["john"]), 1),
        ("group", publisher().groups([SELF]).identity(&john()), 2),
        ("session", publisher().sessions([SELF]).identity(&john()), 1),
    ] {
        let mut early = client(flag);
        assert_eq!(publish(&publisher, &mut store, flag), channels);
        let mut late = client(flag);
        for _ in 0..channels {
            early.expect(flag);
            late.expect(flag);
        }
    }
    handle.drain();
    gateway.join().unwrap();
}

#[test]
fn a_message_goes_to_each_channel_once_and_is_persisted_there() {
    let redis = Redis::start();
    let mut store = store(&redis.tcp_url()).expire(100);
    let publisher = RedisPublisher::new("f")
        .broadcast()
        .users([SELF, "mary".into()])
        .groups(["staff"])
        .identity(&john());
    let channels = publisher.channels("");
    let mut listener = subscriber(&redis, &channels);
    assert_eq!(publish(&publisher, &mut store, "m"), 4);
    for channel in &channels {
        assert_eq!(listener.reply(), message(channel, "m"));
        assert_eq!(redis.call(&["GET", channel]), Reply::Bulk(b"m".into()));
        let Reply::Integer(seconds) = redis.call(&["TTL", channel]) else {
            panic!("no TTL")
        };
        assert!((90..=100).contains(&seconds), "{seconds}");
    }
}

#[test]
fn a_publisher_may_persist_for_longer_than_its_store_or_not_at_all() {
    let redis = Redis::start();
    let mut store = store(&redis.unix_url()).expire(0);
    let publisher = RedisPublisher::new("f").broadcast();
    let message = RedisMessage::new("m", None).unwrap();
    let mut listener = subscriber(&redis, &["broadcast:f".into()]);
    let mut publish = |expire| {
        let heard = publisher.publish_message(&mut store, &message, expire);
        assert_eq!(heard.unwrap(), 1);
        assert_eq!(listener.reply(), self::message("broadcast:f", "m"));
        redis.call(&["TTL", "broadcast:f"])
    };
    assert_eq!(publish(None), Reply::Integer(-2));
    assert_eq!(publish(Some(1_000)), Reply::Integer(1_000));
    redis.call(&["SET", "broadcast:f", "older"]);
    assert_eq!(publish(Some(0)), Reply::Integer(-1));
    let older = Reply::Bulk(b"older".into());
    assert_eq!(redis.call(&["GET", "broadcast:f"]), older);
}

#[test]
fn whoever_hears_a_message_finds_it_persisted() {
    let redis = Redis::start();
    let url = redis.tcp_url();
    let publishing = thread::spawn(move || {
        let mut store = store(&url);
        for n in 0..500 {
            let publisher = RedisPublisher::new(n.to_string()).broadcast();
            publish(&publisher, &mut store, "m");
        }
    });
    let mut listener = redis.connect();
    listener.call(&["PSUBSCRIBE", "broadcast:*"]);
    let mut asker = redis.connect();
    // What was published before the subscription is not heard; what is heard ends with the last.
    loop {
        let Reply::Array(heard) = listener.reply() else {
            panic!("not a message")
        };
        let Some(Reply::Bulk(channel)) = heard.get(2) else {
            panic!("not a message: {heard:?}")
        };
        let persisted = asker.call(&[b"GET", &channel[..]]);
        assert_eq!(persisted, Reply::Bulk(b"m".into()));
        if channel == b"broadcast:499" {
            break;
        }
    }
    publishing.join().unwrap();
}

#[test]
fn a_thousand_users_get_a_message_that_fits_in_no_one_write() {
    let redis = Redis::start();
    let mut store = store(&redis.unix_url()).expire(60);
    let users: Vec<String> = (0..1_000).map(|n| format!("user{n}")).collect();
    let publisher = RedisPublisher::new("f").users(&users);
    let mut listener = redis.connect();
    listener.call(&["PSUBSCRIBE", "user:*"]);
    let text = "x".repeat(10_000);
    // Redis would hang up on a subscriber that reads nothing of 10 MB.
    let hearing = thread::spawn(move || {
        for _ in 0..1_000 {
            assert!(matches!(listener.reply(), Reply::Array(_)));
        }
    });
    assert_eq!(publish(&publisher, &mut store, &text), 1_000);
    hearing.join().unwrap();
    assert_eq!(redis.call(&["DBSIZE"]), Reply::Integer(1_000));
}

#[test]
fn the_most_personal_message_is_fetched() {
    let redis = Redis::start();
    let mut store = store(&redis.unix_url());
    let keys = [
        "session:k3y:f",
        "user:john:f",
        "group:staff:f",
        "group:chatters:f",
        "broadcast:f",
    ];
    for key in keys {
        redis.call(&["SET", key, key]);
    }
    let mut fetch = |audience| {
        let found = store.fetch_message(&john(), "f", audience).unwrap();
        found.map(|bytes| String::from_utf8(bytes).unwrap())
    };
    for (audience, key) in [
        (Audience::Session, keys[0]),
        (Audience::User, keys[1]),
        (Audience::Group, keys[2]),
        (Audience::Broadcast, keys[4]),
    ] {
        assert_eq!(fetch(Some(audience)).as_deref(), Some(key));
    }
    for (at, key) in keys.into_iter().enumerate() {
        assert_eq!(fetch(None).as_deref(), Some(key));
        // Empty is as good as gone.
        match at % 2 {
            0 => redis.call(&["SET", key, ""]),
            _ => redis.call(&["DEL", key]),
        };
    }
    assert_eq!(fetch(None), None);
    let anonymous = store.fetch_message(&Identity::default(), "f", Some(Audience::User));
    assert_eq!(anonymous.unwrap(), None);
}

#[test]
fn a_key_of_another_type_is_refused_and_the_connection_goes_on() {
    let redis = Redis::start();
    redis.call(&["LPUSH", "broadcast:f", "x"]);
    let mut store = store(&redis.unix_url());
    let id = connection_id(&mut store);
    let error = store.fetch_message(&john(), "f", None).unwrap_err();
    assert!(matches!(&error, StoreError::Refused { error } if error.starts_with("WRONGTYPE")));
    assert_eq!(connection_id(&mut store), id);
}

#[test]
fn the_database_is_the_one_of_the_url() {
    let redis = Redis::start();
    let mut store = store(&format!("{}/3", redis.tcp_url()));
    publish(&RedisPublisher::new("f").broadcast(), &mut store, "m");
    assert_eq!(redis.call(&["EXISTS", "broadcast:f"]), Reply::Integer(0));
    let mut third = redis.connect();
    third.call(&["SELECT", "3"]);
    assert_eq!(third.call(&["EXISTS", "broadcast:f"]), Reply::Integer(1));
}

#[test]
fn a_redis_that_was_restarted_between_two_calls_is_found_again() {
    let mut redis = Redis::start();
    for url in [redis.tcp_url(), redis.unix_url()] {
        let mut store = store(&url);
        let publisher = RedisPublisher::new("f").broadcast();
        publish(&publisher, &mut store, "before");
        redis.restart();
        publish(&publisher, &mut store, "after");
        let after = Reply::Bulk(b"after".into());
        assert_eq!(redis.call(&["GET", "broadcast:f"]), after);
        redis.call(&["CLIENT", "KILL", "TYPE", "normal"]);
        assert_eq!(publish(&publisher, &mut store, "again"), 0);
    }
}

#[test]
fn a_redis_that_is_away_is_out_of_reach_until_it_is_back() {
    let mut redis = Redis::start();
    let mut store = store(&redis.tcp_url());
    store.call(&[b"PING"]).unwrap();
    redis.kill();
    for _ in 0..2 {
        let error = store.call(&[b"PING"]).unwrap_err();
        assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains(&redis.tcp_url()), "{error}");
    }
    redis.restart();
    store.call(&[b"PING"]).unwrap();
}

#[test]
fn a_stopped_redis_is_waited_for_no_longer_than_told_and_its_late_answer_is_not_taken() {
    let redis = Redis::start();
    let timeout = Duration::from_millis(200);
    for url in [redis.tcp_url(), redis.unix_url()] {
        let mut store = store(&url).timeout(timeout);
        store.call(&[b"PING"]).unwrap();
        redis.pause();
        // The first waits on an old connection, the second on a new one.
        for _ in 0..2 {
            let deadline = Deadline::after(Duration::from_secs(5));
            let error = store.call(&[b"ECHO", b"late"]).unwrap_err();
            assert!(deadline.left().is_some(), "{error}");
            let StoreError::Unreachable { error, .. } = error else {
                panic!("{error}")
            };
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(error.to_string().contains("200ms"), "{error}");
        }
        redis.resume();
        let mut store = store.timeout(Duration::from_secs(20));
        let answer = store.call(&[b"ECHO", b"now"]).unwrap();
        assert_eq!(answer, resp::Reply::Bulk("now".into()));
    }
}

#[test]
fn what_timed_out_is_not_said_twice() {
    let redis = Redis::start();
    let mut store = store(&redis.unix_url()).timeout(Duration::from_millis(200));
    store.call(&[b"PING"]).unwrap();
    redis.pause();
    store.call(&[b"INCR", b"n"]).unwrap_err();
    redis.resume();
    let mut store = store.timeout(Duration::from_secs(20));
    assert_eq!(
        store.call(&[b"INCR", b"n"]).unwrap(),
        resp::Reply::Integer(2)
    );
}

#[test]
fn who_is_not_let_in_is_told_what_to_do_and_no_password_is_shown() {
    let redis = Redis::start_with(&["--requirepass", "s3cret"]);
    let port = redis.port();
    for (credentials, kind, advice) in [
        (":wr0ng@", "WRONGPASS", "check user and password"),
        ("nobody:wr0ng@", "WRONGPASS", "check user and password"),
        ("", "NOAUTH", "give a password"),
    ] {
        let mut store = store(&format!("redis://{credentials}127.0.0.1:{port}"));
        let error = store.call(&[b"PING"]).unwrap_err();
        let texts = format!("{error} {error:?} {store:?}");
        assert!(matches!(&error, StoreError::Refused { error } if error.starts_with(kind)));
        assert!(error.to_string().contains(advice), "{error}");
        assert!(!texts.contains("wr0ng"), "{texts}");
    }
    let mut let_in = store(&format!("redis://default:s3cret@127.0.0.1:{port}"));
    let_in.call(&[b"PING"]).unwrap();
    assert!(!format!("{let_in:?}").contains("s3cret"));
    let open = Redis::start();
    let mut store = store(&format!("redis://:s3cret@127.0.0.1:{}", open.port()));
    let error = store.call(&[b"PING"]).unwrap_err().to_string();
    assert!(error.contains("leave the password out"), "{error}");
}

#[test]
fn a_user_who_may_not_publish_is_refused_in_the_words_of_redis() {
    let redis = Redis::start();
    let rules = "ACL SETUSER reader on >pw ~* &* +get +select";
    redis.call(&rules.split(' ').collect::<Vec<_>>());
    let mut store = store(&format!("redis://reader:pw@127.0.0.1:{}", redis.port()));
    assert_eq!(store.fetch_message(&john(), "f", None).unwrap(), None);
    let message = RedisMessage::new("m", None).unwrap();
    let publisher = RedisPublisher::new("f").broadcast();
    let error = publisher
        .publish_message(&mut store, &message, None)
        .unwrap_err();
    assert!(matches!(&error, StoreError::Refused { error } if error.starts_with("NOPERM")));
    assert!(error.to_string().contains("+setex"), "{error}");
    assert_eq!(redis.call(&["EXISTS", "broadcast:f"]), Reply::Integer(0));
}

#[test]
fn a_redis_that_is_full_says_so() {
    let redis = Redis::start_with(&["--maxclients", "1"]);
    let mut only = store(&redis.tcp_url());
    wait::until("the only place is free", || only.call(&[b"PING"]).ok());
    for url in [redis.tcp_url(), redis.unix_url()] {
        let error = store(&url).call(&[b"PING"]).unwrap_err().to_string();
        assert!(error.contains("max number of clients"), "{error}");
    }
}

#[test]
fn a_demoted_redis_is_left() {
    let redis = Redis::start();
    let mut store = store(&redis.unix_url());
    let publisher = RedisPublisher::new("f").broadcast();
    let id = connection_id(&mut store);
    redis.call(&["REPLICAOF", "127.0.0.1", "1"]);
    let message = RedisMessage::new("m", None).unwrap();
    let error = publisher
        .publish_message(&mut store, &message, None)
        .unwrap_err();
    assert!(error.to_string().contains("READONLY"), "{error}");
    redis.call(&["REPLICAOF", "NO", "ONE"]);
    publish(&publisher, &mut store, "m");
    assert_ne!(connection_id(&mut store), id);
}

#[test]
fn who_does_not_speak_as_redis_does_is_malformed() {
    for said in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"+OK\r\n+PONG\r\n+more\r\n",
        b"*1000000000\r\n",
        b"$-7\r\n",
    ] {
        let (url, server) = answers(&[said]);
        let error = store(&url).call(&[b"PING"]).unwrap_err();
        assert!(matches!(error, StoreError::Malformed(_)), "{error}");
        server.join().unwrap();
    }
}

#[test]
fn an_answer_that_breaks_off_is_not_asked_for_again() {
    let (url, server) = answers(&[b"+OK\r\n", b"+PONG\r\n", b"$100\r\nabc"]);
    let mut store = store(&url);
    store.call(&[b"PING"]).unwrap();
    let StoreError::Unreachable { error, .. } = store.call(&[b"GET", b"a"]).unwrap_err() else {
        panic!("not out of reach")
    };
    // Asked again, it would refuse the connection.
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    server.join().unwrap();
}

#[test]
fn a_farewell_is_told() {
    let (url, server) = answers(&[b"-DENIED Redis is running in protected mode\r\n"]);
    let url = url.replace("//", "//:s3cret@");
    let error = store(&url).call(&[b"PING"]).unwrap_err();
    assert!(matches!(&error, StoreError::Refused { error } if error.starts_with("DENIED")));
    server.join().unwrap();
}

#[test]
fn a_pipeline_answers_in_order_with_errors_in_their_places() {
    let redis = Redis::start();
    let mut store = store(&redis.unix_url());
    let replies = store
        .pipeline(&[
            vec![&b"SET"[..], b"a", b"\r\n"],
            vec![b"LPUSH", b"a", b"x"],
            vec![b"GET", b"a"],
        ])
        .unwrap();
    assert_eq!(replies[0], resp::Reply::Simple("OK".into()));
    assert!(matches!(&replies[1], resp::Reply::Error(error) if error.starts_with("WRONGTYPE")));
    assert_eq!(replies[2], resp::Reply::Bulk("\r\n".into()));
    assert!(
        store
            .pipeline::<Vec<Vec<u8>>, Vec<u8>>(&[])
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_a_store_cannot_do_is_not_said_to_redis() {
    let mut store = store("redis://127.0.0.1:1");
    for line in ["", "subscribe c", "MONITOR"] {
        let words: Vec<&[u8]> = line.split_terminator(' ').map(str::as_bytes).collect();
        assert!(matches!(store.call(&words), Err(StoreError::Misuse(_))));
    }
}

fn john() -> Identity {
    Identity {
        user: Some("john".into()),
        groups: vec!["staff".into(), "chatters".into()],
        session: Some("k3y".into()),
    }
}

fn store(url: &str) -> RedisStore {
    let redis: config::Redis = url.parse().unwrap();
    RedisStore::new(&redis).timeout(Duration::from_secs(20))
}

fn publish(publisher: &RedisPublisher, store: &mut RedisStore, text: &str) -> u64 {
    let message = RedisMessage::new(text, None).unwrap();
    publisher.publish_message(store, &message, None).unwrap()
}

/// A connection on which the channels are heard.
fn subscriber(redis: &Redis, channels: &[String]) -> Resp {
    let mut connection = redis.connect();
    for channel in channels {
        connection.call(&["SUBSCRIBE", channel]);
    }
    connection
}

/// What a subscriber hears.
fn message(channel: &str, text: &str) -> Reply {
    let words = ["message", channel, text];
    Reply::Array(words.map(|word| Reply::Bulk(word.as_bytes().into())).into())
}

/// By which number Redis knows the connection of a store.
fn connection_id(store: &mut RedisStore) -> resp::Reply {
    store.call(&[b"CLIENT", b"ID"]).unwrap()
}

/// A gateway in this process, as a program that embeds it has it.
fn gateway(redis: &Redis, address: &Address) -> (JoinHandle<()>, Handle) {
    let Address::Unix(path) = address.clone() else {
        panic!("not a unix socket")
    };
    let config = Config {
        listen: vec![Listen::Unix { path, mode: 0o600 }],
        admin: None,
        redis: redis.unix_url().parse().unwrap(),
        prefix: "p".to_owned(),
        ..Config::default()
    };
    let (bound, binding) = mpsc::channel();
    let thread = thread::spawn(move || {
        let gateway = Gateway::bind(config, Box::new(RedisSubscriber)).unwrap();
        bound.send(gateway.handle()).unwrap();
        gateway.run().unwrap();
    });
    (thread, binding.recv().unwrap())
}

/// A server that takes one connection, answers each time it is spoken to with the next of these, and hangs up.
fn answers(answers: &[&'static [u8]]) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let answers = answers.to_vec();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        drop(listener);
        for answer in answers {
            assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
            stream.write_all(answer).unwrap();
        }
    });
    (url, server)
}
