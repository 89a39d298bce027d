//! Routes with `every`: of what is always there, one value per interval; of everything else, all.
//!
//! Selection is by time alone. At each boundary (a multiple of the interval in UTC) it is the last
//! valid value at or before the boundary and within one interval, at its own time, from the record
//! that stated it. Where an interval has no valid value, what the device last said instead of one
//! goes out; where it said nothing, the value is absent: `no-value-at-boundary`.
//!
//! | kind of parameter | what goes |
//! |---|---|
//! | periodic, setting, cumulative | the last of each interval |
//! | episodic, event, alarms, what the vocabulary does not know | all, once, at its own time |
//!
//! It is fed with the data of records, live and when the journal is read back, so both give the
//! same selection. It asks no clock and must not look at what a value is: an implausible or
//! questionable one is chosen as it stands, with its doubts.
//!
//! An interval is closed a little after its boundary, or after the last late value that came for
//! it. Late values of a closed interval are a selection of their own for the same boundary. While a
//! device is wholly silent its values are stated absent once; the gap record tells the rest.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use crate::forward::stored::{EventKind, Stored};
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{AbsentReason, RecordId, Sequence, StreamId};

/// How long after a boundary, or after the last value for it, an interval stays open: values of
/// one device's links that were measured in the same second come within this time.
pub const GRACE_US: i64 = 2_000_000;

/// How many intervals of one device may be open: the oldest one is closed before its time when a
/// device sends times that are all over the calendar.
const OPEN_MAX: usize = 512;

/// What has not been sent for so long is not missed any more: no association lasts longer unseen.
const MISSED_FOR_US: i64 = 24 * 3600 * 1_000_000;

/// What of a record goes to the destination at once.
#[derive(Clone, Debug, PartialEq)]
pub enum Passed {
    /// The record as it is.
    Whole,
    /// These metrics of it, in a record of their own.
    Part(Map<String, Json>),
    /// Nothing: all of it is sampled.
    Nothing,
}

/// A record that a boundary makes.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub device: String,
    /// The chart time of its values, RFC 3339.
    pub time: String,
    pub data: Map<String, Json>,
}

/// The values of one destination's route between two boundaries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampler {
    interval_us: i64,
    devices: BTreeMap<String, DeviceSampler>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct DeviceSampler {
    /// Open intervals by their boundary.
    open: BTreeMap<i64, Interval>,
    /// The newest boundary that went out.
    closed: Option<i64>,
    /// What is missed when it does not come: its last record and metric.
    known: BTreeMap<Key, Known>,
    /// Its values were stated absent because nothing came at all.
    silent: bool,
}

/// What makes two values statements of the same series: whose, what and where. As JSON text.
type Key = String;

#[derive(Clone, Debug, PartialEq)]
struct Known {
    data: Map<String, Json>,
    metric: Json,
    /// The last boundary with a valid value.
    boundary_us: i64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Interval {
    arrived_us: i64,
    latest: BTreeMap<Key, Candidate>,
    /// The records that a candidate stands in, without their metrics.
    sources: BTreeMap<u64, (String, Map<String, Json>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    valid: bool,
    chart_us: i64,
    sequence: u64,
    index: usize,
    metric: Json,
}

impl Passed {
    /// What of this record goes at once to a destination that takes one value per interval.
    pub fn of(stream: StreamId, sequence: Sequence, stored: &Stored) -> Self {
        let Some(metrics) = metrics_to_sample(stored) else { return Passed::Whole };
        let passing: Vec<Json> =
            metrics.iter().filter(|metric| !is_sampled(metric)).cloned().collect();
        if passing.is_empty() {
            return Passed::Nothing;
        }
        let mut part = stored.data.clone();
        part.insert("metrics".to_owned(), Json::Array(passing));
        part.insert("part_of".to_owned(), json!(RecordId::of(stream, sequence)));
        Passed::Part(part)
    }
}

impl Sampler {
    /// `interval_ms` is at least one second.
    pub fn new(interval_ms: u64) -> Self {
        let interval_us = i64::try_from(interval_ms.max(1000)).unwrap_or(i64::MAX / 1000) * 1000;
        Self { interval_us, devices: BTreeMap::new() }
    }

    /// Takes a record that this destination may have, once it is kept (or read back).
    pub fn feed(&mut self, sequence: Sequence, received_us: i64, stored: &Stored) {
        let Some(chart_us) = instant(&stored.time) else { return };
        let Some(metrics) = metrics_to_sample(stored) else { return };
        let boundary_us = self.boundary_of(chart_us);
        let device = self.devices.entry(stored.subject.clone()).or_default();
        let interval = device.open.entry(boundary_us).or_default();
        let number = sequence.number();
        interval.arrived_us = interval.arrived_us.max(received_us);
        let mut rest = stored.data.clone();
        rest.remove("metrics");
        let context = context(&rest);
        for (index, metric) in metrics.iter().enumerate().filter(|(_, metric)| is_sampled(metric)) {
            let candidate = Candidate {
                valid: metric.get("value").is_some(),
                chart_us,
                sequence: number,
                index,
                metric: metric.clone(),
            };
            interval.offer(key(&context, metric), candidate);
        }
        interval.sources.insert(number, (stored.time.clone(), rest));
        interval.forget_unused();
    }

    /// The records of all intervals that are over at `now_us`, oldest boundary first.
    pub fn due(&mut self, stream: StreamId, now_us: i64) -> Vec<Sample> {
        let interval_us = self.interval_us;
        let mut samples = Vec::new();
        for (name, device) in &mut self.devices {
            let over = |(boundary, interval): (&i64, &Interval)| {
                let last = (*boundary).max(interval.arrived_us);
                (last.saturating_add(GRACE_US) <= now_us).then_some(*boundary)
            };
            let mut boundaries: Vec<i64> = device.open.iter().filter_map(over).collect();
            let surplus = device.open.len().saturating_sub(OPEN_MAX + boundaries.len());
            boundaries.extend(device.open.keys().take(surplus));
            for boundary in boundaries {
                let Some(interval) = device.open.remove(&boundary) else { continue };
                samples.extend(device.close(stream, name, interval_us, (boundary, interval)));
            }
            samples.extend(device.silence(name, interval_us, now_us));
        }
        samples
    }

    /// A selection that went out before the daemon was started: its interval is closed.
    pub fn went_out(&mut self, stored: &Stored) {
        let Some(sampled) = stored.data.get("sampled") else { return };
        let Some(boundary) = sampled.get("boundary").and_then(Json::as_str).and_then(instant)
        else {
            return;
        };
        let device = self.devices.entry(stored.subject.clone()).or_default();
        device.open.remove(&boundary);
        device.closed = device.closed.max(Some(boundary));
        let mut rest = stored.data.clone();
        let metrics = rest.remove("metrics");
        let context = context(&rest);
        for metric in metrics.iter().filter_map(Json::as_array).flatten() {
            device.know(key(&context, metric), &rest, metric, boundary);
        }
    }

    /// The boundary at or after an instant.
    fn boundary_of(&self, chart_us: i64) -> i64 {
        let past = chart_us.rem_euclid(self.interval_us);
        if past == 0 { chart_us } else { chart_us - past + self.interval_us }
    }
}

impl DeviceSampler {
    /// The records of one interval: one per record that a value was chosen from, and one per
    /// record whose series are missed.
    fn close(
        &mut self,
        stream: StreamId,
        device: &str,
        interval_us: i64,
        (boundary, interval): (i64, Interval),
    ) -> Vec<Sample> {
        let late = self.closed.is_some_and(|closed| closed >= boundary);
        let mut by_source: BTreeMap<u64, Vec<(usize, Json)>> = BTreeMap::new();
        for candidate in interval.latest.values() {
            let chosen = by_source.entry(candidate.sequence).or_default();
            chosen.push((candidate.index, candidate.metric.clone()));
        }
        let mut samples = Vec::new();
        for (sequence, mut chosen) in by_source {
            let Some((time, rest)) = interval.sources.get(&sequence) else { continue };
            chosen.sort_by_key(|(index, _)| *index);
            let metrics = chosen.into_iter().map(|(_, metric)| metric).collect();
            let mut data = with_sampled(rest, interval_us, boundary, metrics);
            if let Some(sequence) = Sequence::new(sequence) {
                data.insert("part_of".to_owned(), json!(RecordId::of(stream, sequence)));
            }
            samples.push(Sample { device: device.to_owned(), time: time.clone(), data });
        }
        if late {
            return samples;
        }
        let present: BTreeSet<Key> = interval.latest.keys().cloned().collect();
        samples.extend(self.missed(device, interval_us, boundary, &present));
        for (key, candidate) in &interval.latest {
            if let Some((_, rest)) = interval.sources.get(&candidate.sequence) {
                self.know(key.clone(), rest, &candidate.metric, boundary);
            }
        }
        self.closed = Some(boundary);
        self.silent = false;
        samples
    }

    /// Nothing came in a whole interval: stated once.
    fn silence(&mut self, device: &str, interval_us: i64, now_us: i64) -> Vec<Sample> {
        let Some(closed) = self.closed.filter(|_| !self.silent) else { return Vec::new() };
        let next = closed.saturating_add(interval_us);
        if self.open.contains_key(&next) || next.saturating_add(GRACE_US) > now_us {
            return Vec::new();
        }
        self.silent = true;
        let samples = self.missed(device, interval_us, next, &BTreeSet::new());
        self.closed = Some(next);
        samples
    }

    /// What is known of the device and did not come at all.
    fn missed(
        &mut self,
        device: &str,
        interval_us: i64,
        boundary: i64,
        present: &BTreeSet<Key>,
    ) -> Vec<Sample> {
        self.known.retain(|_, known| boundary - known.boundary_us <= MISSED_FOR_US);
        let mut by_record: BTreeMap<String, (Map<String, Json>, Vec<Json>)> = BTreeMap::new();
        for (_, known) in self.known.iter().filter(|(key, _)| !present.contains(*key)) {
            let entry = by_record.entry(context(&known.data));
            let (_, metrics) = entry.or_insert_with(|| (known.data.clone(), Vec::new()));
            metrics.push(absent(&known.metric));
        }
        let samples = by_record.into_values().map(|(rest, metrics)| {
            let mut data = with_sampled(&rest, interval_us, boundary, metrics);
            data.remove("names");
            let at = utc_text(boundary);
            if let Some(times) = data.get_mut("times").and_then(Json::as_object_mut) {
                times.insert("device".to_owned(), Json::Null);
                times.insert("corrected".to_owned(), Json::Null);
                times.insert("chart".to_owned(), json!({ "utc": at, "rule": "boundary" }));
            }
            Sample { device: device.to_owned(), time: at, data }
        });
        samples.collect()
    }

    fn know(&mut self, key: Key, rest: &Map<String, Json>, metric: &Json, boundary_us: i64) {
        if metric.get("value").is_some() {
            let (data, metric) = (rest.clone(), metric.clone());
            self.known.insert(key, Known { data, metric, boundary_us });
        }
    }
}

impl Interval {
    /// A valid value beats what is none; of two alike the later one counts, and of two at one
    /// instant the one that was kept later.
    fn offer(&mut self, key: Key, new: Candidate) {
        let rank = |one: &Candidate| (one.valid, one.chart_us, one.sequence, one.index);
        match self.latest.get(&key) {
            Some(held) if rank(held) >= rank(&new) => {}
            Some(_) | None => {
                self.latest.insert(key, new);
            }
        }
    }

    fn forget_unused(&mut self) {
        let used: BTreeSet<u64> = self.latest.values().map(|one| one.sequence).collect();
        self.sources.retain(|sequence, _| used.contains(sequence));
    }
}

/// Whether a route thins it out: the vocabulary says that it is always there.
fn is_sampled(metric: &Json) -> bool {
    let kind = metric.get("kind").and_then(Json::as_str);
    matches!(kind, Some("periodic" | "setting" | "cumulative"))
}

/// The metrics of a record of which some are sampled.
fn metrics_to_sample(stored: &Stored) -> Option<&Vec<Json>> {
    let metrics = stored.data.get("metrics").and_then(Json::as_array)?;
    let samples = stored.kind == EventKind::Observation && metrics.iter().any(is_sampled);
    (samples && instant(&stored.time).is_some()).then_some(metrics)
}

/// Whose values a record states, as text: values of two patients are two series.
fn context(data: &Map<String, Json>) -> String {
    let parts = [
        "patient",
        "patient_ids_stated_by_device",
        "association",
        "channel",
        "place_stated_by_device",
        "specimen",
    ];
    json!(parts.map(|part| data.get(part).cloned().unwrap_or_default())).to_string()
}

/// What a metric measures and where, as text.
fn key(context: &str, metric: &Json) -> Key {
    let parts = ["parameter", "codings", "sub_id", "body_site", "method", "equipment"];
    let parts = parts.map(|part| metric.get(part).cloned().unwrap_or_default());
    json!([context, parts]).to_string()
}

/// The metric without its value.
fn absent(metric: &Json) -> Json {
    let mut metric = metric.clone();
    if let Some(fields) = metric.as_object_mut() {
        // It is a statement of its own: the committer gives it an id.
        let value = ["value", "comparator", "digits", "form", "coded", "flags", "doubts"];
        for gone in value.into_iter().chain(["observation_id", "at"]) {
            fields.remove(gone);
        }
        let reason = AbsentReason::NoValueAtBoundary.as_str();
        fields.insert("absent".to_owned(), json!(reason));
    }
    metric
}

fn with_sampled(
    rest: &Map<String, Json>,
    interval_us: i64,
    boundary: i64,
    metrics: Vec<Json>,
) -> Map<String, Json> {
    let mut data = rest.clone();
    data.insert("metrics".to_owned(), Json::Array(metrics));
    let sampled = json!({ "every_ms": interval_us / 1000, "boundary": utc_text(boundary) });
    data.insert("sampled".to_owned(), sampled);
    data
}

/// Microseconds since 1970 UTC of an RFC 3339 text.
fn instant(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests;
