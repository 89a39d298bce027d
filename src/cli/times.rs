//! Times as a person types them.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// What is accepted, for help and errors.
pub(super) const FORMS: &str = "2026-11-28T08:00:00+02:00 or ...Z; 2026-11-28 08:00; 2026-11-28; \
                                08:00 (today); 30m, 2h or 3d (ago); now";

/// Which way a time goes that the clock shows twice, or a day without an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The earlier one; a day from its beginning.
    Since,
    /// The later one; a day until its end.
    Until,
}

/// Microseconds since 1970 UTC. What has no offset is a time of `zone`.
///
/// # Errors
/// What would be accepted.
pub(super) fn read(text: &str, end: End, zone: &TimeZone, now: Timestamp) -> Result<i64, String> {
    let text = text.trim();
    let wrong = || format!("{text:?} is no time: expected {FORMS}");
    if text == "now" {
        return Ok(now.as_microsecond());
    }
    if let Some(ago) = ago(text) {
        return Ok(now.checked_sub(ago).map_err(|_| wrong())?.as_microsecond());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_microsecond());
    }
    let is_day = text.len() == 10;
    let is_time = text.chars().all(|c| c.is_ascii_digit() || c == ':') && text.contains(':');
    let local: DateTime = if let (true, Ok(time)) = (is_time, text.parse::<Time>()) {
        zone.to_datetime(now).date().to_datetime(time)
    } else if let (true, Ok(date)) = (is_day, text.parse::<jiff::civil::Date>()) {
        match end {
            End::Since => date.to_datetime(Time::midnight()),
            End::Until => date.to_datetime(Time::MAX),
        }
    } else {
        // An offset or a name of a zone was read above or is not understood: never left out.
        let plain = text.chars().all(|c| c.is_ascii_digit() || " T:-.".contains(c));
        text.parse().ok().filter(|_| plain).ok_or_else(wrong)?
    };
    let at = zone.to_ambiguous_timestamp(local);
    let at = match end {
        End::Since => at.earlier(),
        End::Until => at.later(),
    };
    at.map(Timestamp::as_microsecond).map_err(|_| wrong())
}

/// `30m`, `2h`, `3d`.
fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        _ => return None,
    };
    let number: i64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number >= 0)?;
    Some(SignedDuration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-28T07:30:00Z, half past nine in Helsinki.
    const NOW: &str = "2026-11-28T07:30:00Z";

    fn at(text: &str, end: End) -> Result<String, String> {
        let zone = TimeZone::get("Europe/Helsinki").unwrap();
        let read = read(text, end, &zone, NOW.parse().unwrap())?;
        Ok(Timestamp::from_microsecond(read).unwrap().to_string())
    }

    #[test]
    fn every_form_is_read() {
        for (text, expected) in [
            ("2026-11-28T08:00:00+02:00", "2026-11-28T06:00:00Z"),
            ("2026-11-28T08:00:00Z", "2026-11-28T08:00:00Z"),
            ("2026-11-28 08:00", "2026-11-28T06:00:00Z"),
            ("2026-11-28T08:00:30", "2026-11-28T06:00:30Z"),
            ("2026-07-01 08:00", "2026-07-01T05:00:00Z"),
            ("2026-11-28", "2026-11-27T22:00:00Z"),
            ("08:00", "2026-11-28T06:00:00Z"),
            ("30m", "2026-11-28T07:00:00Z"),
            ("2h", "2026-11-28T05:30:00Z"),
            ("3d", "2026-11-25T07:30:00Z"),
            (" now ", "2026-11-28T07:30:00Z"),
        ] {
            assert_eq!(at(text, End::Since).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(at("2026-11-28", End::Until).unwrap(), "2026-11-28T21:59:59.999999Z");
    }

    #[test]
    fn the_hour_that_comes_twice_is_wholly_inside() {
        assert_eq!(at("2026-10-25 03:30", End::Since).unwrap(), "2026-10-25T00:30:00Z");
        assert_eq!(at("2026-10-25 03:30", End::Until).unwrap(), "2026-10-25T01:30:00Z");
    }

    #[test]
    fn nonsense_is_told_what_would_be_accepted() {
        for text in [
            "yesterdayish",
            "",
            "8",
            "25:00",
            "2026-13-01",
            "2026-11-31",
            "-3h",
            "3w",
            "h",
            "m",
            "99999999999999999d",
            "2026-11-28T08:00[Nowhere/At_All]",
            "28.11.2026",
            "2026-11-28 08:00 EET",
        ] {
            let problem = at(text, End::Since).expect_err(text);
            assert!(problem.contains("is no time") && problem.contains("2h"), "{problem}");
        }
    }
}
