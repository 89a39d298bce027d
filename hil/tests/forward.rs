//! From the journal over MQTT into the stand-in core and back: nothing is lost while the core is
//! killed and started again, and what it stored is what was rendered, once.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use wardgate::forward::Counters;
use wardgate::forward::cursor::{self, Found};
use wardgate::forward::mqtt::{Address, Destination, Mqtt, MqttConfig};
use wardgate::forward::pump::Pump;
use wardgate::forward::stored::{EventKind, Stored, render};
use wardgate::journal::{Appender, Journal, Kind, NewRecord, Options, Reader};

const SOURCE: &str = "urn:uuid:11111111-2222-3333-4444-555555555555";
/// Far more than this machine needs; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A core process that does not outlive the test: it ends with its standard input.
struct Core {
    process: Child,
    port: u16,
    _input: ChildStdin,
}

impl Core {
    fn start(store: &Path, port: u16) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_wardgate-hil"))
            .args(["core", "--listen", &format!("127.0.0.1:{port}"), "--store"])
            .arg(store)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the stand-in core starts");
        let input = process.stdin.take().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
        assert_eq!(ready["core"], "ready");
        let port = ready["port"].as_u64().unwrap() as u16;
        Self { process, port, _input: input }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Appends batches of a wire record and an observation; every third is not routed to the core.
struct Committer {
    appender: Appender,
    previous: u64,
    serial: u64,
}

impl Committer {
    fn append(&mut self, batches: u64) -> u64 {
        let mut last = 0;
        for _ in 0..batches {
            self.serial += 1;
            let observation = self.appender.next().number() + 1;
            let mut routes = BTreeMap::from([("archive".to_owned(), 0)]);
            if !self.serial.is_multiple_of(3) {
                routes.insert("core".to_owned(), self.previous);
                self.previous = observation;
            }
            let data = serde_json::json!({ "value": format!("{}.50", self.serial) });
            let stored = Stored {
                kind: EventKind::Observation,
                time: "2026-11-23T08:00:00Z".to_owned(),
                subject: "bed-3-oximeter".to_owned(),
                routes,
                data: data.as_object().unwrap().clone(),
            };
            let record = |kind, payload| NewRecord { kind, time_us: 1, payload };
            let batch = vec![
                record(Kind::Wire, b"raw".to_vec()),
                record(Kind::Observation, stored.to_bytes()),
            ];
            self.appender.try_append(batch, Box::new(|fate| fate.unwrap())).unwrap();
            last = observation;
        }
        last
    }
}

/// What the core must have: the event's text by sequence.
fn expected(reader: &mut Reader) -> BTreeMap<u64, String> {
    let first = reader.first();
    let read = reader.read_from(first, usize::MAX, usize::MAX).unwrap();
    let routed = |record: wardgate::journal::Record| {
        let stored = Stored::from_bytes(&record.payload)?;
        let event = render(&stored, reader.stream(), record.sequence, SOURCE, "core")?;
        Some((record.sequence.number(), String::from_utf8(event.payload).unwrap()))
    };
    read.records.into_iter().filter_map(routed).collect()
}

fn check_store(store: &Path, expected: &BTreeMap<u64, String>) {
    let text = std::fs::read_to_string(store).unwrap();
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let topic = "wardgate/v1/hospital/main/icu/box-1/observation/bed-3-oximeter";
        assert_eq!(value["topic"], topic);
        let record = line.split_once(r#","record":"#).unwrap().1.strip_suffix('}').unwrap();
        let sequence = value["record"]["data"]["sequence"].as_u64().unwrap();
        let before = found.insert(sequence, record.to_owned());
        assert_eq!(before, None, "{sequence} is stored once");
    }
    assert_eq!(&found, expected);
}

fn destination(port: u16) -> Destination {
    let name = |text: &str| text.to_owned();
    // A record that reaches the broker before the core has subscribed again is lost there and
    // sent anew after this silence.
    let config =
        format!("host = \"127.0.0.1\"\nport = {port}\nreceivers = [\"core\"]\nresend_after_s = 1");
    let mqtt: MqttConfig = toml::from_str(&config).unwrap();
    let address = Address {
        tenant: name("hospital"),
        site: name("main"),
        ward: name("icu"),
        gateway: name("box-1"),
    };
    Destination { name: name("core"), address, source: name(SOURCE), mqtt }
}

/// A destination that runs until it is told to stop.
struct Running {
    mark: watch::Receiver<u64>,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(
        cursors: &Path,
        destination: &Destination,
        reader: &Reader,
        counters: &Arc<Counters>,
        durable: &watch::Receiver<u64>,
    ) -> Self {
        let binding = Mqtt::new(destination.clone()).unwrap();
        let settings = binding.settings(cursors.into());
        let pump = Pump::open(settings, reader.clone(), Arc::clone(counters)).unwrap();
        let mark = pump.low_water();
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(pump.run(binding, durable.clone(), stopping));
        Self { mark, stop, task }
    }

    async fn reaches(&mut self, target: u64) {
        let reached = self.mark.wait_for(|mark| *mark >= target);
        let reached = tokio::time::timeout(PATIENCE, reached).await.map(|found| found.map(drop));
        let here = *self.mark.borrow();
        reached.unwrap_or_else(|_| panic!("the mark stays at {here} of {target}")).unwrap();
    }

    async fn stop(self) {
        self.stop.send(true).unwrap();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_lost_while_the_core_is_killed_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("core.jsonl");
    let mut core = Core::start(&store, 0);
    let port = core.port;

    let (durable_in, durable) = watch::channel(0);
    let options = Options {
        segment_bytes: 64 << 10,
        on_durable: Arc::new(move |sequence| {
            durable_in.send_replace(sequence.map_or(0, |sequence| sequence.number()));
        }),
        ..Options::default()
    };
    let mut opened = Journal::open(&folder.path().join("journal"), options).unwrap();
    let mut committer = Committer { appender: opened.appender, previous: 0, serial: 0 };
    let destination = destination(port);
    let counters = Arc::new(Counters::default());
    let mut running =
        Running::start(folder.path(), &destination, &opened.reader, &counters, &durable);

    let last = committer.append(500);
    running.reaches(last).await;
    check_store(&store, &expected(&mut opened.reader));

    // Killed in the middle of a burst, and away while more is written.
    committer.append(500);
    core.kill();
    let last = committer.append(500);
    let mut core = Core::start(&store, port);
    running.reaches(last).await;
    check_store(&store, &expected(&mut opened.reader));

    // A gateway that stops and starts continues where it was.
    running.stop().await;
    let Found::State(state) = cursor::peek(&cursor::path(folder.path(), "core")).unwrap() else {
        panic!("the cursor is there")
    };
    assert_eq!((state.low_water, state.accepted), (last, Vec::new()));
    let sent = counters.sent.load(Ordering::Relaxed);
    let mut running =
        Running::start(folder.path(), &destination, &opened.reader, &counters, &durable);
    let last = committer.append(10);
    running.reaches(last).await;
    check_store(&store, &expected(&mut opened.reader));
    // Of ten, three or four are not routed here.
    let fresh = counters.sent.load(Ordering::Relaxed) - sent;
    assert!((6..=7).contains(&fresh), "{fresh} sent after the restart");
    assert_eq!(counters.refused_acknowledgements.load(Ordering::Relaxed), 0);
    assert_eq!(counters.unreadable.load(Ordering::Relaxed), 0);
    running.stop().await;
    committer.appender.close();
    core.kill();
}

/// More segments than files that the journal keeps open, so that the first is opened anew.
const SEGMENTS: usize = 24;

#[tokio::test]
async fn a_journal_that_cannot_be_read_for_a_while_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("core.jsonl");
    let mut core = Core::start(&store, 0);
    let (durable_in, durable) = watch::channel(0);
    let options = Options {
        segment_bytes: wardgate::journal::SEGMENT_BYTES_MIN,
        on_durable: Arc::new(move |sequence| {
            durable_in.send_replace(sequence.map_or(0, |sequence| sequence.number()));
        }),
        ..Options::default()
    };
    let journal = folder.path().join("journal");
    let mut opened = Journal::open(&journal, options).unwrap();
    let mut committer = Committer { appender: opened.appender, previous: 0, serial: 0 };
    let mut last = 0;
    while opened.reader.segments().len() < SEGMENTS {
        last = committer.append(1);
        durable.clone().wait_for(|durable| *durable >= last).await.unwrap();
    }
    let first = journal.join(opened.reader.segments()[0].file_name());
    let away = folder.path().join("away");
    std::fs::rename(&first, &away).unwrap();
    let destination = destination(core.port);
    let counters = Arc::new(Counters::default());
    let mut running =
        Running::start(folder.path(), &destination, &opened.reader, &counters, &durable);
    let lost = async {
        while counters.losses.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, lost).await.expect("the read fails");
    assert_eq!(counters.sent.load(Ordering::Relaxed), 0);
    std::fs::rename(&away, &first).unwrap();
    running.reaches(last).await;
    check_store(&store, &expected(&mut opened.reader));
    running.stop().await;
    committer.appender.close();
    core.kill();
}
