//! Link 3: where a patient is and in which encounter, by the patient administration; and which
//! identifiers are one human. It says nothing of devices.

use std::collections::BTreeSet;

use super::entry::{Entry, Movement, Presence, Says, Stand};
use super::names::{DeviceId, EntryId};
use super::time::Utc;
use super::view::View;
use crate::vocabulary::{EncounterId, PatientId, Place};

/// A module in a host in a rack on a bed: more levels than that are a circle.
const STANDS_DEEP_MAX: u8 = 4;

/// Where a patient is at an instant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Whereabouts {
    pub presence: Option<Presence>,
    pub encounter: Option<EncounterId>,
    /// What says so.
    pub by: Option<EntryId>,
    /// The cancellation that left the patient without any movement.
    pub cancelled: Option<EntryId>,
}

impl Whereabouts {
    /// Whether the patient is here.
    pub fn is_present(&self) -> bool {
        matches!(self.presence, Some(Presence::Present { .. }))
    }

    /// The bed, if the patient is here and has one.
    pub fn place(&self) -> Option<&Place> {
        match &self.presence {
            Some(Presence::Present { place }) => place.as_ref(),
            Some(Presence::Away | Presence::Left) | None => None,
        }
    }
}

impl View<'_> {
    /// The identifier that goes on for this human. A later merge the other way undoes an earlier
    /// one; of what goes in circles, the smallest identifier is taken.
    pub fn survivor(&self, patient: &PatientId) -> PatientId {
        let mut seen = BTreeSet::from([patient.clone()]);
        let mut now = patient.clone();
        while let Some(next) = self.merged_into(&now) {
            if !seen.insert(next.clone()) {
                return seen.first().cloned().unwrap_or(next);
            }
            now = next;
        }
        now
    }

    fn merged_into(&self, patient: &PatientId) -> Option<PatientId> {
        let mut merges: Vec<(Utc, &EntryId, &PatientId)> = Vec::new();
        let mut reversed: Vec<(Utc, &EntryId, &PatientId)> = Vec::new();
        for entry in self.shelf.merges(patient).filter(|entry| self.counts(entry)) {
            let Says::Merged { retired, surviving, at } = &entry.says else { continue };
            if retired == patient {
                merges.push((*at, &entry.id, surviving));
            }
            if surviving == patient {
                reversed.push((*at, &entry.id, retired));
            }
        }
        merges.sort();
        let (at, id, surviving) = merges.last()?;
        let undone = reversed.iter().any(|(back, by, of)| of == surviving && (back, by) > (at, id));
        if undone { None } else { Some((*surviving).clone()) }
    }

    /// All identifiers that this human had, as far as merges say.
    pub fn identifiers(&self, survivor: &PatientId) -> BTreeSet<PatientId> {
        let mut all = BTreeSet::from([survivor.clone()]);
        let mut next = vec![survivor.clone()];
        while let Some(patient) = next.pop() {
            for entry in self.shelf.merges(&patient).filter(|entry| self.counts(entry)) {
                if let Says::Merged { retired, .. } = &entry.says
                    && self.survivor(retired) == *survivor
                    && all.insert(retired.clone())
                {
                    next.push(retired.clone());
                }
            }
        }
        all
    }

    /// The movements and cancellations of a human, in the order in which they were true.
    pub fn movements(&self, survivor: &PatientId) -> Vec<&Entry> {
        let identifiers = self.identifiers(survivor);
        let mut found: Vec<&Entry> = identifiers
            .iter()
            .flat_map(|patient| self.shelf.of_patient(patient))
            .filter(|entry| self.counts(entry))
            .collect();
        found.sort_by_key(|entry| (entry.says.movement_time(), entry.stated, &entry.id));
        found
    }

    /// Where the human is at an instant. A cancellation counts from its own time on: what was
    /// believed before stands as it was believed.
    pub fn whereabouts(&self, survivor: &PatientId, at: Utc) -> Whereabouts {
        let mut stack: Vec<(&Entry, Movement)> = Vec::new();
        let mut cancelled = None;
        for entry in self.movements(survivor) {
            if entry.says.movement_time().is_none_or(|time| time > at) {
                break;
            }
            if let Says::Movement { movement, .. } = &entry.says {
                stack.push((entry, *movement));
            } else if let Says::Cancelled { encounter, movement, .. } = &entry.says {
                let mistaken = stack.iter().rposition(|(done, kind)| {
                    kind == movement && same_encounter(done, encounter.as_ref())
                });
                if let Some(mistaken) = mistaken {
                    stack.remove(mistaken);
                    cancelled = Some(entry.id.clone());
                }
            }
        }
        let Some((last, _)) = stack.last() else {
            return Whereabouts { cancelled, ..Whereabouts::default() };
        };
        let Says::Movement { presence, encounter, .. } = &last.says else {
            return Whereabouts::default();
        };
        Whereabouts {
            presence: Some(presence.clone()),
            encounter: encounter.clone(),
            by: Some(last.id.clone()),
            cancelled: None,
        }
    }

    /// Who is in a place at an instant, each with the entry that says so.
    pub fn patients_in(&self, place: &Place, at: Utc) -> Vec<(PatientId, EntryId)> {
        let humans: BTreeSet<PatientId> =
            self.shelf.seen_in(place).map(|patient| self.survivor(patient)).collect();
        let mut found = Vec::new();
        for human in humans {
            let whereabouts = self.whereabouts(&human, at);
            if whereabouts.place() == Some(place)
                && let Some(by) = whereabouts.by
            {
                found.push((human, by));
            }
        }
        found
    }

    /// Where a device stands at an instant: the last word of whoever said it.
    pub fn stand(&self, device: &DeviceId, at: Utc) -> Option<(&Stand, &EntryId)> {
        let mut said: Vec<(Utc, Utc, &EntryId, &Stand)> = Vec::new();
        for entry in self.shelf.of_device(device).filter(|entry| self.counts(entry)) {
            if let Says::Stands { device: of, stand, from } = &entry.says
                && of == device
                && *from <= at
            {
                said.push((*from, entry.stated, &entry.id, stand));
            }
        }
        said.sort_by_key(|(from, stated, id, _)| (*from, *stated, *id));
        said.last().map(|(_, _, id, stand)| (*stand, *id))
    }

    /// The place in which a device stands, also inside a host that stands there.
    pub fn place_of(&self, device: &DeviceId, at: Utc) -> Option<Place> {
        let mut machine = device.clone();
        for _ in 0..STANDS_DEEP_MAX {
            match self.stand(&machine, at)?.0 {
                Stand::Place(place) => return Some(place.clone()),
                Stand::In(host) => machine = host.clone(),
            }
        }
        None
    }
}

impl View<'_> {
    /// Whether the movement, or a person's look at it, is younger than the site's limit.
    pub fn seen_since(&self, movement: &EntryId, at: Utc, limit_s: i64) -> bool {
        self.looks(movement).iter().any(|look| *look <= at && at < look.plus_s(limit_s))
    }

    /// When a movement was true, and when persons looked at it.
    fn looks(&self, movement: &EntryId) -> Vec<Utc> {
        let begun = self.shelf.get(movement).and_then(|entry| entry.says.movement_time());
        let seen = self.about(movement).filter(|about| about.by.is_person());
        begun.into_iter().chain(seen.filter_map(|about| about.says.seen())).collect()
    }

    /// The instants at which a device's place changes, or who is in it.
    pub fn place_edges(&self, device: &DeviceId, limit_s: i64) -> Vec<Utc> {
        let mut edges = Vec::new();
        let mut machines = vec![device.clone()];
        let mut places = BTreeSet::new();
        for _ in 0..STANDS_DEEP_MAX {
            let mut hosts = Vec::new();
            for entry in machines.iter().flat_map(|machine| self.shelf.of_device(machine)) {
                let Says::Stands { device: of, stand, from } = &entry.says else { continue };
                if !machines.contains(of) || !self.counts(entry) {
                    continue;
                }
                edges.push(*from);
                match stand {
                    Stand::Place(place) => drop(places.insert(place)),
                    Stand::In(host) => hosts.push(host.clone()),
                }
            }
            machines = hosts;
        }
        let seen_in = places.into_iter().flat_map(|place| self.shelf.seen_in(place));
        let humans: BTreeSet<PatientId> = seen_in.map(|patient| self.survivor(patient)).collect();
        for entry in humans.iter().flat_map(|human| self.movements(human)) {
            edges.extend(entry.says.movement_time());
            for look in self.looks(&entry.id) {
                edges.extend([look, look.plus_s(limit_s)]);
            }
        }
        edges
    }
}

fn same_encounter(done: &Entry, encounter: Option<&EncounterId>) -> bool {
    let Says::Movement { encounter: of, .. } = &done.says else { return false };
    of.as_ref().zip(encounter).is_none_or(|(of, named)| of == named)
}
