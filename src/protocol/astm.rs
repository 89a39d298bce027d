//! Family `astm`: laboratory and point-of-care analysers over LIS01-A2 (ASTM E1381) with LIS02-A2
//! (ASTM E1394) records. We only receive: frames are answered with ACK or NAK, nothing else is
//! sent, and a host query is acknowledged but never answered.
//!
//! | file | what it knows | what it must not know |
//! |---|---|---|
//! | `profile` | the `[protocol.astm]` table of a device file | bytes |
//! | `path` | `R.3.4`: which field of which record | values |
//! | `charset` | bytes to text without silent loss | records |
//! | `link` | ENQ, frames, checksums, EOT (facts/lab.md 1) | records |
//! | `assembly` | the accepted frames of one message, joined | what the records say |
//! | `records` | records, fields, escapes (facts/lab.md 2.1) | what the fields mean |
//! | `meaning` | H, P, O, R, C to groups with their subject (facts/lab.md 2.2) | frames |
//! | `result` | one R to one reading, and its mode (facts/lab.md 2.3, 2.4) | frames |
//! | `context` | whose results follow, from one frame to the next | fields |
//! | `receiver` | the conversation: replies, timers, settlements | fields |
//! | `stray` | bytes outside any transmission | what they mean |
//! | `bare` | records without LIS01: cut H to L | fields |
//!
//! # What is acknowledged when
//! Frames inside a message are acknowledged at once. The frame that completes a message (the one
//! with the end of the L record) is acknowledged only after [`Driver::settled`]; refused storage
//! is a NAK. Analysers rarely resend a message whose frames were all acknowledged
//! (facts/lab.md 1.4).
//! A device that sends no L record has every frame handed over and settled before its ACK.
//!
//! # A transmission that stops
//! Frames that were acknowledged are handed over as [`Completeness::Incomplete`], raw, with the
//! readings of the records that came whole: the device believes them delivered, so they must not be
//! lost. A record that was cut off gives no reading: half a number is another number. A record that
//! ETX closed without CR is believed only by what follows it (see `assembly`).
//!
//! # The checksum's weakness
//! A sum of bytes does not see two bytes that changed places, nor two flips that cancel out.
//!
//! [`Driver::settled`]: super::Driver::settled
//! [`Completeness::Incomplete`]: super::Completeness::Incomplete

mod assembly;
mod bare;
mod charset;
mod context;
mod link;
mod meaning;
mod path;
mod profile;
mod receiver;
mod records;
mod result;
mod stray;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use self::assembly::Assembly;
use self::bare::Bare;
use self::charset::Charset;
use self::receiver::Receiver;
use super::{
    Completeness, Driver, Event, Identity, LinkChange, Message, MessageId, Peer, Session, Settled,
    Site,
};
use crate::vocabulary::Moment;

pub use self::charset::CharsetError;
pub use self::path::{PathError, RecordPath};
pub use self::profile::{
    AstmProfile, ControlSampleRule, DefaultStatus, EndsWithLRecord, FrameNumbers, Framing,
    ProfileError, ResultRow, SelectRule, Trailer, UnitCode,
};

/// The receiver for one analyser.
///
/// ```
/// use std::sync::Arc;
/// use wardgate::protocol::astm::{AstmDriver, AstmProfile};
/// use wardgate::protocol::{Driver, Event, LinkChange, Peer, Session, Site};
/// use wardgate::vocabulary::{Certainty, Moment};
///
/// let profile: AstmProfile =
///     toml::from_str("specimen_id = 'O.3.1'\ntest_code = 'R.3.4'").unwrap();
/// let mut driver = AstmDriver::new(Arc::new(profile), Site::default());
/// let now = Moment::new(0, 1_700_000_000_000_000, Certainty::Synchronised);
/// driver.link(LinkChange::Opened { session: Session(1) }, now);
/// driver.receive(b"\x05", Peer::STREAM, now);
/// assert_eq!(driver.poll(), Some(Event::Send { bytes: vec![0x06], to: Peer::STREAM }));
/// ```
pub struct AstmDriver {
    desk: Desk,
    machine: Machine,
}

enum Machine {
    Lis01(Box<Receiver>),
    Bare(Box<Bare>),
}

impl AstmDriver {
    /// A driver for one device. The site's character set wins over the profile's; one that nobody
    /// can read leaves plain ASCII as the only readable text. Whoever loads the profile has called
    /// [`AstmProfile::check`].
    pub fn new(profile: Arc<AstmProfile>, site: Site) -> Self {
        let machine = match profile.framing {
            Framing::Lis01 => Machine::Lis01(Box::new(Receiver::new(&profile))),
            Framing::None => Machine::Bare(Box::default()),
        };
        Self { desk: Desk::new(profile, site), machine }
    }
}

impl Driver for AstmDriver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                self.close(now);
                self.desk.open(session);
            }
            LinkChange::Closed => self.close(now),
            LinkChange::LineError(_) => match &mut self.machine {
                Machine::Lis01(receiver) => receiver.line_error(),
                Machine::Bare(bare) => bare.line_error(),
            },
        }
    }

    fn receive(&mut self, bytes: &[u8], _from: Peer, now: Moment) {
        match &mut self.machine {
            Machine::Lis01(receiver) => receiver.receive(bytes, now, &mut self.desk),
            Machine::Bare(bare) => bare.receive(bytes, now, &mut self.desk),
        }
    }

    fn settled(&mut self, message: MessageId, how: Settled, now: Moment) {
        if message.session != self.desk.session {
            return;
        }
        match &mut self.machine {
            Machine::Lis01(receiver) => {
                receiver.settled(message.number, how, now, &mut self.desk);
            }
            // Nothing was promised to a device that gets no acknowledgements.
            Machine::Bare(_) => {}
        }
    }

    fn wake(&mut self, now: Moment) {
        match &mut self.machine {
            Machine::Lis01(receiver) => receiver.wake(now, &mut self.desk),
            Machine::Bare(bare) => bare.wake(now, &mut self.desk),
        }
    }

    fn next_wake(&self) -> Option<Moment> {
        match &self.machine {
            Machine::Lis01(receiver) => receiver.next_wake(),
            Machine::Bare(bare) => bare.next_wake(),
        }
    }

    fn poll(&mut self) -> Option<Event> {
        self.desk.events.pop_front()
    }
}

impl AstmDriver {
    fn close(&mut self, now: Moment) {
        match &mut self.machine {
            Machine::Lis01(receiver) => receiver.close(now, &mut self.desk),
            Machine::Bare(bare) => bare.close(now, &mut self.desk),
        }
    }
}

/// Where messages get their numbers and readings and wait for [`Driver::poll`].
struct Desk {
    profile: Arc<AstmProfile>,
    site: Site,
    charset: Charset,
    session: Session,
    last_number: u64,
    events: VecDeque<Event>,
    /// What the device last said of itself in this session, so that it is told once.
    told: Option<Identity>,
}

impl Desk {
    fn new(profile: Arc<AstmProfile>, site: Site) -> Self {
        let charset = match &site.charset {
            Some(label) => Charset::parse(label).unwrap_or(Charset::AsciiOnly),
            None => profile.charset.clone(),
        };
        Self {
            profile,
            site,
            charset,
            session: Session(0),
            last_number: 0,
            events: VecDeque::new(),
            told: None,
        }
    }

    fn open(&mut self, session: Session) {
        self.session = session;
        self.last_number = 0;
        self.told = None;
    }

    fn send(&mut self, byte: u8) {
        self.events.push_back(Event::Send { bytes: vec![byte], to: Peer::STREAM });
    }

    /// Reads what the assembly holds up to `text_end` and queues it as a message.
    fn hand_over(
        &mut self,
        assembly: &Assembly,
        text_end: usize,
        completeness: Completeness,
        received: Moment,
    ) -> u64 {
        let joined = assembly.joined(text_end, &completeness);
        let read = meaning::read(&self.profile, &self.site, &self.charset, &joined);
        let mut refusals = assembly.refusals();
        refusals.extend(read.refusals);
        if let Some(identity) = read.identity
            && self.told.as_ref() != Some(&identity)
        {
            self.events.push_back(Event::Identity(identity.clone()));
            self.told = Some(identity);
        }
        self.last_number += 1;
        self.events.push_back(Event::Message(Message {
            id: MessageId { session: self.session, number: self.last_number },
            raw: assembly.raw().to_vec(),
            received,
            groups: read.groups,
            refusals,
            completeness,
            repeat_basis: read.repeat_basis,
            firmware: read.firmware,
        }));
        self.last_number
    }
}
