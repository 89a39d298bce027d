//! Who speaks when.

use super::*;

const ICC: &[u8] = b"\x1bQ6C\r";
const WHO: &[u8] = b"\x1bR6D\r";
const NOP: &[u8] = b"\x1b04B\r";
const DATA: &[u8] = b"\x1b$3F\r";

#[test]
fn a_session_begins_as_the_sheet_says() {
    let mut bench = Bench::new();
    assert_eq!(bench.sent_bytes(), [ICC]);
    bench.says(ICC_REPLY);
    // The device's own command follows, and is answered.
    bench.says(&command(b"Q"));
    assert_eq!(bench.last_sent(), ICC_REPLY);
    bench.passes(49);
    assert_eq!(bench.sent.len(), 2);
    bench.passes(1);
    assert_eq!(bench.last_sent(), WHO);
    bench.says(&command(b"R"));
    assert_eq!(bench.last_sent(), reply(b"R0161'My PC'01.00:03.00"));
    bench.says(EVITA_4);
    assert_eq!(bench.identities[0].model, "Evita 4");
    assert_eq!(bench.troubles, []);
    // The device is left alone for 200 ms.
    let before = bench.sent.len();
    bench.passes(199);
    assert_eq!(bench.sent.len(), before);
    bench.passes(1);
    assert_eq!(bench.last_sent(), DATA);
}

#[test]
fn a_silent_device_is_initialised_again_and_again() {
    let mut bench = Bench::new();
    bench.passes(9000);
    assert_eq!(bench.sent_bytes(), vec![ICC.to_vec(); 4]);
    let times: Vec<u64> = bench.sent.iter().map(|(at, _)| *at).collect();
    assert_eq!(times, [0, 3000, 6000, 9000]);
    let words = bench.troubles.last().unwrap().as_deref().unwrap();
    assert!(words.contains("MEDIBUS"), "{words}");
    assert_eq!(bench.troubles.len(), 1);
}

#[test]
fn three_seconds_of_silence_end_the_session_and_what_is_known() {
    let mut bench = Bench::running();
    bench.says(&reply(b"$D6  12"));
    let before = bench.sent.len();
    bench.passes(2999);
    // Heard last at 310 ms; nothing that was sent since then is 51.
    assert!(!bench.sent_bytes()[before..].contains(&ICC.to_vec()));
    bench.passes(1);
    assert_eq!(bench.last_sent(), ICC);
    assert!(bench.troubles.last().unwrap().is_some());
    bench.says(&reply(b"$D6  12"));
    assert_eq!(bench.shown().last().unwrap(), "24:D6 12", "the table is not known any more");
}

#[test]
fn something_is_sent_at_least_every_two_seconds() {
    let mut bench = Bench::running();
    for _ in 0..40 {
        bench.passes(500);
        // The device lives, but has not finished its reply.
        bench.says(&command(b"0"));
    }
    let times: Vec<u64> = bench.sent.iter().map(|(at, _)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 2000), "{times:?}");
}

#[test]
fn an_idle_line_is_kept_alive_with_nop() {
    let text = "keep_alive_ms = 1500\nspacing_ms = 60";
    let mut bench = Bench::with(profile(text));
    bench.says(ICC_REPLY);
    bench.passes(60);
    bench.says(EVITA_4);
    for _ in 0..3 {
        bench.passes(200);
        let answer = [bench.last_sent()[1], b'x'];
        bench.says(&reply(&answer[..1]));
    }
    let at = bench.sent.len();
    // Every poll was answered; the next one is due a second later.
    bench.passes(900);
    assert!(bench.sent.len() > at);
    for (earlier, later) in bench.sent.iter().zip(bench.sent.iter().skip(1)) {
        assert!(later.0 - earlier.0 >= 60, "{earlier:?} {later:?}");
    }
}

#[test]
fn nop_is_sent_while_a_reply_is_waited_for_and_its_answer_disturbs_nothing() {
    let mut bench = Bench::running();
    bench.says(&command(b"0"));
    bench.passes(1500);
    assert_eq!(bench.last_sent(), NOP);
    bench.says(&reply(b"0"));
    bench.says(&reply(b"$D6  12"));
    assert_eq!(bench.shown()[0], "vent-resp-rate 12 /min");
}

#[test]
fn a_question_is_repeated_three_times_and_then_everything_begins_anew() {
    let mut bench = Bench::running();
    let asked = |bench: &Bench| bench.sent_bytes().iter().filter(|one| *one == DATA).count();
    assert_eq!(asked(&bench), 1);
    for _ in 0..50 {
        bench.passes(1000);
        // It says that it lives, and does not answer.
        bench.says(&command(b"0"));
        if bench.last_sent() == ICC {
            break;
        }
    }
    assert_eq!(asked(&bench), 4);
    let times: Vec<u64> =
        bench.sent.iter().filter(|(_, bytes)| bytes == DATA).map(|(at, _)| *at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 10_000), "{times:?}");
    let words = bench.troubles.iter().flatten().next().unwrap();
    assert!(words.contains("unanswered"), "{words}");
}

#[test]
fn a_damaged_reply_is_asked_for_again_at_once() {
    let mut bench = Bench::running();
    bench.says(b"\x01$D6  1200\r");
    assert_eq!(bench.refusals(), [Why::Checksum]);
    bench.passes(50);
    assert_eq!(bench.sent_bytes()[bench.sent.len() - 2..], [DATA, DATA]);
    bench.says(&reply(b"$D6  12"));
    assert_eq!(bench.shown()[0], "vent-resp-rate 12 /min");
}

#[test]
fn a_command_that_the_device_refuses_is_dropped_and_the_others_go_on() {
    let mut bench = Bench::running();
    for _ in 0..4 {
        assert_eq!(bench.last_sent(), DATA);
        bench.says(b"\x01\x1516\r");
        bench.passes(50);
    }
    assert_eq!(bench.last_sent(), b"\x1b'42\r");
    let words = bench.troubles.last().unwrap().as_deref().unwrap();
    assert!(words.contains("24"), "{words}");
    for _ in 0..20 {
        bench.says(&reply(&[bench.last_sent()[1]]));
        bench.passes(500);
    }
    assert_eq!(bench.sent_bytes().iter().filter(|one| *one == DATA).count(), 4);
}

#[test]
fn everything_that_the_device_asks_is_answered() {
    let mut bench = Bench::running();
    for (asked, answer) in [
        (&b"0"[..], reply(b"0")),
        (b"R", reply(b"R0161'My PC'01.00:03.00")),
        (b"$", reply(b"$")),
        (b"(", reply(b"(")),
        (b")", reply(b")")),
        (b"*", reply(b"*")),
        (b"I", reply(b"I")),
        (b"J$D6", reply(b"J")),
        (b"V", reply(b"V")),
        (b"Q", reply(b"Q")),
        (b"U", reply(b"U")),
        (b"z", reply(b"\x15")),
    ] {
        bench.says(&command(asked));
        assert_eq!(bench.last_sent(), answer, "{asked:?}");
    }
    // A damaged one, too, once there is a session.
    let mut bench = Bench::running();
    bench.says(b"\x1b046\r");
    assert_eq!(bench.last_sent(), reply(b"\x15"));
    let mut bench = Bench::new();
    bench.says(b"\x1b046\r");
    assert_eq!(bench.sent_bytes(), [ICC]);
}

#[test]
fn a_command_inside_a_reply_is_answered_and_the_reply_stands() {
    let body = reply(b"$D6  12B9 7.2");
    for at in 1..body.len() {
        for asked in [&b"0"[..], b"R", b"0"] {
            let mut bench = Bench::running();
            let (head, tail) = body.split_at(at);
            bench.says(&[head, &command(asked), tail].concat());
            assert_eq!(bench.last_sent()[..2], [0x01, asked[0]]);
            let shown = bench.shown();
            assert_eq!(shown[..2], ["vent-resp-rate 12 /min", "24:B9 7.2"], "{at}");
            // Where a value stands is told in the bytes as they came.
            let place = bench.readings()[1].at.clone();
            let raw = &bench.messages.last().unwrap().raw[place];
            assert!(raw.starts_with(b"B") && raw.ends_with(b"2"), "{at}");
        }
    }
}

#[test]
fn a_device_that_initialises_has_forgotten_everything() {
    let mut bench = Bench::running();
    bench.says(&command(b"Q"));
    assert_eq!(bench.last_sent(), ICC_REPLY);
    bench.passes(50);
    assert_eq!(bench.last_sent(), WHO);
    bench.says(&reply(b"R5000'Infinity V500'02.20:06.00"));
    bench.passes(200);
    bench.says(&reply(b"$06 8.5"));
    assert_eq!(bench.shown(), ["vent-vol-minute-away-insp 8.5 L/min"]);
}

#[test]
fn stop_is_answered_and_the_device_left_alone_for_a_while() {
    let mut bench = Bench::running();
    bench.says(&command(b"U"));
    assert_eq!(bench.last_sent(), reply(b"U"));
    let before = bench.sent.len();
    bench.passes(2999);
    assert_eq!(bench.sent.len(), before);
    bench.passes(1);
    assert_eq!(bench.last_sent(), ICC);
    assert!(bench.troubles.iter().flatten().any(|words| words.contains("STOP")));
}

#[test]
fn dc1_suspends_and_dc3_resumes() {
    let mut bench = Bench::running();
    bench.says(&reply(b"$D6  12"));
    bench.says(&[0x11]);
    bench.says(&command(b"0"));
    let before = bench.sent.len();
    bench.passes(1000);
    assert_eq!(bench.sent.len(), before, "nothing is sent while it is suspended");
    bench.says(&[0x13]);
    assert_eq!(bench.sent_bytes()[before], reply(b"0"));
    assert!(bench.sent.len() > before + 1, "what was due is asked");
    // One that never resumes: the session is over.
    bench.says(&[0x11]);
    for _ in 0..6 {
        bench.passes(500);
        bench.says(&command(b"0"));
    }
    assert!(bench.sent_bytes()[before..].contains(&ICC.to_vec()));
}

#[test]
fn a_digit_that_became_dc1_does_not_stop_the_conversation() {
    let mut bench = Bench::running();
    let mut bytes = reply(b"$D6  12");
    let at = bytes.iter().rposition(|byte| *byte == b'1').unwrap();
    bytes[at] = 0x11;
    bench.says(&bytes);
    assert_eq!(bench.refusals(), [Why::Checksum]);
    bench.passes(50);
    assert_eq!(bench.last_sent(), DATA);
}

#[test]
fn can_cancels_what_was_being_sent() {
    let mut bench = Bench::running();
    bench.says(b"\x01$D6  1\x18");
    assert_eq!(bench.refusals(), [Why::Incomplete]);
    bench.passes(50);
    assert_eq!(bench.last_sent(), DATA);
    bench.says(&reply(b"$D6  12"));
    assert_eq!(bench.shown()[0], "vent-resp-rate 12 /min");
}

#[test]
fn a_looped_cable_is_told_from_a_device() {
    let mut bench = Bench::new();
    for _ in 0..40 {
        let sent = bench.sent.len();
        let echo: Vec<u8> = bench.sent_bytes().concat();
        bench.sent.clear();
        bench.says(&echo);
        bench.passes(100);
        assert!(sent < 50);
    }
    assert!(bench.troubles.iter().flatten().any(|words| words.contains("loops")));
    assert_eq!(bench.readings().len(), 0);
    assert_eq!(bench.identities, []);
}

#[test]
fn line_errors_spoil_the_frame_that_they_are_in() {
    let mut bench = Bench::running();
    let body = reply(b"$D6  12");
    let (head, tail) = body.split_at(6);
    bench.says(head);
    bench.driver.link(LinkChange::LineError(crate::protocol::LineError::Parity), bench.now);
    bench.says(tail);
    assert_eq!(bench.refusals(), [Why::IllegalByte]);
    assert_eq!(bench.shown(), Vec::<String>::new());
}

#[test]
fn real_time_signals_are_asked_for_only_where_the_file_says_so() {
    let waves = "wave = [{ code = \"00\" }, { code = \"01\", multiplier = 2 }]";
    let mut bench = Bench::with(profile(waves));
    bench.says(ICC_REPLY);
    bench.passes(60);
    bench.says(EVITA_4);
    bench.passes(200);
    assert_eq!(bench.last_sent(), command(b"S"));
    let forms = b"S00    5200-  60  12070801    5200-  40   40320";
    bench.says(&reply(forms));
    bench.passes(50);
    assert_eq!(bench.last_sent(), command(b"T00010102"));
    bench.says(&reply(b"T"));
    // The sheet's example for streams 1 and 2.
    assert_eq!(bench.last_sent(), [0xD0, 0xC1, 0xC3, 0xC0, 0xC0]);
    bench.passes(60);
    let mut bytes = vec![0xD3, 0x91, 0x81, 0x8D, 0x83, 0xC6, 0xC0, 0xD1, 0x80, 0x80, 0xD3, 0x80];
    bytes.extend(reply(b"$D6  12"));
    bytes.extend([0xD1, 0x81, 0x80, 0xCF, 0xC0, 0xD0]);
    bench.says(&bytes);
    bench.passes(1000);
    let arrays = &bench.samples[0].arrays;
    // The third cycle lost a byte, the fourth says that it is corrupt.
    assert_eq!(arrays[0].samples, [Some(81), Some(0), None, None]);
    assert_eq!(arrays[1].samples, [Some(205), None]);
    assert_eq!(arrays[1].period.us, 10_400);
    let scale = crate::vocabulary::Scale::Span {
        lower: "-60".into(),
        upper: "120".into(),
        raw_lower: 0,
        raw_upper: 0x708,
    };
    assert_eq!(arrays[0].scale, scale);
    // The device changes its signals: everything is asked anew, and nothing decoded meanwhile.
    bench.says(&command(b"V"));
    bench.says(&[0xD3, 0x91, 0x81, 0x8D, 0x83, 0xD0]);
    bench.says(&reply(b"'"));
    bench.passes(100);
    assert!(bench.sent_bytes().iter().filter(|one| **one == command(b"S")).count() == 2);
    assert_eq!(bench.samples.len(), 1);
}

#[test]
fn old_devices_get_no_arguments() {
    let mut bench = Bench::with(profile("wave = [{ code = \"00\" }]"));
    bench.says(ICC_REPLY);
    bench.passes(60);
    bench.says(&reply(b"R8240'Evita 4'01.00:02.99"));
    bench.passes(200);
    assert_eq!(bench.last_sent(), DATA);
    assert!(bench.troubles.last().unwrap().as_deref().unwrap().contains("03.00"));
}

#[test]
fn a_reply_that_takes_longer_than_its_time_is_none() {
    let mut bench = Bench::running();
    bench.says(b"\x01$D6");
    for _ in 0..9 {
        bench.passes(1000);
        // It goes on, one byte a second.
        bench.says(b" ");
    }
    let before = bench.sent.len();
    bench.passes(1200);
    assert!(bench.sent_bytes()[before..].contains(&DATA.to_vec()), "it is asked for again");
    assert_eq!(bench.refusals(), [Why::TimedOut]);
    bench.says(b"1200\r");
    assert_eq!(bench.shown(), Vec::<String>::new());
}

#[test]
fn nothing_is_repeated_into_a_reply_that_is_under_way() {
    let mut bench = Bench::running();
    let before = bench.sent.len();
    let good = reply(b"$D6  12");
    bench.says(b"\x01$D6  1200\r");
    bench.says(&good[..4]);
    bench.passes(900);
    assert_eq!(bench.sent.len(), before);
    bench.says(&good[4..]);
    assert_eq!(bench.shown()[0], "vent-resp-rate 12 /min");
}

#[test]
fn forms_of_signals_that_nobody_asked_for_change_nothing() {
    let mut bench = Bench::running();
    let before = bench.sent.len();
    bench.says(&reply(b"S00    5200-  60  120708"));
    bench.passes(500);
    assert_eq!((bench.sent.len(), bench.troubles.len()), (before, 0));
}
