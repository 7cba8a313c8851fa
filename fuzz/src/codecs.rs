//! The codecs. A socket may deliver a stream in any pieces, and they must all be read alike.

use ws4redis::hub::access::forwarded::client_address;
use ws4redis::hub::access::jwt::{Places, bearer};
use ws4redis::peer::From;
use ws4redis::wire::{http, http_client, resp, ws};

/// Reads a stream that came in these pieces, to its end or to its first fault.
type Read = fn(&[&[u8]]) -> Vec<String>;

/// Heads of requests.
pub fn heads(bytes: &[u8]) {
    alike(bytes, read_heads);
}

/// Frames of clients.
pub fn frames(bytes: &[u8]) {
    alike(bytes, read_frames);
}

/// What Redis says.
pub fn replies(bytes: &[u8]) {
    alike(bytes, read_replies);
}

/// What is said to the embedded Redis.
pub fn commands(bytes: &[u8]) {
    alike(bytes, read_commands);
}

/// What an application answers.
pub fn responses(bytes: &[u8]) {
    alike(bytes, read_responses);
}

fn alike(bytes: &[u8], read: Read) {
    let whole = read(&[bytes]);
    let (front, back) = bytes.split_at(bytes.len() / 2);
    assert_eq!(read(&[front, back]), whole);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single), whole);
}

/// The head of a request, and what can be asked of it.
pub fn read_heads(pieces: &[&[u8]]) -> Vec<String> {
    let mut received = Vec::new();
    for piece in pieces {
        received.extend_from_slice(piece);
        let read = http::with_head(&received, 500, |head, length| {
            let (path, query) = head.split_target();
            let places = Places {
                cookie: Some("a".to_owned()),
                query: Some("b".to_owned()),
            };
            vec![
                format!("{head:?} {length}"),
                format!("{:?}", http::Upgrade::from_head(head)),
                http::decode_path(path).into_owned(),
                http::query_names(query).collect(),
                format!("{:?} {:?}", head.cookie("a"), bearer(head, &places)),
                http_client::forwardable(head).escape_ascii().to_string(),
                client_address(head, From::Unix, true, 1).to_string(),
            ]
        });
        match read {
            Ok(None) => {}
            Ok(Some(head)) => return head,
            Err(refusal) => return vec![format!("{refusal:?}")],
        }
    }
    vec!["not whole".to_owned()]
}

/// The events of a client's frames, and whether something is held at their end.
pub fn read_frames(pieces: &[&[u8]]) -> Vec<String> {
    let mut partial = None;
    let mut events = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut open = true;
        let read = ws::read(&mut partial, &mut piece, 500, |event| {
            open = !matches!(event, ws::Event::Close(_));
            events.push(format!("{event:?}"));
            true
        });
        if let Err(close) = read {
            events.push(format!("{close:?}"));
        }
        if read.is_err() || !open {
            assert!(partial.is_none());
            return events;
        }
    }
    // What is held at the end depends on the bytes alone, not on the pieces in which they came.
    events.push(format!("pending: {}", partial.is_some()));
    events
}

/// What Redis says, value by value.
pub fn read_replies(pieces: &[&[u8]]) -> Vec<String> {
    let mut reader = resp::ReplyReader::new(resp::ReplyLimits {
        bulk_bytes_max: 500,
        depth_max: 8,
        elements_max: 64,
    });
    let mut events = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.pull() {
                Ok(Some(incoming)) => events.push(format!("{incoming:?}")),
                Ok(None) => break,
                Err(error) => {
                    events.push(format!("{error:?}"));
                    return events;
                }
            }
        }
    }
    events
}

/// Commands, one by one.
pub fn read_commands(pieces: &[&[u8]]) -> Vec<String> {
    let mut reader = resp::CommandReader::new(500);
    let mut events = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        loop {
            match reader.pull() {
                Ok(Some(words)) => events.push(format!("{words:?}")),
                Ok(None) => break,
                Err(error) => {
                    events.push(format!("{error:?}"));
                    return events;
                }
            }
        }
    }
    events
}

/// One response.
pub fn read_responses(pieces: &[&[u8]]) -> Vec<String> {
    let mut reader = http_client::ResponseReader::new(http_client::ResponseLimits {
        head_bytes_max: 300,
        body_bytes_max: 100,
    });
    let outcome = |response: http_client::Response| {
        // What comes after a response is seen at once, or not before the next call.
        vec![format!("{} {:?}", response.status, response.body)]
    };
    for piece in pieces {
        match reader.feed(piece) {
            Ok(None) => {}
            Ok(Some(response)) => return outcome(response),
            Err(fault) => return vec![format!("{fault:?} {:?}", reader.status())],
        }
    }
    match reader.ended() {
        Ok(response) => outcome(response),
        Err(fault) => vec![format!("{fault:?} {:?}", reader.status())],
    }
}
