//! The HL7 v2 binding: messages over MLLP by a destination map, answers by MSA-2 alone.
//!
//! | part | does |
//! |---|---|
//! | [`map`] | the destination map: a checked text file |
//! | [`place`] | whether a parameter has a place, and by which codes |
//! | [`statement`] | what a stored record says |
//! | [`mod@render`] | a record as a message. Pure |
//! | [`answer`] | what an acknowledgement says. Pure |
//! | `session` | one connection |
//!
//! It must not believe an answer about anything but the message whose id it carries, and it must
//! not tell a receiver anything that the record does not say.

pub mod answer;
mod configuration;
pub mod map;
pub mod place;
pub mod render;
mod session;
pub mod statement;

pub use configuration::{Error, Hl7v2Config, check};
pub use session::{Hl7v2, Outgoing};
