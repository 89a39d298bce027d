//! What a user types. One file per verb; output for people by default, `--json` for programs; exit
//! code 0 only for success.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::gateway::configuration::ConfigurationFile;

mod bedside;
mod check;
mod destination;
mod explain;
mod journal;
mod profile;
mod records;
mod run;
mod status;
mod times;
mod unresolved;

/// Keeps every reading of the ward's devices before acknowledging it, says whose it is, and
/// forwards it to the core.
#[derive(Parser)]
#[command(name = "wardgate", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// Where the configuration is, for verbs that need it.
#[derive(clap::Args)]
struct ConfigurationPath {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/wardgate/wardgate.toml")]
    config: PathBuf,
}

#[derive(Subcommand)]
enum Verb {
    /// The daemon: takes data until SIGTERM.
    Run(ConfigurationPath),
    /// Reads the configuration and every device file it names; opens no connection.
    Check(ConfigurationPath),
    /// Devices, links, backlog and destinations of the running daemon.
    Status(status::StatusArguments),
    /// What the journal has of a device, a patient, a span of time: newest first.
    Records(records::RecordsArguments),
    /// What waits for a person: list, end.
    #[command(subcommand)]
    Unresolved(unresolved::UnresolvedVerb),
    /// From a record in the core back to the bytes on the wire.
    Explain(explain::ExplainArguments),
    /// What is on the disk: status, verify, export, salvage; and new-key.
    #[command(subcommand)]
    Journal(journal::JournalVerb),
    /// Destinations: list, set-aside, retire.
    #[command(subcommand)]
    Destination(destination::DestinationVerb),
    /// Who is signed in at the bedside: sessions, end, remove-key.
    #[command(subcommand)]
    Bedside(bedside::BedsideVerb),
    /// Device files: check, explain, replay, show.
    #[command(subcommand)]
    Profile(profile::ProfileVerb),
}

impl ConfigurationPath {
    /// The file's tables, as they stand there.
    fn read(&self) -> Result<ConfigurationFile, Failed> {
        let name = self.config.display();
        let text = std::fs::read_to_string(&self.config)
            .map_err(|error| Failed::one(format!("{name}: cannot be read: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            let problem = crate::profile::Problem::of_toml(&text, &error);
            Failed::one(problem.in_file(&name.to_string(), &text))
        })
    }
}

/// Runs the verb that the command line names.
pub fn main() -> ExitCode {
    let done = match Arguments::parse().verb {
        Verb::Run(path) => run::run(&path.config),
        Verb::Check(path) => check::run(&path.config),
        Verb::Status(arguments) => status::run(&arguments),
        Verb::Records(arguments) => records::run(&arguments),
        Verb::Unresolved(verb) => unresolved::run(&verb),
        Verb::Explain(arguments) => explain::run(&arguments),
        Verb::Journal(verb) => journal::run(&verb),
        Verb::Destination(verb) => destination::run(&verb),
        Verb::Bedside(verb) => bedside::run(&verb),
        Verb::Profile(verb) => profile::run(&verb),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed(problems)) => {
            for problem in problems {
                say_problem(&problem);
            }
            ExitCode::FAILURE
        }
    }
}

/// Why a verb failed, one text per problem.
struct Failed(Vec<String>);

impl Failed {
    fn one(what: impl ToString) -> Self {
        Self(vec![what.to_string()])
    }
}

/// A line of output. A closed pipe (`| head`) is the reader's wish to stop.
fn say(line: &str) {
    use std::io::Write as _;
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn say_problem(line: &str) {
    use std::io::Write as _;
    // With standard error gone there is nobody left to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}
