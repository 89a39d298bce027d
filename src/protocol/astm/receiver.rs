//! The receiver's side of the LIS01 conversation: replies, timers, settlements (facts/lab.md 1.3).
//!
//! | heard | while | reply |
//! |---|---|---|
//! | ENQ | neutral | ACK; ENQ directly followed by EOT is a keep-alive and says nothing |
//! | ENQ | receiving | what was acknowledged goes out incomplete, then ACK: the sender began anew |
//! | next frame | inside a message | ACK |
//! | next frame | ending a message | nothing until settled: ACK, or NAK if it was not kept |
//! | last frame again | | ACK |
//! | any other frame | | NAK, kept as a refusal |
//! | EOT, silence, link closed | receiving | none; what was acknowledged goes out incomplete |
//!
//! # A settlement that comes late
//! An ACK that arrives when the sender no longer waits for it would be taken for the answer to its
//! next ENQ or frame, so that it runs one answer ahead and believes frames delivered that are not.
//! - After `sender_timer_ms`, less a margin for the line, no answer is sent: we are neutral. The
//!   sender gives up, too, and sends the message again, which is then found to be a repeat.
//! - EOT in a later read: the sender gave up. No answer, neutral.
//! - Where the last thing that waits is an ENQ, the sender waits for the answer to that: it gets
//!   one ACK, for the ENQ, once the message is durable; or one NAK if it was not kept.
//! - EOT in the same read as the frame comes from a peer that does not wait for answers. It gets
//!   its ACK as if it did.

use std::collections::VecDeque;

use super::assembly::Assembly;
use super::link::{ACK, CONTROL_QUIET_MS, ENQ, EOT, Frame, Framer, Heard, NAK};
use super::profile::{AstmProfile, EndsWithLRecord};
use super::stray::Stray;
use super::{Desk, context};
use crate::protocol::{Completeness, MESSAGE_BYTES_MAX, Settled};
use crate::vocabulary::{Moment, Why};

/// How long before the end of the sender's timer the last ACK may leave: it must still arrive.
const LINE_MARGIN_MS: u64 = 500;
/// A frame that is still growing is not cut off by the receiver's timer: 64 000 bytes at 9600 baud
/// take 67 s. After this long without a byte it has stopped growing.
const FRAME_STALLED_MS: u64 = 5_000;
/// The slowest that a growing frame may come: 1,200 baud, the slowest line that is usual
/// (facts/lab.md 1.1), brings a byte in less. A peer that sends a byte now and then does not grow.
const SLOWEST_MS_PER_BYTE: u64 = 10;
/// How much is kept that comes while a settlement is awaited. A sender that waits for its answer
/// sends nothing then; one that does not gets room for one more message of the largest size.
const WAITING_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

pub(super) struct Receiver {
    framer: Framer,
    /// The message that is being received.
    assembly: Assembly,
    /// Between ENQ and EOT.
    receiving: bool,
    owed: Option<Owed>,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    waiting_lost: usize,
    stray: Stray,
    replied: Moment,
    last_byte: Moment,
    /// Counts the reads, to tell what came together.
    read: u64,
    receiver_timer_ms: u64,
    answer_within_ms: u64,
    ends_with_l_record: EndsWithLRecord,
}

/// The answer to a frame that waits for its message to be settled.
struct Owed {
    number: u64,
    frame: Frame,
    /// The message as it was before that frame, if the frame has to be taken back.
    before: Assembly,
    /// What that frame already holds of the next message.
    next: Assembly,
    since: Moment,
    read: u64,
}

struct Waiting {
    read: u64,
    came: Moment,
    bytes: Vec<u8>,
}

impl Receiver {
    pub(super) fn new(profile: &AstmProfile) -> Self {
        let start = Moment::new(0, 0, crate::vocabulary::Certainty::Unproven);
        Self {
            framer: Framer::new(profile),
            assembly: Assembly::default(),
            receiving: false,
            owed: None,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            waiting_lost: 0,
            stray: Stray::default(),
            replied: start,
            last_byte: start,
            read: 0,
            receiver_timer_ms: profile.receiver_timer_ms,
            answer_within_ms: profile.sender_timer_ms.saturating_sub(LINE_MARGIN_MS),
            ends_with_l_record: profile.ends_with_l_record,
        }
    }

    pub(super) fn receive(&mut self, bytes: &[u8], now: Moment, desk: &mut Desk) {
        self.expire(now, desk);
        self.read += 1;
        let gave_up = self.owed.is_some() && bytes.contains(&EOT);
        self.keep_waiting(bytes, now);
        if gave_up {
            self.forget_owed(now, desk);
        }
        self.drain(now, desk);
    }

    pub(super) fn settled(&mut self, number: u64, how: Settled, now: Moment, desk: &mut Desk) {
        self.expire(now, desk);
        let Some(owed) = self.owed.take_if(|owed| owed.number == number) else {
            self.drain(now, desk);
            return;
        };
        let asks_anew = self.waiting.back().and_then(|last| last.bytes.last()) == Some(&ENQ);
        match how {
            Settled::Durable | Settled::Repeat => {
                self.framer.accept(&owed.frame);
                self.assembly = owed.next;
                if !asks_anew {
                    self.reply(ACK, now, desk);
                }
            }
            Settled::NotKept(_) => {
                self.assembly = owed.before;
                self.reply(NAK, now, desk);
                if asks_anew {
                    self.discard_waiting();
                    self.stop(Why::Incomplete, "the sender began anew before the end", now, desk);
                }
            }
        }
        self.drain(now, desk);
    }

    pub(super) fn wake(&mut self, now: Moment, desk: &mut Desk) {
        self.expire(now, desk);
        self.drain(now, desk);
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        [self.answer_due(), self.frame_due(), self.control_due(), self.stray.due()]
            .into_iter()
            .flatten()
            .min_by_key(|due| due.monotonic_us())
    }

    pub(super) fn line_error(&mut self) {
        self.framer.line_error();
    }

    /// The link is gone: so is everybody who waits for an answer.
    pub(super) fn close(&mut self, now: Moment, desk: &mut Desk) {
        if self.owed.is_some() {
            self.forget_owed(now, desk);
        }
        self.drain(now, desk);
        // A message that ended among what waited can have no answer any more.
        if self.owed.is_some() {
            self.forget_owed(now, desk);
        }
        self.discard_waiting();
        self.stop(Why::Incomplete, "the link closed before the end of the message", now, desk);
        self.stray.flush(now, desk);
    }

    fn answer_due(&self) -> Option<Moment> {
        self.owed.as_ref().map(|owed| owed.since.plus_ms(self.answer_within_ms))
    }

    fn frame_due(&self) -> Option<Moment> {
        if !self.receiving || self.owed.is_some() {
            return None;
        }
        let by_reply = self.replied.plus_ms(self.receiver_timer_ms);
        let stalled = self.last_byte.plus_ms(FRAME_STALLED_MS);
        let growing = self.framer.is_open() && stalled.monotonic_us() > by_reply.monotonic_us();
        let came_ms = self.framer.open_bytes() as u64 * SLOWEST_MS_PER_BYTE;
        let trickles = by_reply.plus_ms(came_ms);
        Some(if growing { stalled.min(trickles) } else { by_reply })
    }

    fn control_due(&self) -> Option<Moment> {
        let holds = self.receiving && self.owed.is_none() && self.framer.holds_control();
        holds.then(|| self.last_byte.plus_ms(CONTROL_QUIET_MS))
    }

    fn expire(&mut self, now: Moment, desk: &mut Desk) {
        let is_due =
            |due: Option<Moment>| due.is_some_and(|due| due.monotonic_us() <= now.monotonic_us());
        if is_due(self.answer_due()) {
            self.forget_owed(now, desk);
            // An ENQ that waited has outlived its own sender's patience.
            if let Some(last) = self.waiting.back_mut()
                && last.bytes.last() == Some(&ENQ)
            {
                last.bytes.pop();
                self.waiting_bytes -= 1;
            }
        }
        if is_due(self.control_due()) {
            let mut heard = Vec::new();
            self.framer.quiet(&mut heard);
            self.act(heard, now, now, desk);
        }
        if is_due(self.frame_due()) {
            self.stop(Why::TimedOut, "no frame came within the receiver's timer", now, desk);
        }
        if is_due(self.stray.due()) {
            self.stray.flush(now, desk);
        }
    }

    /// The sender no longer waits for the answer that we owe; the message itself is out. Where
    /// frames go out one by one, a record that has no end yet is told of.
    fn forget_owed(&mut self, now: Moment, desk: &mut Desk) {
        let next = self.owed.take().map(|owed| owed.next).unwrap_or_default();
        self.framer.neutral();
        self.receiving = false;
        self.assembly = Assembly::default();
        if self.ends_with_l_record == EndsWithLRecord::No && next.is_cut_off() {
            self.assembly = next;
            let detail = "the sender gave up before its last record ended";
            self.hand_over_unfinished(Why::Incomplete, detail, now, desk);
        }
    }

    fn keep_waiting(&mut self, bytes: &[u8], came: Moment) {
        let room = WAITING_BYTES_MAX.saturating_sub(self.waiting_bytes);
        // What a read brings is already in memory; only what piles up behind an answer is limited.
        let room = if self.owed.is_some() { room } else { bytes.len() };
        let kept = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.waiting_lost += bytes.len() - kept.len();
        self.waiting_bytes += kept.len();
        if !kept.is_empty() {
            self.waiting.push_back(Waiting { read: self.read, came, bytes: kept.to_vec() });
        }
    }

    fn discard_waiting(&mut self) {
        self.waiting.clear();
        self.waiting_bytes = 0;
    }

    /// Takes in what waits, until an answer has to be waited for.
    fn drain(&mut self, now: Moment, desk: &mut Desk) {
        while self.owed.is_none() {
            let Some(mut chunk) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= chunk.bytes.len();
            let mut taken = 0;
            for byte in &chunk.bytes {
                taken += 1;
                let mut heard = Vec::new();
                self.last_byte = chunk.came;
                self.framer.byte(*byte, &mut heard);
                self.act(heard, chunk.came, now, desk);
                if let Some(owed) = &mut self.owed {
                    owed.read = chunk.read;
                    break;
                }
            }
            let rest = chunk.bytes.split_off(taken);
            if !rest.is_empty() {
                self.waiting_bytes += rest.len();
                self.waiting.push_front(Waiting { bytes: rest, ..chunk });
            }
        }
        // What came in later reads than the frame shows that its sender gave up.
        let gave_up = self.owed.as_ref().is_some_and(|owed| {
            self.waiting.iter().any(|late| late.read > owed.read && late.bytes.contains(&EOT))
        });
        if gave_up {
            self.forget_owed(now, desk);
            self.drain(now, desk);
        }
    }

    fn act(&mut self, heard: Vec<Heard>, came: Moment, now: Moment, desk: &mut Desk) {
        for heard in heard {
            match heard {
                Heard::Enquiry => self.enquiry(came, now, desk),
                Heard::Frame(frame) => self.frame(frame, came, now, desk),
                Heard::Duplicate => self.reply(ACK, now, desk),
                Heard::Refused { raw, why, detail } => {
                    self.assembly.refuse(&raw, why, detail);
                    self.reply(NAK, now, desk);
                }
                Heard::Abandoned { raw } => {
                    let detail = "the sender gave up this frame before its end";
                    self.assembly.refuse(&raw, Why::TooShort, detail);
                }
                Heard::End => {
                    self.assembly.note(EOT);
                    self.end(came, desk);
                }
                Heard::Stray(byte) if self.receiving => self.assembly.stray(byte),
                Heard::Stray(byte) => self.stray.byte(byte, came),
            }
        }
    }

    fn reply(&mut self, byte: u8, now: Moment, desk: &mut Desk) {
        desk.send(byte);
        self.replied = now;
    }

    fn enquiry(&mut self, came: Moment, now: Moment, desk: &mut Desk) {
        self.stray.flush(came, desk);
        if self.receiving {
            self.hand_over_unfinished(
                Why::Incomplete,
                "the sender began anew before the end",
                came,
                desk,
            );
        }
        self.receiving = true;
        self.assembly = Assembly::default();
        self.assembly.note(ENQ);
        self.own_up_to_loss();
        self.reply(ACK, now, desk);
    }

    fn frame(&mut self, frame: Frame, came: Moment, now: Moment, desk: &mut Desk) {
        if !self.assembly.has_room_for(frame.raw.len()) {
            let detail = "the message is longer than a message may be";
            self.assembly.refuse(&frame.raw, Why::TooLong, detail);
            self.reply(NAK, now, desk);
            return;
        }
        let mark = self.assembly.mark();
        self.assembly.frame(&frame);
        let end = match self.ends_with_l_record {
            EndsWithLRecord::Yes => self.assembly.message_end(),
            EndsWithLRecord::No => Some(self.assembly.ended_len()),
        };
        let Some(end) = end else {
            self.framer.accept(&frame);
            self.reply(ACK, now, desk);
            return;
        };
        let number = desk.hand_over(&self.assembly, end, Completeness::Complete, came);
        let next = match self.ends_with_l_record {
            EndsWithLRecord::Yes => self.assembly.rest_after(end, &frame),
            EndsWithLRecord::No => {
                let ended = self.assembly.joined(end, &Completeness::Complete);
                self.assembly.context_after(context::context(&ended), &frame)
            }
        };
        let mut before = std::mem::take(&mut self.assembly);
        before.go_back(&mark);
        self.owed = Some(Owed { number, frame, before, next, since: now, read: self.read });
    }

    /// EOT: nothing is left to acknowledge.
    fn end(&mut self, came: Moment, desk: &mut Desk) {
        self.receiving = false;
        // Where there are no L records, EOT is the only proper end. Before the L record it is none.
        if self.ends_with_l_record == EndsWithLRecord::No {
            self.assembly.believe_open_record();
        }
        let whole = match self.ends_with_l_record {
            EndsWithLRecord::Yes => self.assembly.ends_in_open_l_record(),
            EndsWithLRecord::No => !self.assembly.is_cut_off(),
        };
        if whole && self.assembly.has_news() {
            let text_end = self.assembly.text_len();
            desk.hand_over(&self.assembly, text_end, Completeness::Complete, came);
            self.assembly = Assembly::default();
        } else {
            let detail = "the transmission ended before the message did (no L record)";
            self.hand_over_unfinished(Why::Incomplete, detail, came, desk);
        }
    }

    /// The sender is gone in the middle: neutral, and not a byte is sent.
    fn stop(&mut self, why: Why, detail: &str, now: Moment, desk: &mut Desk) {
        if let Some(raw) = self.framer.give_up_frame() {
            self.assembly.refuse(&raw, why, "a frame was begun and not finished");
        }
        self.framer.neutral();
        self.receiving = false;
        self.hand_over_unfinished(why, detail, now, desk);
    }

    fn hand_over_unfinished(&mut self, why: Why, detail: &str, came: Moment, desk: &mut Desk) {
        self.own_up_to_loss();
        let mut assembly = std::mem::take(&mut self.assembly);
        if assembly.is_empty() {
            return;
        }
        assembly.stopped(why, detail);
        desk.hand_over(&assembly, assembly.text_len(), Completeness::Incomplete, came);
    }

    /// Bytes that found no room behind an awaited answer are named in the next message.
    fn own_up_to_loss(&mut self) {
        let lost = std::mem::take(&mut self.waiting_lost);
        if lost > 0 {
            let detail = format!("{lost} bytes came while a message was stored and had no room");
            self.assembly.stopped(Why::TooLong, &detail);
        }
    }
}
