//! What each simulated HL7 monitor sends in its first minutes is read as its own log says: through
//! device file, driver and mapping, and by python-hl7, which shares no code with either. It is
//! acknowledged as it asks, is switched off and on in between, and sends what nobody can read.
//!
//! Simulator and driver are of one house: this proves that they agree, not how a monitor behaves.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use house::{judges, repository};
use serde_json::Value as Json;
use wardgate::gateway::configuration::{load_profile, load_vocabulary};
use wardgate::gateway::replay::{self, Piece};
use wardgate::profile::{Drafts, Profile};
use wardgate::protocol::{Driver, Event, LinkChange, Peer, Session, Settled, Site};
use wardgate::vocabulary::{Certainty, Moment};

struct Bench {
    dialect: &'static str,
    profile: &'static str,
    firmware: &'static str,
    /// The published message after which it is made.
    sample: Option<&'static str>,
    /// What the device calls a value, and the parameter that it must become; none: unmapped.
    names: &'static [(&'static str, &'static str)],
}

static BENCHES: [Bench; 6] = [
    Bench {
        dialect: "pcd-01",
        profile: "generic/pcd-01",
        firmware: "PCD-01 2.6",
        sample: None,
        names: &[
            ("MDC_ECG_HEART_RATE", "heart-rate"),
            ("MDC_PULS_OXIM_SAT_O2", "spo2"),
            ("MDC_PRESS_BLD_ART_SYS", "arterial-systolic"),
        ],
    },
    Bench {
        dialect: "mindray-vs",
        profile: "mindray/vs",
        firmware: "PCD-01 2.6",
        sample: Some("mindray_vs8_pcd01.hl7"),
        names: &[
            ("MDC_PULS_OXIM_SAT_O2", "spo2"),
            ("MDC_PULS_OXIM_PULS_RATE", "pulse-rate-pleth"),
            ("MDC_BLD_PERF_INDEX", "perfusion-index"),
            ("MDC_PRESS_CUFF_SYS", "nibp-cuff-systolic"),
            ("MDC_PRESS_CUFF_DIA", "nibp-cuff-diastolic"),
            ("MDC_PRESS_CUFF_MEAN", "nibp-cuff-mean"),
        ],
    },
    Bench {
        dialect: "mindray-xh80x",
        profile: "mindray/xh80x",
        firmware: "HL7 2.4",
        sample: Some("mindray_xh80x_sentinels.hl7"),
        names: &[
            ("MDC_PRESS_CUFF_SYS", "nibp-cuff-systolic"),
            ("MDC_PULS_OXIM_SAT_O2", "spo2"),
            ("MDC_ECG_HEART_RATE", "heart-rate"),
            ("MDC_TEMP", "temperature"),
        ],
    },
    Bench {
        dialect: "piic-mdil",
        profile: "philips/piic-mdil",
        firmware: "MDIL 2.3",
        sample: Some("philips_piic_mdil.hl7"),
        names: &[
            ("SpO2", "spo2"),
            // No source says that it is the respiration rate of the vocabulary.
            ("Resp", ""),
            ("HR", "heart-rate"),
            ("ABPs", "press-bld-art-abp-sys"),
            ("ABPd", "press-bld-art-abp-dia"),
            ("ABPm", "press-bld-art-abp-mean"),
            ("HardInop", ""),
        ],
    },
    Bench {
        dialect: "efficia-cm",
        profile: "philips/efficia-cm",
        firmware: "HL7 2.4",
        sample: None,
        names: &[
            ("simulated value one", ""),
            ("simulated value two", ""),
            ("red", ""),
            ("yellow", ""),
            ("soft INOP", ""),
        ],
    },
    Bench {
        dialect: "ge-b-series",
        profile: "ge-healthcare/b-series",
        firmware: "PCD-01 2.6",
        sample: Some("ge_b40_pcd01.hl7"),
        names: &[
            ("MDC_PRESS_BLD_ART_SYS", "arterial-systolic"),
            ("MDC_PRESS_BLD_ART_DIA", "arterial-diastolic"),
            ("MDC_PRESS_BLD_ART_MEAN", "arterial-mean"),
            ("MDC_BLD_PULS_RATE_INV", "bld-puls-rate-inv"),
            ("MDC_ECG_HEART_RATE", "heart-rate"),
            ("MDC_ECG_V_P_C_RATE", "ecg-v-p-c-rate"),
            ("MDC_PULS_OXIM_SAT_O2", "spo2"),
            ("MDC_RESP_RATE", "respiration-rate"),
            ("MDC_TEMP", "temperature"),
        ],
    },
];

/// One value, said by the log or read from the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    value: String,
    is_absent: bool,
    is_demo: bool,
    /// The device's own time; nothing where it has none.
    time: String,
}

/// By what the device calls it, in order.
type ByName = BTreeMap<String, Vec<Told>>;

/// What came over the connections of one monitor.
#[derive(Default)]
struct Heard {
    pieces: Vec<(u64, Piece)>,
    /// Blocks that could be read.
    read: Vec<u8>,
}

/// Takes connections and acknowledges through the driver until the monitor has ended.
fn listen(listener: &TcpListener, profile: &Profile, bench: &Bench, monitor: &mut Child) -> Heard {
    let (mut heard, begun) = (Heard::default(), Instant::now());
    let mut driver = profile.driver(bench.firmware, Site::default());
    listener.set_nonblocking(true).unwrap();
    let mut session = 0;
    while monitor.try_wait().unwrap().is_none() {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        stream.set_nonblocking(false).unwrap();
        session += 1;
        driver.link(LinkChange::Opened { session: Session(session) }, now(begun));
        let mut chunk = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            let at_ms = begun.elapsed().as_millis() as u64;
            heard.pieces.push((at_ms, Piece::Bytes(chunk[..count].to_vec())));
            driver.receive(&chunk[..count], Peer::STREAM, now(begun));
            answer(driver.as_mut(), &mut stream, &mut heard, now(begun));
        }
        heard.pieces.push((begun.elapsed().as_millis() as u64, Piece::Disconnect));
        driver.link(LinkChange::Closed, now(begun));
        while driver.poll().is_some() {}
    }
    heard
}

fn now(begun: Instant) -> Moment {
    let us = begun.elapsed().as_micros() as u64;
    Moment::new(us, 1_767_225_600_000_000 + us as i64, Certainty::Unproven)
}

fn answer(driver: &mut dyn Driver, stream: &mut TcpStream, heard: &mut Heard, now: Moment) {
    while let Some(event) = driver.poll() {
        match event {
            Event::Message(message) => {
                if message.refusals.is_empty() {
                    heard.read.extend(&message.raw);
                }
                driver.settled(message.id, Settled::Durable, now);
            }
            Event::Send { bytes, .. } => stream.write_all(&bytes).unwrap(),
            Event::Samples(_) | Event::Identity(_) | Event::Trouble { .. } => {}
            Event::Close { why } => panic!("{why:?}"),
        }
    }
}

/// Runs the simulator: at first for a second, then dark, then for another second.
fn play(bench: &Bench, log: &Path) -> (Profile, Heard) {
    let folder = repository().join("device-profiles");
    let vocabulary = load_vocabulary(&folder).unwrap();
    let path = folder.join(bench.profile).join("profile.toml");
    let profile = load_profile(&path, &vocabulary, Drafts::Accepted).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let program = Path::new(env!("CARGO_BIN_EXE_wardgate")).with_file_name("wardgate-hil");
    assert!(program.exists(), "wardgate-hil is built beside wardgate (cargo build --workspace)");
    let mut command = Command::new(program);
    command.args(["device", "hl7-monitor", "--dialect", bench.dialect, "--connect", &address]);
    // With this seed each of them makes noise among its first twelve messages.
    command.args(["--every", "25", "--for", "5", "--power-cycle", "1", "--noise", "--seed", "8"]);
    let mut monitor =
        command.arg("--log").arg(log).stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let heard = listen(&listener, &profile, bench, &mut monitor);
    let output = monitor.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", bench.dialect);
    (profile, heard)
}

/// What a log says: values, and how many messages are unreadable.
fn said(log: &Path, dialect: &str) -> (ByName, usize) {
    let (mut by_name, mut refused) = (ByName::new(), 0);
    let mut unanswered = BTreeSet::new();
    for line in std::fs::read_to_string(log).unwrap().lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        let text = |key: &str| line[key].as_str().map(str::to_owned);
        assert!(line["breach"].is_null() && line["dropped"].is_null(), "{dialect}: {line}");
        refused += usize::from(line["refused"].is_string());
        if line["acked_us"].is_i64() {
            unanswered.remove(&line["message"].as_u64());
        }
        let (Some(name), Some(value)) = (text("parameter"), text("value")) else { continue };
        unanswered.insert(line["message"].as_u64());
        let time = text("key").and_then(|key| Some(key.split_once('/')?.0.to_owned()));
        let told = Told {
            value,
            is_absent: line["absent"] == true,
            is_demo: line["demo"] == true,
            time: time.unwrap_or_default(),
        };
        by_name.entry(name).or_default().push(told);
    }
    assert!(unanswered.is_empty(), "{dialect}: never acknowledged: {unanswered:?}");
    (by_name, refused)
}

/// What driver and mapping make of the same bytes.
fn read(profile: &Profile, bench: &Bench, heard: &Heard) -> (ByName, usize) {
    let vocabulary = Arc::new(load_vocabulary(&repository().join("device-profiles")).unwrap());
    let site = Site::default();
    let outcome = replay::run(profile, bench.firmware, site, &vocabulary, &heard.pieces);
    let mut by_name = ByName::new();
    for line in outcome.lines.iter().filter(|line| line["refused"].is_null()) {
        let name = line["codings"][0]["words"].as_str().unwrap();
        if let Some((_, parameter)) = bench.names.iter().find(|(words, _)| *words == name) {
            let mapped = line["parameter"].as_str().unwrap_or_default();
            assert_eq!(mapped, *parameter, "{}: {name}", bench.dialect);
        }
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        let is_absent = line["absent"].is_string();
        let told = Told {
            value: text(if is_absent { "absent_mark" } else { "value" }),
            is_absent,
            is_demo: line["mode"] != "production",
            time: text("device_time"),
        };
        by_name.entry(name.to_owned()).or_default().push(told);
    }
    (by_name, outcome.refused)
}

/// OBX-5 by the words of OBX-3.
type Texts = BTreeMap<String, Vec<String>>;

/// What a monitor sent, and what its log says of it.
struct Sent {
    dialect: &'static str,
    bytes: Vec<u8>,
    texts: Texts,
}

/// python-hl7 reads of all monitors what their logs say.
fn judge(python: &PathBuf, all: &[Sent]) {
    let folder = tempfile::tempdir().unwrap();
    let (source, out) = (folder.path().join("source"), folder.path().join("out"));
    std::fs::create_dir(&source).unwrap();
    for sent in all {
        std::fs::write(source.join(sent.dialect), &sent.bytes).unwrap();
    }
    let mut judge = judges::judge(python, "hl7_values.py");
    let output = judge.arg("list").arg(&source).arg(&out).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for sent in all {
        let mut texts = Texts::new();
        let lines = std::fs::read_to_string(out.join(format!("{}.jsonl", sent.dialect))).unwrap();
        for line in lines.lines() {
            let line: Json = serde_json::from_str(line).unwrap();
            if line["structure"] != true {
                let name = line["codings"][0]["words"].as_str().unwrap().to_owned();
                texts.entry(name).or_default().push(line["value"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(texts, sent.texts, "{}: by python-hl7", sent.dialect);
    }
}

/// What of a published message is the same in every message of that monitor: of MSH the fields 2,
/// 9, 11, 12, 15, 16, 18 and 21, and OBX-3, 4 and 6 of each row.
fn forms(text: &str) -> BTreeSet<Vec<&str>> {
    let mut forms = BTreeSet::new();
    for line in text.split(['\r', '\n', '\x0b', '\x1c']) {
        let fields: Vec<&str> = line.split('|').collect();
        let chosen: &[usize] = match fields[0] {
            "MSH" => &[1, 8, 10, 11, 14, 15, 17, 20],
            "OBX" => &[3, 4, 6],
            _ => continue,
        };
        forms.insert(chosen.iter().map(|at| fields.get(*at).copied().unwrap_or("")).collect());
    }
    forms
}

/// The simulator speaks as the published message does.
fn is_like_its_sample(bench: &Bench, heard: &Heard, corpus: &Path) {
    let Some(sample) = bench.sample else { return };
    let path = corpus.join("monitors/hl7-monitors").join(sample);
    let sample = std::fs::read_to_string(path).unwrap();
    let sent = String::from_utf8_lossy(&heard.read);
    let sent = forms(&sent);
    for form in forms(&sample) {
        assert!(sent.contains(&form), "{}: {form:?} was never sent", bench.dialect);
    }
}

fn is_read_as_its_log_says(bench: &Bench, corpus: Option<&PathBuf>) -> Sent {
    let dialect = bench.dialect;
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sent.jsonl");
    let (profile, heard) = play(bench, &log);
    let connections = heard.pieces.iter().filter(|(_, piece)| *piece == Piece::Disconnect).count();
    assert_eq!(connections, 2, "{dialect}: switched off once");

    let (said, unreadable) = said(&log, dialect);
    let (found, refused) = read(&profile, bench, &heard);
    assert!(unreadable > 0, "{dialect}: it sent noise");
    assert_eq!(refused, unreadable, "{dialect}: what nobody can read");
    let names = |by_name: &ByName| by_name.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&said), "{dialect}");
    for (name, values) in &said {
        assert_eq!(found.get(name), Some(values), "{dialect}: {name}");
    }
    for (name, _) in bench.names {
        assert!(said.contains_key(*name), "{dialect}: {name} was never sent");
    }
    let all = || said.values().flatten();
    let valid = all().filter(|told| !told.is_absent && !told.is_demo).count();
    assert!(valid > 20, "{dialect}: {valid} values");
    assert!(all().any(|told| told.is_absent), "{dialect}: invalid values");
    assert_eq!(all().any(|told| told.is_demo), dialect == "mindray-vs", "{dialect}: demo mode");

    if let Some(corpus) = corpus {
        is_like_its_sample(bench, &heard, corpus);
    }
    let texts = |told: &Vec<Told>| told.iter().map(|one| one.value.clone()).collect();
    let texts = said.iter().map(|(name, told)| (name.clone(), texts(told))).collect();
    Sent { dialect, bytes: heard.read, texts }
}

#[test]
fn every_simulated_hl7_monitor_is_read_as_its_log_says() {
    let corpus = judges::corpus("hl7_monitors");
    let all: Vec<Sent> = std::thread::scope(|scope| {
        let corpus = corpus.as_ref();
        let one = |bench| scope.spawn(move || is_read_as_its_log_says(bench, corpus));
        let running: Vec<_> = BENCHES.iter().map(one).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    if let Some(python) = judges::python("hl7_monitors") {
        judge(&python, &all);
    }
}
