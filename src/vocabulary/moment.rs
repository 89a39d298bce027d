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
    match jiff::Timestamp::from_microsecond(utc_us) {
        Ok(timestamp) => format!("{timestamp:.6}"),
        // Years outside jiff's range cannot come from a clock; say so rather than invent a time.
        Err(_) => format!("out-of-range({utc_us} us)"),
    }
}
