//! What the house says of itself: counters that tasks keep, one snapshot, and the Unix socket on
//! which
//! `wardgate status` asks for it. No patient data ever stands in it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;

use crate::vocabulary::moment::utc_text;

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
    pub last_message_us: AtomicI64,
    /// Why the link is down, in words; empty while it is up.
    pub trouble: Mutex<String>,
    /// Where a listening link really listens, once it does.
    pub listening: Mutex<String>,
}

impl DeviceStatus {
    /// Says why the link is down.
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
    /// Why the link is down, in words; empty while it is up.
    pub trouble: String,
    pub listening: String,
    pub busy: bool,
    pub messages: u64,
    pub readings: u64,
    pub refused: u64,
    pub unmapped: u64,
    pub held: u64,
    pub repeats: u64,
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
    pub set_aside: u64,
    /// Records that were needed and cannot be had any more.
    pub unavailable: u64,
    /// Writes of the cursor that failed; nothing new is sent before one succeeds.
    pub cursor_failures: u64,
    /// Why nothing is sent at all until somebody has looked and started again.
    #[serde(default)]
    pub refused: Option<String>,
    pub refused_acknowledgements: u64,
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

/// Answers each connection with one snapshot in JSON and closes it.
///
/// # Errors
/// The socket cannot be made.
pub fn serve(
    socket: &Path,
    snapshot: Arc<dyn Fn() -> Snapshot + Send + Sync>,
) -> io::Result<tokio::task::JoinHandle<()>> {
    // The journal's lock has shown that no other daemon runs on these data: a socket that is left
    // is of a daemon that died.
    match std::fs::remove_file(socket) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(socket)?;
    Ok(tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((mut stream, _)) => {
                    let text = serde_json::to_vec(&snapshot()).unwrap_or_default();
                    if let Err(error) = stream.write_all(&text).await {
                        tracing::debug!(%error, "a status client went away");
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the status socket cannot accept");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }))
}

/// Asks a running daemon.
///
/// # Errors
/// Nobody answers on the socket, or what answers is no daemon.
pub fn ask(socket: &Path) -> io::Result<Snapshot> {
    use std::io::Read;
    let mut stream = std::os::unix::net::UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    serde_json::from_slice(&text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))
}
