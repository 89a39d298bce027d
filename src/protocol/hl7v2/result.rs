//! One OBX segment: a reading, a piece of structure, or a refusal.
//!
//! | field | becomes | source |
//! |---|---|---|
//! | OBX-2 | how OBX-5 is read | facts/semantics.md 1.1 |
//! | OBX-3 | codings, both triplets | facts/semantics.md 1.1 |
//! | OBX-4 | sub-id | |
//! | OBX-5 | value as sent, or absent | below |
//! | OBX-6, OBX-7 | unit codings, limits | |
//! | OBX-8 | flags; INV, NAV, OFF, BUSY and NI mean that there is no value | facts/semantics.md 1.2 |
//! | OBX-11 | status; I, D and W mean that there is no value, X as the profile says | HL7 table 0085 |
//! | OBX-14, else OBX-19 on analysers | time | facts/lab.md 3.3 |
//! | OBX-13, 17, 18, 20 | setting or not, method, equipment, body site | facts/monitors.md 6 |
//!
//! A row with OBX-2, 5, 6 and 8 empty tells the device's structure: neither value nor refusal.
//! An NM that is no number, no listed sentinel and no number with a comparator is a refusal.
//! A byte that does not fit the character set refuses the whole OBX: no value without its name.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::profile::{Hl7v2Profile, StatusX};
use super::segments::Segment;
use super::wire::Wire;
use crate::vocabulary::reading::{Coding, EventKind, Words};
use crate::vocabulary::{
    AbsentReason, DeviceCode, DeviceTime, DeviceUnit, Flag, Meaning, Nature, Reading, Refused,
    ResultStatus, Value, Why,
};

/// What is the same for all OBX of a message.
pub struct Manner<'a> {
    pub profile: &'a Hl7v2Profile,
    pub zone: Option<&'a TimeZone>,
    /// An analyser: OBX-19 counts as time, and X means "not performed".
    pub laboratory: bool,
    pub event: Option<EventKind>,
}

/// Whether what stands around a value is the same whatever the value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Around {
    /// OBX-2 is NM, and nothing but OBX-5 decides what the value is.
    Plain,
    /// Something else decides, too: [`read_again`] must not be asked.
    Other,
}

/// Reads an OBX that says the same as an earlier one around its value, which was [`Around::Plain`].
/// OBX-5 must not be blank.
pub fn read_again(
    wire: &Wire,
    obx: &Segment,
    manner: &Manner,
    words: &Arc<Words>,
) -> Result<Reading, Refused> {
    let at = obx.field(5).unwrap_or_else(|| obx.at.clone());
    let value = value(wire, NUMBER, &at, words.status, manner)?;
    Ok(Reading { words: Arc::clone(words), value, time: time(wire, obx, manner)?, at })
}

/// OBX-2 of a number.
const NUMBER: &str = "NM";

/// Reads one OBX; `None` for a row that only tells the device's structure.
pub fn read(
    wire: &Wire,
    obx: &Segment,
    manner: &Manner,
) -> Result<Option<(Reading, Around)>, Refused> {
    let at = obx.field(5).unwrap_or_else(|| obx.at.clone());
    let written = obx.field(5).map_or(Ok(Cow::Borrowed("")), |at| wire.legible(&at))?;
    let value_type = wire.read_field(obx, 2)?;
    let value_type = value_type.trim();
    let flags = flags(wire, obx)?;
    let unit = unit(wire, obx)?;
    let no_value = written.trim().is_empty();
    if no_value && value_type.is_empty() && flags.is_empty() && unit.is_none() {
        return Ok(None);
    }
    let codings = match wire.repetitions(obx, 3).first() {
        Some(first) => wire.codings(first)?,
        None => Vec::new(),
    };
    if codings.is_empty() {
        return Err(Refused::new(Why::Unreadable, at, "expected a code or a name in OBX-3"));
    }
    let letter = wire.read_field(obx, 11)?;
    let letter = letter.trim();
    let void = void_because(&flags, letter, value_type, manner);
    let around = match void {
        None if !no_value && value_type == NUMBER && letter != "X" => Around::Plain,
        None | Some(_) => Around::Other,
    };
    let value = if no_value {
        Value::absent(&written, empty_because(&flags, letter, manner))
    } else if let Some(reason) = void {
        Value::absent(&wire.text(&at)?, reason)
    } else {
        value(wire, value_type, &at, status(letter), manner)?
    };
    let mut reading = Reading::new(DeviceCode::Codings(codings), value, at);
    reading.sub_id = wire.field_text(obx, 4)?;
    reading.unit = unit;
    reading.time = time(wire, obx, manner)?;
    reading.status = status(letter);
    reading.flags = flags;
    if reading.status == ResultStatus::Other {
        reading.flags.push(Flag(letter.to_owned()));
    } else if reading.status == ResultStatus::NoResult
        && reading.value.absent_reason().is_none()
        && manner.profile.valid_with_status_x == StatusX::NumberDoubted
    {
        reading.flags.push(Flag("status:X".to_owned()));
    }
    reading.limits = wire.field_text(obx, 7)?;
    for repetition in wire.repetitions(obx, 17) {
        reading.method.extend(wire.codings(&repetition)?);
    }
    reading.equipment = equipment(wire, obx)?;
    if let Some(repetition) = wire.repetitions(obx, 20).first() {
        reading.body_site = wire.codings(repetition)?.into_iter().next();
    }
    reading.nature = nature(&reading, wire.read_field(obx, 13)?.trim(), manner);
    Ok(Some((reading, around)))
}

/// OBX-18, each repetition as sent.
pub fn equipment(wire: &Wire, obx: &Segment) -> Result<Vec<String>, Refused> {
    let mut all = Vec::new();
    for repetition in wire.repetitions(obx, 18) {
        let equipment = wire.as_sent(&repetition)?;
        if !equipment.is_empty() {
            all.push(equipment);
        }
    }
    Ok(all)
}

fn flags(wire: &Wire, obx: &Segment) -> Result<Vec<Flag>, Refused> {
    let Some(field) = obx.field(8) else { return Ok(Vec::new()) };
    // HemoScreen sends `\~`, an escaped repetition separator, as one flag (facts/lab.md 3.3).
    let escaped = [wire.delimiters.escape, wire.delimiters.repetition];
    let repetitions = if wire.bytes(&field) == escaped.as_slice() {
        vec![field]
    } else {
        wire.repetitions(obx, 8)
    };
    let mut flags = Vec::new();
    for repetition in repetitions {
        let flag = wire.as_sent(&repetition)?;
        if !flag.trim().is_empty() && flag != "\"\"" {
            flags.push(Flag(flag));
        }
    }
    Ok(flags)
}

/// The flag's code: `N^^HL70078` says N.
fn has_flag(flags: &[Flag], code: &str) -> bool {
    flags.iter().any(|Flag(flag)| flag.split('^').next().is_some_and(|first| first.trim() == code))
}

fn unit(wire: &Wire, obx: &Segment) -> Result<Option<DeviceUnit>, Refused> {
    let Some(first) = wire.repetitions(obx, 6).into_iter().next() else { return Ok(None) };
    let codings = wire.codings(&first)?;
    Ok((!codings.is_empty()).then_some(DeviceUnit { codings }))
}

/// Why OBX-5 is empty.
fn empty_because(flags: &[Flag], letter: &str, manner: &Manner) -> AbsentReason {
    let said = [
        ("INV", AbsentReason::Invalid),
        ("NAV", AbsentReason::NotAvailable),
        ("OFF", AbsentReason::Off),
        ("BUSY", AbsentReason::Measuring),
        ("CAL", AbsentReason::Calibrating),
        ("NI", AbsentReason::NotStated),
    ];
    let by_flag = said.into_iter().find(|(code, _)| has_flag(flags, code));
    match (by_flag, letter) {
        (Some((_, reason)), _) => reason,
        (None, "X") => no_result(manner),
        (None, "I") => AbsentReason::Pending,
        (None, _) => AbsentReason::NotStated,
    }
}

/// Why what stands in OBX-5 is no value: the flags and statuses that uv-pocd and HL7 table 0085
/// give for that. CAL, QUES and EARLY leave the value standing. NI ("no information", a reason for
/// absent data there) beside a number contradicts it.
fn void_because(
    flags: &[Flag],
    letter: &str,
    value_type: &str,
    manner: &Manner,
) -> Option<AbsentReason> {
    let void = ["INV", "NAV", "OFF", "BUSY", "NI"].into_iter().any(|code| has_flag(flags, code));
    match letter {
        _ if void => Some(empty_because(flags, letter, manner)),
        "X" => match manner.profile.valid_with_status_x {
            StatusX::NumberDoubted if value_type == NUMBER && !manner.laboratory => None,
            StatusX::NumberDoubted | StatusX::NoResult => Some(no_result(manner)),
            StatusX::ValueStands => None,
        },
        "I" => Some(AbsentReason::Pending),
        // D deletes an earlier result; W says that it was another patient's.
        "D" | "W" => Some(AbsentReason::Invalid),
        _ => None,
    }
}

fn no_result(manner: &Manner) -> AbsentReason {
    if manner.laboratory { AbsentReason::NotPerformed } else { AbsentReason::NotAvailable }
}

fn value(
    wire: &Wire,
    value_type: &str,
    at: &Range<usize>,
    status: ResultStatus,
    manner: &Manner,
) -> Result<Value, Refused> {
    let text = wire.read(at)?;
    let profile = manner.profile;
    let may_be_none = !profile.sentinels_only_without_status || status == ResultStatus::NotStated;
    if let Some(reason) = profile.sentinels.get(text.trim()).filter(|_| may_be_none) {
        return Ok(Value::absent(&text, *reason));
    }
    if text == "\"\"" {
        return Ok(Value::absent(&text, AbsentReason::NotStated));
    }
    let is_text = matches!(value_type, "ST" | "TX" | "FT");
    if wire.bytes(at).contains(&wire.delimiters.repetition) && !is_text {
        // Several values in one field have no single meaning.
        return Ok(Value::text(&wire.as_sent(at)?));
    }
    match value_type {
        NUMBER => numeric(&text, at),
        "SN" => structured_numeric(wire, at),
        "CWE" | "CE" | "CNE" | "CF" => coded(wire, at),
        "ST" | "TX" | "FT" | "IS" | "ID" | "" => Ok(Value::read(&text)),
        // Times, waveforms, ranges, identifiers and whatever else there is: words as sent.
        _ => Ok(Value::text(&text)),
    }
}

fn numeric(text: &str, at: &Range<usize>) -> Result<Value, Refused> {
    let value = Value::read(text);
    match value.meaning() {
        Meaning::Number { .. } => Ok(value),
        Meaning::Ordinal | Meaning::Coded { .. } | Meaning::Text | Meaning::Absent(_) => {
            Err(Refused::new(
                Why::Unreadable,
                at.clone(),
                "expected a number in OBX-5 (OBX-2 is NM) or a sentinel of the profile",
            ))
        }
    }
}

/// `<^20` is `<20`; a ratio or a range (`^1^:^128`) stays words.
fn structured_numeric(wire: &Wire, at: &Range<usize>) -> Result<Value, Refused> {
    let components = wire.components(at);
    let part = |number| wire.component(&components, number);
    let (comparator, number) = (part(1)?, part(2)?);
    let plain = part(3)?.is_empty() && part(4)?.is_empty();
    if plain && matches!(comparator.trim(), "" | "=" | "<" | "<=" | ">" | ">=") {
        let sign = if comparator.trim() == "=" { "" } else { comparator.trim() };
        let value = Value::read(&format!("{sign}{number}"));
        if matches!(value.meaning(), Meaning::Number { .. }) {
            return Ok(value);
        }
    }
    Ok(Value::text(&wire.as_sent(at)?))
}

fn coded(wire: &Wire, at: &Range<usize>) -> Result<Value, Refused> {
    let as_sent = wire.as_sent(at)?;
    Ok(match wire.codings(at)?.first() {
        Some(Coding { code, words, system }) => Value::coded(&as_sent, code, words, system),
        None => Value::text(&as_sent),
    })
}

fn status(letter: &str) -> ResultStatus {
    match letter {
        "" => ResultStatus::NotStated,
        "R" => ResultStatus::Unverified,
        "P" => ResultStatus::Preliminary,
        "F" => ResultStatus::Final,
        "C" => ResultStatus::Corrected,
        "X" => ResultStatus::NoResult,
        _ => ResultStatus::Other,
    }
}

fn time(wire: &Wire, obx: &Segment, manner: &Manner) -> Result<Option<DeviceTime>, Refused> {
    let fields: &[usize] = if manner.laboratory { &[14, 19] } else { &[14] };
    for field in fields {
        let text = wire.read_field(obx, *field)?;
        if !text.trim().is_empty() && text != "\"\"" {
            return Ok(Some(DeviceTime::read(&text, manner.zone)));
        }
    }
    Ok(None)
}

fn nature(reading: &Reading, access: &str, manner: &Manner) -> Nature {
    let DeviceCode::Codings(codings) = &reading.code else { return Nature::Measurement };
    let named = |test: fn(&str) -> bool| codings.iter().any(|coding| test(&coding.words));
    let is_fact = named(is_device_fact) || codings.iter().any(is_product_fact);
    let set = ["ASET", "MSET", "RSET"];
    let is_set = reading
        .method
        .iter()
        .any(|coding| set.contains(&coding.code.as_str()) || set.contains(&coding.words.as_str()));
    match manner.event {
        _ if is_fact => Nature::DeviceFact,
        Some(EventKind::Alarm) => Nature::EventPart,
        Some(EventKind::PumpEvent) if named(is_event_part) => Nature::EventPart,
        Some(EventKind::PumpEvent) | None => {
            // Philips marks settings in OBX-13 (facts/monitors.md 6).
            if is_set || matches!(access, "SETTING" | "CONFIGURATION") {
                Nature::Setting
            } else if named(is_event_part) {
                Nature::EventPart
            } else {
                Nature::Measurement
            }
        }
    }
}

/// Parts of an event by their reference ids; the numbers differ from vendor to vendor
/// (facts/semantics.md 1.5).
fn is_event_part(reference_id: &str) -> bool {
    ["MDC_EVT_", "MDC_ATTR_EVT_", "MDC_ATTR_EVENT_", "MDC_ATTR_ALARM_", "MDC_ATTR_ALERT_"]
        .into_iter()
        .any(|beginning| reference_id.starts_with(beginning))
        || reference_id == "MDC_ATTR_AL_COND"
}

/// Attributes of the device, not of a patient (`MDC_ATTR_PT_WEIGHT`) and not of an event.
fn is_device_fact(reference_id: &str) -> bool {
    let attribute = reference_id.starts_with("MDC_ATTR_")
        && !reference_id.starts_with("MDC_ATTR_PT_")
        && !is_event_part(reference_id);
    attribute
        || ["MDC_TIME_SYNC", "MDC_ID_PROD_SPEC", "MDC_ID_MODEL", "MDC_REG_CERT_DATA"]
            .into_iter()
            .any(|beginning| reference_id.starts_with(beginning))
}

/// Clock synchronisation and product specification where only the number is sent.
fn is_product_fact(coding: &Coding) -> bool {
    coding.system == "MDC" && matches!(coding.code.as_str(), "68220" | "68221")
}
