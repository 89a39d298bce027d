//! What the end of a segment holds: which records form whole batches, and which of them a later
//! commit proves durable.

use std::sync::Arc;

use super::failure;
use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader, Tag};
use super::keys::RecordKey;
use super::storage::{Storage, segment_name};
use super::walk::{Framed, Walk};
use super::{Failure, Missing};

/// A record of the last segment.
pub(super) struct Entry {
    pub sequence: u64,
    pub offset: u64,
    pub tag: Tag,
    pub time_us: i64,
}

/// What the last segment holds.
pub(super) struct Tail {
    pub header: SegmentHeader,
    /// The records of whole batches.
    pub entries: Vec<Entry>,
    /// Every record up to this sequence was durable before a later one was written.
    pub proven: u64,
    /// Where the whole batches end.
    pub end: u64,
    pub torn_bytes: u64,
    pub damaged: Vec<Missing>,
    /// Some record is encrypted.
    pub sealed: bool,
    /// The first record that is whole and that the key does not open.
    pub key_fault: Option<u64>,
}

impl Tail {
    /// With a key every record is opened for a try.
    pub fn read(
        storage: &Arc<dyn Storage>,
        header: &SegmentHeader,
        key: Option<&RecordKey>,
    ) -> Result<Self, Failure> {
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
            sealed: false,
            key_fault: None,
        };
        let read = tail.scan(&mut walk, key).and_then(|()| walk.last_used(tail.end));
        tail.torn_bytes = read.map_err(failure("read segment"))? - tail.end;
        Ok(tail)
    }

    fn scan(&mut self, walk: &mut Walk, key: Option<&RecordKey>) -> std::io::Result<()> {
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
                self.try_key(key, &found);
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

    fn try_key(&mut self, key: Option<&RecordKey>, found: &Framed) {
        self.sealed |= found.is_sealed();
        let Some(key) = key else { return };
        let opens = found.is_sealed()
            && key.open(&found.raw, &found.header.nonce, &found.payload).is_some();
        if !opens {
            self.key_fault.get_or_insert(found.header.sequence);
        }
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
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.damaged.is_empty() && self.torn_bytes == 0
    }

    /// The last sequence that was ever used.
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(self.proven, |entry| entry.sequence.max(self.proven))
    }

    /// Zero where the record itself is damaged: the chain is broken there, and that is reported.
    pub fn tag_of(&self, sequence: u64) -> Tag {
        if sequence + 1 == self.header.first {
            return self.header.previous;
        }
        let entry = self.entries.iter().rev().find(|entry| entry.sequence == sequence);
        entry.map_or([0; 16], |entry| entry.tag)
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
