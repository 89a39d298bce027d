//! BIS Vista: sends processed data once it is started, and stops if nobody acknowledges.
//!
//! ```text
//! BA AB | number 2 | length of the body 2 | type 2 | body | sum 2      all low byte first
//! ```
//! Type 1 data, 2 acknowledgement. Body of data: routing 4, message 4, number 2, length 2, payload.

use std::io;
use std::time::{Duration, Instant};

use super::AskedOptions;
use super::asked::Asked;
use super::ear::{Form, form};
use super::random::{Random, Walk, decimal};
use super::scripted::Said;

const START: usize = 0;
const ACKNOWLEDGEMENT: usize = 1;

/// Requests come at least this far apart; the sheet does not say it, the gateway's file does.
const APART: Duration = Duration::from_secs(1);
/// After so many frames that nobody acknowledged the device falls silent. The sheet only says that
/// they must be.
const UNANSWERED_MAX: u32 = 5;
/// One message in so many with a number that is invalid.
const INVALID: u64 = 20;
const INVALID_NUMBER: i32 = -3277;

/// The start request of the sheet.
const START_REQUEST: [u8; 23] = [
    0xba, 0xab, 0x00, 0x00, 0x0d, 0x00, 0x01, 0x00, 0x04, 0x00, 0x00, 0x00, 0x73, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x86, 0x00,
];

pub async fn run(options: AskedOptions) -> io::Result<()> {
    let known = vec![form(&START_REQUEST), acknowledgement_form()];
    let mut asked = Asked::set_up(options, known, APART)?;
    let mut patient = Patient::new();
    let mut running = false;
    // Number on the wire and in the log of what is not acknowledged yet.
    let mut open: Vec<(u16, u64)> = Vec::new();
    let mut number: u16 = 0;
    let mut due = Instant::now();
    if !asked.go().await {
        return Ok(());
    }
    while let Some(requests) = asked.look(&[ACKNOWLEDGEMENT]).await? {
        for (request, bytes) in requests {
            if request == START {
                running = true;
                open.clear();
                asked.tell(&frame(0, 2, &[])).await?;
                continue;
            }
            let answered = u16::from_le_bytes([byte(&bytes, 2), byte(&bytes, 3)]);
            if frame(answered, 2, &[]) != bytes {
                asked.breach("an acknowledgement with a wrong sum")?;
            }
            match open.iter().position(|(known, _)| *known == answered) {
                Some(at) => {
                    let (_, message) = open.remove(at);
                    asked.acknowledged(message)?;
                }
                None => asked.breach("a frame acknowledged twice, or that was not sent")?,
            }
        }
        if asked.was_switched_off().await? {
            running = false;
            open.clear();
        }
        if open.len() > UNANSWERED_MAX as usize {
            running = false;
            open.clear();
        }
        if running && Instant::now() >= due {
            due = Instant::now() + asked.bench.every;
            number = number.wrapping_add(1);
            let said = patient.next(&mut asked.bench.random, number);
            let message = asked.say(said).await?;
            open.push((number, message));
        }
    }
    asked.end().await
}

fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

fn acknowledgement_form() -> Form {
    let fixed = [Some(0), Some(0), Some(2), Some(0)];
    [&[Some(0xba), Some(0xab), None, None], &fixed[..], &[None, None]].concat()
}

/// What is measured, in the raw steps of the sheet.
struct Patient {
    suppression: Walk,
    edge: Walk,
    index: Walk,
    power: Walk,
    muscle: Walk,
    quality: Walk,
}

impl Patient {
    const fn new() -> Self {
        Self {
            suppression: Walk::new(0, 0, 300, 10),
            edge: Walk::new(1250, 500, 2800, 40),
            index: Walk::new(450, 200, 980, 15),
            power: Walk::new(6000, 4000, 8000, 60),
            muscle: Walk::new(3000, 2500, 5000, 60),
            quality: Walk::new(950, 300, 1000, 20),
        }
    }

    fn next(&mut self, random: &mut Random, number: u16) -> Said {
        let raw = [
            self.suppression.next(random),
            self.edge.next(random),
            self.index.next(random),
            self.power.next(random),
            self.muscle.next(random),
            self.quality.next(random),
        ];
        let none = random.once_in(INVALID);
        let names = [
            ("eeg-parox-crtx-burst-supprn", 1),
            ("eeg-freq-pwr-spec-crtx-spectral-edge", 2),
            ("BIS", 1),
            ("TPOWER", 2),
            ("EMG_LOW", 2),
            ("SQI", 1),
        ];
        let shown = |(raw, (name, places)): (u32, (&'static str, usize))| match none {
            true => (name, INVALID_NUMBER.to_string()),
            false => (name, decimal(raw, places)),
        };
        let values = raw.into_iter().zip(names).map(shown).collect();
        let wire = raw.map(|raw| match none {
            true => INVALID_NUMBER,
            false => i32::try_from(raw).unwrap_or(INVALID_NUMBER),
        });
        Said { bytes: processed(number, wire), values }
    }
}

/// Message 34: 96 bytes that nobody asks for, then the numbers of both channels together.
fn processed(number: u16, wire: [i32; 6]) -> Vec<u8> {
    let [suppression, edge, index, power, muscle, quality] = wire;
    let short = |number: i32| i16::try_from(number).unwrap_or(i16::MIN).to_le_bytes();
    let mut payload = vec![0; 96];
    for part in [suppression, edge, 0, index, 1, 1, power, muscle] {
        payload.extend(short(part));
    }
    payload.extend(quality.to_le_bytes());
    payload.extend([0; 4]);
    let mut body = vec![4, 0, 0, 0, 0x34, 0, 0, 0];
    body.extend(number.to_le_bytes());
    body.extend(u16::try_from(payload.len()).unwrap_or(0).to_le_bytes());
    body.extend(payload);
    frame(number, 1, &body)
}

fn frame(number: u16, kind: u16, body: &[u8]) -> Vec<u8> {
    let mut summed = number.to_le_bytes().to_vec();
    summed.extend(u16::try_from(body.len()).unwrap_or(0).to_le_bytes());
    summed.extend(kind.to_le_bytes());
    summed.extend_from_slice(body);
    let sum = summed.iter().fold(0u16, |sum, byte| sum.wrapping_add(u16::from(*byte)));
    [&[0xba, 0xab], &summed[..], &sum.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_request_has_the_sum_of_the_sheet() {
        let body = [4, 0, 0, 0, 0x73, 0, 0, 0, 0, 0, 1, 0, 0];
        assert_eq!(frame(0, 1, &body), START_REQUEST);
    }

    #[test]
    fn processed_data_have_their_length() {
        let sent = processed(7, [1, 2, 3, 4, 5, 6]);
        // BA AB, number, length, type, body of 12 + 120, sum.
        assert_eq!(sent.len(), 2 + 6 + 132 + 2);
        assert_eq!(sent[4..6], [132, 0]);
    }
}
