//! The LIS01 conversation, played by a scripted sender.

use super::*;
use crate::protocol::Completeness;
use crate::vocabulary::Why;

const SILENCE: [u8; 0] = [];
const H: &str = r"H|\^&|||LAB^1.0^S1|||||||P|1|20260101000000";
const P: &str = "P|1||PAT7";
const O: &str = "O|1|SP9";
const R: &str = "R|1|^^^GLU|5.60|mmol/L||N||F||||20260101080000";
const L: &str = "L|1|N";

fn record(number: usize, record: &str) -> Vec<u8> {
    frame(number, format!("{record}\r").as_bytes(), 3)
}

/// ENQ and the frames of these records, each of which must be acknowledged.
fn begun(records: &[&str]) -> Bench {
    let mut bench = Bench::new(PLAIN);
    assert_eq!(bench.feed(&[5]), [ACK]);
    for (index, text) in records.iter().enumerate() {
        assert_eq!(bench.feed(&record(index + 1, text)), [ACK]);
    }
    bench
}

fn values(bench: &Bench) -> Vec<&str> {
    bench.readings().iter().map(|reading| reading.value.as_sent()).collect()
}

fn refusals(message: &Message) -> Vec<Why> {
    message.refusals.iter().map(|refused| refused.why).collect()
}

#[test]
fn a_message_is_acknowledged_only_when_it_is_durable() {
    for (how, answer) in [(Settled::Durable, ACK), (Settled::Repeat, ACK), (NOT_KEPT, NAK)] {
        let mut bench = begun(&[H, P, O, R]);
        bench.store = None;
        assert_eq!(bench.feed(&record(5, L)), SILENCE);
        assert_eq!(bench.messages.len(), 1);
        assert_eq!(bench.pass(10_000), SILENCE);
        assert_eq!(bench.settle(1, how), [answer]);
        assert_eq!(bench.settle(1, how), SILENCE, "one answer only");
    }
}

#[test]
fn a_message_that_was_not_kept_is_taken_again() {
    let mut bench = begun(&[H, P, O, R]);
    bench.store = Some(NOT_KEPT);
    assert_eq!(bench.feed(&record(5, L)), [NAK]);
    bench.store = Some(Settled::Durable);
    assert_eq!(bench.feed(&record(5, L)), [ACK]);
    assert_eq!(bench.messages.len(), 2);
    let [first, second] = bench.messages.as_slice() else { panic!() };
    assert_eq!((&first.raw, &first.groups), (&second.raw, &second.groups));
    assert_eq!(bench.feed(&[4]), SILENCE);
    assert_eq!(bench.messages.len(), 2);
}

#[test]
fn frames_acknowledged_before_a_message_that_was_not_kept_are_handed_over() {
    let mut bench = begun(&[H, P, O, R]);
    bench.store = Some(NOT_KEPT);
    assert_eq!(bench.feed(&record(5, L)), [NAK]);
    bench.feed(&[4]);
    assert_eq!(bench.messages.len(), 2);
    assert_eq!(bench.messages[1].completeness, Completeness::Incomplete);
    assert_eq!(bench.messages[1].groups[0].readings.len(), 1);
}

#[test]
fn a_late_settlement_gets_no_stray_acknowledgement() {
    // The sender's 15 s are over.
    let mut bench = begun(&[H, P, O, R]);
    bench.store = None;
    bench.feed(&record(5, L));
    assert_eq!(bench.pass(16_000), SILENCE);
    assert_eq!(bench.settle(1, Settled::Durable), SILENCE);
    assert_eq!(bench.feed(&[4]), SILENCE);
    assert_eq!(bench.feed(&[5]), [ACK]);

    // The sender gave up earlier and said so.
    let mut bench = begun(&[H, P, O, R]);
    bench.store = None;
    bench.feed(&record(5, L));
    assert_eq!(bench.feed(&[4]), SILENCE);
    assert_eq!(bench.settle(1, Settled::Durable), SILENCE);
    assert_eq!(bench.feed(&[5]), [ACK]);
    assert_eq!(bench.feed(&record(1, H)), [ACK]);

    // It asks anew without EOT: one answer, to that, and only when the message is durable.
    let mut bench = begun(&[H, P, O, R]);
    bench.store = None;
    bench.feed(&record(5, L));
    assert_eq!(bench.feed(&[5]), SILENCE);
    assert_eq!(bench.settle(1, Settled::Durable), [ACK]);
    assert_eq!(bench.feed(&record(1, H)), [ACK]);

    // The same, but the message was not kept: one NAK, which means "busy" to an ENQ.
    let mut bench = begun(&[H, P, O, R]);
    bench.store = None;
    bench.feed(&record(5, L));
    assert_eq!(bench.feed(&[5]), SILENCE);
    assert_eq!(bench.settle(1, NOT_KEPT), [NAK]);
    assert_eq!(bench.feed(&[5]), [ACK]);
}

#[test]
fn settlements_of_another_session_or_message_change_nothing() {
    let mut bench = begun(&[H, P, O, R]);
    bench.store = None;
    bench.feed(&record(5, L));
    assert_eq!(bench.settle(2, Settled::Durable), SILENCE);
    let old = MessageId { session: Session(6), number: 1 };
    bench.driver.settled(old, Settled::Durable, at(0));
    assert_eq!(bench.driver.poll(), None);
    assert_eq!(bench.settle(1, Settled::Durable), [ACK]);
}

#[test]
fn a_frame_sent_again_after_a_lost_acknowledgement_counts_once() {
    let mut bench = begun(&[H, P, O, R]);
    assert_eq!(bench.feed(&record(4, R)), [ACK]);
    assert_eq!(bench.feed(&record(5, L)), [ACK]);
    assert_eq!(bench.feed(&record(5, L)), [ACK]);
    bench.feed(&[4]);
    assert_eq!(bench.messages.len(), 1);
    assert_eq!(values(&bench), ["5.60"]);
    assert!(bench.messages[0].refusals.is_empty());
}

#[test]
fn another_frame_under_the_last_number_is_not_a_repeat() {
    let mut bench = begun(&[H, P, O, R]);
    let other = record(4, "R|1|^^^GLU|6.50|mmol/L||N||F||||20260101080000");
    assert_eq!(bench.feed(&other), [NAK]);
    bench.feed(&record(5, L));
    assert_eq!(values(&bench), ["5.60"]);
    assert_eq!(refusals(&bench.messages[0]), [Why::FrameNumber]);
}

#[test]
fn bad_frames_are_refused_and_the_next_good_one_counts() {
    let good = record(4, R);
    let mut sum = good.clone();
    sum[10] ^= 1;
    let mut digits = good.clone();
    let at = digits.len() - 4;
    digits[at] = b'Z';
    let mut control = frame(4, b"R|1|^^^GLU|5\x01.60\r", 3);
    control[0] = 2;
    let cases = [
        (sum, Why::Checksum),
        (digits, Why::Checksum),
        (record(6, R), Why::FrameNumber),
        (record(3, R), Why::FrameNumber),
        (control, Why::IllegalByte),
        (frame(4, b"R|1|^^^GLU|5.\x0a60\r", 3), Why::IllegalByte),
        (frame(4, &vec![b'x'; 64_001], 3), Why::TooLong),
    ];
    for (bad, why) in cases {
        let mut bench = begun(&[H, P, O]);
        assert_eq!(bench.feed(&bad), [NAK], "{why:?}");
        assert_eq!(bench.feed(&good), [ACK], "{why:?}");
        bench.feed(&record(5, L));
        assert_eq!(values(&bench), ["5.60"]);
        assert_eq!(refusals(&bench.messages[0]), [why]);
        let at = bench.messages[0].refusals[0].at.clone();
        assert!(bad.starts_with(&bench.messages[0].raw[at]), "the refused bytes are kept");
    }
}

#[test]
fn a_missing_trailer_is_refused_unless_the_profile_allows_it() {
    let mut bare = record(4, R);
    bare.truncate(bare.len() - 2);
    let mut bench = begun(&[H, P, O]);
    assert_eq!(bench.feed(&bare), SILENCE);
    assert_eq!(bench.feed(&record(4, R)), [NAK, ACK]);
    for tail in [&b""[..], b"\r", b"\n", b"\r\n"] {
        let mut bench = Bench::new(&format!("{PLAIN}trailer = 'optional'\n"));
        bench.feed(&[5]);
        for (index, text) in [H, P, O, R, L].into_iter().enumerate() {
            let mut bytes = record(index + 1, text);
            bytes.truncate(bytes.len() - 2);
            bytes.extend_from_slice(tail);
            assert_eq!(bench.feed(&bytes), [ACK]);
        }
        assert_eq!(values(&bench), ["5.60"]);
        assert!(bench.messages[0].refusals.is_empty());
    }
}

#[test]
fn stx_inside_a_frame_begins_it_anew() {
    let mut bench = begun(&[H, P, O]);
    let mut twice = record(4, R)[..12].to_vec();
    twice.extend(record(4, R));
    assert_eq!(bench.feed(&twice), [ACK]);
    bench.feed(&record(5, L));
    assert_eq!(values(&bench), ["5.60"]);
    assert_eq!(refusals(&bench.messages[0]), [Why::TooShort]);
}

#[test]
fn enq_between_frames_begins_anew_and_loses_nothing() {
    let mut bench = begun(&[H, P, O, R]);
    assert_eq!(bench.feed(&[5]), [ACK]);
    assert_eq!(bench.messages.len(), 1);
    assert_eq!(bench.messages[0].completeness, Completeness::Incomplete);
    assert_eq!(values(&bench), ["5.60"]);
    assert_eq!(bench.feed(&record(1, H)), [ACK]);
}

#[test]
fn a_flipped_bit_never_makes_an_enq_that_is_acknowledged() {
    // 'E' in the checksum and the CR behind it are one bit away from ENQ.
    let good = record(4, R);
    for at in 1..good.len() {
        let mut bad = good.clone();
        bad[at] = 5;
        let mut bench = begun(&[H, P, O]);
        let answer = bench.feed(&bad);
        assert!(!answer.contains(&ACK), "ENQ at {at} of the frame was acknowledged");
        assert!(values(&bench).is_empty());
    }
}

#[test]
fn a_sender_that_stops_inside_a_frame_is_believed_after_a_silence() {
    let mut bench = begun(&[H, P, O, R]);
    assert_eq!(bench.feed(&record(5, R)[..9]), SILENCE);
    assert_eq!(bench.feed(&[4]), SILENCE);
    assert_eq!(bench.pass(1_000), SILENCE);
    assert_eq!(bench.messages[0].completeness, Completeness::Incomplete);
    assert_eq!(values(&bench), ["5.60"]);

    let mut bench = begun(&[H, P, O, R]);
    bench.feed(&record(5, R)[..9]);
    assert_eq!(bench.feed(&[5]), SILENCE);
    assert_eq!(bench.pass(1_000), [ACK]);
    assert_eq!(bench.feed(&record(1, H)), [ACK]);

    let mut bench = begun(&[H, P, O, R]);
    bench.feed(&record(5, R)[..9]);
    assert_eq!(bench.feed(&[4, 5]), [ACK]);
    assert_eq!(bench.messages.len(), 1);
}

#[test]
fn silence_of_thirty_seconds_ends_the_transmission_without_a_word() {
    let mut bench = begun(&[H, P, O, R]);
    bench.feed(&record(5, R)[..9]);
    assert_eq!(bench.pass(29_999), SILENCE);
    assert!(bench.messages.is_empty());
    assert_eq!(bench.pass(1), SILENCE);
    assert_eq!(bench.messages.len(), 1);
    assert_eq!(bench.messages[0].completeness, Completeness::Incomplete);
    assert_eq!(refusals(&bench.messages[0]), [Why::TimedOut, Why::TimedOut]);
    assert_eq!(values(&bench), ["5.60"]);
    // Neutral: the rest of the frame means nothing.
    assert_eq!(bench.feed(&record(5, R)[9..]), SILENCE);
    assert_eq!(values(&bench), ["5.60"]);
}

#[test]
fn the_end_without_an_l_record_is_incomplete_and_kept() {
    let mut bench = begun(&[H, P, O, R]);
    assert_eq!(bench.feed(&[4]), SILENCE);
    let message = &bench.messages[0];
    assert_eq!(message.completeness, Completeness::Incomplete);
    assert_eq!(refusals(message), [Why::Incomplete]);
    assert_eq!(values(&bench), ["5.60"]);
}

#[test]
fn a_record_that_was_cut_off_gives_no_reading() {
    let mut bench = begun(&[H, P, O]);
    assert_eq!(bench.feed(&frame(4, b"R|1|^^^GLU|5.60|mmol/L\rR|2|^^^NA|14", 0x17)), [ACK]);
    bench.feed(&[4]);
    assert_eq!(values(&bench), ["5.60"]);
    assert_eq!(refusals(&bench.messages[0]), [Why::Incomplete, Why::Incomplete]);
}

#[test]
fn a_closed_link_keeps_what_was_acknowledged() {
    let mut bench = begun(&[H, P, O, R]);
    bench.close();
    assert_eq!(bench.messages[0].completeness, Completeness::Incomplete);
    assert_eq!(values(&bench), ["5.60"]);

    let mut bench = begun(&[H, P, O, R, L]);
    bench.close();
    assert_eq!(bench.messages.len(), 1);
    assert_eq!(bench.messages[0].completeness, Completeness::Complete);
}

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
