//! What simulated devices have in common: their end of the line, and what they know of what they
//! sent. That outlives every house: a device counts what it saw acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::ports::{End, FromDevice, Sockets};
use crate::link::clock;
use crate::vocabulary::chance::Chance;

/// One device's own book.
#[derive(Debug)]
pub(super) struct Book {
    pub chance: Chance,
    /// The number of the newest message; they count from 1.
    pub newest: u64,
    /// No message above this one is made.
    pub last: u64,
    /// Of the newest message the device does not know yet whether it was taken.
    pub waits: bool,
    /// What it saw acknowledged.
    pub acknowledged: BTreeSet<u64>,
    /// When each was made, in microseconds since the box's boot.
    pub made: BTreeMap<u64, u64>,
    /// When the newest was begun, by the box's own clock, in UTC microseconds.
    pub begun_us: i64,
    /// Each message that was sent, and its first and last byte by that clock.
    pub sent: Vec<(u64, i64, i64)>,
    /// Damaged on purpose: whoever checks the checksum refuses them.
    pub damaged: BTreeSet<u64>,
    /// How often something happens to the line: once in so many messages, 0 for never.
    pub trouble_once_in: u64,
    pub pause_ms: u64,
}

/// A book that its device writes and the checks read.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<Mutex<Book>>);

impl Shared {
    pub fn new(chance: Chance, last: u64, pause_ms: u64, trouble_once_in: u64) -> Self {
        Self(Arc::new(Mutex::new(Book {
            chance,
            newest: 0,
            last,
            waits: false,
            acknowledged: BTreeSet::new(),
            made: BTreeMap::new(),
            begun_us: 0,
            sent: Vec::new(),
            damaged: BTreeSet::new(),
            trouble_once_in,
            pause_ms,
        })))
    }

    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap()
    }

    /// Waits until the next message is due and gives its number; `None` if there is none left.
    /// A message that waits for its acknowledgement comes first.
    pub async fn next(&self) -> Option<u64> {
        let wait_ms = {
            let mut book = self.book();
            if book.waits {
                return Some(book.newest);
            }
            if book.newest >= book.last {
                return None;
            }
            let pause_ms = book.pause_ms;
            book.chance.between(pause_ms / 2, pause_ms + pause_ms / 2)
        };
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        let mut book = self.book();
        book.newest += 1;
        let (now, newest) = (clock::now(), book.newest);
        book.begun_us = now.utc_us();
        book.made.insert(newest, now.monotonic_us());
        book.waits = true;
        Some(newest)
    }

    pub fn note_sent(&self, number: u64) {
        let mut book = self.book();
        if book.sent.last().is_none_or(|(last, ..)| *last < number) {
            let sent = (number, book.begun_us, clock::now().utc_us());
            book.sent.push(sent);
        }
    }

    pub fn note_acknowledged(&self, number: u64) {
        let mut book = self.book();
        book.acknowledged.insert(number);
        book.waits = false;
    }

    /// The device does not wait for an answer any more.
    pub fn give_up(&self) {
        self.book().waits = false;
    }

    /// What happens to the line with this message, if anything: a number below 8.
    pub fn trouble(&self) -> Option<u64> {
        let mut book = self.book();
        let once_in = book.trouble_once_in;
        book.chance.once_in(once_in).then(|| book.chance.below(8))
    }

    pub fn between(&self, first: u64, last: u64) -> u64 {
        self.book().chance.between(first, last)
    }
}

/// A device's line to the box.
pub(super) struct Line {
    name: String,
    sockets: Sockets,
    ends: UnboundedReceiver<End>,
    end: Option<End>,
    /// What the house said and the device has not looked at.
    pub heard: Vec<u8>,
}

impl Line {
    pub fn new(name: &str, sockets: &Sockets) -> Self {
        let ends = sockets.attach(name);
        let (name, sockets) = (name.to_owned(), sockets.clone());
        Self { name, sockets, ends, end: None, heard: Vec::new() }
    }

    /// The newest connection, if there is one.
    fn newest(&mut self) {
        while let Ok(end) = self.ends.try_recv() {
            self.end = Some(end);
            self.heard.clear();
        }
    }

    /// Waits until the house has opened the line.
    pub async fn connected(&mut self) {
        self.newest();
        if self.end.is_none()
            && let Some(end) = self.ends.recv().await
        {
            self.end = Some(end);
            self.heard.clear();
        }
    }

    /// Sends; `false` if nobody is there.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.newest();
        let what = FromDevice::Bytes(bytes.to_vec());
        let sent = self.end.as_ref().is_some_and(|end| end.to_house.send(what).is_ok());
        if !sent {
            self.end = None;
        }
        sent
    }

    /// The port fails under the house.
    pub fn fail(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.to_house.send(FromDevice::Fails(std::io::ErrorKind::InvalidData));
        }
    }

    /// The connection ends; the house may open it again at once.
    pub fn cut(&mut self) {
        self.newest();
        self.end = None;
    }

    /// The cable is out for so long.
    pub async fn unplug(&mut self, seconds: u64) {
        self.sockets.set_unplugged(&self.name, true);
        self.cut();
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.sockets.set_unplugged(&self.name, false);
    }

    /// What the house says within this time: `false` if nothing, or the connection ended.
    pub async fn hear(&mut self, within_ms: u64) -> bool {
        let Some(end) = &mut self.end else { return false };
        let within = Duration::from_millis(within_ms);
        match tokio::time::timeout(within, end.from_house.recv()).await {
            Ok(Some(bytes)) => {
                self.heard.extend(bytes);
                true
            }
            Ok(None) => {
                self.end = None;
                false
            }
            Err(_) => false,
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The next house finds the cable where it belongs.
        self.sockets.set_unplugged(&self.name, false);
    }
}
