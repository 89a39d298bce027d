//! A receiver of the test's own on any MQTT 5 broker: hears what goes out, property by property,
//! and answers what the test wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use serde_json::{Value as Json, json};

/// A record as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    pub topic: String,
    pub payload: Vec<u8>,
    pub correlation: Vec<u8>,
    /// The user property `id`.
    pub id: String,
    response: String,
    stream: String,
    pub sequence: u64,
}

/// What is answered to a record.
#[derive(Clone, Copy, Debug)]
pub enum Answers {
    Nothing,
    /// At most one record in this time.
    OneEvery(Duration),
    /// Each so long after it came.
    After(Duration),
    /// Observations are refused for good with this code, the rest is accepted.
    Refuses(&'static str),
}

/// The receiver, on a thread of its own until it is dropped.
pub struct Receiver {
    heard: Arc<Mutex<Vec<Heard>>>,
    answers: Arc<Mutex<Answers>>,
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Receiver {
    /// Subscribes on a broker; ready when it returns.
    pub fn start(port: u16, name: &'static str, answers: Answers) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers));
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (notes, says) = (Arc::clone(&heard), Arc::clone(&answers));
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let run = listen(port, name, &notes, &says, ready);
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = run => {}
                    _ = stopped => {}
                }
            });
        });
        is_ready.recv_timeout(super::PATIENCE).expect("the broker takes the subscription");
        Self { heard, answers, _stop: stop }
    }

    /// What came so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("a list").clone()
    }

    /// From now on it answers otherwise.
    pub fn answer(&self, answers: Answers) {
        *self.answers.lock().expect("answers") = answers;
    }
}

async fn listen(
    port: u16,
    name: &str,
    heard: &Mutex<Vec<Heard>>,
    answers: &Mutex<Answers>,
    ready: std::sync::mpsc::Sender<()>,
) {
    let options = MqttOptions::new(format!("test-{name}"), ("127.0.0.1".to_owned(), port));
    let (client, mut events) = AsyncClient::builder(options).capacity(1024).build();
    client.try_subscribe("wardgate/v1/+/+/+/+/+/+", QoS::AtLeastOnce).expect("asked");
    let mut waiting: VecDeque<(Instant, Heard)> = VecDeque::new();
    let mut last = Instant::now();
    loop {
        tokio::select! {
            event = events.poll() => {
                let event = event.expect("a connection");
                if let Event::Incoming(Packet::SubAck(_)) = event {
                    let _ = ready.send(());
                } else if let Event::Incoming(Packet::Publish(publish)) = event
                    && let Some(record) = record(publish)
                {
                    heard.lock().expect("a list").push(record.clone());
                    waiting.push_back((Instant::now(), record));
                }
            },
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        let says = *answers.lock().expect("answers");
        while let Some((came, record)) = waiting.front() {
            let (is_time, refused) = match says {
                Answers::Nothing => (false, None),
                Answers::OneEvery(time) => (last.elapsed() >= time, None),
                Answers::After(time) => (came.elapsed() >= time, None),
                Answers::Refuses(code) => {
                    (true, record.topic.contains("/observation/").then_some(code))
                }
            };
            if !is_time {
                break;
            }
            last = Instant::now();
            let answer = answer(record, name, refused).to_string();
            let options = PublishOptions::at_least_once();
            client
                .try_publish(record.response.as_str(), answer.into_bytes(), options)
                .expect("room");
            waiting.pop_front();
        }
    }
}

fn record(publish: rumqttc::Publish) -> Option<Heard> {
    let properties = publish.properties?;
    let payload: Json = serde_json::from_slice(&publish.payload).ok()?;
    let id = properties.user_properties.iter().find(|(key, _)| key == "id")?.1.clone();
    Some(Heard {
        topic: String::from_utf8(publish.topic.to_vec()).ok()?,
        correlation: properties.correlation_data?.to_vec(),
        id,
        response: properties.response_topic?,
        stream: payload["data"]["stream"].as_str()?.to_owned(),
        sequence: payload["data"]["sequence"].as_u64()?,
        payload: publish.payload.to_vec(),
    })
}

fn answer(record: &Heard, name: &str, refused: Option<&str>) -> Json {
    let sequence = record.sequence;
    let accepted = if refused.is_none() { json!([[sequence, sequence]]) } else { json!([]) };
    let rejected = refused
        .map(|code| json!({ "sequence": sequence, "code": code, "text": "", "permanent": true }));
    json!({
        "stream": record.stream, "accepted": accepted,
        "rejected": rejected.into_iter().collect::<Vec<Json>>(),
        "receiver_time": "2026-11-23T08:00:00Z", "receiver_id": name,
    })
}
