//! Where a record goes. Decided once, when it is kept; what is routed there names the record before
//! it on that destination.
//!
//! | `take` of a destination | what goes there |
//! |---|---|
//! | `all` | every observation, alarm and pump event |
//! | `every 1 min` | of what is always there one value per interval (`sampling`), the rest whole |
//! | `confirmed` | what a person has confirmed or entered |
//! | `waveforms` | nothing of this: see `waveforms` |
//!
//! Gaps, associations and states of devices go to all of them. Held records go nowhere, and a
//! destination that files into patients' records gets those of released device files only, and
//! those without a patient only if it asks (`unattributed = true`).

use std::collections::BTreeMap;

use serde_json::json;

use super::committer::{Committer, DeviceIdentity, Staged};
use super::configuration::{DestinationTable, Files, Take};
use super::record::Parts;
use super::sampling::{GRACE_US, Passed, Sample, Sampler};
use crate::forward::stored::{EventKind, NewStored, Stored};
use crate::journal::{Kind, NewRecord, Reader, Record};
use crate::profile::Status;
use crate::vocabulary::{Moment, ObservationId, RecordId, Sequence};

/// How much is read at a time while reading back.
const READ_RECORDS: usize = 1024;
const READ_BYTES: usize = 4 << 20;

/// More than an observation's id takes in a record, and than what stands around its data.
const ID_BYTES_MAX: usize = 256;

/// What decides, besides its kind, where a record may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Kept, and not forwarded.
    pub held: bool,
    /// It names its patient.
    pub of_somebody: bool,
}

impl Fate {
    /// Whether a destination may have records of this fate from a device whose file is, or is not,
    /// released.
    pub fn may_go(self, destination: &DestinationTable, status: Status) -> bool {
        let files = destination.files == Files::Patients;
        let good_file = !files || status == Status::Released;
        let good_patient = !files || self.of_somebody || destination.unattributed;
        !self.held && good_file && good_patient
    }
}

/// An observation record on its way into the journal.
#[derive(Clone)]
pub struct Routable {
    pub sequence: Sequence,
    pub fate: Fate,
    pub received_us: i64,
    /// Its data is empty unless somebody looks into it.
    pub stored: Stored,
}

impl Routable {
    /// The bytes for the journal, with the data of these parts.
    pub(super) fn to_bytes(&self, parts: &Parts<'_>) -> Vec<u8> {
        let Stored { kind, time, subject, routes, .. } = &self.stored;
        let head = NewStored { kind: *kind, time, subject, routes };
        head.to_bytes(parts.bytes_usual(), |out| parts.write(out))
    }
}

/// The open intervals of all destinations that take one value per interval.
#[derive(Debug, Default)]
pub struct Samplers {
    by_destination: BTreeMap<String, (DestinationTable, Sampler)>,
}

impl Samplers {
    /// One for each destination with `every`, fed with what was kept in the last intervals.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn rebuild(
        destinations: &[DestinationTable],
        reader: &mut Reader,
        now: Moment,
    ) -> Result<Self, crate::journal::Error> {
        let mut samplers = Self::default();
        let mut longest_ms = 0;
        for destination in destinations {
            if let Take::Every { interval_ms } = destination.take {
                longest_ms = longest_ms.max(interval_ms);
                let sampler = Sampler::new(interval_ms);
                let entry = (destination.clone(), sampler);
                samplers.by_destination.insert(destination.name.clone(), entry);
            }
        }
        if samplers.by_destination.is_empty() {
            return Ok(samplers);
        }
        // An interval that is open was fed within its length and the grace before now; twice that
        // shows what is missed when it does not come.
        let back_us = i64::try_from(longest_ms).unwrap_or(i64::MAX / 4000) * 1000 + GRACE_US;
        let since = now.utc_us().saturating_sub(2 * back_us);
        let mut next = reader.first_since(since)?;
        loop {
            let read = reader.read_from(next, READ_RECORDS, READ_BYTES)?;
            if read.records.is_empty() && read.next == next {
                return Ok(samplers);
            }
            next = read.next;
            let young = read.records.iter().filter(|record| record.time_us >= since);
            young.for_each(|record| samplers.read_back(record));
        }
    }

    fn read_back(&mut self, record: &Record) {
        let Some(stored) = Some(record)
            .filter(|one| one.kind == Kind::Observation)
            .and_then(|one| Stored::from_bytes(&one.payload))
        else {
            return;
        };
        let has = |key: &str| stored.data.contains_key(key);
        for (destination, (table, sampler)) in &mut self.by_destination {
            if has("sampled") {
                if stored.routes.contains_key(destination) {
                    sampler.went_out(&stored);
                }
            } else if !has("part_of") && stored.kind == EventKind::Observation {
                let released = stored.data.get("profile_status").and_then(|one| one.as_str())
                    == Some(Status::Released.as_str());
                let status = if released { Status::Released } else { Status::Draft };
                let of_somebody = stored.data.get("patient").is_some_and(|one| !one.is_null());
                if (Fate { held: has("held"), of_somebody }).may_go(table, status) {
                    sampler.feed(record.sequence, record.time_us, &stored);
                }
            }
        }
    }

    /// A record that this destination takes one value per interval of is on its way.
    pub(super) fn feed(&mut self, destination: &str, record: &Routable) {
        if let Some((_, sampler)) = self.by_destination.get_mut(destination) {
            sampler.feed(record.sequence, record.received_us, &record.stored);
        }
    }

    /// Whether there is anything to close in time.
    pub fn is_empty(&self) -> bool {
        self.by_destination.is_empty()
    }
}

impl Committer {
    /// Decides where the records of one message go, and gives the records that routes with
    /// `every` make of parts of them; those follow in the same batch.
    pub(super) fn route(
        &self,
        device: &DeviceIdentity,
        records: &mut [Routable],
        staged: &mut Staged,
    ) -> Vec<Stored> {
        let mut parts = Vec::new();
        let Some(last) = records.last().map(|one| one.sequence) else { return parts };
        for record in records.iter_mut().filter(|one| !one.fate.held) {
            for destination in &self.destinations {
                let name = &destination.name;
                let may = record.fate.may_go(destination, device.profile_status);
                let passed = match destination.take {
                    Take::All if may => Passed::Whole,
                    Take::Every { .. } if may => {
                        let passed = Passed::of(self.stream, record.sequence, &record.stored);
                        if passed != Passed::Whole {
                            staged.sampled.push((name.clone(), record.clone()));
                        }
                        passed
                    }
                    Take::All | Take::Every { .. } | Take::Confirmed | Take::Waveforms => {
                        Passed::Nothing
                    }
                };
                match passed {
                    Passed::Whole => {
                        let previous = self.previous(name, staged);
                        record.stored.routes.insert(name.clone(), previous);
                        staged.routed.push((name.clone(), record.sequence.number()));
                    }
                    Passed::Part(data) => {
                        let routes = [(name.clone(), 0)].into();
                        parts.push(Stored { routes, data, ..record.stored.clone() });
                    }
                    Passed::Nothing => {}
                }
            }
        }
        // Parts come behind all whole records, so what is before them is known only now.
        for (index, part) in parts.iter_mut().enumerate() {
            let sequence = last.plus(index as u64 + 1).number();
            for (name, previous) in &mut part.routes {
                *previous = self.previous(name, staged);
                staged.routed.push((name.clone(), sequence));
            }
        }
        parts
    }

    /// The sequence of the record before the next one on this destination; 0 for none.
    pub(super) fn previous(&self, destination: &str, staged: &Staged) -> u64 {
        let staged = staged.routed.iter().rev().find(|(name, _)| name == destination);
        let known = || self.memory.last_routed.get(destination).copied();
        staged.map(|(_, sequence)| *sequence).or_else(known).unwrap_or(0)
    }

    /// Keeps what the intervals make that are over.
    pub(super) async fn samples_due(&mut self, now: Moment) {
        let stream = self.stream;
        let mut due: Vec<(String, Sample)> = Vec::new();
        for (name, (_, sampler)) in &mut self.samplers.by_destination {
            due.extend(
                sampler.due(stream, now.utc_us()).into_iter().map(|one| (name.clone(), one)),
            );
        }
        for (destination, sample) in due {
            self.keep_sample(&destination, sample, now).await;
        }
    }

    async fn keep_sample(&mut self, destination: &str, mut sample: Sample, now: Moment) {
        // Its ids hold its sequence, so whatever comes before it has to be written first.
        let draft = NewRecord {
            kind: Kind::Observation,
            time_us: now.utc_us(),
            payload: json!(sample.data).to_string().into_bytes(),
        };
        let metrics = sample.data.get("metrics").and_then(|metrics| metrics.as_array());
        let ids = metrics.map_or(1, |metrics| metrics.len() + 1) * ID_BYTES_MAX;
        self.make_way(&[draft], ids).await;
        let sequence = self.appender.next();
        state_ids(&mut sample, &RecordId::of(self.stream, sequence));
        let previous = self.previous(destination, &Staged::default());
        let stored = Stored {
            kind: EventKind::Observation,
            time: sample.time,
            subject: sample.device,
            routes: [(destination.to_owned(), previous)].into(),
            data: sample.data,
        };
        let time_us = now.utc_us();
        let record = NewRecord { kind: Kind::Observation, time_us, payload: stored.to_bytes() };
        let kept = self.append(vec![record], Box::new(|_| ())).await;
        if kept.is_ok() {
            self.memory.last_routed.insert(destination.to_owned(), sequence.number());
        }
    }
}

/// A metric that this record states for the first time (an absent one) gets its id here.
fn state_ids(sample: &mut Sample, id: &RecordId) {
    let metrics = sample.data.get_mut("metrics").and_then(|metrics| metrics.as_array_mut());
    for (index, metric) in metrics.into_iter().flatten().enumerate() {
        if let Some(fields) = metric.as_object_mut() {
            let stated = || json!(ObservationId::of(id, index));
            fields.entry("observation_id").or_insert_with(stated);
        }
    }
}
