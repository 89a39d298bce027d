//! One command that waits for its reply (facts/monitors.md 3.4): a reply must be complete within
//! its time, and a command is repeated three times at most.

use crate::vocabulary::Moment;

/// How often an unanswered command is repeated.
const REPEATS: u32 = 3;

/// Whether a frame is under way, which may be the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Quiet,
    InFrame,
}

/// A command that waits for its reply.
pub(super) struct Pending {
    pub code: u8,
    bytes: Vec<u8>,
    repeats: u32,
    /// A reply that is not complete then is none.
    deadline: Moment,
    /// Something came damaged that may have been the reply: it is repeated sooner.
    repeat_at: Option<Moment>,
}

impl Pending {
    pub(super) fn new(code: u8, bytes: Vec<u8>, deadline: Moment) -> Self {
        Self { code, bytes, repeats: 0, deadline, repeat_at: None }
    }

    pub(super) fn is_late(&self, now: Moment) -> bool {
        now >= self.deadline
    }

    /// Whether it was repeated as often as it may be.
    pub(super) fn is_last(&self) -> bool {
        self.repeats >= REPEATS
    }

    pub(super) fn spoilt(&mut self, soon: Moment) {
        self.repeat_at.get_or_insert(soon);
    }

    /// When it is repeated. Not into a frame that may be its reply.
    pub(super) fn due(&self, line: Line) -> Moment {
        match (self.repeat_at, line) {
            (Some(soon), Line::Quiet) => soon.min(self.deadline),
            (Some(_) | None, Line::InFrame) | (None, Line::Quiet) => self.deadline,
        }
    }

    /// The bytes to be sent once more; `None` if they were often enough.
    pub(super) fn again(&mut self, deadline: Moment) -> Option<Vec<u8>> {
        if self.is_last() {
            return None;
        }
        self.repeats += 1;
        self.deadline = deadline;
        self.repeat_at = None;
        Some(self.bytes.clone())
    }
}
