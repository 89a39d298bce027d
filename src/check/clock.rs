//! The four times of an observation: as the device wrote it, received, corrected, and by what
//! evidence; and which of them the chart time is. A receive time is never passed off as a device
//! time, and what was measured long ago never as measured now.
//!
//! The lag is the receive time minus the device's own time: the age of the data and the error of
//! the device's clock in one figure. One figure cannot tell the two apart, so the rule leans to the
//! safe side:
//!
//! | values | lag | taken for | chart time |
//! |---|---|---|---|
//! | periodic | no device time at all | live | receive time |
//! | periodic | at most [`STALE_AFTER_MS`] above the clock's | live | corrected, else receive |
//! | periodic | more than that | stored | device time, unproven |
//! | periodic | a device time that is no instant | stored | receive time, unproven |
//! | others | any | stored | device time, unproven; without one receive, unproven |
//!
//! The clock's own lag is the shortest of the last live messages, and 0 while that is longer or
//! there are none. From this follows:
//!
//! - A clock that is ahead, by an hour, is live from its first message on, since nothing is
//!   measured in the future; and while it is known, its data of half an hour ago are old although
//!   their lag is negative.
//! - A clock that is behind by more than the limit looks like old data, for good: a buffer that is
//!   an hour late and sent at its own pace has the same constant lag. Its values are charted at the
//!   time that the device says, doubted as stale, until a person sets the clock. A backlog that
//!   grows slowly does not pull the estimate along either.
//! - Only live messages teach the estimate, and only live values are corrected by it.
//! - What was learned is forgotten when the box's own clock steps, and [`SET_BACK_AFTER_MS`] after
//!   the device's time went backwards without becoming live again: then the clock was set back, and
//!   that was no old message in between.
//! - That a clock is ahead outlives a restart ([`DeviceClock::ahead_ms`]): else old data would be
//!   live again after it. A clock that was set right meanwhile is believed after the same time.
//!
//! What it cannot see: a clock that is ahead by as much as its first messages are old. Those are
//! doubted as clock-wrong while they lie in the future.

use std::collections::VecDeque;

use crate::vocabulary::{DeviceTime, Moment, Observation, ParameterKind};

mod samples;

pub use samples::{FirstSample, SampleRule};

/// How far a value's own time may lie behind on a live stream before the value is old.
pub const STALE_AFTER_MS: i64 = 120_000;

/// How long a device's time may stay behind what it was, with nothing live in between, before its
/// clock counts as set back. A device sends its store again within minutes.
pub const SET_BACK_AFTER_MS: i64 = 3_600_000;

/// How far the box's clock may run away from its monotonic one between two messages without having
/// been stepped: the kernel slews by at most 500 ppm, which is 1.8 s in an hour.
const BOX_STEP_US: u64 = 2_000_000;

/// A clock that is less ahead than this needs no memory: old data are older than that.
const AHEAD_MS_MIN: u64 = 1_000;

/// How many of the newest comparisons make the estimate. At one message a second this is a minute,
/// in which a quartz clock drifts less than 10 ms; drift therefore lies inside the stated
/// uncertainty.
const SAMPLES_MAX: usize = 64;

/// Fewer comparisons than this prove nothing.
const SAMPLES_MIN: usize = 8;

/// The site's limit for the uncertainty of a corrected time, unless configured otherwise.
pub const UNCERTAINTY_MS_MAX: u64 = 2_000;

/// Which time stands on the chart, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The device's own time, corrected by the estimate of its clock.
    Corrected,
    /// The receive time of a live stream.
    Received,
    /// The device's own time; nobody vouches for its clock.
    DeviceUnproven,
    /// The receive time of a stored result without a usable time of its own.
    ReceivedUnproven,
}

impl Rule {
    /// The rule as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::Received => "received",
            Self::DeviceUnproven => "device-unproven",
            Self::ReceivedUnproven => "received-unproven",
        }
    }
}

/// Whether a value shows the present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// From a stream, and not older than [`STALE_AFTER_MS`] as far as anybody can tell.
    Live,
    /// A result with a time of its own, or a stream's value that is old.
    Stored,
}

/// The times of one observation besides the device's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub received: Moment,
    /// The device's time minus the estimated offset of its clock, with the estimate.
    pub corrected: Option<Corrected>,
    pub chart_utc_us: i64,
    pub rule: Rule,
    pub liveness: Liveness,
}

/// A corrected time and what it leans on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrected {
    pub utc_us: i64,
    /// How far the device's clock is ahead of the box's.
    pub offset_ms: i64,
    pub uncertainty_ms: u64,
}

/// The times of an observation that came at `received`; the device's clock learns from it if it is
/// live. `uncertainty_ms_max`: beyond it a corrected time is not used.
///
/// ```
/// use wardgate::check::clock::{DeviceClock, Liveness, Rule, UNCERTAINTY_MS_MAX, times};
/// use wardgate::vocabulary::{Certainty, Mode, Moment, Observation, Subject};
/// let now = Moment::new(0, 1_800_000_000_000_000, Certainty::Synchronised);
/// let nothing = Observation {
///     subject: Subject::default(),
///     mode: Mode::Production,
///     event: None,
///     channel: String::new(),
///     device_time: None,
///     metrics: Vec::new(),
///     remarks: Vec::new(),
/// };
/// let times = times(&nothing, now, &mut DeviceClock::default(), UNCERTAINTY_MS_MAX);
/// assert_eq!((times.liveness, times.rule), (Liveness::Stored, Rule::ReceivedUnproven));
/// ```
pub fn times(
    observation: &Observation,
    received: Moment,
    clock: &mut DeviceClock,
    uncertainty_ms_max: u64,
) -> Times {
    let device = observation.device_time.as_ref();
    let periodic =
        observation.metrics.iter().any(|metric| metric.kind == Some(ParameterKind::Periodic));
    let liveness = match (periodic, device.map(|time| time.utc_us)) {
        (false, _) | (true, Some(None)) => Liveness::Stored,
        (true, None) => Liveness::Live,
        (true, Some(Some(utc_us))) => {
            let liveness = clock.liveness(utc_us, received);
            if liveness == Liveness::Live {
                clock.observe(utc_us, received);
            }
            liveness
        }
    };
    clock.times(device, liveness, received, uncertainty_ms_max)
}

/// The running estimate of one device's clock.
#[derive(Clone, Debug, Default)]
pub struct DeviceClock {
    /// Receive time and lag of the newest value of each of the last live messages, oldest first.
    live: VecDeque<(Moment, i64)>,
    /// The message before, live or not.
    before: Option<Before>,
    /// Since when the device's time lies behind what it was.
    set_back: Option<Moment>,
    /// The clock's own lag before a restart, until something is live; never above 0.
    carried_lag_us: i64,
}

#[derive(Clone, Copy, Debug)]
struct Before {
    received: Moment,
    device_utc_us: i64,
}

impl DeviceClock {
    /// A clock that was known to be this far ahead before a restart.
    ///
    /// ```
    /// use wardgate::check::clock::DeviceClock;
    /// assert_eq!(DeviceClock::ahead_by(3_600_000).ahead_ms(), Some(3_600_000));
    /// assert_eq!(DeviceClock::default().ahead_ms(), None);
    /// ```
    pub fn ahead_by(ms: u64) -> Self {
        let carried_us = i64::try_from(ms).unwrap_or(i64::MAX / 1000).saturating_mul(1000);
        Self { carried_lag_us: -carried_us, ..Self::default() }
    }

    /// How far the clock is known to be ahead, if that has to be remembered.
    pub fn ahead_ms(&self) -> Option<u64> {
        let ahead_ms = self.own_lag_us().unsigned_abs() / 1000;
        (ahead_ms >= AHEAD_MS_MIN).then_some(ahead_ms)
    }

    /// The shortest lag of the last live messages, or of the time before a restart; 0 if there is
    /// none, and while it is longer.
    fn own_lag_us(&self) -> i64 {
        let least = self.live.iter().map(|(_, lag_us)| *lag_us).min();
        least.unwrap_or(self.carried_lag_us).min(0)
    }

    fn forget(&mut self) {
        (self.live, self.set_back, self.carried_lag_us) = (VecDeque::new(), None, 0);
    }

    /// Whether a periodic value with this device time shows the present. Every such value must be
    /// asked about, in the order in which they come.
    pub fn liveness(&mut self, device_utc_us: i64, received: Moment) -> Liveness {
        let before = self.before.replace(Before { received, device_utc_us });
        if let Some(before) = before {
            self.forget_if_stepped(before.received, received);
            if before.device_utc_us - device_utc_us > STALE_AFTER_MS * 1000 {
                self.set_back.get_or_insert(received);
            }
        }
        let is_over = |since: Moment| received.since_ms(since) >= SET_BACK_AFTER_MS.unsigned_abs();
        if self.set_back.is_some_and(is_over) {
            self.forget();
        }
        let age_us = received.utc_us() - device_utc_us - self.own_lag_us();
        if age_us > STALE_AFTER_MS * 1000 {
            if self.live.is_empty() && self.carried_lag_us < 0 {
                // Nobody knows what the time was before the restart.
                self.set_back.get_or_insert(received);
            }
            return Liveness::Stored;
        }
        self.set_back = None;
        Liveness::Live
    }

    /// A step of the box's own clock shifts every lag.
    fn forget_if_stepped(&mut self, before: Moment, received: Moment) {
        let wall_us = received.utc_us() - before.utc_us();
        let passed_us = received.monotonic_us() as i64 - before.monotonic_us() as i64;
        if wall_us.abs_diff(passed_us) > BOX_STEP_US {
            self.forget();
        }
    }

    /// Notes a time that has just come. Only for periodic values that [`Self::liveness`] found
    /// live: stored and old ones tell the age of the data and nothing of the clock.
    ///
    /// Of the values that came in one moment the newest counts. The delay on the wire makes a lag
    /// longer, never shorter, so the shortest one is nearest to the clock's true offset.
    pub fn observe(&mut self, device_utc_us: i64, received: Moment) {
        let lag_us = received.utc_us() - device_utc_us;
        match self.live.back_mut() {
            Some((last, least_us)) if *last == received => *least_us = lag_us.min(*least_us),
            Some(_) | None => self.live.push_back((received, lag_us)),
        }
        if self.live.len() > SAMPLES_MAX {
            self.live.pop_front();
        }
    }

    /// The shortest lag and the spread, once there are enough comparisons.
    fn estimate(&self) -> Option<(i64, u64)> {
        if self.live.len() < SAMPLES_MIN {
            return None;
        }
        let lags_us = || self.live.iter().map(|(_, lag_us)| *lag_us);
        let (least, most) = (lags_us().min()?, lags_us().max()?);
        Some((least, most.abs_diff(least)))
    }

    /// The times of a value. The corrected time stands beside a stored value too, but its chart
    /// time is the one that the device wrote: nobody knows whether the clock was set since.
    fn times(
        &self,
        device: Option<&DeviceTime>,
        liveness: Liveness,
        received: Moment,
        uncertainty_ms_max: u64,
    ) -> Times {
        let device_utc_us = device.and_then(|time| time.utc_us);
        let corrected =
            device_utc_us.zip(self.estimate()).map(|(utc_us, (lag_us, spread_us))| Corrected {
                utc_us: utc_us + lag_us,
                offset_ms: -lag_us / 1000,
                uncertainty_ms: spread_us.div_ceil(1000),
            });
        let trusted = corrected.filter(|one| one.uncertainty_ms <= uncertainty_ms_max);
        let (chart_utc_us, rule) = match (liveness, trusted, device_utc_us) {
            (Liveness::Live, Some(corrected), _) => (corrected.utc_us, Rule::Corrected),
            (Liveness::Live, None, _) => (received.utc_us(), Rule::Received),
            (Liveness::Stored, _, Some(utc_us)) => (utc_us, Rule::DeviceUnproven),
            (Liveness::Stored, _, None) => (received.utc_us(), Rule::ReceivedUnproven),
        };
        Times { received, corrected, chart_utc_us, rule, liveness }
    }
}

#[cfg(test)]
mod tests;
