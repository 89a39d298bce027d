//! Who acts at the bedside, and what acts there are: words only. Which role may do what stands in
//! `charting::identity::rights`.

use serde::{Deserialize, Serialize};

/// The occupation under which a person acts, or what a system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Sairaanhoitaja, sjukskötare.
    RegisteredNurse,
    /// Lähihoitaja, närvårdare.
    PracticalNurse,
    /// Kätilö, barnmorska.
    Midwife,
    /// Lääkäri, läkare.
    Doctor,
    /// A student of any of these; what a student does needs a countersigner.
    Student,
    BiomedicalEngineer,
    Administrator,
    Auditor,
    /// The core system itself, with a credential of its own.
    CoreSystem,
}

impl Role {
    /// The word in answers, audit rows and configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::RegisteredNurse => "registered-nurse",
            Self::PracticalNurse => "practical-nurse",
            Self::Midwife => "midwife",
            Self::Doctor => "doctor",
            Self::Student => "student",
            Self::BiomedicalEngineer => "biomedical-engineer",
            Self::Administrator => "administrator",
            Self::Auditor => "auditor",
            Self::CoreSystem => "core-system",
        }
    }
}

/// What somebody asks to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum May {
    /// Look at one patient's devices and values.
    See,
    /// Say, end or see again that a device is on a patient.
    Associate,
    /// Confirm, leave or reject values.
    Confirm,
    /// Add what no device measures.
    Enter,
    /// Take back a confirmation.
    Withdraw,
    /// Decide a conflict.
    Decide,
    /// Look at the lists of what is to be done.
    Worklists,
    /// Read who did what.
    Audit,
    /// Say what was charted elsewhere.
    Chart,
}

impl May {
    /// All acts.
    pub const ALL: [Self; 9] = [
        Self::See,
        Self::Associate,
        Self::Confirm,
        Self::Enter,
        Self::Withdraw,
        Self::Decide,
        Self::Worklists,
        Self::Audit,
        Self::Chart,
    ];

    /// The word in refusals and audit rows.
    pub const fn word(self) -> &'static str {
        match self {
            Self::See => "see",
            Self::Associate => "associate",
            Self::Confirm => "confirm",
            Self::Enter => "enter",
            Self::Withdraw => "withdraw",
            Self::Decide => "decide",
            Self::Worklists => "worklists",
            Self::Audit => "audit",
            Self::Chart => "chart",
        }
    }
}
