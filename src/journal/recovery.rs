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
//! | a segment's header lost | its records tell what it said; they come out |
//! | the last file without a record, cut short, or ending before what a receiver has seen | a new stream |
//! | a segment of a later version, or one whose key is not here | refused; nothing is touched |
//! | a whole record that its key does not open | refused; nothing is touched |
//!
//! In the case of a new stream the highest number ever used is not proven. The old files go into a
//! folder named by their stream, where [`super::Journal::open_read_only`] still reads them.
//!
//! Records are copied as they are stored, so the new segment has the salt of the one that they come
//! from. Where the key has changed since, it is left with nothing but them, and another follows.

use std::sync::Arc;

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::keys::{Keys, RecordKey};
use super::storage::{NEW_SUFFIX, Storage, segment_name, segment_number};
use super::survey::Survey;
use super::tail::{Entry, Tail};
use super::writer::{Place, Writer, make_segment};
use super::{Error, Failure, Missing, Options, SEGMENT_BYTES_MIN, Segment, Shared, failure};
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
    /// No record of the stream can be read in it.
    SegmentUnreadable { number: u64 },
    /// Its header is lost; its records come out.
    HeaderLost { number: u64 },
    /// Records of the last segment; all others still come out.
    RecordsMissing(Missing),
    /// Somebody has seen sequences up to this one, and the journal ends before it.
    EndMissing { known: Sequence },
    /// The last file is shorter than it was made: what followed is gone.
    EndCut { number: u64 },
}

/// For tools: everything as it stands, nothing changed.
#[cfg(test)]
pub(super) fn look(
    storage: Arc<dyn Storage>,
    keys: Keys,
    candidates: &[StreamId],
) -> Result<(Shared, Recovery), Error> {
    look_upto(storage, keys, candidates, Upto::Whole)
}

/// For tools, and for a daemon that cannot write: everything up to there, nothing changed.
pub(super) fn look_upto(
    storage: Arc<dyn Storage>,
    keys: Keys,
    candidates: &[StreamId],
    upto: Upto,
) -> Result<(Shared, Recovery), Error> {
    let found = Survey::of(&storage, candidates)?;
    let Some(last) = found.last() else { return Err(Error::NothingThere) };
    let tail = Tail::read(&storage, &last, None)?;
    let durable = match upto {
        Upto::Whole => tail.last(),
        Upto::Proven => tail.proven,
    };
    let mut recovery = report(&tail);
    recovery.damaged.splice(0..0, found.damaged.iter().cloned());
    let shared = share(storage, keys, (last.stream, durable), found);
    if let Some(segment) = shared.segments().last_mut() {
        segment.end = tail.end;
    }
    Ok((shared, recovery))
}

/// How much of the last segment is shown without opening the journal for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upto {
    /// Every whole batch.
    Whole,
    /// What a later record proves durable.
    Proven,
}

/// For the daemon: readies the folder for writing.
pub(super) fn recover(
    storage: Arc<dyn Storage>,
    options: &Options,
) -> Result<(Writer, Recovery), Error> {
    let candidates: Vec<StreamId> =
        options.highest_known.iter().map(|(stream, _)| *stream).collect();
    let found = Survey::of(&storage, &candidates)?;
    check_keys(&found, &options.keys)?;
    let Some(header) = found.last().filter(|_| found.end_is_told) else {
        sweep(&*storage)?;
        if found.numbers.is_empty() {
            return start_stream(storage, options, new_stream_id()?, Recovery::default());
        }
        return replace_stream(storage, options, (&found.numbers, found.stream), found.damaged);
    };
    let key = header.seal.and_then(|seal| options.keys.record_key(header.stream, &seal));
    let tail = read_tail(&storage, &header, key.as_ref())?;
    sweep(&*storage)?;
    let known = options.highest_known.iter().filter(|(stream, _)| *stream == header.stream);
    let known = known.map(|(_, sequence)| *sequence).max();
    if let Some(known) = known.filter(|known| known.number() > tail.last()) {
        let damaged = found.damaged.into_iter().chain([Damage::EndMissing { known }]).collect();
        return replace_stream(storage, options, (&found.numbers, found.stream), damaged);
    }
    continue_stream(storage, options, found, tail)
}

/// Every segment must be readable before anything is changed: a box that is started with the wrong
/// key would otherwise go on for days before somebody sees that its data cannot be read.
fn check_keys(found: &Survey, keys: &Keys) -> Result<(), Error> {
    for (segment, header) in &found.segments {
        if let Some(seal) = &header.seal
            && keys.record_key(header.stream, seal).is_none()
        {
            return Err(Error::WrongKey {
                number: segment.number,
                needs: seal.key,
                has: keys.current.as_ref().map(super::BoxKey::id),
            });
        }
    }
    Ok(())
}

fn read_tail(
    storage: &Arc<dyn Storage>,
    header: &SegmentHeader,
    key: Option<&RecordKey>,
) -> Result<Tail, Error> {
    let tail = Tail::read(storage, header, key)?;
    match tail.key_fault.and_then(Sequence::new) {
        Some(fault) => Err(Error::KeyFault(fault)),
        None => Ok(tail),
    }
}

/// Goes on in a new segment, which supersedes what the last one holds past the proven mark.
fn continue_stream(
    storage: Arc<dyn Storage>,
    options: &Options,
    mut found: Survey,
    tail: Tail,
) -> Result<(Writer, Recovery), Error> {
    let old = tail.header;
    // Without its salt nothing of it can be opened, so copying would only spread the loss.
    let readable = old.seal.is_some() || !tail.sealed;
    let keep_until = if readable { tail.proven } else { tail.last() };
    let unproven: Vec<&Entry> =
        tail.entries.iter().filter(|entry| entry.sequence > keep_until).collect();
    let from = unproven.first().map_or(tail.end, |entry| entry.offset);
    let mut body = vec![0; usize::try_from(tail.end - from).unwrap_or_default()];
    let filled = storage.read_at(&segment_name(old.number), from, &mut body);
    if filled.map_err(failure("read segment"))? != body.len() {
        return Err(short_read().into());
    }
    let mut recovery = report(&tail);
    recovery.damaged.splice(0..0, found.damaged.iter().cloned());
    recovery.copied_records = unproven.len() as u64;
    let current = options.keys.current.as_ref().map(super::BoxKey::id);
    let same_key = old.seal.map(|seal| seal.key) == current;
    let end = SEGMENT_HEADER_BYTES + body.len() as u64;
    let size = segment_bytes(options).max(end);
    let (predecessor, seal_before) = if tail.is_empty() {
        // An empty segment is about to be removed.
        (old.predecessor, old.seal_before)
    } else {
        (old.number, old.seal)
    };
    let header = SegmentHeader {
        stream: old.stream,
        number: old.number + 1,
        first: keep_until + 1,
        previous: tail.tag_of(keep_until),
        predecessor,
        size,
        seal: if body.is_empty() { options.keys.new_seal()? } else { old.seal },
        seal_before,
    };
    make_segment(&*storage, &header, &body)?;
    tidy(&*storage, &tail, &mut found, old.number)?;
    let mut segment = Segment::of(&header, sequence(header.first));
    segment.end = end;
    found.segments.push((segment, header));
    let place = Place { header, offset: end, next: tail.last() + 1, tag: tail.tag_of(tail.last()) };
    let place_is_final = body.is_empty() || same_key;
    let shared =
        share(Arc::clone(&storage), options.keys.clone(), (old.stream, tail.last()), found);
    let notify = Arc::clone(&options.on_durable);
    let mut writer = Writer::new(Arc::new(shared), place, segment_bytes(options), notify);
    if !place_is_final {
        writer.roll()?;
    }
    Ok((writer, recovery))
}

fn report(tail: &Tail) -> Recovery {
    Recovery {
        last: Sequence::new(tail.last()),
        last_time_us: tail.entries.last().map(|entry| entry.time_us),
        torn_bytes: tail.torn_bytes,
        damaged: tail.damaged.iter().cloned().map(Damage::RecordsMissing).collect(),
        ..Recovery::default()
    }
}

/// Gives back the reserved room of a segment that gets no more records, and removes it if it never
/// had any. Torn bytes stay where they are.
fn tidy(
    storage: &dyn Storage,
    tail: &Tail,
    found: &mut Survey,
    number: u64,
) -> Result<(), Failure> {
    let name = segment_name(number);
    if tail.is_empty() {
        found.segments.retain(|(segment, _)| segment.number != number);
        storage.unlink(&name).map_err(failure("remove empty segment"))?;
        return storage.sync_folder("").map_err(failure("sync folder"));
    }
    let used = tail.end + tail.torn_bytes;
    if let Some((segment, _)) = found.segments.last_mut() {
        segment.end = used;
    }
    storage.trim(&name, used).map_err(failure("trim segment"))
}

fn start_stream(
    storage: Arc<dyn Storage>,
    options: &Options,
    stream: StreamId,
    recovery: Recovery,
) -> Result<(Writer, Recovery), Error> {
    let size = segment_bytes(options);
    let header = SegmentHeader {
        stream,
        number: 1,
        first: 1,
        previous: [0; 16],
        predecessor: 0,
        size,
        seal: options.keys.new_seal()?,
        seal_before: None,
    };
    make_segment(&*storage, &header, &[])?;
    let shared = Shared::new(storage, options.keys.clone(), (stream, 0));
    shared.segments().push(Segment::of(&header, Sequence::FIRST));
    let place = Place { header, offset: SEGMENT_HEADER_BYTES, next: 1, tag: [0; 16] };
    let writer = Writer::new(Arc::new(shared), place, size, Arc::clone(&options.on_durable));
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

fn share(
    storage: Arc<dyn Storage>,
    keys: Keys,
    (stream, durable): (StreamId, u64),
    found: Survey,
) -> Shared {
    let mut shared = Shared::new(storage, keys, (stream, durable));
    *shared.segments() = found.segments.into_iter().map(|(segment, _)| segment).collect();
    shared.lost = found.lost;
    shared
}

pub(super) fn sequence(number: u64) -> Sequence {
    Sequence::new(number).expect("a segment header with another first sequence is not decoded")
}

fn segment_bytes(options: &Options) -> u64 {
    options.segment_bytes.max(SEGMENT_BYTES_MIN)
}

fn short_read() -> Failure {
    Failure { during: "read segment", kind: std::io::ErrorKind::UnexpectedEof }
}
