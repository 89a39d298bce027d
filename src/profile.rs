//! The device file: what a biomedical engineer writes to teach the box a device.
//!
//! Text in, checked [`Profile`] out. No expressions, templates or scripts: if a device needs
//! arithmetic or state, that is a protocol family with tests. Errors name line and column and say
//! what would be accepted. Reads no file itself; whoever has the text calls [`Profile::read`].
//!
//! | file | what |
//! |---|---|
//! | `file` | the types of the file, which are also its JSON Schema |
//! | `verify` | what types cannot say: parameters known, bytes claimed once, sources named |
//! | `flatten` | the file for one firmware: variants replace whole fields |
//! | `devices` | per device and parameter: what is proven by what |
//! | `explain` | what each column, byte or code of the device means to us |
//! | `position` | from a path in a TOML text to line and column |

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::protocol::{
    self, Driver, Site, astm::AstmDriver, dri::DriDriver, frame::FrameDriver, hl7v2::Hl7v2Driver,
    intellivue::IntellivueDriver, line::LineDriver, medibus::MedibusDriver, unity::UnityDriver,
};
use crate::vocabulary::{Channel, Digest, Vocabulary};

mod claims;
pub mod devices;
pub mod explain;
mod file;
mod flatten;
pub mod position;
pub mod schema;
mod verify;

pub use file::{
    ChannelRow, Device, Direction, Firmware, Handshake, Learned, Link, OnUnlisted, Parity,
    ProfileFile, Protocol, Provenance, Serial, Source, Status, Transport, Variant,
};
pub use position::{Position, Problem};

/// Whether a profile that is still a draft may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drafts {
    /// On a ward: drafts are refused.
    Refused,
    /// On the bench.
    Accepted,
}

/// A checked device file.
#[derive(Clone, Debug)]
pub struct Profile {
    file: ProfileFile,
    table: toml::Table,
    digest: Digest,
}

impl Profile {
    /// Reads and checks a device file. All problems of one stage come together, each with its
    /// place.
    pub fn read(text: &str, vocabulary: &Vocabulary, drafts: Drafts) -> Result<Self, Vec<Problem>> {
        let file: ProfileFile =
            toml::from_str(text).map_err(|error| vec![Problem::of_toml(text, &error)])?;
        let table: toml::Table =
            toml::from_str(text).map_err(|error| vec![Problem::of_toml(text, &error)])?;
        let profile = Self { file, table, digest: Digest::of(text.as_bytes()) };
        let problems = verify::problems(&profile, text, vocabulary, drafts);
        if problems.is_empty() { Ok(profile) } else { Err(problems) }
    }

    /// The file as written.
    pub fn file(&self) -> &ProfileFile {
        &self.file
    }

    /// SHA-256 of the file's text: with revision, it names the profile for ever.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// `manufacturer/model` in lower case with `-` for anything odd, as in the folder's name.
    pub fn id(&self) -> String {
        let plain = |text: &str| -> String {
            let lower = text.to_lowercase();
            lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
        };
        format!("{}/{}", plain(&self.file.device.manufacturer), plain(&self.file.device.model))
    }

    /// The parts of the device that can have patients of their own; none for most.
    pub fn channels(&self) -> Vec<Channel> {
        let rows = self.file.channel.iter();
        // A file with another name does not load.
        rows.filter_map(|row| Channel::parse(&row.name).ok()).collect()
    }

    /// The parameters that the file names, in order. A device that names itself in MDC may send
    /// others, too.
    pub fn parameters(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.table.values().for_each(|value| parameters_in(value, &mut found));
        found
    }

    /// Whether the profile was tested with this firmware, to the letter.
    pub fn is_tested_with(&self, firmware: &str) -> bool {
        self.file.firmware.tested.iter().any(|tested| tested == firmware)
    }

    /// The protocol part for one firmware, variants applied. For an unlisted firmware the base.
    pub fn protocol_for(&self, firmware: &str) -> Protocol {
        flatten::protocol(&self.table, &self.file, firmware)
    }

    /// The whole file for one firmware, as TOML.
    pub fn flattened_text(&self, firmware: &str) -> String {
        flatten::text(&self.table, &self.file, firmware)
    }

    /// A driver for one link.
    pub fn driver(&self, firmware: &str, site: Site) -> Box<dyn Driver> {
        match self.protocol_for(firmware) {
            Protocol::Line(line) => Box::new(LineDriver::new(Arc::new(line))),
            Protocol::Frame(frame) => Box::new(FrameDriver::new(Arc::new(frame))),
            Protocol::Astm(astm) => Box::new(AstmDriver::new(Arc::new(*astm), site)),
            Protocol::Hl7v2(hl7v2) => Box::new(Hl7v2Driver::new(Arc::new(hl7v2), site)),
            Protocol::Intellivue(intellivue) => {
                Box::new(IntellivueDriver::new(Arc::new(intellivue), site))
            }
            Protocol::Dri(dri) => Box::new(DriDriver::new(Arc::new(dri), site)),
            Protocol::Medibus(medibus) => Box::new(MedibusDriver::new(Arc::new(medibus), site)),
            Protocol::Unity(unity) => Box::new(UnityDriver::new(Arc::new(unity))),
        }
    }
}

fn parameters_in(value: &toml::Value, found: &mut BTreeSet<String>) {
    match value {
        toml::Value::Table(table) => {
            found.extend(table.get("parameter").and_then(toml::Value::as_str).map(str::to_owned));
            table.values().for_each(|value| parameters_in(value, found));
        }
        toml::Value::Array(values) => values.iter().for_each(|one| parameters_in(one, found)),
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => {}
    }
}

/// The largest line or frame that a profile may allow.
const FRAME_BYTES_MAX: usize = protocol::MESSAGE_BYTES_MAX;

#[cfg(test)]
mod tests;
