//! Waves: sample arrays (096E, several in 0967) with the form that the monitor states for the
//! object (facts/monitors.md 1.7). Only when the device file asks for them.
//!
//! Samples whose form or period is not known yet give nothing. The time of the first sample is not
//! in the sheet and is left out.

use super::export::{PollResult, PolledObject};
use super::number::{Figure, Float};
use super::numerics::{self, code};
use super::objects::{Objects, PHYSIOLOGICAL, SampleForm};
use super::wire::Cursor;
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{
    DeviceCode, Mode, Moment, Period, Refused, SampleArray, Samples, Scale, Why,
};

mod attribute {
    pub const COMPOUND_SAMPLES: u16 = 0x0967;
    pub const SAMPLES: u16 = 0x096e;
}

const TICK_US: u64 = 125;

/// The samples of a poll result, one entry per mode.
pub(super) fn read(
    message: &[u8],
    poll: &PollResult,
    objects: &mut Objects,
    now: Moment,
    refusals: &mut Vec<Refused>,
) -> Vec<Samples> {
    let mut all: Vec<Samples> = Vec::new();
    for object in &poll.objects {
        let (arrays, is_known) = of_object(message, object, objects, refusals);
        if !is_known {
            objects.ask_about_waves();
        }
        for (mode, array) in arrays {
            match all.iter_mut().find(|samples| samples.mode == mode) {
                Some(samples) => samples.arrays.push(array),
                None => all.push(Samples { received: now, mode, arrays: vec![array] }),
            }
        }
    }
    all
}

/// The arrays, and whether their form is known.
fn of_object(
    message: &[u8],
    object: &PolledObject,
    objects: &Objects,
    refusals: &mut Vec<Refused>,
) -> (Vec<(Mode, SampleArray)>, bool) {
    let mut arrays = Vec::new();
    let mut is_known = true;
    for attribute in &object.attributes {
        let mut value = Cursor::within(message, &attribute.value);
        let count = match attribute.id {
            attribute::SAMPLES => 1,
            attribute::COMPOUND_SAMPLES => match value.list("a list of samples") {
                Ok((count, list)) => {
                    value = list;
                    count
                }
                Err(_) => 0,
            },
            _ => continue,
        };
        for _ in 0..count {
            match array(&mut value, object, objects) {
                Some(Some(one)) => arrays.push(one),
                Some(None) => is_known = false,
                None => {
                    let detail = "expected an array of samples of the form that was stated";
                    refusals.push(Refused::new(Why::TooShort, attribute.value.clone(), detail));
                    break;
                }
            }
        }
    }
    (arrays, is_known)
}

/// `Some(None)`: the form of these samples is not known.
fn array(
    value: &mut Cursor<'_>,
    object: &PolledObject,
    objects: &Objects,
) -> Option<Option<(Mode, SampleArray)>> {
    let physio = value.u16("a code").ok()?;
    let state = value.u16("a state").ok()?;
    let length = value.u16("a length").ok()?;
    let mut raw = value.part(usize::from(length), "samples").ok()?;
    let is_void = numerics::void_because(state).is_some();
    let described = objects.wave(object, physio, raw.left()).unwrap_or_default();
    let (Some(form), Some(period)) = (described.samples, described.sample_period) else {
        return Some(None);
    };
    if form.significant == 0 || form.significant > form.bits {
        return None;
    }
    let mut samples = Vec::new();
    while raw.left() > 0 {
        let bits = match form.bits {
            8 => u16::from(raw.byte("a sample").ok()?),
            16 => raw.u16("a sample").ok()?,
            _ => return None,
        };
        samples.push(if is_void { None } else { sample(bits, form, described.invalid_mask) });
    }
    let period = Period { us: u64::from(period) * TICK_US, samples: 1 };
    let coding = Coding::new(&code(PHYSIOLOGICAL, physio), &described.words, "MDIL");
    let array = SampleArray {
        code: DeviceCode::Codings(vec![coding]),
        sub_id: String::new(),
        unit: described.unit.map(numerics::unit),
        period,
        scale: described.scale.map_or(Scale::Unknown, |scale| self::scale(&scale)),
        samples,
        time: None,
        flags: numerics::flags(state),
    };
    (period.us > 0).then(|| Some((numerics::mode(state), array)))
}

/// Bits above the significant ones mark something; the value is below them.
fn sample(bits: u16, form: SampleForm, invalid_mask: u16) -> Option<i32> {
    if bits & invalid_mask != 0 {
        return None;
    }
    let mask = (1u32 << form.significant.min(16)) - 1;
    i32::try_from(u32::from(bits) & mask).ok()
}

/// Lower and upper FLOAT, then the raw values that they are.
fn scale(scale: &[u8; 12]) -> Scale {
    let mut cursor = Cursor::new(scale);
    let mut float = || cursor.array("a figure").map(|bytes| Float(bytes).figure());
    let (Ok(Figure::Number(lower)), Ok(Figure::Number(upper))) = (float(), float()) else {
        return Scale::Unknown;
    };
    let (Ok(raw_lower), Ok(raw_upper)) = (cursor.u16("a raw value"), cursor.u16("a raw value"))
    else {
        return Scale::Unknown;
    };
    Scale::Span { lower, upper, raw_lower: i32::from(raw_lower), raw_upper: i32::from(raw_upper) }
}
