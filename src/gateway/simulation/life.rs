//! One simulation from its first life to its last: what there is, what happens to it, and when the
//! house stands anew.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::devices::Shared;
use super::disk::SimulatedDisk;
use super::options::{Broken, End, Life, Options};
use super::ports::Sockets;
use super::{analyser, faults, monitor, oximeter, site};
use crate::forward::cursor::{self, Found};
use crate::forward::simulated::core::{Core, Manners};
use crate::forward::simulated::{self as network, Cores};
use crate::gateway::configuration::Configuration;
use crate::gateway::run::{Lasting, RunError};
use crate::gateway::world::World;
use crate::link::clock;
use crate::link::simulated::{self as clocks, Clocks};
use crate::vocabulary::Certainty;
use crate::vocabulary::chance::Chance;

/// The names of the devices; their sockets are called alike.
pub(super) const DEVICES: [&str; 3] = ["oximeter", "monitor", "analyser"];
pub(super) const CORE: &str = "core";
pub(super) const ARCHIVE: &str = "archive";

/// 2026-11-23T08:00:00Z.
const BEGAN_US: i64 = 1_795_420_800_000_000;
/// How long a house that ended by itself is away, as its service manager has it.
const RESTART_MS: u64 = 1_000;
/// How long an orderly stop may take: the unit file gives it more.
const STOP_WITHIN: Duration = Duration::from_secs(60);
/// A house that does not start so many times in a row does not come back.
const STARTS_MAX: u64 = 40;

/// Everything that outlives a house.
pub(super) struct Simulation {
    pub options: Options,
    chance: Chance,
    pub disk: Arc<SimulatedDisk>,
    sockets: Sockets,
    pub cores: Cores,
    pub books: [Shared; 3],
    configuration: Configuration,
    boot_us: u64,
    offset_us: i64,
    pub complaints: Vec<String>,
    /// Virtual milliseconds in all lives.
    pub lived_ms: u64,
    pub starts: u64,
}

/// How a life ended.
enum Ended {
    /// It was killed, or the power went.
    Killed,
    /// The house ended by itself.
    ByItself(Result<(), RunError>),
}

impl Simulation {
    pub fn new(options: Options) -> Self {
        let mut chance = Chance(options.seed);
        network::seed(chance.branch());
        crate::journal::simulated::switch_on(chance.branch(), options.disk_ms_max);
        let disk = Arc::new(SimulatedDisk::default());
        disk.journal.set_lying(options.broken == Some(Broken::JournalSyncLies));
        disk.cursors.set_lying(options.broken == Some(Broken::CursorSyncLies));
        let cores = Cores::default();
        let mut manners = options.core;
        manners.answers_before_it_stores = options.broken == Some(Broken::CoreForgets);
        cores.add(CORE, Core::new(CORE, chance.branch(), manners));
        if let Some(manners) = options.archive {
            cores.add(ARCHIVE, Core::new(ARCHIVE, chance.branch(), manners));
        }
        let synced = cores.lock().values().map(|core| Arc::clone(&core.synced)).collect();
        disk.journal.tell_synced(synced);
        let books = [0, 1, 2].map(|index| {
            let (messages, pause_ms) = (options.messages[index], options.pause_ms[index]);
            Shared::new(chance.branch(), messages, pause_ms, options.device_trouble_once_in)
        });
        let configuration = site::configured(&options);
        Self {
            options,
            chance,
            disk,
            sockets: Sockets::default(),
            cores,
            books,
            configuration,
            boot_us: 30_000_000,
            offset_us: BEGAN_US - 30_000_000,
            complaints: Vec::new(),
            lived_ms: 0,
            starts: 0,
        }
    }

    /// All lives.
    pub fn run(&mut self) {
        for life in self.options.lives.clone() {
            self.live(&life);
        }
        self.live_on();
    }

    /// A life that ends as it says, whatever the house does meanwhile.
    fn live(&mut self, life: &Life) {
        let runtime = runtime();
        if life.starts_in_1970_ms.is_some() {
            (self.boot_us, self.offset_us) = (5_000_000, 0);
        }
        let began = life.starts_in_1970_ms.is_none();
        let certainty = if began { Certainty::Synchronised } else { Certainty::Unproven };
        let ended = runtime.block_on(async {
            self.set_clocks(certainty);
            self.one_life(life).await
        });
        self.note_end(&runtime);
        match ended {
            Ended::Killed => self.die(life, runtime),
            Ended::ByItself(result) => {
                drop(runtime);
                if let Err(error) = result {
                    tracing::error!(%error, "the house ended by itself");
                }
                self.disk.go_on();
                self.disk.set_full(false);
                self.pass(RESTART_MS);
            }
        }
        if life.starts_in_1970_ms.is_some() {
            self.offset_us = BEGAN_US + (self.lived_ms as i64) * 1_000 - self.boot_us as i64;
        }
    }

    /// Everything of the house is gone at once.
    fn die(&mut self, life: &Life, runtime: tokio::runtime::Runtime) {
        self.disk.stop();
        drop(runtime);
        match life.end {
            End::PowerCut => {
                self.disk.cut_power(&mut self.chance);
                // The time since boot begins anew.
                self.offset_us += self.boot_us as i64;
                self.boot_us = 0;
            }
            End::Kill | End::Stop => {}
        }
        self.disk.go_on();
        self.disk.set_full(false);
        self.pass(life.away_ms);
    }

    async fn one_life(&mut self, life: &Life) -> Ended {
        let died = Arc::new(Notify::new());
        self.disk.tell_death(&died);
        if let Some(operation) = life.operation {
            let disk = &self.disk.journal;
            disk.die_at(Some(disk.operations() + operation));
        }
        crate::journal::simulated::set_wait(self.options.disk_ms_max);
        self.start_devices();
        self.start_faults(life);
        let asked = Notify::new();
        self.starts += 1;
        let mut house = pin!(self.house().run(async |_| asked.notified().await));
        let ended = tokio::select! {
            biased;
            () = died.notified() => return Ended::Killed,
            () = tokio::time::sleep(Duration::from_millis(life.ms)) => None,
            ended = &mut house => Some(ended),
        };
        match ended {
            Some(ended) => Ended::ByItself(ended),
            None if life.end == End::Stop => {
                asked.notify_one();
                match tokio::time::timeout(STOP_WITHIN, house).await {
                    Ok(ended) => Ended::ByItself(ended),
                    Err(_) => {
                        self.complaints.push("the house did not stop".to_owned());
                        Ended::Killed
                    }
                }
            }
            None => Ended::Killed,
        }
    }

    /// Nothing happens any more: everything has to get where it belongs.
    fn live_on(&mut self) {
        let last = self.options.last;
        for core in self.cores.lock().values_mut() {
            let answers_before_it_stores = core.manners.answers_before_it_stores;
            core.be_there(Manners { answers_before_it_stores, ..last.core });
        }
        for (index, shared) in self.books.iter().enumerate() {
            let mut book = shared.book();
            book.trouble_once_in = 0;
            book.pause_ms = last.pause_ms.map_or(book.pause_ms, |pauses| pauses[index]);
        }
        crate::journal::simulated::set_wait(self.options.disk_ms_max.min(5));
        for _ in 0..STARTS_MAX {
            let runtime = runtime();
            let ended = runtime.block_on(async {
                self.set_clocks(Certainty::Synchronised);
                self.last_life().await
            });
            self.note_end(&runtime);
            drop(runtime);
            match ended {
                Ok(()) => return,
                Err(error) => tracing::error!(%error, "the house ended by itself"),
            }
            self.pass(RESTART_MS);
        }
        self.complaints.push("the house does not come back".to_owned());
    }

    async fn last_life(&mut self) -> Result<(), RunError> {
        self.start_devices();
        let asked = Arc::new(Notify::new());
        let until = Arc::clone(&asked);
        let limit = Duration::from_secs(self.options.limit_s);
        let (disk, books) = (Arc::clone(&self.disk), self.books.clone());
        let names: Vec<String> = self.cores.lock().keys().cloned().collect();
        let late = Arc::new(AtomicU64::new(0));
        let is_late = Arc::clone(&late);
        tokio::spawn(async move {
            let deadline = Instant::now() + limit;
            while !(books.iter().all(is_through) && backlog(&disk, &names) == Some(0)) {
                if Instant::now() > deadline {
                    is_late.store(1 + backlog(&disk, &names).unwrap_or(0), Ordering::Relaxed);
                    break;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            asked.notify_one();
        });
        self.starts += 1;
        let house = self.house().run(async |_| until.notified().await);
        match tokio::time::timeout(limit + STOP_WITHIN, house).await {
            Ok(ended) => ended?,
            Err(_) => self.complaints.push("the house did not stop".to_owned()),
        }
        if late.load(Ordering::Relaxed) > 0 {
            let backlog = late.load(Ordering::Relaxed) - 1;
            let waiting: Vec<_> = self.books.iter().map(|one| !is_through(one)).collect();
            let what = format!("life does not go on: backlog {backlog}, devices wait: {waiting:?}");
            self.complaints.push(what);
        }
        Ok(())
    }

    fn house(&self) -> Lasting {
        let world = World {
            delivery: tokio::runtime::Handle::current(),
            has_background: false,
            disk: Arc::new(Arc::clone(&self.disk)),
            ports: Arc::new(self.sockets.clone()),
            cores: Some(self.cores.clone()),
            bedside: None,
        };
        Lasting::of(self.configuration.clone(), world).without_status()
    }

    fn start_devices(&self) {
        let [first, second, third] = &self.books;
        let names = DEVICES.map(str::to_owned);
        let [oximeter, monitor, analyser] = names;
        tokio::spawn(oximeter::run(first.clone(), self.sockets.clone(), oximeter));
        tokio::spawn(monitor::run(second.clone(), self.sockets.clone(), monitor));
        tokio::spawn(analyser::run(third.clone(), self.sockets.clone(), analyser));
    }

    fn start_faults(&self, life: &Life) {
        for (at_ms, fault) in life.faults.clone() {
            let (disk, cores) = (Arc::clone(&self.disk), self.cores.clone());
            let wait_ms_max = self.options.disk_ms_max;
            tokio::spawn(async move {
                pause(at_ms).await;
                faults::happen(fault, &disk, &cores, wait_ms_max).await;
            });
        }
        if let Some(after_ms) = life.starts_in_1970_ms {
            let lived_ms = self.lived_ms;
            tokio::spawn(async move {
                pause(after_ms).await;
                let now = clock::now();
                let utc_us = BEGAN_US + ((lived_ms + after_ms) as i64) * 1_000;
                clocks::set(Clocks {
                    at: Instant::now(),
                    boot_us: now.monotonic_us(),
                    offset_us: utc_us - now.monotonic_us() as i64,
                    certainty: Certainty::Synchronised,
                });
            });
        }
    }

    fn set_clocks(&self, certainty: Certainty) {
        let (boot_us, offset_us) = (self.boot_us, self.offset_us);
        clocks::set(Clocks { at: Instant::now(), boot_us, offset_us, certainty });
    }

    /// Takes the time along into the next life.
    fn note_end(&mut self, runtime: &tokio::runtime::Runtime) {
        let _inside = runtime.enter();
        let now = clock::now();
        let lived_us = now.monotonic_us() - self.boot_us;
        self.boot_us = now.monotonic_us();
        self.offset_us = now.utc_us() - now.monotonic_us() as i64;
        self.lived_ms += lived_us / 1_000;
    }

    /// Time in which no house runs.
    fn pass(&mut self, ms: u64) {
        self.boot_us += ms * 1_000;
        self.lived_ms += ms;
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    // Without sockets: whoever asks for a real one panics.
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

pub(super) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

fn is_through(shared: &Shared) -> bool {
    let book = shared.book();
    book.newest >= book.last && !book.waits
}

/// What the cursors say is not done; `None` while that cannot be said.
pub(super) fn backlog(disk: &SimulatedDisk, names: &[String]) -> Option<u64> {
    let durable = disk.durable()?;
    disk.cursors.quiet(true);
    let low_waters = names.iter().map(|name| cursor::peek_in(&*disk.cursors, name));
    let low_waters: Vec<_> = low_waters.collect();
    disk.cursors.quiet(false);
    let mut behind = 0;
    for found in low_waters {
        let Ok(Found::State(state)) = found else { return None };
        behind = behind.max(durable.saturating_sub(state.low_water));
    }
    Some(behind)
}
