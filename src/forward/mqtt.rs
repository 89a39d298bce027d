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
//! | `/state` | out, retained | `online`, `stopped`; by will `lost` |
//! | `/acknowledgement/{destination}` | in | answers: the response topic of every record |
//! | `/have/{destination}` | in | what a restored receiver has |

mod configuration;
mod connection;
mod reading;
mod session;
mod socket;

pub use configuration::{MqttConfig, check};
pub use socket::without_waits;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rumqttc::{LastWill, MqttOptions, QoS, TlsConfiguration, Transport};
use tokio::sync::{mpsc, watch};

use super::acknowledgement::RECEIVER_CHARACTERS_MAX;
use super::cursor::{self, CursorError, CursorFile, Found, State};
use super::ranges::Ranges;
use super::stored::Rendered;
use super::window::{Pace, Window};
use super::{Counters, Unavailable};
use crate::journal::Reader;
use crate::vocabulary::{DeviceName, StreamId};
use session::Ended;

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
    /// The folder of the cursor files.
    pub cursors: PathBuf,
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
    #[error("{field} needs {lacks} beside it: certificate and key come together, and with ca")]
    HalfOfTls { field: &'static str, lacks: &'static str },
    #[error("cannot read the {field} file: {kind:?}")]
    TlsFile { field: &'static str, kind: std::io::ErrorKind },
    #[error("the {field} file does not hold what it should, in PEM")]
    NotPem { field: &'static str },
    #[error("key is not a usable key of certificate")]
    OtherKey,
    #[error(transparent)]
    Cursor(#[from] CursorError),
}

impl Error {
    /// The key of [`MqttConfig`] that is wrong; `None` if the fault lies elsewhere.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Error::BadHost => Some("host"),
            Error::NoReceiver | Error::BadReceiver => Some("receivers"),
            Error::Zero { field }
            | Error::HalfOfTls { field, .. }
            | Error::TlsFile { field, .. }
            | Error::NotPem { field } => Some(field),
            Error::OtherKey => Some("key"),
            Error::BadName | Error::Cursor(_) => None,
        }
    }
}

/// The first wait before connecting again; it doubles.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
/// The longest wait: a core that is back is found within half a minute.
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(30);
/// A connection that stood so long starts the waits anew.
const CONNECTION_PROVEN: Duration = Duration::from_secs(30);
/// Publishes without a PUBACK: every record in flight once, and the states.
const PUBLISHES_MAX: u16 = super::window::IN_FLIGHT_RECORDS_MAX as u16 + 8;
/// How often a dead peer is noticed.
const KEEP_ALIVE_S: u16 = 20;

/// One destination with its cursor open. [`Forwarder::run`] does the work.
pub struct Forwarder {
    destination: Destination,
    reader: Reader,
    counters: Arc<Counters>,
    window: Window<Outgoing>,
    cursor: Arc<Mutex<CursorFile>>,
    /// What the cursor file holds.
    saved: State,
    low_water: watch::Sender<u64>,
    unavailable: Option<mpsc::UnboundedSender<Unavailable>>,
    /// What was told as unavailable.
    told: Ranges,
    /// What `now_ms` counts from.
    began: Instant,
}

/// A record on its way.
struct Outgoing {
    topic: String,
    rendered: Rendered,
}

impl Forwarder {
    /// Checks the configuration and opens the cursor.
    pub fn open(
        destination: Destination,
        reader: Reader,
        counters: Arc<Counters>,
    ) -> Result<Self, Error> {
        check_destination(&destination)?;
        let path = cursor::path(&destination.cursors, &destination.name);
        let (cursor, found) = CursorFile::open(&path)?;
        let stream = reader.stream();
        let state = starting_state(found, &reader);
        let pace = Pace { resend_after_ms: u64::from(destination.mqtt.resend_after_s) * 1000 };
        let window = Window::new(state.clone(), destination.mqtt.receivers.clone(), pace);
        let (low_water, _) = watch::channel(state.low_water);
        tracing::info!(
            destination = destination.name,
            %stream,
            low_water = state.low_water,
            highest_sent = state.highest_sent,
            "destination opened"
        );
        Ok(Self {
            destination,
            reader,
            counters,
            window,
            cursor: Arc::new(Mutex::new(cursor)),
            saved: state,
            low_water,
            unavailable: None,
            told: Ranges::default(),
            began: Instant::now(),
        })
    }

    /// Says what this destination needs and cannot get any more, for the gap records.
    #[must_use]
    pub fn telling(self, unavailable: mpsc::UnboundedSender<Unavailable>) -> Self {
        Self { unavailable: Some(unavailable), ..self }
    }

    /// Every record up to this sequence is done here, and the cursor that says so is durable.
    pub fn low_water(&self) -> watch::Receiver<u64> {
        self.low_water.subscribe()
    }

    /// Sends what becomes durable (`durable` holds the last durable sequence) until `stop` holds
    /// true or its sender is gone; then saves the cursor. Whatever fails meanwhile, be it the
    /// network, a TLS file that is being replaced or a read of the journal, is a lost connection
    /// and is tried again.
    pub async fn run(mut self, mut durable: watch::Receiver<u64>, mut stop: watch::Receiver<bool>) {
        let mut wait = RECONNECT_AFTER;
        loop {
            let connected_at = Instant::now();
            let ended = self.session(&mut durable, &mut stop).await;
            self.counters.connected.store(false, Ordering::Relaxed);
            match ended {
                Ended::Stopped => break,
                Ended::Lost(why) => {
                    Counters::add(&self.counters.losses, 1);
                    tracing::warn!(destination = self.destination.name, why, "connection lost");
                }
            }
            if connected_at.elapsed() > CONNECTION_PROVEN {
                wait = RECONNECT_AFTER;
            }
            let jitter = wait.mul_f64(0.25 * (chance() % 1000) as f64 / 1000.0);
            if stopped_within(&mut stop, wait + jitter).await {
                break;
            }
            wait = (wait * 2).min(RECONNECT_AFTER_MAX);
        }
        self.save().await;
    }

    /// Makes the cursor durable if it moved, then lets the gateway know. `false`: it is not.
    async fn save(&mut self) -> bool {
        let state = self.window.state();
        if state == self.saved {
            return true;
        }
        let (cursor, copy) = (Arc::clone(&self.cursor), state.clone());
        let write = tokio::task::spawn_blocking(move || {
            cursor.lock().unwrap_or_else(PoisonError::into_inner).write(&copy)
        });
        let failure = match write.await {
            Ok(Ok(())) => {
                self.saved = state;
                self.low_water.send_replace(self.saved.low_water);
                return true;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the writing task ended early".to_owned(),
        };
        Counters::add(&self.counters.cursor_failures, 1);
        tracing::error!(destination = self.destination.name, failure, "cursor not saved");
        false
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn options(&self) -> Result<MqttOptions, Error> {
        let Destination { name, address, mqtt, .. } = &self.destination;
        let tls = configuration::tls(mqtt)?;
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
            address.topic("state"),
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

fn state_text(state: &str, destination: &str) -> String {
    serde_json::json!({ "state": state, "destination": destination }).to_string()
}

/// A lost cursor cannot say what was sent, so everything that is durable may have been. A
/// destination without one is new, and nothing that was freed before it came was for it.
fn starting_state(found: Found, reader: &Reader) -> State {
    let fresh = State::start(reader.stream());
    match found {
        Found::State(state) if state.stream == fresh.stream => state,
        Found::State(_) => fresh,
        Found::New => State { low_water: reader.first().number() - 1, ..fresh },
        Found::Lost => {
            let highest_sent = reader.durable().map_or(0, |durable| durable.number());
            State { highest_sent, ..fresh }
        }
    }
}

/// The highest sequences that left the box, from all cursor files, for
/// [`crate::journal::Options::highest_known`].
pub fn highest_sent(
    folder: &std::path::Path,
    destinations: &[&str],
) -> Result<Vec<(StreamId, crate::vocabulary::Sequence)>, CursorError> {
    let mut known = Vec::new();
    for name in destinations {
        if let Found::State(state) = cursor::peek(&cursor::path(folder, name))? {
            let highest = crate::vocabulary::Sequence::new(state.highest_sent);
            known.extend(highest.map(|highest| (state.stream, highest)));
        }
    }
    Ok(known)
}

fn check_destination(destination: &Destination) -> Result<(), Error> {
    let Destination { name, address, mqtt, .. } = destination;
    let Address { tenant, site, ward, gateway } = address;
    if [name, tenant, site, ward, gateway].iter().any(|name| DeviceName::parse(name).is_err()) {
        return Err(Error::BadName);
    }
    check(mqtt)
}

/// For jitter only: without random bytes there is none.
fn chance() -> u64 {
    getrandom::u64().unwrap_or(0)
}

/// Waits for `time` or until it is time to stop.
async fn stopped_within(stop: &mut watch::Receiver<bool>, time: Duration) -> bool {
    match tokio::time::timeout(time, stop.wait_for(|stop| *stop)).await {
        Ok(Ok(_) | Err(_)) => true,
        Err(_) => false,
    }
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
            cursors: PathBuf::new(),
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
