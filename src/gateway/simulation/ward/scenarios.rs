//! Single evenings on the ward, told in full.

use std::pin::pin;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use super::super::disk::SimulatedDisk;
use super::super::life::{pause, runtime};
use super::super::oximeter;
use super::super::ports::{End, FromDevice, Sockets};
use super::chart::Chart;
use super::checks::check;
use super::lives::{Told, happen};
use super::site::{ARCHIVE, CHART, configured};
use super::story::{BEGAN_US, Clock, LINES, MINUTE_US, Step, Story, Value, What, Who, Word};
use crate::association::Movement;
use crate::forward::simulated::core::{Core, KIND};
use crate::forward::simulated::{self as network, Cores};
use crate::gateway::ledger::LedgerDesk;
use crate::gateway::run::Lasting;
use crate::gateway::world::World;
use crate::link::simulated::{self as clocks, Clocks};
use crate::vocabulary::Certainty;
use crate::vocabulary::chance::Chance;

fn at(hour: i64, minute: i64) -> i64 {
    BEGAN_US + (60 * hour + minute) * MINUTE_US
}

/// A story that somebody writes down, in the order in which it happens.
#[derive(Default)]
struct Written {
    words: Vec<Word>,
    values: Vec<Value>,
    steps: Vec<(i64, Step)>,
}

impl Written {
    fn says(&mut self, now: i64, words: &[(Who, What)]) {
        let first = self.words.len();
        for (who, what) in words {
            let number = self.words.len();
            self.words.push(Word { number, stated: now, who: *who, what: what.clone() });
        }
        self.steps.push((now, Step::Say((first..self.words.len()).collect())));
    }

    /// A value that is received now and was measured then.
    fn value(&mut self, line: usize, (now, then): (i64, i64), clock: Clock) -> usize {
        let number = self.values.len();
        let odd_us = number as i64 + 1;
        let (received, chart) = (now + odd_us, then + odd_us);
        self.values.push(Value { line, received, chart, clock });
        self.steps.push((now, Step::Value(number)));
        number
    }

    fn happens(self, is_loose: bool) -> (Story, Told) {
        let Self { words, values, steps } = self;
        let story = Story { is_loose, words, values, steps };
        let mut chance = Chance(1);
        let told = happen(&story, &mut chance, |value| value);
        let checked = check(&story, &told, is_loose, &mut chance);
        assert_eq!(checked.complaints, Vec::<String>::new());
        (story, told)
    }
}

fn charted(told: &Told) -> Chart {
    let mut chart = Chart::default();
    told.chart.iter().for_each(|message| chart.take(message));
    chart
}

fn whose(story: &Story, chart: &Chart, value: usize) -> Vec<usize> {
    let time = crate::vocabulary::moment::utc_text(story.values[value].chart);
    let mut patients: Vec<usize> = chart.preliminary(&time).map(|(_, patient)| patient).collect();
    patients.dedup();
    patients
}

fn on(machine: usize, patient: usize, from: i64) -> What {
    What::On { machine, patient, from }
}

#[test]
fn a_handover_inside_the_clocks_uncertainty() {
    let mut written = Written::default();
    written.says(at(10, 0), &[(Who::Scan, on(2, 0, at(10, 0)))]);
    let two_minutes = Clock::Known { give_or_take_ms: 120_000 };
    // At 11:00 the machine goes to the next patient; that is learned at 11:20.
    let early: Vec<usize> = [(10, 50), (10, 57), (10, 59), (11, 1), (11, 3)]
        .map(|(hour, minute)| {
            written.value(2, (at(hour, minute + 5), at(hour, minute)), two_minutes)
        })
        .to_vec();
    let handover = at(11, 0);
    let words = [(Who::Scan, What::End { word: 0, at: handover }), (Who::Scan, on(2, 1, handover))];
    written.says(at(11, 20), &words);
    // The same again of a second store of the device.
    let late: Vec<usize> = [(10, 50), (10, 57), (10, 59), (11, 1), (11, 3)]
        .iter()
        .enumerate()
        .map(|(index, (hour, minute))| {
            let now = at(11, 30 + index as i64);
            written.value(2, (now, at(*hour, *minute)), two_minutes)
        })
        .collect();
    let exact =
        written.value(2, (at(11, 40), handover - MINUTE_US), Clock::Known { give_or_take_ms: 0 });
    let (story, told) = written.happens(false);
    let chart = charted(&told);
    for values in [&early, &late] {
        let who: Vec<Vec<usize>> =
            values.iter().map(|value| whose(&story, &chart, *value)).collect();
        assert_eq!(who, [vec![0], vec![0], vec![], vec![], vec![1]]);
    }
    assert_eq!(whose(&story, &chart, exact), [0]);
    let archive = told.archive.iter().map(|message| String::from_utf8_lossy(message).into_owned());
    let archive: Vec<String> = archive.collect();
    let of = |kind: &str, why: &str| {
        let kind = format!("fi.wardgate.{kind}.v1");
        archive.iter().filter(|one| one.contains(&kind) && one.contains(why)).count()
    };
    assert_eq!(of("observation", "\"patient_absent\":\"time-spans-handover\""), 2, "the late ones");
    assert_eq!(of("void", "\"reason\":\"time-spans-handover\""), 2, "the early ones");
    assert_eq!(of("void", "\"reason\":\"another-patient\""), 1, "of 11:03");
}

/// Once where a scan says who is on the machine, once where its bed does.
#[test]
fn an_a11_by_mistake_and_twenty_minutes_later_its_correction() {
    let mut written = Written::default();
    let admitted = |patient, bed, from| {
        let (movement, bed) = (Movement::Admission, Some(bed));
        (Who::Adt, What::Moves { patient, movement, bed, from })
    };
    let words = [admitted(0, 0, at(10, 0)), admitted(1, 1, at(10, 0))];
    written.says(at(10, 0), &words);
    written.says(at(10, 1), &[(Who::Scan, on(1, 1, at(10, 1)))]);
    let mut values = Vec::new();
    for five in 1..24 {
        let now = at(10, 5 * five);
        if five == 12 {
            let movement = Movement::Admission;
            let mistake =
                [0, 1].map(|patient| (Who::Adt, What::Cancel { patient, movement, at: now }));
            written.says(now, &mistake);
        }
        if five == 16 {
            written.says(now, &[admitted(0, 0, now), admitted(1, 1, now)]);
        }
        for line in [0, 1] {
            let number = written.value(line, (now + MINUTE_US, now + MINUTE_US), Clock::None);
            values.push((five, line, number));
        }
    }
    let (story, told) = written.happens(true);
    let chart = charted(&told);
    assert_eq!(chart.voids, 0, "not one filed value is withdrawn");
    for (five, line, number) in values {
        let by_mistake = (12..16).contains(&five);
        // Without a scan nobody says meanwhile who is in the bed; what was filed stays.
        let expected: &[usize] = if line == 0 && by_mistake { &[] } else { &[line] };
        assert_eq!(whose(&story, &chart, number), expected, "line {line}, {five}");
    }
}

/// Two oximeters that cannot say who they are, on real lines.
struct Lines {
    sockets: Sockets,
    ends: [UnboundedReceiver<End>; 2],
    open: [Option<End>; 2],
    said: u64,
}

impl Lines {
    fn attach(sockets: &Sockets) -> Self {
        let ends = [0, 1].map(|line| sockets.attach(LINES[line]));
        Self { sockets: sockets.clone(), ends, open: [None, None], said: 0 }
    }

    async fn speak(&mut self) {
        for line in [0, 1] {
            if self.open[line].is_none() {
                self.open[line] = self.ends[line].recv().await;
                pause(100).await;
            }
            self.said += 1;
            let end = self.open[line].as_ref().expect("the house opened the port");
            end.to_house.send(FromDevice::Bytes(oximeter::line(self.said))).unwrap();
            pause(1_000).await;
        }
    }

    /// Both cables are pulled and put in again.
    async fn pull(&mut self) {
        for line in [0, 1] {
            self.sockets.set_unplugged(LINES[line], true);
            self.open[line] = None;
        }
        pause(30_000).await;
        for name in &LINES[..2] {
            self.sockets.set_unplugged(name, false);
        }
    }
}

#[test]
fn two_oximeters_without_a_name_are_swapped_at_three_in_the_morning() {
    let mut chance = Chance(3);
    network::seed(chance.branch());
    crate::journal::simulated::switch_on(chance.branch(), 2);
    let cores = Cores::default();
    for name in [CHART, ARCHIVE] {
        cores.add(name, Core::new(name, chance.branch(), KIND));
    }
    let disk = Arc::new(SimulatedDisk::default());
    let synced = cores.lock().values().map(|core| Arc::clone(&core.synced)).collect();
    disk.journal.tell_synced(synced);
    runtime().block_on(async {
        let sockets = Sockets::default();
        let world = World {
            delivery: tokio::runtime::Handle::current(),
            has_background: false,
            disk: Arc::new(Arc::clone(&disk)),
            ports: Arc::new(sockets.clone()),
            cores: Some(cores.clone()),
            bedside: None,
        };
        clock_shows(at(1, 0));
        let house = Lasting::of(configured(false), world).without_status();
        let desk = house.desk();
        let mut lines = Lines::attach(&sockets);
        let house = pin!(house.run(async |_| swapped(&mut lines, &desk).await));
        house.await.expect("the house ends as it was told");
    });
    let told = |kind: &str| -> Vec<serde_json::Value> {
        let all: Vec<serde_json::Value> = cores.with(ARCHIVE, |core| {
            let stored = core.store.values();
            stored.map(|one| serde_json::from_slice(&one.payload).unwrap()).collect()
        });
        all.into_iter().filter(|one| one["type"] == format!("fi.wardgate.{kind}.v1")).collect()
    };
    let who: Vec<Option<String>> = told("observation")
        .iter()
        .map(|one| one["data"]["patient"]["id"].as_str().map(str::to_owned))
        .collect();
    let named = |number| Some(format!("P-{number}"));
    let before = [named(0), named(1)];
    let unproven = [None, None, None, None];
    // The machine keeps its patient, whichever line it hangs on.
    let after = [named(1), named(0)];
    assert_eq!(who, [&before[..], &unproven[..], &after[..]].concat());
    let absent = told("observation");
    let absent = absent.iter().filter_map(|one| one["data"]["patient_absent"].as_str());
    assert_eq!(absent.collect::<Vec<&str>>(), ["port-unproven"; 4]);
    for kind in ["void", "correction"] {
        assert!(told(kind).is_empty(), "nothing is filed for it: {:#?}", told(kind));
    }
}

async fn swapped(lines: &mut Lines, desk: &LedgerDesk) {
    let word = |number, what| Word { number, stated: now_us(), who: Who::Scan, what }.entry();
    let both = vec![word(0, on(0, 0, now_us())), word(1, on(1, 1, now_us()))];
    desk.add(both).await.unwrap();
    pause(1_000).await;
    lines.speak().await;
    clock_shows(at(3, 0));
    lines.pull().await;
    lines.speak().await;
    clock_shows(at(3, 5));
    lines.speak().await;
    clock_shows(at(3, 10));
    let here = |line, machine| What::In { line, machine, at: now_us() };
    desk.add(vec![word(2, here(0, 1)), word(3, here(1, 0))]).await.unwrap();
    pause(1_000).await;
    lines.speak().await;
    pause(10_000).await;
}

fn now_us() -> i64 {
    crate::link::clock::now().utc_us()
}

fn clock_shows(us: i64) {
    clocks::set(Clocks {
        at: tokio::time::Instant::now(),
        boot_us: u64::try_from(us - BEGAN_US).unwrap(),
        offset_us: BEGAN_US,
        certainty: Certainty::Synchronised,
    });
}
