//! The phases of a run, each with processes and a folder of its own.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::disk;
use super::house::{Core, Gateway, SLOW_SYNC, Sync, can_be_slowed};
use super::load::{Load, Outcome, Until, percentile};
use super::reference::Reference;
use super::report::{Limit, Report, median};

/// At least half the reference's rate of acknowledgements.
const RATIO_MIN: f64 = 0.5;
/// Messages a second that reach the core and are acknowledged by it.
const DRAIN_MIN: f64 = 2_000.0;
const RESIDENT_MIB_MAX: f64 = 64.0;
/// Flat: what the second half of the backlog may add, in MiB.
const RESIDENT_GROWTH_MIB_MAX: f64 = 4.0;
const READY_MS_MAX: f64 = 1_000.0;
const SLOW_P99_MS_MAX: f64 = 1_000.0;
const WARM_UP: Duration = Duration::from_secs(1);
const DISK_TIME: Duration = Duration::from_secs(2);
/// The drain is measured over this time at most.
const DRAIN_TIME: Duration = Duration::from_secs(20);
/// A ward's worth of live messages.
const LIVE_PER_SECOND: u32 = 50;
/// Far longer than the slowest drain that anybody would still call one.
const LIVE_TIME_MAX: Duration = Duration::from_secs(600);
/// Journal records that wait until the core is back, per message: its bytes, and what they say.
const RECORDS_PER_MESSAGE: u64 = 2;

/// What a run is made of.
pub struct Plan {
    pub folder: PathBuf,
    pub rounds: usize,
    pub connections: Vec<usize>,
    pub without_core: bool,
    pub measured: Duration,
    pub records: u64,
    pub live_backlog: u64,
    pub store_bytes: u64,
    pub seed: u64,
}

pub type Phase = fn(&Plan, &mut Report) -> Result<(), String>;

fn text(error: std::io::Error) -> String {
    error.to_string()
}

/// A folder that is gone with whatever was in it.
struct Folder(PathBuf);

impl Folder {
    fn new(plan: &Plan) -> Result<Self, String> {
        std::fs::create_dir_all(&plan.folder).map_err(text)?;
        let folder = Self(std::fs::canonicalize(&plan.folder).map_err(text)?);
        folder.remove();
        std::fs::create_dir_all(&folder.0).map_err(text)?;
        Ok(folder)
    }

    fn remove(&self) {
        if self.0.exists() && std::fs::remove_dir_all(&self.0).is_err() {
            eprintln!("cannot remove {}", self.0.display());
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The disk, then reference and gateway in turn.
pub fn rates(plan: &Plan, report: &mut Report) -> Result<(), String> {
    let folder = Folder::new(plan)?;
    for &group in &plan.connections {
        let limit = disk::measure(&folder.0, group, DISK_TIME).map_err(text)?;
        let note = format!(
            "{:.0} syncs/s, p50 {:.0} us, p99 {:.0} us",
            limit.syncs_per_second, limit.p50_us, limit.p99_us
        );
        let what = format!("disk, {} records a sync", limit.group);
        report.add(what, limit.records_per_second, "/s", Limit::None, note);
    }
    drop(folder);
    for &connections in &plan.connections {
        let (mut references, mut gateways) = (Vec::new(), Vec::new());
        let (mut drains, mut costs) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            references.push(one_reference(plan, connections)?);
            let (outcome, drain, cost) = one_gateway(plan, connections)?;
            gateways.push(outcome);
            drains.push(drain);
            costs.push(cost);
        }
        let rate = |outcomes: &[Outcome]| median(outcomes.iter().map(Outcome::rate).collect());
        let wait = |outcomes: &[Outcome], share| {
            median(outcomes.iter().map(|one| one.wait_ms(share)).collect())
        };
        let waits = |outcomes: &[Outcome]| {
            format!("p50 {:.2} ms, p99 {:.2} ms", wait(outcomes, 0.5), wait(outcomes, 0.99))
        };
        let ratios: Vec<f64> = gateways
            .iter()
            .zip(&references)
            .map(|(one, other)| one.rate() / other.rate())
            .collect();
        let all: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        let of = |what: &str| format!("{what}, {connections} connections");
        report.add(of("reference"), rate(&references), "/s", Limit::None, waits(&references));
        let note = format!(
            "{}, {:.0}/s to the core meanwhile, {:.0} us of processor time a message",
            waits(&gateways),
            median(drains),
            median(costs),
        );
        report.add(of("gateway"), rate(&gateways), "/s", Limit::None, note);
        report.add(of("ratio"), median(ratios), "", Limit::AtLeast(RATIO_MIN), all.join(" "));
    }
    Ok(())
}

fn load(plan: &Plan, addresses: Vec<SocketAddr>, connections: usize) -> Load {
    let until = Until::Time { warm_up: WARM_UP, measured: plan.measured };
    Load { addresses, connections, until, pause: None, notes: false, seed: plan.seed }
}

fn one_reference(plan: &Plan, connections: usize) -> Result<Outcome, String> {
    let folder = Folder::new(plan)?;
    let reference = Reference::start(&folder.0).map_err(text)?;
    load(plan, vec![reference.address], connections).run()
}

/// What the senders saw, how many a second reached the core meanwhile, and the processor time that
/// the gateway took for an acknowledged message, its way to the core included.
fn one_gateway(plan: &Plan, connections: usize) -> Result<(Outcome, f64, f64), String> {
    let folder = Folder::new(plan)?;
    let core = Core::start(&folder.0, 0).map_err(text)?;
    let port = core.port;
    let core = Some(core).filter(|_| !plan.without_core);
    let gateway = Gateway::start(&folder.0, port, Sync::AsItIs).map_err(text)?;
    if core.is_some() {
        connected(&gateway)?;
    }
    let used = gateway.processor_seconds().map_err(text)?;
    let before: u64 = messages(&gateway)?;
    let began = Instant::now();
    let outcome = load(plan, gateway.addresses.clone(), connections).run()?;
    let seconds = began.elapsed().as_secs_f64();
    let used = gateway.processor_seconds().map_err(text)? - used;
    let taken = messages(&gateway)? - before;
    let acknowledged = gateway.acknowledged().map_err(text)?;
    Ok((outcome, acknowledged as f64 / seconds, used * 1e6 / taken.max(1) as f64))
}

fn messages(gateway: &Gateway) -> Result<u64, String> {
    let status = gateway.status().map_err(text)?;
    Ok(status.devices.iter().map(|device| device.messages).sum())
}

fn connected(gateway: &Gateway) -> Result<(), String> {
    let began = Instant::now();
    while !gateway.status().map_err(text)?.destinations.iter().all(|one| one.connected) {
        if began.elapsed() > Duration::from_secs(60) {
            return Err("the gateway does not reach the core".to_owned());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The acknowledgement's wait on a slow disk.
pub fn slow_disk(plan: &Plan, report: &mut Report) -> Result<(), String> {
    let what = format!("ACK p99, fdatasync + {} ms, 64 connections", SLOW_SYNC.as_millis());
    let limit = Limit::AtMost(SLOW_P99_MS_MAX);
    if !can_be_slowed() {
        report.add_unmeasured(what, limit, "needs strace with --seccomp-bpf");
        return Ok(());
    }
    let folder = Folder::new(plan)?;
    let core = Core::start(&folder.0, 0).map_err(text)?;
    let gateway = Gateway::start(&folder.0, core.port, Sync::Slowed).map_err(text)?;
    connected(&gateway)?;
    let outcome = load(plan, gateway.addresses.clone(), 64).run()?;
    let note = format!("{:.0} messages/s, p50 {:.1} ms", outcome.rate(), outcome.wait_ms(0.5));
    report.add(what, outcome.wait_ms(0.99), "ms", limit, note);
    Ok(())
}

/// Memory while records wait, the start on what is there then, and the drain.
pub fn memory(plan: &Plan, report: &mut Report) -> Result<(), String> {
    let folder = Folder::new(plan)?;
    // A port that is free, and then nobody is there.
    let port = Core::start(&folder.0, 0).map_err(text)?.port;
    let gateway = Gateway::start(&folder.0, port, Sync::AsItIs).map_err(text)?;
    let filled = fill(plan, &folder.0, &gateway)?;
    let note = format!(
        "{} messages wait, {:.1} GB on disk, taken at {:.0}/s",
        filled.messages, filled.gigabytes, filled.rate
    );
    let limit = Limit::AtMost(RESIDENT_MIB_MAX);
    report.add("resident memory, largest", filled.largest_mib, "MiB", limit, note);
    let grown = filled.end_mib - filled.half_mib;
    let note = format!("{:.1} MiB at half, {:.1} at the end", filled.half_mib, filled.end_mib);
    let limit = Limit::AtMost(RESIDENT_GROWTH_MIB_MAX);
    report.add("resident memory, growth", grown, "MiB", limit, note);
    drop(gateway);

    // After a SIGKILL, as after a power cut.
    let gateway = Gateway::start(&folder.0, port, Sync::AsItIs).map_err(text)?;
    let ready_ms = gateway.ready_after.as_secs_f64() * 1000.0;
    let note = format!("{:.1} GB of journal", filled.gigabytes);
    report.add("ready after a SIGKILL", ready_ms, "ms", Limit::AtMost(READY_MS_MAX), note);

    let _core = Core::start(&folder.0, port).map_err(text)?;
    connected(&gateway)?;
    let used = gateway.processor_seconds().map_err(text)?;
    let before = gateway.acknowledged().map_err(text)?;
    let began = Instant::now();
    while began.elapsed() < DRAIN_TIME && gateway.backlog().map_err(text)? > 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let drained = gateway.acknowledged().map_err(text)? - before;
    let rate = drained as f64 / began.elapsed().as_secs_f64();
    let used = gateway.processor_seconds().map_err(text)? - used;
    let each_us = used * 1e6 / drained.max(1) as f64;
    let note = format!("{each_us:.0} us of processor time each");
    report.add("drain to the core", rate, "/s", Limit::AtLeast(DRAIN_MIN), note);
    let resident = gateway.resident_mib().map_err(text)?;
    let limit = Limit::AtMost(RESIDENT_MIB_MAX);
    report.add("resident memory, draining", resident, "MiB", limit, "");
    Ok(())
}

struct Filled {
    messages: u64,
    /// Acknowledgements a second with nobody to forward to.
    rate: f64,
    gigabytes: f64,
    largest_mib: f64,
    half_mib: f64,
    end_mib: f64,
}

/// Fills the journal with nobody to take it, in ten parts, and looks at the memory after each.
fn fill(plan: &Plan, folder: &Path, gateway: &Gateway) -> Result<Filled, String> {
    let mut resident = Vec::new();
    let (mut messages, mut bytes, mut seconds) = (0, 0, 0.0);
    while messages < plan.records || bytes < plan.store_bytes {
        let part = (plan.records / 10).max(1_000);
        let addresses = gateway.addresses.clone();
        let until = Until::Messages(part);
        let seed = plan.seed + messages;
        let load = Load { addresses, connections: 64, until, pause: None, notes: false, seed };
        let outcome = load.run()?;
        messages += outcome.acknowledged;
        seconds += outcome.seconds;
        bytes = used_bytes(&folder.join("data/journal")).map_err(text)?;
        resident.push(gateway.resident_mib().map_err(text)?);
        eprintln!("  {messages} wait, {} MB, {:?} MiB", bytes >> 20, resident.last());
    }
    let status = gateway.status().map_err(text)?;
    let acknowledged: u64 = status.destinations.iter().map(|one| one.acknowledged).sum();
    let waiting = status.journal.durable - acknowledged;
    if waiting < messages * RECORDS_PER_MESSAGE {
        return Err(format!("{messages} messages were sent and only {waiting} records wait"));
    }
    let at = |index: usize| resident.get(index).copied().unwrap_or(0.0);
    Ok(Filled {
        messages,
        rate: messages as f64 / seconds,
        gigabytes: bytes as f64 / 1e9,
        largest_mib: resident.iter().copied().fold(0.0, f64::max),
        half_mib: at(resident.len() / 2),
        end_mib: at(resident.len() - 1),
    })
}

fn used_bytes(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// The parts of a line of the core's store that tell when a message reached it.
#[derive(Deserialize)]
struct Line {
    received_us: i64,
    record: Record,
}

#[derive(Deserialize)]
struct Record {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    times: Option<Times>,
}

#[derive(Deserialize)]
struct Times {
    device: Option<DeviceTime>,
}

#[derive(Deserialize)]
struct DeviceTime {
    as_written: String,
}

/// How long a live message takes to the core while a backlog drains.
pub fn live_beside_backlog(plan: &Plan, report: &mut Report) -> Result<(), String> {
    let folder = Folder::new(plan)?;
    let port = Core::start(&folder.0, 0).map_err(text)?.port;
    let gateway = Gateway::start(&folder.0, port, Sync::AsItIs).map_err(text)?;
    let addresses = gateway.addresses.clone();
    let until = Until::Messages(plan.live_backlog);
    let (connections, pause, seed) = (64, None, plan.seed);
    Load { addresses, connections, until, pause, notes: false, seed }.run()?;
    let core = Core::start(&folder.0, port).map_err(text)?;
    connected(&gateway)?;
    let backlog = gateway.backlog().map_err(text)?;
    let began = Instant::now();
    let mut sent: HashMap<String, i64> = HashMap::new();
    let mut drained_after = None;
    let part = Duration::from_secs(1);
    while drained_after.is_none() && began.elapsed() < LIVE_TIME_MAX {
        let live = Load {
            addresses: gateway.addresses.clone(),
            connections: 1,
            until: Until::Time { warm_up: Duration::ZERO, measured: part },
            pause: Some(Duration::from_secs(1) / LIVE_PER_SECOND),
            notes: true,
            seed: plan.seed + sent.len() as u64 + 1,
        };
        sent.extend(live.run()?.sent);
        if gateway.backlog().map_err(text)? < u64::from(LIVE_PER_SECOND) {
            drained_after = Some(began.elapsed());
        }
    }
    let Some(drained_after) = drained_after else {
        return Err(format!("{backlog} records did not drain"));
    };
    // What was sent last is on its way.
    while gateway.backlog().map_err(text)? > 0 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let waits = waits_us(&core.store, &sent).map_err(text)?;
    if waits.len() != sent.len() {
        return Err(format!("{} of {} live messages reached the core", waits.len(), sent.len()));
    }
    let seconds = drained_after.as_secs_f64();
    let note = format!(
        "p50 {:.0} ms, {} messages beside {backlog} records, drained in {seconds:.0} s",
        percentile(&waits, 0.5) / 1000.0,
        waits.len(),
    );
    let p99_ms = percentile(&waits, 0.99) / 1000.0;
    report.add("live to the core, p99, backlog draining", p99_ms, "ms", Limit::None, note);
    Ok(())
}

/// From the sender's clock to the core's, which are one clock here; ascending.
fn waits_us(store: &Path, sent: &HashMap<String, i64>) -> std::io::Result<Vec<u32>> {
    let mut waits = Vec::new();
    for line in BufReader::new(File::open(store)?).lines() {
        let line: Line = serde_json::from_str(&line?)?;
        let time = line.record.data.times.and_then(|times| times.device);
        let Some(sent_us) = time.and_then(|time| sent.get(&time.as_written).copied()) else {
            continue;
        };
        waits.push(u32::try_from(line.received_us - sent_us).unwrap_or(0));
    }
    waits.sort_unstable();
    Ok(waits)
}
