//! Real-time data: bytes of 80H and more, anywhere between and inside frames
//! (facts/monitors.md 3.6).
//!
//! | byte | meaning |
//! |---|---|
//! | `1101ssss` | a cycle begins; `ssss`: which of streams 1 to 4 it carries |
//! | `1100cccc 1100aaaa` | sync command c with argument a |
//! | `10dddddd 10dddddd` | one value: low six bits, then high six |
//! | `111.....` | nothing |
//!
//! A cycle counts when the next one begins and if it holds exactly the values that it announced:
//! one lost byte would shift all that follow.

use super::payload::SignalForm;
use super::profile::{MedibusProfile, Table, Wave};
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{
    DeviceCode, DeviceUnit, Mode, Moment, Period, SampleArray, Samples, Scale,
};

const CORRUPT: u8 = 0xCF;
/// Which of streams 5 to 12 a cycle carries; this driver never enables them.
const CARRIES_5_TO_8: u8 = 0xC4;
const CARRIES_9_TO_12: u8 = 0xC5;

/// Samples are handed over when they have waited this long.
const HAND_OVER_MS: u64 = 1000;

/// A cycle has at most four values of two bytes.
const VALUE_BYTES_MAX: usize = 8;

/// One signal that was asked for, in the order in which it was.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub form: SignalForm,
    pub multiplier: u8,
    pub code: DeviceCode,
    pub unit: Option<DeviceUnit>,
}

#[derive(Default)]
struct Cycle {
    /// Which streams it carries.
    carries: u8,
    values: Vec<u8>,
    spoilt: bool,
}

/// What comes between the frames, decoded by what was asked for.
#[derive(Default)]
pub(super) struct Realtime {
    streams: Vec<Stream>,
    samples: Vec<Vec<Option<i32>>>,
    cycle: Option<Cycle>,
    /// A sync command that waits for its argument.
    command: Option<u8>,
    begun: Option<Moment>,
}

impl Realtime {
    /// What follows is decoded by these; none: it is only taken out of the stream.
    pub(super) fn configure(&mut self, streams: Vec<Stream>) {
        let samples = streams.iter().map(|_| Vec::new()).collect();
        *self = Self { streams, samples, ..Self::default() };
    }

    pub(super) fn take(&mut self, byte: u8, now: Moment) {
        if self.streams.is_empty() {
            return;
        }
        let command = self.command.take();
        match (byte >> 4, &mut self.cycle, command) {
            (0xD, _, _) => {
                self.end_cycle(now);
                self.cycle = Some(Cycle { carries: byte & 0x0f, ..Cycle::default() });
            }
            (0xC, Some(cycle), Some(command)) => {
                let more = matches!(command, CARRIES_5_TO_8 | CARRIES_9_TO_12) && byte & 0x0f != 0;
                cycle.spoilt |= more || command == CORRUPT;
            }
            (0xC, Some(_), None) => self.command = Some(byte),
            (0x8..=0xB, Some(cycle), None) if cycle.values.len() < VALUE_BYTES_MAX => {
                cycle.values.push(byte & 0x3f);
            }
            // A command without its argument, too many values, or a byte that means nothing.
            (_, Some(cycle), _) => cycle.spoilt = true,
            (_, None, _) => {}
        }
    }

    /// The port saw an error, or something came that cannot be.
    pub(super) fn spoil(&mut self) {
        self.cycle.iter_mut().for_each(|cycle| cycle.spoilt = true);
    }

    fn end_cycle(&mut self, now: Moment) {
        let Some(cycle) = self.cycle.take() else { return };
        self.begun.get_or_insert(now);
        let whole = cycle.values.len() == 2 * cycle.carries.count_ones() as usize;
        let good = whole && !cycle.spoilt;
        let mut values = cycle.values.chunks_exact(2);
        for (index, stream) in self.streams.iter().enumerate() {
            if cycle.carries & (1 << index) == 0 {
                continue;
            }
            let value = values.next().and_then(|pair| match pair {
                [low, high] => Some(i32::from(*low) | i32::from(*high) << 6),
                _ => None,
            });
            let value = value.filter(|raw| good && *raw <= i32::from(stream.form.maxbin));
            if let Some(samples) = self.samples.get_mut(index) {
                samples.push(value);
            }
        }
    }

    pub(super) fn next_wake(&self) -> Option<Moment> {
        self.begun.map(|begun| begun.plus_ms(HAND_OVER_MS))
    }

    /// What has waited long enough.
    pub(super) fn wake(&mut self, now: Moment) -> Option<Samples> {
        self.next_wake().filter(|due| now >= *due)?;
        self.begun = None;
        let arrays = self.streams.iter().zip(&mut self.samples);
        let arrays = arrays
            .filter(|(_, samples)| !samples.is_empty())
            .map(|(stream, samples)| array(stream, std::mem::take(samples)))
            .collect();
        Some(Samples { received: now, mode: Mode::Production, arrays })
    }
}

fn array(stream: &Stream, samples: Vec<Option<i32>>) -> SampleArray {
    let form = &stream.form;
    SampleArray {
        code: stream.code.clone(),
        sub_id: String::new(),
        unit: stream.unit.clone(),
        period: Period {
            us: form.interval_us.saturating_mul(u64::from(stream.multiplier)),
            samples: 1,
        },
        scale: Scale::Span {
            lower: form.min.clone(),
            upper: form.max.clone(),
            raw_lower: 0,
            raw_upper: i32::from(form.maxbin),
        },
        samples,
        time: None,
        flags: Vec::new(),
    }
}

/// The signals of the device file that the device has, in the file's order.
pub(super) fn streams(
    profile: &MedibusProfile,
    table: Option<&Table>,
    forms: &[SignalForm],
) -> Vec<Stream> {
    let stream = |wave: &Wave| {
        let form = forms.iter().find(|form| form.code.to_string() == wave.code)?;
        let mut rows = table.into_iter().flat_map(|table| &table.signal);
        let row = rows.find(|row| row.code == wave.code);
        let words = row.map_or("", |row| &row.words);
        let code = match row.and_then(|row| row.parameter.clone()) {
            Some(parameter) => DeviceCode::Parameter(parameter),
            None => {
                let code = format!("53:{}", wave.code);
                DeviceCode::Codings(vec![Coding::new(&code, words, "MEDIBUS")])
            }
        };
        let unit = row.map(|row| row.unit.as_str()).filter(|unit| !unit.is_empty());
        let unit = unit.map(DeviceUnit::text);
        Some(Stream { form: form.clone(), multiplier: wave.multiplier, code, unit })
    };
    profile.wave.iter().filter_map(stream).collect()
}
