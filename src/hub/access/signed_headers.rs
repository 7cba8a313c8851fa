//! Were the identity headers written by somebody who has our key?
//!
//! A trusted address is as good as the network. Where that is not enough, the application signs what it says:
//!
//! ```text
//! X-Ws4redis-Signature: t=<unix seconds>,v1=<HMAC-SHA256 in hexadecimal>
//! ```
//!
//! The HMAC is over six lines joined by a line feed, without one at the end:
//!
//! ```text
//! ws4redis-identity-v1
//! <t, the same digits>
//! <the path of the request as the client sent it: not decoded, without the query>
//! <the value of X-Ws4redis-User, as sent (percent-encoded), or nothing>
//! <the value of X-Ws4redis-Groups, likewise>
//! <the value of X-Ws4redis-Session, likewise>
//! ```
//!
//! No value can hold a line feed, so no two requests have the same six lines. The path binds a signature to its
//! facility; within the greatest age it may be used again, as a cookie may.

use std::time::Duration;

use ring::hmac;
use thiserror::Error;

use super::identity::{GROUPS_HEADER, SESSION_HEADER, USER_HEADER};
use crate::config::Secret;
use crate::wire::http::{Field, Head};

/// The signature of the three identity headers.
pub const SIGNATURE_HEADER: &str = "X-Ws4redis-Signature";
/// How old a signature may be, unless told otherwise.
pub const MAX_AGE_DEFAULT: Duration = Duration::from_secs(60);

/// RFC 2104 3: a key shorter than the hash weakens it.
const KEY_BYTES_MIN: usize = 32;
const CONTEXT: &str = "ws4redis-identity-v1";
const TAG_BYTES: usize = 32;

/// The keys that signatures are made with, and how long these count.
#[derive(Debug)]
pub struct SignedHeaders {
    keys: Vec<hmac::Key>,
    max_age: Duration,
}

/// What is wrong with the keys: the operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SigningKeyError {
    /// There is none.
    #[error("signed headers need a key")]
    None,
    /// One is under 32 bytes.
    #[error(
        "key {number} of the signed headers has {bytes} bytes; it needs {KEY_BYTES_MIN} or more, random ones"
    )]
    Short {
        /// Which one, counted from 1.
        number: usize,
        /// Its length.
        bytes: usize,
    },
}

/// Why the headers are not believed: the fault of who signed them, or of who did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureRefused {
    /// There is no signature.
    #[error("the identity headers are not signed")]
    Missing,
    /// A header stands twice: the signature may be of the other one.
    #[error("an identity header or its signature stands more than once")]
    Repeated,
    /// Not `t=<digits>,v1=<64 hexadecimal digits>`.
    #[error(
        "the signature of the identity headers is not t=<unix seconds>,v1=<HMAC-SHA256 in hexadecimal>"
    )]
    Malformed,
    /// It was made too long ago, or is from the future by as much.
    #[error("the signature of the identity headers is too old, or the clocks differ")]
    Stale,
    /// None of the keys made it, or not for these headers and this path.
    #[error("the signature of the identity headers is wrong")]
    Wrong,
}

impl SignedHeaders {
    /// All keys count alike: to change one, add the new one here, then sign with it, then take the old one away.
    pub fn new(keys: &[Secret], max_age: Duration) -> Result<SignedHeaders, SigningKeyError> {
        if keys.is_empty() {
            return Err(SigningKeyError::None);
        }
        let keys = keys.iter().zip(1..).map(|(key, number)| {
            let key = key.reveal().trim().as_bytes();
            if key.len() < KEY_BYTES_MIN {
                let bytes = key.len();
                return Err(SigningKeyError::Short { number, bytes });
            }
            Ok(hmac::Key::new(hmac::HMAC_SHA256, key))
        });
        Ok(SignedHeaders {
            keys: keys.collect::<Result<_, _>>()?,
            max_age,
        })
    }

    /// May the identity headers of this request be believed at this time (since 1970)? A request without a
    /// signature is refused also if it names nobody: somebody may have taken the headers away.
    pub fn verify(&self, head: &Head<'_>, unix: Duration) -> Result<(), SignatureRefused> {
        let signature = value(head, SIGNATURE_HEADER)?;
        if signature.is_empty() {
            return Err(SignatureRefused::Missing);
        }
        let (time, tag) = parts(signature).ok_or(SignatureRefused::Malformed)?;
        let seconds = time.parse().map_err(|_| SignatureRefused::Malformed)?;
        let message = message(head, time)?;
        // Constant in time for each key, and all of them are tried only for a wrong one.
        let verified = |key| hmac::verify(key, &message, &tag).is_ok();
        if !self.keys.iter().any(verified) {
            return Err(SignatureRefused::Wrong);
        }
        if unix.abs_diff(Duration::from_secs(seconds)) > self.max_age {
            return Err(SignatureRefused::Stale);
        }
        Ok(())
    }
}

/// What is signed; see the top of this file.
fn message(head: &Head<'_>, time: &str) -> Result<Vec<u8>, SignatureRefused> {
    let (path, _) = head.split_target();
    let lines: [&[u8]; 6] = [
        CONTEXT.as_bytes(),
        time.as_bytes(),
        path.as_bytes(),
        value(head, USER_HEADER)?,
        value(head, GROUPS_HEADER)?,
        value(head, SESSION_HEADER)?,
    ];
    Ok(lines.join(&b'\n'))
}

/// A header's one value; an absent one is as good as an empty one, as for who reads them afterwards.
fn value<'a>(head: &Head<'a>, name: &str) -> Result<&'a [u8], SignatureRefused> {
    match head.field(name) {
        Field::Absent => Ok(b""),
        Field::Once(value) => Ok(value.trim_ascii()),
        Field::Repeated => Err(SignatureRefused::Repeated),
    }
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
    use crate::wire::http::with_head;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const KEY: &str = "a key for tests, of thirty-two bytes or so";
    const OLD_KEY: &str = "the key that was used until yesterday, also long";
    const HEADERS: &str =
        "X-Ws4redis-User: j%C3%B6rg\r\nX-Ws4redis-Groups: a,b%2Cc\r\nX-Ws4redis-Session: k3y\r\n";
    /// Made by another implementation:
    /// `printf 'ws4redis-identity-v1\n1700000000\n/ws/chat%%2F1\nj%%C3%%B6rg\na,b%%2Cc\nk3y' |
    /// openssl dgst -sha256 -hmac 'a key for tests, of thirty-two bytes or so'`
    const SIGNATURE: &str =
        "t=1700000000,v1=ee5c5b0c2c47190c7cd7afc46ee9ed37dbb4205b8097a00d68f956064c0d6306";

    fn verified(target: &str, fields: &str, unix: Duration) -> Result<(), SignatureRefused> {
        let keys = [OLD_KEY, KEY].map(|key| Secret::new(key.to_owned()));
        let signed = SignedHeaders::new(&keys, MAX_AGE_DEFAULT).unwrap();
        let text = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        with_head(text.as_bytes(), 8_192, |head, _| signed.verify(head, unix))
            .unwrap()
            .unwrap()
    }

    fn signed(fields: &str, signature: &str) -> Result<(), SignatureRefused> {
        let fields = format!("{fields}{SIGNATURE_HEADER}: {signature}\r\n");
        verified("/ws/chat%2F1?subscribe-user", &fields, NOW)
    }

    #[test]
    fn headers_signed_by_another_implementation_are_believed() {
        assert_eq!(signed(HEADERS, SIGNATURE), Ok(()));
        assert_eq!(
            signed(
                HEADERS,
                &SIGNATURE
                    .to_uppercase()
                    .replace("T=", "t=")
                    .replace("V1=", "v1=")
            ),
            Ok(())
        );
        // Its time is a part of what is signed, so ours need no clock but the argument.
        let fields = format!("{HEADERS}{SIGNATURE_HEADER}: {SIGNATURE}\r\n");
        for (seconds, verdict) in [
            (-60_i64, Ok(())),
            (60, Ok(())),
            (-61, Err(SignatureRefused::Stale)),
            (61, Err(SignatureRefused::Stale)),
        ] {
            let unix = Duration::from_secs(NOW.as_secs().saturating_add_signed(seconds));
            assert_eq!(
                verified("/ws/chat%2F1", &fields, unix),
                verdict,
                "{seconds}"
            );
        }
    }

    #[test]
    fn a_signature_is_of_these_headers_and_this_path_only() {
        for (from, to) in [
            ("j%C3%B6rg", "root"),
            ("j%C3%B6rg", "j%c3%b6rg"),
            ("X-Ws4redis-User: j%C3%B6rg\r\n", ""),
            ("a,b%2Cc", "a,b,c"),
            ("k3y", "k3Y"),
            ("X-Ws4redis-Session: k3y\r\n", ""),
        ] {
            let refused = signed(&HEADERS.replace(from, to), SIGNATURE);
            assert_eq!(refused, Err(SignatureRefused::Wrong), "{to}");
        }
        let fields = format!("{HEADERS}{SIGNATURE_HEADER}: {SIGNATURE}\r\n");
        for path in ["/ws/chat/1", "/ws/chat%2f1", "/ws/chat%2F1/"] {
            let refused = verified(path, &fields, NOW);
            assert_eq!(refused, Err(SignatureRefused::Wrong), "{path}");
        }
        let later = SIGNATURE.replace("1700000000", "1700000001");
        assert_eq!(signed(HEADERS, &later), Err(SignatureRefused::Wrong));
        for at in SIGNATURE.len() - 64..SIGNATURE.len() {
            let mut tampered = SIGNATURE.to_owned();
            let digit = if tampered.as_bytes()[at] == b'0' {
                "1"
            } else {
                "0"
            };
            tampered.replace_range(at..=at, digit);
            assert_eq!(signed(HEADERS, &tampered), Err(SignatureRefused::Wrong));
        }
    }

    #[test]
    fn headers_without_a_signature_or_with_two_of_something_are_refused() {
        assert_eq!(verified("/", HEADERS, NOW), Err(SignatureRefused::Missing));
        assert_eq!(verified("/", "", NOW), Err(SignatureRefused::Missing));
        assert_eq!(signed(HEADERS, ""), Err(SignatureRefused::Missing));
        for twice in [
            format!("{SIGNATURE_HEADER}: {SIGNATURE}\r\n"),
            "x-ws4redis-user: root\r\n".to_owned(),
            "X-Ws4redis-Groups:\r\n".to_owned(),
            "X-Ws4redis-Session: k3y\r\n".to_owned(),
        ] {
            let refused = signed(&format!("{HEADERS}{twice}"), SIGNATURE);
            assert_eq!(refused, Err(SignatureRefused::Repeated), "{twice}");
        }
    }

    #[test]
    fn a_signature_that_is_cut_or_written_otherwise_is_malformed() {
        for length in 1..SIGNATURE.len() {
            let refused = signed(HEADERS, &SIGNATURE[..length]);
            assert_eq!(refused, Err(SignatureRefused::Malformed), "{length}");
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
            let refused = signed(HEADERS, &SIGNATURE.replace(from, to));
            assert_eq!(refused, Err(SignatureRefused::Malformed), "{to}");
        }
        let signed_digits = format!("t=1700000000,v1={}", "+1".repeat(32));
        let refused = signed(HEADERS, &signed_digits);
        assert_eq!(refused, Err(SignatureRefused::Malformed));
    }

    #[test]
    fn keys_that_can_be_guessed_are_the_operators_fault() {
        let new = |keys: &[&str]| {
            let keys: Vec<_> = keys.iter().map(|key| Secret::new((*key).into())).collect();
            SignedHeaders::new(&keys, MAX_AGE_DEFAULT).map(|_| ())
        };
        assert_eq!(new(&[KEY]), Ok(()));
        assert_eq!(new(&[]), Err(SigningKeyError::None));
        let short = SigningKeyError::Short {
            number: 2,
            bytes: 5,
        };
        assert_eq!(new(&[KEY, " short\n"]), Err(short));
    }
}
