//! What later records say of earlier ones, as whoever looks through the journal learns it before
//! anything is judged.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::confirmed::stands_behind;
use super::moves::patient_of;
use crate::forward::stored::{EventKind, Stored};
use crate::vocabulary::PatientId;

/// A measurement changes hands fewer times than this; a longer chain is a circle.
const HANDS_MAX: usize = 1000;

/// What is known of the records of some lines.
#[derive(Debug, Default)]
pub struct Known {
    /// Records in whose place another one stands.
    replaced: BTreeSet<String>,
    /// Records that were withdrawn.
    withdrawn: BTreeSet<String>,
    disputed: BTreeSet<String>,
    /// By observation id, for whom a person stands behind it.
    confirmed: BTreeMap<String, Option<PatientId>>,
    /// By observation id, under which one the same measurement was with another patient before.
    was: BTreeMap<String, String>,
}

impl Known {
    /// Takes what a record says.
    pub fn learn(&mut self, stored: &Stored) {
        let names = || stored.data.get("names").and_then(Json::as_str).map(str::to_owned);
        match stored.kind {
            EventKind::Void => self.withdrawn.extend(names()),
            EventKind::Correction if stored.data.contains_key("disputed") => {
                self.disputed.extend(names());
            }
            EventKind::Correction => {
                self.replaced.extend(names());
                let metrics = stored.data.get("metrics").and_then(Json::as_array);
                let text = |metric: &Json, key: &str| Some(metric.get(key)?.as_str()?.to_owned());
                self.was.extend(metrics.into_iter().flatten().filter_map(|metric| {
                    Some((text(metric, "observation_id")?, text(metric, "was")?))
                }));
            }
            EventKind::Confirmation => self.learn_act(&stored.data),
            EventKind::Observation
            | EventKind::Alarm
            | EventKind::PumpEvent
            | EventKind::DeviceState
            | EventKind::Association
            | EventKind::Entry
            | EventKind::Gap
            | EventKind::Waveform
            | EventKind::Manifest => {}
        }
    }

    /// Takes what a confirmation says.
    pub fn learn_act(&mut self, data: &Map<String, Json>) {
        let patient = patient_of(data);
        for (id, stands) in stands_behind(data) {
            if stands {
                self.confirmed.insert(id, patient.clone());
            } else {
                self.confirmed.remove(&id);
            }
        }
    }

    /// Takes what the core's own app charted: a person stands behind it there.
    pub fn learn_of_the_core(&mut self, payload: &[u8]) {
        let audit: Option<Json> = serde_json::from_slice(payload).ok();
        let data = audit.as_ref().and_then(|audit| audit.get("data"));
        let told = data.filter(|data| data.get("act") == Some(&Json::from("charted-by-core")));
        let values = told.and_then(|told| told.get("values")?.as_array());
        for value in values.into_iter().flatten() {
            let text = |key: &str| value.get(key).and_then(Json::as_str);
            if let (Some(id), Some("confirmed")) = (text("observation_id"), text("act")) {
                self.confirmed.entry(id.to_owned()).or_default();
            }
        }
    }

    /// Whether another record stands in the place of this one.
    pub fn is_replaced(&self, record: &str) -> bool {
        self.replaced.contains(record)
    }

    /// Whether the record was withdrawn.
    pub fn is_withdrawn(&self, record: &str) -> bool {
        self.withdrawn.contains(record)
    }

    /// Whether it was said that what was confirmed of the record is disputed.
    pub fn is_disputed(&self, record: &str) -> bool {
        self.disputed.contains(record)
    }

    /// Whether a person stands behind a value.
    pub fn is_confirmed(&self, observation_id: &str) -> bool {
        self.confirmed.contains_key(observation_id)
    }

    /// Whether a person stands behind the same measurement for this human, whatever it is called
    /// by now: then it is on their chart already.
    pub fn is_on_chart(
        &self,
        observation_id: &str,
        human: &PatientId,
        survivor: impl Fn(&PatientId) -> PatientId,
    ) -> bool {
        let mut next = Some(observation_id);
        for _ in 0..HANDS_MAX {
            let Some(id) = next else { return false };
            let whose = self.confirmed.get(id).and_then(Option::as_ref);
            if whose.is_some_and(|whose| survivor(whose) == *human) {
                return true;
            }
            next = self.was.get(id).map(String::as_str);
        }
        false
    }
}
