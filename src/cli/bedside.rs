//! `wardgate bedside sessions | end | remove-key`: who is signed in at the bedside, and an
//! operator's word that somebody is not any more.

use clap::Subcommand;

use super::{ConfigurationPath, Failed, destination};
use crate::gateway::asked::Ask;
use crate::gateway::shifts::{Shift, Whose, Word};

#[derive(Subcommand)]
pub(super) enum BedsideVerb {
    /// The shift sessions that are open now: id, person by the provider's id, role, times.
    Sessions(ConfigurationPath),
    /// Ends sessions: a phone that was lost, a person who has left. It stands in the journal first.
    #[command(group = clap::ArgGroup::new("whose").required(true))]
    End {
        /// One session, as `sessions` shows it.
        #[arg(long, value_name = "ID", group = "whose", allow_hyphen_values = true)]
        session: Option<String>,
        /// All of a person, by the provider's id.
        #[arg(long, value_name = "ID", group = "whose", allow_hyphen_values = true)]
        person: Option<String>,
        /// All of a phone, by the thumbprint of its key.
        #[arg(long, value_name = "THUMBPRINT", group = "whose", allow_hyphen_values = true)]
        phone: Option<String>,
        /// Everybody's.
        #[arg(long, group = "whose")]
        everybody: bool,
        #[command(flatten)]
        word: Said,
        #[command(flatten)]
        path: ConfigurationPath,
    },
    /// Takes a key of the identity provider out of belief for good, also in an outage.
    RemoveKey {
        /// Its `kid`.
        #[arg(allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        word: Said,
        #[command(flatten)]
        path: ConfigurationPath,
    },
}

/// Who decides it, and why.
#[derive(clap::Args)]
pub(super) struct Said {
    /// Why, in words, for whoever reads the journal. No identity code.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who decides it.
    #[arg(long, value_name = "NAME")]
    by: String,
}

impl Said {
    /// Said before anything is sent.
    fn word(&self) -> Result<Word, Failed> {
        let word = Word { by: self.by.clone(), reason: self.reason.clone() };
        word.check().map_err(Failed::one)?;
        Ok(word)
    }
}

pub(super) fn run(verb: &BedsideVerb) -> Result<(), Failed> {
    match verb {
        BedsideVerb::Sessions(path) => destination::ask(path, &Ask::Shifts(Shift::List)),
        BedsideVerb::End { session, person, phone, everybody: _, word, path } => {
            let whose = match (session, person, phone) {
                (Some(id), _, _) => Whose::Session(id.clone()),
                (_, Some(id), _) => Whose::Person(id.clone()),
                (_, _, Some(key)) => Whose::Phone(key.clone()),
                (None, None, None) => Whose::Everybody,
            };
            let word = word.word()?;
            destination::ask(path, &Ask::Shifts(Shift::End { whose, word }))
        }
        BedsideVerb::RemoveKey { kid, word, path } => {
            let (kid, word) = (kid.clone(), word.word()?);
            destination::ask(path, &Ask::Shifts(Shift::RemoveKey { kid, word }))
        }
    }
}
