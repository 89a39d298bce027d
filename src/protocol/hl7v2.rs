//! Family `hl7v2`: HL7 v2 over MLLP, as a listener that is sent results.
//!
//! | file | what it does |
//! |---|---|
//! | [`mllp`] | blocks out of bytes |
//! | [`segments`] | segments and fields out of a block, as ranges |
//! | [`charset`], [`escape`], [`wire`] | characters out of bytes |
//! | [`content`] | one block as a whole: header, type, repeat, identity |
//! | [`meaning`], [`result`], [`subject`] | readings, and whom they are about |
//! | [`known`] | OBX that say what an earlier one said, but for the value |
//! | [`acknowledgement`] | what the sender is told |
//! | [`profile`], [`path`] | what a device file may say |
//!
//! One block is one message and has one acknowledgement, sent after [`Driver::settled`] and in the
//! order of the messages. What is no block, or no message, is kept raw with the reason. It sends
//! nothing but acknowledgements: no order, no query, no keep-alive.

use std::collections::VecDeque;
use std::sync::Arc;

pub mod acknowledgement;
pub mod charset;
pub mod content;
pub mod escape;
pub mod known;
pub mod meaning;
pub mod mllp;
pub mod path;
pub mod profile;
pub mod result;
pub mod segments;
pub mod subject;
pub mod wire;

#[cfg(test)]
mod tests;

pub use path::{Path, PathError};
pub use profile::{
    AcknowledgementMode, AcknowledgementType, CharsetName, ControlSampleRule, Hl7v2Profile,
    LocalEscape, MessageType, ResultRow, StatusX,
};

use acknowledgement::Answer;
use content::Reader;
use mllp::{Framing, Piece, PieceKind};

use crate::protocol::{
    CloseWhy, Completeness, Driver, Event, Identity, LinkChange, Message, MessageId, Peer, Session,
    Settled, Site,
};
use crate::vocabulary::{Certainty, Moment, Refused, Why};

/// One link to a device that sends HL7 v2 over MLLP.
///
/// ```
/// use std::sync::Arc;
/// use wardgate::protocol::hl7v2::{Hl7v2Driver, Hl7v2Profile};
/// use wardgate::protocol::{Driver, Event, LinkChange, Peer, Session, Settled, Site};
/// use wardgate::vocabulary::{Certainty, Moment};
///
/// let now = Moment::new(0, 1_700_000_000_000_000, Certainty::Synchronised);
/// let mut driver = Hl7v2Driver::new(Arc::new(Hl7v2Profile::default()), Site::default());
/// driver.link(LinkChange::Opened { session: Session(1) }, now);
/// let block = b"\x0BMSH|^~\\&|||||||ORU^R01|7|P|2.6\rOBX|1|NM|147842^HR^MDC||60|\r\x1C\x0D";
/// driver.receive(block, Peer::STREAM, now);
/// let Some(Event::Message(message)) = driver.poll() else { panic!() };
/// assert_eq!(message.groups[0].readings[0].value.as_sent(), "60");
/// assert_eq!(driver.poll(), None); // Nothing is acknowledged before it is kept.
/// driver.settled(message.id, Settled::Durable, now);
/// let Some(Event::Send { bytes, .. }) = driver.poll() else { panic!() };
/// assert!(String::from_utf8(bytes).unwrap().contains("MSA|AA|7"));
/// ```
pub struct Hl7v2Driver {
    reader: Reader,
    framing: Framing,
    session: Session,
    last_number: u64,
    /// Messages whose answer is not sent yet, in order.
    outstanding: VecDeque<Outstanding>,
    events: VecDeque<Event>,
    /// What the device was last said to be in this session.
    identity: Identity,
}

struct Outstanding {
    number: u64,
    answer: Answer,
    /// The blocks to send, as soon as they are known.
    settled: Option<Vec<Vec<u8>>>,
}

impl Hl7v2Driver {
    /// A driver for one device at one site.
    pub fn new(profile: Arc<Hl7v2Profile>, site: Site) -> Self {
        Self {
            reader: Reader::new(profile, site),
            framing: Framing::new(Moment::new(0, 0, Certainty::Unproven)),
            session: Session(0),
            last_number: 0,
            outstanding: VecDeque::new(),
            events: VecDeque::new(),
            identity: Identity::default(),
        }
    }

    fn take_pieces(&mut self) {
        while let Some(piece) = self.framing.poll() {
            match piece.kind {
                PieceKind::Block => self.block(piece),
                PieceKind::TooLong => {
                    let detail = format!(
                        "expected at most {} bytes in a block; the first {} are kept",
                        crate::protocol::MESSAGE_BYTES_MAX,
                        piece.raw.len()
                    );
                    let answer = self.reader.answer_to_long(&piece.raw);
                    self.refused(piece, Why::TooLong, &detail, answer);
                }
                PieceKind::Broken => {
                    self.refused(piece, Why::Incomplete, "expected the block's end", Answer::None);
                }
                PieceKind::TimedOut => {
                    let detail = "expected the rest of the block within its time";
                    self.refused(piece, Why::TimedOut, detail, Answer::None);
                    self.events.push_back(Event::Close { why: CloseWhy::FrameUnfinished });
                }
                PieceKind::LongTimedOut => {
                    self.events.push_back(Event::Close { why: CloseWhy::FrameUnfinished });
                }
                PieceKind::Stray => {
                    let detail = "expected 0B, the beginning of a block";
                    self.refused(piece, Why::Resync, detail, Answer::None);
                }
            }
        }
    }

    fn block(&mut self, piece: Piece) {
        let content = self.reader.read(&piece.raw);
        let id = self.owe(content.answer);
        self.events.push_back(Event::Message(Message {
            id,
            raw: piece.raw,
            received: piece.last_byte,
            groups: content.groups,
            refusals: content.refusals,
            completeness: Completeness::Complete,
            repeat_basis: content.repeat_basis,
            firmware: content.firmware,
        }));
        if let Some(identity) = content.identity
            && identity != self.identity
        {
            self.identity = identity.clone();
            self.events.push_back(Event::Identity(identity));
        }
    }

    fn refused(&mut self, piece: Piece, why: Why, detail: &str, answer: Answer) {
        let id = self.owe(answer);
        let completeness = match piece.kind {
            PieceKind::Broken | PieceKind::TimedOut | PieceKind::TooLong => {
                Completeness::Incomplete
            }
            PieceKind::Block | PieceKind::Stray | PieceKind::LongTimedOut => Completeness::Complete,
        };
        self.events.push_back(Event::Message(Message {
            id,
            received: piece.last_byte,
            groups: Vec::new(),
            refusals: vec![Refused::new(why, 0..piece.raw.len(), detail)],
            completeness,
            repeat_basis: None,
            firmware: None,
            raw: piece.raw,
        }));
    }

    fn owe(&mut self, answer: Answer) -> MessageId {
        self.last_number += 1;
        let number = self.last_number;
        self.outstanding.push_back(Outstanding { number, answer, settled: None });
        MessageId { session: self.session, number }
    }

    fn send_what_is_due(&mut self) {
        while let Some(Outstanding { settled: Some(_), .. }) = self.outstanding.front() {
            let blocks = self.outstanding.pop_front().and_then(|first| first.settled);
            for bytes in blocks.into_iter().flatten() {
                self.events.push_back(Event::Send { bytes, to: Peer::STREAM });
            }
        }
    }
}

impl Driver for Hl7v2Driver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                // An opening without a closing before it still ends what was begun.
                self.link(LinkChange::Closed, now);
                self.framing = Framing::new(now);
                self.session = session;
                self.identity = Identity::default();
            }
            LinkChange::Closed => {
                self.framing.close();
                self.take_pieces();
                // Nobody is there any more to be answered.
                self.outstanding.clear();
            }
            // TCP has no such errors, and over a serial line the bytes themselves will show it.
            LinkChange::LineError(_) => {}
        }
    }

    fn receive(&mut self, bytes: &[u8], _: Peer, now: Moment) {
        self.framing.receive(bytes, now);
        self.take_pieces();
    }

    fn settled(&mut self, message: MessageId, how: Settled, now: Moment) {
        if message.session != self.session {
            return;
        }
        let profile = self.reader.profile();
        if let Some(of) = self.outstanding.iter_mut().find(|of| of.number == message.number) {
            of.settled = Some(of.answer.blocks(message, how, profile, now));
        }
        self.send_what_is_due();
    }

    fn wake(&mut self, now: Moment) {
        self.framing.wake(now);
        self.take_pieces();
    }

    fn next_wake(&self) -> Option<Moment> {
        self.framing.next_wake()
    }

    fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
