//! What a person is shown before they decide: where something waits, who says what in a conflict,
//! and what was signed that waits for another hand. Nothing is judged here.

use serde_json::{Map, Value as Json, json};

use super::super::charted::Known;
use super::super::identity::{May, Person};
use super::super::set::Values;
use super::super::words;
use super::signing::confirmed;
use super::{Bedside, Refused, patient_json};
use crate::association::{By, Entry, EntryId, Presence, Says, Utc};
use crate::vocabulary::PatientId;
use crate::vocabulary::moment::utc_text;

/// What one entry of the ledger says, in the words of the page.
#[derive(Default)]
struct Claim {
    says: &'static str,
    patient: Option<PatientId>,
    place: Option<String>,
    from: Option<Utc>,
    until: Option<Utc>,
}

impl Bedside {
    /// A row of a worklist with the place to go to, and of a conflict with who says what. Names
    /// stand in it only for those who may see patients.
    pub fn placed(&self, mut row: Json, person: &Person) -> Json {
        let Some(row_of) = row.as_object_mut() else { return row };
        let now = Utc::from_us(self.house.now().utc_us());
        let text = |name: &str| Some(row_of.get(name)?.as_str()?.to_owned());
        let mut more = Map::new();
        if let Some(device) = text("device") {
            let mut machines = self.house.machines().iter();
            // A disputed row names the line, the others the device.
            let is_it = |one: &&super::Machine| {
                one.id.as_str() == device || one.line.name.as_str() == device
            };
            if let Some(machine) = machines.find(is_it) {
                more.insert("name".to_owned(), json!(machine.line.name.as_str()));
                more.insert("place".to_owned(), json!(machine.place.as_str()));
            }
        } else if let Some(patient) = text("patient_ref").and_then(|name| self.patient(&name).ok())
        {
            let ledger = self.house.ledger();
            let place = ledger.place_of_patient(&patient, now);
            let standing = ledger.standing(now).into_iter();
            let own: Vec<_> = standing.filter(|one| one.patient == patient).collect();
            let named = own.iter().filter_map(|one| {
                let mut machines = self.house.machines().iter();
                Some(machines.find(|machine| machine.id == one.device)?.line.name.as_str())
            });
            let since = own.iter().map(|one| one.span.from).min();
            more.insert("devices".to_owned(), named.collect());
            more.insert("place".to_owned(), json!(place.as_ref().map(|place| place.as_str())));
            more.insert("since".to_owned(), json!(since.map(|since| utc_text(since.us()))));
        }
        let entries = row_of.get("entries").and_then(Json::as_array);
        if let Some(claims) = entries.and_then(|entries| self.claims(entries, person)) {
            more.insert("claims".to_owned(), claims);
        }
        for (name, value) in more {
            row_of.entry(name).or_insert(value);
        }
        row
    }

    /// Who says what; nothing where the entries are none of the ledger's.
    fn claims(&self, entries: &[Json], person: &Person) -> Option<Json> {
        let ledger = self.house.ledger();
        let ids = entries.iter().filter_map(|id| EntryId::parse(id.as_str()?).ok());
        let claims: Vec<Json> = ids
            .filter_map(|id| {
                let entry = ledger.entry(&id)?;
                Some(self.claim(&id, entry, person))
            })
            .collect();
        (!claims.is_empty()).then_some(Json::Array(claims))
    }

    fn claim(&self, id: &EntryId, entry: &Entry, person: &Person) -> Json {
        let claim = self.said(entry);
        let shown = claim.patient.as_ref().map(|patient| self.house.shown(patient));
        let may_see = person.may(May::See).is_ok();
        let name = shown.filter(|shown| may_see && !shown.protected).and_then(|shown| shown.name);
        let time = |time: Option<Utc>| {
            time.filter(|time| *time > Utc::MIN).map(|time| utc_text(time.us()))
        };
        json!({
            "entry": id.as_str(),
            "by": by(&entry.by),
            "says": claim.says,
            "patient_ref": claim.patient.as_ref().map(|patient| self.refs.name(patient)),
            "patient_name": name,
            "place": claim.place,
            "from": time(claim.from),
            "until": time(claim.until),
            "stated": utc_text(entry.stated.us()),
        })
    }

    fn said(&self, entry: &Entry) -> Claim {
        let patient_of = |id: &EntryId| self.patient_of_association(id.as_str());
        let ledger = self.house.ledger();
        let place_of = |patient: &PatientId, at: Utc| {
            ledger.place_of_patient(patient, at).map(|place| place.as_str().to_owned())
        };
        match &entry.says {
            Says::Associated { patient, span, .. } => Claim {
                says: "associated",
                place: place_of(patient, entry.stated),
                patient: Some(patient.clone()),
                from: Some(span.from),
                until: span.until,
            },
            Says::SpotCheck { patient, at, .. } => {
                let patient = Some(patient.clone());
                Claim { says: "spot-check", patient, from: Some(*at), ..Claim::default() }
            }
            Says::Ended { association, at } => {
                let patient = patient_of(association);
                Claim { says: "ended", patient, from: Some(*at), ..Claim::default() }
            }
            Says::Withdrawn { entry, .. } => {
                Claim { says: "withdrawn", patient: patient_of(entry), ..Claim::default() }
            }
            Says::Movement { patient, presence, from, .. } => {
                let (says, place) = match presence {
                    Presence::Present { place } => ("present", place.as_ref()),
                    Presence::Away => ("away", None),
                    Presence::Left => ("gone", None),
                };
                let place = place.map(|place| place.as_str().to_owned());
                let patient = Some(patient.clone());
                Claim { says, patient, place, from: Some(*from), until: None }
            }
            Says::Cancelled { patient, at, .. } => {
                let patient = Some(patient.clone());
                Claim { says: "cancelled", patient, from: Some(*at), ..Claim::default() }
            }
            Says::Plugged { port, from, .. } => {
                let place = Some(port.name.as_str().to_owned());
                Claim { says: "plugged", place, from: Some(*from), ..Claim::default() }
            }
            Says::Unplugged { .. }
            | Says::Stands { .. }
            | Says::Seen { .. }
            | Says::Paused { .. }
            | Says::Resumed { .. }
            | Says::Merged { .. }
            | Says::Decided { .. } => Claim { says: "other", ..Claim::default() },
        }
    }

    /// The confirmations of a patient that wait for a person: a student's, for another hand; what
    /// was confirmed while the core was away, to be let go; and those of whose values some are
    /// somebody else's by what is known now.
    ///
    /// # Errors
    /// What was charted is not read back yet, or the journal cannot be read.
    pub fn waiting(&self, person: &Person, patient: &PatientId) -> Result<Vec<Json>, Refused> {
        let json = patient_json(patient);
        let acts: Vec<(String, Known)> = self.with_chart(|chart| {
            let own = chart.acts().filter(|(_, known)| known.patient == json);
            // What was countersigned or let go stands under another name.
            let standing = own.filter(|(_, one)| !one.is_withdrawn && one.replaced_by.is_none());
            standing.map(|(client_id, known)| (client_id.to_owned(), known.clone())).collect()
        })?;
        let mut values = Values::of(self.house.as_ref());
        let mut waiting = Vec::new();
        for (client_id, known) in acts {
            let why = if known.needs_countersign {
                "needs-countersign"
            } else if known.is_held {
                "held"
            } else if self.is_disputed(&known, patient, &mut values)? {
                "disputed"
            } else {
                continue;
            };
            waiting.push(self.as_signed(why, &client_id, &known, person));
        }
        Ok(waiting)
    }

    fn is_disputed(
        &self,
        known: &Known,
        patient: &PatientId,
        values: &mut Values<'_>,
    ) -> Result<bool, Refused> {
        // Only what confirms has confirmed something here.
        let act = known.data.get("act").and_then(Json::as_str);
        if !matches!(act, Some("confirm" | "countersign")) {
            return Ok(false);
        }
        for value in confirmed(&known.data) {
            let id = value.get("observation_id").and_then(Json::as_str).unwrap_or_default();
            let Some(found) = values.named(id)? else { continue };
            if values.whose(&found).is_none_or(|whose| whose.patient != *patient) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A confirmation as it was signed.
    fn as_signed(&self, why: &str, client_id: &str, known: &Known, person: &Person) -> Json {
        let part = |name: &str| known.data.get(name).cloned().unwrap_or(Json::Null);
        let by = part("by");
        let all = known.data.get("values").and_then(Json::as_array);
        let values = all.into_iter().flatten().map(|value| self.signed_value(value));
        let entries = known.data.get("entries").and_then(Json::as_array).into_iter().flatten();
        json!({
            "why": why,
            "client_id": client_id,
            "confirmation": known.record,
            "at": known.at,
            "stated": part("stated"),
            "by": { "name": by.get("name"), "role": by.get("role") },
            "own": known.by == person.id.reveal(),
            "values": values.collect::<Vec<Json>>(),
            "entries": entries.map(entered).collect::<Vec<Json>>(),
        })
    }

    fn signed_value(&self, value: &Json) -> Json {
        let part = |name: &str| value.get(name).cloned().unwrap_or(Json::Null);
        let parameter = value.get("parameter").and_then(Json::as_str).unwrap_or_default();
        json!({
            "observation_id": part("observation_id"),
            "act": part("act"),
            "reason": part("reason"),
            "parameter": parameter,
            "words": words::parameter(parameter),
            "channel": self.part_of(value),
            "value": part("value"),
            "unit": unit(value),
            "device": part("device"),
            "measured": part("measured"),
        })
    }

    /// The part of the device that it was measured on, by the association that it was signed under.
    fn part_of(&self, value: &Json) -> Option<String> {
        let entries = value.pointer("/association/entries")?.as_array()?;
        let ledger = self.house.ledger();
        entries.iter().find_map(|id| {
            let id = EntryId::parse(id.as_str()?).ok()?;
            if let Says::Associated { channel, .. } = &ledger.entry(&id)?.says {
                Some(channel.as_ref()?.as_str().to_owned())
            } else {
                None
            }
        })
    }
}

/// What was entered by hand, as it was.
fn entered(entry: &Json) -> Json {
    let part = |name: &str| entry.get(name).cloned().unwrap_or(Json::Null);
    json!({
        "parameter": part("parameter"),
        "value": part("value"),
        "code": entry.pointer("/coded/code"),
        "unit": unit(entry),
    })
}

/// The unit as the device has it, else by its code.
fn unit(metric: &Json) -> Option<String> {
    let unit = metric.get("unit")?;
    let first = unit.as_array().and_then(|all| all.first()).unwrap_or(unit);
    if let Some(text) = first.as_str() {
        return Some(text.to_owned());
    }
    let part = |name: &str| Some(first.get(name)?.as_str()?.to_owned());
    part("words").filter(|words| !words.is_empty()).or_else(|| part("code"))
}

const fn by(by: &By) -> &'static str {
    match by {
        By::Scan { .. } => "scan",
        By::Person { .. } => "person",
        By::Device => "device",
        By::Adt => "administration",
        By::Core => "core",
        By::Configuration => "configuration",
        By::Box => "box",
    }
}
