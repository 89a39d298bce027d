//! What is kept beside the ledger's entries, because it names a person or is evidence that the
//! ledger does not hold: [`Row`]s. They go into the journal as entries do, encrypted and durable
//! before anything is answered, and never leave the box.
//!
//! As in the ledger the order of arrival does not matter, and a row that is known changes nothing.

use serde::{Deserialize, Serialize};

use super::adt::Person;
use super::entry::{By, ENTRY_VERSION, Entry, Says};
use super::ledger::{Ledger, Taken};
use super::names::EntryId;
use super::pcim::{Book, Evidence, Trouble};
use super::persons::Persons;
use super::time::Utc;

/// The version of a row's and of the register's written form.
const REGISTER_VERSION: u8 = 1;

/// What somebody says for the ledger. An [`Entry`] is this with the time at which it was learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub id: EntryId,
    pub stated: Utc,
    pub by: By,
    pub says: Says,
}

impl Statement {
    /// As an entry that was learned at this time.
    pub fn learned(self, learned: Utc) -> Entry {
        let Self { id, stated, by, says } = self;
        Entry { version: ENTRY_VERSION, id, stated, learned, by, says }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "row", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Row {
    /// What the patient administration says of a person.
    Person {
        /// When it said so.
        stated: Utc,
        person: Person,
    },
    /// What another system says of an association (PCIM).
    Claim { evidence: Box<Evidence> },
}

/// All rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    version: u8,
    pub persons: Persons,
    pub claims: Book,
}

impl Default for Register {
    fn default() -> Self {
        let (persons, claims) = (Persons::default(), Book::default());
        Self { version: REGISTER_VERSION, persons, claims }
    }
}

impl Register {
    /// Takes a row. `ledger` as it is before the entries that come with the row.
    ///
    /// # Errors
    /// A claim that contradicts itself.
    pub fn take(&mut self, row: Row, ledger: &Ledger) -> Result<Taken, Trouble> {
        match row {
            Row::Person { stated, person } => Ok(self.persons.take(&person, stated)),
            Row::Claim { evidence } => self.claims.take(*evidence, ledger),
        }
    }

    /// Takes a row that was taken before, from a journal.
    pub fn put(&mut self, row: Row) {
        match row {
            Row::Person { stated, person } => {
                self.persons.take(&person, stated);
            }
            Row::Claim { evidence } => self.claims.put(*evidence),
        }
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.persons.count() == 0 && self.claims == Book::default()
    }

    /// Whether a row says anything that is not known.
    pub fn is_news(&self, row: &Row) -> bool {
        match row {
            Row::Person { stated, person } => self.persons.is_news(person, *stated),
            Row::Claim { evidence } => !self.claims.is_known(evidence),
        }
    }

    /// Whether this version can read what was written.
    pub fn is_readable(&self) -> bool {
        self.version == REGISTER_VERSION
    }

    /// Lets go what nobody needs at the bedside any more: persons who left or were never here, and
    /// claims of which nothing stands, when nothing was said of them since `before`.
    pub fn forget(&mut self, before: Utc, ledger: &Ledger) {
        self.persons.forget(before, ledger);
        self.claims.forget(before, ledger);
    }
}
