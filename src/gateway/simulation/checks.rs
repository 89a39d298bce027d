//! What must hold at the end: read from what the cores have stored and what the devices know.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::life::{ARCHIVE, CORE, DEVICES, Simulation};
use super::{analyser, monitor, oximeter};
use crate::forward::cursor::{self, Found};
use crate::forward::window::{IN_FLIGHT_BYTES_MAX, IN_FLIGHT_RECORDS_MAX};
use crate::protocol::MESSAGE_BYTES_MAX;

/// A gap record at a core.
#[derive(Clone, Debug)]
struct Gap {
    /// Its own sequence, and that of the record that ends it.
    sequence: u64,
    ends_at: Option<u64>,
    subject: String,
    began_us: Option<i64>,
    ended_us: Option<i64>,
    cause: String,
    /// Of records: first and last.
    records: Option<(u64, u64)>,
}

/// What a core has of the devices.
#[derive(Default)]
pub(super) struct Had {
    /// Per device: sequence and number of each message, by sequence.
    messages: BTreeMap<String, Vec<(u64, u64)>>,
    gaps: Vec<Gap>,
    pub complaints: Vec<String>,
}

impl Had {
    pub fn of(simulation: &Simulation, core: &str) -> Self {
        let mut had = Self::default();
        let (mut ids, mut observation_ids) = (BTreeSet::new(), BTreeSet::new());
        let records =
            simulation.cores.lock().get(core).map(|core| core.store.clone()).unwrap_or_default();
        for (sequence, record) in records {
            let event: Json = serde_json::from_slice(&record.payload).unwrap();
            let data = &event["data"];
            if data["sequence"] != sequence || data["previous"] != record.previous {
                had.complain(sequence, "it says another sequence, or another one before it");
            }
            if record.previous >= sequence {
                had.complain(sequence, "it says that it comes behind one that comes later");
            }
            if !ids.insert(event["id"].as_str().unwrap_or_default().to_owned()) {
                had.complain(sequence, "an id that another record has, too");
            }
            match event["type"].as_str() {
                Some("fi.wardgate.observation.v1") => {
                    for metric in event["data"]["metrics"].as_array().into_iter().flatten() {
                        let id = metric["observation_id"].as_str().unwrap_or_default();
                        if !observation_ids.insert(id.to_owned()) {
                            had.complain(sequence, "an observation id that came before");
                        }
                    }
                    had.take_observation(sequence, &event);
                }
                Some("fi.wardgate.gap.v1") => had.take_gap(sequence, &event),
                Some(_) | None => {}
            }
        }
        had
    }

    fn complain(&mut self, sequence: u64, what: &str) {
        self.complaints.push(format!("record {sequence}: {what}"));
    }

    fn take_gap(&mut self, sequence: u64, event: &Json) {
        let data = &event["data"];
        let records = data["first"].as_u64().zip(data["last"].as_u64());
        let began = data["gap"].as_u64();
        if let Some(gap) = self.gaps.iter_mut().find(|gap| Some(gap.sequence) == began) {
            gap.ends_at = Some(sequence);
        }
        self.gaps.push(Gap {
            sequence,
            ends_at: began.map(|_| sequence),
            subject: event["subject"].as_str().unwrap_or_default().to_owned(),
            cause: data["cause"].as_str().unwrap_or_default().to_owned(),
            began_us: data["began_us"].as_i64(),
            ended_us: data["ended_us"].as_i64(),
            records,
        });
    }

    /// Every value is the one that the device sent in this message.
    fn take_observation(&mut self, sequence: u64, event: &Json) {
        let device = event["subject"].as_str().unwrap_or_default().to_owned();
        let data = &event["data"];
        let value = |parameter: &str| {
            let metrics = data["metrics"].as_array().into_iter().flatten();
            let mut known = metrics.filter(|metric| metric["parameter"] == parameter);
            known.next().and_then(|metric| metric["value"].as_str()).unwrap_or_default()
        };
        let (number, expected, values) = match device.as_str() {
            "oximeter" => {
                let values = ["spo2", "pulse-rate-pleth", "perfusion-index"]
                    .map(|one| value(one).to_owned());
                let number = oximeter::number(&values[1], &values[2]);
                (number, number.map(|number| oximeter::values(number).to_vec()), values.to_vec())
            }
            "monitor" => {
                let written = data["times"]["device"]["as_written"].as_str().unwrap_or_default();
                let number = monitor::number(written);
                let values = ["heart-rate", "spo2"].map(|one| value(one).to_owned());
                (number, number.map(|number| monitor::values(number).to_vec()), values.to_vec())
            }
            "analyser" => {
                let number = analyser::number(data["specimen"]["id"].as_str().unwrap_or_default());
                let values = ["sodium-blood", "potassium-blood"].map(|one| value(one).to_owned());
                (number, number.map(|number| analyser::values(number).to_vec()), values.to_vec())
            }
            _ => (None, None, Vec::new()),
        };
        if let Some(number) = number.filter(|_| expected == Some(values)) {
            self.messages.entry(device).or_default().push((sequence, number));
        } else {
            self.complain(sequence, "values that no device sent");
        }
    }

    /// The causes of the gaps of a subject, in order.
    pub fn causes(&self, subject: &str) -> Vec<String> {
        let gaps = self.gaps.iter().filter(|gap| gap.subject == subject);
        gaps.filter(|gap| gap.ended_us.is_none()).map(|gap| gap.cause.clone()).collect()
    }

    pub fn of_device(&self, device: &str) -> &[(u64, u64)] {
        self.messages.get(device).map(Vec::as_slice).unwrap_or_default()
    }

    /// Ranges of sequences that the box says cannot be had.
    fn told_missing(&self) -> Vec<(u64, u64)> {
        self.gaps.iter().filter_map(|gap| gap.records).collect()
    }
}

/// Everything that must hold; one line per break.
pub(super) fn check(simulation: &Simulation) -> Vec<String> {
    let core = Had::of(simulation, CORE);
    let archive = Had::of(simulation, ARCHIVE);
    let mut complaints = simulation.complaints.clone();
    let has_archive = simulation.options.archive.is_some();
    for (name, had) in [(CORE, &core), (ARCHIVE, &archive)] {
        if name == ARCHIVE && !has_archive {
            continue;
        }
        let mut of_core = had.complaints.clone();
        of_core.extend(simulation.cores.with(name, |core| core.complaints.clone()));
        of_core.extend(order_and_origin(simulation, had));
        of_core.extend(bounds(simulation, name));
        complaints.extend(of_core.into_iter().map(|what| format!("{name}: {what}")));
    }
    let restored = simulation.cores.with(CORE, |core| core.restored) > 0;
    complaints.extend(acknowledged_is_there(simulation, (&core, &archive), restored));
    complaints.extend(nothing_is_missed(simulation, &core, restored));
    if !restored {
        complaints.extend(chain(simulation));
        if !core.told_missing().is_empty() {
            complaints.push("records were freed before the core had them".to_owned());
        }
    }
    complaints
}

/// Per device the order of sending, each message once, and none that was never sent.
fn order_and_origin(simulation: &Simulation, had: &Had) -> Vec<String> {
    let mut complaints = Vec::new();
    for (device, shared) in DEVICES.iter().zip(&simulation.books) {
        let book = shared.book();
        let messages = had.of_device(device);
        for pair in messages.windows(2) {
            if pair[0].1 == pair[1].1 {
                complaints.push(format!("{device}: message {} came twice ({pair:?})", pair[0].1));
            } else if pair[0].1 > pair[1].1 {
                complaints.push(format!("{device}: {} before {}", pair[0].1, pair[1].1));
            }
        }
        for (_, number) in messages {
            if *number == 0 || *number > book.newest {
                complaints.push(format!("{device}: message {number} was never sent"));
            }
            if book.damaged.contains(number) {
                complaints.push(format!("{device}: message {number} was damaged"));
            }
        }
    }
    complaints
}

fn bounds(simulation: &Simulation, name: &str) -> Vec<String> {
    let (records, bytes) = simulation.cores.with(name, |core| (core.in_flight_max, core.bytes_max));
    let most = IN_FLIGHT_BYTES_MAX + MESSAGE_BYTES_MAX;
    (records > IN_FLIGHT_RECORDS_MAX || bytes > most)
        .then(|| format!("{records} records of {bytes} bytes in flight"))
        .into_iter()
        .collect()
}

/// What a device saw acknowledged is at the core. What a core that came back from its backup needs
/// and the box has freed is named in a gap record.
fn acknowledged_is_there(
    simulation: &Simulation,
    (core, archive): (&Had, &Had),
    restored: bool,
) -> Vec<String> {
    let told = core.told_missing();
    let mut complaints = Vec::new();
    for (device, shared) in DEVICES.iter().zip(&simulation.books) {
        let there: BTreeSet<u64> = core.of_device(device).iter().map(|one| one.1).collect();
        // The other destination knows which sequence the message had.
        let elsewhere: BTreeMap<u64, u64> =
            archive.of_device(device).iter().map(|(at, number)| (*number, *at)).collect();
        for number in shared.book().acknowledged.difference(&there) {
            let is_told = elsewhere.get(number).map_or(!told.is_empty(), |at| {
                told.iter().any(|(first, last)| (first..=last).contains(&at))
            });
            if !restored || !is_told {
                complaints.push(format!("{device}: acknowledged message {number} is lost"));
            }
        }
    }
    complaints
}

/// A reading that only talked to nobody lies in a gap that the core knows: between the readings
/// before and behind it, and, where the clock was good, by its time.
fn nothing_is_missed(simulation: &Simulation, core: &Had, restored: bool) -> Vec<String> {
    let book = simulation.books[0].book();
    let had = core.of_device(DEVICES[0]);
    let (Some(first), false) = (had.first(), restored) else { return Vec::new() };
    let gaps: Vec<&Gap> = core.gaps.iter().filter(|gap| gap.subject == DEVICES[0]).collect();
    let has_a_good_clock = simulation.options.has_a_good_clock();
    let there: BTreeSet<u64> = had.iter().map(|one| one.1).collect();
    let mut complaints = Vec::new();
    for (number, from_us, until_us) in &book.sent {
        if *number < first.1 || there.contains(number) || book.damaged.contains(number) {
            continue;
        }
        let before = had.iter().rev().find(|one| one.1 < *number).map_or(0, |one| one.0);
        let behind = had.iter().find(|one| one.1 > *number).map_or(u64::MAX, |one| one.0);
        let by_order = gaps
            .iter()
            .any(|gap| gap.sequence < behind && gap.ends_at.is_none_or(|ends_at| ends_at > before));
        let by_time = gaps.iter().any(|gap| {
            let ends = match gap.ended_us {
                Some(ended_us) => *from_us <= ended_us,
                // The record that ends it says when it began, too.
                None => gap.ends_at.is_none(),
            };
            ends && gap.began_us.is_some_and(|began_us| began_us <= *until_us)
        });
        if !by_order || (has_a_good_clock && !by_time) {
            let what = format!(
                "reading {number} of {until_us} is missing and in no gap (by order {by_order}, by \
                 time {by_time}); it lies between records {before} and {behind}; {gaps:?}"
            );
            complaints.push(what);
        }
    }
    complaints
}

/// Each record names the one before it. Lanes may overtake each other: what the box still has under
/// way when the house ends may have a later one beside it.
fn chain(simulation: &Simulation) -> Vec<String> {
    let records = simulation.cores.with(CORE, |core| core.store.clone());
    let cursors = &simulation.disk.cursors;
    cursors.quiet(true);
    let found = cursor::peek_in(&**cursors, CORE);
    cursors.quiet(false);
    let Ok(Found::State(state)) = found else {
        return vec![format!("the cursor of the core cannot be read: {found:?}")];
    };
    let mut complaints = Vec::new();
    let mut before = 0;
    for (sequence, record) in records.into_iter().filter(|(one, _)| *one <= state.low_water) {
        if record.previous != before {
            let what = format!("record {sequence} names {}, not {before}", record.previous);
            complaints.push(what);
        }
        before = sequence;
    }
    complaints
}

/// What two runs share only if the same happened at the same time in both.
pub(super) fn trace(simulation: &Simulation) -> String {
    let mut text = format!("{} {} ", simulation.lived_ms, simulation.starts);
    let disk = &simulation.disk;
    text += &format!("{} {} ", disk.journal.operations(), disk.cursors.operations());
    for core in simulation.cores.lock().values() {
        text += &format!("{:?} {} ", core.trace, core.lies);
    }
    for shared in &simulation.books {
        let book = shared.book();
        text += &format!("{:?} {:?} ", book.sent, book.acknowledged);
    }
    text
}
