//! What the three codecs cost: nanoseconds a message, and bytes a second.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use ws4redis::wire::http::{Upgrade, with_head};
use ws4redis::wire::resp::{CommandReader, Incoming, ReplyLimits, ReplyReader, command};
use ws4redis::wire::ws;

use crate::world::{masked_text, push};

const SIZES: [(&str, usize); 3] = [("128 B", 128), ("4 KiB", 4 << 10), ("64 KiB", 64 << 10)];
const LIMITS: ReplyLimits = ReplyLimits {
    bulk_bytes_max: 16 << 20,
    depth_max: 8,
    elements_max: 4_096,
};

criterion_group!(
    codecs,
    messages,
    replies_and_commands,
    frames_in,
    frames_out,
    heads
);

fn messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resp");
    for (name, size) in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let message = push("broadcast:chat", &vec![b'x'; size]);
        group.bench_function(format!("read a message of {name}"), |bencher| {
            let mut reader = ReplyReader::new(LIMITS);
            bencher.iter(|| {
                reader.feed(&message);
                is_message(&mut reader)
            });
        });
    }
    let burst = push("broadcast:chat", &[b'x'; 128]).repeat(500);
    group.throughput(Throughput::Elements(500));
    group.bench_function("read 500 messages of 128 B at once", |bencher| {
        let mut reader = ReplyReader::new(LIMITS);
        bencher.iter(|| {
            reader.feed(&burst);
            while is_message(&mut reader) {}
        });
    });
    group.throughput(Throughput::Bytes(16 << 20));
    let large = push("broadcast:chat", &vec![b'x'; 16 << 20]);
    group.sample_size(20).bench_function(
        "read a message of 16 MiB in pieces of 4 KiB",
        |bencher| {
            let mut reader = ReplyReader::new(LIMITS);
            bencher.iter(|| {
                let mut said = false;
                for piece in large.chunks(4 << 10) {
                    reader.feed(piece);
                    said |= is_message(&mut reader);
                }
                assert!(said);
            });
        },
    );
    group.finish();
}

fn replies_and_commands(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resp");
    group.throughput(Throughput::Elements(1));
    for (name, bytes) in [
        (
            "read a confirmation",
            &b">3\r\n$9\r\nsubscribe\r\n$14\r\nbroadcast:chat\r\n:1\r\n"[..],
        ),
        ("read the answer to a publish", b"*2\r\n+OK\r\n:1\r\n"),
    ] {
        group.bench_function(name, |bencher| {
            let mut reader = ReplyReader::new(LIMITS);
            bencher.iter(|| {
                reader.feed(bytes);
                matches!(reader.pull(), Ok(Some(_)))
            });
        });
    }
    let publish: [&[u8]; 3] = [b"PUBLISH", b"broadcast:chat", &[b'x'; 128]];
    group.bench_function("write a PUBLISH of 128 B", |bencher| {
        let mut out = Vec::with_capacity(1 << 10);
        bencher.iter(|| {
            out.clear();
            command(black_box(&mut out), black_box(&publish));
        });
    });
    group.bench_function("read a PUBLISH of 128 B", |bencher| {
        let mut bytes = Vec::new();
        command(&mut bytes, &publish);
        let mut reader = CommandReader::new(1 << 20);
        bencher.iter(|| {
            reader.feed(&bytes);
            reader.pull()
        });
    });
    group.finish();
}

fn frames_in(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ws in");
    for (name, size) in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let frame = masked_text(&vec![b'x'; size]);
        group.bench_function(format!("read a text of {name}"), |bencher| {
            bencher.iter_batched_ref(
                || frame.clone(),
                |bytes| {
                    ws::read(&mut None, bytes, size, |event| {
                        matches!(event, ws::Event::Text(_))
                    })
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(
            format!("read a text of {name} in pieces of 1,460 B"),
            |bencher| {
                bencher.iter_batched_ref(
                    || frame.clone(),
                    |bytes| {
                        let mut partial = None;
                        for piece in bytes.chunks_mut(1_460) {
                            let read = ws::read(&mut partial, piece, size, |_| true);
                            assert!(read.is_ok());
                        }
                    },
                    BatchSize::SmallInput,
                );
            },
        );
    }
    group.finish();
}

fn frames_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ws out");
    for (name, size) in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        let payload = vec![b'x'; size];
        group.bench_function(format!("write a message of {name}"), |bencher| {
            bencher.iter(|| ws::message(black_box(&payload)));
        });
    }
    group.finish();
}

fn heads(criterion: &mut Criterion) {
    let head = browser_head();
    let mut group = criterion.benchmark_group("http");
    group.throughput(Throughput::Bytes(head.len() as u64));
    group.bench_function("read a browser's head", |bencher| {
        bencher.iter(|| {
            with_head(black_box(&head), 8 << 10, |head, length| {
                head.target.len() + length
            })
        });
    });
    group.bench_function(
        "read a browser's head, check it and write the 101",
        |bencher| {
            bencher.iter(|| {
                with_head(black_box(&head), 8 << 10, |head, _| {
                    Upgrade::from_head(head).map(|upgrade| upgrade.response())
                })
            });
        },
    );
    group.finish();
}

fn is_message(reader: &mut ReplyReader) -> bool {
    matches!(black_box(reader.pull()), Ok(Some(Incoming::Message { .. })))
}

/// About 800 bytes, as a browser on a Django site sends them.
fn browser_head() -> Vec<u8> {
    let cookie = "x".repeat(250);
    format!(
        "GET /ws/chat?subscribe-broadcast&publish-broadcast&echo HTTP/1.1\r\n\
         Host: www.example.org\r\n\
         User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n\
         Accept: */*\r\n\
         Accept-Language: en-GB,en;q=0.7,de-AT;q=0.3\r\n\
         Accept-Encoding: gzip, deflate, br, zstd\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Origin: https://www.example.org\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Connection: keep-alive, Upgrade\r\n\
         Cookie: csrftoken={cookie}; sessionid=u1vl9hr4kz4s3cs6e3p5mqhpvqn0btd1\r\n\
         Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: websocket\r\nSec-Fetch-Site: same-origin\r\n\
         Pragma: no-cache\r\nCache-Control: no-cache\r\n\
         Upgrade: websocket\r\n\r\n"
    )
    .into_bytes()
}
