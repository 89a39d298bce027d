//! Simulated devices over real transports, each a process of its own: `wardgate-hil device ...`.
//!
//! They are written from the protocols' descriptions, apart from the gateway's drivers: nothing
//! here uses a decoder, an encoder or a checksum of the library, so that a misreading would show.
//! They still come from the same house as the drivers: what they prove is self-consistency, not
//! how a real device behaves.
//!
//! | device | speaks as | transport | conversation |
//! |---|---|---|---|
//! | `line-oximeter` | Nordpuls PO-100, made up | pseudo terminal | nobody answers |
//! | `binary-oximeter` | Nordpuls BX-2, made up | pseudo terminal | nobody answers |
//! | `astm-analyser` | Laborin BG-7, made up | TCP, it connects | each frame acknowledged |
//! | `hl7-monitor` | PCD-01, or as Mindray, Philips, GE | TCP, it connects | acknowledged as it asks |
//! | `medibus-ventilator` | Dräger Evita 4 or Infinity V500 | pseudo terminal | it is asked, and asks |
//! | `dri-monitor` | GE S/5 or CARESCAPE | pseudo terminal | it is asked |
//! | `dash-monitor` | GE Dash, Unity network | UDP | it is asked, and broadcasts |
//! | `infusion-pump-gateway` | PCD-01, -10, -04 | TCP, it connects | each message acknowledged |
//! | `masimo-radical-7` | Masimo Radical-7 | pseudo terminal | nobody answers; whoever writes is told on |
//! | `capnostream` | Capnostream 20 | pseudo terminal | enabled, started, kept alive |
//! | `puritan-bennett-840` | Puritan Bennett 840 | pseudo terminal | asked for each report |
//! | `bis-vista` | BIS Vista | pseudo terminal | started; each frame acknowledged |
//! | `scripted` | Rad-8, N-395, N-595, Nonin, Ivy 450C | pseudo terminal | nobody answers; whoever writes is told on |
//! | `intellivue-lan` | Philips IntelliVue | UDP, it is asked | associated, polled |
//! | `intellivue-rs232` | Philips IntelliVue | pseudo terminal | associated, polled |

mod asked;
mod astm_analyser;
mod binary_oximeter;
mod bis_vista;
mod capnostream;
pub mod clock;
mod dri_monitor;
mod ear;
mod hl7;
mod hl7_monitor;
mod infusion_pump_gateway;
mod intellivue;
mod line_oximeter;
mod lis01;
pub mod log;
mod masimo_radical_7;
mod medibus;
mod mllp;
mod pty;
mod puritan_bennett_840;
mod random;
mod scripted;
mod unity_monitor;

use std::io::{self, BufRead};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};

use log::SendLog;
use random::Random;

/// `wardgate-hil device`
#[derive(Subcommand, Clone, Debug)]
pub enum Device {
    /// A pulse oximeter that sends lines of ASCII over a serial line (Nordpuls PO-100, made up).
    LineOximeter(SerialOptions),
    /// A pulse oximeter that sends binary frames over a serial line (Nordpuls BX-2, made up).
    BinaryOximeter(SerialOptions),
    /// A blood gas analyser that speaks ASTM over TCP (Laborin BG-7, made up).
    AstmAnalyser(AnalyserOptions),
    /// A bedside monitor that sends HL7 v2 over MLLP, in a dialect of Mindray, Philips or GE, or of
    /// no maker.
    Hl7Monitor(hl7_monitor::MonitorOptions),
    /// A Dräger ventilator that is asked over a serial line (MEDIBUS 4.03 or MEDIBUS.X).
    MedibusVentilator(medibus::VentilatorOptions),
    /// A GE monitor that is asked over a serial line (S/5 Computer Interface, DRI).
    DriMonitor(dri_monitor::MonitorOptions),
    /// A GE Dash that is asked over UDP and broadcasts its alarms (Unity network).
    DashMonitor(unity_monitor::DashOptions),
    /// An infusion pump gateway that sends IHE PCD-01, PCD-10 and PCD-04 over MLLP.
    InfusionPumpGateway(NetworkOptions),
    /// A pulse oximeter that sends `key=value` lines (Masimo Radical-7, from its sheet).
    #[command(name = "masimo-radical-7")]
    MasimoRadical7(AskedOptions),
    /// A capnograph that must be enabled, started and kept alive (Capnostream 20, from its sheet).
    Capnostream(AskedOptions),
    /// A ventilator that is asked for its reports (Puritan Bennett 840, from its sheet).
    #[command(name = "puritan-bennett-840")]
    PuritanBennett840(AskedOptions),
    /// A BIS monitor that wants each frame acknowledged (BIS Vista, from its sheet).
    BisVista(AskedOptions),
    /// A device that only talks, by its sheet.
    Scripted(ScriptedOptions),
    /// A Philips IntelliVue monitor that exports its data over the LAN.
    IntellivueLan(intellivue::LanOptions),
    /// A Philips IntelliVue monitor that exports its data over a serial line.
    IntellivueRs232(intellivue::SerialLineOptions),
}

/// What all devices take.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// The device's name in its send log.
    #[arg(long, default_value = "device")]
    pub name: String,
    /// Where to write what was sent, one JSON line each.
    #[arg(long)]
    pub log: Option<PathBuf>,
    /// The time between two messages.
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    pub every: u64,
    /// Stop after this many seconds of sending; otherwise on SIGTERM.
    #[arg(long = "for", value_name = "SECONDS")]
    pub seconds: Option<u64>,
    /// The same seed gives the same values.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The device's serial number.
    #[arg(long, default_value = "700123")]
    pub serial: String,
    /// Send nothing before a line `go` on standard input.
    #[arg(long)]
    pub wait_go: bool,
}

/// A device on a serial line.
#[derive(Args, Clone, Debug)]
pub struct SerialOptions {
    #[command(flatten)]
    pub common: Common,
    /// The symbolic link under which the serial line is to be found.
    #[arg(long)]
    pub link: PathBuf,
    /// Send damaged and foreign bytes now and then.
    #[arg(long)]
    pub noise: bool,
}

/// A device on a serial line that listens to what is written to it.
#[derive(Args, Clone, Debug)]
pub struct AskedOptions {
    #[command(flatten)]
    pub serial: SerialOptions,
    /// Go dark after so many seconds of sending, for three seconds, and forget everything.
    #[arg(long, value_name = "SECONDS")]
    pub power_cycle: Option<u64>,
}

/// Which device that only talks.
#[derive(Args, Clone, Debug)]
pub struct ScriptedOptions {
    #[command(flatten)]
    pub asked: AskedOptions,
    /// Which one.
    #[arg(long, value_enum)]
    pub kind: scripted::Kind,
}

/// A device on the network.
#[derive(Args, Clone, Debug)]
pub struct NetworkOptions {
    #[command(flatten)]
    pub common: Common,
    /// Whom the device connects to, HOST:PORT.
    #[arg(long)]
    pub connect: String,
}

/// An analyser on the network.
#[derive(Args, Clone, Debug)]
pub struct AnalyserOptions {
    #[command(flatten)]
    pub network: NetworkOptions,
    /// How records are put into frames.
    #[arg(long, value_enum, default_value_t = Packing::Alternating)]
    pub packing: Packing,
}

/// How records are put into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Packing {
    /// Each record in a frame of its own, every frame ending in ETX.
    Record,
    /// All records together, cut every 240 bytes with ETB.
    Packed,
    /// One message this way, the next one the other way.
    Alternating,
}

/// Runs one device until its time is over or it is told to stop.
///
/// # Errors
/// The device cannot go on: no terminal, no log, no address that makes sense.
pub async fn run(device: Device) -> io::Result<()> {
    match device {
        Device::LineOximeter(options) => line_oximeter::run(options).await,
        Device::BinaryOximeter(options) => binary_oximeter::run(options).await,
        Device::AstmAnalyser(options) => astm_analyser::run(options).await,
        Device::Hl7Monitor(options) => hl7_monitor::run(options).await,
        Device::MedibusVentilator(options) => medibus::run(options).await,
        Device::DriMonitor(options) => dri_monitor::run(options).await,
        Device::DashMonitor(options) => unity_monitor::run(options).await,
        Device::InfusionPumpGateway(options) => infusion_pump_gateway::run(options).await,
        Device::MasimoRadical7(options) => {
            scripted::talk(options, masimo_radical_7::Patient::new()).await
        }
        Device::Capnostream(options) => capnostream::run(options).await,
        Device::PuritanBennett840(options) => puritan_bennett_840::run(options).await,
        Device::BisVista(options) => bis_vista::run(options).await,
        Device::Scripted(options) => scripted::run(options).await,
        Device::IntellivueLan(options) => intellivue::run_lan(options).await,
        Device::IntellivueRs232(options) => intellivue::run_serial(options).await,
    }
}

/// What every device has: a log, chance, and an ear for the word to go and the word to stop.
struct Bench {
    log: SendLog,
    random: Random,
    stop: Stop,
    every: Duration,
    common: Common,
}

impl Bench {
    fn set_up(common: Common) -> io::Result<Self> {
        Ok(Self {
            log: SendLog::create(&common.name, common.log.as_deref())?,
            random: Random::new(common.seed),
            stop: Stop::on_signals()?,
            every: Duration::from_millis(common.every.max(1)),
            common,
        })
    }

    /// Waits for the word to go, if it is to be waited for; `false` if it is to stop at once.
    async fn go(&mut self) -> bool {
        if self.common.wait_go && !self.stop.or(the_word_go()).await.unwrap_or(false) {
            return false;
        }
        if let Some(seconds) = self.common.seconds {
            self.stop.after(Duration::from_secs(seconds));
        }
        !self.stop.is_asked()
    }

    /// Lets the time between two messages pass; `false` if it is to stop.
    async fn next(&mut self) -> bool {
        let pause = tokio::time::sleep(self.every);
        self.stop.or(pause).await.is_some()
    }
}

/// Whether the device was told to stop.
#[derive(Clone)]
struct Stop {
    asked: watch::Receiver<bool>,
    ask: watch::Sender<bool>,
}

impl Stop {
    fn on_signals() -> io::Result<Self> {
        let (ask, asked) = watch::channel(false);
        for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
            let (mut signal, ask) = (signal(kind)?, ask.clone());
            tokio::spawn(async move {
                signal.recv().await;
                ask.send_replace(true);
            });
        }
        Ok(Self { asked, ask })
    }

    fn after(&self, time: Duration) {
        let ask = self.ask.clone();
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            ask.send_replace(true);
        });
    }

    fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// What the future gives, or nothing if the word to stop comes first.
    async fn or<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            // The sender lives as long as this: an error cannot come.
            _ = self.asked.wait_for(|asked| *asked) => None,
            value = future => Some(value),
        }
    }
}

/// `true` with the line `go`; `false` if standard input ends before it.
async fn the_word_go() -> bool {
    let (tell, told) = oneshot::channel();
    // A thread of its own: a read of standard input cannot be cancelled.
    std::thread::spawn(move || {
        let lines = io::stdin().lock().lines();
        let gone = lines.map_while(Result::ok).any(|line| line.trim() == "go");
        // Nobody waits any more if the device was told to stop meanwhile.
        let _ = tell.send(gone);
    });
    told.await.unwrap_or(false)
}
