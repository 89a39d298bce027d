//! Look-ups: what the index names is read from the journal, and only what the journal says is an
//! answer.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::answer::{Ask, Hit, Page, facet};
use super::keeper::{Index, Mail};
use super::keys::Facet;
use super::trends::Range;
use super::{Class, Entry, Query};
use crate::journal::{Error, Reader, Record};
use crate::vocabulary::Sequence;

/// How long the thread of the index may take: sled on a slow card.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long the journal is read for one look-up.
const READ_FOR: Duration = Duration::from_secs(15);
/// How many hits are read at a time.
const PAGE: usize = 256;
const READ_BYTES: usize = 1 << 20;

/// Why nothing was looked up.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    #[error("the index does not run")]
    NotRunning,
    #[error("the index does not answer: its disk is slow or has failed")]
    Slow,
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] Error),
}

/// What was found, newest first, and how much of the truth it is.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<T> {
    pub found: Vec<T>,
    /// Nothing of the records up to this one is left out.
    pub complete_through: u64,
    /// The last durable record when it was asked.
    pub durable: u64,
    /// The index is being built anew: newer records are not in it yet.
    pub rebuilding: bool,
    /// There are older ones than those that fit, or there may be.
    pub more: bool,
    /// Records that are named and cannot be read any more.
    pub unreadable: u64,
}

/// What has been found so far, by time and sequence.
struct Found<'a, T> {
    query: &'a Query,
    rows: BTreeMap<(i64, u64), T>,
    more: bool,
    unreadable: u64,
    until: Instant,
}

impl<T> Found<'_, T> {
    /// Whether something as old as this still belongs to the answer.
    fn has_room_for(&self, time_us: i64) -> bool {
        let oldest = self.rows.first_key_value().map(|((oldest, _), _)| *oldest);
        self.rows.len() < self.query.limit || oldest.is_none_or(|oldest| time_us >= oldest)
    }

    fn put(&mut self, entry: &Entry, show: impl FnOnce() -> T) {
        let place = (entry.time_us, entry.sequence);
        if self.rows.contains_key(&place) {
            return;
        }
        let is_full = self.rows.len() >= self.query.limit;
        if is_full && self.rows.first_key_value().is_none_or(|(oldest, _)| *oldest > place) {
            self.more = true;
            return;
        }
        self.rows.insert(place, show());
        if is_full {
            self.rows.pop_first();
            self.more = true;
        }
    }

    /// Takes away what is older: not all of that was looked at.
    fn only_from(&mut self, time_us: i64) {
        self.rows.retain(|(time, _), _| *time > time_us);
        self.more = true;
    }
}

/// What the index named is not what the journal says.
struct IsOdd;

impl Index {
    /// Looks up. `show` makes a row of a record that was found, where it can be read, and of what
    /// the index knows of it.
    ///
    /// It reads the journal: not on a thread of the runtime.
    ///
    /// # Errors
    /// The index does not answer, or the journal cannot be read.
    pub fn look<T>(
        &self,
        query: &Query,
        mut show: impl FnMut(&Record, &Entry) -> T,
    ) -> Result<Answer<T>, LookError> {
        let mut reader = self.options.reader.clone();
        let durable = reader.durable().map_or(0, Sequence::number);
        let mut found = Found {
            query,
            rows: BTreeMap::new(),
            more: false,
            unreadable: 0,
            until: Instant::now() + READ_FOR,
        };
        let first = self.page(query, None, None)?;
        let (through, complete, generation) = (first.through, first.complete, first.generation);
        let ranges = first.ranges.clone();
        let is_odd = match self.named(&mut reader, first, &mut found, &mut show)? {
            Ok(()) => false,
            Err(IsOdd) => true,
        };
        if is_odd {
            // Nothing that it said is believed. Its thread may have found out itself.
            let _ = self.mail.send(Mail::Odd(generation));
            return Ok(Answer {
                found: Vec::new(),
                complete_through: 0,
                durable,
                rebuilding: true,
                more: true,
                unreadable: 0,
            });
        }
        self.trends(&mut reader, ranges, &mut found, &mut show)?;
        Ok(Answer {
            found: found.rows.into_values().rev().collect(),
            // More may have become durable meanwhile.
            complete_through: through.min(durable),
            durable,
            rebuilding: !complete,
            more: found.more,
            unreadable: found.unreadable + self.shown.unreadable.load(Ordering::Relaxed),
        })
    }

    /// Where a record can be read that is carried forward and whose own segment is freed.
    ///
    /// # Errors
    /// The index does not answer.
    pub fn carried(&self, sequence: u64) -> Result<Option<u64>, LookError> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.mail.send(Mail::Carried(sequence, reply)).map_err(|_| LookError::NotRunning)?;
        answered(&answer)
    }

    fn page(
        &self,
        query: &Query,
        below: Option<(i64, u64)>,
        through: Option<u64>,
    ) -> Result<Page, LookError> {
        let (count, first) = (PAGE.min(query.limit + 1), self.options.reader.first().number());
        let ask = Ask { query: query.clone(), below, count, first, through };
        let (reply, answer) = mpsc::sync_channel(1);
        self.mail.send(Mail::Ask(Box::new(ask), reply)).map_err(|_| LookError::NotRunning)?;
        answered(&answer)
    }

    /// Reads what the index names, page by page, until there is enough.
    fn named<T>(
        &self,
        reader: &mut Reader,
        first: Page,
        found: &mut Found<'_, T>,
        show: &mut impl FnMut(&Record, &Entry) -> T,
    ) -> Result<Result<(), IsOdd>, LookError> {
        let (generation, through, mut page) = (first.generation, first.through, first);
        loop {
            let last = page.hits.last().copied().filter(|_| page.more);
            // The journal is read forwards: going back would read a segment anew for each record.
            page.hits.sort_by_key(|hit| hit.place);
            for hit in &page.hits {
                if self.take(reader, hit, found, show)?.is_err() {
                    return Ok(Err(IsOdd));
                }
            }
            let Some(last) = last else { return Ok(Ok(())) };
            if found.rows.len() >= found.query.limit {
                found.more = true;
                return Ok(Ok(()));
            }
            if Instant::now() > found.until {
                found.only_from(last.time_us);
                return Ok(Ok(()));
            }
            page = self.page(found.query, Some((last.time_us, last.sequence)), Some(through))?;
            if page.generation != generation {
                return Ok(Err(IsOdd));
            }
        }
    }

    fn take<T>(
        &self,
        reader: &mut Reader,
        hit: &Hit,
        found: &mut Found<'_, T>,
        show: &mut impl FnMut(&Record, &Entry) -> T,
    ) -> Result<Result<(), IsOdd>, LookError> {
        let Some(place) = Sequence::new(hit.place) else { return Ok(Err(IsOdd)) };
        let record = match reader.read(place) {
            Ok(Some(record)) => record,
            // Freed meanwhile, and nobody carries it: it is gone.
            Ok(None) if place < reader.first() => return Ok(Ok(())),
            Ok(None) | Err(Error::KeyFault(_) | Error::NeedsKey { .. }) => {
                found.unreadable += 1;
                return Ok(Ok(()));
            }
            Err(error) => return Err(error.into()),
        };
        let entry = (self.options.describe)(&record);
        if !self.is_what_was_named(hit, &entry, found.query) {
            return Ok(Err(IsOdd));
        }
        let wanted = match hit.class {
            Class::SetAside => self.concerns(&mut reader.clone(), hit.about, found.query)?,
            Class::Result
            | Class::Event
            | Class::Gap
            | Class::Association
            | Class::Unresolved
            | Class::Trend => found.query.wants(&entry),
        };
        if wanted {
            found.put(&entry, || show(&record, &entry));
        }
        Ok(Ok(()))
    }

    fn is_what_was_named(&self, hit: &Hit, entry: &Entry, query: &Query) -> bool {
        let (facet, text) = facet(hit.class, query);
        let is_its = match facet {
            Facet::All => true,
            Facet::Device => entry.device.as_deref() == Some(text),
            Facet::Patient => entry.patients.iter().any(|one| one == text),
            Facet::Specimen => entry.specimens.iter().any(|one| one == text),
        };
        is_its
            && (entry.sequence, entry.time_us) == (hit.sequence, hit.time_us)
            && entry.about.unwrap_or(entry.sequence) == hit.about
            && entry.classes.contains(&hit.class)
    }

    /// Whether the record that is set aside is of the device or patient that is asked for; in
    /// doubt it is.
    fn concerns(&self, reader: &mut Reader, about: u64, query: &Query) -> Result<bool, LookError> {
        if query.device.is_none() && query.patient.is_none() && query.specimen.is_none() {
            return Ok(true);
        }
        let place =
            if about < reader.first().number() { self.carried(about)? } else { Some(about) };
        let record = match place.and_then(Sequence::new).map(|place| reader.read(place)) {
            None | Some(Ok(None) | Err(Error::KeyFault(_) | Error::NeedsKey { .. })) => {
                return Ok(true);
            }
            Some(Ok(Some(record))) => record,
            Some(Err(error)) => return Err(error.into()),
        };
        let entry = (self.options.describe)(&record);
        if entry.sequence != about {
            return Ok(true);
        }
        let one_of = |wanted: &Option<String>, stated: &[String]| {
            wanted.as_ref().is_none_or(|wanted| stated.contains(wanted))
        };
        Ok((query.device.is_none() || query.device == entry.device)
            && one_of(&query.patient, &entry.patients)
            && one_of(&query.specimen, &entry.specimens))
    }

    /// Reads the journal where trends may be, the newest first, until there is enough.
    fn trends<T>(
        &self,
        reader: &mut Reader,
        mut ranges: Vec<Range>,
        found: &mut Found<'_, T>,
        show: &mut impl FnMut(&Record, &Entry) -> T,
    ) -> Result<(), LookError> {
        let latest = |range: &Range| range.times_us.map(|(_, latest)| latest);
        ranges.sort_by_key(latest);
        while let Some(range) = ranges.pop() {
            let Some(latest) = latest(&range) else { continue };
            if !found.has_room_for(latest) {
                found.more = true;
                return Ok(());
            }
            if Instant::now() > found.until {
                found.only_from(latest);
                return Ok(());
            }
            let mut next = Sequence::new(range.first).unwrap_or(Sequence::FIRST);
            while next.number() <= range.last {
                let left = usize::try_from(range.last - next.number() + 1).unwrap_or(PAGE);
                let read = match reader.read_from(next, PAGE.min(left), READ_BYTES) {
                    Ok(read) => read,
                    Err(Error::KeyFault(sealed) | Error::NeedsKey { sequence: sealed, .. }) => {
                        let before = usize::try_from(sealed.number() - next.number()).unwrap_or(0);
                        if before == 0 {
                            next = next.plus(1);
                            continue;
                        }
                        reader.read_from(next, before, READ_BYTES)?
                    }
                    Err(error) => return Err(error.into()),
                };
                if read.next == next {
                    break;
                }
                next = read.next;
                for record in read.records.iter().filter(|one| one.sequence.number() <= range.last)
                {
                    let entry = (self.options.describe)(record);
                    if entry.classes.contains(&Class::Trend) && found.query.wants(&entry) {
                        found.put(&entry, || show(record, &entry));
                    }
                }
            }
        }
        Ok(())
    }
}

fn answered<T>(answer: &mpsc::Receiver<T>) -> Result<T, LookError> {
    answer.recv_timeout(ANSWER_WITHIN).map_err(|error| match error {
        mpsc::RecvTimeoutError::Timeout => LookError::Slow,
        mpsc::RecvTimeoutError::Disconnected => LookError::NotRunning,
    })
}
