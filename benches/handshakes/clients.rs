//! Clients in a closed loop: each connects, asks, waits for the 101, hangs up, and is followed by the next one.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// What a number of handshakes took.
pub(crate) struct Took {
    pub(crate) all: Duration,
    /// Of each, from `connect` to the end of the 101's head, in nanoseconds.
    pub(crate) each: Histogram<u64>,
}

struct Client {
    stream: TcpStream,
    began: Instant,
    request: Vec<u8>,
    has_asked: bool,
    heard: Vec<u8>,
}

/// Does `count` handshakes, `at_once` of them at any time. `request` is given the number of each.
pub(crate) fn handshakes(
    address: SocketAddr,
    count: usize,
    at_once: usize,
    request: impl Fn(usize) -> Vec<u8>,
) -> Took {
    let mut poll = Poll::new().unwrap();
    let mut events = Events::with_capacity(256);
    let mut each = Histogram::new(3).unwrap();
    let began = Instant::now();
    let connect = |poll: &Poll, place: usize, number: usize| {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).unwrap();
        let both = Interest::READABLE | Interest::WRITABLE;
        let registry = poll.registry();
        registry.register(&mut stream, Token(place), both).unwrap();
        Client {
            stream,
            began,
            request: request(number),
            has_asked: false,
            heard: Vec::new(),
        }
    };
    let mut begun = at_once.min(count);
    let mut clients: Vec<Option<Client>> = (0..begun)
        .map(|number| Some(connect(&poll, number, number)))
        .collect();
    while (each.len() as usize) < count {
        poll.poll(&mut events, Some(Duration::from_secs(10)))
            .unwrap();
        assert!(!events.is_empty(), "the gateway has not answered for 10 s");
        for event in &events {
            let place = event.token().0;
            let Some(client) = &mut clients[place] else {
                continue;
            };
            if !client.is_done() {
                continue;
            }
            each.record(client.began.elapsed().as_nanos() as u64)
                .unwrap();
            // Dropped before the next one connects: at most `at_once` are there.
            clients[place] = None;
            if begun < count {
                clients[place] = Some(connect(&poll, place, begun));
                begun += 1;
            }
        }
    }
    let all = began.elapsed();
    Took { all, each }
}

impl Client {
    /// Asks, or listens, as far as the socket lets it; has it heard all of the 101?
    fn is_done(&mut self) -> bool {
        if !self.has_asked {
            match self.stream.write(&self.request) {
                Ok(n) => assert_eq!(n, self.request.len(), "a request fits an empty socket"),
                Err(error) if is_early(error.kind()) => return false,
                Err(error) => panic!("cannot ask: {error}"),
            }
            self.has_asked = true;
        }
        let mut bytes = [0; 1_024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => panic!("no 101, but {}", self.heard.escape_ascii()),
                Ok(n) => self.heard.extend_from_slice(&bytes[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("cannot hear: {error}"),
            }
        }
        let is_whole = self.heard.windows(4).any(|bytes| bytes == b"\r\n\r\n");
        let is_101 = self.heard.starts_with(b"HTTP/1.1 101 ");
        assert!(!is_whole || is_101, "{}", self.heard.escape_ascii());
        is_whole
    }
}

/// The connection does not stand yet.
fn is_early(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::NotConnected)
}
