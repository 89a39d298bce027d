//! `wardgate destination list | set-aside | retire`, and `wardgate journal resend`: how far the
//! destinations are, what they will not take, and what a person decides about it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Subcommand;

use super::{ConfigurationPath, Failed, say};
use crate::forward::cursor::{self, Found};
use crate::gateway::asked::{Ask, What, without_table};
use crate::gateway::configuration::ConfigurationFile;
use crate::gateway::status;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{RecordId, Sequence, StreamId};

#[derive(Subcommand)]
pub(super) enum DestinationVerb {
    /// Every destination, also those whose table is gone: how far it is, and what it holds.
    List(ConfigurationPath),
    /// The newest records that a destination will not take: sequence, record, code, time.
    SetAside {
        name: String,
        #[command(flatten)]
        path: ConfigurationPath,
    },
    /// Ends the hold of a destination whose table was taken out. It stands in the journal.
    Retire {
        name: String,
        /// Why, in words, for whoever reads the journal.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        path: ConfigurationPath,
    },
}

/// Which records are sent again.
#[derive(clap::Args)]
pub(super) struct Resend {
    #[command(flatten)]
    path: ConfigurationPath,
    /// The destination's name.
    #[arg(long)]
    destination: String,
    /// The first sequence.
    #[arg(long, requires = "to")]
    from: Option<u64>,
    /// The last sequence.
    #[arg(long, requires = "from")]
    to: Option<u64>,
    /// What is set aside now.
    #[arg(long, conflicts_with_all = ["from", "to"])]
    set_aside: bool,
}

pub(super) fn run(verb: &DestinationVerb) -> Result<(), Failed> {
    match verb {
        DestinationVerb::List(path) => list(path),
        DestinationVerb::SetAside { name, path } => set_aside(name, path),
        DestinationVerb::Retire { name, reason, path } => {
            let (destination, reason) = (name.clone(), reason.clone());
            ask(path, &Ask::Retire { destination, reason })
        }
    }
}

pub(super) fn resend(arguments: &Resend) -> Result<(), Failed> {
    let what = match (arguments.set_aside, arguments.from, arguments.to) {
        (true, ..) => What::SetAside,
        (false, Some(from), Some(to)) => What::Range { from, to },
        (false, ..) => return Err(Failed::one("expected --from and --to, or --set-aside")),
    };
    let destination = arguments.destination.clone();
    ask(&arguments.path, &Ask::Resend { destination, what })
}

/// Asks the running daemon to do something, and says what became of it.
pub(super) fn ask(path: &ConfigurationPath, ask: &Ask) -> Result<(), Failed> {
    let socket = path.read()?.gateway.socket;
    let answer = status::ask_for(&socket, ask).map_err(|error| {
        Failed::one(format!("no daemon answers on {}: {error}", socket.display()))
    })?;
    if !answer.done {
        return Err(Failed(answer.lines));
    }
    answer.lines.iter().for_each(|line| say(line));
    Ok(())
}

fn cursors(file: &ConfigurationFile) -> PathBuf {
    file.gateway.data.join("cursors")
}

fn list(path: &ConfigurationPath) -> Result<(), Failed> {
    let file = path.read()?;
    let folder = cursors(&file);
    say(&format!("{:<24} {:<12} {:>14} {:>9}  what", "destination", "", "has all up to", "aside"));
    let mut rows: BTreeMap<String, &str> = without_table(&folder, &names(&file), NO_STREAM)
        .into_iter()
        .map(|(name, holds)| (name, if holds.is_some() { HOLDS } else { "not configured" }))
        .collect();
    rows.extend(file.destination.iter().map(|one| (one.name.clone(), "configured")));
    for (name, what) in rows {
        let (low_water, aside, hold, retired) = match cursor::peek(&cursor::path(&folder, &name)) {
            Ok(Found::State(one)) => {
                let hold = if one.required { "required" } else { "best-effort" };
                (one.low_water.to_string(), one.set_aside.len(), hold, one.retired)
            }
            Ok(Found::New) => ("-".to_owned(), 0, "new", false),
            Ok(Found::Lost) | Err(_) => ("?".to_owned(), 0, "unreadable", false),
        };
        let what = if retired { "retired" } else { what };
        say(&format!("{name:<24} {hold:<12} {low_water:>14} {aside:>9}  {what}"));
    }
    Ok(())
}

/// Only whether something is held is asked here.
const NO_STREAM: StreamId = StreamId::from_bytes([0; 16]);
const HOLDS: &str = "not configured: holds the journal until it is retired";

fn names(file: &ConfigurationFile) -> Vec<&str> {
    file.destination.iter().map(|one| one.name.as_str()).collect()
}

/// What `check` says of destinations whose tables are gone.
pub(super) fn holding(file: &ConfigurationFile) -> Vec<String> {
    let unknown = without_table(&cursors(file), &names(file), NO_STREAM);
    unknown.into_iter().filter(|(_, holds)| holds.is_some()).map(|(name, _)| name).collect()
}

fn set_aside(name: &str, path: &ConfigurationPath) -> Result<(), Failed> {
    let folder = cursors(&path.read()?);
    let found = cursor::peek(&cursor::path(&folder, name)).map_err(Failed::one)?;
    let Found::State(state) = found else {
        return Err(Failed::one(format!("destination {name} has no readable cursor file")));
    };
    say(&format!("{:>16} {:<20} {:<27} code", "sequence", "record", "set aside"));
    for one in &state.set_aside {
        let Some(sequence) = Sequence::new(one.sequence) else { continue };
        let record = RecordId::of(state.stream, sequence);
        let time = if one.time_us == 0 { "not known".to_owned() } else { utc_text(one.time_us) };
        say(&format!("{sequence:>16} {record:<20} {time:<27} {}", one.code));
    }
    let (shown, ever) = (state.set_aside.len(), state.set_aside_total);
    say(&format!("{shown} set aside now, {ever} ever; the newest are shown"));
    Ok(())
}
