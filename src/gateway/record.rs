//! What stands in a record: the data of INGESTION, and the head of a `wire` record.
//!
//! A `wire` record is one line of JSON (the head), a line feed, and the raw bytes as they came.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::check::clock::Times;
use crate::forward::stored;
use crate::profile::Profile;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::reading::EventKind;
use crate::vocabulary::{
    Association, Digest, Meaning, Metric, Mode, Observation, ObservationId, RecordId, Refused,
    Sequence,
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

impl WireHead {
    /// The payload of the record.
    pub fn with_raw(&self, raw: &[u8]) -> Vec<u8> {
        let mut payload = serde_json::to_vec(self).expect("a head of texts and numbers is JSON");
        payload.push(b'\n');
        payload.extend_from_slice(raw);
        payload
    }

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
    json!({ "why": refused.why.as_str(), "at": at, "detail": refused.detail })
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

/// The data of an observation record, without what only a destination's rendering adds.
pub fn observation(parts: &Parts<'_>) -> Map<String, Json> {
    let observation = parts.observation;
    let subject = &observation.subject;
    let mut data = Map::new();
    let mut put = |key: &str, value: Json| {
        data.insert(key.to_owned(), value);
    };
    put("wire", json!(parts.wire));
    put("raw_sha256", json!(parts.raw_digest));
    put("profile", json!(parts.profile));
    put("profile_status", json!(parts.profile_status));
    put("firmware", json!(parts.firmware));
    put("mode", json!(observation.mode.as_str()));
    put("times", times(parts.times, observation));
    // Nobody has said whose value it is; what the device says stands beside it as its statement.
    put("patient", Json::Null);
    put("patient_absent", json!("not-associated"));
    if !subject.patient_ids.is_empty() {
        put("patient_ids_stated_by_device", json!(subject.patient_ids));
    }
    let Association { place, grade } = parts.association;
    put("association", json!({ "place": place, "grade": grade, "ledger": parts.ledger }));
    if !subject.place.is_empty() {
        put("place_stated_by_device", json!(subject.place));
    }
    if !subject.specimen.is_empty() {
        let kind = &subject.specimen_type;
        put("specimen", json!({ "id": subject.specimen, "type": kind }));
    }
    if let Some(ordered) = &subject.ordered {
        put("ordered", json!(ordered));
    }
    if observation.event.is_some() {
        put("purpose", json!("for the record, not for notification"));
    }
    if !observation.remarks.is_empty() {
        put("remarks", json!(observation.remarks));
    }
    if !parts.complete {
        put("incomplete", json!(true));
    }
    if !parts.held.is_empty() {
        put("held", json!(parts.held.iter().map(|one| one.as_str()).collect::<Vec<_>>()));
    }
    if let Some(names) = &parts.names {
        put("names", json!(names));
    }
    let metrics = observation.metrics.iter().enumerate();
    put("metrics", metrics.map(|(index, one)| metric(parts.id, index, one)).collect());
    data
}

fn times(times: &Times, observation: &Observation) -> Json {
    json!({
        "device": observation.device_time.as_ref().map(|time| json!({
            "as_written": time.as_written,
            "utc": time.utc_us.map(utc_text),
            "evidence": time.evidence,
        })),
        "received": { "utc": times.received.utc_text(), "clock": times.received.certainty() },
        "corrected": times.corrected.map(|corrected| json!({
            "utc": utc_text(corrected.utc_us),
            "offset_ms": corrected.offset_ms,
            "uncertainty_ms": corrected.uncertainty_ms,
        })),
        "chart": { "utc": utc_text(times.chart_utc_us), "rule": times.rule.as_str() },
    })
}

fn metric(record: &RecordId, index: usize, metric: &Metric) -> Json {
    let mut out = Map::new();
    out.insert("observation_id".to_owned(), json!(ObservationId::of(record, index)));
    out.extend(metric_core(metric));
    out.insert("at".to_owned(), json!([metric.at.start, metric.at.end]));
    Json::Object(out)
}

/// A metric without its place in a record: what `profile replay` shows as well.
pub fn metric_core(metric: &Metric) -> Map<String, Json> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Json| {
        out.insert(key.to_owned(), value);
    };
    put("parameter", json!(metric.parameter));
    if let Some(code) = metric.mdc_code {
        put("mdc_code", json!(code));
    }
    for (key, text) in
        [("mdc", &metric.mdc), ("loinc", &metric.loinc), ("finnish", &metric.finnish)]
    {
        if !text.is_empty() {
            put(key, json!(text));
        }
    }
    if !metric.codings.is_empty() {
        put("codings", json!(metric.codings));
    }
    if !metric.sub_id.is_empty() {
        put("sub_id", json!(metric.sub_id));
    }
    match metric.value.meaning() {
        Meaning::Absent(reason) => {
            put("absent", json!(reason.as_str()));
            if !metric.value.as_sent().is_empty() {
                put("absent_mark", json!(metric.value.as_sent()));
            }
        }
        meaning @ (Meaning::Number { .. }
        | Meaning::Ordinal
        | Meaning::Coded { .. }
        | Meaning::Text) => {
            put("value", json!(metric.value.as_sent()));
            meaning_of(meaning, &mut put);
        }
    }
    if !metric.unit_as_sent.is_empty() {
        put("unit", json!(metric.unit_as_sent));
    }
    if let Some(unit) = &metric.unit_mdc {
        put("unit_mdc", json!(unit));
    }
    if let Some(ucum) = &metric.ucum {
        put("ucum", json!(ucum));
    }
    if !metric.flags.is_empty() {
        put("flags", json!(metric.flags));
    }
    if !metric.doubts.is_empty() {
        put("doubts", json!(metric.doubts));
    }
    put("status", json!(metric.status));
    put("nature", json!(metric.nature));
    if let Some(kind) = metric.kind {
        put("kind", json!(kind));
    }
    if !metric.method.is_empty() {
        put("method", json!(metric.method));
    }
    if let Some(site) = &metric.body_site {
        put("body_site", json!(site));
    }
    if !metric.equipment.is_empty() {
        put("equipment", json!(metric.equipment));
    }
    if !metric.limits.is_empty() {
        put("limits", json!(metric.limits));
    }
    out
}

fn meaning_of(meaning: &Meaning, put: &mut impl FnMut(&str, Json)) {
    match meaning {
        Meaning::Number { comparator: Some(comparator), digits } => {
            put("comparator", json!(comparator));
            put("digits", json!(digits));
        }
        Meaning::Ordinal => put("form", json!("ordinal")),
        Meaning::Coded { code, words, system } => {
            put("coded", json!({ "code": code, "words": words, "system": system }));
        }
        Meaning::Text => put("form", json!("text")),
        Meaning::Number { comparator: None, .. } | Meaning::Absent(_) => {}
    }
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
