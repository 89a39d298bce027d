//! What a core makes of the messages that it gets, by the contract alone: it files what names a
//! patient, takes back what a void names whenever that comes, and files nothing of a record of
//! which it has the correction.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::story::patient_number;

/// One statement about one measurement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Filed {
    /// `None`: it stands here, and is nobody's.
    pub patient: Option<usize>,
    /// Of which record it came.
    pub record: String,
    /// When it was measured, as it is charted.
    pub time: String,
    pub value: String,
}

/// The chart of one core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Chart {
    /// By observation id.
    pub filed: BTreeMap<String, Filed>,
    /// What a person stands behind, by observation id.
    pub confirmed: BTreeMap<String, Filed>,
    pub disputed: BTreeSet<String>,
    withdrawn: BTreeSet<String>,
    corrected: BTreeSet<String>,
    /// Why there is no patient, by the record that says so.
    pub absent: BTreeMap<String, String>,
    /// How often a patient's value was taken back.
    pub voids: usize,
}

impl Chart {
    /// Takes one message.
    pub fn take(&mut self, payload: &[u8]) {
        let message: Json = serde_json::from_slice(payload).expect("JSON");
        let text = |pointer: &str| message.pointer(pointer).and_then(Json::as_str);
        let kind = text("/type").and_then(|kind| kind.split('.').nth(2)).unwrap_or_default();
        match kind {
            "observation" => self.file(&message),
            "correction" => {
                let names = text("/data/names").expect("what it corrects").to_owned();
                if let Some(ids) = message.pointer("/data/disputed/observation_ids") {
                    self.disputed.extend(strings(ids));
                    return;
                }
                self.filed.retain(|_, filed| filed.record != names);
                self.corrected.insert(names);
                self.file(&message);
            }
            "void" => {
                self.voids += 1;
                for (id, _) in metrics(&message) {
                    self.filed.remove(&id);
                    self.withdrawn.insert(id);
                }
            }
            "confirmation" => {
                for (id, value) in metrics(&message) {
                    self.confirmed.insert(id, filed(&message, value));
                }
            }
            _ => {}
        }
    }

    fn file(&mut self, message: &Json) {
        let record = message["id"].as_str().expect("an id");
        if let Some(why) = message.pointer("/data/patient_absent").and_then(Json::as_str) {
            self.absent.insert(record.to_owned(), why.to_owned());
        }
        if self.corrected.contains(record) {
            return;
        }
        for (id, value) in metrics(message) {
            if !self.withdrawn.contains(&id) {
                self.filed.insert(id, filed(message, value));
            }
        }
    }

    pub fn is_withdrawn(&self, id: &str) -> bool {
        self.withdrawn.contains(id)
    }

    /// For whom a measurement stands here that nobody has confirmed.
    pub fn preliminary<'a>(&'a self, time: &str) -> impl Iterator<Item = (&'a String, usize)> {
        let here = self.filed.iter().filter(move |(_, filed)| filed.time == time);
        here.filter_map(|(id, filed)| Some((id, filed.patient?)))
            .filter(|(id, _)| !self.confirmed.contains_key(*id))
    }
}

/// A message in one line, for whoever looks into a seed.
pub(super) fn in_short(payload: &[u8]) -> String {
    let message: Json = serde_json::from_slice(payload).expect("JSON");
    let text = |pointer: &str| message.pointer(pointer).and_then(Json::as_str).unwrap_or("-");
    let (kind, id, time) = (text("/type"), text("/id"), text("/data/times/chart/utc"));
    let (patient, why) = (text("/data/patient/id"), text("/data/reason"));
    let (absent, names) = (text("/data/patient_absent"), text("/data/names"));
    let list = |pointer: &str| message.pointer(pointer).map(Json::to_string).unwrap_or_default();
    let ids: Vec<String> = metrics(&message).into_iter().map(|(id, _)| id).collect();
    let disputed = list("/data/disputed/observation_ids");
    format!("{id} {kind} {time} {patient}{absent} names {names} {ids:?} {why} {disputed}")
}

fn strings(list: &Json) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(Json::as_str).map(str::to_owned).collect()
}

/// Observation ids and values.
fn metrics(message: &Json) -> Vec<(String, String)> {
    let metrics = message.pointer("/data/metrics").and_then(Json::as_array);
    let one = |metric: &Json| {
        let id = metric["observation_id"].as_str().expect("an observation id");
        (id.to_owned(), metric["value"].as_str().unwrap_or_default().to_owned())
    };
    metrics.into_iter().flatten().map(one).collect()
}

fn filed(message: &Json, value: String) -> Filed {
    let time = message.pointer("/data/times/chart/utc").and_then(Json::as_str);
    Filed {
        patient: message.pointer("/data/patient/id").and_then(Json::as_str).map(patient_number),
        record: message["id"].as_str().unwrap_or_default().to_owned(),
        time: time.expect("a chart time").to_owned(),
        value,
    }
}
