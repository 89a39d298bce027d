//! What happens on a ward, through the committer and a journal on disk, and every record that
//! leaves.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value as Json, json};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::corrections::{Corrector, Examine};
use super::super::verdicts::BoxClock;
use super::*;
use crate::association::{Line, Movement, Presence};
use crate::check::clock::{Liveness, Rule, Times};
use crate::forward::stored::{EventKind, Stored};
use crate::gateway::committer::{DeviceIdentity, Submission};
use crate::gateway::configuration::{
    AssociationTable, DestinationTable, load_profile, load_vocabulary,
};
use crate::gateway::record::{FirmwareProof, ProfileStamp};
use crate::gateway::status::DeviceStatus;
use crate::journal::{Kind, Record};
use crate::link::clock;
use crate::link::simulated::{Clocks, set};
use crate::mapping::Mapper;
use crate::profile::{Drafts, Status};
use crate::protocol::{Event, LinkChange, Message, Peer, Session, Site};
use crate::vocabulary::{Certainty, DeviceName, EncounterId};

const LINE: &[u8] = b"$PO,10:11:12,097,072,04.5,00*25\r\n";

/// The minute of a day on which all this happens.
pub(super) fn clock_shows(minute: i64) {
    let boot_us = u64::try_from(minute * 60_000_000).unwrap() + 3_600_000_000;
    let offset_us = NINE - 9 * 3_600_000_000 - 3_600_000_000;
    set(Clocks { at: Instant::now(), boot_us, offset_us, certainty: Certainty::Synchronised });
}

pub(super) const fn o_clock(hour: i64, minute: i64) -> i64 {
    60 * hour + minute
}

/// As [`super::at`], by the minute of the day.
pub(super) fn on(minute: i64) -> Utc {
    at(minute - 9 * 60)
}

fn named(text: &str) -> DeviceName {
    DeviceName::parse(text).unwrap()
}

fn line(name: &str) -> Line {
    Line { gateway: named("box-1"), name: named(name) }
}

fn destination(name: &str, files: &str, take: &str) -> DestinationTable {
    let text = format!(
        "name = \"{name}\"\nfiles = \"{files}\"\ntake = \"{take}\"\nrequired = \"required\"\n\
         mqtt = {{ host = \"core\", receivers = [\"core\"] }}"
    );
    toml::from_str(&text).unwrap()
}

/// What the devices of a ward are, and what the site says of whose they are.
pub(super) struct Devices {
    pub profile: crate::profile::Profile,
    pub firmware: &'static str,
    /// What each of them says, always.
    pub says: &'static [u8],
    pub association: AssociationTable,
}

impl Devices {
    /// By the usual rules of a site.
    pub fn of(
        profile: crate::profile::Profile,
        firmware: &'static str,
        says: &'static [u8],
    ) -> Self {
        Self { profile, firmware, says, association: AssociationTable::default() }
    }
}

/// A ward with two devices of a kind.
pub(super) struct Ward {
    pub(super) desk: LedgerDesk,
    requests: mpsc::UnboundedSender<Request>,
    task: JoinHandle<()>,
    corrector: Corrector,
    examined: mpsc::UnboundedReceiver<Examine>,
    reader: Reader,
    message: Message,
    firmware: &'static str,
    profile: crate::profile::Profile,
    mapper: Mapper,
}

impl Ward {
    /// Two oximeters that cannot say who they are.
    async fn open(folder: &Path) -> Self {
        let words = vocabulary();
        let file = profiles().join("nordpuls/po-100/profile.toml");
        let profile = load_profile(&file, &words, Drafts::Accepted).unwrap();
        Self::open_with(folder, Devices::of(profile, "2.2", LINE)).await
    }

    /// Two of these devices, which say always the same. At midnight, so that what the configuration
    /// says holds all day.
    pub(super) async fn open_with(folder: &Path, devices: Devices) -> Self {
        let Devices { profile, firmware, says, association } = devices;
        clock_shows(0);
        let (mut committer, reader) = crate::gateway::tests::committer_and_reader(folder);
        committer.destinations = vec![
            destination("archive", "trial", "all"),
            destination("chart", "patients", "all"),
            destination("signed", "patients", "confirmed"),
        ];
        let lines = Lines::of(["bed-1", "bed-2"].map(|name| LineSetup {
            line: line(name),
            machine: DeviceId::parse(&format!("machine-{name}")).unwrap(),
            codes: Vec::new(),
            is_analyser: false,
            says_patient_each_time: profile.file().protocol.family() == "hl7v2",
            place: None,
        }));
        let (requests, received) = mpsc::unbounded_channel();
        let (examine, examined) = mpsc::unbounded_channel();
        let desk = LedgerDesk::default();
        let keeper = LedgerKeeper::new(desk.clone(), lines.clone());
        let numbers = association.numbers();
        committer.ledger = LedgerKeeper { examine: Some(examine), numbers, ..keeper };
        let policy = association.policy();
        let site = crate::association::Site { policy, ..Default::default() };
        let memory = &mut committer.memory;
        let ledger = Ledger::clone(&memory.ledger);
        memory.ledger = Arc::new(ledger.under(site, BTreeMap::new()));
        let memory = &committer.memory;
        desk.open(requests.clone(), Arc::clone(&memory.ledger), Arc::clone(&memory.register));
        let corrector = Corrector {
            desk: desk.clone(),
            lines,
            clock: BoxClock::Vouched,
            reader: reader.clone(),
            stream: reader.stream(),
            requests: requests.clone(),
        };
        committer.configured(clock::now()).await;
        let task = tokio::spawn(committer.run(received));
        let mapper = Mapper::new(&profile, firmware, vocabulary());
        let message = message(&profile, firmware, says);
        Self {
            desk,
            requests,
            task,
            corrector,
            examined,
            reader,
            message,
            firmware,
            profile,
            mapper,
        }
    }

    /// A line of the oximeter comes now.
    pub(super) async fn hears(&self, name: &str) {
        let received = clock::now();
        // It says always the same, and each time means it.
        let message = Message { received, repeat_basis: None, ..self.message.clone() };
        let times = Times {
            received,
            corrected: None,
            chart_utc_us: received.utc_us(),
            rule: Rule::Received,
            liveness: Liveness::Live,
        };
        let mapped = self.mapper.map(&message.groups).observations.into_iter();
        let identity = DeviceIdentity {
            name: named(name),
            stamp: ProfileStamp::of(&self.profile),
            profile_status: Status::Released,
            status: Arc::new(DeviceStatus::default()),
        };
        let share = Arc::new(Semaphore::new(1));
        let (fate, mut fates) = mpsc::unbounded_channel();
        let submission = Submission {
            device: Arc::new(identity),
            observations: mapped.map(|one| (one, times)).collect(),
            refusals: Vec::new(),
            firmware: None,
            proof: FirmwareProof::Proven,
            clock_ahead_ms: None,
            fate,
            permit: share.try_acquire_owned().unwrap(),
            message,
        };
        self.requests.send(Request::Message(Box::new(submission))).unwrap();
        fates.recv().await.expect("a fate");
    }

    /// What the devices say from now on.
    pub(super) fn will_say(&mut self, bytes: &[u8]) {
        self.message = message(&self.profile, self.firmware, bytes);
    }

    /// Entries are learned, and what changes hands by them is found.
    pub(super) async fn learns(&mut self, entries: Vec<NewEntry>) {
        self.desk.add(entries).await.unwrap();
        let (_stop, stopping) = watch::channel(false);
        while let Ok(examine) = self.examined.try_recv() {
            assert!(self.corrector.examine(examine, &stopping).await);
        }
    }

    fn records(&self) -> Vec<(Record, Stored)> {
        let mut reader = self.reader.clone();
        let first = reader.first();
        let read = reader.read_from(first, 10_000, 64 << 20).unwrap();
        let stored = |record: Record| {
            let stored = Stored::from_bytes(&record.payload)?;
            (record.kind == Kind::Observation).then_some((record, stored))
        };
        read.records.into_iter().filter_map(stored).collect()
    }

    pub(super) fn of_kind(&self, kind: EventKind) -> Vec<Stored> {
        let all = self.records().into_iter().map(|(_, stored)| stored);
        all.filter(|stored| stored.kind == kind).collect()
    }

    pub(super) async fn stop(self) {
        let (done, stopped) = oneshot::channel();
        self.requests.send(Request::Stop { now: clock::now(), done }).unwrap();
        stopped.await.unwrap();
        self.task.await.unwrap();
    }
}

pub(super) fn profiles() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("device-profiles")
}

pub(super) fn vocabulary() -> Arc<crate::vocabulary::Vocabulary> {
    Arc::new(load_vocabulary(&profiles()).unwrap())
}

fn message(profile: &crate::profile::Profile, firmware: &str, bytes: &[u8]) -> Message {
    let now = clock::now();
    let mut driver = profile.driver(firmware, Site::default());
    driver.link(LinkChange::Opened { session: Session(1) }, now);
    driver.receive(bytes, Peer::STREAM, now);
    let mut events = std::iter::from_fn(|| driver.poll());
    let message = events
        .find_map(|event| if let Event::Message(message) = event { Some(message) } else { None });
    message.expect("a message")
}

pub(super) fn says(id: &str, stated: Utc, says: Says) -> NewEntry {
    let by = By::Scan { person: PersonId::parse("nurse-7").unwrap() };
    NewEntry { id: EntryId::parse(id).unwrap(), stated, by, says }
}

pub(super) fn patient_in(stored: &Stored) -> Option<&str> {
    stored.data["patient"]["id"].as_str()
}

fn went_to(stored: &Stored) -> Vec<&str> {
    stored.routes.keys().map(String::as_str).collect()
}

/// The set of 10:00, confirmed.
fn confirmed(stored: &Stored) -> Act {
    let mut metrics = stored.data["metrics"].clone();
    for metric in metrics.as_array_mut().unwrap() {
        metric["status"] = json!("final");
    }
    Act {
        kind: ActKind::Confirmation,
        subject: "bed-1".to_owned(),
        time_us: on(o_clock(10, 0)).us(),
        data: [
            ("metrics".to_owned(), metrics),
            ("patient".to_owned(), stored.data["patient"].clone()),
            ("times".to_owned(), stored.data["times"].clone()),
        ]
        .into_iter()
        .collect(),
        client_id: "c-1".to_owned(),
    }
}

#[tokio::test]
async fn a_device_moved_at_five_to_ten_and_found_out_at_twenty_to_eleven() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = Ward::open(folder.path()).await;
    clock_shows(o_clock(9, 0));
    ward.learns(vec![scan("a-1", "machine-bed-1", "A", on(o_clock(9, 0)))]).await;
    for minute in (o_clock(9, 0)..o_clock(10, 40)).step_by(5) {
        clock_shows(minute);
        ward.hears("bed-1").await;
    }
    let values = ward.of_kind(EventKind::Observation);
    assert_eq!(values.len(), 20);
    for value in &values {
        assert_eq!(patient_in(value), Some("A"));
        assert_eq!(value.data["association"]["grade"], "scan");
        assert_eq!(value.data["association"]["entries"], json!(["a-1"]));
        assert_eq!(value.data["association"]["verified"], false, "no census has A");
        assert!(value.data.get("patient_absent").is_none());
        assert_eq!(went_to(value), ["archive", "chart"]);
    }
    // 10:00 is the thirteenth.
    ward.desk.act(confirmed(&values[12])).await.unwrap();

    // An A01 and its A11 by mistake: not one value is withdrawn.
    clock_shows(o_clock(10, 35));
    let (patient_a, encounter) = (patient("A"), Some(EncounterId::parse("E-1").unwrap()));
    let movement = Says::Movement {
        patient: patient_a.clone(),
        encounter: encounter.clone(),
        movement: Movement::Admission,
        presence: Presence::Present { place: None },
        from: on(o_clock(8, 0)),
    };
    let cancelled = Says::Cancelled {
        patient: patient_a,
        encounter,
        movement: Movement::Admission,
        at: on(o_clock(10, 35)),
    };
    let adt = |id: &str, says| {
        let (id, stated) = (EntryId::parse(id).unwrap(), on(o_clock(10, 35)));
        NewEntry { id, stated, by: By::Adt, says }
    };
    ward.learns(vec![adt("adt-1", movement), adt("adt-2", cancelled)]).await;
    assert_eq!(ward.of_kind(EventKind::Void), []);
    assert_eq!(ward.of_kind(EventKind::Correction), []);

    clock_shows(o_clock(10, 40));
    let since = on(o_clock(9, 55));
    let ended = Says::Ended { association: EntryId::parse("a-1").unwrap(), at: since };
    let (stated, moved) = (on(o_clock(10, 40)), scan("b-1", "machine-bed-1", "B", since));
    let entries = vec![says("a-end", stated, ended), NewEntry { stated, ..moved }];
    ward.learns(entries).await;

    let voids = ward.of_kind(EventKind::Void);
    // 09:55 to 10:35 without 10:00, which a person stands behind.
    assert_eq!(voids.len(), 8);
    for void in &voids {
        assert_eq!(patient_in(void), Some("A"), "the patient stays");
        assert_eq!(void.data["reason"], "another-patient");
        assert_eq!(went_to(void), ["archive", "chart"]);
        let metrics = void.data["metrics"].as_array().unwrap();
        assert!(metrics.iter().all(|metric| metric["status"] == "withdrawn"));
        let first = values.iter().find(|value| value.time == void.time).unwrap();
        let id = |stored: &Stored| stored.data["metrics"][0]["observation_id"].clone();
        assert_eq!(id(void), id(first), "the same measurement");
        assert!(first.time.as_str() >= "2026-11-29T09:55" && !first.time.contains("T10:00"));
    }
    let corrections = ward.of_kind(EventKind::Correction);
    let (disputed, filed): (Vec<&Stored>, Vec<&Stored>) =
        corrections.iter().partition(|one| one.data.contains_key("disputed"));
    assert_eq!((disputed.len(), filed.len()), (1, 9));
    let dispute = &disputed[0].data["disputed"];
    assert_eq!(dispute["observation_ids"][0], values[12].data["metrics"][0]["observation_id"]);
    assert_eq!(dispute["patient"]["id"], "B");
    assert_eq!(went_to(disputed[0]), ["archive", "chart", "signed"]);
    for one in filed {
        assert_eq!(patient_in(one), Some("B"));
        assert_eq!(one.data["association"]["entries"], json!(["b-1"]));
        assert!(one.data["association"]["ledger"].as_u64().is_some());
        assert_eq!(went_to(one), ["archive", "chart"]);
        let first = values.iter().find(|value| value.time == one.time).unwrap();
        let (was, now) = (&first.data["metrics"][0], &one.data["metrics"][0]);
        assert_eq!(now["was"], was["observation_id"]);
        assert_ne!(now["observation_id"], was["observation_id"]);
        assert_eq!(now["value"], was["value"], "the text that the device sent");
        assert_ne!(now["status"], "final", "preliminary");
    }
    // The next value is B's from the beginning, and a second look changes nothing.
    ward.hears("bed-1").await;
    let last = ward.of_kind(EventKind::Observation).pop().unwrap();
    assert_eq!(patient_in(&last), Some("B"));
    let count = ward.records().len();
    let seen = Says::Seen { association: EntryId::parse("b-1").unwrap(), at: stated };
    ward.learns(vec![says("b-seen", stated, seen)]).await;
    assert_eq!(ward.records().len(), count);
    ward.stop().await;
}

#[tokio::test]
async fn two_oximeters_without_a_name_are_swapped_at_three_in_the_morning() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = Ward::open(folder.path()).await;
    clock_shows(o_clock(1, 0));
    let begun = on(o_clock(1, 0));
    let both = [("a-1", "machine-bed-1", "A"), ("b-1", "machine-bed-2", "B")];
    ward.learns(both.map(|(id, machine, who)| scan(id, machine, who, begun)).to_vec()).await;
    let device = |name: &str| {
        Arc::new(DeviceIdentity {
            name: named(name),
            stamp: ProfileStamp::of(&ward.profile),
            profile_status: Status::Released,
            status: Arc::new(DeviceStatus::default()),
        })
    };
    clock_shows(o_clock(3, 0));
    for name in ["bed-1", "bed-2"] {
        // A loose contact: only the first one is news.
        for _ in 0..3 {
            let (device, now) = (device(name), clock::now());
            ward.requests.send(Request::Unplugged { device, now }).unwrap();
        }
    }
    clock_shows(o_clock(3, 5));
    for name in ["bed-1", "bed-2"] {
        ward.hears(name).await;
    }
    let values = ward.of_kind(EventKind::Observation);
    assert_eq!(values.len(), 2);
    for value in &values {
        assert_eq!(value.data["patient"], Json::Null);
        assert_eq!(value.data["patient_absent"], "port-unproven");
        assert_eq!(went_to(value), ["archive"], "nothing is filed");
    }
    let unplugged = ward
        .desk
        .now()
        .entries()
        .filter(|entry| matches!(entry.says, Says::Unplugged { .. }))
        .count();
    assert_eq!(unplugged, 2);

    clock_shows(o_clock(3, 10));
    let from = on(o_clock(3, 10));
    let plugged = |id: &str, port: &str, machine: &str| {
        let device = DeviceId::parse(machine).unwrap();
        says(id, from, Says::Plugged { port: line(port), device, from })
    };
    let scans =
        vec![plugged("p-1", "bed-1", "machine-bed-2"), plugged("p-2", "bed-2", "machine-bed-1")];
    ward.learns(scans).await;
    clock_shows(o_clock(3, 15));
    for name in ["bed-1", "bed-2"] {
        ward.hears(name).await;
    }
    let values = ward.of_kind(EventKind::Observation);
    let who: Vec<Option<&str>> = values.iter().map(patient_in).collect();
    assert_eq!(who, [None, None, Some("B"), Some("A")], "the machine keeps its patient");
    assert_eq!(ward.of_kind(EventKind::Void).len() + ward.of_kind(EventKind::Correction).len(), 0);
    ward.stop().await;
}

#[tokio::test]
async fn a_late_scan_files_what_was_nobodys_with_the_same_observation_ids() {
    let folder = tempfile::tempdir().unwrap();
    let mut ward = Ward::open(folder.path()).await;
    clock_shows(o_clock(9, 0));
    ward.hears("bed-1").await;
    let first = ward.of_kind(EventKind::Observation).remove(0);
    assert_eq!(first.data["patient_absent"], "not-associated", "as where nobody says anything");
    let association = json!({ "grade": "configuration", "ledger": null, "place": null });
    assert_eq!(first.data["association"], association);
    assert_eq!(went_to(&first), ["archive"]);
    clock_shows(o_clock(9, 30));
    let (stated, late) =
        (on(o_clock(9, 30)), scan("a-1", "machine-bed-1", "A", on(o_clock(8, 55))));
    ward.learns(vec![NewEntry { stated, ..late }]).await;
    assert_eq!(ward.of_kind(EventKind::Void), []);
    let filed = ward.of_kind(EventKind::Correction).remove(0);
    assert_eq!(patient_in(&filed), Some("A"));
    assert_eq!(went_to(&filed), ["archive", "chart"]);
    assert_eq!(filed.data["metrics"], first.data["metrics"], "nothing else has changed");
    ward.stop().await;
}

/// A phone that was offline, a box that stops in between: the next start looks again.
#[tokio::test]
async fn what_a_stop_cut_short_is_examined_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let ward = Ward::open(folder.path()).await;
    clock_shows(o_clock(9, 0));
    ward.hears("bed-1").await;
    let (stated, late) = (on(o_clock(9, 1)), scan("a-1", "machine-bed-1", "A", on(o_clock(8, 55))));
    ward.desk.add(vec![NewEntry { stated, ..late }]).await.unwrap();
    ward.stop().await;
    let memory = rebuilt(folder.path());
    let left: Vec<&str> = memory.unexamined.values().map(EntryId::as_str).collect();
    assert!(left.contains(&"a-1"), "{left:?}");
}
