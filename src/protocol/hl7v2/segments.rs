//! A message as segments and fields: ranges of bytes, nothing copied, nothing lost, no meaning.
//!
//! Works on bytes, before any character set is known. That is sound because every character set
//! that [`super::charset`] reads carries ASCII as ASCII; a segment in any other is not read.
//!
//! | level | ends with | from |
//! |---|---|---|
//! | segment | CR, LF or CRLF | facts/semantics.md 1.7 item 2 |
//! | field | MSH-1 | the byte after `MSH` |
//! | component, repetition | MSH-2, characters 1 and 2 | facts/semantics.md 1.7 item 5 |
//! | escape, sub-component, truncation | characters 3 to 5; the last two may be missing | |
//!
//! In a message that ends its segments with CR, a lone LF is part of a text unless a segment id and
//! a field separator follow it: splitting there would cut a value in two.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memchr2};

/// The characters that hold one message apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiters {
    pub field: u8,
    pub component: u8,
    pub repetition: u8,
    pub escape: u8,
    /// `None` where MSH-2 has only three characters.
    pub sub_component: Option<u8>,
    /// The fifth character of MSH-2 (from v2.7); it stands for cut-off text, escaped as `\P\`.
    pub truncation: Option<u8>,
}

impl Delimiters {
    /// All six; 0 for one that is missing.
    pub fn bytes(self) -> [u8; 6] {
        let Self { field, component, repetition, escape, sub_component, truncation } = self;
        let (sub_component, truncation) = (sub_component.unwrap_or(0), truncation.unwrap_or(0));
        [field, component, repetition, escape, sub_component, truncation]
    }

    /// `|^~\&`, for answering what has no readable header.
    pub const USUAL: Self = Self {
        field: b'|',
        component: b'^',
        repetition: b'~',
        escape: b'\\',
        sub_component: Some(b'&'),
        truncation: None,
    };

    /// From a segment that begins with `MSH`, `FHS` or `BHS`. `None` if they are fewer than three,
    /// more than five, no punctuation, or the same character twice.
    pub fn read(header: &[u8]) -> Option<Self> {
        let (field, rest) = header.get(3..)?.split_first()?;
        let encoding = rest.split(|byte| byte == field).next()?;
        let (&[component, repetition, escape], more) = encoding.split_first_chunk::<3>()?;
        let (sub_component, truncation) = match more {
            [] => (None, None),
            [sub] => (Some(*sub), None),
            [sub, truncation] => (Some(*sub), Some(*truncation)),
            _ => return None,
        };
        let mut all = vec![*field];
        all.extend_from_slice(encoding);
        let distinct = all
            .iter()
            .enumerate()
            .all(|(at, byte)| !all.iter().skip(at + 1).any(|other| other == byte));
        if !distinct || !all.iter().all(u8::is_ascii_punctuation) {
            return None;
        }
        Some(Self { field: *field, component, repetition, escape, sub_component, truncation })
    }
}

/// One segment: its id, where it stands, and where its fields stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub id: [u8; 3],
    pub at: Range<usize>,
    separators: Separators,
}

/// Where the field separators of a segment stand, counted from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Separators {
    count: usize,
    first: [u32; SEPARATORS_USUAL],
    /// The rest of them; most segments have none.
    more: Vec<u32>,
}

/// Those of an OBX with all of its fields.
const SEPARATORS_USUAL: usize = 25;

impl Separators {
    fn of(segment: &[u8], field: u8) -> Self {
        let mut found = Self { count: 0, first: [0; SEPARATORS_USUAL], more: Vec::new() };
        for offset in memchr_iter(field, segment) {
            // A message is at most `MESSAGE_BYTES_MAX` long.
            let offset = u32::try_from(offset).unwrap_or(u32::MAX);
            match found.first.get_mut(found.count) {
                Some(place) => *place = offset,
                None => found.more.push(offset),
            }
            found.count += 1;
        }
        found
    }

    fn get(&self, index: usize) -> Option<usize> {
        let place = self.first.get(index).or_else(|| self.more.get(index - SEPARATORS_USUAL));
        place.filter(|_| index < self.count).map(|offset| *offset as usize)
    }
}

impl Segment {
    /// Field `number` as the standard counts them; `None` if the segment ends before it.
    pub fn field(&self, number: usize) -> Option<Range<usize>> {
        if is_header(self.id) {
            // The field separator itself is the first field of a header.
            return match number {
                0 => None,
                1 => Some(self.at.start + 3..self.at.start + 4),
                _ => self.behind(number - 2),
            };
        }
        self.behind(number.checked_sub(1)?)
    }

    /// What stands between this separator, counted from 0, and the next one.
    fn behind(&self, separator: usize) -> Option<Range<usize>> {
        let start = self.at.start + self.separators.get(separator)? + 1;
        let end = self.separators.get(separator + 1).map(|offset| self.at.start + offset);
        Some(start..end.unwrap_or(self.at.end))
    }

    /// How many fields the segment has.
    pub fn field_count(&self) -> usize {
        let count = self.separators.count;
        if is_header(self.id) { count + 1 } else { count }
    }
}

/// Why a line is not a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Odd {
    /// Nothing or only blanks, with segments behind it.
    Blank,
    /// It does not begin with an id and a field separator.
    BadId,
    /// No known segment, but one slip away from one that says whose the values behind it are
    /// (`OB|`, `pid|`, `P1D|`): what stood before may no longer hold for what follows.
    DamagedContext,
    /// Three letters that no standard knows as a segment, and nothing else.
    BareUnknownId,
}

/// One line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Segment(Segment),
    Odd { at: Range<usize>, odd: Odd },
}

/// Splits the lines that stand in `within` of `bytes`. Blank lines at the end are no lines.
pub fn split(bytes: &[u8], within: Range<usize>, delimiters: Delimiters) -> Vec<Line> {
    let mut lines = line_ranges(bytes, within, delimiters.field);
    while lines.last().is_some_and(|at| is_blank(slice(bytes, at))) {
        lines.pop();
    }
    lines.into_iter().map(|at| line(bytes, at, delimiters)).collect()
}

/// The bytes at a range; empty if the range does not fit.
pub fn slice<'a>(bytes: &'a [u8], at: &Range<usize>) -> &'a [u8] {
    bytes.get(at.clone()).unwrap_or_default()
}

/// Splits a range at every `delimiter`; at least one part comes out.
pub fn parts(bytes: &[u8], at: Range<usize>, delimiter: Option<u8>) -> Vec<Range<usize>> {
    let text = slice(bytes, &at);
    let Some(delimiter) = delimiter else { return vec![at] };
    // Counted first: many of these are made, and none grows on the way.
    let count = text.iter().filter(|byte| **byte == delimiter).count();
    let mut found = Vec::with_capacity(count + 1);
    let mut start = at.start;
    for (offset, _) in text.iter().enumerate().filter(|(_, byte)| **byte == delimiter) {
        found.push(start..at.start + offset);
        start = at.start + offset + 1;
    }
    found.push(start..at.end);
    found
}

/// A capital and two capitals or digits.
pub fn is_segment_id(id: [u8; 3]) -> bool {
    let [first, rest @ ..] = id;
    first.is_ascii_uppercase()
        && rest.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

fn is_header(id: [u8; 3]) -> bool {
    matches!(&id, b"MSH" | b"FHS" | b"BHS")
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(|byte| matches!(byte, b' ' | b'\t'))
}

fn line_ranges(bytes: &[u8], within: Range<usize>, field: u8) -> Vec<Range<usize>> {
    let content = slice(bytes, &within);
    let ends_with_cr = content.contains(&b'\r');
    let mut lines = Vec::with_capacity(LINES_USUAL);
    let mut start = 0;
    let mut at = 0;
    while let Some((byte, rest)) = next_end(content, &mut at) {
        let ends = match byte {
            b'\r' => true,
            b'\n' => !ends_with_cr || begins_segment(rest, field),
            _ => false,
        };
        if !ends {
            at += 1;
            continue;
        }
        lines.push(within.start + start..within.start + at);
        at += if *byte == b'\r' && rest.first() == Some(&b'\n') { 2 } else { 1 };
        start = at;
    }
    lines.push(within.start + start..within.end);
    lines
}

/// A monitor's message has as many.
const LINES_USUAL: usize = 32;

/// The next CR or LF from `at` on, which then stands there, and what follows it.
fn next_end<'a>(content: &'a [u8], at: &mut usize) -> Option<(&'a u8, &'a [u8])> {
    let from = content.get(*at..)?;
    let offset = memchr2(b'\r', b'\n', from)?;
    *at += offset;
    from.get(offset..)?.split_first()
}

fn begins_segment(bytes: &[u8], field: u8) -> bool {
    bytes
        .split_first_chunk::<3>()
        .is_some_and(|(id, rest)| is_segment_id(*id) && rest.first() == Some(&field))
}

fn line(bytes: &[u8], at: Range<usize>, delimiters: Delimiters) -> Line {
    let text = slice(bytes, &at);
    if is_blank(text) {
        return Line::Odd { at, odd: Odd::Blank };
    }
    if is_damaged_context(text, delimiters.field) {
        return Line::Odd { at, odd: Odd::DamagedContext };
    }
    let id = text.first_chunk::<3>().copied().filter(|id| is_segment_id(*id));
    match (id, text.get(3)) {
        (Some(id), next) if next == Some(&delimiters.field) || (next.is_none() && is_known(id)) => {
            let separators = Separators::of(text, delimiters.field);
            Line::Segment(Segment { id, at, separators })
        }
        (Some(_), None) => Line::Odd { at, odd: Odd::BareUnknownId },
        _ => Line::Odd { at, odd: Odd::BadId },
    }
}

/// Segments that a result message may hold; any of them may stand bare.
fn is_known(id: [u8; 3]) -> bool {
    const KNOWN: [&[u8; 3]; 34] = [
        b"MSH", b"SFT", b"UAC", b"ARV", b"PID", b"PD1", b"PRT", b"NTE", b"NK1", b"PV1", b"PV2",
        b"ORC", b"OBR", b"TQ1", b"TQ2", b"CTD", b"OBX", b"FT1", b"CTI", b"SPM", b"SAC", b"INV",
        b"TCD", b"SID", b"DSC", b"MSA", b"DEV", b"OH1", b"OH2", b"OH3", b"OH4", b"GSP", b"GSR",
        b"GSC",
    ];
    KNOWN.contains(&&id) || id.starts_with(b"Z")
}

/// Segments that say whose, when and from which specimen the values behind them are.
const CONTEXT: [&[u8; 3]; 6] = [b"PID", b"PV1", b"OBR", b"SPM", b"SAC", b"ORC"];

fn is_damaged_context(line: &[u8], field: u8) -> bool {
    // What most lines are needs no closer look.
    if line.starts_with(b"OBX") && line.get(3) == Some(&field) {
        return false;
    }
    let Some(end) = memchr(field, line) else { return false };
    let head = line.get(..end).unwrap_or_default();
    if head.first_chunk::<3>().is_some_and(|id| head.len() == 3 && is_known(*id)) {
        return false;
    }
    let head = head.to_ascii_uppercase();
    // `obx` is a damaged value: it says nothing of whose the values behind it are.
    if head == b"OBX" {
        return false;
    }
    CONTEXT.iter().any(|id| one_slip_apart(&head, *id))
}

/// Equal but for one byte put in, left out or changed.
fn one_slip_apart(head: &[u8], id: &[u8]) -> bool {
    let same_start = head.iter().zip(id).take_while(|(a, b)| a == b).count();
    let rest = |text: &[u8], skipped: usize| text.get(same_start + skipped..).map(<[u8]>::to_vec);
    match head.len().abs_diff(id.len()) {
        0 => same_start == id.len() || rest(head, 1) == rest(id, 1),
        1 if head.len() > id.len() => rest(head, 1) == rest(id, 0),
        1 => rest(head, 0) == rest(id, 1),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        split(text.as_bytes(), 0..text.len(), Delimiters::USUAL)
            .into_iter()
            .map(|line| match line {
                Line::Segment(segment) => String::from_utf8_lossy(&segment.id).into_owned(),
                Line::Odd { odd, .. } => format!("{odd:?}"),
            })
            .collect()
    }

    #[test]
    fn every_line_end_is_taken_and_nothing_behind_an_odd_line_is_lost() {
        let expected = ["MSH", "PID", "OBX"];
        for end in ["\r", "\n", "\r\n"] {
            assert_eq!(ids(&["MSH|^~\\&|", "PID|1", "OBX|1", ""].join(end)), expected);
            assert_eq!(ids(&["MSH|^~\\&|", "PID|1", "OBX|1", "", "", ""].join(end)), expected);
            let odd = ["MSH|^~\\&|", "", "PID", "XX|2", "pid|1", "OB|1", "CBC", "12", "OBX|1"];
            assert_eq!(
                ids(&odd.join(end)),
                [
                    "MSH",
                    "Blank",
                    "PID",
                    "BadId",
                    "DamagedContext",
                    "DamagedContext",
                    "BareUnknownId",
                    "BadId",
                    "OBX"
                ]
            );
        }
    }

    #[test]
    fn a_lone_line_feed_does_not_cut_a_value() {
        assert_eq!(
            ids("MSH|^~\\&|\rNTE|1||two\nlines\rOBX|1\nOBX|2\r"),
            ["MSH", "NTE", "OBX", "OBX"]
        );
    }

    #[test]
    fn delimiters_of_three_four_and_five_characters() {
        let read = |text: &str| Delimiters::read(text.as_bytes());
        assert_eq!(read("MSH|^~\\&|A"), Some(Delimiters::USUAL));
        assert_eq!(read("MSH|^~\\&#|A").and_then(|d| d.truncation), Some(b'#'));
        assert_eq!(read("MSH|^~}|A").map(|d| (d.escape, d.sub_component)), Some((b'}', None)));
        assert_eq!(read("MSH^~|\\&^A").map(|d| (d.field, d.component)), Some((b'^', b'~')));
        for bad in ["MSH", "MSH|", "MSH||A", "MSH|^~|A", "MSH|^^\\&|", "MSH|abc|", "MSH|^~\\&#!|"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn fields_are_counted_as_the_standard_does() {
        let text = "MSH|^~\\&|APP\rOBX|1|NM\r";
        let lines = split(text.as_bytes(), 0..text.len(), Delimiters::USUAL);
        let field = |line: usize, number: usize| match &lines[line] {
            Line::Segment(segment) => segment.field(number).map(|at| &text[at]),
            Line::Odd { .. } => None,
        };
        assert_eq!(
            (field(0, 1), field(0, 2), field(0, 3)),
            (Some("|"), Some("^~\\&"), Some("APP"))
        );
        assert_eq!((field(1, 1), field(1, 2), field(1, 3)), (Some("1"), Some("NM"), None));
    }
}
