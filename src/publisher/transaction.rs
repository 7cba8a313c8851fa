//! SETEX and PUBLISH as one: what is said for each channel, and what the answers mean.

use super::{RedisStore, StoreError};
use crate::wire::resp::{Malformed, Reply};

/// Bytes in one write, about. A message goes out twice for each channel; without a bound, one of a megabyte to
/// a thousand users would need two gigabytes here, and as much in Redis.
const WRITE_BYTES: usize = 1 << 20;
/// What a channel adds to that besides the message: names, lengths and the words of four commands.
const CHANNEL_BYTES: usize = 512;

/// Publishes to all `channels`; how many subscribers heard it.
pub(super) fn publish(
    store: &mut RedisStore,
    channels: &[String],
    message: &[u8],
    expire: Option<u32>,
) -> Result<u64, StoreError> {
    let expire = match expire.unwrap_or(store.expire_seconds()) {
        0 => None,
        seconds => Some(seconds.to_string()),
    };
    let channels_max = WRITE_BYTES
        / message
            .len()
            .saturating_mul(2)
            .saturating_add(CHANNEL_BYTES);
    let mut receivers = 0;
    for channels in channels.chunks(channels_max.max(1)) {
        let commands: Vec<Vec<&[u8]>> = channels
            .iter()
            .flat_map(|channel| commands(channel.as_bytes(), message, expire.as_deref()))
            .collect();
        let replies = store.pipeline(&commands)?;
        for answers in replies.chunks(commands.len() / channels.len()) {
            receivers += heard_by(answers)?;
        }
    }
    Ok(receivers)
}

/// What is said for one channel.
fn commands<'a>(
    channel: &'a [u8],
    message: &'a [u8],
    expire: Option<&'a str>,
) -> Vec<Vec<&'a [u8]>> {
    let publish = vec![&b"PUBLISH"[..], channel, message];
    let Some(expire) = expire else {
        return vec![publish];
    };
    vec![
        vec![b"MULTI"],
        vec![b"SETEX", channel, expire.as_bytes(), message],
        publish,
        vec![b"EXEC"],
    ]
}

/// The subscribers that PUBLISH counted, from the answers for one channel.
fn heard_by(answers: &[Reply]) -> Result<u64, StoreError> {
    let (results, queueing) = match answers.split_last() {
        Some((Reply::Array(results), queueing)) => (results.as_slice(), queueing),
        _ => (answers, &[][..]),
    };
    // The first error is the reason. EXEC's own only says that there was one.
    for answer in queueing.iter().chain(results) {
        if let Reply::Error(error) = answer {
            return Err(StoreError::Refused {
                error: error.clone(),
            });
        }
    }
    match results.last() {
        Some(Reply::Integer(receivers)) => Ok(u64::try_from(*receivers).unwrap_or(0)),
        _ => Err(StoreError::Malformed(Malformed::Syntax(
            "PUBLISH is answered with the number of receivers",
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn simple(text: &'static str) -> Reply {
        Reply::Simple(text.into())
    }

    #[test]
    fn the_first_error_of_a_transaction_is_the_reason() {
        let refusal = Reply::Error("OOM command not allowed".into());
        let discarded = Reply::Error("EXECABORT Transaction discarded".into());
        let queued = [simple("OK"), refusal.clone(), simple("QUEUED"), discarded];
        let executed = [
            simple("OK"),
            simple("QUEUED"),
            simple("QUEUED"),
            Reply::Array(vec![refusal.clone(), Reply::Integer(3)]),
        ];
        for answers in [&queued[..], &executed, &[refusal]] {
            let error = heard_by(answers).unwrap_err().to_string();
            assert!(error.contains("OOM"), "{error}");
        }
    }

    #[test]
    fn the_receivers_are_those_of_publish() {
        let executed = [
            simple("OK"),
            simple("QUEUED"),
            simple("QUEUED"),
            Reply::Array(vec![simple("OK"), Reply::Integer(3)]),
        ];
        assert!(matches!(heard_by(&executed), Ok(3)));
        assert!(matches!(heard_by(&[Reply::Integer(2)]), Ok(2)));
        for answers in [&[simple("OK")][..], &[Reply::Array(Vec::new())], &[]] {
            assert!(matches!(heard_by(answers), Err(StoreError::Malformed(_))));
        }
    }
}
