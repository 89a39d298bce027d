//! One block as a whole: its header, whether it is taken at all, what it says, whether it can be
//! recognised when it is sent twice, and what the device says of itself.
//!
//! | block | taken |
//! |---|---|
//! | one MSH of a type in the profile's `messages` | yes |
//! | any other type, a batch (FHS, BHS), a second MSH | no: `unsupported-message`, AR |
//! | ACK, MCF | no: `unsupported-message`, no answer |
//! | no MSH, or one whose delimiters cannot be | no: `unparseable`, AR |

use std::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::acknowledgement::{Answer, Header};
use super::charset::{Charset, choose};
use super::known::Known;
use super::meaning::{self, Said, SpecimenOrder};
use super::profile::Hl7v2Profile;
use super::result::Manner;
use super::segments::{Delimiters, Line, Segment, slice, split};
use super::wire::Wire;
use crate::protocol::{Identity, Site};
use crate::vocabulary::reading::EventKind;
use crate::vocabulary::{DeviceCode, DeviceTime, Group, Nature, Reading, Refused, Why};

/// What came out of one block.
#[derive(Debug)]
pub struct Content {
    pub groups: Vec<Group>,
    pub refusals: Vec<Refused>,
    pub repeat_basis: Option<Vec<u8>>,
    pub firmware: Option<String>,
    pub identity: Option<Identity>,
    pub answer: Answer,
}

/// Reads blocks of one device.
pub struct Reader {
    profile: Arc<Hl7v2Profile>,
    zone: Option<TimeZone>,
    charset: Option<Charset>,
    known: Known,
}

impl Reader {
    /// The site's character set goes before the profile's. One that no table knows is not guessed
    /// around: only the ASCII part of such a device's messages is read.
    pub fn new(profile: Arc<Hl7v2Profile>, site: Site) -> Self {
        let of_profile = profile.charset.as_ref().map(|name| name.as_str().to_owned());
        let charset = site
            .charset
            .or(of_profile)
            .map(|name| Charset::named(&name).unwrap_or(Charset::AsciiPartOnly));
        Self { profile, zone: site.zone, charset, known: Known::default() }
    }

    /// The device's profile.
    pub fn profile(&self) -> &Hl7v2Profile {
        &self.profile
    }

    /// Reads a block with its framing bytes.
    pub fn read(&mut self, raw: &[u8]) -> Content {
        let within = content_range(raw);
        let Some(opened) = open(raw, within.clone()) else {
            let header = Header::unknown();
            let detail = "expected MSH and three to five delimiters at the beginning";
            return refused(header, Why::Unparseable, within, detail);
        };
        let Opened { delimiters, lines } = &opened;
        let headers = || segments(lines).filter(|segment| segment.id == *b"MSH");
        let Some(msh) = headers().next() else {
            let detail = "expected a message, got a batch header without one";
            return refused(Header::unknown(), Why::Unparseable, within, detail);
        };
        let header = Header::read(raw, msh, *delimiters);
        if headers().count() > 1 || segments(lines).next().is_some_and(|first| first.id != *b"MSH")
        {
            let detail = "expected one message in a block, got a batch or several";
            return refused(header, Why::UnsupportedMessage, within, detail);
        }
        let sent = [header.code.as_slice(), &header.trigger].join(b"^".as_slice());
        if !self.profile.messages.iter().any(|taken| taken.as_str().as_bytes() == sent) {
            let detail = "expected a message type of the profile in MSH-9";
            return refused(header, Why::UnsupportedMessage, msh.at.clone(), detail);
        }
        self.accepted(raw, within, &opened, msh, header)
    }

    /// The answer to a block of which only the beginning was kept.
    pub fn answer_to_long(&self, raw: &[u8]) -> Answer {
        let within = content_range(raw);
        let Some(Opened { delimiters, lines }) = open(raw, within) else { return Answer::None };
        // The last line may be cut in the middle.
        let complete = lines.split_last().map(|(_, before)| before).unwrap_or_default();
        let Some(msh) = segments(complete).next().filter(|first| first.id == *b"MSH") else {
            return Answer::None;
        };
        owed(Header::read(raw, msh, delimiters), Some(Why::TooLong))
    }

    fn accepted(
        &mut self,
        raw: &[u8],
        within: Range<usize>,
        opened: &Opened,
        msh: &Segment,
        header: Header,
    ) -> Content {
        let Opened { delimiters, lines } = opened;
        let names = msh.field(18).map(|at| slice(raw, &at)).unwrap_or_default();
        let names = names.split(|byte| *byte == delimiters.repetition);
        let choice = choose(names, self.charset, slice(raw, &within));
        let wire = Wire::new(raw, *delimiters, choice, self.profile.local_escape);
        let event = match header.trigger.as_slice() {
            b"R40" => Some(EventKind::Alarm),
            b"R42" => Some(EventKind::PumpEvent),
            _ => None,
        };
        let order = SpecimenOrder::of(lines);
        let laboratory = header.code == b"OUL" || self.profile.specimen.is_some();
        let zone = self.zone.as_ref();
        let manner = Manner { profile: &self.profile, zone, laboratory, event };
        let said = meaning::read(&wire, msh, lines, &manner, order, &mut self.known);
        let repeat_basis =
            has_own_times(&said.groups).then(|| without_transport(raw, &within, msh));
        let identity = identity(&wire, msh, &said);
        Content {
            repeat_basis,
            firmware: Some(identity.firmware.clone()).filter(|text| !text.is_empty()),
            identity: Some(identity).filter(|identity| *identity != Identity::default()),
            groups: said.groups,
            refusals: said.refusals,
            answer: owed(header, None),
        }
    }
}

/// A block that begins with a header, as lines.
pub struct Opened {
    pub delimiters: Delimiters,
    pub lines: Vec<Line>,
}

/// Splits a block that begins with a header. Blank lines, spaces and a byte order mark before it
/// carry nothing and are passed over.
pub fn open(raw: &[u8], within: Range<usize>) -> Option<Opened> {
    let content = slice(raw, &within);
    let unmarked = content.strip_prefix(b"\xEF\xBB\xBF".as_slice()).unwrap_or(content);
    let text = unmarked.trim_ascii_start();
    if !matches!(text.first_chunk::<3>(), Some(b"MSH" | b"FHS" | b"BHS")) {
        return None;
    }
    let first_line = text.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let delimiters = Delimiters::read(first_line)?;
    let start = within.end - text.len();
    Some(Opened { delimiters, lines: split(raw, start..within.end, delimiters) })
}

/// What stands between 0B and 1C.
pub fn content_range(raw: &[u8]) -> Range<usize> {
    let start = usize::from(raw.first() == Some(&0x0B));
    let end = raw.iter().rposition(|byte| *byte == 0x1C).unwrap_or(raw.len());
    start..end.max(start)
}

/// The lines that are segments.
pub fn segments(lines: &[Line]) -> impl Iterator<Item = &Segment> {
    lines.iter().filter_map(|line| match line {
        Line::Segment(segment) => Some(segment),
        Line::Odd { .. } => None,
    })
}

fn owed(header: Header, refused: Option<Why>) -> Answer {
    if header.is_acknowledgement() {
        return Answer::None;
    }
    Answer::Owed { header: Box::new(header), refused }
}

fn refused(header: Header, why: Why, at: Range<usize>, detail: &str) -> Content {
    Content {
        groups: Vec::new(),
        refusals: vec![Refused::new(why, at, detail)],
        repeat_basis: None,
        firmware: None,
        identity: None,
        answer: owed(header, Some(why)),
    }
}

/// Whether every value stands at one second of the device's own time. Without that two equal
/// messages may be two measurements: SpO2 97 and again 97, two cuff pressures in one minute, two
/// equal values an hour apart in the night in which the clock is set back.
fn has_own_times(groups: &[Group]) -> bool {
    let is_value = |reading: &&Reading| reading.nature != Nature::DeviceFact;
    let stands = |group: &Group| {
        let of_group = group.time.as_ref().is_some_and(DeviceTime::is_one_second);
        let own = |reading: &Reading| reading.time.as_ref().map(DeviceTime::is_one_second);
        group.readings.iter().filter(is_value).all(|reading| own(reading).unwrap_or(of_group))
    };
    let some = groups.iter().flat_map(|group| &group.readings).any(|one| is_value(&one));
    some && groups.iter().all(stands)
}

/// The message without MSH-7 and MSH-10, which differ when the same message is sent again.
fn without_transport(raw: &[u8], within: &Range<usize>, msh: &Segment) -> Vec<u8> {
    let mut basis = Vec::with_capacity(within.len());
    let mut from = within.start;
    for at in [msh.field(7), msh.field(10)].into_iter().flatten() {
        basis.extend_from_slice(slice(raw, &(from..at.start)));
        from = at.end;
    }
    basis.extend_from_slice(slice(raw, &(from..within.end)));
    basis
}

/// What the device says of itself: MSH-3 unless an OBX names the model, the serial number, the
/// software. MSH-3 of a pump names its gateway (facts/pumps.md 7 item 1), so an OBX goes before it.
fn identity(wire: &Wire, msh: &Segment, said: &Said) -> Identity {
    // Most messages state nothing of the device.
    let is_fact = |reading: &&Reading| reading.nature == Nature::DeviceFact;
    let readings = said.groups.iter().flat_map(|group| &group.readings);
    let facts: Vec<&Reading> = readings.filter(is_fact).collect();
    let stated = |names: &[&str]| {
        let readings = || facts.iter().copied();
        let mut found = readings().filter(|reading| is_named(reading, names));
        let first = found.next()?.value.as_sent();
        // Several devices behind one gateway: none of them is the one.
        let same = found.all(|other| other.value.as_sent() == first);
        (same && !first.is_empty()).then(|| first.to_owned())
    };
    let sender = msh.field(3).map(|at| wire.components(&at)).unwrap_or_default();
    let part = |number| wire.component(&sender, number).unwrap_or_default();
    let of_sender = |text: String| (!text.is_empty()).then_some(text);
    let eui64 = of_sender(part(2)).filter(|_| part(3) == "EUI-64");
    Identity {
        model: stated(&["MDC_ATTR_ID_MODEL"]).or_else(|| of_sender(part(1))).unwrap_or_default(),
        serial_number: stated(&["MDC_ID_PROD_SPEC_SERIAL", "MDC_ATTR_ID_PROD_SPEC_SERIAL"])
            .or(eui64)
            .unwrap_or_default(),
        firmware: stated(&[
            "MDC_ID_PROD_SPEC_SW",
            "MDC_ID_PROD_SPEC_FW",
            "MDC_ATTR_ID_PROD_SPEC_SW",
            "MDC_ATTR_ID_PROD_SPEC_FW",
        ])
        .unwrap_or_default(),
    }
}

fn is_named(reading: &Reading, names: &[&str]) -> bool {
    match &reading.code {
        DeviceCode::Codings(codings) => {
            codings.iter().any(|coding| names.contains(&coding.words.as_str()))
        }
        DeviceCode::Parameter(_) => false,
    }
}
