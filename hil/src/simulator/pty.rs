//! A serial port without a serial port: the device holds the master of a pseudo terminal, whoever
//! reads it opens the slave through a symbolic link.
//!
//! The device keeps a slave open itself, so that the terminal outlives the reader's restarts, and
//! writes as a talking device does: without looking whether anybody listens.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

use super::clock::now_us;

/// How long a write waits for room. A full terminal means that nobody reads.
const ROOM_WITHIN: Duration = Duration::from_millis(200);
const ROOM_EVERY: Duration = Duration::from_millis(2);
/// How long the terminal stays after the last byte: when its master goes, what nobody has read yet
/// goes with it, which on a real line it does not.
const LINGER: Duration = Duration::from_millis(500);

/// The device's end of the line.
pub struct Pty {
    master: File,
    /// Held open only.
    _slave: OwnedFd,
    link: PathBuf,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// All bytes are in the terminal since that moment.
    At(i64),
    /// There was no room: nobody listens.
    NobodyListens,
}

impl Pty {
    /// A terminal in raw mode, to be found at `link`. A link that is left from before is replaced;
    /// anything else that stands there is not.
    pub fn open(link: &Path) -> io::Result<Self> {
        let pair = nix::pty::openpty(None, None)?;
        let mut raw = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut raw);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &raw)?;
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let name = nix::unistd::ttyname(&pair.slave)?;
        if std::fs::symlink_metadata(link).is_ok_and(|found| found.is_symlink()) {
            std::fs::remove_file(link)?;
        }
        std::os::unix::fs::symlink(name, link)?;
        Ok(Self { master: File::from(pair.master), _slave: pair.slave, link: link.to_owned() })
    }

    /// Writes all of it, or as much as there is room for within a moment.
    pub async fn write(&mut self, mut bytes: &[u8]) -> io::Result<Written> {
        let mut waited = Duration::ZERO;
        while !bytes.is_empty() {
            match self.master.write(bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if waited >= ROOM_WITHIN {
                        return Ok(Written::NobodyListens);
                    }
                    tokio::time::sleep(ROOM_EVERY).await;
                    waited += ROOM_EVERY;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Written::At(now_us()))
    }

    /// What whoever holds the other end has written; nothing if nothing comes within the time.
    pub async fn read(&mut self, within: Duration) -> io::Result<Vec<u8>> {
        let mut buffer = [0; 512];
        let mut waited = Duration::ZERO;
        loop {
            match self.master.read(&mut buffer) {
                Ok(count) => return Ok(buffer.get(..count).unwrap_or_default().to_vec()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && waited < within => {
                    tokio::time::sleep(ROOM_EVERY).await;
                    waited += ROOM_EVERY;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Vec::new()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// What somebody has written to the device since the last look.
    pub fn heard(&mut self) -> io::Result<Vec<u8>> {
        let (mut heard, mut buffer) = (Vec::new(), [0; 512]);
        loop {
            match self.master.read(&mut buffer) {
                Ok(0) => return Ok(heard),
                Ok(count) => heard.extend_from_slice(buffer.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(heard),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the reader have the last bytes, then takes the line away.
    pub async fn unplug(self) {
        tokio::time::sleep(LINGER).await;
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Whoever comes later must not find a link to a terminal that is gone.
        let _ = std::fs::remove_file(&self.link);
    }
}
