//! Which records of a stream are in flight to one destination, and what an answer retires.
//!
//! Pure: it is told the time in milliseconds and holds whatever the binding needs to send a record
//! again. Everything below the read position is in flight or done, so the low-water mark is what
//! lies below the lowest record in flight.
//!
//! Nothing is believed beyond the highest record that may have been sent here: such a range is
//! refused whole and counted, never cut to what would fit.

use std::collections::{BTreeMap, BTreeSet};

use super::acknowledgement::{Acknowledgement, Have, Range, Rejection};
use super::cursor::{SET_ASIDE_MAX, SetAside, State};
use super::ranges::Ranges;
use crate::vocabulary::{Sequence, StreamId};

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
    /// Records set aside by it.
    pub set_aside: usize,
    /// What was not believed, one per answer, range or rejection.
    pub disbelieved: Vec<Disbelief>,
}

/// The records of one stream on their way to one destination. `M` is what sends one of them.
pub struct Window<M> {
    pace: Pace,
    stream: StreamId,
    receivers: Vec<String>,
    /// The next sequence to read from the journal.
    next: u64,
    in_flight: BTreeMap<u64, InFlight<M>>,
    bytes: usize,
    /// Accepted at or above `next`, from before a restart.
    ahead: Ranges,
    highest_sent: u64,
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
            in_flight: BTreeMap::new(),
            bytes: 0,
            ahead: Ranges::default(),
            highest_sent: state.highest_sent.max(state.low_water),
            have_generation: state.have_generation,
            set_aside: state.set_aside,
            set_aside_total: state.set_aside_total,
        };
        state.accepted.iter().for_each(|&(first, last)| window.note_ahead(first..=last));
        window
    }

    /// The next sequence to read from the journal.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Every record up to this sequence is done here.
    pub fn low_water(&self) -> u64 {
        self.in_flight.keys().next().map_or(self.next, |first| *first) - 1
    }

    /// No record above this one may have been sent.
    pub fn highest_sent(&self) -> u64 {
        self.highest_sent
    }

    /// How many records are in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The time of the oldest record in flight.
    pub fn oldest_time_us(&self) -> Option<i64> {
        self.in_flight.values().next().map(|oldest| oldest.time_us)
    }

    /// How many records and bytes may be put in flight, if any.
    pub fn room(&self) -> Option<(usize, usize)> {
        let records = IN_FLIGHT_RECORDS_MAX.saturating_sub(self.in_flight.len());
        let bytes = IN_FLIGHT_BYTES_MAX.saturating_sub(self.bytes);
        (records > 0 && bytes > 0).then_some((records, bytes))
    }

    /// Whether this sequence is known to be accepted already.
    pub fn is_accepted(&self, sequence: u64) -> bool {
        self.ahead.contains(sequence)
    }

    /// The parts of a range at or above the read position that are not known to be accepted.
    pub fn not_accepted(&self, range: Range) -> Vec<Range> {
        self.ahead.outside((*range.start()).max(self.next)..=*range.end())
    }

    /// Everything up to `sequence` that is not in flight is not for here (not routed, accepted
    /// before, or not readable): the read position moves behind it.
    pub fn pass(&mut self, sequence: u64) {
        self.next = self.next.max(sequence + 1);
        // Ranges below the read position say nothing any more.
        self.ahead.forget_below(self.next);
    }

    /// Puts a record in flight; it is due for sending at once. `bytes` is what it costs in memory.
    pub fn put(&mut self, sequence: u64, message: M, bytes: usize, time_us: i64) {
        self.pass(sequence);
        self.bytes += bytes;
        self.highest_sent = self.highest_sent.max(sequence);
        let fresh = InFlight { message, bytes, time_us, attempts: 0, rejections: 0, due_ms: 0 };
        self.in_flight.insert(sequence, fresh);
    }

    /// Sets a record aside without asking the receiver, because it can never be sent.
    pub fn put_aside(&mut self, sequence: u64, code: &str) {
        self.pass(sequence);
        self.note_aside(sequence, code.to_owned());
    }

    /// Calls `send` with the records that are due, oldest first, until it says no; `again` tells
    /// whether the record was sent before. Gives the numbers of first and repeated sendings.
    pub fn send_due(
        &mut self,
        now_ms: u64,
        mut chance: impl FnMut() -> u64,
        mut send: impl FnMut(&M) -> bool,
    ) -> (usize, usize) {
        let (mut first, mut again) = (0, 0);
        for record in self.in_flight.values_mut().filter(|record| record.due_ms <= now_ms) {
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
        }
        (first, again)
    }

    /// The records that are due, oldest first, at most `most` of them, for a binding that sends and
    /// waits for the answer. They count as sent. Gives them with the numbers of first and repeated
    /// sendings.
    pub fn take_due(
        &mut self,
        now_ms: u64,
        chance: impl FnMut() -> u64,
        most: usize,
    ) -> (Vec<(u64, M)>, usize, usize)
    where
        M: Clone,
    {
        let due = self.in_flight.iter().filter(|(_, record)| record.due_ms <= now_ms);
        let taken: Vec<(u64, M)> =
            due.take(most).map(|(sequence, record)| (*sequence, record.message.clone())).collect();
        let mut left = taken.len();
        let (first, again) = self.send_due(now_ms, chance, |_| {
            let takes = left > 0;
            left -= usize::from(takes);
            takes
        });
        (taken, first, again)
    }

    /// The same for a receiver that gets the records of one lane, such as a device, strictly one
    /// after another: behind an older record in flight nothing of its lane is taken.
    pub fn take_due_by_lane(
        &mut self,
        now_ms: u64,
        mut chance: impl FnMut() -> u64,
        most: usize,
        lane: impl Fn(&M) -> &str,
    ) -> (Vec<(u64, M)>, usize, usize)
    where
        M: Clone,
    {
        let heads = self.heads(lane).into_iter();
        let due: Vec<u64> =
            heads.filter(|(_, due_ms)| *due_ms <= now_ms).map(|(head, _)| head).collect();
        let (mut taken, mut first, mut again) = (Vec::new(), 0, 0);
        for sequence in due.into_iter().take(most) {
            let Some(record) = self.in_flight.get_mut(&sequence) else { continue };
            first += usize::from(record.attempts == 0);
            again += usize::from(record.attempts > 0);
            record.due_ms = now_ms + self.pace.delay(record.attempts, chance());
            record.attempts += 1;
            taken.push((sequence, record.message.clone()));
        }
        (taken, first, again)
    }

    /// When the next record that [`Window::take_due_by_lane`] may take is due.
    pub fn next_due_by_lane_ms(&self, lane: impl Fn(&M) -> &str) -> Option<u64> {
        self.heads(lane).into_iter().map(|(_, due_ms)| due_ms).min()
    }

    /// The oldest record in flight of each lane, and when it is due.
    fn heads(&self, lane: impl Fn(&M) -> &str) -> Vec<(u64, u64)> {
        let mut lanes = BTreeSet::new();
        let records = self.in_flight.iter();
        let heads = records.filter(|(_, record)| lanes.insert(lane(&record.message)));
        heads.map(|(sequence, record)| (*sequence, record.due_ms)).collect()
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
        self.in_flight.values().map(|record| record.due_ms).min()
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
            if *range.end() > self.highest_sent {
                effect.disbelieved.push(Disbelief::NeverSent);
                continue;
            }
            let done: Vec<u64> =
                self.in_flight.range(range.clone()).map(|(sequence, _)| *sequence).collect();
            effect.retired += done.len();
            done.iter().for_each(|sequence| self.retire(*sequence));
            self.note_ahead(range.clone());
        }
        for rejection in &answer.rejected {
            if rejection.sequence.number() > self.highest_sent {
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
        if have.ranges.iter().any(|range| *range.end() > self.highest_sent) {
            return Err(Disbelief::NeverSent);
        }
        self.have_generation = have.generation;
        self.in_flight.clear();
        self.bytes = 0;
        self.ahead.clear();
        self.next = 1;
        have.ranges.iter().for_each(|range| self.note_ahead(range.clone()));
        // The receiver's first range, if it starts at the beginning, is below the cursor again.
        if let Some(last) = self.ahead.last_from(1) {
            self.pass(last);
        }
        Ok(())
    }

    /// What must be durable before anything leans on it.
    pub fn state(&self) -> State {
        let mut accepted = Vec::new();
        let mut from = self.low_water() + 1;
        for sequence in self.in_flight.keys() {
            if from < *sequence {
                accepted.push((from, sequence - 1));
            }
            from = sequence + 1;
        }
        if from < self.next {
            accepted.push((from, self.next - 1));
        }
        accepted.extend(self.ahead.pairs());
        State {
            stream: self.stream,
            low_water: self.low_water(),
            accepted,
            highest_sent: self.highest_sent,
            have_generation: self.have_generation,
            set_aside: self.set_aside.clone(),
            set_aside_total: self.set_aside_total,
            promised: 0,
        }
    }

    /// Takes back what was put in flight above this sequence and may not be sent; it is read again.
    pub fn take_back(&mut self, above: u64) {
        let back = self.in_flight.split_off(&(above + 1));
        self.bytes -= back.values().map(|record| record.bytes).sum::<usize>();
        self.next = self.next.min(above + 1);
        self.highest_sent = self.highest_sent.min(above);
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
        self.set_aside_total += 1;
        self.set_aside.push(SetAside { sequence, code });
        if self.set_aside.len() > SET_ASIDE_MAX {
            self.set_aside.remove(0);
        }
    }

    /// Remembers the part of an accepted range that lies at or above the read position.
    fn note_ahead(&mut self, range: Range) {
        self.ahead.add((*range.start()).max(self.next)..=*range.end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId::from_bytes([3; 16]);
    const PACE: Pace = Pace { resend_after_ms: 5_000 };

    fn window() -> Window<u64> {
        Window::new(State::start(STREAM), vec!["core".to_owned()], PACE)
    }

    /// Records 1 to 10 of which 3, 6 and 9 are not routed here; all others are sent.
    fn sent() -> Window<u64> {
        let mut window = window();
        for sequence in 1..=10 {
            if sequence % 3 == 0 {
                window.pass(sequence);
            } else {
                window.put(sequence, sequence, 100, sequence as i64);
            }
        }
        assert_eq!(window.send_due(0, || 0, |_| true), (7, 0));
        window
    }

    fn answer(accepted: &[Range], rejected: &[(u64, bool)]) -> Acknowledgement {
        let rejection = |&(sequence, permanent): &(u64, bool)| Rejection {
            sequence: Sequence::new(sequence).unwrap(),
            code: "busy".to_owned(),
            text: String::new(),
            permanent,
        };
        Acknowledgement {
            stream: STREAM,
            accepted: accepted.to_vec(),
            rejected: rejected.iter().map(rejection).collect(),
            receiver_time: "2026-11-23T08:00:00Z".to_owned(),
            receiver_id: "core".to_owned(),
        }
    }

    fn due(window: &mut Window<u64>, now_ms: u64) -> Vec<u64> {
        let mut sent = Vec::new();
        window.send_due(
            now_ms,
            || 0,
            |sequence| {
                sent.push(*sequence);
                true
            },
        );
        sent
    }

    #[test]
    fn a_binding_that_waits_for_answers_takes_what_is_due_and_settles_it() {
        let mut window = window();
        for sequence in 1..=4 {
            window.put(sequence, sequence, 100, 0);
        }
        let (taken, first, again) = window.take_due(0, || 0, 3);
        assert_eq!((taken, first, again), (vec![(1, 1), (2, 2), (3, 3)], 3, 0));
        let (taken, first, again) = window.take_due(0, || 0, 3);
        assert_eq!((taken, first, again), (vec![(4, 4)], 1, 0));
        let number = |number| Sequence::new(number).unwrap();
        let refused = |permanent| Verdict::Refused { code: "AR".to_owned(), permanent };
        assert_eq!(window.settle(number(1), Verdict::Accepted, 0, 0).retired, 1);
        assert_eq!(window.settle(number(1), Verdict::Accepted, 0, 0).retired, 0, "only once");
        assert_eq!(window.settle(number(2), refused(true), 0, 0).set_aside, 1);
        assert_eq!(window.settle(number(3), refused(false), 0, 0).set_aside, 0);
        assert_eq!((window.low_water(), window.in_flight()), (2, 2));
        // Silence and a refusal for now: both are due again after the pace's time.
        assert_eq!(window.take_due(4_999, || 0, 9).0, []);
        assert_eq!(window.take_due(10_000, || 0, 9).0, [(3, 3), (4, 4)]);
    }

    #[test]
    fn behind_an_unsettled_record_nothing_of_its_lane_is_taken() {
        let mut window = window();
        for sequence in 1..=6 {
            window.put(sequence, sequence, 100, 0);
        }
        fn lane(sequence: &u64) -> &str {
            if sequence.is_multiple_of(2) { "even" } else { "odd" }
        }
        let take = |window: &mut Window<u64>, now_ms, most| -> Vec<u64> {
            let (taken, _, _) = window.take_due_by_lane(now_ms, || 0, most, lane);
            taken.into_iter().map(|(sequence, _)| sequence).collect()
        };
        assert_eq!(take(&mut window, 0, 9), [1, 2]);
        assert_eq!(take(&mut window, 0, 9), Vec::<u64>::new());
        let number = |number| Sequence::new(number).unwrap();
        window.settle(number(2), Verdict::Accepted, 0, 0);
        assert_eq!(take(&mut window, 0, 9), [4]);
        let later = Verdict::Refused { code: "AE".to_owned(), permanent: false };
        window.settle(number(1), later, 0, 0);
        assert_eq!(window.next_due_by_lane_ms(lane), Some(5_000));
        assert_eq!(take(&mut window, 4_999, 9), Vec::<u64>::new(), "3 waits for 1");
        assert_eq!(take(&mut window, 20_000, 1), [1]);
    }

    #[test]
    fn ranges_retire_and_the_mark_moves_over_what_is_not_routed_here() {
        let mut window = sent();
        let effect = window.acknowledge(&answer(&[4..=5], &[]), 0, || 0);
        assert_eq!((effect.retired, window.low_water()), (2, 0));
        assert_eq!(window.state().accepted, [(3, 6), (9, 9)]);
        window.acknowledge(&answer(&[1..=2], &[]), 0, || 0);
        assert_eq!(window.low_water(), 6);
        window.acknowledge(&answer(&[1..=10], &[]), 0, || 0);
        assert_eq!((window.low_water(), window.in_flight()), (10, 0));
        assert_eq!(window.state().accepted, []);
    }

    #[test]
    fn what_was_never_sent_is_not_believed() {
        let mut window = sent();
        let effect = window.acknowledge(&answer(&[1..=11, 4..=4], &[(12, true)]), 0, || 0);
        assert_eq!(effect.disbelieved, [Disbelief::NeverSent, Disbelief::NeverSent]);
        assert_eq!((effect.retired, window.low_water()), (1, 0));
        let other = StreamId::from_bytes([4; 16]);
        let wrong = Acknowledgement { stream: other, ..answer(&[1..=1], &[]) };
        let effect = window.acknowledge(&wrong, 0, || 0);
        assert_eq!(effect.disbelieved, [Disbelief::OtherStream]);
        let wrong = Acknowledgement { receiver_id: "x".to_owned(), ..answer(&[1..=1], &[]) };
        let effect = window.acknowledge(&wrong, 0, || 0);
        assert_eq!(effect.disbelieved, [Disbelief::OtherReceiver]);
        assert_eq!(window.low_water(), 0);
    }

    #[test]
    fn silence_sends_again_with_back_off_and_a_new_connection_at_once() {
        let mut window = window();
        window.put(1, 1, 10, 0);
        assert_eq!(due(&mut window, 0), [1]);
        assert_eq!(window.next_due_ms(), Some(5_000));
        assert_eq!(due(&mut window, 4_999), Vec::<u64>::new());
        assert_eq!(due(&mut window, 5_000), [1]);
        assert_eq!(window.next_due_ms(), Some(15_000));
        for now in [15_000, 35_000, 75_000] {
            assert_eq!(due(&mut window, now), [1]);
        }
        assert_eq!(window.next_due_ms(), Some(75_000 + RESEND_AFTER_MS_MAX));
        window.reconnected();
        assert_eq!(window.send_due(80_000, || 0, |_| true), (0, 1));
    }

    #[test]
    fn jitter_adds_at_most_a_quarter() {
        for chance in [0, 1, 77, u64::MAX] {
            let delay = PACE.delay(0, chance);
            assert!((5_000..=6_250).contains(&delay), "{delay}");
        }
    }

    #[test]
    fn rejected_for_good_is_set_aside_and_rejected_for_now_is_tried_to_a_limit() {
        let mut window = sent();
        let effect = window.acknowledge(&answer(&[], &[(1, true), (2, false)]), 0, || 0);
        assert_eq!((effect.rejected, effect.set_aside), (2, 1));
        assert_eq!(window.low_water(), 1);
        for _ in 1..REJECTIONS_MAX {
            assert!(window.in_flight.contains_key(&2));
            window.acknowledge(&answer(&[], &[(2, false)]), 0, || 0);
        }
        assert_eq!(window.low_water(), 3);
        let state = window.state();
        assert_eq!(state.set_aside_total, 2);
        assert_eq!(state.set_aside[0], SetAside { sequence: 1, code: "busy".to_owned() });
    }

    #[test]
    fn a_restart_sends_only_what_is_not_accepted() {
        let mut window = sent();
        window.acknowledge(&answer(&[4..=5, 8..=8], &[]), 0, || 0);
        let mut again: Window<u64> = Window::new(window.state(), vec!["core".to_owned()], PACE);
        assert_eq!((again.next(), again.highest_sent()), (1, 10));
        let accepted: Vec<u64> = (1..=10).filter(|n| again.is_accepted(*n)).collect();
        assert_eq!(accepted, [3, 4, 5, 6, 8, 9]);
        // One growing range of a single consumer reaches beyond what was read again.
        again.put(1, 1, 1, 0);
        let effect = again.acknowledge(&answer(&[1..=10], &[]), 0, || 0);
        assert_eq!((effect.retired, effect.disbelieved.len()), (1, 0));
        assert!((2..=10).all(|sequence| again.is_accepted(sequence)));
    }

    #[test]
    fn have_moves_back_only_with_a_higher_generation() {
        let mut window = sent();
        window.acknowledge(&answer(&[1..=10], &[]), 0, || 0);
        let have = |ranges: &[Range], generation| Have {
            stream: STREAM,
            ranges: ranges.to_vec(),
            receiver_id: "core".to_owned(),
            generation,
        };
        assert_eq!(window.have(&have(&[1..=4], 0)), Err(Disbelief::OldGeneration));
        assert_eq!(window.have(&have(&[1..=11], 1)), Err(Disbelief::NeverSent));
        assert_eq!(window.low_water(), 10);
        assert_eq!(window.have(&have(&[1..=4, 8..=8], 1)), Ok(()));
        assert_eq!((window.low_water(), window.next()), (4, 5));
        assert!(window.is_accepted(8) && !window.is_accepted(7));
        assert_eq!(window.have(&have(&[1..=4], 1)), Err(Disbelief::OldGeneration));
        assert_eq!(window.state().have_generation, 1);
    }

    #[test]
    fn the_window_is_bounded_by_count_and_bytes() {
        let mut window = window();
        for sequence in 1..=IN_FLIGHT_RECORDS_MAX as u64 {
            assert!(window.room().is_some());
            window.put(sequence, sequence, 1, 0);
        }
        assert_eq!(window.room(), None);
        window.acknowledge(&answer(&[1..=1], &[]), 0, || 0);
        assert_eq!(window.room(), Some((1, IN_FLIGHT_BYTES_MAX - 255)));
        window.put(257, 257, IN_FLIGHT_BYTES_MAX, 0);
        assert_eq!(window.room(), None);
    }
}
