//! The cheapest gateway that there can be, as the limit that reports are divided by: it reads Redis, encodes each
//! message once, and calls `send()` for each socket in a tight loop. It has no limits, no pings, no outages, no slow
//! clients, no permissions: who does not read is disconnected.
//!
//! ```text
//! cargo bench --bench floor -- --listen 127.0.0.1:9000 --redis 127.0.0.1:6379 [--coalesce] [--ping-every N]
//! ```
//!
//! `--coalesce` sends everything that waits to a socket at once. `--ping-every` pings some client after so many sends,
//! in the middle of a fan-out. `--listen` and `--redis` may be paths of unix sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a floor that cannot go on says where; its items are private"
)]

use std::io::{self, Read, Write};
use std::mem;
use std::os::fd::OwnedFd;

use foldhash::{HashMap, HashMapExt};
use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, SockAddr, Socket, Type};
use ws4redis::wire::{resp, ws};

const LISTENER: Token = Token(usize::MAX - 1);
const REDIS: Token = Token(usize::MAX - 2);
const LIMITS: resp::ReplyLimits = resp::ReplyLimits {
    bulk_bytes_max: 1 << 20,
    depth_max: 4,
    elements_max: 64,
};

/// TCP or unix.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

struct Client {
    stream: Stream,
    /// The request, until it is whole.
    head: Option<Vec<u8>>,
}

struct Floor {
    poll: Poll,
    listener: Listener,
    redis: Stream,
    reader: resp::ReplyReader,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    channels: HashMap<Vec<u8>, usize>,
    members: Vec<Vec<usize>>,
    coalesce: bool,
    /// Sends between two pings, and how many were made since the last one.
    ping_every: Option<usize>,
    unpinged: usize,
    scratch: Vec<u8>,
    /// What one read brought, by the number of the channel; empty, but it keeps its memory.
    batch: Vec<(usize, Vec<u8>)>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    let (Some(listen), Some(redis)) = (value("--listen"), value("--redis")) else {
        // `cargo bench` runs every bench, and this one measures nothing by itself.
        println!("floor: needs --listen and --redis, see the top of benches/floor.rs");
        return;
    };
    let coalesce = arguments.iter().any(|argument| argument == "--coalesce");
    let ping_every = value("--ping-every").map(|every| every.parse().unwrap());
    Floor::start(&listen, &redis, coalesce, ping_every).run();
}

impl Floor {
    fn start(listen: &str, redis: &str, coalesce: bool, ping_every: Option<usize>) -> Floor {
        let poll = Poll::new().unwrap();
        let mut listener = Listener::bind(listen);
        let mut redis = Stream::connect(redis);
        poll.registry()
            .register(listener.source(), LISTENER, Interest::READABLE)
            .unwrap();
        poll.registry()
            .register(redis.source(), REDIS, Interest::READABLE)
            .unwrap();
        redis
            .write_all(b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n")
            .unwrap();
        Floor {
            poll,
            listener,
            redis,
            reader: resp::ReplyReader::new(LIMITS),
            clients: Vec::new(),
            free: Vec::new(),
            channels: HashMap::new(),
            members: Vec::new(),
            coalesce,
            ping_every,
            unpinged: 0,
            scratch: vec![0; 256 << 10],
            batch: Vec::new(),
        }
    }

    fn run(mut self) {
        let mut events = Events::with_capacity(1_024);
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other.unwrap(),
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    REDIS => self.fan_out(),
                    Token(index) => self.read(index),
                }
            }
        }
    }

    fn accept(&mut self) {
        while let Some(mut stream) = self.listener.accept() {
            let index = self.free.pop().unwrap_or_else(|| {
                self.clients.push(None);
                self.clients.len() - 1
            });
            self.poll
                .registry()
                .register(stream.source(), Token(index), Interest::READABLE)
                .unwrap();
            // What it sent may be there already: registering makes an event of that.
            self.clients[index] = Some(Client {
                stream,
                head: Some(Vec::new()),
            });
        }
    }

    fn read(&mut self, index: usize) {
        loop {
            let Some(client) = &mut self.clients[index] else {
                return;
            };
            match client.stream.read(&mut self.scratch) {
                Ok(0) => return self.forget(index),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.forget(index),
                Ok(n) => {
                    if let Some(head) = &mut client.head {
                        head.extend_from_slice(&self.scratch[..n]);
                        if head.ends_with(b"\r\n\r\n") {
                            self.upgrade(index);
                        }
                    }
                    if n < self.scratch.len() {
                        return;
                    }
                }
            }
        }
    }

    /// Subscribes at the first client of a channel and answers at once: it does not wait for Redis.
    fn upgrade(&mut self, index: usize) {
        let client = self.clients[index].as_mut().unwrap();
        let head = String::from_utf8(client.head.take().unwrap()).unwrap();
        let path = head.split(' ').nth(1).unwrap();
        let facility = path.split('?').next().unwrap().rsplit('/').next().unwrap();
        let key = head
            .split("Sec-WebSocket-Key: ")
            .nth(1)
            .unwrap()
            .split("\r\n")
            .next()
            .unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            ws::accept(key.as_bytes())
        );
        // With commas between them one client may name several.
        for facility in facility.split(',') {
            let channel = format!("broadcast:{facility}").into_bytes();
            let number = *self.channels.entry(channel.clone()).or_insert_with(|| {
                self.members.push(Vec::new());
                self.members.len() - 1
            });
            self.members[number].push(index);
            if self.members[number].len() == 1 {
                let mut command = Vec::new();
                resp::command(&mut command, &[b"SUBSCRIBE", &channel]);
                self.redis.write_all(&command).unwrap();
            }
        }
        if client.stream.write_all(answer.as_bytes()).is_err() {
            self.forget(index);
        }
    }

    fn fan_out(&mut self) {
        loop {
            let n = match self.redis.read(&mut self.scratch) {
                Ok(0) => panic!("Redis closed the connection"),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => panic!("Redis: {error}"),
            };
            self.reader.feed(&self.scratch[..n]);
            let mut batch = mem::take(&mut self.batch);
            while let Some(incoming) = self.reader.pull().unwrap() {
                let resp::Incoming::Message { channel, payload } = incoming else {
                    continue;
                };
                let Some(&number) = self.channels.get(channel) else {
                    continue;
                };
                let frame = ws::message(payload);
                match batch.last_mut() {
                    Some((last, frames)) if self.coalesce && *last == number => {
                        frames.extend_from_slice(&frame);
                    }
                    // Not a copy: nobody else has it.
                    _ => batch.push((number, frame.into())),
                }
            }
            for (number, frames) in batch.drain(..) {
                self.send(number, &frames);
            }
            self.batch = batch;
            if n < self.scratch.len() {
                // Whatever comes after a short read is an event.
                return;
            }
        }
    }

    fn send(&mut self, number: usize, frames: &[u8]) {
        let mut slow = Vec::new();
        let members = &self.members[number];
        for &index in members {
            if let Some(every) = self.ping_every {
                self.unpinged += 1;
                if self.unpinged >= every {
                    self.unpinged = 0;
                    let pinged = members[fastrand::usize(..members.len())];
                    let _ = self.clients[pinged]
                        .as_mut()
                        .unwrap()
                        .stream
                        .write(b"\x89\0");
                }
            }
            let client = self.clients[index].as_mut().unwrap();
            if client.stream.write(frames).ok() != Some(frames.len()) {
                slow.push(index);
            }
        }
        for index in slow {
            self.forget(index);
        }
    }

    fn forget(&mut self, index: usize) {
        if let Some(client) = self.clients[index].take() {
            if client.head.is_none() {
                for members in &mut self.members {
                    members.retain(|member| *member != index);
                }
            }
            self.free.push(index);
        }
    }
}

impl Listener {
    fn bind(address: &str) -> Listener {
        let is_unix = address.starts_with('/');
        let (domain, address) = socket_address(address);
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        if !is_unix {
            socket.set_reuse_address(true).unwrap();
            // Inherited by what is accepted.
            socket.set_tcp_nodelay(true).unwrap();
        }
        socket.bind(&address).unwrap();
        socket.listen(4_096).unwrap();
        socket.set_nonblocking(true).unwrap();
        let descriptor = OwnedFd::from(socket);
        if is_unix {
            Listener::Unix(UnixListener::from_std(descriptor.into()))
        } else {
            Listener::Tcp(TcpListener::from_std(descriptor.into()))
        }
    }

    fn accept(&mut self) -> Option<Stream> {
        match self {
            Listener::Tcp(listener) => listener
                .accept()
                .ok()
                .map(|(stream, _)| Stream::Tcp(stream)),
            Listener::Unix(listener) => listener
                .accept()
                .ok()
                .map(|(stream, _)| Stream::Unix(stream)),
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Listener::Tcp(listener) => listener,
            Listener::Unix(listener) => listener,
        }
    }
}

impl Stream {
    fn connect(address: &str) -> Stream {
        let is_unix = address.starts_with('/');
        let (domain, address) = socket_address(address);
        let socket = Socket::new(domain, Type::STREAM, None).unwrap();
        socket.connect(&address).expect("Redis");
        socket.set_nonblocking(true).unwrap();
        let descriptor = OwnedFd::from(socket);
        if is_unix {
            Stream::Unix(UnixStream::from_std(descriptor.into()))
        } else {
            Stream::Tcp(TcpStream::from_std(descriptor.into()))
        }
    }

    fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        }
    }
}

fn socket_address(address: &str) -> (Domain, SockAddr) {
    if address.starts_with('/') {
        (Domain::UNIX, SockAddr::unix(address).unwrap())
    } else {
        let address: std::net::SocketAddr = address.parse().unwrap();
        (Domain::for_address(address), SockAddr::from(address))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
