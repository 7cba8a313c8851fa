//! Where it is found out who a client is, and what each way needs to know.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::secret::KeyMaterial;
use super::{Invalid, Redis};

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

/// A Django `SESSION_ENGINE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DjangoEngine {
    /// `redis_sessions.session` of django-redis-sessions.
    RedisSessions,
    /// `cache` and `cached_db` of `django.contrib.sessions.backends`, on Redis.
    Cache,
    /// `django.contrib.sessions.backends.signed_cookies`.
    SignedCookies,
}

/// The words for [`DjangoEngine`].
pub(super) const ENGINES: [(&str, DjangoEngine); 3] = [
    ("redis_sessions", DjangoEngine::RedisSessions),
    ("cache", DjangoEngine::Cache),
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

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwtAlgorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

/// The words for [`JwtAlgorithm`], as in RFC 7518 and RFC 8037.
pub(super) const ALGORITHMS: [(&str, JwtAlgorithm); 4] = [
    ("HS256", JwtAlgorithm::Hs256),
    ("RS256", JwtAlgorithm::Rs256),
    ("ES256", JwtAlgorithm::Es256),
    ("EdDSA", JwtAlgorithm::EdDsa),
];

/// The application, and how patiently it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// Where it answers.
    pub url: Option<CallbackUrl>,
    /// From the question to the whole answer.
    pub timeout: Duration,
    /// Calls in flight, a connection each.
    pub connections_max: usize,
    /// Questions that wait for a connection.
    pub queue_max: usize,
}

/// `http://host[:port]/path` or `unix:/socket:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackUrl {
    /// Over TCP.
    Tcp {
        /// A name or an address, without brackets.
        host: String,
        /// 80 unless told otherwise.
        port: u16,
        /// The request target: a path, perhaps with a query.
        path: String,
    },
    /// Over a unix socket.
    Unix {
        /// The socket's file.
        socket: PathBuf,
        /// The request target.
        path: String,
    },
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

impl Default for Callback {
    fn default() -> Callback {
        Callback {
            url: None,
            timeout: Duration::from_secs(2),
            connections_max: 16,
            queue_max: 1_024,
        }
    }
}

impl FromStr for CallbackUrl {
    type Err = Invalid;

    fn from_str(url: &str) -> Result<CallbackUrl, Invalid> {
        // Not the URL itself: somebody may have put a password into it.
        let invalid = || {
            Invalid("must be http://host[:port]/path or unix:/socket:/path, without a user or a fragment".to_owned())
        };
        let is_strange = |c: char| !c.is_ascii_graphic() || "@#".contains(c);
        if url.starts_with("https://") {
            return Err(Invalid(
                "must be http:// or unix:, for TLS is not supported: use a proxy on this machine or a unix socket"
                    .to_owned(),
            ));
        }
        if url.contains(is_strange) {
            return Err(invalid());
        }
        if let Some(rest) = url.strip_prefix("unix:") {
            let (socket, path) = match rest.find(":/") {
                Some(colon) => (rest.get(..colon), rest.get(colon + 1..)),
                None => (Some(rest), Some("/")),
            };
            return match (socket, path) {
                (Some(socket), Some(path)) if socket.len() > 1 && socket.starts_with('/') => {
                    Ok(CallbackUrl::Unix {
                        socket: PathBuf::from(socket),
                        path: path.to_owned(),
                    })
                }
                _ => Err(invalid()),
            };
        }
        let rest = url.strip_prefix("http://").ok_or_else(invalid)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(invalid)?;
                (
                    host,
                    port.strip_prefix(':').or(port.is_empty().then_some("80")),
                )
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("80")),
            },
        };
        let port: u16 = port
            .and_then(|port| port.parse().ok())
            .ok_or_else(invalid)?;
        if host.is_empty() || host.contains(['?', '/']) || port == 0 {
            return Err(invalid());
        }
        Ok(CallbackUrl::Tcp {
            host: host.to_owned(),
            port,
            path: if path.is_empty() { "/" } else { path }.to_owned(),
        })
    }
}

/// As it is read.
impl fmt::Display for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallbackUrl::Tcp { host, port, path } if host.contains(':') => {
                write!(f, "http://[{host}]:{port}{path}")
            }
            CallbackUrl::Tcp { host, port, path } => write!(f, "http://{host}:{port}{path}"),
            CallbackUrl::Unix { socket, path } => write!(f, "unix:{}:{path}", socket.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_application_is_on_tcp_or_a_unix_socket_with_a_path() {
        for (url, shown) in [
            ("http://app", "http://app:80/"),
            ("http://app/ws/may?site=1", "http://app:80/ws/may?site=1"),
            ("http://127.0.0.1:8080/may", "http://127.0.0.1:8080/may"),
            ("http://[::1]/may", "http://[::1]:80/may"),
            ("http://[::1]:8080", "http://[::1]:8080/"),
            ("unix:/run/app.sock:/may", "unix:/run/app.sock:/may"),
            ("unix:/run/app.sock", "unix:/run/app.sock:/"),
        ] {
            let read: CallbackUrl = url.parse().unwrap();
            assert_eq!(read.to_string(), shown);
            assert_eq!(shown.parse(), Ok(read));
        }
    }

    #[test]
    fn an_address_that_cannot_be_asked_says_what_to_change_and_shows_no_password() {
        for url in [
            "",
            "app",
            "http://",
            "http://:80/",
            "http://app:0/",
            "http://app:x/",
            "http://a b/",
            "http://[::1",
            "http://[::1]x/",
            "http://app/#x",
            "http://me:hunter2@app/",
            "unix:",
            "unix:app.sock",
            "unix:/",
            "ftp://app/",
            "http://app?x=1",
        ] {
            let Invalid(must) = url.parse::<CallbackUrl>().unwrap_err();
            assert!(
                must.contains("unix:/socket:/path") && !must.contains("hunter2"),
                "{url}: {must}"
            );
        }
        let Invalid(tls) = "https://app/".parse::<CallbackUrl>().unwrap_err();
        assert!(tls.contains("TLS"), "{tls}");
    }
}
