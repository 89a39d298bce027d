//! What the bedside needs of the house around it. The house itself is the room `gateway`.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::association::scan::{DeviceCode, Grammar, Meaning};
use crate::association::{Channel, DeviceId, Ledger, Line, Whose};
use crate::journal::Reader;
use crate::vocabulary::{Moment, PatientId, Place, Purpose, RecordId};

/// An answer that is waited for.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

pub use crate::gateway::ledger::{Act, ActKind, NewEntry, NotAdded};

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
    /// Its parts that can have patients of their own, by their names on the device.
    pub channels: Vec<Channel>,
    /// What its labels say beside its own id.
    pub codes: Vec<String>,
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
    fn add(&self, entries: Vec<NewEntry>) -> Waiting<'_, Result<(), NotAdded>>;
    /// Whether no core that files can be reached now: downtime.
    fn core_is_away(&self) -> bool;
    /// The ward on which the box stands.
    fn ward(&self) -> &str;
    /// The box's name: the subject of what is about no device.
    fn name(&self) -> &str;
    /// Keeps an act; it is durable when it says so. The same client id again gives the same record.
    fn act(&self, act: Act) -> Waiting<'_, Result<RecordId, NotAdded>>;
}

/// The machine that a scanned label belongs to.
pub fn machine_of<'a>(machines: &'a [Machine], meaning: &Meaning) -> Option<&'a Machine> {
    let Meaning::Device(code) = meaning else { return None };
    let scanned = code.machine()?;
    let as_written = match code {
        DeviceCode::Plain(text) | DeviceCode::Asset(text) => text.as_str(),
        DeviceCode::Udi { .. } => scanned.as_str(),
    };
    machines.iter().find(|one| {
        let is_listed = one.codes.iter().any(|code| code == as_written || code == scanned.as_str());
        one.id == scanned || one.id.as_str() == as_written || is_listed
    })
}
