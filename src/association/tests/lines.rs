//! Link 1: what hangs on a line.

use super::*;

fn unplugged(name: &str, port: &str, time: Utc) -> Entry {
    entry(name, time, By::Box, Says::Unplugged { port: line(port), at: time })
}

/// Two oximeters that cannot say who they are, one on each patient.
fn two_oximeters() -> Ledger {
    ledger(&[
        entry("p1", at(0, 0), nurse(), plugged("bed-1", "ox-1", at(0, 0))),
        entry("p2", at(0, 0), nurse(), plugged("bed-2", "ox-2", at(0, 0))),
        entry("a1", at(0, 1), nurse(), associated("ox-1", "A1", at(0, 1))),
        entry("a2", at(0, 1), nurse(), associated("ox-2", "B2", at(0, 1))),
    ])
}

#[test]
fn a_swap_of_unnamed_oximeters_at_three_files_nothing_until_both_are_scanned() {
    let mut known = two_oximeters();
    assert_eq!(whose(&known, &from_line("bed-1", at(2, 59))), Ok(patient("A1")));
    for (name, port) in [("u1", "bed-1"), ("u2", "bed-2")] {
        known.add(unplugged(name, port, at(3, 0))).unwrap();
        let value = from_line(port, at(3, 1));
        assert_eq!(whose(&known, &value), Err(WhyNot::PortUnproven), "{port}");
    }
    // The machine keeps its patient: what is scanned is which machine hangs where.
    let scan = entry("p3", at(3, 5), nurse(), plugged("bed-1", "ox-2", at(3, 5)));
    known.add(scan).unwrap();
    assert_eq!(whose(&known, &from_line("bed-1", at(3, 6))), Ok(patient("B2")));
    assert_eq!(whose(&known, &from_line("bed-2", at(3, 6))), Err(WhyNot::PortUnproven));
    let scan = entry("p4", at(3, 7), nurse(), plugged("bed-2", "ox-1", at(3, 7)));
    known.add(scan).unwrap();
    assert_eq!(whose(&known, &from_line("bed-2", at(3, 8))), Ok(patient("A1")));
    // The time in between stays nobody's.
    for port in ["bed-1", "bed-2"] {
        assert_eq!(whose(&known, &from_line(port, at(3, 2))), Err(WhyNot::PortUnproven), "{port}");
    }
}

#[test]
fn a_machine_found_elsewhere_leaves_its_line_unproven() {
    let mut known = two_oximeters();
    known.add(entry("p3", at(3, 5), nurse(), plugged("bed-1", "ox-2", at(3, 5)))).unwrap();
    assert_eq!(whose(&known, &from_line("bed-1", at(3, 6))), Ok(patient("B2")));
    assert_eq!(whose(&known, &from_line("bed-2", at(3, 6))), Err(WhyNot::PortUnproven));
    assert_eq!(whose(&known, &from_line("bed-2", at(3, 4))), Ok(patient("B2")));
}

#[test]
fn one_that_names_itself_is_known_again_when_it_comes_back() {
    let mut known = two_oximeters();
    known.add(unplugged("u1", "bed-1", at(3, 0))).unwrap();
    known.add(entry("p3", at(3, 1), By::Device, plugged("bed-1", "ox-1", at(3, 1)))).unwrap();
    assert_eq!(whose(&known, &from_line("bed-1", at(3, 2))), Ok(patient("A1")));
}

#[test]
fn the_configuration_does_not_know_what_was_plugged_in_after_the_plug_was_pulled() {
    let configured = entry("p1", at(0, 0), By::Configuration, plugged("bed-1", "ox-1", at(0, 0)));
    let scan = entry("a1", at(0, 1), nurse(), associated("ox-1", "A1", at(0, 1)));
    let mut known = ledger(&[configured, scan]);
    assert_eq!(whose(&known, &from_line("bed-1", at(1, 0))), Ok(patient("A1")));
    known.add(unplugged("u1", "bed-1", at(3, 0))).unwrap();
    let again = entry("p2", at(4, 0), By::Configuration, plugged("bed-1", "ox-1", at(4, 0)));
    known.add(again).unwrap();
    assert_eq!(whose(&known, &from_line("bed-1", at(5, 0))), Err(WhyNot::PortUnproven));
}

#[test]
fn one_name_on_two_lines_is_a_conflict_on_both() {
    let mut known = two_oximeters();
    known.add(entry("p3", at(3, 0), By::Device, plugged("bed-3", "ox-9", at(3, 0)))).unwrap();
    known.add(entry("p4", at(3, 1), By::Device, plugged("bed-4", "ox-9", at(3, 1)))).unwrap();
    known.add(entry("a9", at(3, 2), nurse(), associated("ox-9", "C3", at(3, 2)))).unwrap();
    for port in ["bed-3", "bed-4"] {
        assert_eq!(whose(&known, &from_line(port, at(3, 3))), Err(WhyNot::Conflict), "{port}");
    }
    assert_eq!(open(&known), [ConflictKind::SeenTwice]);
    known.add(unplugged("u3", "bed-3", at(3, 4))).unwrap();
    assert_eq!(whose(&known, &from_line("bed-4", at(3, 5))), Ok(patient("C3")));
}

#[test]
fn one_name_on_two_boxes_is_two_lines() {
    let known = two_oximeters();
    let elsewhere = Line { gateway: DeviceName::parse("box-2").unwrap(), ..line("bed-1") };
    let asked = Asked { origin: Origin::Line(elsewhere), ..from_line("bed-1", at(1, 0)) };
    assert_eq!(whose(&known, &asked), Err(WhyNot::NotAssociated));
}

#[test]
fn a_plug_that_was_pulled_earlier_than_we_knew_takes_values_back() {
    let known = two_oximeters();
    let mut late = unplugged("u1", "bed-1", at(3, 0));
    late.learned = at(3, 30);
    let changes = known.changes(&late, at(3, 30));
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((change.origin.clone(), change.span.from), (Origin::Line(line("bed-1")), at(3, 0)));
    assert_eq!(change.before, Some(patient("A1")));
    assert_eq!(change.then, Then::Nobody(WhyNot::PortUnproven));
}
