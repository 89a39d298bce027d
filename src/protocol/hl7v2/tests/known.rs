//! What is known from an earlier message is read as if nothing were known.

use super::super::StatusX;
use super::super::content::{Content, Reader};
use super::corpus::{corpus, files, messages};
use super::mutations::{Dice, mutate};
use super::*;
use crate::vocabulary::Refused;

fn said(content: &Content) -> (&[crate::vocabulary::Group], &[Refused], Option<&Vec<u8>>) {
    (&content.groups, &content.refusals, content.repeat_basis.as_ref())
}

fn profiles() -> [Hl7v2Profile; 2] {
    let doubted =
        Hl7v2Profile { valid_with_status_x: StatusX::NumberDoubted, ..Hl7v2Profile::default() };
    [Hl7v2Profile::default(), doubted]
}

/// Reads the messages one after the other, and each with a reader of its own.
fn compare(seen: &[Vec<u8>]) {
    for profile in profiles().map(Arc::new) {
        let mut experienced = Reader::new(Arc::clone(&profile), Site::default());
        for message in seen {
            let fresh = Reader::new(Arc::clone(&profile), Site::default()).read(message);
            let read = experienced.read(message);
            assert_eq!(said(&read), said(&fresh), "{}", String::from_utf8_lossy(message));
        }
    }
}

const MONITOR: &str = "MSH|^~\\&|||||20260806035556+0000||ORU^R01|7|P|2.6\r\
    OBR|1||||||20260806035556+0000\r\
    OBX|1||69965^MDC_DEV_MON_PHYSIO_MULTI_PARAM_MDS^MDC|1.0.0.0|||||||X|||||||0001^^EUI-64\r\
    OBX|2|NM|147842^MDC_ECG_HEART_RATE^MDC|1.1.1.1|60|264864^MDC_DIM_BEAT_PER_MIN^MDC|||||R\r\
    OBX|3|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.1.1|97|262688^MDC_DIM_PERCENT^MDC|90-100|L\
    |||R|||20260806035550+0000||||||\r\
    OBX|4|NM|150456^MDC_PULS_OXIM_SAT_O2^MDC|1.3.1.2||262688^MDC_DIM_PERCENT^MDC||INV|||R\r";

#[test]
fn what_differs_anywhere_is_read_anew() {
    let block = |text: &str| [b"\x0B", text.as_bytes(), b"\x1C\x0D"].concat();
    let changes = [
        ("|60|", "|61|"),
        ("|60|", "|sixty|"),
        ("|60|", "||"),
        ("|60|", "|\"\"|"),
        ("|60|", "|6~7|"),
        ("|60|", "|\\Xe4\\|"),
        ("|97|", "|< 97|"),
        ("1.3.1.1", "1.3.1.3"),
        ("0001^^EUI-64", "0002^^EUI-64"),
        ("0001^^EUI-64", ""),
        ("90-100", "90-\u{e4}"),
        ("|L|", "|OFF|"),
        ("|L|", "|DEMO|"),
        ("||||R\r", "||||X\r"),
        ("||||R\r", "||||D\r"),
        ("20260806035550", "20260806035551"),
        ("ORU^R01", "ORU^R40"),
        ("ORU^R01", "OUL^R22"),
        ("MDC_DIM_PERCENT", "MDC_DIM_DIMLESS"),
        ("|^~\\&|", "|^~\\|"),
        ("NM", "ST"),
        ("147842", "147843"),
    ];
    let changed = changes.iter().flat_map(|(from, to)| {
        assert!(MONITOR.contains(from), "{from}");
        [MONITOR.to_owned(), MONITOR.replace(from, to), MONITOR.replacen(from, to, 1)]
    });
    compare(&changed.map(|text| block(&text)).collect::<Vec<_>>());
}

#[test]
fn damaged_and_real_messages_are_read_the_same() {
    let mut seeds = vec![MONITOR.as_bytes().to_vec()];
    if let Some(root) = corpus("damaged_and_real_messages_are_read_the_same") {
        for file in files(&root) {
            let found = messages(&std::fs::read(file).unwrap());
            seeds.extend(found.into_iter().filter(|one| one.len() < 8 << 10).take(3));
        }
    }
    let mut dice = Dice(42);
    let mut seen = Vec::new();
    for seed in &seeds {
        let block = [b"\x0B", &seed[..], b"\x1C\x0D"].concat();
        for _ in 0..4 {
            seen.extend([block.clone(), mutate(&block, &mut dice)]);
        }
    }
    compare(&seen);
}
