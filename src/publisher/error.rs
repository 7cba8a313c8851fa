//! Why Redis was not asked, or did not do it: divided by whose fault it is.

use std::io;

use crate::wire::resp::Malformed;

/// What can go wrong between a program and its Redis. No variant ever holds a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The network's, or a Redis that is away or too slow.
    #[error("{address} is out of reach: {error}")]
    Unreachable {
        /// The URL, with `***` for a password.
        address: String,
        /// The system's words; [`io::ErrorKind::TimedOut`] if Redis took longer than the store's time-out.
        error: io::Error,
    },
    /// Redis will not do it.
    #[error("Redis refuses: {error}{}", advice(error))]
    Refused {
        /// Its own words.
        error: String,
    },
    /// Who answers is no Redis.
    #[error("what answers does not speak as Redis does: {0}")]
    Malformed(Malformed),
    /// The calling program's.
    #[error("{0}")]
    Misuse(&'static str),
}

/// What to do about a refusal, where Redis' words alone do not say it.
fn advice(error: &str) -> &'static str {
    match error.split_whitespace().next().unwrap_or_default() {
        "NOAUTH" => " (give a password: redis://[user]:password@host)",
        "WRONGPASS" => " (check user and password in the URL)",
        "NOPERM" => {
            " (the user needs +multi +exec +setex +publish +get, ~ patterns for the keys and & patterns for the \
             channels; for orders +publish and &*ws4redis:control)"
        }
        "ERR" if error.contains("without any password configured") => {
            " (leave the password out of the URL)"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_to_let_us_in_says_what_to_do() {
        for (error, advice) in [
            ("NOAUTH Authentication required.", "give a password"),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                "check user and password",
            ),
            (
                "NOPERM User app has no permissions to run the 'setex' command",
                "+setex",
            ),
            (
                "ERR AUTH <password> called without any password configured for the default user",
                "leave the password out",
            ),
        ] {
            let refused = StoreError::Refused {
                error: error.into(),
            };
            let text = refused.to_string();
            assert!(text.contains(error) && text.contains(advice), "{text}");
        }
    }
}
