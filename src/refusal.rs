//! Every way in which a request is refused before it becomes a session, in one closed list.
//!
//! A refusal is an HTTP answer with a one-line body that says what to do; the connection closes after it.

/// Why a request does not become a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Not an HTTP/1.1 request, or one that breaks RFC 9112.
    Malformed,
    /// A GET without a usable `Sec-WebSocket-Key`, or with one that is not 16 bytes in base64.
    NoKey,
    /// An identity header, a key or a Host stands twice, so that two readers could see two identities.
    Duplicate,
    /// The facility is over 255 bytes or holds a control character.
    BadFacility,
    /// The flags turn into more channels than one session may have.
    TooManyChannels,
    /// The `Origin` is another site's, or missing where a browser would have sent one.
    Origin,
    /// A rule asks for somebody else, a token or a signature does not hold, or the application says no.
    Forbidden,
    /// Nothing is served under this path.
    NotFound,
    /// Any method but GET.
    Method,
    /// The head did not arrive whole in time.
    TooLate,
    /// The request line alone is over the limit of the head.
    UriTooLong,
    /// Not an upgrade to WebSocket, or to another version than 13.
    UpgradeRequired,
    /// Too many sessions from this address, or handshakes in this second.
    TooManyFromAddress,
    /// The head is over its limit in bytes or in fields.
    HeadTooLarge,
    /// Redis is away: no subscription can be confirmed.
    RedisAway,
    /// The application, asked whether the client may come, gave no usable answer.
    CallbackFailed,
    /// An order on the control channel came while the request was judged: the verdict may be of before it.
    Recheck,
    /// As many sessions as the gateway may hold.
    Full,
    /// The gateway is draining.
    Draining,
}

impl Refusal {
    /// Each once, in the order of their status codes.
    pub const ALL: [Refusal; 19] = [
        Refusal::Malformed,
        Refusal::NoKey,
        Refusal::Duplicate,
        Refusal::BadFacility,
        Refusal::TooManyChannels,
        Refusal::Origin,
        Refusal::Forbidden,
        Refusal::NotFound,
        Refusal::Method,
        Refusal::TooLate,
        Refusal::UriTooLong,
        Refusal::UpgradeRequired,
        Refusal::TooManyFromAddress,
        Refusal::HeadTooLarge,
        Refusal::RedisAway,
        Refusal::CallbackFailed,
        Refusal::Recheck,
        Refusal::Full,
        Refusal::Draining,
    ];

    /// Status code and reason phrase (RFC 9110 15, RFC 6585).
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Refusal::Malformed
            | Refusal::NoKey
            | Refusal::Duplicate
            | Refusal::BadFacility
            | Refusal::TooManyChannels => (400, "Bad Request"),
            Refusal::Origin | Refusal::Forbidden => (403, "Forbidden"),
            Refusal::NotFound => (404, "Not Found"),
            Refusal::Method => (405, "Method Not Allowed"),
            Refusal::TooLate => (408, "Request Timeout"),
            Refusal::UriTooLong => (414, "URI Too Long"),
            Refusal::UpgradeRequired => (426, "Upgrade Required"),
            Refusal::TooManyFromAddress => (429, "Too Many Requests"),
            Refusal::HeadTooLarge => (431, "Request Header Fields Too Large"),
            Refusal::RedisAway
            | Refusal::CallbackFailed
            | Refusal::Recheck
            | Refusal::Full
            | Refusal::Draining => (503, "Service Unavailable"),
        }
    }

    /// The header fields that belong to this answer alone.
    pub fn fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Refusal::Method => &[("Allow", "GET")],
            // RFC 6455 4.4: name the version that we do speak. RFC 9110 15.5.22: a 426 carries Upgrade.
            Refusal::UpgradeRequired => &[
                ("Sec-WebSocket-Version", "13"),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade, close"),
            ],
            Refusal::TooManyFromAddress => &[("Retry-After", "5")],
            Refusal::RedisAway | Refusal::CallbackFailed | Refusal::Recheck | Refusal::Draining => {
                &[("Retry-After", "2")]
            }
            Refusal::Full => &[("Retry-After", "10")],
            _ => &[],
        }
    }

    /// The body: one line that says what is wrong and what to do.
    pub fn line(self) -> &'static str {
        match self {
            Refusal::Malformed => "this is not a well-formed HTTP/1.1 request",
            Refusal::NoKey => "Sec-WebSocket-Key must stand once and be 16 bytes in base64",
            Refusal::Duplicate => "a header field that must be unique stands more than once",
            Refusal::BadFacility => "the facility may have 255 bytes and no control characters",
            Refusal::TooManyChannels => {
                "these flags ask for more channels than one connection may have"
            }
            Refusal::Origin => "pages of this origin may not connect",
            Refusal::Forbidden => "this is not for you; log in, or ask for the right",
            Refusal::NotFound => "nothing is served under this path",
            Refusal::Method => "a WebSocket handshake is a GET",
            Refusal::TooLate => "the request did not arrive in time",
            Refusal::UriTooLong => "the request line is too long",
            Refusal::UpgradeRequired => "connect with a WebSocket client (RFC 6455, version 13)",
            Refusal::TooManyFromAddress => "too many connections from this address",
            Refusal::HeadTooLarge => {
                "the request's header fields are too large; clear the cookies of this site"
            }
            Refusal::RedisAway => "the message broker is away; try again shortly",
            Refusal::CallbackFailed => "who you are cannot be found out now; try again shortly",
            Refusal::Recheck => "what you may has just changed; try again shortly",
            Refusal::Full => "as many connections as this gateway may hold; try again later",
            Refusal::Draining => "this gateway is going down; try again",
        }
    }

    /// The one word for it in metrics and logs.
    pub fn word(self) -> &'static str {
        match self {
            Refusal::Malformed => "malformed",
            Refusal::NoKey => "no_key",
            Refusal::Duplicate => "duplicate",
            Refusal::BadFacility => "bad_facility",
            Refusal::TooManyChannels => "too_many_channels",
            Refusal::Origin => "origin",
            Refusal::Forbidden => "forbidden",
            Refusal::NotFound => "not_found",
            Refusal::Method => "method",
            Refusal::TooLate => "too_late",
            Refusal::UriTooLong => "uri_too_long",
            Refusal::UpgradeRequired => "upgrade_required",
            Refusal::TooManyFromAddress => "too_many_from_address",
            Refusal::HeadTooLarge => "head_too_large",
            Refusal::RedisAway => "redis_away",
            Refusal::CallbackFailed => "callback_failed",
            Refusal::Recheck => "recheck",
            Refusal::Full => "full",
            Refusal::Draining => "draining",
        }
    }

    /// Its place in [`Refusal::ALL`], for tables of counters.
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A refusal, and what the operator should know of it that the client need not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What the client is told.
    pub refusal: Refusal,
    /// For the log.
    pub why: Option<String>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Refused {
        Refused { refusal, why: None }
    }
}

#[cfg(test)]
mod tests {
    use super::Refusal;

    #[test]
    fn every_refusal_stands_at_its_own_index_and_the_statuses_ascend() {
        for (at, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal.index(), at, "{refusal:?}");
        }
        assert!(Refusal::ALL.is_sorted_by_key(|refusal| refusal.status().0));
    }
}
