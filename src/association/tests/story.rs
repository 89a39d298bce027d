//! Found out at 10:40 that the pump moved at 09:55 (DESIGN 5).

use super::*;

/// On A1 since 08:00 by scan; at 10:40 a nurse at B2's bed scans B2 and the pump, and says that it
/// has been there since 09:55: the end and the new association, by one person at one time.
fn entries() -> [Entry; 3] {
    [
        entry("e1", at(8, 0), nurse(), associated("pump-4", "A1", at(8, 0))),
        entry("e2", at(10, 40), nurse(), ended("e1", at(9, 55))),
        entry("e3", at(10, 40), nurse(), associated("pump-4", "B2", at(9, 55))),
    ]
}

#[test]
fn before_it_was_known_the_values_were_the_first_patients() {
    let ledger = ledger(&entries());
    let at_ten = of_machine("pump-4", at(10, 0));
    assert_eq!(known(&ledger, &at_ten, at(10, 39)), Ok(patient("A1")));
    assert_eq!(known(&ledger, &at_ten, at(10, 40)), Ok(patient("B2")));
    assert_eq!(whose(&ledger, &of_machine("pump-4", at(9, 54))), Ok(patient("A1")));
    assert_eq!(whose(&ledger, &of_machine("pump-4", at(9, 55))), Ok(patient("B2")));
}

#[test]
fn the_end_withdraws_and_the_scan_files() {
    let [first, end, second] = entries();
    let mut known = ledger(&[first]);
    let moved = Span { from: at(9, 55), until: Some(at(8, 0).plus_s(86_400)) };
    let taken = known.changes(&end, at(10, 40));
    let [change] = taken.as_slice() else { panic!("{taken:?}") };
    assert_eq!((change.span, change.channel.as_ref()), (moved, None));
    assert_eq!(change.origin, Origin::Machine(machine("pump-4")));
    assert_eq!(change.before, Some(patient("A1")));
    assert_eq!(change.then, Then::Nobody(WhyNot::NotAssociated));
    assert_eq!(change.fate(Kept::Preliminary), Some(Fate::Withdrawn));
    assert_eq!(change.fate(Kept::Confirmed), Some(Fate::Disputed));
    known.add(end).unwrap();

    let given = known.changes(&second, at(10, 40));
    let [change] = given.as_slice() else { panic!("{given:?}") };
    assert_eq!(change.span.from, at(9, 55));
    assert_eq!((change.before.clone(), change.then.clone()), (None, Then::Filed(patient("B2"))));
    assert_eq!(change.fate(Kept::Confirmed), None);
}

#[test]
fn without_the_end_nothing_of_the_past_changes_and_the_rest_is_a_conflict() {
    let [first, end, second] = entries();
    let mut known = ledger(&[first]);
    // What is kept lies before 10:40: nothing of it changes hands.
    let later = known.changes(&second, at(10, 39));
    assert_eq!(later, []);
    known.add(second).unwrap();
    assert_eq!(whose(&known, &of_machine("pump-4", at(10, 0))), Ok(patient("A1")));
    assert_eq!(whose(&known, &of_machine("pump-4", at(10, 41))), Err(WhyNot::Conflict));
    assert_eq!(open(&known), [ConflictKind::TwoPatients, ConflictKind::LateClaim]);
    known.add(end).unwrap();
    assert_eq!(open(&known), []);
}

#[test]
fn a_wrong_patient_is_a_withdrawal_and_a_new_association() {
    let wrong = entry("e1", at(8, 0), nurse(), associated("pump-4", "A1", at(8, 0)));
    let known = ledger(&[wrong]);
    let withdrawal = entry("e2", at(8, 20), decider(), withdrawn("e1"));
    let changes = known.changes(&withdrawal, at(8, 20));
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((change.span.from, change.before.clone()), (at(8, 0), Some(patient("A1"))));
    let mut known = known;
    known.add(withdrawal).unwrap();
    let right = entry("e3", at(8, 20), nurse(), associated("pump-4", "B2", at(8, 0)));
    let changes = known.changes(&right, at(8, 20));
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].then, Then::Filed(patient("B2")));
    known.add(right).unwrap();
    let asked = of_machine("pump-4", at(8, 10));
    assert_eq!(super::known(&known, &asked, at(8, 19)), Ok(patient("A1")));
    assert_eq!(whose(&known, &asked), Ok(patient("B2")));
    // The history stays.
    assert_eq!(known.entries().count(), 3);
}
