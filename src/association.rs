//! The ledger: whose value it is, and was, and when that was known.
//!
//! It guesses nothing: a bed label or an id that a device sends is a statement of the device,
//! carried along. What is filed rests on three links, each with its own evidence and times:
//!
//! | link | entries ([`Says`]) | file |
//! |---|---|---|
//! | line to machine | `Plugged`, `Unplugged` | `line` |
//! | machine or channel to patient | `Associated`, `SpotCheck`, `Ended`, `Seen`, `Paused`, `Resumed` | `claims`, `judge` |
//! | patient to encounter and place | `Movement`, `Cancelled`, `Merged`; `Stands` for machines | `census` |
//! | all | `Withdrawn`, `Decided` | `view` |
//!
//! The ledger is a set of entries that are never changed, and every answer is worked out from the
//! set: so any order of arrival and any restart give the same answers. It is bitemporal: an answer
//! is asked for a time at the bedside, as known at a time.
//!
//! [`Ledger::changes`] says which values that are kept already change hands by a new entry, and
//! [`Ledger::conflicts`] what a person has to decide.

pub mod adt;
mod attribute;
mod census;
mod changes;
mod claims;
mod conflicts;
mod entry;
mod judge;
mod ledger;
mod line;
mod message;
mod names;
mod objections;
pub mod oru;
pub mod pcim;
mod persons;
mod policy;
mod present;
mod register;
mod retention;
pub mod scan;
mod shelf;
#[cfg(test)]
mod tests;
mod time;
mod view;

pub use attribute::{Asked, Held, Origin, Stay};
pub use changes::{Change, Fate, Kept, Then};
pub use conflicts::{Conflict, ConflictKind};
pub use entry::{By, ENTRY_VERSION, Entry, Movement, Pause, Presence, Says, Stand};
pub use judge::{Attributed, Unattributed, WhyNot};
pub use ledger::{CHECKPOINT_VERSION, Checkpoint, EntryRefused, Ledger, Taken};
pub use names::{BadName, Channel, DeviceId, EntryId, Line, MeasurementId, PersonId};
pub use objections::Objection;
pub use persons::{KnownPerson, Persons};
pub use policy::{Enough, Machine, Mobility, Policy, Site, UNSEEN_HOURS_MAX, UnseenHours, Whose};
pub use present::{Checked, Standing};
pub use register::{Register, Row, Statement};
pub use time::{Around, Span, Utc};
