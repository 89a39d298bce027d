//! The simulated data disk: the journal's folder and the cursors', which lose their power together.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::gateway::world::DataDisk;
use crate::journal::memory::Memory;
use crate::journal::{self, Journal, Keys, Opened, Options, Reader, Storage};
use crate::vocabulary::Sequence;
use crate::vocabulary::chance::Chance;

/// What outlives every house.
pub(super) struct SimulatedDisk {
    pub journal: Arc<Memory>,
    pub cursors: Arc<Memory>,
    /// Of the house that runs, for looking at the journal.
    reader: Mutex<Option<Reader>>,
    pub opened: Mutex<u64>,
}

impl Default for SimulatedDisk {
    fn default() -> Self {
        Self {
            journal: Arc::default(),
            cursors: Arc::new(Memory::rewritten()),
            reader: Mutex::default(),
            opened: Mutex::default(),
        }
    }
}

impl SimulatedDisk {
    fn both(&self) -> [&Arc<Memory>; 2] {
        [&self.journal, &self.cursors]
    }

    /// From now on nothing is read or written.
    pub fn stop(&self) {
        self.both().into_iter().for_each(|disk| disk.die_at(Some(0)));
        *self.reader.lock().unwrap() = None;
    }

    /// It works again; what the page cache held is there.
    pub fn go_on(&self) {
        for disk in self.both() {
            disk.die_at(None);
            disk.fail_at(None);
            disk.set_failing(false);
        }
    }

    /// The power comes back: what was not synced is torn.
    pub fn cut_power(&self, chance: &mut Chance) {
        self.both().into_iter().for_each(|disk| disk.cut_power(chance));
    }

    pub fn tell_death(&self, told: &Arc<Notify>) {
        self.both().into_iter().for_each(|disk| disk.tell_death(told));
    }

    pub fn set_full(&self, full: bool) {
        self.both().into_iter().for_each(|disk| disk.set_full(full));
    }

    /// Of the journal of the house that runs.
    pub fn reader(&self) -> Option<Reader> {
        self.reader.lock().unwrap().clone()
    }

    /// The last durable sequence of the house that runs.
    pub fn durable(&self) -> Option<u64> {
        let reader = self.reader.lock().unwrap();
        reader.as_ref()?.durable().map(Sequence::number)
    }
}

impl DataDisk for Arc<SimulatedDisk> {
    fn open_journal(&self, options: Options) -> Result<Opened, journal::Error> {
        let storage = Arc::clone(&self.journal) as Arc<dyn Storage>;
        let opened = Journal::open_on(storage, options, None)?;
        *self.reader.lock().unwrap() = Some(opened.reader.clone());
        *self.opened.lock().unwrap() += 1;
        Ok(opened)
    }

    fn open_waveforms(&self, _: Options) -> Result<Opened, journal::Error> {
        // No destination of a simulation takes them.
        Err(journal::Error::NothingThere)
    }

    fn open_proven(&self, keys: Keys) -> Result<Reader, journal::Error> {
        Journal::open_proven_on(Arc::clone(&self.journal) as Arc<dyn Storage>, keys)
    }

    fn cursors(&self) -> io::Result<Arc<dyn Storage>> {
        Ok(Arc::clone(&self.cursors) as Arc<dyn Storage>)
    }

    fn free_bytes(&self) -> u64 {
        if self.journal.is_full() { 0 } else { u64::MAX / 2 }
    }

    fn probe(&self, segment_bytes: u64) -> io::Result<()> {
        const NAME: &str = "probe";
        // What an earlier probe has left is no obstacle.
        let _ = self.journal.unlink(NAME);
        self.journal.create(NAME, segment_bytes)?;
        let written = self.journal.write_at(NAME, 0, &[0; 4096]);
        let synced = written.and_then(|()| self.journal.sync(NAME));
        synced.and(self.journal.unlink(NAME))
    }
}
