//! Turned bits, lost pieces and noise: no panic, and no value that was not sent.

use std::collections::BTreeSet;

use super::monitor::{Poll, attribute, cuff, list, object, simple};
use super::*;
use crate::vocabulary::chance::Chance;

fn conversation() -> Vec<Vec<u8>> {
    let mut messages = vec![monitor::accept(), monitor::create_event(1)];
    let mds = Poll { class: 0x21, group: 0, sequence: None, ..Poll::numerics(8_000) };
    messages.push(mds.of(&[monitor::mds()]));
    for second in 1..6u32 {
        let poll = Poll { sequence: Some(second as u16), ..Poll::numerics(8_000 * (second + 1)) };
        messages.push(poll.of(&[
            simple(7, 0x4182, 0, 0x0aa0, 60 + second),
            simple(8, 0x4bb8, if second == 3 { 0x8000 } else { 0 }, 0x0220, 97),
            cuff(0, 120 + second),
        ]));
        let alarm = alarms::entry(0x4bb8, 0x3e, 512, 0, "matala");
        let alarms = attribute(0x0902, list(&[alarm]));
        messages.push(Poll { class: 0x36, group: 0x0801, ..poll }.of(&[object(1, &[alarms])]));
    }
    messages
}

fn values(bench: &Bench) -> BTreeSet<String> {
    let readings = bench.readings().into_iter();
    let plain = readings.filter(|(group, _)| group.event.is_none());
    plain.map(|(_, reading)| say(reading)).collect()
}

fn run(framing: Framing, frames: &[Vec<u8>]) -> Bench {
    let mut bench = Bench::open(framing);
    bench.pass(1_500);
    for frame in frames {
        bench.driver.receive(frame, Peer(24_105), bench.now);
        bench.drain();
        bench.pass(100);
    }
    bench.pass(5_000);
    bench
}

#[test]
fn damaged_frames_give_no_value_that_was_not_sent() {
    let frames: Vec<Vec<u8>> =
        conversation().iter().map(|message| monitor::framed(message)).collect();
    let sent = values(&run(Framing::Rs232, &frames));
    assert!(sent.contains("0002-4182=61") && sent.contains("0002-4bb8: invalid"), "{sent:?}");
    let mut chance = Chance(7);
    for _ in 0..300 {
        let mut damaged = frames.clone();
        for _ in 0..=chance.below(4) {
            let at = chance.below(damaged.len() as u64) as usize;
            let frame = &mut damaged[at];
            let place = chance.below(frame.len().max(1) as u64) as usize;
            match chance.below(4) {
                0 => frame[place] ^= 1 << chance.below(8),
                1 => frame.truncate(place),
                2 => frame.insert(place, chance.below(256) as u8),
                _ => frame[place] = 0xc0 + chance.below(2) as u8,
            }
            if damaged[at].is_empty() {
                damaged.remove(at);
            }
        }
        let got = values(&run(Framing::Rs232, &damaged));
        assert!(got.is_subset(&sent), "{:?}", got.difference(&sent).collect::<Vec<_>>());
    }
}

#[test]
fn every_cut_of_a_stream_gives_the_same() {
    let frames: Vec<u8> =
        conversation().iter().flat_map(|message| monitor::framed(message)).collect();
    let events = |cuts: &mut dyn FnMut() -> usize| {
        let mut bench = Bench::open(Framing::Rs232);
        bench.pass(1_500);
        let mut left = &frames[..];
        while !left.is_empty() {
            let (head, tail) = left.split_at(cuts().clamp(1, left.len()));
            bench.driver.receive(head, Peer::STREAM, bench.now);
            bench.drain();
            left = tail;
        }
        (bench.messages, bench.all_sent, bench.identities)
    };
    let whole = events(&mut || usize::MAX);
    assert!(whole.0.len() > 5);
    assert!(events(&mut || 1) == whole);
    let mut chance = Chance(3);
    for _ in 0..20 {
        assert!(events(&mut || chance.below(60) as usize) == whole);
    }
}

#[test]
fn datagrams_lost_doubled_and_out_of_order_give_a_part_of_what_was_sent() {
    let messages = conversation();
    let sent = values(&run(Framing::Lan, &messages));
    let mut chance = Chance(11);
    for _ in 0..200 {
        let mut shuffled: Vec<Vec<u8>> = Vec::new();
        for message in &messages {
            match chance.below(6) {
                0 => {}
                1 => shuffled.extend([message.clone(), message.clone()]),
                2 => {
                    let at = shuffled.len().saturating_sub(chance.below(3) as usize);
                    shuffled.insert(at, message.clone());
                }
                _ => shuffled.push(message.clone()),
            }
        }
        let bench = run(Framing::Lan, &shuffled);
        assert!(values(&bench).is_subset(&sent));
        let rates = bench.said().iter().filter(|said| said.starts_with("0002-4182=")).count();
        assert!(rates <= 5, "a doubled datagram is one");
    }
}

/// A datagram is protected by UDP's checksum and not by ours: what still comes through damaged may
/// be anything, but never panics, and never a figure of another form than a number.
#[test]
fn noise_on_the_network_panics_nowhere() {
    let messages = conversation();
    let mut chance = Chance(5);
    for _ in 0..2_000 {
        let mut message = messages[chance.below(messages.len() as u64) as usize].clone();
        for _ in 0..=chance.below(6) {
            let place = chance.below(message.len() as u64) as usize;
            message[place] = chance.below(256) as u8;
        }
        message.truncate(chance.below(message.len() as u64 * 2) as usize + 1);
        run(Framing::Lan, &[messages[0].clone(), messages[1].clone(), message]);
    }
}
