//! How the core is spoken to: over HTTPS or over MQTT, and what came back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rumqttc::{
    AsyncClient, Event, MqttOptions, Packet, PublishOptions, PublishProperties, QoS,
    SubscribeFilter, TlsConfiguration, Transport,
};
use tokio::sync::{Mutex, mpsc};
use wardgate::forward::acknowledgement::Acknowledgement;
use wardgate::forward::http::{Http, HttpError, Request};

use super::records::{Record, SUBJECT};

/// A busy core is asked so often.
const BUSY_TRIES: usize = 5;
/// And so much of its wish to wait is granted.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);

/// What came back.
#[derive(Debug, Default)]
pub struct Reply {
    /// Over HTTP.
    pub status: Option<u16>,
    /// Acknowledgements, as they came.
    pub answers: Vec<Vec<u8>>,
    /// Why nothing came.
    pub trouble: Option<String>,
    pub took: Duration,
}

/// One way to a core.
pub enum Line {
    Https(Box<Http>),
    Mqtt(Box<Mqtt>),
}

/// An MQTT connection, its own topics, and what comes on them.
pub struct Mqtt {
    client: AsyncClient,
    base: String,
    arrived: Mutex<mpsc::Receiver<Vec<u8>>>,
}

impl Line {
    /// Offers records and waits for what is said of them.
    pub async fn offer(&self, records: &[Record], within: Duration) -> Reply {
        let begun = Instant::now();
        let reply = match self {
            Line::Https(http) => {
                let parts: Vec<&[u8]> = records.iter().map(|one| one.bytes.as_slice()).collect();
                let body = [b"[", parts.join(&b',').as_slice(), b"]"].concat();
                post(http, body).await
            }
            Line::Mqtt(mqtt) => mqtt.offer(records, within).await,
        };
        Reply { took: begun.elapsed(), ..reply }
    }
}

/// Posts any body as a batch.
pub async fn post(http: &Http, body: Vec<u8>) -> Reply {
    let mut status = None;
    for _ in 0..BUSY_TRIES {
        let content = "application/cloudevents-batch+json";
        let request = Request::post("/ingest/v1/records", content, body.clone());
        let answer = match http.send(request).await {
            Ok(answer) => answer,
            Err(error) => return Reply { trouble: Some(error.to_string()), ..Reply::default() },
        };
        status = Some(answer.status);
        if !matches!(answer.status, 429 | 503) {
            let answers = if answer.is_success() { vec![answer.body] } else { Vec::new() };
            return Reply { status, answers, ..Reply::default() };
        }
        let wait = answer.retry_after.unwrap_or(Duration::from_secs(1)).min(BUSY_WAIT_MAX);
        tokio::time::sleep(wait).await;
    }
    Reply { status, trouble: Some("busy all the time".to_owned()), ..Reply::default() }
}

/// What the core says that it has: status and body.
pub async fn have(http: &Http, stream: &str) -> Result<(u16, Vec<u8>), HttpError> {
    let answer = http.send(Request::get(format!("/ingest/v1/streams/{stream}"))).await?;
    Ok((answer.status, answer.body))
}

impl Mqtt {
    /// Connects and subscribes. `name` makes client id and topics its own.
    pub async fn connect(
        host: &str,
        port: u16,
        tls: Option<std::sync::Arc<rustls::ClientConfig>>,
        name: &str,
        within: Duration,
    ) -> Result<Self, String> {
        let mut options = MqttOptions::new(format!("core-check-{name}"), (host.to_owned(), port));
        options.set_keep_alive(10);
        wardgate::forward::mqtt::without_waits(&mut options);
        if let Some(tls) = tls {
            options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(tls)));
        }
        let (client, mut events) = AsyncClient::builder(options).capacity(64).build();
        let base = format!("wardgate/v1/core-check/core-check/core-check/{name}");
        let (tell, arrived) = mpsc::channel(256);
        let (ready, mut subscribed) = mpsc::channel(1);
        let asker = client.clone();
        let filter = format!("{base}/acknowledgement/core-check");
        tokio::spawn(async move {
            while !tell.is_closed() {
                let event = match events.poll().await {
                    Ok(event) => event,
                    Err(error) => {
                        tracing::debug!(%error, "connection to the broker");
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        continue;
                    }
                };
                let Event::Incoming(packet) = event else { continue };
                if let Packet::ConnAck(_) = packet {
                    let filter = SubscribeFilter::new(filter.clone(), QoS::AtLeastOnce);
                    if asker.try_subscribe_many([filter]).is_err() {
                        return;
                    }
                } else if let Packet::SubAck(_) = packet {
                    let _ = ready.try_send(());
                } else if let Packet::Publish(publish) = packet
                    && tell.send(publish.payload.to_vec()).await.is_err()
                {
                    return;
                }
            }
        });
        match tokio::time::timeout(within, subscribed.recv()).await {
            Ok(Some(())) => Ok(Self { client, base, arrived: Mutex::new(arrived) }),
            Ok(None) | Err(_) => Err("the broker takes no connection or subscription".to_owned()),
        }
    }

    async fn offer(&self, records: &[Record], within: Duration) -> Reply {
        let mut arrived = self.arrived.lock().await;
        // What is left of an earlier step.
        while arrived.try_recv().is_ok() {}
        for record in records {
            let properties = PublishProperties {
                response_topic: Some(format!("{}/acknowledgement/core-check", self.base)),
                correlation_data: Some(record.id.clone().into_bytes().into()),
                content_type: Some("application/cloudevents+json".to_owned()),
                ..PublishProperties::default()
            };
            let topic = format!("{}/observation/{SUBJECT}", self.base);
            let options = PublishOptions::at_least_once().properties(properties);
            if self.client.publish(topic, record.bytes.clone(), options).await.is_err() {
                return Reply { trouble: Some("the connection ended".into()), ..Reply::default() };
            }
        }
        let mut missing: BTreeSet<u64> = records.iter().map(|record| record.sequence).collect();
        let mut reply = Reply::default();
        let until = tokio::time::Instant::now() + within;
        while !missing.is_empty() {
            let Ok(Some(answer)) = tokio::time::timeout_at(until, arrived.recv()).await else {
                break;
            };
            if let Ok(read) = Acknowledgement::parse(&answer) {
                let named = |sequence: &u64| {
                    read.accepted.iter().any(|range| range.contains(sequence))
                        || read.rejected.iter().any(|one| one.sequence.number() == *sequence)
                };
                missing.retain(|sequence| !named(sequence));
            }
            reply.answers.push(answer);
        }
        if reply.answers.is_empty() {
            reply.trouble = Some("no answer in time".to_owned());
        }
        reply
    }
}
