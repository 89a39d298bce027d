//! What becomes of one kept record whose values change hands. Pure.
//!
//! | before | now | records |
//! |---|---|---|
//! | nobody's | a patient's | `correction` with the same observation ids |
//! | a patient's | nobody's | `void` |
//! | a patient's | another's | `void`, and `correction` with observation ids of its own, each with the one that it `was` |
//! | confirmed for a patient | nobody's or another's | in place of the `void` a `correction` that says `disputed`, and withdraws nothing |
//!
//! A new observation id for a new patient: a receiver that takes the withdrawal after the
//! correction would else withdraw both, and no resource of FHIR may change its subject.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

use super::known::Known;
use crate::association::{Around, Attributed, Unattributed, Utc};
use crate::forward::stored::{EventKind, Stored};
use crate::gateway::record;
use crate::vocabulary::{Grade, PatientId, RecordId};

/// A record that a move makes; its sequence, routes' `previous` and new observation ids come when
/// it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct NewStatement {
    pub kind: EventKind,
    pub time: String,
    pub subject: String,
    pub data: Map<String, Json>,
    pub goes: Goes,
}

/// Which destinations get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goes {
    /// Those that had the record before.
    Had(BTreeSet<String>),
    /// Those, and those that take such records now that they name a patient.
    HadOrTakes(BTreeSet<String>),
    /// Those that had it and can say in words that something is disputed.
    Disputed(BTreeSet<String>),
}

/// What has happened to a statement since it was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// It stands.
    Stands,
    /// It was withdrawn, and nothing came in its place.
    Withdrawn,
}

/// Whom a record's values were filed for.
pub fn patient_of(data: &Map<String, Json>) -> Option<PatientId> {
    let patient = data.get("patient")?;
    let text = |key: &str| patient.get(key).and_then(Json::as_str);
    serde_json::from_value(json!({ "root": text("root")?, "value": text("id")? })).ok()
}

/// Whose values of the past may be filed for now: what rests on less than a scan or a claim of the
/// core is for a person to see.
pub fn filed(verdict: &Result<Attributed, Unattributed>) -> Option<&Attributed> {
    verdict.as_ref().ok().filter(|held| matches!(held.grade, Grade::Scan | Grade::CoreClaim))
}

/// Between which instants the values of a kept record were measured.
///
/// `None`: its times cannot be read.
pub fn around_of(data: &Map<String, Json>) -> Option<Around> {
    use crate::check::clock::STALE_AFTER_MS;
    let time = |pointer: &str| -> Option<Utc> {
        let times = data.get("times")?;
        let text = times.pointer(pointer)?.as_str()?;
        Some(Utc::from_us(text.parse::<jiff::Timestamp>().ok()?.as_microsecond()))
    };
    let (chart, received) = (time("/chart/utc")?, time("/received/utc")?);
    let rule = data.get("times")?.pointer("/chart/rule")?.as_str()?;
    let before = Around { earliest: Utc::MIN, latest: received };
    Some(match rule {
        "received" => Around::exactly(received),
        "corrected" => {
            let wide = data.get("times")?.pointer("/corrected/uncertainty_ms")?.as_u64()?;
            let wide = u32::try_from(wide.saturating_mul(1000)).unwrap_or(u32::MAX);
            Around::give_or_take(chart, wide)
        }
        "device-unproven" => {
            let limit_us = STALE_AFTER_MS.unsigned_abs() * 1000;
            if chart.us().abs_diff(received.us()) > limit_us {
                return Some(before);
            }
            let earliest = chart.min(received).plus_s(-STALE_AFTER_MS / 1000);
            Around { earliest, latest: chart.max(received) }
        }
        _ => before,
    })
}

/// What a move makes of a statement. `known`: what later records say of it, and who stands behind
/// what. Empty if nothing changes.
pub fn moved(
    (id, stored): (&RecordId, &Stored),
    since: Since,
    verdict: &Result<Attributed, Unattributed>,
    known: &Known,
    survivor: impl Fn(&PatientId) -> PatientId,
) -> Vec<NewStatement> {
    let had = patient_of(&stored.data).filter(|_| since == Since::Stands);
    let has = filed(verdict);
    let whose = verdict.as_ref().ok().map(|held| &held.patient);
    let unchanged = match had.as_ref().map(&survivor) {
        // What was filed when it came, on whatever was enough, stays while it is that patient's.
        Some(had) => whose == Some(&had),
        None => has.is_none(),
    };
    if unchanged {
        return Vec::new();
    }
    let mut made = Vec::new();
    if had.is_some() {
        let (kept, open): (Vec<Json>, Vec<Json>) = metrics(&stored.data)
            .into_iter()
            .partition(|metric| observation_id(metric).is_some_and(|one| known.is_confirmed(one)));
        if !open.is_empty() {
            made.push(withdrawn(id, stored, open, verdict));
        }
        if !kept.is_empty() {
            made.push(disputed(id, stored, &kept, verdict));
        }
    }
    if let Some(held) = has {
        let anew = had.is_some() || since == Since::Withdrawn;
        // What a person confirmed for this patient once stands there still.
        let is_there = |metric: &Json| {
            let id = observation_id(metric);
            id.is_some_and(|id| known.is_on_chart(id, &held.patient, &survivor))
        };
        let mut metrics = metrics(&stored.data);
        let count = metrics.len();
        metrics.retain(|metric| !is_there(metric));
        if count == 0 || !metrics.is_empty() {
            made.push(corrected((id, stored), metrics, held, anew));
        }
    }
    made
}

fn metrics(data: &Map<String, Json>) -> Vec<Json> {
    data.get("metrics").and_then(Json::as_array).cloned().unwrap_or_default()
}

fn observation_id(metric: &Json) -> Option<&str> {
    metric.get("observation_id")?.as_str()
}

fn had(stored: &Stored) -> BTreeSet<String> {
    stored.routes.keys().cloned().collect()
}

fn new(stored: &Stored, kind: EventKind, data: Map<String, Json>, goes: Goes) -> NewStatement {
    let (time, subject) = (stored.time.clone(), stored.subject.clone());
    NewStatement { kind, time, subject, data, goes }
}

/// The same values for the same patient, withdrawn.
fn withdrawn(
    id: &RecordId,
    stored: &Stored,
    open: Vec<Json>,
    verdict: &Result<Attributed, Unattributed>,
) -> NewStatement {
    let mut data = stored.data.clone();
    let mut metrics = open;
    for fields in metrics.iter_mut().filter_map(Json::as_object_mut) {
        fields.insert("status".to_owned(), json!("withdrawn"));
    }
    data.insert("metrics".to_owned(), Json::Array(metrics));
    data.insert("names".to_owned(), json!(id));
    data.insert("reason".to_owned(), json!(why(verdict)));
    new(stored, EventKind::Void, data, Goes::Had(had(stored)))
}

/// What a person confirmed and now has to look at again.
fn disputed(
    id: &RecordId,
    stored: &Stored,
    kept: &[Json],
    verdict: &Result<Attributed, Unattributed>,
) -> NewStatement {
    let ids: Vec<&str> = kept.iter().filter_map(observation_id).collect();
    let mut data = Map::new();
    let mut dispute = Map::new();
    dispute.insert("observation_ids".to_owned(), json!(ids));
    dispute.insert("why".to_owned(), json!(why(verdict)));
    let now = filed(verdict).map(|held| record::patient(&held.patient));
    dispute.insert("patient".to_owned(), json!(now));
    data.insert("disputed".to_owned(), Json::Object(dispute));
    data.insert("names".to_owned(), json!(id));
    for key in ["patient", "times", "mode"] {
        data.extend(stored.data.get(key).map(|value| (key.to_owned(), value.clone())));
    }
    new(stored, EventKind::Correction, data, Goes::Disputed(had(stored)))
}

/// The same values for another patient, as preliminary.
fn corrected(
    (id, stored): (&RecordId, &Stored),
    mut metrics: Vec<Json>,
    held: &Attributed,
    anew: bool,
) -> NewStatement {
    let mut data = stored.data.clone();
    if anew {
        for fields in metrics.iter_mut().filter_map(Json::as_object_mut) {
            let was = fields.remove("observation_id");
            fields.extend(was.map(|was| ("was".to_owned(), was)));
        }
    }
    if data.contains_key("metrics") {
        data.insert("metrics".to_owned(), Json::Array(metrics));
    }
    data.insert("names".to_owned(), json!(id));
    data.insert("patient".to_owned(), Json::Object(record::patient(&held.patient)));
    data.remove("patient_absent");
    data.remove("encounter");
    let encounter = held.encounter.as_ref().map(|encounter| json!(encounter.reveal()));
    data.extend(encounter.map(|encounter| ("encounter".to_owned(), encounter)));
    let place = held.place.as_ref().map_or_else(
        || data.get("association").and_then(|one| one.get("place")).cloned().unwrap_or_default(),
        |place| json!(place),
    );
    // The sequence of the newest entry is known when it is kept.
    let association = json!({
        "entries": held.entries, "grade": held.grade, "ledger": null, "place": place,
        "verified": held.in_census,
    });
    data.insert("association".to_owned(), association);
    let whole = !data.contains_key("part_of") && !data.contains_key("sampled");
    let goes = if whole { Goes::HadOrTakes(had(stored)) } else { Goes::Had(had(stored)) };
    new(stored, EventKind::Correction, data, goes)
}

/// Why the values are not that patient's any more.
fn why(verdict: &Result<Attributed, Unattributed>) -> &'static str {
    match verdict {
        Ok(held) if matches!(held.grade, Grade::Scan | Grade::CoreClaim) => "another-patient",
        Ok(_) => "not-enough-evidence",
        Err(nobody) => nobody.why.as_str(),
    }
}
