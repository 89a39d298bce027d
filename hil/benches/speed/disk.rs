//! What the disk itself can do: `fdatasync` after each group of records, into a file that was
//! filled with zeros before, as the journal's segments are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// About a message.
pub const RECORD_BYTES: usize = 1411;
const FILE_BYTES: u64 = 64 << 20;

/// One measurement.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Records per sync.
    pub group: usize,
    pub syncs_per_second: f64,
    pub records_per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Writes and syncs groups of this size for this long.
pub fn measure(folder: &Path, group: usize, time: Duration) -> io::Result<Limit> {
    let path = folder.join("disk-limit");
    let limit = write(&path, group, time);
    std::fs::remove_file(&path)?;
    limit
}

fn write(path: &Path, group: usize, time: Duration) -> io::Result<Limit> {
    let file = File::create(path)?;
    let zeros = vec![0u8; 1 << 20];
    for part in 0..FILE_BYTES >> 20 {
        file.write_all_at(&zeros, part << 20)?;
    }
    file.sync_all()?;
    let bytes = vec![0x5a; RECORD_BYTES * group];
    let (mut at, mut waits) = (0u64, Vec::new());
    let began = Instant::now();
    while began.elapsed() < time {
        if at + bytes.len() as u64 > FILE_BYTES {
            at = 0;
        }
        let sync_began = Instant::now();
        file.write_all_at(&bytes, at)?;
        file.sync_data()?;
        waits.push(u32::try_from(sync_began.elapsed().as_micros()).unwrap_or(u32::MAX));
        at += bytes.len() as u64;
    }
    let syncs_per_second = waits.len() as f64 / began.elapsed().as_secs_f64();
    waits.sort_unstable();
    Ok(Limit {
        group,
        syncs_per_second,
        records_per_second: syncs_per_second * group as f64,
        p50_us: super::load::percentile(&waits, 0.5),
        p99_us: super::load::percentile(&waits, 0.99),
    })
}
