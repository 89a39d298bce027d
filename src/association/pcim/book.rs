//! All evidence of each association, and what the ledger takes of it.
//!
//! The ledger's entries are never changed, so a correction is a new entry beside the withdrawal of
//! the old one. What an association is follows from the whole of its evidence, sorted by when it
//! was stated: so no order of arrival matters. The new entry is added before the old one is
//! withdrawn, so that a value that keeps its patient changes hands in between with nobody.
//!
//! | evidence | begin, end, patient |
//! |---|---|
//! | F, C | what the last one stated says |
//! | F without a time | what was last asserted before it |
//! | C without a time | what stood before it |
//! | R | nothing until an F |
//! | W | there never was one, whatever else comes |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::codes::Trouble;
use super::{Act, Evidence, Status};
use crate::association::claims::Claim;
use crate::association::entry::{By, Entry, Says};
use crate::association::ledger::{Ledger, Taken};
use crate::association::names::{DeviceId, EntryId, PersonId};
use crate::association::register::Statement;
use crate::association::time::{Span, Utc};
use crate::vocabulary::{Grade, PatientId};

/// The evidence by association and event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Book {
    of: BTreeMap<EntryId, BTreeMap<EntryId, Evidence>>,
}

impl Book {
    /// Takes evidence. What it changes in the ledger says [`Book::statements`].
    ///
    /// # Errors
    /// The event is known and said something else, the association is of another device, or a time
    /// is confirmed that nobody stated.
    pub fn take(&mut self, evidence: Evidence, ledger: &Ledger) -> Result<Taken, Trouble> {
        let association = &evidence.association;
        let known = self.of.get(association);
        if let Some(there) = known.and_then(|events| events.get(&evidence.event)) {
            return if *there == evidence { Ok(Taken::Known) } else { Err(Trouble::Other) };
        }
        let own = ledger.entry(association).and_then(own);
        let mut others = known.into_iter().flat_map(BTreeMap::values).chain(&own);
        if others.any(|other| other.device != evidence.device) {
            return Err(Trouble::Other);
        }
        let (confirms, act) = (evidence.status == Status::Validated, evidence.act);
        let (association, event) = (association.clone(), evidence.event.clone());
        self.of.entry(association.clone()).or_default().insert(event.clone(), evidence);
        let course = Course::of(&self.sorted(&association, own.as_ref()), ledger);
        let nothing = match act {
            Act::Begins => course.begin.is_none(),
            Act::Ends => course.end.is_none(),
        };
        if confirms && nothing {
            self.of.entry(association).or_default().remove(&event);
            return Err(Trouble::Other);
        }
        Ok(Taken::New)
    }

    /// Takes evidence that was taken before.
    pub fn put(&mut self, evidence: Evidence) {
        let (association, event) = (evidence.association.clone(), evidence.event.clone());
        self.of.entry(association).or_default().insert(event, evidence);
    }

    /// Whether exactly this is there.
    pub fn is_known(&self, evidence: &Evidence) -> bool {
        let events = self.of.get(&evidence.association);
        events.and_then(|events| events.get(&evidence.event)) == Some(evidence)
    }

    /// The association that a later event without OBR-29 speaks of: the one open association of
    /// this device and patient.
    ///
    /// # Errors
    /// There is none, or there are several.
    pub fn matched(&self, evidence: &Evidence, ledger: &Ledger) -> Result<EntryId, Trouble> {
        let first = evidence.status == Status::Asserted || evidence.status == Status::Validated;
        if first && evidence.act == Act::Begins {
            return Ok(evidence.event.clone());
        }
        let patient = ledger.survivor(&evidence.patient);
        let speaks = |other: &Evidence| {
            other.device == evidence.device && ledger.survivor(&other.patient) == patient
        };
        let owns = ledger.entries().filter_map(own);
        let owns: Vec<Evidence> = owns.filter(speaks).collect();
        let kept = self.of.values().flat_map(BTreeMap::values).filter(|other| speaks(other));
        let mut ids: Vec<&EntryId> = kept.chain(&owns).map(|other| &other.association).collect();
        ids.sort();
        ids.dedup();
        ids.retain(|id| {
            let own = ledger.entry(id).and_then(own);
            let course = Course::of(&self.sorted(id, own.as_ref()), ledger);
            // A time may be corrected after the end.
            let open = course.end.is_none() || evidence.status != Status::Validated;
            let here = ledger.entry(id).is_none_or(|entry| ledger.view(Utc::MAX).counts(entry));
            !course.wrong && open && here
        });
        match ids.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(Trouble::NotAssociated),
            _ => Err(Trouble::Other),
        }
    }

    /// Why a manager does not take this: the device is on another patient at that time.
    pub fn conflict(&self, evidence: &Evidence, ledger: &Ledger) -> Option<Trouble> {
        let begin = evidence.begin.filter(|_| evidence.act == Act::Begins)?;
        let patient = ledger.survivor(&evidence.patient);
        let limit_s = ledger.site().policy.unseen_hours_max.seconds();
        let taken = |span: Span| {
            let before_its_end = span.until.is_none_or(|until| begin < until);
            before_its_end && evidence.end.is_none_or(|end| span.from < end)
        };
        let later = |event: &EntryId| part(event, ASSOCIATION);
        let same: Vec<&EntryId> = self
            .entries(&evidence.association, ledger, later)
            .into_iter()
            .map(|entry| &entry.id)
            .chain([&evidence.association])
            .collect();
        let other = |claim: &Claim<'_>| {
            claim.patient != patient
                && claim.grade > Grade::Location
                && !same.contains(&&claim.entry.id)
                && claim.span.is_some_and(|span| {
                    taken(span) && claim.is_fresh(begin.max(span.from), limit_s)
                })
        };
        let claims = ledger.view(Utc::MAX).claims(&evidence.device, None);
        claims.iter().any(other).then_some(Trouble::OnAnotherPatient)
    }

    /// What an event, which was taken, changes in the ledger; nothing if the ledger says so
    /// already. In the order in which it is to be added.
    pub fn statements(
        &self,
        association: &EntryId,
        event: &EntryId,
        ledger: &Ledger,
    ) -> Vec<Statement> {
        let own = ledger.entry(association).and_then(own);
        let sorted = self.sorted(association, own.as_ref());
        let Some(one) = sorted.iter().find(|one| one.event == *event) else { return Vec::new() };
        let (device, stated) = (&one.device, one.stated);
        let change = Change { association, event, device, stated, ledger, standing: Vec::new() };
        change.to(self, &Course::of(&sorted, ledger))
    }

    /// What waits for a person: asserted, and neither validated nor declared wrong.
    pub fn proposals(&self) -> impl Iterator<Item = &Evidence> {
        self.of.values().filter_map(|events| {
            let decided = |one: &Evidence| one.status != Status::Asserted;
            if events.values().any(decided) {
                return None;
            }
            events.values().max_by_key(|one| (one.stated, &one.event))
        })
    }

    /// A person's word on a proposal, as evidence: it is validated, or it never was. `event` is a
    /// new id. `None` if nothing waits under this association.
    pub fn decided(
        &self,
        association: &EntryId,
        event: EntryId,
        (person, holds): (PersonId, bool),
        at: Utc,
    ) -> Option<Evidence> {
        let proposal = self.proposals().find(|one| one.association == *association)?;
        let status = if holds { Status::Validated } else { Status::Wrong };
        let time = |stated: Option<Utc>| stated.filter(|_| holds);
        Some(Evidence {
            event,
            status,
            begin: time(proposal.begin),
            end: time(proposal.end),
            stated: at,
            validator: Some(person),
            ..proposal.clone()
        })
    }

    /// Everything that is known of an association, by the time at which it was stated.
    fn sorted<'a>(&'a self, association: &EntryId, own: Option<&'a Evidence>) -> Vec<&'a Evidence> {
        let known = self.of.get(association).into_iter().flat_map(BTreeMap::values);
        let mut sorted: Vec<&Evidence> = known.chain(own).collect();
        sorted.sort_by_key(|one| (one.stated, &one.event));
        sorted
    }

    /// The association that an entry of the ledger belongs to: its own id, unless the entry is a
    /// later form of one.
    pub(super) fn root_of(&self, entry: &EntryId) -> EntryId {
        self.behind(entry).map_or(entry, |evidence| &evidence.association).clone()
    }

    /// All evidence.
    pub fn all(&self) -> impl Iterator<Item = &Evidence> {
        self.of.values().flat_map(BTreeMap::values)
    }

    /// The evidence that an entry of the ledger came with; `None` for what was done here.
    pub(super) fn behind(&self, entry: &EntryId) -> Option<&Evidence> {
        let first = self.of.get(entry).and_then(|events| events.get(entry));
        let mut all = self.all();
        let later = |one: &&Evidence| part(&one.event, ASSOCIATION).as_ref() == Some(entry);
        first.or_else(|| all.find(later))
    }

    /// The events of the association that have an entry of such a form in the ledger.
    fn entries<'l>(
        &self,
        association: &EntryId,
        ledger: &'l Ledger,
        form: impl Fn(&EntryId) -> Option<EntryId>,
    ) -> Vec<&'l Entry> {
        let events = self.of.get(association).into_iter().flat_map(BTreeMap::keys);
        events.filter_map(|event| ledger.entry(&form(event)?)).collect()
    }

    /// Lets go of associations of which nothing stands in the ledger, and of which nothing was
    /// stated since.
    pub fn forget(&mut self, before: Utc, ledger: &Ledger) {
        let old =
            |events: &BTreeMap<EntryId, Evidence>| events.values().all(|one| one.stated < before);
        let held: Vec<EntryId> = self
            .of
            .iter()
            .filter(|(association, events)| {
                !old(events)
                    || ledger.entry(association).is_some()
                    || events.keys().any(|event| {
                        part(event, ASSOCIATION).is_some_and(|id| ledger.entry(&id).is_some())
                    })
            })
            .map(|(association, _)| association.clone())
            .collect();
        self.of.retain(|association, _| held.contains(association));
    }
}

/// What the ends of the ids of an event's entries say.
const ASSOCIATION: &str = "association";
const END: &str = "end";
const WITHDRAWAL: &str = "withdrawal";

fn part(event: &EntryId, what: &str) -> Option<EntryId> {
    EntryId::parse(&format!("{}/{what}", event.as_str())).ok()
}

/// An association that this site made itself, as the evidence that it is for others.
fn own(entry: &Entry) -> Option<Evidence> {
    let Says::Associated { device, patient, span, channel: None } = &entry.says else {
        return None;
    };
    if entry.by == By::Core {
        return None;
    }
    Some(Evidence {
        association: entry.id.clone(),
        event: entry.id.clone(),
        act: Act::Begins,
        status: Status::Validated,
        device: device.clone(),
        patient: patient.clone(),
        begin: Some(span.from),
        end: span.until,
        stated: entry.stated,
        place: None,
        author: None,
        validator: None,
    })
}

/// What an association is by its evidence.
struct Course {
    wrong: bool,
    patient: Option<PatientId>,
    begin: Option<Utc>,
    end: Option<Utc>,
    /// When the end was stated.
    end_stated: Option<Utc>,
    /// When the patient was first stated, whom it has now.
    stated: Option<Utc>,
}

impl Course {
    /// From evidence that is sorted by when it was stated.
    fn of(sorted: &[&Evidence], ledger: &Ledger) -> Self {
        let mut course = Self {
            wrong: sorted.iter().any(|one| one.status == Status::Wrong),
            patient: None,
            begin: None,
            end: None,
            end_stated: None,
            stated: None,
        };
        let (mut begin, mut end) = (None, None);
        for one in sorted {
            if one.act == Act::Begins {
                begin = one.begin.or(begin);
            }
            end = one.end.or(end);
            let stands = match one.status {
                Status::Asserted | Status::Wrong => continue,
                Status::Validated => [begin, end],
                Status::Corrected => [course.begin.or(begin), course.end.or(end)],
            };
            match one.act {
                Act::Begins => {
                    course.begin = one.begin.or(stands[0]);
                    // A spot check ends as it begins.
                    course.ends(one.end, one.stated);
                }
                Act::Ends => course.ends(one.end.or(stands[1]), one.stated),
            }
            if one.act == Act::Begins || one.status == Status::Corrected {
                let human = ledger.survivor(&one.patient);
                let same = course.patient.is_some_and(|had| ledger.survivor(&had) == human);
                course.stated = course.stated.filter(|_| same).or(Some(one.stated));
                course.patient = Some(one.patient.clone());
            }
        }
        course
    }

    fn ends(&mut self, end: Option<Utc>, stated: Utc) {
        if end.is_some() {
            self.end_stated = self.end_stated.filter(|_| self.end == end).or(Some(stated));
            self.end = end;
        }
    }
}

/// One event's change of the ledger.
struct Change<'a> {
    association: &'a EntryId,
    event: &'a EntryId,
    device: &'a DeviceId,
    stated: Utc,
    ledger: &'a Ledger,
    standing: Vec<&'a Entry>,
}

impl<'a> Change<'a> {
    fn to(mut self, book: &Book, course: &Course) -> Vec<Statement> {
        let view = self.ledger.view(Utc::MAX);
        let first = self.ledger.entry(self.association);
        let later = book.entries(self.association, self.ledger, |event| part(event, ASSOCIATION));
        let associations: Vec<&Entry> = first.into_iter().chain(later).collect();
        self.standing.extend(associations.iter().copied().filter(|entry| view.counts(entry)));
        if course.wrong {
            return self.withdraw(&[]);
        }
        // A person here withdrew it: what is told later does not bring it back.
        if !associations.is_empty() && self.standing.is_empty() {
            return Vec::new();
        }
        let (Some(patient), Some(from), Some(stated)) =
            (&course.patient, course.begin, course.stated)
        else {
            return Vec::new();
        };
        let ends = book.entries(self.association, self.ledger, |event| part(event, END));
        // An end that a person here has said holds, too.
        let here = self.standing.iter().flat_map(|entry| view.about(&entry.id));
        let here = here.filter(|about| !ends.iter().any(|end| end.id == about.id));
        let until = here.filter_map(|about| about.says.end()).chain(course.end).min();
        let span = Span { from, until: until.map(|until| until.max(from)) };
        self.as_one_entry(patient, span, stated.max(from), course.end_stated)
    }

    fn as_one_entry(
        &self,
        patient: &PatientId,
        span: Span,
        stated: Utc,
        end_stated: Option<Utc>,
    ) -> Vec<Statement> {
        let view = self.ledger.view(Utc::MAX);
        let human = self.ledger.survivor(patient);
        let fits = |entry: &&&Entry| {
            let Says::Associated { patient, span: stands, .. } = &entry.says else { return false };
            let stands = view.span_of(entry, *stands);
            self.ledger.survivor(patient) == human
                && stands.from == span.from
                && entry.stated == stated
                && (stands.until == span.until || stands.until.is_none())
        };
        let Some(kept) = self.standing.iter().find(fits) else {
            let Some(id) = self.new_id() else { return Vec::new() };
            let (device, patient) = (self.device.clone(), patient.clone());
            let says = Says::Associated { device, channel: None, patient, span };
            let mut statements = vec![Statement { id, stated, by: By::Core, says }];
            statements.extend(self.withdraw(&[]));
            return statements;
        };
        let mut statements = Vec::new();
        let Says::Associated { span: stands, .. } = &kept.says else { return statements };
        if let Some(at) = span.until.filter(|_| view.span_of(kept, *stands).until.is_none())
            && let Some(id) = part(self.event, END)
        {
            let says = Says::Ended { association: kept.id.clone(), at };
            let stated = end_stated.unwrap_or(self.stated);
            statements.push(Statement { id, stated, by: By::Core, says });
        }
        statements.extend(self.withdraw(&[&kept.id]));
        statements
    }

    /// The association's own id for the first entry of it.
    fn new_id(&self) -> Option<EntryId> {
        let first = self.event == self.association && self.ledger.entry(self.association).is_none();
        if first { Some(self.association.clone()) } else { part(self.event, ASSOCIATION) }
    }

    fn withdraw(&self, but: &[&EntryId]) -> Vec<Statement> {
        let standing = self.standing.iter().filter(|entry| !but.contains(&&entry.id));
        let statements = standing.enumerate().filter_map(|(number, entry)| {
            let id = part(self.event, &format!("{WITHDRAWAL}-{number}"))?;
            let says = Says::Withdrawn { entry: entry.id.clone(), reason: REASON.to_owned() };
            Some(Statement { id, stated: self.stated, by: By::Core, says })
        });
        statements.collect()
    }
}

/// Why an entry is withdrawn: another system corrected it or declared it wrong.
const REASON: &str = "corrected-by-core";
