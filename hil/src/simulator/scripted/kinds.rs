//! What each device that only talks says.

use super::{Kind, Said, Talker};
use crate::simulator::clock;
use crate::simulator::random::{Random, Walk, decimal};

/// One message in so many without a value, and with a mark.
const NO_VALUE: u64 = 20;
const MARK: u64 = 15;
/// A header in so many rows.
const HEADER: u64 = 30;

/// The patient on a device.
pub struct Patient {
    kind: Kind,
    spo2: Walk,
    pulse: Walk,
    perfusion: Walk,
    amplitude: Walk,
    systolic: Walk,
    said: u64,
}

impl Patient {
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            spo2: Walk::new(97, 84, 100, 1),
            pulse: Walk::new(72, 45, 150, 2),
            perfusion: Walk::new(469, 20, 1500, 15),
            amplitude: Walk::new(50, 5, 200, 5),
            systolic: Walk::new(111, 80, 190, 3),
            said: 0,
        }
    }
}

impl Talker for Patient {
    fn say(&mut self, random: &mut Random, _serial: &str) -> Said {
        self.said += 1;
        let (spo2, pulse) = (self.spo2.next(random), self.pulse.next(random));
        match self.kind {
            Kind::Rad8 => self.rad_8(random, spo2, pulse),
            Kind::N395 | Kind::N595 => self.nellcor(random, spo2, pulse),
            Kind::NoninAscii => nonin_ascii(random, spo2, pulse),
            Kind::Nonin713 => nonin_7_13(random, spo2, pulse),
            Kind::Ivy450c => {
                let systolic = self.systolic.next(random);
                ivy(random, spo2, pulse, systolic)
            }
        }
    }

    fn greeting(&self) -> Vec<u8> {
        match self.kind {
            Kind::N395 | Kind::N595 => header(self.kind),
            Kind::Rad8 | Kind::NoninAscii | Kind::Nonin713 | Kind::Ivy450c => Vec::new(),
        }
    }
}

impl Patient {
    fn rad_8(&mut self, random: &mut Random, spo2: u32, pulse: u32) -> Said {
        let perfusion = format!("{:0>5}", decimal(self.perfusion.next(random), 2));
        let measured = (format!("{spo2:03}"), format!("{pulse:03}"), perfusion, "800:SET");
        let nothing =
            |exceptions| ("000".to_owned(), "000".to_owned(), "00.00".to_owned(), exceptions);
        let (spo2, pulse, perfusion, exceptions) = if random.once_in(NO_VALUE) {
            nothing("820:OffPat,SET")
        } else if random.once_in(NO_VALUE) {
            nothing("828:Search,OffPat,SET")
        } else if random.once_in(NO_VALUE) {
            nothing("800:SET")
        } else if random.once_in(MARK) {
            (measured.0, measured.1, measured.2, "C00:LowSigIQ,SET")
        } else {
            measured
        };
        let (date, time) = clock::date_and_time(clock::now_us());
        let line =
            format!("{date} {time} SpO2={spo2} PR={pulse} PI={perfusion} EXC={exceptions}\r\n");
        let values =
            vec![("spo2", spo2), ("pulse-rate-pleth", pulse), ("perfusion-index", perfusion)];
        Said { bytes: line.into_bytes(), values }
    }

    fn nellcor(&mut self, random: &mut Random, spo2: u32, pulse: u32) -> Said {
        let amplitude = self.amplitude.next(random).to_string();
        let (spo2, pulse) = (spo2.to_string(), pulse.to_string());
        let none = || "---".to_owned();
        let (shown, values, words) = if random.once_in(NO_VALUE) {
            ([none(), none(), none()], [none(), none(), none()], "SO")
        } else if random.once_in(MARK) {
            let shown = [format!("{spo2}*"), pulse.clone(), amplitude.clone()];
            (shown, [spo2, pulse, amplitude], "SL AS")
        } else {
            let shown = [spo2, pulse, amplitude];
            (shown.clone(), shown, "")
        };
        let time = clock::time_of_day(clock::now_us());
        let [first, second, third] = &shown;
        let row = format!("28-NOV-26 {time}   {first:<5} {second:<5} {third:<5} {words}\r\n");
        let head = if self.said.is_multiple_of(HEADER) { header(self.kind) } else { Vec::new() };
        let names = ["spo2", "pulse-rate-pleth", "PA"];
        let values = names.into_iter().zip(values).collect();
        Said { bytes: [head, row.into_bytes()].concat(), values }
    }
}

fn header(kind: Kind) -> Vec<u8> {
    let (name, second) = match kind {
        Kind::N595 => ("N-595", "   ADULT 0SAT-S  SPO2 RESP MODE: NORMAL\r\n"),
        Kind::Rad8 | Kind::N395 | Kind::NoninAscii | Kind::Nonin713 | Kind::Ivy450c => {
            ("N-395", "")
        }
    };
    format!(
        "{name}     VERSION 2.0.0.0    CRC:1F2E  SpO2 Limit: 70-100%  PR Limit: 60-160BPM\r\n\
         {second}TIME                %SpO2  BPM   PA   Status\r\n"
    )
    .into_bytes()
}

fn nonin_ascii(random: &mut Random, spo2: u32, pulse: u32) -> Said {
    let (spo2, pulse) = if random.once_in(NO_VALUE) {
        ("---".to_owned(), "---".to_owned())
    } else {
        (format!("{spo2:03}"), format!("{pulse:03}"))
    };
    let mark = if random.once_in(MARK) { "*" } else { "" };
    let line = format!("SPO2={spo2} HR={pulse}{mark}\r\n");
    Said { bytes: line.into_bytes(), values: vec![("spo2", spo2), ("pulse-rate-pleth", pulse)] }
}

fn nonin_7_13(random: &mut Random, spo2: u32, pulse: u32) -> Said {
    let (spo2, pulse, status) =
        if random.once_in(NO_VALUE) { (127, 511, 0x08) } else { (spo2, pulse, 0x02) };
    let byte = |number: u32| u8::try_from(number).unwrap_or(0x7f);
    let mut bytes = Vec::with_capacity(125);
    for frame in 1..=25u8 {
        let number = match frame {
            1 | 20 => byte(pulse / 128),
            2 | 21 => byte(pulse % 128),
            3 | 9 | 10 => byte(spo2),
            4 => 14,
            _ => 0,
        };
        let sample = u8::try_from(random.below(128)).unwrap_or(0);
        let head = [0x80 | status | u8::from(frame == 1), sample, 0x3c, number];
        bytes.extend(head);
        bytes.push(head.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
    }
    let values = vec![("spo2", spo2.to_string()), ("pulse-rate-pleth", pulse.to_string())];
    Said { bytes, values }
}

fn ivy(random: &mut Random, spo2: u32, pulse: u32, systolic: u32) -> Said {
    let (spo2, pulse_rate) = if random.once_in(NO_VALUE) {
        (String::new(), String::new())
    } else {
        (spo2.to_string(), pulse.to_string())
    };
    let heart = pulse.to_string();
    let (diastolic, mean) = (systolic * 2 / 3, systolic * 4 / 5);
    let lines = format!(
        "HR=1;{heart};ECG-II-DIAG;\rRR=1;15;APNEA: 20 SEC;\rETCO2=1;;;\r\
         SPO2=1;{spo2};PR={pulse_rate:<3};\rNIBP=4;121;75;92;80;;\r\
         P1=3;{systolic};{diastolic};{mean};;\rP2=3;;;;NO TRANSDUCER;\rT1=1;;;\rT2=1;;;\r"
    );
    let wave = (0..400).map(|_| u8::try_from(random.below(0xfe)).unwrap_or(0));
    let bytes = [b"\xffANSAR-B ".to_vec(), wave.collect(), lines.into_bytes(), vec![0xfe]].concat();
    let none = String::new;
    let values = vec![
        ("heart-rate", heart),
        ("respiration-rate", "15".to_owned()),
        ("ETCO2", none()),
        ("spo2", spo2),
        ("pulse-rate-pleth", pulse_rate),
        ("nibp-systolic", "121".to_owned()),
        ("nibp-diastolic", "75".to_owned()),
        ("nibp-mean", "92".to_owned()),
        ("puls-rate-non-inv", "80".to_owned()),
        ("press-bld-sys", systolic.to_string()),
        ("press-bld-dia", diastolic.to_string()),
        ("press-bld-mean", mean.to_string()),
        ("press-bld-sys", none()),
        ("press-bld-dia", none()),
        ("press-bld-mean", none()),
        ("T1", none()),
        ("T2", none()),
    ];
    Said { bytes, values }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: Kind, times: usize) -> Vec<Said> {
        let (mut patient, mut random) = (Patient::new(kind), Random::new(1));
        (0..times).map(|_| patient.say(&mut random, "1")).collect()
    }

    #[test]
    fn nonin_frames_have_their_marks_and_sums() {
        for said in said(Kind::Nonin713, 30) {
            assert_eq!(said.bytes.len(), 125);
            for (index, frame) in said.bytes.chunks(5).enumerate() {
                assert_eq!(frame[0] & 0x81, if index == 0 { 0x81 } else { 0x80 });
                let sum: u32 = frame[..4].iter().map(|byte| u32::from(*byte)).sum();
                assert_eq!(u32::from(frame[4]), sum % 256);
            }
        }
    }

    #[test]
    fn ivy_records_end_once_and_lines_name_their_values() {
        for said in said(Kind::Ivy450c, 30) {
            assert_eq!(said.bytes.iter().filter(|byte| **byte >= 0xfe).count(), 2);
            assert_eq!(&said.bytes[..9], b"\xffANSAR-B ");
            assert_eq!(said.bytes[409..412], *b"HR=");
        }
    }

    #[test]
    fn lines_have_the_forms_of_the_sheet() {
        let text = |kind| -> Vec<String> {
            said(kind, 60).into_iter().map(|one| String::from_utf8(one.bytes).unwrap()).collect()
        };
        assert!(text(Kind::Rad8).iter().all(|line| line.contains(" EXC=") && line.len() > 50));
        assert!(text(Kind::NoninAscii).iter().all(|line| line.starts_with("SPO2=")));
        let rows = text(Kind::N595);
        assert!(rows.iter().any(|row| row.contains("VERSION 2.0.0.0")));
        assert!(rows.iter().any(|row| row.contains("---")));
    }
}
