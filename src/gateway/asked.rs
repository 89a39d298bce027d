//! What a person asks of the running daemon's destinations over its Unix socket: send again,
//! retire. Who may ask is who may write to the socket; who asked, what and why stands in the
//! journal before it takes effect.
//!
//! A request is one line of JSON, an [`Ask`]; the answer is one object and the end. No patient data
//! stands in either.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use super::committer::Request;
use super::ending::End;
use super::look_up::{self, LookUp, Records};
use super::shifts::Shift;
use crate::charting::identity::Gatekeeper;
use crate::forward::Command;
use crate::forward::cursor::{self, CursorError, CursorFile, Found, State};
use crate::forward::stored::Stored;
use crate::index::Index;
use crate::journal::{Kind, Reader};
use crate::vocabulary::{RecordId, Sequence, StreamId};

/// A destination that is trying to connect looks at requests between its attempts.
const OBEYED_WITHIN: Duration = Duration::from_secs(45);
/// How much is read at a time while counting.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 4 << 20;
/// The records that an answer names; all are counted.
const NAMED_MAX: usize = 20;
/// A reason is a sentence.
const REASON_CHARACTERS_MAX: usize = 400;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// A snapshot, as `status` shows it.
    Status,
    /// Send records to a destination again, byte for byte.
    Resend { destination: String, what: What },
    /// End a destination's hold on the journal.
    Retire { destination: String, reason: String },
    /// End a record that is carried forward.
    End(End),
    /// Look records up.
    Records(LookUp),
    /// The bedside's sessions, and whom its provider's keys are believed.
    Shifts(Shift),
}

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Range { from: u64, to: u64 },
    SetAside,
}

/// What became of it, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub done: bool,
    pub lines: Vec<String>,
}

impl Answer {
    pub(super) fn no(line: impl Into<String>) -> Self {
        Self { done: false, lines: vec![line.into()] }
    }
}

/// Answers requests.
pub struct Desk {
    pub requests: mpsc::UnboundedSender<Request>,
    pub commands: BTreeMap<String, mpsc::UnboundedSender<Command>>,
    pub reader: Reader,
    pub cursors: PathBuf,
    /// Destinations that are in no table any more and still hold the journal.
    pub held: Mutex<BTreeMap<String, watch::Sender<u64>>>,
    /// None while the disk takes no writes, or where it cannot be kept.
    pub index: Option<Index>,
    /// Persons take turns, so that looking up never takes more than this of the box.
    pub turns: Semaphore,
    /// Who stands at the door of the bedside, once it is open.
    pub gatekeeper: OnceLock<Arc<Gatekeeper>>,
}

/// How many look-ups read the journal at once.
pub const LOOK_UPS_AT_ONCE: usize = 2;

impl Desk {
    /// Does what `user` asks.
    pub async fn answer(&self, ask: Ask, user: u32) -> Answer {
        match ask {
            Ask::Status | Ask::Records(_) => Answer::no("that is answered elsewhere"),
            Ask::Resend { destination, what } => self.resend(&destination, what, user).await,
            Ask::End(end) => self.end(end, user).await,
            Ask::Shifts(asked) => self.shifts(asked, user).await,
            Ask::Retire { destination, reason } => self.retire(&destination, &reason, user).await,
        }
    }

    /// Looks records up for `user`.
    ///
    /// # Errors
    /// Why nothing can be looked up, for a person.
    pub async fn records(&self, asked: LookUp, user: u32) -> Result<Records, String> {
        let Some(index) = self.index.clone() else {
            return Err("there is no index: the disk takes no writes".to_owned());
        };
        let Ok(_turn) = self.turns.acquire().await else {
            return Err("the house stops".to_owned());
        };
        // Whose records and which stands in no log.
        tracing::info!(user, "records are looked up");
        let (stream, cursors) = (self.reader.stream(), self.cursors.clone());
        let looking = move || look_up::look_up(&index, stream, &cursors, asked);
        let looking = tokio::task::spawn_blocking(looking);
        looking.await.unwrap_or_else(|_| Err("the look-up has failed".to_owned()))
    }

    /// The destinations that hold the journal without a table.
    pub fn held(&self) -> Vec<(String, u64)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().map(|(name, low_water)| (name.clone(), *low_water.borrow())).collect()
    }

    async fn resend(&self, destination: &str, what: What, user: u32) -> Answer {
        let Some(commands) = self.commands.get(destination) else {
            let what = "runs here; waveforms are not sent again by hand";
            return Answer::no(format!("no destination {destination} {what}"));
        };
        let ranges = match self.ranges(destination, what) {
            Ok(ranges) => ranges,
            Err(why) => return Answer::no(why),
        };
        let (mut reader, name, asked) =
            (self.reader.clone(), destination.to_owned(), ranges.clone());
        let counted =
            tokio::task::spawn_blocking(move || Again::count(&mut reader, &name, &asked)).await;
        let again = match counted {
            Ok(Ok(again)) => again,
            Ok(Err(error)) => return Answer::no(format!("the journal cannot be read: {error}")),
            Err(_) => return Answer::no("the journal could not be read"),
        };
        if again.count == 0 && again.freed == 0 {
            return Answer::no(format!("nothing of that went to {destination}"));
        }
        let payload = json!({
            "event": "resend", "destination": destination, "ranges": ranges, "user": user,
        });
        if !self.kept(Kind::Destination, payload).await {
            return Answer::no("the journal takes nothing now: nothing is sent again");
        }
        let mut lines = again.lines(destination);
        let (done, obeyed) = oneshot::channel();
        let sent = commands.send(Command::Resend { ranges, done }).is_ok();
        match tokio::time::timeout(OBEYED_WITHIN, obeyed).await {
            Ok(Ok(true)) if sent => Answer { done: true, lines },
            Ok(_) | Err(_) => {
                lines.push("the destination has not confirmed it: look at status".to_owned());
                Answer { done: false, lines }
            }
        }
    }

    fn ranges(&self, destination: &str, what: What) -> Result<Vec<(u64, u64)>, String> {
        match what {
            What::Range { from, to } => {
                let durable = self.reader.durable().map_or(0, Sequence::number);
                let (from, to) = (from.max(1), to.min(durable));
                let backwards = "the range is empty, or lies behind the journal's end";
                (from <= to).then(|| vec![(from, to)]).ok_or_else(|| backwards.to_owned())
            }
            What::SetAside => {
                let found = cursor::peek(&cursor::path(&self.cursors, destination));
                let Ok(Found::State(state)) = found else {
                    return Err("the cursor file cannot be read".to_owned());
                };
                let aside: Vec<_> =
                    state.set_aside.iter().map(|one| (one.sequence, one.sequence)).collect();
                let nothing = || format!("nothing is set aside at {destination}");
                Some(aside).filter(|aside| !aside.is_empty()).ok_or_else(nothing)
            }
        }
    }

    async fn retire(&self, destination: &str, reason: &str, user: u32) -> Answer {
        let characters = reason.chars().count();
        if reason.trim().is_empty() || characters > REASON_CHARACTERS_MAX {
            return Answer::no(format!(
                "a reason is needed, of 1 to {REASON_CHARACTERS_MAX} letters"
            ));
        }
        if self.commands.contains_key(destination) {
            return Answer::no(format!(
                "{destination} is configured: take its table out, start the daemon again, and then \
                 retire it"
            ));
        }
        let known = |name: &(String, u64)| name.0 == destination;
        let Some((_, low_water)) = self.held().into_iter().find(known) else {
            return Answer::no(format!("no destination {destination} holds the journal"));
        };
        let payload = json!({
            "event": "retired", "destination": destination, "low_water": low_water,
            "reason": reason, "user": user,
        });
        if !self.kept(Kind::Destination, payload).await {
            return Answer::no("the journal takes nothing now: nothing has changed");
        }
        let path = cursor::path(&self.cursors, destination);
        let stream = self.reader.stream();
        let written = tokio::task::spawn_blocking(move || mark_retired(&path, stream)).await;
        if !matches!(written, Ok(Ok(()))) {
            return Answer::no("its cursor file cannot be written: it holds the journal still");
        }
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(destination);
        if let Some(low_water) = held {
            low_water.send_replace(u64::MAX);
        }
        tracing::warn!(destination, user, low_water, "a destination is retired");
        let line = format!(
            "{destination} is retired: what lies behind record {low_water} is not kept for it any \
             more"
        );
        Answer { done: true, lines: vec![line] }
    }

    /// Whether the journal's record of it is durable.
    pub(super) async fn kept(&self, kind: Kind, payload: Json) -> bool {
        let (done, kept) = oneshot::channel();
        let asked = self.requests.send(Request::Person { kind, payload, done }).is_ok();
        asked && kept.await == Ok(true)
    }
}

fn mark_retired(path: &Path, stream: StreamId) -> Result<(), CursorError> {
    let (mut file, found) = CursorFile::open(path)?;
    let state = match found {
        Found::State(state) => state,
        Found::New | Found::Lost => State::start(stream),
    };
    file.write(&State { retired: true, ..state })
}

/// What is sent again.
#[derive(Default)]
struct Again {
    count: u64,
    freed: u64,
    named: Vec<RecordId>,
}

impl Again {
    fn count(
        reader: &mut Reader,
        destination: &str,
        ranges: &[(u64, u64)],
    ) -> Result<Self, crate::journal::Error> {
        let (mut again, stream) = (Self::default(), reader.stream());
        for &(first, last) in ranges {
            let Some(mut next) = Sequence::new(first) else { continue };
            while next.number() <= last {
                let left = usize::try_from(last - next.number() + 1).unwrap_or(usize::MAX);
                let read = reader.read_from(next, READ_RECORDS.min(left), READ_BYTES)?;
                if read.next == next {
                    break;
                }
                let gone = read.freed.iter().chain(&read.missing);
                again.freed += gone.map(|one| one.end().min(&last) + 1 - one.start()).sum::<u64>();
                for record in read.records.iter().filter(|one| one.sequence.number() <= last) {
                    let stored = Stored::from_bytes(&record.payload);
                    if stored.is_some_and(|stored| stored.routes.contains_key(destination)) {
                        again.count += 1;
                        if again.named.len() < NAMED_MAX {
                            again.named.push(RecordId::of(stream, record.sequence));
                        }
                    }
                }
                next = read.next;
            }
        }
        Ok(again)
    }

    fn lines(&self, destination: &str) -> Vec<String> {
        let count = self.count;
        let mut lines = vec![format!("{count} records are sent to {destination} again:")];
        lines.extend(self.named.iter().map(|one| format!("  {one}")));
        let more = count - self.named.len() as u64;
        lines.extend((more > 0).then(|| format!("  and {more} more")));
        let freed = self.freed;
        let gone = || format!("{freed} sequences are not kept any more: a gap record says so");
        lines.extend((freed > 0).then(gone));
        lines
    }
}

/// The destinations whose cursor files are there and whose tables are not, and how far each is if
/// it holds the journal: one that cannot be read does, from its first record on.
pub fn without_table(
    cursors: &Path,
    configured: &[&str],
    stream: StreamId,
) -> BTreeMap<String, Option<u64>> {
    let files = std::fs::read_dir(cursors).into_iter().flatten().flatten();
    let names = files
        .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".cursor")?.to_owned()));
    let unknown = names.filter(|name| !configured.contains(&name.as_str()));
    let holds = |name: String| {
        let low_water = match cursor::peek(&cursor::path(cursors, &name)) {
            Ok(Found::State(state)) if state.retired || !state.required => None,
            Ok(Found::State(state)) if state.stream == stream => Some(state.let_go_through()),
            Ok(_) | Err(_) => Some(0),
        };
        (name, low_water)
    };
    unknown.map(holds).collect()
}
