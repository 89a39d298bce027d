//! What a person looks up: it is what the journal holds, it says when it is less, and whatever
//! happens to the index, devices are acknowledged and the core gets everything.

mod house;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use house::mllp::{Mllp, Vital, vital};
use house::{House, Plan, TCP_SERVER, device};
use serde_json::Value as Json;
use wardgate::gateway::indexing::describe;
use wardgate::index::Class;

/// A published fictional identity code.
const CANARY: &str = "010107A9067";

/// How quickly a message is acknowledged, whatever happens to the index.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(2);

fn monitor() -> String {
    device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
}

fn send(house: &mut House, from: u32, count: u32, patient: &str) {
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    for number in from..from + count {
        let time = format!("20261120{:02}{:02}{:02}", number / 3600, number / 60 % 60, number % 60);
        let control_id = number.to_string();
        let heart_rate = (60 + number % 40).to_string();
        let (sent, control_id, time) = (time.as_str(), control_id.as_str(), time.as_str());
        let heart_rate = heart_rate.as_str();
        let begun = Instant::now();
        let answer = client.ask(&vital(Vital { sent, control_id, time, patient, heart_rate }));
        assert_eq!(answer.unwrap().code, "AA");
        assert!(begun.elapsed() < ACKNOWLEDGED_WITHIN, "{:?}", begun.elapsed());
    }
}

fn wait_for_index(house: &mut House) {
    house.wait("the index is complete", |house| {
        let status = house.status();
        let index = status.index.expect("an index");
        !index.rebuilding && index.complete_through == status.journal.durable
    });
}

/// A verb that is given something on its standard input.
fn told(house: &House, words: &[&str], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardgate"));
    command.args(words).arg("--config").arg(house.configuration());
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn found(output: &Output) -> Json {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn sequences(answer: &Json) -> Vec<u64> {
    let rows = answer["records"].as_array().unwrap();
    rows.iter().map(|row| row["sequence"].as_u64().unwrap()).collect()
}

/// The records of these classes in the journal, newest first.
fn scanned(house: &House, classes: &[Class]) -> Vec<u64> {
    let entries = house.journal_records().iter().map(describe).collect::<Vec<_>>();
    let wanted = |class: &Class| classes.contains(class);
    let ours = entries.iter().filter(|entry| entry.classes.iter().any(wanted));
    let mut found: Vec<_> = ours.map(|entry| (entry.time_us, entry.sequence)).collect();
    found.sort_unstable();
    found.reverse();
    found.into_iter().map(|(_, sequence)| sequence).collect()
}

#[test]
fn a_person_finds_what_the_journal_holds() {
    let mut house = House::open(Plan::of(monitor()));
    send(&mut house, 0, 30, CANARY);
    send(&mut house, 30, 20, "P-2");
    wait_for_index(&mut house);

    let all = found(&told(&house, &["records", "--json", "--limit", "1000"], ""));
    let every = [Class::Trend, Class::Gap, Class::Association, Class::Event, Class::Result];
    assert_eq!(sequences(&all), scanned(&house, &every));
    assert_eq!((&all["rebuilding"], &all["more"]), (&false.into(), &false.into()));
    assert_eq!(all["complete_through"], all["durable"]);

    // By patient: from standard input or a file, in no output.
    let of = |words: &[&str], stdin: &str| found(&told(&house, words, stdin));
    let by_patient = ["records", "--json", "--kind", "trends", "--patient-from", "-"];
    let theirs = of(&by_patient, &format!("{CANARY}\n"));
    assert_eq!(theirs["records"].as_array().unwrap().len(), 30);
    assert_eq!(of(&by_patient, "P-2")["records"].as_array().unwrap().len(), 20);
    assert_eq!(of(&by_patient, "P-3")["records"].as_array().unwrap().len(), 0);
    let file = house.path("id");
    std::fs::write(&file, CANARY).unwrap();
    let path = file.to_str().unwrap();
    let words = ["records", "--kind", "trends", "--patient-from", path, "--limit", "5"];
    let table = String::from_utf8(told(&house, &words, "").stdout).unwrap();
    println!("{table}");
    assert!(table.contains("5 records; there may be older ones: --until 2026-11-19T"), "{table}");
    assert!(table.contains("heart-rate") && table.contains("the device states a patient"));
    for text in [theirs.to_string(), table, house.log()] {
        assert!(!text.contains(CANARY), "{text}");
    }

    // By time and kind.
    let ten = ["--since", "2026-11-20T00:00:10+02:00", "--until", "2026-11-20 00:00:19"];
    let words = [&["records", "--json", "--kind", "trends,results"][..], &ten].concat();
    assert_eq!(of(&words, "")["records"].as_array().unwrap().len(), 10);
    let gaps = of(&["records", "--json", "--kind", "gaps"], "");
    assert_eq!(sequences(&gaps), scanned(&house, &[Class::Gap]));
    let associations =
        of(&["records", "--json", "--kind", "associations", "--device", "monitor"], "");
    assert_eq!(sequences(&associations), scanned(&house, &[Class::Association]));

    assert_eq!(house.stop().code(), Some(0));
    for entry in std::fs::read_dir(house.path("data").join("index").join("rows")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
        let holds = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
        assert!(!holds, "an identity stands in {}", path.display());
    }
    // Left in order, it is there at once.
    house.start();
    wait_for_index(&mut house);
    assert_eq!(house.status().index.unwrap().thrown_away, 0);
}

#[test]
fn nonsense_is_told_what_would_be_accepted() {
    let house = House::build(Plan { destinations: Some(String::new()), ..Plan::of(monitor()) });
    for (words, expected) in [
        (&["--since", "yesterdayish"][..], "\"yesterdayish\" is no time: expected"),
        (&["--until", "2026-13-01"], "--until: \"2026-13-01\" is no time"),
        (&["--since", "1h", "--until", "2h"], "--since is later than --until"),
        (&["--limit", "0"], "0 is not in 1..=1000"),
        (&["--kind", "everything"], "possible values: results, trends, events, gaps"),
        (&["--patient-from", "-"], "expected one line with one id"),
        (&["--patient-from", "/nonexistent"], "/nonexistent: No such file"),
        (&[], "no daemon answers on"),
    ] {
        let output = told(&house, &[&["records"], words].concat(), "");
        let said = String::from_utf8(output.stderr).unwrap();
        println!("{said}");
        assert!(!output.status.success() && said.contains(expected), "{words:?}: {said}");
    }
}

#[test]
fn whatever_happens_to_the_index_the_house_goes_on() {
    let mut house = House::open(Plan::of(monitor()));
    let index = house.path("data").join("index");
    send(&mut house, 0, 20, "P-1");
    wait_for_index(&mut house);
    // The folder goes, twice, and comes back as something else.
    for round in 1..=2 {
        std::fs::remove_dir_all(&index).unwrap();
        send(&mut house, 20 * round, 20, "P-1");
        house.wait("it is noticed", |house| {
            house.status().index.unwrap().thrown_away >= u64::from(round)
        });
        wait_for_index(&mut house);
    }
    std::fs::remove_dir_all(&index).unwrap();
    std::fs::write(&index, b"a file where a folder was").unwrap();
    send(&mut house, 60, 20, "P-1");
    wait_for_index(&mut house);
    house.settle();
    // A kill leaves it as it was in the middle of its work.
    house.kill_nine();
    house.start();
    send(&mut house, 80, 20, "P-1");
    wait_for_index(&mut house);
    let shown = house.status().index.unwrap();
    assert_eq!(shown.trouble.as_deref(), Some("it was not stopped in order"));
    let words = ["records", "--json", "--kind", "trends", "--limit", "1000"];
    let all = found(&told(&house, &words, ""));
    assert_eq!(sequences(&all), scanned(&house, &[Class::Trend]));
    assert_eq!(all["records"].as_array().unwrap().len(), 100);
    house.settle();
    assert_eq!(house.stored_of("observation", "monitor").len(), 100);
    assert_eq!(house.stop().code(), Some(0));
}

#[test]
fn while_it_is_rebuilt_a_person_is_told() {
    let mut house = House::open(Plan::of(monitor()));
    house.kill_core();
    send(&mut house, 0, 1500, "P-1");
    assert_eq!(house.stop().code(), Some(0));
    std::fs::remove_dir_all(house.path("data").join("index")).unwrap();
    house.start();
    let words = ["records", "--json", "--kind", "trends", "--limit", "1000"];
    let mut told_so = 0;
    house.wait("it is whole", |house| {
        let output = told(house, &words, "");
        let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        let partial = answer["rebuilding"] == true;
        assert_eq!(partial, !output.status.success(), "{said}");
        if partial {
            told_so += 1;
            let through = format!("complete through record {}", answer["complete_through"]);
            assert!(said.contains("the index is being rebuilt") && said.contains(&through));
            let beyond = sequences(&answer).into_iter().max().unwrap_or(0);
            assert!(Some(beyond) <= answer["complete_through"].as_u64());
        }
        !partial
    });
    let peak = house::process::peak_resident_bytes(house.gateway_id());
    println!("{told_so} answers while it was rebuilt; the process took {peak} bytes at most");
    wait_for_index(&mut house);
    let newest: Vec<u64> = scanned(&house, &[Class::Trend]).into_iter().take(1000).collect();
    assert_eq!(sequences(&found(&told(&house, &words, ""))), newest);
}
