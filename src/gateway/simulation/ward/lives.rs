//! The lives of the house in which the story happens.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::time::Instant;

use super::super::disk::SimulatedDisk;
use super::super::life::{backlog, pause, runtime};
use super::super::ports::Sockets;
use super::site::{ARCHIVE, CHART, configured, spoken};
use super::story::{
    Away, Clock, LINES, OPENED_US, Step, Story, Value, line, named, patient, patient_number,
};
use crate::association::{Around, Asked, Ledger, Origin, Utc};
use crate::check::clock::{Corrected, Liveness, Rule, Times};
use crate::forward::simulated::core::{Core, Manners};
use crate::forward::simulated::{self as network, Cores};
use crate::forward::stored::{EventKind, Stored};
use crate::gateway::committer::{DeviceIdentity, Request, Submission};
use crate::gateway::configuration::Configuration;
use crate::gateway::ledger::{Act, ActKind, LedgerDesk, NotAdded};
use crate::gateway::record::{FirmwareProof, ProfileStamp};
use crate::gateway::run::Lasting;
use crate::gateway::status::DeviceStatus;
use crate::gateway::world::World;
use crate::journal::Kind;
use crate::link::clock;
use crate::link::simulated::{self as clocks, Clocks};
use crate::profile::Status;
use crate::protocol::{Message, Settled};
use crate::vocabulary::chance::Chance;
use crate::vocabulary::moment::utc_text;
use crate::vocabulary::{Certainty, RecordId, Sequence};

/// The disk waits so long at most.
const DISK_MS_MAX: u64 = 4;
/// What is going on is over when nothing has become durable for so many seconds.
const QUIET_S: u32 = 3;
/// Nothing takes longer, or life does not go on.
const SETTLED_WITHIN_S: u32 = 600;

/// What came of a story.
pub(super) struct Told {
    /// The words that the house took.
    pub taken: BTreeSet<usize>,
    /// The words that were taken, and never again, before each value came.
    pub known_before: Vec<Option<BTreeSet<usize>>>,
    /// Values of which the house said that they are kept.
    pub kept: BTreeSet<usize>,
    /// What each core has, in the order of sequence.
    pub chart: Vec<Arc<[u8]>>,
    pub archive: Vec<Arc<[u8]>>,
    /// The last record that is gone with the oldest of the journal; 0 for none.
    pub gone_through: u64,
    pub ledger: Ledger,
    pub disk: Arc<SimulatedDisk>,
    pub configuration: Configuration,
    pub starts: u32,
}

/// Makes a history happen. `sent`: what the devices send is this of what the story has.
pub(super) fn happen(story: &Story, chance: &mut Chance, sent: fn(Value) -> Value) -> Told {
    network::seed(chance.branch());
    crate::journal::simulated::switch_on(chance.branch(), DISK_MS_MAX);
    let cores = Cores::default();
    for name in [CHART, ARCHIVE] {
        let manners = Manners { wait_ms_max: 5, commit_ms_max: 5, ..Manners::default() };
        cores.add(name, Core::new(name, chance.branch(), manners));
    }
    let disk = Arc::new(SimulatedDisk::default());
    let synced = cores.lock().values().map(|core| Arc::clone(&core.synced)).collect();
    disk.journal.tell_synced(synced);
    let mut ward = Ward {
        story,
        sent,
        chance: chance.branch(),
        cores: cores.clone(),
        configuration: configured(story.is_loose),
        next: 0,
        boot_us: 30_000_000,
        now_us: OPENED_US,
        gone: None,
        told: Told {
            taken: BTreeSet::new(),
            known_before: vec![None; story.values.len()],
            kept: BTreeSet::new(),
            chart: Vec::new(),
            archive: Vec::new(),
            gone_through: 0,
            ledger: Ledger::default(),
            disk,
            configuration: configured(story.is_loose),
            starts: 0,
        },
    };
    while !ward.live() {}
    let Ward { mut told, .. } = ward;
    let stored = |name: &str| -> Vec<Arc<[u8]>> {
        cores.with(name, |core| {
            core.store.values().map(|record| Arc::clone(&record.payload)).collect()
        })
    };
    (told.chart, told.archive) = (stored(CHART), stored(ARCHIVE));
    told
}

struct Ward<'a> {
    story: &'a Story,
    sent: fn(Value) -> Value,
    chance: Chance,
    cores: Cores,
    configuration: Configuration,
    /// The step that comes next.
    next: usize,
    boot_us: u64,
    now_us: i64,
    /// How the house is gone, once it is.
    gone: Option<Away>,
    told: Told,
}

impl Ward<'_> {
    /// One life of the house; true if it was the last one.
    fn live(&mut self) -> bool {
        let runtime = runtime();
        let disk = Arc::clone(&self.told.disk);
        self.gone = None;
        self.told.starts += 1;
        runtime.block_on(self.one_life());
        match self.gone {
            Some(Away::Kill { .. }) => {
                disk.stop();
                drop(runtime);
            }
            Some(Away::PowerCut { .. }) => {
                disk.stop();
                drop(runtime);
                disk.cut_power(&mut self.chance);
                self.boot_us = 1_000_000;
            }
            Some(Away::Stop | Away::Shorter) | None => drop(runtime),
        }
        disk.go_on();
        if self.gone == Some(Away::Shorter) {
            self.shorten();
        }
        self.gone.is_none()
    }

    async fn one_life(&mut self) {
        let world = World {
            delivery: tokio::runtime::Handle::current(),
            has_background: false,
            disk: Arc::new(Arc::clone(&self.told.disk)),
            ports: Arc::new(Sockets::default()),
            cores: Some(self.cores.clone()),
            bedside: None,
        };
        self.clock_shows(self.now_us);
        let house = Lasting::of(self.configuration.clone(), world).without_status();
        let desk = house.desk();
        let dead = Arc::new(Notify::new());
        let died = Arc::clone(&dead);
        // The house asks once in its life when it shall end.
        let ward = Mutex::new(Some(self));
        let mut house = pin!(house.run(async |requests| {
            let ward = ward.lock().unwrap().take().expect("asked once");
            ward.goes_on(requests, &desk).await;
            if matches!(ward.gone, Some(Away::Kill { .. } | Away::PowerCut { .. })) {
                dead.notify_one();
                std::future::pending::<()>().await;
            }
        }));
        tokio::select! {
            biased;
            () = died.notified() => {}
            ended = &mut house => ended.expect("the house ends as it was told"),
        }
    }

    /// The box's clock, as somebody who vouches for it has it.
    fn clock_shows(&mut self, us: i64) {
        let us = us.max(self.now_us);
        self.boot_us += u64::try_from(us - self.now_us).unwrap();
        self.now_us = us;
        clocks::set(Clocks {
            at: Instant::now(),
            boot_us: self.boot_us,
            offset_us: us - i64::try_from(self.boot_us).unwrap(),
            certainty: Certainty::Synchronised,
        });
    }

    /// Step after step, until the house is to go.
    async fn goes_on(&mut self, requests: &mpsc::UnboundedSender<Request>, desk: &LedgerDesk) {
        while let Some((at, step)) = self.story.steps.get(self.next).cloned() {
            self.next += 1;
            self.clock_shows(at);
            let away = match step {
                Step::Away(Away::Shorter) => {
                    self.settled().await;
                    Some(Away::Shorter)
                }
                Step::Away(away) => Some(away),
                _ => None,
            };
            let limit_ms = match away {
                None => None,
                Some(Away::Stop | Away::Shorter) => {
                    self.gone = away;
                    return;
                }
                Some(Away::Kill { after_ms } | Away::PowerCut { after_ms }) => Some(after_ms),
            };
            let Some(after_ms) = limit_ms else {
                self.with_what_comes_at_once(&step, (requests, desk)).await;
                if self.chance.once_in(2) {
                    // The next thing happens while the house is still busy with this one.
                    pause(self.chance.below(12)).await;
                } else {
                    self.settled().await;
                }
                continue;
            };
            let began = Instant::now();
            let whole = Duration::from_millis(after_ms);
            let (at, under_way) = self.story.steps[self.next].clone();
            if !matches!(under_way, Step::Away(_)) {
                self.clock_shows(at);
                let done = self.happens(&under_way, (requests, desk));
                let done = tokio::time::timeout(whole, done).await.is_ok();
                // A value of which nobody says that it is kept does not come again; words do.
                if done || matches!(under_way, Step::Value(_)) {
                    self.next += 1;
                }
            }
            tokio::time::sleep_until(began + whole).await;
            self.gone = away;
            return;
        }
        self.settled().await;
        self.told.ledger = Ledger::clone(&desk.now());
    }

    /// A step; and if a person signs at this very moment, by what is known before it.
    async fn with_what_comes_at_once(
        &mut self,
        step: &Step,
        (requests, desk): (&mpsc::UnboundedSender<Request>, &LedgerDesk),
    ) {
        let next = self.story.steps.get(self.next).map(|(_, step)| step.clone());
        let Some(Step::ConfirmAtOnce(number)) = next else {
            return self.happens(step, (requests, desk)).await;
        };
        self.next += 1;
        let act = self.confirmation(number, &desk.now());
        let signed = async {
            if let Some(act) = act {
                desk.act(act).await.expect("the act is kept");
            }
        };
        tokio::join!(biased; self.happens(step, (requests, desk)), signed);
    }

    async fn happens(
        &mut self,
        step: &Step,
        (requests, desk): (&mpsc::UnboundedSender<Request>, &LedgerDesk),
    ) {
        match step {
            Step::Value(number) => self.value_comes(*number, requests).await,
            Step::Say(words) => {
                let entries = words.iter().map(|word| self.story.words[*word].entry()).collect();
                match desk.add(entries).await {
                    Ok(_) => self.told.taken.extend(words),
                    Err(NotAdded::Refused { .. }) => {}
                    Err(why) => panic!("words are not taken: {why}"),
                }
            }
            Step::Confirm(number) | Step::ConfirmAtOnce(number) => {
                if let Some(act) = self.confirmation(*number, &desk.now()) {
                    desk.act(act).await.expect("the act is kept");
                }
            }
            Step::Away(_) => panic!("two ends in a row"),
        }
    }

    async fn value_comes(&mut self, number: usize, requests: &mpsc::UnboundedSender<Request>) {
        let value = (self.sent)(self.story.values[number]);
        self.clock_shows(value.received);
        self.told.known_before[number] = Some(self.told.taken.clone());
        comes(&value, requests).await;
        self.told.kept.insert(number);
    }

    /// What a person signs: the newest statement of a value that names a patient, if it is that
    /// patient's by the ledger, as the bedside looks.
    fn confirmation(&self, number: usize, ledger: &Ledger) -> Option<Act> {
        let value = &self.story.values[number];
        let (earliest, latest) = value.around()?;
        let at = Around { earliest: Utc::from_us(earliest), latest: Utc::from_us(latest) };
        let origin = Origin::Line(line(value.line));
        let asked = Asked { origin, channel: None, measurement: None, at };
        let whose = ledger.attribute(&asked, Utc::MAX).ok()?.patient;
        let time = utc_text(value.chart);
        let mut reader = self.told.disk.reader()?;
        let first = reader.first();
        let read = reader.read_from(first, 100_000, 64 << 20).expect("it can be read");
        let mut newest: Option<Stored> = None;
        for record in read.records.iter().filter(|one| one.kind == Kind::Observation) {
            let Some(stored) = Stored::from_bytes(&record.payload) else { continue };
            if stored.time != time || stored.data.contains_key("disputed") {
                continue;
            }
            match stored.kind {
                EventKind::Observation | EventKind::Correction => newest = Some(stored),
                EventKind::Void => newest = None,
                _ => return None,
            }
        }
        let stored = newest?;
        let named = patient_number(stored.data.get("patient")?.get("id")?.as_str()?);
        if ledger.survivor(&patient(named)) != whose {
            return None;
        }
        let mut metrics = stored.data["metrics"].clone();
        for metric in metrics.as_array_mut()? {
            metric["status"] = serde_json::json!("final");
        }
        let data = [
            ("metrics".to_owned(), metrics),
            ("patient".to_owned(), stored.data["patient"].clone()),
            ("times".to_owned(), stored.data["times"].clone()),
        ];
        Some(Act {
            kind: ActKind::Confirmation,
            subject: "box-1".to_owned(),
            time_us: self.story.values[number].chart,
            data: data.into_iter().collect(),
            client_id: format!("confirmed-{number}"),
        })
    }

    /// Until nothing more becomes durable, and both cores have all.
    async fn settled(&self) {
        let names = [CHART.to_owned(), ARCHIVE.to_owned()];
        let (mut quiet_s, mut before) = (0, None);
        for _ in 0..SETTLED_WITHIN_S {
            pause(1_000).await;
            let durable = self.told.disk.durable();
            let all_is_there = backlog(&self.told.disk, &names) == Some(0);
            quiet_s = if durable == before && all_is_there { quiet_s + 1 } else { 0 };
            before = durable;
            if quiet_s == QUIET_S {
                return;
            }
        }
        panic!("life does not go on");
    }

    /// The oldest of the journal goes, as behind the retention: up to the newest segment but one.
    fn shorten(&mut self) {
        let names = segments(&self.told.disk);
        let keep = 2 + self.chance.below(2) as usize;
        for name in names.iter().rev().skip(keep) {
            self.told.disk.journal.remove(name);
        }
        let left = super::checks::reopened(&self.told.disk, 0, &self.told.configuration);
        self.told.gone_through = left.first.number() - 1;
    }
}

/// A value comes now; the house says that it is kept.
pub(super) async fn comes(value: &Value, requests: &mpsc::UnboundedSender<Request>) {
    let spoken = spoken();
    let received = clock::now();
    let identity = DeviceIdentity {
        name: named(LINES[value.line]),
        stamp: ProfileStamp::of(&spoken.profile),
        profile_status: Status::Released,
        status: Arc::new(DeviceStatus::default()),
    };
    let share = Arc::new(Semaphore::new(1));
    let (fate, mut fates) = mpsc::unbounded_channel();
    let submission = Submission {
        device: Arc::new(identity),
        observations: vec![(spoken.observation.clone(), times(value, received))],
        refusals: Vec::new(),
        firmware: None,
        proof: FirmwareProof::Proven,
        clock_ahead_ms: None,
        fate,
        permit: share.try_acquire_owned().unwrap(),
        message: Message { received, ..spoken.message.clone() },
    };
    requests.send(Request::Message(Box::new(submission))).expect("the house takes it");
    let (_, how) = fates.recv().await.expect("a fate");
    assert_eq!(how, Settled::Durable);
}

/// The segments of the journal, oldest first.
pub(super) fn segments(disk: &SimulatedDisk) -> Vec<String> {
    disk.journal.names().into_iter().filter(|name| name.ends_with(".segment")).collect()
}

fn times(value: &Value, received: crate::vocabulary::Moment) -> Times {
    let (corrected, rule, chart_utc_us) = match value.clock {
        Clock::None => (None, Rule::Received, received.utc_us()),
        Clock::Known { give_or_take_ms: uncertainty_ms } => {
            let corrected = Corrected { utc_us: value.chart, offset_ms: 0, uncertainty_ms };
            (Some(corrected), Rule::Corrected, value.chart)
        }
        Clock::Unproven => (None, Rule::DeviceUnproven, value.chart),
    };
    Times { received, corrected, chart_utc_us, rule, liveness: Liveness::Live }
}

/// The record that an id names, by its sequence.
pub(super) fn sequence(id: &str) -> u64 {
    RecordId::parse(id).map(|id| id.sequence()).map_or(0, Sequence::number)
}
