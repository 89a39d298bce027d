//! One instant judged: whose is what the machine says then, or why nobody's.
//!
//! 1. An analyser's values are nobody's here.
//! 2. What a person overruled falls away, and what nobody has seen for longer than the site's
//!    limit.
//! 3. The part of a claim that lies before it was made counts only where no other claim does.
//! 4. Scans, claims of the core and the device's own admission must agree on one patient; else it
//!    is a conflict, and nobody's until a person decides. A place never contradicts them.
//! 5. Of what names that patient, one must be enough by the site's policy, and not suspended.

use super::census::Whereabouts;
use super::claims::{Claim, paused, suspends};
use super::entry::Entry;
use super::names::{Channel, DeviceId, EntryId, MeasurementId};
use super::policy::Site;
use super::time::Utc;
use super::view::View;
use crate::vocabulary::{EncounterId, Grade, PatientId, Place};

/// Why a value is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyNot {
    /// Nobody says that the device is on a patient.
    NotAssociated,
    /// The chart time is not sure enough: the device may have been on somebody else, or on nobody.
    TimeSpansHandover,
    /// Claims of equal standing name different patients, or the device is seen twice.
    Conflict,
    /// The device is silent, on standby, or has done with its patient.
    Suspended,
    /// No person has looked for longer than the site's limit.
    LimitPassed,
    /// The line was open, and nobody has scanned what hangs on it since.
    PortUnproven,
    /// There is a patient to propose, but less evidence than the site's policy asks for.
    NotEnough,
    /// The patient of an analyser's result comes from the result.
    Analyser,
}

impl WhyNot {
    /// The reason as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAssociated => "not-associated",
            Self::TimeSpansHandover => "time-spans-handover",
            Self::Conflict => "conflict",
            Self::Suspended => "suspended",
            Self::LimitPassed => "limit-passed",
            Self::PortUnproven => "port-unproven",
            Self::NotEnough => "not-enough-evidence",
            Self::Analyser => "analyser",
        }
    }
}

/// A value's patient, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributed {
    pub patient: PatientId,
    /// `None` if the census does not say, or not one for the whole uncertainty of the time.
    pub encounter: Option<EncounterId>,
    /// Where the device stands, else where the patient is.
    pub place: Option<Place>,
    pub grade: Grade,
    /// Whether the census has the patient here then. A patient outside it is "not verified".
    pub in_census: bool,
    /// What it rests on; the association first.
    pub entries: Vec<EntryId>,
}

/// Nobody's value, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unattributed {
    pub why: WhyNot,
    /// Whose it would be with more evidence; for a person to see, never to file by.
    pub proposal: Option<PatientId>,
    /// Where the device stands.
    pub place: Option<Place>,
    /// What the reason rests on.
    pub entries: Vec<EntryId>,
}

impl Unattributed {
    pub(super) fn because(why: WhyNot, entries: Vec<EntryId>) -> Self {
        Self { why, proposal: None, place: None, entries }
    }
}

/// Somebody's or nobody's.
pub(super) type Verdict = Result<Attributed, Unattributed>;

/// One machine, as known, with everything that does not depend on the instant.
pub(super) struct Case<'a> {
    view: View<'a>,
    site: &'a Site,
    device: DeviceId,
    claims: Vec<Claim<'a>>,
    pauses: Vec<&'a Entry>,
}

impl<'a> Case<'a> {
    pub fn new(
        view: View<'a>,
        site: &'a Site,
        device: &DeviceId,
        channel: Option<&Channel>,
        measurement: Option<&MeasurementId>,
    ) -> Self {
        let mut claims = view.claims(device, measurement);
        claims.retain(|claim| claim.channel.is_none() || claim.channel == channel);
        Self { view, site, device: device.clone(), claims, pauses: view.pauses(device) }
    }

    /// The instants at which the verdict can change.
    pub fn edges(&self) -> Vec<Utc> {
        let limit_s = self.site.policy.unseen_hours_max.seconds();
        let mut edges: Vec<Utc> =
            self.claims.iter().flat_map(|claim| claim.edges(limit_s)).collect();
        edges.extend(self.pauses.iter().filter_map(|pause| super::claims::pause_time(pause)));
        edges.extend(self.view.place_edges(&self.device, limit_s));
        let patients: std::collections::BTreeSet<&PatientId> =
            self.claims.iter().map(|claim| &claim.patient).collect();
        for patient in patients {
            let movements = self.view.movements(patient);
            edges.extend(movements.iter().filter_map(|entry| entry.says.movement_time()));
        }
        edges
    }

    /// Whose is what the machine says at that instant.
    pub fn at(&self, at: Utc) -> Verdict {
        let place = self.view.place_of(&self.device, at);
        let verdict = self.without_place(at, place.as_ref());
        verdict.map_err(|nobody| Unattributed { place, ..nobody })
    }

    fn without_place(&self, at: Utc, place: Option<&Place>) -> Verdict {
        if self.site.is_analyser(&self.device) {
            return Err(Unattributed::because(WhyNot::Analyser, Vec::new()));
        }
        let limit_s = self.site.policy.unseen_hours_max.seconds();
        let (fresh, stale): (Vec<&Claim>, Vec<&Claim>) =
            self.standing(at).into_iter().partition(|claim| claim.is_fresh(at, limit_s));
        if fresh.is_empty() {
            return self.by_place(at, place, &stale);
        }
        let (late, direct): (Vec<&Claim>, Vec<&Claim>) =
            fresh.into_iter().partition(|claim| claim.is_late(at));
        if direct.is_empty() {
            return self.agreed(at, place, &late);
        }
        // A later "since 08:00" for the same patient strengthens; for another one it is too late.
        let same = late
            .into_iter()
            .filter(|claim| direct.iter().any(|other| other.patient == claim.patient));
        let counting: Vec<&Claim> = same.chain(direct.iter().copied()).collect();
        self.agreed(at, place, &counting)
    }

    /// The claims that speak of the instant and are not overruled by another such.
    fn standing(&self, at: Utc) -> Vec<&Claim<'a>> {
        let speaking: Vec<&Claim> = self.claims.iter().filter(|claim| claim.holds(at)).collect();
        let falls = |claim: &&Claim| {
            speaking.iter().any(|other| self.view.overrules(&other.entry.id, &claim.entry.id))
        };
        speaking.iter().copied().filter(|claim| !falls(claim)).collect()
    }

    /// The one patient that all these claims name.
    fn agreed(&self, at: Utc, place: Option<&Place>, claims: &[&Claim<'a>]) -> Verdict {
        let ids = || claims.iter().map(|claim| claim.entry.id.clone()).collect::<Vec<_>>();
        let Some(first) = claims.first() else {
            return Err(Unattributed::because(WhyNot::NotAssociated, Vec::new()));
        };
        if claims.iter().any(|claim| claim.patient != first.patient) {
            return Err(Unattributed::because(WhyNot::Conflict, ids()));
        }
        let patient = &first.patient;
        let whereabouts = self.view.whereabouts(patient, at);
        let in_census = whereabouts.is_present();
        let enough =
            |claim: &&&Claim| self.site.is_enough(&self.device, claim.grade, in_census, place);
        let Some(best) = claims.iter().filter(enough).max_by_key(|claim| rank(claim)) else {
            let proposal = Some(patient.clone());
            let nobody = Unattributed::because(WhyNot::NotEnough, ids());
            return Err(Unattributed { proposal, ..nobody });
        };
        let pause = paused(&self.pauses, at);
        let goes_on =
            |claim: &&&Claim| !pause.as_ref().is_some_and(|pause| suspends(pause, claim, at));
        // An older scan that is suspended does not silence who said since that it goes on.
        let standing = claims.iter().filter(enough).filter(goes_on);
        let Some(best) = standing.max_by_key(|claim| rank(claim)) else {
            let by = pause.map(|pause| pause.by);
            let entries = [best.entry.id.clone()].into_iter().chain(by).collect();
            let proposal = Some(patient.clone());
            let nobody = Unattributed::because(WhyNot::Suspended, entries);
            return Err(Unattributed { proposal, ..nobody });
        };
        Ok(attributed(patient, best.grade, vec![best.entry.id.clone()], whereabouts, place))
    }

    /// Where nobody says anything of the machine: the one patient in the place where it stands.
    fn by_place(&self, at: Utc, place: Option<&Place>, stale: &[&Claim<'a>]) -> Verdict {
        let here = place.map(|place| self.view.patients_in(place, at)).unwrap_or_default();
        if let Some(passed) = stale.first() {
            let entries = stale.iter().map(|claim| claim.entry.id.clone()).collect();
            let proposal = Some(passed.patient.clone());
            let nobody = Unattributed::because(WhyNot::LimitPassed, entries);
            return Err(Unattributed { proposal, ..nobody });
        }
        let [(patient, by)] = here.as_slice() else {
            let entries = here.into_iter().map(|(_, by)| by).collect();
            return Err(Unattributed::because(WhyNot::NotAssociated, entries));
        };
        let stand = self.view.stand(&self.device, at).map(|(_, by)| by.clone());
        let entries: Vec<EntryId> = [by.clone()].into_iter().chain(stand).collect();
        let pause = paused(&self.pauses, at);
        if !self.view.seen_since(by, at, self.site.policy.unseen_hours_max.seconds()) {
            let proposal = Some(patient.clone());
            let nobody = Unattributed::because(WhyNot::LimitPassed, entries);
            return Err(Unattributed { proposal, ..nobody });
        }
        if !self.site.is_enough(&self.device, Grade::Location, true, place) || pause.is_some() {
            let why = if pause.is_some() { WhyNot::Suspended } else { WhyNot::NotEnough };
            let proposal = Some(patient.clone());
            return Err(Unattributed { proposal, ..Unattributed::because(why, entries) });
        }
        let whereabouts = self.view.whereabouts(patient, at);
        Ok(attributed(patient, Grade::Location, entries, whereabouts, place))
    }
}

/// The strongest claim, and of equals the newest; the id settles the rest.
fn rank<'a>(claim: &Claim<'a>) -> (Grade, Utc, &'a EntryId) {
    (claim.grade, claim.entry.stated, &claim.entry.id)
}

fn attributed(
    patient: &PatientId,
    grade: Grade,
    mut entries: Vec<EntryId>,
    whereabouts: Whereabouts,
    place: Option<&Place>,
) -> Attributed {
    let in_census = whereabouts.is_present();
    let place = place.or(whereabouts.place()).cloned();
    entries.extend(whereabouts.by.filter(|by| in_census && !entries.contains(by)));
    let encounter = whereabouts.encounter.filter(|_| in_census);
    Attributed { patient: patient.clone(), encounter, place, grade, in_census, entries }
}
