//! What must hold when the dust has settled, whatever happened on the ward.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::disk::SimulatedDisk;
use super::super::life::runtime;
use super::chart::Chart;
use super::lives::{Told, segments, sequence};
use super::oracle::{Oracle, Rests};
use super::site::SEGMENT_BYTES;
use super::story::{Story, Word};
use crate::association::Ledger;
use crate::gateway::configuration::Configuration;
use crate::gateway::ledger::LedgerDesk;
use crate::gateway::memory::Memory;
use crate::journal::{Journal, Options, Storage};
use crate::vocabulary::Sequence;
use crate::vocabulary::chance::Chance;
use crate::vocabulary::moment::utc_text;

/// How often the messages of a core are dealt anew.
const SHUFFLES: usize = 4;
/// What is looked at of each value.
const METRICS: usize = 2;

/// What was seen, so that nobody takes an empty history for a proof.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub values: usize,
    pub filed: usize,
    pub stayed: usize,
    pub plainly_scanned: usize,
    pub spanning: usize,
    pub voids: usize,
    pub confirmed: usize,
    pub disputed: usize,
    pub suffixes: usize,
    pub starts: u32,
}

/// The complaints about one story, and what was seen of it.
pub(super) struct Checked {
    pub complaints: Vec<String>,
    pub seen: Seen,
}

/// `is_loose`: how much the oracle thinks is enough.
pub(super) fn check(story: &Story, told: &Told, is_loose: bool, chance: &mut Chance) -> Checked {
    let mut checked = Checked { complaints: Vec::new(), seen: Seen::default() };
    checked.seen.starts = told.starts;
    let chart = in_order(&told.chart);
    let archive = in_order(&told.archive);
    for (name, messages, chart) in
        [("chart", &told.chart, &chart), ("archive", &told.archive, &archive)]
    {
        for _ in 0..SHUFFLES {
            let mut other = Chart::default();
            shuffled(messages, chance).iter().for_each(|message| other.take(message));
            if other != *chart {
                checked.complain(format!("{name}: another order, another end state"));
            }
        }
    }
    let words = |numbers: &BTreeSet<usize>| -> Vec<&Word> {
        numbers.iter().map(|number| &story.words[*number]).collect()
    };
    let oracle = Oracle::of(words(&told.taken), is_loose);
    let firsts = first_statements(&told.archive);
    for (number, value) in story.values.iter().enumerate() {
        let time = utc_text(value.chart);
        let Some((record, patient)) = firsts.get(&time) else {
            if told.kept.contains(&number) {
                checked.complain(format!("value {number}: it was kept, and no core has it"));
            }
            continue;
        };
        checked.seen.values += 1;
        let then = told.known_before[number].as_ref().expect("it came");
        let then = Oracle::of(words(then), is_loose);
        let at_arrival = AtArrival { record, patient: *patient, absent: &archive.absent };
        checked.arrival(number, value, &then, &at_arrival);
        if sequence(record) > told.gone_through {
            checked.filing(number, value, &oracle, &chart);
            let known = told.known_before[number].as_ref().expect("it came");
            let later: Vec<usize> = told.taken.difference(known).copied().collect();
            let kept = evidence_of(&then, value).first().is_some_and(|(human, rests)| {
                // What rests on a person is looked for by itself.
                *rests == Rests::OnLess
                    && later.iter().all(|last| {
                        let some: BTreeSet<usize> =
                            told.taken.iter().copied().filter(|word| word <= last).collect();
                        let some = Oracle::of(words(&some), is_loose);
                        evidence_of(&some, value)
                            .iter()
                            .any(|(other, _)| some.human(*human) == *other)
                    })
            });
            checked.staying(number, (value, *patient), kept, (&oracle, &chart));
        }
    }
    checked.seen.voids = chart.voids;
    checked.suffixes(told);
    let entries: BTreeSet<&str> = told
        .ledger
        .entries()
        .map(|entry| entry.id.as_str())
        .filter(|id| id.starts_with('w') && id.len() == 4)
        .collect();
    let expected: Vec<String> = told.taken.iter().map(|word| format!("w{word:03}")).collect();
    if entries != expected.iter().map(String::as_str).collect() {
        checked.complain("the ledger has other words than it took".to_owned());
    }
    checked
}

/// How a value was kept when it came.
struct AtArrival<'a> {
    record: &'a str,
    patient: Option<usize>,
    absent: &'a BTreeMap<String, String>,
}

impl Checked {
    fn complain(&mut self, what: String) {
        self.complaints.push(what);
    }

    /// What the record says that was made when the value came, by what was known then.
    fn arrival(
        &mut self,
        number: usize,
        value: &super::story::Value,
        then: &Oracle<'_>,
        at: &AtArrival<'_>,
    ) {
        let around = value.around();
        let evidence = evidence_of(then, value);
        let whose = at.patient.map(|patient| then.human(patient));
        let expected = evidence.first().map(|(human, _)| *human);
        if whose != expected {
            self.complain(format!(
                "value {number}, {value:?}: came as {whose:?}'s and is {expected:?}'s"
            ));
        }
        if around.is_some_and(|around| then.spans_handover(value.line, around)) {
            self.seen.spanning += 1;
            let why = at.absent.get(at.record).map(String::as_str);
            if why != Some("time-spans-handover") {
                self.complain(format!("value {number} spans a handover, and says {why:?}"));
            }
        }
    }

    /// Where the value stands in the core in the end, by everything that is known.
    fn filing(
        &mut self,
        number: usize,
        value: &super::story::Value,
        oracle: &Oracle<'_>,
        chart: &Chart,
    ) {
        let time = utc_text(value.chart);
        let around = value.around();
        let evidence = evidence_of(oracle, value);
        let has = |human: usize| evidence.iter().any(|(one, _)| *one == human);
        let mut filed: BTreeMap<usize, usize> = BTreeMap::new();
        // By identifier: that two of them are one human may be learned later.
        let mut on_chart: BTreeMap<usize, usize> = BTreeMap::new();
        for (_, patient) in chart.preliminary(&time) {
            *filed.entry(oracle.human(patient)).or_default() += 1;
            *on_chart.entry(patient).or_default() += 1;
        }
        let mut confirmed: BTreeMap<usize, usize> = BTreeMap::new();
        for (id, one) in chart.confirmed.iter().filter(|(_, one)| one.time == time) {
            let patient = one.patient.expect("a confirmation names a patient");
            let human = oracle.human(patient);
            *on_chart.entry(patient).or_default() += 1;
            *confirmed.entry(human).or_default() += 1;
            self.seen.confirmed += 1;
            let is_disputed = chart.disputed.contains(id);
            self.seen.disputed += usize::from(is_disputed);
            if chart.is_withdrawn(id) {
                self.complain(format!("value {number}: confirmed, and taken back by the box"));
            }
            if !has(human) && !is_disputed {
                self.complain(format!("value {number}: confirmed for the wrong one, undisputed"));
            }
        }
        for human in filed.keys() {
            self.seen.filed += 1;
            if !has(*human) {
                self.complain(format!(
                    "value {number}, {value:?}: stands for {human} without evidence"
                ));
            }
        }
        for (patient, _) in on_chart.iter().filter(|(_, count)| **count > METRICS) {
            self.complain(format!("value {number}: stands for {patient} twice"));
        }
        let stands = |human: usize| filed.contains_key(&human) || confirmed.contains_key(&human);
        self.what_is_somebodys(number, value, (oracle, &evidence), stands);
        if around.is_some_and(|around| oracle.spans_handover(value.line, around))
            && !filed.is_empty()
        {
            self.complain(format!("value {number}: spans a handover, and is filed"));
        }
    }

    /// What is somebody's on a person's word is filed.
    fn what_is_somebodys(
        &mut self,
        number: usize,
        value: &super::story::Value,
        (oracle, evidence): (&Oracle<'_>, &[(usize, Rests)]),
        stands: impl Fn(usize) -> bool,
    ) {
        let around = value.around();
        for (human, rests) in evidence {
            // A merge changes identifiers and not hands: what lay between two stays nobody's.
            let is_one_by_merge = || {
                around.is_some_and(|around| {
                    around.0 < around.1
                        && oracle.without_merges().evidence(value.line, around).is_empty()
                })
            };
            if *rests == Rests::OnAPerson && !stands(*human) && !is_one_by_merge() {
                self.complain(format!("value {number}, {value:?}: is {human}'s, and not filed"));
            }
        }
        let plainly = around.and_then(|around| oracle.plainly_scanned(value.line, around));
        if let Some(human) = plainly {
            self.seen.plainly_scanned += 1;
            let by_itself = || {
                let apart = oracle.without_merges();
                around.and_then(|around| apart.plainly_scanned(value.line, around))
            };
            if !stands(human) && by_itself().is_some() {
                self.complain(format!("value {number}: plainly scanned to {human}, not filed"));
            }
        }
    }

    /// What was somebody's when it came, and by every word since, stands as it was filed.
    fn staying(
        &mut self,
        number: usize,
        (value, patient): (&super::story::Value, Option<usize>),
        kept: bool,
        (oracle, chart): (&Oracle<'_>, &Chart),
    ) {
        let Some(patient) = patient.filter(|_| kept) else { return };
        self.seen.stayed += 1;
        let time = utc_text(value.chart);
        let mut filed = chart.preliminary(&time).map(|(_, patient)| patient);
        let mut confirmed = chart.confirmed.values().filter(|one| one.time == time);
        let is_there = filed.any(|one| oracle.human(one) == oracle.human(patient))
            || confirmed.any(|one| one.patient == Some(patient));
        if !is_there {
            self.complain(format!("value {number}, {value:?}: taken from {patient} for nothing"));
        }
    }

    /// Any suffix of segments gives the same ledger.
    fn suffixes(&mut self, told: &Told) {
        for gone in 0..segments(&told.disk).len() {
            let left = reopened(&told.disk, gone, &told.configuration);
            // The last segments may hold nothing but their own checkpoint.
            self.seen.suffixes += 1;
            if *left.ledger != told.ledger {
                self.complain(format!("without {gone} segments the ledger is another one"));
            }
        }
    }
}

/// What a house remembers that finds this of the journal.
pub(super) struct Left {
    pub first: Sequence,
    pub ledger: Arc<Ledger>,
}

/// As a house would open it without its oldest segments.
pub(super) fn reopened(disk: &SimulatedDisk, gone: usize, configuration: &Configuration) -> Left {
    let storage = disk.journal.copy();
    for name in segments(disk).iter().take(gone) {
        storage.remove(name);
    }
    runtime().block_on(async {
        let storage: Arc<dyn Storage> = Arc::new(storage);
        let options = Options { segment_bytes: SEGMENT_BYTES, ..Options::default() };
        let opened = Journal::open_on(storage, options, None).expect("it opens");
        let mut reader = opened.reader;
        let memory = Memory::rebuild(&mut reader, SEGMENT_BYTES).expect("it can be read");
        let places = configuration.devices.iter();
        let places = places.map(|one| (one.name.clone(), one.place.clone())).collect();
        let mut memory = memory.at_site(configuration.ledger_site(), places);
        let keeper = configuration.ledger_keeper(LedgerDesk::default());
        keeper.lines.from_the_beginning(Arc::make_mut(&mut memory.ledger));
        Left { first: reader.first(), ledger: memory.ledger }
    })
}

fn evidence_of(oracle: &Oracle<'_>, value: &super::story::Value) -> Vec<(usize, Rests)> {
    let around = value.around();
    around.map(|around| oracle.evidence(value.line, around)).unwrap_or_default()
}

fn in_order(messages: &[Arc<[u8]>]) -> Chart {
    let mut chart = Chart::default();
    messages.iter().for_each(|message| chart.take(message));
    chart
}

fn shuffled(messages: &[Arc<[u8]>], chance: &mut Chance) -> Vec<Arc<[u8]>> {
    let mut left = messages.to_vec();
    let mut mixed = Vec::new();
    while !left.is_empty() {
        mixed.push(left.swap_remove(chance.below(left.len() as u64) as usize));
    }
    mixed
}

/// The record that a value came in, and the patient whom it names, by the value's chart time.
fn first_statements(messages: &[Arc<[u8]>]) -> BTreeMap<String, (String, Option<usize>)> {
    let mut firsts = BTreeMap::new();
    for message in messages {
        let mut alone = Chart::default();
        if !is_observation(message) {
            continue;
        }
        alone.take(message);
        for filed in alone.filed.into_values() {
            firsts.insert(filed.time, (filed.record, filed.patient));
        }
    }
    firsts
}

fn is_observation(message: &[u8]) -> bool {
    let message: serde_json::Value = serde_json::from_slice(message).expect("JSON");
    message["type"] == "fi.wardgate.observation.v1"
}
