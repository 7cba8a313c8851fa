//! Sessions of Django up to 3.0, and of 3.x with `DEFAULT_HASHING_ALGORITHM = "sha1"`: base64 of
//! `<hexadecimal HMAC>:<serialized>`, with no time in it.

use data_encoding::{BASE64, HEXLOWER};

use super::secrets::Signature;
use super::{Bad, Secrets};

/// What is in a session of the old form, verified if there are `secrets`.
pub(super) fn open(raw: &[u8], secrets: Option<&Secrets>) -> Result<Vec<u8>, Bad> {
    let bytes = BASE64.decode(raw).map_err(|_| Bad::NotASession)?;
    let colon = bytes
        .iter()
        .position(|&byte| byte == b':')
        .ok_or(Bad::NoSignature)?;
    let (signature, rest) = bytes.split_at_checked(colon).ok_or(Bad::NoSignature)?;
    let payload = rest.get(1..).unwrap_or_default();
    let signature = HEXLOWER
        .decode(signature)
        .ok()
        .and_then(|bytes| Signature::from_bytes(&bytes))
        .ok_or(Bad::NoSignature)?;
    if secrets.is_some_and(|secrets| !secrets.signed(SALT, payload, signature)) {
        return Err(Bad::WrongSignature);
    }
    Ok(payload.to_vec())
}

/// `SessionBase._hash`: no dot between the module and the class, and no word added.
const SALT: &str = "django.contrib.sessionsSessionStore";
