//! Files of sign-in on the disk: the sessions, and the provider's keys as they were read last. Each
//! is written beside and named over, synced before anybody relies on it, and carries a digest of
//! its text.
//!
//! ```text
//! wardgate identity 1 <SHA-256 in hex> LF
//! JSON
//! ```

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::vocabulary::Digest;

const HEAD: &str = "wardgate identity 1 ";

/// The folder with these files, this user's alone.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes it if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    /// What stands in a file; `None` if it is not there.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<Option<T>> {
        let bytes = match std::fs::read(self.0.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the file is damaged");
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(damaged)?;
        let (head, text) = bytes.split_at_checked(end + 1).ok_or_else(damaged)?;
        if head != format!("{HEAD}{}\n", Digest::of(text)).as_bytes() {
            return Err(damaged());
        }
        serde_json::from_slice(text).map(Some).map_err(|_| damaged())
    }

    /// Writes a file. Durable when `Ok`; otherwise it is the old one or the new one.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn write<T: Serialize>(&self, name: &str, content: &T) -> io::Result<()> {
        let text = serde_json::to_vec(content)?;
        let new = self.0.join(format!("{name}.new"));
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(format!("{HEAD}{}\n", Digest::of(&text)).as_bytes())?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&new, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }

    /// Puts a damaged file aside, for a person to look at.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn set_aside(&self, name: &str) -> io::Result<()> {
        std::fs::rename(self.0.join(name), self.0.join(format!("{name}.damaged")))
    }
}
