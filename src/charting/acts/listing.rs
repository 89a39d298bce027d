//! What waits for a person: devices and values without a patient, patients whose values nobody has
//! confirmed, conflicts, what is disputed. No values stand in it.

use serde_json::{Value as Json, json};

use super::super::charted::{Charted, Clash};
use super::super::set::Values;
use super::{Bedside, Fate, Refused};
use crate::association::Utc;
use crate::vocabulary::PatientId;
use crate::vocabulary::moment::utc_text;

/// How a value that was charted twice is named in addresses: this and its observation id.
pub const CHARTED_TWICE: &str = "charted-twice-";

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worklist {
    DevicesWithoutPatient,
    ValuesWithoutPatient,
    Unconfirmed,
    Conflicts,
    Disputed,
    Recovery,
}

impl Worklist {
    /// By its name in an address.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "devices-without-patient" => Some(Self::DevicesWithoutPatient),
            "values-without-patient" => Some(Self::ValuesWithoutPatient),
            "unconfirmed" => Some(Self::Unconfirmed),
            "conflicts" => Some(Self::Conflicts),
            "disputed" => Some(Self::Disputed),
            "recovery" => Some(Self::Recovery),
            _ => None,
        }
    }
}

impl Bedside {
    /// The rows of a list.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn worklist(&self, which: Worklist) -> Result<Vec<Json>, Refused> {
        match which {
            Worklist::DevicesWithoutPatient => Ok(self.devices_without_patient()),
            Worklist::ValuesWithoutPatient => self.values_without_patient(),
            Worklist::Unconfirmed => self.unconfirmed(),
            Worklist::Conflicts => Ok([self.conflicts(), self.charted_twice()?].concat()),
            Worklist::Disputed => self.disputed(),
            Worklist::Recovery => self.recovery(),
        }
    }

    fn devices_without_patient(&self) -> Vec<Json> {
        let now = Utc::from_us(self.house.now().utc_us());
        let standing = self.house.ledger().standing(now);
        let (shelf, machines) = (self.shelf(), self.house.machines().iter());
        let heard: Vec<&str> = shelf.devices().collect();
        let lonely = machines.filter(|machine| {
            machine.whose == crate::association::Whose::ByLedger
                && heard.contains(&machine.line.name.as_str())
                && !standing.iter().any(|one| one.device == machine.id && !one.is_stale)
        });
        lonely
            .map(|machine| {
                json!({
                    "device": machine.id.as_str(),
                    "name": machine.line.name.as_str(),
                    "class": machine.class,
                    "place": machine.place.as_str(),
                })
            })
            .collect()
    }

    fn values_without_patient(&self) -> Result<Vec<Json>, Refused> {
        let now_us = self.house.now().utc_us();
        let mut values = Values::of(self.house.as_ref());
        let mut rows = Vec::new();
        for machine in self.house.machines() {
            let marks = self.shelf().at(machine.line.name.as_str(), now_us);
            let mut newest = None;
            for mark in marks.iter().filter_map(|(_, marks)| marks.last()) {
                let Some(found) = values.found(mark.sequence, mark.index)? else { continue };
                if values.whose(&found).is_none() {
                    newest = newest.max(Some(found.measured_us));
                }
            }
            rows.extend(newest.map(|newest| {
                json!({
                    "device": machine.id.as_str(),
                    "name": machine.line.name.as_str(),
                    "newest": utc_text(newest),
                })
            }));
        }
        Ok(rows)
    }

    fn unconfirmed(&self) -> Result<Vec<Json>, Refused> {
        let now = Utc::from_us(self.house.now().utc_us());
        let limit = now.plus_s(-self.rules.unconfirmed_minutes * 60);
        let mut patients: Vec<PatientId> = Vec::new();
        for standing in self.house.ledger().standing(now) {
            let is_new = standing.span.from > limit;
            if !is_new && !standing.is_stale && !patients.contains(&standing.patient) {
                patients.push(standing.patient);
            }
        }
        self.with_chart(|chart| {
            let late = patients.into_iter().filter_map(|patient| {
                let json = super::patient_json(&patient);
                let times = chart.acts().filter(|(_, act)| act.patient == json);
                let of_core = chart.values().map(|(_, one)| one);
                let of_core = of_core.filter(|one| one.by_core && one.patient == json);
                let last = times.map(|(_, act)| &act.at).chain(of_core.map(|one| &one.at)).max();
                let is_late = last.is_none_or(|last| *last < utc_text(limit.us()));
                is_late.then(|| json!({ "patient_ref": self.refs.name(&patient), "last": last }))
            });
            late.collect()
        })
    }

    fn conflicts(&self) -> Vec<Json> {
        let conflicts = self.house.ledger().conflicts(Utc::MAX).into_iter();
        let open = conflicts.filter(|one| one.settled_by.is_none());
        open.map(|one| {
            let entries: Vec<&str> = one.entries.iter().map(|entry| entry.as_str()).collect();
            json!({
                "id": self.conflict_name(&one),
                "kind": one.kind.as_str(),
                "device": one.device.as_ref().map(|device| device.as_str()),
                "from": (one.span.from > Utc::MIN).then(|| utc_text(one.span.from.us())),
                "until": one.span.until.map(|until| utc_text(until.us())),
                "entries": entries,
            })
        })
        .collect()
    }

    /// What was signed here and in the core's own app, until a person has looked. The core's stands
    /// on the chart; nothing of it is sent again.
    fn charted_twice(&self) -> Result<Vec<Json>, Refused> {
        let mut values = Values::of(self.house.as_ref());
        let open: Vec<(String, Clash)> = self.with_chart(|chart| {
            let open = chart.clashes().filter(|(_, clash)| !clash.is_settled);
            open.map(|(id, clash)| (id.to_owned(), clash.clone())).collect()
        })?;
        let mut rows = Vec::new();
        for (id, Clash { ours, core, .. }) in open {
            let found = values.named(&id)?;
            let line = found.as_ref().map(|found| found.line.as_str());
            let mut machines = self.house.machines().iter();
            let machine = machines.find(|one| Some(one.line.name.as_str()) == line);
            let patient = self.patient_in(&ours.patient);
            rows.push(json!({
                "id": format!("{CHARTED_TWICE}{id}"),
                "kind": "charted-twice",
                "device": machine.map(|machine| machine.id.as_str()),
                "from": found.as_ref().map(|found| utc_text(found.measured_us)),
                "until": null,
                "entries": ["core", "box"],
                "observation_id": id,
                "parameter": found.as_ref().and_then(|found| found.metric.get("parameter")),
                "patient_ref": patient.map(|patient| self.refs.name(&patient)),
                "act": ours.client_id,
                "box": ours.fate.as_str(),
                "core": core.fate.as_str(),
                "core_at": core.at,
            }));
        }
        Ok(rows)
    }

    /// What was confirmed here while the core was away, and has not gone out.
    fn recovery(&self) -> Result<Vec<Json>, Refused> {
        self.with_chart(|chart| {
            let rows = chart.held().map(|(client_id, known)| {
                let clashes = chart.clashes().filter(|(_, one)| one.ours.client_id == client_id);
                let patient = self.patient_in(&known.patient);
                let values = known.data.get("values").and_then(Json::as_array);
                let signed = values
                    .into_iter()
                    .flatten()
                    .filter(|value| value.get("act").and_then(Json::as_str) != Some("leave"));
                let entries = known.data.get("entries").and_then(Json::as_array);
                json!({
                    "act": client_id,
                    "confirmation": known.record,
                    "at": known.at,
                    "stated": known.data.get("stated"),
                    "patient_ref": patient.map(|patient| self.refs.name(&patient)),
                    "values": signed.count(),
                    "entries": entries.map_or(0, Vec::len),
                    "conflicts": clashes.count(),
                })
            });
            rows.collect()
        })
    }

    /// What was confirmed for a patient and, by what is known now, is not that patient's.
    fn disputed(&self) -> Result<Vec<Json>, Refused> {
        let confirmed: Vec<(String, Json, String)> = self.with_chart(|chart| {
            let is_confirmed = |one: &Charted| matches!(one.fate, Fate::Confirmed | Fate::Held);
            let confirmed = chart
                .values()
                .filter(|(_, one)| is_confirmed(one) && !(one.by_core && one.patient.is_null()));
            confirmed
                .map(|(id, one)| (id.to_owned(), one.patient.clone(), one.client_id.clone()))
                .collect()
        })?;
        let mut values = Values::of(self.house.as_ref());
        let mut rows = Vec::new();
        for (id, patient, client_id) in confirmed {
            let Some(found) = values.named(&id)? else { continue };
            let whose = values.whose(&found).map(|whose| super::patient_json(&whose.patient));
            if whose.is_none_or(|whose| whose != patient) {
                let device = &found.line;
                let measured = utc_text(found.measured_us);
                rows.push(json!({
                    "observation_id": id,
                    "act": client_id,
                    "device": device,
                    "measured": measured,
                }));
            }
        }
        Ok(rows)
    }
}
