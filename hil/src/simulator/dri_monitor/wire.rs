//! Frames, records and requests, written from facts/monitors.md 2.2 to 2.4.

/// The plug identifier that this monitor reports.
const PLUG: u16 = 2571;

/// What a monitor is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Displayed { interval_s: u16, classes: u32 },
    Auxiliary { interval_s: u16 },
    StartWaves(Vec<u8>),
    StopWaves,
    Alarms,
}

/// What is written to the monitor, byte by byte.
#[derive(Default)]
pub struct Line {
    frame: Vec<u8>,
    inside: bool,
}

impl Line {
    /// A whole request, or what is wrong with what was sent.
    pub fn take(&mut self, byte: u8) -> Result<Option<Request>, String> {
        match (byte, self.inside) {
            (0x7e, false) => self.inside = true,
            (0x7e, true) if self.frame.is_empty() => {}
            (0x7e, true) => {
                self.inside = false;
                let frame = std::mem::take(&mut self.frame);
                return read(&frame).map(Some);
            }
            (other, false) => return Err(format!("byte {other:02X} outside of a frame")),
            (other, true) => self.frame.push(other),
        }
        Ok(None)
    }
}

fn read(escaped: &[u8]) -> Result<Request, String> {
    let mut bytes = Vec::new();
    let mut rest = escaped.iter();
    while let Some(byte) = rest.next() {
        match byte {
            0x7d => bytes.push(rest.next().ok_or("an escape at the end")? | 0x20),
            other => bytes.push(*other),
        }
    }
    let sum = bytes.pop().ok_or("an empty frame")?;
    let computed = bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 256;
    if u32::from(sum) != computed {
        return Err("a request with a wrong checksum".to_owned());
    }
    let word = |at: usize| -> u16 {
        let byte = |at: usize| u16::from(bytes.get(at).copied().unwrap_or_default());
        byte(at) + 256 * byte(at + 1)
    };
    // Everything but length, main type and the end of the sub-records' list is 0.
    let zeros = (2..40).filter(|at| ![14, 15, 21].contains(at));
    let is_plain = zeros.into_iter().all(|at| bytes.get(at) == Some(&0));
    if usize::from(word(0)) != bytes.len() || !is_plain || bytes.get(21) != Some(&0xff) {
        return Err("a request whose header is none".to_owned());
    }
    let data = bytes.get(40..).unwrap_or_default();
    let byte = |at: usize| data.get(at).copied().unwrap_or(0xff);
    match (word(14), data.len()) {
        (0, 9) => {
            let (interval_s, classes) =
                (word(41), u32::from(word(43)) + 65536 * u32::from(word(45)));
            let is_good = (5..=3600).contains(&interval_s) && classes & !0xe == 0;
            match byte(0) {
                1 if is_good => Ok(Request::Displayed { interval_s, classes }),
                4 if is_good && classes == 0 => Ok(Request::Auxiliary { interval_s }),
                kind => Err(format!("values of kind {kind} every {interval_s} s")),
            }
        }
        (1, 32) if byte(0) == 1 => Ok(Request::StopWaves),
        (1, 32) if word(40) == 0 => {
            let kinds: Vec<u8> =
                data.iter().skip(4).take(8).copied().take_while(|kind| *kind != 0xff).collect();
            let samples: u32 = kinds.iter().map(|kind| rate(*kind)).sum();
            match kinds.is_empty() || samples > 600 || kinds.iter().any(|kind| rate(*kind) == 0) {
                true => Err(format!("waves with {samples} samples a second")),
                false => Ok(Request::StartWaves(kinds)),
            }
        }
        (4, 12) if word(40) == 2 && data.iter().skip(2).all(|byte| *byte == 0) => {
            Ok(Request::Alarms)
        }
        (main, bytes) => Err(format!("main type {main} with {bytes} bytes")),
    }
}

/// Samples a second of a kind of wave; 0 for none.
pub fn rate(kind: u8) -> u32 {
    match kind {
        1..=3 => 300,
        4..=8 => 100,
        9..=15 => 25,
        _ => 0,
    }
}

/// A record with its sub-records.
pub fn record(number: u8, level: u8, time: u32, main_type: u8, parts: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let length = 40 + parts.iter().map(|(_, part)| part.len()).sum::<usize>();
    let mut record = Vec::new();
    record.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    record.extend([number, level]);
    record.extend(PLUG.to_le_bytes());
    record.extend(time.to_le_bytes());
    record.extend([0, 0, 0, 0, main_type, 0]);
    let mut offset = 0u16;
    for (kind, part) in parts.iter().take(8) {
        record.extend(offset.to_le_bytes());
        record.push(*kind);
        offset += u16::try_from(part.len()).unwrap_or(0);
    }
    while record.len() < 40 {
        record.extend([0, 0, 0xff]);
    }
    parts.iter().for_each(|(_, part)| record.extend(part));
    record
}

/// Flags, escapes, and the sum of all bytes.
pub fn frame(record: &[u8]) -> Vec<u8> {
    let sum = record.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 256;
    let mut frame = vec![0x7e];
    for byte in record.iter().copied().chain(u8::try_from(sum)) {
        match byte {
            0x7e => frame.extend([0x7d, 0x5e]),
            0x7d => frame.extend([0x7d, 0x5d]),
            other => frame.push(other),
        }
    }
    frame.push(0x7e);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> Result<Option<Request>, String> {
        let mut line = Line::default();
        let mut last = Ok(None);
        for byte in text.split_whitespace() {
            last = line.take(u8::from_str_radix(byte, 16).unwrap_or(0));
        }
        last
    }

    /// The frames of facts/monitors.md 2.3.
    #[test]
    fn the_sheets_requests_are_understood_and_trends_are_not_wanted() {
        let head = format!("7e 31 00 {} ff {}", "00 ".repeat(19), "00 ".repeat(18));
        let displayed = heard(&format!("{head} 01 0a 00 0e 00 00 00 00 00 49 7e"));
        assert_eq!(displayed, Ok(Some(Request::Displayed { interval_s: 10, classes: 14 })));
        assert!(heard(&format!("{head} 03 3c 00 0e 00 00 00 00 00 7d 5d 7e")).is_err());
        assert!(heard(&format!("{head} 01 0a 00 0e 00 00 00 00 00 48 7e")).is_err());
        assert!(heard("41").is_err());
    }

    /// Its synthetic reply: checksum F3, 318 bytes, beginning 3e 01 01 0a 00 00 00 f1 53 65.
    #[test]
    fn a_record_begins_as_the_sheets_one() {
        let record = record(1, 10, 1_700_000_000, 0, &[(1, vec![0; 278])]);
        assert_eq!(record.len(), 318);
        assert_eq!(record[..4], [0x3e, 1, 1, 0x0a]);
        assert_eq!(record[6..10], [0, 0xf1, 0x53, 0x65]);
        assert_eq!(record[16..22], [0, 0, 1, 0, 0, 0xff]);
        assert_eq!(frame(&[0x7e, 0x7d]), [0x7e, 0x7d, 0x5e, 0x7d, 0x5d, 0xfb, 0x7e]);
    }
}
