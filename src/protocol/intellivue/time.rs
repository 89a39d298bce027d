//! The monitor's clock (facts/monitors.md 1.7): an absolute time in BCD, or ticks of 1/8 ms since
//! the monitor started, which an anchor of both turns into local time.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, civil};

use crate::vocabulary::DeviceTime;

/// One tick of relative time.
const TICK_US: i64 = 125;

/// Ticks and local time at the same moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    ticks: u32,
    local: DateTime,
}

impl Anchor {
    /// `None` where the absolute time is not set or impossible.
    pub fn new(ticks: u32, absolute: &[u8; 8]) -> Option<Self> {
        Some(Self { ticks, local: local(absolute)? })
    }
}

/// The device's time of a poll result: its own absolute time, else worked out from its ticks.
pub(super) fn of_poll(
    absolute: &[u8; 8],
    ticks: u32,
    anchor: Option<Anchor>,
    zone: Option<&TimeZone>,
) -> Option<DeviceTime> {
    of_absolute(absolute, zone).or_else(|| of_ticks(ticks, anchor?, zone))
}

/// An absolute time; `None` where it is not set (all FF). One that is no time is kept as written.
pub(super) fn of_absolute(absolute: &[u8; 8], zone: Option<&TimeZone>) -> Option<DeviceTime> {
    if absolute.iter().all(|byte| *byte == 0xff) || absolute.iter().all(|byte| *byte == 0) {
        return None;
    }
    // BCD in hexadecimal is the decimal text: century, year, month ... second.
    let text: String = absolute.iter().map(|byte| format!("{byte:02X}")).collect();
    let (time, fraction) = text.split_at(14);
    let text = if fraction == "FF" { time.to_owned() } else { format!("{time}.{fraction}") };
    Some(DeviceTime::read(&text, zone))
}

/// Ticks wrap after about 149 hours: the nearest time to the anchor is meant. What has passed since
/// the anchor is added to its instant, not to the clock on the wall: between the two the clocks may
/// have been changed.
pub(super) fn of_ticks(ticks: u32, anchor: Anchor, zone: Option<&TimeZone>) -> Option<DeviceTime> {
    let since = i64::from(ticks.wrapping_sub(anchor.ticks).cast_signed());
    let since = SignedDuration::from_micros(since * TICK_US);
    let written = |local: DateTime| {
        let milliseconds = local.subsec_nanosecond() / 1_000_000;
        format!("{}.{milliseconds:03}", local.strftime("%Y%m%d%H%M%S"))
    };
    let text = written(anchor.local.checked_add(since).ok()?);
    let at_anchor = DeviceTime::read(&written(anchor.local), zone);
    let since_us = i64::try_from(since.as_micros()).ok()?;
    let utc_us = at_anchor.utc_us.map(|utc_us| utc_us + since_us);
    Some(DeviceTime::from_parts(text, utc_us, at_anchor.evidence))
}

fn local(absolute: &[u8; 8]) -> Option<DateTime> {
    let [century, year, month, day, hour, minute, second, fraction] = absolute.map(|byte| {
        let (high, low) = (byte >> 4, byte & 0x0f);
        (high < 10 && low < 10).then(|| (high * 10 + low).cast_signed())
    });
    let date = Date::new(i16::from(century?) * 100 + i16::from(year?), month?, day?).ok()?;
    let nanosecond = i32::from(fraction.unwrap_or(0)) * 10_000_000;
    Some(date.to_datetime(civil::Time::new(hour?, minute?, second?, nanosecond).ok()?))
}

/// By how many ticks something is older than something else, however often they wrapped; 0 if it
/// is not.
pub(super) const fn older_by(ticks: u32, than: u32) -> u32 {
    let newer_by = ticks.wrapping_sub(than).cast_signed();
    if newer_by < 0 { newer_by.unsigned_abs() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::DeviceTimeEvidence;

    const ABSOLUTE: [u8; 8] = [0x20, 0x26, 0x11, 0x23, 0x12, 0x45, 0x07, 0x50];

    #[test]
    fn absolute_time_is_its_digits() {
        let zone = TimeZone::get("Europe/Helsinki").unwrap();
        let time = of_absolute(&ABSOLUTE, Some(&zone)).unwrap();
        assert_eq!(time.as_written, "20261123124507.50");
        // `date -u -d '2026-11-23 10:45:07.5'` in microseconds.
        assert_eq!(time.utc_us, Some(1_795_430_707_500_000));
        assert_eq!(of_absolute(&[0xff; 8], None), None);
        let odd = of_absolute(&[0x20, 0x26, 0x13, 0x23, 0x12, 0x45, 0x07, 0x00], None).unwrap();
        assert_eq!(odd.evidence, DeviceTimeEvidence::Unreadable);
        let no_fraction = [0x20, 0x26, 0x11, 0x23, 0x12, 0x45, 0x07, 0xff];
        assert_eq!(of_absolute(&no_fraction, None).unwrap().as_written, "20261123124507");
    }

    #[test]
    fn ticks_count_from_the_anchor_over_the_wrap() {
        let anchor = Anchor::new(u32::MAX - 3999, &ABSOLUTE).unwrap();
        let written = |ticks| of_ticks(ticks, anchor, None).unwrap().as_written;
        assert_eq!(written(4000), "20261123124508.500");
        assert_eq!(written(u32::MAX - 11_999), "20261123124506.500");
        assert_eq!(Anchor::new(0, &[0xff; 8]), None);
        // Associated at 01:30 before the clocks go back at 04:00: four hours later it is 04:30 in
        // winter time, 02:30 UTC (`date -u -d '2026-10-25 02:30'`).
        let zone = TimeZone::get("Europe/Helsinki").unwrap();
        let evening = [0x20, 0x26, 0x10, 0x25, 0x01, 0x30, 0x00, 0x00];
        let anchor = Anchor::new(0, &evening).unwrap();
        let later = of_ticks(4 * 3600 * 8000, anchor, Some(&zone)).unwrap();
        assert_eq!(later.utc_us, Some(1_792_895_400_000_000));
        assert_eq!((older_by(5, 5), older_by(u32::MAX, 3), older_by(3, u32::MAX)), (0, 4, 0));
    }
}
