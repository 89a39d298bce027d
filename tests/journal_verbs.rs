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

fn said(output: &std::process::Output) -> String {
    let texts = [&output.stdout, &output.stderr];
    texts.map(|text| String::from_utf8_lossy(text).into_owned()).concat()
}

#[test]
fn an_encrypted_journal_is_checked_without_its_key_read_with_it_and_salvaged() {
    use std::os::unix::fs::PermissionsExt as _;
    let keys = tempfile::tempdir().unwrap();
    let (first, second) = (keys.path().join("first"), keys.path().join("second"));
    for file in [&first, &second] {
        let made = plain(&["journal", "new-key", file.to_str().unwrap()]);
        assert!(made.status.success(), "{}", said(&made));
        let mode = std::fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let digits = std::fs::read_to_string(file).unwrap();
        assert_eq!(digits.trim().len(), 64);
        assert!(!said(&made).contains(digits.trim()), "the key is not shown");
        let again = plain(&["journal", "new-key", file.to_str().unwrap()]);
        assert!(!again.status.success(), "a key file is never written over");
    }
    let mut plan = Plan::of(device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER));
    plan.gateway = format!("journal_key = \"{}\"\n", first.display());
    let mut house = House::open(plan);
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    let line = oximeter::line("97", "60", "2.5");
    stream.write_all(&line).unwrap();
    house.observations("oximeter", 1);
    assert_eq!(house.stop().code(), Some(0));

    for file in std::fs::read_dir(house.journal()).unwrap() {
        let content = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!content.windows(line.len()).any(|window| window == line));
    }
    let folder = house.journal().display().to_string();
    let (first, second) = (first.display().to_string(), second.display().to_string());
    let verify = plain(&["journal", "verify", "--folder", &folder]);
    assert!(verify.status.success(), "{}", said(&verify));
    let status = plain(&["journal", "status", "--folder", &folder]);
    assert!(said(&status).contains("needs key"), "{}", said(&status));
    let without = plain(&["journal", "export", "--folder", &folder, "--key-file", &second]);
    assert!(!without.status.success());
    assert!(said(&without).contains("is encrypted with key"), "{}", said(&without));
    let export = house.verb(&["journal", "export"]);
    let raw: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(export.status.success() && said(&export).contains(&raw));

    let to = keys.path().join("salvaged").display().to_string();
    let salvage = plain(&["journal", "salvage", "--folder", &folder, "--to", &to]);
    assert!(salvage.status.success(), "{}", said(&salvage));
    let salvaged = plain(&["journal", "export", "--folder", &to, "--key-file", &first]);
    assert_eq!(said(&salvaged), said(&export), "the same records under the same numbers");
}

/// A verb without a configuration.
fn plain(verb: &[&str]) -> std::process::Output {
    std::process::Command::new(env!("CARGO_BIN_EXE_wardgate")).args(verb).output().unwrap()
}
