//! What the two interpreted families, `line` and `frame`, share: what one unit of the wire holds,
//! the marks that flags put on it, the queue of messages, and the requests of a device file. They
//! send nothing but templates of the file.

use std::collections::VecDeque;

use super::flag::FlagMode;
use super::{Completeness, Event, Identity, Message, MessageId, Peer, Session};
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{
    AbsentReason, DeviceCode, Flag, Group, Mode, Moment, Reading, Refused, Value,
};

mod ask;
mod seek;
mod shape;
mod template;

pub use ask::Ask;
pub(super) use ask::Asker;
pub(super) use seek::{Look, Seeker};
pub use shape::Shape;
pub use template::{Part, Template};

/// What one line, frame or record holds.
#[derive(Default)]
pub(super) struct Decoded {
    /// The name of the profile's message, if it is one.
    pub name: Option<String>,
    pub readings: Vec<Reading>,
    pub refusals: Vec<Refused>,
    pub firmware: Option<String>,
    pub serial_number: Option<String>,
    pub mode: Mode,
}

impl Decoded {
    /// A flag is set: it marks the parameters (or the device's own names) that it affects, and may
    /// void them or say that nothing of this is a patient's.
    pub fn mark(
        &mut self,
        means: &str,
        affects: &[String],
        absent: Option<AbsentReason>,
        mode: Option<FlagMode>,
    ) {
        let marked = |reading: &&mut Reading| match &reading.code {
            DeviceCode::Parameter(name) => affects.contains(name),
            DeviceCode::Codings(codings) => {
                codings.iter().any(|coding| affects.contains(&coding.code))
            }
        };
        for reading in self.readings.iter_mut().filter(marked) {
            let flag = Flag(means.to_owned());
            // A bit and a word for the same thing are one mark.
            if !reading.flags.contains(&flag) {
                reading.flags.push(flag);
            }
            if let Some(reason) = absent {
                reading.value = Value::absent(reading.value.as_sent(), reason);
            }
        }
        // Of several modes the first in the file's order stands; none of them is a patient's.
        if let (Some(mode), Mode::Production) = (mode, self.mode) {
            self.mode = mode.mode();
        }
    }

    /// Something that the device said and no row explains stays as a mark on every value.
    pub fn mark_all(&mut self, text: &str) {
        for reading in &mut self.readings {
            reading.flags.push(Flag(text.to_owned()));
        }
    }

    /// Nothing of it can be trusted, for one reason.
    pub fn refuse_all(&mut self, refused: Refused) {
        self.readings.clear();
        self.refusals = vec![refused];
    }
}

/// The parameter that a row names, or the device's own name for what the vocabulary does not know.
pub(super) fn code_of(parameter: &str, code: &str) -> DeviceCode {
    if parameter.is_empty() {
        DeviceCode::Codings(vec![Coding::new(code, "", "")])
    } else {
        DeviceCode::Parameter(parameter.to_owned())
    }
}

/// Messages in the order in which they came, numbered within their session, and what is to be sent.
#[derive(Default)]
pub(super) struct Outbox {
    session: Session,
    next_number: u64,
    identity: Identity,
    trouble: Option<&'static str>,
    events: VecDeque<Event>,
}

impl Outbox {
    /// A new session begins; its messages are numbered from 0.
    pub fn open(&mut self, session: Session) {
        self.session = session;
        self.next_number = 0;
        self.identity = Identity::default();
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

    /// One line, frame or record.
    pub fn message(
        &mut self,
        raw: Vec<u8>,
        decoded: Decoded,
        completeness: Completeness,
        now: Moment,
    ) -> MessageId {
        let id = MessageId { session: self.session, number: self.next_number };
        self.next_number += 1;
        let groups = if decoded.readings.is_empty() {
            Vec::new()
        } else {
            vec![Group { mode: decoded.mode, ..Group::of(decoded.readings) }]
        };
        self.identify(decoded.serial_number, decoded.firmware.as_deref());
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
        id
    }

    /// A device that says its serial number is the same one until it says another.
    fn identify(&mut self, serial_number: Option<String>, firmware: Option<&str>) {
        let Some(serial_number) = serial_number.filter(|number| !number.is_empty()) else { return };
        let firmware = firmware.unwrap_or(&self.identity.firmware).to_owned();
        let identity = Identity { model: String::new(), serial_number, firmware };
        if identity != self.identity {
            self.identity.clone_from(&identity);
            self.events.push_back(Event::Identity(identity));
        }
    }

    /// Bytes for the device.
    pub fn send(&mut self, bytes: Vec<u8>) {
        self.events.push_back(Event::Send { bytes, to: Peer::STREAM });
    }

    /// What is wrong on the link; it is told when it changes.
    pub fn trouble(&mut self, words: Option<&'static str>) {
        if words != self.trouble {
            self.trouble = words;
            self.events.push_back(Event::Trouble { words: words.map(str::to_owned) });
        }
    }

    /// The next message, or the next bytes to send.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
