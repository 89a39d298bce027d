//! A frame without its escapes, and where each plain byte stands on the wire.

use std::borrow::Cow;
use std::ops::Range;

use super::profile::FrameProfile;
use crate::protocol::interpreted::Look;
use crate::vocabulary::Why;

/// The plain bytes of a frame, as far as they go.
pub(super) struct Plain<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// The place on the wire behind each plain byte; empty where the two are the same.
    ends: Vec<usize>,
    /// Why no more plain bytes can come: `None` if they can.
    pub stopped: Option<(Why, String)>,
}

impl<'a> Plain<'a> {
    /// Without escapes the bytes as they are.
    pub fn of(profile: &FrameProfile, wire: &'a [u8]) -> Self {
        if profile.escape.is_empty() {
            return Self { bytes: Cow::Borrowed(wire), ends: Vec::new(), stopped: None };
        }
        let start = profile.start.as_ref().map_or(&[][..], |start| &start.0);
        let mut plain = Self { bytes: Cow::Owned(Vec::new()), ends: Vec::new(), stopped: None };
        let mut at = 0;
        while let Some(byte) = wire.get(at) {
            let escapes =
                |byte: u8| profile.escape.iter().any(|escape| escape.sent.0.first() == Some(&byte));
            if at < start.len() {
                plain.push(*byte, at + 1);
                at += 1;
            } else if start.first() == Some(byte) {
                let detail = "a start mark inside the frame".to_owned();
                plain.stopped = Some((Why::TooShort, detail));
                break;
            } else if escapes(*byte) {
                let Some(second) = wire.get(at + 1) else { break };
                let pair = [*byte, *second];
                let found = profile.escape.iter().find(|escape| escape.sent.0 == pair);
                let Some(means) = found.and_then(|escape| escape.means.0.first()) else {
                    let detail = "an escape that means nothing".to_owned();
                    plain.stopped = Some((Why::IllegalByte, detail));
                    break;
                };
                plain.push(*means, at + 2);
                at += 2;
            } else {
                plain.push(*byte, at + 1);
                at += 1;
            }
        }
        plain
    }

    fn push(&mut self, byte: u8, end: usize) {
        self.bytes.to_mut().push(byte);
        self.ends.push(end);
    }

    /// How many bytes of the wire the first `plain` plain ones take.
    pub fn on_wire(&self, plain: usize) -> usize {
        if self.ends.is_empty() {
            return plain;
        }
        plain.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0)
    }

    /// The place on the wire of plain bytes.
    pub fn place(&self, plain: Range<usize>) -> Range<usize> {
        self.on_wire(plain.start)..self.on_wire(plain.end)
    }

    /// What to do when more plain bytes are wanted than are there.
    pub fn more(&self) -> Look {
        match &self.stopped {
            None => Look::NeedMore,
            Some((why, detail)) => Look::NotOne { why: *why, detail: detail.clone() },
        }
    }
}
