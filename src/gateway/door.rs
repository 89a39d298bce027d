//! When the journal has shut its door (a write or a sync failed), or could not be opened for
//! writing, no device is acknowledged any more, and what is there is still delivered. A probe tries
//! whether the disk takes writes again; then the house is opened anew, with a journal opened
//! afresh. A failed sync is never retried in place.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::committer::Request;
use super::room::Room;
use super::world::DataDisk;
use crate::journal::beside;

/// The first wait before a probe; it doubles.
const PROBE_AFTER: Duration = Duration::from_millis(500);

/// The longest wait between probes: a disk that has room again is found within five seconds, with
/// the time that opening takes.
const PROBE_AFTER_MAX: Duration = Duration::from_millis(2_500);

/// How much a probe writes: enough to reach the medium, and little enough that a disk that is away
/// for a week is not worn out.
const PROBE_BYTES: usize = 4096;

/// Waits until the door is shut and the disk takes writes again, with room for a segment.
pub(super) async fn opens_again(room: &Room, disk: &Arc<dyn DataDisk>, segment_bytes: u64) {
    room.shut_now.notified().await;
    let mut wait = PROBE_AFTER;
    let mut told = None;
    loop {
        tokio::time::sleep(wait).await;
        let disk = Arc::clone(disk);
        let probe = beside(move || disk.probe(segment_bytes)).await;
        match probe {
            Some(Ok(())) => return,
            // The same answer is said once.
            Some(Err(error)) if told.replace(error.kind()) != Some(error.kind()) => {
                tracing::error!(%error, "the disk still takes nothing");
            }
            Some(Err(_)) => {}
            None => tracing::error!("the probe of the disk has failed"),
        }
        wait = (wait * 2).min(PROBE_AFTER_MAX);
    }
}

/// The committer of a house that cannot write.
pub(super) async fn take_nothing(mut requests: mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = requests.recv().await {
        match request {
            Request::Ping(answer) => {
                let _ = answer.send(());
            }
            Request::Stop { done, .. } => {
                let _ = done.send(());
                return;
            }
            // No device runs; a gap of a destination is found again by the next house.
            Request::Message(_)
            | Request::LinkUp { .. }
            | Request::GapBegan { .. }
            | Request::GapEnded { .. }
            | Request::Identity { .. }
            | Request::Unavailable(_)
            | Request::Noted(_)
            | Request::Person { .. }
            | Request::Unplugged { .. }
            | Request::Ledger { .. }
            | Request::Act { .. }
            | Request::Rows { .. }
            | Request::Forget { .. }
            | Request::Moves { .. }
            | Request::Examined(_)
            | Request::End(..)
            | Request::Manifest { .. }
            | Request::Free { .. }
            | Request::Damaged(_)
            | Request::Tick { .. } => {}
        }
    }
}

/// Reserves, writes, syncs and removes a file of a segment's size.
pub(super) fn probe(data: &Path, segment_bytes: u64) -> io::Result<()> {
    let path = data.join("probe");
    let written = write_synced(&path, segment_bytes);
    let removed = match std::fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    };
    written.and(removed)
}

fn write_synced(path: &Path, segment_bytes: u64) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let whole = rustix::fs::FallocateFlags::empty();
    match rustix::fs::fallocate(&file, whole, 0, segment_bytes) {
        Ok(()) => {}
        // As the journal does on such a file system.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
            file.set_len(segment_bytes)?;
        }
        Err(error) => return Err(error.into()),
    }
    file.write_all(&[0u8; PROBE_BYTES])?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_leaves_nothing_and_says_when_it_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        probe(folder.path(), 100_000).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(probe(&folder.path().join("not-there"), 1).is_err());
    }
}
