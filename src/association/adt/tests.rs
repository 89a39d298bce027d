//! Messages of published samples (HAPI, IPF), and the facts' own rules.

use super::*;
use crate::association::tests::{at, patient};
use crate::association::{By, Ledger};
use crate::vocabulary::Place;

/// What the samples' authorities stand for here.
fn site() -> AdtSite {
    toml::from_str(
        "main_roots = [\"1.2.246.10.1234567.22.2026\"]\n\
         root_without_authority = \"1.2.246.10.1234567.22.9\"\n\
         [authorities]\nA = \"1.2.246.10.1234567.22.2026\"\nPK = \"1.2.246.10.1234567.22.3\"\n\
         [places]\n\"3 WEST ICU^3001^1\" = \"icu/bed-1\"\n\"3 WEST ICU^3001^2\" = \"icu/bed-2\"\n\
         \"6402DH\" = \"oncology\"\n\"ZFAST TRACK^WAITING^13\" = \"emergency/waiting\"\n",
    )
    .unwrap()
}

fn adt(text: &str) -> Result<AdtMessage, Refused> {
    let framed = format!("\u{b}{}\u{1c}\r", text.replace('\n', "\r"));
    read(framed.as_bytes(), &site(), Some(&TimeZone::UTC))
}

/// An event of a made-up patient in `bed` of the intensive care unit.
pub(super) fn event(event: &str, minute: u32, who: &str, bed: u32, more: &str) -> AdtMessage {
    let time = format!("20260302{:02}{:02}00", 10 + minute / 60, minute % 60);
    adt(&format!(
        "MSH|^~\\&|ADT|H|BOX|H|{time}||ADT^{event}|1|P|2.5\nEVN||{time}\n\
         PID|||{who}^^^A^PI\n{more}PV1||I|3 WEST ICU^3001^{bed}||||||||||||||||E-1"
    ))
    .unwrap()
}

fn id(root: &str, value: &str) -> PatientId {
    PatientId::given(root, value, crate::vocabulary::Purpose::Production).unwrap()
}

#[test]
fn a_discharge_of_a_published_sample() {
    let read = adt("MSH|^~\\&|IRIS|SANTER|AMB_R|SANTER|200803051508||ADT^A03|263206|P|2.5\n\
         EVN||200803051509||||200803031508\n\
         PID|||5520255^^^PK^PK~^^^^TEAM||ZZZ^ZZZ||19830824|F\n\
         PV1||I|6402DH^^^^^^^^MED. 1 - ONCOLOGIA||||||||||||||||2008003369||||||||||||||||||\
         |||||||200803031508")
    .unwrap();
    // EVN-2 2008-03-05T15:09Z, PV1-45 2008-03-03T15:08Z.
    assert_eq!((read.event.as_str(), read.stated), ("A03", Utc::from_us(1_204_729_740_000_000)));
    let left = Says::Movement {
        patient: id("1.2.246.10.1234567.22.3", "5520255"),
        encounter: Some(EncounterId::parse("2008003369").unwrap()),
        movement: Movement::Discharge,
        presence: Presence::Left,
        from: Utc::from_us(1_204_556_880_000_000),
    };
    assert_eq!(read.says, [left]);
    let person = &read.persons[0];
    assert!(person.name == Stated::Value("ZZZ ZZZ".to_owned()));
    assert!(person.birth_date == Stated::Value("19830824".to_owned()));
    assert!(person.sex == Stated::Value("F".to_owned()) && person.protected.is_none());
    assert_eq!(read.refusals, []);
}

#[test]
fn an_admission_of_a_published_sample() {
    let read =
        adt("MSH|^~\\&|system1|W|system2|UHN|200105231927||ADT^A01^ADT_A01|22139243|P|2.4\n\
         EVN|A01|200105231927|\n\
         PID||9999999999^^|2216506^||Duck^Donald^^^MR.^MR.||19720227|M\n\
         PV1|||ZFAST TRACK^WAITING^13|E^EMERGENCY|||||||SUR||||||||211004554^")
        .unwrap();
    let [Says::Movement { patient, presence, encounter, from, .. }] = read.says.as_slice() else {
        panic!("{read:?}");
    };
    assert!(*patient == id("1.2.246.10.1234567.22.9", "2216506"));
    let bed = Place::parse("emergency/waiting").unwrap();
    assert_eq!(*presence, Presence::Present { place: Some(bed) });
    assert_eq!(encounter.as_ref().map(EncounterId::reveal), Some("211004554"));
    // 2001-05-23T19:27Z.
    assert_eq!(from.us(), 990_646_020_000_000);
}

#[test]
fn a_merge_of_a_published_sample() {
    let read = adt(
        "MSH|^~\\&|ICW-MPI|ENTERPRISE|BLAH|BLAH-1|20120510163534||ADT^A40|_mpi_1|P^T|2.3.1\n\n\
         EVN|A40|20120510163534\n\n\
         PID|1||7200117317^^^BBB&2.16.840.1.113883.3.37.4.1.1.2.611.1&ISO||STILLER^BEN\n\n\
         MRG|305010~7200117359^^^BBB&2.16.840.1.113883.3.37.4.1.1.2.611.1&ISO\n\nPV1||O\n",
    )
    .unwrap();
    let root = "2.16.840.1.113883.3.37.4.1.1.2.611.1";
    let stated = Utc::from_us(1_336_667_734_000_000);
    let merged = |retired| Says::Merged { retired, surviving: id(root, "7200117317"), at: stated };
    let retired = [id("1.2.246.10.1234567.22.9", "305010"), id(root, "7200117359")];
    assert_eq!(read.says, retired.map(merged));
}

#[test]
fn the_protection_mark_and_what_is_to_be_deleted() {
    let read = adt("MSH|^~\\&|A|B|C|D|20260302080000||ADT^A08|1|P|2.5\nEVN||20260302080000\n\
         PID|||A1^^^A^PI||\"\"||19730811|\nPD1||||||||||||Y\nPV1||I|3 WEST ICU^3001^2")
    .unwrap();
    // An update moves nobody.
    assert_eq!((read.known, read.says.as_slice()), (true, [].as_slice()));
    let person = &read.persons[0];
    assert_eq!(person.protected, Some(true));
    assert!(person.name == Stated::Deleted && person.sex == Stated::Nothing);
}

#[test]
fn several_identifiers_are_one_human_and_the_main_one_goes_on() {
    let read = adt(
        "MSH|^~\\&|A|B|C|D|20260302080000||ADT^A28|1|P|2.5\n\
         PID|||131052-308T^^^X&1.2.246.21&ISO~A1^^^A^PI~77^^^UNKNOWN~010594Y9032^^^X&1.2.246.21&ISO",
    )
    .unwrap();
    let (main, other) = (patient("A1"), id("1.2.246.21", "131052-308T"));
    let same = Says::Merged { retired: other, surviving: main.clone(), at: at(8, 0) };
    assert_eq!(read.says, [same]);
    assert!(read.persons[0].patient == main);
    // An authority nobody knows, and a temporary code as a national one.
    assert_eq!(read.refusals.len(), 2);
    let told = format!("{read:?}");
    for secret in ["131052", "010594", "A1"] {
        assert!(!told.contains(secret));
    }
}

#[test]
fn every_event_of_the_list_is_known_and_the_others_are_counted() {
    for name in [
        "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A10", "A11", "A12", "A13",
        "A17", "A18", "A21", "A22", "A28", "A31", "A34", "A35", "A36", "A40", "A44", "A45", "A47",
    ] {
        let more = "MRG|A9^^^A^PI\n";
        let read = event(name, 0, "A1", 1, more);
        assert!(read.known && read.persons.len() == 1, "{name}");
        assert_eq!(read.refusals, [], "{name}");
    }
    let other = event("A60", 0, "A1", 1, "");
    assert!(!other.known && other.says.is_empty() && other.persons.is_empty());
}

#[test]
fn a_swap_of_beds_moves_both() {
    let read = adt("MSH|^~\\&|A|B|C|D|20260302080000||ADT^A17|1|P|2.5\nEVN||20260302080000\n\
         PID|||A1^^^A^PI\nPV1||I|3 WEST ICU^3001^2\nPID|||B2^^^A^PI\nPV1||I|3 WEST ICU^3001^1")
    .unwrap();
    let beds: Vec<(bool, Option<&str>)> = read
        .says
        .iter()
        .map(|says| {
            let Says::Movement { patient: who, presence, .. } = says else { panic!("{says:?}") };
            let Presence::Present { place } = presence else { panic!("{says:?}") };
            (*who == patient("A1"), place.as_ref().map(Place::as_str))
        })
        .collect();
    assert_eq!(beds, [(true, Some("icu/bed-2")), (false, Some("icu/bed-1"))]);
}

#[test]
fn what_is_no_adt_or_says_neither_who_nor_when_is_refused_without_a_word_of_it() {
    let head = "MSH|^~\\&|A|B|C|D|20260302080000||ADT^A01|1|P|2.5\n";
    for (number, (text, why)) in [
        (String::new(), Why::Unparseable),
        ("PID|||A1".to_owned(), Why::Unparseable),
        (head.replace("ADT^A01", "ORU^R01"), Why::UnsupportedMessage),
        (head.replace("ADT^A01", "ADT"), Why::UnsupportedMessage),
        (format!("{head}{head}"), Why::UnsupportedMessage),
        (format!("{head}PID|||Virtanen^^^NOBODY"), Why::Unreadable),
        (format!("{head}PV1||I"), Why::Unreadable),
        (format!("{}PID|||A1^^^A", head.replace("20260302080000", "2026")), Why::Unreadable),
        (format!("{head}pid|||Virtanen^^^A\nPID|||A1^^^A"), Why::OddSegment),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = adt(&text).unwrap_err();
        assert_eq!(refused.why, why, "case {number}");
        assert!(!refused.to_string().contains("Virtanen"), "case {number}");
    }
}

#[test]
fn cut_anywhere_it_never_names_another_patient() {
    let whole = "MSH|^~\\&|A|B|C|D|20260302080000||ADT^A40|1|P|2.5\rEVN||20260302080000\r\
                 PID|||AB60001^^^A^PI\rMRG|AB60002^^^A^PI\r";
    let ids = [patient("AB60001"), patient("AB60002")];
    for end in 0..whole.len() {
        let Ok(read) = read(&whole.as_bytes()[..end], &site(), Some(&TimeZone::UTC)) else {
            continue;
        };
        for says in &read.says {
            let Says::Merged { retired, surviving, .. } = says else { panic!("cut at {end}") };
            assert!(ids.contains(retired) && ids.contains(surviving), "cut at {end}");
        }
    }
}

#[test]
fn read_into_the_ledger_a_mistaken_cancellation_opens_a_conflict_and_its_correction_closes_it() {
    use crate::association::tests as ward;
    let mut ledger = Ledger::default();
    let scan = ward::associated("pump-4", "A1", at(10, 5));
    ledger.add(ward::entry("scan", at(10, 5), ward::nurse(), scan)).unwrap();
    for (number, (name, minute)) in [("A01", 0), ("A11", 60), ("A01", 80)].iter().enumerate() {
        let read = event(name, *minute, "A1", 1, "");
        assert_eq!(read.says.len(), 1);
        for says in read.says {
            let entry = ward::entry(&format!("m{number}"), read.stated, By::Adt, says);
            assert_eq!(ledger.changes(&entry, at(12, 0)), []);
            ledger.add(entry).unwrap();
        }
        let expected = usize::from(*name == "A11");
        assert_eq!(ward::open(&ledger).len(), expected, "after {name} at minute {minute}");
    }
    let held = ledger.attribute(&ward::of_machine("pump-4", at(11, 30)), Utc::MAX).unwrap();
    assert_eq!(held.encounter.as_ref().map(EncounterId::reveal), Some("E-1"));
    assert_eq!(held.place, Some(ward::place("icu/bed-1")));
}
