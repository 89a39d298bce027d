//! The numerics datagram: the header twice, six bytes of state, and 70 bytes for each parameter.
//!
//! There is no checksum but UDP's, so what the datagram says twice is compared: both headers, how
//! many bytes follow each, how many parameters there are, and the code that stands in a parameter
//! at three places.

use std::ops::Range;

use crate::vocabulary::reading::Coding;
use crate::vocabulary::{AbsentReason, DeviceCode, DeviceUnit, Flag, Reading, Refused, Value, Why};

/// Function 00C9 with sub-function 0014.
pub(super) const FUNCTION: &[u8] = &[0x00, 0xc9, 0x00, 0x14];
/// Codes are named by their numbers.
pub(super) const SYSTEM: &str = "GE-UNITY";

/// Destination, source, function, sub-function, version, sequence, request, processor, location
/// (32), status, and how many bytes follow.
const HEADER: usize = 60;
const COUNT_IN_HEADER: usize = 58;
/// The sequence number of the second header counts; the first one's stays 0.
pub(super) const SEQUENCE_AT: usize = HEADER + 18;
/// Alarm state, alarm level, audio level, admission, number of parameters, graph status.
const STATE_AT: usize = 2 * HEADER;
const PARAMETERS_AT: usize = STATE_AT + 6;
const PARAMETER: usize = 70;

// In a parameter.
const CODE_AT: usize = 1;
const VALUES_AT: usize = 4;
/// Behind it its own kind (03) and the code again.
const LIMITS_AT: usize = 24;
const LIMITS_KIND: u8 = 3;
const TAIL_CODE_AT: usize = 65;

/// What a parameter's three values are: the vocabulary's name and the unit; `None`: not known.
type Values = [Option<(&'static str, &'static str)>; 3];

const BEATS: &str = "/min";
const PRESSURE: &str = "mm[Hg]";

/// Codes whose values the capture or its decoder proves. Temperature (23), ST (56 to 59) and
/// everything else stay unmapped: their steps are not known.
pub(super) const CODES: [(u8, Values); 4] = [
    (0x3a, [Some(("heart-rate", BEATS)), None, None]),
    (0x2d, [Some(("spo2", "%")), Some(("pulse-rate-pleth", BEATS)), None]),
    // Mean first.
    (
        CUFF,
        [
            Some(("nibp-mean", PRESSURE)),
            Some(("nibp-systolic", PRESSURE)),
            Some(("nibp-diastolic", PRESSURE)),
        ],
    ),
    (0x22, [Some(("respiration-rate", BEATS)), None, None]),
];

const CUFF: u8 = 0x18;

/// What a datagram holds.
pub(super) struct Numerics {
    pub sequence: u16,
    pub readings: Vec<Reading>,
    /// The cuff's raw values and their readings.
    pub cuff: Option<([i16; 3], Vec<Reading>)>,
}

/// Reads a datagram whose function is [`FUNCTION`].
pub(super) fn read(datagram: &[u8]) -> Result<Numerics, Refused> {
    let refuse = |why, what: String| Refused::new(why, 0..datagram.len(), what);
    let parameters = datagram.get(STATE_AT + 4).map(|count| usize::from(*count));
    let expected = parameters.map(|count| PARAMETERS_AT + count * PARAMETER);
    if expected != Some(datagram.len()) {
        let short = expected.is_none_or(|expected| expected > datagram.len());
        let why = if short { Why::TooShort } else { Why::TooLong };
        let what = format!("{} bytes, which is not 126 and 70 for each parameter", datagram.len());
        return Err(refuse(why, what));
    }
    for header in [0, HEADER] {
        let count = u16_at(datagram, header + COUNT_IN_HEADER).map(usize::from);
        if count != Some(datagram.len() - header - HEADER) {
            let what = "a header that says another number of bytes than follow it";
            return Err(refuse(Why::OddSegment, what.to_owned()));
        }
    }
    let who_and_what = 0..FUNCTION.len() + 12;
    if datagram.get(who_and_what.clone()) != datagram.get(HEADER..HEADER + who_and_what.end) {
        return Err(refuse(Why::OddSegment, "the two headers do not agree".to_owned()));
    }
    let mut numerics = Numerics {
        sequence: u16_at(datagram, SEQUENCE_AT).unwrap_or_default(),
        readings: Vec::new(),
        cuff: None,
    };
    let mut seen = Vec::new();
    for start in (PARAMETERS_AT..datagram.len()).step_by(PARAMETER) {
        let parameter = datagram.get(start..start + PARAMETER).unwrap_or_default();
        let byte = |at: usize| parameter.get(at).copied();
        let code = byte(CODE_AT).filter(|code| {
            byte(TAIL_CODE_AT) == Some(*code)
                && byte(LIMITS_AT) == Some(LIMITS_KIND)
                && byte(LIMITS_AT + 1) == Some(*code)
        });
        let Some(code) = code else {
            let what = "a parameter that does not say its code three times";
            return Err(Refused::new(Why::OddSegment, start..start + PARAMETER, what));
        };
        // The same code at two places (such as two temperatures) is told apart by its position.
        let place = seen.iter().filter(|known| **known == code).count() + 1;
        seen.push(code);
        values(parameter, start, code, place, &mut numerics);
    }
    Ok(numerics)
}

fn values(parameter: &[u8], start: usize, code: u8, place: usize, numerics: &mut Numerics) {
    let meaning = CODES.iter().find(|(known, _)| *known == code).map(|(_, values)| values);
    let mut raws = [0i16; 3];
    let mut readings = Vec::new();
    for (index, kept) in raws.iter_mut().enumerate() {
        let at = VALUES_AT + 2 * index;
        let Some(raw) = u16_at(parameter, at).map(u16::cast_signed) else { continue };
        *kept = raw;
        let known = meaning.and_then(|values| values.get(index).copied().flatten());
        let at = start + at..start + at + 2;
        readings.push(reading(raw, known, (code, index), at, limits(parameter, index)));
    }
    if place > 1 {
        readings.iter_mut().for_each(|reading| reading.sub_id = place.to_string());
    }
    if code == CUFF && numerics.cuff.is_none() {
        let flag = Flag("measurement-time-not-stated".to_owned());
        readings.iter_mut().for_each(|reading| reading.flags.push(flag.clone()));
        numerics.cuff = Some((raws, readings));
    } else {
        numerics.readings.extend(readings);
    }
}

fn reading(
    raw: i16,
    known: Option<(&str, &str)>,
    (code, index): (u8, usize),
    at: Range<usize>,
    limits: String,
) -> Reading {
    let text = raw.to_string();
    let value = match absent(raw) {
        Some(reason) => Value::absent(&text, reason),
        None => Value::read(&text),
    };
    let name = match known {
        Some((parameter, _)) => DeviceCode::Parameter(parameter.to_owned()),
        None => DeviceCode::Codings(vec![Coding::new(&format!("{code:02X}.{index}"), "", SYSTEM)]),
    };
    let mut reading = Reading::new(name, value, at);
    reading.unit = known.map(|(_, unit)| DeviceUnit::text(unit));
    if code == CUFF {
        // No unit is on the wire; that of the capture was inferred from its limits.
        reading.flags.push(Flag("unit-not-proven".to_owned()));
    }
    reading.limits = limits;
    reading
}

/// The alarm limits beside a value, lower and upper; empty where both are 0.
fn limits(parameter: &[u8], index: usize) -> String {
    let at = LIMITS_AT + 6 + 4 * index;
    let one = |at| u16_at(parameter, at).map(u16::cast_signed);
    match (one(at), one(at + 2)) {
        (Some(0), Some(0)) | (None, _) | (_, None) => String::new(),
        (Some(lower), Some(upper)) => format!("{lower}-{upper}"),
    }
}

/// Why a raw value is none (facts/monitors.md 5 and 9).
pub(super) const fn absent(raw: i16) -> Option<AbsentReason> {
    match raw {
        -32768 => Some(AbsentReason::Invalid),
        -32767 => Some(AbsentReason::NotAvailable),
        -32766..=-32762 => Some(AbsentReason::NotStated),
        -32761 => Some(AbsentReason::SensorFault),
        _ => None,
    }
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}
