use super::*;

/// The sheet's synthetic reply: HR 80, imp RR invalid, P1 = ART 120/70/90 HR 80, SpO2 97.00, PR 79,
/// and nothing else there.
#[test]
fn the_synthetic_reply_of_the_corpus() {
    let test = "the_synthetic_reply_of_the_corpus";
    let file = "monitors/ge-s5-dri/SYNTHETIC_reply_basic.hex";
    let Some(text) = corpus(test, file) else { return };
    let bytes: Vec<u8> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect();
    let mut driver = driver();
    let seen = fed(&mut driver, &bytes);
    assert_eq!(seen.len(), 1);
    assert!(seen[0].refusals.is_empty());
    assert_eq!(seen[0].raw, bytes);
    assert_eq!(seen[0].firmware.as_deref(), Some("DRI level 10"));
    assert_eq!(
        texts(&seen),
        [
            "heart-rate 80",
            "ecg.st1 0.00",
            "ecg.st2 0.00",
            "ecg.st3 0.00",
            "tthor-resp-rate absent invalid",
            "arterial-systolic 120.00",
            "arterial-diastolic 70.00",
            "arterial-mean 90.00",
            "bld-puls-rate-inv 80",
            "spo2 97.00",
            "pulse-rate-pleth 79",
            "spo2.ir_amp 0.00",
            "spo2.SvO2 0.00",
            "ecg_extra.hr_ecg 0",
            "ecg_extra.hr_max 0",
            "ecg_extra.hr_min 0",
        ]
    );
    let readings = &seen[0].groups[0].readings;
    assert_eq!(readings[4].value.as_sent(), "-32767");
    // 120.00 is E0 2E, behind the flag, the header of 40 and 26 bytes of the sub-record.
    assert_eq!(bytes[readings[5].at.clone()], [0xe0, 0x2e]);
    let time = seen[0].groups[0].time.as_ref().unwrap();
    assert_eq!((time.as_written.as_str(), time.utc_us), ("20231114221320", None));
}

#[test]
fn the_first_record_says_who_the_monitor_is() {
    let mut driver = driver();
    driver.receive(&MADE.with(1, basic(&[])).frame(), Peer::STREAM, NOW);
    let identity = Identity {
        serial_number: "plug-id 77".to_owned(),
        firmware: "DRI level 10".to_owned(),
        ..Identity::default()
    };
    assert_eq!(events(&mut driver)[0], Event::Identity(identity));
}

/// Key offsets of the sheet, each with its step.
#[test]
fn values_are_exact_decimals_by_their_steps() {
    let record = MADE.with(
        1,
        basic(&[
            (90, ON),
            (94, 15),
            (96, 3765),
            (136, ON),
            (142, 523),
            (144, 4),
            (146, 14),
            (148, 7601),
            (150, ON),
            (156, 1623),
            (158, 2100),
            (170, ON),
            (174, 6),
            (176, 195),
            (178, 210),
            (180, 95),
            (182, ON),
            (188, 12),
            (190, 2150),
            (192, -105),
            (194, 1800),
            (196, 4505),
            (198, 4487),
            (200, 3512),
            (202, 541),
        ]),
    );
    let seen = fed(&mut driver(), &record.frame());
    assert_eq!(
        texts(&seen),
        [
            "temp-core 37.65",
            "conc-away-co2-et 5.23",
            "conc-away-co2-insp 0.04",
            "co2-resp-rate 14",
            "co2.amb_press 760.1",
            "conc-away-o2-et 16.23",
            "conc-away-o2-insp 21.00",
            "conc-away-sevofl-et 1.95",
            "conc-away-sevofl-insp 2.10",
            "aa.mac_sum 0.95",
            "away-resp-rate 12",
            "press-away-insp-peak 21.50",
            "press-away-end-exp-pos -1.05",
            "press-resp-plat 18.00",
            "flow_vol.tv_insp 450.5",
            "flow_vol.tv_exp 448.7",
            "compl-lung 35.12",
            "vol-minute-away-exp 5.41",
        ]
    );
    let unit = |index: usize| seen[0].groups[0].readings[index].unit.clone().unwrap();
    assert_eq!(unit(1), crate::vocabulary::DeviceUnit::text("%"));
}

#[test]
fn a_group_counts_only_with_both_bits() {
    let groups = |status| basic(&[(122, status), (128, 9700), (130, 80)]);
    let mut driver = driver();
    // Not there: nothing is said. There and not active: not measured.
    assert!(texts(&fed(&mut driver, &MADE.with(1, groups(0)).frame())).is_empty());
    assert!(
        texts(&fed(&mut driver, &Made { number: 2, ..MADE }.with(1, groups(2)).frame())).is_empty()
    );
    let inactive = fed(&mut driver, &Made { number: 3, ..MADE }.with(1, groups(1)).frame());
    assert_eq!(texts(&inactive)[0], "spo2 absent not-measured");
    let active = fed(&mut driver, &Made { number: 4, ..MADE }.with(1, groups(3)).frame());
    assert_eq!(texts(&active)[0], "spo2 97.00");
    // The module is pulled: that is said once.
    let gone = fed(&mut driver, &Made { number: 5, ..MADE }.with(1, groups(0)).frame());
    assert_eq!(texts(&gone)[0], "spo2 absent not-available");
    assert!(
        texts(&fed(&mut driver, &Made { number: 6, ..MADE }.with(1, groups(0)).frame())).is_empty()
    );
}

#[test]
fn every_mark_is_absent_with_its_reason() {
    let cases = [
        (-32767, "invalid"),
        (-32766, "not-available"),
        (-32764, "under-range"),
        (-32763, "over-range"),
        (-32762, "invalid"),
        (-32765, "not-stated"),
        (-32768, "not-stated"),
        (-32001, "not-stated"),
    ];
    for (raw, reason) in cases {
        let record = MADE.with(1, basic(&[(90, ON), (94, 11), (96, raw)]));
        let seen = fed(&mut driver(), &record.frame());
        assert_eq!(texts(&seen), [format!("temperature absent {reason}")], "{raw}");
        assert_eq!(seen[0].groups[0].readings[0].value.as_sent(), raw.to_string());
    }
    let lowest = MADE.with(1, basic(&[(90, ON), (94, 11), (96, -32000)]));
    assert_eq!(texts(&fed(&mut driver(), &lowest.frame())), ["temperature -320.00"]);
}

#[test]
fn pressures_are_named_by_their_label() {
    let cases = [
        (1, "arterial-systolic", "ART"),
        (2, "press-bld-ven-cent-sys", "CVP"),
        (3, "press-bld-art-pulm-sys", "PA"),
        (4, "press-bld-atr-right-sys", "RAP"),
        (5, "p1.sys", "RVP"),
        (6, "press-bld-atr-left-sys", "LAP"),
        (7, "press-intra-cran-sys", "ICP"),
        (8, "press-bld-art-abp-sys", "ABP"),
        (9, "press-bld-sys", "P1"),
        (14, "press-bld-sys", "P6"),
        (15, "p1.sys", "SP"),
        (16, "p1.sys", "FEM"),
        (17, "press-bld-art-umb-sys", "UAC"),
        (18, "press-bld-ven-umb-sys", "UVC"),
        (19, "press-intra-cran-sys", "ICP2"),
        (20, "press-bld-sys", "P7"),
        (22, "p1.sys", "FEMV"),
        (0, "p1.sys", "NOT DEFINED"),
        (23, "p1.sys", "not listed"),
    ];
    for (label, expected, words) in cases {
        let record = MADE.with(1, basic(&[(20, ON), (24, label), (26, 12000)]));
        let seen = fed(&mut driver(), &record.frame());
        let reading = &seen[0].groups[0].readings[0];
        assert_eq!((name(reading), reading.value.as_sent()), (expected, "120.00"), "{label}");
        assert_eq!(reading.sub_id, "p1");
        let site = Coding::new(&label.to_string(), words, "GE-DRI");
        assert_eq!(reading.body_site, Some(site));
    }
}

#[test]
fn a_rate_that_is_counted_on_a_pulse_is_no_heart_rate_of_the_ecg() {
    for (source, expected) in
        [(0, "heart-rate"), (1, "heart-rate"), (2, "puls-rate"), (6, "puls-rate"), (13, "ecg.hr")]
    {
        let record = MADE.with(1, basic(&[(4, ON | source << 3), (10, 80)]));
        let seen = fed(&mut driver(), &record.frame());
        let reading = &seen[0].groups[0].readings[0];
        assert_eq!(
            (name(reading), reading.method[0].code.as_str()),
            (expected, source.to_string().as_str())
        );
        assert_eq!(
            reading.flags.iter().any(|flag| flag.0 == "heart-rate-source-not-stated"),
            source == 0
        );
    }
}

#[test]
fn apnoea_is_a_flag_and_a_sensor_that_calibrates_measures_nobody() {
    let co2 = |status| {
        let record = MADE.with(1, basic(&[(136, status), (142, 523)]));
        fed(&mut driver(), &record.frame())[0].groups[0].readings[0].clone()
    };
    let apnoea = co2(ON | 4);
    assert_eq!((apnoea.flags[0].0.as_str(), apnoea.value.as_sent()), ("apnea", "5.23"));
    assert_eq!(co2(ON | 8).value.absent_reason(), Some(AbsentReason::Calibrating));
}

#[test]
fn the_rate_of_the_gas_module_is_told_from_impedance_on_old_levels() {
    for (level, label, expected) in [
        (8, 2, "co2-resp-rate"),
        (7, 2, "tthor-resp-rate"),
        (7, 1, "co2-resp-rate"),
        (7, 0, "co2.rr"),
    ] {
        let record = Made { level, ..MADE }.with(1, basic(&[(136, ON), (140, label), (146, 15)]));
        let seen = fed(&mut driver(), &record.frame());
        assert_eq!(texts(&seen)[2], format!("{expected} 15"), "level {level} label {label}");
    }
}

#[test]
fn the_post_tetanic_count_is_taken_apart_only_above_its_mark() {
    let ptc = |raw: i32| {
        let record = MADE.with(1, basic(&[(218, ON), (228, raw)]));
        let seen = fed(&mut driver(), &record.frame());
        let refused = seen[0].refusals.len();
        (texts(&seen).split_off(2), refused)
    };
    // 21 twitches after tetanus, 4 counted, 60 mA.
    let raw = 21 + (4 << 5) + (60 << 9);
    assert_eq!(
        ptc(raw),
        (vec!["nmt.ptc 21".into(), "nmt.count 4".into(), "nmt.current 60".into()], 0)
    );
    let (unknown, _) = ptc(31 + (2 << 5) + (50 << 9));
    assert_eq!(unknown, ["nmt.ptc absent not-available", "nmt.count 2", "nmt.current 50"]);
    // 70 mA sets the sign: it is still above the mark.
    let (high, _) = ptc((3 + (1 << 5) + (70 << 9)) as i16 as i32);
    assert_eq!(high, ["nmt.ptc 3", "nmt.count 1", "nmt.current 70"]);
    for (raw, reason) in [(-31000, "not-stated"), (-32767, "invalid"), (-31500, "not-stated")] {
        let (absent, _) = ptc(raw);
        assert_eq!(
            absent,
            ["ptc", "count", "current"].map(|name| format!("nmt.{name} absent {reason}"))
        );
    }
    // 22 to 30 twitches and a count of 5 are more than there can be.
    assert_eq!(ptc(25 + (5 << 5) + (50 << 9)), (vec!["nmt.current 50".to_owned()], 2));
}

#[test]
fn all_four_classes_come_in_one_record() {
    let record = MADE
        .with(1, basic(&[(122, ON), (128, 9700)]))
        .with(1, class(1, MADE.time, &[(78 + 4, ON), (78 + 4 + 4, 2), (84 + 4, 900)]))
        .with(1, class(2, MADE.time, &[(96 + 4, ON), (102 + 4, 45)]))
        .with(1, class(3, MADE.time, &[(126 + 4, ON), (132 + 4, 6543)]));
    let seen = fed(&mut driver(), &record.frame());
    let all = texts(&seen);
    for expected in
        ["spo2 97.00", "press-bld-ven-cent-sys 9.00", "bis.bis 45", "press-cereb-perf 65.43"]
    {
        assert!(all.iter().any(|one| one == expected), "{expected} in {all:?}");
    }
    assert_eq!(seen[0].groups.len(), 1);
}

#[test]
fn the_monitors_time_is_read_in_the_configured_zone_only() {
    let record = MADE.with(1, basic(&[(122, ON), (128, 9700)])).frame();
    let mut helsinki = driver_of(profile(), Some("Europe/Helsinki"));
    let time = fed(&mut helsinki, &record)[0].groups[0].time.clone().unwrap();
    // 1700000000 counts to 22:13:20 on the monitor's own clock, which is two hours ahead of UTC.
    assert_eq!(time.as_written, "20231114221320");
    assert_eq!(time.utc_us, Some((1_700_000_000 - 7200) * 1_000_000));
    let time = fed(&mut driver(), &record)[0].groups[0].time.clone().unwrap();
    assert_eq!(time.utc_us, None);
}

#[test]
fn lost_records_are_said_in_the_next_one() {
    let mut driver = driver();
    let frame = |number| Made { number, ..MADE }.with(1, basic(&[])).frame();
    let mut said = Vec::new();
    for number in [254, 255, 0, 3, 4] {
        let seen = fed(&mut driver, &frame(number));
        said.push(seen[0].refusals.iter().map(|one| one.why).collect::<Vec<_>>());
        if number == 3 {
            let refused = &seen[0].refusals[0];
            assert!(refused.detail.starts_with("2 records"), "{}", refused.detail);
            assert_eq!(seen[0].raw[refused.at.clone()], [3]);
        }
    }
    assert_eq!(said, [vec![], vec![], vec![], vec![Why::FrameNumber], vec![]]);
}

#[test]
fn trends_that_somebody_else_asked_for_are_no_values() {
    let seen = fed(&mut driver(), &MADE.with(3, basic(&[(122, ON), (128, 9700)])).frame());
    assert!(seen[0].groups.is_empty());
    assert_eq!(seen[0].refusals[0].why, Why::UnsupportedMessage);
}
