//! What is known of a device's clock outlives a restart: with a clock that is an hour ahead, data
//! of half an hour ago have a time that lies in the future, and are old all the same.

mod house;

use house::mllp::{Mllp, Vital, vital};
use house::{House, Plan, TCP_SERVER, device};
use serde_json::Value as Json;

const HOUR_S: i64 = 3600;

/// The device's time so many seconds ahead of the box's, as HL7 writes it.
fn ahead_by(seconds: i64) -> String {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    time.strftime("%Y%m%d%H%M%S+0000").to_string()
}

fn sends(house: &mut House, control_id: &str, heart_rate: &str, seconds: i64) -> Json {
    let before = house.stored_of("observation", "monitor").len();
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    let (sent, time) = (&*ahead_by(seconds), &*ahead_by(seconds));
    let message = vital(Vital { sent, control_id, time, patient: "P-1", heart_rate });
    assert_eq!(client.ask(&message).unwrap().code, "AA");
    house.observations("monitor", before + 1).pop().unwrap()
}

fn rule(record: &Json) -> &str {
    record["data"]["times"]["chart"]["rule"].as_str().unwrap()
}

#[test]
fn a_clock_that_is_ahead_passes_no_old_data_as_live_after_a_restart() {
    let monitor = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    let mut house = House::open(Plan::of(monitor));
    for number in 0..3 {
        let live = sends(&mut house, &format!("L-{number}"), &format!("6{number}"), HOUR_S);
        assert_eq!(rule(&live), "received");
    }
    let old = sends(&mut house, "O-1", "71", HOUR_S / 2);
    assert_eq!(rule(&old), "device-unproven", "half an hour old by the device's own clock");
    // Once from the newest records, and once from the checkpoint that the start before has written.
    for round in 0..2 {
        house.kill_nine();
        house.start();
        let old = sends(&mut house, &format!("O-2{round}"), &format!("8{round}"), HOUR_S / 2);
        assert_eq!(rule(&old), "device-unproven", "after {round} restarts more");
    }
    let live = sends(&mut house, "L-9", "69", HOUR_S);
    assert_eq!(rule(&live), "received");
}
