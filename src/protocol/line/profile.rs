//! The `[protocol.line]` table of a device file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field::{ColumnField, ColumnFlag, ColumnNote, IgnoredColumn, SaidColumn};
use crate::protocol::checksum::ChecksumKind;
use crate::protocol::frame::Hex;
use crate::protocol::{Ask, Shape, Stated};

/// Lines of ASCII text with separated columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineProfile {
    /// The characters that end a line, such as "\r\n".
    pub line_end: String,
    /// Whether each of these characters alone ends a line as well, for a device of which no source
    /// says how its lines end. Empty lines say nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any_line_end: bool,
    /// The longest line, its end included. A longer one is refused.
    pub max_line_bytes: u32,
    /// How long a line (or a record) may stay unfinished before it is refused.
    #[serde(default = "line_unfinished_ms")]
    pub line_unfinished_ms: u64,
    /// The checksum of a line, where the device sends one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<LineChecksum>,
    /// Where lines stand inside a record: then the whole record is one message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    /// The kinds of line, told apart by how they start.
    pub message: Vec<LineMessage>,
    /// What the box may send of itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<Ask>,
    /// The least time between two requests; stated where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_apart_ms: Option<u64>,
}

/// At 1200 baud a line of 80 characters takes 0.7 s; two seconds is clearly a stop.
fn line_unfinished_ms() -> u64 {
    2000
}

impl LineProfile {
    /// What the file says a device can report, in the vocabulary's words.
    pub fn stated(&self) -> Vec<Stated> {
        let of_message = |message: &LineMessage| -> Vec<Stated> {
            let fields = message.field.iter().filter(|field| !field.parameter.is_empty());
            let place = |field: &ColumnField| match field.column {
                Some(column) => format!("{} column {column}", message.name),
                None => format!("{} key {}", message.name, field.keys.join(" or ")),
            };
            let stated = |field: &ColumnField| Stated {
                parameter: field.parameter.clone(),
                place: place(field),
                unit: field.unit.clone(),
                source: field.source.clone(),
                evidence: field.evidence,
            };
            fields.map(stated).collect()
        };
        self.message.iter().flat_map(of_message).collect()
    }
}

/// Lines between a start and an end mark, behind bytes that are no text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The bytes that start every record.
    pub start: Hex,
    /// How many bytes behind them are no text.
    pub skip_bytes: u16,
    /// Why nothing is read from those.
    pub skip_why: String,
    /// The one byte that ends a record; it stands in no line.
    pub end: Hex,
    /// The longest record, marks included. A longer one is refused.
    pub max_bytes: u32,
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
    /// How the line starts; this or `starts_like`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub starts_with: String,
    /// The form in which the line starts, such as "99:99:99 "; this or `starts_with`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts_like: Option<Shape>,
    /// What stands between columns.
    pub separator: String,
    /// Whether several separators in a row, and those at either end, count as one: columns set with
    /// blanks.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub runs: bool,
    /// How many columns the line has, exactly; the first one is column 1. Columns with a key and
    /// status words are not counted.
    pub columns: u16,
    /// Behind the columns stand `key=value` pairs in any order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Keys>,
    /// Behind the columns stand status words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<Words>,
    /// A mark opens and a mark closes the columns; the line says how much stands in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enclosed: Option<Enclosed>,
    /// Why lines of this kind hold no value at all: a header, a title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_values: Option<String>,
    /// Columns that hold a value.
    #[serde(default)]
    pub field: Vec<ColumnField>,
    /// Bits, words and texts that mark values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flag: Vec<ColumnFlag>,
    /// Columns whose text is kept as a mark on every value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub note: Vec<ColumnNote>,
    /// Columns that are left alone, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredColumn>,
    /// The column in which the device says its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<SaidColumn>,
    /// The column in which the device says its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<SaidColumn>,
}

impl LineMessage {
    /// Whether a line is of this kind.
    pub(super) fn begins(&self, text: &str) -> bool {
        if self.runs {
            let parts: Vec<&str> =
                text.split(&self.separator).filter(|part| !part.is_empty()).collect();
            self.starts(&parts.join(&self.separator))
        } else {
            self.starts(text)
        }
    }

    fn starts(&self, text: &str) -> bool {
        match &self.starts_like {
            Some(shape) => shape.begins(text),
            None => text.starts_with(&self.starts_with),
        }
    }

    /// How its lines start, for people.
    pub fn start(&self) -> &str {
        self.starts_like.as_ref().map_or(&self.starts_with, Shape::as_str)
    }
}

/// `key=value` pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// What stands between key and value, such as "=".
    pub mark: String,
    /// Whether SPO2 and SpO2 are the same key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ignore_case: bool,
}

/// Status words behind the columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Words {
    /// At most so many.
    pub at_most: u8,
    /// The form of every word, such as "AA"; another one refuses the line. A word of this form that
    /// no flag lists is kept as a mark on every value. Left out: only listed words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub like: Option<Shape>,
}

/// Columns between two marks. Each mark counts as a column of its own; the opening one stands right
/// behind the counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Enclosed {
    /// The mark that opens, such as "\u0002".
    pub open: String,
    /// The mark that closes, such as "\u0003".
    pub close: String,
    /// The column in which the line says how many bytes stand behind the opening mark: up to the
    /// closing one, or with it (sources differ by that one byte; either is taken).
    pub bytes_column: u16,
    /// The column in which the line says how many columns stand between the marks.
    pub columns_column: u16,
    /// Whether there may be more columns before the closing mark than `columns` says; nothing is
    /// read from them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Enclosed {
    /// The number of the opening mark.
    pub(crate) fn open_column(&self) -> usize {
        usize::from(self.bytes_column.max(self.columns_column)) + 1
    }
}
