//! `[[destination]]`: where data goes, what is taken, and by which binding.

use std::net::IpAddr;

use serde::Deserialize;

use super::Mode;
use crate::forward::mqtt::{self, MqttConfig};
use crate::forward::tls::TlsFiles;

/// One destination.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DestinationTable {
    pub name: String,
    /// What it does with the data.
    pub files: Files,
    /// Whether the journal keeps a record until this destination has it.
    pub required: Required,
    /// The MQTT 5 binding. Of the bindings exactly one is given.
    #[serde(default)]
    pub mqtt: Option<MqttConfig>,
}

/// What a destination does with the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Files {
    /// It files into patients' records: only released device files feed it.
    Patients,
    /// A trial: bench-tested and ward-trial device files feed it too.
    Trial,
}

/// Whether a destination holds data back from being freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Required {
    Required,
    BestEffort,
}

/// The binding of a destination.
#[derive(Clone, Copy, Debug)]
pub enum Transport<'a> {
    Mqtt(&'a MqttConfig),
}

/// What is wrong, below which keys of the destination's table.
pub type DestinationProblem = (Vec<&'static str>, String);

impl DestinationTable {
    /// The one binding; `None` if none or several are given.
    pub fn transport(&self) -> Option<Transport<'_>> {
        let mut given = self.mqtt.iter().map(Transport::Mqtt);
        given.next().filter(|_| given.next().is_none())
    }

    /// Everything that is wrong with it and can be known without a connection.
    pub(super) fn problems(&self, mode: Mode) -> Vec<DestinationProblem> {
        match self.transport() {
            Some(Transport::Mqtt(mqtt)) => problems_of_mqtt(mqtt, mode),
            None => vec![(Vec::new(), "expected exactly one binding: mqtt".to_owned())],
        }
    }
}

fn problems_of_mqtt(mqtt: &MqttConfig, mode: Mode) -> Vec<DestinationProblem> {
    let mut problems = Vec::new();
    if let Err(error) = mqtt::check(mqtt) {
        let keys = std::iter::once("mqtt").chain(error.field());
        problems.push((keys.collect(), error.to_string()));
    }
    problems.extend(lacks_mutual_tls("mqtt", &mqtt.host, &mqtt.tls(), mode));
    problems
}

/// Anything less than mutual TLS is for a receiver on this box, or for the bench.
fn lacks_mutual_tls(
    key: &'static str,
    host: &str,
    tls: &TlsFiles<'_>,
    mode: Mode,
) -> Option<DestinationProblem> {
    let address: Option<IpAddr> = host.parse().ok();
    let here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
    let lacks = mode == Mode::Production && !tls.are_mutual() && !here;
    let what = "expected mutual TLS (ca, certificate, key): less is accepted only in mode \
                \"bench\"";
    lacks.then(|| (vec![key], what.to_owned()))
}
