//! One connection, from CONNECT to its end.

use std::time::Duration;

use rumqttc::{AsyncClient, PublishOptions, QoS, SubscribeFilter};
use tokio::sync::{mpsc, oneshot, watch};

use super::connection::{News, poll, publish};
use super::{Ended, Mqtt, Outgoing, Pump, state_text};
use crate::forward::Inbound;
use crate::forward::window::IN_FLIGHT_RECORDS_MAX;

/// Every record in flight may be queued once, and a few subscriptions and states.
const REQUESTS_MAX: usize = IN_FLIGHT_RECORDS_MAX + 16;
/// Events that wait for us; the poller waits when they are full.
const EVENTS_MAX: usize = 64;
/// A poll reads many packets; at most this many events are handled before records are sent.
const EVENTS_AT_ONCE: usize = 64;
/// Records that become durable in quick succession go out together: what is sent has to stand in
/// the cursor file first, and a sync of that for each of them would hold up the journal's own. A
/// record that comes alone goes at once.
const FILL_EVERY: Duration = Duration::from_millis(20);
/// How long the cursor may lag behind acknowledgements when nothing else wants it saved.
const SAVE_AFTER: Duration = Duration::from_millis(200);
/// The last state and the DISCONNECT must be out by then.
const GOODBYE: Duration = Duration::from_secs(2);
/// A broker that does not answer a CONNECT in this time is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// The longest sleep between two looks at what is due.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// The largest record that any broker may be asked to take, if it names no limit itself.
pub(super) const PACKET_BYTES_MAX: usize = 8 << 20;

struct Session {
    client: AsyncClient,
    /// The broker keeps retained messages; one that does not ends the connection over them.
    retains: bool,
    connected: bool,
    /// What the core is told of what it charted, as it becomes durable.
    told: (mpsc::UnboundedSender<Vec<u8>>, mpsc::UnboundedReceiver<Vec<u8>>),
}

impl Mqtt {
    pub(super) async fn connection(
        &mut self,
        pump: &mut Pump<Outgoing>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let options = match self.options(&pump.counters.peer) {
            Ok(options) => options,
            // Files are replaced while we run: the next attempt may find them whole.
            Err(error) => return Ended::Lost(error.to_string()),
        };
        let (client, event_loop) = AsyncClient::builder(options).capacity(REQUESTS_MAX).build();
        let (tell, mut news) = mpsc::channel(EVENTS_MAX);
        let poller = tokio::spawn(poll(event_loop, tell));
        let told = mpsc::unbounded_channel();
        let mut session = Session { client, retains: true, connected: false, told };
        self.packet_bytes_max = PACKET_BYTES_MAX;
        let ended = self.converse(pump, &mut session, &mut news, durable, stop).await;
        // Answers that came meanwhile are not waited for: what they name is sent again.
        if session.connected && matches!(ended, Ended::Stopped) {
            self.publish_state(&session, "stopped");
            let _ = session.client.try_disconnect();
        }
        drop(session);
        // Reads until the poller has ended, so that it never waits for us.
        let ending = async {
            while news.recv().await.is_some() {}
            poller.await
        };
        if tokio::time::timeout(GOODBYE, ending).await.is_err() {
            tracing::warn!(destination = self.destination.name, "connection did not end in time");
        }
        ended
    }

    async fn converse(
        &mut self,
        pump: &mut Pump<Outgoing>,
        session: &mut Session,
        news: &mut mpsc::Receiver<News>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let deadline = tokio::time::Instant::now() + CONNECT_WITHIN;
        let mut save_at: Option<tokio::time::Instant> = None;
        // While there is one, what becomes durable waits for it.
        let mut fill_at: Option<tokio::time::Instant> = None;
        loop {
            let wake = wake_at(pump, session, [save_at, fill_at], deadline);
            let fills = fill_at.is_none();
            let (mut came, mut told) = (Vec::new(), None);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
                count = news.recv_many(&mut came, EVENTS_AT_ONCE) => if count == 0 {
                    return Ended::Lost("the connection's task ended".to_owned());
                },
                answer = session.told.1.recv() => told = answer,
                changed = durable.changed(), if fills => if changed.is_err() {
                    return Ended::Stopped;
                },
                () = tokio::time::sleep_until(wake) => {}
            }
            if let Some(answer) = told {
                self.publish_told(session, answer);
            }
            for news in came {
                if let Some(ended) = self.hear(pump, session, news) {
                    return ended;
                }
            }
            let now = tokio::time::Instant::now();
            if !session.connected && now >= deadline {
                return Ended::Lost("no answer to CONNECT".to_owned());
            }
            if session.connected && fill_at.is_none_or(|fill| fill <= now) {
                let position = pump.window.next();
                if let Err(why) = pump.fill(self).await {
                    return Ended::Lost(why);
                }
                self.send(pump, session);
                let rests = pump.window.next() != position || pump.holds_back();
                fill_at = rests.then_some(now + FILL_EVERY);
            }
            pump.count(*durable.borrow());
            if !pump.is_behind() {
                save_at = None;
            } else if *save_at.get_or_insert(now + SAVE_AFTER) <= now {
                pump.save().await;
                save_at = None;
            }
        }
    }

    fn hear(
        &mut self,
        pump: &mut Pump<Outgoing>,
        session: &mut Session,
        news: News,
    ) -> Option<Ended> {
        match news {
            News::Connected { packet_bytes_max, retains } => {
                session.retains = retains;
                self.connected(pump, session, packet_bytes_max).map(Ended::Lost)
            }
            News::Arrived { topic, payload } => {
                self.arrived(pump, session, &topic, &payload);
                None
            }
            News::Subscribed { all: true } => None,
            News::Subscribed { all: false } => {
                Some(Ended::Lost("the broker refuses our subscriptions".to_owned()))
            }
            News::Refused(reason) => {
                let destination = self.destination.name.as_str();
                tracing::warn!(destination, ?reason, "the broker refuses a record");
                None
            }
            News::Ended(why) => Some(Ended::Lost(why)),
        }
    }

    fn connected(
        &mut self,
        pump: &mut Pump<Outgoing>,
        session: &mut Session,
        limit: Option<u32>,
    ) -> Option<String> {
        session.connected = true;
        if let Some(limit) = limit {
            self.packet_bytes_max = (limit as usize).min(PACKET_BYTES_MAX);
        }
        // A broker whose access list is older than answers to manifests refuses the topic, which
        // nobody needs where an acknowledgement is enough.
        let manifests = pump.is_proven_by_manifests().then_some("manifest-answer");
        let charted = self.inbox.is_some().then_some("charted");
        let topics = ["acknowledgement", "have"].into_iter().chain(manifests).chain(charted);
        let filter = |what| SubscribeFilter::new(self.topic_in(what), QoS::AtLeastOnce);
        let filters: Vec<SubscribeFilter> = topics.map(filter).collect();
        if session.client.try_subscribe_many(filters).is_err() {
            return Some("cannot subscribe".to_owned());
        }
        self.publish_state(session, "online");
        pump.connected();
        None
    }

    /// A topic of this destination alone: two on one broker do not speak for each other.
    fn topic_in(&self, what: &str) -> String {
        self.destination.address.topic(&format!("{what}/{}", self.destination.name))
    }

    /// The state is a courtesy: whoever watches it also has the will.
    fn publish_state(&self, session: &Session, state: &str) {
        let topic = self.topic_in("state");
        let text = state_text(state, &self.destination.name);
        let options = PublishOptions::at_least_once().retain(session.retains);
        if session.client.try_publish(topic, text.into_bytes(), options).is_err() {
            tracing::debug!(destination = self.destination.name, "state not published");
        }
    }

    /// What is not published is told again when the core says it again.
    fn publish_told(&self, session: &Session, answer: Vec<u8>) {
        let topic = self.topic_in("charted-answer");
        let options = PublishOptions::at_least_once();
        if session.client.try_publish(topic, answer, options).is_err() {
            tracing::warn!(destination = self.destination.name, "an answer was not published");
        }
    }

    /// What the core charted goes to whoever keeps it; the answer comes when it is durable.
    fn charted(&self, session: &Session, payload: &[u8]) {
        let Some(inbox) = &self.inbox else { return };
        let (answer, answered) = oneshot::channel();
        let receivers = self.destination.mqtt.receivers.clone();
        let inbound = Inbound { payload: payload.to_vec(), receivers, answer };
        if inbox.try_send(inbound).is_err() {
            tracing::warn!(
                destination = self.destination.name,
                "what the core charted was not taken: too much waits, or no bedside is open"
            );
            return;
        }
        let told = session.told.0.clone();
        tokio::spawn(async move {
            if let Ok(answer) = answered.await {
                // A connection that has ended meanwhile tells nobody.
                let _ = told.send(answer);
            }
        });
    }

    fn arrived(&self, pump: &mut Pump<Outgoing>, session: &Session, topic: &str, payload: &[u8]) {
        if topic == self.topic_in("acknowledgement") {
            pump.hear_acknowledgement(payload);
        } else if topic == self.topic_in("have") {
            pump.hear_have(payload);
        } else if topic == self.topic_in("manifest-answer") {
            pump.hear_manifest_answer(payload);
        } else if topic == self.topic_in("charted") {
            self.charted(session, payload);
        }
    }

    fn send(&self, pump: &mut Pump<Outgoing>, session: &Session) {
        let response = self.topic_in("acknowledgement");
        pump.send_due(|outgoing| publish(&session.client, outgoing, &response).is_ok());
    }
}

fn wake_at(
    pump: &Pump<Outgoing>,
    session: &Session,
    wanted: [Option<tokio::time::Instant>; 2],
    deadline: tokio::time::Instant,
) -> tokio::time::Instant {
    let now = tokio::time::Instant::now();
    if !session.connected {
        return deadline;
    }
    let due = pump.window.next_due_ms().map(|due| due.saturating_sub(pump.now_ms()).max(1));
    let due = due.map_or(LOOK_AFTER, Duration::from_millis).min(LOOK_AFTER);
    wanted.into_iter().flatten().fold(now + due, tokio::time::Instant::min)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::AsyncReadExt as _;

    use super::*;
    use crate::forward::Counters;
    use crate::forward::mqtt::tests::{CERTIFICATE, destination};
    use crate::forward::pump::Binding as _;
    use crate::journal::{Journal, Options};

    /// The first byte of a TLS record that holds a handshake (RFC 8446, 5.1).
    const HANDSHAKE: u8 = 22;

    #[tokio::test]
    async fn a_tls_file_that_is_away_for_a_moment_costs_one_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let broker = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, CERTIFICATE).unwrap();
        let mut destination = destination("icu");
        destination.mqtt.host = "127.0.0.1".to_owned();
        destination.mqtt.port = Some(broker.local_addr().unwrap().port());
        destination.mqtt.ca = Some(ca.clone());
        let opened = Journal::open(&folder.path().join("journal"), Options::default()).unwrap();
        let counters = Arc::new(Counters::default());
        let mut mqtt = Mqtt::new(destination).unwrap();
        let settings = mqtt.settings(folder.path().to_owned());
        let mut pump = Pump::open(settings, opened.reader, counters).unwrap();
        let (_durable, mut durable) = watch::channel(0);
        let (stop, mut stopping) = watch::channel(false);

        std::fs::remove_file(&ca).unwrap();
        let ended = mqtt.session(&mut pump, &mut durable, &mut stopping).await;
        assert!(matches!(ended, Ended::Lost(why) if why == "cannot read the ca file: NotFound"));

        std::fs::write(&ca, CERTIFICATE).unwrap();
        let hello = async {
            let (mut stream, _) = broker.accept().await.unwrap();
            let first = stream.read_u8().await.unwrap();
            stop.send_replace(true);
            first
        };
        let (ended, first) =
            tokio::join!(mqtt.session(&mut pump, &mut durable, &mut stopping), hello);
        assert!(matches!(ended, Ended::Stopped));
        assert_eq!(first, HANDSHAKE);
    }
}
