//! Tokens of `django.core.signing.dumps`, since Django 3.1: `[.]<base64>:<time in base 62>:<signature>`.
//!
//! The dot says that zlib was used, and everything before the last colon is signed. A compressed payload is
//! inflated only behind its signature, and never beyond a bound: where no key is given anybody who can write to
//! Redis could leave a bomb.

use std::io::Read;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use flate2::read::ZlibDecoder;

use super::secrets::Signature;
use super::{Bad, Secrets};
use crate::limits::DJANGO_SESSION_BYTES_MAX;

/// What is in a token, verified if there are `secrets`.
pub(super) fn open(
    token: &[u8],
    salt: &str,
    secrets: Option<&Secrets>,
    unix: Duration,
    max_age: Option<Duration>,
) -> Result<Vec<u8>, Bad> {
    let (value, signature) = split_at_last_colon(token).ok_or(Bad::NoSignature)?;
    let signature = BASE64URL_NOPAD
        .decode(signature)
        .ok()
        .and_then(|bytes| Signature::from_bytes(&bytes))
        .ok_or(Bad::NoSignature)?;
    // `Signer` adds a word to the salt, so that the key of a signature is no other salted key.
    let salt = format!("{salt}signer");
    match (secrets, signature) {
        (Some(secrets), _) if secrets.signed(&salt, value, signature) => {}
        (Some(_), _) => return Err(Bad::WrongSignature),
        (None, Signature::Sha256(_)) => {}
        // No Django signs a token for Redis with SHA-1, but one that is cut off may look as if.
        (None, Signature::Sha1(_)) => return Err(Bad::NoSignature),
    }
    let (data, time) = split_at_last_colon(value).ok_or(Bad::NotASession)?;
    // A time to come is young, as in Django: clocks of two machines differ.
    let age = unix.saturating_sub(from_base62(time).ok_or(Bad::NotASession)?);
    if max_age.is_some_and(|max_age| age > max_age) {
        return Err(Bad::Expired);
    }
    let decode = |data| BASE64URL_NOPAD.decode(data).map_err(|_| Bad::NotASession);
    match data.strip_prefix(b".") {
        Some(compressed) => inflate(&decode(compressed)?),
        None => decode(data),
    }
}

fn split_at_last_colon(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().rposition(|&byte| byte == b':')?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

/// Seconds since 1970 in Django's base 62: digits, capitals, small letters.
fn from_base62(digits: &[u8]) -> Option<Duration> {
    let mut seconds: u64 = 0;
    for &digit in digits {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'A'..=b'Z' => digit - b'A' + 10,
            b'a'..=b'z' => digit - b'a' + 36,
            _ => return None,
        };
        seconds = seconds.checked_mul(62)?.checked_add(value.into())?;
    }
    (!digits.is_empty()).then_some(Duration::from_secs(seconds))
}

/// Zlib, up to the bound. A thousand bytes can ask for a million.
fn inflate(compressed: &[u8]) -> Result<Vec<u8>, Bad> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(compressed)
        .take(DJANGO_SESSION_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| Bad::NotASession)?;
    if bytes.len() > DJANGO_SESSION_BYTES_MAX {
        return Err(Bad::TooBig);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    #[test]
    fn times_are_read_as_django_writes_them_and_never_overflow() {
        let seconds = |digits: &str| from_base62(digits.as_bytes()).map(|time| time.as_secs());
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds("z"), Some(61));
        assert_eq!(seconds("10"), Some(62));
        assert_eq!(seconds("1uRhRU"), Some(1_750_209_500));
        for bad in ["", "-1", "1_0", "zzzzzzzzzzzz", "1\u{e9}"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bomb_is_not_inflated_beyond_the_bound() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&vec![b' '; 64 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < DJANGO_SESSION_BYTES_MAX);
        assert_eq!(inflate(&bomb), Err(Bad::TooBig));
    }

    #[test]
    fn what_ends_before_its_end_is_refused() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(b"{\"a\":\"aaaaaaaaaaaaaa\"}").unwrap();
        let whole = encoder.finish().unwrap();
        assert!(inflate(&whole).is_ok());
        for end in 0..whole.len() {
            assert_eq!(inflate(&whole[..end]), Err(Bad::NotASession), "{end}");
        }
    }
}
