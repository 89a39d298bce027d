//! What the monitor measures and shows, and what a gateway must come to say of it: exactly the
//! digits on the screen, or the mark of absence as it stands on the wire.

use super::messages::{attribute, list, object, string, words};
use crate::simulator::random::{Random, Walk, decimal};

/// One push in so many has the oximeter's finger out.
const FINGER_OUT: u64 = 15;
/// One push in so many has a line that is being calibrated.
const CALIBRATING: u64 = 20;
/// A cuff pressure is taken once in so many pushes, and takes so many.
const CUFF_EVERY: u64 = 12;
const CUFF_TAKES: u64 = 3;
/// An alarm begins and ends once in so many pushes.
const ALARM_EVERY: u64 = 9;

mod state {
    pub const INVALID: u16 = 0x8000;
    pub const UNAVAILABLE: u16 = 0x2000;
    pub const CALIBRATING: u16 = 0x1000;
    pub const DEMO: u16 = 0x0400;
    pub const MEASURING: u16 = 0x0020;
}

const PERCENT: u16 = 0x0220;
const BEATS: u16 = 0x0aa0;
const BREATHS: u16 = 0x0ae0;
const MMHG: u16 = 0x0f20;
const CELSIUS: u16 = 0x17a0;
const NUMBER: u16 = 0x0200;

/// Values by code, as a gateway has to give them.
pub type Readings = Vec<(String, String)>;

/// A measured figure.
struct Numeric {
    /// Its place in the list of objects; the handle is made of it.
    index: u16,
    code: u16,
    unit: u16,
    /// Decimals on the screen.
    places: u8,
    walk: Walk,
}

/// Everything that hangs on the patient.
pub struct Patient {
    numerics: Vec<Numeric>,
    arterial: [Walk; 3],
    cuff: [Walk; 3],
    /// What the cuff gave last.
    cuff_values: Option<[u32; 3]>,
    pushes: u64,
    alarm_is_on: bool,
    alarm_was_on: bool,
    is_demo: bool,
}

/// What the monitor shows in one push.
pub struct Shown {
    pub objects: Vec<Vec<u8>>,
    pub readings: Readings,
}

impl Patient {
    pub fn new(is_demo: bool) -> Self {
        let numeric = |index, code, unit, places, walk| Numeric { index, code, unit, places, walk };
        Self {
            numerics: vec![
                numeric(1, 0x4182, BEATS, 0, Walk::new(74, 40, 150, 2)),
                numeric(2, 0x4bb8, PERCENT, 0, Walk::new(97, 85, 100, 1)),
                numeric(3, 0x4822, BEATS, 0, Walk::new(74, 40, 150, 2)),
                numeric(4, 0x500a, BREATHS, 0, Walk::new(15, 6, 40, 1)),
                numeric(5, 0x4b48, CELSIUS, 1, Walk::new(367, 340, 410, 1)),
                numeric(6, 0x50b0, MMHG, 1, Walk::new(380, 200, 600, 5)),
                numeric(7, 0x4a47, MMHG, 0, Walk::new(8, 0, 20, 1)),
                // BIS: a private code, which nobody may take for another.
                numeric(8, 0xf04e, NUMBER, 0, Walk::new(45, 20, 98, 2)),
            ],
            arterial: [
                Walk::new(121, 70, 200, 3),
                Walk::new(68, 40, 110, 2),
                Walk::new(86, 50, 140, 2),
            ],
            cuff: [
                Walk::new(118, 70, 200, 6),
                Walk::new(66, 40, 110, 5),
                Walk::new(83, 50, 140, 5),
            ],
            cuff_values: None,
            pushes: 0,
            alarm_is_on: false,
            alarm_was_on: false,
            is_demo,
        }
    }

    /// All objects with their type: what a client asks for before any value.
    pub fn listed(&self, first_handle: u16) -> Vec<Vec<u8>> {
        let codes = self.numerics.iter().map(|one| (one.index, one.code));
        let all = codes.chain([(20, 0x4a14), (21, 0x4a04)]);
        let one = |(index, code): (u16, u16)| {
            object(first_handle + index, &[attribute(0x092f, &words(&[2, code]))])
        };
        all.map(one).collect()
    }

    fn marks(&self) -> u16 {
        if self.is_demo { state::DEMO } else { 0 }
    }

    /// The next push of numerics.
    pub fn next(&mut self, first_handle: u16, random: &mut Random) -> Shown {
        self.pushes += 1;
        let finger_out = random.once_in(FINGER_OUT);
        let calibrating = random.once_in(CALIBRATING);
        let marks = self.marks();
        let mut shown = Shown { objects: Vec::new(), readings: Vec::new() };
        for one in &mut self.numerics {
            let figure = one.walk.next(random);
            let (value, void, text) = match one.index {
                2 | 3 if finger_out => {
                    (NOT_A_NUMBER, state::INVALID | state::UNAVAILABLE, "007FFFFF".to_owned())
                }
                7 if calibrating => (float(figure, 0), state::CALIBRATING, figure.to_string()),
                _ => (float(figure, one.places), 0, decimal(figure, usize::from(one.places))),
            };
            let value = observed(one.code, marks | void, one.unit, value);
            shown.objects.push(object(first_handle + one.index, &[attribute(0x0950, &value)]));
            shown.readings.push((code(one.code), text));
        }
        let pressures = self.arterial.each_mut().map(|walk| walk.next(random));
        shown.objects.push(compound(first_handle + 20, 0x4a15, marks, pressures));
        shown.readings.extend(compound_readings(0x4a15, pressures));
        self.cuff(first_handle, marks, random, &mut shown);
        shown
    }

    /// A cuff pressure stays on the screen until the next one; it is one measurement.
    fn cuff(&mut self, first_handle: u16, marks: u16, random: &mut Random, shown: &mut Shown) {
        let of_cycle = self.pushes % CUFF_EVERY;
        let is_measuring = (1..=CUFF_TAKES).contains(&of_cycle);
        if of_cycle == CUFF_TAKES + 1 {
            let values = self.cuff.each_mut().map(|walk| walk.next(random));
            self.cuff_values = Some(values);
            shown.readings.extend(compound_readings(0x4a05, values));
        }
        let Some(values) = self.cuff_values else { return };
        let marks = if is_measuring { marks | state::MEASURING } else { marks };
        shown.objects.push(compound(first_handle + 21, 0x4a05, marks, values));
    }

    /// The attributes of the alert monitor: what is active now; and what has changed since.
    pub fn alarms(&mut self) -> Shown {
        let on = self.pushes / ALARM_EVERY % 2 == 1;
        self.alarm_was_on = std::mem::replace(&mut self.alarm_is_on, on);
        let mark = if self.is_demo { 0x0100 } else { 0 };
        let text = "** SpO₂ matala";
        let information =
            [words(&[1]), 0x0003_003eu32.to_be_bytes().to_vec(), words(&[5, 0x4000]), string(text)]
                .concat();
        let length = u16::try_from(information.len()).unwrap_or(0);
        let head = words(&[0x4bb8, 0x003e, 512, mark, 0x0006, 0, 2, 516, length]);
        let entries = if on { vec![[head, information].concat()] } else { Vec::new() };
        let lists = [attribute(0x0902, &list(&entries)), attribute(0x0904, &list(&[]))];
        let phases = match (self.alarm_was_on, on) {
            (false, true) => Some(("start", "active")),
            (true, false) => Some(("end", "inactive")),
            (false, false) | (true, true) => None,
        };
        let readings = phases.map(|(phase, state)| {
            let said = [
                ("0003-003e", text),
                ("attr-alert-source", "4bb8"),
                ("attr-event-phase", phase),
                ("attr-alarm-state", state),
                ("attr-alarm-priority", "PM"),
                ("attr-alert-type", "SP"),
            ];
            said.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
        });
        Shown { objects: vec![object(1, &lists)], readings: readings.unwrap_or_default() }
    }

    /// Patient demographics: admitted, with a made-up number.
    pub fn demographics() -> Shown {
        let attributes = [
            attribute(0x0957, &words(&[2])),
            attribute(0x095a, &string("SIM-0001")),
            attribute(0x0962, &words(&[1])),
        ];
        let said = [("0001-0957", "admitted"), ("0001-0962", "adult")];
        let readings = said.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Shown { objects: vec![object(900, &attributes)], readings }
    }
}

const NOT_A_NUMBER: [u8; 4] = [0x00, 0x7f, 0xff, 0xff];

/// Exponent and mantissa: the exponent is the resolution on the screen.
fn float(figure: u32, places: u8) -> [u8; 4] {
    let [_, high, middle, low] = figure.to_be_bytes();
    [0u8.wrapping_sub(places), high, middle, low]
}

fn observed(code: u16, state: u16, unit: u16, figure: [u8; 4]) -> Vec<u8> {
    [words(&[code, state, unit]), figure.to_vec()].concat()
}

/// Systolic, diastolic and mean have codes that follow each other.
fn compound(handle: u16, first: u16, state: u16, values: [u32; 3]) -> Vec<u8> {
    let codes = first..first + 3;
    let entries: Vec<Vec<u8>> = codes
        .zip(values)
        .map(|(code, value)| observed(code, state, MMHG, float(value, 0)))
        .collect();
    object(handle, &[attribute(0x094b, &list(&entries))])
}

fn compound_readings(first: u16, values: [u32; 3]) -> Readings {
    (first..first + 3).zip(values).map(|(of, value)| (code(of), value.to_string())).collect()
}

fn code(code: u16) -> String {
    format!("0002-{code:04x}")
}
