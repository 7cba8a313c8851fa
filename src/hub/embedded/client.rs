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
    pub(super) watches: Watches,
}

/// What a client calls itself.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) client: Bytes,
    pub(super) lib_name: Bytes,
    pub(super) lib_version: Bytes,
}

/// The keys under WATCH.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// With each, its version when the watch began.
    pub(super) versions: BTreeMap<Key, Version>,
    /// What the keys take together.
    bytes: usize,
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
            watches: Watches::default(),
        }
    }

    /// Bytes that it has sent and that are still here: half a command, commands that wait for EXEC, watched keys.
    pub(super) fn held(&self) -> usize {
        let queued = match &self.transaction {
            Transaction::Queued { bytes, .. } => *bytes,
            Transaction::None | Transaction::Spoiled => 0,
        };
        self.reader.held() + queued + self.watches.bytes
    }

    pub(super) fn check(&self) {
        let keys = self.watches.versions.keys();
        assert_eq!(self.watches.bytes, keys.map(cost_of_watch).sum::<usize>());
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

impl Watches {
    /// Adds a key that is not among them, if there is room for it; `version` begins the watch.
    pub(super) fn add(
        &mut self,
        key: Key,
        version: impl FnOnce(&Key) -> Version,
    ) -> Result<(), CommandError> {
        let cost = cost_of_watch(&key);
        if self.versions.len() >= EMBEDDED_QUEUED_MAX
            || self.bytes + cost > EMBEDDED_COMMAND_BYTES_MAX
        {
            return Err(CommandError::TransactionTooLarge);
        }
        self.bytes += cost;
        let version = version(&key);
        self.versions.insert(key, version);
        Ok(())
    }
}

fn cost_of_watch(key: &Key) -> usize {
    // Here and in the keyspace.
    key.name.len() + 2 * size_of::<(Key, Version)>()
}

fn cost(args: &[Bytes]) -> usize {
    size_of::<Queued>()
        + args
            .iter()
            .map(|arg| arg.len() + size_of::<Bytes>())
            .sum::<usize>()
}
