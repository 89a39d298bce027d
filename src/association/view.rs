//! What was known at a time: entries learned later are not there, withdrawn ones do not count.

use super::entry::{By, Entry, Says};
use super::names::EntryId;
use super::shelf::Shelf;
use super::time::{Span, Utc};

/// How often a withdrawal may be withdrawn before the box stops following.
const WITHDRAWALS_MAX: u8 = 8;

/// The shelf as known at a time.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub shelf: &'a Shelf,
    /// Entries learned after this are not known.
    pub known: Utc,
}

impl<'a> View<'a> {
    /// Whether the entry is known and not withdrawn.
    pub fn counts(&self, entry: &Entry) -> bool {
        entry.learned <= self.known && self.withdrawal(entry, 0).is_none()
    }

    /// The withdrawal that takes the entry away, if one does.
    fn withdrawal(&self, entry: &Entry, depth: u8) -> Option<&'a Entry> {
        if depth > WITHDRAWALS_MAX {
            return None;
        }
        self.shelf.about(&entry.id).find(|about| {
            matches!(&about.says, Says::Withdrawn { entry: named, .. } if *named == entry.id)
                && about.learned <= self.known
                && may_undo(&about.by, &entry.by)
                && self.withdrawal(about, depth + 1).is_none()
        })
    }

    /// Entries that name this one, are known, and count.
    pub fn about(&self, id: &EntryId) -> impl Iterator<Item = &'a Entry> {
        let view = *self;
        self.shelf.about(id).filter(move |about| view.counts(about))
    }

    /// The time of an association as it stands: up to its end, or to the first of several ends,
    /// which is the careful one.
    pub fn span_of(&self, association: &Entry, stated: Span) -> Span {
        let ends = self
            .about(&association.id)
            .filter(|about| may_undo(&about.by, &association.by))
            .filter_map(|about| about.says.end());
        let until = ends.chain(stated.until).min();
        Span { from: stated.from, until }
    }

    /// Whether a person decided that `winner` holds against `loser`, and nobody the other way.
    pub fn overrules(&self, winner: &EntryId, loser: &EntryId) -> bool {
        let decided = |holds: &EntryId, falls: &EntryId| {
            self.about(holds).any(|about| {
                matches!(&about.says, Says::Decided { holds: named, against, .. }
                    if about.by.is_person() && named == holds && against.contains(falls))
            })
        };
        decided(winner, loser) && !decided(loser, winner)
    }
}

/// Whether this source may end or withdraw what that source said: a person may everything, the
/// others only what they said themselves.
pub(super) fn may_undo(by: &By, said_by: &By) -> bool {
    by.is_person() || std::mem::discriminant(by) == std::mem::discriminant(said_by)
}
