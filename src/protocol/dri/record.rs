//! The Datex-Ohmeda record: a header of 40 bytes, and sub-records that its table names.
//!
//! The checksum is a sum of eight bits, which misses one damaged frame in 256. So everything that
//! the structure says twice is compared: the record's length, the sub-records' places, their
//! lengths and their kinds. What does not agree gives no value.

use std::ops::Range;

use super::wire::{RECORD_BYTES_MAX, unescaped};
use crate::vocabulary::{Refused, Why};

/// Header bytes.
pub(super) const HEADER: usize = 40;
/// A sub-record of displayed or trended values of one class.
pub(super) const VALUES_BYTES: usize = 278;
/// The auxiliary sub-record.
pub(super) const AUXILIARY_BYTES: usize = 114;
/// The alarm sub-record.
pub(super) const ALARM_BYTES: usize = 510;
/// What stands before the samples of a wave.
pub(super) const WAVE_HEADER: usize = 6;

/// Ends the list of sub-records.
const END_OF_LIST: u8 = 0xff;
const SUB_RECORDS_MAX: usize = 8;

/// The interface levels that the document lists: 1995 to 2015.
const LEVELS: std::ops::RangeInclusive<u8> = 2..=11;

/// Main types.
pub(super) const VALUES: i16 = 0;
pub(super) const WAVE: i16 = 1;
pub(super) const ALARM: i16 = 4;

/// A record whose structure holds.
pub(super) struct Record {
    bytes: Vec<u8>,
    /// Where each byte stands in the frame.
    at: Vec<usize>,
    pub number: u8,
    pub level: u8,
    pub plug: u16,
    /// Seconds since 1970 as the monitor's own clock counts them.
    pub time: u32,
    pub main_type: i16,
    pub parts: Vec<SubRecord>,
}

/// One sub-record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SubRecord {
    pub kind: u8,
    /// In the record.
    pub bytes: Range<usize>,
}

impl Record {
    /// Reads a frame.
    pub fn read(raw: &[u8]) -> Result<Self, Refused> {
        let frame = unescaped(raw)?;
        let (bytes, at) = (frame.record, frame.at);
        let whole = 0..raw.len();
        let (Some(length), Some(number), Some(level)) =
            (i16_at(&bytes, 0), bytes.get(2).copied(), bytes.get(3).copied())
        else {
            return Err(Refused::new(Why::TooShort, whole, "a record has a header of 40 bytes"));
        };
        if bytes.len() < HEADER || bytes.len() > RECORD_BYTES_MAX {
            let what = format!("expected 40 to {RECORD_BYTES_MAX} bytes, got {}", bytes.len());
            return Err(Refused::new(Why::TooShort, whole, what));
        }
        if usize::try_from(length) != Ok(bytes.len()) {
            let what = format!("the record says {length} bytes and has {}", bytes.len());
            let is_cut = usize::try_from(length).is_ok_and(|length| length > bytes.len());
            let why = if is_cut { Why::TooShort } else { Why::TooLong };
            return Err(Refused::new(why, whole, what));
        }
        if !LEVELS.contains(&level) {
            let what = format!("interface level {level} is none of {LEVELS:?}");
            return Err(Refused::new(Why::UnsupportedMessage, whole, what));
        }
        let main_type = i16_at(&bytes, 14).unwrap_or(-1);
        let parts = sub_records(&bytes, main_type)
            .map_err(|what| Refused::new(Why::OddSegment, whole.clone(), what))?;
        let record = Self {
            number,
            level,
            plug: u16_at(&bytes, 4).unwrap_or_default(),
            time: u32_at(&bytes, 6).unwrap_or_default(),
            main_type,
            parts,
            bytes,
            at,
        };
        record.lengths().map_err(|(why, what)| Refused::new(why, whole, what))?;
        Ok(record)
    }

    /// The bytes of a sub-record, from its start.
    pub fn part(&self, part: &SubRecord) -> Part<'_> {
        let bytes = self.bytes.get(part.bytes.clone()).unwrap_or_default();
        Part { record: self, start: part.bytes.start, bytes }
    }

    /// Where the record's number stands in the frame.
    pub fn number_at(&self) -> Range<usize> {
        self.in_frame(2..3)
    }

    fn in_frame(&self, bytes: Range<usize>) -> Range<usize> {
        let at = |index: usize| self.at.get(index).copied().unwrap_or_default();
        at(bytes.start)..at(bytes.end)
    }

    fn lengths(&self) -> Result<(), (Why, String)> {
        for part in &self.parts {
            let bytes = part.bytes.len();
            let odd = |expected: &str| {
                let what = format!("sub-record of kind {}: expected {expected}", part.kind);
                Err((Why::OddSegment, format!("{what}, got {bytes} bytes")))
            };
            match (self.main_type, part.kind) {
                (VALUES, 1..=3) if bytes == 0 || bytes % VALUES_BYTES != 0 => {
                    return odd("n times 278 bytes");
                }
                (VALUES, 4) if bytes != AUXILIARY_BYTES => return odd("114 bytes"),
                (ALARM, 1) if bytes != ALARM_BYTES => return odd("510 bytes"),
                (WAVE, 1..) => {
                    let samples = self.part(part).i16(0).and_then(|count| count.try_into().ok());
                    if samples.map(|count: usize| WAVE_HEADER + 2 * count) != Some(bytes) {
                        return odd("a header of 6 bytes and as many samples as it says");
                    }
                }
                (VALUES, 1..=4) | (ALARM, 1) => {}
                (VALUES | ALARM | WAVE, kind) => {
                    let what = format!("a sub-record of kind {kind} is none that a monitor sends");
                    return Err((Why::UnknownMessage, what));
                }
                (main, _) => {
                    let what = format!("a record of main type {main} does not come over this line");
                    return Err((Why::UnsupportedMessage, what));
                }
            }
        }
        self.classes()
    }

    /// Each class once, and a number that there is.
    fn classes(&self) -> Result<(), (Why, String)> {
        let mut seen = Vec::new();
        for part in self.parts.iter().filter(|_| self.main_type == VALUES) {
            for block in self.blocks(part) {
                let Some(class) = self.class(&block) else {
                    let what = "a sub-record of displayed values names none of the classes 0 to 3";
                    return Err((Why::OddSegment, what.to_owned()));
                };
                if seen.contains(&(part.kind, class)) {
                    let what = format!("class {class} stands in the record twice");
                    return Err((Why::OddSegment, what));
                }
                seen.push((part.kind, class));
            }
        }
        Ok(())
    }

    /// The classes of a sub-record of values, 278 bytes each.
    pub fn blocks(&self, part: &SubRecord) -> Vec<SubRecord> {
        let is_values = self.main_type == VALUES && (1..=3).contains(&part.kind);
        let count = if is_values { part.bytes.len() / VALUES_BYTES } else { 0 };
        let start = |index: usize| part.bytes.start + index * VALUES_BYTES;
        (0..count)
            .map(|index| SubRecord { kind: part.kind, bytes: start(index)..start(index + 1) })
            .collect()
    }

    /// Bits 8 to 11 of the word that ends a sub-record of values.
    pub fn class(&self, block: &SubRecord) -> Option<usize> {
        let word = self.part(block).u16(VALUES_BYTES - 2)?;
        let class = usize::from((word >> 8) & 0xf);
        (class < super::table::CLASSES.len()).then_some(class)
    }
}

/// The sub-records that the header's table names: the first at 0, one behind the other, to the end
/// of the data.
fn sub_records(bytes: &[u8], main_type: i16) -> Result<Vec<SubRecord>, String> {
    let mut starts: Vec<(usize, u8)> = Vec::new();
    for index in 0..SUB_RECORDS_MAX {
        let at = 16 + 3 * index;
        let kind = bytes.get(at + 2).copied().unwrap_or(END_OF_LIST);
        if kind == END_OF_LIST {
            break;
        }
        let offset = i16_at(bytes, at).and_then(|offset| usize::try_from(offset).ok());
        let start = offset.map(|offset| HEADER + offset).filter(|start| *start < bytes.len());
        let follows = |start: &usize| match starts.last() {
            None => *start == HEADER,
            Some((before, _)) => before < start,
        };
        let Some(start) = start.filter(follows) else {
            return Err(format!("sub-record {index} of main type {main_type} is not where one is"));
        };
        starts.push((start, kind));
    }
    if starts.is_empty() {
        return Err(format!("a record of main type {main_type} without a sub-record"));
    }
    let ends = starts.iter().skip(1).map(|(start, _)| *start).chain([bytes.len()]);
    let parts = starts.iter().zip(ends);
    Ok(parts.map(|((start, kind), end)| SubRecord { kind: *kind, bytes: *start..end }).collect())
}

/// A stretch of a record, read from its own start.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    record: &'a Record,
    start: usize,
    bytes: &'a [u8],
}

impl<'a> Part<'a> {
    pub fn i16(&self, at: usize) -> Option<i16> {
        i16_at(self.bytes, at)
    }

    pub fn u16(&self, at: usize) -> Option<u16> {
        u16_at(self.bytes, at)
    }

    pub fn u32(&self, at: usize) -> Option<u32> {
        u32_at(self.bytes, at)
    }

    pub fn bytes(&self, at: Range<usize>) -> &'a [u8] {
        self.bytes.get(at).unwrap_or_default()
    }

    /// Where these bytes stand in the frame.
    pub fn place(&self, at: Range<usize>) -> Range<usize> {
        self.record.in_frame(self.start + at.start..self.start + at.end)
    }
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn i16_at(bytes: &[u8], at: usize) -> Option<i16> {
    array(bytes, at).map(i16::from_le_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}
