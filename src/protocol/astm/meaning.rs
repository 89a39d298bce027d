//! LIS02 records to groups and readings (facts/lab.md 2.2 to 2.4).
//!
//! | record | becomes |
//! |---|---|
//! | H | delimiters, identity, mode |
//! | P, O | the subject of the groups that follow; a new P forgets the O, a new H both |
//! | R | one reading |
//! | C | a remark of its group; a short instrument code is a flag of its reading as well |
//! | Q | a refusal: host queries are not answered |
//! | M, S, L | nothing; they stay in the raw message |
//!
//! A patient is never carried over from an earlier P, header or message.

use std::ops::Range;

use super::assembly::Joined;
use super::charset::Charset;
use super::context::{Sort, sort_of};
use super::path::{RecordLetter, RecordPath};
use super::profile::{AstmProfile, EndsWithLRecord};
use super::records::{self, Delimiters, Found, NotInCharset, Record, field};
use crate::protocol::utf8::CHARSET_GUESSED;
use crate::protocol::{Identity, Site};
use crate::vocabulary::reading::{Coding, StatedPatientId};
use crate::vocabulary::{Flag, Group, Mode, Refused, Subject, Why};

/// The longest instrument code in a comment that is taken as a flag; longer numbers are text.
const COMMENT_CODE_DIGITS_MAX: usize = 6;

/// What one message says.
#[derive(Default)]
pub(super) struct Read {
    pub groups: Vec<Group>,
    pub refusals: Vec<Refused>,
    pub identity: Option<Identity>,
    pub firmware: Option<String>,
    pub repeat_basis: Option<Vec<u8>>,
}

/// Reads the records of one message.
pub(super) fn read(
    profile: &AstmProfile,
    site: &Site,
    charset: &Charset,
    joined: &Joined<'_>,
) -> Read {
    let mut reader = Reader {
        profile,
        site,
        charset,
        joined,
        read: Read::default(),
        delimiters: None,
        header: None,
        patient: None,
        order: None,
        adrift: false,
        group: None,
        result_is_open: false,
        remarks: Vec::new(),
        subject_is_doubtful: false,
        has_untimed: false,
        basis: Vec::new(),
    };
    for range in records::split(joined.text) {
        reader.record(range);
    }
    let Reader { mut read, has_untimed, basis, .. } = reader;
    let has_readings = read.groups.iter().any(|group| !group.readings.is_empty());
    read.repeat_basis = (has_readings && !has_untimed).then_some(basis);
    read
}

/// Walks through the records and holds what the next one leans on.
pub(super) struct Reader<'a> {
    pub(super) profile: &'a AstmProfile,
    pub(super) site: &'a Site,
    pub(super) charset: &'a Charset,
    pub(super) joined: &'a Joined<'a>,
    read: Read,
    delimiters: Option<Delimiters>,
    pub(super) header: Option<Record<'a>>,
    pub(super) patient: Option<Record<'a>>,
    pub(super) order: Option<Record<'a>>,
    /// A damaged record stood here that may have named another patient or specimen: results belong
    /// to nobody until the next patient or order.
    adrift: bool,
    /// The open group's place in `read.groups`.
    group: Option<usize>,
    /// Whether the last record but comments was a result that gave a reading.
    result_is_open: bool,
    /// Comments on a patient or order that has no group yet.
    remarks: Vec<String>,
    /// Whether the open group's patient or specimen is written in what may be another set.
    subject_is_doubtful: bool,
    /// Whether a result without the device's own time stands in the message: two equal messages
    /// may then be two measurements.
    pub(super) has_untimed: bool,
    basis: Vec<u8>,
}

impl<'a> Reader<'a> {
    fn record(&mut self, range: Range<usize>) {
        let joined = self.joined;
        let Some(bytes) = joined.text.get(range.clone()) else { return };
        if range.end == joined.text.len() && !joined.tail_is_whole {
            let detail = "the transmission stopped inside this record";
            self.refuse(Why::Incomplete, range, detail);
            return;
        }
        let is_news = range.start >= joined.context;
        let kind = bytes.first().copied().unwrap_or_default();
        if kind == b'H' {
            self.header(bytes, range, is_news);
            return;
        }
        let Some(delimiters) = self.delimiters else {
            self.refuse(Why::Unparseable, range, "a record without a readable H record before it");
            return;
        };
        let record = Record { bytes, at: range.start, delimiters };
        let torn = joined.is_torn(range.start);
        if sort_of(bytes, delimiters, torn) == Sort::Damaged {
            self.drift();
        }
        if bytes.get(1).is_some_and(|byte| *byte != delimiters.field) {
            self.refuse(Why::OddSegment, range, "expected a record letter and a field delimiter");
            return;
        }
        self.basis_record(bytes);
        self.result_is_open &= kind == b'C' && !torn;
        match kind {
            _ if torn => self.torn(range),
            b'P' => {
                (self.patient, self.order, self.group) = (Some(record), None, None);
                self.adrift = false;
                self.remarks.clear();
            }
            b'O' => {
                (self.order, self.group) = (Some(record), None);
                self.adrift = false;
                self.remarks.clear();
            }
            b'L' => {
                (self.delimiters, self.header, self.patient) = (None, None, None);
                (self.order, self.group) = (None, None);
            }
            b'R' if is_news && self.adrift => {
                let detail = "a damaged record stands before this result: it belongs to nobody";
                self.refuse(Why::Unreadable, range, detail);
            }
            b'R' if is_news => self.result(record),
            b'C' if is_news => self.comment(record),
            b'Q' if is_news => {
                let detail = "query: host queries are acknowledged and not answered";
                self.refuse(Why::UnsupportedMessage, range, detail);
            }
            b'R' | b'C' | b'Q' | b'M' | b'S' => {}
            _ if is_news => {
                let detail = "expected one of H, P, O, R, C, Q, M, S, L";
                self.refuse(Why::OddSegment, range, detail);
            }
            _ => {}
        }
    }

    fn torn(&mut self, range: Range<usize>) {
        let detail = "ETX closed this record without CR, and what followed is no other record: \
                      it was cut in two";
        self.refuse(Why::TooShort, range, detail);
        // Two messages with a hole in them are not known to be the same.
        self.has_untimed = true;
    }

    /// What stood before may no longer hold for what follows.
    fn drift(&mut self) {
        (self.patient, self.order, self.group) = (None, None, None);
        self.remarks.clear();
        self.adrift = true;
    }

    fn header(&mut self, bytes: &'a [u8], range: Range<usize>, is_news: bool) {
        let is_unfinished = self.header.is_some();
        (self.header, self.patient, self.order, self.group) = (None, None, None, None);
        self.adrift = false;
        self.remarks.clear();
        let torn = self.joined.is_torn(range.start);
        self.delimiters = Delimiters::of_header(bytes).filter(|_| !torn);
        let Some(delimiters) = self.delimiters else {
            match (torn, is_news) {
                (true, _) => self.torn(range),
                (false, true) => {
                    let detail = "H record: expected delimiters such as |\\^&";
                    self.refuse(Why::Unparseable, range, detail);
                }
                (false, false) => {}
            }
            return;
        };
        let record = Record { bytes, at: range.start, delimiters };
        if is_unfinished && is_news && self.profile.ends_with_l_record == EndsWithLRecord::Yes {
            let detail = "a new H record before the L record of the message before it";
            self.refuse(Why::Incomplete, range, detail);
        }
        self.header = Some(record);
        self.basis_header(&record);
        let said = |path: &RecordPath| self.optional(record.find(path)).unwrap_or_default();
        let identity = Identity {
            model: said(&self.profile.model),
            serial_number: said(&self.profile.serial_number),
            firmware: said(&self.profile.firmware),
        };
        if !identity.firmware.is_empty() {
            self.read.firmware = Some(identity.firmware.clone());
        }
        if is_news && identity != Identity::default() {
            self.read.identity = Some(identity);
        }
    }

    fn result(&mut self, record: Record<'a>) {
        match self
            .selected(&record)
            .and_then(|selected| if selected { self.reading(&record).map(Some) } else { Ok(None) })
        {
            Ok(Some(mut reading)) => {
                let mode = self.mode(&record);
                let at = self.open_group(mode);
                if self.subject_is_doubtful || self.charset.is_doubtful(record.bytes) {
                    reading.flags.push(Flag(CHARSET_GUESSED.to_owned()));
                }
                self.group_at(at).readings.push(reading);
                self.result_is_open = true;
            }
            Ok(None) => {}
            Err(NotInCharset { at }) => {
                let detail = "R record: text that is not in the device's character set";
                self.refuse(Why::Charset, at, detail);
            }
        }
    }

    fn comment(&mut self, record: Record<'a>) {
        let Some(found) = record.field(field::COMMENT).filter(|found| !found.says_nothing()) else {
            return;
        };
        let text = match found.text(self.charset) {
            Ok(text) => text,
            Err(NotInCharset { at }) => {
                let detail = "C record: text that is not in the device's character set";
                self.refuse(Why::Charset, at, detail);
                return;
            }
        };
        let doubtful = self.charset.is_doubtful(found.bytes);
        let from_instrument =
            record.field(field::COMMENT_TYPE).map(|found| found.bytes) == Some(&b"I"[..]);
        let code = found.components().first().map(|part| part.bytes).unwrap_or_default();
        let is_code = (1..=COMMENT_CODE_DIGITS_MAX).contains(&code.len())
            && code.iter().all(u8::is_ascii_digit)
            && code.iter().any(|digit| *digit != b'0');
        let is_mark = from_instrument && is_code && self.result_is_open;
        match self.group.and_then(|at| self.read.groups.get_mut(at)) {
            Some(group) => {
                // Roche and Radiometer send data flags this way (facts/lab.md 2.4, 2.5); 0 is none.
                if is_mark && let Some(reading) = group.readings.last_mut() {
                    let code = String::from_utf8_lossy(code);
                    reading.flags.push(Flag(format!("comment:{code}")));
                }
                if doubtful && let Some(reading) = group.readings.last_mut() {
                    reading.flags.push(Flag(CHARSET_GUESSED.to_owned()));
                }
                group.remarks.push(text);
            }
            None => self.remarks.push(text),
        }
    }

    /// The place of the group of the current patient and order in that mode.
    fn open_group(&mut self, mode: Mode) -> usize {
        let fits = |at: &usize| self.read.groups.get(*at).is_some_and(|group| group.mode == mode);
        let at = match self.group.filter(fits) {
            Some(at) => at,
            None => {
                let subject = self.subject();
                let remarks = std::mem::take(&mut self.remarks);
                let group = Group { subject, mode, remarks, ..Group::of(Vec::new()) };
                self.read.groups.push(group);
                self.read.groups.len() - 1
            }
        };
        self.group = Some(at);
        at
    }

    fn group_at(&mut self, at: usize) -> &mut Group {
        self.read.groups.get_mut(at).expect("open_group gave the place of one that is there")
    }

    fn subject(&mut self) -> Subject {
        let profile = self.profile;
        let mut subject = Subject::default();
        self.subject_is_doubtful = false;
        for path in &profile.patient_ids {
            let id = self.stated(path, "patient id");
            if !id.is_empty() {
                let (authority, id_type) = (String::new(), path.to_string());
                subject.patient_ids.push(StatedPatientId { id, authority, id_type });
            }
        }
        for path in std::iter::once(&profile.specimen_id).chain(&profile.specimen_id_also) {
            subject.specimen = self.stated(path, "specimen id");
            if !subject.specimen.is_empty() {
                break;
            }
        }
        let order = |number| RecordPath::of(RecordLetter::O, number);
        subject.specimen_type = self.stated(&order(field::SPECIMEN_TYPE), "specimen type");
        subject.place = self.stated(&RecordPath::of(RecordLetter::P, field::LOCATION), "location");
        let ordered = self.stated(&order(field::ORDERED), "order");
        subject.ordered = (!ordered.is_empty()).then(|| Coding::new(&ordered, "", ""));
        subject
    }

    /// A field's text without the blanks around it; one that cannot be read is empty and refused.
    fn stated(&mut self, path: &RecordPath, what: &str) -> String {
        let Some(found) = self.find(path, None).filter(|found| !found.says_nothing()) else {
            return String::new();
        };
        self.subject_is_doubtful |= self.charset.is_doubtful(found.bytes);
        match found.text(self.charset) {
            Ok(text) => text.trim().to_owned(),
            Err(NotInCharset { at }) => {
                let detail = format!("{what} ({path}): text that is not in the character set");
                self.refuse(Why::Charset, at, detail);
                String::new()
            }
        }
    }

    pub(super) fn find(&self, path: &RecordPath, result: Option<&Record<'a>>) -> Option<Found<'a>> {
        let record = match path.record {
            RecordLetter::H => self.header.as_ref(),
            RecordLetter::P => self.patient.as_ref(),
            RecordLetter::O => self.order.as_ref(),
            RecordLetter::R => result,
        };
        record.and_then(|record| record.find(path))
    }

    /// Trimmed text, if it is there and readable.
    pub(super) fn optional(&self, found: Option<Found<'_>>) -> Option<String> {
        let found = found.filter(|found| !found.says_nothing())?;
        found.text(self.charset).ok().map(|text| text.trim().to_owned())
    }

    fn refuse(&mut self, why: Why, text: Range<usize>, detail: impl Into<String>) {
        let at = self.joined.raw_range(text);
        self.read.refusals.push(Refused::new(why, at, detail));
    }

    /// The header without its control id and time: they differ when the same message is sent again.
    fn basis_header(&mut self, record: &Record<'_>) {
        let field = record.delimiters.field;
        for (index, part) in record.bytes.split(|byte| *byte == field).enumerate() {
            if !matches!(index + 1, field::CONTROL_ID | field::HEADER_TIME) {
                self.basis.extend_from_slice(part);
            }
            self.basis.push(field);
        }
        self.basis.push(super::link::CR);
    }

    fn basis_record(&mut self, bytes: &[u8]) {
        self.basis.extend_from_slice(bytes);
        self.basis.push(super::link::CR);
    }
}
