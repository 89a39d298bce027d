//! The chart beside the full record: what a route with `every = "1 min"` gave, judged against what
//! the core that takes everything has.
//!
//! | what | must be |
//! |---|---|
//! | a value at a boundary | the last valid one at or before it, within one minute, unchanged |
//! | a series without a valid value in a minute | what the device last said instead, or absent |
//! | an episodic value or an event | there once, at its own time |
//! | anything else | not there |
//!
//! It knows the rule from the contract (docs/ingestion) and none of the gateway's code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::simulator::clock::read_utc;

/// The route's interval.
pub const MINUTE_US: i64 = 60_000_000;

/// What came of the comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charted {
    /// Minutes that were charted, over all devices.
    pub boundaries: u64,
    /// Values at boundaries that are the right ones.
    pub right: u64,
    /// Values at boundaries that are others.
    pub wrong: u64,
    /// Series that have a value in a charted minute, and none in the chart.
    pub missing: u64,
    /// Values in the chart that nothing stands behind.
    pub made_up: u64,
    /// Episodic values that are there once, at their own time.
    pub episodic: u64,
    /// Episodic values that are not, or not once.
    pub episodic_wrong: u64,
    /// The first differences, in words.
    pub words: Vec<String>,
}

/// How many differences are told.
const WORDS_MAX: usize = 5;

impl Charted {
    /// Whether something was charted, and nothing wrong.
    pub fn is_even(&self) -> bool {
        self.right > 0
            && [self.wrong, self.missing, self.made_up, self.episodic_wrong] == [0, 0, 0, 0]
    }

    /// For programs.
    pub fn json(&self) -> Json {
        json!({
            "boundaries": self.boundaries,
            "right": self.right,
            "wrong": self.wrong,
            "missing": self.missing,
            "made_up": self.made_up,
            "episodic": self.episodic,
            "episodic_wrong": self.episodic_wrong,
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let Self { boundaries, right, wrong, missing, made_up, episodic, episodic_wrong, .. } =
            self;
        let mut text = format!(
            "chart (one value a minute): {boundaries} minutes of devices, {right} values right, \
             {wrong} wrong,\n  {missing} missing, {made_up} made up; {episodic} episodic values \
             once, {episodic_wrong} not"
        );
        for words in &self.words {
            text.push_str("\n  ");
            text.push_str(words);
        }
        text
    }

    fn tell(&mut self, words: impl FnOnce() -> String) {
        if self.words.len() < WORDS_MAX {
            self.words.push(words());
        }
    }
}

/// One value of one record.
#[derive(Clone, Debug)]
struct Stated {
    /// Device, parameter and where it was measured.
    series: String,
    chart_us: i64,
    sequence: u64,
    index: usize,
    /// The value, or the reason of its absence.
    said: String,
    valid: bool,
    /// One value an interval is enough.
    sampled_kind: bool,
    /// The boundary for which it was chosen.
    boundary_us: Option<i64>,
}

/// Compares two stores.
///
/// # Errors
/// One cannot be read, or a line of it is no record.
pub fn compare(everything: &Path, chart: &Path) -> io::Result<Charted> {
    Ok(judge(&read(everything)?, &read(chart)?))
}

fn read(store: &Path) -> io::Result<Vec<Stated>> {
    let mut all = Vec::new();
    // The same record sent again is the same record.
    let mut seen = BTreeSet::new();
    for line in BufReader::new(File::open(store)?).lines() {
        let line: Json = serde_json::from_str(&line?)?;
        let record = &line["record"];
        if seen.insert(record["data"]["sequence"].as_u64()) {
            all.extend(of_record(record));
        }
    }
    Ok(all)
}

fn of_record(record: &Json) -> Vec<Stated> {
    let data = &record["data"];
    let is_observation = record["type"] == "fi.wardgate.observation.v1";
    let sequence = data["sequence"].as_u64();
    let time = record["time"].as_str().and_then(read_utc);
    let (true, Some(sequence), Some(chart_us)) = (is_observation, sequence, time) else {
        return Vec::new();
    };
    let boundary_us = data["sampled"]["boundary"].as_str().and_then(read_utc);
    let metrics = data["metrics"].as_array().into_iter().flatten().enumerate();
    let stated = |(index, metric): (usize, &Json)| {
        let parts = ["parameter", "codings", "sub_id", "body_site", "method", "equipment"];
        let parts = parts.map(|part| metric.get(part).cloned().unwrap_or_default());
        let value = metric["value"].as_str();
        let absent = metric["absent"].as_str().map(|reason| format!("absent: {reason}"));
        Stated {
            series: json!([record["subject"], parts]).to_string(),
            chart_us,
            sequence,
            index,
            said: value.map(str::to_owned).or(absent).unwrap_or_default(),
            valid: value.is_some(),
            sampled_kind: matches!(
                metric["kind"].as_str(),
                Some("periodic" | "setting" | "cumulative")
            ),
            boundary_us,
        }
    };
    metrics.map(stated).collect()
}

/// The boundary at or after an instant.
fn boundary_of(chart_us: i64) -> i64 {
    chart_us + (-chart_us).rem_euclid(MINUTE_US)
}

fn judge(everything: &[Stated], chart: &[Stated]) -> Charted {
    let mut charted = Charted::default();
    at_boundaries(everything, chart, &mut charted);
    episodic(everything, chart, &mut charted);
    charted
}

fn at_boundaries(everything: &[Stated], chart: &[Stated], charted: &mut Charted) {
    // What should stand there: a valid value before none, then the later one.
    let mut expected: BTreeMap<(&str, i64), &Stated> = BTreeMap::new();
    for one in everything.iter().filter(|one| one.sampled_kind) {
        let place = expected.entry((&one.series, boundary_of(one.chart_us))).or_insert(one);
        let rank = |one: &Stated| (one.valid, one.chart_us, one.sequence, one.index);
        if rank(one) > rank(place) {
            *place = one;
        }
    }
    // Of several selections for one boundary the last one stands.
    let mut chosen: BTreeMap<(&str, i64), &Stated> = BTreeMap::new();
    for one in chart {
        let Some(boundary) = one.boundary_us else { continue };
        let place = chosen.entry((&one.series, boundary)).or_insert(one);
        if one.sequence > place.sequence {
            *place = one;
        }
    }
    let device = |series: &str| series.split(',').next().unwrap_or_default().to_owned();
    let minutes: BTreeSet<(String, i64)> =
        chosen.keys().map(|(series, boundary)| (device(series), *boundary)).collect();
    charted.boundaries = minutes.len() as u64;
    for (key, one) in &chosen {
        match expected.get(key) {
            Some(right) if (&right.said, right.chart_us) == (&one.said, one.chart_us) => {
                charted.right += 1;
            }
            Some(right) => {
                charted.wrong += 1;
                let (series, said, right) = (key.0, &one.said, &right.said);
                charted.tell(|| format!("{series}: {said:?} charted, {right:?} was the last"));
            }
            // A series that is known and did not come is stated absent.
            None if !one.valid => charted.right += 1,
            None => {
                charted.made_up += 1;
                charted.tell(|| format!("{}: {:?} charted, nothing was sent", key.0, one.said));
            }
        }
    }
    for (key, right) in &expected {
        if minutes.contains(&(device(key.0), key.1)) && !chosen.contains_key(key) {
            charted.missing += 1;
            charted.tell(|| format!("{}: {:?} is not in the chart", key.0, right.said));
        }
    }
}

fn episodic(everything: &[Stated], chart: &[Stated], charted: &mut Charted) {
    let mut counts: BTreeMap<(&str, i64, &str), (u64, u64)> = BTreeMap::new();
    for one in everything.iter().filter(|one| !one.sampled_kind) {
        counts.entry((&one.series, one.chart_us, &one.said)).or_default().0 += 1;
    }
    for one in chart.iter().filter(|one| one.boundary_us.is_none()) {
        counts.entry((&one.series, one.chart_us, &one.said)).or_default().1 += 1;
    }
    for ((series, _, said), (sent, there)) in counts {
        if sent == there {
            charted.episodic += sent;
        } else {
            charted.episodic_wrong += sent.abs_diff(there);
            charted.tell(|| format!("{series}: {said:?} sent {sent} times, charted {there}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stated(series: &str, at_s: i64, said: &str) -> Stated {
        Stated {
            series: format!("[\"monitor\",{series}]"),
            chart_us: at_s * 1_000_000,
            sequence: at_s.unsigned_abs(),
            index: 0,
            said: said.to_owned(),
            valid: !said.starts_with("absent"),
            sampled_kind: series != "nibp",
            boundary_us: None,
        }
    }

    fn chosen(one: &Stated, boundary_s: i64) -> Stated {
        let sequence = one.sequence + 1000;
        Stated { boundary_us: Some(boundary_s * 1_000_000), sequence, ..one.clone() }
    }

    #[test]
    fn the_last_valid_value_before_the_boundary_is_right() {
        let sent =
            [stated("hr", 10, "80"), stated("hr", 58, "81"), stated("hr", 59, "absent: off")];
        let charted = judge(&sent, &[chosen(&sent[1], 60)]);
        assert_eq!((charted.right, charted.boundaries), (1, 1));
        assert!(charted.is_even(), "{charted:?}");
    }

    #[test]
    fn another_value_a_missing_one_and_a_made_up_one_are_seen() {
        let sent = [stated("hr", 10, "80"), stated("hr", 58, "81"), stated("rr", 30, "12")];
        assert_eq!(judge(&sent, &[chosen(&sent[0], 60)]).wrong, 1);
        assert_eq!(judge(&sent, &[chosen(&sent[0], 60)]).missing, 1);
        let ghost = chosen(&stated("spo2", 50, "97"), 60);
        assert_eq!(judge(&sent, &[ghost]).made_up, 1);
        assert!(!judge(&sent, &[]).is_even(), "an empty chart is no success");
    }

    #[test]
    fn an_episodic_value_is_there_once() {
        let sent = [stated("hr", 58, "81"), stated("nibp", 20, "120")];
        let chart = [chosen(&sent[0], 60), sent[1].clone()];
        let charted = judge(&sent, &chart);
        assert_eq!((charted.episodic, charted.episodic_wrong), (1, 0));
        let twice = [&chart[..], &chart[1..]].concat();
        assert_eq!(judge(&sent, &twice).episodic_wrong, 1);
        assert_eq!(judge(&sent, &chart[..1]).episodic_wrong, 1);
    }
}
