//! Where devices leave samples. It holds a fixed number of bytes, which come free when the samples
//! are on stable storage; when it is full, samples are dropped. Nobody ever waits here.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::shown::Counts;
use crate::check::clock::FirstSample;
use crate::gateway::committer::DeviceIdentity;
use crate::gateway::gaps::GapCause;
use crate::gateway::record::FirmwareProof;
use crate::vocabulary::{Mode, Moment, Waveform};

/// What may be on its way into the journal: eight seconds of 32 monitors with four waveforms of 500
/// samples a second each, so that a disk that stalls for some seconds costs nothing.
pub const INLET_BYTES_MAX: usize = 8 << 20;

/// The unit in which it is counted.
const UNIT_BYTES: usize = 1024;

/// What one array costs besides its samples.
const ARRAY_BYTES: usize = 512;

/// Samples of one device on their way.
pub struct Submission {
    pub device: Arc<DeviceIdentity>,
    pub received: Moment,
    pub mode: Mode,
    pub firmware: Option<String>,
    pub proof: FirmwareProof,
    /// Each with the time of its first sample.
    pub arrays: Vec<(Waveform, FirstSample)>,
}

impl Submission {
    /// When the first of its samples was taken, by the box's clock: the beginning of a gap, or the
    /// end of one.
    pub(super) fn begins(&self) -> Moment {
        let span_us = |array: &Waveform| array.period.span_us(array.samples.len() as u64);
        let span_us = self.arrays.iter().map(|(array, _)| span_us(array)).max().unwrap_or(0);
        let received = self.received;
        Moment::new(
            received.monotonic_us().saturating_sub(span_us),
            received.utc_us().saturating_sub(i64::try_from(span_us).unwrap_or(i64::MAX)),
            received.certainty(),
        )
    }

    pub(super) fn samples(&self) -> u64 {
        self.arrays.iter().map(|(array, _)| array.samples.len() as u64).sum()
    }

    fn bytes(&self) -> usize {
        let sample = size_of::<Option<i32>>();
        self.arrays.iter().map(|(array, _)| ARRAY_BYTES + sample * array.samples.len()).sum()
    }

    /// Counts what is dropped.
    pub(super) fn count_dropped(&self, counts: &Counts) {
        let samples = self.samples();
        self.device.status.samples_dropped.fetch_add(samples, Ordering::Relaxed);
        counts.samples_dropped.fetch_add(samples, Ordering::Relaxed);
    }
}

/// What comes out.
pub(super) enum Came {
    /// The permit is given back once the fate of the samples is known.
    Samples(Box<Submission>, OwnedSemaphorePermit),
    /// From then on there are none of this device.
    GapBegan { device: Arc<DeviceIdentity>, cause: GapCause, began: Moment },
}

/// The devices' end.
pub struct Inlet {
    share: Arc<Semaphore>,
    units: usize,
    counts: Arc<Counts>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None while the journal is not open.
    out: Option<mpsc::UnboundedSender<Came>>,
    /// Nothing is taken before half of it is free again: one gap, not one per array.
    full: bool,
    /// The devices whose samples are being dropped: their gap has begun.
    dropping: BTreeSet<String>,
}

impl Inlet {
    pub(super) fn new(bytes_max: usize, counts: Arc<Counts>) -> Self {
        let units = bytes_max / UNIT_BYTES;
        let share = Arc::new(Semaphore::new(units));
        Self { share, units, counts, state: Mutex::default() }
    }

    /// Takes samples, or drops and counts them.
    pub fn offer(&self, submission: Submission) {
        let needs = submission.bytes() / UNIT_BYTES + 1;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.full &= self.share.available_permits() < self.units / 2;
        let State { out, full, dropping } = &mut *state;
        let Some(out) = out else {
            // The next opening begins a gap where the last kept samples end.
            submission.count_dropped(&self.counts);
            return;
        };
        let needs = u32::try_from(needs).ok().filter(|_| !*full);
        let permit =
            needs.and_then(|needs| Arc::clone(&self.share).try_acquire_many_owned(needs).ok());
        let name = submission.device.name.as_str();
        match permit {
            Some(permit) => {
                dropping.remove(name);
                // Whoever reads it is gone only when the journal closes, and says so before.
                let _ = out.send(Came::Samples(Box::new(submission), permit));
            }
            None => {
                *full = true;
                submission.count_dropped(&self.counts);
                if dropping.insert(name.to_owned()) {
                    let (began, cause) = (submission.begins(), GapCause::BoxBusy);
                    let device = submission.device;
                    let _ = out.send(Came::GapBegan { device, cause, began });
                }
            }
        }
    }

    /// From now on nothing comes of this device.
    pub fn gap_began(&self, device: &Arc<DeviceIdentity>, cause: GapCause, began: Moment) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(out) = &state.out {
            let device = Arc::clone(device);
            let _ = out.send(Came::GapBegan { device, cause, began });
        }
    }

    /// The journal is open: samples go there.
    pub(super) fn open(&self) -> mpsc::UnboundedReceiver<Came> {
        let (out, came) = mpsc::unbounded_channel();
        let fresh = State { out: Some(out), ..State::default() };
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        came
    }

    /// The journal closes: samples are dropped from now on.
    pub(super) fn close(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }
}
