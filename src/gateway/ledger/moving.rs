//! The committer's side of corrections: their records, in order with everything else.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::sync::oneshot;

use super::corrections::{Move, Moved, state_ids};
use super::moves::{Goes, NewStatement};
use crate::forward::stored::{EventKind, Stored};
use crate::gateway::committer::{Begin, Committer, Staged};
use crate::gateway::configuration::{DestinationTable, Take, Transport};
use crate::gateway::routing::Fate;
use crate::journal::{self, Done, Kind, NewRecord};
use crate::profile::Status;
use crate::vocabulary::{Moment, RecordId};

/// More than an observation's id takes in a record.
const ID_BYTES_MAX: usize = 256;

impl Committer {
    /// Keeps what moves make; tells when all of it is durable, and whoever waits hears nothing if
    /// the journal takes nothing. `through`: up to where the journal was looked through for them.
    pub(in crate::gateway) async fn take_moves(
        &mut self,
        (moves, through): (Vec<Move>, u64),
        done: oneshot::Sender<Moved>,
        now: Moment,
    ) {
        if moves.iter().any(|made| self.ledger.confirmed.is_in(made, through)) {
            // Whoever waits may have gone.
            let _ = done.send(Moved::LookAgain);
            return;
        }
        let mut done = Some(done);
        let count = moves.len();
        for (index, made) in moves.into_iter().enumerate() {
            let last = index + 1 == count;
            let done = done.take_if(|_| last);
            if !self.take_move(made, done, now).await {
                // Whoever waits hears by the sender that is dropped.
                return;
            }
        }
    }

    async fn take_move(
        &mut self,
        made: Move,
        done: Option<oneshot::Sender<Moved>>,
        now: Moment,
    ) -> bool {
        let ids: usize = made.iter().map(metric_count).sum::<usize>() * ID_BYTES_MAX;
        let (drafts, _) = self.move_records(made.clone(), now);
        self.make_way(&drafts, ids).await;
        let (records, staged) = self.move_records(made, now);
        let tell: Done = Box::new(move |kept: Result<(), journal::NotKept>| {
            if let Some(done) = done {
                // Whoever waits may have gone.
                let _ = done.send(if kept.is_ok() { Moved::Kept } else { Moved::NotKept });
            }
        });
        let kept = self.hand_over(records, tell, Begin::Wherever).await.is_ok();
        if kept {
            self.memory.last_routed.extend(staged.routed);
        }
        kept
    }

    fn move_records(&self, made: Move, now: Moment) -> (Vec<NewRecord>, Staged) {
        let mut staged = Staged::default();
        let mut records = Vec::new();
        let first = self.appender.next();
        for (index, one) in made.into_iter().enumerate() {
            let sequence = first.plus(index as u64);
            let NewStatement { kind, time, subject, mut data, goes } = one;
            state_ids(&mut data, &RecordId::of(self.stream, sequence));
            self.mark_protected(&mut data);
            if let Some(association) =
                data.get_mut("association").and_then(|one| one.as_object_mut())
                && kind == EventKind::Correction
            {
                association.insert("ledger".to_owned(), json!(self.memory.ledger_record));
            }
            let mut routes = BTreeMap::new();
            let goes_to = |one: &&DestinationTable| has_way(one, &goes, &data);
            for destination in self.destinations.iter().filter(goes_to) {
                let previous = self.previous(&destination.name, &staged);
                routes.insert(destination.name.clone(), previous);
                staged.routed.push((destination.name.clone(), sequence.number()));
            }
            let stored = Stored { kind, time, subject, routes, data };
            let (kind, time_us) = (Kind::Observation, now.utc_us());
            records.push(NewRecord { kind, time_us, payload: stored.to_bytes() });
        }
        (records, staged)
    }
}

fn metric_count(made: &NewStatement) -> usize {
    let metrics = made.data.get("metrics").and_then(|metrics| metrics.as_array());
    metrics.map_or(0, Vec::len) + 1
}

/// Whether a destination gets a record of a move.
fn has_way(
    destination: &DestinationTable,
    goes: &Goes,
    data: &serde_json::Map<String, serde_json::Value>,
) -> bool {
    let name = &destination.name;
    match goes {
        Goes::Had(had) => had.contains(name),
        Goes::HadOrTakes(had) => {
            let released = data.get("profile_status").and_then(|one| one.as_str())
                == Some(Status::Released.as_str());
            let status = if released { Status::Released } else { Status::Draft };
            let fate = Fate { held: false, of_somebody: true };
            let takes = destination.take == Take::All && fate.may_go(destination, status);
            had.contains(name) || takes
        }
        Goes::Disputed(had) => {
            // FHIR and HL7 v2 have no word for it; who confirmed it sees it in the worklist.
            let in_words =
                matches!(destination.transport(), Some(Transport::Mqtt(_) | Transport::Https(_)));
            in_words && (had.contains(name) || destination.take == Take::Confirmed)
        }
    }
}
