//! Which acknowledgement, when, in which order.

use super::*;
use crate::protocol::NotKept;
use crate::vocabulary::Why;

const OBX: &[u8] = b"OBX|1|NM|HR||60|/min|||||R";

/// A message of type `kind` with these conditions in MSH-15 and MSH-16.
fn asking(kind: &str, accept: &str, application: &str) -> Vec<u8> {
    let msh = format!(
        "MSH|^~\\&|MON^E|ICU|WG|HVA|20261123||{kind}|4\\T\\2|D|2.5.1|||{accept}|{application}\
         ||UNICODE UTF-8"
    );
    block(&[msh.as_bytes(), OBX])
}

/// MSA-1 of every answer to a block with that fate.
fn codes(profile: Hl7v2Profile, block: &[u8], how: Settled) -> Vec<String> {
    let mut driver = driver(profile, Site::default());
    driver.receive(block, Peer::STREAM, NOW);
    drain(&mut driver);
    sent(&mut driver, 1, how)
        .iter()
        .map(|answer| {
            let msa = answer.split('\r').find(|line| line.starts_with("MSA")).unwrap();
            msa.split('|').nth(1).unwrap().to_owned()
        })
        .collect()
}

#[test]
fn the_answer_is_exact() {
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    driver.receive(&asking("ORU^R01^ORU_R01", "", ""), Peer::STREAM, NOW);
    assert!(matches!(drain(&mut driver)[..], [Event::Message(_), Event::Identity(_)]));
    assert_eq!(
        sent(&mut driver, 1, Settled::Durable),
        ["\x0BMSH|^~\\&|WG|HVA|MON^E|ICU|20261123023300+0000||ACK^R01^ACK|1-1A|D|2.5.1\
          ||||||UNICODE UTF-8\rMSA|AA|4\\T\\2\r\x1C\r"]
    );
    // Told once.
    assert_eq!(sent(&mut driver, 1, Settled::Durable), Vec::<String>::new());
}

#[test]
fn the_answer_is_in_the_senders_delimiters_and_bytes() {
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    let raw = block(&[b"MSH$%~*!$H\xE4$$$$1$$ORU%R01$\xE47$P$2.3.1", b"OBX$1$NM$A$$x"]);
    driver.receive(&raw, Peer::STREAM, NOW);
    drain(&mut driver);
    driver.settled(MessageId { session: Session(1), number: 1 }, Settled::Durable, NOW);
    let expected = block(&[
        b"MSH$%~*!$$$H\xE4$$20261123023300+0000$$ACK%R01%ACK$1-1A$P$2.3.1",
        b"MSA$AA$\xE47",
    ]);
    let Event::Send { bytes, .. } = driver.poll().unwrap() else { panic!("expected an answer") };
    assert_eq!(bytes, expected);
}

#[test]
fn msh_15_and_16_decide() {
    use Settled::{Durable, NotKept as Lost};
    let storage = Lost(NotKept::NoStorage);
    let taken = "ORU^R01^ORU_R01";
    let cases: [(&str, &str, &str, Settled, &[&str]); 20] = [
        (taken, "", "", Durable, &["AA"]),
        (taken, "", "", Settled::Repeat, &["AA"]),
        (taken, "AL", "NE", Durable, &["CA"]),
        (taken, "NE", "AL", Durable, &["AA"]),
        (taken, "AL", "AL", Durable, &["CA", "AA"]),
        (taken, "AL", "", Durable, &["CA"]),
        (taken, "ER", "AL", Durable, &["AA"]),
        (taken, "SU", "ER", Durable, &["CA"]),
        (taken, "NE", "NE", Durable, &[]),
        // Mindray puts the kind of sample there (facts/lab.md 3.3).
        (taken, "", "2", Durable, &["AA"]),
        (taken, "", "", storage, &["AE"]),
        (taken, "AL", "NE", storage, &["CE"]),
        (taken, "ER", "AL", storage, &["CE"]),
        (taken, "NE", "NE", storage, &["AE"]),
        (taken, "SU", "SU", Lost(NotKept::Stopping), &["AE"]),
        (taken, "NE", "AL", Lost(NotKept::TooLarge), &["AR"]),
        ("ADT^A01^ADT_A01", "", "", Durable, &["AR"]),
        ("RGV^O15^RGV_O15", "AL", "AL", Durable, &["CR"]),
        ("QBP^Q11^QBP_Q11", "ER", "AL", Durable, &["CR"]),
        ("ADT^A01^ADT_A01", "", "", storage, &["AE"]),
    ];
    for (kind, accept, application, how, expected) in cases {
        let block = asking(kind, accept, application);
        let codes = codes(Hl7v2Profile::default(), &block, how);
        assert_eq!(codes, expected, "{kind} {accept}/{application} {how:?}");
    }
}

#[test]
fn the_profile_may_insist() {
    let original = profile("acknowledgement = \"original\"");
    let accept = profile("acknowledgement = \"enhanced-accept\"");
    let block = asking("ORU^R01", "AL", "NE");
    assert_eq!(codes(original, &block, Settled::Durable), ["AA"]);
    assert_eq!(codes(accept, &asking("ORU^R01", "", ""), Settled::Durable), ["CA"]);
    let bare = profile("acknowledge_message_type = \"bare\"");
    let mut driver = driver(bare, Site::default());
    driver.receive(&block, Peer::STREAM, NOW);
    drain(&mut driver);
    assert!(sent(&mut driver, 1, Settled::Durable)[0].contains("||ACK|1-1A|"));
}

#[test]
fn what_is_no_message_is_rejected_with_its_reason_and_without_its_text() {
    let cases: [(&[u8], Why, &str); 6] = [
        (b"\x0BHello Mr. Smith\x1C\x0D", Why::Unparseable, "MSA|AR|\rERR|||100^"),
        (b"\x0B\x1C\x0D", Why::Unparseable, "MSA|AR|\rERR|||100^"),
        (b"\x0BMSH|^^\\&|A||||||ORU^R01|7\r\x1C\x0D", Why::Unparseable, "MSA|AR|\r"),
        (
            b"\x0BMSH|^~\\&|A||||||ADT^A08|7|P|2.5\rPID|||1\r\x1C\x0D",
            Why::UnsupportedMessage,
            "MSA|AR|7\rERR|||200^",
        ),
        (
            b"\x0BFHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|A||||||ORU^R01|7|P|2.3\r\x1C\x0D",
            Why::UnsupportedMessage,
            "MSA|AR|7\rERR|^^^200&",
        ),
        (
            b"\x0BMSH|^~\\&|||||||ORU^R01|7|P|2.6\rMSH|^~\\&|||||||ORU^R01|8|P|2.6\r\x1C\x0D",
            Why::UnsupportedMessage,
            "MSA|AR|7\r",
        ),
    ];
    for (raw, why, expected) in cases {
        let mut driver = driver(Hl7v2Profile::default(), Site::default());
        driver.receive(raw, Peer::STREAM, NOW);
        let events = drain(&mut driver);
        let [Event::Message(message)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((&message.raw[..], message.refusals[0].why), (raw, why));
        assert_eq!((message.groups.len(), &message.repeat_basis), (0, &None));
        let answers = sent(&mut driver, 1, Settled::Durable);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].contains(expected), "{}", answers[0]);
        assert!(!answers[0].contains("Smith") && !message.refusals[0].detail.contains("Smith"));
    }
}

#[test]
fn a_message_with_one_bad_value_is_accepted() {
    let raw = block(&[MSH, b"OBX|1|NM|A||3,7|u|||||F", b"OBX|2|NM|B||4|u|||||F"]);
    assert_eq!(codes(Hl7v2Profile::default(), &raw, Settled::Durable), ["AA"]);
}

#[test]
fn acknowledgements_are_never_acknowledged() {
    let raw = block(&[b"MSH|^~\\&|A||||1||ACK^R01^ACK|9|P|2.6|||AL|AL", b"MSA|AA|1"]);
    for how in [Settled::Durable, Settled::NotKept(NotKept::NoStorage)] {
        assert_eq!(codes(Hl7v2Profile::default(), &raw, how), Vec::<String>::new());
    }
}

#[test]
fn answers_keep_the_order_of_the_messages() {
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    for id in 1..=3 {
        let msh = format!("MSH|^~\\&|A||||1||ORU^R01|id{id}|P|2.6");
        driver.receive(&block(&[msh.as_bytes(), OBX]), Peer::STREAM, NOW);
    }
    drain(&mut driver);
    assert_eq!(sent(&mut driver, 2, Settled::Durable).len(), 0);
    assert_eq!(sent(&mut driver, 3, Settled::NotKept(NotKept::NoStorage)).len(), 0);
    let answers = sent(&mut driver, 1, Settled::Durable);
    let got: Vec<_> = answers.iter().map(|text| text.split('\r').nth(1).unwrap()).collect();
    assert_eq!(got, ["MSA|AA|id1", "MSA|AA|id2", "MSA|AE|id3"]);
}

#[test]
fn a_late_settlement_of_another_session_says_nothing() {
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    driver.receive(&block(&[MSH, OBX]), Peer::STREAM, NOW);
    driver.link(LinkChange::Closed, NOW);
    assert_eq!(sent(&mut driver, 1, Settled::Durable).len(), 0);
    driver.link(LinkChange::Opened { session: Session(2) }, NOW);
    driver.receive(&block(&[MSH, OBX]), Peer::STREAM, NOW);
    drain(&mut driver);
    assert_eq!(sent(&mut driver, 1, Settled::Durable).len(), 0);
    assert_eq!(sent(&mut driver, 2, Settled::Durable).len(), 0);
    driver.settled(MessageId { session: Session(2), number: 2 }, Settled::Durable, NOW);
    assert!(matches!(driver.poll(), Some(Event::Send { .. })));
}

#[test]
fn a_repeat_is_known_by_everything_but_msh_7_and_10_and_only_with_own_times() {
    let basis = |time: &str, id: &str, obr: &str| {
        let msh = format!("MSH|^~\\&|A||||{time}||ORU^R01|{id}|P|2.6");
        read(&[msh.as_bytes(), obr.as_bytes(), OBX]).repeat_basis
    };
    let timed = "OBR|1|||X|||20261123043255+0200";
    assert!(basis("20261123043300", "1", timed).is_some());
    assert_eq!(basis("20261123043300", "1", timed), basis("20261123043311", "77", timed));
    assert_ne!(basis("1", "1", timed), basis("1", "1", "OBR|1|||X|||20261123043256+0200"));
    let untimed = [
        "OBR|1|||X",
        "OBR|1|||X|||20261123",
        "OBR|1|||X|||soon",
        // To the hour and to the minute, and local time of an unknown zone.
        "OBR|1|||X|||2026112304+0200",
        "OBR|1|||X|||202611230432+0200",
        "OBR|1|||X|||20261123043255",
    ];
    for untimed in untimed {
        assert_eq!(basis("20261123043300", "1", untimed), None, "{untimed}");
    }
    // One old blood pressure with a time does not make the others recognisable.
    let mixed = read(&[
        MSH,
        b"OBR|1|||X",
        b"OBX|1|NM|NIBP||120|x|||||R|||20261123043255+0200",
        b"OBX|2|NM|SpO2||97|x|||||R",
    ]);
    assert_eq!(mixed.repeat_basis, None);
}

/// On 25 October 2026 the clocks of Helsinki go from 04:00 back to 03:00: 03:30 comes twice.
#[test]
fn two_equal_readings_of_the_autumn_night_are_two() {
    let helsinki = || Site { zone: TimeZone::get("Europe/Helsinki").ok(), charset: None };
    let basis = |time: &str| {
        let obr = format!("OBR|1|||X|||{time}");
        let lines = block(&[MSH, obr.as_bytes(), OBX]);
        read_with(Hl7v2Profile::default(), helsinki(), &lines).repeat_basis
    };
    assert!(basis("20261025023000").is_some());
    assert_eq!(basis("20261025033000"), None);
    assert!(basis("20261025033000+0300").is_some());
    // The hour that spring leaves out: no such time.
    assert_eq!(basis("20260329033000"), None);
}

#[test]
fn the_device_says_who_it_is_once() {
    let lines: [&[u8]; 4] = [
        b"MSH|^~\\&|GW^0012211839000001^EUI-64||||1||ORU^R01|1|P|2.6",
        b"OBX|1|ST|67880^MDC_ATTR_ID_MODEL^MDC||Perfusor||||||F",
        b"OBX|2|ST|531975^MDC_ID_PROD_SPEC_SW^MDC||N1.02||||||F",
        b"OBX|3|ST|531972^MDC_ID_PROD_SPEC_SERIAL^MDC||12345||||||F",
    ];
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    driver.receive(&block(&lines), Peer::STREAM, NOW);
    driver.receive(&block(&lines), Peer::STREAM, NOW);
    let events = drain(&mut driver);
    let [Event::Message(first), Event::Identity(identity), Event::Message(_)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(first.firmware.as_deref(), Some("N1.02"));
    assert_eq!(
        (&identity.model[..], &identity.serial_number[..], &identity.firmware[..]),
        ("Perfusor", "12345", "N1.02")
    );
    assert_eq!(read(&[MSH, OBX]).firmware, None);
}
