//! The stand-in's store: one JSON line per message, synced before it is acknowledged; and what the
//! messages together say of each measurement.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value as Json, json};

/// What the stand-in reads of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// MSH-10.
    pub control_id: String,
    /// MSH-15 is AL.
    pub asks_for_commit: bool,
    pub results: Vec<Observed>,
    /// The bytes, one character each, so that the store gives them back.
    text: String,
}

/// One OBX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// OBR-3, OBX-3 and OBX-4.
    pub id: [String; 3],
    pub value: String,
    /// OBX-11.
    pub status: String,
}

impl Message {
    /// Reads a block; `None` if it is no message with a control id.
    pub fn read(block: &[u8]) -> Option<Self> {
        let text: String = block.iter().map(|byte| char::from(*byte)).collect();
        Self::of_text(text)
    }

    fn of_text(text: String) -> Option<Self> {
        let mut order = String::new();
        let mut results = Vec::new();
        let header = text.strip_prefix("MSH|")?.split('\r').next()?;
        // The first field behind `MSH|` is MSH-2.
        let head: Vec<&str> = header.split('|').collect();
        let field = |number: usize| head.get(number - 2).copied().unwrap_or_default().to_owned();
        for line in text.split('\r') {
            let fields: Vec<&str> = line.split('|').collect();
            let at = |number: usize| fields.get(number).copied().unwrap_or_default().to_owned();
            match fields.first().copied() {
                Some("OBR") => order = at(3),
                Some("OBX") => results.push(Observed {
                    id: [order.clone(), at(3), at(4)],
                    value: at(5),
                    status: at(11),
                }),
                Some(_) | None => {}
            }
        }
        let (control_id, asks_for_commit) = (field(10), field(15) == "AL");
        (!control_id.is_empty()).then_some(Self { control_id, asks_for_commit, results, text })
    }

    /// Stream and sequence inside MSH-10: eight hexadecimal digits, `-`, the number in base 36.
    fn order(&self) -> Option<(&str, u64)> {
        let (stream, number) = self.control_id.split_once('-')?;
        Some((stream, u64::from_str_radix(number, 36).ok()?))
    }
}

/// What is known of each measurement.
#[derive(Debug, Default)]
pub struct Observations {
    /// By OBR-3, OBX-3 and OBX-4.
    by_id: BTreeMap<[String; 3], Last>,
}

#[derive(Debug)]
struct Last {
    stream: String,
    sequence: u64,
    value: String,
    status: String,
}

impl Observations {
    /// A statement with a lower sequence never replaces one with a higher.
    pub fn apply(&mut self, message: &Message) {
        let Some((stream, sequence)) = message.order() else { return };
        for Observed { id, value, status } in &message.results {
            let known = self.by_id.get(id);
            if known.is_some_and(|last| last.stream == stream && last.sequence >= sequence) {
                continue;
            }
            let (stream, value, status) = (stream.to_owned(), value.clone(), status.clone());
            self.by_id.insert(id.clone(), Last { stream, sequence, value, status });
        }
    }

    /// One JSON line per measurement, in the order of their ids.
    pub fn lines(&self) -> Vec<Json> {
        let line = |(id, last): (&[String; 3], &Last)| {
            json!({ "id": id, "value": last.value, "status": last.status,
                "sequence": last.sequence })
        };
        self.by_id.iter().map(line).collect()
    }
}

/// Messages on disk.
pub struct Store {
    file: File,
    messages: Vec<Message>,
}

impl Store {
    /// Opens or makes it; a torn last line is cut off.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut text = String::new();
        io::Read::read_to_string(&mut file, &mut text)?;
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        let read = |line: &str| {
            let line: Json = serde_json::from_str(line).ok()?;
            Message::of_text(line["message"].as_str()?.to_owned())
        };
        let messages = text.get(..whole).unwrap_or_default().lines().filter_map(read).collect();
        Ok(Self { file, messages })
    }

    /// Everything that came, in order, repeats included.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Stores a message; it is on disk when this comes back.
    pub fn keep(&mut self, message: Message) -> io::Result<()> {
        let line = json!({ "control_id": message.control_id, "message": message.text });
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.file.sync_data()?;
        self.messages.push(message);
        Ok(())
    }
}
