//! The journal's thread, and every other wait for a disk, as tasks of a runtime with paused time:
//! then one seed gives one order of everything. Switched on per thread, by the simulation.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Door;
use super::appender::Queue;
use super::writer::Writer;
use crate::vocabulary::chance::Chance;

thread_local! {
    static PACE: RefCell<Option<Pace>> = const { RefCell::new(None) };
}

/// How long a disk takes for anything: up to so many milliseconds.
struct Pace {
    chance: Chance,
    wait_ms_max: u64,
}

/// From here on this thread waits for disks in virtual time.
pub(crate) fn switch_on(chance: Chance, wait_ms_max: u64) {
    PACE.set(Some(Pace { chance, wait_ms_max }));
}

/// A disk that gets slower or quicker.
pub(crate) fn set_wait(wait_ms_max: u64) {
    PACE.with_borrow_mut(|pace| {
        if let Some(pace) = pace {
            pace.wait_ms_max = wait_ms_max;
        }
    });
}

pub(crate) fn is_on() -> bool {
    PACE.with_borrow(Option::is_some)
}

async fn wait() {
    let wait_ms = PACE.with_borrow_mut(|pace| {
        pace.as_mut().map_or(0, |pace| pace.chance.below(pace.wait_ms_max + 1))
    });
    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
}

/// What a thread of the blocking kind would do: whoever is dropped meanwhile never learns of it.
pub(super) async fn in_turn<T>(work: impl FnOnce() -> T) -> T {
    wait().await;
    let done = work();
    wait().await;
    done
}

/// Serves the queue as the journal's thread does: whatever waits when the disk is free is one
/// group.
pub(super) struct Steps {
    queue: Arc<Queue>,
    writer: Mutex<Option<Writer>>,
}

impl Steps {
    pub fn start(queue: &Arc<Queue>, writer: Writer) -> Arc<Self> {
        let steps = Arc::new(Self { queue: Arc::clone(queue), writer: Mutex::new(Some(writer)) });
        let serving = Arc::clone(&steps);
        tokio::spawn(async move {
            while serving.is_open() {
                serving.queue.woken.notified().await;
                wait().await;
                serving.step();
            }
        });
        steps
    }

    fn is_open(&self) -> bool {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn step(&self) {
        let mut waiting = self.queue.lock();
        let batches = std::mem::take(&mut waiting.batches);
        waiting.bytes = 0;
        drop(waiting);
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(writer) = writer.as_mut().filter(|_| !batches.is_empty()) {
            writer.commit(batches);
        }
    }

    /// Writes what waits and ends.
    pub fn end(&self) {
        self.step();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let shared = writer.map(|writer| writer.shared());
        if let Some(shared) = shared.filter(|shared| shared.door() == Door::Open) {
            shared.set_door(Door::Closed);
        }
    }
}
