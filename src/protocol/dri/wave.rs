//! Waves: which there are, and one sub-record to samples (facts/monitors.md 2.4; units from GE
//! document 8005313 table 5-3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::numerics::SYSTEM;
use super::record::{Part, WAVE_HEADER};
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{DeviceCode, DeviceUnit, Flag, Period, SampleArray, Scale};

/// Samples from here down are control codes.
const MARKS_FROM: i16 = -32000;

/// At 19200 bit/s the monitor sends no more than this many samples a second and ignores the rest.
pub const SAMPLES_PER_SECOND_MAX: u32 = 600;
/// How many waves a request can name.
pub const WAVES_MAX: usize = 8;

/// A wave that a monitor can send.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Wave {
    Ecg1,
    Ecg2,
    Ecg3,
    Invp1,
    Invp2,
    Invp3,
    Invp4,
    Pleth,
    Co2,
    O2,
    N2o,
    Aa,
    Awp,
    Flow,
    Resp,
}

/// What is known of a wave: kind, name, samples a second, step, unit.
struct Facts(u8, &'static str, u32, &'static str, &'static str);

const ALL: [(Wave, Facts); 15] = [
    (Wave::Ecg1, Facts(1, "ECG1", 300, "1", "uV")),
    (Wave::Ecg2, Facts(2, "ECG2", 300, "1", "uV")),
    (Wave::Ecg3, Facts(3, "ECG3", 300, "1", "uV")),
    (Wave::Invp1, Facts(4, "INVP1", 100, "0.01", "mm[Hg]")),
    (Wave::Invp2, Facts(5, "INVP2", 100, "0.01", "mm[Hg]")),
    (Wave::Invp3, Facts(6, "INVP3", 100, "0.01", "mm[Hg]")),
    (Wave::Invp4, Facts(7, "INVP4", 100, "0.01", "mm[Hg]")),
    (Wave::Pleth, Facts(8, "PLETH", 100, "0.01", "%")),
    (Wave::Co2, Facts(9, "CO2", 25, "0.01", "%")),
    (Wave::O2, Facts(10, "O2", 25, "0.01", "%")),
    (Wave::N2o, Facts(11, "N2O", 25, "0.01", "%")),
    (Wave::Aa, Facts(12, "AA", 25, "0.01", "%")),
    (Wave::Awp, Facts(13, "AWP", 25, "0.1", "cm[H2O]")),
    (Wave::Flow, Facts(14, "FLOW", 25, "0.1", "L/min")),
    // The document's unit of impedance is not readable in the copy that was at hand.
    (Wave::Resp, Facts(15, "RESP", 25, "", "")),
];

impl Wave {
    /// The kind of its sub-record, which a request names.
    pub(super) fn kind(self) -> u8 {
        self.facts().0
    }

    /// Its samples a second.
    pub fn samples_per_second(self) -> u32 {
        self.facts().2
    }

    fn facts(self) -> &'static Facts {
        // Every wave stands in the list: a test walks over it.
        ALL.iter().find(|(wave, _)| *wave == self).map_or(&ALL[0].1, |(_, facts)| facts)
    }

    /// The wave of a kind of sub-record.
    pub(super) fn of_kind(kind: u8) -> Option<Self> {
        ALL.iter().find(|(_, facts)| facts.0 == kind).map(|(wave, _)| *wave)
    }
}

/// One sub-record whose length the record has proven; `None` for a kind that is not listed, and for
/// more samples than a second has.
pub(super) fn read(part: Part<'_>, kind: u8) -> Option<SampleArray> {
    let wave = Wave::of_kind(kind)?;
    let Facts(_, name, rate, step, unit) = *wave.facts();
    // A record of waves spans a second at most.
    let count = u32::try_from(part.i16(0)?).ok().filter(|count| *count <= rate)?;
    let status = part.u16(2)?;
    let is_off = status & 8 != 0;
    let sample = |index: u32| {
        let raw = part.i16(WAVE_HEADER + 2 * index as usize);
        raw.filter(|raw| *raw > MARKS_FROM && !is_off).map(i32::from)
    };
    let marks = [(1, "gap"), (4, "pacer-detected"), (8, "lead-off")];
    let marked = marks.into_iter().filter(|(bit, _)| status & bit != 0);
    Some(SampleArray {
        // Which lead or vessel the others show is not said beside them.
        code: match wave == Wave::Pleth {
            true => DeviceCode::Parameter("puls-oxim-pleth".to_owned()),
            false => DeviceCode::Codings(vec![Coding::new(name, "", SYSTEM)]),
        },
        sub_id: name.to_lowercase(),
        unit: (!unit.is_empty()).then(|| DeviceUnit::text(unit)),
        period: Period::per_second(rate)?,
        scale: match step {
            "" => Scale::Unknown,
            step => Scale::Step { lsb: step.to_owned() },
        },
        samples: (0..count).map(sample).collect(),
        time: None,
        flags: marked.map(|(_, words)| Flag(words.to_owned())).collect(),
    })
}
