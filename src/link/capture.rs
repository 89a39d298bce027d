//! The text form of a capture: diffable, and it keeps where reads ended.
//!
//! ```text
//! # capture-format: 1
//! # firmware: 2.2
//! # witnessed: who compared it with the device's screen, and when
//! +000.000 < 24 50 4F 2C | $PO,
//! +000.500 ! disconnect
//! ```
//! `<` from the device, `>` to the device, `!` a line event. What stands behind `|` is for people.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::Port;

/// The one version of the format.
const FORMAT: &str = "1";

/// How many bytes a replayed port holds before the replay waits.
const REPLAY_BUFFER_BYTES: usize = 64 * 1024;

/// A capture in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// The firmware of the device, if the head says so.
    pub firmware: Option<String>,
    /// Who compared it with the screen; `None` for a capture that nobody vouches for.
    pub witnessed: Option<String>,
    pub entries: Vec<Entry>,
}

/// One entry with its time since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub at_ms: u64,
    pub what: What,
}

/// What an entry holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    FromDevice(Vec<u8>),
    ToDevice(Vec<u8>),
    LineEvent(String),
}

/// What is wrong with a capture file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct CaptureError {
    /// Counted from 1.
    pub line: usize,
    pub what: String,
}

impl Capture {
    /// Whether a text begins like a capture.
    pub fn is_one(text: &str) -> bool {
        text.starts_with("# capture-format:")
    }

    /// Reads the text form.
    ///
    /// ```
    /// use wardgate::link::capture::{Capture, What};
    /// let text = "# capture-format: 1\n# firmware: 2.2\n+000.250 < 24 50 | $P\n";
    /// let capture = Capture::parse(text).unwrap();
    /// assert_eq!(capture.firmware.as_deref(), Some("2.2"));
    /// assert_eq!(capture.entries[0].what, What::FromDevice(b"$P".to_vec()));
    /// assert_eq!(Capture::parse(&capture.to_text()).unwrap(), capture);
    /// assert_eq!(Capture::parse("# capture-format: 1\n+1 < XX\n").unwrap_err().line, 2);
    /// ```
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(text: &str) -> Result<Self, CaptureError> {
        let mut capture = Self::default();
        let mut format = None;
        for (index, line) in text.lines().enumerate() {
            let problem = |what: &str| CaptureError { line: index + 1, what: what.to_owned() };
            if let Some(head) = line.strip_prefix('#') {
                match head.trim().split_once(':') {
                    Some(("capture-format", version)) => format = Some(version.trim().to_owned()),
                    Some(("firmware", firmware)) => {
                        capture.firmware = Some(firmware.trim().to_owned());
                    }
                    Some(("witnessed", who)) => capture.witnessed = Some(who.trim().to_owned()),
                    Some(_) | None => {}
                }
            } else if !line.trim().is_empty() {
                let entry = entry(line).ok_or_else(|| {
                    problem("expected \"+seconds.milliseconds < 24 50 4F | text\" (or > or !)")
                })?;
                capture.entries.push(entry);
            }
        }
        match format.as_deref() {
            Some(FORMAT) => Ok(capture),
            Some(_) | None => {
                let what = "expected \"# capture-format: 1\" in the head".to_owned();
                Err(CaptureError { line: 1, what })
            }
        }
    }

    /// The text form.
    pub fn to_text(&self) -> String {
        let mut text = format!("# capture-format: {FORMAT}\n");
        if let Some(firmware) = &self.firmware {
            text.push_str(&format!("# firmware: {firmware}\n"));
        }
        if let Some(witnessed) = &self.witnessed {
            text.push_str(&format!("# witnessed: {witnessed}\n"));
        }
        for entry in &self.entries {
            let time = format!("+{:03}.{:03}", entry.at_ms / 1000, entry.at_ms % 1000);
            let line = match &entry.what {
                What::FromDevice(bytes) => format!("{time} < {}", hex_and_text(bytes)),
                What::ToDevice(bytes) => format!("{time} > {}", hex_and_text(bytes)),
                What::LineEvent(event) => format!("{time} ! {event}"),
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

fn entry(line: &str) -> Option<Entry> {
    let (time, rest) = line.strip_prefix('+')?.split_once(' ')?;
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let milliseconds = format!("{fraction:0<3}");
    let at_ms = seconds.parse::<u64>().ok()?.checked_mul(1000)?
        + milliseconds.get(..3)?.parse::<u64>().ok()?;
    let (direction, rest) = rest.split_at_checked(1)?;
    let hex = rest.split('|').next().unwrap_or_default();
    let bytes = || -> Option<Vec<u8>> {
        hex.split_whitespace()
            .map(|pair| (pair.len() == 2).then(|| u8::from_str_radix(pair, 16).ok()).flatten())
            .collect()
    };
    let what = match direction {
        "<" => What::FromDevice(bytes()?),
        ">" => What::ToDevice(bytes()?),
        "!" => What::LineEvent(rest.trim().to_owned()),
        _ => return None,
    };
    Some(Entry { at_ms, what })
}

fn hex_and_text(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let plain = |byte: &u8| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' };
    let text: String = bytes.iter().map(plain).collect();
    format!("{} | {}", hex.join(" "), text.replace('|', "."))
}

/// A port that plays a capture at its own pace and then closes.
///
/// # Errors
/// The file cannot be read, or is not a capture.
pub(super) fn replay(file: &Path) -> io::Result<Port> {
    let text = std::fs::read_to_string(file)?;
    let capture = Capture::parse(&text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    let (ours, mut theirs) = tokio::io::duplex(REPLAY_BUFFER_BYTES);
    tokio::spawn(async move {
        let mut last_ms = 0;
        for entry in capture.entries {
            let wait_ms = entry.at_ms.saturating_sub(last_ms);
            last_ms = entry.at_ms;
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
            match entry.what {
                What::FromDevice(bytes) => {
                    if theirs.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                What::LineEvent(event) if event == "disconnect" => return,
                What::ToDevice(_) | What::LineEvent(_) => {}
            }
        }
    });
    Ok(Port::of_stream(ours))
}
