//! IHE PCIM (Point-of-Care Identity Management): associations told between systems, as DEV-51 from
//! who reports to the manager and DEV-52 from the manager to who consumes. Pure: no connection.
//!
//! | file | what it does |
//! |---|---|
//! | `read` | a message as [`Evidence`] |
//! | `book` | all evidence of one association as what the ledger takes |
//! | `tell` | what the ledger holds as evidence for others |
//! | `write` | evidence as a message |
//! | `query` | DEV-19, which is recognised and declined |
//! | `codes`, `site` | the profile's codes and errors; what the site says |
//!
//! An association is one object with an id, the OBR-3 of its first message; every later message
//! names it in OBR-29.2. Liberal in what is read, strict in what is written: the profile's text
//! contradicts its examples in fourteen places (facts/association.md 1.11), each one a test here.
//!
//! | status | here |
//! |---|---|
//! | R asserted | a proposal: kept and shown, and nothing is filed by it |
//! | F validated, C corrected | [`By::Core`](super::By): a person stands behind it there |
//! | W wrong, D deleted | the association never was |

mod book;
mod codes;
mod query;
mod read;
mod site;
mod tell;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};

pub use book::Book;
pub use codes::Trouble;
pub use query::is_subscription;
pub use read::{Heard, Unread, read};
pub use site::PcimSite;
pub use tell::{current, heard_by, told_of};
pub use write::{Envelope, write};

use super::names::{DeviceId, EntryId, PersonId};
use super::time::Utc;
use crate::vocabulary::{PatientId, Place};

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// DEV-51: a reporter tells the manager.
    Communicate,
    /// DEV-52: the manager tells the consumers.
    Report,
}

/// What an event does to the association (OBX-5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// It begins.
    Begins,
    /// It ends.
    Ends,
}

/// Who stands behind it (OBX-11).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// R: nobody yet.
    Asserted,
    /// F: a responsible person.
    Validated,
    /// C: a person, who corrects what was validated.
    Corrected,
    /// W, and D of older peers: it never was.
    Wrong,
}

/// One event of an association.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// The association: the id of its first event (OBR-29.2, else OBR-3).
    pub association: EntryId,
    /// This event (OBR-3).
    pub event: EntryId,
    pub act: Act,
    pub status: Status,
    pub device: DeviceId,
    pub patient: PatientId,
    /// When the device came to the patient, if the message says (PRT-11 of EQUIP).
    pub begin: Option<Utc>,
    /// When it left (PRT-12 of EQUIP).
    pub end: Option<Utc>,
    /// When the person said so: the validator's time, else the author's, else the message's.
    pub stated: Utc,
    /// Where (PRT-9 of EQUIP), if it is a place of the site's list.
    pub place: Option<Place>,
    /// Who first said so (AUT).
    pub author: Option<PersonId>,
    /// Who validated, corrected or declared it wrong (RO).
    pub validator: Option<PersonId>,
}
