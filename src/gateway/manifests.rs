//! The daily manifests: one task per JSON destination counts what the journal holds for it, a
//! little at a time, and asks the committer to keep the signed result when the period is over.
//!
//! It reads what is durable, behind everybody else's needs, and must not hold anything back. The
//! gateway's key is made at its first start and stays in the data folder.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ring::rand::SystemRandom;
use ring::signature::Ed25519KeyPair;
use serde_json::{Map, Value as Json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::committer::{Committer, Request};
use super::configuration::{Configuration, DestinationTable};
use super::world::stop_for_one;
use crate::forward::manifest::{Tally, Whose};
use crate::forward::stored::{EventKind, Stored};
use crate::journal::{Error, Kind, Reader};
use crate::link::clock;
use crate::vocabulary::{Moment, Sequence};

/// A manifest closes at each multiple of this in UTC, unless the configuration says otherwise.
const EVERY_S: u64 = 24 * 3600;
/// How often a part of the journal is counted: what is left at the end of a day is little.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// What is counted without a pause.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 1 << 20;
/// The shortest pause, and how many times as long as the counting it is at least: counting takes a
/// small part of one core, and a smaller one while devices wait, or where the processor is short
/// and counting is slow. A day is long.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_TIMES: u32 = 12;
const PAUSE_TIMES_CROWDED: u32 = 50;
const KEY_FILE: &str = "manifest.key";

/// The gateway's key, made if there is none. The file is this user's alone.
///
/// # Errors
/// The file cannot be read or made, or does not hold a key.
fn key(data: &Path) -> io::Result<Arc<Ed25519KeyPair>> {
    let path = data.join(KEY_FILE);
    let pkcs8 = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_key(data, &path)?,
        other => other?,
    };
    let key = Ed25519KeyPair::from_pkcs8(&pkcs8);
    let what = || io::Error::new(io::ErrorKind::InvalidData, "manifest.key holds no key");
    key.map(Arc::new).map_err(|_| what())
}

/// Written under another name first, so that a cut leaves none or a whole one.
fn make_key(data: &Path, path: &Path) -> io::Result<Vec<u8>> {
    let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
    let made = made.map_err(|_| io::Error::other("no random bytes for a key"))?;
    let new = path.with_extension("key.new");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(made.as_ref())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    std::fs::File::open(data)?.sync_all()?;
    Ok(made.as_ref().to_vec())
}

/// Starts one task per destination that gets our records as they are. `covered` is, per
/// destination, the last sequence of its last manifest.
///
/// # Errors
/// The key cannot be read or made.
pub(super) fn start(
    configuration: &Configuration,
    covered: &BTreeMap<String, u64>,
    reader: &Reader,
    requests: &mpsc::UnboundedSender<Request>,
    stop: &watch::Receiver<bool>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let gateway = &configuration.gateway;
    let key = key(&gateway.data)?;
    let every = gateway.manifest_every_s.map_or(EVERY_S, u64::from);
    let task = |table: &DestinationTable| {
        let manifests = Manifests {
            whose: Whose {
                source: gateway.id.clone(),
                destination: table.name.clone(),
                stream: reader.stream(),
            },
            covered: covered.get(&table.name).copied().unwrap_or(0),
            every: Duration::from_secs(every),
            key: Arc::clone(&key),
            reader: reader.clone(),
            requests: requests.clone(),
        };
        tokio::spawn(manifests.run(stop_for_one(stop)))
    };
    // HL7 v2 has no word for a manifest.
    let with_records = configuration.destinations.iter().filter(|table| table.hl7v2.is_none());
    Ok(with_records.map(task).collect())
}

/// What one destination's task needs.
struct Manifests {
    whose: Whose,
    /// The last sequence that an earlier manifest covers; 0 for none.
    covered: u64,
    every: Duration,
    key: Arc<Ed25519KeyPair>,
    reader: Reader,
    requests: mpsc::UnboundedSender<Request>,
}

impl Manifests {
    /// Runs until it is told to stop.
    async fn run(mut self, mut stop: watch::Receiver<bool>) {
        // What was freed before the first manifest was for nobody here, or is told as a gap.
        let from = if self.covered == 0 { self.reader.first().number() } else { self.covered + 1 };
        let mut tally = Tally::new(self.whose.clone(), from);
        let mut period = self.period(clock::now());
        while !*stop.borrow() {
            let began = Instant::now();
            let more = match count(&mut self.reader, &mut tally) {
                Ok(more) => more,
                Err(error) => {
                    let destination = self.whose.destination.as_str();
                    tracing::warn!(destination, %error, "the journal cannot be counted now");
                    false
                }
            };
            let now = clock::now();
            // A clock that is put back closes no period twice.
            if !more && self.period(now) > period {
                period = self.period(now);
                let (data, next) = tally.close(&self.key);
                tally = next;
                let destination = self.whose.destination.clone();
                // The committer is gone only when the house stops.
                let _ = self.requests.send(Request::Manifest { destination, data, now });
            }
            let times = if self.reader.is_crowded() { PAUSE_TIMES_CROWDED } else { PAUSE_TIMES };
            let pause = PAUSE.max(began.elapsed() * times).min(LOOK_EVERY);
            let wait = if more { pause } else { LOOK_EVERY.min(self.every / 4) };
            tokio::select! {
                biased;
                _ = stop.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn period(&self, now: Moment) -> i64 {
        let every_us = i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX);
        now.utc_us().div_euclid(every_us.max(1))
    }
}

/// Counts a part of what is durable; whether there is more.
fn count(reader: &mut Reader, tally: &mut Tally) -> Result<bool, Error> {
    let Some(from) = Sequence::new(tally.next()) else { return Ok(false) };
    let read = reader.read_from(from, READ_RECORDS, READ_BYTES)?;
    let mut holes: Vec<_> = read.missing.into_iter().chain(read.freed).collect();
    holes.sort_by_key(|hole| *hole.start());
    let mut holes = holes.into_iter().peekable();
    for record in &read.records {
        while let Some(hole) = holes.next_if(|hole| *hole.start() < record.sequence.number()) {
            tally.missing(hole);
        }
        tally.take(record);
    }
    holes.for_each(|hole| tally.missing(hole));
    Ok(read.next > from)
}

impl Committer {
    /// Keeps a manifest; it goes to its own destination only.
    pub(super) async fn manifest(
        &mut self,
        destination: &str,
        data: Map<String, Json>,
        now: Moment,
    ) {
        let last = data.get("last").and_then(Json::as_u64);
        let previous = self.memory.last_routed.get(destination).copied().unwrap_or(0);
        let stored = Stored {
            kind: EventKind::Manifest,
            time: now.utc_text(),
            subject: self.name.clone(),
            routes: [(destination.to_owned(), previous)].into(),
            data,
        };
        let kept = self.append_one(Kind::Manifest, now.utc_us(), stored.to_bytes()).await;
        if let Some(sequence) = kept {
            self.memory.last_routed.insert(destination.to_owned(), sequence.number());
            self.memory.manifests.extend(last.map(|last| (destination.to_owned(), last)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use ring::signature::KeyPair as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let made = key(folder.path()).unwrap();
        let again = key(folder.path()).unwrap();
        assert_eq!(made.public_key().as_ref(), again.public_key().as_ref());
        let path = folder.path().join(KEY_FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, b"rubbish").unwrap();
        assert_eq!(key(folder.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
