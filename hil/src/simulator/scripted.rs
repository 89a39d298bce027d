//! Devices that only talk, each by its sheet: whatever is written to them is a breach.
//!
//! | kind | what a message is | source |
//! |---|---|---|
//! | `rad-8` | a line, 000 for no value | manual p. 4-24 |
//! | `n-395`, `n-595` | header lines now and then, a row | facts/monitors.md 4.2 |
//! | `nonin-ascii` | a line | manuals |
//! | `nonin-7-13` | a packet of 25 frames | facts/monitors.md 4.3 |
//! | `ivy-450c` | a record with waveform bytes and lines | the recorded stream |

use std::io;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::ear::{Ear, Heard};
use super::log::Reading;
use super::pty::{Pty, Written};
use super::random::Random;
use super::{AskedOptions, Bench, ScriptedOptions};

mod kinds;

/// One damaged message in so many, if noise is wanted.
const NOISE: u64 = 20;
/// How long a device is dark when it is switched off and on.
pub const DARK: Duration = Duration::from_secs(3);

/// Which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    #[value(name = "rad-8")]
    Rad8,
    #[value(name = "n-395")]
    N395,
    #[value(name = "n-595")]
    N595,
    NoninAscii,
    #[value(name = "nonin-7-13")]
    Nonin713,
    #[value(name = "ivy-450c")]
    Ivy450c,
}

/// One message: its bytes, and each value in it by the name that the core gives it.
pub struct Said {
    pub bytes: Vec<u8>,
    pub values: Vec<(&'static str, String)>,
}

/// What a device that only talks says next.
pub trait Talker {
    /// The next message.
    fn say(&mut self, random: &mut Random, serial: &str) -> Said;

    /// What it says when it is switched on, before the first message.
    fn greeting(&self) -> Vec<u8> {
        Vec::new()
    }
}

/// Runs one of the kinds.
pub async fn run(options: ScriptedOptions) -> io::Result<()> {
    let patient = kinds::Patient::new(options.kind);
    talk(options.asked, patient).await
}

/// Talks until the time is over; an error if anybody wrote to the device.
pub async fn talk(options: AskedOptions, mut talker: impl Talker) -> io::Result<()> {
    let mut pty = Pty::open(&options.serial.link)?;
    let mut bench = Bench::set_up(options.serial.common)?;
    let mut ear = Ear::new(Vec::new(), Duration::ZERO);
    let mut message = 0;
    let serial = bench.common.serial.clone();
    if !bench.go().await {
        return Ok(());
    }
    let begun = Instant::now();
    let mut cycle = options.power_cycle.map(Duration::from_secs);
    pty.write(&talker.greeting()).await?;
    loop {
        if cycle.is_some_and(|after| begun.elapsed() >= after) {
            cycle = None;
            if bench.stop.or(tokio::time::sleep(DARK)).await.is_none() {
                break;
            }
            pty.write(&talker.greeting()).await?;
        }
        message += 1;
        let said = talker.say(&mut bench.random, &serial);
        match pty.write(&said.bytes).await? {
            Written::At(sent_us) => {
                for (parameter, value) in said.values {
                    let reading = Reading::new(&message.to_string(), parameter, value);
                    bench.log.sent(message, &reading, sent_us)?;
                }
                bench.log.flush()?;
            }
            Written::NobodyListens => bench.log.dropped(message, "nobody listens")?,
        }
        if options.serial.noise && bench.random.once_in(NOISE) {
            message += 1;
            if let Written::At(sent_us) = pty.write(&noise(&mut bench.random)).await? {
                bench.log.refused(message, "foreign bytes", sent_us)?;
            }
        }
        let goes_on = bench.next().await;
        for heard in ear.hear(&pty.heard()?, Instant::now(), &[]) {
            if let Heard::Breach(what) = heard {
                bench.log.breach(message, &what)?;
            }
        }
        if !goes_on {
            break;
        }
    }
    pty.unplug().await;
    told_on(ear.breaches)
}

/// A device to which something was sent that nobody may send ends with an error.
pub fn told_on(breaches: u64) -> io::Result<()> {
    if breaches == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!("{breaches} times the device was sent what it must not be sent")))
}

/// Bytes that begin like no device and end a line, if lines are listened for.
pub fn noise(random: &mut Random) -> Vec<u8> {
    let mut noise: Vec<u8> =
        (0..12).map(|_| b'a' + u8::try_from(random.below(20)).unwrap_or(0)).collect();
    noise.extend_from_slice(b"\r\n");
    noise
}
