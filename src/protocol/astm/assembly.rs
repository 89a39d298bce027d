//! The frames of one message: raw as they came, and their text joined, with the way back from the
//! text to the raw bytes. Knows nothing of fields; of records only where they begin and end and
//! which is L.
//!
//! # ETX without CR
//! A record ends in CR. Some devices leave it out before ETX (facts/lab.md 1.2, 1.5), and some cut
//! their text anywhere; a value that was cut looks like a shorter value. So a record that only ETX
//! closed stays open, and what comes next decides:
//!
//! | what comes | the record |
//! |---|---|
//! | a CR | is whole |
//! | the beginning of another record, of the number that may follow | is whole |
//! | anything else | is refused, together with the piece that was cut off it |
//! | EOT, from a device without L records | is whole |
//! | EOT before the L record, ENQ, silence, a closed link | is refused |
//!
//! Records of one letter count upwards from 1 and begin again with what they belong to
//! (facts/lab.md 2.1), so `M|5` behind a result that ends in `m` is no record of its own where no
//! `M` was before it: it was `mM`. What is left undecided is a piece with the number 1, and a
//! result's with a higher one.
//!
//! An L record needs nothing behind it: it has no value, and nothing follows it.

use std::ops::Range;

use super::link::{CR, Frame, LF};
use super::records;
use crate::protocol::{Completeness, MESSAGE_BYTES_MAX};
use crate::vocabulary::{Refused, Why};

/// How many bytes that belong to no accepted frame one message keeps: two refused frames of the
/// longest usual size. What comes beyond is refused with its count only.
const REFUSED_BYTES_MAX: usize = 128 * 1024;
/// How many bytes of accepted frames one message may have.
const ACCEPTED_BYTES_MAX: usize = MESSAGE_BYTES_MAX - REFUSED_BYTES_MAX;
/// How many refusals one message lists; a noisy line would fill any list.
const REFUSALS_MAX: usize = 64;

/// Text and where its pieces lie in the raw bytes.
pub(super) struct Joined<'a> {
    pub text: &'a [u8],
    /// Bytes at the beginning that were handed over before: context only, no results.
    pub context: usize,
    /// Whether a record without its end may be read (the sender said that it is over).
    pub tail_is_whole: bool,
    /// Where records begin that ETX cut in two.
    torn_at: &'a [usize],
    pieces: &'a [Piece],
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    text_at: usize,
    /// `None` for context, whose raw bytes went out with an earlier message.
    raw_at: Option<usize>,
}

impl Joined<'_> {
    /// Whether ETX cut the record that begins there in two: half a number is another number, and
    /// nobody knows what stood between the halves.
    pub(super) fn is_torn(&self, record_at: usize) -> bool {
        self.torn_at.binary_search(&record_at).is_ok()
    }

    /// Where a range of the text stands in the raw bytes.
    pub(super) fn raw_range(&self, text: Range<usize>) -> Range<usize> {
        let start = self.raw_at(text.start);
        let end = if text.is_empty() { start } else { self.raw_at(text.end - 1) + 1 };
        start..end.max(start)
    }

    fn raw_at(&self, text_at: usize) -> usize {
        let after = self.pieces.partition_point(|piece| piece.text_at <= text_at);
        match after.checked_sub(1).and_then(|at| self.pieces.get(at)) {
            Some(Piece { text_at: start, raw_at: Some(raw) }) => raw + (text_at - start),
            Some(Piece { raw_at: None, .. }) | None => 0,
        }
    }
}

/// What one message has so far.
#[derive(Default)]
pub(super) struct Assembly {
    raw: Vec<u8>,
    text: Vec<u8>,
    pieces: Vec<Piece>,
    refusals: Vec<Refused>,
    refusals_unlisted: usize,
    refused_bytes: usize,
    frames: usize,
    context: usize,
    /// Where records begin that ETX cut in two, in rising order.
    torn_at: Vec<usize>,
    records: Records,
}

/// What is known of the records in the text.
#[derive(Clone, Copy, Default)]
struct Records {
    /// Where the record that is not ended yet begins in the text.
    open_at: usize,
    /// The end of the last L record in the text.
    l_record_end: Option<usize>,
    /// The open record is closed by an ETX without CR, which stands there in the raw bytes.
    closed_by_etx_at: Option<usize>,
    /// The byte that parts fields, from the last header.
    field_delimiter: Option<u8>,
}

/// How far an assembly had come, so that a frame can be taken back.
pub(super) struct Mark {
    raw: usize,
    text: usize,
    pieces: usize,
    frames: usize,
    torn: usize,
    records: Records,
}

impl Assembly {
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    pub(super) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Nothing that anybody would have to know: no accepted frame, nothing refused.
    pub(super) fn is_empty(&self) -> bool {
        self.frames == 0 && self.refusals.is_empty() && self.text.len() <= self.context
    }

    /// Whether records are there that were not handed over.
    pub(super) fn has_news(&self) -> bool {
        self.text.len() > self.context || !self.refusals.is_empty()
    }

    /// Whether the last record has no end yet.
    pub(super) fn is_cut_off(&self) -> bool {
        self.records.open_at < self.text.len()
    }

    /// Whether an L record without its end is the last thing.
    pub(super) fn ends_in_open_l_record(&self) -> bool {
        self.text.get(self.records.open_at..).is_some_and(is_l_record)
    }

    /// The end of the last L record, if the message has come to one.
    pub(super) fn message_end(&self) -> Option<usize> {
        self.records.l_record_end
    }

    /// Bytes such as ENQ and EOT, kept for whoever looks at the raw message.
    pub(super) fn note(&mut self, byte: u8) {
        if self.raw.len() < MESSAGE_BYTES_MAX {
            self.raw.push(byte);
        }
    }

    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.raw.len() - self.refused_bytes.min(self.raw.len()) + bytes <= ACCEPTED_BYTES_MAX
            && self.raw.len() + bytes <= MESSAGE_BYTES_MAX
            && self.text.len() + bytes <= MESSAGE_BYTES_MAX
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            raw: self.raw.len(),
            text: self.text.len(),
            pieces: self.pieces.len(),
            frames: self.frames,
            torn: self.torn_at.len(),
            records: self.records,
        }
    }

    /// Takes back what came after the mark. Refusals that were noted since are kept out by the
    /// caller, who takes a mark and goes back within one frame.
    pub(super) fn go_back(&mut self, mark: &Mark) {
        self.raw.truncate(mark.raw);
        self.text.truncate(mark.text);
        self.pieces.truncate(mark.pieces);
        self.frames = mark.frames;
        self.torn_at.truncate(mark.torn);
        self.records = mark.records;
    }

    /// An accepted frame.
    pub(super) fn frame(&mut self, frame: &Frame) {
        self.judge_open_record(frame.text());
        let raw_at = self.raw.len() + Frame::TEXT_AT;
        self.raw.extend_from_slice(&frame.raw);
        self.frames += 1;
        self.text(frame.text(), raw_at);
        if frame.ends_message() && self.is_cut_off() {
            self.records.closed_by_etx_at = Some(raw_at + frame.text().len());
            if self.ends_in_open_l_record() {
                self.believe_open_record();
            }
        }
    }

    /// The record that ETX closed without CR was whole.
    pub(super) fn believe_open_record(&mut self) {
        if let Some(raw_at) = self.records.closed_by_etx_at.take() {
            self.text(&[CR], raw_at);
        }
    }

    /// Whether the record that ETX closed without CR was whole, by what follows it.
    fn judge_open_record(&mut self, next: &[u8]) {
        let Some(first) = next.first() else { return };
        if self.records.closed_by_etx_at.is_none() {
            return;
        }
        let open = self.text.get(self.records.open_at..).unwrap_or_default();
        let delimiter = records::field_delimiter(open).or(self.records.field_delimiter);
        let begins = records::begins_one(next, delimiter) && self.may_follow(next, delimiter);
        if records::can_end(open, delimiter) && begins {
            self.believe_open_record();
            return;
        }
        self.records.closed_by_etx_at = None;
        let known = self.torn_at.last() == Some(&self.records.open_at);
        if !matches!(*first, CR | LF) && !known {
            self.torn_at.push(self.records.open_at);
        }
    }

    /// Whether a record has a number that may come now: the first one, or a higher one than the
    /// last of its letter. Analysers leave numbers out (the ABL735's results are 1, 2, 3, 5, 7),
    /// and results that were handed over before are not here any more.
    fn may_follow(&self, next: &[u8], delimiter: Option<u8>) -> bool {
        let Some((letter, number)) = records::numbered(next, delimiter) else { return true };
        if number <= 1 {
            return true;
        }
        let mut before = self.text.rsplit(|byte| matches!(*byte, CR | LF));
        let same = |record| records::numbered(record, delimiter).filter(|one| one.0 == letter);
        match before.find_map(same) {
            Some((_, last)) => number > last,
            None => letter == b'R' && self.context > 0,
        }
    }

    /// Text without framing.
    pub(super) fn bare(&mut self, byte: u8) {
        let raw_at = self.raw.len();
        self.raw.push(byte);
        self.frames = 1;
        self.text(&[byte], raw_at);
    }

    fn text(&mut self, text: &[u8], raw_at: usize) {
        let text_at = self.text.len();
        let follows_on = self.pieces.last().is_some_and(|piece| {
            piece.raw_at.is_some_and(|raw| raw + (text_at - piece.text_at) == raw_at)
        });
        if !follows_on {
            self.pieces.push(Piece { text_at, raw_at: Some(raw_at) });
        }
        for byte in text {
            self.text.push(*byte);
            if matches!(*byte, CR | LF) {
                let record = self.records.open_at..self.text.len() - 1;
                let record = self.text.get(record).unwrap_or_default();
                if is_l_record(record) {
                    self.records.l_record_end = Some(self.text.len());
                }
                let known = self.records.field_delimiter;
                self.records.field_delimiter = records::field_delimiter(record).or(known);
                self.records.open_at = self.text.len();
            }
        }
    }

    /// Bytes that belong to no accepted frame, with the reason.
    pub(super) fn refuse(&mut self, bytes: &[u8], why: Why, detail: impl Into<String>) {
        let start = self.raw.len();
        let room = REFUSED_BYTES_MAX.saturating_sub(self.refused_bytes);
        let room = room.min(MESSAGE_BYTES_MAX.saturating_sub(start));
        let kept = bytes.get(..bytes.len().min(room)).unwrap_or_default();
        self.raw.extend_from_slice(kept);
        self.refused_bytes += kept.len();
        self.list(Refused::new(why, start..self.raw.len(), detail));
    }

    /// A byte between frames: neighbours share one refusal.
    pub(super) fn stray(&mut self, byte: u8) {
        let end = self.raw.len();
        match self.refusals.last_mut() {
            Some(last) if last.why == Why::Resync && last.at.end == end => {
                if self.refused_bytes < REFUSED_BYTES_MAX && end < MESSAGE_BYTES_MAX {
                    self.raw.push(byte);
                    self.refused_bytes += 1;
                    last.at.end = self.raw.len();
                }
            }
            Some(_) | None => {
                self.refuse(&[byte], Why::Resync, "bytes between frames that belong to none");
            }
        }
    }

    /// The message stopped before its end.
    pub(super) fn stopped(&mut self, why: Why, detail: &str) {
        let end = self.raw.len();
        self.list(Refused::new(why, end..end, detail));
    }

    pub(super) fn refusals(&self) -> Vec<Refused> {
        let mut refusals = self.refusals.clone();
        if self.refusals_unlisted > 0 {
            let detail = format!("{} more refusals are not listed", self.refusals_unlisted);
            refusals.push(Refused::new(Why::Resync, self.raw.len()..self.raw.len(), detail));
        }
        refusals
    }

    fn list(&mut self, refused: Refused) {
        if self.refusals.len() < REFUSALS_MAX {
            self.refusals.push(refused);
        } else {
            self.refusals_unlisted += 1;
        }
    }

    pub(super) fn joined(&self, text_end: usize, completeness: &Completeness) -> Joined<'_> {
        Joined {
            text: self.text.get(..text_end).unwrap_or(&self.text),
            context: self.context,
            tail_is_whole: *completeness == Completeness::Complete,
            torn_at: &self.torn_at,
            pieces: &self.pieces,
        }
    }

    /// What is left for the next message when this one ended at `text_end` inside `frame`: the rest
    /// of the text. The frame's raw bytes are in both messages, because both have text from it.
    pub(super) fn rest_after(&self, text_end: usize, frame: &Frame) -> Assembly {
        let mut rest = Assembly::default();
        let tail = self.text.get(text_end..).unwrap_or_default();
        if tail.iter().all(|byte| matches!(*byte, CR | LF)) {
            return rest;
        }
        rest.raw = frame.raw.clone();
        rest.frames = 1;
        let start = frame.text().len().saturating_sub(tail.len());
        rest.text(tail, Frame::TEXT_AT + start);
        if self.records.closed_by_etx_at.is_some() {
            rest.records.closed_by_etx_at = Some(Frame::TEXT_AT + frame.text().len());
        }
        rest
    }

    /// What later frames lean on when `frame` was handed over by itself: records that say whose
    /// results follow, and a record that has not ended. The raw bytes of that one are in both
    /// messages, as far as they came with this frame.
    pub(super) fn context_after(&self, context: Vec<u8>, frame: &Frame) -> Assembly {
        let mut next = Assembly::default();
        next.pieces.push(Piece { text_at: 0, raw_at: None });
        next.context = context.len();
        next.text = context;
        next.records = Records {
            open_at: next.context,
            l_record_end: None,
            closed_by_etx_at: None,
            field_delimiter: self.records.field_delimiter,
        };
        let open = self.text.get(self.records.open_at..).unwrap_or_default();
        if open.is_empty() {
            return next;
        }
        let of_frame = open.len().min(frame.text().len());
        let end = Frame::TEXT_AT + frame.text().len();
        let text_at = next.context + open.len() - of_frame;
        next.pieces.push(Piece { text_at, raw_at: Some(end - of_frame) });
        next.text.extend_from_slice(open);
        next.raw = frame.raw.clone();
        next.records.closed_by_etx_at = self.records.closed_by_etx_at.map(|_| end);
        if self.torn_at.last() == Some(&self.records.open_at) {
            next.torn_at.push(next.context);
        }
        next
    }

    /// How long the text of the records is that have ended.
    pub(super) fn ended_len(&self) -> usize {
        self.records.open_at
    }
}

/// Whether a record is the terminator: `L`, alone or with a field delimiter behind it.
fn is_l_record(record: &[u8]) -> bool {
    match record {
        [b'L'] => true,
        [b'L', delimiter, ..] => !delimiter.is_ascii_alphanumeric(),
        _ => false,
    }
}
