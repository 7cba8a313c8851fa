//! Who is it: a JSON Web Token (RFC 7519), signed by somebody whose key the operator gave us.
//!
//! A token says itself how it was signed, and believing it is the classic hole: `none`, or HS256 with the
//! *public* key as the secret. Here every key has one algorithm, fixed when the key was read; what a token says
//! only selects among the keys, and nothing but `alg`, `kid` and `crit` is read before the signature holds.

mod bearer;
mod claims;
mod keys;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::decode_header;
use thiserror::Error;

use self::claims::Payload;
use self::keys::Keys;
use crate::config::{JwtAlgorithm, Secret};
use crate::limits::TOKEN_BYTES_MAX;

pub use self::bearer::{Places, bearer};
pub use self::claims::Claims;
pub use self::keys::KeyError;

/// Whose tokens are believed.
#[derive(Debug, Clone)]
pub struct JwtConfig {
    /// The text of the key file: one public key in PEM, a JWKS document, or else a shared secret. White space
    /// around it is not part of it.
    pub keys: Secret,
    /// The algorithms that may be used; there is no default, so that nobody allows one without knowing.
    pub algorithms: Vec<JwtAlgorithm>,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must name. Without it, tokens that are for a named audience are refused.
    pub audience: Option<String>,
    /// By how much the clock of who issues tokens may differ from ours.
    pub leeway: Duration,
    /// Refuse tokens without `exp`: nobody could ever take them back.
    pub require_exp: bool,
}

/// Reads tokens and tells whether, and to whom, they were given.
#[derive(Debug)]
pub struct Verifier {
    keys: Keys,
    rules: Rules,
}

/// Why a token is refused: always the client's fault, or that of who gave it the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JwtRefused {
    /// Over [`TOKEN_BYTES_MAX`].
    #[error("the token is over {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    /// Not three parts of base64url, or a header without an algorithm that has a name; `none` is no algorithm.
    #[error("this is not a signed JSON Web Token")]
    Malformed,
    /// There is no key for its algorithm, or it is not allowed.
    #[error("the token is signed with an algorithm that is not allowed")]
    Algorithm,
    /// It names a key that we do not have, or none where there are several.
    #[error("the token does not say with which of the known keys it is signed")]
    UnknownKey,
    /// It was changed, or signed with another key.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is not what RFC 7519 or our documentation says.
    #[error("the token's claims are not of the expected types")]
    Claims,
    /// A claim holds a control character.
    #[error("a claim of the token holds a control character")]
    Control,
    /// A list is longer than [`CLAIM_NAMES_MAX`](crate::limits::CLAIM_NAMES_MAX).
    #[error("a claim of the token lists too many names")]
    TooMany,
    /// Its `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// It has no `exp`.
    #[error("the token does not say when it expires")]
    NoExpiry,
    /// Its `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// It comes from somebody else.
    #[error("the token is from another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("the token is for another audience")]
    Audience,
}

/// What a token must say, once its signature holds.
#[derive(Debug)]
struct Rules {
    issuer: Option<String>,
    audience: Option<String>,
    leeway: Duration,
    require_exp: bool,
}

impl Verifier {
    /// Reads the keys. What is wrong with them is told now, not when the first client comes.
    pub fn new(config: JwtConfig) -> Result<Verifier, KeyError> {
        Ok(Verifier {
            keys: Keys::read(config.keys.reveal(), &config.algorithms)?,
            rules: Rules {
                issuer: config.issuer,
                audience: config.audience,
                leeway: config.leeway,
                require_exp: config.require_exp,
            },
        })
    }

    /// What a token says, if it may be believed at this time (since 1970).
    pub fn verify(&self, token: &str, unix: Duration) -> Result<Claims, JwtRefused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(JwtRefused::TooLong);
        }
        let header = decode_header(token).map_err(|_| JwtRefused::Malformed)?;
        // RFC 7515 4.1.11: who does not understand an extension that is critical must refuse. We know none.
        if header.crit.is_some() {
            return Err(JwtRefused::Malformed);
        }
        let algorithm = named(header.alg).ok_or(JwtRefused::Algorithm)?;
        let key = self.keys.select(algorithm, header.kid.as_deref())?;
        let (message, signature) = token.rsplit_once('.').ok_or(JwtRefused::Malformed)?;
        let signature = URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| JwtRefused::Malformed)?;
        if !key.signed(message.as_bytes(), &signature) {
            return Err(JwtRefused::Signature);
        }
        // What is insecure about it was done above. The crate's own `decode` reads the clock, lets an `aud`
        // of the wrong type pass, and has its cryptography in a variable of the whole process.
        let payload: Payload = insecure_decode_claims(token).map_err(|_| JwtRefused::Claims)?;
        payload.checked(&self.rules, unix)
    }
}

/// The algorithm that a token names, if it is one of ours.
fn named(algorithm: jsonwebtoken::Algorithm) -> Option<JwtAlgorithm> {
    match algorithm {
        jsonwebtoken::Algorithm::HS256 => Some(JwtAlgorithm::Hs256),
        jsonwebtoken::Algorithm::RS256 => Some(JwtAlgorithm::Rs256),
        jsonwebtoken::Algorithm::ES256 => Some(JwtAlgorithm::Es256),
        jsonwebtoken::Algorithm::EdDSA => Some(JwtAlgorithm::EdDsa),
        _ => None,
    }
}
