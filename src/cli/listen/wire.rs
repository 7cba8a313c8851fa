//! A blocking socket that two threads share: one reads, and both write.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::target::Place;

/// The socket. What one `write` is given goes out whole: tungstenite writes whole frames, so a pong of the one
/// thread never lands inside a message of the other.
#[derive(Debug, Clone)]
pub(super) struct Wire(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    stream: Stream,
    writing: Mutex<()>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// To connect, to be answered, and to be rid of what was written.
const PATIENCE: Duration = Duration::from_secs(10);

impl Wire {
    /// Connects to the first address that answers.
    pub(super) fn connect(place: &Place) -> io::Result<Wire> {
        let stream = match place {
            Place::Tcp(host, port) => Stream::Tcp(tcp(host, *port)?),
            Place::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        };
        let wire = Wire(Arc::new(Shared {
            stream,
            writing: Mutex::new(()),
        }));
        wire.set_read_timeout(PATIENCE)?;
        match &wire.0.stream {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(PATIENCE))?,
            Stream::Unix(stream) => stream.set_write_timeout(Some(PATIENCE))?,
        }
        Ok(wire)
    }

    /// A read that takes longer fails.
    pub(super) fn set_read_timeout(&self, timeout: Duration) -> io::Result<()> {
        match &self.0.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(timeout)),
            Stream::Unix(stream) => stream.set_read_timeout(Some(timeout)),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &self.0.stream {
            Stream::Tcp(stream) => (&mut &*stream).read(into),
            Stream::Unix(stream) => (&mut &*stream).read(into),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _turn = self
            .0
            .writing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &self.0.stream {
            Stream::Tcp(stream) => (&mut &*stream).write_all(bytes)?,
            Stream::Unix(stream) => (&mut &*stream).write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
