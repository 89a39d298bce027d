//! Tools around Wardgate that the gateway itself never uses: simulators, a stand-in core, the demo.

mod check;
mod core;
mod demo;
mod fhir;
mod hl7_core;
mod simulator;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// Device simulators, a stand-in core and the demo for Wardgate.
#[derive(Parser)]
#[command(name = "wardgate-hil", version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// A stand-in core: a broker on loopback that stores what comes and acknowledges it.
    Core(core::Options),
    /// A stand-in core that takes HL7 v2 over MLLP.
    Hl7Core(hl7_core::Options),
    /// A stand-in FHIR server on loopback, with faults.
    Fhir(fhir::Options),
    /// Which clauses of the ingestion contract a core keeps. It writes test data into the core.
    CoreCheck(check::Options),
    /// A simulated device on a real transport.
    #[command(subcommand)]
    Device(simulator::Device),
    /// The whole house without hardware, and a comparison of both ends.
    Demo(demo::Options),
    /// Becomes another program that is killed as soon as its parent ends.
    #[command(hide = true)]
    Leashed(demo::Leash),
}

#[tokio::main]
async fn main() -> ExitCode {
    // Standard output belongs to what programs read; the log goes to standard error.
    // The embedded broker calls every goodbye an error, so it is silent unless RUST_LOG asks.
    let quiet = || EnvFilter::new("warn,rumqttd=off");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| quiet());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let ended = match Arguments::parse_from(arguments(std::env::args_os())).verb {
        Verb::Core(options) => core::run(options).await.map_err(|error| error.to_string()),
        Verb::Hl7Core(options) => hl7_core::run(options).await.map_err(|error| error.to_string()),
        Verb::Fhir(options) => fhir::run(options).await.map_err(|error| error.to_string()),
        Verb::CoreCheck(options) => match check::run(options).await {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::FAILURE,
            Err(error) => Err(error),
        },
        Verb::Device(device) => simulator::run(device).await.map_err(|error| error.to_string()),
        Verb::Demo(options) => demo::run(options).await.map_err(|error| error.to_string()),
        Verb::Leashed(leash) => Err(demo::leashed(&leash).to_string()),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wardgate-hil: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `cargo demo -- --json` arrives as `demo -- --json`: the mark behind the verb is cargo's.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = given.collect();
    let behind_verb = (arguments.get(1), arguments.get(2));
    if behind_verb == (Some(&"demo".into()), Some(&"--".into())) {
        arguments.remove(2);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_cargo_behind_the_verb_is_passed_over() {
        let read = |words: &[&str]| arguments(words.iter().map(OsString::from));
        assert_eq!(read(&["hil", "demo", "--", "--json"]), ["hil", "demo", "--json"]);
        assert_eq!(read(&["hil", "demo", "--json"]), ["hil", "demo", "--json"]);
        assert_eq!(read(&["hil", "core", "--"]), ["hil", "core", "--"]);
        assert_eq!(read(&["hil"]), ["hil"]);
    }
}
