use super::*;
use crate::protocol::{Message, Session};
use crate::vocabulary::{AbsentReason, Certainty, DeviceCode, Mode, Value};

const NOW: Moment = Moment::new(1_000_000, 1_700_000_000_000_000, Certainty::Synchronised);

/// The example of the device file format, as a table.
const PROFILE: &str = r#"
line_end = "\r\n"
max_line_bytes = 80
checksum = { kind = "xor8", after = "$", before = "*" }

[[message]]
name = "reading"
starts_with = "$PO,"
separator = ","
columns = 6

[[message.field]]
column = 3
parameter = "spo2"
unit = "%"
absent = { "---" = "probe-off", "***" = "searching" }
source = "manual p.42 table 7"

[[message.field]]
column = 5
parameter = "perfusion-index"
unit = "%"
absent = { "--.-" = "probe-off" }
source = "bench-1"

[[message.flag]]
column = 6
bit = 0
means = "low-perfusion"
affects = ["spo2"]

[[message.flag]]
column = 6
bit = 1
means = "probe-off"
affects = ["spo2"]
absent = "probe-off"

[[message.flag]]
column = 6
bit = 2
means = "demo"
mode = "training"
"#;

fn driver() -> LineDriver {
    driver_of(PROFILE)
}

fn driver_of(profile: &str) -> LineDriver {
    let mut driver = LineDriver::new(Arc::new(toml::from_str(profile).unwrap()));
    driver.link(LinkChange::Opened { session: Session(7) }, NOW);
    driver
}

/// A line with its checksum computed here, apart from the driver.
fn line(body: &str) -> Vec<u8> {
    let sum = body.bytes().fold(0u8, |sum, byte| sum ^ byte);
    format!("${body}*{sum:02X}\r\n").into_bytes()
}

fn messages(driver: &mut LineDriver) -> Vec<Message> {
    std::iter::from_fn(|| driver.poll())
        .filter_map(|event| match event {
            Event::Message(message) => Some(message),
            Event::Send { .. }
            | Event::Samples(_)
            | Event::Identity(_)
            | Event::Trouble { .. }
            | Event::Close { .. } => None,
        })
        .collect()
}

fn fed(bytes: &[u8]) -> Vec<Message> {
    let mut driver = driver();
    driver.receive(bytes, Peer::STREAM, NOW);
    messages(&mut driver)
}

fn values(message: &Message) -> Vec<(String, Value)> {
    let readings = message.groups.iter().flat_map(|group| &group.readings);
    readings
        .map(|reading| match &reading.code {
            DeviceCode::Parameter(name) => (name.clone(), reading.value.clone()),
            DeviceCode::Codings(_) => unreachable!("a line names parameters"),
        })
        .collect()
}

#[test]
fn digits_stay_as_sent_and_flags_mark() {
    let seen = fed(&line("PO,10:11:12,097,072,04.5,01"));
    let expected =
        vec![("spo2".into(), Value::read("097")), ("perfusion-index".into(), Value::read("04.5"))];
    assert_eq!(values(&seen[0]), expected);
    assert_eq!(seen[0].groups[0].readings[0].flags[0].0, "low-perfusion");
    assert!(seen[0].groups[0].readings[1].flags.is_empty());
}

#[test]
fn marks_of_absence_have_their_reason_and_nothing_else_passes() {
    let seen = fed(&line("PO,10:11:12,---,072,--.-,00"));
    let reasons: Vec<_> = values(&seen[0]).iter().map(|(_, value)| value.absent_reason()).collect();
    assert_eq!(reasons, [Some(AbsentReason::ProbeOff), Some(AbsentReason::ProbeOff)]);
    let odd = fed(&line("PO,10:11:12,9?7,072,4.5,00"));
    assert_eq!(odd[0].refusals[0].why, Why::Unreadable);
    assert_eq!(values(&odd[0]), [("perfusion-index".into(), Value::read("4.5"))]);
}

#[test]
fn a_flag_can_say_that_there_is_no_value_and_that_nobody_is_measured() {
    let off = fed(&line("PO,10:11:12,097,072,04.5,02"));
    let readings = &off[0].groups[0].readings;
    assert_eq!(readings[0].value.absent_reason(), Some(AbsentReason::ProbeOff));
    assert_eq!((readings[0].value.as_sent(), readings[1].value.as_sent()), ("097", "04.5"));
    assert_eq!(off[0].groups[0].mode, Mode::Production);
    let demo = fed(&line("PO,10:11:12,097,072,04.5,04"));
    assert_eq!(demo[0].groups[0].mode, Mode::Training);
    assert_eq!(values(&demo[0])[0].1, Value::read("097"));
}

#[test]
fn a_column_that_is_not_there_is_refused() {
    let outside = |column: &str| {
        let profile = PROFILE.replace(&format!("column = {column}\n"), "column = 9\n");
        let mut driver = driver_of(&profile);
        driver.receive(&line("PO,10:11:12,097,072,04.5,00"), Peer::STREAM, NOW);
        messages(&mut driver).remove(0)
    };
    let field = outside("3");
    assert_eq!(field.refusals[0].why, Why::TooShort);
    assert_eq!(values(&field), [("perfusion-index".into(), Value::read("04.5"))]);
    // Flags that cannot be read leave no value to be trusted.
    let flags = outside("6");
    assert_eq!(flags.refusals.iter().map(|one| one.why).collect::<Vec<_>>(), [Why::TooShort]);
    assert!(flags.groups.is_empty());
}

#[test]
fn dashes_under_a_key_that_nobody_knows_are_no_value() {
    let profile = r#"
line_end = "\r\n"
max_line_bytes = 80

[[message]]
name = "reading"
starts_with = "SPO2="
separator = " "
columns = 0
keys = { mark = "=" }

[[message.field]]
keys = ["SPO2"]
parameter = "spo2"
unit = "%"
unit_mark = "%"
absent = { "---" = "not-available" }
source = "manual"

[message.serial_number]
keys = ["SN"]
source = "manual"
"#;
    let mut driver = driver_of(profile);
    let line = b"SPO2=098% SN=--- SPCO=--.-% PIDELTA=+-- DESAT=-- SPMET=01.2% NEW=A- GONE=-1\r\n";
    driver.receive(line, Peer::STREAM, NOW);
    let mut seen = Vec::new();
    while let Some(event) = driver.poll() {
        assert!(!matches!(event, Event::Identity(_)), "dashes are nobody's serial number");
        if let Event::Message(message) = event {
            seen.push(message);
        }
    }
    let readings = seen[0].groups[0].readings.iter();
    let said: Vec<_> =
        readings.map(|one| (one.value.as_sent(), one.value.absent_reason())).collect();
    let gone = Some(AbsentReason::NotAvailable);
    assert_eq!(said[..4], [("098", None), ("--.-%", gone), ("+--", gone), ("--", gone)]);
    assert_eq!(said[4..], [("01.2%", None), ("A-", None), ("-1", None)]);
}

#[test]
fn three_equal_lines_are_three_messages() {
    let one = line("PO,10:11:12,097,072,04.5,00");
    let seen = fed(&[one.clone(), one.clone(), one].concat());
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|message| message.repeat_basis.is_none()));
}

#[test]
fn what_is_wrong_is_refused_and_the_next_good_line_works() {
    let good = line("PO,10:11:12,097,072,04.5,00");
    let mut damaged = good.clone();
    damaged[15] ^= 0x04;
    let long = [vec![b'x'; 10_000], b"\r\n".to_vec()].concat();
    let cases: [(&[u8], Why); 5] = [
        (&damaged, Why::Checksum),
        (&long, Why::TooLong),
        (b"noise\r\n", Why::Checksum),
        (b"\xff\xfe\r\n", Why::IllegalByte),
        (&line("XX,1"), Why::UnknownMessage),
    ];
    for (bad, why) in cases {
        let seen = fed(&[bad, &good].concat());
        assert_eq!(seen.len(), 2, "{why:?}");
        assert_eq!(seen[0].refusals[0].why, why);
        assert!(seen[0].groups.is_empty());
        assert_eq!(values(&seen[1]).len(), 2);
    }
}

#[test]
fn a_line_that_never_ends_is_refused_in_its_time() {
    let mut driver = driver();
    driver.receive(b"$PO,10:1", Peer::STREAM, NOW);
    let due = driver.next_wake().unwrap();
    driver.wake(due);
    assert_eq!(messages(&mut driver)[0].refusals[0].why, Why::TimedOut);
    assert_eq!(driver.next_wake(), None);
}

#[test]
fn cuts_change_nothing() {
    let mut stream = b"tail of something\r\n".to_vec();
    for body in ["PO,10:11:12,097,072,04.5,00", "PO,1,2", "PO,10:11:13,---,072,04.5,01"] {
        stream.extend(line(body));
    }
    let whole = fed(&stream);
    assert_eq!(whole.len(), 4);
    for cut in 0..stream.len() {
        let mut driver = driver();
        let (head, tail) = stream.split_at(cut);
        driver.receive(head, Peer::STREAM, NOW);
        driver.receive(tail, Peer::STREAM, NOW);
        assert_eq!(messages(&mut driver), whole, "cut at {cut}");
    }
}
