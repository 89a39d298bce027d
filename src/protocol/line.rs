//! Family `line`: ASCII lines with separated columns, interpreted from the device file.
//!
//! ```text
//! bytes ... line_end  ->  checksum good?  ->  which message starts so?  ->  columns  ->  readings
//! ```
//!
//! One line is one message. It sends nothing and never will: a device that must be asked needs a
//! family of its own. A line that is too long, has an illegal byte, a wrong checksum or no known
//! start is refused as a whole and kept raw; a column that is neither a number nor a listed mark of
//! absence is refused alone. A line that never ends is refused when its time is over.
//!
//! An eight-bit checksum is weak (see [`super::checksum`]): two flips in one bit column pass XOR-8.

use std::sync::Arc;

use super::interpreted::Outbox;
use super::{Completeness, Driver, Event, LinkChange, MessageId, Peer, Settled};
use crate::vocabulary::{Moment, Refused, Why};

mod decode;
mod profile;

pub use profile::{
    ColumnField, ColumnFlag, FirmwareColumn, IgnoredColumn, LineChecksum, LineMessage, LineProfile,
};

/// How many bytes of a line that is too long are kept for a person to look at.
const KEPT_OF_LONG_LINE_BYTES: usize = 4096;

/// Reads lines by a [`LineProfile`].
pub struct LineDriver {
    profile: Arc<LineProfile>,
    /// The line so far, its end mark included once complete; of an overlong one only the head.
    line: Vec<u8>,
    /// How many bytes the line has in all.
    line_bytes: usize,
    /// How much of the end mark the newest bytes match.
    end_matched: usize,
    /// When the first byte of the unfinished line came.
    begun: Option<Moment>,
    outbox: Outbox,
}

impl LineDriver {
    /// A driver for one link.
    pub fn new(profile: Arc<LineProfile>) -> Self {
        Self {
            profile,
            line: Vec::new(),
            line_bytes: 0,
            end_matched: 0,
            begun: None,
            outbox: Outbox::default(),
        }
    }

    fn take_byte(&mut self, byte: u8, now: Moment) {
        self.begun.get_or_insert(now);
        self.line_bytes += 1;
        if self.line.len() < KEPT_OF_LONG_LINE_BYTES.max(self.profile.max_line_bytes as usize) {
            self.line.push(byte);
        }
        let end = self.profile.line_end.as_bytes();
        // The loader accepts end marks of one byte or of two different ones, so that one step back
        // is enough here.
        self.end_matched = if end.get(self.end_matched) == Some(&byte) {
            self.end_matched + 1
        } else {
            usize::from(end.first() == Some(&byte))
        };
        if self.end_matched == end.len() {
            self.finish(now);
        }
    }

    /// The bytes of the line so far and how many there were in all.
    fn take_line(&mut self) -> (Vec<u8>, usize) {
        self.begun = None;
        self.end_matched = 0;
        (std::mem::take(&mut self.line), std::mem::take(&mut self.line_bytes))
    }

    fn finish(&mut self, now: Moment) {
        let (raw, count) = self.take_line();
        // An empty line between lines says nothing and is not worth a record.
        if raw == self.profile.line_end.as_bytes() {
            return;
        }
        let limit = self.profile.max_line_bytes;
        if count > limit as usize {
            let detail = format!("expected at most {limit} bytes in a line, got {count}");
            let at = 0..raw.len();
            self.emit_refused(raw, Refused::new(Why::TooLong, at, detail), now);
        } else {
            let decoded = decode::line(&self.profile, &raw);
            self.outbox.message(raw, decoded, Completeness::Complete, now);
        }
    }

    fn give_up(&mut self, why: Why, detail: &str, now: Moment) {
        let (raw, _) = self.take_line();
        if !raw.is_empty() {
            let at = 0..raw.len();
            self.emit_refused(raw, Refused::new(why, at, detail), now);
        }
    }

    fn emit_refused(&mut self, raw: Vec<u8>, refused: Refused, now: Moment) {
        let stopped = matches!(refused.why, Why::TimedOut | Why::Incomplete);
        let completeness = if stopped { Completeness::Incomplete } else { Completeness::Complete };
        self.outbox.refused(raw, refused, completeness, now);
    }
}

impl Driver for LineDriver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                self.give_up(
                    Why::Incomplete,
                    "the link was opened anew in the middle of a line",
                    now,
                );
                self.outbox.open(session);
            }
            LinkChange::Closed => {
                self.give_up(Why::Incomplete, "the link closed in the middle of a line", now);
            }
            LinkChange::LineError(_) => {
                self.give_up(Why::IllegalByte, "the port saw an error in this line", now);
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], _from: Peer, now: Moment) {
        for byte in bytes {
            self.take_byte(*byte, now);
        }
    }

    fn settled(&mut self, _message: MessageId, _how: Settled, _now: Moment) {
        // The device only talks: there is nobody to tell.
    }

    fn wake(&mut self, now: Moment) {
        if self.next_wake().is_some_and(|due| now >= due) {
            self.give_up(Why::TimedOut, "the line did not end within its time", now);
        }
    }

    fn next_wake(&self) -> Option<Moment> {
        self.begun.map(|begun| begun.plus_ms(self.profile.line_unfinished_ms))
    }

    fn poll(&mut self) -> Option<Event> {
        self.outbox.poll()
    }
}

#[cfg(test)]
mod tests;
