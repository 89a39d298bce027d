//! What the two interpreted families, `line` and `frame`, share: what one unit of the wire holds,
//! the marks that flags put on it, and the queue of messages. Neither of them ever sends a byte.

use std::collections::VecDeque;

use super::flag::FlagMode;
use super::{Completeness, Event, Message, MessageId, Session};
use crate::vocabulary::{
    AbsentReason, DeviceCode, Flag, Group, Mode, Moment, Reading, Refused, Value,
};

/// What one line or frame holds.
#[derive(Default)]
pub(super) struct Decoded {
    pub readings: Vec<Reading>,
    pub refusals: Vec<Refused>,
    pub firmware: Option<String>,
    pub mode: Mode,
}

impl Decoded {
    /// A flag is set: it marks the parameters that it affects, and may void them or say that
    /// nothing of this is a patient's.
    pub fn mark(
        &mut self,
        means: &str,
        affects: &[String],
        absent: Option<AbsentReason>,
        mode: Option<FlagMode>,
    ) {
        let marked = |reading: &&mut Reading| match &reading.code {
            DeviceCode::Parameter(name) => affects.contains(name),
            DeviceCode::Codings(_) => false,
        };
        for reading in self.readings.iter_mut().filter(marked) {
            reading.flags.push(Flag(means.to_owned()));
            if let Some(reason) = absent {
                reading.value = Value::absent(reading.value.as_sent(), reason);
            }
        }
        // Of several modes the first in the file's order stands; none of them is a patient's.
        if let (Some(mode), Mode::Production) = (mode, self.mode) {
            self.mode = mode.mode();
        }
    }
}

/// Messages in the order in which they came, numbered within their session.
#[derive(Default)]
pub(super) struct Outbox {
    session: Session,
    next_number: u64,
    events: VecDeque<Event>,
}

impl Outbox {
    /// A new session begins; its messages are numbered from 0.
    pub fn open(&mut self, session: Session) {
        self.session = session;
        self.next_number = 0;
    }

    /// Bytes that give no reading.
    pub fn refused(
        &mut self,
        raw: Vec<u8>,
        refused: Refused,
        completeness: Completeness,
        now: Moment,
    ) {
        let decoded = Decoded { refusals: vec![refused], ..Decoded::default() };
        self.message(raw, decoded, completeness, now);
    }

    /// One line or frame.
    pub fn message(
        &mut self,
        raw: Vec<u8>,
        decoded: Decoded,
        completeness: Completeness,
        now: Moment,
    ) {
        let id = MessageId { session: self.session, number: self.next_number };
        self.next_number += 1;
        let groups = if decoded.readings.is_empty() {
            Vec::new()
        } else {
            vec![Group { mode: decoded.mode, ..Group::of(decoded.readings) }]
        };
        self.events.push_back(Event::Message(Message {
            id,
            raw,
            received: now,
            groups,
            refusals: decoded.refusals,
            completeness,
            // No time or number that the device file can name: two equal ones are two readings.
            repeat_basis: None,
            firmware: decoded.firmware,
        }));
    }

    /// The next message.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
