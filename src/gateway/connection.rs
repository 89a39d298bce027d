//! One task per connection: a port and its driver. It never waits for the journal: when the
//! device's share is full it stops reading and keeps waking, so keep-alives and time-outs go on.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::committer::Request;
use super::device::Device;
use super::gaps::GapCause;
use super::guests::{Guest, Guests};
use crate::link::back_off::BackOff;
use crate::link::{Endpoint, Heard, Port, clock};
use crate::protocol::{
    Driver, LinkChange, MESSAGE_BYTES_MAX, Message, MessageId, Peer, Session, Settled,
};
use crate::vocabulary::Moment;

/// How much is read at once. A datagram of a device that is asked is shorter than its network's
/// frame; Philips monitors send at most 1364 bytes (facts/monitors.md 1.1).
const READ_BYTES: usize = 4096;

/// How much may come without anything being made of it. A message that is too long is refused when
/// it is, and skipped so that the sender gets its answer; one without an end is not skipped for
/// ever.
const ENDLESS_BYTES_MAX: usize = 8 * MESSAGE_BYTES_MAX;

/// A link that stayed open so long is tried again quickly when it closes.
const LINK_PROVEN: Duration = Duration::from_secs(5);

/// How long a stopping connection waits for the fate of what it has handed over.
const STOP_WAIT: Duration = Duration::from_secs(3);

impl Device {
    /// Runs until it is told to stop.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>, guests: Arc<Guests>) {
        match self.setup.endpoint.clone() {
            Endpoint::TcpServer { listen } => self.serve_tcp(listen, stop, guests).await,
            Endpoint::Udp { listen } => self.serve_udp(listen, stop).await,
            Endpoint::Serial { .. }
            | Endpoint::TcpClient { .. }
            | Endpoint::UdpDevice { .. }
            | Endpoint::Replay { .. } => self.keep_open(stop).await,
        }
    }

    /// Opens the port, talks until it closes, and opens it again with back-off.
    async fn keep_open(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut back_off = BackOff::default();
        let mut told = false;
        while !*stop.borrow() {
            match self.ports.open(&self.setup.endpoint).await {
                Ok(port) => {
                    told = true;
                    let opened = Instant::now();
                    let task = tokio::spawn(Arc::clone(&self).converse(port, None, stop.clone()));
                    self.ended(task.await);
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
                biased;
                _ = stop.changed() => {}
                () = tokio::time::sleep(back_off.next_wait()) => {}
            }
        }
    }

    async fn serve_tcp(
        self: Arc<Self>,
        listen: SocketAddr,
        mut stop: watch::Receiver<bool>,
        guests: Arc<Guests>,
    ) {
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
        let mut refused: u64 = 0;
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(ended) = connections.join_next() => {
                    self.ended(ended);
                    continue;
                }
                _ = stop.changed() => break,
            };
            match accepted.and_then(|(stream, from)| Ok((Port::of_tcp(stream)?, from.ip()))) {
                Ok((port, peer)) => {
                    match guests.admit(self.setup.name.as_str(), peer, Instant::now()) {
                        Ok(guest) => {
                            let device = Arc::clone(&self);
                            let talk = device.converse(port, Some(guest), stop.clone());
                            connections.spawn(talk);
                        }
                        Err(full) => {
                            refused += 1;
                            // A flood must not fill the log, too.
                            if refused.is_power_of_two() {
                                let device = &self.setup.name;
                                tracing::warn!(%device, refused, %full, "connections refused");
                            }
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(device = %self.setup.name, %error, "a connection was not taken");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        while let Some(ended) = connections.join_next().await {
            self.ended(ended);
        }
    }

    pub(super) fn conversation(
        &self,
        fate: mpsc::UnboundedSender<(MessageId, Settled)>,
        peer: Peer,
    ) -> Conversation {
        let session = Session(self.sessions.fetch_add(1, Ordering::Relaxed));
        let firmware = self.firmware().unwrap_or_default();
        let mut driver = self.setup.profile.driver(&firmware, self.setup.site.clone());
        driver.link(LinkChange::Opened { session }, clock::now());
        Conversation {
            driver,
            session,
            peer,
            firmware,
            silence: Silence::new(self.setup.profile.file().link.silent_after_ms),
            fate,
            outbox: VecDeque::new(),
            waiting: 0,
            unread_bytes: 0,
            has_spoken: false,
            line_damaged: false,
        }
    }

    /// A task that ended by a defect is our fault and no device's: it is shown, and the link is
    /// opened again.
    pub(super) fn ended(&self, ended: Result<(), tokio::task::JoinError>) {
        if let Err(error) = ended {
            let defect = error.is_panic();
            tracing::error!(device = %self.setup.name, defect, "a connection's task has failed");
        }
    }

    /// One connection from opening to closing.
    async fn converse(
        self: Arc<Self>,
        mut port: Port,
        guest: Option<Guest>,
        mut stop: watch::Receiver<bool>,
    ) {
        let (fate, mut fates) = mpsc::unbounded_channel();
        let mut open = self.open();
        let mut one = self.conversation(fate, Peer::STREAM);
        let mut buffer = vec![0; READ_BYTES];
        let mut hears;
        let why = loop {
            let (replies, close) = self.drain(&mut one);
            let mut failed = None;
            for (bytes, to) in replies {
                if let Err(error) = port.write(&bytes, to).await {
                    failed = Some(format!("a reply could not be sent: {error}"));
                    break;
                }
            }
            let endless = one.unread_bytes > ENDLESS_BYTES_MAX;
            let close = close.or(endless.then(|| ENDLESS.to_owned()));
            hears = failed.is_none();
            if let Some(why) = failed.or(close) {
                break why;
            }
            let full = one.is_full();
            self.note_busy(full && self.setup.endpoint.loses_unread_bytes());
            let wake = one.driver.next_wake();
            let silent = one.silence.next_wake(open.last_byte);
            let needs = self.needs(&one);
            tokio::select! {
                biased;
                _ = stop.changed() => break STOPPED.to_owned(),
                Some((id, how)) = fates.recv() => one.settle(id, how),
                () = asked_to_leave(guest.as_ref()) => break MADE_ROOM.to_owned(),
                () = sleep_until(wake), if wake.is_some() => one.driver.wake(clock::now()),
                () = sleep_until(silent), if silent.is_some() => {
                    one.silence.begun = true;
                    self.gap_began(GapCause::DeviceSilent, open.last_byte);
                }
                read = port.read(&mut buffer), if !full => match read {
                    Ok(Heard::Closed) => {
                        self.unplugged();
                        break "the other side closed the link or was unplugged".to_owned();
                    }
                    Ok(Heard::LineError(kind)) => self.line_error(&mut one, kind),
                    Ok(Heard::Bytes { count, from }) => {
                        open.last_byte = clock::now();
                        if let Some(guest) = guest.as_ref().filter(|_| !one.has_spoken) {
                            guest.spoke();
                            one.has_spoken = true;
                        }
                        one.unread_bytes += count;
                        self.heard(&mut one.silence, open.last_byte);
                        let bytes = buffer.get(..count).unwrap_or_default();
                        one.driver.receive(bytes, from, open.last_byte);
                    }
                    Err(error) => {
                        self.unplugged();
                        break read_error(&error);
                    }
                },
                permit = self.share.acquire_many(needs), if full => drop(permit),
            }
        };
        self.finish(one, &mut fates, hears.then_some(port)).await;
        open.why = why;
    }

    /// A serial port that hangs up was pulled out, or what hung on it was; a connection that ends
    /// says nothing of plugs.
    fn unplugged(&self) {
        if let Endpoint::Serial { .. } = self.setup.endpoint {
            let (device, now) = (Arc::clone(&self.identity), clock::now());
            // The committer outlives every device's task.
            let _ = self.requests.send(Request::Unplugged { device, now });
        }
    }

    /// Hands over what is left, and lets what is on its way be acknowledged within a deadline, if
    /// there is a port left on which the device still takes answers.
    async fn finish(
        &self,
        mut one: Conversation,
        fates: &mut mpsc::UnboundedReceiver<(MessageId, Settled)>,
        mut port: Option<Port>,
    ) {
        let deadline = Instant::now() + STOP_WAIT;
        while one.waiting > 0 || !one.outbox.is_empty() {
            let Ok(fate) = tokio::time::timeout_at(deadline, fates.recv()).await else { break };
            let Some((id, how)) = fate else { break };
            one.settle(id, how);
            for (bytes, to) in self.drain(&mut one).0 {
                let Some(open) = &mut port else { break };
                // The device may be gone already; then it will send the message again.
                if open.write(&bytes, to).await.is_err() {
                    port = None;
                }
            }
        }
        one.driver.link(LinkChange::Closed, clock::now());
        self.drain(&mut one);
        while !one.outbox.is_empty() {
            let needs = self.needs(&one);
            let room = tokio::time::timeout_at(deadline, self.share.acquire_many(needs)).await;
            let Ok(Ok(permit)) = room else {
                // A disk that hangs: nobody was acknowledged for these, and the gap says so.
                let messages = one.outbox.len();
                tracing::error!(device = %self.setup.name, messages, "given up at closing");
                break;
            };
            drop(permit);
            self.submit(&mut one);
        }
    }
}

/// Why a link closes that made room for another.
const MADE_ROOM: &str = "it never said anything, and room was short";

/// Why a link closes on which nothing ends.
const ENDLESS: &str = "what it sends has no end";

async fn asked_to_leave(guest: Option<&Guest>) {
    match guest {
        Some(guest) => guest.asked_to_leave().await,
        None => std::future::pending().await,
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
    pub peer: Peer,
    /// The firmware that the driver was made for; empty if none was known.
    pub firmware: String,
    pub silence: Silence,
    pub fate: mpsc::UnboundedSender<(MessageId, Settled)>,
    /// Messages that the share has no room for yet. At most what one read holds.
    pub outbox: VecDeque<Message>,
    /// Messages whose fate is not known yet.
    pub waiting: usize,
    /// What came since the driver last had anything to say.
    pub unread_bytes: usize,
    pub has_spoken: bool,
    /// The port saw damage, and nothing whole came since.
    pub line_damaged: bool,
}

/// Watches for a device that is connected and says nothing.
pub(super) struct Silence {
    after_ms: u64,
    /// A gap is open.
    pub begun: bool,
}

impl Silence {
    fn new(after_ms: u64) -> Self {
        Self { after_ms, begun: false }
    }

    /// When the device counts as silent, if it is not known to be already.
    pub fn next_wake(&self, last_byte: Moment) -> Option<Moment> {
        (!self.begun).then(|| last_byte.plus_ms(self.after_ms))
    }
}

impl Conversation {
    pub fn is_full(&self) -> bool {
        !self.outbox.is_empty()
    }

    pub fn settle(&mut self, id: MessageId, how: Settled) {
        if id.session == self.session {
            self.waiting = self.waiting.saturating_sub(1);
            self.driver.settled(id, how, clock::now());
        }
    }
}

pub(super) async fn sleep_until(wake: Option<Moment>) {
    if let Some(wake) = wake {
        let wait_ms = wake.since_ms(clock::now());
        tokio::time::sleep(Duration::from_millis(wait_ms.saturating_add(1))).await;
    }
}
