//! A region's worth of boxes in small: two gateways on one Mosquitto, a core of three consumers on a
//! shared subscription. Each consumer answers for what it stored; together they have everything,
//! and the order comes back by stream and sequence. See docs/region.md.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use house::mllp::{Mllp, Vital, vital};
use house::region::{Mosquitto, Running, consumer, stored};
use house::{House, Plan, TCP_SERVER, device, judges};

const GATEWAYS: [&str; 2] = ["box-1", "box-2"];
const CONSUMERS: [&str; 3] = ["core-1", "core-2", "core-3"];
const MESSAGES: usize = 120;

fn gateway(name: &'static str, port: u16) -> House {
    let destinations = Some(format!(
        "[[destination]]\nname = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n\
         mqtt = {{ host = \"127.0.0.1\", port = {port}, \
         receivers = [\"core-1\", \"core-2\", \"core-3\"], resend_after_s = 1 }}\n"
    ));
    let devices = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    House::open(Plan { destinations, name, ..Plan::of(devices) })
}

fn send(house: &mut House, patient: &str) {
    let mut monitor = Mllp::connect(house.listening("monitor")).unwrap();
    for number in 0..MESSAGES {
        let time = format!("2026112308{:02}{:02}+0200", number / 60, number % 60);
        let message = vital(Vital {
            sent: &time,
            control_id: &number.to_string(),
            time: &time,
            patient,
            heart_rate: &(60 + number % 40).to_string(),
        });
        assert_eq!(monitor.ask(&message).unwrap().code, "AA");
    }
}

/// Stream to sequence and heart rate, from all stores together.
fn together(stores: &[PathBuf]) -> BTreeMap<String, BTreeMap<u64, String>> {
    let mut found: BTreeMap<String, BTreeMap<u64, String>> = BTreeMap::new();
    for record in stores.iter().flat_map(|store| stored(store)) {
        if record["type"] == "fi.wardgate.observation.v1" {
            let stream = record["data"]["stream"].as_str().unwrap().to_owned();
            let sequence = record["data"]["sequence"].as_u64().unwrap();
            let rate = record["data"]["metrics"][0]["value"].as_str().unwrap().to_owned();
            found.entry(stream).or_default().insert(sequence, rate);
        }
    }
    found
}

#[test]
fn three_consumers_share_the_records_of_two_gateways_and_order_comes_back_by_sequence() {
    let Some(mosquitto) = judges::mosquitto("region") else { return };
    let Some(python) = judges::python("region") else { return };
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(&mosquitto, folder.path());
    let stores: Vec<PathBuf> = CONSUMERS.iter().map(|name| folder.path().join(name)).collect();
    let start = |(name, store): (&&str, &PathBuf)| {
        consumer(&python, broker.port, store, name, &["--share", "core"])
    };
    let mut consumers: Vec<Running> = CONSUMERS.iter().zip(&stores).map(start).collect();
    let mut houses: Vec<House> = GATEWAYS.iter().map(|name| gateway(name, broker.port)).collect();
    for (house, patient) in houses.iter_mut().zip(["P-1", "P-2"]) {
        send(house, patient);
    }
    // One consumer dies in the middle of it; the others take over what it did not answer for.
    consumers[0].kill();
    for (house, patient) in houses.iter_mut().zip(["P-3", "P-4"]) {
        send(house, patient);
    }
    let begun = Instant::now();
    let complete = |found: &BTreeMap<String, BTreeMap<u64, String>>| {
        found.len() == GATEWAYS.len() && found.values().all(|one| one.len() == 2 * MESSAGES)
    };
    while !complete(&together(&stores)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "not everything came");
        std::thread::sleep(Duration::from_millis(100));
    }
    for house in &mut houses {
        house.caught_up();
        assert_eq!(house.stop().code(), Some(0));
    }
    let expected: Vec<String> =
        (0..2 * MESSAGES).map(|number| (60 + number % MESSAGES % 40).to_string()).collect();
    for rates in together(&stores).into_values() {
        let rates: Vec<String> = rates.into_values().collect();
        assert_eq!(rates, expected, "in order of sequence");
    }
    let shares: BTreeSet<bool> = stores.iter().map(|store| stored(store).len() > 10).collect();
    assert_eq!(shares, BTreeSet::from([true]), "each consumer had its share");
}
