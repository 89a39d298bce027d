//! Waveforms: kept in a journal of their own, and only where a destination asks for them.
//!
//! They are the one class that may be shed: nobody is acknowledged for samples, and numbers never
//! wait for them. So nothing here is shared with the journal of the house but the disk: the
//! waveforms have their own way in, their own task, journal, stream, quota and cursors, and when
//! any of it is full, samples go, counted, and with a gap record.
//!
//! | file | what |
//! |---|---|
//! | `inlet` | where devices leave samples: a fixed number of bytes, and nobody waits |
//! | `keeper` | the task that writes records and gaps |
//! | `quota` | what the journal may take, and how its oldest segment goes |
//! | `house` | opens it all, closes it in order, and opens it anew after the disk has failed |
//! | `shown` | what the status shows |
//!
//! | what happens | what it costs | what says so |
//! |---|---|---|
//! | the inlet is full | samples of the devices that come then | a gap `box-busy` of each device |
//! | the disk fails or is full | samples until it takes writes again | a gap `storage-failed` |
//! | a crash, a power cut | what was not synced: at most [`SYNC_EVERY`] and a sync | a gap `box-restarted` |
//! | the quota is full | the oldest segment | a gap of sequences for each destination that lacks it |
//!
//! Every gap of a device ends with its next samples. Nobody may take what lies between for a flat
//! line.

use std::path::{Path, PathBuf};
use std::time::Duration;

mod house;
mod inlet;
mod keeper;
mod quota;
mod shown;

pub use house::WaveformHouse;
pub use inlet::{INLET_BYTES_MAX, Inlet, Submission};
pub use shown::{Shown, WaveformsSnapshot};

/// The least time between two syncs: a crash loses so much, and the disk is left to the numbers.
pub const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Where the journal of waveforms lies in a data folder.
pub fn folder(data: &Path) -> PathBuf {
    data.join("waveforms")
}

#[cfg(test)]
mod tests;
