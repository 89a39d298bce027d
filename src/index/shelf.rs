//! The folder on the disk: opened only if it was left in order, every call of sled caught, thrown
//! away whole.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::keys::{COVERS, Covers, Row};
use super::{BATCH_ROWS_MAX, CACHE_BYTES};

/// sled's own folder in ours.
const ROWS: &str = "rows";
/// Says that the last run stopped in order, and how it left every file.
const MARK: &str = "stopped-in-order";
/// What is on its way to the bin.
const OLD: &str = "old";
/// sled's file in which the rows are.
const DATABASE: &str = "db";

/// Why an index is not used any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Odd {
    #[error("there is none")]
    Missing,
    #[error("it was not stopped in order")]
    NotStopped,
    #[error("a file is not as it was left")]
    Changed,
    #[error("it is of another stream, version or key")]
    Other,
    #[error("it holds a word that none of ours is")]
    Word,
    #[error("an answer is not what the journal says")]
    Answer,
    #[error("its file has gone")]
    Gone,
    #[error("sled: {0}")]
    Sled(#[from] sled::Error),
    #[error("sled panicked")]
    Panicked,
    #[error("{0}")]
    Disk(#[from] io::Error),
}

/// An open index.
pub(super) struct Shelf {
    /// `None` once it is closed.
    rows: Option<sled::Db>,
    folder: PathBuf,
    /// Device and inode of sled's file.
    file: (u64, u64),
}

/// How sled is opened; a test has one that panics.
pub(super) type OpenSled = fn(&sled::Config) -> sled::Result<sled::Db>;

/// Runs what sled does; a panic is an error.
fn caught<T>(act: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, Odd> {
    // What it may leave half-done is sled's own, and is thrown away.
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(done) => Ok(done?),
        Err(_) => Err(Odd::Panicked),
    }
}

impl Shelf {
    /// What the last run left, if it can be believed, and through which sequence it is complete.
    pub fn open(folder: &Path, covers: &Covers, open: OpenSled) -> Result<(Self, u64), Odd> {
        let mark = folder.join(MARK);
        let left = match std::fs::read_to_string(&mark) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let rows = folder.join(ROWS).exists();
                return Err(if rows { Odd::NotStopped } else { Odd::Missing });
            }
            other => other?,
        };
        // From here on it counts as not stopped in order.
        std::fs::remove_file(&mark)?;
        File::open(folder)?.sync_all()?;
        if left != state_of(&folder.join(ROWS))? {
            return Err(Odd::Changed);
        }
        let shelf = Self::sled(folder, open)?;
        let through = shelf.get(COVERS)?.and_then(|value| covers.through(&value));
        Ok((shelf, through.ok_or(Odd::Other)?))
    }

    /// A new one in the place of whatever is there.
    pub fn anew(folder: &Path, covers: &Covers, open: OpenSled) -> Result<Self, Odd> {
        throw_away(folder)?;
        std::fs::create_dir_all(folder)?;
        let shelf = Self::sled(folder, open)?;
        shelf.write(vec![covers.row()])?;
        Ok(shelf)
    }

    fn sled(folder: &Path, open: OpenSled) -> Result<Self, Odd> {
        let path = folder.join(ROWS);
        // Nothing here has to be durable before it is closed, so nothing is flushed by time.
        let config = sled::Config::new()
            .path(&path)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .mode(sled::Mode::LowSpace);
        let rows = caught(|| open(&config))?;
        let meta = std::fs::metadata(path.join(DATABASE))?;
        let file = (meta.dev(), meta.ino());
        Ok(Self { rows: Some(rows), folder: folder.to_owned(), file })
    }

    fn rows(&self) -> Result<&sled::Db, Odd> {
        self.rows.as_ref().ok_or(Odd::Gone)
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Odd> {
        let rows = self.rows()?;
        caught(|| Ok(rows.get(key)?.map(|value| value.to_vec())))
    }

    /// Writes rows, and takes away those without a value. At most [`BATCH_ROWS_MAX`] at once are
    /// whole or absent; the last ones come last.
    pub fn write(&self, rows: Vec<Row>) -> Result<(), Odd> {
        let tree = self.rows()?;
        for part in rows.chunks(BATCH_ROWS_MAX) {
            let mut batch = sled::Batch::default();
            for (key, value) in part {
                match value {
                    Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                    None => batch.remove(key.as_slice()),
                }
            }
            caught(|| tree.apply_batch(batch))?;
        }
        Ok(())
    }

    /// Rows from `from` up to and not including `behind`, as long as `take` wants more; the last
    /// ones first if `backwards`.
    pub fn visit(
        &self,
        (from, behind): (&[u8], &[u8]),
        backwards: bool,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<bool, Odd>,
    ) -> Result<(), Odd> {
        let mut range = {
            let rows = self.rows()?;
            caught(|| Ok(rows.range(from..behind)))?
        };
        loop {
            let next = caught(|| {
                let next = if backwards { range.next_back() } else { range.next() };
                next.transpose()
            })?;
            let Some((key, value)) = next else { return Ok(()) };
            if !take(&key, &value)? {
                return Ok(());
            }
        }
    }

    /// Whether its file is still where it was.
    pub fn is_there(&self) -> Result<(), Odd> {
        let meta = std::fs::metadata(self.folder.join(ROWS).join(DATABASE));
        match meta {
            Ok(meta) if (meta.dev(), meta.ino()) == self.file => Ok(()),
            Ok(_) | Err(_) => Err(Odd::Gone),
        }
    }

    /// Writes everything and leaves the mark that it can be believed.
    pub fn close(mut self) -> Result<(), Odd> {
        self.is_there()?;
        if let Some(rows) = self.rows.take() {
            caught(|| rows.flush().map(drop))?;
            caught(|| {
                drop(rows);
                Ok(())
            })?;
        }
        let path = self.folder.join(ROWS);
        for file in files(&path)? {
            File::open(path.join(file))?.sync_all()?;
        }
        File::open(&path)?.sync_all()?;
        let new = self.folder.join("stopped-in-order.new");
        std::fs::write(&new, state_of(&path)?)?;
        File::open(&new)?.sync_all()?;
        std::fs::rename(&new, self.folder.join(MARK))?;
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }
}

impl Drop for Shelf {
    fn drop(&mut self) {
        if let Some(rows) = self.rows.take() {
            // Whatever it says now, it is thrown away.
            let _ = caught(|| {
                drop(rows);
                Ok(())
            });
        }
    }
}

/// Takes the folder out of the way and removes it.
fn throw_away(folder: &Path) -> io::Result<()> {
    let old = folder.with_extension(OLD);
    remove(&old)?;
    match std::fs::rename(folder, &old) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    }
    remove(&old)
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Every file below a folder, by its path there, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(folder.join(&inner))? {
            let entry = entry?;
            let path = inner.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Name, length and CRC of every file: what sled skips as torn it would not tell us.
fn state_of(folder: &Path) -> io::Result<String> {
    let mut state = String::new();
    for name in files(folder)? {
        let mut file = File::open(folder.join(&name))?;
        let (mut crc, mut length, mut part) = (crc32fast::Hasher::new(), 0, vec![0; 256 << 10]);
        loop {
            let count = file.read(&mut part)?;
            let Some(read) = part.get(..count).filter(|read| !read.is_empty()) else { break };
            crc.update(read);
            length += count;
        }
        state.push_str(&format!("{} {length} {:08x}\n", name.display(), crc.finalize()));
    }
    Ok(state)
}
