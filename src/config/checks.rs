//! What must hold for a [`Config`] as a whole.

use std::net::SocketAddr;

use super::{Config, Listen};
use crate::limits::Unfit;

impl Config {
    /// The configuration, if everything in it is usable and goes together.
    pub fn checked(self) -> Result<Config, Unfit> {
        let must = |key, holds: bool, must: &str| match holds {
            true => Ok(()),
            false => Err(Unfit {
                key,
                must: must.to_owned(),
            }),
        };
        let url = &self.websocket_url;
        must(
            "websocket_url",
            url.starts_with('/') && url.ends_with('/'),
            "must begin and end with a slash, such as /ws/",
        )?;
        must(
            "websocket_url",
            !url.contains(|c: char| c.is_whitespace() || c.is_control() || "?#%".contains(c)),
            "must be a plain path: no blanks, no ?, #, or percent escapes",
        )?;
        // An empty text would swallow nothing and send empty frames for ever.
        must(
            "heartbeat",
            self.heartbeat.as_deref() != Some(""),
            "must not be empty; leave it out for no heartbeat",
        )?;
        must(
            "session_cookie",
            is_token(&self.session_cookie),
            "must be a cookie's name: letters, digits, - and _ (RFC 6265 4.1.1)",
        )?;
        must(
            "listen",
            !self.listen.is_empty(),
            "must name at least one address",
        )?;
        // It knows no passwords: whoever reaches it reads and writes everything.
        must(
            "embedded",
            self.embedded
                .is_none_or(|address| address.ip().is_loopback()),
            "must be a loopback address, such as 127.0.0.1:6380; use a real Redis for other machines",
        )?;
        self.check_addresses()?;
        Ok(Config {
            limits: self.limits.checked()?,
            ..self
        })
    }

    /// Two listeners on one address: the second would fail to start, and not say why.
    fn check_addresses(&self) -> Result<(), Unfit> {
        let clash = |key, other: &str| Unfit {
            key,
            must: format!("must not be an address of {other} too"),
        };
        let tcp = || {
            self.listen.iter().filter_map(|listen| match listen {
                Listen::Tcp(address) => Some(*address),
                Listen::Unix { .. } => None,
            })
        };
        let same = |a: SocketAddr, b: SocketAddr| a == b && a.port() != 0;
        for (at, listen) in self.listen.iter().enumerate() {
            let twice = self
                .listen
                .iter()
                .skip(at + 1)
                .any(|other| match (listen, other) {
                    (Listen::Tcp(a), Listen::Tcp(b)) => same(*a, *b),
                    (Listen::Unix { path: a, .. }, Listen::Unix { path: b, .. }) => a == b,
                    _ => false,
                });
            if twice {
                return Err(Unfit {
                    key: "listen",
                    must: format!("must not name {listen} twice"),
                });
            }
        }
        if let Some(admin) = self.admin {
            if tcp().any(|address| same(address, admin)) {
                return Err(clash("admin", "listen"));
            }
            if self.embedded.is_some_and(|address| same(address, admin)) {
                return Err(clash("admin", "embedded"));
            }
        }
        match self.embedded {
            Some(embedded) if tcp().any(|address| same(address, embedded)) => {
                Err(clash("embedded", "listen"))
            }
            _ => Ok(()),
        }
    }
}

/// A token of RFC 9110 5.6.2, which is what RFC 6265 takes for a cookie's name.
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unfit(change: fn(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.checked().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_a_configuration() {
        assert_eq!(Config::default().checked(), Ok(Config::default()));
    }

    #[test]
    fn the_websocket_url_begins_and_ends_with_a_slash() {
        for broken in [
            unfit(|config| config.websocket_url = "ws/".to_owned()),
            unfit(|config| config.websocket_url = "/ws".to_owned()),
            unfit(|config| config.websocket_url = String::new()),
        ] {
            assert_eq!(
                broken,
                "websocket_url must begin and end with a slash, such as /ws/"
            );
        }
        assert!(unfit(|config| config.websocket_url = "/w?s/".to_owned()).contains("plain path"));
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_change() {
        assert!(unfit(|config| config.heartbeat = Some(String::new())).contains("leave it out"));
        assert!(unfit(|config| config.session_cookie = "a b".to_owned()).contains("cookie"));
        assert!(unfit(|config| config.listen.clear()).contains("at least one"));
        assert!(
            unfit(|config| config.embedded = Some("0.0.0.0:6380".parse().unwrap()))
                .contains("loopback")
        );
        assert!(unfit(|config| config.limits.queue_bytes_max = 0).contains("queue_bytes_max"));
    }

    #[test]
    fn no_two_listeners_share_an_address_but_any_number_may_leave_the_port_open() {
        assert!(
            unfit(|config| config.admin = Some("127.0.0.1:8000".parse().unwrap()))
                .contains("admin must not be an address of listen")
        );
        assert!(
            unfit(|config| config.embedded = Some("127.0.0.1:8000".parse().unwrap()))
                .contains("embedded must not be an address of listen")
        );
        assert!(unfit(|config| config.embedded = config.admin).contains("embedded"));
        assert!(
            unfit(|config| {
                config.listen = ["unix:/s", "unix:/s?mode=0600"]
                    .map(|word| super::super::addresses::listen(word, 0o660).unwrap())
                    .to_vec();
            })
            .contains("twice")
        );
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let open = Config {
            listen: vec![Listen::Tcp(any), Listen::Tcp(any)],
            admin: Some(any),
            embedded: Some(any),
            ..Config::default()
        };
        assert!(open.checked().is_ok());
    }
}
