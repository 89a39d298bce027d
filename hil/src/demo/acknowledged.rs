//! Listens to the core's acknowledgements on their way to the gateway.
//!
//! The core answers after its own sync and says in the answer when that was, by the clock that all
//! processes of the demo share. So an acknowledgement that was heard is proof from outside the
//! gateway, and its time is the core's, not that of the broker's way to this listener.

use std::collections::BTreeMap;
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Packet, QoS};
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Error;
use crate::simulator::clock::{now_us, read_utc};

/// Every gateway's acknowledgements for every destination.
const FILTER: &str = "wardgate/v1/+/+/+/+/acknowledgement/+";
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(10);
const AGAIN_AFTER: Duration = Duration::from_millis(50);
/// How long the last answers may still be on their way.
const LAST_WITHIN: Duration = Duration::from_millis(200);
const KEEP_ALIVE_S: u16 = 10;
const REQUESTS_MAX: usize = 8;

/// When the core first answered for each record, by stream and sequence, in microseconds.
pub type Times = BTreeMap<(String, u64), i64>;

/// The part of an acknowledgement that matters here.
#[derive(Deserialize)]
struct Answer {
    stream: String,
    accepted: Vec<[u64; 2]>,
    receiver_time: String,
}

/// The listening task.
pub struct Acknowledged {
    task: JoinHandle<()>,
    heard: mpsc::UnboundedReceiver<(Answer, i64)>,
}

/// Connects to the core's broker and returns when the subscription stands.
pub async fn listen(port: u16) -> Result<Acknowledged, Error> {
    let mut options = MqttOptions::new("demo-listener", ("127.0.0.1".to_owned(), port));
    options.set_keep_alive(KEEP_ALIVE_S);
    let (client, events) = AsyncClient::builder(options).capacity(REQUESTS_MAX).build();
    let (tell, heard) = mpsc::unbounded_channel();
    let (stands, mut subscribed) = mpsc::channel(1);
    let task = tokio::spawn(poll(client, events, tell, stands));
    match tokio::time::timeout(SUBSCRIBED_WITHIN, subscribed.recv()).await {
        Ok(Some(())) => Ok(Acknowledged { task, heard }),
        Ok(None) | Err(_) => {
            task.abort();
            Err(Error::Late("cannot listen to the core's acknowledgements".to_owned()))
        }
    }
}

impl Acknowledged {
    /// Everything that came by.
    pub async fn finish(mut self) -> Times {
        tokio::time::sleep(LAST_WITHIN).await;
        self.task.abort();
        let mut times = Times::new();
        while let Ok((answer, at_us)) = self.heard.try_recv() {
            let sequences = answer.accepted.iter().flat_map(|[first, last]| *first..=*last);
            for sequence in sequences {
                times.entry((answer.stream.clone(), sequence)).or_insert(at_us);
            }
        }
        times
    }
}

async fn poll(
    client: AsyncClient,
    mut events: EventLoop,
    tell: mpsc::UnboundedSender<(Answer, i64)>,
    stands: mpsc::Sender<()>,
) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if client.try_subscribe(FILTER, QoS::AtLeastOnce).is_err() {
                    return;
                }
            }
            // Nobody waits for a second one, after a new connection.
            Ok(Event::Incoming(Packet::SubAck(_))) => drop(stands.try_send(())),
            Ok(Event::Incoming(Packet::Publish(publish))) => {
                let heard_us = now_us();
                if let Ok(answer) = serde_json::from_slice::<Answer>(&publish.payload) {
                    let at_us = read_utc(&answer.receiver_time).unwrap_or(heard_us);
                    if tell.send((answer, at_us)).is_err() {
                        return;
                    }
                }
            }
            Ok(_) => {}
            Err(ConnectionError::RequestsDone) => return,
            Err(error) => {
                tracing::debug!(%error, "connection to the broker");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }
}
