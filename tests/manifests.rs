//! A core that has everything proves it with the manifests; one that lacks a record, or has another
//! one, sees it. The judge is Python's `cryptography`, from the words of the contract.

mod house;

use std::path::Path;
use std::process::Command;

use house::pty::Line;
use house::{House, Plan, device, judges, oximeter};

/// Exit code and what the judge said.
fn judged(python: &Path, store: &Path) -> (bool, String) {
    let judge = house::repository().join("tests/judges/manifest_check.py");
    let output = Command::new(python).arg(judge).arg("core").arg(store).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn manifests(house: &House) -> usize {
    house.stored_of("manifest", "box-1").len()
}

#[test]
fn manifests_prove_that_a_core_has_everything_also_over_a_kill_nine() {
    let name = "manifests_prove_that_a_core_has_everything_also_over_a_kill_nine";
    let Some(python) = judges::python(name) else { return };
    let folder = tempfile::tempdir().unwrap();
    let port = folder.path().join("oximeter");
    let mut line = Line::plug(&port);
    let serial = format!("serial = \"{}\"", port.display());
    let mut plan = Plan::of(device("oximeter", "nordpuls/po-100", "2.2", &serial));
    plan.gateway = "manifest_every_s = 1".to_owned();
    let mut house = House::open(plan);
    for round in 0..2 {
        house.wait("the port is open", |_| line.is_open());
        for value in 80..90 {
            assert!(line.send(&oximeter::line(&value.to_string(), "60", "2.5")).unwrap());
        }
        let count = manifests(&house);
        house.wait("two more manifests", |house| manifests(house) >= count + 2);
        if round == 0 {
            house.kill_nine();
            house.start();
        }
    }
    house.settle();
    assert_eq!(house.stop().code(), Some(0));
    let store = house.path("core");
    let (good, said) = judged(&python, &store);
    assert!(good, "{said}");
    let records = house.stored_of("observation", "oximeter").len();
    assert_eq!(records, 20, "{said}");

    let text = std::fs::read_to_string(&store).unwrap();
    let spoiled = folder.path().join("spoiled");
    let is_value = |line: &&str| line.contains("/observation/oximeter");
    let lost: Vec<&str> = {
        let mut seen = false;
        text.lines().filter(|line| !is_value(line) || std::mem::replace(&mut seen, true)).collect()
    };
    std::fs::write(&spoiled, lost.join("\n") + "\n").unwrap();
    let (good, said) = judged(&python, &spoiled);
    assert!(!good && said.contains("records, the manifest says"), "{said}");

    let changed = text.replacen("\"value\":\"80\"", "\"value\":\"81\"", 1);
    assert_ne!(changed, text);
    std::fs::write(&spoiled, changed).unwrap();
    let (good, said) = judged(&python, &spoiled);
    assert!(!good && said.contains("another hash"), "{said}");
    let forged = text.replacen("\"count\":", "\"count\":1", 1);
    std::fs::write(&spoiled, forged).unwrap();
    let (good, said) = judged(&python, &spoiled);
    assert!(!good && said.contains("the signature is not the key's"), "{said}");
}
