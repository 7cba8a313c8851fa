//! Who publishes: a connection to Redis, or some to an HTTP server.

use std::collections::VecDeque;
use std::io;

use mio::Registry;
use mio::net::{TcpStream, UnixStream};

use super::message::{Messages, Stamp};
use super::plan::{Address, Through, fill_one};
use crate::config::{Redis, RedisAddress};
use crate::limits::{REPLY_DEPTH_MAX, REPLY_ELEMENTS_MAX};
use crate::net::socket::{Readable, Socket, Stream, Taken};
use crate::peer::PeerId;
use crate::wire::http_client::{ResponseLimits, ResponseReader};
use crate::wire::resp::{Incoming, Reply, ReplyLimits, ReplyReader, command};

/// Tokens of publishers' connections begin here; below are the clients'.
pub(super) const FIRST: u32 = 1 << 30;

/// A publisher.
#[derive(Debug)]
pub(super) enum Source {
    Redis {
        line: Line,
        reader: Box<ReplyReader>,
        name: String,
    },
    Http {
        lines: Vec<HttpLine>,
        host: String,
        path: String,
        waiting: VecDeque<Stamp>,
    },
}

/// A connection, and what is still to be written to it.
#[derive(Debug)]
pub(super) struct Line {
    socket: Socket,
    out: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct HttpLine {
    line: Line,
    reader: Option<ResponseReader>,
}

impl Source {
    /// Connects, which is waited for.
    pub(super) fn open(through: &Through, registry: &Registry) -> io::Result<Source> {
        match through {
            Through::Redis { redis, name } => {
                let mut line = Line::open(redis_stream(redis)?, 0, registry)?;
                greet(&mut line.out, redis);
                line.flush(registry)?;
                Ok(Source::Redis {
                    line,
                    reader: Box::new(ReplyReader::new(ReplyLimits {
                        bulk_bytes_max: 1 << 20,
                        depth_max: REPLY_DEPTH_MAX,
                        elements_max: REPLY_ELEMENTS_MAX,
                    })),
                    name: name.clone(),
                })
            }
            Through::Http {
                address,
                host,
                path,
                publishers,
            } => {
                let lines = (0..*publishers).map(|number| {
                    let line = Line::open(stream(address)?, number, registry)?;
                    Ok(HttpLine { line, reader: None })
                });
                Ok(Source::Http {
                    lines: lines.collect::<io::Result<_>>()?,
                    host: host.clone(),
                    path: path.clone(),
                    waiting: VecDeque::new(),
                })
            }
        }
    }

    /// Publishes a message.
    pub(super) fn publish(
        &mut self,
        stamp: Stamp,
        messages: &Messages,
        registry: &Registry,
    ) -> io::Result<()> {
        match self {
            Source::Redis { line, name, .. } => {
                let mut message = Vec::with_capacity(messages.size());
                messages.compose(&mut message, stamp);
                let channel = fill_one(name, stamp.channel);
                command(&mut line.out, &[b"PUBLISH", channel.as_bytes(), &message]);
                Ok(())
            }
            Source::Http { waiting, .. } => {
                waiting.push_back(stamp);
                self.post(messages, registry)
            }
        }
    }

    /// Writes what was published since: a batch is one write.
    pub(super) fn flush(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Source::Redis { line, .. } => line.flush(registry),
            Source::Http { .. } => Ok(()),
        }
    }

    /// Something happened on one of its connections.
    pub(super) fn happened(
        &mut self,
        index: u32,
        scratch: &mut [u8],
        messages: &Messages,
        registry: &Registry,
    ) -> io::Result<()> {
        match self {
            Source::Redis { line, reader, .. } => {
                line.read(scratch, registry, |bytes| {
                    reader.feed(bytes);
                    check_replies(reader)
                })?;
            }
            Source::Http { lines, .. } => {
                let Some(HttpLine { line, reader }) = lines.get_mut((index - FIRST) as usize)
                else {
                    return Ok(());
                };
                line.read(scratch, registry, |bytes| check_response(reader, bytes))?;
            }
        }
        self.post(messages, registry)
    }

    /// HTTP: gives what waits to the connections that are free.
    fn post(&mut self, messages: &Messages, registry: &Registry) -> io::Result<()> {
        let Source::Http {
            lines,
            host,
            path,
            waiting,
        } = self
        else {
            return Ok(());
        };
        for HttpLine { line, reader } in lines.iter_mut().filter(|line| line.reader.is_none()) {
            let Some(stamp) = waiting.pop_front() else {
                break;
            };
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                fill_one(path, stamp.channel),
                messages.size()
            );
            line.out.extend_from_slice(head.as_bytes());
            messages.compose(&mut line.out, stamp);
            *reader = Some(ResponseReader::new(ResponseLimits {
                head_bytes_max: 16 << 10,
                body_bytes_max: 1 << 20,
            }));
            line.flush(registry)?;
        }
        Ok(())
    }
}

impl Line {
    fn open(stream: Stream, number: u32, registry: &Registry) -> io::Result<Line> {
        let id = PeerId {
            index: FIRST + number,
            generation: 0,
        };
        Ok(Line {
            socket: Socket::open(id, stream, registry)?,
            out: Vec::new(),
        })
    }

    fn flush(&mut self, registry: &Registry) -> io::Result<()> {
        if self.socket.blocked || self.out.is_empty() {
            return Ok(());
        }
        let written = self.socket.put(&self.out, registry)?;
        self.out.drain(..written);
        Ok(())
    }

    fn read(
        &mut self,
        scratch: &mut [u8],
        registry: &Registry,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.socket.readable = Readable::Ready;
        if self.socket.blocked {
            self.socket.unblock(registry)?;
        }
        loop {
            match self.socket.take(scratch)? {
                Taken::Bytes { n, more } => {
                    take(scratch.get(..n).unwrap_or_default())?;
                    if !more {
                        break;
                    }
                }
                Taken::Nothing => break,
                Taken::End => return Err(io::Error::other("it closed the connection")),
            }
        }
        self.flush(registry)
    }
}

fn check_replies(reader: &mut ReplyReader) -> io::Result<()> {
    loop {
        match reader.pull() {
            Ok(None) => return Ok(()),
            Ok(Some(Incoming::Reply(Reply::Error(error)))) => return Err(io::Error::other(error)),
            Ok(Some(_)) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
    }
}

fn check_response(reader: &mut Option<ResponseReader>, bytes: &[u8]) -> io::Result<()> {
    let Some(response) = reader else {
        return Err(io::Error::other("it answers what was not asked"));
    };
    let Some(response) = response.feed(bytes).map_err(io::Error::other)? else {
        return Ok(());
    };
    *reader = None;
    match response.status {
        200..=299 => Ok(()),
        status => Err(io::Error::other(format!("it answers {status}"))),
    }
}

fn greet(out: &mut Vec<u8>, redis: &Redis) {
    if let Some(password) = &redis.password {
        let user = redis.username.as_deref().unwrap_or("default");
        command(
            out,
            &[b"AUTH", user.as_bytes(), password.reveal().as_bytes()],
        );
    }
    if redis.db != 0 {
        command(out, &[b"SELECT", redis.db.to_string().as_bytes()]);
    }
}

fn redis_stream(redis: &Redis) -> io::Result<Stream> {
    match &redis.address {
        RedisAddress::Tcp { host, port } => {
            tcp(std::net::TcpStream::connect((host.as_str(), *port))?)
        }
        RedisAddress::Unix(path) => unix(std::os::unix::net::UnixStream::connect(path)?),
    }
}

fn stream(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => tcp(std::net::TcpStream::connect(address)?),
        Address::Unix(path) => unix(std::os::unix::net::UnixStream::connect(path)?),
    }
}

fn tcp(stream: std::net::TcpStream) -> io::Result<Stream> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(Stream::Tcp(TcpStream::from_std(stream)))
}

fn unix(stream: std::os::unix::net::UnixStream) -> io::Result<Stream> {
    stream.set_nonblocking(true)?;
    Ok(Stream::Unix(UnixStream::from_std(stream)))
}
