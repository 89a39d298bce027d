//! Which places of a message a device file reads, and which nobody does.

use std::collections::{BTreeMap, BTreeSet};

use crate::protocol::frame::{FrameMessage, FrameProfile};
use crate::protocol::line::LineMessage;

/// How often each place of a message is claimed.
pub(super) struct Claims {
    pub count: BTreeMap<usize, usize>,
    pub outside: Vec<usize>,
}

impl Claims {
    fn new(places: std::ops::RangeInclusive<usize>) -> Self {
        Self { count: places.map(|place| (place, 0)).collect(), outside: Vec::new() }
    }

    fn claim(&mut self, place: usize) {
        match self.count.get_mut(&place) {
            Some(count) => *count += 1,
            None => self.outside.push(place),
        }
    }

    /// Places that nobody claims.
    pub fn free(&self) -> impl Iterator<Item = usize> {
        self.count.iter().filter(|(_, count)| **count == 0).map(|(place, _)| *place)
    }
}

/// Columns from 1. The first columns are claimed by the line's start when that covers them, those
/// of marks and counts by `enclosed`, all of a line without values by its `no_values`.
pub(super) fn line_claims(message: &LineMessage) -> Claims {
    let columns = usize::from(message.columns);
    let mut claims = Claims::new(1..=columns);
    if message.starts_like.is_none() {
        for column in 1..=message.starts_with.matches(&message.separator).count() {
            claims.claim(column);
        }
    }
    if let Some(enclosed) = &message.enclosed {
        let counts = [enclosed.bytes_column, enclosed.columns_column].map(usize::from);
        let marks = [enclosed.open_column(), columns];
        counts.into_iter().chain(marks).for_each(|column| claims.claim(column));
    }
    for field in message.field.iter().filter_map(|field| field.column) {
        claims.claim(usize::from(field));
    }
    for ignored in &message.ignored {
        let Some(from) = ignored.column else { continue };
        (from..=ignored.to.unwrap_or(from)).for_each(|column| claims.claim(usize::from(column)));
    }
    let said = message.firmware.iter().chain(&message.serial_number);
    said.filter_map(|said| said.column).for_each(|column| claims.claim(usize::from(column)));
    // Several flags and a note share a column: together they claim it once.
    let flags = message.flag.iter().filter_map(|flag| flag.column);
    let marks: BTreeSet<u16> =
        flags.chain(message.note.iter().filter_map(|note| note.column)).collect();
    marks.into_iter().for_each(|column| claims.claim(usize::from(column)));
    if message.no_values.is_some() {
        let free: Vec<usize> = claims.free().collect();
        free.into_iter().for_each(|column| claims.claim(column));
    }
    claims
}

/// The keys of a line that more than one row claims.
pub(super) fn keys_claimed_twice(message: &LineMessage) -> Vec<String> {
    let fields = message.field.iter().flat_map(|one| &one.keys);
    let ignored = message.ignored.iter().flat_map(|one| &one.keys);
    let said = message.firmware.iter().chain(&message.serial_number).flat_map(|one| &one.keys);
    let flags = message.flag.iter().flat_map(|one| &one.keys);
    let marks: BTreeSet<&String> =
        flags.chain(message.note.iter().flat_map(|one| &one.keys)).collect();
    let ignore_case = message.keys.as_ref().is_some_and(|keys| keys.ignore_case);
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for key in fields.chain(ignored).chain(said).chain(marks) {
        let key = if ignore_case { key.to_lowercase() } else { key.clone() };
        *count.entry(key).or_default() += 1;
    }
    count.into_iter().filter(|(_, count)| *count > 1).map(|(key, _)| key).collect()
}

/// Bytes of the payload from 0. What stands behind them is claimed by `more_bytes`.
pub(super) fn frame_claims(frame: &FrameProfile, message: &FrameMessage) -> Claims {
    let bytes = usize::from(message.payload_bytes);
    let mut claims = Claims::new(0..=bytes.saturating_sub(1));
    let fixed = message.payload_type.0.iter().enumerate().filter(|(_, byte)| byte.is_some());
    fixed.for_each(|(at, _)| claims.claim(at));
    if let Some(train) = &frame.train {
        let (small, sum) = (usize::from(train.frame_bytes), frame.checksum.kind.bytes());
        let sums = (0..bytes).filter(|at| small > 0 && at % small >= small.saturating_sub(sum));
        sums.for_each(|at| claims.claim(at));
    }
    // Rows that a byte selects share their place; each claims it once together.
    let mut shared: BTreeSet<usize> = BTreeSet::new();
    for field in &message.field {
        match &field.when {
            Some(when) => {
                shared.extend(field.places());
                shared.insert(usize::from(when.at));
            }
            None => field.places().for_each(|place| claims.claim(place)),
        }
    }
    // Several flags share a byte: together they claim it once.
    shared.extend(message.flag.iter().flat_map(|flag| flag.places().collect::<Vec<_>>()));
    shared.into_iter().for_each(|place| claims.claim(place));
    message
        .ignored
        .iter()
        .flat_map(|ignored| ignored.places().collect::<Vec<_>>())
        .for_each(|place| claims.claim(place));
    for text in message.firmware.iter().chain(&message.serial_number) {
        let from = usize::from(text.at);
        (from..from + usize::from(text.bytes)).for_each(|place| claims.claim(place));
    }
    claims
}
