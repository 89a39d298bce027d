//! What stands in a record: the data of INGESTION, and the head of a `wire` record.
//!
//! A `wire` record is one line of JSON (the head), a line feed, and the raw bytes as they came.

mod data;
mod json;
mod waveform;

pub use waveform::WaveformParts;

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value as Json};

use crate::association::{Attributed, Unattributed};
use crate::check::clock::Times;
use crate::check::repeats::StatementKeys;
use crate::forward::stored;
use crate::profile::Profile;
use crate::vocabulary::reading::EventKind;
use crate::vocabulary::{
    Association, Digest, Metric, Mode, Observation, PatientId, RecordId, Refused, Sequence,
};

/// The head of a `wire` record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WireHead {
    pub device: String,
    pub profile: ProfileStamp,
    pub firmware: Option<String>,
    pub session: u64,
    pub received_us: i64,
    pub complete: bool,
    /// SHA-256 of the message without transport fields, where a repeat can be recognised by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<String>,
    /// How far the device's clock is known to be ahead, so that old data are not taken for live
    /// after the next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<u64>,
    /// The wire record that this message repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_of: Option<u64>,
    /// What could not be read, with its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Json>,
    /// How many observations follow in the same batch.
    pub observations: usize,
    /// What makes each of those observations a statement about one measurement; `None` where
    /// nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<Option<StatementStamp>>,
}

/// The keys of a statement as texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatementStamp {
    pub keys: Vec<String>,
    pub content: String,
}

/// Which device file was in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProfileStamp {
    pub id: String,
    pub revision: u32,
    pub digest: String,
}

impl ProfileStamp {
    /// The stamp of a loaded device file.
    pub fn of(profile: &Profile) -> Self {
        Self {
            id: profile.id(),
            revision: profile.file().revision,
            digest: profile.digest().to_string(),
        }
    }
}

/// A head without refusals fits in it.
const HEAD_BYTES_USUAL: usize = 1 << 10;

/// A [`WireHead`] on its way into the journal; its fields are that one's.
#[derive(Serialize)]
pub struct NewHead<'a> {
    pub device: &'a str,
    pub profile: &'a ProfileStamp,
    pub firmware: Option<&'a str>,
    pub session: u64,
    pub received_us: i64,
    pub complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basis: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_of: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Json>,
    pub observations: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<Option<NewStatement>>,
}

/// A [`StatementStamp`] on its way into the journal.
pub struct NewStatement(pub StatementKeys);

impl Serialize for NewStatement {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (keys, content) = self.0.digests();
        let mut stamp = serializer.serialize_struct("StatementStamp", 2)?;
        stamp.serialize_field("keys", keys)?;
        stamp.serialize_field("content", content)?;
        stamp.end()
    }
}

impl NewHead<'_> {
    /// The payload of the record.
    pub fn with_raw(&self, raw: &[u8]) -> Vec<u8> {
        let mut payload = Vec::with_capacity(HEAD_BYTES_USUAL + raw.len());
        serde_json::to_writer(&mut payload, self).expect("a head of texts and numbers is JSON");
        payload.push(b'\n');
        payload.extend_from_slice(raw);
        payload
    }
}

impl WireHead {
    /// Head and raw bytes of a payload; `None` for what is none.
    pub fn split(payload: &[u8]) -> Option<(Self, &[u8])> {
        let end = payload.iter().position(|byte| *byte == b'\n')?;
        let (head, rest) = payload.split_at_checked(end)?;
        Some((serde_json::from_slice(head).ok()?, rest.get(1..)?))
    }
}

/// A refusal as it stands in the head.
pub fn refusal(refused: &Refused) -> Json {
    let at = [refused.at.start, refused.at.end];
    serde_json::json!({ "why": refused.why.as_str(), "at": at, "detail": refused.detail })
}

/// Why an observation is kept and not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// The device's firmware is not among those that the device file was tested with.
    FirmwareNotProven,
    /// Training, test, control-sample or unclassified data.
    NotProduction,
}

impl Held {
    /// The reason as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FirmwareNotProven => "firmware-not-proven",
            Self::NotProduction => "not-production",
        }
    }
}

/// All that an observation record is made of.
pub struct Parts<'a> {
    pub id: &'a RecordId,
    pub wire: Sequence,
    pub raw_digest: Digest,
    pub device: &'a str,
    pub profile: &'a ProfileStamp,
    pub profile_status: &'static str,
    pub firmware: Option<&'a str>,
    pub observation: &'a Observation,
    pub times: &'a Times,
    pub complete: bool,
    pub association: &'a Association,
    /// The sequence of the association record that it was judged by.
    pub ledger: Option<u64>,
    /// Whose the values are, or why nobody's; `None` where nobody said anything.
    pub whose: Option<&'a Result<Attributed, Unattributed>>,
    /// The patient's data are protected (turvakielto).
    pub is_protected: bool,
    pub held: &'a [Held],
    /// The record that stated the same measurement before with something else in it.
    pub names: Option<RecordId>,
}

/// The kind of record that an observation makes.
pub fn kind(observation: &Observation) -> stored::EventKind {
    match observation.event {
        None => stored::EventKind::Observation,
        Some(EventKind::Alarm) => stored::EventKind::Alarm,
        Some(EventKind::PumpEvent) => stored::EventKind::PumpEvent,
    }
}

impl Parts<'_> {
    /// Appends the data of the record in JSON, without what only a destination's rendering adds.
    pub fn write(&self, out: &mut Vec<u8>) {
        data::write(self, out);
    }

    /// About as many bytes as the data will be.
    pub fn bytes_usual(&self) -> usize {
        AROUND_BYTES_USUAL + METRIC_BYTES_USUAL * self.observation.metrics.len()
    }
}

/// The data of an observation record, taken apart.
pub fn observation(parts: &Parts<'_>) -> Map<String, Json> {
    let mut out = Vec::with_capacity(parts.bytes_usual());
    parts.write(&mut out);
    serde_json::from_slice(&out).expect("data is written as an object with text keys")
}

/// What the data of a monitor's record takes, without its metrics and for each of them: it is
/// written without growing on the way.
const AROUND_BYTES_USUAL: usize = 1 << 10;
const METRIC_BYTES_USUAL: usize = 590;

/// Four signals over half a second fit in it.
pub const WAVEFORMS_BYTES_USUAL: usize = 8 << 10;

impl WaveformParts<'_> {
    /// Appends the data of the record in JSON, without what only a destination's rendering adds.
    pub fn write(&self, out: &mut Vec<u8>) {
        waveform::write(self, out);
    }
}

/// A patient as records name one: the identifier, who gave it, and what kind it is.
pub fn patient(patient: &PatientId) -> Map<String, Json> {
    let kind = match (patient.is_national(), patient.is_temporary()) {
        (true, _) => "NNFIN",
        (false, true) => "TMP",
        (false, false) => "MR",
    };
    [
        ("id".to_owned(), Json::from(patient.reveal())),
        ("root".to_owned(), Json::from(patient.root())),
        ("type".to_owned(), Json::from(kind)),
    ]
    .into_iter()
    .collect()
}

/// A metric without its place in a record: what `profile replay` shows.
pub fn metric_core(metric: &Metric) -> Map<String, Json> {
    let mut out = Vec::new();
    data::metric(metric, None, &mut out);
    serde_json::from_slice(&out).expect("a metric is written as an object with text keys")
}

/// Why an observation is held, if it is.
pub fn held(mode: Mode, firmware_is_proven: FirmwareProof) -> Vec<Held> {
    let mut held = Vec::new();
    if firmware_is_proven == FirmwareProof::NotProven {
        held.push(Held::FirmwareNotProven);
    }
    if mode != Mode::Production {
        held.push(Held::NotProduction);
    }
    held
}

/// Whether the device file was tested with the device's firmware.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirmwareProof {
    Proven,
    NotProven,
}
