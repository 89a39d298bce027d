//! The side that tells: one task per peer follows the ledger. At each connection the peer first
//! gets all associations that are open, then what happened since it last acknowledged anything (of
//! the last day, if this house never heard from it), then each change as it comes. One message
//! waits for its answer at a time, so that no end overtakes its begin. Sending something twice is
//! harmless: every event keeps its id.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::association::pcim::{
    Envelope, Evidence, PcimSite, Transaction, current, heard_by, told_of, write,
};
use crate::association::{EntryId, Ledger, Utc};
use crate::forward::hl7v2::answer::{Answer, Code};
use crate::forward::tls::Peer;
use crate::forward::wire::{self, Wire};
use crate::gateway::adt::EntrySink;
use crate::gateway::configuration::{PcimPeerTable, PcimRole, PcimTable};
use crate::gateway::connection::sleep_until;
use crate::link::back_off::BackOff;
use crate::link::clock;
use crate::protocol::hl7v2::content::content_range;
use crate::protocol::hl7v2::mllp::{Framing, PieceKind};

/// How long an answer is waited for (facts/semantics.md 5.2: 10 to 30 s).
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// A peer that takes no connection in this time is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);

/// What happened in this time is told again to a peer of which this house never heard.
const TOLD_AGAIN_S: i64 = 24 * 3600;

/// How often it is looked for what others told and what changed nothing in the ledger.
const LOOK_AFTER: Duration = Duration::from_secs(30);

/// A peer in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerSnapshot {
    pub acknowledged: u64,
    /// Messages that it refused for good.
    pub refused: u64,
    /// What is wrong with the connection; empty while all is well.
    pub trouble: String,
}

/// Tells one peer.
pub struct Teller<S> {
    table: PcimPeerTable,
    transaction: Transaction,
    application: String,
    processing: &'static str,
    site: PcimSite,
    sink: S,
    shown: Arc<Mutex<PeerSnapshot>>,
    /// Entries that the peer needs not hear of any more.
    told: BTreeSet<EntryId>,
    /// Events of other systems that it needs not hear of any more.
    passed_on: BTreeSet<EntryId>,
    number: u64,
}

/// Why telling stopped.
enum Over {
    Stopped,
    Failed(String),
}

impl<S: EntrySink> Teller<S> {
    /// For one of the table's peers.
    pub fn new(table: &PcimTable, peer: &PcimPeerTable, site: PcimSite, sink: S) -> Self {
        let transaction = match table.role {
            PcimRole::Reporter => Transaction::Communicate,
            PcimRole::Manager | PcimRole::Consumer => Transaction::Report,
        };
        let processing = match site.patients.purpose {
            crate::vocabulary::Purpose::Production => "P",
            crate::vocabulary::Purpose::Test => "T",
        };
        Self {
            table: peer.clone(),
            transaction,
            application: table.application.clone(),
            processing,
            site,
            sink,
            shown: Arc::default(),
            told: BTreeSet::new(),
            passed_on: BTreeSet::new(),
            number: 0,
        }
    }

    /// How it stands with the peer.
    pub fn shown(&self) -> Arc<Mutex<PeerSnapshot>> {
        Arc::clone(&self.shown)
    }

    /// Tells until it is told to stop. `changes` tells of each change of the ledger.
    pub async fn run(
        mut self,
        mut changes: watch::Receiver<Arc<Ledger>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let since = now().plus_s(-TOLD_AGAIN_S);
        let ledger = self.sink.ledger();
        let old = ledger.entries().filter(|entry| entry.learned < since);
        self.told.extend(old.map(|entry| entry.id.clone()));
        let register = self.sink.register();
        let old = register.claims.all().filter(|one| one.stated < since);
        self.passed_on.extend(old.map(|one| one.event.clone()));
        let mut back_off = BackOff::default();
        loop {
            let why = match self.connected(&mut changes, &mut stop, &mut back_off).await {
                Over::Stopped => return,
                Over::Failed(why) => why,
            };
            self.note(|shown| shown.trouble = why);
            tokio::select! {
                biased;
                _ = stop.changed() => return,
                () = tokio::time::sleep(back_off.next_wait()) => {}
            }
        }
    }

    fn note(&self, change: impl FnOnce(&mut PeerSnapshot)) {
        change(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// One connection from beginning to end.
    async fn connected(
        &mut self,
        changes: &mut watch::Receiver<Arc<Ledger>>,
        stop: &mut watch::Receiver<bool>,
        back_off: &mut BackOff,
    ) -> Over {
        let tls = self.table.tls();
        let certificate = Arc::<Peer>::default();
        let connecting = wire::connect(&self.table.host, self.table.port, &tls, &certificate);
        let mut wire = match tokio::time::timeout(CONNECT_WITHIN, connecting).await {
            Ok(Ok(wire)) => wire,
            Ok(Err(why)) => return Over::Failed(why),
            Err(_) => return Over::Failed("takes no connection in time".to_owned()),
        };
        let (ledger, register) = (self.sink.ledger(), self.sink.register());
        for evidence in current(&ledger, &register.claims, self.transaction, now()) {
            if let Err(over) = self.tell(&mut *wire, &evidence, stop).await {
                return over;
            }
        }
        back_off.reset();
        self.note(|shown| shown.trouble.clear());
        loop {
            let ledger = Arc::clone(&changes.borrow_and_update());
            if let Err(over) = self.follow(&mut *wire, &ledger, stop).await {
                return over;
            }
            let mut byte = [0];
            tokio::select! {
                biased;
                _ = stop.changed() => return Over::Stopped,
                changed = changes.changed() => {
                    if changed.is_err() {
                        return Over::Stopped;
                    }
                }
                // Some of what others tell changes no entry.
                () = tokio::time::sleep(LOOK_AFTER) => {}
                // Nobody answers what was not asked; who closes is gone.
                read = wire.read(&mut byte) => {
                    if !matches!(read, Ok(1)) {
                        return Over::Failed("the peer closed the connection".to_owned());
                    }
                }
            }
        }
    }

    /// Tells what the ledger has learned and the peer has not.
    async fn follow(
        &mut self,
        wire: &mut dyn Wire,
        ledger: &Ledger,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Over> {
        let register = self.sink.register();
        for evidence in heard_by(&register.claims, self.transaction) {
            if !self.passed_on.contains(&evidence.event) {
                self.tell(wire, &evidence, stop).await?;
                self.passed_on.insert(evidence.event);
            }
        }
        let mut new: Vec<_> =
            ledger.entries().filter(|entry| !self.told.contains(&entry.id)).collect();
        new.sort_by_key(|entry| (entry.learned, entry.stated, &entry.id));
        for entry in new {
            for evidence in told_of(entry, ledger, &register.claims, self.transaction) {
                self.tell(wire, &evidence, stop).await?;
            }
            self.told.insert(entry.id.clone());
        }
        self.told.retain(|id| ledger.entry(id).is_some());
        let known: BTreeSet<&EntryId> = register.claims.all().map(|one| &one.event).collect();
        self.passed_on.retain(|event| known.contains(event));
        Ok(())
    }

    /// One message and its answer.
    async fn tell(
        &mut self,
        wire: &mut dyn Wire,
        evidence: &Evidence,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), Over> {
        self.number += 1;
        let control_id = format!("{}-{}", now().us() / 1_000_000, self.number);
        let envelope = Envelope {
            from: self.application.clone(),
            to: self.table.name.clone(),
            control_id: control_id.clone(),
            now: now(),
            processing: self.processing,
        };
        let message = write(self.transaction, evidence, &self.site, &envelope);
        let exchange = async {
            wire.write_all(&message).await.map_err(|_| "the connection failed".to_owned())?;
            wire.flush().await.map_err(|_| "the connection failed".to_owned())?;
            answer(wire, &control_id).await
        };
        let code = tokio::select! {
            biased;
            _ = stop.changed() => return Err(Over::Stopped),
            code = tokio::time::timeout(ANSWER_WITHIN, exchange) => code,
        };
        match code {
            Ok(Ok(Code::CommitAccept | Code::Accept)) => {
                self.note(|shown| shown.acknowledged += 1);
                Ok(())
            }
            Ok(Ok(Code::Reject)) => {
                tracing::warn!(peer = self.table.name, "an association was refused");
                self.note(|shown| shown.refused += 1);
                Ok(())
            }
            Ok(Ok(Code::Error)) => Err(Over::Failed("it cannot take anything now".to_owned())),
            Ok(Err(why)) => Err(Over::Failed(why)),
            Err(_) => Err(Over::Failed("no answer in time".to_owned())),
        }
    }
}

/// The answer to this message; others are passed over.
async fn answer(wire: &mut dyn Wire, control_id: &str) -> Result<Code, String> {
    let mut framing = Framing::new(clock::now());
    let mut buffer = [0; 4096];
    loop {
        let wake = framing.next_wake();
        tokio::select! {
            biased;
            // A block counts without its last 0D, too.
            () = sleep_until(wake), if wake.is_some() => framing.wake(clock::now()),
            read = wire.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return Err("the peer closed the connection".to_owned()),
                Ok(count) => {
                    framing.receive(buffer.get(..count).unwrap_or_default(), clock::now());
                }
            },
        }
        while let Some(piece) = framing.poll() {
            let content = piece.raw.get(content_range(&piece.raw)).unwrap_or_default();
            let read = Answer::read(content).filter(|_| piece.kind == PieceKind::Block);
            if let Some(answer) = read.filter(|answer| answer.control_id == control_id) {
                return Ok(answer.code);
            }
        }
    }
}

fn now() -> Utc {
    Utc::from_us(clock::now().utc_us())
}
