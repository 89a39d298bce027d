//! The data of an observation record, written straight to JSON.
//!
//! Every object has its keys in order of their bytes: a record read back and written again, by
//! whatever keeps its keys sorted, is the same bytes. Nothing here may look at a clock or a
//! counter: what is written depends on what is handed in, and on nothing else.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value as Json, json};

use super::{Held, Parts, ProfileStamp};
use crate::check::clock::Times;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{
    Association, Certainty, Comparator, DeviceTime, DeviceTimeEvidence, Meaning, Metric, RecordId,
};

/// The data of a record; see [`super::observation`].
pub struct Data<'a>(pub &'a Parts<'a>);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = self.0;
        let observation = parts.observation;
        let subject = &observation.subject;
        let mut out = Object(serializer.serialize_map(None)?);
        out.put("association", &AssociationLine(parts.association, parts.ledger))?;
        out.put("firmware", &parts.firmware)?;
        let held: Vec<&str> = parts.held.iter().copied().map(Held::as_str).collect();
        out.put_if(!held.is_empty(), "held", &held)?;
        out.put_if(!parts.complete, "incomplete", &true)?;
        out.put("metrics", &Metrics(parts.id, &observation.metrics))?;
        out.put("mode", observation.mode.as_str())?;
        out.put_some("names", parts.names.as_ref())?;
        if let Some(ordered) = &subject.ordered {
            out.put("ordered", &sorted(ordered))?;
        }
        // Nobody has said whose value it is; what the device says stands beside it as its
        // statement.
        out.put("patient", &())?;
        out.put("patient_absent", "not-associated")?;
        if !subject.patient_ids.is_empty() {
            out.put("patient_ids_stated_by_device", &sorted(&subject.patient_ids))?;
        }
        out.put_text("place_stated_by_device", &subject.place)?;
        out.put("profile", &ProfileLine(parts.profile))?;
        out.put("profile_status", parts.profile_status)?;
        let is_event = observation.event.is_some();
        out.put_if(is_event, "purpose", "for the record, not for notification")?;
        out.put("raw_sha256", &parts.raw_digest)?;
        out.put_if(!observation.remarks.is_empty(), "remarks", &observation.remarks)?;
        if !subject.specimen.is_empty() {
            let specimen = json!({ "id": subject.specimen, "type": subject.specimen_type });
            out.put("specimen", &specimen)?;
        }
        out.put("times", &TimesLine(parts.times, observation.device_time.as_ref()))?;
        out.put("wire", &parts.wire)?;
        out.end()
    }
}

/// What is rare enough to be sorted the slow way.
fn sorted(value: &impl Serialize) -> Json {
    json!(value)
}

/// An object in the making. Its keys must come in order.
struct Object<M>(M);

impl<M: SerializeMap> Object<M> {
    fn put(
        &mut self,
        key: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), M::Error> {
        self.0.serialize_entry(key, value)
    }

    fn put_if(
        &mut self,
        wanted: bool,
        key: &'static str,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), M::Error> {
        if wanted { self.put(key, value) } else { Ok(()) }
    }

    fn put_some(
        &mut self,
        key: &'static str,
        value: Option<&impl Serialize>,
    ) -> Result<(), M::Error> {
        value.map_or(Ok(()), |value| self.put(key, value))
    }

    /// Nothing where the text is empty.
    fn put_text(&mut self, key: &'static str, text: &str) -> Result<(), M::Error> {
        self.put_if(!text.is_empty(), key, text)
    }

    fn end(self) -> Result<M::Ok, M::Error> {
        self.0.end()
    }
}

struct AssociationLine<'a>(&'a Association, Option<u64>);

impl Serialize for AssociationLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Association { place, grade }, ledger) = self;
        let mut out = Object(serializer.serialize_map(None)?);
        out.put("grade", grade)?;
        out.put("ledger", ledger)?;
        out.put("place", place)?;
        out.end()
    }
}

struct ProfileLine<'a>(&'a ProfileStamp);

impl Serialize for ProfileLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ProfileStamp { id, revision, digest } = self.0;
        let mut out = Object(serializer.serialize_map(None)?);
        out.put("digest", digest)?;
        out.put("id", id)?;
        out.put("revision", revision)?;
        out.end()
    }
}

struct TimesLine<'a>(&'a Times, Option<&'a DeviceTime>);

impl Serialize for TimesLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(times, device) = self;
        let corrected = times.corrected.map(|corrected| CorrectedLine {
            offset_ms: corrected.offset_ms,
            uncertainty_ms: corrected.uncertainty_ms,
            utc: utc_text(corrected.utc_us),
        });
        let chart = ChartLine { rule: times.rule.as_str(), utc: utc_text(times.chart_utc_us) };
        let received =
            ReceivedLine { clock: times.received.certainty(), utc: times.received.utc_text() };
        let device = device.map(|time| DeviceLine {
            as_written: &time.as_written,
            evidence: time.evidence,
            utc: time.utc_us.map(utc_text),
        });
        let mut out = Object(serializer.serialize_map(None)?);
        out.put("chart", &chart)?;
        out.put("corrected", &corrected)?;
        out.put("device", &device)?;
        out.put("received", &received)?;
        out.end()
    }
}

#[derive(Serialize)]
struct ChartLine {
    rule: &'static str,
    utc: String,
}

#[derive(Serialize)]
struct CorrectedLine {
    offset_ms: i64,
    uncertainty_ms: u64,
    utc: String,
}

#[derive(Serialize)]
struct DeviceLine<'a> {
    as_written: &'a str,
    evidence: DeviceTimeEvidence,
    utc: Option<String>,
}

#[derive(Serialize)]
struct ReceivedLine {
    clock: Certainty,
    utc: String,
}

struct Metrics<'a>(&'a RecordId, &'a [Metric]);

impl Serialize for Metrics<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(record, metrics) = self;
        let line = |(index, metric)| MetricLine { metric, place: Some((*record, index)) };
        serializer.collect_seq(metrics.iter().enumerate().map(line))
    }
}

/// One metric; `place` is its record and its index there, if it has them.
pub struct MetricLine<'a> {
    pub metric: &'a Metric,
    pub place: Option<(&'a RecordId, usize)>,
}

impl Serialize for MetricLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { metric, place } = self;
        let meaning = MeaningLine::of(metric);
        let mut out = Object(serializer.serialize_map(None)?);
        out.put_some("absent", meaning.absent.as_ref())?;
        out.put_some("absent_mark", meaning.absent_mark.as_ref())?;
        out.put_if(place.is_some(), "at", &[metric.at.start, metric.at.end])?;
        out.put_some("body_site", metric.body_site.as_ref().map(CodingLine).as_ref())?;
        out.put_some("coded", meaning.coded.as_ref())?;
        out.put_if(!metric.codings.is_empty(), "codings", &Codings(&metric.codings))?;
        out.put_some("comparator", meaning.comparator.as_ref())?;
        out.put_some("digits", meaning.digits.as_ref())?;
        out.put_if(!metric.doubts.is_empty(), "doubts", &metric.doubts)?;
        out.put_if(!metric.equipment.is_empty(), "equipment", &metric.equipment)?;
        out.put_text("finnish", &metric.finnish)?;
        out.put_if(!metric.flags.is_empty(), "flags", &metric.flags)?;
        out.put_some("form", meaning.form.as_ref())?;
        out.put_some("kind", metric.kind.as_ref())?;
        out.put_text("limits", &metric.limits)?;
        out.put_text("loinc", &metric.loinc)?;
        out.put_text("mdc", &metric.mdc)?;
        out.put_some("mdc_code", metric.mdc_code.as_ref())?;
        out.put_if(!metric.method.is_empty(), "method", &Codings(&metric.method))?;
        out.put("nature", &metric.nature)?;
        if let Some((record, index)) = place {
            // As `ObservationId::of` writes it, without making one.
            out.put("observation_id", &format_args!("{record}.{index}"))?;
        }
        out.put("parameter", &metric.parameter)?;
        out.put("status", &metric.status)?;
        out.put_text("sub_id", &metric.sub_id)?;
        out.put_some("ucum", metric.ucum.as_ref())?;
        out.put_if(!metric.unit_as_sent.is_empty(), "unit", &Codings(&metric.unit_as_sent))?;
        out.put_some("unit_mdc", metric.unit_mdc.as_ref())?;
        out.put_some("value", meaning.value.as_ref())?;
        out.end()
    }
}

/// The keys that depend on what the value means.
#[derive(Default)]
struct MeaningLine<'a> {
    absent: Option<&'static str>,
    absent_mark: Option<&'a str>,
    coded: Option<Json>,
    comparator: Option<Comparator>,
    digits: Option<&'a str>,
    form: Option<&'static str>,
    value: Option<&'a str>,
}

impl<'a> MeaningLine<'a> {
    fn of(metric: &'a Metric) -> Self {
        let as_sent = metric.value.as_sent();
        let value = Self { value: Some(as_sent), ..Self::default() };
        match metric.value.meaning() {
            Meaning::Absent(reason) => Self {
                absent: Some(reason.as_str()),
                absent_mark: Some(as_sent).filter(|mark| !mark.is_empty()),
                ..Self::default()
            },
            Meaning::Number { comparator: Some(comparator), digits } => {
                Self { comparator: Some(*comparator), digits: Some(digits), ..value }
            }
            Meaning::Number { comparator: None, .. } => value,
            Meaning::Ordinal => Self { form: Some("ordinal"), ..value },
            Meaning::Coded { code, words, system } => {
                let coded = json!({ "code": code, "words": words, "system": system });
                Self { coded: Some(coded), ..value }
            }
            Meaning::Text => Self { form: Some("text"), ..value },
        }
    }
}

struct Codings<'a>(&'a [Coding]);

impl Serialize for Codings<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(CodingLine))
    }
}

struct CodingLine<'a>(&'a Coding);

impl Serialize for CodingLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Coding { code, words, system } = self.0;
        let mut out = Object(serializer.serialize_map(None)?);
        out.put("code", code)?;
        out.put_text("system", system)?;
        out.put_text("words", words)?;
        out.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::clock::{Liveness, Rule};
    use crate::vocabulary::observation::Doubt;
    use crate::vocabulary::reading::{Flag, Nature, ResultStatus, StatedPatientId, Subject};
    use crate::vocabulary::{
        AbsentReason, DeviceName, Digest, Mode, Moment, Observation, ParameterKind, Place,
        Sequence, StreamId, Value,
    };

    fn full(value: Value) -> Metric {
        let coding = || Coding::new("150456", "MDC_PULS_OXIM_SAT_O2", "MDC");
        Metric {
            parameter: Some("spo2".to_owned()),
            kind: Some(ParameterKind::Periodic),
            mdc_code: Some(150_456),
            mdc: "MDC_PULS_OXIM_SAT_O2".to_owned(),
            loinc: "59408-5".to_owned(),
            finnish: "1.2.246.537.6.96#59408-5".to_owned(),
            codings: vec![coding(), Coding::new("", "SpO2", "")],
            sub_id: "1.3.1.1".to_owned(),
            value,
            unit_as_sent: vec![Coding::new("262688", "MDC_DIM_PERCENT", "MDC")],
            unit_mdc: Some("MDC_DIM_PERCENT".to_owned()),
            ucum: Some("%".to_owned()),
            flags: vec![Flag("\"low\"".to_owned())],
            doubts: vec![Doubt::Questionable],
            status: ResultStatus::Unverified,
            nature: Nature::Measurement,
            method: vec![coding()],
            body_site: Some(coding()),
            equipment: vec!["pump^1".to_owned()],
            limits: "90-100".to_owned(),
            at: 3..5,
        }
    }

    fn observation() -> Observation {
        let values = [
            Value::read("97"),
            Value::read("< 20"),
            Value::coded("1^a^b", "1", "a", "b"),
            Value::text("t\u{e4}ysin"),
            Value::absent("---", AbsentReason::Off),
        ];
        let id = |text: &str| StatedPatientId {
            id: text.to_owned(),
            authority: "WARD".to_owned(),
            id_type: "MR".to_owned(),
        };
        Observation {
            subject: Subject {
                patient_ids: vec![id("P-1")],
                specimen: "S-1".to_owned(),
                place: "bed-1".to_owned(),
                ..Subject::default()
            },
            mode: Mode::Production,
            event: None,
            device_time: Some(DeviceTime::read("20261123080000+0200", None)),
            metrics: values.into_iter().map(full).collect(),
            remarks: vec!["a remark".to_owned()],
        }
    }

    #[test]
    fn every_object_has_its_keys_in_order() {
        let received = Moment::new(5, 1_795_000_000_000_000, Certainty::Unproven);
        let times = Times {
            received,
            corrected: None,
            chart_utc_us: received.utc_us(),
            rule: Rule::Received,
            liveness: Liveness::Live,
        };
        let (observation, name) = (observation(), DeviceName::parse("monitor").unwrap());
        let place = Place::parse("icu/bed-1").unwrap();
        let ledger = crate::association::Ledger::from_configuration([(name.clone(), place)].into());
        let stamp = ProfileStamp { id: "a/b".to_owned(), revision: 2, digest: "00".to_owned() };
        let parts = Parts {
            id: &RecordId::of(StreamId::from_bytes([7; 16]), Sequence::FIRST),
            wire: Sequence::FIRST,
            raw_digest: Digest::of(b"raw"),
            device: "monitor",
            profile: &stamp,
            profile_status: "draft",
            firmware: Some("1"),
            observation: &observation,
            times: &times,
            complete: false,
            association: &ledger.of(&name),
            ledger: Some(4),
            held: &[Held::NotProduction],
            names: None,
        };
        let written = serde_json::to_string(&Data(&parts)).unwrap();
        // `serde_json` keeps the keys of its own objects in order.
        let sorted: Json = serde_json::from_str(&written).unwrap();
        assert_eq!(written, sorted.to_string());
        let metrics = sorted["metrics"].as_array().unwrap();
        assert_eq!(metrics.len(), 5);
        assert_eq!(metrics[1]["comparator"], "<");
        assert_eq!(metrics[4]["absent_mark"], "---");
        assert_eq!(metrics[4].get("value"), None);
        assert_eq!(sorted["patient_absent"], "not-associated");
    }
}
