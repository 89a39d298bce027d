//! `wardgate explain RECORD-ID`: from a value in the core back to the bytes on the wire, through
//! the device file, the unit, the clock evidence and the association.

use std::path::Path;

use serde_json::Value as Json;

use super::{ConfigurationPath, Failed, say};
use crate::forward::stored::Stored;
use crate::gateway::configuration::ConfigurationFile;
use crate::gateway::record::WireHead;
use crate::gateway::replay::for_people;
use crate::gateway::waveforms;
use crate::journal::{Journal, Kind, Reader, Record};
use crate::vocabulary::{RecordId, Sequence};

/// How many bytes stand on one line of the dump.
const DUMP_BYTES: usize = 16;

#[derive(clap::Args)]
pub(super) struct ExplainArguments {
    /// The record's id, as the core knows it.
    record: String,
    #[command(flatten)]
    path: ConfigurationPath,
}

pub(super) fn run(arguments: &ExplainArguments) -> Result<(), Failed> {
    let id = RecordId::parse(&arguments.record).map_err(Failed::one)?;
    let config = &arguments.path.config;
    let text = std::fs::read_to_string(config)
        .map_err(|error| Failed::one(format!("{}: cannot be read: {error}", config.display())))?;
    let file: ConfigurationFile = toml::from_str(&text).map_err(Failed::one)?;
    let folder = file.gateway.data.join("journal");
    let keys = file.gateway.journal_keys().map_err(Failed::one)?;
    let open = |folder: &Path| match Journal::open_read_only_with(folder, keys.clone()) {
        Ok((reader, _)) => Ok(reader),
        Err(error) => Err(Failed::one(format!("{}: {error}", folder.display()))),
    };
    let mut reader = open(&folder)?;
    let waveforms = waveforms::folder(&file.gateway.data);
    if !id.is_of(reader.stream()) && waveforms.is_dir() {
        reader = open(&waveforms)?;
    }
    if !id.is_of(reader.stream()) {
        let stream = open(&folder)?.stream();
        return Err(Failed::one(format!("{id} is of another stream; this journal's is {stream}")));
    }
    let record = read(&mut reader, id.sequence())?;
    match record.kind {
        Kind::Observation => observation(&mut reader, &id, &record),
        Kind::Wire => {
            wire(&record, &[]);
            Ok(())
        }
        Kind::Gap
        | Kind::DeviceState
        | Kind::Association
        | Kind::Profile
        | Kind::Configuration
        | Kind::ClockStep
        | Kind::SetAside
        | Kind::Start
        | Kind::Stop
        | Kind::Carried
        | Kind::Destination
        | Kind::Manifest
        | Kind::Waveform
        | Kind::Audit
        | Kind::Other(_) => {
            say(&format!("record   {id} ({:?})", record.kind));
            say(&String::from_utf8_lossy(&record.payload));
            Ok(())
        }
        Kind::Register => {
            say(&format!("record   {id} (register): names a person, and is not shown"));
            Ok(())
        }
    }
}

fn read(reader: &mut Reader, sequence: Sequence) -> Result<Record, Failed> {
    match reader.read(sequence).map_err(Failed::one)? {
        Some(record) => Ok(record),
        None => {
            let first = reader.first();
            let what = format!("record {sequence} is not here: the oldest kept one is {first}");
            Err(Failed::one(what))
        }
    }
}

fn observation(reader: &mut Reader, id: &RecordId, record: &Record) -> Result<(), Failed> {
    let stored = Stored::from_bytes(&record.payload)
        .ok_or_else(|| Failed::one(format!("{id} holds no observation")))?;
    let data = Json::Object(stored.data);
    let text = |path: &str| match data.pointer(path) {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Null) | None => "-".to_owned(),
        Some(other) => other.to_string(),
    };
    say(&format!("record      {id}, an {} of {}", stored.kind.name(), stored.subject));
    say(&format!(
        "device file {} revision {} ({}), digest {}",
        text("/profile/id"),
        text("/profile/revision"),
        text("/profile_status"),
        text("/profile/digest")
    ));
    say(&format!("firmware    {}", text("/firmware")));
    say(&format!("mode        {}", text("/mode")));
    say(&format!(
        "device time {} = {} ({})",
        text("/times/device/as_written"),
        text("/times/device/utc"),
        text("/times/device/evidence")
    ));
    say(&format!(
        "received    {} (clock {})",
        text("/times/received/utc"),
        text("/times/received/clock")
    ));
    say(&format!("corrected   {}", text("/times/corrected")));
    say(&format!("chart time  {} by rule {}", text("/times/chart/utc"), text("/times/chart/rule")));
    say(&format!(
        "whose       patient {}, place {} by {}",
        text("/patient_absent"),
        text("/association/place"),
        text("/association/grade")
    ));
    if data.get("held").is_some() {
        say(&format!("held        {}", text("/held")));
    }
    if data.get("names").is_some() {
        say(&format!("names       {}", text("/names")));
    }
    say(&format!("routed to   {:?}", stored.routes.keys().collect::<Vec<_>>()));
    let mut marks: Vec<(usize, usize)> = Vec::new();
    for metric in data.get("metrics").and_then(Json::as_array).into_iter().flatten() {
        say(&format!("  {}", for_people(metric)));
        let bound = |index: usize| {
            let number = metric.pointer(&format!("/at/{index}")).and_then(Json::as_u64);
            number.and_then(|number| usize::try_from(number).ok())
        };
        marks.extend(bound(0).zip(bound(1)));
    }
    let sequence = data.get("wire").and_then(Json::as_u64).and_then(Sequence::new);
    let sequence = sequence.ok_or_else(|| Failed::one("the record names no wire record"))?;
    let source = read(reader, sequence)?;
    wire(&source, &marks);
    Ok(())
}

/// The bytes as they came, those of values in brackets.
fn wire(record: &Record, marks: &[(usize, usize)]) {
    let Some((head, raw)) = WireHead::split(&record.payload) else {
        say("the wire record has no readable head");
        return;
    };
    say("");
    say(&format!(
        "wire        record {}, {} bytes, session {}",
        record.sequence,
        raw.len(),
        head.session
    ));
    for refused in &head.refusals {
        say(&format!("refused     {refused}"));
    }
    let marked = |at: usize| marks.iter().any(|(from, to)| (*from..*to).contains(&at));
    for (line, bytes) in raw.chunks(DUMP_BYTES).enumerate() {
        let from = line * DUMP_BYTES;
        let mut hex = String::new();
        let mut text = String::new();
        for (index, byte) in bytes.iter().enumerate() {
            let mark = if marked(from + index) { '*' } else { ' ' };
            hex.push_str(&format!("{mark}{byte:02x}"));
            text.push(if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' });
        }
        say(&format!("{from:06x} {hex:<48}  {text}"));
    }
    say("(* marks the bytes of values)");
}
