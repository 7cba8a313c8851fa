//! Connecting, from as many addresses as it takes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use mio::net::{TcpStream, UnixStream};
use socket2::{Domain, SockAddr, Socket, Type};

use super::error::BenchError;
use super::plan::Plan;
use super::target::Address;
use crate::net::socket::Stream;

/// May so many clients be told apart by their addresses and ports?
pub(super) fn check(plan: &Plan) -> Result<(), BenchError> {
    let Address::Tcp(to) = plan.target.address else {
        return Ok(());
    };
    let is_ours = to.is_ipv4() && to.ip().is_loopback();
    let clients = plan.clients();
    let addresses = clients.div_ceil(plan.per_address.max(1));
    if addresses > 1 && !is_ours || addresses > ADDRESSES_MAX {
        return Err(BenchError::Addresses {
            to,
            clients,
            addresses,
            per_address: plan.per_address,
        });
    }
    Ok(())
}

/// All of 127.0.0.0/8 but its last one, which is for broadcast.
const ADDRESSES_MAX: u32 = (1 << 24) - 2;

/// Begins to connect. `abrupt`: closing sends a reset, so that no port waits for a minute before it can be used again.
pub(super) fn connect(plan: &Plan, number: u32, abrupt: bool, deaf: bool) -> io::Result<Stream> {
    let to = match &plan.target.address {
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
    if let Some(from) = from_address(number / plan.per_address.max(1)) {
        socket.bind(&SockAddr::from(SocketAddr::new(from, 0)))?;
    }
    match socket.connect(&SockAddr::from(to)) {
        Err(error)
            if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        other => other?,
    }
    Ok(Stream::Tcp(TcpStream::from_std(socket.into())))
}

/// All of 127.0.0.0/8 is this machine: past the ports of one address there are those of the next. The first one the
/// kernel chooses by itself.
fn from_address(further: u32) -> Option<IpAddr> {
    let first = u32::from(Ipv4Addr::LOCALHOST);
    (further > 0).then(|| IpAddr::V4(Ipv4Addr::from(first + further)))
}
