//! The patient administration's feed: ADT over MLLP into the ledger. A message is acknowledged when
//! what it said is durable.
//!
//! | file | what |
//! |---|---|
//! | `server` | the port: MLLP, with TLS where there are files |
//! | `sink` | where it is handed in |
//! | `quiet` | when the feed counts as silent |
//!
//! Kept are identifiers, name, birth date, sex, place, encounter and protection mark. Events that
//! mean nothing here are accepted, counted and shown. A feed that says nothing for longer than
//! usual is shown as unknown; a census is due then, at each start and once a night. HL7 v2 has no
//! common message that asks for one, so the box only says that it is due, and which patients it has
//! not named: nobody is taken out for that.

pub mod quiet;
pub mod server;
pub mod sink;
#[cfg(test)]
pub(in crate::gateway) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use self::quiet::Quiet;
use self::server::Hears;
pub use self::sink::{EntrySink, Mark, MarkKind, NotTaken};
use super::configuration::AdtTable;
use super::connection::sleep_until;
use crate::association::adt::{self, AdtMessage};
use crate::link::clock;
use crate::protocol::hl7v2::acknowledgement::{Answer, Header};
use crate::protocol::hl7v2::content::{content_range, open, segments};
use crate::protocol::hl7v2::mllp::PieceKind;
use crate::protocol::{MessageId, NotKept, Settled};
use crate::vocabulary::{Moment, PatientId, Why};

/// Events are three letters or figures; a peer that makes them up shall not fill the memory.
const EVENTS_COUNTED_MAX: usize = 64;

/// How often persons who are gone are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(600);

/// The feed of one patient administration.
pub struct AdtFeed<S> {
    table: AdtTable,
    sink: S,
    /// One message at a time: each is judged by what the ones before it left.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    heard: Notify,
}

/// What is counted and shown.
struct State {
    quiet: Quiet,
    census: Census,
    shown: AdtSnapshot,
}

/// Which patients the feed has named since a census became due.
struct Census {
    due: Moment,
    named: BTreeSet<PatientId>,
}

/// The feed in a snapshot. Holds nothing of persons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdtSnapshot {
    /// Where it listens, or why not.
    pub port: String,
    pub connections: usize,
    pub messages: u64,
    /// Messages that were refused as a whole.
    pub refused: u64,
    /// Fields that could not be read in messages that were taken.
    pub unread_fields: u64,
    /// Blocks that were broken, too long, or never ended.
    pub damaged: u64,
    /// Events that are accepted and mean nothing here, by name.
    pub other_events: BTreeMap<String, u64>,
    pub last_message: Option<String>,
    /// Since when what the feed would say is unknown; none while it is heard.
    pub unknown_since: Option<String>,
    /// After how many seconds of silence it counts as unknown.
    pub silent_after_s: u64,
    /// Since when a census is due.
    pub census_due: String,
    /// Patients who are here by the ledger and were not named since then.
    pub not_named: usize,
}

impl<S: EntrySink> AdtFeed<S> {
    /// A feed of which nothing was heard.
    pub fn new(table: AdtTable, sink: S) -> Arc<Self> {
        let now = clock::now();
        let quiet = Quiet::new(table.silent_after_s(), now);
        let census = Census { due: now, named: BTreeSet::new() };
        let state = Mutex::new(State { quiet, census, shown: AdtSnapshot::default() });
        let (turn, heard) = (tokio::sync::Mutex::new(()), Notify::new());
        Arc::new(Self { table, sink, turn, state, heard })
    }

    /// Listens and watches until it is told to stop.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let (listen, files) = (self.table.listen, self.table.tls.clone());
        let watching = Arc::clone(&self).watch(stop.clone());
        tokio::join!(server::serve(listen, files, self, stop), watching);
    }

    /// The feed as it is now.
    pub fn snapshot(&self) -> AdtSnapshot {
        let here = self.sink.ledger().present();
        let state = self.state();
        let mut shown = state.shown.clone();
        shown.unknown_since = state.quiet.unknown_since().map(Moment::utc_text);
        shown.silent_after_s = state.quiet.limit_s();
        shown.census_due = state.census.due.utc_text();
        shown.not_named = here.iter().filter(|one| !state.census.named.contains(*one)).count();
        shown
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a silence when it begins, and makes a census due each night.
    async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut tidy = tokio::time::interval(TIDY_EVERY);
        loop {
            let now = clock::now();
            let silence = self.state().quiet.wake(now);
            if let Some(at) = silence {
                tracing::warn!("the ADT feed is silent: what it would say is unknown");
                self.mark(MarkKind::SilentSince, at).await;
            }
            let night = self.table.next_census(now);
            let wake = self.state().quiet.next_wake();
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                () = self.heard.notified() => {}
                _ = tidy.tick() => self.sink.forget(self.table.keep_after(now)),
                () = sleep_until(wake), if wake.is_some() => {}
                () = sleep_until(night), if night.is_some() => self.census_is_due(clock::now()),
            }
        }
    }

    fn census_is_due(&self, now: Moment) {
        self.state().census = Census { due: now, named: BTreeSet::new() };
    }

    async fn mark(&self, kind: MarkKind, at: Moment) {
        let mark = Mark { feed: "adt", kind, at };
        if let Err(error) = self.sink.mark(mark).await {
            tracing::warn!(%error, "a mark of the ADT feed was not kept");
        }
    }

    /// Takes one message: what became of it, and why it is refused if it is.
    async fn take(&self, raw: &[u8]) -> (Settled, Option<Why>) {
        let zone = self.table.zone();
        let message = match adt::read(raw, &self.table.patients, zone.as_ref()) {
            Ok(message) => message,
            Err(refused) => {
                // Names fields, shows nothing of them.
                tracing::warn!(%refused, "an ADT message was refused");
                self.state().shown.refused += 1;
                return (Settled::Durable, Some(refused.why));
            }
        };
        let (rows, statements) = adt::news(&message, &self.sink.ledger());
        let register = self.sink.register();
        let rows: Vec<_> = rows.into_iter().filter(|row| register.is_news(row)).collect();
        if !rows.is_empty() || !statements.is_empty() {
            match self.sink.keep(rows, statements).await {
                Ok(()) => {}
                Err(NotTaken::NotKept) => {
                    return (Settled::NotKept(NotKept::NoStorage), None);
                }
                Err(NotTaken::Refused(why)) => {
                    tracing::error!(%why, "what an ADT message says was not taken");
                    self.state().shown.refused += 1;
                    return (Settled::Durable, Some(Why::Unreadable));
                }
            }
        }
        self.note(&message);
        (Settled::Durable, None)
    }

    fn note(&self, message: &AdtMessage) {
        for refused in &message.refusals {
            tracing::debug!(%refused, "a field of an ADT message could not be read");
        }
        let mut state = self.state();
        state.shown.unread_fields += message.refusals.len() as u64;
        let ledger = self.sink.ledger();
        let named = message.persons.iter().map(|person| ledger.survivor(&person.patient));
        state.census.named.extend(named);
        if !message.known {
            let events = &mut state.shown.other_events;
            if events.contains_key(&message.event) || events.len() < EVENTS_COUNTED_MAX {
                *events.entry(message.event.clone()).or_default() += 1;
            }
        }
    }

    /// The feed was heard, whatever it said.
    async fn was_heard(&self, now: Moment) {
        let after = {
            let mut state = self.state();
            state.shown.messages += 1;
            state.shown.last_message = Some(now.utc_text());
            state.quiet.heard(now)
        };
        if after {
            self.census_is_due(now);
            self.mark(MarkKind::HeardAgain, now).await;
        }
        self.heard.notify_one();
    }
}

impl<S: EntrySink> Hears for AdtFeed<S> {
    async fn hear(&self, raw: &[u8], id: MessageId) -> Vec<Vec<u8>> {
        let now = clock::now();
        let header = header(raw);
        if header.is_acknowledgement() {
            return Vec::new();
        }
        let _turn = self.turn.lock().await;
        self.was_heard(now).await;
        let (settled, refused) = self.take(raw).await;
        let answer = Answer::Owed { header: Box::new(header), refused };
        answer.blocks_by_message(id, settled, None, clock::now())
    }

    fn damaged(&self, kind: PieceKind) {
        tracing::warn!(?kind, "bytes of the ADT feed are no message");
        self.state().shown.damaged += 1;
    }

    fn listening(&self, what: Result<SocketAddr, String>) {
        self.state().shown.port = match what {
            Ok(address) => address.to_string(),
            Err(why) => why,
        };
    }

    fn connections(&self, count: usize) {
        self.state().shown.connections = count;
    }
}

/// The header of a message, as far as there is one.
pub(super) fn header(raw: &[u8]) -> Header {
    let Some(opened) = open(raw, content_range(raw)) else { return Header::unknown() };
    let msh = segments(&opened.lines).find(|segment| segment.id == *b"MSH");
    msh.map_or_else(Header::unknown, |msh| Header::read(raw, msh, opened.delimiters))
}
