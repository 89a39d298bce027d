//! Records to readings: the tables of facts/lab.md 2, in its words.

use jiff::tz::TimeZone;

use super::*;
use crate::vocabulary::{
    AbsentReason, Comparator, DeviceTimeEvidence, DeviceUnit, Meaning, Mode, ResultStatus,
};

/// The only reading of a message with one R record.
fn reading(toml: &str, record: &str) -> Reading {
    let mut message = message(toml, &[H, "P|1", "O|1|SP9", record, "L|1|N"]);
    assert_eq!(message.refusals, []);
    message.groups.remove(0).readings.remove(0)
}

const BG7: &str = r#"
specimen_id = "O.3.1"
test_code = "R.3.4"

[[result]]
code = "pH"
parameter = "ph-blood"
unit = ""
source = "lis appendix B"

[[result]]
code = "GLU"
parameter = "glucose-blood"
unit = "mmol/L"
source = "lis appendix B"
"#;

#[test]
fn the_example_profile_reads_its_device() {
    let profile = profile(BG7);
    assert_eq!(profile.parameter("GLU").unwrap().parameter, "glucose-blood");
    assert_eq!(profile.parameter("XYZ"), None);
    let records = [
        r"H|\^&|||BG-7^Laborin^1.8.2|||||||P|LIS2-A2|20260101000000",
        "P|1",
        "O|1|S000123",
        "R|1|^^^pH|7.40|||||F",
        "R|2|^^^GLU|5.6|mmol/L||||F",
        "L|1|N",
    ];
    let message = message(BG7, &records);
    let [group] = message.groups.as_slice() else { panic!() };
    assert_eq!(group.subject.specimen, "S000123");
    let said: Vec<_> = group
        .readings
        .iter()
        .map(|reading| (code(reading), reading.value.as_sent(), reading.status))
        .collect();
    assert_eq!(said, [("pH", "7.40", ResultStatus::Final), ("GLU", "5.6", ResultStatus::Final)]);
    assert_eq!(group.readings[0].unit, None);
    assert_eq!(group.readings[1].unit, Some(DeviceUnit::text("mmol/L")));
}

#[test]
fn values_keep_every_character() {
    // The syntaxes of facts/lab.md 2.4.
    let words = ["?7.412", "-1^0.750", "161,152", "3+^3+^45", "POSITIVE^", "^29.3"];
    for text in words {
        let value = reading(PLAIN, &format!("R|1|^^^X|{text}|u||||F")).value;
        assert_eq!((value.as_sent(), value.meaning()), (text, &Meaning::Text));
    }
    for (text, comparator) in [("> 15000.00", Comparator::Greater), ("<2.00", Comparator::Less)] {
        let value = reading(PLAIN, &format!("R|1|^^^X|{text}|u||||F")).value;
        let is = matches!(value.meaning(), Meaning::Number { comparator: Some(found), .. }
            if *found == comparator);
        assert!(is && value.as_sent() == text);
    }
    assert_eq!(reading(PLAIN, "R|1|^^^X|  8.10|u").value.as_sent(), "  8.10");
    assert_eq!(reading(PLAIN, "R|1|^^^X|1+|").value.meaning(), &Meaning::Ordinal);
    let part = format!("{PLAIN}value = 'R.4.2'\n");
    assert_eq!(reading(&part, "R|1|^^^X|-1^0.750|COI").value.as_sent(), "0.750");
    assert_eq!(reading(PLAIN, "R|1|^^^X|a&S&b&F&c|").value.as_sent(), "a^b|c");
    assert_eq!(reading(PLAIN, "R|1|^^^X|a&S&b^c|").value.as_sent(), "a&S&b^c");
}

#[test]
fn absent_values_have_their_reason() {
    let listed = format!("{PLAIN}absent = {{ '.....' = 'not-measured', '***.**' = 'invalid' }}\n");
    let cases = [
        ("R|1|^^^X|.....|kPa||||F", ".....", AbsentReason::NotMeasured),
        ("R|1|^^^X|***.**|kPa||||F", "***.**", AbsentReason::Invalid),
        ("R|1|^^^X||kPa||||F", "", AbsentReason::NotStated),
        ("R|1|^^^X", "", AbsentReason::NotStated),
        ("R|1|^^^X|   |kPa||||F", "   ", AbsentReason::NotStated),
        ("R|1|^^^X|^|kPa||||F", "^", AbsentReason::NotStated),
        ("R|1|^^^X|\"\"|kPa||||F", "\"\"", AbsentReason::NotStated),
        ("R|1|^^^X|-----|1||HH||X", "-----", AbsentReason::NotPerformed),
        ("R|1|^^^X|5.1|1||||X", "5.1", AbsentReason::NotPerformed),
        ("R|1|^^^X|5.1|1||||I", "5.1", AbsentReason::Pending),
    ];
    for (record, sent, reason) in cases {
        let value = reading(&listed, record).value;
        assert_eq!((value.as_sent(), value.absent_reason()), (sent, Some(reason)), "{record}");
    }
}

#[test]
fn statuses_follow_the_table() {
    let cases = [
        ("F", ResultStatus::Final, vec![]),
        ("P", ResultStatus::Preliminary, vec![]),
        ("C", ResultStatus::Corrected, vec![]),
        ("R", ResultStatus::SentBefore, vec![]),
        ("X", ResultStatus::NoResult, vec![]),
        ("", ResultStatus::NotStated, vec![]),
        ("I", ResultStatus::Other, vec!["status:I"]),
        ("S", ResultStatus::Other, vec!["status:S"]),
        ("V", ResultStatus::Other, vec!["status:V"]),
        ("f", ResultStatus::Other, vec!["status:f"]),
    ];
    for (letter, status, marks) in cases {
        let reading = reading(PLAIN, &format!("R|1|^^^X|5|u||||{letter}"));
        assert_eq!((reading.status, flags(&reading)), (status, marks), "{letter}");
    }
    let stated = format!("{PLAIN}default_status = 'preliminary'\n");
    assert_eq!(reading(&stated, "R|1|^^^X|5|u").status, ResultStatus::Preliminary);
    assert_eq!(reading(&stated, "R|1|^^^X|5|u||||F").status, ResultStatus::Final);
}

#[test]
fn every_field_of_a_result_is_kept() {
    let record = r"R|1|^^^651^_B-hCG^UNDILUTED^P|5|mIU/mL|0.0 to 5.0|>\A|N|F||ADMIN^ADMIN||"
        .to_owned()
        + "20120217144954|i1SR02762";
    let record = record.as_str();
    let zone = Site { zone: Some(TimeZone::get("Europe/Helsinki").unwrap()), charset: None };
    let mut driver = AstmDriver::new(profile(PLAIN), zone);
    driver.receive(&transmission(&[H, "O|1|SP9", record, "L|1"]), Peer::STREAM, at(0));
    let message = std::iter::from_fn(|| driver.poll()).find_map(|event| match event {
        Event::Message(message) => Some(message),
        Event::Send { .. }
        | Event::Samples(_)
        | Event::Identity(_)
        | Event::Trouble { .. }
        | Event::Close { .. } => None,
    });
    let message = message.unwrap();
    let reading = &message.groups[0].readings[0];
    assert_eq!((code(reading), words(reading)), ("651", "_B-hCG^UNDILUTED^P"));
    assert_eq!(reading.unit, Some(DeviceUnit::text("mIU/mL")));
    assert_eq!(reading.limits, "0.0 to 5.0");
    assert_eq!(flags(reading), [">", "A", "nature:N"]);
    assert_eq!(reading.equipment, ["i1SR02762"]);
    let time = reading.time.as_ref().unwrap();
    assert_eq!(time.as_written, "20120217144954");
    // 14:49:54 in Helsinki in winter is 12:49:54 UTC.
    assert_eq!(time.utc_us, Some(1_329_482_994_000_000));
    assert_eq!(&message.raw[reading.at.clone()], b"5");
}

#[test]
fn without_a_zone_a_time_stays_unresolved() {
    let time = reading(PLAIN, "R|1|^^^X|5|u||||F||||20120217144954").time.unwrap();
    assert_eq!((time.utc_us, time.evidence), (None, DeviceTimeEvidence::ZoneUnknown));
    // Started is not completed, unless the profile says that it is all there is.
    let record = "R|1|^^^X|5|u||||F|||20120217144954";
    assert_eq!(reading(PLAIN, record).time, None);
    let also = format!("{PLAIN}time_also = ['R.12']\n");
    assert_eq!(reading(&also, record).time.unwrap().as_written, "20120217144954");
}

#[test]
fn numeric_unit_codes_are_read_by_the_profile_alone() {
    let codes = format!("{PLAIN}[unit_codes]\n15 = {{ unit = '10*3/uL', source = 'manual' }}\n");
    let unit = reading(&codes, "R|1|^^^WBC|8.5|15").unit.clone().unwrap();
    assert_eq!((unit.codings[0].code.as_str(), unit.codings[0].words.as_str()), ("10*3/uL", "15"));
    assert_eq!(reading(&codes, "R|1|^^^WBC|8.5|26").unit, Some(DeviceUnit::text("26")));
}

#[test]
fn only_selected_records_are_results() {
    // Architect: final number and interpretation, never the raw counts (facts/lab.md 2.5).
    let toml = format!("{PLAIN}[[select]]\npath = 'R.3.11'\nin = ['F', 'I']\n");
    let records = [
        H,
        "O|1|38704",
        "R|1|^^^651^_B-hCG^UNDILUTED^P^06918JN00^14567^^F|> 15000.00|mIU/mL||>||F",
        "R|2|^^^651^_B-hCG^UNDILUTED^P^06918JN00^14567^^I|Positive|||||F",
        "R|3|^^^651^_B-hCG^UNDILUTED^P^06918JN00^14567^^P|2423973|RLU||||F",
        "C|1|I|40|I",
        "L|1",
    ];
    let read = message(&toml, &records);
    let [first, second] = read.groups[0].readings.as_slice() else { panic!() };
    assert_eq!((first.value.as_sent(), second.value.as_sent()), ("> 15000.00", "Positive"));
    assert!(flags(second).is_empty(), "the comment is about a record that is no result");
    let named = format!("{PLAIN}[[select]]\npath = 'R.3.5'\nnot_empty = true\n");
    let records = [H, "O|1|S", "R|1|^A^^S^Xpert|NEG^", "R|2|^A^^S^^^Ct|^0.0", "L|1"];
    assert_eq!(message(&named, &records).groups[0].readings.len(), 1);
}

#[test]
fn patients_are_never_carried_over() {
    // P.26 is the location.
    let patient = format!("P|1|PR|LAB|THIRD{}^^^WEST", "|".repeat(21));
    let records = [
        H,
        "R|1|^^^X|1",
        &patient,
        "O|1|SP1||^^^X|||||||||||Serum",
        "R|1|^^^X|2",
        "P|2",
        "R|1|^^^X|3",
        "O|1|SP2",
        "R|1|^^^X|4",
        "O|2|SP3",
        "R|1|^^^X|5",
        "L|1|N",
    ];
    let message = message(PLAIN, &records);
    let said: Vec<_> = message
        .groups
        .iter()
        .map(|group| {
            let subject = &group.subject;
            let ids = subject.patient_ids.iter().map(|id| format!("{}={}", id.id_type, id.id));
            let values = group.readings.iter().map(|reading| reading.value.as_sent());
            let ids: Vec<_> = ids.collect();
            (ids.join(" "), subject.specimen.as_str(), values.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let expected = [
        ("", "", "1"),
        ("P.3=PR P.4=LAB P.5=THIRD", "SP1", "2"),
        ("", "", "3"),
        ("", "SP2", "4"),
        ("", "SP3", "5"),
    ];
    let expected =
        expected.map(|(ids, specimen, values)| (ids.to_owned(), specimen, values.to_owned()));
    assert_eq!(said, expected);
    let subject = &message.groups[1].subject;
    assert_eq!((subject.place.as_str(), subject.specimen_type.as_str()), ("^^^WEST", "Serum"));
    assert_eq!(subject.ordered.as_ref().unwrap().code, "^^^X");
}

#[test]
fn specimens_are_looked_for_in_order_and_trimmed() {
    let also = "specimen_id = 'O.3.1'\nspecimen_id_also = ['O.4.3']\ntest_code = 'R.3.5'\n";
    let records = [H, "P|1", "O|1||^^                    27^M", "R|1|^^^^WBC^1|8.13", "L|1|N"];
    assert_eq!(message(also, &records).groups[0].subject.specimen, "27");
    let records = [H, "O|1| 12 |^^27^M", "R|1|^^^^WBC^1|8.13", "L|1|N"];
    assert_eq!(message(also, &records).groups[0].subject.specimen, "12");
    let records = [H, r"O|1|SID102\SID103", "R|1|^^^^WBC^1|8.13", "L|1|N"];
    assert_eq!(message(also, &records).groups[0].subject.specimen, r"SID102\SID103");
}

#[test]
fn control_samples_are_told_from_patients() {
    let mode = |toml: &str, letter: &str, order: &str| {
        let header = format!(r"H|\^&|||LAB|||||||{letter}|1");
        message(toml, &[&header, order, "R|1|^^^X|1", "L|1"]).groups[0].mode
    };
    let rules = format!(
        "{PLAIN}[[control_sample]]\npath = 'O.3.1'\nstarts_with = 'QC-'\n\
         [[control_sample]]\npath = 'O.12'\nequals = 'Q'\n"
    );
    for (letter, expected) in [
        ("P", Mode::Production),
        ("", Mode::Production),
        ("Q", Mode::ControlSample),
        ("T", Mode::Training),
        ("D", Mode::Debugging),
        ("Z", Mode::Unclassified),
    ] {
        assert_eq!(mode(PLAIN, letter, "O|1|SP9"), expected, "{letter}");
    }
    assert_eq!(mode(&rules, "P", "O|1|QC-7"), Mode::ControlSample);
    assert_eq!(mode(&rules, "P", "O|1|SP9||||||||||Q"), Mode::Production, "that is O.13");
    assert_eq!(mode(&rules, "P", "O|1|SP9|||||||||Q"), Mode::ControlSample);
    assert_eq!(mode(PLAIN, "P", "O|1|SP9|||||||||Q"), Mode::Unclassified);
    let by_result = format!("{PLAIN}[[control_sample]]\npath = 'R.3.4'\nequals = 'CTRL'\n");
    let records = [H, "O|1|S", "R|1|^^^X|1", "R|2|^^^CTRL|2", "L|1"];
    let modes = message(&by_result, &records).groups.iter().map(|g| g.mode).collect::<Vec<_>>();
    assert_eq!(modes, [Mode::Production, Mode::ControlSample]);
}

#[test]
fn remarks_stay_with_their_group_and_codes_with_their_result() {
    let records = [
        H,
        "O|1|S",
        "C|1||POST HD",
        "R|1|^^^pH^M|?7.412",
        "C|1|I|377^Calibration Drift 2 out of range|I",
        "R|2|^^^Na|142",
        "C|1|I|0|I",
        "L|1",
    ];
    let message = message(PLAIN, &records);
    let group = &message.groups[0];
    assert_eq!(group.remarks, ["POST HD", "377^Calibration Drift 2 out of range", "0"]);
    assert_eq!(flags(&group.readings[0]), ["comment:377"]);
    assert!(flags(&group.readings[1]).is_empty());
    let shown = format!("{message:?}");
    assert!(!shown.contains("POST HD") && !shown.contains("?7.412"));
}

#[test]
fn the_header_says_who_speaks() {
    let mut bench = Bench::new(PLAIN);
    for _ in 0..2 {
        bench.feed(&transmission(&[H, "O|1|S", "R|1|^^^X|1", "L|1"]));
    }
    let identities: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Identity(identity) => Some(identity),
            Event::Message(_)
            | Event::Samples(_)
            | Event::Send { .. }
            | Event::Trouble { .. }
            | Event::Close { .. } => None,
        })
        .collect();
    let [identity] = identities.as_slice() else { panic!("said once: {identities:?}") };
    assert_eq!(
        (identity.model.as_str(), identity.firmware.as_str(), identity.serial_number.as_str()),
        ("LAB", "1.0", "S1")
    );
    assert_eq!(bench.messages[1].firmware.as_deref(), Some("1.0"));
}
