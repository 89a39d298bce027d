//! The cursor of a destination: what must be durable before a record leaves the box, what it may
//! say, and what may leave while it cannot be written.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Binding, Proof, Pump, Ranges, State};
use crate::forward::Counters;
use crate::journal::beside;
use crate::vocabulary::Sequence;

/// How often a cursor that cannot be written is tried again.
const SAVE_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How often what may be sent without a cursor is promised anew: what came since then waits while
/// the disk takes no writes.
const PROMISE_EVERY: Duration = Duration::from_secs(10);

impl<M: Send + Sync + 'static> Pump<M> {
    /// Puts durable records in flight while there is room, and makes the highest number that may
    /// leave the box durable before it leaves. While the cursor cannot be written, only what it
    /// promised before goes out. An error ends the connection; after it nothing is passed over: the
    /// same records are read again.
    pub(in crate::forward) async fn fill<B: Binding<Message = M>>(
        &mut self,
        binding: &mut B,
    ) -> Result<(), String> {
        self.obey().await;
        self.send_due_manifests();
        let broken = self.broken_at.is_some_and(|at| at.elapsed() < SAVE_AGAIN_AFTER);
        let most = if broken { self.may_be_sent() } else { u64::MAX };
        self.take_from_journal(binding, most).map_err(|error| format!("journal: {error}"))?;
        self.window.release();
        self.tell_asides();
        let goes_beyond = self.window.goes_beyond(self.saved.highest_sent, &self.saved_unsent);
        if goes_beyond && !broken && !self.save().await {
            self.window.take_back(self.may_be_sent());
        }
        self.promise().await;
        Ok(())
    }

    /// Up to here records may be sent without a cursor that can be written: no journal of this
    /// stream may end before.
    pub(super) fn may_be_sent(&self) -> u64 {
        self.saved.highest_sent.max(self.saved.promised)
    }

    /// Promises now and then that what is durable may be sent, so that it can be delivered when
    /// the disk takes no writes any more.
    pub(super) async fn promise(&mut self) {
        let durable = self.reader.durable().map_or(0, Sequence::number);
        if durable > self.saved.promised && self.promised_at.elapsed() >= PROMISE_EVERY {
            self.promised_at = Instant::now();
            let state = self.state();
            self.write(state).await;
        }
    }

    /// Whether the cursor on disk lags behind what is done.
    pub(in crate::forward) fn is_behind(&self) -> bool {
        let proven = self.proof.as_ref().map(Proof::saved);
        self.window.low_water() != self.saved.low_water || proven != self.saved.proven.as_deref()
    }

    /// Makes the cursor durable if it moved, then lets the gateway know. `false`: it is not.
    pub(in crate::forward) async fn save(&mut self) -> bool {
        let state = self.state();
        // A promise alone is no reason to write.
        if (State { promised: self.saved.promised, ..state.clone() }) == self.saved {
            return true;
        }
        self.write(state).await
    }

    /// What the cursor file is to hold.
    pub(super) fn state(&mut self) -> State {
        let mut state = self.done();
        state.earlier = self.earlier.as_mut().map(|chain| chain.save(state.low_water));
        state.proven = self.proof.as_ref().map(|proof| Box::new(proof.saved().clone()));
        state
    }

    /// What is done here. It does not pass a range that cannot be had before the gap record of it
    /// is durable.
    fn done(&mut self) -> State {
        self.hear_answers();
        let mut state = State { required: self.required, ..self.window.state() };
        state.promised = self.reader.durable().map_or(0, Sequence::number).max(state.highest_sent);
        self.unrecorded.retain(|(_, recorded)| !recorded.get());
        let mut open = Ranges::default();
        self.unrecorded.iter().for_each(|(range, _)| open.add(range.clone()));
        let Some((first, _)) = open.pairs().next() else { return state };
        let below = (first <= state.low_water).then_some((first, state.low_water));
        let accepted = below.into_iter().chain(std::mem::take(&mut state.accepted));
        let done = accepted.flat_map(|(first, last)| open.outside(first..=last));
        state.accepted = done.map(|range| (*range.start(), *range.end())).collect();
        state.low_water = state.low_water.min(first - 1);
        state
    }

    pub(super) async fn write(&mut self, state: State) -> bool {
        let (cursor, copy) = (Arc::clone(&self.cursor), state.clone());
        let write =
            beside(move || cursor.lock().unwrap_or_else(PoisonError::into_inner).write(&copy));
        let failure = match write.await {
            Some(Ok(())) => {
                self.saved_unsent = state.unsent.iter().copied().collect();
                self.saved = state;
                self.broken_at = None;
                self.low_water.send_replace(self.saved.let_go_through());
                return true;
            }
            Some(Err(error)) => error.to_string(),
            None => "the writing task ended early".to_owned(),
        };
        let told = self.broken_at.replace(Instant::now()).is_some();
        Counters::add(&self.counters.cursor_failures, 1);
        if told {
            return false;
        }
        tracing::error!(destination = self.settings.name, failure, "cursor not saved");
        false
    }
}
