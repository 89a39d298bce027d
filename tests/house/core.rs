//! The stand-in core: `wardgate-hil core`, built beside the gateway.

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value as Json;

/// The stand-in core's process. It ends with its standard input, too.
pub struct Core {
    process: Child,
    pub port: u16,
    /// Where it takes HTTP, if it was told to.
    pub http: Option<u16>,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Core {
    /// Starts it and waits until it is ready; port 0 takes a free one.
    pub fn start(store: &Path, port: u16) -> Self {
        Self::with(store, port, &[])
    }

    /// The same with more words on its command line.
    pub fn start_with(store: &Path, port: u16, more: &[&str]) -> Self {
        let arguments: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
        Self::with(store, port, &arguments)
    }

    /// The same with more arguments.
    pub fn with(store: &Path, port: u16, arguments: &[String]) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_wardgate")).with_file_name("wardgate-hil");
        let what = "wardgate-hil is built beside wardgate (cargo build --workspace)";
        assert!(binary.exists(), "{what}");
        let mut process = Command::new(binary)
            .args(["core", "--listen", &format!("127.0.0.1:{port}"), "--store"])
            .arg(store)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the stand-in core starts");
        let input = process.stdin.take().expect("a pipe");
        let mut output = BufReader::new(process.stdout.take().expect("a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let ready: Json = serde_json::from_str(&line).expect("the core is ready");
        let port = |key: &str| ready[key].as_u64().and_then(|port| u16::try_from(port).ok());
        let http = port("http");
        Self { process, port: port("port").expect("a port"), http, input, output }
    }

    /// Makes it do something wrong, or right again (`none`); returns when it is in force.
    pub fn fault(&mut self, words: &str) {
        writeln!(self.input, "{words}").expect("the core takes the fault");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        assert!(line.contains(words), "{line}");
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.process.try_wait().expect("the core can be asked").is_some()
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
