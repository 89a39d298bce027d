//! When room in the journal is freed, and how much there is.
//!
//! What every required destination has stored goes once it is older than the retention; when room
//! gets short, the oldest of it goes at once, before anything is refused. Time is leaned on only
//! while somebody vouches for the box's clock. Without a required destination nothing is freed: the
//! journal is then the only place where the data are.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::committer::Request;
use super::configuration::{Configuration, RetentionTable};
use super::keeping::{self, Plan};
use super::room::{Fullness, RESERVE_SEGMENTS, Room, SHORT_PART, fullness};
use super::world::DataDisk;
use crate::forward::cursor::{self, Found};
use crate::journal::{Reader, SEGMENT_BYTES, beside};
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
    pub disk: Arc<dyn DataDisk>,
    /// The names of all destinations: their cursors name what was rejected for good.
    pub destinations: Vec<String>,
}

impl Freeing {
    /// For this house.
    pub fn of(
        configuration: &Configuration,
        requests: mpsc::UnboundedSender<Request>,
        reader: Reader,
        low_waters: Vec<watch::Receiver<u64>>,
        (room, disk): (&Arc<Room>, &Arc<dyn DataDisk>),
    ) -> Self {
        let gateway = &configuration.gateway;
        let destinations = configuration.destinations.iter();
        Self {
            requests,
            reader,
            low_waters,
            room: Arc::clone(room),
            retention: gateway.retention,
            segment_bytes: gateway.segment_bytes.unwrap_or(SEGMENT_BYTES),
            disk: Arc::clone(disk),
            destinations: destinations.map(|one| one.name.clone()).collect(),
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
                biased;
                _ = stop.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// How many segments the journal may have, its reserve included.
    fn quota(&self) -> u64 {
        let used = self.reader.segments().len() as u64;
        let bytes = self.retention.bytes.unwrap_or_else(|| {
            let (part, whole) = FREE_PART;
            (self.disk.free_bytes() / whole).saturating_mul(part) + used * self.segment_bytes
        });
        bytes / self.segment_bytes
    }

    fn measure(&self, quota: u64, grown: &mut VecDeque<(Instant, u64)>) {
        let segments = self.reader.segments();
        let used = segments.len() as u64;
        let there_could_be = used + self.disk.free_bytes() / self.segment_bytes;
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
        let (mut reader, disk) = (self.reader.clone(), Arc::clone(&self.disk));
        let destinations = self.destinations.clone();
        let planning = beside(move || {
            let aside = set_aside(&*disk, &destinations);
            keeping::plan(&mut reader, before, &aside)
        });
        match planning.await {
            Some(Ok(plan)) => plan,
            Some(Err(error)) => {
                tracing::warn!(%error, "the journal cannot be read: nothing is freed");
                None
            }
            None => None,
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

/// A cursor that cannot be read names nothing; its destination says so itself.
fn set_aside(disk: &dyn DataDisk, destinations: &[String]) -> BTreeSet<u64> {
    let Ok(cursors) = disk.cursors() else { return BTreeSet::new() };
    let found = destinations.iter().map(|name| cursor::peek_in(&*cursors, name));
    let states = found.filter_map(|found| match found {
        Ok(Found::State(state)) => Some(state),
        Ok(Found::New | Found::Lost) | Err(_) => None,
    });
    states.flat_map(|state| state.set_aside).map(|one| one.sequence).collect()
}
