//! What the committer remembers, and how it is rebuilt from the journal before any link opens.
//!
//! The whole journal is read at start; checkpoints per segment are not there yet.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::record::WireHead;
use crate::check::repeats::{StatementKeys, Window};
use crate::forward::stored::Stored;
use crate::journal::{Kind, Reader, Record};
use crate::vocabulary::{Digest, Sequence};

/// How much is read at a time while rebuilding.
const READ_RECORDS: usize = 1024;
const READ_BYTES: usize = 4 << 20;

/// What the committer remembers. All of it but windows and profiles is written again as one
/// `Carried` record before segments are freed, so that any rest of the journal gives the same
/// memory; the windows reach as far back as the journal does.
#[derive(Debug, Default)]
pub struct Memory {
    /// Per device, by name.
    pub devices: BTreeMap<String, DeviceMemory>,
    /// Per destination, the last sequence that was routed there.
    pub last_routed: BTreeMap<String, u64>,
    /// Per destination, the last sequence that a manifest covers.
    pub manifests: BTreeMap<String, u64>,
    /// Flattened profiles that are in the journal already.
    pub profiles: BTreeSet<String>,
    /// Whether the last run ended in order.
    pub stopped_in_order: bool,
    /// The configuration that was last in force.
    pub configuration: String,
    /// The batch that is being read back.
    batch: Batch,
}

/// The `wire` record whose observations are being read back.
#[derive(Debug, Default)]
struct Batch {
    device: String,
    statements: Vec<Option<StatementKeys>>,
}

/// The payload of a `Carried` record.
#[derive(Serialize, Deserialize)]
struct Carried {
    devices: BTreeMap<String, CarriedDevice>,
    last_routed: BTreeMap<String, u64>,
    #[serde(default)]
    manifests: BTreeMap<String, u64>,
    configuration: String,
}

#[derive(Serialize, Deserialize)]
struct CarriedDevice {
    last: Option<(i64, u64)>,
    open_gaps: BTreeMap<u64, OpenGap>,
    association: Option<(String, u64)>,
}

/// What is remembered of one device.
#[derive(Debug, Default)]
pub struct DeviceMemory {
    pub window: Window,
    /// The newest record of this device: its receive time and sequence.
    pub last: Option<(i64, u64)>,
    /// Gaps that have begun and not ended, by their record's sequence.
    pub open_gaps: BTreeMap<u64, OpenGap>,
    /// The place of its association and the sequence of that record.
    pub association: Option<(String, u64)>,
}

/// A gap that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
            for record in &read.records {
                memory.take(record);
            }
        }
    }

    /// The payload of a `Carried` record.
    pub fn carried(&self) -> Vec<u8> {
        let device = |memory: &DeviceMemory| CarriedDevice {
            last: memory.last,
            open_gaps: memory.open_gaps.clone(),
            association: memory.association.clone(),
        };
        let carried = Carried {
            devices: self.devices.iter().map(|(name, one)| (name.clone(), device(one))).collect(),
            last_routed: self.last_routed.clone(),
            manifests: self.manifests.clone(),
            configuration: self.configuration.clone(),
        };
        serde_json::to_vec(&carried).expect("texts and numbers are JSON")
    }

    fn take_carried(&mut self, payload: &[u8]) {
        let Ok(carried) = serde_json::from_slice::<Carried>(payload) else { return };
        for (name, device) in carried.devices {
            let memory = self.devices.entry(name).or_default();
            memory.last = device.last;
            memory.open_gaps = device.open_gaps;
            memory.association = device.association;
        }
        self.last_routed = carried.last_routed;
        self.manifests = carried.manifests;
        self.configuration = carried.configuration;
    }

    fn take(&mut self, record: &Record) {
        self.stopped_in_order = record.kind == Kind::Stop;
        match record.kind {
            Kind::Wire => {
                self.batch = Batch::default();
                if let Some((head, _)) = WireHead::split(&record.payload) {
                    let statements = self.take_wire(&head, record.sequence);
                    self.batch = Batch { device: head.device, statements };
                }
            }
            Kind::Profile => {
                let text: Result<serde_json::Value, _> = serde_json::from_slice(&record.payload);
                let digest =
                    text.ok().and_then(|one| one.get("digest")?.as_str().map(str::to_owned));
                self.profiles.extend(digest);
            }
            Kind::Observation | Kind::Gap | Kind::DeviceState | Kind::Association => {
                let Some(stored) = Stored::from_bytes(&record.payload) else { return };
                for destination in stored.routes.keys() {
                    self.last_routed.insert(destination.clone(), record.sequence.number());
                }
                if record.kind == Kind::Observation {
                    // A record of no message's batch states nothing anew.
                    let index = usize::from(record.batch_index).checked_sub(1);
                    let keys = index.and_then(|index| self.batch.statements.get(index));
                    if let Some(Some(keys)) = keys {
                        let memory = self.devices.entry(self.batch.device.clone()).or_default();
                        let before = u64::from(record.batch_index);
                        if let Some(wire) = Sequence::new(record.sequence.number() - before) {
                            memory.window.note_statement(keys, wire, record.sequence);
                        }
                    }
                } else {
                    self.take_state(record, &stored);
                }
            }
            Kind::Manifest => self.take_manifest(record),
            Kind::Carried => self.take_carried(&record.payload),
            Kind::Configuration => {
                let value: Result<serde_json::Value, _> = serde_json::from_slice(&record.payload);
                let digest =
                    value.ok().and_then(|one| Some(one.get("digest")?.as_str()?.to_owned()));
                self.configuration = digest.unwrap_or_default();
            }
            Kind::ClockStep | Kind::SetAside | Kind::Start | Kind::Stop | Kind::Other(_) => {}
        }
    }

    fn take_manifest(&mut self, record: &Record) {
        let Some(stored) = Stored::from_bytes(&record.payload) else { return };
        let last = stored.data.get("last").and_then(serde_json::Value::as_u64);
        for destination in stored.routes.keys() {
            self.last_routed.insert(destination.clone(), record.sequence.number());
            self.manifests.extend(last.map(|last| (destination.clone(), last)));
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
        // A gap of sequences is about a destination and no device.
        if stored.data.contains_key("first") {
            return;
        }
        let memory = self.devices.entry(stored.subject.clone()).or_default();
        if record.kind == Kind::Association {
            let place = stored.data.get("place").and_then(serde_json::Value::as_str);
            memory.association =
                Some((place.unwrap_or_default().to_owned(), record.sequence.number()));
            return;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_forward_gives_the_same_memory() {
        let mut memory = Memory::default();
        let oximeter = memory.devices.entry("oximeter".to_owned()).or_default();
        oximeter.last = Some((5_000_000, 41));
        oximeter.association = Some(("icu/bed-1".to_owned(), 7));
        let gap = OpenGap { cause: "link-down".to_owned(), began_us: Some(4), after: Some(40) };
        oximeter.open_gaps.insert(42, gap.clone());
        memory.last_routed.insert("core".to_owned(), 42);
        memory.configuration = "digest".to_owned();

        let mut rebuilt = Memory::default();
        // What stood in an older part of the journal is replaced, not mixed in.
        rebuilt.last_routed.insert("retired".to_owned(), 3);
        let record = Record {
            sequence: Sequence::new(43).unwrap(),
            kind: Kind::Carried,
            time_us: 6_000_000,
            batch_index: 0,
            batch_records: 1,
            payload: memory.carried(),
        };
        rebuilt.take(&record);
        let device = &rebuilt.devices["oximeter"];
        assert_eq!(device.last, Some((5_000_000, 41)));
        assert_eq!(device.association, Some(("icu/bed-1".to_owned(), 7)));
        assert_eq!(device.open_gaps, [(42, gap)].into());
        assert_eq!(rebuilt.last_routed, memory.last_routed);
        assert_eq!(rebuilt.configuration, "digest");
    }
}
