//! One task per device: port, driver, mapping, checks. It never waits for the journal: when its share
//! of the committer is full it stops reading and keeps waking, so keep-alives and time-outs go on.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::committer::{DeviceIdentity, GapCause, Request, Submission};
use super::configuration::DeviceSetup;
use super::record::FirmwareProof;
use crate::check::Checker;
use crate::check::clock::{DeviceClock, Times};
use crate::link::back_off::BackOff;
use crate::link::{Endpoint, Port, clock};
use crate::mapping::Mapper;
use crate::profile::{Learned, OnUnlisted};
use crate::protocol::{
    Driver, Event, Identity, LinkChange, Message, MessageId, Peer, Session, Settled,
};
use crate::vocabulary::{Moment, Observation, ParameterKind, Refused, Vocabulary};

/// How many messages of one device may be on their way into the journal. At fifty messages a second
/// that is five seconds of a stalled disk.
const SHARE_MESSAGES: usize = 256;

/// How many connections one listening device may hold; a gateway product opens one or two.
const CONNECTIONS_MAX: usize = 32;

/// How many senders of datagrams are told apart on one port.
const PEERS_MAX: usize = 64;

/// How much is read at once.
const READ_BYTES: usize = 4096;

/// The largest UDP datagram.
const DATAGRAM_BYTES: usize = 65_536;

/// How long a stopping connection waits for the fate of what it has handed over.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// Everything that a device's connections share.
pub struct Device {
    setup: DeviceSetup,
    identity: Arc<DeviceIdentity>,
    vocabulary: Arc<Vocabulary>,
    requests: mpsc::UnboundedSender<Request>,
    share: Arc<Semaphore>,
    sessions: AtomicU64,
    uncertainty_ms_max: u64,
    meaning: Mutex<Meaning>,
    open: Mutex<usize>,
}

/// What changes as the device speaks.
struct Meaning {
    mapper: Mapper,
    /// The firmware that the mapper and the drivers are made for.
    firmware: Option<String>,
    checker: Checker,
    clock: DeviceClock,
    identity: Identity,
}

impl Device {
    /// A device that is not opened yet.
    pub fn new(
        setup: DeviceSetup,
        identity: Arc<DeviceIdentity>,
        vocabulary: Arc<Vocabulary>,
        requests: mpsc::UnboundedSender<Request>,
        uncertainty_ms_max: u64,
    ) -> Arc<Self> {
        let firmware = setup.firmware.clone();
        let known = firmware.as_deref().unwrap_or_default();
        let mapper = Mapper::new(&setup.profile, known, Arc::clone(&vocabulary));
        let meaning = Meaning {
            mapper,
            firmware,
            checker: Checker::default(),
            clock: DeviceClock::default(),
            identity: Identity::default(),
        };
        Arc::new(Self {
            setup,
            identity,
            vocabulary,
            requests,
            share: Arc::new(Semaphore::new(SHARE_MESSAGES)),
            sessions: AtomicU64::new(1),
            uncertainty_ms_max,
            meaning: Mutex::new(meaning),
            open: Mutex::new(0),
        })
    }

    /// Runs until it is told to stop.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        match self.setup.endpoint.clone() {
            Endpoint::TcpServer { listen } => self.serve_tcp(listen, stop).await,
            Endpoint::Udp { listen } => self.serve_udp(listen, stop).await,
            Endpoint::Serial { .. } | Endpoint::TcpClient { .. } | Endpoint::Replay { .. } => {
                self.keep_open(stop).await;
            }
        }
    }

    /// Opens the port, talks until it closes, and opens it again with back-off.
    async fn keep_open(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut back_off = BackOff::default();
        let mut told = false;
        while !*stop.borrow() {
            match Port::open(&self.setup.endpoint).await {
                Ok(port) => {
                    back_off.reset();
                    told = true;
                    self.converse(port, stop.clone()).await;
                }
                Err(error) => {
                    let what = self.setup.endpoint.describe();
                    self.identity.status.set_trouble(format!("{what}: {error}"));
                    if !told {
                        told = true;
                        tracing::warn!(device = %self.setup.name, %error, "the link does not open");
                        self.gap_began(GapCause::LinkDown, clock::now());
                    }
                }
            }
            // A capture is played once.
            if matches!(self.setup.endpoint, Endpoint::Replay { .. }) {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(back_off.next_wait()) => {}
                _ = stop.changed() => {}
            }
        }
    }

    async fn serve_tcp(self: Arc<Self>, listen: SocketAddr, mut stop: watch::Receiver<bool>) {
        let mut back_off = BackOff::default();
        let listener = loop {
            match TcpListener::bind(listen).await {
                Ok(listener) => break listener,
                Err(error) => {
                    self.identity.status.set_trouble(format!("tcp on {listen}: {error}"));
                    tracing::error!(device = %self.setup.name, %listen, %error, "cannot listen");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(back_off.next_wait()) => {}
                _ = stop.changed() => return,
            }
        };
        if let Ok(address) = listener.local_addr() {
            self.identity.status.set_listening(address.to_string());
        }
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stop.changed() => break,
            };
            match accepted.and_then(|(stream, _)| Port::of_tcp(stream)) {
                Ok(_) if connections.len() >= CONNECTIONS_MAX => {
                    tracing::warn!(device = %self.setup.name, "too many connections: one refused");
                }
                Ok(port) => {
                    let device = Arc::clone(&self);
                    let stop = stop.clone();
                    connections.spawn(async move { device.converse(port, stop).await });
                }
                Err(error) => {
                    tracing::warn!(device = %self.setup.name, %error, "a connection was not taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        while connections.join_next().await.is_some() {}
    }

    /// One driver per sender, so that nobody's datagrams end up in another one's message.
    async fn serve_udp(self: Arc<Self>, listen: SocketAddr, mut stop: watch::Receiver<bool>) {
        let socket = match UdpSocket::bind(listen).await {
            Ok(socket) => socket,
            Err(error) => {
                self.identity.status.set_trouble(format!("udp on {listen}: {error}"));
                tracing::error!(device = %self.setup.name, %listen, %error, "cannot listen");
                return;
            }
        };
        if let Ok(address) = socket.local_addr() {
            self.identity.status.set_listening(address.to_string());
        }
        let (fate, mut fates) = mpsc::unbounded_channel();
        let mut peers: BTreeMap<SocketAddr, Conversation> = BTreeMap::new();
        let mut buffer = vec![0; DATAGRAM_BYTES];
        self.opened();
        loop {
            let full = peers.values().any(Conversation::is_full);
            self.note_busy(full);
            let wake = peers.values().filter_map(|one| one.driver.next_wake()).min();
            tokio::select! {
                _ = stop.changed() => break,
                Some((id, how)) = fates.recv() => settle(&mut peers, id, how),
                () = sleep_until(wake), if wake.is_some() => {
                    let now = clock::now();
                    peers.values_mut().for_each(|one| one.driver.wake(now));
                }
                received = socket.recv_from(&mut buffer), if !full => match received {
                    Ok((count, from)) => {
                        if !peers.contains_key(&from) && peers.len() >= PEERS_MAX {
                            tracing::warn!(device = %self.setup.name, "too many senders: one ignored");
                            continue;
                        }
                        let known = peers.len() as u32;
                        let one = peers.entry(from).or_insert_with(|| {
                            self.conversation(fate.clone(), Peer(known))
                        });
                        let bytes = buffer.get(..count).unwrap_or_default();
                        one.driver.receive(bytes, one.peer, clock::now());
                    }
                    Err(error) => tracing::warn!(device = %self.setup.name, %error, "udp"),
                },
                permit = self.share.acquire(), if full => drop(permit),
            }
            for (address, one) in &mut peers {
                for (bytes, _) in self.drain(one).0 {
                    if let Err(error) = socket.send_to(&bytes, address).await {
                        tracing::warn!(device = %self.setup.name, %error, "udp reply");
                    }
                }
            }
        }
        for one in peers.values_mut() {
            one.driver.link(LinkChange::Closed, clock::now());
            self.drain(one);
        }
        self.closed("stopped", clock::now());
    }

    fn conversation(
        &self,
        fate: mpsc::UnboundedSender<(MessageId, Settled)>,
        peer: Peer,
    ) -> Conversation {
        let session = Session(self.sessions.fetch_add(1, Ordering::Relaxed));
        let firmware = self.firmware().unwrap_or_default();
        let mut driver = self.setup.profile.driver(&firmware, self.setup.site.clone());
        driver.link(LinkChange::Opened { session }, clock::now());
        Conversation { driver, session, peer, fate, outbox: VecDeque::new(), waiting: 0 }
    }

    /// One connection from opening to closing.
    async fn converse(&self, mut port: Port, mut stop: watch::Receiver<bool>) {
        let (fate, mut fates) = mpsc::unbounded_channel();
        let mut one = self.conversation(fate, Peer::STREAM);
        let mut buffer = vec![0; READ_BYTES];
        let mut last_byte = clock::now();
        self.opened();
        let why = loop {
            let (replies, close) = self.drain(&mut one);
            let mut failed = None;
            for (bytes, _) in replies {
                if let Err(error) = port.write(&bytes).await {
                    failed = Some(format!("a reply could not be sent: {error}"));
                    break;
                }
            }
            if let Some(why) = failed.or(close) {
                break why;
            }
            let full = one.is_full();
            self.note_busy(full && self.setup.endpoint.loses_unread_bytes());
            let wake = one.driver.next_wake();
            tokio::select! {
                biased;
                _ = stop.changed() => break STOPPED.to_owned(),
                Some((id, how)) = fates.recv() => one.settle(id, how),
                () = sleep_until(wake), if wake.is_some() => one.driver.wake(clock::now()),
                read = port.read(&mut buffer), if !full => match read {
                    Ok(0) => break "the other side closed the link or was unplugged".to_owned(),
                    Ok(count) => {
                        last_byte = clock::now();
                        let bytes = buffer.get(..count).unwrap_or_default();
                        one.driver.receive(bytes, one.peer, last_byte);
                    }
                    Err(error) => break read_error(&error),
                },
                permit = self.share.acquire(), if full => drop(permit),
            }
        };
        self.finish(one, &mut fates, &mut port).await;
        self.closed(&why, last_byte);
    }

    /// Hands over what is left, and lets what is on its way be acknowledged within a deadline.
    async fn finish(
        &self,
        mut one: Conversation,
        fates: &mut mpsc::UnboundedReceiver<(MessageId, Settled)>,
        port: &mut Port,
    ) {
        let deadline = Instant::now() + STOP_WAIT;
        while one.waiting > 0 || !one.outbox.is_empty() {
            let Ok(fate) = tokio::time::timeout_at(deadline, fates.recv()).await else { break };
            let Some((id, how)) = fate else { break };
            one.settle(id, how);
            for (bytes, _) in self.drain(&mut one).0 {
                // The device may be gone already; then it will send the message again.
                if port.write(&bytes).await.is_err() {
                    break;
                }
            }
        }
        one.driver.link(LinkChange::Closed, clock::now());
        self.drain(&mut one);
        while !one.outbox.is_empty() {
            let Ok(permit) = Arc::clone(&self.share).acquire_owned().await else { break };
            drop(permit);
            self.submit(&mut one);
        }
    }

    /// Takes the driver's events: replies and the wish to close come back, messages go on their way.
    fn drain(&self, one: &mut Conversation) -> (Vec<(Vec<u8>, Peer)>, Option<String>) {
        let mut replies = Vec::new();
        let mut close = None;
        while let Some(event) = one.driver.poll() {
            match event {
                Event::Message(message) => {
                    if self.firmware_changed(message.firmware.as_deref()) {
                        close = Some("the device reports another firmware".to_owned());
                    }
                    one.outbox.push_back(message);
                }
                Event::Send { bytes, to } => replies.push((bytes, to)),
                Event::Identity(identity) => {
                    if self.identity_changed(&identity) {
                        close = Some("the device reports another firmware".to_owned());
                    }
                }
                Event::Close { why } => close = Some(format!("{why:?}")),
            }
        }
        self.submit(one);
        (replies, close)
    }

    /// Sends what the share has room for to the committer.
    fn submit(&self, one: &mut Conversation) {
        while !one.outbox.is_empty() {
            let Ok(permit) = Arc::clone(&self.share).try_acquire_owned() else { return };
            let Some(message) = one.outbox.pop_front() else { return };
            let (observations, refusals) = self.meaning_of(&message);
            let proof = self.proof(message.firmware.as_deref());
            let raw_only = proof == FirmwareProof::NotProven
                && self.setup.profile.file().firmware.on_unlisted == OnUnlisted::RawOnly;
            let submission = Submission {
                device: Arc::clone(&self.identity),
                observations: if raw_only { Vec::new() } else { observations },
                refusals,
                firmware: self.firmware(),
                proof,
                fate: one.fate.clone(),
                permit,
                message,
            };
            one.waiting += 1;
            // The committer outlives every device's task.
            let _ = self.requests.send(Request::Message(Box::new(submission)));
        }
    }

    fn meaning_of(&self, message: &Message) -> (Vec<(Observation, Times)>, Vec<Refused>) {
        let Ok(mut meaning) = self.meaning.lock() else { return (Vec::new(), Vec::new()) };
        let mapped = meaning.mapper.map(&message.groups);
        let refusals = message.refusals.iter().cloned().chain(mapped.refusals).collect();
        let newest =
            mapped.observations.iter().filter_map(|one| one.device_time.as_ref()?.utc_us).max();
        if let Some(newest) = newest {
            meaning.clock.observe(newest, message.received);
        }
        let mut observations = Vec::new();
        for mut observation in mapped.observations {
            meaning.checker.mark(&mut observation, message.received, &self.vocabulary);
            let periodic = |kind| matches!(kind, Some(ParameterKind::Periodic));
            let live = observation.metrics.iter().any(|metric| periodic(metric.kind));
            let device_time = observation.device_time.as_ref();
            let limit = self.uncertainty_ms_max;
            let times = meaning.clock.times(device_time, live, message.received, limit);
            observations.push((observation, times));
        }
        (observations, refusals)
    }

    fn firmware(&self) -> Option<String> {
        self.meaning.lock().ok()?.firmware.clone()
    }

    /// Whether the device file was tested with the firmware that is known now.
    fn proof(&self, reported: Option<&str>) -> FirmwareProof {
        let known = self.firmware();
        let contradicts = reported.is_some_and(|reported| known.as_deref() != Some(reported));
        let tested = known.is_some_and(|known| self.setup.profile.is_tested_with(&known));
        if tested && !contradicts { FirmwareProof::Proven } else { FirmwareProof::NotProven }
    }

    /// Notes a firmware that the device reports. `true` if the drivers must be made anew for it.
    fn firmware_changed(&self, reported: Option<&str>) -> bool {
        let Some(reported) = reported.filter(|reported| !reported.is_empty()) else { return false };
        let Ok(mut meaning) = self.meaning.lock() else { return false };
        let reports = self.setup.profile.file().firmware.learned == Learned::ReportedByDevice;
        if !reports || meaning.firmware.as_deref() == Some(reported) {
            return false;
        }
        let tested = self.setup.profile.is_tested_with(reported);
        tracing::info!(device = %self.setup.name, firmware = reported, tested, "firmware reported");
        meaning.firmware = Some(reported.to_owned());
        let vocabulary = Arc::clone(&self.vocabulary);
        meaning.mapper = Mapper::new(&self.setup.profile, reported, vocabulary);
        !self.setup.profile.file().variant.is_empty()
    }

    fn identity_changed(&self, identity: &Identity) -> bool {
        let changed = match self.meaning.lock() {
            Ok(mut meaning) if meaning.identity != *identity => {
                meaning.identity = identity.clone();
                true
            }
            Ok(_) | Err(_) => false,
        };
        if changed {
            let device = Arc::clone(&self.identity);
            let request =
                Request::Identity { device, identity: identity.clone(), now: clock::now() };
            let _ = self.requests.send(request);
        }
        self.firmware_changed(Some(&identity.firmware))
    }

    fn opened(&self) {
        let Ok(mut open) = self.open.lock() else { return };
        *open += 1;
        self.identity.status.connections.store(*open, Ordering::Relaxed);
        self.identity.status.opened.fetch_add(1, Ordering::Relaxed);
        if *open == 1 {
            self.identity.status.set_trouble("");
            tracing::info!(device = %self.setup.name, "the link is up");
            let device = Arc::clone(&self.identity);
            let _ = self.requests.send(Request::LinkUp { device, now: clock::now() });
        }
    }

    /// `last_byte`: from then on nothing was heard.
    fn closed(&self, why: &str, last_byte: Moment) {
        let Ok(mut open) = self.open.lock() else { return };
        *open = open.saturating_sub(1);
        self.identity.status.connections.store(*open, Ordering::Relaxed);
        if *open == 0 {
            tracing::info!(device = %self.setup.name, why, "the link is down");
            self.identity.status.set_trouble(why);
            // The gap of a stop is written at the next start, when its end is known to be coming.
            if why != STOPPED {
                self.gap_began(GapCause::LinkDown, last_byte);
            }
        }
    }

    fn gap_began(&self, cause: GapCause, began: Moment) {
        let device = Arc::clone(&self.identity);
        let _ = self.requests.send(Request::GapBegan { device, cause, began });
    }

    fn note_busy(&self, full: bool) {
        let before = self.identity.status.busy.swap(full, Ordering::Relaxed);
        let device = Arc::clone(&self.identity);
        let (cause, now) = (GapCause::BoxBusy, clock::now());
        let request = match (before, full) {
            (false, true) => Request::GapBegan { device, cause, began: now },
            (true, false) => Request::GapEnded { device, cause, ended: now },
            (true, true) | (false, false) => return,
        };
        let _ = self.requests.send(request);
    }
}

/// Why a link closes when the house stops.
const STOPPED: &str = "stopped";

fn read_error(error: &io::Error) -> String {
    format!("the link failed: {error}")
}

/// One connection with its driver.
struct Conversation {
    driver: Box<dyn Driver>,
    session: Session,
    peer: Peer,
    fate: mpsc::UnboundedSender<(MessageId, Settled)>,
    /// Messages that the share has no room for yet. At most what one read holds.
    outbox: VecDeque<Message>,
    /// Messages whose fate is not known yet.
    waiting: usize,
}

impl Conversation {
    fn is_full(&self) -> bool {
        !self.outbox.is_empty()
    }

    fn settle(&mut self, id: MessageId, how: Settled) {
        if id.session == self.session {
            self.waiting = self.waiting.saturating_sub(1);
            self.driver.settled(id, how, clock::now());
        }
    }
}

fn settle(peers: &mut BTreeMap<SocketAddr, Conversation>, id: MessageId, how: Settled) {
    peers.values_mut().for_each(|one| one.settle(id, how));
}

async fn sleep_until(wake: Option<Moment>) {
    if let Some(wake) = wake {
        let wait_ms = wake.since_ms(clock::now());
        tokio::time::sleep(Duration::from_millis(wait_ms.saturating_add(1))).await;
    }
}
