//! Fault 15 of the fault matrix: connections that say nothing. A thousand of them find the limits
//! per address and device; who was there before goes on as fast, other addresses get in, and so
//! does the same address once the first-byte deadline of 10 s has passed. Nobody is thrown out for
//! being quiet while there is room. Half a frame is given up after 30 s: `tests/bad_input.rs`.

mod house;

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

use house::lis01::Analyser;
use house::mllp::{Mllp, Vital, vital};
use house::process::open_sockets;
use house::{House, PATIENCE, Plan, TCP_SERVER, device};
use rustix::net::{AddressFamily, SocketType};
use wardgate::gateway::guests::{DEVICE_MAX, FIRST_BYTE_WITHIN, PEER_MAX};

const SOCKETS: usize = 1_000;
const RUNS: usize = 5;
const SERIES_MAX: usize = 3;

/// How much slower the median of five runs may be.
const RATIO_MAX: f64 = 1.5;

const MESSAGES_PER_RUN: usize = 100;

/// A ward monitor waits 5 s for its answer at least (facts/lab.md 3.1).
const P99_MAX: Duration = Duration::from_secs(1);

/// What the scheduler of a busy machine adds to one message in a hundred.
const JITTER: Duration = Duration::from_millis(2);

/// A monitor that sends one message after another.
struct Peer {
    connection: Mllp,
    serial: usize,
}

impl Peer {
    fn connect(to: SocketAddr, serial: usize) -> Self {
        Self { connection: Mllp::connect(to).unwrap(), serial }
    }

    fn ask(&mut self) {
        self.serial += 1;
        let serial = self.serial;
        let control_id = format!("M{serial}");
        let time = format!("20261120{:02}{:02}{:02}", serial / 3600, serial / 60 % 60, serial % 60);
        let (patient, heart_rate) = ("P-1", "61");
        let message =
            vital(Vital { sent: &time, control_id: &control_id, time: &time, patient, heart_rate });
        let answer = self.connection.ask(&message).unwrap();
        assert_eq!((answer.code.as_str(), answer.control_id), ("AA", control_id));
    }

    /// The time that all but one in a hundred answers took at most.
    fn p99(&mut self) -> Duration {
        let mut time = || {
            let begun = Instant::now();
            self.ask();
            begun.elapsed()
        };
        let mut times: Vec<Duration> = (0..MESSAGES_PER_RUN).map(|_| time()).collect();
        times.sort_unstable();
        times[MESSAGES_PER_RUN * 99 / 100 - 1]
    }
}

/// A connection from another address of this machine.
fn connect_from(source: Ipv4Addr, to: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrV4::new(source, 0)).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}

fn flood(to: SocketAddr) -> Vec<TcpStream> {
    (0..SOCKETS).map(|_| TcpStream::connect(to).unwrap()).collect()
}

/// Whether the house has closed it; waits for what is on its way.
fn is_closed(stream: &mut TcpStream, wait: Duration) -> bool {
    stream.set_read_timeout(Some(wait)).unwrap();
    match stream.read(&mut [0; 16]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// The p99 of one peer alone, and beside a flood.
#[derive(Debug)]
struct Run {
    alone: Duration,
    beside: Duration,
}

fn run(house: &mut House, monitor: SocketAddr, peer: &mut Peer, files: usize) -> Run {
    let alone = peer.p99();
    let silent = flood(monitor);
    house.wait("the flood is there", |house| house.device("monitor").connections >= PEER_MAX);
    let beside = peer.p99();
    assert!(house.device("monitor").connections <= DEVICE_MAX);
    drop(silent);
    house.wait("the sockets come back", |house| open_sockets(house.gateway_id()) <= files);
    Run { alone, beside }
}

#[test]
fn f15_a_thousand_silent_connections_slow_nobody() {
    let mut house = House::open(Plan::of(
        device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
            + &device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER),
    ));
    let (monitor, analyser) = (house.listening("monitor"), house.listening("analyser"));
    // Connected at start, as analysers do; it will speak long after the deadline.
    let mut quiet = Analyser::connect(analyser).unwrap();
    let mut peer = Peer::connect(monitor, 0);
    peer.p99();
    house.settle();
    let before = open_sockets(house.gateway_id());
    let begun = Instant::now();

    // A machine that is busy with something else slows one run or another: a flood that slows
    // anybody does so in every series.
    let slowed = (0..SERIES_MAX).all(|_| {
        let runs: Vec<Run> =
            (0..RUNS).map(|_| run(&mut house, monitor, &mut peer, before)).collect();
        println!("{runs:?}");
        let median = |of: &dyn Fn(&Run) -> f64| {
            let mut all: Vec<f64> = runs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            all[RUNS / 2]
        };
        let ratio =
            |run: &Run| run.beside.saturating_sub(JITTER).as_secs_f64() / run.alone.as_secs_f64();
        median(&ratio) > RATIO_MAX
            || median(&|run| run.beside.as_secs_f64()) > P99_MAX.as_secs_f64()
    });
    assert!(!slowed, "in {SERIES_MAX} series");

    // No pressure on the analyser's port: it may take its time.
    while begun.elapsed() < FIRST_BYTE_WITHIN + Duration::from_secs(1) {
        peer.ask();
    }
    let records = house::lis01::ph_result("P-1", "S-1", "7.41", "20261120101010");
    assert!(quiet.transmit(&records).unwrap());
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn f15_limits_leave_room_for_other_addresses_and_for_those_who_speak() {
    let mut house =
        House::open(Plan::of(device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)));
    let monitor = house.listening("monitor");
    house.settle();
    let before = open_sockets(house.gateway_id());
    let mut peer = Peer::connect(monitor, 0);
    peer.ask();
    let mut silent = flood(monitor);
    house.wait("the flood is there", |house| house.device("monitor").connections >= PEER_MAX);
    let opened = Instant::now();
    assert_eq!(house.device("monitor").connections, PEER_MAX, "the limit of one address");
    let refused = silent.split_off(PEER_MAX - 1);
    for mut stream in refused {
        assert!(is_closed(&mut stream, PATIENCE), "beyond the limit nothing stays open");
    }
    assert!(open_sockets(house.gateway_id()) <= before + PEER_MAX + 8);

    // Another address gets in at once; a newcomer of the flooding one after the deadline.
    let mut other = connect_from(Ipv4Addr::new(127, 0, 0, 2), monitor);
    other.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(!is_closed(&mut other, Duration::from_millis(200)));
    let mut late = Mllp::connect(monitor).unwrap();
    assert!(is_closed(&mut late.stream, PATIENCE), "too early: nobody has to make room yet");
    house.wait("the deadline has passed", |_| opened.elapsed() > FIRST_BYTE_WITHIN);
    for (index, longest_silent) in silent.iter_mut().take(10).enumerate() {
        Peer::connect(monitor, 100 + index).ask();
        assert!(is_closed(longest_silent, PATIENCE), "the longest silent made room");
    }
    assert!(!is_closed(&mut other, Duration::from_millis(50)), "its address is under no pressure");
    peer.ask();
    drop((silent, other, peer, late));
    house.wait("the sockets come back", |house| open_sockets(house.gateway_id()) <= before);
    assert_eq!(house.stop().code(), Some(0));
}
