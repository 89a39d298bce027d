//! The ledger in the house: entries come in over a [`LedgerDesk`], are durable before anybody may
//! lean on them, and whoever asks whose a value is sees the ledger as of the last durable entry.
//!
//! The committer owns it, so that the order of entries against the data is total. What is known
//! already is answered again and kept once: entries by their id, acts by the client's.
//!
//! | file | what |
//! |---|---|
//! | `lines` | what the configuration says of the lines of this box |
//! | `verdicts` | whose values are, kept until the instant at which it changes |
//! | `corrections` | beside the committer: which kept values change hands by a new entry |
//! | `admission` | whom a device says that it is on |
//! | `known` | what later records say of earlier ones |
//! | `links` | what hangs on a line, and whether it speaks, as far as the box sees it |
//! | `moves` | what becomes of one such record. Pure |
//! | `moving` | the records of it |
//! | `taking` | the committer's side: entries and acts become records |
//! | `protection` | which records name a patient whose data are protected |
//! | `rows` | the same for what is said of persons, and by other systems |
//! | `acts` | which acts were taken in the last 48 hours |
//! | `confirmed` | what was confirmed while somebody looks for what changes hands |

mod acts;
mod admission;
mod confirmed;
pub mod corrections;
mod known;
pub mod lines;
mod links;
mod moves;
mod moving;
mod protection;
mod rows;
mod taking;
#[cfg(test)]
mod tests;
pub mod verdicts;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value as Json};
use tokio::sync::{mpsc, oneshot, watch};

pub use self::acts::{ACTS_KEPT_S, Acts};
use self::admission::Stated;
use self::confirmed::Confirmed;
use self::corrections::Examine;
pub use self::lines::{LineSetup, Lines};
use self::protection::Protection;
pub(in crate::gateway) use self::taking::entry_of;
use self::verdicts::{BoxClock, Said, Verdicts};
use super::committer::Request;
use super::configuration::Numbers;
use super::waveforms::Submission as Samples;
use crate::association::{By, EntryId, EntryRefused, Ledger, Register, Row, Says, Statement, Utc};
use crate::check::clock::Times;
use crate::link::clock;
use crate::vocabulary::{Mode, Moment, Observation, Purpose, RecordId};

/// More than this in one batch is no census of a ward but a mistake.
pub const BATCH_ENTRIES_MAX: usize = 4096;

/// An UUID has 36 characters; a client that makes others shall not fill the memory.
pub const CLIENT_ID_CHARACTERS_MAX: usize = 128;

/// The client's id of rows of the audit, which no client sends again.
pub const TRAIL: &str = "trail";

/// An entry as somebody says it; the committer adds when it was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Unique at the site: what makes it the same entry when it comes again.
    pub id: EntryId,
    /// When the person, device or system said so.
    pub stated: Utc,
    pub by: By,
    pub says: Says,
}

impl From<Statement> for NewEntry {
    fn from(statement: Statement) -> Self {
        let Statement { id, stated, by, says } = statement;
        Self { id, stated, by, says }
    }
}

/// What became of one entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// Kept as this record.
    New(RecordId),
    /// It was there already, with the same content.
    Known,
}

/// Why nothing of a batch, or no act, was taken. Says nothing of persons.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdded {
    /// One entry is refused, so none of its batch is taken.
    #[error("entry {}: {why}", .entry.as_str())]
    Refused { entry: EntryId, why: EntryRefused },
    /// Another system's claim contradicts what it said before; in its profile's words.
    #[error("a claim of another system: {0}")]
    Claim(&'static str),
    /// More than one batch of the journal holds.
    #[error("more than one batch of the journal holds")]
    TooLarge,
    /// The client's id is empty or longer than [`CLIENT_ID_CHARACTERS_MAX`].
    #[error("expected 1 to {CLIENT_ID_CHARACTERS_MAX} characters as the client's id")]
    ClientId,
    /// The journal takes nothing now, or the house stops: nothing has changed, try again.
    #[error("the journal takes nothing now: nothing has changed")]
    NotKept,
}

/// What kind of act it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActKind {
    /// A person judged that values represent a patient at a time. Its data are the fields of an
    /// observation record (`metrics` with the observation ids of the values and status `final`,
    /// `patient`, `association`, `times`, `mode`), so that FHIR and HL7 v2 can say it too.
    /// Withdrawn again: another one whose metrics have status `withdrawn`.
    Confirmation,
    /// A person entered what no device measures.
    Entry,
    /// What others lean on and never leaves the box: a student's confirmation that nobody has
    /// signed, what the core's own app charted.
    Audit,
    /// Who did what, or was refused; never leaves the box, and is not asked for again: each is kept,
    /// whatever its client's id ([`TRAIL`]).
    Trail,
}

/// One act of a person, kept as one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    pub kind: ActKind,
    /// The device, or the box.
    pub subject: String,
    /// The time that it is about, microseconds since 1970 UTC.
    pub time_us: i64,
    pub data: Map<String, Json>,
    /// Makes it the same act when it comes again within [`ACTS_KEPT_S`].
    pub client_id: String,
}

/// What the committer needs of the ledger besides the ledger itself, which it remembers.
#[derive(Debug, Default)]
pub struct LedgerKeeper {
    pub desk: LedgerDesk,
    pub lines: Lines,
    /// Which roots the numbers have that analysers send.
    pub numbers: Numbers,
    pub purpose: Purpose,
    pub clock: BoxClock,
    pub verdicts: Verdicts,
    pub protection: Protection,
    /// Whom each device said last that it is on.
    pub(super) stated: BTreeMap<String, Stated>,
    /// Where it is asked which kept values change hands; nowhere in a test.
    /// What is over for longer than this is let go.
    pub retention_s: Option<i64>,
    /// When it was last let go.
    pub(super) forgot: Option<Moment>,
    pub examine: Option<mpsc::UnboundedSender<Examine>>,
    /// The last record that went over the desk in this house.
    pub(super) last: u64,
    /// What persons have come to stand behind in this house.
    pub(super) confirmed: Confirmed,
}

impl LedgerKeeper {
    /// For the lines of this box.
    pub fn new(desk: LedgerDesk, lines: Lines) -> Self {
        Self { desk, lines, ..Self::default() }
    }

    /// Whose the values of an observation are; nothing where nobody said anything. What is not from
    /// production is of no patient.
    pub fn said(&mut self, ledger: &Arc<Ledger>, name: &str, one: &(Observation, Times)) -> Said {
        let (observation, times) = one;
        let line = self.lines.get(name).filter(|_| observation.mode == Mode::Production)?;
        if line.is_analyser {
            let at = Utc::from_us(times.chart_utc_us.min(times.received.utc_us()));
            let stated = &observation.subject.patient_ids;
            return verdicts::by_result(ledger, stated, (&self.numbers, self.purpose), at);
        }
        let around = self.clock.around(times);
        self.verdicts.said(ledger, (line, observation.channel.as_str()), around)
    }

    /// Whether samples of these are of a patient whose data are protected.
    pub(super) fn protects_samples(&mut self, said: &Said) -> bool {
        let (ledger, register) = (self.desk.now(), self.desk.register());
        self.protection.of(said, &ledger, &register)
    }

    /// Whose samples are that came together, by the ledger of the house.
    pub(super) fn said_of_samples(&mut self, samples: &Samples) -> Said {
        let Samples { device, received, mode, arrays, .. } = samples;
        let line = self.lines.get(device.name.as_str()).filter(|_| *mode == Mode::Production)?;
        let firsts = arrays.iter().map(|(_, first)| first);
        let around = self.clock.around_samples(*received, firsts);
        // Samples of a device with parts are nobody's where only its parts have patients.
        self.verdicts.said(&self.desk.now(), (line, ""), around)
    }
}

/// Where entries and acts are handed in, and where the ledger is read. All clones are one desk; it
/// outlives a house that is opened anew.
#[derive(Clone, Debug, Default)]
pub struct LedgerDesk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// The committer of the house that is open now.
    requests: Mutex<Option<mpsc::UnboundedSender<Request>>>,
    ledger: watch::Sender<Arc<Ledger>>,
    register: watch::Sender<Arc<Register>>,
    /// Of what went over the desk.
    fate: watch::Sender<Fate>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            requests: Mutex::default(),
            ledger: watch::channel(Arc::default()).0,
            register: watch::channel(Arc::default()).0,
            fate: watch::channel(Fate::default()).0,
        }
    }
}

/// How far what went over the desk is durable, by sequence, and from where on it never will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fate {
    durable: u64,
    lost: Option<u64>,
}

impl LedgerDesk {
    /// Adds entries: all of them or none. Those of which the same is there already change nothing.
    ///
    /// # Errors
    /// Why none of them was taken.
    pub async fn add(&self, entries: Vec<NewEntry>) -> Result<Vec<Added>, NotAdded> {
        if entries.len() > BATCH_ENTRIES_MAX {
            return Err(NotAdded::TooLarge);
        }
        self.ask(|done| Request::Ledger { entries, now: clock::now(), done }).await
    }

    /// The ledger as of the last durable entry.
    pub fn now(&self) -> Arc<Ledger> {
        Arc::clone(&self.inner.ledger.borrow())
    }

    /// Adds rows of the register, and the entries that follow from them: all of it or nothing.
    ///
    /// # Errors
    /// Why nothing of it was taken.
    pub async fn learn(&self, rows: Vec<Row>, statements: Vec<Statement>) -> Result<(), NotAdded> {
        if rows.len() + statements.len() > BATCH_ENTRIES_MAX {
            return Err(NotAdded::TooLarge);
        }
        let entries = statements.into_iter().map(NewEntry::from).collect();
        self.ask(|done| Request::Rows { rows, entries, done }).await
    }

    /// Persons and claims as of the last durable row.
    pub fn register(&self) -> Arc<Register> {
        Arc::clone(&self.inner.register.borrow())
    }

    /// Lets go of persons and claims of which nothing was said since, and that nobody needs.
    pub fn forget(&self, before: Utc) {
        if let Some(requests) = self.requests().as_ref() {
            // A house that is closed forgets when it is open again.
            let _ = requests.send(Request::Forget { before });
        }
    }

    /// Tells of every change of the ledger.
    pub fn changes(&self) -> watch::Receiver<Arc<Ledger>> {
        self.inner.ledger.subscribe()
    }

    /// Keeps an act. One with a client's id that is there already gives the same record.
    ///
    /// # Errors
    /// Why it was not kept.
    pub async fn act(&self, act: Act) -> Result<RecordId, NotAdded> {
        let characters = act.client_id.chars().count();
        if characters == 0 || characters > CLIENT_ID_CHARACTERS_MAX {
            return Err(NotAdded::ClientId);
        }
        self.ask(|done| Request::Act { act: Box::new(act), now: clock::now(), done }).await
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, NotAdded>>) -> Request,
    ) -> Result<T, NotAdded> {
        let (done, answer) = oneshot::channel();
        let requests = self.requests().clone().ok_or(NotAdded::NotKept)?;
        requests.send(request(done)).map_err(|_| NotAdded::NotKept)?;
        drop(requests);
        answer.await.unwrap_or(Err(NotAdded::NotKept))
    }

    /// A house is open: this is its committer, and this its ledger.
    pub(super) fn open(
        &self,
        requests: mpsc::UnboundedSender<Request>,
        ledger: Arc<Ledger>,
        register: Arc<Register>,
    ) {
        *self.requests() = Some(requests);
        self.inner.fate.send_replace(Fate::default());
        self.inner.ledger.send_replace(ledger);
        self.inner.register.send_replace(register);
    }

    /// The house is closed: nothing is taken until the next one opens.
    pub(super) fn close(&self) {
        *self.requests() = None;
    }

    fn requests(&self) -> std::sync::MutexGuard<'_, Option<mpsc::UnboundedSender<Request>>> {
        self.inner.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that went over the desk up to this sequence is durable.
    fn durable(&self, through: u64) {
        self.inner.fate.send_modify(|fate| fate.durable = fate.durable.max(through));
    }

    /// This sequence, and what comes after it, is not kept.
    fn lost(&self, from: u64) {
        self.inner.fate.send_modify(|fate| {
            fate.lost = Some(fate.lost.map_or(from, |lost| lost.min(from)));
        });
    }

    /// Shows a ledger that let something go, unless something is still on its way to the disk: then
    /// the next entry shows it.
    pub(super) fn publish_if_durable(&self, ledger: &Arc<Ledger>, last: u64) {
        if self.inner.fate.borrow().durable >= last {
            self.publish(Arc::clone(ledger));
        }
    }

    fn publish(&self, ledger: Arc<Ledger>) {
        self.inner.ledger.send_replace(ledger);
    }

    /// Waits until what went over the desk as `sequence` is durable; false if it never will be.
    fn settled(&self, sequence: u64) -> impl Future<Output = bool> + use<> {
        let mut fate = self.inner.fate.subscribe();
        async move {
            let settled = |fate: &Fate| {
                fate.durable >= sequence || fate.lost.is_some_and(|lost| lost <= sequence)
            };
            fate.wait_for(settled).await.is_ok_and(|fate| fate.durable >= sequence)
        }
    }
}
