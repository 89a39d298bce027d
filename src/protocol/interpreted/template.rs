//! Bytes that the box may send: written out in the device file, with computed parts at most.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// As written.
    Byte(u8),
    /// The number of the message that is answered, as it came.
    Sequence,
    /// The checksum that the profile describes, over what stands before it.
    Checksum,
}

/// Bytes in hexadecimal with `(sequence)` and `(checksum)` where these are computed, such as
/// `BA AB (sequence) 00 00 02 00 (checksum)`.
///
/// ```
/// use wardgate::protocol::Template;
/// let template: Template = "BA AB (sequence) 02".parse().unwrap();
/// assert_eq!(template.build(&[7, 0], |_| Vec::new()), [0xba, 0xab, 7, 0, 2]);
/// assert!("BA (time)".parse::<Template>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// The bytes of a text.
    pub fn of_text(text: &str) -> Self {
        Self(text.bytes().map(Part::Byte).collect())
    }

    /// Whether a part of it is computed so.
    pub fn has(&self, part: Part) -> bool {
        self.0.contains(&part)
    }

    /// Whether its checksum, if there is one, is the last thing in it.
    pub fn ends_with_checksum(&self) -> bool {
        self.0.last() == Some(&Part::Checksum)
    }

    /// The bytes; `checksum` gets what stands before it.
    pub fn build(&self, sequence: &[u8], checksum: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in &self.0 {
            match part {
                Part::Byte(byte) => bytes.push(*byte),
                Part::Sequence => bytes.extend_from_slice(sequence),
                Part::Checksum => bytes.extend(checksum(&bytes)),
            }
        }
        bytes
    }
}

impl std::str::FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let part = |word: &str| match word {
            "(sequence)" => Some(Part::Sequence),
            "(checksum)" => Some(Part::Checksum),
            pair if pair.len() == 2 => u8::from_str_radix(pair, 16).ok().map(Part::Byte),
            _ => None,
        };
        let parts: Option<Vec<Part>> = text.split_whitespace().map(part).collect();
        match parts {
            Some(parts) if !parts.is_empty() => Ok(Self(parts)),
            Some(_) | None => Err(format!(
                "expected bytes in hexadecimal, (sequence) or (checksum), got {text:?}"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words: Vec<String> = self
            .0
            .iter()
            .map(|part| match part {
                Part::Byte(byte) => format!("{byte:02X}"),
                Part::Sequence => "(sequence)".to_owned(),
                Part::Checksum => "(checksum)".to_owned(),
            })
            .collect();
        f.write_str(&words.join(" "))
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

/// Pairs of hexadecimal digits and computed parts, one blank apart.
const PATTERN: &str = "^([0-9A-Fa-f]{2}|\\((sequence|checksum)\\))\
                       ( ([0-9A-Fa-f]{2}|\\((sequence|checksum)\\)))*$";

impl JsonSchema for Template {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Template".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Bytes in hexadecimal, with (sequence) and (checksum) computed.",
            "pattern": PATTERN
        })
    }
}
