//! Stream, correction and retraction in whatever order: the stand-in FHIR server holds one
//! Observation for each observation id, with the status of the last statement about it, the digits
//! of the device, and the subject of the first.
//!
//! The records are made by hand, as `docs/destinations/fhir.md` says that they look.

mod house;

use std::collections::BTreeMap;
use std::sync::Arc;

use house::XorShift;
use house::fhir::FhirServer;
use serde_json::{Value as Json, json};
use wardgate::forward::fhir::render::{Outgoing, Rendering, Rules, render};
use wardgate::forward::fhir::{Destination, Fhir, FhirConfig};
use wardgate::forward::http::{Http, Plain};
use wardgate::forward::pump::Routed;
use wardgate::forward::stored::{EventKind, Stored};
use wardgate::forward::window::Verdict;
use wardgate::vocabulary::{RecordId, Sequence, StreamId};

/// Orders that are tried; each has its own measurements.
const ORDERS: u64 = 60;
const PATIENTS: [&str; 2] = ["010594Y9032", "020594X903P"];

fn rules() -> Rules {
    Rules {
        system: house::SOURCE.to_owned(),
        patient_system: Some("urn:oid:1.2.246.21".to_owned()),
        patients_only: false,
        alarms: false,
        provenance: true,
    }
}

fn fhir(server: &FhirServer) -> (Fhir, Http) {
    let url = format!("http://127.0.0.1:{}", server.port);
    let fhir: FhirConfig =
        toml::from_str(&format!("url = \"{url}\"\npatient_system = \"urn:oid:1.2.246.21\""))
            .unwrap();
    let http = Http::new(&fhir.http(), Plain::ToLoopback).unwrap();
    let destination = Destination {
        name: "fhir".to_owned(),
        source: house::SOURCE.to_owned(),
        patients_only: false,
        plain: Plain::ToLoopback,
        fhir,
    };
    (Fhir::new(destination).unwrap(), http)
}

struct World {
    stream: StreamId,
    next: u64,
}

impl World {
    /// The next record, with these metrics; `of` is the record that first stated them.
    fn record(&mut self, kind: EventKind, of: Option<u64>, what: &What) -> (u64, Arc<Outgoing>) {
        let number = self.next;
        self.next += 1;
        let first = Sequence::new(of.unwrap_or(number)).unwrap();
        let first = RecordId::of(self.stream, first);
        let metrics: Vec<Json> = what
            .values
            .iter()
            .enumerate()
            .map(|(index, (loinc, mdc, code, value, ucum))| {
                json!({
                    "observation_id": format!("{first}.{index}"), "parameter": mdc.to_lowercase(),
                    "mdc_code": code, "mdc": mdc, "loinc": loinc, "value": value, "ucum": ucum,
                    "status": what.status, "nature": "measurement", "at": [0, 1],
                })
            })
            .collect();
        let patient = what
            .patient
            .map_or(Json::Null, |id| json!({ "ids": [{ "id": id, "authority": "1.2.246.21" }] }));
        let data = json!({
            "mode": "production", "patient": patient, "raw_sha256": "ab".repeat(32),
            "association": { "place": null, "grade": "configuration", "ledger": 3 },
            "profile": { "id": "made/up", "revision": 1, "digest": "cd".repeat(32) },
            "times": {
                "device": null,
                "received": { "utc": "2026-11-20T08:10:12.000000Z", "clock": "synchronised" },
                "corrected": null,
                "chart": { "utc": "2026-11-20T08:10:10.000000Z", "rule": "received" },
            },
            "metrics": metrics,
        });
        let stored = Stored {
            kind,
            time: "2026-11-20T08:10:10.000000Z".to_owned(),
            subject: "bed-3-monitor".to_owned(),
            routes: BTreeMap::from([("fhir".to_owned(), 0)]),
            data: data.as_object().unwrap().clone(),
        };
        let routed = Routed {
            stored,
            stream: self.stream,
            sequence: Sequence::new(number).unwrap(),
            time_us: 1_795_162_212_000_000,
            destination: "fhir".to_owned(),
            source: house::SOURCE.to_owned(),
        };
        let Rendering::Resources(outgoing) = render(&routed, &rules()) else {
            panic!("it is rendered");
        };
        (number, Arc::from(outgoing))
    }
}

/// LOINC, MDC, its code, value, UCUM.
type Value = (&'static str, &'static str, u32, &'static str, &'static str);

#[derive(Clone)]
struct What {
    values: Vec<Value>,
    status: &'static str,
    patient: Option<&'static str>,
}

const PULSE: Value = ("8867-4", "MDC_ECG_HEART_RATE", 147_842, "080", "/min");
const TEMPERATURE: Value = ("8310-5", "MDC_TEMP_BODY", 150_364, "37.10", "Cel");
const PRESSURE: [Value; 3] = [
    ("8480-6", "MDC_PRESS_BLD_NONINV_SYS", 150_021, "120", "mm[Hg]"),
    ("8462-4", "MDC_PRESS_BLD_NONINV_DIA", 150_022, "80.0", "mm[Hg]"),
    ("8478-0", "MDC_PRESS_BLD_NONINV_MEAN", 150_023, "93", "mm[Hg]"),
];

/// What has to stand in the end, by observation id: status, value, subject.
type Expected = BTreeMap<String, (&'static str, &'static str, Option<&'static str>)>;

/// The statements about one set, and what stands in the end.
fn story(world: &mut World, random: &mut XorShift, expected: &mut Expected) -> Vec<Arc<Outgoing>> {
    let values = match random.below(3) {
        0 => vec![PULSE],
        1 => PRESSURE.to_vec(),
        _ => vec![PULSE, TEMPERATURE, PRESSURE[0], PRESSURE[1]],
    };
    let patient = [None, Some(PATIENTS[0]), Some(PATIENTS[1])][random.below(3)];
    let status = ["not-stated", "final", "unverified"][random.below(3)];
    let mut what = What { values, status, patient };
    let (first, outgoing) = world.record(EventKind::Observation, None, &what);
    let mut statements = vec![outgoing];
    let mut last = if status == "final" { "final" } else { "preliminary" };
    for _ in 0..random.below(4) {
        let kind = [EventKind::Confirmation, EventKind::Correction, EventKind::Void];
        let kind = kind[random.below(3)];
        if kind == EventKind::Correction {
            what.values[0].3 = ["81", "081.50", "-0.0"][random.below(3)];
            what.status = ["final", "corrected", "unverified"][random.below(3)];
            last = match what.status {
                "final" => "amended",
                "corrected" => "corrected",
                _ => "preliminary",
            };
        } else if kind == EventKind::Void {
            last = "entered-in-error";
        } else {
            last = "final";
        }
        statements.push(world.record(kind, Some(first), &what).1);
    }
    let id = RecordId::of(world.stream, Sequence::new(first).unwrap());
    for (index, value) in what.values.iter().enumerate() {
        expected.insert(format!("{id}.{index}"), (last, value.3, patient));
    }
    statements
}

/// JSON's number for a text of the device: no leading zeros, every other digit.
fn number(text: &str) -> &str {
    match text {
        "080" => "80",
        "081.50" => "81.50",
        other => other,
    }
}

fn compare(server: &FhirServer, expected: &Expected) {
    let held = server.held("Observation");
    assert_eq!(held.len(), expected.len(), "one for each observation id");
    for (id, (status, value, patient)) in expected {
        let resource = held.get(id).unwrap_or_else(|| panic!("{id} is there"));
        assert_eq!(resource["status"], *status, "{id}");
        assert_eq!(resource["subject"]["identifier"]["value"].as_str(), *patient, "{id}");
        if *status == "entered-in-error" {
            // What is withdrawn keeps the values that stood when it was withdrawn.
            continue;
        }
        let text = resource.to_string();
        assert!(text.contains(&format!("\"valueString\":\"{value}\"")), "{id} {value}: {text}");
    }
    // The digits, in the text that the server holds, and the subject through all versions.
    for versions in server.versions("Observation").into_values() {
        let subject = |text: &String| -> Json {
            serde_json::from_str::<Json>(text).unwrap()["subject"].clone()
        };
        let first = subject(&versions[0]);
        assert!(versions.iter().all(|version| subject(version) == first), "{versions:?}");
        let last = versions.last().unwrap();
        for sent in ["080", "37.10", "80.0", "081.50", "-0.0"] {
            let marked = format!("\"valueString\":\"{sent}\"}}],\"value\":{}", number(sent));
            let stated = last.matches(&format!("\"valueString\":\"{sent}\"")).count();
            assert_eq!(last.matches(&marked).count(), stated, "{sent}: {last}");
        }
    }
}

fn shuffled<T>(mut items: Vec<T>, random: &mut XorShift) -> Vec<T> {
    for index in (1..items.len()).rev() {
        items.swap(index, random.below(index + 1));
    }
    items
}

#[test]
fn the_last_statement_stands_in_whatever_order_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let server = FhirServer::start(&folder.path().join("store"), 0, &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (fhir, http) = fhir(&server);
    let mut random = XorShift::seeded("fhir_orders");
    let mut world = World { stream: StreamId::from_bytes([0x1f; 16]), next: 1 };
    let mut expected = Expected::new();
    for _ in 0..ORDERS {
        let mut records = Vec::new();
        for _ in 0..3 {
            records.extend(story(&mut world, &mut random, &mut expected));
        }
        // Some come twice.
        let twice = records.iter().filter(|_| random.below(3) == 0).cloned().collect::<Vec<_>>();
        records.extend(twice);
        let records = shuffled(records, &mut random);
        let verdicts = runtime.block_on(fhir.hand_over(&http, records)).unwrap();
        assert!(verdicts.iter().all(|one| *one == Verdict::Accepted), "{verdicts:?}");
    }
    compare(&server, &expected);
    server.judged("fhir_orders");
}

#[test]
fn what_changes_between_reading_and_writing_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = FhirServer::start(&folder.path().join("store"), 0, &["--meddle", "1"]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (fhir, http) = fhir(&server);
    let mut world = World { stream: StreamId::from_bytes([0x2f; 16]), next: 1 };
    let what = What { values: vec![PULSE], status: "final", patient: None };
    let (first, stated) = world.record(EventKind::Observation, None, &what);
    let (_, void) = world.record(EventKind::Void, Some(first), &what);
    let hand_over = |records| runtime.block_on(fhir.hand_over(&http, records)).unwrap();
    assert_eq!(hand_over(vec![stated]), [Verdict::Accepted]);
    let refused = hand_over(vec![void.clone()]);
    let code = "fhir-412-conflict".to_owned();
    assert_eq!(refused, [Verdict::Refused { code, permanent: false }]);
    assert_eq!(hand_over(vec![void]), [Verdict::Accepted]);
    let held = server.held("Observation");
    assert_eq!(held["2f2f2f2f-1.0"]["status"], "entered-in-error");
}

#[test]
fn no_subject_is_changed_and_no_set_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    let server = FhirServer::start(&folder.path().join("store"), 0, &[]);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (fhir, http) = fhir(&server);
    let mut world = World { stream: StreamId::from_bytes([0x3f; 16]), next: 1 };
    let hand_over = |records| runtime.block_on(fhir.hand_over(&http, records)).unwrap();
    let code = |verdict: &Verdict| match verdict {
        Verdict::Accepted => String::new(),
        Verdict::Refused { code, permanent } => format!("{code} {permanent}"),
    };
    let what = What { values: PRESSURE.to_vec(), status: "final", patient: Some(PATIENTS[0]) };
    let (first, stated) = world.record(EventKind::Observation, None, &what);
    let other = What { patient: Some(PATIENTS[1]), ..what.clone() };
    let (_, moved) = world.record(EventKind::Correction, Some(first), &other);
    let part = What { values: vec![PRESSURE[0]], ..what.clone() };
    let (_, torn) = world.record(EventKind::Correction, Some(first), &part);
    let verdicts = hand_over(vec![stated, moved, torn]);
    let said: Vec<String> = verdicts.iter().map(code).collect();
    assert_eq!(said, ["", "would-change-the-subject true", "states-a-part-of-a-set true"]);
    // What was nobody's becomes somebody's, under the same id.
    let nobody = What { patient: None, values: vec![PULSE], status: "preliminary" };
    let (number, unknown) = world.record(EventKind::Observation, None, &nobody);
    let scanned = What { patient: Some(PATIENTS[0]), ..nobody.clone() };
    let (_, found) = world.record(EventKind::Correction, Some(number), &scanned);
    let said: Vec<String> = hand_over(vec![unknown, found]).iter().map(code).collect();
    assert_eq!(said, ["", ""]);
    let held = server.held("Observation");
    assert_eq!(held["3f3f3f3f-4.0"]["subject"]["identifier"]["value"], PATIENTS[0]);
    // A part that came first: the set is refused, and seen, rather than half of it lost.
    let (number, whole) = world.record(EventKind::Observation, None, &what);
    let (_, part) = world.record(EventKind::Correction, Some(number), &part);
    let said: Vec<String> = hand_over(vec![part, whole]).iter().map(code).collect();
    assert_eq!(said, ["", "a-part-of-the-set-stands-alone true"]);
    let held = server.held("Observation");
    assert_eq!(held["3f3f3f3f-1.0"]["subject"]["identifier"]["value"], PATIENTS[0]);
    assert_eq!(held["3f3f3f3f-1.1"]["status"], "final");
}
