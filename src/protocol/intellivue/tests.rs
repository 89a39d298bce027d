//! The driver against a monitor played from facts/monitors.md 1, with an encoder of its own.

mod alarms;
mod conversation;
mod corpus;
mod files;
mod monitor;
mod mutation;
mod templates;
mod values;
mod waves;

use std::sync::Arc;

use super::*;
use crate::protocol::LineError;
use crate::vocabulary::{Certainty, Samples};
use monitor::Monitor;

const START: Moment = Moment::new(1_000_000, 1_767_225_600_000_000, Certainty::Synchronised);

fn profile(framing: Framing) -> IntellivueProfile {
    let code = |text: &str| MdilCode::try_from(text.to_owned()).unwrap();
    IntellivueProfile {
        framing,
        message_bytes_max: if framing == Framing::Lan { 1364 } else { 1000 },
        alarms: true,
        demographics: true,
        waves: Vec::new(),
        episodic: ["0002-4a05", "0002-4a06", "0002-4a07"].map(code).to_vec(),
        numeric: Vec::new(),
        by_number: Vec::new(),
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A driver, a clock, and what came of them.
struct Bench {
    driver: IntellivueDriver,
    framing: Framing,
    now: Moment,
    /// What the driver sent since the last look, without framing.
    sent: Vec<(Moment, Vec<u8>, Peer)>,
    /// Everything that was sent.
    all_sent: Vec<(Moment, Vec<u8>, Peer)>,
    messages: Vec<Message>,
    samples: Vec<Samples>,
    identities: Vec<Identity>,
    troubles: Vec<Option<String>>,
}

impl Bench {
    fn new(profile: IntellivueProfile) -> Self {
        let framing = profile.framing;
        let zone = Some(jiff::tz::TimeZone::UTC);
        let site = Site { zone, charset: None };
        Self {
            driver: IntellivueDriver::new(Arc::new(profile), site),
            framing,
            now: START,
            sent: Vec::new(),
            all_sent: Vec::new(),
            messages: Vec::new(),
            samples: Vec::new(),
            identities: Vec::new(),
            troubles: Vec::new(),
        }
    }

    fn open(framing: Framing) -> Self {
        let mut bench = Self::new(profile(framing));
        bench.driver.link(LinkChange::Opened { session: Session(1) }, START);
        bench.drain();
        bench
    }

    fn drain(&mut self) {
        while let Some(event) = self.driver.poll() {
            match event {
                Event::Message(message) => self.messages.push(message),
                Event::Send { bytes, to } => {
                    let plain = match self.framing {
                        Framing::Lan => bytes,
                        Framing::Rs232 => monitor::unframed(&bytes),
                    };
                    self.sent.push((self.now, plain.clone(), to));
                    self.all_sent.push((self.now, plain, to));
                }
                Event::Samples(samples) => self.samples.push(samples),
                Event::Identity(identity) => self.identities.push(identity),
                Event::Trouble { words } => self.troubles.push(words),
                Event::Close { why } => panic!("closed: {why:?}"),
            }
        }
    }

    /// A message of the monitor's, as the link brings it.
    fn hear(&mut self, message: &[u8]) {
        let bytes = match self.framing {
            Framing::Lan => message.to_vec(),
            Framing::Rs232 => monitor::framed(message),
        };
        self.driver.receive(&bytes, Peer(24_105), self.now);
        self.drain();
    }

    /// Lets time pass, waking the driver when it wants to be.
    fn pass(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(due) = self.driver.next_wake().filter(|due| *due <= end) {
            assert!(self.sent.len() < 10_000, "the driver wakes without end");
            self.now = due.max(self.now);
            self.driver.wake(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Lets time pass beside a monitor that answers, and pushes once a second.
    fn live(&mut self, monitor: &mut Monitor, ms: u64) {
        for _ in 0..ms / 50 {
            self.pass(50);
            for (_, message, _) in std::mem::take(&mut self.sent) {
                for answer in monitor.answer(&message, self.now) {
                    self.hear(&answer);
                }
            }
            for pushed in monitor.push(self.now) {
                self.hear(&pushed);
            }
        }
    }

    fn readings(&self) -> Vec<(&Group, &Reading)> {
        let groups = self.messages.iter().flat_map(|message| &message.groups);
        groups.flat_map(|group| group.readings.iter().map(move |one| (group, one))).collect()
    }

    /// Values by code, `code=value` or `code: reason`.
    fn said(&self) -> Vec<String> {
        self.readings().iter().map(|(_, reading)| say(reading)).collect()
    }

    fn refusals(&self) -> Vec<Why> {
        let refusals = self.messages.iter().flat_map(|message| &message.refusals);
        refusals.map(|refused| refused.why).collect()
    }
}

fn code_of(reading: &Reading) -> String {
    match &reading.code {
        DeviceCode::Codings(codings) => codings[0].code.clone(),
        DeviceCode::Parameter(name) => name.clone(),
    }
}

fn say(reading: &Reading) -> String {
    let code = code_of(reading);
    match reading.value.absent_reason() {
        Some(reason) => format!("{code}: {reason}"),
        None => format!("{code}={}", reading.value.as_sent()),
    }
}

use crate::vocabulary::{DeviceCode, Reading};
