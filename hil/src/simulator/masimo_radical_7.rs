//! Masimo Radical-7, output "ASCII 1": a line a second of date, time and `key=value`, no checksum.
//!
//! ```text
//! 11/28/26 20:15:01 SN=0000700123 SPO2=097% BPM=069 PI=04.69% SPCO=---% SPMET=---% DESAT=--
//! PIDELTA=+-- PVI=--- ALARM=0000 EXC=000800
//! ```

use super::clock;
use super::random::{Random, Walk, decimal};
use super::scripted::{Said, Talker};

/// One line in so many with the sensor off, while the pulse is searched, without a sensor, with an
/// alarm, with a value that cannot be.
const SENSOR_OFF: u64 = 20;
const SEARCHING: u64 = 25;
const NO_SENSOR: u64 = 40;
const NO_VALUE: u64 = 30;

/// EXC bits.
const NO_SENSOR_BIT: u32 = 0x001;
const LOW_PERFUSION_BIT: u32 = 0x004;
const SEARCH_BIT: u32 = 0x008;
const OFF_BIT: u32 = 0x020;
const SET_BIT: u32 = 0x800;

pub struct Patient {
    spo2: Walk,
    pulse: Walk,
    perfusion: Walk,
}

impl Patient {
    pub const fn new() -> Self {
        Self {
            spo2: Walk::new(97, 84, 100, 1),
            pulse: Walk::new(69, 45, 150, 2),
            perfusion: Walk::new(469, 20, 1500, 15),
        }
    }
}

impl Talker for Patient {
    fn say(&mut self, random: &mut Random, serial: &str) -> Said {
        let spo2 = format!("{:03}", self.spo2.next(random));
        let pulse = format!("{:03}", self.pulse.next(random));
        let perfusion = self.perfusion.next(random);
        let shown = format!("{:0>5}", decimal(perfusion, 2));
        let measured = (spo2.clone(), pulse, shown, SET_BIT);
        let nothing = |bits| ("---".to_owned(), "---".to_owned(), "--.--".to_owned(), bits);
        let (spo2, pulse, shown, bits) = if random.once_in(SENSOR_OFF) {
            nothing(SET_BIT | OFF_BIT)
        } else if random.once_in(SEARCHING) {
            nothing(SET_BIT | SEARCH_BIT)
        } else if random.once_in(NO_SENSOR) {
            nothing(NO_SENSOR_BIT)
        } else if random.once_in(NO_VALUE) {
            ("000".to_owned(), "000".to_owned(), "00.00".to_owned(), SET_BIT)
        } else if perfusion < 100 {
            (measured.0, measured.1, measured.2, SET_BIT | LOW_PERFUSION_BIT)
        } else {
            measured
        };
        let low = spo2.as_str() < "088" && spo2 != "---" && spo2 != "000";
        let alarm = if low { "0001" } else { "0000" };
        let (date, time) = clock::date_and_time(clock::now_us());
        let line = format!(
            "{date} {time} SN={serial:0>10} SPO2={spo2}% BPM={pulse} PI={shown}% SPCO=---% \
             SPMET=---% DESAT=-- PIDELTA=+-- PVI=--- ALARM={alarm} EXC={bits:06X}\r\n"
        );
        let mut values =
            vec![("spo2", spo2), ("pulse-rate-pleth", pulse), ("perfusion-index", shown)];
        let more = [("SPCO", "---"), ("SPMET", "---"), ("DESAT", "--"), ("PIDELTA", "+--")];
        values.extend(more.map(|(name, value)| (name, value.to_owned())));
        values.push(("PVI", "---".to_owned()));
        Said { bytes: line.into_bytes(), values }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_one_of_the_sheet() {
        let said = Patient::new().say(&mut Random::new(1), "700123");
        let line = String::from_utf8(said.bytes).unwrap();
        let parts: Vec<&str> = line.trim_end().split(' ').collect();
        let keys: Vec<&str> =
            parts[2..].iter().map(|part| part.split('=').next().unwrap()).collect();
        assert_eq!(
            keys,
            ["SN", "SPO2", "BPM", "PI", "SPCO", "SPMET", "DESAT", "PIDELTA", "PVI", "ALARM", "EXC"]
        );
        assert_eq!(parts[2], "SN=0000700123");
        assert!(parts[3].len() == "SPO2=nnn%".len() && parts[5].len() == "PI=nn.nn%".len());
        assert_eq!((parts[0].len(), parts[1].len()), (8, 8));
    }
}
