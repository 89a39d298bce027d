//! Starting and stopping the house, in order.
//!
//! Start: journal, memory, gaps of the time before, destinations, devices, status, ready.
//! Stop: links, committer, settlements, destinations, cursors. No task is aborted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::committer::{Committer, DeviceIdentity, Request, Room};
use super::configuration::{Configuration, DeviceSetup};
use super::destinations::{self, Ground};
use super::device::Device;
use super::door;
use super::freeing::free_behind;
use super::guests::Guests;
use super::manifests;
use super::memory::Memory;
use super::record::ProfileStamp;
use super::routing::Samplers;
use super::status::{self, DestinationSnapshot, DeviceStatus, Fixed, JournalSnapshot, Snapshot};
use crate::association::Ledger;
use crate::forward::Counters;
use crate::forward::cursor::CursorError;
use crate::forward::pump;
use crate::journal::{self, Journal, Reader};
use crate::link::clock;
use crate::operate;
use crate::vocabulary::{Moment, Sequence};

/// How long the devices' tasks may take to stop; then the house stops without them.
const STOP_DEVICES: Duration = Duration::from_secs(8);

/// How long the destinations may take to stop after the journal is closed.
const STOP_DESTINATIONS: Duration = Duration::from_secs(5);

/// Why the house cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("the data folder {folder}: {error}")]
    Data { folder: PathBuf, error: std::io::Error },
    #[error("the journal in {folder}: {error}")]
    Journal { folder: PathBuf, error: journal::Error },
    #[error(transparent)]
    JournalKey(#[from] super::configuration::KeyFileError),
    #[error("the cursor files in {folder}: {error}")]
    Cursors { folder: PathBuf, error: CursorError },
    #[error("the status socket {socket}: {error}")]
    Socket { socket: PathBuf, error: std::io::Error },
    #[error("destination {name}: {what}")]
    Destination { name: String, what: String },
    #[error("signals cannot be taken: {0}")]
    Signals(std::io::Error),
    #[error("the journal had to be closed; it can be opened anew now")]
    DoorShut,
    #[error("the journal had to be closed: nothing more was taken")]
    TookNothing,
    #[error("the committer has failed")]
    Committer,
}

/// Runs until SIGTERM or SIGINT, or until the journal could be opened anew after it had shut its
/// door.
///
/// # Errors
/// What keeps the house from starting, or why it ended without being asked.
pub async fn run(configuration: Configuration) -> Result<(), RunError> {
    let mut signals = Signals::take()?;
    let data = configuration.gateway.data.clone();
    let segment_bytes = segment_bytes(&configuration);
    let mut house = House::start(configuration).await?;
    operate::tell_ready("taking data");
    tracing::info!("the house is open");
    let ended = tokio::select! {
        () = signals.wait(&house.requests) => Ok(()),
        () = door::opens_again(&house.room, &data, segment_bytes) => Err(RunError::DoorShut),
        _ = &mut house.committer => Err(RunError::Committer),
    };
    operate::tell_stopping();
    tracing::info!("stopping");
    if matches!(ended, Err(RunError::Committer)) {
        return ended;
    }
    let door_is_shut = house.room.shut.load(Ordering::Relaxed);
    house.stop().await;
    match ended {
        Ok(()) if door_is_shut => Err(RunError::TookNothing),
        ended => ended,
    }
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn take() -> Result<Self, RunError> {
        use tokio::signal::unix::{SignalKind, signal};
        let terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
        Ok(Self { terminate, interrupt })
    }

    /// Waits for a signal; meanwhile tells systemd that the daemon lives, as long as the committer
    /// answers.
    async fn wait(&mut self, requests: &mpsc::UnboundedSender<Request>) {
        let period = operate::watchdog_period();
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                () = tokio::time::sleep(period.unwrap_or(Duration::MAX)), if period.is_some() => {
                    let (answer, answered) = oneshot::channel();
                    let asked = requests.send(Request::Ping(answer)).is_ok();
                    let limit = period.unwrap_or_default();
                    match tokio::time::timeout(limit, answered).await {
                        Ok(Ok(())) if asked => operate::tell_alive(),
                        Ok(_) | Err(_) => tracing::error!("the committer does not answer"),
                    }
                }
            }
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
    /// Ends with the process; it holds nothing.
    status: JoinHandle<()>,
    room: Arc<Room>,
    socket: PathBuf,
}

impl House {
    async fn start(configuration: Configuration) -> Result<Self, RunError> {
        let folder = configuration.gateway.data.clone();
        std::fs::create_dir_all(folder.join("cursors"))
            .map_err(|error| RunError::Data { folder: folder.clone(), error })?;
        let since = clock::now();
        let (durable, durable_seen) = watch::channel(0u64);
        let room = Arc::new(Room::default());
        let opened = open_journal(&configuration, durable, &room)?;
        let (memory, samplers) = read_back(&configuration, opened.reader.clone(), since)
            .map_err(|error| RunError::Journal { folder: folder.join("journal"), error })?;
        report(&opened.recovery, &memory);

        // Everything that can fail comes before the first record is written.
        let (stop_destinations, stopping) = watch::channel(false);
        let (requests, received) = mpsc::unbounded_channel();
        let ground = Ground {
            configuration: &configuration,
            reader: &opened.reader,
            durable: &durable_seen,
            requests: &requests,
            stop: &stopping,
        };
        let destinations::Forwarding { mut tasks, counters, low_waters } =
            destinations::start(&ground)
                .map_err(|(name, what)| RunError::Destination { name, what })?;
        let covered = &memory.manifests;
        let manifests =
            manifests::start(&configuration, covered, &opened.reader, &requests, &stopping)
                .map_err(|error| RunError::Data { folder: folder.clone(), error })?;
        tasks.extend(manifests);
        let identities = identities(&configuration);
        let (names, reader) = (identities.clone(), opened.reader.clone());
        let snapshot = snapshots(&configuration, names, reader, counters, since);
        let socket = configuration.gateway.socket.clone();
        let status = status::serve(&socket, snapshot)
            .map_err(|error| RunError::Socket { socket: socket.clone(), error })?;

        let mut committer = Committer {
            name: configuration.gateway.name.clone(),
            clock_offset_us: None,
            appender: opened.appender,
            stream: opened.reader.stream(),
            memory,
            ledger: ledger(&configuration),
            destinations: configuration.destinations.clone(),
            samplers,
            room: Arc::clone(&room),
        };
        committer.started(&identities, configuration.digest, since).await;
        if !opened.recovery.damaged.is_empty() || opened.recovery.set_aside.is_some() {
            committer.damaged(&identities, since).await;
        }
        for (setup, identity) in configuration.devices.iter().zip(&identities) {
            let firmware = setup.firmware.as_deref().unwrap_or_default();
            let text = setup.profile.flattened_text(firmware);
            committer.profile(&identity.stamp, &text, since).await;
        }

        let free = free_behind(requests.clone(), opened.reader, low_waters, stopping.clone());
        let free = tokio::spawn(free);
        let committer = tokio::spawn(committer.run(received));
        let (stop_devices, stop_seen) = watch::channel(false);
        let devices = start_devices(&configuration, &identities, &requests, &stop_seen);
        let destinations = tasks.into_iter().chain([free]).collect();
        Ok(Self {
            requests,
            stop_devices,
            stop_destinations,
            devices,
            destinations,
            committer,
            status,
            room,
            socket,
        })
    }

    async fn stop(self) {
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
        self.stop_destinations.send_replace(true);
        let deadline = tokio::time::Instant::now() + STOP_DESTINATIONS;
        for destination in self.destinations {
            if tokio::time::timeout_at(deadline, destination).await.is_err() {
                tracing::error!("a destination's task did not stop in time");
            }
        }
        self.status.abort();
        if let Err(error) = std::fs::remove_file(&self.socket) {
            tracing::warn!(%error, "the status socket could not be removed");
        }
        tracing::info!("stopped");
    }
}

fn start_devices(
    configuration: &Configuration,
    identities: &[Arc<DeviceIdentity>],
    requests: &mpsc::UnboundedSender<Request>,
    stop: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let guests = Arc::new(Guests::default());
    let start = |setup: &DeviceSetup, identity: &Arc<DeviceIdentity>| {
        let device = Device::new(
            setup.clone(),
            Arc::clone(identity),
            Arc::clone(&configuration.vocabulary),
            requests.clone(),
            configuration.gateway.uncertainty_ms_max,
        );
        tokio::spawn(device.run(stop.clone(), Arc::clone(&guests)))
    };
    let setups = configuration.devices.iter().zip(identities);
    setups.map(|(setup, identity)| start(setup, identity)).collect()
}

fn open_journal(
    configuration: &Configuration,
    durable: watch::Sender<u64>,
    room: &Arc<Room>,
) -> Result<journal::Opened, RunError> {
    let folder = configuration.gateway.data.join("journal");
    let wake = Arc::clone(room);
    let cursors = configuration.gateway.data.join("cursors");
    let names: Vec<&str> = configuration.destinations.iter().map(|one| one.name.as_str()).collect();
    let highest_known = pump::highest_sent(&cursors, &names)
        .map_err(|error| RunError::Cursors { folder: cursors, error })?;
    let options = journal::Options {
        segment_bytes: segment_bytes(configuration),
        highest_known,
        keys: configuration.gateway.journal_keys()?,
        on_durable: Arc::new(move |sequence: Option<Sequence>| {
            durable.send_replace(sequence.map_or(0, Sequence::number));
            wake.freed.notify_one();
        }),
        ..journal::Options::default()
    };
    Journal::open(&folder, options).map_err(|error| RunError::Journal { folder, error })
}

/// What the house remembers of the runs before.
fn read_back(
    configuration: &Configuration,
    mut reader: Reader,
    now: Moment,
) -> Result<(Memory, Samplers), journal::Error> {
    let memory = Memory::rebuild(&mut reader)?;
    let samplers = Samplers::rebuild(&configuration.destinations, &mut reader, now)?;
    Ok((memory, samplers))
}

fn segment_bytes(configuration: &Configuration) -> u64 {
    configuration.gateway.segment_bytes.unwrap_or(journal::SEGMENT_BYTES)
}

fn report(recovery: &journal::Recovery, memory: &Memory) {
    for damage in &recovery.damaged {
        tracing::error!(?damage, "the journal is damaged below what was durable");
    }
    if let Some(folder) = &recovery.set_aside {
        tracing::warn!(folder, "the journal's end could not be proven: a new stream begins");
    }
    if recovery.last.is_some() && !memory.stopped_in_order {
        let (torn_bytes, copied) = (recovery.torn_bytes, recovery.copied_records);
        tracing::warn!(torn_bytes, copied, "the last run did not stop in order");
    }
}

fn ledger(configuration: &Configuration) -> Ledger {
    let places = configuration.devices.iter();
    Ledger::from_configuration(places.map(|one| (one.name.clone(), one.place.clone())).collect())
}

fn identities(configuration: &Configuration) -> Vec<Arc<DeviceIdentity>> {
    let identity = |setup: &DeviceSetup| {
        Arc::new(DeviceIdentity {
            name: setup.name.clone(),
            stamp: ProfileStamp::of(&setup.profile),
            profile_status: setup.profile.file().provenance.status,
            status: Arc::new(DeviceStatus::default()),
        })
    };
    configuration.devices.iter().map(identity).collect()
}

fn snapshots(
    configuration: &Configuration,
    identities: Vec<Arc<DeviceIdentity>>,
    reader: Reader,
    counters: Vec<(String, Arc<Counters>)>,
    since: Moment,
) -> Arc<dyn Fn() -> Snapshot + Send + Sync> {
    let gateway = configuration.gateway.name.clone();
    let segment_bytes = segment_bytes(configuration);
    let fixed: BTreeMap<String, Fixed> = configuration
        .devices
        .iter()
        .map(|setup| {
            let fixed = Fixed {
                place: setup.place.as_str().to_owned(),
                profile: setup.profile.id(),
                profile_status: setup.profile.file().provenance.status.as_str().to_owned(),
                link: setup.endpoint.describe(),
            };
            (setup.name.as_str().to_owned(), fixed)
        })
        .collect();
    Arc::new(move || {
        let segments = reader.segments();
        let devices = identities.iter().filter_map(|identity| {
            let name = identity.name.as_str();
            Some(status::of_device(name, fixed.get(name)?, &identity.status))
        });
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            gateway: gateway.clone(),
            stream: reader.stream().to_string(),
            since: since.utc_text(),
            journal: JournalSnapshot {
                durable: reader.durable().map_or(0, Sequence::number),
                door: match reader.door() {
                    journal::Door::Open => "open".to_owned(),
                    journal::Door::Shut(failure) => format!("shut: {failure}"),
                    journal::Door::Closed => "closed".to_owned(),
                },
                segments: segments.len(),
                // Segments are preallocated, so each takes its whole size.
                bytes: segments.len() as u64 * segment_bytes,
            },
            devices: devices.collect(),
            destinations: counters.iter().map(|(name, one)| destination(name, one)).collect(),
        }
    })
}

fn destination(name: &str, counters: &Counters) -> DestinationSnapshot {
    DestinationSnapshot {
        name: name.to_owned(),
        connected: counters.connected.load(Ordering::Relaxed),
        sent: counters.sent.load(Ordering::Relaxed),
        resent: counters.resent.load(Ordering::Relaxed),
        acknowledged: counters.acknowledged.load(Ordering::Relaxed),
        backlog: counters.backlog.load(Ordering::Relaxed),
        set_aside: counters.set_aside.load(Ordering::Relaxed),
        unavailable: counters.unreadable.load(Ordering::Relaxed)
            + counters.freed.load(Ordering::Relaxed),
        cursor_failures: counters.cursor_failures.load(Ordering::Relaxed),
        refused_acknowledgements: counters.refused_acknowledgements.load(Ordering::Relaxed),
    }
}
