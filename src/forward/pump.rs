//! What every binding does alike: reads the journal into the window, keeps the cursor, judges
//! answers, and makes connections anew after they are lost.
//!
//! A binding is what speaks to the receiver: it makes a message of a record and holds one
//! connection at a time. One task owns the [`Pump`] and its binding, so a destination that is slow
//! or dead costs nobody else anything.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::acknowledgement::{Acknowledgement, Have};
use super::cursor::{self, CursorError, CursorFile, Found, State};
use super::earlier::Chain;
use super::proof::Proof;
use super::ranges::Ranges;
use super::renewal::Renewal;
use super::stored::{Rendered, Stored, Written};
use super::tls::TlsFiles;
use super::window::{Effect, Order, Pace, Verdict, Window};
use super::{Aside, Command, Counters, Notice, Recorded, Unavailable};
use crate::journal::{Disk, Missing, Reader, Storage};
use crate::vocabulary::{RecordId, Sequence, StreamId};

mod noted;
mod proving;
mod reading;
mod saving;

/// The first wait before connecting again; it doubles.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
/// The longest wait: a core that is back is found within half a minute.
const RECONNECT_AFTER_MAX: Duration = Duration::from_secs(30);
/// A connection that stood so long starts the waits anew.
const CONNECTION_PROVEN: Duration = Duration::from_secs(30);

/// The journal is crowded and empty in turns while many devices wait: between two groups of its
/// commits. A crowd is over when it was not seen so often.
const CALM: u32 = 8;

/// How often what waits is counted while there is no connection.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// With a word for the log that holds no data.
    Lost(String),
}

/// What speaks to a receiver.
pub trait Binding: Send + 'static {
    /// What is sent of one record; it holds whatever is needed to send it again, byte for byte.
    type Message: Send + Sync + 'static;

    /// What the receiver gets of a record.
    fn message(&mut self, outbound: &Outbound<'_>) -> Fate<Self::Message>;

    /// The TLS files that connections are made with; one is made anew when they are replaced.
    fn files(&self) -> TlsFiles {
        TlsFiles::default()
    }

    /// One connection, from its beginning to its end. It asks the pump for what is due and tells
    /// it what was answered.
    fn session(
        &mut self,
        pump: &mut Pump<Self::Message>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> impl Future<Output = Ended> + Send;
}

/// A record that the committer routed to this destination, as the journal holds it.
#[derive(Clone, Debug)]
pub struct Outbound<'a> {
    pub written: Written<'a>,
    pub stream: StreamId,
    pub sequence: Sequence,
    /// When it was kept, microseconds since 1970 UTC.
    pub time_us: i64,
    /// The name of the destination.
    pub destination: &'a str,
    /// The gateway's `urn:uuid:` or `urn:oid:`.
    pub source: &'a str,
}

impl Outbound<'_> {
    /// The record as a CloudEvent.
    pub fn event(&self) -> Option<Rendered> {
        self.written.render(self.stream, self.sequence, self.source, self.destination)
    }

    /// The same, read whole, for a binding that looks into it; `None` for what is damaged.
    pub fn routed(&self) -> Option<Routed> {
        Some(Routed {
            stored: self.written.stored()?,
            stream: self.stream,
            sequence: self.sequence,
            time_us: self.time_us,
            destination: self.destination.to_owned(),
            source: self.source.to_owned(),
        })
    }

    /// The record that this one states something about again.
    fn names(&self) -> Option<u64> {
        let named = self.written.text("corrects").or_else(|| self.written.text("names"))?;
        let named = RecordId::parse(&named).ok()?;
        named.is_of(self.stream).then(|| named.sequence().number())
    }
}

/// A record that the committer routed to this destination, read whole.
#[derive(Clone, Debug)]
pub struct Routed {
    pub stored: Stored,
    pub stream: StreamId,
    pub sequence: Sequence,
    /// When it was kept, microseconds since 1970 UTC.
    pub time_us: i64,
    /// The name of the destination.
    pub destination: String,
    /// The gateway's `urn:uuid:` or `urn:oid:`.
    pub source: String,
}

impl Routed {
    /// The record's id.
    pub fn id(&self) -> RecordId {
        RecordId::of(self.stream, self.sequence)
    }
}

/// What becomes of a record at one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate<M> {
    /// It is sent; `bytes` is what it costs in memory until it is acknowledged.
    Send { message: M, bytes: usize },
    /// It can never be sent here, for this reason: a short word for people and for the cursor.
    SetAside(&'static str),
    /// This binding has nothing to say of such records.
    NotForHere,
    /// What the journal gave is not what it should be.
    Damaged,
}

/// What a destination is called, and where its cursor is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its name in routes, topics and the cursor's file name.
    pub name: String,
    /// The gateway's `urn:uuid:` or `urn:oid:`.
    pub source: String,
    /// The folder of the cursor files.
    pub cursors: PathBuf,
    /// The `receiver_id`s whose answers count.
    pub receivers: Vec<String>,
    pub pace: Pace,
}

/// The records of one destination between the journal and its receiver.
pub struct Pump<M> {
    settings: Settings,
    pub(super) reader: Reader,
    pub(super) counters: Arc<Counters>,
    pub(super) window: Window<M>,
    pub(super) cursor: Arc<Mutex<CursorFile>>,
    /// What the cursor file holds.
    saved: State,
    /// Its `unsent`, as a set.
    saved_unsent: Ranges,
    required: bool,
    low_water: watch::Sender<u64>,
    unavailable: Option<mpsc::UnboundedSender<Unavailable>>,
    notices: Option<mpsc::UnboundedSender<Notice>>,
    answer: mpsc::UnboundedSender<(Aside, i64)>,
    answers: mpsc::UnboundedReceiver<(Aside, i64)>,
    commands: Option<mpsc::UnboundedReceiver<Command>>,
    /// What goes there of the time before it came.
    earlier: Option<Chain>,
    /// What answered manifests prove, where only they do.
    proof: Option<Proof>,
    /// What was told as unavailable.
    told: Ranges,
    /// The ranges of it whose gap records are not durable yet.
    unrecorded: Vec<(Missing, Recorded)>,
    /// How often in a row the journal was not crowded.
    calm: u32,
    /// Since when the cursor cannot be written.
    broken_at: Option<Instant>,
    /// When a promise was last written.
    promised_at: Instant,
    /// What `now_ms` counts from.
    began: Instant,
}

impl<M: Send + Sync + 'static> Pump<M> {
    /// Opens the cursor.
    ///
    /// # Errors
    /// The cursor file cannot be made, read or written.
    pub fn open(
        settings: Settings,
        reader: Reader,
        counters: Arc<Counters>,
    ) -> Result<Self, CursorError> {
        let folder = Disk::open_existing(&settings.cursors)?;
        Self::open_in(Arc::new(folder), settings, reader, counters)
    }

    /// As [`Pump::open`], with the cursor in a folder of any storage.
    ///
    /// # Errors
    /// The cursor file cannot be made, read or written.
    pub fn open_in(
        cursors: Arc<dyn Storage>,
        settings: Settings,
        reader: Reader,
        counters: Arc<Counters>,
    ) -> Result<Self, CursorError> {
        let (cursor, found) = CursorFile::open_in(cursors, &settings.name)?;
        let state = starting_state(found, &reader);
        let window = Window::new(state.clone(), settings.receivers.clone(), settings.pace);
        let (low_water, _) = watch::channel(state.let_go_through());
        let earlier = state.earlier.map(|saved| Chain::new(settings.name.clone(), saved));
        let (answer, answers) = mpsc::unbounded_channel();
        tracing::info!(
            destination = settings.name,
            stream = %reader.stream(),
            low_water = state.low_water,
            highest_sent = state.highest_sent,
            "destination opened"
        );
        Ok(Self {
            settings,
            reader,
            counters,
            window,
            cursor: Arc::new(Mutex::new(cursor)),
            saved_unsent: state.unsent.iter().copied().collect(),
            required: state.required,
            saved: state,
            low_water,
            unavailable: None,
            notices: None,
            answer,
            answers,
            commands: None,
            earlier,
            proof: None,
            told: Ranges::default(),
            unrecorded: Vec::new(),
            calm: CALM,
            broken_at: None,
            promised_at: Instant::now(),
            began: Instant::now(),
        })
    }

    /// Says what this destination needs and cannot get any more, for the gap records.
    #[must_use]
    pub fn telling(self, unavailable: mpsc::UnboundedSender<Unavailable>) -> Self {
        Self { unavailable: Some(unavailable), ..self }
    }

    /// Says what is set aside: that stands in the journal before it takes effect.
    #[must_use]
    pub fn noting(self, notices: mpsc::UnboundedSender<Notice>) -> Self {
        Self { notices: Some(notices), ..self }
    }

    /// Follows what a person asks.
    #[must_use]
    pub fn following(self, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self { commands: Some(commands), ..self }
    }

    /// Whether live data may overtake a backlog, and whether the cursor file says that the journal
    /// keeps records for this destination.
    #[must_use]
    pub fn agreed(mut self, order: Order, required: bool) -> Self {
        self.window.set_order(order);
        self.required = required;
        self
    }

    /// Whether it holds back while devices wait.
    pub(super) fn holds_back(&self) -> bool {
        self.calm < CALM
    }

    /// Every record up to this sequence is done here, proven where that needs a proof, and the
    /// cursor that says so is durable.
    pub fn low_water(&self) -> watch::Receiver<u64> {
        self.low_water.subscribe()
    }

    /// The destination's name.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Sends what becomes durable (`durable` holds the last durable sequence) until `stop` holds
    /// true or its sender is gone; then saves the cursor. Whatever fails meanwhile, be it the
    /// network, a TLS file that is being replaced or a read of the journal, is a lost connection
    /// and is tried again.
    pub async fn run<B: Binding<Message = M>>(
        mut self,
        mut binding: B,
        mut durable: watch::Receiver<u64>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut wait = RECONNECT_AFTER;
        let _ = self.counters.files.set(binding.files());
        // What the configuration says of holding is on disk before anything else happens.
        self.save().await;
        self.count(self.reader.durable().map_or(0, Sequence::number));
        loop {
            let connected_at = Instant::now();
            let (renewal, mut until) = Renewal::watch(binding.files(), &stop);
            let ended = binding.session(&mut self, &mut durable, &mut until).await;
            let renewed = renewal.came();
            self.counters.connected.store(false, Ordering::Relaxed);
            match ended {
                Ended::Stopped if renewed => {
                    tracing::info!(destination = self.settings.name, "TLS files were replaced");
                    continue;
                }
                Ended::Stopped => break,
                Ended::Lost(why) => self.lost(why),
            }
            if connected_at.elapsed() > CONNECTION_PROVEN {
                wait = RECONNECT_AFTER;
            }
            let jitter = wait.mul_f64(0.25 * (chance() % 1000) as f64 / 1000.0);
            self.promise().await;
            self.obey().await;
            if self.rest(&durable, &mut stop, wait + jitter).await {
                break;
            }
            wait = (wait * 2).min(RECONNECT_AFTER_MAX);
        }
        // The last word before the box may find its disk read-only.
        let state = self.state();
        if state != self.saved {
            self.write(state).await;
        }
    }

    /// Waits before the next connection; whether it is told to stop. What is to be sent grows
    /// meanwhile, and `status` says so, whether or not there was ever a connection.
    async fn rest(
        &self,
        durable: &watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
        time: Duration,
    ) -> bool {
        let until = Instant::now() + time;
        loop {
            self.count(*durable.borrow());
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            if stopped_within(stop, left.min(COUNT_EVERY)).await {
                return true;
            }
        }
    }

    fn lost(&self, why: String) {
        Counters::add(&self.counters.losses, 1);
        tracing::warn!(destination = self.settings.name, why, "connection lost");
        *self.counters.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// There is a connection: whatever is in flight is due again at once.
    pub(super) fn connected(&mut self) {
        self.counters.trouble.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Counters::add(&self.counters.connections, 1);
        self.counters.connected.store(true, Ordering::Relaxed);
        tracing::info!(destination = self.settings.name, "connected");
        self.window.reconnected();
        self.ask_again();
    }

    /// Milliseconds since this destination was opened: the window's time.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Hands what is due to `send`, oldest first, until it says no, and counts it.
    pub(super) fn send_due(&mut self, send: impl FnMut(&M) -> bool) {
        let now_ms = self.now_ms();
        let (first, again) = self.window.send_due(now_ms, chance, send);
        Counters::add(&self.counters.sent, first);
        Counters::add(&self.counters.resent, again);
    }

    /// What is due, for a binding that sends and waits for the answer; at most `most` records. They
    /// count as sent.
    pub(super) fn take_due(&mut self, most: usize) -> Vec<(u64, M)>
    where
        M: Clone,
    {
        let (taken, first, again) = self.window.take_due(self.now_ms(), chance, most);
        Counters::add(&self.counters.sent, first);
        Counters::add(&self.counters.resent, again);
        taken
    }

    /// The same, the records of one lane strictly one after another.
    pub(super) fn take_due_by_lane(
        &mut self,
        most: usize,
        lane: impl Fn(&M) -> &str,
    ) -> Vec<(u64, M)>
    where
        M: Clone,
    {
        let now_ms = self.now_ms();
        let (taken, first, again) = self.window.take_due_by_lane(now_ms, chance, most, lane);
        Counters::add(&self.counters.sent, first);
        Counters::add(&self.counters.resent, again);
        taken
    }

    /// What the receiver said of one record that was sent and waited for.
    pub(super) fn settle(&mut self, sequence: u64, verdict: Verdict) {
        let Some(sequence) = Sequence::new(sequence) else { return };
        let effect = self.window.settle(sequence, verdict, self.now_ms(), chance());
        self.count_effect(&effect);
        self.disbelieve(effect.disbelieved.iter().map(|why| format!("{why:?}")).collect());
    }

    /// Applies an acknowledgement, in JSON.
    pub(super) fn hear_acknowledgement(&mut self, json: &[u8]) {
        let disbelieved = match Acknowledgement::parse(json) {
            Ok(answer) => self.acknowledged(&answer),
            Err(error) => vec![error.to_string()],
        };
        self.disbelieve(disbelieved);
    }

    /// Follows what a restored receiver has, in JSON.
    pub(super) fn hear_have(&mut self, json: &[u8]) {
        let disbelieved = match Have::parse(json) {
            Ok(have) => self.window.have(&have).err().map(|why| format!("{why:?}")),
            Err(error) => Some(error.to_string()),
        };
        self.disbelieve(disbelieved.into_iter().collect());
    }

    /// Applies an answer; gives what of it was not believed.
    pub(super) fn acknowledged(&mut self, answer: &Acknowledgement) -> Vec<String> {
        let now_ms = self.now_ms();
        let effect = self.window.acknowledge(answer, now_ms, chance);
        self.count_effect(&effect);
        effect.disbelieved.iter().map(|why| format!("{why:?}")).collect()
    }

    fn count_effect(&mut self, effect: &Effect) {
        self.tell_asides();
        Counters::add(&self.counters.acknowledged, effect.retired);
        Counters::add(&self.counters.rejected, effect.rejected);
        Counters::add(&self.counters.set_aside, effect.set_aside);
    }

    /// Counts and logs what was not believed.
    pub(super) fn disbelieve(&self, disbelieved: Vec<String>) {
        Counters::add(&self.counters.refused_acknowledgements, disbelieved.len());
        for why in disbelieved {
            tracing::warn!(destination = self.settings.name, why, "answer not believed");
        }
    }

    /// Brings the figures of `status` up to date.
    pub(super) fn count(&self, durable: u64) {
        let backlog = durable.saturating_sub(self.window.low_water());
        self.counters.backlog.store(backlog, Ordering::Relaxed);
        let oldest = self.window.oldest_time_us().unwrap_or(0);
        self.counters.oldest_unacknowledged_us.store(oldest, Ordering::Relaxed);
        self.count_aside();
        self.count_proof();
    }
}

/// A lost cursor cannot say what was sent, so everything that is durable may have been. A
/// destination without one is new, and nothing that was freed before it came was for it.
fn starting_state(found: Found, reader: &Reader) -> State {
    let fresh = State::start(reader.stream());
    match found {
        Found::State(state) if state.stream == fresh.stream => state,
        Found::State(_) => fresh,
        Found::New => State { low_water: reader.first().number() - 1, ..fresh },
        Found::Lost => {
            let highest_sent = reader.durable().map_or(0, |durable| durable.number());
            State { highest_sent, ..fresh }
        }
    }
}

/// The highest sequences that left the box, from all cursor files, for
/// [`crate::journal::Options::highest_known`].
///
/// # Errors
/// A cursor file is there and cannot be read.
pub fn highest_sent(
    cursors: &dyn Storage,
    destinations: &[&str],
) -> Result<Vec<(StreamId, Sequence)>, CursorError> {
    let mut known = BTreeMap::new();
    for name in destinations {
        if let Found::State(state) = cursor::peek_in(cursors, name)? {
            let highest = known.entry(state.stream).or_insert(0);
            *highest = state.highest_sent.max(state.promised).max(*highest);
        }
    }
    let known = known.into_iter();
    Ok(known.filter_map(|(stream, highest)| Some((stream, Sequence::new(highest)?))).collect())
}

/// For jitter only: without random bytes there is none.
pub(super) fn chance() -> u64 {
    #[cfg(test)]
    if let Some(number) = super::simulated::chance() {
        return number;
    }
    getrandom::u64().unwrap_or(0)
}

/// Waits for `time` or until it is time to stop.
pub(super) async fn stopped_within(stop: &mut watch::Receiver<bool>, time: Duration) -> bool {
    match tokio::time::timeout(time, stop.wait_for(|stop| *stop)).await {
        Ok(Ok(_) | Err(_)) => true,
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests;
