//! Promise 2 on a foreign broker: Mosquitto carries the records, paho-mqtt reads them, and only an
//! acknowledgement by the contract retires them. A PUBACK of the broker does not, and neither does
//! an answer of somebody else, of another stream, or beyond what was sent.

mod house;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use house::{House, PATIENCE, Plan, TCP_SERVER, device, free_port, judges, mqtt_destination};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions};
use serde_json::{Value as Json, json};
use wardgate::forward::stored::Stored;

const RECORDS: usize = 5;

/// A process that does not outlive the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn broker(mosquitto: &std::path::Path, folder: &std::path::Path) -> (Running, u16) {
    let port = free_port();
    let configuration = folder.join("mosquitto.conf");
    // Without `user` a broker that root starts looks for an account of its own.
    let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n");
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new(mosquitto);
    command.arg("-c").arg(configuration).stdout(Stdio::null()).stderr(Stdio::null());
    let broker = Running(command.spawn().unwrap());
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the broker takes no connection");
        std::thread::sleep(Duration::from_millis(10));
    }
    (broker, port)
}

/// Starts the judge and waits until it hears everything.
fn reader(python: &std::path::PathBuf, port: u16, count: usize) -> Running {
    let mut judge = judges::judge(python, "mqtt_read.py");
    judge.args(["127.0.0.1", &port.to_string(), "20", "--stop-after", &count.to_string()]);
    judge.args(["--topic", "wardgate/v1/+/+/+/+/observation/+"]);
    let mut judge = judge.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(judge.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "subscribed\n");
    Running(judge)
}

fn heard(mut reader: Running) -> Vec<Json> {
    let output = BufReader::new(reader.0.stdout.take().unwrap());
    let lines = output.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    lines.collect()
}

/// Publishes an answer as any MQTT 5 client would, and waits until the broker has it.
fn publish(port: u16, topic: &str, answer: &Json) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = MqttOptions::new("hand", ("127.0.0.1".to_owned(), port));
        let (client, mut events) = AsyncClient::builder(options).capacity(4).build();
        let payload = answer.to_string().into_bytes();
        client.publish(topic, payload, PublishOptions::at_least_once()).await.unwrap();
        loop {
            if let Event::Incoming(Packet::PubAck(_)) = events.poll().await.unwrap() {
                return;
            }
        }
    });
}

#[test]
fn only_the_cores_own_word_retires_a_record() {
    let Some(mosquitto) = judges::mosquitto("mqtt_peer") else { return };
    let Some(python) = judges::python("mqtt_peer") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (_broker, port) = broker(&mosquitto, folder.path());
    let first = reader(&python, port, RECORDS);
    let destinations = Some(mqtt_destination(port, ", resend_after_s = 1"));
    let devices = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let mut house = House::open(Plan { destinations, ..Plan::of(devices) });
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    for _ in 0..RECORDS {
        stream.write_all(&house::oximeter::line("97", "60", "2.5")).unwrap();
    }
    let first = heard(first);
    let records: Vec<Json> = first.iter().map(payload).collect();
    for (heard, record) in first.iter().zip(&records) {
        as_the_contract_says(heard, record);
    }

    // Mosquitto has sent PUBACK for each: they are sent again and nothing moves.
    let again = heard(reader(&python, port, RECORDS));
    let text = |one: &Json| one["payload"].as_str().unwrap().to_owned();
    for one in &again {
        assert!(first.iter().any(|before| text(before) == text(one)), "byte for byte: {one}");
    }
    house.wait("everything is sent again", |house| {
        house.status().destinations[0].resent >= 2 * RECORDS as u64
    });
    unmoved(&house);

    let topic = first[0]["properties"]["response_topic"].as_str().unwrap();
    let stream_id = records[0]["data"]["stream"].as_str().unwrap();
    let sequences = records.iter().map(|one| one["data"]["sequence"].as_u64().unwrap());
    let last = sequences.max().unwrap();
    let answer = |stream: &str, last: u64, receiver: &str| {
        json!({ "stream": stream, "accepted": [[1, last]], "rejected": [],
            "receiver_time": "2026-11-23T08:00:00Z", "receiver_id": receiver })
    };
    let wrong = [
        answer(stream_id, last, "somebody-else"),
        answer(&"0".repeat(32), last, "core"),
        answer(stream_id, last + 1000, "core"),
        json!({ "accepted": [[1, last]] }),
    ];
    for (index, wrong) in wrong.iter().enumerate() {
        publish(port, topic, wrong);
        house.wait("the wrong answer is counted", |house| {
            house.status().destinations[0].refused_acknowledgements == index as u64 + 1
        });
        unmoved(&house);
    }

    publish(port, topic, &answer(stream_id, last, "core"));
    house.wait("the backlog is gone", |house| house.status().destinations[0].backlog == 0);
    let journal = house.journal_records();
    let routed = journal.iter().filter(|record| {
        let stored = Stored::from_bytes(&record.payload);
        stored.is_some_and(|stored| stored.routes.contains_key("core"))
    });
    // The observations, and what went before them.
    let routed = routed.count();
    assert!(routed > RECORDS);
    assert_eq!(house.status().destinations[0].acknowledged, routed as u64);
    assert_eq!(journal.first().map(|one| one.sequence.number()), Some(1), "nothing was freed");
    assert_eq!(house.stop().code(), Some(0));
}

fn payload(heard: &Json) -> Json {
    serde_json::from_str(heard["payload"].as_str().unwrap()).unwrap()
}

/// `INGESTION`, "Bindings".
fn as_the_contract_says(heard: &Json, record: &Json) {
    assert_eq!(heard["topic"], "wardgate/v1/demo/site/icu/box-1/observation/oximeter");
    assert_eq!((heard["qos"].as_u64(), heard["retain"].as_bool()), (Some(1), Some(false)));
    let properties = &heard["properties"];
    assert_eq!(properties["correlation_data"], record["id"]);
    assert!(properties["content_type"].as_str().unwrap().contains("json"), "{properties}");
    assert!(properties.get("message_expiry").is_none(), "a record does not expire");
    let user = properties["user"].as_array().unwrap();
    for key in ["id", "source", "type", "time", "subject"] {
        assert!(
            user.iter().any(|pair| pair[0] == key && pair[1] == record[key]),
            "{key}: {user:?}"
        );
    }
    assert_eq!(record["specversion"], "1.0");
    assert_eq!(record["source"], house::SOURCE);
    assert_eq!(house::value(record, "spo2"), "97");
}

fn unmoved(house: &House) {
    let destination = &house.status().destinations[0];
    assert_eq!(destination.acknowledged, 0);
    assert!(destination.backlog >= RECORDS as u64, "{destination:?}");
}
