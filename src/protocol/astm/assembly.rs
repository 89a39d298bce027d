//! The frames of one message: raw as they came, and their text joined, with the way back from the
//! text to the raw bytes. Knows nothing of fields; of records only where they end and which is L.

use std::ops::Range;

use super::link::{CR, Frame, LF};
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
    pieces: &'a [Piece],
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    text_at: usize,
    /// `None` for context, whose raw bytes went out with an earlier message.
    raw_at: Option<usize>,
}

impl Joined<'_> {
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
    /// Where the record that is not ended yet begins in the text.
    open_record_at: usize,
    /// The end of the last L record in the text.
    l_record_end: Option<usize>,
}

/// How far an assembly had come, so that a frame can be taken back.
pub(super) struct Mark {
    raw: usize,
    text: usize,
    pieces: usize,
    frames: usize,
    open_record_at: usize,
    l_record_end: Option<usize>,
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
        self.open_record_at < self.text.len()
    }

    /// Whether an L record without its end is the last thing.
    pub(super) fn ends_in_open_l_record(&self) -> bool {
        self.text.get(self.open_record_at..).is_some_and(is_l_record)
    }

    /// The end of the last L record, if the message has come to one.
    pub(super) fn message_end(&self) -> Option<usize> {
        self.l_record_end
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
            open_record_at: self.open_record_at,
            l_record_end: self.l_record_end,
        }
    }

    /// Takes back what came after the mark. Refusals that were noted since are kept out by the
    /// caller, who takes a mark and goes back within one frame.
    pub(super) fn go_back(&mut self, mark: &Mark) {
        self.raw.truncate(mark.raw);
        self.text.truncate(mark.text);
        self.pieces.truncate(mark.pieces);
        self.frames = mark.frames;
        self.open_record_at = mark.open_record_at;
        self.l_record_end = mark.l_record_end;
    }

    /// An accepted frame. An ETX ends the record too: some devices leave out the CR before it.
    pub(super) fn frame(&mut self, frame: &Frame) {
        let raw_at = self.raw.len() + Frame::TEXT_AT;
        self.raw.extend_from_slice(&frame.raw);
        self.frames += 1;
        self.text(frame.text(), raw_at);
        if frame.ends_message() && self.is_cut_off() {
            self.text(&[CR], raw_at + frame.text().len());
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
                let record = self.open_record_at..self.text.len() - 1;
                if self.text.get(record).is_some_and(is_l_record) {
                    self.l_record_end = Some(self.text.len());
                }
                self.open_record_at = self.text.len();
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
        rest
    }

    /// What later frames lean on when this one was handed over by itself: records that say whose
    /// results follow, and a record that has not ended.
    pub(super) fn context_after(&self, context: Vec<u8>) -> Assembly {
        let mut next = Assembly::default();
        next.pieces.push(Piece { text_at: 0, raw_at: None });
        next.context = context.len();
        next.text = context;
        next.text.extend_from_slice(self.text.get(self.open_record_at..).unwrap_or_default());
        next.open_record_at = next.context;
        next
    }

    /// The text of the records that have ended.
    pub(super) fn ended_records(&self) -> &[u8] {
        self.text.get(..self.open_record_at).unwrap_or_default()
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
