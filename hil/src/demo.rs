//! `wardgate-hil demo`: the whole house on one computer without hardware, and a comparison of what
//! the simulated devices sent with what the stand-in core has.
//!
//! Gateway, core and five devices are processes of their own over real transports: pseudo
//! terminals, TCP on loopback, MQTT. Everything lies in a temporary folder, which is kept only when
//! the comparison does not come out even. What it proves is self-consistency: the devices are ours.

mod acknowledged;
mod bedside;
mod charted;
mod children;
mod join;
mod plan;
mod process;
mod report;
mod status;
mod stored;
mod ward;
mod watch;
mod waveforms;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::simulator;
use crate::simulator::log::Line;
use children::Children;
use plan::Plan;
use report::Report;
use status::Snapshot;
use ward::Ward;
use watch::Watch;

pub use children::{Leash, leashed};

/// How long the core, the gateway and the links may take to come up.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// A device that is told to stop finishes its message: at most one round of its own timers.
const DEVICES_STOP_WITHIN: Duration = Duration::from_secs(20);
/// How long the last records may take to the core.
const EMPTY_WITHIN: Duration = Duration::from_secs(15);
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// A minute is charted so long after its end: the gateway waits two seconds for late values.
const CHARTED_IN: Duration = Duration::from_secs(4);
/// How often anything is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// `wardgate-hil demo`
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How long the devices send: 20s, 2m, 1h.
    #[arg(long = "for", value_name = "TIME", default_value = "20s", value_parser = duration)]
    pub time: Duration,
    /// The last line of standard output is one JSON object; progress goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// Which ward is shown.
    #[arg(long, value_enum, default_value_t = Ward::Mixed)]
    pub ward: Ward,
    /// Keep the folder with configuration, journal, logs and the core's store.
    #[arg(long)]
    pub keep: bool,
    /// The gateway's binary; otherwise the one beside this program, built first under cargo.
    #[arg(long)]
    pub gateway: Option<PathBuf>,
    /// The folder with the device files; otherwise the repository's.
    #[arg(long)]
    pub device_profiles: Option<PathBuf>,
}

/// Why the demo could not be shown, or did not end well.
#[derive(Debug)]
pub enum Error {
    Io(String, std::io::Error),
    /// A child ended or did not come up; its last words.
    Child(String),
    Late(String),
    Interrupted,
    /// The comparison did not come out even.
    Uneven(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(what, error) => write!(f, "{what}: {error}"),
            Self::Child(what) | Self::Late(what) | Self::Uneven(what) => f.write_str(what),
            Self::Interrupted => f.write_str("interrupted; everything was stopped"),
        }
    }
}

/// `20s`, `2m`, `1h`, `1500ms`, or seconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 =
        digits.parse().map_err(|_| format!("expected a time such as 20s or 2m, got {text:?}"))?;
    match text.get(digits.len()..).unwrap_or_default() {
        "ms" => Ok(Duration::from_millis(number)),
        "" | "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        "h" => Ok(Duration::from_secs(number.saturating_mul(3600))),
        unit => Err(format!("expected the unit ms, s, m or h, got {unit:?}")),
    }
}

/// Shows the demo.
///
/// # Errors
/// It could not be shown, was interrupted, or a reading was lost, doubled or changed.
pub async fn run(options: Options) -> Result<(), Error> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |error| Error::Io(what, error)
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(io("signals"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("signals"))?;
    let folder = tempfile::Builder::new()
        .prefix("wardgate-demo-")
        .tempdir()
        .map_err(io("temporary folder"))?;
    let mut children = Children::new(folder.path().to_owned());
    let shown = tokio::select! {
        biased;
        _ = terminate.recv() => Err(Error::Interrupted),
        _ = interrupt.recv() => Err(Error::Interrupted),
        shown = show(&options, folder.path(), &mut children) => shown,
    };
    // Whatever is still running ends here, before the folder goes.
    drop(children);
    let uneven = matches!(shown, Err(Error::Uneven(_) | Error::Child(_) | Error::Late(_)));
    if options.keep || uneven {
        eprintln!("kept: {}", folder.keep().display());
    }
    shown
}

async fn show(options: &Options, folder: &Path, children: &mut Children) -> Result<(), Error> {
    let mut watch = Watch::new(options);
    let gateway = match &options.gateway {
        Some(path) => path.clone(),
        None => children::built_gateway(&watch)?,
    };
    let mut plan = Plan::new(options, folder)?;
    plan.ask_for_waveforms()?;
    let plan = plan;
    watch.say("starting the cores, the devices that wait to be asked and the gateway");
    let core_ports = start_cores(&plan, children).await?;
    let core_port = core_ports.get(plan::CORE).copied().unwrap_or_default();
    let acknowledged = acknowledged::listen(core_port).await?;
    plan.start_waiting_devices(children)?;
    until("the serial lines", || plan.serial_lines_are_there(), children).await?;
    plan.write_configuration(&core_ports)?;
    plan.start_gateway(&gateway, children)?;
    let listening = |snapshot: &Snapshot| plan.listening(snapshot).is_some();
    let snapshot = until_status("the gateway's ports", &plan, children, listening).await?;
    plan.bedside.admit().await?;
    watch.say(&plan.bedside.words());
    watch.say("the gateway listens; the devices that connect to it do so");
    plan.start_network_devices(&plan.listening(&snapshot).unwrap_or_default(), children)?;
    until_status("all links", &plan, children, |snapshot| plan.all_up(snapshot)).await?;
    children.say_go()?;
    watch.go(&plan);
    let gateway = children.id(plan::GATEWAY).and_then(process::Watched::new);
    let end = Instant::now() + options.time;
    while Instant::now() < end {
        tokio::time::sleep(LOOK_EVERY).await;
        watch.look(&plan);
        children.all_running()?;
    }
    let cost = gateway.and_then(|gateway| gateway.cost());
    watch.say("the devices finish their messages; the gateway empties its journal");
    children.stop(plan.devices(), DEVICES_STOP_WITHIN).await?;
    if options.ward.charts() {
        until_charted(children, &watch).await?;
    }
    let snapshot = until_empty(&plan, children, &watch).await?;
    watch.look(&plan);
    children.stop([plan::GATEWAY], STOP_WITHIN).await?;
    let times = acknowledged.finish().await;
    children.stop(plan.cores().iter().copied(), STOP_WITHIN).await?;
    watch.done();
    let sent = sent(&plan)?;
    let records = stored::read(&plan.store(), &times)
        .map_err(|error| Error::Io(plan.store().display().to_string(), error))?;
    let mut report = Report::new(&plan, &sent, &records, &snapshot);
    if options.ward.charts() {
        let chart = plan.store_of(plan::CHART);
        let charted = charted::compare(&plan.store(), &chart)
            .map_err(|error| Error::Io(chart.display().to_string(), error))?;
        report.charted = Some(charted);
    }
    if options.ward.has_waveforms() {
        let store = plan.store_of(plan::WAVEFORMS);
        let found = waveforms::Waveforms::read(&store)
            .map_err(|error| Error::Io(store.display().to_string(), error))?;
        report.waveforms = Some(found);
    }
    report.cost = cost;
    report.show(options.json);
    report.verdict().map_err(Error::Uneven)
}

async fn start_cores(
    plan: &Plan,
    children: &mut Children,
) -> Result<BTreeMap<&'static str, u16>, Error> {
    plan.start_cores(children)?;
    let mut ports = BTreeMap::new();
    let there = || {
        ports =
            plan.cores().iter().filter_map(|core| Some((*core, plan.core_port(core)?))).collect();
        ports.len() == plan.cores().len()
    };
    until("the stand-in cores", there, children).await?;
    Ok(ports)
}

/// Looks again and again until it is there, all children still run, or it takes too long.
async fn until(
    what: &str,
    mut there: impl FnMut() -> bool,
    children: &mut Children,
) -> Result<(), Error> {
    let end = Instant::now() + UP_WITHIN;
    while !there() {
        children.all_running()?;
        if Instant::now() > end {
            return Err(Error::Late(format!("{what}: not there after {UP_WITHIN:?}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn until_status(
    what: &str,
    plan: &Plan,
    children: &mut Children,
    fits: impl Fn(&Snapshot) -> bool,
) -> Result<Snapshot, Error> {
    let mut last = None;
    let there = || {
        last = status::ask(&plan.socket()).ok();
        last.as_ref().is_some_and(&fits)
    };
    let waited = until(what, there, children).await;
    match (waited, last) {
        (Ok(()), Some(snapshot)) => Ok(snapshot),
        (Ok(()), None) => Err(Error::Late(format!("{what}: the gateway gave no status"))),
        (Err(Error::Late(late)), Some(snapshot)) => {
            Err(Error::Late(format!("{late}: {}", snapshot.troubles())))
        }
        (Err(error), _) => Err(error),
    }
}

/// Waits until everything that was taken is with the core. What is still missing then shows in the
/// comparison.
async fn until_empty(
    plan: &Plan,
    children: &mut Children,
    watch: &Watch,
) -> Result<Snapshot, Error> {
    let end = Instant::now() + EMPTY_WITHIN;
    loop {
        children.running(plan.cores().iter().copied().chain([plan::GATEWAY]))?;
        let snapshot = status::ask(&plan.socket())
            .map_err(|error| Error::Io("the gateway's status".to_owned(), error))?;
        if snapshot.backlog() == 0 {
            return Ok(snapshot);
        }
        if Instant::now() > end {
            let backlog = snapshot.backlog();
            watch.say(&format!("{backlog} records are still not with the core; going on"));
            return Ok(snapshot);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Waits until the minute in which the devices stopped is charted.
async fn until_charted(children: &mut Children, watch: &Watch) -> Result<(), Error> {
    let now = simulator::clock::now_us();
    let over = now + (-now).rem_euclid(charted::MINUTE_US);
    let end = u64::try_from(over - now).map(Duration::from_micros).unwrap_or_default() + CHARTED_IN;
    watch.say(&format!("{} s until the minute is over and charted", end.as_secs()));
    let end = Instant::now() + end;
    while Instant::now() < end {
        children.running([plan::GATEWAY, plan::CORE, plan::CHART])?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// All lines of all send logs.
fn sent(plan: &Plan) -> Result<Vec<Line>, Error> {
    let mut lines = Vec::new();
    for device in plan.devices() {
        let path = plan.log(device);
        let failed = |error| Error::Io(path.display().to_string(), error);
        let file = std::fs::File::open(&path).map_err(failed)?;
        for line in BufReader::new(file).lines() {
            let line = serde_json::from_str(&line.map_err(failed)?);
            lines.push(line.map_err(|error| failed(error.into()))?);
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("20"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert!(duration("soon").is_err() && duration("5d").is_err() && duration("").is_err());
    }
}
