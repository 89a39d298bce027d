//! What the house stands on: the disk with the journal and the cursors, and the ports. A simulation
//! puts its own under the same house.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::configuration::GatewayTable;
use super::{door, waveforms};
use crate::journal::{self, Disk, Journal, Keys, Opened, Options, Reader, Storage};
use crate::link::{BoxPorts, Ports};

/// The disk, the ports, and what destinations are in a simulation.
#[derive(Clone)]
pub(super) struct World {
    pub disk: Arc<dyn DataDisk>,
    pub ports: Arc<dyn Ports>,
    /// Where the destinations' tasks run.
    pub delivery: Handle,
    /// Whether index and scrub run: they have threads of their own, which a simulation cannot put
    /// in order.
    pub has_background: bool,
    /// In place of every destination's own binding.
    #[cfg(test)]
    pub cores: Option<crate::forward::simulated::Cores>,
    /// In place of the port for phones and of the provider.
    #[cfg(test)]
    pub bedside: Option<std::sync::Arc<super::simulation::Seat>>,
}

impl World {
    /// This box.
    pub fn of(gateway: &GatewayTable, delivery: Handle) -> Self {
        Self {
            disk: Arc::new(DataFolder(gateway.data.clone())),
            ports: Arc::new(BoxPorts),
            delivery,
            has_background: true,
            #[cfg(test)]
            cores: None,
            #[cfg(test)]
            bedside: None,
        }
    }
}

/// The word to stop, for one more task. A watch channel wakes its receivers in random order, so in
/// a simulation each task hears it at a moment of its own.
pub(super) fn stop_for_one(stop: &watch::Receiver<bool>) -> watch::Receiver<bool> {
    #[cfg(test)]
    if journal::simulated::is_on() {
        return super::simulation::apart(stop.clone());
    }
    stop.clone()
}

/// What the house keeps on a disk, and what it asks of that disk.
pub(super) trait DataDisk: Send + Sync {
    /// Opens the journal for writing.
    fn open_journal(&self, options: Options) -> Result<Opened, journal::Error>;
    /// Opens the journal of waveforms for writing.
    fn open_waveforms(&self, options: Options) -> Result<Opened, journal::Error>;
    /// Opens what of the journal is proven durable, for reading.
    fn open_proven(&self, keys: Keys) -> Result<Reader, journal::Error>;
    /// The folder of the cursor files.
    fn cursors(&self) -> io::Result<Arc<dyn Storage>>;
    /// What is left for us; without an answer, no limit.
    fn free_bytes(&self) -> u64;
    /// Reserves, writes, syncs and removes a file of a segment's size.
    fn probe(&self, segment_bytes: u64) -> io::Result<()>;
}

/// The data folder of the configuration.
struct DataFolder(PathBuf);

impl DataDisk for DataFolder {
    fn open_journal(&self, options: Options) -> Result<Opened, journal::Error> {
        Journal::open(&self.0.join("journal"), options)
    }

    fn open_waveforms(&self, options: Options) -> Result<Opened, journal::Error> {
        Journal::open(&waveforms::folder(&self.0), options)
    }

    fn open_proven(&self, keys: Keys) -> Result<Reader, journal::Error> {
        Ok(Journal::open_proven(&self.0.join("journal"), keys)?.0)
    }

    fn cursors(&self) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::new(Disk::open_existing(&self.0.join("cursors"))?))
    }

    fn free_bytes(&self) -> u64 {
        match rustix::fs::statvfs(&self.0) {
            Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
            Err(_) => u64::MAX / 2,
        }
    }

    fn probe(&self, segment_bytes: u64) -> io::Result<()> {
        door::probe(&self.0, segment_bytes)
    }
}
