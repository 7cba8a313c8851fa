//! A blocking socket, TCP or unix, on which each read has a deadline.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::wait::Deadline;

/// Where a program listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// On a TCP port.
    Tcp(SocketAddr),
    /// On a unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A connection to an [`Address`].
#[derive(Debug)]
pub(crate) struct Stream {
    socket: Socket,
    /// Until when reads may wait.
    pub(crate) deadline: Deadline,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects, with the usual deadline for what is read first.
    pub(crate) fn connect(address: &Address) -> io::Result<Stream> {
        let socket = match address {
            Address::Tcp(address) => {
                let stream = TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                Socket::Tcp(stream)
            }
            Address::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
        };
        let deadline = Deadline::usual();
        Ok(Stream { socket, deadline })
    }

    fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match &self.socket {
            Socket::Tcp(socket) => socket.set_read_timeout(Some(timeout)),
            Socket::Unix(socket) => socket.set_read_timeout(Some(timeout)),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.left().ok_or(io::ErrorKind::TimedOut)?;
            self.set_read_timeout(left)?;
            let read = match &mut self.socket {
                Socket::Tcp(socket) => socket.read(buffer),
                Socket::Unix(socket) => socket.read(buffer),
            };
            return match read {
                // Whoever stops the tests and lets them go on interrupts a read that has a time-out (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The kernel says "would block" for a timeout, which readers take for "come back".
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    Err(io::ErrorKind::TimedOut.into())
                }
                read => read,
            };
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.socket {
            Socket::Tcp(socket) => socket.write(bytes),
            Socket::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
