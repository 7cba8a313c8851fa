//! Every way in which an open session ends, in one closed list.
//!
//! A session ends for exactly one of these reasons, once. The list gives the close code of RFC 6455 7.4
//! (and the IANA registry beside it), the word in metrics and logs, and so what a client should do next.
//! `docs/protocol.md` holds the same table; a test compares the two.

/// Why an open session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client said Close: its code comes back to it, or an empty Close if it named none.
    Client(Option<u16>),
    /// The connection broke or ended without a Close frame. Nobody is left to be told.
    Gone,
    /// The client broke RFC 6455.
    Protocol,
    /// A text message, or a Close reason, that is not UTF-8.
    NotUtf8,
    /// The client sent more messages or control frames in a second than it may.
    TooFast,
    /// A message over the limit; fragments are summed.
    TooBig,
    /// The client reads too slowly: what waits for it passed its bound.
    Slow,
    /// The client answered no ping in time.
    Idle,
    /// Redis stayed away so long that the queue of client publishes is full.
    PublishQueueFull,
    /// Redis answered a publish of this client with an error.
    PublishRefused,
    /// Redis does not let the gateway hear a channel of this client any more.
    SubscribeRefused,
    /// What let the client in, such as a token, has expired.
    Expired,
    /// An order on the control channel took back what let it in.
    Revoked,
    /// It is to be judged anew: by an order on the control channel, or because it has been open so long.
    Recheck,
    /// The gateway is draining; the client comes back to another, or to the next one here.
    Drain,
}

impl Close {
    /// One of each, in the order of the table in `docs/protocol.md`.
    pub const ALL: [Close; 15] = [
        Close::Client(None),
        Close::Gone,
        Close::Protocol,
        Close::NotUtf8,
        Close::TooFast,
        Close::TooBig,
        Close::Slow,
        Close::Idle,
        Close::PublishQueueFull,
        Close::PublishRefused,
        Close::SubscribeRefused,
        Close::Expired,
        Close::Revoked,
        Close::Recheck,
        Close::Drain,
    ];

    /// The code that our Close frame carries; `None` for an empty one, or for none at all ([`Close::Gone`]).
    pub fn code(self) -> Option<u16> {
        match self {
            Close::Client(code) => code,
            Close::Gone => None,
            Close::Protocol => Some(1002),
            Close::NotUtf8 => Some(1007),
            Close::TooFast => Some(1008),
            Close::TooBig => Some(1009),
            // A client that answers no pings hears no Close either: the code is for whoever reads a capture.
            Close::Idle => Some(1001),
            Close::PublishRefused | Close::SubscribeRefused => Some(1011),
            Close::Drain | Close::Recheck => Some(1012),
            // RFC 6455 7.4.2 leaves 4000-4999 to private use; these are after HTTP's 401 and 403.
            Close::Expired => Some(4401),
            Close::Revoked => Some(4403),
            Close::Slow | Close::PublishQueueFull => Some(1013),
        }
    }

    /// The one word for it in metrics, logs and the Close frame's reason.
    pub fn word(self) -> &'static str {
        match self {
            Close::Client(_) => "client",
            Close::Gone => "gone",
            Close::Protocol => "protocol",
            Close::NotUtf8 => "not_utf8",
            Close::TooFast => "too_fast",
            Close::TooBig => "too_big",
            Close::Slow => "slow",
            Close::Idle => "idle",
            Close::PublishQueueFull => "publish_queue_full",
            Close::PublishRefused => "publish_refused",
            Close::SubscribeRefused => "subscribe_refused",
            Close::Expired => "expired",
            Close::Revoked => "revoked",
            Close::Recheck => "recheck",
            Close::Drain => "drain",
        }
    }

    /// Its place in [`Close::ALL`], for tables of counters.
    pub fn index(self) -> usize {
        match self {
            Close::Client(_) => 0,
            Close::Gone => 1,
            Close::Protocol => 2,
            Close::NotUtf8 => 3,
            Close::TooFast => 4,
            Close::TooBig => 5,
            Close::Slow => 6,
            Close::Idle => 7,
            Close::PublishQueueFull => 8,
            Close::PublishRefused => 9,
            Close::SubscribeRefused => 10,
            Close::Expired => 11,
            Close::Revoked => 12,
            Close::Recheck => 13,
            Close::Drain => 14,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Close;

    #[test]
    fn every_ending_stands_at_its_own_index() {
        for (at, close) in Close::ALL.into_iter().enumerate() {
            assert_eq!(close.index(), at, "{close:?}");
        }
    }
}
