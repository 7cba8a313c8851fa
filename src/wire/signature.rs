//! `t=<unix seconds>,v1=<HMAC-SHA256 in hexadecimal>`: how an application signs what it says to a gateway.
//!
//! The HMAC is over lines joined by a line feed, without one at the end: the context, the digits of `t`, and what is
//! signed. The context says what the lines after it are, so that no signature counts where it was not meant for.
//! Whoever signs sees to it that no line but the last can hold a line feed: then no two contents have the same lines.

use std::time::Duration;

use ring::hmac;
use thiserror::Error;

/// RFC 2104 3: a key shorter than the hash weakens it.
const KEY_BYTES_MIN: usize = 32;
const TAG_BYTES: usize = 32;

/// The keys that signatures are made with, and how long these count.
#[derive(Debug)]
pub struct SigningKeys {
    keys: Vec<hmac::Key>,
    max_age: Duration,
}

/// What is wrong with the keys: the fault of who runs the program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SigningKeyError {
    /// There is none.
    #[error("there is no key")]
    None,
    /// One is under 32 bytes.
    #[error("key {number} has {bytes} bytes; it needs {KEY_BYTES_MIN} or more, random ones")]
    Short {
        /// Which one, counted from 1.
        number: usize,
        /// Its length.
        bytes: usize,
    },
}

/// What is wrong with a signature: the fault of who signed, or did not. A text about it begins with what it is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureFault {
    /// Not `t=<digits>,v1=<64 hexadecimal digits>`.
    #[error("is not t=<unix seconds>,v1=<HMAC-SHA256 in hexadecimal>")]
    Malformed,
    /// It was made too long ago, or is from the future by as much.
    #[error("is too old, or the clocks differ")]
    Stale,
    /// None of the keys made it, or not of these lines.
    #[error("is wrong")]
    Wrong,
}

impl SigningKeys {
    /// All keys count alike, and the first signs: to change one, add the new one below here, then put it first, then
    /// take the old one away.
    pub fn new<'a>(
        keys: impl IntoIterator<Item = &'a str>,
        max_age: Duration,
    ) -> Result<SigningKeys, SigningKeyError> {
        let keys = keys.into_iter().zip(1..).map(|(key, number)| {
            let key = key.trim().as_bytes();
            if key.len() < KEY_BYTES_MIN {
                let bytes = key.len();
                return Err(SigningKeyError::Short { number, bytes });
            }
            Ok(hmac::Key::new(hmac::HMAC_SHA256, key))
        });
        let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
        match keys.is_empty() {
            true => Err(SigningKeyError::None),
            false => Ok(SigningKeys { keys, max_age }),
        }
    }

    /// Did one of the keys make this signature of these lines, at about this time (since 1970)?
    pub fn verify(
        &self,
        signature: &[u8],
        context: &str,
        lines: &[&[u8]],
        unix: Duration,
    ) -> Result<(), SignatureFault> {
        let (time, tag) = parts(signature).ok_or(SignatureFault::Malformed)?;
        let seconds = time.parse().map_err(|_| SignatureFault::Malformed)?;
        let message = message(context, time, lines);
        // Constant in time for each key, and all of them are tried only for a wrong one.
        let verified = |key| hmac::verify(key, &message, &tag).is_ok();
        if !self.keys.iter().any(verified) {
            return Err(SignatureFault::Wrong);
        }
        if unix.abs_diff(Duration::from_secs(seconds)) > self.max_age {
            return Err(SignatureFault::Stale);
        }
        Ok(())
    }

    /// The first key's signature of these lines, at this time (since 1970).
    pub fn sign(&self, context: &str, lines: &[&[u8]], unix: Duration) -> String {
        let time = unix.as_secs().to_string();
        let message = message(context, &time, lines);
        let tag = self.keys.first().map(|key| hmac::sign(key, &message));
        let digits = tag.iter().flat_map(|tag| tag.as_ref());
        let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
        format!("t={time},v1={digits}")
    }
}

fn message(context: &str, time: &str, lines: &[&[u8]]) -> Vec<u8> {
    let head = [context.as_bytes(), time.as_bytes()];
    let all: Vec<&[u8]> = head.into_iter().chain(lines.iter().copied()).collect();
    all.join(&b'\n')
}

/// `t` and `v1` of a signature. Strict: whatever could be written in two ways is written in one.
fn parts(signature: &[u8]) -> Option<(&str, [u8; TAG_BYTES])> {
    let (time, tag) = str::from_utf8(signature).ok()?.split_once(',')?;
    let time = time.strip_prefix("t=")?;
    let digits = tag.strip_prefix("v1=")?.as_bytes();
    if !time.bytes().all(|byte| byte.is_ascii_digit()) || digits.len() != 2 * TAG_BYTES {
        return None;
    }
    let mut tag = [0; TAG_BYTES];
    for (byte, pair) in tag.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = str::from_utf8(pair).ok()?;
        // `from_str_radix` takes a sign.
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some((time, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const KEY: &str = "a key for tests, of thirty-two bytes or so";
    const OTHER: &str = "the key that was used until yesterday, also long";
    const MINUTE: Duration = Duration::from_secs(60);

    fn keys(keys: &[&str]) -> SigningKeys {
        SigningKeys::new(keys.iter().copied(), MINUTE).unwrap()
    }

    fn verified(signature: &str, context: &str, lines: &[&[u8]]) -> Result<(), SignatureFault> {
        keys(&[OTHER, KEY]).verify(signature.as_bytes(), context, lines, NOW)
    }

    #[test]
    fn what_the_first_key_signs_every_gateway_that_has_it_believes() {
        let signature = keys(&[KEY, OTHER]).sign("c", &[b"a", b"b"], NOW);
        assert_eq!(verified(&signature, "c", &[b"a", b"b"]), Ok(()));
        for (context, lines) in [
            ("d", &[&b"a"[..], b"b"][..]),
            ("c", &[b"a", b"B"]),
            ("c", &[b"ab"]),
            ("c", &[b"a"]),
        ] {
            let refused = verified(&signature, context, lines);
            assert_eq!(refused, Err(SignatureFault::Wrong));
        }
        let alone = keys(&[OTHER]).verify(signature.as_bytes(), "c", &[b"a", b"b"], NOW);
        assert_eq!(alone, Err(SignatureFault::Wrong));
    }

    #[test]
    fn a_signature_counts_for_a_minute_in_both_directions() {
        for (seconds, verdict) in [
            (-60_i64, Ok(())),
            (60, Ok(())),
            (-61, Err(SignatureFault::Stale)),
            (61, Err(SignatureFault::Stale)),
        ] {
            let then = Duration::from_secs(NOW.as_secs().saturating_add_signed(seconds));
            let signature = keys(&[KEY]).sign("c", &[], then);
            assert_eq!(verified(&signature, "c", &[]), verdict, "{seconds}");
        }
    }

    #[test]
    fn a_signature_that_is_cut_or_written_otherwise_is_malformed() {
        let whole = keys(&[KEY]).sign("c", &[], NOW);
        let malformed = |signature: &str| {
            let refused = verified(signature, "c", &[]);
            assert_eq!(refused, Err(SignatureFault::Malformed), "{signature}");
        };
        for length in 0..whole.len() {
            malformed(&whole[..length]);
        }
        for (from, to) in [
            ("t=", "t=+"),
            ("t=1700000000", "t="),
            ("t=", "t=99999999999999999999"),
            (",v1", ", v1"),
            ("v1=", "v0="),
            ("v1=", "v1=+"),
            ("v1=", "v1=00"),
            ("v1=", "v1=\u{e9}"),
        ] {
            malformed(&whole.replace(from, to));
        }
        malformed(&format!("t=1700000000,v1={}", "+1".repeat(32)));
    }

    #[test]
    fn keys_that_can_be_guessed_are_refused() {
        let new = |keys: &[&str]| SigningKeys::new(keys.iter().copied(), MINUTE).map(|_| ());
        assert_eq!(new(&[KEY]), Ok(()));
        assert_eq!(new(&[]), Err(SigningKeyError::None));
        let short = SigningKeyError::Short {
            number: 2,
            bytes: 5,
        };
        assert_eq!(new(&[KEY, " short\n"]), Err(short));
    }
}
