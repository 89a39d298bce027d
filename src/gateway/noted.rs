//! What destinations and persons need in the journal before it takes effect: records set aside, and
//! what a person asked of a destination.

use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use super::committer::Committer;
use super::ending::{Ending, Outcome};
use crate::forward::{Aside, Notice};
use crate::journal::{Done, Kind, NewRecord};
use crate::vocabulary::{Moment, RecordId};

impl Committer {
    /// Keeps that a destination will not take a record, and tells it when that is durable.
    pub(super) async fn noted(&mut self, notice: Notice, now: Moment) {
        let Aside { destination, stream, sequence, code } = &notice.what;
        let record = RecordId::of(*stream, *sequence);
        tracing::warn!(destination, %record, code, "a record is set aside");
        let payload = json!({
            "destination": destination, "sequence": sequence, "record": record, "code": code,
        });
        let (time_us, payload) = (now.utc_us(), payload.to_string().into_bytes());
        let done: Done = Box::new(move |kept| {
            if kept.is_ok() {
                notice.is_durable(time_us);
            }
        });
        let record = NewRecord { kind: Kind::SetAside, time_us, payload };
        let _ = self.append(vec![record], done).await;
    }

    /// Ends a record that is carried forward, and says so, once that is durable.
    pub(super) async fn end(
        &mut self,
        ending: &Ending,
        done: oneshot::Sender<Outcome>,
        now: Moment,
    ) {
        let outcome = self.ended(ending, now).await;
        // Whoever asked may have gone.
        let _ = done.send(outcome);
    }

    async fn ended(&mut self, ending: &Ending, now: Moment) -> Outcome {
        if self.memory.ended.contains_key(&ending.record.number()) {
            return Outcome::Already;
        }
        let ended = ending.payload(|one| self.memory.ended.contains_key(&one));
        let payload = serde_json::to_vec(&ended).expect("numbers and texts are JSON");
        let record = NewRecord { kind: Kind::SetAside, time_us: now.utc_us(), payload };
        let (told, durable) = oneshot::channel();
        let done: Done = Box::new(move |kept| {
            let _ = told.send(kept.is_ok());
        });
        let Ok(sequence) = self.append(vec![record], done).await else { return Outcome::NotKept };
        if durable.await != Ok(true) {
            return Outcome::NotKept;
        }
        let ended = ended.ended.into_iter().map(|one| (one, sequence.number()));
        self.memory.ended.extend(ended);
        Outcome::Ended
    }

    /// Keeps what a person asked, before it takes effect.
    pub(super) async fn person(
        &mut self,
        (kind, payload): (Kind, &Json),
        done: oneshot::Sender<bool>,
        now: Moment,
    ) {
        let payload = payload.to_string().into_bytes();
        let record = NewRecord { kind, time_us: now.utc_us(), payload };
        let tell: Done = Box::new(move |kept| {
            // Whoever asked may have gone.
            let _ = done.send(kept.is_ok());
        });
        let _ = self.append(vec![record], tell).await;
    }
}
