//! The side of the MQTT client: polls it, names what comes, and publishes records.

use rumqttc::{
    AsyncClient, ClientError, ConnectionError, Event, EventLoop, Packet, PubAckReason,
    PublishOptions, PublishProperties, StateError, SubscribeReasonCode, TlsError,
};
use tokio::sync::mpsc;

use super::Outgoing;
use crate::forward::tls::{why, why_network};

/// What the connection tells us.
pub(super) enum News {
    Connected {
        packet_bytes_max: Option<u32>,
        retains: bool,
    },
    Arrived {
        topic: String,
        payload: Vec<u8>,
    },
    Subscribed {
        all: bool,
    },
    /// A PUBACK that is a refusal: the record is sent again when its silence is over.
    Refused(PubAckReason),
    Ended(String),
}

/// Queues a record without waiting; an error means that the queue is full.
pub(super) fn publish(
    client: &AsyncClient,
    outgoing: &Outgoing,
    response: &str,
) -> Result<(), ClientError> {
    let rendered = &outgoing.rendered;
    let user = |(key, value): &(&str, String)| ((*key).to_owned(), value.clone());
    let properties = PublishProperties {
        response_topic: Some(response.to_owned()),
        correlation_data: Some(rendered.record.as_str().as_bytes().to_vec().into()),
        content_type: Some("application/cloudevents+json".to_owned()),
        user_properties: rendered.attributes.iter().map(user).collect(),
        ..PublishProperties::default()
    };
    let options = PublishOptions::at_least_once().properties(properties);
    client.try_publish(outgoing.topic.as_str(), rendered.payload.as_slice(), options)
}

/// Polls the connection to its end. Ends when nobody listens.
pub(super) async fn poll(mut event_loop: EventLoop, tell: mpsc::Sender<News>) {
    loop {
        let news = match event_loop.poll().await {
            Ok(Event::Incoming(packet)) => news_of(packet),
            Ok(Event::Outgoing(_) | Event::Auth(_)) => None,
            Err(error) => Some(News::Ended(name_of(&error))),
        };
        let Some(news) = news else { continue };
        let last = matches!(news, News::Ended(_));
        if tell.send(news).await.is_err() || last {
            return;
        }
    }
}

fn news_of(packet: Packet) -> Option<News> {
    if let Packet::ConnAck(answer) = packet {
        let properties = answer.properties.as_ref();
        return Some(News::Connected {
            packet_bytes_max: properties.and_then(|properties| properties.max_packet_size),
            retains: properties.is_none_or(|properties| properties.retain_available != Some(0)),
        });
    }
    if let Packet::SubAck(answer) = packet {
        let good = |code: &SubscribeReasonCode| matches!(code, SubscribeReasonCode::Success(_));
        return Some(News::Subscribed { all: answer.return_codes.iter().all(good) });
    }
    if let Packet::PubAck(answer) = packet {
        let taken = [PubAckReason::Success, PubAckReason::NoMatchingSubscribers];
        return (!taken.contains(&answer.reason)).then_some(News::Refused(answer.reason));
    }
    if let Packet::Publish(publish) = packet {
        let topic = String::from_utf8(publish.topic.to_vec()).ok()?;
        return Some(News::Arrived { topic, payload: publish.payload.to_vec() });
    }
    None
}

/// The sort of the error: the client's own text may quote what a peer sent.
fn name_of(error: &ConnectionError) -> String {
    let text = match error {
        ConnectionError::Io(error)
        | ConnectionError::MqttState(StateError::Io(error))
        | ConnectionError::MqttState(StateError::Deserialization(rumqttc::Error::Io(error)))
        | ConnectionError::Tls(TlsError::Io(error)) => return why_network(error),
        ConnectionError::Tls(TlsError::TLS(error)) => return format!("TLS: {}", why(error)),
        ConnectionError::ConnectionRefused(code) => return format!("refused: {code:?}"),
        ConnectionError::Timeout(_) | ConnectionError::MqttState(StateError::AwaitPingResp) => {
            "no answer in time"
        }
        ConnectionError::Tls(_) => "TLS",
        ConnectionError::MqttState(StateError::ConnectionAborted) => "closed by the broker",
        ConnectionError::RequestsDone => "ended",
        ConnectionError::MqttState(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::SessionStateMismatch { .. } => "the broker breaks the protocol",
        ConnectionError::DisconnectTimeout
        | ConnectionError::SessionStore(_)
        | ConnectionError::SessionRestore(_)
        | ConnectionError::BrokerTransportMismatch
        | ConnectionError::AuthProcessingError => "client",
        // The client's enum is open: its later words have no name here.
        _ => "other",
    };
    text.to_owned()
}
