//! What an act says of each record whose values it confirms, in the form of an observation: with
//! the record's own times, the same observation ids and the new status. So whoever files gets it as
//! one more status of what it has.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::super::charted::Known;
use super::super::house::{Act, ActKind};
use super::super::set::{Found, Values};
use super::signing::confirmed;
use super::{Bedside, Refused};

/// What of an observation's data is not said again: it was about its first sending.
const NOT_AGAIN: [&str; 4] = ["names", "part_of", "sampled", "held"];

/// Line, chart time and data of what is stated.
type Statement = (String, i64, Map<String, Json>);

impl Bedside {
    /// States the confirmed values of an act anew, one record for each that they stood in. The same
    /// again changes nothing.
    ///
    /// # Errors
    /// It could not be kept, or the journal cannot be read.
    pub(super) async fn state(
        &self,
        client_id: &str,
        act: &str,
        data: &Map<String, Json>,
        status: &str,
    ) -> Result<(), Refused> {
        for (number, (line, time_us, stated)) in
            self.statements(act, data, status)?.into_iter().enumerate()
        {
            let act = Act {
                kind: ActKind::Confirmation,
                subject: line,
                time_us,
                data: stated,
                client_id: format!("{client_id}.{number}"),
            };
            self.house.act(act).await?;
        }
        Ok(())
    }

    /// States again what a stop in the middle may have left out; after what was charted is read
    /// back.
    ///
    /// # Errors
    /// It could not be kept, or the journal cannot be read.
    pub async fn state_again(&self) -> Result<(), Refused> {
        let known: Vec<(String, Known)> = self.with_chart(|chart| {
            let signed = chart.acts().filter(|(_, known)| {
                let act = known.data.get("act").and_then(Json::as_str);
                let went_out = !known.is_held && known.replaced_by.is_none();
                matches!(act, Some("confirm" | "countersign")) && went_out && !known.is_withdrawn
            });
            signed.map(|(client_id, known)| (client_id.to_owned(), known.clone())).collect()
        })?;
        for (client_id, known) in known {
            self.state(&client_id, &known.record, &known.data, "final").await?;
        }
        let _turn = self.turn.lock().await;
        self.release_told().await.map(drop)
    }

    /// What will be said of the values of an act that waits for the core, as long as their records
    /// are there.
    pub(super) fn statements_to_hold(&self, data: &Map<String, Json>) -> Result<Json, Refused> {
        let statements = self.of_records("", data, "final")?.into_iter();
        let held = statements
            .map(|(line, time_us, data)| json!({ "line": line, "time_us": time_us, "data": data }));
        Ok(held.collect())
    }

    /// What an act says of its values: of one that was held, what was held with it.
    fn statements(
        &self,
        act: &str,
        data: &Map<String, Json>,
        status: &str,
    ) -> Result<Vec<Statement>, Refused> {
        let held = self.with_chart(|chart| {
            let before = data.get("releases").and_then(Json::as_str);
            chart.act(before?)?.data.get("statements")?.as_array().cloned()
        })?;
        let Some(held) = held else { return self.of_records(act, data, status) };
        let ids: Vec<&Json> =
            confirmed(data).filter_map(|value| value.get("observation_id")).collect();
        let mut stated = Vec::new();
        for one in held {
            let part = |key: &str| one.get(key);
            let (Some(line), Some(time_us), Some(Json::Object(mut out))) = (
                part("line").and_then(Json::as_str).map(str::to_owned),
                part("time_us").and_then(Json::as_i64),
                part("data").cloned(),
            ) else {
                continue;
            };
            let metrics = out.get_mut("metrics").and_then(Json::as_array_mut);
            let Some(metrics) = metrics else { continue };
            metrics
                .retain(|metric| metric.get("observation_id").is_some_and(|id| ids.contains(&id)));
            for metric in metrics.iter_mut().filter_map(Json::as_object_mut) {
                metric.insert("status".to_owned(), json!(status));
            }
            let is_empty = metrics.is_empty();
            out.insert("confirmation".to_owned(), json!(act));
            if !is_empty {
                stated.push((line, time_us, out));
            }
        }
        Ok(stated)
    }

    /// One for each record that a confirmed value stood in.
    fn of_records(
        &self,
        act: &str,
        data: &Map<String, Json>,
        status: &str,
    ) -> Result<Vec<Statement>, Refused> {
        let mut values = Values::of(self.house.as_ref());
        let mut by_record: BTreeMap<u64, (Vec<Json>, Found, Json)> = BTreeMap::new();
        for value in confirmed(data) {
            let id = value.get("observation_id").and_then(Json::as_str).unwrap_or_default();
            // A record that is gone was stated while it was there.
            let Some(found) = values.named(id)? else { continue };
            let mut metric = found.metric.clone();
            metric.insert("status".to_owned(), json!(status));
            let association = value.get("association").cloned().unwrap_or(Json::Null);
            let (metrics, ..) =
                by_record.entry(found.sequence).or_insert_with(|| (Vec::new(), found, association));
            metrics.push(Json::Object(metric));
        }
        let mut stated = Vec::new();
        for (sequence, (metrics, found, evidence)) in by_record {
            let Some(record) = values.record(sequence) else { continue };
            let mut out = record.data.clone();
            NOT_AGAIN.into_iter().for_each(|key| drop(out.remove(key)));
            out.remove("patient_absent");
            out.insert("metrics".to_owned(), Json::Array(metrics));
            out.insert("act".to_owned(), json!("statement"));
            out.insert("confirmation".to_owned(), json!(act));
            for key in ["by", "countersigner", "patient"] {
                out.extend(data.get(key).map(|one| (key.to_owned(), one.clone())));
            }
            if let (Some(Json::Object(association)), Json::Object(evidence)) =
                (out.get_mut("association"), evidence)
            {
                association.extend(evidence);
            }
            stated.push((found.line, found.measured_us, out));
        }
        Ok(stated)
    }
}
