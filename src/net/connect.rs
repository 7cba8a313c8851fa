//! Connecting to Redis and to the application: looking a name up, and trying its addresses in turn.
//!
//! A name server may take many seconds, and the reactor has one thread; so a name is looked up on a thread of its
//! own, which ends with the answer. An address needs none. A name server that takes longer than the hub has patience
//! is asked once all the same: its answer serves the try that waits for it then.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;
use mio::net::{TcpStream, UnixStream};

use super::socket::Stream;
use crate::config::RedisAddress;
use crate::hub::To;
use crate::peer::{PeerId, RedisOf};

/// All that is connected to.
const ALL: [To; 3] = [
    To::Redis(RedisOf::Messages),
    To::Redis(RedisOf::Sessions),
    To::Application,
];

/// One for each that is connected to.
#[derive(Debug)]
pub(crate) struct Connectors {
    pub(crate) redis: Connector,
    pub(crate) sessions: Option<Connector>,
    pub(crate) application: Option<Connector>,
}

/// The connections to one address that are under way, and answers of name servers.
#[derive(Debug)]
pub(crate) struct Connector {
    address: RedisAddress,
    /// Addresses not yet tried, for these peers.
    left: BTreeMap<PeerId, VecDeque<SocketAddr>>,
    /// The peers that wait for the name server's answer.
    waiting: Vec<PeerId>,
    /// The peers that have it.
    looked_up: VecDeque<PeerId>,
    /// A name server is asked.
    asked: bool,
    /// What it said last.
    answer: Result<Vec<SocketAddr>, String>,
    answers: Receiver<Answer>,
    answered: Sender<Answer>,
    waker: Arc<Waker>,
}

type Answer = io::Result<Vec<SocketAddr>>;

impl Connectors {
    /// The one to these.
    pub(crate) fn to(&mut self, to: To) -> Option<&mut Connector> {
        match to {
            To::Redis(RedisOf::Messages) => Some(&mut self.redis),
            To::Redis(RedisOf::Sessions) => self.sessions.as_mut(),
            To::Application => self.application.as_mut(),
        }
    }

    /// A name that was looked up.
    pub(crate) fn looked_up(&mut self) -> Option<(PeerId, To, io::Result<Stream>)> {
        ALL.into_iter().find_map(|to| {
            let (id, stream) = self.to(to)?.looked_up()?;
            Some((id, to, stream))
        })
    }

    /// Nobody wants this connection any more.
    pub(crate) fn forget(&mut self, id: PeerId) {
        for to in ALL {
            if let Some(connector) = self.to(to) {
                connector.forget(id);
            }
        }
    }
}

impl Connector {
    /// `waker` wakes the reactor when a name server has answered.
    pub(crate) fn new(address: RedisAddress, waker: Arc<Waker>) -> Connector {
        let (answered, answers) = channel();
        Connector {
            address,
            left: BTreeMap::new(),
            waiting: Vec::new(),
            looked_up: VecDeque::new(),
            asked: false,
            answer: Ok(Vec::new()),
            answers,
            answered,
            waker,
        }
    }

    /// Begins: a stream being connected, or `None` if the name is being looked up.
    pub(crate) fn begin(&mut self, id: PeerId) -> io::Result<Option<Stream>> {
        self.left.remove(&id);
        match &self.address {
            RedisAddress::Unix(path) => UnixStream::connect(path).map(Stream::Unix).map(Some),
            RedisAddress::Tcp { host, port } => match host.parse::<IpAddr>() {
                Ok(ip) => connect(SocketAddr::new(ip, *port)).map(Some),
                Err(_) => self.look_up(id, host.clone(), *port).map(|()| None),
            },
        }
    }

    /// A name that was looked up: for whom, and a stream being connected to its first address.
    pub(crate) fn looked_up(&mut self) -> Option<(PeerId, io::Result<Stream>)> {
        if let Ok(answer) = self.answers.try_recv() {
            self.asked = false;
            self.answer = answer.map_err(|error| error.to_string());
            self.looked_up.extend(self.waiting.drain(..));
        }
        let id = self.looked_up.pop_front()?;
        let stream = match &self.answer {
            Ok(addresses) => {
                self.left.insert(id, addresses.clone().into());
                self.try_next(id)
                    .unwrap_or_else(|| Err(io::Error::other("its name has no address")))
            }
            Err(error) => Err(io::Error::other(error.clone())),
        };
        Some((id, stream))
    }

    /// The last address did not answer: a stream being connected to the next, if there is one.
    pub(crate) fn try_next(&mut self, id: PeerId) -> Option<io::Result<Stream>> {
        self.left.get_mut(&id)?.pop_front().map(connect)
    }

    /// Nobody wants this connection any more. Its place may soon be another's, so nothing may come for it later.
    pub(crate) fn forget(&mut self, id: PeerId) {
        self.left.remove(&id);
        self.waiting.retain(|waiting| *waiting != id);
        self.looked_up.retain(|waiting| *waiting != id);
    }

    fn look_up(&mut self, id: PeerId, host: String, port: u16) -> io::Result<()> {
        self.waiting.push(id);
        if self.asked {
            return Ok(());
        }
        let (answered, waker) = (self.answered.clone(), Arc::clone(&self.waker));
        thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                let addresses = (host.as_str(), port)
                    .to_socket_addrs()
                    .map(Iterator::collect);
                // If the reactor is gone nobody wants the answer.
                if answered.send(addresses).is_ok() {
                    let _ = waker.wake();
                }
            })?;
        self.asked = true;
        Ok(())
    }
}

fn connect(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    #[test]
    fn a_late_answer_is_for_whoever_waits_now_and_never_for_one_that_was_given_up() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let address = RedisAddress::Tcp {
            host: "localhost".to_owned(),
            port: 1,
        };
        let mut connector = Connector::new(address, waker);
        let mut wait = || {
            let mut events = Events::with_capacity(1);
            poll.poll(&mut events, Some(Duration::from_secs(10)))
                .unwrap();
            assert!(!events.is_empty(), "the name server answered");
        };
        let (first, second) = (peer(1), peer(2));
        assert!(connector.begin(first).unwrap().is_none());
        wait();
        connector.forget(first);
        assert!(connector.looked_up().is_none());

        assert!(connector.begin(first).unwrap().is_none());
        connector.forget(first);
        assert!(connector.begin(second).unwrap().is_none());
        wait();
        assert_eq!(connector.looked_up().map(|(id, _)| id), Some(second));
        assert!(connector.looked_up().is_none(), "it was asked once");
    }

    fn peer(generation: u32) -> PeerId {
        PeerId {
            index: 7,
            generation,
        }
    }
}
