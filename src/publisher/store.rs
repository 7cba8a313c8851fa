//! The connection that a program has to its Redis, and what it needs to be made again.

use std::time::Duration;

use super::StoreError;
use super::connection::{Connection, Fault};
use super::stream::Deadline;
use crate::channel::{self, Audience, Identity};
use crate::config::Redis;
use crate::wire::resp::{self, Malformed, Reply};

/// More than anybody waits, and no clock overflows with it.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the original looks for a persisted message: the most personal one counts.
const SEARCH_ORDER: [Audience; 4] = [
    Audience::Session,
    Audience::User,
    Audience::Group,
    Audience::Broadcast,
];

/// One blocking connection to Redis, made at its first use.
///
/// A connection that Redis has closed since the last use (because it was restarted, or by its `timeout`) is
/// replaced once, and the caller hears nothing of it. That can only be seen once the command is on its way, so a
/// Redis that dies after it obeyed and before it answered may be told twice: clients then get a message twice,
/// which they can bear better than not at all.
///
/// What a command leaves behind in its connection (WATCH, a MULTI without its EXEC, another SELECT) ends with that
/// connection.
#[derive(Debug)]
pub struct RedisStore {
    redis: Redis,
    prefix: String,
    expire: u32,
    timeout: Duration,
    connection: Option<Connection>,
}

impl RedisStore {
    /// A store on this Redis; the URL of one can be parsed: `"redis://localhost:6379/0".parse()`.
    pub fn new(redis: &Redis) -> RedisStore {
        RedisStore {
            redis: redis.clone(),
            prefix: String::new(),
            expire: 3600,
            timeout: Duration::from_secs(5),
            connection: None,
        }
    }

    /// What stands, with a colon, before every channel and key; empty, the default, is nothing. It must be the
    /// gateway's.
    pub fn prefix(mut self, prefix: &str) -> RedisStore {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// For how many seconds a message is persisted, unless its publisher says otherwise: 3600 by default, 0
    /// persists nothing.
    pub fn expire(mut self, seconds: u32) -> RedisStore {
        self.expire = seconds;
        self
    }

    /// How long one call may take, with connecting (but for looking up a name), writing and reading: 5 s by
    /// default. After that it is not known whether Redis obeyed.
    pub fn timeout(mut self, timeout: Duration) -> RedisStore {
        self.timeout = timeout.min(TIMEOUT_MAX);
        self
    }

    /// Says one command, word by word, and takes the answer; an error that is the answer is
    /// [`StoreError::Refused`].
    ///
    /// ```no_run
    /// # use ws4redis::{RedisStore, StoreError, config::Redis};
    /// # fn main() -> Result<(), StoreError> {
    /// let mut store = RedisStore::new(&Redis::default());
    /// let seconds = store.call(&[b"TTL", b"broadcast:chat"])?;
    /// # Ok(()) }
    /// ```
    pub fn call(&mut self, words: &[&[u8]]) -> Result<Reply, StoreError> {
        let reply = self.pipeline(&[words])?.pop();
        match reply {
            Some(Reply::Error(error)) => Err(StoreError::Refused { error }),
            Some(reply) => Ok(reply),
            None => Err(StoreError::Malformed(Malformed::Syntax("no reply"))),
        }
    }

    /// Says many commands in one write, and takes the answers in their order. An error for one of them stands in
    /// its place as [`Reply::Error`], since the others were obeyed.
    pub fn pipeline<C, W>(&mut self, commands: &[C]) -> Result<Vec<Reply>, StoreError>
    where
        C: AsRef<[W]>,
        W: AsRef<[u8]>,
    {
        let mut encoded = Vec::new();
        let mut queued = false;
        for words in commands {
            let words: Vec<&[u8]> = words.as_ref().iter().map(AsRef::as_ref).collect();
            check(&words, queued)?;
            queued = match words.first().map(|word| word.to_ascii_uppercase()) {
                Some(word) if word == b"MULTI" => true,
                Some(word) if word == b"EXEC" || word == b"DISCARD" => false,
                _ => queued,
            };
            resp::command(&mut encoded, &words);
        }
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.exchange(&encoded, commands.len())
            .map_err(|fault| self.blame(fault))
    }

    /// The message that is persisted for somebody on a facility: the first one found of their session, their user,
    /// their groups in their order, and everybody. An `audience` limits the search to that; an empty message is as
    /// good as none.
    pub fn fetch_message(
        &mut self,
        identity: &Identity,
        facility: &str,
        audience: Option<Audience>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let keys: Vec<String> = SEARCH_ORDER
            .into_iter()
            .filter(|&searched| audience.is_none_or(|only| only == searched))
            .flat_map(|searched| channel::of(&self.prefix, searched, identity, facility))
            .collect();
        let commands: Vec<[&[u8]; 2]> = keys.iter().map(|key| [b"GET", key.as_bytes()]).collect();
        for reply in self.pipeline(&commands)? {
            match reply {
                Reply::Bulk(message) if !message.is_empty() => return Ok(Some(message.into())),
                Reply::Bulk(_) | Reply::Null => {}
                Reply::Error(error) => return Err(StoreError::Refused { error }),
                _ => {
                    return Err(StoreError::Malformed(Malformed::Syntax(
                        "GET is answered with a string or null",
                    )));
                }
            }
        }
        Ok(None)
    }

    pub(super) fn prefix_text(&self) -> &str {
        &self.prefix
    }

    pub(super) fn expire_seconds(&self) -> u32 {
        self.expire
    }

    fn exchange(&mut self, commands: &[u8], count: usize) -> Result<Vec<Reply>, Fault> {
        let deadline = Deadline::after(self.timeout);
        // Taken, and put back only if all went well on it.
        let used = self
            .connection
            .take()
            .map(|connection| connection.exchange(commands, count, deadline));
        let (connection, replies) = match used {
            None | Some(Err(Fault::Unheard(_))) => {
                Connection::open(&self.redis, deadline)?.exchange(commands, count, deadline)?
            }
            Some(answered) => answered?,
        };
        // After a failover the old connection stands, and leads to what is a replica now. The next call looks up
        // anew who bears the name.
        let is_demoted = replies
            .iter()
            .any(|reply| matches!(reply, Reply::Error(error) if error.starts_with("READONLY")));
        self.connection = (!is_demoted).then_some(connection);
        Ok(replies)
    }

    fn blame(&self, fault: Fault) -> StoreError {
        match fault {
            Fault::Unheard(error) | Fault::Lost(error) => StoreError::Unreachable {
                address: self.redis.to_string(),
                error,
            },
            Fault::Malformed(error) => StoreError::Malformed(error),
            Fault::Refused(error) => StoreError::Refused { error },
        }
    }
}

/// What no connection of requests and answers can do.
fn check(words: &[&[u8]], queued: bool) -> Result<(), StoreError> {
    let Some(first) = words.first() else {
        return Err(StoreError::Misuse("a command has at least one word"));
    };
    let is_endless = ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "MONITOR"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word.as_bytes()));
    // In a transaction it is only queued: so a program can ask for its right to it, and then DISCARD.
    if is_endless && !queued {
        return Err(StoreError::Misuse(
            "a store asks and is answered; to hear messages, subscribe on a connection of your own",
        ));
    }
    Ok(())
}
