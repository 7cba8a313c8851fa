//! The permission callback: where the application is asked, and what that may cost.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::RedisAddress;

/// How the application is asked who a client is and what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackConfig {
    /// Where; it must be said if the application is to be asked.
    pub url: Option<CallbackUrl>,
    /// From the question to its answer, waiting for a connection included.
    pub timeout: Duration,
    /// Connections to the application, and so calls in flight: at most as many as it has workers to spare.
    pub connections_max: usize,
    /// Calls that may wait for a connection.
    pub queue_max: usize,
    /// Bytes of an answer's body.
    pub body_bytes_max: usize,
}

impl Default for CallbackConfig {
    fn default() -> CallbackConfig {
        CallbackConfig {
            url: None,
            timeout: Duration::from_secs(2),
            connections_max: 16,
            queue_max: 1_024,
            body_bytes_max: 64 << 10,
        }
    }
}

/// `http://host[:port][/path]` or `unix:/socket[:/path]`, as nginx writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackUrl {
    /// Where the application listens.
    pub address: RedisAddress,
    /// What stands in `Host`.
    pub host: String,
    /// Path and query to ask for.
    pub path: String,
}

/// Why a text is no URL that we can ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackUrlError {
    /// Neither `http://` nor `unix:/`.
    #[error(
        "must begin with http:// or unix:/, such as http://127.0.0.1:8080/ws4redis or unix:/run/app.sock:/ws4redis"
    )]
    Scheme,
    /// TLS, which we do not speak.
    #[error("must not be https://, TLS is not supported: ask the application on this machine")]
    Tls,
    /// No host, or one with characters that no host has.
    #[error("must have a host name or address before the path, and no user or password")]
    Host,
    /// No port number after the colon.
    #[error("must have a port from 1 to 65535 after the host's colon (an IPv6 host in brackets)")]
    Port,
    /// A path that cannot stand in a request.
    #[error("must have a path that begins with a slash, percent-encoded, without a fragment")]
    Path,
}

impl FromStr for CallbackUrl {
    type Err = CallbackUrlError;

    fn from_str(url: &str) -> Result<CallbackUrl, CallbackUrlError> {
        if let Some(rest) = url.strip_prefix("unix:") {
            let (socket, path) = rest.split_once(':').unwrap_or((rest, "/"));
            if !socket.starts_with('/') {
                return Err(CallbackUrlError::Scheme);
            }
            return Ok(CallbackUrl {
                address: RedisAddress::Unix(PathBuf::from(socket)),
                host: "localhost".to_owned(),
                path: checked_path(path)?,
            });
        }
        if url.starts_with("https://") {
            return Err(CallbackUrlError::Tls);
        }
        let rest = url
            .strip_prefix("http://")
            .ok_or(CallbackUrlError::Scheme)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority)?;
        Ok(CallbackUrl {
            address: RedisAddress::Tcp { host, port },
            host: authority.to_owned(),
            path: checked_path(if path.is_empty() { "/" } else { path })?,
        })
    }
}

impl fmt::Display for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            RedisAddress::Tcp { .. } => write!(f, "http://{}{}", self.host, self.path),
            RedisAddress::Unix(socket) => write!(f, "unix:{}:{}", socket.display(), self.path),
        }
    }
}

fn host_and_port(authority: &str) -> Result<(String, u16), CallbackUrlError> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => rest.split_once(']').ok_or(CallbackUrlError::Host)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(is_host) {
        return Err(CallbackUrlError::Host);
    }
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => 80,
        // `parse` alone would take a plus sign, which then stood in Host.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
            .parse()
            .ok()
            .filter(|port| *port > 0)
            .ok_or(CallbackUrlError::Port)?,
        _ => return Err(CallbackUrlError::Port),
    };
    Ok((host.to_owned(), port))
}

/// It is sent as it stands, so it must not be able to end the request line.
fn checked_path(path: &str) -> Result<String, CallbackUrlError> {
    let is_sent = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if path.starts_with('/') && path.bytes().all(is_sent) {
        Ok(path.to_owned())
    } else {
        Err(CallbackUrlError::Path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_to_connect_and_what_to_ask_for() {
        let tcp = |host: &str, port| RedisAddress::Tcp {
            host: host.to_owned(),
            port,
        };
        for (url, address, host, path) in [
            (
                "http://app:8080/ws4redis?v=1",
                tcp("app", 8080),
                "app:8080",
                "/ws4redis?v=1",
            ),
            ("http://10.0.0.1", tcp("10.0.0.1", 80), "10.0.0.1", "/"),
            ("http://[::1]:81/a", tcp("::1", 81), "[::1]:81", "/a"),
            (
                "unix:/run/app.sock:/a/b",
                RedisAddress::Unix("/run/app.sock".into()),
                "localhost",
                "/a/b",
            ),
            (
                "unix:/run/app.sock",
                RedisAddress::Unix("/run/app.sock".into()),
                "localhost",
                "/",
            ),
        ] {
            let parsed: CallbackUrl = url.parse().unwrap();
            assert_eq!(parsed.address, address, "{url}");
            assert_eq!((&*parsed.host, &*parsed.path), (host, path), "{url}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed), "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_work_says_what_to_change() {
        for (url, error) in [
            ("app:8080/a", CallbackUrlError::Scheme),
            ("unix:run/app.sock", CallbackUrlError::Scheme),
            ("https://app/a", CallbackUrlError::Tls),
            ("http:///a", CallbackUrlError::Host),
            ("http://user@app/a", CallbackUrlError::Host),
            ("http://a b/a", CallbackUrlError::Host),
            ("http://a\r\nX: y/a", CallbackUrlError::Host),
            ("http://[::1/a", CallbackUrlError::Host),
            ("http://app:/a", CallbackUrlError::Port),
            ("http://app:+80/a", CallbackUrlError::Port),
            ("http://app:0/a", CallbackUrlError::Port),
            ("http://app:65536/a", CallbackUrlError::Port),
            ("http://[::1]x/a", CallbackUrlError::Port),
            ("http://::1/a", CallbackUrlError::Host),
            ("http://app?a", CallbackUrlError::Path),
            ("http://app/a#b", CallbackUrlError::Path),
            ("http://app/a b", CallbackUrlError::Path),
            ("http://app/\r\nX: y", CallbackUrlError::Path),
            ("http://app/\u{e9}", CallbackUrlError::Path),
            ("unix:/run/app.sock:a", CallbackUrlError::Path),
        ] {
            assert_eq!(url.parse::<CallbackUrl>(), Err(error), "{url}");
        }
    }
}
