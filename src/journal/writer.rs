//! Writes groups of batches: one write and one sync per group, and whole segments at a time.
//!
//! It runs on the appender's thread and holds no queue, so that a test can drive it step by step.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::format::{
    FLAG_ENCRYPTED, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, Tag,
    record_bytes, tag,
};
use super::keys::{self, RecordKey, SEAL_BYTES};
use super::storage::{NEW_SUFFIX, Storage, segment_name};
use super::{Done, Door, Failure, NewRecord, NotKept, OnDurable, Segment, Shared, failure};
use crate::vocabulary::Sequence;

/// A batch that waits to be written.
pub(super) struct Batch {
    pub records: Vec<NewRecord>,
    pub done: Done,
    pub place: Where,
}

/// Where a batch goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// Behind the batch before it, if the segment has room for it.
    Next,
    /// At the beginning of a segment.
    NewSegment,
}

impl Batch {
    /// The room that it takes in a segment, at most: encrypted records are a little larger.
    pub fn bytes(records: &[NewRecord]) -> usize {
        records.iter().map(|record| record_bytes(record.payload.len() + SEAL_BYTES)).sum()
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    /// Size of the segments to come.
    segment_bytes: u64,
    on_durable: OnDurable,
    /// The active segment.
    header: SegmentHeader,
    /// What encrypts its records.
    key: Option<RecordKey>,
    /// Where the next record goes in the active segment.
    offset: u64,
    /// Up to here it was written, if only with zeros.
    filled: u64,
    /// What a group has lately held, in bytes.
    usual_bytes: usize,
    /// The sequence of the next record.
    next: u64,
    /// The tag of the record before it.
    tag: Tag,
    /// For the bytes of a group; empty between two.
    buffer: Vec<u8>,
}

/// The usual group of sixty-four senders fits in it.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// How far zeros are written behind a group that comes to where nothing was written yet, while
/// groups are small. A sync into room that is only reserved has to bring the file's own description
/// along, which is a second write for the disk; into written room it has not.
const FILLED_AHEAD_BYTES: u64 = 256 << 10;
/// Groups that are usually no smaller pay for their second writes themselves.
const SMALL_GROUP_BYTES: usize = 48 << 10;
/// What disks write at once.
const BLOCK_BYTES: u64 = 4096;

/// Where writing continues.
pub(super) struct Place {
    pub header: SegmentHeader,
    pub offset: u64,
    pub next: u64,
    pub tag: Tag,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        place: Place,
        segment_bytes: u64,
        on_durable: OnDurable,
    ) -> Self {
        let Place { header, offset, next, tag } = place;
        let key = shared.record_key(&header);
        let (buffer, filled) = (Vec::new(), offset);
        Self {
            shared,
            segment_bytes,
            on_durable,
            header,
            key,
            offset,
            filled,
            usual_bytes: 0,
            next,
            tag,
            buffer,
        }
    }

    pub fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of the active segment.
    pub fn number(&self) -> u64 {
        self.header.number
    }

    /// What the active segment still holds.
    pub fn room(&self) -> u64 {
        self.header.size.saturating_sub(self.offset)
    }

    /// What encryption adds to a payload.
    pub fn added(&self) -> usize {
        if self.key.is_some() { SEAL_BYTES } else { 0 }
    }

    pub fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Writes and syncs these batches in order and tells each its fate.
    pub fn commit(&mut self, batches: Vec<Batch>) {
        let count = batches.len();
        let mut group = Group { bytes: std::mem::take(&mut self.buffer), done: Vec::new() };
        let mut fate = match self.shared.door() {
            Door::Open => Ok(()),
            Door::Shut(failure) => Err(NotKept::Failed(failure)),
            Door::Closed => Err(NotKept::Closed),
        };
        for batch in batches {
            group.done.push(batch.done);
            if fate.is_ok() {
                fate = self.stage(&mut group, batch.records, batch.place).map_err(NotKept::Failed);
            }
        }
        if fate.is_ok() {
            fate = self.flush(&mut group).map_err(NotKept::Failed);
        }
        if let Err(why) = fate {
            self.shut(why);
            group.done.drain(..).for_each(|done| done(Err(why)));
            (self.on_durable)(Sequence::new(self.shared.durable()));
        }
        self.shared.waiting.fetch_sub(count, Ordering::Relaxed);
        group.bytes.clear();
        group.bytes.shrink_to(BUFFER_BYTES_KEPT);
        self.buffer = group.bytes;
    }

    /// Puts the group's newest batch into its bytes; what was staged before is flushed if the
    /// active segment has no room for both.
    fn stage(
        &mut self,
        group: &mut Group,
        records: Vec<NewRecord>,
        place: Where,
    ) -> Result<(), Failure> {
        let room = self.room() - group.bytes.len() as u64;
        let added = self.added();
        let bytes: usize =
            records.iter().map(|record| record_bytes(record.payload.len() + added)).sum();
        if place == Where::NewSegment || bytes as u64 > room {
            let newest = group.done.pop();
            let flushed = self.flush(group).and_then(|()| self.roll());
            group.done.extend(newest);
            flushed?;
        }
        // The appender takes no more than `u16::MAX` records in a batch.
        let count = records.len() as u16;
        for (index, record) in (0..count).zip(records) {
            self.encode(group, &record, (index, count))?;
        }
        Ok(())
    }

    fn encode(
        &mut self,
        group: &mut Group,
        record: &NewRecord,
        (index, count): (u16, u16),
    ) -> Result<(), Failure> {
        let mut header = RecordHeader {
            flags: 0,
            kind: record.kind,
            batch_index: index,
            batch_records: count,
            sequence: self.next,
            time_us: record.time_us,
            durable_through: self.shared.durable(),
            // A batch is smaller than half a segment, whose size is checked when opening.
            payload_length: record.payload.len() as u32,
            payload_crc: 0,
            previous: self.tag,
            nonce: [0; 24],
        };
        let sealed = match &self.key {
            None => None,
            Some(key) => {
                header.flags = FLAG_ENCRYPTED;
                header.payload_length += SEAL_BYTES as u32;
                keys::random(&mut header.nonce)?;
                let raw = header.encode(self.shared.stream);
                let sealed = key.seal(&raw, &header.nonce, &record.payload);
                Some(sealed.ok_or(Failure {
                    during: "encrypt record",
                    kind: std::io::ErrorKind::InvalidInput,
                })?)
            }
        };
        let payload = sealed.as_ref().unwrap_or(&record.payload);
        header.payload_crc = crc32fast::hash(payload);
        let raw: [u8; RECORD_HEADER_BYTES] = header.encode(self.shared.stream);
        group.bytes.extend_from_slice(&raw);
        group.bytes.extend_from_slice(payload);
        group.bytes.resize(group.bytes.len().next_multiple_of(8), 0);
        self.tag = tag(&raw, payload);
        self.next += 1;
        Ok(())
    }

    fn flush(&mut self, group: &mut Group) -> Result<(), Failure> {
        if !group.bytes.is_empty() {
            let storage = &self.shared.storage;
            let name = segment_name(self.header.number);
            let end = self.offset + group.bytes.len() as u64;
            self.usual_bytes = (7 * self.usual_bytes + group.bytes.len()) / 8;
            group.bytes.resize(group.bytes.len() + self.zeros_behind(end), 0);
            storage
                .write_at(&name, self.offset, &group.bytes)
                .map_err(failure("write to segment"))?;
            storage.sync(&name).map_err(failure("sync segment"))?;
            self.filled = self.filled.max(self.offset + group.bytes.len() as u64);
            self.offset = end;
            group.bytes.clear();
            if let Some(active) = self.shared.segments().last_mut() {
                active.end = self.offset;
            }
            self.shared.durable.store(self.next - 1, Ordering::Release);
        }
        group.done.drain(..).for_each(|done| done(Ok(())));
        (self.on_durable)(Sequence::new(self.shared.durable()));
        Ok(())
    }

    /// How many zeros go out behind a group that ends there.
    fn zeros_behind(&self, end: u64) -> usize {
        if self.usual_bytes >= SMALL_GROUP_BYTES || end <= self.filled {
            return 0;
        }
        let ahead = (end + FILLED_AHEAD_BYTES).next_multiple_of(BLOCK_BYTES).min(self.header.size);
        usize::try_from(ahead.saturating_sub(end)).unwrap_or(0)
    }

    /// Starts the next segment; everything in the active one is durable.
    pub fn roll(&mut self) -> Result<(), Failure> {
        let header = SegmentHeader {
            stream: self.shared.stream,
            number: self.header.number + 1,
            first: self.next,
            previous: self.tag,
            predecessor: self.header.number,
            size: self.segment_bytes,
            seal: self.shared.keys.new_seal()?,
            seal_before: self.header.seal,
        };
        make_segment(&*self.shared.storage, &header, &[])?;
        // A file shorter than its header says has a successor: losing that one is then seen.
        let old = segment_name(self.header.number);
        self.shared.storage.trim(&old, self.offset).map_err(failure("trim segment"))?;
        (self.offset, self.filled) = (SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES);
        self.key = self.shared.record_key(&header);
        self.header = header;
        let first = Sequence::FIRST.plus(self.next - 1);
        self.shared.segments().push(Segment::of(&header, first));
        Ok(())
    }

    fn shut(&self, why: NotKept) {
        match why {
            NotKept::Failed(failure) => self.shared.set_door(Door::Shut(failure)),
            NotKept::Closed => self.shared.set_door(Door::Closed),
        }
    }
}

/// What one sync will make durable.
#[derive(Default)]
struct Group {
    bytes: Vec<u8>,
    done: Vec<Done>,
}

/// Makes a segment that already holds `body`. It gets its proper name only when all of it is on
/// stable storage, because from then on it supersedes what the segment before holds past its end.
pub(super) fn make_segment(
    storage: &dyn Storage,
    header: &SegmentHeader,
    body: &[u8],
) -> Result<(), Failure> {
    let name = segment_name(header.number);
    let new = format!("{name}{NEW_SUFFIX}");
    storage.create(&new, header.size).map_err(failure("make segment"))?;
    let mut bytes = header.encode();
    bytes.extend_from_slice(body);
    storage.write_at(&new, 0, &bytes).map_err(failure("write to new segment"))?;
    storage.sync(&new).map_err(failure("sync new segment"))?;
    storage.rename(&new, &name).map_err(failure("name new segment"))?;
    storage.sync_folder("").map_err(failure("sync folder"))
}
