//! Every worked frame of facts/monitors.md 3.2, 3.5 and 3.6, byte by byte.

use super::*;
use crate::protocol::medibus::wire::{ESC, SOH, framed};

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn heard(bytes: &[u8]) -> Vec<Heard> {
    let mut framer = Framer::default();
    bytes.iter().for_each(|byte| framer.take(*byte, NOW));
    std::iter::from_fn(|| framer.next()).collect()
}

#[test]
fn commands_are_the_sheets_to_the_last_byte() {
    for (code, bytes) in [
        (0x51, "1B 51 36 43 0D"),
        (0x52, "1B 52 36 44 0D"),
        // The manual prints 46, which no sum gives.
        (0x30, "1B 30 34 42 0D"),
        (0x24, "1B 24 33 46 0D"),
        (0x28, "1B 28 34 33 0D"),
        (0x55, "1B 55 37 30 0D"),
    ] {
        assert_eq!(framed(ESC, code, b""), hex(bytes), "{code:02X}");
    }
    for (code, bytes) in
        [(0x51, "01 51 35 32 0D"), (0x24, "01 24 32 35 0D"), (0x15, "01 15 31 36 0D")]
    {
        assert_eq!(framed(SOH, code, b""), hex(bytes), "{code:02X}");
    }
    assert_eq!(framed(SOH, 0x52, b"")[2..4], *b"53");
}

#[test]
fn replies_of_the_sheet_check_out_and_its_misprints_do_not() {
    for text in [
        "01 51 35 32 0D",
        "01 52 35 33 0D",
        "01 24 32 35 0D",
        "01 15 31 36 0D",
        "01 24 45 42 20 39 38 20 45 31 20 37 30 20 37 41 0D",
    ] {
        let heard = heard(&hex(text));
        assert!(matches!(heard.as_slice(), [Heard::Reply(_)]), "{text}: {heard:?}");
    }
    for bytes in [
        &b"\x01(11:11:1911-NOV-93E6\r"[..],
        b"\x01R8240'Evita 4'04.20:03.00DB\r",
        b"\x01$D6  12B9 7.278   578\r",
    ] {
        let heard = heard(bytes);
        assert!(matches!(heard.as_slice(), [Heard::Reply(_)]), "{heard:?}");
    }
    // NOP with the checksum that the manual prints.
    let misprint = heard(&hex("1B 30 34 36 0D"));
    let is_command = |heard: &Heard| {
        matches!(heard, Heard::Damaged { why: Why::Checksum, command: Ended::Command, .. })
    };
    assert!(misprint.len() == 1 && is_command(&misprint[0]), "{misprint:?}");
    // Small letters are not what the protocol writes.
    let small = heard(b"\x01$EB 98 E1 70 7a\r");
    assert!(matches!(small.as_slice(), [Heard::Damaged { why: Why::Checksum, .. }]), "{small:?}");
}

#[test]
fn the_sheets_data_replies_give_its_values() {
    let mut bench = Bench::running();
    bench.says(b"\x01$D6  12B9 7.278   578\r");
    let shown = bench.shown();
    assert_eq!(
        shown[..3],
        ["vent-resp-rate 12 /min", "24:B9 7.2", "press-away-end-exp-pos 5 mbar"]
    );
    let mut bench = Bench::running();
    bench.says(&hex("01 24 45 42 20 39 38 20 45 31 20 37 30 20 37 41 0D"));
    assert_eq!(bench.shown()[..2], ["24:EB 98", "24:E1 70"]);
    // Where it stands in the raw bytes: code and value.
    let at = bench.readings()[0].at.clone();
    assert_eq!(&bench.messages.last().unwrap().raw[at], b"EB 98 ");
}

#[test]
fn the_sheets_clock_is_of_1993_and_german() {
    let at = |text: &[u8]| payload::date_time(text);
    assert_eq!(at(b"11:11:1911-NOV-93").as_deref(), Some("19931111111119"));
    for (month, number) in [
        ("JAN", "01"),
        ("FEB", "02"),
        ("MAR", "03"),
        ("APR", "04"),
        ("MAI", "05"),
        ("JUN", "06"),
        ("JUL", "07"),
        ("AUG", "08"),
        ("SEP", "09"),
        ("OKT", "10"),
        ("OCT", "10"),
        ("NOV", "11"),
        ("DEZ", "12"),
    ] {
        let text = format!("07:08:0903-{month}-26");
        assert_eq!(at(text.as_bytes()), Some(format!("2026{number}03070809")), "{month}");
    }
    // Leading blanks and missing seconds.
    assert_eq!(at(b"  7:0803-DEZ-26").as_deref(), Some("202612030708"));
    for odd in
        ["11:11:1911-XYZ-93", "11:11:19", "", "11-NOV-93", "1111:1911-NOV-93", "a:b11-NOV-93"]
    {
        assert_eq!(at(odd.as_bytes()), None, "{odd}");
    }
}

#[test]
fn the_sheets_identifications() {
    let evita = payload::identification(b"8240'Evita 4'04.20:03.00").unwrap();
    assert_eq!((evita.id.as_str(), evita.name.as_str()), ("8240", "Evita 4"));
    assert_eq!(evita.software.to_string(), "04.20");
    assert_eq!(evita.medibus, payload::Version(3, 0));
    for odd in ["", "8240", "824'Evita'04.20:03.00", "8240'Evita'4.2:3", "8240'Evita'04.20"] {
        assert_eq!(payload::identification(odd.as_bytes()), None, "{odd}");
    }
    // Our own, with the checksum that the sheet computed.
    assert_eq!(framed(SOH, 0x52, b"0161'My PC'01.00:03.00").split_last_chunk().unwrap().1, b"FC\r");
}

#[test]
fn the_sheets_real_time_values() {
    let entry = b"00    5200-  10  100370";
    let bytes = reply(&[b"S", &entry[..]].concat());
    let [Heard::Reply(frame)] = &heard(&bytes)[..] else { panic!("no frame") };
    let forms = payload::signal_forms(frame).unwrap();
    assert_eq!((forms[0].min.as_str(), forms[0].max.as_str()), ("-10", "100"));
    assert_eq!((forms[0].interval_us, forms[0].maxbin), (5200, 0x370));
    // 91 81 -> 81, 8D 83 -> 205 (facts/monitors.md 3.6).
    let mut realtime = Realtime::default();
    let stream = realtime::Stream {
        form: forms[0].clone(),
        multiplier: 1,
        code: DeviceCode::Parameter("press-away".to_owned()),
        unit: None,
    };
    realtime.configure(vec![stream]);
    for byte in hex("D1 91 81 D1 8D 83 D1") {
        realtime.take(byte, NOW);
    }
    let samples = realtime.wake(NOW.plus_ms(1000)).unwrap();
    assert_eq!(samples.arrays[0].samples, [Some(81), Some(205)]);
    assert_eq!(samples.arrays[0].period, crate::vocabulary::Period { us: 5200, samples: 1 });
}
