//! What the status shows of waveforms.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::forward::Counters;
use crate::journal::{Door, Reader};
use crate::vocabulary::Sequence;
use crate::vocabulary::moment::utc_text;

/// Totals since the start of the daemon.
#[derive(Debug, Default)]
pub struct Counts {
    /// Records of samples that are on stable storage.
    pub records: AtomicU64,
    pub samples: AtomicU64,
    /// Samples that were dropped: the inlet was full, or the journal took nothing.
    pub samples_dropped: AtomicU64,
    /// Sequences whose segment went because the quota was full, and that a destination lacked.
    pub shed: AtomicU64,
}

/// The journal of waveforms in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaveformsSnapshot {
    pub stream: String,
    pub durable: u64,
    /// `open`, or why nothing is taken.
    pub door: String,
    pub segments: usize,
    pub bytes: u64,
    /// What it may take on the disk.
    pub quota_bytes: u64,
    /// When the oldest record was kept.
    pub oldest: Option<String>,
    /// Records of samples since the start.
    pub records: u64,
    pub samples: u64,
    /// Samples since the start that were dropped: the box was busy, or its disk took nothing.
    pub samples_dropped: u64,
    /// Records since the start that went because the quota was full before a destination had them.
    pub shed: u64,
}

/// What there is to see of waveforms at present.
pub struct Shown {
    pub(super) counts: Arc<Counts>,
    segment_bytes: u64,
    quota_bytes: u64,
    now: Mutex<Now>,
}

struct Now {
    reader: Option<Reader>,
    counters: Vec<(String, Arc<Counters>)>,
    /// Why the journal is not open.
    trouble: String,
}

impl Shown {
    pub(super) fn new(segment_bytes: u64, quota_bytes: u64) -> Self {
        let trouble = "it is not open yet".to_owned();
        let now = Mutex::new(Now { reader: None, counters: Vec::new(), trouble });
        let counts = Arc::default();
        Self { counts, segment_bytes, quota_bytes, now }
    }

    pub(super) fn show(&self, reader: Reader, counters: Vec<(String, Arc<Counters>)>) {
        let now = Now { reader: Some(reader), counters, trouble: String::new() };
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    pub(super) fn set_trouble(&self, trouble: String) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).trouble = trouble;
    }

    /// The counters of the destinations.
    pub fn counters(&self) -> Vec<(String, Arc<Counters>)> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).counters.clone()
    }

    /// What it looks like now.
    pub fn snapshot(&self) -> WaveformsSnapshot {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counted = WaveformsSnapshot {
            door: format!("shut: {}", now.trouble),
            quota_bytes: self.quota_bytes,
            records: count(&self.counts.records),
            samples: count(&self.counts.samples),
            samples_dropped: count(&self.counts.samples_dropped),
            shed: count(&self.counts.shed),
            ..WaveformsSnapshot::default()
        };
        let Some(reader) = &now.reader else { return counted };
        let segments = reader.segments().len();
        let oldest = reader.segment_ages().ok();
        let oldest = oldest.and_then(|ages| ages.iter().find_map(|age| age.first_time_us));
        let door = match reader.door() {
            Door::Open => "open".to_owned(),
            Door::Shut(failure) => format!("shut: {failure}"),
            Door::Closed if now.trouble.is_empty() => "closed".to_owned(),
            Door::Closed => format!("shut: {}", now.trouble),
        };
        WaveformsSnapshot {
            stream: reader.stream().to_string(),
            durable: reader.durable().map_or(0, Sequence::number),
            door,
            segments,
            // Segments are preallocated, so each takes its whole size.
            bytes: segments as u64 * self.segment_bytes,
            oldest: oldest.map(utc_text),
            ..counted
        }
    }
}
