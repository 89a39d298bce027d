//! What the tests of this family share: a bench with a settled or unsettled store, frames built by
//! the rules of facts/lab.md 1.2, and the captures.

mod conversation;
mod corpus;
mod meaning;
mod mutation;
mod odd;
mod shapes;
mod torn;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::{AstmDriver, AstmProfile};
use crate::protocol::{
    Driver, Event, LinkChange, Message, MessageId, NotKept, Peer, Session, Settled, Site,
};
use crate::vocabulary::{Certainty, DeviceCode, Flag, Moment, Reading, Why};

pub(super) const ACK: u8 = 0x06;
pub(super) const NAK: u8 = 0x15;

pub(super) const PLAIN: &str = "specimen_id = 'O.3.1'\ntest_code = 'R.3.4'\n";

pub(super) fn profile(toml: &str) -> Arc<AstmProfile> {
    let profile: AstmProfile = toml::from_str(toml).unwrap();
    profile.check().unwrap();
    Arc::new(profile)
}

pub(super) fn at(ms: u64) -> Moment {
    Moment::new(0, 1_700_000_000_000_000, Certainty::Synchronised).plus_ms(ms)
}

/// A driver on an open link, and everything that it said.
pub(super) struct Bench {
    pub driver: AstmDriver,
    pub messages: Vec<Message>,
    pub sent: Vec<u8>,
    pub events: Vec<Event>,
    pub now: u64,
    /// What the store says to each message at once; `None`: nothing yet.
    pub store: Option<Settled>,
}

impl Bench {
    pub fn new(toml: &str) -> Self {
        Self::at_site(toml, Site::default())
    }

    pub fn with_zone(toml: &str, zone: &TimeZone) -> Self {
        Self::at_site(toml, Site { zone: Some(zone.clone()), charset: None })
    }

    fn at_site(toml: &str, site: Site) -> Self {
        let mut driver = AstmDriver::new(profile(toml), site);
        driver.link(LinkChange::Opened { session: Session(7) }, at(0));
        let (messages, sent, events) = (Vec::new(), Vec::new(), Vec::new());
        Self { driver, messages, sent, events, now: 0, store: Some(Settled::Durable) }
    }

    /// A bench that has heard these reads.
    pub fn fed(toml: &str, reads: &[&[u8]]) -> Self {
        let mut bench = Self::new(toml);
        for read in reads {
            bench.feed(read);
        }
        bench
    }

    /// Feeds bytes and gives back what was sent in answer.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let before = self.sent.len();
        self.driver.receive(bytes, Peer::STREAM, at(self.now));
        self.poll();
        self.sent[before..].to_vec()
    }

    /// Lets time pass, waking the driver whenever it asked for it.
    pub fn pass(&mut self, ms: u64) -> Vec<u8> {
        let before = self.sent.len();
        let end = at(self.now + ms);
        for _ in 0..100 {
            match self.driver.next_wake() {
                Some(due) if due <= end => {
                    self.driver.wake(due);
                    self.poll();
                }
                Some(_) | None => {
                    self.now += ms;
                    return self.sent[before..].to_vec();
                }
            }
        }
        panic!("the driver asks to be woken without end");
    }

    pub fn settle(&mut self, number: u64, how: Settled) -> Vec<u8> {
        let before = self.sent.len();
        self.driver.settled(MessageId { session: Session(7), number }, how, at(self.now));
        self.poll();
        self.sent[before..].to_vec()
    }

    pub fn close(&mut self) {
        self.driver.link(LinkChange::Closed, at(self.now));
        self.poll();
    }

    fn poll(&mut self) {
        while let Some(event) = self.driver.poll() {
            self.events.push(event.clone());
            match event {
                Event::Message(message) => {
                    let id = message.id;
                    self.messages.push(message);
                    if let Some(how) = self.store {
                        self.driver.settled(id, how, at(self.now));
                    }
                }
                Event::Send { bytes, .. } => self.sent.extend(bytes),
                Event::Identity(_) | Event::Samples(_) | Event::Trouble { .. } => {}
                Event::Close { why } => panic!("no reason to close: {why:?}"),
            }
        }
    }

    pub fn readings(&self) -> Vec<&Reading> {
        let groups = self.messages.iter().flat_map(|message| &message.groups);
        groups.flat_map(|group| &group.readings).collect()
    }
}

pub(super) const NOT_KEPT: Settled = Settled::NotKept(NotKept::NoStorage);

/// A frame by facts/lab.md 1.2; `end` is ETX (3) or ETB (0x17).
pub(super) fn frame(number: usize, text: &[u8], end: u8) -> Vec<u8> {
    let mut body = vec![b'0' + (number % 8) as u8];
    body.extend_from_slice(text);
    body.push(end);
    let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let mut frame = vec![2];
    frame.extend(body);
    frame.extend(format!("{sum:02X}\r\n").bytes());
    frame
}

/// A transmission with one record per frame, each ending in ETX (facts/lab.md 10.1).
pub(super) fn transmission(records: &[&str]) -> Vec<u8> {
    let mut bytes = vec![5];
    for (index, record) in records.iter().enumerate() {
        bytes.extend(frame(index + 1, format!("{record}\r").as_bytes(), 3));
    }
    bytes.push(4);
    bytes
}

pub(super) const SILENCE: [u8; 0] = [];
pub(super) const H: &str = r"H|\^&|||LAB^1.0^S1|||||||P|1|20260101000000";
pub(super) const P: &str = "P|1||PAT7";
pub(super) const O: &str = "O|1|SP9";
pub(super) const R: &str = "R|1|^^^GLU|5.60|mmol/L||N||F||||20260101080000";
pub(super) const L: &str = "L|1|N";

pub(super) fn record(number: usize, record: &str) -> Vec<u8> {
    frame(number, format!("{record}\r").as_bytes(), 3)
}

/// ENQ and the frames of these records, each of which must be acknowledged.
pub(super) fn begun(records: &[&str]) -> Bench {
    let mut bench = Bench::new(PLAIN);
    assert_eq!(bench.feed(&[5]), [ACK]);
    for (index, text) in records.iter().enumerate() {
        assert_eq!(bench.feed(&record(index + 1, text)), [ACK]);
    }
    bench
}

pub(super) fn values(bench: &Bench) -> Vec<&str> {
    bench.readings().iter().map(|reading| reading.value.as_sent()).collect()
}

pub(super) fn refusals(message: &Message) -> Vec<Why> {
    message.refusals.iter().map(|refused| refused.why).collect()
}

/// One message with these records, through frames.
pub(super) fn message(toml: &str, records: &[&str]) -> Message {
    let mut bench = Bench::new(toml);
    bench.feed(&transmission(records));
    assert_eq!(bench.messages.len(), 1);
    bench.messages.remove(0)
}

pub(super) fn flags(reading: &Reading) -> Vec<&str> {
    reading.flags.iter().map(|Flag(text)| text.as_str()).collect()
}

pub(super) fn code(reading: &Reading) -> &str {
    match &reading.code {
        DeviceCode::Codings(codings) => &codings[0].code,
        DeviceCode::Parameter(name) => name,
    }
}

pub(super) fn words(reading: &Reading) -> &str {
    match &reading.code {
        DeviceCode::Codings(codings) => &codings[0].words,
        DeviceCode::Parameter(_) => "",
    }
}

/// A capture of the laboratory corpus, or `None` (with a note) where the corpus is not at hand.
pub(super) fn capture(test: &str, file: &str) -> Option<Vec<u8>> {
    let root = std::env::var("WARDGATE_CORPUS").unwrap_or_else(|_| "../shared/corpus".to_owned());
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(root).join("lab").join(file);
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(_) if std::env::var("WARDGATE_NO_SKIP").as_deref() == Ok("1") => {
            panic!("{test}: {file} not found")
        }
        Err(_) => {
            println!("SKIPPED {test}: corpus not found");
            None
        }
    }
}
