//! How fast the gateway is, beside the disk's own limit and a bare reference, in one run.
//!
//! ```text
//! cargo bench -p wardgate-hil --bench speed
//! cargo bench -p wardgate-hil --bench speed -- --records 20000 --rounds 1 --json
//! ```
//!
//! It ends with exit code 1 if a limit is not held or could not be measured. What is measured and
//! why stands in `docs/performance.md`.

mod building;
mod disk;
mod house;
mod load;
mod phases;
mod reference;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use phases::Plan;
use report::Report;

#[derive(Parser)]
#[command(about = "Measures the gateway against the disk's limit and a bare reference")]
struct Options {
    /// Interleaved rounds of reference and gateway per number of connections.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement, after one that is not measured.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Numbers of connections.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    connections: Vec<usize>,
    /// Measure the rates with nobody to forward to, to see what forwarding costs.
    #[arg(long)]
    without_core: bool,
    /// Messages that wait for the core in the memory phase.
    #[arg(long, default_value_t = 1_000_000)]
    records: u64,
    /// The backlog beside which live data is delivered.
    #[arg(long, default_value_t = 100_000)]
    live_backlog: u64,
    /// The store in which the start is measured is at least so large, in GiB.
    #[arg(long, default_value_t = 0)]
    store_gigabytes: u64,
    /// Only these phases: rates, memory, slow, live.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    #[arg(long, default_value_t = 20_261_123)]
    seed: u64,
    /// A folder on the disk that is measured; made anew and removed.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/speed"))]
    folder: PathBuf,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    #[arg(long, hide = true)]
    as_reference: Option<PathBuf>,
    /// Given by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(path) = &options.as_reference {
        return match reference::serve(path) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error.to_string()),
        };
    }
    match measure(&options) {
        Ok(report) => {
            if options.json {
                println!("{}", report.json());
            } else {
                println!("{}", report.text());
            }
            if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => failed(&error),
    }
}

fn failed(what: &str) -> ExitCode {
    eprintln!("not measured: {what}");
    ExitCode::FAILURE
}

fn measure(options: &Options) -> Result<Report, String> {
    building::build_gateway()?;
    let plan = Plan {
        folder: options.folder.clone(),
        rounds: options.rounds,
        connections: options.connections.clone(),
        without_core: options.without_core,
        measured: Duration::from_secs(options.seconds),
        records: options.records,
        live_backlog: options.live_backlog,
        store_bytes: options.store_gigabytes << 30,
        seed: options.seed,
    };
    let mut report = Report::begin(options.seed);
    let wanted =
        |phase: &str| options.only.is_empty() || options.only.iter().any(|only| only == phase);
    let phases: [(&str, phases::Phase); 4] = [
        ("rates", phases::rates),
        ("slow", phases::slow_disk),
        ("live", phases::live_beside_backlog),
        ("memory", phases::memory),
    ];
    for (name, phase) in phases {
        if wanted(name) {
            eprintln!("measuring: {name}");
            phase(&plan, &mut report).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    Ok(report)
}
