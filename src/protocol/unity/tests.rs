//! Datagrams are built here from the sheet's words, apart from the driver's reader.

use super::*;
use crate::vocabulary::reading::EventKind;
use crate::vocabulary::{Certainty, DeviceCode};

const NOW: Moment = Moment::new(1_000_000, 1_700_000_000_000_000, Certainty::Synchronised);
const NUMERICS: Peer = Peer(3011);

fn driver() -> UnityDriver {
    let profile = UnityProfile { ask: true, source: "test".to_owned(), evidence: None };
    let mut driver = UnityDriver::new(Arc::new(profile));
    driver.link(LinkChange::Opened { session: Session(7) }, NOW);
    driver
}

fn events(driver: &mut UnityDriver) -> Vec<Event> {
    std::iter::from_fn(|| driver.poll()).collect()
}

fn fed(driver: &mut UnityDriver, datagram: &[u8]) -> Vec<Message> {
    driver.receive(datagram, NUMERICS, NOW);
    let only = |event| {
        if let Event::Message(message) = event { Some(message) } else { None }
    };
    events(driver).into_iter().filter_map(only).collect()
}

fn header(sub: u8, sequence: u16, count: usize) -> Vec<u8> {
    let mut header = vec![192, 168, 0, 195, 0, 0, 192, 168, 0, 195, 0, 0, 0, 0xc9, 0, sub, 0, 1];
    header.extend([(sequence / 256) as u8, (sequence % 256) as u8]);
    header.resize(58, 0);
    header.extend([(count / 256) as u8, (count % 256) as u8]);
    header
}

/// Code, three values, three pairs of limits.
type Parameter = (u8, [i16; 3], [[i16; 2]; 3]);

fn numerics(sequence: u16, parameters: &[Parameter]) -> Vec<u8> {
    let body = 6 + 70 * parameters.len();
    let mut datagram = header(0x14, 0, 60 + body);
    datagram.extend(header(0x14, sequence, body));
    datagram.extend([0, 3, 3, 1, parameters.len() as u8, 0]);
    for (code, values, limits) in parameters {
        datagram.extend([1, *code, 0xc0, 0xe0]);
        values.iter().for_each(|value| datagram.extend((*value as u16).to_be_bytes()));
        datagram.extend([0; 14]);
        datagram.extend([3, *code, 0xa0, 0x20, 0, 0]);
        limits.iter().flatten().for_each(|limit| datagram.extend((*limit as u16).to_be_bytes()));
        datagram.extend([0; 2 + 20]);
        datagram.extend([11, *code, 0, 0, (sequence % 256) as u8, 0]);
    }
    datagram
}

const NONE: [[i16; 2]; 3] = [[0; 2]; 3];
const OFF: i16 = -32768;

/// What the sheet says of the capture: SpO2 97 and pulse rate 64 with their limits, heart rate and
/// cuff without a value.
fn as_captured(sequence: u16) -> Vec<u8> {
    numerics(
        sequence,
        &[
            (0x3a, [OFF; 3], [[35, 110], [0, 6], [0, 0]]),
            (0x2d, [97, 64, -32767], [[94, 101], [35, 110], [0, 0]]),
            (0x18, [OFF; 3], [[40, 140], [80, 160], [20, 120]]),
            (0x56, [OFF; 3], NONE),
        ],
    )
}

fn name(reading: &Reading) -> &str {
    match &reading.code {
        DeviceCode::Parameter(name) => name,
        DeviceCode::Codings(codings) => &codings[0].code,
    }
}

fn texts(messages: &[Message]) -> Vec<String> {
    let readings = messages.iter().flat_map(|one| &one.groups).flat_map(|group| &group.readings);
    readings
        .map(|reading| match reading.value.absent_reason() {
            Some(reason) => format!("{} absent {reason}", name(reading)),
            None => format!("{} {} {}", name(reading), reading.value.as_sent(), reading.limits),
        })
        .collect()
}

#[test]
fn the_figures_of_the_capture() {
    let datagram = as_captured(0x51);
    let seen = fed(&mut driver(), &datagram);
    assert_eq!(
        texts(&seen),
        [
            "heart-rate absent invalid",
            "3A.1 absent invalid",
            "3A.2 absent invalid",
            "spo2 97 94-101",
            "pulse-rate-pleth 64 35-110",
            "2D.2 absent not-available",
            "56.0 absent invalid",
            "56.1 absent invalid",
            "56.2 absent invalid",
        ]
    );
    let at = seen[0].groups[0].readings[3].at.clone();
    assert_eq!(datagram[at], [0, 97]);
    assert!(seen[0].refusals.is_empty());
}

#[test]
fn a_cuff_pressure_says_the_mean_first_and_is_told_when_it_changes() {
    let mut driver = driver();
    let mut all = Vec::new();
    let pressures = [[90, 120, 70], [90, 120, 70], [OFF; 3], [90, 120, 70], [91, 121, 70]];
    for (sequence, values) in pressures.into_iter().enumerate() {
        all.push(texts(&fed(&mut driver, &numerics(sequence as u16, &[(0x18, values, NONE)]))));
    }
    let told = |mean: i16, systolic: i16| {
        vec![
            format!("nibp-mean {mean} "),
            format!("nibp-systolic {systolic} "),
            "nibp-diastolic 70 ".to_owned(),
        ]
    };
    assert_eq!(all, [told(90, 120), vec![], vec![], told(90, 120), told(91, 121)]);
}

#[test]
fn the_unit_of_a_cuff_pressure_is_not_proven_and_every_one_says_so() {
    let flags = |code| {
        let seen = fed(&mut driver(), &numerics(1, &[(code, [90, 120, 70], NONE)]));
        let readings = seen.into_iter().flat_map(|one| one.groups).flat_map(|group| group.readings);
        let marked = |reading: &Reading| {
            reading.flags.iter().filter(|flag| flag.0 == "unit-not-proven").count()
        };
        readings.map(|reading| marked(&reading)).collect::<Vec<_>>()
    };
    assert_eq!(flags(0x18), [1, 1, 1]);
    assert_eq!(flags(0x2d), [0, 0, 0]);
}

#[test]
fn every_mark_is_absent() {
    let cases = [
        (-32768, "invalid"),
        (-32767, "not-available"),
        (-32766, "not-stated"),
        (-32762, "not-stated"),
        (-32761, "sensor-fault"),
    ];
    for (raw, reason) in cases {
        let seen = fed(&mut driver(), &numerics(1, &[(0x22, [raw, OFF, OFF], NONE)]));
        assert_eq!(texts(&seen)[0], format!("respiration-rate absent {reason}"));
    }
}

#[test]
fn codes_whose_step_is_not_known_stay_unmapped() {
    let seen = fed(
        &mut driver(),
        &numerics(
            1,
            &[(0x23, [371, 0, 0], NONE), (0x23, [368, 0, 0], NONE), (0xee, [1, 2, 3], NONE)],
        ),
    );
    assert_eq!(texts(&seen)[0], "23.0 371 ");
    assert_eq!(texts(&seen)[6..], ["EE.0 1 ", "EE.1 2 ", "EE.2 3 "]);
    let readings = &seen[0].groups[0].readings;
    assert_eq!((readings[0].sub_id.as_str(), readings[3].sub_id.as_str()), ("", "2"));
    assert!(readings.iter().all(|reading| reading.unit.is_none()));
}

#[test]
fn the_request_is_the_captured_one_and_goes_out_every_five_seconds() {
    let mut driver = driver();
    let mut sent = Vec::new();
    let mut troubles = Vec::new();
    for second in 0..60 {
        let now = NOW.plus_ms(second * 1000);
        match second {
            12 | 13 | 20 => driver.receive(&as_captured(second as u16), NUMERICS, now),
            22 => driver.link(LinkChange::Closed, now),
            25 => driver.link(LinkChange::Opened { session: Session(8) }, now),
            _ => {}
        }
        while driver.next_wake().is_some_and(|next| next <= now) {
            driver.wake(now);
        }
        for event in events(&mut driver) {
            match event {
                Event::Send { bytes, to } => sent.push((second, bytes, to)),
                Event::Trouble { words } => troubles.push((second, words.is_some())),
                Event::Message(_)
                | Event::Samples(_)
                | Event::Identity(_)
                | Event::Close { .. } => {}
            }
        }
    }
    assert!(sent.iter().all(|(_, bytes, to)| *bytes == REQUEST && *to == Peer::STREAM));
    let times: Vec<u64> = sent.iter().map(|(second, ..)| *second).collect();
    assert_eq!(times, [5, 10, 15, 20, 30, 35, 40, 45, 50, 55]);
    assert_eq!(troubles, [(10, true), (12, false), (35, true)]);
    assert_eq!(REQUEST.len(), 62);
    assert_eq!(&REQUEST[24..33], b"HOME|B-02");
}

#[test]
fn a_monitor_that_is_only_heard_is_sent_nothing() {
    let profile = UnityProfile { ask: false, source: "test".to_owned(), evidence: None };
    let mut driver = UnityDriver::new(Arc::new(profile));
    driver.link(LinkChange::Opened { session: Session(1) }, NOW);
    assert_eq!(driver.next_wake(), None);
    driver.wake(NOW.plus_ms(60_000));
    assert!(events(&mut driver).is_empty());
}

#[test]
fn what_came_twice_or_late_is_not_read_again_and_gaps_are_said() {
    let mut driver = driver();
    let mut seen = Vec::new();
    for sequence in [10, 11, 11, 10, 14, 15, 2, 3] {
        let messages = fed(&mut driver, &as_captured(sequence));
        let refusals =
            messages[0].refusals.iter().map(|one| one.detail.clone()).collect::<Vec<_>>();
        seen.push((!messages[0].groups.is_empty(), refusals.join("")));
    }
    let read: Vec<bool> = seen.iter().map(|one| one.0).collect();
    // 2 seems late; 3 follows it, so the monitor counts anew.
    assert_eq!(read, [true, true, false, false, true, true, false, true]);
    assert!(seen[4].1.starts_with("2 datagrams"));
    // A monitor that was switched off and on is far away.
    let mut driver = self::driver();
    fed(&mut driver, &as_captured(5000));
    let anew = fed(&mut driver, &as_captured(1));
    assert!(!anew[0].groups.is_empty() && anew[0].refusals.is_empty());
}

/// The alarm of the sheet: function 201 sub 4, ward and bed at 24, code at 63, text at 66, counter
/// at 80.
fn alarm(code: u8, text: &[u8], counter: u8) -> Vec<u8> {
    let mut datagram = vec![192, 168, 0, 255, 0, 0, 192, 168, 0, 195, 0, 0, 0, 0xc9, 0, 4];
    datagram.resize(24, 0);
    datagram.extend(b"HOME|B-01");
    datagram.resize(63, 0);
    datagram.extend([code, 1, 1]);
    datagram.extend(text);
    datagram.resize(80, 0);
    datagram.extend([0, 0, 0, counter]);
    datagram
}

#[test]
fn an_alarm_is_an_event_when_it_changes() {
    let mut driver = driver();
    let counts: Vec<usize> = [
        alarm(0x3a, b"ABLTG AUSFALL", 1),
        alarm(0x3a, b"ABLTG AUSFALL", 2),
        alarm(0x2d, b"SPO2 TIEF", 3),
        alarm(0x3a, b"ABLTG AUSFALL", 4),
    ]
    .iter()
    .map(|datagram| fed(&mut driver, datagram)[0].groups.len())
    .collect();
    assert_eq!(counts, [1, 0, 1, 1]);
    let seen = fed(&mut self::driver(), &alarm(0x3a, b"ABLTG AUSFALL", 1));
    let group = &seen[0].groups[0];
    assert_eq!(group.event, Some(EventKind::Alarm));
    assert_eq!(group.subject.place, "HOME|B-01");
    assert_eq!(texts(&seen), ["alarm.code 3A ", "alarm.text ABLTG AUSFALL "]);
    let odd = fed(&mut self::driver(), &alarm(0x3a, b"\xc4", 1));
    assert_eq!(odd[0].refusals[0].why, Why::Charset);
}

#[test]
fn a_patients_name_in_a_discovery_broadcast_is_not_kept() {
    let mut datagram = vec![1, 4, 0, 0, 192, 168, 0, 195, 0, 0, 0, 1];
    datagram.extend(b"ICU|B-01");
    datagram.resize(28, 0);
    datagram.extend(b"VIRTANEN,V");
    datagram.resize(88, 0);
    let mut driver = driver();
    driver.receive(&datagram, Peer(3028), NOW);
    assert!(events(&mut driver).is_empty());
    // Damaged, it is kept raw and shown nowhere.
    datagram.push(0);
    let seen = fed(&mut driver, &datagram);
    assert_eq!(seen[0].refusals[0].why, Why::UnknownMessage);
    assert!(!format!("{seen:?}").contains("VIRTANEN"));
}

#[test]
fn what_the_structure_reveals_gives_no_value() {
    let good = as_captured(7);
    for at in 0..good.len() {
        let seen = fed(&mut driver(), &good[..at]);
        assert!(seen.iter().all(|one| one.groups.is_empty()), "cut at {at}");
    }
    // Lengths, counts, both headers' addresses and functions, the codes.
    let checked =
        [12, 15, 58, 59, 60, 66, 73, 75, 118, 119, 124, 127, 126 + 24, 126 + 25, 126 + 65];
    for at in checked {
        let mut damaged = good.clone();
        damaged[at] ^= 0x10;
        let seen = fed(&mut driver(), &damaged);
        assert!(seen.iter().all(|one| one.groups.is_empty()), "byte {at}");
    }
    let longer = [&good[..], &[0]].concat();
    assert_eq!(fed(&mut driver(), &longer)[0].refusals[0].why, Why::TooLong);
}

#[test]
fn garbage_never_panics() {
    let mut state = 0x1234_5678_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    let mut driver = driver();
    for _ in 0..2000 {
        let mut datagram =
            if random() % 4 == 0 { alarm(1, b"X", 1) } else { as_captured(random() as u16) };
        for _ in 0..random() % 8 {
            let at = random() % datagram.len().max(1);
            match random() % 3 {
                0 => datagram.truncate(at),
                1 => datagram.insert(at.min(datagram.len()), random() as u8),
                _ => datagram.iter_mut().skip(at).take(1).for_each(|byte| *byte = random() as u8),
            }
        }
        driver.receive(&datagram, Peer(random() as u32), NOW);
        driver.wake(NOW);
        events(&mut driver);
    }
}
