//! A device that is played by hand: what it says is written out here, what comes of it is compared
//! with the words of facts/monitors.md 3.

use super::*;
use crate::protocol::CloseWhy;
use crate::vocabulary::{AbsentReason, Certainty, DeviceCode, Nature, Reading, Samples, Value};

mod conversation;
mod fuzz;
mod meanings;
mod vectors;

const NOW: Moment = Moment::new(1_000_000, 1_700_000_000_000_000, Certainty::Synchronised);

/// Two tables in which 06 is not the same, and real-time signals if `waves` names them.
fn profile(waves: &str) -> MedibusProfile {
    let text = format!(
        r#"
identification = "0161'My PC'01.00:03.00"
{waves}
poll = [
    {{ command = "24", every_ms = 1000 }},
    {{ command = "27", every_ms = 2000 }},
    {{ command = "29", every_ms = 10000 }},
]

[[table]]
name = "evita"
device = [{{ id = "8240" }}]
data = [
    {{ code = "06", words = "compliance", unit = "L/bar", source = "s" }},
    {{ code = "82", words = "VT", parameter = "vent-vol-tidal", unit = "L", source = "s" }},
    {{ code = "88", words = "VT", parameter = "vent-vol-tidal", unit = "mL", source = "s" }},
    {{ code = "D6", words = "RR", parameter = "vent-resp-rate", unit = "/min", source = "s" }},
    {{ code = "78", words = "PEEP", parameter = "press-away-end-exp-pos", unit = "mbar",
       source = "s" }},
    {{ code = "21", page = 2, words = "VTe", unit = "mL", source = "s" }},
]
setting = [
    {{ code = "04", words = "VT", parameter = "vent-vol-tidal-setting", unit = "L", source = "s" }},
]
text = [
    {{ code = "06", words = "SIMV", parameter = "vent-mode", source = "s" }},
    {{ code = "0A", words = "CPAP", parameter = "vent-mode", source = "s" }},
    {{ code = "1E", words = "standby", source = "s" }},
]
alarm = [{{ code = "19", words = "Minute volume < low limit", source = "s" }}]
signal = [
    {{ code = "00", words = "Paw", parameter = "press-away", unit = "mbar", source = "s" }},
    {{ code = "01", words = "flow", unit = "L/min", source = "s" }},
]

[[table]]
name = "medibus.x"
device = [{{ id = "5000", software_from = "02.20" }}]
data = [
    {{ code = "06", words = "MVi", parameter = "vent-vol-minute-away-insp", unit = "L/min",
       source = "s" }},
]
"#
    );
    let profile: MedibusProfile = toml::from_str(&text).unwrap();
    assert_eq!(profile.problems(), []);
    profile
}

const ICC_REPLY: &[u8] = b"\x01Q52\r";
/// The synthetic vector of facts/monitors.md 3.2.
const EVITA_4: &[u8] = b"\x01R8240'Evita 4'04.20:03.00DB\r";

/// A frame with its checksum computed here, apart from the driver.
fn frame(start: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![start];
    frame.extend_from_slice(body);
    let sum: u32 = frame.iter().map(|byte| u32::from(*byte)).sum();
    frame.extend(format!("{:02X}\r", sum & 0xff).bytes());
    frame
}

fn reply(body: &[u8]) -> Vec<u8> {
    frame(0x01, body)
}

fn command(body: &[u8]) -> Vec<u8> {
    frame(0x1b, body)
}

/// One device's line with a clock that only moves when it is told to.
struct Bench {
    driver: MedibusDriver,
    now: Moment,
    /// What was sent, and when, in milliseconds since the start.
    sent: Vec<(u64, Vec<u8>)>,
    messages: Vec<Message>,
    identities: Vec<Identity>,
    troubles: Vec<Option<String>>,
    samples: Vec<Samples>,
}

impl Bench {
    fn with(profile: MedibusProfile) -> Self {
        let mut driver = MedibusDriver::new(Arc::new(profile), Site::default());
        driver.link(LinkChange::Opened { session: Session(7) }, NOW);
        let mut bench = Self {
            driver,
            now: NOW,
            sent: Vec::new(),
            messages: Vec::new(),
            identities: Vec::new(),
            troubles: Vec::new(),
            samples: Vec::new(),
        };
        bench.drain();
        bench
    }

    fn new() -> Self {
        Self::with(profile(""))
    }

    /// Initialised and identified as an Evita 4.
    fn running() -> Self {
        let mut bench = Self::new();
        bench.says(ICC_REPLY);
        bench.passes(60);
        bench.says(EVITA_4);
        bench.passes(250);
        bench
    }

    fn drain(&mut self) {
        while let Some(event) = self.driver.poll() {
            match event {
                Event::Message(message) => self.messages.push(message),
                Event::Send { bytes, to } => {
                    assert_eq!(to, Peer::STREAM);
                    self.may_be_sent(&bytes);
                    self.sent.push((self.now.since_ms(NOW), bytes));
                }
                Event::Identity(identity) => self.identities.push(identity),
                Event::Trouble { words } => self.troubles.push(words),
                Event::Samples(samples) => self.samples.push(samples),
                Event::Close { why: CloseWhy::FrameTooLong | CloseWhy::FrameUnfinished } => {
                    panic!("this family never closes the link")
                }
            }
        }
    }

    /// Holds for every scenario of these tests: nothing goes out but what is written here, and no
    /// command sooner than the distance that the device file states.
    fn may_be_sent(&self, bytes: &[u8]) {
        let commands = [&b"Q"[..], b"R", b"0", b"S", b"T00010102", b"$", b"'", b")"];
        let answers = [
            &b"Q"[..],
            b"R0161'My PC'01.00:03.00",
            b"0",
            b"\x15",
            b"I",
            b"J",
            b"U",
            b"V",
            b"#",
            b"$",
            b"%",
            b"&",
            b"'",
            b"(",
            b")",
            b"*",
            b"+",
            b",",
            b"-",
            b".",
        ];
        let is_command = commands.iter().any(|one| bytes == command(one));
        let is_answer = answers.iter().any(|one| bytes == reply(one));
        let enables = bytes == [0xD0, 0xC1, 0xC3, 0xC0, 0xC0];
        assert!(is_command || is_answer || enables, "{bytes:02X?}");
        let before = self.sent.iter().rev().find(|(_, sent)| sent.first() == Some(&0x1b));
        if let Some((at, _)) = before.filter(|_| is_command) {
            assert!(self.now.since_ms(NOW) >= at + 50, "{bytes:02X?} too soon");
        }
    }

    fn says(&mut self, bytes: &[u8]) {
        self.driver.receive(bytes, Peer::STREAM, self.now);
        self.drain();
    }

    /// Time goes by, and whatever is due happens when it is due.
    fn passes(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some(due) = self.driver.next_wake().filter(|due| *due <= end) {
            assert!(due >= self.now, "a wake in the past");
            self.now = due.max(self.now);
            self.driver.wake(self.now);
            self.drain();
        }
        self.now = end;
    }

    fn sent_bytes(&self) -> Vec<Vec<u8>> {
        self.sent.iter().map(|(_, bytes)| bytes.clone()).collect()
    }

    fn last_sent(&self) -> Vec<u8> {
        self.sent.last().unwrap().1.clone()
    }

    fn readings(&self) -> Vec<&Reading> {
        let groups = self.messages.iter().flat_map(|message| &message.groups);
        groups.flat_map(|group| &group.readings).collect()
    }

    /// Parameter or own code, value or reason, unit.
    fn shown(&self) -> Vec<String> {
        self.readings().into_iter().map(shown).collect()
    }

    fn refusals(&self) -> Vec<Why> {
        self.messages.iter().flat_map(|message| &message.refusals).map(|one| one.why).collect()
    }
}

fn shown(reading: &Reading) -> String {
    let name = match &reading.code {
        DeviceCode::Parameter(name) => name.clone(),
        DeviceCode::Codings(codings) => codings[0].code.clone(),
    };
    let value = match reading.value.absent_reason() {
        Some(reason) => format!("absent: {reason}"),
        None => reading.value.as_sent().to_owned(),
    };
    let unit = reading.unit.as_ref().map(|unit| format!(" {}", unit.codings[0].code));
    format!("{name} {value}{}", unit.unwrap_or_default())
}
