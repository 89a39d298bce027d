//! Who a person at the bedside is, and what they may do.
//!
//! The hospital's provider (OpenID Connect) vouches for people with tokens; the box checks them
//! itself, against pinned issuer, audience, algorithms and applications. A believed token opens a
//! shift session, which is bound to the key of one phone and goes on when the provider is out of
//! reach. Nothing here knows a password, and nothing personal goes to a log.
//!
//! | file | does |
//! |---|---|
//! | [`token`] | reads a token strictly; believes nothing. Pure |
//! | [`keys`] | public keys and signatures. Pure |
//! | [`claims`] | the list of checks. Pure |
//! | [`settings`] | what the site pins, and which claims make whom. Pure |
//! | [`proof`] | the phone's proof of its key, and that it is used once. Pure |
//! | [`sessions`] | shift sessions. Pure |
//! | [`cache`] | how long which keys are believed. Pure |
//! | [`limits`] | how much one may ask. Pure |
//! | [`rights`] | roles, acts, care relationship. Pure |
//! | [`provider`] | reads discovery and keys over HTTPS |
//! | [`kept`] | the files |
//! | [`gatekeeper`] | all of it together |
//! | [`development`] | an issuer for demo and tests |

pub mod audit;
pub mod cache;
pub mod claims;
pub mod development;
pub mod gatekeeper;
pub mod kept;
pub mod keys;
pub mod limits;
pub mod proof;
pub mod provider;
pub mod refused;
pub mod rights;
pub mod sessions;
pub mod settings;
pub mod token;

pub use gatekeeper::{Gatekeeper, Headers, OpenError, Opened, Revoke, Setup, Verified};
pub use refused::Refused;
pub use rights::{Allowed, Care, Whereabouts};
pub use settings::Settings;
pub use token::Token;

pub use crate::association::PersonId;
pub use crate::vocabulary::role::{May, Role};

/// Somebody who was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: PersonId,
    /// To show; the id where the provider gives no name.
    pub name: String,
    pub role: Role,
    /// By the provider's claim.
    pub wards: Vec<String>,
    /// What a student does needs a countersigner.
    pub student: bool,
    pub mode: SessionMode,
    /// The session's id for audit rows, which opens nothing; of a core system its application.
    pub session: String,
}

/// Whether the provider vouches for the person at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionMode {
    Online,
    /// The provider is out of reach, or has not been asked since; what is done is marked with this
    /// and verified afterwards.
    Offline {
        /// Seconds since the provider vouched for the person last.
        identity_age_s: u64,
    },
}

#[cfg(test)]
pub(crate) mod tests;
