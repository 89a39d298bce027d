//! One frame to readings. Plain functions over slices.

use std::ops::Range;

use super::field::{FrameField, FrameFlag, RawForm, TextBytes, TextForm};
use super::plain::Plain;
use super::profile::{ByteOrder, FrameMessage, FrameProfile};
use crate::protocol::interpreted::{Decoded, code_of};
use crate::vocabulary::{DeviceUnit, Flag, Nature, Reading, Refused, Value, Why};

/// What is the same for all rows of a frame.
struct Payload<'a> {
    order: ByteOrder,
    bytes: &'a [u8],
    plain: &'a Plain<'a>,
    /// Where the payload begins in the plain frame.
    from: usize,
}

impl Payload<'_> {
    fn get(&self, at: usize, bytes: usize) -> Option<&[u8]> {
        self.bytes.get(at..at + bytes)
    }

    /// The place of payload bytes in the message's raw bytes.
    fn place(&self, at: usize, bytes: usize) -> Range<usize> {
        self.plain.place(self.from + at..self.from + at + bytes)
    }
}

/// Decodes a whole frame whose checksum is good.
pub(super) fn frame(profile: &FrameProfile, raw: &[u8]) -> Decoded {
    let plain = Plain::of(profile, raw);
    let from = profile.payload_at();
    let to = plain.bytes.len().saturating_sub(profile.trailer_bytes());
    let bytes = plain.bytes.get(from..to).unwrap_or_default();
    let payload = Payload { order: profile.byte_order, bytes, plain: &plain, from };
    let mut decoded = Decoded::default();
    let mut alike = profile.message.iter().filter(|one| one.payload_type.begins(bytes));
    // Of several kinds that begin alike the length decides.
    let message = match alike.clone().find(|one| one.has_length(bytes.len())) {
        Some(message) => message,
        None => {
            decoded.refusals.push(match alike.next() {
                Some(message) => wrong_length(message, bytes.len(), 0..raw.len()),
                None => unknown(profile, 0..raw.len()),
            });
            return decoded;
        }
    };
    decoded.name = Some(message.name.clone());
    if let Err(refused) = fields(message, &payload, &mut decoded) {
        decoded.refuse_all(refused);
        return decoded;
    }
    flags(message, &payload, &mut decoded);
    decoded.firmware = message.firmware.as_ref().and_then(|text| text_of(text, &payload));
    decoded.serial_number = message.serial_number.as_ref().and_then(|text| text_of(text, &payload));
    decoded
}

fn unknown(profile: &FrameProfile, at: Range<usize>) -> Refused {
    let kinds: Vec<String> =
        profile.message.iter().map(|one| one.payload_type.to_string()).collect();
    let detail = format!("expected a payload that starts with one of {}", kinds.join(", "));
    Refused::new(Why::UnknownMessage, at, detail)
}

fn wrong_length(message: &FrameMessage, got: usize, at: Range<usize>) -> Refused {
    let (least, most) = message.lengths();
    let expected = if least == most { format!("{least}") } else { format!("{least} to {most}") };
    let name = &message.name;
    let detail = format!("message {name}: expected a payload of {expected} bytes, got {got}");
    Refused::new(Why::TooShort, at, detail)
}

fn text_of(text: &TextBytes, payload: &Payload) -> Option<String> {
    let bytes = payload.get(usize::from(text.at), usize::from(text.bytes))?;
    match text.form {
        TextForm::Ascii => {
            let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii())?;
            Some(text.trim_end_matches(['\0', ' ']).to_owned())
        }
        TextForm::Number => bytes.first().map(u8::to_string),
    }
}

/// `Err`: what a byte says contradicts the frame; nothing of it can be trusted.
fn fields(message: &FrameMessage, payload: &Payload, decoded: &mut Decoded) -> Result<(), Refused> {
    let whole = payload.place(0, payload.bytes.len());
    for field in &message.field {
        if let Some(when) = &field.when {
            let selector = payload.get(usize::from(when.at), 1);
            let selected = |one: &FrameField| {
                one.when.as_ref().is_some_and(|w| w.at == when.at && selector == Some(&w.is.0))
            };
            let rivals = message.field.iter().filter(|one| one.at == field.at);
            if !rivals.into_iter().any(selected) {
                let detail =
                    format!("{}: byte {} selects no row of the file", field.name(), when.at);
                return Err(Refused::new(Why::Unreadable, whole, detail));
            }
            if !selected(field) {
                continue;
            }
        }
        read_field(field, payload, &whole, decoded)?;
    }
    Ok(())
}

fn read_field(
    field: &FrameField,
    payload: &Payload,
    whole: &Range<usize>,
    decoded: &mut Decoded,
) -> Result<(), Refused> {
    let from = usize::from(field.at);
    let at = payload.place(from, field.raw.bytes());
    let bytes = payload.get(from, field.raw.bytes());
    let number = bytes.and_then(|bytes| number(field.raw, payload.order, bytes));
    let Some((signed, bits)) = number.and_then(|number| combined(field, payload, number)) else {
        let detail = format!("{}: the payload ends before the field", field.name());
        decoded.refusals.push(Refused::new(Why::TooShort, at, detail));
        return Ok(());
    };
    let mark = |text: &String| raw_form(text) == Some(bits);
    let absent = field.absent.iter().find(|(text, _)| mark(text));
    let below = field.absent_to.as_ref().filter(|limit| signed <= limit.raw);
    let value = match (absent, below) {
        (Some((text, reason)), _) => Some(Value::absent(text, *reason)),
        (None, Some(limit)) => Some(Value::absent(&signed.to_string(), limit.reason)),
        (None, None) => {
            if let Some(possible) = &field.possible
                && !(possible.from..=possible.to).contains(&signed)
            {
                let detail = format!(
                    "{}: expected a raw number from {} to {}",
                    field.name(),
                    possible.from,
                    possible.to
                );
                return Err(Refused::new(Why::Unreadable, whole.clone(), detail));
            }
            scaled(signed, &field.lsb).and_then(|text| Value::number(&text))
        }
    };
    match value {
        Some(value) => {
            let code = code_of(&field.parameter, &field.code);
            let mut reading = Reading::new(code, value, at);
            if !field.unit.is_empty() {
                reading.unit = Some(DeviceUnit::text(&field.unit));
            }
            reading.sub_id.clone_from(&field.channel);
            if field.setting {
                reading.nature = Nature::Setting;
            }
            reading.flags.extend(field.mark.iter().map(|mark| Flag(mark.clone())));
            decoded.readings.push(reading);
        }
        None => {
            let detail = format!("{}: the step {:?} is not a decimal", field.name(), field.lsb);
            decoded.refusals.push(Refused::new(Why::Unreadable, at, detail));
        }
    }
    Ok(())
}

/// The bits that count, with the low ones behind them where these stand apart.
fn combined(field: &FrameField, payload: &Payload, number: (i64, u32)) -> Option<(i64, u32)> {
    let masked = match field.mask {
        Some(mask) => (i64::from(number.1 & mask), number.1 & mask),
        None => number,
    };
    let Some(low) = &field.low else { return Some(masked) };
    let byte = payload.get(usize::from(low.at), 1)?.first().copied()?;
    let low_bits = u32::from(byte) & ((1u32 << low.bits.min(8)) - 1);
    let bits = masked.1.checked_shl(u32::from(low.bits))? | low_bits;
    Some((i64::from(bits), bits))
}

/// The number with its sign, and its bits as they stand on the wire.
fn number(form: RawForm, order: ByteOrder, bytes: &[u8]) -> Option<(i64, u32)> {
    if bytes.len() != form.bytes() {
        return None;
    }
    let push = |bits: u32, byte: &u8| (bits << 8) | u32::from(*byte);
    let bits = match order {
        ByteOrder::BigEndian => bytes.iter().fold(0, push),
        ByteOrder::LittleEndian => bytes.iter().rev().fold(0, push),
    };
    let signed = match form {
        RawForm::U8 | RawForm::U16 | RawForm::U32 => i64::from(bits),
        RawForm::I8 => i64::from(bits as u8 as i8),
        RawForm::I16 => i64::from(bits as u16 as i16),
        RawForm::I32 => i64::from(bits as i32),
    };
    Some((signed, bits))
}

/// The bits that a text such as "0x7FFF" or "127" means.
fn raw_form(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Whether a mark of absence is a raw form of this row.
pub(crate) fn fits(text: &str, field: &FrameField) -> bool {
    let width = match &field.low {
        Some(low) => 8 * field.raw.bytes() + usize::from(low.bits),
        None => 8 * field.raw.bytes(),
    };
    raw_form(text).is_some_and(|bits| width >= 32 || bits >> width == 0)
}

/// `raw` times the decimal `lsb`, exactly, with as many decimals as the step has.
pub(crate) fn scaled(raw: i64, lsb: &str) -> Option<String> {
    let (whole, fraction) = lsb.split_once('.').unwrap_or((lsb, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || fraction.len() > 9 {
        return None;
    }
    let step: i128 = format!("{whole}{fraction}").parse().ok()?;
    let product = i128::from(raw).checked_mul(step)?;
    if fraction.is_empty() {
        return Some(product.to_string());
    }
    let digits = format!("{:0>width$}", product.unsigned_abs(), width = fraction.len() + 1);
    let (head, tail) = digits.split_at(digits.len() - fraction.len());
    let sign = if product < 0 { "-" } else { "" };
    Some(format!("{sign}{head}.{tail}"))
}

fn flags(message: &FrameMessage, payload: &Payload, decoded: &mut Decoded) {
    let is_set = |flag: &FrameFlag| -> Option<bool> {
        let mut set = false;
        for place in flag.places() {
            let byte = payload.get(place, 1)?.first().copied()?;
            set |= byte.checked_shr(u32::from(flag.bit)).unwrap_or(0) & 1 == 1;
        }
        Some(set)
    };
    for flag in &message.flag {
        match is_set(flag) {
            Some(true) if flag.no_matter.is_some() => {}
            Some(true) => decoded.mark(&flag.means, &flag.affects, flag.absent, flag.mode),
            Some(false) => {}
            None => {
                let detail = format!("byte {}: the payload ends before the flags", flag.at);
                let at = payload.place(0, payload.bytes.len());
                decoded.refusals.push(Refused::new(Why::TooShort, at, detail));
                // Without its flags a value cannot be told from a bad one.
                decoded.readings.clear();
            }
        }
    }
    unlisted(message, payload, decoded);
}

/// A set bit that no row lists stays as a mark on every value: nobody knows what it means.
fn unlisted(message: &FrameMessage, payload: &Payload, decoded: &mut Decoded) {
    let mut seen: Vec<(u16, u8)> = Vec::new();
    for flag in message.flag.iter().filter(|flag| flag.repeated.is_none()) {
        let byte = payload.get(usize::from(flag.at), 1).and_then(|bytes| bytes.first());
        for bit in (0..8).filter(|bit| byte.is_some_and(|byte| byte >> bit & 1 == 1)) {
            let listed = message.flag.iter().any(|one| one.at == flag.at && one.bit == bit);
            if !listed && !seen.contains(&(flag.at, bit)) {
                seen.push((flag.at, bit));
                decoded.mark_all(&format!("byte-{}-bit-{bit}", flag.at));
            }
        }
    }
}
