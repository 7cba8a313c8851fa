//! Connecting to Redis: looking its name up, and trying its addresses in turn.
//!
//! A name server may take many seconds, and the reactor has one thread; so a name is looked up on a thread of its
//! own, which ends with the answer. An address needs none.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;
use mio::net::{TcpStream, UnixStream};

use super::socket::Stream;
use crate::config::RedisAddress;
use crate::peer::PeerId;

/// The connection under way, and answers of name servers.
#[derive(Debug)]
pub(crate) struct Connector {
    address: RedisAddress,
    /// Addresses not yet tried, for this peer.
    left: Option<(PeerId, VecDeque<SocketAddr>)>,
    answers: Receiver<Answer>,
    answered: Sender<Answer>,
    waker: Arc<Waker>,
}

type Answer = (PeerId, io::Result<Vec<SocketAddr>>);

impl Connector {
    /// `waker` wakes the reactor when a name server has answered.
    pub(crate) fn new(address: RedisAddress, waker: Arc<Waker>) -> Connector {
        let (answered, answers) = channel();
        Connector {
            address,
            left: None,
            answers,
            answered,
            waker,
        }
    }

    /// Begins: a stream being connected, or `None` if the name is being looked up.
    pub(crate) fn begin(&mut self, id: PeerId) -> io::Result<Option<Stream>> {
        self.left = None;
        match &self.address {
            RedisAddress::Unix(path) => UnixStream::connect(path).map(Stream::Unix).map(Some),
            RedisAddress::Tcp { host, port } => match host.parse::<IpAddr>() {
                Ok(ip) => connect(SocketAddr::new(ip, *port)).map(Some),
                Err(_) => self.look_up(id, host.clone(), *port).map(|()| None),
            },
        }
    }

    /// A name that was looked up: whose it is, and a stream being connected to its first address.
    pub(crate) fn looked_up(&mut self) -> Option<(PeerId, io::Result<Stream>)> {
        let (id, answer) = self.answers.try_recv().ok()?;
        let stream = answer.and_then(|addresses| {
            self.left = Some((id, addresses.into()));
            self.try_next(id)
                .unwrap_or_else(|| Err(io::Error::other("its name has no address")))
        });
        Some((id, stream))
    }

    /// The last address did not answer: a stream being connected to the next, if there is one.
    pub(crate) fn try_next(&mut self, id: PeerId) -> Option<io::Result<Stream>> {
        let (whose, left) = self.left.as_mut()?;
        if *whose != id {
            return None;
        }
        left.pop_front().map(connect)
    }

    fn look_up(&self, id: PeerId, host: String, port: u16) -> io::Result<()> {
        let (answered, waker) = (self.answered.clone(), Arc::clone(&self.waker));
        thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                let addresses = (host.as_str(), port)
                    .to_socket_addrs()
                    .map(Iterator::collect);
                // If the reactor is gone nobody wants the answer.
                if answered.send((id, addresses)).is_ok() {
                    let _ = waker.wake();
                }
            })?;
        Ok(())
    }
}

fn connect(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}
