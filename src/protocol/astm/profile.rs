//! The `[protocol.astm]` table of a device file: facts about the kind of device, not about a site.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Deserialize;

use super::charset::Charset;
use super::path::{RecordLetter, RecordPath};
use crate::protocol::Stated;
use crate::vocabulary::{AbsentReason, Evidence, ResultStatus};

/// How an analyser speaks LIS01 and where its LIS02 records hold what we need.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AstmProfile {
    /// `lis01`: frames with checksums. `none`: bare records that end in CR, cut from H to L.
    #[serde(default)]
    pub framing: Framing,
    /// Whether every frame ends in CR LF, as LIS01 wants, or that is left out at times.
    #[serde(default)]
    pub trailer: Trailer,
    /// Whether frame numbers are held to the standard.
    #[serde(default)]
    pub frame_numbers: FrameNumbers,
    /// How long we wait for the next frame after a reply of ours, in milliseconds.
    #[serde(default = "default::receiver_timer_ms")]
    pub receiver_timer_ms: u64,
    /// How long the device waits for our reply before it gives up, in milliseconds.
    #[serde(default = "default::sender_timer_ms")]
    pub sender_timer_ms: u64,
    /// The longest text of one frame, in bytes.
    #[serde(default = "default::frame_text_max")]
    pub frame_text_max: usize,
    /// Control characters (by number) that this device puts in frame text against LIS01.
    #[serde(default)]
    pub also_allowed_in_text: Vec<u8>,
    /// Whether the device ends its messages with an L record. If `no`, every frame is stored before
    /// it is acknowledged.
    #[serde(default)]
    pub ends_with_l_record: EndsWithLRecord,
    /// The character set of the device's text.
    #[serde(default = "default::charset")]
    pub charset: Charset,
    /// Where the specimen's number is.
    pub specimen_id: RecordPath,
    /// Where to look, in this order, if the specimen's number is not there.
    #[serde(default)]
    pub specimen_id_also: Vec<RecordPath>,
    /// Where the test's code is.
    pub test_code: RecordPath,
    /// Where the value is; without a component the whole field, separators as sent.
    #[serde(default = "default::value")]
    pub value: RecordPath,
    /// Where the time of a result is.
    #[serde(default = "default::time")]
    pub time: RecordPath,
    /// Where to look, in this order, if the time is not there.
    #[serde(default)]
    pub time_also: Vec<RecordPath>,
    /// Where patient identifiers are; each that is there is kept.
    #[serde(default = "default::patient_ids")]
    pub patient_ids: Vec<RecordPath>,
    /// Where the device says its model.
    #[serde(default = "default::model")]
    pub model: RecordPath,
    /// Where the device says its firmware.
    #[serde(default = "default::firmware")]
    pub firmware: RecordPath,
    /// Where the device says its serial number.
    #[serde(default = "default::serial_number")]
    pub serial_number: RecordPath,
    /// Which R records are results; all of these must hold. Without any, every R record is one.
    #[serde(default)]
    pub select: Vec<SelectRule>,
    /// Exact value texts that mean "no value", each with its reason.
    #[serde(default)]
    pub absent: BTreeMap<String, AbsentReason>,
    /// Codes that the device sends in place of units.
    #[serde(default)]
    pub unit_codes: BTreeMap<String, UnitCode>,
    /// How control samples are told from patients' samples, beside H.12 = Q.
    #[serde(default)]
    pub control_sample: Vec<ControlSampleRule>,
    /// What an empty result status means on this device.
    #[serde(default)]
    pub default_status: DefaultStatus,
    /// Which test code is which parameter.
    #[serde(default, rename = "result")]
    pub results: Vec<ResultRow>,
}

/// How records are wrapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// LIS01 frames with checksums and acknowledgements.
    #[default]
    Lis01,
    /// Bare records; nothing is acknowledged.
    None,
}

/// What follows the checksum of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Trailer {
    /// CR LF always; a frame without it is refused.
    #[default]
    CrLf,
    /// CR LF, one of them, or nothing: the frame ends with its checksum.
    Optional,
}

/// Whether frame numbers are held to the standard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FrameNumbers {
    /// Each frame carries the number after the last accepted one; any other is refused.
    #[default]
    Checked,
    /// Any number from 0 to 7 is taken: transmissions that a collector has joined are numbered
    /// 1, 1, 1 (facts/lab.md 1.5). Only the same frame twice in a row is known as sent again; a
    /// frame that got lost is not noticed.
    NotChecked,
}

/// Whether messages end with an L record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndsWithLRecord {
    /// As LIS02 wants.
    #[default]
    Yes,
    /// Never: every frame is stored before it is acknowledged.
    No,
}

/// One test of the device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultRow {
    /// The test code as the device sends it.
    pub code: String,
    /// The parameter's name in the vocabulary.
    pub parameter: String,
    /// The unit that must be on the wire; empty if the device sends none.
    pub unit: String,
    /// Where this row is from: document and page, or bench.
    pub source: String,
    /// How far this row is proven; left out: as far as the file.
    #[serde(default)]
    pub evidence: Option<Evidence>,
}

impl ResultRow {
    /// The row for the list of what is proven by what.
    pub(crate) fn stated(&self) -> Stated {
        Stated {
            parameter: self.parameter.clone(),
            place: format!("test code {}", self.code),
            unit: self.unit.clone(),
            source: self.source.clone(),
            evidence: self.evidence,
        }
    }
}

/// A condition that an R record must meet to be a result. Give `in` or `not_empty`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SelectRule {
    /// Where to look.
    pub path: RecordPath,
    /// The texts of which one must stand there.
    #[serde(default, rename = "in")]
    pub one_of: Vec<String>,
    /// Whether it is enough that something stands there.
    #[serde(default)]
    pub not_empty: bool,
}

/// A mark of a control sample. Give `equals` or `starts_with`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ControlSampleRule {
    /// Where to look.
    pub path: RecordPath,
    /// The whole text that marks a control sample.
    #[serde(default)]
    pub equals: Option<String>,
    /// The beginning that marks a control sample.
    #[serde(default)]
    pub starts_with: Option<String>,
}

/// The unit behind a code.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitCode {
    /// The unit that the code stands for.
    pub unit: String,
    /// Where this is from.
    pub source: String,
}

/// What an empty R.9 means. Absent status is never taken for final unless the maker says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultStatus {
    /// Nothing is said.
    #[default]
    NotStated,
    /// Raw from the device, not seen by a person.
    Unverified,
    /// Preliminary.
    Preliminary,
    /// Final, by the maker's word.
    Final,
}

impl DefaultStatus {
    pub(super) fn status(self) -> ResultStatus {
        match self {
            Self::NotStated => ResultStatus::NotStated,
            Self::Unverified => ResultStatus::Unverified,
            Self::Preliminary => ResultStatus::Preliminary,
            Self::Final => ResultStatus::Final,
        }
    }
}

/// What is wrong with a profile beyond its shape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// A number outside what makes sense.
    #[error("{field}: expected {least} to {most}, got {got}")]
    OutOfRange { field: &'static str, least: u64, most: u64, got: u64 },
    /// A control character that LIS01 framing itself needs.
    #[error("also_allowed_in_text: byte {0} delimits frames and can never be text")]
    FramingByte(u8),
    /// A path into the wrong kind of record.
    #[error("{field}: {path} lies in the wrong record, expected {expected}")]
    WrongRecord { field: &'static str, path: String, expected: &'static str },
    /// A rule with no condition or with two.
    #[error("{field}: the rule for {path} needs exactly one condition")]
    OneCondition { field: &'static str, path: String },
    /// The same test code twice.
    #[error("result: code {0:?} stands there twice")]
    TwiceInResults(String),
    /// An absence that nobody can see.
    #[error("absent: an empty value is always absent and needs no entry")]
    EmptyAbsent,
}

/// A frame longer than this is refused whatever a profile says: four times what LIS01-A2 allows.
const FRAME_TEXT_CAP: usize = 4 * 64_000;
/// Longer waits than ten minutes would hide a dead device.
const TIMER_MS_CAP: u64 = 600_000;

impl AstmProfile {
    /// The row for a test code.
    pub fn parameter(&self, code: &str) -> Option<&ResultRow> {
        self.results.iter().find(|row| row.code == code)
    }

    /// Checks what the shape of the table cannot say.
    pub fn check(&self) -> Result<(), ProfileError> {
        in_range("receiver_timer_ms", 1_000, TIMER_MS_CAP, self.receiver_timer_ms)?;
        in_range("sender_timer_ms", 1_000, TIMER_MS_CAP, self.sender_timer_ms)?;
        in_range("frame_text_max", 1, FRAME_TEXT_CAP as u64, self.frame_text_max as u64)?;
        if let Some(byte) = self.also_allowed_in_text.iter().find(|byte| delimits_frames(**byte)) {
            return Err(ProfileError::FramingByte(*byte));
        }
        self.check_paths()?;
        for rule in &self.select {
            if rule.one_of.is_empty() != rule.not_empty {
                let path = rule.path.to_string();
                return Err(ProfileError::OneCondition { field: "select", path });
            }
        }
        for rule in &self.control_sample {
            if rule.equals.is_some() == rule.starts_with.is_some() {
                let path = rule.path.to_string();
                return Err(ProfileError::OneCondition { field: "control_sample", path });
            }
        }
        let mut codes = BTreeSet::new();
        if let Some(row) = self.results.iter().find(|row| !codes.insert(row.code.as_str())) {
            return Err(ProfileError::TwiceInResults(row.code.clone()));
        }
        if self.absent.contains_key("") {
            return Err(ProfileError::EmptyAbsent);
        }
        Ok(())
    }

    /// The frame limit that holds, within the cap.
    pub(super) fn frame_text_limit(&self) -> usize {
        self.frame_text_max.min(FRAME_TEXT_CAP)
    }

    fn check_paths(&self) -> Result<(), ProfileError> {
        let before_results = [RecordLetter::H, RecordLetter::P, RecordLetter::O];
        let specimen = std::iter::once(&self.specimen_id).chain(&self.specimen_id_also);
        for path in specimen {
            in_records("specimen_id", path, &before_results, "an O, P or H record")?;
        }
        in_records("value", &self.value, &[RecordLetter::R], "an R record")?;
        for path in &self.patient_ids {
            let patient = [RecordLetter::P, RecordLetter::O];
            in_records("patient_ids", path, &patient, "a P or O record")?;
        }
        let device = [
            ("model", &self.model),
            ("firmware", &self.firmware),
            ("serial_number", &self.serial_number),
        ];
        for (field, path) in device {
            in_records(field, path, &[RecordLetter::H], "an H record")?;
        }
        Ok(())
    }
}

fn in_range(field: &'static str, least: u64, most: u64, got: u64) -> Result<(), ProfileError> {
    if (least..=most).contains(&got) {
        Ok(())
    } else {
        Err(ProfileError::OutOfRange { field, least, most, got })
    }
}

fn in_records(
    field: &'static str,
    path: &RecordPath,
    allowed: &[RecordLetter],
    expected: &'static str,
) -> Result<(), ProfileError> {
    if allowed.contains(&path.record) {
        Ok(())
    } else {
        Err(ProfileError::WrongRecord { field, path: path.to_string(), expected })
    }
}

/// STX, ETX, EOT, ENQ and ETB.
fn delimits_frames(byte: u8) -> bool {
    matches!(byte, 0x02..=0x05 | 0x17)
}

/// The values of fields that a profile leaves out, with their source.
mod default {
    use super::{Charset, RecordLetter, RecordPath};

    /// facts/lab.md 1.3: the receiver waits 30 s.
    pub(super) fn receiver_timer_ms() -> u64 {
        30_000
    }

    /// facts/lab.md 1.3: the sender waits 15 s for a reply.
    pub(super) fn sender_timer_ms() -> u64 {
        15_000
    }

    /// facts/lab.md 1.2: LIS01-A2 allows frames of 64 000 bytes.
    pub(super) fn frame_text_max() -> usize {
        64_000
    }

    /// facts/lab.md 2.1: ISO 8859-1 by the standard.
    pub(super) fn charset() -> Charset {
        Charset::Latin1
    }

    /// facts/lab.md 2.2 for these and the following.
    pub(super) fn value() -> RecordPath {
        RecordPath::of(RecordLetter::R, 4)
    }

    pub(super) fn time() -> RecordPath {
        RecordPath::of(RecordLetter::R, 13)
    }

    pub(super) fn patient_ids() -> Vec<RecordPath> {
        [3, 4, 5].into_iter().map(|field| RecordPath::of(RecordLetter::P, field)).collect()
    }

    pub(super) fn model() -> RecordPath {
        RecordPath::part(RecordLetter::H, 5, 1)
    }

    pub(super) fn firmware() -> RecordPath {
        RecordPath::part(RecordLetter::H, 5, 2)
    }

    pub(super) fn serial_number() -> RecordPath {
        RecordPath::part(RecordLetter::H, 5, 3)
    }
}
