//! The destination map: how one receiver of HL7 v2 wants its messages, as a text file.
//!
//! Text in, checked [`Map`] out; errors name line and column and say what would be accepted. It
//! reads no file itself. A map gives places and a receiver's own codes for what the vocabulary
//! knows; what has no place in it is set aside or named in a note, never sent in a made-up place.
//!
//! | file | what |
//! |---|---|
//! | `file` | the types of the file |
//! | `verify` | what types cannot say |
//! | [`coverage`] | which parameters of a device file have a place |
//! | [`convert`] | a value in the receiver's unit |

use std::sync::Arc;

use crate::forward::stored::EventKind;
use crate::profile::position::Problem;
use crate::protocol::hl7v2::charset::Charset;
use crate::vocabulary::Vocabulary;

pub mod convert;
pub mod coverage;
mod file;
mod verify;

pub use file::{
    Asked, Code, First, Form, Identifier, KindTable, MapFile, Name, ParameterTable, Parameters,
    Party, SubId, Unplaced, Version, When, WithoutPatient,
};

/// A checked destination map.
#[derive(Clone, Debug)]
pub struct Map {
    file: MapFile,
    charset: Charset,
    vocabulary: Arc<Vocabulary>,
}

/// The vocabulary's category of what analysers measure.
const LABORATORY: &str = "blood-gas-poct";

impl Map {
    /// Reads and checks a map.
    ///
    /// # Errors
    /// Everything that is wrong, each with its place.
    pub fn read(text: &str, vocabulary: &Arc<Vocabulary>) -> Result<Self, Vec<Problem>> {
        let file: MapFile =
            toml::from_str(text).map_err(|error| vec![Problem::of_toml(text, &error)])?;
        let charset = Charset::named(&file.charset);
        let problems = verify::problems(&file, charset, text, vocabulary);
        match charset {
            Some(charset) if problems.is_empty() => {
                Ok(Self { file, charset, vocabulary: Arc::clone(vocabulary) })
            }
            Some(_) | None => Err(problems),
        }
    }

    /// The file as written.
    pub fn file(&self) -> &MapFile {
        &self.file
    }

    /// The character set of the messages.
    pub fn charset(&self) -> Charset {
        self.charset
    }

    /// What the vocabulary says of codes and units.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// What this map says of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&ParameterTable> {
        self.file.parameter.get(name)
    }

    /// Whether a parameter is a laboratory's.
    pub fn is_of_laboratory(&self, parameter: &str) -> bool {
        self.vocabulary.parameter(parameter).is_some_and(|known| known.category == LABORATORY)
    }

    /// How a record of this kind goes out. `laboratory`: it is a result of an analyser.
    pub fn way(&self, kind: EventKind, laboratory: bool) -> Way<'_> {
        let table = match kind {
            EventKind::Observation
            | EventKind::Correction
            | EventKind::Void
            | EventKind::Confirmation
            | EventKind::Entry => match laboratory {
                true => &self.file.laboratory,
                false => &self.file.observation,
            },
            EventKind::PumpEvent => &self.file.pump_event,
            EventKind::Alarm => &self.file.alarm,
            EventKind::DeviceState
            | EventKind::Association
            | EventKind::Gap
            | EventKind::Waveform
            | EventKind::Manifest => &None,
        };
        match table {
            _ if self.file.without.contains(&kind) => Way::Without,
            Some(table) => Way::Message(table),
            None => Way::NoPlace,
        }
    }

    /// A unit's number and preferred UCUM code.
    pub fn unit_codes(&self, mdc: &str) -> Option<(u32, Option<&str>)> {
        let unit = self.vocabulary.unit(mdc)?;
        Some((unit.mdc_code, unit.ucum.first().map(String::as_str)))
    }
}

/// What becomes of a record.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    Message(&'a KindTable),
    /// The destination does without such records, as the map says.
    Without,
    /// The map does not speak of them.
    NoPlace,
}

#[cfg(test)]
pub(super) mod tests;
