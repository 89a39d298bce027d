//! `wardgate-firmware`: which firmware each device file was tested with, and whether a device's own
//! is among them. It flashes nothing and talks to no device.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use wardgate::gateway::configuration::{known_profiles, load_profile, load_vocabulary};
use wardgate::profile::{Drafts, Profile};

/// Which firmware each device file was tested with.
#[derive(Parser)]
#[command(name = "wardgate-firmware", version, about)]
struct Arguments {
    /// The folder with the device files and the vocabulary.
    #[arg(long, default_value = "device-profiles", global = true)]
    device_profiles: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// All device files with their tested firmware.
    Inventory {
        /// One JSON object per device file.
        #[arg(long)]
        json: bool,
    },
    /// Whether a device file was tested with a firmware; exit code 0 only if it was.
    Compat {
        /// The device file: maker/model.
        profile: String,
        /// The firmware as the device shows it, to the letter.
        firmware: String,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, Vec<String>> {
    match &arguments.verb {
        Verb::Inventory { json } => {
            for id in known_profiles(&arguments.device_profiles) {
                let profile = load(arguments, &id)?;
                println!("{}", if *json { as_json(&id, &profile) } else { as_line(&id, &profile) });
            }
            Ok(true)
        }
        Verb::Compat { profile: id, firmware } => {
            let profile = load(arguments, id)?;
            let tested = profile.is_tested_with(firmware);
            let list = profile.file().firmware.tested.join(", ");
            let says = if tested { "is tested" } else { "is NOT tested: values would be held" };
            println!("{id} with firmware {firmware:?} {says} (tested: {list})");
            Ok(tested)
        }
    }
}

fn load(arguments: &Arguments, id: &str) -> Result<Profile, Vec<String>> {
    let folder = &arguments.device_profiles;
    let vocabulary = load_vocabulary(folder).map_err(|problem| vec![problem])?;
    load_profile(&folder.join(id).join("profile.toml"), &vocabulary, Drafts::Accepted)
}

fn as_line(id: &str, profile: &Profile) -> String {
    let file = profile.file();
    let (status, tested) = (file.provenance.status.as_str(), file.firmware.tested.join(", "));
    format!("{id:<36} revision {:<3} {status:<13} tested with {tested}", file.revision)
}

fn as_json(id: &str, profile: &Profile) -> String {
    let file = profile.file();
    serde_json::json!({
        "profile": id,
        "revision": file.revision,
        "status": file.provenance.status.as_str(),
        "digest": profile.digest(),
        "tested": file.firmware.tested,
    })
    .to_string()
}
