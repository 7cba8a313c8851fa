//! The permission callback: the application is asked, over HTTP, who a client is and what it may.
//!
//! The original's `get_allowed_channels` and `PROCESS_REQUEST` in one, for any language. Laws of this room: a
//! client is let in only by a well-formed answer to its own question; every question gets one verdict, by its
//! deadline at the latest; and the application never sees more calls at once than there may be connections,
//! whoever arrives. No pipelining: an answer belongs to the one call on its connection.

mod calls;
mod pool;
mod question;
mod verdict;

use std::collections::VecDeque;

pub(crate) use self::calls::Ticket;
pub(crate) use self::question::Question;
pub(crate) use self::verdict::Answer;
pub(crate) use self::verdict::{Failure, Verdict};

use self::calls::{CallId, Calls};
use self::pool::{Exchange, Pool, State};
use crate::config::{CallbackConfig, CallbackUrl};
use crate::hub::Lost;
use crate::limits::ANSWER_HEAD_BYTES_MAX;
use crate::peer::PeerId;
use crate::tick::Tick;
use crate::wire::http_client::{Malformed, ResponseLimits};

/// The room.
///
/// Facts: [`ask`](Callback::ask), [`cancel`](Callback::cancel), and of its connections
/// [`connected`](Callback::connected), [`received`](Callback::received), [`sent`](Callback::sent),
/// [`lost`](Callback::lost), [`elapsed`](Callback::elapsed). After facts, empty the wishes, each until it says
/// `None`: [`next_want`](Callback::next_want), [`next_answer`](Callback::next_answer),
/// [`next_write`](Callback::next_write) with [`pending`](Callback::pending); then wait until
/// [`deadline`](Callback::deadline).
pub(crate) struct Callback {
    url: CallbackUrl,
    config: CallbackConfig,
    calls: Calls,
    pool: Pool,
    answers: VecDeque<(Vec<Ticket>, Verdict)>,
}

/// What is wanted of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// Connect to the application, as this peer.
    Connect(PeerId),
    /// Close the connection and forget it.
    Drop(PeerId),
}

impl Callback {
    pub(crate) fn new(url: CallbackUrl, config: CallbackConfig) -> Callback {
        Callback {
            url,
            calls: Calls::default(),
            pool: Pool::new(config.connections_max),
            answers: VecDeque::new(),
            config,
        }
    }

    /// Asks about a client. One that asks what is being asked already shares the call, its deadline included.
    pub(crate) fn ask(&mut self, now: Tick, question: &Question) -> Result<Ticket, Failure> {
        let request = question.request(&self.url);
        let until = now + self.config.timeout;
        let ticket = self.calls.ask(request, until, self.config.queue_max)?;
        self.serve(now);
        Ok(ticket)
    }

    /// What the application is asked already may be out of date for who asks from now on: they get calls of their own.
    pub(crate) fn close_to_others(&mut self) {
        self.calls.close_to_others();
    }

    /// What is bound by time or size is bound so from now on. Calls that wait or are under way keep their deadline, and
    /// their connections; where they lead and how many they are does not change.
    pub(crate) fn reload(&mut self, config: &CallbackConfig) {
        self.config = CallbackConfig {
            url: self.config.url.clone(),
            connections_max: self.config.connections_max,
            ..config.clone()
        };
    }

    /// The client is gone.
    pub(crate) fn cancel(&mut self, ticket: Ticket) {
        self.calls.cancel(ticket);
    }

    /// A connection stands.
    pub(crate) fn connected(&mut self, now: Tick, id: PeerId) {
        self.pool.connected(now, id);
        self.serve(now);
    }

    /// The application spoke.
    pub(crate) fn received(&mut self, now: Tick, id: PeerId, bytes: &[u8]) {
        match self.pool.state(id) {
            None | Some(State::Connecting { .. }) => {}
            Some(State::Calling(exchange)) if exchange.sent > 0 => self.answered(now, id, bytes),
            // What comes before there is a question is no answer. Left there, it would be taken for the
            // answer to the next one.
            Some(State::Calling(_) | State::Idle { .. }) => {
                if let Some(State::Calling(exchange)) = self.pool.drop(id) {
                    self.not_carried(&exchange, Malformed::Unasked.into());
                }
            }
        }
        self.serve(now);
    }

    /// `n` bytes of what was pending were written.
    pub(crate) fn sent(&mut self, id: PeerId, n: usize) {
        if let Some(exchange) = self.pool.exchange(id) {
            exchange.sent += n;
        }
    }

    /// A connection is gone, or could not be made; it is forgotten here.
    pub(crate) fn lost(&mut self, now: Tick, id: PeerId, lost: Lost) {
        match self.pool.remove(id) {
            None | Some(State::Idle { .. }) => {}
            Some(State::Connecting { .. }) => self.missed(now, &lost.to_string()),
            Some(State::Calling(mut exchange)) => {
                if lost == Lost::Ended
                    && let Ok(response) = exchange.reader.ended()
                {
                    self.finish(exchange.call, Verdict::of(&response));
                } else {
                    self.not_carried(&exchange, Failure::Lost(lost.to_string()));
                }
            }
        }
        self.serve(now);
    }

    /// Time has passed: does whatever is due.
    pub(crate) fn elapsed(&mut self, now: Tick) {
        while let Some((call, is_waiting)) = self.calls.expired(now) {
            let failure = if is_waiting {
                Failure::NotAsked
            } else {
                Failure::TimedOut
            };
            // Its answer may still come, and must find nobody.
            let carrier = self.pool.carrier(call);
            let status = match carrier.and_then(|id| self.pool.drop(id)) {
                Some(State::Calling(exchange)) => exchange.reader.status(),
                _ => None,
            };
            self.finish(call, Verdict::of_part(status, failure));
        }
        while let Some(id) = self.pool.expired(now) {
            if let Some(State::Connecting { .. }) = self.pool.drop(id) {
                self.missed(now, "it did not answer in time");
            }
        }
        self.serve(now);
    }

    /// What is wanted next of a connection. `new_peer` gives the name for a new one.
    pub(crate) fn next_want(
        &mut self,
        now: Tick,
        new_peer: impl FnOnce() -> PeerId,
    ) -> Option<Want> {
        if let Some(id) = self.pool.next_dropped() {
            return Some(Want::Drop(id));
        }
        self.pool.wants_another(self.calls.waiting()).then(|| {
            let id = new_peer();
            self.pool.connecting(id, now + self.config.timeout);
            Want::Connect(id)
        })
    }

    /// A verdict, and for whom.
    pub(crate) fn next_answer(&mut self) -> Option<(Vec<Ticket>, Verdict)> {
        self.answers.pop_front()
    }

    /// Who has something to write: each, once.
    pub(crate) fn next_write(&mut self) -> Option<PeerId> {
        self.pool.next_dirty()
    }

    /// Does somebody wait to be named by [`Callback::next_write`]?
    pub(crate) fn has_writes(&self) -> bool {
        self.pool.has_dirty()
    }

    /// What to write to a connection now.
    pub(crate) fn pending(&self, id: PeerId) -> &[u8] {
        self.pool.pending(id)
    }

    /// When [`Callback::elapsed`] must be called next, if nothing else happens.
    pub(crate) fn deadline(&self) -> Option<Tick> {
        let pool = self.pool.deadline(self.calls.waiting());
        self.calls.deadline().into_iter().chain(pool).min()
    }

    /// How many calls wait for a connection.
    pub(crate) fn waiting(&self) -> usize {
        self.calls.waiting()
    }

    /// How many calls the application has before it.
    pub(crate) fn calling(&self) -> usize {
        self.pool.calling()
    }

    /// Panics if an invariant does not hold.
    pub(crate) fn check(&self) {
        self.calls.check();
        self.pool.check();
        assert!(self.pool.len() <= self.config.connections_max);
        let carried = self.calls.unfinished() - self.calls.waiting();
        assert_eq!(carried, self.pool.calling(), "a call waits or is carried");
        assert!(self.calls.waiting() == 0 || !self.pool.has_idle());
    }

    /// More of an answer came.
    fn answered(&mut self, now: Tick, id: PeerId, bytes: &[u8]) {
        let Some(exchange) = self.pool.exchange(id) else {
            return;
        };
        let call = exchange.call;
        match exchange.reader.feed(bytes) {
            Ok(None) => {}
            Ok(Some(response)) => {
                // RFC 9112 9.3: an application that answers before it has read the question is not going to.
                if response.reusable && exchange.pending().is_empty() {
                    self.pool.rest(now, id);
                } else {
                    self.pool.drop(id);
                }
                self.finish(call, Verdict::of(&response));
            }
            Err(fault) => {
                let status = exchange.reader.status();
                self.pool.drop(id);
                self.finish(call, Verdict::of_part(status, fault.into()));
            }
        }
    }

    /// A connection failed a call. Where it had been kept, most likely the application closed it just before:
    /// a GET may be repeated (RFC 9110 9.2.2), and is, once.
    fn not_carried(&mut self, exchange: &Exchange, failure: Failure) {
        let is_stale = exchange.is_on_used && exchange.reader.is_untouched();
        if is_stale && self.calls.repeat(exchange.call) {
            self.pool.drop_idle();
            return;
        }
        self.finish(
            exchange.call,
            Verdict::of_part(exchange.reader.status(), failure),
        );
    }

    /// A connection could not be made. Those who wait need not, if no other one is left to wait for.
    fn missed(&mut self, now: Tick, why: &str) {
        if self.pool.missed(now) {
            while let Some((call, _)) = self.calls.next() {
                let failure = Failure::Unreachable(why.to_owned());
                self.finish(call, Verdict::Failed(failure));
            }
        }
    }

    fn finish(&mut self, call: CallId, verdict: Verdict) {
        let tickets = self.calls.finish(call);
        if !tickets.is_empty() {
            self.answers.push_back((tickets, verdict));
        }
    }

    /// Brings calls that wait and connections that idle together.
    fn serve(&mut self, now: Tick) {
        self.pool.elapsed(now);
        let limits = ResponseLimits {
            head_bytes_max: ANSWER_HEAD_BYTES_MAX,
            body_bytes_max: self.config.body_bytes_max,
        };
        while self.pool.has_idle()
            && let Some((call, request)) = self.calls.next()
        {
            self.pool.begin(call, request, limits);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// An application, its network, and a gateway that asks it.
    struct World {
        callback: Callback,
        now: Tick,
        network: Network,
        peers: u32,
        /// What each open connection has brought to the application since its last answer.
        open: BTreeMap<PeerId, String>,
        /// Every whole request, in order.
        asked: Vec<(PeerId, String)>,
        verdicts: BTreeMap<Ticket, Verdict>,
        connects: usize,
        turns: usize,
        most_calling: usize,
    }

    #[derive(PartialEq)]
    enum Network {
        Connects,
        Refuses,
        Hangs,
    }

    const JOHN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"user\":\"john\"}";
    const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

    impl World {
        fn new(change: impl FnOnce(&mut CallbackConfig)) -> World {
            let mut config = CallbackConfig::default();
            change(&mut config);
            World {
                callback: Callback::new("http://app:8080/may".parse().unwrap(), config),
                now: Tick::ZERO + Duration::from_secs(100),
                network: Network::Connects,
                peers: 0,
                open: BTreeMap::new(),
                asked: Vec::new(),
                verdicts: BTreeMap::new(),
                connects: 0,
                turns: 0,
                most_calling: 0,
            }
        }

        fn ask(&mut self, cookie: &str) -> Ticket {
            self.try_ask(cookie).unwrap()
        }

        fn try_ask(&mut self, cookie: &str) -> Result<Ticket, Failure> {
            let question = Question {
                forwarded: format!("Cookie: a={cookie}\r\n").into(),
                original_uri: "/ws/f?subscribe-user".into(),
                facility: "f".into(),
                flags: vec!["subscribe-user".into()],
            };
            let ticket = self.callback.ask(self.now, &question);
            self.run();
            ticket
        }

        /// Fulfils every wish, until there is none.
        fn run(&mut self) {
            loop {
                self.turns += 1;
                // Not after each of ten thousand: the check looks at every call.
                if self.callback.waiting() < 50 || self.turns.is_multiple_of(200) {
                    self.callback.check();
                    let config = &self.callback.config;
                    let waiting_max = config.queue_max + config.connections_max;
                    assert!(self.callback.waiting() <= waiting_max);
                }
                let peers = &mut self.peers;
                let want = self.callback.next_want(self.now, || {
                    *peers += 1;
                    PeerId {
                        index: *peers % 7,
                        generation: *peers,
                    }
                });
                match want {
                    Some(Want::Connect(id)) => {
                        self.connects += 1;
                        match self.network {
                            Network::Connects => {
                                self.open.insert(id, String::new());
                                self.callback.connected(self.now, id);
                            }
                            Network::Refuses => {
                                let lost = Lost::Failed("refused".into());
                                self.callback.lost(self.now, id, lost);
                            }
                            Network::Hangs => {}
                        }
                    }
                    Some(Want::Drop(id)) => {
                        self.open.remove(&id);
                    }
                    None if self.callback.has_writes() => self.write(),
                    None => break,
                }
                self.most_calling = self.most_calling.max(self.callback.calling());
            }
            while let Some((tickets, verdict)) = self.callback.next_answer() {
                assert!(!tickets.is_empty());
                for ticket in tickets {
                    let before = self.verdicts.insert(ticket, verdict.clone());
                    assert_eq!(before, None, "answered once");
                }
            }
            let deadline = self.callback.deadline();
            assert!(deadline.is_none_or(|deadline| deadline > self.now));
        }

        /// One byte, then the rest: an application gets what comes.
        fn write(&mut self) {
            let Some(id) = self.callback.next_write() else {
                return;
            };
            for n in [1, usize::MAX] {
                let pending = self.callback.pending(id);
                let n = n.min(pending.len());
                let text = str::from_utf8(&pending[..n]).unwrap();
                self.open.get_mut(&id).unwrap().push_str(text);
                self.callback.sent(id, n);
            }
            assert!(self.callback.pending(id).is_empty());
            let request = std::mem::take(self.open.get_mut(&id).unwrap());
            assert!(request.starts_with("GET /may HTTP/1.1\r\nHost: app:8080\r\n"));
            assert!(request.ends_with("\r\n\r\n"));
            assert_eq!(request.matches("\r\n\r\n").count(), 1, "no pipelining");
            self.asked.push((id, request));
        }

        /// The connection of the newest call.
        fn newest(&self) -> PeerId {
            self.asked.last().unwrap().0
        }

        fn says(&mut self, id: PeerId, bytes: impl AsRef<[u8]>) {
            self.callback.received(self.now, id, bytes.as_ref());
            self.run();
        }

        fn hangs_up(&mut self, id: PeerId, lost: Lost) {
            self.open.remove(&id);
            self.callback.lost(self.now, id, lost);
            self.run();
        }

        fn advance(&mut self, time: Duration) {
            let end = self.now + time;
            while let Some(deadline) = self.callback.deadline().filter(|at| *at <= end) {
                self.now = self.now.max(deadline);
                self.callback.elapsed(self.now);
                self.run();
            }
            self.now = end;
            self.callback.elapsed(self.now);
            self.run();
        }

        /// What one client is told if the application says this and closes.
        fn verdict_on(bytes: &[u8]) -> Verdict {
            let mut world = World::new(|_| {});
            let ticket = world.ask("1");
            let id = world.newest();
            world.says(id, bytes);
            if world.open.contains_key(&id) {
                world.hangs_up(id, Lost::Ended);
            }
            world.verdicts.remove(&ticket).expect("there is a verdict")
        }
    }

    fn john() -> Verdict {
        Verdict::Allow(Answer {
            user: Some("john".into()),
            ..Answer::default()
        })
    }

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn an_application_is_asked_and_its_answer_is_told_to_who_asked() {
        let mut world = World::new(|_| {});
        let ticket = world.ask("1");
        assert!(world.asked[0].1.contains("Cookie: a=1\r\n"));
        assert!(world.verdicts.is_empty());
        let id = world.newest();
        world.says(id, &JOHN[..40]);
        assert!(world.verdicts.is_empty());
        world.says(id, &JOHN[40..]);
        assert_eq!(world.verdicts[&ticket], john());
    }

    #[test]
    fn answers_mean_what_the_contract_says() {
        let with = |status: &str| format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\n{{}}");
        for (bytes, verdict) in [
            (JOHN.to_owned(), john()),
            (NO_CONTENT.to_owned(), Verdict::AllowAsAsked),
            ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(), Verdict::AllowAsAsked),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                Verdict::AllowAsAsked,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"user\":\r\n7\r\n\"john\"}\r\n0\r\n\r\n"
                    .to_owned(),
                john(),
            ),
            ("HTTP/1.0 200 OK\r\n\r\n{\"user\":\"john\"}".to_owned(), john()),
            (with("401"), Verdict::Forbidden),
            (with("403"), Verdict::Forbidden),
            (with("500"), Verdict::Failed(Failure::Status(500))),
            (with("302"), Verdict::Failed(Failure::Status(302))),
            (with("201"), Verdict::Failed(Failure::Status(201))),
        ] {
            assert_eq!(World::verdict_on(bytes.as_bytes()), verdict, "{bytes}");
        }
    }

    #[test]
    fn an_answer_that_is_not_whole_or_not_in_bounds_lets_nobody_in() {
        let ten_mb = vec![b' '; 10 << 20];
        let head = |length: &str| format!("HTTP/1.1 200 OK\r\n{length}\r\n").into_bytes();
        for bytes in [
            JOHN.as_bytes()[..JOHN.len() - 1].to_vec(),
            [&head("Content-Length: 10485762\r\n")[..], b"{}", &ten_mb].concat(),
            [&head("")[..], b"{}", &ten_mb].concat(),
            [
                &head("Transfer-Encoding: chunked\r\n")[..],
                b"a00002\r\n{}",
                &ten_mb,
            ]
            .concat(),
            [
                &head("Transfer-Encoding: chunked\r\n")[..],
                &b"1\r\n \r\n".repeat(70_000),
            ]
            .concat(),
            [&head("Transfer-Encoding: chunked\r\n")[..], b"2\r\n{}\r\n"].concat(),
            head("Content-Length: 0\r\nContent-Length: 0\r\n"),
            [
                &head("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n")[..],
                b"{}",
            ]
            .concat(),
            b"garbage".to_vec(),
            b"\r\n".repeat(5_000),
            Vec::new(),
        ] {
            let verdict = World::verdict_on(&bytes);
            assert!(
                matches!(verdict, Verdict::Failed(_)),
                "{:?} {verdict:?}",
                bytes[..bytes.len().min(100)].escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn a_refusal_with_an_endless_page_is_a_refusal() {
        let page = [&b"HTTP/1.1 403 No\r\n\r\n"[..], &[b'x'; 100 << 10]].concat();
        assert_eq!(World::verdict_on(&page), Verdict::Forbidden);
    }

    #[test]
    fn a_connection_is_used_again_and_the_least_number_of_them() {
        let mut world = World::new(|_| {});
        for n in 0..5 {
            world.ask(&n.to_string());
            let id = world.newest();
            world.says(id, NO_CONTENT);
        }
        assert_eq!((world.connects, world.asked.len()), (1, 5));
        world.ask("6");
        world.ask("7");
        assert_eq!(world.connects, 2);
        assert_ne!(world.asked[5].0, world.asked[6].0);
    }

    #[test]
    fn a_connection_that_is_not_to_be_kept_is_closed() {
        for answer in [
            "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_owned(),
            format!("{NO_CONTENT}HTTP/1.1 200 OK"),
            "HTTP/1.1 500 Oops\r\nContent-Length: x\r\n\r\n".to_owned(),
        ] {
            let mut world = World::new(|_| {});
            world.ask("1");
            let id = world.newest();
            world.says(id, &answer);
            assert!(!world.open.contains_key(&id), "{answer}");
            world.ask("2");
            assert_eq!(world.connects, 2);
        }
        let mut world = World::new(|_| {});
        world.ask("1");
        let id = world.newest();
        world.says(id, NO_CONTENT);
        world.advance(Duration::from_secs(14));
        assert!(world.open.contains_key(&id));
        world.advance(Duration::from_secs(1));
        assert!(world.open.is_empty(), "it was kept for long enough");
        assert_eq!(world.callback.deadline(), None);
    }

    #[test]
    fn what_comes_without_a_question_answers_none() {
        let mut world = World::new(|_| {});
        world.ask("1");
        let id = world.newest();
        world.says(id, NO_CONTENT);
        world.says(id, JOHN);
        assert!(world.open.is_empty());
        let mallory = world.ask("2");
        assert!(!world.verdicts.contains_key(&mallory));
        assert_eq!(world.connects, 2);

        // The same in one turn: the question stands, but not a byte of it is written.
        let id = world.newest();
        world.says(id, NO_CONTENT);
        let question = Question {
            forwarded: Vec::new(),
            original_uri: "/".into(),
            facility: "f".into(),
            flags: Vec::new(),
        };
        let early = world.callback.ask(world.now, &question).unwrap();
        world.says(id, JOHN);
        assert!(!world.verdicts.contains_key(&early));
        assert_eq!(world.connects, 3, "and it is asked on another connection");
        let id = world.newest();
        world.says(id, NO_CONTENT);
        assert_eq!(world.verdicts[&early], Verdict::AllowAsAsked);
    }

    #[test]
    fn a_kept_connection_that_the_application_closed_costs_nobody_a_verdict() {
        for lost in [Lost::Ended, Lost::Failed("reset".into())] {
            let mut world = World::new(|_| {});
            let (_, _, _) = (world.ask("1"), world.ask("2"), world.ask("3"));
            for id in [0, 1, 2].map(|n| world.asked[n].0) {
                world.says(id, NO_CONTENT);
            }
            let ticket = world.ask("4");
            let stale = world.newest();
            world.hangs_up(stale, lost.clone());
            assert_eq!(
                world.connects, 4,
                "the other kept ones are not trusted either"
            );
            assert_eq!(world.open.len(), 1);
            assert_eq!(world.asked[3].1, world.asked[4].1);
            let id = world.newest();
            world.says(id, JOHN);
            assert_eq!(world.verdicts[&ticket], john());
        }
    }

    #[test]
    fn a_call_is_repeated_once_and_only_where_nothing_was_heard_of_an_answer() {
        let mut world = World::new(|_| {});
        let first = world.ask("1");
        let id = world.newest();
        world.hangs_up(id, Lost::Ended);
        assert!(
            matches!(world.verdicts[&first], Verdict::Failed(Failure::Lost(_))),
            "on a new connection"
        );

        let kept = |world: &mut World| {
            world.ask("k");
            let id = world.newest();
            world.says(id, NO_CONTENT);
            id
        };
        kept(&mut world);
        let half = world.ask("2");
        let id = world.newest();
        world.says(id, "HTTP/1.1 204");
        world.hangs_up(id, Lost::Ended);
        assert!(matches!(
            world.verdicts[&half],
            Verdict::Failed(Failure::Lost(_))
        ));

        kept(&mut world);
        let twice = world.ask("3");
        for _ in 0..2 {
            assert!(!world.verdicts.contains_key(&twice));
            let id = world.newest();
            world.hangs_up(id, Lost::Ended);
        }
        assert!(matches!(
            world.verdicts[&twice],
            Verdict::Failed(Failure::Lost(_))
        ));
    }

    #[test]
    fn a_call_is_not_repeated_twice_even_if_both_connections_had_been_kept() {
        let mut world = World::new(|config| config.connections_max = 2);
        let (_, _) = (world.ask("1"), world.ask("2"));
        let (busy, kept) = (world.asked[0].0, world.asked[1].0);
        world.says(busy, NO_CONTENT);
        world.ask("3");
        world.says(kept, NO_CONTENT);
        let ticket = world.ask("4");
        assert_eq!(world.newest(), kept);
        world.network = Network::Hangs;
        world.hangs_up(kept, Lost::Ended);
        world.says(busy, NO_CONTENT);
        assert_eq!(world.newest(), busy, "it is repeated here");
        world.hangs_up(busy, Lost::Ended);
        assert!(matches!(
            world.verdicts[&ticket],
            Verdict::Failed(Failure::Lost(_))
        ));
    }

    #[test]
    fn a_call_that_hangs_ends_at_its_deadline_however_it_trickles() {
        let mut world = World::new(|_| {});
        let ticket = world.ask("1");
        let id = world.newest();
        for byte in JOHN.as_bytes()[..39].chunks(1) {
            world.advance(ms(50));
            world.says(id, byte);
        }
        assert!(world.verdicts.is_empty());
        world.advance(ms(50));
        assert_eq!(world.verdicts[&ticket], Verdict::Failed(Failure::TimedOut));
        assert!(world.open.is_empty(), "nothing may come of it later");
        world.says(id, &JOHN[39..]);
        assert_eq!(world.verdicts.len(), 1);
    }

    #[test]
    fn an_application_that_is_away_lets_nobody_in_and_is_not_stormed() {
        let mut world = World::new(|_| {});
        world.network = Network::Refuses;
        let ticket = world.ask("1");
        assert!(matches!(
            world.verdicts[&ticket],
            Verdict::Failed(Failure::Unreachable(_))
        ));
        let tickets: Vec<Ticket> = (2..200).map(|n| world.ask(&n.to_string())).collect();
        assert_eq!(world.connects, 1);
        world.advance(ms(100));
        assert_eq!(world.connects, 2, "one tries for all");
        for ticket in tickets {
            assert!(matches!(
                world.verdicts[&ticket],
                Verdict::Failed(Failure::Unreachable(_))
            ));
        }
        assert_eq!(
            world.callback.deadline(),
            None,
            "nobody waits, so nothing is tried"
        );
        world.network = Network::Connects;
        world.advance(ms(100));
        let back = world.ask("200");
        let id = world.newest();
        world.says(id, JOHN);
        assert_eq!(world.verdicts[&back], john());
    }

    #[test]
    fn one_connection_finds_out_whether_the_application_is_back() {
        let mut world = World::new(|_| {});
        world.network = Network::Refuses;
        for cookie in ["1", "2", "3"] {
            world.ask(cookie);
        }
        world.network = Network::Hangs;
        world.advance(ms(100));
        assert_eq!(world.connects, 2);
    }

    #[test]
    fn a_connection_that_cannot_be_made_costs_nobody_a_verdict_while_others_stand() {
        let mut world = World::new(|_| {});
        let first = world.ask("1");
        world.network = Network::Refuses;
        let second = world.ask("2");
        assert!(world.verdicts.is_empty());
        for _ in 0..2 {
            let id = world.newest();
            world.says(id, NO_CONTENT);
        }
        assert_eq!(world.verdicts[&first], Verdict::AllowAsAsked);
        assert_eq!(world.verdicts[&second], Verdict::AllowAsAsked);
    }

    #[test]
    fn a_connection_that_is_never_made_is_given_up() {
        let mut world = World::new(|_| {});
        world.network = Network::Hangs;
        let ticket = world.ask("1");
        world.advance(ms(2_000));
        assert_eq!(world.verdicts[&ticket], Verdict::Failed(Failure::NotAsked));
        assert_eq!(world.callback.deadline(), None, "it was dropped");
    }

    #[test]
    fn who_asks_the_same_at_once_shares_a_call_and_nobody_else_does() {
        let mut world = World::new(|_| {});
        let shared: Vec<Ticket> = (0..100).map(|_| world.ask("1")).collect();
        let other = world.ask("2");
        assert_eq!(world.asked.len(), 2);
        let (one, two) = (world.asked[0].0, world.asked[1].0);
        world.says(one, JOHN);
        for ticket in shared {
            assert_eq!(world.verdicts[&ticket], john());
        }
        assert!(!world.verdicts.contains_key(&other));
        world.says(two, NO_CONTENT);
        assert_eq!(world.verdicts[&other], Verdict::AllowAsAsked);
        world.ask("1");
        assert_eq!(world.asked.len(), 3, "an answer is not kept");
    }

    #[test]
    fn a_full_queue_refuses_but_takes_who_shares_a_call() {
        let mut world = World::new(|config| (config.connections_max, config.queue_max) = (1, 2));
        for cookie in ["1", "2", "3"] {
            world.ask(cookie);
        }
        assert_eq!(world.callback.waiting(), 2);
        assert_eq!(world.try_ask("4"), Err(Failure::QueueFull));
        assert!(world.try_ask("3").is_ok());
        let id = world.newest();
        world.says(id, NO_CONTENT);
        assert!(world.try_ask("4").is_ok());
    }

    #[test]
    fn what_is_reloaded_is_for_later_calls_and_those_under_way_keep_their_time() {
        let mut world = World::new(|config| (config.connections_max, config.queue_max) = (1, 2));
        let (long, waiting) = (world.ask("1"), world.ask("2"));
        let config = CallbackConfig {
            timeout: ms(100),
            queue_max: 1,
            connections_max: 9,
            body_bytes_max: 1 << 10,
            ..world.callback.config.clone()
        };
        world.callback.reload(&config);
        assert_eq!(world.try_ask("3"), Err(Failure::QueueFull));
        world.advance(ms(1_900));
        assert_eq!(world.asked.len(), 1, "there are no more connections");
        assert!(!world.verdicts.contains_key(&long));
        let id = world.newest();
        world.says(id, NO_CONTENT);
        assert_eq!(world.verdicts[&long], Verdict::AllowAsAsked);
        world.says(id, NO_CONTENT);
        assert_eq!(world.verdicts[&waiting], Verdict::AllowAsAsked);
        let short = world.ask("4");
        world.advance(ms(100));
        assert_eq!(world.verdicts[&short], Verdict::Failed(Failure::TimedOut));
    }

    #[test]
    fn who_is_gone_is_told_nothing_and_asked_about_only_if_that_was_under_way() {
        let mut world = World::new(|config| (config.connections_max, config.queue_max) = (1, 2));
        let flying = world.ask("1");
        let (waiting, partner) = (world.ask("2"), world.ask("2"));
        let last = world.ask("3");
        for ticket in [flying, waiting, last, last] {
            world.callback.cancel(ticket);
        }
        assert_eq!(world.callback.waiting(), 1, "room for another");
        let id = world.newest();
        world.says(id, JOHN);
        world.says(id, NO_CONTENT);
        assert_eq!(world.asked.len(), 2, "the last one was not asked about");
        assert_eq!(world.connects, 1, "an answer for nobody is still read");
        assert_eq!(world.verdicts.len(), 1);
        assert_eq!(world.verdicts[&partner], Verdict::AllowAsAsked);
        let again = world.ask("1");
        assert!(!world.verdicts.contains_key(&again));
    }

    #[test]
    fn a_call_for_nobody_is_not_repeated() {
        let mut world = World::new(|_| {});
        world.ask("1");
        let id = world.newest();
        world.says(id, NO_CONTENT);
        let ticket = world.ask("2");
        world.callback.cancel(ticket);
        world.hangs_up(id, Lost::Ended);
        assert_eq!(world.asked.len(), 2);
        assert_eq!(world.callback.deadline(), None);
    }

    #[test]
    fn ten_thousand_clients_at_once_make_a_bounded_number_of_calls_and_each_gets_one_verdict() {
        let mut world = World::new(|_| {});
        let mut refused = 0;
        let mut tickets = Vec::new();
        for n in 0..10_000 {
            match world.try_ask(&n.to_string()) {
                Ok(ticket) => tickets.push((n, ticket)),
                Err(failure) => {
                    assert_eq!(failure, Failure::QueueFull);
                    refused += 1;
                }
            }
            // The application answers now and then.
            if n % 3 == 0 {
                answer_oldest(&mut world);
            }
        }
        while world.callback.calling() > 0 {
            answer_oldest(&mut world);
        }
        assert_eq!((world.most_calling, world.connects), (16, 16));
        assert_eq!(tickets.len() + refused, 10_000);
        assert!(
            refused > 1_000 && tickets.len() > 4_000,
            "{refused} refused"
        );
        assert_eq!(world.verdicts.len(), tickets.len());
        for (n, ticket) in tickets {
            let Verdict::Allow(answer) = &world.verdicts[&ticket] else {
                panic!("{n} is not let in");
            };
            assert_eq!(answer.user, Some(n.to_string()), "its own answer");
        }
    }

    /// The application says that a cookie's value is its user.
    fn answer_oldest(world: &mut World) {
        let (id, request) = world.asked.remove(0);
        let cookie = request.split("Cookie: a=").nth(1).unwrap();
        let body = format!("{{\"user\":\"{}\"}}", cookie.lines().next().unwrap());
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        world.says(id, answer);
    }

    #[test]
    fn ten_thousand_clients_of_an_application_that_hangs_are_all_refused_in_time() {
        let mut world = World::new(|_| {});
        let asked: Vec<_> = (0..10_000).map(|n| world.try_ask(&n.to_string())).collect();
        let tickets: Vec<Ticket> = asked.into_iter().filter_map(Result::ok).collect();
        assert_eq!(tickets.len(), 1_024 + 16);
        world.advance(ms(2_000));
        assert_eq!((world.most_calling, world.asked.len()), (16, 16));
        for ticket in tickets {
            assert!(matches!(world.verdicts[&ticket], Verdict::Failed(_)));
        }
        assert_eq!(world.callback.deadline(), None);
    }

    /// The status of the first response in `bytes` that is final, read in the simplest way there is.
    fn status(bytes: &[u8]) -> Option<String> {
        let text = String::from_utf8_lossy(bytes);
        let heads = text.split("\n");
        let mut statuses = heads.filter(|line| line.starts_with("HTTP/1."));
        let last = statuses.find(|line| line.get(9..10) != Some("1"))?;
        last.get(9..12).map(str::to_owned)
    }

    fn answer_like() -> impl Strategy<Value = Vec<u8>> {
        let status = prop_oneof!["200", "204", "401", "500", "100", "[0-9]{3}"];
        let field = prop_oneof![
            "Content-Length: (0|2|15|99999|-1)\r\n",
            "Transfer-Encoding: (chunked|gzip)\r\n",
            "Connection: (close|keep-alive)\r\n",
            "[a-zA-Z-]{1,9}: [ -~]{0,9}\r\n",
            " x\r\n",
        ];
        let body = prop_oneof![
            Just(String::new()),
            Just("{}".to_owned()),
            Just("{\"user\":\"john\"}".to_owned()),
            Just("2\r\n{}\r\n0\r\n\r\n".to_owned()),
            "[{}:\"a-z0-9\r\n\\[\\]]{0,20}",
        ];
        let fields = proptest::collection::vec(field, 0..3);
        let whole = ("(HTTP/1.1|HTTP/1.0|XTTP/1.1) ", status, fields, body).prop_map(
            |(start, status, fields, body)| {
                format!("{start}{status} X\r\n{}\r\n{body}", fields.concat())
            },
        );
        let damage = proptest::collection::vec((any::<u16>(), any::<u8>()), 0..2);
        (whole, damage).prop_map(|(whole, damage)| {
            let mut bytes = whole.into_bytes();
            for (at, byte) in damage {
                let at = usize::from(at) % bytes.len();
                bytes[at] = byte;
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn whatever_comes_there_is_one_verdict_and_only_a_well_formed_yes_is_a_yes(
            bytes in prop_oneof![4 => answer_like(), 1 => proptest::collection::vec(any::<u8>(), 0..200)],
        ) {
            let allowed = match World::verdict_on(&bytes) {
                Verdict::Allow(_) => ["200"].contains(&&*status(&bytes).unwrap_or_default()),
                Verdict::AllowAsAsked => ["200", "204"].contains(&&*status(&bytes).unwrap_or_default()),
                Verdict::Forbidden | Verdict::Failed(_) => true,
            };
            prop_assert!(allowed, "{}", bytes.escape_ascii());
        }

        #[test]
        fn whatever_happens_every_question_gets_one_verdict(
            steps in proptest::collection::vec((0_u8..10, any::<u8>()), 0..80),
        ) {
            let mut world = World::new(|config| (config.connections_max, config.queue_max) = (3, 4));
            let (mut tickets, mut gone) = (Vec::new(), Vec::new());
            for (step, choice) in steps {
                let chosen = world.open.keys().nth(usize::from(choice) % 4).copied();
                match (step, chosen) {
                    (0..=3, _) => tickets.extend(world.try_ask(&(choice % 8).to_string())),
                    (4, Some(id)) => world.says(id, NO_CONTENT),
                    (5, Some(id)) => world.says(id, &JOHN[usize::from(choice) % 50..]),
                    (6, Some(id)) => world.hangs_up(id, Lost::Ended),
                    (7, _) => world.advance(ms(u64::from(choice) * 8)),
                    (8, _) => {
                        if let Some(ticket) = tickets.pop()
                            && !world.verdicts.contains_key(&ticket)
                        {
                            world.callback.cancel(ticket);
                            gone.push(ticket);
                        }
                        world.run();
                    }
                    (9, _) => {
                        world.network = match choice % 3 {
                            0 => Network::Refuses,
                            1 => Network::Hangs,
                            _ => Network::Connects,
                        };
                    }
                    _ => {}
                }
            }
            world.advance(ms(2_000));
            for ticket in tickets {
                prop_assert!(world.verdicts.contains_key(&ticket));
            }
            for ticket in gone {
                prop_assert!(!world.verdicts.contains_key(&ticket));
            }
            world.advance(Duration::from_secs(20));
            prop_assert_eq!(world.callback.deadline(), None);
            prop_assert!(world.open.is_empty());
        }
    }
}
