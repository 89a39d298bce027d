//! The data of a record of waveforms, written straight to JSON with its keys in order, as the data
//! of observations is.

use super::data;
use super::json::Object;
use super::{Held, ProfileStamp};
use crate::association::{Attributed, Unattributed};
use crate::check::clock::FirstSample;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::value::decimal;
use crate::vocabulary::{Association, Mode, Moment, Scale, Waveform};

/// All that a record of waveforms is made of.
pub struct WaveformParts<'a> {
    pub profile: &'a ProfileStamp,
    pub profile_status: &'static str,
    pub firmware: Option<&'a str>,
    pub mode: Mode,
    pub received: Moment,
    /// Each with the time of its first sample.
    pub arrays: &'a [(Waveform, FirstSample)],
    pub association: &'a Association,
    /// The sequence of the association record that they were judged by.
    pub ledger: Option<u64>,
    /// Whose they are, or why nobody's; `None` where nobody said anything.
    pub whose: Option<&'a Result<Attributed, Unattributed>>,
    /// The patient's data are protected (turvakielto).
    pub is_protected: bool,
    pub held: &'a [Held],
}

/// Appends the data of a record; see [`super::waveforms`].
pub fn write(parts: &WaveformParts<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    let out = object.key("arrays");
    out.push(b'[');
    for (index, (waveform, first)) in parts.arrays.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        array(waveform, first, out);
    }
    out.push(b']');
    let out = object.key("association");
    data::association((parts.association, parts.whose), parts.ledger, out);
    data::encounter(parts.whose, &mut object);
    object.put("firmware", &parts.firmware);
    let held: Vec<&str> = parts.held.iter().copied().map(Held::as_str).collect();
    object.put_if(!held.is_empty(), "held", &held);
    object.put_text("mode", parts.mode.as_str());
    data::patient(parts.whose, &mut object);
    object.put_if(parts.is_protected, "patient_protected", &true);
    data::profile(parts.profile, object.key("profile"));
    object.put_text("profile_status", parts.profile_status);
    object.put_text("purpose", "for the record, not for watching");
    data::received(parts.received, object.key("received"));
    object.end();
}

fn array(waveform: &Waveform, first: &FirstSample, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    data::put_codings(&mut object, "codings", &waveform.codings);
    object.put_if(!waveform.doubts.is_empty(), "doubts", &waveform.doubts);
    first_sample(waveform, first, object.key("first"));
    object.put_if(!waveform.flags.is_empty(), "flags", &waveform.flags);
    object.put_stated("mdc", &waveform.mdc);
    object.put_some("mdc_code", waveform.mdc_code.as_ref());
    object.put("parameter", &waveform.parameter);
    let mut period = Object::begin(object.key("period"));
    period.put("samples", &waveform.period.samples);
    period.put("us", &waveform.period.us);
    period.end();
    // Raw integers are exact as numbers of JSON: they have 32 bits.
    object.put("samples", &waveform.samples);
    scale(&waveform.scale, object.key("scale"));
    object.put_stated("sub_id", &waveform.sub_id);
    object.put_some("ucum", waveform.ucum.as_ref());
    data::put_codings(&mut object, "unit", &waveform.unit_as_sent);
    object.put_some("unit_mdc", waveform.unit_mdc.as_ref());
    object.end();
}

fn first_sample(waveform: &Waveform, first: &FirstSample, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    match first.corrected {
        None => object.put("corrected", &()),
        Some(one) => data::corrected(one, object.key("corrected")),
    }
    match &waveform.time {
        None => object.put("device", &()),
        Some(time) => data::device_time(time, object.key("device")),
    }
    object.put_text("rule", first.rule.as_str());
    object.put_text("utc", &utc_text(first.utc_us));
    object.end();
}

/// What a raw integer stands for; `null` where nobody says it. A scale that is no scale is none:
/// texts that are no decimals, and a span without a length.
fn scale(scale: &Scale, out: &mut Vec<u8>) {
    match scale {
        Scale::Step { lsb } if decimal(lsb).is_some() => {
            let mut object = Object::begin(out);
            object.put_text("lsb", lsb);
            object.end();
        }
        Scale::Span { lower, upper, raw_lower, raw_upper }
            if raw_lower != raw_upper && decimal(lower).is_some() && decimal(upper).is_some() =>
        {
            let mut object = Object::begin(out);
            object.put_text("lower", lower);
            object.put("raw_lower", raw_lower);
            object.put("raw_upper", raw_upper);
            object.put_text("upper", upper);
            object.end();
        }
        Scale::Step { .. } | Scale::Span { .. } | Scale::Unknown => {
            out.extend_from_slice(b"null");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::check::clock::{Corrected, SampleRule};
    use crate::vocabulary::observation::Doubt;
    use crate::vocabulary::reading::{Coding, Flag};
    use crate::vocabulary::{Certainty, DeviceName, DeviceTime, Period, Place};

    const RECEIVED: Moment = Moment::new(5, 1_795_000_000_000_000, Certainty::Synchronised);

    fn waveform(scale: Scale) -> Waveform {
        Waveform {
            parameter: Some("spo2".to_owned()),
            mdc_code: Some(150_456),
            mdc: "MDC_PULS_OXIM_SAT_O2".to_owned(),
            codings: vec![Coding::new("150456", "", "MDC")],
            sub_id: "1".to_owned(),
            unit_as_sent: vec![Coding::new("%", "", "")],
            unit_mdc: Some("MDC_DIM_PERCENT".to_owned()),
            ucum: Some("%".to_owned()),
            period: Period::per_second(300).unwrap(),
            scale,
            samples: vec![Some(i32::MIN), None, Some(0), Some(i32::MAX)],
            time: Some(DeviceTime::read("20261118101320+0200", None)),
            flags: vec![Flag("pacer".to_owned())],
            doubts: vec![Doubt::UnitUnexpected],
        }
    }

    fn written(scale: Scale) -> (String, Json) {
        let corrected = Corrected { utc_us: 7, offset_ms: -1, uncertainty_ms: 2 };
        let (utc_us, rule) = (RECEIVED.utc_us(), SampleRule::Corrected);
        let first = FirstSample { utc_us, rule, corrected: Some(corrected) };
        let name = DeviceName::parse("monitor").unwrap();
        let place = Place::parse("icu/bed-1").unwrap();
        let ledger = crate::association::Ledger::from_configuration([(name.clone(), place)].into());
        let parts = WaveformParts {
            profile: &ProfileStamp { id: "a/b".to_owned(), revision: 2, digest: "00".to_owned() },
            profile_status: "draft",
            firmware: None,
            mode: Mode::Training,
            received: RECEIVED,
            arrays: &[(waveform(scale), first)],
            association: &ledger.of(&name),
            ledger: Some(4),
            whose: None,
            is_protected: true,
            held: &[Held::NotProduction],
        };
        let mut text = Vec::new();
        write(&parts, &mut text);
        let text = String::from_utf8(text).unwrap();
        let read = serde_json::from_str(&text).unwrap();
        (text, read)
    }

    fn span(upper: &str, raw_upper: i32) -> Scale {
        let (lower, upper) = ("-40".to_owned(), upper.to_owned());
        Scale::Span { lower, upper, raw_lower: 0, raw_upper }
    }

    #[test]
    fn every_object_has_its_keys_in_order_and_samples_are_exact() {
        let lsb = || "0.0050".to_owned();
        for scale in [Scale::Step { lsb: lsb() }, span("520", 4095), Scale::Unknown] {
            let (text, read) = written(scale);
            // `serde_json` keeps the keys of its own objects in order.
            assert_eq!(text, read.to_string());
            assert!(text.contains(r#""samples":[-2147483648,null,0,2147483647]"#), "{text}");
            let array = &read["arrays"][0];
            assert_eq!(array["period"], json!({ "samples": 300, "us": 1_000_000 }));
            assert_eq!(
                (&read["mode"], &read["held"]),
                (&json!("training"), &json!(["not-production"]))
            );
            assert_eq!(read["patient_absent"], "not-associated");
        }
        let scale = |scale: Scale| written(scale).1["arrays"][0]["scale"].clone();
        assert_eq!(scale(Scale::Step { lsb: lsb() }), json!({ "lsb": "0.0050" }));
        let expected = json!({ "lower": "-40", "upper": "520", "raw_lower": 0, "raw_upper": 4095 });
        assert_eq!(scale(span("520", 4095)), expected);
    }

    #[test]
    fn a_scale_that_is_none_is_not_passed_off_as_one() {
        for bad in [Scale::Step { lsb: "NaN".to_owned() }, span("", 4095), span("520", 0)] {
            assert_eq!(written(bad).1["arrays"][0]["scale"], Json::Null);
        }
    }
}
