//! What of a message is news for the ledger: a census says the same every night.

use super::AdtMessage;
use crate::association::entry::{By, Says};
use crate::association::ledger::Ledger;
use crate::association::names::EntryId;
use crate::association::register::{Row, Statement};
use crate::association::time::Utc;
use crate::vocabulary::Digest;

/// The rows and statements of a message. The same message again gives the same ids, so that it is
/// known; what the ledger says already is left out.
pub fn news(message: &AdtMessage, ledger: &Ledger) -> (Vec<Row>, Vec<Statement>) {
    let stated = message.stated;
    let persons = message.persons.iter();
    let rows = persons.map(|person| Row::Person { stated, person: person.clone() }).collect();
    let says = message.says.iter().filter(|says| !is_known(says, ledger, stated));
    let statements = says.filter_map(|says| {
        Some(Statement { id: id(says, stated)?, stated, by: By::Adt, says: says.clone() })
    });
    (rows, statements.collect())
}

/// By what is said and when, so that the ids of one feed and of two boxes are the same.
fn id(says: &Says, stated: Utc) -> Option<EntryId> {
    let said = serde_json::to_string(says).ok()?;
    let digest = Digest::of_parts(&["adt", &said, &stated.us().to_string()]);
    EntryId::parse(&format!("adt:{digest}")).ok()
}

fn is_known(says: &Says, ledger: &Ledger, stated: Utc) -> bool {
    let view = ledger.view(Utc::MAX);
    match says {
        Says::Merged { retired, surviving, .. } => {
            view.survivor(retired) == view.survivor(surviving)
        }
        Says::Movement { patient, encounter, presence, from, .. } => {
            let human = view.survivor(patient);
            let said = view.movements(&human).into_iter().any(|entry| entry.says == *says);
            let now = view.whereabouts(&human, stated.max(*from));
            // After a cancellation the same words are news.
            said && now.presence.as_ref() == Some(presence) && now.encounter == *encounter
        }
        Says::Plugged { .. }
        | Says::Unplugged { .. }
        | Says::Stands { .. }
        | Says::Associated { .. }
        | Says::SpotCheck { .. }
        | Says::Ended { .. }
        | Says::Seen { .. }
        | Says::Paused { .. }
        | Says::Resumed { .. }
        | Says::Cancelled { .. }
        | Says::Withdrawn { .. }
        | Says::Decided { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::event;
    use super::*;
    use crate::association::tests::{at, patient};

    /// Takes the news of a message; how many statements that were.
    fn take(ledger: &mut Ledger, message: &AdtMessage) -> usize {
        let statements = news(message, ledger).1;
        for statement in &statements {
            ledger.add(statement.clone().learned(message.stated)).unwrap();
        }
        statements.len()
    }

    #[test]
    fn the_same_message_and_a_nightly_census_are_no_news_and_a_correction_is() {
        let mut ledger = Ledger::default();
        let admitted = |minute| {
            let mut message = event("A01", minute, "A1", 1, "");
            // As PV1-44 would have it.
            if let Says::Movement { from, .. } = &mut message.says[0] {
                *from = at(9, 0);
            }
            message
        };
        assert_eq!(take(&mut ledger, &admitted(0)), 1);
        assert_eq!(take(&mut ledger, &admitted(0)), 0);
        assert_eq!(take(&mut ledger, &admitted(600)), 0);
        assert_eq!(take(&mut ledger, &event("A11", 620, "A1", 1, "")), 1);
        assert_eq!(take(&mut ledger, &admitted(640)), 1);
        assert_eq!(ledger.entries().count(), 3);
    }

    #[test]
    fn a_merge_is_told_once() {
        let mut ledger = Ledger::default();
        let merge = |minute| event("A40", minute, "A1", 1, "MRG|B2^^^A^PI\n");
        assert_eq!(take(&mut ledger, &merge(0)), 1);
        assert_eq!(take(&mut ledger, &merge(30)), 0);
        assert!(ledger.survivor(&patient("B2")) == patient("A1"));
        let (rows, _) = news(&merge(0), &ledger);
        assert_eq!(rows.len(), 1);
    }
}
