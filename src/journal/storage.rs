//! The few things that the journal asks of a disk, and the real one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Named files in one folder; a name may have one folder before it (`<folder>/<name>`).
///
/// A directory change counts only after [`Storage::sync_folder`], a write only after
/// [`Storage::sync`]. Anything may fail; after a failed `sync` nothing is assumed.
pub trait Storage: Send + Sync {
    /// Makes a file of `size` zero bytes, which may be none, with its room reserved where the disk
    /// can do that.
    fn create(&self, name: &str, size: u64) -> io::Result<()>;
    /// Whether the file may be written, as far as opening it says.
    fn opens_for_writing(&self, name: &str) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`; the file grows if they end behind it.
    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Brings what was written to stable storage.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Fills `into` from `offset` on; fewer bytes only at the end of the file.
    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// The length of the file.
    fn size(&self, name: &str) -> io::Result<u64>;
    /// Cuts the file after `size` bytes.
    fn trim(&self, name: &str, size: u64) -> io::Result<()>;
    /// Renames; the new name is not taken.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes.
    fn unlink(&self, name: &str) -> io::Result<()>;
    /// The names of the plain files in the folder itself.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes a folder inside, if it is not there.
    fn make_folder(&self, name: &str) -> io::Result<()>;
    /// Brings creations, renames and removals to stable storage; `""` is the folder itself.
    fn sync_folder(&self, name: &str) -> io::Result<()>;
}

/// How many files stay open: the active segment and where a few readers are.
const OPEN_FILES_MAX: usize = 16;
const LOCK_NAME: &str = "lock";

/// A folder on a real disk.
pub struct Disk {
    folder: PathBuf,
    /// The least recently used first.
    open: Mutex<Vec<(String, Arc<File>)>>,
}

impl Disk {
    /// Makes the folder if it is not there, and syncs its parent so that it stays.
    pub fn open(folder: &Path) -> io::Result<Self> {
        if !folder.is_dir() {
            fs::create_dir_all(folder)?;
            if let Some(parent) = folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                File::open(parent)?.sync_all()?;
            }
        }
        Self::open_existing(folder)
    }

    /// Fails if the folder is not there.
    pub fn open_existing(folder: &Path) -> io::Result<Self> {
        fs::read_dir(folder)?;
        Ok(Self { folder: folder.to_owned(), open: Mutex::new(Vec::new()) })
    }

    pub(super) fn lock_file(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).open(self.folder.join(LOCK_NAME))
    }

    fn file(&self, name: &str) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(known, _)| known == name) {
            let entry = open.remove(at);
            let file = Arc::clone(&entry.1);
            open.push(entry);
            return Ok(file);
        }
        let path = self.folder.join(name);
        // A tool without the right to write must still be able to read.
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => File::open(&path)?,
            other => other?,
        };
        let file = Arc::new(file);
        if open.len() >= OPEN_FILES_MAX {
            open.remove(0);
        }
        open.push((name.to_owned(), Arc::clone(&file)));
        Ok(file)
    }

    fn forget(&self, name: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(known, _)| known != name);
    }
}

impl Storage for Disk {
    fn create(&self, name: &str, size: u64) -> io::Result<()> {
        self.forget(name);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).open(self.folder.join(name))?;
        if size == 0 {
            return Ok(());
        }
        let whole = rustix::fs::FallocateFlags::empty();
        match rustix::fs::fallocate(&file, whole, 0, size) {
            Ok(()) => Ok(()),
            // Some file systems (old NFS, some FUSE) cannot reserve room: a sparse file then.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(size),
            Err(error) => Err(error.into()),
        }
    }

    fn opens_for_writing(&self, name: &str) -> io::Result<()> {
        OpenOptions::new().read(true).write(true).open(self.folder.join(name))?;
        // It may be open for reading only, from a time when the disk took no writes.
        self.forget(name);
        Ok(())
    }

    fn write_at(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name)?.write_all_at(bytes, offset)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.file(name)?.sync_data()
    }

    fn read_at(&self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let file = self.file(name)?;
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn size(&self, name: &str) -> io::Result<u64> {
        Ok(self.file(name)?.metadata()?.len())
    }

    fn trim(&self, name: &str, size: u64) -> io::Result<()> {
        self.file(name)?.set_len(size)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn unlink(&self, name: &str) -> io::Result<()> {
        self.forget(name);
        fs::remove_file(self.folder.join(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn make_folder(&self, name: &str) -> io::Result<()> {
        match fs::create_dir(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn sync_folder(&self, name: &str) -> io::Result<()> {
        File::open(self.folder.join(name))?.sync_all()
    }
}

/// Does work that waits for a disk beside the tasks that do not; `None` if it panicked.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    #[cfg(test)]
    if super::simulated::is_on() {
        return Some(super::simulated::in_turn(work).await);
    }
    tokio::task::spawn_blocking(work).await.ok()
}

const SEGMENT_SUFFIX: &str = ".segment";
pub(super) const NEW_SUFFIX: &str = ".new";

/// `0000000000000001.segment`: sorts by number.
pub(super) fn segment_name(number: u64) -> String {
    format!("{number:016x}{SEGMENT_SUFFIX}")
}

/// The number of a segment's file; `None` for any other file.
pub(super) fn segment_number(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_suffix(SEGMENT_SUFFIX)?, 16).ok()?;
    (segment_name(number) == name).then_some(number)
}
