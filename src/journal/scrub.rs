//! Reads old segments again and again, slowly, so that damage is found while the records can still
//! be had from somewhere else, and not on the day when they are needed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::reader::Reader;
use super::scan::{DamagedRange, Scan};
use super::{Error, failure};

/// How fast the scrub reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScrubPace {
    pub bytes_per_second: u64,
    /// A pass over everything starts this long after the one before, or when that has ended.
    pub pass_every: Duration,
}

impl Default for ScrubPace {
    /// Slow enough that no device's acknowledgement waits for it, and a whole pass each day over
    /// up to 80 GB; a larger journal is read faster, see [`Scrub::start`].
    fn default() -> Self {
        Self { bytes_per_second: 1 << 20, pass_every: Duration::from_secs(24 * 3600) }
    }
}

/// How much is read before the thread looks whether it should stop, and sleeps.
const STEP_BYTES: u64 = 256 << 10;

/// From now on the calling thread runs when nobody else on this box wants to.
pub fn give_way() {
    // On Linux it is the thread whose priority is set, and lowering it is never refused.
    if let Err(error) = rustix::process::setpriority_process(None, LOWEST_PRIORITY) {
        tracing::debug!(%error, "a thread in the background keeps its priority");
    }
}

const LOWEST_PRIORITY: i32 = 19;

/// What the scrub has done since the journal was opened.
#[derive(Debug, Default)]
pub struct ScrubCounters {
    /// Whole passes over all sealed segments.
    pub passes: AtomicU64,
    /// The last sequence of the segment that this pass has come to; 0 between passes.
    pub position: AtomicU64,
    pub read_bytes: AtomicU64,
    /// Ranges of bytes found damaged, each counted once.
    pub damaged_ranges: AtomicU64,
    /// Records lost by them.
    pub lost_records: AtomicU64,
    /// Times that the medium did not give what was asked.
    pub read_failures: AtomicU64,
}

/// What one step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubStep {
    pub read_bytes: u64,
    /// Damage that was not known before.
    pub found: Vec<DamagedRange>,
    /// The newest sealed segment was finished; the next step begins anew.
    pub pass_ended: bool,
}

/// Goes over all segments but the one that is written to.
pub struct Scrub {
    reader: Reader,
    scan: Option<Scan>,
    /// The last sequence of the segments that this pass has seen.
    seen_until: u64,
    known: BTreeSet<(String, u64)>,
    counters: Arc<ScrubCounters>,
}

impl Scrub {
    pub fn new(reader: Reader) -> Self {
        let counters = Arc::default();
        Self { reader, scan: None, seen_until: 0, known: BTreeSet::new(), counters }
    }

    /// What it has done; stays valid after the scrub has been started.
    pub fn counters(&self) -> Arc<ScrubCounters> {
        Arc::clone(&self.counters)
    }

    /// Reads about `bytes_max` bytes further. A segment that the medium does not give is reported
    /// as damaged and passed over.
    ///
    /// # Errors
    /// None that the journal's own state does not explain; a failed read is damage, not an error.
    pub fn step(&mut self, bytes_max: u64) -> Result<ScrubStep, Error> {
        let mut step = ScrubStep::default();
        while step.read_bytes < bytes_max.max(1) {
            let Some(scan) = self.scan.take().or_else(|| self.next_segment()) else {
                self.seen_until = 0;
                self.counters.position.store(0, Ordering::Relaxed);
                step.pass_ended = true;
                self.counters.passes.fetch_add(1, Ordering::Relaxed);
                break;
            };
            self.go_on(scan, &mut step)?;
        }
        self.counters.read_bytes.fetch_add(step.read_bytes, Ordering::Relaxed);
        Ok(step)
    }

    fn go_on(&mut self, mut scan: Scan, step: &mut ScrubStep) -> Result<(), Error> {
        let before = scan.offset();
        let seen = match scan.step() {
            Ok(Some(seen)) => seen.damaged,
            Ok(None) => return Ok(()),
            // Freed meanwhile: its sequences are behind the first one now.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    && self.reader.first().number() > self.seen_until =>
            {
                return Ok(());
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(failure("scrub segment")(error).into());
            }
            Err(_) => {
                self.counters.read_failures.fetch_add(1, Ordering::Relaxed);
                self.note(vec![scan.rest()], step);
                return Ok(());
            }
        };
        step.read_bytes += scan.offset() - before;
        self.note(seen, step);
        self.scan = Some(scan);
        Ok(())
    }

    fn note(&mut self, damaged: Vec<DamagedRange>, step: &mut ScrubStep) {
        for range in damaged {
            if !self.known.insert((range.file.clone(), range.bytes.start)) {
                continue;
            }
            self.counters.damaged_ranges.fetch_add(1, Ordering::Relaxed);
            let lost = range.sequences.as_ref().map_or(0, |lost| lost.end() - lost.start() + 1);
            self.counters.lost_records.fetch_add(lost, Ordering::Relaxed);
            step.found.push(range);
        }
    }

    fn next_segment(&mut self) -> Option<Scan> {
        let segments = self.reader.segments();
        let pairs = segments.iter().zip(segments.iter().skip(1));
        let fresh = |next: u64| next - 1 > self.seen_until;
        let (segment, until) = pairs
            .map(|(segment, next)| (segment, next.first.number()))
            .find(|(_, next)| fresh(*next))
            .map(|(segment, next)| (segment, next - 1))?;
        self.seen_until = until;
        self.counters.position.store(until, Ordering::Relaxed);
        Some(Scan::of(&self.reader.shared, segment, until))
    }

    /// Starts a thread that scrubs until the returned value is dropped, and tells `on_damage` of
    /// each newly found range. Reads faster than the pace where a pass would last longer than
    /// `pass_every`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        self,
        pace: ScrubPace,
        on_damage: Box<dyn FnMut(DamagedRange) + Send>,
    ) -> Result<ScrubThread, Error> {
        let counters = self.counters();
        let stop = Arc::new(Stop::default());
        let for_thread = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("scrub".to_owned())
            .spawn(move || self.serve(pace, on_damage, &for_thread))
            .map_err(failure("start scrub thread"))?;
        Ok(ScrubThread { counters, stop, thread: Some(thread) })
    }

    fn serve(
        mut self,
        pace: ScrubPace,
        mut on_damage: Box<dyn FnMut(DamagedRange) + Send>,
        stop: &Stop,
    ) {
        give_way();
        let mut began = Instant::now();
        let mut wait = Duration::ZERO;
        while !stop.wait(wait) {
            match self.step(STEP_BYTES) {
                Ok(step) => {
                    wait = self.pause(pace, &step, &mut began);
                    step.found.into_iter().for_each(&mut on_damage);
                }
                // The folder itself has gone; the door says so. Here it is only tried again.
                Err(_) => {
                    self.counters.read_failures.fetch_add(1, Ordering::Relaxed);
                    (self.scan, self.seen_until) = (None, 0);
                    wait = pace.pass_every;
                }
            }
        }
    }

    fn pause(&self, pace: ScrubPace, step: &ScrubStep, began: &mut Instant) -> Duration {
        if step.pass_ended {
            let rest = pace.pass_every.saturating_sub(began.elapsed());
            *began = Instant::now() + rest;
            return rest;
        }
        let total: u64 = self.reader.segments().iter().map(|segment| segment.end).sum();
        let seconds = pace.pass_every.as_secs().max(1);
        let rate = pace.bytes_per_second.max(total / seconds).max(1);
        Duration::from_micros(step.read_bytes.saturating_mul(1_000_000) / rate)
    }
}

/// A running scrub; dropping it stops it.
pub struct ScrubThread {
    counters: Arc<ScrubCounters>,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl ScrubThread {
    /// What it has done.
    pub fn counters(&self) -> Arc<ScrubCounters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for ScrubThread {
    fn drop(&mut self) {
        self.stop.now();
        if let Some(thread) = self.thread.take() {
            // A panic in `on_damage` ends the scrub and nothing else.
            drop(thread.join());
        }
    }
}

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    fn now(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits, and says whether to stop.
    fn wait(&self, at_most: Duration) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(stopped, at_most, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
