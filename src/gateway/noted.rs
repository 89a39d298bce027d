//! What destinations and persons need in the journal before it takes effect: records set aside, and
//! what a person asked of a destination.

use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use super::committer::Committer;
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

    /// Keeps what a person asked, before it takes effect.
    pub(super) async fn person(
        &mut self,
        payload: &Json,
        done: oneshot::Sender<bool>,
        now: Moment,
    ) {
        let payload = payload.to_string().into_bytes();
        let record = NewRecord { kind: Kind::Destination, time_us: now.utc_us(), payload };
        let tell: Done = Box::new(move |kept| {
            // Whoever asked may have gone.
            let _ = done.send(kept.is_ok());
        });
        let _ = self.append(vec![record], tell).await;
    }
}
