//! What others are told: what a person did here, as evidence; and by a manager what other systems
//! told it, as it came, so that whoever is told everything comes to the same in any order. An
//! association of one channel of a device cannot be said in this profile and is not told.

use std::collections::BTreeSet;

use super::book::Book;
use super::{Act, Evidence, Status, Transaction};
use crate::association::entry::{By, Entry, Says};
use crate::association::ledger::Ledger;
use crate::association::names::{DeviceId, EntryId, PersonId};
use crate::association::time::{Span, Utc};
use crate::vocabulary::{Digest, PatientId};

/// All associations that are open at a time: what a consumer gets first at each connection. Of one
/// that other systems told of, all that they said.
pub fn current(ledger: &Ledger, book: &Book, to: Transaction, now: Utc) -> Vec<Evidence> {
    let teller = Teller { ledger, book, to };
    let view = ledger.view(Utc::MAX);
    let open = ledger.entries().filter(|entry| {
        teller.associated(entry).is_some_and(|(.., span)| span.holds(now)) && view.counts(entry)
    });
    let (mut told, mut roots) = (Vec::new(), BTreeSet::new());
    for entry in open {
        roots.insert(book.root_of(&entry.id));
        if entry.by != By::Core {
            told.extend(teller.begins(entry, None));
        }
    }
    told.extend(heard_by(book, to).into_iter().filter(|one| roots.contains(&one.association)));
    told.sort_by(|one, other| (one.stated, &one.event).cmp(&(other.stated, &other.event)));
    told
}

/// What a manager tells of what other systems told it: everything behind which a person stands, by
/// when it was stated.
pub fn heard_by(book: &Book, to: Transaction) -> Vec<Evidence> {
    if to == Transaction::Communicate {
        return Vec::new();
    }
    let validated = |one: &&Evidence| one.status != Status::Asserted;
    let mut told: Vec<Evidence> = book.all().filter(validated).cloned().collect();
    told.sort_by(|one, other| (one.stated, &one.event).cmp(&(other.stated, &other.event)));
    told
}

/// What an entry that is in the ledger by now is for others. Empty if it is nothing for them, or
/// comes from them.
pub fn told_of(entry: &Entry, ledger: &Ledger, book: &Book, to: Transaction) -> Vec<Evidence> {
    Teller { ledger, book, to }.of(entry)
}

struct Teller<'a> {
    ledger: &'a Ledger,
    book: &'a Book,
    to: Transaction,
}

impl Teller<'_> {
    /// Whether others are to hear it from this box: the manager tells what every person said, a
    /// reporter what its own persons did.
    fn tells(&self, by: &By) -> bool {
        match by {
            By::Scan { .. } | By::Person { .. } => true,
            By::Core => self.to == Transaction::Report,
            By::Device | By::Adt | By::Configuration | By::Box => false,
        }
    }

    fn of(&self, entry: &Entry) -> Vec<Evidence> {
        if let Says::Merged { retired, surviving, .. } = &entry.says {
            return self.merged(entry, retired, surviving);
        }
        if entry.by == By::Core || !self.tells(&entry.by) {
            return Vec::new();
        }
        let one = match &entry.says {
            Says::Associated { .. } => self.begins(entry, None),
            Says::SpotCheck { device, patient, at, .. } => {
                let span = Span { from: *at, until: Some(*at) };
                Some(self.evidence(&entry.id, entry, (device, patient, span)))
            }
            Says::Ended { association, at } => self.named(association).map(|(of, held)| Evidence {
                act: Act::Ends,
                begin: None,
                end: Some(*at),
                event: entry.id.clone(),
                stated: entry.stated,
                author: person(&entry.by),
                ..self.evidence(&self.book.root_of(&of.id), of, held)
            }),
            Says::Withdrawn { entry: named, .. } => self.withdrawn(entry, named),
            Says::Plugged { .. }
            | Says::Unplugged { .. }
            | Says::Stands { .. }
            | Says::Seen { .. }
            | Says::Paused { .. }
            | Says::Resumed { .. }
            | Says::Movement { .. }
            | Says::Cancelled { .. }
            | Says::Merged { .. }
            | Says::Decided { .. } => None,
        };
        one.into_iter().collect()
    }

    /// The association's patient was retired: the one who goes on is the same human.
    fn merged(&self, entry: &Entry, retired: &PatientId, surviving: &PatientId) -> Vec<Evidence> {
        let of_retired = self.ledger.entries().filter(|other| {
            let told = self.associated(other);
            told.is_some_and(|(_, patient, span)| patient == retired && span.holds(entry.stated))
        });
        let corrections = of_retired.filter_map(|other| {
            let digest = Digest::of_parts(&[entry.id.as_str(), other.id.as_str()]);
            let event = EntryId::parse(&digest.to_string()).ok()?;
            let told = self.begins(other, Some((event, entry)))?;
            Some(Evidence { patient: surviving.clone(), ..told })
        });
        corrections.collect()
    }

    fn withdrawn(&self, entry: &Entry, named: &EntryId) -> Option<Evidence> {
        let root = self.book.root_of(named);
        if let Some((of, held)) = self.named(named) {
            if self.stands(&root) {
                // A correction, told with the entry that stands now.
                return None;
            }
            let told = self.evidence(&root, of, held);
            let (author, validator) = self.behind(&told, &entry.by);
            return Some(Evidence {
                status: Status::Wrong,
                begin: None,
                end: None,
                event: entry.id.clone(),
                stated: entry.stated,
                author,
                validator,
                ..told
            });
        }
        // An end that was none: the association stands as it was.
        let end = self.ledger.entry(named)?;
        let Says::Ended { association, .. } = &end.says else { return None };
        let of = self.ledger.entry(association)?;
        self.begins(of, Some((entry.id.clone(), entry)))
    }

    /// Who declares something wrong or corrects it: in the manager's interface that is a validator
    /// beside the author.
    fn behind(&self, told: &Evidence, by: &By) -> (Option<PersonId>, Option<PersonId>) {
        match self.to {
            Transaction::Communicate => (person(by), None),
            Transaction::Report => (told.author.clone(), person(by)),
        }
    }

    /// Whether any form of the association counts.
    fn stands(&self, root: &EntryId) -> bool {
        let view = self.ledger.view(Utc::MAX);
        let same = |entry: &&Entry| {
            self.associated(entry).is_some() && self.book.root_of(&entry.id) == *root
        };
        self.ledger.entries().filter(same).any(|entry| view.counts(entry))
    }

    /// The beginning of an association as it stands; as a correction if something says so.
    fn begins(&self, entry: &Entry, corrected: Option<(EntryId, &Entry)>) -> Option<Evidence> {
        let held = self.associated(entry)?;
        let root = self.book.root_of(&entry.id);
        let told = self.evidence(&root, entry, held);
        let Some((event, by)) = corrected else { return Some(told) };
        let (author, validator) = self.behind(&told, &by.by);
        let status = Status::Corrected;
        Some(Evidence { event, status, stated: by.stated, author, validator, ..told })
    }

    fn named(&self, id: &EntryId) -> Option<(&Entry, (&DeviceId, &PatientId, Span))> {
        let entry = self.ledger.entry(id)?;
        Some((entry, self.associated(entry)?))
    }

    /// An association of a whole device that others may hear of, with its time as it stands.
    fn associated<'e>(&self, entry: &'e Entry) -> Option<(&'e DeviceId, &'e PatientId, Span)> {
        let Says::Associated { device, channel: None, patient, span } = &entry.says else {
            return None;
        };
        let span = self.ledger.view(Utc::MAX).span_of(entry, *span);
        self.tells(&entry.by).then_some((device, patient, span))
    }

    fn evidence(
        &self,
        root: &EntryId,
        entry: &Entry,
        (device, patient, span): (&DeviceId, &PatientId, Span),
    ) -> Evidence {
        // What was done here may be echoed by others, who say nothing new of it.
        let heard = self.book.behind(&entry.id).filter(|_| entry.by == By::Core);
        Evidence {
            association: root.clone(),
            event: entry.id.clone(),
            act: Act::Begins,
            status: Status::Validated,
            device: device.clone(),
            patient: self.ledger.survivor(patient),
            begin: Some(span.from),
            end: span.until,
            stated: entry.stated,
            place: self.ledger.view(Utc::MAX).place_of(device, span.from),
            author: person(&entry.by).or_else(|| heard.and_then(|one| one.author.clone())),
            validator: heard.and_then(|one| one.validator.clone()),
        }
    }
}

fn person(by: &By) -> Option<PersonId> {
    match by {
        By::Scan { person } | By::Person { person } => Some(person.clone()),
        By::Device | By::Adt | By::Core | By::Configuration | By::Box => None,
    }
}
