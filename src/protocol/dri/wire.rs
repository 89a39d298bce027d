//! The serial line: frames between flags 7E, the escape 7D, and an eight-bit sum.
//!
//! A frame begins and ends with its own flag; flags that follow each other are an idle line. Bytes
//! outside of frames, and frames that are cut off or too long, come out as noise: kept and shown.

use crate::protocol::Completeness;
use crate::vocabulary::{Moment, Refused, Why};

const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;
/// The bit that the sender clears behind an escape.
const ESCAPED_BIT: u8 = 0x20;

/// Header of 40 bytes and data of at most 1450.
pub(super) const RECORD_BYTES_MAX: usize = 1490;
/// The longest frame: record and checksum with every byte escaped, and two flags.
const FRAME_BYTES_MAX: usize = 2 * (RECORD_BYTES_MAX + 1) + 2;
/// How long a frame may take. The longest one takes 1.7 s at 19200 bit/s.
const FRAME_MS_MAX: u64 = 3_000;

/// What comes off the line.
pub(super) enum Piece {
    /// Everything from flag to flag.
    Frame { raw: Vec<u8> },
    /// Bytes that are no frame.
    Noise { raw: Vec<u8>, refused: Refused, completeness: Completeness },
}

impl Piece {
    fn noise(raw: Vec<u8>, why: Why, what: &str, completeness: Completeness) -> Self {
        let refused = Refused::new(why, 0..raw.len(), what);
        Self::Noise { raw, refused, completeness }
    }
}

/// Finds frames in a stream of bytes.
#[derive(Default)]
pub(super) struct Deframer {
    /// Since the last flag, with that flag if it began a frame; outside of frames the noise.
    raw: Vec<u8>,
    /// Whether a flag has been seen and nothing went wrong since.
    inside: bool,
    /// The port saw a damaged byte where nothing had begun yet: what comes next is damaged.
    poisoned: bool,
    /// When the first byte came that is no flag.
    begun: Option<Moment>,
}

impl Deframer {
    /// One byte from the line.
    pub fn take(&mut self, byte: u8, now: Moment) -> Option<Piece> {
        if byte == FLAG {
            return self.flag();
        }
        self.raw.push(byte);
        self.begun.get_or_insert(now);
        if self.raw.len() < FRAME_BYTES_MAX {
            return None;
        }
        let (why, what) = if self.inside {
            (Why::TooLong, "a frame grew longer than any record")
        } else {
            (Why::Resync, "bytes outside of a frame")
        };
        Some(self.give_up(why, what, Completeness::Complete))
    }

    fn flag(&mut self) -> Option<Piece> {
        let was_inside = std::mem::replace(&mut self.inside, true);
        let is_idle = matches!(self.raw.as_slice(), [] | [FLAG]);
        if is_idle {
            self.raw.clear();
            self.raw.push(FLAG);
            return None;
        }
        self.begun = None;
        let mut raw = std::mem::take(&mut self.raw);
        if !was_inside {
            // This flag may end what was noise or begin a frame: it stays for the frame.
            self.raw.push(FLAG);
            let what = "bytes outside of a frame";
            return Some(Piece::noise(raw, Why::Resync, what, Completeness::Complete));
        }
        raw.push(FLAG);
        if std::mem::take(&mut self.poisoned) {
            let what = "the port saw an error in this frame";
            return Some(Piece::noise(raw, Why::IllegalByte, what, Completeness::Complete));
        }
        Some(Piece::Frame { raw })
    }

    /// The port saw an error on the line.
    pub fn line_error(&mut self) -> Option<Piece> {
        if self.begun.is_none() {
            self.poisoned = true;
            return None;
        }
        let what = "the port saw an error in this frame";
        Some(self.give_up(Why::IllegalByte, what, Completeness::Incomplete))
    }

    /// Nothing more will come for what has begun.
    pub fn end(&mut self, what: &str) -> Option<Piece> {
        let piece = self
            .begun
            .is_some()
            .then(|| self.give_up(Why::Incomplete, what, Completeness::Incomplete));
        *self = Self::default();
        piece
    }

    /// When a frame that has begun is given up.
    pub fn due(&self) -> Option<Moment> {
        self.begun.map(|begun| begun.plus_ms(FRAME_MS_MAX))
    }

    /// Gives up what is due.
    pub fn wake(&mut self, now: Moment) -> Option<Piece> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let what = "the frame did not end within its time";
        Some(self.give_up(Why::TimedOut, what, Completeness::Incomplete))
    }

    fn give_up(&mut self, why: Why, what: &str, completeness: Completeness) -> Piece {
        self.inside = false;
        self.poisoned = false;
        self.begun = None;
        Piece::noise(std::mem::take(&mut self.raw), why, what, completeness)
    }
}

/// The record of a frame without flags, escapes and checksum.
pub(super) struct Unescaped {
    pub record: Vec<u8>,
    /// Where each byte of `record` stands in the frame, and where the last one ends.
    pub at: Vec<usize>,
}

/// Undoes the escapes and proves the checksum.
pub(super) fn unescaped(raw: &[u8]) -> Result<Unescaped, Refused> {
    let mut record = Vec::with_capacity(raw.len());
    let mut at = Vec::with_capacity(raw.len());
    let mut bytes = raw.iter().enumerate().filter(|(_, byte)| **byte != FLAG);
    while let Some((place, byte)) = bytes.next() {
        at.push(place);
        if *byte != ESCAPE {
            record.push(*byte);
            continue;
        }
        // Only these two are ever escaped: anything else behind an escape is damage.
        match bytes.next().map(|(_, next)| *next ^ ESCAPED_BIT) {
            Some(original @ (FLAG | ESCAPE)) => record.push(original),
            Some(_) | None => {
                let what = "an escape 7D is followed by 5E or 5D, and by nothing else";
                return Err(Refused::new(Why::IllegalByte, place..raw.len(), what));
            }
        }
    }
    let Some(sent) = record.pop() else {
        return Err(Refused::new(Why::TooShort, 0..raw.len(), "a frame without a byte"));
    };
    let computed = checksum(&record);
    if sent != computed {
        let what = format!("expected {computed:02X}, got {sent:02X}");
        return Err(Refused::new(Why::Checksum, 0..raw.len(), what));
    }
    Ok(Unescaped { record, at })
}

/// A record as it goes over the line.
pub(super) fn framed(record: &[u8]) -> Vec<u8> {
    let mut frame = vec![FLAG];
    for byte in record.iter().copied().chain([checksum(record)]) {
        if byte == FLAG || byte == ESCAPE {
            frame.extend([ESCAPE, byte & !ESCAPED_BIT]);
        } else {
            frame.push(byte);
        }
    }
    frame.push(FLAG);
    frame
}

fn checksum(record: &[u8]) -> u8 {
    record.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
