//! Where connections come from: TCP and unix sockets, built by hand for their options.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mio::net::{TcpListener, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::socket::Stream;
use crate::config::Listen;
use crate::peer::{Door, From};

/// Handshakes that the kernel completes before we come to them. mio's own listeners ask for 128, and a full
/// backlog on a unix socket refuses at once: nginx then answers 502.
const BACKLOG: i32 = 8_192;
/// Bytes of unsent data that a TCP socket takes from us. What waits beyond waits in our own bounded queues:
/// without this a client that never reads makes the kernel hold 4 MB for it.
const NOT_SENT_BYTES: u32 = 16 << 10;

/// One listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) door: Door,
    /// There may be somebody to accept.
    pub(crate) ready: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        path: PathBuf,
        mode: u32,
    },
}

impl Listener {
    /// `shared` is the first of several at one TCP address; the kernel deals the connections out among them.
    pub(crate) fn bind(listen: &Listen, door: Door, shared: bool) -> io::Result<Listener> {
        let kind = match listen {
            Listen::Tcp(address) => {
                // Were it shared from the beginning, a second gateway of the same user would be let in, and each would
                // have half of the clients. So the first has the address to itself, or fails, and shares it then.
                let socket = listen_tcp(*address, false)?;
                socket.set_reuse_port(shared)?;
                Kind::Tcp(TcpListener::from_std(socket.into()))
            }
            Listen::Unix { path, mode } => Kind::Unix {
                listener: bind_unix(path, *mode)?,
                path: path.clone(),
                mode: *mode,
            },
        };
        Ok(Listener {
            door,
            ready: false,
            kind,
        })
    }

    /// A further one at an address that is shared.
    pub(crate) fn bind_too(address: SocketAddr, door: Door) -> io::Result<Listener> {
        Ok(Listener {
            door,
            ready: false,
            kind: Kind::Tcp(TcpListener::from_std(listen_tcp(address, true)?.into())),
        })
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.kind {
            Kind::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            Kind::Unix { listener, .. } => registry.register(listener, token, Interest::READABLE),
        }
    }

    /// The address, with the port that the system chose if it was left to it.
    pub(crate) fn address(&self) -> io::Result<Listen> {
        match &self.kind {
            Kind::Tcp(listener) => listener.local_addr().map(Listen::Tcp),
            Kind::Unix { path, mode, .. } => Ok(Listen::Unix {
                path: path.clone(),
                mode: *mode,
            }),
        }
    }

    /// The next connection; `None` if nobody waits.
    pub(crate) fn accept(&mut self) -> io::Result<Option<(Stream, From)>> {
        loop {
            let accepted = match &self.kind {
                Kind::Tcp(listener) => listener
                    .accept()
                    .map(|(stream, from)| (Stream::Tcp(stream), From::Ip(from.ip()))),
                Kind::Unix { listener, .. } => listener
                    .accept()
                    .map(|(stream, _)| (Stream::Unix(stream), From::Unix)),
            };
            return match accepted {
                Ok(connection) => Ok(Some(connection)),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.ready = false;
                        Ok(None)
                    }
                    // Who has gone again while waiting is no reason to keep the others waiting.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => continue,
                    _ => Err(error),
                },
            };
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix { path, .. } = &self.kind {
            // It may have been replaced by a successor's, or removed: either is fine.
            let _ = fs::remove_file(path);
        }
    }
}

fn listen_tcp(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    // Accepted sockets inherit these.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

fn bind_unix(path: &Path, mode: u32) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::unix(path)?)?;
    // Before listen: nobody can have connected with the wrong mode.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    socket.listen(BACKLOG)?;
    Ok(UnixListener::from_std(socket.into()))
}

/// A socket file that nobody listens on was left by a process that was killed. Anything else stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if !metadata.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is no socket is in its place",
        )),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another process listens on it",
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    fn bind(address: SocketAddr, shared: bool) -> io::Result<Listener> {
        Listener::bind(&Listen::Tcp(address), Door::Client, shared)
    }

    #[test]
    fn of_gateways_with_workers_that_start_at_once_one_has_the_address() {
        for _ in 0..200 {
            let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let start = Barrier::new(2);
            let bound = thread::scope(|scope| {
                let gateways = [(); 2].map(|()| {
                    scope.spawn(|| {
                        start.wait();
                        bind(address, true)
                    })
                });
                gateways.map(|gateway| gateway.join().unwrap())
            });
            assert!(bound.iter().filter(|bound| bound.is_ok()).count() <= 1);
        }
    }

    #[test]
    fn an_address_is_shared_with_further_workers_and_with_nobody_where_there_are_none() {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        for shared in [true, false] {
            let first = bind(any, shared).unwrap();
            let Ok(Listen::Tcp(address)) = first.address() else {
                panic!("a TCP address was asked for")
            };
            let too = [(); 3].map(|()| Listener::bind_too(address, Door::Client));
            assert!(too.iter().all(|too| too.is_ok() == shared), "{too:?}");
        }
    }
}
