//! What a device says of its own patient, and the mark of a patient whose data are protected.

use std::path::Path;

use serde_json::json;

use super::story::{
    Devices, Ward, clock_shows, o_clock, on, patient_in, profiles, says, vocabulary,
};
use super::*;
use crate::association::adt::{Person, Stated};
use crate::association::{Movement, Presence, Row};
use crate::forward::stored::{EventKind, Stored};
use crate::gateway::configuration::AssociationTable;
use crate::profile::{Drafts, Profile};
use crate::vocabulary::EncounterId;

/// IHE PCD-01 of a monitor that names its patient.
const NAMES_A: &[u8] =
    b"\x0bMSH|^~\\&|MONITOR^0123456789ABCDEF^EUI-64|WARD|||20261129080000+0200||\
ORU^R01^ORU_R01|1|P|2.6|||NE|AL\rPID|||A^^^HOSP^MR\r\
OBR|1|1|1|69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|||20261129080000+0200\r\
OBX|1|NM|147842^MDC_ECG_HEART_RATE^MDC|1.1.1.1|84|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R\r\x1c\r";

/// The same monitor when it knows nobody, and when it is on B.
fn names(message: &[u8], whom: &str) -> &'static [u8] {
    let text = std::str::from_utf8(message).unwrap().replace("|A^^^HOSP^MR", whom);
    text.into_bytes().leak()
}

fn devices(enough: &str) -> Devices {
    let file = profiles().join("generic/pcd-01/profile.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let profile = Profile::read(&text, &vocabulary(), Drafts::Accepted).unwrap();
    let table = format!("enough = {enough}\nauthorities.HOSP = \"1.2.246.10.1234567.22.2026\"");
    let association: AssociationTable = toml::from_str(&table).unwrap();
    Devices { association, ..Devices::of(profile, "PCD-01 2.6", NAMES_A) }
}

async fn ward(folder: &Path, enough: &str) -> Ward {
    Ward::open_with(folder, devices(enough)).await
}

/// The patient administration has these patients here since seven.
async fn are_here(ward: &mut Ward, whom: &[&str]) {
    let movement = |number: &&str| {
        let says = Says::Movement {
            patient: patient(number),
            encounter: Some(EncounterId::parse(&format!("E-{number}")).unwrap()),
            movement: Movement::Admission,
            presence: Presence::Present { place: None },
            from: on(o_clock(7, 0)),
        };
        let id = EntryId::parse(&format!("adt-{number}")).unwrap();
        NewEntry { id, stated: on(o_clock(7, 0)), by: By::Adt, says }
    };
    ward.learns(whom.iter().map(movement).collect()).await;
}

fn last(ward: &Ward) -> Stored {
    ward.of_kind(EventKind::Observation).pop().unwrap()
}

const ADMISSION: &str = "[\"scan\", \"device-admission-in-census\"]";

#[tokio::test]
async fn a_device_that_names_a_patient_of_the_census_is_enough_where_the_site_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path(), ADMISSION).await;
    are_here(&mut ward, &["A"]).await;
    clock_shows(o_clock(8, 0));
    ward.hears("bed-1").await;
    let first = last(&ward);
    assert_eq!(patient_in(&first), Some("A"), "{}", first.data["patient_absent"]);
    assert_eq!(first.data["association"]["grade"], "device-admission");
    assert_eq!(first.data["association"]["verified"], true);
    assert_eq!(first.data["encounter"], "E-A");

    // The device knows nobody from now on.
    clock_shows(o_clock(8, 10));
    ward.will_say(names(NAMES_A, "|"));
    ward.hears("bed-1").await;
    assert_eq!(patient_in(&last(&ward)), None);

    // And then somebody whom the census does not have: a proposal, nobody's.
    clock_shows(o_clock(8, 20));
    ward.will_say(names(NAMES_A, "|B^^^HOSP^MR"));
    ward.hears("bed-1").await;
    let third = last(&ward);
    assert_eq!(patient_in(&third), None);
    assert_eq!(third.data["patient_absent"], "not-enough-evidence");
    assert_eq!(third.data["association"]["proposal"]["id"], "B");
    ward.stop().await;
}

#[tokio::test]
async fn a_number_of_nobody_here_admits_nobody_and_ends_what_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path(), ADMISSION).await;
    are_here(&mut ward, &["A"]).await;
    clock_shows(o_clock(8, 0));
    ward.hears("bed-1").await;
    assert_eq!(patient_in(&last(&ward)), Some("A"));
    clock_shows(o_clock(8, 5));
    ward.will_say(names(NAMES_A, "|77^^^SOMEWHERE^MR"));
    ward.hears("bed-1").await;
    assert_eq!(patient_in(&last(&ward)), None);
    ward.stop().await;
}

#[tokio::test]
async fn a_scan_and_the_device_that_disagree_are_a_conflict_and_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path(), ADMISSION).await;
    are_here(&mut ward, &["A", "B"]).await;
    clock_shows(o_clock(8, 0));
    ward.learns(vec![scan("b-1", "machine-bed-1", "B", on(o_clock(8, 0)))]).await;
    clock_shows(o_clock(8, 1));
    ward.hears("bed-1").await;
    let value = last(&ward);
    assert_eq!((patient_in(&value), &value.data["patient_absent"]), (None, &json!("conflict")));
    let open = ward.desk.now().conflicts(Utc::MAX);
    assert!(open.iter().any(|one| one.settled_by.is_none()), "a person sees it");
    ward.stop().await;
}

#[tokio::test]
async fn by_the_usual_rules_the_device_word_is_not_asked() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path(), "[\"scan\"]").await;
    are_here(&mut ward, &["A", "B"]).await;
    clock_shows(o_clock(8, 0));
    ward.hears("bed-1").await;
    assert_eq!(patient_in(&last(&ward)), None);
    // And it contradicts no scan.
    ward.learns(vec![scan("b-1", "machine-bed-1", "B", on(o_clock(8, 1)))]).await;
    clock_shows(o_clock(8, 2));
    ward.hears("bed-1").await;
    assert_eq!(patient_in(&last(&ward)), Some("B"));
    ward.stop().await;
}

#[tokio::test]
async fn behind_a_line_with_several_beds_nobody_is_admitted() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path(), ADMISSION).await;
    are_here(&mut ward, &["A", "B"]).await;
    let mut filed = Vec::new();
    clock_shows(o_clock(8, 0));
    for number in 0..20 {
        let whom = if number % 2 == 0 { "|A^^^HOSP^MR" } else { "|B^^^HOSP^MR" };
        ward.will_say(names(NAMES_A, whom));
        ward.hears("bed-1").await;
        filed.extend(patient_in(&last(&ward)).map(str::to_owned));
    }
    // The first word was taken; it was true of that value.
    assert_eq!(filed, ["A"]);
    let entries = ward.desk.now().entries().filter(|one| one.by == By::Device).count();
    assert_eq!(entries, 2, "admitted once, ended once");
    ward.stop().await;
}

#[tokio::test]
async fn records_of_a_protected_patient_say_so_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path(), "[\"scan\"]").await;
    let person = |number: &str, protected: bool| Row::Person {
        stated: on(o_clock(7, 0)),
        person: Person {
            patient: patient(number),
            name: Stated::Nothing,
            birth_date: Stated::Nothing,
            sex: Stated::Nothing,
            protected: Some(protected),
        },
    };
    let rows = vec![person("A", true), person("B", false)];
    ward.desk.learn(rows, Vec::new()).await.unwrap();
    clock_shows(o_clock(8, 0));
    let eight = on(o_clock(8, 0));
    ward.learns(vec![scan("a-1", "machine-bed-1", "A", eight)]).await;
    clock_shows(o_clock(8, 30));
    ward.hears("bed-1").await;
    let value = last(&ward);
    assert_eq!((patient_in(&value), &value.data["patient_protected"]), (Some("A"), &json!(true)));

    // It was B's all the time: the withdrawal still names A, the correction does not.
    clock_shows(o_clock(9, 0));
    let (association, nine) = (EntryId::parse("a-1").unwrap(), on(o_clock(9, 0)));
    let ended = says("a-end", nine, Says::Ended { association, at: eight });
    let moved = NewEntry { stated: nine, ..scan("b-1", "machine-bed-1", "B", eight) };
    ward.learns(vec![ended, moved]).await;
    let void = ward.of_kind(EventKind::Void).pop().unwrap();
    assert_eq!(void.data["patient_protected"], true);
    let correction = ward.of_kind(EventKind::Correction).pop().unwrap();
    assert_eq!(patient_in(&correction), Some("B"));
    assert_eq!(correction.data.get("patient_protected"), None);
    ward.stop().await;
}
