//! Waveforms: kept in their own journal only where a destination asks for them, never in anybody
//! else's way, and every span that is missing is told.
//!
//! The devices here are the test's own: it leaves samples where drivers leave them. The core is the
//! stand-in core.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use house::core::Core;
use house::{House, PATIENCE, Plan, SOURCE, TCP_SERVER, device, oximeter, repository};
use serde_json::{Value as Json, json};
use wardgate::check::clock::{FirstSample, SampleRule};
use wardgate::forward::stored::Stored;
use wardgate::gateway::committer::DeviceIdentity;
use wardgate::gateway::configuration::{self, Configuration};
use wardgate::gateway::gaps::GapCause;
use wardgate::gateway::record::{FirmwareProof, ProfileStamp};
use wardgate::gateway::status::DeviceStatus;
use wardgate::gateway::waveforms::{
    INLET_BYTES_MAX, Inlet, Submission, WaveformHouse, WaveformsSnapshot,
};
use wardgate::journal::{Journal, Kind, Record};
use wardgate::link::clock;
use wardgate::vocabulary::{Mode, Moment, Period, Scale, Waveform};

/// The waveforms' part of a house, and a core.
struct Ward {
    folder: PathBuf,
    configuration: Configuration,
    devices: Vec<Arc<DeviceIdentity>>,
    running: Option<WaveformHouse>,
    core: Option<Core>,
    _place: Option<tempfile::TempDir>,
}

const BEST_EFFORT: &str = "files = \"trial\"\nrequired = \"best-effort\"\ntake = \"waveforms\"\n";

/// The binding of a destination that takes waveforms, to this core.
fn destination(core: &Core, binding: &str) -> String {
    let to = match (binding, core.http) {
        ("https", Some(http)) => {
            format!("https = {{ url = \"http://127.0.0.1:{http}\", receivers = [\"core\"] }}")
        }
        _ => {
            let port = core.port;
            format!("mqtt = {{ host = \"127.0.0.1\", port = {port}, receivers = [\"core\"] }}")
        }
    };
    format!("[[destination]]\nname = \"waves\"\n{BEST_EFFORT}{to}\n")
}

fn load(folder: &Path, gateway: &str, destinations: &str) -> Configuration {
    let devices = ["monitor-1", "monitor-2"]
        .map(|name| device(name, "nordpuls/po-100", "2.2", "tcp_server = \"127.0.0.1:0\""));
    let text = format!(
        "[gateway]\nid = \"{SOURCE}\"\ntenant = \"demo\"\nsite = \"site\"\nward = \"icu\"\n\
         name = \"box-1\"\ndata = \"{}\"\nsocket = \"{}\"\ndevice_profiles = \"{}\"\n\
         mode = \"bench\"\n{gateway}\n\n{}\n{destinations}",
        folder.join("data").display(),
        folder.join("socket").display(),
        repository().join("device-profiles").display(),
        devices.concat(),
    );
    std::fs::create_dir_all(folder.join("data/cursors")).expect("folders");
    let file = folder.join("wardgate.toml");
    std::fs::write(&file, text).expect("the configuration is written");
    configuration::load(&file).expect("a good configuration")
}

impl Ward {
    fn open(binding: &str, gateway: &str) -> Self {
        let place = tempfile::tempdir().expect("a folder");
        let core = Core::start_with(&place.path().join("core"), 0, &["--http", "127.0.0.1:0"]);
        let destinations = destination(&core, binding);
        let configuration = load(place.path(), gateway, &destinations);
        let mut ward = Self::of(place.path().to_owned(), configuration);
        (ward.core, ward._place) = (Some(core), Some(place));
        ward.start();
        ward
    }

    fn of(folder: PathBuf, configuration: Configuration) -> Self {
        let identity = |setup: &configuration::DeviceSetup| {
            Arc::new(DeviceIdentity {
                name: setup.name.clone(),
                stamp: ProfileStamp::of(&setup.profile),
                profile_status: setup.profile.file().provenance.status,
                status: Arc::new(DeviceStatus::default()),
            })
        };
        let devices = configuration.devices.iter().map(identity).collect();
        Self { folder, configuration, devices, running: None, core: None, _place: None }
    }

    fn start(&mut self) {
        let delivery = tokio::runtime::Handle::current();
        let house = WaveformHouse::start_alone(&self.configuration, &self.devices, delivery);
        self.running = Some(house);
        self.wait("the journal is open", |ward| ward.shown().door == "open");
    }

    async fn stop(&mut self) {
        self.running.take().expect("it runs").stop().await;
    }

    fn inlet(&self) -> Arc<Inlet> {
        self.running.as_ref().and_then(WaveformHouse::inlet).expect("somebody takes waveforms")
    }

    fn shown(&self) -> WaveformsSnapshot {
        self.running.as_ref().and_then(WaveformHouse::shown).expect("it runs").snapshot()
    }

    /// Samples of a device that come now.
    fn offer(&self, device: usize, samples: &[Option<i32>]) -> Moment {
        self.offer_as(device, samples, Mode::Production)
    }

    fn offer_as(&self, device: usize, samples: &[Option<i32>], mode: Mode) -> Moment {
        let received = clock::now();
        self.inlet().offer(submission(&self.devices[device], samples, mode, received));
        received
    }

    fn wait(&self, what: &str, is_true: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !is_true(self) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}\n{:#?}", self.shown());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the core has stored, by its sequence.
    fn stored(&self) -> BTreeMap<u64, Json> {
        let text = std::fs::read_to_string(self.folder.join("core")).unwrap_or_default();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let record = |line: &str| -> Json {
            let line: Json = serde_json::from_str(line).expect("a line of JSON");
            line["record"].clone()
        };
        let sequence = |record: &Json| record["data"]["sequence"].as_u64().expect("a sequence");
        whole.map(record).map(|one| (sequence(&one), one)).collect()
    }

    fn stored_of(&self, kind: &str) -> Vec<Json> {
        let kind = format!("fi.wardgate.{kind}.v1");
        self.stored().into_values().filter(|one| one["type"] == *kind).collect()
    }

    /// Waits until the core has this many records of samples.
    fn waveforms(&self, count: usize) -> Vec<Json> {
        self.wait(&format!("{count} records of waveforms"), |ward| {
            ward.stored_of("waveform").len() >= count
        });
        self.stored_of("waveform")
    }

    fn journal(&self) -> Vec<Record> {
        journal(&self.folder)
    }
}

/// The journal as it stands; again, if a segment goes while it is read.
fn journal(folder: &Path) -> Vec<Record> {
    let begun = Instant::now();
    loop {
        match read(&folder.join("data/waveforms")) {
            Ok(records) => return records,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    }
}

fn read(folder: &Path) -> Result<Vec<Record>, wardgate::journal::Error> {
    let (mut reader, _) = Journal::open_read_only(folder)?;
    let (mut records, mut next) = (Vec::new(), reader.first());
    loop {
        let read = reader.read_from(next, 1000, 16 << 20)?;
        if read.records.is_empty() {
            return Ok(records);
        }
        next = read.next;
        records.extend(read.records);
    }
}

/// One array of 500 samples a second.
fn submission(
    device: &Arc<DeviceIdentity>,
    samples: &[Option<i32>],
    mode: Mode,
    received: Moment,
) -> Submission {
    let period = Period::per_second(500).expect("a period");
    let waveform = Waveform {
        parameter: None,
        mdc_code: None,
        mdc: String::new(),
        codings: vec![wardgate::vocabulary::reading::Coding::new("0002-0102", "ECG II", "MDIL")],
        sub_id: "1".to_owned(),
        unit_as_sent: Vec::new(),
        unit_mdc: None,
        ucum: None,
        period,
        scale: Scale::Step { lsb: "0.005".to_owned() },
        samples: samples.to_vec(),
        time: None,
        flags: Vec::new(),
        doubts: Vec::new(),
    };
    let span_us = i64::try_from(period.span_us(samples.len() as u64)).expect("a span");
    let utc_us = received.utc_us() - span_us;
    let first = FirstSample { utc_us, rule: SampleRule::ReceivedLessSpan, corrected: None };
    Submission {
        device: Arc::clone(device),
        received,
        mode,
        firmware: Some("2.2".to_owned()),
        proof: FirmwareProof::Proven,
        arrays: vec![(waveform, first)],
    }
}

fn ramp(from: i32, count: i32) -> Vec<Option<i32>> {
    (from..from + count).map(|one| (one % 7 != 3).then_some(one)).collect()
}

fn cause(gap: &Json) -> (&str, &str) {
    let text = |key: &str| gap["data"][key].as_str().unwrap_or_default();
    (text("phase"), text("cause"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn samples_reach_the_destination_that_asks_over_both_bindings() {
    for binding in ["mqtt", "https"] {
        let mut ward = Ward::open(binding, "");
        let first = ramp(-3, 128);
        let received = ward.offer(0, &first);
        ward.offer_as(0, &ramp(0, 9), Mode::Training);
        ward.offer(1, &ramp(1000, 128));
        let stored = ward.waveforms(2);
        let record = &stored[0];
        assert_eq!(record["subject"], "monitor-1");
        let array = &record["data"]["arrays"][0];
        assert_eq!(array["samples"], json!(first), "{binding}");
        assert_eq!(array["period"], json!({ "samples": 500, "us": 1_000_000 }));
        assert_eq!(array["scale"], json!({ "lsb": "0.005" }));
        assert_eq!(array["first"]["rule"], "received-less-span");
        let began: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
        assert_eq!(began.as_microsecond(), received.utc_us() - 256_000);
        assert_eq!(record["data"]["association"]["place"], "icu/bed-1");
        assert_eq!(record["data"]["patient_absent"], "not-associated");
        // One chain on this destination, from the first record on.
        let mut previous = 0;
        for (sequence, one) in ward.stored() {
            assert_eq!(one["data"]["previous"].as_u64(), Some(previous), "{one}");
            previous = sequence;
        }
        // Demo signals are kept and marked, and go nowhere.
        let held = ward.journal().into_iter().filter(|one| one.kind == Kind::Waveform);
        let held: Vec<Stored> = held.filter_map(|one| Stored::from_bytes(&one.payload)).collect();
        assert_eq!(held.len(), 3);
        let held: Vec<&Stored> = held.iter().filter(|one| one.data.contains_key("held")).collect();
        assert_eq!((held.len(), held[0].routes.len()), (1, 0));
        assert_eq!(held[0].data["mode"], "training");
        assert_eq!(stored.len(), 2);
        ward.wait("everything is counted", |ward| ward.shown().samples == 128 + 9 + 128);
        assert_eq!(ward.shown().samples_dropped, 0);
        ward.stop().await;
    }
}

#[test]
fn with_nobody_asking_nothing_is_written() {
    let plan = Plan::of(device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER));
    let mut house = House::open(plan);
    assert_eq!(house.status().waveforms, None);
    assert!(!house.path("data/waveforms").exists());
    assert_eq!(house.stop().code(), Some(0));
}

/// In a whole house: numbers go where they went, and a destination of waveforms gets none.
#[test]
fn a_destination_of_waveforms_gets_no_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let waves = Core::start(&folder.path().join("waves"), 0);
    let mut plan = Plan::of(device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER));
    plan.destination = format!("\n{}", destination(&waves, "mqtt"));
    let mut house = House::open(plan);
    let mut stream = std::net::TcpStream::connect(house.listening("oximeter")).unwrap();
    std::io::Write::write_all(&mut stream, &oximeter::line("97", "60", "2.5")).unwrap();
    house.observations("oximeter", 1);
    let shown = |house: &House| house.status().waveforms.expect("somebody takes waveforms");
    house.wait("the journal of waveforms is open", |house| shown(house).door == "open");
    assert_ne!(shown(&house).stream, house.status().stream);
    assert!(house.path("data/waveforms").exists());
    let text = || std::fs::read_to_string(folder.path().join("waves")).unwrap_or_default();
    house.wait("it gets what is about the device", |_| {
        text().contains("fi.wardgate.association.v1")
    });
    house.caught_up();
    let text = text();
    assert!(!text.contains("fi.wardgate.observation.v1"), "{text}");
    let said = house.verb(&["status"]);
    let said = String::from_utf8(said.stdout).unwrap();
    assert!(said.contains("waveforms open, "), "{said}");
    assert_eq!(house.stop().code(), Some(0));
    let said = String::from_utf8(house.verb(&["journal", "status"]).stdout).unwrap();
    assert_eq!(said.matches("stream    ").count(), 2, "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_in_the_stream_and_says_what_is_missing() {
    let mut ward = Ward::open("mqtt", "");
    let last = ward.offer(0, &ramp(0, 100));
    ward.waveforms(1);
    let stream = ward.shown().stream;
    ward.stop().await;
    ward.start();
    assert_eq!(ward.shown().stream, stream);
    ward.wait("the gap has begun", |ward| ward.stored_of("gap").len() == 1);
    let gaps = ward.stored_of("gap");
    assert_eq!(cause(&gaps[0]), ("began", "box-restarted"));
    assert_eq!(gaps[0]["subject"], "monitor-1", "the other one has never sent any");
    assert_eq!(gaps[0]["data"]["began_us"], last.utc_us());
    let again = ward.offer(0, &ramp(100, 100));
    ward.waveforms(2);
    let gaps = ward.stored_of("gap");
    assert_eq!((gaps.len(), cause(&gaps[1])), (2, ("ended", "box-restarted")));
    assert_eq!(gaps[1]["data"]["ended_us"], again.utc_us() - 200_000);
    let mut previous = 0;
    for (sequence, one) in ward.stored() {
        assert_eq!(one["data"]["previous"].as_u64(), Some(previous), "{one}");
        previous = sequence;
    }
    ward.stop().await;
}

/// What a power cut leaves: the files as they stand while samples wait for their sync.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loses_what_was_not_synced_and_the_gap_says_so() {
    let mut ward = Ward::open("mqtt", "");
    let durable = ward.offer(0, &ramp(0, 100));
    ward.waveforms(1);
    ward.offer(0, &ramp(100, 100));
    let crashed = tempfile::tempdir().unwrap();
    for folder in ["data/waveforms", "data/cursors"] {
        std::fs::create_dir_all(crashed.path().join(folder)).unwrap();
        for file in std::fs::read_dir(ward.folder.join(folder)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), crashed.path().join(folder).join(file.file_name())).unwrap();
        }
    }
    ward.waveforms(2);
    ward.stop().await;
    let configuration = load(crashed.path(), "", &destination(ward.core.as_ref().unwrap(), "mqtt"));
    let mut after = Ward::of(crashed.path().to_owned(), configuration);
    after.start();
    after.stop().await;
    let records = after.journal();
    let kept = records.iter().filter(|one| one.kind == Kind::Waveform).count();
    assert_eq!(kept, 1, "the second waited for its sync");
    let gaps = records.iter().filter(|one| one.kind == Kind::Gap);
    let gaps: Vec<Stored> = gaps.filter_map(|one| Stored::from_bytes(&one.payload)).collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].data["cause"], "box-restarted");
    assert_eq!(gaps[0].data["began_us"], durable.utc_us());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_inlet_drops_and_counts_and_leaves_one_gap() {
    const SAMPLES: i32 = 50_000;
    let mut ward = Ward::open("https", "");
    let piece = ramp(0, SAMPLES);
    let offered = 3 * INLET_BYTES_MAX / (size_of::<Option<i32>>() * piece.len());
    for _ in 0..offered {
        ward.offer(0, &piece);
    }
    let samples = (offered * piece.len()) as u64;
    ward.wait("the fate of all is known", |ward| {
        let shown = ward.shown();
        shown.samples + shown.samples_dropped == samples
    });
    let shown = ward.shown();
    assert!(shown.samples_dropped > samples / 3, "{shown:?}");
    assert!(shown.samples > 0, "{shown:?}");
    let status = &ward.devices[0].status;
    assert_eq!(status.samples_dropped.load(Ordering::Relaxed), shown.samples_dropped);
    ward.offer(0, &ramp(7, 10));
    let kept = usize::try_from(shown.samples / piece.len() as u64).unwrap() + 1;
    assert_eq!(ward.waveforms(kept).len(), kept);
    let gaps = ward.stored_of("gap");
    let causes: Vec<_> = gaps.iter().map(cause).collect();
    assert_eq!(causes, [("began", "box-busy"), ("ended", "box-busy")]);
    // In sequence: samples, the gap's beginning, its end, samples.
    let last = ward.stored().into_values().next_back().unwrap();
    assert_eq!(last["type"], "fi.wardgate.waveform.v1");
    assert_eq!(last["data"]["previous"], gaps[1]["data"]["sequence"]);
    ward.stop().await;
}

/// The oldest segment goes whole, not before the gap record of it is there, and what the core has
/// and what it is told of are everything that was for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_quota_lets_the_oldest_go_and_tells_it_first() {
    let gateway = "segment_bytes = 16384\nwaveforms = { bytes = 98304 }\n";
    let mut ward = Ward::open("mqtt", gateway);
    ward.offer(0, &ramp(0, 100));
    ward.waveforms(1);
    ward.core.as_mut().unwrap().kill();
    let folder = ward.folder.join("data/waveforms");
    let mut sent = BTreeSet::new();
    for round in 0..150 {
        ward.offer(1, &ramp(1000 * round, 200));
    }
    let (begun, mut looks) = (Instant::now(), 0);
    while ward.shown().records < 151 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", ward.shown());
        let records = ward.journal();
        sent.extend(routed(&records));
        assert!(segments(&folder) <= 6, "the quota");
        // Whatever is gone was told, and that stands on the disk.
        let told = told(&records);
        let first = records[0].sequence.number();
        let gone = sent.iter().filter(|one| **one < first && !told.contains(one));
        let lost: Vec<&u64> = gone.filter(|one| !ward.stored().contains_key(one)).collect();
        assert!(lost.is_empty(), "gone and not told: {lost:?}");
        looks += 1;
    }
    assert!(looks > 10, "{looks}");
    sent.extend(routed(&ward.journal()));
    let shown = ward.shown();
    assert!(shown.shed > 20, "{shown:?}");
    assert_eq!(shown.samples_dropped, 0);
    let port = ward.core.as_ref().unwrap().port;
    ward.core = Some(Core::start(&ward.folder.join("core"), port));
    ward.wait("the core has the rest, or knows", |ward| {
        let stored = ward.stored();
        let told = told_in(stored.values());
        sent.iter().all(|one| stored.contains_key(one) || told.contains(one))
    });
    let before = ward.stored_of("gap").len();
    // The pump meets what is gone, and makes no second record of it.
    ward.offer(1, &ramp(0, 10));
    ward.waveforms(1);
    ward.wait("the cursor is at the end", |ward| {
        let last = ward.stored().into_keys().next_back();
        last.is_some_and(|last| last + 1 >= ward.shown().durable)
    });
    let gaps = ward.stored_of("gap");
    assert_eq!(gaps.len(), before);
    let ranges: Vec<(u64, u64)> = gaps.iter().filter_map(|one| range(&one["data"])).collect();
    let goes_on = |two: &[(u64, u64)]| two[0].0 <= two[1].0 && two[0].1 < two[1].1;
    assert!(!ranges.is_empty() && ranges.windows(2).all(goes_on), "{ranges:?}");
    ward.stop().await;
}

fn segments(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder).unwrap().filter_map(Result::ok);
    files.filter(|one| one.path().extension().is_some_and(|kind| kind == "segment")).count()
}

fn routed(records: &[Record]) -> Vec<u64> {
    let routed = records.iter().filter(|record| {
        let stored = Stored::from_bytes(&record.payload);
        stored.is_some_and(|stored| stored.routes.contains_key("waves"))
    });
    routed.map(|record| record.sequence.number()).collect()
}

fn range(data: &Json) -> Option<(u64, u64)> {
    Some((data.get("first")?.as_u64()?, data.get("last")?.as_u64()?))
}

fn told(records: &[Record]) -> BTreeSet<u64> {
    let gaps = records.iter().filter(|one| one.kind == Kind::Gap);
    let data = gaps.filter_map(|one| Some(Json::from(Stored::from_bytes(&one.payload)?.data)));
    data.filter_map(|data| range(&data)).flat_map(|(first, last)| first..=last).collect()
}

fn told_in<'a>(stored: impl Iterator<Item = &'a Json>) -> BTreeSet<u64> {
    let ranges = stored.filter_map(|one| range(&one["data"]));
    ranges.flat_map(|(first, last)| first..=last).collect()
}

/// A link that goes down is a gap of the waveforms, too, if there were any.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_down_is_a_gap_here_too() {
    let mut ward = Ward::open("https", "");
    ward.offer(0, &ramp(0, 10));
    let down = clock::now();
    for device in &ward.devices {
        ward.inlet().gap_began(device, GapCause::LinkDown, down);
        ward.inlet().gap_began(device, GapCause::DeviceSilent, down);
    }
    ward.offer(0, &ramp(0, 10));
    ward.waveforms(2);
    let gaps = ward.stored_of("gap");
    let causes: Vec<_> = gaps.iter().map(cause).collect();
    assert_eq!(causes, [("began", "link-down"), ("ended", "link-down")]);
    assert!(gaps.iter().all(|one| one["subject"] == "monitor-1"));
    ward.stop().await;
}
