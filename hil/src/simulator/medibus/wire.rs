//! MEDIBUS frames from the device's side (facts/monitors.md 3.2): commands come, replies go.
//!
//! ```text
//! 1B code arguments C C 0D    from the host, and from the device when it asks
//! 01 code data      C C 0D    the answer to either
//! ```

/// What the host said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// Code and arguments.
    Command(u8, Vec<u8>),
    /// Code and data of an answer.
    Answer(u8, Vec<u8>),
    /// Bytes of 80H and more: the only ones a host sends enable real-time signals.
    Realtime(u8),
    /// Anything else.
    Foreign(Vec<u8>),
}

/// Bytes of the host, frame by frame.
#[derive(Default)]
pub struct Line {
    frame: Vec<u8>,
}

impl Line {
    /// What the next byte completes.
    pub fn take(&mut self, byte: u8) -> Option<Received> {
        if byte >= 0x80 {
            return Some(Received::Realtime(byte));
        }
        self.frame.push(byte);
        if byte != 0x0d {
            return None;
        }
        Some(read(&std::mem::take(&mut self.frame)))
    }
}

fn read(frame: &[u8]) -> Received {
    let foreign = || Received::Foreign(frame.to_vec());
    let Some(body) = frame.len().checked_sub(3).and_then(|end| frame.get(..end)) else {
        return foreign();
    };
    let [start, code, text @ ..] = body else { return foreign() };
    if sealed(body) != frame {
        return foreign();
    }
    match start {
        0x1b => Received::Command(*code, text.to_vec()),
        0x01 => Received::Answer(*code, text.to_vec()),
        _ => foreign(),
    }
}

/// With checksum and carriage return.
fn sealed(body: &[u8]) -> Vec<u8> {
    let sum: usize = body.iter().map(|byte| usize::from(*byte)).sum();
    let mut frame = body.to_vec();
    frame.extend(format!("{:02X}\r", sum % 256).into_bytes());
    frame
}

/// The device's answer.
pub fn answer(code: u8, data: &[u8]) -> Vec<u8> {
    sealed(&[&[0x01, code], data].concat())
}

/// A command of the device.
pub fn command(code: u8) -> Vec<u8> {
    sealed(&[0x1b, code])
}

/// Code and value, right-justified in so many characters.
pub fn entry(code: &str, value: &str, width: usize) -> Vec<u8> {
    format!("{code}{value:>width$}").into_bytes()
}

/// Priority, code and phrase of an alarm.
pub fn alarm(priority: u8, code: &str, phrase: &str) -> Vec<u8> {
    format!("{}{code}{phrase:<12}", char::from(0x30 + priority)).into_bytes()
}

/// Code, length, text and ETX.
pub fn text(code: &str, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap_or(0);
    format!("{code}{}{text}\u{3}", char::from(0x30 + length)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked frames of facts/monitors.md 3.2.
    #[test]
    fn frames_are_the_sheets() {
        assert_eq!(command(0x51), b"\x1bQ6C\r");
        assert_eq!(command(0x30), b"\x1b04B\r");
        assert_eq!(answer(0x51, b""), b"\x01Q52\r");
        assert_eq!(answer(0x15, b""), b"\x01\x1516\r");
        assert_eq!(answer(0x52, b"8240'Evita 4'04.20:03.00"), b"\x01R8240'Evita 4'04.20:03.00DB\r");
        let data = [entry("D6", "12", 4), entry("B9", "7.2", 4), entry("78", "5", 4)].concat();
        assert_eq!(answer(0x24, &data), b"\x01$D6  12B9 7.278   578\r");
        assert_eq!(answer(0x28, b"11:11:1911-NOV-93"), b"\x01(11:11:1911-NOV-93E6\r");
    }

    #[test]
    fn what_the_host_says_is_told_apart() {
        let mut line = Line::default();
        let mut heard = |bytes: &[u8]| -> Vec<Received> {
            bytes.iter().filter_map(|byte| line.take(*byte)).collect()
        };
        assert_eq!(heard(b"\x1b$3F\r"), [Received::Command(0x24, Vec::new())]);
        assert_eq!(heard(b"\x01Q52\r"), [Received::Answer(0x51, Vec::new())]);
        assert_eq!(heard(b"\x1b046\r"), [Received::Foreign(b"\x1b046\r".to_vec())]);
        assert_eq!(heard(&[0xd0]), [Received::Realtime(0xd0)]);
        assert_eq!(heard(b"\r"), [Received::Foreign(b"\r".to_vec())]);
    }
}
