//! Which values a person has just come to stand behind. Whoever looks through the journal for what
//! changes hands may have looked before that, and must not withdraw them.

use std::collections::VecDeque;

use serde_json::{Map, Value as Json};

use super::corrections::Move;
use crate::forward::stored::EventKind;

/// More confirmations than are made while somebody looks through the journal once.
const ACTS_MAX: usize = 4096;

/// The newest confirmations of this house, oldest first: the record and its observation ids.
#[derive(Debug, Default)]
pub struct Confirmed {
    newest: VecDeque<(u64, Vec<String>)>,
    /// The last record that is forgotten.
    forgotten: u64,
}

impl Confirmed {
    /// A confirmation is on its way to the disk as this record.
    pub fn note(&mut self, sequence: u64, data: &Map<String, Json>) {
        let behind = stands_behind(data).into_iter().filter(|(_, stands)| *stands);
        let ids: Vec<String> = behind.map(|(id, _)| id).collect();
        if ids.is_empty() {
            return;
        }
        self.newest.push_back((sequence, ids));
        if self.newest.len() > ACTS_MAX {
            self.forgotten = self.newest.pop_front().map_or(self.forgotten, |(record, _)| record);
        }
    }

    /// Whether a move withdraws what was confirmed behind this record.
    pub fn is_in(&self, made: &Move, behind: u64) -> bool {
        if self.forgotten > behind {
            return true;
        }
        let mut voids = made.iter().filter(|one| one.kind == EventKind::Void);
        let is_new = |id: &str| {
            let newest = self.newest.iter().rev().take_while(|(record, _)| *record > behind);
            newest.into_iter().any(|(_, ids)| ids.iter().any(|one| one == id))
        };
        voids.any(|void| ids(&void.data).any(is_new))
    }
}

/// The data of a confirmation that is held back while nobody knows what the core has charted: it
/// has gone nowhere, and a person stands behind its values all the same.
pub fn held(payload: &[u8]) -> Option<Map<String, Json>> {
    let row: Json = serde_json::from_slice(payload).ok()?;
    let data = row.get("data")?.as_object()?;
    is_held(data).then(|| data.clone())
}

/// Whether the data of an act are those of a confirmation that is held back.
pub fn is_held(data: &Map<String, Json>) -> bool {
    let by_student = data.get("act").and_then(Json::as_str) == Some("confirm-by-student");
    data.get("held").and_then(Json::as_bool) == Some(true) && !by_student
}

/// The observation ids of which a confirmation says that a person stands behind them, or no more:
/// of an act and of the statements that follow from it, whichever is kept first.
pub fn stands_behind(data: &Map<String, Json>) -> Vec<(String, bool)> {
    let text = |value: &Json, key: &str| value.get(key).and_then(Json::as_str).map(str::to_owned);
    let list = |key: &str| data.get(key).and_then(Json::as_array).into_iter().flatten();
    let stated = list("metrics").filter_map(|metric| {
        let withdrawn = metric.get("status").and_then(Json::as_str) == Some("withdrawn");
        Some((text(metric, "observation_id")?, !withdrawn))
    });
    let signed = list("values")
        .filter(|value| value.get("act").and_then(Json::as_str) == Some("confirm"))
        .filter_map(|value| Some((text(value, "observation_id")?, true)));
    let withdrawn = list("withdraws").filter_map(|id| Some((id.as_str()?.to_owned(), false)));
    stated.chain(signed).chain(withdrawn).collect()
}

fn ids(data: &Map<String, Json>) -> impl Iterator<Item = &str> {
    let metrics = data.get("metrics").and_then(Json::as_array).into_iter().flatten();
    metrics.filter_map(|metric| metric.get("observation_id")?.as_str())
}
