//! Cuts, damage and everything that may be interleaved: the same values or a refusal.

use super::*;
use crate::vocabulary::chance::Chance;

/// A device that talks for a while: everything that the family knows, and noise.
fn talk() -> Vec<u8> {
    let mut alarm = b"'".to_vec();
    alarm.extend(b"?19MIN VOL $&  ");
    [
        ICC_REPLY,
        &command(b"Q"),
        &command(b"R"),
        EVITA_4,
        b"noise\r",
        b"\x01$D6  12B9 7.278   578\r",
        &reply(&alarm),
        &[0xD1, 0x91, 0x81],
        &command(b"0"),
        b"\x01$D6  1",
        b"\x01$D6  12\x1b04B\rB9 7.200\r",
        &reply(b")04 0.50"),
        b"\x01\x1516\r",
        b"\x01(11:11:1911-NOV-93E6\r",
        &reply(b"'"),
        b"\x1b046\r",
        b"\x01$88 48\x18",
        &[0x11, 0x13],
        &reply(b"$88 480"),
        &command(b"U"),
    ]
    .concat()
}

type Happened = (Vec<Message>, Vec<(u64, Vec<u8>)>, Vec<Option<String>>, Vec<Identity>);

fn fed(pieces: &[&[u8]]) -> Happened {
    let mut bench = Bench::new();
    pieces.iter().for_each(|piece| bench.says(piece));
    bench.passes(2000);
    (bench.messages, bench.sent, bench.troubles, bench.identities)
}

#[test]
fn the_same_happens_however_it_is_cut() {
    let talk = talk();
    let whole = fed(&[&talk]);
    assert!(whole.0.len() > 10 && whole.1.len() > 5);
    let single: Vec<&[u8]> = talk.chunks(1).collect();
    assert_eq!(fed(&single), whole);
    for at in 1..talk.len() {
        let (head, tail) = talk.split_at(at);
        assert_eq!(fed(&[head, tail]), whole, "cut at {at}");
    }
}

/// What a clean reply gives.
fn clean() -> (Vec<u8>, Vec<String>) {
    let bytes = b"\x01$D6  12B9 7.278   578\r".to_vec();
    let mut bench = Bench::running();
    bench.says(&bytes);
    let shown = bench.shown();
    (bytes, shown)
}

#[test]
fn real_time_bytes_anywhere_change_nothing() {
    let (bytes, expected) = clean();
    let mut chance = Chance(3);
    for round in 0..300 {
        let mut mixed = Vec::new();
        for byte in &bytes {
            while chance.once_in(2) {
                mixed.push(0x80 | u8::try_from(chance.below(128)).unwrap());
            }
            mixed.push(*byte);
        }
        let mut bench = Bench::running();
        bench.says(&mixed);
        assert_eq!(bench.shown(), expected, "round {round}");
        assert!(bench.messages.last().unwrap().raw.len() <= mixed.len());
    }
}

#[test]
fn no_single_flip_gives_another_value() {
    let (bytes, expected) = clean();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let mut bench = Bench::running();
            bench.says(&damaged);
            // A good reply behind it comes out as it is.
            bench.says(&bytes);
            let shown = bench.shown();
            assert!(shown.is_empty() || shown == expected, "byte {at} bit {bit}: {shown:?}");
        }
    }
}

#[test]
fn two_flips_pass_only_where_they_cancel_out_in_the_sum() {
    let (bytes, expected) = clean();
    let mut passed = 0;
    for first in 0..bytes.len() * 8 {
        for second in first + 1..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[first / 8] ^= 1 << (first % 8);
            damaged[second / 8] ^= 1 << (second % 8);
            let mut framer = Framer::default();
            damaged.iter().for_each(|byte| framer.take(*byte, NOW));
            let good = std::iter::from_fn(|| framer.next())
                .any(|heard| matches!(&heard, Heard::Reply(frame) if frame.code == 0x24));
            if !good {
                continue;
            }
            let mut bench = Bench::running();
            bench.says(&damaged);
            if !bench.shown().is_empty() && bench.shown() != expected {
                passed += 1;
                // Two of the same weight in opposite directions: no sum can see that.
                assert_eq!(first % 8, second % 8, "bytes {} and {}", first / 8, second / 8);
            }
        }
    }
    assert!(passed > 0, "if none passes, the description of the weakness is wrong");
}

#[test]
fn bytes_lost_or_doubled_give_no_other_value() {
    let (bytes, expected) = clean();
    for at in 0..bytes.len() {
        for take in 1..=6 {
            let mut lost = bytes.clone();
            lost.drain(at..(at + take).min(bytes.len()));
            let mut doubled = bytes.clone();
            doubled.splice(at..at, bytes[at..(at + take).min(bytes.len())].to_vec());
            for damaged in [lost, doubled] {
                let mut bench = Bench::running();
                bench.says(&damaged);
                let shown = bench.shown();
                assert!(shown.is_empty() || shown == expected, "{at} {take}: {shown:?}");
            }
        }
    }
}

#[test]
fn noise_never_panics_and_never_is_a_value() {
    let mut chance = Chance(11);
    let telling =
        [0x01, 0x1b, 0x0d, 0x11, 0x13, 0x18, 0x03, b'$', b'Q', b'R', b'0', b'5', 0xd1, 0x91];
    for _ in 0..400 {
        let mut bench = Bench::running();
        for _ in 0..chance.between(1, 30) {
            let bytes: Vec<u8> = (0..chance.between(1, 20))
                .map(|_| match chance.once_in(2) {
                    true => telling[usize::try_from(chance.below(14)).unwrap()],
                    false => u8::try_from(chance.below(256)).unwrap(),
                })
                .collect();
            bench.says(&bytes);
            bench.passes(chance.below(800));
        }
        let values = bench.readings().into_iter().filter(|one| one.value.absent_reason().is_none());
        assert_eq!(values.count(), 0);
        bench.driver.link(LinkChange::Closed, bench.now);
        bench.drain();
        assert_eq!(bench.driver.next_wake(), None);
    }
}

#[test]
fn frames_without_an_end_do_not_fill_the_memory() {
    let mut bench = Bench::running();
    bench.says(&[0x01]);
    bench.says(&vec![b'1'; 200_000]);
    assert!(bench.refusals().contains(&Why::TooLong));
    assert!(bench.messages.iter().all(|message| message.raw.len() <= 70_000));
    let mut long = Bench::running();
    long.says(&frame(0x01, &[&b"$"[..], &vec![b' '; 3846]].concat()));
    assert_eq!(long.refusals(), [Why::TooLong]);
}

#[test]
fn everything_that_may_stand_between_bytes_changes_no_value() {
    let (bytes, expected) = clean();
    let asks = [&b"0"[..], b"R", b"I", b"$", b"("];
    let mut chance = Chance(17);
    for round in 0..500 {
        let mut mixed = Vec::new();
        for (at, byte) in bytes.iter().enumerate() {
            for _ in 0..chance.below(3) {
                match chance.below(4) {
                    // A command is embedded in a reply, and a reply begins with its first byte.
                    0 if at > 0 => mixed.extend(command(asks[chance.below(5) as usize])),
                    1 => mixed.push(0x13),
                    _ => mixed.push(0x80 | u8::try_from(chance.below(128)).unwrap()),
                }
            }
            mixed.push(*byte);
        }
        let mut bench = Bench::running();
        bench.says(&mixed);
        assert_eq!(bench.shown(), expected, "round {round}");
    }
}
