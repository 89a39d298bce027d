//! What each kind of OBX becomes.

use super::*;
use crate::vocabulary::reading::{Coding, EventKind};
use crate::vocabulary::{
    AbsentReason, Comparator, DeviceCode, DeviceTimeEvidence, Meaning, Nature, ResultStatus, Why,
};

fn one_with(profile: Hl7v2Profile, obx: &[u8]) -> Message {
    read_with(profile, Site::default(), &block(&[MSH, b"OBR|1|||X", obx]))
}

fn one(obx: &[u8]) -> Reading {
    let message = one_with(Hl7v2Profile::default(), obx);
    assert_eq!(message.refusals, []);
    readings(&message)[0].clone()
}

fn value_of(value_type: &str, written: &str) -> crate::vocabulary::Value {
    one(format!("OBX|1|{value_type}|A^B^C||{written}||||||F").as_bytes()).value
}

#[test]
fn numbers_stay_as_sent() {
    for written in ["7.40", "-0.0", "07.40", "+5", "3.26E+05", ".5", " 131 "] {
        let value = value_of("NM", written);
        assert_eq!(value.as_sent(), written);
        assert!(matches!(value.meaning(), Meaning::Number { comparator: None, .. }), "{written}");
    }
    let low = value_of("NM", "<2.00");
    assert!(matches!(low.meaning(), Meaning::Number { comparator: Some(Comparator::Less), .. }));
}

#[test]
fn a_number_that_is_none_is_refused_with_its_place() {
    for written in ["3,7", "161,152", "***.**", "ABN", "1_000", "NaN", "7.4\\F\\"] {
        let obx = format!("OBX|1|NM|A||{written}||||||F");
        let message = one_with(Hl7v2Profile::default(), obx.as_bytes());
        assert_eq!(readings(&message), Vec::<&Reading>::new(), "{written}");
        let refused = &message.refusals[0];
        assert_eq!(refused.why, Why::Unreadable);
        assert_eq!(&message.raw[refused.at.clone()], written.as_bytes());
        assert!(!refused.detail.contains(written));
    }
}

#[test]
fn each_type_is_read_its_own_way() {
    assert_eq!(value_of("ST", "161,152").meaning(), &Meaning::Text);
    assert_eq!(value_of("ST", "ABN").as_sent(), "ABN");
    assert_eq!(value_of("", "Positive").meaning(), &Meaning::Ordinal);
    let below = value_of("ST", "< 20");
    assert!(matches!(below.meaning(), Meaning::Number { comparator: Some(Comparator::Less), .. }));
    // A waveform, a range of times and a date are words, not numbers.
    assert_eq!(value_of("NA", "-10^-10^-5").as_sent(), "-10^-10^-5");
    assert_eq!(value_of("DR", "20260612163740^20260612194324").meaning(), &Meaning::Text);
    assert_eq!(value_of("DTM", "20090828123702").meaning(), &Meaning::Text);
    let below = value_of("SN", "<^20");
    assert_eq!(below.as_sent(), "<20");
    assert!(matches!(below.meaning(), Meaning::Number { comparator: Some(Comparator::Less), .. }));
    assert_eq!(value_of("SN", "^1^:^128").meaning(), &Meaning::Text);
    let coded = value_of("CWE", "^pump-status-infusing");
    assert_eq!(coded.as_sent(), "^pump-status-infusing");
    let words = "pump-status-infusing".to_owned();
    let meaning = Meaning::Coded { code: String::new(), words, system: String::new() };
    assert_eq!(coded.meaning(), &meaning);
    // Several values in one field have no single meaning.
    assert_eq!(value_of("NM", "97~98").meaning(), &Meaning::Text);
    assert_eq!(value_of("NM", "97~98").as_sent(), "97~98");
}

#[test]
fn flags_and_status_say_why_there_is_no_value() {
    let cases: [(&[u8], AbsentReason, &str); 14] = [
        (b"OBX|1|NM|A|||u||NAV|||X", AbsentReason::NotAvailable, ""),
        (b"OBX|1|NM|A|||u||INV|||X", AbsentReason::Invalid, ""),
        (b"OBX|1|NM|A|||u||OFF|||R", AbsentReason::Off, ""),
        (b"OBX|1|NM|A|||u||L~BUSY|||R", AbsentReason::Measuring, ""),
        (b"OBX|1|NM|A|||u||CAL|||R", AbsentReason::Calibrating, ""),
        (b"OBX|1|NM|A|||u|||||X", AbsentReason::NotAvailable, ""),
        (b"OBX|1|NM|A|||u|||||R", AbsentReason::NotStated, ""),
        (b"OBX|1|NM|A|||u|||||I", AbsentReason::Pending, ""),
        (b"OBX|1|NM|A||88|u||INV|||X", AbsentReason::Invalid, "88"),
        (b"OBX|1|NM|A||88|u||NI|||R", AbsentReason::NotStated, "88"),
        (b"OBX|1|NM|A||88|u||L~NI|||F", AbsentReason::NotStated, "88"),
        (b"OBX|1|ST|A||88|u||NI^^HL70078|||F", AbsentReason::NotStated, "88"),
        (b"OBX|1|ST|A||high|u|||||X", AbsentReason::NotAvailable, "high"),
        (b"OBX|1|NM|A||88|u|||||W", AbsentReason::Invalid, "88"),
    ];
    for (obx, reason, as_sent) in cases {
        let value = one(obx).value;
        let shown = String::from_utf8_lossy(obx);
        assert_eq!((value.absent_reason(), value.as_sent()), (Some(reason), as_sent), "{shown}");
    }
    for flag in ["QUES", "CAL", "EARLY", "ALACT", "H", "N^^HL70078"] {
        let reading = one(format!("OBX|1|NM|A||97|%||{flag}|||R").as_bytes());
        assert_eq!((reading.value.as_sent(), reading.flags[0].0.as_str()), ("97", flag));
        assert_eq!(reading.value.absent_reason(), None);
    }
    // X alone must not drop a number of a monitor: it stands, and it is marked.
    let marked = one(b"OBX|1|NM|A||100|u|||||X");
    assert_eq!((marked.value.absent_reason(), marked.status), (None, ResultStatus::NoResult));
    assert_eq!(marked.flags[0].0, "status:X");
    let strict = profile("valid_with_status_x = \"no-result\"");
    let message = one_with(strict, b"OBX|1|NM|A||100|u|||||X");
    let value = &readings(&message)[0].value;
    assert_eq!(value.absent_reason(), Some(AbsentReason::NotAvailable));
    assert_eq!(value.as_sent(), "100");
    let stands = profile("valid_with_status_x = \"value-stands\"");
    let message = one_with(stands, b"OBX|1|NM|A||100|u|||||X");
    assert_eq!(readings(&message)[0].value.absent_reason(), None);
    assert!(readings(&message)[0].flags.is_empty());
}

#[test]
fn sentinels_are_values_of_the_profile_only() {
    let sentinels = profile("sentinels = { \"-999\" = \"not-measured\" }");
    let message = one_with(sentinels, b"OBX|1|NM|A||-999|%");
    let value = &readings(&message)[0].value;
    assert_eq!(value.absent_reason(), Some(AbsentReason::NotMeasured));
    assert_eq!(value.as_sent(), "-999");
    assert_eq!(one(b"OBX|1|NM|A||-999|%").value.absent_reason(), None);
}

#[test]
fn sentinels_may_count_only_without_a_status() {
    let text = "sentinels = { \"-1\" = \"not-measured\" }\nsentinels_only_without_status = true";
    for (obx, absent) in [
        (&b"OBX|1|NM|A||-1|mm"[..], Some(AbsentReason::NotMeasured)),
        (b"OBX|1|NM|A||-1|mm||||||||20210611102047", Some(AbsentReason::NotMeasured)),
        (b"OBX|1|NM|A||-1|mm|||||R", None),
        (b"OBX|1|NM|A||-2|mm", None),
    ] {
        let message = one_with(profile(text), obx);
        assert_eq!(readings(&message)[0].value.absent_reason(), absent, "{obx:?}");
    }
}

#[test]
fn structure_is_neither_value_nor_refusal() {
    let message = read(&[
        MSH,
        b"OBR|1|||X",
        b"OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X",
        b"OBX|2||150020^MDC_PRESS_BLD_NONINV^MDC|1.0.1|||||||R|||20090813095715+0500",
    ]);
    assert_eq!((message.groups.len(), message.refusals.len()), (0, 0));
}

#[test]
fn a_value_has_the_equipment_of_the_structure_above_it() {
    let message = read(&[
        MSH,
        b"OBX|1||70053^MDC_DEV_PUMP_INFUS_SYRINGE_MDS^MDC|1.0.0.0|||||||X|||||||P52814",
        b"OBX|2||70054^MDC_DEV_PUMP_INFUS_SYRINGE_VMD^MDC|1.1.0.0|||||||X|||||||MODULE",
        b"OBX|3|NM|A|1.1.2.4|1|u|||||R",
        b"OBX|4|NM|A|1.2.1.1|2|u|||||R",
        b"OBX|5|NM|A|1.1.2.5|3|u|||||R|||||||OWN",
        b"OBX|6|NM|A|2.1.2.5|4|u|||||R",
    ]);
    let equipment: Vec<_> = readings(&message).iter().map(|r| r.equipment.join("~")).collect();
    assert_eq!(equipment, ["MODULE", "P52814", "OWN", ""]);
}

#[test]
fn a_value_without_a_name_is_refused() {
    let message = one_with(Hl7v2Profile::default(), b"OBX|1|NM|||97|%|||||R");
    assert_eq!((message.groups.len(), message.refusals[0].why), (0, Why::Unreadable));
}

#[test]
fn everything_beside_the_value_is_kept_as_sent() {
    let reading = one(b"OBX|3|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC^59408-5^SpO2^LN|1.3.1.1|97|\
          265266^MDC_DIM_MILLI_L_PER_HR^MDC^mL/h^mL/h^UCUM|90-100|L~QUES|||C|||\
          20261123043255.000+0200|||AMEAS^auto^MDC|SN1^^0009FBFFFE9B42B3^EUI-64~B|\
          20260101|RA^Right arm^X");
    let spo2 = Coding::new("150456", "MDC_PULS_OXIM_SAT_O2", "MDC");
    let loinc = Coding::new("59408-5", "SpO2", "LN");
    assert_eq!(reading.code, DeviceCode::Codings(vec![spo2, loinc]));
    assert_eq!(reading.sub_id, "1.3.1.1");
    let unit = reading.unit.clone().unwrap().codings;
    assert_eq!(unit[0], Coding::new("265266", "MDC_DIM_MILLI_L_PER_HR", "MDC"));
    assert_eq!(unit[1], Coding::new("mL/h", "mL/h", "UCUM"));
    assert_eq!(reading.limits, "90-100");
    assert_eq!(reading.flags.iter().map(|f| f.0.as_str()).collect::<Vec<_>>(), ["L", "QUES"]);
    assert_eq!(reading.status, ResultStatus::Corrected);
    let time = reading.time.clone().unwrap();
    assert_eq!(time.evidence, DeviceTimeEvidence::OffsetSent);
    assert_eq!(time.as_written, "20261123043255.000+0200");
    assert_eq!(reading.method, [Coding::new("AMEAS", "auto", "MDC")]);
    assert_eq!(reading.equipment, ["SN1^^0009FBFFFE9B42B3^EUI-64", "B"]);
    assert_eq!(reading.body_site, Some(Coding::new("RA", "Right arm", "X")));
    let copies = one(b"OBX|1|NM|A||32|^Copies/mL|||||F").unit.clone().unwrap().codings;
    assert_eq!(copies, [Coding::new("", "Copies/mL", "")]);
    assert_eq!(one(b"OBX|9|NM|PLT||393|10*3/uL||\\~|||F").flags[0].0, "\\~");
}

#[test]
fn what_a_reading_is_about_is_told_from_its_name_and_method() {
    let cases: [(&[u8], Nature); 7] = [
        (b"OBX|1|NM|1^MDC_ATTR_PT_WEIGHT^MDC||82|kg|||||R", Nature::Measurement),
        (b"OBX|1|ST|67880^MDC_ATTR_ID_MODEL^MDC||Perfusor||||||F", Nature::DeviceFact),
        (b"OBX|1|CWE|68220^MDC_TIME_SYNC_PROTOCOL^MDC||532226^x^MDC||||||R", Nature::DeviceFact),
        (b"OBX|1|CWE|0^MDC_ATTR_EVT_COND^MDC||197288^y^MDC||||||R", Nature::EventPart),
        (b"OBX|1|NM|0002-4bb8^SpO2^MDIL||90|x|||||F||SETTING", Nature::Setting),
        (b"OBX|1|NM|A^B||5|x|||||R||||||MSET^manual-setting^MDC", Nature::Setting),
        (b"OBX|1|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC||97|x|||||R", Nature::Measurement),
    ];
    for (obx, nature) in cases {
        assert_eq!(one(obx).nature, nature, "{}", String::from_utf8_lossy(obx));
    }
}

#[test]
fn alarms_and_pump_events_are_groups_of_their_own_kind() {
    for (trigger, kind, nature) in [
        ("R40", EventKind::Alarm, Nature::EventPart),
        ("R42", EventKind::PumpEvent, Nature::Measurement),
    ] {
        let msh = format!("MSH|^~\\&|P||||20261123||ORU^{trigger}^X|1|P|2.6");
        let message = read(&[
            msh.as_bytes(),
            b"OBR|1||7|196616^MDC_EVT_ALARM^MDC|||20220511152405+0000",
            b"OBX|1|ST|68484^MDC_ATTR_ALARM_PRIORITY^MDC|1.1.0.0.6|PH||||||F",
            b"OBX|2|NM|147842^MDC_ECG_HEART_RATE^MDC|1.1.0.0.2|180|x|50-120||||F",
        ]);
        assert_eq!(message.groups[0].event, Some(kind));
        let all = readings(&message);
        assert_eq!((all[0].nature, all[0].value.as_sent()), (Nature::EventPart, "PH"));
        assert_eq!(all[1].nature, nature);
    }
}
