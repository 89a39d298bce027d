//! The committer's records about the house itself: start, configuration, device files,
//! associations, steps of the box's clock, damage, checkpoints, and what is carried forward before
//! room is freed.

use serde_json::json;
use std::sync::Arc;
use tokio::sync::oneshot;

use super::committer::{Begin, Committer, DeviceIdentity};
use super::gaps::GapCause;
use super::keeping::{Kept, Plan};
use super::record::ProfileStamp;
use crate::association::Utc;
use crate::forward::stored::{EventKind, Stored};
use crate::forward::{Unavailable, UnavailableWhy};
use crate::journal::{Appender, Kind, NewRecord};
use crate::vocabulary::{Certainty, Digest, Moment};

/// Room for an authentication tag and padding.
const RECORD_OVERHEAD: usize = 64;

/// A smaller change of UTC against the time since boot is slewing, not a step.
const CLOCK_STEP_US_MIN: i64 = 1_000_000;

/// How often the ledger lets go what is over.
const FORGET_EVERY_MS: u64 = 3_600_000;

impl Committer {
    /// The start record, a changed configuration, and the gaps of the time in which the box was not
    /// running, one per device.
    pub async fn started(&mut self, devices: &[Arc<DeviceIdentity>], digest: Digest, now: Moment) {
        self.started_after(devices, digest, GapCause::BoxRestarted, now).await;
    }

    /// As [`Committer::started`], with the reason why data could not be had before.
    pub(super) async fn started_after(
        &mut self,
        devices: &[Arc<DeviceIdentity>],
        digest: Digest,
        cause: GapCause,
        now: Moment,
    ) {
        let payload = json!({ "version": env!("CARGO_PKG_VERSION") }).to_string();
        let _ = self.append_one(Kind::Start, now.utc_us(), payload.into_bytes()).await;
        if self.memory.configuration != digest.to_string() {
            let payload = json!({ "digest": digest }).to_string().into_bytes();
            let _ = self.append_one(Kind::Configuration, now.utc_us(), payload).await;
            self.memory.configuration = digest.to_string();
        }
        for device in devices {
            self.associate(device, now).await;
            // A device that was never heard has nothing to miss.
            let last = self.memory.devices.get(device.name.as_str()).and_then(|one| one.last);
            if let Some((last_us, _)) = last {
                self.gap_began(device.name.as_str(), cause, Some(last_us), now).await;
            }
        }
    }

    /// Something that was once durable cannot be read any more: nobody may take silence for
    /// "nothing happened".
    pub async fn damaged(&mut self, devices: &[Arc<DeviceIdentity>], now: Moment) {
        for device in devices {
            let name = device.name.as_str();
            self.gap_began(name, GapCause::JournalDamaged, None, now).await;
            self.gaps_ended(name, Some(GapCause::JournalDamaged), now).await;
        }
    }

    /// A gap for one destination: it asked for records that the box has freed, or that cannot be
    /// read.
    pub(super) async fn unavailable(&mut self, what: &Unavailable, now: Moment) {
        let cause = match what.why {
            UnavailableWhy::Freed => "freed",
            UnavailableWhy::Damaged => GapCause::JournalDamaged.as_str(),
        };
        let mut data = serde_json::Map::new();
        data.insert("phase".to_owned(), json!("ended"));
        data.insert("cause".to_owned(), json!(cause));
        data.insert("first".to_owned(), json!(what.first));
        data.insert("last".to_owned(), json!(what.last));
        let previous = self.memory.last_routed.get(&what.destination).copied().unwrap_or(0);
        let stored = Stored {
            kind: EventKind::Gap,
            time: now.utc_text(),
            subject: self.name.clone(),
            routes: [(what.destination.clone(), previous)].into(),
            data,
        };
        let recorded = what.recorded.clone();
        let record =
            NewRecord { kind: Kind::Gap, time_us: now.utc_us(), payload: stored.to_bytes() };
        let done = Box::new(move |kept: Result<(), crate::journal::NotKept>| {
            if kept.is_ok() {
                recorded.set();
            }
        });
        if let Ok(sequence) = self.append(vec![record], done).await {
            self.memory.last_routed.insert(what.destination.clone(), sequence.number());
        }
    }

    /// Writes the association that the configuration states, if it is another than before.
    async fn associate(&mut self, device: &DeviceIdentity, now: Moment) {
        let association = self.memory.ledger.of(&device.name);
        let place = association.place.as_ref().map(|place| place.as_str().to_owned());
        let place = place.unwrap_or_default();
        let name = device.name.as_str();
        let known = self.memory.devices.get(name).and_then(|one| one.association.as_ref());
        if known.is_some_and(|(known, _)| *known == place) {
            return;
        }
        let mut data = serde_json::Map::new();
        data.insert("place".to_owned(), json!(place));
        data.insert("grade".to_owned(), json!(association.grade));
        data.insert("patient".to_owned(), serde_json::Value::Null);
        data.insert("patient_absent".to_owned(), json!("not-associated"));
        let kept = self.append_state(EventKind::Association, Kind::Association, name, data, now);
        if let Some(sequence) = kept.await {
            let memory = self.memory.devices.entry(name.to_owned()).or_default();
            memory.association = Some((place, sequence.number()));
        }
    }

    /// Writes a flattened profile once per digest.
    pub async fn profile(&mut self, stamp: &ProfileStamp, text: &str, now: Moment) {
        if self.memory.profiles.insert(stamp.digest.clone()) {
            let payload = json!({
                "id": stamp.id, "revision": stamp.revision, "digest": stamp.digest, "text": text,
            });
            let payload = payload.to_string().into_bytes();
            let _ = self.append_one(Kind::Profile, now.utc_us(), payload).await;
        }
    }

    /// Writes a step of the box's clock before the first record that was timed after it.
    pub(super) async fn note_clock(&mut self, now: Moment) {
        let offset_us = now.utc_us() - i64::try_from(now.monotonic_us()).unwrap_or(i64::MAX);
        let before_us = self.clock_offset_us.replace(offset_us);
        if let Some(before_us) = before_us
            && offset_us.abs_diff(before_us) >= CLOCK_STEP_US_MIN.unsigned_abs()
        {
            let step_ms = (offset_us - before_us) / 1000;
            tracing::warn!(step_ms, "the clock of the box was stepped");
            let payload = json!({ "step_ms": step_ms, "clock": now.certainty() }).to_string();
            let _ = self.append_one(Kind::ClockStep, now.utc_us(), payload.into_bytes()).await;
        }
    }

    /// Writes the whole memory. Every segment begins with it, and so does every start.
    pub async fn checkpoint(&mut self, begin: Begin, time_us: i64) {
        let record = |payload| NewRecord { kind: Kind::Carried, time_us, payload };
        // What a record costs besides its payload, with room for an authentication tag.
        let overhead = Appender::bytes_of(&[record(Vec::new())]) + RECORD_OVERHEAD;
        let most = self.appender.batch_bytes_max().saturating_sub(overhead);
        let mut begin = begin;
        for payload in self.memory.checkpoint(most) {
            // A checkpoint that stops in the middle counts for nothing; the one before it does.
            if self.hand_over(vec![record(payload)], Box::new(|_| ()), begin).await.is_err() {
                return;
            }
            begin = Begin::Wherever;
        }
    }

    /// Frees segments wholly before `plan.before`, after what has to outlive them is durable again.
    pub(super) async fn free(&mut self, plan: Plan, now: Moment) {
        let still = |kept: &&Kept| !self.memory.ended.contains_key(&kept.sequence.number());
        let payloads: Vec<Vec<u8>> = plan.keep.iter().filter(still).map(Kept::to_bytes).collect();
        let count = payloads.len();
        let mut fates = Vec::new();
        for payload in payloads {
            let record = NewRecord { kind: Kind::Carried, time_us: now.utc_us(), payload };
            let (told, durable) = oneshot::channel();
            let done = Box::new(move |kept: Result<(), crate::journal::NotKept>| {
                let _ = told.send(kept.is_ok());
            });
            if self.append(vec![record], done).await.is_err() {
                return;
            }
            fates.push(durable);
        }
        for durable in fates {
            if durable.await != Ok(true) {
                return;
            }
        }
        match self.appender.free_before(plan.before) {
            Ok(0) => {}
            Ok(segments) => tracing::info!(segments, carried = count, "room in the journal freed"),
            Err(error) => tracing::error!(%error, "room in the journal cannot be freed"),
        }
        // Every copy that was carried of an ended record lies before the record that ended it: once
        // that one goes, too, there is nothing left to remember.
        let first = plan.before.number();
        self.memory.ended.retain(|_, ended_by| *ended_by >= first);
    }

    /// Once a second: the box's clock, and whether there is room again.
    pub async fn tick(&mut self, now: Moment) {
        self.note_clock(now).await;
        let name = self.name.clone();
        let open = self.gap_is_open(&name, GapCause::ClockUnproven);
        match (now.certainty(), open) {
            (Certainty::Unproven, false) => {
                let began_us = Some(now.utc_us());
                self.gap_began(&name, GapCause::ClockUnproven, began_us, now).await;
            }
            (Certainty::Synchronised, true) => {
                self.gaps_ended(&name, Some(GapCause::ClockUnproven), now).await;
            }
            (Certainty::Unproven, true) | (Certainty::Synchronised, false) => {}
        }
        self.room_again(now).await;
        self.forget_entries(now);
    }

    /// Once an hour: what is over of the ledger for longer than the retention. Time is leaned on
    /// only while somebody vouches for the clock.
    fn forget_entries(&mut self, now: Moment) {
        let Some(retention_s) = self.ledger.retention_s else { return };
        let last = self.ledger.forgot.get_or_insert(now);
        if now.since_ms(*last) < FORGET_EVERY_MS || now.certainty() != Certainty::Synchronised {
            return;
        }
        self.ledger.forgot = Some(now);
        let before = Utc::from_us(now.utc_us()).plus_s(-retention_s);
        let gone = Arc::make_mut(&mut self.memory.ledger).forget(before);
        if gone > 0 {
            tracing::info!(entries = gone, "entries of the ledger that are over were let go");
            self.ledger.desk.publish_if_durable(&self.memory.ledger, self.ledger.last);
        }
    }
}
