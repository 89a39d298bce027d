//! Writes what can still be read of a journal into a fresh one.
//!
//! Records are copied as they are stored, each under its own stream and sequence, and encrypted
//! ones stay encrypted with the same key: salvage needs no key, and what it writes is no less
//! protected than what it was read from. Files keep their numbers, so a place in the one folder is
//! found in the other. The source is only read.

use super::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::reader::Reader;
use super::recovery::Damage;
use super::scan::{DamagedRange, Scan};
use super::storage::{Storage, segment_number};
use super::writer::make_segment;
use super::{Error, Recovery, failure};

/// What [`super::Journal::salvage`] wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    /// Records that are in the new folder.
    pub records: u64,
    pub segments: u64,
    /// What could not be read, by file and range of bytes.
    pub damaged: Vec<DamagedRange>,
    /// What the survey of the source said.
    pub found: Vec<Damage>,
}

pub(super) fn salvage(
    reader: &Reader,
    recovery: Recovery,
    into: &dyn Storage,
) -> Result<Salvaged, Error> {
    let names = into.list().map_err(failure("list folder"))?;
    if names.iter().any(|name| segment_number(name).is_some()) {
        return Err(Error::NotEmpty);
    }
    let mut salvaged = Salvaged { found: recovery.damaged, ..Salvaged::default() };
    let segments = reader.segments();
    let mut before: Option<SegmentHeader> = None;
    for (at, segment) in segments.iter().enumerate() {
        let next = segments.get(at + 1).map_or(u64::MAX, |next| next.first.number());
        let mut scan = Scan::of(&reader.shared, segment, next - 1);
        let mut body = Vec::new();
        let mut previous = None;
        loop {
            match scan.step() {
                Ok(None) => break,
                Ok(Some(seen)) => {
                    salvaged.damaged.extend(seen.damaged);
                    let Some(found) = seen.record else { continue };
                    previous.get_or_insert(found.header.previous);
                    salvaged.records += 1;
                    body.extend_from_slice(&found.raw);
                    body.extend_from_slice(&found.payload);
                    body.resize(body.len().next_multiple_of(8), 0);
                }
                // A medium that gives no more of this file may still give the others.
                Err(_) => {
                    salvaged.damaged.push(scan.rest());
                    break;
                }
            }
        }
        let header = SegmentHeader {
            stream: reader.stream(),
            number: segment.number,
            first: segment.first.number(),
            previous: previous.unwrap_or_default(),
            predecessor: before.map_or(0, |before| before.number),
            size: SEGMENT_HEADER_BYTES + body.len() as u64,
            seal: segment.seal,
            seal_before: before.and_then(|before| before.seal),
        };
        make_segment(into, &header, &body)?;
        salvaged.segments += 1;
        before = Some(header);
    }
    Ok(salvaged)
}
