//! The application is asked about clients: what goes into the room of its calls, and what comes out of it.

use std::collections::BTreeMap;

use super::access::callback::{Callback, Question, Ticket, Verdict, Want};
use super::access::testimony::Testimony;
use super::peers::Peer;
use super::{Action, Hub, Lost, To};
use crate::config::{Config, Source};
use crate::peer::PeerId;
use crate::refusal::{Refusal, Refused};
use crate::tick::Tick;

/// The calls, and whom they are about.
pub(super) struct Application {
    pub(super) calls: Callback,
    pub(super) awaited: BTreeMap<Ticket, PeerId>,
}

impl Application {
    /// The one of the configuration, if it is among the sources.
    pub(super) fn new(config: &Config) -> Option<Application> {
        let url = config.callback.url.clone();
        let url = url.filter(|_| config.identity.contains(&Source::Callback))?;
        Some(Application {
            calls: Callback::new(url, config.callback.clone()),
            awaited: BTreeMap::new(),
        })
    }
}

impl Hub {
    /// Asks about a client; a refusal if that cannot even be asked.
    pub(super) fn ask_application(
        &mut self,
        now: Tick,
        id: PeerId,
        question: &Question,
    ) -> Result<Ticket, Refused> {
        let Some(Application { calls, awaited }) = &mut self.application else {
            return Err(Refusal::CallbackFailed.into());
        };
        let ticket = calls.ask(now, question).map_err(failed)?;
        awaited.insert(ticket, id);
        Ok(ticket)
    }

    /// The client that a verdict was to be about is gone.
    pub(super) fn forget_question(&mut self, ticket: Ticket) {
        if let Some(Application { calls, awaited }) = &mut self.application
            && awaited.remove(&ticket).is_some()
        {
            calls.cancel(ticket);
        }
    }

    /// A connection to the application stands.
    pub(super) fn application_connected(&mut self, now: Tick, id: PeerId) {
        if let Some(Application { calls, .. }) = &mut self.application {
            calls.connected(now, id);
        }
        self.heed_application(now);
    }

    /// The application spoke.
    pub(super) fn application_spoke(&mut self, now: Tick, id: PeerId, bytes: &[u8]) {
        if let Some(Application { calls, .. }) = &mut self.application {
            calls.received(now, id, bytes);
        }
        self.heed_application(now);
    }

    /// A connection to the application is gone.
    pub(super) fn application_lost(&mut self, now: Tick, id: PeerId, lost: Lost) {
        if let Some(Application { calls, .. }) = &mut self.application {
            calls.lost(now, id, lost);
        }
        self.drop_peer(id);
        self.heed_application(now);
    }

    pub(super) fn application_elapsed(&mut self, now: Tick) {
        if let Some(Application { calls, .. }) = &mut self.application {
            calls.elapsed(now);
        }
        self.heed_application(now);
    }

    /// Deals out what the calls have brought about. It follows every fact about them.
    pub(super) fn heed_application(&mut self, now: Tick) {
        while let Some(Application { calls, awaited }) = &mut self.application {
            if let Some((tickets, verdict)) = calls.next_answer() {
                let about = tickets.iter().filter_map(|ticket| awaited.remove(ticket));
                for id in about.collect::<Vec<_>>() {
                    self.judged(now, id, verdict.clone());
                }
                continue;
            }
            let peers = &mut self.peers;
            match calls.next_want(now, || peers.insert(Peer::Application)) {
                Some(Want::Connect(id)) => {
                    self.actions.push_back(Action::Connect(id, To::Application));
                }
                Some(Want::Drop(id)) => self.drop_peer(id),
                None => return,
            }
        }
    }

    fn judged(&mut self, now: Tick, id: PeerId, verdict: Verdict) {
        match verdict {
            Verdict::Allow(answer) => {
                let testimony = Testimony::of_answer(answer, self.unix_at(now));
                self.application_said(now, id, testimony);
            }
            Verdict::AllowAsAsked => self.application_said(now, id, Testimony::default()),
            Verdict::Forbidden => self.refuse(
                now,
                id,
                Refused {
                    refusal: Refusal::Forbidden,
                    why: Some("the application says no".to_owned()),
                },
            ),
            Verdict::Failed(failure) => self.refuse(now, id, failed(failure)),
        }
    }
}

/// No verdict is no entry.
fn failed(why: impl ToString) -> Refused {
    Refused {
        refusal: Refusal::CallbackFailed,
        why: Some(why.to_string()),
    }
}
