//! `wardgate records`: what the journal has of a device, a patient, a span of time. Asked of the
//! running daemon, which keeps the index.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::times::{self, End};
use super::{ConfigurationPath, Failed, say};
use crate::gateway::configuration::ConfigurationFile;
use crate::gateway::look_up::{Identity, LookUp, LookUpKind, ROWS_MAX, RecordRow, Records};
use crate::gateway::status;

/// An identity is a line, not a document.
const IDENTITY_BYTES_MAX: u64 = 1 << 10;

/// What may be asked for at once.
const LIMITS: std::ops::RangeInclusive<u64> = 1..=ROWS_MAX as u64;

#[derive(clap::Args)]
pub(super) struct RecordsArguments {
    #[command(flatten)]
    path: ConfigurationPath,
    /// Only these; several may be named. All kinds unless said.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    kind: Vec<LookUpKind>,
    /// Only of this device, by its name in the configuration.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Only of the patient whose id, as the device states it, stands in this file; `-` reads it
    /// from standard input. It is never an argument: those stand in process lists and histories.
    #[arg(long, value_name = "FILE")]
    patient_from: Option<PathBuf>,
    /// Only of the specimen whose id stands in this file; `-` reads it from standard input.
    #[arg(long, value_name = "FILE")]
    specimen_from: Option<PathBuf>,
    /// Only from this time on: 2026-11-28T08:00:00+02:00, 2026-11-28 08:00, 2026-11-28,
    /// 08:00 (today), 30m, 2h or 3d (ago). Without an offset it is a time of the gateway's zone.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only up to this time, which is included; a day alone is included whole.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many, the newest.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(LIMITS))]
    limit: u64,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &RecordsArguments) -> Result<(), Failed> {
    let file = arguments.path.read()?;
    let asked = look_up(arguments, &file)?;
    let device = asked.device.clone();
    let records = ask(&file, asked)?;
    if arguments.json {
        say(&serde_json::to_string(&records).map_err(Failed::one)?);
    } else {
        table(&records);
        let known = |name: &String| file.device.iter().any(|one| one.name == *name);
        if let Some(name) = device.filter(|name| records.records.is_empty() && !known(name)) {
            say(&format!("no device {name} stands in the configuration"));
        }
    }
    whole(&records)
}

/// Asks the daemon of this configuration.
pub(super) fn ask(file: &ConfigurationFile, asked: LookUp) -> Result<Records, Failed> {
    let socket = &file.gateway.socket;
    let answer = status::look_up(socket, asked).map_err(|error| {
        Failed::one(format!("no daemon answers on {}: {error}", socket.display()))
    })?;
    answer.map_err(Failed::one)
}

/// An answer that leaves something out is no success.
pub(super) fn whole(records: &Records) -> Result<(), Failed> {
    let Records { complete_through, durable, rebuilding, .. } = records;
    if !rebuilding {
        return Ok(());
    }
    Err(Failed::one(format!(
        "the index is being rebuilt: complete through record {complete_through} of {durable}. What \
         is newer is NOT in this answer: ask again later"
    )))
}

fn look_up(arguments: &RecordsArguments, file: &ConfigurationFile) -> Result<LookUp, Failed> {
    let stdin = |path: &Option<PathBuf>| path.as_deref() == Some(Path::new("-"));
    if stdin(&arguments.patient_from) && stdin(&arguments.specimen_from) {
        return Err(Failed::one("only one of --patient-from and --specimen-from can be -"));
    }
    let zone = match &file.gateway.time_zone {
        Some(name) => TimeZone::get(name)
            .map_err(|_| Failed::one(format!("time_zone {name:?} is no zone of the database")))?,
        None => TimeZone::UTC,
    };
    let now = Timestamp::now();
    let time = |option: &str, text: &Option<String>, end| {
        let read = |text: &String| times::read(text, end, &zone, now);
        let read = text.as_ref().map(read).transpose();
        read.map_err(|problem| Failed::one(format!("{option}: {problem}")))
    };
    let since_us = time("--since", &arguments.since, End::Since)?;
    let until_us = time("--until", &arguments.until, End::Until)?;
    if since_us.zip(until_us).is_some_and(|(since, until)| since > until) {
        return Err(Failed::one("--since is later than --until: no record can be in between"));
    }
    let identity = |option: &str, path: &Option<PathBuf>| {
        let read = |path: &PathBuf| identity(option, path);
        path.as_ref().map(read).transpose()
    };
    Ok(LookUp {
        kinds: arguments.kind.clone(),
        device: arguments.device.clone(),
        patient: identity("--patient-from", &arguments.patient_from)?,
        specimen: identity("--specimen-from", &arguments.specimen_from)?,
        since_us,
        until_us,
        limit: usize::try_from(arguments.limit).unwrap_or(ROWS_MAX),
    })
}

/// One line of a file or of standard input. What it says stands in no error.
fn identity(option: &str, path: &Path) -> Result<Identity, Failed> {
    let failed = |what: String| Failed::one(format!("{option} {}: {what}", path.display()));
    let mut text = String::new();
    let read = if path == Path::new("-") {
        let stdin = std::io::stdin();
        if stdin.is_terminal() {
            super::say_problem("the id, and then Enter:");
            stdin.read_line(&mut text).map(drop)
        } else {
            stdin.take(IDENTITY_BYTES_MAX).read_to_string(&mut text).map(drop)
        }
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(IDENTITY_BYTES_MAX).read_to_string(&mut text).map(drop))
    };
    read.map_err(|error| failed(error.to_string()))?;
    let text = text.trim();
    if text.is_empty() || text.lines().count() > 1 {
        return Err(failed("expected one line with one id".to_owned()));
    }
    Ok(Identity(text.to_owned()))
}

/// For people, newest first.
pub(super) fn table(records: &Records) {
    say(&format!("{:<27} {:<12} {:<20} {:<20} what", "time (UTC)", "kind", "device", "record"));
    records.records.iter().for_each(row);
    let count = records.records.len();
    let older = records.records.last().filter(|_| records.more);
    say(&match (count, older) {
        (0, _) if records.rebuilding => "nothing yet".to_owned(),
        (0, _) => "nothing".to_owned(),
        (_, None) => format!("{count} records"),
        (_, Some(last)) => {
            format!("{count} records; there may be older ones: --until {}", last.time)
        }
    });
    let Records { complete_through, durable, unreadable, rebuilding, .. } = records;
    if *unreadable > 0 {
        say(&format!("{unreadable} records cannot be read: they are damaged, or of another key"));
    }
    if !rebuilding && complete_through < durable {
        say(&format!("complete through record {complete_through}; the newest one is {durable}"));
    }
}

fn row(row: &RecordRow) {
    let RecordRow { record, time, kind, device, patient_stated, held, carried, what, .. } = row;
    let device = device.as_deref().unwrap_or("-");
    say(&format!("{time:<27} {kind:<12} {device:<20} {record:<20} {what}"));
    let mut more: Vec<String> = Vec::new();
    more.extend((!held.is_empty()).then(|| format!("held: {}", held.join(", "))));
    more.extend(patient_stated.then(|| "the device states a patient".to_owned()));
    more.extend(carried.then(|| "kept beyond its segment".to_owned()));
    if !more.is_empty() {
        say(&format!("    {}", more.join("; ")));
    }
}
