//! One HL7 v2 message that says something of patients, opened as a whole, and the fields that every
//! such message has: times, identifiers, places.

use std::ops::Range;

use jiff::tz::TimeZone;

use super::adt::{AdtSite, PlaceName};
use super::time::Utc;
use crate::protocol::hl7v2::charset::{self, Choice};
use crate::protocol::hl7v2::content::{content_range, open, segments};
use crate::protocol::hl7v2::profile::LocalEscape;
use crate::protocol::hl7v2::segments::{Delimiters, Line, Odd, Segment, parts, slice};
use crate::protocol::hl7v2::wire::Wire;
use crate::vocabulary::{DeviceTime, PatientId, Place, Refused, Why};

/// A message of which every line is a segment.
pub(super) struct Opened<'a> {
    raw: &'a [u8],
    /// Where the message stands in the block.
    pub within: Range<usize>,
    pub delimiters: Delimiters,
    pub msh: Segment,
    /// The segments behind MSH.
    pub rest: Vec<Segment>,
    charset: Choice,
}

impl<'a> Opened<'a> {
    /// With the framing bytes of MLLP, or up to the end of the last segment.
    ///
    /// # Errors
    /// Cut off, no HL7 v2, several messages, or a line that is no segment.
    pub fn read(raw: &'a [u8]) -> Result<Self, Refused> {
        let within = content_range(raw);
        let refused = |why, detail: &str| Err(Refused::new(why, within.clone(), detail));
        // A number that was cut off is another patient's number.
        if within.end == raw.len() && !matches!(raw.last(), Some(b'\r' | b'\n')) {
            let detail = "expected the end of the block, or of the last segment";
            return refused(Why::Incomplete, detail);
        }
        let Some(opened) = open(raw, within.clone()) else {
            return refused(Why::Unparseable, "expected MSH and delimiters");
        };
        let mut found: Vec<Segment> = segments(&opened.lines).cloned().collect();
        let is_header = |segment: &Segment| segment.id == *b"MSH";
        if !found.first().is_some_and(is_header) || found.iter().skip(1).any(is_header) {
            return refused(Why::UnsupportedMessage, "expected one message");
        }
        // A damaged line may be the one that says who.
        let damaged = |line: &Line| matches!(line, Line::Odd { odd, .. } if *odd != Odd::Blank);
        if opened.lines.iter().any(damaged) {
            return refused(Why::OddSegment, "expected segments only; a line is none");
        }
        let msh = found.remove(0);
        let repetition = Some(opened.delimiters.repetition);
        let named = msh.field(18).map(|at| parts(raw, at, repetition)).unwrap_or_default();
        let charset = charset::choose(named.iter().map(|at| slice(raw, at)), None, raw);
        Ok(Self { raw, within, delimiters: opened.delimiters, msh, rest: found, charset })
    }

    /// Its text.
    pub fn wire(&self) -> Wire<'a> {
        Wire::new(self.raw, self.delimiters, self.charset, LocalEscape::AsSent)
    }

    /// The segments of a name, in order.
    pub fn named<'s>(&'s self, id: &'s [u8; 3]) -> impl Iterator<Item = &'s Segment> {
        self.rest.iter().filter(move |segment| segment.id == *id)
    }
}

/// One message, while it is read.
pub(super) struct Reading<'a> {
    pub wire: &'a Wire<'a>,
    pub site: &'a AdtSite,
    /// The sender's.
    pub zone: Option<&'a TimeZone>,
    pub refusals: Vec<Refused>,
}

impl Reading<'_> {
    /// What can be read, else nothing and a refusal.
    pub fn kept(&mut self, read: Result<String, Refused>) -> String {
        read.unwrap_or_else(|refused| {
            self.refusals.push(refused);
            String::new()
        })
    }

    /// The instant in a field; nothing if the field is empty, and a refusal if it is none.
    pub fn time(&mut self, segment: &Segment, field: usize) -> Option<Utc> {
        let text = self.kept(self.wire.field_text(segment, field));
        // Before 2.6 a degree of precision may follow.
        let text = text.split(char::from(self.wire.delimiters.component)).next()?;
        if text.is_empty() {
            return None;
        }
        let time = DeviceTime::read(text, self.zone).utc_us;
        if time.is_none() {
            let detail = "expected one instant as a time";
            let at = segment.field(field).unwrap_or(0..0);
            self.refusals.push(Refused::new(Why::Unreadable, at, detail));
        }
        time.map(Utc::from_us)
    }

    /// The identifier that goes on: of the site's main roots, else the first.
    pub fn patient(&mut self, pid: &Segment) -> Option<PatientId> {
        let found = self.identifiers(pid, 3);
        let main = self.site.main_roots.iter();
        let mut main = main.filter_map(|root| found.iter().find(|id| id.root() == root));
        main.next().or(found.first()).cloned()
    }

    /// The identifiers of a field whose authority is known.
    pub fn identifiers(&mut self, segment: &Segment, field: usize) -> Vec<PatientId> {
        let mut found = Vec::new();
        for repetition in self.wire.repetitions(segment, field) {
            let components = self.wire.components(&repetition);
            let mut part = |number| self.kept(self.wire.component(&components, number));
            let (value, authority) = (part(1), part(4));
            if value.trim().is_empty() {
                continue;
            }
            let given = self
                .root(&authority)
                .map(|root| PatientId::given(&root, value.trim(), self.site.purpose));
            match given {
                Some(Ok(id)) => found.push(id),
                Some(Err(why)) => {
                    self.refusals.push(Refused::new(Why::Unreadable, repetition, why.to_string()));
                }
                None => {
                    let detail = "expected an authority of the site's list";
                    self.refusals.push(Refused::new(Why::Unreadable, repetition, detail));
                }
            }
        }
        found
    }

    /// From `name&oid&ISO`.
    fn root(&self, authority: &str) -> Option<String> {
        let sub = self.wire.delimiters.sub_component.map_or('&', char::from);
        let mut parts = authority.split(sub);
        let mut part = || parts.next().unwrap_or_default().trim();
        let (name, universal, kind) = (part(), part(), part());
        if kind == "ISO" && !universal.is_empty() {
            return Some(universal.to_owned());
        }
        if name.is_empty() {
            return self.site.root_without_authority.clone();
        }
        self.site.authorities.get(name).cloned()
    }

    /// The place that unit, room and bed of a field name.
    pub fn place(&mut self, segment: &Segment, field: usize) -> Option<Place> {
        let sent = self.wire.repetitions(segment, field).into_iter().next()?;
        let components = self.wire.components(&sent);
        let mut parts = Vec::new();
        for number in 1..=3 {
            parts.push(self.kept(self.wire.component(&components, number)));
        }
        let name = PlaceName::of(&parts);
        let place = self.site.places.get(&name).cloned();
        if place.is_none() && !name.is_empty() {
            let detail = "expected a place of the site's list as unit, room and bed";
            self.refusals.push(Refused::new(Why::Unreadable, sent, detail));
        }
        place
    }
}
