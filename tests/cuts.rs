//! Any cut of the same bytes gives the same events. A socket may deliver a stream in any pieces, so a codec
//! that reads one of them differently has a bug which somebody's network will find.

use crate::bodies;
use crate::frames::{self, BINARY, CLOSE, CONTINUATION, FINAL, PING, PONG, RSV1, TEXT};

/// Reads one stream, that came in these pieces, to its end or to its first fault.
type Read = fn(&[&[u8]]) -> Vec<String>;

/// Feeds the bytes whole, byte by byte and at seeded cuts, and compares what is read.
fn at_every_cut(name: &str, bytes: &[u8], read: Read) {
    let whole = read(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(read(&single), whole, "{name}, byte by byte");
    for cut in 0..=bytes.len().min(200) {
        let (front, back) = bytes.split_at(cut);
        assert_eq!(read(&[front, back]), whole, "{name}, cut at {cut}");
    }
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(random.usize(0..=rest.len().min(40)));
            pieces.push(piece);
            rest = after;
        }
        assert_eq!(read(&pieces), whole, "{name}, seed {seed}");
    }
}

#[test]
fn replies_are_the_same_at_every_cut() {
    for (name, bytes) in replies() {
        at_every_cut(name, &bytes, bodies::read_replies);
    }
}

#[test]
fn commands_are_the_same_at_every_cut() {
    for (name, bytes) in commands() {
        at_every_cut(name, &bytes, bodies::read_commands);
    }
}

#[test]
fn frames_are_the_same_at_every_cut() {
    for (name, bytes) in client_streams() {
        at_every_cut(name, &bytes, bodies::read_frames);
    }
}

#[test]
fn heads_are_the_same_at_every_cut() {
    for (name, bytes) in heads() {
        at_every_cut(name, &bytes, bodies::read_heads);
    }
}

#[test]
fn responses_are_the_same_at_every_cut() {
    for (name, bytes) in responses() {
        at_every_cut(name, &bytes, bodies::read_responses);
    }
}

pub(crate) fn responses() -> Vec<(&'static str, Vec<u8>)> {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let mut responses = vec![
        ("nothing", vec![]),
        ("a length", ok("Content-Length: 5\r\n\r\nhello")),
        ("no body", ok("Content-Length: 0\r\n\r\n")),
        (
            "more than was asked for",
            ok("Content-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n"),
        ),
        ("cut short", ok("Content-Length: 5\r\n\r\nhell")),
        ("too long", ok("Content-Length: 101\r\n\r\nhello")),
        ("until the end", ok("\r\nhello")),
        (
            "until the end, at the limit",
            ok(&format!("\r\n{}", "x".repeat(100))),
        ),
        (
            "until the end, too long",
            ok(&format!("\r\n{}", "x".repeat(101))),
        ),
        (
            "JSON that did not come",
            ok("Content-Type: application/json\r\n\r\n"),
        ),
        (
            "nothing to say",
            b"HTTP/1.1 204 No Content\r\n\r\nrest".to_vec(),
        ),
        (
            "interim ones",
            [
                early.as_bytes(),
                &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
                &ok("\r\nx"),
            ]
            .concat(),
        ),
        ("endless interim ones", early.repeat(20).into()),
        (
            "another protocol",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n".to_vec(),
        ),
    ];
    responses.extend(chunked_responses());
    responses.extend(doubtful_responses());
    responses
}

fn chunked_responses() -> Vec<(&'static str, Vec<u8>)> {
    let chunked = |rest: &str| ok(&format!("Transfer-Encoding: chunked\r\n\r\n{rest}"));
    vec![
        (
            "chunks",
            chunked("3\r\nabc\r\n0a;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\nrest"),
        ),
        ("a chunk that is too long", chunked("3\r\nabc\r\n62\r\n")),
        ("a chunk behind its size", chunked("3\r\nabcd\r\n0\r\n\r\n")),
        ("a chunk without a size", chunked("\r\n\r\n")),
        (
            "endless chunks",
            chunked(&"1;xxxxxxxxxxxxxxx\r\na\r\n".repeat(50)),
        ),
        ("an endless size", chunked(&"0".repeat(600))),
        (
            "an endless trailer",
            chunked(&format!("0\r\n{}", "A: b\r\n".repeat(100))),
        ),
    ]
}

fn doubtful_responses() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "two lengths",
            ok("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"),
        ),
        (
            "a length and chunks",
            ok("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na"),
        ),
        ("a folded line", ok("A: b\r\n c\r\n\r\n")),
        ("an endless head", ok(&"A: b\r\n".repeat(60))),
        (
            "too many fields",
            format!("HTTP/1.1 200 OK\r\n{}", "A:\n".repeat(65)).into(),
        ),
        (
            "bare line feeds",
            b"HTTP/1.1 200 OK\nContent-Length: 1\n\na".to_vec(),
        ),
        ("another server", b"220 mail.example ESMTP\r\n".to_vec()),
        ("zeros", vec![0; 100]),
    ]
}

fn ok(rest: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nServer: x\r\n{rest}").into()
}

pub(crate) fn replies() -> Vec<(&'static str, Vec<u8>)> {
    let message = b">3\r\n$7\r\nmessage\r\n$12\r\nbroadcast:ch\r\n$7\r\na\r\nb\r\nc\r\n";
    let oversize = [
        &b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$600\r\n"[..],
        &[b'\n'; 600],
        b"\r\n",
    ]
    .concat();
    vec![
        ("nothing", vec![]),
        ("messages", message.repeat(3)),
        ("a message in another form", b">3\r\n+message\r\n$1\r\na\r\n$2\r\nbc\r\n+OK\r\n".to_vec()),
        (
            "confirmations",
            b">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n>3\r\n$11\r\nunsubscribe\r\n$1\r\na\r\n:0\r\n".to_vec(),
        ),
        (
            "every type",
            b"+OK\r\n-ERR no\r\n:-1\r\n$3\r\na\r\n\r\n$-1\r\n*-1\r\n_\r\n,1.5\r\n#t\r\n(12345678901234567890\r\n\
              =8\r\ntxt:text\r\n!5\r\nERR x\r\n*2\r\n*0\r\n~1\r\n+x\r\n%1\r\n+key\r\n*1\r\n:1\r\n\
              |1\r\n+ttl\r\n:3\r\n+decorated\r\n"
                .to_vec(),
        ),
        (
            "a greeting of Redis 7.0",
            b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n\
              $2\r\nid\r\n:3\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n\
              $7\r\nmodules\r\n*0\r\n"
                .to_vec(),
        ),
        ("a push inside an array", [b"*2\r\n+OK\r\n", &message[..], b":1\r\n+OK\r\n"].concat()),
        ("oversize pushes", [&oversize[..], message, &oversize, b"*1\r\n", &oversize, b":1\r\n"].concat()),
        ("an oversize reply", [&b"$501\r\n"[..], &[b'\r'; 501], b"\r\n:1\r\n"].concat()),
        ("an oversize value that does not end", [&b"$501\r\n"[..], &[b'x'; 501], b"xx:1\r\n"].concat()),
        ("an oversize element", b"+OK\r\n*1\r\n$501\r\n".to_vec()),
        ("a nesting bomb", b"*1\r\n".repeat(1_000)),
        ("a nesting bomb of maps", b"%1\r\n".repeat(1_000)),
        ("a nesting bomb of attributes", [b"+OK\r\n", &b"|1\r\n".repeat(1_000)[..]].concat()),
        ("an endless line", [&b"+OK\r\n"[..], &b"+".repeat(70_000)].concat()),
        ("an endless length", b"$1".repeat(100)),
        ("huge announcements", b":1\r\n*99999999999\r\n".to_vec()),
        ("a huge bulk", b"$18446744073709551615\r\nabc".to_vec()),
        ("a length over all", b"$18446744073709551616\r\nabc".to_vec()),
        ("a negative length", b"$-2\r\n".to_vec()),
        ("a streamed string", b"$?\r\n;1\r\na\r\n;0\r\n".to_vec()),
        ("a bulk without end", b"+OK\r\n$3\r\nabcdef".to_vec()),
        ("a message without end", b">3\r\n$7\r\nmessage\r\n$1\r\nabc$1\r\nd\r\n".to_vec()),
        ("a web server", b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n".to_vec()),
        ("zeros", vec![0; 100]),
    ]
}

pub(crate) fn commands() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "arrays",
            b"*2\r\n$3\r\nGET\r\n$2\r\n\r\n\r\n*1\r\n$4\r\nPING\r\n*0\r\n*-1\r\n".to_vec(),
        ),
        (
            "lines",
            b"PING\r\n\r\n\nSET a \"b c\\n\" 'd'\nGET a\r\n".to_vec(),
        ),
        ("mixed", b"PING\n*1\r\n$4\r\nPING\r\nPING\r\n".to_vec()),
        ("too many words", b"PING\n*1025\r\n".to_vec()),
        (
            "too many bytes",
            b"*2\r\n$300\r\n"
                .iter()
                .chain(&[b'x'; 300])
                .chain(b"\r\n$201\r\n")
                .copied()
                .collect(),
        ),
        ("an endless line", b"PING ".repeat(200)),
        ("a word of another type", b"*1\r\n:1\r\n".to_vec()),
        ("a word without end", b"*1\r\n$4\r\nPINGPING".to_vec()),
        (
            "a browser",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("unbalanced quotes", b"PING\r\nSET a \"b\r\n".to_vec()),
    ]
}

pub(crate) fn client_streams() -> Vec<(&'static str, Vec<u8>)> {
    let fragments = [
        frames::frame(TEXT, b"gr\xc3"),
        frames::frame(FINAL | PING, b"p"),
        frames::frame(CONTINUATION, b""),
        frames::frame(FINAL | PONG, b""),
        frames::frame(FINAL | CONTINUATION, b"\xbcn"),
    ];
    let messages = [
        frames::frame(FINAL | TEXT, "grüße, 世界 🦀".as_bytes()),
        frames::frame(FINAL | BINARY, &[7; 500]),
        frames::frame(FINAL | TEXT, b""),
    ];
    let goodbye = [
        frames::close(1001, b"bye"),
        frames::frame(FINAL | TEXT, b"not read"),
    ];
    let mut streams = vec![
        ("nothing", vec![]),
        ("messages", messages.concat().repeat(2)),
        ("fragments", fragments.concat().repeat(2)),
        (
            "a message that goes on",
            [&messages.concat()[..], &fragments[0]].concat(),
        ),
        ("a goodbye", goodbye.concat()),
        ("an empty goodbye", frames::frame(FINAL | CLOSE, b"")),
    ];
    for (name, fault) in faults() {
        streams.push((name, fault.clone()));
        streams.push((name, [messages.concat(), fault].concat()));
    }
    streams
}

fn faults() -> Vec<(&'static str, Vec<u8>)> {
    let frame = frames::frame;
    let two = |first: Vec<u8>, second: Vec<u8>| [first, second].concat();
    vec![
        ("half a code", frame(FINAL | CLOSE, b"\x03")),
        ("a forbidden code", frames::close(1005, b"")),
        ("a reason that is no text", frames::close(1000, b"\xff")),
        ("unmasked", frames::unmasked(FINAL | TEXT, b"abc")),
        ("a reserved bit", frame(FINAL | RSV1 | TEXT, b"abc")),
        ("a reserved opcode", frame(FINAL | 0x3, b"abc")),
        ("a long ping", frame(FINAL | PING, &[0; 126])),
        ("a fragmented ping", frame(PING, b"abc")),
        (
            "a continuation of nothing",
            frame(FINAL | CONTINUATION, b"abc"),
        ),
        (
            "a text within a message",
            two(frame(BINARY, b"a"), frame(FINAL | TEXT, b"b")),
        ),
        ("not utf-8", frame(FINAL | TEXT, b"abc\xf4\x90\x80\x80def")),
        ("half a character", frame(FINAL | TEXT, b"abc\xc3")),
        (
            "half a character in fragments",
            two(frame(TEXT, b"\xe4\xb8"), frame(FINAL, b"")),
        ),
        ("too big", frame(FINAL | BINARY, &[0; 501])),
        (
            "too big in fragments",
            two(frame(BINARY, &[0; 300]), frame(FINAL, &[0; 201])),
        ),
        (
            "a huge announcement",
            frames::header(FINAL | BINARY, u64::MAX >> 1),
        ),
        ("the top bit", frames::header(FINAL | BINARY, u64::MAX)),
        (
            "not minimal",
            vec![FINAL | BINARY, 0xfe, 0, 1, 0, 0, 0, 0, 9],
        ),
        (
            "a web browser",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
    ]
}

pub(crate) fn heads() -> Vec<(&'static str, Vec<u8>)> {
    let browser = "GET /ws/chat?subscribe-user HTTP/1.1\r\nHost: example.org\r\nConnection: keep-alive, Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: a, b\r\n\r\n";
    let get = |rest: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{rest}\r\n").into_bytes();
    vec![
        ("a browser", browser.into()),
        (
            "a browser that does not wait",
            [browser.as_bytes(), &frames::frame(FINAL | TEXT, b"a")].concat(),
        ),
        (
            "a browser that goes away",
            browser.as_bytes()[..100].to_vec(),
        ),
        ("no upgrade", get("")),
        ("blank lines before", [&b"\r\n\r\n"[..], &get("")].concat()),
        ("bare line feeds", b"GET / HTTP/1.1\nHost: a\n\n".to_vec()),
        (
            "an absolute target",
            b"GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        ("a body", get("Content-Length: 3\r\n")),
        ("two hosts", get("Host: a\r\n")),
        (
            "an old version",
            b"GET / HTTP/1.0\r\nHost: a\r\n\r\n".to_vec(),
        ),
        (
            "an endless line",
            format!("GET /{}", "a".repeat(600)).into(),
        ),
        (
            "an endless field",
            get(&format!("A: {}\r\n", "a".repeat(600))),
        ),
        ("endless fields", get(&"A: a\r\n".repeat(200))),
        ("too many short fields", get(&"A:\r\n".repeat(65))),
        ("a bad field name", get("A b: c\r\n")),
        (
            "a fault behind the limit",
            get(&format!("A: {}\r\nA b: c\r\n", "a".repeat(480))),
        ),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00".to_vec()),
        ("zeros", vec![0; 100]),
    ]
}
