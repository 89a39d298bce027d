//! Everything that was ever sent, in every scenario, is one of the family's templates, and comes no
//! sooner after itself than its spacing.

use super::monitor::{error, word};
use super::*;

/// Which template a message is; the free parts are left out.
fn template(message: &[u8], bytes_max: u32, waves: usize) -> (&'static str, u64) {
    let zeroed = |message: &[u8], places: &[usize]| {
        let mut zeroed = message.to_vec();
        for place in places {
            zeroed[*place..*place + 2].fill(0);
        }
        zeroed
    };
    match message[0] {
        0x0d => {
            let mut expected = association::request(8_000, 1364);
            // The message size of the device file, twice.
            for at in [190, 194] {
                expected[at..at + 4].copy_from_slice(&bytes_max.to_be_bytes());
            }
            assert_eq!(message, expected);
            ("association request", 2_000)
        }
        0x19 => {
            assert_eq!(message, monitor::abort());
            ("abort", 2_000)
        }
        0x0a => {
            let mut expected = monitor::release_request();
            (expected[0], expected[13]) = (0x0a, 0x63);
            assert_eq!(message, expected);
            ("release response", 1_000)
        }
        0xe1 if word(message, 4) == 2 => {
            let expected =
                hex("E1000002 0002 0014 0000 0001 000E 0021 0000 0000 00000000 0D06 0000");
            assert_eq!(zeroed(message, &[8, 20, 22]), expected);
            ("create result", 100)
        }
        0xe1 if word(message, 10) == 5 => {
            let list = 4 * waves as u16;
            let head = hex("E1000002 0001");
            let lengths =
                monitor::be(&[list + 30, 0, 5, list + 24, 0x21, 0, 0, 0, 0, 1, list + 10, 0]);
            let list = monitor::be(&[0xf23a, list + 4, waves as u16, list]);
            let expected = [head, lengths, list].concat();
            assert_eq!(zeroed(&message[..expected.len()], &[8]), expected);
            assert_eq!(message.len(), expected.len() + 4 * waves);
            ("choice of waves", 2_000)
        }
        0xe1 => poll(&zeroed(message, &[8, 28])),
        _ => panic!("sent {message:02X?}"),
    }
}

fn poll(message: &[u8]) -> (&'static str, u64) {
    let single = |class: u16, group: u16| {
        let mut expected =
            hex("E1000002 0001 001C 0000 0007 0016 0021 0000 0000 00000000 0C16 0008 0000 0001");
        expected.extend(monitor::be(&[class, group]));
        expected
    };
    let extended = |class: u16, group: u16| {
        let mut expected =
            hex("E1000002 0001 0028 0000 0007 0022 0021 0000 0000 00000000 F13B 0014 0000 0001");
        expected.extend(monitor::be(&[class, group]));
        expected.extend(hex("0001 0008 F13E 0004 00075300"));
        expected
    };
    let templates = [
        ("MDS", single(0x21, 0), 2_000),
        ("numerics, static", single(0x06, 0x0811), 2_000),
        ("numerics, dynamic", single(0x06, 0x0810), 2_000),
        ("patient", single(0x2a, 0x0807), 2_000),
        ("waves, static", single(0x09, 0x0811), 2_000),
        ("waves, dynamic", single(0x09, 0x0810), 2_000),
        ("keep-alive", single(0x36, 0x0811), 1_000),
        ("numerics", extended(0x06, 0x0803), 2_000),
        ("alarms", extended(0x36, 0x0801), 2_000),
        ("waves", extended(0x09, 0x0803), 2_000),
    ];
    let found = templates.into_iter().find(|(_, template, _)| template == message);
    let (name, _, spacing) = found.unwrap_or_else(|| panic!("sent {message:02X?}"));
    (name, spacing)
}

fn check(bench: &Bench, bytes_max: u32, waves: usize) {
    let mut last: BTreeMap<&str, Moment> = BTreeMap::new();
    let mut last_invoked: Option<Moment> = None;
    for (at, message, _) in &bench.all_sent {
        let (name, spacing) = template(message, bytes_max, waves);
        if let Some(before) = last.insert(name, *at) {
            let since = at.since_ms(before);
            assert!(since >= spacing, "{name} again after {since} ms");
        }
        if message[0] == 0xe1 && word(message, 4) == 1 {
            let since = last_invoked.map_or(u64::MAX, |before| at.since_ms(before));
            assert!(since >= 100, "{name} {since} ms after another one");
            last_invoked = Some(*at);
        }
    }
}

#[test]
fn in_every_scenario_only_templates_are_sent_and_none_too_soon() {
    for framing in [Framing::Lan, Framing::Rs232] {
        for waves in [0usize, 2] {
            let mut profile = profile(framing);
            let labels = ["0002-0102", "0002-4bb4"];
            profile.waves = labels[..waves]
                .iter()
                .map(|label| MdilCode::try_from((*label).to_owned()).unwrap())
                .collect();
            let bytes_max = profile.message_bytes_max;
            let mut bench = Bench::new(profile);
            // A link that comes and goes.
            for session in 1..6 {
                bench.driver.link(LinkChange::Opened { session: Session(session) }, bench.now);
                bench.drain();
                bench.pass(300);
            }
            everything(&mut bench);
            assert!(bench.all_sent.len() > 100, "{}", bench.all_sent.len());
            check(&bench, bytes_max, waves);
        }
    }
}

/// All that a monitor may do to a client, one after the other.
fn everything(bench: &mut Bench) {
    let mut monitor = Monitor::new();
    bench.live(&mut monitor, 130_000);
    // Strangers without end, errors to everything, silence, refusals.
    for round in 0..20u16 {
        monitor.numerics = vec![monitor::simple(100 + round, 0x4182, 0, 0x0aa0, 60)];
        bench.live(&mut monitor, 1_000);
    }
    for _ in 0..200 {
        bench.pass(50);
        for (_, message, _) in std::mem::take(&mut bench.sent) {
            bench.hear(&error(word(&message, 8), 10));
        }
    }
    monitor.is_off = true;
    monitor.power_cycle();
    bench.live(&mut monitor, 30_000);
    (monitor.is_off, monitor.refuses) = (false, true);
    bench.live(&mut monitor, 20_000);
    monitor.refuses = false;
    bench.live(&mut monitor, 15_000);
    // Endings and events that follow each other faster than anybody may answer.
    for round in 0..60 {
        let ending = if round % 2 == 0 { monitor::release_request() } else { monitor::abort() };
        bench.hear(&ending);
        bench.hear(&monitor::accept());
        bench.hear(&monitor::create_event(round));
        bench.hear(&monitor::create_event(round));
        monitor.power_cycle();
        bench.live(&mut monitor, u64::from(round) * 50);
    }
}
