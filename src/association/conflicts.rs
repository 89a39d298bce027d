//! What contradicts what. A conflict is shown to a person and never settled silently; it is worked
//! out from the entries, so it is there as long as they are, settled or not.

use super::attribute::{Origin, Stream};
use super::entry::{Entry, Says};
use super::judge::WhyNot;
use super::ledger::Ledger;
use super::line::OnLine;
use super::names::{DeviceId, EntryId, Line};
use super::time::{Span, Utc};
use super::view::{View, may_undo};
use crate::vocabulary::{Grade, PatientId};

/// What contradicts what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// Claims of equal standing name different patients. The values are nobody's.
    TwoPatients,
    /// A device names itself on two lines at once. The values are nobody's.
    SeenTwice,
    /// A claim for the past, for time in which another patient had the device and keeps it.
    LateClaim,
    /// The patient administration has the patient discharged or never admitted; the scan holds.
    AdministrativeEnd,
    /// The patient administration has another patient where the device stands; the scan holds.
    OtherPatientInPlace,
    /// An end or a withdrawal by a source that may not undo what that source said; without effect.
    NotEntitled,
    /// A person decided that one entry holds against others.
    Decided,
}

impl ConflictKind {
    /// The kind as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TwoPatients => "two-patients",
            Self::SeenTwice => "seen-twice",
            Self::LateClaim => "late-claim",
            Self::AdministrativeEnd => "administrative-end",
            Self::OtherPatientInPlace => "other-patient-in-place",
            Self::NotEntitled => "not-entitled",
            Self::Decided => "decided",
        }
    }
}

/// One conflict.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    pub kind: ConflictKind,
    /// The machine, where it is about one.
    pub device: Option<DeviceId>,
    /// The time of which they say different things.
    pub span: Span,
    /// What contradicts what.
    pub entries: Vec<EntryId>,
    /// The entry that settled it; `None` while it is open.
    pub settled_by: Option<EntryId>,
}

impl Ledger {
    /// All conflicts, as known at a time; settled ones too.
    pub fn conflicts(&self, known: Utc) -> Vec<Conflict> {
        let view = self.view(known);
        let mut found = Vec::new();
        for device in self.machines() {
            self.of_machine(&view, device, &mut found);
        }
        for port in self.lines() {
            seen_twice(&view, port, &mut found);
        }
        for entry in self.entries().filter(|entry| view.counts(entry)) {
            found.extend(not_entitled(&view, entry));
            found.extend(decided(entry));
        }
        found.sort();
        found.dedup();
        found
    }

    fn of_machine(&self, view: &View<'_>, device: &DeviceId, found: &mut Vec<Conflict>) {
        let origin = Origin::Machine(device.clone());
        for channel in self.channels(device) {
            let stream = Stream { origin: &origin, channel: channel.as_ref(), measurement: None };
            for (span, verdict) in view.timeline(self.site(), &stream) {
                let conflict = |kind, entries| Conflict {
                    kind,
                    device: Some(device.clone()),
                    span,
                    entries,
                    settled_by: None,
                };
                match verdict {
                    Err(nobody) if nobody.why == WhyNot::Conflict => {
                        found.push(conflict(ConflictKind::TwoPatients, nobody.entries));
                    }
                    Err(_) => {}
                    Ok(held) => {
                        let others = other_patients(view, device, &held.patient, span.from);
                        if held.grade > Grade::Location && !others.is_empty() {
                            let settled_by = settled(view, held.entries.first(), &others);
                            let entries = held.entries.iter().take(1).cloned().chain(others);
                            let kind = ConflictKind::OtherPatientInPlace;
                            let open = conflict(kind, entries.collect());
                            found.push(Conflict { settled_by, ..open });
                        }
                        let late = view.claims(device, None).into_iter().filter(|claim| {
                            claim.holds(span.from)
                                && claim.is_late(span.from)
                                && claim.patient != held.patient
                                && (claim.channel.is_none() || claim.channel == channel.as_ref())
                        });
                        for claim in late {
                            let late = [claim.entry.id.clone()];
                            let settled_by = settled(view, held.entries.first(), &late);
                            let entries = late.into_iter();
                            let entries = entries.chain(held.entries.iter().take(1).cloned());
                            let open = conflict(ConflictKind::LateClaim, entries.collect());
                            found.push(Conflict { settled_by, ..open });
                        }
                    }
                }
            }
        }
        administrative_ends(view, device, found);
    }
}

/// The decision that what holds, holds against all of these.
fn settled(view: &View<'_>, holds: Option<&EntryId>, others: &[EntryId]) -> Option<EntryId> {
    let holds = holds?;
    if !others.iter().all(|other| view.overrules(holds, other)) {
        return None;
    }
    let decision = view.about(holds).find(|about| {
        matches!(&about.says, Says::Decided { holds: named, against, .. }
            if named == holds && others.iter().any(|other| against.contains(other)))
    });
    decision.map(|decision| decision.id.clone())
}

/// Who else is in the place of the machine, if the patient is not.
fn other_patients(
    view: &View<'_>,
    device: &DeviceId,
    patient: &PatientId,
    at: Utc,
) -> Vec<EntryId> {
    let Some(place) = view.place_of(device, at) else { return Vec::new() };
    let here = view.patients_in(&place, at);
    if here.iter().any(|(other, _)| other == patient) {
        return Vec::new();
    }
    here.into_iter().map(|(_, by)| by).collect()
}

/// Where the patient administration lets a patient go who is on a device by a scan.
fn administrative_ends(view: &View<'_>, device: &DeviceId, found: &mut Vec<Conflict>) {
    for claim in view.claims(device, None) {
        let Some(span) = claim.span.filter(|_| claim.entry.by.is_person()) else { continue };
        let movements = view.movements(&claim.patient);
        for event in &movements {
            let Some(at) = event.says.movement_time().filter(|at| span.holds(*at)) else {
                continue;
            };
            if view.whereabouts(&claim.patient, at).is_present() {
                continue;
            }
            let later = |other: &&&Entry| {
                let time = other.says.movement_time();
                time > Some(at)
                    && time.is_some_and(|time| {
                        span.holds(time) && view.whereabouts(&claim.patient, time).is_present()
                    })
            };
            let decided = view
                .about(&event.id)
                .find(|_| view.overrules(&claim.entry.id, &event.id))
                .map(|decision| decision.id.clone());
            let back = movements.iter().find(later).map(|other| other.id.clone());
            let ended = span.until.and_then(|_| {
                view.about(&claim.entry.id)
                    .find(|about| about.says.end().is_some() && about.says.end() == span.until)
                    .map(|end| end.id.clone())
            });
            found.push(Conflict {
                kind: ConflictKind::AdministrativeEnd,
                device: Some(device.clone()),
                span: Span { from: at, until: span.until },
                entries: vec![claim.entry.id.clone(), event.id.clone()],
                settled_by: decided.or(back).or(ended),
            });
        }
    }
}

fn seen_twice(view: &View<'_>, port: &Line, found: &mut Vec<Conflict>) {
    let times = view.line_edges(port);
    let ends = times.iter().skip(1).copied().map(Some).chain([None]);
    for (from, until) in times.iter().zip(ends) {
        if let OnLine::Twice { entries } = view.on_line(port, *from) {
            found.push(Conflict {
                kind: ConflictKind::SeenTwice,
                device: None,
                span: Span { from: *from, until },
                entries,
                settled_by: None,
            });
        }
    }
}

fn not_entitled(view: &View<'_>, entry: &Entry) -> Option<Conflict> {
    let (Says::Withdrawn { entry: named, .. } | Says::Ended { association: named, .. }) =
        &entry.says
    else {
        return None;
    };
    let said = view.shelf.get(named).filter(|said| !may_undo(&entry.by, &said.by))?;
    let at = entry.says.end().unwrap_or(entry.stated);
    // Somebody who may has ended it since, or decided that it goes on.
    let ended = view.about(named).find(|about| {
        matches!(&about.says, Says::Ended { .. } | Says::Withdrawn { .. })
            && may_undo(&about.by, &said.by)
    });
    let kept = settled(view, Some(named), std::slice::from_ref(&entry.id));
    Some(Conflict {
        kind: ConflictKind::NotEntitled,
        device: None,
        span: Span { from: at, until: None },
        entries: vec![said.id.clone(), entry.id.clone()],
        settled_by: kept.or(ended.map(|ended| ended.id.clone())),
    })
}

fn decided(entry: &Entry) -> Option<Conflict> {
    let Says::Decided { holds, against, .. } = &entry.says else { return None };
    Some(Conflict {
        kind: ConflictKind::Decided,
        device: None,
        span: Span { from: entry.stated, until: None },
        entries: [holds].into_iter().chain(against).cloned().collect(),
        settled_by: Some(entry.id.clone()),
    })
}
