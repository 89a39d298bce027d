//! What the house says of itself: counters that tasks keep, one snapshot, and the Unix socket on
//! which
//! `wardgate status` asks for it. No patient data ever stands in it.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::adt::AdtSnapshot;
use super::asked::{Answer, Ask, Desk};
use super::certificates::CertificateSnapshot;
use super::look_up::{LookUp, Records};
use super::pcim::PcimSnapshot;
use super::waveforms::WaveformsSnapshot;
use crate::vocabulary::moment::utc_text;

/// A request is a line; who sends none gets a snapshot.
const ASKED_WITHIN: Duration = Duration::from_secs(1);
const ASK_BYTES_MAX: u64 = 8 << 10;
/// Longer than a destination may take to obey.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// The counters of one device.
#[derive(Debug, Default)]
pub struct DeviceStatus {
    pub connections: AtomicUsize,
    pub opened: AtomicU64,
    pub messages: AtomicU64,
    pub readings: AtomicU64,
    pub refused: AtomicU64,
    pub unmapped: AtomicU64,
    pub held: AtomicU64,
    pub repeats: AtomicU64,
    pub busy: AtomicBool,
    /// Bytes that came damaged, as the serial port saw it.
    pub line_errors: AtomicU64,
    /// Samples of waveforms that are kept.
    pub samples: AtomicU64,
    /// Samples of waveforms that could not be kept.
    pub samples_dropped: AtomicU64,
    pub last_message_us: AtomicI64,
    /// How far the device's clock was known to be ahead when the house was opened.
    pub clock_ahead_ms: AtomicU64,
    /// What is wrong with the link, in words; empty while all is well.
    pub trouble: Mutex<String>,
    /// Where a listening link really listens, once it does.
    pub listening: Mutex<String>,
}

impl DeviceStatus {
    /// Says what is wrong with the link.
    pub fn set_trouble(&self, what: impl Into<String>) {
        if let Ok(mut trouble) = self.trouble.lock() {
            *trouble = what.into();
        }
    }

    /// Says where the link listens.
    pub fn set_listening(&self, what: impl Into<String>) {
        if let Ok(mut listening) = self.listening.lock() {
            *listening = what.into();
        }
    }
}

/// One snapshot, as `status --json` prints it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    pub version: String,
    pub gateway: String,
    pub stream: String,
    pub since: String,
    pub journal: JournalSnapshot,
    pub devices: Vec<DeviceSnapshot>,
    pub destinations: Vec<DestinationSnapshot>,
    /// Destinations whose tables are gone and that still hold the journal.
    #[serde(default)]
    pub holding: Vec<HoldingSnapshot>,
    /// The index of look-ups; none while the disk takes no writes.
    #[serde(default)]
    pub index: Option<IndexSnapshot>,
    /// How the journal's old segments are read again; none while the disk takes no writes.
    #[serde(default)]
    pub scrub: Option<ScrubSnapshot>,
    /// The journal of waveforms; none where no destination takes them.
    #[serde(default)]
    pub waveforms: Option<WaveformsSnapshot>,
    /// The patient administration's feed; none where there is none.
    #[serde(default)]
    pub adt: Option<AdtSnapshot>,
    /// Associations told between this box and other systems; none where they are not.
    #[serde(default)]
    pub pcim: Option<PcimSnapshot>,
}

/// The index of look-ups in a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexSnapshot {
    /// Every record up to this one is in it.
    pub complete_through: u64,
    /// It is built anew.
    pub rebuilding: bool,
    /// How often it was thrown away since the start.
    pub thrown_away: u64,
    /// Records that the journal's key does not open.
    pub unreadable: u64,
    /// Why the last one was thrown away, or why there is none.
    pub trouble: Option<String>,
}

/// The journal's scrub in a snapshot. Totals since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrubSnapshot {
    /// Whole passes over all sealed segments.
    pub passes: u64,
    /// The last sequence of the segment that this pass has come to; 0 between passes.
    pub position: u64,
    pub read_bytes: u64,
    pub damaged_ranges: u64,
    pub lost_records: u64,
    pub read_failures: u64,
}

/// A destination that is not configured and not retired.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HoldingSnapshot {
    pub name: String,
    /// It has everything up to here.
    pub low_water: u64,
}

/// The journal in a snapshot.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct JournalSnapshot {
    pub durable: u64,
    /// `open`, or why nothing is taken.
    pub door: String,
    /// Why devices are not acknowledged, or not all of what they send is taken; none while all is
    /// well.
    pub reason: Option<String>,
    pub segments: usize,
    pub bytes: u64,
    /// What the journal may take on the disk.
    pub quota_bytes: Option<u64>,
    /// What a required destination does not have yet.
    pub pinned_bytes: u64,
    /// How long everything can be kept if no destination takes anything from now on, at the mean
    /// rate of the last ten minutes; none while nothing comes.
    pub autonomy_seconds: Option<u64>,
    /// When the oldest record was kept.
    pub oldest: Option<String>,
}

/// One device in a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceSnapshot {
    pub name: String,
    pub place: String,
    pub profile: String,
    pub profile_status: String,
    pub link: String,
    pub connections: usize,
    /// What is wrong with the link, in words; empty while all is well.
    pub trouble: String,
    pub listening: String,
    pub busy: bool,
    pub messages: u64,
    pub readings: u64,
    pub refused: u64,
    pub unmapped: u64,
    pub held: u64,
    pub repeats: u64,
    /// Bytes that came damaged, as the serial port saw it; 0 where it cannot see it.
    #[serde(default)]
    pub line_errors: u64,
    /// Samples of waveforms that are kept, and that could not be kept; both 0 where no destination
    /// takes waveforms.
    #[serde(default)]
    pub samples: u64,
    #[serde(default)]
    pub samples_dropped: u64,
    pub last_message: Option<String>,
}

/// One destination in a snapshot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DestinationSnapshot {
    pub name: String,
    pub connected: bool,
    pub sent: u64,
    pub resent: u64,
    pub acknowledged: u64,
    pub backlog: u64,
    /// Records that are set aside now; at most the newest of them are counted.
    pub set_aside: u64,
    /// Sequence and code of the newest.
    #[serde(default)]
    pub newest_set_aside: Option<(u64, String)>,
    /// Rejections, for good or not, since the start.
    #[serde(default)]
    pub rejected: u64,
    /// The time of the oldest record on its way.
    #[serde(default)]
    pub oldest_unacknowledged: Option<String>,
    /// Records that were needed and cannot be had any more.
    pub unavailable: u64,
    /// Writes of the cursor that failed; nothing new is sent before one succeeds.
    pub cursor_failures: u64,
    /// Why nothing is sent at all until somebody has looked and started again.
    #[serde(default)]
    pub refused: Option<String>,
    /// Why there is no connection; empty while there is one.
    #[serde(default)]
    pub trouble: String,
    /// How far answered manifests prove it, where only they do.
    #[serde(default)]
    pub proof: Option<ProofSnapshot>,
    /// What of its TLS ends one day.
    #[serde(default)]
    pub certificates: Vec<CertificateSnapshot>,
    pub refused_acknowledgements: u64,
}

/// How far a destination is proven by answered manifests. Nothing behind that is freed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProofSnapshot {
    /// The core holds everything up to here.
    pub through: u64,
    /// Manifests that have no answer that counts.
    pub waiting: usize,
    /// Since when: the time of the oldest of them.
    pub since: Option<String>,
    /// Answers since the start that named something the core lacks.
    pub lacked: u64,
}

/// A device's part of a snapshot.
pub fn of_device(name: &str, fixed: &Fixed, status: &DeviceStatus) -> DeviceSnapshot {
    let text = |text: &Mutex<String>| text.lock().map(|text| text.clone()).unwrap_or_default();
    let last_us = status.last_message_us.load(Ordering::Relaxed);
    DeviceSnapshot {
        name: name.to_owned(),
        place: fixed.place.clone(),
        profile: fixed.profile.clone(),
        profile_status: fixed.profile_status.clone(),
        link: fixed.link.clone(),
        connections: status.connections.load(Ordering::Relaxed),
        trouble: text(&status.trouble),
        listening: text(&status.listening),
        busy: status.busy.load(Ordering::Relaxed),
        messages: status.messages.load(Ordering::Relaxed),
        readings: status.readings.load(Ordering::Relaxed),
        refused: status.refused.load(Ordering::Relaxed),
        unmapped: status.unmapped.load(Ordering::Relaxed),
        held: status.held.load(Ordering::Relaxed),
        repeats: status.repeats.load(Ordering::Relaxed),
        line_errors: status.line_errors.load(Ordering::Relaxed),
        samples: status.samples.load(Ordering::Relaxed),
        samples_dropped: status.samples_dropped.load(Ordering::Relaxed),
        last_message: (last_us != 0).then(|| utc_text(last_us)),
    }
}

/// What never changes about a device while the house runs, for the snapshot.
#[derive(Clone, Debug)]
pub struct Fixed {
    pub place: String,
    pub profile: String,
    pub profile_status: String,
    pub link: String,
}

/// Answers each connection with one object in JSON and closes it: a snapshot, or what became of a
/// request. Only this user and its group may ask.
///
/// # Errors
/// The socket cannot be made.
pub fn serve(
    socket: &Path,
    snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
    desk: Arc<dyn Fn() -> Option<Arc<Desk>> + Send + Sync>,
) -> io::Result<tokio::task::JoinHandle<()>> {
    // The journal's lock has shown that no other daemon runs on these data: a socket that is left
    // is of a daemon that died.
    match std::fs::remove_file(socket) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660))?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    // One that is slow keeps nobody else waiting.
                    let (snapshot, desk) = (Arc::clone(&snapshot), Arc::clone(&desk));
                    tokio::spawn(async move {
                        if let Err(error) = answer(stream, &*snapshot, desk()).await {
                            tracing::debug!(%error, "a status client went away");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "the status socket cannot accept");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }))
}

async fn answer(
    mut stream: UnixStream,
    snapshot: &(dyn Fn() -> Snapshot + Send + Sync),
    desk: Option<Arc<Desk>>,
) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let mut line = String::new();
    let mut bounded = BufReader::new((&mut stream).take(ASK_BYTES_MAX));
    let read = tokio::time::timeout(ASKED_WITHIN, bounded.read_line(&mut line)).await;
    let asked = matches!(read, Ok(Ok(1..)));
    let ask = if asked { serde_json::from_str(&line) } else { Ok(Ask::Status) };
    let text = match ask {
        Ok(Ask::Status) => serde_json::to_vec(&snapshot()),
        Ok(ask @ (Ask::Resend { .. } | Ask::Retire { .. } | Ask::End(_) | Ask::Shifts(_))) => {
            let answer = match desk {
                Some(desk) => desk.answer(ask, user).await,
                None => Answer::no("the daemon is still starting"),
            };
            serde_json::to_vec(&answer)
        }
        Ok(Ask::Records(asked)) => {
            let answer = match desk {
                Some(desk) => desk.records(asked, user).await,
                None => Err("the daemon is still starting".to_owned()),
            };
            serde_json::to_vec(&answer)
        }
        Err(_) => serde_json::to_vec(&Answer::no("the request is not one that this release knows")),
    };
    stream.write_all(&text.unwrap_or_default()).await
}

/// Asks a running daemon for a snapshot.
///
/// # Errors
/// Nobody answers on the socket, or what answers is no daemon.
pub fn ask(socket: &Path) -> io::Result<Snapshot> {
    exchange(socket, &Ask::Status, Duration::from_secs(5))
}

/// Asks a running daemon to do something.
///
/// # Errors
/// Nobody answers on the socket, or what answers is no daemon.
pub fn ask_for(socket: &Path, ask: &Ask) -> io::Result<Answer> {
    exchange(socket, ask, ANSWER_WITHIN)
}

/// Looks records up in a running daemon.
///
/// # Errors
/// Nobody answers on the socket, or what answers is no daemon; inside: why nothing can be looked
/// up.
pub fn look_up(socket: &Path, asked: LookUp) -> io::Result<Result<Records, String>> {
    exchange(socket, &Ask::Records(asked), ANSWER_WITHIN)
}

fn exchange<T: for<'a> Deserialize<'a>>(
    socket: &Path,
    ask: &Ask,
    within: Duration,
) -> io::Result<T> {
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(within))?;
    let mut line = serde_json::to_vec(ask)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    serde_json::from_slice(&text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}
