//! The patient administration's feed as foreign software sends it: hl7apy builds the messages,
//! python-hl7 sends them to a running gateway and reads the acknowledgements. What was acknowledged
//! is there after a kill. And what a wrong `[adt]` or `[pcim]` table is told.

mod house;

use std::path::Path;

use house::{House, Plan, TCP_SERVER, device, judges, repository};
use serde_json::Value as Json;
use wardgate::gateway::configuration::load;

const ADT: &str = "[adt]\n\
    listen = \"127.0.0.1:0\"\n\
    silent_after_min = 30\n\
    census_at = \"02:30\"\n\
    keep_hours = 12\n\
    [adt.patients]\n\
    main_roots = [\"1.2.246.10.1234567.22.2\"]\n\
    root_without_authority = \"1.2.246.10.1234567.22.9\"\n\
    [adt.patients.authorities]\n\
    PI = \"1.2.246.10.1234567.22.2\"\n\
    [adt.patients.places]\n\
    \"ICU^3^1\" = \"icu/bed-1\"\n\n";

fn told(house: &mut House, python: &std::path::PathBuf, words: &[&str]) -> Vec<String> {
    house.wait("the feed's port", |house| {
        house.status().adt.is_some_and(|adt| adt.port.contains("127.0.0.1:"))
    });
    let port = house.status().adt.unwrap().port;
    let (host, port) = port.rsplit_once(':').unwrap();
    let mut judge = judges::judge(python, "adt_send.py");
    let said = judge.args([host, port]).args(words).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{text}{}", String::from_utf8_lossy(&said.stderr));
    let lines = text.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    lines.map(|line| format!("{} {}", line["event"], line["code"]).replace('"', "")).collect()
}

#[test]
fn a_foreign_feed_is_acknowledged_and_kept() {
    let Some(python) = judges::python("adt_peer") else { return };
    let devices = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER) + ADT;
    let nobody = Some(String::new());
    let mut house = House::open(Plan { destinations: nobody, ..Plan::of(devices) });
    let words =
        ["A01:A1:1:00", "A28:B2:1:01", "A08:A1:1:02", "A60:A1:1:03", "A01:C3:1:04", "A40:A1:C3:05"];
    let codes = told(&mut house, &python, &words);
    assert_eq!(codes, ["A01 AA", "A28 AA", "A08 AA", "A60 AA", "A01 AA", "A40 AA"]);
    let adt = house.status().adt.unwrap();
    assert_eq!((adt.messages, adt.refused, adt.unread_fields), (6, 0, 0));
    assert_eq!(adt.other_events.get("A60"), Some(&1));
    assert!(adt.unknown_since.is_none() && adt.not_named == 0);

    house.kill_nine();
    house.start();
    // A1, who is C3 too, is here by what was acknowledged, and nothing was heard since.
    house.wait("the ledger", |house| house.status().adt.is_some_and(|adt| adt.not_named == 1));
    assert!(house.status().adt.unwrap().unknown_since.is_some());
    assert_eq!(told(&mut house, &python, &["A03:C3:1:30"]), ["A03 AA"]);
    assert_eq!(house.status().adt.unwrap().not_named, 0);
    let log = house.log();
    assert!(!log.contains("ZZZ") && !log.contains("E-1"), "{log}");
}

fn problems(folder: &Path, mode: &str, tables: &str) -> Vec<String> {
    let file = folder.join("wardgate.toml");
    let profiles = repository().join("device-profiles");
    let text = format!(
        "[gateway]\nid = \"urn:uuid:5f0c1a52-8f2e-4a83-9d3e-3d3b0b6d2a11\"\ntenant = \"demo\"\n\
         site = \"site\"\nward = \"icu\"\nname = \"box-1\"\ndata = \"{}\"\nsocket = \"{}\"\n\
         device_profiles = \"{}\"\nmode = \"{mode}\"\n\n{tables}",
        folder.join("data").display(),
        folder.join("socket").display(),
        profiles.display()
    );
    std::fs::write(&file, &text).unwrap();
    let said = load(&file).err().unwrap_or_default();
    // `file:line:column: what`, by the line's own text.
    let named = said.iter().map(|said| {
        let rest = said.split_once(".toml:").unwrap().1;
        let mut parts = rest.splitn(3, ':');
        let line: usize = parts.next().unwrap().parse().unwrap();
        let column: usize = parts.next().unwrap().parse().unwrap();
        assert!(column >= 1);
        let what = parts.next().unwrap().lines().next().unwrap().trim().to_owned();
        format!("{}: {what}", text.lines().nth(line - 1).unwrap())
    });
    named.collect()
}

#[test]
fn a_wrong_table_is_told_where_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(problems(folder.path(), "bench", ADT), [""; 0]);
    for (from, to, expected) in [
        ("127.0.0.1:0", "127.0.0.1", "invalid socket address"),
        ("silent_after_min = 30", "silent_after_min = 0", "expected 1 to 1440 minutes"),
        ("02:30", "2:30", "expected a time of day such as \"02:30\""),
        ("keep_hours = 12", "keep_hours = 1000", "expected 1 to 72 hours"),
        ("main_roots = [\"1.2.", "main_roots = [\"x.2.", "expected an OID"),
        ("PI = \"1.2.246", "PI = \"1..246", "expected an OID"),
        ("22.9\"", "22.\"", "expected an OID"),
        ("keep_hours = 12", "keep_hours = 12\ntls.key = \"/nowhere\"", "needs certificate"),
        ("keep_hours = 12", "keep_hours = 12\ntime_zone = \"Helsinki\"", "Europe/Helsinki"),
        ("keep_hours = 12", "keeps = 12", "unknown field `keeps`"),
    ] {
        assert!(ADT.contains(from), "{from}");
        let said = problems(folder.path(), "bench", &ADT.replacen(from, to, 1));
        assert_eq!(said.len(), 1, "{to}: {said:?}");
        assert!(said[0].contains(expected), "{said:?}");
        let wrong = to.lines().last().unwrap();
        assert!(said[0].contains(wrong), "{said:?} stands not at {wrong}");
    }
}

#[test]
fn in_production_ports_and_peers_prove_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let said = |tables: &str| {
        let all = problems(folder.path(), "production", tables);
        // The bench's gateway table has no key.
        let own = all.into_iter().filter(|one| !one.contains("journal_key"));
        own.collect::<Vec<String>>()
    };
    assert!(said(ADT).is_empty(), "{:?}", said(ADT));
    let open = said(&ADT.replace("127.0.0.1:0", "192.0.2.10:6661"));
    assert!(open.len() == 1 && open[0].starts_with("listen = \"192.0.2.10"), "{open:?}");
    let pcim = |role: &str, more: &str| said(&format!("{ADT}[pcim]\nrole = \"{role}\"\n{more}"));
    assert_eq!(pcim("manager", "listen = \"127.0.0.1:0\"\n"), [""; 0]);
    let deaf = pcim("consumer", "");
    assert!(deaf.len() == 1 && deaf[0].contains("expected `listen`"), "{deaf:?}");
    let both = pcim("reporter", "listen = \"127.0.0.1:0\"\n");
    assert!(both.len() == 1 && both[0].starts_with("listen = "), "{both:?}");
    let peer = "[[pcim.peer]]\nname = \"core\"\nhost = \"192.0.2.10\"\nport = 6663\n";
    let plain = pcim("reporter", peer);
    assert!(plain.len() == 1 && plain[0].contains("both sides prove themselves"), "{plain:?}");
    let talks = pcim("consumer", &format!("listen = \"127.0.0.1:0\"\n{peer}"));
    assert!(talks.iter().any(|one| one.contains("expected no peer")), "{talks:?}");
}
