//! The alarm sub-record to an event: what the screen shows, for the record and not for
//! notification. The text is in the screen's language and is never looked into.

use super::numerics::SYSTEM;
use super::record::Part;
use crate::protocol::hl7v2::charset::Charset;
use crate::vocabulary::reading::{Coding, EventKind};
use crate::vocabulary::{DeviceCode, Group, Nature, Reading, Refused, Value, Why};

const ALARMS: usize = 5;
const ALARMS_AT: usize = 10;
const ALARM_BYTES: usize = 98;
const TEXT_BYTES: usize = 80;

const COLOURS: [&str; 4] = ["none", "white", "yellow", "red"];
const SILENCES: [&str; 8] =
    ["none", "apnea", "asystole", "apnea and asystole", "all", "2 min", "5 min", "20 s"];

/// The event and what in it cannot be read; `Err` where it is no alarm sub-record.
pub(super) fn read(
    part: Part<'_>,
    charset: Option<&str>,
) -> Result<(Group, Vec<Refused>), Refused> {
    let whole = part.place(0..super::record::ALARM_BYTES);
    let odd = |what: &str| Refused::new(Why::OddSegment, whole.clone(), what);
    let sound = truth(part, 2).ok_or_else(|| odd("the alarm sound is neither on nor off"))?;
    let silence = part.u16(8).and_then(|number| SILENCES.get(usize::from(number)));
    let silence = silence.ok_or_else(|| odd("the silence of alarms is none of 0 to 7"))?;
    let mut readings = vec![
        coded(part, "alarm.sound_on_off", 2, if sound { "on" } else { "off" }),
        coded(part, "alarm.silence_info", 8, silence),
    ];
    let mut refusals = Vec::new();
    let mut before = COLOURS.len();
    for index in 0..ALARMS {
        let at = ALARMS_AT + index * ALARM_BYTES;
        let colour = part.u16(at + TEXT_BYTES + 2).map(usize::from);
        let colour = colour.filter(|colour| *colour < COLOURS.len());
        let colour = colour.ok_or_else(|| odd("the colour of an alarm is none of 0 to 3"))?;
        let changed = [TEXT_BYTES, TEXT_BYTES + 4].map(|offset| truth(part, at + offset));
        if changed.contains(&None) || colour > before {
            return Err(odd("alarms are sorted by colour and say what changed by 0 or 1"));
        }
        before = colour;
        if colour == 0 {
            continue;
        }
        let place = index + 1;
        match text(part.bytes(at..at + TEXT_BYTES), charset) {
            Ok(text) => {
                let value = Value::text(&text);
                let mut text = reading(part, "alarm.text", at..at + TEXT_BYTES, value);
                text.sub_id = place.to_string();
                readings.push(text);
            }
            // The colour stands all the same: that there is an alarm does not hang on letters.
            Err(refused) => {
                let at = part.place(at..at + TEXT_BYTES);
                refusals.push(Refused::new(Why::Charset, at, refused));
            }
        }
        let words = COLOURS.get(colour).copied().unwrap_or_default();
        let mut colour = coded(part, "alarm.color", at + TEXT_BYTES + 2, words);
        colour.sub_id = place.to_string();
        readings.push(colour);
    }
    let event = Some(EventKind::Alarm);
    Ok((Group { event, ..Group::of(readings) }, refusals))
}

/// A boolean of 16 bits.
fn truth(part: Part<'_>, at: usize) -> Option<bool> {
    match part.u16(at)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The text to its first zero.
fn text(bytes: &[u8], charset: Option<&str>) -> Result<String, &'static str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let bytes = bytes.get(..end).unwrap_or_default();
    if bytes.iter().any(u8::is_ascii_control) {
        return Err("the text of an alarm holds control characters");
    }
    let charset = charset.and_then(Charset::named).unwrap_or(Charset::Ascii);
    let text = charset.decode(bytes).map(std::borrow::Cow::into_owned);
    text.ok_or("the text of an alarm does not fit the character set configured for the device")
}

fn coded(part: Part<'_>, name: &str, at: usize, words: &str) -> Reading {
    let number = part.u16(at).unwrap_or_default().to_string();
    reading(part, name, at..at + 2, Value::coded(&number, &number, words, SYSTEM))
}

fn reading(part: Part<'_>, name: &str, at: std::ops::Range<usize>, value: Value) -> Reading {
    let code = DeviceCode::Codings(vec![Coding::new(name, "", SYSTEM)]);
    let mut reading = Reading::new(code, value, part.place(at));
    reading.nature = Nature::EventPart;
    reading
}
