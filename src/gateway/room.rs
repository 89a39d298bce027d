//! How much room there is for data, and what is refused at the door when it gets short.
//!
//! | room left | what the door does |
//! |---|---|
//! | more than an eighth | everything is taken |
//! | less than an eighth | trend repeats are refused |
//! | none | no message is taken |
//!
//! A trend repeat is a message of live periodic values only, within `TREND_EVERY_MS` of the last
//! one that was kept of its device.
//! What is refused is not acknowledged, and the device has an open gap `room-short`. Gaps,
//! associations and checkpoints go on into [`RESERVE_SEGMENTS`]; cursors have their room already.
//! Before anything is refused, what every required destination has stored is freed early. Nothing
//! that was accepted is given up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

use super::committer::{Committer, Submission};
use super::gaps::GapCause;
use crate::vocabulary::{Moment, ParameterKind};

/// Segments that only book-keeping may fill: with 8 MiB each that is thirty thousand gaps.
pub const RESERVE_SEGMENTS: u64 = 2;

/// The part of the room at which trend repeats are refused and delivered data are freed early.
pub const SHORT_PART: u64 = 8;

/// When room is short, one message of live periodic values in this time is kept per device: what a
/// ward's chart needs.
const TREND_EVERY_MS: u64 = 60_000;

/// What the committer, the freeing of room and the status know of the journal's room.
pub struct Room {
    /// A commit made room in the queue.
    pub freed: Notify,
    /// The journal takes nothing.
    pub shut: AtomicBool,
    /// Told once, when the door shuts.
    pub shut_now: Notify,
    /// How many segments data may fill.
    pub segments_max: AtomicU64,
    /// No message is taken.
    pub short: AtomicBool,
    /// Trend repeats are refused.
    pub thinned: AtomicBool,
    /// Everything handed to the journal since the start.
    pub appended_bytes: AtomicU64,
    /// How long the box can keep everything if no destination takes anything from now on;
    /// `u64::MAX` while nothing comes.
    pub autonomy_seconds: AtomicU64,
    /// Segments that a required destination still needs.
    pub pinned_segments: AtomicU64,
    /// The reserve of book-keeping and the data together.
    pub quota_bytes: AtomicU64,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            freed: Notify::new(),
            shut: AtomicBool::new(false),
            shut_now: Notify::new(),
            segments_max: AtomicU64::new(u64::MAX),
            short: AtomicBool::new(false),
            thinned: AtomicBool::new(false),
            appended_bytes: AtomicU64::new(0),
            autonomy_seconds: AtomicU64::new(u64::MAX),
            pinned_segments: AtomicU64::new(0),
            quota_bytes: AtomicU64::new(0),
        }
    }
}

/// How full the journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fullness {
    Enough,
    /// Less than an eighth is left.
    Low,
    /// The next segment would be one too many.
    None,
}

/// What the door does with `used` of `most` segments.
pub fn fullness(used: u64, most: u64) -> Fullness {
    if used >= most {
        Fullness::None
    } else if most - used <= (most / SHORT_PART).max(1) {
        Fullness::Low
    } else {
        Fullness::Enough
    }
}

impl Committer {
    fn fullness(&self) -> Fullness {
        fullness(self.appender.segments(), self.room.segments_max.load(Ordering::Relaxed))
    }

    /// Whether there is no room for a message. `begins`: it would begin a segment.
    pub(super) fn refuses(&self, submission: &Submission, begins: bool) -> bool {
        let fullness = self.fullness();
        let short =
            fullness == Fullness::None && (begins || self.room.short.load(Ordering::Relaxed));
        if short != self.room.short.swap(short, Ordering::Relaxed) && short {
            tracing::error!("no room in the journal: no device is acknowledged any more");
        }
        let low = fullness != Fullness::Enough;
        if low != self.room.thinned.swap(low, Ordering::Relaxed) && low {
            tracing::warn!("room in the journal is short: trend repeats are not taken");
        }
        short || (low && self.is_trend_repeat(submission))
    }

    /// Ends the gaps of a time without room once there is room again.
    pub(super) async fn room_again(&mut self, now: Moment) {
        let fullness = self.fullness();
        if fullness != Fullness::None && self.room.short.swap(false, Ordering::Relaxed) {
            tracing::info!("there is room in the journal again: devices are acknowledged");
        }
        if fullness == Fullness::Enough && self.room.thinned.swap(false, Ordering::Relaxed) {
            tracing::info!("there is room enough in the journal");
        }
        if self.room.thinned.load(Ordering::Relaxed) || self.room.short.load(Ordering::Relaxed) {
            return;
        }
        let cause = GapCause::RoomShort;
        let names: Vec<String> = self.memory.devices.keys().cloned().collect();
        for name in names.iter().filter(|name| self.gap_is_open(name, cause)).collect::<Vec<_>>() {
            self.gaps_ended(name, Some(cause), now).await;
        }
    }

    /// Whether a message holds live periodic values and nothing else.
    pub(super) fn is_trend(submission: &Submission) -> bool {
        let periodic = |kind: Option<ParameterKind>| kind == Some(ParameterKind::Periodic);
        submission.refusals.is_empty()
            && !submission.observations.is_empty()
            && submission.observations.iter().all(|(observation, times)| {
                observation.event.is_none()
                    && times.liveness == crate::check::clock::Liveness::Live
                    && observation.metrics.iter().all(|metric| periodic(metric.kind))
            })
    }

    fn is_trend_repeat(&self, submission: &Submission) -> bool {
        let last = self.trends.get(submission.device.name.as_str());
        let received = submission.message.received;
        Self::is_trend(submission)
            && last.is_some_and(|last| received.since_ms(*last) < TREND_EVERY_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_knows_three_steps() {
        let steps = [(0, 16), (13, 16), (14, 16), (15, 16), (16, 16), (20, 16), (0, 1), (0, 0)];
        let expected = [
            Fullness::Enough,
            Fullness::Enough,
            Fullness::Low,
            Fullness::Low,
            Fullness::None,
            Fullness::None,
            Fullness::Low,
            Fullness::None,
        ];
        assert_eq!(steps.map(|(used, most)| fullness(used, most)), expected);
    }
}
