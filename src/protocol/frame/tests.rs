use super::*;
use crate::protocol::{Message, Session};
use crate::vocabulary::{AbsentReason, Certainty, Mode};

const NOW: Moment = Moment::new(1_000_000, 1_700_000_000_000_000, Certainty::Synchronised);

/// The example of the device file format, as a table.
const PROFILE: &str = r#"
start = "AA 55"
length = { at = 2, counts = "payload", min = 1, max = 32 }
checksum = { kind = "crc16-modbus", from = 2 }
byte_order = "big-endian"

[[message]]
name = "numerics"
payload_type = "01"
payload_bytes = 7
field = [
  { at = 1, raw = "u16", lsb = "0.1", parameter = "spo2", unit = "%", absent = { "0x7FFF" = "not-measured" }, source = "proto 4.2" },
  { at = 3, raw = "i16", lsb = "1", parameter = "temperature", unit = "Cel", source = "proto 4.2" },
  { at = 5, raw = "u8", lsb = "0.01", parameter = "perfusion-index", unit = "%", absent = { "0xFF" = "not-measured" }, source = "proto 4.2" },
]
ignored = [{ at = 6, bytes = 1, why = "frame counter, proto 4.1" }]
"#;

fn driver() -> FrameDriver {
    let mut driver = FrameDriver::new(Arc::new(toml::from_str(PROFILE).unwrap()));
    driver.link(LinkChange::Opened { session: Session(7) }, NOW);
    driver
}

/// CRC-16/MODBUS by the textbook's bit loop over an integer, apart from the driver's code.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let mut crc: u32 = 0xffff;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc % 2;
            crc /= 2;
            if carry == 1 {
                crc ^= 0xa001;
            }
        }
    }
    [(crc % 256) as u8, (crc / 256) as u8]
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let body = [&[payload.len() as u8], payload].concat();
    [&[0xaa, 0x55], &body[..], &crc(&body)].concat()
}

fn messages(driver: &mut FrameDriver) -> Vec<Message> {
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

fn texts(message: &Message) -> Vec<&str> {
    message.groups.iter().flat_map(|group| &group.readings).map(|one| one.value.as_sent()).collect()
}

#[test]
fn raw_steps_become_exact_decimals() {
    let seen = fed(&frame(&[1, 0x03, 0xcf, 0xff, 0xfe, 45, 9]));
    assert_eq!(texts(&seen[0]), ["97.5", "-2", "0.45"]);
    assert_eq!(decode::scaled(5, "0.001").unwrap(), "0.005");
    assert_eq!(decode::scaled(-5, "0.1").unwrap(), "-0.5");
    assert_eq!(decode::scaled(1000, "0.1").unwrap(), "100.0");
    assert_eq!(decode::scaled(1, "1e-1"), None);
}

#[test]
fn raw_marks_are_absent_with_their_reason() {
    let seen = fed(&frame(&[1, 0x7f, 0xff, 0, 37, 0xff, 9]));
    let readings = &seen[0].groups[0].readings;
    assert_eq!(readings[0].value.absent_reason(), Some(AbsentReason::NotMeasured));
    assert_eq!(readings[1].value.as_sent(), "37");
    assert_eq!(readings[2].value.absent_reason(), Some(AbsentReason::NotMeasured));
}

#[test]
fn a_flag_can_say_that_there_is_no_value_and_that_nobody_is_measured() {
    let flags = r#"
flag = [
  { at = 6, bit = 0, means = "probe-off", affects = ["spo2"], absent = "probe-off" },
  { at = 6, bit = 7, means = "service", mode = "debugging" },
]
"#;
    let read = |profile: &str, status: u8| {
        let mut driver = FrameDriver::new(Arc::new(toml::from_str(profile).unwrap()));
        driver.receive(&frame(&[1, 0x03, 0xcf, 0, 37, 45, status]), Peer::STREAM, NOW);
        messages(&mut driver).remove(0)
    };
    let flagged = format!("{PROFILE}{flags}");
    assert_eq!(read(&flagged, 0).groups[0].mode, Mode::Production);
    let off = read(&flagged, 1);
    let reading = &off.groups[0].readings[0];
    assert_eq!(reading.value.absent_reason(), Some(AbsentReason::ProbeOff));
    assert_eq!((off.groups[0].mode, reading.value.as_sent()), (Mode::Production, "97.5"));
    assert_eq!(read(&flagged, 0x80).groups[0].mode, Mode::Debugging);
    // Flags behind the payload: no value can be trusted.
    let outside = read(&format!("{PROFILE}{}", flags.replace("at = 6", "at = 7")), 0);
    assert!(outside.groups.is_empty() && outside.refusals[0].why == Why::TooShort);
}

#[test]
fn garbage_is_kept_and_the_next_good_frame_works() {
    let good = frame(&[1, 0x03, 0xcf, 0, 37, 45, 9]);
    let mut damaged = good.clone();
    damaged[5] ^= 1;
    let cases: [(Vec<u8>, Why); 4] = [
        (vec![0x13, 0x37], Why::Resync),
        (damaged, Why::Checksum),
        (vec![0xaa, 0x55, 200], Why::TooLong),
        (frame(&[9, 1, 2]), Why::UnknownMessage),
    ];
    for (bad, why) in cases {
        let seen = fed(&[bad.clone(), good.clone()].concat());
        assert_eq!(seen.len(), 2, "{why:?}");
        assert_eq!(seen[0].refusals[0].why, why);
        assert_eq!(seen[0].raw, bad);
        assert_eq!(texts(&seen[1]), ["97.5", "37", "0.45"]);
    }
}

#[test]
fn a_false_start_does_not_swallow_the_frame_behind_it() {
    let good = frame(&[1, 0x03, 0xcf, 0, 37, 45, 9]);
    let mut driver = driver();
    driver.receive(&[&[0xaa, 0x55, 20][..], &good].concat(), Peer::STREAM, NOW);
    assert!(messages(&mut driver).is_empty());
    driver.wake(driver.next_wake().unwrap());
    let seen = messages(&mut driver);
    assert_eq!(seen.iter().map(|one| texts(one).len()).sum::<usize>(), 3);
    assert_eq!(seen.iter().map(|one| one.raw.len()).sum::<usize>(), 3 + good.len());
    assert_eq!(driver.next_wake(), None);
}

/// Noise is due 1000 ms after it came (`frame_unfinished_ms`); the frame that began 980 ms after it
/// has its own second.
#[test]
fn noise_that_is_due_does_not_take_the_frame_behind_it() {
    let good = frame(&[1, 0x03, 0xcf, 0, 37, 45, 9]);
    // Plain noise, the head of a start mark, and a whole false start with a length.
    for noise in [&[0x13][..], &[0xaa], &[0xaa, 0x55, 20]] {
        let mut driver = driver();
        driver.receive(noise, Peer::STREAM, NOW);
        let (head, tail) = good.split_at(4);
        driver.receive(head, Peer::STREAM, NOW.plus_ms(980));
        assert_eq!(driver.next_wake(), Some(NOW.plus_ms(1000)));
        driver.wake(NOW.plus_ms(1000));
        assert_eq!(driver.next_wake(), Some(NOW.plus_ms(1980)));
        driver.receive(tail, Peer::STREAM, NOW.plus_ms(1020));
        let seen = messages(&mut driver);
        assert_eq!(seen.len(), 2, "{noise:02X?}");
        assert_eq!(seen[0].raw, noise);
        assert_eq!(texts(&seen[1]), ["97.5", "37", "0.45"]);
        assert_eq!(driver.next_wake(), None);
    }
}

#[test]
fn no_flipped_bit_yields_a_value() {
    let good = frame(&[1, 0x03, 0xcf, 0, 37, 45, 9]);
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut driver = driver();
        driver.receive(&flipped, Peer::STREAM, NOW);
        while let Some(due) = driver.next_wake() {
            driver.wake(due);
        }
        assert!(messages(&mut driver).iter().all(|one| one.groups.is_empty()), "bit {bit}");
    }
}

#[test]
fn cuts_change_nothing() {
    let good = frame(&[1, 0x03, 0xcf, 0, 37, 45, 9]);
    let stream = [&[1, 2, 0xaa][..], &good, &[0xaa, 0x55, 2, 1, 2, 3, 4], &good, &good].concat();
    let whole = fed(&stream);
    for cut in 0..stream.len() {
        let mut driver = driver();
        let (head, tail) = stream.split_at(cut);
        driver.receive(head, Peer::STREAM, NOW);
        driver.receive(tail, Peer::STREAM, NOW);
        assert_eq!(messages(&mut driver), whole, "cut at {cut}");
    }
}
