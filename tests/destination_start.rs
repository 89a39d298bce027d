//! A destination that is configured later gets what was kept before it came, if its table says so:
//! all that is still there or from a time on, once, in one chain, also through a crash in the
//! middle; and nothing that it would not have got live.

mod house;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use house::core::Core;
use house::{House, Plan, TCP_SERVER, device, oximeter};
use serde_json::Value as Json;

fn table(port: u16, files: &str, start: &str) -> String {
    format!(
        "\n[[destination]]\nname = \"late\"\nfiles = \"{files}\"\nrequired = \"required\"\n\
         start = \"{start}\"\nmqtt = {{ host = \"127.0.0.1\", port = {port}, \
         receivers = [\"core\"], resend_after_s = 1 }}\n"
    )
}

/// An oximeter of known firmware, and one whose data are held.
fn plan() -> Plan {
    let known = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let unknown = device("unproven", "nordpuls/po-100", "9.9", TCP_SERVER);
    Plan::of(format!("{known}{unknown}"))
}

fn sends(house: &mut House, name: &str, count: usize) {
    let before = house.device(name).messages;
    let mut stream = TcpStream::connect(house.listening(name)).unwrap();
    for _ in 0..count {
        stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    }
    let heard = before + count as u64;
    house.wait("the readings are kept", |house| house.device(name).messages >= heard);
}

/// Everything that a store holds, by sequence, each as often as it came.
fn stored(store: &Path) -> BTreeMap<u64, Vec<Json>> {
    let text = std::fs::read_to_string(store).unwrap_or_default();
    let mut stored: BTreeMap<u64, Vec<Json>> = BTreeMap::new();
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let line: Json = serde_json::from_str(line).unwrap();
        let record = line["record"].clone();
        let sequence = record["data"]["sequence"].as_u64().unwrap();
        stored.entry(sequence).or_default().push(record);
    }
    stored
}

/// Both destinations have everything, and the late one so many readings of the oximeter.
fn late_has_all(house: &mut House, store: &Path, readings: usize) {
    house.settle();
    house.wait("the late one has everything", |house| {
        let status = house.status();
        let late = stored(store);
        let count = of_kind(&late, "observation", "oximeter").len();
        assert!(count <= readings, "{count} readings");
        let is_there = !late.is_empty() && count == readings;
        is_there && status.destinations.iter().all(|one| one.connected && one.backlog == 0)
    });
}

/// Every record once or the same again, each naming the one before it.
fn one_chain(stored: &BTreeMap<u64, Vec<Json>>) {
    let mut previous = 0;
    for (sequence, records) in stored {
        assert!(records.iter().all(|one| *one == records[0]), "{sequence} came differently");
        assert_eq!(records[0]["data"]["previous"], previous, "of {sequence}");
        previous = *sequence;
    }
}

fn of_kind(stored: &BTreeMap<u64, Vec<Json>>, kind: &str, subject: &str) -> Vec<u64> {
    let kind = format!("fi.wardgate.{kind}.v1");
    let is = |records: &Vec<Json>| records[0]["type"] == *kind && records[0]["subject"] == *subject;
    stored.iter().filter(|(_, records)| is(records)).map(|(sequence, _)| *sequence).collect()
}

/// What is the same for every destination.
fn without_previous(record: &Json) -> Json {
    let mut record = record.clone();
    record["data"].as_object_mut().unwrap().remove("previous");
    record
}

#[test]
fn everything_that_is_still_there_comes_once_through_a_crash_in_the_middle() {
    let mut house = House::open(plan());
    sends(&mut house, "oximeter", 700);
    sends(&mut house, "unproven", 5);
    house.kill_nine();
    house.start();
    sends(&mut house, "oximeter", 10);
    house.settle();
    let store = house.path("late-store");
    let filter = ["--filter".to_owned(), "off".to_owned()];
    let late = Core::with(&store, 0, &filter);
    house.reconfigured(|text| text + &table(late.port, "trial", "oldest"));
    house.wait("some of it is there", |_| stored(&store).len() >= 20);
    house.kill_nine();
    house.start();
    sends(&mut house, "oximeter", 7);
    late_has_all(&mut house, &store, 717);
    let got = stored(&store);
    one_chain(&got);
    assert_eq!(of_kind(&got, "observation", "oximeter").len(), 717);
    assert_eq!(of_kind(&got, "observation", "unproven").len(), 0, "it is held");
    // Whatever the first destination has the late one has, but for what speaks of a destination.
    let first = stored(&house.path("core"));
    for (sequence, records) in &first {
        if records[0]["subject"] != "box-1" || records[0]["data"]["first"].is_null() {
            let record = got.get(sequence).unwrap_or_else(|| panic!("{sequence} is missing"));
            assert_eq!(without_previous(&record[0]), without_previous(&records[0]));
        }
    }
    assert!(house.status().destinations.iter().all(|one| one.unavailable == 0));
}

#[test]
fn a_time_is_where_it_begins() {
    let mut house = House::open(plan());
    sends(&mut house, "oximeter", 5);
    house.settle();
    let before = of_kind(&stored(&house.path("core")), "observation", "oximeter");
    let last = stored(&house.path("core"))[before.last().unwrap()][0].clone();
    let received = last["data"]["times"]["received"]["utc"].as_str().unwrap().to_owned();
    // The clock goes on before the next reading, so that the time parts the two.
    let received: jiff::Timestamp = received.parse().unwrap();
    let since = received + jiff::SignedDuration::from_micros(1);
    sends(&mut house, "oximeter", 6);
    house.settle();
    let store = house.path("late-store");
    let late = Core::start(&store, 0);
    house.reconfigured(|text| text + &table(late.port, "trial", &since.to_string()));
    sends(&mut house, "oximeter", 1);
    late_has_all(&mut house, &store, 7);
    let got = stored(&store);
    one_chain(&got);
    let after = of_kind(&stored(&house.path("core")), "observation", "oximeter");
    assert_eq!(of_kind(&got, "observation", "oximeter"), after[before.len()..]);
    assert_eq!(after.len(), 12);
}

/// The device file is bench-tested: a destination that files into patients' records gets no value.
#[test]
fn what_may_not_go_live_does_not_go_later() {
    let mut house = House::open(plan());
    sends(&mut house, "oximeter", 5);
    house.kill_nine();
    house.start();
    house.settle();
    let store = house.path("late-store");
    let late = Core::start(&store, 0);
    house.reconfigured(|text| text + &table(late.port, "patients", "oldest"));
    late_has_all(&mut house, &store, 0);
    let got = stored(&store);
    one_chain(&got);
    assert_eq!(of_kind(&got, "observation", "oximeter").len(), 0);
    assert!(!of_kind(&got, "association", "oximeter").is_empty());
    assert!(!of_kind(&got, "gap", "oximeter").is_empty());
}
