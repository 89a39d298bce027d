//! A refusal: bytes that are not what they claim to be. Counted, shown, kept raw, never guessed at.

use std::ops::Range;

use serde::Serialize;

/// What was wrong with the bytes, by what was expected. Closed, so that counters can be kept by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The checksum sent differs from the one computed.
    Checksum,
    /// Longer than the limit of the family or the profile.
    TooLong,
    /// Shorter or with fewer columns than the profile says, or cut off.
    TooShort,
    /// A character that the protocol does not allow there.
    IllegalByte,
    /// Bytes between frames that belong to nothing.
    Resync,
    /// A frame number that is neither the next nor the last one.
    FrameNumber,
    /// A message that starts like none of the profile's messages.
    UnknownMessage,
    /// A field that is neither a value nor a listed mark of absence.
    Unreadable,
    /// A unit that the profile or the vocabulary does not accept for that parameter.
    Unit,
    /// Text that is not in the character set that it claims.
    Charset,
    /// A segment or record that cannot be one (bad id, blank line in the middle).
    OddSegment,
    /// The message as a whole cannot be parsed.
    Unparseable,
    /// A message type, version or event that this driver does not take.
    UnsupportedMessage,
    /// The transmission stopped before the message was complete.
    Incomplete,
    /// A frame that never finished within its time.
    TimedOut,
}

impl Why {
    /// The reason as it stands in records, counters and messages for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::TooLong => "too-long",
            Self::TooShort => "too-short",
            Self::IllegalByte => "illegal-byte",
            Self::Resync => "resync",
            Self::FrameNumber => "frame-number",
            Self::UnknownMessage => "unknown-message",
            Self::Unreadable => "unreadable",
            Self::Unit => "unit",
            Self::Charset => "charset",
            Self::OddSegment => "odd-segment",
            Self::Unparseable => "unparseable",
            Self::UnsupportedMessage => "unsupported-message",
            Self::Incomplete => "incomplete",
            Self::TimedOut => "timed-out",
        }
    }
}

/// One refusal, with its place in the message's raw bytes.
///
/// ```
/// use wardgate::vocabulary::{Refused, Why};
/// let refused = Refused::new(Why::Checksum, 0..27, "expected 2A, got 25");
/// assert_eq!(refused.to_string(), "checksum at bytes 0..27: expected 2A, got 25");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Refused {
    /// What was wrong.
    pub why: Why,
    /// Where in the message's raw bytes.
    pub at: Range<usize>,
    /// What was expected and what came, in words. Names fields and positions and may show control
    /// characters and checksums, but never free text from the wire: it could be somebody's name.
    pub detail: String,
}

impl Refused {
    /// `at` is a range of the message's raw bytes.
    pub fn new(why: Why, at: Range<usize>, detail: impl Into<String>) -> Self {
        Self { why, at, detail: detail.into() }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (start, end) = (self.at.start, self.at.end);
        write!(f, "{} at bytes {start}..{end}: {}", self.why.as_str(), self.detail)
    }
}
