//! One entry of the ledger: who says what, when it was true, when it was said, when it was learned.
//! An entry is never changed and never taken out; another one ends, withdraws or overrules it.
//!
//! | time | of an entry |
//! |---|---|
//! | `from`, `at` in [`Says`] | when it was true at the bedside |
//! | `stated` | when the person, device or system said so; a phone may have been offline since |
//! | `learned` | when the first box of the site had it in its journal |
//!
//! Modelled on IHE PCIM (facts/association.md 1): an association is one object with an id, its end
//! and its withdrawal name that id, and a wrong patient is a withdrawal and a new association.

use serde::{Deserialize, Serialize};

use super::names::{Channel, DeviceId, EntryId, Line, MeasurementId, PersonId};
use super::time::{Span, Utc};
use crate::vocabulary::{EncounterId, Grade, PatientId, Place};

/// The version of an entry's written form.
pub const ENTRY_VERSION: u8 = 1;

/// Who says it, and by what means.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum By {
    /// A person who scanned what the entry names.
    Scan { person: PersonId },
    /// A person who decided without scanning: withdrawn, ended, seen, kept.
    Person { person: PersonId },
    /// The device itself: its own admission, its own name, its standby.
    Device,
    /// The patient administration (ADT).
    Adt,
    /// A claim of the core that a person stands behind there (PCIM status F).
    Core,
    /// The site's configuration.
    Configuration,
    /// What the box saw: silence, a plug pulled out.
    Box,
}

impl By {
    /// Whether a person stands behind it.
    pub fn is_person(&self) -> bool {
        match self {
            Self::Scan { .. } | Self::Person { .. } | Self::Core => true,
            Self::Device | Self::Adt | Self::Configuration | Self::Box => false,
        }
    }

    /// How strong it is as evidence that a device is on a patient; `None` if it says nothing of it.
    pub fn grade(&self) -> Option<Grade> {
        match self {
            Self::Scan { .. } => Some(Grade::Scan),
            Self::Core => Some(Grade::CoreClaim),
            Self::Device => Some(Grade::DeviceAdmission),
            Self::Adt => Some(Grade::Location),
            Self::Configuration => Some(Grade::Configuration),
            Self::Person { .. } | Self::Box => None,
        }
    }
}

/// Why an association does not hold for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pause {
    /// Nothing comes from the device. It goes on by itself when the device speaks again.
    Silence,
    /// The device says that it is on standby.
    Standby,
    /// The device says that its patient was discharged.
    DischargedOnDevice,
    /// The device says that it has a new patient.
    NewPatientOnDevice,
}

/// Where a patient is, by the patient administration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Presence {
    /// Admitted, registered or moved: A01, A02, A04 ...
    Present { place: Option<Place> },
    /// On leave: A21.
    Away,
    /// Discharged: A03.
    Left,
}

/// Which movement an administrative cancellation takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Movement {
    /// A01, A04, taken back by A11.
    Admission,
    /// A02, taken back by A12.
    Transfer,
    /// A03, taken back by A13.
    Discharge,
    /// Anything else that says where a patient is.
    Other,
}

/// Where a device stands: in a place, or in another device (a module in its host, a pump in a
/// rack).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stand {
    /// A room, a bed.
    Place(Place),
    /// A host monitor, a rack. It is a place and no identity.
    In(DeviceId),
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Says {
    /// Link 1: this machine hangs on this line, until it is pulled out or another one does.
    Plugged { port: Line, device: DeviceId, from: Utc },
    /// Link 1: the line was open, so that another machine may hang on it.
    Unplugged { port: Line, at: Utc },
    /// Where a device stands, until it stands elsewhere.
    Stands { device: DeviceId, stand: Stand, from: Utc },
    /// Link 2: the device, or one channel of it, is on this patient.
    Associated { device: DeviceId, channel: Option<Channel>, patient: PatientId, span: Span },
    /// Link 2: this one measurement is this patient's (a spot check).
    SpotCheck { device: DeviceId, patient: PatientId, measurement: MeasurementId, at: Utc },
    /// Link 2: the association ended.
    Ended { association: EntryId, at: Utc },
    /// Link 2: somebody looked, and the association holds.
    Seen { association: EntryId, at: Utc },
    /// Link 2: what the device is on does not hold for the time being.
    Paused { device: DeviceId, why: Pause, at: Utc },
    /// Link 2: the device speaks again, or a person says that it is still on its patient.
    Resumed { device: DeviceId, at: Utc },
    /// Link 3: the patient is here in this encounter, or away, or gone.
    Movement {
        patient: PatientId,
        encounter: Option<EncounterId>,
        movement: Movement,
        presence: Presence,
        from: Utc,
    },
    /// Link 3: the last such movement of this encounter was a mistake.
    Cancelled { patient: PatientId, encounter: Option<EncounterId>, movement: Movement, at: Utc },
    /// The same human had two identifiers; this one goes on (A40, A47).
    Merged { retired: PatientId, surviving: PatientId, at: Utc },
    /// An entry was wrong from the beginning. Why, in one of the site's words.
    Withdrawn { entry: EntryId, reason: String },
    /// A person looked at a conflict: the one entry holds, and the others do not where it does.
    Decided { holds: EntryId, against: Vec<EntryId>, reason: String },
}

impl Says {
    /// The line that a machine was put on.
    pub(super) fn plugged_into(&self) -> Option<&Line> {
        if let Self::Plugged { port, .. } = self { Some(port) } else { None }
    }

    /// The machine that was put on a line.
    pub(super) fn plugged_device(&self) -> Option<&DeviceId> {
        if let Self::Plugged { device, .. } = self { Some(device) } else { None }
    }

    /// The instant at which it changes a line.
    pub(super) fn plug_time(&self) -> Option<Utc> {
        if let Self::Plugged { from: at, .. } | Self::Unplugged { at, .. } = self {
            return Some(*at);
        }
        None
    }

    /// The instant from which a movement or its cancellation counts.
    pub(super) fn movement_time(&self) -> Option<Utc> {
        if let Self::Movement { from: at, .. } | Self::Cancelled { at, .. } = self {
            return Some(*at);
        }
        None
    }

    /// The part of a machine that an association names.
    pub(super) fn channel(&self) -> Option<&Channel> {
        if let Self::Associated { channel, .. } = self { channel.as_ref() } else { None }
    }

    /// The end of an association.
    pub(super) fn end(&self) -> Option<Utc> {
        if let Self::Ended { at, .. } = self { Some(*at) } else { None }
    }

    /// When somebody looked at an association.
    pub(super) fn seen(&self) -> Option<Utc> {
        if let Self::Seen { at, .. } = self { Some(*at) } else { None }
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// [`ENTRY_VERSION`].
    pub version: u8,
    /// Unique at the site.
    pub id: EntryId,
    /// When it was said.
    pub stated: Utc,
    /// When the first box of the site learned it.
    pub learned: Utc,
    /// Who says it.
    pub by: By,
    /// What.
    pub says: Says,
}
