//! Several workers: threads with a reactor each, which share nothing but what they tell each other here.
//!
//! The first runs on the caller's thread and has what there is once: signals, the operator's listener, the embedded
//! Redis, unix sockets. It passes on what the others must know. They lay out how they stand at the end of each turn,
//! for it to look at when the operator asks; that is the one lock there is, and each has its own.
//!
//! Nobody leaves before all are drained: a listener that is closed drops those who wait in its backlog, and whoever
//! comes later may be told to come back.

use std::sync::mpsc::{
    Receiver, Sender, SyncSender, TryRecvError, TrySendError, channel, sync_channel,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::error_span;

use super::ServeError;
use super::handle::Handle;
use super::reactor::Reactor;
use super::socket::Stream;
use crate::config::Config;
use crate::hub::Hub;
use crate::peer::{Door, From};
use crate::report::Standing;
use crate::tick::Tick;

/// How long a worker sleeps at most: so often it is looked whether all are there.
pub(super) const SLEEP_MAX: Duration = Duration::from_secs(1);
/// After so long without a turn a worker is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(5);
/// Clients of unix sockets on their way to one worker. Past it the first one keeps them.
const DEALT_MAX: usize = 256;

/// The other workers, as the first has them. Empty where there is only one.
#[derive(Default)]
pub(super) struct Crew {
    mates: Vec<Mate>,
    /// Whose turn it is to get a client.
    turn: usize,
}

struct Mate {
    commands: Sender<Command>,
    clients: SyncSender<Stream>,
    board: Arc<Mutex<Board>>,
    handle: Handle,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
}

/// A further worker's end.
pub(super) struct Post {
    commands: Receiver<Command>,
    clients: Receiver<Stream>,
    board: Arc<Mutex<Board>>,
    first: Handle,
    dismissed: bool,
}

/// What a further worker is told.
pub(super) enum Command {
    /// To drain.
    Drain,
    /// To drop whoever is left.
    Stop,
    /// To take this share of another configuration.
    Reload(Box<Config>),
    /// To end.
    End,
}

/// What a further worker lays out.
struct Board {
    standing: Standing,
    at: Tick,
    drained: bool,
}

/// What of a worker's share is the first's alone.
pub(super) fn further(share: &Config) -> Config {
    Config {
        admin: None,
        embedded: None,
        ..share.clone()
    }
}

impl Crew {
    /// Starts them.
    pub(super) fn start(workers: Vec<Reactor>, first: &Handle) -> Result<Crew, ServeError> {
        let mut crew = Crew::default();
        for (at, mut reactor) in workers.into_iter().enumerate() {
            let (mut mate, post) = meet(&reactor, first);
            reactor.post = Some(post);
            let number = at + 1;
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            mate.thread = Some(thread.spawn(move || {
                let _span = error_span!("worker", number).entered();
                reactor.run()
            })?);
            crew.mates.push(mate);
        }
        Ok(crew)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.mates.is_empty()
    }

    /// Tells each.
    pub(super) fn tell(&self, command: impl Fn() -> Command) {
        for mate in &self.mates {
            // It fails if that one is gone, which is looked at in every turn.
            let _ = mate.commands.send(command());
            mate.handle.wake();
        }
    }

    /// Gives a client away, if it is not the first worker's turn to have one. The connections of one unix socket are
    /// dealt in turn: were it shared like a TCP address, whoever wakes first would have them all.
    pub(super) fn deal(&mut self, stream: Stream) -> Option<Stream> {
        let Stream::Unix(_) = stream else {
            return Some(stream);
        };
        let turn = self.turn;
        self.turn = (turn + 1) % (self.mates.len() + 1);
        let Some(mate) = self.mates.get(turn) else {
            return Some(stream);
        };
        match mate.clients.try_send(stream) {
            Ok(()) => {
                mate.handle.wake();
                None
            }
            Err(TrySendError::Full(stream) | TrySendError::Disconnected(stream)) => Some(stream),
        }
    }

    /// How they stand.
    pub(super) fn standings(&self, now: Tick) -> Vec<Standing> {
        let standing = |mate: &Mate| {
            let board = mate.look();
            let mut standing = board.standing.clone();
            if board.is_stuck(now) {
                standing.alive = false;
                standing.ready = Err("a worker's loop does not turn");
            }
            standing
        };
        self.mates.iter().map(standing).collect()
    }

    /// Is there nobody to wait for? A worker that is stuck will not drain.
    pub(super) fn is_drained(&self, now: Tick) -> bool {
        self.mates.iter().all(|mate| {
            let board = mate.look();
            board.drained || board.is_stuck(now)
        })
    }

    /// A worker that has ended unasked is an error: its clients would find nobody.
    pub(super) fn check(&mut self) -> Result<(), ServeError> {
        for (at, mate) in self.mates.iter_mut().enumerate() {
            if let Some(thread) = mate.thread.take_if(|thread| thread.is_finished()) {
                join(at + 1, thread)?;
            }
        }
        Ok(())
    }

    /// Ends them, who are drained, and waits for them, but for one that is stuck: it would be for ever.
    pub(super) fn end(&mut self, now: Tick) -> Result<(), ServeError> {
        self.tell(|| Command::End);
        for (at, mate) in self.mates.iter_mut().enumerate() {
            if mate.look().is_stuck(now) {
                let (number, why) = (at + 1, "its loop does not turn".to_owned());
                return Err(ServeError::Worker { number, why });
            }
            if let Some(thread) = mate.thread.take() {
                join(at + 1, thread)?;
            }
        }
        Ok(())
    }
}

impl Drop for Crew {
    /// Whatever ended the first worker ends the others. They are not waited for: one of them may be what is wrong.
    fn drop(&mut self) {
        self.tell(|| Command::End);
    }
}

impl Mate {
    fn look(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    /// It is laid out once a second at least.
    fn is_stuck(&self, now: Tick) -> bool {
        now.since(self.at) > STUCK_AFTER
    }
}

impl Post {
    /// Was it told to end?
    pub(super) fn is_dismissed(&self) -> bool {
        self.dismissed
    }

    /// Lays out how this worker stands.
    pub(super) fn lay_out(&self, now: Tick, hub: &Hub) {
        let (standing, drained) = (hub.standing(), hub.is_drained());
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = drained && !board.drained;
        *board = Board {
            standing,
            at: now,
            drained,
        };
        drop(board);
        if is_new {
            self.first.wake();
        }
    }

    fn command(&mut self) -> Option<Command> {
        match self.commands.try_recv() {
            Ok(command) => Some(command),
            Err(TryRecvError::Empty) => None,
            // The first is gone, and did not come to say so.
            Err(TryRecvError::Disconnected) => Some(Command::End),
        }
    }
}

impl Reactor {
    /// Every wake-up after the first one finds it draining.
    pub(super) fn drain(&mut self, now: Tick) {
        if !self.hub.is_draining() {
            self.hub.drain(now);
            self.crew.tell(|| Command::Drain);
        }
    }

    /// A further worker was woken: there may be something to do, and clients.
    pub(super) fn heed_first(&mut self, now: Tick) {
        while let Some(post) = self.post.as_mut().filter(|post| !post.dismissed) {
            match post.command() {
                Some(Command::Drain) => self.hub.drain(now),
                Some(Command::Stop) => self.hub.stop(now),
                Some(Command::Reload(share)) => self.hub.reload(now, Ok(*share)),
                Some(Command::End) => post.dismissed = true,
                None => break,
            }
        }
        while let Some(Ok(stream)) = self.post.as_ref().map(|post| post.clients.try_recv()) {
            self.enter(now, Door::Client, From::Unix, stream);
        }
    }
}

/// The two ends between the first worker and this one.
fn meet(reactor: &Reactor, first: &Handle) -> (Mate, Post) {
    let (commands, commanded) = channel();
    let (clients, dealt) = sync_channel(DEALT_MAX);
    let board = Arc::new(Mutex::new(Board {
        standing: reactor.hub.standing(),
        at: reactor.clock.now(),
        drained: false,
    }));
    let mate = Mate {
        commands,
        clients,
        board: Arc::clone(&board),
        handle: reactor.handle.clone(),
        thread: None,
    };
    let post = Post {
        commands: commanded,
        clients: dealt,
        board,
        first: first.clone(),
        dismissed: false,
    };
    (mate, post)
}

fn join(number: usize, thread: JoinHandle<Result<(), ServeError>>) -> Result<(), ServeError> {
    let why = match thread.join() {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        // What it said of that is in the log already.
        Err(_) => "it panicked".to_owned(),
    };
    Err(ServeError::Worker { number, why })
}
