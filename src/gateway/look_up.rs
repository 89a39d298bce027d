//! Look-ups by a person: what is asked over the Unix socket, and what is answered. The index names
//! records, the journal says what they are.
//!
//! A row names nobody: it says whether the device stated a patient, and `explain` shows the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::keeping::Kept;
use super::replay::for_people;
use crate::forward::cursor::{self, Found, SET_ASIDE_MAX};
use crate::forward::stored::Stored;
use crate::index::{self, Class, Entry, Index, Query};
use crate::journal::{Kind, Record};
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{RecordId, Sequence, StreamId};

/// More rows than a person reads; a program asks for the next span of time.
pub const ROWS_MAX: usize = 1000;

/// How many values of one record stand in its row.
const VALUES_SHOWN: usize = 4;

/// What identifies a person or a specimen; it is in no log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identity(pub String);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LookUpKind {
    /// Values measured once: laboratory, spot checks.
    Results,
    /// Live values: many.
    Trends,
    /// Alarms, events of pumps, what devices say of themselves.
    Events,
    /// Spans in which data could not be had.
    Gaps,
    /// Which device stood where.
    Associations,
    /// Held until a person says what it is, results of nobody, set aside by a destination.
    Unresolved,
}

impl LookUpKind {
    const fn classes(self) -> &'static [Class] {
        match self {
            Self::Results => &[Class::Result],
            Self::Trends => &[Class::Trend],
            Self::Events => &[Class::Event],
            Self::Gaps => &[Class::Gap],
            Self::Associations => &[Class::Association],
            Self::Unresolved => &[Class::Unresolved, Class::SetAside],
        }
    }
}

/// What a person looks for; each part narrows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookUp {
    /// Empty: all of them.
    pub kinds: Vec<LookUpKind>,
    pub device: Option<String>,
    /// As the device states it.
    pub patient: Option<Identity>,
    pub specimen: Option<Identity>,
    /// Microseconds since 1970 UTC, included.
    pub since_us: Option<i64>,
    pub until_us: Option<i64>,
    pub limit: usize,
}

impl LookUp {
    fn query(self) -> Query {
        const ALL: [LookUpKind; 6] = [
            LookUpKind::Results,
            LookUpKind::Trends,
            LookUpKind::Events,
            LookUpKind::Gaps,
            LookUpKind::Associations,
            LookUpKind::Unresolved,
        ];
        let kinds = if self.kinds.is_empty() { ALL.to_vec() } else { self.kinds };
        let mut classes: Vec<Class> =
            kinds.iter().flat_map(|kind| kind.classes()).copied().collect();
        classes.sort_unstable();
        classes.dedup();
        Query {
            classes,
            device: self.device,
            patient: self.patient.map(|one| one.0),
            specimen: self.specimen.map(|one| one.0),
            since_us: self.since_us.unwrap_or(i64::MIN),
            until_us: self.until_us.unwrap_or(i64::MAX),
            limit: self.limit.clamp(1, ROWS_MAX),
        }
    }
}

/// The answer to a [`LookUp`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Records {
    /// Newest first.
    pub records: Vec<RecordRow>,
    /// Nothing up to this record is left out.
    pub complete_through: u64,
    /// The last record that is kept.
    pub durable: u64,
    /// The index is being built anew: newer records may be missing here.
    pub rebuilding: bool,
    /// There are, or may be, older ones than those listed.
    pub more: bool,
    /// Records that are damaged or that the journal's key does not open.
    pub unreadable: u64,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRow {
    /// For `explain`.
    pub record: String,
    pub sequence: u64,
    /// The chart time of values, else when it was kept; UTC.
    pub time: String,
    pub kind: String,
    pub device: Option<String>,
    /// Whether the device stated a patient.
    pub patient_stated: bool,
    /// Why it is held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
    /// Its own segment is freed: another record carries it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub carried: bool,
    /// In words.
    pub what: String,
}

/// Looks up; not on a thread of the runtime.
///
/// # Errors
/// Why nothing can be looked up, for a person.
pub(super) fn look_up(
    index: &Index,
    stream: StreamId,
    cursors: &Path,
    asked: LookUp,
) -> Result<Records, String> {
    let mut aside = BTreeMap::new();
    let show = |record: &Record, entry: &Entry| {
        let still = entry.about.is_none_or(|about| is_aside(cursors, &mut aside, record, about));
        still.then(|| row(stream, record, entry))
    };
    let answer = index.look(&asked.query(), show).map_err(|error| error.to_string())?;
    let index::Answer { found, complete_through, durable, rebuilding, more, unreadable } = answer;
    let records = found.into_iter().flatten().collect();
    Ok(Records { records, complete_through, durable, rebuilding, more, unreadable })
}

/// Through which record a destination's cursor speaks, and what it has set aside by then; `None`
/// where it does not name all of that.
type Asides = BTreeMap<String, Option<(u64, BTreeSet<u64>)>>;

/// Whether a destination still does not take what it once did not: a person may have had it sent
/// again. In doubt it does not.
fn is_aside(cursors: &Path, known: &mut Asides, record: &Record, about: u64) -> bool {
    let value: Json = serde_json::from_slice(&record.payload).unwrap_or_default();
    let Some(destination) = value.get("destination").and_then(Json::as_str) else { return true };
    let read = || match cursor::peek(&cursor::path(cursors, destination)) {
        Ok(Found::State(state)) if state.set_aside.len() < SET_ASIDE_MAX => {
            let aside = state.set_aside.iter().map(|one| one.sequence).collect();
            Some((state.promised, aside))
        }
        Ok(_) | Err(_) => None,
    };
    let aside = known.entry(destination.to_owned()).or_insert_with(read);
    let said = record.sequence.number();
    aside.as_ref().is_none_or(|(through, aside)| said > *through || aside.contains(&about))
}

fn row(stream: StreamId, record: &Record, entry: &Entry) -> RecordRow {
    let id = |number| Sequence::new(number).map(|number| RecordId::of(stream, number).to_string());
    let carried = Kept::from_carried(&record.payload).filter(|_| record.kind == Kind::Carried);
    let payload = carried.as_ref().map_or(&record.payload, |kept| &kept.payload);
    let mut row = RecordRow {
        record: id(entry.sequence).unwrap_or_default(),
        sequence: entry.sequence,
        time: utc_text(entry.time_us),
        kind: "set-aside".to_owned(),
        device: entry.device.clone(),
        patient_stated: !entry.patients.is_empty(),
        held: Vec::new(),
        carried: carried.is_some(),
        what: String::new(),
    };
    if let Some(about) = entry.about {
        let value: Json = serde_json::from_slice(payload).unwrap_or_default();
        let text = |key: &str| value.get(key).and_then(Json::as_str).unwrap_or("?").to_owned();
        let (destination, code) = (text("destination"), text("code"));
        let about = id(about).unwrap_or_default();
        row.what = format!("{destination} does not take {about}: {code}");
    } else if let Some(stored) = Stored::from_bytes(payload) {
        stored.kind.name().clone_into(&mut row.kind);
        let held = stored.data.get("held").and_then(Json::as_array).into_iter().flatten();
        row.held = held.filter_map(Json::as_str).map(str::to_owned).collect();
        row.what = in_words(&stored);
    }
    row
}

fn in_words(stored: &Stored) -> String {
    if let Some(metrics) = stored.data.get("metrics").and_then(Json::as_array) {
        let words = |metric| {
            let line: String = for_people(metric);
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let mut shown: Vec<String> = metrics.iter().take(VALUES_SHOWN).map(words).collect();
        let more = metrics.len().saturating_sub(VALUES_SHOWN);
        shown.extend((more > 0).then(|| format!("and {more} more")));
        return shown.join("; ");
    }
    let text = |key: &str| match stored.data.get(key) {
        Some(Json::String(text)) => Some(text.clone()),
        Some(Json::Number(number)) => Some(number.to_string()),
        Some(_) | None => None,
    };
    let parts = ["cause", "phase", "began", "ended", "first", "last", "place", "grade"]
        .into_iter()
        .chain(["model", "serial_number", "firmware"]);
    let named = parts.filter_map(|key| {
        let text = text(key).filter(|text| !text.is_empty())?;
        Some(match key {
            "cause" | "phase" | "place" => text,
            "began" => format!("from {text}"),
            "ended" => format!("to {text}"),
            _ => format!("{key} {text}"),
        })
    });
    named.collect::<Vec<_>>().join(" ")
}
