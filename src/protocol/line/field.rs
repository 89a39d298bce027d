//! What stands in a line: the rows of a `[[protocol.line.message]]` table.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::Shape;
use crate::protocol::flag::FlagMode;
use crate::vocabulary::{AbsentReason, Evidence};

/// What a mark means, in small letters with hyphens: "out-of-limits".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct MarkWords(String);

impl MarkWords {
    /// The words as they stand in records.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MarkWords {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(plain) {
            return Ok(Self(text));
        }
        Err(format!("expected words such as \"out-of-limits\", got {text:?}"))
    }
}

impl From<MarkWords> for String {
    fn from(words: MarkWords) -> Self {
        words.0
    }
}

/// A column that holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnField {
    /// Counted from 1; this or `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u16>,
    /// The keys under which it stands, by model; this or `column`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Whether a line without the key is a whole line. Otherwise it is refused: something is lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
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
    /// A text that stands before the number, such as "PR=".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub behind: String,
    /// A text that may stand behind the number and is no part of it, such as "%".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit_mark: String,
    /// Characters that may stand behind the number, each with the mark that it puts on the value,
    /// such as "*" = "out-of-limits".
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub marks: BTreeMap<String, MarkWords>,
    /// A mark that every value of this column gets, such as "unit-not-proven".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<MarkWords>,
    /// The forms in which the number is written; any other is refused as unreadable. Left out: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forms: Vec<Shape>,
    /// Exact texts that stand for "no value", each with its reason. Anything else that is not a
    /// number is refused as unreadable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, AbsentReason>,
    /// Whether a person has set it on the device.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub setting: bool,
    /// Whether it is a text and not a number: a mode, a type.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
    /// Where this is written: source id and page.
    pub source: String,
    /// How far this row is proven; left out: as far as the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

impl ColumnField {
    /// The vocabulary's name, or the device's own.
    pub fn name(&self) -> &str {
        if self.parameter.is_empty() { &self.code } else { &self.parameter }
    }
}

/// A bit of a hexadecimal column, a status word, or a text in a column, that marks values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnFlag {
    /// Counted from 1; this, `keys` or `word`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u16>,
    /// The keys under which the column stands, by model; this, `column` or `word`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// The status word itself; this, `column` or `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word: Option<String>,
    /// Counted from 0 at the least significant bit; this or `says`. The hexadecimal number ends
    /// with the column or before a colon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 31))]
    pub bit: Option<u8>,
    /// How many hexadecimal digits the number can have, by model; another count refuses the values,
    /// because a digit is lost. Left out: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub digits: Vec<u8>,
    /// The word that stands in the column, alone or among others; this or `bit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
    /// What it means.
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
    /// Set where it says that the whole message is not for a patient's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FlagMode>,
}

/// A column whose text is kept, as sent, as a mark on the values of the line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnNote {
    /// Counted from 1; this or `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u16>,
    /// The keys under which it stands, by model; this or `column`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// What is written before the text in the mark, such as "alarm:".
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Texts that say nothing; an empty one never does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unless: Vec<String>,
    /// The parameters (or the device's own names) that it marks; left out: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
    /// Where this is written: source id and page.
    pub source: String,
}

/// A column that is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoredColumn {
    /// Counted from 1; this or `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u16>,
    /// The last one of several in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u16>,
    /// The keys that are left alone; this or `column`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Why nothing is read from it.
    pub why: String,
}

/// The column in which the device says something about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaidColumn {
    /// Counted from 1; this or `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u16>,
    /// The keys under which it stands, by model; this or `column`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// Where this is written: source id and page.
    pub source: String,
}
