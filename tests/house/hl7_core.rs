//! The stand-in HL7 core: `wardgate-hil hl7-core`, built beside the gateway, and what it holds.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value as Json;

use super::repository;

/// The core's process. It ends with its standard input.
pub struct Hl7Core {
    pub process: Child,
    pub port: u16,
    _input: ChildStdin,
}

fn hil() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_wardgate")).with_file_name("wardgate-hil")
}

impl Hl7Core {
    /// Starts it and waits until it is ready; port 0 takes a free one.
    pub fn start(store: &Path, port: u16, more: &[&str]) -> Self {
        assert!(hil().exists(), "wardgate-hil is built beside wardgate (cargo build --workspace)");
        let mut process = Command::new(hil())
            .args(["hl7-core", "--listen", &format!("127.0.0.1:{port}"), "--store"])
            .arg(store)
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stand-in starts");
        let input = process.stdin.take().expect("a pipe");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("a line");
        let ready: Json = serde_json::from_str(&line).expect("a JSON line");
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Self { process, port: port.expect("a port"), _input: input }
    }
}

impl Drop for Hl7Core {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A ready-made map.
pub fn ready_made(name: &str) -> PathBuf {
    repository().join("destination-maps").join(name)
}

/// What the stand-in says that it holds.
pub fn observations(store: &Path) -> Vec<Json> {
    let shown = Command::new(hil()).args(["hl7-core", "--show", "--store"]).arg(store).output();
    let text = String::from_utf8(shown.expect("it shows").stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
