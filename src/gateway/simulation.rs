//! The whole house between simulated devices, disk, clock, network and cores: one seed, one order
//! of everything, and nothing real but the house itself.
//!
//! A device on a simulated line speaks to the house's own connection task, driver, device file and
//! mapping; the house's own committer and journal write to a disk in memory; the house's own pump,
//! window and cursor speak to a core that has faults. In between the house is killed, loses its
//! power, is stopped, its disk fails or is full, its clock jumps. At the end nothing happens any
//! more, and then must hold:
//!
//! - what a device saw acknowledged is at the required core, once, in the order of sending;
//! - no core has what no device sent;
//! - a reading that nobody heard lies in a gap that the core knows;
//! - what is in flight stayed within its limits;
//! - no log line holds personal data;
//! - everything is through: life goes on.
//!
//! | part | what |
//! |---|---|
//! | `options` | what a seed makes of it |
//! | `site` | its configuration |
//! | `life`, `faults` | the lives of a house, and what happens in them |
//! | `disk`, `ports` | what is under the house; the clocks are in `link`, the cores in `forward` |
//! | `devices`, `oximeter`, `monitor`, `analyser` | what speaks to it |
//! | `checks` | what must hold |
//! | `tests`, `scenarios` | the seeds; rows of the fault matrix in virtual time |
//! | `ward` | the same house while people say whose the values are |
//!
//! `WARDGATE_SEED=7 cargo nextest run --lib simulation::tests::one_seed --no-capture` runs one seed
//! and shows its log. `WARDGATE_SEEDS=100000` runs so many instead of [`SEEDS`].

mod analyser;
mod checks;
mod devices;
mod disk;
mod faults;
mod life;
mod log;
mod monitor;
mod options;
mod oximeter;
mod ports;
mod scenarios;
mod site;
mod tests;
mod ward;

use std::cell::Cell;
use std::time::Duration;

use tokio::sync::watch;

use self::life::Simulation;
use self::log::Log;
use self::options::Options;
pub(in crate::gateway) use self::ward::Seat;

thread_local! {
    static HEARS_AFTER_MS: Cell<u64> = const { Cell::new(0) };
}

/// The same word, for one task: it comes so many milliseconds later, each time one more.
pub(super) fn apart(mut stop: watch::Receiver<bool>) -> watch::Receiver<bool> {
    let after_ms = HEARS_AFTER_MS.get() % 16 + 1;
    HEARS_AFTER_MS.set(after_ms);
    let (tell, told) = watch::channel(*stop.borrow());
    tokio::spawn(async move {
        if stop.wait_for(|stop| *stop).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(after_ms)).await;
            tell.send_replace(true);
        }
    });
    told
}

/// What came of one run.
struct Outcome {
    complaints: Vec<String>,
    /// The same in every run of a seed.
    trace: String,
    log: String,
    /// Messages that devices saw acknowledged.
    acknowledged: usize,
    /// For looking at it in other ways.
    simulation: Simulation,
}

fn run(options: &Options) -> Outcome {
    let (log, guard) = Log::begin();
    HEARS_AFTER_MS.set(0);
    let mut simulation = Simulation::new(options.clone());
    simulation.run();
    drop(guard);
    let log = log.text();
    let mut complaints = checks::check(&simulation);
    let canary = |line: &&str| monitor::CANARIES.iter().any(|canary| line.contains(canary));
    complaints.extend(log.lines().find(canary).map(|_| "personal data in the log".to_owned()));
    let acknowledged = simulation.books.iter().map(|one| one.book().acknowledged.len()).sum();
    Outcome { complaints, trace: checks::trace(&simulation), log, acknowledged, simulation }
}
