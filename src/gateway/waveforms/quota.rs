//! What the journal of waveforms may take, and how its oldest segment goes: whole, whether or not
//! every destination has it, but not before a gap record is durable for each one that lacks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::keeper::Keeper;
use crate::forward::cursor::{self, Found};
use crate::forward::ranges::Ranges;
use crate::forward::{Recorded, Unavailable, UnavailableWhy};
use crate::gateway::room::Room;
use crate::gateway::world::DataDisk;
use crate::journal::{Door, Missing, Reader, beside};
use crate::link::clock;
use crate::vocabulary::StreamId;

/// How often the disk is asked while no segment begins.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Fewer segments than this are never kept: one that is written, and the one before it.
const SEGMENTS_MIN: u64 = 2;

/// How much room there is for waveforms.
pub(super) struct Quota {
    pub bytes: u64,
    pub segment_bytes: u64,
    pub disk: Arc<dyn DataDisk>,
    /// The journal of the house, which goes before this one when the disk is short.
    pub house: Option<(Arc<Room>, Reader)>,
    /// With how many segments room was last found to be enough, and when.
    pub enough: Option<(u64, Instant)>,
}

impl Quota {
    /// Whether `used` segments are too many. The disk is asked when that may have changed.
    fn is_exceeded(&mut self, used: u64) -> bool {
        let known = self.enough.filter(|(enough, at)| *enough >= used && at.elapsed() < LOOK_EVERY);
        if known.is_some() {
            return false;
        }
        let exceeded = used > self.segments_max(used);
        self.enough = (!exceeded).then(|| (used, Instant::now()));
        exceeded
    }

    /// How many segments may be kept while `used` are there. One more is there for a moment when a
    /// segment begins, so the quota has room for that.
    fn segments_max(&self, used: u64) -> u64 {
        let most = (self.bytes / self.segment_bytes).saturating_sub(1);
        let may_still_grow = self.house.as_ref().map_or(0, |(room, reader)| {
            let taken = reader.segments().len() as u64 * self.segment_bytes;
            room.quota_bytes.load(Ordering::Relaxed).saturating_sub(taken)
        });
        let whole = self.disk.free_bytes().saturating_add(used * self.segment_bytes);
        let left = whole.saturating_sub(may_still_grow) / self.segment_bytes;
        most.min(left).max(SEGMENTS_MIN)
    }
}

/// What was shed of the stream, per destination: a pump that meets it later needs no gap record of
/// it any more.
#[derive(Default)]
pub(super) struct Shed(BTreeMap<String, Ranges>);

impl Shed {
    fn add(&mut self, destination: &str, range: Missing) {
        self.0.entry(destination.to_owned()).or_default().add(range);
    }

    /// How much of this was not shed before.
    fn outside(&self, destination: &str, range: Missing) -> u64 {
        let known = self.0.get(destination);
        let new = known.map_or_else(|| vec![range.clone()], |known| known.outside(range.clone()));
        new.into_iter().map(|one| one.end() - one.start() + 1).sum()
    }

    /// Whether a durable gap record tells all of this.
    pub fn tells(&self, what: &Unavailable) -> bool {
        let known = self.0.get(&what.destination);
        what.why == UnavailableWhy::Freed
            && known.is_some_and(|known| known.outside(what.first..=what.last).is_empty())
    }
}

impl Keeper {
    /// Lets the oldest segments go that are too many.
    pub(super) async fn make_room(&mut self) {
        while self.quota.is_exceeded(self.committer.appender.segments()) {
            // What was handed over may have begun segments that are not written yet.
            if !self.is_durable().await {
                return;
            }
            let segments = self.reader.segments();
            let [oldest, next, ..] = segments.as_slice() else { return };
            let (oldest, next) = (oldest.number, next.first);
            if !self.tell_who_lacks(next.number() - 1).await {
                return;
            }
            match self.committer.appender.free_before(next) {
                // Every segment begins with a checkpoint, so what is left is enough for a start.
                Ok(_) => tracing::debug!(segment = oldest, "the oldest waveforms went"),
                Err(error) => {
                    tracing::error!(%error, "the oldest waveforms cannot be removed");
                    return;
                }
            }
        }
    }

    /// Whether every destination that lacks something up to `last` has a durable gap record of it.
    /// What went before is told again: the record that told it may be among what goes now.
    async fn tell_who_lacks(&mut self, last: u64) -> bool {
        let stream = self.committer.stream;
        let mut told = Vec::new();
        for name in self.destinations() {
            for lacked in self.lacked(&name, stream, 1..=last).await {
                let (first, last) = (*lacked.start(), *lacked.end());
                let (why, recorded) = (UnavailableWhy::Freed, Recorded::default());
                let destination = name.clone();
                let what = Unavailable { destination, first, last, why, recorded };
                self.committer.unavailable(&what, clock::now()).await;
                let new = self.shed.outside(&name, lacked.clone());
                self.shown.counts.shed.fetch_add(new, Ordering::Relaxed);
                told.push((name.clone(), lacked));
            }
        }
        if told.is_empty() {
            return true;
        }
        // Whatever was handed over before is durable once this is.
        if !self.is_durable().await {
            return false;
        }
        told.into_iter().for_each(|(name, lacked)| self.shed.add(&name, lacked));
        true
    }

    /// What a destination has not accepted, as its cursor on the disk says. A cursor that says
    /// nothing lacks everything.
    async fn lacked(&self, name: &str, stream: StreamId, range: Missing) -> Vec<Missing> {
        let (disk, destination) = (Arc::clone(&self.quota.disk), name.to_owned());
        let looking = beside(move || cursor::peek_in(&*disk.cursors().ok()?, &destination).ok());
        match looking.await.flatten() {
            Some(Found::State(state)) if state.stream == stream => {
                let mut has: Ranges = state.accepted.iter().copied().collect();
                has.add(1..=state.low_water);
                has.outside(range)
            }
            Some(Found::State(_) | Found::New | Found::Lost) | None => vec![range],
        }
    }

    /// Waits until all that was handed over is on stable storage; `false`: it will not be.
    async fn is_durable(&mut self) -> bool {
        self.committer.appender.hurry();
        let last = self.committer.appender.next().number() - 1;
        while *self.durable.borrow_and_update() < last {
            if self.reader.door() != Door::Open || self.durable.changed().await.is_err() {
                return false;
            }
        }
        true
    }
}
