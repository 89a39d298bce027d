//! The index of look-ups: which records of the journal somebody may be looking for.
//!
//! It is kept in sled, and it is **never the truth**: it names sequences, each answer is read from
//! the journal and compared with what the index said of it, and the whole folder may be lost at any
//! time. It must not hold anything back: it follows what is durable, a little at a time, on a
//! thread of its own, and nobody but a person who looks something up waits for it.
//!
//! # What is in it
//! | row | key | value |
//! |---|---|---|
//! | what it covers | `M` | version, stream, id of the hash key, the sequence through which it is complete |
//! | a record | facet, class, 16 bytes of keyed hash, time, sequence | where to read it, what it is about |
//! | ended | `E`, sequence | the record by which a person ended it |
//! | carried | `C`, sequence | the record in which it is carried forward |
//! | what came from where | `R`, sequence | the keys of the rows above that name it |
//! | trends | `T`, first sequence | last one, time range, which devices and patients |
//!
//! Devices, patients and specimens stand in it as HMAC-SHA-256 with a key that never leaves the
//! box (derived from the journal's key where it has one), and in no other form. Live numerics are
//! too many for a row each (a result takes some 2 KB in sled): up to [`RANGE_RECORDS`] records
//! share one row that says whose and of when they are, and the journal is read where that fits.
//!
//! # When it is thrown away
//! Whenever it did not stop in order, a file is not as it was left (the mark of the last stop holds
//! their CRC), it is of another stream, version or key, sled refuses, panics or returns an error,
//! its file vanishes, or an answer is not what the journal says. It is then built anew from the
//! journal in the background, and look-ups say so.
//!
//! sled's own traps (`facts/crates.md` 1): its cache is 1 GiB unless told otherwise, large batches
//! eat gigabytes, and it may panic on what it reads. So: [`CACHE_BYTES`], [`BATCH_ROWS_MAX`], and
//! every call is caught.

use std::path::PathBuf;
use std::sync::Arc;

use crate::journal::{Reader, Record};

mod answer;
mod keeper;
mod keys;
mod look;
mod shelf;
mod trends;

#[cfg(test)]
mod tests;

pub use keeper::{Index, IndexThread, Shown};
pub use keys::{Hasher, KeyProblem};
pub use look::{Answer, LookError};

/// What sled is told that it may keep in memory. It takes far more than it is told: see decision
/// 016 for what was measured.
pub const CACHE_BYTES: u64 = 1 << 20;
/// How many rows are written at once.
pub const BATCH_ROWS_MAX: usize = 100;
/// How many records share one row of trends.
pub const RANGE_RECORDS: u64 = 2048;

/// What a person looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Values that were measured once: laboratory, spot checks.
    Result,
    /// Alarms, events of pumps, states of devices.
    Event,
    /// Spans in which data could not be had.
    Gap,
    Association,
    /// Held until somebody says what it is, or a result of nobody.
    Unresolved,
    /// A destination will not take a record. What it names is unresolved.
    SetAside,
    /// Live numerics; found by the rows of trends.
    Trend,
}

/// What the index has to know of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The record's own sequence, also where another one carries it forward.
    pub sequence: u64,
    /// When it happened, microseconds since 1970 UTC.
    pub time_us: i64,
    /// None of it: nobody looks for this record.
    pub classes: Vec<Class>,
    pub device: Option<String>,
    /// As stated by the device.
    pub patients: Vec<String>,
    pub specimens: Vec<String>,
    /// The record that a set-aside is about.
    pub about: Option<u64>,
    /// The records that a person has ended by it.
    pub ends: Vec<u64>,
    /// Whether it carries an earlier record forward.
    pub carries: bool,
}

/// Says what the index has to know of a record. It depends on the record alone.
pub type Describe = Arc<dyn Fn(&Record) -> Entry + Send + Sync>;

/// What a person asks for. Each part narrows.
#[derive(Clone, PartialEq, Eq)]
pub struct Query {
    pub classes: Vec<Class>,
    pub device: Option<String>,
    pub patient: Option<String>,
    pub specimen: Option<String>,
    /// Microseconds since 1970 UTC, both included.
    pub since_us: i64,
    pub until_us: i64,
    pub limit: usize,
}

impl Query {
    /// Whether a record is asked for; what a set-aside is about is not looked at.
    fn wants(&self, entry: &Entry) -> bool {
        let one_of = |wanted: &Option<String>, stated: &[String]| {
            wanted.as_ref().is_none_or(|wanted| stated.contains(wanted))
        };
        (self.since_us..=self.until_us).contains(&entry.time_us)
            && entry.classes.iter().any(|class| self.classes.contains(class))
            && (self.device.is_none() || self.device == entry.device)
            && one_of(&self.patient, &entry.patients)
            && one_of(&self.specimen, &entry.specimens)
    }
}

/// What the index leans on.
#[derive(Clone)]
pub struct Options {
    /// Its folder; everything in it is its own.
    pub folder: PathBuf,
    pub reader: Reader,
    pub describe: Describe,
    pub hasher: Hasher,
}
