//! A Philips IntelliVue monitor that exports its data: over the LAN (UDP) and over a serial line.
//! Written from facts/monitors.md 1, both sides of it.
//!
//! | file | what |
//! |---|---|
//! | `monitor` | what the monitor does: association, polls, pushes, alarms, power cycles |
//! | `patient` | its numerics and alarms, and what of them a gateway must come to say |
//! | `waves` | the waves that a client has chosen |
//! | `messages` | fields and messages |
//! | `frame` | the serial line's framing |
//! | `judge` | what a client may send, and how soon |
//!
//! A message that a client must not send, or that comes too soon after its like, ends the simulator
//! with an error.

mod frame;
mod judge;
mod messages;
mod monitor;
mod patient;
mod waves;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::net::UdpSocket;

use super::clock::now_us;
use super::pty::{Pty, Written};
use super::{Bench, Common};
use monitor::{Monitor, Outgoing};

/// How often the monitor looks what is due.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// One frame in so many is followed by damaged and foreign bytes, if noise is wanted.
const NOISE: u64 = 10;
/// UDP on the LAN carries at most 1364 bytes, but a client may send what it likes.
const DATAGRAM_BYTES_MAX: usize = 4096;

/// What both links have.
#[derive(Args, Clone, Debug)]
pub struct MonitorOptions {
    #[command(flatten)]
    pub common: Common,
    /// Send damaged and foreign bytes now and then.
    #[arg(long)]
    pub noise: bool,
    /// The monitor is in demo mode: every value is marked, and none is a patient's.
    #[arg(long)]
    pub demo_mode: bool,
    /// Switch the monitor off after so many seconds of every association, and on again.
    #[arg(long, value_name = "SECONDS")]
    pub power_cycle: Option<u64>,
    /// Refuse this many associations first.
    #[arg(long, default_value_t = 0)]
    pub refuse: u32,
}

/// A monitor on the network.
#[derive(Args, Clone, Debug)]
pub struct LanOptions {
    #[command(flatten)]
    pub monitor: MonitorOptions,
    /// Where it takes associations, ADDRESS:PORT.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Whom it sends its Connect Indication, ADDRESS:PORT; nobody unless said.
    #[arg(long)]
    pub announce: Option<SocketAddr>,
}

/// A monitor on a serial line.
#[derive(Args, Clone, Debug)]
pub struct SerialLineOptions {
    #[command(flatten)]
    pub monitor: MonitorOptions,
    /// The symbolic link under which the serial line is to be found.
    #[arg(long)]
    pub link: PathBuf,
}

/// Runs the monitor on the network.
pub async fn run_lan(options: LanOptions) -> io::Result<()> {
    let socket = UdpSocket::bind(options.listen).await?;
    let mut bench = Bench::set_up(options.monitor.common.clone())?;
    let port = socket.local_addr()?.port();
    let mut monitor = Monitor::new(&options.monitor, port);
    let mut go = Go::new(&mut bench);
    let mut client: Option<SocketAddr> = None;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let looked = tokio::time::timeout(LOOK_EVERY, socket.recv_from(&mut buffer));
        let Some(heard) = bench.stop.or(looked).await else { return Ok(()) };
        let now_ms = go.now_ms();
        let mut outgoing = Vec::new();
        if let Ok(heard) = heard {
            let (count, from) = heard?;
            let message = buffer.get(..count).unwrap_or_default();
            client = Some(from);
            outgoing.extend(monitor.receive(message, now_ms).map_err(io::Error::other)?);
        }
        go.look(&mut bench);
        outgoing.extend(monitor.look(now_ms, go.is_on, &mut bench.random));
        if let (Some(to), Some(message)) = (options.announce, monitor.announcement(now_ms)) {
            socket.send_to(&message, to).await?;
        }
        let Some(client) = client else { continue };
        for Outgoing { message, readings, refused } in outgoing {
            // A client that is gone is an error of the next call on some systems: no matter here.
            let sent = socket.send_to(&message, client).await.is_ok();
            let number = monitor.next_number();
            log(&mut bench, number, sent.then(now_us), &readings, refused)?;
            if options.monitor.noise && bench.random.once_in(NOISE) {
                let noise = frame::noise(&mut bench.random, &message);
                socket.send_to(&noise, client).await?;
                let number = monitor.next_number();
                bench.log.refused(number, "damaged datagram", now_us())?;
            }
        }
    }
}

/// Runs the monitor on a serial line.
pub async fn run_serial(options: SerialLineOptions) -> io::Result<()> {
    let mut pty = Pty::open(&options.link)?;
    let mut bench = Bench::set_up(options.monitor.common.clone())?;
    let mut monitor = Monitor::new(&options.monitor, 0);
    let mut go = Go::new(&mut bench);
    let mut frames = frame::Frames::default();
    loop {
        let Some(heard) = bench.stop.or(pty.read(LOOK_EVERY)).await else {
            pty.unplug().await;
            return Ok(());
        };
        let now_ms = go.now_ms();
        let mut outgoing = Vec::new();
        for message in frames.take(&heard?).map_err(io::Error::other)? {
            outgoing.extend(monitor.receive(&message, now_ms).map_err(io::Error::other)?);
        }
        go.look(&mut bench);
        outgoing.extend(monitor.look(now_ms, go.is_on, &mut bench.random));
        for Outgoing { message, readings, refused } in outgoing {
            let sent = match pty.write(&frame::framed(&message)).await? {
                Written::At(sent_us) => Some(sent_us),
                Written::NobodyListens => None,
            };
            let number = monitor.next_number();
            log(&mut bench, number, sent, &readings, refused)?;
            if options.monitor.noise && bench.random.once_in(NOISE) {
                let noise = frame::noise(&mut bench.random, &frame::framed(&message));
                if let Written::At(sent_us) = pty.write(&noise).await? {
                    let number = monitor.next_number();
                    bench.log.refused(number, "damaged frame", sent_us)?;
                }
            }
        }
    }
}

/// What a message says goes into the log when it is on its way.
fn log(
    bench: &mut Bench,
    number: u64,
    sent_us: Option<i64>,
    readings: &[(String, String)],
    refused: Option<&'static str>,
) -> io::Result<()> {
    let Some(sent_us) = sent_us else { return bench.log.dropped(number, "nobody listens") };
    if let Some(why) = refused {
        return bench.log.refused(number, why, sent_us);
    }
    for (at, (parameter, value)) in readings.iter().enumerate() {
        let anchor = format!("{number}.{at}");
        let reading = super::log::Reading::new(&anchor, parameter, value.clone());
        bench.log.sent(number, &reading, sent_us)?;
    }
    bench.log.flush()
}

/// The word to go: before it the monitor associates and answers, and shows no value.
struct Go {
    began: Instant,
    is_on: bool,
    told: Option<tokio::task::JoinHandle<bool>>,
}

impl Go {
    fn new(bench: &mut Bench) -> Self {
        let waits = bench.common.wait_go;
        let told = waits.then(|| tokio::spawn(super::the_word_go()));
        let mut go = Self { began: Instant::now(), is_on: false, told };
        if !waits {
            go.begin(bench);
        }
        go
    }

    fn begin(&mut self, bench: &mut Bench) {
        self.is_on = true;
        if let Some(seconds) = bench.common.seconds {
            bench.stop.after(Duration::from_secs(seconds));
        }
    }

    fn look(&mut self, bench: &mut Bench) {
        if self.told.as_ref().is_some_and(tokio::task::JoinHandle::is_finished) {
            self.told = None;
            self.begin(bench);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
