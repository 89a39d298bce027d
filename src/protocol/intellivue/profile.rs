//! The `[protocol.intellivue]` table of a device file.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::Stated;
use crate::vocabulary::Evidence;

/// Philips IntelliVue Data Export. What is asked for and how often is the family's; a device file
/// says over what it is spoken, which codes need a table, and which waves are exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntellivueProfile {
    /// How a message is put on the link.
    pub framing: Framing,
    /// The largest message that is asked for, in bytes.
    pub message_bytes_max: u32,
    /// Whether the alarm lists are read, as events for the record.
    #[serde(default = "yes")]
    pub alarms: bool,
    /// Whether patient demographics are read, as a hint.
    #[serde(default = "yes")]
    pub demographics: bool,
    /// Labels of the waves that the monitor is to export, such as "0002-0102". This is the one
    /// thing that is set on the monitor; without it nothing is set and no wave comes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<MdilCode>,
    /// Codes of values that are measured now and then, and that the monitor shows again and again:
    /// "0002-4a05". Each is read once per measurement.
    pub episodic: Vec<MdilCode>,
    /// Codes that do not map by their number, one row each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub numeric: Vec<NumericRow>,
    /// Codes that map by their number, for the list of what is proven by what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_number: Vec<NumericRow>,
}

fn yes() -> bool {
    true
}

/// How a message is put on the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// A message is a datagram.
    Lan,
    /// Frames with FCS on a serial line.
    Rs232,
}

/// One code of the monitor's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NumericRow {
    /// Partition and code in hexadecimal: "0002-4822".
    pub code: MdilCode,
    /// The parameter's name in the vocabulary.
    pub parameter: String,
    /// Units that may stand on the wire, by UCUM or MDC name; left out: what the parameter accepts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<String>,
    /// Where this is written: source id and page.
    pub source: String,
    /// How far this is proven, where it differs from the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

/// Partition and code in hexadecimal, as Philips writes them: "0002-4bb8".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MdilCode {
    partition: u16,
    code: u16,
}

/// A text that is no partition and code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected partition and code in small hexadecimal such as \"0002-4bb8\", got {0:?}")]
pub struct BadCode(String);

impl MdilCode {
    /// Partition and code as one number, as labels have it.
    pub const fn number(self) -> u32 {
        (self.partition as u32) << 16 | self.code as u32
    }

    /// The code alone.
    pub const fn code(self) -> u16 {
        self.code
    }
}

impl TryFrom<String> for MdilCode {
    type Error = BadCode;

    fn try_from(text: String) -> Result<Self, BadCode> {
        let part = |part: &str| {
            let good = part.len() == 4
                && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            good.then(|| u16::from_str_radix(part, 16).ok()).flatten()
        };
        let parts = text.split_once('-');
        let found = parts.and_then(|(partition, code)| Some((part(partition)?, part(code)?)));
        found.map(|(partition, code)| Self { partition, code }).ok_or(BadCode(text))
    }
}

impl From<MdilCode> for String {
    fn from(code: MdilCode) -> Self {
        super::numerics::code(code.partition, code.code)
    }
}

impl JsonSchema for MdilCode {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MdilCode".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Partition and code in hexadecimal, such as \"0002-4bb8\".",
            "pattern": "^[0-9a-f]{4}-[0-9a-f]{4}$"
        })
    }
}

/// The most that max_mtu fields may hold: 1364 on the LAN (facts/monitors.md 1.1).
const MESSAGE_BYTES_MAX: u32 = 1364;
/// The least that the protocol's own control messages need.
const MESSAGE_BYTES_MIN: u32 = 300;
/// A monitor shows fewer, and the list must fit into one message.
const WAVES_MAX: usize = 16;

/// What is wrong with the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    #[error("expected message_bytes_max from {MESSAGE_BYTES_MIN} to {MESSAGE_BYTES_MAX}")]
    MessageBytes,
    #[error("expected at most {WAVES_MAX} waves")]
    Waves,
    #[error("the code {0} stands in several rows")]
    CodeTwice(String),
}

impl IntellivueProfile {
    /// What the types cannot say.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ProfileError> {
        if !(MESSAGE_BYTES_MIN..=MESSAGE_BYTES_MAX).contains(&self.message_bytes_max) {
            return Err(ProfileError::MessageBytes);
        }
        if self.waves.len() > WAVES_MAX {
            return Err(ProfileError::Waves);
        }
        let mut seen = BTreeSet::new();
        for row in self.numeric.iter().chain(&self.by_number) {
            if !seen.insert(row.code) {
                return Err(ProfileError::CodeTwice(row.code.into()));
            }
        }
        Ok(())
    }

    /// What the file says a monitor can report.
    pub fn stated(&self) -> Vec<Stated> {
        let rows = self.numeric.iter().chain(&self.by_number);
        rows.map(|row| Stated {
            parameter: row.parameter.clone(),
            place: format!("physio {}", String::from(row.code)),
            unit: row.units.join(", "),
            source: row.source.clone(),
            evidence: row.evidence,
        })
        .collect()
    }
}
