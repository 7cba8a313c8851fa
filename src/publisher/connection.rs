//! One connection to Redis, from the greeting until something is wrong with it.

use std::io;

use super::stream::{Deadline, Stream};
use crate::config::Redis;
use crate::limits::REPLY_DEPTH_MAX;
use crate::wire::resp::{self, Incoming, Malformed, Reply, ReplyLimits, ReplyReader};

/// What a reply may be. A program asks for what it wants to have, so the bound of a value is Redis' own
/// (`proto-max-bulk-len`), and that of a list some millions.
const REPLY_LIMITS: ReplyLimits = ReplyLimits {
    bulk_bytes_max: 512 << 20,
    depth_max: REPLY_DEPTH_MAX,
    elements_max: 4 << 20,
};
/// What one read may bring.
const READ_BYTES: usize = 16 << 10;

/// A greeted connection on which no answer is due. With any [`Fault`] it is gone: an answer that comes late would
/// be taken for that to the next command.
#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    reader: ReplyReader,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Fault {
    /// The connection ended before anything of the answer came.
    Unheard(io::Error),
    /// There was none to be had, it ended within the answer, or the time was over.
    Lost(io::Error),
    /// It is no Redis.
    Malformed(Malformed),
    /// Redis does not let us in, in its own words.
    Refused(String),
}

impl Connection {
    /// Connects and greets.
    pub(super) fn open(redis: &Redis, deadline: Deadline) -> Result<Connection, Fault> {
        let connection = Connection {
            stream: Stream::connect(&redis.address, deadline).map_err(Fault::Lost)?,
            reader: ReplyReader::new(REPLY_LIMITS),
        };
        let greeted = connection.greeted(redis, deadline);
        greeted.map_err(|fault| match (fault, &redis.password) {
            (Fault::Refused(error), Some(password)) => {
                Fault::Refused(without(password.reveal(), &error))
            }
            (fault, _) => fault,
        })
    }

    /// Says `commands`, encoded, in one write, and takes so many replies.
    pub(super) fn exchange(
        mut self,
        commands: &[u8],
        count: usize,
        deadline: Deadline,
    ) -> Result<(Connection, Vec<Reply>), Fault> {
        // Who hung up before it listened may have said why: only the time-out ends this here.
        if let Err(error) = self.stream.write_all(commands, deadline)
            && error.kind() == io::ErrorKind::TimedOut
        {
            return Err(Fault::Lost(error));
        }
        let mut replies = Vec::with_capacity(count);
        let mut is_heard = false;
        let mut buffer = [0; READ_BYTES];
        loop {
            match self.reader.pull().map_err(Fault::Malformed)? {
                Some(Incoming::Reply(_)) if replies.len() == count => {
                    return Err(Fault::Malformed(Malformed::Syntax("a reply to no command")));
                }
                Some(Incoming::Reply(reply)) => replies.push(reply),
                // A push answers nothing.
                Some(_) => {}
                None if replies.len() == count => return Ok((self, replies)),
                None => match self.stream.read(&mut buffer, deadline) {
                    Ok(read) => {
                        is_heard = true;
                        self.reader.feed(buffer.get(..read).unwrap_or_default());
                    }
                    Err(error) => return Err(Fault::of_reading(error, is_heard, replies)),
                },
            }
        }
    }

    /// AUTH and SELECT where they are needed, and a name by which an operator knows us in CLIENT LIST.
    fn greeted(self, redis: &Redis, deadline: Deadline) -> Result<Connection, Fault> {
        let mut commands = Vec::new();
        let mut count = 1;
        if let Some(password) = &redis.password {
            let mut words = vec![&b"AUTH"[..]];
            words.extend(redis.username.as_ref().map(|user| user.as_bytes()));
            words.push(password.reveal().as_bytes());
            resp::command(&mut commands, &words);
            count += 1;
        }
        if redis.db != 0 {
            let db = redis.db.to_string();
            resp::command(&mut commands, &[b"SELECT", db.as_bytes()]);
            count += 1;
        }
        resp::command(
            &mut commands,
            &[b"CLIENT", b"SETNAME", b"ws4redis-publisher"],
        );
        let (connection, replies) = self.exchange(&commands, count, deadline)?;
        for (at, reply) in replies.into_iter().enumerate() {
            match reply {
                Reply::Error(error) if at + 1 == count && is_about_a_name(&error) => {}
                Reply::Error(error) => return Err(Fault::Refused(error)),
                _ => {}
            }
        }
        Ok(connection)
    }
}

impl Fault {
    fn of_reading(error: io::Error, is_heard: bool, mut replies: Vec<Reply>) -> Fault {
        match (replies.pop(), error.kind()) {
            // Who is slow may yet act on what was said: only an end is an end.
            (_, io::ErrorKind::TimedOut) => Fault::Lost(error),
            // One error and then the end: a farewell, such as `DENIED` in protected mode.
            (Some(Reply::Error(farewell)), _) if replies.is_empty() => Fault::Refused(farewell),
            _ if is_heard => Fault::Lost(error),
            _ => Fault::Unheard(error),
        }
    }
}

/// Is this error only that we may have no name? Whether a password is missing, the first command will tell. Any
/// other is meant for the connection, such as `ERR max number of clients reached`.
fn is_about_a_name(error: &str) -> bool {
    ["NOPERM", "NOAUTH", "ERR unknown"]
        .iter()
        .any(|kind| error.starts_with(kind))
}

/// An error of the greeting, without what it may repeat of it: Redis quotes the arguments of a command that it does
/// not know, and AUTH can be renamed.
fn without(password: &str, error: &str) -> String {
    let error = error.split(", with args").next().unwrap_or_default();
    match password {
        "" => error.to_owned(),
        password => error.replace(password, "***"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_slow_is_neither_asked_again_nor_taken_to_have_said_goodbye() {
        let refused = vec![Reply::Error("ERR a".into())];
        for replies in [Vec::new(), refused] {
            let fault = Fault::of_reading(io::ErrorKind::TimedOut.into(), false, replies);
            assert!(matches!(fault, Fault::Lost(_)), "{fault:?}");
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_the_password() {
        for error in [
            "ERR unknown command 'AUTH', with args beginning with: 's3cret' ",
            "ERR unknown command 'AUTH', with args beginning with: 's3cre",
            "ERR what is s3cret?",
        ] {
            assert!(!without("s3cret", error).contains("s3cre"), "{error}");
        }
        assert_eq!(without("", "ERR a"), "ERR a");
    }
}
