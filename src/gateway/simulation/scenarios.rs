//! Rows of the fault matrix that need more time than a test has: hours pass in seconds.

use std::collections::BTreeMap;

use super::checks::Had;
use super::life::{CORE, DEVICES, Simulation};
use super::options::{End, Fault, Last, Life, Options};
use super::{Outcome, run};
use crate::forward::simulated::core::{KIND, Manners};
use crate::forward::window::{BEHIND, IN_FLIGHT_RECORDS_MAX, Order};

const HOUR_MS: u64 = 3_600_000;

/// A simulation without faults.
fn calm() -> Options {
    Options {
        lives: Vec::new(),
        device_trouble_once_in: 0,
        disk_ms_max: 4,
        segment_bytes: 1 << 20,
        quota_segments: 200,
        order: Order::Lanes,
        manifest_every_s: None,
        core: KIND,
        archive: None,
        ..Options::of(1)
    }
}

fn life(ms: u64, end: End, faults: Vec<(u64, Fault)>) -> Life {
    Life { ms, operation: None, end, away_ms: 1_000, faults, starts_in_1970_ms: None }
}

fn keeps_its_promises(options: &Options) -> Outcome {
    let outcome = run(options);
    assert_eq!(outcome.complaints, Vec::<String>::new(), "{options:?}\n{}", outcome.log);
    outcome
}

/// Of each message of a device: when it was made, and how long it took to be at the core, both in
/// milliseconds.
fn ways(simulation: &Simulation, device: usize) -> Vec<(u64, u64)> {
    let had = Had::of(simulation, CORE);
    let stored: BTreeMap<u64, u64> =
        simulation.cores.with(CORE, |core| core.trace.iter().copied().collect());
    let book = simulation.books[device].book();
    let way = |(sequence, number): &(u64, u64)| {
        let (made_us, stored_us) = (book.made[number], stored[sequence]);
        (made_us / 1_000, (stored_us - made_us) / 1_000)
    };
    had.of_device(DEVICES[device]).iter().map(way).collect()
}

/// Row 6: the core is away for 72 hours. Nothing is lost, the window does not grow, and when the
/// core is back, today's values do not wait for those of the day before yesterday.
#[test]
fn f06_a_core_that_is_away_for_72_hours_gets_everything_and_live_data_first() {
    let away_ms = 72 * HOUR_MS;
    let slow = Manners { commit_ms_min: 2_000, commit_ms_max: 2_000, ..KIND };
    let options = Options {
        lives: vec![life(away_ms, End::Stop, vec![(0, Fault::CoreDown { ms: 2 * away_ms })])],
        pause_ms: [240_000, 120_000, 600_000],
        messages: [1_180, 2_360, 450],
        last: Last { pause_ms: Some([500, 300, 2_000]), core: slow },
        ..calm()
    };
    let outcome = keeps_its_promises(&options);
    let simulation = &outcome.simulation;
    let (trace, in_flight_max) =
        simulation.cores.with(CORE, |core| (core.trace.clone(), core.in_flight_max));
    assert!(in_flight_max <= IN_FLIGHT_RECORDS_MAX);

    // What was made before the core was back is the backlog.
    let back_us = trace[0].1;
    let monitor = ways(simulation, 1);
    let is_live = |(made_ms, _): &&(u64, u64)| made_ms * 1_000 > back_us;
    let backlog_through_ms = monitor.iter().filter(|one| !is_live(one)).map(|one| one.0 + one.1);
    let backlog_through_ms = backlog_through_ms.max().unwrap();
    let drained_ms = backlog_through_ms - back_us / 1_000;
    let meanwhile: Vec<u64> = monitor
        .iter()
        .filter(is_live)
        .filter(|(made_ms, _)| *made_ms < backlog_through_ms)
        .map(|(_, way_ms)| *way_ms)
        .collect();
    let slowest_ms = meanwhile.iter().copied().max().unwrap();
    println!(
        "{} records, drained in {drained_ms} ms; {} live messages meanwhile, the slowest after \
         {slowest_ms} ms",
        trace.len(),
        meanwhile.len()
    );
    assert!(trace.len() as u64 > 4 * BEHIND, "a backlog worth the name");
    assert!(drained_ms > 4 * slowest_ms, "live data do not wait for the backlog");
    assert!(meanwhile.len() > 30, "the devices went on meanwhile");
    assert!(slowest_ms < 5_000, "one commit of two seconds and what belongs to it");
}

/// Row 7: one destination takes half a minute for every record. The other one does not notice.
#[test]
fn f07_a_slow_destination_costs_the_other_nothing() {
    let slow = Manners { commit_ms_min: 30_000, commit_ms_max: 30_000, ..KIND };
    let with = |archive| Options { messages: [60, 60, 20], archive, ..calm() };
    let slowest = |options: &Options| {
        let options =
            Options { lives: vec![life(60_000, End::Stop, Vec::new())], ..options.clone() };
        let outcome = keeps_its_promises(&options);
        let of_device = |device| ways(&outcome.simulation, device);
        let all: Vec<(u64, u64)> = (0..3).flat_map(of_device).collect();
        all.into_iter().map(|(_, way_ms)| way_ms).max().unwrap()
    };
    let (alone_ms, beside_ms) = (slowest(&with(None)), slowest(&with(Some(slow))));
    println!("alone {alone_ms} ms, beside a slow one {beside_ms} ms");
    assert!(beside_ms < 1_000 && alone_ms < 1_000);
}

/// Row 11: the box starts in 1970, learns the time, and its clock jumps an hour forth and back.
/// Order is kept, nothing stalls and no timer runs wild; what was timed while nobody vouched for
/// the clock says so.
#[test]
fn f11_a_box_whose_clock_jumps_keeps_order_and_pace() {
    let jump = |seconds| Fault::ClockStep { seconds };
    let (forth, back) = ((40_000, jump(3_600)), (60_000, jump(-3_600)));
    let mut first = life(100_000, End::Stop, vec![forth, back]);
    first.starts_in_1970_ms = Some(20_000);
    let options =
        Options { lives: vec![first], pause_ms: [1_000; 3], messages: [80, 80, 40], ..calm() };
    let outcome = keeps_its_promises(&options);
    let simulation = &outcome.simulation;
    for (index, device) in DEVICES.iter().enumerate() {
        let slowest_ms = ways(simulation, index).iter().map(|(_, way_ms)| *way_ms).max().unwrap();
        assert!(slowest_ms < 2_000, "{device}: {slowest_ms} ms");
    }
    let had = Had::of(simulation, CORE);
    assert_eq!(had.causes("box-1"), ["clock-unproven"]);
    // A device that has sent its last message hangs up.
    assert_eq!(had.causes("oximeter"), ["link-down", "box-restarted", "link-down"]);
    let steps =
        outcome.log.lines().filter(|line| line.contains("the clock of the box was stepped"));
    assert_eq!(steps.count(), 3);
    let clocks = simulation.cores.with(CORE, |core| {
        let clock = |payload: &[u8]| -> Option<String> {
            let event: serde_json::Value = serde_json::from_slice(payload).ok()?;
            Some(event["data"]["times"]["received"]["clock"].as_str()?.to_owned())
        };
        core.store.values().filter_map(|record| clock(&record.payload)).collect::<Vec<String>>()
    });
    let unproven = clocks.iter().position(|clock| clock == "synchronised").unwrap();
    assert!(unproven > 20, "twenty seconds of three devices");
    assert!(clocks[..unproven].iter().all(|clock| clock == "unproven"));
    assert!(clocks[unproven..].iter().all(|clock| clock == "synchronised"));
}
