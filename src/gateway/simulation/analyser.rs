//! A blood gas analyser that speaks LIS01-A2: it sends a message frame by frame, each with its
//! acknowledgement, and the message counts when its last frame is acknowledged.

use std::time::Duration;

use super::devices::{Line, Shared};
use super::ports::Sockets;

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const EOT: u8 = 0x04;
const ENQ: u8 = 0x05;
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
const ETB: u8 = 0x17;

/// How long a reply may take (LIS01-A2, 6.5.2).
const REPLY_WITHIN_MS: u64 = 15_000;
/// How long to wait before a busy receiver is asked again.
const BUSY_PAUSE: Duration = Duration::from_secs(10);
/// How often one frame may be refused.
const REFUSALS_MAX: u32 = 6;
/// The longest text of a frame in E1381-95.
const TEXT_MAX: usize = 240;
/// So often a message is begun, and no oftener.
const TRIES: u64 = 30;

/// The specimen of message `number`: its identity at the core.
pub(super) fn specimen(number: u64) -> String {
    format!("S{number:06}")
}

/// The number of the message about this specimen.
pub(super) fn number(specimen: &str) -> Option<u64> {
    specimen.strip_prefix('S')?.parse().ok()
}

/// Sodium and potassium in message `number`.
pub(super) fn values(number: u64) -> [String; 2] {
    [format!("{}", 125 + number % 30), format!("{}.{}", 3 + number % 3, number % 10)]
}

fn records(number: u64) -> Vec<u8> {
    let [sodium, potassium] = values(number);
    let (hour, minute, second) = (number / 3600 % 24, number / 60 % 60, number % 60);
    let time = format!("20261123{hour:02}{minute:02}{second:02}");
    let specimen = specimen(number);
    let records = [
        format!(r"H|\^&|||BG-7^1.8.2^700123|||||||P|LIS2-A2|{time}"),
        "P|1".to_owned(),
        format!("O|1|{specimen}|{number}|^^^BG|R||||||||||Arterial"),
        format!("R|1|^^^Na|{sodium}|mmol/L||N||F||||{time}|700123"),
        format!("R|2|^^^K|{potassium}|mmol/L||N||F||||{time}|700123"),
        "L|1|N".to_owned(),
    ];
    records.map(|record| format!("{record}\r")).concat().into_bytes()
}

/// All records together, cut every 240 bytes wherever that is.
fn frames(number: u64) -> Vec<Vec<u8>> {
    let text = records(number);
    let count = text.chunks(TEXT_MAX).count();
    let frame = |(index, text): (usize, &[u8])| {
        let end = if index + 1 == count { ETX } else { ETB };
        let digit = b'0' + ((index + 1) % 8) as u8;
        let checked = [&[digit], text, &[end]].concat();
        let sum = checked.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        [&[STX], checked.as_slice(), format!("{sum:02X}\r\n").as_bytes()].concat()
    };
    text.chunks(TEXT_MAX).enumerate().map(frame).collect()
}

/// Sends until its last message is settled.
pub(super) async fn run(shared: Shared, sockets: Sockets, address: String) {
    let mut line = Line::new(&address, &sockets);
    while let Some(number) = shared.next().await {
        for tries in 1.. {
            line.connected().await;
            if deliver(&shared, &mut line, number).await {
                shared.note_acknowledged(number);
                break;
            }
            if tries >= TRIES {
                shared.give_up();
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

/// One conversation; `true`: every frame was acknowledged.
async fn deliver(shared: &Shared, line: &mut Line, number: u64) -> bool {
    if !establish(line).await {
        return false;
    }
    shared.note_sent(number);
    for frame in frames(number) {
        let mut refusals = 0;
        while refusals < REFUSALS_MAX {
            if !send(shared, line, &frame).await {
                return false;
            }
            match reply(line).await {
                Some(ACK) => break,
                Some(NAK) => refusals += 1,
                // Silence, or a receiver that asks to stop.
                Some(_) | None => {
                    line.send(&[EOT]);
                    return false;
                }
            }
        }
        if refusals >= REFUSALS_MAX {
            line.send(&[EOT]);
            return false;
        }
    }
    line.send(&[EOT]);
    true
}

/// ENQ until the receiver is ready.
async fn establish(line: &mut Line) -> bool {
    for _ in 0..REFUSALS_MAX {
        line.heard.clear();
        if !line.send(&[ENQ]) {
            return false;
        }
        match reply(line).await {
            Some(ACK) => return true,
            Some(NAK) => tokio::time::sleep(BUSY_PAUSE).await,
            Some(_) | None => return false,
        }
    }
    false
}

async fn reply(line: &mut Line) -> Option<u8> {
    while line.heard.is_empty() {
        if !line.hear(REPLY_WITHIN_MS).await {
            return None;
        }
    }
    Some(line.heard.remove(0))
}

/// Puts a frame on the wire, whole or not; `false`: the connection is gone.
async fn send(shared: &Shared, line: &mut Line, frame: &[u8]) -> bool {
    let middle = shared.between(1, frame.len() as u64 - 1) as usize;
    match shared.trouble() {
        None => line.send(frame),
        Some(0 | 1) => {
            line.send(&frame[..middle]);
            line.cut();
            false
        }
        Some(2) => {
            line.send(&frame[..middle]);
            tokio::time::sleep(Duration::from_millis(shared.between(1, 3_000))).await;
            line.send(&frame[middle..])
        }
        Some(3) => {
            line.send(frame);
            tokio::time::sleep(Duration::from_millis(shared.between(0, 60))).await;
            line.cut();
            false
        }
        // A damaged byte: the checksum does not match, and the frame goes again.
        Some(4 | 5) => {
            let mut damaged = frame.to_vec();
            damaged[middle.clamp(2, frame.len() - 6)] ^= 0x01;
            line.send(&damaged)
        }
        Some(6) => {
            let seconds = shared.between(1, 12);
            line.unplug(seconds).await;
            false
        }
        Some(_) => {
            line.send(frame);
            line.fail();
            false
        }
    }
}
