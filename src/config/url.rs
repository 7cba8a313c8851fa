//! The URL of a Redis: `redis://[user[:password]@]host[:port][/db]`, `unix:///path?db=N`.
//!
//! The forms are those of redis-py's `from_url`, so that a site hands both the same. No error here repeats
//! any of the text: it may hold a password, and errors end up in logs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Redis, RedisAddress, Secret};

/// Why a text is no URL of a Redis that we can reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Neither `redis://` nor `unix://`.
    #[error("must begin with redis:// or unix://, such as redis://localhost:6379/0")]
    Scheme,
    /// TLS, which we do not speak.
    #[error(
        "must not be rediss://, TLS is not supported: put stunnel in between, or use a unix socket"
    )]
    Tls,
    /// No port number after the colon.
    #[error("must have a port from 1 to 65535 after the host's colon (an IPv6 host in brackets)")]
    Port,
    /// A host with characters that no host has.
    #[error("must have a host name or address; percent-encode @ : / ? # and % in a password")]
    Host,
    /// The path of `redis://` is the number of the database.
    #[error("must have nothing but the number of a database after the slash, such as /0")]
    Db,
    /// `unix://` without an absolute path.
    #[error("must have an absolute path, such as unix:///run/redis.sock?db=0")]
    Path,
    /// A parameter that means nothing here.
    #[error("must have no parameters after the question mark but db, username and password")]
    Parameter,
    /// Percent escapes that are not UTF-8.
    #[error("must be UTF-8 once its percent escapes are decoded")]
    Encoding,
    /// A user alone lets nobody in; more often it is a password that lacks its colon.
    #[error(
        "must have a password with the user; a password alone stands as redis://:password@host"
    )]
    UserAlone,
}

impl FromStr for Redis {
    type Err = UrlError;

    fn from_str(url: &str) -> Result<Redis, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or(UrlError::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        // The last @: whoever forgot to encode one in the password still reaches the right host.
        let (credentials, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (username, password) = match credentials.split_once(':') {
            Some((username, password)) => (username, Some(password)),
            None => (credentials, None),
        };
        let mut redis = Redis {
            username: Some(decode(username)?).filter(|name| !name.is_empty()),
            password: password.map(decode).transpose()?.map(Secret::new),
            ..Redis::default()
        };
        match scheme {
            "redis" => {
                redis.address = tcp(host)?;
                redis.db = database(path.trim_start_matches('/'))?;
            }
            "unix" if host.is_empty() && path.len() > 1 => {
                redis.address = RedisAddress::Unix(PathBuf::from(decode(path)?));
            }
            "unix" => return Err(UrlError::Path),
            "rediss" => return Err(UrlError::Tls),
            _ => return Err(UrlError::Scheme),
        }
        parameters(&mut redis, query)?;
        match redis {
            Redis {
                username: Some(_),
                password: None,
                ..
            } => Err(UrlError::UserAlone),
            _ => Ok(redis),
        }
    }
}

/// As it may be shown to anybody: with `***` for the password.
impl fmt::Display for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = match (&self.username, &self.password) {
            (None, None) => String::new(),
            (username, password) => format!(
                "{}{}@",
                utf8_percent_encode(username.as_deref().unwrap_or(""), RESERVED),
                if password.is_some() { ":***" } else { "" },
            ),
        };
        let db = self.db;
        match &self.address {
            RedisAddress::Tcp { host, port } if host.contains(':') => {
                write!(f, "redis://{credentials}[{host}]:{port}/{db}")
            }
            RedisAddress::Tcp { host, port } => {
                write!(f, "redis://{credentials}{host}:{port}/{db}")
            }
            RedisAddress::Unix(path) => {
                write!(f, "unix://{credentials}{}?db={db}", path.display())
            }
        }
    }
}

/// RFC 3986's unreserved characters stay as they are.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

fn decode(text: &str) -> Result<String, UrlError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| UrlError::Encoding)
}

fn tcp(authority: &str) -> Result<RedisAddress, UrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or(UrlError::Host)?;
            (host, port.strip_prefix(':').unwrap_or(port))
        }
        None => authority.split_once(':').unwrap_or((authority, "")),
    };
    if host.contains(|c: char| c.is_whitespace() || c.is_control() || "@#%".contains(c)) {
        return Err(UrlError::Host);
    }
    let port = match port {
        "" => 6379,
        port => port.parse().map_err(|_| UrlError::Port)?,
    };
    if port == 0 {
        return Err(UrlError::Port);
    }
    let host = if host.is_empty() { "localhost" } else { host };
    Ok(RedisAddress::Tcp {
        host: host.to_owned(),
        port,
    })
}

fn database(number: &str) -> Result<u32, UrlError> {
    match number {
        "" => Ok(0),
        number => number.parse().map_err(|_| UrlError::Db),
    }
}

fn parameters(redis: &mut Redis, query: &str) -> Result<(), UrlError> {
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').ok_or(UrlError::Parameter)?;
        match name {
            "db" => redis.db = database(value)?,
            "username" => redis.username = Some(decode(value)?),
            "password" => redis.password = Some(Secret::new(decode(value)?)),
            _ => return Err(UrlError::Parameter),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(url: &str) -> Redis {
        url.parse().unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn host(url: &str) -> (String, u16) {
        match redis(url).address {
            RedisAddress::Tcp { host, port } => (host, port),
            RedisAddress::Unix(path) => panic!("{url} is {}", path.display()),
        }
    }

    #[test]
    fn what_is_left_out_is_as_in_the_original() {
        assert_eq!(redis("redis://"), Redis::default());
        assert_eq!(redis("redis://localhost"), Redis::default());
        assert_eq!(redis("redis://localhost:6379/0"), Redis::default());
        assert_eq!(host("redis://10.0.0.1:7000/3"), ("10.0.0.1".into(), 7000));
        assert_eq!(host("redis://[::1]:7000"), ("::1".into(), 7000));
        assert_eq!(host("redis://[::1]"), ("::1".into(), 6379));
    }

    #[test]
    fn user_and_password_are_percent_decoded() {
        let john = redis("redis://john:p%40ss%2Fword@h/2");
        assert_eq!(john.username.as_deref(), Some("john"));
        assert_eq!(john.password.unwrap().reveal(), "p@ss/word");
        let nobody = redis("redis://:secret@h");
        assert_eq!(nobody.username, None);
        assert_eq!(nobody.password.unwrap().reveal(), "secret");
    }

    #[test]
    fn a_unix_socket_takes_its_database_and_password_as_parameters() {
        let redis = redis("unix:///run/redis.sock?db=3&password=s%26t");
        assert_eq!(redis.address, RedisAddress::Unix("/run/redis.sock".into()));
        assert_eq!((redis.db, redis.username), (3, None));
        assert_eq!(redis.password.unwrap().reveal(), "s&t");
    }

    #[test]
    fn a_url_that_cannot_work_says_what_to_change() {
        for (url, error) in [
            ("localhost:6379", UrlError::Scheme),
            ("http://localhost", UrlError::Scheme),
            ("rediss://localhost", UrlError::Tls),
            ("redis://localhost:x", UrlError::Port),
            ("redis://localhost:0", UrlError::Port),
            ("redis://::1", UrlError::Port),
            ("redis://[::1", UrlError::Host),
            ("redis://a b", UrlError::Host),
            ("redis://h/x", UrlError::Db),
            ("redis://h/1/2", UrlError::Db),
            ("unix://run/redis.sock", UrlError::Path),
            ("unix://", UrlError::Path),
            ("unix:///s?db=x", UrlError::Db),
            ("unix:///s?datbase=1", UrlError::Parameter),
            ("redis://:%ff@h", UrlError::Encoding),
            ("redis://secret@h", UrlError::UserAlone),
        ] {
            assert_eq!(url.parse::<Redis>(), Err(error), "{url}");
        }
    }

    #[test]
    fn a_password_is_seen_neither_in_the_url_nor_in_debugging_nor_in_an_error() {
        for url in [
            "redis://jo%3Ahn:hunter2@h:1/2",
            "unix:///s?password=hunter2&db=1",
        ] {
            let redis = redis(url);
            assert!(!format!("{redis} {redis:?}").contains("hunter2"), "{url}");
            assert!(redis.to_string().contains("***"), "{url}");
        }
        assert_eq!(
            redis("redis://jo%3Ahn:hunter2@h:1/2").to_string(),
            "redis://jo%3Ahn:***@h:1/2"
        );
        for url in ["hunter2", "redis://hunter2@h", "redis://:hunter2@h:hunter2"] {
            let error = url.parse::<Redis>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{url}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for url in [
            "redis://localhost:6379/0",
            "redis://[::1]:7000/3",
            "unix:///run/redis.sock?db=3",
        ] {
            assert_eq!(redis(url).to_string(), url);
        }
    }
}
