//! Live numerics: one row for many records, which says whose and of when they are. It may say too
//! much (the journal is read then, in vain), never too little.
//!
//! | bytes of the value | what |
//! |---|---|
//! | 8 | last sequence |
//! | 16 | earliest and latest time |
//! | 1 | 1: more patients than are named |
//! | 2 | how many devices; then of each 16 bytes of keyed hash |
//! | 2 | how many patients; then of each 16 bytes of keyed hash |

use std::collections::BTreeSet;

use super::keys::{self, Facet, Hasher, Row, TRENDS};
use super::{Class, Entry, Query};

/// More patients than a ward has beds; behind them the row says that it may be anybody.
const PATIENTS_MAX: usize = 256;
/// As many devices as a box has connections; a row with more is begun anew.
const DEVICES_MAX: usize = 512;

type Hash = [u8; 16];

/// Whose and of when the trends among consecutive records are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub first: u64,
    pub last: u64,
    /// Earliest and latest; `None`: no trends among them.
    pub times_us: Option<(i64, i64)>,
    devices: BTreeSet<Hash>,
    patients: BTreeSet<Hash>,
    anybody: bool,
}

impl Range {
    /// Nothing seen before this sequence.
    pub fn from(first: u64) -> Self {
        Self {
            first,
            last: first.saturating_sub(1),
            times_us: None,
            devices: BTreeSet::new(),
            patients: BTreeSet::new(),
            anybody: false,
        }
    }

    pub fn take(&mut self, entry: &Entry, place: u64, hasher: &Hasher) {
        self.last = place;
        if !entry.classes.contains(&Class::Trend) {
            return;
        }
        let (early, late) = self.times_us.unwrap_or((entry.time_us, entry.time_us));
        self.times_us = Some((early.min(entry.time_us), late.max(entry.time_us)));
        self.devices.extend(entry.device.iter().map(|name| hasher.hash(Facet::Device, name)));
        for patient in &entry.patients {
            if self.patients.len() < PATIENTS_MAX {
                self.patients.insert(hasher.hash(Facet::Patient, patient));
            } else {
                self.anybody = true;
            }
        }
    }

    /// Whether it is time for the next one.
    pub fn is_full(&self) -> bool {
        self.last + 1 - self.first >= super::RANGE_RECORDS || self.devices.len() >= DEVICES_MAX
    }

    /// What is written; `None` where there are no trends.
    pub fn row(&self) -> Option<Row> {
        let (early, late) = self.times_us?;
        let mut value = self.last.to_be_bytes().to_vec();
        value.extend(early.to_be_bytes());
        value.extend(late.to_be_bytes());
        value.push(u8::from(self.anybody));
        for hashes in [&self.devices, &self.patients] {
            // Both are bounded far below this.
            value.extend((hashes.len() as u16).to_be_bytes());
            hashes.iter().for_each(|hash| value.extend(hash));
        }
        Some((keys::numbered(TRENDS, self.first), Some(value)))
    }

    /// From a row; `None` if it is none.
    pub fn read(key: &[u8], value: &[u8]) -> Option<Self> {
        let (first, _) = keys::numbers(key.strip_prefix(&[TRENDS])?)?;
        let (last, rest) = value.split_first_chunk()?;
        let (early, rest) = rest.split_first_chunk()?;
        let (late, rest) = rest.split_first_chunk()?;
        let (anybody, rest) = rest.split_first()?;
        let (devices, rest) = hashes(rest)?;
        let (patients, rest) = hashes(rest)?;
        let range = Self {
            first,
            last: u64::from_be_bytes(*last),
            times_us: Some((i64::from_be_bytes(*early), i64::from_be_bytes(*late))),
            devices,
            patients,
            anybody: *anybody != 0,
        };
        (rest.is_empty() && range.last >= first).then_some(range)
    }

    /// Whether there may be something that is asked for.
    pub fn may_hold(&self, query: &Query, hasher: &Hasher) -> bool {
        let Some((early, late)) = self.times_us else { return false };
        let has = |set: &BTreeSet<Hash>, facet, text: &Option<String>| {
            text.as_ref().is_none_or(|text| set.contains(&hasher.hash(facet, text)))
        };
        early <= query.until_us
            && late >= query.since_us
            && has(&self.devices, Facet::Device, &query.device)
            && (self.anybody || has(&self.patients, Facet::Patient, &query.patient))
    }
}

fn hashes(bytes: &[u8]) -> Option<(BTreeSet<Hash>, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let (hashes, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*count)) * 16)?;
    let (hashes, _) = hashes.as_chunks::<16>();
    Some((hashes.iter().copied().collect(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(device: &str, patient: &str, time_us: i64) -> Entry {
        Entry {
            time_us,
            classes: vec![Class::Trend],
            device: Some(device.to_owned()),
            patients: vec![patient.to_owned()],
            ..Entry::default()
        }
    }

    fn asks(device: Option<&str>, patient: Option<&str>, since_us: i64, until_us: i64) -> Query {
        Query {
            classes: vec![Class::Trend],
            device: device.map(str::to_owned),
            patient: patient.map(str::to_owned),
            specimen: None,
            since_us,
            until_us,
            limit: 1,
        }
    }

    #[test]
    fn a_range_comes_back_and_holds_what_it_took() {
        let hasher = Hasher::of(&[7; 32]);
        let mut range = Range::from(10);
        assert_eq!(range.row(), None);
        range.take(&trend("bed-1", "P-1", 50), 10, &hasher);
        range.take(&trend("bed-2", "P-2", 40), 12, &hasher);
        let (key, value) = range.row().unwrap();
        let read = Range::read(&key, &value.unwrap()).unwrap();
        assert_eq!(read, range);
        for (query, expected) in [
            (asks(None, None, 0, 100), true),
            (asks(Some("bed-1"), Some("P-2"), 0, 100), true),
            (asks(Some("bed-3"), None, 0, 100), false),
            (asks(None, Some("P-3"), 0, 100), false),
            (asks(None, None, 51, 100), false),
            (asks(None, None, 0, 39), false),
            (asks(None, None, 50, 50), true),
        ] {
            assert_eq!(read.may_hold(&query, &hasher), expected, "{:?}", query.since_us);
        }
    }

    #[test]
    fn too_many_patients_are_anybody() {
        let hasher = Hasher::of(&[7; 32]);
        let mut range = Range::from(1);
        for patient in 0..=PATIENTS_MAX as u64 {
            range.take(&trend("bed-1", &patient.to_string(), 1), patient + 1, &hasher);
        }
        assert!(range.may_hold(&asks(None, Some("nobody"), 0, 9), &hasher));
        assert!(!range.may_hold(&asks(Some("bed-2"), Some("nobody"), 0, 9), &hasher));
    }

    #[test]
    fn rubbish_is_no_range() {
        let hasher = Hasher::of(&[7; 32]);
        let mut range = Range::from(10);
        range.take(&trend("bed-1", "P-1", 50), 10, &hasher);
        let (key, value) = range.row().unwrap();
        let value = value.unwrap();
        for length in 0..value.len() {
            assert_eq!(Range::read(&key, &value[..length]), None);
        }
    }
}
