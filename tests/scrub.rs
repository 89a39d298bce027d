//! Old segments are read again while the house runs: damage is told to every destination and to
//! whoever looks, before somebody needs the records.

mod house;

use std::os::unix::fs::FileExt as _;

use house::mllp::{Mllp, Vital, vital};
use house::{House, Plan, TCP_SERVER, device};
use wardgate::journal::Journal;

const SEGMENT_BYTES: u64 = 32 << 10;

fn gaps(house: &House, device: &str) -> Vec<String> {
    let gaps = house.stored_of("gap", device);
    let damaged = gaps.iter().filter(|gap| gap["data"]["cause"] == "journal-damaged");
    damaged.map(|gap| gap["data"]["phase"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn damage_in_a_sealed_segment_is_found_told_and_counted() {
    let devices = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
        + &device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let gateway = format!("segment_bytes = {SEGMENT_BYTES}");
    let mut house = House::open(Plan { gateway, ..Plan::of(devices) });
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    let mut number = 0;
    while house.status().journal.segments < 50 {
        for _ in 0..50 {
            let time =
                format!("20261120{:02}{:02}{:02}", number / 3600, number / 60 % 60, number % 60);
            let control_id = number.to_string();
            let (sent, time, patient) = (time.as_str(), time.as_str(), "P-1");
            let message =
                vital(Vital { sent, control_id: &control_id, time, patient, heart_rate: "61" });
            assert_eq!(client.ask(&message).unwrap().code, "AA");
            number += 1;
        }
    }
    house.settle();
    assert_eq!(house.stop().code(), Some(0));

    // A byte in the middle of a segment that is sealed, while the house runs.
    let (reader, _) = Journal::open_read_only(&house.journal()).unwrap();
    let segments = reader.segments();
    let segment = &segments[segments.len() - 5];
    house.start();
    let scrub = house.status().scrub.expect("a scrub");
    assert!(scrub.position < segment.first.number(), "it is not there yet: {scrub:?}");
    let path = house.journal().join(segment.file_name());
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let (at, mut byte) = (SEGMENT_BYTES / 2, [0]);
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();

    house.wait("it is found", |house| house.status().scrub.unwrap().damaged_ranges > 0);
    let scrub = house.status().scrub.unwrap();
    assert_eq!((scrub.damaged_ranges, scrub.read_failures), (1, 0), "{scrub:?}");
    assert!((1..=2).contains(&scrub.lost_records), "{scrub:?}");
    for device in ["monitor", "oximeter"] {
        house.wait("the core is told", |house| gaps(house, device) == ["began", "ended"]);
    }
    let said = String::from_utf8(house.verb(&["status"]).stdout).unwrap();
    println!("{said}");
    assert!(said.contains("ATTENTION the journal is damaged in 1 places"), "{said}");
    house.wait("the pass ends", |house| house.status().scrub.unwrap().passes == 1);
    assert_eq!(house.status().scrub.unwrap().position, 0);
    // Devices are taken as before, and nobody is told twice.
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    let (sent, control_id, time, patient) = ("20261121080000", "again", "20261121080000", "P-1");
    let message = vital(Vital { sent, control_id, time, patient, heart_rate: "61" });
    assert_eq!(client.ask(&message).unwrap().code, "AA");
    house.caught_up();
    assert_eq!(gaps(&house, "monitor").len(), 2);
    assert_eq!(house.stop().code(), Some(0));
}
