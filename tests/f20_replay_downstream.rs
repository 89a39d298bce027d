//! Row 20: what is sent again has the same id and the same bytes, as MQTT user property, as
//! correlation data and in the payload; a receiver that knows duplicates by stream and sequence
//! stores it once, and one that does not stores it as often as it came.

mod house;

use std::collections::BTreeMap;

use house::mllp::{Mllp, Vital, vital};
use house::receiver::{Answers, Receiver};
use house::{House, Plan, TCP_SERVER, device};

const RECORDS: usize = 5;

fn replayed(filter: &'static [&'static str]) -> (House, Receiver) {
    let monitor = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    let mut house = House::build(Plan { core: filter, ..Plan::of(monitor) });
    let ear = Receiver::start(house.core_port(), "ear", Answers::Nothing);
    house.start();
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    for number in 0..RECORDS {
        let (control_id, time) = (number.to_string(), format!("2026112010101{number}"));
        let (sent, patient, heart_rate) = (time.as_str(), "P-1", "61");
        let message =
            vital(Vital { sent, control_id: &control_id, time: &time, patient, heart_rate });
        assert_eq!(client.ask(&message).unwrap().code, "AA");
    }
    house.observations("monitor", RECORDS);
    house.settle();
    let before = ear.heard().len();
    let last = house.status().journal.durable.to_string();
    let said =
        house.verb(&["journal", "resend", "--destination", "core", "--from", "1", "--to", &last]);
    assert!(said.status.success(), "{said:?}");
    let text = String::from_utf8(said.stdout).unwrap();
    assert!(text.starts_with(&format!("{before} records are sent to core again:")), "{text}");
    house.wait("all of it comes again", |_| ear.heard().len() >= 2 * before);
    house.settle();
    (house, ear)
}

fn check_bytes(ear: &Receiver) {
    let mut first = BTreeMap::new();
    let mut again = 0;
    for heard in ear.heard() {
        assert_eq!(heard.correlation, heard.id.as_bytes());
        let payload: serde_json::Value = serde_json::from_slice(&heard.payload).unwrap();
        assert_eq!(payload["id"], *heard.id);
        match first.get(&heard.sequence) {
            None => drop(first.insert(heard.sequence, heard)),
            Some(known) => {
                assert_eq!(known, &heard, "the same topic, id and bytes");
                again += 1;
            }
        }
    }
    assert!(again >= RECORDS, "{again} came again");
}

#[test]
fn f20_with_the_receivers_filter_the_effect_is_exactly_once() {
    let (house, ear) = replayed(&[]);
    check_bytes(&ear);
    assert_eq!(house.stored_of("observation", "monitor").len(), RECORDS);
}

#[test]
fn f20_without_it_the_same_record_is_stored_twice() {
    let (house, ear) = replayed(&["--filter", "off"]);
    check_bytes(&ear);
    let stored = house.stored_of("observation", "monitor");
    assert_eq!(stored.len(), 2 * RECORDS);
    for pair in stored.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
}
