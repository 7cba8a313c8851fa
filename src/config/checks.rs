//! What must hold for a [`Config`] as a whole.

use std::net::SocketAddr;

use super::{Config, Listen, Source};
use crate::limits::Unfit;

impl Config {
    /// The configuration, if everything in it is usable and goes together.
    pub fn checked(self) -> Result<Config, Unfit> {
        self.check()?;
        self.check_workers()?;
        Ok(self)
    }

    /// The same of what one worker has, which is not divided any further.
    pub(super) fn check(&self) -> Result<(), Unfit> {
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
        must("session_cookie", is_token(&self.session_cookie), COOKIE)?;
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
        // Less would be a stampede that never ends.
        must(
            "control_recheck_after",
            !(1..60).contains(&self.control.recheck_after),
            "must be 0 or at least 60 seconds",
        )?;
        self.check_sources()?;
        self.check_signatures()?;
        self.check_callback()?;
        self.check_addresses()?;
        self.limits.clone().checked()?;
        Ok(())
    }

    /// Does each source of identity have what it needs?
    fn check_sources(&self) -> Result<(), Unfit> {
        let without = |source: Source, lacks: bool, what: &str| match self
            .identity
            .contains(&source)
            && lacks
        {
            false => Ok(()),
            true => Err(unfit("identity", format!("must not name {what}"))),
        };
        without(
            Source::Jwt,
            self.jwt.keys.is_none(),
            "jwt without a key: say key_file in [jwt], --jwt-key-file or WS4REDIS_JWT_KEY",
        )?;
        // RFC 8725 3.1: a token must not choose its algorithm.
        without(
            Source::Jwt,
            self.jwt.algorithms.is_empty(),
            "jwt without algorithms: say algorithms in [jwt], such as [\"ES256\"]",
        )?;
        without(
            Source::Callback,
            self.callback.url.is_none(),
            "callback without an address: say url in [callback]",
        )?;
        // There the cookie is all there is: without its signature it is whatever the client says.
        without(
            Source::Django,
            !self.django.engine.is_in_redis() && self.django.secret_key.is_none(),
            "django without the SECRET_KEY that signed_cookies need: say secret_key_file in [django], or \
             WS4REDIS_DJANGO_SECRET_KEY",
        )?;
        for (at, source) in self.identity.iter().enumerate() {
            if self
                .identity
                .iter()
                .skip(at + 1)
                .any(|other| other == source)
            {
                return Err(unfit("identity", "must not name a source twice".to_owned()));
            }
        }
        for cookie in self.jwt.cookie.iter() {
            if !is_token(cookie) {
                return Err(unfit("jwt_cookie", COOKIE.to_owned()));
            }
        }
        Ok(())
    }

    /// For how long a signature holds. They count in seconds: less refuses all of them. Who could read one may repeat
    /// it meanwhile.
    fn check_signatures(&self) -> Result<(), Unfit> {
        for (key, age) in [
            ("headers_max_age", self.headers_max_age),
            ("control_max_age", self.control.max_age),
        ] {
            if !(1..=86_400).contains(&age.as_secs()) {
                return Err(unfit(key, "must be between 1s and 1d".to_owned()));
            }
        }
        Ok(())
    }

    /// What calls to the application may take.
    fn check_callback(&self) -> Result<(), Unfit> {
        for (key, count) in [
            ("callback_connections_max", self.callback.connections_max),
            ("callback_queue_max", self.callback.queue_max),
        ] {
            // Each takes a descriptor, or holds a request's head.
            if !(1..=65_536).contains(&count) {
                return Err(unfit(
                    key,
                    format!("must be between 1 and 65536, not {count}"),
                ));
            }
        }
        let bytes = self.callback.body_bytes_max;
        // An answer that names a user and a few groups has two hundred bytes; all connections may hold one at once.
        if !(1 << 10..=16 << 20).contains(&bytes) {
            let must = format!("must be between 1KiB and 16MiB, not {bytes}");
            return Err(unfit("callback_body_bytes_max", must));
        }
        // Else the handshake is over before the answer is late. Whoever asks nobody need not know of it.
        let is_asked = self.identity.contains(&Source::Callback);
        let timeout = self.callback.timeout;
        if is_asked && (timeout.is_zero() || timeout > self.limits.handshake_timeout) {
            let must = "must be more than 0 and at most handshake_timeout".to_owned();
            return Err(unfit("callback_timeout", must));
        }
        Ok(())
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

const COOKIE: &str = "must be a cookie's name: letters, digits, - and _ (RFC 6265 4.1.1)";

fn unfit(key: &'static str, must: String) -> Unfit {
    Unfit { key, must }
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
    use std::time::Duration;

    use super::*;

    fn unfit_by(change: fn(&mut Config)) -> String {
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
            unfit_by(|config| config.websocket_url = "ws/".to_owned()),
            unfit_by(|config| config.websocket_url = "/ws".to_owned()),
            unfit_by(|config| config.websocket_url = String::new()),
        ] {
            assert_eq!(
                broken,
                "websocket_url must begin and end with a slash, such as /ws/"
            );
        }
        assert!(
            unfit_by(|config| config.websocket_url = "/w?s/".to_owned()).contains("plain path")
        );
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_change() {
        assert!(unfit_by(|config| config.heartbeat = Some(String::new())).contains("leave it out"));
        assert!(unfit_by(|config| config.session_cookie = "a b".to_owned()).contains("cookie"));
        assert!(unfit_by(|config| config.listen.clear()).contains("at least one"));
        assert!(
            unfit_by(|config| config.embedded = Some("0.0.0.0:6380".parse().unwrap()))
                .contains("loopback")
        );
        assert!(unfit_by(|config| config.limits.queue_bytes_max = 0).contains("queue_bytes_max"));
    }

    #[test]
    fn sources_stand_once_and_the_application_is_asked_within_the_handshake() {
        use crate::config::Source;
        let twice = unfit_by(|config| config.identity = vec![Source::Cookie, Source::Cookie]);
        assert_eq!(twice, "identity must not name a source twice");
        let late = unfit_by(|config| {
            config.identity = vec![Source::Callback];
            config.callback.url = "http://app/".parse().ok();
            config.callback.timeout = Duration::from_secs(11);
        });
        assert!(late.starts_with("callback_timeout must be more than 0"));
        assert!(unfit_by(|config| config.callback.queue_max = 0).contains("callback_queue_max"));
        assert!(
            unfit_by(|config| config.control.recheck_after = 59)
                .starts_with("control_recheck_after must be 0 or")
        );
        let bodies = unfit_by(|config| config.callback.body_bytes_max = 17 << 20);
        assert!(bodies.starts_with("callback_body_bytes_max must be between 1KiB and 16MiB"));
        assert!(unfit_by(|config| config.jwt.cookie = Some("a b".to_owned())).contains("cookie"));
    }

    #[test]
    fn a_signature_holds_for_as_long_as_it_takes_to_arrive_and_not_for_ever() {
        let ages: [fn(&mut Config) -> &mut Duration; 2] = [
            |config| &mut config.headers_max_age,
            |config| &mut config.control.max_age,
        ];
        for age in ages {
            for seconds in [0.0, 0.5, 90_000.0] {
                let mut config = Config::default();
                *age(&mut config) = Duration::from_secs_f64(seconds);
                let told = config.checked().unwrap_err().to_string();
                assert!(
                    told.ends_with("_max_age must be between 1s and 1d"),
                    "{told}"
                );
            }
        }
    }

    #[test]
    fn no_two_listeners_share_an_address_but_any_number_may_leave_the_port_open() {
        assert!(
            unfit_by(|config| config.admin = Some("127.0.0.1:8000".parse().unwrap()))
                .contains("admin must not be an address of listen")
        );
        assert!(
            unfit_by(|config| config.embedded = Some("127.0.0.1:8000".parse().unwrap()))
                .contains("embedded must not be an address of listen")
        );
        assert!(unfit_by(|config| config.embedded = config.admin).contains("embedded"));
        assert!(
            unfit_by(|config| {
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
