//! What is told of sign-in: rows for the audit record, and counts that name nobody.

use std::collections::BTreeMap;

use super::refused::Refused;
use crate::association::PersonId;
use crate::vocabulary::role::Role;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Happened {
    SessionOpened,
    /// The provider vouched for the session again; what was done meanwhile is verified.
    SessionVerified,
    SessionSignedOut,
    SessionRevoked,
    /// The person opened more sessions than one may have.
    SessionReplaced,
    /// Somebody was not let in, or may not do that.
    Refused,
    KeyRemoved,
}

impl Happened {
    /// The word in the audit record.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SessionOpened => "session-opened",
            Self::SessionVerified => "session-verified",
            Self::SessionSignedOut => "session-signed-out",
            Self::SessionRevoked => "session-revoked",
            Self::SessionReplaced => "session-replaced",
            Self::Refused => "refused",
            Self::KeyRemoved => "key-removed",
        }
    }
}

/// A row for the audit record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub happened: Happened,
    /// By the box's clock, in microseconds since 1970.
    pub utc_us: i64,
    /// Who it was, as far as that is proven.
    pub person: Option<PersonId>,
    pub role: Option<Role>,
    /// The session's id, which opens nothing.
    pub session: Option<String>,
    /// Why it was refused.
    pub why: Option<Refused>,
    /// With [`Happened::SessionVerified`]: since when the session was not vouched for, in seconds
    /// since 1970.
    pub unverified_since_s: Option<i64>,
}

impl Notice {
    /// Something of nobody in particular.
    pub fn of(happened: Happened, utc_us: i64) -> Self {
        Self {
            happened,
            utc_us,
            person: None,
            role: None,
            session: None,
            why: None,
            unverified_since_s: None,
        }
    }
}

/// How often each refusal was given, and how many rows of the audit record could not be handed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub refused: BTreeMap<&'static str, u64>,
    /// Refusals that were counted and became no row, because there were too many.
    pub refused_untold: u64,
    pub notices_lost: u64,
    /// How often the provider was asked for its keys, and how often in vain.
    pub key_readings: u64,
    pub key_readings_failed: u64,
}
