//! Looks at every byte of one segment, and says which are not as they were written.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::format::{Head, SEGMENT_HEADER_BYTES, is_zero};
use super::storage::segment_name;
use super::walk::{Framed, Walk};
use super::{Missing, Segment, Shared};

/// Bytes that are not as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// The name of the file in the journal's folder.
    pub file: String,
    /// Where in it; empty where the file is not there, or says nothing of what is missing.
    pub bytes: Range<u64>,
    /// The records that are lost by it; `None`: none is.
    pub sequences: Option<Missing>,
}

impl std::fmt::Display for DamagedRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Range { start, end } = self.bytes;
        write!(f, "{} bytes {start} to {end}: ", self.file)?;
        match &self.sequences {
            Some(lost) => write!(f, "records {} to {} are lost", lost.start(), lost.end()),
            None => write!(f, "no record is lost"),
        }
    }
}

/// What one step saw.
#[derive(Default)]
pub(super) struct Seen {
    pub record: Option<Framed>,
    pub damaged: Vec<DamagedRange>,
    /// Bytes that belong to no record that counts.
    pub leftover_bytes: u64,
}

/// Goes over one segment, record by record.
pub(super) struct Scan {
    name: String,
    walk: Walk,
    /// Its records are encrypted, and it is known how.
    has_seal: bool,
    /// A file behind this segment that held the records up to its `until`.
    lost_after: Option<(String, u64)>,
    offset: u64,
    /// The next sequence to come.
    next: u64,
    /// The last sequence that counts here.
    until: u64,
    end: u64,
    ended: bool,
}

impl Scan {
    pub fn of(shared: &Arc<Shared>, segment: &Segment, until: u64) -> Self {
        let name = segment_name(segment.number);
        let storage = Arc::clone(&shared.storage);
        let lost_after = shared.lost.iter().find(|lost| lost.number == segment.number + 1);
        Self {
            walk: Walk::new(storage, shared.stream, name.clone(), segment.end),
            name,
            has_seal: segment.seal.is_some(),
            lost_after: lost_after.map(|lost| (segment_name(lost.number), lost.bytes)),
            offset: 0,
            next: segment.first.number(),
            until: until.min(shared.durable()),
            end: segment.end,
            ended: false,
        }
    }

    /// Where it is in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What it has not seen yet; for a medium that does not give it.
    pub fn rest(&self) -> DamagedRange {
        let sequences = (self.next <= self.until).then_some(self.next..=self.until);
        DamagedRange { file: self.name.clone(), bytes: self.offset..self.end, sequences }
    }

    /// The next record or damage; `None` at the end.
    pub fn step(&mut self) -> io::Result<Option<Seen>> {
        if self.ended {
            return Ok(None);
        }
        if self.offset == 0 {
            return self.head().map(Some);
        }
        let mut seen = Seen::default();
        let (next, until) = (self.next, self.until);
        let counts =
            |found: &Framed| found.header.sequence >= next && found.header.sequence <= until;
        let found = match self.walk.at(self.offset)? {
            Some(found) => Some(found).filter(counts),
            None => self.walk.seek(self.offset + 1)?.filter(counts),
        };
        let Some(found) = found else {
            self.end(&mut seen)?;
            return Ok(Some(seen));
        };
        let sequence = found.header.sequence;
        if found.offset > self.offset || sequence > next {
            let lost = (sequence > next).then(|| next..=sequence - 1);
            seen.damaged.push(self.range(self.offset..found.offset, lost));
        }
        let padding = found.offset as usize + super::format::RECORD_HEADER_BYTES;
        let padding = (padding + found.payload.len()) as u64;
        let length = (found.end() - padding) as usize;
        let zeros = self.walk.bytes(padding, length)?;
        if zeros.len() < length || !is_zero(zeros) {
            seen.damaged.push(self.range(padding..found.end(), None));
        }
        if found.is_sealed() && !self.has_seal {
            let bytes = found.offset..found.end();
            seen.damaged.push(self.range(bytes, Some(sequence..=sequence)));
        }
        (self.offset, self.next) = (found.end(), sequence + 1);
        seen.record = Some(found).filter(|found| self.has_seal || !found.is_sealed());
        Ok(Some(seen))
    }

    fn head(&mut self) -> io::Result<Seen> {
        let head = self.walk.bytes(0, SEGMENT_HEADER_BYTES as usize)?;
        let head = Head::decode(head);
        self.offset = SEGMENT_HEADER_BYTES;
        let damaged = match head {
            Head::Good { harm, .. } => {
                harm.into_iter().map(|bytes| self.range(bytes, None)).collect()
            }
            Head::Newer(_) | Head::Bad => vec![self.range(0..SEGMENT_HEADER_BYTES, None)],
        };
        Ok(Seen { damaged, ..Seen::default() })
    }

    /// Nothing that counts follows.
    fn end(&mut self, seen: &mut Seen) -> io::Result<()> {
        self.ended = true;
        let used = self.walk.last_used(self.offset)?;
        if self.next > self.until {
            seen.leftover_bytes = used - self.offset;
            return Ok(());
        }
        let sequences = Some(self.next..=self.until);
        seen.damaged.push(match self.lost_after.take() {
            Some((file, bytes)) => {
                seen.leftover_bytes = used - self.offset;
                DamagedRange { file, bytes: 0..bytes, sequences }
            }
            None => self.range(self.offset..used, sequences),
        });
        self.next = self.until + 1;
        Ok(())
    }

    fn range(&self, bytes: Range<u64>, sequences: Option<Missing>) -> DamagedRange {
        DamagedRange { file: self.name.clone(), bytes, sequences }
    }
}
