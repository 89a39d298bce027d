use super::monitor::{Poll, attribute, be, cuff, list, object, simple, string, value};
use super::*;
use crate::vocabulary::{Mode, Nature};

fn hear(bench: &mut Bench, objects: &[Vec<u8>]) {
    let ticks = (bench.now.monotonic_us() / 125) as u32;
    bench.hear(&Poll::numerics(ticks).of(objects));
    bench.now = bench.now.plus_ms(1_000);
}

fn said_of(objects: &[Vec<u8>]) -> Bench {
    let mut bench = Bench::open(Framing::Lan);
    hear(&mut bench, objects);
    bench
}

#[test]
fn values_keep_the_displayed_resolution_and_their_units() {
    let bench = said_of(&[
        simple(7, 0x4182, 0, 0x0aa0, 0x0000_003c),
        simple(8, 0x4b48, 0, 0x17a0, 0xff00_016f),
        simple(9, 0x50b0, 0, 0x0f03, 0xff00_0034),
        simple(10, 0x4a47, 0, 0x0f20, 0x00ff_fffe),
    ]);
    let expected = ["0002-4182=60", "0002-4b48=36.7", "0002-50b0=5.2", "0002-4a47=-2"];
    assert_eq!(bench.said(), expected);
    let units: Vec<String> = bench
        .readings()
        .iter()
        .map(|(_, reading)| reading.unit.as_ref().unwrap().codings[0].code.clone())
        .collect();
    assert_eq!(units, ["0004-0aa0", "0004-17a0", "0004-0f03", "0004-0f20"]);
    // The place in the raw bytes is that of the ten bytes of the value.
    let (_, first) = bench.readings()[0];
    assert_eq!(bench.messages[0].raw[first.at.clone()], value(0x4182, 0, 0x0aa0, 60)[..]);
}

#[test]
fn places_are_those_of_the_escaped_bytes_on_a_serial_line() {
    let mut bench = Bench::open(Framing::Rs232);
    // 0x00007DC1 puts two escaped bytes into the value.
    hear(&mut bench, &[simple(7, 0x4182, 0, 0x0aa0, 0x7dc1), simple(8, 0x4bb8, 0, 0x0220, 97)]);
    let places: Vec<Vec<u8>> = bench
        .readings()
        .iter()
        .map(|(_, reading)| bench.messages[0].raw[reading.at.clone()].to_vec())
        .collect();
    assert_eq!(places[0], hex("4182 0000 0AA0 00 00 7D 5D 7D E1"));
    assert_eq!(places[1], hex("4BB8 0000 0220 00 00 00 61"));
}

#[test]
fn every_state_bit_is_absent_marked_or_no_patients() {
    // facts/monitors.md 1.7: valid iff the first octet is 0; demo and test are kept apart.
    let cases: [(u16, &str, Mode, &str); 16] = [
        (0x8000, "0002-4182: invalid", Mode::Production, "INVALID"),
        (0x4000, "0002-4182: invalid", Mode::Production, "QUESTIONABLE"),
        (0x2000, "0002-4182: not-available", Mode::Production, "UNAVAILABLE"),
        (0x1000, "0002-4182: calibrating", Mode::Production, "CALIBRATING"),
        (0x0800, "0002-4182=60", Mode::Debugging, "TEST_DATA"),
        (0x0400, "0002-4182=60", Mode::Training, "DEMO_DATA"),
        (0x0200, "0002-4182: invalid", Mode::Production, "STATE_0200"),
        (0x0100, "0002-4182: invalid", Mode::Production, "STATE_0100"),
        (0x0080, "0002-4182=60", Mode::Production, "VALIDATED"),
        (0x0040, "0002-4182=60", Mode::Production, "EARLY_INDICATION"),
        (0x0020, "0002-4182=60", Mode::Production, "MSMT_ONGOING"),
        (0x0010, "0002-4182=60", Mode::Production, "STATE_0010"),
        (0x0002, "0002-4182=60", Mode::Production, "IN_ALARM"),
        (0x0001, "0002-4182=60", Mode::Production, "AL_INHIBITED"),
        (0x8400, "0002-4182: invalid", Mode::Training, "INVALID DEMO_DATA"),
        (0xa000, "0002-4182: not-available", Mode::Production, "INVALID UNAVAILABLE"),
    ];
    for (state, said, mode, flags) in cases {
        let bench = said_of(&[simple(7, 0x4182, state, 0x0aa0, 60)]);
        assert_eq!(bench.said(), [said], "{state:04X}");
        let (group, reading) = bench.readings()[0];
        let marks: Vec<&str> = reading.flags.iter().map(|flag| flag.0.as_str()).collect();
        assert_eq!((group.mode, marks.join(" ").as_str()), (mode, flags), "{state:04X}");
    }
}

#[test]
fn demo_and_real_values_never_share_a_group() {
    let demo = [simple(7, 0x4182, 0x0400, 0x0aa0, 60), simple(8, 0x4bb8, 0, 0x0220, 97)];
    let bench = said_of(&demo);
    let modes: Vec<Mode> = bench.messages[0].groups.iter().map(|group| group.mode).collect();
    assert_eq!(modes, [Mode::Training, Mode::Production]);
}

#[test]
fn special_figures_are_absent() {
    let figures = [
        (0x007f_ffff, "not-available"),
        (0x0080_0000, "invalid"),
        (0x007f_fffe, "over-range"),
        (0x0080_0002, "under-range"),
    ];
    for (figure, reason) in figures {
        let bench = said_of(&[simple(7, 0x4182, 0, 0x0aa0, figure)]);
        assert_eq!(bench.said(), [format!("0002-4182: {reason}")]);
    }
}

#[test]
fn a_cuff_pressure_is_read_once_per_measurement() {
    let mut bench = Bench::open(Framing::Lan);
    let count = |bench: &Bench| bench.said().len();
    for _ in 0..5 {
        hear(&mut bench, &[cuff(0, 120)]);
    }
    assert_eq!(bench.said(), ["0002-4a05=120", "0002-4a06=80", "0002-4a07=93"]);
    assert!(bench.readings().iter().all(|(group, _)| group.time.is_none()));
    // Marks that change make no measurement.
    hear(&mut bench, &[cuff(0x0002, 120)]);
    assert_eq!(count(&bench), 3);
    // Another one under way: it waits, and counts even if it gives the same.
    hear(&mut bench, &[cuff(0x0020, 120)]);
    hear(&mut bench, &[cuff(0x0020, 77)]);
    assert_eq!(count(&bench), 3);
    hear(&mut bench, &[cuff(0, 120)]);
    hear(&mut bench, &[cuff(0, 120)]);
    assert_eq!(count(&bench), 6);
    // A change is a new one; that it is gone is said once.
    hear(&mut bench, &[cuff(0, 131)]);
    hear(&mut bench, &[cuff(0x8000, 131)]);
    hear(&mut bench, &[cuff(0x8000, 131)]);
    assert_eq!(bench.said()[6..9], ["0002-4a05=131", "0002-4a06=80", "0002-4a07=93"]);
    assert_eq!(bench.said()[9], "0002-4a05: invalid");
    assert_eq!(count(&bench), 12);
}

#[test]
fn an_old_cuff_pressure_that_was_overtaken_is_no_new_one() {
    let mut bench = Bench::open(Framing::Lan);
    bench.hear(&Poll::numerics(8_000).of(&[cuff(0, 120)]));
    bench.hear(&Poll::numerics(24_000).of(&[cuff(0, 131)]));
    bench.hear(&Poll::numerics(16_000).of(&[cuff(0, 120)]));
    bench.hear(&Poll::numerics(32_000).of(&[cuff(0, 131)]));
    assert_eq!(bench.said().len(), 6);
}

#[test]
fn a_cuff_pressure_is_not_measured_again_by_a_new_association() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    monitor.numerics = vec![cuff(0, 120)];
    bench.live(&mut monitor, 8_000);
    assert_eq!(bench.said().len(), 3);
    bench.hear(&monitor::abort());
    monitor.power_cycle();
    bench.live(&mut monitor, 10_000);
    assert!(monitor.is_associated);
    assert_eq!(bench.said().len(), 3);
}

#[test]
fn a_stamp_of_the_monitors_own_is_the_time_of_the_measurement() {
    let mut bench = Bench::open(Framing::Lan);
    let of = |physio, figure| value(physio, 0, 0x0f20, figure);
    let values = list(&[of(0x4a05, 120), of(0x4a06, 80), of(0x4a07, 93)]);
    let at = |minute: u8| {
        let stamp = vec![0x20, 0x26, 0x11, 0x23, 0x12, minute, 0x07, 0x00];
        object(40, &[attribute(0x094b, values.clone()), attribute(0x0990, stamp)])
    };
    for minute in [0x45, 0x45, 0x50, 0x50] {
        hear(&mut bench, &[at(minute)]);
    }
    let times: Vec<String> = bench
        .messages
        .iter()
        .map(|message| message.groups[0].time.as_ref().unwrap().as_written.clone())
        .collect();
    assert_eq!(times, ["20261123124507.00", "20261123125007.00"]);
}

#[test]
fn the_monitors_ticks_become_its_time() {
    let mut bench = Bench::open(Framing::Lan);
    bench.pass(1_500);
    bench.hear(&monitor::accept());
    bench.hear(&monitor::create_event(1));
    let mds = Poll { class: 0x21, group: 0, sequence: None, ..Poll::numerics(8_000) };
    bench.hear(&mds.of(&[monitor::mds()]));
    bench.hear(&Poll::numerics(20_000).of(&[simple(7, 0x4182, 0, 0x0aa0, 60)]));
    let absolute = [0x20, 0x26, 0x11, 0x23, 0x13, 0x00, 0x01, 0x25];
    let own = Poll { absolute, ..Poll::numerics(28_000) };
    bench.hear(&own.of(&[simple(7, 0x4182, 0, 0x0aa0, 60)]));
    let times: Vec<String> =
        bench.readings().iter().map(|(group, _)| group.time.clone().unwrap().as_written).collect();
    assert_eq!(times, ["20261123124508.500", "20261123130001.25"]);
}

#[test]
fn labels_tell_two_of_a_code_apart_and_settings_are_settings() {
    let mut bench = Bench::open(Framing::Lan);
    let listed = |handle, label: u32, words: &str| {
        let label = attribute(0x0924, label.to_be_bytes().to_vec());
        object(handle, &[label, attribute(0x0927, string(words))])
    };
    let dynamic = Poll { group: 0x0810, sequence: None, ..Poll::numerics(8_000) };
    bench.hear(&dynamic.of(&[
        listed(1, 0x0002_4b48, "Temp"),
        listed(2, 0x0002_f0c7, "T1"),
        listed(3, 0x0402_5108, "sPins"),
        listed(40, 0x0002_4a04, "NBP"),
    ]));
    hear(
        &mut bench,
        &[
            simple(1, 0x4b48, 0, 0x17a0, 0xff00_016f),
            simple(2, 0x4b48, 0, 0x17a0, 0xff00_0170),
            simple(3, 0x5108, 0, 0x0f20, 18),
            cuff(0, 120),
        ],
    );
    let shown: Vec<(String, &str, Nature)> = bench
        .readings()
        .iter()
        .map(|(_, reading)| {
            let DeviceCode::Codings(codings) = &reading.code else { panic!() };
            let name = format!("{} {}", codings[0].code, codings[0].words);
            (name, reading.sub_id.as_str(), reading.nature)
        })
        .collect();
    assert_eq!(shown[0], ("0002-4b48 Temp".to_owned(), "", Nature::Measurement));
    assert_eq!(shown[1], ("0002-4b48 T1".to_owned(), "0002-f0c7", Nature::Measurement));
    assert_eq!(shown[2], ("0402-5108 sPins".to_owned(), "", Nature::Setting));
    assert_eq!(shown[3], ("0002-4a05 NBP".to_owned(), "", Nature::Measurement));
}

#[test]
fn a_metric_specification_tells_settings() {
    let listed = |handle, category: u16| {
        let metric = [0x2000u32.to_be_bytes().to_vec(), be(&[category, 0x4228, 0, 0])].concat();
        let kind = attribute(0x092f, be(&[1, 6]));
        object(handle, &[kind, attribute(0x093f, metric)])
    };
    let mut bench = Bench::open(Framing::Lan);
    let fixed = Poll { group: 0x0811, sequence: None, ..Poll::numerics(8_000) };
    let categories = [1, 2, 3, 4, 5, 6];
    bench.hear(&fixed.of(&categories.map(|category| listed(category, category))));
    let temperature = |handle| simple(handle, 0x4b48, 0, 0x17a0, 0xff00_016f);
    hear(&mut bench, &categories.map(temperature));
    let settings: Vec<bool> =
        bench.readings().iter().map(|(_, one)| one.nature == Nature::Setting).collect();
    assert_eq!(settings, [false, false, true, true, false, false]);
    assert_eq!(bench.said()[2..4], ["0402-4b48=36.7", "0402-4b48=36.7"]);
}

/// A real M8000 (G.01.80) says of each numeric that it is one, 0001-0006, and stamps its cuff
/// pressure (jaj42/intellipy, reference/intellivue_enumeration.pcapng, frame of 194.969 s).
#[test]
fn the_type_of_a_real_monitors_numerics_is_no_partition_of_codes() {
    let mut bench = Bench::open(Framing::Lan);
    let kind = |own: u16| attribute(0x092f, be(&[1, own]));
    let label = |label: u32| attribute(0x0924, label.to_be_bytes().to_vec());
    let stamp = attribute(0x0990, vec![0x20, 0x17, 0x11, 0x04, 0x14, 0x44, 0x50, 0x00]);
    let cuff = [
        be(&[3, 30]),
        value(0x4a05, 0x0400, 0x0f20, 120),
        value(0x4a06, 0x0400, 0x0f20, 80),
        value(0x4a07, 0x0400, 0x0f20, 90),
    ];
    let cuff = attribute(0x094b, cuff.concat());
    let spo2 = attribute(0x0950, value(0x4bb8, 0x0400, 0x0220, 0xff00_03b6));
    let numerics = [
        object(33386, &[kind(6), label(0x0002_4a04), stamp.clone(), cuff.clone()]),
        object(33749, &[kind(6), label(0x0002_4bb8), spo2.clone()]),
    ];
    let all = Poll { group: 0, ..Poll::numerics(8_000) };
    bench.hear(&all.of(&numerics));
    bench.hear(&Poll::numerics(16_000).of(&[object(33749, &[spo2])]));
    bench.hear(&Poll::numerics(24_000).of(&[object(33386, &[stamp, cuff])]));
    assert_eq!(
        bench.said(),
        ["0002-4a05=120", "0002-4a06=80", "0002-4a07=90", "0002-4bb8=95.0", "0002-4bb8=95.0"]
    );
    assert!(bench.readings().iter().all(|(group, _)| group.mode == Mode::Training));
    assert_eq!(bench.readings()[0].0.time.clone().unwrap().as_written, "20171104144450.00");
}

#[test]
fn damage_inside_costs_its_value_or_all_of_it() {
    let short = object(8, &[attribute(0x0950, vec![0; 9])]);
    let good = simple(7, 0x4182, 0, 0x0aa0, 60);
    let bench = said_of(&[short, good.clone()]);
    assert_eq!(
        (bench.said(), bench.refusals()),
        (vec!["0002-4182=60".to_owned()], vec![Why::TooShort])
    );
    // An attribute that is longer than its value: the rest belongs to nobody.
    let long = [value(0x4bb8, 0, 0x0220, 97), vec![1, 2, 3]].concat();
    let bench = said_of(&[object(8, &[attribute(0x0950, long)]), good.clone()]);
    assert_eq!(bench.said(), ["0002-4bb8=97", "0002-4182=60"]);
    // Lengths that do not nest: nothing of it.
    let mut message = Poll::numerics(8_000).of(&[good]);
    message.pop();
    let mut bench = Bench::open(Framing::Lan);
    bench.hear(&message);
    assert_eq!((bench.said().len(), bench.refusals()), (0, vec![Why::TooShort]));
}

#[test]
fn patient_demographics_are_a_hint_of_their_own() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    let person = |state: u16, id: &str| {
        let weight = [0xff00_02d3u32.to_be_bytes().to_vec(), be(&[0x06c3])].concat();
        object(
            3,
            &[
                attribute(0x0957, be(&[state])),
                attribute(0x095a, string(id)),
                attribute(0x0962, be(&[1])),
                attribute(0x09df, weight),
            ],
        )
    };
    monitor.patient = vec![person(2, "010190-999X")];
    bench.live(&mut monitor, 40_000);
    let hints: Vec<&Message> = bench
        .messages
        .iter()
        .filter(|message| message.groups.iter().any(|group| !group.subject.patient_ids.is_empty()))
        .collect();
    let [hint] = hints[..] else { panic!("{} hints", hints.len()) };
    let group = &hint.groups[0];
    assert_eq!(group.subject.patient_ids[0].id, "010190-999X");
    assert_eq!(group.subject.place, "ECC MON RM15");
    let said: Vec<String> = group.readings.iter().map(say).collect();
    assert_eq!(said, ["0001-0957=admitted", "0001-0962=adult", "0001-09df=72.3"]);
    assert_eq!(group.readings[2].nature, Nature::Setting);
    // Gone again: said once, and with nobody's number.
    bench.messages.clear();
    monitor.patient = vec![person(8, "010190-999X")];
    bench.live(&mut monitor, 25_000);
    let hints = bench.messages.iter().flat_map(|message| &message.groups);
    let hints: Vec<_> = hints.filter(|group| !group.subject.place.is_empty()).collect();
    assert_eq!(hints.len(), 1);
    assert!(hints[0].subject.patient_ids.is_empty());
}

#[test]
fn a_demo_patient_is_no_patient() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    monitor.patient =
        vec![object(3, &[attribute(0x0957, be(&[2])), attribute(0x095a, string("DEMO-1"))])];
    monitor.numerics = vec![simple(7, 0x4182, 0x0400, 0x0aa0, 60)];
    bench.live(&mut monitor, 20_000);
    let hint = |group: &&Group| !group.subject.patient_ids.is_empty();
    let modes = |bench: &Bench| -> Vec<Mode> {
        let groups = bench.messages.iter().flat_map(|message| &message.groups);
        groups.filter(hint).map(|group| group.mode).collect()
    };
    assert_eq!(modes(&bench), [Mode::Training]);
    monitor.numerics = vec![simple(7, 0x4182, 0, 0x0aa0, 60)];
    bench.live(&mut monitor, 20_000);
    assert_eq!(modes(&bench), [Mode::Training, Mode::Production]);
}
