//! Which role may do what, and whether a person has to do with a patient.
//!
//! | role | see | associate | confirm | enter | withdraw | decide | worklists | audit | chart |
//! |---|---|---|---|---|---|---|---|---|---|
//! | registered nurse, midwife, doctor | yes | yes | yes | yes | yes | yes | yes | | |
//! | practical nurse | yes | yes | yes | yes | yes | | yes | | |
//! | student | yes | signed | signed | signed | | | | | |
//! | biomedical engineer, administrator | | | | | | | yes | | |
//! | auditor | | | | | | | | yes | |
//! | core system | | | | | | | | | yes |
//!
//! `signed`: with a countersigner. The worklists of those who may not `see` name no patient.
//! While the provider is out of reach only `see`, `associate`, `confirm` and `enter` go on.

use super::refused::Refused;
use super::{Person, SessionMode};
use crate::vocabulary::role::{May, Role};

/// The shortest and the longest reason for looking at a patient of another ward, in characters.
const REASON_CHARACTERS: std::ops::RangeInclusive<usize> = 3..=200;

/// Whether an act stands on the person's own word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    Alone,
    /// A registered nurse, midwife or doctor has to sign it too.
    WithCountersigner,
}

/// Why a person has to do with a patient; goes into the audit row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Care {
    /// The patient is on a ward of the person.
    Ward,
    /// The patient has an active encounter on a ward of the person.
    Encounter,
    /// The person says why.
    Stated(String),
}

impl Care {
    /// The word in audit rows.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Ward => "ward",
            Self::Encounter => "encounter",
            Self::Stated(_) => "stated-reason",
        }
    }
}

/// Where a patient is, as the census knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts<'a> {
    /// The ward of the patient's bed.
    pub ward: Option<&'a str>,
    /// The wards of the patient's active encounters.
    pub encounters: &'a [&'a str],
}

/// Whether somebody of this role may do that at all.
pub const fn role_may(role: Role, act: May) -> Option<Allowed> {
    let alone = Some(Allowed::Alone);
    match (role, act) {
        (
            Role::RegisteredNurse | Role::Midwife | Role::Doctor,
            May::See
            | May::Associate
            | May::Confirm
            | May::Enter
            | May::Withdraw
            | May::Decide
            | May::Worklists,
        ) => alone,
        (
            Role::PracticalNurse,
            May::See | May::Associate | May::Confirm | May::Enter | May::Withdraw | May::Worklists,
        ) => alone,
        (Role::Student, May::See) => alone,
        (Role::Student, May::Associate | May::Confirm | May::Enter) => {
            Some(Allowed::WithCountersigner)
        }
        (Role::BiomedicalEngineer | Role::Administrator, May::Worklists) => alone,
        (Role::Auditor, May::Audit) => alone,
        (Role::CoreSystem, May::Chart) => alone,
        (Role::RegisteredNurse | Role::Midwife | Role::Doctor, May::Audit | May::Chart)
        | (Role::PracticalNurse, May::Decide | May::Audit | May::Chart)
        | (Role::Student, May::Withdraw | May::Decide | May::Worklists | May::Audit | May::Chart)
        | (
            Role::BiomedicalEngineer | Role::Administrator,
            May::See
            | May::Associate
            | May::Confirm
            | May::Enter
            | May::Withdraw
            | May::Decide
            | May::Audit
            | May::Chart,
        )
        | (
            Role::Auditor,
            May::See
            | May::Associate
            | May::Confirm
            | May::Enter
            | May::Withdraw
            | May::Decide
            | May::Worklists
            | May::Chart,
        )
        | (
            Role::CoreSystem,
            May::See
            | May::Associate
            | May::Confirm
            | May::Enter
            | May::Withdraw
            | May::Decide
            | May::Worklists
            | May::Audit,
        ) => None,
    }
}

/// Whether an act goes on while the provider is out of reach.
pub const fn goes_on_offline(act: May) -> bool {
    match act {
        May::See | May::Associate | May::Confirm | May::Enter => true,
        May::Withdraw | May::Decide | May::Worklists | May::Audit | May::Chart => false,
    }
}

impl Person {
    /// Whether this person may do that now.
    ///
    /// # Errors
    /// [`Refused::Role`] or [`Refused::Offline`].
    pub fn may(&self, act: May) -> Result<Allowed, Refused> {
        let by_role = role_may(self.role, act).ok_or(Refused::Role(act))?;
        // A student under another role's name is still a student.
        let allowed = match role_may(Role::Student, act) {
            None if self.student => return Err(Refused::Role(act)),
            Some(allowed) if self.student => allowed,
            None | Some(_) => by_role,
        };
        match self.mode {
            SessionMode::Offline { .. } if !goes_on_offline(act) => Err(Refused::Offline(act)),
            SessionMode::Online | SessionMode::Offline { .. } => Ok(allowed),
        }
    }

    /// Whether this person may sign what a student with this id did: somebody else, who is none.
    pub fn may_countersign(&self, student: &str) -> bool {
        let signs = match self.role {
            Role::RegisteredNurse | Role::Midwife | Role::Doctor => true,
            Role::PracticalNurse
            | Role::Student
            | Role::BiomedicalEngineer
            | Role::Administrator
            | Role::Auditor
            | Role::CoreSystem => false,
        };
        signs && !self.student && self.id.reveal() != student
    }

    /// Why this person has to do with a patient: by ward, by encounter, else by the reason that
    /// the person states.
    ///
    /// # Errors
    /// [`Refused::CareRelationship`]: a reason of 3 to 200 characters is needed.
    pub fn care(&self, patient: Whereabouts<'_>, reason: Option<&str>) -> Result<Care, Refused> {
        let on_ours = |ward: &str| self.wards.iter().any(|own| own == ward);
        if patient.ward.is_some_and(on_ours) {
            return Ok(Care::Ward);
        }
        if patient.encounters.iter().any(|ward| on_ours(ward)) {
            return Ok(Care::Encounter);
        }
        let reason = reason.map(str::trim).unwrap_or_default();
        let good = REASON_CHARACTERS.contains(&reason.chars().count());
        if !good || reason.chars().any(char::is_control) {
            return Err(Refused::CareRelationship);
        }
        Ok(Care::Stated(reason.to_owned()))
    }
}
