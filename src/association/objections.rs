//! What a person should see before an association is made: the device is a neighbour's, stands
//! elsewhere, or can have no patient. Nothing here refuses; the person decides, and the ledger
//! keeps what was said.

use super::ledger::Ledger;
use super::names::{Channel, DeviceId, EntryId};
use super::time::Utc;
use crate::vocabulary::{PatientId, Place};

/// One thing that speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// The device's values find their patient by each result: it cannot be associated.
    Analyser,
    /// The site lists its machines, and this is none of them.
    NotListed,
    /// The device is on another patient. "Move it?" means to end these and begin the new one, at
    /// one time and by one person.
    OnAnotherPatient { entries: Vec<EntryId> },
    /// The device stands in one place, and the census has the patient in another.
    StandsElsewhere { device: Place, patient: Place },
}

impl Ledger {
    /// What speaks against putting this device, or this part of it, on this patient now.
    pub fn objections(
        &self,
        device: &DeviceId,
        channel: Option<&Channel>,
        patient: &PatientId,
        now: Utc,
    ) -> Vec<Objection> {
        let mut found = Vec::new();
        if self.site().is_analyser(device) {
            found.push(Objection::Analyser);
        }
        let listed = &self.site().machines;
        if !listed.is_empty() && !listed.contains_key(device) {
            found.push(Objection::NotListed);
        }
        let view = self.view(Utc::MAX);
        let survivor = view.survivor(patient);
        let limit_s = self.site().policy.unseen_hours_max.seconds();
        let others = view.claims(device, None).into_iter().filter(|claim| {
            let same_part = claim.channel.is_none() || channel.is_none();
            (same_part || claim.channel == channel)
                && claim.patient != survivor
                && claim.holds(now)
                && claim.is_fresh(now, limit_s)
        });
        let entries: Vec<EntryId> = others.map(|claim| claim.entry.id.clone()).collect();
        if !entries.is_empty() {
            found.push(Objection::OnAnotherPatient { entries });
        }
        let whereabouts = view.whereabouts(&survivor, now);
        if let (Some(stands), Some(bed)) = (view.place_of(device, now), whereabouts.place())
            && stands != *bed
        {
            found.push(Objection::StandsElsewhere { device: stands, patient: bed.clone() });
        }
        found
    }
}
