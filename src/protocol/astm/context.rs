//! What later frames lean on where frames are handed over one by one: the records that say whose
//! results follow. Knows the letters of the records and nothing of their fields.

use super::assembly::Joined;
use super::link::CR;
use super::records::{self, Delimiters};

/// Stands in the place of patient and order behind a damaged record that may have named others:
/// the results that follow belong to nobody until the next patient or order. It is no record, so it
/// is read as what it stands for.
const ADRIFT: &[u8] = b"?";

/// What a record is to the results behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Patient,
    Order,
    Terminator,
    /// It may have been another patient or order.
    Damaged,
    /// It says nothing of whose the results are.
    Other,
}

/// What a record but a header is. A maker's own letter says nothing of patients; anything else that
/// is no letter of the standard's may be a damaged P or O.
pub(super) fn sort_of(record: &[u8], delimiters: Delimiters, torn: bool) -> Sort {
    if record.get(1).is_some_and(|byte| *byte != delimiters.field) {
        return Sort::Damaged;
    }
    match record.first() {
        Some(b'R' | b'C' | b'Q' | b'M' | b'S') => Sort::Other,
        _ if torn => Sort::Damaged,
        Some(b'P') => Sort::Patient,
        Some(b'O') => Sort::Order,
        Some(b'L') => Sort::Terminator,
        Some(letter) if letter.is_ascii_uppercase() => Sort::Other,
        Some(_) | None => Sort::Damaged,
    }
}

/// The last header, and the patient and order behind it.
pub(super) fn context(joined: &Joined<'_>) -> Vec<u8> {
    let mut header: Option<&[u8]> = None;
    let (mut patient, mut order) = (None, None);
    let mut delimiters = None;
    for range in records::split(joined.text) {
        let torn = joined.is_torn(range.start);
        let record = joined.text.get(range).unwrap_or_default();
        if record.first() == Some(&b'H') {
            delimiters = Delimiters::of_header(record).filter(|_| !torn);
            // A header that cannot be read leaves the results behind it without one.
            header = Some(if delimiters.is_some() { record } else { b"H" });
            (patient, order) = (None, None);
        } else if let Some(delimiters) = delimiters {
            match sort_of(record, delimiters, torn) {
                Sort::Patient => (patient, order) = (Some(record), None),
                Sort::Order => order = Some(record),
                Sort::Damaged => (patient, order) = (Some(ADRIFT), None),
                Sort::Terminator => (header, patient, order) = (None, None, None),
                Sort::Other => {}
            }
        }
        if header.is_none() {
            delimiters = None;
        }
    }
    let mut context = Vec::new();
    for record in [header, patient, order].into_iter().flatten() {
        context.extend_from_slice(record);
        context.push(CR);
    }
    context
}
