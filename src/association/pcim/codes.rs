//! The profile's codes (facts/association.md 1.4) and its application errors (1.7).

use super::{Act, Status, Transaction};

/// A code, its reference id, and what it stands for.
pub(super) type Code<T> = (&'static str, &'static str, T);

/// OBR-4.
pub(super) const OBSERVATION: Code<()> = ("69136", "MDC_OBS_ASSOCIATION_PATIENT_DEVICE", ());
/// OBX-3.
pub(super) const EVENT: Code<()> = ("68487", "MDC_ATTR_EVT_COND", ());
/// OBX-5.
pub(super) const ACTS: [Code<Act>; 2] = [
    ("198332", "MDC_EVT_ASSOCIATION_PATIENT_DEVICE", Act::Begins),
    ("198334", "MDC_EVT_DISASSOCIATION_PATIENT_DEVICE", Act::Ends),
];

/// OBX-11.
pub(super) fn status(text: &str) -> Option<Status> {
    Some(match text {
        "R" => Status::Asserted,
        "F" => Status::Validated,
        "C" => Status::Corrected,
        // CP-DEV-018 takes D out: a deletion is a wrong association.
        "W" | "D" => Status::Wrong,
        _ => return None,
    })
}

impl Status {
    /// OBX-11. D is never sent.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Asserted => "R",
            Self::Validated => "F",
            Self::Corrected => "C",
            Self::Wrong => "W",
        }
    }
}

/// MSH-21 by its name or its OID: both arcs, and the number of the drafts of 2018.
pub(super) fn transaction(name: &str, oid: &str) -> Option<Transaction> {
    const ARC: &str = "1.3.6.1.4.1.19376.1.6.";
    match name {
        "IHE_DEV_051" | "IHE_DEV_51" | "IHE_PCD_017" => return Some(Transaction::Communicate),
        "IHE_DEV_052" | "IHE_DEV_52" => return Some(Transaction::Report),
        _ => {}
    }
    match oid.strip_prefix(ARC)? {
        "1.51.1" | "4.51.1" => Some(Transaction::Communicate),
        "1.52.1" | "4.52.1" => Some(Transaction::Report),
        _ => None,
    }
}

impl Transaction {
    /// MSH-21 as it is sent.
    pub(super) const fn profile(self) -> &'static str {
        match self {
            Self::Communicate => "IHE_DEV_051^IHE PCD^1.3.6.1.4.1.19376.1.6.1.51.1^ISO",
            Self::Report => "IHE_DEV_052^IHE PCD^1.3.6.1.4.1.19376.1.6.1.52.1^ISO",
        }
    }
}

/// Why a manager does not take an association: the rows of the profile's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    Other,
    UnknownDevice,
    UnknownPatient,
    OnAnotherPatient,
    NotAssociated,
    UnknownLocation,
    Rejected,
    Unauthorized,
    UnknownUser,
}

impl Trouble {
    /// ERR-5.1 is the site's lower limit and this: the profile assigns no range yet.
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// ERR-5.2, word for word, since peers are matched by it too.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Other => "Other error",
            Self::UnknownDevice => "Unknown device",
            Self::UnknownPatient => "Unknown patient",
            Self::OnAnotherPatient => "Device is associated with another patient",
            Self::NotAssociated => "Device is not associated with a patient",
            Self::UnknownLocation => "Unknown location",
            Self::Rejected => "Device-Patient association rejected",
            Self::Unauthorized => "User is unauthorized",
            Self::UnknownUser => "Unknown user",
        }
    }
}
