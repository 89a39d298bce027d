//! The published samples as FHIR; expected words from `facts/semantics.md` 3 and the samples.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::*;
use crate::forward::pump::Routed;
use crate::forward::stored::{EventKind, Stored};
use crate::vocabulary::{Sequence, StreamId};

const OXIMETER: &str = include_str!("../../../docs/ingestion/samples/observation-oximeter.json");
const ANALYSER: &str = include_str!("../../../docs/ingestion/samples/observation-analyser.json");
const ALARM: &str = include_str!("../../../docs/ingestion/samples/alarm.json");
const BEGAN: &str = include_str!("../../../docs/ingestion/samples/gap-began.json");
const ENDED: &str = include_str!("../../../docs/ingestion/samples/gap-ended.json");
const STATE: &str = include_str!("../../../docs/ingestion/samples/device-state.json");

fn rules() -> Rules {
    Rules {
        system: "urn:uuid:5f0c1a52-8f2e-4a83-9d3e-3d3b0b6d2a11".to_owned(),
        patient_system: None,
        patients_only: false,
        alarms: false,
        provenance: true,
    }
}

fn routed(kind: EventKind, sample: &str, change: impl Fn(&mut Json)) -> Routed {
    let mut sample: Json = serde_json::from_str(sample).unwrap();
    change(&mut sample["data"]);
    let sequence = sample["data"]["sequence"].as_u64().unwrap();
    let stored = Stored {
        kind,
        time: sample["time"].as_str().unwrap().to_owned(),
        subject: sample["subject"].as_str().unwrap().to_owned(),
        routes: BTreeMap::from([("fhir".to_owned(), 0)]),
        data: sample["data"].as_object().unwrap().clone(),
    };
    Routed {
        stored,
        stream: StreamId::from_bytes([0x1f; 16]),
        sequence: Sequence::new(sequence).unwrap(),
        time_us: 0,
        destination: "fhir".to_owned(),
        source: rules().system,
    }
}

fn rendered(kind: EventKind, sample: &str, change: impl Fn(&mut Json)) -> Outgoing {
    let rendering = render(&routed(kind, sample, change), &rules());
    let Rendering::Resources(outgoing) = rendering else { panic!("{rendering:?}") };
    *outgoing
}

fn observation(outgoing: &Outgoing, index: usize) -> Json {
    serde_json::from_str(&outgoing.about[index].body).unwrap()
}

#[test]
fn a_saturation_is_a_vital_sign_with_both_codes_and_its_own_digits() {
    let outgoing = rendered(EventKind::Observation, OXIMETER, |_| ());
    assert!(outgoing.first);
    assert_eq!(outgoing.about.len(), 3);
    let spo2 = observation(&outgoing, 0);
    assert_eq!(spo2["identifier"][0]["value"], "1f1f1f1f-7.0");
    assert_eq!(spo2["status"], "preliminary", "not-stated is never taken for final");
    assert_eq!(spo2["category"][0]["coding"][0]["code"], "vital-signs");
    let codes: Vec<&str> = spo2["code"]["coding"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|one| one["code"].as_str())
        .collect();
    assert_eq!(codes, ["59408-5", "2708-6", "150456", "spo2"]);
    assert_eq!(spo2["effectiveDateTime"], "2026-11-20T08:10:12.000000Z");
    assert!(spo2.get("subject").is_none() && spo2.get("meta").is_none());
    let body = &outgoing.about[0].body;
    let quantity = r#""value":97,"unit":"%","system":"http://unitsofmeasure.org","code":"%""#;
    assert!(body.contains(quantity), "{body}");
}

#[test]
fn digits_pass_untouched_and_the_text_stands_beside_them() {
    for (sent, number) in [("7.40", "7.40"), ("-0.0", "-0.0"), ("07.40", "7.40"), ("+5", "5")] {
        let change = |data: &mut Json| data["metrics"][0]["value"] = json!(sent);
        let outgoing = rendered(EventKind::Observation, OXIMETER, change);
        let body = &outgoing.about[0].body;
        assert!(body.contains(&format!("}}],\"value\":{number},")), "{sent}: {body}");
        assert!(body.contains(&format!("\"valueString\":\"{sent}\"")), "{sent}: {body}");
    }
    let below = |data: &mut Json| {
        data["metrics"][0]["value"] = json!("< 6.80");
        data["metrics"][0]["comparator"] = json!("<");
        data["metrics"][0]["digits"] = json!("6.80");
    };
    let outgoing = rendered(EventKind::Observation, OXIMETER, below);
    let body = &outgoing.about[0].body;
    assert!(body.contains(r#""value":6.80,"comparator":"<""#), "{body}");
}

#[test]
fn what_is_absent_is_absent_with_its_reason() {
    let change = |data: &mut Json| {
        let metric = data["metrics"][0].as_object_mut().unwrap();
        metric.remove("value");
        metric.insert("absent".to_owned(), json!("probe-off"));
        metric.insert("absent_mark".to_owned(), json!("---"));
    };
    let spo2 = observation(&rendered(EventKind::Observation, OXIMETER, change), 0);
    assert!(spo2.get("valueQuantity").is_none());
    let reason = &spo2["dataAbsentReason"];
    assert_eq!(reason["coding"][0]["code"], "temp-unknown");
    assert_eq!(reason["coding"][1]["code"], "probe-off");
    assert_eq!(reason["text"], "---");
}

#[test]
fn a_laboratory_result_has_its_specimen_and_no_resource_of_it() {
    let ph = observation(&rendered(EventKind::Observation, ANALYSER, |_| ()), 0);
    assert_eq!(ph["status"], "final");
    assert_eq!(ph["contained"][0]["accessionIdentifier"]["value"], "S-1");
    assert_eq!(ph["specimen"]["reference"], "#specimen");
    assert_eq!(ph["category"][0]["coding"][0]["code"], "laboratory");
    assert_eq!(ph["interpretation"][0]["coding"][0]["code"], "N");
}

#[test]
fn a_patient_is_named_by_identifier_and_only_where_the_record_has_one() {
    let stated = |data: &mut Json| {
        let id = json!([{ "id": "010594Y9032", "authority": "", "id_type": "" }]);
        data["patient_ids_stated_by_device"] = id;
    };
    let outgoing = rendered(EventKind::Observation, OXIMETER, stated);
    assert!(!outgoing.about[0].body.contains("010594Y9032"), "a statement is no attribution");
    let only = Rules { patients_only: true, ..rules() };
    let without = render(&routed(EventKind::Observation, OXIMETER, stated), &only);
    assert_eq!(without, Rendering::SetAside("no-patient"));
    let known = |data: &mut Json| {
        let ids = json!({ "ids": [{ "id": "010594Y9032", "authority": "1.2.246.21" }] });
        data["patient"] = ids;
    };
    let spo2 = observation(&rendered(EventKind::Observation, OXIMETER, known), 0);
    assert_eq!(spo2["subject"]["identifier"]["system"], "urn:oid:1.2.246.21");
    assert_eq!(spo2["subject"]["identifier"]["value"], "010594Y9032");
    let profile = "http://hl7.org/fhir/StructureDefinition/vitalsigns";
    assert_eq!(spo2["meta"]["profile"][0], profile);
    assert_eq!(spo2["meta"].get("security"), None);
    let protected = |data: &mut Json| {
        known(data);
        data["patient_protected"] = json!(true);
    };
    let spo2 = observation(&rendered(EventKind::Observation, OXIMETER, protected), 0);
    assert_eq!(spo2["meta"]["profile"][0], profile);
    // Patient-patient-with-turvakielto of the Finnish base profiles 2.0.0-rc2.
    let label = json!({
        "system": "https://hl7.fi/fhir/finnish-base-profiles/CodeSystem/fi-base-security-label-cs",
        "code": "TURVAKIELTO",
    });
    assert_eq!(spo2["meta"]["security"], json!([label]));
}

fn pressure(data: &mut Json) {
    let part = |index: usize, loinc: &str, mdc: &str, code: u32, value: &str| {
        json!({ "observation_id": format!("1f1f1f1f-7.{index}"), "parameter": "nibp",
            "mdc_code": code, "mdc": mdc, "loinc": loinc, "value": value, "ucum": "mm[Hg]",
            "status": "final", "nature": "measurement", "at": [0, 1] })
    };
    data["metrics"] = json!([
        part(0, "8462-4", "MDC_PRESS_BLD_NONINV_DIA", 150_022, "80"),
        part(1, "8480-6", "MDC_PRESS_BLD_NONINV_SYS", 150_021, "120"),
        part(2, "8478-0", "MDC_PRESS_BLD_NONINV_MEAN", 150_023, "93"),
    ]);
}

#[test]
fn a_cuff_is_one_panel_that_carries_all_of_its_ids() {
    let outgoing = rendered(EventKind::Observation, OXIMETER, pressure);
    assert_eq!(outgoing.about.len(), 1);
    assert_eq!(outgoing.about[0].key, "1f1f1f1f-7.1", "the systolic's");
    let panel = observation(&outgoing, 0);
    assert_eq!(panel["code"]["coding"][0]["code"], "85354-9");
    let components = panel["component"].as_array().unwrap();
    let of = |index: usize| {
        let one: &Json = &components[index];
        (
            one["code"]["coding"][0]["code"].as_str().unwrap().to_owned(),
            one["extension"][0]["valueIdentifier"]["value"].as_str().unwrap().to_owned(),
        )
    };
    assert_eq!(of(0), ("8480-6".to_owned(), "1f1f1f1f-7.1".to_owned()));
    assert_eq!(of(1), ("8462-4".to_owned(), "1f1f1f1f-7.0".to_owned()));
    assert_eq!(of(2), ("8478-0".to_owned(), "1f1f1f1f-7.2".to_owned()));
    assert_eq!(panel["identifier"].as_array().unwrap().len(), 3);
    // A value that is absent or another status changes nothing in what goes together.
    let other = |data: &mut Json| {
        pressure(data);
        data["metrics"][0]["status"] = json!("unverified");
        data["metrics"][1].as_object_mut().unwrap().remove("value");
        data["metrics"][1]["absent"] = json!("invalid");
    };
    let outgoing = rendered(EventKind::Observation, OXIMETER, other);
    assert_eq!(outgoing.about.len(), 1);
    assert_eq!(observation(&outgoing, 0)["status"], "preliminary");
    // Systolic of the cuff and diastolic of the artery are no set.
    let mixed = |data: &mut Json| {
        pressure(data);
        data["metrics"][0]["mdc"] = json!("MDC_PRESS_BLD_ART_DIA");
    };
    assert_eq!(rendered(EventKind::Observation, OXIMETER, mixed).about.len(), 3);
}

#[test]
fn a_unit_that_the_profile_does_not_know_is_kept_and_claims_no_profile() {
    let change = |data: &mut Json| {
        pressure(data);
        for index in 0..3 {
            data["metrics"][index]["ucum"] = json!("kPa");
        }
    };
    let panel = observation(&rendered(EventKind::Observation, OXIMETER, change), 0);
    assert!(panel.get("category").is_none());
    assert_eq!(panel["component"][0]["valueQuantity"]["code"], "kPa");
}

#[test]
fn a_gap_is_one_observation_from_its_beginning_to_its_end() {
    let began = rendered(EventKind::Gap, BEGAN, |_| ());
    let ended = rendered(EventKind::Gap, ENDED, |_| ());
    assert!(began.first && !ended.first);
    let (before, after) = (observation(&began, 0), observation(&ended, 0));
    assert_eq!((&before["status"], &after["status"]), (&json!("preliminary"), &json!("final")));
    let sample: Json = serde_json::from_str(ENDED).unwrap();
    let began = Sequence::new(sample["data"]["gap"].as_u64().unwrap()).unwrap();
    let began = crate::vocabulary::RecordId::of(StreamId::from_bytes([0x1f; 16]), began);
    assert_eq!(ended.about[0].key, format!("{began}.gap"));
    assert_eq!(after["effectivePeriod"]["end"], sample["data"]["ended"]);
    assert!(after.get("subject").is_none());
}

#[test]
fn alarms_go_only_where_they_are_asked_for() {
    let alarm = routed(EventKind::Alarm, ALARM, |_| ());
    assert_eq!(render(&alarm, &rules()), Rendering::Nothing);
    let asked = Rules { alarms: true, ..rules() };
    let Rendering::Resources(outgoing) = render(&alarm, &asked) else { panic!("it goes out") };
    let event = observation(&outgoing, 0);
    assert_eq!(event["valueCodeableConcept"]["coding"][0]["code"], "196940");
    assert!(event["note"].to_string().contains("for the record, not for notification"));
}

#[test]
fn a_device_is_updated_by_what_it_says_of_itself() {
    let state = rendered(EventKind::DeviceState, STATE, |_| ());
    assert_eq!((state.about[0].kind, state.first), ("Device", false));
    let sample: Json = serde_json::from_str(STATE).unwrap();
    let body = observation(&state, 0);
    assert_eq!(
        body["identifier"][0]["value"],
        format!("device.{}", sample["subject"].as_str().unwrap())
    );
}

#[test]
fn the_same_record_is_the_same_bytes() {
    let once = rendered(EventKind::Observation, OXIMETER, |_| ());
    assert_eq!(once, rendered(EventKind::Observation, OXIMETER, |_| ()));
}
