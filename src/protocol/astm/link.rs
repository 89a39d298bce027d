//! LIS01 framing, byte by byte: what was heard, never what it means (facts/lab.md 1.1 to 1.3).
//!
//! ```text
//! <STX> FN text <ETB|ETX> C1 C2 <CR> <LF>
//! ```
//!
//! | part | rule |
//! |---|---|
//! | FN | one digit 0 to 7; 1 after ENQ, then the next modulo 8 |
//! | text | no control characters but those that LIS01 lets through |
//! | C1 C2 | sum of FN through ETB/ETX modulo 256 in hexadecimal, either case |
//!
//! # ENQ and EOT inside an open frame
//! One flipped bit makes `E` an ENQ, `D` an EOT and CR an ENQ. Answering such an ENQ with ACK would
//! tell the sender that its frame has arrived. Inside an open frame both are therefore illegal
//! bytes, and the frame is refused at its end, so that it comes again. They count as what they say
//! only where the sender shows that it has stopped: EOT followed by ENQ, ENQ followed by STX, or
//! nothing for [`CONTROL_QUIET_MS`] after either. Between frames they count at once.

use super::profile::{AstmProfile, FrameNumbers, Trailer};
use crate::vocabulary::Why;

pub(super) const STX: u8 = 0x02;
pub(super) const ETX: u8 = 0x03;
pub(super) const EOT: u8 = 0x04;
pub(super) const ENQ: u8 = 0x05;
pub(super) const ACK: u8 = 0x06;
pub(super) const NAK: u8 = 0x15;
pub(super) const ETB: u8 = 0x17;
pub(super) const CR: u8 = 0x0D;
pub(super) const LF: u8 = 0x0A;

/// How long after an ENQ or EOT inside a frame nothing may follow for it to count: bytes of a frame
/// in flight are milliseconds apart, and no sender waits less than 15 s for its answer.
pub(super) const CONTROL_QUIET_MS: u64 = 1_000;

/// Before and after the text: STX FN, ETX C1 C2 CR LF.
const OVERHEAD_BYTES: usize = 7;

/// What the line said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// ENQ: a sender wants to begin (or begins anew, if a transmission was open).
    Enquiry,
    /// A frame that checks out and is the next one. [`Framer::accept`] or [`Framer::refuse`] it.
    Frame(Frame),
    /// The last accepted frame once more: its acknowledgement was lost.
    Duplicate,
    /// A frame that must be answered with NAK.
    Refused { raw: Vec<u8>, why: Why, detail: String },
    /// A frame that was begun and given up by the sender; nobody waits for an answer.
    Abandoned { raw: Vec<u8> },
    /// EOT.
    End,
    /// A byte between frames that belongs to nothing.
    Stray(u8),
}

/// A frame whose checksum and number are right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// From STX to the last byte of the trailer.
    pub raw: Vec<u8>,
    /// Where the terminator stands in `raw`.
    terminator_at: usize,
}

impl Frame {
    /// Where text begins in [`Frame::raw`]: behind STX and FN.
    pub(super) const TEXT_AT: usize = 2;

    pub(super) fn text(&self) -> &[u8] {
        self.raw.get(Self::TEXT_AT..self.terminator_at).unwrap_or_default()
    }

    /// Whether the sender says that its message ends here (ETX).
    pub(super) fn ends_message(&self) -> bool {
        self.raw.get(self.terminator_at) == Some(&ETX)
    }

    /// FN through terminator: what makes two frames the same.
    fn body(&self) -> &[u8] {
        self.raw.get(1..=self.terminator_at).unwrap_or_default()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Neutral,
    Between,
    Text,
    Check,
    Return,
    Feed,
}

/// The framing state of one link.
pub(super) struct Framer {
    phase: Phase,
    /// The frame number that comes next.
    expected: u8,
    /// FN through terminator of the last accepted frame of this transmission.
    last: Option<Vec<u8>>,
    raw: Vec<u8>,
    terminator_at: usize,
    /// How many characters of the checksum have come.
    check_digits: u8,
    /// The first reason to refuse the open frame, found before its end.
    flaw: Option<(Why, String)>,
    /// The byte before this one, kept even when the frame is too long to keep.
    previous: u8,
    trailer: Trailer,
    frame_numbers: FrameNumbers,
    /// The sender went on after a refused frame: what it sends until it begins anew has a hole in
    /// it, and eight frames later the numbers would fit again.
    astray: bool,
    /// Number and length of the refused frame that has to come again.
    refused: Option<(u8, usize)>,
    text_max: usize,
    also_allowed: Vec<u8>,
}

impl Framer {
    pub(super) fn new(profile: &AstmProfile) -> Self {
        Self {
            phase: Phase::Neutral,
            expected: 1,
            last: None,
            raw: Vec::new(),
            terminator_at: 0,
            check_digits: 0,
            flaw: None,
            previous: 0,
            trailer: profile.trailer,
            frame_numbers: profile.frame_numbers,
            astray: false,
            refused: None,
            text_max: profile.frame_text_limit(),
            also_allowed: profile.also_allowed_in_text.clone(),
        }
    }

    /// Whether the open frame's last byte is an ENQ or EOT, which counts if nothing follows.
    pub(super) fn holds_control(&self) -> bool {
        self.is_open() && matches!(self.previous, ENQ | EOT)
    }

    /// The open frame's bytes, given up.
    pub(super) fn give_up_frame(&mut self) -> Option<Vec<u8>> {
        if !self.is_open() {
            return None;
        }
        self.phase = Phase::Between;
        Some(std::mem::take(&mut self.raw))
    }

    /// Back to waiting for ENQ.
    pub(super) fn neutral(&mut self) {
        self.phase = Phase::Neutral;
        self.last = None;
        self.astray = false;
        self.refused = None;
        self.raw.clear();
    }

    /// A transmission begins: the first frame is number 1.
    fn begin(&mut self) {
        self.neutral();
        self.phase = Phase::Between;
        self.expected = 1;
    }

    /// The frame counts: the next number is expected.
    pub(super) fn accept(&mut self, frame: &Frame) {
        self.expected = (self.expected + 1) % 8;
        self.last = Some(frame.body().to_vec());
        self.refused = None;
    }

    /// The port saw an error on the line: the open frame cannot be trusted.
    pub(super) fn line_error(&mut self) {
        if self.is_open() {
            self.flaw(Why::IllegalByte, "the serial port saw a line error inside the frame");
        }
    }

    /// An ENQ or EOT inside the open frame after which nothing came.
    pub(super) fn quiet(&mut self, heard: &mut Vec<Heard>) {
        let control = self.previous;
        if self.holds_control() {
            self.abandon(heard);
            self.between(control, heard);
        }
    }

    /// One byte.
    pub(super) fn byte(&mut self, byte: u8, heard: &mut Vec<Heard>) {
        match self.phase {
            Phase::Neutral => self.in_neutral(byte, heard),
            Phase::Between => self.between(byte, heard),
            Phase::Text | Phase::Check | Phase::Return | Phase::Feed => self.open(byte, heard),
        }
        self.previous = byte;
    }

    /// Whether a frame was begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Neutral | Phase::Between)
    }

    /// How much of the open frame has come, as far as it is kept.
    pub(super) fn open_bytes(&self) -> usize {
        self.raw.len()
    }

    fn in_neutral(&mut self, byte: u8, heard: &mut Vec<Heard>) {
        if byte == ENQ {
            self.begin();
            heard.push(Heard::Enquiry);
        } else {
            heard.push(Heard::Stray(byte));
        }
    }

    fn between(&mut self, byte: u8, heard: &mut Vec<Heard>) {
        match byte {
            STX => {
                self.phase = Phase::Text;
                self.raw = vec![STX];
                self.terminator_at = 0;
                self.flaw = None;
            }
            EOT => {
                self.neutral();
                heard.push(Heard::End);
            }
            ENQ => {
                self.begin();
                heard.push(Heard::Enquiry);
            }
            CR | LF => {}
            stray => heard.push(Heard::Stray(stray)),
        }
    }

    fn open(&mut self, byte: u8, heard: &mut Vec<Heard>) {
        match (self.previous, byte) {
            (EOT, ENQ) => {
                self.abandon(heard);
                self.between(EOT, heard);
                self.in_neutral(ENQ, heard);
                return;
            }
            (ENQ, STX) => {
                self.abandon(heard);
                self.between(ENQ, heard);
                self.between(STX, heard);
                return;
            }
            (_, STX) => {
                // A checked frame without its trailer is refused; a broken one just begins anew.
                if matches!(self.phase, Phase::Return | Phase::Feed) {
                    self.flaw(Why::TooShort, "expected CR LF behind the checksum, got STX");
                    self.finish(heard);
                } else {
                    self.abandon(heard);
                }
                self.between(STX, heard);
                return;
            }
            _ => {}
        }
        if self.phase == Phase::Feed && matches!(self.previous, ENQ | EOT) && byte != LF {
            // The frame ended in something else than LF; what follows is no longer part of it.
            self.finish(heard);
            self.between(byte, heard);
            return;
        }
        self.keep(byte);
        match self.phase {
            Phase::Text => self.text(byte),
            Phase::Check => self.check(byte, heard),
            Phase::Return => {
                if byte != CR {
                    self.flaw(Why::IllegalByte, "expected CR behind the checksum");
                }
                self.phase = Phase::Feed;
            }
            Phase::Feed => {
                if byte != LF {
                    self.flaw(Why::IllegalByte, "expected LF behind the checksum and CR");
                }
                if !matches!(byte, ENQ | EOT) {
                    self.finish(heard);
                }
            }
            Phase::Neutral | Phase::Between => {}
        }
    }

    fn keep(&mut self, byte: u8) {
        if self.raw.len() < self.text_max + OVERHEAD_BYTES {
            self.raw.push(byte);
        } else {
            self.flaw(Why::TooLong, "the frame is longer than frame_text_max allows");
        }
    }

    fn text(&mut self, byte: u8) {
        if matches!(byte, ETX | ETB) {
            self.terminator_at = self.raw.len().saturating_sub(1);
            if self.terminator_at > self.text_max + Frame::TEXT_AT {
                self.flaw(Why::TooLong, "the frame is longer than frame_text_max allows");
            }
            self.check_digits = 0;
            self.phase = Phase::Check;
        } else if is_restricted(byte) && !self.also_allowed.contains(&byte) {
            self.flaw(
                Why::IllegalByte,
                &format!("control character {byte:02X} inside the text of a frame"),
            );
        }
    }

    fn check(&mut self, byte: u8, heard: &mut Vec<Heard>) {
        if is_restricted(byte) {
            self.flaw(
                Why::IllegalByte,
                &format!("control character {byte:02X} in the checksum of a frame"),
            );
        }
        self.check_digits += 1;
        if self.check_digits == 2 {
            match self.trailer {
                Trailer::CrLf => self.phase = Phase::Return,
                Trailer::Optional => self.finish(heard),
            }
        }
    }

    /// The whole frame is there: judge it.
    fn finish(&mut self, heard: &mut Vec<Heard>) {
        self.phase = Phase::Between;
        let frame = Frame { raw: std::mem::take(&mut self.raw), terminator_at: self.terminator_at };
        let flaw = self.flaw.take().or_else(|| self.judge(&frame));
        match flaw {
            Some((why, detail)) => {
                self.astray |= why == Why::FrameNumber;
                let number = frame.body().first().copied().unwrap_or_default();
                self.refused.get_or_insert((number, frame.raw.len()));
                heard.push(Heard::Refused { raw: frame.raw, why, detail });
            }
            None if self.last.as_deref() == Some(frame.body()) => heard.push(Heard::Duplicate),
            None => heard.push(Heard::Frame(frame)),
        }
    }

    /// Checksum first: the number of a damaged frame means nothing.
    fn judge(&self, frame: &Frame) -> Option<(Why, String)> {
        let sum = frame.body().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        let sent = frame.raw.get(frame.terminator_at + 1..frame.terminator_at + 3);
        match sent.and_then(hexadecimal) {
            Some(sent) if sent == sum => {}
            Some(sent) => {
                return Some((Why::Checksum, format!("expected {sum:02X}, got {sent:02X}")));
            }
            None => {
                let detail = format!("expected {sum:02X}, got no hexadecimal digits");
                return Some((Why::Checksum, detail));
            }
        }
        let number = match frame.body().first() {
            Some(digit @ b'0'..=b'7') => digit - b'0',
            Some(_) | None => {
                return Some((Why::FrameNumber, "expected a frame number 0 to 7".to_owned()));
            }
        };
        // The last number again is a repeat only if the whole frame is the same: anything else
        // under that number has never been accepted and may not be acknowledged.
        let repeats = self.last.as_deref() == Some(frame.body());
        if repeats {
            return None;
        }
        if self.astray {
            let detail = "the sender went on after a refused frame: nothing is taken until it \
                          begins anew";
            return Some((Why::FrameNumber, detail.to_owned()));
        }
        let (fits, wanted) = match (self.frame_numbers, self.refused) {
            (FrameNumbers::Checked, _) => (number == self.expected, self.expected),
            (FrameNumbers::NotChecked, None) => (true, number),
            // Without numbers only the refused frame itself may follow its refusal.
            (FrameNumbers::NotChecked, Some((refused, bytes))) => {
                (refused == b'0' + number && bytes == frame.raw.len(), refused.wrapping_sub(b'0'))
            }
        };
        (!fits).then(|| {
            let detail = format!("expected frame number {wanted}, got {number}");
            (Why::FrameNumber, detail)
        })
    }

    fn abandon(&mut self, heard: &mut Vec<Heard>) {
        if let Some(raw) = self.give_up_frame() {
            heard.push(Heard::Abandoned { raw });
        }
    }

    fn flaw(&mut self, why: Why, detail: &str) {
        if self.flaw.is_none() {
            self.flaw = Some((why, detail.to_owned()));
        }
    }
}

/// The control characters that LIS01 keeps out of message text (facts/lab.md 1.1). CR is not among
/// them: it ends records.
fn is_restricted(byte: u8) -> bool {
    matches!(byte, 0x01..=0x06 | LF | 0x10..=0x17)
}

fn hexadecimal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(text, 16).ok()
}
