//! What stands inside a frame: the rows of a `[[protocol.frame.message]]` table.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::profile::Hex;
use crate::protocol::flag::FlagMode;
use crate::vocabulary::{AbsentReason, Evidence};

/// A number that holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameField {
    /// Position in the payload, counted from 0.
    pub at: u16,
    /// How the number is stored.
    pub raw: RawForm,
    /// The bits of it that count, such as 0x03; left out: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<u32>,
    /// Where its low bits stand, if they stand apart; `at` then gives the high ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<LowBits>,
    /// What one raw step is worth in the device's unit, as a decimal text: "0.1".
    pub lsb: String,
    /// The parameter's name in the vocabulary; this or `code`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub parameter: String,
    /// The device's own name for what the vocabulary does not know; this or `parameter`. The value
    /// is kept and counted as unmapped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The device's unit; empty where the value has none.
    pub unit: String,
    /// Which of several channels of the device it is, such as "P1"; empty where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// The row counts only if a byte of the frame says so: for a unit that a byte selects. Rows
    /// that share a place differ here; a frame in which none of them fits is refused whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Raw forms such as "0x7FFF" that stand for "no value", each with its reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, AbsentReason>,
    /// Raw numbers from here down stand for "no value".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent_to: Option<AbsentTo>,
    /// The smallest and the largest raw number that can be. Another one says that the frame is not
    /// what it seems: it is refused whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possible: Option<Possible>,
    /// A mark that every value of this row gets, such as "scale-not-proven".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// Whether a person has set it on the device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub setting: bool,
    /// Where this is written: source id and page.
    pub source: String,
    /// How far this row is proven; left out: as far as the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

impl FrameField {
    /// The vocabulary's name, or the device's own.
    pub fn name(&self) -> &str {
        if self.parameter.is_empty() { &self.code } else { &self.parameter }
    }

    /// The bytes of the payload that it takes.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let from = usize::from(self.at);
        let low = self.low.as_ref().map(|low| usize::from(low.at));
        (from..from + self.raw.bytes()).chain(low)
    }
}

/// The low bits of a number in two places.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LowBits {
    /// Position of the byte in the payload, counted from 0.
    pub at: u16,
    /// How many of its low bits count.
    #[schemars(range(min = 1, max = 8))]
    pub bits: u8,
}

/// A byte that selects a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Position of the byte in the payload, counted from 0.
    pub at: u16,
    /// What it is, such as "01".
    pub is: Hex,
}

/// A limit below which there is no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbsentTo {
    /// The largest raw number that is no value.
    pub raw: i64,
    /// Why there is none.
    pub reason: AbsentReason,
}

/// Which raw numbers can be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Possible {
    /// The smallest one.
    pub from: i64,
    /// The largest one.
    pub to: i64,
}

/// How a number is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RawForm {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
}

impl RawForm {
    /// How many bytes it takes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 => 4,
        }
    }
}

/// One bit that marks values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameFlag {
    /// Position of the byte in the payload, counted from 0.
    pub at: u16,
    /// Counted from 0 at the least significant bit.
    #[schemars(range(max = 7))]
    pub bit: u8,
    /// The bit stands in several bytes, of which one is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
    /// What a set bit means.
    pub means: String,
    /// The parameters (or the device's own names) that it marks; none where it only says the mode,
    /// or says something that marks no value.
    #[serde(default)]
    pub affects: Vec<String>,
    /// Why it marks no value and says no mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_matter: Option<String>,
    /// Set where a marked value is no value at all, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<AbsentReason>,
    /// Set where the bit says that the whole message is not for a patient's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FlagMode>,
}

impl FrameFlag {
    /// The bytes of the payload in which it stands.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let (step, times) = match &self.repeated {
            Some(repeated) => (usize::from(repeated.every), usize::from(repeated.times)),
            None => (1, 1),
        };
        let from = usize::from(self.at);
        (0..times).map(move |index| from + index * step)
    }
}

/// A bit that stands in several bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// How many bytes apart.
    pub every: u8,
    /// How often.
    pub times: u8,
}

/// Bytes that are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoredBytes {
    /// Position in the payload, counted from 0.
    pub at: u16,
    /// How many bytes.
    pub bytes: u16,
    /// They stand several times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeated: Option<Repeated>,
    /// Why nothing is read from them.
    pub why: String,
}

impl IgnoredBytes {
    /// The bytes of the payload that it takes.
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let (step, times) = match &self.repeated {
            Some(repeated) => (usize::from(repeated.every), usize::from(repeated.times)),
            None => (0, 1),
        };
        let (from, bytes) = (usize::from(self.at), usize::from(self.bytes));
        (0..times).flat_map(move |index| (0..bytes).map(move |byte| from + index * step + byte))
    }
}

/// Bytes that may follow behind the ones that are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MoreBytes {
    /// At most so many.
    pub max: u16,
    /// Why nothing is read from them, or that a text reaches into them.
    pub why: String,
}

/// Bytes in which the device says something about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextBytes {
    /// Position in the payload, counted from 0.
    pub at: u16,
    /// How many bytes; blanks and zeros at the end are cut.
    pub bytes: u16,
    /// How they are read.
    #[serde(default, skip_serializing_if = "TextForm::is_ascii")]
    pub form: TextForm,
    /// Where this is written: source id and page.
    pub source: String,
}

/// How bytes are read as a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TextForm {
    /// Characters.
    #[default]
    Ascii,
    /// One byte, written as a decimal number.
    Number,
}

impl TextForm {
    fn is_ascii(&self) -> bool {
        matches!(self, Self::Ascii)
    }
}
