use super::*;

fn sent(number: u64, anchor: &str, parameter: &str, value: &str, sent_us: i64) -> Line {
    Line {
        link: "one".to_owned(),
        message: number,
        key: Some(format!("{anchor}/{parameter}")),
        parameter: Some(parameter.to_owned()),
        value: Some(value.to_owned()),
        sent_us: Some(sent_us),
        ..Line::default()
    }
}

fn stored(anchor: &str, parameter: &str, value: &str, safe_us: i64) -> Value {
    Value {
        link: "one".to_owned(),
        names: vec![parameter.to_owned()],
        anchor: anchor.to_owned(),
        value: value.to_owned(),
        safe_us,
        is_acknowledged: true,
        ..Value::default()
    }
}

/// Readings of one parameter without anchors, each arriving 10 µs after it was sent.
fn in_order(sent_values: &[&str], stored_values: &[&str]) -> Joined {
    let lines: Vec<Line> = sent_values
        .iter()
        .zip(0..)
        .map(|(value, at)| sent(at, &at.to_string(), "spo2", value, at as i64 * 100))
        .collect();
    let values: Vec<Value> = stored_values
        .iter()
        .zip(0..)
        .map(|(value, at)| stored("", "spo2", value, at * 100 + 10))
        .collect();
    join(&lines.iter().collect::<Vec<_>>(), &values.iter().collect::<Vec<_>>(), Join::Order)
}

#[test]
fn everything_once_is_nothing_lost_and_nothing_twice() {
    let joined = in_order(&["97", "97", "98", "---"], &["97", "97", "98", "---"]);
    let expected = Joined {
        readings: 4,
        acknowledged: 4,
        latencies_us: vec![10, 10, 10, 10],
        ..Joined::default()
    };
    assert_eq!(joined, expected);
}

#[test]
fn a_lost_reading_is_counted_once_and_the_others_are_found() {
    let joined = in_order(&["97", "96", "95", "94", "93"], &["97", "95", "94", "93"]);
    assert_eq!((joined.readings, joined.lost, joined.duplicates), (5, 1, 0));
    assert_eq!(joined.acknowledged, 4);
    let at_the_end = in_order(&["97", "96"], &["97"]);
    assert_eq!((at_the_end.lost, at_the_end.duplicates), (1, 0));
    let all = in_order(&["97", "96"], &[]);
    assert_eq!((all.lost, all.duplicates), (2, 0));
}

#[test]
fn of_equal_readings_one_more_is_a_duplicate_and_one_less_is_lost() {
    let more = in_order(&["97", "97", "97"], &["97", "97", "97", "97"]);
    assert_eq!((more.lost, more.duplicates), (0, 1));
    let less = in_order(&["97", "97", "97"], &["97", "97"]);
    assert_eq!((less.lost, less.duplicates), (1, 0));
}

#[test]
fn a_changed_value_is_lost_and_what_stands_there_is_too_many() {
    let joined = in_order(&["97", "098", "99"], &["97", "98", "99"]);
    assert_eq!((joined.lost, joined.duplicates), (1, 1));
}

#[test]
fn order_counts() {
    let joined = in_order(&["1", "2", "3"], &["2", "1", "3"]);
    assert_eq!((joined.lost, joined.duplicates), (1, 1));
}

/// Against the plain table of longest common subsequences.
#[test]
fn the_search_finds_as_many_pairs_as_the_plain_table() {
    let table = |one: &[&str], other: &[&str]| {
        let mut best = vec![vec![0usize; other.len() + 1]; one.len() + 1];
        for i in 0..one.len() {
            for j in 0..other.len() {
                best[i + 1][j + 1] = if one[i] == other[j] {
                    best[i][j] + 1
                } else {
                    best[i][j + 1].max(best[i + 1][j])
                };
            }
        }
        best[one.len()][other.len()]
    };
    let letters = ["a", "b", "c"];
    let mut state = 12345u64;
    let mut text = |length: u64| -> Vec<&str> {
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                letters[(state >> 33) as usize % letters.len()]
            })
            .collect()
    };
    for length in 0..40 {
        let (one, other) = (text(length), text(40 - length / 2));
        let pairs = same_in_order(&one, &other);
        assert_eq!(pairs.len(), table(&one, &other), "{one:?} {other:?}");
        assert!(pairs.iter().all(|(i, j)| one[*i] == other[*j]));
        assert!(pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1));
    }
}

#[test]
fn by_key_loss_repetition_and_change_are_told_apart() {
    let lines = [
        sent(1, "S1", "pH", "7.40", 0),
        sent(1, "S1", "GLU", "5.6", 0),
        sent(2, "S2", "pH", "7.41", 0),
    ];
    let lines: Vec<&Line> = lines.iter().collect();
    let outcome = |values: &[Value]| {
        let joined = join(&lines, &values.iter().collect::<Vec<_>>(), Join::Key);
        (joined.lost, joined.changed, joined.duplicates)
    };
    let (first, second) = (stored("S1", "pH", "7.40", 5), stored("S1", "GLU", "5.6", 6));
    let third = stored("S2", "pH", "7.41", 7);
    assert_eq!(outcome(&[first.clone(), second.clone(), third.clone()]), (0, 0, 0));
    assert_eq!(outcome(&[first.clone(), third.clone()]), (1, 0, 0));
    let twice = [first.clone(), first.clone(), second.clone(), third.clone()];
    assert_eq!(outcome(&twice), (0, 0, 1));
    let rounded = stored("S1", "pH", "7.4", 5);
    assert_eq!(outcome(&[rounded, second.clone(), third.clone()]), (1, 1, 0));
    let foreign = stored("S9", "pH", "7.40", 5);
    assert_eq!(outcome(&[first, second, third, foreign]), (0, 0, 1));
}

#[test]
fn only_readings_count_as_sent() {
    let noise = Line { refused: Some("damaged line".to_owned()), ..Line::default() };
    let acknowledged = Line { acked_us: Some(5), ..Line::default() };
    assert_eq!(join(&[&noise, &acknowledged], &[], Join::Order), Joined::default());
}

#[test]
fn percentiles_are_nearest_ranks() {
    let hundred: Vec<i64> = (1..=100).collect();
    assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (Some(50), Some(99)));
    assert_eq!((percentile(&[7, 9], 50), percentile(&[7, 9], 99)), (Some(7), Some(9)));
    assert_eq!(percentile(&[], 50), None);
}

#[test]
fn a_mark_of_absence_that_became_a_value_is_lost() {
    for how in [Join::Key, Join::Order] {
        let mark = Line { absent: Some(true), ..sent(1, "T", "spo2", "-999", 0) };
        let as_value = stored("T", "spo2", "-999", 10);
        let as_absent = Value { is_absent: true, ..as_value.clone() };
        assert_eq!(join(&[&mark], &[&as_absent], how).lost, 0, "{how:?}");
        assert_eq!(join(&[&mark], &[&as_value], how).lost, 1, "{how:?}");
        let silent = Line { absent: None, ..mark };
        assert_eq!(join(&[&silent], &[&as_value], how).lost, 0, "{how:?}");
    }
}

#[test]
fn demo_data_in_the_core_is_one_too_many() {
    let demo = Line { key: None, demo: true, ..sent(1, "T", "spo2", "77", 0) };
    for how in [Join::Key, Join::Order] {
        let kept = Joined { demo: 1, ..Joined::default() };
        assert_eq!(join(&[&demo], &[], how), kept, "{how:?}");
        assert_eq!(join(&[&demo], &[&stored("T", "spo2", "77", 10)], how).duplicates, 1);
    }
}
