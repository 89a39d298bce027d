//! Mosquitto and paho-mqtt consumers as a region has them, for tests.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use super::{PATIENCE, free_port, judges};

/// A process that does not outlive the test.
pub struct Running(pub Child);

impl Running {
    /// As in a power cut.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }

    /// In order.
    pub fn terminate(&mut self) {
        let process = rustix::process::Pid::from_raw(self.0.id() as i32).expect("a process");
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A broker that keeps its sessions on disk.
pub struct Mosquitto {
    binary: PathBuf,
    configuration: PathBuf,
    database: PathBuf,
    pub port: u16,
    pub process: Running,
}

impl Mosquitto {
    /// Starts it in this folder, on a free port.
    pub fn start(binary: &Path, folder: &Path) -> Self {
        let port = free_port();
        let configuration = folder.join("mosquitto.conf");
        // Without `user` a broker that root starts looks for an account of its own.
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
             persistence_location {}/\nmax_queued_messages 100000\n",
            folder.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let process = spawn(binary, &configuration, port);
        let database = folder.join("mosquitto.db");
        Self { binary: binary.to_owned(), configuration, database, port, process }
    }

    /// It comes back on the same port with what it kept.
    pub fn start_again(&mut self) {
        self.process = spawn(&self.binary, &self.configuration, self.port);
    }

    /// What it kept is gone: sessions, subscriptions, queues.
    pub fn forget(&self) {
        let _ = std::fs::remove_file(&self.database);
    }
}

fn spawn(binary: &Path, configuration: &Path, port: u16) -> Running {
    let mut command = Command::new(binary);
    command.arg("-c").arg(configuration).stdout(Stdio::null()).stderr(Stdio::null());
    let broker = Running(command.spawn().unwrap());
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begun.elapsed() < PATIENCE, "the broker takes no connection");
        std::thread::sleep(Duration::from_millis(10));
    }
    broker
}

/// One paho-mqtt consumer of a core; waits until it has subscribed.
pub fn consumer(python: &PathBuf, port: u16, store: &Path, name: &str, more: &[&str]) -> Running {
    let mut judge = judges::judge(python, "mqtt_core.py");
    judge.args(["127.0.0.1", &port.to_string(), "--client", name, "--receiver", name]);
    judge.arg("--store").arg(store).args(more);
    let mut judge = judge.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(judge.stderr.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "subscribed\n");
    // Whatever else it says is of no use, but it must be able to say it.
    std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    Running(judge)
}

/// What a consumer has stored. A line that is being written is not there yet.
pub fn stored(store: &Path) -> Vec<Json> {
    let text = std::fs::read_to_string(store).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    lines.map(|mut line| line["record"].take()).collect()
}
