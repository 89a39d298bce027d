//! Fault 13 of the fault matrix: hostile HL7, ASTM, lines, frames and acknowledgements, over
//! sockets into a running house. Nothing panics, memory stays bounded, every damaged message is
//! refused or its connection closed, and the next good one on the same connection is taken.
//!
//! `WARDGATE_SEED` repeats a run.

mod house;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};

use house::damage::mutated;
use house::lis01::{ENQ, EOT, frame, ph_result};
use house::mllp::{Mllp, Vital, framed, vital};
use house::process::{forget_peak, peak_resident_bytes};
use house::{House, Plan, SOURCE, TCP_SERVER, XorShift, binary_oximeter, device, oximeter, value};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions};
use serde_json::json;

/// How many damaged messages each peer sends.
const ROUNDS: usize = 400;

/// What memory may grow by: one frame cap for each of the five peers, twice (facts/reliability.md
/// 2.3 row 13), and what the house keeps of its first thousand messages.
const GROWTH_BYTES_MAX: u64 = 5 * 2 * (1 << 20) + (24 << 20);

/// Damaged, or nothing but chance.
fn hostile(good: &[u8], random: &mut XorShift) -> Vec<u8> {
    if random.below(8) > 0 {
        return mutated(good, random);
    }
    (0..random.below(600)).map(|_| random.next() as u8).collect()
}

/// Each damaged message is followed by a good one, which must be answered AA on that connection, or
/// on the next one where the house closed it. Gives the control ids of the good ones.
fn monitor(address: SocketAddr) -> (usize, usize) {
    let mut random = XorShift::seeded("hl7v2");
    let message = |control_id: &str, time: &str| {
        let (patient, heart_rate) = ("P-1", "61");
        vital(Vital { sent: time, control_id, time, patient, heart_rate })
    };
    let (mut refused, mut closed) = (0, 0);
    let mut peer = Mllp::connect(address).unwrap();
    for round in 0..ROUNDS {
        let bad = framed(&message("BAD", "20261120101010"));
        let _ = peer.send_bytes(&hostile(&bad, &mut random));
        let control_id = format!("G{round}");
        let good =
            message(&control_id, &format!("20261120{:02}{:02}00", 11 + round / 60, round % 60));
        let sent = peer.send(&good);
        loop {
            match sent
                .as_ref()
                .map_err(|error| error.kind())
                .and_then(|()| peer.answer().map_err(|error| error.kind()))
            {
                Ok(answer) if answer.control_id == control_id => {
                    assert_eq!(answer.code, "AA", "round {round}");
                    break;
                }
                Ok(answer) => refused += usize::from(answer.code != "AA"),
                Err(kind) => {
                    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
                    let is_closed = matches!(kind, BrokenPipe | ConnectionReset | UnexpectedEof);
                    assert!(is_closed, "round {round}: no answer and not closed: {kind:?}");
                    closed += 1;
                    peer = Mllp::connect(address).unwrap();
                    assert_eq!(peer.ask(&good).unwrap().code, "AA", "round {round}");
                    break;
                }
            }
        }
    }
    (refused, closed)
}

/// A sender that does not wait for answers: EOT and ENQ end whatever the damage left open. The
/// connection comes back: closing it with answers unread would take away what is under way.
fn analyser(address: SocketAddr) -> TcpStream {
    let mut random = XorShift::seeded("astm");
    let transmission = |specimen: &str, time: &str| {
        let records = ph_result("P-1", specimen, "7.41", time);
        let frames = records.iter().enumerate();
        let frames = frames.flat_map(|(index, one)| frame(index + 1, one.as_bytes()));
        [vec![ENQ], frames.collect(), vec![EOT]].concat()
    };
    let mut stream = TcpStream::connect(address).unwrap();
    for round in 0..ROUNDS {
        let time = format!("20261120{:02}{:02}00", 11 + round / 60, round % 60);
        let bad = hostile(&transmission("BAD", &time), &mut random);
        let good = transmission(&format!("S-{round}"), &time);
        stream.write_all(&[&bad[..], &[EOT], &good].concat()).unwrap();
    }
    stream
}

/// Devices that only talk. The pulse tells the rounds apart.
fn talker(address: SocketAddr, name: &str, good: impl Fn(usize) -> Vec<u8>, between: &[u8]) {
    let mut random = XorShift::seeded(name);
    let mut stream = TcpStream::connect(address).unwrap();
    for round in 0..ROUNDS {
        let bad = hostile(&good(0), &mut random);
        stream.write_all(&[&bad[..], between, &good(30 + round)].concat()).unwrap();
    }
}

/// Answers from everywhere, whole and damaged, none of which may count.
fn receiver(port: u16, payloads: &[Vec<u8>]) {
    let topic = "wardgate/v1/demo/site/icu/box-1/acknowledgement/core";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = MqttOptions::new("hostile", ("127.0.0.1".to_owned(), port));
        let (client, mut events) = AsyncClient::builder(options).capacity(8).build();
        for payload in payloads {
            client.publish(topic, payload.clone(), PublishOptions::at_least_once()).await.unwrap();
            while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::PubAck(_))) {}
        }
    });
}

#[test]
fn f13_nothing_that_peers_send_stops_the_house() {
    let mut house = House::open(Plan::of(
        device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
            + &device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER)
            + &device("line", "nordpuls/po-100", "2.2", TCP_SERVER)
            + &device("frame", "nordpuls/bx-2", "3.1", TCP_SERVER),
    ));
    let [monitor_at, analyser_at, line_at, frame_at] =
        ["monitor", "analyser", "line", "frame"].map(|name| house.listening(name));
    let stream = house.status().stream;
    let answer = json!({ "stream": stream, "accepted": [[1, 5]], "rejected": [],
        "receiver_time": "2026-11-23T08:00:00Z", "receiver_id": "somebody-else" });
    let (answer, port, id) = (answer.to_string(), house.core_port(), house.gateway_id());
    let mut random = XorShift::seeded("acknowledgements");
    let mut payloads: Vec<Vec<u8>> =
        (0..ROUNDS).map(|_| hostile(answer.as_bytes(), &mut random)).collect();
    payloads.push(vec![b'['; 100_000]);
    payloads.push(format!("{answer}{answer}").into_bytes());
    house.settle();
    forget_peak(id);
    let before = peak_resident_bytes(id);
    let (_open, (refused, closed)) = std::thread::scope(|scope| {
        let analyser = scope.spawn(|| analyser(analyser_at));
        let line = |pulse: usize| oximeter::line("97", &pulse.to_string(), "2.5");
        scope.spawn(move || talker(line_at, "line", line, b"\r\n"));
        let frame = |pulse: usize| binary_oximeter::frame(970, pulse as u16, 25, 1);
        scope.spawn(move || talker(frame_at, "frame", frame, b""));
        scope.spawn(|| receiver(port, &payloads));
        let heard = scope.spawn(|| monitor(monitor_at)).join().unwrap();
        (analyser.join().unwrap(), heard)
    });
    println!("monitor: {refused} refused, {closed} closed");
    assert!(refused > ROUNDS / 40, "the damage is seen");

    let text = |house: &House, name: &str| {
        let records = house.stored_of("observation", name);
        records.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    house.wait("every good result has come through", |house| {
        let stored = text(house, "analyser");
        (0..ROUNDS).all(|round| stored.contains(&format!("\"S-{round}\"")))
    });
    for name in ["line", "frame"] {
        house.wait("every good reading has come through", |house| {
            let stored = house.stored_of("observation", name);
            let pulses: Vec<String> =
                stored.iter().map(|one| value(one, "pulse-rate-pleth")).collect();
            // An analyser's parts of a unit come as sent: 60, or 60.0 where the device file says
            // so.
            (0..ROUNDS).all(|round| {
                let pulse = (30 + round).to_string();
                pulses.iter().any(|sent| sent.split('.').next() == Some(pulse.as_str()))
            })
        });
        assert!(house.device(name).refused > 0);
    }
    house.settle();
    house.wait("every answer of a stranger is refused", |house| {
        house.status().destinations[0].refused_acknowledgements == payloads.len() as u64
    });
    // Too large for any answer: the connection ends and comes back.
    receiver(port, &[vec![b'{'; 200_000]]);
    let mut last = TcpStream::connect(line_at).unwrap();
    last.write_all(&oximeter::line("97", "29", "2.5")).unwrap();
    house.wait("what comes next arrives", |house| {
        let stored = house.stored_of("observation", "line");
        stored.iter().any(|one| value(one, "pulse-rate-pleth") == "29")
    });
    house.settle();
    let growth = peak_resident_bytes(id).saturating_sub(before);
    println!("memory: {} KiB at first, {} KiB more", before / 1024, growth / 1024);
    assert!(growth <= GROWTH_BYTES_MAX, "memory grew by {growth} bytes");
    assert_eq!(house.stop().code(), Some(0));
    let log = house.log();
    assert!(!log.contains("panicked") && !log.contains("task has failed"), "{log}");
    assert!(!log.contains("P-1") && !log.contains(&SOURCE[40..]), "nothing of a message is logged");
}
