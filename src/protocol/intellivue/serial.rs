//! RS-232 framing (facts/monitors.md 1.2). On the LAN a datagram is the user data, bare.
//!
//! ```text
//! | C0 | 11 | 01 | length u16 | user data | FCS low | FCS high | C1 |
//! ```
//! The length counts the user data before escaping. The FCS is CRC-16/X-25 over header and user
//! data, sent low byte first. Between C0 and C1 the bytes C0, C1 and 7D are sent as 7D and the byte
//! with bit 5 turned over. `7D C1` aborts a frame; C0 inside one aborts it and begins the next.

use crate::vocabulary::{Moment, Why};

const BEGIN: u8 = 0xc0;
const END: u8 = 0xc1;
const ESCAPE: u8 = 0x7d;
const TURNED: u8 = 0x20;
const PROTOCOL: u8 = 0x11;
const MESSAGE_TYPE: u8 = 0x01;
const HEADER_BYTES: usize = 4;
const FCS_BYTES: usize = 2;

/// The longest user data: twice what an RS-232 monitor may be asked for (1000 bytes), since guides
/// differ. A longer frame has lost its end.
const USER_DATA_BYTES_MAX: usize = 4096;
/// A frame of [`USER_DATA_BYTES_MAX`] takes 2.2 s at 19200 baud.
pub(super) const FRAME_UNFINISHED_MS: u64 = 3000;
/// A stretch outside frames is handed over when it has grown to this.
const STRETCH_BYTES_MAX: usize = 4096;

/// A run of bytes from the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// As they came.
    pub raw: Vec<u8>,
    pub content: Content,
    /// When its last byte came.
    pub received: Moment,
}

/// What a run of bytes is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A whole frame with a good FCS.
    UserData {
        user_data: Vec<u8>,
        /// Where each byte of it, and the byte behind it, stands in the raw bytes.
        places: Vec<usize>,
    },
    /// Not a frame, or a damaged one.
    Refused { why: Why, detail: String },
}

/// Cuts frames out of a stream.
#[derive(Debug, Default)]
pub(super) struct Deframer {
    /// Bytes since C0, or outside frames.
    pending: Vec<u8>,
    in_frame: bool,
    /// The port saw an error while this frame came.
    damaged: bool,
    begun: Option<Moment>,
    last: Option<Moment>,
}

impl Deframer {
    /// One byte; what it completes. At most two pieces: what was before C0, and a frame.
    pub fn take(&mut self, byte: u8, now: Moment) -> Option<Piece> {
        if byte == BEGIN {
            let before = self.give_up(Why::Incomplete, "the next frame began in the middle of it");
            self.in_frame = true;
            self.push(byte, now);
            return before;
        }
        self.push(byte, now);
        if !self.in_frame {
            let full = self.pending.len() >= STRETCH_BYTES_MAX;
            return if full { self.outside() } else { None };
        }
        if byte == END {
            return self.end();
        }
        // Every byte may be escaped.
        if self.pending.len() > 2 * (HEADER_BYTES + USER_DATA_BYTES_MAX + FCS_BYTES) + 2 {
            return self.give_up(Why::TooLong, "expected the frame's end");
        }
        None
    }

    fn push(&mut self, byte: u8, now: Moment) {
        self.begun.get_or_insert(now);
        self.last = Some(now);
        self.pending.push(byte);
    }

    /// The port saw a parity, framing or overrun error, or a break: what is pending is damaged, and
    /// so is the frame that a lost C0 may have begun.
    pub fn line_error(&mut self) {
        self.damaged = self.in_frame;
    }

    fn end(&mut self) -> Option<Piece> {
        if self.damaged {
            return self.give_up(Why::IllegalByte, "the port saw an error in this frame");
        }
        let before_end = self.pending.len().checked_sub(2).and_then(|at| self.pending.get(at));
        if before_end == Some(&ESCAPE) {
            return self.give_up(Why::Incomplete, "the monitor aborted the frame (7D C1)");
        }
        match unwrapped(&self.pending) {
            Ok((user_data, places)) => self.flush(Content::UserData { user_data, places }),
            Err((why, detail)) => self.flush(Content::Refused { why, detail }),
        }
    }

    fn outside(&mut self) -> Option<Piece> {
        let detail = "expected C0, the beginning of a frame".to_owned();
        self.flush(Content::Refused { why: Why::Resync, detail })
    }

    /// Nothing more will come for what is pending.
    pub fn give_up(&mut self, why: Why, detail: &str) -> Option<Piece> {
        if !self.in_frame {
            return self.outside();
        }
        self.flush(Content::Refused { why, detail: detail.to_owned() })
    }

    fn flush(&mut self, content: Content) -> Option<Piece> {
        let raw = std::mem::take(&mut self.pending);
        let received = self.last.take();
        self.in_frame = false;
        self.damaged = false;
        self.begun = None;
        received.map(|received| Piece { raw, content, received })
    }

    /// When what is pending is too old.
    pub fn due(&self) -> Option<Moment> {
        self.begun.map(|begun| begun.plus_ms(FRAME_UNFINISHED_MS))
    }
}

type Unwrapped = (Vec<u8>, Vec<usize>);

/// The user data of a whole frame, and where each of its bytes stands in it.
fn unwrapped(frame: &[u8]) -> Result<Unwrapped, (Why, String)> {
    let (mut plain, mut places) = (Vec::new(), Vec::new());
    let mut turned = false;
    let inside = frame.get(1..frame.len().saturating_sub(1)).unwrap_or_default();
    for (at, byte) in inside.iter().enumerate() {
        match (turned, *byte) {
            (false, ESCAPE) => turned = true,
            (_, byte) => {
                plain.push(if turned { byte ^ TURNED } else { byte });
                places.push(if turned { at } else { at + 1 });
                turned = false;
            }
        }
    }
    places.push(frame.len() - 1);
    let least = HEADER_BYTES + FCS_BYTES;
    if plain.len() < least {
        return Err((Why::TooShort, format!("expected at least {least} bytes in a frame")));
    }
    let (checked, sent) = plain.split_at(plain.len() - FCS_BYTES);
    let computed = fcs(checked).to_le_bytes();
    if sent != computed {
        let detail = format!("expected FCS {computed:02X?}, got {sent:02X?}");
        return Err((Why::Checksum, detail));
    }
    let Some(([PROTOCOL, MESSAGE_TYPE, high, low], user_data)) =
        checked.split_first_chunk::<HEADER_BYTES>()
    else {
        return Err((Why::UnknownMessage, "expected 11 01 behind the frame's begin".to_owned()));
    };
    let stated = usize::from(u16::from_be_bytes([*high, *low]));
    if stated != user_data.len() {
        let detail = format!("expected {stated} bytes of user data, got {}", user_data.len());
        return Err((Why::TooShort, detail));
    }
    let end = HEADER_BYTES + stated;
    Ok((user_data.to_vec(), places.get(HEADER_BYTES..=end).unwrap_or_default().to_vec()))
}

/// A frame around user data.
pub(super) fn framed(user_data: &[u8]) -> Vec<u8> {
    // What we send is at most a few hundred bytes.
    let length = u16::try_from(user_data.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut plain = vec![PROTOCOL, MESSAGE_TYPE];
    plain.extend(length);
    plain.extend_from_slice(user_data);
    let fcs = fcs(&plain);
    plain.extend(fcs.to_le_bytes());
    let mut frame = vec![BEGIN];
    for byte in plain {
        if matches!(byte, BEGIN | END | ESCAPE) {
            frame.extend([ESCAPE, byte ^ TURNED]);
        } else {
            frame.push(byte);
        }
    }
    frame.push(END);
    frame
}

/// CRC-16/X-25: polynomial 1021 reflected (8408), start FFFF, turned over at the end.
fn fcs(bytes: &[u8]) -> u16 {
    let crc = bytes.iter().fold(0xffff, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 }
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Certainty;

    const NOW: Moment = Moment::new(0, 0, Certainty::Unproven);

    fn hex(text: &str) -> Vec<u8> {
        text.split_whitespace().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    fn pieces(bytes: &[u8]) -> Vec<Piece> {
        let mut deframer = Deframer::default();
        let mut pieces: Vec<Piece> =
            bytes.iter().filter_map(|byte| deframer.take(*byte, NOW)).collect();
        pieces.extend(deframer.give_up(Why::Incomplete, "the link closed"));
        pieces
    }

    fn whys(bytes: &[u8]) -> Vec<Option<Why>> {
        let why = |piece: Piece| match piece.content {
            Content::UserData { .. } => None,
            Content::Refused { why, .. } => Some(why),
        };
        pieces(bytes).into_iter().map(why).collect()
    }

    // facts/monitors.md 1.2, both worked frames.
    const RELEASE: &str = "09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 \
                           00 00";
    const RELEASE_FRAME: &str = "C0 11 01 00 1A 09 18 7D E1 16 61 80 30 80 02 01 01 A0 80 62 80 80 \
                                 01 00 00 00 00 00 00 00 00 00 41 08 C1";
    const POLL_FRAME: &str = "C0 11 01 00 24 E1 00 00 02 00 01 00 1C 00 01 00 07 00 16 00 21 00 00 \
                              00 00 00 00 00 00 0C 16 00 08 00 01 00 01 00 06 00 00 C6 C7 C1";

    #[test]
    fn the_fcs_has_the_check_value_and_the_residue() {
        assert_eq!(fcs(b"123456789"), 0x906e);
        let mut whole = b"123456789".to_vec();
        whole.extend(0x906eu16.to_le_bytes());
        assert_eq!(!fcs(&whole), 0xf0b8);
    }

    #[test]
    fn the_worked_frames_of_the_sheet() {
        assert_eq!(framed(&hex(RELEASE)), hex(RELEASE_FRAME));
        let poll = hex(POLL_FRAME);
        assert_eq!(framed(&poll[5..5 + 0x24]), poll);
        let found = pieces(&hex(RELEASE_FRAME));
        let [Piece { content: Content::UserData { user_data, places }, raw, .. }] = &found[..]
        else {
            panic!("{found:?}")
        };
        assert_eq!((user_data, raw), (&hex(RELEASE), &hex(RELEASE_FRAME)));
        // The escaped C1 stands where its 7D stands; what is behind it, one byte later.
        assert_eq!((places[1], places[2], places[3]), (6, 7, 9));
        assert_eq!(places.len(), user_data.len() + 1);
        assert_eq!(places[user_data.len()], raw.len() - 3);
    }

    #[test]
    fn aborts_garbage_and_damage_give_no_user_data() {
        let frame = hex(RELEASE_FRAME);
        let aborted = [&frame[..9], &[0x7d, 0xc1], &frame[..]].concat();
        assert_eq!(whys(&aborted), [Some(Why::Incomplete), None]);
        let restarted = [&frame[..9], &frame[..]].concat();
        assert_eq!(whys(&restarted), [Some(Why::Incomplete), None]);
        let noisy = [&[1, 2, 3], &frame[..], &[9]].concat();
        assert_eq!(whys(&noisy), [Some(Why::Resync), None, Some(Why::Resync)]);
        for bit in 0..(frame.len() - 2) * 8 {
            let mut damaged = frame.clone();
            damaged[1 + bit / 8] ^= 1 << (bit % 8);
            assert!(!whys(&damaged).contains(&None), "bit {bit}");
        }
        assert_eq!(whys(&[0xc0, 0xc1]), [Some(Why::TooShort)]);
        let other = framed(&[])[1..3].to_vec();
        assert_eq!(other, [0x11, 0x01]);
    }

    #[test]
    fn a_line_error_damages_the_frame_it_falls_into() {
        let frame = hex(RELEASE_FRAME);
        let mut deframer = Deframer::default();
        let mut found = Vec::new();
        for (at, byte) in [&frame[..], &frame[..]].concat().into_iter().enumerate() {
            if at == 10 {
                deframer.line_error();
            }
            found.extend(deframer.take(byte, NOW));
        }
        assert!(matches!(&found[0].content, Content::Refused { why: Why::IllegalByte, .. }));
        assert!(matches!(&found[1].content, Content::UserData { .. }));
    }
}
