//! Promise 1 at the doors: what is wrong is refused and shown, never guessed, never silently
//! dropped, and what comes after it works.
//!
//! Bytes on the wire: answered with a refusal or not at all, kept raw, counted. Configuration and
//! device files: refused as a whole with file, line and column, and nothing is applied.

mod house;

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use house::lis01::{ACK, Analyser, ENQ, NAK, frame, ph_result};
use house::mllp::{Mllp, Vital, framed, vital};
use house::{House, Plan, TCP_SERVER, device, oximeter, repository, value};
use serde_json::Value as Json;

fn monitor() -> String {
    device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
}

fn with_monitor() -> (House, SocketAddr) {
    let mut house = House::open(Plan::of(monitor()));
    let address = house.listening("monitor");
    (house, address)
}

fn good(serial: u32) -> (String, Vec<u8>) {
    let (control_id, time) = (format!("G{serial}"), format!("202611201010{serial:02}"));
    let message = vital(Vital {
        sent: &time,
        control_id: &control_id,
        time: &time,
        patient: "P-1",
        heart_rate: "61",
    });
    (control_id, message)
}

/// The next good message is taken: nothing is stuck.
fn still_works(client: &mut Mllp, serial: u32) {
    let (control_id, message) = good(serial);
    let answer = client.ask(&message).unwrap();
    assert_eq!((answer.code.as_str(), answer.control_id), ("AA", control_id));
}

/// Why each kept message of the device was refused, with its raw bytes.
fn refused(house: &House, device: &str) -> Vec<(Vec<String>, Vec<u8>)> {
    let why = |head: &Json| -> Vec<String> {
        let refusals = head["refusals"].as_array().cloned().unwrap_or_default();
        refusals.iter().map(|one| one["why"].as_str().unwrap().to_owned()).collect()
    };
    let wires = house.wires(device).into_iter().map(|(head, raw)| (why(&head), raw));
    wires.filter(|(why, _)| !why.is_empty()).collect()
}

fn contains(raw: &[u8], part: &[u8]) -> bool {
    raw.windows(part.len()).any(|window| window == part)
}

#[test]
fn an_unparseable_message_is_refused_and_kept() {
    let (mut house, address) = with_monitor();
    let mut client = Mllp::connect(address).unwrap();
    let damaged: [&[u8]; 4] = [
        b"MSH|^~\\&|MON||||20261120101010||ORU^R99|BAD|P|2.6\rOBX|1|NM|147842^X^MDC||61\r",
        b"MSH|^^\\&|no delimiters|\rOBX|1|NM|147842^X^MDC||61\r",
        b"OBX|1|NM|147842^MDC_ECG_HEART_RATE^MDC||61\r",
        b"GET / HTTP/1.1\r\n\r\n",
    ];
    for (index, bytes) in damaged.iter().enumerate() {
        let answer = client.ask(bytes).unwrap();
        assert!(["AR", "AE"].contains(&answer.code.as_str()), "{index}: {answer:?}");
        still_works(&mut client, index as u32);
    }
    assert_eq!(house.observations("monitor", 4).len(), 4);
    assert_eq!(house.device("monitor").refused, 4);
    assert_eq!(house.stop().code(), Some(0));
    let kept = refused(&house, "monitor");
    for bytes in damaged {
        let found = kept.iter().find(|(_, raw)| *raw == framed(bytes));
        let (why, _) = found.unwrap_or_else(|| panic!("{:?} is kept", bytes.escape_ascii()));
        assert!(["unparseable", "unsupported-message"].contains(&why[0].as_str()), "{why:?}");
    }
}

#[test]
fn noise_before_and_between_frames_loses_no_frame() {
    let (mut house, address) = with_monitor();
    let mut client = Mllp::connect(address).unwrap();
    let noise = b"\x00\xff modem: NO CARRIER ";
    for serial in 0..3 {
        client.send_bytes(noise).unwrap();
        still_works(&mut client, serial);
    }
    assert_eq!(house.observations("monitor", 3).len(), 3);
    assert_eq!(house.stop().code(), Some(0));
    let kept = refused(&house, "monitor");
    assert_eq!(kept, vec![(vec!["resync".to_owned()], noise.to_vec()); 3]);
}

#[test]
fn a_frame_that_is_too_long_is_refused_with_its_beginning() {
    let (mut house, address) = with_monitor();
    let mut client = Mllp::connect(address).unwrap();
    let (_, message) = good(1);
    let mut long = message;
    long.extend(b"OBX|2|ED|1^X^L||".iter().chain(vec![b'x'; 2 << 20].iter()).chain(b"\r"));
    let answer = client.ask(&long).unwrap();
    assert!(["AR", "AE"].contains(&answer.code.as_str()), "{answer:?}");
    assert_eq!(answer.control_id, "G1");
    still_works(&mut client, 2);
    assert_eq!(house.observations("monitor", 1).len(), 1);
    assert_eq!(house.stop().code(), Some(0));
    let kept = refused(&house, "monitor");
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].0, ["too-long"]);
    assert!(framed(&long).starts_with(&kept[0].1[..60_000]), "its beginning is kept");
}

/// The time-out of a block is 30 s (facts/lab.md 3.1), so this takes as long; everything that a
/// sender may leave unfinished waits side by side.
#[test]
fn what_is_never_finished_is_given_up_and_kept() {
    let mut house =
        House::open(Plan::of(monitor() + &device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER)));
    let (monitor, analyser) = (house.listening("monitor"), house.listening("analyser"));
    let begun = b"\x0bMSH|^~\\&|MON||||20261120101010||ORU^R01|HALF|P|2.6\rOBX|1|NM|1478";
    let mut silent = Mllp::connect(monitor).unwrap();
    silent.send_bytes(begun).unwrap();
    silent.stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    let mut stalled = Analyser::connect(analyser).unwrap();
    assert_eq!(stalled.ask(&[ENQ]).unwrap(), ACK);
    let records = ph_result("P-1", "S-1", "7.41", "20261120101010");
    assert_eq!(stalled.ask(&frame(1, records[0].as_bytes())).unwrap(), ACK);
    stalled.send(b"\x022P|1||P-").unwrap();

    // Nobody else waits for them.
    still_works(&mut Mllp::connect(monitor).unwrap(), 1);
    let mut other = Analyser::connect(analyser).unwrap();
    assert!(other.transmit(&ph_result("P-2", "S-2", "7.38", "20261120101011")).unwrap());

    let waited = Instant::now();
    let closed = silent.stream.read(&mut [0; 100]).unwrap();
    assert_eq!(closed, 0, "it is closed without an answer");
    assert!(waited.elapsed() > Duration::from_secs(20), "and not before its time");
    house
        .wait("the stalled transmission is given up", |house| house.device("analyser").refused > 0);
    // The analyser begins anew on the same connection.
    assert!(stalled.transmit(&records).unwrap());
    assert_eq!(house.observations("analyser", 2).len(), 2);
    assert_eq!(house.observations("monitor", 1).len(), 1);
    assert_eq!(house.stop().code(), Some(0));
    assert_eq!(refused(&house, "monitor"), [(vec!["timed-out".to_owned()], begun.to_vec())]);
    let kept = refused(&house, "analyser");
    assert_eq!(kept.len(), 1);
    assert!(kept[0].0.contains(&"timed-out".to_owned()), "{:?}", kept[0].0);
    assert!(contains(&kept[0].1, &frame(1, records[0].as_bytes())), "the acknowledged frame");
    assert!(contains(&kept[0].1, b"2P|1||P-"), "and the unfinished one");
}

#[test]
fn a_damaged_astm_frame_is_nak_and_kept() {
    let mut house = House::open(Plan::of(device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER)));
    let mut analyser = Analyser::connect(house.listening("analyser")).unwrap();
    analyser.send(b"noise on the line").unwrap();
    assert_eq!(analyser.ask(&[ENQ]).unwrap(), ACK);
    let records = ph_result("P-1", "S-1", "7.41", "20261120101010");
    for (index, record) in records.iter().enumerate() {
        let good = frame(index + 1, record.as_bytes());
        let mut bad = good.clone();
        bad[3] ^= 0x01;
        assert_eq!(analyser.ask(&bad).unwrap(), NAK);
        assert_eq!(analyser.ask(&good).unwrap(), ACK);
    }
    let stored = house.observations("analyser", 1);
    assert_eq!(value(&stored[0], "ph-blood"), "7.41");
    assert_eq!(house.stop().code(), Some(0));
    let kept = refused(&house, "analyser");
    let checksums = kept.iter().flat_map(|(why, _)| why).filter(|why| *why == "checksum").count();
    assert_eq!(checksums, records.len());
    assert!(kept.iter().any(|(_, raw)| contains(raw, b"noise on the line")));
}

#[test]
fn a_firmware_that_nobody_tested_is_kept_and_not_forwarded() {
    let mut house =
        House::open(Plan::of(device("monitor", "generic/pcd-01", "PCD-01 9.9", TCP_SERVER)));
    still_works(&mut Mllp::connect(house.listening("monitor")).unwrap(), 1);
    house.wait("it is counted as held", |house| house.device("monitor").held == 1);
    house.settle();
    assert_eq!(house.stored_of("observation", "monitor").len(), 0);
    assert_eq!(house.stop().code(), Some(0));
    assert_eq!(house.wires("monitor")[0].1, framed(&good(1).1), "its bytes are kept");
    let payloads = house.journal_records().into_iter().map(|record| record.payload);
    let held = payloads.filter(|payload| contains(payload, b"\"firmware-not-proven\""));
    assert_eq!(held.count(), 1, "and the observation, with the reason");
}

/// What `check` and `run` say to a configuration. Both refuse it, and nothing is made.
fn refusal(configuration: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("wardgate.toml");
    let profiles = repository().join("device-profiles");
    let text = configuration
        .replace("DATA", &data.display().to_string())
        .replace("SOCKET", &folder.path().join("socket").display().to_string())
        .replace("PROFILES", &profiles.display().to_string());
    std::fs::write(&file, text).unwrap();
    refusal_of(&file, &data)
}

fn refusal_of(file: &Path, data: &Path) -> String {
    let run = |verb: &str| -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardgate"));
        command.args([verb, "--config"]).arg(file).output().unwrap()
    };
    let (check, run) = (run("check"), run("run"));
    for (verb, output) in [("check", &check), ("run", &run)] {
        assert_eq!(output.status.code(), Some(1), "{verb}: {output:?}");
        assert!(output.stdout.is_empty(), "{verb}: {output:?}");
    }
    assert!(!data.exists(), "nothing is applied");
    assert_eq!(check.stderr, run.stderr, "one loader, one answer");
    String::from_utf8(check.stderr).unwrap()
}

const CONFIGURATION: &str = r#"[gateway]
id = "urn:uuid:5f0c1a52-8f2e-4a83-9d3e-3d3b0b6d2a11"
tenant = "demo"
site = "site"
ward = "icu"
name = "box-1"
data = "DATA"
socket = "SOCKET"
device_profiles = "PROFILES"
mode = "bench"
time_zone = "Europe/Helsinki"

[[device]]
name = "monitor"
profile = "generic/pcd-01"
place = "icu/bed-1"
firmware = "PCD-01 2.6"
link = { tcp_server = "127.0.0.1:0" }

[[destination]]
name = "core"
files = "trial"
required = "required"
mqtt = { host = "127.0.0.1", port = 1, receivers = ["core"] }
"#;

#[test]
fn a_broken_configuration_is_refused_with_its_place() {
    // What is changed, into what, and where the answer points.
    let cases = [
        ("mode = \"bench\"", "mode = \"bench", 10),
        ("mode = \"bench\"", "mode = 7", 10),
        ("mode = \"bench\"", "mode = \"test\"", 10),
        ("place = \"icu/bed-1\"", "plaec = \"icu/bed-1\"", 16),
        ("place = \"icu/bed-1\"", "place = [\"icu/bed-1\"]", 16),
        ("\"generic/pcd-01\"", "\"generic/pcd-99\"", 15),
        ("\"generic/pcd-01\"", "\"../device-profiles/generic/pcd-01\"", 15),
        ("\"Europe/Helsinki\"", "\"Europe/Helsinky\"", 11),
        ("\"urn:uuid:5f0c1a52-8f2e-4a83-9d3e-3d3b0b6d2a11\"", "\"box-1\"", 2),
        ("tcp_server = \"127.0.0.1:0\"", "tcp_server = \"127.0.0.1\"", 18),
        ("tcp_server = \"127.0.0.1:0\"", "tcp_server = \"127.0.0.1:0\", udp = \"127.0.0.1:0\"", 18),
        ("tcp_server = \"127.0.0.1:0\"", "serial = \"/dev/ttyS99\"", 18),
        ("name = \"monitor\"", "name = \"bed 1 monitor\"", 14),
        ("required = \"required\"", "required = true", 23),
        ("receivers = [\"core\"]", "receivers = [\"core\"], password = \"x\"", 24),
        ("files = \"trial\"", "", 20),
    ];
    for (from, to, line) in cases {
        assert!(CONFIGURATION.contains(from), "{from}");
        let said = refusal(&CONFIGURATION.replacen(from, to, 1));
        assert!(said.contains(&format!("wardgate.toml:{line}:")), "{from} -> {to}: {said}");
        assert!(said.contains('^'), "a caret: {said}");
    }
    assert!(refusal(&CONFIGURATION.replace("pcd-01\"", "pcd-99\"")).contains("generic/pcd-01"));
}

#[test]
fn production_takes_no_draft_and_no_plain_mqtt_beyond_loopback() {
    let production = CONFIGURATION.replace("mode = \"bench\"", "mode = \"production\"");
    let said = refusal(&production);
    assert!(said.contains("draft") && said.contains("pcd-01/profile.toml:"), "{said}");
    let tested = production
        .replace("generic/pcd-01", "laborin/bg-7")
        .replace("PCD-01 2.6", "1.8.2")
        .replace("host = \"127.0.0.1\"", "host = \"core.hospital.example\"");
    let said = refusal(&tested);
    assert!(said.contains("wardgate.toml:24:") && said.contains("TLS"), "{said}");
    assert!(said.contains("journal_key") && said.contains("not encrypted"), "{said}");
}

#[test]
fn a_broken_device_file_is_refused_with_its_place() {
    let cases = [
        ("parameter = \"spo2\"", "parameter = \"spo3\"", "spo3", ""),
        ("line_end", "line_ned", "line_ned", ""),
        ("columns = 6", "columns = \"6\"", "columns", ""),
        ("baud = 9600", "baud = 9600,", "baud", ""),
        ("\"probe-off\"", "\"probe-gone\"", "probe-gone", ""),
        // Columns are counted over the whole message, so it is the message that is shown.
        ("column = 5", "column = 7", "column 7", "[[protocol.line.message]]"),
    ];
    for (from, to, shown, at) in cases {
        let folder = tempfile::tempdir().unwrap();
        let profiles = folder.path().join("profiles");
        copy(&repository().join("device-profiles/vocabulary"), &profiles.join("vocabulary"));
        copy(&repository().join("device-profiles/nordpuls/po-100"), &profiles.join("own/po-100"));
        let profile = profiles.join("own/po-100/profile.toml");
        let text = std::fs::read_to_string(&profile).unwrap();
        assert!(text.contains(from), "{from}");
        let text = text.replacen(from, to, 1);
        let at = if at.is_empty() { to } else { at };
        let line = 1 + text.lines().position(|line| line.contains(at)).unwrap();
        std::fs::write(&profile, text).unwrap();
        let (data, file) = (folder.path().join("data"), folder.path().join("wardgate.toml"));
        let configuration = CONFIGURATION
            .replace("DATA", &data.display().to_string())
            .replace("SOCKET", &folder.path().join("socket").display().to_string())
            .replace("PROFILES", &profiles.display().to_string())
            .replace("generic/pcd-01", "own/po-100")
            .replace("PCD-01 2.6", "2.2");
        std::fs::write(&file, configuration).unwrap();
        let said = refusal_of(&file, &data);
        assert!(said.contains(&format!("profile.toml:{line}:")), "{from} -> {to}: {said}");
        assert!(said.contains(shown), "{from} -> {to}: {said}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
        }
    }
}

/// Damaged lines of a device that only talks: refused, kept, and the good ones between them come.
#[test]
fn damaged_lines_give_no_value() {
    let mut house = House::open(Plan::of(device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER)));
    let address = house.listening("oximeter");
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    use std::io::Write;
    let mut damaged = oximeter::line("97", "60", "2.5");
    damaged[11] = b'8';
    let mut unreadable = b"PO,120000,9O,60,2.5,00".to_vec();
    unreadable =
        format!("${}*{:02X}\r\n", String::from_utf8_lossy(&unreadable), oximeter::xor(&unreadable))
            .into_bytes();
    let long = [&[b'x'; 500][..], b"\r\n"].concat();
    for bytes in [&damaged, &long, &b"\xff\xfe\r\n".to_vec()] {
        stream.write_all(bytes).unwrap();
        stream.write_all(&oximeter::line("98", "61", "2.4")).unwrap();
    }
    stream.write_all(&unreadable).unwrap();
    let records = house.observations("oximeter", 4);
    house.wait("all are refused", |house| house.device("oximeter").refused == 4);
    let saturations: Vec<String> = records.iter().map(|one| value(one, "spo2")).collect();
    assert_eq!(saturations, ["98", "98", "98", "absent"], "the rest of a line stays");
    assert_eq!(house.stop().code(), Some(0));
    let kept = refused(&house, "oximeter");
    assert_eq!(
        kept.iter().map(|(why, _)| why[0].as_str()).collect::<Vec<_>>(),
        ["checksum", "too-long", "illegal-byte", "unreadable"]
    );
    assert_eq!(kept[0].1, damaged);
    assert_eq!(kept[3].1, unreadable);
}
