//! Family `line`: ASCII lines with separated columns, interpreted from the device file.
//!
//! ```text
//! bytes ... line_end  ->  checksum good?  ->  which message starts so?  ->  columns  ->  readings
//! ```
//!
//! One line is one message; where lines stand inside a record, the whole record is. It sends the
//! requests of the device file at their times and nothing else. A line that is too long, has an
//! illegal byte, a wrong checksum or no known start is refused as a whole and kept raw; a column
//! that is neither a number nor a listed mark of absence is refused alone. A line that never ends
//! is refused when its time is over.
//!
//! An eight-bit checksum is weak (see [`super::checksum`]): two flips in one bit column pass XOR-8.
//! Many devices send none at all: then the forms of the numbers (`forms`), the keys that a line
//! must have and the counts that it states are all that shows a loss, and a digit that turned into
//! another one does not show.
//!
//! | file | what |
//! |---|---|
//! | `profile`, `field` | the table of the device file |
//! | `columns` | one line to columns, keys and words |
//! | `decode`, `marks` | columns to readings, marks on them |
//! | `record` | lines inside a record |

use std::sync::Arc;

use super::interpreted::{Asker, Outbox, Seeker};
use super::{Completeness, Driver, Event, LinkChange, MessageId, Peer, Settled};
use crate::vocabulary::{Moment, Refused, Why};

mod columns;
mod decode;
mod field;
mod marks;
mod profile;
mod record;

pub use field::{ColumnField, ColumnFlag, ColumnNote, IgnoredColumn, MarkWords, SaidColumn};
pub use profile::{Enclosed, Keys, LineChecksum, LineMessage, LineProfile, Record, Words};

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
    /// Where lines stand in records, these are looked for instead.
    records: Seeker,
    asker: Asker,
    outbox: Outbox,
}

impl LineDriver {
    /// A driver for one link.
    pub fn new(profile: Arc<LineProfile>) -> Self {
        let bytes = |ask: &super::Ask| ask.template().build(&[], |_| Vec::new());
        Self {
            line: Vec::new(),
            line_bytes: 0,
            end_matched: 0,
            begun: None,
            records: Seeker::new("record", profile.line_unfinished_ms),
            asker: Asker::new(&profile.ask, profile.ask_apart_ms, bytes),
            outbox: Outbox::default(),
            profile,
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
        let ends_alone = self.profile.any_line_end && end.contains(&byte);
        if ends_alone || self.end_matched == end.len() {
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
        if raw == self.profile.line_end.as_bytes() || (self.profile.any_line_end && raw.len() == 1)
        {
            return;
        }
        let limit = self.profile.max_line_bytes;
        if count > limit as usize {
            let detail = format!("expected at most {limit} bytes in a line, got {count}");
            let at = 0..raw.len();
            self.emit_refused(raw, Refused::new(Why::TooLong, at, detail), now);
        } else {
            let decoded = decode::line(&self.profile, &raw);
            if let Some(name) = &decoded.name {
                self.asker.heard(name, now);
            }
            self.outbox.message(raw, decoded, Completeness::Complete, now);
        }
    }

    fn read_records(&mut self, now: Moment) {
        let profile = Arc::clone(&self.profile);
        let Some(shape) = &profile.record else { return };
        let look = |buffer: &[u8]| record::look(&profile, shape, buffer);
        while let Some(raw) = self.records.next(&look, &mut self.outbox, now) {
            let decoded = record::record(&profile, shape, &raw);
            self.asker.heard(decoded.name.as_deref().unwrap_or_default(), now);
            self.outbox.message(raw, decoded, Completeness::Complete, now);
        }
    }

    fn ask(&mut self, now: Moment) {
        while let Some(bytes) = self.asker.next(now) {
            self.outbox.send(bytes);
        }
        self.outbox.trouble(self.asker.trouble());
    }

    fn give_up(&mut self, why: Why, detail: &str, now: Moment) {
        self.records.give_up(why, detail, &mut self.outbox, now);
        let (raw, _) = self.take_line();
        if !raw.is_empty() {
            let at = 0..raw.len();
            self.emit_refused(raw, Refused::new(why, at, format!("{detail} line")), now);
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
                self.give_up(Why::Incomplete, "the link was opened anew in the middle of a", now);
                self.outbox.open(session);
                self.asker.opened(now);
                self.ask(now);
            }
            LinkChange::Closed => {
                self.give_up(Why::Incomplete, "the link closed in the middle of a", now);
                self.asker.closed();
            }
            LinkChange::LineError(_) => {
                self.give_up(Why::IllegalByte, "the port saw an error in this", now);
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], _from: Peer, now: Moment) {
        for byte in bytes {
            if self.profile.record.is_some() {
                self.records.take_byte(*byte, now);
                self.read_records(now);
            } else {
                self.take_byte(*byte, now);
            }
            // Right behind the byte that made it due, so that cuts change nothing.
            self.ask(now);
        }
    }

    fn settled(&mut self, _message: MessageId, _how: Settled, _now: Moment) {
        // The device is told nothing of it: no such protocol acknowledges lines.
    }

    fn wake(&mut self, now: Moment) {
        while self.records.give_up_oldest(&mut self.outbox, now) {
            self.read_records(now);
        }
        let unfinished_ms = self.profile.line_unfinished_ms;
        if self.begun.is_some_and(|begun| now >= begun.plus_ms(unfinished_ms)) {
            let (raw, _) = self.take_line();
            let at = 0..raw.len();
            let detail = "the line did not end within its time".to_owned();
            self.emit_refused(raw, Refused::new(Why::TimedOut, at, detail), now);
        }
        self.ask(now);
    }

    fn next_wake(&self) -> Option<Moment> {
        let line = self.begun.map(|begun| begun.plus_ms(self.profile.line_unfinished_ms));
        [line, self.records.next_wake(), self.asker.next_wake()].into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Event> {
        self.outbox.poll()
    }
}

#[cfg(test)]
mod tests;
