//! The committer's way to the journal: batches in order, the checkpoint first where a segment
//! begins, patience while the queue is full, and a word when the door is shut.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Begin, Committer};
use crate::journal::{Appender, Done, Door, Kind, NewRecord, Refused as JournalRefused};
use crate::protocol::NotKept;
use crate::vocabulary::Sequence;

impl Committer {
    pub(in crate::gateway) async fn append_one(
        &mut self,
        kind: Kind,
        time_us: i64,
        payload: Vec<u8>,
    ) -> Option<Sequence> {
        let record = NewRecord { kind, time_us, payload };
        self.append(vec![record], Box::new(|_| ())).await.ok()
    }

    /// Hands a batch over whose records do not lean on their own sequence; the checkpoint comes
    /// first where a segment begins.
    pub(in crate::gateway) async fn append(
        &mut self,
        records: Vec<NewRecord>,
        done: Done,
    ) -> Result<Sequence, NotKept> {
        self.make_way(&records, 0).await;
        self.hand_over(records, done, Begin::Wherever).await
    }

    /// Writes the checkpoint if these records, which may still grow by `more` bytes, begin a
    /// segment.
    pub(in crate::gateway) async fn make_way(&mut self, records: &[NewRecord], more: usize) {
        if self.appender.begins_segment(records, more) {
            let time_us = records.first().map_or(0, |record| record.time_us);
            self.checkpoint(Begin::Segment, time_us).await;
        }
    }

    /// Hands a batch over, waiting for room in the queue.
    pub(in crate::gateway) async fn hand_over(
        &mut self,
        mut records: Vec<NewRecord>,
        mut done: Done,
        begin: Begin,
    ) -> Result<Sequence, NotKept> {
        let bytes = Appender::bytes_of(&records) as u64;
        loop {
            let freed = Arc::clone(&self.room);
            let freed = freed.freed.notified();
            let taken = match begin {
                Begin::Wherever => self.appender.try_append(records, done),
                Begin::Segment => self.appender.try_begin_segment(records, done),
            };
            match taken {
                Ok(sequence) => {
                    self.room.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
                    return Ok(sequence);
                }
                Err(JournalRefused::Full { records: back, done: back_done }) => {
                    (records, done) = (back, back_done);
                    freed.await;
                }
                Err(JournalRefused::NotOpen { door, .. }) => {
                    self.door_shut(door);
                    return Err(NotKept::NoStorage);
                }
                Err(JournalRefused::Size { bytes, max }) => {
                    tracing::warn!(bytes, max, "a message is larger than a record may be");
                    return Err(NotKept::TooLarge);
                }
            }
        }
    }

    pub(in crate::gateway) fn door_shut(&self, door: Door) {
        if !self.room.shut.swap(true, Ordering::Relaxed) {
            tracing::error!(?door, "the journal takes nothing: no device is acknowledged any more");
            self.room.shut_now.notify_one();
        }
    }
}
