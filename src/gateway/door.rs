//! When the journal has shut its door (a write or a sync failed), no device is acknowledged any
//! more, and what is there is still delivered. From time to time a probe tries whether the disk
//! takes writes again; then the house ends, so that the supervisor starts it anew and the journal
//! is opened afresh. A failed sync is never retried in place.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use super::committer::Room;

/// The first wait before a probe; it doubles.
const PROBE_AFTER: Duration = Duration::from_secs(5);

/// The longest wait between probes.
const PROBE_AFTER_MAX: Duration = Duration::from_secs(120);

/// Waits until the door is shut and the disk takes a segment's worth of writes again.
pub(super) async fn opens_again(room: &Room, data: &Path, segment_bytes: u64) {
    room.shut_now.notified().await;
    let mut wait = PROBE_AFTER;
    loop {
        tokio::time::sleep(wait).await;
        let folder = data.to_owned();
        let probe = tokio::task::spawn_blocking(move || probe(&folder, segment_bytes)).await;
        match probe {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::error!(%error, "the disk still takes nothing"),
            Err(_) => tracing::error!("the probe of the disk has failed"),
        }
        wait = (wait * 2).min(PROBE_AFTER_MAX);
    }
}

/// Writes, syncs and removes a file of a segment's size.
fn probe(data: &Path, segment_bytes: u64) -> io::Result<()> {
    let path = data.join("probe");
    let written = write_synced(&path, segment_bytes);
    let removed = std::fs::remove_file(&path);
    written.and(removed)
}

fn write_synced(path: &Path, segment_bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = vec![0u8; 1 << 16];
    let mut left = segment_bytes;
    while left > 0 {
        let count = left.min(zeros.len() as u64);
        file.write_all(zeros.get(..count as usize).unwrap_or_default())?;
        left -= count;
    }
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
