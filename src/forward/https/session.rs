//! One connection: asks what the receiver has, then sends batch after batch.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{Ended, Https, Outgoing, Pump};
use crate::forward::acknowledgement::{ANSWER_BYTES_MAX, Have};
use crate::forward::http::{Answer, Http, Request};
use crate::forward::window::Verdict;

/// How often the receiver is asked what it has: one that was restored between two batches ends no
/// connection that we would notice.
const ASK_EVERY: Duration = Duration::from_secs(10);
/// So many manifests are asked of in one go; the oldest is what the others wait for.
const MANIFESTS_AT_ONCE: usize = 64;
/// The cursor lags behind acknowledgements at most so long.
const SAVE_AFTER: Duration = Duration::from_millis(200);
/// The longest sleep between two looks at what is due.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// A busy receiver that names no wait is asked again after this.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// So many answers 500 in a row are not a moment's weakness: perhaps one record is at fault.
const TROUBLES_MAX: u32 = 3;
/// So many records go alone then: enough to see whether others are taken, and few for a receiver
/// that is down.
const ALONE_RECORDS: usize = 8;
/// The media type of the CloudEvents batch format (CloudEvents 1.0, JSON format, 4).
const BATCH: &str = "application/cloudevents-batch+json";

/// Records that go in one request, by sequence.
type Batch = Vec<(u64, Outgoing)>;

/// What a request came to.
enum Outcome {
    /// There was an acknowledgement, believed or not.
    Answered,
    /// Something in the batch will never be taken.
    Refused {
        status: u16,
    },
    /// The receiver wants to be left alone.
    Busy(Duration),
    /// 500: its own fault, or one record's.
    Trouble,
    Lost(String),
}

impl Https {
    pub(super) async fn connection(
        &mut self,
        pump: &mut Pump<Outgoing>,
        durable: &mut watch::Receiver<u64>,
    ) -> Ended {
        match self.converse(pump, durable).await {
            Ok(never) => match never {},
            Err(why) => Ended::Lost(why),
        }
    }

    async fn converse(
        &mut self,
        pump: &mut Pump<Outgoing>,
        durable: &mut watch::Receiver<u64>,
    ) -> Result<std::convert::Infallible, String> {
        // Files are replaced while we run: each connection reads them anew.
        let http = Http::noting(
            &self.destination.https.http(),
            self.destination.plain,
            &pump.counters.peer,
        )
        .map_err(|error| error.to_string())?;
        ask_have(&http, pump).await?;
        pump.connected();
        ask_manifests(&http, pump).await?;
        let (mut saved_at, mut asked_at) = (Instant::now(), Instant::now());
        loop {
            if asked_at.elapsed() >= ASK_EVERY {
                ask_have(&http, pump).await?;
                ask_manifests(&http, pump).await?;
                asked_at = Instant::now();
            }
            let now_durable = *durable.borrow_and_update();
            pump.fill(self).await?;
            pump.count(now_durable);
            let config = &self.destination.https;
            let most =
                if self.troubles < TROUBLES_MAX { config.batch_records } else { ALONE_RECORDS };
            let due = pump.take_due(most);
            if due.is_empty() {
                rest(pump, durable, &mut saved_at).await?;
                continue;
            }
            let batches = batches(due, config.batch_bytes);
            if let Some(wait) = self.deliver(&http, pump, batches).await? {
                // What this costs in time is the receiver's wish; nothing is lost by it.
                pump.save().await;
                leave_alone(pump, durable, wait).await;
                pump.window.reconnected();
            }
            if pump.is_behind() && saved_at.elapsed() >= SAVE_AFTER {
                pump.save().await;
                saved_at = Instant::now();
            }
        }
    }

    /// Sends batches one after the other, halving what is refused. `Some`: the receiver wants to
    /// be left alone so long.
    async fn deliver(
        &mut self,
        http: &Http,
        pump: &mut Pump<Outgoing>,
        mut batches: VecDeque<Batch>,
    ) -> Result<Option<Duration>, String> {
        let (mut answered, mut troubled) = (false, Vec::new());
        while let Some(batch) = batches.pop_front() {
            match post(http, pump, &batch).await {
                Outcome::Answered => answered = true,
                Outcome::Refused { status } => match batch.as_slice() {
                    [(sequence, _)] => {
                        let code = format!("http-{status}");
                        pump.settle(*sequence, Verdict::Refused { code, permanent: true });
                    }
                    _ => halve(batch, &mut batches),
                },
                Outcome::Busy(wait) => return Ok(Some(wait)),
                Outcome::Trouble if self.troubles >= TROUBLES_MAX => match batch.as_slice() {
                    [(sequence, _)] => troubled.push(*sequence),
                    _ => halve(batch, &mut batches),
                },
                Outcome::Trouble => {
                    self.troubles += 1;
                    return Err("answers 500".to_owned());
                }
                Outcome::Lost(why) => return Err(why),
            }
        }
        if !answered && !troubled.is_empty() {
            // Nothing at all is taken, so it is not the records.
            return Err("answers 500".to_owned());
        }
        self.troubles = if troubled.is_empty() { 0 } else { self.troubles };
        for sequence in troubled {
            let code = "http-500".to_owned();
            pump.settle(sequence, Verdict::Refused { code, permanent: false });
        }
        Ok(None)
    }
}

/// Sends nothing for so long; `status` still sees the backlog grow.
async fn leave_alone(pump: &Pump<Outgoing>, durable: &mut watch::Receiver<u64>, wait: Duration) {
    let until = Instant::now() + wait;
    while Instant::now() < until {
        let now_durable = *durable.borrow_and_update();
        pump.count(now_durable);
        tokio::time::sleep_until(until.min(Instant::now() + LOOK_AFTER)).await;
    }
}

/// Waits until something may be due, and saves the cursor meanwhile.
async fn rest(
    pump: &mut Pump<Outgoing>,
    durable: &mut watch::Receiver<u64>,
    saved_at: &mut Instant,
) -> Result<(), String> {
    if pump.is_behind() {
        pump.save().await;
        *saved_at = Instant::now();
    }
    let due = pump.window.next_due_ms().map(|due| due.saturating_sub(pump.now_ms()).max(1));
    let due = due.map_or(LOOK_AFTER, Duration::from_millis).min(LOOK_AFTER);
    match tokio::time::timeout(due, durable.changed()).await {
        // The journal is closed: whoever closed it stops us, too.
        Ok(Err(_)) => std::future::pending().await,
        Ok(Ok(())) | Err(_) => Ok(()),
    }
}

/// The receiver's `have` moves the cursor back if its generation is higher than before.
async fn ask_have(http: &Http, pump: &mut Pump<Outgoing>) -> Result<(), String> {
    let path = format!("/ingest/v1/streams/{}", pump.reader.stream());
    let request = Request { answer_bytes_max: ANSWER_BYTES_MAX, ..Request::get(path) };
    let answer = http
        .send(request.with("accept", "application/json"))
        .await
        .map_err(|error| error.to_string())?;
    match answer.status {
        404 => Ok(()),
        200 => {
            // The same generation each time is no news, and nothing to disbelieve.
            let known = pump.window.state().have_generation;
            let old = Have::parse(&answer.body).is_ok_and(|have| have.generation <= known);
            if !old {
                pump.hear_have(&answer.body);
            }
            Ok(())
        }
        status => Err(format!("answers {status} when asked what it has")),
    }
}

/// Asks for the answers to the oldest manifests that wait for one.
async fn ask_manifests(http: &Http, pump: &mut Pump<Outgoing>) -> Result<(), String> {
    for manifest in pump.waiting_manifests().into_iter().take(MANIFESTS_AT_ONCE) {
        let path = format!("/ingest/v1/streams/{}/manifests/{manifest}", pump.reader.stream());
        let request = Request { answer_bytes_max: ANSWER_BYTES_MAX, ..Request::get(path) };
        let answer = http.send(request.with("accept", "application/json")).await;
        let answer = answer.map_err(|error| error.to_string())?;
        match answer.status {
            404 => {}
            200 => pump.hear_manifest_answer(&answer.body),
            status => return Err(format!("answers {status} when asked of a manifest")),
        }
    }
    Ok(())
}

async fn post(http: &Http, pump: &mut Pump<Outgoing>, batch: &Batch) -> Outcome {
    let mut body = vec![b'['];
    for (_, Outgoing(payload)) in batch {
        if body.len() > 1 {
            body.push(b',');
        }
        body.extend_from_slice(payload);
    }
    body.push(b']');
    let request = Request::post("/ingest/v1/records", BATCH, body);
    let request = Request { answer_bytes_max: ANSWER_BYTES_MAX, ..request };
    match http.send(request.with("accept", "application/json")).await {
        Ok(answer) => judge(pump, &answer),
        Err(error) => match error.retry_after() {
            Some(wait) => Outcome::Busy(wait),
            None => Outcome::Lost(error.to_string()),
        },
    }
}

fn judge(pump: &mut Pump<Outgoing>, answer: &Answer) -> Outcome {
    match answer.status {
        200..=299 => {
            pump.hear_acknowledgement(&answer.body);
            Outcome::Answered
        }
        status @ (400 | 413 | 422) => Outcome::Refused { status },
        429 | 503 => Outcome::Busy(answer.retry_after.unwrap_or(BUSY_WAIT)),
        500 => Outcome::Trouble,
        status => Outcome::Lost(format!("answers {status}")),
    }
}

/// Cuts what is due into batches of at most so many bytes; a larger record is alone in its batch.
fn batches(due: Batch, bytes_max: usize) -> VecDeque<Batch> {
    let mut batches: VecDeque<Batch> = VecDeque::new();
    let mut bytes = 0;
    for (sequence, outgoing) in due {
        let size = outgoing.0.len() + 1;
        match batches.back_mut() {
            Some(last) if bytes + size <= bytes_max => {
                last.push((sequence, outgoing));
                bytes += size;
            }
            Some(_) | None => {
                batches.push_back(vec![(sequence, outgoing)]);
                bytes = 2 + size;
            }
        }
    }
    batches
}

/// Both halves come next, in order.
fn halve(mut batch: Batch, batches: &mut VecDeque<Batch>) {
    let second = batch.split_off(batch.len() / 2);
    batches.push_front(second);
    batches.push_front(batch);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn record(sequence: u64, bytes: usize) -> (u64, Outgoing) {
        (sequence, Outgoing(Arc::new(vec![b'x'; bytes])))
    }

    fn sequences(batches: &VecDeque<Batch>) -> Vec<Vec<u64>> {
        batches.iter().map(|batch| batch.iter().map(|(sequence, _)| *sequence).collect()).collect()
    }

    #[test]
    fn a_batch_keeps_its_limit_and_a_large_record_goes_alone() {
        let due = vec![record(1, 40), record(2, 40), record(3, 500), record(4, 10)];
        assert_eq!(sequences(&batches(due, 100)), [vec![1, 2], vec![3], vec![4]]);
        assert!(batches(Vec::new(), 100).is_empty());
    }

    #[test]
    fn halves_come_next_and_in_order() {
        let mut rest = VecDeque::from([vec![record(9, 1)]]);
        halve(vec![record(1, 1), record(2, 1), record(3, 1)], &mut rest);
        assert_eq!(sequences(&rest), [vec![1], vec![2, 3], vec![9]]);
    }
}
