//! The embedded Redis through its interface: bytes in, bytes out, time in hand.

use std::time::Duration;

use ws4redis::hub::embedded::Embedded;
use ws4redis::limits::{
    EMBEDDED_BUFFERS_BYTES_MAX, EMBEDDED_COMMAND_BYTES_MAX, EMBEDDED_CONNECTIONS_MAX,
    EMBEDDED_MEMORY_BYTES_MAX, EMBEDDED_QUEUED_MAX, EMBEDDED_SUBSCRIPTION_BYTES_MAX,
};
use ws4redis::peer::PeerId;
use ws4redis::tick::Tick;
use ws4redis::wire::resp;

/// The server and a clock.
struct World {
    redis: Embedded,
    now: Tick,
    connections: u32,
}

impl World {
    fn new() -> World {
        World {
            redis: Embedded::new(),
            now: Tick::ZERO,
            connections: 0,
        }
    }

    fn connect(&mut self) -> PeerId {
        self.connections += 1;
        let id = PeerId {
            index: self.connections,
            generation: 0,
        };
        assert!(self.redis.accepted(id), "there is room for {id}");
        id
    }

    /// Bytes from a client, as they come.
    fn bytes(&mut self, id: PeerId, bytes: &[u8]) {
        self.redis.received(self.now, id, bytes);
        self.redis.check();
    }

    /// A command as an array.
    fn say(&mut self, id: PeerId, words: &[&[u8]]) {
        let mut bytes = Vec::new();
        resp::command(&mut bytes, words);
        self.bytes(id, &bytes);
    }

    /// What waits for a client; it reads all of it, in pieces.
    fn hear(&mut self, id: PeerId) -> String {
        let mut heard = Vec::new();
        while !self.redis.pending(id).is_empty() {
            let pending = self.redis.pending(id);
            let n = pending.len().div_ceil(3);
            heard.extend_from_slice(&pending[..n]);
            self.redis.sent(id, n);
        }
        self.redis.check();
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// A command as a line, and the reply.
    fn ask(&mut self, id: PeerId, line: &str) -> String {
        self.bytes(id, line.as_bytes());
        self.bytes(id, b"\r\n");
        self.hear(id)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

/// A line of the transcript, and what is answered.
struct Exchange {
    line: &'static str,
    reply: String,
}

/// The sessions of the transcript, with their titles.
fn transcript() -> Vec<(&'static str, Vec<Exchange>)> {
    let mut sessions: Vec<(&str, Vec<Exchange>)> = Vec::new();
    for line in include_str!("embedded/transcript.txt").lines() {
        if let Some(title) = line.strip_prefix("## ") {
            sessions.push((title, Vec::new()));
        } else if let Some((_, exchanges)) = sessions.last_mut() {
            if let Some(line) = line.strip_prefix("> ") {
                let reply = String::new();
                exchanges.push(Exchange { line, reply });
            } else if let Some(Exchange { reply, .. }) = exchanges.last_mut() {
                *reply += match line {
                    "{version}" => "$5\r\n7.2.0",
                    "{id}" => ":1",
                    line => line,
                };
                *reply += "\r\n";
            }
        }
    }
    assert!(sessions.len() > 5, "the transcript is read");
    sessions
}

#[test]
fn it_answers_as_redis_does() {
    for (title, exchanges) in transcript() {
        let mut world = World::new();
        let client = world.connect();
        for Exchange { line, reply } in exchanges {
            assert_eq!(world.ask(client, line), reply, "{title}: {line}");
        }
    }
}

#[test]
fn any_cut_of_the_same_bytes_gives_the_same_answers() {
    for (title, exchanges) in transcript() {
        let said: String = exchanges
            .iter()
            .map(|exchange| format!("{}\r\n", exchange.line))
            .collect();
        let answers: String = exchanges
            .into_iter()
            .map(|exchange| exchange.reply)
            .collect();
        for piece in [1, 2, 7, 64, said.len()] {
            let mut world = World::new();
            let client = world.connect();
            for bytes in said.as_bytes().chunks(piece) {
                world.bytes(client, bytes);
            }
            assert_eq!(world.hear(client), answers, "{title} in {piece}s");
        }
    }
}

#[test]
fn a_message_reaches_all_who_hear_its_channel_and_the_reply_counts_them() {
    let mut world = World::new();
    let [by_name, by_pattern, by_both, deaf, publisher] = [(); 5].map(|()| world.connect());
    world.ask(by_name, "SUBSCRIBE chat");
    world.ask(by_pattern, "HELLO 3");
    world.ask(by_pattern, "PSUBSCRIBE ch?t");
    world.ask(by_both, "PSUBSCRIBE *");
    world.ask(by_both, "SUBSCRIBE chat");
    world.ask(deaf, "SUBSCRIBE other");
    while world.redis.next_dirty().is_some() {}

    assert_eq!(world.ask(publisher, "PUBLISH chat one"), ":4\r\n");
    world.ask(publisher, "PUBLISH chat two");
    // Publisher included; each once, however much waits for it.
    let mut dirty: Vec<PeerId> = std::iter::from_fn(|| world.redis.next_dirty()).collect();
    dirty.sort();
    assert_eq!(dirty, [by_name, by_pattern, by_both, publisher]);

    let message = |text| format!("*3\r\n$7\r\nmessage\r\n$4\r\nchat\r\n$3\r\n{text}\r\n");
    let pmessage = |kind, pattern: &str, text| {
        let length = pattern.len();
        format!(
            "{kind}4\r\n$8\r\npmessage\r\n${length}\r\n{pattern}\r\n$4\r\nchat\r\n$3\r\n{text}\r\n"
        )
    };
    let expected = [message("one"), message("two")].concat();
    assert_eq!(world.hear(by_name), expected);
    let expected = ["one", "two"].map(|text| pmessage('>', "ch?t", text));
    assert_eq!(world.hear(by_pattern), expected.concat());
    let expected = ["one", "two"].map(|text| message(text) + &pmessage('*', "*", text));
    assert_eq!(world.hear(by_both), expected.concat());
    assert_eq!(world.hear(deaf), "");
}

#[test]
fn databases_are_apart_and_pubsub_knows_none() {
    let mut world = World::new();
    let (a, b) = (world.connect(), world.connect());
    world.ask(a, "SELECT 1");
    world.ask(a, "SET key one");
    assert_eq!(world.ask(b, "GET key"), "$-1\r\n");
    world.ask(b, "SUBSCRIBE chat");
    assert_eq!(world.ask(a, "PUBLISH chat m"), ":1\r\n");
    assert!(world.ask(a, "INFO keyspace").contains("db1:keys=1"));
}

#[test]
fn what_a_client_publishes_to_itself_comes_after_the_reply() {
    let mut world = World::new();
    let client = world.connect();
    world.ask(client, "HELLO 3");
    world.ask(client, "SUBSCRIBE c");
    let push = ">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n";
    let alone = world.ask(client, "PUBLISH c m");
    assert_eq!(alone, format!(":1\r\n{push}"));
    for line in ["MULTI", "PUBLISH c m", "SET a 1"] {
        world.ask(client, line);
    }
    let exec = world.ask(client, "EXEC");
    assert_eq!(exec, format!("*2\r\n:1\r\n+OK\r\n{push}"));
}

#[test]
fn what_would_break_the_array_of_exec_is_not_queued() {
    let mut world = World::new();
    let client = world.connect();
    for line in ["SUBSCRIBE a", "UNSUBSCRIBE", "PSUBSCRIBE a", "HELLO 3"] {
        world.ask(client, "MULTI");
        let refused = "-ERR Command not allowed inside a transaction\r\n";
        assert_eq!(world.ask(client, line), refused, "{line}");
        let abort = "-EXECABORT Transaction discarded because of previous errors.\r\n";
        assert_eq!(world.ask(client, "EXEC"), abort);
    }
}

#[test]
fn a_lock_is_lost_to_another_client_and_to_time() {
    let mut world = World::new();
    let (a, b) = (world.connect(), world.connect());
    for misfortune in ["SET key 2", "DEL key", "FLUSHALL", "time"] {
        world.ask(b, "SETEX key 10 1");
        world.ask(a, "WATCH key");
        match misfortune {
            "time" => world.pass(Duration::from_secs(11)),
            line => drop(world.ask(b, line)),
        }
        world.ask(a, "MULTI");
        world.ask(a, "SET key mine");
        assert_eq!(world.ask(a, "EXEC"), "*-1\r\n", "{misfortune}");
    }
    world.ask(a, "WATCH key");
    world.ask(b, "SELECT 1");
    world.ask(b, "SET key elsewhere");
    world.ask(a, "MULTI");
    assert_eq!(world.ask(a, "EXEC"), "*0\r\n");
}

#[test]
fn a_key_is_gone_for_everyone_when_its_time_is_over() {
    let mut world = World::new();
    let client = world.connect();
    world.ask(client, "SETEX a 10 x");
    world.ask(client, "SET b x PX 10000");
    world.pass(Duration::from_millis(9_400));
    assert_eq!(world.ask(client, "TTL a"), ":1\r\n");
    assert_eq!(world.ask(client, "PTTL b"), ":600\r\n");
    world.pass(Duration::from_millis(599));
    assert_eq!(world.ask(client, "EXISTS a b"), ":2\r\n");
    world.pass(Duration::from_millis(1));
    for (line, reply) in [
        ("KEYS *", "*0\r\n"),
        ("GET a", "$-1\r\n"),
        ("TTL b", ":-2\r\n"),
        ("DEL a b", ":0\r\n"),
        ("EXPIRE a 10", ":0\r\n"),
        ("SET a y XX", "$-1\r\n"),
        ("SET a y KEEPTTL", "+OK\r\n"),
        ("TTL a", ":-1\r\n"),
    ] {
        assert_eq!(world.ask(client, line), reply, "{line}");
    }
}

#[test]
fn memory_of_expired_keys_is_given_back_by_sweeps_with_pauses() {
    let mut world = World::new();
    let client = world.connect();
    assert_eq!(world.redis.deadline(), None);
    let lines: String = (0..2_500).map(|n| format!("SETEX {n} 5 x\r\n")).collect();
    world.bytes(client, lines.as_bytes());
    world.ask(client, "SET stays x");
    assert!(world.redis.deadline() > Some(world.now));

    let mut sizes = Vec::new();
    while let Some(deadline) = world.redis.deadline() {
        world.now = deadline;
        world.redis.elapsed(world.now);
        assert!(world.redis.deadline().is_none_or(|next| next > world.now));
        world.redis.check();
        sizes.push(world.ask(client, "DBSIZE"));
    }
    assert_eq!(sizes, [":1501\r\n", ":501\r\n", ":1\r\n"]);
    let memory = world.ask(client, "INFO memory");
    assert!(memory.contains("used_memory:326\r\n"), "{memory}");
}

#[test]
fn a_value_that_does_not_fit_is_refused_and_nothing_is_lost() {
    let mut world = World::new();
    let client = world.connect();
    let value = vec![b'x'; EMBEDDED_MEMORY_BYTES_MAX / 3];
    world.ask(client, "SET c small");
    world.say(client, &[b"SETEX", b"a", b"10", &value]);
    world.say(client, &[b"SET", b"b", &value]);
    assert_eq!(world.hear(client), "+OK\r\n+OK\r\n");
    world.say(client, &[b"SET", b"c", &value]);
    let oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
    assert_eq!(world.hear(client), oom);
    assert_eq!(world.ask(client, "GET c"), "$5\r\nsmall\r\n");
    // The place of a value is free for its successor, and that of an expired one for any.
    world.say(client, &[b"SET", b"b", &value]);
    assert_eq!(world.hear(client), "+OK\r\n");
    world.pass(Duration::from_secs(10));
    world.say(client, &[b"SET", b"c", &value]);
    assert_eq!(world.hear(client), "+OK\r\n");
}

#[test]
fn a_slow_subscriber_is_closed_and_the_others_are_not() {
    let mut world = World::new();
    let [slow, reader, publisher] = [(); 3].map(|()| world.connect());
    world.ask(slow, "SUBSCRIBE c");
    world.ask(reader, "SUBSCRIBE c");
    let message = vec![b'x'; EMBEDDED_COMMAND_BYTES_MAX / 2];
    for _ in 0..2 {
        world.say(publisher, &[b"PUBLISH", b"c", &message]);
        assert!(world.hear(reader).len() > message.len());
        assert_eq!(world.hear(publisher), ":2\r\n");
    }
    assert!(!world.redis.finished(slow));
    world.say(publisher, &[b"PUBLISH", b"c", &message]);
    assert!(world.redis.finished(slow));
    assert_eq!(world.hear(slow), "");
    assert!(std::iter::from_fn(|| world.redis.next_dirty()).any(|id| id == slow));
    assert!(!world.redis.finished(reader));
    assert!(world.hear(reader).len() > message.len());
    assert_eq!(world.hear(publisher), ":2\r\n");

    world.redis.lost(slow);
    assert_eq!(world.ask(publisher, "PUBLISH c m"), ":1\r\n");
}

#[test]
fn the_largest_command_makes_no_subscriber_slow() {
    let mut world = World::new();
    let (subscriber, publisher) = (world.connect(), world.connect());
    world.ask(subscriber, "SUBSCRIBE c");
    let pattern = "*".repeat(1_024);
    world.ask(subscriber, &format!("PSUBSCRIBE {pattern}"));
    world.ask(subscriber, "PUNSUBSCRIBE *");
    world.ask(subscriber, "UNSUBSCRIBE");
    world.ask(subscriber, &format!("PSUBSCRIBE {pattern}"));
    let largest = vec![b'x'; EMBEDDED_COMMAND_BYTES_MAX - b"PUBLISHc".len()];
    world.say(publisher, &[b"PUBLISH", b"c", &largest]);
    assert_eq!(world.hear(publisher), ":1\r\n");
    assert!(world.hear(subscriber).len() > largest.len());
}

#[test]
fn where_too_much_waits_for_all_the_fattest_is_closed() {
    let mut world = World::new();
    let (fat, publisher) = (world.connect(), world.connect());
    let message = vec![b'x'; EMBEDDED_COMMAND_BYTES_MAX / 4];
    world.ask(fat, "SUBSCRIBE first");
    for _ in 0..3 {
        world.say(publisher, &[b"PUBLISH", b"first", &message]);
    }
    let others: Vec<PeerId> = (0..EMBEDDED_BUFFERS_BYTES_MAX / message.len() - 1)
        .map(|_| world.connect())
        .collect();
    for other in &others {
        world.ask(*other, "SUBSCRIBE second");
    }
    assert!(!world.redis.finished(fat));
    world.say(publisher, &[b"PUBLISH", b"second", &message]);
    assert!(world.redis.finished(fat));
    for other in others {
        assert!(world.hear(other).len() > message.len());
    }
}

#[test]
fn where_too_much_is_half_said_the_fattest_is_closed() {
    let mut world = World::new();
    let chatty = world.connect();
    let size = EMBEDDED_COMMAND_BYTES_MAX - 100;
    let half = format!("*2\r\n$4\r\nECHO\r\n${size}\r\n");
    let fattest = world.connect();
    world.bytes(fattest, half.as_bytes());
    world.bytes(fattest, &vec![b'x'; size]);
    let mut closed = false;
    for _ in 0..EMBEDDED_BUFFERS_BYTES_MAX / EMBEDDED_COMMAND_BYTES_MAX {
        let id = world.connect();
        world.bytes(id, half.as_bytes());
        world.bytes(id, &vec![b'x'; size - 1]);
        closed = world.redis.finished(fattest);
    }
    assert!(closed);
    assert_eq!(world.ask(chatty, "PING"), "+PONG\r\n");
}

#[test]
fn a_transaction_is_bounded_in_commands_and_in_bytes() {
    let mut world = World::new();
    let client = world.connect();
    let refused = "-ERR this transaction or WATCH is over the limit of the embedded Redis\r\n";
    let abort = "-EXECABORT Transaction discarded because of previous errors.\r\n";
    world.ask(client, "MULTI");
    world.bytes(client, "PING\r\n".repeat(EMBEDDED_QUEUED_MAX).as_bytes());
    assert!(world.hear(client).ends_with("+QUEUED\r\n"));
    assert_eq!(world.ask(client, "PING"), refused);
    assert_eq!(world.ask(client, "EXEC"), abort);

    world.ask(client, "MULTI");
    let half = vec![b'x'; EMBEDDED_COMMAND_BYTES_MAX / 2];
    for expected in ["+QUEUED\r\n", refused] {
        world.say(client, &[b"ECHO", &half]);
        assert_eq!(world.hear(client), expected);
    }
    assert_eq!(world.ask(client, "EXEC"), abort);
    for (first, expected) in [(b"a", "+OK\r\n"), (b"a", "+OK\r\n"), (b"b", refused)] {
        world.say(client, &[b"WATCH", &[first, &half[1..]].concat()]);
        assert_eq!(world.hear(client), expected);
    }
}

#[test]
fn a_reply_too_large_to_be_sent_is_an_error_instead() {
    let mut world = World::new();
    let client = world.connect();
    let value = vec![b'x'; EMBEDDED_COMMAND_BYTES_MAX / 4];
    world.say(client, &[b"SET", b"a", &value]);
    world.hear(client);
    let too_large = "-ERR this reply is over the limit of the embedded Redis\r\n";
    assert_eq!(world.ask(client, "MGET a a a a a"), too_large);
    for line in ["MULTI", "GET a", "MGET a a a a", "SET b 1"] {
        world.ask(client, line);
    }
    let exec = world.ask(client, "EXEC");
    assert!(exec.starts_with("*3\r\n$8388608\r\n"));
    assert!(exec.ends_with(&format!("{too_large}+OK\r\n")));
    assert_eq!(world.ask(client, "GET b"), "$1\r\n1\r\n");
}

#[test]
fn subscriptions_are_bounded_and_their_room_is_given_back() {
    let mut world = World::new();
    let client = world.connect();
    world.ask(client, "HELLO 3");
    let refused = "-ERR more subscriptions than the embedded Redis may hold\r\n";
    let size = EMBEDDED_COMMAND_BYTES_MAX / 2;
    let room = EMBEDDED_SUBSCRIPTION_BYTES_MAX / size;
    for number in 0..room {
        let channel = [&[b'0' + number as u8], &vec![b'x'; size - 1_000][..]].concat();
        world.say(client, &[b"SUBSCRIBE", &channel]);
        assert!(world.hear(client).starts_with('>'), "{number}");
    }
    world.say(client, &[b"SUBSCRIBE", &vec![b'y'; size]]);
    assert_eq!(world.hear(client), refused);
    let other = world.connect();
    world.redis.lost(client);
    world.say(other, &[b"SUBSCRIBE", &vec![b'y'; size]]);
    assert!(world.hear(other).starts_with("*3\r\n$9\r\nsubscribe"));
    let long = "-ERR a name or a pattern is over the limit of the embedded Redis\r\n";
    let line = format!("PSUBSCRIBE {}", "?".repeat(1_025));
    assert_eq!(world.ask(other, &line), long);
}

#[test]
fn connections_are_bounded_and_a_lost_one_makes_room() {
    let mut world = World::new();
    let first = world.connect();
    for _ in 1..EMBEDDED_CONNECTIONS_MAX {
        world.connect();
    }
    let one_more = PeerId {
        index: u32::MAX,
        generation: 1,
    };
    assert!(!world.redis.accepted(one_more));
    world.redis.received(world.now, one_more, b"PING\r\n");
    assert!(world.redis.pending(one_more).is_empty());
    world.redis.lost(first);
    assert!(world.redis.accepted(one_more));
    world.redis.check();
}

#[test]
fn who_quits_gets_an_answer_and_is_not_heard_again() {
    let mut world = World::new();
    let (quitter, other) = (world.connect(), world.connect());
    world.ask(quitter, "SUBSCRIBE c");
    world.bytes(quitter, b"QUIT\r\nSUBSCRIBE d\r\n");
    world.ask(other, "PUBLISH c m");
    assert!(!world.redis.finished(quitter), "its answer is not sent yet");
    assert_eq!(world.hear(quitter), "+OK\r\n");
    assert!(world.redis.finished(quitter));
    assert_eq!(world.ask(quitter, "PING"), "");
}

#[test]
fn what_is_not_resp_is_answered_once_and_ends_the_connection() {
    for bytes in [
        &b"*x\r\n"[..],
        b"*1\r\n:1\r\n",
        b"GET \"a\r\n",
        b"*1\r\n$99999999999\r\n",
        b"POST / HTTP/1.1\r\n",
    ] {
        let mut world = World::new();
        let client = world.connect();
        world.bytes(client, bytes);
        world.bytes(client, b"PING\r\n");
        let heard = world.hear(client);
        assert!(heard.starts_with("-ERR Protocol error: "), "{heard}");
        assert!(heard.ends_with("\r\n") && heard.lines().count() == 1);
        assert!(world.redis.finished(client));
    }
}

#[test]
fn what_would_need_a_wall_clock_is_a_clear_error() {
    let mut world = World::new();
    let client = world.connect();
    for line in ["SET a b EXAT 2000000000", "SET a b PXAT 2000000000000"] {
        assert!(world.ask(client, line).contains("need a wall clock"));
    }
    assert_eq!(world.ask(client, "EXISTS a"), ":0\r\n");
}

#[test]
fn a_person_sees_what_this_redis_is() {
    let mut world = World::new();
    let (a, b) = (world.connect(), world.connect());
    world.ask(b, "CLIENT SETNAME gateway");
    world.ask(b, "CLIENT SETINFO lib-name ws4redis");
    world.ask(b, "SUBSCRIBE x");
    assert!(
        world
            .ask(a, "INFO")
            .contains("server_name:ws4redis embedded\r\n")
    );
    assert!(!world.ask(a, "INFO memory").contains("server_name"));
    assert!(
        world
            .ask(a, "INFO Clients")
            .contains("connected_clients:2\r\n")
    );
    let list = world.ask(a, "CLIENT LIST");
    let line = "id=2 name=gateway db=0 sub=1 psub=0 multi=-1 watch=0 resp=2 lib-name=ws4redis";
    assert!(
        list.contains("id=1 name= ") && list.contains(line),
        "{list}"
    );
    assert!(world.ask(a, "COMMAND COUNT").starts_with(':'));
    assert_eq!(world.ask(a, "COMMAND DOCS get"), "*0\r\n");
}

/// Some clients at random for a while: whatever they say, however it is cut, and whoever goes.
#[test]
fn the_invariants_hold_whatever_clients_do() {
    const LINES: &[&str] = &[
        "SET a 1",
        "SET b 2 PX 20",
        "SETEX c 1 3",
        "GET a",
        "DEL a b",
        "MGET a b c",
        "EXPIRE a 1",
        "PERSIST c",
        "SCAN 0",
        "FLUSHDB",
        "SELECT 1",
        "SELECT 0",
        "MULTI",
        "EXEC",
        "DISCARD",
        "WATCH a b",
        "UNWATCH",
        "PUBLISH x hello",
        "SUBSCRIBE x y",
        "UNSUBSCRIBE",
        "PSUBSCRIBE ? x*",
        "PUNSUBSCRIBE",
        "HELLO 3",
        "HELLO 2",
        "RESET",
        "QUIT",
        "NOSUCH",
        "INFO",
        "CLIENT LIST",
        "*2 \r\n",
    ];
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let mut clients: Vec<PeerId> = (0..4).map(|_| world.connect()).collect();
        for _ in 0..1_000 {
            let at = random.usize(..clients.len());
            let id = clients[at];
            match random.u8(..20) {
                0 => {
                    world.redis.lost(id);
                    clients[at] = world.connect();
                }
                1 => drop(world.hear(id)),
                2 => {
                    world.pass(Duration::from_millis(random.u64(..100)));
                    world.redis.elapsed(world.now);
                }
                _ => {
                    let line = random.choice(LINES).copied().unwrap_or_default();
                    let line = format!("{line}\r\n");
                    let cut = random.usize(..=line.len());
                    world.bytes(id, &line.as_bytes()[..cut]);
                    world.bytes(id, &line.as_bytes()[cut..]);
                }
            }
            world.redis.check();
            if world.redis.finished(id) {
                world.redis.lost(id);
                clients[at] = world.connect();
            }
        }
    }
}
