//! Connecting, from as many addresses as it takes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::{TcpStream, UnixStream};
use socket2::{Domain, SockAddr, Socket, Type};

use super::plan::Address;
use crate::net::socket::Stream;

/// Connections from one address: there are 28,000 ports to choose from, and some are in use.
const PER_ADDRESS: u32 = 20_000;

/// Begins to connect. `abrupt`: closing sends a reset, so that no port waits for a minute before it can be used again.
pub(super) fn connect(
    address: &Address,
    number: u32,
    abrupt: bool,
    deaf: bool,
) -> io::Result<Stream> {
    let to = match address {
        Address::Unix(path) => return UnixStream::connect(path).map(Stream::Unix),
        Address::Tcp(to) => *to,
    };
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if abrupt {
        socket.set_linger(Some(Duration::ZERO))?;
    }
    if deaf {
        socket.set_recv_buffer_size(4_096)?;
    }
    if let Some(from) = from_address(to, number) {
        socket.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
    }
    match socket.connect(&SockAddr::from(to)) {
        Err(error)
            if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        other => other?,
    }
    Ok(Stream::Tcp(TcpStream::from_std(socket.into())))
}

/// All of 127.0.0.0/8 is this machine: past the ports of one address there are those of the next.
fn from_address(to: SocketAddr, number: u32) -> Option<IpAddr> {
    let more = u8::try_from(number / PER_ADDRESS)
        .ok()
        .filter(|more| *more > 0)?;
    to.ip().is_loopback().then_some(())?;
    to.is_ipv4()
        .then(|| IpAddr::V4(Ipv4Addr::new(127, 0, 1, more)))
}
