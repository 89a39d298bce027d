//! A disk in memory for tests: it can fail at the n-th operation, and lose its power.
//!
//! The model is unkind on purpose: of what was not synced, every 512-byte sector survives or not by
//! itself, and directory changes survive up to a random point. A failed sync marks everything clean
//! without writing it, as Linux does.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::storage::Storage;
use crate::vocabulary::chance::Chance;

const SECTOR: usize = 512;

#[derive(Clone, Default)]
struct FileState {
    /// What reading gives.
    current: Vec<u8>,
    /// What is on the medium.
    stable: Vec<u8>,
    /// Written and not yet synced.
    dirty: Vec<(usize, Vec<u8>)>,
    /// A sync has failed: what was written is not to be trusted, and never to be synced again.
    spoilt: bool,
}

impl FileState {
    /// Room for bytes up to here: zeros, as far as anybody knows.
    fn grow(&mut self, end: usize) {
        let size = self.current.len().max(end);
        self.current.resize(size, 0);
        self.stable.resize(size, 0);
    }
}

#[derive(Clone)]
enum Change {
    Create(String, usize),
    Rename(String, String),
    Unlink(String),
}

fn apply(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Create(name, file) => drop(names.insert(name.clone(), *file)),
        Change::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Change::Unlink(name) => drop(names.remove(name)),
    }
}

#[derive(Clone, Default)]
struct State {
    files: Vec<FileState>,
    names: BTreeMap<String, usize>,
    stable_names: BTreeMap<String, usize>,
    changes: Vec<Change>,
    operations: u64,
    /// The operation with this number fails.
    fail_at: Option<u64>,
    /// And all after it do, as when the power is gone.
    dead_from: Option<u64>,
    /// Whoever uses this disk writes anew what a failed sync has dropped.
    rewritten: bool,
    /// Every operation fails.
    failing: bool,
    /// Told at the first operation that comes too late.
    told: Option<Arc<Notify>>,
    /// Told after each sync.
    synced: Vec<Arc<Notify>>,
    /// Nothing new finds room; what has its room is written.
    full: bool,
    /// For proving that tests see it: a sync says yes and does nothing.
    lies: bool,
    /// Operations are not counted and do not fail.
    quiet: bool,
    /// The medium gives no byte at or after this offset of this file.
    unreadable: Option<(String, u64)>,
}

#[derive(Default)]
pub struct Memory(Mutex<State>);

impl Memory {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub fn fail_at(&self, operation: Option<u64>) {
        self.state().fail_at = operation;
    }

    pub fn die_at(&self, operation: Option<u64>) {
        self.state().dead_from = operation;
    }

    /// A disk whose user writes its bytes anew after a failed sync, before it syncs again.
    pub fn rewritten() -> Self {
        Self(Mutex::new(State { rewritten: true, ..State::default() }))
    }

    /// Tells of the first operation that fails because the power is gone.
    pub fn tell_death(&self, told: &Arc<Notify>) {
        self.state().told = Some(Arc::clone(told));
    }

    /// Tells these after each sync, in this order.
    pub fn tell_synced(&self, synced: Vec<Arc<Notify>>) {
        self.state().synced = synced;
    }

    pub fn set_failing(&self, failing: bool) {
        self.state().failing = failing;
    }

    pub fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    pub fn is_full(&self) -> bool {
        self.state().full
    }

    pub fn set_lying(&self, lies: bool) {
        self.state().lies = lies;
    }

    /// While the test itself looks, nothing fails.
    pub fn quiet(&self, quiet: bool) {
        self.state().quiet = quiet;
    }

    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Changes a byte on the medium, as a worn flash cell does.
    pub fn flip(&self, name: &str, offset: usize, mask: u8) {
        let mut state = self.state();
        let file = state.names[name];
        let file = &mut state.files[file];
        file.current[offset] ^= mask;
        file.stable[offset] ^= mask;
    }

    pub fn overwrite(&self, name: &str, offset: usize, bytes: &[u8]) {
        let mut state = self.state();
        let index = state.names[name];
        let file = &mut state.files[index];
        file.current[offset..offset + bytes.len()].copy_from_slice(bytes);
        file.stable[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts a file there, in place of one of that name.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let (current, stable) = (bytes.to_vec(), bytes.to_vec());
        state.files.push(FileState { current, stable, ..FileState::default() });
        let index = state.files.len() - 1;
        state.names.insert(name.to_owned(), index);
        state.stable_names.insert(name.to_owned(), index);
    }

    /// Another disk with the same content.
    pub fn copy(&self) -> Memory {
        Memory(Mutex::new(self.state().clone()))
    }

    /// A disk with what is in a folder of this one.
    pub fn folder(&self, folder: &str) -> Memory {
        let inside = Memory::default();
        for name in self.names() {
            if let Some(rest) = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/')) {
                inside.put(rest, &self.contents(&name));
            }
        }
        inside
    }

    /// Names and contents, for seeing that nothing was touched.
    pub fn everything(&self) -> Vec<(String, Vec<u8>)> {
        self.names().into_iter().map(|name| (name.clone(), self.contents(&name))).collect()
    }

    pub fn unreadable(&self, place: Option<(String, u64)>) {
        self.state().unreadable = place;
    }

    pub fn remove(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name);
        state.stable_names.remove(name);
    }

    pub fn contents(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.files[state.names[name]].current.clone()
    }

    /// What stands on the disk after the power came back.
    pub fn cut_power(&self, chance: &mut Chance) {
        let mut state = self.state();
        let survived = chance.below(state.changes.len() as u64 + 1) as usize;
        let changes: Vec<Change> = state.changes.drain(..).take(survived).collect();
        changes.iter().for_each(|change| apply(&mut state.stable_names, change));
        state.names = state.stable_names.clone();
        let lies = state.lies;
        for file in &mut state.files {
            // A cache that lies has kept everything to itself.
            file.dirty.retain(|_| !lies);
            for (offset, bytes) in file.dirty.drain(..) {
                let mut at = offset;
                while at < offset + bytes.len() {
                    let end = ((at / SECTOR + 1) * SECTOR).min(offset + bytes.len());
                    if chance.below(2) == 0 {
                        file.stable[at..end].copy_from_slice(&bytes[at - offset..end - offset]);
                    }
                    at = end;
                }
            }
            file.current = file.stable.clone();
        }
        (state.dead_from, state.fail_at) = (None, None);
    }

    /// Counts the operation and says whether it fails.
    fn begin(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.quiet {
            return Ok(state);
        }
        state.operations += 1;
        let now = state.operations;
        let is_dead = state.dead_from.is_some_and(|from| now >= from);
        if let Some(told) = state.told.take_if(|_| is_dead) {
            told.notify_one();
        }
        if state.fail_at == Some(now) || is_dead || state.failing {
            return Err(io::Error::other("made to fail"));
        }
        Ok(state)
    }
}

impl State {
    fn file(&mut self, name: &str) -> io::Result<&mut FileState> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let index = *self.names.get(name).ok_or_else(missing)?;
        self.files.get_mut(index).ok_or_else(missing)
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.names, &change);
        self.changes.push(change);
    }
}

impl Storage for Memory {
    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        let mut state = self.begin()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let zeros = vec![0; size as usize];
        state.files.push(FileState {
            current: zeros.clone(),
            stable: zeros,
            ..FileState::default()
        });
        let index = state.files.len() - 1;
        state.change(Change::Create(name.to_owned(), index));
        Ok(())
    }

    fn opens_for_writing(&self, name: &str) -> io::Result<()> {
        self.begin()?.file(name).map(drop)
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = offset as usize;
        match self.begin() {
            Ok(mut state) => {
                let file = state.file(name)?;
                assert!(!file.spoilt, "written to after a failed sync");
                file.grow(offset + bytes.len());
                file.current[offset..offset + bytes.len()].copy_from_slice(bytes);
                file.dirty.push((offset, bytes.to_vec()));
                Ok(())
            }
            Err(error) => {
                // A write that fails may still have written some of it.
                let half = &bytes[..bytes.len() / 2];
                let mut state = self.state();
                let file = state.file(name)?;
                file.grow(offset + half.len());
                file.current[offset..offset + half.len()].copy_from_slice(half);
                file.dirty.push((offset, half.to_vec()));
                Err(error)
            }
        }
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        match self.begin() {
            Ok(state) if state.lies => {
                state.synced.iter().for_each(|synced| synced.notify_one());
                Ok(())
            }
            Ok(mut state) => {
                state.synced.iter().for_each(|synced| synced.notify_one());
                let file = state.file(name)?;
                assert!(!file.spoilt, "a failed sync is never tried again");
                for (offset, bytes) in file.dirty.drain(..) {
                    file.stable[offset..offset + bytes.len()].copy_from_slice(&bytes);
                }
                Ok(())
            }
            Err(error) => {
                let mut state = self.state();
                if state.dead_from.is_none() {
                    let spoilt = !state.rewritten;
                    let file = state.file(name)?;
                    file.dirty.clear();
                    file.spoilt = spoilt;
                }
                Err(error)
            }
        }
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.begin()?;
        let until = offset + into.len() as u64;
        if state.unreadable.as_ref().is_some_and(|(bad, from)| bad == name && until > *from) {
            return Err(io::Error::other("made to fail"));
        }
        let file = state.file(name)?;
        let from = (offset as usize).min(file.current.len());
        let count = into.len().min(file.current.len() - from);
        into[..count].copy_from_slice(&file.current[from..from + count]);
        Ok(count)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(self.begin()?.file(name)?.current.len() as u64)
    }

    fn trim(&self, name: &str, size: u64) -> io::Result<()> {
        let mut state = self.begin()?;
        let file = state.file(name)?;
        // What was written behind the cut is gone with it.
        for (at, bytes) in &mut file.dirty {
            bytes.truncate((size as usize).saturating_sub(*at));
        }
        file.current.truncate(size as usize);
        file.stable.truncate(size as usize);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.begin()?;
        assert!(!state.names.contains_key(to), "{to} is taken");
        state.file(from)?;
        state.change(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        let mut state = self.begin()?;
        state.file(name)?;
        state.change(Change::Unlink(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.begin()?;
        Ok(state.names.keys().filter(|name| !name.contains('/')).cloned().collect())
    }

    fn make_folder(&self, _name: &str) -> io::Result<()> {
        self.begin().map(drop)
    }

    fn sync_folder(&self, _name: &str) -> io::Result<()> {
        let mut state = self.begin()?;
        state.changes.clear();
        state.stable_names = state.names.clone();
        Ok(())
    }
}
