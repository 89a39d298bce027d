use super::*;

const STREAM: StreamId = StreamId::from_bytes([0x1f; 16]);
/// 2026-11-23T08:00:00Z.
const EIGHT: i64 = 1_795_420_800_000_000;
const SECOND: i64 = 1_000_000;

fn metric(parameter: &str, kind: &str, value: Result<&str, &str>) -> Json {
    let (key, text) = match value {
        Ok(value) => ("value", value),
        Err(reason) => ("absent", reason),
    };
    json!({ "parameter": parameter, "kind": kind, key: text, "flags": ["x"] })
}

fn spo2(value: &str) -> Json {
    metric("spo2", "periodic", Ok(value))
}

/// A record whose chart time is so many seconds after eight.
fn record(second: i64, metrics: Vec<Json>) -> Stored {
    let mut data = Map::new();
    data.insert("metrics".to_owned(), Json::Array(metrics));
    data.insert("times".to_owned(), json!({ "chart": { "rule": "live" }, "device": "x" }));
    Stored {
        kind: EventKind::Observation,
        time: utc_text(EIGHT + second * SECOND),
        subject: "monitor".to_owned(),
        routes: BTreeMap::new(),
        data,
    }
}

fn minute() -> Sampler {
    Sampler::new(60_000)
}

fn give(sampler: &mut Sampler, sequence: Sequence, received_us: i64, stored: &Stored) -> Passed {
    sampler.feed(sequence, received_us, stored);
    Passed::of(STREAM, sequence, stored)
}

/// Feeds a record in the second in which it was measured.
fn feed(sampler: &mut Sampler, sequence: u64, second: i64, metrics: Vec<Json>) -> Passed {
    let sequence = Sequence::new(sequence).unwrap();
    give(sampler, sequence, EIGHT + second * SECOND, &record(second, metrics))
}

/// Boundary, chart time and values of what is due: seconds after eight, and texts.
fn due(sampler: &mut Sampler, second: i64) -> Vec<(i64, i64, Vec<String>)> {
    let seconds = |text: &str| (instant(text).unwrap() - EIGHT) / SECOND;
    let samples = sampler.due(STREAM, EIGHT + second * SECOND);
    let shown = |sample: &Sample| {
        assert_eq!(sample.device, "monitor");
        let metrics = sample.data["metrics"].as_array().unwrap().iter();
        let word = |metric: &Json| {
            let value = metric.get("value").or(metric.get("absent")).unwrap();
            format!("{}={}", metric["parameter"].as_str().unwrap(), value.as_str().unwrap())
        };
        let boundary = sample.data["sampled"]["boundary"].as_str().unwrap();
        (seconds(boundary), seconds(&sample.time), metrics.map(word).collect())
    };
    samples.iter().map(shown).collect()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn it_is_the_last_valid_value_at_or_before_the_boundary() {
    let mut sampler = minute();
    for (sequence, second, value) in [(1, 1, "95"), (2, 59, "96"), (3, 60, "97"), (4, 61, "98")] {
        assert_eq!(feed(&mut sampler, sequence, second, vec![spo2(value)]), Passed::Nothing);
    }
    assert_eq!(due(&mut sampler, 61), [], "the interval stays open for a moment");
    assert_eq!(due(&mut sampler, 62), [(60, 60, words(&["spo2=97"]))], "at the boundary itself");
    assert_eq!(due(&mut sampler, 90), []);
    assert_eq!(due(&mut sampler, 122), [(120, 61, words(&["spo2=98"]))], "at its own time");
}

#[test]
fn nothing_is_chosen_by_value() {
    let mut sampler = minute();
    let doubted = json!({ "parameter": "spo2", "kind": "periodic", "value": "0",
        "doubts": ["implausible"] });
    feed(&mut sampler, 1, 10, vec![spo2("97")]);
    feed(&mut sampler, 2, 20, vec![doubted]);
    assert_eq!(due(&mut sampler, 62), [(60, 20, words(&["spo2=0"]))]);
}

#[test]
fn an_invalid_value_does_not_hide_a_valid_one_of_the_same_interval() {
    let mut sampler = minute();
    feed(&mut sampler, 1, 10, vec![spo2("97")]);
    feed(&mut sampler, 2, 20, vec![metric("spo2", "periodic", Err("probe-off"))]);
    feed(&mut sampler, 3, 70, vec![metric("spo2", "periodic", Err("searching"))]);
    feed(&mut sampler, 4, 80, vec![metric("spo2", "periodic", Err("probe-off"))]);
    assert_eq!(due(&mut sampler, 62), [(60, 10, words(&["spo2=97"]))]);
    assert_eq!(due(&mut sampler, 122), [(120, 80, words(&["spo2=probe-off"]))]);
}

#[test]
fn values_come_from_the_records_that_stated_them() {
    let mut sampler = minute();
    let rate = |value| metric("heart-rate", "periodic", Ok(value));
    feed(&mut sampler, 1, 10, vec![spo2("97"), rate("60")]);
    feed(&mut sampler, 2, 20, vec![rate("61")]);
    let samples = sampler.due(STREAM, EIGHT + 62 * SECOND);
    let parts: Vec<&str> =
        samples.iter().map(|one| one.data["part_of"].as_str().unwrap()).collect();
    assert_eq!(parts, ["1f1f1f1f-1", "1f1f1f1f-2"]);
    assert_eq!(samples[1].data["metrics"], json!([rate("61")]));
    assert_eq!(samples[1].data["sampled"]["every_ms"], 60_000);
}

#[test]
fn what_does_not_come_is_absent_and_silence_is_stated_once() {
    let mut sampler = minute();
    let rate = |value| metric("heart-rate", "periodic", Ok(value));
    feed(&mut sampler, 1, 10, vec![spo2("97"), rate("60")]);
    assert_eq!(due(&mut sampler, 62).len(), 1);
    feed(&mut sampler, 2, 70, vec![rate("61")]);
    let expected =
        [(120, 70, words(&["heart-rate=61"])), (120, 120, words(&["spo2=no-value-at-boundary"]))];
    assert_eq!(due(&mut sampler, 122), expected);
    // The device is wholly silent: once, and then nothing for hours.
    let silent = words(&["heart-rate=no-value-at-boundary", "spo2=no-value-at-boundary"]);
    assert_eq!(due(&mut sampler, 182), [(180, 180, silent)]);
    assert_eq!(due(&mut sampler, 7200), []);
    feed(&mut sampler, 3, 7210, vec![spo2("95")]);
    let again = due(&mut sampler, 7262);
    assert_eq!(again[0], (7260, 7210, words(&["spo2=95"])));
    assert_eq!(again[1].2, words(&["heart-rate=no-value-at-boundary"]));
}

#[test]
fn an_absent_value_keeps_nothing_of_the_last_one() {
    let mut sampler = minute();
    feed(&mut sampler, 1, 10, vec![spo2("97")]);
    sampler.due(STREAM, EIGHT + 62 * SECOND);
    let samples = sampler.due(STREAM, EIGHT + 122 * SECOND);
    let absent =
        json!({ "parameter": "spo2", "kind": "periodic", "absent": "no-value-at-boundary" });
    assert_eq!(samples[0].data["metrics"], json!([absent]));
    assert_eq!(samples[0].data["times"]["device"], Json::Null);
    assert_eq!(samples[0].data["times"]["chart"]["rule"], "boundary");
    assert_eq!(samples[0].data.get("part_of"), None);
}

#[test]
fn episodic_values_and_events_pass_once_at_their_own_time() {
    let mut sampler = minute();
    let cuff = metric("nibp-systolic", "episodic", Ok("120"));
    let unknown = json!({ "codings": [{ "code": "1" }], "value": "5" });
    assert_eq!(feed(&mut sampler, 1, 10, vec![cuff.clone()]), Passed::Whole);
    assert_eq!(feed(&mut sampler, 2, 11, vec![unknown]), Passed::Whole);
    let mixed = feed(&mut sampler, 3, 12, vec![spo2("97"), cuff.clone()]);
    let Passed::Part(part) = mixed else { panic!("{mixed:?}") };
    assert_eq!(part["metrics"], json!([cuff]));
    assert_eq!(part["part_of"], "1f1f1f1f-3");
    let mut alarm = record(13, vec![spo2("50")]);
    alarm.kind = EventKind::Alarm;
    let four = Sequence::new(4).unwrap();
    assert_eq!(give(&mut sampler, four, EIGHT + 13 * SECOND, &alarm), Passed::Whole);
    assert_eq!(due(&mut sampler, 62), [(60, 12, words(&["spo2=97"]))]);
}

#[test]
fn late_values_are_a_selection_of_their_own_and_miss_nothing() {
    let mut sampler = minute();
    feed(&mut sampler, 1, 10, vec![spo2("97")]);
    assert_eq!(due(&mut sampler, 62).len(), 1);
    // Stored data of two earlier intervals arrive at second 100.
    for (sequence, second, value) in [(2, -70, "91"), (3, -65, "92"), (4, -10, "93")] {
        let arrived = EIGHT + 100 * SECOND;
        let record = record(second, vec![spo2(value)]);
        give(&mut sampler, Sequence::new(sequence).unwrap(), arrived, &record);
    }
    assert_eq!(due(&mut sampler, 101), [], "more may come");
    let expected = [(-60, -65, words(&["spo2=92"])), (0, -10, words(&["spo2=93"]))];
    assert_eq!(due(&mut sampler, 102), expected);
}

#[test]
fn values_of_two_patients_are_two_series() {
    let mut sampler = minute();
    for (sequence, patient, value) in [(1, "a", "97"), (2, "b", "88")] {
        let mut stored = record(sequence as i64, vec![spo2(value)]);
        let ids = json!([{ "id": patient }]);
        stored.data.insert("patient_ids_stated_by_device".to_owned(), ids);
        give(&mut sampler, Sequence::new(sequence).unwrap(), EIGHT, &stored);
    }
    assert_eq!(due(&mut sampler, 62).len(), 2);
}

/// Reading the journal back, the selections included, leads to where it was.
#[test]
fn reading_back_gives_the_same_selection() {
    let mut live = minute();
    feed(&mut live, 1, 10, vec![spo2("97")]);
    let out = live.due(STREAM, EIGHT + 62 * SECOND);
    feed(&mut live, 3, 70, vec![spo2("96")]);

    let mut again = minute();
    feed(&mut again, 1, 10, vec![spo2("97")]);
    let mut stored = record(10, Vec::new());
    stored.data = out[0].data.clone();
    again.went_out(&stored);
    feed(&mut again, 3, 70, vec![spo2("96")]);
    assert_eq!(due(&mut again, 122), due(&mut live, 122));
    assert_eq!(due(&mut again, 182), due(&mut live, 182), "both miss it");
}
