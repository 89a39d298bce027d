//! Two flows meet: the box's page and the core's own app. What the core charted is never offered or
//! sent again. What was confirmed here while the core was away is held until the core has told all
//! that its own app charted meanwhile, or a person has looked; what both have signed stays the
//! core's, and stands in the worklist of conflicts until a person has settled it.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::super::charted::{Clash, Known};
use super::super::identity::Person;
use super::super::owners::{ENTRIES, Owner, ward_of};
use super::super::set::{Found, Values};
use super::{Bedside, Refused, patient_json, person_json};
use crate::association::Utc;
use crate::charting::house::ActKind;
use crate::vocabulary::PatientId;
use crate::vocabulary::moment::utc_text;

/// More in one message are several messages.
pub const CHARTINGS_MAX: usize = 1000;
/// The longest text in one: an id, a name, a reason.
const TEXT_CHARACTERS_MAX: usize = 400;
/// The core's clock may be a little ahead.
const AHEAD_US: i64 = 60_000_000;

/// What the core's own app charted, as it tells it by any way.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreCharted {
    #[serde(default)]
    pub chartings: Vec<CoreCharting>,
    /// All that the app charted up to then has been told, this included.
    #[serde(default)]
    pub through: Option<String>,
}

/// One value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoreCharting {
    pub observation_id: String,
    pub act: CoreAct,
    #[serde(default)]
    pub reason: Option<String>,
    pub person: String,
    pub time: String,
}

/// What became of it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CoreAct {
    Confirmed,
    Rejected,
    Replaced,
}

impl CoreAct {
    /// The word in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub kept: usize,
    /// Of these so many were signed here, too, and wait for a person.
    pub conflicts: usize,
    /// Confirmations that were held here and go out now.
    pub released: usize,
}

/// A person has looked in the core's app: what was held may go out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Of whoever sends all acts with one; what was let go once is not let go again.
    #[serde(default)]
    pub client_id: Option<String>,
    pub stated: String,
    /// The phone slept, or its clock was moved, since the box last told it the time.
    #[serde(default)]
    pub stated_unproven: bool,
}

/// A person has looked at a value that was charted twice.
#[derive(Clone, Copy, Debug)]
pub struct Settle<'a> {
    pub client_id: &'a str,
    pub stated: &'a str,
    /// `core` or `box`: whose judgement is right. Nothing is sent for it; what is wrong on the
    /// chart is put right in the core's app.
    pub holds: &'a str,
    pub reason: &'a str,
}

impl Bedside {
    /// Who charts a value.
    pub(super) fn owner_of(&self, found: &Found) -> Owner {
        let parameter = found.metric.get("parameter").and_then(Json::as_str).unwrap_or_default();
        self.owner_on(&found.line, parameter)
    }

    /// Who charts what comes on this line, by the ward on which its device stands.
    pub(super) fn owner_on(&self, line: &str, parameter: &str) -> Owner {
        let mut machines = self.house.machines().iter();
        let machine = machines.find(|one| one.line.name.as_str() == line);
        let ward = machine.map_or(self.house.ward(), |one| ward_of(one.place.as_str()));
        self.rules.owners.of(ward, parameter)
    }

    /// Who charts what a person enters of a patient: by the patient's ward, else by that of a
    /// device on the patient, else by the box's.
    pub fn owner_of_entries(&self, patient: &PatientId) -> Owner {
        let now = Utc::from_us(self.house.now().utc_us());
        let ledger = self.house.ledger();
        let place = ledger.place_of_patient(patient, now).or_else(|| {
            let on = ledger.standing(now).into_iter().find(|one| one.patient == *patient)?;
            let machine = self.house.machines().iter().find(|one| one.id == on.device)?;
            Some(machine.place.clone())
        });
        let ward = place.as_ref().map_or(self.house.ward(), |place| ward_of(place.as_str()));
        self.rules.owners.of(ward, ENTRIES)
    }

    /// Whether what a person enters of a patient is signed here now.
    pub fn signs_entries(&self, patient: &PatientId) -> bool {
        self.owner_of_entries(patient).signs_here(self.house.core_is_away())
    }

    /// What the core's own app charted. It is durable when this comes back, and the same again
    /// changes nothing. `id`: what makes it the same.
    ///
    /// # Errors
    /// What is wrong with it, or that it could not be kept: then it is told again.
    pub async fn charted_by_core(&self, id: &str, told: &CoreCharted) -> Result<Told, Refused> {
        let _turn = self.turn.lock().await;
        let now = Utc::from_us(self.house.now().utc_us());
        let values = self.checked(told, now)?;
        let mut data = Map::new();
        data.insert("act".to_owned(), json!("charted-by-core"));
        data.insert("at".to_owned(), json!(utc_text(now.us())));
        data.insert("client_id".to_owned(), json!(id));
        if let Some(through) = &told.through {
            data.insert("through".to_owned(), json!(utc_text(time(through, now)?.us())));
        }
        data.insert("values".to_owned(), Json::Array(values));
        self.keep_own(ActKind::Audit, &format!("core:{id}"), now, data).await?;
        let released = self.release_told().await?;
        let conflicts = self.with_chart(|chart| {
            let ids = told.chartings.iter().map(|one| one.observation_id.as_str());
            ids.filter_map(|id| chart.clash(id)).filter(|clash| !clash.is_settled).count()
        })?;
        Ok(Told { kept: told.chartings.len(), conflicts, released })
    }

    /// Each charting as the record has it, with the patient whose value it was.
    fn checked(&self, told: &CoreCharted, now: Utc) -> Result<Vec<Json>, Refused> {
        if told.chartings.len() > CHARTINGS_MAX {
            return Err(Refused::Charting("at most 1000 values in one message"));
        }
        let mut values = Values::of(self.house.as_ref());
        let mut rows = Vec::new();
        for one in &told.chartings {
            let texts = [&one.observation_id, &one.person];
            let is_text = |text: &str| (1..=TEXT_CHARACTERS_MAX).contains(&text.chars().count());
            if !texts.into_iter().chain(&one.reason).all(|text| is_text(text)) {
                return Err(Refused::Charting("texts of 1 to 400 characters"));
            }
            let found = values.named(&one.observation_id)?;
            let whose = found.and_then(|found| values.whose(&found));
            rows.push(json!({
                "observation_id": one.observation_id,
                "act": one.act.as_str(),
                "reason": one.reason,
                "person": one.person,
                "time": utc_text(time(&one.time, now)?.us()),
                "patient": whose.map(|whose| patient_json(&whose.patient)),
            }));
        }
        Ok(rows)
    }

    /// Lets go what was confirmed here up to the time of which the core has told all. After a stop
    /// in the middle it goes on from where it was.
    pub(super) async fn release_told(&self) -> Result<usize, Refused> {
        let told: Vec<(String, Known)> = self.with_chart(|chart| {
            let through = chart.told_through();
            let stated = |known: &Known| {
                let stated = known.data.get("stated").and_then(Json::as_str);
                stated.is_some_and(|stated| stated <= through)
            };
            let held = chart.held().filter(|(_, known)| stated(known));
            held.map(|(id, known)| (id.to_owned(), known.clone())).collect()
        })?;
        for (client_id, known) in &told {
            let through = self.with_chart(|chart| chart.told_through().to_owned())?;
            self.let_go(client_id, known, json!({ "by": "core", "through": through })).await?;
        }
        Ok(told.len())
    }

    /// Lets go what was held, because a person has looked in the core's app.
    ///
    /// # Errors
    /// There is nothing of that name, or the core is still away.
    pub async fn release(
        &self,
        person: &Person,
        name: &str,
        asked: &Release,
    ) -> Result<String, Refused> {
        let _turn = self.turn.lock().await;
        let stated = self.stated(&asked.stated)?;
        if person.student {
            return Err(Refused::OwnHand);
        }
        let found = self.with_chart(|chart| {
            let (_, known) = chart.named(name)?;
            let (client_id, known) = chart.named(&chart.standing_for(known).record)?;
            Some((client_id.to_owned(), known.clone()))
        })?;
        let (client_id, known) = found.ok_or(Refused::UnknownConfirmation)?;
        if known.data.contains_key("releases") {
            return Ok(known.record);
        }
        if !known.is_held || known.is_withdrawn || known.needs_countersign {
            return Err(Refused::UnknownConfirmation);
        }
        if self.house.core_is_away() {
            return Err(Refused::StillAway);
        }
        let by = json!({
            "by": person_json(person),
            "client_id": asked.client_id,
            "stated": utc_text(stated.us()),
            "stated_unproven": asked.stated_unproven,
        });
        self.let_go(&client_id, &known, by).await
    }

    /// The act goes out as what it is; what the core charted meanwhile is left out of it.
    async fn let_go(&self, client_id: &str, known: &Known, by: Json) -> Result<String, Refused> {
        let own_id = format!("release:{}", self.refs.hash(client_id.as_bytes()));
        let mut data = known.data.clone();
        for key in ["held", "carries", "carried", "statements"] {
            data.remove(key);
        }
        self.leave_to_core(&mut data)?;
        self.leave_what_moved(&mut data)?;
        data.insert("client_id".to_owned(), json!(own_id));
        data.insert("releases".to_owned(), json!(client_id));
        data.insert("released".to_owned(), by);
        let at: jiff::Timestamp = known.at.parse().map_err(|_| Refused::Time)?;
        let at = Utc::from_us(at.as_microsecond());
        let record = self.keep_own(ActKind::Confirmation, &own_id, at, data.clone()).await?;
        self.state(&own_id, &record, &data, "final").await?;
        Ok(record)
    }

    /// What the core has charted is untouched by an act of the box.
    pub(super) fn leave_to_core(&self, data: &mut Map<String, Json>) -> Result<(), Refused> {
        self.with_chart(|chart| {
            let values = data.get_mut("values").and_then(Json::as_array_mut);
            for value in values.into_iter().flatten().filter_map(Json::as_object_mut) {
                let id = value.get("observation_id").and_then(Json::as_str).unwrap_or_default();
                let by_core = chart.of(id).filter(|one| one.by_core).or_else(|| {
                    let clash = chart.clash(id);
                    clash.map(|clash| &clash.core)
                });
                if let Some(core) = by_core {
                    let fate = core.fate.as_str();
                    value.insert("act".to_owned(), json!("leave"));
                    value.insert("charted_by_core".to_owned(), json!(fate));
                }
            }
        })
    }

    /// What by now is known to be another patient's does not go out for this one: it stands in the
    /// worklist of what is disputed.
    fn leave_what_moved(&self, data: &mut Map<String, Json>) -> Result<(), Refused> {
        let patient = data.get("patient").cloned().unwrap_or(Json::Null);
        let mut journal = Values::of(self.house.as_ref());
        let values = data.get_mut("values").and_then(Json::as_array_mut);
        for value in values.into_iter().flatten().filter_map(Json::as_object_mut) {
            let id = value.get("observation_id").and_then(Json::as_str).unwrap_or_default();
            let Some(found) = journal.named(id)? else { continue };
            let whose = journal.whose(&found).map(|whose| patient_json(&whose.patient));
            if whose.as_ref() != Some(&patient) {
                value.insert("act".to_owned(), json!("leave"));
                value.insert("disputed".to_owned(), json!(true));
            }
        }
        Ok(())
    }

    /// Writes what is held, and what was charted twice and nobody has settled, again: before its
    /// records, and those of its values, can be let go.
    ///
    /// # Errors
    /// It could not be kept.
    pub async fn carry_held(&self) -> Result<(), Refused> {
        let _turn = self.turn.lock().await;
        let now = Utc::from_us(self.house.now().utc_us());
        let kept_back: Vec<(String, Known)> = self.with_chart(|chart| {
            let kept_back = chart
                .acts()
                .filter(|(_, one)| (one.is_held || one.needs_countersign) && !one.is_withdrawn);
            kept_back.map(|(id, known)| (id.to_owned(), known.clone())).collect()
        })?;
        for (client_id, known) in kept_back {
            let mut data = known.data;
            data.insert("carries".to_owned(), json!(client_id));
            data.insert("carried".to_owned(), json!(known.record));
            let own_id = format!("carried:{}:{}", self.refs.hash(client_id.as_bytes()), now.us());
            self.keep_own(ActKind::Audit, &own_id, now, data).await?;
        }
        let open: Vec<(String, Clash)> = self.with_chart(|chart| {
            let open = chart.clashes().filter(|(_, clash)| !clash.is_settled);
            open.map(|(id, clash)| (id.to_owned(), clash.clone())).collect()
        })?;
        for (id, Clash { ours, core, .. }) in open {
            let data = json!({
                "act": "charted-twice",
                "observation_id": id,
                "patient": ours.patient,
                "signed_by_act": ours.client_id,
                "box": ours.fate.as_str(),
                "box_at": ours.at,
                "core": core.fate.as_str(),
                "core_at": core.at,
            });
            let data = data.as_object().cloned().unwrap_or_default();
            let own_id = format!("twice:{}:{}", self.refs.hash(id.as_bytes()), now.us());
            self.keep_own(ActKind::Audit, &own_id, now, data).await?;
        }
        Ok(())
    }

    /// A person has looked at a value that was signed here and by the core.
    ///
    /// # Errors
    /// There is no such open conflict.
    pub async fn settle(
        &self,
        person: &Person,
        observation_id: &str,
        asked: Settle<'_>,
    ) -> Result<(), Refused> {
        let _turn = self.turn.lock().await;
        let stated = self.stated(asked.stated)?;
        if asked.reason.trim().is_empty() {
            return Err(Refused::ReasonNeeded);
        }
        let clash = self.with_chart(|chart| chart.clash(observation_id).cloned())?;
        let clash = clash.ok_or(Refused::UnknownConflict)?;
        if !["core", "box"].contains(&asked.holds) {
            return Err(Refused::UnknownConflict);
        }
        let mut data = Map::new();
        data.insert("act".to_owned(), json!("settle-charted-twice"));
        data.insert("at".to_owned(), json!(utc_text(stated.us())));
        data.insert("by".to_owned(), person_json(person));
        data.insert("client_id".to_owned(), json!(asked.client_id));
        data.insert("holds".to_owned(), json!(asked.holds));
        data.insert("observation_id".to_owned(), json!(observation_id));
        data.insert("patient".to_owned(), clash.ours.patient);
        data.insert("reason".to_owned(), json!(asked.reason));
        self.keep(ActKind::Audit, asked.client_id, stated, data).await.map(drop)
    }
}

/// A time that the core states.
fn time(text: &str, now: Utc) -> Result<Utc, Refused> {
    let expected = Refused::Charting("times such as 2026-11-29T10:00:00Z, not in the future");
    let Ok(time) = text.parse::<jiff::Timestamp>() else { return Err(expected) };
    let time = time.as_microsecond();
    if time > now.us().saturating_add(AHEAD_US) { Err(expected) } else { Ok(Utc::from_us(time)) }
}
