//! Promise 2 under the hardest stop: nothing accepted is lost, and no gap is silent.
//!
//! The gateway is killed with SIGKILL fifty times while three devices send all the time. What a
//! sender saw acknowledged is in the core afterwards, exactly once. The oximeter only talks: of it,
//! every reading that the core does not have lies inside a gap record that names the restart.

mod house;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use house::lis01::{Analyser, ph_result};
use house::mllp::{Mllp, Vital, vital};
use house::pty::Line;
use house::{House, Plan, TCP_SERVER, XorShift, device, oximeter};
use serde_json::Value as Json;

const KILLS: usize = 50;

/// The median of how long the gateway takes from its start to its first answer.
const READY_WITHIN: Duration = Duration::from_secs(1);

/// How far a sender's clock reading and the box's may lie apart on one machine.
const TOLERANCE_US: i64 = 100_000;

/// Where a device's peer finds the gateway; nowhere while it is down.
type Address = Arc<Mutex<Option<SocketAddr>>>;

#[test]
fn f01_fifty_kills_lose_nothing_acknowledged_and_hide_no_gap() {
    let mut random = XorShift::seeded("f01_kill_nine");
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("oximeter");
    let line = Line::plug(&port);
    let serial = format!("serial = \"{}\"", port.display());
    let mut house = House::open(Plan::of(
        device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
            + &device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER)
            + &device("oximeter", "nordpuls/po-100", "2.2", &serial),
    ));
    // What a device says before the box has ever opened its port is nobody's gap.
    house.wait("the oximeter's port is open", |house| house.device("oximeter").connections == 1);
    let traffic = Traffic::start(line);
    let mut ready = Vec::new();
    for kill in 0..=KILLS {
        traffic.point_at(Some((house.listening("monitor"), house.listening("analyser"))));
        // Killed at any moment, but never before each device was heard again: a gap has to end.
        let before = traffic.heard();
        house.wait("all devices are heard again", |_| traffic.all_heard_since(&before));
        std::thread::sleep(Duration::from_micros(random.next() % 150_000));
        if kill < KILLS {
            traffic.point_at(None);
            house.kill_nine();
            let missed = traffic.missed.load(Ordering::Relaxed);
            house.wait("the oximeter talks to nobody", |_| {
                traffic.missed.load(Ordering::Relaxed) > missed
            });
            let begun = Instant::now();
            house.start();
            ready.push(begun.elapsed());
        }
    }
    let sent = traffic.stop();
    let last = sent.lines.last().unwrap().serial;
    house.wait("the last line arrives", |house| {
        house.stored_of("observation", "oximeter").iter().any(|one| serial_of(one) == last)
    });
    house.settle();

    let (vitals, results) = (sent.vitals.len(), sent.results.len());
    println!("acknowledged: {vitals} messages, {results} results; {} lines", sent.lines.len());
    assert!(vitals > KILLS && results > KILLS && sent.lines.len() > KILLS);
    exactly_once(&sent.vitals, &house.stored_of("observation", "monitor"), "heart-rate");
    exactly_once(&sent.results, &house.stored_of("observation", "analyser"), "ph-blood");
    every_line_or_its_gap(&sent.lines, &house);
    assert_eq!(house.stop().code(), Some(0));
    ready.sort();
    println!("ready after: median {:?}, longest {:?}", ready[KILLS / 2], ready[KILLS - 1]);
    assert!(ready[KILLS / 2] <= READY_WITHIN, "ready after {ready:?}");
}

/// Every acknowledged value at its own time is there once, and nothing is there twice.
fn exactly_once(acknowledged: &[(String, String)], stored: &[Json], parameter: &str) {
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    for record in stored {
        let time = record["data"]["times"]["device"]["as_written"].as_str().unwrap();
        *found.entry((time.to_owned(), house::value(record, parameter))).or_default() += 1;
    }
    for key in acknowledged {
        assert_eq!(found.get(key), Some(&1), "{parameter} at {key:?}; {} stored", stored.len());
    }
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{parameter}: more than once: {twice:?}");
}

/// A gap of the oximeter, from its two records.
#[derive(Debug)]
struct Gap {
    began_us: i64,
    ended_us: i64,
    /// The sequence of the record in which it began.
    sequence: u64,
}

fn every_line_or_its_gap(lines: &[SentLine], house: &House) {
    let last_us = lines.last().map_or(i64::MAX, |line| line.sent_us);
    let gaps = gaps(&house.stored_of("gap", "oximeter"), last_us);
    let restarts = gaps.iter().filter(|(cause, _)| cause == "box-restarted").count();
    assert_eq!(restarts, KILLS, "one gap per restart: {gaps:#?}");
    let mut stored: BTreeMap<u64, u64> = BTreeMap::new();
    for record in house.stored_of("observation", "oximeter") {
        let before =
            stored.insert(serial_of(&record), record["data"]["sequence"].as_u64().unwrap());
        assert_eq!(before, None, "a line is there once");
    }
    let order: Vec<u64> = stored.values().copied().collect();
    assert!(order.is_sorted(), "in the order in which they were sent");
    let mut missing = 0;
    for line in lines.iter().filter(|line| !stored.contains_key(&line.serial)) {
        missing += 1;
        let before = stored.range(..line.serial).next_back().map_or(0, |(_, sequence)| *sequence);
        let after = stored.range(line.serial..).next().map_or(u64::MAX, |(_, sequence)| *sequence);
        let covers = |gap: &Gap| {
            gap.began_us - TOLERANCE_US <= line.sent_us
                && line.sent_us <= gap.ended_us + TOLERANCE_US
                && (before..after).contains(&gap.sequence)
        };
        let covered = gaps.iter().any(|(cause, gap)| cause == "box-restarted" && covers(gap));
        assert!(covered, "{line:?} between {before} and {after} is in no gap: {gaps:#?}");
    }
    println!("{} of {} lines are missing, each inside a gap", missing, lines.len());
}

/// The gaps of the oximeter. It says its last line at `last_us`: the silence after that has no end.
fn gaps(records: &[Json], last_us: i64) -> Vec<(String, Gap)> {
    let number = |record: &Json, key: &str| record["data"][key].as_i64();
    let phase =
        |name: &'static str| records.iter().filter(move |record| record["data"]["phase"] == name);
    let last_silence = |began: &&Json| {
        let after = number(began, "began_us").is_some_and(|us| us >= last_us - TOLERANCE_US);
        after && began["data"]["cause"] == "device-silent"
    };
    phase("began")
        .filter(|began| !last_silence(began))
        .map(|began| {
            let sequence = began["data"]["sequence"].as_u64().unwrap();
            let mut ends = phase("ended").filter(|end| end["data"]["gap"] == sequence);
            let end = ends.next().unwrap_or_else(|| panic!("a gap that never ends: {began}"));
            assert!(ends.next().is_none(), "a gap ends once");
            let began_us = number(began, "began_us").expect("a gap begins");
            let ended_us = number(end, "ended_us").expect("a gap ends");
            let cause = began["data"]["cause"].as_str().unwrap().to_owned();
            (cause, Gap { began_us, ended_us, sequence })
        })
        .collect()
}

/// A line of the oximeter. Its three values together are its serial number.
#[derive(Clone, Debug)]
struct SentLine {
    serial: u64,
    sent_us: i64,
}

fn values_of(serial: u64) -> (String, String, String) {
    let perfusion = format!("{}.{}", serial / 60_000, serial / 6_000 % 10);
    ((70 + serial % 30).to_string(), (40 + serial / 30 % 200).to_string(), perfusion)
}

fn serial_of(record: &Json) -> u64 {
    let number = |parameter: &str| house::value(record, parameter).parse::<u64>().unwrap();
    let perfusion = house::value(record, "perfusion-index").replace('.', "");
    let (spo2, pulse) = (number("spo2") - 70, number("pulse-rate-pleth") - 40);
    perfusion.parse::<u64>().unwrap() * 6_000 + pulse * 30 + spo2
}

/// What the senders saw.
struct Sent {
    vitals: Vec<(String, String)>,
    results: Vec<(String, String)>,
    lines: Vec<SentLine>,
    _still_plugged_in: Line,
}

/// Three devices that send all the time.
struct Traffic {
    monitor: Address,
    analyser: Address,
    stop: Arc<AtomicBool>,
    /// How much of each device the gateway has taken.
    heard: Arc<[AtomicU64; 3]>,
    /// How many lines nobody had open ears for.
    missed: Arc<AtomicU64>,
    vitals: JoinHandle<Vec<(String, String)>>,
    results: JoinHandle<Vec<(String, String)>>,
    lines: JoinHandle<(Line, Vec<SentLine>)>,
}

impl Traffic {
    fn start(line: Line) -> Self {
        let (monitor, analyser) = (Address::default(), Address::default());
        let stop = Arc::new(AtomicBool::new(false));
        let heard = Arc::new([const { AtomicU64::new(0) }; 3]);
        let missed = Arc::new(AtomicU64::new(0));
        let spawn = |address: &Address, index: usize, send: Send| {
            let (address, stop) = (Arc::clone(address), Arc::clone(&stop));
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || until_stopped(&address, &stop, &heard[index], send))
        };
        let vitals = spawn(&monitor, 0, send_vitals);
        let results = spawn(&analyser, 1, send_results);
        let lines = std::thread::spawn({
            let (stop, heard, missed) =
                (Arc::clone(&stop), Arc::clone(&heard), Arc::clone(&missed));
            move || send_lines(line, &stop, &heard[2], &missed)
        });
        Self { monitor, analyser, stop, heard, missed, vitals, results, lines }
    }

    fn point_at(&self, at: Option<(SocketAddr, SocketAddr)>) {
        *self.monitor.lock().unwrap() = at.map(|(monitor, _)| monitor);
        *self.analyser.lock().unwrap() = at.map(|(_, analyser)| analyser);
    }

    fn heard(&self) -> [u64; 3] {
        [0, 1, 2].map(|index| self.heard[index].load(Ordering::Relaxed))
    }

    fn all_heard_since(&self, before: &[u64; 3]) -> bool {
        self.heard().iter().zip(before).all(|(now, before)| now > before)
    }

    fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        let (line, lines) = self.lines.join().unwrap();
        Sent {
            vitals: self.vitals.join().unwrap(),
            results: self.results.join().unwrap(),
            lines,
            _still_plugged_in: line,
        }
    }
}

/// Sends messages over one connection until it fails; says each acknowledged one.
type Send = fn(SocketAddr, &mut u64, &mut dyn FnMut((String, String)) -> bool);

/// A sender keeps a message until it is acknowledged, and sends it again over the next connection.
fn until_stopped(
    address: &Address,
    stop: &AtomicBool,
    heard: &AtomicU64,
    send: Send,
) -> Vec<(String, String)> {
    let (mut serial, mut acknowledged) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let Some(at) = *address.lock().unwrap() else {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        };
        send(at, &mut serial, &mut |key| {
            acknowledged.push(key);
            heard.fetch_add(1, Ordering::Relaxed);
            !stop.load(Ordering::Relaxed)
        });
    }
    acknowledged
}

/// A time of the device's own that no other message has.
fn own_time(serial: u64) -> String {
    let (hour, minute, second) = (serial / 3600 % 24, serial / 60 % 60, serial % 60);
    format!("20261120{hour:02}{minute:02}{second:02}")
}

fn send_vitals(at: SocketAddr, serial: &mut u64, say: &mut dyn FnMut((String, String)) -> bool) {
    let Ok(mut client) = Mllp::connect(at) else { return };
    loop {
        let (time, control_id) = (own_time(*serial), format!("V{serial}"));
        let heart_rate = (40 + *serial % 160).to_string();
        let (sent, patient, heart_rate) = (&time[..], "P-1", &heart_rate[..]);
        let control_id = &control_id[..];
        let message = vital(Vital { sent, control_id, time: &time, patient, heart_rate });
        let Ok(answer) = client.ask(&message) else { return };
        assert_eq!((&answer.code[..], &answer.control_id[..]), ("AA", control_id));
        *serial += 1;
        if !say((time.clone(), heart_rate.to_owned())) {
            return;
        }
    }
}

fn send_results(at: SocketAddr, serial: &mut u64, say: &mut dyn FnMut((String, String)) -> bool) {
    let Ok(mut analyser) = Analyser::connect(at) else { return };
    loop {
        let (time, ph) = (own_time(*serial), format!("7.{:03}", *serial % 1000));
        let records = ph_result("P-2", &format!("S-{serial}"), &ph, &time);
        let Ok(taken) = analyser.transmit(&records) else { return };
        assert!(taken, "a good frame is acknowledged");
        *serial += 1;
        if !say((time, ph)) {
            return;
        }
    }
}

fn send_lines(
    mut line: Line,
    stop: &AtomicBool,
    heard: &AtomicU64,
    missed: &AtomicU64,
) -> (Line, Vec<SentLine>) {
    let mut lines = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let serial = lines.len() as u64;
        let (spo2, pulse, perfusion) = values_of(serial);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        lines.push(SentLine { serial, sent_us: since.as_micros() as i64 });
        let taken = line.send(&oximeter::line(&spo2, &pulse, &perfusion)).unwrap();
        if taken { heard } else { missed }.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(10));
    }
    (line, lines)
}
