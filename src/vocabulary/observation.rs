//! An observation: the readings of one message that share patient, specimen and time, with our
//! codes beside the device's own words, and with every doubt that the checks had.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, OnceLock};

use rust_decimal::Decimal;
use serde::Serialize;

use super::reading::{Coding, EventKind, Flag, Mode, Nature, ResultStatus, Subject};
use super::{DeviceTime, ParameterKind, Value};

/// Why a value is doubted. Doubts mark; they never edit and never drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// Outside what is possible at all for the parameter.
    Implausible,
    /// The device's own time is long past while the stream is live.
    Stale,
    /// The device's own time lies in the future or cannot be read.
    ClockWrong,
    /// No unit, or one that is not accepted for the parameter.
    UnitUnexpected,
    /// The unit changed within the stream.
    UnitChanged,
    /// Code and reference id of the device contradict each other.
    CodeAndNameDisagree,
    /// The device marks the value as questionable.
    Questionable,
    /// A comparator, words or a code where a plain number is usual.
    NotANumber,
    /// The protocol gives no time for an episodic value.
    TimeNotProven,
    /// The device's text was decoded with a guessed character set.
    CharsetGuessed,
}

impl Doubt {
    /// The doubt as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Implausible => "implausible",
            Self::Stale => "stale",
            Self::ClockWrong => "clock-wrong",
            Self::UnitUnexpected => "unit-unexpected",
            Self::UnitChanged => "unit-changed",
            Self::CodeAndNameDisagree => "code-and-name-disagree",
            Self::Questionable => "questionable",
            Self::NotANumber => "not-a-number",
            Self::TimeNotProven => "time-not-proven",
            Self::CharsetGuessed => "charset-guessed",
        }
    }
}

/// What stands around a value: the codes of the vocabulary beside the words of the device.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CodedWords {
    /// The parameter's name in the vocabulary; `None` means unmapped: kept, counted and shown.
    pub parameter: Option<String>,
    /// How the parameter lives in time, if it is known.
    pub kind: Option<ParameterKind>,
    /// MDC code and reference id; from the vocabulary.
    pub mdc_code: Option<u32>,
    pub mdc: String,
    /// LOINC and the Finnish code; from the vocabulary, empty where it has none.
    pub loinc: String,
    pub finnish: String,
    /// The device's own codings, empty where the profile names the parameter.
    pub codings: Vec<Coding>,
    pub sub_id: String,
    /// The unit as the device sent it, or as the profile states it.
    pub unit_as_sent: Vec<Coding>,
    /// The same unit in MDC and UCUM, where it is known.
    pub unit_mdc: Option<String>,
    pub ucum: Option<String>,
    pub flags: Vec<Flag>,
    pub status: ResultStatus,
    pub nature: Nature,
    pub method: Vec<Coding>,
    pub body_site: Option<Coding>,
    pub equipment: Vec<String>,
    pub limits: String,
    /// What a figure may be at all, lowest and highest, where it can be compared: in the canonical
    /// unit of the parameter, or one that reads the same, since nothing is converted.
    pub possible: Option<[Decimal; 2]>,
    /// The vocabulary has units for the parameter: a plain number is usual.
    pub usually_number: bool,
    /// A form of these words that is made once.
    pub form: Form,
}

/// Room for the form that whoever writes these words down has made of them, in pieces, so that it
/// is made once. It says nothing of its own: all forms are equal, and a copy, which may be changed,
/// begins without one.
#[derive(Default)]
pub struct Form(OnceLock<Box<[Box<str>]>>);

impl Form {
    /// The pieces; made now if they were not yet. There is one writer of forms in the house.
    pub fn pieces(&self, make: impl FnOnce() -> Box<[Box<str>]>) -> &[Box<str>] {
        self.0.get_or_init(make)
    }
}

impl Clone for Form {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Form {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Form {}

/// One value with the codes of the vocabulary and the words of the device. Its `Debug` shows what
/// it is, not what was measured.
///
/// What stands around the value is shared with the same metric of other messages. A metric gives
/// access to it as if it were its own; changing it changes this metric alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Metric {
    pub words: Arc<CodedWords>,
    pub value: Value,
    pub doubts: Vec<Doubt>,
    /// Where the value stands in the message's raw bytes.
    pub at: std::ops::Range<usize>,
}

impl Deref for Metric {
    type Target = CodedWords;

    fn deref(&self) -> &CodedWords {
        &self.words
    }
}

impl DerefMut for Metric {
    fn deref_mut(&mut self) -> &mut CodedWords {
        let words = Arc::make_mut(&mut self.words);
        // What is changed is not what the form says.
        words.form = Form::default();
        words
    }
}

impl fmt::Debug for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metric")
            .field("parameter", &self.parameter)
            .field("codings", &self.codings)
            .field("value", &self.value)
            .field("unit_mdc", &self.unit_mdc)
            .field("doubts", &self.doubts)
            .field("status", &self.status)
            .field("nature", &self.nature)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// One observation, ready for the committer. Its `Debug` counts its metrics and shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct Observation {
    pub subject: Subject,
    pub mode: Mode,
    pub event: Option<EventKind>,
    /// The part of the device that has a patient of its own, by the device file; empty if it has
    /// none.
    pub channel: String,
    /// The time that the device gave for all its metrics.
    pub device_time: Option<DeviceTime>,
    pub metrics: Vec<Metric>,
    pub remarks: Vec<String>,
}

impl fmt::Debug for Observation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observation")
            .field("subject", &self.subject)
            .field("mode", &self.mode)
            .field("event", &self.event)
            .field("channel", &self.channel)
            .field("metrics", &self.metrics.len())
            .field("remarks", &self.remarks.len())
            .finish_non_exhaustive()
    }
}

impl Observation {
    /// How many metrics the vocabulary does not know. Facts about the device and parts of events
    /// are not counted: nobody charts them.
    pub fn unmapped(&self) -> usize {
        let counts = |metric: &&Metric| {
            metric.parameter.is_none()
                && matches!(metric.nature, Nature::Measurement | Nature::Setting)
        };
        self.metrics.iter().filter(counts).count()
    }
}
