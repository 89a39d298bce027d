//! A reading: one value in the device's own words, before anybody's codes are put on it.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DeviceTime, Value};

/// A code with its words and the system that it is from, as sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Coding {
    pub code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub words: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub system: String,
}

impl Coding {
    /// The three parts as sent; any may be empty.
    pub fn new(code: &str, words: &str, system: &str) -> Self {
        Self { code: code.to_owned(), words: words.to_owned(), system: system.to_owned() }
    }
}

/// What the device calls the thing that it measured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DeviceCode {
    /// The profile says which parameter this field is (`line`, `frame`).
    Parameter(String),
    /// The device names it itself: the first coding and its alternates (HL7 OBX-3.1-3, .4-6), or a
    /// test code (ASTM R.3) in the first.
    Codings(Vec<Coding>),
}

/// A unit as sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct DeviceUnit {
    /// The first coding and its alternates; a bare text is one coding with only a code.
    pub codings: Vec<Coding>,
}

impl DeviceUnit {
    /// A unit that is only a text, such as `mmol/L`.
    pub fn text(text: &str) -> Self {
        Self { codings: vec![Coding::new(text, "", "")] }
    }
}

/// How far a result has come, as the protocol says it (OBX-11, R.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResultStatus {
    /// Raw from the device, not seen by a person (OBX-11 R).
    Unverified,
    /// Preliminary (P).
    Preliminary,
    /// Final (F).
    Final,
    /// Corrects an earlier result (C).
    Corrected,
    /// Cannot be or was not obtained (X).
    NoResult,
    /// Transmitted before (ASTM R.9 R).
    SentBefore,
    /// The protocol has no status, or the device left it empty. Never taken for final.
    #[default]
    NotStated,
    /// A letter that the standard gives another meaning; it stands in the flags as sent.
    Other,
}

/// A mark that the device puts on a value: low perfusion, questionable, demo, high.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Flag(pub String);

/// What sort of statement a reading is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nature {
    /// A measured or calculated value.
    #[default]
    Measurement,
    /// A value that a person has set on the device.
    Setting,
    /// A part of an alarm or an event (phase, state, source).
    EventPart,
    /// A fact about the device itself: model, serial number, software, clock synchronisation.
    DeviceFact,
}

/// Whether the data are for a patient's record at all.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Real data from a real patient or specimen, as far as the device says.
    #[default]
    Production,
    /// The device is in demo or training mode (OBX-8 DEMO, MSH-11 T).
    Training,
    /// Test or service data (OBX-8 TEST, MSH-11 D).
    Debugging,
    /// A control or calibration sample, never a patient's.
    ControlSample,
    /// The profile cannot tell patient samples from control samples: held until a person says.
    Unclassified,
}

impl Mode {
    /// The mode as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Training => "training",
            Self::Debugging => "debugging",
            Self::ControlSample => "control-sample",
            Self::Unclassified => "unclassified",
        }
    }
}

/// What a device says around a value: everything but the value, its time and its place.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Words {
    /// What was measured, as the device or the profile names it.
    pub code: DeviceCode,
    /// Where in the device it was measured (OBX-4, channel number); empty if not said.
    pub sub_id: String,
    /// The unit as sent, or as the profile states it for a field without one on the wire.
    pub unit: Option<DeviceUnit>,
    /// Marks by the device, each as sent.
    pub flags: Vec<Flag>,
    /// How far the result has come.
    pub status: ResultStatus,
    /// Measurement, setting, part of an event, or a fact about the device.
    pub nature: Nature,
    /// How it was measured (OBX-17, a profile's `method`), as sent.
    pub method: Vec<Coding>,
    /// Where on the body (OBX-20), as sent.
    pub body_site: Option<Coding>,
    /// The equipment that measured it (OBX-18, R.14), as sent.
    pub equipment: Vec<String>,
    /// The range that stands beside the value (OBX-7, R.6), as sent.
    pub limits: String,
}

/// One value in the device's own words. Its `Debug` shows what it is, not what was measured.
///
/// A monitor says the same words in message after message, so they are shared. A reading gives
/// access to them as if they were its own; changing them changes this reading alone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Reading {
    pub words: Arc<Words>,
    /// The value as sent, or absent with a reason.
    pub value: Value,
    /// This value's own time; `None` means the time of its group.
    pub time: Option<DeviceTime>,
    /// Where the value stands in the message's raw bytes.
    pub at: Range<usize>,
}

impl Deref for Reading {
    type Target = Words;

    fn deref(&self) -> &Words {
        &self.words
    }
}

impl DerefMut for Reading {
    fn deref_mut(&mut self) -> &mut Words {
        Arc::make_mut(&mut self.words)
    }
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading")
            .field("code", &self.code)
            .field("value", &self.value)
            .field("status", &self.status)
            .field("nature", &self.nature)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Reading {
    /// A plain measurement; the other fields are empty and can be set on the result.
    pub fn new(code: DeviceCode, value: Value, at: Range<usize>) -> Self {
        let words = Words {
            code,
            sub_id: String::new(),
            unit: None,
            flags: Vec::new(),
            status: ResultStatus::NotStated,
            nature: Nature::Measurement,
            method: Vec::new(),
            body_site: None,
            equipment: Vec::new(),
            limits: String::new(),
        };
        Self { words: Arc::new(words), value, time: None, at }
    }
}

/// An identifier of a patient as the device sent it. Its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct StatedPatientId {
    /// The identifier (PID-3.1, P.3 to P.5).
    pub id: String,
    /// Who gave it (PID-3.4), as sent; empty if not said.
    pub authority: String,
    /// Its type (PID-3.5), as sent; empty if not said.
    pub id_type: String,
}

impl fmt::Debug for StatedPatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatedPatientId(..)")
    }
}

/// Whom and what a group of readings is about, in the device's own words. Its `Debug` shows how
/// much is there and nothing of it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Subject {
    /// Identifiers that the device sent; empty when it sent none or says that it knows nobody
    /// (PID-31 = Y). Never carried over from an earlier message.
    pub patient_ids: Vec<StatedPatientId>,
    /// The specimen's number (O.3, O.4, SPM-2, SAC-3); empty if none.
    pub specimen: String,
    /// The specimen's type, as sent.
    pub specimen_type: String,
    /// The place that the device names (PV1-3), as sent. A bed label is not a patient.
    pub place: String,
    /// The order or panel (OBR-4, O.5), as sent.
    pub ordered: Option<Coding>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("patient_ids", &self.patient_ids.len())
            .field("has_specimen", &!self.specimen.is_empty())
            .field("has_place", &!self.place.is_empty())
            .finish_non_exhaustive()
    }
}

/// An alarm or a pump event, as sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// ORU^R40: an alarm. For the record, not for notification.
    Alarm,
    /// ORU^R42: a pump event.
    PumpEvent,
}

/// Readings of one message that share patient, specimen, mode and default time. Its `Debug` counts
/// them and shows none.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Group {
    pub subject: Subject,
    pub mode: Mode,
    /// The time of every reading here that has none of its own (OBR-7, R.13).
    pub time: Option<DeviceTime>,
    /// Set for alarms and pump events.
    pub event: Option<EventKind>,
    pub readings: Vec<Reading>,
    /// Free remarks of the device on this group (NTE, C records), as sent. Never logged.
    pub remarks: Vec<String>,
}

impl Group {
    /// Readings from a production measurement about nobody in particular.
    pub fn of(readings: Vec<Reading>) -> Self {
        Self {
            subject: Subject::default(),
            mode: Mode::Production,
            time: None,
            event: None,
            readings,
            remarks: Vec::new(),
        }
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("subject", &self.subject)
            .field("mode", &self.mode)
            .field("event", &self.event)
            .field("readings", &self.readings.len())
            .field("remarks", &self.remarks.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Observation;

    /// Free text where a device can put it, each with a name in it.
    fn group() -> Group {
        let code = DeviceCode::Parameter("spo2".to_owned());
        let mut reading = Reading::new(code, Value::read("of Virtanen"), 0..11);
        reading.sub_id = "Virtanen".to_owned();
        reading.limits = "Virtanen".to_owned();
        reading.equipment.push("Virtanen".to_owned());
        reading.flags.push(Flag("Virtanen".to_owned()));
        let mut group = Group::of(vec![reading]);
        group.time = Some(DeviceTime::read("Virtanen", None));
        group.remarks.push("Virtanen".to_owned());
        let id = || "Virtanen".to_owned();
        let stated = StatedPatientId { id: id(), authority: id(), id_type: id() };
        group.subject = Subject {
            patient_ids: vec![stated],
            specimen: id(),
            specimen_type: id(),
            place: id(),
            ordered: Some(Coding::new("Virtanen", "", "")),
        };
        group
    }

    #[test]
    fn debug_shows_nothing_of_a_patient() {
        let group = group();
        let observation = Observation {
            subject: group.subject.clone(),
            mode: group.mode,
            event: None,
            channel: String::new(),
            device_time: group.time.clone(),
            metrics: Vec::new(),
            remarks: group.remarks.clone(),
        };
        let shown = format!("{group:?} {:?} {observation:?}", group.readings[0]);
        assert!(!shown.contains("Virtanen"), "{shown}");
        assert!(shown.contains("remarks: 1") && shown.contains("patient_ids: 1"), "{shown}");
        let number = format!("{:?} {:?}", Value::read("7.41"), Value::read("<5"));
        assert!(!number.contains("7.41") && !number.contains("<5"), "{number}");
    }
}
