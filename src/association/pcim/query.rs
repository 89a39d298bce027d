//! DEV-19, Filter Associations: a consumer asks for some associations only. It is optional for a
//! manager and declined here (CR, 200), and then the consumer gets all that it is entitled to.

use crate::protocol::hl7v2::charset::{Charset, Choice};
use crate::protocol::hl7v2::content::{content_range, open, segments};
use crate::protocol::hl7v2::profile::LocalEscape;
use crate::protocol::hl7v2::segments::Segment;
use crate::protocol::hl7v2::wire::Wire;

/// Whether the message asks for a filter or takes one back.
///
/// The trigger is printed as `QSB^Z66` and as `QSB^Q66`, and the name of the query with a system
/// `HL7005` that is no table; so the first component of QPD-1 is what counts.
pub fn is_subscription(raw: &[u8]) -> bool {
    let Some(opened) = open(raw, content_range(raw)) else { return false };
    let choice = Choice { charset: Charset::AsciiPartOnly, guessed: false };
    let wire = Wire::new(raw, opened.delimiters, choice, LocalEscape::AsSent);
    let first = |segment: &Segment, field, number| {
        let repetition = wire.repetitions(segment, field).into_iter().next().unwrap_or(0..0);
        wire.component(&wire.components(&repetition), number).unwrap_or_default()
    };
    let mut found = segments(&opened.lines);
    let Some(msh) = found.next().filter(|first| first.id == *b"MSH") else { return false };
    match (first(msh, 9, 1).as_str(), first(msh, 9, 2).as_str()) {
        ("QSB", "Z66" | "Q66") => {
            found.any(|segment| segment.id == *b"QPD" && first(segment, 1, 1) == "Q66")
        }
        // QID, which names the query, is one slip from PID and no segment of a result.
        ("QSX", "J66") => true,
        _ => false,
    }
}
