//! Oridion Capnostream 20: silent until enabled; then it says who it is, and when started sends
//! numerics and a CO2 wave, as long as it hears that the link is active.
//!
//! | heard | answer |
//! |---|---|
//! | `85 01 01 00` EnableComm | identification (code 4) |
//! | `85 01 04 05` StartRTComm | numerics (code 1) and wave (code 0) from then on |
//! | `85 01 06 07` LinkIsActive | goes on for another ten seconds |
//!
//! `85 len code payload ck`, ck the exclusive-or of all behind 85; there 80 and 85 are sent as
//! `80 00` and `80 05`.

use std::io;
use std::time::{Duration, Instant};

use super::AskedOptions;
use super::asked::Asked;
use super::ear::form;
use super::random::{Random, Walk};
use super::scripted::Said;

const ENABLE: usize = 0;
const START: usize = 1;

/// Requests come at least this far apart; the sheet does not say it, the gateway's file does.
const APART: Duration = Duration::from_secs(1);
/// The sheet asks for a sign of life every five seconds; how long the device waits is not in it.
const ALIVE: Duration = Duration::from_secs(10);
const WAVE_EVERY: Duration = Duration::from_millis(100);
/// One message in so many with nothing to measure, and with the sensor off the finger.
const NO_BREATH: u64 = 25;
const SENSOR_OFF: u64 = 25;
const NONE: u8 = 0xff;

pub async fn run(options: AskedOptions) -> io::Result<()> {
    let known = [[0x85, 1, 1, 0], [0x85, 1, 4, 5], [0x85, 1, 6, 7]];
    let serial = options.serial.common.serial.clone();
    let mut asked = Asked::set_up(options, known.iter().map(|one| form(one)).collect(), APART)?;
    let mut patient = Patient::new();
    let (mut alive, mut running): (Option<Instant>, bool) = (None, false);
    let (mut numerics_due, mut wave_due) = (Instant::now(), Instant::now());
    if !asked.go().await {
        return Ok(());
    }
    while let Some(requests) = asked.look(&[]).await? {
        let now = Instant::now();
        for (request, _) in requests {
            if request == START && alive.is_none() {
                asked.breach("started before it was enabled")?;
                continue;
            }
            alive = match (request, alive) {
                (ENABLE, _) | (_, Some(_)) => Some(now + ALIVE),
                (_, None) => None,
            };
            match request {
                ENABLE => asked.tell(&identification(&serial)).await?,
                START => running = true,
                _ => {}
            }
        }
        if asked.was_switched_off().await? || alive.is_some_and(|until| now > until) {
            (alive, running) = (None, false);
        }
        if running && now >= wave_due {
            wave_due = now + WAVE_EVERY;
            asked.tell(&frame(&[0, patient.wave, 12, 0x80, 0])).await?;
            patient.wave = patient.wave.wrapping_add(1);
        }
        if running && now >= numerics_due {
            numerics_due = now + asked.bench.every;
            let said = patient.next(&mut asked.bench.random);
            asked.say(said).await?;
        }
    }
    asked.end().await
}

struct Patient {
    et_co2: Walk,
    breaths: Walk,
    spo2: Walk,
    pulse: Walk,
    seconds: u32,
    wave: u8,
}

impl Patient {
    const fn new() -> Self {
        Self {
            et_co2: Walk::new(38, 20, 70, 2),
            breaths: Walk::new(15, 6, 35, 1),
            spo2: Walk::new(97, 84, 100, 1),
            pulse: Walk::new(72, 45, 150, 2),
            // The escapes stand in the time, too.
            seconds: 0x5085_8000,
            wave: 0,
        }
    }

    fn next(&mut self, random: &mut Random) -> Said {
        self.seconds += 1;
        let byte = |number: u32| u8::try_from(number).unwrap_or(NONE);
        let mut et_co2 = byte(self.et_co2.next(random));
        let mut breaths = byte(self.breaths.next(random));
        let (mut spo2, mut pulse) = (byte(self.spo2.next(random)), byte(self.pulse.next(random)));
        let (mut co2_alarms, mut oximeter_alarms) = (u8::from(et_co2 > 60) << 1, 0);
        let mut inspired = 0;
        if random.once_in(NO_BREATH) {
            (et_co2, inspired, breaths, co2_alarms) = (NONE, NONE, NONE, 0x01);
        }
        if random.once_in(SENSOR_OFF) {
            (spo2, pulse, oximeter_alarms) = (NONE, NONE, 0x20);
        }
        let numbers = [et_co2, inspired, breaths, spo2, pulse];
        let shown = |number: u8| match number {
            NONE => "0xFF".to_owned(),
            number => number.to_string(),
        };
        let names = ["away-co2-et", "away-co2-insp", "co2-resp-rate", "spo2", "pulse-rate-pleth"];
        let values = names.into_iter().zip(numbers.map(shown)).collect();
        Said { bytes: numerics(self.seconds, numbers, [co2_alarms, oximeter_alarms]), values }
    }
}

/// Code 1: time, five numbers, status, alarms, limits, the unit mmHg, extended status.
fn numerics(seconds: u32, numbers: [u8; 5], alarms: [u8; 2]) -> Vec<u8> {
    let mut payload = vec![1];
    payload.extend(seconds.to_be_bytes());
    payload.extend(numbers);
    payload.extend([0x80, 0, 0, 0]);
    payload.extend(alarms);
    payload.push(0);
    payload.extend([60, 20, 30, 5, 8, 100, 88, 130, 45]);
    payload.extend([1, 0]);
    frame(&payload)
}

fn identification(serial: &str) -> Vec<u8> {
    let text = format!("\u{4}V45.67 02/24/2008 B355{serial:0>6}  ");
    frame(text.as_bytes())
}

fn frame(payload: &[u8]) -> Vec<u8> {
    let mut plain = vec![u8::try_from(payload.len()).unwrap_or(0)];
    plain.extend_from_slice(payload);
    plain.push(plain.iter().fold(0, |sum, byte| sum ^ byte));
    let mut frame = vec![0x85];
    for byte in plain {
        match byte {
            0x80 => frame.extend([0x80, 0x00]),
            0x85 => frame.extend([0x80, 0x05]),
            other => frame.push(other),
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_the_ones_of_the_sheet() {
        assert_eq!(frame(&[1]), [0x85, 1, 1, 0]);
        assert_eq!(frame(&[4]), [0x85, 1, 4, 5]);
        assert_eq!(frame(&[6]), [0x85, 1, 6, 7]);
        let text = identification("987654");
        assert_eq!(text[3..33], *b"V45.67 02/24/2008 B355987654  ");
    }

    #[test]
    fn the_start_mark_stands_nowhere_else() {
        let (mut patient, mut random) = (Patient::new(), Random::new(1));
        for _ in 0..300 {
            let said = patient.next(&mut random);
            assert_eq!(said.bytes.iter().filter(|byte| **byte == 0x85).count(), 1);
        }
    }
}
