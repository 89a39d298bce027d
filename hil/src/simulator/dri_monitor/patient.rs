//! What the monitor measures, and how it stands in sub-records. Offsets are those within the
//! sub-record of 278 bytes (facts/monitors.md 2.3 and its table of offsets).

use crate::simulator::random::{Random, Walk, decimal};

use super::wire::rate;

/// A group in so many is not active, a value in so many is a mark.
const INACTIVE: u64 = 25;
const MARKED: u64 = 40;
/// Marks: invalid, not updated, under range, over range, not calibrated, unlisted.
const MARKS: [i16; 6] = [-32767, -32766, -32764, -32763, -32762, -32700];

/// A cuff pressure is taken every so many seconds, and takes so many.
const CUFF_EVERY_S: u32 = 40;
const CUFF_TAKES_S: u32 = 8;

/// A name and the text of a value or mark, as they go into the send log.
pub type Shown = (&'static str, String);

/// Where a number stands, what it is called in the core, how many decimals it has.
struct Numeric(usize, &'static str, usize, Walk);

struct Group {
    class: usize,
    at: usize,
    /// Beside exists and active.
    status: u32,
    label: u16,
    numerics: Vec<Numeric>,
}

/// One measurement of the cuff: systolic, diastolic, mean, pulse.
#[derive(Clone, Debug)]
struct Cuff {
    time: u32,
    values: [u32; 4],
    /// Shown by a record, then dated by an auxiliary one, then shown again: it is certain.
    steps: u8,
    /// The last record showed it, and no measurement under way.
    is_shown: bool,
}

impl Cuff {
    fn shown(&self) -> Vec<Shown> {
        let [systolic, diastolic, mean, pulse] = self.values;
        vec![
            ("nibp-systolic", decimal(systolic, 2)),
            ("nibp-diastolic", decimal(diastolic, 2)),
            ("nibp-mean", decimal(mean, 2)),
            ("nibp.hr", decimal(pulse, 0)),
        ]
    }
}

pub struct Patient {
    groups: Vec<Group>,
    cuff_walks: [Walk; 4],
    cuff: Option<Cuff>,
    /// When the cuff began to be inflated.
    inflated: Option<u32>,
    next_cuff: u32,
    phase: u32,
}

impl Default for Patient {
    fn default() -> Self {
        let walk = Walk::new;
        let group =
            |class, at, status, label, numerics| Group { class, at, status, label, numerics };
        let ecg = vec![
            Numeric(10, "heart-rate", 0, walk(76, 40, 150, 2)),
            Numeric(12, "ecg.st1", 2, walk(60, 10, 150, 5)),
            Numeric(14, "ecg.st2", 2, walk(70, 10, 150, 5)),
            Numeric(16, "ecg.st3", 2, walk(80, 10, 150, 5)),
            Numeric(18, "tthor-resp-rate", 0, walk(15, 6, 40, 1)),
            Numeric(230, "ecg_extra.hr_ecg", 0, walk(76, 40, 150, 2)),
            Numeric(232, "ecg_extra.hr_max", 0, walk(90, 80, 160, 2)),
            Numeric(234, "ecg_extra.hr_min", 0, walk(60, 40, 70, 2)),
        ];
        let artery = vec![
            Numeric(26, "arterial-systolic", 2, walk(12000, 7000, 20000, 300)),
            Numeric(28, "arterial-diastolic", 2, walk(7000, 4000, 11000, 200)),
            Numeric(30, "arterial-mean", 2, walk(9000, 5000, 14000, 200)),
            Numeric(32, "bld-puls-rate-inv", 0, walk(76, 40, 150, 2)),
        ];
        let vein = vec![
            Numeric(40, "press-bld-ven-cent-sys", 2, walk(900, 200, 2000, 50)),
            Numeric(42, "press-bld-ven-cent-dia", 2, walk(500, 100, 1500, 50)),
            Numeric(44, "press-bld-ven-cent-mean", 2, walk(700, 100, 1800, 50)),
            Numeric(46, "bld-puls-rate-inv", 0, walk(76, 40, 150, 2)),
        ];
        let oximeter = vec![
            Numeric(128, "spo2", 2, walk(9700, 8500, 10000, 60)),
            Numeric(130, "pulse-rate-pleth", 0, walk(75, 40, 150, 2)),
            Numeric(132, "spo2.ir_amp", 2, walk(420, 100, 900, 20)),
            Numeric(134, "spo2.SvO2", 2, walk(7100, 6000, 8000, 30)),
        ];
        let gas = vec![
            Numeric(142, "conc-away-co2-et", 2, walk(520, 300, 800, 10)),
            Numeric(144, "conc-away-co2-insp", 2, walk(4, 0, 30, 1)),
            Numeric(146, "co2-resp-rate", 0, walk(14, 6, 40, 1)),
            Numeric(148, "co2.amb_press", 1, walk(7600, 7300, 7800, 3)),
        ];
        let spirometry = vec![
            Numeric(188, "away-resp-rate", 0, walk(14, 6, 40, 1)),
            Numeric(190, "press-away-insp-peak", 2, walk(2150, 1200, 3500, 40)),
            Numeric(192, "press-away-end-exp-pos", 2, walk(500, 0, 1200, 20)),
            Numeric(194, "press-resp-plat", 2, walk(1800, 1000, 3000, 40)),
            Numeric(196, "flow_vol.tv_insp", 1, walk(4600, 3000, 7000, 90)),
            Numeric(198, "flow_vol.tv_exp", 1, walk(4550, 3000, 7000, 90)),
            Numeric(200, "compl-lung", 2, walk(3500, 1500, 6000, 60)),
            Numeric(202, "vol-minute-away-exp", 2, walk(640, 300, 1200, 20)),
        ];
        let core = vec![Numeric(96, "temp-core", 2, walk(3710, 3500, 4050, 3))];
        let arrhythmia = vec![
            Numeric(10, "arrh_ecg.hr", 0, walk(76, 40, 150, 2)),
            Numeric(12, "ecg-time-pd-rr-gl", 0, walk(790, 400, 1500, 20)),
            Numeric(14, "ecg-v-p-c-rate", 0, walk(1, 0, 12, 1)),
        ];
        let bis = vec![
            Numeric(106, "bis.bis", 0, walk(45, 20, 90, 2)),
            Numeric(108, "bis.sqi", 0, walk(90, 40, 100, 2)),
            Numeric(110, "bis.emg", 0, walk(30, 20, 60, 1)),
            Numeric(112, "bis.sr", 0, walk(1, 0, 20, 1)),
        ];
        let perfusion = vec![Numeric(136, "press-cereb-perf", 2, walk(6500, 4000, 9000, 80))];
        Self {
            groups: vec![
                // The source of the rate is the ECG: bits 3 to 6 of the status are 1.
                group(0, 4, 1 << 3, 0, ecg),
                group(0, 20, 0, 1, artery),
                group(0, 34, 0, 2, vein),
                group(0, 90, 0, 15, core),
                group(0, 122, 0, 0, oximeter),
                group(0, 136, 0, 1, gas),
                group(0, 182, 0, 0, spirometry),
                group(1, 4, 1 << 3, 0, arrhythmia),
                group(2, 100, 0, 0, bis),
                group(3, 130, 0, 0, perfusion),
            ],
            cuff_walks: [
                walk(11800, 7000, 20000, 600),
                walk(6600, 4000, 11000, 500),
                walk(8300, 5000, 14000, 500),
                walk(75, 40, 150, 4),
            ],
            cuff: None,
            inflated: None,
            next_cuff: 0,
            phase: 0,
        }
    }
}

impl Patient {
    /// The sub-records of displayed values, basic and the classes that are asked for.
    pub fn displayed(
        &mut self,
        time: u32,
        classes: u32,
        random: &mut Random,
    ) -> (Vec<Vec<u8>>, Vec<Shown>) {
        self.take_cuff(time, random);
        let mut parts: Vec<(usize, Vec<u8>)> = Vec::new();
        for class in (0..4usize).filter(|class| *class == 0 || classes & (1 << class) != 0) {
            let mut part = vec![0; 278];
            put(&mut part, 0, &time.to_le_bytes());
            put(&mut part, 277, &[u8::try_from(class).unwrap_or(0)]);
            parts.push((class, part));
        }
        let mut shown = Vec::new();
        for group in &mut self.groups {
            let Some((_, part)) = parts.iter_mut().find(|(class, _)| *class == group.class) else {
                continue;
            };
            let active = !random.once_in(INACTIVE);
            let status = group.status | if active { 3 } else { 1 };
            put(part, group.at, &status.to_le_bytes());
            put(part, group.at + 4, &group.label.to_le_bytes());
            for Numeric(at, name, places, walk) in &mut group.numerics {
                let number = walk.next(random);
                let raw = match random.once_in(MARKED) {
                    true => MARKS[usize::try_from(random.below(6)).unwrap_or(0)],
                    false => i16::try_from(number).unwrap_or(0),
                };
                put(part, *at, &raw.to_le_bytes());
                let is_value = active && raw > -32001;
                shown.push((
                    *name,
                    if is_value { decimal(number, *places) } else { raw.to_string() },
                ));
            }
        }
        // The arrhythmia word stands beside its group's numbers.
        if let Some((_, part)) = parts.iter_mut().find(|(class, _)| *class == 1) {
            put(part, 16, &0x0000_0020u32.to_le_bytes());
            shown.push(("arrh_ecg.arrh_status_bf", "0x00000020".to_owned()));
        }
        if let Some((_, part)) = parts.first_mut() {
            self.put_cuff(part, time);
        }
        (parts.into_iter().map(|(_, part)| part).collect(), shown)
    }

    fn take_cuff(&mut self, time: u32, random: &mut Random) {
        match self.inflated {
            Some(begun) if time >= begun + CUFF_TAKES_S => {
                let values = self.cuff_walks.each_mut().map(|walk| walk.next(random));
                self.cuff =
                    Some(Cuff { time: time.saturating_sub(1), values, steps: 0, is_shown: false });
                self.inflated = None;
                self.next_cuff = time + CUFF_EVERY_S;
            }
            None if time >= self.next_cuff => self.inflated = Some(time),
            Some(_) | None => {}
        }
    }

    fn put_cuff(&mut self, part: &mut [u8], time: u32) {
        put(part, 76, &3u32.to_le_bytes());
        let is_old = self.cuff.as_ref().is_some_and(|cuff| time > cuff.time + 60);
        let label = (u16::from(is_old) << 8) | (u16::from(self.inflated.is_some()) << 5);
        put(part, 80, &label.to_le_bytes());
        for index in 0..4 {
            let raw = self.cuff.as_ref().and_then(|cuff| i16::try_from(cuff.values[index]).ok());
            put(part, 82 + 2 * index, &raw.unwrap_or(-32767).to_le_bytes());
        }
    }

    /// A record of displayed values went out whole: the cuff pressure, if that made it certain.
    pub fn certain(&mut self, _time: u32) -> Vec<Shown> {
        let Some(cuff) = self.cuff.as_mut() else { return Vec::new() };
        cuff.is_shown = self.inflated.is_none();
        if !cuff.is_shown {
            return Vec::new();
        }
        match cuff.steps {
            0 => cuff.steps = 1,
            2 => {
                cuff.steps = 3;
                return cuff.shown();
            }
            _ => {}
        }
        Vec::new()
    }

    /// Nothing more is sent: a cuff pressure that was shown and whose time was not is told without.
    pub fn ended(&mut self) -> Vec<Shown> {
        match self.cuff.take() {
            Some(cuff) if cuff.is_shown && cuff.steps < 3 => cuff.shown(),
            Some(_) | None => Vec::new(),
        }
    }

    /// Switched off and on: nothing has been shown yet of what is still remembered.
    pub fn switched_on(&mut self) {
        self.cuff = None;
        self.inflated = None;
    }

    /// The auxiliary sub-record: the time of the latest cuff pressure, 0 if there is none.
    pub fn auxiliary(&mut self, _time: u32) -> Vec<u8> {
        let mut part = vec![0; 114];
        if let Some(cuff) = self.cuff.as_mut() {
            put(&mut part, 0, &cuff.time.to_le_bytes());
            if cuff.steps == 1 {
                cuff.steps = 2;
            }
        }
        put(&mut part, 14, &183i16.to_le_bytes());
        part
    }

    /// The alarm sub-record: none, one or two.
    pub fn alarms(&mut self, random: &mut Random) -> (Vec<u8>, Vec<Shown>) {
        let mut part = vec![0; 510];
        put(&mut part, 2, &[1]);
        let mut shown =
            vec![("alarm.sound_on_off", "1".to_owned()), ("alarm.silence_info", "0".to_owned())];
        let texts = [("SpO2 LOW", 3u8), ("HR HIGH", 2), ("CHECK SENSOR", 1)];
        let first = usize::try_from(random.below(4)).unwrap_or(0);
        for (index, (text, colour)) in texts.iter().skip(first).take(2).enumerate() {
            let at = 10 + 98 * index;
            put(&mut part, at, text.as_bytes());
            put(&mut part, at + 82, &[*colour]);
            shown.push(("alarm.text", (*text).to_owned()));
            shown.push(("alarm.color", colour.to_string()));
        }
        (part, shown)
    }

    /// A wave of a kind: a tooth for each half second, in so many parts of a second.
    pub fn wave(&mut self, kind: u8, parts_of_second: u32) -> Vec<u8> {
        let count = rate(kind) / parts_of_second;
        let mut part = u16::try_from(count).unwrap_or(0).to_le_bytes().to_vec();
        part.extend([0; 4]);
        for index in 0..count {
            let tooth = (index * 200 / count.max(1) + self.phase) % 200;
            part.extend(i16::try_from(tooth).unwrap_or(0).to_le_bytes());
        }
        self.phase = (self.phase + 1) % 200;
        part
    }
}

fn put(part: &mut [u8], at: usize, bytes: &[u8]) {
    part.iter_mut().skip(at).zip(bytes).for_each(|(place, byte)| *place = *byte);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cuff_pressure_is_certain_once_shown_dated_and_shown_again() {
        let (mut patient, mut random) = (Patient::default(), Random::new(3));
        let mut certain = Vec::new();
        for second in 0..200u32 {
            let time = 1_700_000_000 + second;
            if second % 5 == 0 {
                patient.displayed(time, 0, &mut random);
                certain.extend(patient.certain(time));
            } else if second % 5 == 1 {
                patient.auxiliary(time);
            }
        }
        let systolic = certain.iter().filter(|(name, _)| *name == "nibp-systolic").count();
        assert_eq!((systolic, certain.len()), (4, 16));
    }

    #[test]
    fn classes_come_as_they_are_asked_for() {
        let (mut patient, mut random) = (Patient::default(), Random::new(3));
        let (parts, shown) = patient.displayed(1_700_000_000, 0b1110, &mut random);
        assert_eq!(parts.iter().map(|part| part[277]).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!(parts.iter().all(|part| part.len() == 278));
        assert!(shown.iter().any(|(name, _)| *name == "press-cereb-perf"));
        let (parts, shown) = patient.displayed(1_700_000_001, 0, &mut random);
        assert_eq!(parts.len(), 1);
        assert!(!shown.iter().any(|(name, _)| *name == "press-cereb-perf"));
    }
}
