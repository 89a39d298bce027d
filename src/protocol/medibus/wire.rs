//! MEDIBUS framing, byte by byte: what was heard, never what it means (facts/monitors.md 3.2, 3.4).
//!
//! ```text
//! command  1B code arguments C C 0D
//! reply    01 code data      C C 0D
//! ```
//!
//! | byte | rule |
//! |---|---|
//! | C C | low 8 bits of the sum from 1B or 01 up to the byte before, two hexadecimal capitals |
//! | 80H and above | real-time data, anywhere, also inside a frame; no part of it or of its sum |
//! | 1B inside a reply | a command that is embedded in it; it ends with its own 0D |
//! | 11H, 13H | suspend, resume: the opposite of XON/XOFF, anywhere |
//! | 18H | what is being sent is cancelled |
//!
//! # The checksum's weakness
//! A sum of bytes misses two flips that cancel out, and one damaged frame in 256 at random. So
//! `payload` refuses a frame whole unless every entry of it has its form.

use crate::vocabulary::{Moment, Why};

pub(super) const SOH: u8 = 0x01;
pub(super) const ETX: u8 = 0x03;
pub(super) const CR: u8 = 0x0D;
pub(super) const DC1: u8 = 0x11;
pub(super) const DC3: u8 = 0x13;
pub(super) const CAN: u8 = 0x18;
pub(super) const ESC: u8 = 0x1B;
/// The code of a reply to a command that came damaged or is not known.
pub(super) const NAK: u8 = 0x15;

/// The longest arguments of a command and the longest data of a reply (facts/monitors.md 3.2).
const ARGUMENTS_MAX: usize = 251;
const DATA_MAX: usize = 3845;

/// Start, code, two digits.
const OVERHEAD: usize = 4;

/// A reply with everything that was interleaved; more is no reply that ends.
const RAW_MAX: usize = 64 * 1024;

/// A stretch that belongs to nothing is handed over when it has grown to this.
const STRAY_MAX: usize = 4096;

/// Or when it is so old.
const STRAY_MS: u64 = 1000;

/// A command or a reply in the form in which it is sent.
pub(super) fn framed(start: u8, code: u8, text: &[u8]) -> Vec<u8> {
    let mut frame = vec![start, code];
    frame.extend_from_slice(text);
    frame.extend(digits_of(&frame));
    frame.push(CR);
    frame
}

fn digits_of(summed: &[u8]) -> [u8; 2] {
    let sum = summed.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    [digit(sum >> 4), digit(sum & 0x0f)]
}

/// What the line said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The device answers.
    Reply(Frame),
    /// The device asks.
    Command(Frame),
    /// Bytes that are no frame, and why. `command`: the device waits for an answer to it.
    Damaged { raw: Vec<u8>, why: Why, detail: String, command: Ended },
    /// A byte of real-time data.
    Realtime(u8),
    /// The device wants nothing more for now.
    Suspend,
    /// It may be spoken to again.
    Resume,
    /// It has given up what it was sending.
    Cancelled,
}

/// What a damaged stretch was going to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// A command that came to its end.
    Command,
    /// A reply that came to its end or was given up.
    Reply,
    /// Neither.
    Nothing,
}

/// A frame whose checksum is right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub code: u8,
    /// Arguments or data, nothing interleaved.
    pub text: Vec<u8>,
    /// Every byte as it came, with what was interleaved.
    pub raw: Vec<u8>,
    /// Where each byte of `text` stands in `raw`.
    places: Vec<usize>,
}

impl Frame {
    /// Where a range of [`Frame::text`] stands in [`Frame::raw`]; the whole frame if it is empty.
    pub(super) fn at(&self, text: std::ops::Range<usize>) -> std::ops::Range<usize> {
        let places = self.places.get(text).unwrap_or_default();
        match (places.first(), places.last()) {
            (Some(first), Some(last)) => *first..*last + 1,
            _ => 0..self.raw.len(),
        }
    }
}

/// A frame that has begun.
struct Open {
    is_reply: bool,
    raw: Vec<u8>,
    /// From start byte to the last byte before CR.
    body: Vec<u8>,
    /// Where each byte of `body` stands in `raw`.
    places: Vec<usize>,
    flaw: Option<(Why, &'static str)>,
}

impl Open {
    fn new(start: u8) -> Self {
        Self {
            is_reply: start == SOH,
            raw: vec![start],
            body: vec![start],
            places: vec![0],
            flaw: None,
        }
    }

    fn push(&mut self, byte: u8) {
        // The code may be NAK; ETX ends a text; nothing else below the blank is ever sent.
        let is_code = self.body.len() == 1;
        if !(is_code || byte == ETX || matches!(byte, 0x20..=0x7e)) {
            self.flaw.get_or_insert((Why::IllegalByte, "a control character inside a frame"));
        }
        let max = OVERHEAD + if self.is_reply { DATA_MAX } else { ARGUMENTS_MAX };
        if self.body.len() >= max {
            self.flaw.get_or_insert((Why::TooLong, "longer than the protocol allows"));
        } else {
            self.places.push(self.raw.len());
            self.body.push(byte);
        }
        self.raw.push(byte);
    }

    fn ended(mut self) -> Heard {
        self.raw.push(CR);
        let command = if self.is_reply { Ended::Reply } else { Ended::Command };
        let refused = |raw, why, detail: String| Heard::Damaged { raw, why, detail, command };
        if let Some((why, detail)) = self.flaw {
            return refused(self.raw, why, detail.to_owned());
        }
        if self.body.len() < OVERHEAD {
            return refused(self.raw, Why::TooShort, "no room for code and checksum".to_owned());
        }
        let sent = self.body.split_off(self.body.len() - 2);
        let computed = digits_of(&self.body);
        if sent != computed {
            let shown = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
            let detail = format!("expected {}, got {}", shown(&computed), shown(&sent));
            return refused(self.raw, Why::Checksum, detail);
        }
        let code = self.body.get(1).copied().unwrap_or_default();
        let text = self.body.split_off(2);
        let places = self.places.drain(2..2 + text.len()).collect();
        let frame = Frame { code, text, raw: self.raw, places };
        if self.is_reply { Heard::Reply(frame) } else { Heard::Command(frame) }
    }

    fn given_up(self, why: Why, detail: &str) -> Heard {
        let command = if self.is_reply { Ended::Reply } else { Ended::Nothing };
        Heard::Damaged { raw: self.raw, why, detail: detail.to_owned(), command }
    }
}

/// The framing state of one link.
#[derive(Default)]
pub(super) struct Framer {
    /// The reply or command that is under way.
    outer: Option<Open>,
    /// A command that is embedded in a reply.
    inner: Option<Open>,
    stray: Vec<u8>,
    stray_begun: Option<Moment>,
    heard: std::collections::VecDeque<Heard>,
}

impl Framer {
    /// Whether a frame has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.outer.is_some()
    }

    /// What was heard, in order.
    pub(super) fn next(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    pub(super) fn take(&mut self, byte: u8, now: Moment) {
        match byte {
            0x80.. => {
                self.beside(byte);
                self.heard.push_back(Heard::Realtime(byte));
            }
            DC1 => {
                self.beside(byte);
                self.heard.push_back(Heard::Suspend);
            }
            DC3 => {
                self.beside(byte);
                self.heard.push_back(Heard::Resume);
            }
            CAN => {
                self.beside(byte);
                self.give_up(Why::Incomplete, "the device cancelled what it was sending");
                self.heard.push_back(Heard::Cancelled);
            }
            SOH => {
                self.give_up(Why::Incomplete, "another reply began before the end of this one");
                self.flush_stray();
                self.outer = Some(Open::new(SOH));
            }
            ESC => self.escape(),
            CR => self.end(now),
            _ => self.text(byte, now),
        }
        if self.outer.as_ref().is_some_and(|open| open.raw.len() > RAW_MAX) {
            self.give_up(Why::TooLong, "longer than any reply with what is interleaved in it");
        }
    }

    /// What is interleaved belongs to the raw bytes of the frames around it.
    fn beside(&mut self, byte: u8) {
        self.outer.iter_mut().for_each(|open| open.raw.push(byte));
        self.inner.iter_mut().for_each(|open| open.raw.push(byte));
    }

    fn escape(&mut self) {
        self.flush_stray();
        if let Some(inner) = self.inner.take() {
            let detail = "another command began before the end of this one";
            self.heard.push_back(inner.given_up(Why::Incomplete, detail));
        }
        match &mut self.outer {
            Some(open) if open.is_reply => {
                open.raw.push(ESC);
                self.inner = Some(Open::new(ESC));
            }
            Some(_) | None => {
                let detail = "another command began before the end of this one";
                self.give_up(Why::Incomplete, detail);
                self.outer = Some(Open::new(ESC));
            }
        }
    }

    fn end(&mut self, now: Moment) {
        if let Some(inner) = self.inner.take() {
            self.outer.iter_mut().for_each(|open| open.raw.push(CR));
            let ended = inner.ended();
            let damaged = matches!(ended, Heard::Damaged { .. });
            self.heard.push_back(ended);
            // A flipped bit makes an ESC of data, and this CR was the reply's own.
            if damaged {
                self.give_up(Why::Incomplete, "what is embedded in this reply is damaged");
            }
        } else if let Some(outer) = self.outer.take() {
            self.heard.push_back(outer.ended());
        } else {
            self.stray_byte(CR, now);
        }
    }

    fn text(&mut self, byte: u8, now: Moment) {
        match (&mut self.inner, &mut self.outer) {
            (Some(inner), outer) => {
                inner.push(byte);
                outer.iter_mut().for_each(|open| open.raw.push(byte));
            }
            (None, Some(outer)) => outer.push(byte),
            (None, None) => self.stray_byte(byte, now),
        }
    }

    fn stray_byte(&mut self, byte: u8, now: Moment) {
        self.stray.push(byte);
        self.stray_begun.get_or_insert(now);
        if self.stray.len() >= STRAY_MAX {
            self.flush_stray();
        }
    }

    fn flush_stray(&mut self) {
        self.stray_begun = None;
        if self.stray.is_empty() {
            return;
        }
        let raw = std::mem::take(&mut self.stray);
        let detail = "bytes outside any frame".to_owned();
        let heard = Heard::Damaged { raw, why: Why::Resync, detail, command: Ended::Nothing };
        self.heard.push_back(heard);
    }

    /// The port saw an error on the line: what is open is damaged.
    pub(super) fn line_error(&mut self) {
        for open in self.outer.iter_mut().chain(&mut self.inner) {
            open.flaw.get_or_insert((Why::IllegalByte, "the port saw an error in this frame"));
        }
    }

    /// Nothing more will come of what is open; its raw bytes hold those of an embedded command.
    pub(super) fn give_up(&mut self, why: Why, detail: &str) {
        self.inner = None;
        if let Some(outer) = self.outer.take() {
            self.heard.push_back(outer.given_up(why, detail));
        }
    }

    /// The link closes or is opened anew.
    pub(super) fn close(&mut self, detail: &str) {
        self.flush_stray();
        self.give_up(Why::Incomplete, detail);
    }

    /// Hands over what belongs to nothing once it is old.
    pub(super) fn wake(&mut self, now: Moment) {
        if self.next_wake().is_some_and(|due| now >= due) {
            self.flush_stray();
        }
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        self.stray_begun.map(|begun| begun.plus_ms(STRAY_MS))
    }
}
