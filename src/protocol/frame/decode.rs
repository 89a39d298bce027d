//! One frame to readings. Plain functions over slices.

use std::ops::Range;

use super::profile::RawForm;
use super::profile::{ByteOrder, Counts, FrameField, FrameMessage, FrameProfile, LengthSize};
use crate::protocol::interpreted::Decoded;
use crate::vocabulary::{DeviceCode, DeviceUnit, Reading, Refused, Value, Why};

/// What the head of a buffer is.
pub(super) enum Look {
    NeedMore,
    /// A whole frame with a good checksum.
    Frame {
        bytes: usize,
    },
    /// Its first byte starts no frame.
    NotAFrame {
        why: Why,
        detail: String,
    },
}

/// Looks at the head of `buffer`.
pub(super) fn look(profile: &FrameProfile, buffer: &[u8]) -> Look {
    let start = &profile.start.0;
    let common = start.len().min(buffer.len());
    if buffer.get(..common) != start.get(..common) {
        let detail = "expected the start mark of a frame".to_owned();
        return Look::NotAFrame { why: Why::Resync, detail };
    }
    let Some(length) = length(profile, buffer) else { return Look::NeedMore };
    let (least, most) = (usize::from(profile.length.min), usize::from(profile.length.max));
    let overhead = payload_at(profile) + profile.checksum.kind.bytes();
    let payload = match profile.length.counts {
        Counts::Payload => Some(length),
        Counts::PayloadAndChecksum => length.checked_sub(profile.checksum.kind.bytes()),
        Counts::Frame => length.checked_sub(overhead),
    };
    let payload = match payload {
        Some(payload) if payload > most => {
            let detail = format!("expected a payload of at most {most} bytes, got {payload}");
            return Look::NotAFrame { why: Why::TooLong, detail };
        }
        Some(payload) if payload >= least => payload,
        Some(_) | None => {
            let detail = format!("expected a payload of at least {least} bytes");
            return Look::NotAFrame { why: Why::TooShort, detail };
        }
    };
    let whole = overhead + payload;
    let Some(frame) = buffer.get(..whole) else { return Look::NeedMore };
    let (checked, sent) = frame.split_at(whole - profile.checksum.kind.bytes());
    let computed = profile
        .checksum
        .kind
        .of(checked.get(usize::from(profile.checksum.from)..).unwrap_or_default());
    if computed == sent {
        Look::Frame { bytes: whole }
    } else {
        let detail = format!("expected checksum {computed:02X?}, got {sent:02X?}");
        Look::NotAFrame { why: Why::Checksum, detail }
    }
}

fn length(profile: &FrameProfile, buffer: &[u8]) -> Option<usize> {
    let at = usize::from(profile.length.at);
    match profile.length.size {
        LengthSize::U8 => buffer.get(at).map(|byte| usize::from(*byte)),
        LengthSize::U16 => {
            let bytes: [u8; 2] = buffer.get(at..at + 2)?.try_into().ok()?;
            Some(usize::from(match profile.byte_order {
                ByteOrder::BigEndian => u16::from_be_bytes(bytes),
                ByteOrder::LittleEndian => u16::from_le_bytes(bytes),
            }))
        }
    }
}

/// Where the payload begins in the frame.
fn payload_at(profile: &FrameProfile) -> usize {
    let width = match profile.length.size {
        LengthSize::U8 => 1,
        LengthSize::U16 => 2,
    };
    usize::from(profile.length.at) + width
}

/// Decodes a whole frame whose checksum is good.
pub(super) fn frame(profile: &FrameProfile, raw: &[u8]) -> Decoded {
    let from = payload_at(profile);
    let to = raw.len().saturating_sub(profile.checksum.kind.bytes());
    let payload = raw.get(from..to).unwrap_or_default();
    let mut decoded = Decoded::default();
    let known = profile.message.iter().find(|message| payload.starts_with(&message.payload_type.0));
    let Some(message) = known else {
        let kinds: Vec<String> = profile
            .message
            .iter()
            .map(|message| format!("{:02X?}", message.payload_type.0))
            .collect();
        let detail = format!("expected a payload that starts with one of {}", kinds.join(", "));
        decoded.refusals.push(Refused::new(Why::UnknownMessage, 0..raw.len(), detail));
        return decoded;
    };
    if payload.len() != usize::from(message.payload_bytes) {
        let detail = format!(
            "message {}: expected a payload of {} bytes, got {}",
            message.name,
            message.payload_bytes,
            payload.len()
        );
        decoded.refusals.push(Refused::new(Why::TooShort, 0..raw.len(), detail));
        return decoded;
    }
    for field in &message.field {
        let at = usize::from(field.at);
        let place = from + at..from + at + field.raw.bytes();
        read_field(profile, field, payload.get(at..at + field.raw.bytes()), place, &mut decoded);
    }
    flags(message, payload, from..to, &mut decoded);
    decoded.firmware = message.firmware.as_ref().and_then(|firmware| {
        let at = usize::from(firmware.at);
        let bytes = payload.get(at..at + usize::from(firmware.bytes))?;
        let text = std::str::from_utf8(bytes).ok()?;
        Some(text.trim_end_matches(['\0', ' ']).to_owned())
    });
    decoded
}

fn read_field(
    profile: &FrameProfile,
    field: &FrameField,
    bytes: Option<&[u8]>,
    at: Range<usize>,
    decoded: &mut Decoded,
) {
    let number = bytes.and_then(|bytes| number(field.raw, profile.byte_order, bytes));
    let Some((signed, bits)) = number else {
        let detail = format!("{}: the payload ends before the field", field.parameter);
        decoded.refusals.push(Refused::new(Why::TooShort, at, detail));
        return;
    };
    let mark = |text: &String| raw_form(text) == Some(bits);
    let absent = field.absent.iter().find(|(text, _)| mark(text));
    let value = match absent {
        Some((text, reason)) => Some(Value::absent(text, *reason)),
        None => scaled(signed, &field.lsb).and_then(|text| Value::number(&text)),
    };
    match value {
        Some(value) => {
            let code = DeviceCode::Parameter(field.parameter.clone());
            let mut reading = Reading::new(code, value, at);
            if !field.unit.is_empty() {
                reading.unit = Some(DeviceUnit::text(&field.unit));
            }
            decoded.readings.push(reading);
        }
        None => {
            let detail = format!("{}: the step {:?} is not a decimal", field.parameter, field.lsb);
            decoded.refusals.push(Refused::new(Why::Unreadable, at, detail));
        }
    }
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

/// Whether a mark of absence is a raw form of this width.
pub(crate) fn fits(text: &str, form: RawForm) -> bool {
    raw_form(text).is_some_and(|bits| form.bytes() == 4 || bits >> (8 * form.bytes()) == 0)
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

fn flags(message: &FrameMessage, payload: &[u8], at: Range<usize>, decoded: &mut Decoded) {
    for flag in &message.flag {
        let Some(byte) = payload.get(usize::from(flag.at)) else {
            let detail = format!("byte {}: the payload ends before the flags", flag.at);
            decoded.refusals.push(Refused::new(Why::TooShort, at.clone(), detail));
            // Without its flags a value cannot be told from a bad one.
            decoded.readings.clear();
            continue;
        };
        if byte.checked_shr(u32::from(flag.bit)).unwrap_or(0) & 1 == 1 {
            decoded.mark(&flag.means, &flag.affects, flag.absent, flag.mode);
        }
    }
}
