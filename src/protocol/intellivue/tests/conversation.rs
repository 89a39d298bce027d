use super::monitor::{Part, Poll, error, object, simple};
use super::*;

fn kinds(bench: &Bench) -> Vec<u8> {
    bench.sent.iter().map(|(_, message, _)| message[0]).collect()
}

#[test]
fn it_associates_asks_for_identity_and_lists_first_and_then_for_values() {
    for framing in [Framing::Lan, Framing::Rs232] {
        let mut bench = Bench::open(framing);
        assert_eq!(kinds(&bench), [0x19], "an association of an earlier run is ended");
        let mut monitor = Monitor::new();
        bench.live(&mut monitor, 6_000);
        let first = [
            (0x21, 0),
            (0x06, 0x0811),
            (0x06, 0x0810),
            (0x06, 0x0803),
            (0x36, 0x0801),
            (0x2a, 0x0807),
        ];
        assert_eq!(monitor.asked[..6], first);
        assert_eq!(bench.said()[..2], ["0002-4182=60", "0002-4182=60"]);
        let expected = Identity {
            model: "866062".to_owned(),
            serial_number: "DE351A4061".to_owned(),
            firmware: "L.01.18".to_owned(),
        };
        assert_eq!(bench.identities, [expected]);
        assert!(bench.messages.iter().all(|one| one.firmware.as_deref() == Some("L.01.18")));
        assert_eq!((&bench.troubles[..], bench.refusals()), (&[][..], vec![]));
    }
}

#[test]
fn polls_are_renewed_before_they_end_and_values_come_every_second() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    bench.live(&mut monitor, 200_000);
    let count = bench.said().len();
    assert!((193..=199).contains(&count), "{count} values in 200 s");
    let renewed = monitor.asked.iter().filter(|asked| **asked == (0x06, 0x0803)).count();
    assert!((4..=6).contains(&renewed), "{renewed}");
}

#[test]
fn a_monitor_without_alarms_is_kept_alive() {
    let mut profile = profile(Framing::Lan);
    (profile.alarms, profile.demographics) = (false, false);
    let mut bench = Bench::new(profile);
    bench.driver.link(LinkChange::Opened { session: Session(1) }, START);
    bench.drain();
    let mut monitor = Monitor::new();
    bench.live(&mut monitor, 120_000);
    let alive = monitor.asked.iter().filter(|asked| **asked == (0x36, 0x0811)).count();
    assert!(alive >= 10, "{alive}");
    // The monitor ends an association after 10 s without a word.
    let times: Vec<u64> = bench.all_sent.iter().map(|(at, ..)| at.since_ms(START)).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] < 9_000), "{times:?}");
}

#[test]
fn after_a_power_cycle_it_associates_again_and_reads_the_new_handles() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    bench.live(&mut monitor, 8_000);
    monitor.is_off = true;
    monitor.power_cycle();
    bench.live(&mut monitor, 20_000);
    assert!(bench.troubles.last().unwrap().is_some());
    monitor.is_off = false;
    monitor.listed = vec![(99, 0x0402, 0x5108), (7, 2, 0x4bb8)];
    monitor.numerics = vec![simple(99, 0x5108, 0, 0x0f20, 12), simple(7, 0x4bb8, 0, 0x0220, 97)];
    bench.messages.clear();
    bench.live(&mut monitor, 10_000);
    // What handle 7 was before is forgotten, and a setting is no measurement.
    assert_eq!(bench.said()[..2], ["0402-5108=12", "0002-4bb8=97"]);
    assert_eq!(bench.troubles.last(), Some(&None));
}

#[test]
fn refusal_abort_and_release_lead_back_to_an_association() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    monitor.refuses = true;
    bench.live(&mut monitor, 12_000);
    let words = bench.troubles.last().cloned().flatten().unwrap();
    assert!(words.contains("refused the association"), "{words}");
    monitor.refuses = false;
    bench.live(&mut monitor, 10_000);
    assert_eq!(bench.troubles.last(), Some(&None));
    for ending in [monitor::abort(), monitor::release_request()] {
        bench.messages.clear();
        monitor.power_cycle();
        bench.sent.clear();
        bench.hear(&ending);
        let released = ending[0] == 0x09;
        assert_eq!(kinds(&bench), if released { vec![0x0a] } else { vec![] });
        bench.sent.clear();
        bench.live(&mut monitor, 8_000);
        assert!(!bench.said().is_empty());
    }
}

#[test]
fn the_create_event_is_answered_with_its_own_words() {
    let mut bench = Bench::open(Framing::Lan);
    bench.pass(1_500);
    bench.hear(&monitor::accept());
    bench.sent.clear();
    bench.hear(&monitor::create_event(0x0203));
    let (_, result, _) = &bench.sent[0];
    assert_eq!(result[..20], hex("E1000002 0002 0014 0203 0001 000E 0021 0000 0000")[..]);
    assert_eq!(result[24..], hex("0D06 0000")[..]);
    // It was lost on the way: the monitor sends the event again.
    bench.pass(1_000);
    bench.sent.retain(|(_, message, _)| message[4..6] == [0, 2]);
    bench.hear(&monitor::create_event(0x0203));
    let again = bench.sent.iter().filter(|(_, message, _)| message[4..6] == [0, 2]).count();
    assert_eq!(again, 2);
}

#[test]
fn a_monitor_that_answers_without_numerics_is_told() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    monitor.holds_back = true;
    bench.live(&mut monitor, 20_000);
    let words = "the monitor answers, and sends no numerics".to_owned();
    assert_eq!((&bench.troubles[..], bench.said().len()), (&[Some(words)][..], 0));
    monitor.holds_back = false;
    bench.live(&mut monitor, 8_000);
    assert_eq!(bench.troubles.last(), Some(&None));
}

#[test]
fn an_accept_without_event_is_given_up() {
    let mut bench = Bench::open(Framing::Lan);
    bench.pass(1_500);
    bench.hear(&monitor::accept());
    bench.sent.clear();
    bench.pass(12_000);
    assert_eq!(kinds(&bench), [0x19, 0x0d]);
}

#[test]
fn what_the_monitor_does_not_give_is_said_and_does_not_stop_the_rest() {
    let mut bench = Bench::open(Framing::Lan);
    bench.pass(1_500);
    bench.hear(&monitor::accept());
    bench.hear(&monitor::create_event(1));
    let mut asked = Vec::new();
    for _ in 0..60 {
        bench.pass(100);
        for (_, message, _) in std::mem::take(&mut bench.sent) {
            if message[0] == 0xe1 && message[4..6] == [0, 1] {
                asked.push(monitor::word(&message, 32));
                bench.hear(&error(monitor::word(&message, 8), 2));
            }
        }
    }
    assert!(asked.contains(&0x06) && asked.contains(&0x36), "{asked:?}");
    let words: Vec<String> = bench.troubles.iter().flatten().cloned().collect();
    let numerics = "the monitor does not give numerics: access denied (error 2)".to_owned();
    assert!(words.contains(&numerics), "{words:?}");
}

#[test]
fn linked_results_of_several_polls_come_interleaved() {
    let mut bench = Bench::open(Framing::Lan);
    let part = |invoke, state, count, physio| {
        let part = Part::Linked { state, count };
        let poll = Poll { part, invoke, number: invoke, ..Poll::numerics(8_000) };
        poll.of(&[simple(physio, physio, 0, 0x0aa0, u32::from(physio & 0xff))])
    };
    bench.hear(&part(1, 1, 1, 0x4182));
    bench.hear(&part(2, 1, 1, 0x4bb8));
    bench.hear(&part(1, 2, 2, 0x480a));
    bench.hear(&part(2, 3, 2, 0x4822));
    bench.hear(&part(1, 3, 3, 0x500a));
    let rest = Poll { invoke: 1, number: 1, ..Poll::numerics(8_000) }.of(&[]);
    bench.hear(&rest);
    let expected =
        ["0002-4182=130", "0002-4bb8=184", "0002-480a=10", "0002-4822=34", "0002-500a=10"];
    assert_eq!(bench.said(), expected);
}

#[test]
fn doubled_and_overtaken_datagrams() {
    let mut bench = Bench::open(Framing::Lan);
    let at = |ticks, figure| Poll::numerics(ticks).of(&[simple(7, 0x4182, 0, 0x0aa0, figure)]);
    for message in [at(8_000, 60), at(8_000, 60), at(24_000, 62), at(16_000, 61), at(24_000, 62)] {
        bench.hear(&message);
    }
    assert_eq!(bench.said(), ["0002-4182=60", "0002-4182=62", "0002-4182=61"]);
}

#[test]
fn an_empty_list_says_nothing_of_the_numerics_that_come() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    monitor.listed.clear();
    bench.live(&mut monitor, 12_000);
    let said = bench.said();
    assert!(said.len() > 5 && said.iter().all(|one| one.starts_with("0002-")), "{said:?}");
}

#[test]
fn a_numeric_that_no_list_named_leads_to_nothing_until_it_is_listed() {
    let mut bench = Bench::open(Framing::Lan);
    let mut monitor = Monitor::new();
    bench.live(&mut monitor, 6_000);
    bench.messages.clear();
    monitor.numerics = vec![simple(77, 0x5108, 0, 0x0f20, 12)];
    bench.live(&mut monitor, 1_100);
    assert!(!bench.said().is_empty() && bench.said().iter().all(|one| one == "0000-5108=12"));
    monitor.listed.push((77, 0x0402, 0x5108));
    bench.live(&mut monitor, 8_000);
    assert_eq!(bench.said().last().unwrap(), "0402-5108=12");
}

#[test]
fn an_empty_context_still_has_its_length() {
    let mut bench = Bench::open(Framing::Lan);
    bench.hear(&Poll::numerics(8_000).of(&[]));
    bench.hear(&Poll::numerics(16_000).of(&[object(7, &[])]));
    assert_eq!((bench.messages.len(), bench.refusals()), (0, vec![]));
}

#[test]
fn garbage_between_frames_and_line_errors_cost_their_frame_alone() {
    let mut bench = Bench::open(Framing::Rs232);
    let message = |ticks| Poll::numerics(ticks).of(&[simple(7, 0x4182, 0, 0x0aa0, 60)]);
    let frame = monitor::framed(&message(8_000));
    bench.driver.receive(&[0x13, 0x37], Peer::STREAM, bench.now);
    bench.driver.receive(&frame[..20], Peer::STREAM, bench.now);
    bench.driver.link(LinkChange::LineError(LineError::Parity), bench.now);
    bench.driver.receive(&frame[20..], Peer::STREAM, bench.now);
    bench.drain();
    bench.hear(&message(16_000));
    bench.driver.receive(&frame[..20], Peer::STREAM, bench.now);
    bench.pass(4_000);
    assert_eq!(bench.refusals(), [Why::Resync, Why::IllegalByte, Why::TimedOut]);
    assert_eq!(bench.said(), ["0002-4182=60"]);
}
