//! Oximeters and a monitor that send lines.

use super::read;

const RADICAL_7: &str = include_str!("../../../../device-profiles/masimo/radical-7/profile.toml");
const RAD_8: &str = include_str!("../../../../device-profiles/masimo/rad-8/profile.toml");
const N_395: &str = include_str!("../../../../device-profiles/nellcor/n-395/profile.toml");
const N_595: &str = include_str!("../../../../device-profiles/nellcor/n-595/profile.toml");
const NONIN: &str = include_str!("../../../../device-profiles/nonin/ascii/profile.toml");
const IVY: &str = include_str!("../../../../device-profiles/ivy/450c/profile.toml");

/// The sample output of the Rad-8 manual, p. 4-24.
#[test]
fn rad_8_000_is_no_value_whatever_the_exceptions_say() {
    let lines = "\
09/21/08 09:56:08 SpO2=000 PR=000 PI=00.00 EXC=820:OffPat,SET\r\n\
09/21/08 09:56:10 SpO2=000 PR=000 PI=00.00 EXC=828:Search,OffPat,SET\r\n\
09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=800:SET\r\n\
09/21/08 09:56:14 SpO2=096 PR=074 PI=02.28 EXC=C00:LowSigIQ,SET\r\n\
09/21/08 09:56:18 SpO2=000 PR=000 PI=00.00 EXC=800:SET\r\n";
    let off = |marks: &str| {
        ["spo2", "pulse-rate-pleth", "perfusion-index"]
            .map(|name| format!("{name}:probe-off [{marks}]"))
            .join("; ")
    };
    let low = "[low-signal-iq]";
    assert_eq!(
        read(RAD_8, lines.as_bytes()),
        [
            off("sensor-off"),
            off("pulse-search, sensor-off"),
            "spo2=097; pulse-rate-pleth=069; perfusion-index=04.69".to_owned(),
            format!("spo2=096 {low}; pulse-rate-pleth=074 {low}; perfusion-index=02.28 {low}"),
            "spo2:not-available; pulse-rate-pleth:not-available; perfusion-index:not-available"
                .to_owned(),
        ]
    );
}

#[test]
fn rad_8_a_line_that_lost_something_gives_nothing() {
    for line in [
        "09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69\r\n",
        "09/21/08 09:56:12 SpO2=097 PI=04.69 EXC=800:SET\r\n",
        "09/21/08 09:56:12 SpO2=097 PR=069 PR=070 PI=04.69 EXC=800:SET\r\n",
        "09/21/08 09:56:12 SpO2=097 PR=0 69 PI=04.69 EXC=800:SET\r\n",
        "09/21/0 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=800:SET\r\n",
        "09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=xyz\r\n",
        "09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=80:SET\r\n",
        "09/21/08 09:56:12 SpO2=097 PR=069 PI=04.69 EXC=:SET\r\n",
    ] {
        let seen = read(RAD_8, line.as_bytes());
        assert!(seen.len() == 1 && !seen[0].contains('='), "{line}: {seen:?}");
        assert!(seen[0].starts_with('!'), "{line}: {seen:?}");
    }
    let short = read(RAD_8, b"09/21/08 09:56:12 SpO2=97 PR=069 PI=04.69 EXC=800:SET\r\n");
    assert_eq!(short, ["pulse-rate-pleth=069; perfusion-index=04.69; !unreadable"]);
}

/// The form of facts/monitors.md 4.1, with the bits of its table.
#[test]
fn radical_7_keys_in_any_order_bits_and_unknown_keys() {
    let line = |rest: &str| format!("11/28/26 20:15:01 SN=0000070937 {rest}\r\n");
    let good = line(
        "SPO2=097% BPM=069 PI=04.69% SPCO=---% SPMET=---% DESAT=-- PIDELTA=+-- PVI=--- \
         ALARM=0000 EXC=000800",
    );
    let seen = read(RADICAL_7, good.as_bytes());
    let none = "(SPCO):not-available; (SPMET):not-available; (DESAT):not-available; \
                (PIDELTA):not-available; (PVI):not-available";
    assert_eq!(seen, [format!("spo2=097; pulse-rate-pleth=069; perfusion-index=04.69; {none}")]);
    let other = line("EXC=000804 alarm=0002 PI=00.31% BPM=069 SpO2=097% SPHB=12.1");
    let marks = "[low-perfusion, ALARM=0002]";
    let expected = format!(
        "spo2=097 {marks}; pulse-rate-pleth=069 {marks}; perfusion-index=00.31 {marks}; \
         (SPHB)=12.1 [ALARM=0002]"
    );
    assert_eq!(read(RADICAL_7, other.as_bytes()), [expected]);
    let reserved = line("SPO2=097% BPM=069 ALARM=0000 EXC=000900");
    let marks = "[EXC-bit-8]";
    let expected = format!("spo2=097 {marks}; pulse-rate-pleth=069 {marks}");
    assert_eq!(read(RADICAL_7, reserved.as_bytes()), [expected]);
    for (exc, reason) in [
        ("001", "not-measured"),
        ("002", "sensor-fault"),
        ("008", "searching"),
        ("020", "probe-off"),
    ] {
        let line = line(&format!("SPO2=097% BPM=069 ALARM=0000 EXC=000{exc}"));
        let seen = read(RADICAL_7, line.as_bytes());
        assert!(seen[0].starts_with(&format!("spo2:{reason}")), "{exc}: {seen:?}");
    }
    let dashes = line("SPO2=---% BPM=--- PI=--.--% ALARM=0000 EXC=000800");
    let expected =
        "spo2:not-available; pulse-rate-pleth:not-available; perfusion-index:not-available";
    assert_eq!(read(RADICAL_7, dashes.as_bytes()), [expected]);
}

/// Header and row of facts/monitors.md 4.2.
#[test]
fn nellcor_rows_headers_and_words() {
    let stream = "\
N-395 VERSION 2.0.0.0 CRC: XXXX SpO2 Limit: 70-100% PR Limit: 60-160BPM\r\n\
TIME              %SpO2  BPM   PA   Status\r\n\
12-NOV-98 14:00:05   100  120   50\r\n\
12-NOV-98 14:00:07    98* 120*  50   SL PH\r\n\
12-NOV-98 14:00:09   ---  ---   ---  SD\r\n\
12-NOV-98 14:00:11   97   60    40   SO\r\n\
12-NOV-98 14:00:13   97   60    40   QX\r\n\
12-NOV-98 14:00:15   97   60    40   9X\r\n\
12-NOV-98 14:00:17   97   60\r\n";
    let marked =
        |mark: &str| format!("spo2=97 [{mark}]; pulse-rate-pleth=60 [{mark}]; (PA)=40 [{mark}]");
    let void = |why: &str| {
        ["spo2", "pulse-rate-pleth", "(PA)"].map(|name| format!("{name}:{why}")).join("; ")
    };
    assert_eq!(
        read(N_395, stream.as_bytes()),
        [
            "firmware 2.0.0.0".to_owned(),
            String::new(),
            "spo2=100; pulse-rate-pleth=120; (PA)=50".to_owned(),
            "spo2=98 [out-of-limits, saturation-low]; \
             pulse-rate-pleth=120 [out-of-limits, pulse-high]; (PA)=50"
                .to_owned(),
            void("sensor-fault [sensor-disconnect]"),
            void("probe-off [sensor-off]"),
            marked("QX"),
            "!unreadable".to_owned(),
            "!too-short".to_owned(),
        ]
    );
    let menu = b"NPB-595   Interactive Mode\r\n   ADULT 0SAT-S SPO2 RESP MODE: NORMAL\r\n";
    assert_eq!(read(N_595, menu), ["!unknown-message", ""]);
}

/// The forms of the Nonin manuals.
#[test]
fn nonin_lines_marks_and_the_fast_mode() {
    let stream = "SPO2=097 HR=072\r\nSPO2=097 HR=072*\r\nSPO2=097 HR=072 F\r\n\
                  SPO2=--- HR=---\r\n10:11:12 SPO2=098 HR=071\r\nSPO2=97 HR=072\r\nSPO2=097\r\n";
    assert_eq!(
        read(NONIN, stream.as_bytes()),
        [
            "spo2=097; pulse-rate-pleth=072",
            "spo2=097; pulse-rate-pleth=072 [event-marker]",
            "spo2=097 [fast-responding]; pulse-rate-pleth=072 [fast-responding]",
            "spo2:not-available; pulse-rate-pleth:not-available",
            "spo2=098; pulse-rate-pleth=071",
            "pulse-rate-pleth=072; !unreadable",
            "!too-short",
        ]
    );
}

/// A record of the recorded stream, with so many samples of no text.
fn ivy_record(samples: usize) -> Vec<u8> {
    let lines = "HR=1;80;ECG-II-DIAG;\rRR=1;35;APNEA: 20 SEC;\rETCO2=1;;;\rSPO2=1;100;PR=80 ;\r\
                 NIBP=4;121;75;92;80;;\rP1=3;111;73;88;;\rP2=3;;;;NO TRANSDUCER;\rT1=1;;;\r\
                 T2=1;;;\r";
    let wave = (0..samples).map(|index| [0x0d, 0xfb, 0x7d, 0x3b][index % 4]);
    [b"\xffANSAR-B ".to_vec(), wave.collect(), lines.into(), vec![0xfe]].concat()
}

const IVY_RECORD: &str = "heart-rate=80 [HR=1, label:ECG-II-DIAG]; \
    respiration-rate=35 [RR=1, label:APNEA: 20 SEC]; \
    (ETCO2):not-stated [ETCO2=1]; \
    spo2=100 [SPO2=1]; \
    pulse-rate-pleth=80 [SPO2=1]; \
    nibp-systolic=121 [unit-not-proven, NIBP=4]; \
    nibp-diastolic=75 [unit-not-proven, NIBP=4]; \
    nibp-mean=92 [unit-not-proven, NIBP=4]; \
    puls-rate-non-inv=80 [NIBP=4]; \
    press-bld-sys@P1=111 [unit-not-proven, P1=3]; \
    press-bld-dia@P1=73 [unit-not-proven, P1=3]; \
    press-bld-mean@P1=88 [unit-not-proven, P1=3]; \
    press-bld-sys@P2:not-stated [unit-not-proven, P2=3, label:NO TRANSDUCER]; \
    press-bld-dia@P2:not-stated [unit-not-proven, P2=3, label:NO TRANSDUCER]; \
    press-bld-mean@P2:not-stated [unit-not-proven, P2=3, label:NO TRANSDUCER]; \
    (T1)@T1:not-stated [T1=1]; \
    (T2)@T2:not-stated [T2=1]";

#[test]
fn ivy_records_whole_and_damaged() {
    let good = ivy_record(400);
    assert_eq!(read(IVY, &good), [IVY_RECORD]);
    // The end of a record before it, a record that lost a sample, one that lost its end.
    let (tail, lost, cut) = (&good[500..], ivy_record(399), &good[..540]);
    let stream = [tail, &good, &lost, &good, cut, &good].concat();
    let without_heart_rate = IVY_RECORD.split_once("; ").unwrap().1;
    // The sample that is lost took the first letter of the first line into the samples.
    let one_lost = format!("{without_heart_rate}; !unknown-message");
    assert_eq!(
        read(IVY, &stream),
        ["!resync", IVY_RECORD, &one_lost, IVY_RECORD, "!too-short", IVY_RECORD]
    );
    let mut damaged = good;
    damaged[409 + 5] = b'x';
    assert_eq!(read(IVY, &damaged), [format!("{without_heart_rate}; !unreadable")]);
}

/// All of the recorded stream: its values by counting in the bytes.
#[test]
fn ivy_the_recorded_stream_is_decoded_completely() {
    let Some(corpus) = std::env::var_os("WARDGATE_CORPUS") else { return };
    let path = std::path::Path::new(&corpus).join("monitors/ivy-450c/Ivy450C.1.data");
    let bytes = std::fs::read(path).unwrap();
    let seen = read(IVY, &bytes);
    // The stream begins in the middle of a record and has 27 whole ones, 562 bytes each.
    assert_eq!(seen.len(), 28);
    assert_eq!(seen[0], "!resync");
    // In records 9, 10, 14, 19 and 21 (of 27) the systolic pressure is 110, else 111.
    let low = [9, 10, 14, 19, 21];
    for (number, record) in seen.iter().enumerate().skip(1) {
        let systolic = if low.contains(&number) { "@P1=110 " } else { "@P1=111 " };
        assert_eq!(*record, IVY_RECORD.replace("@P1=111 ", systolic), "record {number}");
    }
}
