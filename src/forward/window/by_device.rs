//! For receivers that get the records of one device strictly one after another: behind a record of
//! a device that was sent and is not settled, nothing of that device is taken.

use std::collections::BTreeMap;

use super::Window;

/// What of one device may go next.
#[derive(Default)]
struct Head {
    /// Sent and not settled.
    sent: Option<u64>,
    backlog: Option<u64>,
    live: Option<u64>,
}

impl<M> Window<M> {
    /// The records that are due, at most `most` of them, one per `lane`. They count as sent. Gives
    /// them with the numbers of first and repeated sendings.
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
            record.fresh = false;
            self.live_turn = sequence < self.live_from;
            taken.push((sequence, record.message.clone()));
        }
        (taken, first, again)
    }

    /// When the next record that [`Window::take_due_by_lane`] may take is due.
    pub fn next_due_by_lane_ms(&self, lane: impl Fn(&M) -> &str) -> Option<u64> {
        self.heads(lane).into_iter().map(|(_, due_ms)| due_ms).min()
    }

    /// The next record of each lane, ascending, and when it is due. One that waits for another
    /// comes when that one is settled.
    fn heads(&self, lane: impl Fn(&M) -> &str) -> Vec<(u64, u64)> {
        let mut lanes: BTreeMap<&str, Head> = BTreeMap::new();
        for (sequence, record) in &self.in_flight {
            let head = lanes.entry(lane(&record.message)).or_default();
            if record.attempts > 0 {
                head.sent.get_or_insert(*sequence);
            }
            let place = if *sequence < self.live_from { &mut head.backlog } else { &mut head.live };
            place.get_or_insert(*sequence);
        }
        let goes = |sequence: &u64| {
            self.in_flight.get(sequence).is_some_and(|record| record.waits_for.is_none())
        };
        let next = |head: Head| {
            // A live record may wait for one of the backlog, never the other way round.
            let (live, backlog) = (head.live.filter(goes), head.backlog.filter(goes));
            let in_turn = if self.live_turn { live.or(backlog) } else { backlog.or(live) };
            let sequence = head.sent.or(in_turn)?;
            Some((sequence, self.in_flight.get(&sequence)?.due_ms))
        };
        let mut heads: Vec<(u64, u64)> = lanes.into_values().filter_map(next).collect();
        heads.sort_unstable();
        heads
    }
}
