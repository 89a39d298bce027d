//! What the committer remembers, and how it is rebuilt from the journal before any link opens.
//!
//! Every segment begins with a checkpoint, which is the whole memory. So a start reads back from
//! the newest complete one only, and any rest of the journal that begins with a segment gives the
//! same memory as the whole.

mod checkpoint;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::committer::DeviceIdentity;
use super::ledger::{Acts, TRAIL, entry_of};
use super::record::WireHead;
use crate::association::{Entry, EntryId, Ledger, Register, Site};
use crate::check::repeats::{StatementKeys, Window};
use crate::forward::stored::{EventKind, Stored, Written};
use crate::journal::{Kind, Reader, Record, SEGMENT_BYTES};
use crate::vocabulary::{DeviceName, Digest, Place, Sequence};

/// How much is read at a time while rebuilding.
const READ_RECORDS: usize = 1024;
const READ_BYTES: usize = 4 << 20;

/// The part of a segment that all repeat windows together may take in a checkpoint: with segments
/// of 8 MiB that is 1 MiB, which is ten thousand messages of a box; a hundred devices have a
/// hundred each, and four analysers may have a whole store of some thousand results each.
const WINDOWS_PART: u64 = 8;

/// What the committer remembers. All of it stands in the checkpoint at the beginning of each
/// segment.
#[derive(Debug, PartialEq, Eq)]
pub struct Memory {
    /// Per device, by name; and the box itself under its own.
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
    /// Records that would be carried forward and that a person has ended, each with the record that
    /// says so.
    pub ended: BTreeMap<u64, u64>,
    /// Who was on which device, and is. Shared with whoever reads it.
    pub ledger: Arc<Ledger>,
    /// What is known of persons, and what other systems claim.
    pub register: Arc<Register>,
    /// The newest record that holds an entry of the ledger; 0 for none.
    pub ledger_record: u64,
    /// Entries by their records' sequence of which it is not known yet whether values that were
    /// kept before change hands by them.
    pub unexamined: BTreeMap<u64, EntryId>,
    /// What persons did in the last two days, so that nothing counts twice.
    pub acts: Acts,
    /// What is in all windows together, in bytes of a checkpoint, and how much that may be.
    windows_bytes: usize,
    windows_bytes_max: usize,
    /// The batch that is being read back.
    batch: Batch,
    /// The parts of a checkpoint that is being read back.
    parts: checkpoint::Parts,
}

/// The `wire` record whose observations are being read back.
#[derive(Debug, Default, PartialEq, Eq)]
struct Batch {
    device: String,
    statements: Vec<Option<StatementKeys>>,
}

/// What a destination gets that was kept, without a route, before it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Before {
    pub destination: String,
    /// The last sequence of that time.
    pub through: u64,
    /// The last of it that goes there; 0 for none.
    pub last: u64,
}

/// What is remembered of one device.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct DeviceMemory {
    pub window: Window,
    /// The newest record of this device: its receive time and sequence.
    pub last: Option<(i64, u64)>,
    /// Gaps that have begun and not ended, by their record's sequence.
    pub open_gaps: BTreeMap<u64, OpenGap>,
    /// The place of its association and the sequence of that record.
    pub association: Option<(String, u64)>,
    /// How far its clock is known to be ahead.
    pub clock_ahead_ms: Option<u64>,
    /// The serial number that it said last.
    pub serial: Option<String>,
}

/// A gap that has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenGap {
    pub cause: String,
    pub began_us: Option<i64>,
    pub after: Option<u64>,
}

impl Memory {
    /// Nothing is remembered yet; the journal has segments of this size.
    pub fn with_segments_of(segment_bytes: u64) -> Self {
        Self {
            devices: BTreeMap::new(),
            last_routed: BTreeMap::new(),
            manifests: BTreeMap::new(),
            profiles: BTreeSet::new(),
            stopped_in_order: false,
            configuration: String::new(),
            ended: BTreeMap::new(),
            ledger: Arc::default(),
            register: Arc::default(),
            ledger_record: 0,
            unexamined: BTreeMap::new(),
            acts: Acts::default(),
            windows_bytes: 0,
            windows_bytes_max: usize::try_from(segment_bytes / WINDOWS_PART).unwrap_or(usize::MAX),
            batch: Batch::default(),
            parts: checkpoint::Parts::default(),
        }
    }

    /// Reads the journal from the newest segment with a complete checkpoint on; from its first
    /// record on if there is none.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn rebuild(reader: &mut Reader, segment_bytes: u64) -> Result<Self, crate::journal::Error> {
        let mut memory = Self::with_segments_of(segment_bytes);
        let mut next = newest_checkpoint(reader)?.unwrap_or_else(|| reader.first());
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

    /// The ledger under the site's configuration of today: the policy, the machines, and where each
    /// device stands.
    #[must_use]
    pub fn at_site(mut self, site: Site, places: BTreeMap<DeviceName, Place>) -> Self {
        let ledger = Arc::unwrap_or_clone(std::mem::take(&mut self.ledger));
        self.ledger = Arc::new(ledger.under(site, places));
        self
    }

    /// What is routed there from now on comes behind what was kept before; manifests begin there,
    /// too.
    pub fn begins_behind(&mut self, before: Before) {
        self.manifests.entry(before.destination.clone()).or_insert(before.through);
        self.last_routed.entry(before.destination).or_insert(before.last);
    }

    /// Tells the devices how far their clocks were ahead, before their tasks begin.
    pub fn tell_clocks(&self, devices: &[Arc<DeviceIdentity>]) {
        for device in devices {
            let known = self.devices.get(device.name.as_str());
            let ahead_ms = known.and_then(|one| one.clock_ahead_ms).unwrap_or(0);
            device.status.clock_ahead_ms.store(ahead_ms, Ordering::Relaxed);
        }
    }

    /// Notes a message that is on its way into the journal. What all windows together take stays
    /// within its bound: the largest one forgets its oldest.
    pub fn note_message(&mut self, device: &str, basis: Option<Digest>, wire: Sequence) {
        let Some(basis) = basis else { return };
        self.change_window(device, |window| window.note(basis, wire));
    }

    /// Notes when a device's newest message came, and how far its clock is ahead.
    pub fn heard(
        &mut self,
        device: &str,
        (received_us, wire): (i64, Sequence),
        clock_ahead_ms: Option<u64>,
    ) {
        let memory = self.device(device);
        memory.last = Some((received_us, wire.number()));
        memory.clock_ahead_ms = clock_ahead_ms;
    }

    /// Notes what a message states.
    pub fn note_statement(
        &mut self,
        device: &str,
        keys: &StatementKeys,
        (wire, sequence): (Sequence, Sequence),
    ) {
        self.change_window(device, |window| window.note_statement(keys, wire, sequence));
    }

    fn change_window(&mut self, device: &str, change: impl FnOnce(&mut Window)) {
        let window = &mut self.device(device).window;
        let before = window.bytes();
        change(window);
        let after = window.bytes();
        self.windows_bytes = self.windows_bytes + after - before;
        self.bound_windows();
    }

    /// What is remembered of a device; nothing yet, if it is new.
    fn device(&mut self, name: &str) -> &mut DeviceMemory {
        // Looked up twice rather than owning a name for each message.
        if !self.devices.contains_key(name) {
            self.devices.insert(name.to_owned(), DeviceMemory::default());
        }
        self.devices.get_mut(name).expect("it is there or was put there")
    }

    fn bound_windows(&mut self) {
        while self.windows_bytes > self.windows_bytes_max {
            let largest = self.devices.values_mut().max_by_key(|device| device.window.bytes());
            let Some(DeviceMemory { window, .. }) = largest else { return };
            let before = window.bytes();
            if !window.forget_oldest() {
                return;
            }
            self.windows_bytes -= before - window.bytes();
        }
    }

    /// Takes what a record says. Records come in order, from the first one of a segment on.
    pub fn take(&mut self, record: &Record) {
        self.stopped_in_order = record.kind == Kind::Stop;
        if record.batch_index == 0 {
            self.batch = Batch::default();
        }
        match record.kind {
            Kind::Wire => {
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
                        let (device, keys) = (self.batch.device.clone(), keys.clone());
                        let before = u64::from(record.batch_index);
                        if let Some(wire) = Sequence::new(record.sequence.number() - before) {
                            self.note_statement(&device, &keys, (wire, record.sequence));
                        }
                    }
                    self.take_act(record, &stored);
                } else {
                    self.take_state(record, &stored);
                }
            }
            Kind::Manifest => self.take_manifest(record),
            Kind::Waveform => self.take_waveforms(record),
            Kind::Carried => self.take_carried(&record.payload),
            Kind::Configuration => {
                let value: Result<serde_json::Value, _> = serde_json::from_slice(&record.payload);
                let digest =
                    value.ok().and_then(|one| Some(one.get("digest")?.as_str()?.to_owned()));
                self.configuration = digest.unwrap_or_default();
            }
            Kind::SetAside => {
                let ended = Ended::from_bytes(&record.payload);
                self.ended.extend(ended.into_iter().map(|one| (one, record.sequence.number())));
            }
            Kind::Audit => {
                let value: Result<serde_json::Value, _> = serde_json::from_slice(&record.payload);
                let client_id =
                    value.ok().and_then(|one| Some(one.get("client_id")?.as_str()?.to_owned()));
                if let Some(client_id) = client_id.filter(|one| one != TRAIL) {
                    self.note_act(record, &client_id);
                }
            }
            Kind::Register => match serde_json::from_slice(&record.payload) {
                Ok(row) => Arc::make_mut(&mut self.register).put(row),
                Err(_) => {
                    let sequence = record.sequence.number();
                    tracing::error!(sequence, "a row of the register cannot be read back");
                }
            },
            Kind::ClockStep | Kind::Start | Kind::Stop | Kind::Destination | Kind::Other(_) => {}
        }
    }

    fn take_act(&mut self, record: &Record, stored: &Stored) {
        if matches!(stored.kind, EventKind::Confirmation | EventKind::Entry)
            && let Some(client_id) = stored.data.get("client_id").and_then(|one| one.as_str())
        {
            self.note_act(record, client_id);
        }
    }

    fn note_act(&mut self, record: &Record, client_id: &str) {
        self.acts.forget(record.time_us);
        self.acts.note(client_id, record.sequence.number(), record.time_us);
    }

    /// What somebody says of who is on a device.
    fn take_entry(&mut self, record: &Record, entry: Entry) {
        let (sequence, id) = (record.sequence.number(), entry.id.clone());
        // What stands in a journal was taken by the rules of its time.
        if let Err(why) = Arc::make_mut(&mut self.ledger).add(entry) {
            tracing::error!(sequence, %why, "an entry of the ledger cannot be read back");
            return;
        }
        self.ledger_record = sequence;
        self.unexamined.insert(sequence, id);
    }

    fn take_manifest(&mut self, record: &Record) {
        let Some(stored) = Stored::from_bytes(&record.payload) else { return };
        let last = stored.data.get("last").and_then(serde_json::Value::as_u64);
        for destination in stored.routes.keys() {
            self.last_routed.insert(destination.clone(), record.sequence.number());
            self.manifests.extend(last.map(|last| (destination.clone(), last)));
        }
    }

    fn take_waveforms(&mut self, record: &Record) {
        let Some(written) = Written::from_bytes(&record.payload) else { return };
        for destination in written.routes.keys() {
            self.last_routed.insert(destination.clone(), record.sequence.number());
        }
        self.heard(&written.subject, (record.time_us, record.sequence), None);
    }

    fn take_wire(&mut self, head: &WireHead, sequence: Sequence) -> Vec<Option<StatementKeys>> {
        self.heard(&head.device, (head.received_us, sequence), head.clock_ahead_ms);
        let basis = head.basis.as_deref().and_then(Digest::parse);
        self.note_message(&head.device, basis.filter(|_| head.repeat_of.is_none()), sequence);
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
        if let Some(entry) = entry_of(&stored.data) {
            return self.take_entry(record, entry);
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
            let serial = stored.data.get("serial_number").and_then(serde_json::Value::as_str);
            if let Some(serial) = serial.filter(|serial| !serial.is_empty()) {
                memory.serial = Some(serial.to_owned());
            }
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

impl Default for Memory {
    fn default() -> Self {
        Self::with_segments_of(SEGMENT_BYTES)
    }
}

/// The payload of a `SetAside` record by which a person ends records that are carried forward.
#[derive(Serialize, Deserialize)]
pub struct Ended {
    pub ended: Vec<u64>,
    /// Who said so.
    pub by: String,
    #[serde(default)]
    pub reason: String,
    /// Who asked, as the system knows it.
    #[serde(default)]
    pub user: Option<u32>,
}

impl Ended {
    /// The records that a record of this payload ends; none of any other payload.
    pub fn from_bytes(payload: &[u8]) -> Vec<u64> {
        serde_json::from_slice::<Self>(payload).map(|one| one.ended).unwrap_or_default()
    }
}

/// The first sequence of the newest segment that holds a complete checkpoint.
fn newest_checkpoint(reader: &mut Reader) -> Result<Option<Sequence>, crate::journal::Error> {
    let mut behind = None;
    for segment in reader.segments().iter().rev() {
        if has_checkpoint(reader, segment.first, behind)? {
            return Ok(Some(segment.first));
        }
        behind = Some(segment.first);
    }
    Ok(None)
}

/// Whether the records from `first` on, up to `behind`, hold a complete checkpoint. A segment of
/// ours begins with one; only records that recovery has copied come before it.
///
/// # Errors
/// The journal cannot be read.
pub fn has_checkpoint(
    reader: &mut Reader,
    first: Sequence,
    behind: Option<Sequence>,
) -> Result<bool, crate::journal::Error> {
    let mut parts = checkpoint::Parts::default();
    let mut next = first;
    while behind.is_none_or(|behind| next < behind) {
        let read = reader.read_from(next, READ_RECORDS, READ_BYTES)?;
        if read.next == next {
            break;
        }
        next = read.next;
        let ours = |record: &&Record| behind.is_none_or(|behind| record.sequence < behind);
        for record in read.records.iter().filter(ours) {
            if record.kind == Kind::Carried && parts.take(&record.payload).is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
