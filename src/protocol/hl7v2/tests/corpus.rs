//! Every real message at hand, as it would go over the wire.

use std::path::{Path, PathBuf};

use super::*;
use crate::vocabulary::{AbsentReason, Meaning, Mode, Nature};

/// The folder of captures, or `None` where it is not at hand.
pub fn corpus(test: &str) -> Option<PathBuf> {
    let set = std::env::var_os("WARDGATE_CORPUS").map(PathBuf::from);
    let relative = set.unwrap_or_else(|| PathBuf::from("../shared/corpus"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(relative);
    if root.is_dir() {
        return Some(root);
    }
    let strict = std::env::var("WARDGATE_NO_SKIP").is_ok_and(|value| value == "1");
    assert!(!strict, "{test}: corpus not found");
    println!("SKIPPED {test}: corpus not found");
    None
}

/// Every file that holds HL7 v2 messages, in a fixed order.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default();
            if path.is_dir() {
                folders.push(path);
            } else if matches!(kind, "hl7" | "hl7v2" | "mllp") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The messages of a file, each with CR behind its segments: captures were saved with any line end.
pub fn messages(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for line in bytes.split(|byte| matches!(byte, b'\r' | b'\n' | 0x0B | 0x1C)) {
        if line.starts_with(b"MSH") {
            found.push(Vec::new());
        }
        if let (Some(message), false) = (found.last_mut(), line.is_empty()) {
            message.extend_from_slice(line);
            message.push(b'\r');
        }
    }
    found
}

fn in_block(message: &[u8]) -> Vec<u8> {
    [b"\x0B", message, b"\x1C\x0D"].concat()
}

fn one(root: &Path, file: &str, profile: Hl7v2Profile) -> Message {
    let bytes = std::fs::read(root.join(file)).unwrap();
    read_with(profile, Site::default(), &in_block(&messages(&bytes)[0]))
}

/// MSA-1 that a message asks for, read from its header with nothing but `split`.
fn expected(message: &[u8]) -> Vec<&'static str> {
    let msh = message.split(|byte| *byte == b'\r').next().unwrap();
    let fields: Vec<&[u8]> = msh.split(|byte| *byte == msh[3]).collect();
    let field = |number: usize| fields.get(number - 1).copied().unwrap_or_default();
    let kind: Vec<&[u8]> = field(9).split(|byte| *byte == msh[4]).collect();
    let taken = match kind.as_slice() {
        [b"ACK", ..] => return Vec::new(),
        [b"ORU", b"R01" | b"R40" | b"R42", ..] | [b"OUL", b"R22", ..] => true,
        _ => false,
    };
    let (accept, application) = if taken { ("CA", "AA") } else { ("CR", "AR") };
    let wants = |condition: &[u8]| match condition {
        b"AL" => true,
        b"ER" => !taken,
        _ => false,
    };
    let mut codes = Vec::new();
    if wants(field(15)) {
        codes.push(accept);
    }
    // What is not committed is not processed: behind CR comes nothing.
    let is_over = !taken && !codes.is_empty();
    if (wants(field(16)) && !is_over) || (field(15).is_empty() && field(16).is_empty()) {
        codes.push(application);
    }
    codes
}

#[test]
fn every_message_is_read_or_refused_and_answered_as_it_asks() {
    let Some(root) = corpus("hl7v2 corpus") else { return };
    let mut read = 0;
    for file in files(&root) {
        for message in messages(&std::fs::read(&file).unwrap()) {
            let mut driver = driver(Hl7v2Profile::default(), Site::default());
            driver.receive(&in_block(&message), Peer::STREAM, NOW);
            drain(&mut driver);
            let answers = sent(&mut driver, 1, Settled::Durable);
            let codes: Vec<_> = answers.iter().map(|text| code_of(text)).collect();
            assert_eq!(codes, expected(&message), "{}", file.display());
            read += 1;
        }
    }
    assert!(read >= 60, "only {read} messages in the corpus");
}

#[test]
fn all_of_them_on_one_link_do_not_depend_on_the_cuts() {
    let Some(root) = corpus("hl7v2 corpus cuts") else { return };
    let mut stream = Vec::new();
    for file in files(&root) {
        for message in messages(&std::fs::read(&file).unwrap()) {
            stream.extend(in_block(&message));
        }
    }
    let run = |size: usize| {
        let mut driver = driver(Hl7v2Profile::default(), Site::default());
        for chunk in stream.chunks(size) {
            driver.receive(chunk, Peer::STREAM, NOW);
        }
        drain(&mut driver)
    };
    let whole = run(stream.len());
    for size in [1, 2, 7, 512, 1460] {
        assert!(run(size) == whole, "chunks of {size}");
    }
}

fn code_of(answer: &str) -> &str {
    let msa = answer.split('\r').find(|line| line.starts_with("MSA")).unwrap();
    &msa[4..6]
}

#[test]
fn every_number_in_a_result_row_comes_out_as_it_went_in() {
    let Some(root) = corpus("hl7v2 corpus values") else { return };
    let mut rows = 0;
    for file in files(&root) {
        for message in messages(&std::fs::read(&file).unwrap()) {
            let Some(first) = expected(&message).first().copied() else { continue };
            if !matches!(first, "CA" | "AA") {
                continue;
            }
            let read = read_with(Hl7v2Profile::default(), Site::default(), &in_block(&message));
            let text = String::from_utf8_lossy(&message);
            let valued =
                text.split('\r').map(|line| line.split('|').collect::<Vec<_>>()).filter(|fields| {
                    let numeric = fields.get(2).is_some_and(|kind| *kind == "NM");
                    numeric && fields.get(5).is_some_and(|value| !value.contains('*'))
                });
            let mut wanted: Vec<&str> = valued.map(|fields| fields[5]).collect();
            let mut got: Vec<&str> = Vec::new();
            for reading in readings(&read) {
                if matches!(reading.value.meaning(), Meaning::Number { .. } | Meaning::Absent(_)) {
                    got.push(reading.value.as_sent());
                }
            }
            rows += wanted.len();
            wanted.sort_unstable();
            got.sort_unstable();
            for value in wanted {
                let at = got.binary_search(&value);
                assert!(at.is_ok(), "{}: {value} is missing", file.display());
                got.remove(at.unwrap());
            }
        }
    }
    assert!(rows >= 100, "only {rows} numbers in the corpus");
}

#[test]
fn five_blocks_in_one_read_have_five_answers() {
    let Some(root) = corpus("hl7v2 alinity batch") else { return };
    let stream = std::fs::read(root.join("lab/abbott-alinity-m/batch_one_tcp_chunk.mllp")).unwrap();
    let mut driver = driver(Hl7v2Profile::default(), Site::default());
    driver.receive(&stream, Peer::STREAM, NOW);
    drain(&mut driver);
    let answers: Vec<String> =
        (1..=5).flat_map(|number| sent(&mut driver, number, Settled::Durable)).collect();
    let ids: Vec<&str> = answers.iter().map(|text| &text[text.find("MSA").unwrap()..]).collect();
    let expected: Vec<String> =
        (4..=8).map(|number| format!("MSA|AA|MSG-ALM-00{number}\r\x1C\r")).collect();
    assert_eq!(ids, expected);
}

#[test]
fn a_demo_monitor_is_in_training() {
    let Some(root) = corpus("hl7v2 mindray demo") else { return };
    let message = one(&root, "monitors/hl7-monitors/mindray_vs8_pcd01.hl7", profile(""));
    assert_eq!(message.groups.len(), 1);
    assert_eq!(message.groups[0].mode, Mode::Training);
    assert_eq!(message.groups[0].readings[0].value.as_sent(), "77");
    assert_eq!(message.repeat_basis, None);
}

#[test]
fn sentinels_of_the_xh80x_are_no_values() {
    let Some(root) = corpus("hl7v2 xh80x") else { return };
    let xh80x =
        profile("sentinels = { \"-999\" = \"not-measured\", \"-99.9\" = \"not-measured\" }");
    let message = one(&root, "monitors/hl7-monitors/mindray_xh80x_sentinels.hl7", xh80x);
    let all = readings(&message);
    assert_eq!(all.len(), 4);
    let missing = Some(AbsentReason::NotMeasured);
    assert!(all.iter().all(|reading| reading.value.absent_reason() == missing));
    assert_eq!(message.groups[0].subject.patient_ids, []);
}

#[test]
fn a_pump_knows_no_patient_and_names_its_model() {
    let Some(root) = corpus("hl7v2 perfusor") else { return };
    let message = one(&root, "pumps/bbraun-hl7/pcd01_perfusor_powered_off.hl7", profile(""));
    assert_eq!(message.groups[0].subject.patient_ids, []);
    let rate = readings(&message).into_iter().find(|of| of.sub_id == "1.1.1.2").unwrap();
    assert_eq!((rate.value.as_sent(), rate.nature), ("0", Nature::Measurement));
    assert_eq!(rate.unit.as_ref().unwrap().codings[1].code, "mL/h");
    let model = readings(&message).into_iter().find(|of| of.sub_id == "1.1.0.8").unwrap();
    assert_eq!(
        (model.value.as_sent(), model.nature),
        ("B Braun SpacePlus Perfusor", Nature::DeviceFact)
    );
    assert!(message.repeat_basis.is_some() && message.refusals.is_empty());
}

#[test]
fn control_samples_are_known_by_the_profiles_rules() {
    let Some(root) = corpus("hl7v2 control samples") else { return };
    let hemoscreen = profile(
        "specimen = [\"PID-2\"]\ncontrol_sample = [{ field = \"OBR-4.1\", equals = \"LQC\" }]",
    );
    let control = one(&root, "lab/pixcell-hemoscreen/oru_lqc.hl7", hemoscreen.clone());
    assert_eq!(control.groups[0].mode, Mode::ControlSample);
    assert_eq!(control.groups[0].subject.specimen, "PIX240205N");
    let patient = one(&root, "lab/pixcell-hemoscreen/oru_flags.hl7", hemoscreen);
    assert_eq!(patient.groups[0].mode, Mode::Production);
    assert_eq!(patient.groups[0].subject.specimen, "123478");
    let haemoglobin = readings(&patient)[2];
    assert_eq!((haemoglobin.value.as_sent(), haemoglobin.value.meaning()), ("ABN", &Meaning::Text));
    assert_eq!(patient.groups[0].remarks.len(), 3);
    // cobas 4800: specimens of controls and patients in one message, told apart by INV.
    let cobas = profile("control_sample = [{ field = \"INV-3.1\", equals = \"CO\" }]");
    let run = one(&root, "lab/roche-cobas4800/run.hl7", cobas);
    let modes: Vec<_> =
        run.groups.iter().map(|group| (group.subject.specimen.as_str(), group.mode)).collect();
    assert_eq!(modes[0], ("0PHJ100001N0QVJ", Mode::ControlSample));
    assert_eq!(modes[2], ("0N1J100003O0OEZ", Mode::ControlSample));
    assert_eq!(modes[3], ("VL260001", Mode::Production));
    assert!(modes.iter().skip(3).all(|(_, mode)| *mode == Mode::Production));
}
