//! A serial line: a pseudo-terminal behind a path that stays the same, as udev gives it.
//!
//! What is written while nobody has the line open is gone, as on a wire.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};

/// The device's end.
pub struct Line {
    master: File,
    slave: PathBuf,
    path: PathBuf,
    /// Somebody had it open at the last look.
    was_open: bool,
}

impl Line {
    /// Plugs a device in behind `path`.
    pub fn plug(path: &Path) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("granted");
        unlockpt(&master).expect("unlocked");
        let slave = ptsname(&master, Vec::new()).expect("a name");
        let slave = PathBuf::from(slave.into_string().expect("a path in ASCII"));
        std::os::unix::fs::symlink(&slave, path).expect("the stable path");
        let mut line =
            Self { master: File::from(master), slave, path: path.to_owned(), was_open: false };
        line.forget();
        line
    }

    /// Whether somebody has it open. A slave that was never opened looks open to poll, so it has
    /// been opened once by [`Line::plug`].
    pub fn is_open(&self) -> bool {
        let mut look = [PollFd::new(&self.master, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut look, Some(&now)).expect("a look at the line");
        !look[0].revents().contains(PollFlags::HUP)
    }

    /// Sends bytes; `false` if nobody has the line open and they are gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<bool> {
        if !self.is_open() {
            if self.was_open {
                self.forget();
            }
            self.was_open = false;
            return Ok(false);
        }
        self.was_open = true;
        self.master.write_all(bytes)?;
        Ok(true)
    }

    /// A wire keeps nothing: what nobody has read is gone.
    pub fn forget(&mut self) {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(&self.slave, flags, Mode::empty()).expect("the other end");
        let mut terminal = tcgetattr(&slave).expect("its settings");
        terminal.make_raw();
        tcsetattr(&slave, OptionalActions::Now, &terminal).expect("raw");
        tcflush(&slave, QueueSelector::IOFlush).expect("flushed");
    }
}

impl Drop for Line {
    /// Unplugs the device.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
