//! Records without LIS01 (facts/lab.md 1.5, "no LIS01 at all"): a message is cut from H to L.
//!
//! There is no checksum and no acknowledgement: what the line damages stays damaged unless the port
//! saw it. A message in which the port saw an error gives no readings.

use super::Desk;
use super::assembly::Assembly;
use super::link::{CR, LF};
use super::profile::EndsWithLRecord;
use crate::protocol::Completeness;
use crate::vocabulary::{Moment, Why};

/// How long an L record without its CR may stand last before it counts as the end.
const L_RECORD_QUIET_MS: u64 = 1_000;
/// How long bytes that belong to no message are gathered before they go out as one.
const STRAY_GATHER_MS: u64 = 5_000;

#[derive(Default)]
pub(super) struct Bare {
    assembly: Assembly,
    state: State,
    /// Whether the byte before was part of a record.
    inside_record: bool,
    line_error: bool,
    /// When the last byte came, while anything is unfinished.
    last_byte: Option<Moment>,
    receiver_timer_ms: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Inside,
}

impl Bare {
    pub(super) fn receive(&mut self, bytes: &[u8], now: Moment, desk: &mut Desk) {
        self.receiver_timer_ms = desk.profile.receiver_timer_ms;
        self.wake(now, desk);
        for byte in bytes {
            self.byte(*byte, now, desk);
        }
        self.last_byte = (!self.assembly.is_empty()).then_some(now);
    }

    pub(super) fn line_error(&mut self) {
        self.line_error = self.state == State::Inside;
    }

    pub(super) fn wake(&mut self, now: Moment, desk: &mut Desk) {
        if self.next_wake().is_some_and(|due| due.monotonic_us() <= now.monotonic_us()) {
            self.finish(Why::TimedOut, "nothing came for longer than the timer", now, desk);
            self.inside_record = false;
        }
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        let quiet_ms = match self.state {
            State::Outside => STRAY_GATHER_MS,
            State::Inside if self.assembly.ends_in_open_l_record() => L_RECORD_QUIET_MS,
            State::Inside => self.receiver_timer_ms,
        };
        self.last_byte.map(|last| last.plus_ms(quiet_ms))
    }

    pub(super) fn close(&mut self, now: Moment, desk: &mut Desk) {
        self.finish(Why::Incomplete, "the link closed before the end of the message", now, desk);
        self.inside_record = false;
    }

    fn byte(&mut self, byte: u8, now: Moment, desk: &mut Desk) {
        if byte == b'H' && !self.inside_record {
            self.finish(Why::Incomplete, "a new H record before the L record", now, desk);
            self.state = State::Inside;
        }
        self.inside_record = !matches!(byte, CR | LF);
        match self.state {
            State::Outside if self.assembly.is_empty() && !self.inside_record => {}
            State::Outside => self.assembly.stray(byte),
            State::Inside if !self.assembly.has_room_for(1) => {
                self.finish(Why::TooLong, "the message is longer than it may be", now, desk);
            }
            State::Inside => {
                self.assembly.bare(byte);
                let ended = self.assembly.message_end().is_some();
                if ended && desk.profile.ends_with_l_record == EndsWithLRecord::Yes {
                    self.finish(Why::Incomplete, "", now, desk);
                }
            }
        }
    }

    /// Hands over what is there: whole if it came to its end.
    fn finish(&mut self, why: Why, detail: &str, now: Moment, desk: &mut Desk) {
        let mut assembly = std::mem::take(&mut self.assembly);
        let inside = self.state == State::Inside;
        let damaged = std::mem::take(&mut self.line_error);
        self.state = State::Outside;
        self.last_byte = None;
        if assembly.is_empty() {
            return;
        }
        let ended = assembly.message_end().is_some() || assembly.ends_in_open_l_record();
        let whole = match desk.profile.ends_with_l_record {
            EndsWithLRecord::Yes => ended,
            EndsWithLRecord::No => !assembly.is_cut_off() && why != Why::TooLong,
        };
        if inside && damaged {
            assembly.stopped(Why::IllegalByte, "the serial port saw a line error in this message");
            desk.hand_over(&assembly, 0, Completeness::Incomplete, now);
        } else if !inside || whole {
            desk.hand_over(&assembly, assembly.text_len(), Completeness::Complete, now);
        } else {
            assembly.stopped(why, detail);
            desk.hand_over(&assembly, assembly.text_len(), Completeness::Incomplete, now);
        }
    }
}
