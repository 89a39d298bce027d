//! Devices that must be asked: what is sent, when, and what comes of the answers.

use super::*;
use crate::protocol::{NotKept, Settled};

const PB_840: &str = include_str!("../../../../device-profiles/puritan-bennett/840/profile.toml");
const CAPNOSTREAM: &str =
    include_str!("../../../../device-profiles/oridion/capnostream-20/profile.toml");
const BIS: &str = include_str!("../../../../device-profiles/medtronic/bis-vista/profile.toml");

/// What a driver sends until `until_ms` if it hears `heard`, each at its time.
fn sent(text: &str, until_ms: u64, heard: &[(u64, Vec<u8>)]) -> Vec<(u64, Vec<u8>)> {
    let mut driver = opened(text);
    let mut sent = Vec::new();
    let mut heard = heard.iter().peekable();
    let mut now = 0;
    loop {
        while let Some(event) = driver.poll() {
            match event {
                Event::Send { bytes, .. } => sent.push((now, bytes)),
                Event::Message(message) => {
                    driver.settled(message.id, Settled::Durable, START.plus_ms(now));
                }
                Event::Samples(_)
                | Event::Identity(_)
                | Event::Trouble { .. }
                | Event::Close { .. } => {}
            }
        }
        let wake = driver.next_wake().map_or(u64::MAX, |wake| wake.since_ms(START));
        match heard.peek() {
            Some((at, bytes)) if *at <= wake => {
                now = *at;
                driver.receive(bytes, Peer::STREAM, START.plus_ms(now));
                heard.next();
            }
            _ if wake <= until_ms => {
                now = wake;
                driver.wake(START.plus_ms(now));
            }
            _ => return sent,
        }
    }
}

fn capnostream(payload: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::try_from(payload.len()).unwrap()];
    body.extend_from_slice(payload);
    body.push(body.iter().fold(0, |sum, byte| sum ^ byte));
    let mut frame = vec![0x85];
    for byte in body {
        match byte {
            0x80 => frame.extend([0x80, 0x00]),
            0x85 => frame.extend([0x80, 0x05]),
            other => frame.push(other),
        }
    }
    frame
}

/// Numerics by facts/monitors.md 4.4: etCO2, FiCO2, RR, SpO2, pulse, then the bytes named.
fn numerics(values: [u8; 5], unit: u8, named: &[(usize, u8)]) -> Vec<u8> {
    let mut payload = [0u8; 27];
    payload[..4].copy_from_slice(&[0x50, 0x85, 0x80, 0x01]);
    payload[4..9].copy_from_slice(&values);
    payload[25] = unit;
    for (at, byte) in named {
        payload[*at] = *byte;
    }
    capnostream(&[&[1], &payload[..]].concat())
}

fn identification() -> Vec<u8> {
    capnostream(b"\x04V45.67 02/24/2008 B355987654  ")
}

/// The three frames of facts/monitors.md 4.4, and when they are due.
#[test]
fn capnostream_is_enabled_started_and_kept_alive() {
    let (enable, start, alive) = ([0x85, 1, 1, 0], [0x85, 1, 4, 5], [0x85, 1, 6, 7]);
    let numbers = || numerics([45, 0, 15, 97, 72], 1, &[]);
    let mut heard = vec![(1200, identification())];
    heard.extend((3..=9).map(|second| (second * 1000, numbers())));
    let seen = sent(CAPNOSTREAM, 21_000, &heard);
    let expected: Vec<(u64, Vec<u8>)> = vec![
        (1000, enable.to_vec()),
        (2000, start.to_vec()),
        (5000, alive.to_vec()),
        (10_000, alive.to_vec()),
        (15_000, alive.to_vec()),
        // Silent since second 9: enabled anew.
        (19_000, enable.to_vec()),
        (20_000, alive.to_vec()),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn capnostream_numbers_units_marks_and_who_it_is() {
    let stream = [
        identification(),
        numerics([45, 0, 15, 97, 72], 1, &[]),
        numerics([0x2d, 1, 15, 97, 72], 2, &[]),
        numerics([0x80, 0x85, 15, 97, 72], 3, &[]),
        numerics([0xff, 0xff, 0xff, 0xff, 0xff], 1, &[]),
        numerics([45, 0, 15, 97, 72], 1, &[(14, 0x20), (13, 0x02)]),
        numerics([45, 0, 15, 97, 72], 1, &[(26, 0x14)]),
    ]
    .concat();
    let rest = "co2-resp-rate=15; spo2=97; pulse-rate-pleth=72";
    let void = |name: &str| format!("{name}:not-available");
    let names = ["away-co2-et", "away-co2-insp", "co2-resp-rate", "spo2", "pulse-rate-pleth"];
    let off = |name: &str| format!("{name}:off [pump-off, byte-27-bit-4]");
    let odd = |name: &str, value| format!("{name}={value} [byte-27-bit-4]");
    assert_eq!(
        read(CAPNOSTREAM, &stream),
        [
            "firmware V45.67".to_owned(),
            format!("away-co2-et=45; away-co2-insp=0; {rest}"),
            format!("away-co2-et=4.5; away-co2-insp=0.1; {rest}"),
            format!("away-co2-et=12.8; away-co2-insp=13.3; {rest}"),
            names.map(void).join("; "),
            "away-co2-et=45 [etco2-high]; away-co2-insp=0; co2-resp-rate=15; \
             spo2:probe-off [spo2-sensor-off-patient]; \
             pulse-rate-pleth:probe-off [spo2-sensor-off-patient]"
                .to_owned(),
            format!(
                "{}; {}; {}; {}; {}",
                off(names[0]),
                off(names[1]),
                off(names[2]),
                odd(names[3], 97),
                odd(names[4], 72)
            ),
        ]
    );
    let profile = profile(CAPNOSTREAM);
    let mut driver = profile.driver("V45.67", Site::default());
    driver.receive(&identification(), Peer::STREAM, START);
    let identity = std::iter::from_fn(|| driver.poll()).find_map(|event| match event {
        Event::Identity(identity) => Some(identity),
        Event::Message(_)
        | Event::Send { .. }
        | Event::Samples(_)
        | Event::Trouble { .. }
        | Event::Close { .. } => None,
    });
    assert_eq!(identity.unwrap().serial_number, "B355987654");
}

#[test]
fn capnostream_shifted_damaged_and_foreign_frames_give_nothing() {
    let good = numerics([45, 0, 15, 97, 72], 1, &[]);
    // A byte too much before the numbers: the unit byte is an alarm limit then, and the pulse
    // rate stands where the saturation was.
    let shifted = capnostream(&[&[1, 0, 0, 0, 0, 0, 45, 0, 15, 97, 130][..], &[50; 18]].concat());
    let high = numerics([45, 0, 15, 101, 72], 1, &[]);
    let unit = numerics([45, 0, 15, 97, 72], 0, &[]);
    let unknown = capnostream(&[9, 1, 2]);
    let short = capnostream(&[1, 2, 3]);
    for (bad, why) in [
        (shifted, "!unreadable"),
        (high, "!unreadable"),
        (unit, "!unreadable"),
        (unknown, "!unknown-message"),
        (short, "!too-short"),
    ] {
        let seen = read(CAPNOSTREAM, &[bad, good.clone()].concat());
        assert_eq!(seen[0], why);
        assert_eq!(seen.len(), 2);
        assert!(seen[1].starts_with("away-co2-et=45"));
    }
    // Cut off in the middle; the next start mark begins a frame all the same.
    let seen = read(CAPNOSTREAM, &[&good[..9], &good].concat());
    assert!(seen[0] == "!too-short" && seen[1].contains("spo2=97"), "{seen:?}");
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut driver = opened(CAPNOSTREAM);
        driver.receive(&flipped, Peer::STREAM, START);
        driver.link(LinkChange::Closed, START);
        let seen: Vec<String> = messages(driver.as_mut()).iter().map(shown).collect();
        assert!(seen.iter().all(|one| one.starts_with('!')), "bit {bit}: {seen:?}");
    }
    // A wave is passed over.
    assert!(read(CAPNOSTREAM, &capnostream(&[0, 7, 38, 64, 0])).is_empty());
}

/// A report by the form in the manuals: fields of six characters, `fields` by their numbers.
fn report(kind: &str, last: usize, fields: &[(usize, &str)]) -> Vec<u8> {
    let mut body = String::new();
    for number in 5..=last {
        let width = if number == 6 { 18 } else { 6 };
        let text = fields.iter().find(|(at, _)| *at == number).map_or("", |(_, text)| text);
        body.push_str(&format!("{text:<width$},"));
    }
    let (bytes, count) = (body.len() + 1, last - 4);
    format!("{kind},{bytes},{count},\u{2}{body}\u{3}\r").into_bytes()
}

fn misca(fields: &[(usize, &str)]) -> Vec<u8> {
    report("MISCA", 101, fields)
}

#[test]
fn pb_840_is_asked_in_turn_and_never_faster_than_every_two_seconds() {
    let seen = sent(PB_840, 8000, &[(2500, misca(&[]))]);
    let shown: Vec<(u64, String)> =
        seen.into_iter().map(|(at, bytes)| (at, String::from_utf8(bytes).unwrap())).collect();
    let expected = [(2000, "SNDA\r"), (4000, "SNDF\r"), (6000, "SNDA\r"), (8000, "SNDF\r")];
    assert_eq!(shown, expected.map(|(at, text)| (at, text.to_owned())));
}

#[test]
fn who_does_not_answer_is_told_on_until_he_does() {
    let mut driver = opened(PB_840);
    let mut told = Vec::new();
    let mut take = |driver: &mut dyn Driver| {
        while let Some(event) = driver.poll() {
            if let Event::Trouble { words } = event {
                told.push(words.map(|words| words.contains("answers none of the requests")));
            }
        }
    };
    for second in [2, 4, 6, 8, 10] {
        driver.wake(START.plus_ms(second * 1000));
        take(driver.as_mut());
    }
    driver.receive(&misca(&[]), Peer::STREAM, START.plus_ms(10_500));
    take(driver.as_mut());
    assert_eq!(told, [Some(true), None]);
}

#[test]
fn pb_840_fields_by_their_numbers() {
    let fields = [
        (6, "3510012345"),
        (9, "SIMV"),
        (13, "40"),
        (34, "14"),
        (35, "0.48"),
        (36, "6.7"),
        (38, "22"),
        (39, "----"),
        (52, "ALARM"),
        (54, "NORMAL"),
        (57, "RESET"),
    ];
    let seen = read(PB_840, &misca(&fields)).remove(0);
    let parts: Vec<&str> = seen.split("; ").collect();
    for part in [
        "(PB_MODE)=SIMV [apnea:RESET]",
        "(PB_SETTING_O2PCT)=40 [apnea:RESET]",
        "vent-respiration-rate-total=14 [apnea:RESET]",
        "vent-vol-tidal=0.48 [apnea:RESET]",
        "vent-vol-minute-exp=6.7 [exhaled-minute-volume:ALARM, apnea:RESET]",
        "vent-press-max=22 [apnea:RESET]",
        "vent-airway-pressure-mean:not-available [apnea:RESET]",
        "compl-lung-dyn:not-stated [apnea:RESET]",
    ] {
        assert!(parts.contains(&part), "{part} is not in {parts:#?}");
    }
    assert!(!seen.contains('!'), "{seen}");
    let miscf = report("MISCF", 173, &[(70, "14"), (71, "0.48"), (73, "22"), (118, "ALARM")]);
    let seen = read(PB_840, &miscf).remove(0);
    for part in ["vent-respiration-rate-total=14", "vent-vol-tidal=0.48", "vent-press-max=22"] {
        assert!(seen.split("; ").any(|one| one == part), "{part} is not in {seen}");
    }
}

#[test]
fn pb_840_counts_and_marks_must_fit() {
    let good = String::from_utf8(misca(&[(34, "14")])).unwrap();
    let (head, tail) = good.split_once('\u{2}').unwrap();
    let bytes: usize = head.split(',').nth(1).unwrap().parse().unwrap();
    // One byte less: the count up to the closing mark.
    let other = good.replace(&format!(",{bytes},"), &format!(",{},", bytes - 1));
    assert!(read(PB_840, other.as_bytes())[0].contains("vent-respiration-rate-total=14"));
    for bad in [
        good.replacen("14    ", "14   ", 1),
        good.replacen("14    ,", "14     ", 1),
        good.replacen(",97,", ",96,", 1),
        good.replace('\u{3}', ""),
        good.replace('\u{2}', ""),
        format!("{head}{tail}"),
        good.replace(&format!(",{bytes},"), &format!(",{},", bytes + 1)),
        good.replacen(",97,", ",xx,", 1),
    ] {
        let seen = read(PB_840, bad.as_bytes());
        assert!(seen.iter().all(|one| one.starts_with('!')), "{seen:?}");
    }
}

/// A data frame by facts/monitors.md 4.5, with processed data in the program's structure.
fn bis(number: u16, message: u8, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut body = vec![4, 0, 0, 0, message, 0, 0, 0];
    body.extend(number.to_le_bytes());
    body.extend(length.to_le_bytes());
    body.extend_from_slice(data);
    let mut checked = number.to_le_bytes().to_vec();
    checked.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
    checked.extend([1, 0]);
    checked.extend(body);
    let sum: u32 = checked.iter().map(|byte| u32::from(*byte)).sum();
    [&[0xba, 0xab], &checked[..], &[(sum % 256) as u8, (sum / 256 % 256) as u8]].concat()
}

/// Processed data: burst suppression, spectral edge, BIS, total power, EMG, quality.
fn processed(numbers: [i16; 5], quality: i32) -> Vec<u8> {
    let mut data = vec![0x11; 96];
    let [bsr, edge, bis, power, emg] = numbers.map(i16::to_le_bytes);
    for part in [bsr, edge, [0, 0], bis, [1, 0], [1, 0], power, emg] {
        data.extend(part);
    }
    data.extend(quality.to_le_bytes());
    data.extend([0; 4]);
    data
}

#[test]
fn bis_is_started_and_every_kept_frame_acknowledged() {
    // The start request of facts/monitors.md 4.5, byte for byte.
    let start = [
        0xba, 0xab, 0x00, 0x00, 0x0d, 0x00, 0x01, 0x00, 0x04, 0x00, 0x00, 0x00, 0x73, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x86, 0x00,
    ];
    let data = processed([0, 1250, 450, 6000, 3000], 950);
    let heard = [(1500, bis(7, 0x34, &data)), (2500, bis(0x0102, 0x32, &[1, 2]))];
    let seen = sent(BIS, 7000, &heard);
    let acknowledged = [0xba, 0xab, 7, 0, 0, 0, 2, 0, 9, 0];
    // Also for a kind of data that the file does not know: it is kept raw.
    let unknown = [0xba, 0xab, 2, 1, 0, 0, 2, 0, 5, 0];
    let expected: Vec<(u64, Vec<u8>)> = vec![
        (1000, start.to_vec()),
        (1500, acknowledged.to_vec()),
        (2500, unknown.to_vec()),
        // Silent since 1500: what nobody knows is no sign that the stream runs.
        (6500, start.to_vec()),
    ];
    assert_eq!(seen, expected);
    let mut driver = opened(BIS);
    driver.receive(&heard[0].1, Peer::STREAM, START);
    let id = messages(driver.as_mut())[0].id;
    driver.settled(id, Settled::NotKept(NotKept::NoStorage), START);
    assert_eq!(driver.poll(), None, "what is not kept is not acknowledged");
}

#[test]
fn bis_numbers_limits_and_the_mark_that_nothing_is_proven() {
    let mark = "[scale-not-proven]";
    let good = bis(1, 0x34, &processed([12, 1250, 450, 6000, 3000], 950));
    let expected = format!(
        "eeg-parox-crtx-burst-supprn=1.2 {mark}; eeg-freq-pwr-spec-crtx-spectral-edge=12.50 \
         {mark}; (BIS)=45.0 {mark}; (TPOWER)=60.00 {mark}; (EMG_LOW)=30.00 {mark}; \
         (SQI)=95.0 {mark}"
    );
    assert_eq!(read(BIS, &good), [expected]);
    // With more variables the same numbers stand further back: 120 bytes before them, 12 behind.
    let plain = processed([12, 1250, 450, 6000, 3000], 950);
    let more = [&[0x22; 24], &plain[..], &[0x33; 12]].concat();
    assert_eq!(read(BIS, &bis(5, 0x34, &more)), read(BIS, &good));
    let invalid = bis(2, 0x34, &processed([-3277, -3278, -32768, -3277, -3277], -3277));
    assert!(!read(BIS, &invalid)[0].contains('='));
    assert_eq!(read(BIS, &invalid)[0].matches(":invalid").count(), 6);
    // Between the limit and zero a number is neither invalid nor possible.
    let between = bis(3, 0x34, &processed([0, 0, -3276, 0, 0], 0));
    assert_eq!(read(BIS, &between), ["!unreadable"]);
    assert_eq!(read(BIS, &bis(4, 0x35, &[0; 364])), ["!unknown-message"]);
    let mut damaged = good.clone();
    damaged[120] ^= 1;
    let seen = read(BIS, &[damaged, good].concat());
    assert!(seen[0].starts_with('!') && seen.last().unwrap().contains("(BIS)=45.0"), "{seen:?}");
}
