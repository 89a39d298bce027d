//! What a device file says of a monitor that speaks DRI.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::request::{EXT1, EXT2, EXT3, INTERVAL_S_MIN};
use super::table::{CLASSES, Means, Part};
use super::wave::{SAMPLES_PER_SECOND_MAX, WAVES_MAX};
use super::{Wave, labels};
use crate::protocol::Stated;
use crate::vocabulary::Evidence;

/// The longest interval that makes sense: an hour.
const INTERVAL_S_MAX: u16 = 3600;

/// A class of values beside the basic one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExtraClass {
    /// Arrhythmia and 12-lead ST, pressures 7 and 8, second SpO2, temperatures 5 and 6.
    Ext1,
    /// Relaxation, EEG, BIS, entropy, surgical pleth index.
    Ext2,
    /// Gas exchange, more of ventilation, tonometry, perfusion pressures, PiCCO.
    Ext3,
}

/// How a monitor is asked. Which values there are stands in the family's own table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DriProfile {
    /// Seconds between two records of displayed values: 5 or more.
    #[schemars(range(min = 5, max = 3600))]
    pub interval_s: u16,
    /// Which classes are asked for beside the basic one.
    #[serde(default)]
    pub classes: Vec<ExtraClass>,
    /// Whether the monitor is asked for the times of its cuff pressures, cardiac outputs and wedge
    /// pressures. Without them a measurement is told when its values change.
    pub auxiliary: bool,
    /// Whether alarms are asked for; only of monitors of interface level 10 or more.
    #[serde(default)]
    pub alarms: bool,
    /// Waveforms that are asked for: at most 600 samples a second together.
    #[serde(default)]
    pub waves: Vec<Wave>,
    /// Where the table of values is written: source id and page.
    pub source: String,
    /// How far the table of values is proven; otherwise as far as the whole file.
    #[serde(default)]
    pub evidence: Option<Evidence>,
}

impl DriProfile {
    /// What the types cannot say: the key and what is expected there.
    ///
    /// # Errors
    /// The first key whose value no monitor accepts.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if !(INTERVAL_S_MIN..=INTERVAL_S_MAX).contains(&self.interval_s) {
            let what = format!("expected {INTERVAL_S_MIN} to {INTERVAL_S_MAX} seconds");
            return Err(("interval_s", what));
        }
        let twice = |(index, wave)| self.waves.iter().skip(index + 1).any(|other| other == wave);
        if self.waves.iter().enumerate().any(twice) || self.waves.len() > WAVES_MAX {
            return Err(("waves", format!("expected at most {WAVES_MAX} waves, each once")));
        }
        let samples: u32 = self.waves.iter().map(|wave| wave.samples_per_second()).sum();
        if samples > SAMPLES_PER_SECOND_MAX {
            let what = format!(
                "expected at most {SAMPLES_PER_SECOND_MAX} samples a second together, got {samples}"
            );
            return Err(("waves", what));
        }
        Ok(())
    }

    /// The bits of a request's classes.
    pub(super) fn class_bits(&self) -> u32 {
        self.classes.iter().fold(0, |bits, class| {
            bits | match class {
                ExtraClass::Ext1 => EXT1,
                ExtraClass::Ext2 => EXT2,
                ExtraClass::Ext3 => EXT3,
            }
        })
    }

    fn asks_for(&self, class: &str) -> bool {
        class == "basic"
            || self.classes.iter().any(|asked| match asked {
                ExtraClass::Ext1 => class == "ext1",
                ExtraClass::Ext2 => class == "ext2",
                ExtraClass::Ext3 => class == "ext3",
            })
    }

    /// Every parameter that a monitor can send, by every label.
    pub fn stated(&self) -> Vec<Stated> {
        let mut all = Vec::new();
        for (class, groups) in CLASSES.iter().filter(|(class, _)| self.asks_for(class)) {
            for group in *groups {
                for field in group.fields {
                    let place = format!("{class} {}.{}", group.name, field.name);
                    for (parameter, label) in parameters(field.means) {
                        all.push(Stated {
                            parameter: parameter.to_owned(),
                            place: match label {
                                "" => place.clone(),
                                label => format!("{place}, {label}"),
                            },
                            unit: field.unit.to_owned(),
                            source: self.source.clone(),
                            evidence: self.evidence,
                        });
                    }
                }
            }
        }
        all
    }
}

/// The parameters that a field can be, each with the label that makes it that.
fn parameters(means: Means) -> Vec<(&'static str, &'static str)> {
    const LABELS: std::ops::RangeInclusive<u16> = 0..=22;
    let pressure = |part: Part| {
        let one = |label| labels::pressure_parameter(label, part).zip(labels::pressure(label));
        LABELS.filter_map(one).collect()
    };
    let agent = |pick: fn((&'static str, &'static str)) -> &'static str| {
        let one = |label| labels::agent(label).and_then(|(words, both)| Some((pick(both?), words)));
        LABELS.filter_map(one).collect()
    };
    match means {
        Means::Parameter(name) | Means::Cuff(name) => vec![(name, "")],
        Means::HeartRate => vec![("heart-rate", "source ECG"), ("puls-rate", "another source")],
        Means::Pressure(part) => pressure(part),
        Means::Temperature => {
            let one =
                |label| labels::temperature(label).and_then(|(words, name)| Some((name?, words)));
            LABELS.filter_map(one).collect()
        }
        Means::Co2Rate => vec![("co2-resp-rate", "source CO2"), ("tthor-resp-rate", "impedance")],
        Means::AgentExpired => agent(|(expired, _)| expired),
        Means::AgentInspired => agent(|(_, inspired)| inspired),
        Means::MixedVenous => vec![("sat-o2-ven", "SvO2")],
        Means::CardiacOutput => vec![("output-card", "bolus"), ("output-card-cts", "continuous")],
        Means::Wedge => vec![("press-bld-art-pulm-wedge", "")],
        Means::Unmapped
        | Means::PostTetanic
        | Means::CuffUnmapped
        | Means::Bits
        | Means::NotRead => Vec::new(),
    }
}
