//! Bytes to text, without silent loss: what is not in the character set is refused, never replaced.
//!
//! Only character sets in which every ASCII byte means itself are taken (single-byte sets and
//! UTF-8): in Shift-JIS or GBK the second byte of a letter can be `|` or `^`, and records are split
//! on bytes. The standard's set is ISO 8859-1 (facts/lab.md 2.1); a device that writes UTF-8 all
//! the same is read without an error, so what looks like UTF-8 is doubted.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::protocol::utf8::holds_utf8;

/// How the device writes letters beyond ASCII.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub enum Charset {
    /// True ISO 8859-1, where 0x80 to 0x9F are control characters (encoding_rs reads the label
    /// `iso-8859-1` as windows-1252, as browsers do).
    Latin1,
    /// Nobody could say which set it is: anything beyond ASCII is refused.
    AsciiOnly,
    /// A set that encoding_rs knows.
    Known(&'static Encoding),
}

/// Why a label names no character set that we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CharsetError {
    /// Not a known label.
    #[error("expected a character set such as iso-8859-1, windows-1252 or utf-8, got {0:?}")]
    Unknown(String),
    /// A set in which a byte below 0x80 can be part of a letter.
    #[error("expected a single-byte character set or utf-8, got {0:?}")]
    NotAsciiBased(String),
}

impl Charset {
    /// An encoding label (`utf-8`, `windows-1252`) or a name of HL7 table 0211 (`8859/1`,
    /// `UNICODE UTF-8`).
    pub fn parse(label: &str) -> Result<Self, CharsetError> {
        let lower = label.trim().to_ascii_lowercase();
        let plain = match lower.strip_prefix("8859/") {
            Some(part) => format!("iso-8859-{part}"),
            None => lower.strip_prefix("unicode ").unwrap_or(&lower).to_owned(),
        };
        match plain.as_str() {
            "iso-8859-1" | "8859-1" | "iso8859-1" | "latin1" | "iso_8859-1" | "l1" => {
                return Ok(Self::Latin1);
            }
            "ascii" | "us-ascii" => return Ok(Self::AsciiOnly),
            _ => {}
        }
        let encoding = Encoding::for_label(plain.as_bytes())
            .ok_or_else(|| CharsetError::Unknown(label.to_owned()))?;
        if encoding == UTF_8 || encoding.is_single_byte() {
            Ok(Self::Known(encoding))
        } else {
            Err(CharsetError::NotAsciiBased(label.to_owned()))
        }
    }

    /// Whether the bytes look like UTF-8 and are read in a set in which every byte is a character.
    pub(super) fn is_doubtful(&self, bytes: &[u8]) -> bool {
        let takes_any_byte = match self {
            Self::Latin1 => true,
            Self::AsciiOnly => false,
            Self::Known(encoding) => *encoding != UTF_8,
        };
        takes_any_byte && holds_utf8(bytes)
    }

    /// The text, or `None` if some byte is not in the set.
    pub(super) fn decode<'b>(&self, bytes: &'b [u8]) -> Option<Cow<'b, str>> {
        match self {
            Self::Latin1 => {
                if bytes.is_ascii() {
                    return std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
                }
                Some(Cow::Owned(bytes.iter().copied().map(char::from).collect()))
            }
            Self::AsciiOnly => {
                if !bytes.is_ascii() {
                    return None;
                }
                std::str::from_utf8(bytes).ok().map(Cow::Borrowed)
            }
            Self::Known(encoding) => {
                encoding.decode_without_bom_handling_and_without_replacement(bytes)
            }
        }
    }
}

impl TryFrom<String> for Charset {
    type Error = CharsetError;

    fn try_from(label: String) -> Result<Self, CharsetError> {
        Self::parse(&label)
    }
}

impl JsonSchema for Charset {
    fn schema_name() -> Cow<'static, str> {
        "Charset".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A single-byte character set or utf-8: iso-8859-1, windows-1252, utf-8.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_reads_its_own_bytes() {
        let text = |label: &str, bytes: &[u8]| {
            Charset::parse(label).unwrap().decode(bytes).map(Cow::into_owned)
        };
        assert_eq!(text("8859/1", b"\xb5g\x80").as_deref(), Some("\u{b5}g\u{80}"));
        assert_eq!(text("windows-1252", b"\x80").as_deref(), Some("\u{20ac}"));
        assert_eq!(text("UNICODE UTF-8", b"\xc2\xb5g").as_deref(), Some("\u{b5}g"));
        assert_eq!(text("utf-8", b"\xb5g"), None);
        assert_eq!(text("us-ascii", b"\xb5g"), None);
    }

    #[test]
    fn sets_that_hide_delimiters_in_letters_are_refused() {
        assert!(matches!(Charset::parse("shift_jis"), Err(CharsetError::NotAsciiBased(_))));
        assert!(matches!(Charset::parse("klingon"), Err(CharsetError::Unknown(_))));
    }
}
