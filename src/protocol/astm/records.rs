//! LIS02 syntax: records, fields, repeats, components, escapes (facts/lab.md 2.1).
//!
//! ```text
//! H|\^&|...      the byte behind H parts fields; then repeat, component and escape, in this order
//! ```
//!
//! Records are split on CR (LF and CR LF too) over the joined text of all frames, never on frame
//! ends. Delimiters always come from the header.

use std::ops::Range;

use super::charset::Charset;
use super::link::{CR, LF};
use super::path::RecordPath;

/// The four delimiters of one header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Delimiters {
    pub field: u8,
    pub repeat: u8,
    pub component: u8,
    pub escape: Option<u8>,
}

impl Delimiters {
    /// From a header record. Each delimiter must be another one: a header with a doubled delimiter
    /// (`H|\\^&|`, as captures that went through a C string have it) means the single ones.
    pub(super) fn of_header(header: &[u8]) -> Option<Self> {
        let (field, rest) = match header {
            [b'H', field, rest @ ..] if can_delimit(*field) => (*field, rest),
            _ => return None,
        };
        let mut found = rest.split(|byte| *byte == field).next()?.to_vec();
        found.dedup();
        let (repeat, component, escape) = match found.as_slice() {
            [repeat, component] => (*repeat, *component, None),
            [repeat, component, escape, ..] => (*repeat, *component, Some(*escape)),
            _ => return None,
        };
        let differ = repeat != component && escape != Some(repeat) && escape != Some(component);
        let fit = [Some(repeat), Some(component), escape].into_iter().flatten().all(can_delimit);
        (differ && fit).then_some(Self { field, repeat, component, escape })
    }
}

/// Letters, digits, blanks and control characters stand in text; as delimiters they are damage.
fn can_delimit(byte: u8) -> bool {
    !byte.is_ascii_alphanumeric() && !byte.is_ascii_whitespace() && !byte.is_ascii_control()
}

/// The ranges of the records in the text, without empty ones. The last one is not ended by a CR if
/// it reaches to the end of the text.
pub(super) fn split(text: &[u8]) -> Vec<Range<usize>> {
    let mut records = Vec::new();
    let mut start = 0;
    for part in text.split(|byte| matches!(*byte, CR | LF)) {
        let end = start + part.len();
        if !part.is_empty() {
            records.push(start..end);
        }
        start = end + 1;
    }
    records
}

/// The byte that parts fields, if the record is a header, whole or not.
pub(super) fn field_delimiter(record: &[u8]) -> Option<u8> {
    match record {
        [b'H', field, ..] if can_delimit(*field) => Some(*field),
        _ => None,
    }
}

/// Whether text begins with a record: a header with its delimiters, or a record letter, the field
/// delimiter and a sequence number. The number tells an L record from a unit (`mmol/` and
/// `L||N`) that was cut in two; an L record has two fields behind it at most.
pub(super) fn begins_one(text: &[u8], field: Option<u8>) -> bool {
    let record = text.split(|byte| matches!(*byte, CR | LF)).next().unwrap_or_default();
    match record {
        [b'H', ..] => return Delimiters::of_header(record).is_some(),
        [b'L'] => return true,
        _ => {}
    }
    let Some((letter, number)) = numbered(record, field) else { return false };
    let mut fields = record.get(1..).unwrap_or_default().split(|byte| Some(byte) == record.get(1));
    letter != b'L' || (number == 1 && fields.by_ref().skip(3).all(<[u8]>::is_empty))
}

/// The letter and the sequence number of a record that has both, which a header has not.
pub(super) fn numbered(record: &[u8], field: Option<u8>) -> Option<(u8, u64)> {
    let [letter @ (b'P' | b'O' | b'R' | b'C' | b'Q' | b'M' | b'S' | b'L'), delimiter, rest @ ..] =
        record
    else {
        return None;
    };
    if !can_delimit(*delimiter) || field.is_some_and(|known| known != *delimiter) {
        return None;
    }
    let number = rest.split(|byte| byte == delimiter || matches!(*byte, CR | LF)).next()?;
    let is_number = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(number).ok().filter(|_| is_number)?;
    Some((*letter, text.parse().ok()?))
}

/// Whether a record may end where it does: a result has a value field behind its test, or `^^^C`
/// and `R|7|` would be two results where one test `^^^CR` was cut in two.
pub(super) fn can_end(record: &[u8], field: Option<u8>) -> bool {
    const DELIMITERS_BEFORE_VALUE: usize = 3;
    let known = field.or_else(|| record.get(1).copied());
    let delimiters = record.iter().filter(|byte| Some(**byte) == known).count();
    record.first() != Some(&b'R') || delimiters >= DELIMITERS_BEFORE_VALUE
}

/// One record and how to take it apart.
#[derive(Clone, Copy)]
pub(super) struct Record<'t> {
    pub bytes: &'t [u8],
    /// Where it begins in the joined text.
    pub at: usize,
    pub delimiters: Delimiters,
}

/// Text that is not in the device's character set, and where in the joined text it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotInCharset {
    pub at: Range<usize>,
}

impl<'t> Record<'t> {
    /// Field 1 is the type letter. `None` if the record ends before it.
    pub(super) fn field(&self, number: usize) -> Option<Found<'t>> {
        let mut at = self.at;
        for (index, bytes) in self.bytes.split(|byte| *byte == self.delimiters.field).enumerate() {
            if index + 1 == number {
                return Some(Found { bytes, at, delimiters: self.delimiters });
            }
            at += bytes.len() + 1;
        }
        None
    }

    /// What a path of this record's letter points at; nothing if the record ends before it.
    pub(super) fn find(&self, path: &RecordPath) -> Option<Found<'t>> {
        let field = self.field(path.field)?;
        let place = match path.repeat {
            Some(number) => field.part(self.delimiters.repeat, number)?,
            None => field,
        };
        match path.component {
            // Which of several repeats is meant, nobody says: the field as sent.
            Some(_) if path.repeat.is_none() && field.repeats() > 1 => Some(field),
            Some(number) => place.part(self.delimiters.component, number),
            None => Some(place),
        }
    }
}

/// A field or a part of one.
#[derive(Clone, Copy)]
pub(super) struct Found<'t> {
    pub bytes: &'t [u8],
    pub at: usize,
    delimiters: Delimiters,
}

impl<'t> Found<'t> {
    pub(super) fn range(&self) -> Range<usize> {
        self.at..self.at + self.bytes.len()
    }

    /// Whether there is nothing but blanks and delimiters, or the mark for "delete" (`""`).
    pub(super) fn says_nothing(&self) -> bool {
        let Delimiters { repeat, component, .. } = self.delimiters;
        self.bytes == b"\"\""
            || self
                .bytes
                .iter()
                .all(|byte| matches!(*byte, b' ' | b'\t') || *byte == repeat || *byte == component)
    }

    /// The repeats, in order.
    pub(super) fn each_repeat(&self) -> Vec<Found<'t>> {
        self.parts(self.delimiters.repeat)
    }

    pub(super) fn components(&self) -> Vec<Found<'t>> {
        self.parts(self.delimiters.component)
    }

    /// The text with escapes resolved. Text that has delimiters in it keeps its escapes: resolved,
    /// an escaped separator could not be told from a real one.
    pub(super) fn text(&self, charset: &Charset) -> Result<String, NotInCharset> {
        let Delimiters { repeat, component, .. } = self.delimiters;
        let has_parts = self.bytes.iter().any(|byte| *byte == repeat || *byte == component);
        let resolved = match self.delimiters.escape {
            Some(escape) if !has_parts && self.bytes.contains(&escape) => {
                unescape(self.bytes, escape, self.delimiters)
            }
            Some(_) | None => self.bytes.to_vec(),
        };
        match charset.decode(&resolved) {
            Some(text) => Ok(text.into_owned()),
            None => Err(NotInCharset { at: self.range() }),
        }
    }

    /// How many repeats say something.
    fn repeats(&self) -> usize {
        self.each_repeat().iter().filter(|repeat| !repeat.says_nothing()).count()
    }

    fn part(&self, delimiter: u8, number: usize) -> Option<Found<'t>> {
        self.parts(delimiter).into_iter().nth(number.checked_sub(1)?)
    }

    fn parts(&self, delimiter: u8) -> Vec<Found<'t>> {
        let mut at = self.at;
        let found = |bytes: &'t [u8]| {
            let part = Found { bytes, at, delimiters: self.delimiters };
            at += bytes.len() + 1;
            part
        };
        self.bytes.split(|byte| *byte == delimiter).map(found).collect()
    }
}

/// Resolves `&F& &S& &R& &E&` and `&Xhh..&`; anything else between escapes stays as it is.
fn unescape(bytes: &[u8], escape: u8, delimiters: Delimiters) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == escape) {
        let (before, from_escape) = rest.split_at(at);
        out.extend_from_slice(before);
        let behind = from_escape.get(1..).unwrap_or_default();
        let Some(length) = behind.iter().position(|byte| *byte == escape) else {
            rest = from_escape;
            break;
        };
        let (inside, from_close) = behind.split_at(length);
        match resolved(inside, escape, delimiters) {
            Some(meant) => {
                out.extend_from_slice(&meant);
                rest = from_close.get(1..).unwrap_or_default();
            }
            None => {
                // The closing escape may open a sequence of its own.
                out.push(escape);
                out.extend_from_slice(inside);
                rest = from_close;
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

fn resolved(inside: &[u8], escape: u8, delimiters: Delimiters) -> Option<Vec<u8>> {
    match inside {
        b"F" => Some(vec![delimiters.field]),
        b"S" => Some(vec![delimiters.component]),
        b"R" => Some(vec![delimiters.repeat]),
        b"E" => Some(vec![escape]),
        [b'X', digits @ ..] if !digits.is_empty() && digits.len() % 2 == 0 => {
            digits.chunks(2).map(hexadecimal).collect()
        }
        _ => None,
    }
}

fn hexadecimal(pair: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(pair).ok()?;
    if !pair.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u8::from_str_radix(text, 16).ok()
}

/// Field numbers of LIS02 (facts/lab.md 2.2), counted with the record letter.
pub(super) mod field {
    pub(in crate::protocol::astm) const CONTROL_ID: usize = 3;
    pub(in crate::protocol::astm) const PROCESSING: usize = 12;
    pub(in crate::protocol::astm) const HEADER_TIME: usize = 14;

    pub(in crate::protocol::astm) const LOCATION: usize = 26;

    pub(in crate::protocol::astm) const ORDERED: usize = 5;
    pub(in crate::protocol::astm) const ACTION: usize = 12;
    pub(in crate::protocol::astm) const SPECIMEN_TYPE: usize = 16;
    pub(in crate::protocol::astm) const REPORTED: usize = 23;

    pub(in crate::protocol::astm) const TEST: usize = 3;
    pub(in crate::protocol::astm) const UNIT: usize = 5;
    pub(in crate::protocol::astm) const LIMITS: usize = 6;
    pub(in crate::protocol::astm) const FLAGS: usize = 7;
    pub(in crate::protocol::astm) const NATURE: usize = 8;
    pub(in crate::protocol::astm) const STATUS: usize = 9;
    pub(in crate::protocol::astm) const STARTED: usize = 12;
    pub(in crate::protocol::astm) const COMPLETED: usize = 13;
    pub(in crate::protocol::astm) const EQUIPMENT: usize = 14;

    pub(in crate::protocol::astm) const COMMENT: usize = 4;
    pub(in crate::protocol::astm) const COMMENT_TYPE: usize = 5;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Delimiters {
        Delimiters { field: b'|', repeat: b'\\', component: b'^', escape: Some(b'&') }
    }

    #[test]
    fn delimiters_come_from_the_header() {
        assert_eq!(Delimiters::of_header(br"H|\^&|||x"), Some(usual()));
        assert_eq!(Delimiters::of_header(br"H|\\^&|||x"), Some(usual()));
        let cepheid = Delimiters::of_header(br"H|@^\|URM").unwrap();
        assert_eq!((cepheid.repeat, cepheid.component, cepheid.escape), (b'@', b'^', Some(b'\\')));
        assert_eq!(Delimiters::of_header(br"H|\^").unwrap().escape, None);
        for broken in [&b"H"[..], b"H|", b"H|^", br"H|\^\|", b"H1^&|", b"Hx\\^&", b"P|1"] {
            assert_eq!(Delimiters::of_header(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn a_record_is_told_from_a_piece_of_one() {
        let whole: [&[u8]; 10] = [
            br"H|\^&|||LAB",
            b"P|1||PAT7",
            b"O|12|SP9",
            b"R|1|^^^GLU|5.60",
            b"R|1",
            b"C|1|I|40|I\rR|2",
            b"L|1|N",
            b"L|1|N||",
            b"L",
            b"Q|1|^SP9",
        ];
        for text in whole {
            assert!(begins_one(text, Some(b'|')), "{}", text.escape_ascii());
        }
        // What is left of `mmol/L||N||F`, `^^^C`, a name, a number and a header that was cut.
        let pieces: [&[u8]; 13] = [
            b"L||N||F||||20260101080000",
            b"L|3.5 to 6.1|N",
            b"L|6|N||F",
            b"L|6|N",
            b"R|",
            b"R",
            b"R||5.60",
            b"Smith^John",
            b"5.35||N",
            b"P^1",
            b"H",
            b"|1",
            b"",
        ];
        for text in pieces {
            assert!(!begins_one(text, Some(b'|')), "{}", text.escape_ascii());
        }
        assert!(!begins_one(b"R*1*^^^GLU", Some(b'|')) && begins_one(b"R*1*^^^GLU", None));
    }

    #[test]
    fn escapes_are_resolved_and_unknown_ones_kept() {
        // The words of facts/lab.md 2.1; the image path is how a Sysmex XN-550 writes one.
        let cases: [(&[u8], &[u8]); 9] = [
            (b"a&F&b&S&c&R&d&E&e", br"a|b^c\d&e"),
            (b"PNG&R&20240628&R&1", br"PNG\20240628\1"),
            (b"&X4142&", b"AB"),
            (b"&X4&", b"&X4&"),
            (b"&H&loud&N&", b"&H&loud&N&"),
            (b"R&D", b"R&D"),
            (b"A & B & C", b"A & B & C"),
            (b"x&&F&", b"x&|"),
            (b"&", b"&"),
        ];
        for (sent, meant) in cases {
            assert_eq!(unescape(sent, b'&', usual()), meant, "{}", String::from_utf8_lossy(sent));
        }
    }

    #[test]
    fn paths_find_fields_components_and_repeats() {
        let record =
            Record { bytes: br"O|1|SID^7\S2||^^^10^\^^^20^", at: 100, delimiters: usual() };
        let find = |path: &str| record.find(&RecordPath::parse(path).unwrap());
        assert_eq!(find("O.1").unwrap().bytes, b"O");
        assert_eq!(find("O.3[2]").unwrap().bytes, b"S2");
        assert_eq!(find("O.3[1].2").unwrap().bytes, b"7");
        assert_eq!(find("O.5[2].4").unwrap().bytes, b"20");
        assert_eq!(find("O.5[2].4").unwrap().range(), 124..126);
        // Two specimens in one field: none is chosen.
        assert_eq!(find("O.3.1").unwrap().bytes, br"SID^7\S2");
        assert!(find("O.4").unwrap().bytes.is_empty());
        assert!(find("O.9").is_none() && find("O.3[3]").is_none());
    }
}
