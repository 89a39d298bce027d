//! Reads durable records in order, and says which are missing.

mod age;

use std::sync::Arc;
use std::sync::atomic::Ordering;

pub use age::SegmentAge;

use super::format::{SEGMENT_HEADER_BYTES, Tag};
use super::keys::{BoxKey, KeyId, RecordKey, Seal};
use super::scan::{DamagedRange, Scan};
use super::storage::segment_name;
use super::walk::{Framed, Walk};
use super::{Door, Error, Missing, Record, Segment, Shared, failure};
use crate::vocabulary::{Sequence, StreamId};

/// More waiting batches than this are a crowd.
const CROWD: usize = 8;

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
    /// Whole records that the given key does not open. Nothing is tried without a key.
    pub key_faults: Vec<Sequence>,
    /// Every range of bytes that is not as it was written.
    pub damaged: Vec<DamagedRange>,
    /// Bytes behind the last records of segments: unfinished commits that nobody was told of.
    pub leftover_bytes: u64,
}

/// Reads a journal. Cheap to clone; each clone remembers where it was, so reading on is fast.
#[derive(Clone)]
pub struct Reader {
    pub(super) shared: Arc<Shared>,
    place: Option<Place>,
}

#[derive(Clone)]
struct Place {
    segment: u64,
    seal: Option<Seal>,
    key: Option<RecordKey>,
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

    /// The keys that the segments are encrypted with, each once.
    pub fn key_ids(&self) -> Vec<KeyId> {
        let mut ids: Vec<KeyId> =
            self.shared.segments().iter().filter_map(|one| Some(one.seal?.key)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// What the index hashes identities with, where the journal is encrypted.
    pub fn index_key(&self) -> Option<[u8; 32]> {
        self.shared.keys.current.as_ref().map(BoxKey::index_key)
    }

    /// The first sequence that has not been freed.
    pub fn first(&self) -> Sequence {
        self.shared.segments().first().map_or(Sequence::FIRST, |segment| segment.first)
    }

    /// The last durable sequence.
    pub fn durable(&self) -> Option<Sequence> {
        Sequence::new(self.shared.durable())
    }

    /// Whether so many batches wait for the disk that whoever reads should hold back: each record
    /// read and sent now holds up an acknowledgement. A ward's monitors that all speak in the same
    /// moment are fewer.
    pub fn is_crowded(&self) -> bool {
        self.shared.waiting.load(Ordering::Relaxed) > CROWD
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
                    read.records.push(self.record(*found)?);
                }
            }
        }
        Ok(read)
    }

    /// One durable record; `None` if it is freed, damaged or not there yet.
    pub fn read(&mut self, sequence: Sequence) -> Result<Option<Record>, Error> {
        match self.step(sequence.number())? {
            Step::Found(found) => self.record(*found).map(Some),
            Step::End | Step::Freed | Step::Missing(_) => Ok(None),
        }
    }

    /// Reads everything and checks every byte, every sequence and the chain of tags; with a key,
    /// also whether it opens every record.
    pub fn verify(&mut self) -> Result<Verification, Error> {
        let mut report = Verification::default();
        let mut next = self.first().number();
        let mut tag = None;
        while let Some((segment, until)) = self.shared.holding(next) {
            if next > self.shared.durable() && report.records > 0 {
                break;
            }
            let key =
                segment.seal.and_then(|seal| self.shared.keys.record_key(self.stream(), &seal));
            let mut scan = Scan::of(&self.shared, &segment, until);
            let whole = self.verify_segment(&mut scan, &mut report, (&mut tag, key.as_ref()));
            match whole {
                Ok(()) => {}
                // It was freed meanwhile.
                Err(error)
                    if error.kind() == std::io::ErrorKind::NotFound
                        && self.first() > segment.first => {}
                Err(error) => return Err(failure("read segment")(error).into()),
            }
            if until == u64::MAX || until >= self.shared.durable() {
                break;
            }
            next = until + 1;
        }
        let mut missing: Vec<Missing> =
            report.damaged.iter().filter_map(|range| range.sequences.clone()).collect();
        missing.sort_by_key(|range| *range.start());
        report.missing = missing;
        Ok(report)
    }

    fn verify_segment(
        &self,
        scan: &mut Scan,
        report: &mut Verification,
        (before, key): (&mut Option<Tag>, Option<&RecordKey>),
    ) -> std::io::Result<()> {
        while let Some(seen) = scan.step()? {
            if seen.damaged.iter().any(|range| range.sequences.is_some()) {
                *before = None;
            }
            report.damaged.extend(seen.damaged);
            report.leftover_bytes += seen.leftover_bytes;
            let Some(found) = seen.record else { continue };
            let sequence = Sequence::new(found.header.sequence);
            let follows = before.is_none_or(|tag| tag == found.header.previous);
            report.chain_breaks.extend(sequence.filter(|_| !follows));
            let opens = |key: &RecordKey| {
                key.open(&found.raw, &found.header.nonce, &found.payload).is_some()
            };
            report.key_faults.extend(sequence.filter(|_| key.is_some_and(|key| !opens(key))));
            report.records += 1;
            *before = Some(found.tag);
        }
        Ok(())
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
            // The salt of its key is lost with the header: as good as damaged.
            let opens = place.seal.is_some() || !found.is_sealed();
            if found.header.sequence > until {
                break Step::Missing(until);
            }
            if found.header.sequence > want {
                break Step::Missing(found.header.sequence - 1);
            }
            place.offset = found.end();
            place.sequence = found.header.sequence + 1;
            if found.header.sequence == want {
                break if opens { Step::Found(Box::new(found)) } else { Step::Missing(want) };
            }
        };
        self.place = Some(place);
        Ok(step)
    }

    fn start_of(&self, segment: &Segment) -> Place {
        let name = segment_name(segment.number);
        let storage = Arc::clone(&self.shared.storage);
        let stream = self.shared.stream;
        Place {
            segment: segment.number,
            seal: segment.seal,
            key: segment.seal.and_then(|seal| self.shared.keys.record_key(stream, &seal)),
            walk: Walk::new(storage, stream, name, segment.end),
            sequence: segment.first.number(),
            offset: SEGMENT_HEADER_BYTES,
        }
    }

    /// The record as it was handed over; it was found at this reader's place.
    fn record(&self, found: Framed) -> Result<Record, Error> {
        let header = found.header;
        let sequence = Sequence::new(header.sequence).expect("others are not decoded");
        let place = self.place.as_ref();
        let payload = match place.and_then(|place| place.seal.zip(Some(place.key.as_ref()))) {
            None => found.payload,
            Some((seal, None)) => return Err(Error::NeedsKey { sequence, needs: seal.key }),
            // Among encrypted records one that is not is none of ours.
            Some((_, Some(key))) => Some(&found)
                .filter(|found| found.is_sealed())
                .and_then(|found| key.open(&found.raw, &header.nonce, &found.payload))
                .ok_or(Error::KeyFault(sequence))?,
        };
        Ok(Record {
            sequence,
            kind: header.kind,
            time_us: header.time_us,
            batch_index: header.batch_index,
            batch_records: header.batch_records,
            payload,
        })
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
