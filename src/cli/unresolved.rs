//! `wardgate unresolved list | end`: what waits for a person, and a person's word that it waits no
//! longer.

use clap::Subcommand;

use super::{ConfigurationPath, Failed, destination, records, say};
use crate::gateway::asked::Ask;
use crate::gateway::ending::{End, NAME_CHARACTERS_MAX, REASON_CHARACTERS_MAX, check_text};
use crate::gateway::look_up::{LookUp, LookUpKind, ROWS_MAX};

#[derive(Subcommand)]
pub(super) enum UnresolvedVerb {
    /// What is held until a person says what it is, results of nobody, and what a destination will
    /// not take: newest first.
    List {
        #[command(flatten)]
        path: ConfigurationPath,
        /// One JSON object instead of a table.
        #[arg(long)]
        json: bool,
    },
    /// Ends one: it is not carried forward any more and goes with its segment. Who said so and why
    /// stands in the journal first.
    End {
        /// The record's id, as `list` shows it.
        record: String,
        /// Why, in words, for whoever reads the journal. No identity code.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who decides it.
        #[arg(long, value_name = "NAME")]
        by: String,
        #[command(flatten)]
        path: ConfigurationPath,
    },
}

pub(super) fn run(verb: &UnresolvedVerb) -> Result<(), Failed> {
    match verb {
        UnresolvedVerb::List { path, json } => list(path, *json),
        UnresolvedVerb::End { record, reason, by, path } => {
            // Said before anything is sent.
            check_text("--reason", reason, REASON_CHARACTERS_MAX)
                .and_then(|()| check_text("--by", by, NAME_CHARACTERS_MAX))
                .map_err(Failed::one)?;
            let (record, reason, by) = (record.clone(), reason.clone(), by.clone());
            destination::ask(path, &Ask::End(End { record, reason, by }))
        }
    }
}

fn list(path: &ConfigurationPath, json: bool) -> Result<(), Failed> {
    let asked = LookUp {
        kinds: vec![LookUpKind::Unresolved],
        device: None,
        patient: None,
        specimen: None,
        since_us: None,
        until_us: None,
        limit: ROWS_MAX,
    };
    let found = records::ask(&path.read()?, asked)?;
    if json {
        say(&serde_json::to_string(&found).map_err(Failed::one)?);
    } else {
        records::table(&found);
    }
    records::whole(&found)
}
