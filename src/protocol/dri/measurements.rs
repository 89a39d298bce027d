//! The measurements that come once each: what is new in a record, and what still waits for its
//! time.

use super::episode::{Episode, Told};
use super::numerics::{Kind, Measured};
use super::record::Part;
use crate::vocabulary::{Reading, Refused, Why};

/// A measurement to be told.
pub(super) struct Measurement {
    pub kind: Kind,
    pub readings: Vec<Reading>,
    /// The raw values, which with the time say whether it is the same one again.
    pub values: Vec<i16>,
    /// Seconds by the monitor's clock; `None` where the monitor does not say them.
    pub time: Option<u32>,
}

/// One that is shown and waits for its time, with the frame in which it stands.
struct Held {
    raw: Vec<u8>,
    measurement: Measurement,
}

/// All kinds of measurements of one monitor.
#[derive(Default)]
pub(super) struct Measurements {
    cuff: Episode,
    output: Episode,
    wedge: Episode,
    held: Vec<Held>,
}

impl Measurements {
    fn episode(&mut self, kind: Kind) -> &mut Episode {
        match kind {
            Kind::Cuff => &mut self.cuff,
            Kind::CardiacOutput => &mut self.output,
            Kind::Wedge => &mut self.wedge,
        }
    }

    /// An auxiliary record says when the latest ones were made.
    pub fn timed(&mut self, record_time: u32, auxiliary: Part<'_>) {
        for (at, kind) in [(0, Kind::Cuff), (6, Kind::CardiacOutput), (10, Kind::Wedge)] {
            if let Some(time) = auxiliary.u32(at) {
                self.episode(kind).timed(record_time, time);
            }
        }
    }

    /// What a displayed record shows: the measurement, if it is to be told now.
    pub fn shown(
        &mut self,
        measured: Measured,
        raw: &[u8],
        is_timed: bool,
        is_resolved: bool,
    ) -> Result<Option<Measurement>, Refused> {
        let Measured { kind, shown, readings } = measured;
        self.held.retain(|held| held.measurement.kind != kind);
        let Some(shown) = shown else {
            self.episode(kind).absent();
            return Ok(None);
        };
        let at = readings.first().map(|reading| reading.at.clone()).unwrap_or_default();
        let values = shown.values.clone();
        let measurement = |time| Measurement { kind, readings, values, time };
        let episode = self.episode(kind);
        match episode.displayed(shown, is_timed, is_resolved) {
            Told::Measured { time } => Ok(Some(measurement(time))),
            Told::Nothing => {
                if episode.waits() {
                    let measurement = measurement(None);
                    self.held.push(Held { raw: raw.to_vec(), measurement });
                }
                Ok(None)
            }
            Told::TooOld => {
                let what = "measured before it was first seen, and nobody knows when: not told";
                Err(Refused::new(Why::Unreadable, at, what))
            }
            Told::Missed => {
                let what = "a measurement was replaced before its time was certain";
                Err(Refused::new(Why::Incomplete, at, what))
            }
        }
    }

    /// No time will come any more for what waits: it is told without one.
    pub fn ended(&mut self) -> Vec<(Vec<u8>, Measurement)> {
        let mut told = Vec::new();
        for Held { raw, measurement } in std::mem::take(&mut self.held) {
            if matches!(self.episode(measurement.kind).ended(), Told::Measured { .. }) {
                told.push((raw, measurement));
            }
        }
        told
    }
}
