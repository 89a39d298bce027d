//! Where an acknowledgement is the word of an engine or a broker, only a manifest that the core has
//! answered lets the journal go: by the same hash, of a receiver of ours, over either binding. What
//! the core lacks is sent again. Until then nothing is let go, and the status says since when.

mod house;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use house::core::Core;
use house::{House, Plan, TCP_SERVER, device, oximeter};
use serde_json::Value as Json;
use wardgate::forward::cursor::{self, Found, State};
use wardgate::gateway::status::{DestinationSnapshot, ProofSnapshot};

const BINDINGS: [&str; 2] = ["mqtt", "https"];

struct Ground {
    folder: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn core(&self, ports: (u16, u16), faults: &[&str]) -> Core {
        self.core_with("on", ports, faults)
    }

    /// `filter`: whether it drops what came before.
    fn core_with(&self, filter: &str, (mqtt, http): (u16, u16), faults: &[&str]) -> Core {
        let http = format!("127.0.0.1:{http}");
        let mut arguments = vec!["--filter".to_owned(), filter.to_owned()];
        arguments.extend(["--http".to_owned(), http]);
        for fault in faults {
            arguments.extend(["--fault".to_owned(), (*fault).to_owned()]);
        }
        Core::with(&self.store(), mqtt, &arguments)
    }
}

fn ports(core: &Core) -> (u16, u16) {
    (core.port, core.http.unwrap())
}

fn house(binding: &str, core: &Core) -> House {
    let (mqtt, http) = ports(core);
    let table = match binding {
        "mqtt" => format!("host = \"127.0.0.1\"\nport = {mqtt}"),
        _ => format!("url = \"http://127.0.0.1:{http}\"\nanswer_within_s = 2"),
    };
    let destinations = Some(format!(
        "[[destination]]\nname = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n\
         proves = \"accepted-by-engine\"\n[destination.{binding}]\n{table}\n\
         receivers = [\"core\"]\nresend_after_s = 1\n"
    ));
    let devices = device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER);
    let gateway = "manifest_every_s = 1".to_owned();
    House::open(Plan { destinations, gateway, ..Plan::of(devices) })
}

fn sends(house: &mut House, count: usize) {
    let before = house.device("oximeter").messages;
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    for _ in 0..count {
        stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    }
    let heard = before + count as u64;
    house.wait("the readings are kept", |house| house.device("oximeter").messages >= heard);
}

fn destination(house: &House) -> DestinationSnapshot {
    house.status().destinations.remove(0)
}

fn proof(house: &House) -> ProofSnapshot {
    destination(house).proof.expect("only manifests prove")
}

/// What stands on the disk.
fn state(house: &House) -> State {
    let path = cursor::path(&house.path("data").join("cursors"), "core");
    match cursor::peek(&path).unwrap() {
        Found::State(state) => state,
        other @ (Found::New | Found::Lost) => panic!("{other:?}"),
    }
}

/// The sequences of the observations that the core holds.
fn values(store: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(store).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let records = whole.map(|line| serde_json::from_str::<Json>(line).unwrap());
    let observations = records.filter(|one| one["record"]["type"] == "fi.wardgate.observation.v1");
    observations.map(|one| one["record"]["data"]["sequence"].as_u64().unwrap()).collect()
}

/// Everything is acknowledged, and what the last value stands in is not proven.
fn acknowledged_and_not_proven(house: &mut House, store: &Path) {
    house.wait("everything is stored, and a manifest waits", |house| {
        values(store).len() == 10 && destination(house).proof.is_some_and(|proof| proof.waiting > 1)
    });
    let last = *values(store).last().unwrap();
    house.wait("the cursor says so", |house| state(house).low_water >= last);
    let state = state(house);
    assert_eq!((proof(house).through, state.let_go_through()), (0, 0), "{state:?}");
}

fn is_proven(house: &mut House, store: &Path) {
    let last = *values(store).iter().max().unwrap();
    house.wait("what is there is proven", |house| proof(house).through >= last);
    house.wait("the cursor says so", |house| state(house).let_go_through() >= last);
}

#[test]
fn nothing_is_let_go_before_a_manifest_is_answered_by_the_same_hash() {
    for binding in BINDINGS {
        let ground = Ground::new();
        let mut core = ground.core((0, 0), &["manifest=never"]);
        let mut house = house(binding, &core);
        sends(&mut house, 10);
        acknowledged_and_not_proven(&mut house, &ground.store());
        let said = String::from_utf8(house.verb(&["status"]).stdout).unwrap();
        assert!(said.contains("manifests have no answer that counts, since 20"), "{said}");

        for fault in ["manifest=wrong-hash", "manifest=foreign"] {
            core.fault("none");
            core.fault(fault);
            let before = destination(&house).refused_acknowledgements;
            house.wait(fault, |house| destination(house).refused_acknowledgements > before);
            assert_eq!((proof(&house).through, state(&house).let_go_through()), (0, 0), "{fault}");
        }
        core.fault("none");
        is_proven(&mut house, &ground.store());
        // One comes every second, and over HTTPS they are asked of every ten seconds.
        house.wait("all are answered but the newest", |house| proof(house).waiting <= 12);
        let through = state(&house).let_go_through();
        house.kill_nine();
        house.start();
        house.wait("it is known again", |house| proof(house).through >= through);
    }
}

/// An engine lost a record on its way to the core: the manifest shows it.
#[test]
fn what_the_core_lacks_is_sent_again_and_then_proven() {
    for binding in BINDINGS {
        let ground = Ground::new();
        let mut core = ground.core((0, 0), &["manifest=never"]);
        let ports = ports(&core);
        let mut house = house(binding, &core);
        sends(&mut house, 10);
        acknowledged_and_not_proven(&mut house, &ground.store());
        if binding == "https" {
            // Else the core's first `have` would bring the record again, before any manifest does.
            house.wait("its `have` was followed", |house| state(house).have_generation == 1);
        }
        core.kill();
        let text = std::fs::read_to_string(ground.store()).unwrap();
        let lost = values(&ground.store())[4];
        let is_lost = |line: &&str| {
            let line: Json = serde_json::from_str(line).unwrap();
            line["record"]["data"]["sequence"] == lost
        };
        let kept: Vec<&str> = text.lines().filter(|line| !is_lost(line)).collect();
        assert_eq!(kept.len() + 1, text.lines().count());
        std::fs::write(ground.store(), kept.join("\n") + "\n").unwrap();
        let _core = ground.core(ports, &[]);
        house.wait("the core says what it lacks", |house| proof(house).lacked >= 1);
        is_proven(&mut house, &ground.store());
        assert!(values(&ground.store()).contains(&lost), "{binding}: it came again");
        assert_eq!(values(&ground.store()).len(), 10, "and nothing came twice");
        let said = String::from_utf8(house.verb(&["status"]).stdout).unwrap();
        assert!(said.contains("answers named records that the core lacks"), "{said}");
    }
}

/// Without a word of what is lacking everything is sent again, and not more often than once a
/// minute for one manifest.
#[test]
fn a_core_that_never_holds_what_it_got_is_not_flooded() {
    let ground = Ground::new();
    let core = ground.core_with("off", (0, 0), &["manifest=differs"]);
    let mut house = house("mqtt", &core);
    sends(&mut house, 10);
    house.wait("everything comes again", |house| {
        proof(house).lacked >= 1 && values(&ground.store()).len() == 20
    });
    house.wait("more of the same is refused", |house| {
        destination(house).refused_acknowledgements >= 1
    });
    assert_eq!((proof(&house).through, state(&house).let_go_through()), (0, 0));
    assert_eq!(values(&ground.store()).len(), 20, "once, and not more");
}
