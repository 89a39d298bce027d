//! Who takes part: names, places, device files, transports; and the files they lie in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::bedside::{Bedside, Tables};
use super::children::Children;
use super::status::Snapshot;
use super::ward::{self, Device, Join, Transport, Ward};
use super::{Error, Options};

/// The core that takes everything; also its name in its acknowledgements, and the gateway believes
/// no other.
pub const CORE: &str = "core";
/// The core that takes one value a minute, as a chart does.
pub const CHART: &str = "chart";
/// The core that takes waveforms.
pub const WAVEFORMS: &str = "waveforms";
pub const GATEWAY: &str = "gateway";

/// One run of the demo.
pub struct Plan {
    folder: PathBuf,
    ward: Ward,
    devices: Vec<Device>,
    device_profiles: PathBuf,
    /// The page and the administration's port.
    pub bedside: Bedside,
}

impl Plan {
    pub fn new(options: &Options, folder: &Path) -> Result<Self, Error> {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../device-profiles");
        Ok(Self {
            folder: folder.to_owned(),
            ward: options.ward,
            devices: options.ward.devices(),
            device_profiles: options.device_profiles.clone().unwrap_or(repository),
            bedside: Bedside::on_free_ports()?,
        })
    }

    /// Device files are off by default where they would ask for waveforms: the ward that has some
    /// gets a copy of them that asks.
    pub fn ask_for_waveforms(&mut self) -> Result<(), Error> {
        if !self.ward.has_waveforms() {
            return Ok(());
        }
        let copy = self.folder.join("device-profiles");
        let failed = |error| Error::Io(copy.display().to_string(), error);
        copy_folder(&self.device_profiles, &copy).map_err(failed)?;
        let file = copy.join(ward::WITH_WAVEFORMS).join("profile.toml");
        let text = std::fs::read_to_string(&file).map_err(failed)?;
        let table = "[protocol.dri]\n";
        let asking = text.replacen(table, &format!("{table}{}", ward::WAVEFORMS), 1);
        std::fs::write(&file, asking).map_err(failed)?;
        self.device_profiles = copy;
        Ok(())
    }

    /// The devices, in the order of the report.
    pub fn devices(&self) -> impl Iterator<Item = &str> {
        self.devices.iter().map(|device| device.name.as_str())
    }

    /// How readings of a device are found again.
    pub fn join_of(&self, name: &str) -> Join {
        let device = self.devices.iter().find(|device| device.name == name);
        device.map_or(Join::Order, |device| device.join)
    }

    fn of(&self, transport: Transport) -> impl Iterator<Item = &Device> {
        self.devices.iter().filter(move |device| device.transport == transport)
    }

    /// The cores that take part.
    pub fn cores(&self) -> &'static [&'static str] {
        match (self.ward.charts(), self.ward.has_waveforms()) {
            (true, _) => &[CORE, CHART],
            (false, true) => &[CORE, WAVEFORMS],
            (false, false) => &[CORE],
        }
    }

    /// A core's store: one JSON line per record.
    pub fn store_of(&self, core: &str) -> PathBuf {
        self.folder.join(format!("{core}-store.jsonl"))
    }

    /// The store of the core that takes everything.
    pub fn store(&self) -> PathBuf {
        self.store_of(CORE)
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

    pub fn start_cores(&self, children: &mut Children) -> Result<(), Error> {
        for core in self.cores() {
            let arguments: Vec<OsString> = vec![
                "core".into(),
                "--listen".into(),
                "127.0.0.1:0".into(),
                "--receiver".into(),
                core.into(),
                "--store".into(),
                self.store_of(core).into(),
            ];
            children.start(core, &own_program()?, arguments)?;
        }
        Ok(())
    }

    /// The port in the line with which a core says that it is ready.
    pub fn core_port(&self, core: &str) -> Option<u16> {
        let text = std::fs::read_to_string(self.folder.join(format!("{core}.out"))).ok()?;
        let ready: serde_json::Value = serde_json::from_str(text.lines().next()?).ok()?;
        let is_ready = ready.get("core")?.as_str()? == "ready";
        is_ready.then_some(())?;
        u16::try_from(ready.get("port")?.as_u64()?).ok()
    }

    /// Those that the gateway goes to: they are there before it is.
    pub fn start_waiting_devices(&self, children: &mut Children) -> Result<(), Error> {
        for device in &self.devices {
            let whereto: [OsString; 2] = match &device.transport {
                Transport::Serial => ["--link".into(), self.line(&device.name).into()],
                Transport::Asked { address } => ["--listen".into(), address.to_string().into()],
                Transport::Connects => continue,
            };
            self.start_device(device, whereto, children)?;
        }
        Ok(())
    }

    pub fn serial_lines_are_there(&self) -> bool {
        self.of(Transport::Serial).all(|device| self.line(&device.name).exists())
    }

    /// Each device connects to where the gateway listens for it.
    pub fn start_network_devices(
        &self,
        listening: &BTreeMap<String, String>,
        children: &mut Children,
    ) -> Result<(), Error> {
        for device in self.of(Transport::Connects) {
            let address = listening.get(&device.name).cloned().unwrap_or_default();
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
        let mut arguments: Vec<OsString> = vec!["device".into(), device.verb.into()];
        arguments.extend(whereto);
        arguments.extend(["--name".into(), (&device.name).into()]);
        arguments.extend(["--log".into(), self.log(&device.name).into()]);
        arguments.extend(["--every".into(), device.every_ms.to_string().into()]);
        arguments.extend(["--seed".into(), device.seed.to_string().into(), "--wait-go".into()]);
        arguments.extend(device.more.iter().map(OsString::from));
        children.start(&device.name, &own_program()?, arguments)
    }

    pub fn start_gateway(&self, program: &Path, children: &mut Children) -> Result<(), Error> {
        let arguments: Vec<OsString> =
            vec!["run".into(), "--config".into(), self.configuration().into()];
        children.start(GATEWAY, program, arguments)
    }

    /// Where the gateway listens for each network device, once it does for all of them.
    pub fn listening(&self, snapshot: &Snapshot) -> Option<BTreeMap<String, String>> {
        self.of(Transport::Connects)
            .map(|device| {
                let listening = &snapshot.device(&device.name)?.listening;
                let is_address = listening.parse::<std::net::SocketAddr>().is_ok();
                is_address.then(|| (device.name.clone(), listening.clone()))
            })
            .collect()
    }

    /// Whether every device is connected and the core too.
    pub fn all_up(&self, snapshot: &Snapshot) -> bool {
        let up = |name| snapshot.device(name).is_some_and(|device| device.connections > 0);
        self.devices().all(up) && snapshot.destinations.iter().all(|one| one.connected)
    }

    /// Writes what a person would write into `/etc/wardgate/wardgate.toml`.
    pub fn write_configuration(&self, core_ports: &BTreeMap<&str, u16>) -> Result<(), Error> {
        let path = self.configuration();
        let failed = |error| Error::Io(path.display().to_string(), error);
        let text = toml::to_string(&self.as_file(core_ports))
            .map_err(|error| failed(std::io::Error::other(error)))?;
        std::fs::write(&path, text).map_err(failed)
    }

    fn as_file(&self, core_ports: &BTreeMap<&str, u16>) -> ConfigurationFile<'_> {
        let data = self.folder.join("data");
        ConfigurationFile {
            gateway: GatewayTable {
                id: "urn:uuid:3c7a2f1e-0d5b-4b61-9a56-2f0f6d1c9e10",
                tenant: "demo",
                site: "demo-hospital",
                ward: self.ward.name(),
                name: "demo-box",
                data,
                device_profiles: self.device_profiles.clone(),
                socket: self.socket(),
                mode: "bench",
                time_zone: "UTC",
            },
            device: self.devices.iter().enumerate().map(|one| self.device_table(one)).collect(),
            destination: self.cores().iter().map(|core| destination(core, core_ports)).collect(),
            bedside: self.bedside.tables(),
        }
    }

    fn device_table<'a>(&self, (number, device): (usize, &'a Device)) -> DeviceTable<'a> {
        let mut link = LinkTable::default();
        match &device.transport {
            Transport::Serial => link.serial = Some(self.line(&device.name)),
            Transport::Connects => link.tcp_server = Some("127.0.0.1:0"),
            Transport::Asked { address } => {
                let (address, listen) = (address.to_string(), "127.0.0.1:0");
                link.udp_device = Some(UdpDeviceTable { address, listen });
            }
        }
        DeviceTable {
            name: &device.name,
            profile: device.profile,
            place: format!("{}/{}", self.ward.name(), device.bed),
            firmware: device.firmware,
            machine: Bedside::label(number),
            link,
        }
    }
}

fn destination(core: &'static str, ports: &BTreeMap<&str, u16>) -> DestinationTable {
    let port = ports.get(core).copied().unwrap_or_default();
    DestinationTable {
        name: core,
        files: "trial",
        take: match core {
            CHART => "every 1 min",
            WAVEFORMS => "waveforms",
            _ => "all",
        },
        // Nothing holds waveforms back.
        required: if core == WAVEFORMS { "best-effort" } else { "required" },
        mqtt: MqttTable { host: "127.0.0.1", port, receivers: vec![core] },
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn own_program() -> Result<PathBuf, Error> {
    std::env::current_exe().map_err(|error| Error::Io("this program's own path".to_owned(), error))
}

#[derive(Serialize)]
struct ConfigurationFile<'a> {
    gateway: GatewayTable,
    device: Vec<DeviceTable<'a>>,
    destination: Vec<DestinationTable>,
    #[serde(flatten)]
    bedside: Tables,
}

#[derive(Serialize)]
struct GatewayTable {
    id: &'static str,
    tenant: &'static str,
    site: &'static str,
    ward: &'static str,
    name: &'static str,
    data: PathBuf,
    device_profiles: PathBuf,
    socket: PathBuf,
    mode: &'static str,
    time_zone: &'static str,
}

#[derive(Serialize)]
struct DeviceTable<'a> {
    name: &'a str,
    profile: &'static str,
    place: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<&'static str>,
    machine: String,
    link: LinkTable,
}

#[derive(Default, Serialize)]
struct LinkTable {
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_server: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp_device: Option<UdpDeviceTable>,
}

#[derive(Serialize)]
struct UdpDeviceTable {
    address: String,
    listen: &'static str,
}

#[derive(Serialize)]
struct DestinationTable {
    name: &'static str,
    files: &'static str,
    take: &'static str,
    required: &'static str,
    mqtt: MqttTable,
}

#[derive(Serialize)]
struct MqttTable {
    host: &'static str,
    port: u16,
    receivers: Vec<&'static str>,
}
