//! Floor 1: bytes to readings. Pure state machines, one folder per protocol family.
//!
//! A [`Driver`] turns the bytes of one link into [`Message`]s and says what to send back. It holds
//! no socket and asks no clock. It knows nothing of patients, beds, destinations or disks.
//!
//! | family | folder | what it reads |
//! |---|---|---|
//! | `line` | [`mod@line`] | ASCII lines, described by the profile |
//! | `frame` | [`frame`] | binary frames, described by the profile |
//! | `astm` | [`astm`] | LIS01 link, LIS02 records |
//! | `hl7v2` | [`hl7v2`] | HL7 v2 over MLLP |
//! | `intellivue` | [`intellivue`] | Philips IntelliVue Data Export over LAN or RS-232 |
//! | `unity` | [`unity`] | GE Dash and Solar monitors over UDP |
//! | `dri` | [`dri`] | GE S/5 and CARESCAPE monitors on a serial line |
//! | `medibus` | [`medibus`] | Dräger MEDIBUS and MEDIBUS.X |

use std::fmt;

use crate::vocabulary::{Evidence, Group, Moment, Refused, Samples};

pub mod astm;
pub mod checksum;
pub mod dri;
pub mod flag;
pub mod frame;
pub mod hl7v2;
pub mod intellivue;
mod interpreted;
pub mod line;
pub mod medibus;
pub mod unity;
mod utf8;

pub use interpreted::{Ask, Part, Shape, Template};

/// Turns the bytes of one link into messages, and says what to send back.
///
/// Call [`Driver::poll`] until it gives `None` after every other call. A stream family gives the
/// same events whether its input comes whole, byte by byte, or cut anywhere.
pub trait Driver: Send {
    /// The link came up, went down or saw an error on the line.
    fn link(&mut self, change: LinkChange, now: Moment);
    /// A chunk of a stream, or one datagram.
    fn receive(&mut self, bytes: &[u8], from: Peer, now: Moment);
    /// The fate of a message is known. Ignored if the message belongs to another session.
    fn settled(&mut self, message: MessageId, how: Settled, now: Moment);
    /// The moment that [`Driver::next_wake`] named has come (or passed).
    fn wake(&mut self, now: Moment);
    /// When to call [`Driver::wake`] next; `None` means never.
    fn next_wake(&self) -> Option<Moment>;
    /// The next event, if there is one.
    fn poll(&mut self) -> Option<Event>;
}

/// What the site's configuration says of one device and no profile can know.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The zone of the device's clock; without it a time without offset stays unresolved.
    pub zone: Option<jiff::tz::TimeZone>,
    /// The character set of a peer that does not name one (HL7 table 0211 or an encoding label).
    pub charset: Option<String>,
}

/// The longest message that any driver may hand over: well under half a journal segment, so that a
/// message and its observations always fit in one batch.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Who sent a datagram; a stream has only one peer. A device that is asked over UDP is one device
/// with several ports: there the number is its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer(pub u32);

impl Peer {
    /// The one peer of a stream; of a device that is asked over UDP, the port that the site's
    /// configuration names.
    pub const STREAM: Peer = Peer(0);
}

/// One opening of a link. Numbers grow, so that a late settlement is recognised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Session(pub u64);

/// What happened to the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkChange {
    Opened {
        session: Session,
    },
    Closed,
    /// Parity, framing, overrun or break, where the port can tell.
    LineError(LineError),
}

/// What the serial port saw on the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    Parity,
    Framing,
    Overrun,
    Break,
}

/// Which message of which session. What one acknowledgement answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    pub session: Session,
    pub number: u64,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settled {
    /// On stable storage: it may be acknowledged.
    Durable,
    /// The same message is already on stable storage: acknowledge it the same way.
    Repeat,
    /// It could not be kept: refuse it or stay silent, as the family says.
    NotKept(NotKept),
}

/// Why a message was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotKept {
    /// The disk is full, failed or read-only.
    NoStorage,
    /// The box is stopping.
    Stopping,
    /// The message is larger than a record may be.
    TooLarge,
}

/// Whether the device finished what it began.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Completeness {
    Complete,
    /// It stopped in the middle; what was acknowledged of it is kept, raw and visible.
    Incomplete,
}

/// What one acknowledgement of the protocol answers: raw bytes, what was read, what was refused.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    pub id: MessageId,
    /// Every byte of it as it came, framing included.
    pub raw: Vec<u8>,
    /// When its last byte came.
    pub received: Moment,
    pub groups: Vec<Group>,
    pub refusals: Vec<Refused>,
    pub completeness: Completeness,
    /// The message without its transport fields (MSH-7, MSH-10, frame numbers), and only if every
    /// value in it carries one second of the device's own time
    /// ([`crate::vocabulary::DeviceTime::is_one_second`]): two messages with the same basis are the
    /// same message sent twice. `None`: never taken for a repeat.
    pub repeat_basis: Option<Vec<u8>>,
    /// The firmware that the device reports in this message, if it does.
    pub firmware: Option<String>,
}

impl fmt::Debug for Message {
    /// Counts only: raw bytes may hold a patient's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let readings: usize = self.groups.iter().map(|group| group.readings.len()).sum();
        f.debug_struct("Message")
            .field("id", &self.id)
            .field("bytes", &self.raw.len())
            .field("readings", &readings)
            .field("refusals", &self.refusals)
            .field("completeness", &self.completeness)
            .finish_non_exhaustive()
    }
}

/// What a driver wants the house to know or do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// To be kept; [`Driver::settled`] answers it.
    Message(Message),
    /// Bytes for the device. Only templates of the family and the profile end up here.
    Send { bytes: Vec<u8>, to: Peer },
    /// Samples of waveforms. Nobody is acknowledged for them; they may be dropped.
    Samples(Samples),
    /// The device said who it is.
    Identity(Identity),
    /// What is wrong on this link, in words that a biomedical engineer uses and without a word of a
    /// patient; `None`: all is well again.
    Trouble { words: Option<String> },
    /// The link cannot go on; close it and open it anew.
    Close { why: CloseWhy },
}

/// What a device says of itself; empty where it said nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    pub model: String,
    pub serial_number: String,
    pub firmware: String,
}

/// Why a driver gives up a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseWhy {
    /// A frame grew past the limit; the rest of the stream cannot be trusted.
    FrameTooLong,
    /// A frame was begun and not finished within its time.
    FrameUnfinished,
}

/// One thing that a device file, or the family's own table, says a device can report: for the list
/// of what is proven by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// The name in the vocabulary.
    pub parameter: String,
    /// Where it stands on the wire, in the family's words: `column 3`, `OBX-3 150456`, `code 82`.
    pub place: String,
    /// The device's unit; empty where the value has none.
    pub unit: String,
    /// Where this is written: source id and page.
    pub source: String,
    /// How far this one is proven; `None`: as far as the file as a whole.
    pub evidence: Option<Evidence>,
}
