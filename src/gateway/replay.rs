//! A device file tried on bytes: the same driver, mapping and checks as on the ward, a virtual
//! clock, and a journal that keeps everything at once. For `profile replay`, `profile check` and
//! tests.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::record::{self, metric_core};
use crate::check::clock::{DeviceClock, UNCERTAINTY_MS_MAX};
use crate::check::{self, Checker};
use crate::link::capture::{Capture, What};
use crate::mapping::Mapper;
use crate::profile::{Profile, Protocol};
use crate::protocol::{Completeness, Driver, Event, LinkChange, Peer, Session, Settled, Site};
use crate::vocabulary::{Certainty, Moment, Vocabulary};

/// Where the virtual clock starts: captures say nothing of the wall clock.
const START: Moment = Moment::new(1_000_000, 1_767_225_600_000_000, Certainty::Unproven);

/// What came of one input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// One line per metric or refusal, in order.
    pub lines: Vec<Json>,
    /// What the driver sent to the device.
    pub sent: Vec<u8>,
    pub messages: usize,
    pub incomplete: usize,
    pub mapped: usize,
    pub unmapped: usize,
    pub refused: usize,
}

/// Bytes as they would come on the wire, in the pieces in which they came.
pub fn pieces(profile: &Profile, content: &[u8]) -> Result<Vec<(u64, Piece)>, String> {
    let text = std::str::from_utf8(content).ok().filter(|text| Capture::is_one(text));
    if let Some(text) = text {
        let capture = Capture::parse(text).map_err(|error| error.to_string())?;
        let piece = |what| match what {
            What::FromDevice(bytes) => Some(Piece::Bytes(bytes)),
            What::LineEvent(_) => Some(Piece::Disconnect),
            What::ToDevice(_) => None,
        };
        let entries = capture.entries.into_iter();
        return Ok(entries.filter_map(|one| Some((one.at_ms, piece(one.what)?))).collect());
    }
    let bytes = match profile.file().protocol {
        Protocol::Hl7v2(_) => framed_messages(content),
        Protocol::Astm(_) => transmission(content),
        Protocol::Line(_)
        | Protocol::Frame(_)
        | Protocol::Intellivue(_)
        | Protocol::Dri(_)
        | Protocol::Unity(_)
        | Protocol::Medibus(_) => content.to_vec(),
    };
    Ok(vec![(0, Piece::Bytes(bytes))])
}

/// One piece of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Bytes(Vec<u8>),
    Disconnect,
}

/// Files of HL7 messages have any line end and no framing; on the wire it is CR and MLLP.
fn framed_messages(content: &[u8]) -> Vec<u8> {
    if content.contains(&0x0b) {
        return content.to_vec();
    }
    let mut wire = Vec::new();
    let lines = content.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty());
    for line in lines {
        if line.starts_with(b"MSH") || wire.is_empty() {
            if !wire.is_empty() {
                wire.extend([0x1c, 0x0d]);
            }
            wire.push(0x0b);
        }
        wire.extend_from_slice(line);
        wire.push(b'\r');
    }
    if !wire.is_empty() {
        wire.extend([0x1c, 0x0d]);
    }
    wire
}

/// Files of ASTM transmissions often lack ENQ and EOT, and some hold records without frames.
fn transmission(content: &[u8]) -> Vec<u8> {
    let (enq, stx, etx, eot) = (0x05, 0x02, 0x03, 0x04);
    let mut wire = Vec::new();
    if !content.contains(&enq) {
        wire.push(enq);
    }
    if content.contains(&stx) {
        wire.extend_from_slice(content);
    } else {
        let mut body = vec![b'1'];
        let lines = content.split(|byte| matches!(byte, b'\r' | b'\n'));
        for line in lines.filter(|line| !line.is_empty()) {
            body.extend_from_slice(line);
            body.push(b'\r');
        }
        body.push(etx);
        let sum = body.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        wire.push(stx);
        wire.extend(body);
        wire.extend(format!("{sum:02X}\r\n").bytes());
    }
    if !content.contains(&eot) {
        wire.push(eot);
    }
    wire
}

/// Runs a device file over input.
pub fn run(
    profile: &Profile,
    firmware: &str,
    site: Site,
    vocabulary: &Arc<Vocabulary>,
    pieces: &[(u64, Piece)],
) -> Outcome {
    let mut bench = Bench {
        mapper: Mapper::new(profile, firmware, Arc::clone(vocabulary)),
        checker: Checker::default(),
        clock: DeviceClock::default(),
        outcome: Outcome::default(),
    };
    let mut driver = profile.driver(firmware, site);
    let mut session = 1;
    let mut now = START;
    driver.link(LinkChange::Opened { session: Session(session) }, now);
    for (at_ms, piece) in pieces {
        let at = START.plus_ms(*at_ms);
        while let Some(due) = driver.next_wake().filter(|due| *due <= at) {
            now = due;
            driver.wake(due);
            bench.drain(driver.as_mut(), due);
        }
        now = at.max(now);
        match piece {
            Piece::Bytes(bytes) => driver.receive(bytes, Peer::STREAM, now),
            Piece::Disconnect => {
                driver.link(LinkChange::Closed, now);
                bench.drain(driver.as_mut(), now);
                session += 1;
                driver.link(LinkChange::Opened { session: Session(session) }, now);
            }
        }
        bench.drain(driver.as_mut(), now);
    }
    driver.link(LinkChange::Closed, now);
    bench.drain(driver.as_mut(), now);
    bench.outcome
}

struct Bench {
    mapper: Mapper,
    checker: Checker,
    clock: DeviceClock,
    outcome: Outcome,
}

impl Bench {
    fn drain(&mut self, driver: &mut dyn Driver, now: Moment) {
        let mut settle = VecDeque::new();
        loop {
            while let Some(event) = driver.poll() {
                match event {
                    Event::Message(message) => {
                        settle.push_back(message.id);
                        self.message(&message);
                    }
                    Event::Send { bytes, .. } => self.outcome.sent.extend(bytes),
                    Event::Samples(_)
                    | Event::Identity(_)
                    | Event::Trouble { .. }
                    | Event::Close { .. } => {}
                }
            }
            let Some(id) = settle.pop_front() else { return };
            driver.settled(id, Settled::Durable, now);
        }
    }

    fn message(&mut self, message: &crate::protocol::Message) {
        self.outcome.messages += 1;
        self.outcome.incomplete += usize::from(message.completeness == Completeness::Incomplete);
        let mapped = self.mapper.map(&message.groups);
        for mut observation in mapped.observations {
            let limit = UNCERTAINTY_MS_MAX;
            let times = check::times(&observation, message.received, &mut self.clock, limit);
            self.checker.mark(&mut observation, &times);
            let unmapped = observation.unmapped();
            self.outcome.unmapped += unmapped;
            self.outcome.mapped +=
                observation.metrics.iter().filter(|one| one.parameter.is_some()).count();
            for metric in &observation.metrics {
                let mut line = metric_core(metric);
                about(&mut line, &observation, &times);
                self.outcome.lines.push(Json::Object(line));
            }
        }
        for refused in message.refusals.iter().chain(&mapped.refusals) {
            self.outcome.refused += 1;
            self.outcome.lines.push(json!({ "refused": record::refusal(refused) }));
        }
    }
}

/// What a metric shares with its observation. No receive time: a replay has none that means
/// anything.
fn about(
    line: &mut Map<String, Json>,
    observation: &crate::vocabulary::Observation,
    times: &crate::check::clock::Times,
) {
    let mut put = |key: &str, value: Json| {
        line.insert(key.to_owned(), value);
    };
    if let Some(time) = &observation.device_time {
        put("device_time", json!(time.as_written));
        put("device_time_utc", json!(time.utc_us.map(crate::vocabulary::moment::utc_text)));
    }
    if times.rule == crate::check::clock::Rule::Corrected {
        put("chart_rule", json!(times.rule.as_str()));
    }
    if !observation.subject.specimen.is_empty() {
        put("specimen", json!(observation.subject.specimen));
    }
    put("mode", json!(observation.mode.as_str()));
    put("record", json!(record::kind(observation).name()));
}

/// A metric line for a person.
pub fn for_people(line: &Json) -> String {
    let text = |key: &str| line.get(key).and_then(Json::as_str).unwrap_or_default().to_owned();
    if let Some(refused) = line.get("refused") {
        let part = |key: &str| refused.get(key).and_then(Json::as_str).unwrap_or_default();
        let at = |index: usize| refused.pointer(&format!("/at/{index}")).and_then(Json::as_u64);
        let (from, to) = (at(0).unwrap_or(0), at(1).unwrap_or(0));
        let (why, detail) = (part("why"), part("detail"));
        return format!("{:<24} {why} at bytes {from}..{to}: {detail}", "refused");
    }
    let coding = line.pointer("/codings/0");
    let words = coding.map(|coding| {
        let part = |key: &str| coding.get(key).and_then(Json::as_str).unwrap_or_default();
        format!("{}^{}", part("code"), part("words"))
    });
    let name = match line.get("parameter").and_then(Json::as_str) {
        Some(parameter) => parameter.to_owned(),
        None => format!("(unmapped) {}", words.unwrap_or_default()),
    };
    let value = match line.get("absent").and_then(Json::as_str) {
        Some(reason) => format!("absent: {reason}"),
        None => text("value"),
    };
    let unit = line.pointer("/unit/0/code").and_then(Json::as_str).unwrap_or_default();
    let unit = if text("ucum").is_empty() { unit.to_owned() } else { text("ucum") };
    let doubts = line.get("doubts").map(|doubts| format!("  doubts {doubts}")).unwrap_or_default();
    let flags = line.get("flags").map(|flags| format!("  flags {flags}")).unwrap_or_default();
    let time = text("device_time");
    format!("{name:<24} {value:>18} {unit:<10} {time}{flags}{doubts}")
}
