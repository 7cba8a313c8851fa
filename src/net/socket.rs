//! One non-blocking stream, with what the kernel last said of it.
//!
//! mio is edge-triggered: an event is a hint that comes once. So an event only sets a bit, work is done where a
//! bit and a wish meet, and only the kernel's "would block" clears one. A stream is registered for reading when
//! it is made; for writing too only while it is blocked, because on a unix socket each read of the peer
//! would else be an event.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};

use crate::peer::PeerId;

/// A stream of either kind.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A stream and its readiness.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) id: PeerId,
    pub(crate) readable: Readable,
    /// It is on the reactor's list of those to be read.
    pub(crate) listed: bool,
    /// The kernel's buffer is full.
    pub(crate) blocked: bool,
    stream: Stream,
}

/// What there may be to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readable {
    /// Nothing, until the next event.
    Drained,
    /// Something, until a read brings less than it could.
    Ready,
    /// The peer has closed its side: even after a short read the end is still to be read.
    Closed,
}

/// What a read brought.
#[derive(Debug)]
pub(crate) enum Taken {
    /// So many bytes; `more` may be there.
    Bytes { n: usize, more: bool },
    /// Nothing now.
    Nothing,
    /// The peer has closed its side.
    End,
}

impl Socket {
    /// Registers a stream that stands, for reading.
    pub(crate) fn open(id: PeerId, mut stream: Stream, registry: &Registry) -> io::Result<Socket> {
        registry.register(&mut stream, token(id), Interest::READABLE)?;
        // The peer's first bytes may be there already; then no read that finds nothing is wasted.
        Ok(Socket {
            id,
            readable: Readable::Ready,
            listed: false,
            blocked: false,
            stream,
        })
    }

    /// Registers a stream that is being connected: it is blocked until it stands.
    pub(crate) fn connecting(
        id: PeerId,
        mut stream: Stream,
        registry: &Registry,
    ) -> io::Result<Socket> {
        registry.register(
            &mut stream,
            token(id),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        Ok(Socket {
            id,
            readable: Readable::Drained,
            listed: false,
            blocked: true,
            stream,
        })
    }

    /// Reads once.
    pub(crate) fn take(&mut self, scratch: &mut [u8]) -> io::Result<Taken> {
        loop {
            let read = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(scratch),
                Stream::Unix(stream) => stream.read(scratch),
            };
            return match read {
                Ok(0) => Ok(Taken::End),
                Ok(n) => {
                    if n < scratch.len() && self.readable == Readable::Ready {
                        self.readable = Readable::Drained;
                    }
                    Ok(Taken::Bytes {
                        n,
                        more: self.readable != Readable::Drained,
                    })
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = Readable::Drained;
                    Ok(Taken::Nothing)
                }
                Err(error) => Err(error),
            };
        }
    }

    /// Writes once; fewer bytes than given mean that it is blocked now, and registered to hear when it is not.
    pub(crate) fn put(&mut self, bytes: &[u8], registry: &Registry) -> io::Result<usize> {
        let written = loop {
            let written = match &mut self.stream {
                Stream::Tcp(stream) => stream.write(bytes),
                Stream::Unix(stream) => stream.write(bytes),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break 0,
                Err(error) => return Err(error),
                Ok(n) => break n,
            }
        };
        if written < bytes.len() {
            self.blocked = true;
            let both = Interest::READABLE | Interest::WRITABLE;
            registry.reregister(&mut self.stream, token(self.id), both)?;
        }
        Ok(written)
    }

    /// The kernel has room again.
    pub(crate) fn unblock(&mut self, registry: &Registry) -> io::Result<()> {
        self.blocked = false;
        registry.reregister(&mut self.stream, token(self.id), Interest::READABLE)
    }

    /// Has the connection that was begun come about? `None`: not yet.
    pub(crate) fn connected(&self) -> Option<io::Result<()>> {
        let (error, stands) = match &self.stream {
            Stream::Tcp(stream) => (stream.take_error(), stream.peer_addr().is_ok()),
            Stream::Unix(stream) => (stream.take_error(), stream.peer_addr().is_ok()),
        };
        match error {
            Err(error) | Ok(Some(error)) => Some(Err(error)),
            Ok(None) => stands.then_some(Ok(())),
        }
    }

    /// Closes our side.
    pub(crate) fn half_close(&self) {
        // It fails when the peer is gone, which the next read tells.
        let _ = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Stream {
    /// Says one thing, as far as the kernel takes it at once.
    pub(crate) fn say(mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Source for Stream {
    fn register(&mut self, registry: &Registry, token: Token, wish: Interest) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.register(registry, token, wish),
            Stream::Unix(stream) => stream.register(registry, token, wish),
        }
    }

    fn reregister(&mut self, registry: &Registry, token: Token, wish: Interest) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.reregister(registry, token, wish),
            Stream::Unix(stream) => stream.reregister(registry, token, wish),
        }
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.deregister(registry),
            Stream::Unix(stream) => stream.deregister(registry),
        }
    }
}

/// A peer's token: its place and its generation, so that a stale event finds nobody.
pub(crate) fn token(id: PeerId) -> Token {
    Token(id.index as usize | (id.generation as usize) << 32)
}
