//! A set confirmed, rejected in part, withdrawn, countersigned; and what no device measures.
//!
//! To confirm means: this person judged that these values represent this patient at the time
//! shown. No value can be edited: a different figure is an entry beside it.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::super::charted::{Fate, Known};
use super::super::form::Filled;
use super::super::identity::Person;
use super::super::owners::{ENTRIES, Owner};
use super::super::set::{Found, Values, within_us};
use super::{Bedside, Refused, patient_json, person_json};
use crate::association::{MeasurementId, Utc};
use crate::charting::house::ActKind;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{Digest, PatientId};

/// A set is signed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    pub client_id: String,
    pub patient: String,
    /// The time for which the set is signed.
    pub at: String,
    pub stated: String,
    /// What the set was judged by, as it was shown.
    pub version: String,
    #[serde(default)]
    pub reason: Option<String>,
    /// Every value that was shown.
    #[serde(default)]
    pub values: Vec<Signature>,
    #[serde(default)]
    pub entries: Vec<Filled>,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

/// What the person says of one value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    pub observation_id: String,
    pub act: Says,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Whether a value represents the patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Says {
    Confirm,
    Leave,
    Reject,
}

impl Says {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Leave => "leave",
            Self::Reject => "reject",
        }
    }
}

/// A confirmation is taken back.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdraw {
    pub client_id: String,
    pub stated: String,
    pub reason: String,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

/// A student's confirmation is signed by somebody who may.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Countersign {
    pub client_id: String,
    pub stated: String,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

/// What was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub record: String,
    pub needs_countersign: bool,
    /// It goes out when the core has told what its own app charted meanwhile.
    pub is_held: bool,
}

/// The values of a set as the record of the act has them.
struct Judged {
    values: Vec<Json>,
    /// Something of it is the core's to chart, which is away.
    in_downtime: bool,
}

impl Bedside {
    /// Signs a set: each value and entry whose owner signs here now; the others stay untouched.
    ///
    /// # Errors
    /// What was shown is not what is there, is too old, was charted already, or is the core's to
    /// chart.
    pub async fn confirm(&self, person: &Person, asked: &Confirm) -> Result<Signed, Refused> {
        let _turn = self.turn.lock().await;
        if let Some(known) = self.with_chart(|chart| chart.act(&asked.client_id).cloned())? {
            let Known { needs_countersign, is_held, .. } = known;
            if !needs_countersign && !is_held && !known.is_withdrawn && known.replaced_by.is_none()
            {
                // What a stop in the middle left out.
                self.state(&asked.client_id, &known.record, &known.data, "final").await?;
            }
            return Ok(Signed { record: known.record, needs_countersign, is_held });
        }
        let patient = self.patient(&asked.patient)?;
        let stated = self.stated(&asked.stated)?;
        let at = self.stated(&asked.at)?;
        let is_old = at.plus_s(self.rules.as_of_minutes_max * 60) < stated;
        if at > stated {
            return Err(Refused::Time);
        }
        if is_old && asked.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
            return Err(Refused::ReasonNeeded);
        }
        let entries = self.rules.form.check(&asked.entries).map_err(Refused::Form)?;
        let judged = self.judge(&patient, asked, at)?;
        let act = if person.student { "confirm-by-student" } else { "confirm" };
        let mut data = Map::new();
        data.insert("act".to_owned(), json!(act));
        data.insert("at".to_owned(), json!(utc_text(at.us())));
        data.insert("by".to_owned(), person_json(person));
        data.insert("client_id".to_owned(), json!(asked.client_id));
        data.insert("entries".to_owned(), Json::Array(entries));
        data.insert("patient".to_owned(), patient_json(&patient));
        data.insert("reason".to_owned(), json!(asked.reason));
        data.insert("stated".to_owned(), json!(utc_text(stated.us())));
        data.insert("stated_unproven".to_owned(), json!(asked.stated_unproven));
        data.insert("values".to_owned(), Json::Array(judged.values));
        data.insert("version".to_owned(), json!(asked.version));
        self.signed(&asked.client_id, (at, data), person.student, judged.in_downtime).await
    }

    /// Keeps what was signed, and states it unless it waits: for another hand, or for the core.
    async fn signed(
        &self,
        client_id: &str,
        (at, mut data): (Utc, Map<String, Json>),
        needs_countersign: bool,
        is_held: bool,
    ) -> Result<Signed, Refused> {
        if is_held {
            data.insert("held".to_owned(), json!(true));
            data.insert("statements".to_owned(), self.statements_to_hold(&data)?);
        }
        // What nobody who may has signed, or the core may have charted meanwhile, goes nowhere yet.
        let waits = needs_countersign || is_held;
        let kind = if waits { ActKind::Audit } else { ActKind::Confirmation };
        let record = self.keep(kind, client_id, at, data.clone()).await?;
        if !waits {
            self.state(client_id, &record, &data, "final").await?;
        }
        Ok(Signed { record, needs_countersign, is_held })
    }

    /// Each value as the record of the act has it.
    fn judge(&self, patient: &PatientId, asked: &Confirm, at: Utc) -> Result<Judged, Refused> {
        let core_is_away = self.house.core_is_away();
        let (mut rows, mut evidence) = (Vec::new(), Vec::new());
        let mut values = Values::of(self.house.as_ref());
        let (mut is_anything_ours, mut in_downtime) = (false, false);
        let owned_by_core = |what: &str| Refused::OwnedByCore { what: what.to_owned() };
        for signature in &asked.values {
            let id = &signature.observation_id;
            let unknown = || Refused::UnknownValue { observation_id: id.clone() };
            let found = values.named(id)?.ok_or_else(unknown)?;
            let whose = values.whose(&found).filter(|whose| whose.patient == *patient);
            let Some(whose) = whose else { return Err(Refused::Changed) };
            let entries: Vec<&str> = whose.entries.iter().map(|entry| entry.as_str()).collect();
            evidence.extend(entries.iter().map(|&entry| entry.to_owned()));
            let owner = self.owner_of(&found);
            is_anything_ours |= owner.signs_here(core_is_away);
            if signature.act != Says::Leave {
                if !owner.signs_here(core_is_away) {
                    return Err(owned_by_core(id));
                }
                in_downtime |= owner == Owner::CoreBoxInDowntime;
            }
            self.may_sign(signature, &found, at)?;
            rows.push(json!({
                "observation_id": id,
                "act": signature.act.as_str(),
                "reason": signature.reason,
                "record": found.record,
                "device": found.line,
                "measured": utc_text(found.measured_us),
                "parameter": found.metric.get("parameter"),
                "value": found.metric.get("value"),
                "unit": found.metric.get("unit"),
                "owner": owner.as_str(),
                "profile": found.profile,
                "association": { "grade": whose.grade.as_str(), "entries": entries },
            }));
        }
        let owner = self.owner_of_entries(patient);
        let enters = !asked.entries.is_empty();
        if !owner.signs_here(core_is_away) && (enters || !is_anything_ours) {
            let first = asked.values.first().filter(|_| !enters);
            return Err(owned_by_core(first.map_or(ENTRIES, |first| &first.observation_id)));
        }
        in_downtime |= enters && owner == Owner::CoreBoxInDowntime;
        if version_of(evidence) != asked.version {
            return Err(Refused::Changed);
        }
        Ok(Judged { values: rows, in_downtime })
    }

    /// Whether this very measurement was given to a patient.
    fn is_spot_check(&self, found: &Found) -> bool {
        let id = MeasurementId::parse(&found.observation_id);
        id.is_ok_and(|id| self.house.ledger().is_spot_checked(&id))
    }

    fn may_sign(&self, signature: &Signature, found: &Found, at: Utc) -> Result<(), Refused> {
        let observation_id = || signature.observation_id.clone();
        let charted = self
            .with_chart(|chart| chart.of(&signature.observation_id).map(|charted| charted.fate))?;
        match (signature.act, charted) {
            (Says::Leave, _) | (_, None) => {}
            (_, Some(fate)) => {
                let (observation_id, fate) = (observation_id(), fate.as_str());
                return Err(Refused::AlreadyCharted { observation_id, fate });
            }
        }
        if signature.act != Says::Confirm {
            return Ok(());
        }
        let within = within_us(&found.metric, self.is_spot_check(found));
        let age = at.us().saturating_sub(found.measured_us);
        let is_there = found.metric.contains_key("value");
        if is_there && (0..within).contains(&age) {
            return Ok(());
        }
        Err(Refused::Stale { observation_id: observation_id() })
    }

    /// Takes a confirmation back.
    ///
    /// # Errors
    /// There is none of that record.
    pub async fn withdraw(
        &self,
        person: &Person,
        record: &str,
        asked: &Withdraw,
    ) -> Result<Signed, Refused> {
        let _turn = self.turn.lock().await;
        let stated = self.stated(&asked.stated)?;
        if asked.reason.trim().is_empty() {
            return Err(Refused::ReasonNeeded);
        }
        let known = self.with_chart(|chart| {
            let (_, known) = chart.acts().find(|(_, known)| known.record == record)?;
            Some(chart.standing_for(known).clone())
        })?;
        let mut known = known.ok_or(Refused::UnknownConfirmation)?;
        let record = known.record.as_str();
        // What the core has charted besides is the core's to take back.
        self.leave_to_core(&mut known.data)?;
        let went_out = !known.needs_countersign && !known.is_held;
        let mut data = Map::new();
        data.insert("act".to_owned(), json!("withdraw"));
        data.insert("at".to_owned(), json!(known.at));
        data.insert("by".to_owned(), person_json(person));
        data.insert("client_id".to_owned(), json!(asked.client_id));
        data.insert("confirmation".to_owned(), json!(record));
        data.insert("patient".to_owned(), known.patient);
        data.insert("reason".to_owned(), json!(asked.reason));
        data.insert("stated".to_owned(), json!(utc_text(stated.us())));
        data.insert("withdraws".to_owned(), confirmed_ids(&known.data));
        let kind = if went_out { ActKind::Confirmation } else { ActKind::Audit };
        let withdrawal = self.keep(kind, &asked.client_id, stated, data).await?;
        if went_out {
            self.state(&asked.client_id, &withdrawal, &known.data, "withdrawn").await?;
        }
        Ok(Signed { record: withdrawal, needs_countersign: false, is_held: false })
    }

    /// Signs what a student confirmed.
    ///
    /// # Errors
    /// There is none of that id, or the person may not sign for a student, or is the same.
    pub async fn countersign(
        &self,
        person: &Person,
        client_id: &str,
        asked: &Countersign,
    ) -> Result<Signed, Refused> {
        let _turn = self.turn.lock().await;
        let stated = self.stated(&asked.stated)?;
        let known = self.with_chart(|chart| chart.act(client_id).cloned())?;
        let known = known.filter(|known| known.needs_countersign);
        let known = known.ok_or(Refused::UnknownConfirmation)?;
        if !person.may_countersign(&known.by) {
            return Err(Refused::OwnHand);
        }
        let at: jiff::Timestamp = known.at.parse().map_err(|_| Refused::Time)?;
        let mut data = known.data;
        data.insert("act".to_owned(), json!("countersign"));
        data.insert("countersigns".to_owned(), json!(client_id));
        data.insert("countersigner".to_owned(), person_json(person));
        data.insert("client_id".to_owned(), json!(asked.client_id));
        data.insert("countersigned".to_owned(), json!(utc_text(stated.us())));
        for key in ["carries", "carried"] {
            data.remove(key);
        }
        self.leave_to_core(&mut data)?;
        let at = Utc::from_us(at.as_microsecond());
        let signed = self.signed(&asked.client_id, (at, data), false, known.is_held).await?;
        // The core may have told already what it charted until then.
        self.release_told().await?;
        Ok(signed)
    }

    /// Whose values a confirmation is about, by its record or by the phone's id.
    pub fn patient_of_act(&self, name: &str) -> Option<PatientId> {
        let patient = self
            .with_chart(|chart| chart.named(name).map(|(_, known)| known.patient.clone()))
            .ok()
            .flatten()?;
        self.patient_in(&patient)
    }

    /// A patient as it stands in an act.
    pub(super) fn patient_in(&self, json: &Json) -> Option<PatientId> {
        let text = |key: &str| json.get(key).and_then(Json::as_str);
        PatientId::given(text("root")?, text("id")?, self.house.purpose()).ok()
    }

    /// What became of a value.
    ///
    /// # Errors
    /// It is not read back yet.
    pub fn fate(&self, observation_id: &str) -> Result<Option<Fate>, Refused> {
        self.with_chart(|chart| chart.of(observation_id).map(|charted| charted.fate))
    }
}

/// What a set was judged by, as `set::version` has it.
fn version_of(mut evidence: Vec<String>) -> String {
    evidence.sort_unstable();
    evidence.dedup();
    let evidence: Vec<&str> = evidence.iter().map(String::as_str).collect();
    let mut version = Digest::of_parts(&evidence).to_string();
    version.truncate(16);
    version
}

/// The confirmed values of an act, by observation id.
fn confirmed_ids(data: &Map<String, Json>) -> Json {
    confirmed(data).filter_map(|value| value.get("observation_id").cloned()).collect()
}

/// The confirmed values of an act.
pub fn confirmed(data: &Map<String, Json>) -> impl Iterator<Item = &Json> {
    let values = data.get("values").and_then(Json::as_array).into_iter().flatten();
    values.filter(|value| value.get("act").and_then(Json::as_str) == Some("confirm"))
}
