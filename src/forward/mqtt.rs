//! The MQTT 5 binding: records out at QoS 1, acknowledgements in.
//!
//! One task owns the window and the cursor; a second one only polls the connection, so that no
//! poll is ever cut off half-way and no publish waits for the task that must carry it. After any
//! error the client and its event loop are dropped and made anew (clean start): the journal sends
//! again what is not acknowledged. A PUBACK is noticed only when it is a refusal; it never retires
//! a record (`facts/crates.md` 3.3: a broker lost 43,480 messages that it had PUBACKed).
//!
//! | topic below `wardgate/v1/{tenant}/{site}/{ward}/{gateway}` | direction | what |
//! |---|---|---|
//! | `/{kind}/{device}` | out | records |
//! | `/state/{destination}` | out, retained | `online`, `stopped`; by will `lost` |
//! | `/acknowledgement/{destination}` | in | answers: the response topic of every record |
//! | `/have/{destination}` | in | what a restored receiver has |
//! | `/manifest-answer/{destination}` | in | whether the receiver holds what a manifest covers |
//! | `/charted/{destination}` | in | what the core's own app charted, where the box serves a bedside |
//! | `/charted-answer/{destination}` | out | what came of it, when it is durable |

mod configuration;
mod connection;
mod session;
mod socket;

pub use configuration::{MqttConfig, check};
pub use socket::without_waits;

use std::path::PathBuf;
use std::sync::Arc;

use rumqttc::{LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use tokio::sync::watch;

use super::Inbox;
use super::acknowledgement::RECEIVER_CHARACTERS_MAX;
use super::pump::{Binding, Ended, Fate, Outbound, Pump, Settings};
use super::stored::Rendered;
use super::tls::{Peer, TlsError, TlsFiles};
use super::window::Pace;
use crate::vocabulary::DeviceName;
use session::PACKET_BYTES_MAX;

/// Where this gateway is, as its topics say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub tenant: String,
    pub site: String,
    pub ward: String,
    pub gateway: String,
}

impl Address {
    fn topic(&self, rest: &str) -> String {
        let Self { tenant, site, ward, gateway } = self;
        format!("wardgate/v1/{tenant}/{site}/{ward}/{gateway}/{rest}")
    }
}

/// One destination as the gateway sets it up.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Its name in routes, topics and the cursor's file name.
    pub name: String,
    pub address: Address,
    /// The gateway's `urn:uuid:` or `urn:oid:`.
    pub source: String,
    pub mqtt: MqttConfig,
}

/// Why a destination cannot be run. Connection troubles are none: they are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "tenant, site, ward, gateway and destination must be names: a-z, A-Z, 0-9, '-', '_', '.'"
    )]
    BadName,
    #[error("the host must be a name or an address, without a scheme or a port")]
    BadHost,
    #[error("at least one receiver id is needed")]
    NoReceiver,
    #[error("a receiver id has 1 to {RECEIVER_CHARACTERS_MAX} characters")]
    BadReceiver,
    #[error("{field} must not be 0")]
    Zero { field: &'static str },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Error {
    /// The key of [`MqttConfig`] that is wrong; `None` if the fault lies elsewhere.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Error::BadHost => Some("host"),
            Error::NoReceiver | Error::BadReceiver => Some("receivers"),
            Error::Zero { field } => Some(field),
            Error::Tls(error) => Some(error.field()),
            Error::BadName => None,
        }
    }
}

/// Publishes without a PUBACK: every record in flight once, and the states.
const PUBLISHES_MAX: u16 = super::window::IN_FLIGHT_RECORDS_MAX as u16 + 8;
/// What a topic and the properties of a record add to its payload at most.
const PROPERTIES_BYTES: usize = 2048;
/// How often the broker is asked whether it lives. One that does not answer is noticed when the
/// next question is due: within 20 s, where facts/reliability.md 2.3 row 9 asks for 30.
const KEEP_ALIVE_S: u16 = 10;

/// Speaks to one broker. [`Pump::run`] does the work.
pub struct Mqtt {
    destination: Destination,
    /// The largest packet that the broker takes.
    packet_bytes_max: usize,
    /// Who hears what the core charted.
    inbox: Option<Inbox>,
}

/// A record on its way.
pub struct Outgoing {
    topic: String,
    rendered: Rendered,
}

impl Mqtt {
    /// Checks the configuration.
    ///
    /// # Errors
    /// What is wrong with names, address or TLS files.
    pub fn new(destination: Destination) -> Result<Self, Error> {
        check_destination(&destination)?;
        Ok(Self { destination, packet_bytes_max: PACKET_BYTES_MAX, inbox: None })
    }

    /// It also hears what the core charted.
    pub fn hearing(self, inbox: Option<Inbox>) -> Self {
        Self { inbox, ..self }
    }

    /// What the pump of this destination needs to know.
    pub fn settings(&self, cursors: PathBuf) -> Settings {
        let Destination { name, source, mqtt, .. } = &self.destination;
        Settings {
            name: name.clone(),
            source: source.clone(),
            cursors,
            receivers: mqtt.receivers.clone(),
            pace: Pace { resend_after_ms: u64::from(mqtt.resend_after_s) * 1000 },
        }
    }

    fn options(&self, peer: &Arc<Peer>) -> Result<MqttOptions, Error> {
        let Destination { name, address, mqtt, .. } = &self.destination;
        let tls = mqtt.tls().client(peer)?;
        let port = mqtt.port.unwrap_or(if tls.is_some() { 8883 } else { 1883 });
        let id = format!("wardgate-{}-{name}", address.gateway);
        let mut options = MqttOptions::new(id, (mqtt.host.clone(), port));
        options.set_keep_alive(KEEP_ALIVE_S);
        // The client walks over all of its slots after every flush: with its default of 65,535
        // that was two thirds of our time at 1,400 records a second.
        options.set_outgoing_inflight_upper_limit(PUBLISHES_MAX);
        without_waits(&mut options);
        let answers = super::acknowledgement::ANSWER_BYTES_MAX as u32 + 4096;
        options.set_incoming_packet_size_limit(rumqttc::IncomingPacketSizeLimit::Bytes(answers));
        let will = state_text("lost", name);
        options.set_last_will(LastWill::new(
            address.topic(&format!("state/{name}")),
            will,
            QoS::AtLeastOnce,
            true,
            None,
        ));
        if let Some(tls) = tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
        }
        Ok(options)
    }
}

impl Binding for Mqtt {
    type Message = Outgoing;

    fn files(&self) -> TlsFiles {
        self.destination.mqtt.tls()
    }

    fn message(&mut self, outbound: &Outbound<'_>) -> Fate<Outgoing> {
        let Some(rendered) = outbound.event() else { return Fate::NotForHere };
        if DeviceName::parse(&outbound.written.subject).is_err() {
            // It would change the topic.
            return Fate::Damaged;
        }
        let bytes = rendered.payload.len() + PROPERTIES_BYTES;
        if bytes > self.packet_bytes_max {
            return Fate::SetAside("larger-than-the-broker-takes");
        }
        let rest = format!("{}/{}", outbound.written.kind.name(), outbound.written.subject);
        let topic = self.destination.address.topic(&rest);
        Fate::Send { message: Outgoing { topic, rendered }, bytes }
    }

    async fn session(
        &mut self,
        pump: &mut Pump<Outgoing>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        self.connection(pump, durable, stop).await
    }
}

fn state_text(state: &str, destination: &str) -> String {
    serde_json::json!({ "state": state, "destination": destination }).to_string()
}

fn check_destination(destination: &Destination) -> Result<(), Error> {
    let Destination { name, address, mqtt, .. } = destination;
    let Address { tenant, site, ward, gateway } = address;
    if [name, tenant, site, ward, gateway].iter().any(|name| DeviceName::parse(name).is_err()) {
        return Err(Error::BadName);
    }
    check(mqtt)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with OpenSSL for these tests: P-256, self-signed, good for a hundred years.
    pub const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBdDCCARugAwIBAgIURiGxxbaqm9PO1jVcPPbj7rHZlNQwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjMwOTQyMDZaGA8yMTI2MTAzMDA5NDIw
NlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDqj
Ei7fFLS2FXq6Hp7SmXK+X2HlA/od5EntKuUkezeUm2/U/LVddyR/RkEhFVpYfH7F
NfJ4nZCPnOx+O6/iOhyjUzBRMB0GA1UdDgQWBBSSOOi3nqkpvC2P3k6Og5vmsXB2
AjAfBgNVHSMEGDAWgBSSOOi3nqkpvC2P3k6Og5vmsXB2AjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0cAMEQCIAwYeHFg6MO5+yrZQKftMTIMnKkawdToDbpG
NpP9sM0vAiAjrQcfeGK5PRJ6DOHJyIDvLmSAXVl6gNxDaxJNEoY0Aw==
-----END CERTIFICATE-----
";
    pub fn destination(ward: &str) -> Destination {
        let name = |text: &str| text.to_owned();
        Destination {
            name: name("core"),
            address: Address {
                tenant: name("hospital"),
                site: name("main"),
                ward: name(ward),
                gateway: name("box-1"),
            },
            source: name("urn:uuid:1"),
            mqtt: toml::from_str("host = \"core\"\nreceivers = [\"core\"]").unwrap(),
        }
    }

    #[test]
    fn names_that_would_change_the_topic_are_refused() {
        assert_eq!(check_destination(&destination("icu")), Ok(()));
        for bad in ["", "icu/#", "+", "i c u"] {
            assert_eq!(check_destination(&destination(bad)), Err(Error::BadName), "{bad}");
        }
        let topic = destination("icu").address.topic("observation/bed-3");
        assert_eq!(topic, "wardgate/v1/hospital/main/icu/box-1/observation/bed-3");
    }
}
