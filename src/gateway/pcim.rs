//! Associations told between this box and other systems, by IHE PCIM.
//!
//! | role | is told | tells |
//! |---|---|---|
//! | manager | DEV-51 by reporters; checks before it takes | DEV-52 to consumers |
//! | reporter | nothing | DEV-51 to the manager |
//! | consumer | DEV-52 by the manager; takes what it says | nothing |
//!
//! What is told is acknowledged when it is durable. A manager does not take an association of a
//! device that is on another patient: the person who asked hears of it there and then. A consumer
//! takes it, and the ledger makes a conflict of it, for the manager is who decides.

pub mod peer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::adt::server::{self, Hears};
use super::adt::{EntrySink, NotTaken, header};
use super::configuration::{PcimRole, PcimTable};
use crate::association::pcim::{Heard, PcimSite, Transaction, Trouble, is_subscription, read};
use crate::association::{Row, Statement};
use crate::link::clock;
use crate::protocol::hl7v2::acknowledgement::{Answer, ApplicationError};
use crate::protocol::hl7v2::mllp::PieceKind;
use crate::protocol::{MessageId, NotKept, Settled};
use crate::vocabulary::Why;

/// The side that is told.
pub struct PcimPort<S> {
    table: PcimTable,
    site: PcimSite,
    sink: S,
    /// One message at a time: each is judged by what the ones before it left.
    turn: tokio::sync::Mutex<()>,
    shown: Mutex<PcimSnapshot>,
}

/// The port in a snapshot. Holds nothing of persons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PcimSnapshot {
    /// Where it listens, or why not.
    pub port: String,
    pub connections: usize,
    pub messages: u64,
    /// Messages that were not taken, by the profile's error.
    pub refused: BTreeMap<String, u64>,
    pub damaged: u64,
    /// Associations that wait for a person.
    pub proposals: usize,
    /// Who is told: how many messages were acknowledged, and what is wrong.
    pub peers: BTreeMap<String, peer::PeerSnapshot>,
}

/// What becomes of a message that is not taken.
struct NotHeard {
    why: Why,
    /// Without: the message is none of this profile.
    trouble: Option<Trouble>,
}

impl From<Trouble> for NotHeard {
    fn from(trouble: Trouble) -> Self {
        Self { why: Why::Unreadable, trouble: Some(trouble) }
    }
}

impl<S: EntrySink> PcimPort<S> {
    /// A port of which nothing was heard.
    pub fn new(table: PcimTable, site: PcimSite, sink: S) -> Arc<Self> {
        let (turn, shown) = (tokio::sync::Mutex::new(()), Mutex::default());
        Arc::new(Self { table, site, sink, turn, shown })
    }

    /// Listens, if the role does, until it is told to stop.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let Some(listen) = self.table.listen else { return };
        let files = self.table.tls.clone();
        server::serve(listen, files, self, stop).await;
    }

    /// The port as it is now.
    pub fn snapshot(&self) -> PcimSnapshot {
        let proposals = self.sink.register().claims.proposals().count();
        PcimSnapshot { proposals, ..self.shown().clone() }
    }

    fn shown(&self) -> MutexGuard<'_, PcimSnapshot> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a message says, judged by the role.
    fn judged(&self, raw: &[u8]) -> Result<(Row, Vec<Statement>), NotHeard> {
        let unsupported = NotHeard { why: Why::UnsupportedMessage, trouble: None };
        // DEV-19 is optional for a manager.
        if is_subscription(raw) {
            return Err(unsupported);
        }
        let Heard { transaction, names_association, mut evidence, refusals } =
            read(raw, &self.site).map_err(|unread| {
                // Names fields, shows nothing of them.
                tracing::warn!(refused = %unread.refused, "an association was not read");
                let trouble = Some(unread.trouble);
                let trouble = trouble.filter(|_| unread.refused.why != Why::UnsupportedMessage);
                NotHeard { why: unread.refused.why, trouble }
            })?;
        for refused in &refusals {
            tracing::debug!(%refused, "an association was told in an odd way");
        }
        let expected = match self.table.role {
            PcimRole::Manager | PcimRole::Reporter => Transaction::Communicate,
            PcimRole::Consumer => Transaction::Report,
        };
        if transaction != expected {
            return Err(unsupported);
        }
        let (ledger, register) = (self.sink.ledger(), self.sink.register());
        let mut book = register.claims.clone();
        if book.is_known(&evidence) {
            return Ok((Row::Claim { evidence: Box::new(evidence) }, Vec::new()));
        }
        if !names_association {
            evidence.association = book.matched(&evidence, &ledger)?;
        }
        if self.table.role == PcimRole::Manager
            && let Some(trouble) = book.conflict(&evidence, &ledger)
        {
            return Err(trouble.into());
        }
        book.take(evidence.clone(), &ledger)?;
        let statements = book.statements(&evidence.association, &evidence.event, &ledger);
        Ok((Row::Claim { evidence: Box::new(evidence) }, statements))
    }

    async fn take(&self, raw: &[u8]) -> Result<Settled, NotHeard> {
        let (row, statements) = self.judged(raw)?;
        match self.sink.keep(vec![row], statements).await {
            Ok(()) => Ok(Settled::Durable),
            Err(NotTaken::NotKept) => Ok(Settled::NotKept(NotKept::NoStorage)),
            Err(NotTaken::Refused(why)) => {
                tracing::warn!(%why, "an association was not taken");
                Err(Trouble::Other.into())
            }
        }
    }
}

impl<S: EntrySink> Hears for PcimPort<S> {
    async fn hear(&self, raw: &[u8], id: MessageId) -> Vec<Vec<u8>> {
        let header = header(raw);
        if header.is_acknowledgement() {
            return Vec::new();
        }
        let _turn = self.turn.lock().await;
        self.shown().messages += 1;
        let (settled, refused, trouble) = match self.take(raw).await {
            Ok(settled) => (settled, None, None),
            Err(NotHeard { why, trouble }) => {
                let text = trouble.map_or("not of this profile", Trouble::text);
                *self.shown().refused.entry(text.to_owned()).or_default() += 1;
                (Settled::Durable, Some(why), trouble)
            }
        };
        let application = trouble.map(|trouble| ApplicationError {
            code: self.table.error_base + trouble.number(),
            text: trouble.text(),
        });
        let answer = Answer::Owed { header: Box::new(header), refused };
        answer.blocks_by_message(id, settled, application, clock::now())
    }

    fn damaged(&self, kind: PieceKind) {
        tracing::warn!(?kind, "bytes on the port of associations are no message");
        self.shown().damaged += 1;
    }

    fn listening(&self, what: Result<SocketAddr, String>) {
        self.shown().port = match what {
            Ok(address) => address.to_string(),
            Err(why) => why,
        };
    }

    fn connections(&self, count: usize) {
        self.shown().connections = count;
    }
}
