//! What the index has to know of a record, read off its payload without taking all of it apart.
//!
//! | class | which records |
//! |---|---|
//! | results | observations without a live value: laboratory, spot checks, a cuff on its own; and all with a specimen |
//! | trends | observations with at least one value that is always there, a setting or a total |
//! | events | alarms, events of pumps, what devices say of themselves |
//! | gaps, associations | those |
//! | unresolved | held until a person says what it is; results of nobody; confirmed values whose patient is disputed; set aside by a destination |
//!
//! What a route with `every` has made of other records is in none: it states nothing anew.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::keeping::{self, Kept};
use super::memory::Ended;
use crate::forward::stored::EventKind;
use crate::index::{Class, Entry};
use crate::journal::{Kind, Record};
use crate::vocabulary::ParameterKind;

/// The parts of a stored record that it is found by.
#[derive(Deserialize)]
struct Outline<'a> {
    kind: EventKind,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(borrow)]
    subject: Cow<'a, str>,
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(default, borrow)]
    held: Vec<Cow<'a, str>>,
    #[serde(default)]
    metrics: Vec<MetricKind>,
    #[serde(default, borrow)]
    mode: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    patient_ids_stated_by_device: Vec<Identity<'a>>,
    #[serde(default, borrow)]
    patient: Option<Identity<'a>>,
    #[serde(default)]
    disputed: Option<IgnoredAny>,
    #[serde(default, borrow)]
    specimen: Option<Identity<'a>>,
    #[serde(default)]
    part_of: Option<IgnoredAny>,
    #[serde(default)]
    sampled: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct MetricKind {
    #[serde(default)]
    kind: Option<ParameterKind>,
}

#[derive(Deserialize)]
struct Identity<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// The record that a destination will not take.
#[derive(Deserialize)]
struct Aside {
    sequence: u64,
}

/// What the index has to know of a record; nothing for one that nobody looks for.
pub fn describe(record: &Record) -> Entry {
    let plain =
        Entry { sequence: record.sequence.number(), time_us: record.time_us, ..Entry::default() };
    match record.kind {
        Kind::Observation | Kind::Gap | Kind::DeviceState | Kind::Association => {
            match serde_json::from_slice(&record.payload) {
                Ok(outline) => of(outline, plain),
                Err(_) => plain,
            }
        }
        Kind::SetAside => {
            let ends = Ended::from_bytes(&record.payload);
            if !ends.is_empty() {
                return Entry { ends, ..plain };
            }
            let Ok(Aside { sequence }) = serde_json::from_slice(&record.payload) else {
                return plain;
            };
            Entry { classes: vec![Class::SetAside], about: Some(sequence), ..plain }
        }
        Kind::Carried => match Kept::from_carried(&record.payload) {
            Some(kept) => Entry { carries: true, ..describe(&kept.into_record()) },
            None => plain,
        },
        Kind::Wire
        | Kind::Profile
        | Kind::Configuration
        | Kind::ClockStep
        | Kind::Start
        | Kind::Stop
        | Kind::Destination
        | Kind::Manifest
        | Kind::Waveform
        | Kind::Audit
        | Kind::Register
        | Kind::Other(_) => plain,
    }
}

fn of(outline: Outline<'_>, plain: Entry) -> Entry {
    let Outline { kind, time, subject, data } = outline;
    if data.part_of.is_some() || data.sampled.is_some() {
        return plain;
    }
    // A text that is no time stands for one outside any clock's range.
    let time_us = time.parse::<jiff::Timestamp>().map_or(plain.time_us, |at| at.as_microsecond());
    let stated = data.patient_ids_stated_by_device.iter().chain(&data.patient);
    let mut patients: Vec<String> = stated.map(|one| one.id.clone().into_owned()).collect();
    patients.dedup();
    let mut classes = vec![class(kind, &data)];
    let of_nobody = classes.contains(&Class::Result) && patients.is_empty();
    if of_nobody
        || data.disputed.is_some()
        || keeping::waits(data.held.iter().map(AsRef::as_ref), data.mode.as_deref())
    {
        classes.push(Class::Unresolved);
    }
    Entry {
        time_us,
        classes,
        device: Some(subject.into_owned()),
        patients,
        specimens: data.specimen.map(|one| one.id.into_owned()).into_iter().collect(),
        ..plain
    }
}

fn class(kind: EventKind, data: &Data<'_>) -> Class {
    match kind {
        EventKind::Gap => Class::Gap,
        EventKind::Association => Class::Association,
        EventKind::Alarm | EventKind::PumpEvent | EventKind::DeviceState => Class::Event,
        EventKind::Observation
        | EventKind::Confirmation
        | EventKind::Entry
        | EventKind::Correction
        | EventKind::Void
        | EventKind::Waveform
        | EventKind::Manifest => {
            let is_live = |metric: &MetricKind| match metric.kind {
                Some(
                    ParameterKind::Periodic | ParameterKind::Setting | ParameterKind::Cumulative,
                ) => true,
                Some(ParameterKind::Episodic | ParameterKind::Event) | None => false,
            };
            let live = data.specimen.is_none() && data.metrics.iter().any(is_live);
            if live { Class::Trend } else { Class::Result }
        }
    }
}
