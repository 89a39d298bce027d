//! Starting and stopping the house, in order.
//!
//! Start: journal, memory, gaps of the time before, destinations, devices, status, ready.
//! Stop: links, committer, settlements, waveforms, destinations, cursors, index. No task is
//! aborted.

mod devices;
mod error;
pub(super) mod feeds;
mod found;
mod opening;
mod rooms;
mod signals;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub(super) use self::devices::identities;
use self::devices::start_devices;
pub use self::error::RunError;
use self::feeds::{Feeds, FeedsShown};
use self::found::report;
use self::opening::{ledger, open_journal, read_back, segment_bytes};
use self::signals::Signals;
use super::background::Background;
use super::bedside::BedsideTasks;
use super::committer::{Committer, DeviceIdentity, Request};
use super::configuration::Configuration;
use super::destinations;
use super::door;
use super::freeing::Freeing;
use super::gaps::GapCause;
use super::ledger::LedgerDesk;
use super::manifests;
use super::room::Room;
use super::snapshot::{self, HouseShown, Shown};
use super::status;
use super::waveforms::WaveformHouse;
use super::world::{World, stop_for_one};
use crate::forward::{Inbound, Inbox};
use crate::journal::{self, Reader};
use crate::link::clock;
use crate::operate;
use crate::vocabulary::{Moment, Sequence};

/// How long the devices' tasks may take to stop; then the house stops without them.
const STOP_DEVICES: Duration = Duration::from_secs(8);

/// How long the destinations may take to stop after the journal is closed.
const STOP_DESTINATIONS: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT; `delivery` is where the destinations' tasks run. When the journal
/// has shut its door and the disk takes writes again, the house is opened anew; a disk that takes
/// none at the start gives a house that delivers and acknowledges nothing.
///
/// # Errors
/// What keeps the house from starting, or why it ended without being asked.
pub async fn run(configuration: Configuration, delivery: Handle) -> Result<(), RunError> {
    let mut signals = Signals::take()?;
    let world = World::of(&configuration.gateway, delivery);
    let lasting = Lasting::of(configuration, world);
    lasting.run(async |requests| signals.wait(requests).await).await
}

/// Why a house ends.
enum Ended {
    /// SIGTERM or SIGINT.
    Asked,
    /// The journal's door was shut, and a new journal can be opened.
    TakesWritesAgain,
    /// The committer has failed.
    Failed,
}

/// What outlives a house that is opened anew.
pub(super) struct Lasting {
    configuration: Configuration,
    world: World,
    identities: Vec<Arc<DeviceIdentity>>,
    since: Moment,
    shown: Arc<Shown>,
    status: Option<JoinHandle<()>>,
    /// Where the bedside hands in what it knows; the same one for every house.
    ledger: LedgerDesk,
    feeds: Arc<FeedsShown>,
    /// Where destinations of the house that is open hand in what a core charted.
    inbox: Option<Inbox>,
    /// What they handed in, until the bedside of that house hears it.
    charted: Mutex<Option<mpsc::Receiver<Inbound>>>,
}

impl Lasting {
    pub fn of(configuration: Configuration, world: World) -> Self {
        let identities = identities(&configuration);
        let (since, shown) = (clock::now(), Arc::default());
        let (status, ledger) = (None, LedgerDesk::default());
        let (feeds, inbox, charted) = (Arc::default(), None, Mutex::default());
        Self {
            configuration,
            world,
            identities,
            since,
            shown,
            status,
            ledger,
            feeds,
            inbox,
            charted,
        }
    }

    /// A house that nobody asks how it is.
    #[cfg(test)]
    pub fn without_status(self) -> Self {
        Self { status: Some(tokio::spawn(async {})), ..self }
    }

    /// Where what is known at the bedside is handed in.
    #[cfg(test)]
    pub fn desk(&self) -> LedgerDesk {
        self.ledger.clone()
    }

    /// Runs until `asked` comes back.
    pub async fn run(
        mut self,
        mut asked: impl AsyncFnMut(&mpsc::UnboundedSender<Request>),
    ) -> Result<(), RunError> {
        let mut before = GapCause::BoxRestarted;
        let mut feeds = Feeds::start(&self.configuration, &self.ledger);
        self.feeds = feeds.shown();
        loop {
            let mut house = House::start(&mut self, before).await?;
            if before == GapCause::BoxRestarted {
                operate::tell_ready("taking data");
            }
            tracing::info!("the house is open");
            let segment_bytes = segment_bytes(&self.configuration);
            let ended = tokio::select! {
                biased;
                () = asked(&house.requests) => Ended::Asked,
                () = door::opens_again(&house.room, &self.world.disk, segment_bytes) => {
                    Ended::TakesWritesAgain
                }
                _ = &mut house.committer => Ended::Failed,
            };
            match ended {
                Ended::TakesWritesAgain => {
                    self.ledger.close();
                    tracing::info!("the disk takes writes again: the journal is opened anew");
                    house.stop().await;
                    before = GapCause::StorageFailed;
                }
                Ended::Asked => {
                    operate::tell_stopping();
                    feeds.stop().await;
                    self.ledger.close();
                    tracing::info!("stopping");
                    let door_is_shut = house.room.shut.load(Ordering::Relaxed);
                    house.stop().await;
                    self.end();
                    tracing::info!("stopped");
                    return if door_is_shut { Err(RunError::TookNothing) } else { Ok(()) };
                }
                Ended::Failed => return Err(RunError::Committer),
            }
        }
    }

    /// Shows another house on the status socket, which is made by the first one: by then the
    /// journal's lock has shown that no other daemon runs on these data.
    fn show(&mut self, house: HouseShown) -> Result<(), RunError> {
        self.shown.show(house);
        if self.status.is_none() {
            let socket = self.configuration.gateway.socket.clone();
            let (shown, feeds) = (Arc::clone(&self.shown), Arc::clone(&self.feeds));
            let snapshot = snapshot::of(&self.configuration, self.since, shown, feeds);
            let shown = Arc::clone(&self.shown);
            let desk = Arc::new(move || shown.desk());
            let status = status::serve(&socket, snapshot, desk)
                .map_err(|error| RunError::Socket { socket, error })?;
            self.status = Some(status);
        }
        Ok(())
    }

    fn end(self) {
        if let Some(status) = self.status {
            status.abort();
        }
        if let Err(error) = std::fs::remove_file(&self.configuration.gateway.socket) {
            tracing::warn!(%error, "the status socket could not be removed");
        }
    }
}

/// The running house.
struct House {
    requests: mpsc::UnboundedSender<Request>,
    stop_devices: watch::Sender<bool>,
    stop_destinations: watch::Sender<bool>,
    devices: Vec<JoinHandle<()>>,
    destinations: Vec<JoinHandle<()>>,
    committer: JoinHandle<()>,
    background: Background,
    waveforms: WaveformHouse,
    bedside: BedsideTasks,
    room: Arc<Room>,
}

impl House {
    /// A house that takes data; one that only delivers if the disk takes no writes. `before`: why
    /// data could not be had until now.
    async fn start(lasting: &mut Lasting, before: GapCause) -> Result<Self, RunError> {
        let folder = lasting.configuration.gateway.data.clone();
        std::fs::create_dir_all(folder.join("cursors"))
            .map_err(|error| RunError::Data { folder: folder.clone(), error })?;
        let (durable, durable_seen) = watch::channel(0u64);
        let room = Arc::new(Room::default());
        match open_journal(&lasting.configuration, &lasting.world, durable, &room) {
            Ok(opened) => Self::open(lasting, opened, durable_seen, room, before).await,
            Err(RunError::Journal { folder, error: journal::Error::Storage(failure) }) => {
                // A journal that is not there yet has nothing to deliver: that is a fault to fix.
                let failed = |error| RunError::Journal { folder: folder.clone(), error };
                let keys = lasting.configuration.gateway.journal_keys()?;
                let proven = lasting.world.disk.open_proven(keys);
                let reader = proven.map_err(|_| failed(journal::Error::Storage(failure)))?;
                Self::shut(lasting, reader, room, failure)
            }
            Err(error) => Err(error),
        }
    }

    async fn open(
        lasting: &mut Lasting,
        opened: journal::Opened,
        durable: watch::Receiver<u64>,
        room: Arc<Room>,
        before: GapCause,
    ) -> Result<Self, RunError> {
        let (gateway, now) = (lasting.configuration.gateway.clone(), clock::now());
        let read = read_back(&lasting.configuration, opened.reader.clone(), now);
        let (mut memory, samplers) = read
            .map_err(|error| RunError::Journal { folder: gateway.data.join("journal"), error })?;
        report(&opened.recovery, &memory);
        memory.tell_clocks(&lasting.identities);

        // Everything that can fail comes before the first record is written.
        let (stop_destinations, stopping) = watch::channel(false);
        let (requests, received) = mpsc::unbounded_channel();
        let background = lasting.background(&opened.reader, &requests);
        let ground = (&opened.reader, &room, &background);
        lasting.hears_cores();
        let (mut destinations, low_waters) =
            lasting.deliver(ground, &durable, &requests, &stopping, None)?;
        let (configuration, reader) = (&lasting.configuration, &opened.reader);
        destinations::begin_behind(configuration, &lasting.world, reader, &mut memory)
            .map_err(|(name, what)| RunError::Destination { name, what })?;
        let counting = {
            let _on_delivery = lasting.world.delivery.enter();
            manifests::start(configuration, &memory.manifests, reader, &requests, &stopping)
        };
        let failed = |error| RunError::Data { folder: gateway.data.clone(), error };
        destinations.extend(counting.map_err(failed)?);
        let under = (&lasting.ledger, reader, &requests);
        let (memory, keeper, correcting) = ledger(configuration, memory, under);
        let mut committer = Committer {
            name: gateway.name,
            clock_offset_us: None,
            appender: opened.appender,
            stream: opened.reader.stream(),
            memory,
            ledger: keeper,
            destinations: configuration.destinations.clone(),
            samplers,
            room: Arc::clone(&room),
            trends: BTreeMap::new(),
        };
        lasting.first_records(&mut committer, &opened.recovery, before, now).await;
        let bedside = lasting.bedside(&committer, (&opened.reader, &durable), &low_waters).await?;
        let waveforms = lasting.waveforms(&room, &opened.reader, before);
        let under = (&room, &lasting.world.disk);
        let freeing =
            Freeing::of(configuration, requests.clone(), opened.reader, low_waters, under);
        destinations.push(tokio::spawn(freeing.run(stop_for_one(&stopping))));
        let committer = tokio::spawn(committer.run(received));
        let ((stop_devices, stop_seen), inlet) = (watch::channel(false), waveforms.inlet());
        let (under, named) = ((&lasting.world.ports, inlet.as_ref()), &lasting.identities);
        let mut devices = start_devices(configuration, named, &requests, under, &stop_seen);
        devices.push(correcting.start(stop_for_one(&stop_seen)));
        Ok(Self {
            requests,
            stop_devices,
            stop_destinations,
            devices,
            destinations,
            committer,
            background,
            waveforms,
            bedside,
            room,
        })
    }

    /// The disk takes no writes: what is proven durable is delivered, no link is opened.
    fn shut(
        lasting: &mut Lasting,
        reader: Reader,
        room: Arc<Room>,
        failure: journal::Failure,
    ) -> Result<Self, RunError> {
        tracing::error!(%failure, "the journal takes nothing: no device is acknowledged");
        lasting.inbox = None;
        for identity in &lasting.identities {
            identity.status.set_trouble("the box cannot write to its disk: nothing is taken");
        }
        let (stop_destinations, stopping) = watch::channel(false);
        let (requests, received) = mpsc::unbounded_channel();
        let (durable, seen) = watch::channel(reader.durable().map_or(0, Sequence::number));
        let background = Background::default();
        let ground = (&reader, &room, &background);
        let (mut destinations, _) =
            lasting.deliver(ground, &seen, &requests, &stopping, Some(failure))?;
        // A destination ends when nobody can make records durable any more.
        let mut until = stop_for_one(&stopping);
        destinations.push(tokio::spawn(async move {
            let _ = until.wait_for(|stop| *stop).await;
            drop(durable);
        }));
        let (stop_devices, _) = watch::channel(false);
        room.shut.store(true, Ordering::Relaxed);
        room.shut_now.notify_one();
        let committer = tokio::spawn(door::take_nothing(received));
        let devices = Vec::new();
        Ok(Self {
            requests,
            stop_devices,
            stop_destinations,
            devices,
            destinations,
            committer,
            background,
            waveforms: WaveformHouse::default(),
            bedside: BedsideTasks::default(),
            room,
        })
    }

    async fn stop(self) {
        self.bedside.stop();
        self.stop_devices.send_replace(true);
        let deadline = tokio::time::Instant::now() + STOP_DEVICES;
        for device in self.devices {
            if tokio::time::timeout_at(deadline, device).await.is_err() {
                tracing::error!("a device's task did not stop in time");
            }
        }
        let (done, stopped) = oneshot::channel();
        let _ = self.requests.send(Request::Stop { now: clock::now(), done });
        if stopped.await.is_err() || self.committer.await.is_err() {
            tracing::error!("the committer ended before its time");
        }
        self.waveforms.stop().await;
        self.stop_destinations.send_replace(true);
        let deadline = tokio::time::Instant::now() + STOP_DESTINATIONS;
        for destination in self.destinations {
            if tokio::time::timeout_at(deadline, destination).await.is_err() {
                tracing::error!("a destination's task did not stop in time");
            }
        }
        self.background.stop().await;
    }
}
