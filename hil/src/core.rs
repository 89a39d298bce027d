//! The stand-in core: stores records durably, then acknowledges them, as `INGESTION.md` asks.
//!
//! It brings its own broker (rumqttd, loopback only, no TLS) and talks to it as any core would, as
//! an MQTT 5 client. It knows nothing of the gateway's inside: it takes the response topic of each
//! record, stores one JSON line per record, syncs the file, and only then answers. A record that it
//! has already is acknowledged again and counted.
//!
//! With `--http` it takes records over HTTP as well, into the same store, and with `--fault` it does
//! wrong what a core can do wrong; both are in the tables of `http` and `faults`.
//!
//! Standard output carries one JSON line when it is ready, one for each change of faults, and one
//! when it has stopped. Standard input takes faults, one per line.

mod answer;
mod broker;
mod faults;
mod http;
mod manifest;
mod shared;
mod store;
mod tls;

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use rumqttc::{
    AsyncClient, Event, EventLoop, IncomingPacketSizeLimit, MqttOptions, Packet, Publish,
    PublishOptions, QoS, SubscribeFilter,
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use faults::Fault;
use shared::Shared;
use store::{Arrived, Outcome};

/// What can go wrong with the stand-in itself.
#[derive(Debug)]
pub enum Error {
    NotLoopback(SocketAddr),
    Io(&'static str, std::io::Error),
    Broker(&'static str),
    Tls(&'static str),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::NotLoopback(address) => {
                write!(f, "{address} is not on loopback; the stand-in core has no TLS")
            }
            Error::Io(what, error) => write!(f, "{what}: {error}"),
            Error::Broker(what) => write!(f, "broker: {what}"),
            Error::Tls(what) => write!(f, "TLS: {what}"),
        }
    }
}

impl std::error::Error for Error {}

/// Whether records that came before are stored again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Filter {
    /// A record is stored once, however often it comes: the effect is exactly once.
    On,
    /// Everything is stored as it comes, to see what the transport repeats.
    Off,
}

/// `wardgate-hil core`
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Address of the broker, on loopback; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where records are stored, one JSON line each; read back at start.
    #[arg(long)]
    pub store: PathBuf,
    /// Drop records that came before, by stream and sequence.
    #[arg(long, value_enum, default_value_t = Filter::On)]
    pub filter: Filter,
    /// The receiver id in its answers.
    #[arg(long, default_value = "core")]
    pub receiver: String,
    /// Address of an HTTP listener beside the broker, on loopback; port 0 takes a free one.
    #[arg(long)]
    pub http: Option<SocketAddr>,
    #[command(flatten)]
    pub tls: tls::Files,
    /// `ID:SECRET` of a client of the token endpoint: then HTTP wants a token.
    #[arg(long, requires = "http")]
    pub client: Option<String>,
    /// What it does wrong; may be given several times. late=2s, twice, out-of-order, wrong-id,
    /// wrong-stream, beyond, reject=CODE:permanent@every 10, reject=CODE:later, reject-duplicates,
    /// needs-previous, forget, believe-damaged, open, status=429:2s@every 3,
    /// die=before-commit@5, die=after-commit@5, restore=20, manifest=never, manifest=foreign,
    /// manifest=wrong-hash, manifest=differs, none.
    #[arg(long)]
    pub fault: Vec<Fault>,
    /// Keep running when standard input is closed.
    #[arg(long)]
    pub detached: bool,
}

/// The kinds of `INGESTION.md`, "Record"; answers have topics of the same length and are not ours.
const KINDS: [&str; 12] = [
    "observation",
    "alarm",
    "pump-event",
    "device-state",
    "association",
    "confirmation",
    "entry",
    "correction",
    "void",
    "gap",
    "waveform",
    "manifest",
];
/// What is stored with one sync at most.
const GROUP_MAX: usize = 256;
/// What comes in quick succession is committed together, as databases do; a record that comes alone
/// is not kept waiting.
const GATHER: Duration = Duration::from_millis(3);
/// Answers that wait for the broker.
const REQUESTS_MAX: usize = 64;
/// The broker starts within this time or not at all.
const START_WITHIN: Duration = Duration::from_secs(10);
/// The last answers are out by then.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs until SIGTERM, SIGINT or, unless detached, the end of standard input.
pub async fn run(options: Options) -> Result<(), Error> {
    let shared = Arc::new(Shared::new(&options)?);
    let address = broker::start(options.listen)?;
    let (client, event_loop) = connect(address, &options.receiver);
    let (tell, mut arrived) = mpsc::channel(GROUP_MAX);
    let (subscribed, mut ready) = mpsc::channel(1);
    let poller = tokio::spawn(poll(event_loop, client.clone(), tell, subscribed));
    match tokio::time::timeout(START_WITHIN, ready.recv()).await {
        Ok(Some(())) => {}
        Ok(None) => return Err(Error::Broker("no subscription")),
        Err(_) => return Err(Error::Broker("not ready in time")),
    }
    let http = match options.http {
        Some(listen) => Some(http::start(listen, Arc::clone(&shared)).await?.port()),
        None => None,
    };
    println!("{}", json!({ "core": "ready", "port": address.port(), "http": http }));
    let faults = Arc::clone(&shared);
    let mut stop = std::pin::pin!(heed(options.detached, move |line| {
        if let Err(what) = faults.set_faults([line]) {
            tracing::error!(what, "fault not set");
        }
    }));
    loop {
        let mut group = Vec::new();
        tokio::select! {
            stopped = &mut stop => { stopped?; break; }
            count = arrived.recv_many(&mut group, GROUP_MAX) => if count == 0 {
                return Err(Error::Broker("connection task ended"));
            },
        }
        if group.len() > 1 {
            tokio::time::sleep(GATHER).await;
            let room = GROUP_MAX - group.len();
            group.extend(std::iter::from_fn(|| arrived.try_recv().ok()).take(room));
        }
        let outcomes = shared.receive(group)?;
        let late = shared.faults().late();
        let answers = answers(&outcomes, &shared);
        send(&client, answers, late).await?;
    }
    let _ = client.try_disconnect();
    drop(client);
    arrived.close();
    // Whatever the connection still brings is not stored and not acknowledged.
    let _ = tokio::time::timeout(GOODBYE, poller).await;
    let counts = shared.store().counts();
    println!(
        "{}",
        json!({
            "core": "stopped",
            "stored": counts.stored,
            "waveforms": counts.waveforms,
            "duplicates": counts.duplicates,
            "refused": counts.refused,
        })
    );
    Ok(())
}

/// Sends answers, the late ones beside what comes meanwhile.
async fn send(
    client: &AsyncClient,
    answers: Vec<(String, Vec<u8>)>,
    late: Duration,
) -> Result<(), Error> {
    if late.is_zero() {
        for (topic, answer) in answers {
            let sending = client.publish(topic, answer, PublishOptions::at_least_once());
            sending.await.map_err(|_| Error::Broker("answer not sent"))?;
        }
        return Ok(());
    }
    let client = client.clone();
    tokio::spawn(async move {
        tokio::time::sleep(late).await;
        for (topic, answer) in answers {
            let sending = client.publish(topic, answer, PublishOptions::at_least_once());
            if sending.await.is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn connect(address: SocketAddr, receiver: &str) -> (AsyncClient, EventLoop) {
    let host = address.ip().to_string();
    let mut mqtt = MqttOptions::new(format!("stand-in-{receiver}"), (host, address.port()));
    mqtt.set_keep_alive(10);
    // The client walks over all of its slots after every flush; 65,535 is its default.
    mqtt.set_outgoing_inflight_upper_limit(REQUESTS_MAX as u16);
    wardgate::forward::mqtt::without_waits(&mut mqtt);
    let limit = IncomingPacketSizeLimit::Bytes(broker::PACKET_BYTES_MAX as u32);
    mqtt.set_incoming_packet_size_limit(limit);
    AsyncClient::builder(mqtt).capacity(REQUESTS_MAX).build()
}

/// Keeps the connection to our own broker, subscribes on each connection, and hands records on.
async fn poll(
    mut event_loop: EventLoop,
    client: AsyncClient,
    tell: mpsc::Sender<Arrived>,
    subscribed: mpsc::Sender<()>,
) {
    let mut client = Some(client);
    while !tell.is_closed() {
        let event = match event_loop.poll().await {
            Ok(event) => event,
            Err(rumqttc::ConnectionError::RequestsDone) => return,
            Err(error) => {
                // While the broker starts, or while it ends with the process.
                tracing::debug!(%error, "connection to the broker");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        let Event::Incoming(packet) = event else { continue };
        if let Packet::ConnAck(_) = packet {
            let filters = KINDS.map(|kind| {
                SubscribeFilter::new(format!("wardgate/v1/+/+/+/+/{kind}/+"), QoS::AtLeastOnce)
            });
            let asked = client.as_ref().map(|client| client.try_subscribe_many(filters));
            if !matches!(asked, Some(Ok(()))) {
                tracing::error!("cannot subscribe");
                return;
            }
        } else if let Packet::SubAck(_) = packet {
            let _ = subscribed.try_send(());
        } else if let Packet::Publish(publish) = packet
            && tell.send(arrived(publish)).await.is_err()
        {
            // Nobody stores any more: let go of the client, so that the loop can end.
            client = None;
        }
    }
}

fn arrived(publish: Publish) -> Arrived {
    let response = publish.properties.and_then(|properties| properties.response_topic);
    Arrived {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        response,
        payload: publish.payload.to_vec(),
    }
}

/// One answer per response topic and stream; `have` beside it after a restore.
fn answers(outcomes: &[Outcome], shared: &Shared) -> Vec<(String, Vec<u8>)> {
    let mut by_topic: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        let Some(response) = &outcome.response else { continue };
        by_topic.entry((response, &outcome.stream)).or_default().push(outcome);
    }
    let faults = shared.faults();
    let mut answers = Vec::new();
    for ((topic, stream), outcomes) in by_topic {
        if let Some(have) = shared.have_after_restore(topic, stream) {
            answers.push(have);
        }
        let object = answer::answer(&outcomes, &shared.receiver, &faults);
        answers.push((topic.to_owned(), object.to_string().into_bytes()));
        if faults.has(&Fault::Twice) {
            answers.push((topic.to_owned(), object.to_string().into_bytes()));
        }
    }
    for outcome in outcomes.iter().filter(|one| one.is_manifest && one.refused.is_none()) {
        let Some(response) = &outcome.response else { continue };
        let object = shared.manifest_answer(&outcome.stream, outcome.sequence, &faults);
        let topic = response.replacen("/acknowledgement/", "/manifest-answer/", 1);
        answers.extend(object.map(|object| (topic, object.to_string().into_bytes())));
    }
    if faults.has(&Fault::OutOfOrder) {
        answers.reverse();
    }
    answers
}

/// Waits for SIGTERM, SIGINT or, unless detached, the end of standard input.
pub async fn asked_to_stop(detached: bool) -> Result<(), Error> {
    heed(detached, |_| {}).await
}

/// The same; each line of standard input is told.
async fn heed(detached: bool, tell: impl Fn(&str) + Send + 'static) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(|error| Error::Io("signals", error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (closed, mut input) = mpsc::channel::<()>(1);
    if !detached {
        // A thread of its own: a read of standard input cannot be cancelled.
        std::thread::spawn(move || {
            std::io::stdin().lock().lines().map_while(Result::ok).for_each(|line| tell(&line));
            let _ = closed.blocking_send(());
        });
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = input.recv() => {}
        }
    } else {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    Ok(())
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// A free port on loopback, for a broker that does not tell which one it took; the given one if it
/// is free.
fn free_port(listen: SocketAddr) -> Result<SocketAddr, Error> {
    if !listen.ip().is_loopback() {
        return Err(Error::NotLoopback(listen));
    }
    // Also for a given port: rumqttd only logs that it is taken, and we would then talk to whoever
    // has it.
    let address = std::net::TcpListener::bind(listen).and_then(|listener| listener.local_addr());
    let address = address.map_err(|error| Error::Io("port", error))?;
    Ok(SocketAddr::new(listen.ip(), address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_without_tls_stays_on_loopback() {
        let outside = "0.0.0.0:0".parse().unwrap();
        assert!(matches!(free_port(outside), Err(Error::NotLoopback(_))));
        let inside = free_port("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(inside.port(), 0);
    }
}
