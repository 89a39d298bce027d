//! One line to readings. Plain functions over slices.

use std::ops::Range;

use super::profile::{ColumnField, LineChecksum, LineMessage, LineProfile};
use crate::protocol::interpreted::Decoded;
use crate::vocabulary::{DeviceCode, DeviceUnit, Reading, Refused, Value, Why};

/// Decodes a whole line, its end mark included.
pub(super) fn line(profile: &LineProfile, raw: &[u8]) -> Decoded {
    match body(profile, raw) {
        Ok((message, text)) => columns(message, text),
        Err(refused) => Decoded { refusals: vec![refused], ..Decoded::default() },
    }
}

/// The message that the line is, and its text without end mark and checksum.
fn body<'a>(
    profile: &'a LineProfile,
    raw: &'a [u8],
) -> Result<(&'a LineMessage, &'a str), Refused> {
    let end = raw.len().saturating_sub(profile.line_end.len());
    let body = raw.get(..end).unwrap_or_default();
    if let Some(position) = body.iter().position(|byte| !is_plain(*byte)) {
        let at = position..position + 1;
        return Err(Refused::new(Why::IllegalByte, at, "expected printable ASCII characters"));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        Refused::new(Why::IllegalByte, error.valid_up_to()..end, "expected ASCII")
    })?;
    let text = match &profile.checksum {
        Some(checksum) => without_checksum(checksum, text)?,
        None => text,
    };
    let message = profile.message.iter().find(|message| text.starts_with(&message.starts_with));
    match message {
        Some(message) => Ok((message, text)),
        None => {
            let known: Vec<&str> =
                profile.message.iter().map(|message| message.starts_with.as_str()).collect();
            let detail = format!("expected a line that starts with one of {known:?}");
            Err(Refused::new(Why::UnknownMessage, 0..end, detail))
        }
    }
}

/// Printable ASCII and the control characters that lines use as separators or marks.
fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) || matches!(byte, 0x02 | 0x03 | b'\t')
}

fn without_checksum<'a>(checksum: &LineChecksum, text: &'a str) -> Result<&'a str, Refused> {
    let missing = |detail: String| Refused::new(Why::Checksum, 0..text.len(), detail);
    let Some(mark) = text.rfind(&checksum.before) else {
        return Err(missing(format!("expected {:?} and the checksum behind it", checksum.before)));
    };
    let from = match text.find(&checksum.after) {
        Some(found) if found + checksum.after.len() <= mark => found + checksum.after.len(),
        Some(_) | None => {
            return Err(missing(format!("expected {:?} before the checked text", checksum.after)));
        }
    };
    let digits_at = mark + checksum.before.len();
    let sent = text.get(digits_at..).unwrap_or_default();
    let checked = text.get(from..mark).unwrap_or_default();
    let computed: String =
        checksum.kind.of(checked.as_bytes()).iter().map(|byte| format!("{byte:02X}")).collect();
    if sent.eq_ignore_ascii_case(&computed) {
        Ok(text.get(..mark).unwrap_or_default())
    } else {
        // Two hexadecimal digits can be shown; anything else could be somebody's text.
        let digits = sent.len() == 2 && sent.bytes().all(|byte| byte.is_ascii_hexdigit());
        let shown = if digits { sent } else { "something else" };
        let detail = format!("expected {computed}, got {shown}");
        Err(Refused::new(Why::Checksum, digits_at..text.len(), detail))
    }
}

fn columns(message: &LineMessage, text: &str) -> Decoded {
    let mut parts: Vec<(Range<usize>, &str)> = Vec::new();
    let mut from = 0;
    for part in text.split(&message.separator) {
        parts.push((from..from + part.len(), part));
        from += part.len() + message.separator.len();
    }
    let mut decoded = Decoded::default();
    if parts.len() != usize::from(message.columns) {
        let detail = format!("expected {} columns, got {}", message.columns, parts.len());
        decoded.refusals.push(Refused::new(Why::TooShort, 0..text.len(), detail));
        return decoded;
    }
    let column = |number: u16| {
        usize::from(number).checked_sub(1).and_then(|index| parts.get(index)).cloned()
    };
    for field in &message.field {
        let Some((at, part)) = column(field.column) else {
            let what = format!("for {}", field.parameter);
            decoded.refusals.push(no_column(field.column, &what, text));
            continue;
        };
        match value(field, part) {
            Some(value) => {
                let code = DeviceCode::Parameter(field.parameter.clone());
                let mut reading = Reading::new(code, value, at);
                if !field.unit.is_empty() {
                    reading.unit = Some(DeviceUnit::text(&field.unit));
                }
                decoded.readings.push(reading);
            }
            None => {
                let detail = format!(
                    "column {}: expected a number or one of {:?} for {}",
                    field.column,
                    field.absent.keys().collect::<Vec<_>>(),
                    field.parameter
                );
                decoded.refusals.push(Refused::new(Why::Unreadable, at, detail));
            }
        }
    }
    flags(message, text, &column, &mut decoded);
    decoded.firmware = message
        .firmware
        .as_ref()
        .and_then(|firmware| column(firmware.column))
        .map(|(_, part)| part.trim().to_owned());
    decoded
}

/// `None` means unreadable: never zero, never null.
fn value(field: &ColumnField, part: &str) -> Option<Value> {
    let known = field.absent.get(part).or_else(|| field.absent.get(part.trim()));
    match known {
        Some(reason) => Some(Value::absent(part, *reason)),
        None => Value::number(part.trim()).map(|_| Value::read(part)),
    }
}

/// The loader lets no profile through that reads outside the line; if one came all the same, a
/// value that is missing is said to be missing.
fn no_column(number: u16, what: &str, text: &str) -> Refused {
    let detail = format!("column {number}: the line has no such column {what}");
    Refused::new(Why::TooShort, 0..text.len(), detail)
}

fn flags<'a>(
    message: &LineMessage,
    text: &str,
    column: &impl Fn(u16) -> Option<(Range<usize>, &'a str)>,
    decoded: &mut Decoded,
) {
    let mut unreadable: Vec<u16> = Vec::new();
    for flag in &message.flag {
        let bits = match column(flag.column) {
            Some((at, part)) => u32::from_str_radix(part.trim(), 16).map_err(|_| {
                let detail = format!("column {}: expected a hexadecimal number", flag.column);
                Refused::new(Why::Unreadable, at, detail)
            }),
            None => Err(no_column(flag.column, "for flags", text)),
        };
        match bits {
            Ok(bits) if bits.checked_shr(u32::from(flag.bit)).unwrap_or(0) & 1 == 1 => {
                decoded.mark(&flag.means, &flag.affects, flag.absent, flag.mode);
            }
            Ok(_) => {}
            Err(refused) => {
                if !unreadable.contains(&flag.column) {
                    unreadable.push(flag.column);
                    decoded.refusals.push(refused);
                }
                // Without its flags a value cannot be told from a bad one.
                decoded.readings.clear();
            }
        }
    }
}
