//! The profile's printed examples, its contradictions, and what corrections come to in any order.

mod contradictions;
mod order;
mod written;

use super::*;
use crate::association::Says;
use crate::association::tests::{at, id, machine, patient};
use crate::association::{By, Ledger};

/// What the printed examples' names stand for here.
pub(super) fn site() -> PcimSite {
    let patients = toml::from_str(
        "main_roots = [\"1.2.246.10.1234567.22.2026\"]\n\
         [authorities]\nA = \"1.2.246.10.1234567.22.2026\"\n\
         [places]\n\"3 WEST ICU^3001^1\" = \"icu/bed-1\"\n",
    )
    .unwrap();
    let names = ["MON5588", "231A8456B1CB2366", "(01)00643169001763(21)21A11F4855", "pump-4"];
    let machines = names.map(|name| {
        let of = if name == "pump-4" { "pump-4" } else { "MON5588" };
        (name.to_owned(), machine(of))
    });
    let zone = Some(jiff::tz::TimeZone::UTC);
    PcimSite { patients, machines: machines.into(), zone, ..PcimSite::default() }
}

/// The first example of the profile, word for word (facts/association.md 1.4).
pub(super) const FIRST: &str = "MSH|^~\\&|CritCare||AssocMgr||20160726123002||ORU^R01^ORU_R01|\
    12d15a9|P|2.6|||AL|AL|USA||||IHE_DEV_051^IHE PCD^1.3.6.1.4.1.19376.1.6.1.51.1^ISO\n\
    PID|||AB60001^^^A^PI||Spaniel^C^R^^^^L\n\
    PV1||E|3 WEST ICU^3001^1\n\
    OBR|||15404652|69136^MDC_OBS_ASSOCIATION_PATIENT_DEVICE^MDC|||20160726120000|20160726123000\n\
    OBX|1|CWE|68487^MDC_ATTR_EVT_COND^MDC||198332^MDC_EVT_ASSOCIATION_PATIENT_DEVICE^MDC||||||F\n\
    PRT|1|UC||EQUIP^EQUIP^HL70912|||||3 WEST ICU^3001^1|MON5588^^231A8456B1CB2366^EUI-64|\
    20160726120000\n\
    PRT|2|UC||AUT^AUT^HL70912|58793^Diesel^N||||3 WEST ICU^3001^1||20160726123000";

pub(super) fn heard(text: &str) -> Result<Heard, Unread> {
    let framed = format!("\u{b}{}\u{1c}\r", text.replace('\n', "\r"));
    read(framed.as_bytes(), &site())
}

/// 2016-07-26 at an hour and minute.
pub(super) fn then(hour: i64, minute: i64) -> Utc {
    // 2016-07-26T00:00:00Z.
    Utc::from_us(1_469_491_200_000_000).plus_s(hour * 3600 + minute * 60)
}

pub(super) fn person(name: &str) -> PersonId {
    PersonId::parse(name).unwrap()
}

/// An F of the pump on A1 from 10:00 on, stated then.
pub(super) fn begins(event: &str) -> Evidence {
    Evidence {
        association: id("x"),
        event: id(event),
        act: Act::Begins,
        status: Status::Validated,
        device: machine("pump-4"),
        patient: patient("A1"),
        begin: Some(at(10, 0)),
        end: None,
        stated: at(10, 0),
        place: None,
        author: Some(person("58793")),
        validator: None,
    }
}

/// Takes evidence and puts what it says into the ledger, learned when it was stated.
pub(super) fn take(book: &mut Book, ledger: &mut Ledger, evidence: Evidence) {
    let (association, event) = (evidence.association.clone(), evidence.event.clone());
    book.take(evidence, ledger).unwrap();
    for said in book.statements(&association, &event, ledger) {
        let learned = said.stated;
        ledger.add(said.learned(learned)).unwrap();
    }
}

#[test]
fn the_first_example_is_read_and_the_later_one_names_it() {
    let read = heard(FIRST).unwrap();
    assert_eq!((read.transaction, read.names_association), (Transaction::Communicate, false));
    assert_eq!(read.refusals, []);
    let expected = Evidence {
        association: id("15404652"),
        event: id("15404652"),
        act: Act::Begins,
        status: Status::Validated,
        device: machine("MON5588"),
        patient: patient("AB60001"),
        begin: Some(then(12, 0)),
        end: None,
        // Connected 12:00, recorded 12:30.
        stated: then(12, 30),
        place: Some(crate::vocabulary::Place::parse("icu/bed-1").unwrap()),
        author: Some(person("58793")),
        validator: None,
    };
    assert!(read.evidence == expected);

    let later = ending();
    let read = heard(&later).unwrap();
    assert!(read.names_association);
    assert_eq!(read.evidence.event, id("15404712^^132233FFFE445566^EUI-64"));
    assert_eq!(read.evidence.association, id("15404697^^132233FFFE445566^EUI-64"));
    assert_eq!((read.evidence.act, read.evidence.end), (Act::Ends, Some(then(23, 0))));
}

/// The printed OBR of a later event, with participants by the tables.
pub(super) fn ending() -> String {
    let first: Vec<&str> = FIRST.lines().collect();
    let obr = "OBR|||15404712^^132233FFFE445566^EUI-64|69136^MDC_OBS_ASSOCIATION_PATIENT_DEVICE^MDC\
        |||20160726230000|20160726230000|||||||||||||||||||||^15404697&&132233FFFE445566&EUI-64";
    let obx = first[4].replace("198332^MDC_EVT_ASSOC", "198334^MDC_EVT_DISASSOC");
    let equipment = first[5].replace("|20160726120000", "||20160726230000");
    let author = first[6].replace("||20160726123000", "|||20160726230100");
    [first[0], first[1], first[2], obr, &obx, &equipment, &author].join("\n")
}
