//! `wardgate journal status | verify | export`: what is on the disk, also while the daemon runs. It
//! changes nothing.

use clap::Subcommand;
use serde_json::{Value as Json, json};

use super::{ConfigurationPath, Failed, say};
use crate::gateway::configuration::ConfigurationFile;
use crate::gateway::record::WireHead;
use crate::journal::{Journal, Kind, Reader, Record};
use crate::vocabulary::Sequence;
use crate::vocabulary::moment::utc_text;

/// How much is read at a time.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 4 << 20;

#[derive(Subcommand)]
pub(super) enum JournalVerb {
    /// Stream, segments and the range of sequences.
    Status(ConfigurationPath),
    /// Reads everything; exit code 0 only if every record is whole and in its place.
    Verify(ConfigurationPath),
    /// Every record as one line of JSON; raw bytes in hexadecimal. Holds patient data.
    Export {
        #[command(flatten)]
        path: ConfigurationPath,
        /// The first sequence.
        #[arg(long)]
        from: Option<u64>,
        /// The last sequence.
        #[arg(long)]
        to: Option<u64>,
    },
}

pub(super) fn run(verb: &JournalVerb) -> Result<(), Failed> {
    match verb {
        JournalVerb::Status(path) => status(&mut open(path)?),
        JournalVerb::Verify(path) => verify(&mut open(path)?),
        JournalVerb::Export { path, from, to } => export(&mut open(path)?, *from, *to),
    }
}

fn open(path: &ConfigurationPath) -> Result<Reader, Failed> {
    let file = path.config.display();
    let text = std::fs::read_to_string(&path.config)
        .map_err(|error| Failed::one(format!("{file}: cannot be read: {error}")))?;
    let parsed: ConfigurationFile = toml::from_str(&text).map_err(|error| {
        let problem = crate::profile::Problem::of_toml(&text, &error);
        Failed::one(problem.in_file(&file.to_string(), &text))
    })?;
    let folder = parsed.gateway.data.join("journal");
    let (reader, _) = Journal::open_read_only(&folder)
        .map_err(|error| Failed::one(format!("{}: {error}", folder.display())))?;
    Ok(reader)
}

fn status(reader: &mut Reader) -> Result<(), Failed> {
    let last = reader.durable().map_or(0, Sequence::number);
    say(&format!("stream    {}", reader.stream()));
    say(&format!("segments  {}", reader.segments().len()));
    say(&format!("records   {} to {last}", reader.first()));
    for (name, sequence) in [("oldest", Some(reader.first())), ("newest", Sequence::new(last))] {
        let Some(sequence) = sequence else { continue };
        if let Some(record) = reader.read(sequence).map_err(Failed::one)? {
            say(&format!("{name}    {} ({})", utc_text(record.time_us), name_of(record.kind)));
        }
    }
    Ok(())
}

fn verify(reader: &mut Reader) -> Result<(), Failed> {
    let found = reader.verify().map_err(Failed::one)?;
    say(&format!("{} records are whole", found.records));
    let mut problems = Vec::new();
    for missing in &found.missing {
        problems.push(format!("records {} to {} cannot be read", missing.start(), missing.end()));
    }
    for sequence in &found.chain_breaks {
        problems.push(format!("record {sequence} does not follow the one before it"));
    }
    if problems.is_empty() { Ok(()) } else { Err(Failed(problems)) }
}

fn export(reader: &mut Reader, from: Option<u64>, to: Option<u64>) -> Result<(), Failed> {
    let first = reader.first();
    let mut next = from.and_then(Sequence::new).map_or(first, |from| from.max(first));
    let last = to.unwrap_or(u64::MAX);
    loop {
        let read = reader.read_from(next, READ_RECORDS, READ_BYTES).map_err(Failed::one)?;
        if read.next == next {
            return Ok(());
        }
        for record in &read.records {
            if record.sequence.number() > last {
                return Ok(());
            }
            say(&line(record).to_string());
        }
        next = read.next;
    }
}

fn line(record: &Record) -> Json {
    let mut line = serde_json::Map::new();
    let mut put = |key: &str, value: Json| {
        line.insert(key.to_owned(), value);
    };
    put("sequence", json!(record.sequence));
    put("kind", json!(name_of(record.kind)));
    put("time", json!(utc_text(record.time_us)));
    match WireHead::split(&record.payload).filter(|_| record.kind == Kind::Wire) {
        Some((head, raw)) => {
            let raw: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
            put("head", json!(head));
            put("raw", json!(raw));
        }
        None => {
            let text = || json!(String::from_utf8_lossy(&record.payload));
            put("payload", serde_json::from_slice(&record.payload).unwrap_or_else(|_| text()));
        }
    }
    Json::Object(line)
}

fn name_of(kind: Kind) -> String {
    match kind {
        Kind::Wire => "wire".to_owned(),
        Kind::Observation => "observation".to_owned(),
        Kind::Gap => "gap".to_owned(),
        Kind::DeviceState => "device-state".to_owned(),
        Kind::Association => "association".to_owned(),
        Kind::Profile => "profile".to_owned(),
        Kind::Configuration => "configuration".to_owned(),
        Kind::ClockStep => "clock-step".to_owned(),
        Kind::SetAside => "set-aside".to_owned(),
        Kind::Start => "start".to_owned(),
        Kind::Stop => "stop".to_owned(),
        Kind::Carried => "carried".to_owned(),
        Kind::Manifest => "manifest".to_owned(),
        Kind::Other(code) => format!("kind-{code}"),
    }
}
