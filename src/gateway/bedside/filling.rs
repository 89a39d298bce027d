//! What was kept before the start, for sets as of a time before it: read back beside everybody
//! else, oldest first, within a bound.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::charting::acts::Bedside;
use crate::charting::set::EPISODIC_WITHIN_US;
use crate::journal::{Error, Kind, Read, Reader, beside};
use crate::vocabulary::Sequence;

/// How much is read at a time: some milliseconds of a thread.
const READ_RECORDS: usize = 256;
const READ_BYTES: usize = 4 << 20;

/// Four hours of a ward, and of a large unit more than two; what lies before the newest so many
/// records is not read back, and a set as of then cannot be had.
const RECORDS_MAX: u64 = 1_000_000;

/// Devices and destinations come first.
const REST: Duration = Duration::from_millis(2);

/// Reads back what was kept before `end`, the first record that is followed live. Whoever starts it
/// has told the shelf that it fills.
pub(super) async fn fill(bedside: Arc<Bedside>, end: Sequence, stopping: watch::Receiver<bool>) {
    let reader = bedside.house.reader();
    let from_us = match read_back(&bedside, reader, end, &stopping).await {
        Ok(from_us) => from_us,
        Err(error) => {
            tracing::error!(%error, "what was kept before the start cannot be read back");
            // Sets as of a time before it are refused rather than shown without it.
            bedside.house.now().utc_us()
        }
    };
    bedside.shelf().filled(from_us);
}

/// From which time on nothing is missing now.
async fn read_back(
    bedside: &Bedside,
    mut reader: Reader,
    end: Sequence,
    stopping: &watch::Receiver<bool>,
) -> Result<i64, Error> {
    let now_us = bedside.house.now().utc_us();
    // What is measured once is offered for longer than minutes are kept.
    let wanted_us = now_us.saturating_sub(EPISODIC_WITHIN_US);
    let newest = end.number().saturating_sub(RECORDS_MAX);
    let bound = Sequence::new(newest).unwrap_or(Sequence::FIRST);
    let first = reader.first_since(wanted_us)?.max(bound);
    // Where the journal begins later, or the bound cuts, it is complete from what is read first.
    let mut complete_from_us = (first == Sequence::FIRST).then_some(wanted_us);
    let mut next = first;
    while next < end && !*stopping.borrow() {
        let step = beside(move || {
            let read = reader.read_from(next, READ_RECORDS, READ_BYTES);
            (reader, read)
        });
        let Some((back, read)) = step.await else { break };
        reader = back;
        let Read { records, next: behind, .. } = read?;
        let earliest = records.first().map(|record| record.time_us.max(wanted_us));
        complete_from_us = complete_from_us.or(earliest);
        let ours = records.iter().filter(|one| one.sequence < end);
        for record in ours.filter(|one| one.kind == Kind::Observation) {
            bedside.shelf().take(record.sequence.number(), &record.payload);
        }
        if behind == next {
            break;
        }
        next = behind;
        tokio::time::sleep(REST).await;
    }
    // What was not read to its end is not there.
    Ok(complete_from_us.filter(|_| next >= end).unwrap_or(now_us))
}
