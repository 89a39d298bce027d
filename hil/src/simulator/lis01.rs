//! The sending side of LIS01-A2 over TCP, as an analyser does it.
//!
//! ```text
//! ENQ -> ACK    STX FN text ETX|ETB C1 C2 CR LF -> ACK    ...    EOT
//! ```
//!
//! FN runs 1..7, 0, 1.. from each ENQ; C1 C2 is the sum of the bytes from FN through ETX or ETB,
//! modulo 256, in hexadecimal. A frame that is refused goes again, the same bytes; after six
//! refusals the message is given up and sent again whole.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::clock::now_us;

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const EOT: u8 = 0x04;
const ENQ: u8 = 0x05;
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
const ETB: u8 = 0x17;

/// How long a reply may take.
const REPLY_WITHIN: Duration = Duration::from_secs(15);
/// How long to wait before asking a busy receiver again.
const BUSY_PAUSE: Duration = Duration::from_secs(10);
/// How often one frame may be refused.
const REFUSALS_MAX: u32 = 6;
/// The longest text of a frame in E1381-95.
const TEXT_MAX: usize = 240;

/// A frame's text and whether the message ends with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub text: Vec<u8>,
    /// ETX, or ETB for "more of this message follows".
    end: u8,
}

/// Each record with its CR in a frame of its own; every frame ends in ETX.
pub fn record_per_frame(records: &[String]) -> Vec<Cut> {
    records.iter().map(|record| Cut { text: format!("{record}\r").into(), end: ETX }).collect()
}

/// All records together, cut every 240 bytes wherever that is; all frames but the last end in ETB.
pub fn packed(records: &[String]) -> Vec<Cut> {
    let text: Vec<u8> =
        records.iter().flat_map(|record| format!("{record}\r").into_bytes()).collect();
    let chunks = text.chunks(TEXT_MAX);
    let last = chunks.len();
    chunks
        .zip(1..)
        .map(|(text, number)| Cut {
            text: text.to_vec(),
            end: if number == last { ETX } else { ETB },
        })
        .collect()
}

/// The bytes of frame `number` (from 1).
pub fn frame(number: usize, cut: &Cut) -> Vec<u8> {
    let digit = b'0' + u8::try_from(number % 8).unwrap_or(0);
    let mut checked = vec![digit];
    checked.extend_from_slice(&cut.text);
    checked.push(cut.end);
    let sum = checked.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    let mut frame = vec![STX];
    frame.append(&mut checked);
    frame.extend(format!("{sum:02X}\r\n").bytes());
    frame
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// Every frame was acknowledged, the last one at that moment.
    Acknowledged(i64),
    /// It was not, and must be sent again whole, on a new connection.
    Again,
}

/// Sends one message. `written` is told of each frame when it is on the wire, the first time only.
pub async fn send(
    stream: &mut TcpStream,
    frames: &[Cut],
    mut written: impl FnMut(usize, i64) -> io::Result<()>,
) -> io::Result<Sent> {
    if !establish(stream).await {
        return Ok(Sent::Again);
    }
    let mut acked_us = now_us();
    for (cut, number) in frames.iter().zip(1..) {
        let bytes = frame(number, cut);
        let mut refusals = 0;
        loop {
            if stream.write_all(&bytes).await.is_err() {
                return Ok(Sent::Again);
            }
            if refusals == 0 {
                written(number - 1, now_us())?;
            }
            match reply(stream).await {
                Some(ACK) => break,
                // The receiver asks to stop: the frame is accepted, the rest has to wait.
                Some(EOT) | None => return give_up(stream).await,
                Some(_) => refusals += 1,
            }
            if refusals >= REFUSALS_MAX {
                return give_up(stream).await;
            }
        }
        acked_us = now_us();
    }
    // What follows is the end of the conversation; the message itself is acknowledged.
    let _ = stream.write_all(&[EOT]).await;
    Ok(Sent::Acknowledged(acked_us))
}

/// ENQ until the receiver is ready.
async fn establish(stream: &mut TcpStream) -> bool {
    for _ in 0..REFUSALS_MAX {
        if stream.write_all(&[ENQ]).await.is_err() {
            return false;
        }
        match reply(stream).await {
            Some(ACK) => return true,
            Some(NAK) => tokio::time::sleep(BUSY_PAUSE).await,
            Some(_) | None => return false,
        }
    }
    false
}

async fn give_up(stream: &mut TcpStream) -> io::Result<Sent> {
    // The connection may be gone already; then nobody needs to hear it.
    let _ = stream.write_all(&[EOT]).await;
    Ok(Sent::Again)
}

async fn reply(stream: &mut TcpStream) -> Option<u8> {
    tokio::time::timeout(REPLY_WITHIN, stream.read_u8()).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checksums of published transmissions (facts/lab.md 1.2).
    #[test]
    fn checksums_are_those_of_published_frames() {
        for (number, text, sum) in [
            (1, r"H|\^&|||Mini LIS||||||||LIS2-A|20210309142633", "96"),
            (4, "L|1|N", "07"),
            (1, r"H|\^&|||cobas u 311^1|||||host|TSREQ^REAL|P|1", "6A"),
            (2, "Q|1|^^00002^3^50002^002^^S1^SC||ALL||||||||O", "74"),
            (3, "L|1|N", "06"),
        ] {
            let cut = &record_per_frame(&[text.to_owned()])[0];
            let expected = format!("\x02{number}{text}\r\x03{sum}\r\n");
            assert_eq!(String::from_utf8(frame(number, cut)).unwrap(), expected);
        }
    }

    #[test]
    fn frame_numbers_run_from_one_to_seven_and_on_with_zero() {
        let cut = Cut { text: b"X\r".to_vec(), end: ETX };
        let digits: Vec<u8> = (1..=9).map(|number| frame(number, &cut)[1]).collect();
        assert_eq!(digits, b"123456701");
    }

    #[test]
    fn packed_frames_hold_exactly_240_bytes_and_end_in_etb_but_the_last() {
        let records = vec!["R".repeat(299), "L".repeat(199)];
        let cuts = packed(&records);
        let sizes: Vec<usize> = cuts.iter().map(|cut| cut.text.len()).collect();
        assert_eq!(sizes, [240, 240, 20]);
        assert_eq!(cuts.iter().map(|cut| cut.end).collect::<Vec<_>>(), [ETB, ETB, ETX]);
        assert_eq!(frame(1, &cuts[0]).len(), 247);
    }
}
