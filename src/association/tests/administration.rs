//! Link 3 and what the patient administration may and may not do.

use super::*;

/// A1 admitted to icu/bed-1 at 07:00; on the pump by scan at 08:00.
fn admitted_and_scanned() -> Ledger {
    ledger(&[
        adt("m1", at(7, 0), moved("A1", Movement::Admission, present("icu/bed-1"), at(7, 0))),
        entry("a1", at(8, 0), nurse(), associated("pump-4", "A1", at(8, 0))),
    ])
}

fn adt(name: &str, time: Utc, says: Says) -> Entry {
    entry(name, time, By::Adt, says)
}

fn cancelled(who: &str, movement: Movement, at: Utc) -> Says {
    let encounter = Some(EncounterId::parse("E-1").unwrap());
    Says::Cancelled { patient: patient(who), encounter, movement, at }
}

fn merged(retired: &str, surviving: &str, at: Utc) -> Says {
    Says::Merged { retired: patient(retired), surviving: patient(surviving), at }
}

#[test]
fn an_admission_cancelled_by_mistake_and_corrected_after_20_minutes_withdraws_nothing() {
    let mut known = admitted_and_scanned();
    let cancel = adt("m2", at(10, 0), cancelled("A1", Movement::Admission, at(10, 0)));
    assert_eq!(known.changes(&cancel, at(10, 0)), []);
    assert_eq!(known.changes(&cancel, at(23, 0)), []);
    known.add(cancel).unwrap();
    assert_eq!(open(&known), [ConflictKind::AdministrativeEnd]);
    let held = known.attribute(&of_machine("pump-4", at(10, 10)), Utc::MAX).unwrap();
    assert_eq!((held.patient, held.in_census, held.encounter), (patient("A1"), false, None));

    let again = moved("A1", Movement::Admission, present("icu/bed-1"), at(10, 20));
    let again = adt("m3", at(10, 20), again);
    assert_eq!(known.changes(&again, at(10, 20)), []);
    known.add(again).unwrap();
    assert_eq!(open(&known), []);
    for minute in 0..180 {
        let value = of_machine("pump-4", at(8, minute));
        assert_eq!(whose(&known, &value), Ok(patient("A1")), "minute {minute}");
    }
    // It stays in the list, settled by the correction.
    let conflicts = known.conflicts(Utc::MAX);
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].settled_by, Some(id("m3")));
}

#[test]
fn a_discharge_ends_no_scan_and_asks_a_person() {
    let mut known = admitted_and_scanned();
    let left = moved("A1", Movement::Discharge, Presence::Left, at(9, 0));
    let mut discharge = adt("m2", at(9, 30), left);
    discharge.learned = at(9, 40);
    assert_eq!(known.changes(&discharge, at(9, 40)), []);
    known.add(discharge).unwrap();
    assert_eq!(whose(&known, &of_machine("pump-4", at(9, 35))), Ok(patient("A1")));
    assert_eq!(open(&known), [ConflictKind::AdministrativeEnd]);
    let kept =
        Says::Decided { holds: id("a1"), against: vec![id("m2")], reason: "still-here".to_owned() };
    let mut decided = known.clone();
    decided.add(entry("d1", at(9, 50), decider(), kept)).unwrap();
    assert_eq!(open(&decided), []);
    known.add(entry("e1", at(9, 50), decider(), ended("a1", at(9, 45)))).unwrap();
    assert_eq!(open(&known), []);
}

#[test]
fn a_cancelled_discharge_and_a_cancelled_transfer_restore_what_was_before() {
    let known = ledger(&[
        adt("m1", at(7, 0), moved("A1", Movement::Admission, present("icu/bed-1"), at(7, 0))),
        adt("m2", at(8, 0), moved("A1", Movement::Transfer, present("icu/bed-2"), at(8, 0))),
        adt("m3", at(9, 0), cancelled("A1", Movement::Transfer, at(9, 0))),
        adt("m4", at(10, 0), moved("A1", Movement::Discharge, Presence::Left, at(10, 0))),
        adt("m5", at(11, 0), cancelled("A1", Movement::Discharge, at(11, 0))),
        entry("a1", at(7, 30), nurse(), associated("pump-4", "A1", at(7, 30))),
    ]);
    let held = |hour| {
        let held = known.attribute(&of_machine("pump-4", at(hour, 30)), Utc::MAX).unwrap();
        (held.place.map(|place| place.as_str().to_owned()), held.in_census)
    };
    assert_eq!(held(7), (Some("icu/bed-1".to_owned()), true));
    assert_eq!(held(8), (Some("icu/bed-2".to_owned()), true));
    assert_eq!(held(9), (Some("icu/bed-1".to_owned()), true));
    assert_eq!(held(10), (None, false));
    assert_eq!(held(11), (Some("icu/bed-1".to_owned()), true));
}

#[test]
fn a_merge_changes_the_identifier_and_not_the_patient() {
    let mut known = admitted_and_scanned();
    let merge = adt("m2", at(9, 0), merged("A1", "A2", at(9, 0)));
    assert_eq!(known.changes(&merge, at(9, 0)), []);
    known.add(merge).unwrap();
    let before = of_machine("pump-4", at(8, 30));
    assert_eq!(super::known(&known, &before, at(8, 59)), Ok(patient("A1")));
    let held = known.attribute(&before, Utc::MAX).unwrap();
    assert_eq!((held.patient, held.in_census), (patient("A2"), true));
    // A scan of the other wristband is no conflict.
    known.add(entry("a2", at(9, 10), nurse(), associated("pump-4", "A2", at(9, 10)))).unwrap();
    assert_eq!(whose(&known, &of_machine("pump-4", at(9, 20))), Ok(patient("A2")));
    assert_eq!(open(&known), []);
}

#[test]
fn merges_go_on_turn_round_and_come_to_an_end() {
    let merge = |name: &str, hour, retired, surviving| {
        adt(name, at(hour, 0), merged(retired, surviving, at(hour, 0)))
    };
    let chain = ledger(&[merge("m2", 9, "A2", "A3"), merge("m1", 8, "A1", "A2")]);
    assert!(chain.survivor(&patient("A1")) == patient("A3"));
    let turned = ledger(&[merge("m1", 8, "A1", "A2"), merge("m2", 9, "A2", "A1")]);
    assert!(turned.survivor(&patient("A1")) == patient("A1"));
    assert!(turned.survivor(&patient("A2")) == patient("A1"));
    let circle = ledger(&[
        merge("m1", 8, "A1", "A2"),
        merge("m2", 9, "A2", "A3"),
        merge("m3", 9, "A3", "A1"),
    ]);
    for who in ["A1", "A2", "A3"] {
        assert!(circle.survivor(&patient(who)) == patient("A1"));
    }
}

/// Site that files by place for a fixed monitor in a one-patient room, and by the ventilator's own
/// admission if the census agrees.
fn site() -> Site {
    let policy: Policy = toml::from_str(
        "one_patient_places = [\"icu/bed-1\"]\n\
         [class]\n\
         bedside-monitor = [\"scan\", \"location-of-fixed-device\"]\n\
         ventilator = [\"scan\", \"device-admission-in-census\"]\n",
    )
    .unwrap();
    let monitor =
        |mobility| Machine { class: "bedside-monitor".to_owned(), mobility, ..Machine::default() };
    let ventilator = Machine { class: "ventilator".to_owned(), ..Machine::default() };
    let machines = [
        (machine("mon-1"), monitor(Mobility::Fixed)),
        (machine("mon-2"), monitor(Mobility::Travels)),
        (machine("mon-3"), monitor(Mobility::Fixed)),
        (machine("vent-1"), ventilator),
    ];
    Site { policy, machines: machines.into() }
}

fn stands(name: &str, device: &str, bed: &str) -> Entry {
    let (device, stand) = (machine(device), Stand::Place(place(bed)));
    entry(name, at(0, 0), By::Configuration, Says::Stands { device, stand, from: at(0, 0) })
}

#[test]
fn a_place_is_enough_only_for_a_fixed_device_alone_with_one_patient() {
    let mut known = with(
        site(),
        &[
            stands("s1", "mon-1", "icu/bed-1"),
            stands("s2", "mon-2", "icu/bed-1"),
            stands("s3", "mon-3", "icu/bed-2"),
            adt("m1", at(7, 0), moved("A1", Movement::Admission, present("icu/bed-1"), at(7, 0))),
            adt("m2", at(7, 0), moved("B2", Movement::Admission, present("icu/bed-2"), at(7, 0))),
        ],
    );
    let value = |device| of_machine(device, at(8, 0));
    assert_eq!(whose(&known, &of_machine("mon-1", at(6, 59))), Err(WhyNot::NotAssociated));
    assert_eq!(whose(&known, &value("mon-1")), Ok(patient("A1")));
    assert_eq!(whose(&known, &value("mon-2")), Err(WhyNot::NotEnough));
    assert_eq!(whose(&known, &value("mon-3")), Err(WhyNot::NotEnough));
    // Unseen for a day.
    assert_eq!(whose(&known, &of_machine("mon-1", at(31, 0))), Err(WhyNot::LimitPassed));
    // A second patient in the bed: nobody's.
    let second = moved("C3", Movement::Admission, present("icu/bed-1"), at(7, 30));
    known.add(adt("m3", at(7, 30), second)).unwrap();
    assert_eq!(whose(&known, &value("mon-1")), Err(WhyNot::NotAssociated));
}

#[test]
fn the_administration_closes_what_it_opened() {
    let mut known = with(
        site(),
        &[
            stands("s1", "mon-1", "icu/bed-1"),
            adt("m1", at(7, 0), moved("A1", Movement::Admission, present("icu/bed-1"), at(7, 0))),
        ],
    );
    let left = adt("m2", at(9, 30), moved("A1", Movement::Discharge, Presence::Left, at(9, 0)));
    let changes = known.changes(&left, at(9, 30));
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((change.span.from, change.before.clone()), (at(9, 0), Some(patient("A1"))));
    known.add(left).unwrap();
    assert_eq!(whose(&known, &of_machine("mon-1", at(9, 0))), Err(WhyNot::NotAssociated));
    // Found out later whose it was: by place it is only offered, by a scan it is filed.
    let other = moved("B2", Movement::Transfer, present("icu/bed-1"), at(9, 10));
    let by_place = known.changes(&adt("m3", at(9, 40), other), at(9, 40));
    assert_eq!(by_place[0].then, Then::Offered(patient("B2")));
    let scan = entry("a1", at(9, 40), nurse(), associated("mon-1", "B2", at(9, 10)));
    assert_eq!(known.changes(&scan, at(9, 40))[0].then, Then::Filed(patient("B2")));
}

#[test]
fn the_devices_own_admission_is_enough_only_while_the_census_agrees() {
    let known = with(
        site(),
        &[
            entry("d1", at(8, 0), By::Device, associated("vent-1", "A1", at(8, 0))),
            adt("m1", at(9, 0), moved("A1", Movement::Admission, present("icu/bed-1"), at(9, 0))),
            adt("m2", at(10, 0), moved("A1", Movement::Other, Presence::Away, at(10, 0))),
        ],
    );
    let value = |hour| whose(&known, &of_machine("vent-1", at(hour, 30)));
    assert_eq!(value(8), Err(WhyNot::NotEnough));
    assert_eq!(value(9), Ok(patient("A1")));
    assert_eq!(value(10), Err(WhyNot::NotEnough));
}

#[test]
fn another_patient_in_the_bed_is_shown_and_the_scan_holds() {
    let known = ledger(&[
        stands("s1", "pump-4", "icu/bed-1"),
        adt("m1", at(7, 0), moved("B2", Movement::Admission, present("icu/bed-1"), at(7, 0))),
        entry("a1", at(8, 0), nurse(), associated("pump-4", "A1", at(8, 0))),
    ]);
    assert_eq!(whose(&known, &of_machine("pump-4", at(9, 0))), Ok(patient("A1")));
    assert_eq!(open(&known), [ConflictKind::OtherPatientInPlace]);
}
