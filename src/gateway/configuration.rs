//! `/etc/wardgate/wardgate.toml`: which device hangs where, with which device file, in which bed,
//! and where data goes. One loader serves `check` and `run`; everything is parsed before anything
//! happens.
//!
//! Secrets never stand here: certificates and keys are named by file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::association::{DeviceId, Mobility};
use crate::forward::hl7v2::map::Map;
use crate::link::Endpoint;
use crate::profile::position::Step::{Index, Key};
use crate::profile::position::{Problem, Step};
use crate::profile::{Drafts, Profile, Status};
use crate::protocol::Site;
use crate::vocabulary::{DeviceName, Digest, Place, Vocabulary};

mod adt;
mod association;
mod charting;
mod destination;
mod files;
mod identity;
mod keys;
mod link;
mod owners;
mod pcim;
mod retention;
mod waveforms;

pub use adt::AdtTable;
pub use association::{AssociationTable, Numbers};
pub use charting::{ChartingTable, OruTable};
pub use destination::{
    DestinationTable, Files, OrderKey, Proves, Required, Start, Take, Transport,
};
pub use files::{known_profiles, load_profile, load_vocabulary};
pub use identity::{AccessTokenKind, AlgorithmName, IdentityTable, PersonTable, RoleTable};
pub use keys::KeyFileError;
pub use link::LinkTable;
pub use owners::ClassTable;
pub use pcim::{PcimPeerTable, PcimRole, PcimTable};
pub use retention::RetentionTable;
pub use waveforms::WaveformsTable;

/// The file as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigurationFile {
    pub gateway: GatewayTable,
    #[serde(default)]
    pub device: Vec<DeviceTable>,
    #[serde(default)]
    pub destination: Vec<DestinationTable>,
    /// Whose values are.
    #[serde(default)]
    pub association: AssociationTable,
    /// Who vouches for people at the bedside.
    #[serde(default)]
    pub identity: Option<IdentityTable>,
    /// The bedside's port.
    #[serde(default)]
    pub charting: Option<ChartingTable>,
    /// The patient administration's feed.
    #[serde(default)]
    pub adt: Option<AdtTable>,
    /// Associations told between this box and other systems.
    #[serde(default)]
    pub pcim: Option<PcimTable>,
}

/// This box.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayTable {
    /// `urn:uuid:...` or `urn:oid:...`: the `source` of every record.
    pub id: String,
    pub tenant: String,
    pub site: String,
    pub ward: String,
    /// This box's name, unique on the ward.
    pub name: String,
    /// Where the journal and the cursors are.
    pub data: PathBuf,
    /// The folder with the device files and the vocabulary.
    pub device_profiles: PathBuf,
    /// The Unix socket that `status` asks.
    pub socket: PathBuf,
    /// `production` refuses what is only good enough for tests.
    pub mode: Mode,
    /// The zone of devices' clocks, unless a device has its own.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// How unsure a corrected time may be and still stand on the chart.
    #[serde(default = "uncertainty_ms_max")]
    pub uncertainty_ms_max: u64,
    /// How often each destination gets a manifest of what it must have; a day unless said.
    #[serde(default)]
    pub manifest_every_s: Option<u32>,
    /// The size of a journal segment.
    #[serde(default)]
    pub segment_bytes: Option<u64>,
    /// The file with the key that the journal is encrypted with, for example a credential of
    /// systemd. Mode `production` asks for it.
    #[serde(default)]
    pub journal_key: Option<PathBuf>,
    /// Key files that older segments were encrypted with, until those are freed.
    #[serde(default)]
    pub journal_key_previous: Vec<PathBuf>,
    /// How long and how much the journal keeps.
    #[serde(default)]
    pub retention: RetentionTable,
    /// The journal of waveforms.
    #[serde(default)]
    pub waveforms: WaveformsTable,
}

fn uncertainty_ms_max() -> u64 {
    crate::check::clock::UNCERTAINTY_MS_MAX
}

/// What the box is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    Production,
    /// Draft device files and plain connections are accepted.
    Bench,
}

/// One device.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceTable {
    pub name: String,
    /// The folder of the device file below `device_profiles`: `maker/model`.
    pub profile: String,
    pub place: String,
    /// The firmware as the device shows it, where the device file says that a person enters it.
    #[serde(default)]
    pub firmware: Option<String>,
    #[serde(default)]
    pub time_zone: Option<String>,
    /// The character set of a peer that does not name one.
    #[serde(default)]
    pub charset: Option<String>,
    /// What its label says: its asset number, or the text of its UDI. Unless said it is called
    /// `{gateway}/{name}`.
    #[serde(default)]
    pub machine: Option<String>,
    /// Further texts of labels that are scanned for it.
    #[serde(default)]
    pub codes: Vec<String>,
    /// `fixed`: it never leaves its place.
    #[serde(default)]
    pub mobility: Mobility,
    pub link: LinkTable,
}

/// Everything that the house needs, checked.
#[derive(Clone, Debug)]
pub struct Configuration {
    pub gateway: GatewayTable,
    pub vocabulary: Arc<Vocabulary>,
    pub devices: Vec<DeviceSetup>,
    /// Those that take what the journal holds.
    pub destinations: Vec<DestinationTable>,
    /// Those that take waveforms, which have a journal of their own.
    pub waveforms: Vec<DestinationTable>,
    /// The maps of those that have one, by the destination's name.
    pub maps: BTreeMap<String, Arc<Map>>,
    /// Who vouches for people at the bedside.
    pub identity: Option<IdentityTable>,
    /// The bedside's port.
    pub charting: Option<ChartingTable>,
    /// SHA-256 of the file's text.
    pub digest: Digest,
    /// Whose values are.
    pub association: AssociationTable,
    /// The patient administration's feed, if there is one.
    pub adt: Option<AdtTable>,
    /// Associations told between this box and other systems, if they are.
    pub pcim: Option<PcimTable>,
}

/// One device, ready to be opened.
#[derive(Clone, Debug)]
pub struct DeviceSetup {
    pub name: DeviceName,
    pub place: Place,
    pub profile: Arc<Profile>,
    pub firmware: Option<String>,
    pub endpoint: Endpoint,
    pub site: Site,
    /// Which machine hangs there, as the configuration knows it.
    pub machine: DeviceId,
    /// Further texts of its labels.
    pub codes: Vec<String>,
    pub mobility: Mobility,
}

/// Reads and checks a configuration and all device files that it names.
///
/// # Errors
/// One text per problem, each with file, line, column, the line and a caret.
pub fn load(file: &Path) -> Result<Configuration, Vec<String>> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| vec![format!("{name}: cannot be read: {error}")])?;
    let parsed: ConfigurationFile = toml::from_str(&text)
        .map_err(|error| vec![Problem::of_toml(&text, &error).in_file(&name, &text)])?;
    let vocabulary = load_vocabulary(&parsed.gateway.device_profiles).map_err(|what| vec![what])?;
    let mut loader = Loader {
        name: &name,
        text: &text,
        mode: parsed.gateway.mode,
        profiles: BTreeMap::new(),
        vocabulary: Arc::new(vocabulary),
        problems: Vec::new(),
    };
    loader.gateway(&parsed.gateway);
    loader.destinations(&parsed);
    loader.association(&parsed);
    loader.identity(&parsed);
    loader.charting(&parsed);
    let maps = loader.maps(&parsed);
    let devices = loader.devices(&parsed);
    loader.ways_into_records(&parsed, &maps, &devices);
    let (adt, pcim) = (loader.adt(&parsed), loader.pcim(&parsed));
    if !loader.problems.is_empty() {
        return Err(loader.problems);
    }
    let (waveforms, destinations) =
        parsed.destination.into_iter().partition(DestinationTable::takes_waveforms);
    Ok(Configuration {
        gateway: parsed.gateway,
        vocabulary: loader.vocabulary,
        devices,
        destinations,
        waveforms,
        maps,
        identity: parsed.identity,
        charting: parsed.charting,
        digest: Digest::of(text.as_bytes()),
        association: parsed.association,
        adt,
        pcim,
    })
}

struct Loader<'a> {
    name: &'a str,
    text: &'a str,
    mode: Mode,
    profiles: BTreeMap<String, Option<Arc<Profile>>>,
    vocabulary: Arc<Vocabulary>,
    problems: Vec<String>,
}

impl Loader<'_> {
    fn add(&mut self, path: &[Step<'_>], what: impl Into<String>) {
        let problem = Problem::at(self.text, path, what);
        self.problems.push(problem.in_file(self.name, self.text));
    }

    fn gateway(&mut self, gateway: &GatewayTable) {
        if !gateway.id.starts_with("urn:uuid:") && !gateway.id.starts_with("urn:oid:") {
            let what = "expected urn:uuid:... or urn:oid:..., which names this gateway to the core";
            self.add(&[Key("gateway"), Key("id")], what);
        }
        let names = [
            ("tenant", &gateway.tenant),
            ("site", &gateway.site),
            ("ward", &gateway.ward),
            ("name", &gateway.name),
        ];
        for (key, name) in names {
            if let Err(error) = DeviceName::parse(name) {
                self.add(&[Key("gateway"), Key(key)], error.to_string());
            }
        }
        self.zone(&[Key("gateway"), Key("time_zone")], gateway.time_zone.as_deref());
        if let Some(what) = gateway.journal_key_problem() {
            self.add(&[Key("gateway"), Key("mode")], what);
        }
        if gateway.manifest_every_s == Some(0) {
            let what = "expected seconds, 86400 for a day";
            self.add(&[Key("gateway"), Key("manifest_every_s")], what);
        }
        // A message and its values must fit in half a segment; the bench may try smaller ones.
        let least = match gateway.mode {
            Mode::Production => 4 * crate::protocol::MESSAGE_BYTES_MAX as u64,
            Mode::Bench => crate::journal::SEGMENT_BYTES_MIN,
        };
        if gateway.segment_bytes.is_some_and(|bytes| bytes < least) {
            self.add(&[Key("gateway"), Key("segment_bytes")], format!("expected {least} or more"));
        }
        let segment = gateway.segment_bytes.unwrap_or(crate::journal::SEGMENT_BYTES);
        for (key, what) in gateway.retention.problems(segment) {
            self.add(&[Key("gateway"), Key("retention"), Key(key)], what);
        }
        if let Some((key, what)) = gateway.waveforms.problem(segment) {
            self.add(&[Key("gateway"), Key("waveforms"), Key(key)], what);
        }
    }

    fn zone(&mut self, path: &[Step<'_>], name: Option<&str>) -> Option<TimeZone> {
        let name = name?;
        match TimeZone::get(name) {
            Ok(zone) => Some(zone),
            Err(_) => {
                self.add(path, "expected a zone of the IANA database, such as \"Europe/Helsinki\"");
                None
            }
        }
    }

    fn destinations(&mut self, file: &ConfigurationFile) {
        let mut names = BTreeSet::new();
        for (index, destination) in file.destination.iter().enumerate() {
            let path = [Key("destination"), Index(index)];
            if let Err(error) = DeviceName::parse(&destination.name) {
                self.add(&[&path[..], &[Key("name")]].concat(), error.to_string());
            }
            if !names.insert(&destination.name) {
                self.add(
                    &[&path[..], &[Key("name")]].concat(),
                    "another destination has this name",
                );
            }
            let hours = file.gateway.retention.hours;
            for (keys, what) in destination.problems(self.mode, hours) {
                let keys: Vec<Step<'_>> = keys.iter().map(|key| Key(key)).collect();
                self.add(&[&path[..], &keys].concat(), what);
            }
        }
    }

    fn maps(&mut self, file: &ConfigurationFile) -> BTreeMap<String, Arc<Map>> {
        let mut maps = BTreeMap::new();
        for table in &file.destination {
            match destination::load_map(table, &self.vocabulary) {
                Ok(map) => maps.extend(map.map(|map| (table.name.clone(), map))),
                Err(problems) => self.problems.extend(problems),
            }
        }
        maps
    }

    fn devices(&mut self, file: &ConfigurationFile) -> Vec<DeviceSetup> {
        let mut names = BTreeSet::new();
        let mut setups = Vec::new();
        for (index, device) in file.device.iter().enumerate() {
            let path = [Key("device"), Index(index)];
            if !names.insert(&device.name) {
                self.add(&[&path[..], &[Key("name")]].concat(), "another device has this name");
            }
            if device.name == file.gateway.name {
                self.add(&[&path[..], &[Key("name")]].concat(), "the gateway has this name");
            }
            let setup = self.device(&path, device, &file.gateway);
            if let Some(other) =
                setup.as_ref().and_then(|setup| same_endpoint(&setups, &setup.endpoint))
            {
                let what = format!("device {other} hangs there already");
                self.add(&[&path[..], &[Key("link")]].concat(), what);
            }
            setups.extend(setup);
        }
        let patients = file.destination.iter().any(|one| one.files == Files::Patients);
        for setup in setups.iter().filter(|_| patients && self.mode == Mode::Production) {
            if setup.profile.file().provenance.status != Status::Released {
                tracing::warn!(
                    device = %setup.name,
                    profile = setup.profile.id(),
                    "not released: nothing goes to destinations that file to patients"
                );
            }
        }
        setups
    }

    fn device(
        &mut self,
        path: &[Step<'_>],
        device: &DeviceTable,
        gateway: &GatewayTable,
    ) -> Option<DeviceSetup> {
        let at = |key| [path, &[Key(key)]].concat();
        let name = DeviceName::parse(&device.name);
        if let Err(error) = &name {
            self.add(&at("name"), error.to_string());
        }
        let place = Place::parse(&device.place);
        if let Err(error) = &place {
            self.add(&at("place"), error.to_string());
        }
        let zone = match &device.time_zone {
            Some(own) => self.zone(&at("time_zone"), Some(own)),
            None => gateway.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok()),
        };
        if let Some(charset) = &device.charset
            && crate::protocol::hl7v2::charset::Charset::named(charset).is_none()
        {
            self.add(&at("charset"), "expected a name of HL7 table 0211, such as \"8859/1\"");
        }
        let profile = self.profile(&at("profile"), &device.profile, &gateway.device_profiles)?;
        if profile.file().firmware.learned == crate::profile::Learned::EnteredAtCommissioning
            && device.firmware.is_none()
        {
            let what = "expected `firmware`: this device does not report it, so a person enters it";
            self.add(path, what);
        }
        let endpoint = match device.link.endpoint(&profile) {
            Ok(endpoint) => endpoint,
            Err(what) => {
                self.add(&at("link"), what);
                return None;
            }
        };
        let machine = self.machine(path, device, &gateway.name);
        Some(DeviceSetup {
            machine: machine?,
            codes: device.codes.clone(),
            mobility: device.mobility,
            name: name.ok()?,
            place: place.ok()?,
            profile,
            firmware: device.firmware.clone(),
            endpoint,
            site: Site { zone, charset: device.charset.clone() },
        })
    }

    fn profile(&mut self, path: &[Step<'_>], id: &str, folder: &Path) -> Option<Arc<Profile>> {
        if let Some(known) = self.profiles.get(id) {
            return known.clone();
        }
        let drafts = match self.mode {
            Mode::Production => Drafts::Refused,
            Mode::Bench => Drafts::Accepted,
        };
        let file = folder.join(id).join("profile.toml");
        let escapes = id.split('/').any(|part| part.is_empty() || part.starts_with('.'));
        let loaded = if escapes || !file.exists() {
            let known = known_profiles(folder).join(", ");
            self.add(path, format!("no device file {}; there are: {known}", file.display()));
            None
        } else {
            match load_profile(&file, &self.vocabulary, drafts) {
                Ok(profile) => Some(Arc::new(profile)),
                Err(problems) => {
                    self.problems.extend(problems);
                    None
                }
            }
        };
        self.profiles.insert(id.to_owned(), loaded.clone());
        loaded
    }
}

/// The device that hangs at this endpoint already. Port 0 is a free port of the system's choice,
/// another one each time.
fn same_endpoint<'a>(setups: &'a [DeviceSetup], endpoint: &Endpoint) -> Option<&'a DeviceName> {
    let free = matches!(endpoint,
        Endpoint::TcpServer { listen } | Endpoint::Udp { listen } if listen.port() == 0);
    let same = setups.iter().find(|one| !free && one.endpoint == *endpoint);
    same.map(|one| &one.name)
}
