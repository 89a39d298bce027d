//! `wardgate profile check | explain | replay | show | schema | devices`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use jiff::tz::TimeZone;

use super::{Failed, say};
use crate::gateway::{configuration, replay};
use crate::profile::{Drafts, Profile, devices, explain, schema};
use crate::protocol::Site;
use crate::vocabulary::Vocabulary;

#[derive(Subcommand)]
pub(super) enum ProfileVerb {
    /// Reads device files, and replays the captures beside them against what they should give.
    Check {
        /// Device files, or folders with `profile.toml`.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Accept drafts.
        #[arg(long)]
        bench: bool,
    },
    /// What each column, byte or code means to us; `?` marks what nobody claims.
    Explain {
        file: PathBuf,
        /// The firmware; the first tested one if not given.
        #[arg(long)]
        firmware: Option<String>,
    },
    /// Feeds a capture or raw bytes to the driver and shows what comes out.
    Replay {
        file: PathBuf,
        input: PathBuf,
        #[arg(long)]
        firmware: Option<String>,
        /// One JSON object per metric or refusal.
        #[arg(long)]
        json: bool,
        /// The zone of the device's clock, such as Europe/Helsinki.
        #[arg(long)]
        time_zone: Option<String>,
        /// The character set of a peer that does not name one.
        #[arg(long)]
        charset: Option<String>,
    },
    /// The whole file for one firmware, variants applied.
    Show {
        file: PathBuf,
        #[arg(long)]
        firmware: Option<String>,
    },
    /// The JSON Schema of device files, for editors.
    Schema,
    /// Per device and parameter: what is proven by what, as `docs/devices.md` has it.
    Devices {
        /// The folder of the device files.
        #[arg(default_value = "device-profiles")]
        folder: PathBuf,
    },
}

pub(super) fn run(verb: &ProfileVerb) -> Result<(), Failed> {
    match verb {
        ProfileVerb::Check { files, bench } => check(files, *bench),
        ProfileVerb::Explain { file, firmware } => {
            let (profile, vocabulary) = load(file, Drafts::Accepted)?;
            let firmware = firmware_of(&profile, firmware.as_deref());
            say(explain::explain(&profile, &firmware, &vocabulary).trim_end());
            Ok(())
        }
        ProfileVerb::Replay { file, input, firmware, json, time_zone, charset } => {
            let zone = match time_zone.as_deref().map(TimeZone::get) {
                Some(Ok(zone)) => Some(zone),
                Some(Err(_)) => return Err(Failed::one("expected a zone such as Europe/Helsinki")),
                None => None,
            };
            let site = Site { zone, charset: charset.clone() };
            replay_file(file, input, firmware.as_deref(), *json, site)
        }
        ProfileVerb::Show { file, firmware } => {
            let (profile, _) = load(file, Drafts::Accepted)?;
            let firmware = firmware_of(&profile, firmware.as_deref());
            say(profile.flattened_text(&firmware).trim_end());
            Ok(())
        }
        ProfileVerb::Schema => {
            let text =
                serde_json::to_string_pretty(&schema::device_profile()).map_err(Failed::one)?;
            say(&text);
            Ok(())
        }
        ProfileVerb::Devices { folder } => list_devices(folder),
    }
}

fn list_devices(folder: &Path) -> Result<(), Failed> {
    let mut loaded = Vec::new();
    for id in configuration::known_profiles(folder) {
        let path = folder.join(&id);
        let (profile, _) = load(&path, Drafts::Accepted)?;
        loaded.push((profile, captures_in(&path.join("captures"))));
    }
    let names = |captures: &[PathBuf]| {
        let stems = captures.iter().filter_map(|capture| capture.file_stem());
        stems.map(|stem| stem.to_string_lossy().into_owned()).collect()
    };
    let devices: Vec<devices::Device<'_>> = loaded
        .iter()
        .map(|(profile, captures)| devices::Device { profile, captures: names(captures) })
        .collect();
    say(devices::table(&devices).trim_end());
    Ok(())
}

/// The captures of a folder, sorted.
fn captures_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut captures: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|one| one == "capture"))
        .collect();
    captures.sort();
    captures
}

/// The device file at a path or in a folder.
fn file_in(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("profile.toml") } else { path.to_owned() }
}

/// The vocabulary stands in the nearest folder above the device file that has one.
fn load(path: &Path, drafts: Drafts) -> Result<(Profile, Arc<Vocabulary>), Failed> {
    let file = file_in(path);
    if !file.is_file() {
        return Err(Failed::one(format!("{}: no such device file", file.display())));
    }
    let absolute = std::path::absolute(&file).map_err(Failed::one)?;
    let above = absolute.ancestors().find(|one| one.join("vocabulary/parameters.toml").exists());
    let below = Path::new("device-profiles");
    let folder = above.unwrap_or(below);
    let vocabulary = configuration::load_vocabulary(folder).map_err(Failed::one)?;
    let profile = configuration::load_profile(&file, &vocabulary, drafts).map_err(Failed)?;
    Ok((profile, Arc::new(vocabulary)))
}

fn firmware_of(profile: &Profile, given: Option<&str>) -> String {
    let first = profile.file().firmware.tested.first();
    given.or(first.map(String::as_str)).unwrap_or_default().to_owned()
}

fn check(files: &[PathBuf], bench: bool) -> Result<(), Failed> {
    let drafts = if bench { Drafts::Accepted } else { Drafts::Refused };
    let mut problems = Vec::new();
    for path in files {
        let (profile, vocabulary) = match load(path, drafts) {
            Ok(loaded) => loaded,
            Err(Failed(found)) => {
                problems.extend(found);
                continue;
            }
        };
        let file = file_in(path);
        let captures = file.parent().map(|folder| folder.join("captures")).unwrap_or_default();
        let found = check_captures(&captures, &profile, &vocabulary);
        match found {
            Ok(count) => {
                let (id, revision) = (profile.id(), profile.file().revision);
                let status = profile.file().provenance.status.as_str();
                say(&format!("{id} revision {revision}: good ({status}, {count} captures)"));
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Failed(problems)) }
}

/// Every `captures/NAME.capture` must give the lines of `captures/NAME.expected`.
fn check_captures(
    folder: &Path,
    profile: &Profile,
    vocabulary: &Arc<Vocabulary>,
) -> Result<usize, Vec<String>> {
    let captures = captures_in(folder);
    let mut problems = Vec::new();
    for capture in &captures {
        if let Err(what) = check_capture(capture, profile, vocabulary) {
            problems.push(format!("{}: {what}", capture.display()));
        }
    }
    if problems.is_empty() { Ok(captures.len()) } else { Err(problems) }
}

fn check_capture(
    capture: &Path,
    profile: &Profile,
    vocabulary: &Arc<Vocabulary>,
) -> Result<(), String> {
    let content = std::fs::read(capture).map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&content);
    let parsed = crate::link::capture::Capture::parse(&text).map_err(|error| error.to_string())?;
    let expected_path = capture.with_extension("expected");
    let expected = std::fs::read_to_string(&expected_path)
        .map_err(|error| format!("{}: {error}", expected_path.display()))?;
    let firmware = firmware_of(profile, parsed.firmware.as_deref());
    let pieces = replay::pieces(profile, &content)?;
    let outcome = replay::run(profile, &firmware, Site::default(), vocabulary, &pieces);
    let wanted: Vec<&str> = expected.lines().filter(|line| !line.trim().is_empty()).collect();
    if wanted.len() != outcome.lines.len() {
        let (wanted, got) = (wanted.len(), outcome.lines.len());
        return Err(format!("expected {wanted} lines, got {got}"));
    }
    for (number, (wanted, got)) in wanted.iter().zip(&outcome.lines).enumerate() {
        let wanted: serde_json::Value = serde_json::from_str(wanted)
            .map_err(|error| format!("{}:{}: {error}", expected_path.display(), number + 1))?;
        if let Some(difference) = difference(&wanted, got) {
            return Err(format!("{}:{}: {difference}", expected_path.display(), number + 1));
        }
    }
    Ok(())
}

/// Every key of the expectation must be there with the same value; other keys may be there too.
fn difference(wanted: &serde_json::Value, got: &serde_json::Value) -> Option<String> {
    if let (Some(wanted), Some(got)) = (wanted.as_array(), got.as_array())
        && wanted.len() == got.len()
    {
        return wanted.iter().zip(got).find_map(|(wanted, got)| difference(wanted, got));
    }
    let Some(keys) = wanted.as_object() else {
        return (wanted != got).then(|| format!("expected {wanted}, got {got}"));
    };
    keys.iter().find_map(|(key, wanted)| match got.get(key) {
        Some(found) => difference(wanted, found).map(|what| format!("{key}: {what}")),
        None => Some(format!("{key}: expected {wanted}, got nothing")),
    })
}

fn replay_file(
    file: &Path,
    input: &Path,
    firmware: Option<&str>,
    json: bool,
    site: Site,
) -> Result<(), Failed> {
    let (profile, vocabulary) = load(file, Drafts::Accepted)?;
    let content = std::fs::read(input)
        .map_err(|error| Failed::one(format!("{}: {error}", input.display())))?;
    let pieces = replay::pieces(&profile, &content)
        .map_err(|what| Failed::one(format!("{}: {what}", input.display())))?;
    let firmware = firmware_of(&profile, firmware);
    let outcome = replay::run(&profile, &firmware, site, &vocabulary, &pieces);
    for line in &outcome.lines {
        say(&if json { line.to_string() } else { replay::for_people(line) });
    }
    if !json {
        let replay::Outcome { messages, incomplete, mapped, unmapped, refused, sent, .. } = outcome;
        say("");
        say(&format!(
            "{messages} messages ({incomplete} incomplete), {mapped} mapped, {unmapped} unmapped, \
             {refused} refused, {} bytes sent to the device",
            sent.len()
        ));
    }
    Ok(())
}
