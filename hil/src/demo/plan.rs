//! Who takes part: names, places, device files, transports; and the files they lie in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::children::Children;
use super::status::Snapshot;
use super::{Error, Options};

pub const CORE: &str = "core";
pub const GATEWAY: &str = "gateway";

/// The core's name in its acknowledgements; the gateway believes no other.
const RECEIVER: &str = "core";

/// Everything has the same seed on every run, so that two runs can be compared.
const SEED: &str = "20";

/// How a device is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Serial,
    Network,
}

/// How a reading is found again in the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// The device sends neither time nor number: by order.
    Order,
    /// By specimen or by the device's own time, and by parameter.
    Key,
}

/// One device. Its name is the simulator's verb, the link's name in the gateway and in the report.
struct Device {
    name: &'static str,
    bed: &'static str,
    profile: &'static str,
    firmware: &'static str,
    transport: Transport,
    join: Join,
    every_ms: &'static str,
    more: &'static [&'static str],
}

const DEVICES: [Device; 5] = [
    Device {
        name: "line-oximeter",
        bed: "bed-1",
        profile: "nordpuls/po-100",
        firmware: "2.2",
        transport: Transport::Serial,
        join: Join::Order,
        every_ms: "200",
        more: &["--noise"],
    },
    Device {
        name: "binary-oximeter",
        bed: "bed-2",
        profile: "nordpuls/bx-2",
        firmware: "3.1",
        transport: Transport::Serial,
        join: Join::Order,
        every_ms: "100",
        more: &["--noise"],
    },
    Device {
        name: "astm-analyser",
        bed: "lab-corner",
        profile: "laborin/bg-7",
        firmware: "1.8.2",
        transport: Transport::Network,
        join: Join::Key,
        every_ms: "400",
        more: &[],
    },
    Device {
        name: "hl7-monitor",
        bed: "bed-3",
        profile: "generic/pcd-01",
        firmware: "PCD-01 2.6",
        transport: Transport::Network,
        join: Join::Key,
        every_ms: "250",
        more: &[],
    },
    Device {
        name: "infusion-pump-gateway",
        bed: "pumps",
        profile: "generic/infusion-pump-gateway",
        firmware: "PCD-01 2.6",
        transport: Transport::Network,
        join: Join::Key,
        every_ms: "300",
        more: &[],
    },
];

/// The names of all devices.
pub fn devices() -> impl Iterator<Item = &'static str> {
    DEVICES.iter().map(|device| device.name)
}

/// How readings of a device are found again.
pub fn join_of(name: &str) -> Join {
    DEVICES.iter().find(|device| device.name == name).map_or(Join::Order, |device| device.join)
}

fn of(transport: Transport) -> impl Iterator<Item = &'static Device> {
    DEVICES.iter().filter(move |device| device.transport == transport)
}

/// One run of the demo.
pub struct Plan {
    folder: PathBuf,
    ward: String,
    device_profiles: PathBuf,
}

impl Plan {
    pub fn new(options: &Options, folder: &Path) -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device-profiles");
        Self {
            folder: folder.to_owned(),
            ward: options.ward.clone(),
            device_profiles: options.device_profiles.clone().unwrap_or(repository),
        }
    }

    /// The core's store: one JSON line per record.
    pub fn store(&self) -> PathBuf {
        self.folder.join("core-store.jsonl")
    }

    /// A device's send log.
    pub fn log(&self, device: &str) -> PathBuf {
        self.folder.join(format!("{device}.sent.jsonl"))
    }

    /// The gateway's status socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.join("wardgate.socket")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("wardgate.toml")
    }

    fn line(&self, device: &str) -> PathBuf {
        self.folder.join(format!("{device}.tty"))
    }

    pub fn start_core(&self, children: &mut Children) -> Result<(), Error> {
        let arguments: Vec<OsString> = vec![
            "core".into(),
            "--listen".into(),
            "127.0.0.1:0".into(),
            "--receiver".into(),
            RECEIVER.into(),
            "--store".into(),
            self.store().into(),
        ];
        children.start(CORE, &own_program()?, arguments)
    }

    /// The port in the line with which the core says that it is ready.
    pub fn core_port(&self) -> Option<u16> {
        let text = std::fs::read_to_string(self.folder.join("core.out")).ok()?;
        let ready: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
        let is_ready = ready.get("core")?.as_str()? == "ready";
        is_ready.then_some(())?;
        u16::try_from(ready.get("port")?.as_u64()?).ok()
    }

    pub fn start_serial_devices(&self, children: &mut Children) -> Result<(), Error> {
        for device in of(Transport::Serial) {
            let line = self.line(device.name);
            self.start_device(device, ["--link".into(), line.into()], children)?;
        }
        Ok(())
    }

    pub fn serial_lines_are_there(&self) -> bool {
        of(Transport::Serial).all(|device| self.line(device.name).exists())
    }

    /// Each device connects to where the gateway listens for it.
    pub fn start_network_devices(
        &self,
        listening: &BTreeMap<String, String>,
        children: &mut Children,
    ) -> Result<(), Error> {
        for device in of(Transport::Network) {
            let address = listening.get(device.name).cloned().unwrap_or_default();
            self.start_device(device, ["--connect".into(), address.into()], children)?;
        }
        Ok(())
    }

    fn start_device(
        &self,
        device: &Device,
        whereto: [OsString; 2],
        children: &mut Children,
    ) -> Result<(), Error> {
        let mut arguments: Vec<OsString> = vec!["device".into(), device.name.into()];
        arguments.extend(whereto);
        arguments.extend(["--name".into(), device.name.into()]);
        arguments.extend(["--log".into(), self.log(device.name).into()]);
        arguments.extend(["--every".into(), device.every_ms.into()]);
        arguments.extend(["--seed".into(), SEED.into(), "--wait-go".into()]);
        arguments.extend(device.more.iter().map(OsString::from));
        children.start(device.name, &own_program()?, arguments)
    }

    pub fn start_gateway(&self, program: &Path, children: &mut Children) -> Result<(), Error> {
        let arguments: Vec<OsString> =
            vec!["run".into(), "--config".into(), self.configuration().into()];
        children.start(GATEWAY, program, arguments)
    }

    /// Where the gateway listens for each network device, once it does for all of them.
    pub fn listening(&self, snapshot: &Snapshot) -> Option<BTreeMap<String, String>> {
        of(Transport::Network)
            .map(|device| {
                let listening = &snapshot.device(device.name)?.listening;
                let is_address = listening.parse::<std::net::SocketAddr>().is_ok();
                is_address.then(|| (device.name.to_owned(), listening.clone()))
            })
            .collect()
    }

    /// Whether every device is connected and the core too.
    pub fn all_up(&self, snapshot: &Snapshot) -> bool {
        let up = |name| snapshot.device(name).is_some_and(|device| device.connections > 0);
        devices().all(up) && snapshot.destinations.iter().all(|one| one.connected)
    }

    /// Writes what a person would write into `/etc/wardgate/wardgate.toml`.
    pub fn write_configuration(&self, core_port: u16) -> Result<(), Error> {
        let path = self.configuration();
        let failed = |error| Error::Io(path.display().to_string(), error);
        let text = toml::to_string(&self.as_file(core_port))
            .map_err(|error| failed(std::io::Error::other(error)))?;
        std::fs::write(&path, text).map_err(failed)
    }

    fn as_file(&self, core_port: u16) -> ConfigurationFile {
        let data = self.folder.join("data");
        ConfigurationFile {
            gateway: GatewayTable {
                id: "urn:uuid:3c7a2f1e-0d5b-4b61-9a56-2f0f6d1c9e10",
                tenant: "demo",
                site: "demo-hospital",
                ward: self.ward.clone(),
                name: "demo-box",
                data,
                device_profiles: self.device_profiles.clone(),
                socket: self.socket(),
                mode: "bench",
                time_zone: "UTC",
            },
            device: DEVICES.iter().map(|device| self.device_table(device)).collect(),
            destination: vec![DestinationTable {
                name: "core",
                files: "trial",
                required: "required",
                mqtt: MqttTable { host: "127.0.0.1", port: core_port, receivers: vec![RECEIVER] },
            }],
        }
    }

    fn device_table(&self, device: &Device) -> DeviceTable {
        let link = match device.transport {
            Transport::Serial => {
                LinkTable { serial: Some(self.line(device.name)), tcp_server: None }
            }
            Transport::Network => LinkTable { serial: None, tcp_server: Some("127.0.0.1:0") },
        };
        DeviceTable {
            name: device.name,
            profile: device.profile,
            place: format!("{}/{}", self.ward, device.bed),
            firmware: device.firmware,
            link,
        }
    }
}

fn own_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|error| Error::Io("this program's own path".to_owned(), error))
}

#[derive(Serialize)]
struct ConfigurationFile {
    gateway: GatewayTable,
    device: Vec<DeviceTable>,
    destination: Vec<DestinationTable>,
}

#[derive(Serialize)]
struct GatewayTable {
    id: &'static str,
    tenant: &'static str,
    site: &'static str,
    ward: String,
    name: &'static str,
    data: PathBuf,
    device_profiles: PathBuf,
    socket: PathBuf,
    mode: &'static str,
    time_zone: &'static str,
}

#[derive(Serialize)]
struct DeviceTable {
    name: &'static str,
    profile: &'static str,
    place: String,
    firmware: &'static str,
    link: LinkTable,
}

#[derive(Serialize)]
struct LinkTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_server: Option<&'static str>,
}

#[derive(Serialize)]
struct DestinationTable {
    name: &'static str,
    files: &'static str,
    required: &'static str,
    mqtt: MqttTable,
}

#[derive(Serialize)]
struct MqttTable {
    host: &'static str,
    port: u16,
    receivers: Vec<&'static str>,
}
