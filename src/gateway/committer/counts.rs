//! What messages add to the counters of their device.

use std::sync::atomic::Ordering;

use super::Submission;
use crate::gateway::record;
use crate::gateway::status::DeviceStatus;
use crate::protocol::Settled;
use crate::vocabulary::Observation;

/// What a message adds to its device's counters once it is kept.
pub(super) struct Counts {
    readings: u64,
    refused: u64,
    unmapped: u64,
    held: u64,
    repeats: u64,
    received_us: i64,
}

impl Counts {
    pub fn of(submission: &Submission, how: Settled) -> Self {
        let repeat = how == Settled::Repeat;
        let observations = || submission.observations.iter().map(|(observation, _)| observation);
        let metrics: usize = observations().map(|one| one.metrics.len()).sum();
        let unmapped: usize = observations().map(Observation::unmapped).sum();
        let held =
            observations().filter(|one| !record::held(one.mode, submission.proof).is_empty());
        let count = |number: usize| if repeat { 0 } else { number as u64 };
        Self {
            readings: count(metrics),
            refused: count(submission.refusals.len()),
            unmapped: count(unmapped),
            held: count(held.count()),
            repeats: u64::from(repeat),
            received_us: submission.message.received.utc_us(),
        }
    }

    pub fn add(&self, status: &DeviceStatus) {
        status.messages.fetch_add(1, Ordering::Relaxed);
        status.readings.fetch_add(self.readings, Ordering::Relaxed);
        status.refused.fetch_add(self.refused, Ordering::Relaxed);
        status.unmapped.fetch_add(self.unmapped, Ordering::Relaxed);
        status.held.fetch_add(self.held, Ordering::Relaxed);
        status.repeats.fetch_add(self.repeats, Ordering::Relaxed);
        status.last_message_us.store(self.received_us, Ordering::Relaxed);
    }
}
