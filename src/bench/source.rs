//! Who publishes: a connection to Redis, or some to an HTTP server.

use std::collections::VecDeque;
use std::io;
use std::net::ToSocketAddrs;
use std::time::Duration;

use mio::Registry;
use mio::net::{TcpStream, UnixStream};

use super::message::{Messages, Stamp};
use super::plan::{Through, fill_one};
use super::target::Address;
use crate::config::{Redis, RedisAddress};
use crate::limits::{REPLY_DEPTH_MAX, REPLY_ELEMENTS_MAX};
use crate::net::socket::{Readable, Socket, Stream, Taken};
use crate::peer::PeerId;
use crate::wire::http_client::{Response, ResponseLimits, ResponseReader};
use crate::wire::resp::{Incoming, Reply, ReplyLimits, ReplyReader, command};

/// Tokens of publishers' connections begin here; below are the clients'.
pub(super) const FIRST: u32 = 1 << 30;

/// More than this waits only for a publisher that cannot keep the rate, and it would be more and more.
const WAITING_BYTES_MAX: usize = 64 << 20;
const WAITING_POSTS_MAX: usize = 1 << 20;
/// For each address of the publisher.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

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
        address: Address,
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
    /// A server may close it behind each answer; it is opened again when there is something to say.
    line: Option<Line>,
    /// It has answered before.
    is_used: bool,
    /// What was said and is not answered.
    asked: Option<(Stamp, ResponseReader)>,
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
                    Ok(HttpLine {
                        line: Some(line),
                        is_used: false,
                        asked: None,
                    })
                });
                Ok(Source::Http {
                    lines: lines.collect::<io::Result<_>>()?,
                    address: address.clone(),
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
                if line.out.len() > WAITING_BYTES_MAX {
                    return Err(too_fast());
                }
                let mut message = Vec::with_capacity(messages.size());
                messages.compose(&mut message, stamp);
                let channel = fill_one(name, stamp.channel);
                command(&mut line.out, &[b"PUBLISH", channel.as_bytes(), &message]);
                Ok(())
            }
            Source::Http { waiting, .. } => {
                if waiting.len() > WAITING_POSTS_MAX {
                    return Err(too_fast());
                }
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
        readable: Readable,
        scratch: &mut [u8],
        messages: &Messages,
        registry: &Registry,
    ) -> io::Result<()> {
        match self {
            Source::Redis { line, reader, .. } => {
                line.socket.readable = readable;
                let stands = line.read(scratch, registry, |bytes| {
                    reader.feed(bytes);
                    check_replies(reader)
                })?;
                if !stands {
                    return Err(io::Error::other("it closed the connection"));
                }
            }
            Source::Http { lines, waiting, .. } => {
                if let Some(line) = lines.get_mut((index - FIRST) as usize)
                    && let Some(again) = line.happened(readable, scratch, registry)?
                {
                    waiting.push_front(again);
                }
            }
        }
        self.post(messages, registry)
    }

    /// HTTP: gives what waits to the connections that are free.
    fn post(&mut self, messages: &Messages, registry: &Registry) -> io::Result<()> {
        let Source::Http {
            lines,
            address,
            host,
            path,
            waiting,
        } = self
        else {
            return Ok(());
        };
        let free = (0..).zip(lines).filter(|(_, line)| line.asked.is_none());
        for (
            number,
            HttpLine {
                line,
                is_used,
                asked,
            },
        ) in free
        {
            let Some(stamp) = waiting.pop_front() else {
                break;
            };
            let line = match line {
                Some(line) => line,
                None => {
                    *is_used = false;
                    line.insert(Line::open(stream(address)?, number, registry)?)
                }
            };
            let head = format!(
                "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                fill_one(path, stamp.channel),
                messages.size()
            );
            line.out.extend_from_slice(head.as_bytes());
            messages.compose(&mut line.out, stamp);
            let reader = ResponseReader::new(ResponseLimits {
                head_bytes_max: 16 << 10,
                body_bytes_max: 1 << 20,
            });
            *asked = Some((stamp, reader));
            line.flush(registry)?;
        }
        Ok(())
    }
}

impl HttpLine {
    /// Reads what there is. Gives what is to be said again.
    fn happened(
        &mut self,
        readable: Readable,
        scratch: &mut [u8],
        registry: &Registry,
    ) -> io::Result<Option<Stamp>> {
        let HttpLine {
            line,
            is_used,
            asked,
        } = self;
        let Some(open) = line else { return Ok(None) };
        open.socket.readable = readable;
        let mut reusable = true;
        let stands = open.read(scratch, registry, |bytes| {
            let Some((_, reader)) = asked else {
                return Err(io::Error::other("it answers what was not asked"));
            };
            if let Some(response) = reader.feed(bytes).map_err(io::Error::other)? {
                (*asked, *is_used) = (None, true);
                reusable = response.reusable;
                check_status(&response)?;
            }
            Ok(())
        })?;
        if !stands || !reusable {
            *line = None;
        }
        match asked.take() {
            still if stands => {
                *asked = still;
                Ok(None)
            }
            // It was closed behind the last answer, which we had not heard yet when we spoke.
            Some((stamp, reader)) if *is_used && reader.is_untouched() => Ok(Some(stamp)),
            Some((_, mut reader)) => {
                check_status(&reader.ended().map_err(io::Error::other)?)?;
                Ok(None)
            }
            None => Ok(None),
        }
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

    /// Reads what there is; does the connection still stand?
    fn read(
        &mut self,
        scratch: &mut [u8],
        registry: &Registry,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        if self.socket.blocked {
            self.socket.unblock(registry)?;
        }
        loop {
            let taken = match self.socket.take(scratch) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Taken::End,
                taken => taken?,
            };
            match taken {
                Taken::Bytes { n, more } => {
                    take(scratch.get(..n).unwrap_or_default())?;
                    if !more {
                        break;
                    }
                }
                Taken::Nothing => break,
                Taken::End => return Ok(false),
            }
        }
        self.flush(registry)?;
        Ok(true)
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

fn check_status(response: &Response) -> io::Result<()> {
    match response.status {
        200..=299 => Ok(()),
        status => Err(io::Error::other(format!("it answers {status}"))),
    }
}

fn too_fast() -> io::Error {
    io::Error::other("it takes fewer messages a second than are due, and ever more wait for it")
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
        RedisAddress::Tcp { host, port } => tcp((host.as_str(), *port)),
        RedisAddress::Unix(path) => unix(std::os::unix::net::UnixStream::connect(path)?),
    }
}

fn stream(address: &Address) -> io::Result<Stream> {
    match address {
        Address::Tcp(address) => tcp(address),
        Address::Unix(path) => unix(std::os::unix::net::UnixStream::connect(path)?),
    }
}

fn tcp(to: impl ToSocketAddrs) -> io::Result<Stream> {
    let mut failed = io::Error::other("it has no address");
    for to in to.to_socket_addrs()? {
        match std::net::TcpStream::connect_timeout(&to, CONNECT_TIMEOUT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                return Ok(Stream::Tcp(TcpStream::from_std(stream)));
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

fn unix(stream: std::os::unix::net::UnixStream) -> io::Result<Stream> {
    stream.set_nonblocking(true)?;
    Ok(Stream::Unix(UnixStream::from_std(stream)))
}
