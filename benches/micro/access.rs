//! What it costs to believe somebody: nanoseconds a handshake, for each kind of proof.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group};
use serde_json::Value;
use ws4redis::config::{JwtAlgorithm, Secret};
use ws4redis::hub::access::jwt::{JwtConfig, Verifier};
use ws4redis::hub::access::signed_headers::{MAX_AGE_DEFAULT, SignedHeaders};
use ws4redis::wire::http::with_head;

/// When the tokens of the tests' fixture are looked at.
const NOW: Duration = Duration::from_secs(1_700_000_000);
/// The example of the module's tests.
const KEY: &str = "a key for tests, of thirty-two bytes or so";
const SIGNED: &str = "GET /ws/chat%2F1?subscribe-user HTTP/1.1\r\n\
    Host: example.org\r\n\
    X-Ws4redis-User: j%C3%B6rg\r\n\
    X-Ws4redis-Groups: a,b%2Cc\r\n\
    X-Ws4redis-Session: k3y\r\n\
    X-Ws4redis-Signature: t=1700000000,v1=ee5c5b0c2c47190c7cd7afc46ee9ed37dbb4205b8097a00d68f956064c0d6306\r\n\
    \r\n";

criterion_group!(access, tokens, headers);

fn tokens(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("jwt");
    for algorithm in JwtAlgorithm::ALL {
        let word = algorithm.word();
        let verifier = Verifier::new(JwtConfig {
            keys: Secret::new(text("key", &format!("test {word}"))),
            algorithms: vec![algorithm],
            issuer: None,
            audience: None,
            leeway: Duration::ZERO,
            require_exp: true,
        })
        .unwrap_or_else(|error| unreachable!("{word}: {error}"));
        for (name, is_good) in [("good", true), ("wrong key", false)] {
            let token = text("token", &format!("{word} {name}"));
            assert_eq!(verifier.verify(&token, NOW).is_ok(), is_good, "{word}");
            group.bench_function(format!("{word}, {name}"), |bencher| {
                bencher.iter(|| verifier.verify(black_box(&token), NOW));
            });
        }
    }
}

fn headers(criterion: &mut Criterion) {
    let signed = SignedHeaders::new(&[Secret::new(KEY.to_owned())], MAX_AGE_DEFAULT)
        .unwrap_or_else(|error| unreachable!("{error}"));
    let verify = |head: &str| {
        with_head(head.as_bytes(), 8_192, |head, _| {
            signed.verify(head, NOW).is_ok()
        })
    };
    assert_eq!(verify(SIGNED), Ok(Some(true)));
    criterion.bench_function("read a head and verify its signed headers", |bencher| {
        bencher.iter(|| verify(black_box(SIGNED)));
    });
}

/// A text of the tests' fixture.
fn text(kind: &str, name: &str) -> String {
    let lines = include_str!("../../tests/tokens.jsonl").lines();
    let found = lines
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line[kind] == name);
    let text = found.and_then(|line| line["text"].as_str().map(str::to_owned));
    text.unwrap_or_else(|| unreachable!("the fixture has {name}"))
}
