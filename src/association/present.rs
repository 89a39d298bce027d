//! What stands at an instant: which associations hold, for whoever shows or reports them.

use super::ledger::Ledger;
use super::names::{Channel, DeviceId, EntryId};
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

impl Ledger {
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
