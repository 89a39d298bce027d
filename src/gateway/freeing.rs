//! When room in the journal is freed: behind every required destination's durable cursor, and not
//! before a day has passed.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::committer::Request;
use crate::journal::Reader;
use crate::link::clock;
use crate::vocabulary::{Moment, Sequence};

/// What is kept in any case: repeats are recognised as far back as the journal goes, and `explain`
/// needs the bytes.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// How often room behind the required destinations is freed.
const FREE_EVERY: Duration = Duration::from_secs(10);

/// Frees what every required destination has and what is older than [`KEPT`]. Without a required
/// destination nothing is freed: the journal is then the only place where the data are.
pub(super) async fn free_behind(
    requests: mpsc::UnboundedSender<Request>,
    reader: Reader,
    low_waters: Vec<watch::Receiver<u64>>,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        let lowest = low_waters.iter().map(|one| *one.borrow()).min().and_then(Sequence::new);
        let now = clock::now();
        let before = lowest.and_then(|lowest| Some(lowest.min(old_enough(&reader, now)?)));
        let frees = |before: &Sequence| {
            reader.segments().get(1).is_some_and(|second| second.first <= *before)
        };
        if let Some(before) = before.filter(frees) {
            // The committer is gone only when the house stops.
            let _ = requests.send(Request::Free { before, now });
        }
        tokio::select! {
            () = tokio::time::sleep(FREE_EVERY) => {}
            _ = stop.changed() => {}
        }
    }
}

/// The first sequence that is not older than [`KEPT`].
fn old_enough(reader: &Reader, now: Moment) -> Option<Sequence> {
    let kept_us = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
    match reader.first_since(now.utc_us().saturating_sub(kept_us)) {
        Ok(first) => Some(first),
        Err(error) => {
            tracing::warn!(%error, "the journal cannot say how old it is: nothing is freed");
            None
        }
    }
}
