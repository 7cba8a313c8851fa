//! Properties of the three codecs.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::OpCode;
use ws4redis::close::Close;
use ws4redis::wire::http::{self, Field};
use ws4redis::wire::resp::{
    self, CommandReader, Incoming, Protocol, Reply, ReplyLimits, ReplyReader,
};
use ws4redis::wire::ws;

use crate::frames::{self, BINARY, FINAL, TEXT};

const LIMITS: ReplyLimits = ReplyLimits {
    bulk_bytes_max: 1_000,
    depth_max: 8,
    elements_max: 1_000,
};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_codec_panic(pieces in vec(prop_oneof![resp_like(), frame_like(), head_like(), noise()], 0..20)) {
        let mut replies = ReplyReader::new(LIMITS);
        let mut commands = CommandReader::new(1_000);
        let mut partial = None;
        let mut head = Vec::new();
        for piece in &pieces {
            replies.feed(piece);
            while let Ok(Some(_)) = replies.pull() {}
            commands.feed(piece);
            while let Ok(Some(_)) = commands.pull() {}
            let _ = ws::read(&mut partial, &mut piece.clone(), 1_000, |_| true);
            head.extend_from_slice(piece);
            let _ = http::with_head(&head, 1_000, |head, _| {
                let _ = http::Upgrade::from_head(head).map(|upgrade| upgrade.response());
                let (path, query) = head.split_target();
                (http::decode_path(path).len(), http::query_names(query).count(), head.cookie("a").is_some())
            });
        }
    }

    #[test]
    fn the_embedded_redis_reads_the_commands_that_we_write(
        commands in vec(vec(vec(any::<u8>(), 0..40), 1..6), 1..6),
    ) {
        let mut out = Vec::new();
        for words in &commands {
            let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
            resp::command(&mut out, &words);
        }
        let mut reader = CommandReader::new(1_000);
        reader.feed(&out);
        for words in commands {
            let words: Vec<Bytes> = words.into_iter().map(Bytes::from).collect();
            prop_assert_eq!(reader.pull(), Ok(Some(words)));
        }
        prop_assert_eq!(reader.pull(), Ok(None));
    }

    #[test]
    fn we_read_the_replies_that_the_embedded_redis_writes(replies in vec(reply(), 1..5)) {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let mut out = Vec::new();
            for reply in &replies {
                resp::reply(&mut out, protocol, reply);
            }
            let mut reader = ReplyReader::new(LIMITS);
            reader.feed(&out);
            for reply in &replies {
                let expected = match protocol {
                    Protocol::Resp2 => in_resp2(reply),
                    Protocol::Resp3 => reply.clone(),
                };
                prop_assert_eq!(reader.pull(), Ok(Some(Incoming::Reply(expected))));
            }
            prop_assert_eq!(reader.pull(), Ok(None));
        }
    }

    #[test]
    fn we_read_the_messages_that_the_embedded_redis_pushes(
        channel in vec(any::<u8>(), 0..300),
        payload in vec(any::<u8>(), 0..1_000),
    ) {
        let words = [&b"message"[..], &channel, &payload].map(|word| Reply::Bulk(Bytes::copy_from_slice(word)));
        let mut out = Vec::new();
        resp::push(&mut out, Protocol::Resp3, &words);
        let mut reader = ReplyReader::new(LIMITS);
        reader.feed(&out);
        let message = Incoming::Message { channel: &channel, payload: &payload };
        prop_assert_eq!(reader.pull(), Ok(Some(message)));
    }

    #[test]
    fn a_client_s_message_is_read_as_it_was_sent_with_any_mask(
        payload in vec(any::<u8>(), 0..70_000),
        mask in any::<[u8; 4]>(),
    ) {
        let mut bytes = Vec::new();
        let header = FrameHeader { opcode: OpCode::from(BINARY), mask: Some(mask), ..FrameHeader::default() };
        header.format(payload.len() as u64, &mut bytes).unwrap();
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        let mut read = false;
        let result = ws::read(&mut None, &mut bytes, payload.len(), |event| {
            read = event == ws::Event::Binary(&payload);
            true
        });
        prop_assert_eq!(result, Ok(()));
        prop_assert!(read);
        if !payload.is_empty() {
            let result = ws::read(&mut None, &mut bytes, payload.len() - 1, |_| true);
            prop_assert_eq!(result, Err(Close::TooBig));
        }
    }

    #[test]
    fn a_message_goes_out_as_text_exactly_if_it_is_utf_8(payload in prop_oneof![
        vec(any::<u8>(), 0..70_000),
        any::<String>().prop_map(String::into_bytes),
    ]) {
        let bytes = ws::message(&payload);
        let mut cursor = std::io::Cursor::new(&bytes[..]);
        let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
        let opcode = if str::from_utf8(&payload).is_ok() { TEXT } else { BINARY };
        prop_assert_eq!(header.opcode, OpCode::from(opcode));
        prop_assert!(header.is_final && header.mask.is_none());
        prop_assert_eq!(length, payload.len() as u64);
        prop_assert_eq!(&bytes[cursor.position() as usize..], &payload[..]);
    }

    #[test]
    fn a_head_is_read_as_it_was_written(
        target in "/[!-~]{0,40}",
        fields in vec(("[A-Z][a-z]{3,9}-[0-9]{1,3}", "[!-~]([ -~]{0,30}[!-~])?"), 0..20),
        after in vec(any::<u8>(), 0..20),
    ) {
        let mut text = format!("GET {target} HTTP/1.1\r\nHost: example.org\r\n");
        for (name, value) in &fields {
            text += &format!("{name}: {value}\r\n");
        }
        text += "\r\n";
        let bytes = [text.as_bytes(), &after].concat();
        let read = http::with_head(&bytes, 2_000, |head, length| {
            assert_eq!((head.method, head.target, length), ("GET", &target[..], text.len()));
            for (name, value) in &fields {
                match head.field(&name.to_lowercase()) {
                    Field::Once(found) => assert_eq!(found, value.as_bytes()),
                    other => assert_eq!(other, Field::Repeated),
                }
            }
        });
        prop_assert_eq!(read, Ok(Some(())));
    }

    #[test]
    fn a_path_is_decoded_as_it_was_encoded(path in any::<String>()) {
        let encoded: String = path.bytes().map(|byte| format!("%{byte:02x}")).collect();
        prop_assert_eq!(http::decode_path(&encoded), path);
    }
}

/// The reply as it comes through RESP2, which has no maps.
fn in_resp2(reply: &Reply) -> Reply {
    match reply {
        Reply::Array(items) => Reply::Array(items.iter().map(in_resp2).collect()),
        Reply::Map(pairs) => Reply::Array(
            pairs
                .iter()
                .flat_map(|(key, value)| [in_resp2(key), in_resp2(value)])
                .collect(),
        ),
        other => other.clone(),
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let bytes = || vec(any::<u8>(), 0..40).prop_map(Bytes::from);
    let leaf = prop_oneof![
        "[^\r\n]{0,30}".prop_map(|text| Reply::Simple(Bytes::from(text))),
        "[^\r\n]{0,30}".prop_map(Reply::Error),
        bytes().prop_map(Reply::Bulk),
        any::<i64>().prop_map(Reply::Integer),
        Just(Reply::Null),
    ];
    leaf.prop_recursive(3, 40, 6, |item| {
        prop_oneof![
            vec(item.clone(), 0..6).prop_map(Reply::Array),
            vec((item.clone(), item), 0..4).prop_map(Reply::Map),
        ]
    })
}

fn noise() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..60)
}

/// Words of RESP in any order, most of it nearly right.
fn resp_like() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "*3\r\n",
        ">3\r\n",
        "%1\r\n",
        "|1\r\n",
        "~2\r\n",
        "*-1\r\n",
        "$-1\r\n",
        "_\r\n",
        "+OK\r\n",
        "-ERR\r\n",
        ":1\r\n",
        ":x\r\n",
        ",1.5\r\n",
        "#t\r\n",
        "(1\r\n",
        "=5\r\ntxt:a\r\n",
        "!1\r\na\r\n",
        "$7\r\nmessage\r\n",
        "$1\r\nc\r\n",
        "$3\r\nabc\r\n",
        "$2000\r\n",
        "$?\r\n",
        "$9\r\nsubscribe\r\n",
        "PING\r\n",
        "\"a",
        "\r\n",
        "\r",
        "$1\r\nab",
    ]);
    vec(word, 0..20).prop_map(|words| words.concat().into_bytes())
}

fn frame_like() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        vec(any::<u8>(), 0..200),
        "\\PC{0,50}".prop_map(String::into_bytes)
    ];
    let first = prop_oneof![
        prop::sample::select(vec![
            TEXT,
            BINARY,
            0,
            FINAL,
            FINAL | TEXT,
            FINAL | BINARY,
            FINAL | 8,
            FINAL | 9,
            FINAL | 10
        ]),
        any::<u8>(),
    ];
    (first, payload).prop_map(|(first, payload)| frames::frame(first, &payload))
}

fn head_like() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::sample::select(vec![
        "GET ",
        "/a%C3%28?b=c&%zz ",
        "http://a/ ",
        "HTTP/1.1\r\n",
        "Host: a\r\n",
        "Cookie: a=\"b\"; a\r\n",
        "Connection: upgrade\r\n",
        "Upgrade: websocket\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "\r\n",
        "\n",
    ]);
    vec(word, 0..15).prop_map(|words| words.concat().into_bytes())
}
