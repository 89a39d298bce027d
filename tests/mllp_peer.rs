//! A foreign HL7 client is answered as the standard says: python-hl7 sends every HL7 v2 message of
//! the corpus to a running gateway and judges each acknowledgement (code, MSA-2, silence where
//! MSH-15 and MSH-16 ask for it). Result messages are taken, all others are refused.

mod house;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use house::{House, Plan, TCP_SERVER, device, judges};

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
        let mut judge = judges::judge(&python, "mllp_send.py");
        judge.arg("127.0.0.1").arg(address.port().to_string());
        judge.args(own.map(|(path, _)| path)).stdout(Stdio::piped()).stderr(Stdio::piped());
        running.push((name, judge.spawn().unwrap()));
    }
    let mut sent = 0;
    for (name, judge) in running {
        let output = judge.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let problems: Vec<&str> =
            said.lines().filter(|line| !line.contains("\"problem\": \"\"")).collect();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {}\n{error}", problems.join("\n"));
        let messages = said.lines().count();
        assert!(messages > 0, "{name} was sent something");
        // Whatever was answered is in the journal, each message once.
        assert_eq!(house.device(name).messages, messages as u64, "{name}");
        sent += messages;
    }
    println!("{} files, {sent} messages", files.len());
    assert_eq!(house.stop().code(), Some(0));
}
