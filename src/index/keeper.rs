//! The thread that keeps the index: it follows the journal, takes away what is freed, answers, and
//! builds anew whatever is odd.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::answer::{Ask, Page};
use super::keys::{self, CAME_FROM, Covers, Row, TRENDS};
use super::shelf::{Odd, OpenSled, Shelf};
use super::trends::Range;
use super::{BATCH_ROWS_MAX, Options};
use crate::journal::{Error, Read, give_way};
use crate::vocabulary::Sequence;

/// What is read without a pause.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 1 << 20;
/// The shortest pause, and how many times as long as the step before it it is at least: building
/// takes a small part of one core, and a smaller one while devices wait, or where the processor is
/// short and steps are slow.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_TIMES: u32 = 5;
const PAUSE_TIMES_CROWDED: u32 = 20;
/// How often it is looked whether there is something new.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long after an index that could not be built another one is tried; twice as long each time.
const TRY_AGAIN: Duration = Duration::from_secs(5);
const TRY_AGAIN_MAX: Duration = Duration::from_secs(600);

/// What a person sees of the index in the status.
#[derive(Debug, Default)]
pub struct Shown {
    /// Every record up to this one is in it.
    pub through: AtomicU64,
    /// It has not caught up since it was opened.
    pub rebuilding: AtomicBool,
    /// How often it was thrown away since the start.
    pub thrown_away: AtomicU64,
    /// Records that the key does not open: they are in no answer.
    pub unreadable: AtomicU64,
    /// Why there is none, or why the last one was thrown away.
    trouble: Mutex<String>,
}

impl Shown {
    /// Why there is none, or why the last one was thrown away; empty if nothing was.
    pub fn trouble(&self) -> String {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, what: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }
}

pub(super) enum Mail {
    Ask(Box<Ask>, SyncSender<Page>),
    /// Where a record is carried forward.
    Carried(u64, SyncSender<Option<u64>>),
    /// An answer of this generation was not what the journal says.
    Odd(u64),
    Stop,
}

/// Answers look-ups; see `look`.
#[derive(Clone)]
pub struct Index {
    pub(super) options: Options,
    pub(super) mail: Sender<Mail>,
    pub(super) shown: Arc<Shown>,
}

impl Index {
    /// Starts the thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(options: Options) -> io::Result<(Self, IndexThread)> {
        Self::start_with(options, |config| config.open())
    }

    pub(super) fn start_with(options: Options, open: OpenSled) -> io::Result<(Self, IndexThread)> {
        let (mail, received) = mpsc::channel();
        let shown = Arc::new(Shown::default());
        shown.rebuilding.store(true, Ordering::Relaxed);
        let keeper = Keeper {
            covers: Covers::nothing(options.reader.stream(), &options.hasher),
            options: options.clone(),
            open,
            shown: Arc::clone(&shown),
            held: None,
            generation: 0,
            failures: 0,
            journal_failed: false,
        };
        let thread = std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || keeper.serve(&received))?;
        let stopping = mail.clone();
        Ok((Self { options, mail, shown }, IndexThread { mail: stopping, thread }))
    }

    /// What a person sees of it.
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown)
    }
}

/// The running thread. It ends when it is stopped, or when nobody can ask any more.
pub struct IndexThread {
    mail: Sender<Mail>,
    thread: JoinHandle<()>,
}

impl IndexThread {
    /// Stops it in order, so that it need not be built anew, and waits for that. It takes as long
    /// as the disk does.
    pub fn stop(self) {
        // One that has died need not be told.
        let _ = self.mail.send(Mail::Stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread of the index has died");
        }
    }
}

struct Keeper {
    options: Options,
    open: OpenSled,
    covers: Covers,
    shown: Arc<Shown>,
    held: Option<Held>,
    generation: u64,
    /// How often in a row an index did not even catch up.
    failures: u32,
    journal_failed: bool,
}

/// An index that is in use.
pub(super) struct Held {
    pub shelf: Shelf,
    pub through: u64,
    /// The trends that have no row yet.
    pub range: Range,
    /// What was freed before this sequence is taken away.
    pruned: u64,
    pub caught_up: bool,
    pub generation: u64,
}

/// Why a step was not made.
enum Failure {
    Odd(Odd),
    Journal(Error),
}

impl From<Odd> for Failure {
    fn from(odd: Odd) -> Self {
        Self::Odd(odd)
    }
}

impl Keeper {
    fn serve(mut self, mailbox: &Receiver<Mail>) {
        give_way();
        let mut next = Instant::now();
        loop {
            match mailbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Mail::Ask(ask, reply)) => {
                    let page = self.page(&ask);
                    // Whoever asked may have gone.
                    let _ = reply.send(page);
                }
                Ok(Mail::Carried(sequence, reply)) => {
                    let _ = reply.send(self.carried(sequence));
                }
                Ok(Mail::Odd(generation)) => {
                    if self.held.as_ref().is_some_and(|held| held.generation == generation) {
                        next = Instant::now() + self.throw_away(&Odd::Answer);
                    }
                }
                Ok(Mail::Stop) | Err(RecvTimeoutError::Disconnected) => return self.stop(),
                Err(RecvTimeoutError::Timeout) => next = Instant::now() + self.step(),
            }
        }
    }

    fn stop(self) {
        let Some(held) = self.held else { return };
        let last_words = held.range.row().into_iter().collect();
        let closed = held.shelf.write(last_words).and_then(|()| held.shelf.close());
        if let Err(why) = closed {
            tracing::warn!(%why, "the index was not stopped in order: it is built anew");
        }
    }

    /// Goes a little further; when to go on.
    fn step(&mut self) -> Duration {
        let Some(mut held) = self.held.take() else { return self.begin() };
        let began = Instant::now();
        let made = self.advance(&mut held);
        self.held = Some(held);
        match made {
            Ok(more) => {
                self.journal_failed = false;
                let crowded = self.options.reader.is_crowded();
                let times = if crowded { PAUSE_TIMES_CROWDED } else { PAUSE_TIMES };
                let pause = PAUSE.max(began.elapsed() * times).min(LOOK_EVERY);
                if more { pause } else { LOOK_EVERY }
            }
            Err(Failure::Odd(why)) => self.throw_away(&why),
            Err(Failure::Journal(error)) => {
                if !self.journal_failed {
                    tracing::warn!(%error, "the index cannot read the journal now");
                }
                self.journal_failed = true;
                TRY_AGAIN
            }
        }
    }

    /// When to try another one.
    fn throw_away(&mut self, why: &Odd) -> Duration {
        self.held = None;
        tracing::warn!(%why, "the index is thrown away and built anew from the journal");
        self.shown.set_trouble(why.to_string());
        self.shown.thrown_away.fetch_add(1, Ordering::Relaxed);
        self.shown.rebuilding.store(true, Ordering::Relaxed);
        self.shown.through.store(0, Ordering::Relaxed);
        self.failures += 1;
        match self.failures {
            1 => Duration::ZERO,
            many => TRY_AGAIN.saturating_mul(1 << many.min(10)).min(TRY_AGAIN_MAX),
        }
    }

    /// Opens what was left, or begins anew.
    fn begin(&mut self) -> Duration {
        let folder = &self.options.folder;
        let durable = self.options.reader.durable().map_or(0, Sequence::number);
        // What was thrown away in this run is not looked at again.
        let left = if self.generation == 0 {
            Shelf::open(folder, &self.covers, self.open)
        } else {
            Err(Odd::Missing)
        };
        let left = match left {
            Ok((_, through)) if through > durable => Err(Odd::Other),
            other => other,
        };
        self.generation += 1;
        let begun = match left {
            Err(why) => {
                if self.generation == 1 && !matches!(why, Odd::Missing) {
                    tracing::warn!(%why, "the index is built anew from the journal");
                    self.shown.set_trouble(why.to_string());
                    self.shown.thrown_away.fetch_add(1, Ordering::Relaxed);
                }
                Shelf::anew(folder, &self.covers, self.open).map(|shelf| (shelf, 0))
            }
            other => other,
        };
        match begun {
            Ok((shelf, through)) => {
                self.shown.through.store(through, Ordering::Relaxed);
                self.held = Some(Held {
                    shelf,
                    through,
                    range: Range::from(through + 1),
                    pruned: 0,
                    caught_up: false,
                    generation: self.generation,
                });
                Duration::ZERO
            }
            Err(why) => self.throw_away(&why),
        }
    }

    /// Takes in a part of what is durable and takes away a part of what is freed; whether there is
    /// more to do.
    fn advance(&mut self, held: &mut Held) -> Result<bool, Failure> {
        held.shelf.is_there()?;
        let more = self.follow(held)?;
        let freed = self.prune(held)?;
        if !more && !held.caught_up {
            held.caught_up = true;
            self.failures = 0;
            self.shown.rebuilding.store(false, Ordering::Relaxed);
            tracing::info!(through = held.through, "the index is complete");
        }
        self.shown.through.store(held.through, Ordering::Relaxed);
        Ok(more || freed)
    }

    fn follow(&mut self, held: &mut Held) -> Result<bool, Failure> {
        let Some(from) = Sequence::new(held.through + 1) else { return Ok(false) };
        let read = match self.options.reader.read_from(from, READ_RECORDS, READ_BYTES) {
            Ok(read) => read,
            Err(Error::KeyFault(sequence) | Error::NeedsKey { sequence, .. }) => {
                return self.pass_over(held, from, sequence);
            }
            Err(error) => return Err(Failure::Journal(error)),
        };
        if read.next == from {
            return Ok(false);
        }
        self.take(held, &read)?;
        Ok(true)
    }

    /// One record is not opened by the key: those before it are taken, and then it is passed over.
    fn pass_over(
        &mut self,
        held: &mut Held,
        from: Sequence,
        sealed: Sequence,
    ) -> Result<bool, Failure> {
        let before = usize::try_from(sealed.number() - from.number()).unwrap_or(usize::MAX);
        if before == 0 {
            self.shown.unreadable.fetch_add(1, Ordering::Relaxed);
            self.write(held, Vec::new(), sealed.number())?;
            return Ok(true);
        }
        let read = self.options.reader.read_from(from, before, READ_BYTES);
        self.take(held, &read.map_err(Failure::Journal)?)?;
        Ok(true)
    }

    fn take(&self, held: &mut Held, read: &Read) -> Result<(), Odd> {
        let mut rows: Vec<Row> = Vec::new();
        for record in &read.records {
            let place = record.sequence.number();
            let entry = (self.options.describe)(record);
            let new = keys::rows(&entry, place, &self.options.hasher);
            // With a row of trends and the one that says what is covered.
            if !rows.is_empty() && rows.len() + new.len() + 2 > BATCH_ROWS_MAX {
                self.write(held, std::mem::take(&mut rows), place - 1)?;
            }
            rows.extend(new);
            held.range.take(&entry, place, &self.options.hasher);
            if held.range.is_full() {
                rows.extend(held.range.row());
                held.range = Range::from(place + 1);
            }
        }
        self.write(held, rows, read.next.number() - 1)
    }

    fn write(&self, held: &mut Held, mut rows: Vec<Row>, through: u64) -> Result<(), Odd> {
        rows.push(Covers { through, ..self.covers }.row());
        held.shelf.write(rows)?;
        held.through = through;
        Ok(())
    }

    /// Takes away a part of what was freed; whether there is more.
    fn prune(&self, held: &mut Held) -> Result<bool, Odd> {
        let first = self.options.reader.first().number();
        if held.pruned >= first {
            return Ok(false);
        }
        let mut rows: Vec<Row> = Vec::new();
        let shelf = &held.shelf;
        let (from, behind) = (keys::numbered(CAME_FROM, 0), keys::numbered(CAME_FROM, first));
        shelf.visit((&from, &behind), false, |key, value| {
            for named in keys::listed(value).ok_or(Odd::Word)? {
                let place = keys::numbers(key.get(1..).unwrap_or_default()).ok_or(Odd::Word)?.0;
                // A record that is carried forward has its rows already for the newer place.
                let there = shelf.get(named)?.and_then(|value| keys::numbers(&value));
                if there.is_some_and(|(there, _)| there == place) {
                    rows.push((named.to_vec(), None));
                }
            }
            rows.push((key.to_vec(), None));
            Ok(rows.len() < BATCH_ROWS_MAX)
        })?;
        let (from, behind) = (keys::numbered(TRENDS, 0), keys::numbered(TRENDS, first));
        shelf.visit((&from, &behind), false, |key, value| {
            let range = Range::read(key, value).ok_or(Odd::Word)?;
            if range.last < first {
                rows.push((key.to_vec(), None));
            }
            Ok(rows.len() < BATCH_ROWS_MAX)
        })?;
        if rows.is_empty() {
            held.pruned = first;
            return Ok(false);
        }
        shelf.write(rows)?;
        Ok(true)
    }

    fn page(&mut self, ask: &Ask) -> Page {
        let Some(held) = &self.held else { return Page::default() };
        match Page::of(held, ask, &self.options.hasher) {
            Ok(page) => page,
            Err(why) => {
                self.throw_away(&why);
                Page::default()
            }
        }
    }

    fn carried(&mut self, sequence: u64) -> Option<u64> {
        let held = self.held.as_ref()?;
        match held.shelf.get(&keys::numbered(keys::CARRIED, sequence)) {
            Ok(value) => Some(keys::numbers(&value?)?.0),
            Err(why) => {
                self.throw_away(&why);
                None
            }
        }
    }
}
