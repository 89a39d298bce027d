//! Promises 1 and 2 where something comes twice: a reading that is the same is still a reading, a
//! message that is sent again is one message, and a result stated for somebody else is a new
//! statement that names the first.

mod house;

use house::lis01::{ACK, Analyser, ENQ, EOT, frame, ph_result};
use house::mllp::{Mllp, Vital, vital};
use house::pty::Line;
use house::{House, Plan, TCP_SERVER, device, oximeter, value};
use serde_json::Value as Json;

const COMPLETED: &str = "20261120101010";

#[test]
fn three_equal_readings_of_a_clockless_oximeter_are_three() {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("oximeter");
    let mut line = Line::plug(&port);
    let serial = format!("serial = \"{}\"", port.display());
    let mut house = House::open(Plan::of(device("oximeter", "nordpuls/po-100", "2.2", &serial)));
    house.wait("the port is open", |_| line.is_open());
    for _ in 0..3 {
        assert!(line.send(&oximeter::line("97", "60", "2.5")).unwrap());
    }
    let records = house.observations("oximeter", 3);
    let saturations: Vec<String> = records.iter().map(|one| value(one, "spo2")).collect();
    assert_eq!(saturations, ["97", "97", "97"]);
    assert_eq!(house.device("oximeter").repeats, 0);
}

fn with_analyser() -> (House, Analyser) {
    let mut house = House::open(Plan::of(device("bg", "laborin/bg-7", "1.8.2", TCP_SERVER)));
    let address = house.listening("bg");
    (house, Analyser::connect(address).unwrap())
}

/// Sends all but the last frame's end of a transmission, and that one without waiting.
fn transmit_without_last_answer(analyser: &mut Analyser, records: &[String]) -> Vec<u8> {
    assert_eq!(analyser.ask(&[ENQ]).unwrap(), ACK);
    let mut last = Vec::new();
    for (index, record) in records.iter().enumerate() {
        last = frame(index + 1, record.as_bytes());
        if index + 1 < records.len() {
            assert_eq!(analyser.ask(&last).unwrap(), ACK);
        } else {
            analyser.send(&last).unwrap();
        }
    }
    last
}

/// What the core has of the analyser once the house has stopped, and the repeats in the journal.
fn outcome(mut house: House, device: &str) -> (Vec<Json>, usize) {
    house.settle();
    let records = house.stored_of("observation", device);
    assert_eq!(house.stop().code(), Some(0));
    let wires = house.wires(device);
    (records, wires.iter().filter(|(head, _)| head["repeat_of"].is_u64()).count())
}

#[test]
fn a_last_frame_sent_again_after_a_lost_ack_is_one_result() {
    let (mut house, mut analyser) = with_analyser();
    let records = ph_result("P-1", "S-1", "7.41", COMPLETED);
    let last = transmit_without_last_answer(&mut analyser, &records);
    // The answer is lost on the line: the sender takes it from the wire and does not see it.
    assert_eq!(analyser.answer().unwrap(), ACK);
    assert_eq!(analyser.ask(&last).unwrap(), ACK, "the same frame is acknowledged again");
    analyser.send(&[EOT]).unwrap();
    house.observations("bg", 1);
    let (records, _) = outcome(house, "bg");
    assert_eq!(records.len(), 1);
    assert_eq!(value(&records[0], "ph-blood"), "7.41");
}

#[test]
fn a_message_sent_again_in_a_new_session_is_one_result_and_a_counted_repeat() {
    let (mut house, mut analyser) = with_analyser();
    let records = ph_result("P-1", "S-1", "7.41", COMPLETED);
    transmit_without_last_answer(&mut analyser, &records);
    // The connection goes before the answer comes; the sender has to take it for not delivered.
    drop(analyser);
    house.observations("bg", 1);
    let mut again = Analyser::connect(house.listening("bg")).unwrap();
    assert!(again.transmit(&records).unwrap());
    house.wait("the repeat is counted", |house| house.device("bg").repeats == 1);
    // The header's own time differs in yet another session.
    let mut later = records.clone();
    later[0] = later[0].replace(COMPLETED, "20261120101559");
    assert!(again.transmit(&later).unwrap());
    house.wait("the second repeat is counted", |house| house.device("bg").repeats == 2);
    let (stored, repeats) = outcome(house, "bg");
    assert_eq!((stored.len(), repeats), (1, 2));
}

#[test]
fn the_same_result_for_another_patient_names_the_first_record() {
    let (mut house, mut analyser) = with_analyser();
    assert!(analyser.transmit(&ph_result("P-1", "S-1", "7.41", COMPLETED)).unwrap());
    assert!(analyser.transmit(&ph_result("P-2", "S-1", "7.41", COMPLETED)).unwrap());
    let records = house.observations("bg", 2);
    let patients: Vec<&Json> =
        records.iter().map(|one| &one["data"]["patient_ids_stated_by_device"][0]["id"]).collect();
    assert_eq!(patients, ["P-1", "P-2"]);
    assert!(records[0]["data"].get("names").is_none());
    assert_eq!(records[1]["data"]["names"], records[0]["id"]);
    assert_eq!(outcome(house, "bg").1, 0, "a correction is no repeat");
}

/// To another patient and back: the third message equals the first byte for byte, and is still a
/// statement of its own. Taken for a repeat it would leave the result with the wrong patient.
#[test]
fn a_correction_that_is_taken_back_is_a_third_record() {
    let (mut house, mut analyser) = with_analyser();
    for patient in ["P-1", "P-2", "P-1"] {
        assert!(analyser.transmit(&ph_result(patient, "S-1", "7.41", COMPLETED)).unwrap());
    }
    let records = house.observations("bg", 3);
    assert_eq!(records[1]["data"]["names"], records[0]["id"]);
    assert_eq!(records[2]["data"]["names"], records[1]["id"]);
    assert_eq!(records[2]["data"]["patient_ids_stated_by_device"][0]["id"], "P-1");
    house.kill_nine();
    house.start();
    // Whether it is known after a power cut, too: this one repeats the last, the other one does
    // not.
    let mut analyser = Analyser::connect(house.listening("bg")).unwrap();
    for patient in ["P-1", "P-2"] {
        assert!(analyser.transmit(&ph_result(patient, "S-1", "7.41", COMPLETED)).unwrap());
    }
    let records = house.observations("bg", 4);
    assert_eq!(records[3]["data"]["names"], records[2]["id"]);
    assert_eq!(outcome(house, "bg").1, 1);
}

#[test]
fn what_repeats_are_recognised_by_survives_a_power_cut() {
    let (mut house, mut analyser) = with_analyser();
    assert!(analyser.transmit(&ph_result("P-1", "S-1", "7.41", COMPLETED)).unwrap());
    house.kill_nine();
    house.start();
    let mut analyser = Analyser::connect(house.listening("bg")).unwrap();
    assert!(analyser.transmit(&ph_result("P-1", "S-1", "7.41", COMPLETED)).unwrap());
    assert!(analyser.transmit(&ph_result("P-2", "S-1", "7.41", COMPLETED)).unwrap());
    let records = house.observations("bg", 2);
    assert_eq!(records[1]["data"]["names"], records[0]["id"]);
    let (records, repeats) = outcome(house, "bg");
    assert_eq!((records.len(), repeats), (2, 1));
}

#[test]
fn the_same_hl7_message_under_another_control_id_is_one() {
    let plan = Plan::of(device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER));
    let mut house = House::open(plan);
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    let first = Vital {
        sent: "20261120101011",
        control_id: "1",
        time: "20261120101010",
        patient: "P-1",
        heart_rate: "61",
    };
    let again = Vital { sent: "20261120101511", control_id: "2", ..first };
    let other = Vital { control_id: "3", time: "20261120101110", ..first };
    for one in [first, again, other] {
        let answer = client.ask(&vital(one)).unwrap();
        assert_eq!((&answer.code[..], &answer.control_id[..]), ("AA", one.control_id));
    }
    house.observations("monitor", 2);
    let (records, repeats) = outcome(house, "monitor");
    assert_eq!((records.len(), repeats), (2, 1));
    assert!(records.iter().all(|one| value(one, "heart-rate") == "61"));
}
