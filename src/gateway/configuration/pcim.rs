//! `[pcim]`: associations told between this box and other systems (IHE PCIM).

use std::net::SocketAddr;

use serde::Deserialize;

use super::{Configuration, ConfigurationFile, Loader, Mode};
use crate::association::DeviceId;
use crate::association::adt::AdtSite;
use crate::association::pcim::PcimSite;
use crate::forward::tls::TlsFiles;
use crate::link::tls_server::ServerFiles;
use crate::profile::position::Step::{Index, Key};

/// What the box is among the systems that know associations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PcimRole {
    /// Others tell it (DEV-51); it tells everybody (DEV-52).
    Manager,
    /// It tells the manager what is scanned at the bedside (DEV-51).
    Reporter,
    /// The manager tells it (DEV-52).
    Consumer,
}

impl PcimRole {
    const fn listens(self) -> bool {
        matches!(self, Self::Manager | Self::Consumer)
    }

    const fn tells(self) -> bool {
        matches!(self, Self::Manager | Self::Reporter)
    }
}

/// The table.
///
/// ```
/// use wardgate::gateway::configuration::PcimTable;
/// let table: PcimTable = toml::from_str(
///     "role = \"manager\"\n\
///      listen = \"127.0.0.1:6662\"\n\
///      error_base = 500\n\
///      [[peer]]\nname = \"charting\"\nhost = \"127.0.0.1\"\nport = 6663\n",
/// )
/// .unwrap();
/// assert_eq!(table.peer.len(), 1);
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcimTable {
    pub role: PcimRole,
    /// Where others tell: a manager and a consumer have it.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    #[serde(default)]
    pub tls: ServerFiles,
    /// How patients and places are named; as in `[adt.patients]` unless said.
    #[serde(default)]
    pub patients: Option<AdtSite>,
    /// The lower limit of the profile's error codes, which it does not assign yet.
    #[serde(default)]
    pub error_base: u32,
    /// CX.5 of patients that are sent.
    #[serde(default = "identifier_type")]
    pub identifier_type: String,
    /// MSH-3 of what is sent.
    #[serde(default = "application")]
    pub application: String,
    /// Who is told: a manager's consumers, a reporter's manager.
    #[serde(default)]
    pub peer: Vec<PcimPeerTable>,
}

fn identifier_type() -> String {
    "MR".to_owned()
}

fn application() -> String {
    "WARDGATE".to_owned()
}

/// Who is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PcimPeerTable {
    /// Its name, and MSH-5.
    pub name: String,
    /// Name or address.
    pub host: String,
    pub port: u16,
    /// Its authorities, a PEM file. With it the connection is TLS.
    #[serde(default)]
    pub ca: Option<std::path::PathBuf>,
    /// Our certificate, a PEM file; with `key`.
    #[serde(default)]
    pub certificate: Option<std::path::PathBuf>,
    /// Its private key, a PEM file.
    #[serde(default)]
    pub key: Option<std::path::PathBuf>,
}

impl PcimPeerTable {
    /// The files of the connection.
    pub fn tls(&self) -> TlsFiles {
        let (ca, certificate, key) = (self.ca.clone(), self.certificate.clone(), self.key.clone());
        TlsFiles { ca, crl: None, certificate, key }
    }
}

impl Configuration {
    /// How the messages of this box name patients, places and machines.
    pub fn pcim_site(&self, table: &PcimTable) -> PcimSite {
        let zone = self.gateway.time_zone.as_deref();
        let zone = zone.and_then(|name| jiff::tz::TimeZone::get(name).ok());
        let machines = self.devices.iter().flat_map(|setup| {
            let label = |text: &str| (text.to_owned(), setup.machine.clone());
            let codes = setup.codes.iter().map(|code| label(code)).collect::<Vec<_>>();
            codes.into_iter().chain([label(DeviceId::as_str(&setup.machine))])
        });
        let patients =
            table.patients.clone().or_else(|| self.adt.as_ref().map(|adt| adt.patients.clone()));
        PcimSite {
            patients: patients.unwrap_or_default(),
            machines: machines.collect(),
            zone,
            identifier_type: table.identifier_type.clone(),
        }
    }
}

impl Loader<'_> {
    /// The table, checked.
    pub(super) fn pcim(&mut self, file: &ConfigurationFile) -> Option<PcimTable> {
        let mut table = file.pcim.clone()?;
        let at = [Key("pcim")];
        match table.listen {
            Some(listen) if table.role.listens() => self.port(&at, listen, &table.tls),
            Some(_) => {
                let what = "expected no port: a reporter tells, and is told nothing";
                self.add(&[Key("pcim"), Key("listen")], what);
            }
            None if table.role.listens() => {
                let what = "expected `listen`: a manager and a consumer are told over a port";
                self.add(&at, what);
            }
            None => {}
        }
        if !table.role.tells() && !table.peer.is_empty() {
            let what = "expected no peer: a consumer tells nothing";
            self.add(&[Key("pcim"), Key("peer")], what);
        }
        for (index, peer) in table.peer.iter().enumerate() {
            let path = [Key("pcim"), Key("peer"), Index(index)];
            if let Err(error) = peer.tls().check() {
                self.add(&[&path[..], &[Key(error.field())]].concat(), error.to_string());
            }
            let loopback = matches!(peer.host.as_str(), "127.0.0.1" | "::1" | "localhost");
            if self.mode == Mode::Production && !loopback && !peer.tls().are_mutual() {
                let what = "expected ca, certificate and key: in production both sides prove \
                            themselves before patients are spoken of";
                self.add(&path, what);
            }
        }
        if let Some(patients) = &mut table.patients {
            patients.purpose = self.mode.purpose();
        }
        if let Some(patients) = &table.patients {
            self.patients(&at, patients);
        } else if file.adt.is_none() {
            let what = "expected [pcim.patients], or an [adt] table whose `patients` count here";
            self.add(&at, what);
        }
        Some(table)
    }
}
