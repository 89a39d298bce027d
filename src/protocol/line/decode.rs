//! One line to readings. Plain functions over slices.

use super::columns::{Columns, Part};
use super::field::{ColumnField, SaidColumn};
use super::marks;
use super::profile::{LineChecksum, LineMessage, LineProfile};
use crate::protocol::interpreted::{Decoded, code_of};
use crate::vocabulary::{
    AbsentReason, DeviceCode, DeviceUnit, Flag, Nature, Reading, Refused, Value, Why,
};

/// Decodes a whole line, its end mark included.
pub(super) fn line(profile: &LineProfile, raw: &[u8]) -> Decoded {
    let end = match raw.strip_suffix(profile.line_end.as_bytes()) {
        Some(body) => body.len(),
        None => raw.len().saturating_sub(usize::from(profile.any_line_end)),
    };
    body(profile, raw.get(..end).unwrap_or_default())
}

/// Decodes a line without its end mark.
pub(super) fn body(profile: &LineProfile, body: &[u8]) -> Decoded {
    match message_of(profile, body) {
        Ok((message, text)) => columns(message, text),
        Err(refused) => Decoded { refusals: vec![refused], ..Decoded::default() },
    }
}

/// The message that the line is, and its text without checksum.
fn message_of<'a>(
    profile: &'a LineProfile,
    body: &'a [u8],
) -> Result<(&'a LineMessage, &'a str), Refused> {
    if let Some(position) = body.iter().position(|byte| !is_plain(*byte)) {
        let at = position..position + 1;
        return Err(Refused::new(Why::IllegalByte, at, "expected printable ASCII characters"));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        Refused::new(Why::IllegalByte, error.valid_up_to()..body.len(), "expected ASCII")
    })?;
    let text = match &profile.checksum {
        Some(checksum) => without_checksum(checksum, text)?,
        None => text,
    };
    match profile.message.iter().find(|message| message.begins(text)) {
        Some(message) => Ok((message, text)),
        None => {
            let known: Vec<&str> = profile.message.iter().map(LineMessage::start).collect();
            let detail = format!("expected a line that starts with one of {known:?}");
            Err(Refused::new(Why::UnknownMessage, 0..body.len(), detail))
        }
    }
}

/// Printable ASCII and the control characters that lines use as separators or marks.
pub(super) fn is_plain(byte: u8) -> bool {
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
    let mut decoded = Decoded { name: Some(message.name.clone()), ..Decoded::default() };
    let columns = match Columns::of(message, text) {
        Ok(columns) => columns,
        Err(refused) => {
            decoded.refusals.push(refused);
            decoded.name = None;
            return decoded;
        }
    };
    for field in &message.field {
        match columns.find(field.column, &field.keys) {
            Some(part) => read_field(field, part, &mut decoded),
            None if field.optional => {}
            None => {
                let what = format!("for {}", field.name());
                decoded.refusals.push(no_column(field.column, &what, text));
            }
        }
    }
    unknown_keys(message, &columns, &mut decoded);
    marks::flags(message, text, &columns, &mut decoded);
    let said = |place: &Option<SaidColumn>| {
        let place = place.as_ref()?;
        let (_, part) = columns.find(place.column, &place.keys)?;
        // A device without a number of its own says dashes.
        Some(part.trim()).filter(|part| !is_dashes(part)).map(str::to_owned)
    };
    decoded.firmware = said(&message.firmware);
    decoded.serial_number = said(&message.serial_number);
    decoded
}

fn read_field(field: &ColumnField, (at, part): Part<'_>, decoded: &mut Decoded) {
    let mut marks = Vec::new();
    match value(field, part, &mut marks) {
        Some(value) => {
            let mut reading = Reading::new(code_of(&field.parameter, &field.code), value, at);
            if !field.unit.is_empty() {
                reading.unit = Some(DeviceUnit::text(&field.unit));
            }
            reading.sub_id.clone_from(&field.channel);
            if field.setting {
                reading.nature = Nature::Setting;
            }
            let always = field.mark.iter().map(|mark| Flag(mark.as_str().to_owned()));
            reading.flags = marks.into_iter().chain(always).collect();
            decoded.readings.push(reading);
        }
        None => {
            let place = match field.column {
                Some(column) => format!("column {column}"),
                None => format!("key {}", field.keys.first().map_or("", String::as_str)),
            };
            let detail = format!(
                "{place}: expected a number or one of {:?} for {}",
                field.absent.keys().collect::<Vec<_>>(),
                field.name()
            );
            decoded.refusals.push(Refused::new(Why::Unreadable, at, detail));
        }
    }
}

/// `None` means unreadable: never zero, never null.
fn value(field: &ColumnField, part: &str, marks: &mut Vec<Flag>) -> Option<Value> {
    let absent = |text: &str| field.absent.get(text).map(|reason| Value::absent(text, *reason));
    if let Some(value) = absent(part).or_else(|| absent(part.trim())) {
        return Some(value);
    }
    let mut text = part.trim().strip_prefix(&field.behind)?.trim();
    loop {
        let unit_mark = Some(&field.unit_mark).filter(|mark| !mark.is_empty());
        let without_unit = unit_mark.and_then(|mark| text.strip_suffix(mark.as_str()));
        let mark = field.marks.iter().find_map(|(mark, means)| {
            let rest = text.strip_suffix(mark.as_str()).filter(|rest| rest.len() < text.len());
            rest.map(|rest| (rest, means))
        });
        match (without_unit, mark) {
            (Some(rest), _) => text = rest.trim_end(),
            (None, Some((rest, means))) => {
                marks.push(Flag(means.as_str().to_owned()));
                text = rest.trim_end();
            }
            (None, None) => break,
        }
    }
    if let Some(value) = absent(text) {
        return Some(value);
    }
    if !field.forms.is_empty() && !field.forms.iter().any(|form| form.fits(text)) {
        return None;
    }
    if field.text {
        return (!text.is_empty()).then(|| Value::text(text));
    }
    Value::number(text).map(|_| Value::read(text))
}

/// What the device sends under a key that nobody knows is kept under that key.
fn unknown_keys(message: &LineMessage, columns: &Columns<'_>, decoded: &mut Decoded) {
    let known = message.field.iter().flat_map(|one| &one.keys);
    let known = known.chain(message.flag.iter().flat_map(|one| &one.keys));
    let known = known.chain(message.note.iter().flat_map(|one| &one.keys));
    let known = known.chain(message.ignored.iter().flat_map(|one| &one.keys));
    let said = message.firmware.iter().chain(&message.serial_number);
    let known: Vec<&String> = known.chain(said.flat_map(|one| &one.keys)).collect();
    for (key, (at, text)) in &columns.keyed {
        if !known.iter().any(|one| columns.same(one, key)) {
            let code: DeviceCode = code_of("", key);
            let text = text.trim();
            let value = if is_dashes(text) {
                Value::absent(text, AbsentReason::NotAvailable)
            } else {
                Value::read(text)
            };
            decoded.readings.push(Reading::new(code, value, at.clone()));
        }
    }
}

/// `---`, `--.-%`, `+--`: signs that stand for a missing value.
fn is_dashes(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| b"-+.%".contains(&byte))
}

/// The loader lets no profile through that reads outside the line; if one came all the same, a
/// value that is missing is said to be missing.
pub(super) fn no_column(number: Option<u16>, what: &str, text: &str) -> Refused {
    let detail = match number {
        Some(number) => format!("column {number}: the line has no such column {what}"),
        None => format!("the line has no such key {what}"),
    };
    Refused::new(Why::TooShort, 0..text.len(), detail)
}
