//! A foreign HL7 client is answered as the standard says: python-hl7 sends every HL7 v2 message of
//! the corpus to a running gateway and judges each acknowledgement (code, MSA-2, silence where
//! MSH-15 and MSH-16 ask for it). Result messages are taken, all others are refused.
//!
//! One difference from the standard is a decision: a refusal is told even to a sender that asked
//! for silence, because who hears nothing takes his message for delivered.

mod house;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use house::{House, Plan, TCP_SERVER, device, judges};
use serde_json::Value as Json;

/// How many judges share the files of one device.
const JUDGES: usize = 6;

/// Every file below a folder that holds a message.
fn hl7_files(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            hl7_files(&path, found);
            continue;
        }
        let content = std::fs::read(&path).unwrap();
        let is_source = path.extension().is_some_and(|one| one == "py" || one == "md");
        let mut lines = content.split(|byte| matches!(byte, b'\r' | b'\n' | 0x0b));
        if !is_source && lines.any(|line| line.starts_with(b"MSH|^~\\")) {
            found.push((path, content));
        }
    }
}

/// Which device takes the results of a file.
fn device_of(content: &[u8]) -> &'static str {
    let has = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
    if has(b"|OUL^R22") {
        "laboratory"
    } else if has(b"|ORU^R42") || has(b"|ORU^R40") {
        "pump"
    } else {
        "monitor"
    }
}

/// A refusal in the original mode to a sender that asked for nothing.
fn is_decided(line: &Json) -> bool {
    let asked: Vec<&str> = line["asks"].as_array().unwrap().iter().flat_map(Json::as_str).collect();
    let said: Vec<&str> = line["msa_1"].as_array().unwrap().iter().flat_map(Json::as_str).collect();
    let silent = asked.iter().all(|one| ["NE", ""].contains(one)) && asked.contains(&"NE");
    silent && said == ["AR"] && line["msa_2"][0] == line["msh_10"]
}

#[test]
fn python_hl7_is_answered_as_the_standard_says() {
    let Some(corpus) = judges::corpus("mllp_peer") else { return };
    let Some(python) = judges::python("mllp_peer") else { return };
    let mut files = Vec::new();
    hl7_files(&corpus, &mut files);
    let mut house = House::open(Plan::of(
        device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
            + &device("pump", "generic/infusion-pump-gateway", "PCD-01 2.6", TCP_SERVER)
            + &device("laboratory", "generic/laboratory-hl7v2", "LAB-29 2.5.1", TCP_SERVER),
    ));
    let mut running = Vec::new();
    for name in ["monitor", "pump", "laboratory"] {
        let address = house.listening(name);
        let own = files.iter().filter(|(_, content)| device_of(content) == name);
        let own: Vec<&PathBuf> = own.map(|(path, _)| path).collect();
        // The judge waits after each answer for one too many: several judges wait side by side.
        for some in own.chunks(own.len().div_ceil(JUDGES)) {
            let mut judge = judges::judge(&python, "mllp_send.py");
            judge.arg("127.0.0.1").arg(address.port().to_string()).args(some);
            let judge = judge.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            running.push((name, judge));
        }
    }
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, judge) in running {
        let output = judge.wait_with_output().unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        for line in lines.lines() {
            let line: Json = serde_json::from_str(line).unwrap();
            *sent.entry(name).or_default() += 1;
            assert!(line["problem"] == "" || is_decided(&line), "{name}: {line}");
        }
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!lines.is_empty() && error.is_empty(), "{name}: {error}");
    }
    for (name, sent) in &sent {
        // Whatever was answered is in the journal.
        assert_eq!(house.device(name).messages, *sent, "{name}");
    }
    let sent: u64 = sent.values().sum();
    println!("{} files, {sent} messages", files.len());
    assert_eq!(house.stop().code(), Some(0));
}
