//! The journal: the box's one source of truth on disk. Append, read, free; nothing else.
//!
//! It keeps batches of records whole or not at all, gives every record a gap-free [`Sequence`],
//! and shows a record to readers only after `fdatasync` has said that it is on stable storage.
//! It must not look into payloads, decide what is freed, or retry a failed sync: the kernel drops
//! the pages of a failed one, so a second sync proves nothing (`facts/reliability.md` 2.1).
//!
//! # Files
//! A folder with `lock` and segments `<number, 16 hex digits>.segment`, each preallocated. A
//! segment is made as `.new`, filled, synced and renamed, so one with its proper name is whole.
//! **A segment counts only up to the first sequence of the next one**: that is how recovery
//! supersedes a tail that it could not prove, without touching the old file.
//!
//! # Segment header, 4096 bytes, little-endian
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `WARDGATE` |
//! | 8 | 2 | format version, 2 |
//! | 10 | 2 | flags, 0 |
//! | 12 | 4 | header length, 4096 |
//! | 16 | 16 | stream |
//! | 32 | 8 | segment number, from 1 |
//! | 40 | 8 | first sequence |
//! | 48 | 16 | tag of the record before the first one (zero at the start of a stream) |
//! | 64 | 32 | salt of the segment's key (zero: not encrypted) |
//! | 96 | 8 | offset of the checkpoint (zero: none) |
//! | 104 | 8 | length of the checkpoint (zero: none) |
//! | 112 | 8 | number of the segment before it, zero for none (removed empty ones leave holes) |
//! | 120 | 4 | reserved, zero |
//! | 124 | 4 | CRC-32 of bytes 0 to 123; so far every version has the same |
//! | 128 | 8 | size of the file as it was made; cut only when a later segment is durable |
//! | 136 | 8 | id of the box key |
//! | 144 | 32 | salt of the segment before |
//! | 176 | 8 | id of the box key of the segment before |
//! | 184 | 68 | zero |
//! | 252 | 4 | CRC-32 of bytes 0 to 251 |
//! | 256 | 1792 | zero |
//! | 2048 | 256 | bytes 0 to 255 again |
//! | 2304 | 1792 | zero |
//!
//! Version 1 ends at byte 127; it is read, and continued in a segment of version 2.
//!
//! # Record: header of 96 bytes, payload, zeros to a multiple of 8
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `WGRC`: a reader finds its feet again at the next one |
//! | 4 | 1 | header version, 1 |
//! | 5 | 1 | flags; bit 0: payload encrypted |
//! | 6 | 2 | header length, 96 |
//! | 8 | 2 | kind |
//! | 10 | 2 | index in its batch, from 0 |
//! | 12 | 2 | records in its batch |
//! | 14 | 2 | reserved, zero |
//! | 16 | 8 | sequence |
//! | 24 | 8 | time, microseconds since 1970 UTC |
//! | 32 | 8 | durable through: every sequence up to this one was synced before this was written |
//! | 40 | 4 | payload length as stored |
//! | 44 | 4 | CRC-32 of the payload as stored |
//! | 48 | 16 | tag of the record before |
//! | 64 | 24 | nonce (zero: not encrypted) |
//! | 88 | 4 | reserved, zero |
//! | 92 | 4 | CRC-32 of the stream's 16 bytes and then bytes 0 to 91 |
//!
//! **Encrypted** payloads are XChaCha20-Poly1305's ciphertext and then its 16 bytes of tag; the
//! associated data are bytes 0 to 91 of the header with bytes 44 to 47 as zeros. CRCs cover what is
//! stored, so checking needs no key. Which key: `keys.rs`. All records of a segment with a salt are
//! encrypted, and none of one without.
//!
//! A record's **tag** is the last 16 bytes of an encrypted payload. Of one that is not encrypted it
//! is the first 16 bytes of SHA-256 over bytes 0 to 91 of its header, which hold the payload's CRC.
//! A record does not name its segment, so recovery can copy it byte for byte, into a segment with
//! the same salt, and the chain of tags still holds.
//!
//! # After a failure
//! The door shuts: every later batch gets [`NotKept`], reading goes on. What was not proven durable
//! is copied and synced when the journal is opened anew, so opening it is the way back.
//!
//! **The daemon does that by ending with an error and being started again.** Its service manager
//! waits in between. Opening in the same process works, once the [`Appender`] is closed, but every
//! [`Reader`] belongs to the opening that it came from: an old one shows the old door, stays at its
//! last durable record, and may fail once a segment that it knows is freed. What the daemon
//! remembers may also be ahead of what was kept. Starting again rebuilds all of it on the path that
//! every start takes.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::vocabulary::{Sequence, StreamId};
use format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use keys::{RecordKey, Seal};

mod appender;
mod format;
mod keys;
mod reader;
mod recovery;
mod salvage;
mod scan;
mod scrub;
mod storage;
mod survey;
mod tail;
mod walk;
mod writer;

#[cfg(test)]
pub(crate) mod memory;
#[cfg(test)]
pub(crate) mod simulated;
#[cfg(test)]
mod tests;

pub use appender::{Appender, Refused};
pub use keys::{BoxKey, KeyId, KeyProblem, Keys};
pub use reader::{Read, Reader, SegmentAge, Verification};
pub use recovery::{Damage, Recovery};
pub use salvage::Salvaged;
pub use scan::DamagedRange;
pub use scrub::{Scrub, ScrubCounters, ScrubPace, ScrubStep, ScrubThread, give_way};
pub use storage::{Disk, Storage, beside};

/// What a record is. Numbers that this version does not know stay readable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The raw bytes of one message, as they came.
    Wire,
    /// What the message says, in our words.
    Observation,
    /// A span of time or sequences in which data could not be had.
    Gap,
    /// A device or its link changed state.
    DeviceState,
    /// Who was on a device, from when to when.
    Association,
    /// A flattened profile, once per digest.
    Profile,
    /// A configuration that took effect.
    Configuration,
    /// The box's own clock was stepped.
    ClockStep,
    /// A record that a destination rejected for good.
    SetAside,
    /// The daemon started.
    Start,
    /// The daemon stopped in order.
    Stop,
    /// What later records lean on, written again before segments are freed.
    Carried,
    /// What a destination must have, signed.
    Manifest,
    /// What a person asked of a destination: send again, retire.
    Destination,
    /// Samples of a device; in the waveforms' own journal only.
    Waveform,
    /// What a person did or was refused, for the audit; never leaves the box.
    Audit,
    /// What the patient administration says of a person, or another system of an association;
    /// never leaves the box.
    Register,
    /// A kind of a later version.
    Other(u16),
}

impl Kind {
    /// The number on disk.
    pub const fn code(self) -> u16 {
        match self {
            Kind::Wire => 1,
            Kind::Observation => 2,
            Kind::Gap => 3,
            Kind::DeviceState => 4,
            Kind::Association => 5,
            Kind::Profile => 6,
            Kind::Configuration => 7,
            Kind::ClockStep => 8,
            Kind::SetAside => 9,
            Kind::Start => 10,
            Kind::Stop => 11,
            Kind::Carried => 12,
            Kind::Destination => 14,
            Kind::Manifest => 13,
            Kind::Waveform => 15,
            Kind::Audit => 16,
            Kind::Register => 17,
            Kind::Other(code) => code,
        }
    }

    /// From the number on disk.
    pub const fn from_code(code: u16) -> Self {
        match code {
            1 => Kind::Wire,
            2 => Kind::Observation,
            3 => Kind::Gap,
            4 => Kind::DeviceState,
            5 => Kind::Association,
            6 => Kind::Profile,
            7 => Kind::Configuration,
            8 => Kind::ClockStep,
            9 => Kind::SetAside,
            10 => Kind::Start,
            11 => Kind::Stop,
            12 => Kind::Carried,
            14 => Kind::Destination,
            13 => Kind::Manifest,
            15 => Kind::Waveform,
            16 => Kind::Audit,
            17 => Kind::Register,
            other => Kind::Other(other),
        }
    }
}

/// A record to be kept; the journal gives it its sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    pub kind: Kind,
    /// Microseconds since 1970 UTC.
    pub time_us: i64,
    pub payload: Vec<u8>,
}

/// A record as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub sequence: Sequence,
    pub kind: Kind,
    /// Microseconds since 1970 UTC.
    pub time_us: i64,
    /// Index in its batch, from 0.
    pub batch_index: u16,
    /// How many records its batch has; they follow each other without a gap.
    pub batch_records: u16,
    pub payload: Vec<u8>,
}

/// Where a failure happened, without any text that could carry data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{during} failed: {kind:?}")]
pub struct Failure {
    /// What was being done, for example "sync segment".
    pub during: &'static str,
    /// What the system answered.
    pub kind: io::ErrorKind,
}

/// Why the journal could not be opened or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another process writes to this folder.
    #[error("the journal is in use by another process")]
    InUse,
    /// The disk, or the room on it.
    #[error(transparent)]
    Storage(#[from] Failure),
    /// The record is whole, but its payload is encrypted, and no key was given that opens it.
    #[error("record {sequence} is encrypted with key {needs}, which was not given")]
    NeedsKey { sequence: Sequence, needs: KeyId },
    /// A segment is encrypted with another key than those given. Nothing was changed.
    #[error("segment {number} needs key {needs}, {}; nothing was changed", HasKey(*.has))]
    WrongKey { number: u64, needs: KeyId, has: Option<KeyId> },
    /// The record is whole, and its key does not open it: not damage, but a wrong key or bytes
    /// that somebody has altered. Nothing was changed.
    #[error("record {0} is whole, but its key does not open it: somebody has altered it")]
    KeyFault(Sequence),
    /// A later version of this program wrote the segment. Nothing was changed.
    #[error("segment {number} is of format {version}, which needs a later version of wardgate")]
    Newer { number: u64, version: u16 },
    /// Salvage writes into an empty folder only.
    #[error("the folder to salvage into is not empty")]
    NotEmpty,
    /// The system gave no random bytes for a stream id.
    #[error("no random bytes for a new stream")]
    NoRandom,
    /// No segment could be read as one.
    #[error("no readable segment in this folder")]
    NothingThere,
}

/// The second half of "needs key X, has key Y".
struct HasKey(Option<KeyId>);

impl std::fmt::Display for HasKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(key) => write!(f, "has key {key}"),
            None => write!(f, "and no key was given"),
        }
    }
}

/// Why a batch that was handed over is not kept. Its device must not be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotKept {
    /// Writing or syncing failed, here or in an earlier batch: the door is shut.
    #[error("not kept: {0}")]
    Failed(Failure),
    /// The journal was closed before the batch was written.
    #[error("not kept: the journal is closed")]
    Closed,
}

/// Whether batches are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// Batches are taken.
    Open,
    /// A write or a sync failed; only opening the journal anew opens the door again.
    Shut(Failure),
    /// The appender was closed in order.
    Closed,
}

/// Called with the fate of a batch, on the journal's own thread: it must be quick.
pub type Done = Box<dyn FnOnce(Result<(), NotKept>) + Send>;

/// Called after every commit with the last durable sequence (`None`: nothing is durable yet), and
/// once more when the door shuts. On the journal's own thread: it must be quick.
pub type OnDurable = Arc<dyn Fn(Option<Sequence>) + Send + Sync>;

/// The size of a segment: large enough that rolling is rare, small enough to free room soon.
pub const SEGMENT_BYTES: u64 = 8 << 20;
/// The smallest segment that still holds a useful message in its half.
pub const SEGMENT_BYTES_MIN: u64 = 16 << 10;
/// How much may wait for the writer: about a second of a slow card's writing.
pub const WAITING_BYTES_MAX: usize = 8 << 20;

/// How often a tool looks again at a folder that changes under it.
const LOOKS_MAX: u32 = 5;

/// How the journal is opened.
#[derive(Clone)]
pub struct Options {
    /// Size of new segments; at least [`SEGMENT_BYTES_MIN`].
    pub segment_bytes: u64,
    /// How many bytes may wait for the writer before [`Appender::try_append`] says full.
    pub waiting_bytes_max: usize,
    /// The highest sequences that somebody outside is known to have seen (the cursors' highest
    /// sent). A journal that ends before one of its own stream has lost its tail and starts a new
    /// stream.
    pub highest_known: Vec<(StreamId, Sequence)>,
    /// What new segments are encrypted with, and what opens older ones.
    pub keys: Keys,
    /// Told after each commit.
    pub on_durable: OnDurable,
    /// The least time between two commits: what comes meanwhile waits for the next one. Nobody is
    /// acknowledged for what a journal with a pace keeps. Closing does not wait, nor does
    /// [`Appender::hurry`].
    pub pace: Option<Duration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            waiting_bytes_max: WAITING_BYTES_MAX,
            highest_known: Vec::new(),
            keys: Keys::default(),
            on_durable: Arc::new(|_| ()),
            pace: None,
        }
    }
}

/// What [`Journal::open`] gives.
pub struct Opened {
    /// The only writer.
    pub appender: Appender,
    /// A reader; clone it for each that reads.
    pub reader: Reader,
    /// What was found on the disk.
    pub recovery: Recovery,
}

/// Opens journals.
///
/// ```
/// use wardgate::journal::{Journal, Kind, NewRecord, Options};
/// use wardgate::vocabulary::Sequence;
/// let folder = std::env::temp_dir().join(format!("journal-example-{}", std::process::id()));
/// let mut opened = Journal::open(&folder, Options::default()).unwrap();
/// let (told, durable) = std::sync::mpsc::channel();
/// let record = NewRecord { kind: Kind::Wire, time_us: 0, payload: b"SpO2 97".to_vec() };
/// let first = opened
///     .appender
///     .try_append(vec![record], Box::new(move |fate| drop(told.send(fate))))
///     .unwrap();
/// durable.recv().unwrap().expect("on stable storage");
/// let read = opened.reader.read_from(first, 10, 1 << 20).unwrap();
/// assert_eq!(read.records[0].payload, b"SpO2 97");
/// assert_eq!(first, Sequence::FIRST);
/// # opened.appender.close();
/// # std::fs::remove_dir_all(folder).unwrap();
/// ```
pub struct Journal;

impl Journal {
    /// Opens or makes the journal in `folder` and takes its lock. Reads the headers of all
    /// segments and the tail of the last; writing continues in a new segment.
    pub fn open(folder: &Path, options: Options) -> Result<Opened, Error> {
        let disk = Disk::open(folder).map_err(failure("open folder"))?;
        let lock = disk.lock_file().map_err(failure("open lock file"))?;
        match lock.try_lock() {
            Ok(()) => Self::open_on(Arc::new(disk), options, Some(lock)),
            Err(TryLockError::WouldBlock) => Err(Error::InUse),
            Err(TryLockError::Error(error)) => Err(failure("lock folder")(error).into()),
        }
    }

    /// Reads a journal without its lock and without changing anything, also while a daemon writes
    /// to it. Shows every whole batch that stood there at this moment, synced or not.
    ///
    /// Encrypted payloads cannot be read so; [`Reader::verify`] needs no key.
    pub fn open_read_only(folder: &Path) -> Result<(Reader, Recovery), Error> {
        Self::open_read_only_with(folder, Keys::default())
    }

    /// As [`Journal::open_read_only`], with keys for the payloads.
    pub fn open_read_only_with(folder: &Path, keys: Keys) -> Result<(Reader, Recovery), Error> {
        Self::look_in(folder, keys, recovery::Upto::Whole)
    }

    /// As [`Journal::open_read_only_with`], and shows only what a later record proves to be on
    /// stable storage: what a daemon may deliver that cannot open the journal for writing.
    /// Everything that is shown here keeps its sequence, whatever the next opening finds at the
    /// end.
    pub fn open_proven(folder: &Path, keys: Keys) -> Result<(Reader, Recovery), Error> {
        Self::look_in(folder, keys, recovery::Upto::Proven)
    }

    fn look_in(
        folder: &Path,
        keys: Keys,
        upto: recovery::Upto,
    ) -> Result<(Reader, Recovery), Error> {
        let disk: Arc<dyn Storage> =
            Arc::new(Disk::open_existing(folder).map_err(failure("open folder"))?);
        // The folder of a stream that was set aside says which it was.
        let name = folder.file_name().and_then(|name| name.to_str());
        let stream = name.and_then(|name| StreamId::parse(name.strip_prefix("stream-")?).ok());
        Self::look(&disk, &keys, stream.as_slice(), upto)
    }

    /// Writes every record that can still be read in `from` into a new journal in the empty folder
    /// `to`, as it is stored and with its own stream and sequence. Needs no key, and changes
    /// nothing in `from`. `stream` is looked for where no header can be read.
    pub fn salvage(from: &Path, to: &Path, stream: Option<StreamId>) -> Result<Salvaged, Error> {
        let name = from.file_name().and_then(|name| name.to_str());
        let named = name.and_then(|name| StreamId::parse(name.strip_prefix("stream-")?).ok());
        let candidates: Vec<StreamId> = stream.into_iter().chain(named).collect();
        let disk: Arc<dyn Storage> =
            Arc::new(Disk::open_existing(from).map_err(failure("open folder"))?);
        let (reader, recovery) =
            Self::look(&disk, &Keys::default(), &candidates, recovery::Upto::Whole)?;
        let into = Disk::open(to).map_err(failure("make folder"))?;
        salvage::salvage(&reader, recovery, &into)
    }

    fn look(
        disk: &Arc<dyn Storage>,
        keys: &Keys,
        candidates: &[StreamId],
        upto: recovery::Upto,
    ) -> Result<(Reader, Recovery), Error> {
        let mut tries = 1;
        loop {
            match recovery::look_upto(Arc::clone(disk), keys.clone(), candidates, upto) {
                // The daemon freed a segment between listing and reading: look again.
                Err(Error::Storage(Failure { kind: io::ErrorKind::NotFound, .. }))
                    if tries < LOOKS_MAX =>
                {
                    tries += 1;
                }
                Err(error) => return Err(error),
                Ok((shared, recovery)) => return Ok((Reader::new(Arc::new(shared)), recovery)),
            }
        }
    }

    /// As [`Journal::open_proven`], on any storage.
    #[cfg(test)]
    pub(crate) fn open_proven_on(storage: Arc<dyn Storage>, keys: Keys) -> Result<Reader, Error> {
        Ok(Self::look(&storage, &keys, &[], recovery::Upto::Proven)?.0)
    }

    /// As [`Journal::open`], on any storage.
    pub(crate) fn open_on(
        storage: Arc<dyn Storage>,
        options: Options,
        lock: Option<File>,
    ) -> Result<Opened, Error> {
        let (writer, recovery) = recovery::recover(storage, &options)?;
        let reader = Reader::new(writer.shared());
        let appender = Appender::start(writer, &options, lock)?;
        Ok(Opened { appender, reader, recovery })
    }
}

/// One segment as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number, which is its file name.
    pub number: u64,
    /// The first sequence that it may hold.
    pub first: Sequence,
    /// Where its readable bytes end.
    end: u64,
    /// How its records are encrypted.
    seal: Option<Seal>,
}

impl Segment {
    fn of(header: &SegmentHeader, first: Sequence) -> Self {
        let end = SEGMENT_HEADER_BYTES;
        Self { number: header.number, first, end, seal: header.seal }
    }

    /// The file's name in the folder.
    pub fn file_name(&self) -> String {
        storage::segment_name(self.number)
    }
}

/// What the writer and all readers share.
pub(crate) struct Shared {
    storage: Arc<dyn Storage>,
    stream: StreamId,
    /// The last durable sequence; 0 for none.
    durable: Arc<AtomicU64>,
    /// Batches that were taken and whose fate was not told yet.
    waiting: AtomicUsize,
    /// Ascending by number; `first` never falls. Never empty.
    segments: Mutex<Vec<Segment>>,
    /// Files between them that hold no record any more.
    lost: Vec<Lost>,
    keys: Keys,
    door: Mutex<Door>,
}

/// A segment file that holds no record of the stream any more; of 0 bytes: it is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    number: u64,
    bytes: u64,
}

impl Shared {
    fn new(storage: Arc<dyn Storage>, keys: Keys, (stream, durable): (StreamId, u64)) -> Self {
        Self {
            storage,
            stream,
            durable: Arc::new(AtomicU64::new(durable)),
            waiting: AtomicUsize::new(0),
            segments: Mutex::new(Vec::new()),
            lost: Vec::new(),
            keys,
            door: Mutex::new(Door::Open),
        }
    }

    fn record_key(&self, header: &SegmentHeader) -> Option<RecordKey> {
        self.keys.record_key(self.stream, &header.seal?)
    }

    fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    fn segments(&self) -> std::sync::MutexGuard<'_, Vec<Segment>> {
        // The list is valid after each single change, so a panic elsewhere leaves it usable.
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn door(&self) -> Door {
        *self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_door(&self, door: Door) {
        *self.door.lock().unwrap_or_else(PoisonError::into_inner) = door;
    }

    /// The segment that holds `sequence` and the last sequence that counts in it.
    fn holding(&self, sequence: u64) -> Option<(Segment, u64)> {
        let segments = self.segments();
        let at = segments.iter().rposition(|segment| segment.first.number() <= sequence)?;
        let next = segments.get(at + 1).map(|next| next.first.number() - 1);
        Some((segments.get(at)?.clone(), next.unwrap_or(u64::MAX).min(self.durable())))
    }
}

pub(crate) fn failure(during: &'static str) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure { during, kind: error.kind() }
}

/// Sequences that are not there any more, first and last.
pub type Missing = RangeInclusive<u64>;
