//! A blocking socket whose every wait ends at a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::config::RedisAddress;

/// When all the waiting for one answer ends. A time-out for each read would not do: a peer that sends a byte
/// now and then could hold its caller for ever.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    end: Instant,
    timeout: Duration,
}

impl Deadline {
    #[expect(
        clippy::disallowed_methods,
        reason = "a blocking library waits itself, and has no reactor that could tell the time"
    )]
    pub(super) fn after(timeout: Duration) -> Deadline {
        Deadline {
            end: Instant::now() + timeout,
            timeout,
        }
    }

    /// What is left, which is more than nothing.
    #[expect(
        clippy::disallowed_methods,
        reason = "a blocking library waits itself, and has no reactor that could tell the time"
    )]
    fn left(self) -> io::Result<Duration> {
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            Err(self.passed())
        } else {
            Ok(left)
        }
    }

    fn passed(self) -> io::Error {
        let text = format!("no answer within {:?}", self.timeout);
        io::Error::new(ErrorKind::TimedOut, text)
    }

    /// Linux says "would block" for a time-out, and connecting says "timed out".
    fn explain(self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => self.passed(),
            _ => error,
        }
    }
}

/// A connected socket.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects. Looking a name up takes the time that the system's resolver takes; nothing can end that.
    pub(super) fn connect(address: &RedisAddress, deadline: Deadline) -> io::Result<Stream> {
        match address {
            RedisAddress::Tcp { host, port } => {
                let addresses: Vec<_> = (host.as_str(), *port).to_socket_addrs()?.collect();
                tcp(&addresses, deadline).map(Stream::Tcp)
            }
            RedisAddress::Unix(path) => unix(path, deadline).map(Stream::Unix),
        }
    }

    pub(super) fn write_all(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = Some(deadline.left()?);
            let written = match self {
                Stream::Tcp(stream) => {
                    stream.set_write_timeout(left)?;
                    stream.write(bytes)
                }
                Stream::Unix(stream) => {
                    stream.set_write_timeout(left)?;
                    stream.write(bytes)
                }
            };
            match written {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(deadline.explain(error)),
            }
        }
        Ok(())
    }

    /// Reads what is there, at least a byte; an end is an error.
    pub(super) fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        loop {
            let left = Some(deadline.left()?);
            let read = match self {
                Stream::Tcp(stream) => {
                    stream.set_read_timeout(left)?;
                    stream.read(buffer)
                }
                Stream::Unix(stream) => {
                    stream.set_read_timeout(left)?;
                    stream.read(buffer)
                }
            };
            match read {
                Ok(0) => {
                    let text = "it closed the connection";
                    return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
                }
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(deadline.explain(error)),
            }
        }
    }
}

/// Tries the addresses of a name in turn. Each gets its share of the time that is left, so that a first one
/// which swallows packets leaves some for the others.
fn tcp(addresses: &[SocketAddr], deadline: Deadline) -> io::Result<TcpStream> {
    let mut error = io::Error::other("its name has no address");
    for (address, shares) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = deadline.left()? / u32::try_from(shares).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(failed) => error = deadline.explain(failed),
        }
    }
    Err(error)
}

/// A unix socket whose backlog is full, as that of a stopped Redis becomes, makes `connect` wait without end;
/// the time-out for writing bounds that too, but has to be set before.
fn unix(path: &Path, deadline: Deadline) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_write_timeout(Some(deadline.left()?))?;
    socket
        .connect(&SockAddr::unix(path)?)
        .map_err(|error| deadline.explain(error))?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::thread;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn a_peer_that_trickles_does_not_extend_the_deadline() {
        let (mut theirs, ours) = UnixStream::pair().unwrap();
        let trickle = thread::spawn(move || {
            while theirs.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let mut stream = Stream::Unix(ours);
        let deadline = Deadline::after(SHORT);
        let error = loop {
            if let Err(error) = stream.read(&mut [0; 8], deadline) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        drop(stream);
        trickle.join().unwrap();
    }

    #[test]
    fn a_peer_that_does_not_read_is_not_waited_for() {
        let (_theirs, ours) = UnixStream::pair().unwrap();
        let mut stream = Stream::Unix(ours);
        let error = stream
            .write_all(&vec![0; 4 << 20], Deadline::after(SHORT))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn a_full_backlog_does_not_hold_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        listener.listen(0).unwrap();
        let _first = unix(&path, Deadline::after(SHORT)).unwrap();
        let error = unix(&path, Deadline::after(SHORT)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn all_addresses_of_a_name_are_tried() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let open = listener.local_addr().unwrap();
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let shut = other.local_addr().unwrap();
        drop(other);
        let deadline = Deadline::after(Duration::from_secs(10));
        let stream = tcp(&[shut, open], deadline).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert_eq!(
            tcp(&[shut], deadline).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
        assert!(tcp(&[], deadline).is_err());
    }
}
