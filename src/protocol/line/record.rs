//! Lines inside a record: a start mark, bytes that are no text, lines, an end mark.
//!
//! ```text
//! | start | bytes that are no text | line line ... | end |
//! ```
//!
//! The whole record is one message. A line in it that cannot be read is refused alone.

use super::decode;
use super::profile::{LineProfile, Record};
use crate::protocol::interpreted::{Decoded, Look};
use crate::vocabulary::{Mode, Refused, Why};

/// Looks at the head of `buffer`.
pub(super) fn look(profile: &LineProfile, record: &Record, buffer: &[u8]) -> Look {
    let start = &record.start.0;
    let common = start.len().min(buffer.len());
    if buffer.get(..common) != start.get(..common) {
        let detail = "expected the start mark of a record".to_owned();
        return Look::NotOne { why: Why::Resync, detail };
    }
    let max = record.max_bytes as usize;
    let from = text_at(record);
    let end = record.end.0.first();
    let line_end = profile.line_end.as_bytes();
    for (at, byte) in buffer.iter().enumerate().skip(from) {
        if Some(byte) == end {
            return Look::Unit { bytes: at + 1 };
        }
        if !decode::is_plain(*byte) && !line_end.contains(byte) {
            let detail = format!("byte {at} of the record is no text: something is lost");
            return Look::NotOne { why: Why::TooShort, detail };
        }
    }
    if buffer.len() >= max {
        let detail = format!("expected a record of at most {max} bytes");
        return Look::NotOne { why: Why::TooLong, detail };
    }
    Look::NeedMore
}

fn text_at(record: &Record) -> usize {
    record.start.0.len() + usize::from(record.skip_bytes)
}

/// Decodes a whole record.
pub(super) fn record(profile: &LineProfile, record: &Record, raw: &[u8]) -> Decoded {
    let from = text_at(record);
    let text = raw.get(from..raw.len().saturating_sub(1)).unwrap_or_default();
    let line_end = profile.line_end.as_bytes();
    let mut decoded = Decoded { name: Some("record".to_owned()), ..Decoded::default() };
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let end = rest.windows(line_end.len().max(1)).position(|window| window == line_end);
        let Some(length) = end else {
            let place = from + at..from + text.len();
            let detail = "the record ends in the middle of a line";
            decoded.refusals.push(Refused::new(Why::Incomplete, place, detail));
            break;
        };
        if length > 0 {
            let line = decode::body(profile, rest.get(..length).unwrap_or_default());
            add(&mut decoded, line, from + at);
        }
        at += length + line_end.len();
    }
    decoded
}

/// What a line gave, with its places counted in the record.
fn add(decoded: &mut Decoded, line: Decoded, from: usize) {
    decoded.readings.extend(line.readings.into_iter().map(|mut reading| {
        reading.at = reading.at.start + from..reading.at.end + from;
        reading
    }));
    decoded.refusals.extend(line.refusals.into_iter().map(|mut refused| {
        refused.at = refused.at.start + from..refused.at.end + from;
        refused
    }));
    if decoded.mode == Mode::Production {
        decoded.mode = line.mode;
    }
    decoded.firmware = decoded.firmware.take().or(line.firmware);
    decoded.serial_number = decoded.serial_number.take().or(line.serial_number);
}
