//! What the bedside needs of the house around it. The house itself is the room `gateway`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::association::scan::{Grammar, Meaning};
use crate::association::{By, DeviceId, EntryId, Ledger, Line, Says, Utc, Whose};
use crate::journal::Reader;
use crate::vocabulary::{Moment, PatientId, Place, Purpose, RecordId};

/// An answer that is waited for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One entry for the ledger, before the house says when it learned it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    pub id: EntryId,
    pub stated: Utc,
    pub by: By,
    pub says: Says,
}

/// What a person did with values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// A set was confirmed, rejected in part, or a confirmation withdrawn.
    Confirmation,
    /// Values that no device measures.
    Entry,
    /// Who did what, or tried to. It stays in the box.
    Audit,
}

/// One act for the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    pub kind: ActKind,
    /// Made by the phone: the same act sent again is the same record.
    pub client_id: String,
    /// Microseconds since 1970 UTC.
    pub time_us: i64,
    pub data: Map<String, Json>,
}

/// Why nothing was kept. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// The disk is full or has failed.
    #[error("the box keeps nothing now: {0}")]
    NoStorage(String),
    /// The ledger does not take it.
    #[error("{0}")]
    Refused(#[from] crate::association::EntryRefused),
}

/// One machine of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub id: DeviceId,
    /// The line on which it hangs, as far as the configuration says.
    pub line: Line,
    /// Maker and model.
    pub model: String,
    /// The kind that its device file states: `bedside-monitor`.
    pub class: String,
    pub place: Place,
    pub whose: Whose,
    /// What its labels say beside its own id.
    pub codes: Vec<DeviceId>,
}

/// What a person compares with the wristband. `Debug` shows none of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Shown {
    pub name: Option<String>,
    /// `YYYYMMDD`, as the administration wrote it.
    pub birth_date: Option<String>,
    /// The patient administration knows this patient.
    pub verified: bool,
    /// The patient's data are protected (turvakielto).
    pub protected: bool,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown(..)")
    }
}

/// The house, as the bedside sees it.
pub trait House: Send + Sync {
    /// The box's clock.
    fn now(&self) -> Moment;
    /// The ledger as of the last durable entry.
    fn ledger(&self) -> Arc<Ledger>;
    /// What the administration says of a patient.
    fn shown(&self, patient: &PatientId) -> Shown;
    fn machines(&self) -> &[Machine];
    fn grammar(&self) -> &Grammar;
    fn purpose(&self) -> Purpose;
    /// A reader of the journal: it sees what is durable.
    fn reader(&self) -> Reader;
    /// Up to which record the destination that files has stored what it must have.
    fn delivered(&self) -> u64;
    /// All of the entries or none; they are durable when it says so. The same entries again change
    /// nothing.
    fn add(&self, entries: Vec<NewEntry>) -> Waiting<'_, Result<(), NotKept>>;
    /// Keeps an act; it is durable when it says so. The same client id again gives the same record.
    fn act(&self, act: Act) -> Waiting<'_, Result<RecordId, NotKept>>;
}

/// The machine that a scanned label belongs to.
pub fn machine_of<'a>(machines: &'a [Machine], meaning: &Meaning) -> Option<&'a Machine> {
    let Meaning::Device(code) = meaning else { return None };
    let scanned = code.machine()?;
    machines.iter().find(|one| one.id == scanned || one.codes.contains(&scanned))
}
