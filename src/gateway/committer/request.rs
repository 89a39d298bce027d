//! What the committer is asked to do.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{DeviceIdentity, Submission};
use crate::association::{Row, Utc};
use crate::forward::{Notice, Unavailable};
use crate::gateway::ending::{Ending, Outcome};
use crate::gateway::gaps::GapCause;
use crate::gateway::keeping::Plan;
use crate::gateway::ledger::corrections::{Move, Moved};
use crate::gateway::ledger::{Act, Added, NewEntry, NotAdded};
use crate::journal::Kind;
use crate::vocabulary::{Moment, RecordId};

/// What the committer is asked to do, in the order of each sender.
pub enum Request {
    Message(Box<Submission>),
    /// Data can be had again: all open gaps of the device end.
    LinkUp {
        device: Arc<DeviceIdentity>,
        now: Moment,
    },
    /// Data cannot be had from `began` on.
    GapBegan {
        device: Arc<DeviceIdentity>,
        cause: GapCause,
        began: Moment,
    },
    GapEnded {
        device: Arc<DeviceIdentity>,
        cause: GapCause,
        ended: Moment,
    },
    /// What a device said of itself.
    Identity {
        device: Arc<DeviceIdentity>,
        identity: crate::protocol::Identity,
        now: Moment,
    },
    /// A destination needs records that cannot be had any more.
    Unavailable(Unavailable),
    /// A destination will not take a record.
    Noted(Notice),
    /// What a person did, for the journal; answers whether it is durable.
    Person {
        /// Of the record that keeps it.
        kind: Kind,
        payload: serde_json::Value,
        done: oneshot::Sender<bool>,
    },
    /// The port of a line hung up.
    Unplugged {
        device: Arc<DeviceIdentity>,
        now: Moment,
    },
    /// Entries of the ledger, all of them or none.
    Ledger {
        entries: Vec<NewEntry>,
        now: Moment,
        done: oneshot::Sender<Result<Vec<Added>, NotAdded>>,
    },
    /// Rows of the register with the entries that follow from them, all of it or nothing.
    Rows {
        rows: Vec<Row>,
        entries: Vec<NewEntry>,
        done: oneshot::Sender<Result<(), NotAdded>>,
    },
    /// Persons and claims of which nothing was said since, and that nobody needs, are let go.
    Forget {
        before: Utc,
    },
    /// A confirmation, a manual entry, or a row for the audit.
    Act {
        act: Box<Act>,
        now: Moment,
        done: oneshot::Sender<Result<RecordId, NotAdded>>,
    },
    /// Kept values that change hands, found in the journal up to this record; answers when all of
    /// it is durable.
    Moves {
        moves: Vec<Move>,
        through: u64,
        done: oneshot::Sender<Moved>,
    },
    /// It is known what changes hands by the entries in these records.
    Examined(Vec<u64>),
    /// A person ends a record that is carried forward.
    End(Box<Ending>, oneshot::Sender<Outcome>),
    /// What a destination must have, signed.
    Manifest {
        destination: String,
        data: serde_json::Map<String, serde_json::Value>,
        now: Moment,
    },
    /// What lies before may go, once some of it is carried forward.
    Free {
        plan: Plan,
        now: Moment,
    },
    /// Something that was durable cannot be read any more.
    Damaged(Vec<Arc<DeviceIdentity>>),
    /// Once a second.
    Tick {
        now: Moment,
    },
    /// Answers when everything before it has been handed to the journal: for the watchdog.
    Ping(oneshot::Sender<()>),
    /// The last request: write the stop record, close the journal, answer.
    Stop {
        now: Moment,
        done: oneshot::Sender<()>,
    },
}
