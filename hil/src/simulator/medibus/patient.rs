//! What the two simulated ventilators measure, are set to and show, code by code.
//!
//! Each value stands under the name that the core will know it by: the parameter of the device
//! file, or command and code (`24:07`) where the file knows none. A listed parameter of which no
//! code is in the reply is absent, and logged with an empty mark.

use super::super::random::{Random, Walk, decimal};
use super::wire;

/// Which device is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Variant {
    /// MEDIBUS 4.03.
    #[value(name = "evita-4")]
    Evita4,
    /// MEDIBUS.X.
    #[value(name = "infinity-v500")]
    InfinityV500,
}

impl Variant {
    /// What the device says of itself.
    pub const fn identification(self) -> &'static str {
        match self {
            Self::Evita4 => "8240'Evita 4'04.20:03.00",
            Self::InfinityV500 => "5000'Infinity V500'02.20:06.00",
        }
    }

    /// Whether it knows the question.
    pub const fn answers(self, code: u8) -> bool {
        match self {
            // Code page 3 is of MEDIBUS.X.
            Self::Evita4 => matches!(code, 0x24..=0x2e),
            Self::InfinityV500 => matches!(code, 0x23..=0x2e),
        }
    }
}

/// A code with the name that its value has in the core.
type Named = (&'static str, &'static str);

/// One thing that is measured: code, name, how it wanders, its decimals.
struct Measured {
    named: Named,
    walk: Walk,
    places: usize,
}

const fn measured(code: &'static str, name: &'static str, walk: Walk, places: usize) -> Measured {
    Measured { named: (code, name), walk, places }
}

/// Parameters that the device file lists and that this device never sends.
const EVITA_4_NEVER: &[&str] = &[
    "flow-co2-prod-resp",
    "press-away-end-exp-pos-intrinsic",
    "vent-resp-rate",
    "vent-vol-leak",
    "time-pd-apnea",
    "vent-conc-away-o2-delta",
    "co2-resp-rate",
    "conc-away-co2-insp",
    "away-co2-et",
    "away-co2-insp",
    "conc-away-o2-et",
];
const V500_NEVER: &[&str] = &[
    "flow-co2-prod-resp",
    "vent-press-occl",
    "press-away-end-exp-pos-intrinsic",
    "vent-vol-lung-trapd",
    "vent-vol-away-deadsp",
    "ratio-away-deadsp-tidal",
    "conc-away-co2-et",
];
const EVITA_4_SETTINGS: &[(&str, &str, &str)] = &[
    ("01", "vent-fio2-setting", "40"),
    ("04", "vent-vol-tidal-insp-setting", "0.50"),
    ("05", "vent-time-insp-setting", "1.7"),
    ("09", "29:09", "12"),
    ("0B", "vent-peep-setting", "5"),
    ("13", "vent-press-max-setting", "40"),
    ("2E", "29:2E", "0.2"),
];
const EVITA_4_UNSET: &[&str] = &[
    "vent-press-low-setting",
    "vent-press-high-setting",
    "vent-time-pd-exp-tlow-setting",
    "vent-time-pd-insp-thigh-setting",
    "vent-time-apnea-setting",
    "vent-trigger-flow-setting",
    "vent-press-insp-setting",
];
const V500_SETTINGS: &[(&str, &str, &str)] = &[
    ("01", "vent-fio2-setting", "40"),
    ("04", "29:04", "0.50"),
    ("05", "vent-time-insp-setting", "1.70"),
    ("09", "vent-resp-rate-setting", "12.0"),
    ("0B", "vent-peep-setting", "5.0"),
    ("12", "vent-press-support-setting", "10"),
    ("2E", "vent-slope-setting", "0.20"),
    ("40", "vent-vol-tidal-insp-setting", "500.0"),
];
const V500_UNSET: &[&str] = &[
    "vent-flow-insp-setting",
    "vent-time-exp-setting",
    "vent-press-low-setting",
    "vent-press-high-setting",
    "vent-time-pd-exp-tlow-setting",
    "vent-time-pd-insp-thigh-setting",
    "vent-time-apnea-setting",
    "vent-press-max-setting",
    "vent-trigger-flow-setting",
    "vent-resp-rate-apnea-setting",
    "vent-press-insp-setting",
];

/// One answer's data and the values in it, as (name, value).
pub struct Content {
    pub data: Vec<u8>,
    pub values: Vec<(String, String)>,
}

/// The patient and the ventilator's state.
pub struct Patient {
    variant: Variant,
    measured: Vec<Measured>,
    volume: Walk,
    minute_volume: Walk,
    oximeter: (Walk, Walk),
    /// The alarm for a low minute volume is active.
    alarm: bool,
    /// What the last answers about alarms said, by page, since communication was initialised.
    told: [Option<bool>; 4],
}

impl Patient {
    pub fn new(variant: Variant) -> Self {
        let peep = |name| measured("78", name, Walk::new(5, 3, 10, 1), 0);
        let common = vec![
            measured("D6", "respiration-rate", Walk::new(14, 6, 40, 1), 0),
            measured("73", "vent-airway-pressure-mean", Walk::new(11, 6, 20, 1), 0),
            measured("74", "vent-airway-pressure-plateau", Walk::new(18, 10, 35, 1), 0),
            peep("vent-press-away-end-exp-pos"),
            measured("7D", "press-away-insp-peak", Walk::new(22, 12, 45, 1), 0),
            measured("71", "press-away-min", Walk::new(4, 1, 9, 1), 0),
            measured("B5", "vent-respiration-rate-spontaneous", Walk::new(3, 0, 20, 1), 0),
            measured("F0", "conc-away-o2-insp", Walk::new(40, 21, 100, 1), 0),
            measured("08", "24:08", Walk::new(95, 40, 300, 5), 1),
        ];
        let own = match variant {
            Variant::Evita4 => vec![
                measured("06", "24:06", Walk::new(452, 200, 900, 9), 1),
                measured("DB", "conc-away-co2-et", Walk::new(51, 30, 80, 2), 1),
                measured("C1", "temp-away", Walk::new(35, 30, 39, 1), 0),
            ],
            Variant::InfinityV500 => vec![
                measured("06", "vent-vol-minute-away-insp", Walk::new(84, 40, 99, 2), 1),
                measured("03", "vent-vol-minute-exp", Walk::new(81, 40, 99, 2), 1),
                measured("07", "24:07", Walk::new(452, 200, 900, 9), 1),
                measured("B3", "vent-vol-leak", Walk::new(3, 0, 30, 1), 0),
                measured("7B", "vent-resp-rate", Walk::new(12, 6, 30, 1), 0),
                measured("E3", "away-co2-et", Walk::new(51, 30, 80, 2), 1),
            ],
        };
        Self {
            variant,
            measured: common.into_iter().chain(own).collect(),
            volume: Walk::new(480, 250, 1300, 60),
            minute_volume: Walk::new(72, 4, 140, 9),
            oximeter: (Walk::new(97, 85, 100, 1), Walk::new(74, 45, 140, 2)),
            alarm: false,
            told: [None; 4],
        }
    }

    /// Communication was initialised: what was told before counts no more.
    pub fn forgets(&mut self) {
        self.told = [None; 4];
    }

    /// The answer to one question of the poll loop.
    pub fn content(&mut self, code: u8, time: &str, random: &mut Random) -> Content {
        match code {
            0x24 => self.data(random),
            0x2b => self.page_2(),
            0x29 => self.settings(),
            0x25 => plain(&[("B9", "25:B9", "3.0"), ("D6", "25:D6", "6")]),
            0x26 => plain(&[("B9", "26:B9", "14"), ("D6", "26:D6", "35")]),
            0x27 => self.alarms(random),
            0x2a => self.texts(),
            0x28 => Content {
                data: time.as_bytes().to_vec(),
                values: vec![("attr-time-abs".to_owned(), time.to_owned())],
            },
            // No limits and no alarms on the other pages.
            _ => Content { data: Vec::new(), values: Vec::new() },
        }
    }

    fn data(&mut self, random: &mut Random) -> Content {
        let mut content = Content { data: Vec::new(), values: Vec::new() };
        let mut put = |code: &str, name: &str, value: String| {
            content.data.extend(wire::entry(code, &value, 4));
            content.values.push((name.to_owned(), value));
        };
        for one in &mut self.measured {
            let value = decimal(one.walk.next(random), one.places);
            put(one.named.0, one.named.1, value);
        }
        // Litres from one litre on, millilitres below; MEDIBUS.X has one code for each.
        let volume = self.volume.next(random);
        match self.variant {
            Variant::Evita4 if volume >= 1000 => {
                put("82", "vent-vol-tidal", decimal(volume / 10, 2));
            }
            Variant::Evita4 | Variant::InfinityV500 => {
                put("88", "vent-vol-tidal", volume.to_string());
            }
        }
        let minute_volume = self.minute_volume.next(random);
        match self.variant {
            Variant::Evita4 if minute_volume < 10 => {
                put("B8", "vent-vol-minute-away", (minute_volume * 100).to_string());
            }
            Variant::Evita4 | Variant::InfinityV500 => {
                put("B9", "vent-vol-minute-away", decimal(minute_volume, 1));
            }
        }
        self.alarm = minute_volume < 30;
        let never = match self.variant {
            Variant::Evita4 => {
                let (saturation, pulse) = &mut self.oximeter;
                // The finger is out now and then: the codes are not sent.
                if random.once_in(15) {
                    content.values.push(("spo2".to_owned(), String::new()));
                    content.values.push(("pulse-rate-pleth".to_owned(), String::new()));
                } else {
                    let saturation = saturation.next(random).to_string();
                    content.data.extend(wire::entry("EB", &saturation, 4));
                    content.values.push(("spo2".to_owned(), saturation));
                    let pulse = pulse.next(random).to_string();
                    content.data.extend(wire::entry("E1", &pulse, 4));
                    content.values.push(("pulse-rate-pleth".to_owned(), pulse));
                }
                EVITA_4_NEVER
            }
            Variant::InfinityV500 => V500_NEVER,
        };
        content.values.extend(absent(never));
        content
    }

    fn page_2(&mut self) -> Content {
        match self.variant {
            Variant::Evita4 => plain(&[("21", "2B:21", "478"), ("22", "2B:22", "490")]),
            Variant::InfinityV500 => plain(&[("21", "2B:21", "478"), ("36", "2B:36", "6.8")]),
        }
    }

    fn settings(&self) -> Content {
        let (set, unset) = match self.variant {
            Variant::Evita4 => (EVITA_4_SETTINGS, EVITA_4_UNSET),
            Variant::InfinityV500 => (V500_SETTINGS, V500_UNSET),
        };
        let mut content = Content { data: Vec::new(), values: Vec::new() };
        for (code, name, value) in set {
            content.data.extend(wire::entry(code, value, 5));
            content.values.push(((*name).to_owned(), (*value).to_owned()));
        }
        content.values.extend(absent(unset));
        content
    }

    fn texts(&self) -> Content {
        let (mode, patient) = match self.variant {
            Variant::Evita4 => (("06", "SIMV"), ("20", "Adults")),
            Variant::InfinityV500 => (("0E", "PC-BIPAP"), ("20", "Adult")),
        };
        Content {
            data: [wire::text(mode.0, mode.1), wire::text(patient.0, patient.1)].concat(),
            values: vec![
                ("vent-mode".to_owned(), mode.1.to_owned()),
                ("2A:20".to_owned(), patient.1.to_owned()),
            ],
        }
    }

    /// The minute volume is low, or it is not; an answer that came through is remembered.
    fn alarms(&mut self, random: &mut Random) -> Content {
        let active = self.alarm || random.once_in(20);
        let phase = match (self.told[1], active) {
            (None, true) => Some("present"),
            (Some(false), true) => Some("start"),
            (Some(true), false) => Some("end"),
            (None | Some(false), false) | (Some(true), true) => None,
        };
        self.told[1] = Some(active);
        let phrase = "MIN VOL $&";
        let data = if active { wire::alarm(20, "19", phrase) } else { Vec::new() };
        let event = |phase: &str| {
            vec![
                ("evt-alarm".to_owned(), phrase.to_owned()),
                ("attr-event-phase".to_owned(), phase.to_owned()),
                ("attr-alert-text".to_owned(), phrase.to_owned()),
            ]
        };
        Content { data, values: phase.map(event).unwrap_or_default() }
    }
}

fn plain(entries: &[(&str, &str, &str)]) -> Content {
    let mut content = Content { data: Vec::new(), values: Vec::new() };
    for (code, name, value) in entries {
        content.data.extend(wire::entry(code, value, 4));
        content.values.push(((*name).to_owned(), (*value).to_owned()));
    }
    content
}

fn absent(names: &[&str]) -> impl Iterator<Item = (String, String)> {
    names.iter().map(|name| ((*name).to_owned(), String::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_fits_its_four_characters_and_is_named_once() {
        for variant in [Variant::Evita4, Variant::InfinityV500] {
            let (mut patient, mut random) = (Patient::new(variant), Random::new(3));
            for _ in 0..2000 {
                let content = patient.content(0x24, "", &mut random);
                assert_eq!(content.data.len() % 6, 0);
                let names: std::collections::BTreeSet<&str> =
                    content.values.iter().map(|(name, _)| name.as_str()).collect();
                assert_eq!(names.len(), content.values.len(), "{variant:?}");
            }
            assert_eq!(patient.content(0x29, "", &mut random).data.len() % 7, 0);
        }
    }

    #[test]
    fn an_alarm_begins_and_ends_and_is_present_after_a_new_beginning() {
        let (mut patient, mut random) = (Patient::new(Variant::Evita4), Random::new(5));
        let mut phases = Vec::new();
        for round in 0..400 {
            if round % 50 == 0 {
                patient.forgets();
            }
            patient.content(0x24, "", &mut random);
            let content = patient.content(0x27, "", &mut random);
            phases.extend(content.values.into_iter().filter(|(name, _)| name.ends_with("phase")));
        }
        for phase in ["present", "start", "end"] {
            assert!(phases.iter().any(|(_, value)| value == phase), "{phase}");
        }
    }
}
