//! Family `frame`: binary frames with a start mark, a length and a checksum, interpreted from the
//! device file; or trains of small frames of one size.
//!
//! ```text
//! | start | .. length .. | payload: type, fields | checksum |
//! | small frame, first bit set | small frame | ... | small frame |    each with its checksum
//! ```
//!
//! One frame (or train) is one message. A frame with a wrong checksum gives no value; the search
//! goes on at its second byte, so a good frame that a damaged length swallowed still comes out.
//! What belongs to no frame is kept raw as one refusal per stretch.
//!
//! It sends the requests of the device file at their times, and for a frame that is kept the reply
//! that the file states; nothing else.
//!
//! | file | what |
//! |---|---|
//! | `profile`, `field` | the table of the device file |
//! | `look` | where a frame begins and ends |
//! | `plain` | escapes |
//! | `decode` | one frame to readings |

use std::collections::BTreeMap;
use std::sync::Arc;

use super::interpreted::{Asker, Look, Outbox, Seeker};
use super::{Completeness, Driver, Event, LinkChange, MessageId, Peer, Settled};
use crate::vocabulary::{Moment, Why};

mod decode;
mod field;
mod look;
mod plain;
mod profile;

pub use field::{
    AbsentTo, FrameField, FrameFlag, IgnoredBytes, LowBits, MoreBytes, Possible, RawForm, Repeated,
    TextBytes, TextForm, When,
};
pub use profile::{
    ByteOrder, Counts, Escape, FrameChecksum, FrameLength, FrameMessage, FrameProfile, Hex,
    LengthSize, Pattern, Reply, SequenceBytes, Train,
};

pub(crate) use decode::{fits, scaled};

/// Reads frames by a [`FrameProfile`].
pub struct FrameDriver {
    profile: Arc<FrameProfile>,
    seeker: Seeker,
    asker: Asker,
    /// Replies that wait until their message is kept.
    replies: BTreeMap<MessageId, Vec<u8>>,
    outbox: Outbox,
}

impl FrameDriver {
    /// A driver for one link.
    pub fn new(profile: Arc<FrameProfile>) -> Self {
        Self {
            seeker: Seeker::new("frame", profile.frame_unfinished_ms),
            asker: Asker::new(&profile.ask, profile.ask_apart_ms, |ask| profile.request(ask)),
            replies: BTreeMap::new(),
            outbox: Outbox::default(),
            profile,
        }
    }

    /// Hands over every whole frame.
    fn read_frames(&mut self, now: Moment) {
        let profile = Arc::clone(&self.profile);
        let look = |buffer: &[u8]| -> Look { look::look(&profile, buffer) };
        while let Some(raw) = self.seeker.next(&look, &mut self.outbox, now) {
            let decoded = decode::frame(&self.profile, &raw);
            let message = decoded.name.as_deref();
            if let Some(name) = message {
                self.asker.heard(name, now);
            }
            let passed_over = self
                .profile
                .message
                .iter()
                .any(|one| one.passed_over.is_some() && Some(one.name.as_str()) == message);
            if passed_over && decoded.refusals.is_empty() {
                continue;
            }
            let reply = self.reply_to(&raw);
            let id = self.outbox.message(raw, decoded, Completeness::Complete, now);
            if let Some(reply) = reply {
                self.replies.insert(id, reply);
            }
        }
    }

    /// What the device file wants to be sent back for this frame.
    fn reply_to(&self, raw: &[u8]) -> Option<Vec<u8>> {
        let plain = plain::Plain::of(&self.profile, raw);
        let payload = plain.bytes.get(self.profile.payload_at()..)?;
        let reply = self.profile.reply.iter().find(|one| one.payload_type.begins(payload))?;
        let sequence = match &reply.sequence {
            Some(place) => {
                let at = usize::from(place.at);
                plain.bytes.get(at..at + usize::from(place.bytes))?
            }
            None => &[],
        };
        Some(self.profile.on_wire(&reply.bytes, sequence))
    }

    fn ask(&mut self, now: Moment) {
        while let Some(bytes) = self.asker.next(now) {
            self.outbox.send(bytes);
        }
        self.outbox.trouble(self.asker.trouble());
    }

    fn give_up(&mut self, why: Why, detail: &str, now: Moment) {
        self.seeker.give_up(why, detail, &mut self.outbox, now);
    }
}

impl Driver for FrameDriver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                self.give_up(Why::Incomplete, "the link was opened anew in the middle of a", now);
                self.replies.clear();
                self.outbox.open(session);
                self.asker.opened(now);
                self.ask(now);
            }
            LinkChange::Closed => {
                self.give_up(Why::Incomplete, "the link closed in the middle of a", now);
                self.replies.clear();
                self.asker.closed();
            }
            LinkChange::LineError(_) => {
                self.give_up(Why::IllegalByte, "the port saw an error in this", now);
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], _from: Peer, now: Moment) {
        for byte in bytes {
            self.seeker.take_byte(*byte, now);
            self.read_frames(now);
            // Right behind the byte that made it due, so that cuts change nothing.
            self.ask(now);
        }
    }

    fn settled(&mut self, message: MessageId, how: Settled, _now: Moment) {
        match (self.replies.remove(&message), how) {
            (Some(reply), Settled::Durable | Settled::Repeat) => self.outbox.send(reply),
            // What is not kept is not acknowledged; the device says what it does then.
            (_, Settled::NotKept(_)) | (None, Settled::Durable | Settled::Repeat) => {}
        }
    }

    fn wake(&mut self, now: Moment) {
        while self.seeker.give_up_oldest(&mut self.outbox, now) {
            self.read_frames(now);
        }
        self.ask(now);
    }

    fn next_wake(&self) -> Option<Moment> {
        [self.seeker.next_wake(), self.asker.next_wake()].into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Event> {
        self.outbox.poll()
    }
}

#[cfg(test)]
mod tests;
