//! From the operator's key file to keys that have one algorithm each.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{DecodingKey, DecodingKeyKind};
use ring::hmac;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use serde::Deserialize;
use thiserror::Error;

use super::JwtRefused;
use crate::config::JwtAlgorithm;

/// RFC 7518 3.2: a secret must have as many bits as the hash; a shorter one can be guessed from one token.
const SECRET_BYTES_MIN: usize = 32;
/// 2048 bits (RFC 7518 3.3).
const MODULUS_BYTES_MIN: usize = 256;
/// What DER puts around a modulus in an `RSAPublicKey`, at least.
const DER_AROUND_MODULUS: usize = 12;

/// What is wrong with the keys: the operator's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Nothing but white space.
    #[error("the key file is empty")]
    Empty,
    /// No algorithm is allowed.
    #[error("name the algorithms that tokens may be signed with: HS256, RS256, ES256 or EdDSA")]
    NoAlgorithm,
    /// HS256 together with a public key.
    #[error(
        "HS256 is allowed, but the file holds a public key: whoever has that could sign tokens with it; \
         allow only RS256, ES256 or EdDSA"
    )]
    PublicSecret,
    /// What only the issuer should have.
    #[error(
        "the file holds a private key; give the gateway the public one and keep this where tokens are made"
    )]
    Private,
    /// A certificate, not a key.
    #[error("the file holds a certificate; take its key: openssl x509 -pubkey -noout")]
    Certificate,
    /// Several PEM blocks.
    #[error("the file holds several keys in PEM; more than one key goes into a JWKS document")]
    SeveralPem,
    /// Not a key in PEM that we can read.
    #[error("the file is not a public key in PEM: RSA, ECDSA on P-256, or Ed25519")]
    Pem,
    /// OpenSSH's own format.
    #[error("the file holds a key of OpenSSH; convert it: ssh-keygen -e -m PKCS8")]
    OpenSsh,
    /// JSON, but not a set of keys.
    #[error("the file is not a JWKS document: {0}")]
    Jwks(String),
    /// Two keys that no token could tell apart.
    #[error("two {algorithm} keys of the JWKS document have the id {id:?}")]
    SameId {
        /// Their `kid`.
        id: String,
        /// Their algorithm.
        algorithm: &'static str,
    },
    /// A shared secret under 32 bytes.
    #[error("the secret has {0} bytes; HS256 needs {SECRET_BYTES_MIN} or more, random ones")]
    ShortSecret(usize),
    /// An RSA key under 2048 bits.
    #[error("the RSA key is too short; it needs 2048 bits or more")]
    ShortRsa,
    /// No key for any allowed algorithm.
    #[error("the file has no key for {0}")]
    NoKey(String),
}

/// The keys of one file.
#[derive(Debug)]
pub(super) enum Keys {
    /// The only one, whatever a token calls it.
    One(Key),
    /// Those of a JWKS document with their ids.
    Set(Vec<(Option<String>, Key)>),
}

/// A key, and the one algorithm that it may be used with.
#[derive(Debug)]
pub(super) struct Key {
    algorithm: JwtAlgorithm,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Secret(hmac::Key),
    Public(UnparsedPublicKey<Vec<u8>>),
    Rsa(PublicKeyComponents<Vec<u8>>),
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

impl Keys {
    /// Reads a key file. Keys for algorithms that are not allowed are left out.
    pub(super) fn read(text: &str, allowed: &[JwtAlgorithm]) -> Result<Keys, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if allowed.is_empty() {
            return Err(KeyError::NoAlgorithm);
        }
        let keys = if text.contains("-----BEGIN ") {
            Keys::One(Key::from_pem(text)?)
        } else if text.starts_with('{') {
            Keys::Set(from_jwks(text)?)
        } else if ["ssh-", "ecdsa-sha2-"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            return Err(KeyError::OpenSsh);
        } else {
            Keys::One(Key::from_secret(text.as_bytes())?)
        };
        // With one algorithm to a key it could do no harm here. But a site that writes this down believes that
        // the key is a secret, and the next program that reads the same settings may believe it too.
        if allowed.contains(&JwtAlgorithm::Hs256)
            && keys.any(|key| key.algorithm != JwtAlgorithm::Hs256)
        {
            return Err(KeyError::PublicSecret);
        }
        let keys = match keys {
            Keys::Set(mut set) => {
                set.retain(|(_, key)| allowed.contains(&key.algorithm));
                Keys::Set(set)
            }
            one => one,
        };
        if !keys.any(|key| allowed.contains(&key.algorithm)) {
            let words: Vec<&str> = allowed.iter().map(|algorithm| algorithm.word()).collect();
            return Err(KeyError::NoKey(words.join(" or ")));
        }
        Ok(keys)
    }

    /// The key that a token says it is signed with.
    pub(super) fn select(
        &self,
        algorithm: JwtAlgorithm,
        id: Option<&str>,
    ) -> Result<&Key, JwtRefused> {
        if !self.any(|key| key.algorithm == algorithm) {
            return Err(JwtRefused::Algorithm);
        }
        match self {
            Keys::One(key) => Ok(key),
            Keys::Set(set) => {
                let mut fitting = set
                    .iter()
                    .filter(|(known, key)| {
                        key.algorithm == algorithm && (id.is_none() || known.as_deref() == id)
                    })
                    .map(|(_, key)| key);
                match (fitting.next(), fitting.next()) {
                    (Some(key), None) => Ok(key),
                    _ => Err(JwtRefused::UnknownKey),
                }
            }
        }
    }

    fn any(&self, fits: impl Fn(&Key) -> bool) -> bool {
        match self {
            Keys::One(key) => fits(key),
            Keys::Set(set) => set.iter().any(|(_, key)| fits(key)),
        }
    }
}

impl Key {
    /// Is this the signature of `message` by this key?
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.material {
            Material::Secret(secret) => hmac::verify(secret, message, signature),
            Material::Public(key) => key.verify(message, signature),
            Material::Rsa(key) => key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        };
        verified.is_ok()
    }

    fn from_secret(secret: &[u8]) -> Result<Key, KeyError> {
        if secret.len() < SECRET_BYTES_MIN {
            return Err(KeyError::ShortSecret(secret.len()));
        }
        Ok(Key {
            algorithm: JwtAlgorithm::Hs256,
            material: Material::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)),
        })
    }

    fn from_pem(text: &str) -> Result<Key, KeyError> {
        if text.contains("PRIVATE KEY-----") {
            return Err(KeyError::Private);
        }
        if text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(KeyError::Certificate);
        }
        if text.matches("-----BEGIN ").count() > 1 {
            return Err(KeyError::SeveralPem);
        }
        let pem = text.as_bytes();
        let key = DecodingKey::from_rsa_pem(pem)
            .map(|key| Key::from_public(JwtAlgorithm::Rs256, &key))
            .or_else(|_| {
                DecodingKey::from_ec_pem(pem).map(|key| Key::from_public(JwtAlgorithm::Es256, &key))
            })
            .or_else(|_| {
                DecodingKey::from_ed_pem(pem).map(|key| Key::from_public(JwtAlgorithm::EdDsa, &key))
            });
        key.map_err(|_| KeyError::Pem)?
    }

    /// `None` is a key that RFC 7517 5 wants ignored, or one for another purpose.
    fn from_jwk(jwk: &Jwk) -> Option<Result<Key, KeyError>> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::OctetKey(_) => JwtAlgorithm::Hs256,
            AlgorithmParameters::RSA(_) => JwtAlgorithm::Rs256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                JwtAlgorithm::Es256
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                JwtAlgorithm::EdDsa
            }
            _ => return None,
        };
        let common = &jwk.common;
        let is_for_signatures =
            matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
                && common
                    .key_operations
                    .as_ref()
                    .is_none_or(|operations| operations.contains(&KeyOperations::Verify))
                && common
                    .key_algorithm
                    .is_none_or(|named| named.to_string() == algorithm.word());
        if !is_for_signatures {
            return None;
        }
        if let AlgorithmParameters::OctetKey(key) = &jwk.algorithm {
            let secret = URL_SAFE_NO_PAD.decode(&key.value).ok()?;
            return Some(Key::from_secret(&secret));
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        match Key::from_public(algorithm, &key) {
            Err(KeyError::Pem) => None,
            key => Some(key),
        }
    }

    fn from_public(algorithm: JwtAlgorithm, key: &DecodingKey) -> Result<Key, KeyError> {
        let public = |algorithm, bytes: &[u8]| {
            Material::Public(UnparsedPublicKey::new(algorithm, bytes.to_vec()))
        };
        let material = match (algorithm, key.kind()) {
            (JwtAlgorithm::Rs256, DecodingKeyKind::RsaModulusExponent { n, e }) => {
                let (n, e) = (without_zeros(n), without_zeros(e));
                if n.len() < MODULUS_BYTES_MIN {
                    return Err(KeyError::ShortRsa);
                }
                Material::Rsa(PublicKeyComponents { n, e })
            }
            (JwtAlgorithm::Rs256, DecodingKeyKind::SecretOrDer(der)) => {
                if der.len() < MODULUS_BYTES_MIN + DER_AROUND_MODULUS {
                    return Err(KeyError::ShortRsa);
                }
                public(&RSA_PKCS1_2048_8192_SHA256, der)
            }
            // An uncompressed point (SEC 1 2.3.3) of P-256; other curves have other lengths.
            (JwtAlgorithm::Es256, DecodingKeyKind::SecretOrDer(point))
                if point.len() == 65 && point.first() == Some(&4) =>
            {
                public(&ECDSA_P256_SHA256_FIXED, point)
            }
            (JwtAlgorithm::EdDsa, DecodingKeyKind::SecretOrDer(point)) if point.len() == 32 => {
                public(&ED25519, point)
            }
            _ => return Err(KeyError::Pem),
        };
        Ok(Key {
            algorithm,
            material,
        })
    }
}

fn from_jwks(text: &str) -> Result<Vec<(Option<String>, Key)>, KeyError> {
    let jwks: Jwks =
        serde_json::from_str(text).map_err(|error| KeyError::Jwks(error.to_string()))?;
    let mut set: Vec<(Option<String>, Key)> = Vec::new();
    for value in jwks.keys {
        if value.get("d").is_some() {
            return Err(KeyError::Private);
        }
        let Ok(jwk) = Jwk::deserialize(value) else {
            continue;
        };
        let Some(key) = Key::from_jwk(&jwk) else {
            continue;
        };
        let (id, key) = (jwk.common.key_id, key?);
        if let Some(id) = &id
            && set.iter().any(|(known, other)| {
                known.as_ref() == Some(id) && other.algorithm == key.algorithm
            })
        {
            return Err(KeyError::SameId {
                id: id.clone(),
                algorithm: key.algorithm.word(),
            });
        }
        set.push((id, key));
    }
    Ok(set)
}

/// RFC 7518 6.3.1.1 forbids leading zeros; some issuers write one all the same, and ring refuses it.
fn without_zeros(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    number.get(zeros..).unwrap_or_default().to_vec()
}
