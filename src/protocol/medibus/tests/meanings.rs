//! What replies mean.

use super::*;
use crate::vocabulary::reading::EventKind;
use crate::vocabulary::{DeviceTimeEvidence, Meaning};

#[test]
fn the_id_on_the_wire_chooses_the_table() {
    let mut evita = Bench::running();
    evita.says(&reply(b"$06  45"));
    assert_eq!(evita.shown()[0], "24:06 45 L/bar");
    let mut infinity = Bench::new();
    infinity.says(ICC_REPLY);
    infinity.passes(60);
    infinity.says(&reply(b"R5000'Infinity V500'02.21:06.00"));
    infinity.passes(250);
    infinity.says(&reply(b"$06 8.5"));
    assert_eq!(infinity.shown(), ["vent-vol-minute-away-insp 8.5 L/min"]);
    assert_eq!(infinity.identities[0].firmware, "02.21");
    assert_eq!(infinity.messages.last().unwrap().firmware.as_deref(), Some("02.21"));
}

#[test]
fn a_device_without_a_table_is_read_and_not_mapped() {
    for (said, word) in [
        (&b"R9999'Something'01.00:04.00"[..], "9999"),
        // The table is true from software 02.20 only.
        (b"R5000'Infinity V500'02.19:06.00", "02.19"),
    ] {
        let mut bench = Bench::new();
        bench.says(ICC_REPLY);
        bench.passes(60);
        bench.says(&reply(said));
        bench.passes(250);
        bench.says(&reply(b"$06 8.5D6  12"));
        assert_eq!(bench.shown(), ["24:06 8.5", "24:D6 12"]);
        let words = bench.troubles.last().unwrap().as_deref().unwrap();
        assert!(words.contains(word) && words.contains("not mapped"), "{words}");
    }
}

#[test]
fn a_code_that_is_not_there_is_absent_in_every_reply_and_never_carried_over() {
    let mut bench = Bench::running();
    bench.says(&reply(b"$D6  12"));
    bench.says(&reply(b"$"));
    let absent = |name: &str| format!("{name} absent: {}", AbsentReason::NotMeasured);
    let (volume, peep) = (absent("vent-vol-tidal"), absent("press-away-end-exp-pos"));
    assert_eq!(
        bench.shown(),
        [
            "vent-resp-rate 12 /min".to_owned(),
            volume.clone(),
            peep.clone(),
            volume,
            absent("vent-resp-rate"),
            peep
        ]
    );
}

#[test]
fn one_volume_comes_in_litres_or_millilitres_and_is_one_parameter() {
    let mut bench = Bench::running();
    bench.says(&reply(b"$820.50"));
    assert_eq!(bench.shown()[0], "vent-vol-tidal 0.50 L");
    assert!(!bench.shown().iter().any(|line| line.starts_with("vent-vol-tidal absent")));
    bench.says(&reply(b"$88 480"));
    assert!(bench.shown().contains(&"vent-vol-tidal 480 mL".to_owned()));
    // Both at once cannot be: the second stays under its own code.
    let mut both = Bench::running();
    both.says(&reply(b"$820.5088 480"));
    assert_eq!(both.shown()[..2], ["vent-vol-tidal 0.50 L", "24:88 480 mL"]);
}

#[test]
fn values_are_as_sent_without_their_padding() {
    let mut bench = Bench::running();
    bench.says(&reply(b"$78-  2D6+12 821.200688.5"));
    let shown = bench.shown();
    assert_eq!(
        shown[..4],
        [
            "press-away-end-exp-pos -2 mbar",
            "vent-resp-rate +12 /min",
            "vent-vol-tidal 1.20 L",
            "24:06 88.5 L/bar"
        ]
    );
    // Blank: nothing is there, and nobody says why.
    let mut blank = Bench::running();
    blank.says(&reply(b"$D6    "));
    assert_eq!(blank.readings()[0].value.absent_reason(), Some(AbsentReason::NotStated));
}

#[test]
fn one_entry_out_of_form_refuses_the_whole_reply() {
    for body in [
        &b"$D6  12B9 7."[..],
        b"$D6  12b9 7.2",
        b"$D6  12G9 7.2",
        b"$D6  12B9 7 2",
        b"$D6  12B97..2",
        b"$D6  12B9----",
        b"$D6  12D6  13",
        b"$D6  12B9   .",
        b"$D6  12B9 1E2",
    ] {
        let mut bench = Bench::running();
        bench.says(&reply(body));
        assert_eq!(bench.shown(), Vec::<String>::new(), "{body:?}");
        assert_eq!(bench.refusals().len(), 1);
    }
}

#[test]
fn settings_are_settings_and_limits_are_never_the_value() {
    let mut bench = Bench::running();
    bench.says(&reply(b")04 0.500B    5"));
    let shown = bench.shown();
    assert_eq!(shown, ["vent-vol-tidal-setting 0.50 L", "29:0B 5"]);
    assert!(bench.readings().iter().all(|one| one.nature == Nature::Setting));
    let mut limits = Bench::running();
    limits.says(&reply(b"%D6   8"));
    limits.says(&reply(b"&D6  30"));
    assert_eq!(limits.shown(), ["25:D6 8 /min", "26:D6 30 /min"]);
    let DeviceCode::Codings(codings) = &limits.readings()[0].code else { panic!("mapped") };
    assert_eq!(codings[0].words, "RR: low alarm limit");
    let mut none = Bench::running();
    none.says(&reply(b")0B    5"));
    assert_eq!(none.shown()[1], "vent-vol-tidal-setting absent: not-available");
}

#[test]
fn texts_are_coded_and_two_modes_at_once_are_none() {
    let text = |code: &str, text: &str| {
        let mut entry = code.as_bytes().to_vec();
        entry.push(0x30 + u8::try_from(text.len()).unwrap());
        entry.extend(text.bytes());
        entry.push(0x03);
        entry
    };
    let mut bench = Bench::running();
    bench.says(&reply(&[b"*".to_vec(), text("06", "SIMV"), text("1E", "Standby")].concat()));
    assert_eq!(bench.shown(), ["vent-mode SIMV", "2A:1E Standby"]);
    let Meaning::Coded { code, words, system } = bench.readings()[0].value.meaning() else {
        panic!("not coded")
    };
    assert_eq!((code.as_str(), words.as_str(), system.as_str()), ("2A:06", "SIMV", "MEDIBUS"));
    let mut two = Bench::running();
    two.says(&reply(&[b"*".to_vec(), text("06", "SIMV"), text("0A", "CPAP")].concat()));
    assert_eq!(two.shown(), ["2A:06 SIMV", "2A:0A CPAP", "vent-mode absent: not-available"]);
    let mut cut = Bench::running();
    cut.says(&reply(b"*069SIMV\x03"));
    assert_eq!((cut.shown().len(), cut.refusals()), (0, vec![Why::Unreadable]));
}

#[test]
fn alarms_begin_and_end_and_an_unknown_one_is_kept() {
    let low = b"?19MIN VOL    $&";
    assert_eq!(low.len(), 16);
    let alarm = |priority: u8, code: &str, phrase: &str| {
        format!("{}{code}{phrase:<12}", char::from(0x30 + priority)).into_bytes()
    };
    let mut bench = Bench::running();
    bench.says(&reply(&[b"'".to_vec(), alarm(15, "19", "MIN VOL $&")].concat()));
    bench.says(&reply(&[b"'".to_vec(), alarm(15, "19", "MIN VOL $&")].concat()));
    bench.says(&reply(
        &[b"'".to_vec(), alarm(31, "19", "MIN VOL $&"), alarm(1, "AB", "ODD")].concat(),
    ));
    bench.says(&reply(b"'"));
    assert_eq!(
        bench.shown(),
        [
            "evt-alarm MIN VOL $&",
            "attr-event-phase present",
            "attr-alert-text MIN VOL $&",
            "evt-alarm MIN VOL $&",
            "attr-event-phase update",
            "attr-alert-text MIN VOL $&",
            "27:AB ODD",
            "attr-event-phase start",
            "attr-alert-text ODD",
            "evt-alarm MIN VOL $&",
            "attr-event-phase end",
            "attr-alert-text MIN VOL $&",
            "27:AB ODD",
            "attr-event-phase end",
            "attr-alert-text ODD",
        ]
    );
    let groups: Vec<_> = bench.messages.iter().flat_map(|message| &message.groups).collect();
    assert!(groups.iter().all(|group| group.event == Some(EventKind::Alarm)));
    assert_eq!(bench.readings()[3].flags[0].0, "priority:31");
    // After a new beginning nobody knows what happened meanwhile: nothing is said to have ended.
    bench.says(&command(b"Q"));
    bench.says(&reply(b"'"));
    assert_eq!(bench.shown().len(), 15);
}

#[test]
fn the_devices_clock_is_evidence() {
    let mut driver = Bench::running();
    driver.says(b"\x01(11:11:1911-NOV-93E6\r");
    let group = &driver.messages.last().unwrap().groups[0];
    let time = group.time.as_ref().unwrap();
    assert_eq!(time.as_written, "11:11:1911-NOV-93");
    assert_eq!((time.utc_us, time.evidence), (None, DeviceTimeEvidence::ZoneUnknown));
    assert_eq!(group.readings[0].value, Value::text("11:11:1911-NOV-93"));
    assert_eq!(group.readings[0].nature, Nature::DeviceFact);
}

#[test]
fn what_is_stated_names_table_command_and_code() {
    let stated = profile("").stated();
    let places: Vec<&str> = stated.iter().map(|one| one.place.as_str()).collect();
    assert!(places.contains(&"evita: 24:82") && places.contains(&"medibus.x: 24:06"), "{places:?}");
    assert!(places.contains(&"evita: 29:04") && places.contains(&"evita: 2A:06"), "{places:?}");
}
