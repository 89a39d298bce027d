//! The door of the journal: a bounded queue in front of one thread.
//!
//! There is no timer, unless a pace is asked for. The thread takes whatever waits, writes and syncs
//! it as one group, tells all of it, and takes what came meanwhile: a slow disk makes larger groups
//! by itself.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::format::{SEGMENT_HEADER_BYTES, record_bytes};
use super::storage::segment_name;
use super::writer::{Batch, Where, Writer};
use super::{Done, Door, Error, Failure, NewRecord, NotKept, Options, Shared, failure};
use crate::vocabulary::Sequence;

/// Why a batch was not taken. It comes back whole, with its `done` uncalled.
#[derive(thiserror::Error)]
pub enum Refused {
    /// Too much waits. A commit follows (`on_durable` is called), then there is room again.
    #[error("the journal's queue is full")]
    Full { records: Vec<NewRecord>, done: Done },
    /// The door is not open, and will not be before the journal is opened anew.
    #[error("the journal takes no batches: {door:?}")]
    NotOpen { door: Door, records: Vec<NewRecord>, done: Done },
    /// A batch must fit in half a segment and have 1 to 65535 records.
    #[error("a batch of {bytes} bytes is not from 1 record to {max} bytes")]
    Size { bytes: usize, max: usize },
}

impl std::fmt::Debug for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Refused({self})")
    }
}

/// The only writer of a journal. Dropping it closes it.
pub struct Appender {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    /// In place of the thread.
    #[cfg(test)]
    steps: Option<Arc<super::simulated::Steps>>,
    next: u64,
    /// What the active segment still holds once all that waits is written: the writer begins the
    /// next segment by the same rule.
    room: u64,
    /// The number of that segment.
    number: u64,
    /// What encryption adds to a payload.
    added: usize,
    segment_bytes: u64,
    batch_bytes_max: usize,
    waiting_bytes_max: usize,
    /// Held until the thread has ended; unlocked when dropped.
    lock: Option<File>,
}

impl Appender {
    pub(super) fn start(
        writer: Writer,
        options: &Options,
        lock: Option<File>,
    ) -> Result<Self, Error> {
        let shared = writer.shared();
        let (next, number, room) = (writer.next(), writer.number(), writer.room());
        let (segment_bytes, added) = (writer.segment_bytes(), writer.added());
        let queue = Arc::new(Queue::default());
        let mut appender = Self {
            shared,
            queue,
            thread: None,
            #[cfg(test)]
            steps: None,
            next,
            room,
            number,
            added,
            segment_bytes,
            batch_bytes_max: batch_bytes_max(options.segment_bytes),
            waiting_bytes_max: options.waiting_bytes_max.max(1),
            lock,
        };
        appender.serve(writer, options.pace)?;
        Ok(appender)
    }

    fn serve(&mut self, writer: Writer, pace: Option<Duration>) -> Result<(), Error> {
        #[cfg(test)]
        if super::simulated::is_on() {
            self.steps = Some(super::simulated::Steps::start(&self.queue, writer));
            return Ok(());
        }
        let queue = Arc::clone(&self.queue);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || queue.serve(writer, pace))
            .map_err(failure("start journal thread"))?;
        self.thread = Some(thread);
        Ok(())
    }

    /// The sequence that the first record of the next batch will get.
    pub fn next(&self) -> Sequence {
        Sequence::FIRST.plus(self.next - 1)
    }

    /// The largest batch, counted by [`Appender::bytes_of`].
    pub fn batch_bytes_max(&self) -> usize {
        self.batch_bytes_max
    }

    /// The room that a batch takes.
    pub fn bytes_of(records: &[NewRecord]) -> usize {
        Batch::bytes(records)
    }

    /// How many segments there are, with those that what waits will begin.
    pub fn segments(&self) -> u64 {
        let segments = self.shared.segments();
        let begun = segments.last().map_or(0, |last| self.number.saturating_sub(last.number));
        segments.len() as u64 + begun
    }

    /// Whether these records, which may still grow by `more` bytes, would begin a new segment.
    pub fn begins_segment(&self, records: &[NewRecord], more: usize) -> bool {
        self.written(records) + more as u64 > self.room
    }

    /// What the writer makes of these records.
    fn written(&self, records: &[NewRecord]) -> u64 {
        let bytes = |record: &NewRecord| record_bytes(record.payload.len() + self.added);
        records.iter().map(|record| bytes(record) as u64).sum()
    }

    /// As [`Appender::try_append`], for a batch that begins a segment whatever room there is: the
    /// first one of a checkpoint.
    pub fn try_begin_segment(
        &mut self,
        records: Vec<NewRecord>,
        done: Done,
    ) -> Result<Sequence, Refused> {
        self.take(records, done, Where::NewSegment)
    }

    /// Hands a batch to the writer and returns at once with the sequence of its first record; the
    /// others follow it. `done` is told the fate on the journal's thread. A batch that is refused
    /// uses no sequence.
    pub fn try_append(&mut self, records: Vec<NewRecord>, done: Done) -> Result<Sequence, Refused> {
        self.take(records, done, Where::Next)
    }

    fn take(
        &mut self,
        records: Vec<NewRecord>,
        done: Done,
        place: Where,
    ) -> Result<Sequence, Refused> {
        let bytes = Batch::bytes(&records);
        if records.is_empty()
            || records.len() > usize::from(u16::MAX)
            || bytes > self.batch_bytes_max
        {
            return Err(Refused::Size { bytes, max: self.batch_bytes_max });
        }
        let mut waiting = self.queue.lock();
        let door = self.shared.door();
        if door != Door::Open {
            return Err(Refused::NotOpen { door, records, done });
        }
        // One batch is always taken, so that a small limit cannot stop everything.
        if waiting.bytes > 0 && waiting.bytes + bytes > self.waiting_bytes_max {
            return Err(Refused::Full { records, done });
        }
        let first = self.next();
        self.next += records.len() as u64;
        let written = self.written(&records);
        let whole = self.segment_bytes.saturating_sub(SEGMENT_HEADER_BYTES);
        // A segment that holds nothing yet is begun already.
        let place = match place {
            Where::NewSegment | Where::Next if self.room == whole => Where::Next,
            Where::Next if written > self.room => Where::NewSegment,
            Where::NewSegment | Where::Next => place,
        };
        waiting.bytes += bytes;
        self.shared.waiting.fetch_add(1, Ordering::Relaxed);
        waiting.batches.push(Batch { records, done, place });
        drop(waiting);
        self.queue.wake();
        if place == Where::NewSegment {
            (self.room, self.number) = (whole, self.number + 1);
        }
        self.room = self.room.saturating_sub(written);
        Ok(first)
    }

    /// The last durable sequence, 0 for none; it only grows.
    pub fn durable(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.shared.durable)
    }

    /// Whether batches are taken, and if not, why.
    pub fn door(&self) -> Door {
        self.shared.door()
    }

    /// Removes the segments that hold nothing at or after `sequence`, never the active one, and
    /// says how many. The caller has made every cursor that this leans on durable.
    pub fn free_before(&self, sequence: Sequence) -> Result<usize, Failure> {
        let mut freed = 0;
        loop {
            let mut segments = self.shared.segments();
            let free = match segments.get(1) {
                Some(next) => next.first <= sequence,
                None => false,
            };
            if !free {
                break;
            }
            // Out of the list first: no reader may open what is about to go.
            let gone = segments.remove(0);
            drop(segments);
            let unlinked = self.shared.storage.unlink(&segment_name(gone.number));
            unlinked.map_err(failure("remove segment"))?;
            freed += 1;
        }
        if freed > 0 {
            self.shared.storage.sync_folder("").map_err(failure("sync folder"))?;
        }
        Ok(freed)
    }

    /// What waits is written at once, whatever the pace.
    pub fn hurry(&self) {
        self.queue.lock().hurries = true;
        self.queue.wake();
    }

    /// Writes and syncs what waits, tells every `done`, and ends. The folder can be opened again.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.queue.lock().closing = true;
        self.queue.wake();
        #[cfg(test)]
        if let Some(steps) = self.steps.take() {
            steps.end();
        }
        if let Some(thread) = self.thread.take() {
            // A panic in a `done` has been told to the others by the thread's guard.
            drop(thread.join());
        }
        if self.shared.door() == Door::Open {
            self.shared.set_door(Door::Closed);
        }
        drop(self.lock.take());
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.end();
    }
}

/// Half of what a segment holds: two batches always fit, so little room is wasted at its end.
fn batch_bytes_max(segment_bytes: u64) -> usize {
    let half = segment_bytes.saturating_sub(SEGMENT_HEADER_BYTES) / 2;
    usize::try_from(half).unwrap_or(usize::MAX)
}

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    /// As `changed`, for a task.
    #[cfg(test)]
    pub woken: tokio::sync::Notify,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub batches: Vec<Batch>,
    pub bytes: usize,
    closing: bool,
    /// Somebody waits for what waits.
    hurries: bool,
}

impl Queue {
    fn wake(&self) {
        self.changed.notify_one();
        #[cfg(test)]
        self.woken.notify_one();
    }

    pub fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut writer: Writer, pace: Option<Duration>) {
        let ending = Ending { queue: self, shared: writer.shared() };
        let mut begun: Option<Instant> = None;
        loop {
            if let Some(left) = pace.zip(begun).map(|(pace, at)| pace.saturating_sub(at.elapsed()))
            {
                self.rest(left);
            }
            let mut waiting = self
                .changed
                .wait_while(self.lock(), |waiting| waiting.batches.is_empty() && !waiting.closing)
                .unwrap_or_else(PoisonError::into_inner);
            begun = Some(Instant::now());
            let batches = std::mem::take(&mut waiting.batches);
            waiting.bytes = 0;
            let closing = waiting.closing;
            waiting.hurries = false;
            drop(waiting);
            writer.commit(batches);
            if closing {
                break;
            }
        }
        drop(ending);
    }

    /// Lets batches gather for so long, unless the journal is closed or somebody is in a hurry.
    fn rest(&self, left: Duration) {
        let gathers = |waiting: &mut Waiting| !waiting.closing && !waiting.hurries;
        let rested = self.changed.wait_timeout_while(self.lock(), left, gathers);
        drop(rested.unwrap_or_else(PoisonError::into_inner));
    }
}

/// However the thread ends, the door is not open afterwards and nobody waits for ever.
struct Ending<'a> {
    queue: &'a Queue,
    shared: Arc<Shared>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        if self.shared.door() == Door::Open {
            self.shared.set_door(Door::Closed);
        }
        let left = std::mem::take(&mut waiting.batches);
        drop(waiting);
        // Nobody is a crowd before a door that is shut: what is kept goes out.
        self.shared.waiting.store(0, Ordering::Relaxed);
        left.into_iter().for_each(|batch| (batch.done)(Err(NotKept::Closed)));
    }
}
