//! The `[protocol.frame]` table of a device file.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::field::{FrameField, FrameFlag, IgnoredBytes, MoreBytes, TextBytes};
use crate::protocol::checksum::ChecksumKind;
use crate::protocol::{Ask, Stated, Template};

/// Binary frames: a start mark, a length, a payload, a checksum; or trains of frames of one size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FrameProfile {
    /// The bytes that start every frame, such as "AA 55"; not with `train`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Hex>,
    /// Where the length stands and what it counts; not with `train`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<FrameLength>,
    /// Small frames without a start mark, so many of which make one message; instead of `start` and
    /// `length`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Train>,
    /// Bytes that are sent as two behind the start mark, so that the mark stands nowhere else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub escape: Vec<Escape>,
    /// The checksum at the end of the frame; of each small frame in a train.
    pub checksum: FrameChecksum,
    /// The byte order of every field of more than one byte.
    pub byte_order: ByteOrder,
    /// How long a frame may stay unfinished before it is refused.
    #[serde(default = "frame_unfinished_ms")]
    pub frame_unfinished_ms: u64,
    /// The kinds of frame, told apart by the first bytes of the payload.
    pub message: Vec<FrameMessage>,
    /// What the box may send of itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ask: Vec<Ask>,
    /// The least time between two requests; stated where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask_apart_ms: Option<u64>,
    /// What the box must send back for a frame, once that is kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reply: Vec<Reply>,
}

impl FrameProfile {
    /// What the file says a device can report, in the vocabulary's words.
    pub fn stated(&self) -> Vec<Stated> {
        let of_message = |message: &FrameMessage| -> Vec<Stated> {
            let fields = message.field.iter().filter(|field| !field.parameter.is_empty());
            let stated = |field: &FrameField| Stated {
                parameter: field.parameter.clone(),
                place: format!("{} byte {}", message.name, field.at),
                unit: field.unit.clone(),
                source: field.source.clone(),
                evidence: field.evidence,
            };
            fields.map(stated).collect()
        };
        self.message.iter().flat_map(of_message).collect()
    }

    /// Where the payload begins in the frame.
    pub(super) fn payload_at(&self) -> usize {
        self.length.as_ref().map_or(0, |length| usize::from(length.at) + length.size.bytes())
    }

    /// How many bytes of checksum stand behind the payload; a train has its own inside.
    pub(super) fn trailer_bytes(&self) -> usize {
        if self.train.is_some() { 0 } else { self.checksum.kind.bytes() }
    }

    /// A request as it goes on the wire: checksum computed, escapes put in.
    pub fn request(&self, ask: &Ask) -> Vec<u8> {
        self.on_wire(&ask.template(), &[])
    }

    /// A template as it goes on the wire.
    pub(super) fn on_wire(&self, template: &Template, sequence: &[u8]) -> Vec<u8> {
        let from = usize::from(self.checksum.from);
        let checksum = |before: &[u8]| self.checksum.kind.of(before.get(from..).unwrap_or(before));
        let plain = template.build(sequence, checksum);
        let start = self.start.as_ref().map_or(0, |start| start.0.len());
        let mut wire = Vec::with_capacity(plain.len());
        for (at, byte) in plain.iter().enumerate() {
            match self.escape.iter().find(|escape| at >= start && escape.means.0 == [*byte]) {
                Some(escape) => wire.extend_from_slice(&escape.sent.0),
                None => wire.push(*byte),
            }
        }
        wire
    }
}

/// Small frames of one size, each with a checksum of its own, that make one message together. The
/// payload is the whole train, checksums included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Train {
    /// How many bytes a small frame has, its checksum included.
    #[schemars(range(min = 2))]
    pub frame_bytes: u8,
    /// How many of them make one message.
    #[schemars(range(min = 1))]
    pub frames: u8,
    /// The bits that are set in the first byte of every small frame, such as "80".
    pub always: Hex,
    /// The bits that are set in the first byte of the first one, and of no other, such as "01".
    pub first: Hex,
}

/// One byte that is sent as two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escape {
    /// The two bytes on the wire, such as "80 05".
    pub sent: Hex,
    /// The one byte that they mean, such as "85".
    pub means: Hex,
}

/// What the box sends back for a frame: the protocol's own acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// How the payload of the frames begins that want it, such as "01 00".
    pub payload_type: Pattern,
    /// What is sent. `(sequence)` is the number of the frame that is answered.
    pub bytes: Template,
    /// Where that number stands in the frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<SequenceBytes>,
    /// Where this is written: source id and page.
    pub source: String,
}

/// Where a frame's number stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SequenceBytes {
    /// Position in the frame, counted from 0.
    pub at: u16,
    /// How many bytes.
    pub bytes: u8,
}

/// How bytes begin: in hexadecimal, with `..` for a byte that may be any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(pub Vec<Option<u8>>);

impl Pattern {
    /// Whether the bytes begin so.
    pub fn begins(&self, bytes: &[u8]) -> bool {
        bytes.len() >= self.0.len()
            && self.0.iter().zip(bytes).all(|(want, byte)| want.is_none_or(|want| want == *byte))
    }
}

impl std::str::FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let byte = |word: &str| match word {
            ".." => Some(None),
            pair if pair.len() == 2 => u8::from_str_radix(pair, 16).ok().map(Some),
            _ => None,
        };
        match text.split_whitespace().map(byte).collect::<Option<Vec<_>>>() {
            Some(bytes) if !bytes.is_empty() => Ok(Self(bytes)),
            Some(_) | None => {
                Err(format!("expected bytes in hexadecimal such as \"01 .. 34\", got {text:?}"))
            }
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = |byte: &Option<u8>| byte.map_or("..".to_owned(), |byte| format!("{byte:02X}"));
        f.write_str(&self.0.iter().map(word).collect::<Vec<_>>().join(" "))
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pattern".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Bytes in hexadecimal, with .. for a byte that may be any.",
            "pattern": "^([0-9A-Fa-f]{2}|[.]{2})( ([0-9A-Fa-f]{2}|[.]{2}))*$"
        })
    }
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
    /// How many bytes of the payload it does not count.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uncounted: u16,
    /// The smallest payload in bytes; a smaller length is not a frame.
    pub min: u16,
    /// The largest payload in bytes; a larger length is not a frame.
    pub max: u16,
}

fn is_zero(number: &u16) -> bool {
    *number == 0
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

impl LengthSize {
    /// How many bytes it takes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::U16 => 2,
        }
    }
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
    /// How the payload begins; of several kinds that begin alike the length decides.
    pub payload_type: Pattern,
    /// The length of the payload, its type included.
    pub payload_bytes: u16,
    /// What may stand behind that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_bytes: Option<MoreBytes>,
    /// Why frames of this kind are not handed over at all: only for waveforms that nobody asked
    /// for. They still count as a sign of life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<String>,
    /// Numbers that hold a value.
    #[serde(default)]
    pub field: Vec<FrameField>,
    /// Bits that mark values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flag: Vec<FrameFlag>,
    /// Bytes that are left alone, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredBytes>,
    /// Bytes in which the device says its firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<TextBytes>,
    /// Bytes in which the device says its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial_number: Option<TextBytes>,
}

impl FrameMessage {
    /// The shortest and the longest payload.
    pub(super) fn lengths(&self) -> (usize, usize) {
        let more = self.more_bytes.as_ref().map_or(0, |more| usize::from(more.max));
        let least = usize::from(self.payload_bytes);
        (least, least + more)
    }

    /// Whether a payload of this length can be of this kind.
    pub(super) fn has_length(&self, bytes: usize) -> bool {
        let (least, most) = self.lengths();
        (least..=most).contains(&bytes)
    }
}
