//! Fault 9 of the fault matrix: peers that are gone without a word, stop reading, or reset the
//! connection in the middle of a frame. Each is noticed within 30 s and leaves no open socket behind.
//!
//! The network in between is a proxy of our own that stops forwarding: both ends stay connected and
//! hear nothing any more. The kernel's own watching (a peer without power) cannot be tried without
//! another machine, so it is read from the kernel's table that it is on.

mod house;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use house::lis01::{ACK, Analyser, ENQ, frame, ph_result};
use house::mllp::{Mllp, Vital, framed, vital};
use house::process::open_sockets;
use house::{House, Plan, TCP_SERVER, device, oximeter};

/// Fault 9's target (facts/reliability.md 2.3).
const NOTICED_WITHIN: Duration = Duration::from_secs(30);

/// What a busy machine may add to it.
const SLACK: Duration = Duration::from_secs(5);

fn message(serial: usize) -> (String, Vec<u8>) {
    // An identifier as long as HL7 allows makes an answer that fills buffers soon.
    let control_id = format!("{serial:0>199}");
    let time = format!("20261120{:02}{:02}{:02}", serial / 3600, serial / 60 % 60, serial % 60);
    let (patient, heart_rate) = ("P-1", "61");
    let message =
        vital(Vital { sent: &time, control_id: &control_id, time: &time, patient, heart_rate });
    (control_id, message)
}

fn still_works(to: SocketAddr, serial: usize) {
    let (control_id, message) = message(serial);
    let answer = Mllp::connect(to).unwrap().ask(&message).unwrap();
    assert_eq!((answer.code.as_str(), answer.control_id), ("AA", control_id));
}

/// Closing it resets the connection at once, as a firewall or a crash does.
fn reset_at_close(stream: &TcpStream) {
    let now = Some(Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(stream, now).unwrap();
}

#[test]
fn f09_resets_in_the_middle_of_a_frame_leave_nothing_open() {
    const CYCLES: usize = 300;
    let mut house = House::open(Plan::of(
        device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
            + &device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER),
    ));
    let (monitor, analyser) = (house.listening("monitor"), house.listening("analyser"));
    still_works(monitor, 0);
    let none_open = |house: &House| {
        ["monitor", "analyser"].iter().all(|name| house.device(name).connections == 0)
    };
    house.wait("nobody is connected", |house| none_open(house));
    house.settle();
    let before = open_sockets(house.gateway_id());
    let records = ph_result("P-1", "S-1", "7.41", "20261120101010");
    for cycle in 0..CYCLES {
        let mut half = Mllp::connect(monitor).unwrap();
        let (_, message) = message(cycle + 1);
        half.send_bytes(&framed(&message)[..20 + cycle]).unwrap();
        reset_at_close(&half.stream);
        let mut torn = Analyser::connect(analyser).unwrap();
        assert_eq!(torn.ask(&[ENQ]).unwrap(), ACK);
        let frame = frame(1, records[0].as_bytes());
        torn.send(&frame[..1 + cycle % (frame.len() - 1)]).unwrap();
        reset_at_close(&torn.stream);
    }
    house.wait("all resets are noticed", |house| none_open(house));
    house.wait("the sockets come back", |house| open_sockets(house.gateway_id()) <= before);
    still_works(monitor, CYCLES + 1);
    assert_eq!(house.device("analyser").readings, 0, "half of a frame is no value");
    assert_eq!(house.stop().code(), Some(0));
}

/// A peer that sends and never reads its answers: when no more answers fit, its connection ends.
/// Its messages are kept, and it may ask for them again.
#[test]
fn f09_a_peer_that_stops_reading_is_noticed() {
    const MESSAGES_MAX: usize = 40_000;
    let mut house =
        House::open(Plan::of(device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)));
    let monitor = house.listening("monitor");
    still_works(monitor, 0);
    house.wait("nobody is connected", |house| house.device("monitor").connections == 0);
    house.settle();
    let before = open_sockets(house.gateway_id());
    let mut deaf = TcpStream::connect(monitor).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&deaf, 1024).unwrap();
    deaf.set_write_timeout(Some(NOTICED_WITHIN + SLACK)).unwrap();
    // Refused messages: their answers are as long, and nothing but the door works on them.
    let mut moved = Instant::now();
    for serial in 0..MESSAGES_MAX {
        let control_id = format!("{serial:0>199}");
        let bad = format!("MSH|^~\\&|MON||||20261120101010||ORU^R99|{control_id}|P|2.6\rOBX|1\r");
        match deaf.write_all(&framed(bad.as_bytes())) {
            Ok(()) => moved = Instant::now(),
            Err(error) => {
                use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
                assert!(matches!(error.kind(), BrokenPipe | ConnectionReset), "{error:?}");
                println!("noticed {:?} after the last message that fitted", moved.elapsed());
                assert!(moved.elapsed() <= NOTICED_WITHIN);
                house.wait("the sockets come back", |house| {
                    open_sockets(house.gateway_id()) <= before
                });
                still_works(monitor, 1);
                assert_eq!(house.stop().code(), Some(0));
                return;
            }
        }
    }
    panic!("{MESSAGES_MAX} messages whose answers nobody reads, and still open");
}

/// The kernel's watch over each accepted connection that is quiet: a timer of kind 2 (keep-alive)
/// that is due soon (proc_pid_net(5): `tr tm->when`, in hundredths of a second).
#[test]
fn f09_quiet_connections_are_watched() {
    let mut house =
        House::open(Plan::of(device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)));
    let monitor = house.listening("monitor");
    let quiet = TcpStream::connect(monitor).unwrap();
    house.wait("it is accepted", |house| house.device("monitor").connections == 1);
    let [local, remote] =
        [monitor.port(), quiet.local_addr().unwrap().port()].map(|port| format!(":{port:04X}"));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|row| {
        row.get(1).is_some_and(|at| at.ends_with(&local))
            && row.get(2).is_some_and(|at| at.ends_with(&remote))
    });
    let row = row.expect("the house's end of the connection");
    let (kind, when) = row[5].split_once(':').unwrap();
    let due = Duration::from_millis(10 * u64::from_str_radix(when, 16).unwrap());
    assert_eq!(kind, "02", "{row:?}");
    assert!(due <= Duration::from_secs(10), "first asked after {due:?}");
    assert_eq!(house.stop().code(), Some(0));
}

/// Forwards between peers and a port until it is told to stop: connections of before then stay open
/// at both ends and carry nothing, as behind a firewall that has forgotten them.
struct Proxy {
    port: u16,
    /// Connections of an earlier age are frozen.
    age: Arc<AtomicUsize>,
}

impl Proxy {
    fn start(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let age = Arc::new(AtomicUsize::new(0));
        let now = Arc::clone(&age);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                let born = now.load(Ordering::SeqCst);
                for (mut from, mut to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    let now = Arc::clone(&now);
                    std::thread::spawn(move || {
                        let mut buffer = [0; 16 << 10];
                        while let Ok(count @ 1..) = from.read(&mut buffer) {
                            if now.load(Ordering::SeqCst) > born {
                                // Open, and silent for the rest of the test.
                                std::thread::sleep(Duration::from_secs(600));
                            }
                            if to.write_all(&buffer[..count]).is_err() {
                                return;
                            }
                        }
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        Self { port, age }
    }

    fn freeze(&self) {
        self.age.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn f09_a_broker_behind_a_dead_network_is_noticed_and_nothing_is_lost() {
    let devices = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let mut house = House::build(Plan::of(devices));
    let core = house.core_port();
    let proxy = Proxy::start(core);
    let text = std::fs::read_to_string(house.configuration()).unwrap();
    let through = text.replace(&format!("port = {core}"), &format!("port = {}", proxy.port));
    assert_ne!(text, through);
    std::fs::write(house.configuration(), through).unwrap();
    house.start();
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    house.observations("oximeter", 1);
    house.settle();
    let before = open_sockets(house.gateway_id());

    proxy.freeze();
    let frozen = Instant::now();
    stream.write_all(&oximeter::line("98", "61", "2.5")).unwrap();
    // The devices notice nothing.
    house.wait("it is kept", |house| house.device("oximeter").readings == 6);
    while house.stored_of("observation", "oximeter").len() < 2 {
        assert!(
            frozen.elapsed() < NOTICED_WITHIN + SLACK,
            "{:#?}\n{}",
            house.status(),
            house.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    println!("noticed, connected anew and delivered within {:?}", frozen.elapsed());
    assert!(frozen.elapsed() <= NOTICED_WITHIN);
    house.settle();
    house.wait("the sockets come back", |house| open_sockets(house.gateway_id()) <= before);
    assert_eq!(house.stop().code(), Some(0));
}
