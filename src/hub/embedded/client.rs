//! One connection: what it has said so far, and how it wants to be treated.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::limits::{EMBEDDED_COMMAND_BYTES_MAX, EMBEDDED_QUEUED_MAX};
use crate::wire::resp::CommandReader;

use super::commands::Handler;
use super::error::CommandError;
use super::keyspace::{Key, Version};

/// One connection. Which protocol it speaks is its outbox's business, what it hears is [`super::pubsub`]'s.
#[derive(Debug)]
pub(super) struct Client {
    /// The how-manieth connection it is: its `CLIENT ID`.
    pub(super) number: u64,
    pub(super) reader: CommandReader,
    /// The database that it selected.
    pub(super) db: u8,
    pub(super) names: Names,
    pub(super) transaction: Transaction,
    /// The keys under WATCH, each with its version at that moment.
    pub(super) watches: BTreeMap<Key, Version>,
}

/// What a client calls itself.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) client: Bytes,
    pub(super) library: Bytes,
    pub(super) library_version: Bytes,
}

/// Where a client stands between MULTI and EXEC.
#[derive(Debug, Default)]
pub(super) enum Transaction {
    /// Not there at all.
    #[default]
    None,
    /// These wait for EXEC.
    Queued {
        commands: Vec<Queued>,
        /// What the commands' words take together.
        bytes: usize,
    },
    /// One was refused before it could be queued: EXEC will run none of them.
    Spoiled,
}

/// A command that waits for EXEC.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) run: Handler,
    pub(super) args: Vec<Bytes>,
}

impl Client {
    /// The `number`th connection, which has said nothing yet.
    pub(super) fn new(number: u64) -> Client {
        Client {
            number,
            reader: CommandReader::new(EMBEDDED_COMMAND_BYTES_MAX),
            db: 0,
            names: Names::default(),
            transaction: Transaction::None,
            watches: BTreeMap::new(),
        }
    }

    pub(super) fn check(&self) {
        if let Transaction::Queued { commands, bytes } = &self.transaction {
            let sum: usize = commands.iter().map(|queued| cost(&queued.args)).sum();
            assert_eq!(*bytes, sum, "the queue of MULTI is counted");
            assert!(sum <= EMBEDDED_COMMAND_BYTES_MAX && commands.len() <= EMBEDDED_QUEUED_MAX);
        }
    }
}

impl Transaction {
    /// MULTI was said, and neither EXEC nor DISCARD since.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self, Transaction::None)
    }

    /// Queues a command, or spoils the transaction if there is no room for it.
    pub(super) fn queue(&mut self, run: Handler, args: &[Bytes]) -> Result<(), CommandError> {
        let Transaction::Queued { commands, bytes } = self else {
            return Ok(());
        };
        let cost = cost(args);
        if commands.len() >= EMBEDDED_QUEUED_MAX || *bytes + cost > EMBEDDED_COMMAND_BYTES_MAX {
            *self = Transaction::Spoiled;
            return Err(CommandError::TransactionTooLarge);
        }
        *bytes += cost;
        let args = args.to_vec();
        commands.push(Queued { run, args });
        Ok(())
    }

    /// A command could not be queued, so that what is left of the transaction is not what was meant.
    pub(super) fn spoil(&mut self) {
        if self.is_open() {
            *self = Transaction::Spoiled;
        }
    }
}

fn cost(args: &[Bytes]) -> usize {
    size_of::<Queued>()
        + args
            .iter()
            .map(|arg| arg.len() + size_of::<Bytes>())
            .sum::<usize>()
}
