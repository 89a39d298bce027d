//! Mother and twins on one device: each part of it has a patient of its own, and what happens to
//! one is nothing to the others.

use std::path::Path;

use serde_json::Value as Json;

use super::story::{
    Devices, Ward, clock_shows, o_clock, on, patient_in, profiles, says, vocabulary,
};
use super::*;
use crate::association::Channel;
use crate::forward::stored::{EventKind, Stored};
use crate::profile::{Drafts, Profile};

/// IHE PCD-01 with three hearts in one device, told apart by OBX-4, and a saturation of the device
/// as a whole.
const MESSAGE: &[u8] =
    b"\x0bMSH|^~\\&|MONITOR^0123456789ABCDEF^EUI-64|WARD|||20261129080000+0200||\
ORU^R01^ORU_R01|1|P|2.6|||NE|AL\rPID|||\"\"\r\
OBR|1|1|1|69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|||20261129080000+0200\r\
OBX|1|NM|147842^MDC_ECG_HEART_RATE^MDC|1.1.1.1|84|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R\r\
OBX|2|NM|147842^MDC_ECG_HEART_RATE^MDC|1.2.1.1|141|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R\r\
OBX|3|NM|147842^MDC_ECG_HEART_RATE^MDC|1.3.1.1|152|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R\r\
OBX|4|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.4.1.1|97|262688^MDC_DIM_PERCENT^MDC|||||R\r\x1c\r";

/// The generic device file, with three parts.
fn profile() -> Profile {
    let file = profiles().join("generic/pcd-01/profile.toml");
    let mut text = std::fs::read_to_string(file).unwrap();
    for (name, place) in [("mother", "1.1"), ("left", "1.2"), ("right", "1.3")] {
        text += &format!(
            "\n[[channel]]\nname = \"{name}\"\nsub_ids = [\"{place}\"]\nsource = \"ihe OBX-4\"\n"
        );
    }
    Profile::read(&text, &vocabulary(), Drafts::Accepted).unwrap()
}

async fn ward(folder: &Path) -> Ward {
    Ward::open_with(folder, Devices::of(profile(), "PCD-01 2.6", MESSAGE)).await
}

/// A part of the device in bed 1 is scanned onto a patient.
fn part(id: &str, channel: &str, on_patient: &str, from: Utc, stated: Utc) -> NewEntry {
    let associated = Says::Associated {
        device: DeviceId::parse("machine-bed-1").unwrap(),
        channel: Some(Channel::parse(channel).unwrap()),
        patient: patient(on_patient),
        span: Span { from, until: None },
    };
    says(id, stated, associated)
}

fn ended(id: &str, association: &str, at: Utc, stated: Utc) -> NewEntry {
    says(id, stated, Says::Ended { association: EntryId::parse(association).unwrap(), at })
}

/// Part, heart rate and patient of each record.
fn shown(records: &[Stored]) -> Vec<(&str, &str, Option<&str>)> {
    records
        .iter()
        .map(|stored| {
            let part = stored.data.get("channel").and_then(Json::as_str).unwrap_or_default();
            let value = stored.data["metrics"][0]["value"].as_str().unwrap();
            (part, value, patient_in(stored))
        })
        .collect()
}

#[tokio::test]
async fn each_part_is_its_own_patients() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path()).await;
    let eight = on(o_clock(8, 0));
    clock_shows(o_clock(7, 59));
    ward.hears("bed-1").await;
    let before = ward.of_kind(EventKind::Observation);
    assert!(before.iter().all(|one| patient_in(one).is_none()), "nobody has said anything");
    clock_shows(o_clock(8, 0));
    ward.learns(vec![
        part("m", "mother", "MOTHER", eight, eight),
        part("l", "left", "TWIN-A", eight, eight),
        part("r", "right", "TWIN-B", eight, eight),
    ])
    .await;
    for minute in [1, 30] {
        clock_shows(o_clock(8, minute));
        ward.hears("bed-1").await;
    }
    let values = ward.of_kind(EventKind::Observation);
    let of_one_message = [
        ("mother", "84", Some("MOTHER")),
        ("left", "141", Some("TWIN-A")),
        ("right", "152", Some("TWIN-B")),
        // Nobody is on the device as a whole.
        ("", "97", None),
    ];
    assert_eq!(shown(&values[4..8]), of_one_message);
    assert_eq!(shown(&values[8..]), of_one_message);
    for record in &values[4..7] {
        assert_eq!(record.data["metrics"].as_array().unwrap().len(), 1, "one patient, one record");
    }
    ward.stop().await;
}

#[tokio::test]
async fn twins_that_were_mixed_up_change_hands_and_the_mother_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path()).await;
    let eight = on(o_clock(8, 0));
    clock_shows(o_clock(8, 0));
    ward.learns(vec![
        part("m", "mother", "MOTHER", eight, eight),
        part("l", "left", "TWIN-A", eight, eight),
        part("r", "right", "TWIN-B", eight, eight),
    ])
    .await;
    clock_shows(o_clock(8, 30));
    ward.hears("bed-1").await;

    clock_shows(o_clock(9, 0));
    let nine = on(o_clock(9, 0));
    ward.learns(vec![
        ended("l-end", "l", eight, nine),
        ended("r-end", "r", eight, nine),
        part("l-2", "left", "TWIN-B", eight, nine),
        part("r-2", "right", "TWIN-A", eight, nine),
    ])
    .await;
    let voids = ward.of_kind(EventKind::Void);
    let withdrawn = [("left", "141", Some("TWIN-A")), ("right", "152", Some("TWIN-B"))];
    assert_eq!(shown(&voids), withdrawn);
    let corrections = ward.of_kind(EventKind::Correction);
    let anew = [("left", "141", Some("TWIN-B")), ("right", "152", Some("TWIN-A"))];
    assert_eq!(shown(&corrections), anew);

    // One twin goes; the other and the mother stay.
    ward.learns(vec![ended("r-2-end", "r-2", nine, nine)]).await;
    clock_shows(o_clock(9, 30));
    ward.hears("bed-1").await;
    let values = ward.of_kind(EventKind::Observation);
    let now = [
        ("mother", "84", Some("MOTHER")),
        ("left", "141", Some("TWIN-B")),
        ("right", "152", None),
        ("", "97", None),
    ];
    assert_eq!(shown(&values[4..]), now);
    ward.stop().await;
}

#[tokio::test]
async fn the_same_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = ward(folder.path()).await;
    let eight = on(o_clock(8, 0));
    clock_shows(o_clock(8, 0));
    ward.learns(vec![part("l", "left", "TWIN-A", eight, eight)]).await;
    let ledger = Ledger::clone(&ward.desk.now());
    ward.stop().await;
    let rebuilt = rebuilt(folder.path());
    assert_eq!(*rebuilt.ledger, ledger);
}
