//! Whose values they are, and that nobody inherits another's.

use super::*;
use crate::vocabulary::{DeviceTimeEvidence, Mode};

fn ids(message: &Message) -> Vec<Vec<&str>> {
    let groups = message.groups.iter();
    groups.map(|of| of.subject.patient_ids.iter().map(|id| id.id.as_str()).collect()).collect()
}

const HEART_RATE: &[u8] = b"OBX|1|NM|147842^MDC_ECG_HEART_RATE^MDC|1|60|/min|||||R";

#[test]
fn patients_are_stated_or_nobody() {
    let stated = read(&[
        MSH,
        b"PID|||020516C903K^^^DVV&1.2.246.21&ISO^NNFIN~^^^X^MR~7^^^HVA^MR",
        b"PV1||I|OS4B^12^3^HVA",
        HEART_RATE,
    ]);
    let subject = &stated.groups[0].subject;
    assert_eq!(ids(&stated), [["020516C903K", "7"]]);
    assert_eq!(subject.patient_ids[0].authority, "DVV&1.2.246.21&ISO");
    assert_eq!(subject.patient_ids[0].id_type, "NNFIN");
    assert_eq!(subject.place, "OS4B^12^3^HVA");
    let nobody: [&[u8]; 6] = [
        b"PID|||Unknown Patient^Unknown Patient||^^^^^^U||||||||||||||||||||||||||Y",
        b"PID|||Unknown Patient^Unknown Patient||^^^^^^U",
        b"PID|||7^^^HVA^MR||||||||||||||||||||||||||||Y",
        b"PID|||^^^^PI||^^^^^^L|||||",
        b"PID|||\"\"",
        b"PID",
    ];
    for pid in nobody {
        let message = read(&[MSH, pid, b"PV1||I|^^^", HEART_RATE]);
        assert!(ids(&message)[0].is_empty(), "{}", String::from_utf8_lossy(pid));
        assert_eq!(message.groups[0].subject.place, "");
    }
}

#[test]
fn no_patient_is_carried_over() {
    let two = read(&[
        MSH,
        b"PID|||1^^^HVA",
        b"PV1||I|A",
        b"OBR|1|||X|||20261123043255+0200",
        HEART_RATE,
        b"PID|||",
        b"OBR|2|||X",
        HEART_RATE,
        b"PID|||3^^^HVA",
        HEART_RATE,
    ]);
    assert_eq!(ids(&two), [vec!["1"], vec![], vec!["3"]]);
    assert_eq!(two.groups[1].subject.place, "");
    assert_eq!(two.groups[1].time, None);
    // A visit without its patient is somebody else's.
    let visit = read(&[MSH, b"PID|||1", b"OBR|1", HEART_RATE, b"PV1||I|B", b"OBR|2", HEART_RATE]);
    assert_eq!(ids(&visit), [vec!["1"], vec![]]);
    // The next message of the link begins with nobody.
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    driver.receive(&block(&[MSH, b"PID|||1^^^HVA", HEART_RATE]), Peer::STREAM, NOW);
    driver.receive(&block(&[MSH, HEART_RATE]), Peer::STREAM, NOW);
    let messages: Vec<Message> = drain(&mut driver)
        .into_iter()
        .filter_map(|event| match event {
            Event::Message(message) => Some(message),
            Event::Send { .. }
            | Event::Samples(_)
            | Event::Identity(_)
            | Event::Trouble { .. }
            | Event::Close { .. } => None,
        })
        .collect();
    assert_eq!((ids(&messages[0]), ids(&messages[1])), (vec![vec!["1"]], vec![vec![]]));
}

#[test]
fn a_damaged_patient_or_order_leaves_nobody_rather_than_the_one_before() {
    for damaged in [b"PI|||2^^^HVA".as_slice(), b"pid|||2", b"P1D|||2", b"OB|2|||Y", b"SPMM|2"] {
        let message = read(&[
            MSH,
            b"PID|||1^^^HVA",
            b"OBR|1|||X|||20261123043255+0200",
            HEART_RATE,
            damaged,
            HEART_RATE,
        ]);
        let shown = String::from_utf8_lossy(damaged);
        assert_eq!(ids(&message), [vec!["1"], vec![]], "{shown}");
        assert_eq!(message.groups[1].time, None);
        assert_eq!(message.refusals.len(), 1);
    }
}

#[test]
fn every_order_has_its_own_time_and_specimen() {
    let message = read_with(
        Hl7v2Profile::default(),
        Site { zone: jiff::tz::TimeZone::get("Europe/Helsinki").ok(), charset: None },
        &block(&[
            b"MSH|^~\\&|LAB||||20261123||OUL^R22^OUL_R22|1|P|2.5.1",
            b"SPM|1|V1&ROCHE||PLAS^Plasma^HL70487",
            b"SAC|||S1",
            b"OBR||\"\"||A^A^L",
            b"OBX|1|NM|A^A^L||1|u|||||F||||||||20261123043255",
            b"NTE|1||first",
            b"OBR||\"\"||B^B^L|||20261025033000",
            b"OBX|1|NM|B^B^L||2|u|||||F",
            b"NTE|1||",
            b"SPM|2|",
            b"SAC|||S2",
            b"OBR||\"\"||A^A^L",
            b"OBX|1|NM|A^A^L||3|u|||||F",
        ]),
    );
    let specimens: Vec<_> = message.groups.iter().map(|g| g.subject.specimen.as_str()).collect();
    assert_eq!(specimens, ["V1", "V1", "S2"]);
    assert_eq!(message.groups[0].subject.specimen_type, "PLAS^Plasma^HL70487");
    assert_eq!(message.groups[0].remarks, ["first"]);
    let ordered = |at: usize| message.groups[at].subject.ordered.clone().map(|of| of.code);
    assert_eq!((ordered(0), ordered(1)), (Some("A".into()), Some("B".into())));
    // On an analyser OBX-19 is the time of the result. The repeated hour of autumn stays open.
    let own = message.groups[0].readings[0].time.as_ref().unwrap();
    assert_eq!(own.evidence, DeviceTimeEvidence::ZoneConfigured);
    assert_eq!(message.groups[1].time.as_ref().unwrap().evidence, DeviceTimeEvidence::InFold);
    assert_eq!((&message.groups[2].time, &message.groups[2].readings[0].time), (&None, &None));
}

#[test]
fn a_specimen_behind_its_order_is_that_orders() {
    let profile = profile("specimen = [\"SPM-2.1\", \"OBR-3\"]");
    let message = read_with(
        profile,
        Site::default(),
        &block(&[MSH, b"OBR|1||F1|X", HEART_RATE, b"SPM|1|V1", b"OBR|2||F2^L|X", HEART_RATE]),
    );
    let specimens: Vec<_> = message.groups.iter().map(|g| g.subject.specimen.as_str()).collect();
    assert_eq!(specimens, ["V1", "F2"]);
}

#[test]
fn what_is_not_for_a_record_says_so() {
    let rules = "control_sample = [{ field = \"OBR-4.1\", equals = \"LQC\" }, \
                 { field = \"PID-2\", starts_with = \"QC-\" }]";
    let mode = |processing: &str, pid: &str, order: &str| {
        let msh = format!("MSH|^~\\&|M||||20261123||ORU^R01|1|{processing}|2.4");
        let (pid, obr) = (format!("PID||{pid}"), format!("OBR|1|||{order}"));
        let lines = [msh.as_bytes(), pid.as_bytes(), obr.as_bytes(), HEART_RATE];
        read_with(profile(rules), Site::default(), &block(&lines)).groups[0].mode
    };
    assert_eq!(mode("P", "1", "OBS"), Mode::Production);
    assert_eq!(mode("", "1", "OBS"), Mode::Production);
    assert_eq!(mode("P^T", "1", "OBS"), Mode::Production);
    assert_eq!(mode("T", "1", "OBS"), Mode::Training);
    assert_eq!(mode("D", "1", "OBS"), Mode::Debugging);
    assert_eq!(mode("P", "1", "LQC"), Mode::ControlSample);
    assert_eq!(mode("P", "QC-7", "OBS"), Mode::ControlSample);
    // No rule knows this letter, so a person must.
    assert_eq!(mode("Q", "1", "OBS"), Mode::Unclassified);
}

#[test]
fn demo_and_test_values_never_share_a_group_with_a_patients() {
    let message = read(&[
        MSH,
        b"PID|||1",
        b"OBR|1",
        b"OBX|1|NM|A||1|u|||||R",
        b"OBX|2|NM|A||2|u||DEMO|||R",
        b"OBX|3|NM|A||3|u||L~TEST|||R",
        b"OBX|4|NM|A||4|u|||||R",
    ]);
    let modes: Vec<_> = message.groups.iter().map(|g| (g.mode, g.readings.len())).collect();
    assert_eq!(modes, [(Mode::Production, 2), (Mode::Training, 1), (Mode::Debugging, 1)]);
}
