//! A destination from its first refusal to its end: what it will not take is set aside through the
//! journal, seen, and sent again when a person asks; only a person ends its hold.

mod house;

use house::mllp::{Mllp, Vital, vital};
use house::receiver::{Answers, Receiver};
use house::{House, Plan, TCP_SERVER, device};
use serde_json::Value as Json;
use wardgate::journal::Kind;

fn house_with_broker() -> House {
    let monitor = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    // The stand-in only brings its broker: its own name does not count here.
    let core: &[&str] = &["--receiver", "nobody"];
    House::build(Plan { core, ..Plan::of(monitor) })
}

fn send(house: &mut House) {
    let mut client = Mllp::connect(house.listening("monitor")).unwrap();
    let (sent, control_id, time) = ("20261120101011", "1", "20261120101010");
    let (patient, heart_rate) = ("P-1", "61");
    let message = vital(Vital { sent, control_id, time, patient, heart_rate });
    assert_eq!(client.ask(&message).unwrap().code, "AA");
}

fn said(house: &House, verb: &[&str]) -> String {
    let output = house.verb(verb);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn events(house: &House, kind: Kind) -> Vec<Json> {
    let records = house.journal_records().into_iter().filter(|one| one.kind == kind);
    records.map(|one| serde_json::from_slice(&one.payload).unwrap()).collect()
}

#[test]
fn what_is_refused_is_set_aside_seen_and_sent_again() {
    let mut house = house_with_broker();
    let core = Receiver::start(house.core_port(), "core", Answers::Refuses("no-such-code"));
    house.start();
    send(&mut house);
    house.wait("it is set aside", |house| house.status().destinations[0].set_aside == 1);
    house.wait("and passed", |house| house.status().destinations[0].backlog == 0);
    let aside = events(&house, Kind::SetAside);
    assert_eq!(aside.len(), 1);
    assert_eq!(
        (&aside[0]["destination"], &aside[0]["code"]),
        (&"core".into(), &"no-such-code".into())
    );
    let record = aside[0]["record"].as_str().unwrap();

    // Also after a crash.
    house.kill_nine();
    house.start();
    house.wait("it is still known", |house| house.status().destinations[0].set_aside == 1);
    let status = said(&house, &["status"]);
    assert!(status.contains("no-such-code"), "{status}");
    // The verb reads the cursor file, which follows within a fraction of a second.
    let listed = |house: &mut House| said(house, &["destination", "set-aside", "core"]);
    house.wait("it stands in the file", |house| listed(house).contains(record));
    let list = listed(&mut house);
    assert!(list.contains(record) && list.contains("no-such-code"), "{list}");
    for secret in ["P-1", "monitor"] {
        assert!(!list.contains(secret), "{list}");
    }

    let before = core.heard().iter().filter(|one| one.id == record).count();
    core.answer(Answers::After(std::time::Duration::ZERO));
    let answer = said(&house, &["journal", "resend", "--destination", "core", "--set-aside"]);
    assert!(answer.contains("1 records are sent to core again") && answer.contains(record));
    house.wait("it comes again", |_| {
        core.heard().iter().filter(|one| one.id == record).count() > before
    });
    let heard = core.heard();
    let same: Vec<_> = heard.iter().filter(|one| one.id == record).collect();
    assert!(same.iter().all(|one| one.payload == same[0].payload), "byte for byte");
    house.wait("nothing is aside", |house| {
        let status = house.status();
        status.destinations[0].set_aside == 0 && status.destinations[0].backlog == 0
    });
    let asked = events(&house, Kind::Destination);
    assert_eq!(asked[0]["event"], "resend");
    assert_eq!(asked[0]["user"], rustix::process::getuid().as_raw());
    let again = house.verb(&["journal", "resend", "--destination", "core", "--set-aside"]);
    assert_eq!(again.status.code(), Some(1), "there is nothing");
}

#[test]
fn a_destination_without_a_table_holds_the_journal_until_a_person_retires_it() {
    let mut house = house_with_broker();
    house.start();
    let retire = ["destination", "retire", "core", "--reason", "moved to the new core"];
    let refused = house.verb(&retire);
    assert_eq!(refused.status.code(), Some(1), "it is configured");

    let mut table = String::new();
    house.reconfigured(|text| {
        let (rest, destination) = text.split_once("[[destination]]").unwrap();
        table = format!("[[destination]]{destination}");
        rest.to_owned()
    });
    assert_eq!(house.status().holding.len(), 1);
    assert!(said(&house, &["status"]).contains("holds the journal"));
    assert!(said(&house, &["check"]).contains("wardgate destination retire core"));
    assert!(said(&house, &["destination", "list"]).contains("holds the journal"));
    let without = house.verb(&["destination", "retire", "core", "--reason", " "]);
    assert_eq!(without.status.code(), Some(1), "a reason is needed");

    said(&house, &retire);
    assert!(house.status().holding.is_empty());
    let record = events(&house, Kind::Destination).remove(0);
    assert_eq!(record["event"], "retired");
    assert_eq!(record["reason"], "moved to the new core");
    assert_eq!(record["user"], rustix::process::getuid().as_raw());
    house.kill_nine();
    house.start();
    assert!(house.status().holding.is_empty(), "also after a restart");
    assert!(said(&house, &["destination", "list"]).contains("retired"));

    // The same name begins again only in words.
    house.stop();
    let text = std::fs::read_to_string(house.configuration()).unwrap();
    std::fs::write(house.configuration(), format!("{text}{table}")).unwrap();
    let output = house.verb(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(why.contains("it was retired"), "{why}");
    let table = table.replacen("\n", "\nstart = \"now\"\n", 1);
    std::fs::write(house.configuration(), format!("{text}{table}")).unwrap();
    house.start();
    assert_eq!(house.status().destinations.len(), 1);
}
