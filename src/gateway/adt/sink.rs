//! Where a feed hands in what it heard, and where it reads what is known.

use std::sync::Arc;

use serde_json::json;

use crate::association::{Ledger, Register, Row, Statement, Utc};
use crate::gateway::ledger::{Act, ActKind, LedgerDesk, NotAdded};
use crate::vocabulary::Moment;

/// Why nothing of a batch was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It cannot be kept: the ledger or the register refuses it. In words, without persons.
    #[error("{0}")]
    Refused(String),
    /// The journal takes nothing now: nothing has changed, try again.
    #[error("the journal takes nothing now")]
    NotKept,
}

/// Something of a feed that is to stand in the journal beside its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which feed: `adt`.
    pub feed: &'static str,
    pub kind: MarkKind,
    /// Since when, or until when.
    pub at: Moment,
}

/// What is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkKind {
    /// Nothing was heard for longer than usual: what the feed would say is unknown from then on.
    SilentSince,
    /// It is heard again; a census is due.
    HeardAgain,
}

impl MarkKind {
    /// The kind as it stands in records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SilentSince => "feed-silent",
            Self::HeardAgain => "feed-heard-again",
        }
    }
}

/// The ledger's desk, as a feed needs it. What is added is durable when it is answered.
pub trait EntrySink: Clone + Send + Sync + 'static {
    /// Keeps rows and statements, all of them or none; those that are known change nothing.
    fn keep(
        &self,
        rows: Vec<Row>,
        statements: Vec<Statement>,
    ) -> impl Future<Output = Result<(), NotTaken>> + Send;

    /// Keeps a mark.
    fn mark(&self, mark: Mark) -> impl Future<Output = Result<(), NotTaken>> + Send;

    /// The ledger as of the last durable entry.
    fn ledger(&self) -> Arc<Ledger>;

    /// The register as of the last durable row.
    fn register(&self) -> Arc<Register>;

    /// Lets go of persons and claims of which nothing was said since, and that nobody needs.
    fn forget(&self, before: Utc);
}

impl EntrySink for LedgerDesk {
    async fn keep(&self, rows: Vec<Row>, statements: Vec<Statement>) -> Result<(), NotTaken> {
        self.learn(rows, statements).await.map_err(NotTaken::from)
    }

    async fn mark(&self, mark: Mark) -> Result<(), NotTaken> {
        let Mark { feed, kind, at } = mark;
        let data = [
            ("feed".to_owned(), json!(feed)),
            ("mark".to_owned(), json!(kind.as_str())),
            ("at".to_owned(), json!(at.utc_text())),
        ];
        let act = Act {
            kind: ActKind::Audit,
            subject: feed.to_owned(),
            time_us: at.utc_us(),
            data: data.into_iter().collect(),
            client_id: format!("{feed}:{}:{}", kind.as_str(), at.utc_us()),
        };
        self.act(act).await.map(drop).map_err(NotTaken::from)
    }

    fn ledger(&self) -> Arc<Ledger> {
        self.now()
    }

    fn register(&self) -> Arc<Register> {
        LedgerDesk::register(self)
    }

    fn forget(&self, before: Utc) {
        LedgerDesk::forget(self, before);
    }
}

impl From<NotAdded> for NotTaken {
    fn from(why: NotAdded) -> Self {
        match why {
            NotAdded::NotKept => Self::NotKept,
            NotAdded::Refused { .. }
            | NotAdded::Claim(_)
            | NotAdded::TooLarge
            | NotAdded::ClientId => Self::Refused(why.to_string()),
        }
    }
}
