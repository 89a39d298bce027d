//! What is written is read again as the same, and holds what the tables ask for.

use super::*;
use crate::association::tests::{ended, entry, nurse, withdrawn};

pub(super) fn envelope() -> Envelope {
    Envelope {
        from: "WARDGATE".to_owned(),
        to: "CORE".to_owned(),
        control_id: "m-1".to_owned(),
        now: at(10, 31),
        processing: "P",
    }
}

pub(super) fn sent(transaction: Transaction, evidence: &Evidence) -> String {
    String::from_utf8(write(transaction, evidence, &site(), &envelope())).unwrap()
}

#[test]
fn every_kind_of_evidence_is_read_as_it_was_written() {
    let later = id("15404697^^132233FFFE445566^EUI-64");
    let mut cases = Vec::new();
    for status in [Status::Asserted, Status::Validated, Status::Corrected, Status::Wrong] {
        for act in [Act::Begins, Act::Ends] {
            for validator in [None, Some(person("59123&|"))] {
                let wrong = status == Status::Wrong;
                let begin = Some(at(10, 0)).filter(|_| act == Act::Begins && !wrong);
                let end = Some(at(11, 0)).filter(|_| act == Act::Ends && !wrong);
                let (association, event) = (later.clone(), id("y^N&S"));
                let place = Some(crate::vocabulary::Place::parse("icu/bed-1").unwrap());
                let stated = at(12, 5);
                let of = Evidence { association, event, status, act, validator, ..begins("y") };
                cases.push(Evidence { begin, end, stated, place, ..of });
            }
        }
    }
    cases.push(begins("x"));
    let spot = Evidence { end: Some(at(10, 0)), ..begins("x") };
    cases.push(spot);
    for transaction in [Transaction::Communicate, Transaction::Report] {
        for evidence in &cases {
            let read = read(sent(transaction, evidence).as_bytes(), &site()).unwrap();
            assert!(read.evidence == *evidence, "{:?} {:?}", evidence.status, evidence.act);
            assert_eq!((read.transaction, read.refusals.len()), (transaction, 0));
            assert_eq!(read.names_association, evidence.event != evidence.association);
        }
    }
}

#[test]
fn the_first_event_as_the_profile_wants_it() {
    let evidence = Evidence { stated: at(10, 30), ..begins("x") };
    assert_eq!(
        sent(Transaction::Communicate, &evidence).replace('\r', "\n"),
        "\u{b}MSH|^~\\&|WARDGATE||CORE||20260302103100+0000||ORU^R01^ORU_R01|m-1|P|2.6|||AL|NE||\
         UNICODE UTF-8|||IHE_DEV_051^IHE PCD^1.3.6.1.4.1.19376.1.6.1.51.1^ISO\n\
         PID|||A1^^^A&1.2.246.10.1234567.22.2026&ISO^MR\n\
         PV1||U\n\
         OBR|||x|69136^MDC_OBS_ASSOCIATION_PATIENT_DEVICE^MDC|||20260302100000+0000|\
         20260302103000+0000\n\
         OBX|1|CWE|68487^MDC_ATTR_EVT_COND^MDC|0.0.0.0|\
         198332^MDC_EVT_ASSOCIATION_PATIENT_DEVICE^MDC||||||F\n\
         PRT|1|UC||EQUIP^EQUIP^HL70912||||||pump-4|20260302100000+0000\n\
         PRT|2|UC||AUT^AUT^HL70912|58793||||||20260302103000+0000\n\
         \u{1c}\n"
    );
}

#[test]
fn what_persons_do_here_is_told_and_what_they_did_not_is_not() {
    let mut ledger = Ledger::default();
    let book = Book::default();
    let mut told = Vec::new();
    let scan = crate::association::tests::associated("pump-4", "A1", at(10, 0));
    let device = crate::association::tests::associated("pump-5", "B2", at(10, 0));
    for entry in [
        entry("a1", at(10, 5), nurse(), scan),
        entry("d1", at(10, 6), By::Device, device),
        entry("e1", at(11, 0), nurse(), ended("a1", at(10, 55))),
        entry("w1", at(11, 10), nurse(), withdrawn("e1")),
        entry("w2", at(11, 20), nurse(), withdrawn("a1")),
    ] {
        ledger.add(entry.clone()).unwrap();
        told.extend(told_of(&entry, &ledger, &book, Transaction::Communicate));
    }
    let kinds: Vec<(Act, Status, &str)> =
        told.iter().map(|one| (one.act, one.status, one.event.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (Act::Begins, Status::Validated, "a1"),
            (Act::Ends, Status::Validated, "e1"),
            (Act::Begins, Status::Corrected, "w1"),
            (Act::Begins, Status::Wrong, "w2"),
        ]
    );
    assert!(
        told.iter()
            .all(|one| one.association == id("a1") && one.author == Some(person("person-7")))
    );
    assert_eq!(told[1].end, Some(at(10, 55)));
    assert!(current(&ledger, &book, Transaction::Report, at(12, 0)).is_empty());
}

#[test]
fn a_consumer_gets_what_is_open_with_the_association_that_it_knows() {
    let (mut book, mut ledger) = (Book::default(), Ledger::default());
    take(&mut book, &mut ledger, begins("x"));
    let corrected = Evidence {
        status: Status::Corrected,
        begin: Some(at(9, 45)),
        stated: at(11, 0),
        validator: Some(person("59123")),
        ..begins("y")
    };
    take(&mut book, &mut ledger, corrected);
    let now = current(&ledger, &book, Transaction::Report, at(12, 0));
    let kinds: Vec<(Status, &str, Option<Utc>)> =
        now.iter().map(|one| (one.status, one.event.as_str(), one.begin)).collect();
    let first = (Status::Validated, "x", Some(at(10, 0)));
    assert_eq!(kinds, [first, (Status::Corrected, "y", Some(at(9, 45)))]);
    assert_eq!(now[1].validator, Some(person("59123")));
    // A reporter does not tell the manager what the manager said.
    assert!(current(&ledger, &book, Transaction::Communicate, at(12, 0)).is_empty());
}

#[test]
fn a_merge_is_told_as_a_correction_of_the_same_human() {
    let mut ledger = Ledger::default();
    let scan = crate::association::tests::associated("pump-4", "A1", at(10, 0));
    ledger.add(entry("a1", at(10, 0), nurse(), scan)).unwrap();
    let (retired, surviving) = (patient("A1"), patient("B2"));
    let merge = entry("m1", at(11, 0), By::Adt, Says::Merged { retired, surviving, at: at(11, 0) });
    ledger.add(merge.clone()).unwrap();
    let told = told_of(&merge, &ledger, &Book::default(), Transaction::Communicate);
    assert_eq!(told.len(), 1);
    assert!(told[0].patient == patient("B2") && told[0].status == Status::Corrected);
    assert!(told[0].association == id("a1") && told[0].event != id("a1"));
}
