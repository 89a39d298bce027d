//! What the ledger lets go behind the site's retention, so that checkpoints stay small: finished
//! associations and spot checks, with everything that speaks of nothing else.
//!
//! Answers for times from the limit on, as known from then on, stay the same. What is older can no
//! more be asked for or corrected here: it has to be corrected by hand.

use std::collections::BTreeSet;

use super::entry::{By, Entry, Says};
use super::ledger::Ledger;
use super::names::EntryId;
use super::time::Utc;
use super::view::View;

impl Ledger {
    /// Lets go what was over before this time and of which nothing was learned since. Returns how
    /// many entries that were.
    pub fn forget(&mut self, before: Utc) -> usize {
        let view = self.view(Utc::MAX);
        let mut over: BTreeSet<EntryId> = self
            .entries()
            .filter(|entry| is_over(&view, entry, before))
            .map(|entry| entry.id.clone())
            .collect();
        over.extend(self.superseded(before));
        // Words about what goes, and words about those.
        loop {
            let speaks_only_of_them = |entry: &&Entry| {
                let named = named(entry);
                !named.is_empty()
                    && !over.contains(&entry.id)
                    && named.iter().all(|named| over.contains(*named))
            };
            let more: Vec<EntryId> =
                self.entries().filter(speaks_only_of_them).map(|entry| entry.id.clone()).collect();
            if more.is_empty() {
                break;
            }
            over.extend(more);
        }
        self.keep(|entry| !over.contains(&entry.id));
        over.len()
    }
}

impl Ledger {
    /// Plugs and pauses that say nothing of the time from `before` on, because something later did
    /// before then.
    fn superseded(&self, before: Utc) -> BTreeSet<EntryId> {
        let view = self.view(Utc::MAX);
        let settled = |entry: &&Entry| {
            let words = words_about(&view, &entry.id);
            entry.learned < before && words.is_empty()
        };
        let mut over = BTreeSet::new();
        for port in self.lines() {
            let mut plugs: Vec<&Entry> = view.shelf.of_port(port).collect();
            plugs.sort_by_key(|entry| (entry.says.plug_time(), entry.stated, &entry.id));
            let is_last = |entry: &&Entry| {
                settled(entry)
                    && entry.by != By::Configuration
                    && entry.says.plug_time().is_some_and(|at| at < before)
            };
            let Some(last) = plugs.iter().rposition(is_last) else { continue };
            let last_at = plugs.get(last).and_then(|entry| entry.says.plug_time());
            let earlier = plugs.iter().take(last).filter(|entry| {
                settled(entry) && entry.says.plug_time() < last_at && entry.learned != Utc::MIN
            });
            over.extend(earlier.map(|entry| entry.id.clone()));
        }
        for device in self.machines() {
            let pauses = view.pauses(device);
            let old = |entry: &&Entry| {
                settled(entry) && super::claims::pause_time(entry).is_some_and(|at| at < before)
            };
            let count = pauses.iter().take_while(|entry| old(entry)).count();
            let ended = |count: &usize| {
                let last = count.checked_sub(1).and_then(|at| pauses.get(at));
                let next = pauses.get(*count).and_then(|entry| super::claims::pause_time(entry));
                let at = last.and_then(|entry| super::claims::pause_time(entry));
                let apart = next.is_none() || next != at;
                apart && at.is_some_and(|at| super::claims::paused(&pauses, at).is_none())
            };
            let count = (1..=count).rev().find(ended).unwrap_or(0);
            over.extend(pauses.iter().take(count).map(|entry| entry.id.clone()));
        }
        over
    }
}

/// Whether a claim says nothing of the time from `before` on, and is settled.
fn is_over(view: &View<'_>, entry: &Entry, before: Utc) -> bool {
    let ended = if let Says::Associated { span, .. } = &entry.says {
        let until = view.span_of(entry, *span).until;
        !view.counts(entry) || until.is_some_and(|until| until <= before)
    } else if let Says::SpotCheck { at, .. } = &entry.says {
        *at < before
    } else {
        return false;
    };
    let settled = |word: &Entry| word.learned < before;
    ended && settled(entry) && words_about(view, &entry.id).into_iter().all(settled)
}

/// The entries that name this one, and those that name these.
fn words_about<'a>(view: &View<'a>, id: &EntryId) -> Vec<&'a Entry> {
    let mut found: Vec<&Entry> = view.shelf.about(id).collect();
    let mut next = 0;
    while let Some(word) = found.get(next) {
        next += 1;
        let more: Vec<&Entry> = view.shelf.about(&word.id).collect();
        for entry in more {
            if !found.iter().any(|known| known.id == entry.id) {
                found.push(entry);
            }
        }
    }
    found
}

/// The entries that a word names; none if it is no word about entries.
fn named(entry: &Entry) -> Vec<&EntryId> {
    if let Says::Decided { holds, against, .. } = &entry.says {
        return against.iter().chain([holds]).collect();
    }
    if let Says::Ended { association: named, .. }
    | Says::Seen { association: named, .. }
    | Says::Withdrawn { entry: named, .. } = &entry.says
    {
        return vec![named];
    }
    Vec::new()
}
