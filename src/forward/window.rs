//! Which records of a stream are in flight to one destination, and what an answer retires.
//!
//! Pure: it is told the time in milliseconds and holds whatever the binding needs to send a record
//! again. It reads in one lane, or in two when the destination is far behind (`lanes`).
//!
//! | sequence | is |
//! |---|---|
//! | below the read position, in no other set | done: accepted, set aside, or not for here |
//! | `in_flight` | sent, or about to be; or waiting for the record that it names |
//! | `holes` | below the read position and not read: the backlog lane takes the lowest first |
//! | `settling` | set aside, and the journal's record of that is not durable yet |
//! | at or above the read position | not read |
//!
//! The low-water mark lies below the lowest that is not done.
//!
//! Nothing is believed of a record that was surely not sent: above the highest that may have been
//! sent, or in `unsent`. Such a range is refused whole and counted, never cut to what would fit.

use std::collections::BTreeMap;

use super::acknowledgement::{Acknowledgement, Have, ManifestAnswer, Range, Rejection};
use super::cursor::{SET_ASIDE_MAX, SetAside, State};
use super::ranges::Ranges;
use crate::vocabulary::{Sequence, StreamId};

mod by_device;
mod lanes;

pub use lanes::{BEHIND, Order, Reading};

/// Records in flight: enough to fill a round trip of 50 ms at 5,000 records a second.
pub const IN_FLIGHT_RECORDS_MAX: usize = 256;
/// Bytes in flight: what a destination may cost in memory.
pub const IN_FLIGHT_BYTES_MAX: usize = 4 << 20;
/// The longest silence before a record is sent again.
pub const RESEND_AFTER_MS_MAX: u64 = 60_000;
/// How often a record is rejected "for now" before it is set aside.
pub const REJECTIONS_MAX: u32 = 8;

/// The pace of sending again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The first silence before a record is sent again; it doubles up to
    /// [`RESEND_AFTER_MS_MAX`].
    pub resend_after_ms: u64,
}

impl Pace {
    /// `chance` is any number: up to a quarter is added, so that many gateways do not knock on a
    /// core that comes back in the same moment.
    fn delay(self, attempts: u32, chance: u64) -> u64 {
        let doubled = self.resend_after_ms.saturating_mul(1 << attempts.min(16));
        let base = doubled.min(RESEND_AFTER_MS_MAX.max(self.resend_after_ms));
        base + chance % (base / 4 + 1)
    }
}

struct InFlight<M> {
    message: M,
    bytes: usize,
    time_us: i64,
    attempts: u32,
    rejections: u32,
    due_ms: u64,
    /// The earlier statement about the same observation that must be done before this one goes.
    waits_for: Option<u64>,
    /// Never sent, neither by us nor before a restart.
    fresh: bool,
}

/// Why an answer, or a range of it, was not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disbelief {
    /// It speaks of another stream.
    OtherStream,
    /// This receiver may not answer for this destination.
    OtherReceiver,
    /// It names a record that was never sent here.
    NeverSent,
    /// A `have` without a higher generation.
    OldGeneration,
}

/// What a receiver says of one record, where the connection itself says which record it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it, in the sense that the destination declares.
    Accepted,
    /// Not now, or never: `code` is a short word of the receiver's or ours.
    Refused { code: String, permanent: bool },
}

/// What an answer did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effect {
    /// Records in flight that are done.
    pub retired: usize,
    /// Rejections that were counted against a record in flight.
    pub rejected: usize,
    /// Records set aside by it; they settle when the journal says so.
    pub set_aside: usize,
    /// What was not believed, one per answer, range or rejection.
    pub disbelieved: Vec<Disbelief>,
}

/// The records of one stream on their way to one destination. `M` is what sends one of them.
pub struct Window<M> {
    pace: Pace,
    stream: StreamId,
    receivers: Vec<String>,
    /// The next sequence to read at the live end.
    next: u64,
    /// Below `next` and not read.
    holes: Ranges,
    /// Where the live lane begins while there are holes.
    live_from: u64,
    order: Order,
    /// Whether the live lane sends next.
    live_turn: bool,
    in_flight: BTreeMap<u64, InFlight<M>>,
    bytes: usize,
    /// Accepted, and not read again since then.
    ahead: Ranges,
    highest_sent: u64,
    /// Surely not sent, although not above the highest sent.
    unsent: Ranges,
    settling: Ranges,
    /// Codes of what is being set aside, until they are told.
    asides: BTreeMap<u64, String>,
    have_generation: u64,
    set_aside: Vec<SetAside>,
    set_aside_total: u64,
}

impl<M> Window<M> {
    /// Continues where `state` says. `receivers` are the ids that may answer.
    pub fn new(state: State, receivers: Vec<String>, pace: Pace) -> Self {
        let mut window = Self {
            pace,
            stream: state.stream,
            receivers,
            next: state.low_water + 1,
            holes: Ranges::default(),
            live_from: 0,
            order: Order::Lanes,
            live_turn: true,
            in_flight: BTreeMap::new(),
            bytes: 0,
            ahead: state.accepted.into_iter().collect(),
            highest_sent: state.highest_sent.max(state.low_water),
            unsent: state.unsent.into_iter().collect(),
            settling: Ranges::default(),
            asides: BTreeMap::new(),
            have_generation: state.have_generation,
            set_aside: state.set_aside,
            set_aside_total: state.set_aside_total,
        };
        window.ahead.forget_below(window.next);
        window
    }

    /// The next sequence to read from the journal.
    pub fn next(&self) -> u64 {
        self.holes.first().map_or(self.next, |(first, _)| first)
    }

    /// Every record up to this sequence is done here.
    pub fn low_water(&self) -> u64 {
        let in_flight = self.in_flight.keys().next().copied();
        let settling = self.settling.first().map(|(first, _)| first);
        [in_flight, settling].into_iter().flatten().fold(self.next(), u64::min) - 1
    }

    /// No record above this one may have been sent.
    pub fn highest_sent(&self) -> u64 {
        self.highest_sent
    }

    /// How many records are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// What they cost in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The time of the oldest record in flight.
    pub fn oldest_time_us(&self) -> Option<i64> {
        self.in_flight.values().next().map(|oldest| oldest.time_us)
    }

    /// What is set aside, the newest last.
    pub fn set_aside(&self) -> &[SetAside] {
        &self.set_aside
    }

    /// Whether this sequence is known to be accepted already.
    pub fn is_accepted(&self, sequence: u64) -> bool {
        self.ahead.contains(sequence)
    }

    /// The parts of a range about to be read that are not known to be accepted.
    pub fn not_accepted(&self, range: Range) -> Vec<Range> {
        self.ahead.outside(range)
    }

    /// Puts a record in flight; it is due for sending at once. `bytes` is what it costs in memory.
    pub fn put(&mut self, sequence: u64, message: M, bytes: usize, time_us: i64) {
        self.put_after(sequence, message, bytes, time_us, None);
    }

    /// Sets a record aside without asking the receiver, because it can never be sent.
    pub fn put_aside(&mut self, sequence: u64, code: &str) {
        self.pass(sequence);
        self.note_aside(sequence, code.to_owned());
    }

    /// What is being set aside since the last call: the journal must say so before it settles.
    pub fn new_asides(&mut self) -> BTreeMap<u64, String> {
        std::mem::take(&mut self.asides)
    }

    /// The journal's record that this one is set aside is durable.
    pub fn is_set_aside(&mut self, what: SetAside) {
        self.settling.remove(what.sequence..=what.sequence);
        self.set_aside.retain(|known| known.sequence != what.sequence);
        self.set_aside_total += 1;
        self.set_aside.push(what);
        if self.set_aside.len() > SET_ASIDE_MAX {
            self.set_aside.remove(0);
        }
    }

    /// Calls `send` with the records that are due, until it says no: the oldest first, and with two
    /// lanes in turns. Gives the numbers of first and repeated sendings.
    pub fn send_due(
        &mut self,
        now_ms: u64,
        mut chance: impl FnMut() -> u64,
        mut send: impl FnMut(&M) -> bool,
    ) -> (usize, usize) {
        let (mut first, mut again) = (0, 0);
        for sequence in self.due(now_ms) {
            let Some(record) = self.in_flight.get_mut(&sequence) else { continue };
            if !send(&record.message) {
                break;
            }
            if record.attempts == 0 {
                first += 1
            } else {
                again += 1
            }
            record.due_ms = now_ms + self.pace.delay(record.attempts, chance());
            record.attempts += 1;
            record.fresh = false;
            self.live_turn = sequence < self.live_from;
        }
        (first, again)
    }

    /// The records that are due, at most `most` of them, for a binding that sends and waits for the
    /// answer. They count as sent. Gives them with the numbers of first and repeated sendings.
    pub fn take_due(
        &mut self,
        now_ms: u64,
        chance: impl FnMut() -> u64,
        most: usize,
    ) -> (Vec<(u64, M)>, usize, usize)
    where
        M: Clone,
    {
        let due = self.due(now_ms).into_iter().take(most);
        let message = |sequence| Some((sequence, self.in_flight.get(&sequence)?.message.clone()));
        let taken: Vec<(u64, M)> = due.filter_map(message).collect();
        let mut left = taken.len();
        let (first, again) = self.send_due(now_ms, chance, |_| {
            let takes = left > 0;
            left -= usize::from(takes);
            takes
        });
        (taken, first, again)
    }

    /// Whether a record is on its way.
    pub fn is_in_flight(&self, sequence: u64) -> bool {
        self.in_flight.contains_key(&sequence)
    }

    /// What the receiver said of one record that was sent and waited for.
    pub fn settle(
        &mut self,
        sequence: Sequence,
        verdict: Verdict,
        now_ms: u64,
        chance: u64,
    ) -> Effect {
        let mut effect = Effect::default();
        if !self.may_have_been_sent(&(sequence.number()..=sequence.number())) {
            effect.disbelieved.push(Disbelief::NeverSent);
            return effect;
        }
        match verdict {
            Verdict::Accepted => {
                effect.retired += usize::from(self.in_flight.contains_key(&sequence.number()));
                self.retire(sequence.number());
            }
            Verdict::Refused { code, permanent } => {
                let rejection = Rejection { sequence, code, text: String::new(), permanent };
                self.reject(&rejection, now_ms, chance, &mut effect);
            }
        }
        effect
    }

    /// When the next record is due.
    pub fn next_due_ms(&self) -> Option<u64> {
        let goes = self.in_flight.values().filter(|record| record.waits_for.is_none());
        goes.map(|record| record.due_ms).min()
    }

    /// A new connection: whatever is in flight is sent again at once, with a fresh back-off.
    pub fn reconnected(&mut self) {
        for record in self.in_flight.values_mut() {
            record.due_ms = 0;
            record.attempts = record.attempts.min(1);
        }
    }

    /// Applies an acknowledgement.
    pub fn acknowledge(
        &mut self,
        answer: &Acknowledgement,
        now_ms: u64,
        mut chance: impl FnMut() -> u64,
    ) -> Effect {
        let mut effect = Effect::default();
        if let Err(disbelief) = self.may_answer(answer.stream, &answer.receiver_id) {
            effect.disbelieved.push(disbelief);
            return effect;
        }
        for range in &answer.accepted {
            if !self.may_have_been_sent(range) {
                effect.disbelieved.push(Disbelief::NeverSent);
                continue;
            }
            let done: Vec<u64> =
                self.in_flight.range(range.clone()).map(|(sequence, _)| *sequence).collect();
            effect.retired += done.len();
            done.iter().for_each(|sequence| self.retire(*sequence));
            self.ahead.add(range.clone());
        }
        self.ahead.forget_below(self.next());
        for rejection in &answer.rejected {
            let sequence = rejection.sequence.number();
            if !self.may_have_been_sent(&(sequence..=sequence)) {
                effect.disbelieved.push(Disbelief::NeverSent);
                continue;
            }
            self.reject(rejection, now_ms, chance(), &mut effect);
        }
        effect
    }

    /// Follows a `have`: what the receiver does not have and may have been sent is read again.
    pub fn have(&mut self, have: &Have) -> Result<(), Disbelief> {
        self.may_answer(have.stream, &have.receiver_id)?;
        if have.generation <= self.have_generation {
            return Err(Disbelief::OldGeneration);
        }
        if !have.ranges.iter().all(|range| self.may_have_been_sent(range)) {
            return Err(Disbelief::NeverSent);
        }
        self.have_generation = have.generation;
        let fresh = self.in_flight.iter().filter(|(_, record)| record.fresh);
        fresh.for_each(|(one, _)| self.unsent.add(*one..=*one));
        self.in_flight.clear();
        self.bytes = 0;
        self.ahead = Ranges::default();
        have.ranges.iter().for_each(|range| self.ahead.add(range.clone()));
        match self.order {
            // The lowest that the receiver lacks is read first; live data go on beside it.
            Order::Lanes => {
                let lacks = self.ahead.outside(1..=self.next - 1);
                self.holes = lacks.into_iter().map(Range::into_inner).collect();
                self.live_from = self.next;
            }
            Order::Strict => {
                self.holes.clear();
                self.next = self.ahead.outside(1..=self.next).first().map_or(1, |one| *one.start());
            }
        }
        self.ahead.forget_below(self.next());
        Ok(())
    }

    /// What must be durable before anything leans on it.
    pub fn state(&self) -> State {
        State {
            low_water: self.low_water(),
            accepted: self.accepted(),
            highest_sent: self.highest_sent,
            unsent: self.unsent.pairs().collect(),
            have_generation: self.have_generation,
            set_aside: self.set_aside.clone(),
            set_aside_total: self.set_aside_total,
            ..State::start(self.stream)
        }
    }

    /// What is done above the low-water mark, first and last, ascending: all below the read
    /// position that is not open, and what was accepted ahead of it. It is asked for with every
    /// sending, so it is one walk over what is in flight.
    fn accepted(&self) -> Vec<(u64, u64)> {
        let in_flight = self.in_flight.keys().map(|one| (*one, *one));
        let mut open: Vec<(u64, u64)> =
            in_flight.chain(self.holes.pairs()).chain(self.settling.pairs()).collect();
        open.sort_unstable();
        let mut from = self.low_water() + 1;
        let mut done = Vec::with_capacity(open.len() + 1);
        // What is being set aside may lie above the read position.
        for (first, last) in open.into_iter().chain([(self.next, self.next)]) {
            let until = first.min(self.next);
            done.extend((from < until).then(|| (from, until - 1)));
            from = from.max(last + 1);
        }
        if self.ahead.is_empty() {
            return done;
        }
        let mut accepted: Ranges = done.into_iter().collect();
        self.ahead.pairs().for_each(|(first, last)| accepted.add(first..=last));
        accepted.forget_below(self.low_water() + 1);
        accepted.pairs().collect()
    }

    /// Takes back what was put in flight above this sequence and may not be sent; it is read again.
    pub fn take_back(&mut self, above: u64) {
        let back = self.in_flight.split_off(&(above + 1));
        self.bytes -= back.values().map(|record| record.bytes).sum::<usize>();
        self.next = self.next.min(above + 1);
        self.highest_sent = self.highest_sent.min(above);
        self.holes.remove(self.next..=u64::MAX);
        self.live_from = if self.holes.is_empty() { 0 } else { self.live_from.min(self.next) };
    }

    fn may_have_been_sent(&self, range: &Range) -> bool {
        *range.end() <= self.highest_sent
            && !self.unsent.touches(range)
            && !self.in_flight.range(range.clone()).any(|(_, record)| record.fresh)
    }

    /// Whether an answer to a manifest is of this stream, of a receiver of ours, and of a manifest
    /// that may have been sent.
    pub fn may_say(&self, answer: &ManifestAnswer) -> Result<(), Disbelief> {
        self.may_answer(answer.stream, &answer.receiver_id)?;
        let manifest = answer.manifest.number();
        let sent = self.may_have_been_sent(&(manifest..=manifest));
        sent.then_some(()).ok_or(Disbelief::NeverSent)
    }

    fn may_answer(&self, stream: StreamId, receiver: &str) -> Result<(), Disbelief> {
        if stream != self.stream {
            return Err(Disbelief::OtherStream);
        }
        let known = self.receivers.iter().any(|known| known == receiver);
        known.then_some(()).ok_or(Disbelief::OtherReceiver)
    }

    fn retire(&mut self, sequence: u64) {
        if let Some(done) = self.in_flight.remove(&sequence) {
            self.bytes -= done.bytes;
        }
    }

    fn reject(&mut self, rejection: &Rejection, now_ms: u64, chance: u64, effect: &mut Effect) {
        let sequence = rejection.sequence.number();
        let Some(record) = self.in_flight.get_mut(&sequence) else { return };
        effect.rejected += 1;
        record.rejections += 1;
        if rejection.permanent || record.rejections >= REJECTIONS_MAX {
            effect.set_aside += 1;
            self.retire(sequence);
            self.note_aside(sequence, rejection.code.clone());
        } else {
            record.due_ms = now_ms + self.pace.delay(record.rejections, chance);
        }
    }

    fn note_aside(&mut self, sequence: u64, code: String) {
        self.settling.add(sequence..=sequence);
        self.asides.insert(sequence, code);
    }
}

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;
