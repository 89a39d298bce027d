//! What stands in the folder: which files are segments of the stream, which sequences each of them
//! holds, and what is not as it was written. Changes nothing.
//!
//! A segment whose header is lost is told by its records: each one's CRC covers the stream, so a
//! whole record proves whose it is. Its first sequence is that of the record right behind the
//! header or, if that is lost too, the one after the last of the segment before. The salt of its
//! key stands in the next segment's header.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::format::{Head, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::recovery::{Damage, sequence};
use super::storage::{Storage, segment_name, segment_number};
use super::tail::Tail;
use super::walk::Walk;
use super::{Error, Failure, Lost, Segment, failure};
use crate::vocabulary::StreamId;

pub(super) struct Survey {
    /// Readable segments of the stream, ascending, each with its header.
    pub segments: Vec<(Segment, SegmentHeader)>,
    /// Whether the last file is a segment that tells where the stream ends.
    pub end_is_told: bool,
    /// The stream that most headers name.
    pub stream: Option<StreamId>,
    /// Every segment file, ascending.
    pub numbers: Vec<u64>,
    /// Files that should hold records of the stream, and hold none or are not there.
    pub lost: Vec<Lost>,
    pub damaged: Vec<Damage>,
}

impl Survey {
    /// `candidates` are streams to look for where no header can be read.
    pub fn of(storage: &Arc<dyn Storage>, candidates: &[StreamId]) -> Result<Self, Error> {
        let names = storage.list().map_err(failure("list folder"))?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
        numbers.sort_unstable();
        let mut heads = Vec::new();
        for number in &numbers {
            heads.push(read_head(storage, *number)?);
        }
        let mut survey = Survey {
            segments: Vec::new(),
            end_is_told: false,
            stream: stream_of(&heads),
            numbers,
            lost: Vec::new(),
            damaged: Vec::new(),
        };
        if survey.stream.is_none() {
            survey.stream = survey.find_stream(storage, candidates)?;
        }
        survey.collect(storage, &heads)?;
        Ok(survey)
    }

    /// The last readable segment's header.
    pub fn last(&self) -> Option<SegmentHeader> {
        self.segments.last().map(|(_, header)| *header)
    }

    fn find_stream(
        &self,
        storage: &Arc<dyn Storage>,
        candidates: &[StreamId],
    ) -> Result<Option<StreamId>, Failure> {
        for candidate in candidates {
            for number in &self.numbers {
                let mut walk = walk(storage, *candidate, *number)?;
                if walk.seek(SEGMENT_HEADER_BYTES).map_err(failure("read segment"))?.is_some() {
                    return Ok(Some(*candidate));
                }
            }
        }
        Ok(None)
    }

    fn collect(
        &mut self,
        storage: &Arc<dyn Storage>,
        heads: &[Option<SegmentHeader>],
    ) -> Result<(), Failure> {
        let Some(stream) = self.stream else { return Ok(()) };
        let numbers = std::mem::take(&mut self.numbers);
        // A whole header in a file of another name is a file that somebody put there: none of its
        // records are taken.
        let placed = |(head, number): (&Option<SegmentHeader>, &u64)| {
            head.filter(|head| head.stream == stream && head.number == *number)
        };
        let placed: Vec<Option<SegmentHeader>> = heads.iter().zip(&numbers).map(placed).collect();
        let mut before: Option<u64> = None;
        for (at, (number, head)) in numbers.iter().zip(heads).enumerate() {
            let next = placed.get(at + 1..).unwrap_or_default().iter().flatten().next();
            let lowest = self.last().map_or(1, |last| last.first);
            let own = placed.get(at).copied().flatten().filter(|head| head.first >= lowest);
            if let Some(head) = &own {
                self.note_missing(storage, before, head)?;
            }
            let found = match own {
                Some(own) => Some(own),
                None if head.is_some() => None,
                None => self.rebuild(storage, *number, (before, next))?,
            };
            let size = storage.size(&segment_name(*number)).map_err(failure("measure segment"))?;
            match found {
                Some(header) => {
                    if own.is_none() {
                        self.damaged.push(Damage::HeaderLost { number: *number });
                    }
                    let mut segment = Segment::of(&header, sequence(header.first));
                    segment.end = size;
                    self.segments.push((segment, header));
                }
                None => {
                    self.damaged.push(Damage::SegmentUnreadable { number: *number });
                    self.lost.push(Lost { number: *number, bytes: size });
                    self.bound_last(storage)?;
                }
            }
            before = Some(*number);
        }
        self.numbers = numbers;
        self.judge_end(storage)
    }

    fn note_missing(
        &mut self,
        storage: &Arc<dyn Storage>,
        before: Option<u64>,
        head: &SegmentHeader,
    ) -> Result<(), Failure> {
        let Some(before) = before else { return Ok(()) };
        for number in before + 1..=head.predecessor {
            self.damaged.push(Damage::SegmentMissing { number });
            self.lost.push(Lost { number, bytes: 0 });
            self.bound_last(storage)?;
        }
        Ok(())
    }

    /// Nothing behind the whole batches of the last segment so far counts: the segment that would
    /// say where it ends is lost, and what a failed commit left there must not come out.
    fn bound_last(&mut self, storage: &Arc<dyn Storage>) -> Result<(), Failure> {
        if let Some((segment, header)) = self.segments.last_mut() {
            segment.end = Tail::read(storage, header, None)?.end;
        }
        Ok(())
    }

    /// A header for a segment that has none, from its records and its neighbours.
    fn rebuild(
        &self,
        storage: &Arc<dyn Storage>,
        number: u64,
        (before, next): (Option<u64>, Option<&SegmentHeader>),
    ) -> Result<Option<SegmentHeader>, Failure> {
        let Some(stream) = self.stream else { return Ok(None) };
        let mut walk = walk(storage, stream, number)?;
        let found = walk.seek(SEGMENT_HEADER_BYTES).map_err(failure("read segment"))?;
        let Some(found) = found else { return Ok(None) };
        let mut first = found.header.sequence;
        let mut previous = [0; 16];
        if found.offset == SEGMENT_HEADER_BYTES {
            previous = found.header.previous;
        } else if let Some((segment, header)) = self.segments.last()
            && before == Some(segment.number)
        {
            first = first.min(Tail::read(storage, header, None)?.last() + 1);
        }
        let lowest = self.last().map_or(1, |last| last.first);
        let fits = first >= lowest && next.is_none_or(|next| first < next.first);
        let follower = next.filter(|next| next.predecessor == number);
        Ok(fits.then_some(SegmentHeader {
            stream,
            number,
            first,
            previous,
            predecessor: before.unwrap_or(0),
            size: 0,
            seal: follower.and_then(|next| next.seal_before),
            seal_before: None,
        }))
    }

    /// Whether the last file is whole enough to prove the highest number ever used.
    fn judge_end(&mut self, storage: &Arc<dyn Storage>) -> Result<(), Failure> {
        let Some(header) = self.last() else { return Ok(()) };
        if self.numbers.last() != Some(&header.number) {
            return Ok(());
        }
        // A segment is made with its whole size and cut only when a later one is durable.
        let size =
            storage.size(&segment_name(header.number)).map_err(failure("measure segment"))?;
        self.end_is_told = size >= header.size;
        if !self.end_is_told {
            self.damaged.push(Damage::EndCut { number: header.number });
        }
        Ok(())
    }
}

fn walk(storage: &Arc<dyn Storage>, stream: StreamId, number: u64) -> Result<Walk, Failure> {
    let name = segment_name(number);
    let size = storage.size(&name).map_err(failure("measure segment"))?;
    Ok(Walk::new(Arc::clone(storage), stream, name, size))
}

fn read_head(storage: &Arc<dyn Storage>, number: u64) -> Result<Option<SegmentHeader>, Error> {
    let mut raw = [0; SEGMENT_HEADER_BYTES as usize];
    let read = storage.read_at(&segment_name(number), 0, &mut raw);
    read.map_err(failure("read segment header"))?;
    match Head::decode(&raw) {
        Head::Good { header, .. } => Ok(Some(header)),
        Head::Newer(version) => Err(Error::Newer { number, version }),
        Head::Bad => Ok(None),
    }
}

/// The stream that most headers name, so that a foreign file cannot take over the folder; of
/// several the newest.
fn stream_of(heads: &[Option<SegmentHeader>]) -> Option<StreamId> {
    let mut named: BTreeMap<[u8; 16], (usize, u64)> = BTreeMap::new();
    for head in heads.iter().flatten() {
        let (count, newest) = named.entry(*head.stream.as_bytes()).or_default();
        (*count, *newest) = (*count + 1, head.number);
    }
    let most = named.into_iter().max_by_key(|(_, standing)| *standing);
    most.map(|(stream, _)| StreamId::from_bytes(stream))
}
