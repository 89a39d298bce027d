use super::*;

const STREAM: StreamId = StreamId::from_bytes([3; 16]);
const PACE: Pace = Pace { resend_after_ms: 5_000 };

fn window() -> Window<u64> {
    Window::new(State::start(STREAM), vec!["core".to_owned()], PACE)
}

/// Records 1 to 10 of which 3, 6 and 9 are not routed here; all others are sent.
fn sent() -> Window<u64> {
    let mut window = window();
    for sequence in 1..=10 {
        if sequence % 3 == 0 {
            window.pass(sequence);
        } else {
            window.put(sequence, sequence, 100, sequence as i64);
        }
    }
    assert_eq!(window.send_due(0, || 0, |_| true), (7, 0));
    window
}

fn answer(accepted: &[Range], rejected: &[(u64, bool)]) -> Acknowledgement {
    let rejection = |&(sequence, permanent): &(u64, bool)| Rejection {
        sequence: Sequence::new(sequence).unwrap(),
        code: "busy".to_owned(),
        text: String::new(),
        permanent,
    };
    Acknowledgement {
        stream: STREAM,
        accepted: accepted.to_vec(),
        rejected: rejected.iter().map(rejection).collect(),
        receiver_time: "2026-11-23T08:00:00Z".to_owned(),
        receiver_id: "core".to_owned(),
    }
}

fn due(window: &mut Window<u64>, now_ms: u64) -> Vec<u64> {
    let mut sent = Vec::new();
    window.send_due(
        now_ms,
        || 0,
        |sequence| {
            sent.push(*sequence);
            true
        },
    );
    sent
}

/// The journal has kept what is being set aside.
pub(super) fn settle_asides(window: &mut Window<u64>) {
    for (sequence, code) in window.new_asides() {
        window.is_set_aside(SetAside { sequence, code, time_us: 7 });
    }
}

/// Reads what there is to read; every record is for here, and `names` says what it names.
pub(super) fn read(window: &mut Window<u64>, durable: u64, names: impl Fn(u64) -> Option<u64>) {
    while let Some(reading) = window.reading(durable) {
        let last = reading.until.min(reading.from + reading.records as u64 - 1);
        for sequence in reading.from..=last {
            if window.is_accepted(sequence) {
                window.pass(sequence);
            } else {
                window.put_after(sequence, sequence, 100, 0, names(sequence));
            }
        }
        window.pass(last);
    }
    window.release();
}

/// A thousand records wait, and then a new one comes.
fn behind() -> Window<u64> {
    let mut window = window();
    read(&mut window, 1_000, |_| None);
    window
}

#[test]
fn live_data_overtake_a_backlog_and_both_go_on() {
    let mut window = behind();
    // Too far behind from the start: only the backlog's half is in flight.
    assert_eq!(window.in_flight(), IN_FLIGHT_RECORDS_MAX / 2);
    read(&mut window, 1_200, |_| None);
    let sent = due(&mut window, 0);
    assert_eq!(sent.len(), IN_FLIGHT_RECORDS_MAX);
    let live: Vec<u64> = sent.iter().copied().filter(|one| *one > 1_000).collect();
    let backlog: Vec<u64> = sent.iter().copied().filter(|one| *one <= 1_000).collect();
    let half = IN_FLIGHT_RECORDS_MAX as u64 / 2;
    assert_eq!(live, (1_001..=1_000 + half).collect::<Vec<_>>());
    assert_eq!(backlog, (1..=half).collect::<Vec<_>>());
    // In turns, so that a binding with one record at a time serves both.
    assert_eq!(sent[..4], [1_001, 1, 1_002, 2]);
}

#[test]
fn what_lies_between_the_lanes_is_not_believed_also_after_a_restart() {
    let mut window = behind();
    read(&mut window, 1_200, |_| None);
    due(&mut window, 0);
    let half = IN_FLIGHT_RECORDS_MAX as u64 / 2;
    for window in [&mut window.restarted(), &mut window] {
        let effect = window.acknowledge(&answer(&[1..=1_100], &[]), 0, || 0);
        assert_eq!(effect.disbelieved, [Disbelief::NeverSent]);
        assert_eq!((effect.retired, window.low_water()), (0, 0));
        let effect = window.acknowledge(&answer(&[half + 1..=half + 1], &[]), 0, || 0);
        assert_eq!(effect.disbelieved, [Disbelief::NeverSent]);
        let effect = window.acknowledge(&answer(&[1..=half, 1_001..=1_100], &[]), 0, || 0);
        assert_eq!(effect.disbelieved, []);
    }
    assert_eq!(window.low_water(), half);
    read(&mut window, 1_200, |_| None);
    let mut again = window.restarted();
    assert_eq!(again.state().unsent, window.state().unsent);
    read(&mut again, 1_200, |_| None);
    assert!(again.is_accepted(1_050) && !again.in_flight.contains_key(&1_050));
}

#[test]
fn strict_order_has_one_lane() {
    let mut window = window();
    window.set_order(Order::Strict);
    read(&mut window, 2_000, |_| None);
    let all = IN_FLIGHT_RECORDS_MAX as u64;
    assert_eq!(due(&mut window, 0), (1..=all).collect::<Vec<_>>());
    assert_eq!(window.state().unsent, []);
}

#[test]
fn a_statement_about_an_earlier_record_waits_for_it() {
    let mut window = behind();
    // 1001 names what is still to be read, 1002 what is in flight.
    let names = |sequence| match sequence {
        1_001 => Some(900),
        1_002 => Some(5),
        _ => None,
    };
    read(&mut window, 1_003, names);
    let sent = due(&mut window, 0);
    assert!(!sent.contains(&1_001) && !sent.contains(&1_002) && sent.contains(&1_003));
    for unsent in [1_001, 1_002] {
        let effect = window.acknowledge(&answer(&[unsent..=1_003], &[]), 0, || 0);
        assert_eq!(effect.disbelieved, [Disbelief::NeverSent]);
    }
    window.acknowledge(&answer(&[5..=5], &[]), 0, || 0);
    window.release();
    assert!(due(&mut window, 0).contains(&1_002));
    let mut order = Vec::new();
    for _ in 0..20 {
        let flying: Vec<Range> = window
            .in_flight
            .iter()
            .filter(|(_, one)| one.attempts > 0)
            .map(|(one, _)| *one..=*one)
            .collect();
        window.acknowledge(&answer(&flying, &[]), 0, || 0);
        read(&mut window, 1_003, names);
        order.extend(due(&mut window, 0));
    }
    let place = |wanted| order.iter().position(|one| *one == wanted).unwrap();
    assert!(place(900) < place(1_001));
    assert_eq!((window.low_water(), window.in_flight()), (1_003, 0));
}

impl Window<u64> {
    /// From the state on disk.
    pub(super) fn restarted(&self) -> Self {
        Window::new(self.state(), vec!["core".to_owned()], PACE)
    }
}

#[test]
fn a_binding_that_waits_for_answers_takes_what_is_due_and_settles_it() {
    let mut window = window();
    for sequence in 1..=4 {
        window.put(sequence, sequence, 100, 0);
    }
    let (taken, first, again) = window.take_due(0, || 0, 3);
    assert_eq!((taken, first, again), (vec![(1, 1), (2, 2), (3, 3)], 3, 0));
    let (taken, first, again) = window.take_due(0, || 0, 3);
    assert_eq!((taken, first, again), (vec![(4, 4)], 1, 0));
    let number = |number| Sequence::new(number).unwrap();
    let refused = |permanent| Verdict::Refused { code: "AR".to_owned(), permanent };
    assert_eq!(window.settle(number(1), Verdict::Accepted, 0, 0).retired, 1);
    assert_eq!(window.settle(number(1), Verdict::Accepted, 0, 0).retired, 0, "only once");
    assert_eq!(window.settle(number(2), refused(true), 0, 0).set_aside, 1);
    assert_eq!(window.settle(number(3), refused(false), 0, 0).set_aside, 0);
    assert_eq!((window.low_water(), window.in_flight()), (1, 2));
    settle_asides(&mut window);
    assert_eq!((window.low_water(), window.in_flight()), (2, 2));
    // Silence and a refusal for now: both are due again after the pace's time.
    assert_eq!(window.take_due(4_999, || 0, 9).0, []);
    assert_eq!(window.take_due(10_000, || 0, 9).0, [(3, 3), (4, 4)]);
}

#[test]
fn ranges_retire_and_the_mark_moves_over_what_is_not_routed_here() {
    let mut window = sent();
    let effect = window.acknowledge(&answer(&[4..=5], &[]), 0, || 0);
    assert_eq!((effect.retired, window.low_water()), (2, 0));
    assert_eq!(window.state().accepted, [(3, 6), (9, 9)]);
    window.acknowledge(&answer(&[1..=2], &[]), 0, || 0);
    assert_eq!(window.low_water(), 6);
    window.acknowledge(&answer(&[1..=10], &[]), 0, || 0);
    assert_eq!((window.low_water(), window.in_flight()), (10, 0));
    assert_eq!(window.state().accepted, []);
}

#[test]
fn what_was_never_sent_is_not_believed() {
    let mut window = sent();
    let effect = window.acknowledge(&answer(&[1..=11, 4..=4], &[(12, true)]), 0, || 0);
    assert_eq!(effect.disbelieved, [Disbelief::NeverSent, Disbelief::NeverSent]);
    assert_eq!((effect.retired, window.low_water()), (1, 0));
    let other = StreamId::from_bytes([4; 16]);
    let wrong = Acknowledgement { stream: other, ..answer(&[1..=1], &[]) };
    let effect = window.acknowledge(&wrong, 0, || 0);
    assert_eq!(effect.disbelieved, [Disbelief::OtherStream]);
    let wrong = Acknowledgement { receiver_id: "x".to_owned(), ..answer(&[1..=1], &[]) };
    let effect = window.acknowledge(&wrong, 0, || 0);
    assert_eq!(effect.disbelieved, [Disbelief::OtherReceiver]);
    assert_eq!(window.low_water(), 0);
}

#[test]
fn silence_sends_again_with_back_off_and_a_new_connection_at_once() {
    let mut window = window();
    window.put(1, 1, 10, 0);
    assert_eq!(due(&mut window, 0), [1]);
    assert_eq!(window.next_due_ms(), Some(5_000));
    assert_eq!(due(&mut window, 4_999), Vec::<u64>::new());
    assert_eq!(due(&mut window, 5_000), [1]);
    assert_eq!(window.next_due_ms(), Some(15_000));
    for now in [15_000, 35_000, 75_000] {
        assert_eq!(due(&mut window, now), [1]);
    }
    assert_eq!(window.next_due_ms(), Some(75_000 + RESEND_AFTER_MS_MAX));
    window.reconnected();
    assert_eq!(window.send_due(80_000, || 0, |_| true), (0, 1));
}

#[test]
fn jitter_adds_at_most_a_quarter() {
    for chance in [0, 1, 77, u64::MAX] {
        let delay = PACE.delay(0, chance);
        assert!((5_000..=6_250).contains(&delay), "{delay}");
    }
}

#[test]
fn rejected_for_good_is_set_aside_and_rejected_for_now_is_tried_to_a_limit() {
    let mut window = sent();
    let effect = window.acknowledge(&answer(&[], &[(1, true), (2, false)]), 0, || 0);
    assert_eq!((effect.rejected, effect.set_aside), (2, 1));
    assert_eq!(window.low_water(), 0, "not before it is durable");
    settle_asides(&mut window);
    assert_eq!(window.low_water(), 1);
    for _ in 1..REJECTIONS_MAX {
        assert!(window.in_flight.contains_key(&2));
        window.acknowledge(&answer(&[], &[(2, false)]), 0, || 0);
    }
    settle_asides(&mut window);
    assert_eq!(window.low_water(), 3);
    let state = window.state();
    assert_eq!(state.set_aside_total, 2);
    assert_eq!(state.set_aside[0], SetAside { sequence: 1, code: "busy".to_owned(), time_us: 7 });
}

#[test]
fn a_restart_sends_only_what_is_not_accepted() {
    let mut window = sent();
    window.acknowledge(&answer(&[4..=5, 8..=8], &[]), 0, || 0);
    let mut again: Window<u64> = Window::new(window.state(), vec!["core".to_owned()], PACE);
    assert_eq!((again.next(), again.highest_sent()), (1, 10));
    let accepted: Vec<u64> = (1..=10).filter(|n| again.is_accepted(*n)).collect();
    assert_eq!(accepted, [3, 4, 5, 6, 8, 9]);
    // One growing range of a single consumer reaches beyond what was read again.
    again.put(1, 1, 1, 0);
    let effect = again.acknowledge(&answer(&[1..=10], &[]), 0, || 0);
    assert_eq!((effect.retired, effect.disbelieved.len()), (1, 0));
    assert!((2..=10).all(|sequence| again.is_accepted(sequence)));
}

#[test]
fn have_moves_back_only_with_a_higher_generation() {
    let mut window = sent();
    window.acknowledge(&answer(&[1..=10], &[]), 0, || 0);
    let have = |ranges: &[Range], generation| Have {
        stream: STREAM,
        ranges: ranges.to_vec(),
        receiver_id: "core".to_owned(),
        generation,
    };
    assert_eq!(window.have(&have(&[1..=4], 0)), Err(Disbelief::OldGeneration));
    assert_eq!(window.have(&have(&[1..=11], 1)), Err(Disbelief::NeverSent));
    assert_eq!(window.low_water(), 10);
    assert_eq!(window.have(&have(&[1..=4, 8..=8], 1)), Ok(()));
    assert_eq!((window.low_water(), window.next()), (4, 5));
    assert!(window.is_accepted(8) && !window.is_accepted(7));
    assert_eq!(window.have(&have(&[1..=4], 1)), Err(Disbelief::OldGeneration));
    assert_eq!(window.state().have_generation, 1);
}

#[test]
fn the_window_is_bounded_by_count_and_bytes() {
    let mut window = window();
    for sequence in 1..=IN_FLIGHT_RECORDS_MAX as u64 {
        assert!(window.room().is_some());
        window.put(sequence, sequence, 1, 0);
    }
    assert_eq!(window.room(), None);
    let effect = window.acknowledge(&answer(&[1..=1], &[]), 0, || 0);
    assert_eq!(effect.disbelieved, [Disbelief::NeverSent], "in flight, and not sent yet");
    window.send_due(0, || 0, |_| true);
    window.acknowledge(&answer(&[1..=1], &[]), 0, || 0);
    assert_eq!(window.room(), Some((1, IN_FLIGHT_BYTES_MAX - 255)));
    window.put(257, 257, IN_FLIGHT_BYTES_MAX, 0);
    assert_eq!(window.room(), None);
}

#[test]
fn behind_an_unsettled_record_nothing_of_its_lane_is_taken() {
    let mut window = window();
    for sequence in 1..=6 {
        window.put(sequence, sequence, 100, 0);
    }
    fn lane(sequence: &u64) -> &str {
        if sequence.is_multiple_of(2) { "even" } else { "odd" }
    }
    let take = |window: &mut Window<u64>, now_ms, most| -> Vec<u64> {
        let (taken, _, _) = window.take_due_by_lane(now_ms, || 0, most, lane);
        taken.into_iter().map(|(sequence, _)| sequence).collect()
    };
    assert_eq!(take(&mut window, 0, 9), [1, 2]);
    assert_eq!(take(&mut window, 0, 9), Vec::<u64>::new());
    let number = |number| Sequence::new(number).unwrap();
    window.settle(number(2), Verdict::Accepted, 0, 0);
    assert_eq!(take(&mut window, 0, 9), [4]);
    let later = Verdict::Refused { code: "AE".to_owned(), permanent: false };
    window.settle(number(1), later, 0, 0);
    assert_eq!(window.next_due_by_lane_ms(lane), Some(5_000));
    assert_eq!(take(&mut window, 4_999, 9), Vec::<u64>::new(), "3 waits for 1");
    assert_eq!(take(&mut window, 20_000, 1), [1]);
}

/// A live correction that waits for a record of the backlog does not keep that one from going.
#[test]
fn by_device_a_live_record_that_waits_lets_the_backlog_go() {
    let mut window = behind();
    read(&mut window, 1_001, |sequence| (sequence == 1_001).then_some(1));
    let take = |window: &mut Window<u64>| -> Vec<u64> {
        let (taken, _, _) = window.take_due_by_lane(0, || 0, 9, |_| "bed-3");
        taken.into_iter().map(|(sequence, _)| sequence).collect()
    };
    assert_eq!(take(&mut window), [1]);
    assert_eq!(take(&mut window), Vec::<u64>::new(), "one at a time");
    window.settle(Sequence::new(1).unwrap(), Verdict::Accepted, 0, 0);
    window.release();
    assert_eq!(take(&mut window), [1_001], "then the newest in its turn");
    window.settle(Sequence::new(1_001).unwrap(), Verdict::Accepted, 0, 0);
    assert_eq!(take(&mut window), [2]);
}
