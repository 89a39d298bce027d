//! The stand-in's store: one JSON line per record, synced before it is acknowledged.
//!
//! | field | what |
//! |---|---|
//! | `received_us` | when it came, microseconds since 1970 UTC |
//! | `topic` | where it came |
//! | `record` | the event as it came, byte for byte |

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::Path;

use serde::Deserialize;
use wardgate::vocabulary::{Sequence, StreamId};

use super::{Error, Filter};

/// A message that came.
pub struct Arrived {
    pub topic: String,
    /// Where the answer is wanted.
    pub response: Option<String>,
    pub payload: Vec<u8>,
}

/// What became of a record.
pub struct Outcome {
    pub response: Option<String>,
    pub stream: String,
    pub sequence: u64,
    /// The code of its rejection; `None`: it is stored.
    pub refused: Option<&'static str>,
}

/// Since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub stored: u64,
    pub duplicates: u64,
    pub refused: u64,
}

pub struct Store {
    file: File,
    filter: Filter,
    known: BTreeMap<String, BTreeSet<u64>>,
    counts: Counts,
}

/// The parts of a record that a receiver must understand to acknowledge it.
#[derive(Deserialize)]
struct Event {
    specversion: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    stream: StreamId,
    sequence: u64,
}

#[derive(Deserialize)]
struct Line {
    record: Event,
}

impl Store {
    /// Opens or makes the file and reads back what it holds. A last line that was cut off was
    /// never acknowledged, and is removed.
    pub fn open(path: &Path, filter: Filter) -> Result<Self, Error> {
        let failed = |error| Error::Io("store", error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(failed)?;
        let mut known: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        let mut good = 0;
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).map_err(failed)? > 0 {
            let whole = line.ends_with(b"\n");
            match serde_json::from_slice::<Line>(&line) {
                Ok(Line { record }) if whole => {
                    let stream = record.data.stream.to_string();
                    known.entry(stream).or_default().insert(record.data.sequence);
                }
                Ok(_) | Err(_) => break,
            }
            good += line.len() as u64;
            line.clear();
        }
        drop(reader);
        file.set_len(good).map_err(failed)?;
        file.seek(SeekFrom::Start(good)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        Ok(Self { file, filter, known, counts: Counts::default() })
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Stores a group with one sync and says what became of each.
    pub fn keep(&mut self, group: Vec<Arrived>, now_us: i64) -> Result<Vec<Outcome>, Error> {
        let mut lines = Vec::new();
        let mut outcomes = Vec::new();
        for arrived in group {
            let Some((event, text)) = read(&arrived.payload) else {
                // Without stream and sequence there is nothing to answer to.
                self.counts.refused += 1;
                tracing::warn!(topic = arrived.topic, "not a record");
                continue;
            };
            let Data { stream, sequence } = event.data;
            let stream = stream.to_string();
            let refused = (event.specversion != "1.0").then_some("specversion");
            if refused.is_some() {
                self.counts.refused += 1;
            } else {
                let fresh = self.known.entry(stream.clone()).or_default().insert(sequence);
                self.counts.duplicates += u64::from(!fresh);
                if fresh || self.filter == Filter::Off {
                    self.counts.stored += 1;
                    let topic = serde_json::Value::from(arrived.topic);
                    let head = format!(r#"{{"received_us":{now_us},"topic":{topic},"record":"#);
                    lines.extend(head.into_bytes());
                    lines.extend(text);
                    lines.extend(b"}\n");
                }
            }
            outcomes.push(Outcome { response: arrived.response, stream, sequence, refused });
        }
        if !lines.is_empty() {
            let write = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
            write.map_err(|error| Error::Io("store", error))?;
        }
        Ok(outcomes)
    }
}

/// The record and its text on one line.
fn read(payload: &[u8]) -> Option<(Event, Vec<u8>)> {
    let event: Event = serde_json::from_slice(payload).ok()?;
    Sequence::new(event.data.sequence)?;
    if !payload.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Some((event, payload.to_vec()));
    }
    let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
    Some((event, value.to_string().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64) -> Arrived {
        let stream = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";
        let text = format!(
            r#"{{"specversion":"1.0","data":{{"stream":"{stream}","sequence":{sequence}}}}}"#
        );
        let response = Some("answer".to_owned());
        Arrived { topic: "t".to_owned(), response, payload: text.into_bytes() }
    }

    #[test]
    fn what_is_stored_is_known_after_a_restart_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("core.jsonl");
        let mut store = Store::open(&path, Filter::On).unwrap();
        assert_eq!(store.keep(vec![record(1), record(2), record(1)], 7).unwrap().len(), 3);
        assert_eq!((store.counts().stored, store.counts().duplicates), (2, 1));
        let whole = std::fs::read(&path).unwrap();
        let mut torn = whole.clone();
        torn.extend(&whole[..20]);
        std::fs::write(&path, torn).unwrap();
        let mut store = Store::open(&path, Filter::On).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        store.keep(vec![record(2), record(3)], 8).unwrap();
        assert_eq!((store.counts().stored, store.counts().duplicates), (1, 1));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    #[test]
    fn without_the_filter_everything_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("core.jsonl");
        let mut store = Store::open(&path, Filter::Off).unwrap();
        store.keep(vec![record(1), record(1)], 7).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn what_is_no_record_is_counted_and_not_answered() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("core.jsonl"), Filter::On).unwrap();
        let odd = Arrived { payload: b"{}".to_vec(), ..record(1) };
        assert!(store.keep(vec![odd], 7).unwrap().is_empty());
        assert_eq!(store.counts().refused, 1);
    }
}
