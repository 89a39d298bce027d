//! ADT messages of the patient administration as what the ledger takes, and the little that is kept
//! of a patient beside it. Pure reading: no connection, no answer.
//!
//! | events | become |
//! |---|---|
//! | A01 A04, A02 A10 A17, A06 A07, A22 | [`Says::Movement`]: present, in the bed of PV1-3 |
//! | A03, A21 | gone; away |
//! | A11, A12, A13 | [`Says::Cancelled`] from the time of the cancellation on |
//! | A18, A34, A36, A40, A47 | [`Says::Merged`]: MRG-1 is retired, PID-3 goes on |
//! | A44, A45 | the stay is cancelled for MRG-1 and begins for PID-3; a person decides on scans |
//! | A05, A08, A09, A28, A31, A35 | nothing but name, birth date, sex and protection |
//! | all others | nothing; counted |
//!
//! Kept are identifiers, name, birth date, sex, place, encounter and the protection mark. An empty
//! field says nothing, `""` says that it is to be deleted (facts/semantics.md 1.6).

mod news;
mod patient;
mod site;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;

pub use news::news;
pub use patient::{Person, Stated};
pub use site::{AdtSite, PlaceName};

use super::entry::{Movement, Presence, Says};
use super::message::{Opened, Reading};
use super::time::Utc;
use crate::protocol::hl7v2::segments::Segment;
use crate::vocabulary::{EncounterId, PatientId, Refused, Why};

/// What an ADT message said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdtMessage {
    /// MSH-9.2: `A01`.
    pub event: String,
    /// Whether the event is one of those above. Others are counted.
    pub known: bool,
    /// When it was recorded: EVN-2, else MSH-7.
    pub stated: Utc,
    /// For the ledger, by the patient administration. Other identifiers of the same human are
    /// merges too; whoever adds them leaves out what the ledger knows.
    pub says: Vec<Says>,
    /// What is kept of each patient in it.
    pub persons: Vec<Person>,
    /// What could not be read. Names fields, shows nothing of them.
    pub refusals: Vec<Refused>,
}

/// Reads one message, with the framing bytes of MLLP or up to the end of its last segment. `zone`
/// is the sender's.
///
/// # Errors
/// The message is no ADT, or says neither who nor when.
pub fn read(raw: &[u8], site: &AdtSite, zone: Option<&TimeZone>) -> Result<AdtMessage, Refused> {
    let opened = Opened::read(raw)?;
    let wire = opened.wire();
    let (msh, rest) = (&opened.msh, opened.rest.as_slice());
    let kind = wire.field_text(msh, 9)?;
    let mut parts = kind.split(char::from(wire.delimiters.component));
    let (code, event) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if code != "ADT" || event.len() != 3 || !event.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        let detail = "expected ADT and an event in MSH-9";
        return Err(Refused::new(Why::UnsupportedMessage, msh.at.clone(), detail));
    }
    let mut reading = Reading { wire: &wire, site, zone, refusals: Vec::new() };
    let evn = rest.iter().find(|segment| segment.id == *b"EVN");
    let recorded = evn.and_then(|evn| reading.time(evn, 2));
    let Some(stated) = recorded.or_else(|| reading.time(msh, 7)) else {
        let detail = "expected a time in EVN-2 or MSH-7";
        return Err(Refused::new(Why::Unreadable, msh.at.clone(), detail));
    };
    let occurred = evn.and_then(|evn| reading.time(evn, 6));
    let meaning = meaning(event);
    let (mut says, mut persons) = (Vec::new(), Vec::new());
    if meaning.is_some() {
        for group in groups(rest) {
            let Some(patient) = reading.patient(group.pid) else { continue };
            persons.push(reading.person(&patient, &group));
            says.extend(reading.aliases(group.pid, &patient, stated));
            let moment = reading.occurred(event, &group).or(occurred).unwrap_or(stated);
            says.extend(reading.says(meaning, &patient, &group, [moment, stated]));
        }
        if persons.is_empty() {
            let detail = "expected a patient with an identifier of a known authority in PID-3";
            return Err(Refused::new(Why::Unreadable, opened.within.clone(), detail));
        }
    }
    let refusals = reading.refusals;
    let (event, known) = (event.to_owned(), meaning.is_some());
    Ok(AdtMessage { event, known, stated, says, persons, refusals })
}

/// What an event means for the ledger.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meant {
    Here(Movement),
    Gone,
    Away,
    Cancels(Movement),
    Merges,
    MovesStay,
    PersonOnly,
}

fn meaning(event: &str) -> Option<Meant> {
    Some(match event {
        "A01" | "A04" => Meant::Here(Movement::Admission),
        "A02" | "A10" | "A17" => Meant::Here(Movement::Transfer),
        "A06" | "A07" | "A22" => Meant::Here(Movement::Other),
        "A03" => Meant::Gone,
        "A21" => Meant::Away,
        "A11" => Meant::Cancels(Movement::Admission),
        "A12" => Meant::Cancels(Movement::Transfer),
        "A13" => Meant::Cancels(Movement::Discharge),
        "A18" | "A34" | "A36" | "A40" | "A47" => Meant::Merges,
        "A44" | "A45" => Meant::MovesStay,
        "A05" | "A08" | "A09" | "A28" | "A31" | "A35" => Meant::PersonOnly,
        _ => return None,
    })
}

/// A patient's segments: PID and what follows it up to the next one.
struct Group<'a> {
    pid: &'a Segment,
    pd1: Option<&'a Segment>,
    pv1: Option<&'a Segment>,
    mrg: Option<&'a Segment>,
}

fn groups(segments: &[Segment]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    for segment in segments {
        if segment.id == *b"PID" {
            groups.push(Group { pid: segment, pd1: None, pv1: None, mrg: None });
            continue;
        }
        let Some(group) = groups.last_mut() else { continue };
        match &segment.id {
            b"PD1" => group.pd1 = Some(segment),
            b"PV1" => group.pv1 = Some(segment),
            b"MRG" => group.mrg = Some(segment),
            _ => {}
        }
    }
    groups
}

impl Reading<'_> {
    /// When an admission or a discharge was, by the stay itself.
    fn occurred(&mut self, event: &str, group: &Group<'_>) -> Option<Utc> {
        match event {
            "A01" | "A04" => self.time(group.pv1?, 44),
            "A03" => self.time(group.pv1?, 45),
            _ => None,
        }
    }

    fn says(
        &mut self,
        meaning: Option<Meant>,
        patient: &PatientId,
        group: &Group<'_>,
        [from, stated]: [Utc; 2],
    ) -> Vec<Says> {
        let encounter = group.pv1.and_then(|pv1| self.encounter(pv1));
        let place = group.pv1.and_then(|pv1| self.place(pv1, 3));
        let movement = |movement, presence| Says::Movement {
            patient: patient.clone(),
            encounter: encounter.clone(),
            movement,
            presence,
            from,
        };
        match meaning {
            None | Some(Meant::PersonOnly) => Vec::new(),
            Some(Meant::Here(kind)) => vec![movement(kind, Presence::Present { place })],
            Some(Meant::Gone) => vec![movement(Movement::Discharge, Presence::Left)],
            Some(Meant::Away) => vec![movement(Movement::Other, Presence::Away)],
            Some(Meant::Cancels(kind)) => vec![Says::Cancelled {
                patient: patient.clone(),
                encounter,
                movement: kind,
                at: stated,
            }],
            Some(Meant::Merges) => self.merged(patient, group, stated),
            Some(Meant::MovesStay) => {
                let begins = movement(Movement::Admission, Presence::Present { place });
                let ends = self.retired(group).into_iter().map(|patient| Says::Cancelled {
                    patient,
                    encounter: None,
                    movement: Movement::Admission,
                    at: stated,
                });
                ends.chain([begins]).collect()
            }
        }
    }

    fn merged(&mut self, patient: &PatientId, group: &Group<'_>, at: Utc) -> Vec<Says> {
        let retired = self.retired(group).into_iter().filter(|retired| retired != patient);
        retired.map(|retired| Says::Merged { retired, surviving: patient.clone(), at }).collect()
    }

    /// The other identifiers in PID-3, which are the same human.
    fn aliases(&mut self, pid: &Segment, patient: &PatientId, at: Utc) -> Vec<Says> {
        let before = self.refusals.len();
        let all = self.identifiers(pid, 3);
        // They were told when the patient was read.
        self.refusals.truncate(before);
        let others = all.into_iter().filter(|other| other != patient);
        others.map(|retired| Says::Merged { retired, surviving: patient.clone(), at }).collect()
    }

    /// The identifiers in MRG-1.
    fn retired(&mut self, group: &Group<'_>) -> Vec<PatientId> {
        let found = group.mrg.map(|mrg| self.identifiers(mrg, 1)).unwrap_or_default();
        if found.is_empty() {
            let at = group.mrg.unwrap_or(group.pid).at.clone();
            let detail = "expected an identifier of a known authority in MRG-1";
            self.refusals.push(Refused::new(Why::Unreadable, at, detail));
        }
        found
    }

    fn encounter(&mut self, pv1: &Segment) -> Option<EncounterId> {
        let visit = self.wire.repetitions(pv1, 19).into_iter().next()?;
        let components = self.wire.components(&visit);
        let number = self.kept(self.wire.component(&components, 1));
        EncounterId::parse(number.trim()).ok()
    }
}
