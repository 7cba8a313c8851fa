//! HTTP/1.1 request heads in (httparse), responses out.

use std::borrow::Cow;

use bytes::Bytes;

use crate::refusal::Refusal;

/// A request head, borrowed from the bytes that came.
#[derive(Debug)]
pub struct Head<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The request target as it stands: path and query.
    pub target: &'a str,
    fields: &'a [httparse::Header<'a>],
}

/// How often a header field stands in a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<'a> {
    /// Not at all.
    Absent,
    /// Once, with this value.
    Once(&'a [u8]),
    /// More than once.
    Repeated,
}

/// Reads one head from the front of `bytes` and hands it, with its length, to `then`; `None` if it is not
/// whole yet. Refuses what is malformed, longer than `bytes_max` or richer than `HEAD_FIELDS_MAX` fields.
pub fn with_head<R>(
    _bytes: &[u8],
    _bytes_max: usize,
    _then: impl FnOnce(&Head<'_>, usize) -> R,
) -> Result<Option<R>, Refusal> {
    todo!()
}

impl<'a> Head<'a> {
    /// The field of this name (any case).
    pub fn field(&self, _name: &str) -> Field<'a> {
        todo!()
    }

    /// Does a comma-separated list field (all its lines) hold this token (any case)?
    pub fn has_token(&self, _name: &str, _token: &str) -> bool {
        todo!()
    }

    /// The value of the first cookie of this name (RFC 6265 5.4), quotes removed.
    pub fn cookie(&self, _name: &str) -> Option<&'a str> {
        todo!()
    }

    /// The target's path, before decoding, and its query (without the question mark).
    pub fn split_target(&self) -> (&'a str, &'a str) {
        todo!()
    }
}

/// A request that RFC 6455 4.2.1 accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upgrade {
    accept: String,
    subprotocol: Option<String>,
}

impl Upgrade {
    /// Checks method, version, `Upgrade`, `Connection` and key, in the order in which a refusal helps most.
    pub fn from_head(_head: &Head<'_>) -> Result<Upgrade, Refusal> {
        todo!()
    }

    /// The 101, with the first subprotocol that the client offered.
    pub fn response(&self) -> Bytes {
        todo!()
    }
}

/// Decodes a path's percent escapes once. Bytes that are not UTF-8 stay escaped, as in the original.
pub fn decode_path(_path: &str) -> Cow<'_, str> {
    todo!()
}

/// The names of a query's parameters: decoded (`+` is a blank), trimmed, lower-cased; values are ignored.
pub fn query_names(_query: &str) -> impl Iterator<Item = String> {
    std::iter::empty()
}

/// The answer to a refused request, after which the connection closes.
pub fn refusal(_refusal: Refusal) -> Bytes {
    todo!()
}

/// A whole answer (200 and the like), after which the connection closes.
pub fn response(_status: (u16, &str), _content_type: &str, _body: &[u8]) -> Bytes {
    todo!()
}
