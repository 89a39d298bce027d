//! Opens the journal of waveforms, starts its destinations and its keeper, and does so again when
//! the disk takes writes again. It never keeps the house from starting, and never ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::SYNC_EVERY;
use super::inlet::{INLET_BYTES_MAX, Inlet};
use super::keeper::Keeper;
use super::quota::{Quota, Shed};
use super::shown::Shown;
use crate::association::Site;
use crate::forward::pump;
use crate::gateway::committer::{Begin, Committer, DeviceIdentity, Request};
use crate::gateway::configuration::Configuration;
use crate::gateway::destinations::{self, Ground};
use crate::gateway::door;
use crate::gateway::gaps::GapCause;
use crate::gateway::ledger::LedgerDesk;
use crate::gateway::memory::Memory;
use crate::gateway::room::Room;
use crate::gateway::routing::Samplers;
use crate::gateway::world::World;
use crate::journal::{self, Options, Reader, beside};
use crate::link::clock;
use crate::vocabulary::Sequence;

/// How long to wait before a journal is tried again that could not be opened.
const OPEN_AGAIN_AFTER: Duration = Duration::from_millis(2_500);

/// How long keeper and destinations may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The waveforms' part of a house; nothing at all where no destination takes them.
#[derive(Default)]
pub struct WaveformHouse(Option<Running>);

struct Running {
    inlet: Arc<Inlet>,
    shown: Arc<Shown>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl WaveformHouse {
    /// Starts it on the delivery's runtime. `house`: the journal that goes first when the disk is
    /// short, and the desk of the house's ledger. `before`: why samples could not be had until now.
    pub(in crate::gateway) fn start(
        configuration: &Configuration,
        world: &World,
        identities: &[Arc<DeviceIdentity>],
        (house, desk): (Option<(Arc<Room>, Reader)>, &LedgerDesk),
        before: GapCause,
    ) -> Self {
        if configuration.waveforms.is_empty() {
            return Self(None);
        }
        let segment_bytes = configuration.gateway.segment_bytes.unwrap_or(journal::SEGMENT_BYTES);
        let shown = Shown::new(segment_bytes, configuration.gateway.waveforms.bytes);
        let shown = Arc::new(shown);
        let inlet = Arc::new(Inlet::new(INLET_BYTES_MAX, Arc::clone(&shown.counts)));
        let (stop, stopping) = watch::channel(false);
        let ward = Ward {
            configuration: configuration.clone(),
            world: world.clone(),
            identities: identities.to_vec(),
            house,
            desk: desk.clone(),
            inlet: Arc::clone(&inlet),
            shown: Arc::clone(&shown),
            segment_bytes,
        };
        let task = world.delivery.spawn(ward.run(before, stopping));
        Self(Some(Running { inlet, shown, stop, task }))
    }

    /// Starts it without the rest of a house, on the data folder of the configuration.
    pub fn start_alone(
        configuration: &Configuration,
        identities: &[Arc<DeviceIdentity>],
        delivery: Handle,
    ) -> Self {
        let world = World::of(&configuration.gateway, delivery);
        let alone = (None, &LedgerDesk::default());
        Self::start(configuration, &world, identities, alone, GapCause::BoxRestarted)
    }

    /// Where devices leave samples, if anybody takes them.
    pub fn inlet(&self) -> Option<Arc<Inlet>> {
        self.0.as_ref().map(|running| Arc::clone(&running.inlet))
    }

    /// What the status shows of it.
    pub fn shown(&self) -> Option<Arc<Shown>> {
        self.0.as_ref().map(|running| Arc::clone(&running.shown))
    }

    /// Keeps what the inlet holds, and ends.
    pub async fn stop(self) {
        let Some(Running { stop, task, .. }) = self.0 else { return };
        stop.send_replace(true);
        if tokio::time::timeout(STOP_WITHIN * 3, task).await.is_err() {
            tracing::error!("the waveforms did not stop in time");
        }
    }
}

/// What outlives an opening of the journal.
struct Ward {
    configuration: Configuration,
    world: World,
    identities: Vec<Arc<DeviceIdentity>>,
    house: Option<(Arc<Room>, Reader)>,
    /// Where the house's ledger is read: whose the samples are.
    desk: LedgerDesk,
    inlet: Arc<Inlet>,
    shown: Arc<Shown>,
    segment_bytes: u64,
}

impl Ward {
    async fn run(self, mut before: GapCause, mut stop: watch::Receiver<bool>) {
        let mut told = String::new();
        while !*stop.borrow() {
            let mut opened = match self.open(before).await {
                Ok(opened) => opened,
                Err(trouble) => {
                    if trouble != told {
                        tracing::error!(trouble, "waveforms are not kept");
                    }
                    self.shown.set_trouble(trouble.clone());
                    told = trouble;
                    let _ = tokio::time::timeout(OPEN_AGAIN_AFTER, stop.changed()).await;
                    continue;
                }
            };
            told.clear();
            let disk = &self.world.disk;
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => {}
                () = door::opens_again(&opened.room, disk, self.segment_bytes) => {
                    before = GapCause::StorageFailed;
                }
                _ = &mut opened.keeper => {
                    tracing::error!("the keeper of waveforms has failed");
                    before = GapCause::StorageFailed;
                }
            }
            self.inlet.close();
            let has_failed = opened.keeper.is_finished();
            opened.stop().await;
            if has_failed {
                let _ = tokio::time::timeout(OPEN_AGAIN_AFTER, stop.changed()).await;
            }
        }
    }

    async fn open(&self, before: GapCause) -> Result<Opened, String> {
        let (durable, seen) = watch::channel(0u64);
        let room = Arc::new(Room::default());
        let options = self.options(durable, &room)?;
        let disk = Arc::clone(&self.world.disk);
        let opening = beside(move || disk.open_waveforms(options)).await;
        let opened = opening.ok_or("the opening of the journal failed")?.map_err(words)?;
        let mut reading = opened.reader.clone();
        let segment_bytes = self.segment_bytes;
        let memory = beside(move || Memory::rebuild(&mut reading, segment_bytes)).await;
        let memory = memory.ok_or("the reading of the journal failed")?.map_err(words)?;

        let (requests, received) = mpsc::unbounded_channel();
        let (stop_destinations, stopping) = watch::channel(false);
        let ground = Ground {
            world: &self.world,
            configuration: &self.configuration,
            reader: &opened.reader,
            durable: &seen,
            requests: &requests,
            stop: &stopping,
            inbox: None,
        };
        let forwarding = destinations::start(&ground, &self.configuration.waveforms)
            .map_err(|(name, what)| format!("destination {name}: {what}"))?;
        let mut committer = self.committer(opened.appender, &opened.reader, memory, &room);
        let now = clock::now();
        committer.checkpoint(Begin::Wherever, now.utc_us()).await;
        let digest = self.configuration.digest;
        committer.started_after(&self.identities, digest, before, now).await;
        let recovery = opened.recovery;
        if !recovery.damaged.is_empty() || recovery.set_aside.is_some() {
            tracing::warn!(damaged = ?recovery.damaged, "the journal of waveforms was damaged");
            committer.damaged(&self.identities, now).await;
        }
        let came = self.inlet.open();
        self.shown.show(opened.reader.clone(), forwarding.counters);
        let keeper = Keeper {
            committer,
            reader: opened.reader,
            quota: self.quota(),
            shed: Shed::default(),
            shown: Arc::clone(&self.shown),
            durable: seen,
        };
        let keeper = tokio::spawn(keeper.run(came, received));
        let destinations = forwarding.tasks;
        Ok(Opened { requests, stop_destinations, destinations, keeper, room })
    }

    fn options(&self, durable: watch::Sender<u64>, room: &Arc<Room>) -> Result<Options, String> {
        let tables = self.configuration.waveforms.iter();
        let names: Vec<&str> = tables.map(|one| one.name.as_str()).collect();
        let cursors = self.world.disk.cursors().map_err(words)?;
        let wake = Arc::clone(room);
        Ok(Options {
            segment_bytes: self.segment_bytes,
            highest_known: pump::highest_sent(&*cursors, &names).map_err(words)?,
            keys: self.configuration.gateway.journal_keys().map_err(words)?,
            on_durable: Arc::new(move |sequence: Option<Sequence>| {
                durable.send_replace(sequence.map_or(0, Sequence::number));
                wake.freed.notify_one();
            }),
            pace: Some(SYNC_EVERY),
            ..Options::default()
        })
    }

    fn committer(
        &self,
        appender: journal::Appender,
        reader: &Reader,
        memory: Memory,
        room: &Arc<Room>,
    ) -> Committer {
        let places = self.configuration.devices.iter();
        let places = places.map(|one| (one.name.clone(), one.place.clone())).collect();
        Committer {
            name: self.configuration.gateway.name.clone(),
            clock_offset_us: None,
            appender,
            stream: reader.stream(),
            memory: memory.at_site(Site::default(), places),
            ledger: self.configuration.ledger_keeper(self.desk.clone()),
            destinations: self.configuration.waveforms.clone(),
            samplers: Samplers::default(),
            room: Arc::clone(room),
            trends: std::collections::BTreeMap::new(),
        }
    }

    fn quota(&self) -> Quota {
        Quota {
            bytes: self.configuration.gateway.waveforms.bytes,
            segment_bytes: self.segment_bytes,
            disk: Arc::clone(&self.world.disk),
            house: self.house.clone(),
            enough: None,
        }
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// An open journal of waveforms.
struct Opened {
    requests: mpsc::UnboundedSender<Request>,
    stop_destinations: watch::Sender<bool>,
    destinations: Vec<JoinHandle<()>>,
    keeper: JoinHandle<()>,
    room: Arc<Room>,
}

impl Opened {
    async fn stop(self) {
        let (done, stopped) = oneshot::channel();
        let _ = self.requests.send(Request::Stop { now: clock::now(), done });
        if tokio::time::timeout(STOP_WITHIN, stopped).await.is_err() {
            let shut = self.room.shut.load(Ordering::Relaxed);
            tracing::error!(shut, "the keeper of waveforms did not stop in time");
        }
        self.stop_destinations.send_replace(true);
        let deadline = Instant::now() + STOP_WITHIN;
        for destination in self.destinations {
            if tokio::time::timeout_at(deadline, destination).await.is_err() {
                tracing::error!("a destination of waveforms did not stop in time");
            }
        }
    }
}
