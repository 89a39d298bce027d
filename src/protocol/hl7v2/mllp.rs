//! Blocks out of a stream of bytes: the minimal lower layer protocol. No meaning.
//!
//! | byte | means | |
//! |---|---|---|
//! | `0B` | a block begins | again inside a block: what came is kept as broken, a new one begins |
//! | `1C` | it ends | inside a block it never stands for anything else |
//! | `0D` | behind `1C` | waited for [`END_WAIT_MS`], then the block counts without it |
//!
//! Source: facts/lab.md 3.1 (several blocks in a read, blocks split anywhere, missing final 0D,
//! doubled 0B, stray bytes between blocks). CR and LF alone between blocks are taken for sloppy
//! ends and dropped; so is a 0B with nothing behind it, which some analysers send after each block.
//! The pieces do not depend on how the stream was cut.

use std::collections::VecDeque;

use memchr::{memchr, memchr2};

use crate::protocol::MESSAGE_BYTES_MAX;
use crate::vocabulary::Moment;

const START: u8 = 0x0B;
const END: u8 = 0x1C;
const CARRIAGE_RETURN: u8 = 0x0D;

/// How long the last 0D of a block may take. Senders without it wait for their answer meanwhile,
/// the shortest of them 5 s (facts/lab.md 3.1).
pub const END_WAIT_MS: u64 = 200;

/// How long a block may stand still before it is given up. A device that waits for an answer
/// longer than 60 s is not known, and no device pauses within a message.
pub const BLOCK_WAIT_MS: u64 = 30_000;

/// The slowest that a block may come, beyond [`BLOCK_WAIT_MS`]: 1,200 baud, the slowest serial line
/// behind a serial server (facts/lab.md 1.1), is 120 bytes a second. A peer that sends a byte now
/// and then holds its block no longer than one that has stopped.
pub const SLOWEST_BYTES_PER_S: u64 = 100;

/// How long stray bytes are gathered into one refusal.
pub const STRAY_WAIT_MS: u64 = 5_000;

/// The longest stretch of stray bytes in one refusal; a longer one becomes several.
pub const STRAY_BYTES_MAX: usize = 64 << 10;

/// How much is kept of a block that is too long: enough for its header and for finding the device.
pub const TOO_LONG_KEPT_BYTES: usize = 64 << 10;

/// One stretch of the stream. `raw` holds every byte of it, framing included.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece {
    pub raw: Vec<u8>,
    pub kind: PieceKind,
    pub last_byte: Moment,
}

/// What a stretch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PieceKind {
    /// A whole block.
    Block,
    /// A block that another one or the end of the link broke off.
    Broken,
    /// A block that stood still for [`BLOCK_WAIT_MS`].
    TimedOut,
    /// The beginning of a block that grew past [`MESSAGE_BYTES_MAX`].
    TooLong,
    /// The rest of such a block stood still for [`BLOCK_WAIT_MS`]; nothing of it is kept.
    LongTimedOut,
    /// Bytes outside any block.
    Stray,
}

/// The state of one stream.
#[derive(Debug)]
pub struct Framing {
    state: State,
    gathered: Vec<u8>,
    /// When the first byte behind 0B came.
    begun: Moment,
    last_byte: Moment,
    pieces: VecDeque<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    Inside,
    /// 1C came; 0D may follow.
    Ending,
    /// Inside a block that was given up for its length.
    Skipping,
}

impl Framing {
    /// A stream of which nothing was seen.
    pub fn new(now: Moment) -> Self {
        Self {
            state: State::Between,
            gathered: Vec::new(),
            begun: now,
            last_byte: now,
            pieces: VecDeque::new(),
        }
    }

    /// Takes the next bytes.
    pub fn receive(&mut self, mut bytes: &[u8], now: Moment) {
        while !bytes.is_empty() {
            bytes = match self.state {
                State::Between => self.between(bytes, now),
                State::Inside => self.inside(bytes, now),
                State::Ending => self.ending(bytes, now),
                State::Skipping => self.skipping(bytes, now),
            };
        }
    }

    /// The next piece, if one is complete.
    pub fn poll(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }

    /// When time alone changes something.
    pub fn next_wake(&self) -> Option<Moment> {
        let wait_ms = match self.state {
            State::Between if self.gathered.is_empty() => return None,
            // Only 0B came: nothing has begun that could be unfinished.
            State::Inside if self.gathered.len() == 1 => return None,
            State::Between => STRAY_WAIT_MS,
            State::Inside => {
                let came_ms = self.gathered.len() as u64 * 1000 / SLOWEST_BYTES_PER_S;
                let trickles = self.begun.plus_ms(BLOCK_WAIT_MS + came_ms);
                return Some(trickles.min(self.last_byte.plus_ms(BLOCK_WAIT_MS)));
            }
            State::Skipping => BLOCK_WAIT_MS,
            State::Ending => END_WAIT_MS,
        };
        Some(self.last_byte.plus_ms(wait_ms))
    }

    /// Gives up waiting for whatever [`Framing::next_wake`] named, if it is time.
    pub fn wake(&mut self, now: Moment) {
        let due = self.next_wake().is_some_and(|at| now.monotonic_us() >= at.monotonic_us());
        if due {
            match self.state {
                State::Between => self.give(PieceKind::Stray),
                State::Inside => self.give(PieceKind::TimedOut),
                State::Ending => self.give(PieceKind::Block),
                State::Skipping => self.give(PieceKind::LongTimedOut),
            }
        }
    }

    /// The stream is over.
    pub fn close(&mut self) {
        match self.state {
            State::Between => self.give(PieceKind::Stray),
            State::Inside => self.give(PieceKind::Broken),
            State::Ending => self.give(PieceKind::Block),
            State::Skipping => self.state = State::Between,
        }
    }

    fn between<'a>(&mut self, bytes: &'a [u8], now: Moment) -> &'a [u8] {
        let room = STRAY_BYTES_MAX - self.gathered.len();
        let strays = memchr(START, bytes).unwrap_or(bytes.len());
        let (taken, rest) = split(bytes, strays.min(room));
        self.gather(taken, now);
        if self.gathered.len() == STRAY_BYTES_MAX {
            self.give(PieceKind::Stray);
        } else if let [START, rest @ ..] = rest {
            self.give(PieceKind::Stray);
            self.begin(now);
            return rest;
        }
        rest
    }

    fn inside<'a>(&mut self, bytes: &'a [u8], now: Moment) -> &'a [u8] {
        // The two bytes of the end belong to the message, too.
        let room = MESSAGE_BYTES_MAX - 2 - self.gathered.len();
        let control = memchr2(START, END, bytes);
        let (taken, rest) = split(bytes, control.unwrap_or(bytes.len()).min(room));
        self.gather(taken, now);
        match rest {
            [] => rest,
            [START, rest @ ..] => {
                self.give(PieceKind::Broken);
                self.begin(now);
                rest
            }
            [END, rest @ ..] => {
                self.gather(&[END], now);
                self.state = State::Ending;
                rest
            }
            [..] => {
                self.gathered.truncate(TOO_LONG_KEPT_BYTES);
                self.last_byte = now;
                self.give(PieceKind::TooLong);
                self.state = State::Skipping;
                rest
            }
        }
    }

    fn ending<'a>(&mut self, bytes: &'a [u8], now: Moment) -> &'a [u8] {
        let rest = match bytes {
            [CARRIAGE_RETURN, rest @ ..] => {
                self.gather(&[CARRIAGE_RETURN], now);
                rest
            }
            rest => rest,
        };
        self.give(PieceKind::Block);
        rest
    }

    fn skipping<'a>(&mut self, bytes: &'a [u8], now: Moment) -> &'a [u8] {
        self.last_byte = now;
        match memchr2(START, END, bytes) {
            None => &[],
            Some(at) => {
                self.state = State::Between;
                // A 0B begins the next block; a 1C is the end of this one.
                let (_, rest) = split(bytes, at);
                if let [END, rest @ ..] = rest { rest } else { rest }
            }
        }
    }

    fn begin(&mut self, now: Moment) {
        self.state = State::Inside;
        self.gather(&[START], now);
    }

    fn gather(&mut self, bytes: &[u8], now: Moment) {
        if !bytes.is_empty() {
            if self.gathered.len() <= 1 {
                self.begun = now;
                // As a rule the whole block comes at once: the end is two bytes.
                self.gathered.reserve(bytes.len() + 3);
            }
            self.gathered.extend_from_slice(bytes);
            self.last_byte = now;
        }
    }

    /// Hands over what was gathered, unless it is nothing worth keeping.
    fn give(&mut self, kind: PieceKind) {
        self.state = State::Between;
        let raw = std::mem::take(&mut self.gathered);
        let nothing = match kind {
            PieceKind::Stray => raw.iter().all(|byte| matches!(byte, b'\r' | b'\n')),
            PieceKind::Broken | PieceKind::TimedOut => raw.len() <= 1,
            PieceKind::Block | PieceKind::TooLong | PieceKind::LongTimedOut => false,
        };
        if !nothing {
            self.pieces.push_back(Piece { raw, kind, last_byte: self.last_byte });
        }
    }
}

fn split(bytes: &[u8], at: usize) -> (&[u8], &[u8]) {
    bytes.split_at_checked(at).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Certainty;

    fn at_ms(ms: u64) -> Moment {
        Moment::new(0, 0, Certainty::Unproven).plus_ms(ms)
    }

    fn pieces(framing: &mut Framing) -> Vec<(PieceKind, Vec<u8>)> {
        std::iter::from_fn(|| framing.poll()).map(|piece| (piece.kind, piece.raw)).collect()
    }

    fn fed(bytes: &[u8]) -> Vec<(PieceKind, Vec<u8>)> {
        let mut framing = Framing::new(at_ms(0));
        framing.receive(bytes, at_ms(0));
        framing.close();
        pieces(&mut framing)
    }

    #[test]
    fn blocks_come_out_of_every_sloppy_stream() {
        use PieceKind::{Block, Broken, Stray};
        let block = |raw: &[u8]| (Block, raw.to_vec());
        #[expect(clippy::type_complexity, reason = "a table of streams and what comes out")]
        let cases: [(&[u8], Vec<(PieceKind, Vec<u8>)>); 8] = [
            (b"\x0Ba\x1C\x0D\x0Bb\x1C\x0D", vec![block(b"\x0Ba\x1C\x0D"), block(b"\x0Bb\x1C\x0D")]),
            (b"\x0Ba\x1C\x0Bb\x1C", vec![block(b"\x0Ba\x1C"), block(b"\x0Bb\x1C")]),
            (b"\x0B\x0Ba\x1C\x0D", vec![block(b"\x0Ba\x1C\x0D")]),
            (b"\x0Ba\x1C\x0D\x0B", vec![block(b"\x0Ba\x1C\x0D")]),
            (b"\x0Ba\x1C\x0D\r\n", vec![block(b"\x0Ba\x1C\x0D")]),
            (b"xy\x0Ba\x1C\x0D", vec![(Stray, b"xy".to_vec()), block(b"\x0Ba\x1C\x0D")]),
            (b"\x0Ba\x0Bb\x1C\x0D", vec![(Broken, b"\x0Ba".to_vec()), block(b"\x0Bb\x1C\x0D")]),
            (b"\x0B\x1C\x0D", vec![block(b"\x0B\x1C\x0D")]),
        ];
        for (stream, expected) in cases {
            assert_eq!(fed(stream), expected, "{stream:02X?}");
        }
    }

    #[test]
    fn a_block_that_is_too_long_is_skipped_to_its_end() {
        let longest = [b"\x0B", &vec![b'x'; MESSAGE_BYTES_MAX - 3][..], b"\x1C\x0D"].concat();
        assert_eq!(fed(&longest), [(PieceKind::Block, longest.clone())]);
        let longer = [b"\x0B", &vec![b'x'; MESSAGE_BYTES_MAX - 2][..], b"\x1C\x0D\x0Bb\x1C\x0D"];
        let kept = longer.concat()[..TOO_LONG_KEPT_BYTES].to_vec();
        assert_eq!(
            fed(&longer.concat()),
            [(PieceKind::TooLong, kept), (PieceKind::Block, b"\x0Bb\x1C\x0D".to_vec())]
        );
    }

    #[test]
    fn time_ends_what_bytes_do_not() {
        let cases: [(&[u8], u64, PieceKind); 3] = [
            (b"\x0Ba\x1C", END_WAIT_MS, PieceKind::Block),
            (b"\x0Ba", BLOCK_WAIT_MS, PieceKind::TimedOut),
            (b"a", STRAY_WAIT_MS, PieceKind::Stray),
        ];
        for (stream, wait_ms, kind) in cases {
            let mut framing = Framing::new(at_ms(0));
            framing.receive(stream, at_ms(7));
            assert_eq!(framing.next_wake(), Some(at_ms(7 + wait_ms)));
            framing.wake(at_ms(6 + wait_ms));
            assert_eq!(framing.poll(), None);
            framing.wake(at_ms(7 + wait_ms));
            assert_eq!(pieces(&mut framing), [(kind, stream.to_vec())]);
            assert_eq!(framing.next_wake(), None);
        }
    }

    #[test]
    fn a_block_that_trickles_in_is_given_up_and_a_slow_line_is_not() {
        // A byte every 20 s never stands still for 30.
        let mut framing = Framing::new(at_ms(0));
        framing.receive(b"\x0Ba", at_ms(0));
        framing.receive(b"b", at_ms(20_000));
        framing.wake(at_ms(30_029));
        assert_eq!(framing.poll(), None);
        framing.wake(at_ms(30_030));
        assert_eq!(pieces(&mut framing), [(PieceKind::TimedOut, b"\x0Bab".to_vec())]);
        // 1,200 baud, for five minutes.
        let mut framing = Framing::new(at_ms(0));
        framing.receive(b"\x0B", at_ms(0));
        for second in 0..300 {
            framing.wake(at_ms(second * 1000));
            framing.receive(&[b'x'; 120], at_ms(second * 1000));
        }
        framing.receive(b"\x1C\x0D", at_ms(300_000));
        assert_eq!(pieces(&mut framing).len(), 1);
        // The rest of a block that is too long stands still.
        let mut framing = Framing::new(at_ms(0));
        framing.receive(b"\x0B", at_ms(0));
        framing.receive(&vec![b'x'; MESSAGE_BYTES_MAX], at_ms(0));
        framing.wake(at_ms(BLOCK_WAIT_MS));
        let kinds: Vec<_> = pieces(&mut framing).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds, [PieceKind::TooLong, PieceKind::LongTimedOut]);
    }

    #[test]
    fn a_lone_start_waits_for_ever() {
        let mut framing = Framing::new(at_ms(0));
        framing.receive(b"\x0B", at_ms(0));
        assert_eq!(framing.next_wake(), None);
        framing.receive(b"a\x1C\x0D", at_ms(90_000));
        assert_eq!(pieces(&mut framing), [(PieceKind::Block, b"\x0Ba\x1C\x0D".to_vec())]);
    }
}
