//! `cargo bench --bench ward`: a large unit on one box (32 monitors with four waveforms each, 32
//! ventilators, 64 oximeters), and what it costs. Prints pass or fail against fixed limits; ends
//! badly if one is not held.
//!
//! It is the demo with another ward: devices, gateway and cores are processes of their own, and
//! what is counted is the gateway's.

#[path = "speed/building.rs"]
mod building;

use std::process::{Command, ExitCode, Stdio};

use serde_json::Value as Json;

/// Half a core, of the two that a small box has.
const CORES_MAX: f64 = 0.5;
const MEMORY_MIB_MAX: f64 = 128.0;
/// 32 monitors with four waveforms each.
const SIGNALS: f64 = 128.0;
/// From a device's last byte to the core's acknowledgement.
const WIRE_TO_CORE_P99_MS_MAX: f64 = 250.0;

fn main() -> ExitCode {
    let seconds = std::env::args().find_map(|one| one.strip_suffix('s')?.parse::<u64>().ok());
    if let Err(error) = building::build_gateway() {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    let time = format!("{}s", seconds.unwrap_or(60));
    let program = env!("CARGO_BIN_EXE_wardgate-hil");
    let gateway = std::path::Path::new(program).with_file_name("wardgate");
    // What cargo says of this program must not make the demo build anything.
    let shown = Command::new(program)
        .args(["demo", "--ward", "large", "--for", &time, "--json", "--gateway"])
        .arg(gateway)
        .env_remove("CARGO")
        .stderr(Stdio::inherit())
        .output();
    let output = match shown {
        Ok(output) => output,
        Err(error) => {
            eprintln!("the demo does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let Some(summary) = text.lines().last().and_then(|line| serde_json::from_str(line).ok()) else {
        eprintln!("the demo gave no summary");
        return ExitCode::FAILURE;
    };
    if judged(&summary) && output.status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints every figure beside its limit; whether all are held.
fn judged(summary: &Json) -> bool {
    let number = |path: &str| summary.pointer(path).and_then(Json::as_f64).unwrap_or(f64::NAN);
    let figures = [
        ("processor, cores", number("/gateway/cores"), CORES_MAX),
        ("memory at most, MiB", number("/gateway/peak_mib"), MEMORY_MIB_MAX),
        ("wire to core p99, ms", number("/p99_ms"), WIRE_TO_CORE_P99_MS_MAX),
        ("lost", number("/lost"), 0.0),
        ("twice", number("/duplicates"), 0.0),
    ];
    println!(
        "{} readings, {} samples of {} signals",
        number("/readings"),
        number("/waveforms/samples"),
        number("/waveforms/signals")
    );
    let mut all = number("/readings") > 0.0 && number("/waveforms/signals") >= SIGNALS;
    for (what, figure, limit) in figures {
        // A figure that is missing is not held.
        let held = figure <= limit;
        all &= held;
        let verdict = if held { "pass" } else { "FAIL" };
        println!("{what:<24} {figure:>10.3}   limit {limit:>6}   {verdict}");
    }
    all
}
