//! Which places of a message a device file reads, and which nobody does.

use std::collections::BTreeMap;

use crate::protocol::frame::FrameMessage;
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

/// Columns from 1. The first column is claimed by `starts_with` when that covers it.
pub(super) fn line_claims(message: &LineMessage) -> Claims {
    let mut claims = Claims::new(1..=usize::from(message.columns));
    for column in 1..=message.starts_with.matches(&message.separator).count() {
        claims.claim(column);
    }
    let fields = message.field.iter().map(|field| field.column);
    let ignored = message.ignored.iter().map(|ignored| ignored.column);
    let firmware = message.firmware.iter().map(|firmware| firmware.column);
    for column in fields.chain(ignored).chain(firmware) {
        claims.claim(usize::from(column));
    }
    // Several flags share a column: together they claim it once.
    let mut flags: Vec<u16> = message.flag.iter().map(|flag| flag.column).collect();
    flags.dedup();
    flags.into_iter().for_each(|column| claims.claim(usize::from(column)));
    claims
}

/// Bytes of the payload from 0.
pub(super) fn frame_claims(message: &FrameMessage) -> Claims {
    let mut claims = Claims::new(0..=usize::from(message.payload_bytes).saturating_sub(1));
    let mut claim = |at: u16, bytes: usize| {
        (0..bytes).for_each(|offset| claims.claim(usize::from(at) + offset));
    };
    claim(0, message.payload_type.0.len());
    message.field.iter().for_each(|field| claim(field.at, field.raw.bytes()));
    message.ignored.iter().for_each(|ignored| claim(ignored.at, usize::from(ignored.bytes)));
    message.firmware.iter().for_each(|one| claim(one.at, usize::from(one.bytes)));
    let mut flags: Vec<u16> = message.flag.iter().map(|flag| flag.at).collect();
    flags.dedup();
    flags.into_iter().for_each(|at| claim(at, 1));
    claims
}
