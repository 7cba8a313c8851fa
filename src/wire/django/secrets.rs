//! The site's keys, and the two signatures that Django makes with them.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// `SECRET_KEY` and `SECRET_KEY_FALLBACKS`: whoever knows one of them can be anybody, so they are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets {
    keys: Vec<Vec<u8>>,
}

/// An HMAC, named after the hash that made it (`DEFAULT_HASHING_ALGORITHM` up to Django 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signature {
    /// The default of tokens since Django 3.1.
    Sha256([u8; 32]),
    /// All that was before. What is broken in SHA-1, collisions, does not help to forge an HMAC.
    Sha1([u8; 20]),
}

impl Secrets {
    /// The key that signs now and those that did before; `None` if one of them is empty, since that would be a
    /// key that everybody knows.
    pub fn new<K: Into<Vec<u8>>>(
        secret_key: impl Into<Vec<u8>>,
        fallbacks: impl IntoIterator<Item = K>,
    ) -> Option<Secrets> {
        let mut keys = vec![secret_key.into()];
        keys.extend(fallbacks.into_iter().map(Into::into));
        keys.iter()
            .all(|key| !key.is_empty())
            .then_some(Secrets { keys })
    }

    /// Whether one of the keys made this signature of `value`, as `salted_hmac` of Django does: the salt and the
    /// secret are hashed into the key of the HMAC. Compared in constant time.
    pub(super) fn signed(&self, salt: &str, value: &[u8], signature: Signature) -> bool {
        self.keys.iter().any(|secret| match signature {
            Signature::Sha256(tag) => {
                let key = Sha256::new()
                    .chain_update(salt)
                    .chain_update(secret)
                    .finalize();
                Hmac::<Sha256>::new_from_slice(&key)
                    .is_ok_and(|hmac| hmac.chain_update(value).verify_slice(&tag).is_ok())
            }
            Signature::Sha1(tag) => {
                let key = Sha1::new()
                    .chain_update(salt)
                    .chain_update(secret)
                    .finalize();
                Hmac::<Sha1>::new_from_slice(&key)
                    .is_ok_and(|hmac| hmac.chain_update(value).verify_slice(&tag).is_ok())
            }
        })
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({} masked)", self.keys.len())
    }
}

impl Signature {
    /// By its length.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Signature> {
        let sha256 = bytes.try_into().map(Signature::Sha256);
        sha256
            .or_else(|_| bytes.try_into().map(Signature::Sha1))
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Secrets;

    #[test]
    fn secrets_are_not_shown_and_an_empty_one_is_none() {
        let secrets = Secrets::new("c0rrect", ["h0rse"]).unwrap();
        assert_eq!(format!("{secrets:?}"), "Secrets(2 masked)");
        assert!(Secrets::new("", ["h0rse"]).is_none());
        assert!(Secrets::new("c0rrect", [""]).is_none());
    }
}
