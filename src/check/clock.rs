//! The four times of an observation: as the device wrote it, received, corrected, and by what
//! evidence; and which of them the chart time is. A receive time is never passed off as a device
//! time.

use std::collections::VecDeque;

use crate::vocabulary::{DeviceTime, Moment};

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

/// The times of one observation besides the device's own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub received: Moment,
    /// The device's time minus the estimated offset of its clock, with the estimate.
    pub corrected: Option<Corrected>,
    pub chart_utc_us: i64,
    pub rule: Rule,
}

/// A corrected time and what it leans on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrected {
    pub utc_us: i64,
    /// How far the device's clock is ahead of the box's.
    pub offset_ms: i64,
    pub uncertainty_ms: u64,
}

/// The running estimate of one device's clock.
#[derive(Clone, Debug, Default)]
pub struct DeviceClock {
    /// Receive time minus device time of the newest messages, in microseconds.
    lags_us: VecDeque<i64>,
}

impl DeviceClock {
    /// Notes the newest time in a message that has just come. The delay on the wire makes a lag
    /// longer, never shorter, so the shortest one is nearest to the clock's true offset.
    pub fn observe(&mut self, newest_device_utc_us: i64, received: Moment) {
        if self.lags_us.len() == SAMPLES_MAX {
            self.lags_us.pop_front();
        }
        self.lags_us.push_back(received.utc_us() - newest_device_utc_us);
    }

    /// The shortest lag and the spread, once there are enough comparisons.
    fn estimate(&self) -> Option<(i64, u64)> {
        if self.lags_us.len() < SAMPLES_MIN {
            return None;
        }
        let least = *self.lags_us.iter().min()?;
        let most = *self.lags_us.iter().max()?;
        Some((least, most.abs_diff(least)))
    }

    /// The times of an observation. `live`: it is from a stream that shows the present, not a
    /// stored result.
    ///
    /// ```
    /// use wardgate::check::clock::{DeviceClock, Rule, UNCERTAINTY_MS_MAX};
    /// use wardgate::vocabulary::{Certainty, DeviceTime, Moment};
    /// let now = Moment::new(0, 1_800_000_000_000_000, Certainty::Synchronised);
    /// let undated = DeviceClock::default().times(None, true, now, UNCERTAINTY_MS_MAX);
    /// assert_eq!((undated.rule, undated.chart_utc_us), (Rule::Received, now.utc_us()));
    /// ```
    pub fn times(
        &self,
        device: Option<&DeviceTime>,
        live: bool,
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
        let (chart_utc_us, rule) = match (trusted, live, device_utc_us) {
            (Some(corrected), _, _) => (corrected.utc_us, Rule::Corrected),
            (None, true, _) => (received.utc_us(), Rule::Received),
            (None, false, Some(utc_us)) => (utc_us, Rule::DeviceUnproven),
            (None, false, None) => (received.utc_us(), Rule::ReceivedUnproven),
        };
        Times { received, corrected, chart_utc_us, rule }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::{Certainty, DeviceTimeEvidence};

    const START_US: i64 = 1_800_000_000_000_000;

    fn at(seconds: i64) -> Moment {
        let us = seconds * 1_000_000;
        Moment::new(us as u64, START_US + us, Certainty::Synchronised)
    }

    fn device(utc_us: i64) -> DeviceTime {
        DeviceTime::from_parts(String::new(), Some(utc_us), DeviceTimeEvidence::OffsetSent)
    }

    #[test]
    fn a_clock_that_is_an_hour_ahead_is_corrected_once_it_is_known() {
        let mut clock = DeviceClock::default();
        let ahead = |seconds: i64| START_US + (seconds + 3600) * 1_000_000;
        for seconds in 0..SAMPLES_MIN as i64 - 1 {
            clock.observe(ahead(seconds), at(seconds));
        }
        let early = clock.times(Some(&device(ahead(9))), true, at(9), UNCERTAINTY_MS_MAX);
        assert_eq!(early.rule, Rule::Received);
        clock.observe(ahead(9), at(9));
        let times = clock.times(Some(&device(ahead(10))), true, at(10), UNCERTAINTY_MS_MAX);
        assert_eq!((times.rule, times.chart_utc_us), (Rule::Corrected, at(10).utc_us()));
        assert_eq!(times.corrected.map(|one| one.offset_ms), Some(3_600_000));
    }

    #[test]
    fn stored_results_with_a_spread_are_not_corrected() {
        let mut clock = DeviceClock::default();
        for seconds in 0..20 {
            clock.observe(START_US + seconds * 1_000_000, at(seconds * 61));
        }
        let stored = device(START_US + 5);
        let times = clock.times(Some(&stored), false, at(2000), UNCERTAINTY_MS_MAX);
        assert_eq!((times.rule, times.chart_utc_us), (Rule::DeviceUnproven, START_US + 5));
    }
}
