//! A Redis of our own: a second opinion on what one does, with a switch for each misfortune.
//!
//! It has the gateway's one connection, and publishers beside it that need none. What it was told and what it
//! published is written down, so that tests can count and the simulation can compare.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ws4redis::tick::Tick;

use super::resp;

/// The model.
#[derive(Debug, Default)]
pub(crate) struct Redis {
    pub(crate) mood: Mood,
    /// Every command of the gateway, its words joined by blanks.
    pub(crate) commands: Vec<String>,
    /// Everything that was published, by whomever, in order.
    pub(crate) published: Vec<Published>,
    /// Connections that were asked for.
    pub(crate) connects: usize,
    now: Tick,
    keys: BTreeMap<(u32, Vec<u8>), Key>,
    connection: Option<Connection>,
    /// How many bytes of each connection, the first being 1, came through to the gateway.
    delivered: Vec<u64>,
    /// SETEX that publishers of the original have not said yet.
    late: BTreeMap<(Tick, usize), (Vec<u8>, Vec<u8>)>,
}

/// What is wrong with it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Mood {
    /// It refuses connections.
    pub(crate) refuses: bool,
    /// Nobody answers at its address, not even with a refusal.
    pub(crate) is_missing: bool,
    /// It accepts and reads, and says nothing.
    pub(crate) stalls: bool,
    /// What it says comes through, and after a command that begins like this it takes no further one.
    pub(crate) deaf_after: Option<String>,
    /// It is older than 6.
    pub(crate) old: bool,
    /// 7.2 and newer say what they push to the publisher itself after the answer to its command, older ones before
    /// it, and even within the answer to EXEC.
    pub(crate) pushes_first: bool,
    /// The password of the default user.
    pub(crate) password: Option<String>,
    /// It takes no writes, for this reason.
    pub(crate) readonly: Option<String>,
    /// It still reads its data from disk: it greets, and relays, and has no keys to show.
    pub(crate) loads: bool,
    /// It has so many databases less than it is asked for.
    pub(crate) no_select: bool,
    /// Channels that its ACL keeps to itself, by the beginning of their names.
    pub(crate) denied: BTreeSet<String>,
    /// Its ACL lets nobody read.
    pub(crate) denied_keys: bool,
}

/// One message that was published.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub(crate) channel: String,
    pub(crate) payload: Vec<u8>,
    /// The connection on which the gateway was told, if it listened, and at which byte of it the telling ends.
    pub(crate) told: Option<(usize, u64)>,
    /// How many connections there had been.
    pub(crate) connects: usize,
}

#[derive(Debug)]
struct Key {
    /// `None` is a value of another type than a string.
    value: Option<Vec<u8>>,
    until: Tick,
}

#[derive(Debug, Default)]
struct Connection {
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// Bytes put into the outbox since the beginning.
    said: u64,
    is_resp3: bool,
    is_authenticated: bool,
    db: u32,
    channels: BTreeSet<Vec<u8>>,
    transaction: Option<Transaction>,
    /// What is to be pushed after the answer to the command at hand: places in [`Redis::published`].
    after: Vec<usize>,
}

#[derive(Debug, Default)]
struct Transaction {
    commands: Vec<Vec<Vec<u8>>>,
    is_broken: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Gateway,
    Others,
}

/// As long as any test.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);

/// The gateway's side.
impl Redis {
    /// The gateway connects.
    pub(crate) fn connect(&mut self) -> Option<Result<(), String>> {
        self.connects += 1;
        self.delivered.push(0);
        if self.mood.is_missing {
            return None;
        }
        if self.mood.refuses {
            return Some(Err("Connection refused (os error 111)".to_owned()));
        }
        self.connection = Some(Connection {
            is_authenticated: self.mood.password.is_none(),
            ..Connection::default()
        });
        Some(Ok(()))
    }

    /// The connection is gone, with all that was on its way.
    pub(crate) fn cut(&mut self) {
        self.connection = None;
    }

    /// The gateway said this.
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        if let Some(connection) = &mut self.connection {
            connection.inbox.extend_from_slice(bytes);
        }
        self.work();
    }

    /// Answers what was asked, unless it stalls.
    pub(crate) fn work(&mut self) {
        while self.work_once() {}
    }

    /// Answers one command; says whether there was one.
    pub(crate) fn work_once(&mut self) -> bool {
        let Some(mut connection) = self.connection.take() else {
            return false;
        };
        let command = if self.mood.stalls || self.is_deaf() {
            None
        } else {
            resp::command(&connection.inbox)
        };
        if let Some((words, length)) = &command {
            connection.inbox.drain(..length);
            self.commands.push(joined(words));
            let answer = self.obey(&mut connection, words);
            connection.say(&answer);
            for at in std::mem::take(&mut connection.after) {
                connection.tell(self.connects, &mut self.published[at]);
            }
        }
        self.connection = Some(connection);
        command.is_some()
    }

    fn is_deaf(&self) -> bool {
        let (last, said) = (&self.mood.deaf_after, self.commands.last());
        (last.as_ref().zip(said)).is_some_and(|(last, said)| said.starts_with(last))
    }

    /// Bytes that wait for the gateway.
    pub(crate) fn waiting(&self) -> usize {
        match &self.connection {
            Some(connection) if !self.mood.stalls => connection.outbox.len(),
            _ => 0,
        }
    }

    /// Hands `n` of them over.
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        let Some(connection) = &mut self.connection else {
            return Vec::new();
        };
        self.delivered[self.connects - 1] += n as u64;
        connection.outbox.drain(..n).collect()
    }

    /// The last `n` of them were perhaps not heard.
    pub(crate) fn retract(&mut self, n: usize) {
        self.delivered[self.connects - 1] -= n as u64;
    }

    /// Says something that is no answer.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        if let Some(connection) = &mut self.connection {
            connection.say(bytes);
        }
    }

    /// How often the gateway said a command that begins like this.
    pub(crate) fn count(&self, command: &str) -> usize {
        let said = self.commands.iter();
        said.filter(|said| said.starts_with(command)).count()
    }

    /// Channels that the gateway hears now, but for its own.
    pub(crate) fn heard(&self) -> BTreeSet<String> {
        let channels = self.connection.iter().flat_map(|link| &link.channels);
        channels
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .filter(|name| !name.contains("ws4redis:"))
            .collect()
    }

    /// Did the gateway hear this message, on a connection that stood long enough?
    pub(crate) fn was_delivered(&self, published: &Published) -> bool {
        published
            .told
            .is_some_and(|(connection, end)| self.delivered[connection - 1] >= end)
    }
}

/// Everybody else's side.
impl Redis {
    /// Time passes, and publishers go on.
    pub(crate) fn elapsed(&mut self, now: Tick) {
        self.now = now;
        while let Some(entry) = self.late.first_entry().filter(|late| late.key().0 <= now) {
            let (channel, message) = entry.remove();
            self.persist(&channel, &message);
        }
        self.keys.retain(|_, key| key.until > now);
    }

    /// When the next of them will.
    pub(crate) fn deadline(&self) -> Option<Tick> {
        self.late.keys().next().map(|(at, _)| *at)
    }

    /// PUBLISH, and nothing else.
    pub(crate) fn publish(&mut self, channel: &str, message: impl AsRef<[u8]>) {
        let mut link = self.connection.take();
        self.spread(
            link.as_mut(),
            By::Others,
            channel.as_bytes(),
            message.as_ref(),
        );
        self.connection = link;
    }

    /// SETEX and PUBLISH in one transaction.
    pub(crate) fn publish_persistent(&mut self, channel: &str, message: impl AsRef<[u8]>) {
        self.persist(channel.as_bytes(), message.as_ref());
        self.publish(channel, message);
    }

    /// PUBLISH, and SETEX `delay` later, as the original does.
    pub(crate) fn publish_then_persist(
        &mut self,
        channel: &str,
        message: impl AsRef<[u8]>,
        delay: Duration,
    ) {
        self.publish(channel, &message);
        let turn = (self.now + delay, self.published.len());
        let late = (channel.as_bytes().to_vec(), message.as_ref().to_vec());
        self.late.insert(turn, late);
    }

    /// Is a SETEX of this channel still to be said?
    pub(crate) fn is_late(&self, channel: &str) -> bool {
        self.late.values().any(|(key, _)| key == channel.as_bytes())
    }

    /// SETEX alone.
    pub(crate) fn set(&mut self, key: &str, value: impl AsRef<[u8]>) {
        self.persist(key.as_bytes(), value.as_ref());
    }

    /// The key holds something else than a string.
    pub(crate) fn set_list(&mut self, key: &str) {
        let until = self.now + FOR_EVER;
        let key = (0, key.as_bytes().to_vec());
        self.keys.insert(key, Key { value: None, until });
    }

    /// The key is gone.
    pub(crate) fn expire(&mut self, key: &str) {
        self.keys.remove(&(0, key.as_bytes().to_vec()));
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<String> {
        self.get_in(0, key)
    }

    /// The value of a key of another database.
    pub(crate) fn get_in(&self, db: u32, key: &str) -> Option<String> {
        let key = self.keys.get(&(db, key.as_bytes().to_vec()))?;
        let value = key.value.as_ref()?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// Seconds until a key expires.
    pub(crate) fn ttl(&self, key: &str) -> Option<u64> {
        let key = self.keys.get(&(0, key.as_bytes().to_vec()))?;
        Some(key.until.since(self.now).as_secs())
    }

    /// It starts anew, without any persisted message.
    pub(crate) fn forget(&mut self) {
        self.keys.clear();
    }

    /// SET in another database.
    pub(crate) fn set_in(&mut self, db: u32, key: &str, value: impl AsRef<[u8]>) {
        self.write(db, key.as_bytes(), value.as_ref(), FOR_EVER);
    }

    fn persist(&mut self, key: &[u8], value: &[u8]) {
        self.write(0, key, value, FOR_EVER);
    }

    fn write(&mut self, db: u32, key: &[u8], value: &[u8], ttl: Duration) {
        let value = Some(value.to_vec());
        let until = self.now + ttl;
        self.keys.insert((db, key.to_vec()), Key { value, until });
    }

    /// Tells whoever listens; returns how many do.
    fn spread(
        &mut self,
        link: Option<&mut Connection>,
        by: By,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        let at = self.published.len();
        self.published.push(Published {
            channel: String::from_utf8_lossy(channel).into_owned(),
            payload: payload.to_vec(),
            told: None,
            connects: self.connects,
        });
        let Some(link) = link.filter(|link| link.channels.contains(channel)) else {
            return 0;
        };
        if by == By::Gateway && !self.mood.pushes_first {
            link.after.push(at);
        } else {
            link.tell(self.connects, &mut self.published[at]);
        }
        1
    }
}

/// Commands.
impl Redis {
    fn obey(&mut self, connection: &mut Connection, words: &[Vec<u8>]) -> Vec<u8> {
        let name = String::from_utf8_lossy(&words[0]).to_uppercase();
        if name == "HELLO" {
            return self.hello(connection, words);
        }
        if !connection.is_authenticated {
            return resp::error("NOAUTH Authentication required.");
        }
        let is_greeting = matches!(&*name, "SELECT" | "SUBSCRIBE" | "CLIENT");
        assert!(connection.is_resp3 || is_greeting, "{name} in RESP2");
        let is_write = matches!(&*name, "SET" | "SETEX");
        let loading = "LOADING Redis is loading the dataset in memory".to_owned();
        let refusal = match &self.mood.readonly {
            _ if self.mood.loads && (is_write || matches!(&*name, "GET" | "PING")) => Some(loading),
            Some(why) if is_write => Some(why.clone()),
            _ => self.denial(&name, &words[1..]),
        };
        let Some(transaction) = &mut connection.transaction else {
            return refusal.map_or_else(
                || self.run(connection, &name, words),
                |why| resp::error(&why),
            );
        };
        if name == "EXEC" {
            return self.exec(connection);
        }
        if let Some(why) = refusal {
            transaction.is_broken = true;
            return resp::error(&why);
        }
        transaction.commands.push(words.to_vec());
        b"+QUEUED\r\n".to_vec()
    }

    fn hello(&mut self, connection: &mut Connection, words: &[Vec<u8>]) -> Vec<u8> {
        if self.mood.old {
            return resp::error("ERR unknown command `HELLO`, with args beginning with: `3`, ");
        }
        match (words.get(2).map(Vec::as_slice), &self.mood.password) {
            (None, None) => {}
            (None, Some(_)) => {
                return resp::error(
                    "NOAUTH HELLO must be called with the client already authenticated, otherwise the \
                     HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and \
                     select the RESP protocol version at the same time",
                );
            }
            (Some(_), None) => {
                return resp::error(
                    "ERR AUTH <password> called without any password configured for the default user. \
                     Are you sure your configuration is correct?",
                );
            }
            (Some(_), Some(password)) => {
                if words[3] != b"default" || words[4] != password.as_bytes() {
                    return resp::error(
                        "WRONGPASS invalid username-password pair or user is disabled.",
                    );
                }
            }
        }
        assert_eq!(words[1], b"3");
        connection.is_authenticated = true;
        connection.is_resp3 = true;
        let pairs = [
            resp::bulk(b"server"),
            resp::bulk(b"redis"),
            resp::bulk(b"version"),
            resp::bulk(b"7.4.1"),
            resp::bulk(b"proto"),
            resp::integer(3),
            resp::bulk(b"modules"),
            resp::aggregate('*', &[]),
        ];
        resp::aggregate('%', &pairs)
    }

    fn denial(&self, name: &str, arguments: &[Vec<u8>]) -> Option<String> {
        let named = match name {
            "SUBSCRIBE" => arguments,
            "PUBLISH" | "GET" | "SETEX" => &arguments[..1],
            _ => &[],
        };
        let denied = |name: &Vec<u8>| {
            let prefixes = self.mood.denied.iter();
            prefixes
                .map(String::as_bytes)
                .any(|prefix| name.starts_with(prefix))
        };
        let is_denied = named.iter().any(denied) || self.mood.denied_keys && name == "GET";
        is_denied.then(|| {
            "NOPERM No permissions to access one of the channels or keys used as arguments"
                .to_owned()
        })
    }

    fn run(&mut self, connection: &mut Connection, name: &str, words: &[Vec<u8>]) -> Vec<u8> {
        match (name, &words[1..]) {
            ("SELECT", [_]) if self.mood.no_select => resp::error("ERR DB index is out of range"),
            ("SELECT", [db]) => {
                connection.db = String::from_utf8_lossy(db).parse().unwrap();
                b"+OK\r\n".to_vec()
            }
            ("CLIENT", _) => b"+OK\r\n".to_vec(),
            ("PING", [nonce]) => resp::bulk(nonce),
            ("MULTI", []) => {
                connection.transaction = Some(Transaction::default());
                b"+OK\r\n".to_vec()
            }
            ("EXEC", []) => resp::error("ERR EXEC without MULTI"),
            ("SUBSCRIBE" | "UNSUBSCRIBE", channels) => {
                for channel in channels {
                    let word = if name == "SUBSCRIBE" {
                        connection.channels.insert(channel.clone());
                        "subscribe"
                    } else {
                        connection.channels.remove(channel);
                        "unsubscribe"
                    };
                    let count = resp::integer(connection.channels.len());
                    let push = [resp::bulk(word.as_bytes()), resp::bulk(channel), count];
                    connection.say(&resp::aggregate('>', &push));
                }
                Vec::new()
            }
            ("GET", [key]) => match self.keys.get(&(connection.db, key.clone())) {
                None => b"_\r\n".to_vec(),
                Some(Key { value: None, .. }) => {
                    resp::error("WRONGTYPE Operation against a key holding the wrong kind of value")
                }
                Some(Key { value, .. }) => resp::bulk(value.as_deref().unwrap_or_default()),
            },
            ("SETEX", [key, seconds, value]) => {
                let seconds = String::from_utf8_lossy(seconds).parse().unwrap();
                assert_ne!(seconds, 0, "Redis refuses SETEX with 0");
                self.write(connection.db, key, value, Duration::from_secs(seconds));
                b"+OK\r\n".to_vec()
            }
            ("PUBLISH", [channel, message]) => {
                let listeners = self.spread(Some(connection), By::Gateway, channel, message);
                resp::integer(listeners)
            }
            _ => panic!("the model knows no {}", joined(words)),
        }
    }

    fn exec(&mut self, connection: &mut Connection) -> Vec<u8> {
        let transaction = connection.transaction.take().unwrap();
        if transaction.is_broken {
            return resp::error("EXECABORT Transaction discarded because of previous errors.");
        }
        connection.say(format!("*{}\r\n", transaction.commands.len()).as_bytes());
        for words in &transaction.commands {
            let name = String::from_utf8_lossy(&words[0]).to_uppercase();
            let answer = self.run(connection, &name, words);
            connection.say(&answer);
        }
        Vec::new()
    }
}

impl Connection {
    fn say(&mut self, bytes: &[u8]) {
        self.said += bytes.len() as u64;
        self.outbox.extend_from_slice(bytes);
    }

    fn tell(&mut self, serial: usize, published: &mut Published) {
        let push = resp::message(published.channel.as_bytes(), &published.payload);
        self.say(&push);
        published.told = Some((serial, self.said));
    }
}

fn joined(words: &[Vec<u8>]) -> String {
    let words: Vec<_> = words
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    words.join(" ")
}
