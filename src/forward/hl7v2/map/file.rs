//! The destination map as written. What types cannot say is checked in `verify`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::forward::stored::EventKind;

/// The versions of HL7 v2 that are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Version {
    #[serde(rename = "2.3")]
    V23,
    #[serde(rename = "2.3.1")]
    V231,
    #[serde(rename = "2.4")]
    V24,
    #[serde(rename = "2.5")]
    V25,
    #[serde(rename = "2.5.1")]
    V251,
    #[serde(rename = "2.6")]
    V26,
}

impl Version {
    /// MSH-12.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V23 => "2.3",
            Self::V231 => "2.3.1",
            Self::V24 => "2.4",
            Self::V25 => "2.5",
            Self::V251 => "2.5.1",
            Self::V26 => "2.6",
        }
    }
}

/// The file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapFile {
    /// 1.
    pub map_format: u32,
    /// For people.
    pub title: String,
    pub version: Version,
    /// MSH-18, a name of HL7 table 0211.
    pub charset: String,
    pub without_patient: WithoutPatient,
    pub unplaced: Unplaced,
    pub parameters: Parameters,
    /// Kinds of records that this destination does without.
    #[serde(default)]
    pub without: Vec<EventKind>,
    pub sender: Party,
    pub receiver: Party,
    #[serde(default)]
    pub acknowledgement: Asked,
    /// What goes out of each sort of record; what has no table is set aside.
    #[serde(default)]
    pub observation: Option<KindTable>,
    #[serde(default, rename = "pump-event")]
    pub pump_event: Option<KindTable>,
    #[serde(default)]
    pub laboratory: Option<KindTable>,
    #[serde(default)]
    pub alarm: Option<KindTable>,
    #[serde(default)]
    pub patient: PatientTable,
    #[serde(default)]
    pub parameter: BTreeMap<String, ParameterTable>,
    /// By MDC reference id.
    #[serde(default)]
    pub unit: BTreeMap<String, Code>,
}

/// What becomes of a record that states no patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithoutPatient {
    /// It goes, without PID: for a destination that keeps the ward's data.
    Send,
    /// It is set aside: for a destination that files into patients' records.
    SetAside,
}

/// What becomes of a value that has no place while others of the same record have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unplaced {
    /// The others go, and a note names what is left out.
    Note,
    /// The whole record is set aside.
    SetAside,
}

/// Which parameters have a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parameters {
    /// Those with a code that the message can carry.
    Coded,
    /// Of these only the ones in `[parameter]`.
    Listed,
}

/// MSH-3 and 4, or MSH-5 and 6.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    pub application: Name,
    #[serde(default)]
    pub facility: Option<Name>,
}

/// A name in a namespace (HD, EI).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Name {
    pub name: String,
    /// An OID (`ISO`) or an EUI-64.
    #[serde(default)]
    pub universal_id: Option<String>,
    #[serde(default)]
    pub universal_id_type: Option<UniversalType>,
}

/// HL7 table 0301, as far as it is used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum UniversalType {
    #[serde(rename = "ISO")]
    Iso,
    #[serde(rename = "EUI-64")]
    Eui64,
}

impl UniversalType {
    /// As in the message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iso => "ISO",
            Self::Eui64 => "EUI-64",
        }
    }
}

/// MSH-15 and MSH-16; both empty ask for the original mode.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    #[serde(default)]
    pub accept: Option<When>,
    #[serde(default)]
    pub application: Option<When>,
}

/// When an acknowledgement is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum When {
    #[serde(rename = "AL")]
    Always,
    #[serde(rename = "NE")]
    Never,
}

impl When {
    /// As in the message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "AL",
            Self::Never => "NE",
        }
    }
}

/// What goes out of one sort of record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindTable {
    pub message: Form,
    /// OBR-4 where the record names no order.
    pub service: Code,
    pub sub_id: SubId,
    /// Which code of a parameter stands first in OBX-3.
    #[serde(default)]
    pub first: First,
    /// The namespace of specimen numbers: with it OBR-2 holds the specimen.
    #[serde(default)]
    pub specimen_namespace: Option<String>,
    /// SPM-4 where the record names no type.
    #[serde(default)]
    pub specimen_type: Option<Code>,
    /// Why alarms are sent although this is no alarm system; only with `pcd-04`.
    #[serde(default)]
    pub exception: Option<String>,
}

/// The message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// IHE DEC, ORU^R01.
    #[serde(rename = "pcd-01")]
    Pcd01,
    /// IHE IPEC, ORU^R42.
    #[serde(rename = "pcd-10")]
    Pcd10,
    /// IHE ACM, ORU^R40.
    #[serde(rename = "pcd-04")]
    Pcd04,
    /// An unsolicited result.
    #[serde(rename = "oru-r01")]
    OruR01,
    /// A result by specimen.
    #[serde(rename = "oul-r22")]
    OulR22,
}

impl Form {
    /// As in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pcd01 => "pcd-01",
            Self::Pcd10 => "pcd-10",
            Self::Pcd04 => "pcd-04",
            Self::OruR01 => "oru-r01",
            Self::OulR22 => "oul-r22",
        }
    }

    /// Whether the rules of IHE PCD hold.
    pub const fn is_pcd(self) -> bool {
        match self {
            Self::Pcd01 | Self::Pcd10 | Self::Pcd04 => true,
            Self::OruR01 | Self::OulR22 => false,
        }
    }
}

/// What OBX-4 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubId {
    /// `1.1.1.N`, N being the metric's number in the record that first stated it.
    Containment,
    /// `N`.
    Number,
    /// What the device sent; a record in which that is not unique is set aside.
    Device,
}

/// Which code stands first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum First {
    #[default]
    Mdc,
    Loinc,
    /// That of `[parameter]`; where it has none, MDC.
    Local,
}

/// A code with its words and its system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Code {
    pub code: String,
    #[serde(default)]
    pub words: String,
    pub system: String,
}

/// PID, PD1 and PV1.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientTable {
    /// PV1-2.
    #[serde(default)]
    pub class: Option<String>,
    /// PV1-3.4.
    #[serde(default)]
    pub facility: Option<String>,
    /// Whether PD1-12 says `Y` for a patient whose data are protected. Not every receiver takes a
    /// PD1 here.
    #[serde(default)]
    pub protection_indicator: bool,
    #[serde(default)]
    pub identifier: Vec<Identifier>,
}

/// A form of identifier that may go out; others stay in the box.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identifier {
    /// The root OID under which records state it.
    pub authority: String,
    /// CX-4.1.
    pub namespace: String,
    /// CX-5.
    pub id_type: String,
}

/// One parameter, by its name in the vocabulary.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterTable {
    /// The destination's own code.
    #[serde(default)]
    pub code: Option<Code>,
    /// The unit that the destination wants, by MDC reference id; with `decimals`.
    #[serde(default)]
    pub unit: Option<String>,
    /// How many decimals a converted value gets.
    #[serde(default)]
    pub decimals: Option<u32>,
    /// Why it does not go to this destination.
    #[serde(default)]
    pub left_out: Option<String>,
}
