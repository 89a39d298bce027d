//! Promise 4 in public: `docs/ingestion` shows what the gateway really sends. The samples there are
//! made here, by the committer and the rendering, from fixed inputs, and compared byte for byte;
//! samples and everything that a running house sends are judged by another reader
//! (`tests/judges/contract_check.py`) with the published schemas.
//!
//! `WARDGATE_WRITE=1` writes the samples anew.

mod house;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use house::lis01::{Analyser, frame, ph_result};
use house::mllp::{Mllp, Vital, framed, vital};
use house::{House, Plan, SOURCE, TCP_SERVER, device, judges, oximeter, repository};
use serde_json::{Value as Json, json};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use wardgate::association::{
    By, DeviceId, EntryId, Line, PersonId, Says, Site as LedgerSite, Span, Utc,
};
use wardgate::check::clock::{DeviceClock, UNCERTAINTY_MS_MAX};
use wardgate::check::{self, Checker};
use wardgate::forward::acknowledgement::{Acknowledgement, Have, ManifestAnswer};
use wardgate::forward::stored::{EventKind, Stored, render};
use wardgate::forward::{Recorded, Unavailable, UnavailableWhy};
use wardgate::gateway::committer::{Committer, DeviceIdentity, Request, Submission};
use wardgate::gateway::configuration::{
    self, Configuration, DestinationTable, load_profile, load_vocabulary,
};
use wardgate::gateway::gaps::GapCause;
use wardgate::gateway::ledger::corrections::Corrector;
use wardgate::gateway::ledger::verdicts::BoxClock;
use wardgate::gateway::ledger::{
    Act, ActKind, LedgerDesk, LedgerKeeper, LineSetup, Lines, NewEntry,
};
use wardgate::gateway::memory::Memory;
use wardgate::gateway::record::{FirmwareProof, ProfileStamp};
use wardgate::gateway::replay::{self, Piece};
use wardgate::gateway::room::Room;
use wardgate::gateway::routing::Samplers;
use wardgate::gateway::status::DeviceStatus;
use wardgate::gateway::waveforms::{Submission as Submitted, WaveformHouse};
use wardgate::journal::{Journal, Kind, Options, Record};
use wardgate::mapping::Mapper;
use wardgate::profile::{Drafts, Profile};
use wardgate::protocol::{Event, LinkChange, Message, Peer, Session, Settled, Site};
use wardgate::vocabulary::reading::Coding;
use wardgate::vocabulary::{
    Certainty, DeviceCode, DeviceName, DeviceUnit, Digest, Mode, Moment, PatientId, Period, Place,
    Purpose, SampleArray, Scale, Sequence, StreamId, Vocabulary,
};

const STREAM: StreamId = StreamId::from_bytes([0x1f; 16]);

/// 2026-11-20T08:10:11Z, five minutes after the box was started.
const START: Moment = Moment::new(300_000_000, 1_795_162_211_000_000, Certainty::Synchronised);

/// A made-up infusion pump's alarm in the segments of IHE PCD-04: no patient is stated.
const ALARM: &str = "MSH|^~\\&|PUMPS^0011223344556677^EUI-64||||20261120101011+0200||\
    ORU^R40^ORU_R40|A-1|P|2.6\r\
    PID|||||^^^^^^U\r\
    OBR|1||1^PUMPS|196616^MDC_EVT_ALARM^MDC|||20261120101010+0200\r\
    OBX|1|CWE|196616^MDC_EVT_ALARM^MDC|1.1.0.0.1|196940^MDC_EVT_FLUID_LINE_OCCL^MDC||||||F\r\
    OBX|2|ST|68481^MDC_ATTR_EVENT_PHASE^MDC|1.1.0.0.3|start||||||F\r\
    OBX|3|ST|68482^MDC_ATTR_ALARM_STATE^MDC|1.1.0.0.4|active||||||F\r";

fn folder() -> PathBuf {
    repository().join("docs/ingestion")
}

/// One device on the bench: its file, and who it is to the committer.
struct Bench {
    profile: Profile,
    identity: Arc<DeviceIdentity>,
    firmware: &'static str,
}

fn bench(words: &Vocabulary, name: &str, profile: &str, firmware: &'static str) -> Bench {
    let file = repository().join("device-profiles").join(profile).join("profile.toml");
    let profile = load_profile(&file, words, Drafts::Accepted).expect("a device file");
    let identity = DeviceIdentity {
        name: DeviceName::parse(name).expect("a name"),
        stamp: ProfileStamp::of(&profile),
        profile_status: profile.file().provenance.status,
        status: Arc::new(DeviceStatus::default()),
    };
    Bench { profile, identity: Arc::new(identity), firmware }
}

impl Bench {
    /// What the device's driver makes of these bytes, as requests to the committer.
    fn hears(&self, words: &Arc<Vocabulary>, bytes: &[u8], now: Moment) -> Vec<Request> {
        let zone = jiff::tz::TimeZone::get("Europe/Helsinki").ok();
        let mut driver = self.profile.driver(self.firmware, Site { zone, charset: None });
        driver.link(LinkChange::Opened { session: Session(1) }, now);
        driver.receive(bytes, Peer::STREAM, now);
        let mut requests = Vec::new();
        while let Some(event) = driver.poll() {
            match event {
                Event::Message(message) => {
                    driver.settled(message.id, Settled::Durable, now);
                    requests.push(Request::Message(Box::new(self.submission(words, message))));
                }
                Event::Identity(identity) => {
                    let device = Arc::clone(&self.identity);
                    requests.push(Request::Identity { device, identity, now });
                }
                Event::Send { .. }
                | Event::Samples(_)
                | Event::Trouble { .. }
                | Event::Close { .. } => {}
            }
        }
        requests
    }

    fn submission(&self, words: &Arc<Vocabulary>, message: Message) -> Submission {
        let mapped = Mapper::new(&self.profile, self.firmware, Arc::clone(words));
        let mapped = mapped.map(&message.groups);
        let (mut clock, mut checker) = (DeviceClock::default(), Checker::default());
        let mut observations = Vec::new();
        for mut one in mapped.observations {
            let times = check::times(&one, message.received, &mut clock, UNCERTAINTY_MS_MAX);
            checker.mark(&mut one, &times);
            observations.push((one, times));
        }
        let share = Arc::new(Semaphore::new(1));
        Submission {
            clock_ahead_ms: None,
            device: Arc::clone(&self.identity),
            observations,
            refusals: mapped.refusals,
            firmware: Some(self.firmware.to_owned()),
            proof: FirmwareProof::Proven,
            // Nobody waits for the answer here.
            fate: mpsc::unbounded_channel().0,
            permit: share.try_acquire_owned().expect("a fresh share"),
            message,
        }
    }
}

/// An analyser's transmission in one piece.
fn transmission(records: &[String]) -> Vec<u8> {
    let frames = records.iter().enumerate();
    let frames = frames.flat_map(|(index, record)| frame(index + 1, record.as_bytes()));
    [0x05].into_iter().chain(frames).chain([0x04]).collect()
}

fn core() -> DestinationTable {
    let text = "name = \"core\"\nfiles = \"trial\"\nrequired = \"required\"\n\
                mqtt = { host = \"core\", receivers = [\"core\"] }";
    toml::from_str(text).expect("a table")
}

/// A morning with three devices, through the real committer into a real journal.
async fn morning(journal: &Path) -> Vec<Record> {
    let words = load_vocabulary(&repository().join("device-profiles")).expect("a vocabulary");
    let words = Arc::new(words);
    let oximeter = bench(&words, "bed-1-oximeter", "nordpuls/po-100", "2.2");
    let analyser = bench(&words, "analyser", "laborin/bg-7", "1.8.2");
    let pumps = bench(&words, "pumps", "generic/infusion-pump-gateway", "PCD-01 2.6");

    let at = |seconds: u64| START.plus_ms(seconds * 1000);
    let line = oximeter::line("97", "60", "2.5");
    let result = ph_result("", "S-1", "7.40", "20261120101010");
    let mut requests = oximeter.hears(&words, &line, at(1));
    requests.extend(analyser.hears(&words, &transmission(&result), at(2)));
    requests.extend(pumps.hears(&words, &framed(ALARM.as_bytes()), at(3)));
    let (device, cause) = (Arc::clone(&oximeter.identity), GapCause::DeviceSilent);
    requests.push(Request::GapBegan { device, cause, began: at(6) });
    let device = Arc::clone(&oximeter.identity);
    requests.push(Request::GapEnded { device, cause, ended: at(20) });
    let destination = "core".to_owned();
    let (why, recorded) = (UnavailableWhy::Freed, Recorded::default());
    let what = Unavailable { destination, first: 1, last: 2, why, recorded };
    requests.push(Request::Unavailable(what));

    let place = |text: &str| Place::parse(text).expect("a place");
    let places: BTreeMap<DeviceName, Place> = [(&oximeter, "icu/bed-1"), (&pumps, "icu/bed-2")]
        .map(|(one, text)| (one.identity.name.clone(), place(text)))
        .into();
    let devices = [&oximeter, &analyser, &pumps].map(|one| Arc::clone(&one.identity));
    commit(journal, &devices, places, requests).await
}

/// What the journal holds after these requests, through the real committer.
async fn commit(
    journal: &Path,
    devices: &[Arc<DeviceIdentity>],
    places: BTreeMap<DeviceName, Place>,
    requests: Vec<Request>,
) -> Vec<Record> {
    let opened = Journal::open(journal, Options::default()).expect("a journal");
    let mut committer = Committer {
        samplers: Samplers::default(),
        name: "box-1".to_owned(),
        clock_offset_us: None,
        appender: opened.appender,
        stream: STREAM,
        memory: Memory::default().at_site(LedgerSite::default(), places),
        ledger: LedgerKeeper::default(),
        destinations: vec![core()],
        room: Arc::new(Room::default()),
        trends: BTreeMap::new(),
    };
    committer.started(devices, Digest::of(b"configuration"), START).await;
    let (sender, received) = mpsc::unbounded_channel();
    for request in requests {
        sender.send(request).expect("the committer is there");
    }
    let (done, ended) = oneshot::channel();
    let stop = Request::Stop { now: START.plus_ms(30_000), done };
    sender.send(stop).expect("the committer is there");
    committer.run(received).await;
    ended.await.expect("an ordered stop");
    let (mut reader, mut records, mut next) = (opened.reader, Vec::new(), Sequence::FIRST);
    loop {
        let read = reader.read_from(next, 1000, 16 << 20).expect("a readable journal");
        if read.records.is_empty() {
            return records;
        }
        next = read.next;
        records.extend(read.records);
    }
}

/// What the core gets of a record, if anything.
fn rendered(record: &Record) -> Option<String> {
    rendered_for("core", record)
}

fn rendered_for(destination: &str, record: &Record) -> Option<String> {
    let stored = Stored::from_bytes(&record.payload)?;
    let rendered = render(&stored, STREAM, record.sequence, SOURCE, destination)?;
    Some(String::from_utf8(rendered.payload).expect("JSON is UTF-8"))
}

/// A pulse wave and one that nobody knows, through the real keeper into a journal of waveforms.
async fn waveforms(folder: &Path) -> Vec<Record> {
    let words = load_vocabulary(&repository().join("device-profiles")).expect("a vocabulary");
    let words = Arc::new(words);
    let bench = bench(&words, "bed-1-oximeter", "nordpuls/po-100", "2.2");
    let array = |coding, unit: Option<&str>, scale, samples: &[Option<i32>]| SampleArray {
        code: DeviceCode::Codings(vec![coding]),
        sub_id: String::new(),
        unit: unit.map(DeviceUnit::text),
        period: Period::per_second(75).expect("a period"),
        scale,
        samples: samples.to_vec(),
        time: None,
        flags: Vec::new(),
    };
    let (lower, upper) = ("0".to_owned(), "100".to_owned());
    let span = Scale::Span { lower, upper, raw_lower: 0, raw_upper: 65535 };
    let pleth = Coding::new("150452", "MDC_PULS_OXIM_PLETH", "MDC");
    let arrays = [
        array(pleth, Some("%"), span, &[Some(32768), Some(33001), None, Some(35120)]),
        array(Coding::new("7", "AUX", ""), None, Scale::Unknown, &[Some(-3), Some(0)]),
    ];
    let mapper = Mapper::new(&bench.profile, bench.firmware, Arc::clone(&words));
    let (clock, received) = (DeviceClock::default(), START.plus_ms(1000));
    let timed = |array: SampleArray| {
        let waveform = mapper.waveform(array);
        let span = (waveform.period, waveform.samples.len() as u64);
        let first = clock.first_sample(None, span, received, UNCERTAINTY_MS_MAX);
        (waveform, first)
    };
    let submission = |mode| Submitted {
        device: Arc::clone(&bench.identity),
        received,
        mode,
        firmware: Some(bench.firmware.to_owned()),
        proof: FirmwareProof::Proven,
        arrays: arrays.clone().map(timed).into(),
    };
    let configuration = waveform_configuration(folder);
    let devices = [Arc::clone(&bench.identity)];
    let delivery = tokio::runtime::Handle::current();
    let house = WaveformHouse::start_alone(&configuration, &devices, delivery);
    let (inlet, shown) = (house.inlet().expect("an inlet"), house.shown().expect("it is shown"));
    while shown.snapshot().door != "open" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    inlet.offer(submission(Mode::Production));
    inlet.offer(submission(Mode::Training));
    house.stop().await;
    let journal = folder.join("data/waveforms");
    let (mut reader, _) = Journal::open_read_only(&journal).expect("a journal");
    reader.read_from(Sequence::FIRST, 1000, 16 << 20).expect("a readable journal").records
}

fn waveform_configuration(folder: &Path) -> Configuration {
    let text = format!(
        "[gateway]\nid = \"{SOURCE}\"\ntenant = \"demo\"\nsite = \"site\"\nward = \"icu\"\n\
         name = \"box-1\"\ndata = \"{}\"\nsocket = \"socket\"\ndevice_profiles = \"{}\"\n\
         mode = \"bench\"\n\n{}\n[[destination]]\nname = \"waves\"\nfiles = \"trial\"\n\
         required = \"best-effort\"\ntake = \"waveforms\"\n\
         mqtt = {{ host = \"127.0.0.1\", port = 1, receivers = [\"core\"] }}\n",
        folder.join("data").display(),
        repository().join("device-profiles").display(),
        device("bed-1-oximeter", "nordpuls/po-100", "2.2", TCP_SERVER),
    );
    std::fs::create_dir_all(folder.join("data/cursors")).expect("folders");
    let file = folder.join("wardgate.toml");
    std::fs::write(&file, text).expect("a file");
    configuration::load(&file).expect("a good configuration")
}

/// The one record of it that goes out with samples.
async fn waveform_sample() -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let records = waveforms(folder.path()).await;
    let of_kind = records.iter().filter(|one| one.kind == Kind::Waveform);
    let sent: Vec<String> = of_kind.filter_map(|one| rendered_for("waves", one)).collect();
    assert_eq!(sent.len(), 1, "demo signals go nowhere");
    sent.concat().into_bytes()
}

/// Who stands behind a scan.
fn scanned(id: &str, stated: Moment, says: Says) -> NewEntry {
    let person = PersonId::parse("nurse-7").expect("a person");
    let (id, by) = (EntryId::parse(id).expect("an id"), By::Scan { person });
    NewEntry { id, stated: Utc::from_us(stated.utc_us()), by, says }
}

/// That the oximeter is on a patient since then.
fn associated(patient: &str, from: Moment) -> Says {
    let root = "1.2.246.10.1234567.22.2026";
    Says::Associated {
        device: DeviceId::parse("asset-000117").expect("a machine"),
        channel: None,
        patient: PatientId::given(root, patient, Purpose::Production).expect("a patient"),
        span: Span { from: Utc::from_us(from.utc_us()), until: None },
    }
}

/// A scan, two values, one of them confirmed; then it comes out that the device had moved before.
async fn bedside(folder: &Path) -> Vec<Record> {
    let words = load_vocabulary(&repository().join("device-profiles")).expect("a vocabulary");
    let words = Arc::new(words);
    let oximeter = bench(&words, "bed-1-oximeter", "nordpuls/po-100", "2.2");
    let name = |text: &str| DeviceName::parse(text).expect("a name");
    let lines = Lines::of([LineSetup {
        line: Line { gateway: name("box-1"), name: name("bed-1-oximeter") },
        machine: DeviceId::parse("asset-000117").expect("a machine"),
        codes: Vec::new(),
        is_analyser: false,
        says_patient_each_time: false,
        place: None,
    }]);
    let opened = Journal::open(folder, Options::default()).expect("a journal");
    let mut reader = opened.reader;
    let (requests, received) = mpsc::unbounded_channel();
    let (examine, examined) = mpsc::unbounded_channel();
    let desk = LedgerDesk::default();
    let mut keeper = LedgerKeeper::new(desk.clone(), lines.clone());
    keeper.examine = Some(examine);
    let place = Place::parse("icu/bed-1").expect("a place");
    let places = [(name("bed-1-oximeter"), place)].into();
    let mut committer = Committer {
        samplers: Samplers::default(),
        name: "box-1".to_owned(),
        clock_offset_us: None,
        appender: opened.appender,
        stream: STREAM,
        memory: Memory::default().at_site(LedgerSite::default(), places),
        ledger: keeper,
        destinations: vec![core()],
        room: Arc::new(Room::default()),
        trends: BTreeMap::new(),
    };
    let clock = BoxClock::Vouched;
    let (from, sender) = (reader.clone(), requests.clone());
    let corrector =
        Corrector { desk, lines, clock, reader: from, stream: STREAM, requests: sender };
    let devices = [Arc::clone(&oximeter.identity)];
    committer.started(&devices, Digest::of(b"configuration"), START).await;
    committer.configured(START).await;
    let committing = tokio::spawn(committer.run(received));
    let (stop, stopping) = watch::channel(false);
    let correcting = tokio::spawn(corrector.run(examined, stopping));

    let at = |seconds: u64| START.plus_ms(seconds * 1000);
    let add = async |entries: Vec<NewEntry>, now: Moment| {
        let (done, added) = oneshot::channel();
        requests.send(Request::Ledger { entries, now, done }).expect("a committer");
        added.await.expect("an answer").expect("good entries");
    };
    add(vec![scanned("a-1", at(1), associated("P-1", at(1)))], at(1)).await;
    let line = oximeter::line("97", "60", "2.5");
    for seconds in [60, 120] {
        for request in oximeter.hears(&words, &line, at(seconds)) {
            requests.send(request).expect("a committer");
        }
    }
    let first = read_until(&mut reader, |kinds| count(kinds, EventKind::Observation) == 2).await;
    let confirmed = first.iter().rev().find_map(|record| Stored::from_bytes(&record.payload));
    let act = Box::new(confirmation(&confirmed.expect("an observation"), at(120)));
    let (done, kept) = oneshot::channel();
    requests.send(Request::Act { act, now: at(150), done }).expect("a committer");
    kept.await.expect("an answer").expect("kept");
    let (a_1, now) = (EntryId::parse("a-1").expect("an id"), at(180));
    let ended = Says::Ended { association: a_1, at: Utc::from_us(at(30).utc_us()) };
    let moved = vec![scanned("a-2", now, ended), scanned("b-1", now, associated("P-2", at(30)))];
    add(moved, now).await;
    // Two corrections, one void and one dispute.
    let all = read_until(&mut reader, |kinds| count(kinds, EventKind::Correction) == 3).await;
    stop.send_replace(true);
    correcting.await.expect("a corrector that stops");
    let (done, ended) = oneshot::channel();
    requests.send(Request::Stop { now: at(200), done }).expect("a committer");
    ended.await.expect("an ordered stop");
    committing.await.expect("a committer that stops");
    all
}

fn confirmation(stored: &Stored, at: Moment) -> Act {
    let mut metrics = stored.data["metrics"].clone();
    for metric in metrics.as_array_mut().into_iter().flatten() {
        metric["status"] = json!("final");
    }
    let mut data = serde_json::Map::new();
    data.insert("metrics".to_owned(), metrics);
    for key in ["patient", "association", "times", "mode"] {
        data.insert(key.to_owned(), stored.data[key].clone());
    }
    Act {
        kind: ActKind::Confirmation,
        subject: stored.subject.clone(),
        time_us: at.utc_us(),
        data,
        client_id: "0f8fad5b-d9cb-469f-a165-70867728950e".to_owned(),
    }
}

fn count(kinds: &[EventKind], wanted: EventKind) -> usize {
    kinds.iter().filter(|kind| **kind == wanted).count()
}

/// Everything in a journal, once it holds what is waited for.
async fn read_until(
    reader: &mut wardgate::journal::Reader,
    enough: impl Fn(&[EventKind]) -> bool,
) -> Vec<Record> {
    for _ in 0..2000 {
        let read = reader.read_from(Sequence::FIRST, 1000, 16 << 20).expect("a journal");
        let kinds: Vec<EventKind> = read
            .records
            .iter()
            .filter_map(|record| Some(Stored::from_bytes(&record.payload)?.kind))
            .collect();
        if enough(&kinds) {
            return read.records;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("it does not come");
}

/// File names and the bytes that go out of [`bedside`].
fn sent_at_the_bedside(records: &[Record]) -> BTreeMap<&'static str, Vec<u8>> {
    let mut sent = BTreeMap::new();
    for record in records {
        let Some(stored) = Stored::from_bytes(&record.payload) else { continue };
        let has = |key: &str| stored.data.contains_key(key);
        let name = match stored.kind {
            EventKind::Observation => "observation-attributed",
            EventKind::Association if has("entry") && !has("box_only") => "association-entry",
            EventKind::Confirmation => "confirmation",
            EventKind::Void => "void",
            EventKind::Correction if has("disputed") => "correction-disputed",
            EventKind::Correction => "correction",
            EventKind::Association
            | EventKind::Alarm
            | EventKind::PumpEvent
            | EventKind::DeviceState
            | EventKind::Entry
            | EventKind::Gap
            | EventKind::Waveform
            | EventKind::Manifest => continue,
        };
        let payload = rendered(record).expect("a route").into_bytes();
        // The first one of each.
        sent.entry(name).or_insert(payload);
    }
    sent
}

/// File names and the bytes that go out.
fn sent(records: &[Record]) -> BTreeMap<&'static str, Vec<u8>> {
    let mut sent = BTreeMap::new();
    for record in records {
        let Some(stored) = Stored::from_bytes(&record.payload) else { continue };
        let phase = stored.data.get("phase").and_then(Json::as_str).unwrap_or_default();
        let name = match (stored.kind, stored.subject.as_str(), phase) {
            (EventKind::Observation, "bed-1-oximeter", _) => "observation-oximeter",
            (EventKind::Observation, "analyser", _) => "observation-analyser",
            (EventKind::Alarm, "pumps", _) => "alarm",
            (EventKind::Association, "bed-1-oximeter", _) => "association",
            (EventKind::DeviceState, "analyser", _) => "device-state",
            (EventKind::Gap, "bed-1-oximeter", "began") => "gap-began",
            (EventKind::Gap, "bed-1-oximeter", "ended") => "gap-ended",
            // The gap of one destination carries the time of this run, not a fixed moment.
            _ => continue,
        };
        let payload = rendered(record).expect("a route").into_bytes();
        let twice = sent.insert(name, payload);
        assert!(twice.is_none(), "two samples {name}");
    }
    sent
}

/// What a receiver writes; the gateway's own reader takes them.
fn answers() -> BTreeMap<&'static str, Vec<u8>> {
    let rejection = json!({
        "sequence": 11, "code": "unknown-device", "text": "no such device here", "permanent": true,
    });
    let acknowledgement = json!({
        "stream": STREAM,
        "accepted": [[1, 10], [12, 13]],
        "rejected": [rejection],
        "receiver_time": "2026-11-20T08:10:31Z",
        "receiver_id": "core",
    });
    let have = json!({
        "stream": STREAM, "ranges": [[1, 9]], "receiver_id": "core", "generation": 1,
    });
    let acknowledgement = acknowledgement.to_string().into_bytes();
    let have = have.to_string().into_bytes();
    let manifest_answer = json!({
        "stream": STREAM, "manifest": 90, "holds": false, "sha256": "5f".repeat(32),
        "differs": [[7, 8]], "receiver_id": "core", "receiver_time": "2026-11-21T00:00:02Z",
    });
    let manifest_answer = manifest_answer.to_string().into_bytes();
    let read = ManifestAnswer::parse(&manifest_answer).expect("the gateway reads it");
    assert_eq!((read.manifest.number(), read.holds, read.differs), (90, false, vec![7..=8]));
    let read = Acknowledgement::parse(&acknowledgement).expect("the gateway reads it");
    assert_eq!((read.accepted, read.rejected.len()), (vec![1..=10, 12..=13], 1));
    let read = Have::parse(&have).expect("the gateway reads it");
    assert_eq!((read.ranges, read.generation), (vec![1..=9], 1));
    let manifest_answer = ("manifest-answer", manifest_answer);
    [("acknowledgement", acknowledgement), ("have", have), manifest_answer].into()
}

#[tokio::test]
async fn the_published_samples_are_what_the_code_sends() {
    let journal = tempfile::tempdir().unwrap();
    let records = morning(&journal.path().join("journal")).await;
    let mut samples = sent(&records);
    assert_eq!(samples.len(), 7, "{:?}", samples.keys());
    samples.insert("waveform", waveform_sample().await);
    samples.extend(answers());
    let bedside = bedside(&journal.path().join("bedside")).await;
    let bedside = sent_at_the_bedside(&bedside);
    assert_eq!(bedside.len(), 6, "{:?}", bedside.keys());
    samples.extend(bedside);
    let samples_folder = folder().join("samples");
    let write = std::env::var_os("WARDGATE_WRITE").is_some_and(|set| set == "1");
    for (name, mut bytes) in samples.clone() {
        bytes.push(b'\n');
        let path = samples_folder.join(format!("{name}.json"));
        if write {
            std::fs::write(&path, &bytes).unwrap();
        }
        let committed = std::fs::read(&path).unwrap_or_default();
        let now = String::from_utf8_lossy(&bytes).into_owned();
        let what = "is stale: WARDGATE_WRITE=1 cargo test --test ingestion_contract";
        assert!(committed == bytes, "{} {what}\n{now}", path.display());
    }
    let there: BTreeSet<String> = std::fs::read_dir(&samples_folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    let made: BTreeSet<String> = samples.keys().map(|name| format!("{name}.json")).collect();
    assert_eq!(there, made, "every published sample is made here");
}

/// The value's text, the specimen and what an alarm is for, from the inputs above.
#[test]
fn the_samples_say_what_the_devices_sent() {
    let sample = |name: &str| -> Json {
        let path = folder().join("samples").join(format!("{name}.json"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    assert_eq!(house::value(&sample("observation-oximeter"), "spo2"), "97");
    let analyser = sample("observation-analyser");
    assert_eq!(house::value(&analyser, "ph-blood"), "7.40");
    assert_eq!(analyser["data"]["specimen"]["id"], "S-1");
    assert!(analyser["data"].get("patient_ids_stated_by_device").is_none());
    assert_eq!(sample("alarm")["data"]["purpose"], "for the record, not for notification");
    let waveform = sample("waveform");
    let arrays = waveform["data"]["arrays"].as_array().unwrap();
    assert_eq!(arrays[0]["mdc"], "MDC_PULS_OXIM_PLETH");
    assert_eq!(arrays[0]["samples"], json!([32768, 33001, null, 35120]));
    // Four of 75 a second take 53,333 microseconds, two 26,666; they came a second after the start.
    assert_eq!(waveform["time"], "2026-11-20T08:10:11.946667Z");
    assert_eq!(arrays[1]["first"]["utc"], "2026-11-20T08:10:11.973334Z");
    assert_eq!((&arrays[1]["parameter"], &arrays[1]["scale"]), (&Json::Null, &Json::Null));
    let (began, ended) = (sample("gap-began"), sample("gap-ended"));
    assert_eq!(ended["data"]["gap"], began["data"]["sequence"]);
    assert_eq!(ended["data"]["previous"], began["data"]["sequence"]);
}

/// The channels carry the kinds that the schema knows, and nothing points at a file that is away.
#[test]
fn what_the_pages_point_at_is_there() {
    let read = |name: &str| std::fs::read_to_string(folder().join(name)).unwrap();
    let (channels, page) = (read("asyncapi.yaml"), read("README.md"));
    let schemas: Vec<&str> =
        channels.split("\"./").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(schemas.len(), 5, "{schemas:?}");
    let links = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for name in schemas.into_iter().chain(links) {
        assert!(folder().join(name).exists(), "{name}");
    }
    let schema: Json = serde_json::from_str(&read("record.v1.schema.json")).unwrap();
    let kinds = schema["properties"]["type"]["enum"].as_array().unwrap();
    let kind = |one: &Json| Some(one.as_str()?.split('.').nth(2)?.to_owned());
    let kinds: Vec<String> = kinds.iter().filter_map(kind).collect();
    assert!(channels.contains(&format!("enum: [{}]", kinds.join(", "))), "{kinds:?}");
    assert!(kinds.iter().all(|kind| page.contains(&format!("`{kind}`"))), "{kinds:?}");
}

/// The judge's verdict on files, and what it says.
fn judged(python: &PathBuf, files: &[PathBuf]) -> (bool, String) {
    let mut judge = judges::judge(python, "contract_check.py");
    let output = judge.arg(folder()).args(files).output().unwrap();
    let (said, errors) = (&output.stdout, &output.stderr);
    let said = format!("{}{}", String::from_utf8_lossy(said), String::from_utf8_lossy(errors));
    assert!(matches!(output.status.code(), Some(0 | 1)), "the judge itself fails: {said}");
    assert!(!said.contains("Traceback"), "the judge itself fails: {said}");
    (output.status.success(), said)
}

/// An OpenAPI validator that others wrote, and the samples as bodies of the two requests.
#[test]
fn the_https_binding_is_an_openapi_document() {
    let name = "the_https_binding_is_an_openapi_document";
    let Some(python) = judges::python(name) else { return };
    let page = folder().join("openapi.yaml");
    let judged = |page: &Path| {
        let output = judges::judge(&python, "openapi_check.py").arg(page).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!errors.contains("Traceback"), "the judge itself fails: {errors}");
        (output.status.success(), said)
    };
    let (good, said) = judged(&page);
    assert!(good && said.contains("3 paths, 17 bodies, 0 problems"), "{said}");
    // The judge sees a document that is none.
    let place = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(&page).unwrap();
    for entry in std::fs::read_dir(folder()).unwrap().map(Result::unwrap) {
        if entry.path().extension().is_some_and(|end| end == "json") {
            std::fs::copy(entry.path(), place.path().join(entry.file_name())).unwrap();
        }
    }
    let samples = place.path().join("samples");
    std::fs::create_dir(&samples).unwrap();
    for entry in std::fs::read_dir(folder().join("samples")).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), samples.join(entry.file_name())).unwrap();
    }
    let bad = place.path().join("openapi.yaml");
    std::fs::write(&bad, text.replacen("in: path", "in: nowhere", 1)).unwrap();
    let (good, said) = judged(&bad);
    assert!(!good, "{said}");
}

#[tokio::test]
async fn another_reader_finds_every_sample_as_published() {
    let Some(python) = judges::python("another_reader_finds_every_sample_as_published") else {
        return;
    };
    let files = std::fs::read_dir(folder().join("samples")).unwrap();
    let files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    let (good, said) = judged(&python, &files);
    assert!(good, "{said}");
    assert!(
        said.contains(r#""record": 14, "acknowledgement": 1, "have": 1, "manifest-answer": 1"#),
        "{said}"
    );

    // The whole morning, with the gap of one destination.
    let place = tempfile::tempdir().unwrap();
    let records = morning(&place.path().join("journal")).await;
    let mut text: String = records.iter().filter_map(rendered).map(|text| text + "\n").collect();
    assert!(text.contains(r#""cause":"freed""#), "{text}");
    let waves = waveforms(place.path()).await;
    let waves = waves.iter().filter_map(|one| rendered_for("waves", one));
    text.extend(waves.map(|text| text + "\n"));
    assert!(text.contains("fi.wardgate.waveform.v1"), "{text}");
    let file = place.path().join("morning.jsonl");
    std::fs::write(&file, &text).unwrap();
    let (good, said) = judged(&python, &[file]);
    assert!(good, "{said}");
    assert!(said.contains(&format!("\"record\": {}", text.lines().count())), "{said}");
}

/// Messages that nobody here wrote: what they become is as published, too.
#[tokio::test]
async fn every_hl7_message_of_the_corpus_makes_records_as_published() {
    let name = "every_hl7_message_of_the_corpus_makes_records_as_published";
    let Some(corpus) = judges::corpus(name) else { return };
    let Some(python) = judges::python(name) else { return };
    let words = load_vocabulary(&repository().join("device-profiles")).expect("a vocabulary");
    let words = Arc::new(words);
    let table = std::fs::read_to_string(repository().join("tests/corpus/hl7.toml")).unwrap();
    let table: toml::Table = table.parse().unwrap();
    let (mut devices, mut requests) = (Vec::new(), Vec::new());
    for (index, file) in table["file"].as_table().unwrap().keys().enumerate() {
        let content = std::fs::read(corpus.join(file)).unwrap();
        // One device per file and kind: the same bytes mean something else to each.
        for (profile, firmware) in [
            ("generic/pcd-01", "PCD-01 2.6"),
            ("generic/infusion-pump-gateway", "PCD-01 2.6"),
            ("generic/laboratory-hl7v2", "LAB-29 2.5.1"),
            ("philips/piic-mdil", "MDIL 2.3"),
        ] {
            let kind = profile.replace('/', "-");
            let bench = bench(&words, &format!("{index}-{kind}"), profile, firmware);
            let pieces = replay::pieces(&bench.profile, &content).unwrap();
            for (_, piece) in pieces {
                if let Piece::Bytes(bytes) = piece {
                    requests.extend(bench.hears(&words, &bytes, START));
                }
            }
            devices.push(bench.identity);
        }
    }
    let place = tempfile::tempdir().unwrap();
    let journal = place.path().join("journal");
    let records = commit(&journal, &devices, BTreeMap::new(), requests).await;
    let text: String = records.iter().filter_map(rendered).map(|text| text + "\n").collect();
    let observations = text.lines().filter(|line| line.contains(".observation.v1")).count();
    assert!(observations > table["file"].as_table().unwrap().len(), "only {observations}");
    for field in ["comparator", "absent_mark", "coded", "limits", "method", "remarks", "specimen"] {
        assert!(text.contains(&format!("\"{field}\":")), "no record has {field}");
    }
    let file = place.path().join("corpus.jsonl");
    std::fs::write(&file, &text).unwrap();
    let (good, said) = judged(&python, &[file]);
    assert!(good, "{said}");
}

/// A house with a monitor, an analyser and an oximeter, and what its core stored.
fn lived() -> Vec<Json> {
    let mut house = House::open(Plan::of(
        device("monitor", "generic/pcd-01", "PCD-01 2.6", TCP_SERVER)
            + &device("analyser", "laborin/bg-7", "1.8.2", TCP_SERVER)
            + &device("oximeter", "nordpuls/po-100", "2.2", TCP_SERVER)
            + &device("pumps", "generic/infusion-pump-gateway", "PCD-01 2.6", TCP_SERVER),
    ));
    let mut monitor = Mllp::connect(house.listening("monitor")).unwrap();
    let message = vital(Vital {
        sent: "20261120101011",
        control_id: "1",
        time: "20261120101010",
        patient: "P-1",
        heart_rate: "61",
    });
    assert_eq!(monitor.ask(&message).unwrap().code, "AA");
    let mut analyser = Analyser::connect(house.listening("analyser")).unwrap();
    assert!(analyser.transmit(&ph_result("P-1", "S-1", "<6.8", "20261120101010")).unwrap());
    // The same result for somebody else names the first.
    assert!(analyser.transmit(&ph_result("P-2", "S-1", "<6.8", "20261120101010")).unwrap());
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    stream.write_all(&oximeter::line("97", "60", "2.5")).unwrap();
    stream.write_all(&oximeter::line("---", "---", "--.-")).unwrap();
    let mut pumps = Mllp::connect(house.listening("pumps")).unwrap();
    assert_eq!(pumps.ask(ALARM.as_bytes()).unwrap().code, "AA");
    let event = ALARM.replace("R40", "R42").replace("|A-1|", "|A-2|");
    assert_eq!(pumps.ask(event.as_bytes()).unwrap().code, "AA");
    house.observations("monitor", 1);
    house.observations("analyser", 2);
    house.observations("oximeter", 2);
    // A start after a stop is a gap for every device that was heard, ended by its next byte.
    house.settle();
    assert_eq!(house.stop().code(), Some(0));
    house.start();
    let mut stream = TcpStream::connect(house.listening("oximeter")).unwrap();
    stream.write_all(&oximeter::line("96", "61", "2.5")).unwrap();
    house.observations("oximeter", 3);
    house.settle();
    house.stored()
}

#[test]
fn what_a_running_house_sends_is_as_published_and_what_is_not_is_refused() {
    let name = "what_a_running_house_sends_is_as_published_and_what_is_not_is_refused";
    let Some(python) = judges::python(name) else { return };
    let records = lived();
    let kinds: BTreeSet<&str> = records.iter().filter_map(|one| one["type"].as_str()).collect();
    let expected = ["alarm", "association", "device-state", "gap", "observation", "pump-event"];
    let expected = expected.map(|kind| format!("fi.wardgate.{kind}.v1"));
    assert_eq!(kinds, expected.iter().map(String::as_str).collect());
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, lines: &[Json]| {
        let path = place.path().join(name);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(&path, text).unwrap();
        path
    };
    let (good, said) = judged(&python, &[file("stored.jsonl", &records)]);
    assert!(good, "{said}");
    assert!(said.contains(&format!("\"record\": {}", records.len())), "{said}");

    let is_heart_rate =
        |one: &&Json| one["subject"] == "monitor" && one["data"]["metrics"].is_array();
    let sound = records.iter().find(is_heart_rate).expect("the monitor's record");
    type Damage = fn(&mut Json);
    let damages: [(&str, Damage, &str); 8] = [
        ("a field is missing", |one| drop(remove(one, "/data", "raw_sha256")), "data: required"),
        (
            "a value as a number",
            |one| one["data"]["metrics"][0]["value"] = json!(61),
            "/value: type",
        ),
        ("an extra attribute", |one| one["patient"] = json!("P-1"), "additionalProperties"),
        ("an extra field", |one| one["data"]["note"] = json!(""), "unevaluatedProperties"),
        ("a sequence of 2^53", |one| one["data"]["sequence"] = json!(1u64 << 53), "maximum"),
        (
            "a value and an absence",
            |one| one["data"]["metrics"][0]["absent"] = json!("off"),
            "oneOf",
        ),
        ("another schema's name", |one| one["dataschema"] = json!("urn:x"), "dataschema: const"),
        ("held data", |one| one["data"]["mode"] = json!("training"), "mode: const"),
    ];
    for (what, damage, why) in damages {
        let mut broken = sound.clone();
        damage(&mut broken);
        let (good, said) = judged(&python, &[file("broken.jsonl", &[broken])]);
        assert!(!good && said.contains(why), "{what}: {said}");
    }
}

fn remove(record: &mut Json, at: &str, key: &str) -> Option<Json> {
    record.pointer_mut(at)?.as_object_mut()?.remove(key)
}

/// What the gateway refuses of an answer, the schemas refuse; what it takes, they take.
#[test]
fn answers_are_judged_alike_by_the_gateway_and_by_the_schemas() {
    let name = "answers_are_judged_alike_by_the_gateway_and_by_the_schemas";
    let Some(python) = judges::python(name) else { return };
    let sound: Json = serde_json::from_slice(&answers()["acknowledgement"]).unwrap();
    let changed = |at: &str, value: Json| {
        let mut one = sound.clone();
        match one.pointer_mut(at) {
            Some(place) => *place = value,
            None => one[at] = value,
        }
        one
    };
    let mut nobody = sound.clone();
    remove(&mut nobody, "", "receiver_id").expect("it was there");
    let cases = [
        (sound.clone(), true),
        (changed("/accepted", json!([])), true),
        (changed("/rejected", json!([])), true),
        (changed("/receiver_time", json!("2026-11-20T10:10:31.5+02:00")), true),
        (changed("/rejected/0/code", json!("k".repeat(40))), true),
        (nobody, false),
        (changed("extra", json!(1)), false),
        (changed("/accepted/0", json!([2, 1])), false),
        (changed("/accepted/0", json!([0, 1])), false),
        (changed("/accepted/0", json!([1])), false),
        (changed("/accepted/0/1", json!(1u64 << 53)), false),
        (changed("/accepted/0/1", json!("5")), false),
        (changed("/accepted", json!(vec![[1, 1]; 1025])), false),
        (changed("/rejected/0/code", json!("")), false),
        (changed("/rejected/0/code", json!("k".repeat(41))), false),
        (changed("/rejected/0/text", json!("t".repeat(401))), false),
        (changed("/receiver_id", json!("core\n")), false),
        (changed("/receiver_time", json!("yesterday")), false),
        (changed("/stream", json!("1f")), false),
    ];
    let place = tempfile::tempdir().unwrap();
    for (index, (case, takes)) in cases.iter().enumerate() {
        let bytes = case.to_string();
        assert_eq!(Acknowledgement::parse(bytes.as_bytes()).is_ok(), *takes, "{index}: {bytes}");
        let path = place.path().join("answer.json");
        std::fs::write(&path, &bytes).unwrap();
        let (good, said) = judged(&python, &[path]);
        assert_eq!(good, *takes, "{index}: {bytes}\n{said}");
    }
}

/// The same of the answers to manifests.
#[test]
fn answers_to_manifests_are_judged_alike_by_the_gateway_and_by_the_schemas() {
    let name = "answers_to_manifests_are_judged_alike_by_the_gateway_and_by_the_schemas";
    let Some(python) = judges::python(name) else { return };
    let sound: Json = serde_json::from_slice(&answers()["manifest-answer"]).unwrap();
    let changed = |key: &str, value: Json| {
        let mut one = sound.clone();
        one[key] = value;
        one
    };
    let mut nobody = sound.clone();
    remove(&mut nobody, "", "sha256").expect("it was there");
    let cases = [
        (sound.clone(), true),
        (changed("holds", json!(true)), true),
        (changed("differs", json!([])), true),
        (nobody, false),
        (changed("extra", json!(1)), false),
        (changed("manifest", json!(0)), false),
        (changed("manifest", json!(1u64 << 53)), false),
        (changed("holds", json!("true")), false),
        (changed("sha256", json!("5F".repeat(32))), false),
        (changed("sha256", json!("5f".repeat(31))), false),
        (changed("differs", json!([[2, 1]])), false),
        (changed("differs", json!(vec![[1, 1]; 1025])), false),
        (changed("receiver_id", json!("")), false),
        (changed("receiver_time", json!("yesterday")), false),
        (changed("stream", json!("1f")), false),
    ];
    let place = tempfile::tempdir().unwrap();
    for (index, (case, takes)) in cases.iter().enumerate() {
        let bytes = case.to_string();
        assert_eq!(ManifestAnswer::parse(bytes.as_bytes()).is_ok(), *takes, "{index}: {bytes}");
        let path = place.path().join("answer.json");
        std::fs::write(&path, &bytes).unwrap();
        let (good, said) = judged(&python, &[path]);
        assert_eq!(good, *takes, "{index}: {bytes}\n{said}");
    }
}
