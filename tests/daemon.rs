//! Promises 3 and 6: the daemon starts, stops and speaks with its supervisor in order, says what it
//! does, explains every number, and says plainly why it cannot run.

mod house;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use house::mllp::{Mllp, Vital, vital};
use house::{House, PATIENCE, Plan, TCP_SERVER, device, oximeter};
use serde_json::Value as Json;
use wardgate::journal::Kind;

fn plan() -> Plan {
    Plan::of(
        device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
            + &device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER),
    )
}

fn send_vital(house: &mut House, heart_rate: &str) {
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    let message = vital(Vital {
        sent: "20261120101011",
        control_id: "1",
        time: "20261120101010",
        patient: "P-1",
        heart_rate,
    });
    assert_eq!(client.ask(&message).unwrap().code, "AA");
}

#[test]
fn sigterm_stops_in_order_and_loses_nothing() {
    let mut house = House::open(plan());
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(house.listening("oximeter")).unwrap();
    for _ in 0..50 {
        stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    }
    house.observations("oximeter", 1);
    send_vital(&mut house, "61");
    assert_eq!(house.stop().code(), Some(0));
    assert!(!house.path("socket").exists(), "the socket is removed");
    let records = house.journal_records();
    assert_eq!(records.last().map(|record| record.kind), Some(Kind::Stop));
    let stops = records.iter().filter(|record| record.kind == Kind::Stop).count();
    assert_eq!(stops, 1);
    // What was read is there; after the start nothing is taken for a broken run.
    house.start();
    house.settle();
    assert_eq!(house.stored_of("observation", "monitor").len(), 1);
    let log = house.log();
    assert!(!log.contains("did not stop in order"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn a_stop_is_no_longer_than_a_device_that_never_answers() {
    let mut house = House::open(plan());
    let _held_open = Mllp::connect(house.listening("monitor")).unwrap();
    house.wait("the connection is taken", |house| house.device("monitor").connections == 1);
    let begun = Instant::now();
    assert_eq!(house.stop().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[test]
fn systemd_hears_ready_watchdog_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let environment = vec![
        variable("NOTIFY_SOCKET", &path.display().to_string()),
        variable("WATCHDOG_USEC", "500000"),
    ];
    let mut house = House::open(Plan { environment, ..plan() });
    let hear = |wanted: &str| {
        let mut buffer = [0; 4096];
        loop {
            let count = socket.recv(&mut buffer).unwrap_or_else(|error| {
                panic!("{wanted} does not come: {error}");
            });
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            if text.lines().any(|line| line == wanted) {
                return Instant::now();
            }
        }
    };
    hear("READY=1");
    let first = hear("WATCHDOG=1");
    for _ in 0..3 {
        hear("WATCHDOG=1");
    }
    let mean = first.elapsed() / 3;
    assert!(mean < Duration::from_millis(500), "in time for the supervisor: {mean:?}");
    let stopping = std::thread::spawn(move || {
        house.stop();
        house
    });
    hear("STOPPING=1");
    drop(stopping.join().unwrap());
}

#[test]
fn status_speaks_to_people_and_to_programs() {
    let mut house = House::open(plan());
    send_vital(&mut house, "61");
    house.settle();
    let people = house.verb(&["status"]);
    assert!(people.status.success());
    let text = String::from_utf8(people.stdout).unwrap();
    for shown in ["box-1", "monitor", "oximeter", "DOWN", "core", "open"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let programs = house.verb(&["status", "--json"]);
    assert!(programs.status.success());
    let status: Json = serde_json::from_slice(&programs.stdout).unwrap();
    assert_eq!(status["gateway"], "box-1");
    assert_eq!(status["devices"][0]["name"], "monitor");
    assert_eq!(status["devices"][0]["messages"], 1);
    assert_eq!(status["devices"][0]["readings"], 1);
    assert_eq!(status["destinations"][0]["backlog"], 0);
    for secret in ["P-1", "61", "MON"] {
        assert!(!text.contains(&format!("{secret} ")), "no patient data: {text}");
    }
    house.stop();
    let gone = house.verb(&["status"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8(gone.stderr).unwrap().contains("no daemon answers"));
}

#[test]
fn explain_goes_from_the_core_back_to_the_wire() {
    let mut house = House::open(plan());
    send_vital(&mut house, "61");
    let record = house.observations("monitor", 1).remove(0);
    let id = record["id"].as_str().unwrap();
    let digest = record["data"]["profile"]["digest"].as_str().unwrap();
    // While the daemon runs, and when it does not.
    for turn in 0..2 {
        let output = house.verb(&["explain", id]);
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let shown = [
            id,
            "generic/pcd-01",
            digest,
            "PCD-01 2.6",
            // Clock evidence: as written, what it means, why, and by which rule.
            "20261120101010",
            "2026-11-20T08:10:10",
            "zone-configured",
            "chart time",
            // Whose it is, and by what evidence.
            "not-associated",
            "icu/bed-1",
            "configuration",
            // The bytes, those of the value marked.
            "4d 53 48 7c",
            "*36*31",
        ];
        for wanted in shown {
            assert!(text.contains(wanted), "{wanted} in turn {turn}: {text}");
        }
        if turn == 0 {
            house.settle();
            assert_eq!(house.stop().code(), Some(0));
        }
    }
    for unknown in ["00000000-1", "nonsense"] {
        let output = house.verb(&["explain", unknown]);
        assert_eq!(output.status.code(), Some(1), "{unknown}");
    }
}

/// Runs a second gateway on a house's configuration, and gives its end.
fn run_another(configuration: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardgate"));
    command.args(["run", "--config"]).arg(configuration).stdin(Stdio::null());
    command.output().unwrap()
}

#[test]
fn a_second_gateway_on_the_same_data_does_not_start() {
    let mut house = House::open(plan());
    let output = run_another(&house.configuration());
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("in use") || said.contains("another"), "{said}");
    // The first one has lost neither socket nor data.
    send_vital(&mut house, "61");
    house.observations("monitor", 1);
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn a_data_folder_that_cannot_be_is_named() {
    let house = House::build(plan());
    std::fs::write(house.path("data"), "a file, not a folder").unwrap();
    let output = run_another(&house.configuration());
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains(&house.path("data").display().to_string()), "{said}");
    assert!(!house.path("socket").exists());
}

#[test]
fn a_data_folder_that_nobody_may_make_is_named() {
    let house = House::build(plan());
    let text = std::fs::read_to_string(house.configuration()).unwrap();
    let data = house.path("data").display().to_string();
    // Not even root makes a folder there.
    std::fs::write(house.configuration(), text.replace(&data, "/proc/wardgate")).unwrap();
    let output = run_another(&house.configuration());
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the data folder /proc/wardgate"), "{said}");
}

/// The disk fails under a running gateway: nothing more is acknowledged, what was kept still goes
/// out, it is said, and after a start with room everything goes on.
#[test]
fn a_disk_that_fills_up_is_said_and_nothing_more_is_acknowledged() {
    let gateway = "segment_bytes = 262144".to_owned();
    let mut house = House::open(Plan { survives_full_disk: true, gateway, ..plan() });
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    let message = |serial: usize| {
        let control_id = serial.to_string();
        let time = format!("2026112010{:02}{:02}", serial / 60, serial % 60);
        let (sent, patient, heart_rate) = (time.as_str(), "P-1", "61");
        vital(Vital { sent, control_id: &control_id, time: &time, patient, heart_rate })
    };
    assert_eq!(client.ask(&message(0)).unwrap().code, "AA");
    house.fill_disk(262_143);
    let mut kept = 1;
    while client.ask(&message(kept)).unwrap().code == "AA" {
        kept += 1;
        assert!(kept < 1000, "a segment holds no thousand messages");
    }
    for _ in 0..3 {
        assert_eq!(client.ask(&message(kept)).unwrap().code, "AE", "to be sent again, not lost");
    }
    assert_ne!(house.status().journal.door, "open");
    assert_eq!(house.observations("monitor", kept).len(), kept);
    assert_eq!(house.stop().code(), Some(1), "it did not end well, and says so");
    assert!(house.log().contains("the journal takes nothing"), "{}", house.log());
    house.start();
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    assert_eq!(client.ask(&message(kept)).unwrap().code, "AA");
    assert_eq!(house.observations("monitor", kept + 1).len(), kept + 1);
    assert_eq!(house.status().journal.door, "open");
    assert_eq!(house.stop().code(), Some(0));
}

/// A disk that is full: the process may write no file beyond a limit that one segment exceeds.
#[test]
fn a_disk_without_room_at_the_start_is_said() {
    let house = House::build(plan());
    let wardgate = env!("CARGO_BIN_EXE_wardgate");
    let configuration = house.configuration();
    // 1024 blocks of 1024 bytes; SIGXFSZ is ignored, so that writing gives an error as on a disk.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$0\" run --config \"$1\"";
    let output = Command::new("bash")
        .args(["-c", script, wardgate])
        .arg(&configuration)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    let journal = house.journal();
    assert!(said.contains(&journal.display().to_string()), "{said}");
    assert!(!house.path("socket").exists());
}
