//! What stands at an instant: which associations hold, for whoever shows or reports them.

use super::entry::Says;
use super::ledger::Ledger;
use super::names::{Channel, DeviceId, EntryId, MeasurementId};
use super::time::{Span, Utc};
use crate::vocabulary::{Grade, PatientId, Place};

/// One association that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub association: EntryId,
    pub device: DeviceId,
    pub channel: Option<Channel>,
    /// The identifier that goes on.
    pub patient: PatientId,
    pub span: Span,
    pub grade: Grade,
    /// Nobody has looked at it for longer than the site allows: it counts no more.
    pub is_stale: bool,
}

/// One measurement that somebody gave to a patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub device: DeviceId,
    pub measurement: MeasurementId,
    pub at: Utc,
}

impl Ledger {
    /// The single measurements that were given to a patient, as known now, from a time on.
    pub fn spot_checks(&self, patient: &PatientId, since: Utc) -> Vec<Checked> {
        let view = self.view(Utc::MAX);
        let human = view.survivor(patient);
        let checked = self.entries().filter(|entry| view.counts(entry)).filter_map(|entry| {
            let Says::SpotCheck { device, patient, measurement, at } = &entry.says else {
                return None;
            };
            let (device, measurement) = (device.clone(), measurement.clone());
            let is_theirs = *at >= since && view.survivor(patient) == human;
            is_theirs.then_some(Checked { device, measurement, at: *at })
        });
        checked.collect()
    }

    /// Whether somebody gave this very measurement to a patient.
    pub fn is_spot_checked(&self, measurement: &MeasurementId) -> bool {
        let view = self.view(Utc::MAX);
        self.entries().any(|entry| {
            let Says::SpotCheck { measurement: of, .. } = &entry.says else { return false };
            of == measurement && view.counts(entry)
        })
    }

    /// The associations that hold at an instant, as known now, by device; of one measurement (spot
    /// checks) none.
    pub fn standing(&self, at: Utc) -> Vec<Standing> {
        let view = self.view(Utc::MAX);
        let limit_s = self.site().policy.unseen_hours_max.seconds();
        let machines = self.machines();
        let of = |device: &DeviceId| {
            let claims = view.claims(device, None).into_iter();
            let holding = claims.filter(|claim| claim.span.is_some() && claim.holds(at));
            holding
                .map(|claim| Standing {
                    association: claim.entry.id.clone(),
                    device: device.clone(),
                    channel: claim.channel.cloned(),
                    is_stale: !claim.is_fresh(at, limit_s),
                    span: claim.span.unwrap_or(Span { from: at, until: None }),
                    grade: claim.grade,
                    patient: claim.patient,
                })
                .collect::<Vec<_>>()
        };
        machines.flat_map(of).collect()
    }

    /// Where a patient is by the patient administration, as known now.
    pub fn place_of_patient(&self, patient: &PatientId, at: Utc) -> Option<Place> {
        self.view(Utc::MAX).whereabouts(patient, at).place().cloned()
    }
}
