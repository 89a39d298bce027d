//! The simulated devices' clocks: the computer's own, written the way devices write times.

use std::time::{SystemTime, UNIX_EPOCH};

/// The offset that the simulated HL7 senders state: Finnish winter time.
const OFFSET_MINUTES: i64 = 120;

const SECOND_US: i64 = 1_000_000;
const DAY_S: i64 = 86_400;

/// Microseconds since 1970 UTC.
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// `20261123104500`, UTC without saying so, as ASTM analysers write it.
pub fn astm(us: i64) -> String {
    let (year, month, day, time) = civil(us);
    format!("{year:04}{month:02}{day:02}{}", time.replace(':', ""))
}

/// `20261123124500.123+0200`, with milliseconds and the zone's offset (HL7 DTM).
pub fn hl7(us: i64) -> String {
    let local = us + OFFSET_MINUTES * 60 * SECOND_US;
    let milliseconds = us.rem_euclid(SECOND_US) / 1000;
    let (hours, minutes) = (OFFSET_MINUTES / 60, OFFSET_MINUTES % 60);
    format!("{}.{milliseconds:03}+{hours:02}{minutes:02}", astm(local))
}

/// `10:45:00`, the time of day of a device without a date.
pub fn time_of_day(us: i64) -> String {
    civil(us).3
}

/// `11:11:1911-NOV-93`, Finnish winter time without saying so, months in German, as MEDIBUS devices
/// write it.
pub fn medibus(us: i64) -> String {
    const MONTHS: [&str; 12] =
        ["JAN", "FEB", "MAR", "APR", "MAI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEZ"];
    let (year, month, day, time) = civil(us + OFFSET_MINUTES * 60 * SECOND_US);
    let name = usize::try_from(month - 1).ok().and_then(|at| MONTHS.get(at)).unwrap_or(&"JAN");
    format!("{time}{day:02}-{name}-{:02}", year.rem_euclid(100))
}

/// `11/23/26` and `10:45:00`, UTC without saying so, as Masimo oximeters write them.
pub fn date_and_time(us: i64) -> (String, String) {
    let (year, month, day, time) = civil(us);
    (format!("{month:02}/{day:02}/{:02}", year % 100), time)
}

/// Microseconds since 1970 of `2026-11-23T10:45:00.123456Z`; `None` for anything else.
pub fn read_utc(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let numbers = |text: &str, mark| -> Option<[i64; 3]> {
        let numbers: Option<Vec<i64>> = text.split(mark).map(|part| part.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    let ([year, month, day], [hours, minutes, seconds]) =
        (numbers(date, '-')?, numbers(time, ':')?);
    let fraction_us: i64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    let shifted_year = if month <= 2 { year - 1 } else { year };
    let march_month = (month + 9) % 12;
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = shifted_year.div_euclid(400) * 146_097 + day_of_era - 719_468;
    Some((days * DAY_S + hours * 3600 + minutes * 60 + seconds) * SECOND_US + fraction_us)
}

/// Year, month, day and `hh:mm:ss` of the proleptic Gregorian calendar, by counting days from
/// 1 March of year 0 in eras of 400 years.
fn civil(us: i64) -> (i64, i64, i64, String) {
    let seconds = us.div_euclid(SECOND_US);
    let (days, of_day) = (seconds.div_euclid(DAY_S), seconds.rem_euclid(DAY_S));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let time = format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60);
    (year, month, day, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `date -u -d @1763896500` says Sun Nov 23 11:15:00 UTC 2025.
    const MOMENT_US: i64 = 1_763_896_500_123_456;

    #[test]
    fn times_are_written_as_devices_write_them() {
        assert_eq!(astm(MOMENT_US), "20251123111500");
        assert_eq!(hl7(MOMENT_US), "20251123131500.123+0200");
        assert_eq!(time_of_day(MOMENT_US), "11:15:00");
        assert_eq!(medibus(MOMENT_US), "13:15:0023-NOV-25");
        let masimo = ("11/23/25".to_owned(), "11:15:00".to_owned());
        assert_eq!(date_and_time(MOMENT_US), masimo);
    }

    #[test]
    fn times_of_others_are_read_back() {
        assert_eq!(read_utc("2025-11-23T11:15:00.123456Z"), Some(MOMENT_US));
        assert_eq!(read_utc("2000-02-29T00:00:00Z"), Some(951_782_400 * SECOND_US));
        assert_eq!(read_utc("2000-12-31T23:59:59.5Z"), Some(978_307_199 * SECOND_US + 500_000));
        assert_eq!(read_utc("1970-01-01T00:00:00Z"), Some(0));
        for odd in ["2025-11-23 11:15:00Z", "2025-11-23T11:15:00+02:00", "2025-11T11:15:00Z", ""] {
            assert_eq!(read_utc(odd), None, "{odd}");
        }
    }

    #[test]
    fn leap_days_and_the_turn_of_years_are_right() {
        // `date -u -d @...`: 951782400 is 2000-02-29, 978307199 is 2000-12-31 23:59:59.
        assert_eq!(astm(951_782_400 * SECOND_US), "20000229000000");
        assert_eq!(astm(978_307_199 * SECOND_US), "20001231235959");
        assert_eq!(astm(0), "19700101000000");
    }
}
