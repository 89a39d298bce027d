//! Framing as the driver shows it: cuts anywhere, strays, limits, time.

use super::super::mllp::{BLOCK_WAIT_MS, END_WAIT_MS, STRAY_WAIT_MS, TOO_LONG_KEPT_BYTES};
use super::*;
use crate::protocol::{CloseWhy, Completeness, MESSAGE_BYTES_MAX};
use crate::vocabulary::Why;

/// Every event of a stream that comes in the given chunks, with every message settled at once.
fn events(chunks: &[&[u8]]) -> Vec<Event> {
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    let mut events = Vec::new();
    for chunk in chunks {
        driver.receive(chunk, Peer::STREAM, NOW);
        events.extend(drain(&mut driver));
    }
    driver.link(LinkChange::Closed, NOW);
    events.extend(drain(&mut driver));
    events
}

/// What people send: sloppy ends, strays, a broken block, unreadable and unsupported ones.
fn stream() -> Vec<u8> {
    let mut stream = b"noise\r\n".to_vec();
    let utf8 = [MSH, b"||||||UNICODE UTF-8"].concat();
    stream.extend(block(&[&utf8, "OBX|1|ST|N||Hämäläinen \\T\\ Poika||||||F".as_bytes()]));
    stream.extend(block(&[MSH, b"PID|||1", b"", b"XX|", b"OBX|1|NM|HR||60|/min|||||R"]));
    stream.extend(b"\x0B");
    stream.extend(block(&[b"MSH|^~\\&|A||||1||ADT^A01|2|P|2.6", b"PID|||1"]));
    stream.extend(b"\x0BMSH|^~\\&|A||||1||ORU^R01|3\rOBX|1|NM|A||");
    stream.extend(b"\x0BMSH|^~\\&|A||||1||ORU^R01|4\rOBX|1|NM|A||5\r\x1C");
    stream.extend(b"\x0B\x1C\x0D\x0Bjunk\x1C\x0D\r\nstray");
    stream.extend(block(&[MSH, b"OBX|1|NM|HR||\xE4|/min|||||R"]));
    stream.extend(b"\x0Bunfinished");
    stream
}

#[test]
fn the_events_do_not_depend_on_the_cuts() {
    let stream = stream();
    let whole = events(&[&stream]);
    let refusals = whole.iter().filter_map(|event| match event {
        Event::Message(message) => message.refusals.first().map(|refused| refused.why),
        Event::Send { .. }
        | Event::Samples(_)
        | Event::Identity(_)
        | Event::Trouble { .. }
        | Event::Close { .. } => None,
    });
    assert_eq!(
        refusals.collect::<Vec<_>>(),
        [
            Why::Resync,
            Why::OddSegment,
            Why::UnsupportedMessage,
            Why::Incomplete,
            Why::Unparseable,
            Why::Unparseable,
            Why::Resync,
            Why::Unreadable,
            Why::Incomplete
        ]
    );
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(events(&bytes), whole);
    for at in 0..stream.len() {
        let (head, tail) = stream.split_at(at);
        assert_eq!(events(&[head, tail]), whole, "cut at {at}");
    }
}

#[test]
fn every_byte_but_idle_ones_is_kept_raw() {
    let stream = stream();
    let mut kept = Vec::new();
    for event in events(&[&stream]) {
        if let Event::Message(message) = event {
            kept.extend(message.raw);
        }
    }
    // The doubled 0B is the only byte that carries nothing.
    let doubled = stream.windows(2).position(|two| two == b"\x0B\x0B").unwrap();
    let mut expected = stream.clone();
    expected.remove(doubled);
    assert_eq!(kept, expected);
}

#[test]
fn time_runs_out_for_what_is_not_finished() {
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    assert_eq!(driver.next_wake(), None);
    driver.receive(b"\x0BMSH|", Peer::STREAM, NOW);
    assert_eq!(driver.next_wake(), Some(NOW.plus_ms(BLOCK_WAIT_MS)));
    driver.wake(NOW.plus_ms(BLOCK_WAIT_MS - 1));
    assert_eq!(driver.poll(), None);
    driver.wake(NOW.plus_ms(BLOCK_WAIT_MS));
    let events = drain(&mut driver);
    let [Event::Message(message), Event::Close { why: CloseWhy::FrameUnfinished }] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((&message.raw[..], message.refusals[0].why), (&b"\x0BMSH|"[..], Why::TimedOut));
    assert_eq!(message.completeness, Completeness::Incomplete);
    assert_eq!(driver.next_wake(), None);

    driver.receive(b"stray", Peer::STREAM, NOW);
    driver.wake(NOW.plus_ms(STRAY_WAIT_MS));
    assert!(matches!(&drain(&mut driver)[..], [Event::Message(_)]));
    let unended = block(&[MSH, b"OBX|1|NM|HR||60|/min|||||R"]);
    driver.receive(&unended[..unended.len() - 1], Peer::STREAM, NOW);
    assert_eq!(driver.poll(), None);
    driver.wake(NOW.plus_ms(END_WAIT_MS));
    assert!(matches!(drain(&mut driver)[..], [Event::Message(_), Event::Identity(_)]));
    // The late last byte is nothing.
    driver.receive(b"\x0D", Peer::STREAM, NOW);
    driver.link(LinkChange::Closed, NOW);
    assert_eq!(drain(&mut driver), []);
}

#[test]
fn a_message_that_is_too_long_is_rejected_and_the_next_one_read() {
    let filler = vec![b'x'; MESSAGE_BYTES_MAX];
    let long = block(&[MSH, &[b"NTE|1||", &filler[..]].concat()]);
    let good = block(&[MSH, b"OBX|1|NM|HR||60|/min|||||R"]);
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    for chunk in [&long[..], &good[..]].concat().chunks(4096) {
        driver.receive(chunk, Peer::STREAM, NOW);
    }
    let events = drain(&mut driver);
    let [Event::Message(refused), Event::Message(read), Event::Identity(_)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(refused.raw, long[..TOO_LONG_KEPT_BYTES]);
    assert_eq!(refused.refusals[0].why, Why::TooLong);
    assert_eq!(readings(read).len(), 1);
    assert!(sent(&mut driver, 1, Settled::Durable)[0].contains("MSA|AR|42\r"));
    assert!(sent(&mut driver, 2, Settled::Durable)[0].contains("MSA|AA|42\r"));
}

#[test]
fn without_a_header_a_long_block_has_no_answer() {
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    driver.receive(&block(&[&vec![b'x'; MESSAGE_BYTES_MAX]]), Peer::STREAM, NOW);
    assert_eq!(drain(&mut driver).len(), 1);
    assert_eq!(sent(&mut driver, 1, Settled::Durable).len(), 0);
}
