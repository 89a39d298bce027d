//! The `[protocol.frame]` table of a device file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::protocol::checksum::ChecksumKind;
use crate::protocol::flag::FlagMode;
use crate::vocabulary::AbsentReason;

/// Binary frames: a start mark, a length, a payload, a checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameProfile {
    /// The bytes that start every frame, such as "AA 55".
    pub start: Hex,
    /// Where the length stands and what it counts.
    pub length: FrameLength,
    /// The checksum at the end of the frame.
    pub checksum: FrameChecksum,
    /// The byte order of every field of more than one byte.
    pub byte_order: ByteOrder,
    /// How long a frame may stay unfinished before it is refused.
    #[serde(default = "frame_unfinished_ms")]
    pub frame_unfinished_ms: u64,
    /// The kinds of frame, told apart by the first bytes of the payload.
    pub message: Vec<FrameMessage>,
}

/// At 9600 baud a frame of 250 bytes takes 0.26 s; one second is clearly a stop.
fn frame_unfinished_ms() -> u64 {
    1000
}

/// Bytes written in hexadecimal, such as "AA 55".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes: Option<Vec<u8>> = text
            .split_whitespace()
            .map(|pair| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok()).flatten())
            .collect();
        match bytes {
            Some(bytes) if !bytes.is_empty() => Ok(Self(bytes)),
            Some(_) | None => Err(serde::de::Error::custom(format!(
                "expected bytes in hexadecimal such as \"AA 55\", got {text:?}"
            ))),
        }
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02X}")).collect();
        serializer.serialize_str(&pairs.join(" "))
    }
}

impl JsonSchema for Hex {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Hex".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Bytes written in hexadecimal, such as \"AA 55\".",
            "pattern": "^[0-9A-Fa-f]{2}( [0-9A-Fa-f]{2})*$"
        })
    }
}

/// Where the length stands and what it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameLength {
    /// Position in the frame, counted from 0. The payload begins right behind the length.
    pub at: u16,
    /// What it counts.
    pub counts: Counts,
    /// How wide it is.
    #[serde(default)]
    pub size: LengthSize,
    /// The smallest payload in bytes; a smaller length is not a frame.
    pub min: u16,
    /// The largest payload in bytes; a larger length is not a frame.
    pub max: u16,
}

/// What a length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// The payload alone.
    Payload,
    /// Payload and checksum.
    PayloadAndChecksum,
    /// Everything from the start mark to the checksum.
    Frame,
}

/// How wide a length is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LengthSize {
    #[default]
    U8,
    /// In the byte order of the profile.
    U16,
}

/// The checksum at the end of a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameChecksum {
    /// How it is computed; this also says in which order its bytes are sent.
    pub kind: ChecksumKind,
    /// The first byte that counts, from 0 in the frame; the last is the last of the payload.
    pub from: u16,
}

/// Which byte of a number comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ByteOrder {
    BigEndian,
    LittleEndian,
}

/// One kind of frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameMessage {
    /// A name for people, unique in the file.
    pub name: String,
    /// The first bytes of the payload.
    pub payload_type: Hex,
    /// The length of the payload in bytes, exactly, the type included.
    pub payload_bytes: u16,
    /// Bytes that hold a value.
    #[serde(default)]
    pub field: Vec<FrameField>,
    /// Bits that mark values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flag: Vec<FrameFlag>,
    /// Bytes that are left alone, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredBytes>,
    /// Bytes in which the device says its firmware, as ASCII.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<FirmwareBytes>,
}

/// Bytes that hold a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameField {
    /// Position in the payload, counted from 0.
    pub at: u16,
    /// How the number is stored.
    pub raw: RawForm,
    /// What one raw step is worth in the device's unit, as a decimal text: "0.1".
    pub lsb: String,
    /// The parameter's name in the vocabulary.
    pub parameter: String,
    /// The device's unit; empty where the value has none.
    pub unit: String,
    /// Raw forms such as "0x7FFF" that stand for "no value", each with its reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub absent: BTreeMap<String, AbsentReason>,
    /// Where this is written: source id and page.
    pub source: String,
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

/// Bytes that are left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoredBytes {
    /// Position in the payload, counted from 0.
    pub at: u16,
    /// How many bytes.
    pub bytes: u16,
    /// Why nothing is read from them.
    pub why: String,
}

/// Bytes in which the device says its firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirmwareBytes {
    /// Position in the payload, counted from 0.
    pub at: u16,
    /// How many bytes of ASCII; blanks and zeros at the end are cut.
    pub bytes: u16,
    /// Where this is written: source id and page.
    pub source: String,
}
