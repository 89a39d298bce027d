//! How long a busy receiver wants to be left alone (RFC 9110, 10.2.3): seconds, or a date.
//!
//! A date is compared with the receiver's own `Date` where it sends one, so that a box whose clock
//! is off waits no longer than asked.

use std::time::Duration;

use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::RETRY_AFTER_MAX;

/// The wait, at most [`RETRY_AFTER_MAX`]; `None`: none is asked for, or it makes no sense.
pub fn of(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let there = text(DATE).and_then(date).unwrap_or(now);
    parse(text(RETRY_AFTER)?, there)
}

/// The wait in the value of `Retry-After`, by the receiver's clock `now`.
///
/// ```
/// use std::time::Duration;
/// use wardgate::forward::http::retry_after::parse;
/// let now = "1994-11-06T08:49:07Z".parse().unwrap();
/// let half_a_minute = Some(Duration::from_secs(30));
/// assert_eq!(parse("30", now), half_a_minute);
/// assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT", now), half_a_minute);
/// assert_eq!(parse("soon", now), None);
/// ```
pub fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long wait, too.
        let seconds = text.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    }
    let wait = date(text)?.duration_since(now).max(SignedDuration::ZERO);
    Some(wait.unsigned_abs().min(RETRY_AFTER_MAX))
}

/// The three forms of a date that a recipient must understand (RFC 9110, 5.6.7).
const FORMS: [&str; 3] =
    ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

fn date(text: &str) -> Option<Timestamp> {
    let read = |form: &&str| strtime::parse(form, text).ok()?.to_datetime().ok();
    FORMS.iter().find_map(read)?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn all_forms_of_the_standard_are_read() {
        // The examples of RFC 9110, 5.6.7: all three say the same moment.
        let now = at("1994-11-06T08:48:37Z");
        for text in [
            "60",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text, now), Some(Duration::from_secs(60)), "{text}");
        }
        assert_eq!(parse("0", now), Some(Duration::ZERO));
        for text in ["", "-1", "1.5", "soon", "06 Nov", "١"] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }

    #[test]
    fn the_past_is_no_wait_and_the_far_future_a_limited_one() {
        let now = at("1994-11-06T08:50:00Z");
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::ZERO));
        assert_eq!(parse("Fri, 06 Nov 2026 08:49:37 GMT", now), Some(RETRY_AFTER_MAX));
        assert_eq!(parse("99999999999999999999999", now), Some(RETRY_AFTER_MAX));
    }

    #[test]
    fn the_receivers_own_clock_counts() {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        let our_clock = at("2026-11-23T00:00:00Z");
        assert_eq!(of(&headers, our_clock), Some(Duration::ZERO));
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:30 GMT".parse().unwrap());
        assert_eq!(of(&headers, our_clock), Some(Duration::from_secs(7)));
    }
}
