//! Fault matrix, rows 6 and 20: the broker is restarted ten times and killed five times under load,
//! forgets its sessions, and the core comes back from an older backup. The effect in the core is
//! exactly once, counted without a filter of duplicates. Mosquitto and paho-mqtt are Debian's and
//! PyPI's.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use house::mllp::{Mllp, Vital, vital};
use house::region::{Mosquitto, consumer, stored};
use house::{House, Plan, TCP_SERVER, device, judges};
use serde_json::Value as Json;

/// A monitor that sends as fast as it is answered, until it is told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(address: std::net::SocketAddr) -> Self {
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (until, count) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let thread = std::thread::spawn(move || {
            let mut monitor = Mllp::connect(address).unwrap();
            while !until.load(Ordering::Relaxed) {
                let number = count.load(Ordering::Relaxed) + 1;
                let time = format!(
                    "20261123{:02}{:02}{:02}.{:03}+0200",
                    number / 3_600_000,
                    number / 60_000 % 60,
                    number / 1000 % 60,
                    number % 1000
                );
                let rate = (30 + number % 200).to_string();
                let message = vital(Vital {
                    sent: &time,
                    control_id: &number.to_string(),
                    time: &time,
                    patient: "P-1",
                    heart_rate: &rate,
                });
                assert_eq!(monitor.ask(&message).unwrap().code, "AA");
                count.store(number, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { stop, acknowledged, thread: Some(thread) }
    }

    /// How many messages were acknowledged.
    fn stop(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.acknowledged.load(Ordering::Relaxed)
    }
}

fn destination(port: u16) -> Option<String> {
    Some(format!(
        "[[destination]]\nname = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n\
         mqtt = {{ host = \"127.0.0.1\", port = {port}, receivers = [\"core-1\"], \
         resend_after_s = 1 }}\n"
    ))
}

/// Per observation id, the (device, code, time, value) that came under it, each once.
fn effect(store: &Path) -> BTreeMap<String, BTreeSet<[String; 4]>> {
    let mut found: BTreeMap<String, BTreeSet<[String; 4]>> = BTreeMap::new();
    for record in stored(store) {
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        for metric in record["data"]["metrics"].as_array().into_iter().flatten() {
            let what = [
                text(&record["subject"]),
                text(&metric["mdc"]),
                text(&record["data"]["times"]["device"]["as_written"]),
                text(&metric["value"]),
            ];
            found.entry(text(&metric["observation_id"])).or_default().insert(what);
        }
    }
    found
}

/// One observation id per measurement, one measurement per observation id, none missing.
fn assert_once(store: &Path, acknowledged: u64) {
    let effect = effect(store);
    assert_eq!(effect.len() as u64, acknowledged, "observation ids");
    assert!(effect.values().all(|what| what.len() == 1), "one id states one value");
    let measured: BTreeSet<_> = effect.values().flatten().collect();
    assert_eq!(measured.len() as u64, acknowledged, "measurements");
}

fn wait_for(store: &Path, count: usize) {
    let begun = Instant::now();
    while effect(store).len() < count {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} came", effect(store).len());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn f06_a_broker_that_restarts_and_dies_costs_nothing_and_doubles_nothing() {
    let Some(mosquitto) = judges::mosquitto("f06") else { return };
    let Some(python) = judges::python("f06") else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("core");
    let mut broker = Mosquitto::start(&mosquitto, folder.path());
    let _core = consumer(&python, broker.port, &store, "core-1", &[]);
    let destinations = destination(broker.port);
    let devices = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    let mut house = House::open(Plan { destinations, ..Plan::of(devices) });
    let load = Load::start(house.listening("monitor"));
    for round in 0..15 {
        std::thread::sleep(Duration::from_millis(400));
        match round % 3 {
            2 => broker.process.kill(),
            _ => broker.process.terminate(),
        }
        if round == 7 {
            broker.forget();
        }
        broker.start_again();
    }
    let acknowledged = load.stop();
    assert!(acknowledged > 100, "{acknowledged}");
    wait_for(&store, acknowledged as usize);
    house.caught_up();
    assert_once(&store, acknowledged);
    let destination = &house.status().destinations[0];
    assert_eq!((destination.set_aside, destination.unavailable), (0, 0));
    assert_eq!(house.stop().code(), Some(0));
    let arrived = stored(&store).len();
    println!("{acknowledged} messages acknowledged, {arrived} records arrived, none missing");
}

#[test]
fn f06_a_core_from_an_older_backup_gets_what_it_lacks() {
    let Some(mosquitto) = judges::mosquitto("f06") else { return };
    let Some(python) = judges::python("f06") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (store, backup) = (folder.path().join("core"), folder.path().join("backup"));
    let broker = Mosquitto::start(&mosquitto, folder.path());
    let mut core = consumer(&python, broker.port, &store, "core-1", &[]);
    let destinations = destination(broker.port);
    let devices = device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER);
    let mut house = House::open(Plan { destinations, ..Plan::of(devices) });
    let load = Load::start(house.listening("monitor"));
    wait_for(&store, 50);
    std::fs::copy(&store, &backup).unwrap();
    // A line that was being written while it was copied is no part of a backup.
    let text = std::fs::read_to_string(&backup).unwrap();
    std::fs::write(&backup, &text[..text.rfind('\n').unwrap() + 1]).unwrap();
    let before = effect(&backup).len();
    wait_for(&store, before + 50);
    let acknowledged = load.stop();
    wait_for(&store, acknowledged as usize);
    house.caught_up();

    core.kill();
    std::fs::copy(&backup, &store).unwrap();
    assert!(effect(&store).len() < acknowledged as usize);
    let _core = consumer(&python, broker.port, &store, "core-1", &["--have", "1"]);
    wait_for(&store, acknowledged as usize);
    house.caught_up();
    assert_once(&store, acknowledged);
    // The same generation again moves nothing back.
    let sent = house.status().destinations[0].resent;
    let _again =
        consumer(&python, broker.port, &folder.path().join("empty"), "core-2", &["--have", "1"]);
    assert_eq!(house.status().destinations[0].resent, sent);
    assert_eq!(house.stop().code(), Some(0));
}
