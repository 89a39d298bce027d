//! Nordpuls BX-2 with firmware 3.1 (made up): a binary frame per reading.
//!
//! | byte | what |
//! |---|---|
//! | 0-1 | AA 55 |
//! | 2 | length of the payload: 7 |
//! | 3 | 01, numerics |
//! | 4-5 | SpO2, big-endian, step 0.1 %, 7FFF not measured |
//! | 6-7 | pulse rate, big-endian, 7FFF not measured |
//! | 8 | perfusion index, step 0.01 % from firmware 3.1, FF not measured |
//! | 9 | frame counter |
//! | 10-11 | CRC-16/MODBUS over bytes 2 to 9, low byte first |

use std::io;

use super::log::Reading;
use super::pty::{Pty, Written};
use super::random::{Random, Walk, decimal};
use super::{Bench, SerialOptions};

/// One reading in so many with the finger out.
const NOT_MEASURED: u64 = 25;
/// One damaged frame in so many readings, if noise is wanted.
const NOISE: u64 = 20;

const ABSENT_16: u16 = 0x7fff;
const ABSENT_8: u8 = 0xff;

pub async fn run(options: SerialOptions) -> io::Result<()> {
    let mut pty = Pty::open(&options.link)?;
    let mut bench = Bench::set_up(options.common)?;
    let mut patient =
        (Walk::new(968, 850, 1000, 6), Walk::new(76, 45, 140, 2), Walk::new(120, 10, 250, 5));
    let mut message: u64 = 0;
    if !bench.go().await {
        return Ok(());
    }
    loop {
        message += 1;
        let random = &mut bench.random;
        let measured = Measured {
            spo2: narrow(patient.0.next(random)),
            pulse: narrow(patient.1.next(random)),
            perfusion: u8::try_from(patient.2.next(random)).unwrap_or(ABSENT_8),
        };
        let measured = if random.once_in(NOT_MEASURED) { Measured::NOTHING } else { measured };
        let counter = u8::try_from(message % 256).unwrap_or(0);
        let sent = frame(&measured, counter);
        match pty.write(&sent).await? {
            Written::At(sent_us) => {
                for (parameter, value) in measured.named() {
                    let reading = Reading::new(&message.to_string(), parameter, value);
                    bench.log.sent(message, &reading, sent_us)?;
                }
                bench.log.flush()?;
            }
            Written::NobodyListens => bench.log.dropped(message, "nobody listens")?,
        }
        if options.noise && bench.random.once_in(NOISE) {
            message += 1;
            if let Written::At(sent_us) = pty.write(&damaged(&mut bench.random, &sent)).await? {
                bench.log.refused(message, "damaged frame", sent_us)?;
            }
        }
        if !bench.next().await {
            pty.unplug().await;
            return Ok(());
        }
    }
}

fn narrow(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(ABSENT_16)
}

/// The numbers as they stand in a frame.
#[derive(Clone, Copy)]
struct Measured {
    spo2: u16,
    pulse: u16,
    perfusion: u8,
}

impl Measured {
    const NOTHING: Self = Self { spo2: ABSENT_16, pulse: ABSENT_16, perfusion: ABSENT_8 };

    /// What the display shows; for "not measured" the mark as the manual writes it.
    fn named(&self) -> [(&'static str, String); 3] {
        let wide = |raw: u16, places| match raw {
            ABSENT_16 => "0x7FFF".to_owned(),
            _ => decimal(u32::from(raw), places),
        };
        let perfusion = match self.perfusion {
            ABSENT_8 => "0xFF".to_owned(),
            raw => decimal(u32::from(raw), 2),
        };
        [
            ("spo2", wide(self.spo2, 1)),
            ("pulse-rate-pleth", wide(self.pulse, 0)),
            ("perfusion-index", perfusion),
        ]
    }
}

fn frame(measured: &Measured, counter: u8) -> Vec<u8> {
    let mut checked = vec![7, 0x01];
    checked.extend(measured.spo2.to_be_bytes());
    checked.extend(measured.pulse.to_be_bytes());
    checked.extend([measured.perfusion, counter]);
    let crc = crc16_modbus(&checked);
    let mut frame = vec![0xaa, 0x55];
    frame.append(&mut checked);
    frame.extend(crc.to_le_bytes());
    frame
}

/// One bit of the payload turned over: a CRC cannot miss it.
fn damaged(random: &mut Random, frame: &[u8]) -> Vec<u8> {
    let mut damaged = frame.to_vec();
    let at = 4 + usize::try_from(random.below(5)).unwrap_or(0);
    if let Some(byte) = damaged.get_mut(at) {
        *byte ^= 1 << random.below(8);
    }
    damaged
}

/// Polynomial 8005 with bits reversed (A001), start FFFF.
fn crc16_modbus(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xffff, |mut crc, byte| {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xa001 } else { crc >> 1 };
        }
        crc
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_has_the_check_value_of_the_catalogue() {
        assert_eq!(crc16_modbus(b"123456789"), 0x4b37);
    }

    #[test]
    fn the_frame_is_the_one_of_the_sheet() {
        let measured = Measured { spo2: 975, pulse: 72, perfusion: 45 };
        let sent = frame(&measured, 9);
        assert_eq!(sent[..10], [0xaa, 0x55, 7, 1, 0x03, 0xcf, 0, 72, 45, 9]);
        assert_eq!(sent.len(), 12);
        let shown = measured.named().map(|(_, value)| value);
        assert_eq!(shown, ["97.5", "72", "0.45"]);
        let nothing = Measured::NOTHING.named().map(|(_, value)| value);
        assert_eq!(nothing, ["0x7FFF", "0x7FFF", "0xFF"]);
    }

    #[test]
    fn damage_never_passes_the_crc() {
        let mut random = Random::new(5);
        let sent = frame(&Measured { spo2: 975, pulse: 72, perfusion: 45 }, 1);
        for _ in 0..50 {
            let damaged = damaged(&mut random, &sent);
            let crc = u16::from_le_bytes([damaged[10], damaged[11]]);
            assert_ne!(crc16_modbus(&damaged[2..10]), crc);
        }
    }
}
