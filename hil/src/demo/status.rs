//! What the running gateway says of itself on its status socket; only what the demo needs.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

/// The gateway answers from memory.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// One snapshot.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Snapshot {
    pub devices: Vec<Device>,
    pub destinations: Vec<Destination>,
}

/// One device.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Device {
    pub name: String,
    pub connections: usize,
    pub trouble: String,
    pub listening: String,
    pub readings: u64,
    pub refused: u64,
}

/// One destination.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Destination {
    pub connected: bool,
    pub backlog: u64,
}

impl Snapshot {
    /// The device of that name.
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|device| device.name == name)
    }

    /// Records that no destination has acknowledged yet.
    pub fn backlog(&self) -> u64 {
        self.destinations.iter().map(|destination| destination.backlog).sum()
    }

    /// What is not as it should be, in words.
    pub fn troubles(&self) -> String {
        let down = self.devices.iter().filter(|device| device.connections == 0);
        let mut words: Vec<String> =
            down.map(|device| format!("{} is down: {}", device.name, device.trouble)).collect();
        if self.destinations.iter().any(|destination| !destination.connected) {
            words.push("the core is not connected".to_owned());
        }
        words.join("; ")
    }
}

/// Asks the gateway.
pub fn ask(socket: &Path) -> io::Result<Snapshot> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.write_all(b"\"status\"\n")?;
    let mut text = Vec::new();
    stream.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}
