//! Damaged streams: nothing panics, nothing hangs, and no reading comes from a frame whose
//! checksum, computed here apart, is wrong.

use super::*;
use crate::vocabulary::Why;

const CASES: u64 = 20_000;

/// xorshift64: the same cases on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides.max(1) as u64) as usize
    }
}

/// One to eight blows: flipped bits, lost, doubled and swapped bytes, control characters.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.roll(8).min(dice.roll(8)) {
        let at = dice.roll(bytes.len());
        match dice.roll(7) {
            0 | 1 => bytes[at] ^= 1 << dice.roll(8),
            2 => drop(bytes.drain(at..(at + 1 + dice.roll(20)).min(bytes.len()))),
            3 => {
                let part = bytes[at..(at + dice.roll(60)).min(bytes.len())].to_vec();
                let to = dice.roll(bytes.len());
                bytes.splice(to..to, part);
            }
            4 => {
                let other = dice.roll(bytes.len());
                bytes.swap(at, other);
            }
            5 => {
                let control = [2, 3, 4, 5, 6, 0x15, 0x17, b'\r', b'\n', b'|', 0xff];
                bytes.insert(at, control[dice.roll(control.len())]);
            }
            _ => bytes.truncate(at.max(1)),
        }
        if bytes.is_empty() {
            bytes.push(5);
        }
    }
}

fn sources() -> Vec<Vec<u8>> {
    let records = [
        r"H|\^&|||LAB^1.0^S1|||||||P|1|20260101000000",
        "P|1||PAT7",
        "O|1|SP9||^^^A",
        "R|1|^^^GLU|5.60|mmol/L||N||F||||20260101080000",
        "C|1|I|40|I",
        "R|2|^^^NA|142|mmol/L||N||F",
        "P|2||PAT8",
        "O|1|SP10",
        "R|1|^^^K|-1^4.10|mmol/L||N||F",
        "L|1|N",
    ];
    let packed = records.join("\r") + "\r";
    let mut cut = vec![5];
    for (index, part) in packed.as_bytes().chunks(60).enumerate() {
        let end = if (index + 1) * 60 >= packed.len() { 3 } else { 0x17 };
        cut.extend(frame(index + 1, part, end));
    }
    cut.push(4);
    let mut one = vec![5];
    one.extend(frame(1, packed.as_bytes(), 3));
    one.push(4);
    let single = transmission(&records);
    let twice = [single.clone(), cut.clone()].concat();
    // Only ETX closes these.
    let mut bare = vec![5];
    for (index, record) in records.iter().enumerate() {
        bare.extend(frame(index + 1, record.as_bytes(), 3));
    }
    bare.push(4);
    vec![single, cut, one, twice, bare]
}

/// Whether the bytes of that reading lie in frames that check out.
fn stands_in_good_frames(message: &Message, reading: &Reading) -> bool {
    let raw = &message.raw;
    // Refusals of records lie inside frames that are good.
    let of_records = [Why::OddSegment, Why::Unparseable, Why::UnsupportedMessage, Why::Charset];
    let is_refused = |at: usize| {
        message.refusals.iter().any(|refused| {
            // Refused frames are kept from their STX on; stray bytes are named as such.
            let of_link = raw.get(refused.at.start) == Some(&2) || refused.why == Why::Resync;
            refused.at.contains(&at) && of_link && !of_records.contains(&refused.why)
        })
    };
    let starts: Vec<usize> =
        (0..raw.len()).filter(|at| raw[*at] == 2 && !is_refused(*at)).collect();
    let ends = |start: usize| {
        raw[start..].iter().position(|byte| matches!(*byte, 3 | 0x17)).map(|end| start + end)
    };
    // Every frame that begins before the reading's end and ends behind its beginning.
    let mut touched = 0;
    for start in starts {
        let Some(end) = ends(start) else { return false };
        if start > reading.at.end || end < reading.at.start {
            continue;
        }
        touched += 1;
        let sum: u32 = raw[start + 1..=end].iter().map(|byte| u32::from(*byte)).sum();
        let sent = raw.get(end + 1..end + 3).map(String::from_utf8_lossy);
        let expected = format!("{:02X}", sum % 256);
        if !sent.is_some_and(|sent| sent.eq_ignore_ascii_case(&expected)) {
            return false;
        }
    }
    touched > 0
}

#[test]
fn damage_never_becomes_a_value() {
    let sources = sources();
    let profiles = ["", "ends_with_l_record = 'no'\n", "trailer = 'optional'\n"];
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut readings, mut refusals) = (0, 0);
    for case in 0..CASES {
        let mut bytes = sources[dice.roll(sources.len())].clone();
        damage(&mut bytes, &mut dice);
        let profile = profiles[dice.roll(profiles.len())];
        let mut bench = Bench::new(&format!("{PLAIN}{profile}"));
        bench.store = [Some(Settled::Durable), Some(Settled::Repeat), Some(NOT_KEPT), None]
            [dice.roll(4).min(dice.roll(4))];
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (part, tail) = rest.split_at((1 + dice.roll(200)).min(rest.len()));
            bench.feed(part);
            rest = tail;
            if dice.roll(10) == 0 {
                bench.pass([10, 1_000, 14_000, 40_000][dice.roll(4)]);
            }
            if bench.store.is_none() && dice.roll(2) == 0 {
                let last = bench.messages.len() as u64;
                bench.settle(last, Settled::Durable);
            }
        }
        if dice.roll(2) == 0 {
            bench.pass(100_000);
        }
        bench.close();
        for message in &bench.messages {
            refusals += message.refusals.len();
            for reading in message.groups.iter().flat_map(|group| &group.readings) {
                readings += 1;
                assert!(reading.at.end <= message.raw.len(), "case {case}");
                // Frame by frame, a value may have come with an earlier message.
                let came_before = profile.contains("'no'") && reading.at.start == 0;
                assert!(came_before || stands_in_good_frames(message, reading), "case {case}");
            }
        }
        assert!(bench.messages.len() < 100, "case {case}");
    }
    // Otherwise the cases would prove nothing.
    assert!(readings > 5_000 && refusals > 5_000, "{readings} readings, {refusals} refusals");
}
