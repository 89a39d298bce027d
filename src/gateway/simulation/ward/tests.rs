//! The seeds, and that the checks can fail.

use super::checks::{Checked, Seen, check};
use super::lives::{Told, happen};
use super::story::{Story, Value};
use crate::vocabulary::chance::Chance;

/// How many histories, unless `WARDGATE_SEEDS` says otherwise.
const SEEDS: u64 = 201;
/// They run side by side in so many tests.
const PARTS: u64 = 3;
/// What is broken on purpose is found within so many seeds.
const FOUND_WITHIN: u64 = 40;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

fn as_it_is(value: Value) -> Value {
    value
}

fn run(seed: u64, sent: fn(Value) -> Value) -> (Story, Told, Chance) {
    let mut chance = Chance(seed);
    let story = Story::of(&mut chance);
    let told = happen(&story, &mut chance, sent);
    (story, told, chance)
}

fn checked(seed: u64) -> Checked {
    let (story, told, mut chance) = run(seed, as_it_is);
    check(&story, &told, story.is_loose, &mut chance)
}

fn fail(seed: u64, checked: &Checked) -> ! {
    panic!(
        "seed {seed} breaks:\n{}\n\nalone: WARDGATE_SEED={seed} cargo test --lib \
         simulation::ward::tests::one_seed -- --nocapture",
        checked.complaints.join("\n")
    );
}

fn part(part: u64) {
    let seeds = number("WARDGATE_SEEDS").unwrap_or(SEEDS);
    let mut all = Seen::default();
    for seed in (0..seeds).filter(|seed| seed % PARTS == part) {
        let checked = checked(seed);
        if !checked.complaints.is_empty() {
            fail(seed, &checked);
        }
        all.add(&checked.seen);
    }
    println!("{} seeds: {all:?}", seeds / PARTS);
    let proves = [
        (all.values, 10),
        (all.filed, 4),
        (all.plainly_scanned, 2),
        (all.spanning, 1),
        (2 * all.voids, 1),
        (all.suffixes, 3),
    ];
    let few = |(count, least): &(usize, usize)| (*count as u64) < *least as u64 * seeds / PARTS / 2;
    assert!(!proves.iter().any(few), "the histories prove little: {all:?}");
    assert!(all.disputed > 0 && all.confirmed > 0, "the histories prove little: {all:?}");
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.values += other.values;
        self.filed += other.filed;
        self.stayed += other.stayed;
        self.plainly_scanned += other.plainly_scanned;
        self.spanning += other.spanning;
        self.voids += other.voids;
        self.confirmed += other.confirmed;
        self.disputed += other.disputed;
        self.suffixes += other.suffixes;
        self.starts += other.starts;
    }
}

#[test]
fn histories_part_1() {
    part(0);
}

#[test]
fn histories_part_2() {
    part(1);
}

#[test]
fn histories_part_3() {
    part(2);
}

/// The history of `WARDGATE_SEED`; 0 without one.
#[test]
fn one_seed() {
    let seed = number("WARDGATE_SEED").unwrap_or(0);
    let (story, told, mut chance) = run(seed, as_it_is);
    for (at, step) in &story.steps {
        println!("{} {step:?}", crate::vocabulary::moment::utc_text(*at));
    }
    for word in &story.words {
        let is_taken = told.taken.contains(&word.number);
        println!("{} {word:?}", if is_taken { "taken  " } else { "refused" });
    }
    told.archive.iter().for_each(|message| println!("{}", super::chart::in_short(message)));
    let checked = check(&story, &told, story.is_loose, &mut chance);
    println!("{:?}", checked.seen);
    if !checked.complaints.is_empty() {
        fail(seed, &checked);
    }
}

/// The lowest seed that gives a complaint of these words.
fn found(what: &str, break_it: fn(u64) -> Vec<String>) -> u64 {
    let complains = |seed: &u64| break_it(*seed).iter().any(|one| one.contains(what));
    (0..FOUND_WITHIN).find(complains).unwrap_or_else(|| panic!("nobody saw: {what}"))
}

#[test]
fn a_void_that_a_core_does_not_get_is_seen() {
    let seed = found("without evidence", |seed| {
        let (story, mut told, mut chance) = run(seed, as_it_is);
        let is_void =
            |message: &[u8]| String::from_utf8_lossy(message).contains("\"fi.wardgate.void.v1\"");
        told.chart.retain(|message| !is_void(message));
        check(&story, &told, story.is_loose, &mut chance).complaints
    });
    println!("seed {seed}");
}

#[test]
fn a_value_that_is_filed_by_its_place_where_only_a_scan_is_enough_is_seen() {
    let seed = found("without evidence", |seed| {
        let (story, told, mut chance) = run(seed, as_it_is);
        check(&story, &told, false, &mut chance).complaints
    });
    println!("seed {seed}");
}

#[test]
fn a_time_that_is_taken_for_certain_is_seen() {
    let certain = |seed| {
        let (story, told, mut chance) = run(seed, |value| {
            let clock = match value.clock {
                super::story::Clock::Known { .. } => {
                    super::story::Clock::Known { give_or_take_ms: 0 }
                }
                other => other,
            };
            Value { clock, ..value }
        });
        check(&story, &told, story.is_loose, &mut chance).complaints
    };
    let seed = found("spans a handover, and is filed", certain);
    println!("seed {seed}");
}

#[test]
fn a_word_that_a_restart_forgets_is_seen() {
    let seed = found("the ledger has other words", |seed| {
        let (story, mut told, mut chance) = run(seed, as_it_is);
        told.taken.pop_last();
        check(&story, &told, story.is_loose, &mut chance).complaints
    });
    println!("seed {seed}");
}
