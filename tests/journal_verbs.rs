//! What is on the disk can be looked at while the daemon writes, and damage does not stay unseen.

mod house;

use std::io::Write;
use std::net::TcpStream;

use house::{House, Plan, TCP_SERVER, device, oximeter};
use serde_json::Value as Json;

#[test]
fn the_journal_is_shown_verified_and_exported_while_the_daemon_writes() {
    let mut house = House::open(Plan::of(device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER)));
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    let line = oximeter::line("97", "60", "2.5");
    stream.write_all(&line).unwrap();
    house.observations("oximeter", 1);

    let status = house.verb(&["journal", "status"]);
    let said = String::from_utf8(status.stdout).unwrap();
    assert!(status.status.success() && said.contains("segments  1"), "{said}");
    assert!(house.verb(&["journal", "verify"]).status.success());

    let export = house.verb(&["journal", "export"]);
    let text = String::from_utf8(export.stdout).unwrap();
    let records: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sequences: Vec<u64> = records.iter().map(|one| one["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=sequences.len() as u64).collect::<Vec<_>>());
    let wire = records.iter().find(|one| one["kind"] == "wire").unwrap();
    let raw: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(wire["raw"], raw, "the bytes as they came");

    // One damaged byte in the middle of what is kept.
    assert_eq!(house.stop().code(), Some(0));
    let segment = std::fs::read_dir(house.journal())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|kind| kind == "segment"))
        .unwrap();
    let mut content = std::fs::read(&segment).unwrap();
    let at = content.windows(line.len()).position(|window| window == line).unwrap();
    content[at + 5] ^= 0x10;
    std::fs::write(&segment, content).unwrap();
    let verify = house.verb(&["journal", "verify"]);
    let said = String::from_utf8(verify.stderr).unwrap();
    assert!(!verify.status.success() && said.contains("cannot be read"), "{said}");
}
