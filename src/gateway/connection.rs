//! One task per connection: a port and its driver. It never waits for the journal: when the
//! device's share is full it stops reading and keeps waking, so keep-alives and time-outs go on.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::device::Device;
use super::gaps::GapCause;
use crate::link::back_off::BackOff;
use crate::link::{Endpoint, Port, clock};
use crate::protocol::{Driver, LinkChange, Message, MessageId, Peer, Session, Settled};
use crate::vocabulary::Moment;

/// How many connections one listening device may hold; a gateway product opens one or two.
const CONNECTIONS_MAX: usize = 32;

/// How many senders of datagrams are told apart on one port.
const PEERS_MAX: usize = 64;

/// How much is read at once.
const READ_BYTES: usize = 4096;

/// The largest UDP datagram.
const DATAGRAM_BYTES: usize = 65_536;

/// A link that stayed open so long is tried again quickly when it closes.
const LINK_PROVEN: Duration = Duration::from_secs(5);

/// How long a stopping connection waits for the fate of what it has handed over.
const STOP_WAIT: Duration = Duration::from_secs(3);

impl Device {
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
                    told = true;
                    let opened = Instant::now();
                    self.converse(port, stop.clone()).await;
                    // A link that opens and closes at once must not fill the journal with gaps.
                    if opened.elapsed() > LINK_PROVEN {
                        back_off.reset();
                    }
                }
                Err(error) => {
                    self.identity.status.set_trouble(format!("does not open: {error}"));
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
                            let device = &self.setup.name;
                            tracing::warn!(%device, "too many senders: one ignored");
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
}

/// Why a link closes when the house stops.
pub(super) const STOPPED: &str = "stopped";

fn read_error(error: &io::Error) -> String {
    format!("the link failed: {error}")
}

/// One connection with its driver.
pub(super) struct Conversation {
    pub driver: Box<dyn Driver>,
    session: Session,
    peer: Peer,
    pub fate: mpsc::UnboundedSender<(MessageId, Settled)>,
    /// Messages that the share has no room for yet. At most what one read holds.
    pub outbox: VecDeque<Message>,
    /// Messages whose fate is not known yet.
    pub waiting: usize,
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
