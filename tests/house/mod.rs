//! A house for tests: the gateway and the stand-in core as real processes, in a folder of their
//! own, on loopback only, and peers that speak to them from outside.
//!
//! It waits for conditions, never for seconds, and leaves no process behind: dropping it kills
//! both. A condition that does not come true within [`PATIENCE`] fails the test with the gateway's
//! log.

#![allow(dead_code)]

pub mod binary_oximeter;
pub mod core;
pub mod damage;
pub mod fhir;
pub mod hl7_core;
pub mod judges;
pub mod lis01;
pub mod mllp;
pub mod monitor;
pub mod oximeter;
pub mod phone;
pub mod process;
pub mod pty;
pub mod receiver;
pub mod region;
pub mod tls_front;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value as Json;
use tempfile::TempDir;
use wardgate::forward::stored::Stored;
use wardgate::gateway::status::{self, DeviceSnapshot, Snapshot};
use wardgate::journal::{Journal, Kind, Record};

use self::core::Core;

/// Far more than any condition needs on a small machine; who waits so long has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How long between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The `source` of every record.
pub const SOURCE: &str = "urn:uuid:5f0c1a52-8f2e-4a83-9d3e-3d3b0b6d2a11";

/// The repository.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What a test wants of its house.
#[derive(Clone)]
pub struct Plan {
    /// `[[device]]` tables, see [`device`].
    pub devices: String,
    pub mode: &'static str,
    /// The gateway's name.
    pub name: &'static str,
    pub zone: Option<&'static str>,
    /// More lines of `[gateway]`.
    pub gateway: String,
    /// More lines of the stand-in core's `[[destination]]` table.
    pub destination: String,
    /// `[[destination]]` tables instead of the stand-in core, which is then not started.
    pub destinations: Option<String>,
    /// What the gateway finds in its environment.
    pub environment: Vec<(String, String)>,
    /// Whether a write beyond the file size limit is an error, as on a full disk, and not the end
    /// of the process. See [`House::fill_disk`].
    pub survives_full_disk: bool,
    /// More words on the stand-in core's command line.
    pub core: &'static [&'static str],
}

impl Plan {
    /// A bench gateway with these devices and the stand-in core.
    pub fn of(devices: impl Into<String>) -> Self {
        Self {
            devices: devices.into(),
            mode: "bench",
            name: "box-1",
            zone: Some("Europe/Helsinki"),
            gateway: String::new(),
            destination: String::new(),
            destinations: None,
            environment: Vec::new(),
            survives_full_disk: false,
            core: &[],
        }
    }
}

/// A `[[device]]` table. `link` is the inside of its link, for example
/// `tcp_server = "127.0.0.1:0"`.
pub fn device(name: &str, profile: &str, firmware: &str, link: &str) -> String {
    format!(
        "[[device]]\nname = \"{name}\"\nprofile = \"{profile}\"\nplace = \"icu/bed-1\"\n\
         firmware = \"{firmware}\"\nlink = {{ {link} }}\n\n"
    )
}

/// Loopback, a port of the system's choice.
pub const TCP_SERVER: &str = "tcp_server = \"127.0.0.1:0\"";

/// Gateway and core in one folder.
pub struct House {
    folder: TempDir,
    plan: Plan,
    core: Option<Core>,
    gateway: Option<Child>,
}

impl House {
    /// Folder, core and configuration; the gateway is not started.
    pub fn build(plan: Plan) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = folder.path().join("core");
        let starts = plan.destinations.is_none();
        let core = starts.then(|| Core::start_with(&store, 0, plan.core));
        let house = Self { folder, plan, core, gateway: None };
        let text = house.configuration_text();
        std::fs::write(house.configuration(), text).expect("the configuration is written");
        house
    }

    /// A running house.
    pub fn open(plan: Plan) -> Self {
        let mut house = Self::build(plan);
        house.start();
        house
    }

    /// A path in the house's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.path("wardgate.toml")
    }

    /// The journal's folder.
    pub fn journal(&self) -> PathBuf {
        self.path("data").join("journal")
    }

    fn configuration_text(&self) -> String {
        let Plan { devices, mode, name, zone, gateway, destination, destinations, .. } = &self.plan;
        let zone = zone.map(|zone| format!("time_zone = \"{zone}\"\n")).unwrap_or_default();
        let (data, socket) = (self.path("data"), self.path("socket"));
        let destinations = destinations.clone().unwrap_or_else(|| {
            let port = self.core.as_ref().map_or(0, |core| core.port);
            format!("{}{destination}", mqtt_destination(port, ""))
        });
        format!(
            "[gateway]\nid = \"{SOURCE}\"\ntenant = \"demo\"\nsite = \"site\"\nward = \"icu\"\n\
             name = \"{name}\"\ndata = \"{}\"\nsocket = \"{}\"\ndevice_profiles = \"{}\"\n\
             mode = \"{mode}\"\n{zone}{gateway}\n\n{devices}\n{destinations}",
            data.display(),
            socket.display(),
            repository().join("device-profiles").display(),
        )
    }

    /// Starts the gateway and waits until it answers.
    pub fn start(&mut self) {
        assert!(self.gateway.is_none(), "the gateway runs already");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.path("log"));
        let wardgate = env!("CARGO_BIN_EXE_wardgate");
        let mut command = Command::new(if self.plan.survives_full_disk { "sh" } else { wardgate });
        if self.plan.survives_full_disk {
            command.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh", wardgate]);
        }
        let gateway = command
            .args(["run", "--config"])
            .arg(self.configuration())
            .env_remove("NOTIFY_SOCKET")
            .env_remove("JOURNAL_STREAM")
            .envs(self.plan.environment.clone())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log file"))
            .spawn();
        self.gateway = Some(gateway.expect("the gateway starts"));
        self.wait("the gateway answers", |house| {
            if let Some(child) = &mut house.gateway
                && let Some(ended) = child.try_wait().expect("the gateway can be asked")
            {
                panic!("the gateway ended: {ended}\n{}", house.log());
            }
            status::ask(&house.path("socket")).is_ok()
        });
    }

    /// The gateway's process id.
    pub fn gateway_id(&self) -> u32 {
        self.gateway.as_ref().expect("the gateway runs").id()
    }

    /// SIGTERM, and how the gateway ended.
    pub fn stop(&mut self) -> ExitStatus {
        let mut child = self.gateway.take().expect("the gateway runs");
        kill_process(Pid::from_child(&child), Signal::TERM).expect("SIGTERM is sent");
        let begun = Instant::now();
        loop {
            if let Some(ended) = child.try_wait().expect("the gateway can be asked") {
                return ended;
            }
            if begun.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                panic!("the gateway does not stop\n{}", self.log());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// SIGKILL, as a power cut looks to the gateway.
    pub fn kill_nine(&mut self) {
        let mut child = self.gateway.take().expect("the gateway runs");
        child.kill().expect("SIGKILL is sent");
        child.wait().expect("the gateway is gone");
    }

    /// From now on no file of the gateway grows beyond a size: what is there may be written over,
    /// as on a full disk, and a new segment of the journal finds no room.
    pub fn fill_disk(&self, file_bytes_max: u64) {
        self.limit_files(Some(file_bytes_max));
    }

    /// There is room again.
    pub fn empty_disk(&self) {
        self.limit_files(None);
    }

    fn limit_files(&self, current: Option<u64>) {
        let pid = Pid::from_child(self.gateway.as_ref().expect("the gateway runs"));
        let limit = Rlimit { current, maximum: None };
        prlimit(Some(pid), Resource::Fsize, limit).expect("the limit is set");
    }

    /// The gateway's log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// What the running gateway says of itself.
    pub fn status(&self) -> Snapshot {
        status::ask(&self.path("socket"))
            .unwrap_or_else(|error| panic!("status: {error}\n{}", self.log()))
    }

    /// One device of it.
    pub fn device(&self, name: &str) -> DeviceSnapshot {
        let devices = self.status().devices;
        devices.into_iter().find(|one| one.name == name).expect("the device is configured")
    }

    /// Where a listening device's link really listens.
    pub fn listening(&mut self, name: &str) -> SocketAddr {
        self.wait("the device listens", |house| !house.device(name).listening.is_empty());
        self.device(name).listening.parse().expect("an address")
    }

    /// Waits until a condition is true.
    pub fn wait(&mut self, what: &str, mut is_true: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !is_true(self) {
            if begun.elapsed() > PATIENCE {
                let status = status::ask(&self.path("socket"));
                panic!("waited in vain: {what}\n{status:#?}\n{}", self.log());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until the core has stored everything that the journal has for it, and the gateway
    /// knows it.
    pub fn settle(&mut self) {
        let routed: BTreeSet<u64> = self
            .journal_records()
            .iter()
            .filter(|record| {
                let stored = Stored::from_bytes(&record.payload);
                stored.is_some_and(|stored| stored.routes.contains_key("core"))
            })
            .map(|record| record.sequence.number())
            .collect();
        self.wait("the core has everything", |house| {
            let stored = house.stored();
            let has: BTreeSet<u64> =
                stored.iter().filter_map(|record| record["data"]["sequence"].as_u64()).collect();
            routed.is_subset(&has)
        });
        self.caught_up();
    }

    /// Waits until the gateway has been told that everything is stored.
    pub fn caught_up(&mut self) {
        self.wait("the gateway knows it", |house| {
            let done = |one: &status::DestinationSnapshot| one.connected && one.backlog == 0;
            house.status().destinations.iter().all(done)
        });
    }

    /// All records that the core has stored, in the order in which they came.
    pub fn stored(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.path("core")).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let line = |line: &str| -> Json { serde_json::from_str(line).expect("a line of JSON") };
        whole.map(|text| line(text)["record"].clone()).collect()
    }

    /// Stored records of one kind and device, by their sequence.
    pub fn stored_of(&self, kind: &str, device: &str) -> Vec<Json> {
        let kind = format!("fi.wardgate.{kind}.v1");
        let mut records: Vec<Json> = self
            .stored()
            .into_iter()
            .filter(|record| record["type"] == *kind && record["subject"] == *device)
            .collect();
        records.sort_by_key(|record| record["data"]["sequence"].as_u64());
        records
    }

    /// Waits until the core has this many observations of a device, and gives them.
    pub fn observations(&mut self, device: &str, count: usize) -> Vec<Json> {
        self.wait(&format!("{count} observations of {device}"), |house| {
            house.stored_of("observation", device).len() >= count
        });
        self.stored_of("observation", device)
    }

    /// The journal as it stands on the disk.
    pub fn journal_records(&self) -> Vec<Record> {
        let (mut reader, _) = Journal::open_read_only(&self.journal()).expect("a journal");
        let (mut records, mut next) = (Vec::new(), reader.first());
        loop {
            let read = reader.read_from(next, 1000, 16 << 20).expect("the journal is readable");
            assert!(read.missing.is_empty(), "no record is missing: {:?}", read.missing);
            if read.records.is_empty() {
                return records;
            }
            next = read.next;
            records.extend(read.records);
        }
    }

    /// The raw bytes of every `wire` record of a device, with the head as JSON.
    pub fn wires(&self, device: &str) -> Vec<(Json, Vec<u8>)> {
        let records = self.journal_records().into_iter().filter(|one| one.kind == Kind::Wire);
        let split = |record: Record| {
            let end = record.payload.iter().position(|byte| *byte == b'\n').expect("a head");
            let head: Json = serde_json::from_slice(&record.payload[..end]).expect("JSON");
            (head, record.payload[end + 1..].to_vec())
        };
        records.map(split).filter(|(head, _)| head["device"] == *device).collect()
    }

    /// A verb of the command line, with this house's configuration.
    pub fn verb(&self, verb: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardgate"));
        command.args(verb).arg("--config").arg(self.configuration()).stdin(Stdio::null());
        command.output().expect("wardgate runs")
    }

    /// The port of the stand-in core's broker.
    pub fn core_port(&self) -> u16 {
        self.core.as_ref().expect("a core").port
    }

    /// Starts the gateway again with another configuration.
    pub fn reconfigured(&mut self, change: impl FnOnce(String) -> String) {
        self.stop();
        let text = std::fs::read_to_string(self.configuration()).expect("a configuration");
        std::fs::write(self.configuration(), change(text)).expect("it is written");
        self.start();
    }

    /// The core goes away, as in a power cut.
    pub fn kill_core(&mut self) {
        self.core.as_mut().expect("a core").kill();
    }

    /// The core comes back on the same port with the same store.
    pub fn start_core(&mut self) {
        let port = self.core.take().expect("a core").port;
        self.core = Some(Core::start_with(&self.path("core"), port, self.plan.core));
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(child) = &mut self.gateway {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A required trial destination on loopback.
pub fn mqtt_destination(port: u16, more: &str) -> String {
    format!(
        "[[destination]]\nname = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n\
         mqtt = {{ host = \"127.0.0.1\", port = {port}, receivers = [\"core\"]{more} }}\n"
    )
}

/// A loopback port that nobody listens on.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// A file system of its own in memory, mounted on a folder; gone when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, after saying so, where nothing may be mounted. With `WARDGATE_NO_SKIP=1` that fails.
    pub fn mount(test: &str, folder: PathBuf, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(&folder).expect("a folder");
        let options = format!("size={bytes}");
        let mounted = mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], &folder);
        if !mounted {
            let no_skip = std::env::var("WARDGATE_NO_SKIP").is_ok_and(|value| value == "1");
            assert!(!no_skip, "{test}: nothing may be mounted here");
            println!("SKIPPED {test}: nothing may be mounted here");
            return None;
        }
        Some(Self(folder))
    }

    /// Takes no writes, or takes them again.
    pub fn remount(&self, how: &str) {
        let options = format!("remount,{how}");
        assert!(mount(&["-o", &options], &self.0), "remounted {how}");
    }
}

fn mount(arguments: &[&str], folder: &std::path::Path) -> bool {
    let mut command = Command::new("mount");
    let command = command.args(arguments).arg(folder).stderr(Stdio::null());
    command.status().is_ok_and(|ended| ended.success())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the gateway that is about to end may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// The value of a parameter in a stored observation.
pub fn value(record: &Json, parameter: &str) -> String {
    let metrics = record["data"]["metrics"].as_array().expect("metrics");
    let found = metrics.iter().find(|one| one["parameter"] == *parameter);
    found.and_then(|one| one["value"].as_str()).unwrap_or("absent").to_owned()
}

/// Small, fast, the same for the same seed.
pub struct XorShift(u64);

impl XorShift {
    /// A seed from `WARDGATE_SEED`, else from the clock; printed, so that a run can be repeated.
    pub fn seeded(name: &str) -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let clock = since.map_or(1, |since| since.as_nanos() as u64);
        let given = std::env::var("WARDGATE_SEED").ok().and_then(|text| text.parse().ok());
        let seed: u64 = given.unwrap_or(clock) | 1;
        println!("{name}: WARDGATE_SEED={seed}");
        Self(seed)
    }

    /// From a number.
    pub fn from(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below a limit.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}
