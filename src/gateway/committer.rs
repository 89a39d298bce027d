//! The committer: one task that owns sequence, repeat windows, attribution, routes and the
//! journal's write side. It gives sequence and attribution in one step, and tells a device's task
//! the fate of a message only when the journal says that it is on stable storage.

mod counts;
mod first_time;
mod handing_over;
mod request;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use self::counts::Counts;
pub use self::request::Request;
use super::configuration::DestinationTable;
use super::gaps::GapCause;
use super::ledger::LedgerKeeper;
use super::ledger::verdicts::Said;
use super::memory::Memory;
use super::record::{self, FirmwareProof, NewHead, ProfileStamp};
use super::room::Room;
use super::routing::{Routable, Samplers};
use super::status::DeviceStatus;
use crate::check::clock::Times;
use crate::check::repeats::StatementKeys;
use crate::journal::{Appender, Kind, NewRecord};
use crate::link::clock;
use crate::profile::Status;
use crate::protocol::{Completeness, Message, MessageId, NotKept, Settled};
use crate::vocabulary::{DeviceName, Digest, Moment, Observation, Sequence, StreamId, Why};

/// A message on its way into the journal.
pub struct Submission {
    pub device: Arc<DeviceIdentity>,
    pub message: Message,
    /// What the message says, each with its times; empty for a device file that keeps raw bytes
    /// only.
    pub observations: Vec<(Observation, Times)>,
    /// Refusals of driver and mapping.
    pub refusals: Vec<crate::vocabulary::Refused>,
    pub firmware: Option<String>,
    pub proof: FirmwareProof,
    /// How far the device's clock is known to be ahead, for the next start.
    pub clock_ahead_ms: Option<u64>,
    pub fate: mpsc::UnboundedSender<(MessageId, Settled)>,
    /// The device's share, given back when the fate is known.
    pub permit: OwnedSemaphorePermit,
}

/// How often intervals of routes with `every` are looked at.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// What never changes about a device while the house runs.
pub struct DeviceIdentity {
    pub name: DeviceName,
    pub stamp: ProfileStamp,
    pub profile_status: Status,
    pub status: Arc<DeviceStatus>,
}

/// Where a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// Behind the batch before it.
    Wherever,
    /// At the beginning of a segment.
    Segment,
}

/// The committer's task.
pub struct Committer {
    /// The box's name: the subject of records that are about no device.
    pub name: String,
    /// UTC minus time since boot, of the newest moment.
    pub clock_offset_us: Option<i64>,
    pub appender: Appender,
    pub stream: StreamId,
    pub memory: Memory,
    pub ledger: LedgerKeeper,
    pub destinations: Vec<DestinationTable>,
    pub samplers: Samplers,
    pub room: Arc<Room>,
    /// When each device's last trend message was kept.
    pub trends: std::collections::BTreeMap<String, Moment>,
}

impl Committer {
    /// Runs until [`Request::Stop`] or until every sender is gone.
    pub async fn run(mut self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut tick = tokio::time::interval(SAMPLE_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let request = tokio::select! {
                biased;
                _ = tick.tick(), if !self.samplers.is_empty() => {
                    self.samples_due(clock::now()).await;
                    continue;
                }
                request = requests.recv() => request,
            };
            let Some(request) = request else { return };
            match request {
                Request::Message(submission) => self.message(*submission).await,
                Request::LinkUp { device, now } => {
                    self.link_up(&device, now).await;
                    self.spoke_again(&device, now).await;
                }
                Request::Unplugged { device, now } => self.unplugged(&device, now).await,
                Request::GapBegan { device, cause, began } => {
                    let (name, began_us) = (device.name.as_str(), Some(began.utc_us()));
                    self.gap_began(name, cause, began_us, began).await;
                    if cause == GapCause::DeviceSilent {
                        self.fell_silent(&device, clock::now()).await;
                    }
                }
                Request::GapEnded { device, cause, ended } => {
                    self.gaps_ended(device.name.as_str(), Some(cause), ended).await;
                    if cause == GapCause::DeviceSilent {
                        self.spoke_again(&device, ended).await;
                    }
                }
                Request::Identity { device, identity, now } => {
                    self.identity(&device, &identity, now).await;
                    self.named(&device, &identity.serial_number, now).await;
                }
                Request::Unavailable(what) => self.unavailable(&what, clock::now()).await,
                Request::Noted(notice) => self.noted(notice, clock::now()).await,
                Request::Person { kind, payload, done } => {
                    self.person((kind, &payload), done, clock::now()).await;
                }
                Request::Ledger { entries, now, done } => {
                    self.take_entries(entries, done, now).await;
                }
                Request::Rows { rows, entries, done } => {
                    self.take_rows(rows, entries, done, clock::now()).await;
                }
                Request::Forget { before } => self.forget_rows(before),
                Request::Act { act, now, done } => self.act(*act, done, now).await,
                Request::Moves { moves, through, done } => {
                    self.take_moves((moves, through), done, clock::now()).await;
                }
                Request::Examined(records) => {
                    self.memory.unexamined.retain(|record, _| !records.contains(record));
                }
                Request::End(ending, done) => self.end(&ending, done, clock::now()).await,
                Request::Manifest { destination, data, now } => {
                    self.manifest(&destination, data, now).await;
                }
                Request::Free { plan, now } => self.free(plan, now).await,
                Request::Damaged(devices) => self.damaged(&devices, clock::now()).await,
                Request::Tick { now } => self.tick(now).await,
                Request::Ping(answer) => {
                    let _ = answer.send(());
                }
                Request::Stop { now, done } => return self.stop(now, done).await,
            }
        }
    }

    /// Writes the stop record, closes the journal, answers.
    pub(super) async fn stop(mut self, now: Moment, done: oneshot::Sender<()>) {
        let payload = json!({ "version": env!("CARGO_PKG_VERSION") }).to_string();
        let _ = self.append_one(Kind::Stop, now.utc_us(), payload.into_bytes()).await;
        self.appender.close();
        let _ = done.send(());
    }

    async fn message(&mut self, submission: Submission) {
        self.note_clock(submission.message.received).await;
        let name = submission.device.name.as_str().to_owned();
        let (basis, received) = (basis(&submission), submission.message.received);
        self.admitted(&submission).await;
        let said = self.said(&submission);
        let mut batch = self.batch(&submission, basis, &said);
        let begins = self.appender.begins_segment(&batch.records, 0);
        if self.refuses(&submission, begins) {
            let device = &submission.device.name;
            if !self.gap_is_open(device.as_str(), GapCause::RoomShort) {
                let began_us = Some(received.utc_us());
                self.gap_began(device.as_str(), GapCause::RoomShort, began_us, received).await;
            }
            let refused = Settled::NotKept(NotKept::NoStorage);
            // The connection may be gone; then nobody is waiting for the answer.
            let _ = submission.fate.send((submission.message.id, refused));
            return;
        }
        if begins {
            self.checkpoint(Begin::Segment, received.utc_us()).await;
            // Its sequences moved on.
            batch = self.batch(&submission, basis, &said);
        }
        let Batch { records, staged, earlier, too_large, wire } = batch;
        let basis = basis.filter(|_| !too_large);
        let how = match (too_large, earlier) {
            (true, _) => Settled::NotKept(NotKept::TooLarge),
            (false, Some(_)) => Settled::Repeat,
            (false, None) => Settled::Durable,
        };
        let status = Arc::clone(&submission.device.status);
        let counts = Counts::of(&submission, how);
        let (received_us, clock_ahead_ms) = (received.utc_us(), submission.clock_ahead_ms);
        if Self::is_trend(&submission) {
            self.trends.insert(name.clone(), received);
        }
        let Submission { message, fate, permit, .. } = submission;
        let id = message.id;
        let not_kept = fate.clone();
        let done = Box::new(move |kept: Result<(), crate::journal::NotKept>| {
            let how = match kept {
                Ok(()) => {
                    counts.add(&status);
                    how
                }
                Err(_) => Settled::NotKept(NotKept::NoStorage),
            };
            // The connection may be gone; then nobody is waiting for the answer.
            let _ = fate.send((id, how));
            drop(permit);
        });
        match self.hand_over(records, done, Begin::Wherever).await {
            Ok(_) => {
                self.memory.heard(&name, (received_us, wire), clock_ahead_ms);
                self.memory.note_message(&name, basis.filter(|_| earlier.is_none()), wire);
                self.came_true(&name, staged, wire);
            }
            Err(why) => {
                let _ = not_kept.send((id, Settled::NotKept(why)));
            }
        }
    }

    /// The batch of a device's message is on its way.
    fn came_true(&mut self, device: &str, staged: Staged, wire: Sequence) {
        for (keys, sequence) in &staged.statements {
            self.memory.note_statement(device, keys, (wire, *sequence));
        }
        for (destination, record) in &staged.sampled {
            self.samplers.feed(destination, record);
        }
        for (destination, sequence) in staged.routed {
            self.memory.last_routed.insert(destination, sequence);
        }
    }

    /// Whose each observation of a message is, and whether that patient's data are protected.
    fn said(&mut self, submission: &Submission) -> Vec<(Said, bool)> {
        let name = submission.device.name.as_str();
        let (ledger, register) = (&self.memory.ledger, &self.memory.register);
        let one = |one| {
            let said = self.ledger.said(ledger, name, one);
            let is_protected = self.ledger.protection.of(&said, ledger, register);
            (said, is_protected)
        };
        submission.observations.iter().map(one).collect()
    }

    /// What a message becomes, with the sequences that come next.
    fn batch(
        &self,
        submission: &Submission,
        basis: Option<Digest>,
        said: &[(Said, bool)],
    ) -> Batch {
        let memory = self.memory.devices.get(submission.device.name.as_str());
        let window = memory.map(|one| &one.window);
        let earlier = basis.as_ref().and_then(|basis| window?.earlier(basis));
        let wire = self.appender.next();
        let (records, staged) = match earlier {
            Some(first) => (vec![self.repeat(submission, basis, first)], Staged::default()),
            None => self.first_time(submission, basis, wire, said),
        };
        if Appender::bytes_of(&records) > self.appender.batch_bytes_max() {
            let (records, staged) = (vec![self.raw_only(submission)], Staged::default());
            return Batch { records, staged, earlier, too_large: true, wire };
        }
        Batch { records, staged, earlier, too_large: false, wire }
    }

    /// More values than one batch can hold: the bytes are kept, and the device is told no.
    fn raw_only(&self, submission: &Submission) -> NewRecord {
        let device = &submission.device.name;
        let bytes = submission.message.raw.len();
        tracing::warn!(%device, bytes, "a message has more values than one batch can hold");
        let mut head = Self::head(submission, None);
        let detail = "more values than one batch can hold; the bytes are kept, the device is told";
        let refused = crate::vocabulary::Refused::new(Why::TooLong, 0..bytes, detail);
        head.refusals = vec![record::refusal(&refused)];
        Self::wire(submission, &head)
    }

    fn repeat(&self, submission: &Submission, basis: Option<Digest>, first: Sequence) -> NewRecord {
        let mut head = Self::head(submission, basis);
        head.repeat_of = Some(first.number());
        Self::wire(submission, &head)
    }

    fn head(submission: &Submission, basis: Option<Digest>) -> NewHead<'_> {
        let message = &submission.message;
        NewHead {
            device: submission.device.name.as_str(),
            profile: &submission.device.stamp,
            firmware: submission.firmware.as_deref(),
            session: message.id.session.0,
            received_us: message.received.utc_us(),
            complete: message.completeness == Completeness::Complete,
            basis,
            clock_ahead_ms: submission.clock_ahead_ms,
            repeat_of: None,
            refusals: submission.refusals.iter().map(record::refusal).collect(),
            observations: 0,
            statements: Vec::new(),
        }
    }

    fn wire(submission: &Submission, head: &NewHead<'_>) -> NewRecord {
        NewRecord {
            kind: Kind::Wire,
            time_us: submission.message.received.utc_us(),
            payload: head.with_raw(&submission.message.raw),
        }
    }
}

/// What a repeat is recognised by. The device file and the proof of the firmware are part of it:
/// what was held or refused under one file and comes again under another is no repeat.
fn basis(submission: &Submission) -> Option<Digest> {
    let mut text = submission.message.repeat_basis.clone()?;
    text.extend_from_slice(submission.device.stamp.digest.as_bytes());
    text.push(u8::from(submission.proof == FirmwareProof::Proven));
    Some(Digest::of(&text))
}

/// What a message becomes.
struct Batch {
    records: Vec<NewRecord>,
    staged: Staged,
    /// The message that this one repeats.
    earlier: Option<Sequence>,
    too_large: bool,
    wire: Sequence,
}

/// What becomes true once a batch is on its way; nothing of it if the journal does not take it.
#[derive(Default)]
pub(super) struct Staged {
    /// Destination and sequence, in order.
    pub routed: Vec<(String, u64)>,
    statements: Vec<(StatementKeys, Sequence)>,
    /// Destination and record, of those that it takes one value per interval of.
    pub sampled: Vec<(String, Routable)>,
}
