//! What a core's own app charted, as it tells it in HL7 v2: an ORU^R01 with one OBX for each value,
//! named by OBR-3, OBX-3 and OBX-4 as it came. Pure reading; whose it is the box knows by itself.
//!
//! | field | says |
//! |---|---|
//! | OBR-3, OBX-3, OBX-4 | which value |
//! | OBX-11 | F confirmed, C replaced, D, W or X rejected |
//! | OBX-14, else MSH-7 | when the person signed |
//! | OBX-16 | who |

use jiff::tz::TimeZone;

use super::adt::AdtSite;
use super::message::{Opened, Reading};
use super::time::Utc;
use crate::protocol::hl7v2::segments::Segment;
use crate::protocol::hl7v2::wire::Wire;
use crate::vocabulary::{Refused, Why};

/// One value as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// OBR-3.1.
    pub record: String,
    /// OBX-3.1.
    pub code: String,
    /// OBX-4.
    pub sub_id: String,
    pub fate: Fate,
    /// OBX-16.1.
    pub person: String,
    pub at: Utc,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Confirmed,
    Rejected,
    Replaced,
}

/// Reads one message, with the framing bytes of MLLP or up to the end of its last segment. `zone`
/// is the sender's.
///
/// # Errors
/// It is no such message, or does not say of every value which, what, who and when.
pub fn read(raw: &[u8], zone: Option<&TimeZone>) -> Result<Vec<Told>, Refused> {
    let opened = Opened::read(raw)?;
    let wire = opened.wire();
    let refused = |why, detail: &str| Err(Refused::new(why, opened.within.clone(), detail));
    let kind = wire.field_text(&opened.msh, 9)?;
    let mut parts = kind.split(char::from(opened.delimiters.component));
    if (parts.next(), parts.next()) != (Some("ORU"), Some("R01")) {
        return refused(Why::UnsupportedMessage, "expected ORU^R01");
    }
    let site = AdtSite::default();
    let mut reading = Reading { wire: &wire, site: &site, zone, refusals: Vec::new() };
    let sent = reading.time(&opened.msh, 7);
    let (mut told, mut record) = (Vec::new(), String::new());
    for segment in &opened.rest {
        if segment.id == *b"OBR" {
            record = first(&wire, segment, 3)?;
        }
        if segment.id != *b"OBX" {
            continue;
        }
        let fate = match wire.field_text(segment, 11)?.as_str() {
            "F" => Fate::Confirmed,
            "C" => Fate::Replaced,
            "D" | "W" | "X" => Fate::Rejected,
            _ => return refused(Why::Unreadable, "expected F, C, D, W or X in OBX-11"),
        };
        // A time that is stated and cannot be read is not the time of the message.
        let is_stated = !wire.field_text(segment, 14)?.is_empty();
        let at = if is_stated { reading.time(segment, 14) } else { sent };
        let Some(at) = at else {
            return refused(Why::Unreadable, "expected a time in OBX-14 or MSH-7");
        };
        let (code, person) = (first(&wire, segment, 3)?, first(&wire, segment, 16)?);
        if record.is_empty() || code.is_empty() || person.is_empty() {
            return refused(Why::Unreadable, "expected OBR-3, OBX-3 and OBX-16");
        }
        let (record, sub_id) = (record.clone(), wire.field_text(segment, 4)?);
        told.push(Told { record, code, sub_id, fate, person, at });
    }
    if told.is_empty() {
        return refused(Why::Incomplete, "expected at least one OBX");
    }
    Ok(told)
}

/// The first component of a field.
fn first(wire: &Wire<'_>, segment: &Segment, field: usize) -> Result<String, Refused> {
    let Some(sent) = wire.repetitions(segment, field).into_iter().next() else {
        return Ok(String::new());
    };
    wire.component(&wire.components(&sent), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &str = "MSH|^~\\&|CORE||WARDGATE||20261129100500+0000||ORU^R01^ORU_R01|c-1|P|2.6\r\
        PID|1\rOBR|1||5f0c1a52-2s^WARDGATE\r\
        OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.1.1.1|97||||||F|||20261129100000+0000||n-9^X\r\
        OBX|2|NM|149530^MDC_PULS_OXIM_PULS_RATE^MDC|1.1.1.2|72||||||W|||||n-9\r";

    #[test]
    fn each_value_says_which_what_who_and_when() {
        let told = read(TOLD.as_bytes(), None).unwrap();
        // `date -u -d 2026-11-29T10:00:00Z +%s`
        let ten = Utc::from_us(1_795_946_400_000_000);
        let one = Told {
            record: "5f0c1a52-2s".to_owned(),
            code: "150456".to_owned(),
            sub_id: "1.1.1.1".to_owned(),
            fate: Fate::Confirmed,
            person: "n-9".to_owned(),
            at: ten,
        };
        assert_eq!(told[0], one);
        let (code, sub_id) = ("149530".to_owned(), "1.1.1.2".to_owned());
        let fate = Fate::Rejected;
        assert_eq!(told[1], Told { code, sub_id, fate, at: ten.plus_s(300), ..one });
    }

    #[test]
    fn what_does_not_say_it_is_refused() {
        for (from, to, why) in [
            ("ORU^R01", "ORU^R40", Why::UnsupportedMessage),
            ("||||||F|", "||||||P|", Why::Unreadable),
            ("OBR|1||5f0c1a52-2s^WARDGATE", "OBR|1", Why::Unreadable),
            ("|||||n-9\r", "\r", Why::Unreadable),
            ("20261129100500+0000", "", Why::Unreadable),
            // Not a time, and one whose zone nobody has stated.
            ("20261129100000+0000", "yesterday", Why::Unreadable),
            ("20261129100000+0000", "20261129100000", Why::Unreadable),
            ("\rOBX", "\rNTE", Why::Incomplete),
        ] {
            let refused = read(TOLD.replace(from, to).as_bytes(), None).unwrap_err();
            assert_eq!(refused.why, why, "{from}: {refused}");
        }
    }
}
