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

use thiserror::Error;

use super::identity::{GROUPS_HEADER, SESSION_HEADER, USER_HEADER};
use crate::config::Secret;
use crate::wire::http::{Field, Head};
use crate::wire::signature::{SignatureFault, SigningKeyError, SigningKeys};

/// The signature of the three identity headers.
pub const SIGNATURE_HEADER: &str = "X-Ws4redis-Signature";
/// How old a signature may be, unless told otherwise.
pub const MAX_AGE_DEFAULT: Duration = Duration::from_secs(60);

const CONTEXT: &str = "ws4redis-identity-v1";

/// The keys that signatures are made with.
#[derive(Debug)]
pub struct SignedHeaders(SigningKeys);

/// Why the headers are not believed: the fault of who signed them, or of who did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureRefused {
    /// There is no signature.
    #[error("the identity headers are not signed")]
    Missing,
    /// A header stands twice: the signature may be of the other one.
    #[error("an identity header or its signature stands more than once")]
    Repeated,
    /// It is no signature of these headers and this path, or not any more.
    #[error("the signature of the identity headers {0}")]
    Bad(#[from] SignatureFault),
}

impl SignedHeaders {
    /// All keys count alike.
    pub fn new(keys: &[Secret], max_age: Duration) -> Result<SignedHeaders, SigningKeyError> {
        let keys = keys.iter().map(Secret::reveal);
        SigningKeys::new(keys, max_age).map(SignedHeaders)
    }

    /// May the identity headers of this request be believed at this time (since 1970)? A request without a
    /// signature is refused also if it names nobody: somebody may have taken the headers away.
    pub fn verify(&self, head: &Head<'_>, unix: Duration) -> Result<(), SignatureRefused> {
        let signature = value(head, SIGNATURE_HEADER)?;
        if signature.is_empty() {
            return Err(SignatureRefused::Missing);
        }
        let (path, _) = head.split_target();
        let lines: [&[u8]; 4] = [
            path.as_bytes(),
            value(head, USER_HEADER)?,
            value(head, GROUPS_HEADER)?,
            value(head, SESSION_HEADER)?,
        ];
        Ok(self.0.verify(signature, CONTEXT, &lines, unix)?)
    }
}

/// A header's one value; an absent one is as good as an empty one, as for who reads them afterwards.
fn value<'a>(head: &Head<'a>, name: &str) -> Result<&'a [u8], SignatureRefused> {
    match head.field(name) {
        Field::Absent => Ok(b""),
        Field::Once(value) => Ok(value.trim_ascii()),
        Field::Repeated => Err(SignatureRefused::Repeated),
    }
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
            (-61, Err(SignatureRefused::Bad(SignatureFault::Stale))),
            (61, Err(SignatureRefused::Bad(SignatureFault::Stale))),
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
            assert_eq!(
                refused,
                Err(SignatureRefused::Bad(SignatureFault::Wrong)),
                "{to}"
            );
        }
        let fields = format!("{HEADERS}{SIGNATURE_HEADER}: {SIGNATURE}\r\n");
        for path in ["/ws/chat/1", "/ws/chat%2f1", "/ws/chat%2F1/"] {
            let refused = verified(path, &fields, NOW);
            assert_eq!(
                refused,
                Err(SignatureRefused::Bad(SignatureFault::Wrong)),
                "{path}"
            );
        }
        let later = SIGNATURE.replace("1700000000", "1700000001");
        assert_eq!(
            signed(HEADERS, &later),
            Err(SignatureRefused::Bad(SignatureFault::Wrong))
        );
        for at in SIGNATURE.len() - 64..SIGNATURE.len() {
            let mut tampered = SIGNATURE.to_owned();
            let digit = if tampered.as_bytes()[at] == b'0' {
                "1"
            } else {
                "0"
            };
            tampered.replace_range(at..=at, digit);
            assert_eq!(
                signed(HEADERS, &tampered),
                Err(SignatureRefused::Bad(SignatureFault::Wrong))
            );
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
}
