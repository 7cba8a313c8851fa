//! Orders: what an application says to gateways on the control channel when somebody's rights have changed.
//!
//! ```text
//! {"action": "disconnect", "user": "john", "group": "staff", "session": "k3y"}
//! ```
//!
//! Signed, the object follows a line with its signature, `t=<unix seconds>,v1=<HMAC-SHA256 in hexadecimal>`. Signed are
//! the lines `ws4redis-control-v1`, the digits of `t`, the channel's whole name, and the object byte for byte: the
//! channel binds an order to one site where several share a Redis and a secret.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::signature::{SignatureFault, SigningKeys};
use crate::limits::ORDER_BYTES_MAX;

const CONTEXT: &str = "ws4redis-control-v1";

/// What is to be done with whom. Meant are the clients that match all of what is given.
///
/// ```
/// use ws4redis::Order;
///
/// let order = Order::disconnect().user("john").session("k3y");
/// assert_eq!(
///     order.to_json(),
///     r#"{"action":"disconnect","user":"john","session":"k3y"}"#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// A field that is not known may be one that says less: to obey the rest of such an order would be to guess.
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What is to be done.
    pub action: Action,
    /// Whoever has this user's name.
    #[serde(default, deserialize_with = "text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Whoever is in this group.
    #[serde(default, deserialize_with = "text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whoever has this session key.
    #[serde(default, deserialize_with = "text")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Close their sessions now: they have no right to them any more.
    Disconnect,
    /// Close their sessions at a pace, so that they come back and are judged anew.
    Recheck,
}

impl Action {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Action::Disconnect => "disconnect",
            Action::Recheck => "recheck",
        }
    }
}

/// Why an order is not obeyed: the fault of who published it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OrderRefused {
    /// It is too long to be one.
    #[error("it has more than {ORDER_BYTES_MAX} bytes")]
    TooLong,
    /// It must be signed, and is not.
    #[error("it is not signed")]
    Unsigned,
    /// It is signed, and there is no key to judge that by.
    #[error("it is signed, and no secret_file is set in [control]")]
    NoKey,
    /// Its signature does not hold.
    #[error("its signature {0}")]
    Signature(#[from] SignatureFault),
    /// Where, but not what: it may hold somebody's session key.
    #[error("it is not a JSON object (column {column} of line {line})")]
    NotJson {
        /// The line of the JSON, counted from 1.
        line: usize,
        /// And the column.
        column: usize,
    },
    /// Likewise.
    #[error(
        "it has a field or an action that is not known, twice, or no text (column {column} of line {line})"
    )]
    Unknown {
        /// The line of the JSON, counted from 1.
        line: usize,
        /// And the column.
        column: usize,
    },
    /// It would mean everybody; that is what draining is for.
    #[error("it names no user, group or session")]
    Nobody,
}

/// Which orders count.
#[derive(Debug)]
pub struct OrderReader {
    channel: String,
    keys: Option<SigningKeys>,
    unsigned: bool,
}

impl OrderReader {
    /// Reads orders of this channel: signed ones if there are keys, and plain ones if `unsigned`.
    pub fn new(channel: String, keys: Option<SigningKeys>, unsigned: bool) -> OrderReader {
        OrderReader {
            channel,
            keys,
            unsigned,
        }
    }

    /// What a message on the channel orders, at this time (since 1970).
    pub fn read(&self, payload: &[u8], unix: Duration) -> Result<Order, OrderRefused> {
        if payload.len() > ORDER_BYTES_MAX {
            return Err(OrderRefused::TooLong);
        }
        let json = match payload.strip_prefix(b"t=") {
            None if self.unsigned => payload,
            None => return Err(OrderRefused::Unsigned),
            Some(_) => self.verified(payload, unix)?,
        };
        let order = parsed(json)?;
        match order.names_somebody() {
            true => Ok(order),
            false => Err(OrderRefused::Nobody),
        }
    }

    /// The object that the first line is the signature of.
    fn verified<'a>(&self, payload: &'a [u8], unix: Duration) -> Result<&'a [u8], OrderRefused> {
        let keys = self.keys.as_ref().ok_or(OrderRefused::NoKey)?;
        let end = payload.iter().position(|byte| *byte == b'\n');
        let (signature, rest) = payload.split_at(end.unwrap_or(payload.len()));
        let json = rest.strip_prefix(b"\n").unwrap_or_default();
        let lines = [self.channel.as_bytes(), json];
        keys.verify(signature, CONTEXT, &lines, unix)?;
        Ok(json)
    }
}

impl Order {
    /// Their sessions are to end, now and for good.
    pub fn disconnect() -> Order {
        Order::new(Action::Disconnect)
    }

    /// They are to come back and be judged anew.
    pub fn recheck() -> Order {
        Order::new(Action::Recheck)
    }

    fn new(action: Action) -> Order {
        Order {
            action,
            user: None,
            group: None,
            session: None,
        }
    }

    /// Only those with this user's name.
    pub fn user(mut self, name: impl Into<String>) -> Order {
        self.user = Some(name.into());
        self
    }

    /// Only those in this group.
    pub fn group(mut self, name: impl Into<String>) -> Order {
        self.group = Some(name.into());
        self
    }

    /// Only those with this session key.
    pub fn session(mut self, key: impl Into<String>) -> Order {
        self.session = Some(key.into());
        self
    }

    /// Does it name somebody? An empty name is nobody's, so it is a slip of whoever said it.
    pub fn names_somebody(&self) -> bool {
        let names = || {
            [&self.user, &self.group, &self.session]
                .into_iter()
                .flatten()
        };
        names().next().is_some() && names().all(|name| !name.is_empty())
    }

    /// By what it names those whom it means, such as `user+group`. Never the names: one may be a session key.
    pub fn by(&self) -> String {
        let by = [
            ("user", &self.user),
            ("group", &self.group),
            ("session", &self.session),
        ];
        let by = by.iter().filter(|(_, name)| name.is_some());
        let by: Vec<&str> = by.map(|(word, _)| *word).collect();
        by.join("+")
    }

    /// The order as it is published without a signature.
    pub fn to_json(&self) -> String {
        // Text in fields of fixed names: there is nothing in it that JSON cannot say.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The order as it is published on this channel at this time (since 1970), signed.
    pub fn signed(&self, channel: &str, keys: &SigningKeys, unix: Duration) -> String {
        let json = self.to_json();
        let signature = keys.sign(CONTEXT, &[channel.as_bytes(), json.as_bytes()], unix);
        format!("{signature}\n{json}")
    }
}

fn parsed(json: &[u8]) -> Result<Order, OrderRefused> {
    // A derived reader would take a list for the values of the fields in their order.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(OrderRefused::NotJson { line: 1, column: 1 });
    }
    serde_json::from_slice(json).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        match error.classify() {
            serde_json::error::Category::Data => OrderRefused::Unknown { line, column },
            _ => OrderRefused::NotJson { line, column },
        }
    })
}

/// A field that is there must be a text: `null` is what a program says that does not know whom it means.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);
    const KEY: &str = "a key for tests, of thirty-two bytes or so";
    const CHANNEL: &str = "site:ws4redis:control";
    const JSON: &str = r#"{"action": "disconnect", "user": "jörg"}"#;
    /// Made by another implementation:
    /// `printf 'ws4redis-control-v1\n1700000000\nsite:ws4redis:control\n{"action": "disconnect", "user": "jörg"}' |
    /// openssl dgst -sha256 -hmac 'a key for tests, of thirty-two bytes or so'`
    const SIGNATURE: &str =
        "t=1700000000,v1=a3b9f3f5725dc96a6580db27399bc0505ab7fa4159f43137955e9e5c77cd255e";

    fn keys() -> SigningKeys {
        SigningKeys::new([KEY], Duration::from_secs(60)).unwrap()
    }

    fn plain(payload: &str) -> Result<Order, OrderRefused> {
        OrderReader::new(CHANNEL.to_owned(), None, true).read(payload.as_bytes(), NOW)
    }

    fn signed_on(channel: &str, payload: &str, unix: Duration) -> Result<Order, OrderRefused> {
        OrderReader::new(channel.to_owned(), Some(keys()), false).read(payload.as_bytes(), unix)
    }

    #[test]
    fn an_order_signed_by_another_implementation_is_read() {
        let payload = format!("{SIGNATURE}\n{JSON}");
        let order = Order::disconnect().user("jörg");
        assert_eq!(signed_on(CHANNEL, &payload, NOW), Ok(order));
    }

    #[test]
    fn what_is_composed_here_is_read_here() {
        let order = Order::recheck().user("a\"b\nc").group("g").session("s");
        assert_eq!(plain(&order.to_json()), Ok(order.clone()));
        let payload = order.signed(CHANNEL, &keys(), NOW);
        assert_eq!(signed_on(CHANNEL, &payload, NOW), Ok(order));
    }

    #[test]
    fn a_signature_is_of_this_order_this_channel_and_this_minute() {
        let wrong = Err(OrderRefused::Signature(SignatureFault::Wrong));
        let payload = format!("{SIGNATURE}\n{JSON}");
        assert_eq!(signed_on("ws4redis:control", &payload, NOW), wrong);
        let other = payload.replace("jörg", "john");
        assert_eq!(signed_on(CHANNEL, &other, NOW), wrong);
        assert_eq!(signed_on(CHANNEL, &format!("{payload}\n"), NOW), wrong);
        let later = NOW + Duration::from_secs(61);
        let stale = Err(OrderRefused::Signature(SignatureFault::Stale));
        assert_eq!(signed_on(CHANNEL, &payload, later), stale);
        for cut in [SIGNATURE, "t=", "t=1\n{}"] {
            let refused = signed_on(CHANNEL, cut, NOW);
            assert!(matches!(refused, Err(OrderRefused::Signature(_))), "{cut}");
        }
    }

    #[test]
    fn plain_orders_count_only_where_they_are_said_to() {
        assert_eq!(signed_on(CHANNEL, JSON, NOW), Err(OrderRefused::Unsigned));
        assert!(plain(JSON).is_ok());
        let signed = format!("{SIGNATURE}\n{JSON}");
        assert_eq!(plain(&signed), Err(OrderRefused::NoKey));
        let both = OrderReader::new(CHANNEL.to_owned(), Some(keys()), true);
        assert!(both.read(JSON.as_bytes(), NOW).is_ok());
        assert!(both.read(signed.as_bytes(), NOW).is_ok());
        let forged = signed.replace("jörg", "john");
        assert!(both.read(forged.as_bytes(), NOW).is_err());
    }

    #[test]
    fn what_is_not_beyond_doubt_is_no_order() {
        for json in [
            "",
            "disconnect",
            r#"["disconnect","john"]"#,
            r#"{"action":"disconnect","user":"john"} x"#,
            r#"{"action":"disconnect","user":"john""#,
        ] {
            let refused = plain(json);
            assert!(
                matches!(refused, Err(OrderRefused::NotJson { .. })),
                "{json}"
            );
        }
        for json in [
            r#"{"user":"john"}"#,
            r#"{"action":"Disconnect","user":"john"}"#,
            r#"{"action":"close","user":"john"}"#,
            r#"{"action":"disconnect","user":"john","facility":"f"}"#,
            r#"{"action":"disconnect","user":"john","user":"mary"}"#,
            r#"{"action":"disconnect","user":7}"#,
            r#"{"action":"disconnect","user":null}"#,
            r#"{"action":"disconnect","user":["john"]}"#,
            "{\"action\":\"disconnect\",\"user\":\"\u{0}\"}",
        ] {
            assert!(plain(json).is_err(), "{json}");
        }
        for json in [
            r#"{"action":"disconnect"}"#,
            r#"{"action":"disconnect","user":""}"#,
            r#"{"action":"disconnect","user":"john","group":""}"#,
        ] {
            assert_eq!(plain(json), Err(OrderRefused::Nobody), "{json}");
        }
        let long = format!(
            r#"{{"action":"disconnect","user":"{}"}}"#,
            "x".repeat(4_096)
        );
        assert_eq!(plain(&long), Err(OrderRefused::TooLong));
    }
}
