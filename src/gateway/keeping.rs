//! What outlives its segment: records that are held until a person decides, and records that a
//! destination has rejected for good. Before their segment is freed they are written again, each
//! in a `Carried` record that holds it whole, with its own sequence.
//!
//! | bytes of the payload | what |
//! |---|---|
//! | 1 | `K`: a record that is kept |
//! | 1 | version, 1 |
//! | 8 | sequence |
//! | 2 | kind |
//! | 2 | index in its batch |
//! | 2 | records in its batch |
//! | 8 | time, microseconds since 1970 UTC |
//! | n | its payload |
//!
//! Little-endian. The `wire` record of a kept observation is kept with it, so that `explain` still
//! reaches the bytes. Training, test and control-sample data are held for good and of no patient;
//! they go with their segment.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::memory::has_checkpoint;
use super::record::Held;
use crate::forward::stored::Stored;
use crate::journal::{Error, Kind, Reader, Record};
use crate::vocabulary::{Mode, Sequence};

const MARK: u8 = b'K';
const VERSION: u8 = 1;

/// How many segments are freed in one go: reading them takes a second on a slow card.
const SEGMENTS_MAX: usize = 8;

const READ_RECORDS: usize = 1024;
const READ_BYTES: usize = 1 << 20;

/// A record that outlives its segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub sequence: Sequence,
    pub kind: Kind,
    pub batch_index: u16,
    pub batch_records: u16,
    pub time_us: i64,
    pub payload: Vec<u8>,
}

impl Kept {
    /// The payload of its `Carried` record.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![MARK, VERSION];
        bytes.extend(self.sequence.number().to_le_bytes());
        bytes.extend(self.kind.code().to_le_bytes());
        bytes.extend(self.batch_index.to_le_bytes());
        bytes.extend(self.batch_records.to_le_bytes());
        bytes.extend(self.time_us.to_le_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The record that a `Carried` record holds; `None` for a part of a checkpoint.
    pub fn from_carried(payload: &[u8]) -> Option<Self> {
        let rest = payload.strip_prefix(&[MARK, VERSION])?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let (batch_index, rest) = rest.split_first_chunk()?;
        let (batch_records, rest) = rest.split_first_chunk()?;
        let (time_us, rest) = rest.split_first_chunk()?;
        Some(Self {
            sequence: Sequence::new(u64::from_le_bytes(*sequence))?,
            kind: Kind::from_code(u16::from_le_bytes(*kind)),
            batch_index: u16::from_le_bytes(*batch_index),
            batch_records: u16::from_le_bytes(*batch_records),
            time_us: i64::from_le_bytes(*time_us),
            payload: rest.to_vec(),
        })
    }

    /// The record as it was.
    pub fn into_record(self) -> Record {
        let Self { sequence, kind, batch_index, batch_records, time_us, payload } = self;
        Record { sequence, kind, time_us, batch_index, batch_records, payload }
    }

    fn of(record: Record) -> Self {
        let Record { sequence, kind, time_us, batch_index, batch_records, payload } = record;
        Self { sequence, kind, batch_index, batch_records, time_us, payload }
    }
}

/// What may go, and what of it has to be written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The first sequence of the oldest segment that stays. It begins with a complete checkpoint.
    pub before: Sequence,
    pub keep: Vec<Kept>,
}

/// Plans the freeing of the oldest segments that hold nothing at or after `before`. `aside`: the
/// records that a destination has rejected for good. A segment more than half of which would have
/// to be written again stays, and all behind it: freeing it would make no room.
///
/// # Errors
/// The journal cannot be read.
pub fn plan(
    reader: &mut Reader,
    before: Sequence,
    aside: &BTreeSet<u64>,
) -> Result<Option<Plan>, Error> {
    let segments = reader.segments();
    let (mut plan, mut keep) = (None, Vec::new());
    for pair in segments.windows(2).take(SEGMENTS_MAX) {
        let [oldest, next] = pair else { break };
        if next.first > before {
            break;
        }
        let (bytes, kept) = read_segment(reader, (oldest.first, next.first), aside)?;
        let again: usize = kept.iter().map(|one| one.payload.len()).sum();
        if 2 * again > bytes {
            break;
        }
        keep.extend(kept);
        let behind = segments.iter().find(|one| one.number > next.number).map(|one| one.first);
        if has_checkpoint(reader, next.first, behind)? {
            plan = Some(Plan { before: next.first, keep: keep.clone() });
        }
    }
    Ok(plan)
}

/// How many bytes of payload a segment holds, and which of its records are kept.
fn read_segment(
    reader: &mut Reader,
    (first, behind): (Sequence, Sequence),
    aside: &BTreeSet<u64>,
) -> Result<(usize, Vec<Kept>), Error> {
    let (mut bytes, mut kept, mut next) = (0, Vec::new(), first);
    let mut wire: Option<Record> = None;
    while next < behind {
        let read = reader.read_from(next, READ_RECORDS, READ_BYTES)?;
        if read.next == next {
            break;
        }
        next = read.next;
        for record in read.records.into_iter().filter(|record| record.sequence < behind) {
            bytes += record.payload.len();
            if record.kind == Kind::Wire {
                wire = Some(record);
                continue;
            }
            if record.kind == Kind::Carried {
                kept.extend(Kept::from_carried(&record.payload));
            } else if aside.contains(&record.sequence.number()) || waits_for_a_person(&record) {
                kept.extend(wire.take().filter(|_| record.batch_index > 0).map(Kept::of));
                kept.push(Kept::of(record));
            }
        }
    }
    Ok((bytes, kept))
}

/// Whether an observation is held until somebody says what it is.
fn waits_for_a_person(record: &Record) -> bool {
    if record.kind != Kind::Observation {
        return false;
    }
    let Some(stored) = Stored::from_bytes(&record.payload) else { return false };
    if stored.data.contains_key("disputed") {
        return true;
    }
    let held = stored.data.get("held").and_then(Json::as_array).into_iter().flatten();
    waits(held.filter_map(Json::as_str), stored.data.get("mode").and_then(Json::as_str))
}

/// Whether something with these reasons and this mode is held until somebody says what it is.
pub(super) fn waits<'a>(mut held: impl Iterator<Item = &'a str>, mode: Option<&str>) -> bool {
    let unclassified = mode == Some(Mode::Unclassified.as_str());
    held.any(|reason| {
        reason == Held::FirmwareNotProven.as_str()
            || (unclassified && reason == Held::NotProduction.as_str())
    })
}
