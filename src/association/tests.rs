//! What the ledger must hold, told as what happens on a ward.

mod administration;
mod bedside;
mod history;
mod lines;
mod story;
mod written;

use super::*;
use crate::vocabulary::{DeviceName, EncounterId, PatientId, Place, Purpose};

/// A time of the day on which all this happens.
pub(in crate::association) fn at(hour: i64, minute: i64) -> Utc {
    // 2026-03-02T00:00:00Z.
    Utc::from_us(1_772_409_600_000_000).plus_s(hour * 3600 + minute * 60)
}

pub(in crate::association) fn patient(number: &str) -> PatientId {
    PatientId::given("1.2.246.10.1234567.22.2026", number, Purpose::Production).unwrap()
}

pub(in crate::association) fn machine(name: &str) -> DeviceId {
    DeviceId::parse(name).unwrap()
}

pub(in crate::association) fn line(name: &str) -> Line {
    let named = |text| DeviceName::parse(text).unwrap();
    Line { gateway: named("box-1"), name: named(name) }
}

pub(in crate::association) fn place(name: &str) -> Place {
    Place::parse(name).unwrap()
}

pub(in crate::association) fn id(text: &str) -> EntryId {
    EntryId::parse(text).unwrap()
}

pub(in crate::association) fn nurse() -> By {
    By::Scan { person: PersonId::parse("person-7").unwrap() }
}

pub(in crate::association) fn decider() -> By {
    By::Person { person: PersonId::parse("person-9").unwrap() }
}

/// Learned when it was stated.
pub(in crate::association) fn entry(name: &str, stated: Utc, by: By, says: Says) -> Entry {
    Entry { version: ENTRY_VERSION, id: id(name), stated, learned: stated, by, says }
}

pub(in crate::association) fn associated(device: &str, on: &str, from: Utc) -> Says {
    let span = Span { from, until: None };
    Says::Associated { device: machine(device), channel: None, patient: patient(on), span }
}

pub(in crate::association) fn ended(association: &str, at: Utc) -> Says {
    Says::Ended { association: id(association), at }
}

pub(in crate::association) fn withdrawn(entry: &str) -> Says {
    Says::Withdrawn { entry: id(entry), reason: "wrong-patient".to_owned() }
}

pub(in crate::association) fn plugged(port: &str, device: &str, from: Utc) -> Says {
    Says::Plugged { port: line(port), device: machine(device), from }
}

pub(in crate::association) fn moved(
    who: &str,
    movement: Movement,
    presence: Presence,
    from: Utc,
) -> Says {
    let encounter = Some(EncounterId::parse("E-1").unwrap());
    Says::Movement { patient: patient(who), encounter, movement, presence, from }
}

pub(in crate::association) fn present(bed: &str) -> Presence {
    Presence::Present { place: Some(place(bed)) }
}

pub(in crate::association) fn ledger(entries: &[Entry]) -> Ledger {
    with(Site::default(), entries)
}

pub(in crate::association) fn with(site: Site, entries: &[Entry]) -> Ledger {
    let mut ledger = Ledger::of_site(site);
    for entry in entries {
        assert_eq!(ledger.add(entry.clone()), Ok(Taken::New));
    }
    ledger
}

/// A value of a machine that names itself.
pub(in crate::association) fn of_machine(device: &str, at: Utc) -> Asked {
    let origin = Origin::Machine(machine(device));
    Asked { origin, channel: None, measurement: None, at: Around::exactly(at) }
}

/// A value from a line.
pub(in crate::association) fn from_line(port: &str, at: Utc) -> Asked {
    let origin = Origin::Line(line(port));
    Asked { origin, channel: None, measurement: None, at: Around::exactly(at) }
}

/// Whose it is as known now, without the evidence.
pub(in crate::association) fn whose(ledger: &Ledger, asked: &Asked) -> Result<PatientId, WhyNot> {
    known(ledger, asked, Utc::MAX)
}

pub(in crate::association) fn known(
    ledger: &Ledger,
    asked: &Asked,
    known: Utc,
) -> Result<PatientId, WhyNot> {
    ledger.attribute(asked, known).map(|held| held.patient).map_err(|nobody| nobody.why)
}

/// The kinds of conflicts that no one has settled.
pub(in crate::association) fn open(ledger: &Ledger) -> Vec<ConflictKind> {
    let conflicts = ledger.conflicts(Utc::MAX).into_iter();
    let mut kinds: Vec<ConflictKind> = conflicts
        .filter(|conflict| conflict.settled_by.is_none())
        .map(|conflict| conflict.kind)
        .collect();
    kinds.dedup();
    kinds
}
