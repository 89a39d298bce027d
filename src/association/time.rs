//! Times of the ledger: microseconds in UTC, spans, and how sure a chart time is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::vocabulary::moment::utc_text;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Utc(i64);

impl Utc {
    /// Before everything.
    pub const MIN: Self = Self(i64::MIN);
    /// After everything: what is known now, whatever the clock says.
    pub const MAX: Self = Self(i64::MAX);

    /// From microseconds since 1970.
    pub const fn from_us(us: i64) -> Self {
        Self(us)
    }

    /// Microseconds since 1970.
    pub const fn us(self) -> i64 {
        self.0
    }

    /// That many seconds later, or earlier if negative.
    #[must_use]
    pub const fn plus_s(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }
}

impl fmt::Debug for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("before everything"),
            Self::MAX => f.write_str("after everything"),
            Self(us) => f.write_str(&utc_text(us)),
        }
    }
}

/// From a time on, up to and without another; without an end it is open.
///
/// ```
/// use wardgate::association::{Span, Utc};
/// let span = Span { from: Utc::from_us(10), until: Some(Utc::from_us(20)) };
/// assert!(span.holds(Utc::from_us(10)) && !span.holds(Utc::from_us(20)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// The first instant that belongs to it.
    pub from: Utc,
    /// The first instant that belongs to it no more.
    pub until: Option<Utc>,
}

impl Span {
    /// Whether the instant belongs to it.
    pub fn holds(&self, at: Utc) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// A chart time with its uncertainty: the true time lies between these two, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    /// The earliest that it can have been.
    pub earliest: Utc,
    /// The latest that it can have been. Not before the earliest.
    pub latest: Utc,
}

impl Around {
    /// A time that is certain.
    pub const fn exactly(at: Utc) -> Self {
        Self { earliest: at, latest: at }
    }

    /// So many microseconds to either side.
    pub const fn give_or_take(at: Utc, uncertainty_us: u32) -> Self {
        let wide = uncertainty_us as i64;
        Self { earliest: Utc(at.0.saturating_sub(wide)), latest: Utc(at.0.saturating_add(wide)) }
    }
}
