//! Promise 1 against ASTM transmissions that nobody here wrote: what comes out of the plain device
//! file is counted against `tests/corpus/astm.toml`, which was counted without our program, and the
//! listed results come out with their exact digits, units and codes.
//!
//! Unlike `wardgate profile replay`, the sender here waits for its answers, frame by frame.

mod house;

use std::collections::BTreeMap;
use std::sync::Arc;

use house::{judges, lis01, repository};
use serde::Deserialize;
use wardgate::mapping::Mapper;
use wardgate::profile::{Drafts, Profile};
use wardgate::protocol::{
    Completeness, Driver, Event, LinkChange, Message, Peer, Session, Settled, Site,
};
use wardgate::vocabulary::{Certainty, DeviceCode, Moment, Reading, Vocabulary};

#[derive(Deserialize)]
struct Table {
    file: BTreeMap<String, Row>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Row {
    sessions: usize,
    frames: usize,
    checksum_good: usize,
    checksum_bad: usize,
    trailer_missing: usize,
    records_r: usize,
    results: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    test_id: String,
    code: String,
    value: String,
    unit: String,
}

/// A plain analyser: nothing but where specimen and code stand.
const PROFILE: &str = "profile_format = 1\nrevision = 1\n
[device]\nmanufacturer = 'Corpus'\nmodel = 'Plain'\nkind = 'laboratory-analyser'\n
[firmware]\nlearned = 'entered-at-commissioning'\ntested = ['1']\non_unlisted = 'hold'\n
[provenance]\nstatus = 'draft'\nevidence = 'spec'\nknown_gaps = ['everything']\n
[[provenance.source]]\nid = 'lis'\nkind = 'standard'\ntitle = 'LIS02-A2'\n
[link]\ntransport = { tcp_server = { port = 9100 } }\ndirection = 'link-replies'\n\
silent_after_ms = 3600000\n
[protocol.astm]\nspecimen_id = 'O.3.1'\ntest_code = 'R.3.4'\n";

fn plain(more: &str) -> (Profile, Arc<Vocabulary>) {
    let read = |name: &str| {
        let path = repository().join("device-profiles/vocabulary").join(name);
        std::fs::read_to_string(path).unwrap()
    };
    let vocabulary = Vocabulary::parse(&read("parameters.toml"), &read("units.toml")).unwrap();
    let profile = Profile::read(&format!("{PROFILE}{more}"), &vocabulary, Drafts::Accepted);
    (profile.unwrap(), Arc::new(vocabulary))
}

/// The frames of a file as they would be sent, or its records in frames of our own.
fn wire(content: &[u8]) -> Vec<Vec<u8>> {
    if !content.contains(&0x02) {
        let lines = content.split(|byte| matches!(byte, b'\r' | b'\n'));
        let records = lines.filter(|line| !line.is_empty()).enumerate();
        return records.map(|(index, record)| lis01::frame(index + 1, record)).collect();
    }
    let mut frames = Vec::new();
    let mut rest = content;
    while let Some(start) = rest.iter().position(|byte| *byte == 0x02) {
        let next = rest[start + 1..].iter().position(|byte| *byte == 0x02);
        let end = next.map_or(rest.len(), |next| start + 1 + next);
        let frame: Vec<u8> =
            rest[start..end].iter().copied().filter(|byte| !matches!(byte, 4 | 5)).collect();
        frames.push(frame);
        rest = &rest[end..];
    }
    frames
}

/// What a sender sees and what the driver hands over.
struct Outcome {
    messages: Vec<Message>,
    acknowledged: usize,
    refused: usize,
}

/// Plays the sender, who waits for every answer and gives up after a refusal.
fn converse(profile: &Profile, frames: &[Vec<u8>]) -> Outcome {
    let now = Moment::new(1_000_000, 1_767_225_600_000_000, Certainty::Unproven);
    let mut driver = profile.driver("1", Site::default());
    let mut outcome = Outcome { messages: Vec::new(), acknowledged: 0, refused: 0 };
    driver.link(LinkChange::Opened { session: Session(1) }, now);
    assert_eq!(say(driver.as_mut(), &[lis01::ENQ], now, &mut outcome), [lis01::ACK]);
    for frame in frames {
        match say(driver.as_mut(), frame, now, &mut outcome)[..] {
            [lis01::ACK] => outcome.acknowledged += 1,
            [lis01::NAK] => outcome.refused += 1,
            ref other => panic!("one answer to one frame, got {other:?}"),
        }
    }
    assert!(say(driver.as_mut(), &[lis01::EOT], now, &mut outcome).is_empty());
    driver.link(LinkChange::Closed, now);
    say(driver.as_mut(), &[], now, &mut outcome);
    outcome
}

fn say(driver: &mut dyn Driver, bytes: &[u8], now: Moment, outcome: &mut Outcome) -> Vec<u8> {
    let mut answers = Vec::new();
    driver.receive(bytes, Peer::STREAM, now);
    while let Some(event) = driver.poll() {
        match event {
            Event::Message(message) => {
                assert!(answers.is_empty(), "nothing is acknowledged before it is kept");
                driver.settled(message.id, Settled::Durable, now);
                outcome.messages.push(message);
            }
            Event::Send { bytes, .. } => answers.extend(bytes),
            Event::Samples(_)
            | Event::Identity(_)
            | Event::Trouble { .. }
            | Event::Close { .. } => {}
        }
    }
    answers
}

fn readings(outcome: &Outcome) -> Vec<&Reading> {
    let groups = outcome.messages.iter().flat_map(|message| &message.groups);
    groups.flat_map(|group| &group.readings).collect()
}

/// Files whose frames lack CR LF, or whose frame is longer than the plain limit, need those two
/// words in their device file (facts/lab.md 1.5).
fn more_words(row: &Row) -> &'static str {
    if row.trailer_missing > 0 { "trailer = 'optional'\n" } else { "" }
}

#[test]
fn every_transmission_of_the_corpus_comes_out_as_it_is() {
    let Some(corpus) = judges::corpus("corpus_astm") else { return };
    let text = std::fs::read_to_string(repository().join("tests/corpus/astm.toml")).unwrap();
    let table: Table = toml::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    let mut results = 0;
    for (file, row) in &table.file {
        let content = std::fs::read(corpus.join(file)).unwrap();
        let frames = wire(&content);
        let (profile, vocabulary) = plain(more_words(row));
        let outcome = converse(&profile, &frames);
        let mut expect = |what: &str, expected: usize, found: usize| {
            if expected != found {
                wrong.push(format!("{file}: {what}: expected {expected}, found {found}"));
            }
        };
        if row.frames > 0 {
            expect("frames", row.frames, frames.len());
        }
        expect("sessions", row.sessions, 1);
        let found = readings(&outcome);
        if row.checksum_bad == 0 {
            let good = if row.frames > 0 { row.checksum_good } else { frames.len() };
            expect("acknowledged", good, outcome.acknowledged);
            expect("refused", 0, outcome.refused);
            expect("results", row.records_r, found.len());
            let incomplete = |one: &&Message| one.completeness == Completeness::Incomplete;
            expect("incomplete", 0, outcome.messages.iter().filter(incomplete).count());
            let mapper = Mapper::new(&profile, "1", Arc::clone(&vocabulary));
            let groups = outcome.messages.iter().flat_map(|one| one.groups.clone());
            let mapped = mapper.map(&groups.collect::<Vec<_>>());
            let unmapped: usize = mapped.observations.iter().map(|one| one.unmapped()).sum();
            // No code table: everything is kept, counted and shown as unmapped.
            expect("unmapped", row.records_r, unmapped + mapped.refusals.len());
        }
        results += found.len();
        for listed in row.results.iter().filter(|_| row.checksum_bad == 0) {
            if !found.iter().any(|reading| is_listed(reading, listed)) {
                wrong.push(format!("{file}: no {} = {}", listed.test_id, listed.value));
            }
        }
    }
    println!("{} files, {results} results", table.file.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_listed(reading: &Reading, listed: &Listed) -> bool {
    let DeviceCode::Codings(codings) = &reading.code else { return false };
    let coding = &codings[0];
    let unit = reading.unit.as_ref().map(|unit| unit.codings[0].code.clone()).unwrap_or_default();
    // The code and the rest of R.3 together hold everything that R.3 held.
    let words = listed.test_id.trim_matches('^');
    // An empty code in the table: the fourth component is not the test code of that device.
    let same_test = (listed.code.is_empty() || coding.code == listed.code)
        && (words == coding.code
            || words.split('^').all(|part| {
                part == coding.code || coding.words.split('^').any(|other| other == part)
            }));
    same_test && reading.value.as_sent() == listed.value && unit == listed.unit
}

/// A damaged frame and everything after it is refused; the sender repairs it and loses nothing.
#[test]
fn a_transmission_with_a_wrong_checksum_gives_nothing_behind_it() {
    let Some(corpus) = judges::corpus("corpus_astm") else { return };
    let content = std::fs::read(corpus.join("lab/abbott-architect/result1.astm")).unwrap();
    let (profile, _) = plain("");
    let mut frames = wire(&content);
    let outcome = converse(&profile, &frames);
    assert_eq!((outcome.acknowledged, outcome.refused), (2, 5));
    assert_eq!(readings(&outcome).len(), 0, "no result without its order");
    let refused = outcome.messages.iter().flat_map(|one| &one.refusals);
    assert!(refused.count() >= 5, "and it is shown");
    // The O record with the checksum that belongs to it.
    let end = frames[2].iter().position(|byte| *byte == 0x03).unwrap();
    let sum = lis01::checksum(&frames[2][1..=end]);
    frames[2][end + 1..end + 3].copy_from_slice(sum.as_bytes());
    let outcome = converse(&profile, &frames);
    assert_eq!((outcome.acknowledged, outcome.refused), (7, 0));
    let found = readings(&outcome);
    assert_eq!(found.len(), 3);
    let values: Vec<&str> = found.iter().map(|reading| reading.value.as_sent()).collect();
    assert!(values.contains(&"> 15000.00") && values.contains(&"Positive"), "{values:?}");
}
