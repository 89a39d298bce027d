//! The committer's side of the desk: entries and acts become records, in the order of everything
//! else, and are answered when they are durable.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};
use tokio::sync::oneshot;

use super::confirmed::is_held;
use super::corrections::Examine;
use super::{Act, ActKind, Added, LedgerDesk, NewEntry, NotAdded};
use crate::association::{
    DeviceId, ENTRY_VERSION, Entry, EntryId, EntryRefused, Ledger, Says, Taken, Utc,
};
use crate::forward::stored::{EventKind, Stored};
use crate::gateway::committer::{Committer, Staged};
use crate::gateway::configuration::{DestinationTable, Take};
use crate::journal::{self, Kind, NewRecord};
use crate::vocabulary::{Moment, PatientId, RecordId, Sequence};

/// What somebody who asks waits for.
type Answer<T> = oneshot::Sender<Result<T, NotAdded>>;

impl Committer {
    /// Takes a batch of entries, whole or not at all.
    pub(in crate::gateway) async fn take_entries(
        &mut self,
        entries: Vec<NewEntry>,
        done: Answer<Vec<Added>>,
        now: Moment,
    ) {
        let staged = match self.stage(entries, now) {
            Ok(staged) => staged,
            // Whoever asked may have gone.
            Err(why) => return drop(done.send(Err(why))),
        };
        if staged.new.is_empty() {
            return self.answer_known(done, vec![Added::Known; staged.known.len()]);
        }
        let drafts: Vec<NewRecord> = self.entry_records(&staged.new, now).0;
        if journal::Appender::bytes_of(&drafts) > self.appender.batch_bytes_max() {
            return drop(done.send(Err(NotAdded::TooLarge)));
        }
        self.make_way(&drafts, 0).await;
        let (records, routed) = self.entry_records(&staged.new, now);
        let first = self.appender.next();
        let added = staged.answers(self.stream, first);
        let last = first.plus(staged.new.len() as u64 - 1).number();
        let desk = self.ledger.desk.clone();
        let after = Arc::clone(&staged.ledger);
        let numbered = staged.new.iter().map(|entry| entry.id.clone());
        let numbered: Vec<(u64, EntryId)> = (first.number()..).zip(numbered).collect();
        let before = Arc::clone(&self.memory.ledger);
        let asked = Examine { entries: numbered.clone(), before };
        let examine = self.ledger.examine.clone();
        let settle = move |kept: Result<(), journal::NotKept>| {
            let answer = if kept.is_ok() {
                desk.publish(after);
                desk.durable(last);
                if let Some(examine) = examine {
                    // Whoever examines is gone only when the house stops.
                    let _ = examine.send(asked);
                }
                Ok(added)
            } else {
                desk.lost(first.number());
                Err(NotAdded::NotKept)
            };
            // Whoever asked may have gone.
            let _ = done.send(answer);
        };
        // Where the journal refuses, the answer goes with the closure that nobody calls.
        let begin = crate::gateway::committer::Begin::Wherever;
        if self.hand_over(records, Box::new(settle), begin).await.is_ok() {
            self.memory.ledger = staged.ledger;
            self.memory.ledger_record = last;
            self.ledger.last = last;
            self.memory.unexamined.extend(numbered);
            self.memory.last_routed.extend(routed.routed);
        }
    }

    /// What a batch makes of the ledger.
    pub(super) fn stage(
        &self,
        entries: Vec<NewEntry>,
        now: Moment,
    ) -> Result<StagedEntries, NotAdded> {
        let mut staged = StagedEntries {
            ledger: Arc::clone(&self.memory.ledger),
            new: Vec::new(),
            known: Vec::new(),
        };
        let learned = Utc::from_us(now.utc_us());
        for entry in entries {
            let NewEntry { id, stated, by, says } = entry;
            let entry = Entry { version: ENTRY_VERSION, id, stated, learned, by, says };
            // The same words are the same entry, whenever they were learned.
            let there = staged.ledger.entry(&entry.id);
            let same = there.map(|there| Entry { learned, ..there.clone() } == entry);
            let taken = match same {
                Some(true) => Ok(Taken::Known),
                Some(false) => Err(EntryRefused::IdTaken(entry.id.clone())),
                None => Arc::make_mut(&mut staged.ledger).add(entry.clone()),
            };
            match taken {
                Ok(Taken::Known) => staged.known.push(true),
                Ok(Taken::New) => {
                    staged.known.push(false);
                    staged.new.push(entry);
                }
                Err(why) => return Err(NotAdded::Refused { entry: entry.id, why }),
            }
        }
        Ok(staged)
    }

    /// What is known already may still be on its way to the disk.
    pub(super) fn answer_known<T: Send + 'static>(&self, done: Answer<T>, answer: T) {
        let settled = self.ledger.desk.settled(self.ledger.last);
        tokio::spawn(async move {
            let kept = settled.await;
            let _ = done.send(if kept { Ok(answer) } else { Err(NotAdded::NotKept) });
        });
    }

    /// The records of these entries, with the sequences that come next.
    pub(super) fn entry_records(&self, entries: &[Entry], now: Moment) -> (Vec<NewRecord>, Staged) {
        let mut staged = Staged::default();
        let mut records = Vec::new();
        let first = self.appender.next();
        for (index, entry) in entries.iter().enumerate() {
            let sequence = first.plus(index as u64).number();
            let mut routes = std::collections::BTreeMap::new();
            if leaves_the_box(&entry.says) {
                for destination in self.destinations.iter().filter(takes_associations) {
                    let previous = self.previous(&destination.name, &staged);
                    routes.insert(destination.name.clone(), previous);
                    staged.routed.push((destination.name.clone(), sequence));
                }
            }
            let mut data = data(entry, &self.memory.ledger);
            self.mark_protected(&mut data);
            let stored = Stored {
                kind: EventKind::Association,
                time: now.utc_text(),
                subject: self.subject_of(entry),
                routes,
                data,
            };
            let (kind, time_us) = (Kind::Association, now.utc_us());
            records.push(NewRecord { kind, time_us, payload: stored.to_bytes() });
        }
        (records, staged)
    }

    /// The line that the entry speaks of, where it is one of this box; else the box.
    fn subject_of(&self, entry: &Entry) -> String {
        let line = device(entry, &self.memory.ledger)
            .and_then(|device| self.ledger.lines.of_machine(&device));
        line.map_or_else(|| self.name.clone(), |line| line.to_owned())
    }

    /// Keeps an act of a person.
    pub(in crate::gateway) async fn act(&mut self, act: Act, done: Answer<RecordId>, now: Moment) {
        let known = self.memory.acts.record(&act.client_id).and_then(Sequence::new);
        if let Some(sequence) = known.filter(|_| act.kind != ActKind::Trail) {
            return self.answer_known(done, RecordId::of(self.stream, sequence));
        }
        let (client_id, is_remembered) = (act.client_id.clone(), act.kind != ActKind::Trail);
        let draft = self.act_record(&act, now);
        if journal::Appender::bytes_of(std::slice::from_ref(&draft.0))
            > self.appender.batch_bytes_max()
        {
            return drop(done.send(Err(NotAdded::TooLarge)));
        }
        self.make_way(&[draft.0], 0).await;
        let (record, staged) = self.act_record(&act, now);
        let sequence = self.appender.next();
        let (desk, id) = (self.ledger.desk.clone(), RecordId::of(self.stream, sequence));
        let settle = settle_act(desk, sequence, done, id);
        let begin = crate::gateway::committer::Begin::Wherever;
        if self.hand_over(vec![record], Box::new(settle), begin).await.is_ok() {
            self.ledger.last = sequence.number();
            if act.kind == ActKind::Confirmation || is_held(&act.data) {
                self.ledger.confirmed.note(sequence.number(), &act.data);
            }
            self.memory.acts.forget(now.utc_us());
            if is_remembered {
                self.memory.acts.note(&client_id, sequence.number(), now.utc_us());
            }
            self.memory.last_routed.extend(staged.routed);
        }
    }

    fn act_record(&self, act: &Act, now: Moment) -> (NewRecord, Staged) {
        let mut staged = Staged::default();
        let sequence = self.appender.next().number();
        let mut data = act.data.clone();
        data.insert("client_id".to_owned(), json!(act.client_id));
        self.mark_protected(&mut data);
        let event = match act.kind {
            ActKind::Confirmation => EventKind::Confirmation,
            ActKind::Entry => EventKind::Entry,
            ActKind::Audit | ActKind::Trail => {
                let payload = json!({
                    "subject": act.subject, "time_us": act.time_us, "data": data,
                    "client_id": act.client_id,
                });
                let payload = payload.to_string().into_bytes();
                let record = NewRecord { kind: Kind::Audit, time_us: now.utc_us(), payload };
                return (record, staged);
            }
        };
        let mut routes = std::collections::BTreeMap::new();
        for destination in self.destinations.iter().filter(takes_acts) {
            let previous = self.previous(&destination.name, &staged);
            routes.insert(destination.name.clone(), previous);
            staged.routed.push((destination.name.clone(), sequence));
        }
        let stored = Stored {
            kind: event,
            time: crate::vocabulary::moment::utc_text(act.time_us),
            subject: act.subject.clone(),
            routes,
            data,
        };
        let (kind, time_us) = (Kind::Observation, now.utc_us());
        (NewRecord { kind, time_us, payload: stored.to_bytes() }, staged)
    }
}

fn settle_act(
    desk: LedgerDesk,
    sequence: Sequence,
    done: Answer<RecordId>,
    id: RecordId,
) -> impl FnOnce(Result<(), journal::NotKept>) + Send {
    move |kept| {
        let answer = if kept.is_ok() {
            desk.durable(sequence.number());
            Ok(id)
        } else {
            desk.lost(sequence.number());
            Err(NotAdded::NotKept)
        };
        // Whoever asked may have gone.
        let _ = done.send(answer);
    }
}

/// What a batch of entries makes of the ledger.
pub(super) struct StagedEntries {
    pub ledger: Arc<Ledger>,
    pub new: Vec<Entry>,
    /// Of each entry of the batch.
    known: Vec<bool>,
}

impl StagedEntries {
    /// What each entry of the batch became, if the first new one is `first`.
    fn answers(&self, stream: crate::vocabulary::StreamId, first: Sequence) -> Vec<Added> {
        let mut next = first;
        let answer = |known: &bool| {
            if *known {
                return Added::Known;
            }
            let id = RecordId::of(stream, next);
            next = next.plus(1);
            Added::New(id)
        };
        self.known.iter().map(answer).collect()
    }
}

/// What the patient administration says comes from the hospital's own systems and is not told back;
/// what hangs on which line, and that a machine is silent, is for the box to know.
fn leaves_the_box(says: &Says) -> bool {
    match says {
        Says::Associated { .. }
        | Says::SpotCheck { .. }
        | Says::Ended { .. }
        | Says::Seen { .. }
        | Says::Withdrawn { .. }
        | Says::Decided { .. } => true,
        Says::Plugged { .. }
        | Says::Unplugged { .. }
        | Says::Stands { .. }
        | Says::Paused { .. }
        | Says::Resumed { .. }
        | Says::Movement { .. }
        | Says::Cancelled { .. }
        | Says::Merged { .. } => false,
    }
}

fn takes_associations(destination: &&DestinationTable) -> bool {
    destination.take != Take::Waveforms
}

fn takes_acts(destination: &&DestinationTable) -> bool {
    destination.take != Take::Waveforms
}

/// The machine that an entry speaks of, by way of the entry that it names.
fn device(entry: &Entry, ledger: &Ledger) -> Option<DeviceId> {
    match &entry.says {
        Says::Plugged { device, .. }
        | Says::Stands { device, .. }
        | Says::Associated { device, .. }
        | Says::SpotCheck { device, .. }
        | Says::Paused { device, .. }
        | Says::Resumed { device, .. } => Some(device.clone()),
        Says::Ended { association: named, .. }
        | Says::Seen { association: named, .. }
        | Says::Withdrawn { entry: named, .. }
        | Says::Decided { holds: named, .. } => {
            let named = ledger.entry(named).filter(|named| named.id != entry.id)?;
            match &named.says {
                Says::Associated { device, .. } | Says::SpotCheck { device, .. } => {
                    Some(device.clone())
                }
                Says::Plugged { .. }
                | Says::Unplugged { .. }
                | Says::Stands { .. }
                | Says::Ended { .. }
                | Says::Seen { .. }
                | Says::Paused { .. }
                | Says::Resumed { .. }
                | Says::Movement { .. }
                | Says::Cancelled { .. }
                | Says::Merged { .. }
                | Says::Withdrawn { .. }
                | Says::Decided { .. } => None,
            }
        }
        Says::Unplugged { .. }
        | Says::Movement { .. }
        | Says::Cancelled { .. }
        | Says::Merged { .. } => None,
    }
}

/// The patient that an entry names as being on a device.
fn patient(entry: &Entry) -> Option<&PatientId> {
    if let Says::Associated { patient, .. } | Says::SpotCheck { patient, .. } = &entry.says {
        return Some(patient);
    }
    None
}

/// The data of an entry's record: the entry itself, from which the ledger is rebuilt, and what a
/// receiver needs who does not read entries.
fn data(entry: &Entry, ledger: &Ledger) -> Map<String, Json> {
    let mut data = Map::new();
    let patient = patient(entry).map(crate::gateway::record::patient);
    data.insert("entry".to_owned(), json!(entry));
    data.insert("device".to_owned(), json!(device(entry, ledger)));
    data.insert("grade".to_owned(), json!(entry.by.grade()));
    if patient.is_none() {
        data.insert("patient_absent".to_owned(), json!("not-stated"));
    }
    data.insert("patient".to_owned(), json!(patient));
    if !leaves_the_box(&entry.says) {
        data.insert("box_only".to_owned(), json!(true));
    }
    data
}

/// The entry in the data of an `association` record; `None` in one of the configuration alone.
pub(in crate::gateway) fn entry_of(data: &Map<String, Json>) -> Option<Entry> {
    serde_json::from_value(data.get("entry")?.clone()).ok()
}
