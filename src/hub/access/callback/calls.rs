//! The calls that have no verdict yet, and who waits for each.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::verdict::Failure;
use crate::tick::Tick;
use crate::wire::http_client::Request;

/// One call, for as long as this process lives. Later calls have higher ones, and later deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CallId(u64);

/// The right to hear one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket {
    call: CallId,
    serial: u64,
}

/// Invariants: `waiting` holds the calls that are on no connection; a call is in `by_request` once, or not if it is
/// closed to others.
#[derive(Default)]
pub(super) struct Calls {
    unfinished: BTreeMap<CallId, Call>,
    waiting: BTreeSet<CallId>,
    by_request: BTreeMap<Bytes, CallId>,
    next_call: u64,
    next_ticket: u64,
}

struct Call {
    request: Request,
    until: Tick,
    /// Who waits, in the order of asking; nobody any more if empty.
    tickets: Vec<Ticket>,
    is_repeated: bool,
}

impl Calls {
    /// Joins the call that asks the same, or begins one, if it is not one too many.
    pub(super) fn ask(
        &mut self,
        request: Request,
        until: Tick,
        waiting_max: usize,
    ) -> Result<Ticket, Failure> {
        let significance = request.significance();
        // The time for a call may have become shorter.
        let last = self.unfinished.values().next_back();
        let until = last.map_or(until, |last| last.until.max(until));
        let id = match self.by_request.get(&significance) {
            Some(id) => *id,
            None if self.waiting.len() >= waiting_max => return Err(Failure::QueueFull),
            None => {
                let id = CallId(self.next_call);
                self.next_call += 1;
                let call = Call {
                    request,
                    until,
                    tickets: Vec::new(),
                    is_repeated: false,
                };
                self.unfinished.insert(id, call);
                self.by_request.insert(significance, id);
                self.waiting.insert(id);
                id
            }
        };
        let ticket = Ticket {
            call: id,
            serial: self.next_ticket,
        };
        self.next_ticket += 1;
        if let Some(call) = self.unfinished.get_mut(&id) {
            call.tickets.push(ticket);
        }
        Ok(ticket)
    }

    /// Nobody joins the calls that there are any more.
    pub(super) fn close_to_others(&mut self) {
        self.by_request.clear();
    }

    /// Nobody wants this answer any more. A call that is on its way is left to end; one that is not, is not made.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        let Some(call) = self.unfinished.get_mut(&ticket.call) else {
            return;
        };
        if let Ok(at) = call.tickets.binary_search(&ticket) {
            call.tickets.remove(at);
        }
        if call.tickets.is_empty() && self.waiting.contains(&ticket.call) {
            self.finish(ticket.call);
        }
    }

    /// The call that has waited longest for a connection, and what to send for it: it waits no more.
    pub(super) fn next(&mut self) -> Option<(CallId, Bytes)> {
        let id = self.waiting.pop_first()?;
        let call = self.unfinished.get(&id)?;
        Some((id, call.request.bytes().clone()))
    }

    /// Puts back a call that its connection did not carry, at its old place; but only once, and only if
    /// somebody waits for it.
    pub(super) fn repeat(&mut self, id: CallId) -> bool {
        match self.unfinished.get_mut(&id) {
            Some(call) if !call.is_repeated && !call.tickets.is_empty() => {
                call.is_repeated = true;
                self.waiting.insert(id);
                true
            }
            _ => false,
        }
    }

    /// The call is over: who waited for it.
    pub(super) fn finish(&mut self, id: CallId) -> Vec<Ticket> {
        self.waiting.remove(&id);
        let Some(call) = self.unfinished.remove(&id) else {
            return Vec::new();
        };
        let significance = call.request.significance();
        if self.by_request.get(&significance) == Some(&id) {
            self.by_request.remove(&significance);
        }
        call.tickets
    }

    /// A call whose time is up. `true`: it never got a connection.
    pub(super) fn expired(&self, now: Tick) -> Option<(CallId, bool)> {
        // No later call has less time, so the oldest is the first to run out of it.
        let (id, call) = self.unfinished.first_key_value()?;
        (call.until <= now).then(|| (*id, self.waiting.contains(id)))
    }

    pub(super) fn deadline(&self) -> Option<Tick> {
        self.unfinished.values().next().map(|call| call.until)
    }

    /// How many wait for a connection.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many have no verdict.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    pub(super) fn check(&self) {
        assert!(self.unfinished.values().is_sorted_by_key(|call| call.until));
        for (id, call) in &self.unfinished {
            assert!(call.tickets.is_sorted());
            assert!(call.tickets.iter().all(|ticket| ticket.call == *id));
        }
        for (significance, id) in &self.by_request {
            let call = self.unfinished.get(id);
            assert!(call.is_some_and(|call| call.request.significance() == *significance));
        }
        for id in &self.waiting {
            let call = self.unfinished.get(id);
            assert!(call.is_some_and(|call| !call.tickets.is_empty()));
        }
    }
}
