//! Reads durable records in order, and says which are missing.

mod age;

use std::sync::Arc;

pub use age::SegmentAge;

use super::format::{FLAG_ENCRYPTED, SEGMENT_HEADER_BYTES, Tag};
use super::storage::segment_name;
use super::walk::{Framed, Walk};
use super::{Door, Error, Missing, Record, Segment, Shared, failure};
use crate::vocabulary::{Sequence, StreamId};

/// What one reading gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// In order of sequence.
    pub records: Vec<Record>,
    /// Sequences between the asked one and `next` that cannot be read any more (damage).
    pub missing: Vec<Missing>,
    /// Sequences between the asked one and `next` that have been freed.
    pub freed: Vec<Missing>,
    /// Where reading goes on.
    pub next: Sequence,
}

/// What [`Reader::verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Whole records.
    pub records: u64,
    /// Sequences that cannot be read.
    pub missing: Vec<Missing>,
    /// Records whose tag of the record before is not that record's tag.
    pub chain_breaks: Vec<Sequence>,
}

/// Reads a journal. Cheap to clone; each clone remembers where it was, so reading on is fast.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
    place: Option<Place>,
}

#[derive(Clone)]
struct Place {
    segment: u64,
    walk: Walk,
    /// The record that starts at `offset` is expected to have this sequence; 0 if unknown.
    sequence: u64,
    offset: u64,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, place: None }
    }

    /// The stream that all sequences here belong to.
    pub fn stream(&self) -> StreamId {
        self.shared.stream
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> Vec<Segment> {
        self.shared.segments().clone()
    }

    /// The first sequence that has not been freed.
    pub fn first(&self) -> Sequence {
        self.shared.segments().first().map_or(Sequence::FIRST, |segment| segment.first)
    }

    /// The last durable sequence.
    pub fn durable(&self) -> Option<Sequence> {
        Sequence::new(self.shared.durable())
    }

    /// Whether the writer takes batches.
    pub fn door(&self) -> Door {
        self.shared.door()
    }

    /// Durable records from `from` on, until `records_max` records or `bytes_max` bytes of payload
    /// are reached or there is no more; one record comes out however large it is.
    pub fn read_from(
        &mut self,
        from: Sequence,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Read, Error> {
        let mut read =
            Read { records: Vec::new(), missing: Vec::new(), freed: Vec::new(), next: from };
        let mut bytes = 0;
        while read.records.len() < records_max && (bytes < bytes_max || read.records.is_empty()) {
            match self.step(read.next.number())? {
                Step::End => break,
                Step::Freed => {
                    let first = self.first().max(read.next);
                    read.freed.push(read.next.number()..=first.number() - 1);
                    read.next = first;
                }
                Step::Missing(until) => {
                    read.missing.push(read.next.number()..=until);
                    read.next = Sequence::FIRST.plus(until);
                }
                Step::Found(found) => {
                    bytes += found.payload.len();
                    read.next = read.next.plus(1);
                    read.records.push(record(*found)?);
                }
            }
        }
        Ok(read)
    }

    /// One durable record; `None` if it is freed, damaged or not there yet.
    pub fn read(&mut self, sequence: Sequence) -> Result<Option<Record>, Error> {
        match self.step(sequence.number())? {
            Step::Found(found) => record(*found).map(Some),
            Step::End | Step::Freed | Step::Missing(_) => Ok(None),
        }
    }

    /// Reads everything and checks every CRC, every sequence and the chain of tags.
    pub fn verify(&mut self) -> Result<Verification, Error> {
        let mut report = Verification::default();
        let mut next = self.first().number();
        let mut before: Option<Tag> = None;
        loop {
            match self.step(next)? {
                Step::End => return Ok(report),
                Step::Freed => next = self.first().number().max(next),
                Step::Missing(until) => {
                    report.missing.push(next..=until);
                    (next, before) = (until + 1, None);
                }
                Step::Found(found) => {
                    let whole = before.is_none_or(|tag| tag == found.header.previous);
                    report
                        .chain_breaks
                        .extend(Sequence::new(found.header.sequence).filter(|_| !whole));
                    report.records += 1;
                    (next, before) = (next + 1, Some(found.tag));
                }
            }
        }
    }

    /// The record with this sequence, or why it does not come.
    fn step(&mut self, want: u64) -> Result<Step, Error> {
        if want > self.shared.durable() {
            return Ok(Step::End);
        }
        let Some((segment, until)) = self.shared.holding(want) else {
            return Ok(Step::Freed);
        };
        match self.find(&segment, want, until) {
            Ok(step) => Ok(step),
            // The segment was freed after it was looked up.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && self.first() > segment.first =>
            {
                Ok(Step::Freed)
            }
            Err(error) => Err(failure("read segment")(error).into()),
        }
    }

    fn find(&mut self, segment: &Segment, want: u64, until: u64) -> std::io::Result<Step> {
        let mut place = match self.place.take() {
            Some(place) if place.segment == segment.number && place.sequence <= want => place,
            Some(_) | None => self.start_of(segment),
        };
        place.walk.extend(segment.end);
        let step = loop {
            let here = match place.walk.at(place.offset)? {
                // Past damage the next whole record is as good as it gets.
                None => place.walk.seek(place.offset + 1)?,
                found => found,
            };
            let Some(found) = here else { break Step::Missing(until) };
            if found.header.sequence > until {
                break Step::Missing(until);
            }
            if found.header.sequence > want {
                break Step::Missing(found.header.sequence - 1);
            }
            place.offset = found.end();
            place.sequence = found.header.sequence + 1;
            if found.header.sequence == want {
                break Step::Found(Box::new(found));
            }
        };
        self.place = Some(place);
        Ok(step)
    }

    fn start_of(&self, segment: &Segment) -> Place {
        let name = segment_name(segment.number);
        let storage = Arc::clone(&self.shared.storage);
        Place {
            segment: segment.number,
            walk: Walk::new(storage, self.shared.stream, name, segment.end),
            sequence: segment.first.number(),
            offset: SEGMENT_HEADER_BYTES,
        }
    }
}

enum Step {
    Found(Box<Framed>),
    /// Not durable yet.
    End,
    /// Below the first segment.
    Freed,
    /// Damaged, up to this sequence.
    Missing(u64),
}

fn record(found: Framed) -> Result<Record, Error> {
    let header = found.header;
    let sequence = Sequence::new(header.sequence).expect("others are not decoded");
    if header.flags & FLAG_ENCRYPTED != 0 {
        return Err(Error::NeedsKey(sequence));
    }
    Ok(Record {
        sequence,
        kind: header.kind,
        time_us: header.time_us,
        batch_index: header.batch_index,
        batch_records: header.batch_records,
        payload: found.payload,
    })
}
