//! The memory as the payloads of `Carried` records, and back.
//!
//! A checkpoint is cut into parts, because a batch is less than half a segment. It counts once all
//! of its parts are there, in order; then it replaces the whole memory.
//!
//! | bytes of a part | what |
//! |---|---|
//! | 1 | `C`: a part of a checkpoint |
//! | 1 | version, 1 |
//! | 2 | number of the part, from 0 |
//! | 2 | how many parts there are |
//! | n | its share of the body |
//!
//! The body is 4 bytes with the length of a text in JSON, the text, and the windows of the devices
//! in the order of their names. Little-endian. Journals of before have the text alone, which begins
//! with a brace and is no complete checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{DeviceMemory, Memory, OpenGap};
use crate::association::{self, EntryId, Ledger, Register, Site, Utc};
use crate::check::repeats::Window;
use crate::gateway::ledger::Acts;

const MARK: u8 = b'C';
const VERSION: u8 = 1;
const HEAD_BYTES: usize = 6;

/// What stands in a checkpoint besides the windows.
#[derive(Serialize, Deserialize)]
struct Carried {
    devices: BTreeMap<String, CarriedDevice>,
    last_routed: BTreeMap<String, u64>,
    #[serde(default)]
    manifests: BTreeMap<String, u64>,
    configuration: String,
    #[serde(default)]
    profiles: BTreeSet<String>,
    #[serde(default)]
    ended_by: BTreeMap<u64, u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledger: Option<CarriedLedger>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    register: Option<Register>,
    #[serde(default, skip_serializing_if = "Acts::is_empty")]
    acts: Acts,
}

/// The ledger, where anything was ever said.
#[derive(Serialize, Deserialize)]
struct CarriedLedger {
    entries: association::Checkpoint,
    /// The newest record with an entry.
    record: u64,
    #[serde(default)]
    unexamined: BTreeMap<u64, EntryId>,
}

#[derive(Serialize, Deserialize)]
struct CarriedDevice {
    last: Option<(i64, u64)>,
    open_gaps: BTreeMap<u64, OpenGap>,
    association: Option<(String, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clock_ahead_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
}

/// The parts that have come so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    count: u16,
    body: Vec<u8>,
}

impl Parts {
    /// Takes the payload of a `Carried` record; the body once it is complete.
    pub fn take(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let (head, share) = payload.split_first_chunk::<HEAD_BYTES>()?;
        let [MARK, VERSION, number_low, number_high, parts_low, parts_high] = *head else {
            return None;
        };
        let number = u16::from_le_bytes([number_low, number_high]);
        let parts = u16::from_le_bytes([parts_low, parts_high]);
        if number == 0 {
            *self = Self::default();
        }
        if number != self.count {
            return None;
        }
        self.count += 1;
        self.body.extend_from_slice(share);
        (self.count == parts).then(|| std::mem::take(self).body)
    }
}

impl Memory {
    /// The payloads of the `Carried` records of a checkpoint, none longer than `payload_bytes_max`.
    pub fn checkpoint(&self, payload_bytes_max: usize) -> Vec<Vec<u8>> {
        let device = |memory: &DeviceMemory| CarriedDevice {
            last: memory.last,
            open_gaps: memory.open_gaps.clone(),
            association: memory.association.clone(),
            clock_ahead_ms: memory.clock_ahead_ms,
            serial: memory.serial.clone(),
        };
        let carried = Carried {
            devices: self.devices.iter().map(|(name, one)| (name.clone(), device(one))).collect(),
            last_routed: self.last_routed.clone(),
            manifests: self.manifests.clone(),
            configuration: self.configuration.clone(),
            profiles: self.profiles.clone(),
            ended_by: self.ended.clone(),
            ledger: self.carried_ledger(),
            register: (!self.register.is_empty()).then(|| (*self.register).clone()),
            acts: self.acts.clone(),
        };
        let text = serde_json::to_vec(&carried).expect("texts and numbers are JSON");
        let mut body = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes().to_vec();
        body.extend(text);
        self.devices.values().for_each(|device| device.window.pack(&mut body));
        let share = payload_bytes_max.saturating_sub(HEAD_BYTES).max(1);
        let shares: Vec<&[u8]> = body.chunks(share).collect();
        // Even the smallest share makes a checkpoint of 65535 parts larger than any segment.
        let parts = u16::try_from(shares.len()).unwrap_or(u16::MAX);
        let part = |(number, share): (u16, &&[u8])| {
            let (number, parts) = (number.to_le_bytes(), parts.to_le_bytes());
            [&[MARK, VERSION], &number[..], &parts[..], share].concat()
        };
        (0..parts).zip(&shares).map(part).collect()
    }

    /// What the configuration says from the beginning on is no entry of the journal.
    fn carried_ledger(&self) -> Option<CarriedLedger> {
        let mut entries = self.ledger.checkpoint();
        entries.entries.retain(|entry| entry.learned != Utc::MIN);
        (self.ledger_record > 0).then(|| CarriedLedger {
            entries,
            record: self.ledger_record,
            unexamined: self.unexamined.clone(),
        })
    }

    /// Takes the payload of a `Carried` record. A complete checkpoint replaces everything.
    pub(super) fn take_carried(&mut self, payload: &[u8]) {
        if payload.first() == Some(&b'{') {
            if let Ok(carried) = serde_json::from_slice(payload) {
                self.take_text(carried);
            }
            return;
        }
        let Some(body) = self.parts.take(payload) else { return };
        let Some((carried, mut windows)) = split(&body) else { return };
        let fresh = Self { windows_bytes_max: self.windows_bytes_max, ..Self::default() };
        *self = fresh;
        self.take_text(carried);
        for device in self.devices.values_mut() {
            device.window = Window::unpack(&mut windows).unwrap_or_default();
        }
        // An empty one costs nothing that anybody could forget.
        let entries = |device: &DeviceMemory| device.window.bytes() - Window::default().bytes();
        self.windows_bytes = self.devices.values().map(entries).sum();
    }

    fn take_text(&mut self, carried: Carried) {
        for (name, device) in carried.devices {
            let memory = self.devices.entry(name).or_default();
            memory.last = device.last;
            memory.open_gaps = device.open_gaps;
            memory.association = device.association;
            memory.clock_ahead_ms = device.clock_ahead_ms;
            memory.serial = device.serial;
        }
        self.last_routed = carried.last_routed;
        self.manifests = carried.manifests;
        self.configuration = carried.configuration;
        self.profiles.extend(carried.profiles);
        self.ended.extend(carried.ended_by);
        self.acts = carried.acts;
        let register = carried.register.unwrap_or_default();
        if !register.is_readable() {
            tracing::error!("the register of the checkpoint is of another version");
        }
        self.register = Arc::new(register);
        let Some(CarriedLedger { entries, record, unexamined }) = carried.ledger else { return };
        match Ledger::restore(Site::default(), entries) {
            Ok(ledger) => self.ledger = Arc::new(ledger),
            Err(why) => tracing::error!(%why, "the ledger of the checkpoint cannot be read"),
        }
        (self.ledger_record, self.unexamined) = (record, unexamined);
    }
}

fn split(body: &[u8]) -> Option<(Carried, &[u8])> {
    let (length, rest) = body.split_first_chunk()?;
    let (text, windows) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((serde_json::from_slice(text).ok()?, windows))
}
