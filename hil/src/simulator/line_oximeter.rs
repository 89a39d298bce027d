//! Nordpuls PO-100 (made up): a line of ASCII per reading, no clock worth the name, no numbers.
//!
//! ```text
//! $PO,10:11:12,097,072,04.5,00*25<CR><LF>
//!     time     SpO2 pulse PI flags, exclusive-or of the bytes between $ and *
//! ```

use std::io;
use std::time::Duration;

use super::log::Reading;
use super::pty::{Pty, Written};
use super::random::{Random, Walk, decimal};
use super::{Bench, SerialOptions, clock};

/// One probe-off reading in so many.
const PROBE_OFF: u64 = 25;
/// One reading in so many while the device still looks for a pulse.
const SEARCHING: u64 = 40;
/// One noise line in so many readings, if noise is wanted.
const NOISE: u64 = 20;
/// At 9600 baud a line of 34 characters takes 35 ms; pieces of it come this far apart.
const PIECES_APART: Duration = Duration::from_millis(5);

pub async fn run(options: SerialOptions) -> io::Result<()> {
    let mut pty = Pty::open(&options.link)?;
    let mut bench = Bench::set_up(options.common)?;
    let mut patient = Patient::new();
    let mut message = 0;
    if !bench.go().await {
        return Ok(());
    }
    loop {
        message += 1;
        let values = patient.next(&mut bench.random);
        let sent = line(&body(&clock::time_of_day(clock::now_us()), &values));
        match write_in_pieces(&mut pty, &mut bench.random, &sent).await? {
            Written::At(sent_us) => {
                for (parameter, value) in values.named() {
                    let reading = Reading::new(&message.to_string(), parameter, value);
                    bench.log.sent(message, &reading, sent_us)?;
                }
                bench.log.flush()?;
            }
            Written::NobodyListens => bench.log.dropped(message, "nobody listens")?,
        }
        if options.noise && bench.random.once_in(NOISE) {
            message += 1;
            let noise = noise(&mut bench.random, &sent);
            if let Written::At(sent_us) = pty.write(&noise).await? {
                bench.log.refused(message, "damaged line", sent_us)?;
            }
        }
        if !bench.next().await {
            pty.unplug().await;
            return Ok(());
        }
    }
}

/// What the display would show.
struct Values {
    spo2: String,
    pulse: String,
    perfusion: String,
    flags: u8,
}

impl Values {
    fn named(&self) -> [(&'static str, &str); 3] {
        [
            ("spo2", &self.spo2),
            ("pulse-rate-pleth", &self.pulse),
            ("perfusion-index", &self.perfusion),
        ]
    }
}

struct Patient {
    spo2: Walk,
    pulse: Walk,
    perfusion: Walk,
}

impl Patient {
    const fn new() -> Self {
        Self {
            spo2: Walk::new(97, 85, 100, 1),
            pulse: Walk::new(72, 45, 140, 2),
            perfusion: Walk::new(45, 2, 200, 3),
        }
    }

    fn next(&mut self, random: &mut Random) -> Values {
        let (spo2, pulse) = (self.spo2.next(random), self.pulse.next(random));
        let perfusion = self.perfusion.next(random);
        let nothing = |mark: &str, small: &str| Values {
            spo2: mark.to_owned(),
            pulse: mark.to_owned(),
            perfusion: small.to_owned(),
            flags: 0,
        };
        if random.once_in(PROBE_OFF) {
            return nothing("---", "--.-");
        }
        if random.once_in(SEARCHING) {
            return nothing("***", "**.*");
        }
        Values {
            spo2: format!("{spo2:03}"),
            pulse: format!("{pulse:03}"),
            perfusion: format!("{:0>4}", decimal(perfusion, 1)),
            flags: u8::from(perfusion < 5),
        }
    }
}

fn body(time: &str, values: &Values) -> String {
    let Values { spo2, pulse, perfusion, flags } = values;
    format!("PO,{time},{spo2},{pulse},{perfusion},{flags:02X}")
}

fn line(body: &str) -> Vec<u8> {
    let sum = body.bytes().fold(0, |sum, byte| sum ^ byte);
    format!("${body}*{sum:02X}\r\n").into_bytes()
}

/// One to three writes, as a serial line delivers: cut anywhere.
async fn write_in_pieces(pty: &mut Pty, random: &mut Random, line: &[u8]) -> io::Result<Written> {
    let mut rest = line;
    for _ in 0..random.below(3) {
        let cut = usize::try_from(random.below(rest.len() as u64)).unwrap_or(0);
        let (piece, behind) = rest.split_at(cut);
        if pty.write(piece).await? == Written::NobodyListens {
            return Ok(Written::NobodyListens);
        }
        tokio::time::sleep(PIECES_APART).await;
        rest = behind;
    }
    pty.write(rest).await
}

/// A copy of the line with one digit changed, which the checksum cannot miss, or a foreign line.
fn noise(random: &mut Random, line: &[u8]) -> Vec<u8> {
    if random.once_in(2) {
        let mut damaged = line.to_vec();
        if let Some(byte) = damaged.iter_mut().filter(|byte| byte.is_ascii_digit()).nth(6) {
            *byte ^= 1;
        }
        return damaged;
    }
    let mut foreign: Vec<u8> = (0..12)
        .map(|_| b'!' + u8::try_from(random.below(90)).unwrap_or(0))
        .filter(|byte| !matches!(byte, b'$' | b'*'))
        .collect();
    foreign.extend_from_slice(b"\r\n");
    foreign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_one_of_the_sheet() {
        let values =
            Values { spo2: "097".into(), pulse: "072".into(), perfusion: "04.5".into(), flags: 0 };
        let sent = line(&body("10:11:12", &values));
        assert_eq!(sent, b"$PO,10:11:12,097,072,04.5,00*25\r\n");
    }

    #[test]
    fn noise_never_is_a_line_that_a_device_could_send() {
        let mut random = Random::new(3);
        let sent = line("PO,10:11:12,097,072,04.5,00");
        for _ in 0..100 {
            let noise = noise(&mut random, &sent);
            assert_ne!(noise, sent);
            assert!(noise.ends_with(b"\r\n"));
            let body = noise.strip_prefix(b"$").unwrap_or_default();
            let (body, sum) = body.split_at(body.len().saturating_sub(5));
            let right = body.iter().fold(0, |sum, byte| sum ^ byte);
            assert_ne!(sum, format!("*{right:02X}\r\n").as_bytes());
        }
    }
}
