//! The types of the device file. They are the JSON Schema as well, so every field says what it is.
//!
//! No `flatten`, no `tag`, no `untagged`: serde would lose the place of an error. A choice between
//! families is a table of optional tables, turned into an enum by `TryFrom`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::Stated;
use crate::protocol::astm::AstmProfile;
use crate::protocol::dri::DriProfile;
use crate::protocol::frame::{FrameProfile, RawForm};
use crate::protocol::hl7v2::Hl7v2Profile;
use crate::protocol::intellivue::IntellivueProfile;
use crate::protocol::line::LineProfile;
use crate::protocol::medibus::MedibusProfile;
use crate::protocol::unity::UnityProfile;
use crate::vocabulary::{AbsentReason, Evidence};

/// A device file: how one model of device is read.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileFile {
    /// The version of this file format: 1.
    pub profile_format: u32,
    /// Counts up with every change of a released file.
    pub revision: u32,
    pub device: Device,
    pub firmware: Firmware,
    pub provenance: Provenance,
    pub link: Link,
    /// Exactly one family.
    pub protocol: Protocol,
    /// The parts of the device that can have patients of their own, such as a mother and twins.
    #[serde(default)]
    pub channel: Vec<ChannelRow>,
    /// What differs for some of the listed firmware.
    #[serde(default)]
    pub variant: Vec<Variant>,
}

/// A part of the device that has a patient of its own, and which values are that patient's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelRow {
    /// What people read on the device: `FHR1`.
    pub name: String,
    /// The values whose place in the device (OBX-4) is one of these or lies below it: `1.2` holds
    /// `1.2.7` and not `1.20`.
    #[serde(default)]
    pub sub_ids: Vec<String>,
    /// The values of these parameters, whatever their place.
    #[serde(default)]
    pub parameters: Vec<String>,
    pub source: String,
}

/// Which device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    pub manufacturer: String,
    pub model: String,
    /// What it is: pulse-oximeter, bedside-monitor, infusion-pump, point-of-care-analyser ...
    pub kind: String,
    /// Other brands of the same thing.
    #[serde(default)]
    pub also_sold_as: Vec<String>,
    /// Earlier ids of this file.
    #[serde(default)]
    pub was: Vec<String>,
}

/// Which firmware it was tested with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Firmware {
    /// Where the version is learned from.
    pub learned: Learned,
    /// Exact texts as the device shows them. Any other firmware is unlisted.
    pub tested: Vec<String>,
    /// What happens with an unlisted firmware.
    pub on_unlisted: OnUnlisted,
}

/// Where the firmware version is learned from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Learned {
    /// The device says it on the wire.
    ReportedByDevice,
    /// A person enters it in the site's configuration.
    EnteredAtCommissioning,
}

/// What happens with an unlisted firmware. There is no "assume the newest".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnlisted {
    /// Keep raw bytes and readings, show "firmware not proven", forward nothing.
    Hold,
    /// Keep raw bytes only.
    RawOnly,
}

/// Where the file comes from and how far it is proven.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    pub status: Status,
    /// How far the file as a whole is proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// What the file knowingly leaves out.
    #[serde(default)]
    pub known_gaps: Vec<String>,
    /// Known misbehaviour of the device, one entry per problem.
    #[serde(default)]
    pub caveats: Vec<String>,
    /// Where facts are from; fields refer to them by id.
    pub source: Vec<Source>,
}

/// How far a file has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Being written; refused outside the bench.
    Draft,
    /// Compared with a device on the bench; may feed trial destinations.
    BenchTested,
    /// Compared on a ward; may feed trial destinations.
    WardTrial,
    /// Two signatures, compared with the device's screen; may feed patients' records.
    Released,
    /// No longer to be used.
    Withdrawn,
}

impl Status {
    /// The status as it stands in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::BenchTested => "bench-tested",
            Self::WardTrial => "ward-trial",
            Self::Released => "released",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// One source of facts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The first word of a field's `source`.
    pub id: String,
    /// vendor-manual, vendor-letter, standard, observation ...
    pub kind: String,
    pub title: String,
    #[serde(default)]
    pub revision: String,
    #[serde(default)]
    pub pages: String,
    #[serde(default)]
    pub sha256: String,
}

/// How the device is connected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    pub transport: Transport,
    pub direction: Direction,
    /// After how long without a byte the device counts as silent.
    pub silent_after_ms: u64,
    /// Whether the device serves one data client only, so that connecting pushes another one out.
    #[serde(default)]
    pub one_data_client_only: bool,
    /// Galvanic isolation between device and box: what is needed and why.
    #[serde(default)]
    pub isolation: String,
}

/// What may be sent to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Nothing at all.
    ListenOnly,
    /// The protocol's own acknowledgements, nothing else.
    LinkReplies,
    /// The box asks: requests and answers that the family and this file name, nothing else.
    Poll,
}

impl Direction {
    /// The direction as it stands in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ListenOnly => "listen-only",
            Self::LinkReplies => "link-replies",
            Self::Poll => "poll",
        }
    }
}

/// The transport that the device's own port speaks; exactly one. A site may put a serial server in
/// between.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Transport {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The box connects to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_client: Option<NetworkPort>,
    /// The device connects to the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp_server: Option<NetworkPort>,
    /// The device sends datagrams to the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<NetworkPort>,
    /// The box asks the device over UDP, and hears only what comes from its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp_device: Option<NetworkPort>,
}

impl Transport {
    /// How many transports are stated; one is right.
    pub fn count(&self) -> usize {
        usize::from(self.serial.is_some())
            + usize::from(self.tcp_client.is_some())
            + usize::from(self.tcp_server.is_some())
            + usize::from(self.udp.is_some())
            + usize::from(self.udp_device.is_some())
    }
}

/// A network port by the device's default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkPort {
    /// The device's default; the site's configuration has the last word.
    pub port: u16,
}

/// The parameters of a serial line.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    pub baud: u32,
    #[schemars(range(min = 5, max = 8))]
    pub data_bits: u8,
    pub parity: Parity,
    #[schemars(range(min = 1, max = 2))]
    pub stop_bits: u8,
    /// Whether RTS and CTS govern who may send.
    #[serde(default)]
    pub handshake: Handshake,
}

/// The wires that govern who may send. Never by characters: they would swallow bytes 11 and 13.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    #[default]
    None,
    /// RTS and CTS.
    RtsCts,
}

/// Parity of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Parity {
    None,
    Even,
    Odd,
}

/// Exactly one protocol family.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "ProtocolTables")]
#[schemars(with = "ProtocolTables")]
pub enum Protocol {
    Line(LineProfile),
    Frame(FrameProfile),
    /// Boxed: it has by far the most settings.
    Astm(Box<AstmProfile>),
    Hl7v2(Hl7v2Profile),
    Intellivue(IntellivueProfile),
    Dri(DriProfile),
    Medibus(MedibusProfile),
    Unity(UnityProfile),
}

impl Protocol {
    /// What the file, or the family's own table, says a device can report.
    pub fn stated(&self) -> Vec<Stated> {
        match self {
            Self::Line(line) => line.stated(),
            Self::Frame(frame) => frame.stated(),
            Self::Astm(astm) => astm.results.iter().map(|row| row.stated()).collect(),
            Self::Hl7v2(hl7v2) => hl7v2.result.iter().map(|row| row.stated()).collect(),
            Self::Intellivue(intellivue) => intellivue.stated(),
            Self::Dri(dri) => dri.stated(),
            Self::Medibus(medibus) => medibus.stated(),
            Self::Unity(unity) => unity.stated(),
        }
    }

    /// The family's name in the file.
    pub const fn family(&self) -> &'static str {
        match self {
            Self::Line(_) => "line",
            Self::Frame(_) => "frame",
            Self::Astm(_) => "astm",
            Self::Hl7v2(_) => "hl7v2",
            Self::Intellivue(_) => "intellivue",
            Self::Dri(_) => "dri",
            Self::Medibus(_) => "medibus",
            Self::Unity(_) => "unity",
        }
    }
}

/// Exactly one table, named after the protocol family.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct ProtocolTables {
    line: Option<LineProfile>,
    frame: Option<FrameProfile>,
    astm: Option<AstmProfile>,
    hl7v2: Option<Hl7v2Profile>,
    intellivue: Option<IntellivueProfile>,
    dri: Option<DriProfile>,
    medibus: Option<MedibusProfile>,
    unity: Option<UnityProfile>,
}

impl TryFrom<ProtocolTables> for Protocol {
    type Error = String;

    fn try_from(tables: ProtocolTables) -> Result<Self, String> {
        let stated = [
            tables.line.map(Self::Line),
            tables.frame.map(Self::Frame),
            tables.astm.map(|astm| Self::Astm(Box::new(astm))),
            tables.hl7v2.map(Self::Hl7v2),
            tables.intellivue.map(Self::Intellivue),
            tables.dri.map(Self::Dri),
            tables.medibus.map(Self::Medibus),
            tables.unity.map(Self::Unity),
        ];
        let mut stated = stated.into_iter().flatten();
        match (stated.next(), stated.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => {
                let families = ".frame, .astm, .hl7v2, .intellivue, .dri or .medibus";
                Err(format!("expected one family: [protocol.line], {families}"))
            }
            (Some(_), Some(_)) => {
                Err("expected exactly one protocol family, got several".to_owned())
            }
        }
    }
}

/// What differs for some of the listed firmware. Whole fields are replaced, nothing is merged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Each must be listed in `firmware.tested`.
    pub firmware: Vec<String>,
    /// Why it differs, in words.
    pub because: String,
    pub replace: Vec<Replace>,
}

/// One replaced field, found by message and parameter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// The message's name.
    pub message: String,
    pub field: ReplacedField,
}

/// The whole new field: `column` or `keys` for lines; `at`, `raw` and `lsb` for frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplacedField {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<RawForm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsb: Option<String>,
    pub parameter: String,
    pub unit: String,
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub absent: std::collections::BTreeMap<String, AbsentReason>,
    pub source: String,
}
