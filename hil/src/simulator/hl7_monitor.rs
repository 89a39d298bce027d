//! Bedside monitors that send HL7 v2 over MLLP, each by its sheet (facts/monitors.md 6 and 9) and
//! by the published message that the sheet names. What neither says, no monitor here does.
//!
//! | dialect | what is its own |
//! |---|---|
//! | `pcd-01` | IHE PCD-01 as the standard has it, of no maker |
//! | `mindray-vs` | demo mode in OBX-8; a cuff pressure with its own time, OBX-17 APERIODIC |
//! | `mindray-xh80x` | HL7 2.4; numbers that stand for no value, OBX-11 empty |
//! | `piic-mdil` | MDIL codes, OBX-1 empty, an empty field of status X, alerts as text, ISO 8859-1 |
//! | `efficia-cm` | OBR-4 MONITOR or ALARM; status X with and without a number |
//! | `ge-b-series` | asks for AA; status R; times without offset; one code under two channels |
//!
//! All but the first start up with sensors that measure nothing yet, and wait for the
//! acknowledgement of a message as long as the connection stands.

mod ge_b_series;
mod mindray;
mod pcd_01;
mod philips;
mod rows;

use std::io;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::clock::now_us;
use super::hl7::Times;
use super::mllp::{Message, Sender};
use super::random::Random;
use super::scripted::{DARK, noise, told_on};
use super::{Bench, NetworkOptions};

/// One piece of noise in so many messages, if noise is wanted.
const NOISE: u64 = 20;

/// A monitor on the network.
#[derive(Args, Clone, Debug)]
pub struct MonitorOptions {
    #[command(flatten)]
    pub network: NetworkOptions,
    /// Which monitor it is.
    #[arg(long, value_enum, default_value_t = Dialect::Pcd01)]
    pub dialect: Dialect,
    /// Send foreign bytes and messages that break off now and then.
    #[arg(long)]
    pub noise: bool,
    /// Go dark after so many seconds of sending, for three seconds, and forget everything.
    #[arg(long, value_name = "SECONDS")]
    pub power_cycle: Option<u64>,
}

/// Which monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dialect {
    #[value(name = "pcd-01")]
    Pcd01,
    MindrayVs,
    #[value(name = "mindray-xh80x")]
    MindrayXh80x,
    PiicMdil,
    EfficiaCm,
    #[value(name = "ge-b-series")]
    GeBSeries,
}

/// A monitor, from the moment when it is switched on.
pub trait Monitor {
    /// What it sends next: its values, and in some dialects an alarm behind them. Messages are
    /// numbered on the wire from the moment when it was switched on.
    fn say(&mut self, times: &mut Times, random: &mut Random) -> Vec<Message>;
}

impl Dialect {
    fn switched_on(self, serial: &str) -> Box<dyn Monitor> {
        match self {
            Self::Pcd01 => Box::new(pcd_01::Monitor::new(serial.to_owned())),
            Self::MindrayVs => Box::new(mindray::Vs::new(serial)),
            Self::MindrayXh80x => Box::new(mindray::Xh80x::new(serial)),
            Self::PiicMdil => Box::new(philips::Piic::new()),
            Self::EfficiaCm => Box::new(philips::Efficia::new(serial)),
            Self::GeBSeries => Box::new(ge_b_series::Monitor::new(serial)),
        }
    }
}

/// Sends until the time is over; an error if a message was acknowledged otherwise than it asked
/// for.
pub async fn run(options: MonitorOptions) -> io::Result<()> {
    let MonitorOptions { network, dialect, .. } = options;
    let mut bench = Bench::set_up(network.common)?;
    let sender = Sender::new(network.connect);
    // Whether such a monitor sends again what nobody has acknowledged is in no source.
    let mut sender = if dialect == Dialect::Pcd01 { sender } else { sender.that_waits() };
    if bench.stop.clone().or(sender.connected()).await.is_none() || !bench.go().await {
        return Ok(());
    }
    let serial = bench.common.serial.clone();
    // A clock goes on while its device is dark.
    let mut times = Times::default();
    let mut monitor = dialect.switched_on(&serial);
    let mut number = 0;
    let begun = Instant::now();
    let mut cycle = options.power_cycle.map(Duration::from_secs);
    loop {
        if cycle.is_some_and(|after| begun.elapsed() >= after) {
            cycle = None;
            sender.hang_up();
            if bench.stop.or(tokio::time::sleep(DARK)).await.is_none() {
                break;
            }
            monitor = dialect.switched_on(&serial);
        }
        let said = monitor.say(&mut times, &mut bench.random);
        let last = said.last().map(Message::block).unwrap_or_default();
        for message in said {
            number += 1;
            let message = Message { number, ..message };
            if !sender.deliver(&message, &mut bench.log, &bench.stop).await? {
                return told_on(sender.breaches);
            }
        }
        if options.noise && bench.random.once_in(NOISE) {
            number += 1;
            disturb(&mut sender, &mut bench, number, &last).await?;
        }
        if !bench.next().await {
            break;
        }
    }
    told_on(sender.breaches)
}

/// Foreign bytes between two messages, or a message that breaks off in its header.
async fn disturb(
    sender: &mut Sender,
    bench: &mut Bench,
    number: u64,
    block: &[u8],
) -> io::Result<()> {
    let (bytes, why) = match bench.random.once_in(2) {
        true => (noise(&mut bench.random), "foreign bytes"),
        false => (block.iter().take(CUT_AFTER).copied().collect(), "a message that breaks off"),
    };
    if sender.tell(&bytes).await {
        return bench.log.refused(number, why, now_us());
    }
    bench.log.dropped(number, "nobody listens")
}

/// Within the header of every dialect.
const CUT_AFTER: usize = 20;

#[cfg(test)]
mod tests;
