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
use std::path::{Path, PathBuf};

use serde::Deserialize;
use wardgate::vocabulary::{Sequence, StreamId};

use super::faults::{Fault, Faults};
use super::manifest::MANIFEST;
use super::{Error, Filter};

/// A message that came.
pub struct Arrived {
    pub topic: String,
    /// Where the answer is wanted.
    pub response: Option<String>,
    pub payload: Vec<u8>,
}

/// The type of a record of waveforms.
const WAVEFORM: &str = "fi.wardgate.waveform.v1";

/// What became of a record.
pub struct Outcome {
    pub response: Option<String>,
    pub stream: String,
    pub sequence: u64,
    pub is_manifest: bool,
    /// `None`: it is stored.
    pub refused: Option<Refusal>,
}

/// Why a record is not taken, and whether for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub permanent: bool,
}

/// Since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub stored: u64,
    /// Records of waveforms among them.
    pub waveforms: u64,
    pub duplicates: u64,
    pub refused: u64,
}

pub struct Store {
    file: File,
    filter: Filter,
    known: BTreeMap<String, BTreeSet<u64>>,
    counts: Counts,
    generations: PathBuf,
    generation: u64,
}

/// The parts of a record that a receiver must understand to acknowledge it.
#[derive(Deserialize)]
struct Event {
    specversion: String,
    #[serde(default)]
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    stream: StreamId,
    sequence: u64,
    #[serde(default)]
    previous: u64,
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
        let generations = path.with_extension("generation");
        let generation = match std::fs::read_to_string(&generations) {
            Ok(text) => text.trim().parse().unwrap_or(FIRST_GENERATION),
            Err(_) => FIRST_GENERATION,
        };
        Ok(Self { file, filter, known, counts: Counts::default(), generations, generation })
    }

    /// One higher after each restore.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The sequences of a stream; `None`: nothing of it ever came.
    pub fn known(&self, stream: &str) -> Option<Vec<u64>> {
        self.known.get(stream).map(|sequences| sequences.iter().copied().collect())
    }

    /// Forgets the last `lines` lines, as a core does that comes back from an older backup.
    pub fn restore(&mut self, path: &Path, lines: usize) -> Result<(), Error> {
        let failed = |error| Error::Io("store", error);
        let bytes = std::fs::read(path).map_err(failed)?;
        let ends: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'\n').collect();
        let kept = ends.len().saturating_sub(lines);
        let good = kept.checked_sub(1).map_or(0, |last| ends[last] + 1);
        self.file.set_len(good as u64).map_err(failed)?;
        let generation = self.generation + 1;
        std::fs::write(&self.generations, generation.to_string()).map_err(failed)?;
        let streams: Vec<String> = self.known.keys().cloned().collect();
        let counts = self.counts;
        *self = Self::open(path, self.filter)?;
        self.counts = counts;
        for stream in streams {
            // It is known that there is such a stream, even if all of it is gone.
            self.known.entry(stream).or_default();
        }
        Ok(())
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Stores a group with one sync and says what became of each.
    pub fn keep(
        &mut self,
        group: Vec<Arrived>,
        now_us: i64,
        faults: &Faults,
    ) -> Result<Vec<Outcome>, Error> {
        let mut lines = Vec::new();
        let mut outcomes = Vec::new();
        for arrived in group {
            let Some((event, text)) = read(&arrived.payload) else {
                // Without stream and sequence there is nothing to answer to.
                self.counts.refused += 1;
                tracing::warn!(topic = arrived.topic, "not a record");
                continue;
            };
            let refused = self.refusal(&event, faults);
            let is_manifest = event.r#type == MANIFEST;
            let is_waveform = event.r#type == WAVEFORM;
            let Data { stream, sequence, .. } = event.data;
            let stream = stream.to_string();
            if refused.is_some() {
                self.counts.refused += 1;
            } else if !faults.has(&Fault::Forget) {
                let fresh = self.known.entry(stream.clone()).or_default().insert(sequence);
                self.counts.duplicates += u64::from(!fresh);
                if fresh || self.filter == Filter::Off {
                    self.counts.stored += 1;
                    self.counts.waveforms += u64::from(is_waveform);
                    let topic = serde_json::Value::from(arrived.topic);
                    let head = format!(r#"{{"received_us":{now_us},"topic":{topic},"record":"#);
                    lines.extend(head.into_bytes());
                    lines.extend(text);
                    lines.extend(b"}\n");
                }
            }
            let response = arrived.response;
            outcomes.push(Outcome { response, stream, sequence, is_manifest, refused });
        }
        if !lines.is_empty() {
            let write = self.file.write_all(&lines).and_then(|()| self.file.sync_data());
            write.map_err(|error| Error::Io("store", error))?;
        }
        Ok(outcomes)
    }

    /// Why this record is not taken: because of what it is, or because of a fault.
    fn refusal(&self, event: &Event, faults: &Faults) -> Option<Refusal> {
        let refusal = |code: &str, permanent| Some(Refusal { code: code.to_owned(), permanent });
        if event.specversion != "1.0" {
            return refusal("specversion", true);
        }
        let Data { stream, sequence, previous } = &event.data;
        if let Some((code, permanent)) = faults.rejects(*sequence) {
            return refusal(&code, permanent);
        }
        let known = self.known.get(&stream.to_string());
        let has = |sequence: &u64| known.is_some_and(|known| known.contains(sequence));
        if faults.has(&Fault::RejectDuplicates) && has(sequence) {
            return refusal("duplicate", true);
        }
        if faults.has(&Fault::NeedsPrevious) && *previous > 0 && !has(previous) {
            return refusal("previous-missing", false);
        }
        None
    }
}

/// The stream of a record; `None`: it is none.
pub fn stream_of(payload: &[u8]) -> Option<String> {
    read(payload).map(|(event, _)| event.data.stream.to_string())
}

/// The generation of a store that was never restored.
pub const FIRST_GENERATION: u64 = 1;

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
        assert_eq!(
            store.keep(vec![record(1), record(2), record(1)], 7, &Faults::default()).unwrap().len(),
            3
        );
        assert_eq!((store.counts().stored, store.counts().duplicates), (2, 1));
        let whole = std::fs::read(&path).unwrap();
        let mut torn = whole.clone();
        torn.extend(&whole[..20]);
        std::fs::write(&path, torn).unwrap();
        let mut store = Store::open(&path, Filter::On).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        store.keep(vec![record(2), record(3)], 8, &Faults::default()).unwrap();
        assert_eq!((store.counts().stored, store.counts().duplicates), (1, 1));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    #[test]
    fn waveforms_are_stored_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("core.jsonl"), Filter::On).unwrap();
        let sample = include_bytes!("../../../docs/ingestion/samples/waveform.json");
        let wave = || Arrived { payload: sample.to_vec(), ..record(1) };
        let kept = store.keep(vec![wave(), record(1), wave()], 7, &Faults::default()).unwrap();
        assert!(kept.iter().all(|outcome| outcome.refused.is_none()));
        let Counts { stored, waveforms, duplicates, .. } = store.counts();
        assert_eq!((stored, waveforms, duplicates), (2, 1, 1));
    }

    #[test]
    fn without_the_filter_everything_is_stored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("core.jsonl");
        let mut store = Store::open(&path, Filter::Off).unwrap();
        store.keep(vec![record(1), record(1)], 7, &Faults::default()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn what_is_no_record_is_counted_and_not_answered() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("core.jsonl"), Filter::On).unwrap();
        let odd = Arrived { payload: b"{}".to_vec(), ..record(1) };
        assert!(store.keep(vec![odd], 7, &Faults::default()).unwrap().is_empty());
        assert_eq!(store.counts().refused, 1);
    }

    #[test]
    fn a_restore_forgets_the_last_and_counts_a_generation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("core.jsonl");
        let mut store = Store::open(&path, Filter::On).unwrap();
        let three = vec![record(1), record(2), record(3)];
        store.keep(three, 7, &Faults::default()).unwrap();
        store.restore(&path, 2).unwrap();
        let stream = "1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f";
        assert_eq!((store.known(stream), store.generation()), (Some(vec![1]), 2));
        store.keep(vec![record(4)], 8, &Faults::default()).unwrap();
        store.restore(&path, 9).unwrap();
        let store = Store::open(&path, Filter::On).unwrap();
        assert_eq!((store.known(stream), store.generation()), (None, 3));
    }

    #[test]
    fn a_core_with_a_fault_refuses_what_it_should_take() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(&folder.path().join("core.jsonl"), Filter::On).unwrap();
        let refused = |store: &mut Store, words: &str, record| {
            let faults = Faults::of(vec![words.parse().unwrap()]);
            let outcomes = store.keep(vec![record], 7, &faults).unwrap();
            outcomes[0].refused.as_ref().map(|refusal| refusal.code.clone())
        };
        assert_eq!(refused(&mut store, "reject-duplicates", record(1)), None);
        assert_eq!(refused(&mut store, "reject-duplicates", record(1)).unwrap(), "duplicate");
        assert_eq!(refused(&mut store, "reject=odd:later@every 2", record(2)).unwrap(), "odd");
        assert_eq!(refused(&mut store, "forget", record(3)), None);
        assert_eq!(store.known(&"1f".repeat(16)), Some(vec![1]));
    }
}
