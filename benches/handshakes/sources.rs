//! The sources of identity, each as a gateway's arguments and what a client has to send.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use serde_json::Value;

use crate::application;
use crate::support::redis::Redis;
use crate::support::resp::Reply;

/// Stands in a field for the number of the handshake.
pub(crate) const NUMBER: &str = "{number}";

/// The corpora are of the past, and are to count all the same.
const LONG: &str = "36500d";
const SIGNING_KEY: &str = "a key for tests, of thirty-two bytes or so";
/// Every source but the first names a user, and always the same, so that each joins a channel that is there.
const TARGET: &str = "/ws/f?subscribe-user";

/// A source as it is measured.
pub(crate) struct Source {
    pub(crate) name: &'static str,
    pub(crate) proves: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) target: &'static str,
    /// Header fields, with [`NUMBER`] where they differ from client to client.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Source {
    fn new(name: &'static str, proves: &'static str, arguments: &[&str]) -> Source {
        Source {
            name,
            proves,
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
            target: TARGET,
            fields: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Source {
        self.fields.push((name, value.into()));
        self
    }
}

/// All of them. What they need lies in `dir` and in this Redis.
pub(crate) fn all(dir: &Path, redis: &Redis) -> Vec<Source> {
    let nobody = Source {
        target: "/ws/f?subscribe-broadcast",
        ..Source::new("none", "nothing", &["--identity", "cookie"])
    };
    let own = Source {
        target: "/ws/f?subscribe-session",
        ..Source::new(
            "cookie, each with a channel of its own",
            "nothing; it gives a session",
            &["--identity", "cookie"],
        )
    };
    let mut sources = vec![nobody, own.with("Cookie", format!("sessionid={NUMBER}"))];
    sources.extend(headers(dir));
    sources.extend(django(dir, redis));
    sources.extend(tokens(dir));
    sources.extend(callbacks(dir));
    sources
}

fn headers(dir: &Path) -> [Source; 2] {
    let arguments = ["--identity", "headers", "--trusted", "127.0.0.1/32"];
    let plain = Source::new("headers", "a trusted proxy says so", &arguments)
        .with("X-Ws4redis-User", "john")
        .with("X-Ws4redis-Groups", "staff");
    let key = file(dir, "headers", SIGNING_KEY);
    let signed = [
        &arguments[..],
        &["--headers-secret-file", &key, "--headers-max-age", "1d"],
    ];
    let signed = Source {
        fields: plain.fields.clone(),
        ..Source::new(
            "headers, signed",
            "the application says so",
            &signed.concat(),
        )
    };
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let time = time.as_secs();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNING_KEY.as_bytes());
    let message = format!("ws4redis-identity-v1\n{time}\n/ws/f\njohn\nstaff\n");
    let tag = hmac::sign(&key, message.as_bytes());
    let tag: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let signed = signed.with("X-Ws4redis-Signature", format!("t={time},v1={tag}"));
    [plain, signed]
}

fn django(dir: &Path, redis: &Redis) -> Vec<Source> {
    let stored = |engine: &str, name: &str| {
        let lines = include_str!("../../tests/sessions.jsonl").lines();
        let found = lines
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line["engine"] == engine && line["name"] == name);
        found.unwrap_or_else(|| panic!("the corpus has {engine}, {name}"))
    };
    let mut sources = Vec::new();
    for (name, proves, engine, kind, case) in [
        (
            "django, redis_sessions",
            "the user logged in; Django signed it",
            "redis_sessions",
            "RedisSessions",
            "john",
        ),
        (
            "django, cache (a pickle)",
            "the user logged in",
            "cache",
            "Cache",
            "john, django_redis",
        ),
        (
            "django, signed_cookies",
            "the user logged in; Django signed it",
            "signed_cookies",
            "SignedCookies",
            "john",
        ),
    ] {
        let stored = stored(kind, case);
        let text = |key: &str| stored[key].as_str();
        let raw = STANDARD.decode(text("raw").unwrap()).unwrap();
        let cookie = match text("key") {
            Some(key) => {
                let answer = redis.connect().call(&[b"SET", key.as_bytes(), &raw[..]]);
                assert_eq!(answer, Reply::Simple("OK".to_owned()));
                text("session_key").unwrap().to_owned()
            }
            None => String::from_utf8(raw).unwrap(),
        };
        let secret = file(dir, "django", text("secret").unwrap());
        let source = Source::new(
            name,
            proves,
            &[
                "--identity=django",
                "--django-engine",
                engine,
                "--django-key-prefix",
                text("prefix").unwrap(),
                "--django-secret-key-file",
                &secret,
                "--django-max-age",
                LONG,
            ],
        );
        sources.push(source.with("Cookie", format!("sessionid={cookie}")));
    }
    sources
}

fn tokens(dir: &Path) -> Vec<Source> {
    let text = |kind: &str, name: &str| {
        let lines = include_str!("../../tests/tokens.jsonl").lines();
        let found = lines
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|line| line[kind] == name);
        let found = found.unwrap_or_else(|| panic!("the fixture has {name}"));
        found["text"].as_str().unwrap().to_owned()
    };
    let algorithms = [
        ("jwt, HS256", "HS256"),
        ("jwt, RS256 (2048 bits)", "RS256"),
        ("jwt, ES256", "ES256"),
        ("jwt, EdDSA", "EdDSA"),
    ];
    algorithms
        .map(|(name, word)| {
            let key = file(dir, word, &text("key", &format!("test {word}")));
            let arguments = [
                "--identity=jwt",
                "--jwt-algorithms",
                word,
                "--jwt-key-file",
                &key,
                "--jwt-leeway",
                LONG,
            ];
            let token = text("token", &format!("{word} good"));
            Source::new(name, "the issuer of the token says so", &arguments)
                .with("Authorization", format!("Bearer {token}"))
        })
        .into()
}

fn callbacks(dir: &Path) -> Vec<Source> {
    let socket = dir.join("application.sock");
    application::on_unix(&socket);
    let tcp = format!("http://127.0.0.1:{}/may", application::on_tcp());
    let unix = format!("unix:{}:/may", socket.display());
    [
        ("callback on TCP, calls shared", &tcp, "same"),
        ("callback on TCP, a call each", &tcp, NUMBER),
        ("callback on a unix socket, calls shared", &unix, "same"),
        ("callback on a unix socket, a call each", &unix, NUMBER),
    ]
    .map(|(name, url, cookie)| {
        let arguments = ["--identity=callback", "--callback-url", url];
        Source::new(name, "the application says so, now", &arguments)
            .with("Cookie", format!("sessionid={cookie}"))
    })
    .into()
}

fn file(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
