//! The time as the device wrote it, and what can be made of it. Never guessed: a time without a
//! zone needs the zone of the profile's site, and inside the autumn fold it stays unresolved.

use jiff::civil;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use serde::Serialize;

/// By what evidence [`DeviceTime::utc_us`] was worked out, or why it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceTimeEvidence {
    /// The text carries its own offset from UTC.
    OffsetSent,
    /// The text is local time, read in the zone that is configured for the device.
    ZoneConfigured,
    /// Local time, and no zone is configured.
    ZoneUnknown,
    /// Local time inside the repeated hour of autumn: two answers, none chosen.
    InFold,
    /// Local time inside the missing hour of spring: no such time.
    InMissingHour,
    /// Only a date (or less): no instant can be meant.
    DateOnly,
    /// Not a time at all, or an impossible one (month 13, 30 February).
    Unreadable,
}

/// A device's own time for a value.
///
/// ```
/// use jiff::tz::TimeZone;
/// use wardgate::vocabulary::{DeviceTime, DeviceTimeEvidence};
/// let helsinki = TimeZone::get("Europe/Helsinki").unwrap();
/// let time = DeviceTime::read("20260806035556+0000", Some(&helsinki));
/// assert_eq!(time.evidence, DeviceTimeEvidence::OffsetSent);
/// let fold = DeviceTime::read("20261025033000", Some(&helsinki));
/// assert_eq!((fold.utc_us, fold.evidence), (None, DeviceTimeEvidence::InFold));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct DeviceTime {
    /// The text on the wire.
    pub as_written: String,
    /// Microseconds since 1970 in UTC, where the evidence allows one answer.
    pub utc_us: Option<i64>,
    /// How that answer came about, or why there is none.
    pub evidence: DeviceTimeEvidence,
}

impl DeviceTime {
    /// Reads `YYYYMMDDHHMM[SS[.ffffff]][+/-ZZZZ]` as HL7 v2 and LIS02 write it, and the form
    /// without a dot before the fraction that some devices send (17 digits). `zone` is the device's
    /// own.
    pub fn read(text: &str, zone: Option<&TimeZone>) -> Self {
        let (utc_us, evidence) = match split(text.trim()) {
            None => (None, DeviceTimeEvidence::Unreadable),
            Some(Parts::Date) => (None, DeviceTimeEvidence::DateOnly),
            Some(Parts::Instant { local, offset: Some(offset) }) => at_offset(local, offset),
            Some(Parts::Instant { local, offset: None }) => in_zone(local, zone),
        };
        Self { as_written: text.to_owned(), utc_us, evidence }
    }

    /// A time that the driver has worked out itself from a binary field.
    pub fn from_parts(
        as_written: String,
        utc_us: Option<i64>,
        evidence: DeviceTimeEvidence,
    ) -> Self {
        Self { as_written, utc_us, evidence }
    }

    /// Whether the text says the second. Two measurements easily fall into one minute, and two
    /// equal values in it are then two.
    pub fn has_seconds(&self) -> bool {
        let text = self.as_written.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        // YYYYMMDDHHMMSS, or with milliseconds behind it (see `read`).
        split(text).is_some() && digits >= 14
    }

    /// Whether it is one instant, and said to the second. Only then two equal values at equal times
    /// are the same measurement: in the hour that autumn repeats, the same text comes twice, and
    /// without a known zone nobody can tell which hour that is.
    pub fn is_one_second(&self) -> bool {
        self.utc_us.is_some() && self.has_seconds()
    }
}

enum Parts {
    Date,
    Instant { local: civil::DateTime, offset: Option<Offset> },
}

fn split(text: &str) -> Option<Parts> {
    let (main, offset) = match text.rfind(['+', '-']) {
        Some(at) => (text.get(..at)?, Some(offset(text.get(at..)?)?)),
        None => (text, None),
    };
    let (digits, fraction) = match main.split_once('.') {
        Some((digits, fraction)) => (digits, fraction),
        // Mindray writes milliseconds without the dot: 20190929092150000 (facts/semantics.md 1.7).
        None if main.len() == 17 => main.split_at_checked(14)?,
        None => (main, ""),
    };
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(digits) || !all_digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let number = |from: usize, to: usize| digits.get(from..to)?.parse::<i16>().ok();
    let date = |month: i16, day: i16| civil::Date::new(number(0, 4)?, month as i8, day as i8).ok();
    match digits.len() {
        4 => date(1, 1).map(|_| Parts::Date),
        6 => date(number(4, 6)?, 1).map(|_| Parts::Date),
        8 => date(number(4, 6)?, number(6, 8)?).map(|_| Parts::Date),
        10 | 12 | 14 => {
            let day = date(number(4, 6)?, number(6, 8)?)?;
            let minute = number(10, 12).unwrap_or(0) as i8;
            let second = number(12, 14).unwrap_or(0) as i8;
            let figures = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
            let nanosecond = figures.fold(0, |sum, one| 10 * sum + i32::from(one - b'0'));
            let time = civil::Time::new(number(8, 10)? as i8, minute, second, nanosecond).ok()?;
            Some(Parts::Instant { local: day.to_datetime(time), offset })
        }
        _ => None,
    }
}

fn offset(text: &str) -> Option<Offset> {
    let digits = text.get(1..)?;
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i32 = digits.get(..2)?.parse().ok()?;
    let minutes: i32 = digits.get(2..)?.parse().ok()?;
    // The widest offsets in use are -12:00 and +14:00.
    if hours > 14 || minutes > 59 {
        return None;
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

fn at_offset(local: civil::DateTime, offset: Offset) -> (Option<i64>, DeviceTimeEvidence) {
    match offset.to_timestamp(local) {
        Ok(timestamp) => (Some(timestamp.as_microsecond()), DeviceTimeEvidence::OffsetSent),
        Err(_) => (None, DeviceTimeEvidence::Unreadable),
    }
}

fn in_zone(local: civil::DateTime, zone: Option<&TimeZone>) -> (Option<i64>, DeviceTimeEvidence) {
    let Some(zone) = zone else { return (None, DeviceTimeEvidence::ZoneUnknown) };
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => match offset.to_timestamp(local) {
            Ok(timestamp) => (Some(timestamp.as_microsecond()), DeviceTimeEvidence::ZoneConfigured),
            Err(_) => (None, DeviceTimeEvidence::Unreadable),
        },
        AmbiguousOffset::Fold { .. } => (None, DeviceTimeEvidence::InFold),
        AmbiguousOffset::Gap { .. } => (None, DeviceTimeEvidence::InMissingHour),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn helsinki() -> TimeZone {
        TimeZone::get("Europe/Helsinki").unwrap()
    }

    #[test]
    fn offsets_and_fractions() {
        let plain = DeviceTime::read("20210425230331.496-0400", None);
        assert_eq!(plain.utc_us, Some(1_619_406_211_496_000));
        let undotted = DeviceTime::read("20190929092150000", Some(&helsinki()));
        assert_eq!(undotted.utc_us, Some(1_569_738_110_000_000));
    }

    #[test]
    fn a_second_is_one_only_where_it_is_written_and_comes_once() {
        let cases = [
            ("20260806035556", Some(helsinki()), true),
            ("20260806035556.5+0300", None, true),
            ("20190929092150000", Some(helsinki()), true),
            ("202608060355", Some(helsinki()), false),
            ("2026080603+0300", None, false),
            ("20261025033000", Some(helsinki()), false),
            ("20260329033000", Some(helsinki()), false),
            ("20260806035556", None, false),
            ("99999999999999", Some(helsinki()), false),
        ];
        for (text, zone, one) in cases {
            assert_eq!(DeviceTime::read(text, zone.as_ref()).is_one_second(), one, "{text}");
        }
    }

    #[test]
    fn nothing_is_guessed() {
        let cases = [
            ("20130122134100", None, DeviceTimeEvidence::ZoneUnknown),
            ("20260329033000", Some(helsinki()), DeviceTimeEvidence::InMissingHour),
            ("20261025033000", Some(helsinki()), DeviceTimeEvidence::InFold),
            ("20261325033000", Some(helsinki()), DeviceTimeEvidence::Unreadable),
            ("20260230033000", Some(helsinki()), DeviceTimeEvidence::Unreadable),
            ("20260806035556+9900", Some(helsinki()), DeviceTimeEvidence::Unreadable),
            ("20260806", Some(helsinki()), DeviceTimeEvidence::DateOnly),
            ("yesterday", Some(helsinki()), DeviceTimeEvidence::Unreadable),
            ("", Some(helsinki()), DeviceTimeEvidence::Unreadable),
        ];
        for (text, zone, evidence) in cases {
            let read = DeviceTime::read(text, zone.as_ref());
            assert_eq!((read.utc_us, read.evidence), (None, evidence), "{text}");
        }
    }
}
