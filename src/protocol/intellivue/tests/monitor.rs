//! The monitor's side, for tests: written from the sheet, with nothing of the driver's.

use crate::vocabulary::Moment;

pub fn be(words: &[u16]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn sized(bytes: Vec<u8>) -> Vec<u8> {
    [be(&[bytes.len() as u16]), bytes].concat()
}

pub fn list(entries: &[Vec<u8>]) -> Vec<u8> {
    [be(&[entries.len() as u16]), sized(entries.concat())].concat()
}

pub fn attribute(id: u16, value: Vec<u8>) -> Vec<u8> {
    [be(&[id]), sized(value)].concat()
}

pub fn object(handle: u16, attributes: &[Vec<u8>]) -> Vec<u8> {
    [be(&[handle]), list(attributes)].concat()
}

pub fn string(text: &str) -> Vec<u8> {
    sized(text.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect())
}

/// A simple numeric: code, state, unit, FLOAT.
pub fn value(physio: u16, state: u16, unit: u16, figure: u32) -> Vec<u8> {
    [be(&[physio, state, unit]), figure.to_be_bytes().to_vec()].concat()
}

pub fn simple(handle: u16, physio: u16, state: u16, unit: u16, figure: u32) -> Vec<u8> {
    object(handle, &[attribute(0x0950, value(physio, state, unit, figure))])
}

/// A cuff pressure of 120/80, mean 93, with the same state three times.
pub fn cuff(state: u16, systolic: u32) -> Vec<u8> {
    let of = |physio, figure| value(physio, state, 0x0f20, figure);
    let values = [of(0x4a05, systolic), of(0x4a06, 80), of(0x4a07, 93)];
    object(40, &[attribute(0x094b, list(&values))])
}

/// Where a poll result stands among its answers.
#[derive(Clone, Copy)]
pub enum Part {
    Whole,
    Linked { state: u8, count: u8 },
}

#[derive(Clone, Copy)]
pub struct Poll {
    pub part: Part,
    pub invoke: u16,
    pub number: u16,
    /// Of extended polls.
    pub sequence: Option<u16>,
    pub ticks: u32,
    pub absolute: [u8; 8],
    pub class: u16,
    pub group: u16,
}

impl Poll {
    pub fn numerics(ticks: u32) -> Self {
        Self {
            part: Part::Whole,
            invoke: 900,
            number: 900,
            sequence: Some(1),
            ticks,
            absolute: [0xff; 8],
            class: 0x0006,
            group: 0x0803,
        }
    }

    pub fn of(self, objects: &[Vec<u8>]) -> Vec<u8> {
        let contexts = [[be(&[0]), list(objects)].concat()];
        let mut reply = be(&[self.number]);
        reply.extend(self.sequence.iter().flat_map(|sequence| sequence.to_be_bytes()));
        reply.extend(self.ticks.to_be_bytes());
        reply.extend(self.absolute);
        reply.extend(be(&[1, self.class, self.group]));
        reply.extend(list(&contexts));
        let action = if self.sequence.is_some() { 0xf13b } else { 0x0c16 };
        let argument = [be(&[0x0021, 0, 0, action]), sized(reply)].concat();
        let result = [be(&[self.invoke, 7]), sized(argument)].concat();
        match self.part {
            Part::Whole => data(2, result),
            Part::Linked { state, count } => data(5, [vec![state, count], result].concat()),
        }
    }
}

pub fn data(operation: u16, body: Vec<u8>) -> Vec<u8> {
    [vec![0xe1, 0x00, 0x00, 0x02], be(&[operation]), sized(body)].concat()
}

pub fn error(invoke: u16, error: u16) -> Vec<u8> {
    data(3, be(&[invoke, error, 0]))
}

pub fn create_event(invoke: u16) -> Vec<u8> {
    let attributes = [attribute(0x0986, be(&[1, 0x114d]))];
    let information = [be(&[0x0021, 0, 0]), list(&attributes)].concat();
    let event =
        [be(&[0x0021, 0, 0]), 4000u32.to_be_bytes().to_vec(), be(&[0x0d06]), sized(information)];
    data(1, [be(&[invoke, 1]), sized(event.concat())].concat())
}

pub fn accept() -> Vec<u8> {
    let fixed = super::hex(
        "31 80 A0 80 80 01 01 00 00 A2 80 A0 03 00 00 01 A5 80 30 80 80 01 00 81 02 51 01 00 00 30
         80 80 01 00 81 0C 2A 86 48 CE 14 02 01 00 00 00 02 01 00 00 00 00 61 80 30 80 02 01 01 A0
         80 61 80 A1 80 06 0C 2A 86 48 CE 14 02 01 00 00 00 03 01 00 00 A2 03 02 01 00 A3 05 A1 03
         02 01 00 BE 80 28 80 02 01 02 81 48 80000000 40000000 00000000 00800000 20000000 0000 0000
         0001 002C 0001 0028 80000000 00001F40 00000554 00000554 FFFFFFFF 60000000 0001 000C F001
         0008 8C000000 0000 0000 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
    );
    let session = super::hex("05 08 13 01 00 16 01 02 80 00 14 02 00 02 C1");
    let body = [session, vec![fixed.len() as u8], fixed].concat();
    [vec![0x0e, body.len() as u8], body].concat()
}

pub fn refuse() -> Vec<u8> {
    vec![0x0c, 0x03, 0x32, 0x01, 0x00]
}

pub fn abort() -> Vec<u8> {
    super::hex(
        "19 2E 11 01 03 C1 29 A0 80 A0 80 30 80 02 01 01 06 02 51 01 00 00 00 00 61 80 30 80 02 01
         01 A0 80 64 80 80 01 01 00 00 00 00 00 00 00 00 00 00",
    )
}

pub fn release_request() -> Vec<u8> {
    super::hex("09 18 C1 16 61 80 30 80 02 01 01 A0 80 62 80 80 01 00 00 00 00 00 00 00 00 00")
}

/// A field of a request, by its place in the sheet's layout.
pub fn word(message: &[u8], at: usize) -> u16 {
    message.get(at..at + 2).map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// FCS and escaping of the sheet's section 1.2, once more.
pub fn framed(user_data: &[u8]) -> Vec<u8> {
    let mut plain = vec![0x11, 0x01];
    plain.extend(sized(user_data.to_vec()));
    let mut crc = 0xffffu16;
    for byte in &plain {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x8408 } else { crc >> 1 };
        }
    }
    plain.extend((crc ^ 0xffff).to_le_bytes());
    let escaped = plain.into_iter().flat_map(|byte| match byte {
        0xc0 | 0xc1 | 0x7d => vec![0x7d, byte ^ 0x20],
        _ => vec![byte],
    });
    [vec![0xc0], escaped.collect(), vec![0xc1]].concat()
}

pub fn unframed(frame: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut bytes = frame[1..frame.len() - 1].iter();
    while let Some(byte) = bytes.next() {
        plain.push(if *byte == 0x7d { bytes.next().unwrap() ^ 0x20 } else { *byte });
    }
    assert_eq!(framed(&plain[4..plain.len() - 2]), frame);
    plain[4..plain.len() - 2].to_vec()
}

/// A monitor that answers what a client may ask.
pub struct Monitor {
    /// Gives no answer at all.
    pub is_off: bool,
    pub refuses: bool,
    /// Takes extended polls and pushes nothing.
    pub holds_back: bool,
    /// Objects of a numerics push.
    pub numerics: Vec<Vec<u8>>,
    /// The list of numerics, by handle: partition, code.
    pub listed: Vec<(u16, u16, u16)>,
    pub alarms: Vec<Vec<u8>>,
    pub waves: Vec<Vec<u8>>,
    pub wave_list: Vec<Vec<u8>>,
    pub patient: Vec<Vec<u8>>,
    pub is_associated: bool,
    /// Running extended polls by class: invoke id, poll number, end.
    pub polls: Vec<(u16, u16, u16, u16, Moment)>,
    pub sequence: u16,
    pushed: Option<Moment>,
    pub asked: Vec<(u16, u16)>,
}

impl Monitor {
    pub fn new() -> Self {
        Self {
            is_off: false,
            refuses: false,
            holds_back: false,
            numerics: vec![simple(7, 0x4182, 0, 0x0aa0, 60)],
            listed: vec![(7, 2, 0x4182), (8, 2, 0x4bb8), (40, 2, 0x4a04)],
            alarms: Vec::new(),
            waves: Vec::new(),
            wave_list: Vec::new(),
            patient: Vec::new(),
            is_associated: false,
            polls: Vec::new(),
            sequence: 0,
            pushed: None,
            asked: Vec::new(),
        }
    }

    pub fn power_cycle(&mut self) {
        self.is_associated = false;
        self.polls.clear();
        self.sequence = 0;
    }

    fn ticks(now: Moment) -> u32 {
        (now.monotonic_us() / 125) as u32
    }

    pub fn answer(&mut self, message: &[u8], now: Moment) -> Vec<Vec<u8>> {
        if self.is_off {
            return Vec::new();
        }
        match message[0] {
            0x0d if self.refuses || self.is_associated => vec![refuse()],
            0x0d => {
                self.is_associated = true;
                vec![accept(), create_event(1)]
            }
            0x19 => {
                self.power_cycle();
                Vec::new()
            }
            0xe1 if self.is_associated && word(message, 4) == 1 => self.invoked(message, now),
            _ => Vec::new(),
        }
    }

    fn invoked(&mut self, message: &[u8], now: Moment) -> Vec<Vec<u8>> {
        let invoke = word(message, 8);
        if word(message, 10) == 5 {
            return vec![data(2, be(&[invoke, 5, 0]))];
        }
        let (number, class, group) = (word(message, 28), word(message, 32), word(message, 34));
        self.asked.push((class, group));
        let poll = Poll {
            part: Part::Whole,
            invoke,
            number,
            sequence: None,
            ticks: Self::ticks(now),
            absolute: [0xff; 8],
            class,
            group,
        };
        if word(message, 24) == 0xf13b {
            let period = u64::from(u32::from_be_bytes(message[44..48].try_into().unwrap())) / 8;
            self.polls.retain(|(_, _, of, ..)| *of != class);
            self.polls.push((invoke, number, class, group, now.plus_ms(period)));
            return Vec::new();
        }
        let objects = match (class, group) {
            (0x0021, _) => vec![mds()],
            (0x0006, 0x0811) => {
                let one = |(handle, partition, code): &(u16, u16, u16)| {
                    object(*handle, &[attribute(0x092f, be(&[*partition, *code]))])
                };
                self.listed.iter().map(one).collect()
            }
            (0x0009, 0x0811) => self.wave_list.clone(),
            (0x002a, _) => self.patient.clone(),
            _ => Vec::new(),
        };
        vec![poll.of(&objects)]
    }

    pub fn push(&mut self, now: Moment) -> Vec<Vec<u8>> {
        if self.is_off
            || self.holds_back
            || self.pushed.is_some_and(|pushed| now < pushed.plus_ms(1000))
        {
            return Vec::new();
        }
        self.pushed = Some(now);
        self.polls.retain(|(.., end)| now < *end);
        let mut pushes = Vec::new();
        for (invoke, number, class, group, _) in self.polls.clone() {
            self.sequence += 1;
            let sequence = Some(self.sequence);
            let ticks = Self::ticks(now);
            let absolute = [0xff; 8];
            let poll =
                Poll { part: Part::Whole, invoke, number, sequence, ticks, absolute, class, group };
            let objects = match class {
                0x0036 => vec![object(1, &self.alarms)],
                0x0009 => self.waves.clone(),
                _ => self.numerics.clone(),
            };
            pushes.push(poll.of(&objects));
        }
        pushes
    }
}

/// Model, software, bed and clock.
pub fn mds() -> Vec<u8> {
    let text = |text: &str| sized([text.as_bytes(), &[0]].concat());
    let spec = |kind, component, words: &str| [be(&[kind, component]), text(words)].concat();
    let production = list(&[spec(1, 8, "DE351A4061"), spec(4, 0x58, "L.01.18")]);
    object(
        0,
        &[
            attribute(0x0928, [text("Philips"), text("866062")].concat()),
            attribute(0x092d, production),
            attribute(0x091e, string("ECC MON RM15")),
            attribute(0x0987, super::hex("20 26 11 23 12 45 07 00")),
            attribute(0x098f, 8_000u32.to_be_bytes().to_vec()),
        ],
    )
}
