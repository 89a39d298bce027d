//! What became of values on the chart, as far as this box knows: by the observation id, so that no
//! value is offered, and none sent, twice. What both the box's page and the core's own app signed
//! is a clash that a person looks at.

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
    /// Confirmed here while the core was away; it goes to nobody before the core has told what its
    /// own app charted meanwhile, or a person has looked.
    Held,
}

impl Fate {
    /// The word in records and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Replaced => "replaced",
            Self::NeedsCountersign => "needs-countersign",
            Self::Held => "held",
        }
    }

    fn of_word(word: &str) -> Option<Self> {
        let all =
            [Self::Confirmed, Self::Rejected, Self::Replaced, Self::NeedsCountersign, Self::Held];
        all.into_iter().find(|one| one.as_str() == word)
    }

    /// Whether it is kept here and has been told to nobody.
    const fn is_kept_back(self) -> bool {
        matches!(self, Self::NeedsCountersign | Self::Held)
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
    /// The core's own app charted it.
    pub by_core: bool,
    /// The act that it stands in.
    pub client_id: String,
    /// The patient of the act, as it stands in its record; of the core's, whose the value was.
    pub patient: Json,
    /// When it was: of a set its time, of the core's when the person signed there.
    pub at: String,
}

/// A value that was signed here and in the core's own app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clash {
    pub ours: Charted,
    pub core: Charted,
    /// A person has looked, or has withdrawn what was signed here.
    pub is_settled: bool,
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
    /// It is kept until the core has told what its own app charted meanwhile.
    pub is_held: bool,
    /// The record of the act that stands for it: countersigned, or let go.
    pub replaced_by: Option<String>,
    /// What the act said, for those that stand for it.
    pub data: Map<String, Json>,
}

/// All of the last two days.
#[derive(Debug, Default)]
pub struct Chart {
    values: BTreeMap<String, Charted>,
    acts: BTreeMap<String, Known>,
    clashes: BTreeMap<String, Clash>,
    /// Up to when the core has told all that its own app charted; empty: never.
    told_through: String,
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

    /// An act by the phone's id or by its record.
    pub fn named(&self, name: &str) -> Option<(&str, &Known)> {
        self.acts().find(|(id, known)| *id == name || known.record == name)
    }

    /// The act that stands for one, through all that took its place.
    pub fn standing_for<'a>(&'a self, mut known: &'a Known) -> &'a Known {
        while let Some((_, next)) = known.replaced_by.as_deref().and_then(|next| self.named(next)) {
            known = next;
        }
        known
    }

    /// What is kept until the core has told, by client id.
    pub fn held(&self) -> impl Iterator<Item = (&str, &Known)> {
        self.acts().filter(|(_, one)| one.is_held && !one.is_withdrawn && !one.needs_countersign)
    }

    /// The values that were signed here and by the core, by observation id.
    pub fn clashes(&self) -> impl Iterator<Item = (&str, &Clash)> {
        self.clashes.iter().map(|(id, clash)| (id.as_str(), clash))
    }

    /// One of them.
    pub fn clash(&self, observation_id: &str) -> Option<&Clash> {
        self.clashes.get(observation_id)
    }

    /// Up to when the core has told all that its own app charted; empty: never.
    pub fn told_through(&self) -> &str {
        &self.told_through
    }

    /// Takes what stands in the record of an act. The same record again changes nothing.
    pub fn take(&mut self, record: &str, client_id: &str, data: &Map<String, Json>) {
        let text = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default();
        match text("act") {
            // It says again what its act says.
            "statement" => {}
            "withdraw" => self.withdraw(text("confirmation")),
            "settle-charted-twice" => {
                if let Some(clash) = self.clashes.get_mut(text("observation_id")) {
                    clash.is_settled = true;
                }
            }
            "charted-twice" => self.clashed(data),
            "charted-by-core" => {
                values_of(data).for_each(|value| self.core_says(client_id, value));
                if text("through") > self.told_through.as_str() {
                    text("through").clone_into(&mut self.told_through);
                }
            }
            act => self.signed(act, record, client_id, data),
        }
    }

    fn signed(&mut self, act: &str, record: &str, client_id: &str, data: &Map<String, Json>) {
        let text = |name: &str| data.get(name).and_then(Json::as_str);
        // What was written again before its record could be freed is the act that it was.
        let (record, client_id) = text("carries")
            .map_or((record, client_id), |id| (text("carried").unwrap_or(record), id));
        for before in ["countersigns", "releases"].into_iter().filter_map(text) {
            self.acts.entry(before.to_owned()).and_modify(|known| {
                known.needs_countersign = false;
                known.is_held = false;
                known.replaced_by = Some(record.to_owned());
            });
        }
        let needs_countersign = act == "confirm-by-student";
        let is_held = data.get("held").and_then(Json::as_bool) == Some(true);
        let at = text("at").unwrap_or_default().to_owned();
        let patient = data.get("patient").cloned().unwrap_or(Json::Null);
        let known = Known {
            record: record.to_owned(),
            by: data.get("by").and_then(|by| by.get("id")?.as_str()).unwrap_or_default().to_owned(),
            patient: patient.clone(),
            at: at.clone(),
            is_withdrawn: false,
            needs_countersign,
            is_held,
            replaced_by: None,
            data: data.clone(),
        };
        if self.acts.contains_key(client_id) {
            return;
        }
        self.acts.insert(client_id.to_owned(), known);
        for value in values_of(data) {
            let Some(fate) = part(value, "act").and_then(Fate::of_act) else { continue };
            let fate = if needs_countersign {
                Fate::NeedsCountersign
            } else if is_held && fate == Fate::Confirmed {
                Fate::Held
            } else {
                fate
            };
            let (client_id, patient) = (client_id.to_owned(), patient.clone());
            let ours = Charted { fate, by_core: false, client_id, patient, at: at.clone() };
            self.we_say(part(value, "observation_id").unwrap_or_default(), ours);
        }
    }

    /// What was signed here. What the core has charted stays the core's.
    fn we_say(&mut self, id: &str, ours: Charted) {
        match self.values.get(id).filter(|there| there.by_core) {
            Some(core) => {
                let clash = Clash { ours, core: core.clone(), is_settled: false };
                self.clashes.entry(id.to_owned()).or_insert(clash);
            }
            None => drop(self.values.insert(id.to_owned(), ours)),
        }
    }

    /// What the core's own app did: its newest word counts, in any order of arrival. What was
    /// signed here, too, is a clash; what has been told to nobody is the core's from then on.
    fn core_says(&mut self, client_id: &str, value: &Json) {
        let (Some(id), Some(fate)) =
            (part(value, "observation_id"), part(value, "act").and_then(Fate::of_act))
        else {
            return;
        };
        let core = Charted {
            fate,
            by_core: true,
            client_id: client_id.to_owned(),
            patient: value.get("patient").cloned().unwrap_or(Json::Null),
            at: part(value, "time").unwrap_or_default().to_owned(),
        };
        if let Some(clash) = self.clashes.get_mut(id)
            && clash.core.at <= core.at
        {
            clash.core = core.clone();
        }
        match self.values.get(id) {
            Some(there) if there.by_core && there.at > core.at => {}
            Some(there) if !there.by_core => {
                let agreed = (there.fate, core.fate) == (Fate::Rejected, Fate::Rejected);
                let is_kept_back = there.fate.is_kept_back();
                if !agreed {
                    let (ours, core) = (there.clone(), core.clone());
                    let clash = Clash { ours, core, is_settled: false };
                    self.clashes.entry(id.to_owned()).or_insert(clash);
                }
                if is_kept_back {
                    self.values.insert(id.to_owned(), core);
                }
            }
            Some(_) | None => drop(self.values.insert(id.to_owned(), core)),
        }
    }

    /// A clash that nobody has settled, written again before the records of it are let go.
    fn clashed(&mut self, data: &Map<String, Json>) {
        let text = |name: &str| data.get(name).and_then(Json::as_str).unwrap_or_default();
        let side = |by_core: bool, fate: &str, at: &str| {
            let fate = Fate::of_word(text(fate))?;
            let client_id = if by_core { "" } else { text("signed_by_act") };
            let patient = data.get("patient").cloned().unwrap_or(Json::Null);
            let (client_id, at) = (client_id.to_owned(), text(at).to_owned());
            Some(Charted { fate, by_core, client_id, patient, at })
        };
        let sides = side(false, "box", "box_at").zip(side(true, "core", "core_at"));
        let Some((ours, core)) = sides else { return };
        let id = text("observation_id");
        let there = if ours.fate.is_kept_back() { &core } else { &ours };
        self.values.entry(id.to_owned()).or_insert_with(|| there.clone());
        let clash = Clash { ours, core, is_settled: false };
        self.clashes.entry(id.to_owned()).or_insert(clash);
    }

    /// What was signed here is taken back; what the core charted besides is the core's.
    fn withdraw(&mut self, confirmation: &str) {
        let Some((client_id, known)) =
            self.acts.iter_mut().find(|(_, known)| known.record == confirmation)
        else {
            return;
        };
        known.is_withdrawn = true;
        let client_id = client_id.clone();
        self.values.retain(|_, charted| charted.by_core || charted.client_id != client_id);
        for (id, clash) in &mut self.clashes {
            if clash.ours.client_id == client_id {
                clash.is_settled = true;
                self.values.entry(id.clone()).or_insert_with(|| clash.core.clone());
            }
        }
    }
}

fn values_of(data: &Map<String, Json>) -> impl Iterator<Item = &Json> {
    data.get("values").and_then(Json::as_array).into_iter().flatten()
}

fn part<'a>(value: &'a Json, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Json::as_str)
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

    fn ours(word: &str, more: Json, id: &str) -> Map<String, Json> {
        let values = json!([{"observation_id": id, "act": word}]);
        let mut all = data(json!({"act": "confirm", "values": values, "at": "T1"}));
        all.extend(data(more));
        all
    }

    fn core(word: &str, id: &str, time: &str) -> Map<String, Json> {
        let values = json!([{"observation_id": id, "act": word, "time": time}]);
        data(json!({"act": "charted-by-core", "values": values}))
    }

    #[test]
    fn what_was_held_and_charted_by_the_core_is_the_cores_and_a_clash() {
        let held = ours("confirm", json!({"held": true}), "a-1.0");
        let theirs = core("confirmed", "a-1.0", "T2");
        for order in [[0, 1], [1, 0]] {
            let mut chart = Chart::default();
            for which in order {
                match which {
                    0 => chart.take("a-9", "c-1", &held),
                    _ => chart.take("a-8", "core-1", &theirs),
                }
            }
            let charted = chart.of("a-1.0").unwrap();
            assert!(charted.by_core && charted.fate == Fate::Confirmed, "{order:?}");
            assert_eq!(chart.clash("a-1.0").unwrap().ours.fate, Fate::Held, "{order:?}");
            assert_eq!(chart.clashes().count(), 1);
            // The same again, and a person who has looked.
            chart.take("a-8", "core-1", &theirs);
            let settled = json!({"act": "settle-charted-twice", "observation_id": "a-1.0"});
            chart.take("a-10", "s-1", &data(settled));
            chart.take("a-8", "core-1", &theirs);
            chart.take("a-9", "c-1", &held);
            assert!(chart.clash("a-1.0").unwrap().is_settled, "{order:?}");
        }
    }

    #[test]
    fn a_clash_that_is_written_again_is_the_same() {
        let mut chart = Chart::default();
        let carried = json!({"act": "charted-twice", "observation_id": "a-1.0", "box": "held",
            "box_at": "T1", "core": "rejected", "core_at": "T2", "signed_by_act": "c-1"});
        chart.take("a-30", "twice:1", &data(carried.clone()));
        chart.take("a-31", "twice:2", &data(carried));
        let clash = chart.clash("a-1.0").unwrap();
        assert_eq!((clash.ours.fate, clash.core.fate), (Fate::Held, Fate::Rejected));
        assert_eq!((clash.ours.client_id.as_str(), clash.is_settled), ("c-1", false));
        assert!(chart.of("a-1.0").unwrap().by_core);
        assert_eq!(chart.clashes().count(), 1);
    }

    #[test]
    fn what_went_out_stays_ours_until_it_is_withdrawn() {
        let mut chart = Chart::default();
        chart.take("a-9", "c-1", &ours("confirm", json!({}), "a-1.0"));
        chart.take("a-10", "core-1", &core("rejected", "a-1.0", "T2"));
        assert!(!chart.of("a-1.0").unwrap().by_core);
        assert_eq!(chart.clash("a-1.0").unwrap().core.fate, Fate::Rejected);
        chart.take("a-11", "c-2", &data(json!({"act": "withdraw", "confirmation": "a-9"})));
        assert!(chart.clash("a-1.0").unwrap().is_settled);
        let charted = chart.of("a-1.0").unwrap();
        assert_eq!((charted.by_core, charted.fate), (true, Fate::Rejected));
    }

    #[test]
    fn the_cores_newest_word_counts_in_any_order() {
        let words = [core("confirmed", "a-1.0", "T1"), core("replaced", "a-1.0", "T2")];
        for order in [[0, 1], [1, 0]] {
            let mut chart = Chart::default();
            for which in order {
                chart.take("a-9", &format!("core-{which}"), &words[which]);
            }
            assert_eq!(chart.of("a-1.0").unwrap().fate, Fate::Replaced, "{order:?}");
            assert_eq!(chart.clashes().count(), 0);
        }
    }

    #[test]
    fn what_is_let_go_stands_for_what_was_held() {
        let mut chart = Chart::default();
        let held = ours("confirm", json!({"held": true}), "a-1.0");
        chart.take("a-9", "c-1", &held);
        assert_eq!(chart.of("a-1.0").unwrap().fate, Fate::Held);
        // Written again, it is the same act.
        let mut carried = held.clone();
        carried.extend(data(json!({"carries": "c-1", "carried": "a-9"})));
        chart.take("a-20", "carried:1", &carried);
        let mut anew = Chart::default();
        anew.take("a-20", "carried:1", &carried);
        for mut chart in [chart, anew] {
            let held: Vec<&str> = chart.held().map(|(id, _)| id).collect();
            assert_eq!(held, ["c-1"]);
            assert_eq!(chart.act("c-1").unwrap().record, "a-9");
            chart.take("a-21", "r-1", &ours("confirm", json!({"releases": "c-1"}), "a-1.0"));
            assert_eq!(chart.held().count(), 0);
            assert_eq!(chart.of("a-1.0").unwrap().fate, Fate::Confirmed);
            assert_eq!(chart.standing_for(chart.act("c-1").unwrap()).record, "a-21");
        }
    }
}
