//! `wardgate journal status | verify | export | salvage | new-key`: what is on the disk, also while
//! the daemon runs. It changes nothing there.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value as Json, json};

use super::{ConfigurationPath, Failed, say};
use crate::gateway::configuration::ConfigurationFile;
use crate::gateway::record::WireHead;
use crate::gateway::waveforms;
use crate::journal::{BoxKey, Damage, Error, Journal, Keys, Kind, Reader, Record, Recovery};
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{Sequence, StreamId};

/// How much is read at a time.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 4 << 20;

/// Which journal, and what opens its records.
#[derive(clap::Args)]
pub(super) struct Where {
    #[command(flatten)]
    path: ConfigurationPath,
    /// The journal's folder, without a configuration: a copied disk, or a stream that was set
    /// aside.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// A key file; may be given several times. Without one, those of the configuration.
    #[arg(long = "key-file", value_name = "FILE")]
    key_files: Vec<PathBuf>,
}

#[derive(Subcommand)]
pub(super) enum JournalVerb {
    /// Stream, segments, range of sequences, and what is damaged.
    Status(Where),
    /// Reads everything; exit code 0 only if every byte is as it was written. Needs no key.
    Verify(Where),
    /// Asks the running daemon to send records to a destination again, byte for byte.
    Resend(super::destination::Resend),
    /// Every record as one line of JSON; raw bytes in hexadecimal. Holds patient data.
    Export {
        #[command(flatten)]
        place: Where,
        /// The first sequence.
        #[arg(long)]
        from: Option<u64>,
        /// The last sequence.
        #[arg(long)]
        to: Option<u64>,
    },
    /// Writes every record that can still be read into a new journal folder, each under its own
    /// number, and changes nothing in the old one. Encrypted records stay encrypted.
    Salvage {
        #[command(flatten)]
        place: Where,
        /// The folder to make; it must not hold a journal.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// The stream, where no segment says it any more: 32 hexadecimal digits.
        #[arg(long)]
        stream: Option<String>,
    },
    /// Writes a new key into a file that only its owner can read. It is not shown.
    NewKey {
        /// The file to make; it must not be there yet.
        file: PathBuf,
    },
}

pub(super) fn run(verb: &JournalVerb) -> Result<(), Failed> {
    match verb {
        JournalVerb::Status(place) => both(place, status),
        JournalVerb::Verify(place) => both(place, verify),
        JournalVerb::Export { place, from, to } => {
            let (mut reader, _) = place.open(place.keys()?)?;
            export(&mut reader, *from, *to)
        }
        JournalVerb::Salvage { place, to, stream } => salvage(place, to, stream.as_deref()),
        JournalVerb::NewKey { file } => new_key(file),
        JournalVerb::Resend(arguments) => super::destination::resend(arguments),
    }
}

impl Where {
    fn folder(&self) -> Result<PathBuf, Failed> {
        match &self.folder {
            Some(folder) => Ok(folder.clone()),
            None => Ok(self.configuration()?.gateway.data.join("journal")),
        }
    }

    /// The same with another folder: the configuration's keys, unless others were named.
    fn at(&self, folder: PathBuf) -> Self {
        let path = ConfigurationPath { config: self.path.config.clone() };
        Self { path, folder: Some(folder), key_files: self.key_files.clone() }
    }

    fn configuration(&self) -> Result<ConfigurationFile, Failed> {
        let file = self.path.config.display();
        let text = std::fs::read_to_string(&self.path.config)
            .map_err(|error| Failed::one(format!("{file}: cannot be read: {error}")))?;
        toml::from_str(&text).map_err(|error| {
            let problem = crate::profile::Problem::of_toml(&text, &error);
            Failed::one(problem.in_file(&file.to_string(), &text))
        })
    }

    fn keys(&self) -> Result<Keys, Failed> {
        if self.key_files.is_empty() && self.folder.is_none() {
            return self.configuration()?.gateway.journal_keys().map_err(Failed::one);
        }
        let read = |file: &PathBuf| {
            BoxKey::read(file)
                .map_err(|problem| Failed::one(format!("{}: {problem}", file.display())))
        };
        let previous = self.key_files.iter().map(read).collect::<Result<_, _>>()?;
        Ok(Keys { current: None, previous })
    }

    fn open(&self, keys: Keys) -> Result<(Reader, Recovery), Failed> {
        let folder = self.folder()?;
        Journal::open_read_only_with(&folder, keys)
            .map_err(|error| Failed::one(format!("{}: {error}", folder.display())))
    }

    /// With the keys that were named; without any where they are not there, because what is asked
    /// needs none. What was not done for want of a key is said.
    fn open_with_keys_at_hand(&self) -> Result<(Reader, Recovery), Failed> {
        let keys = if self.key_files.is_empty() { Ok(Keys::default()) } else { self.keys() };
        self.open(keys?)
    }
}

/// The journal, and that of waveforms if there is one.
fn both(place: &Where, verb: fn(&Where) -> Result<(), Failed>) -> Result<(), Failed> {
    verb(place)?;
    if place.folder.is_some() {
        return Ok(());
    }
    let folder = waveforms::folder(&place.configuration()?.gateway.data);
    if folder.is_dir() {
        say("");
        say(&format!("waveforms {}", folder.display()));
        verb(&place.at(folder))?;
    }
    Ok(())
}

fn status(place: &Where) -> Result<(), Failed> {
    let (mut reader, recovery) = place.open_with_keys_at_hand()?;
    let last = reader.durable().map_or(0, Sequence::number);
    say(&format!("stream    {}", reader.stream()));
    say(&format!("segments  {}", reader.segments().len()));
    say(&format!("records   {} to {last}", reader.first()));
    for (name, sequence) in [("oldest", Some(reader.first())), ("newest", Sequence::new(last))] {
        let Some(sequence) = sequence else { continue };
        match reader.read(sequence) {
            Ok(Some(record)) => {
                let kind = name_of(record.kind);
                say(&format!("{name}    {} ({kind})", utc_text(record.time_us)));
            }
            Ok(None) => {}
            Err(Error::NeedsKey { needs, .. }) => say(&format!("{name}    needs key {needs}")),
            Err(error) => return Err(Failed::one(error)),
        }
    }
    let keys: Vec<String> = reader.key_ids().iter().map(ToString::to_string).collect();
    if keys.is_empty() {
        say("keys      none: not encrypted");
    } else {
        say(&format!("keys      {}", keys.join(", ")));
    }
    if recovery.torn_bytes > 0 {
        say(&format!("unfinished at the end: {} bytes", recovery.torn_bytes));
    }
    recovery.damaged.iter().for_each(|damage| say(&format!("DAMAGE    {}", words(damage))));
    Ok(())
}

fn verify(place: &Where) -> Result<(), Failed> {
    let (mut reader, recovery) = place.open_with_keys_at_hand()?;
    let found = reader.verify().map_err(Failed::one)?;
    say(&format!("{} records are whole", found.records));
    if found.leftover_bytes + recovery.torn_bytes > 0 {
        let bytes = found.leftover_bytes + recovery.torn_bytes;
        say(&format!("{bytes} bytes belong to no record: commits that did not come to their end"));
    }
    let mut problems: Vec<String> = recovery.damaged.iter().map(words).collect();
    problems.extend(found.damaged.iter().map(ToString::to_string));
    for missing in &found.missing {
        problems.push(format!("records {} to {} cannot be read", missing.start(), missing.end()));
    }
    for sequence in &found.chain_breaks {
        problems.push(format!("record {sequence} does not follow the one before it"));
    }
    for sequence in &found.key_faults {
        problems.push(Error::KeyFault(*sequence).to_string());
    }
    if problems.is_empty() { Ok(()) } else { Err(Failed(problems)) }
}

fn words(damage: &Damage) -> String {
    match damage {
        Damage::SegmentMissing { number } => format!("{number:016x}.segment is not there"),
        Damage::SegmentUnreadable { number } => {
            format!("{number:016x}.segment holds no record of this journal")
        }
        Damage::HeaderLost { number } => {
            format!("{number:016x}.segment has lost its header; its records are read without it")
        }
        Damage::RecordsMissing(lost) => {
            format!("records {} to {} of the last segment are lost", lost.start(), lost.end())
        }
        Damage::EndMissing { known } => format!("records up to {known} were once here"),
        Damage::EndCut { number } => {
            format!("{number:016x}.segment is shorter than it was made: what followed is lost")
        }
    }
}

fn salvage(place: &Where, to: &Path, stream: Option<&str>) -> Result<(), Failed> {
    let stream = stream.map(StreamId::parse).transpose().map_err(Failed::one)?;
    let from = place.folder()?;
    let salvaged = Journal::salvage(&from, to, stream)
        .map_err(|error| Failed::one(format!("{}: {error}", from.display())))?;
    let (records, segments) = (salvaged.records, salvaged.segments);
    say(&format!("{records} records in {segments} segments written to {}", to.display()));
    salvaged.found.iter().for_each(|damage| say(&words(damage)));
    salvaged.damaged.iter().for_each(|range| say(&range.to_string()));
    Ok(())
}

fn new_key(file: &Path) -> Result<(), Failed> {
    let key = BoxKey::random().map_err(Failed::one)?;
    write_key(file, &key)
        .map_err(|error| Failed::one(format!("{}: not written: {error}", file.display())))?;
    say(&format!("key {} written to {}", key.id(), file.display()));
    Ok(())
}

fn write_key(file: &Path, key: &BoxKey) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let mut made = options.write(true).create_new(true).mode(0o600).open(file)?;
    made.write_all(key.file_text().as_bytes())?;
    made.sync_all()
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
            put("head", json!(head));
            put("raw", json!(hexadecimal(raw)));
        }
        None => match (serde_json::from_slice(&record.payload), str::from_utf8(&record.payload)) {
            (Ok(payload), _) => put("payload", payload),
            (Err(_), Ok(text)) => put("payload", json!(text)),
            // A checkpoint.
            (Err(_), Err(_)) => put("payload_bytes", json!(hexadecimal(&record.payload))),
        },
    }
    Json::Object(line)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
        Kind::Destination => "destination".to_owned(),
        Kind::Manifest => "manifest".to_owned(),
        Kind::Waveform => "waveform".to_owned(),
        Kind::Audit => "audit".to_owned(),
        Kind::Register => "register".to_owned(),
        Kind::Other(code) => format!("kind-{code}"),
    }
}
