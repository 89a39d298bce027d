//! The alarm broadcast: ward and bed, the parameter's code, a text in the screen's language. For
//! the record, not for notification; nothing is decided by the text.

use super::numerics::SYSTEM;
use crate::protocol::hl7v2::charset::Charset;
use crate::vocabulary::reading::{Coding, EventKind};
use crate::vocabulary::{DeviceCode, Group, Nature, Reading, Refused, Subject, Value, Why};

/// Function 201 with sub-function 4.
pub(super) const FUNCTION: &[u8] = &[0x00, 0xc9, 0x00, 0x04];

const BYTES: usize = 84;
const PLACE: std::ops::Range<usize> = 24..56;
const CODE_AT: usize = 63;
const TEXT: std::ops::Range<usize> = 66..80;

/// The event, and the bytes that say it: the counter behind them goes on while the alarm lasts.
pub(super) fn read(datagram: &[u8]) -> Result<(Group, Vec<u8>), Refused> {
    let whole = 0..datagram.len();
    if datagram.len() != BYTES {
        let why = if datagram.len() < BYTES { Why::TooShort } else { Why::TooLong };
        return Err(Refused::new(why, whole, format!("expected {BYTES} bytes")));
    }
    let said = datagram.get(PLACE.start..TEXT.end).unwrap_or_default().to_vec();
    let code = datagram.get(CODE_AT).copied().unwrap_or_default();
    let text = |range: std::ops::Range<usize>| {
        let bytes = datagram.get(range).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let bytes = bytes.get(..end).unwrap_or_default();
        let plain = bytes.iter().all(|byte| !byte.is_ascii_control());
        Charset::Ascii.decode(bytes).filter(|_| plain).map(std::borrow::Cow::into_owned)
    };
    let Some(words) = text(TEXT) else {
        let what = "an alarm whose text is not plain ASCII: its character set is not known";
        return Err(Refused::new(Why::Charset, TEXT, what));
    };
    let number = format!("{code:02X}");
    let readings = vec![
        part("alarm.code", Value::coded(&number, &number, "", SYSTEM), CODE_AT..CODE_AT + 1),
        part("alarm.text", Value::text(&words), TEXT),
    ];
    let place = text(PLACE).unwrap_or_default();
    let subject = Subject { place, ..Subject::default() };
    Ok((Group { event: Some(EventKind::Alarm), subject, ..Group::of(readings) }, said))
}

fn part(name: &str, value: Value, at: std::ops::Range<usize>) -> Reading {
    let code = DeviceCode::Codings(vec![Coding::new(name, "", SYSTEM)]);
    let mut reading = Reading::new(code, value, at);
    reading.nature = Nature::EventPart;
    reading
}
