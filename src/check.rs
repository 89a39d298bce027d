//! Doubts, clocks and repeats: marks that are put beside a value. Pure.
//!
//! It never edits a value and never drops one. What a mark means for charting is decided where the
//! values are shown and routed.
//!
//! | file | what |
//! |---|---|
//! | `clock` | the four times: as written, received, corrected, and by what evidence |
//! | `repeats` | the window in which a whole message sent twice is recognised |

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::vocabulary::observation::Doubt;
use crate::vocabulary::placed::Placed;
use crate::vocabulary::{
    CodedWords, DeviceTimeEvidence, Meaning, Metric, Nature, Observation, ParameterKind,
};

pub mod clock;
pub mod repeats;

use clock::Times;
pub use clock::{Liveness, STALE_AFTER_MS, times};

/// How far a device's own time may lie ahead before its clock counts as wrong.
const AHEAD_MS_MAX: i64 = 60_000;

/// How many (parameter, channel) pairs one device's last units are kept for.
const UNITS_KEPT_MAX: usize = 1024;

/// The checks of one device; it remembers the last unit of each parameter.
pub struct Checker {
    /// By parameter and channel.
    last_unit: BTreeMap<String, BTreeMap<String, String>>,
    units_kept: usize,
    /// Words whose unit is the last one of their parameter and channel.
    unchanged: Placed<CodedWords, ()>,
}

impl Default for Checker {
    fn default() -> Self {
        let unchanged = Placed::with_room(UNITS_KEPT_MAX);
        Self { last_unit: BTreeMap::new(), units_kept: 0, unchanged }
    }
}

impl Checker {
    /// Adds doubts to the metrics of one observation whose times [`times`] has worked out: what is
    /// stale here is what is not charted as the present there.
    pub fn mark(&mut self, observation: &mut Observation, times: &Times) {
        let time = time_doubts(observation, times);
        let undated = observation.device_time.is_none();
        for metric in &mut observation.metrics {
            let mut found: Vec<Doubt> = Vec::new();
            found.extend(implausible(metric));
            found.extend(not_a_number(metric));
            found.extend(flagged(metric));
            found.extend(self.unit_changed(metric));
            if metric.nature == Nature::Measurement {
                found.extend(&time);
                if undated && metric.kind == Some(ParameterKind::Episodic) {
                    found.push(Doubt::TimeNotProven);
                }
            }
            for doubt in found {
                if !metric.doubts.contains(&doubt) {
                    metric.doubts.push(doubt);
                }
            }
            metric.doubts.sort_unstable();
        }
    }

    fn unit_changed(&mut self, metric: &Metric) -> Option<Doubt> {
        if self.unchanged.get(&metric.words).is_some() {
            return None;
        }
        let changed = self.unit_changed_to(metric);
        if changed.is_some() {
            self.unchanged.clear();
        }
        // Words that nobody else holds do not come again. Those that are held here stay where they
        // lie.
        if Arc::strong_count(&metric.words) > 1 {
            self.unchanged.note(Arc::clone(&metric.words), ());
        }
        changed
    }

    fn unit_changed_to(&mut self, metric: &Metric) -> Option<Doubt> {
        let parameter = metric.parameter.as_deref()?;
        let of_device = || Some(metric.unit_as_sent.first()?.code.as_str());
        let unit = metric.unit_mdc.as_deref().or_else(of_device)?;
        let channels = self.last_unit.get_mut(parameter);
        if let Some(before) = channels.and_then(|channels| channels.get_mut(&metric.sub_id)) {
            let changed = before != unit;
            if changed {
                unit.clone_into(before);
            }
            return changed.then_some(Doubt::UnitChanged);
        }
        if self.units_kept < UNITS_KEPT_MAX {
            self.units_kept += 1;
            let channels = self.last_unit.entry(parameter.to_owned()).or_default();
            channels.insert(metric.sub_id.clone(), unit.to_owned());
        }
        None
    }
}

/// Outside what is possible, or too large to be compared at all.
fn implausible(metric: &Metric) -> Option<Doubt> {
    let [low, high] = metric.possible?;
    let is_number = matches!(metric.value.meaning(), Meaning::Number { .. });
    let Some(value) = metric.value.for_comparing() else {
        return is_number.then_some(Doubt::Implausible);
    };
    (value < low || value > high).then_some(Doubt::Implausible)
}

/// A comparator, words or a scale where the parameter is a plain number.
fn not_a_number(metric: &Metric) -> Option<Doubt> {
    metric.parameter.as_ref()?;
    let plain = match metric.value.meaning() {
        Meaning::Number { comparator, .. } => comparator.is_none(),
        Meaning::Absent(_) => true,
        Meaning::Ordinal | Meaning::Coded { .. } | Meaning::Text => !metric.usually_number,
    };
    (!plain).then_some(Doubt::NotANumber)
}

/// Marks of the device that are doubts of ours too (facts/semantics.md 1.2).
fn flagged(metric: &Metric) -> impl Iterator<Item = Doubt> + use<> {
    let has = |text: &str| metric.flags.iter().any(|flag| flag.0 == text);
    // EARLY_INDICATION is what IntelliVue monitors call EARLY (facts/monitors.md 1.7).
    let marks = ["QUES", "CAL", "EARLY", "EARLY_INDICATION", "status:X"];
    // What a device file or family could not prove of its own table: no value of it passes plain.
    let unproven = ["unit-not-proven", "scale-not-proven"];
    let questionable = marks.into_iter().chain(unproven).any(has);
    let guessed = has("charset-guessed");
    questionable
        .then_some(Doubt::Questionable)
        .into_iter()
        .chain(guessed.then_some(Doubt::CharsetGuessed))
}

fn time_doubts(observation: &Observation, times: &Times) -> Vec<Doubt> {
    let Some(time) = observation.device_time.as_ref() else { return Vec::new() };
    let Some(utc_us) = time.utc_us else {
        return vec![match time.evidence {
            DeviceTimeEvidence::Unreadable | DeviceTimeEvidence::InMissingHour => Doubt::ClockWrong,
            DeviceTimeEvidence::OffsetSent
            | DeviceTimeEvidence::ZoneConfigured
            | DeviceTimeEvidence::ZoneUnknown
            | DeviceTimeEvidence::InFold
            | DeviceTimeEvidence::DateOnly => Doubt::TimeNotProven,
        }];
    };
    let mut doubts = Vec::new();
    if utc_us - times.received.utc_us() > AHEAD_MS_MAX * 1000 {
        doubts.push(Doubt::ClockWrong);
    }
    let of_stream = observation.metrics.iter().any(|one| one.kind == Some(ParameterKind::Periodic));
    if of_stream && times.liveness == Liveness::Stored {
        doubts.push(Doubt::Stale);
    }
    doubts
}

#[cfg(test)]
mod tests;
