//! OBX that say what an earlier one said, but for value and time: most of what a monitor sends.
//!
//! What such a segment says around its value is looked up by its bytes instead of being read again,
//! and shared. The bytes are those of the whole segment without OBX-1, which nobody reads, and
//! without OBX-5, OBX-14 and OBX-19, which are read each time. Only segments of plain ASCII without
//! an escape are known: nothing depends on the message's character set then.

use std::collections::HashMap;
use std::sync::Arc;

use super::charset::is_plain;
use super::meaning::Structure;
use super::result::{self, Manner};
use super::segments::{Segment, slice};
use super::wire::Wire;
use crate::vocabulary::reading::{EventKind, Words};
use crate::vocabulary::{Reading, Refused};

/// More rows than a bedside monitor sends, a kilobyte each; all are forgotten beyond it.
const KNOWN_MAX: usize = 256;

/// Longer segments are read each time.
const SEGMENT_BYTES_MAX: usize = 512;

/// The segments of one connection that are known.
#[derive(Default)]
pub struct Known {
    /// In the order in which they first came, each with the bytes that it is known by.
    rows: Vec<(Box<[u8]>, Arc<Words>)>,
    /// Where a row stands.
    places: HashMap<Box<[u8]>, usize>,
    /// The row that comes next if this message is like the one before: it is looked at first.
    next: usize,
    /// The bytes of the segment in question.
    key: Vec<u8>,
}

impl Known {
    /// As [`result::read`], with the equipment of the nearest row above.
    pub fn read(
        &mut self,
        wire: &Wire,
        obx: &Segment,
        manner: &Manner,
        structure: &Structure,
    ) -> Result<Option<Reading>, Refused> {
        let may_be_known = self.take_key(wire, obx, manner, structure);
        if may_be_known && let Some(words) = self.find() {
            return result::read_again(wire, obx, manner, words).map(Some);
        }
        let read = result::read(wire, obx, manner)?;
        let Some((mut reading, around)) = read else { return Ok(None) };
        structure.complete(&mut reading);
        if may_be_known && around == result::Around::Plain {
            self.note(&reading.words);
        }
        Ok(Some(reading))
    }

    /// The words of the segment in question.
    fn find(&mut self) -> Option<&Arc<Words>> {
        let is_next = self.rows.get(self.next).is_some_and(|(key, _)| **key == *self.key);
        let place = if is_next { self.next } else { *self.places.get(self.key.as_slice())? };
        self.next = if place + 1 < self.rows.len() { place + 1 } else { 0 };
        self.rows.get(place).map(|(_, words)| words)
    }

    fn note(&mut self, words: &Arc<Words>) {
        if self.rows.len() >= KNOWN_MAX {
            self.rows.clear();
            self.places.clear();
        }
        self.places.insert(self.key.as_slice().into(), self.rows.len());
        self.rows.push((self.key.as_slice().into(), Arc::clone(words)));
        self.next = 0;
    }

    /// Everything that decides what an OBX says around its value; `false` if it is more than can be
    /// said in bytes.
    fn take_key(
        &mut self,
        wire: &Wire,
        obx: &Segment,
        manner: &Manner,
        structure: &Structure,
    ) -> bool {
        let segment = wire.bytes(&obx.at);
        let (Some(from), Some(value)) = (obx.field(2), obx.field(5)) else { return false };
        let plain = segment.len() <= SEGMENT_BYTES_MAX
            && is_plain(segment)
            && !segment.contains(&wire.delimiters.escape)
            && !wire.bytes(&value).trim_ascii().is_empty();
        if !plain {
            return false;
        }
        let event = match manner.event {
            None => 0,
            Some(EventKind::Alarm) => 1,
            Some(EventKind::PumpEvent) => 2,
        };
        self.key.clear();
        self.key.extend(wire.delimiters.bytes());
        self.key.extend([event, u8::from(manner.laboratory)]);
        self.key.extend(slice(wire.raw, &(from.start..value.start)));
        let mut rest = value.end;
        for time in [14, 19].into_iter().filter_map(|field| obx.field(field)) {
            self.key.extend(slice(wire.raw, &(rest..time.start)));
            rest = time.end;
        }
        self.key.extend(slice(wire.raw, &(rest..obx.at.end)));
        // A line end is no part of a segment, so it separates.
        let sub_id = obx.field(4).map(|at| wire.bytes(&at)).unwrap_or_default();
        for text in structure.above(std::str::from_utf8(sub_id).unwrap_or_default()) {
            self.key.push(b'\r');
            self.key.extend(text.as_bytes());
        }
        true
    }
}
