//! What the index names for a question, newest first; nobody has compared it with the journal yet.

use super::keeper::Held;
use super::keys::{self, ENDED, Facet, Hasher, TRENDS};
use super::shelf::Odd;
use super::trends::Range;
use super::{Class, Query};

/// A part of a question.
pub(super) struct Ask {
    pub query: Query,
    /// Only what is older than this time and sequence.
    pub below: Option<(i64, u64)>,
    pub count: usize,
    /// The first sequence that is not freed.
    pub first: u64,
    /// What the first part of the answer covers: later parts know no more, so that all of it is one
    /// picture. `None` for the first part.
    pub through: Option<u64>,
}

impl Ask {
    fn is_later(&self, sequence: u64) -> bool {
        self.through.is_some_and(|through| sequence > through)
    }
}

/// A record that the index names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub class: Class,
    pub time_us: i64,
    pub sequence: u64,
    /// The record in which it can be read.
    pub place: u64,
    /// What it is about: itself, or the record that is set aside.
    pub about: u64,
}

/// The answer to an [`Ask`]. The default one: there is no index at the moment.
#[derive(Default)]
pub(super) struct Page {
    /// Newest first.
    pub hits: Vec<Hit>,
    /// There are older ones.
    pub more: bool,
    /// Where trends may be that are asked for.
    pub ranges: Vec<Range>,
    pub through: u64,
    pub complete: bool,
    pub generation: u64,
}

impl Page {
    pub fn of(held: &Held, ask: &Ask, hasher: &Hasher) -> Result<Self, Odd> {
        let mut hits = Vec::new();
        for class in ask.query.classes.iter().filter(|class| **class != Class::Trend) {
            // One more than is asked for shows whether there are more.
            hits.extend(of_class(held, ask, *class, hasher)?);
        }
        hits.sort_by_key(|hit| std::cmp::Reverse((hit.time_us, hit.sequence, hit.class)));
        let more = hits.len() > ask.count;
        hits.truncate(ask.count);
        let wants_trends = ask.query.classes.contains(&Class::Trend);
        let ranges = if wants_trends { ranges(held, &ask.query, hasher)? } else { Vec::new() };
        let (through, complete) = (held.through, held.caught_up);
        Ok(Self { hits, more, ranges, through, complete, generation: held.generation })
    }
}

/// By which of its rows a record of this class is found.
pub(super) fn facet(class: Class, query: &Query) -> (Facet, &str) {
    // Whom a record concerns that is set aside stands in that record.
    if class == Class::SetAside {
        return (Facet::All, "");
    }
    let by = |facet, text: &'_ Option<String>| text.is_some().then_some(facet);
    match by(Facet::Patient, &query.patient)
        .or_else(|| by(Facet::Specimen, &query.specimen))
        .or_else(|| by(Facet::Device, &query.device))
    {
        Some(Facet::Patient) => (Facet::Patient, query.patient.as_deref().unwrap_or_default()),
        Some(Facet::Specimen) => (Facet::Specimen, query.specimen.as_deref().unwrap_or_default()),
        Some(Facet::Device) => (Facet::Device, query.device.as_deref().unwrap_or_default()),
        Some(Facet::All) | None => (Facet::All, ""),
    }
}

fn of_class(held: &Held, ask: &Ask, class: Class, hasher: &Hasher) -> Result<Vec<Hit>, Odd> {
    let (facet, text) = facet(class, &ask.query);
    let hash = if facet == Facet::All { [0; 16] } else { hasher.hash(facet, text) };
    let prefix = keys::prefix(facet, class, hash);
    let from = keys::at(&prefix, ask.query.since_us, 0);
    let behind = keys::at(&prefix, ask.query.until_us, u64::MAX);
    let below = ask.below.map(|(time_us, sequence)| keys::at(&prefix, time_us, sequence));
    let behind = below.filter(|below| *below < behind).unwrap_or(behind);
    let mut hits = Vec::new();
    if from >= behind {
        return Ok(hits);
    }
    let can_end = matches!(class, Class::Unresolved | Class::SetAside);
    held.shelf.visit((&from, &behind), true, |key, value| {
        let (time_us, sequence) = keys::place_of(key).ok_or(Odd::Word)?;
        let (place, about) = keys::numbers(value).ok_or(Odd::Word)?;
        let ended = if can_end { held.shelf.get(&keys::numbered(ENDED, about))? } else { None };
        // One that is freed and not taken away yet ends nothing any more.
        let ended_by = ended.and_then(|value| keys::numbers(&value));
        let is_open = ended_by.is_none_or(|(end, _)| end < ask.first || ask.is_later(end));
        if is_open && !ask.is_later(sequence) {
            hits.push(Hit { class, time_us, sequence, place, about });
        }
        Ok(hits.len() <= ask.count)
    })?;
    Ok(hits)
}

fn ranges(held: &Held, query: &Query, hasher: &Hasher) -> Result<Vec<Range>, Odd> {
    let mut ranges = Vec::new();
    let (from, behind) = (keys::numbered(TRENDS, 0), keys::numbered(TRENDS, u64::MAX));
    held.shelf.visit((&from, &behind), false, |key, value| {
        let range = Range::read(key, value).ok_or(Odd::Word)?;
        ranges.extend(Some(range).filter(|range| range.may_hold(query, hasher)));
        Ok(true)
    })?;
    ranges.extend(Some(&held.range).filter(|range| range.may_hold(query, hasher)).cloned());
    Ok(ranges)
}
