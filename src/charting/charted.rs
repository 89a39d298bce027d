//! What became of values on the chart, as far as this box knows: by the observation id, so that no
//! value is offered, and none sent, twice.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

/// What became of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A person judged that it represents the patient.
    Confirmed,
    /// A person judged that it does not.
    Rejected,
    /// The core's own app has another value for it.
    Replaced,
    /// A student confirmed it, and nobody who may has signed yet.
    NeedsCountersign,
}

impl Fate {
    /// The word in records and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
            Self::NeedsCountersign => "needs-countersign",
        }
    }

    fn of_act(act: &str) -> Option<Self> {
        match act {
            "confirm" | "confirmed" => Some(Self::Confirmed),
            "reject" | "rejected" => Some(Self::Rejected),
            "replaced" => Some(Self::Replaced),
            _ => None,
        }
    }
}

/// What is known of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charted {
    pub fate: Fate,
    /// The act that it stands in; the core's own charting has none.
    pub client_id: String,
    /// The patient of the act, as it stands in its record.
    pub patient: Json,
}

/// One act, as far as others lean on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub record: String,
    pub by: String,
    pub patient: Json,
    pub at: String,
    pub is_withdrawn: bool,
    pub needs_countersign: bool,
    /// What the act said, for a countersignature.
    pub data: Map<String, Json>,
}

/// All of the last two days.
#[derive(Debug, Default)]
pub struct Chart {
    values: BTreeMap<String, Charted>,
    acts: BTreeMap<String, Known>,
}

impl Chart {
    /// What became of a value.
    pub fn of(&self, observation_id: &str) -> Option<&Charted> {
        self.values.get(observation_id)
    }

    /// The values, by observation id.
    pub fn values(&self) -> impl Iterator<Item = (&str, &Charted)> {
        self.values.iter().map(|(id, charted)| (id.as_str(), charted))
    }

    /// The acts, by client id.
    pub fn acts(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.acts.iter().map(|(id, known)| (id.as_str(), known))
    }

    /// An act by the id that the phone gave it.
    pub fn act(&self, client_id: &str) -> Option<&Known> {
        self.acts.get(client_id)
    }

    /// Takes what stands in the record of an act. The same record again changes nothing.
    pub fn take(&mut self, record: &str, client_id: &str, data: &Map<String, Json>) {
        let text = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default();
        let act = text("act");
        if act == "statement" {
            // It says again what its act says.
            return;
        }
        if act == "withdraw" {
            return self.withdraw(text("confirmation"));
        }
        let needs_countersign = act == "confirm-by-student";
        if act == "countersign" {
            self.acts.entry(text("countersigns").to_owned()).and_modify(|known| {
                known.needs_countersign = false;
            });
        }
        let patient = data.get("patient").cloned().unwrap_or(Json::Null);
        for value in data.get("values").and_then(Json::as_array).into_iter().flatten() {
            let part = |name: &str| value.get(name).and_then(Json::as_str).unwrap_or_default();
            let Some(fate) = Fate::of_act(part("act")) else { continue };
            let fate = if needs_countersign { Fate::NeedsCountersign } else { fate };
            let charted =
                Charted { fate, client_id: client_id.to_owned(), patient: patient.clone() };
            self.values.insert(part("observation_id").to_owned(), charted);
        }
        let known = Known {
            record: record.to_owned(),
            by: data.get("by").and_then(|by| by.get("id")?.as_str()).unwrap_or_default().to_owned(),
            patient,
            at: text("at").to_owned(),
            is_withdrawn: false,
            needs_countersign,
            data: data.clone(),
        };
        self.acts.entry(client_id.to_owned()).or_insert(known);
    }

    fn withdraw(&mut self, confirmation: &str) {
        let Some((client_id, known)) =
            self.acts.iter_mut().find(|(_, known)| known.record == confirmation)
        else {
            return;
        };
        known.is_withdrawn = true;
        let client_id = client_id.clone();
        self.values.retain(|_, charted| charted.client_id != client_id);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn data(value: Json) -> Map<String, Json> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn confirmed_withdrawn_and_confirmed_anew() {
        let mut chart = Chart::default();
        let values = json!([{"observation_id": "a-1.0", "act": "confirm"},
                            {"observation_id": "a-1.1", "act": "reject"},
                            {"observation_id": "a-1.2", "act": "leave"}]);
        let act = data(json!({"act": "confirm", "values": values, "by": {"id": "n-1"}}));
        chart.take("a-9", "c-1", &act);
        chart.take("a-9", "c-1", &act);
        let fate = |chart: &Chart, id: &str| chart.of(id).map(|one| one.fate);
        assert_eq!(fate(&chart, "a-1.0"), Some(Fate::Confirmed));
        assert_eq!(fate(&chart, "a-1.1"), Some(Fate::Rejected));
        assert_eq!(fate(&chart, "a-1.2"), None);
        chart.take("a-10", "c-2", &data(json!({"act": "withdraw", "confirmation": "a-9"})));
        assert_eq!(fate(&chart, "a-1.0"), None);
        assert!(chart.act("c-1").unwrap().is_withdrawn);
        chart.take("a-11", "c-3", &act);
        assert_eq!(fate(&chart, "a-1.0"), Some(Fate::Confirmed));
    }

    #[test]
    fn a_students_confirmation_waits_for_another_hand() {
        let mut chart = Chart::default();
        let values = json!([{"observation_id": "a-1.0", "act": "confirm"}]);
        let act = |word: &str| data(json!({"act": word, "values": values, "countersigns": "c-1"}));
        chart.take("a-9", "c-1", &act("confirm-by-student"));
        assert_eq!(chart.of("a-1.0").unwrap().fate, Fate::NeedsCountersign);
        assert!(chart.act("c-1").unwrap().needs_countersign);
        chart.take("a-10", "c-2", &act("countersign"));
        assert_eq!(chart.of("a-1.0").unwrap().fate, Fate::Confirmed);
        assert!(!chart.act("c-1").unwrap().needs_countersign);
    }
}
