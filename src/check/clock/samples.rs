//! When the first sample of a waveform was taken, and by what evidence.
//!
//! | device's own time of the first sample | rule | time |
//! |---|---|---|
//! | an instant of the present, and its clock's offset is known well enough | `corrected` | that instant without the offset |
//! | an instant of the present | `received-less-span` | when the array came, less the time that its samples take |
//! | an instant long past | `device-unproven` | that instant |
//! | none, or none that is an instant | `received-less-span` | as above |
//!
//! Waveforms teach the estimate of the clock nothing: how long a device gathers samples before it
//! sends them is its own affair, and the numbers of the same device tell its clock better.

use super::{Corrected, DeviceClock, STALE_AFTER_MS};
use crate::vocabulary::{DeviceTime, Moment, Period};

/// By which rule the time of a first sample was worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleRule {
    /// The device's own time, corrected by the estimate of its clock.
    Corrected,
    /// When the array came, less the time that its samples take. How long it was on its way is not
    /// known.
    ReceivedLessSpan,
    /// The device's own time, of old samples; nobody vouches for its clock.
    DeviceUnproven,
}

impl SampleRule {
    /// The rule as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Corrected => "corrected",
            Self::ReceivedLessSpan => "received-less-span",
            Self::DeviceUnproven => "device-unproven",
        }
    }
}

/// The time of a first sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstSample {
    pub utc_us: i64,
    pub rule: SampleRule,
    /// The device's time without its clock's offset, where that is known, and the estimate.
    pub corrected: Option<Corrected>,
}

impl DeviceClock {
    /// When the first of so many samples was taken that came at `received`. `uncertainty_ms_max`:
    /// beyond it a corrected time is not used.
    ///
    /// ```
    /// use wardgate::check::clock::{DeviceClock, SampleRule, UNCERTAINTY_MS_MAX};
    /// use wardgate::vocabulary::{Certainty, Moment, Period};
    /// let received = Moment::new(0, 1_800_000_000_000_000, Certainty::Synchronised);
    /// let ecg = Period::per_second(500).unwrap();
    /// let clock = DeviceClock::default();
    /// let first = clock.first_sample(None, (ecg, 128), received, UNCERTAINTY_MS_MAX);
    /// assert_eq!(first.utc_us, 1_800_000_000_000_000 - 256_000);
    /// assert_eq!(first.rule, SampleRule::ReceivedLessSpan);
    /// ```
    pub fn first_sample(
        &self,
        device: Option<&DeviceTime>,
        (period, samples): (Period, u64),
        received: Moment,
        uncertainty_ms_max: u64,
    ) -> FirstSample {
        let span_us = i64::try_from(period.span_us(samples)).unwrap_or(i64::MAX);
        let span = FirstSample {
            utc_us: received.utc_us().saturating_sub(span_us),
            rule: SampleRule::ReceivedLessSpan,
            corrected: None,
        };
        let Some(device_utc_us) = device.and_then(|time| time.utc_us) else { return span };
        let corrected = self.estimate().map(|(lag_us, spread_us)| Corrected {
            utc_us: device_utc_us.saturating_add(lag_us),
            offset_ms: -lag_us / 1000,
            uncertainty_ms: spread_us.div_ceil(1000),
        });
        let age_us = span.utc_us.saturating_sub(device_utc_us).saturating_sub(self.own_lag_us());
        if age_us > STALE_AFTER_MS * 1000 {
            let rule = SampleRule::DeviceUnproven;
            return FirstSample { utc_us: device_utc_us, rule, corrected };
        }
        match corrected.filter(|one| one.uncertainty_ms <= uncertainty_ms_max) {
            Some(one) => FirstSample { utc_us: one.utc_us, rule: SampleRule::Corrected, corrected },
            None => FirstSample { corrected, ..span },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::clock::UNCERTAINTY_MS_MAX;
    use crate::vocabulary::{Certainty, DeviceTimeEvidence};

    const SECOND_US: i64 = 1_000_000;
    const NOW_US: i64 = 1_800_000_000_000_000;

    fn at(seconds: i64) -> Moment {
        let since_boot = u64::try_from(seconds * SECOND_US).unwrap();
        Moment::new(since_boot, NOW_US + seconds * SECOND_US, Certainty::Synchronised)
    }

    fn wrote(utc_us: i64) -> DeviceTime {
        DeviceTime::from_parts(String::new(), Some(utc_us), DeviceTimeEvidence::OffsetSent)
    }

    /// A clock that is two minutes ahead, known from ten messages.
    fn ahead() -> DeviceClock {
        let mut clock = DeviceClock::default();
        for second in 0..10 {
            let received = at(second);
            clock.observe(received.utc_us() + 120 * SECOND_US, received);
        }
        clock
    }

    fn first(clock: &DeviceClock, time: Option<i64>, seconds: i64) -> (i64, SampleRule) {
        let time = time.map(wrote);
        let period = (Period::per_second(500).unwrap(), 500);
        let first = clock.first_sample(time.as_ref(), period, at(seconds), UNCERTAINTY_MS_MAX);
        (first.utc_us, first.rule)
    }

    #[test]
    fn a_known_clock_tells_the_time_of_the_first_sample() {
        let wrote = at(9).utc_us() + 120 * SECOND_US;
        assert_eq!(first(&ahead(), Some(wrote), 11), (at(9).utc_us(), SampleRule::Corrected));
    }

    #[test]
    fn without_an_estimate_the_time_is_when_it_came_less_its_span() {
        let expected = (at(10).utc_us(), SampleRule::ReceivedLessSpan);
        let wrote = at(10).utc_us() + 120 * SECOND_US;
        assert_eq!(first(&DeviceClock::default(), Some(wrote), 11), expected);
        assert_eq!(first(&ahead(), None, 11), expected);
    }

    #[test]
    fn old_samples_keep_the_time_that_the_device_wrote() {
        let wrote = at(0).utc_us() - 3600 * SECOND_US;
        for clock in [DeviceClock::default(), ahead()] {
            assert_eq!(first(&clock, Some(wrote), 11), (wrote, SampleRule::DeviceUnproven));
        }
    }

    #[test]
    fn a_time_that_is_no_instant_is_none() {
        let fold = DeviceTime::from_parts(String::new(), None, DeviceTimeEvidence::InFold);
        let period = (Period::per_second(500).unwrap(), 500);
        let first = ahead().first_sample(Some(&fold), period, at(11), UNCERTAINTY_MS_MAX);
        assert_eq!((first.utc_us, first.rule), (at(10).utc_us(), SampleRule::ReceivedLessSpan));
        assert_eq!(first.corrected, None);
    }
}
