use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use wardgate::forward::hl7v2::map::Map;
use wardgate::forward::hl7v2::render::{Outcome, render};
use wardgate::forward::pump::Routed;
use wardgate::forward::stored::{EventKind, Stored};
use wardgate::gateway::configuration::load_vocabulary;
use wardgate::vocabulary::{Sequence, StreamId};

use super::*;

const SEEDS: u64 = 300;

/// Small, fast, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn map() -> Map {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let words = Arc::new(load_vocabulary(&root.join("device-profiles")).unwrap());
    let text = std::fs::read_to_string(root.join("destination-maps/pcd-01.toml")).unwrap();
    Map::read(&text, &words).unwrap()
}

/// A record of two values; `of` is the record that first stated them.
fn message(
    map: &Map,
    kind: EventKind,
    sequence: u64,
    of: u64,
    value: &str,
    status: &str,
) -> Message {
    let metric = |index: usize, parameter: &str, code: u32, mdc: &str| {
        let of = wardgate::vocabulary::RecordId::of(STREAM, Sequence::new(of).unwrap());
        json!({ "observation_id": format!("{of}.{index}"), "parameter": parameter,
            "mdc_code": code, "mdc": mdc, "value": value, "status": status })
    };
    let data = json!({
        "mode": "production", "patient": null, "patient_absent": "not-associated",
        "times": {"chart": {"utc": "2026-11-20T08:10:12.000000Z", "rule": "received"}},
        "metrics": [metric(0, "spo2", 150456, "MDC_PULS_OXIM_SAT_O2"),
            metric(1, "pulse-rate-pleth", 149530, "MDC_PULS_OXIM_PULS_RATE")],
    });
    let Json::Object(data) = data else { unreachable!("an object") };
    let stored = Stored {
        kind,
        time: "2026-11-20T08:10:12.000000Z".to_owned(),
        subject: "bed-1".to_owned(),
        routes: BTreeMap::from([("core".to_owned(), 0)]),
        data,
    };
    let routed = Routed {
        stored,
        stream: STREAM,
        sequence: Sequence::new(sequence).unwrap(),
        time_us: 1_795_162_212_000_000,
        destination: "core".to_owned(),
        source: "urn:uuid:1".to_owned(),
    };
    let outcome = render(map, &routed);
    let Outcome::Message(bytes) = outcome else { panic!("{outcome:?}") };
    Message::read(&bytes).unwrap()
}

const STREAM: StreamId = StreamId::from_bytes([0x1f; 16]);

/// "After stream, correction and retraction, the stand-in HL7 core holds one observation per
/// observation id with the right last status, in whatever order the messages came."
#[test]
fn one_observation_per_id_with_the_last_status_in_whatever_order_messages_come() {
    let map = map();
    let (stream, fixed) = (EventKind::Observation, EventKind::Correction);
    let mut sent = Vec::new();
    // Forty readings; every second is corrected, every fourth of those withdrawn afterwards.
    let mut expected = BTreeMap::new();
    for of in 1..=40 {
        sent.push(message(&map, stream, of, of, &of.to_string(), "preliminary"));
        expected.insert(of, (of.to_string(), "P"));
    }
    for of in (2..=40).step_by(2) {
        sent.push(message(&map, fixed, 100 + of, of, &(1000 + of).to_string(), "corrected"));
        expected.insert(of, ((1000 + of).to_string(), "C"));
    }
    for of in (4..=40).step_by(4) {
        sent.push(message(&map, fixed, 200 + of, of, &(1000 + of).to_string(), "withdrawn"));
        expected.insert(of, ((1000 + of).to_string(), "W"));
    }
    for seed in 1..=SEEDS {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut order = sent.clone();
        // Some come twice.
        for _ in 0..20 {
            let again = order[random.below(order.len())].clone();
            order.push(again);
        }
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        let mut observations = Observations::default();
        order.iter().for_each(|message| observations.apply(message));
        let lines = observations.lines();
        assert_eq!(lines.len(), 2 * expected.len(), "seed {seed}");
        for line in &lines {
            let of = line["id"][0].as_str().unwrap().split(['-', '^']).nth(1).unwrap();
            let of = u64::from_str_radix(of, 36).unwrap();
            let (value, status) = &expected[&of];
            let got = (line["value"].as_str().unwrap(), line["status"].as_str().unwrap());
            assert_eq!(got, (value.as_str(), *status), "seed {seed}: {line}");
        }
    }
}

#[test]
fn what_is_stored_comes_back_and_a_torn_line_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("messages");
    let map = map();
    let one = message(&map, EventKind::Observation, 1, 1, "97", "final");
    Store::open(&path).unwrap().keep(one.clone()).unwrap();
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"control_id\":\"1f");
    std::fs::write(&path, text).unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.messages(), [one]);
    assert_eq!(Message::read(b"garbage"), None);
    assert_eq!(Message::read(b"MSH|^~\\&|A\r"), None);
}
