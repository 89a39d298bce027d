//! What the committer remembers, and how it is rebuilt from the journal before any link opens.
//!
//! Until checkpoints exist the whole journal is read at start.

use std::collections::{BTreeMap, BTreeSet};

use super::record::WireHead;
use crate::check::repeats::{StatementKeys, Window};
use crate::forward::stored::Stored;
use crate::journal::{Kind, Reader, Record};
use crate::vocabulary::{Digest, Sequence};

/// How much is read at a time while rebuilding.
const READ_RECORDS: usize = 1024;
const READ_BYTES: usize = 4 << 20;

/// What the committer remembers.
#[derive(Debug, Default)]
pub struct Memory {
    /// Per device, by name.
    pub devices: BTreeMap<String, DeviceMemory>,
    /// Per destination, the last sequence that was routed there.
    pub last_routed: BTreeMap<String, u64>,
    /// Flattened profiles that are in the journal already.
    pub profiles: BTreeSet<String>,
    /// Whether the last run ended in order.
    pub stopped_in_order: bool,
}

/// What is remembered of one device.
#[derive(Debug, Default)]
pub struct DeviceMemory {
    pub window: Window,
    /// The newest record of this device: its receive time and sequence.
    pub last: Option<(i64, u64)>,
    /// Gaps that have begun and not ended, by their record's sequence.
    pub open_gaps: BTreeMap<u64, OpenGap>,
}

/// A gap that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenGap {
    pub cause: String,
    pub began_us: Option<i64>,
    pub after: Option<u64>,
}

impl Memory {
    /// Reads the journal from its first record on.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn rebuild(reader: &mut Reader) -> Result<Self, crate::journal::Error> {
        let mut memory = Self::default();
        let mut next = reader.first();
        loop {
            let read = reader.read_from(next, READ_RECORDS, READ_BYTES)?;
            if read.records.is_empty() && read.next == next {
                return Ok(memory);
            }
            next = read.next;
            let mut statements: Vec<Option<StatementKeys>> = Vec::new();
            let mut device = String::new();
            for record in &read.records {
                memory.take(record, &mut device, &mut statements);
            }
            // A batch may be cut by the reading's limit: read it again from its first record.
            if let Some(last) = read.records.last()
                && last.batch_index + 1 < last.batch_records
                && let Some(first) =
                    Sequence::new(last.sequence.number() - u64::from(last.batch_index))
                && read.records.first().is_some_and(|one| one.sequence < first)
            {
                next = first;
            }
        }
    }

    fn take(
        &mut self,
        record: &Record,
        device: &mut String,
        statements: &mut Vec<Option<StatementKeys>>,
    ) {
        self.stopped_in_order = record.kind == Kind::Stop;
        match record.kind {
            Kind::Wire => {
                statements.clear();
                device.clear();
                if let Some((head, _)) = WireHead::split(&record.payload) {
                    *statements = self.take_wire(&head, record.sequence);
                    *device = head.device;
                }
            }
            Kind::Profile => {
                let text: Result<serde_json::Value, _> = serde_json::from_slice(&record.payload);
                let digest =
                    text.ok().and_then(|one| one.get("digest")?.as_str().map(str::to_owned));
                self.profiles.extend(digest);
            }
            Kind::Observation | Kind::Gap | Kind::DeviceState => {
                let Some(stored) = Stored::from_bytes(&record.payload) else { return };
                for destination in stored.routes.keys() {
                    self.last_routed.insert(destination.clone(), record.sequence.number());
                }
                if record.kind == Kind::Observation {
                    let index = usize::from(record.batch_index).saturating_sub(1);
                    if let Some(Some(keys)) = statements.get(index) {
                        let memory = self.devices.entry(device.clone()).or_default();
                        let before = u64::from(record.batch_index);
                        if let Some(wire) = Sequence::new(record.sequence.number() - before) {
                            memory.window.note_statement(keys, wire, record.sequence);
                        }
                    }
                } else {
                    self.take_state(record, &stored);
                }
            }
            Kind::Association
            | Kind::Configuration
            | Kind::ClockStep
            | Kind::SetAside
            | Kind::Start
            | Kind::Stop
            | Kind::Other(_) => {}
        }
    }

    fn take_wire(&mut self, head: &WireHead, sequence: Sequence) -> Vec<Option<StatementKeys>> {
        let memory = self.devices.entry(head.device.clone()).or_default();
        memory.last = Some((head.received_us, sequence.number()));
        let basis = head.basis.as_deref().and_then(Digest::parse);
        if let Some(basis) = basis.filter(|_| head.repeat_of.is_none()) {
            memory.window.note(basis, sequence);
        }
        let stamps = head.statements.iter();
        stamps
            .map(|stamp| {
                stamp.as_ref().and_then(|one| StatementKeys::from_texts(&one.keys, &one.content))
            })
            .collect()
    }

    fn take_state(&mut self, record: &Record, stored: &Stored) {
        let memory = self.devices.entry(stored.subject.clone()).or_default();
        memory.last = Some((record.time_us, record.sequence.number()));
        if record.kind != Kind::Gap {
            return;
        }
        let number = |key: &str| stored.data.get(key).and_then(serde_json::Value::as_u64);
        match number("gap") {
            // The end of a gap names the record of its beginning.
            Some(began) => {
                memory.open_gaps.remove(&began);
            }
            None => {
                let cause = stored.data.get("cause").and_then(|one| one.as_str());
                let gap = OpenGap {
                    cause: cause.unwrap_or_default().to_owned(),
                    began_us: stored.data.get("began_us").and_then(serde_json::Value::as_i64),
                    after: number("after"),
                };
                memory.open_gaps.insert(record.sequence.number(), gap);
            }
        }
    }
}
