//! Damaged messages: no panic, no endless loop, the same events however they are cut, and no
//! refusal that points outside its message. `WARDGATE_MUTATIONS=1000000` makes the run longer.

use super::*;

/// A small generator of our own (xorshift64*), so that a failing case has a number.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let wide = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(wide).unwrap_or(0) % sides.max(1)
    }
}

/// What is put in: everything that means something to the family, and some that does not.
const MATERIAL: &[&[u8]] = &[
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b"\r",
    b"\n",
    b"\x0B",
    b"\x1C",
    b"\x1C\x0D",
    b"\xC4",
    "ä".as_bytes(),
    b"\x00",
    b"\x1B",
    b"\"\"",
    b"\\T\\",
    b"\\Xe4\\",
    b"MSH|^~\\&|",
    b"PID|||",
    b"OBX|1|NM|",
    b"SPM|",
];

/// One to four damages.
pub fn mutate(seed: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(bytes.len() + 1);
        let until = (at + dice.roll(12)).min(bytes.len());
        match dice.roll(4) {
            0 => drop(bytes.drain(at..until)),
            1 => drop(bytes.splice(at..at, MATERIAL[dice.roll(MATERIAL.len())].iter().copied())),
            2 => drop(bytes.splice(at..until, MATERIAL[dice.roll(MATERIAL.len())].iter().copied())),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.roll(8);
                }
            }
        }
    }
    bytes
}

/// Runs one stream whole and cut in two, and holds the events against each other.
pub fn check(bytes: &[u8], cut: usize) {
    let run = |chunks: [&[u8]; 2]| {
        let mut driver = driver(profile("sentinels = { \"-999\" = \"off\" }"), Site::default());
        let mut events = Vec::new();
        for chunk in chunks {
            driver.receive(chunk, Peer::STREAM, NOW);
            events.extend(drain(&mut driver));
        }
        driver.wake(NOW.plus_ms(60_000));
        events.extend(drain(&mut driver));
        for event in events.clone() {
            if let Event::Message(message) = event {
                driver.settled(message.id, Settled::Durable, NOW);
            }
        }
        events.extend(drain(&mut driver));
        driver.link(LinkChange::Closed, NOW);
        events.extend(drain(&mut driver));
        events
    };
    let whole = run([bytes, b""]);
    let (head, tail) = bytes.split_at(cut.min(bytes.len()));
    assert_eq!(run([head, tail]), whole);
    for event in whole {
        if let Event::Message(message) = event {
            for refused in &message.refusals {
                assert!(message.raw.get(refused.at.clone()).is_some(), "{refused}");
            }
            for reading in readings(&message) {
                assert!(message.raw.get(reading.at.clone()).is_some());
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let utf8 = [MSH, b"|||AL|NE||UNICODE UTF-8"].concat();
    vec![
        block(&[
            &utf8,
            "PID|||1^^^DVV&1.2.246.21&ISO^NNFIN||Mäkelä^Eke".as_bytes(),
            b"PV1||I|ICU^1^2",
            b"OBR|1|A^B|C^D|182777000^monitoring of patient^SCT|||20261123043255.000+0200",
            b"OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X",
            b"OBX|2|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.1.1|97|262688^PERCENT^MDC|90-100|||",
            "NTE|1||5 µg\\F\\ml \\Xe4\\".as_bytes(),
        ]),
        block(&[
            b"MSH|^~\\&|||||20260112150335+0100||OUL^R22^OUL_R22|7|P|2.5.1|||NE|AL",
            b"SPM|1|V1&R||PLAS^Plasma^HL70487|||||||P^Patient^HL70369",
            b"SAC|||V1",
            b"OBR||\"\"||1006^HIV-1^99ABT",
            b"OBX|1|ST|1006^HIV-1^99ABT||< 20|^Copies/mL||\"\"|||F|||||P~o||A^B~C|20260112142906",
            b"OBX|2|SN|1006^HIV-1^99ABT||<^20|u||\\~|||F",
        ]),
    ]
}

#[test]
fn damage_is_survived_and_does_not_depend_on_the_cuts() {
    let seeds = seeds();
    let mut dice = Dice(0x5EED_0001);
    let rounds = std::env::var("WARDGATE_MUTATIONS").ok().and_then(|text| text.parse().ok());
    for round in 0..rounds.unwrap_or(20_000_usize) {
        let seed = &seeds[round % seeds.len()];
        let bytes = mutate(seed, &mut dice);
        check(&bytes, dice.roll(bytes.len() + 1));
    }
}
