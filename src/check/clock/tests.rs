use std::sync::Arc;

use super::*;
use crate::vocabulary::reading::Mode;
use crate::vocabulary::{Certainty, CodedWords, DeviceTimeEvidence, Metric, Subject, Value};

const START_US: i64 = 1_800_000_000_000_000;

fn at(seconds: i64) -> Moment {
    let us = seconds * 1_000_000;
    Moment::new(us as u64, START_US + us, Certainty::Synchronised)
}

fn observation(kind: ParameterKind, seconds: Option<i64>) -> Observation {
    let utc_us = seconds.map(|seconds| START_US + seconds * 1_000_000);
    Observation {
        subject: Subject::default(),
        mode: Mode::Production,
        event: None,
        channel: String::new(),
        device_time: utc_us.map(|utc_us| {
            DeviceTime::from_parts(String::new(), Some(utc_us), DeviceTimeEvidence::OffsetSent)
        }),
        metrics: vec![metric(kind)],
        remarks: Vec::new(),
    }
}

fn metric(kind: ParameterKind) -> Metric {
    Metric {
        words: Arc::new(CodedWords { kind: Some(kind), ..CodedWords::default() }),
        value: Value::read("97"),
        doubts: Vec::new(),
        at: 0..0,
    }
}

/// A device; times are in seconds from the start, by its own clock and by the box's.
#[derive(Default)]
struct Bench(DeviceClock);

impl Bench {
    fn periodic(&mut self, device: i64, received: i64) -> Times {
        self.of(&observation(ParameterKind::Periodic, Some(device)), at(received))
    }

    fn of(&mut self, observation: &Observation, received: Moment) -> Times {
        times(observation, received, &mut self.0, UNCERTAINTY_MS_MAX)
    }
}

fn chart(times: Times) -> (Rule, i64) {
    (times.rule, (times.chart_utc_us - START_US) / 1_000_000)
}

#[test]
fn a_clock_that_is_an_hour_ahead_is_live_and_corrected_once_it_is_known() {
    let mut bench = Bench::default();
    for second in 0..SAMPLES_MIN as i64 - 1 {
        assert_eq!(chart(bench.periodic(second + 3600, second)), (Rule::Received, second));
    }
    let times = bench.periodic(3610, 10);
    assert_eq!(chart(times), (Rule::Corrected, 10));
    assert_eq!(times.corrected.map(|one| one.offset_ms), Some(3_600_000));
    // Half an hour old by that clock, although it still lies in the future.
    let old = bench.periodic(3611 - 1800, 11);
    assert_eq!((chart(old), old.liveness), ((Rule::DeviceUnproven, 1811), Liveness::Stored));
    assert_eq!(chart(bench.periodic(3612, 12)), (Rule::Corrected, 12));
}

#[test]
fn a_buffer_that_is_an_hour_late_is_never_charted_as_now() {
    let mut bench = Bench::default();
    for second in 0..20_000 {
        let times = bench.periodic(second - 3600, second);
        assert_eq!(chart(times), (Rule::DeviceUnproven, second - 3600));
        assert_eq!((times.corrected, times.liveness), (None, Liveness::Stored));
    }
}

#[test]
fn a_backlog_that_grows_does_not_pull_the_estimate_along() {
    let mut bench = Bench::default();
    // Every two seconds the value of one second later: after 1000 s it is 500 s old.
    for second in 0..1000 {
        let (device, received) = (second, 2 * second);
        let times = bench.periodic(device, received);
        assert_eq!(times.liveness == Liveness::Live, received - device <= 120, "{received}");
        assert!((received - chart(times).1).abs() <= 120 || times.rule == Rule::DeviceUnproven);
    }
    assert_eq!(chart(bench.periodic(1000, 2000)), (Rule::DeviceUnproven, 1000));
}

#[test]
fn a_backlog_after_a_break_is_charted_at_its_own_times() {
    let mut bench = Bench::default();
    for second in 0..60 {
        bench.periodic(second + 7200, second);
    }
    // Ten minutes without a link; then everything in order, ten values a second.
    for step in 0..4000 {
        let (device, received) = (7260 + step, 660 + step / 10);
        let age = 7200 + received - device;
        let times = bench.periodic(device, received);
        assert_eq!(times.liveness == Liveness::Live, age <= 120, "{age} s old");
    }
}

#[test]
fn a_clock_that_is_set_back_is_live_again_after_its_hour() {
    let mut bench = Bench::default();
    for second in 0..60 {
        bench.periodic(second + 3600, second);
    }
    let limit = SET_BACK_AFTER_MS / 1000;
    for second in 60..60 + limit {
        assert_eq!(chart(bench.periodic(second, second)), (Rule::DeviceUnproven, second));
    }
    let second = 60 + limit;
    assert_eq!(chart(bench.periodic(second, second)), (Rule::Received, second));
    // Stored values in between teach nothing: the stream is live meanwhile.
    let mut bench = Bench::default();
    for second in 0..2 * limit {
        assert_eq!(bench.periodic(second + 3600, second).liveness, Liveness::Live);
        assert_eq!(bench.periodic(second, second).liveness, Liveness::Stored);
    }
}

#[test]
fn a_step_of_the_box_s_own_clock_forgets_what_was_learned() {
    let mut bench = Bench::default();
    // The box starts an hour late; the device's clock is right.
    for second in 0..60 {
        bench.periodic(second + 3600, second);
    }
    let stepped = Moment::new(61_000_000, START_US + 3_661_000_000, Certainty::Synchronised);
    let times = bench.of(&observation(ParameterKind::Periodic, Some(3661)), stepped);
    assert_eq!((chart(times), times.liveness), ((Rule::Received, 3661), Liveness::Live));
}

#[test]
fn stored_results_are_charted_at_their_own_time_and_teach_nothing() {
    let mut bench = Bench::default();
    for second in 0..20 {
        let times = bench.of(&observation(ParameterKind::Episodic, Some(second)), at(second));
        assert_eq!(chart(times), (Rule::DeviceUnproven, second));
    }
    assert_eq!(bench.periodic(21, 21).corrected, None);
    let undated = bench.of(&observation(ParameterKind::Episodic, None), at(30));
    assert_eq!(chart(undated), (Rule::ReceivedUnproven, 30));
}

#[test]
fn a_stream_without_times_is_live_and_one_whose_time_is_no_instant_is_not_proven() {
    let mut bench = Bench::default();
    let clockless = bench.of(&observation(ParameterKind::Periodic, None), at(5));
    assert_eq!((chart(clockless), clockless.liveness), ((Rule::Received, 5), Liveness::Live));
    let mut local = observation(ParameterKind::Periodic, None);
    local.device_time = Some(DeviceTime::read("20261025033000", None));
    let times = bench.of(&local, at(6));
    assert_eq!((chart(times), times.liveness), ((Rule::ReceivedUnproven, 6), Liveness::Stored));
}

/// An hour ahead, and known to be: half an hour old is old, also as the first thing after a
/// restart, and what is measured now is live.
#[test]
fn a_clock_that_is_ahead_is_known_after_a_restart() {
    let mut before = Bench::default();
    for second in 0..20 {
        before.periodic(second + 3600, second);
    }
    let ahead_ms = before.0.ahead_ms().unwrap();
    assert_eq!(ahead_ms, 3_600_000);
    // Without the memory of it the same is taken for live.
    assert_eq!(Bench::default().periodic(1900, 100).liveness, Liveness::Live);
    let mut after = Bench(DeviceClock::ahead_by(ahead_ms));
    assert_eq!(after.periodic(1900, 100).liveness, Liveness::Stored);
    assert_eq!(after.periodic(3701, 101).liveness, Liveness::Live);
    assert_eq!(after.periodic(1900, 102).liveness, Liveness::Stored);
    assert_eq!(after.0.ahead_ms(), Some(3_600_000));
}

/// Somebody set it right while the box was off: for an hour its values look old, then it counts as
/// set back.
#[test]
fn a_clock_that_was_set_right_meanwhile_is_believed_after_a_while() {
    let mut bench = Bench(DeviceClock::ahead_by(3_600_000));
    for second in 0..3600 {
        assert_eq!(bench.periodic(second, second).liveness, Liveness::Stored, "{second}");
    }
    assert_eq!(bench.periodic(3600, 3600).liveness, Liveness::Live);
    assert_eq!(bench.0.ahead_ms(), None);
}

#[test]
fn a_clock_that_is_right_or_behind_needs_no_memory() {
    for offset in [0, -100] {
        let mut bench = Bench::default();
        for second in 0..20 {
            bench.periodic(second + offset, second);
        }
        assert_eq!(bench.0.ahead_ms(), None, "{offset}");
    }
}
