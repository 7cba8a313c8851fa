//! The fuzz targets, fed what the other tests read, as it is and spoilt. libFuzzer goes on from the same corpora, for as
//! long as somebody lets it: `make fuzz TARGET=heads SECONDS=60`.

use std::collections::BTreeSet;
use std::fs;
use std::panic::catch_unwind;

use data_encoding::BASE64;
use serde_json::Value;

use crate::{bodies, cuts};

/// How often the bytes of a target are spoilt.
const SPOILT: usize = 3_000;
const UPGRADE: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A fuzz target, and what is known to be worth its while.
struct Target {
    name: &'static str,
    body: fn(&[u8]),
    corpus: fn() -> Vec<Vec<u8>>,
}

const CODECS: &[Target] = &[
    Target {
        name: "heads",
        body: bodies::heads,
        corpus: || unnamed(cuts::heads()),
    },
    Target {
        name: "frames",
        body: bodies::frames,
        corpus: || unnamed(cuts::client_streams()),
    },
    Target {
        name: "replies",
        body: bodies::replies,
        corpus: || unnamed(cuts::replies()),
    },
    Target {
        name: "commands",
        body: bodies::commands,
        corpus: || unnamed(cuts::commands()),
    },
    Target {
        name: "responses",
        body: bodies::responses,
        corpus: || unnamed(cuts::responses()),
    },
];

const ACCESS: &[Target] = &[
    Target {
        name: "cookies",
        body: bodies::cookies,
        corpus: || {
            texts(&[
                "sessionid=k3y",
                "a=b; sessionid=\"k3y\"; sessionid=other",
                "=; ;a ; a=; sessionid",
            ])
        },
    },
    Target {
        name: "forwarded",
        body: bodies::forwarded,
        corpus: || {
            texts(&[
                "192.0.2.7, 10.0.0.1:80",
                "\"[2001:db8::1]:4711\", unknown,",
                "::ffff:192.0.2.1",
            ])
        },
    },
    Target {
        name: "bearers",
        body: bodies::bearers,
        corpus: bearers,
    },
    Target {
        name: "claims",
        body: bodies::claims,
        corpus: || {
            texts(&[
                r#"{"sub":"john","groups":["staff"],"session":"k","channels":[],"exp":1700000300.5}"#,
                r#"{"groups":"a, b","aud":["x"],"iss":"y","nbf":1e3,"subscribe":["a:b"],"publish":null}"#,
                r#"{"sub":"a\u0000b","groups":["\u009b"]}"#,
            ])
        },
    },
    Target {
        name: "orders",
        body: bodies::orders,
        corpus: || {
            texts(&[
                r#"{"action":"disconnect","user":"j\u00f6rg","group":"staff"}"#,
                r#" {"session": "k", "action": "recheck"} "#,
                "t=1700000000,v1=0000000000000000000000000000000000000000000000000000000000000000\n{\"action\":\"recheck\",\"user\":\"a\"}",
            ])
        },
    },
    Target {
        name: "sessions",
        body: bodies::sessions,
        corpus: sessions,
    },
    Target {
        name: "settings",
        body: bodies::settings,
        corpus: || {
            let text = fs::read_to_string("docs/configuration.md").unwrap();
            let blocks = text.split("\n```toml\n").skip(1);
            let file = |block: &str| block.split("\n```").next().unwrap().into();
            blocks.map(file).collect()
        },
    },
];

const HUB: &[Target] = &[
    Target {
        name: "requests",
        body: bodies::requests,
        corpus: requests,
    },
    Target {
        name: "answers",
        body: bodies::answers,
        corpus: answers,
    },
    Target {
        name: "link",
        body: bodies::link,
        corpus: || {
            let pushes: &[u8] =
                b">3\r\n$9\r\nsubscribe\r\n$11\r\nuser:john:g\r\n:2\r\n$5\r\nhello\r\n\
                >3\r\n$7\r\nmessage\r\n$11\r\nuser:john:f\r\n$2\r\nhi\r\n";
            let mut corpus = unnamed(cuts::replies());
            corpus.push(pushes.to_vec());
            corpus
        },
    },
];

#[test]
fn the_codecs_read_anything_alike_in_any_pieces() {
    CODECS.iter().for_each(Target::play);
}

#[test]
fn nothing_that_is_claimed_is_more_than_what_is_proved() {
    ACCESS.iter().for_each(Target::play);
}

#[test]
fn nobody_brings_the_gateway_out_of_its_order() {
    HUB.iter().for_each(Target::play);
}

#[test]
fn every_fuzz_target_is_played_here() {
    let files = fs::read_dir("fuzz/fuzz_targets").unwrap();
    let stem = |path: std::path::PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let files: BTreeSet<String> = files.map(|file| stem(file.unwrap().path())).collect();
    let played: BTreeSet<String> = all().map(|target| target.name.to_owned()).collect();
    assert_eq!(files, played);
    let manifest = fs::read_to_string("fuzz/Cargo.toml").unwrap();
    for name in played {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")));
    }
}

#[test]
#[ignore = "for make fuzz: gives libFuzzer what the tests know"]
fn corpora_are_written() {
    for target in all() {
        let folder = format!("fuzz/corpus/{}", target.name);
        fs::create_dir_all(&folder).unwrap();
        for (nth, bytes) in (target.corpus)().iter().enumerate() {
            fs::write(format!("{folder}/test-{nth}"), bytes).unwrap();
        }
    }
}

fn all() -> impl Iterator<Item = &'static Target> {
    CODECS.iter().chain(ACCESS).chain(HUB)
}

impl Target {
    fn play(&self) {
        let corpus = (self.corpus)();
        for bytes in &corpus {
            self.run(bytes);
        }
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..SPOILT {
            let mut bytes = random.choice(&corpus).unwrap().clone();
            for _ in 0..random.usize(1..6) {
                spoil(&mut bytes, &corpus, &mut random);
            }
            self.run(&bytes);
        }
    }

    fn run(&self, bytes: &[u8]) {
        let body = self.body;
        if catch_unwind(|| body(bytes)).is_err() {
            panic!("{}: {}", self.name, bytes.escape_ascii());
        }
    }
}

/// Does one of the things to it that networks, proxies and enemies do.
fn spoil(bytes: &mut Vec<u8>, corpus: &[Vec<u8>], random: &mut fastrand::Rng) {
    let at = random.usize(0..=bytes.len());
    let end = random.usize(at..=bytes.len().min(at + 20));
    match random.u8(..7) {
        0 => bytes.truncate(at),
        1 => bytes.insert(at, random.u8(..)),
        2 => bytes.insert(at, *random.choice(b"\0\r\n :;,=\"%.[]{}$*>x0129").unwrap()),
        3 => drop(bytes.drain(at..end)),
        4 => bytes[at..end].fill_with(|| random.u8(..)),
        5 => bytes.extend_from_within(at..end),
        _ => {
            let other = random.choice(corpus).unwrap();
            let from = random.usize(0..=other.len());
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
    }
}

fn bearers() -> Vec<Vec<u8>> {
    let mut corpus = texts(&[
        "Authorization: Basic eDp5\r\nCookie: x=y; jwt=a.b.c",
        "Sec-WebSocket-Protocol: v1, bearer, a.b.c",
    ]);
    for line in lines(include_str!("tokens.jsonl")) {
        if let (Some(_), Some(text)) = (line["token"].as_str(), line["text"].as_str()) {
            corpus.push(format!("Authorization: Bearer {text}").into());
        }
    }
    corpus
}

fn sessions() -> Vec<Vec<u8>> {
    let mut corpus = texts(&[
        r#"{"_auth_user_id":"42","ws4redis:username":"john","ws4redis:memberof":["a","b"]}"#,
        r#"{"_auth_user_id":"a\u0000b","ws4redis:memberof":[""]}"#,
        r#"{"_auth_user_id":null,"a":[1.5,{"b":"\ud83d\ude00"}]}"#,
    ]);
    for line in lines(include_str!("sessions.jsonl")) {
        let raw = line["raw"].as_str().unwrap();
        corpus.push(BASE64.decode(raw.as_bytes()).unwrap());
    }
    corpus
}

fn requests() -> Vec<Vec<u8>> {
    let mut corpus = unnamed(cuts::heads());
    for (target, fields) in [
        (
            "chat?subscribe-broadcast&echo",
            "Cookie: sessionid=k3y0f3ss10n\r\n",
        ),
        (
            "a%2Fb?publish-user",
            "X-Ws4redis-User: john\r\nX-Ws4redis-Groups: a,b%2C\r\nX-Forwarded-For: 192.0.2.1\r\n",
        ),
        (
            "f",
            "Origin: http://h\r\nX-Forwarded-Host: h\r\nAuthorization: Bearer a.b.c\r\n",
        ),
        (
            "f",
            "Sec-WebSocket-Protocol: bearer, a.b.c\r\nOrigin: null\r\n",
        ),
    ] {
        corpus.push(format!("GET /ws/{target} HTTP/1.1\r\n{UPGRADE}{fields}\r\n").into());
    }
    corpus
}

fn answers() -> Vec<Vec<u8>> {
    let mut corpus = unnamed(cuts::responses());
    for body in [
        r#"{"user":"john","groups":["staff"],"session":"k3y","channels":["subscribe-user"]}"#,
        r#"{"user":"","subscribe":["a"],"publish":[],"expires_in":1.5,"other":[{}]}"#,
        r#"{"groups":null,"channels":null}"#,
        "",
    ] {
        for status in ["200 OK", "403 Forbidden", "500 Oh"] {
            let length = body.len();
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
            corpus.push(answer.into());
        }
    }
    corpus.push(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec());
    corpus
}

fn unnamed(streams: Vec<(&'static str, Vec<u8>)>) -> Vec<Vec<u8>> {
    // A fault behind a megabyte is no other fault.
    let streams = streams.into_iter().map(|(_, bytes)| bytes);
    streams.filter(|bytes| bytes.len() < 8_192).collect()
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}
