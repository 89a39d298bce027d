//! Two lanes of one destination: live beside backlog.
//!
//! A destination that is far behind (a core that was away for a day) would otherwise get today's
//! values when yesterday's are through. So the read position jumps to the journal's end, and what
//! was jumped over is a hole that the backlog lane drains from its oldest record. Each lane has
//! half of the room in flight, and they send in turns. Order is kept within each lane.
//!
//! A record that states something of an observation that an earlier record stated waits until that
//! one is done here: in its place in the backlog if the earlier one is still to be read, else in
//! flight without being sent.
//!
//! What was jumped over, and what waits, was surely not sent: an acknowledgement of it is not
//! believed. So it says in the cursor file, and is taken from there before it is sent.

use super::{IN_FLIGHT_BYTES_MAX, IN_FLIGHT_RECORDS_MAX, InFlight, Window};
use crate::forward::acknowledgement::Range;
use crate::forward::cursor::UNSENT_RANGES_MAX;
use crate::forward::ranges::Ranges;

/// Further behind than this many sequences, live data overtake: what is in flight twice over.
pub const BEHIND: u64 = 2 * IN_FLIGHT_RECORDS_MAX as u64;
/// Holes and waiting records before the live lane waits, too: those in flight still fit on disk.
const HOLES_MAX: usize = UNSENT_RANGES_MAX - 2 * IN_FLIGHT_RECORDS_MAX;

/// Whether live data may overtake a backlog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// They may.
    #[default]
    Lanes,
    /// Everything goes in the order of the journal.
    Strict,
}

/// What to read next, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub from: u64,
    /// What lies above is not for this reading.
    pub until: u64,
    pub records: usize,
    pub bytes: usize,
}

impl<M> Window<M> {
    /// Sets the order.
    pub fn set_order(&mut self, order: Order) {
        self.order = order;
    }

    /// How many records and bytes may be put in flight, if any.
    pub fn room(&self) -> Option<(usize, usize)> {
        self.room_of(0..=u64::MAX, 1)
    }

    /// What to read next of a journal that is durable up to `durable`, if there is room and
    /// anything to read. Jumps to the end if that is far away.
    pub fn reading(&mut self, durable: u64) -> Option<Reading> {
        if self.order == Order::Lanes && durable >= self.next.saturating_add(BEHIND) {
            self.jump(durable);
        }
        let Some((first, last)) = self.holes.first() else {
            let (records, bytes) = self.room().filter(|_| self.next <= durable)?;
            return Some(Reading { from: self.next, until: durable, records, bytes });
        };
        let live = self.room_of(self.live_from..=u64::MAX, 2);
        let live = live.filter(|_| self.next <= durable && self.holes.len() < HOLES_MAX);
        if let Some((records, bytes)) = live {
            return Some(Reading { from: self.next, until: durable, records, bytes });
        }
        let below = 0..=self.live_from.saturating_sub(1);
        let (records, bytes) = self.room_of(below, 2)?;
        Some(Reading { from: first, until: last, records, bytes })
    }

    /// Everything up to `sequence`, from where a reading began, that is not in flight is not for
    /// here (not routed, accepted before, or not readable).
    pub fn pass(&mut self, sequence: u64) {
        match self.holes.first() {
            // The live lane passes some twice; those lie above the lowest hole.
            Some((first, last)) if (first..=last).contains(&sequence) => {
                self.holes.remove(first..=sequence);
                self.unsent.remove(first..=sequence);
            }
            Some(_) | None if sequence >= self.next => {
                self.unsent.remove(self.next..=sequence);
                self.next = sequence + 1;
            }
            Some(_) | None => {}
        }
        if self.holes.is_empty() {
            self.live_from = 0;
        }
        self.ahead.forget_below(self.next());
    }

    /// Puts a record in flight. If it states something of an observation that the record `names`
    /// stated and that one is not done here, it waits.
    pub fn put_after(
        &mut self,
        sequence: u64,
        message: M,
        bytes: usize,
        time_us: i64,
        names: Option<u64>,
    ) {
        let is_unsent = sequence > self.highest_sent || self.unsent.contains(sequence);
        let named = names.filter(|named| *named < sequence);
        let comes_later = named.is_some_and(|named| self.holes.contains(named));
        self.pass(sequence);
        if comes_later {
            // In its place in the backlog, behind the one that it names.
            self.holes.add(sequence..=sequence);
        } else {
            let waits_for = named.filter(|named| self.in_flight.contains_key(named));
            self.bytes += bytes;
            self.highest_sent = self.highest_sent.max(sequence);
            let (attempts, rejections, due_ms) = (0, 0, 0);
            let record = InFlight {
                message,
                bytes,
                time_us,
                attempts,
                rejections,
                due_ms,
                waits_for,
                fresh: is_unsent,
            };
            self.in_flight.insert(sequence, record);
            if waits_for.is_none() {
                return;
            }
        }
        if is_unsent {
            self.unsent.add(sequence..=sequence);
        }
    }

    /// Lets those go whose named record is done. To be called before the state is saved.
    pub fn release(&mut self) {
        let waiting = self.in_flight.iter().filter_map(|(one, record)| {
            record.waits_for.filter(|named| !self.in_flight.contains_key(named)).map(|_| *one)
        });
        for sequence in waiting.collect::<Vec<u64>>() {
            if let Some(record) = self.in_flight.get_mut(&sequence) {
                record.waits_for = None;
            }
            self.unsent.remove(sequence..=sequence);
        }
    }

    /// Whether something goes out that a cursor with these figures says was surely not sent.
    pub fn goes_beyond(&self, highest_sent: u64, unsent: &Ranges) -> bool {
        let goes = self.in_flight.iter().filter(|(_, record)| record.waits_for.is_none());
        self.highest_sent > highest_sent
            || (!unsent.is_empty() && goes.into_iter().any(|(one, _)| unsent.contains(*one)))
    }

    /// A person wants these sent again: what of them was read and is not in flight is read anew.
    pub fn reopen(&mut self, range: Range) {
        let (first, last) = (*range.start(), (*range.end()).min(self.next - 1));
        let busy: Ranges = self.in_flight.keys().map(|one| (*one, *one)).collect();
        if first > last {
            return;
        }
        for part in busy.outside(first..=last) {
            self.ahead.remove(part.clone());
            self.holes.add(part);
        }
        if self.live_from == 0 && !self.holes.is_empty() {
            self.live_from = self.next;
        }
        self.set_aside.retain(|one| !(first..=last).contains(&one.sequence));
    }

    /// What is due, the oldest first; with two lanes in turns.
    pub(super) fn due(&self, now_ms: u64) -> Vec<u64> {
        let is_due = |record: &InFlight<M>| record.due_ms <= now_ms && record.waits_for.is_none();
        let due = self.in_flight.iter().filter(|(_, record)| is_due(record)).map(|(one, _)| *one);
        let (live, backlog): (Vec<u64>, Vec<u64>) = due.partition(|one| *one >= self.live_from);
        let (mut live, mut backlog) = (live.into_iter(), backlog.into_iter());
        let mut order = Vec::new();
        let mut live_turn = self.live_turn;
        loop {
            let next = if live_turn {
                live.next().or_else(|| backlog.next())
            } else {
                backlog.next().or_else(|| live.next())
            };
            let Some(sequence) = next else { return order };
            order.push(sequence);
            live_turn = sequence < self.live_from;
        }
    }

    fn jump(&mut self, durable: u64) {
        if self.holes.len() >= HOLES_MAX {
            return;
        }
        self.holes.add(self.next..=durable);
        self.unsent.add(self.next.max(self.highest_sent + 1)..=durable);
        self.next = durable + 1;
        self.live_from = self.next;
    }

    /// The room that a lane has: its part of all, and no more than is left.
    fn room_of(&self, lane: Range, parts: usize) -> Option<(usize, usize)> {
        let left = |all: usize, used: usize, of_lane: usize| {
            all.saturating_sub(used).min((all / parts).saturating_sub(of_lane))
        };
        let of_lane = self.in_flight.range(lane);
        let (count, size) =
            of_lane.fold((0, 0), |(count, size), (_, one)| (count + 1, size + one.bytes));
        let records = left(IN_FLIGHT_RECORDS_MAX, self.in_flight.len(), count);
        let bytes = left(IN_FLIGHT_BYTES_MAX, self.bytes, size);
        (records > 0 && bytes > 0).then_some((records, bytes))
    }
}
