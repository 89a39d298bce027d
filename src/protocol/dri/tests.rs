//! Records are built here from the sheet's words, with a writer that shares nothing with the
//! driver's reader.

use super::*;
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{AbsentReason, Certainty, DeviceCode, Reading, SampleArray};

mod alarms;
mod asking;
mod damage;
mod measurements;
mod records;
mod table;
mod waves;

/// A file of the corpus, or `None` (with a note) where the corpus is not at hand.
fn corpus(test: &str, file: &str) -> Option<String> {
    let root = std::env::var("WARDGATE_CORPUS").unwrap_or_else(|_| "../shared/corpus".to_owned());
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(root).join(file);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            let strict = std::env::var("WARDGATE_NO_SKIP").is_ok_and(|value| value == "1");
            assert!(!strict, "{test}: {error}");
            println!("SKIPPED {test}: corpus not found");
            None
        }
    }
}

const NOW: Moment = Moment::new(1_000_000, 1_700_000_000_000_000, Certainty::Synchronised);

fn profile() -> DriProfile {
    DriProfile {
        interval_s: 10,
        classes: vec![ExtraClass::Ext1, ExtraClass::Ext2, ExtraClass::Ext3],
        auxiliary: true,
        alarms: false,
        waves: Vec::new(),
        source: "test".to_owned(),
        evidence: None,
    }
}

fn driver_of(profile: DriProfile, zone: Option<&str>) -> DriDriver {
    let zone = zone.map(|name| jiff::tz::TimeZone::get(name).unwrap());
    let mut driver = DriDriver::new(Arc::new(profile), Site { zone, charset: None });
    driver.link(LinkChange::Opened { session: Session(7) }, NOW);
    driver
}

fn driver() -> DriDriver {
    driver_of(profile(), None)
}

fn events(driver: &mut DriDriver) -> Vec<Event> {
    std::iter::from_fn(|| driver.poll()).collect()
}

fn messages(driver: &mut DriDriver) -> Vec<Message> {
    let only = |event| {
        if let Event::Message(message) = event { Some(message) } else { None }
    };
    events(driver).into_iter().filter_map(only).collect()
}

fn fed(driver: &mut DriDriver, bytes: &[u8]) -> Vec<Message> {
    driver.receive(bytes, Peer::STREAM, NOW);
    messages(driver)
}

/// A record in the making.
#[derive(Clone)]
struct Made {
    number: u8,
    level: u8,
    plug: u16,
    time: u32,
    main_type: u8,
    parts: Vec<(u8, Vec<u8>)>,
}

const MADE: Made =
    Made { number: 1, level: 10, plug: 77, time: 1_700_000_000, main_type: 0, parts: Vec::new() };

impl Made {
    fn with(mut self, kind: u8, data: Vec<u8>) -> Self {
        self.parts.push((kind, data));
        self
    }

    fn record(&self) -> Vec<u8> {
        let length: usize = 40 + self.parts.iter().map(|(_, data)| data.len()).sum::<usize>();
        let mut record = vec![(length % 256) as u8, (length / 256) as u8, self.number, self.level];
        record.extend([(self.plug % 256) as u8, (self.plug / 256) as u8]);
        for power in 0..4 {
            record.push((self.time / 256u32.pow(power) % 256) as u8);
        }
        record.extend([0, 0, 0, 0, self.main_type, 0]);
        let mut offset = 0;
        for index in 0..8 {
            match self.parts.get(index) {
                Some((kind, data)) => {
                    record.extend([(offset % 256) as u8, (offset / 256) as u8, *kind]);
                    offset += data.len();
                }
                None => record.extend([0, 0, 0xff]),
            }
        }
        assert_eq!(record.len(), 40);
        self.parts.iter().for_each(|(_, data)| record.extend(data));
        record
    }

    fn frame(&self) -> Vec<u8> {
        line(&self.record())
    }
}

/// Checksum and escapes, by the sheet's words.
fn line(record: &[u8]) -> Vec<u8> {
    let sum: u32 = record.iter().map(|byte| u32::from(*byte)).sum();
    let mut frame = vec![0x7e];
    for byte in record.iter().copied().chain([(sum % 256) as u8]) {
        match byte {
            0x7e => frame.extend([0x7d, 0x5e]),
            0x7d => frame.extend([0x7d, 0x5d]),
            other => frame.push(other),
        }
    }
    frame.push(0x7e);
    frame
}

/// A sub-record of displayed values with what stands where in it (offsets from its start, as in the
/// sheet's table of key offsets).
fn class(number: u8, time: u32, fields: &[(usize, i32)]) -> Vec<u8> {
    let mut data = vec![0; 278];
    data[..4].copy_from_slice(&time.to_le_bytes());
    for (at, value) in fields {
        data[*at..at + 2].copy_from_slice(&(*value as i16).to_le_bytes());
    }
    data[277] = number;
    data
}

/// Exists and is active.
const ON: i32 = 3;

fn basic(fields: &[(usize, i32)]) -> Vec<u8> {
    class(0, MADE.time, fields)
}

/// What a reading is called: the parameter, or the field's name.
fn name(reading: &Reading) -> &str {
    match &reading.code {
        DeviceCode::Parameter(name) => name,
        DeviceCode::Codings(codings) => &codings[0].code,
    }
}

/// `name value`, or `name absent reason`, in order.
fn texts(messages: &[Message]) -> Vec<String> {
    let readings = messages.iter().flat_map(|one| &one.groups).flat_map(|group| &group.readings);
    readings
        .map(|reading| match reading.value.absent_reason() {
            Some(reason) => format!("{} absent {reason}", name(reading)),
            None => format!("{} {}", name(reading), reading.value.as_sent()),
        })
        .collect()
}
