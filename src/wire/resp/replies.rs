//! What Redis says: replies, and the pushes between them (and, before Redis 7.2, within them).

use std::ops::{ControlFlow, Range};

use bytes::Bytes;

use super::inbox::{Announced, Inbox, LINE_BYTES_MAX};
use super::usual::{Usual, usual_message};
use super::{Incoming, Malformed, Reply, ReplyLimits, scalar};

/// Reads what Redis says, in any cut.
///
/// Aggregates are built on a stack as their elements come, so no byte is looked at twice, nothing recurses,
/// and a push that stands inside an array is delivered without being counted as its element.
#[derive(Debug)]
pub struct ReplyReader {
    limits: ReplyLimits,
    inbox: Inbox,
    /// Aggregates that lack elements; each is an element of the one before it.
    open: Vec<Open>,
    /// What the values in `open` hold together.
    used: Used,
    skip: Option<Skip>,
    /// Channel and payload of a message that did not come in the usual form.
    unusual: (Bytes, Bytes),
    dead: Option<Malformed>,
}

impl ReplyReader {
    /// A reader with nothing read.
    pub fn new(limits: ReplyLimits) -> ReplyReader {
        ReplyReader {
            limits,
            inbox: Inbox::default(),
            open: Vec::new(),
            used: Used::default(),
            skip: None,
            unusual: (Bytes::new(), Bytes::new()),
            dead: None,
        }
    }

    /// Takes the bytes that came.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.dead.is_none() {
            self.inbox.feed(bytes);
        }
    }

    /// The next thing said, `None` if it is not whole yet. After an error: the same error again.
    pub fn pull(&mut self) -> Result<Option<Incoming<'_>>, Malformed> {
        if let Some(error) = &self.dead {
            return Err(error.clone());
        }
        loop {
            match self.step() {
                Ok(Step::Said(said)) => return Ok(Some(self.incoming(said))),
                Ok(Step::Further) => {}
                Ok(Step::Wait) => {
                    self.inbox.settle();
                    return Ok(None);
                }
                Err(error) => {
                    self.dead = Some(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Reads one scalar, one aggregate's head or one usual message.
    fn step(&mut self) -> Result<Step, Malformed> {
        if let Some(skip) = self.skip.take() {
            return self.skip(skip);
        }
        let Some(first) = self.inbox.first() else {
            return Ok(Step::Wait);
        };
        if first == b'>'
            && let Some(step) = self.usual()
        {
            return Ok(step);
        }
        match first {
            b'*' | b'~' => self.aggregate(Kind::Array),
            b'%' => self.aggregate(Kind::Map),
            b'>' => self.aggregate(Kind::Push),
            b'|' => self.aggregate(Kind::Attribute),
            b'$' | b'!' | b'=' => self.bulk(),
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => self.line(),
            _ => Err(Malformed::Syntax("a byte that begins no value")),
        }
    }

    /// Reads a message, or waits for the rest of it, if it looks like the usual one.
    fn usual(&mut self) -> Option<Step> {
        match usual_message(self.inbox.waiting(), self.limits.bulk_bytes_max) {
            Usual::Message {
                channel,
                payload,
                length,
            } => {
                let from = self.inbox.consume(length);
                let place = |part: Range<usize>| from + part.start..from + part.end;
                let (channel, payload) = (place(channel), place(payload));
                Some(Step::Said(Said::Usual { channel, payload }))
            }
            Usual::Wants(bytes) => {
                self.inbox.want(bytes);
                Some(Step::Wait)
            }
            Usual::Not => None,
        }
    }

    /// Reads an aggregate's head.
    fn aggregate(&mut self, kind: Kind) -> Result<Step, Malformed> {
        let Some((announced, length)) = self.inbox.announcement()? else {
            return Ok(Step::Wait);
        };
        let count = match announced {
            Announced::Length(count) => count,
            Announced::Nothing if self.inbox.first() == Some(b'*') => {
                self.inbox.consume(length);
                return Ok(self.place(Reply::Null));
            }
            Announced::Nothing => return Err(Malformed::Syntax("a negative length")),
        };
        let elements = match kind {
            Kind::Map | Kind::Attribute => count.saturating_mul(2),
            Kind::Array | Kind::Push => count,
        };
        // What is announced counts before it comes: a head of eleven bytes may not reserve gigabytes.
        let count = usize::try_from(elements)
            .ok()
            .filter(|&count| count <= self.limits.elements_max.saturating_sub(self.used.elements))
            .ok_or(Malformed::TooMany)?;
        if self.open.len() >= self.limits.depth_max {
            return Err(Malformed::TooDeep);
        }
        self.inbox.consume(length);
        let open = Open {
            kind,
            count,
            items: Vec::with_capacity(count),
            used_before: self.used,
        };
        self.used.elements += count;
        if count == 0 {
            return Ok(match self.close(open) {
                ControlFlow::Continue(empty) => self.place(empty),
                ControlFlow::Break(step) => step,
            });
        }
        self.open.push(open);
        Ok(Step::Further)
    }

    /// Reads a value whose bytes are counted.
    fn bulk(&mut self) -> Result<Step, Malformed> {
        let Some((announced, head)) = self.inbox.announcement()? else {
            return Ok(Step::Wait);
        };
        let Announced::Length(announced) = announced else {
            if self.inbox.first() != Some(b'$') {
                return Err(Malformed::Syntax("a negative length"));
            }
            self.inbox.consume(head);
            return Ok(self.place(Reply::Null));
        };
        let length = usize::try_from(announced)
            .ok()
            .filter(|&length| length <= self.limits.bulk_bytes_max);
        let Some(length) = length else {
            // Anybody may publish anything: one message over the limit must not end the link.
            let alone = self.open.is_empty();
            if !alone && !self.open.last().is_some_and(Open::is_push_before_its_last) {
                return Err(Malformed::TooLong);
            }
            self.inbox.consume(head);
            self.skip = Some(Skip {
                left: announced,
                announced,
            });
            return Ok(Step::Further);
        };
        self.hold(length)?;
        if !self.inbox.want(head + length + 2) {
            return Ok(Step::Wait);
        }
        self.scalar(head + length + 2, length)
    }

    /// Reads a value that ends with its line.
    fn line(&mut self) -> Result<Step, Malformed> {
        match self.inbox.line(LINE_BYTES_MAX)? {
            Some(line) => {
                self.hold(line)?;
                self.scalar(line + 2, line)
            }
            None => Ok(Step::Wait),
        }
    }

    /// Fails if the values in `open` and `bytes` more are too much.
    fn hold(&self, bytes: usize) -> Result<(), Malformed> {
        let bytes_max = self.limits.bulk_bytes_max.saturating_add(LINE_BYTES_MAX);
        match bytes_max.checked_sub(self.used.bytes) {
            Some(free) if bytes <= free => Ok(()),
            _ => Err(Malformed::TooLong),
        }
    }

    fn scalar(&mut self, length: usize, held: usize) -> Result<Step, Malformed> {
        let reply = scalar::decode(self.inbox.waiting().get(..length).unwrap_or_default())?;
        self.inbox.consume(length);
        self.used.bytes += held;
        Ok(self.place(reply))
    }

    /// Lets the bytes of an oversize value go as they come.
    fn skip(&mut self, mut skip: Skip) -> Result<Step, Malformed> {
        let waiting = self.inbox.waiting().len();
        let gone = usize::try_from(skip.left)
            .unwrap_or(usize::MAX)
            .min(waiting);
        self.inbox.consume(gone);
        skip.left -= gone as u64;
        if skip.left > 0 || !self.inbox.want(2) {
            self.skip = Some(skip);
            return Ok(Step::Wait);
        }
        if !self.inbox.waiting().starts_with(b"\r\n") {
            return Err(Malformed::Syntax("a value without CRLF"));
        }
        self.inbox.consume(2);
        Ok(self.place(Reply::Oversize(skip.announced)))
    }

    /// Puts a whole value into the aggregate that waits for it, and closes what it completes.
    fn place(&mut self, mut reply: Reply) -> Step {
        loop {
            let Some(mut open) = self.open.pop() else {
                self.used = Used::default();
                return Step::Said(Said::Other(Incoming::Reply(reply)));
            };
            open.items.push(reply);
            if open.items.len() < open.count {
                self.open.push(open);
                return Step::Further;
            }
            match self.close(open) {
                ControlFlow::Continue(whole) => reply = whole,
                ControlFlow::Break(step) => return step,
            }
        }
    }

    /// Gives a whole aggregate its meaning: a value to be placed in its turn, or something beside the values,
    /// which counts for nothing in the reply around it.
    fn close(&mut self, whole: Open) -> ControlFlow<Step, Reply> {
        match whole.kind {
            Kind::Array => ControlFlow::Continue(Reply::Array(whole.items)),
            Kind::Map => ControlFlow::Continue(Reply::Map(pairs(whole.items))),
            Kind::Attribute => {
                self.used = whole.used_before;
                ControlFlow::Break(Step::Further)
            }
            Kind::Push => {
                self.used = whole.used_before;
                ControlFlow::Break(Step::Said(said(whole.items)))
            }
        }
    }

    fn incoming(&mut self, said: Said) -> Incoming<'_> {
        match said {
            Said::Usual { channel, payload } => Incoming::Message {
                channel: self.inbox.consumed(channel),
                payload: self.inbox.consumed(payload),
            },
            Said::Unusual { channel, payload } => {
                self.unusual = (channel, payload);
                Incoming::Message {
                    channel: &self.unusual.0,
                    payload: &self.unusual.1,
                }
            }
            Said::Other(incoming) => incoming,
        }
    }
}

/// What one step came to.
enum Step {
    Said(Said),
    Further,
    Wait,
}

/// [`Incoming`], before it borrows from the reader.
enum Said {
    /// A message in the usual form, by places in the inbox.
    Usual {
        channel: Range<usize>,
        payload: Range<usize>,
    },
    Unusual {
        channel: Bytes,
        payload: Bytes,
    },
    Other(Incoming<'static>),
}

/// An aggregate that lacks elements: invariant `items.len() < count`.
#[derive(Debug)]
struct Open {
    kind: Kind,
    count: usize,
    items: Vec<Reply>,
    used_before: Used,
}

impl Open {
    fn is_push_before_its_last(&self) -> bool {
        matches!(self.kind, Kind::Push) && self.items.len() + 1 == self.count
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// An array, or a set.
    Array,
    Map,
    Push,
    /// What decorates the value after it; of no interest here.
    Attribute,
}

#[derive(Debug, Clone, Copy, Default)]
struct Used {
    elements: usize,
    bytes: usize,
}

/// A bulk string over the limit, on its way past.
#[derive(Debug)]
struct Skip {
    left: u64,
    announced: u64,
}

fn pairs(items: Vec<Reply>) -> Vec<(Reply, Reply)> {
    let mut pairs = Vec::with_capacity(items.len() / 2);
    let mut items = items.into_iter();
    while let (Some(key), Some(value)) = (items.next(), items.next()) {
        pairs.push((key, value));
    }
    pairs
}

/// What a push says.
fn said(mut items: Vec<Reply>) -> Said {
    if let Some(Reply::Oversize(bytes)) = items.last() {
        return Said::Other(Incoming::OversizePush { bytes: *bytes });
    }
    let last = items.pop();
    let channel = items.pop();
    let Some(Reply::Bulk(word) | Reply::Simple(word)) = items.pop() else {
        return Said::Other(Incoming::OtherPush);
    };
    match (&word[..], channel, last) {
        _ if !items.is_empty() => Said::Other(Incoming::OtherPush),
        (b"message", Some(Reply::Bulk(channel)), Some(Reply::Bulk(payload))) => {
            Said::Unusual { channel, payload }
        }
        (b"subscribe", Some(Reply::Bulk(channel)), _) => {
            Said::Other(Incoming::Subscribed { channel })
        }
        (b"unsubscribe", Some(Reply::Bulk(channel)), _) => {
            Said::Other(Incoming::Unsubscribed { channel })
        }
        _ => Said::Other(Incoming::OtherPush),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ReplyLimits = ReplyLimits {
        bulk_bytes_max: 100,
        depth_max: 4,
        elements_max: 32,
    };

    /// What the reader says of these bytes, in words that a test can hold.
    fn said(bytes: &[u8]) -> (Vec<String>, Option<Malformed>) {
        let mut reader = ReplyReader::new(LIMITS);
        reader.feed(bytes);
        all(&mut reader)
    }

    fn all(reader: &mut ReplyReader) -> (Vec<String>, Option<Malformed>) {
        let mut said = Vec::new();
        loop {
            match reader.pull() {
                Ok(Some(incoming)) => said.push(format!("{incoming:?}")),
                Ok(None) => return (said, None),
                Err(error) => return (said, Some(error)),
            }
        }
    }

    fn reply(bytes: &[u8]) -> Reply {
        let mut reader = ReplyReader::new(LIMITS);
        reader.feed(bytes);
        match reader.pull() {
            Ok(Some(Incoming::Reply(reply))) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn bulk(text: &'static str) -> Reply {
        Reply::Bulk(Bytes::from_static(text.as_bytes()))
    }

    fn error(bytes: &[u8]) -> Option<Malformed> {
        said(bytes).1
    }

    fn syntax(bytes: &[u8]) -> bool {
        matches!(error(bytes), Some(Malformed::Syntax(_)))
    }

    #[test]
    fn every_type_of_resp2_and_resp3_is_read() {
        let text = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(reply(b"+OK\r\n"), Reply::Simple(text("OK")));
        assert_eq!(reply(b"$2\r\n\r\n\r\n"), bulk("\r\n"));
        assert_eq!(reply(b"$0\r\n\r\n"), bulk(""));
        assert_eq!(reply(b":-42\r\n"), Reply::Integer(-42));
        assert_eq!(reply(b"-ERR \xff\r\n"), Reply::Error("ERR \u{fffd}".into()));
        assert_eq!(reply(b"!5\r\nERR x\r\n"), Reply::Error("ERR x".into()));
        for null in [&b"$-1\r\n"[..], b"*-1\r\n", b"_\r\n"] {
            assert_eq!(reply(null), Reply::Null);
        }
        for (bytes, expected) in [
            (&b",3.10\r\n"[..], "3.10"),
            (b",inf\r\n", "inf"),
            (b"#t\r\n", "t"),
            (
                b"(123456789012345678901234567890\r\n",
                "123456789012345678901234567890",
            ),
            (b"=8\r\ntxt:text\r\n", "text"),
        ] {
            assert_eq!(reply(bytes), Reply::Other(text(expected)));
        }
        assert_eq!(
            reply(b"*2\r\n:1\r\n*0\r\n"),
            Reply::Array(vec![Reply::Integer(1), Reply::Array(vec![])])
        );
        assert_eq!(
            reply(b"~2\r\n:1\r\n:1\r\n"),
            Reply::Array(vec![Reply::Integer(1), Reply::Integer(1)])
        );
        assert_eq!(
            reply(b"%2\r\n$1\r\nb\r\n$-1\r\n$1\r\na\r\n*1\r\n:1\r\n"),
            Reply::Map(vec![
                (bulk("b"), Reply::Null),
                (bulk("a"), Reply::Array(vec![Reply::Integer(1)])),
            ])
        );
    }

    #[test]
    fn a_message_is_read_in_its_usual_form_and_in_any_other() {
        let usual = b">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$3\r\n\r\n1\r\n";
        let simple = b">3\r\n+message\r\n$2\r\nch\r\n$3\r\n\r\n1\r\n";
        let zeros = b">3\r\n$07\r\nmessage\r\n$2\r\nch\r\n$3\r\n\r\n1\r\n";
        let decorated = [&b"|1\r\n+ttl\r\n:3\r\n"[..], usual].concat();
        for bytes in [&usual[..], simple, zeros, &decorated] {
            let mut reader = ReplyReader::new(LIMITS);
            reader.feed(bytes);
            let message = Incoming::Message {
                channel: b"ch",
                payload: b"\r\n1",
            };
            assert_eq!(reader.pull(), Ok(Some(message)));
            assert_eq!(reader.pull(), Ok(None));
        }
    }

    #[test]
    fn subscriptions_are_confirmed_and_other_pushes_are_not_messages() {
        let mut reader = ReplyReader::new(LIMITS);
        reader.feed(b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
        reader.feed(b">3\r\n$11\r\nunsubscribe\r\n$1\r\nb\r\n:0\r\n");
        reader.feed(b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n");
        reader.feed(b">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nb\r\n$1\r\nc\r\n");
        reader.feed(b">2\r\n$10\r\ninvalidate\r\n_\r\n>0\r\n>1\r\n:1\r\n");
        let channel = Bytes::from_static(b"a");
        assert_eq!(reader.pull(), Ok(Some(Incoming::Subscribed { channel })));
        let channel = Bytes::from_static(b"b");
        assert_eq!(reader.pull(), Ok(Some(Incoming::Unsubscribed { channel })));
        for _ in 0..5 {
            assert_eq!(reader.pull(), Ok(Some(Incoming::OtherPush)));
        }
        assert_eq!(reader.pull(), Ok(None));
    }

    #[test]
    fn redis_7_0_answers_exec_with_our_own_message_inside() {
        let mut reader = ReplyReader::new(LIMITS);
        reader.feed(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n");
        reader.feed(b"*2\r\n+OK\r\n>3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$5\r\nhello\r\n:1\r\n");
        let (said, error) = all(&mut reader);
        assert_eq!((said.len(), error), (5, None));
        assert!(said[3].starts_with("Message"), "{said:?}");
        assert!(said[4].ends_with("Integer(1)]))"), "{said:?}");
    }

    #[test]
    fn a_push_inside_an_array_comes_first_and_is_not_its_element() {
        let usual = &b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n"[..];
        let unusual = &b">3\r\n+message\r\n$1\r\nc\r\n$1\r\nm\r\n"[..];
        let oversize = [
            &b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$101\r\n"[..],
            &[0; 101],
            b"\r\n",
        ]
        .concat();
        for push in [usual, unusual, &oversize] {
            let mut reader = ReplyReader::new(LIMITS);
            reader.feed(&[b"*2\r\n+OK\r\n", push, b":1\r\n+after\r\n"].concat());
            let first = reader.pull();
            assert!(matches!(
                first,
                Ok(Some(Incoming::Message {
                    channel: b"c",
                    payload: b"m"
                }) | Some(Incoming::OversizePush { bytes: 101 }))
            ));
            let array = Reply::Array(vec![Reply::Simple("OK".into()), Reply::Integer(1)]);
            assert_eq!(reader.pull(), Ok(Some(Incoming::Reply(array))));
            let after = Reply::Simple("after".into());
            assert_eq!(reader.pull(), Ok(Some(Incoming::Reply(after))));
        }
    }

    #[test]
    fn more_pushes_than_elements_fit_inside_one_array() {
        let push = [
            &b">3\r\n+message\r\n$1\r\nc\r\n$60\r\n"[..],
            &[b'x'; 60],
            b"\r\n",
        ]
        .concat();
        let (said, error) = said(&[b"*1\r\n", &push.repeat(2_000)[..], b":1\r\n"].concat());
        assert_eq!((said.len(), error), (2_001, None));
    }

    #[test]
    fn one_oversize_message_does_not_end_the_link() {
        let mut reader = ReplyReader::new(LIMITS);
        reader.feed(b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1000000\r\n");
        for _ in 0..1_000 {
            reader.feed(&[b'x'; 1_000]);
            assert_eq!(reader.pull(), Ok(None));
        }
        assert!(
            reader.inbox.capacity() < 10_000,
            "what is skipped is not kept"
        );
        reader.feed(b"\r\n$101\r\n");
        assert_eq!(
            reader.pull(),
            Ok(Some(Incoming::OversizePush { bytes: 1_000_000 }))
        );
        reader.feed(&[b'y'; 101]);
        reader.feed(b"\r\n+OK\r\n");
        assert_eq!(
            reader.pull(),
            Ok(Some(Incoming::Reply(Reply::Oversize(101))))
        );
        let ok = Reply::Simple("OK".into());
        assert_eq!(reader.pull(), Ok(Some(Incoming::Reply(ok))));
    }

    #[test]
    fn an_oversize_value_elsewhere_is_too_long() {
        for head in [
            &b"*1\r\n"[..],
            b">3\r\n",
            b">3\r\n$7\r\nmessage\r\n",
            b"%1\r\n:1\r\n",
        ] {
            let bytes = [head, b"$101\r\n"].concat();
            assert_eq!(
                error(&bytes),
                Some(Malformed::TooLong),
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn limits_are_checked_before_anything_is_reserved() {
        assert_eq!(error(b"*33\r\n"), Some(Malformed::TooMany));
        assert_eq!(error(b"%17\r\n"), Some(Malformed::TooMany));
        assert_eq!(error(b"*20\r\n*13\r\n"), Some(Malformed::TooMany));
        assert_eq!(
            error(b"*18446744073709551615\r\n"),
            Some(Malformed::TooMany)
        );
        assert_eq!(
            error(b"%18446744073709551615\r\n"),
            Some(Malformed::TooMany)
        );
        assert_eq!(error(&b"*1\r\n".repeat(4)), None);
        assert_eq!(error(&b"*1\r\n".repeat(5)), Some(Malformed::TooDeep));
        assert_eq!(
            error(&b"*1\r\n".repeat(1_000_000)),
            Some(Malformed::TooDeep)
        );
        assert_eq!(
            error(&b"|1\r\n".repeat(1_000_000)),
            Some(Malformed::TooDeep)
        );
        assert_eq!(error(&[b'+'; 70_000]), Some(Malformed::TooLong));
        assert_eq!(error(&[b'$'; 64]), Some(Malformed::TooLong));
        let lines = [
            &b"*9\r\n"[..],
            &[&[b'+'; 60_000], &b"\r\n"[..]].concat().repeat(2),
        ]
        .concat();
        assert_eq!(error(&lines), Some(Malformed::TooLong));
    }

    #[test]
    fn the_elements_of_one_reply_are_bounded_together() {
        let limits = ReplyLimits {
            bulk_bytes_max: 60_000,
            ..LIMITS
        };
        let bulk = [&b"$60000\r\n"[..], &[b'x'; 60_000], b"\r\n"].concat();
        let mut reader = ReplyReader::new(limits);
        reader.feed(&[b"*2\r\n", &bulk.repeat(2)[..], b"*3\r\n", &bulk.repeat(2)].concat());
        assert!(matches!(
            reader.pull(),
            Ok(Some(Incoming::Reply(Reply::Array(_))))
        ));
        // Refused when it is announced, not when it has come.
        assert_eq!(reader.pull(), Ok(None));
        reader.feed(b"$6000\r\n");
        assert_eq!(reader.pull(), Err(Malformed::TooLong));
    }

    #[test]
    fn what_is_not_resp_is_malformed_and_stays_so() {
        for bytes in [
            &b"HTTP/1.1 400 Bad Request\r\n"[..],
            b"\r\n",
            b"$?\r\n",
            b"*?\r\n",
            b";3\r\nabc\r\n",
            b".\r\n",
            b"$-2\r\n",
            b"$+1\r\n",
            b"$\r\n",
            b"$1 \r\n",
            b"%-1\r\n",
            b">-1\r\n",
            b"!-1\r\n",
            b"$3\r\nabcde",
            b"=3\r\nabc\r\n",
            b"=0\r\n\r\n",
            b"+OK\n",
            b":1.5\r\n",
            b":\r\n",
            b"#x\r\n",
            b",one\r\n",
            b">3\r\n$7\r\nmessage\r\n$1\r\nab\r\n",
            b"$99999999999999999999\r\n",
        ] {
            assert!(syntax(bytes), "{}", bytes.escape_ascii());
        }
        let mut reader = ReplyReader::new(LIMITS);
        reader.feed(b"?");
        let error = reader.pull().map(|_| ());
        reader.feed(b"+OK\r\n");
        assert_eq!(reader.pull().map(|_| ()), error);
        assert!(error.is_err());
    }

    #[test]
    fn a_large_message_in_small_pieces_costs_linear_time_and_leaves_no_memory_behind() {
        const BYTES: usize = 4 << 20;
        let limits = ReplyLimits {
            bulk_bytes_max: BYTES,
            ..LIMITS
        };
        for head in [">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n", ""] {
            let mut reader = ReplyReader::new(limits);
            reader.feed(format!("{head}${BYTES}\r\n").as_bytes());
            // A byte at a time: a reader that looks at its bytes again would need hours.
            for _ in 0..BYTES {
                assert_eq!(reader.pull(), Ok(None));
                reader.feed(b"\n");
            }
            reader.feed(b"\r\n+O");
            assert!(matches!(reader.pull(), Ok(Some(_))));
            assert_eq!(reader.pull(), Ok(None));
            assert!(reader.inbox.capacity() <= 128 << 10);
            reader.feed(b"K\r\n");
            let ok = Reply::Simple("OK".into());
            assert_eq!(reader.pull(), Ok(Some(Incoming::Reply(ok))));
        }
    }
}
