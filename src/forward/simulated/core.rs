//! One core: what it has stored, and everything that can happen to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use super::Sent;
use crate::link::clock;
use crate::vocabulary::StreamId;
use crate::vocabulary::chance::Chance;

/// What a core says, in JSON.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Acknowledgement(String),
    Have(String),
}

/// How unkind network and core are; each `..once_in` happens once in so many times, 0 for never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manners {
    /// One way.
    pub wait_ms_max: u64,
    /// From the arrival of a record until it is stored.
    pub commit_ms_max: u64,
    /// At least so long.
    pub commit_ms_min: u64,
    pub loses_record_once_in: u64,
    pub loses_answer_once_in: u64,
    pub says_twice_once_in: u64,
    /// It names what was never sent, another stream, or another receiver.
    pub lies_once_in: u64,
    /// It dies with a record in its hands: once before it is stored, once behind that.
    pub dies_once_in: u64,
    /// For proving that the simulation sees it: it answers before it has stored.
    pub answers_before_it_stores: bool,
}

/// A record as the core has it.
#[derive(Clone, Debug)]
pub(crate) struct StoredRecord {
    pub payload: Arc<[u8]>,
    /// The sequence of the record before it here, as the house has it.
    pub previous: u64,
}

/// A core and a network without faults.
pub(crate) const KIND: Manners = Manners {
    wait_ms_max: 5,
    commit_ms_max: 5,
    commit_ms_min: 0,
    loses_record_once_in: 0,
    loses_answer_once_in: 0,
    says_twice_once_in: 0,
    lies_once_in: 0,
    dies_once_in: 0,
    answers_before_it_stores: false,
};

type Store = BTreeMap<u64, StoredRecord>;

/// One core.
pub(crate) struct Core {
    name: String,
    chance: Chance,
    pub manners: Manners,
    /// Down: nobody answers.
    pub is_up: bool,
    /// What comes is not read, what is said does not arrive; nobody is told.
    pub is_half_open: bool,
    /// Comes up again by itself after so many attempts to reach it.
    asleep: u64,
    stream: Option<StreamId>,
    /// The journal has synced: perhaps there is something new for this core.
    pub synced: Arc<Notify>,
    /// What it has on its disk.
    pub store: Store,
    /// What it had when the backup was made.
    backup: Option<Store>,
    /// Of its last restoration.
    generation: u64,
    /// The connection, by number; what belongs to an older one is of no effect.
    line: Option<(u64, UnboundedSender<Answer>)>,
    lines: u64,
    /// What is wrong with what came.
    pub complaints: Vec<String>,
    /// In the order in which they were stored, and when: microseconds since the box's boot.
    pub trace: Vec<(u64, u64)>,
    pub in_flight_max: usize,
    pub bytes_max: usize,
    pub restored: u64,
    pub lies: u64,
}

impl Core {
    pub fn new(name: &str, chance: Chance, manners: Manners) -> Self {
        Self {
            name: name.to_owned(),
            chance,
            manners,
            is_up: true,
            is_half_open: false,
            asleep: 0,
            stream: None,
            synced: Arc::default(),
            store: Store::new(),
            backup: None,
            generation: 0,
            line: None,
            lines: 0,
            complaints: Vec::new(),
            trace: Vec::new(),
            in_flight_max: 0,
            bytes_max: 0,
            restored: 0,
            lies: 0,
        }
    }

    /// It is there, and has no faults but these.
    pub fn be_there(&mut self, manners: Manners) {
        self.manners = manners;
        (self.is_up, self.is_half_open, self.asleep) = (true, false, 0);
        self.cut();
    }

    /// The connection is gone, with whatever is on its way.
    pub fn cut(&mut self) {
        self.line = None;
        self.lines += 1;
    }

    /// It loses what it has not stored, and is away for some attempts to reach it.
    pub fn die(&mut self) {
        self.cut();
        self.asleep = self.chance.between(1, 3);
    }

    pub fn make_backup(&mut self) {
        self.backup = Some(self.store.clone());
    }

    /// It comes back from its backup and says what it has.
    pub fn restore(&mut self) {
        if let Some(backup) = self.backup.clone() {
            self.store = backup;
            self.generation += 1;
            self.restored += 1;
            self.cut();
        }
    }

    /// A house connects to it; `false`: nobody is there.
    pub(super) fn connects(&mut self, stream: StreamId, line: UnboundedSender<Answer>) -> bool {
        if !self.is_up || self.asleep > 0 {
            self.asleep = self.asleep.saturating_sub(1);
            return false;
        }
        if self.stream.replace(stream).is_some_and(|before| before != stream) {
            self.complaints.push("another stream began, and no disk had lied".to_owned());
        }
        self.lines += 1;
        if self.generation > 0 {
            let _ = line.send(Answer::Have(self.have()));
        }
        self.line = Some((self.lines, line));
        true
    }

    /// The number of the connection on which a record goes out, and how long it takes.
    pub(super) fn wire(&mut self) -> Option<(u64, u64)> {
        let lost = self.chance.once_in(self.manners.loses_record_once_in) || self.is_half_open;
        let line = self.line.as_ref().filter(|_| !lost)?.0;
        Some((line, self.chance.below(self.manners.wait_ms_max + 1)))
    }

    fn is_on(&self, line: u64) -> bool {
        self.line.as_ref().is_some_and(|(number, _)| *number == line)
    }

    /// A record has arrived on this connection: how long storing it takes.
    pub(super) fn takes(&mut self, line: u64) -> Option<u64> {
        if !self.is_on(line) {
            return None;
        }
        if self.chance.once_in(self.manners.dies_once_in) {
            self.die();
            return None;
        }
        let Manners { commit_ms_min, commit_ms_max, .. } = self.manners;
        Some(self.chance.between(commit_ms_min, commit_ms_max.max(commit_ms_min)))
    }

    /// Stores the record; gives the answers, each with how long it takes.
    pub(super) fn stores(&mut self, line: u64, sent: &Sent) -> Vec<(u64, Answer)> {
        if !self.is_on(line) {
            return Vec::new();
        }
        let forgets = self.manners.answers_before_it_stores && self.chance.once_in(20);
        if !forgets {
            self.keep(sent);
        }
        if self.chance.once_in(self.manners.dies_once_in) {
            self.die();
            return Vec::new();
        }
        let mut answers = Vec::new();
        if !self.chance.once_in(self.manners.loses_answer_once_in) {
            answers.push(self.acknowledgement(sent.sequence, forgets));
        }
        if self.chance.once_in(self.manners.says_twice_once_in) {
            answers.push(self.acknowledgement(sent.sequence, forgets));
        }
        if self.chance.once_in(self.manners.lies_once_in) {
            answers.push(self.lie(sent.sequence));
        }
        let waits = |answer| (self.chance.below(self.manners.wait_ms_max + 1), answer);
        answers.into_iter().map(waits).collect()
    }

    /// An answer arrives at the house.
    pub(super) fn says(&mut self, line: u64, answer: Answer) {
        if let Some((number, open)) = self.line.as_ref().filter(|_| !self.is_half_open)
            && *number == line
        {
            // The house may have hung up.
            let _ = open.send(answer);
        }
    }

    /// What is in flight towards it.
    pub(super) fn sees(&mut self, in_flight: usize, bytes: usize) {
        self.in_flight_max = self.in_flight_max.max(in_flight);
        self.bytes_max = self.bytes_max.max(bytes);
    }

    fn keep(&mut self, sent: &Sent) {
        let Sent { sequence, previous, .. } = *sent;
        let payload = Arc::clone(&sent.payload);
        match self.store.get(&sequence) {
            Some(known) if known.payload != payload => {
                self.complaints.push(format!("record {sequence} came with other bytes"));
            }
            Some(_) => {}
            None => {
                self.trace.push((sequence, clock::now().monotonic_us()));
                self.store.insert(sequence, StoredRecord { payload, previous });
            }
        }
    }

    /// Says that it has this record, or that it has it and all before it that are here.
    fn acknowledgement(&mut self, sequence: u64, forgets: bool) -> Answer {
        let mut first = sequence;
        if self.chance.once_in(3) && !forgets {
            // The records name each other, so a range holds nothing that it does not have.
            while let Some(record) = self.store.get(&first)
                && self.store.contains_key(&record.previous)
            {
                first = record.previous;
            }
        }
        self.answer(&self.stream_text(), &self.name, (first, sequence))
    }

    fn stream_text(&self) -> String {
        self.stream.map_or_else(String::new, |stream| stream.to_string())
    }

    fn answer(&self, stream: &str, receiver: &str, (first, last): (u64, u64)) -> Answer {
        Answer::Acknowledgement(format!(
            r#"{{"stream": "{stream}", "accepted": [[{first}, {last}]], "rejected": [],
                "receiver_time": "2026-11-23T08:00:00Z", "receiver_id": "{receiver}"}}"#
        ))
    }

    fn lie(&mut self, sequence: u64) -> Answer {
        self.lies += 1;
        let (stream, all) = (self.stream_text(), (1, sequence + 1_000_000));
        match self.chance.below(3) {
            0 => self.answer(&stream, &self.name, all),
            1 => self.answer(&"0".repeat(32), &self.name, (1, sequence)),
            _ => self.answer(&stream, "somebody", (1, sequence)),
        }
    }

    fn have(&self) -> String {
        let ranges: Vec<String> =
            self.store.keys().map(|sequence| format!("[{sequence}, {sequence}]")).collect();
        format!(
            r#"{{"stream": "{}", "ranges": [{}], "receiver_id": "{}", "generation": {}}}"#,
            self.stream_text(),
            ranges.join(", "),
            self.name,
            self.generation
        )
    }
}
