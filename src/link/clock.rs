//! The only place that asks the box's clocks.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

use crate::vocabulary::{Certainty, Moment};

/// What systemd-timesyncd leaves when it has set the clock from the network; chrony's unit
/// `chrony-wait` can be made to touch it too. Without it nobody vouches for the clock.
const SYNCHRONISED_MARK: &str = "/run/systemd/timesync/synchronized";

/// How long an answer about the mark is used again: it changes a few times a year.
const MARK_AGE_US_MAX: u64 = 10_000_000;

/// Now, by boot time and by UTC.
pub fn now() -> Moment {
    #[cfg(test)]
    if let Some(moment) = super::simulated::now() {
        return moment;
    }
    let boot = clock_gettime(ClockId::Boottime);
    let utc = clock_gettime(ClockId::Realtime);
    let monotonic_us = (boot.tv_sec as u64) * 1_000_000 + (boot.tv_nsec as u64) / 1000;
    let utc_us = utc.tv_sec * 1_000_000 + utc.tv_nsec / 1000;
    Moment::new(monotonic_us, utc_us, certainty(monotonic_us))
}

/// Low bit: synchronised. The rest: when that was looked up, in microseconds since boot, doubled.
static LOOKED_UP: AtomicU64 = AtomicU64::new(0);

fn certainty(monotonic_us: u64) -> Certainty {
    let known = LOOKED_UP.load(Ordering::Relaxed);
    let fresh = known != 0 && monotonic_us.saturating_sub(known >> 1) < MARK_AGE_US_MAX;
    let synchronised = if fresh {
        known & 1 == 1
    } else {
        let found = Path::new(SYNCHRONISED_MARK).exists();
        LOOKED_UP.store((monotonic_us << 1) | u64::from(found), Ordering::Relaxed);
        found
    };
    if synchronised { Certainty::Synchronised } else { Certainty::Unproven }
}
