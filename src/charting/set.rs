//! The set of a patient or a device as of a time: each value as the device sent it, its age,
//! quality and source; or why there is none. Nothing is chosen by value, and two sources of one
//! parameter are two rows.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::house::{House, Machine};
use super::shelf::{Key, Mark, Shelf};
use crate::association::{Around, Asked, Attributed, Channel, MeasurementId, Origin, Utc};
use crate::forward::stored::Stored;
use crate::journal::Reader;
use crate::vocabulary::{Digest, PatientId, Sequence};

/// What is always there counts for a time only within this much before it.
pub const PERIODIC_WITHIN_US: i64 = 60_000_000;
/// What is measured once is offered this long.
pub const EPISODIC_WITHIN_US: i64 = 4 * 3600 * 1_000_000;
/// A periodic figure that is older is not shown as present.
pub const PRESENT_WITHIN_US: i64 = 10_000_000;

/// One row of a set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub observation_id: String,
    pub parameter: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sub_id: String,
    /// As the device sent it; none with a reason beside it.
    pub value: Option<String>,
    pub absent: Option<String>,
    pub unit: String,
    pub ucum: Option<String>,
    /// The part of the device, where several patients are on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    pub device: DeviceShown,
    /// RFC 3339.
    pub measured: String,
    /// How old it is now, rounded up: never less than the truth.
    pub age_ms: i64,
    /// It may be shown as a figure of the set's time.
    pub fresh: bool,
    pub grade: Option<&'static str>,
    /// Doubts and marks.
    pub quality: Vec<String>,
    pub kind: String,
    /// What became of it on the chart.
    pub charted: Option<String>,
    /// Who did that: `box` or `core`.
    pub charted_by: Option<&'static str>,
    /// Who charts it: `core`, `box` or `core, box in downtime`.
    pub owner: &'static str,
    /// It may be signed here now.
    pub signed_here: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// What stands behind it; not shown.
    #[serde(skip)]
    pub behind: Behind,
}

/// Which device a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceShown {
    pub id: String,
    pub name: String,
}

/// The evidence of a row, for the confirmation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Behind {
    pub measured_us: i64,
    pub record: String,
    pub profile: Json,
    /// The metric as it stands in the record.
    pub metric: Map<String, Json>,
    pub entries: Vec<String>,
}

/// Whose and when.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    pub patient: Option<&'a PatientId>,
    pub machine: Option<&'a Machine>,
    /// As of this time; none for now.
    pub at_us: Option<i64>,
    /// Now, for ages: the answer says the same one.
    pub now_us: i64,
}

/// One value that a record holds, before anybody asks whose it is.
pub struct Found {
    pub line: String,
    /// The part of the device, where several patients are on one.
    pub channel: Option<Channel>,
    pub sequence: u64,
    pub metric: Map<String, Json>,
    pub measured_us: i64,
    pub around: Around,
    pub record: String,
    pub profile: Json,
    pub observation_id: String,
}

/// Reads values out of the journal.
pub struct Values<'a> {
    pub house: &'a dyn House,
    pub reader: Reader,
    records: BTreeMap<u64, Option<Stored>>,
}

/// The journal cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the journal cannot be read: {0}")]
pub struct NotRead(#[from] crate::journal::Error);

impl<'a> Values<'a> {
    pub fn of(house: &'a dyn House) -> Self {
        Self { house, reader: house.reader(), records: BTreeMap::new() }
    }

    /// The value at a place, if the record is still there.
    pub fn found(&mut self, sequence: u64, index: usize) -> Result<Option<Found>, NotRead> {
        let stream = self.reader.stream();
        let Some(number) = Sequence::new(sequence) else { return Ok(None) };
        if !self.records.contains_key(&sequence) {
            let record = self.reader.read(number)?;
            let stored = record.and_then(|record| Stored::from_bytes(&record.payload));
            self.records.insert(sequence, stored);
        }
        let stored = self.records.get(&sequence).and_then(Option::as_ref);
        let record = crate::vocabulary::RecordId::of(stream, number);
        Ok(stored.and_then(|stored| found(stored, (sequence, record.as_str()), index)))
    }

    /// A record that a value was found in.
    pub fn record(&self, sequence: u64) -> Option<&Stored> {
        self.records.get(&sequence)?.as_ref()
    }

    /// The value of an observation id.
    pub fn named(&mut self, observation_id: &str) -> Result<Option<Found>, NotRead> {
        let parts = observation_id.rsplit_once('.');
        let place = parts.and_then(|(record, index)| {
            let record = crate::vocabulary::RecordId::parse(record).ok()?;
            let is_ours = record.is_of(self.reader.stream());
            Some((record.sequence().number(), index.parse().ok()?)).filter(|_| is_ours)
        });
        let Some((sequence, index)) = place else { return Ok(None) };
        let found = self.found(sequence, index)?;
        Ok(found.filter(|found| found.observation_id == observation_id))
    }

    /// Whose a value is, as it is known now.
    pub fn whose(&self, found: &Found) -> Option<Attributed> {
        let machine = self.house.machines().iter().find(|one| one.line.name.as_str() == found.line);
        let asked = Asked {
            origin: Origin::Line(machine?.line.clone()),
            channel: found.channel.clone(),
            measurement: MeasurementId::parse(&found.observation_id).ok(),
            at: found.around,
        };
        self.house.ledger().attribute(&asked, Utc::MAX).ok()
    }
}

fn found(stored: &Stored, (sequence, record): (u64, &str), index: usize) -> Option<Found> {
    let data = &stored.data;
    let metric = data.get("metrics")?.as_array()?.get(index)?.as_object()?.clone();
    let times = data.get("times")?;
    let chart = times.get("chart")?;
    let measured_us = chart.get("utc")?.as_str()?.parse::<jiff::Timestamp>().ok()?.as_microsecond();
    let is_corrected = chart.get("rule").and_then(Json::as_str) == Some("corrected");
    let unsure_ms = times.get("corrected").and_then(|one| one.get("uncertainty_ms")?.as_u64());
    let unsure_us = unsure_ms.filter(|_| is_corrected).unwrap_or(0).saturating_mul(1000);
    let unsure_us = u32::try_from(unsure_us).unwrap_or(u32::MAX);
    let observation_id = metric.get("observation_id")?.as_str()?.to_owned();
    Some(Found {
        line: stored.subject.clone(),
        channel: data
            .get("channel")
            .and_then(Json::as_str)
            .and_then(|one| Channel::parse(one).ok()),
        sequence,
        metric,
        measured_us,
        around: Around::give_or_take(Utc::from_us(measured_us), unsure_us),
        record: record.to_owned(),
        profile: data.get("profile").cloned().unwrap_or(Json::Null),
        observation_id,
    })
}

/// The rows of a set, by device and parameter. `charted` says what became of a value.
///
/// # Errors
/// The journal cannot be read.
pub fn rows(
    house: &dyn House,
    shelf: &Shelf,
    wanted: &Wanted<'_>,
    charted: impl Fn(&str) -> Option<String>,
) -> Result<Vec<Row>, NotRead> {
    let now_us = wanted.now_us;
    let at_us = wanted.at_us.unwrap_or(now_us);
    let mut values = Values::of(house);
    let mut rows = Vec::new();
    for machine in house.machines() {
        if wanted.machine.is_some_and(|wanted| wanted.id != machine.id) {
            continue;
        }
        for (key, marks) in shelf.at(machine.line.name.as_str(), at_us) {
            let times = Times { at_us, now_us };
            let Some((found, whose)) = newest_of(&mut values, wanted, &marks, times)? else {
                continue;
            };
            rows.push(row(machine, &key, found, whose.as_ref(), times));
        }
    }
    spot_checks(house, &mut values, wanted, Times { at_us, now_us }, &mut rows)?;
    for row in &mut rows {
        row.charted = charted(&row.observation_id);
    }
    Ok(rows)
}

/// The single measurements that were given to the patient: each is a row of its own, at its own
/// time, however often the device has measured since.
fn spot_checks(
    house: &dyn House,
    values: &mut Values<'_>,
    wanted: &Wanted<'_>,
    times: Times,
    rows: &mut Vec<Row>,
) -> Result<(), NotRead> {
    let Some(patient) = wanted.patient else { return Ok(()) };
    let since = Utc::from_us(times.at_us.saturating_sub(EPISODIC_WITHIN_US));
    for checked in house.ledger().spot_checks(patient, since) {
        let id = checked.measurement.as_str();
        let is_asked = wanted.machine.is_none_or(|machine| machine.id == checked.device);
        let machine = house.machines().iter().find(|one| one.id == checked.device);
        let Some(machine) = machine.filter(|_| is_asked && checked.at.us() <= times.at_us) else {
            continue;
        };
        let Some(found) = values.named(id)? else { continue };
        let whose = values.whose(&found).filter(|whose| whose.patient == *patient);
        let Some((whose, key)) = whose.zip(Key::of(&found.metric)) else { continue };
        rows.retain(|row| row.observation_id != id);
        let row = row(machine, &key, found, Some(&whose), times);
        // It was measured once, for this patient; its age stands beside it.
        rows.push(Row { kind: "episodic".to_owned(), fresh: true, ..row });
    }
    Ok(())
}

/// How long a value is offered for the time of a set.
pub fn within_us(metric: &Map<String, Json>, is_spot_check: bool) -> i64 {
    match metric.get("kind").and_then(Json::as_str) {
        Some("periodic" | "setting") if !is_spot_check => PERIODIC_WITHIN_US,
        _ => EPISODIC_WITHIN_US,
    }
}

#[derive(Clone, Copy)]
struct Times {
    at_us: i64,
    now_us: i64,
}

/// The valid value that counts for the time, else the newest reason for none.
fn newest_of(
    values: &mut Values<'_>,
    wanted: &Wanted<'_>,
    marks: &[Mark],
    times: Times,
) -> Result<Option<(Found, Option<Attributed>)>, NotRead> {
    let mut reason = None;
    for mark in marks.iter().rev() {
        let Some(found) = values.found(mark.sequence, mark.index)? else { continue };
        let within = within_us(&found.metric, false);
        if found.measured_us.saturating_add(within) <= times.at_us {
            continue;
        }
        let whose = values.whose(&found);
        let is_wanted = wanted
            .patient
            .is_none_or(|patient| whose.as_ref().is_some_and(|whose| whose.patient == *patient));
        if !is_wanted {
            continue;
        }
        if mark.is_valid {
            return Ok(Some((found, whose)));
        }
        reason.get_or_insert((found, whose));
    }
    Ok(reason)
}

fn row(
    machine: &Machine,
    key: &Key,
    found: Found,
    whose: Option<&Attributed>,
    times: Times,
) -> Row {
    let text = |name: &str| found.metric.get(name).and_then(Json::as_str).map(str::to_owned);
    let words = |name: &str| {
        let list = found.metric.get(name).and_then(Json::as_array).into_iter().flatten();
        list.filter_map(Json::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let coded = |name: &str| {
        let first = found.metric.get(name).and_then(Json::as_array).and_then(|all| all.first());
        let part = |part: &str| Some(first?.get(part)?.as_str()?.to_owned());
        part("words").filter(|words| !words.is_empty()).or_else(|| part("code"))
    };
    let age_us = times.now_us.saturating_sub(found.measured_us).max(0);
    let kind = text("kind").unwrap_or_else(|| "episodic".to_owned());
    let is_periodic = kind == "periodic" || kind == "setting";
    let site = found
        .metric
        .get("body_site")
        .and_then(|site| Some(site.get("words")?.as_str()?.to_owned()));
    Row {
        parameter: key.parameter.clone(),
        sub_id: key.sub_id.clone(),
        value: text("value"),
        absent: text("absent"),
        unit: coded("unit").unwrap_or_default(),
        ucum: text("ucum"),
        channel: found.channel.as_ref().map(|channel| channel.as_str().to_owned()),
        device: DeviceShown {
            id: machine.id.as_str().to_owned(),
            name: machine.line.name.as_str().to_owned(),
        },
        measured: crate::vocabulary::moment::utc_text(found.measured_us),
        age_ms: age_us / 1000 + i64::from(age_us % 1000 != 0),
        fresh: !is_periodic || times.at_us.saturating_sub(found.measured_us) <= PRESENT_WITHIN_US,
        grade: whose.map(|whose| whose.grade.as_str()),
        quality: [words("doubts"), words("flags")].concat(),
        kind,
        charted: None,
        charted_by: None,
        owner: "",
        signed_here: false,
        site,
        behind: Behind {
            measured_us: found.measured_us,
            record: found.record,
            profile: found.profile,
            entries: whose
                .into_iter()
                .flat_map(|whose| &whose.entries)
                .map(|entry| entry.as_str().to_owned())
                .collect(),
            metric: found.metric.clone(),
        },
        observation_id: found.observation_id,
    }
}

/// What the set was judged by, in a word that changes when it does: the evidence of its rows.
pub fn version(rows: &[Row]) -> String {
    let mut entries: Vec<&str> =
        rows.iter().flat_map(|row| &row.behind.entries).map(String::as_str).collect();
    entries.sort_unstable();
    entries.dedup();
    let mut text = Digest::of_parts(&entries).to_string();
    text.truncate(16);
    text
}
