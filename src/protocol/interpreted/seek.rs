//! Finds whole units (frames, records) in a stream of bytes: what belongs to no unit is kept raw as
//! one refusal per stretch, and a good unit behind a false start still comes out.

use super::Outbox;
use crate::protocol::Completeness;
use crate::vocabulary::{Moment, Refused, Why};

/// What the head of a buffer is.
pub(in crate::protocol) enum Look {
    NeedMore,
    /// A whole unit, good as far as can be told.
    Unit {
        bytes: usize,
    },
    /// Its first byte starts no unit.
    NotOne {
        why: Why,
        detail: String,
    },
}

/// A stretch without a unit is handed over when it has grown to this, so that noise that never
/// stops is seen and does not fill the memory.
const STRETCH_BYTES_MAX: usize = 4096;

/// The bytes that are not yet decided about.
pub(in crate::protocol) struct Seeker {
    /// "frame" or "record", for people.
    word: &'static str,
    unfinished_ms: u64,
    /// Bytes that may still become a unit; they start with the start mark or the head of one.
    pending: Vec<u8>,
    /// When each byte of `pending` came: a unit behind a false start has its own time.
    pending_came: Vec<Moment>,
    /// Bytes before `pending` that belong to no unit, and why the first of them does not.
    stretch: Vec<u8>,
    stretch_why: Option<(Why, String)>,
    /// When the oldest byte of `stretch` came.
    stretch_begun: Option<Moment>,
}

impl Seeker {
    /// `word` names the unit; one that is not finished within `unfinished_ms` is given up.
    pub fn new(word: &'static str, unfinished_ms: u64) -> Self {
        Self {
            word,
            unfinished_ms,
            pending: Vec::new(),
            pending_came: Vec::new(),
            stretch: Vec::new(),
            stretch_why: None,
            stretch_begun: None,
        }
    }

    /// One byte more. Call [`Seeker::next`] until it gives `None` before the next one.
    pub fn take_byte(&mut self, byte: u8, now: Moment) {
        self.pending.push(byte);
        self.pending_came.push(now);
    }

    /// The next whole unit. What stands before it goes to `outbox` as refused.
    pub fn next(
        &mut self,
        look: &impl Fn(&[u8]) -> Look,
        outbox: &mut Outbox,
        now: Moment,
    ) -> Option<Vec<u8>> {
        while !self.pending.is_empty() {
            match look(&self.pending) {
                Look::NeedMore => return None,
                Look::NotOne { why, detail } => self.give_to_stretch(why, detail, outbox, now),
                Look::Unit { bytes } => {
                    self.flush_stretch(outbox, now);
                    let rest = self.pending.split_off(bytes.min(self.pending.len()));
                    let raw = std::mem::replace(&mut self.pending, rest);
                    self.pending_came.drain(..raw.len());
                    return Some(raw);
                }
            }
        }
        None
    }

    /// The first byte of `pending` belongs to no unit.
    fn give_to_stretch(&mut self, why: Why, detail: String, outbox: &mut Outbox, now: Moment) {
        // A damaged unit tells more than the noise around it.
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
            self.flush_stretch(outbox, now);
        }
    }

    fn flush_stretch(&mut self, outbox: &mut Outbox, now: Moment) {
        let raw = std::mem::take(&mut self.stretch);
        self.stretch_begun = None;
        if let Some((why, detail)) = self.stretch_why.take()
            && !raw.is_empty()
        {
            let refused = Refused::new(why, 0..raw.len(), detail);
            outbox.refused(raw, refused, Completeness::Complete, now);
        }
    }

    /// Nothing more will come for what is pending: hand it over as refused.
    pub fn give_up(&mut self, why: Why, detail: &str, outbox: &mut Outbox, now: Moment) {
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
            Some(_) | None => (why, format!("{detail} {}", self.word)),
        };
        let completeness =
            if unfinished { Completeness::Incomplete } else { Completeness::Complete };
        let refused = Refused::new(why, 0..raw.len(), detail);
        outbox.refused(raw, refused, completeness, now);
    }

    /// Time has passed: gives up the oldest pending byte if it is too old. `true` if units may have
    /// come to light; then [`Seeker::next`] and again this.
    pub fn give_up_oldest(&mut self, outbox: &mut Outbox, now: Moment) -> bool {
        // A good unit may stand behind the head of one that never finished, and one that has just
        // begun behind noise that is due: only what is too old itself is given up.
        if self.pending_came.first().is_some_and(|came| self.is_due(*came, now)) {
            let detail = format!("the {} did not end within its time", self.word);
            self.give_to_stretch(Why::TimedOut, detail, outbox, now);
            return true;
        }
        if self.stretch_begun.is_some_and(|came| self.is_due(came, now)) {
            self.flush_stretch(outbox, now);
        }
        false
    }

    fn is_due(&self, came: Moment, now: Moment) -> bool {
        now >= came.plus_ms(self.unfinished_ms)
    }

    /// When something is given up next.
    pub fn next_wake(&self) -> Option<Moment> {
        // What stands in the stretch came before what is pending.
        let oldest = self.stretch_begun.or_else(|| self.pending_came.first().copied());
        oldest.map(|came| came.plus_ms(self.unfinished_ms))
    }
}
