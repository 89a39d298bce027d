//! What every device that is asked has: a line, an ear, a log, and a switch.

use std::io;
use std::time::{Duration, Instant};

use super::ear::{Ear, Form, Heard, LOOK_EVERY};
use super::log::Reading;
use super::pty::{Pty, Written};
use super::scripted::{DARK, Said, noise, told_on};
use super::{AskedOptions, Bench, clock};

/// One stretch of foreign bytes in so many messages, if noise is wanted.
const NOISE: u64 = 20;

pub struct Asked {
    pub bench: Bench,
    pty: Pty,
    ear: Ear,
    pub message: u64,
    noise: bool,
    begun: Instant,
    cycle: Option<Duration>,
}

impl Asked {
    /// `known` requests, of which none may come sooner than `apart` after another.
    pub fn set_up(options: AskedOptions, known: Vec<Form>, apart: Duration) -> io::Result<Self> {
        let pty = Pty::open(&options.serial.link)?;
        let bench = Bench::set_up(options.serial.common)?;
        let cycle = options.power_cycle.map(Duration::from_secs);
        let noise = options.serial.noise;
        let begun = Instant::now();
        Ok(Self { bench, pty, ear: Ear::new(known, apart), message: 0, noise, begun, cycle })
    }

    /// Waits for the word to go; `false` if it is to stop at once.
    pub async fn go(&mut self) -> bool {
        let goes = self.bench.go().await;
        self.begun = Instant::now();
        goes
    }

    /// Lets a moment pass and says what was asked in it; `None` if it is to stop. `answers` are
    /// requests that may come at any time.
    pub async fn look(&mut self, answers: &[usize]) -> io::Result<Option<Vec<(usize, Vec<u8>)>>> {
        if self.bench.stop.or(tokio::time::sleep(LOOK_EVERY)).await.is_none() {
            return Ok(None);
        }
        let mut requests = Vec::new();
        for heard in self.ear.hear(&self.pty.heard()?, Instant::now(), answers) {
            match heard {
                Heard::Request(index, bytes) => requests.push((index, bytes)),
                Heard::Breach(what) => self.bench.log.breach(self.message, &what)?,
            }
        }
        Ok(Some(requests))
    }

    /// Once, at its time: dark for a while. `true` if it has just been switched on again, with
    /// everything forgotten.
    pub async fn was_switched_off(&mut self) -> io::Result<bool> {
        if self.cycle.is_none_or(|after| self.begun.elapsed() < after) {
            return Ok(false);
        }
        self.cycle = None;
        self.bench.stop.or(tokio::time::sleep(DARK)).await;
        // What was sent meanwhile reached nobody.
        self.pty.heard()?;
        Ok(true)
    }

    /// A message with values.
    pub async fn say(&mut self, said: Said) -> io::Result<u64> {
        self.message += 1;
        let message = self.message;
        match self.pty.write(&said.bytes).await? {
            Written::At(sent_us) => {
                for (parameter, value) in said.values {
                    let reading = Reading::new(&message.to_string(), parameter, value);
                    self.bench.log.sent(message, &reading, sent_us)?;
                }
                self.bench.log.flush()?;
            }
            Written::NobodyListens => self.bench.log.dropped(message, "nobody listens")?,
        }
        if self.noise && self.bench.random.once_in(NOISE) {
            self.message += 1;
            let foreign = noise(&mut self.bench.random);
            if let Written::At(sent_us) = self.pty.write(&foreign).await? {
                self.bench.log.refused(self.message, "foreign bytes", sent_us)?;
            }
        }
        Ok(message)
    }

    /// Bytes without a value.
    pub async fn tell(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pty.write(bytes).await.map(|_| ())
    }

    /// The gateway acknowledged a message.
    pub fn acknowledged(&mut self, message: u64) -> io::Result<()> {
        self.bench.log.acknowledged(message, clock::now_us())
    }

    /// The gateway did something wrong that the ear cannot know.
    pub fn breach(&mut self, what: &str) -> io::Result<()> {
        self.ear.breaches += 1;
        self.bench.log.breach(self.message, what)
    }

    /// Lets the reader have the last bytes. An error if the device was sent what it must not be.
    pub async fn end(self) -> io::Result<()> {
        self.pty.unplug().await;
        told_on(self.ear.breaches)
    }
}
