//! The data of replies, taken apart (facts/monitors.md 3.5, 3.6). Plain functions over one frame.
//!
//! | reply | layout |
//! |---|---|
//! | 24 to 26, 2B to 2D | code 2, value 4, again and again |
//! | 29 | code 2, value 5 |
//! | 23, 27, 2E | priority 1, code 2, phrase 12 |
//! | 2A | code 2, length + 30H, text, ETX |
//! | 28 | `HH:MM:SSDD-MMM-YY` |
//! | 52 | `NNNN'name'DD.DD:MM.MM`, or nothing |
//! | 53 | code 2, interval in µs 8, min 5, max 5, maxbin 3 (hexadecimal) |
//!
//! One entry out of form refuses the whole reply: two damaged bytes can leave the sum of a frame
//! as it was, and an entry that cannot be one is how that shows.

use std::collections::BTreeSet;
use std::ops::Range;

use super::wire::{ETX, Frame};
use crate::vocabulary::{Refused, Why};

/// A code as it stands on the wire: two hexadecimal capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Code(pub u8);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl Code {
    /// Two hexadecimal capitals and nothing else.
    pub(super) fn read(digits: &[u8]) -> Option<Self> {
        let capitals = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
        if digits.len() != 2 || !digits.iter().all(capitals) {
            return None;
        }
        let text = std::str::from_utf8(digits).ok()?;
        u8::from_str_radix(text, 16).ok().map(Self)
    }
}

/// One value of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub code: Code,
    /// As sent without its padding; empty where the device left it blank.
    pub value: String,
    /// Where the entry stands in the frame's raw bytes.
    pub at: Range<usize>,
}

/// One alarm that is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    /// 1 to 31, 31 the most severe.
    pub priority: u8,
    pub code: Code,
    /// As sent without its padding.
    pub phrase: String,
    pub at: Range<usize>,
}

/// Values of `width` characters behind their codes.
pub(super) fn entries(frame: &Frame, width: usize) -> Result<Vec<Entry>, Refused> {
    let size = 2 + width;
    let mut seen = BTreeSet::new();
    let mut entries = Vec::new();
    for (index, entry) in frame.text.chunks(size).enumerate() {
        let at = frame.at(index * size..index * size + entry.len());
        let refused =
            |why, what: &str| Refused::new(why, at.clone(), format!("entry {}: {what}", index + 1));
        if entry.len() != size {
            return Err(refused(Why::TooShort, "the reply ends in the middle of it"));
        }
        let (digits, field) = entry.split_at(2);
        let Some(code) = Code::read(digits) else {
            return Err(refused(Why::Unreadable, "expected a code of two hexadecimal digits"));
        };
        let Some(value) = number(field) else {
            let what = format!("code {code}: expected a number and blanks");
            return Err(refused(Why::Unreadable, &what));
        };
        if !seen.insert(code) {
            let what = format!("code {code} stands there twice");
            return Err(refused(Why::Unreadable, &what));
        }
        entries.push(Entry { code, value, at: at.clone() });
    }
    Ok(entries)
}

/// A field of blanks, or a number with blanks around it: right-justified, but the manual's own
/// example has ` 98 `. The sign may stand before the padding: `-  10`.
fn number(field: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(field).ok()?;
    let padded = text.trim_matches(' ');
    if padded.is_empty() {
        return Some(String::new());
    }
    let (sign, rest) = match padded.strip_prefix(['+', '-']) {
        Some(rest) => (padded.get(..1)?, rest.trim_start_matches(' ')),
        None => ("", padded),
    };
    let digits = rest.bytes().filter(u8::is_ascii_digit).count();
    let points = rest.bytes().filter(|byte| *byte == b'.').count();
    let good = digits > 0 && points <= 1 && digits + points == rest.len();
    good.then(|| format!("{sign}{rest}"))
}

/// The alarms that are active.
pub(super) fn alarms(frame: &Frame) -> Result<Vec<Alarm>, Refused> {
    const SIZE: usize = 15;
    let mut seen = BTreeSet::new();
    let mut alarms = Vec::new();
    for (index, entry) in frame.text.chunks(SIZE).enumerate() {
        let at = frame.at(index * SIZE..index * SIZE + entry.len());
        let refused =
            |why, what: &str| Refused::new(why, at.clone(), format!("alarm {}: {what}", index + 1));
        let Some((priority, code, phrase)) = alarm_parts(entry, SIZE) else {
            return Err(refused(Why::TooShort, "the reply ends in the middle of it"));
        };
        let Some(priority) = priority.checked_sub(0x30).filter(|one| (1..=31).contains(one)) else {
            return Err(refused(Why::Unreadable, "expected a priority of 1 to 31"));
        };
        let Some(code) = Code::read(code) else {
            return Err(refused(Why::Unreadable, "expected a code of two hexadecimal digits"));
        };
        let Some(phrase) = printable(phrase) else {
            return Err(refused(Why::IllegalByte, "expected a phrase that can be printed"));
        };
        if !seen.insert(code) {
            return Err(refused(Why::Unreadable, "its code stands there twice"));
        }
        let phrase = phrase.trim().to_owned();
        alarms.push(Alarm { priority, code, phrase, at: at.clone() });
    }
    Ok(alarms)
}

fn alarm_parts(entry: &[u8], size: usize) -> Option<(u8, &[u8], &[u8])> {
    let (priority, rest) = entry.split_first()?;
    let (code, phrase) = rest.split_at_checked(2)?;
    (entry.len() == size).then_some((*priority, code, phrase))
}

/// The text messages that are shown.
pub(super) fn texts(frame: &Frame) -> Result<Vec<Entry>, Refused> {
    let mut rest = frame.text.as_slice();
    let mut seen = BTreeSet::new();
    let mut texts: Vec<Entry> = Vec::new();
    while !rest.is_empty() {
        let from = frame.text.len() - rest.len();
        let refused = |why, what: &str| {
            let at = frame.at(from..frame.text.len());
            Refused::new(why, at, format!("text {}: {what}", texts.len() + 1))
        };
        let Some((digits, [length, behind @ ..])) = rest.split_at_checked(2) else {
            return Err(refused(Why::TooShort, "the reply ends in the middle of it"));
        };
        let Some(code) = Code::read(digits) else {
            return Err(refused(Why::Unreadable, "expected a code of two hexadecimal digits"));
        };
        let Some(length) = length.checked_sub(0x30) else {
            return Err(refused(Why::Unreadable, "expected a length of 0 or more"));
        };
        let Some((text, [ETX, next @ ..])) = behind.split_at_checked(usize::from(length)) else {
            return Err(refused(Why::Unreadable, "expected ETX where the text ends"));
        };
        let Some(text) = printable(text) else {
            return Err(refused(Why::IllegalByte, "expected a text that can be printed"));
        };
        if !seen.insert(code) {
            return Err(refused(Why::Unreadable, "its code stands there twice"));
        }
        let at = frame.at(from..frame.text.len() - next.len());
        texts.push(Entry { code, value: text.trim().to_owned(), at });
        rest = next;
    }
    Ok(texts)
}

fn printable(text: &[u8]) -> Option<&str> {
    let good = text.iter().all(|byte| matches!(byte, 0x20..=0x7e));
    good.then(|| std::str::from_utf8(text).ok()).flatten()
}

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeviceIdentification {
    /// Four hexadecimal digits.
    pub id: String,
    pub name: String,
    /// DD.DD: the device's software.
    pub software: Version,
    /// MM.MM: the protocol's version.
    pub medibus: Version,
}

/// A version of the form `NN.NN`, compared by its two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub u8, pub u8);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:02}.{:02}", self.0, self.1)
    }
}

impl Version {
    /// `NN.NN`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.')?;
        let two = |digits: &str| digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        (two(whole) && two(part)).then_some(Self(whole.parse().ok()?, part.parse().ok()?))
    }
}

/// `NNNN'name'DD.DD:MM.MM`; `None` where it has another form.
pub(super) fn identification(text: &[u8]) -> Option<DeviceIdentification> {
    let text = printable(text)?;
    let (id, rest) = text.split_once('\'')?;
    let (name, versions) = rest.rsplit_once('\'')?;
    let (software, medibus) = versions.split_once(':')?;
    let capitals = |byte: u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    if id.len() != 4 || !id.bytes().all(capitals) || name.len() > NAME_MAX {
        return None;
    }
    Some(DeviceIdentification {
        id: id.to_owned(),
        name: name.trim().to_owned(),
        software: Version::read(software)?,
        medibus: Version::read(medibus)?,
    })
}

/// No model's name is longer; what is has lost its end.
const NAME_MAX: usize = 40;

/// `HH:MM[:SS]DD-MMM-YY` as `YYYYMMDDHHMM[SS]`; `None` where it has another form.
pub(super) fn date_time(text: &[u8]) -> Option<String> {
    let text = printable(text)?.trim_start();
    // The date is the last nine characters.
    let (time, date) = text.split_at_checked(text.len().checked_sub(9)?)?;
    let parts: Vec<&str> = time.split(':').map(str::trim).collect();
    let two = |part: &&str| matches!(part.len(), 1 | 2) && part.bytes().all(|b| b.is_ascii_digit());
    if !matches!(parts.len(), 2 | 3) || !parts.iter().all(two) {
        return None;
    }
    let [day, month, year]: [&str; 3] =
        date.split('-').map(str::trim).collect::<Vec<_>>().try_into().ok()?;
    if !two(&day) || !two(&year) || year.len() != 2 {
        return None;
    }
    // OCT is sent, too (facts/monitors.md 3.5).
    let months =
        ["JAN", "FEB", "MAR", "APR", "MAI", "JUN", "JUL", "AUG", "SEP", "OKT", "NOV", "DEZ", "OCT"];
    let month = match months.iter().position(|name| *name == month)? {
        12 => 10,
        at => at + 1,
    };
    // The protocol is of the eighties; its own example is of 1993.
    let century = if year >= "80" { "19" } else { "20" };
    let time: String = parts.iter().map(|part| format!("{part:0>2}")).collect();
    Some(format!("{century}{year}{month:02}{day:0>2}{time}"))
}

/// What the device says of one real-time signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignalForm {
    pub code: Code,
    pub interval_us: u64,
    /// As sent without padding.
    pub min: String,
    pub max: String,
    pub maxbin: u16,
}

/// The real-time signals that the device has.
pub(super) fn signal_forms(frame: &Frame) -> Result<Vec<SignalForm>, Refused> {
    const SIZE: usize = 23;
    let one = |(index, entry): (usize, &[u8])| {
        signal_form(entry).ok_or_else(|| {
            let at = frame.at(index * SIZE..index * SIZE + entry.len());
            let what = "expected code, interval, two bounds and the number of steps";
            Refused::new(Why::Unreadable, at, format!("signal {}: {what}", index + 1))
        })
    };
    frame.text.chunks(SIZE).enumerate().map(one).collect()
}

fn signal_form(entry: &[u8]) -> Option<SignalForm> {
    let field = |range: Range<usize>| number(entry.get(range)?).filter(|text| !text.is_empty());
    let digits = std::str::from_utf8(entry.get(20..23)?).ok()?;
    let maxbin = u16::from_str_radix(digits.trim_start(), 16).ok()?;
    let interval_us: u64 = field(2..10)?.parse().ok()?;
    let form = SignalForm {
        code: Code::read(entry.get(..2)?)?,
        interval_us,
        min: field(10..15)?,
        max: field(15..20)?,
        maxbin,
    };
    (maxbin > 0 && interval_us > 0).then_some(form)
}
