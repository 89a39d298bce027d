//! What happens to a house while it lives.

use super::disk::SimulatedDisk;
use super::life::{ARCHIVE, CORE, pause};
use super::options::Fault;
use crate::forward::simulated::Cores;
use crate::forward::simulated::core::Core;
use crate::link::clock;
use crate::link::simulated::{self as clocks, Clocks};
use tokio::time::Instant;

/// Lets it happen, and end.
pub(super) async fn happen(fault: Fault, disk: &SimulatedDisk, cores: &Cores, wait_ms_max: u64) {
    let down = |name: &str, is_down: bool| {
        if let Some(core) = cores.lock().get_mut(name) {
            core.is_up = !is_down;
            core.cut();
        }
    };
    match fault {
        Fault::CoreDies => cores.with(CORE, Core::die),
        Fault::CoreDown { ms } => {
            down(CORE, true);
            pause(ms).await;
            down(CORE, false);
        }
        Fault::ArchiveDown { ms } => {
            down(ARCHIVE, true);
            pause(ms).await;
            down(ARCHIVE, false);
        }
        Fault::CoreHalfOpen { ms } => {
            cores.with(CORE, |core| core.is_half_open = true);
            pause(ms).await;
            cores.with(CORE, |core| {
                core.is_half_open = false;
                core.cut();
            });
        }
        Fault::CoreBackup => cores.with(CORE, Core::make_backup),
        Fault::CoreRestored => cores.with(CORE, Core::restore),
        Fault::JournalFails { operation } => {
            disk.journal.fail_at(Some(disk.journal.operations() + operation));
        }
        Fault::CursorFails { operation } => {
            disk.cursors.fail_at(Some(disk.cursors.operations() + operation));
        }
        Fault::CursorsFail { ms } => {
            disk.cursors.set_failing(true);
            pause(ms).await;
            disk.cursors.set_failing(false);
        }
        Fault::DiskFull { ms } => {
            disk.set_full(true);
            pause(ms).await;
            disk.set_full(false);
        }
        Fault::DiskSlow { ms, wait_ms_max: slow } => {
            crate::journal::simulated::set_wait(slow);
            pause(ms).await;
            crate::journal::simulated::set_wait(wait_ms_max);
        }
        Fault::ClockStep { seconds } => {
            let now = clock::now();
            clocks::set(Clocks {
                at: Instant::now(),
                boot_us: now.monotonic_us(),
                offset_us: now.utc_us() - now.monotonic_us() as i64 + seconds * 1_000_000,
                certainty: now.certainty(),
            });
        }
    }
}
