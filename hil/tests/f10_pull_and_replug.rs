//! Row 10 of the fault matrix for every simulated device that hangs on the box by itself: it is
//! pulled in the middle of its talk, `status` says in words what is wrong, and after it is plugged
//! in again, started anew with nothing of its former state, its values come without anybody's
//! help.

use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wardgate::gateway::status::{self, DeviceSnapshot};

/// Far more than this machine needs; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// The matrix' limit for a port that is there again.
const REOPENED_WITHIN: Duration = Duration::from_secs(5);

/// How the box reaches it.
#[derive(Clone, Copy)]
enum Reached {
    Serial,
    Udp,
    /// It connects to the box.
    Tcp,
}

struct Bench {
    verb: &'static str,
    profile: &'static str,
    firmware: Option<&'static str>,
    reached: Reached,
    more: &'static [&'static str],
}

const fn serial(
    verb: &'static str,
    profile: &'static str,
    firmware: Option<&'static str>,
    more: &'static [&'static str],
) -> Bench {
    Bench { verb, profile, firmware, reached: Reached::Serial, more }
}

const fn udp(verb: &'static str, profile: &'static str, firmware: Option<&'static str>) -> Bench {
    Bench { verb, profile, firmware, reached: Reached::Udp, more: &[] }
}

/// A monitor that connects, in one of its dialects.
const fn hl7(
    profile: &'static str,
    firmware: &'static str,
    more: &'static [&'static str],
) -> Bench {
    let (verb, firmware) = ("hl7-monitor", Some(firmware));
    Bench { verb, profile, firmware, reached: Reached::Tcp, more }
}

const BENCHES: [Bench; 18] = [
    serial("line-oximeter", "nordpuls/po-100", Some("2.2"), &[]),
    serial("binary-oximeter", "nordpuls/bx-2", Some("3.1"), &[]),
    serial("medibus-ventilator", "draeger/evita-4", None, &[]),
    serial("masimo-radical-7", "masimo/radical-7", Some("ASCII 1"), &[]),
    serial("capnostream", "oridion/capnostream-20", None, &[]),
    serial("puritan-bennett-840", "puritan-bennett/840", Some("DCI"), &[]),
    serial("bis-vista", "medtronic/bis-vista", Some("binary"), &[]),
    serial("scripted", "nellcor/n-595", None, &["--kind", "n-595"]),
    serial("scripted", "ivy/450c", Some("ANSAR-B"), &["--kind", "ivy-450c"]),
    serial("intellivue-rs232", "philips/intellivue-rs232", None, &[]),
    udp("intellivue-lan", "philips/intellivue-lan", None),
    serial("dri-monitor", "ge/s5-dri", None, &[]),
    udp("dash-monitor", "ge/dash-unity", Some("Dash 4000 of the capture of 2019-05-05")),
    hl7("mindray/vs", "PCD-01 2.6", &["--dialect", "mindray-vs"]),
    hl7("mindray/xh80x", "HL7 2.4", &["--dialect", "mindray-xh80x"]),
    hl7("philips/piic-mdil", "MDIL 2.3", &["--dialect", "piic-mdil"]),
    hl7("philips/efficia-cm", "HL7 2.4", &["--dialect", "efficia-cm"]),
    hl7("ge-healthcare/b-series", "PCD-01 2.6", &["--dialect", "ge-b-series"]),
];

/// A child that does not outlive the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The box, with one device.
struct House {
    folder: PathBuf,
    address: String,
    _gateway: Process,
}

impl House {
    fn open(bench: &Bench, folder: &Path) -> Self {
        let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device-profiles");
        // A free port of an address of its own, so that no other test's device answers there.
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap().to_string();
        drop(socket);
        let link = match bench.reached {
            Reached::Serial => format!("serial = \"{}\"", folder.join("line").display()),
            Reached::Udp => {
                format!("udp_device = {{ address = \"{address}\", listen = \"127.0.0.1:0\" }}")
            }
            Reached::Tcp => "tcp_server = \"127.0.0.1:0\"".to_owned(),
        };
        let firmware = bench.firmware.map(|one| format!("firmware = \"{one}\"\n"));
        let text = format!(
            "[gateway]\nid = \"urn:uuid:3c7a2f1e-0d5b-4b61-9a56-2f0f6d1c9e10\"\ntenant = \"t\"\n\
             site = \"s\"\nward = \"icu\"\nname = \"box\"\ndata = \"{0}/data\"\n\
             device_profiles = \"{1}\"\nsocket = \"{0}/socket\"\nmode = \"bench\"\n\
             time_zone = \"Europe/Helsinki\"\nsegment_bytes = 4194304\n\n\
             [[device]]\nname = \"one\"\nprofile = \"{2}\"\nplace = \"icu/bed-1\"\n{3}\
             link = {{ {link} }}\n",
            folder.display(),
            profiles.display(),
            bench.profile,
            firmware.unwrap_or_default()
        );
        let file = folder.join("wardgate.toml");
        std::fs::write(&file, text).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_wardgate-hil")).with_file_name("wardgate");
        let log = std::fs::File::create(folder.join("gateway.log")).unwrap();
        let gateway = Command::new(program)
            .args(["run", "--config"])
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the gateway starts: cargo build --workspace makes it");
        Self { folder: folder.to_owned(), address, _gateway: Process(gateway) }
    }

    fn device(&self) -> Option<DeviceSnapshot> {
        status::ask(&self.folder.join("socket")).ok()?.devices.into_iter().next()
    }

    fn wait(&self, what: &str, fits: impl Fn(&DeviceSnapshot) -> bool) -> DeviceSnapshot {
        let begun = Instant::now();
        loop {
            let last = self.device();
            match last {
                Some(device) if fits(&device) => return device,
                _ => {}
            }
            if begun.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.folder.join("gateway.log"));
                panic!("{what}: {:?}\n{}", self.device(), log.unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The simulator, which begins with the first word to go.
    fn plug(&self, bench: &Bench) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardgate-hil"));
        command.args(["device", bench.verb, "--every", "200", "--wait-go"]);
        command.args(bench.more);
        match bench.reached {
            Reached::Serial => command.arg("--link").arg(self.folder.join("line")),
            Reached::Udp => command.args(["--listen", &self.address]),
            Reached::Tcp => {
                let address = |device: &DeviceSnapshot| device.listening.clone();
                let there = |device: &DeviceSnapshot| address(device).starts_with("127.0.0.1:");
                let device = self.wait("the box listens", there);
                command.args(["--connect", &address(&device)])
            }
        };
        let errors = std::fs::File::create(self.folder.join("device.log")).unwrap();
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(errors).spawn();
        let mut device = Process(child.unwrap());
        device.0.stdin.as_mut().unwrap().write_all(b"go\n").unwrap();
        device
    }
}

fn is_pulled_and_plugged_in_again(bench: &Bench) {
    let folder = tempfile::tempdir().unwrap();
    let house = House::open(bench, folder.path());
    house.wait("the gateway runs", |_| true);
    let device = house.plug(bench);
    let before = house.wait("values come", |device| device.readings > 3);
    assert_eq!(before.trouble, "", "{}: all is well", bench.verb);
    // Pulled: no goodbye.
    drop(device);
    let down = house.wait("the trouble is named", |device| !device.trouble.is_empty());
    let words = &down.trouble;
    assert!(words.split(' ').count() >= 3, "{}: words for a person: {words:?}", bench.verb);

    let plugged = Instant::now();
    let device = house.plug(bench);
    if matches!(bench.reached, Reached::Serial | Reached::Tcp) {
        house.wait("the link is there again", |device| device.connections > 0);
        let took = plugged.elapsed();
        assert!(took < REOPENED_WITHIN, "{}: there again after {took:?}", bench.verb);
    }
    let after = house.wait("its values come again", |device| device.readings > down.readings + 3);
    house.wait("and all is well", |device| device.trouble.is_empty());
    let log = std::fs::read(folder.path().join("gateway.log")).unwrap();
    let panics = BufReader::new(&log[..])
        .lines()
        .filter(|line| line.as_ref().is_ok_and(|line| line.contains("panicked")));
    assert_eq!(panics.count(), 0, "{}: {after:?}", bench.verb);
    drop(device);
}

#[test]
fn f10_every_device_that_is_pulled_comes_back_by_itself() {
    std::thread::scope(|scope| {
        for bench in &BENCHES {
            scope.spawn(move || is_pulled_and_plugged_in_again(bench));
        }
    });
}
