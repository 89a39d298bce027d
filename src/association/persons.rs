//! Name, birth date, sex and protection mark of the patients that the patient administration told
//! of: what a nurse compares with the wristband. Where they are stands in the ledger.
//!
//! Each field has what was stated last, whatever order it came in. After a merge all identifiers of
//! a human answer the same, so nothing is moved then.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::adt::{Person, Stated};
use super::entry::{Presence, Says};
use super::ledger::{Ledger, Taken};
use super::time::Utc;
use crate::vocabulary::PatientId;

/// How much later the same words must be to be news: that the person is still spoken of.
const STILL_SPOKEN_OF_S: i64 = 3600;

/// One field: what was said last, and when. Nothing if it was deleted.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Field<T> {
    stated: Option<Utc>,
    value: Option<T>,
}

impl<T: Clone + Ord> Field<T> {
    /// Of two things stated at one time the greater, so that no order of arrival chooses.
    fn take(&mut self, stated: Utc, value: Option<T>) -> bool {
        let news = Self { stated: Some(stated), value };
        let is_news = news > *self;
        if is_news {
            *self = news;
        }
        is_news
    }
}

/// What is kept of one identifier.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: Field<String>,
    birth_date: Field<String>,
    sex: Field<String>,
    protected: Field<bool>,
    /// When the person was last spoken of.
    heard: Utc,
}

/// What is known of a person. `Debug` shows none of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KnownPerson {
    /// Family and given names.
    pub name: Option<String>,
    /// As sent: `19730811`.
    pub birth_date: Option<String>,
    /// As sent.
    pub sex: Option<String>,
    /// The protection mark; without a word of it nothing is known.
    pub protected: Option<bool>,
}

impl fmt::Debug for KnownPerson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownPerson(..)")
    }
}

/// All of them. `Debug` shows how many.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<(PatientId, Kept)>", from = "Vec<(PatientId, Kept)>")]
pub struct Persons {
    of: BTreeMap<PatientId, Kept>,
}

impl From<Vec<(PatientId, Kept)>> for Persons {
    fn from(persons: Vec<(PatientId, Kept)>) -> Self {
        Self { of: persons.into_iter().collect() }
    }
}

impl From<Persons> for Vec<(PatientId, Kept)> {
    fn from(persons: Persons) -> Self {
        persons.of.into_iter().collect()
    }
}

impl fmt::Debug for Persons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Persons({})", self.of.len())
    }
}

impl Ledger {
    /// The patients who are here by the patient administration, as known now.
    pub fn present(&self) -> BTreeSet<PatientId> {
        let view = self.view(Utc::MAX);
        let moved = self.entries().filter_map(|entry| {
            let Says::Movement { patient, .. } = &entry.says else { return None };
            Some(view.survivor(patient))
        });
        let mut present: BTreeSet<PatientId> = moved.collect();
        present.retain(|human| view.whereabouts(human, Utc::MAX).is_present());
        present
    }
}

impl Persons {
    /// Whether taking this would change anything.
    pub fn is_news(&self, person: &Person, stated: Utc) -> bool {
        let kept = self.of.get_key_value(&person.patient);
        let kept = kept.map(|(patient, kept)| (patient.clone(), kept.clone()));
        let mut alone = Self { of: kept.into_iter().collect() };
        alone.take(person, stated) == Taken::New
    }

    /// Takes what was stated of a person at a time.
    pub fn take(&mut self, person: &Person, stated: Utc) -> Taken {
        let unheard = Kept {
            name: Field::default(),
            birth_date: Field::default(),
            sex: Field::default(),
            protected: Field { stated: None, value: None },
            heard: Utc::MIN,
        };
        let kept = self.of.entry(person.patient.clone()).or_insert(unheard);
        let mut news = stated > kept.heard.plus_s(STILL_SPOKEN_OF_S);
        kept.heard = kept.heard.max(stated);
        let fields = [
            (&mut kept.name, &person.name),
            (&mut kept.birth_date, &person.birth_date),
            (&mut kept.sex, &person.sex),
        ];
        for (field, said) in fields {
            news |= match said {
                Stated::Nothing => false,
                Stated::Deleted => field.take(stated, None),
                Stated::Value(text) => field.take(stated, Some(text.clone())),
            };
        }
        if let Some(protected) = person.protected {
            news |= kept.protected.take(stated, Some(protected));
        }
        if news { Taken::New } else { Taken::Known }
    }

    /// What is known of the human with this identifier, under any identifier; `None` if the patient
    /// administration never told of one.
    pub fn known(&self, patient: &PatientId, ledger: &Ledger) -> Option<KnownPerson> {
        let view = ledger.view(Utc::MAX);
        let identifiers = view.identifiers(&view.survivor(patient));
        let kept: Vec<&Kept> = identifiers.iter().filter_map(|id| self.of.get(id)).collect();
        if kept.is_empty() {
            return None;
        }
        let last = |field: fn(&Kept) -> &Field<String>| {
            kept.iter().map(|kept| field(kept)).max().and_then(|field| field.value.clone())
        };
        let protected = kept.iter().map(|kept| &kept.protected).max();
        Some(KnownPerson {
            name: last(|kept| &kept.name),
            birth_date: last(|kept| &kept.birth_date),
            sex: last(|kept| &kept.sex),
            protected: protected.and_then(|field| field.value),
        })
    }

    /// How many identifiers are kept.
    pub fn count(&self) -> usize {
        self.of.len()
    }

    /// Lets go of persons who are not here and on no device, when nothing was said of them since.
    pub fn forget(&mut self, before: Utc, ledger: &Ledger) {
        let view = ledger.view(Utc::MAX);
        let on_device = ledger.entries().filter(|entry| view.counts(entry)).filter_map(|entry| {
            let Says::Associated { patient, span, .. } = &entry.says else { return None };
            let until = view.span_of(entry, *span).until;
            until.is_none_or(|until| until >= before).then(|| view.survivor(patient))
        });
        let on_device: BTreeSet<PatientId> = on_device.collect();
        self.of.retain(|patient, kept| {
            let human = view.survivor(patient);
            let here = match view.whereabouts(&human, Utc::MAX).presence {
                Some(Presence::Present { .. } | Presence::Away) => true,
                Some(Presence::Left) | None => false,
            };
            let moved = view.movements(&human).last().and_then(|last| last.says.movement_time());
            let lately = kept.heard.max(moved.unwrap_or(Utc::MIN)) >= before;
            here || lately || on_device.contains(&human)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::association::entry::{By, Movement};
    use crate::association::tests as ward;
    use crate::association::tests::{at, patient};

    fn said(who: &str, name: Stated, protected: Option<bool>) -> Person {
        let (birth_date, sex) = (Stated::Value("19730811".to_owned()), Stated::Nothing);
        Person { patient: patient(who), name, birth_date, sex, protected }
    }

    fn value(text: &str) -> Stated {
        Stated::Value(text.to_owned())
    }

    #[test]
    fn each_field_has_what_was_stated_last_in_any_order() {
        let words = [
            (said("A1", value("ZZZ AAA"), None), at(8, 0)),
            (said("A1", value("ZZZ BBB"), Some(true)), at(9, 0)),
            (said("A1", Stated::Nothing, None), at(10, 0)),
        ];
        let ledger = Ledger::default();
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
            let mut persons = Persons::default();
            for index in order {
                let (person, stated) = &words[index];
                persons.take(person, *stated);
                assert_eq!(persons.take(person, *stated), Taken::Known);
            }
            let known = persons.known(&patient("A1"), &ledger).unwrap();
            assert_eq!(known.name.as_deref(), Some("ZZZ BBB"));
            assert_eq!((known.protected, known.sex), (Some(true), None));
        }
        let mut persons = Persons::default();
        persons.take(&words[0].0, at(8, 0));
        persons.take(&said("A1", Stated::Deleted, None), at(9, 0));
        assert_eq!(persons.known(&patient("A1"), &ledger).unwrap().name, None);
        assert!(persons.known(&patient("B2"), &ledger).is_none());
    }

    #[test]
    fn after_a_merge_both_identifiers_are_one_person() {
        let mut persons = Persons::default();
        persons.take(&said("A1", value("ZZZ AAA"), Some(true)), at(8, 0));
        persons.take(&said("B2", value("ZZZ BBB"), None), at(9, 0));
        let merged =
            Says::Merged { retired: patient("A1"), surviving: patient("B2"), at: at(10, 0) };
        let ledger = ward::ledger(&[ward::entry("m1", at(10, 0), By::Adt, merged)]);
        for who in ["A1", "B2"] {
            let known = persons.known(&patient(who), &ledger).unwrap();
            assert_eq!(known.name.as_deref(), Some("ZZZ BBB"));
            // Nobody took the mark away.
            assert_eq!(known.protected, Some(true));
        }
    }

    #[test]
    fn who_left_is_forgotten_after_the_hours_and_who_is_on_a_device_is_not() {
        let mut persons = Persons::default();
        for who in ["A1", "B2", "C3", "D4"] {
            persons.take(&said(who, value("ZZZ AAA"), None), at(8, 0));
        }
        let left = ward::moved("A1", Movement::Discharge, Presence::Left, at(9, 0));
        let here = ward::moved("B2", Movement::Admission, ward::present("icu/bed-1"), at(9, 0));
        let scan = ward::associated("pump-4", "C3", at(9, 0));
        let ledger = ward::ledger(&[
            ward::entry("m1", at(9, 0), By::Adt, left),
            ward::entry("m2", at(9, 0), By::Adt, here),
            ward::entry("a1", at(9, 0), ward::nurse(), scan),
        ]);
        persons.forget(at(8, 30), &ledger);
        // D4 was never here, and nothing was said since.
        assert_eq!(persons.count(), 3);
        persons.forget(at(9, 30), &ledger);
        assert_eq!(persons.count(), 2);
        assert!(persons.known(&patient("A1"), &ledger).is_none());
    }

    #[test]
    fn it_survives_a_checkpoint_and_shows_nothing() {
        let mut persons = Persons::default();
        persons.take(&said("A1", value("ZZZ AAA"), Some(false)), at(8, 0));
        let text = serde_json::to_string(&persons).unwrap();
        let read: Persons = serde_json::from_str(&text).unwrap();
        assert!(read == persons);
        let known = read.known(&patient("A1"), &Ledger::default());
        assert_eq!(format!("{read:?} {known:?}"), "Persons(1) Some(KnownPerson(..))");
    }
}
