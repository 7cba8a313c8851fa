//! Where it is found out who a client is, and what each way needs to know.

use std::time::Duration;

use super::Redis;
use super::secret::KeyMaterial;

/// One way to find out who a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Django's session, in Redis or in the cookie.
    Django,
    /// The `X-Ws4redis-*` headers of a trusted peer.
    Headers,
    /// A JSON Web Token.
    Jwt,
    /// The application, asked over HTTP.
    Callback,
    /// The session cookie's value as it stands, which proves nothing but that somebody knows it. Gives a session,
    /// never a user.
    Cookie,
}

/// The words for [`Source`].
pub(super) const SOURCES: [(&str, Source); 5] = [
    ("django", Source::Django),
    ("headers", Source::Headers),
    ("jwt", Source::Jwt),
    ("callback", Source::Callback),
    ("cookie", Source::Cookie),
];

/// How a Django site keeps its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Django {
    /// The `SESSION_ENGINE`.
    pub engine: DjangoEngine,
    /// `SESSION_REDIS_PREFIX`, or the cache's `KEY_PREFIX`.
    pub key_prefix: String,
    /// The cache's `VERSION`.
    pub version: u32,
    /// Where the sessions are, if not where the messages are.
    pub redis: Option<Redis>,
    /// `SECRET_KEY`, and below it those of `SECRET_KEY_FALLBACKS`.
    pub secret_key: Option<KeyMaterial>,
    /// How old a signed session may be: Django's `SESSION_COOKIE_AGE`.
    pub max_age: Duration,
    /// Who is meant when a session holds no `ws4redis:username`.
    pub username_fallback: UsernameFallback,
}

/// Which of Django's session engines keeps the sessions (`SESSION_ENGINE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DjangoEngine {
    /// `redis_sessions.session`, of django-redis-sessions.
    RedisSessions,
    /// `django.contrib.sessions.backends.cache` on Django's own Redis cache or on django-redis.
    Cache,
    /// `django.contrib.sessions.backends.cached_db` on the same: other keys, the same values.
    CachedDb,
    /// `django.contrib.sessions.backends.signed_cookies`: the cookie is the session.
    SignedCookies,
}

impl DjangoEngine {
    /// Does it keep sessions in Redis? Else the cookie is all there is.
    pub fn is_in_redis(self) -> bool {
        self != DjangoEngine::SignedCookies
    }
}

/// The words for [`DjangoEngine`].
pub(super) const ENGINES: [(&str, DjangoEngine); 4] = [
    ("redis_sessions", DjangoEngine::RedisSessions),
    ("cache", DjangoEngine::Cache),
    ("cached_db", DjangoEngine::CachedDb),
    ("signed_cookies", DjangoEngine::SignedCookies),
];

/// Who is meant when a session names only an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsernameFallback {
    /// Nobody.
    None,
    /// The user whose name is the id (`_auth_user_id`).
    Id,
}

/// The words for [`UsernameFallback`].
pub(super) const FALLBACKS: [(&str, UsernameFallback); 2] = [
    ("none", UsernameFallback::None),
    ("id", UsernameFallback::Id),
];

/// Which tokens are accepted, and where they are looked for besides `Authorization` and the subprotocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwt {
    /// A shared secret, a public key in PEM, or a JWKS document.
    pub keys: Option<KeyMaterial>,
    /// Those that are accepted. The token's own word for it counts for nothing.
    pub algorithms: Vec<JwtAlgorithm>,
    /// What `iss` must be.
    pub issuer: Option<String>,
    /// What `aud` must be, or have among it.
    pub audience: Option<String>,
    /// A cookie that holds the token.
    pub cookie: Option<String>,
    /// A parameter of the query that holds the token. Queries stand in the logs of proxies.
    pub query: Option<String>,
    /// By how much clocks may differ.
    pub leeway: Duration,
    /// Is a token without `exp` refused?
    pub require_exp: bool,
}

/// How a token may be signed (RFC 7518 3.1, RFC 8037 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl JwtAlgorithm {
    /// Each once.
    pub const ALL: [JwtAlgorithm; 4] = [
        JwtAlgorithm::Hs256,
        JwtAlgorithm::Rs256,
        JwtAlgorithm::Es256,
        JwtAlgorithm::EdDsa,
    ];

    /// Its name in the registry of RFC 7518.
    pub fn word(self) -> &'static str {
        match self {
            JwtAlgorithm::Hs256 => "HS256",
            JwtAlgorithm::Rs256 => "RS256",
            JwtAlgorithm::Es256 => "ES256",
            JwtAlgorithm::EdDsa => "EdDSA",
        }
    }
}

/// The words for [`JwtAlgorithm`].
pub(super) fn algorithms() -> [(&'static str, JwtAlgorithm); 4] {
    JwtAlgorithm::ALL.map(|algorithm| (algorithm.word(), algorithm))
}

impl Default for Django {
    fn default() -> Django {
        Django {
            engine: DjangoEngine::RedisSessions,
            key_prefix: String::new(),
            version: 1,
            redis: None,
            secret_key: None,
            max_age: Duration::from_secs(14 * 86_400),
            username_fallback: UsernameFallback::None,
        }
    }
}

impl Default for Jwt {
    fn default() -> Jwt {
        Jwt {
            keys: None,
            algorithms: Vec::new(),
            issuer: None,
            audience: None,
            cookie: None,
            query: None,
            leeway: Duration::from_secs(30),
            require_exp: true,
        }
    }
}
