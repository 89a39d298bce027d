//! The LIS01 conversation, played by a scripted sender.

use super::*;
use crate::protocol::Completeness;
use crate::vocabulary::Why;

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
    // The sender goes on: what it says now has a hole in it.
    assert_eq!(bench.feed(&record(5, L)), [NAK]);
    bench.feed(&[4]);
    assert_eq!(values(&bench), ["5.60"]);
    assert_eq!(bench.messages[0].completeness, Completeness::Incomplete);
    let whys = [Why::FrameNumber, Why::FrameNumber, Why::Incomplete];
    assert_eq!(refusals(&bench.messages[0]), whys);
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
fn a_sender_that_goes_on_after_a_refusal_is_not_believed_eight_frames_later() {
    // The patient and order of specimen B are damaged; eight results later the numbers fit again.
    for more in ["", "frame_numbers = 'not-checked'\n"] {
        let mut bench = Bench::new(&format!("{PLAIN}{more}"));
        bench.feed(&[5]);
        for (index, text) in [H, P, "O|1|SPECA", "R|1|^^^K|4.1"].into_iter().enumerate() {
            assert_eq!(bench.feed(&record(index + 1, text)), [ACK]);
        }
        let mut damaged = record(5, "O|2|SPECB");
        damaged[6] ^= 1;
        assert_eq!(bench.feed(&damaged), [NAK]);
        for number in 6..16 {
            let result = format!("R|{number}|^^^T|{}", 100 + number);
            assert_eq!(bench.feed(&record(number, &result)), [NAK], "{more}{number}");
        }
        bench.feed(&[4]);
        assert_eq!(values(&bench), ["4.1"]);
        assert_eq!(bench.messages[0].completeness, Completeness::Incomplete);
        // A new transmission is taken as ever.
        bench.feed(&[5]);
        assert_eq!(bench.feed(&record(1, H)), [ACK]);
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
fn odd_frame_numbers_are_taken_only_where_the_profile_says_so() {
    // As a collector joins frames: 1, 2, 1, 1, 5.
    let numbered = [(1, H), (2, P), (1, O), (1, R), (5, L)];
    let mut strict = begun(&[]);
    let answers: Vec<u8> =
        numbered.iter().flat_map(|(number, text)| strict.feed(&record(*number, text))).collect();
    assert_eq!(answers, [ACK, ACK, NAK, NAK, NAK]);
    let mut bench = Bench::new(&format!("{PLAIN}frame_numbers = 'not-checked'\n"));
    bench.feed(&[5]);
    for (number, text) in numbered {
        assert_eq!(bench.feed(&record(number, text)), [ACK]);
        // The same frame in a row is one that was sent again.
        assert_eq!(bench.feed(&record(number, text)), [ACK]);
    }
    bench.feed(&[4]);
    assert_eq!(values(&bench), ["5.60"]);
    let mut damaged = record(3, R);
    damaged[9] ^= 1;
    bench.feed(&[5]);
    assert_eq!(bench.feed(&damaged), [NAK], "the checksum counts as ever");
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
