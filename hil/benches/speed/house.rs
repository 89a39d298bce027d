//! The real gateway and the stand-in core as child processes, in a folder of the measured disk.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use wardgate::gateway::status::{self, Snapshot};

/// A listening device takes 32 connections; a ward has several central monitors.
pub const DEVICES: usize = 8;
/// Far more than a start may take; the limit is measured, not waited for.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How much the sync is slowed down where that is asked for.
pub const SLOW_SYNC: Duration = Duration::from_millis(10);

/// How fast the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    AsItIs,
    /// Every `fdatasync` and `fsync` of the gateway begins [`SLOW_SYNC`] later: strace holds the
    /// call back, and stops at no other call.
    Slowed,
}

/// A child in a process group of its own, killed with all of it when dropped.
struct Process {
    child: Child,
    _input: Option<ChildStdin>,
}

impl Process {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command.process_group(0).stdin(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        Ok(Self { child, _input: input })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Not waited for yet, so its id is still its own.
        if let Ok(id) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// `wardgate-hil core`.
pub struct Core {
    _process: Process,
    pub port: u16,
    pub store: PathBuf,
}

impl Core {
    /// Port 0 takes a free one.
    pub fn start(folder: &Path, port: u16) -> io::Result<Self> {
        let store = folder.join("core.jsonl");
        let mut process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_wardgate-hil"))
                .args(["core", "--listen", &format!("127.0.0.1:{port}"), "--store"])
                .arg(&store)
                .stdout(Stdio::piped())
                .stderr(Stdio::null()),
        )?;
        let output = process.child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let ready: serde_json::Value = serde_json::from_str(&line)?;
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| io::Error::other("the core names no port"))?;
        Ok(Self { _process: process, port, store })
    }
}

/// `wardgate run` on a folder. Dropping it is a SIGKILL.
pub struct Gateway {
    process: Process,
    socket: PathBuf,
    pub addresses: Vec<SocketAddr>,
    /// From the start of the process until every device could be connected to.
    pub ready_after: Duration,
}

impl Gateway {
    pub fn start(folder: &Path, core_port: u16, sync: Sync) -> io::Result<Self> {
        let configuration = folder.join("wardgate.toml");
        std::fs::write(&configuration, text(folder, core_port))?;
        let mut command = match sync {
            Sync::AsItIs => Command::new(binary()),
            Sync::Slowed => slowed(),
        };
        command.args(["run", "--config"]).arg(&configuration);
        command.env("RUST_LOG", "warn").stdout(Stdio::null());
        command.stderr(File::create(folder.join("gateway.err"))?);
        let socket = folder.join("socket");
        let began = Instant::now();
        let process = Process::start(&mut command)?;
        let mut gateway =
            Self { process, socket, addresses: Vec::new(), ready_after: Duration::MAX };
        while gateway.addresses.len() < DEVICES {
            if began.elapsed() > PATIENCE || gateway.process.child.try_wait()?.is_some() {
                let log = std::fs::read_to_string(folder.join("gateway.err"))?;
                return Err(io::Error::other(format!("the gateway does not start: {log}")));
            }
            std::thread::sleep(LOOK_EVERY);
            let Ok(snapshot) = status::ask(&gateway.socket) else { continue };
            let listening = snapshot.devices.iter().filter_map(|one| one.listening.parse().ok());
            gateway.addresses = listening.collect();
        }
        gateway.ready_after = began.elapsed();
        Ok(gateway)
    }

    pub fn status(&self) -> io::Result<Snapshot> {
        status::ask(&self.socket)
    }

    /// Records that the core has not acknowledged.
    pub fn backlog(&self) -> io::Result<u64> {
        Ok(self.status()?.destinations.iter().map(|one| one.backlog).sum())
    }

    pub fn acknowledged(&self) -> io::Result<u64> {
        Ok(self.status()?.destinations.iter().map(|one| one.acknowledged).sum())
    }

    /// Resident memory in MiB.
    pub fn resident_mib(&self) -> io::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.process.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kib.map(|kib| kib / 1024.0).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// Processor time used so far, in seconds.
    pub fn processor_seconds(&self) -> io::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.process.child.id()))?;
        // The command's name in brackets may hold blanks; utime and stime are fields 14 and 15,
        // in hundredths of seconds (proc(5)).
        let fields = text.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|one| one.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / 100.0)
    }
}

/// The gateway beside this program's own binaries.
pub fn binary() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_wardgate-hil")).with_file_name("wardgate")
}

fn slowed() -> Command {
    let mut command = Command::new("strace");
    let delay = format!("inject=fdatasync,fsync:delay_enter={}", SLOW_SYNC.as_micros());
    command.args(["-f", "-q", "--seccomp-bpf", "-o", "/dev/null"]);
    command.args(["-e", "trace=fdatasync,fsync", "-e", &delay]).arg(binary());
    command
}

/// Whether [`Sync::Slowed`] can be had here.
pub fn can_be_slowed() -> bool {
    let mut probe = Command::new("strace");
    probe.args(["-f", "-q", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "true"]);
    probe.stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success())
}

fn text(folder: &Path, core_port: u16) -> String {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device-profiles");
    let (data, socket) = (folder.join("data"), folder.join("socket"));
    let mut text = format!(
        "[gateway]\nid = \"urn:uuid:7b1f0b44-64de-4f64-9b0a-0f1f9a3c8d55\"\ntenant = \"bench\"\n\
         site = \"bench\"\nward = \"icu\"\nname = \"box\"\ndata = {data:?}\n\
         device_profiles = {profiles:?}\nsocket = {socket:?}\nmode = \"bench\"\n\
         time_zone = \"UTC\"\n\n"
    );
    for device in 1..=DEVICES {
        let _ = write!(
            text,
            "[[device]]\nname = \"monitor-{device}\"\nprofile = \"generic/pcd-01\"\n\
             place = \"icu/bed-{device}\"\nfirmware = \"PCD-01 2.6\"\n\
             link = {{ tcp_server = \"127.0.0.1:0\" }}\n\n"
        );
    }
    let _ = write!(
        text,
        "[[destination]]\nname = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n\
         mqtt = {{ host = \"127.0.0.1\", port = {core_port}, receivers = [\"core\"] }}\n"
    );
    text
}
