//! What a receiver answers: the same object on every binding (`INGESTION.md`, "Acknowledgement").
//!
//! Parsed strictly and within limits; nothing of its text goes into a log or an error.

use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::vocabulary::{Sequence, StreamId};

/// The largest answer: all ranges and rejections at their limits fit.
pub const ANSWER_BYTES_MAX: usize = 128 << 10;
/// More ranges than records in flight say nothing more.
pub const RANGES_MAX: usize = 1024;
/// As many rejections as records in flight, and room.
pub const REJECTED_MAX: usize = 1024;
/// Codes are short words; they are kept in the cursor.
pub const CODE_CHARACTERS_MAX: usize = 40;
/// An explanation for a person.
pub const TEXT_CHARACTERS_MAX: usize = 400;
/// A receiver's name.
pub const RECEIVER_CHARACTERS_MAX: usize = 100;

/// Sequences, first and last.
pub type Range = RangeInclusive<u64>;

/// Why an answer is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    #[error("larger than {ANSWER_BYTES_MAX} bytes")]
    TooLarge,
    #[error("not the object that the contract asks for")]
    NotTheObject,
    #[error("a range whose first is above its last, or a sequence of 0 or above 2^53 - 1")]
    BadRange,
    #[error("more than {RANGES_MAX} ranges or {REJECTED_MAX} rejections")]
    TooMany,
    #[error("a code, text or receiver that is empty or too long")]
    BadText,
    #[error("receiver_time is not RFC 3339")]
    BadTime,
}

/// The receiver has stored these, and rejects those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    pub stream: StreamId,
    pub accepted: Vec<Range>,
    pub rejected: Vec<Rejection>,
    /// RFC 3339, the receiver's clock.
    pub receiver_time: String,
    pub receiver_id: String,
}

/// One record that the receiver does not take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejection {
    pub sequence: Sequence,
    pub code: String,
    pub text: String,
    /// It will never take it; sending it again is of no use.
    pub permanent: bool,
}

/// What a receiver has: the only thing that moves a cursor back, and only with a higher
/// generation (a core that was restored from a backup).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    pub stream: StreamId,
    pub ranges: Vec<Range>,
    pub receiver_id: String,
    pub generation: u64,
}

/// What a receiver says of a manifest: that it holds all of it, or what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestAnswer {
    pub stream: StreamId,
    /// The sequence of the manifest's record.
    pub manifest: Sequence,
    pub holds: bool,
    /// The hash of what the receiver holds of it; the manifest's own if it holds all.
    pub sha256: String,
    /// What it lacks or has otherwise; empty: it cannot say.
    pub differs: Vec<Range>,
    pub receiver_id: String,
}

/// SHA-256 in hexadecimal.
const SHA256_CHARACTERS: usize = 64;

impl ManifestAnswer {
    /// From `{stream, manifest, holds, sha256, differs, receiver_id, receiver_time}`.
    ///
    /// ```
    /// use wardgate::forward::acknowledgement::ManifestAnswer;
    /// let text = format!(r#"{{"stream": "{}", "manifest": 90, "holds": false, "sha256": "{}",
    ///     "differs": [[7, 8]], "receiver_id": "core",
    ///     "receiver_time": "2026-11-23T08:00:00Z"}}"#, "1f".repeat(16), "5f".repeat(32));
    /// let answer = ManifestAnswer::parse(text.as_bytes()).unwrap();
    /// assert_eq!((answer.manifest.number(), answer.differs), (90, vec![7..=8]));
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            stream: StreamId,
            manifest: u64,
            holds: bool,
            sha256: String,
            differs: Vec<(u64, u64)>,
            receiver_id: String,
            receiver_time: String,
        }
        let object: Object = object(bytes)?;
        if !is_rfc3339(&object.receiver_time) {
            return Err(AnswerError::BadTime);
        }
        let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_hash =
            object.sha256.len() == SHA256_CHARACTERS && object.sha256.bytes().all(hexadecimal);
        if !is_hash || !fits(&object.receiver_id, RECEIVER_CHARACTERS_MAX) {
            return Err(AnswerError::BadText);
        }
        Ok(Self {
            stream: object.stream,
            manifest: Sequence::new(object.manifest).ok_or(AnswerError::BadRange)?,
            holds: object.holds,
            sha256: object.sha256,
            differs: ranges(&object.differs)?,
            receiver_id: object.receiver_id,
        })
    }
}

impl Acknowledgement {
    /// ```
    /// use wardgate::forward::acknowledgement::Acknowledgement;
    /// let text = r#"{"stream": "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f", "accepted": [[1, 5], [7, 7]],
    ///     "rejected": [{"sequence": 6, "code": "unknown-code", "text": "", "permanent": true}],
    ///     "receiver_time": "2026-11-23T08:00:00Z", "receiver_id": "core-1"}"#;
    /// let answer = Acknowledgement::parse(text.as_bytes()).unwrap();
    /// assert_eq!(answer.accepted, [1..=5, 7..=7]);
    /// ```
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            stream: StreamId,
            accepted: Vec<(u64, u64)>,
            rejected: Vec<serde_json::Map<String, serde_json::Value>>,
            receiver_time: String,
            receiver_id: String,
        }
        let object: Object = object(bytes)?;
        if object.rejected.len() > REJECTED_MAX {
            return Err(AnswerError::TooMany);
        }
        // A derived reader takes a list of the values for the object, too.
        let rejected = object.rejected.into_iter().map(Rejection::deserialize);
        let rejected: Result<Vec<Rejection>, _> = rejected.collect();
        let rejected = rejected.map_err(|_| AnswerError::NotTheObject)?;
        for rejection in &rejected {
            // The derived form of a sequence takes any number.
            Sequence::new(rejection.sequence.number()).ok_or(AnswerError::BadRange)?;
            let text = rejection.text.chars().count();
            if !fits(&rejection.code, CODE_CHARACTERS_MAX) || text > TEXT_CHARACTERS_MAX {
                return Err(AnswerError::BadText);
            }
        }
        if !is_rfc3339(&object.receiver_time) {
            return Err(AnswerError::BadTime);
        }
        if !fits(&object.receiver_id, RECEIVER_CHARACTERS_MAX) {
            return Err(AnswerError::BadText);
        }
        Ok(Self {
            stream: object.stream,
            accepted: ranges(&object.accepted)?,
            rejected,
            receiver_time: object.receiver_time,
            receiver_id: object.receiver_id,
        })
    }
}

impl Have {
    /// From `{stream, ranges, receiver_id, generation}`.
    pub fn parse(bytes: &[u8]) -> Result<Self, AnswerError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            stream: StreamId,
            ranges: Vec<(u64, u64)>,
            receiver_id: String,
            generation: u64,
        }
        let Object { stream, ranges: pairs, receiver_id, generation } = object(bytes)?;
        if !fits(&receiver_id, RECEIVER_CHARACTERS_MAX) {
            return Err(AnswerError::BadText);
        }
        Ok(Self { stream, ranges: ranges(&pairs)?, receiver_id, generation })
    }
}

fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, AnswerError> {
    if bytes.len() > ANSWER_BYTES_MAX {
        return Err(AnswerError::TooLarge);
    }
    // A derived reader takes a list of the values for the object, too.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(AnswerError::NotTheObject);
    }
    serde_json::from_slice(bytes).map_err(|_| AnswerError::NotTheObject)
}

/// RFC 3339, 5.6, in capital letters; the calendar's part is for the library of times.
fn is_rfc3339(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = |part: &str, shape: &str| {
        part.len() == shape.len()
            && part.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let Some((moment, rest)) = text.split_at_checked(19) else { return false };
    let zone = rest.trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let Some(fraction) = rest.strip_suffix(zone) else { return false };
    let fraction_is_good = fraction.is_empty()
        || fraction.strip_prefix('.').is_some_and(|part| !part.is_empty() && digits(part));
    let zone_is_good = zone == "Z" || shaped(zone, "+00:00") || shaped(zone, "-00:00");
    shaped(moment, "0000-00-00T00:00:00")
        && fraction_is_good
        && zone_is_good
        && text.parse::<jiff::Timestamp>().is_ok()
}

fn ranges(pairs: &[(u64, u64)]) -> Result<Vec<Range>, AnswerError> {
    if pairs.len() > RANGES_MAX {
        return Err(AnswerError::TooMany);
    }
    let range = |&(first, last): &(u64, u64)| {
        let sound =
            first <= last && Sequence::new(first).is_some() && Sequence::new(last).is_some();
        sound.then_some(first..=last).ok_or(AnswerError::BadRange)
    };
    pairs.iter().map(range).collect()
}

fn fits(text: &str, max: usize) -> bool {
    !text.is_empty() && text.chars().count() <= max && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(accepted: &str, rejected: &str, time: &str, more: &str) -> Result<(), AnswerError> {
        let text = format!(
            r#"{{"stream":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","accepted":{accepted},
            "rejected":{rejected},"receiver_time":"{time}","receiver_id":"core"{more}}}"#
        );
        Acknowledgement::parse(text.as_bytes()).map(drop)
    }

    const TIME: &str = "2026-11-23T10:00:00.5+02:00";

    #[test]
    fn odd_answers_are_refused() {
        assert_eq!(with("[[1,2]]", "[]", TIME, ""), Ok(()));
        for bad in ["[[2,1]]", "[[0,1]]", "[[1,9007199254740992]]"] {
            assert_eq!(with(bad, "[]", TIME, ""), Err(AnswerError::BadRange), "{bad}");
        }
        for bad in ["[[1]]", "[1,2]", "[[-1,2]]", "[[1,2.5]]", "null"] {
            assert_eq!(with(bad, "[]", TIME, ""), Err(AnswerError::NotTheObject), "{bad}");
        }
        for good in ["2026-11-23T08:00:00Z", "2026-11-23T08:00:00.123456-03:30"] {
            assert_eq!(with("[]", "[]", good, ""), Ok(()), "{good}");
        }
        // RFC 3339, 5.6: full date, T, full time with an offset; ISO 8601 has more forms.
        for bad in [
            "yesterday",
            "2026-11-23",
            "2026-11-23T08:00Z",
            "2026-11-23 08:00:00Z",
            "2026-11-23T08:00:00",
            "2026-11-23T08:00:00.Z",
            "2026-11-23T08:00:00,5Z",
            "2026-11-23T08:00:00+02",
            "2026-11-23T08:00:00+0200",
            "2026-13-23T08:00:00Z",
            "2026-11-23T08:00:00+02:00[Europe/Helsinki]",
        ] {
            assert_eq!(with("[]", "[]", bad, ""), Err(AnswerError::BadTime), "{bad}");
        }
        let listed = r#"[[1,"a","",true]]"#;
        assert_eq!(with("[]", listed, TIME, ""), Err(AnswerError::NotTheObject));
        assert_eq!(with("[]", "[]", TIME, r#","extra":1"#), Err(AnswerError::NotTheObject));
        let zero = r#"[{"sequence":0,"code":"a","text":"","permanent":true}]"#;
        assert_eq!(with("[]", zero, TIME, ""), Err(AnswerError::BadRange));
        let nameless = r#"[{"sequence":1,"code":"","text":"","permanent":true}]"#;
        assert_eq!(with("[]", nameless, TIME, ""), Err(AnswerError::BadText));
        let many = format!("[{}]", vec!["[1,1]"; RANGES_MAX + 1].join(","));
        assert_eq!(with(&many, "[]", TIME, ""), Err(AnswerError::TooMany));
        let large = vec![b' '; ANSWER_BYTES_MAX + 1];
        assert_eq!(Acknowledgement::parse(&large), Err(AnswerError::TooLarge));
    }

    #[test]
    fn have_is_read() {
        let text = r#"{"stream":"1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f","ranges":[[1,9]],
            "receiver_id":"core","generation":2}"#;
        let have = Have::parse(text.as_bytes()).unwrap();
        assert_eq!((have.ranges, have.generation), (vec![1..=9], 2));
        let list = r#" ["1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f", [[1,9]], "core", 2]"#;
        assert_eq!(Have::parse(list.as_bytes()), Err(AnswerError::NotTheObject));
    }
}
