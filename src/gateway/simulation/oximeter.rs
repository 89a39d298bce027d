//! A pulse oximeter on a serial line that only talks: whoever does not listen misses the reading.
//! The promise is then a gap record.

use super::devices::{Line, Shared};
use super::ports::Sockets;
use crate::vocabulary::chance::Chance;

/// A line that is not whole within this time is refused, as its device file has it by default.
const UNFINISHED_MS: u64 = 1_000;

/// The values of reading `number`: saturation, pulse, perfusion. No two of 40,000 are the same.
pub(super) fn values(number: u64) -> [String; 3] {
    let perfusion = number / 200 % 200;
    [
        format!("{:03}", 70 + number % 31),
        format!("{:03}", 40 + number % 200),
        format!("{:02}.{}", perfusion / 10, perfusion % 10),
    ]
}

/// The number of a reading with these values.
pub(super) fn number(pulse: &str, perfusion: &str) -> Option<u64> {
    let pulse: u64 = pulse.parse().ok()?;
    let (whole, tenths) = perfusion.split_once('.')?;
    let perfusion = whole.parse::<u64>().ok()? * 10 + tenths.parse::<u64>().ok()?;
    Some(perfusion * 200 + pulse.checked_sub(40)?)
}

/// The line as the PO-100's manual prints it.
pub(super) fn line(number: u64) -> Vec<u8> {
    let [saturation, pulse, perfusion] = values(number);
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    let inside =
        format!("PO,{hour:02}:{minute:02}:{second:02},{saturation},{pulse},{perfusion},00");
    let sum = inside.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${inside}*{sum:02X}\r\n").into_bytes()
}

/// Talks until its last reading.
pub(super) async fn run(shared: Shared, sockets: Sockets, path: String) {
    let mut port = Line::new(&path, &sockets);
    while let Some(number) = shared.next().await {
        shared.give_up();
        let bytes = line(number);
        match shared.trouble() {
            None => {
                port.send(&bytes);
                shared.note_sent(number);
            }
            Some(trouble) => in_trouble(&shared, &mut port, (number, bytes), trouble).await,
        }
    }
}

async fn in_trouble(
    shared: &Shared,
    port: &mut Line,
    (number, mut bytes): (u64, Vec<u8>),
    trouble: u64,
) {
    let middle = shared.between(1, bytes.len() as u64 - 3) as usize;
    match trouble {
        // A digit of the saturation is another one on the way.
        0 => {
            shared.book().damaged.insert(number);
            bytes[13] = if bytes[13] == b'0' { b'1' } else { b'0' };
            port.send(&bytes);
        }
        // Noise that ends like a line.
        1 => {
            let mut noise: Chance = shared.book().chance.branch();
            let mut garbage: Vec<u8> = (0..30).map(|_| noise.next() as u8 | 1).collect();
            garbage.retain(|byte| *byte != b'\r' && *byte != b'\n');
            garbage.extend(b"\r\n");
            port.send(&garbage);
            port.send(&bytes);
        }
        // Half of it, a pause, and the rest, within the time that a line has.
        2 => {
            port.send(&bytes[..middle]);
            let pause_ms = shared.between(1, UNFINISHED_MS - 100);
            tokio::time::sleep(std::time::Duration::from_millis(pause_ms)).await;
            // What comes on another connection is no rest of it.
            port.send(&bytes[middle..]);
        }
        // Half of it, and the adapter fails.
        3 => {
            port.send(&bytes[..middle]);
            port.fail();
        }
        // Half of it, and the cable is out.
        4 | 5 => {
            port.send(&bytes[..middle]);
            let seconds = shared.between(1, 12);
            shared.note_sent(number);
            port.unplug(seconds).await;
        }
        // Off for a while.
        6 => {
            let seconds = shared.between(4, 9);
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            port.send(&bytes);
        }
        _ => {
            port.send(&bytes);
            port.cut();
        }
    }
    shared.note_sent(number);
}
