//! How values are named in messages, for who names them back.

use super::super::map::{Map, Way};
use super::super::statement::Statement;
use super::result::Frame;
use super::{first_stated, is_laboratory};
use crate::forward::stored::Stored;

/// A value's name: these two, beside OBR-3 of the record that first stated it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub observation_id: String,
    /// OBX-3, as it goes out.
    pub code: String,
    /// OBX-4.
    pub sub_id: String,
}

/// What the values of a record are called by this map; none for those without a place.
pub fn names(map: &Map, stored: &Stored) -> Vec<Named> {
    let Some(statement) = Statement::read(&stored.data) else { return Vec::new() };
    let Way::Message(table) = map.way(stored.kind, is_laboratory(map, &statement)) else {
        return Vec::new();
    };
    let (subject, chart_time) = (stored.subject.as_str(), "");
    let frame = Frame { map, table, subject, chart_time, device_time: None };
    let named = statement.metrics.iter().filter_map(|metric| {
        let (_, index) = first_stated(metric)?;
        let obx = frame.entry(metric, index).ok()?.obx;
        let observation_id = metric.observation_id.clone();
        let (code, sub_id) = (obx.field(3).to_owned(), obx.field(4).to_owned());
        Some(Named { observation_id, code, sub_id })
    });
    named.collect()
}
