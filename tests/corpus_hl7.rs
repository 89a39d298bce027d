//! Promise 1 against bytes that nobody here wrote: every HL7 v2 result message of the corpus goes
//! through the generic device file of its kind, and what comes out is counted against
//! `tests/corpus/hl7.toml` and compared row by row by a judge that shares no code with us
//! (python-hl7, `tests/judges/hl7_values.py`).
//!
//! Where the program has decided otherwise than the table, [`DECIDED`] says so with the reason;
//! any other difference fails.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use house::{judges, repository};
use serde::Deserialize;
use serde_json::Value as Json;

#[derive(Deserialize)]
struct Table {
    file: BTreeMap<String, Row>,
}

/// What the table counts; see its head.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Row {
    messages: usize,
    other_messages: usize,
    empty: usize,
    values: usize,
    unit_unexpected: usize,
    facts: usize,
    mapped: usize,
    disagree: usize,
    event_parts: usize,
    unmapped: usize,
    refused: usize,
}

/// A difference that stands: the file, what changes in its row, what the judge says of it, and why.
struct Decided {
    file: &'static str,
    change: fn(&mut Row),
    judge: &'static [&'static str],
    why: &'static str,
}

const DECIDED: [Decided; 3] = [
    Decided {
        file: "lab/mindray-bc5380/oru_r01_qc_abridged.hl7",
        change: |row| {
            row.unmapped -= 3;
            row.refused += 3;
        },
        judge: &[],
        why: "three rows of type NM hold asterisks: an NM that is no number is refused and shown, \
              unless the device file lists the mark as a sentinel",
    },
    Decided {
        file: "semantics/hapi-hl7v2/messages.txt",
        change: |row| {
            // A comment in C stands before the first message, and a line of the result is broken.
            row.other_messages += 1;
            row.refused += 1;
        },
        judge: &[],
        why: "what stands before the first MSH is a block of its own, refused; so is the odd line",
    },
    Decided {
        file: "semantics/ipf/commons__ihe__hl7v2ws__pcd01__valid-pcd01-MaximumRequest2.hl7",
        change: |_| {},
        judge: &[
            "message 1 OBX-4 1.0.1.2 150022^MDC_PRESS_BLD_NONINV_DIA: value 'absent (invalid)' is \
             '70' in the source",
        ],
        why: "by HL7 table 0085 a result of status D is deleted: the number stays as the mark of \
              absence and is no value",
    },
];

/// Which generic device file is the plain one for a file of the corpus.
fn profile_of(file: &str) -> &'static str {
    let laboratory = ["lab/", "law_lab29", "hapi-hl7v2/"];
    let pumps = ["pumps/", "bbraun_lvp", "pcd04_"];
    let is_of = |parts: &[&str]| parts.iter().any(|part| file.contains(part));
    if is_of(&laboratory) {
        "generic/laboratory-hl7v2"
    } else if is_of(&pumps) {
        "generic/infusion-pump-gateway"
    } else if file.contains("mdil") {
        "philips/piic-mdil"
    } else {
        "generic/pcd-01"
    }
}

fn replay(file: &Path, profile: &str, json: bool) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardgate"));
    command.args(["profile", "replay"]);
    if json {
        command.arg("--json");
    }
    command.arg(repository().join("device-profiles").join(profile)).arg(file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}: {output:?}", file.display());
    String::from_utf8(output.stdout).unwrap()
}

/// The program's lines, counted as the table counts.
fn counted(lines: &str) -> Row {
    let mut row = Row::default();
    for line in lines.lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        if let Some(refused) = line.get("refused") {
            match refused["why"].as_str() {
                Some("unsupported-message" | "unparseable") => row.other_messages += 1,
                Some("odd-segment") => row.refused += 1,
                _ => (row.refused, row.values) = (row.refused + 1, row.values + 1),
            }
            continue;
        }
        if line.get("absent").is_some() && line.get("absent_mark").is_none() {
            row.empty += 1;
            continue;
        }
        let doubts = line.get("doubts").map(Json::to_string).unwrap_or_default();
        row.values += 1;
        let is_number = line.get("form").is_none() && line.get("coded").is_none();
        row.unit_unexpected += usize::from(is_number && doubts.contains("unit-unexpected"));
        let class = match (line["nature"].as_str(), line["parameter"].is_string()) {
            _ if is_fact(&line) => &mut row.facts,
            _ if doubts.contains("code-and-name-disagree") => &mut row.disagree,
            (_, true) => &mut row.mapped,
            (Some("event-part"), false) => &mut row.event_parts,
            (_, false) => &mut row.unmapped,
        };
        *class += 1;
    }
    row
}

/// By the reference id, as the head of the table says.
fn is_fact(line: &Json) -> bool {
    let beginnings = ["MDC_ATTR_", "MDC_DEV_", "MDC_TIME_SYNC_", "MDC_TIME_CAP_"];
    let codings = line["codings"].as_array().unwrap();
    let words = codings.iter().filter_map(|coding| coding["words"].as_str());
    let mut names = words.filter(|words| words.starts_with("MDC_"));
    names.next().is_some_and(|name| beginnings.iter().any(|beginning| name.starts_with(beginning)))
}

/// The last line for people begins with the number of messages.
fn messages(text: &str) -> usize {
    let last = text.lines().last().unwrap_or_default();
    last.split(' ').next().and_then(|number| number.parse().ok()).expect("a number of messages")
}

#[test]
fn every_message_of_the_corpus_comes_out_as_it_is() {
    let name = "corpus_hl7";
    let Some(corpus) = judges::corpus(name) else { return };
    let Some(python) = judges::python(name) else { return };
    let text = std::fs::read_to_string(repository().join("tests/corpus/hl7.toml")).unwrap();
    let table: Table = toml::from_str(&text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let lines_path = folder.path().join("lines.jsonl");
    let mut wrong = Vec::new();
    for (file, row) in &table.file {
        let (path, profile) = (corpus.join(file), profile_of(file));
        let lines = replay(&path, profile, true);
        let decided = DECIDED.iter().find(|one| one.file == file);
        let mut expected = row.clone();
        if let Some(decided) = decided {
            println!("{file}: {}", decided.why);
            (decided.change)(&mut expected);
        }
        let refused_whole = expected.other_messages;
        let mut found = counted(&lines);
        found.messages = messages(&replay(&path, profile, false)) - refused_whole;
        if found != expected {
            wrong.push(format!("{file}: expected {expected:?}\n  found {found:?}"));
        }
        std::fs::write(&lines_path, &lines).unwrap();
        let mut judge = judges::judge(&python, "hl7_values.py");
        let output = judge.arg("compare").arg(&path).arg(&lines_path).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let known: BTreeSet<&str> = decided.iter().flat_map(|one| one.judge).copied().collect();
        let said: BTreeSet<&str> =
            if output.status.success() { BTreeSet::new() } else { said.lines().collect() };
        if said != known {
            let error = String::from_utf8_lossy(&output.stderr);
            wrong.push(format!("{file}: the judge says {said:#?}{error}"));
        }
    }
    assert_eq!(table.file.len(), 34, "the whole table was read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
