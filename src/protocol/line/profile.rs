//! The `[protocol.line]` table of a device file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::checksum::ChecksumKind;
use crate::protocol::flag::FlagMode;
use crate::vocabulary::AbsentReason;

/// Lines of ASCII text with separated columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineProfile {
    /// The characters that end a line, such as "\r\n".
    pub line_end: String,
    /// The longest line, its end included. A longer one is refused.
    pub max_line_bytes: u32,
    /// How long a line may stay unfinished before it is refused.
    #[serde(default = "line_unfinished_ms")]
    pub line_unfinished_ms: u64,
    /// The checksum of a line, where the device sends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<LineChecksum>,
    /// The kinds of line, told apart by how they start.
    pub message: Vec<LineMessage>,
}

/// At 1200 baud a line of 80 characters takes 0.7 s; two seconds is clearly a stop.
fn line_unfinished_ms() -> u64 {
    2000
}

/// A checksum written as hexadecimal digits behind a mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineChecksum {
    /// How it is computed.
    pub kind: ChecksumKind,
    /// The text right before the first byte that counts; empty: from the first byte of the line.
    pub after: String,
    /// The text right behind the last byte that counts; the digits stand behind it.
    pub before: String,
}

/// One kind of line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineMessage {
    /// A name for people, unique in the file.
    pub name: String,
    /// How the line starts.
    pub starts_with: String,
    /// What stands between columns.
    pub separator: String,
    /// How many columns the line has, exactly; the first one is column 1.
    pub columns: u16,
    /// Columns that hold a value.
    #[serde(default)]
    pub field: Vec<ColumnField>,
    /// Bits of a hexadecimal column that mark values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flag: Vec<ColumnFlag>,
    /// Columns that are left alone, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredColumn>,
    /// The column in which the device says its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<FirmwareColumn>,
}

/// A column that holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnField {
    /// Counted from 1.
    pub column: u16,
    /// The parameter's name in the vocabulary.
    pub parameter: String,
    /// The device's unit; empty where the value has none.
    pub unit: String,
    /// Exact texts that stand for "no value", each with its reason. Anything else that is not a
    /// number is refused as unreadable.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, AbsentReason>,
    /// Where this is written: source id and page.
    pub source: String,
}

/// One bit of a hexadecimal column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnFlag {
    /// Counted from 1.
    pub column: u16,
    /// Counted from 0 at the least significant bit.
    #[schemars(range(max = 31))]
    pub bit: u8,
    /// What a set bit means.
    pub means: String,
    /// The parameters that it marks; none where it only says the mode.
    #[serde(default)]
    pub affects: Vec<String>,
    /// Set where a marked value is no value at all, with the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<AbsentReason>,
    /// Set where the bit says that the whole message is not for a patient's record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<FlagMode>,
}

/// A column that is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoredColumn {
    /// Counted from 1.
    pub column: u16,
    /// Why nothing is read from it.
    pub why: String,
}

/// The column in which the device says its firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirmwareColumn {
    /// Counted from 1.
    pub column: u16,
    /// Where this is written: source id and page.
    pub source: String,
}
