//! When room in the journal is freed, and how much there is.
//!
//! What every required destination has stored goes once it is older than the retention; when room
//! gets short, the oldest of it goes at once, before anything is refused. Time is leaned on only
//! while somebody vouches for the box's clock. Without a required destination nothing is freed: the
//! journal is then the only place where the data are.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::committer::Request;
use super::configuration::{Configuration, RetentionTable};
use super::keeping::{self, Plan};
use super::room::{Fullness, RESERVE_SEGMENTS, Room, SHORT_PART, fullness};
use crate::forward::cursor::{self, Found};
use crate::journal::{Error, Reader, SEGMENT_BYTES};
use crate::link::clock;
use crate::vocabulary::{Certainty, Moment, Sequence};

/// How often the room is measured: a box whose disk has room again says so within this.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often what is old enough is looked for: it reads one header per segment.
const AGE_EVERY: u32 = 10;

/// The rate at which the journal grows is the mean of this time.
const RATE_OVER: Duration = Duration::from_secs(600);

/// The part of the free disk that the journal takes when no quota is configured.
const FREE_PART: (u64, u64) = (4, 5);

/// What the freeing of room leans on.
pub(super) struct Freeing {
    pub requests: mpsc::UnboundedSender<Request>,
    pub reader: Reader,
    /// Of the required destinations.
    pub low_waters: Vec<watch::Receiver<u64>>,
    pub room: Arc<Room>,
    pub retention: RetentionTable,
    pub segment_bytes: u64,
    pub data: PathBuf,
    /// The cursor files of all destinations: they name what was rejected for good.
    pub cursors: Vec<PathBuf>,
}

impl Freeing {
    /// For this house.
    pub fn of(
        configuration: &Configuration,
        requests: mpsc::UnboundedSender<Request>,
        reader: Reader,
        low_waters: Vec<watch::Receiver<u64>>,
        room: &Arc<Room>,
    ) -> Self {
        let gateway = &configuration.gateway;
        let folder = gateway.data.join("cursors");
        let destinations = configuration.destinations.iter();
        Self {
            requests,
            reader,
            low_waters,
            room: Arc::clone(room),
            retention: gateway.retention,
            segment_bytes: gateway.segment_bytes.unwrap_or(SEGMENT_BYTES),
            data: gateway.data.clone(),
            cursors: destinations.map(|one| cursor::path(&folder, &one.name)).collect(),
        }
    }

    /// Measures and frees until it is time to stop.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let quota = self.quota();
        self.room.quota_bytes.store(quota * self.segment_bytes, Ordering::Relaxed);
        let mut grown: VecDeque<(Instant, u64)> = VecDeque::new();
        for round in 0u32.. {
            if *stop.borrow() {
                return;
            }
            let now = clock::now();
            self.measure(quota, &mut grown);
            // The committer is gone only when the house stops.
            let _ = self.requests.send(Request::Tick { now });
            if let Some(plan) = self.plan(now, round % AGE_EVERY == 0).await {
                let _ = self.requests.send(Request::Free { plan, now });
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// How many segments the journal may have, its reserve included.
    fn quota(&self) -> u64 {
        let used = self.reader.segments().len() as u64;
        let bytes = self.retention.bytes.unwrap_or_else(|| {
            let (part, whole) = FREE_PART;
            (self.free_bytes() / whole).saturating_mul(part) + used * self.segment_bytes
        });
        bytes / self.segment_bytes
    }

    /// What the disk has left for us; without an answer, no limit.
    fn free_bytes(&self) -> u64 {
        match rustix::fs::statvfs(&self.data) {
            Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
            Err(_) => u64::MAX / 2,
        }
    }

    fn measure(&self, quota: u64, grown: &mut VecDeque<(Instant, u64)>) {
        let segments = self.reader.segments();
        let used = segments.len() as u64;
        let there_could_be = used + self.free_bytes() / self.segment_bytes;
        let most = quota.min(there_could_be).saturating_sub(RESERVE_SEGMENTS);
        self.room.segments_max.store(most, Ordering::Relaxed);
        let lowest = self.lowest().unwrap_or(Sequence::FIRST);
        let pinned = segments.iter().rev().take_while(|one| one.first > lowest).count() as u64 + 1;
        self.room.pinned_segments.store(pinned.min(used), Ordering::Relaxed);

        let (now, bytes) = (Instant::now(), self.room.appended_bytes.load(Ordering::Relaxed));
        grown.push_back((now, bytes));
        while grown.front().is_some_and(|(at, _)| now.duration_since(*at) > RATE_OVER) {
            grown.pop_front();
        }
        let since = grown.front().map(|(at, before)| (now.duration_since(*at), bytes - before));
        let left = most.saturating_sub(pinned) * self.segment_bytes;
        let seconds = match since {
            Some((time, bytes)) if bytes > 0 && !time.is_zero() => {
                let seconds = u128::from(left) * time.as_millis() / u128::from(bytes) / 1000;
                u64::try_from(seconds).unwrap_or(u64::MAX)
            }
            Some(_) | None => u64::MAX,
        };
        self.room.autonomy_seconds.store(seconds, Ordering::Relaxed);
    }

    /// What every required destination has.
    fn lowest(&self) -> Option<Sequence> {
        self.low_waters.iter().map(|one| *one.borrow()).min().and_then(Sequence::new)
    }

    async fn plan(&mut self, now: Moment, look_for_age: bool) -> Option<Plan> {
        let segments = self.reader.segments();
        let most = self.room.segments_max.load(Ordering::Relaxed);
        let used = segments.len() as u64;
        // Down to where everything is taken again, with some room to go on.
        let surplus = match fullness(used, most) {
            Fullness::Enough => 0,
            Fullness::Low | Fullness::None => {
                used.saturating_sub(most.saturating_sub(2 * (most / SHORT_PART).max(1)))
            }
        };
        let early = segments.get(usize::try_from(surplus).ok()?).map(|one| one.first);
        let early = early.filter(|_| surplus > 0);
        let old = if look_for_age { self.old_enough(now) } else { None };
        let before = early.max(old)?.min(self.lowest()?);
        if segments.get(1).is_none_or(|second| second.first > before) {
            return None;
        }
        let (mut reader, cursors) = (self.reader.clone(), self.cursors.clone());
        let planning =
            tokio::task::spawn_blocking(move || planned(&mut reader, before, &cursors)).await;
        match planning {
            Ok(Ok(plan)) => plan,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the journal cannot be read: nothing is freed");
                None
            }
            Err(_) => None,
        }
    }

    /// The first sequence that is not older than the retention.
    fn old_enough(&self, now: Moment) -> Option<Sequence> {
        if now.certainty() == Certainty::Unproven {
            return None;
        }
        let kept_us = i64::from(self.retention.hours).saturating_mul(3_600_000_000);
        match self.reader.first_since(now.utc_us().saturating_sub(kept_us)) {
            Ok(first) => Some(first),
            Err(error) => {
                tracing::warn!(%error, "the journal cannot say how old it is: nothing is freed");
                None
            }
        }
    }
}

fn planned(
    reader: &mut Reader,
    before: Sequence,
    cursors: &[PathBuf],
) -> Result<Option<Plan>, Error> {
    let mut aside = BTreeSet::new();
    for path in cursors {
        // A cursor that cannot be read names nothing; its destination says so itself.
        if let Ok(Found::State(state)) = cursor::peek(path) {
            aside.extend(state.set_aside.iter().map(|one| one.sequence));
        }
    }
    keeping::plan(reader, before, &aside)
}
