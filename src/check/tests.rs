use super::*;
use crate::mapping::Mapper;
use crate::profile::{Drafts, Profile};
use crate::vocabulary::{
    Certainty, DeviceCode, DeviceTime, DeviceUnit, Flag, Group, Moment, Reading, Value, Vocabulary,
};
use std::sync::Arc;

const PARAMETERS: &str = r#"
[parameter.spo2]
words = "oxygen saturation"
category = "vitals"
kind = "periodic"
units = ["MDC_DIM_PERCENT"]
possible = ["0", "100"]
source = "test"
[parameter.nibp-systolic]
words = "cuff pressure"
category = "vitals"
kind = "episodic"
units = ["MDC_DIM_MMHG", "MDC_DIM_KILO_PASCAL"]
source = "test"
"#;
const UNITS: &str = r#"
[unit.MDC_DIM_PERCENT]
mdc_code = 1
ucum = ["%"]
source = "test"
[unit.MDC_DIM_MMHG]
mdc_code = 2
ucum = ["mm[Hg]"]
source = "test"
[unit.MDC_DIM_KILO_PASCAL]
mdc_code = 3
ucum = ["kPa"]
source = "test"
"#;
const PROFILE: &str = include_str!("test-profile.toml");
const NOW: Moment = Moment::new(0, 1_800_000_000_000_000, Certainty::Synchronised);

fn doubts(checker: &mut Checker, readings: Vec<Reading>, time: Option<DeviceTime>) -> Vec<Doubt> {
    let vocabulary = Arc::new(Vocabulary::parse(PARAMETERS, UNITS).unwrap());
    let profile = Profile::read(PROFILE, &vocabulary, Drafts::Accepted).unwrap();
    let mut group = Group::of(readings);
    group.time = time;
    let mapper = Mapper::new(&profile, "1", vocabulary.clone());
    let mut observation = mapper.map(&[group]).observations.remove(0);
    let mut clock = clock::DeviceClock::default();
    let times = times(&observation, NOW, &mut clock, clock::UNCERTAINTY_MS_MAX);
    checker.mark(&mut observation, &times);
    observation.metrics.remove(0).doubts
}

fn reading(parameter: &str, value: &str, unit: &str) -> Reading {
    let code = DeviceCode::Parameter(parameter.to_owned());
    let mut reading = Reading::new(code, Value::read(value), 0..0);
    reading.unit = Some(DeviceUnit::text(unit));
    reading
}

fn once(reading: Reading, time: Option<DeviceTime>) -> Vec<Doubt> {
    doubts(&mut Checker::default(), vec![reading], time)
}

#[test]
fn each_doubt_has_its_cause() {
    let seconds_ago = |seconds: i64| {
        let utc_us = NOW.utc_us() - seconds * 1_000_000;
        Some(DeviceTime::from_parts(String::new(), Some(utc_us), DeviceTimeEvidence::OffsetSent))
    };
    assert_eq!(once(reading("spo2", "97", "%"), None), []);
    assert_eq!(once(reading("spo2", "100", "%"), seconds_ago(5)), []);
    assert_eq!(once(reading("spo2", "101", "%"), None), [Doubt::Implausible]);
    assert_eq!(once(reading("spo2", "-999", "%"), None), [Doubt::Implausible]);
    assert_eq!(once(reading("spo2", "97", "%"), seconds_ago(600)), [Doubt::Stale]);
    assert_eq!(once(reading("spo2", "97", "%"), seconds_ago(-600)), [Doubt::ClockWrong]);
    // The limit is the one by which the chart time is chosen: two minutes.
    assert_eq!(once(reading("spo2", "97", "%"), seconds_ago(120)), []);
    assert_eq!(once(reading("spo2", "97", "%"), seconds_ago(121)), [Doubt::Stale]);
    assert_eq!(once(reading("spo2", "<50", "%"), None), [Doubt::NotANumber]);
    assert_eq!(once(reading("nibp-systolic", "120", "mm[Hg]"), None), [Doubt::TimeNotProven]);
    let unreadable = Some(DeviceTime::read("20261332", None));
    assert_eq!(once(reading("spo2", "97", "%"), unreadable), [Doubt::ClockWrong]);
    let mut questionable = reading("spo2", "97", "%");
    questionable.flags.push(Flag("QUES".to_owned()));
    assert_eq!(once(questionable, None), [Doubt::Questionable]);
    for unproven in ["unit-not-proven", "scale-not-proven"] {
        let mut inferred = reading("spo2", "97", "%");
        inferred.flags.push(Flag(unproven.to_owned()));
        assert_eq!(once(inferred, None), [Doubt::Questionable]);
    }
}

#[test]
fn a_unit_that_changes_within_the_stream_is_a_doubt() {
    let mut checker = Checker::default();
    let at = || Some(DeviceTime::read("20270115080000+0000", None));
    let first = doubts(&mut checker, vec![reading("nibp-systolic", "120", "mm[Hg]")], at());
    let second = doubts(&mut checker, vec![reading("nibp-systolic", "16", "kPa")], at());
    assert!(!first.contains(&Doubt::UnitChanged));
    assert!(second.contains(&Doubt::UnitChanged));
}
