//! Tools around Wardgate that the gateway itself never uses: simulators, a stand-in core, the demo.

mod core;

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
}

#[tokio::main]
async fn main() -> ExitCode {
    // Standard output belongs to what programs read; the log goes to standard error.
    // The embedded broker calls every goodbye an error, so it is silent unless RUST_LOG asks.
    let quiet = || EnvFilter::new("warn,rumqttd=off");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| quiet());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let ended = match Arguments::parse().verb {
        Verb::Core(options) => core::run(options).await,
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wardgate-hil: {error}");
            ExitCode::FAILURE
        }
    }
}
