//! Family `unity`: GE Dash and Solar monitors on the "Unity" network, over UDP (facts/monitors.md
//! 5). Big-endian, without a checksum of its own; known from one capture of one Dash 4000, so what
//! the capture does not show is kept and not read.
//!
//! | datagram | bytes | what becomes of it |
//! |---|---|---|
//! | numerics, from port 3011 | 126 + 70 for each parameter | a message of readings |
//! | alarm, broadcast to 7001 | 84, every 2 s | an event when it changes |
//! | discovery, broadcast to 7000 | 88 | not kept: nothing in it but bed and **patient's name** |
//! | waves, from port 3009 | 699 | not kept: nobody asks for them |
//!
//! The monitor sends numerics while it is asked every 5 s. The request is the one of the capture,
//! byte for byte. There is no time in what it sends, and a cuff pressure repeats in every datagram:
//! it is told when it changes, and has no time of its own.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Completeness, Driver, Event, LinkChange, Message, MessageId, Peer, Session, Settled};
use crate::vocabulary::{Group, Moment, Reading, Refused, Why};

mod alarm;
mod numerics;
mod profile;

pub use profile::UnityProfile;

/// The request for numerics as it stands in the capture (function 00CA, sub-function 0060). Its
/// first 12 bytes stand where a monitor would say its addresses, and the name of the asking bed is
/// the capture's, `HOME|B-02`.
pub const REQUEST: [u8; 62] = [
    0x00, 0x25, 0x15, 0xfc, 0x00, 0x00, 0x00, 0x00, 0x00, 0x25, 0x15, 0xe4, // addresses
    0x00, 0xca, 0x00, 0x60, 0x00, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29, // what is asked
    0x48, 0x4f, 0x4d, 0x45, 0x7c, 0x42, 0x2d, 0x30, 0x32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

/// The request is repeated in this time, or the monitor stops.
pub const REQUEST_EVERY_MS: u64 = 5_000;
/// Numerics come every 2 s; after so long without them something is wrong.
const SILENT_MS: u64 = 10_000;

const DISCOVERY_BYTES: usize = 88;
const DISCOVERY_START: [u8; 4] = [1, 4, 0, 0];
const WAVES_BYTES: usize = 699;
const WAVES_PORT: Peer = Peer(3009);

/// Reads one monitor.
pub struct UnityDriver {
    profile: Arc<UnityProfile>,
    /// When the next request goes out, while the link is up.
    next_request: Option<Moment>,
    has_asked: bool,
    /// When numerics came last, or the link came up.
    heard: Option<Moment>,
    in_trouble: bool,
    /// The number of the last numerics.
    sequence: Option<u16>,
    /// A number that seemed late: when the next one follows it, the monitor counts anew.
    late: Option<u16>,
    /// The cuff pressure that was told last, while it is shown.
    cuff: Option<[i16; 3]>,
    /// What the last alarm datagram said.
    alarm: Vec<u8>,
    session: Session,
    next_number: u64,
    events: VecDeque<Event>,
}

impl UnityDriver {
    /// A driver for one monitor.
    pub fn new(profile: Arc<UnityProfile>) -> Self {
        Self {
            profile,
            next_request: None,
            has_asked: false,
            heard: None,
            in_trouble: false,
            sequence: None,
            late: None,
            cuff: None,
            alarm: Vec::new(),
            session: Session::default(),
            next_number: 0,
            events: VecDeque::new(),
        }
    }

    fn numerics(&mut self, datagram: &[u8], now: Moment) {
        let read = match numerics::read(datagram) {
            Ok(read) => read,
            Err(refused) => return self.message(datagram, Vec::new(), vec![refused], now),
        };
        self.heard = Some(now);
        self.trouble(None);
        let at = numerics::SEQUENCE_AT..numerics::SEQUENCE_AT + 2;
        let (lost, is_late) = self.followed(read.sequence);
        if is_late {
            let what = "the same number as before, or an earlier one: not read again";
            let refused = Refused::new(Why::FrameNumber, at, what);
            return self.message(datagram, Vec::new(), vec![refused], now);
        }
        let mut refusals = Vec::new();
        if lost > 0 {
            let what = format!("{lost} datagrams before this one were lost, by their numbers");
            refusals.push(Refused::new(Why::FrameNumber, at, what));
        }
        let mut groups = Vec::new();
        if !read.readings.is_empty() {
            groups.push(Group::of(read.readings));
        }
        if let Some((values, readings)) = read.cuff {
            groups.extend(self.cuff(values, readings));
        }
        self.message(datagram, groups, refusals, now);
    }

    /// How many were lost before this one, and whether it comes twice or too late. A number that is
    /// far from the last one, or follows one that seemed late, is a monitor's that counts anew.
    fn followed(&mut self, sequence: u16) -> (u16, bool) {
        const NEAR: u16 = 64;
        let Some(before) = self.sequence else {
            self.sequence = Some(sequence);
            return (0, false);
        };
        let ahead = sequence.wrapping_sub(before);
        let counts_anew = self.late.is_some_and(|late| sequence == late.wrapping_add(1));
        let is_late = (ahead == 0 || ahead > u16::MAX - NEAR) && !counts_anew;
        self.late = is_late.then_some(sequence);
        if !is_late {
            self.sequence = Some(sequence);
        }
        if counts_anew {
            return (0, false);
        }
        let lost = ahead.wrapping_sub(1);
        (if is_late || lost >= NEAR { 0 } else { lost }, is_late)
    }

    /// A cuff pressure that is new. One that is no longer shown is new when it is shown again.
    fn cuff(&mut self, values: [i16; 3], readings: Vec<Reading>) -> Option<Group> {
        if values.iter().all(|raw| numerics::absent(*raw).is_some()) {
            self.cuff = None;
            return None;
        }
        let is_new = self.cuff.replace(values) != Some(values);
        is_new.then(|| Group::of(readings))
    }

    /// An alarm is broadcast again and again while it lasts; it is an event when it changes.
    fn alarm(&mut self, datagram: &[u8], now: Moment) {
        match alarm::read(datagram) {
            Ok((group, said)) => {
                let is_new = self.alarm != said;
                self.alarm = said;
                let groups = if is_new { vec![group] } else { Vec::new() };
                self.message(datagram, groups, Vec::new(), now);
            }
            Err(refused) => self.message(datagram, Vec::new(), vec![refused], now),
        }
    }

    fn message(
        &mut self,
        datagram: &[u8],
        groups: Vec<Group>,
        refusals: Vec<Refused>,
        now: Moment,
    ) {
        let id = MessageId { session: self.session, number: self.next_number };
        self.next_number += 1;
        self.events.push_back(Event::Message(Message {
            id,
            raw: datagram.to_vec(),
            received: now,
            groups,
            refusals,
            completeness: Completeness::Complete,
            // Nothing in it has a time: two equal ones are two.
            repeat_basis: None,
            firmware: None,
        }));
    }

    fn trouble(&mut self, words: Option<&str>) {
        if self.in_trouble != words.is_some() {
            self.in_trouble = words.is_some();
            self.events.push_back(Event::Trouble { words: words.map(str::to_owned) });
        }
    }
}

impl Driver for UnityDriver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                (self.session, self.next_number) = (session, 0);
                self.sequence = None;
                self.heard = Some(now);
                self.has_asked = false;
                // Whoever had the link before may just have asked.
                self.next_request = self.profile.ask.then(|| now.plus_ms(REQUEST_EVERY_MS));
            }
            LinkChange::Closed => (self.next_request, self.heard) = (None, None),
            // Datagrams come whole.
            LinkChange::LineError(_) => {}
        }
    }

    fn receive(&mut self, datagram: &[u8], from: Peer, now: Moment) {
        match (datagram.len(), datagram.get(12..16)) {
            (DISCOVERY_BYTES, _) if datagram.starts_with(&DISCOVERY_START) => {}
            (WAVES_BYTES, _) if from == WAVES_PORT => {}
            (_, Some(numerics::FUNCTION)) => self.numerics(datagram, now),
            (_, Some(alarm::FUNCTION)) => self.alarm(datagram, now),
            (bytes, _) => {
                let what = format!("{bytes} bytes that are no datagram of the capture");
                let refused = Refused::new(Why::UnknownMessage, 0..bytes, what);
                self.message(datagram, Vec::new(), vec![refused], now);
            }
        }
    }

    fn settled(&mut self, _message: MessageId, _how: Settled, _now: Moment) {
        // The monitor waits for no acknowledgement.
    }

    fn wake(&mut self, now: Moment) {
        if self.next_request.is_none_or(|next| now < next) {
            return;
        }
        let is_silent = self.heard.is_some_and(|heard| now.since_ms(heard) >= SILENT_MS);
        if is_silent && self.has_asked {
            self.trouble(Some(
                "the monitor sends no numerics although it is asked every 5 s. Is it on, and does \
                 its network let this box ask?",
            ));
        }
        self.has_asked = true;
        self.next_request = Some(now.plus_ms(REQUEST_EVERY_MS));
        self.events.push_back(Event::Send { bytes: REQUEST.to_vec(), to: Peer::STREAM });
    }

    fn next_wake(&self) -> Option<Moment> {
        self.next_request
    }

    fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests;
