//! Shapes of transmissions: keep-alives, long frames, several messages, no L record, no framing.

use super::*;
use crate::protocol::Completeness;
use crate::vocabulary::Why;

#[test]
fn keep_alives_and_line_ends_say_nothing() {
    let mut bench = Bench::new(PLAIN);
    for _ in 0..3 {
        assert_eq!(bench.feed(&[5, 4]), [ACK]);
        assert_eq!(bench.feed(b"\r\n\x04"), SILENCE);
        bench.pass(60_000);
    }
    assert!(bench.messages.is_empty());
    bench.close();
    assert!(bench.messages.is_empty());
}

#[test]
fn bytes_outside_a_transmission_are_kept_as_one_message() {
    let mut bench = Bench::new(PLAIN);
    bench.feed(b"\r\nHELLO");
    bench.feed(&record(1, R));
    assert_eq!(bench.feed(&[5]), [ACK]);
    assert_eq!(bench.messages.len(), 1);
    let message = &bench.messages[0];
    let expected = [&b"HELLO"[..], &record(1, R)].concat();
    assert_eq!((&message.raw, refusals(message)), (&expected, vec![Why::Resync]));
    assert!(message.groups.is_empty());

    let mut bench = Bench::new(PLAIN);
    bench.feed(b"x");
    bench.pass(4_999);
    assert!(bench.messages.is_empty());
    bench.pass(1);
    assert_eq!(bench.messages.len(), 1);
}

#[test]
fn a_frame_of_64_kb_is_taken() {
    let mut bench = begun(&[H, P, O]);
    let long = "x".repeat(63_990);
    assert_eq!(bench.feed(&frame(4, format!("M|1|{long}\r").as_bytes(), 3)), [ACK]);
    assert_eq!(bench.feed(&record(5, R)), [ACK]);
    assert_eq!(bench.feed(&record(6, L)), [ACK]);
    assert_eq!(values(&bench), ["5.60"]);
}

#[test]
fn a_message_of_20_mb_is_refused_and_what_was_acknowledged_kept() {
    let mut bench = begun(&[H, P, O, R]);
    let big = format!("M|1|{}\r", "x".repeat(60_000));
    let mut acknowledged = 4;
    for number in 5..340 {
        match bench.feed(&frame(number, big.as_bytes(), 3)).as_slice() {
            [ACK] => acknowledged += 1,
            [NAK] => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(acknowledged < 20);
    assert_eq!(bench.feed(&frame(acknowledged + 1, big.as_bytes(), 3)), [NAK]);
    bench.feed(&[4]);
    let message = &bench.messages[0];
    assert_eq!(message.completeness, Completeness::Incomplete);
    assert!(message.raw.len() <= crate::protocol::MESSAGE_BYTES_MAX);
    assert!(refusals(message).contains(&Why::TooLong));
    assert_eq!(values(&bench), ["5.60"]);

    // The same as one frame without an end: bounded and refused.
    let mut bench = begun(&[H]);
    bench.feed(&[2, b'2']);
    for _ in 0..320 {
        bench.feed(&[b'x'; 65_536]);
    }
    assert_eq!(bench.feed(b"\x0300\r\n"), [NAK]);
    bench.close();
    assert!(bench.messages[0].raw.len() < 200_000);
}

#[test]
fn several_messages_of_one_transmission_are_settled_one_by_one() {
    let mut bench = begun(&[H, P, O, R, L]);
    for (index, text) in [H, O, R, L].into_iter().enumerate() {
        assert_eq!(bench.feed(&record(6 + index, text)), [ACK]);
    }
    bench.feed(&[4]);
    assert_eq!(bench.messages.len(), 2);
    let ids = |message: &Message| message.groups[0].subject.patient_ids.len();
    assert_eq!((ids(&bench.messages[0]), ids(&bench.messages[1])), (1, 0));
}

#[test]
fn a_message_that_begins_in_the_frame_that_ends_another_is_whole() {
    let mut bench = Bench::new(PLAIN);
    let text = [H, P, O, R, L, H, "P|1||OTHER", "O|1|SP10", R, L].join("\r") + "\r";
    bench.feed(&[5]);
    let cuts: Vec<&[u8]> = text.as_bytes().chunks(100).collect();
    for (index, part) in cuts.iter().enumerate() {
        let end = if index + 1 == cuts.len() { 3 } else { 0x17 };
        assert_eq!(bench.feed(&frame(index + 1, part, end)), [ACK]);
    }
    bench.feed(&[4]);
    assert_eq!(bench.messages.len(), 2);
    for (message, specimen) in bench.messages.iter().zip(["SP9", "SP10"]) {
        assert_eq!(message.completeness, Completeness::Complete);
        assert_eq!(message.groups[0].subject.specimen, specimen);
        let reading = &message.groups[0].readings[0];
        assert_eq!(&message.raw[reading.at.clone()], b"5.60");
    }
}

#[test]
fn without_l_records_every_frame_is_settled_before_its_acknowledgement() {
    let mut bench = Bench::new(&format!("{PLAIN}ends_with_l_record = 'no'\n"));
    bench.feed(&[5]);
    bench.store = None;
    let mut number = 0;
    for (index, text) in [H, P, O, R].into_iter().enumerate() {
        assert_eq!(bench.feed(&record(index + 1, text)), SILENCE);
        number += 1;
        assert_eq!(bench.settle(number, Settled::Durable), [ACK]);
    }
    bench.feed(&frame(5, b"R|2|^^^NA|14", 0x17));
    assert_eq!(bench.settle(5, NOT_KEPT), [NAK]);
    bench.feed(&frame(5, b"R|2|^^^NA|14", 0x17));
    assert_eq!(bench.settle(6, Settled::Durable), [ACK]);
    bench.feed(&frame(6, b"2|mmol/L\r", 3));
    assert_eq!(bench.settle(7, Settled::Durable), [ACK]);
    bench.feed(&[4]);
    assert_eq!(values(&bench), ["5.60", "142"]);
    let last = bench.messages.last().unwrap();
    assert_eq!(last.groups[0].subject.specimen, "SP9");
    assert_eq!(last.groups[0].subject.patient_ids[0].id, "PAT7");
    assert!(bench.messages.iter().all(|message| message.refusals.is_empty()));
}

#[test]
fn a_query_is_acknowledged_and_recorded_without_readings() {
    let mut bench = begun(&[H, "Q|1|^0000040735||^^^ALL||||||||O", L]);
    bench.feed(&[4]);
    let message = &bench.messages[0];
    assert_eq!(message.completeness, Completeness::Complete);
    assert!(message.groups.is_empty());
    assert_eq!(refusals(message), [Why::UnsupportedMessage]);
}

#[test]
fn a_line_error_refuses_the_open_frame() {
    use crate::protocol::LineError;
    let mut bench = begun(&[H, P, O]);
    bench.feed(&record(4, R)[..8]);
    bench.driver.link(LinkChange::LineError(LineError::Parity), at(0));
    assert_eq!(bench.feed(&record(4, R)[8..]), [NAK]);
    assert_eq!(bench.feed(&record(4, R)), [ACK]);
}

#[test]
fn records_without_lis01_are_cut_from_h_to_l() {
    let bare = format!("{PLAIN}framing = 'none'\n");
    let mut bench = Bench::new(&bare);
    let text = [H, P, O, R, L].join("\r") + "\r";
    assert_eq!(bench.feed(text.as_bytes()), SILENCE);
    assert_eq!(bench.feed(text.replace('\r', "\r\n").as_bytes()), SILENCE);
    assert_eq!(values(&bench), ["5.60", "5.60"]);
    // An L record without its CR counts after a second of silence; other stops do not.
    bench.feed(text.trim_end().as_bytes());
    bench.pass(1_000);
    assert_eq!(bench.messages[2].completeness, Completeness::Complete);
    bench.feed([H, P, O, R, "R|2|^^^NA|14"].join("\r").as_bytes());
    bench.pass(30_000);
    assert_eq!(bench.messages[3].completeness, Completeness::Incomplete);
    assert_eq!(values(&bench).len(), 4);
    bench.feed(b"noise\r");
    bench.feed(text.as_bytes());
    assert_eq!(refusals(&bench.messages[4]), [Why::Resync]);
    assert_eq!(bench.messages[5].completeness, Completeness::Complete);
}

#[test]
fn a_header_before_the_end_is_told_and_starts_afresh() {
    let mut bench = begun(&[H, P, O, R, H, "O|1|SP10", R, L]);
    bench.feed(&[4]);
    let message = &bench.messages[0];
    assert_eq!(refusals(message), [Why::Incomplete]);
    let ids: Vec<_> = message.groups.iter().map(|g| g.subject.patient_ids.len()).collect();
    assert_eq!(ids, [1, 0]);
}

#[test]
fn what_comes_while_a_message_is_stored_is_taken_in_afterwards() {
    let mut bench = Bench::new(PLAIN);
    bench.store = None;
    let one = transmission(&[H, P, O, R, L]);
    assert_eq!(bench.feed(&[one.clone(), one].concat()), [ACK; 5]);
    assert_eq!(bench.messages.len(), 1);
    // The frame's own ACK, the ENQ and four frames; the second message waits in its turn.
    assert_eq!(bench.settle(1, Settled::Durable), [ACK; 6]);
    assert_eq!(bench.messages.len(), 2);
    assert_eq!(bench.settle(2, Settled::Durable), [ACK]);
    assert_eq!(values(&bench), ["5.60", "5.60"]);
    bench.close();
    assert_eq!(bench.messages.len(), 2);
}
