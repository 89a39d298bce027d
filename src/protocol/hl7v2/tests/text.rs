//! Text comes through exactly, or not at all.

use super::super::segments::{Delimiters, Line, split};
use super::*;
use crate::vocabulary::reading::StatedPatientId;
use crate::vocabulary::{AbsentReason, Why};

/// The first value of a message with `value` in OBX-5 and `charset` in MSH-18.
fn value(charset: &[u8], value: &[u8]) -> Message {
    let msh = [MSH, b"||||||", charset].concat();
    let obx = [b"OBX|1|ST|NAME||".as_slice(), value, b"||||||F"].concat();
    read(&[&msh, &obx])
}

fn text(message: &Message) -> &str {
    readings(message)[0].value.as_sent()
}

fn is_guessed(message: &Message) -> bool {
    readings(message)[0].flags.iter().any(|flag| flag.0 == "charset-guessed")
}

#[test]
fn finnish_names_and_units_come_through_exactly() {
    let utf8 = value(b"UNICODE UTF-8", r"Hämäläinen \T\ Poika".as_bytes());
    assert_eq!((text(&utf8), is_guessed(&utf8)), ("Hämäläinen & Poika", false));
    let utf8 = value(b"UTF-8", r"5 µg\F\ml".as_bytes());
    assert_eq!((text(&utf8), is_guessed(&utf8)), ("5 µg|ml", false));
    let latin1 = value(b"8859/1", b"H\xE4m\xE4l\xE4inen \\T\\ Poika");
    assert_eq!((text(&latin1), is_guessed(&latin1)), ("Hämäläinen & Poika", false));
    let latin9 = value(b"8859/15", b"\xA6\xB4 5 \xA4");
    assert_eq!(text(&latin9), "ŠŽ 5 €");
}

#[test]
fn without_msh_18_the_site_then_the_profile_then_a_marked_guess() {
    let guessed = value(b"", b"\xC5\xC4\xD6");
    assert_eq!((text(&guessed), is_guessed(&guessed)), ("ÅÄÖ", true));
    let guessed = value(b"", "ÅÄÖ".as_bytes());
    assert_eq!((text(&guessed), is_guessed(&guessed)), ("ÅÄÖ", true));
    let guessed = value(b"", b"\x8A\x9E 5 \x80");
    assert_eq!((text(&guessed), is_guessed(&guessed)), ("Šž 5 €", true));
    let plain = value(b"", b"Abo");
    assert_eq!((text(&plain), is_guessed(&plain)), ("Abo", false));

    let block = block(&[MSH, b"OBX|1|ST|NAME||\xA6||||||F"]);
    let of_profile = profile("charset = \"8859/1\"");
    let by_profile = read_with(of_profile.clone(), Site::default(), &block);
    assert_eq!((text(&by_profile), is_guessed(&by_profile)), ("¦", false));
    let site = Site { charset: Some("8859/15".to_owned()), ..Site::default() };
    let by_site = read_with(of_profile, site, &block);
    assert_eq!((text(&by_site), is_guessed(&by_site)), ("Š", false));
}

/// A unit in UTF-8 from a peer that is read as ISO 8859-1: by its device file, by the site, or by
/// its own word in MSH-18.
#[test]
fn utf_8_that_is_read_in_a_single_byte_set_is_doubted() {
    let unit = |charset: &[u8], unit: &[u8]| {
        let msh = [MSH, b"||||||", charset].concat();
        block(&[&msh, &[b"OBX|1|NM|CRP||5|".as_slice(), unit, b"|||||F"].concat()])
    };
    let by_profile = || profile("charset = \"8859/1\"");
    let site = || Site { charset: Some("8859/15".to_owned()), ..Site::default() };
    let utf8 = "\u{b5}g/L".as_bytes();
    for (profile, site, charset) in [
        (by_profile(), Site::default(), &b""[..]),
        (Hl7v2Profile::default(), site(), b""),
        (Hl7v2Profile::default(), Site::default(), b"8859/1"),
        (Hl7v2Profile::default(), Site::default(), b"8859/9"),
    ] {
        let doubted = read_with(profile.clone(), site.clone(), &unit(charset, utf8));
        assert!(is_guessed(&doubted), "{}", charset.escape_ascii());
        let sure = read_with(profile.clone(), site.clone(), &unit(charset, b"\xB5g/L"));
        assert!(!is_guessed(&sure), "{}", charset.escape_ascii());
        let escaped = read_with(profile, site, &unit(charset, br"\XC2B5\g/L"));
        assert!(is_guessed(&escaped), "{}", charset.escape_ascii());
    }
    let said = read(&[&[MSH, b"||||||UNICODE UTF-8"].concat(), b"OBX|1|ST|N||\xC2\xB5||||||F"]);
    assert!(!is_guessed(&said));
    // A name that nobody reads is no doubt about a number.
    let named = block(&[MSH, b"PID|||7||H\xC3\xA4m", b"OBX|1|NM|HR||60|/min|||||F"]);
    assert!(!is_guessed(&read_with(by_profile(), Site::default(), &named)));
}

#[test]
fn a_merge_in_latin_1_without_msh_18_is_kept_and_rejected_unread() {
    // The form of ADT^A40 that was seen (facts/semantics.md 1.7 item 3).
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    let raw = block(&[
        b"MSH|^~\\&|MPI|ENTERPRISE|X|Y|20120510163534||ADT^A40|merge-1|P^T|2.3.1",
        b"PID|1||305014^^^MPI||M\xC4KEL\xC4^\xD6RJAN",
        b"MRG|305010",
    ]);
    driver.receive(&raw, Peer::STREAM, NOW);
    let events = drain(&mut driver);
    let [Event::Message(message)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((&message.raw, message.refusals[0].why), (&raw, Why::UnsupportedMessage));
    assert!(sent(&mut driver, 1, Settled::Durable)[0].contains("MSA|AR|merge-1\r"));
}

#[test]
fn bytes_that_belie_the_character_set_are_refused_and_nothing_else_is() {
    let message = read(&[
        &[MSH, b"||||||UNICODE UTF-8"].concat(),
        b"PID|||1^^^HVA^MR||M\xE4kel\xE4^Eke",
        b"OBR|1|||X|||20261123043255+0200",
        b"OBX|1|ST|NAME||\xC5||||||F",
        b"OBX|2|NM|HR||60|/min|||||F",
        b"OBX|3|NM|SpO2||97|\xB5g|||||F",
    ]);
    assert_eq!(readings(&message).len(), 1);
    assert_eq!(readings(&message)[0].value.as_sent(), "60");
    let refused: Vec<Why> = message.refusals.iter().map(|refused| refused.why).collect();
    assert_eq!(refused, [Why::Charset; 3]);
    let bad = &message.refusals[0];
    assert_eq!(&message.raw[bad.at.clone()], b"\xC5");
    assert!(message.refusals.iter().all(|refused| !refused.detail.contains("kel")));
}

#[test]
fn a_patients_number_is_never_read_with_a_replacement() {
    let message = read(&[
        &[MSH, b"||||||ASCII"].concat(),
        b"PID|||12\xC4^^^HVA^MR",
        b"OBX|1|NM|HR||60|/min|||||F",
    ]);
    assert_eq!(message.groups[0].subject.patient_ids, []);
    assert_eq!(message.refusals.len(), 1);
    let guessed = read(&[MSH, b"PID|||12\xC4^^^HVA^MR", b"OBX|1|NM|HR||60|/min|||||F"]);
    let id = StatedPatientId { id: "12Ä".into(), authority: "HVA".into(), id_type: "MR".into() };
    assert!(guessed.groups[0].subject.patient_ids == [id]);
    assert!(is_guessed(&guessed));
}

#[test]
fn a_character_set_that_is_not_read_refuses_its_segments_whole() {
    // In GB 18030 the second byte may be 7C, the field separator.
    let message = read(&[
        &[MSH, b"||||||GB 18030-2000"].concat(),
        b"PID|||1^^^HVA^MR||\x81|5",
        b"OBX|1|NM|HR||60|/min|||||F",
        b"OBX|2|ST|\x81|||5||||||F",
    ]);
    assert_eq!(readings(&message).len(), 1);
    assert_eq!(message.groups[0].subject.patient_ids, []);
    assert_eq!(message.refusals.len(), 2);
}

#[test]
fn odd_lines_are_refused_and_what_follows_is_read() {
    for end in [b"\r".as_slice(), b"\n", b"\r\n"] {
        let lines: [&[u8]; 9] = [
            MSH,
            b"PID",
            b"",
            b"OBR|1|||X",
            b"OBX|1|NM|HR||60|/min|||||F",
            b"XX|1|2",
            b"free text",
            b"OBX|2|NM|SpO2||97|%|||||F",
            b"",
        ];
        let raw = [b"\x0B", lines.join(end).as_slice(), b"\x1C\x0D"].concat();
        let message = read_with(Hl7v2Profile::default(), Site::default(), &raw);
        let values: Vec<_> = readings(&message).iter().map(|r| r.value.as_sent()).collect();
        assert_eq!(values, ["60", "97"]);
        assert_eq!(message.groups.len(), 1);
        let odd: Vec<_> = message.refusals.iter().map(|r| (r.why, &raw[r.at.clone()])).collect();
        assert_eq!(
            odd,
            [
                (Why::OddSegment, b"".as_slice()),
                (Why::OddSegment, b"XX|1|2"),
                (Why::OddSegment, b"free text")
            ]
        );
    }
}

#[test]
fn a_value_that_a_line_end_may_have_cut_is_no_result() {
    let cut = read(&[
        MSH,
        b"OBX|1|NM|A||60",
        b"OBX|2|TX|CULTURE||No growth",
        b"in 24 h, then E. coli||||||F",
        b"OBX|3|NM|B||5",
        b"12",
        b"OBX|4|ST|C||Not Detected",
    ]);
    let values: Vec<_> = readings(&cut).iter().map(|r| r.value.as_sent()).collect();
    assert_eq!(values, ["60", "Not Detected"]);
    let refused: Vec<_> = cut.refusals.iter().map(|r| (r.why, &cut.raw[r.at.clone()])).collect();
    assert_eq!(
        refused,
        [
            (Why::OddSegment, b"in 24 h, then E. coli||||||F".as_slice()),
            (Why::Unreadable, b"No growth"),
            (Why::OddSegment, b"12"),
            (Why::Unreadable, b"5"),
        ]
    );
}

#[test]
fn a_message_that_ends_inside_its_last_result_gives_no_value_of_it() {
    // Cut inside OBX-5, and inside OBX-8, which would have said DEMO.
    for cut in [&b"OBX|2|NM|B||14"[..], b"OBX|2|NM|B||77|%||DE"] {
        let mut block = vec![0x0b];
        block.extend_from_slice(MSH);
        block.extend_from_slice(b"\rOBX|1|NM|A||60|%|||||F\r");
        block.extend_from_slice(cut);
        block.extend_from_slice(&[0x1c, 0x0d]);
        let message = read_with(Hl7v2Profile::default(), Site::default(), &block);
        let values: Vec<_> = readings(&message).iter().map(|r| r.value.as_sent()).collect();
        assert_eq!(values, ["60"]);
        assert_eq!(message.refusals[0].why, Why::TooShort);
    }
}

#[test]
fn odd_delimiters_carry_the_same_message() {
    let usual = read(&[MSH, b"OBX|1|CWE|1^A^L||x^y&z^L~w|u^v|1-2|H~L|||F"]);
    for delimiters in [b"^~|\\&", b"!:;%$", b"#@'+/"] {
        let swap = |byte: &u8| match b"|^~\\&".iter().position(|usual| usual == byte) {
            Some(at) => delimiters[at],
            None => *byte,
        };
        let raw: Vec<u8> = usual.raw.iter().map(swap).collect();
        let message = read_with(Hl7v2Profile::default(), Site::default(), &raw);
        let (there, here) = (readings(&usual)[0], readings(&message)[0]);
        assert_eq!((&there.code, &there.unit), (&here.code, &here.unit));
        assert_eq!((&there.flags, &there.limits), (&here.flags, &here.limits));
    }
    // Version 2.7: a fifth character, which is no field.
    let five = read(&[
        b"MSH|^~\\&#|MON||||20261123||ORU^R01^ORU_R01|42|P|2.7",
        b"OBX|1|ST|A||\\P\\#||||||F",
    ]);
    assert_eq!(text(&five), "##");
}

#[test]
fn no_byte_of_a_message_is_outside_its_lines() {
    let raw = b"MSH|^~\\&|A\rPID\r\nXX\r\rOBX|1\nOBX|2\rtext";
    let lines = split(raw, 0..raw.len(), Delimiters::USUAL);
    let mut end = 0;
    for line in &lines {
        let at = match line {
            Line::Segment(segment) => segment.at.clone(),
            Line::Odd { at, .. } => at.clone(),
        };
        assert!(raw[end..at.start].iter().all(|byte| matches!(byte, b'\r' | b'\n')));
        end = at.end;
    }
    assert_eq!(end, raw.len());
}

#[test]
fn an_empty_field_is_not_a_value() {
    let message = read(&[MSH, b"OBX|1|NM|HR|||/min|||||F", b"OBX|2|ST|A||\"\"||||||F"]);
    let reasons: Vec<_> = readings(&message).iter().map(|r| r.value.absent_reason()).collect();
    assert_eq!(reasons, [Some(AbsentReason::NotStated); 2]);
}
