//! Where the values are: of each device's parameters the newest ones, and the last of each minute,
//! as numbers of records. What a value is, the journal says.
//!
//! A minute's last value is the one that a set "as of" that minute shows: the last valid one at or
//! before it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::forward::stored::EventKind;

/// How far back minutes are kept; a set for longer ago cannot be had.
pub const MINUTES_KEPT: usize = 120;

const MINUTE_US: i64 = 60_000_000;

/// Which value of a device: a parameter, and which of several (OBX-4, a channel).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The parameter, or the device's own code for one that is not mapped.
    pub parameter: String,
    pub sub_id: String,
}

impl Key {
    /// Of a metric as it stands in a record; `None` where it has no name at all.
    pub fn of(metric: &Map<String, Json>) -> Option<Self> {
        let text = |value: &Json, key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let named = metric.get("parameter").and_then(Json::as_str).map(str::to_owned);
        let coded = || text(metric.get("codings")?.as_array()?.first()?, "code");
        let sub_id = metric.get("sub_id").and_then(Json::as_str).unwrap_or_default().to_owned();
        Some(Self { parameter: named.or_else(coded)?, sub_id })
    }
}

/// Where one value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Its time on the chart, microseconds since 1970 UTC.
    pub chart_us: i64,
    /// The record and the place in it.
    pub sequence: u64,
    pub index: usize,
    /// A value stands there; else a reason why there is none.
    pub is_valid: bool,
}

#[derive(Debug, Default)]
struct Row {
    newest: Option<Mark>,
    newest_valid: Option<Mark>,
    /// By the minute at whose end it is the last valid one.
    minutes: BTreeMap<i64, Mark>,
}

/// All devices' rows.
#[derive(Debug, Default)]
pub struct Shelf {
    devices: BTreeMap<String, BTreeMap<Key, Row>>,
    /// From this chart time on nothing is missing.
    complete_from_us: Option<i64>,
    /// What was kept before is being read back: more will be there in a moment.
    is_filling: bool,
}

/// Whether a set as of a time can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everything that it could show is here.
    Whole,
    /// In a moment: what was kept before the start is being read back.
    Filling,
    /// It is too long ago.
    TooLongAgo,
}

/// What is read of a record here.
#[derive(Deserialize)]
struct Outline<'a> {
    kind: EventKind,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(borrow, default)]
    metrics: Vec<Metric<'a>>,
    #[serde(borrow)]
    times: Option<Times<'a>>,
    #[serde(borrow, default)]
    mode: Option<Cow<'a, str>>,
    #[serde(default)]
    held: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    sampled: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    part_of: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Times<'a> {
    #[serde(borrow)]
    chart: Chart<'a>,
}

#[derive(Deserialize)]
struct Chart<'a> {
    #[serde(borrow)]
    utc: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Metric<'a> {
    #[serde(borrow, default)]
    parameter: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    codings: Vec<Coding<'a>>,
    #[serde(borrow, default)]
    sub_id: Option<Cow<'a, str>>,
    #[serde(default)]
    absent: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Coding<'a> {
    #[serde(borrow, default)]
    code: Cow<'a, str>,
}

impl Shelf {
    /// Nothing was seen before this time.
    pub fn begins_at(now_us: i64) -> Self {
        Self { devices: BTreeMap::new(), complete_from_us: Some(now_us), is_filling: false }
    }

    /// What was kept before is being read back.
    pub fn fills(&mut self) {
        self.is_filling = true;
    }

    /// What was kept from this time on is read back.
    pub fn filled(&mut self, from_us: i64) {
        self.is_filling = false;
        self.complete_from_us = Some(self.complete_from_us.map_or(from_us, |one| one.min(from_us)));
    }

    /// Takes a durable observation. What is held, sampled or no observation is passed over.
    pub fn take(&mut self, sequence: u64, payload: &[u8]) {
        let Ok(Outline { kind, subject, data }) = serde_json::from_slice(payload) else { return };
        // A correction states anew, with ids of its own, what changed hands.
        if !matches!(kind, EventKind::Observation | EventKind::Correction) {
            return;
        }
        let withheld = data.held.is_some() || data.sampled.is_some() || data.part_of.is_some();
        if withheld || data.mode.as_deref() != Some("production") {
            return;
        }
        let at = data.times.and_then(|times| times.chart.utc.parse::<jiff::Timestamp>().ok());
        let Some(chart_us) = at.map(jiff::Timestamp::as_microsecond) else { return };
        let rows = self.devices.entry(subject.into_owned()).or_default();
        for (index, metric) in data.metrics.into_iter().enumerate() {
            let named = metric.parameter.map(Cow::into_owned);
            let coded = metric.codings.into_iter().map(|coding| coding.code.into_owned());
            let Some(parameter) = named.or_else(|| coded.into_iter().next()) else { continue };
            let sub_id = metric.sub_id.map(Cow::into_owned).unwrap_or_default();
            let mark = Mark { chart_us, sequence, index, is_valid: metric.absent.is_none() };
            rows.entry(Key { parameter, sub_id }).or_default().put(mark);
        }
    }

    /// Whether a set as of this time, asked for now, can be had from here. One of now has to wait,
    /// too: what was measured once before the start would be missing in it.
    pub fn reaches(&self, (at_us, now_us): (Option<i64>, i64), window_us: i64) -> Reach {
        let Some(at_us) = at_us else {
            return if self.is_filling { Reach::Filling } else { Reach::Whole };
        };
        let minutes = i64::try_from(MINUTES_KEPT).unwrap_or(i64::MAX);
        if now_us.saturating_sub(at_us) > minutes.saturating_mul(MINUTE_US) {
            return Reach::TooLongAgo;
        }
        let complete = |from: i64| from <= at_us.saturating_sub(window_us);
        match (self.complete_from_us.is_some_and(complete), self.is_filling) {
            (true, _) => Reach::Whole,
            (false, true) => Reach::Filling,
            (false, false) => Reach::TooLongAgo,
        }
    }

    /// The devices of which anything was heard.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }

    /// The last value of each parameter at or before a time, and the last reason for none if that
    /// is newer. A time that is no whole minute is good for the newest values only.
    pub fn at(&self, device: &str, at_us: i64) -> Vec<(Key, Vec<Mark>)> {
        let rows = self.devices.get(device).into_iter().flatten();
        rows.map(|(key, row)| (key.clone(), row.at(at_us)))
            .filter(|(_, marks)| !marks.is_empty())
            .collect()
    }
}

impl Row {
    fn put(&mut self, mark: Mark) {
        let later = |old: &Option<Mark>| old.is_none_or(|old| place(&old) < place(&mark));
        if later(&self.newest) {
            self.newest = Some(mark);
        }
        if !mark.is_valid {
            return;
        }
        if later(&self.newest_valid) {
            self.newest_valid = Some(mark);
        }
        let minute = minute_end(mark.chart_us);
        let last = self.minutes.entry(minute).or_insert(mark);
        if place(last) < place(&mark) {
            *last = mark;
        }
        while self.minutes.len() > MINUTES_KEPT {
            self.minutes.pop_first();
        }
    }

    fn at(&self, at_us: i64) -> Vec<Mark> {
        let within = |mark: &Mark| mark.chart_us <= at_us;
        let earlier = self.minutes.range(..=at_us.div_euclid(MINUTE_US));
        let valid = self.newest_valid.filter(within).or(earlier.map(|(_, mark)| *mark).next_back());
        let newest = self.newest.filter(within);
        [valid, newest].into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn place(mark: &Mark) -> (i64, u64, usize) {
    (mark.chart_us, mark.sequence, mark.index)
}

/// The number of the whole minute at which this is, or lies behind by less than a minute.
fn minute_end(us: i64) -> i64 {
    us.div_euclid(MINUTE_US) + i64::from(us.rem_euclid(MINUTE_US) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(device: &str, time: &str, metrics: &str) -> Vec<u8> {
        format!(
            r#"{{"kind":"observation","time":"{time}","subject":"{device}","routes":{{}},"data":
            {{"metrics":[{metrics}],"mode":"production","times":{{"chart":{{"rule":"received",
            "utc":"{time}"}}}}}}}}"#
        )
        .into_bytes()
    }

    fn us(time: &str) -> i64 {
        time.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    }

    fn marks(shelf: &Shelf, time: &str) -> Vec<(u64, bool)> {
        let rows = shelf.at("oximeter", us(time));
        let marks = rows.into_iter().flat_map(|(_, marks)| marks);
        marks.map(|mark| (mark.sequence, mark.is_valid)).collect()
    }

    #[test]
    fn the_last_valid_one_at_or_before_the_minute() {
        let mut shelf = Shelf::default();
        let spo2 = r#"{"parameter":"spo2","value":"97"}"#;
        let off = r#"{"parameter":"spo2","absent":"sensor-off"}"#;
        for (sequence, time, metric) in [
            (1, "2026-11-29T10:00:00Z", spo2),
            (2, "2026-11-29T10:00:01Z", spo2),
            (3, "2026-11-29T10:00:59.5Z", off),
            (4, "2026-11-29T10:01:00Z", spo2),
            (5, "2026-11-29T10:01:30Z", spo2),
            (6, "2026-11-29T10:01:31Z", off),
        ] {
            shelf.take(sequence, &payload("oximeter", time, metric));
        }
        assert_eq!(marks(&shelf, "2026-11-29T10:00:00Z"), [(1, true)]);
        assert_eq!(marks(&shelf, "2026-11-29T10:01:00Z"), [(4, true)]);
        assert_eq!(marks(&shelf, "2026-11-29T10:02:00Z"), [(5, true), (6, false)]);
        assert_eq!(marks(&shelf, "2026-11-29T09:59:00Z"), []);
    }

    #[test]
    fn a_time_before_everything_is_not_shown_as_empty() {
        let (start, minute) = (us("2026-11-29T10:20:00Z"), 60_000_000);
        let now = start + 5 * minute;
        let mut shelf = Shelf::begins_at(start);
        assert_eq!(shelf.reaches((Some(start + minute), now), minute), Reach::Whole);
        assert_eq!(shelf.reaches((Some(start), now), minute), Reach::TooLongAgo);
        assert_eq!(shelf.reaches((None, now), minute), Reach::Whole);
        shelf.fills();
        assert_eq!(shelf.reaches((None, now), minute), Reach::Filling);
        assert_eq!(shelf.reaches((Some(start), now), minute), Reach::Filling);
        shelf.filled(start - 30 * minute);
        assert_eq!(shelf.reaches((Some(start - 20 * minute), now), minute), Reach::Whole);
        assert_eq!(shelf.reaches((Some(start - 30 * minute), now), minute), Reach::TooLongAgo);
        // Minutes are kept for two hours.
        shelf.filled(start - 300 * minute);
        assert_eq!(shelf.reaches((Some(now - 120 * minute), now), minute), Reach::Whole);
        assert_eq!(shelf.reaches((Some(now - 121 * minute), now), minute), Reach::TooLongAgo);
    }

    #[test]
    fn what_comes_late_stands_at_its_own_time() {
        let mut shelf = Shelf::default();
        let spo2 = r#"{"parameter":"spo2","value":"97"}"#;
        shelf.take(1, &payload("oximeter", "2026-11-29T10:05:00Z", spo2));
        shelf.take(2, &payload("oximeter", "2026-11-29T10:00:30Z", spo2));
        assert_eq!(marks(&shelf, "2026-11-29T10:01:00Z"), [(2, true)]);
        assert_eq!(marks(&shelf, "2026-11-29T10:06:00Z"), [(1, true)]);
    }

    #[test]
    fn what_is_held_or_no_production_is_not_there() {
        let mut shelf = Shelf::default();
        let text = String::from_utf8(payload("oximeter", "2026-11-29T10:00:00Z", "")).unwrap();
        let metric = r#""metrics":[{"parameter":"spo2","value":"97"}]"#;
        let full = text.replace(r#""metrics":[]"#, metric);
        shelf.take(1, full.replace("production", "training").as_bytes());
        shelf.take(2, full.replace(metric, &format!(r#"{metric},"held":["x"]"#)).as_bytes());
        shelf.take(3, b"no record");
        shelf.take(4, full.replace("\"observation\"", "\"confirmation\"").as_bytes());
        assert_eq!(shelf.devices().count(), 0);
        shelf.take(5, full.as_bytes());
        assert_eq!(marks(&shelf, "2026-11-29T10:00:10Z"), [(5, true)]);
        // What changed hands is stated anew.
        shelf.take(6, full.replace("\"observation\"", "\"correction\"").as_bytes());
        assert_eq!(marks(&shelf, "2026-11-29T10:00:10Z"), [(6, true)]);
    }
}
