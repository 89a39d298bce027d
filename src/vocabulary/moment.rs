//! When something happened, as this box knows it.
//!
//! A [`Moment`] can be written in a capture and built in a test: nothing below floor 3 asks a
//! clock.

use serde::{Deserialize, Serialize};

/// How sure the UTC part of a [`Moment`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// The kernel says that the box's clock is synchronised.
    Synchronised,
    /// Nobody vouches for the box's clock.
    Unproven,
}

/// A point in time: monotonic since boot for measuring, UTC for telling.
///
/// ```
/// use wardgate::vocabulary::{Certainty, Moment};
/// let now = Moment::new(5_000_000, 1_700_000_000_000_000, Certainty::Synchronised);
/// assert_eq!(now.plus_ms(15_000).since_ms(now), 15_000);
/// assert_eq!(now.utc_text(), "2023-11-14T22:13:20.000000Z");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moment {
    monotonic_us: u64,
    utc_us: i64,
    certainty: Certainty,
}

impl Moment {
    /// `monotonic_us`: microseconds since boot. `utc_us`: microseconds since 1970-01-01T00:00:00Z.
    pub const fn new(monotonic_us: u64, utc_us: i64, certainty: Certainty) -> Self {
        Self { monotonic_us, utc_us, certainty }
    }

    /// Microseconds since boot; only differences mean anything.
    pub const fn monotonic_us(self) -> u64 {
        self.monotonic_us
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn utc_us(self) -> i64 {
        self.utc_us
    }

    /// Whether the UTC part can be leaned on.
    pub const fn certainty(self) -> Certainty {
        self.certainty
    }

    /// The moment that many milliseconds later, on both scales.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self {
            monotonic_us: self.monotonic_us.saturating_add(ms.saturating_mul(1000)),
            utc_us: self.utc_us.saturating_add((ms as i64).saturating_mul(1000)),
            certainty: self.certainty,
        }
    }

    /// Milliseconds from `earlier` to here by the monotonic clock; 0 if `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.monotonic_us.saturating_sub(earlier.monotonic_us) / 1000
    }

    /// UTC in RFC 3339 with six decimals.
    pub fn utc_text(self) -> String {
        utc_text(self.utc_us)
    }
}

/// Microseconds since 1970 in RFC 3339 with six decimals, always in UTC.
pub fn utc_text(utc_us: i64) -> String {
    if let Some(civil) = Civil::of(utc_us) {
        return civil.rfc_3339();
    }
    match jiff::Timestamp::from_microsecond(utc_us) {
        Ok(timestamp) => format!("{timestamp:.6}"),
        // Years outside jiff's range cannot come from a clock; say so rather than invent a time.
        Err(_) => format!("out-of-range({utc_us} us)"),
    }
}

/// `YYYYMMDDHHMMSS` in UTC of microseconds since 1970, as HL7 v2 writes it; `None` outside the
/// years 1 to 9999.
pub fn utc_digits(utc_us: i64) -> Option<String> {
    let Civil { date, time, .. } = Civil::of(utc_us)?;
    let mut text = [b'0'; 14];
    let figures = [(0, 4, date[0]), (4, 2, date[1]), (6, 2, date[2])];
    write_figures(&mut text, &figures);
    write_figures(&mut text, &[(8, 2, time[0]), (10, 2, time[1]), (12, 2, time[2])]);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// An instant as the calendar has it. Several stand in every record, so they are worked out here.
struct Civil {
    /// Year, month, day.
    date: [u32; 3],
    /// Hour, minute, second.
    time: [u32; 3],
    microsecond: u32,
}

impl Civil {
    /// `None` outside the years 1 to 9999, as the calendar library counts them.
    fn of(utc_us: i64) -> Option<Self> {
        const FIRST_US: i64 = -62_135_596_800_000_000;
        const LAST_US: i64 = 253_402_207_200_000_000;
        if !(FIRST_US..=LAST_US).contains(&utc_us) {
            return None;
        }
        let (seconds, microsecond) = (utc_us.div_euclid(1_000_000), utc_us.rem_euclid(1_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
        let shifted = days + 719_468;
        let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        // All of them are small and not negative within the bounds above.
        let small = |number: i64| u32::try_from(number).unwrap_or(0);
        Some(Self {
            date: [year, month, day].map(small),
            time: [second / 3600, second / 60 % 60, second % 60].map(small),
            microsecond: small(microsecond),
        })
    }

    fn rfc_3339(&self) -> String {
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let Self { date, time, microsecond } = self;
        let figures = [(0, 4, date[0]), (5, 2, date[1]), (8, 2, date[2])];
        write_figures(&mut text, &figures);
        write_figures(&mut text, &[(11, 2, time[0]), (14, 2, time[1]), (17, 2, time[2])]);
        write_figures(&mut text, &[(20, 6, *microsecond)]);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Writes numbers into a text of zeros: where, with how many figures, which.
fn write_figures(text: &mut [u8], figures: &[(usize, usize, u32)]) {
    for (from, count, number) in figures {
        let mut rest = *number;
        for place in text.iter_mut().skip(*from).take(*count).rev() {
            // A remainder of 10 fits in a byte.
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_as_the_calendar_library_writes_them() {
        let mut chance = super::super::chance::Chance(11);
        let edges = [-62_135_596_800_000_000, -1, 0, 951_782_399_999_999, 253_402_207_200_000_000];
        let any = (0..50_000).map(|_| (chance.next() % 315_537_804_000_000_000) as i64);
        let any: Vec<i64> = any.map(|us| us - 62_135_596_800_000_000).chain(edges).collect();
        for utc_us in any {
            let time = jiff::Timestamp::from_microsecond(utc_us).unwrap();
            assert_eq!(utc_text(utc_us), format!("{time:.6}"));
            let digits = time.strftime("%Y%m%d%H%M%S").to_string();
            assert_eq!(utc_digits(utc_us), Some(digits));
        }
        for outside in [-62_135_596_800_000_001, 253_402_207_200_000_001, i64::MIN, i64::MAX] {
            assert_eq!(utc_digits(outside), None);
        }
    }
}
