//! The stand-in core: `wardgate-hil core`, built beside the gateway.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::Value as Json;

/// The stand-in core's process. It ends with its standard input, too.
pub struct Core {
    process: Child,
    pub port: u16,
    _input: ChildStdin,
}

impl Core {
    /// Starts it and waits until it is ready; port 0 takes a free one.
    pub fn start(store: &Path, port: u16) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_wardgate")).with_file_name("wardgate-hil");
        let what = "wardgate-hil is built beside wardgate (cargo build --workspace)";
        assert!(binary.exists(), "{what}");
        let mut process = Command::new(binary)
            .args(["core", "--listen", &format!("127.0.0.1:{port}"), "--store"])
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the stand-in core starts");
        let input = process.stdin.take().expect("a pipe");
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        output.read_line(&mut line).expect("a line");
        let ready: Json = serde_json::from_str(&line).expect("the core is ready");
        let port = ready["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Self { process, port: port.expect("a port"), _input: input }
    }

    /// As in a power cut.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.kill();
    }
}
