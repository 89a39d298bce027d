//! Routes with `every`: what goes to the chart is the last valid value of each interval, once, also
//! over a kill -9; what is not always there goes whole.

mod house;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use house::lis01::{Analyser, ph_result};
use house::pty::Line;
use house::{House, Plan, TCP_SERVER, device, oximeter};
use serde_json::Value as Json;
use wardgate::forward::stored::Stored;
use wardgate::journal::Kind;

const SECOND_US: i64 = 1_000_000;

fn micros(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().expect("RFC 3339").as_microsecond()
}

/// Boundary to chart time and value of every saturation that was selected.
fn selections(records: &[Json]) -> BTreeMap<i64, Vec<(i64, String)>> {
    let mut found: BTreeMap<i64, Vec<(i64, String)>> = BTreeMap::new();
    for record in records.iter().filter(|record| record["data"].get("part_of").is_some()) {
        let boundary = micros(record["data"]["sampled"]["boundary"].as_str().expect("a boundary"));
        for metric in record["data"]["metrics"].as_array().expect("metrics") {
            if metric["parameter"] == "spo2" && metric.get("value").is_some() {
                let value = metric["value"].as_str().expect("text").to_owned();
                let chart = micros(record["time"].as_str().expect("a time"));
                found.entry(boundary).or_default().push((chart, value));
            }
        }
    }
    found
}

/// The last valid saturation of each interval, from the full records in the journal.
fn expected(house: &House) -> BTreeMap<i64, (i64, String)> {
    let mut last: BTreeMap<i64, (i64, String)> = BTreeMap::new();
    for record in house.journal_records() {
        let Some(stored) = Stored::from_bytes(&record.payload)
            .filter(|one| record.kind == Kind::Observation && !one.data.contains_key("sampled"))
        else {
            continue;
        };
        let chart = micros(&stored.time);
        for metric in stored.data["metrics"].as_array().expect("metrics") {
            if metric["parameter"] == "spo2" && metric.get("value").is_some() {
                let boundary = (chart + SECOND_US - 1).div_euclid(SECOND_US) * SECOND_US;
                let value = metric["value"].as_str().expect("text").to_owned();
                let best = last.entry(boundary).or_insert((chart, value.clone()));
                if best.0 <= chart {
                    *best = (chart, value);
                }
            }
        }
    }
    last
}

#[test]
fn the_last_valid_value_of_each_second_goes_once_also_over_a_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("oximeter");
    let mut line = Line::plug(&port);
    let serial = format!("serial = \"{}\"", port.display());
    let mut plan = Plan::of(device("oximeter", "nordpuls/po-100", "2.2", &serial));
    plan.destination = "take = \"every 1 s\"\n".to_owned();
    let mut house = House::open(plan);
    for round in 0..2 {
        house.wait("the port is open", |_| line.is_open());
        let began = Instant::now();
        let mut count = 0;
        while began.elapsed() < Duration::from_millis(2500) {
            let value = format!("{}", 60 + 20 * round + count % 20);
            assert!(line.send(&oximeter::line(&value, "60", "2.5")).unwrap());
            count += 1;
            std::thread::sleep(Duration::from_millis(70));
        }
        if round == 0 {
            house.kill_nine();
            house.start();
        }
    }
    let last_boundary = |house: &House| *expected(house).last_key_value().expect("values").0;
    house.wait("the last interval is in the core", |house| {
        selections(&house.stored()).contains_key(&last_boundary(house))
    });
    house.settle();
    let (selected, expected) = (selections(&house.stored()), expected(&house));
    assert!(expected.len() >= 4, "{expected:?}");
    let once: BTreeMap<i64, (i64, String)> = selected
        .into_iter()
        .map(|(boundary, mut found)| {
            assert_eq!(found.len(), 1, "boundary {boundary}: {found:?}");
            (boundary, found.remove(0))
        })
        .collect();
    assert_eq!(once, expected);
    let whole = house.stored_of("observation", "oximeter");
    assert!(whole.iter().all(|one| one["data"].get("sampled").is_some()), "nothing else goes");
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn a_laboratory_result_is_not_thinned_out() {
    let mut plan = Plan::of(device("bg", "laborin/bg-7", "1.8.2", TCP_SERVER));
    plan.destination = "take = \"every 1 min\"\n".to_owned();
    let mut house = House::open(plan);
    let mut analyser = Analyser::connect(house.listening("bg")).unwrap();
    for (specimen, value) in [("1", "7.35"), ("2", "7.40")] {
        let result = ph_result("MR1", specimen, value, "20261120101010");
        assert!(analyser.transmit(&result).unwrap());
    }
    let results = house.observations("bg", 2);
    let values: Vec<String> = results.iter().map(|one| house::value(one, "ph-blood")).collect();
    assert_eq!(values, ["7.35", "7.40"]);
    assert!(results.iter().all(|one| one["data"].get("part_of").is_none()));
    assert_eq!(house.stop().code(), Some(0));
}
