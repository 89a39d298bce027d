//! What waits for a person is carried forward until a person ends it, and no longer.

mod house;

use house::mllp::{Mllp, Vital, vital};
use house::{House, Plan, TCP_SERVER, device};
use serde_json::Value as Json;
use wardgate::gateway::keeping::Kept;
use wardgate::journal::Kind;

const SEGMENT_BYTES: u64 = 32 << 10;

/// One monitor whose firmware nobody has tested, and one that fills the journal.
fn plan() -> Plan {
    let devices = device("held", "generic/pcd-01", "PCD-01 9.9", TCP_SERVER)
        + &device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    let gateway = format!(
        "segment_bytes = {SEGMENT_BYTES}\n[gateway.retention]\nbytes = {}",
        40 * SEGMENT_BYTES
    );
    Plan { gateway, ..Plan::of(devices) }
}

fn send(house: &mut House, device: &str, from: u32, count: u32) {
    let mut client = Mllp::connect(house.listening(device)).unwrap();
    for number in from..from + count {
        let time = format!("20261120{:02}{:02}{:02}", number / 3600, number / 60 % 60, number % 60);
        let control_id = number.to_string();
        let (sent, time, patient) = (time.as_str(), time.as_str(), "P-1");
        let message =
            vital(Vital { sent, control_id: &control_id, time, patient, heart_rate: "61" });
        // Little room: it is taken a little later.
        house.wait("it is acknowledged", |_| client.ask(&message).unwrap().code == "AA");
    }
}

/// Sends until the oldest segments are freed up to this record.
fn fill_until_freed(house: &mut House, sent: &mut u32, sequence: u64) {
    house.wait("its segment is freed", |house| {
        send(house, "monitor", *sent, 50);
        *sent += 50;
        house.settle();
        first(house) > sequence
    });
}

fn first(house: &House) -> u64 {
    house.journal_records().first().map_or(0, |record| record.sequence.number())
}

/// Which records are carried now, by their own sequence.
fn carried(house: &House) -> Vec<u64> {
    let records = house.journal_records();
    let kept = records.iter().filter(|one| one.kind == Kind::Carried);
    kept.filter_map(|one| Kept::from_carried(&one.payload))
        .map(|one| one.sequence.number())
        .collect()
}

fn listed(house: &mut House) -> Vec<Json> {
    let mut rows = Vec::new();
    house.wait("the list is whole", |house| {
        let output = house.verb(&["unresolved", "list", "--json"]);
        let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
        rows = answer["records"].as_array().unwrap().clone();
        output.status.success() && answer["complete_through"] == answer["durable"]
    });
    rows
}

#[test]
fn a_held_record_is_carried_until_a_person_ends_it() {
    let mut house = House::open(plan());
    send(&mut house, "held", 0, 2);
    let rows = listed(&mut house);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|row| row["held"][0] == "firmware-not-proven"));
    let id = |row: &Json| row["record"].as_str().unwrap().to_owned();
    let (kept, ended) = (id(&rows[0]), id(&rows[1]));
    let sequence = |row: &Json| row["sequence"].as_u64().unwrap();
    let (kept_at, ended_at) = (sequence(&rows[0]), sequence(&rows[1]));
    let mut sent = 0;
    fill_until_freed(&mut house, &mut sent, kept_at.max(ended_at));
    let now = carried(&house);
    for one in [kept_at, kept_at - 1, ended_at, ended_at - 1] {
        assert!(now.contains(&one), "{one} and its message in {now:?}");
    }
    assert_eq!(listed(&mut house).len(), 2, "also where they are carried");

    // What is refused changes nothing.
    for (words, expected) in [
        (&["--reason", "of 131052-308T", "--by", "K. Nurse"][..], "personal identity code"),
        (&["--reason", "a test", "--by", "131052-308T"], "personal identity code"),
        (&["--reason", " ", "--by", "K. Nurse"], "expected 1 to 400 letters"),
        (&["--reason", "a test", "--by", &"x".repeat(81)], "expected 1 to 80 letters"),
    ] {
        let output = house.verb(&[&["unresolved", "end", &ended], words].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(expected), "{said}");
        assert!(!said.contains("308T"), "{said}");
    }
    let end = |house: &House, id: &str| {
        let words = ["unresolved", "end", id, "--reason", "a trial of the new pump", "--by", "KN"];
        house.verb(&words)
    };
    let output = end(&house, "no-record");
    assert!(!output.status.success() && !output.stderr.is_empty());

    let output = end(&house, &ended);
    assert!(output.status.success(), "{output:?}");
    println!("{}", String::from_utf8(output.stdout).unwrap());
    let records = house.journal_records();
    let said: Vec<Json> = records
        .iter()
        .filter(|one| one.kind == Kind::SetAside)
        .map(|one| serde_json::from_slice(&one.payload).unwrap())
        .collect();
    assert_eq!(said.len(), 1);
    assert_eq!(said[0]["ended"], serde_json::json!([ended_at, ended_at - 1]), "with its message");
    assert_eq!(
        (&said[0]["by"], &said[0]["reason"]),
        (&"KN".into(), &"a trial of the new pump".into())
    );
    let rows = listed(&mut house);
    assert_eq!(rows.iter().map(id).collect::<Vec<_>>(), std::slice::from_ref(&kept));
    let again = end(&house, &ended);
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(!again.status.success() && said.contains("is ended already"), "{said}");

    // Also after a kill: when the segments of today's copies are freed, only the other is carried.
    let durable = house.status().journal.durable;
    house.kill_nine();
    house.start();
    fill_until_freed(&mut house, &mut sent, durable);
    let now = carried(&house);
    assert!(now.contains(&kept_at) && now.contains(&(kept_at - 1)), "{now:?}");
    assert!(!now.contains(&ended_at) && !now.contains(&(ended_at - 1)), "{now:?}");
    let rows = listed(&mut house);
    assert_eq!(rows.iter().map(id).collect::<Vec<_>>(), [kept], "{rows:?}");
    assert_eq!(house.stop().code(), Some(0));
}
