//! Writing segments: fields by number, texts escaped, nothing behind the last field.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::forward::hl7v2::map::Name;
use crate::forward::hl7v2::place::Triplet;
use crate::protocol::hl7v2::escape::escape;
use crate::protocol::hl7v2::segments::Delimiters;

/// One segment on its way out.
#[derive(Clone, Debug)]
pub struct Segment {
    name: &'static str,
    /// Field 1 stands at 0.
    fields: Vec<String>,
}

impl Segment {
    /// Without fields.
    pub fn new(name: &'static str) -> Self {
        Self { name, fields: Vec::new() }
    }

    /// Puts what is written already into a field.
    #[must_use]
    pub fn written(mut self, number: usize, written: impl Into<String>) -> Self {
        let written = written.into();
        if !written.is_empty() {
            if self.fields.len() < number {
                self.fields.resize(number, String::new());
            }
            if let Some(field) = number.checked_sub(1).and_then(|at| self.fields.get_mut(at)) {
                *field = written;
            }
        }
        self
    }

    /// Puts a text into a field.
    #[must_use]
    pub fn text(self, number: usize, text: &str) -> Self {
        let text = text_of(text);
        self.written(number, text)
    }

    /// A field as written.
    pub fn field(&self, number: usize) -> &str {
        let at = number.checked_sub(1).and_then(|at| self.fields.get(at));
        at.map_or("", String::as_str)
    }

    /// The segment with its CR. Of a header the first field is the separator itself.
    pub fn line(&self) -> String {
        let skipped = usize::from(self.name == "MSH");
        let fields = self.fields.get(skipped..).unwrap_or_default();
        let mut line = self.name.to_owned();
        for field in fields {
            line.push('|');
            line.push_str(field);
        }
        line.push('\r');
        line
    }
}

/// A text between delimiters.
pub fn text_of(text: &str) -> String {
    escape(text, Delimiters::USUAL)
}

/// Components, each a text; empty ones at the end are left out.
pub fn components(parts: &[&str]) -> String {
    joined(parts, "^")
}

/// Sub-components.
pub fn sub_components(parts: &[&str]) -> String {
    joined(parts, "&")
}

fn joined(parts: &[&str], with: &str) -> String {
    let used = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
    let parts: Vec<String> = parts.iter().take(used).map(|part| text_of(part)).collect();
    parts.join(with)
}

/// One or two triplets of CE or CWE.
pub fn triplets(codes: &[Triplet]) -> String {
    let parts: Vec<&str> =
        codes.iter().flat_map(|one| [&one.code, &one.words, one.system()]).collect();
    components(&parts)
}

/// HD.
pub fn hierarchic(name: &Name) -> String {
    components(&[&name.name, universal(name), universal_type(name)])
}

/// EI: `id` in the namespace of `name`.
pub fn entity(id: &str, name: &Name) -> String {
    components(&[id, &name.name, universal(name), universal_type(name)])
}

/// The same as sub-components of an EIP.
pub fn entity_inside(id: &str, name: &Name) -> String {
    sub_components(&[id, &name.name, universal(name), universal_type(name)])
}

fn universal(name: &Name) -> &str {
    name.universal_id.as_deref().unwrap_or_default()
}

fn universal_type(name: &Name) -> &'static str {
    name.universal_id_type.map_or("", |kind| kind.as_str())
}

/// A time of a record (RFC 3339) as DTM or TS with its offset: UTC, four decimals, which is all
/// that the type has; the digits behind them are cut, so a time never moves forward.
pub fn time(rfc3339: &str) -> Option<String> {
    Some(time_of(rfc3339.parse::<Timestamp>().ok()?))
}

/// The same for microseconds since 1970.
pub fn time_of_us(utc_us: i64) -> Option<String> {
    Timestamp::from_microsecond(utc_us).ok().map(time_of)
}

fn time_of(time: Timestamp) -> String {
    let zoned = time.to_zoned(TimeZone::UTC);
    let tenths_of_ms = zoned.subsec_nanosecond() / 100_000;
    format!("{}.{tenths_of_ms:04}+0000", zoned.strftime("%Y%m%d%H%M%S"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_ends_with_its_last_field() {
        let segment = Segment::new("OBX").written(1, "1").text(5, "a|b").written(9, "");
        assert_eq!(segment.line(), "OBX|1||||a\\F\\b\r");
        let header = Segment::new("MSH").written(1, "|").written(2, "^~\\&").text(3, "A");
        assert_eq!(header.line(), "MSH|^~\\&|A\r");
        assert_eq!(components(&["", "b^", ""]), "^b\\S\\");
    }

    #[test]
    fn a_time_has_four_decimals_and_an_offset() {
        let written = time("2026-11-20T08:10:10.123456Z");
        assert_eq!(written.as_deref(), Some("20261120081010.1234+0000"));
        assert_eq!(time("2026-11-20T10:10:10+02:00"), time_of_us(1_795_162_210_000_000));
        assert_eq!(time("yesterday"), None);
    }
}
