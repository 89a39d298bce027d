use super::*;
use crate::protocol::LineError;

fn record(number: u8) -> Vec<u8> {
    let fields = [(4, ON), (10, 80), (122, ON), (128, 9700), (130, 79)];
    Made { number, plug: 0x7e7d, ..MADE }
        .with(1, basic(&fields))
        .with(1, class(3, MADE.time, &[(130, ON), (136, 6500)]))
        .frame()
}

fn stream() -> Vec<u8> {
    let mut damaged = record(3);
    damaged[100] ^= 4;
    [&[1, 2, 0x55][..], &record(1), &[0x7e, 0x7e], &record(2), &damaged, &[9, 9], &record(4)]
        .concat()
}

fn all(driver: &mut DriDriver) -> Vec<Event> {
    driver.link(LinkChange::Closed, NOW);
    events(driver)
}

#[test]
fn cuts_change_nothing() {
    let stream = stream();
    let mut whole = driver();
    whole.receive(&stream, Peer::STREAM, NOW);
    let whole = all(&mut whole);
    let readings = |events: &[Event]| {
        events
            .iter()
            .filter(|event| matches!(event, Event::Message(m) if !m.groups.is_empty()))
            .count()
    };
    assert_eq!(readings(&whole), 3);
    let mut bytewise = driver();
    stream.iter().for_each(|byte| bytewise.receive(&[*byte], Peer::STREAM, NOW));
    assert_eq!(all(&mut bytewise), whole);
    for cut in (0..stream.len()).step_by(7) {
        let mut driver = driver();
        let (head, tail) = stream.split_at(cut);
        driver.receive(head, Peer::STREAM, NOW);
        driver.receive(tail, Peer::STREAM, NOW);
        assert_eq!(all(&mut driver), whole, "cut at {cut}");
    }
}

/// Every byte that came is in some message, but for the flags of an idle line.
#[test]
fn nothing_that_came_is_lost() {
    let stream = stream();
    let mut driver = driver();
    driver.receive(&stream, Peer::STREAM, NOW);
    driver.link(LinkChange::Closed, NOW);
    let raws = messages(&mut driver).into_iter().flat_map(|message| message.raw);
    let kept = raws.filter(|byte| *byte != 0x7e).count();
    assert_eq!(kept, stream.iter().filter(|byte| **byte != 0x7e).count());
}

#[test]
fn no_flipped_bit_yields_a_value() {
    let good = record(1);
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let mut driver = driver();
        driver.receive(&flipped, Peer::STREAM, NOW);
        driver.link(LinkChange::Closed, NOW);
        let seen = messages(&mut driver);
        assert!(seen.iter().all(|one| one.groups.is_empty()), "bit {bit}");
    }
}

/// The sum is right and the structure is not: what an eight-bit sum misses.
#[test]
fn a_good_sum_over_a_wrong_structure_gives_no_value() {
    let good = MADE.with(1, basic(&[(122, ON), (128, 9700)])).with(1, class(3, MADE.time, &[]));
    let good = good.record();
    assert_eq!(texts(&fed(&mut driver(), &line(&good)))[0], "spo2 97.00");
    let with = |changes: &[(usize, u8)]| {
        let mut record = good.clone();
        changes.iter().for_each(|(at, byte)| record[*at] = *byte);
        record
    };
    let cut = good[..good.len() - 1].to_vec();
    let longer = [&good[..], &[0]].concat();
    let cases: [(&str, Vec<u8>, Why); 15] = [
        ("shorter than it says", cut, Why::TooShort),
        ("longer than it says", longer, Why::TooLong),
        ("a length below a header", with(&[(0, 20), (1, 0)]), Why::TooLong),
        ("a negative length", with(&[(1, 0xff)]), Why::TooLong),
        ("an interface level before 1995", with(&[(3, 1)]), Why::UnsupportedMessage),
        ("an interface level after 2015", with(&[(3, 12)]), Why::UnsupportedMessage),
        ("a main type of the network", with(&[(14, 5)]), Why::UnsupportedMessage),
        ("a main type that there is not", with(&[(14, 77)]), Why::UnsupportedMessage),
        ("the first sub-record not at 0", with(&[(16, 1)]), Why::OddSegment),
        ("the second one before the first", with(&[(19, 0), (20, 0)]), Why::OddSegment),
        ("the second one inside the first", with(&[(19, 20)]), Why::OddSegment),
        ("the second one behind the end", with(&[(20, 9)]), Why::OddSegment),
        ("no sub-record", with(&[(18, 0xff)]), Why::OddSegment),
        ("a kind that there is not", with(&[(18, 9)]), Why::UnknownMessage),
        ("a class that there is not", with(&[(40 + 277, 7)]), Why::OddSegment),
    ];
    for (what, record, why) in cases {
        let seen = fed(&mut driver(), &line(&record));
        assert!(seen[0].groups.is_empty(), "{what}");
        assert_eq!(seen[0].refusals[0].why, why, "{what}: {}", seen[0].refusals[0].detail);
    }
    let twice = with(&[(40 + 277, 3)]);
    assert!(fed(&mut driver(), &line(&twice))[0].groups.is_empty());
}

#[test]
fn one_record_of_another_monitor_is_damage_and_two_are_another_monitor() {
    let made = |number, plug| {
        Made { number, plug, ..MADE }.with(1, basic(&[(122, ON), (128, 9700)])).frame()
    };
    let mut driver = driver();
    let seen: Vec<usize> = [(1, 77), (2, 78), (3, 77), (4, 79), (5, 79), (6, 79)]
        .into_iter()
        .map(|(number, plug)| texts(&fed(&mut driver, &made(number, plug))).len())
        .collect();
    assert_eq!(seen, [4, 0, 4, 0, 4, 4]);
}

#[test]
fn bytes_that_the_port_calls_damaged_take_their_frame_along() {
    let good = record(1);
    let error = LinkChange::LineError(LineError::Parity);
    // In the middle, and at the first byte behind the flag.
    for at in [1, 50, good.len() - 1] {
        let mut driver = driver();
        driver.receive(&good[..at], Peer::STREAM, NOW);
        driver.link(error.clone(), NOW);
        driver.receive(&good[at..], Peer::STREAM, NOW);
        driver.receive(&record(2), Peer::STREAM, NOW);
        let seen = messages(&mut driver);
        assert!(seen.iter().any(|one| one.refusals[..].iter().any(|r| r.why == Why::IllegalByte)));
        assert_eq!(seen.iter().filter(|one| !one.groups.is_empty()).count(), 1, "{at}");
    }
}

#[test]
fn a_frame_that_stops_is_given_up_and_the_next_one_is_read() {
    let good = record(1);
    let mut driver = driver();
    driver.receive(&good[..200], Peer::STREAM, NOW);
    let due = driver.next_wake().unwrap();
    assert_eq!(due, NOW.plus_ms(3000));
    driver.wake(due);
    let seen = messages(&mut driver);
    assert_eq!((seen[0].refusals[0].why, seen[0].raw.len()), (Why::TimedOut, 200));
    assert_eq!(seen[0].completeness, Completeness::Incomplete);
    assert_eq!(fed(&mut driver, &good).len(), 1);
}

/// A line that never stops sending what is no frame neither fills the memory nor passes unseen.
#[test]
fn noise_without_end_is_handed_over_in_pieces() {
    for noise in [vec![0x11; 20_000], [&[0x7e][..], &[0x11; 20_000]].concat()] {
        let mut driver = driver();
        let seen = fed(&mut driver, &noise);
        assert!(seen.len() >= 6 && seen.iter().all(|one| one.groups.is_empty()));
    }
}

/// Garbage, cut anywhere, with good frames in between: never a panic, and a good frame behind two
/// flags always comes out.
#[test]
fn garbage_never_panics_and_never_hides_what_follows() {
    let mut state = 0x1234_5678_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    for round in 0..300 {
        let mut driver = driver();
        let mut bytes: Vec<u8> = record(9);
        for _ in 0..random() % 40 {
            let at = random() as usize % bytes.len().max(1);
            if bytes.is_empty() {
                break;
            }
            match random() % 4 {
                0 => bytes[at] = random() as u8,
                1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, [0x7e, 0x7d, 0x00, 0xff][random() as usize % 4]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let damaged = bytes != record(9);
        bytes.extend([0x7e, 0x7e]);
        bytes.extend(record(1));
        let seen = fed(&mut driver, &bytes);
        let values = seen.iter().filter(|one| !one.groups.is_empty()).count();
        // The sum has eight bits: what it misses, the structure may not.
        assert!((1..=2).contains(&values) || damaged, "round {round}: {values}");
        let last = seen.iter().rev().find(|one| !one.groups.is_empty());
        assert!(last.is_some(), "round {round}");
    }
}
