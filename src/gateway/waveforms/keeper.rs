//! The task that gives samples their sequence, attribution and routes, and hands them to the
//! journal of waveforms. Its committer is of the same make as the house's, so gaps, associations
//! and checkpoints are the same records here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::inlet::{Came, Submission};
use super::quota::{Quota, Shed};
use super::shown::Shown;
use crate::forward::stored::{EventKind, NewStored};
use crate::gateway::committer::{Committer, DeviceIdentity, Request};
use crate::gateway::configuration::DestinationTable;
use crate::gateway::gaps::GapCause;
use crate::gateway::ledger::verdicts::Said;
use crate::gateway::record::{self, WaveformParts};
use crate::gateway::routing::Fate;
use crate::journal::{self, Door, Kind, NewRecord, Reader};
use crate::link::clock;
use crate::protocol::NotKept;
use crate::vocabulary::Moment;
use crate::vocabulary::moment::utc_text;

pub(super) struct Keeper {
    pub committer: Committer,
    pub reader: Reader,
    pub quota: Quota,
    pub shed: Shed,
    pub shown: Arc<Shown>,
    /// The last durable sequence.
    pub durable: watch::Receiver<u64>,
}

/// Samples whose fate is not known yet. They are counted when it is: as dropped, unless the journal
/// says that they are on stable storage.
struct Unsettled {
    submission: Submission,
    shown: Arc<Shown>,
    is_kept: bool,
    _permit: OwnedSemaphorePermit,
}

impl Unsettled {
    fn settle(mut self, is_kept: bool) {
        self.is_kept = is_kept;
    }
}

impl Drop for Unsettled {
    fn drop(&mut self) {
        let counts = &self.shown.counts;
        if !self.is_kept {
            return self.submission.count_dropped(counts);
        }
        let samples = self.submission.samples();
        counts.records.fetch_add(1, Ordering::Relaxed);
        counts.samples.fetch_add(samples, Ordering::Relaxed);
        self.submission.device.status.samples.fetch_add(samples, Ordering::Relaxed);
    }
}

impl Keeper {
    /// Runs until [`Request::Stop`].
    pub async fn run(
        mut self,
        mut came: mpsc::UnboundedReceiver<Came>,
        mut requests: mpsc::UnboundedReceiver<Request>,
    ) {
        loop {
            // Samples may be long in coming, and nothing else would find out.
            if let door @ Door::Shut(_) = self.reader.door() {
                self.committer.door_shut(door);
            }
            tokio::select! {
                biased;
                request = requests.recv() => match request {
                    None => return,
                    Some(Request::Stop { now, done }) => {
                        // The inlet is closed: what is in it is all there is.
                        while let Ok(one) = came.try_recv() {
                            self.take(one).await;
                        }
                        return self.committer.stop(now, done).await;
                    }
                    Some(request) => self.asked(request).await,
                },
                Some(one) = came.recv() => self.take(one).await,
                Ok(()) = self.durable.changed() => {}
            }
        }
    }

    async fn asked(&mut self, request: Request) {
        match request {
            Request::Unavailable(what) if self.shed.tells(&what) => what.recorded.set(),
            Request::Unavailable(what) => self.committer.unavailable(&what, clock::now()).await,
            Request::Noted(notice) => self.committer.noted(notice, clock::now()).await,
            Request::Ping(answer) => {
                let _ = answer.send(());
            }
            // Nobody asks for these here.
            Request::Message(_)
            | Request::LinkUp { .. }
            | Request::GapBegan { .. }
            | Request::GapEnded { .. }
            | Request::Identity { .. }
            | Request::Person { .. }
            | Request::Unplugged { .. }
            | Request::Ledger { .. }
            | Request::Act { .. }
            | Request::Rows { .. }
            | Request::Forget { .. }
            | Request::Moves { .. }
            | Request::Examined(_)
            | Request::End(..)
            | Request::Manifest { .. }
            | Request::Free { .. }
            | Request::Damaged(_)
            | Request::Tick { .. }
            | Request::Stop { .. } => {}
        }
    }

    async fn take(&mut self, came: Came) {
        match came {
            Came::Samples(submission, permit) => self.samples(*submission, permit).await,
            Came::GapBegan { device, cause, began } => self.gap_began(&device, cause, began).await,
        }
    }

    /// The names of the destinations.
    pub fn destinations(&self) -> Vec<String> {
        self.committer.destinations.iter().map(|one| one.name.clone()).collect()
    }

    /// A device that has never sent samples misses none, and one whose gap is open misses them
    /// already.
    async fn gap_began(&mut self, device: &DeviceIdentity, cause: GapCause, began: Moment) {
        let name = device.name.as_str();
        let memory = self.committer.memory.devices.get(name);
        let is_open = memory.is_some_and(|one| !one.open_gaps.is_empty());
        let misses = cause == GapCause::BoxBusy || memory.is_some_and(|one| one.last.is_some());
        if misses && !is_open {
            self.committer.gap_began(name, cause, Some(began.utc_us()), clock::now()).await;
        }
    }

    async fn samples(&mut self, submission: Submission, permit: OwnedSemaphorePermit) {
        let name = submission.device.name.as_str().to_owned();
        self.committer.gaps_ended(&name, None, submission.begins()).await;
        let said = self.committer.ledger.said_of_samples(&submission);
        let is_protected = self.committer.ledger.protects_samples(&said);
        let (record, routes) = self.record(&submission, (&said, is_protected));
        let (received_us, began) = (record.time_us, submission.begins());
        let device = Arc::clone(&submission.device);
        let shown = Arc::clone(&self.shown);
        let fate = Unsettled { submission, shown, is_kept: false, _permit: permit };
        let done = Box::new(move |kept: Result<(), journal::NotKept>| fate.settle(kept.is_ok()));
        match self.committer.append(vec![record], done).await {
            Ok(sequence) => {
                let memory = &mut self.committer.memory;
                memory.heard(&name, (received_us, sequence), None);
                for destination in routes.into_keys() {
                    memory.last_routed.insert(destination, sequence.number());
                }
            }
            // More than half a segment in one record: there is no nearer word for it.
            Err(NotKept::TooLarge) => self.gap_began(&device, GapCause::BoxBusy, began).await,
            // The next opening begins a gap where the last kept samples end.
            Err(NotKept::NoStorage | NotKept::Stopping) => {}
        }
        self.make_room().await;
    }

    /// The record of these samples, and where it goes: the same rules as for observations.
    fn record(
        &self,
        submission: &Submission,
        (said, is_protected): (&Said, bool),
    ) -> (NewRecord, BTreeMap<String, u64>) {
        let Committer { memory, destinations, .. } = &self.committer;
        let Submission { device, received, mode, firmware, proof, arrays } = submission;
        let held = record::held(*mode, *proof);
        let whose = said.as_deref();
        let of_somebody = whose.is_some_and(Result::is_ok);
        let fate = Fate { held: !held.is_empty(), of_somebody };
        let goes = |one: &&DestinationTable| fate.may_go(one, device.profile_status);
        let previous = |one: &DestinationTable| {
            let known = memory.last_routed.get(&one.name).copied().unwrap_or(0);
            (one.name.clone(), known)
        };
        let routes: BTreeMap<String, u64> =
            destinations.iter().filter(goes).map(previous).collect();
        let associated = memory.devices.get(device.name.as_str());
        let associated = associated.and_then(|one| one.association.as_ref());
        let parts = WaveformParts {
            profile: &device.stamp,
            profile_status: device.profile_status.as_str(),
            firmware: firmware.as_deref(),
            mode: *mode,
            received: *received,
            arrays,
            association: &memory.ledger.of(&device.name),
            ledger: associated.map(|(_, sequence)| *sequence),
            whose,
            is_protected,
            held: &held,
        };
        let first_us = arrays.iter().map(|(_, first)| first.utc_us).min();
        let stored = NewStored {
            kind: EventKind::Waveform,
            time: &utc_text(first_us.unwrap_or(received.utc_us())),
            subject: device.name.as_str(),
            routes: &routes,
        };
        let (time_us, payload) = (
            received.utc_us(),
            stored.to_bytes(record::WAVEFORMS_BYTES_USUAL, |out| parts.write(out)),
        );
        (NewRecord { kind: Kind::Waveform, time_us, payload }, routes)
    }
}
