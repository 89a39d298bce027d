//! Family `frame`: binary frames with a start mark, a length and a checksum, interpreted from the
//! device file.
//!
//! ```text
//! | start | .. length .. | payload: type, fields | checksum |
//! ```
//!
//! One frame is one message. It sends nothing. A frame with a wrong checksum gives no value; the
//! search goes on at its second byte, so a good frame that a damaged length swallowed still comes
//! out. What belongs to no frame is kept raw as one refusal per stretch.

use std::sync::Arc;

use super::interpreted::Outbox;
use super::{Completeness, Driver, Event, LinkChange, MessageId, Peer, Settled};
use crate::vocabulary::{Moment, Refused, Why};

mod decode;
mod profile;

pub use profile::{
    ByteOrder, Counts, FirmwareBytes, FrameChecksum, FrameField, FrameFlag, FrameLength,
    FrameMessage, FrameProfile, Hex, IgnoredBytes, LengthSize, RawForm,
};

pub(crate) use decode::{fits, scaled};

/// A stretch without a frame is handed over when it has grown to this, so that noise that never
/// stops is seen and does not fill the memory.
const STRETCH_BYTES_MAX: usize = 4096;

/// Reads frames by a [`FrameProfile`].
pub struct FrameDriver {
    profile: Arc<FrameProfile>,
    /// Bytes that may still become a frame; it starts with the start mark or the head of one.
    pending: Vec<u8>,
    /// When each byte of `pending` came: a frame behind a false start has its own time.
    pending_came: Vec<Moment>,
    /// Bytes before `pending` that belong to no frame, and why the first of them does not.
    stretch: Vec<u8>,
    stretch_why: Option<(Why, String)>,
    /// When the oldest byte of `stretch` came.
    stretch_begun: Option<Moment>,
    outbox: Outbox,
}

impl FrameDriver {
    /// A driver for one link.
    pub fn new(profile: Arc<FrameProfile>) -> Self {
        Self {
            profile,
            pending: Vec::new(),
            pending_came: Vec::new(),
            stretch: Vec::new(),
            stretch_why: None,
            stretch_begun: None,
            outbox: Outbox::default(),
        }
    }

    fn take_byte(&mut self, byte: u8, now: Moment) {
        self.pending.push(byte);
        self.pending_came.push(now);
        while self.step(now) {}
    }

    /// One look at `pending`; `true` if another look may find more.
    fn step(&mut self, now: Moment) -> bool {
        match decode::look(&self.profile, &self.pending) {
            decode::Look::NeedMore => false,
            decode::Look::NotAFrame { why, detail } => {
                self.give_to_stretch(why, detail, now);
                !self.pending.is_empty()
            }
            decode::Look::Frame { bytes } => {
                self.flush_stretch(now);
                let rest = self.pending.split_off(bytes);
                let raw = std::mem::replace(&mut self.pending, rest);
                self.pending_came.drain(..bytes);
                let decoded = decode::frame(&self.profile, &raw);
                self.outbox.message(raw, decoded, Completeness::Complete, now);
                !self.pending.is_empty()
            }
        }
    }

    /// The first byte of `pending` belongs to no frame.
    fn give_to_stretch(&mut self, why: Why, detail: String, now: Moment) {
        // A damaged frame tells more than the noise around it.
        let telling = matches!(why, Why::Checksum | Why::TooLong | Why::TooShort);
        if self.stretch_why.is_none()
            || (telling && matches!(self.stretch_why, Some((Why::Resync, _))))
        {
            self.stretch_why = Some((why, detail));
        }
        self.stretch.push(self.pending.remove(0));
        let came = self.pending_came.remove(0);
        self.stretch_begun.get_or_insert(came);
        if self.stretch.len() >= STRETCH_BYTES_MAX {
            self.flush_stretch(now);
        }
    }

    fn flush_stretch(&mut self, now: Moment) {
        let raw = std::mem::take(&mut self.stretch);
        self.stretch_begun = None;
        if let Some((why, detail)) = self.stretch_why.take()
            && !raw.is_empty()
        {
            let refused = Refused::new(why, 0..raw.len(), detail);
            self.outbox.refused(raw, refused, Completeness::Complete, now);
        }
    }

    /// Nothing more will come for what is pending: hand it over as refused.
    fn give_up(&mut self, why: Why, detail: &str, now: Moment) {
        let mut raw = std::mem::take(&mut self.stretch);
        let pending = std::mem::take(&mut self.pending);
        let earlier = self.stretch_why.take();
        self.pending_came.clear();
        self.stretch_begun = None;
        let unfinished = !pending.is_empty();
        raw.extend(pending);
        if raw.is_empty() {
            return;
        }
        let (why, detail) = match earlier {
            Some(earlier) if !unfinished => earlier,
            Some(_) | None => (why, detail.to_owned()),
        };
        let completeness =
            if unfinished { Completeness::Incomplete } else { Completeness::Complete };
        let refused = Refused::new(why, 0..raw.len(), detail);
        self.outbox.refused(raw, refused, completeness, now);
    }
}

impl Driver for FrameDriver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                self.give_up(Why::Incomplete, "the link was opened anew in the middle", now);
                self.outbox.open(session);
            }
            LinkChange::Closed => {
                self.give_up(Why::Incomplete, "the link closed in the middle of a frame", now);
            }
            LinkChange::LineError(_) => {
                self.give_up(Why::IllegalByte, "the port saw an error in this frame", now);
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
        let unfinished_ms = self.profile.frame_unfinished_ms;
        let is_due = |came: &Moment| now >= came.plus_ms(unfinished_ms);
        // A good frame may stand behind the head of one that never finished, and one that has just
        // begun behind noise that is due: only what is too old itself is given up.
        while self.pending_came.first().is_some_and(is_due) {
            let detail = "the frame did not end within its time".to_owned();
            self.give_to_stretch(Why::TimedOut, detail, now);
            while !self.pending.is_empty() && self.step(now) {}
        }
        if self.stretch_begun.as_ref().is_some_and(is_due) {
            self.flush_stretch(now);
        }
    }

    fn next_wake(&self) -> Option<Moment> {
        // What stands in the stretch came before what is pending.
        let oldest = self.stretch_begun.or_else(|| self.pending_came.first().copied());
        oldest.map(|came| came.plus_ms(self.profile.frame_unfinished_ms))
    }

    fn poll(&mut self) -> Option<Event> {
        self.outbox.poll()
    }
}

#[cfg(test)]
mod tests;
