//! Link 2: scans, ends, pauses, limits, channels, racks, spot checks.

use super::*;

fn scanned(device: &str, on: &str) -> Entry {
    entry("a1", at(8, 0), nurse(), associated(device, on, at(8, 0)))
}

fn paused(name: &str, why: Pause, time: Utc, by: By) -> Entry {
    entry(name, time, by, Says::Paused { device: machine("pump-4"), why, at: time })
}

fn resumed(name: &str, time: Utc, by: By) -> Entry {
    entry(name, time, by, Says::Resumed { device: machine("pump-4"), at: time })
}

#[test]
fn nothing_is_anybodys_without_a_scan() {
    let asked = of_machine("pump-4", at(9, 0));
    assert_eq!(whose(&ledger(&[]), &asked), Err(WhyNot::NotAssociated));
    let device = entry("d1", at(8, 0), By::Device, associated("pump-4", "A1", at(8, 0)));
    let known = ledger(&[device]);
    let nobody = known.attribute(&asked, Utc::MAX).unwrap_err();
    assert_eq!((nobody.why, nobody.proposal), (WhyNot::NotEnough, Some(patient("A1"))));
    assert_eq!(nobody.entries, [id("d1")]);
}

#[test]
fn a_scan_is_enough_and_says_on_what_it_rests() {
    let held = ledger(&[scanned("pump-4", "A1")]);
    let held = held.attribute(&of_machine("pump-4", at(9, 0)), Utc::MAX).unwrap();
    assert_eq!((held.grade.as_str(), held.entries), ("scan", vec![id("a1")]));
    assert!(!held.in_census && held.encounter.is_none());
}

#[test]
fn the_whole_uncertainty_must_lie_inside_one_association() {
    let end = entry("e1", at(10, 0), nurse(), ended("a1", at(10, 0)));
    let next = entry("a2", at(10, 0), nurse(), associated("pump-4", "B2", at(10, 0)));
    let known = ledger(&[scanned("pump-4", "A1"), end, next]);
    let around = |centre: Utc, seconds: u32| Asked {
        at: Around::give_or_take(centre, seconds * 1_000_000),
        ..of_machine("pump-4", centre)
    };
    let before = at(10, 0).plus_s(-30);
    assert_eq!(whose(&known, &around(before, 29)), Ok(patient("A1")));
    assert_eq!(whose(&known, &around(before, 30)), Err(WhyNot::TimeSpansHandover));
    assert_eq!(whose(&known, &around(at(10, 1), 60)), Ok(patient("B2")));
    assert_eq!(whose(&known, &around(at(10, 1), 61)), Err(WhyNot::TimeSpansHandover));
    assert_eq!(whose(&known, &around(at(8, 0), 1)), Err(WhyNot::TimeSpansHandover));
    assert_eq!(whose(&known, &around(at(7, 0), 1)), Err(WhyNot::NotAssociated));
}

#[test]
fn of_two_ends_the_first_counts_until_it_is_withdrawn() {
    let mut known = ledger(&[
        scanned("pump-4", "A1"),
        entry("e1", at(11, 0), nurse(), ended("a1", at(11, 0))),
        entry("e2", at(12, 0), nurse(), ended("a1", at(10, 0))),
    ]);
    let value = of_machine("pump-4", at(10, 30));
    assert_eq!(whose(&known, &value), Err(WhyNot::NotAssociated));
    assert_eq!(super::known(&known, &value, at(11, 30)), Ok(patient("A1")));
    known.add(entry("w1", at(12, 10), decider(), withdrawn("e2"))).unwrap();
    assert_eq!(whose(&known, &value), Ok(patient("A1")));
    assert_eq!(whose(&known, &of_machine("pump-4", at(11, 0))), Err(WhyNot::NotAssociated));
}

#[test]
fn silence_suspends_until_the_device_speaks_and_never_ends() {
    let known = ledger(&[
        scanned("pump-4", "A1"),
        paused("s1", Pause::Silence, at(9, 0), By::Box),
        resumed("s2", at(9, 30), By::Box),
    ]);
    let hour = |minute| whose(&known, &of_machine("pump-4", at(9, minute)));
    assert_eq!(hour(15), Err(WhyNot::Suspended));
    assert_eq!(hour(30), Ok(patient("A1")));
}

#[test]
fn standby_and_a_new_patient_on_the_device_wait_for_a_person() {
    for why in [Pause::Standby, Pause::DischargedOnDevice, Pause::NewPatientOnDevice] {
        let mut known = ledger(&[
            scanned("pump-4", "A1"),
            paused("s1", why, at(9, 0), By::Device),
            paused("s2", Pause::Silence, at(9, 5), By::Box),
            resumed("s3", at(9, 10), By::Device),
        ]);
        let value = of_machine("pump-4", at(9, 40));
        assert_eq!(whose(&known, &value), Err(WhyNot::Suspended));
        let seen = Says::Seen { association: id("a1"), at: at(9, 30) };
        known.add(entry("s4", at(9, 30), decider(), seen)).unwrap();
        assert_eq!(whose(&known, &value), Ok(patient("A1")));
        assert_eq!(whose(&known, &of_machine("pump-4", at(9, 20))), Err(WhyNot::Suspended));
    }
}

#[test]
fn nothing_lasts_unseen_for_longer_than_the_limit() {
    let mut known = ledger(&[scanned("pump-4", "A1")]);
    let value = |hour, minute| of_machine("pump-4", at(hour, minute));
    assert_eq!(whose(&known, &value(31, 59)), Ok(patient("A1")));
    assert_eq!(whose(&known, &value(32, 0)), Err(WhyNot::LimitPassed));
    let seen = Says::Seen { association: id("a1"), at: at(40, 0) };
    known.add(entry("s1", at(40, 0), decider(), seen.clone())).unwrap();
    assert_eq!(whose(&known, &value(39, 59)), Err(WhyNot::LimitPassed));
    assert_eq!(whose(&known, &value(40, 0)), Ok(patient("A1")));
    assert_eq!(whose(&known, &value(64, 0)), Err(WhyNot::LimitPassed));
    // What the box sees is not what a person sees.
    known.add(entry("s2", at(65, 0), By::Box, seen)).unwrap();
    assert_eq!(whose(&known, &value(65, 1)), Err(WhyNot::LimitPassed));
    // And what has passed stands in nobody's way.
    known.add(entry("a2", at(70, 0), nurse(), associated("pump-4", "B2", at(70, 0)))).unwrap();
    assert_eq!(whose(&known, &value(71, 0)), Ok(patient("B2")));
}

#[test]
fn a_late_scan_gets_the_time_in_which_nobody_else_had_the_device() {
    let known = ledger(&[
        scanned("pump-4", "A1"),
        entry("e1", at(9, 0), nurse(), ended("a1", at(9, 0))),
        // "Since 08:30", said at 11:00.
        entry("a2", at(11, 0), nurse(), associated("pump-4", "B2", at(8, 30))),
    ]);
    let value = |hour, minute| whose(&known, &of_machine("pump-4", at(hour, minute)));
    assert_eq!(value(8, 45), Ok(patient("A1")));
    assert_eq!(value(9, 0), Ok(patient("B2")));
    assert_eq!(value(12, 0), Ok(patient("B2")));
    assert_eq!(open(&known), [ConflictKind::LateClaim]);
}

#[test]
fn a_late_scan_reaches_no_further_back_than_a_claim_may_last() {
    let known = ledger(&[entry("a1", at(40, 0), nurse(), associated("pump-4", "A1", at(8, 0)))]);
    let value = |hour, minute| whose(&known, &of_machine("pump-4", at(hour, minute)));
    assert_eq!(value(16, 0), Err(WhyNot::LimitPassed));
    assert_eq!(value(16, 1), Ok(patient("A1")));
    assert_eq!(value(39, 0), Ok(patient("A1")));
    let around = Around { earliest: at(15, 0), latest: at(17, 0) };
    let asked = Asked { at: around, ..of_machine("pump-4", at(16, 0)) };
    assert_eq!(whose(&known, &asked), Err(WhyNot::TimeSpansHandover));
}

#[test]
fn two_late_scans_for_the_same_time_are_a_conflict() {
    let known = ledger(&[
        entry("a1", at(10, 0), nurse(), associated("pump-4", "A1", at(8, 0))),
        entry("e1", at(10, 5), nurse(), ended("a1", at(10, 5))),
        entry("a2", at(11, 0), nurse(), associated("pump-4", "B2", at(9, 0))),
    ]);
    let value = |hour, minute| whose(&known, &of_machine("pump-4", at(hour, minute)));
    assert_eq!(value(8, 30), Ok(patient("A1")));
    assert_eq!(value(9, 30), Err(WhyNot::Conflict));
    assert_eq!(value(10, 3), Ok(patient("A1")));
    assert_eq!(value(10, 30), Ok(patient("B2")));
}

#[test]
fn two_scans_are_a_conflict_until_a_person_decides() {
    let mut known = ledger(&[
        scanned("pump-4", "A1"),
        entry("a2", at(9, 0), nurse(), associated("pump-4", "B2", at(9, 0))),
    ]);
    let value = of_machine("pump-4", at(9, 30));
    assert_eq!(whose(&known, &value), Err(WhyNot::Conflict));
    assert_eq!(open(&known), [ConflictKind::TwoPatients]);
    let decision = |holds: &str, falls: &str| Says::Decided {
        holds: id(holds),
        against: vec![id(falls)],
        reason: "seen-at-the-bed".to_owned(),
    };
    assert_eq!(
        known.add(entry("x", at(9, 40), By::Adt, decision("a2", "a1"))),
        Err(EntryRefused::NotAPerson)
    );
    known.add(entry("d1", at(9, 40), decider(), decision("a2", "a1"))).unwrap();
    assert_eq!(whose(&known, &value), Ok(patient("B2")));
    // Before the second scan the first was right.
    assert_eq!(whose(&known, &of_machine("pump-4", at(8, 30))), Ok(patient("A1")));
    assert_eq!(open(&known), []);
    assert!(known.conflicts(Utc::MAX).iter().any(|one| one.kind == ConflictKind::Decided));
    // A decision the other way makes it a conflict again.
    known.add(entry("d2", at(9, 50), decider(), decision("a1", "a2"))).unwrap();
    assert_eq!(whose(&known, &value), Err(WhyNot::Conflict));
}

#[test]
fn a_late_claim_is_open_until_a_person_decides_either_way() {
    let known = ledger(&[
        scanned("pump-4", "A1"),
        entry("e1", at(9, 0), nurse(), ended("a1", at(9, 0))),
        entry("a2", at(10, 0), nurse(), associated("pump-4", "B2", at(8, 30))),
    ]);
    let value = of_machine("pump-4", at(8, 45));
    assert_eq!(whose(&known, &value), Ok(patient("A1")));
    assert_eq!(open(&known), [ConflictKind::LateClaim]);
    for (holds, falls, on) in [("a1", "a2", "A1"), ("a2", "a1", "B2")] {
        let mut decided = known.clone();
        let (holds, against) = (id(holds), vec![id(falls)]);
        let says = Says::Decided { holds, against, reason: "seen".to_owned() };
        decided.add(entry("d1", at(10, 5), decider(), says)).unwrap();
        assert_eq!(whose(&decided, &value), Ok(patient(on)));
        assert_eq!(open(&decided), []);
        // Before the time that both claim nothing has changed.
        assert_eq!(whose(&decided, &of_machine("pump-4", at(8, 15))), Ok(patient("A1")));
    }
}

#[test]
fn the_devices_own_admission_of_another_patient_holds_the_values_back() {
    let known = ledger(&[
        scanned("pump-4", "A1"),
        entry("d1", at(9, 0), By::Device, associated("pump-4", "B2", at(9, 0))),
    ]);
    assert_eq!(whose(&known, &of_machine("pump-4", at(8, 59))), Ok(patient("A1")));
    assert_eq!(whose(&known, &of_machine("pump-4", at(9, 1))), Err(WhyNot::Conflict));
}

#[test]
fn the_device_cannot_end_what_a_person_scanned() {
    let known = ledger(&[
        scanned("pump-4", "A1"),
        entry("e1", at(9, 0), By::Device, ended("a1", at(9, 0))),
        entry("e2", at(9, 0), By::Adt, withdrawn("a1")),
    ]);
    assert_eq!(whose(&known, &of_machine("pump-4", at(9, 30))), Ok(patient("A1")));
    assert_eq!(open(&known), [ConflictKind::NotEntitled]);
    // Until a person says that it goes on, or ends it.
    let mut kept = known.clone();
    let (holds, against) = (id("a1"), vec![id("e1"), id("e2")]);
    let says = Says::Decided { holds, against, reason: "still-here".to_owned() };
    kept.add(entry("d1", at(9, 40), decider(), says)).unwrap();
    assert_eq!(open(&kept), []);
    let mut over = known;
    over.add(entry("e3", at(9, 40), nurse(), ended("a1", at(9, 0)))).unwrap();
    assert_eq!(open(&over), []);
}

#[test]
fn mother_and_twins_go_by_channel() {
    let part = |name: &str, channel: &str, on: &str| {
        let span = Span { from: at(8, 0), until: None };
        let channel = Some(Channel::parse(channel).unwrap());
        let (device, patient) = (machine("ctg-1"), patient(on));
        entry(name, at(8, 0), nurse(), Says::Associated { device, channel, patient, span })
    };
    let mut known =
        ledger(&[part("a1", "toco", "M1"), part("a2", "fhr-1", "T1"), part("a3", "fhr-2", "T2")]);
    let value = |channel: Option<&str>| Asked {
        channel: channel.map(|name| Channel::parse(name).unwrap()),
        ..of_machine("ctg-1", at(9, 0))
    };
    assert_eq!(whose(&known, &value(Some("toco"))), Ok(patient("M1")));
    assert_eq!(whose(&known, &value(Some("fhr-1"))), Ok(patient("T1")));
    assert_eq!(whose(&known, &value(Some("fhr-2"))), Ok(patient("T2")));
    assert_eq!(whose(&known, &value(Some("fhr-3"))), Err(WhyNot::NotAssociated));
    assert_eq!(whose(&known, &value(None)), Err(WhyNot::NotAssociated));
    // Ending one twin's channel touches only that one.
    let end = entry("e1", at(9, 30), nurse(), ended("a2", at(8, 50)));
    let changes = known.changes(&end, at(9, 30));
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change.channel, Some(Channel::parse("fhr-1").unwrap()));
    known.add(end).unwrap();
    assert_eq!(whose(&known, &value(Some("fhr-1"))), Err(WhyNot::NotAssociated));
    assert_eq!(whose(&known, &value(Some("fhr-2"))), Ok(patient("T2")));
}

#[test]
fn a_spot_check_is_one_measurement() {
    let spot = |name: &str, on: &str, which: &str| {
        let measurement = MeasurementId::parse(which).unwrap();
        let (device, patient, at) = (machine("thermo-2"), patient(on), at(9, 0));
        entry(name, at, nurse(), Says::SpotCheck { device, patient, measurement, at })
    };
    let value = |which: Option<&str>| Asked {
        measurement: which.map(|id| MeasurementId::parse(id).unwrap()),
        ..of_machine("thermo-2", at(9, 0))
    };
    let known = ledger(&[spot("s1", "A1", "1f1f1f1f-7.0")]);
    assert_eq!(whose(&known, &value(Some("1f1f1f1f-7.0"))), Ok(patient("A1")));
    assert_eq!(whose(&known, &value(Some("1f1f1f1f-8.0"))), Err(WhyNot::NotAssociated));
    assert_eq!(whose(&known, &value(None)), Err(WhyNot::NotAssociated));
    // The same measurement for another patient: a conflict, and what was filed is taken back.
    let other = spot("s2", "B2", "1f1f1f1f-7.0");
    let changes = known.changes(&other, at(9, 5));
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change.measurement, Some(MeasurementId::parse("1f1f1f1f-7.0").unwrap()));
    assert_eq!(change.before, Some(patient("A1")));
    assert_eq!(change.then, Then::Nobody(WhyNot::Conflict));
}

#[test]
fn a_rack_is_the_pumps_in_it_then() {
    let stands = |name: &str, pump: &str, from: Utc| {
        let (device, stand) = (machine(pump), Stand::In(machine("rack-1")));
        entry(name, from, By::Device, Says::Stands { device, stand, from })
    };
    let away = Says::Stands {
        device: machine("pump-2"),
        stand: Stand::Place(place("icu/store")),
        from: at(9, 0),
    };
    let known = ledger(&[
        stands("r1", "pump-1", at(7, 0)),
        stands("r2", "pump-2", at(7, 0)),
        stands("r3", "pump-3", at(10, 0)),
        entry("r4", at(9, 0), By::Device, away),
    ]);
    let rack = machine("rack-1");
    let pumps = |names: &[&str]| names.iter().map(|name| machine(name)).collect::<Vec<_>>();
    assert_eq!(known.standing_in(&rack, at(8, 0)), pumps(&["pump-1", "pump-2"]));
    assert_eq!(known.standing_in(&rack, at(9, 30)), pumps(&["pump-1"]));
    assert_eq!(known.standing_in(&rack, at(10, 0)), pumps(&["pump-1", "pump-3"]));
}

#[test]
fn a_module_takes_its_patient_along_and_its_place_from_its_host() {
    let stands = |name: &str, device: &str, stand: Stand, from: Utc| {
        let says = Says::Stands { device: machine(device), stand, from };
        entry(name, from, By::Device, says)
    };
    let known = ledger(&[
        stands("h1", "host-1", Stand::Place(place("icu/bed-1")), at(0, 0)),
        stands("h2", "host-2", Stand::Place(place("ward-5/bed-7")), at(0, 0)),
        stands("m1", "module-1", Stand::In(machine("host-1")), at(7, 0)),
        entry("a1", at(8, 0), nurse(), associated("module-1", "A1", at(8, 0))),
        stands("m2", "module-1", Stand::In(machine("host-2")), at(9, 0)),
    ]);
    for (time, bed) in [(at(8, 30), "icu/bed-1"), (at(9, 30), "ward-5/bed-7")] {
        let held = known.attribute(&of_machine("module-1", time), Utc::MAX).unwrap();
        assert_eq!((held.patient, held.place), (patient("A1"), Some(place(bed))));
    }
    // The host is a place: nothing of it is the patient's.
    assert_eq!(whose(&known, &of_machine("host-2", at(9, 30))), Err(WhyNot::NotAssociated));
}

#[test]
fn an_analyser_cannot_be_associated() {
    let analyser = Machine { whose: Whose::ByResult, ..Machine::default() };
    let machines = [(machine("gas-1"), analyser)].into();
    let mut known = with(Site { machines, ..Site::default() }, &[]);
    let scan = entry("a1", at(8, 0), nurse(), associated("gas-1", "A1", at(8, 0)));
    assert_eq!(known.add(scan.clone()), Err(EntryRefused::Analyser));
    assert_eq!(known.changes(&scan, at(9, 0)), []);
    assert_eq!(whose(&known, &of_machine("gas-1", at(9, 0))), Err(WhyNot::Analyser));
    // Nor by what another configuration once allowed.
    let old = ledger(&[scan]).checkpoint();
    let machines =
        [(machine("gas-1"), Machine { whose: Whose::ByResult, ..Machine::default() })].into();
    let known = Ledger::restore(Site { machines, ..Site::default() }, old).unwrap();
    assert_eq!(whose(&known, &of_machine("gas-1", at(9, 0))), Err(WhyNot::Analyser));
}

#[test]
fn a_neighbours_device_is_known_for_one() {
    let stands = |name: &str, device: &str, bed: &str| {
        let stand = Stand::Place(place(bed));
        let says = Says::Stands { device: machine(device), stand, from: at(0, 0) };
        entry(name, at(0, 0), By::Configuration, says)
    };
    let machines = ["pump-4", "pump-5", "gas-1"].map(|name| {
        let whose = if name == "gas-1" { Whose::ByResult } else { Whose::ByLedger };
        (machine(name), Machine { whose, ..Machine::default() })
    });
    let known = with(
        Site { machines: machines.into(), ..Site::default() },
        &[
            stands("s1", "pump-4", "icu/bed-1"),
            stands("s2", "pump-5", "icu/bed-2"),
            entry(
                "m1",
                at(7, 0),
                By::Adt,
                moved("B2", Movement::Admission, present("icu/bed-2"), at(7, 0)),
            ),
            scanned("pump-4", "A1"),
        ],
    );
    let against = |device: &str, on: &str, time: Utc| {
        known.objections(&machine(device), None, &patient(on), time)
    };
    let elsewhere =
        Objection::StandsElsewhere { device: place("icu/bed-1"), patient: place("icu/bed-2") };
    let anothers = Objection::OnAnotherPatient { entries: vec![id("a1")] };
    assert_eq!(against("pump-4", "B2", at(9, 0)), [anothers, elsewhere.clone()]);
    assert_eq!(against("pump-4", "A1", at(9, 0)), []);
    assert_eq!(against("pump-5", "B2", at(9, 0)), []);
    // Unseen for a day, it is nobody's.
    assert_eq!(against("pump-4", "B2", at(33, 0)), [elsewhere]);
    assert_eq!(against("gas-1", "A1", at(9, 0)), [Objection::Analyser]);
    assert_eq!(against("pump-9", "A1", at(9, 0)), [Objection::NotListed]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut known = ledger(&[scanned("pump-4", "A1")]);
    let future = entry("a2", at(8, 0), nurse(), associated("pump-4", "A1", at(8, 1)));
    assert_eq!(known.add(future), Err(EntryRefused::Times));
    let bed = entry("a2", at(8, 0), By::Adt, associated("pump-4", "A1", at(8, 0)));
    assert_eq!(known.add(bed), Err(EntryRefused::Source));
    let other = entry("a1", at(8, 0), nurse(), associated("pump-4", "B2", at(8, 0)));
    assert_eq!(known.add(other), Err(EntryRefused::IdTaken(id("a1"))));
    assert_eq!(known.add(scanned("pump-4", "A1")), Ok(Taken::Known));
    let circle = entry("w1", at(8, 0), decider(), withdrawn("w1"));
    assert_eq!(known.add(circle), Err(EntryRefused::Circle));
    let newer = Entry { version: 2, ..scanned("pump-5", "A1") };
    assert_eq!(known.add(Entry { id: id("a9"), ..newer }), Err(EntryRefused::Version(2)));
}
