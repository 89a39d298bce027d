//! Fault 14 of the fault matrix: a stream without an end byte. It is refused when it reaches the
//! cap of 1 MiB, its connection is closed soon after, memory hardly rises, and nobody else notices.

mod house;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use house::mllp::{Mllp, Vital, vital};
use house::process::{forget_peak, peak_resident_bytes};
use house::{House, PATIENCE, Plan, TCP_SERVER, device, oximeter};

/// The frame cap (facts/reliability.md 2.3 row 14).
const CAP_BYTES: u64 = 1 << 20;

/// A stream of 10 GB would go on for as long as it is read: this much shows that it is not.
const SENT_BYTES_MAX: u64 = 200 << 20;

/// What the house takes before it closes: eight times the cap, and what lies in socket buffers.
const TAKEN_BYTES_MAX: u64 = 8 * CAP_BYTES + (16 << 20);

/// What memory may rise by while three senders go on without an end: each up to a message and its
/// copy on the way to the journal, and what an allocator keeps. They send 200 MiB each.
const GROWTH_BYTES_MAX: u64 = 16 * CAP_BYTES;

/// Sends a beginning and then filler until the house closes; gives how much was taken.
fn endless(address: SocketAddr, beginning: &[u8]) -> u64 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let filler = [b'x'; 64 << 10];
    stream.write_all(beginning).unwrap();
    let mut sent = beginning.len() as u64;
    while sent < SENT_BYTES_MAX {
        match stream.write(&filler) {
            Ok(count) => sent += count as u64,
            Err(error) => {
                let kind = error.kind();
                use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
                assert!(matches!(kind, BrokenPipe | ConnectionReset), "{kind:?} after {sent}");
                return sent;
            }
        }
    }
    panic!("{sent} bytes without an end, and still open");
}

#[test]
fn f14_a_stream_without_an_end_is_refused_and_closed() {
    let mut house = House::open(Plan::of(
        device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
            + &device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER)
            + &device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER),
    ));
    let [monitor, analyser, oximeter_at] =
        ["monitor", "analyser", "oximeter"].map(|name| house.listening(name));
    let id = house.gateway_id();
    let mut peer = Mllp::connect(monitor).unwrap();
    let mut talker = TcpStream::connect(oximeter_at).unwrap();
    let mut ask = |serial: usize| {
        let (control_id, time) = (
            format!("M{serial}"),
            format!("20261120{:02}{:02}{:02}", serial / 3600, serial / 60 % 60, serial % 60),
        );
        let (patient, heart_rate) = ("P-1", "61");
        let message =
            vital(Vital { sent: &time, control_id: &control_id, time: &time, patient, heart_rate });
        let answer = peer.ask(&message).unwrap();
        assert_eq!((answer.code.as_str(), answer.control_id), ("AA", control_id));
        talker.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    };
    ask(0);
    house.settle();
    forget_peak(id);
    let before = peak_resident_bytes(id);
    let header = b"\x0bMSH|^~\\&|MON||||20261120101010||ORU^R01|ENDLESS|P|2.6\rOBX|1|ED|1||";
    let mut serial = 0;
    let taken = std::thread::scope(|scope| {
        let senders = [
            scope.spawn(|| endless(monitor, header)),
            scope.spawn(|| endless(analyser, b"\x05\x021R|1|^^^pH|")),
            scope.spawn(|| endless(oximeter_at, b"$PO,")),
        ];
        while !senders.iter().all(|sender| sender.is_finished()) {
            serial += 1;
            ask(serial);
        }
        senders.map(|sender| sender.join().unwrap())
    });
    let growth = peak_resident_bytes(id).saturating_sub(before);
    println!("taken: {taken:?}; {serial} messages meanwhile; {} KiB more", growth / 1024);
    assert!(taken.iter().all(|taken| *taken <= TAKEN_BYTES_MAX), "{taken:?}");
    assert!(growth <= GROWTH_BYTES_MAX, "memory grew by {growth} bytes");
    assert_eq!(house.observations("monitor", serial + 1).len(), serial + 1);
    assert_eq!(house.observations("oximeter", serial + 1).len(), serial + 1);
    for name in ["monitor", "analyser", "oximeter"] {
        house.wait("it is refused", |house| house.device(name).refused > 0);
    }
    assert_eq!(house.stop().code(), Some(0));
    for (name, beginning) in
        [("monitor", &header[..]), ("analyser", b"\x05"), ("oximeter", b"$PO,")]
    {
        let kept = house.wires(name);
        let shown = kept.iter().filter(|(_, raw)| raw.starts_with(beginning));
        let is_refused = |head: &serde_json::Value| {
            head["refusals"].as_array().is_some_and(|all| !all.is_empty())
        };
        assert!(shown.clone().any(|(head, _)| is_refused(head)), "{name}: its beginning is kept");
        let longest = shown.map(|(_, raw)| raw.len() as u64).max();
        assert!(longest <= Some(CAP_BYTES), "{name}: {longest:?}");
    }
}

/// A sender of one message that is too long hears so, and is not thrown out before it could read
/// it.
#[test]
fn f14_a_message_that_is_too_long_is_answered() {
    let mut house =
        House::open(Plan::of(device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)));
    let mut peer = Mllp::connect(house.listening("monitor")).unwrap();
    let mut long = b"MSH|^~\\&|MON||||20261120101010||ORU^R01|LONG|P|2.6\rOBX|1|ED|1||".to_vec();
    long.resize(7 * CAP_BYTES as usize, b'x');
    let answer = peer.ask(&long).unwrap();
    assert!(["AR", "AE"].contains(&answer.code.as_str()), "{answer:?}");
    assert_eq!(answer.control_id, "LONG");
    peer.stream.shutdown(Shutdown::Write).unwrap();
    peer.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(peer.stream.read(&mut [0; 100]).unwrap(), 0);
    assert_eq!(house.stop().code(), Some(0));
}
