//! The seeds.

use super::options::{Broken, Options};
use super::{Outcome, run};

/// How many seeds, unless `WARDGATE_SEEDS` says otherwise.
const SEEDS: u64 = 1_000;
/// They run side by side in so many tests.
const PARTS: u64 = 4;
/// What is broken on purpose is found within so many seeds.
const FOUND_WITHIN: u64 = 60;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn fail(options: &Options, outcome: &Outcome) -> ! {
    let seed = options.seed;
    panic!(
        "seed {seed} breaks:\n{}\n\n{options:?}\n\nalone: WARDGATE_SEED={seed} cargo nextest run \
         --lib simulation::tests::one_seed --no-capture",
        outcome.complaints.join("\n")
    );
}

fn part(part: u64) {
    let seeds = number("WARDGATE_SEEDS").unwrap_or(SEEDS);
    let mut acknowledged = 0;
    for seed in (0..seeds).filter(|seed| seed % PARTS == part) {
        let options = Options::of(seed);
        let outcome = run(&options);
        if !outcome.complaints.is_empty() {
            fail(&options, &outcome);
        }
        assert!(outcome.log.lines().count() > 3, "seed {seed}: the log was not taken");
        acknowledged += outcome.acknowledged;
    }
    assert!(acknowledged as u64 > seeds / PARTS, "the devices were hardly heard");
    println!("{} seeds, {acknowledged} messages acknowledged", seeds / PARTS);
}

#[test]
fn seeds_part_1() {
    part(0);
}

#[test]
fn seeds_part_2() {
    part(1);
}

#[test]
fn seeds_part_3() {
    part(2);
}

#[test]
fn seeds_part_4() {
    part(3);
}

/// The seed of `WARDGATE_SEED` with its log; 0 without one.
#[test]
fn one_seed() {
    let options = Options::of(number("WARDGATE_SEED").unwrap_or(0));
    let outcome = run(&options);
    println!("{options:#?}\n{}\ntrace {}", outcome.log, outcome.trace);
    if !outcome.complaints.is_empty() {
        fail(&options, &outcome);
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..12 {
        let options = Options::of(seed);
        let (first, second) = (run(&options), run(&options));
        assert_eq!(first.trace, second.trace, "seed {seed}");
    }
}

/// The seed in which what is broken on purpose was found. There is little room, so that records are
/// freed as soon as they may be.
fn found(broken: Broken) -> Option<(u64, Vec<String>)> {
    (0..FOUND_WITHIN).find_map(|seed| {
        let little = Options { segment_bytes: 1 << 15, quota_segments: 6, ..Options::of(seed) };
        let options = Options { broken: Some(broken), messages: [40, 30, 20], ..little };
        let complaints = run(&options).complaints;
        (!complaints.is_empty()).then_some((seed, complaints))
    })
}

#[test]
fn a_disk_that_lies_about_the_journal_is_found() {
    let (_, complaints) = found(Broken::JournalSyncLies).expect("it is found");
    println!("{complaints:?}");
}

#[test]
fn a_disk_that_lies_about_the_cursors_is_found() {
    let (_, complaints) = found(Broken::CursorSyncLies).expect("it is found");
    println!("{complaints:?}");
}

#[test]
fn a_core_that_forgets_is_found() {
    let (_, complaints) = found(Broken::CoreForgets).expect("it is found");
    println!("{complaints:?}");
}
