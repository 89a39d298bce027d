//! The data of an observation record, written straight to JSON.
//!
//! Every object has its keys in order of their bytes: a record read back and written again, by
//! whatever keeps its keys sorted, is the same bytes. Nothing here may look at a clock or a
//! counter: what is written depends on what is handed in, and on nothing else.

use serde_json::json;

use super::json::{self, Object};
use super::{Held, Parts, ProfileStamp};
use crate::association::{Attributed, Unattributed, WhyNot};
use crate::check::clock::{Corrected, Times};
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{
    Association, CodedWords, DeviceTime, Meaning, Metric, Moment, Observation, RecordId,
};

/// Appends the data of a record; see [`super::observation`].
pub fn write(parts: &Parts<'_>, out: &mut Vec<u8>) {
    let observation = parts.observation;
    let subject = &observation.subject;
    let mut object = Object::begin(out);
    let out = object.key("association");
    association((parts.association, parts.whose), parts.ledger, out);
    object.put_stated("channel", &observation.channel);
    encounter(parts.whose, &mut object);
    object.put("firmware", &parts.firmware);
    let held: Vec<&str> = parts.held.iter().copied().map(Held::as_str).collect();
    object.put_if(!held.is_empty(), "held", &held);
    object.put_if(!parts.complete, "incomplete", &true);
    metrics(parts.id, &observation.metrics, object.key("metrics"));
    object.put_text("mode", observation.mode.as_str());
    object.put_some("names", parts.names.as_ref());
    if let Some(ordered) = &subject.ordered {
        // Its keys, and those of the identifiers, are put in order by way of a value.
        object.put("ordered", &json!(ordered));
    }
    // What the device says stands beside it as its statement.
    patient(parts.whose, &mut object);
    if !subject.patient_ids.is_empty() {
        object.put("patient_ids_stated_by_device", &json!(subject.patient_ids));
    }
    object.put_if(parts.is_protected, "patient_protected", &true);
    object.put_stated("place_stated_by_device", &subject.place);
    profile(parts.profile, object.key("profile"));
    object.put_text("profile_status", parts.profile_status);
    if observation.event.is_some() {
        object.put_text("purpose", "for the record, not for notification");
    }
    object.put("raw_sha256", &parts.raw_digest);
    object.put_if(!observation.remarks.is_empty(), "remarks", &observation.remarks);
    if !subject.specimen.is_empty() {
        let specimen = json!({ "id": subject.specimen, "type": subject.specimen_type });
        object.put("specimen", &specimen);
    }
    times(parts.times, observation, object.key("times"));
    object.put("wire", &parts.wire);
    object.end();
}

/// Whose the values are, or why nobody's.
pub(super) type Whose<'a> = Option<&'a Result<Attributed, Unattributed>>;

/// The evidence: what the ledger says, and where it says nothing, the configuration.
pub(super) fn association(
    (configured, whose): (&Association, Whose<'_>),
    ledger: Option<u64>,
    out: &mut Vec<u8>,
) {
    let (entries, grade, place) = match whose {
        None => (&[][..], configured.grade, None),
        Some(Ok(held)) => (&held.entries[..], held.grade, held.place.as_ref()),
        Some(Err(nobody)) => (&nobody.entries[..], configured.grade, nobody.place.as_ref()),
    };
    let mut object = Object::begin(out);
    object.put_if(!entries.is_empty(), "entries", entries);
    object.put_text("grade", grade.as_str());
    object.put("ledger", &ledger);
    object.put("place", &place.or(configured.place.as_ref()));
    match whose {
        None => {}
        Some(Ok(held)) => object.put("verified", &held.in_census),
        Some(Err(nobody)) => {
            object.put_some("proposal", nobody.proposal.as_ref().map(super::patient).as_ref());
        }
    }
    object.end();
}

pub(super) fn encounter(whose: Whose<'_>, object: &mut Object<'_>) {
    if let Some(Ok(Attributed { encounter: Some(encounter), .. })) = whose {
        object.put_text("encounter", encounter.reveal());
    }
}

/// The patient, or none with the reason.
pub(super) fn patient(whose: Whose<'_>, object: &mut Object<'_>) {
    let absent = match whose {
        None => WhyNot::NotAssociated,
        Some(Err(nobody)) => nobody.why,
        Some(Ok(held)) => return object.put("patient", &super::patient(&held.patient)),
    };
    object.put("patient", &());
    object.put_text("patient_absent", absent.as_str());
}

pub(super) fn profile(stamp: &ProfileStamp, out: &mut Vec<u8>) {
    let ProfileStamp { id, revision, digest } = stamp;
    let mut object = Object::begin(out);
    object.put_text("digest", digest);
    object.put_text("id", id);
    object.put("revision", revision);
    object.end();
}

fn times(times: &Times, observation: &Observation, out: &mut Vec<u8>) {
    let mut all = Object::begin(out);
    let mut chart = Object::begin(all.key("chart"));
    chart.put_text("rule", times.rule.as_str());
    chart.put_text("utc", &utc_text(times.chart_utc_us));
    chart.end();
    match times.corrected {
        None => all.put("corrected", &()),
        Some(one) => corrected(one, all.key("corrected")),
    }
    match &observation.device_time {
        None => all.put("device", &()),
        Some(time) => device_time(time, all.key("device")),
    }
    received(times.received, all.key("received"));
    all.end();
}

pub(super) fn corrected(corrected: Corrected, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.put("offset_ms", &corrected.offset_ms);
    object.put("uncertainty_ms", &corrected.uncertainty_ms);
    object.put_text("utc", &utc_text(corrected.utc_us));
    object.end();
}

pub(super) fn device_time(time: &DeviceTime, out: &mut Vec<u8>) {
    let DeviceTime { as_written, utc_us, evidence } = time;
    let mut object = Object::begin(out);
    object.put_text("as_written", as_written);
    object.put("evidence", evidence);
    object.put("utc", &utc_us.map(utc_text));
    object.end();
}

pub(super) fn received(received: Moment, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.put("clock", &received.certainty());
    object.put_text("utc", &received.utc_text());
    object.end();
}

fn metrics(record: &RecordId, metrics: &[Metric], out: &mut Vec<u8>) {
    // As `ObservationId::of` writes it, without making one for each.
    let record = format!("\"{record}.");
    out.push(b'[');
    for (index, one) in metrics.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        metric(one, Some((&record, index)), out);
    }
    out.push(b']');
}

/// Appends one metric; `place` is the beginning of its observation's id, with the quote before it,
/// and its index there, if it has them.
pub fn metric(metric: &Metric, place: Option<(&str, usize)>, out: &mut Vec<u8>) {
    let form = metric.form.pieces(|| form(&metric.words));
    let piece = |number: usize| form.get(number).map_or("", |piece| piece);
    let (as_sent, meaning) = (metric.value.as_sent(), metric.value.meaning());
    let mut object = Object::begin(out);
    if let Meaning::Absent(reason) = meaning {
        object.put_text("absent", reason.as_str());
        object.put_stated("absent_mark", as_sent);
    }
    if place.is_some() {
        let out = object.key("at");
        out.push(b'[');
        json::number(out, metric.at.start as u64);
        out.push(b',');
        json::number(out, metric.at.end as u64);
        out.push(b']');
    }
    object.put_members(piece(0));
    if let Meaning::Coded { code, words, system } = meaning {
        object.put("coded", &json!({ "code": code, "words": words, "system": system }));
    }
    object.put_members(piece(1));
    if let Meaning::Number { comparator: Some(comparator) } = meaning {
        object.put("comparator", comparator);
        object.put_text("digits", metric.value.digits().unwrap_or_default());
    }
    object.put_if(!metric.doubts.is_empty(), "doubts", &metric.doubts);
    object.put_members(piece(2));
    match meaning {
        Meaning::Ordinal => object.put_text("form", "ordinal"),
        Meaning::Text => object.put_text("form", "text"),
        Meaning::Number { .. } | Meaning::Coded { .. } | Meaning::Absent(_) => {}
    }
    object.put_members(piece(3));
    if let Some((record, index)) = place {
        let out = object.key("observation_id");
        out.extend_from_slice(record.as_bytes());
        json::number(out, index as u64);
        out.push(b'"');
    }
    object.put_members(piece(4));
    if !matches!(meaning, Meaning::Absent(_)) {
        object.put_text("value", as_sent);
    }
    object.end();
}

/// What stands around the value, in five pieces between which the value's own keys belong.
fn form(words: &CodedWords) -> Box<[Box<str>]> {
    let piece = |write: &dyn Fn(&mut Object<'_>)| {
        let mut out = Vec::new();
        write(&mut Object::members(&mut out));
        String::from_utf8(out).expect("JSON is UTF-8").into_boxed_str()
    };
    let pieces = [
        piece(&|object| {
            if let Some(site) = &words.body_site {
                coding(site, object.key("body_site"));
            }
        }),
        piece(&|object| put_codings(object, "codings", &words.codings)),
        piece(&|object| {
            object.put_if(!words.equipment.is_empty(), "equipment", &words.equipment);
            object.put_stated("finnish", &words.finnish);
            object.put_if(!words.flags.is_empty(), "flags", &words.flags);
        }),
        piece(&|object| {
            object.put_some("kind", words.kind.as_ref());
            object.put_stated("limits", &words.limits);
            object.put_stated("loinc", &words.loinc);
            object.put_stated("mdc", &words.mdc);
            object.put_some("mdc_code", words.mdc_code.as_ref());
            put_codings(object, "method", &words.method);
            object.put("nature", &words.nature);
        }),
        piece(&|object| {
            object.put("parameter", &words.parameter);
            object.put("status", &words.status);
            object.put_stated("sub_id", &words.sub_id);
            object.put_some("ucum", words.ucum.as_ref());
            put_codings(object, "unit", &words.unit_as_sent);
            object.put_some("unit_mdc", words.unit_mdc.as_ref());
        }),
    ];
    Box::new(pieces)
}

/// Nothing where there are none.
pub(super) fn put_codings(object: &mut Object<'_>, key: &'static str, codings: &[Coding]) {
    if codings.is_empty() {
        return;
    }
    let out = object.key(key);
    out.push(b'[');
    for (index, one) in codings.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        coding(one, out);
    }
    out.push(b']');
}

fn coding(coding: &Coding, out: &mut Vec<u8>) {
    let Coding { code, words, system } = coding;
    let mut object = Object::begin(out);
    object.put_text("code", code);
    object.put_stated("system", system);
    object.put_stated("words", words);
    object.end();
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::Value as Json;

    use super::*;
    use crate::check::clock::{Liveness, Rule};
    use crate::vocabulary::observation::{Doubt, Form};
    use crate::vocabulary::reading::{Flag, Nature, ResultStatus, StatedPatientId, Subject};
    use crate::vocabulary::{
        AbsentReason, Certainty, DeviceName, Digest, Mode, Observation, ParameterKind, Place,
        Sequence, StreamId, Value,
    };

    fn full(value: Value) -> Metric {
        let coding = || Coding::new("150456", "MDC_PULS_OXIM_SAT_O2", "MDC");
        let words = CodedWords {
            parameter: Some("spo2".to_owned()),
            kind: Some(ParameterKind::Periodic),
            mdc_code: Some(150_456),
            mdc: "MDC_PULS_OXIM_SAT_O2".to_owned(),
            loinc: "59408-5".to_owned(),
            finnish: "1.2.246.537.6.96#59408-5".to_owned(),
            codings: vec![coding(), Coding::new("", "SpO2", "")],
            sub_id: "1.3.1.1".to_owned(),
            unit_as_sent: vec![Coding::new("262688", "MDC_DIM_PERCENT", "MDC")],
            unit_mdc: Some("MDC_DIM_PERCENT".to_owned()),
            ucum: Some("%".to_owned()),
            flags: vec![Flag("\"low\"".to_owned())],
            status: ResultStatus::Unverified,
            nature: Nature::Measurement,
            method: vec![coding()],
            body_site: Some(coding()),
            equipment: vec!["pump^1".to_owned()],
            limits: "90-100".to_owned(),
            possible: None,
            usually_number: true,
            form: Form::default(),
        };
        let doubts = vec![Doubt::Questionable];
        Metric { words: Arc::new(words), value, doubts, at: 3..5 }
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
            channel: "left".to_owned(),
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
            whose: None,
            is_protected: true,
            held: &[Held::NotProduction],
            names: None,
        };
        let mut written = Vec::new();
        write(&parts, &mut written);
        let written = String::from_utf8(written).unwrap();
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
