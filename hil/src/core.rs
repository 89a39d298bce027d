//! The stand-in core: stores records durably, then acknowledges them, as `INGESTION.md` asks.
//!
//! It brings its own broker (rumqttd, loopback only, no TLS) and talks to it as any core would, as
//! an MQTT 5 client. It knows nothing of the gateway's inside: it takes the response topic of each
//! record, stores one JSON line per record, syncs the file, and only then answers. A record that it
//! has already is acknowledged again and counted.
//!
//! Standard output carries one JSON line when it is ready and one when it has stopped.

mod broker;
mod store;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use rumqttc::{
    AsyncClient, Event, EventLoop, IncomingPacketSizeLimit, MqttOptions, Packet, Publish,
    PublishOptions, QoS, SubscribeFilter,
};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use wardgate::vocabulary::moment::utc_text;

use store::{Arrived, Outcome, Store};

/// What can go wrong with the stand-in itself.
#[derive(Debug)]
pub enum Error {
    NotLoopback(SocketAddr),
    Io(&'static str, std::io::Error),
    Broker(&'static str),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::NotLoopback(address) => {
                write!(f, "{address} is not on loopback; the stand-in core has no TLS")
            }
            Error::Io(what, error) => write!(f, "{what}: {error}"),
            Error::Broker(what) => write!(f, "broker: {what}"),
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
/// Answers that wait for the broker.
const REQUESTS_MAX: usize = 64;
/// The broker starts within this time or not at all.
const START_WITHIN: Duration = Duration::from_secs(10);
/// The last answers are out by then.
const GOODBYE: Duration = Duration::from_secs(2);

/// Runs until SIGTERM, SIGINT or, unless detached, the end of standard input.
pub async fn run(options: Options) -> Result<(), Error> {
    let mut store = Store::open(&options.store, options.filter)?;
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
    println!("{}", json!({ "core": "ready", "port": address.port() }));
    let mut stop = std::pin::pin!(asked_to_stop(options.detached));
    loop {
        let mut group = Vec::new();
        tokio::select! {
            stopped = &mut stop => { stopped?; break; }
            count = arrived.recv_many(&mut group, GROUP_MAX) => if count == 0 {
                return Err(Error::Broker("connection task ended"));
            },
        }
        let outcomes = store.keep(group, now_us())?;
        for (topic, answer) in answers(&outcomes, &options.receiver) {
            let sending = client.publish(topic, answer, PublishOptions::at_least_once());
            sending.await.map_err(|_| Error::Broker("answer not sent"))?;
        }
    }
    let _ = client.try_disconnect();
    drop(client);
    arrived.close();
    // Whatever the connection still brings is not stored and not acknowledged.
    let _ = tokio::time::timeout(GOODBYE, poller).await;
    let counts = store.counts();
    println!(
        "{}",
        json!({
            "core": "stopped",
            "stored": counts.stored,
            "duplicates": counts.duplicates,
            "refused": counts.refused,
        })
    );
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

/// Accepted sequences, and rejections as the contract writes them.
type Answer = (Vec<u64>, Vec<serde_json::Value>);

/// One answer per response topic and stream, its accepted sequences in ranges.
fn answers(outcomes: &[Outcome], receiver: &str) -> Vec<(String, Vec<u8>)> {
    let mut by_topic: BTreeMap<(&str, &str), Answer> = BTreeMap::new();
    for outcome in outcomes {
        let Some(response) = &outcome.response else { continue };
        let entry = by_topic.entry((response, &outcome.stream)).or_default();
        match outcome.refused {
            None => entry.0.push(outcome.sequence),
            Some(code) => entry.1.push(json!({
                "sequence": outcome.sequence, "code": code, "text": "", "permanent": true,
            })),
        }
    }
    let receiver_time = utc_text(now_us());
    let answer = |((topic, stream), (sequences, rejected)): ((&str, &str), Answer)| {
        let object = json!({
            "stream": stream,
            "accepted": ranges(sequences),
            "rejected": rejected,
            "receiver_time": receiver_time,
            "receiver_id": receiver,
        });
        (topic.to_owned(), object.to_string().into_bytes())
    };
    by_topic.into_iter().map(answer).collect()
}

fn ranges(mut sequences: Vec<u64>) -> Vec<[u64; 2]> {
    sequences.sort_unstable();
    sequences.dedup();
    let mut ranges: Vec<[u64; 2]> = Vec::new();
    for sequence in sequences {
        match ranges.last_mut() {
            Some(last) if last[1] + 1 == sequence => last[1] = sequence,
            Some(_) | None => ranges.push([sequence, sequence]),
        }
    }
    ranges
}

pub async fn asked_to_stop(detached: bool) -> Result<(), Error> {
    let listen = |kind| signal(kind).map_err(|error| Error::Io("signals", error));
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let (closed, mut input) = mpsc::channel::<()>(1);
    if !detached {
        // A thread of its own: a read of standard input cannot be cancelled.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
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
    fn sequences_become_ranges() {
        assert_eq!(ranges(vec![5, 1, 2, 2, 3, 9]), [[1, 3], [5, 5], [9, 9]]);
        assert!(ranges(Vec::new()).is_empty());
    }

    #[test]
    fn a_broker_without_tls_stays_on_loopback() {
        let outside = "0.0.0.0:0".parse().unwrap();
        assert!(matches!(free_port(outside), Err(Error::NotLoopback(_))));
        let inside = free_port("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(inside.port(), 0);
    }
}
