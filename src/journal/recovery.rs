//! Opening: what stands on the disk, what of it counts, and where writing continues.
//!
//! Only headers and the last segment are read. The last segment's records that no later commit
//! proves durable may be in the page cache only (a failed sync marks pages clean), so they are
//! copied into a new segment and synced there before anybody sees them.
//!
//! | found | done |
//! |---|---|
//! | nothing | a new stream, sequence 1 |
//! | an unfinished commit at the end | its whole batches are kept, the rest is `torn_bytes` |
//! | damage to what a later record proves durable | reported; the records behind it stay |
//! | a segment file missing or unreadable between others | reported; its sequences are missing |
//! | the last header unreadable, or an end before what a receiver has seen | a new stream |
//!
//! In the last case the highest number ever used is not proven. The old files go into a folder
//! named by their stream, where [`super::Journal::open_read_only`] still reads them.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, Tag};
use super::storage::{NEW_SUFFIX, Storage, segment_name, segment_number};
use super::walk::{Framed, Walk};
use super::writer::{Place, Writer, make_segment};
use super::{Door, Error, Failure, Missing, Options, SEGMENT_BYTES_MIN, Segment, Shared, failure};
use crate::vocabulary::{Sequence, StreamId};

/// What was found when the journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// The last record that counts; `None` in a stream without records.
    pub last: Option<Sequence>,
    /// The time of that record, to see whether the box's clock went back.
    pub last_time_us: Option<i64>,
    /// Bytes at the end that are no whole batch. No device was acknowledged for them.
    pub torn_bytes: u64,
    /// Records that were not proven durable and were copied.
    pub copied_records: u64,
    /// What is damaged although it was once durable.
    pub damaged: Vec<Damage>,
    /// The journal starts a stream: it is empty, or its end could not be proven.
    pub new_stream: bool,
    /// The folder inside the journal's that the files of the stream before were moved to.
    pub set_aside: Option<String>,
}

/// Damage to what was once durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A segment file between others is not there.
    SegmentMissing { number: u64 },
    /// Its header is damaged or of another stream; its records cannot be read.
    SegmentUnreadable { number: u64 },
    /// Records of the last segment; all others still come out.
    RecordsMissing(Missing),
    /// Somebody has seen sequences up to this one, and the journal ends before it.
    EndMissing { known: Sequence },
}

/// For tools: everything as it stands, nothing changed.
pub(super) fn look(storage: Arc<dyn Storage>) -> Result<(Shared, Recovery), Error> {
    let found = survey(&storage)?;
    let Some(last) = found.last_header else { return Err(Error::NothingThere) };
    let tail = Tail::read(&storage, &last)?;
    let mut recovery = tail.report();
    recovery.damaged.splice(0..0, found.damaged);
    let mut segments = found.segments;
    if let Some(segment) = segments.last_mut() {
        segment.end = tail.end;
    }
    Ok((share(storage, last.stream, tail.last(), segments), recovery))
}

/// For the daemon: readies the folder for writing.
pub(super) fn recover(
    storage: Arc<dyn Storage>,
    options: &Options,
) -> Result<(Writer, Recovery), Error> {
    sweep(&*storage)?;
    let found = survey(&storage)?;
    let damaged = found.damaged;
    let Some(header) = found.last_header else {
        if found.numbers.is_empty() {
            return start_stream(storage, options, new_stream_id()?, Recovery::default());
        }
        return replace_stream(storage, options, (&found.numbers, found.stream), damaged);
    };
    let tail = Tail::read(&storage, &header)?;
    let known = options.highest_known.iter().filter(|(stream, _)| *stream == header.stream);
    let known = known.map(|(_, sequence)| *sequence).max();
    if let Some(known) = known.filter(|known| known.number() > tail.last()) {
        let damaged = damaged.into_iter().chain([Damage::EndMissing { known }]).collect();
        return replace_stream(storage, options, (&found.numbers, Some(header.stream)), damaged);
    }
    let mut recovery = tail.report();
    recovery.damaged.splice(0..0, damaged);
    continue_stream(storage, options, (found.segments, header), tail, recovery)
}

/// Goes on in a new segment, which supersedes what the last one holds past the proven mark.
fn continue_stream(
    storage: Arc<dyn Storage>,
    options: &Options,
    (mut segments, old): (Vec<Segment>, SegmentHeader),
    tail: Tail,
    mut recovery: Recovery,
) -> Result<(Writer, Recovery), Error> {
    let unproven: Vec<&Entry> =
        tail.entries.iter().filter(|entry| entry.sequence > tail.proven).collect();
    let from = unproven.first().map_or(tail.end, |entry| entry.offset);
    let mut body = vec![0; usize::try_from(tail.end - from).unwrap_or_default()];
    let filled = storage.read_at(&segment_name(old.number), from, &mut body);
    if filled.map_err(failure("read segment"))? != body.len() {
        return Err(short_read().into());
    }
    recovery.copied_records = unproven.len() as u64;
    let header = SegmentHeader {
        stream: old.stream,
        number: old.number + 1,
        first: tail.proven + 1,
        previous: tail.tag_of(tail.proven),
        // An empty segment is about to be removed.
        predecessor: if tail.is_empty() { old.predecessor } else { old.number },
    };
    let end = SEGMENT_HEADER_BYTES + body.len() as u64;
    let size = segment_bytes(options).max(end);
    make_segment(&*storage, &header, size, &body)?;
    tidy(&*storage, &tail, &mut segments, old.number)?;
    segments.push(Segment { number: header.number, first: sequence(header.first), end });
    let place = Place {
        number: header.number,
        offset: end,
        size,
        next: tail.last() + 1,
        tag: tail.tag_of(tail.last()),
    };
    let shared = Arc::new(share(storage, old.stream, tail.last(), segments));
    let notify = Arc::clone(&options.on_durable);
    Ok((Writer::new(shared, place, segment_bytes(options), notify), recovery))
}

/// Gives back the reserved room of a segment that gets no more records, and removes it if it never
/// had any. Torn bytes stay where they are.
fn tidy(
    storage: &dyn Storage,
    tail: &Tail,
    segments: &mut Vec<Segment>,
    number: u64,
) -> Result<(), Failure> {
    let name = segment_name(number);
    if tail.torn_bytes > 0 {
        return Ok(());
    }
    if tail.is_empty() {
        segments.retain(|segment| segment.number != number);
        storage.unlink(&name).map_err(failure("remove empty segment"))?;
        return storage.sync_folder("").map_err(failure("sync folder"));
    }
    storage.trim(&name, tail.end).map_err(failure("trim segment"))
}

fn start_stream(
    storage: Arc<dyn Storage>,
    options: &Options,
    stream: StreamId,
    recovery: Recovery,
) -> Result<(Writer, Recovery), Error> {
    let header = SegmentHeader { stream, number: 1, first: 1, previous: [0; 16], predecessor: 0 };
    let size = segment_bytes(options);
    make_segment(&*storage, &header, size, &[])?;
    let segment = Segment { number: 1, first: Sequence::FIRST, end: SEGMENT_HEADER_BYTES };
    let place = Place { number: 1, offset: SEGMENT_HEADER_BYTES, size, next: 1, tag: [0; 16] };
    let shared = Arc::new(share(storage, stream, 0, vec![segment]));
    let writer = Writer::new(shared, place, size, Arc::clone(&options.on_durable));
    Ok((writer, Recovery { new_stream: true, ..recovery }))
}

/// Moves every segment into a folder named by its stream, the oldest first: what a power cut leaves
/// behind still ends as it ended, so the next opening comes to the same decision.
fn replace_stream(
    storage: Arc<dyn Storage>,
    options: &Options,
    (numbers, old): (&[u64], Option<StreamId>),
    damaged: Vec<Damage>,
) -> Result<(Writer, Recovery), Error> {
    let stream = new_stream_id()?;
    // Files of an unknown stream are named by the stream that follows, so no two folders meet.
    let folder = old.map_or_else(|| format!("before-{stream}"), |old| format!("stream-{old}"));
    storage.make_folder(&folder).map_err(failure("make folder"))?;
    storage.sync_folder("").map_err(failure("sync folder"))?;
    for number in numbers {
        let name = segment_name(*number);
        let moved = storage.rename(&name, &format!("{folder}/{name}"));
        moved.map_err(failure("set segment aside"))?;
        storage.sync_folder(&folder).map_err(failure("sync folder"))?;
        storage.sync_folder("").map_err(failure("sync folder"))?;
    }
    let recovery = Recovery { damaged, set_aside: Some(folder), ..Recovery::default() };
    start_stream(storage, options, stream, recovery)
}

fn new_stream_id() -> Result<StreamId, Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Error::NoRandom)?;
    Ok(StreamId::from_bytes(id))
}

/// Removes segments that were being made when the power went: nothing leans on them.
fn sweep(storage: &dyn Storage) -> Result<(), Failure> {
    for name in storage.list().map_err(failure("list folder"))? {
        if name.strip_suffix(NEW_SUFFIX).and_then(segment_number).is_some() {
            storage.unlink(&name).map_err(failure("remove unfinished segment"))?;
        }
    }
    Ok(())
}

struct Survey {
    /// Readable segments of the stream, ascending.
    segments: Vec<Segment>,
    /// The last segment's header, if it is good.
    last_header: Option<SegmentHeader>,
    /// The newest stream that a header names.
    stream: Option<StreamId>,
    /// Every segment file, ascending.
    numbers: Vec<u64>,
    damaged: Vec<Damage>,
}

fn survey(storage: &Arc<dyn Storage>) -> Result<Survey, Failure> {
    let names = storage.list().map_err(failure("list folder"))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_number(name)).collect();
    numbers.sort_unstable();
    let mut headers = Vec::new();
    for number in &numbers {
        let mut raw = [0; SEGMENT_HEADER_BYTES as usize];
        let read = storage.read_at(&segment_name(*number), 0, &mut raw);
        read.map_err(failure("read segment header"))?;
        headers.push(SegmentHeader::decode(&raw).filter(|header| header.number == *number));
    }
    let stream = headers.iter().rev().flatten().next().map(|header| header.stream);
    let last_header = headers.last().copied().flatten();
    let (mut segments, mut damaged): (Vec<Segment>, Vec<Damage>) = (Vec::new(), Vec::new());
    let mut before = None;
    for (number, header) in numbers.iter().zip(&headers) {
        if let (Some(before), Some(good)) = (before, header) {
            let missing = before + 1..=good.predecessor;
            damaged.extend(missing.map(|number| Damage::SegmentMissing { number }));
        }
        before = Some(*number);
        let falls = |first: u64| segments.last().is_some_and(|last| last.first.number() > first);
        match header {
            Some(good) if Some(good.stream) == stream && !falls(good.first) => {
                let size = storage.size(&segment_name(*number));
                let end = size.map_err(failure("measure segment"))?;
                segments.push(Segment { number: *number, first: sequence(good.first), end });
            }
            Some(_) | None => damaged.push(Damage::SegmentUnreadable { number: *number }),
        }
    }
    // A last segment that starts before the one before it says nothing about the end.
    let counts = segments.last().map(|last| last.number);
    let last_header = last_header.filter(|header| Some(header.number) == counts);
    Ok(Survey { segments, last_header, stream, numbers, damaged })
}

/// A record of the last segment.
struct Entry {
    sequence: u64,
    offset: u64,
    tag: Tag,
    time_us: i64,
}

/// What the last segment holds.
struct Tail {
    header: SegmentHeader,
    /// The records of whole batches.
    entries: Vec<Entry>,
    /// Every record up to this sequence was durable before a later one was written.
    proven: u64,
    /// Where the whole batches end.
    end: u64,
    torn_bytes: u64,
    damaged: Vec<Missing>,
}

impl Tail {
    fn read(storage: &Arc<dyn Storage>, header: &SegmentHeader) -> Result<Self, Failure> {
        let name = segment_name(header.number);
        let size = storage.size(&name).map_err(failure("measure segment"))?;
        let mut walk = Walk::new(Arc::clone(storage), header.stream, name, size);
        let mut tail = Tail {
            header: *header,
            entries: Vec::new(),
            proven: header.first - 1,
            end: SEGMENT_HEADER_BYTES,
            torn_bytes: 0,
            damaged: Vec::new(),
        };
        let read = tail.scan(&mut walk).and_then(|()| walk.last_used(tail.end));
        tail.torn_bytes = read.map_err(failure("read segment"))? - tail.end;
        Ok(tail)
    }

    fn scan(&mut self, walk: &mut Walk) -> std::io::Result<()> {
        let mut batch: Vec<Framed> = Vec::new();
        let mut next = self.header.first;
        let mut offset = SEGMENT_HEADER_BYTES;
        let mut previous = Some(self.header.previous);
        loop {
            let follows = |found: &Framed| {
                found.header.sequence == next
                    && previous.is_none_or(|tag| tag == found.header.previous)
                    && (previous.is_none() || continues(batch.last(), found))
            };
            if let Some(found) = walk.at(offset)?.filter(follows) {
                (next, offset, previous) = (next + 1, found.end(), Some(found.tag));
                self.take(&mut batch, found);
                continue;
            }
            let Some(found) = proof_beyond(walk, offset + 1, next)? else { break };
            // Records before the damage were proven, too, even where their batch is cut.
            batch.drain(..).for_each(|record| self.keep(&record));
            let first = found.header.sequence;
            if first > next {
                self.damaged.push(next..=first - 1);
            }
            (next, offset, previous) = (first, found.offset, None);
        }
        // A durable record whose own bytes are gone at the very end still has its number.
        if self.proven > self.entries.last().map_or(self.header.first - 1, |last| last.sequence) {
            let from = self.entries.last().map_or(self.header.first, |last| last.sequence + 1);
            self.damaged.push(from..=self.proven);
        }
        Ok(())
    }

    fn take(&mut self, batch: &mut Vec<Framed>, found: Framed) {
        self.proven = self.proven.max(found.header.durable_through);
        let complete = found.header.batch_index + 1 == found.header.batch_records;
        batch.push(found);
        if complete {
            batch.drain(..).for_each(|record| self.keep(&record));
        }
    }

    fn keep(&mut self, record: &Framed) {
        self.entries.push(Entry {
            sequence: record.header.sequence,
            offset: record.offset,
            tag: record.tag,
            time_us: record.header.time_us,
        });
        self.end = record.end();
    }

    /// Whether the segment never got a record.
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.damaged.is_empty() && self.torn_bytes == 0
    }

    /// The last sequence that was ever used.
    fn last(&self) -> u64 {
        self.entries.last().map_or(self.proven, |entry| entry.sequence.max(self.proven))
    }

    /// Zero where the record itself is damaged: the chain is broken there, and that is reported.
    fn tag_of(&self, sequence: u64) -> Tag {
        if sequence + 1 == self.header.first {
            return self.header.previous;
        }
        let entry = self.entries.iter().rev().find(|entry| entry.sequence == sequence);
        entry.map_or([0; 16], |entry| entry.tag)
    }

    fn report(&self) -> Recovery {
        Recovery {
            last: Sequence::new(self.last()),
            last_time_us: self.entries.last().map(|entry| entry.time_us),
            torn_bytes: self.torn_bytes,
            damaged: self.damaged.iter().cloned().map(Damage::RecordsMissing).collect(),
            ..Recovery::default()
        }
    }
}

/// Whether `found` is the next record of the batch that `last` ends, or starts one.
fn continues(last: Option<&Framed>, found: &Framed) -> bool {
    let now = &found.header;
    match last.map(|last| &last.header) {
        Some(before) => {
            now.batch_index == before.batch_index + 1 && now.batch_records == before.batch_records
        }
        None => now.batch_index == 0,
    }
}

/// The first whole record behind a bad place, if any record behind it was written when `next` had
/// already been synced. Without such a record the place is the torn end of an unfinished commit.
fn proof_beyond(walk: &mut Walk, offset: u64, next: u64) -> std::io::Result<Option<Framed>> {
    let mut first = None;
    let mut at = offset;
    while let Some(found) = walk.seek(at)? {
        at = found.end();
        if found.header.sequence < next {
            continue;
        }
        let proves = found.header.durable_through >= next;
        let first = first.get_or_insert(found);
        if proves {
            return Ok(Some(first.clone()));
        }
    }
    Ok(None)
}

fn share(
    storage: Arc<dyn Storage>,
    stream: StreamId,
    durable: u64,
    segments: Vec<Segment>,
) -> Shared {
    Shared {
        storage,
        stream,
        durable: Arc::new(AtomicU64::new(durable)),
        segments: Mutex::new(segments),
        door: Mutex::new(Door::Open),
    }
}

fn sequence(number: u64) -> Sequence {
    Sequence::new(number).expect("a segment header with another first sequence is not decoded")
}

fn segment_bytes(options: &Options) -> u64 {
    options.segment_bytes.max(SEGMENT_BYTES_MIN)
}

fn short_read() -> Failure {
    Failure { during: "read segment", kind: std::io::ErrorKind::UnexpectedEof }
}
