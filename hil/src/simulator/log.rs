//! What a simulated device says that it has sent: the one side of every comparison.
//!
//! | line | when |
//! |---|---|
//! | `{link, key, parameter, value, sent_us, message}` | a value's last byte has been written |
//! | the same with `absent` | it also says whether the core must have no value there |
//! | `{link, parameter, value, sent_us, message, demo}` | demo data, which the core must never have |
//! | `{link, message, acked_us}` | the device has seen the acknowledgement of that message |
//! | `{link, message, refused, sent_us}` | bytes went out that nobody may take for a reading |
//! | `{link, message, dropped}` | nobody was listening; the reading was never on the wire whole |
//! | `{link, message, breach}` | the device was sent what nobody may send it, or too early |
//!
//! One JSON object per line, flushed after each message.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One line of a send log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The device's name.
    pub link: String,
    /// The message's number, counted by the device.
    pub message: u64,
    /// What identifies the reading on this link: specimen or time as sent and the parameter; the
    /// message's number and the parameter where the device sends neither.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the device calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The value exactly as it stands on the wire; a mark of absence likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether the value stands for "no value"; nothing where the simulator does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<bool>,
    /// Demo data: without a key, for the core must not have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub demo: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acked_us: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breach: Option<String>,
}

/// One value that a message carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub key: String,
    pub parameter: String,
    pub value: String,
    pub must: Must,
}

/// What the core must make of a reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Must {
    /// The text, a value or a mark of absence: the simulator does not say which.
    #[default]
    Text,
    /// A value.
    Value,
    /// No value; the text is the mark that stands in its place, often nothing.
    Absent,
    /// Nothing at all: it is demo data.
    Withheld,
}

impl Reading {
    /// A reading with the key `anchor/parameter`.
    pub fn new(anchor: &str, parameter: &str, value: impl Into<String>) -> Self {
        let key = format!("{anchor}/{parameter}");
        let (parameter, value) = (parameter.to_owned(), value.into());
        Self { key, parameter, value, must: Must::Text }
    }

    /// The same, with what the core must make of it.
    pub fn must(self, must: Must) -> Self {
        Self { must, ..self }
    }
}

/// Where a device writes what it has sent; nowhere, if nobody asked for a log.
pub struct SendLog {
    link: String,
    file: Option<BufWriter<File>>,
}

impl SendLog {
    /// Begins a new log.
    pub fn create(link: &str, path: Option<&Path>) -> io::Result<Self> {
        let file = path.map(File::create).transpose()?.map(BufWriter::new);
        Ok(Self { link: link.to_owned(), file })
    }

    /// A reading whose last byte was written at `sent_us`.
    pub fn sent(&mut self, message: u64, reading: &Reading, sent_us: i64) -> io::Result<()> {
        let is_demo = reading.must == Must::Withheld;
        self.write(Line {
            message,
            key: (!is_demo).then(|| reading.key.clone()),
            parameter: Some(reading.parameter.clone()),
            value: Some(reading.value.clone()),
            absent: match reading.must {
                Must::Text | Must::Withheld => None,
                Must::Value => Some(false),
                Must::Absent => Some(true),
            },
            demo: is_demo,
            sent_us: Some(sent_us),
            ..Line::default()
        })
    }

    /// The device has seen the acknowledgement.
    pub fn acknowledged(&mut self, message: u64, acked_us: i64) -> io::Result<()> {
        self.write(Line { message, acked_us: Some(acked_us), ..Line::default() })?;
        self.flush()
    }

    /// Bytes that must not become a reading.
    pub fn refused(&mut self, message: u64, why: &str, sent_us: i64) -> io::Result<()> {
        let refused = Some(why.to_owned());
        self.write(Line { message, refused, sent_us: Some(sent_us), ..Line::default() })?;
        self.flush()
    }

    /// The message never was on the wire whole.
    pub fn dropped(&mut self, message: u64, why: &str) -> io::Result<()> {
        self.write(Line { message, dropped: Some(why.to_owned()), ..Line::default() })?;
        self.flush()
    }

    /// The device was sent what nobody may send it, or too early.
    pub fn breach(&mut self, message: u64, what: &str) -> io::Result<()> {
        let breach = Some(what.to_owned());
        self.write(Line { message, breach, ..Line::default() })?;
        self.flush()
    }

    /// What was logged is in the file from here on.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }

    fn write(&mut self, mut line: Line) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        line.link.clone_from(&self.link);
        serde_json::to_writer(&mut *file, &line)?;
        file.write_all(b"\n")
    }
}
