//! What happens on the ward of one seed: who says what of whom, which values come, and when the
//! house is gone. Made up before the house is built, so that nothing of it leans on what the house
//! answers.

use super::super::super::ledger::NewEntry;
use crate::association::{
    By, DeviceId, EntryId, Line, Movement, Pause, PersonId, Presence, Says, Span, Utc,
};
use crate::vocabulary::chance::Chance;
use crate::vocabulary::{DeviceName, PatientId, Place, Purpose};

/// 2026-11-29T00:00:00Z.
pub(super) const BEGAN_US: i64 = 1_795_910_400_000_000;
pub(super) const MINUTE_US: i64 = 60_000_000;
/// When the house begins its first life.
pub(super) const OPENED_US: i64 = BEGAN_US + 590 * MINUTE_US - MINUTE_US / 2;

/// A line, and the machine that hangs on it by the configuration, have the same number. The first
/// one never leaves its bed.
pub(super) const LINES: [&str; 4] = ["bed-1", "bed-2", "bed-3", "bed-4"];
/// Beds for one patient each.
pub(super) const BEDS: [&str; 2] = ["icu/bed-1", "icu/bed-2"];
/// The last two may turn out to be the first two.
pub(super) const PATIENTS: usize = 4;

const ROOT: &str = "1.2.246.10.1234567.22.2026";
const STEPS: u64 = 42;

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Scan,
    Person,
    Core,
    Device,
    Adt,
}

/// What is said. Machines, lines, patients, beds and words by their number; times in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    On { machine: usize, patient: usize, from: i64 },
    End { word: usize, at: i64 },
    Look { word: usize, at: i64 },
    Wrong { word: usize },
    Decide { holds: usize, against: usize },
    Standby { machine: usize, at: i64 },
    Back { machine: usize, at: i64 },
    Out { line: usize, at: i64 },
    In { line: usize, machine: usize, at: i64 },
    Moves { patient: usize, movement: Movement, bed: Option<usize>, from: i64 },
    Cancel { patient: usize, movement: Movement, at: i64 },
    Merge { retired: usize, surviving: usize, at: i64 },
}

#[derive(Clone, Debug)]
pub(super) struct Word {
    pub number: usize,
    pub stated: i64,
    pub who: Who,
    pub what: What,
}

/// How a value's time is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clock {
    /// The device has none: it is as it comes.
    None,
    /// Its clock is known, give or take.
    Known { give_or_take_ms: u64 },
    /// Nobody vouches for its clock.
    Unproven,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    pub line: usize,
    pub received: i64,
    /// No two values have the same.
    pub chart: i64,
    pub clock: Clock,
}

impl Value {
    /// Between which instants it was measured; `None` where nobody can say.
    pub fn around(&self) -> Option<(i64, i64)> {
        match self.clock {
            Clock::None => Some((self.received, self.received)),
            Clock::Known { give_or_take_ms } => {
                let wide = i64::try_from(give_or_take_ms).unwrap() * 1000;
                Some((self.chart - wide, self.chart + wide))
            }
            // As good as the box's own clock to two minutes, or it may be of any time.
            Clock::Unproven if (self.chart - self.received).abs() <= 2 * MINUTE_US => {
                let earlier = self.chart.min(self.received) - 2 * MINUTE_US;
                Some((earlier, self.chart.max(self.received)))
            }
            Clock::Unproven => None,
        }
    }
}

/// How a house is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Away {
    /// Told to stop, and it does.
    Stop,
    /// The next step is under way for so long.
    Kill {
        after_ms: u64,
    },
    PowerCut {
        after_ms: u64,
    },
    /// Told to stop once all is through; then its oldest segments go.
    Shorter,
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Value(usize),
    /// All of them or none.
    Say(Vec<usize>),
    /// A person stands behind a value, whoever it is filed for.
    Confirm(usize),
    /// The same, while what was said just before is still being worked out.
    ConfirmAtOnce(usize),
    Away(Away),
}

/// What one seed makes up.
pub(super) struct Story {
    /// Less than a scan is enough.
    pub is_loose: bool,
    pub words: Vec<Word>,
    pub values: Vec<Value>,
    /// When, in microseconds.
    pub steps: Vec<(i64, Step)>,
}

impl Story {
    pub fn of(chance: &mut Chance) -> Self {
        let is_loose = chance.once_in(2);
        let mut teller = Teller {
            chance: chance.branch(),
            now: BEGAN_US + 600 * MINUTE_US,
            words: Vec::new(),
            values: Vec::new(),
            on: [None; LINES.len()],
            handovers: Vec::new(),
        };
        let mut steps = Vec::new();
        for _ in 0..STEPS {
            teller.now += teller.chance.between(2, 30) as i64 * MINUTE_US;
            let step = teller.step();
            let is_said = matches!(step, Step::Say(_));
            steps.push((teller.now, step));
            if is_said && teller.chance.once_in(3) && !teller.values.is_empty() {
                let newest = teller.values.len().min(6);
                let number = teller.values.len() - 1 - teller.below(newest);
                steps.push((teller.now, Step::ConfirmAtOnce(number)));
            }
        }
        let mut aways = vec![teller.away()];
        aways.push(teller.away());
        if teller.chance.once_in(4) {
            aways.push(Away::Shorter);
        }
        for away in aways {
            let at = teller.chance.between(10, steps.len() as u64 - 2) as usize;
            let when = steps[at].0;
            steps.insert(at, (when, Step::Away(away)));
        }
        Self { is_loose, words: teller.words, values: teller.values, steps }
    }
}

struct Teller {
    chance: Chance,
    now: i64,
    words: Vec<Word>,
    values: Vec<Value>,
    /// Who is on the machines of which nothing odd is said, by which word.
    on: [Option<(usize, usize)>; LINES.len()],
    /// When such a machine went from one patient to the next.
    handovers: Vec<(usize, i64)>,
}

impl Teller {
    fn below(&mut self, limit: usize) -> usize {
        self.chance.below(limit as u64) as usize
    }

    fn earlier(&mut self, minutes: u64) -> i64 {
        self.now - self.chance.below(minutes + 1) as i64 * MINUTE_US
    }

    fn say(&mut self, who: Who, what: What) -> usize {
        let number = self.words.len();
        self.words.push(Word { number, stated: self.now, who, what });
        number
    }

    fn away(&mut self) -> Away {
        let after_ms = self.chance.below(60);
        match self.chance.below(3) {
            0 => Away::Stop,
            1 => Away::Kill { after_ms },
            _ => Away::PowerCut { after_ms },
        }
    }

    fn step(&mut self) -> Step {
        match self.chance.below(24) {
            0..=8 => self.value(),
            9..=12 => self.handover(),
            13..=15 if !self.values.is_empty() => Step::Confirm(self.below(self.values.len())),
            _ => {
                let (who, what) = self.anything();
                Step::Say(vec![self.say(who, what)])
            }
        }
    }

    fn value(&mut self) -> Step {
        let number = self.values.len();
        let odd_us = number as i64 + 1;
        let clock = match self.chance.below(8) {
            0..=2 => Clock::None,
            3 => Clock::Unproven,
            _ => {
                let wide = [0, 2_000, 30_000, 300_000, 900_000, 1_800_000];
                Clock::Known { give_or_take_ms: wide[self.below(wide.len())] }
            }
        };
        let late_minutes = if self.chance.once_in(3) { 300 } else { 40 };
        let chart = match clock {
            Clock::None => self.now,
            Clock::Known { .. } => self.earlier(late_minutes),
            Clock::Unproven => self.earlier(4),
        };
        let mut line = self.below(LINES.len());
        let (mut clock, mut chart) = (clock, chart);
        if !self.handovers.is_empty() && self.chance.once_in(4) {
            let number = self.below(self.handovers.len());
            let (machine, at) = self.handovers[number];
            let minutes = self.chance.below(24) as i64 - 12;
            (line, chart) = (machine, (at + minutes * MINUTE_US).min(self.now));
            clock = Clock::Known { give_or_take_ms: 480_000 };
        }
        // Received a little later than the step begins, so that each has its own instant.
        let (received, chart) = (self.now + odd_us, chart + odd_us);
        self.values.push(Value { line, received, chart, clock });
        Step::Value(number)
    }

    /// A machine of which nothing odd is said goes to a patient, or from one to the next, now or
    /// found out later.
    fn handover(&mut self) -> Step {
        let machine = 2 + self.below(2);
        let patient = self.below(PATIENTS);
        let Some((before, since)) = self.on[machine] else {
            let from = self.earlier(200);
            let word = self.say(Who::Scan, What::On { machine, patient, from });
            self.on[machine] = Some((word, word));
            return Step::Say(vec![word]);
        };
        let last = self.words[since].stated;
        let at = self.earlier(90).max(last);
        self.handovers.push((machine, at));
        let ended = self.say(Who::Scan, What::End { word: before, at });
        let begun = self.say(Who::Scan, What::On { machine, patient, from: at });
        self.on[machine] = Some((begun, begun));
        Step::Say(vec![ended, begun])
    }

    fn person(&mut self) -> Who {
        if self.chance.once_in(2) { Who::Scan } else { Who::Person }
    }

    fn earlier_word(&mut self) -> Option<usize> {
        (!self.words.is_empty()).then(|| self.below(self.words.len()))
    }

    fn anything(&mut self) -> (Who, What) {
        let machine = self.below(2);
        let patient = self.below(PATIENTS);
        let (now, earlier, person) = (self.now, self.earlier(120), self.person());
        match self.chance.below(20) {
            0..=4 => {
                let who = match self.chance.below(6) {
                    0 => Who::Device,
                    1 => Who::Core,
                    _ => Who::Scan,
                };
                // Now and then the same machine is scanned once more where it is.
                let machine = if self.chance.once_in(6) { 2 } else { machine };
                let from = if self.chance.once_in(2) { earlier } else { now };
                (who, What::On { machine, patient, from })
            }
            5 => match self.on[2] {
                Some((word, _)) => match self.words[word].what.clone() {
                    What::On { machine, patient, .. } => {
                        (Who::Scan, What::On { machine, patient, from: now })
                    }
                    _ => (Who::Adt, admitted(patient, self.below(BEDS.len()), earlier)),
                },
                None => (Who::Adt, admitted(patient, self.below(BEDS.len()), earlier)),
            },
            6..=10 => match self.earlier_word() {
                Some(word) => self.about(word, person),
                None => (Who::Device, What::Standby { machine, at: now }),
            },
            11 => (Who::Device, What::Standby { machine, at: now }),
            12 => {
                let who = if self.chance.once_in(3) { Who::Device } else { person };
                (who, What::Back { machine, at: now })
            }
            13..=15 => (Who::Adt, admitted(patient, self.below(BEDS.len()), earlier)),
            16 => {
                let (movement, bed, from) = (Movement::Discharge, None, earlier);
                (Who::Adt, What::Moves { patient, movement, bed, from })
            }
            17 => {
                let movement =
                    if self.chance.once_in(3) { Movement::Discharge } else { Movement::Admission };
                (Who::Adt, What::Cancel { patient, movement, at: now })
            }
            18 if self.chance.once_in(2) => {
                let retired = 2 + self.below(2);
                (Who::Adt, What::Merge { retired, surviving: retired - 2, at: now })
            }
            _ => {
                let line = self.below(2);
                match self.chance.below(3) {
                    0 => (Who::Scan, What::Out { line, at: now }),
                    _ => (Who::Scan, What::In { line, machine, at: now }),
                }
            }
        }
    }

    fn about(&mut self, word: usize, person: Who) -> (Who, What) {
        let at = self.earlier(60);
        match self.chance.below(6) {
            0 | 1 => (person, What::End { word, at }),
            2 => {
                let who = if self.chance.once_in(4) { Who::Adt } else { person };
                (who, What::Wrong { word })
            }
            3 => (person, What::Look { word, at: self.now }),
            _ => {
                let against = self.below(self.words.len());
                if against == word {
                    return (person, What::Look { word, at: self.now });
                }
                (person, What::Decide { holds: word, against })
            }
        }
    }
}

fn admitted(patient: usize, bed: usize, from: i64) -> What {
    What::Moves { patient, movement: Movement::Admission, bed: Some(bed), from }
}

/// The identifier of a patient.
pub(super) fn patient(number: usize) -> PatientId {
    PatientId::given(ROOT, &format!("P-{number}"), Purpose::Production).unwrap()
}

/// Which patient a record names.
pub(super) fn patient_number(id: &str) -> usize {
    id.strip_prefix("P-").and_then(|number| number.parse().ok()).expect("one of ours")
}

pub(super) fn named(text: &str) -> DeviceName {
    DeviceName::parse(text).unwrap()
}

pub(super) fn line(number: usize) -> Line {
    Line { gateway: named("box-1"), name: named(LINES[number]) }
}

fn machine(number: usize) -> DeviceId {
    DeviceId::parse(&format!("box-1/{}", LINES[number])).unwrap()
}

fn id(number: usize) -> EntryId {
    EntryId::parse(&format!("w{number:03}")).unwrap()
}

impl Word {
    /// The same for the house.
    pub fn entry(&self) -> NewEntry {
        let person = PersonId::parse("nurse-7").unwrap();
        let by = match self.who {
            Who::Scan => By::Scan { person },
            Who::Person => By::Person { person },
            Who::Core => By::Core,
            Who::Device => By::Device,
            Who::Adt => By::Adt,
        };
        NewEntry { id: id(self.number), stated: Utc::from_us(self.stated), by, says: self.says() }
    }

    fn says(&self) -> Says {
        let us = Utc::from_us;
        match self.what.clone() {
            What::On { machine: of, patient: on, from } => {
                let span = Span { from: us(from), until: None };
                let (device, patient) = (machine(of), patient(on));
                Says::Associated { device, channel: None, patient, span }
            }
            What::End { word, at } => Says::Ended { association: id(word), at: us(at) },
            What::Look { word, at } => Says::Seen { association: id(word), at: us(at) },
            What::Wrong { word } => {
                Says::Withdrawn { entry: id(word), reason: "wrong-patient".to_owned() }
            }
            What::Decide { holds, against } => {
                let (holds, against) = (id(holds), vec![id(against)]);
                Says::Decided { holds, against, reason: "seen".to_owned() }
            }
            What::Standby { machine: of, at } => {
                Says::Paused { device: machine(of), why: Pause::Standby, at: us(at) }
            }
            What::Back { machine: of, at } => Says::Resumed { device: machine(of), at: us(at) },
            What::Out { line: of, at } => Says::Unplugged { port: line(of), at: us(at) },
            What::In { line: of, machine: which, at } => {
                Says::Plugged { port: line(of), device: machine(which), from: us(at) }
            }
            What::Moves { patient: who, movement, bed, from } => {
                let place = bed.map(|bed| Place::parse(BEDS[bed]).unwrap());
                let presence = match place {
                    Some(_) => Presence::Present { place },
                    None => Presence::Left,
                };
                let (patient, from) = (patient(who), us(from));
                Says::Movement { patient, encounter: None, movement, presence, from }
            }
            What::Cancel { patient: who, movement, at } => {
                Says::Cancelled { patient: patient(who), encounter: None, movement, at: us(at) }
            }
            What::Merge { retired, surviving, at } => Says::Merged {
                retired: patient(retired),
                surviving: patient(surviving),
                at: us(at),
            },
        }
    }
}
