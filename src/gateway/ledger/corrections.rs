//! Beside the committer: which kept values change hands by a new entry, found in the journal and
//! handed to the committer in small batches, so that it never waits for them.
//!
//! Whom a value was filed for is read off its newest record, and whose it is off the ledger of
//! today; so doing it twice does nothing the second time, and what a stop cut short is done at the
//! next start ([`crate::gateway::memory::Memory::unexamined`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot, watch};

use super::LedgerDesk;
use super::confirmed::held;
use super::known::Known;
use super::lines::Lines;
use super::moves::{NewStatement, Since, around_of, moved};
use super::verdicts::{BoxClock, Verdicts};
use crate::association::{
    Around, Asked, Change, Channel, EntryId, Ledger, MeasurementId, Origin, Says, Span, Utc,
};
use crate::forward::stored::{EventKind, Stored, Written};
use crate::gateway::committer::Request;
use crate::journal::{Error, Kind, Reader, Record, beside};
use crate::link::clock;
use crate::vocabulary::{ObservationId, RecordId, Sequence, StreamId};

const READ_RECORDS: usize = 512;
const READ_BYTES: usize = 2 << 20;

/// How many records move in one request: some milliseconds of the committer.
const MOVES_AT_ONCE: usize = 32;

/// What is measured is received at most so much earlier than its chart time, by a box whose clock
/// runs true; and a time near the edge of a span is judged again.
const SLACK_S: i64 = 3600;

/// Entries that were added, and the ledger before them.
#[derive(Clone, Debug)]
pub struct Examine {
    pub entries: Vec<(u64, EntryId)>,
    pub before: Arc<Ledger>,
}

/// Records for one kept record that changes hands; whole or not at all.
pub type Move = Vec<NewStatement>;

/// What became of some moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moved {
    /// All of them are durable.
    Kept,
    /// The journal takes nothing.
    NotKept,
    /// Nothing was taken: a person has come to stand behind one of the values meanwhile.
    LookAgain,
}

/// The task.
pub struct Corrector {
    pub desk: LedgerDesk,
    pub lines: Lines,
    pub clock: BoxClock,
    pub reader: Reader,
    /// Of the records in it.
    pub stream: StreamId,
    pub requests: mpsc::UnboundedSender<Request>,
}

impl Corrector {
    /// Runs until it is told to stop.
    pub async fn run(
        self,
        mut asked: mpsc::UnboundedReceiver<Examine>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            let examine = tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return,
                examine = asked.recv() => examine,
            };
            let Some(mut examine) = examine else { return };
            // What has come meanwhile is one look through the journal.
            while let Ok(more) = asked.try_recv() {
                examine.entries.extend(more.entries);
            }
            if !self.examine(examine, &stop).await {
                return;
            }
        }
    }

    /// False if the house stops.
    pub(super) async fn examine(&self, examine: Examine, stop: &watch::Receiver<bool>) -> bool {
        let sequences: Vec<u64> = examine.entries.iter().map(|(sequence, _)| *sequence).collect();
        let (ledger, lines) = (self.desk.now(), self.lines.clone());
        let now = Utc::from_us(clock::now().utc_us());
        let touched = beside({
            let ledger = Arc::clone(&ledger);
            move || touched(&examine, &ledger, &lines, now)
        });
        let Some(touched) = touched.await else { return true };
        while !touched.is_empty() {
            let looked = self.look_through(touched.clone(), stop).await;
            match looked {
                Ok(Moved::Kept) => break,
                Ok(Moved::LookAgain) => {}
                Ok(Moved::NotKept) => return false,
                Err(error) => {
                    // They stay unexamined, and the next start looks again.
                    tracing::error!(%error, "kept values could not be looked through");
                    return true;
                }
            }
        }
        // The committer is gone only when the house stops.
        self.requests.send(Request::Examined(sequences)).is_ok()
    }

    /// `NotKept` too if the house stops.
    async fn look_through(
        &self,
        touched: Touched,
        stop: &watch::Receiver<bool>,
    ) -> Result<Moved, Error> {
        let mut reader = self.reader.clone();
        let Some(end) = reader.durable() else { return Ok(Moved::Kept) };
        // Every record up to the end was judged by entries that are durable now.
        let ledger = self.desk.now();
        let first = match touched.first(&reader, self.stream)? {
            Some(first) => first,
            None => return Ok(Moved::Kept),
        };
        let mut look = Look {
            stream: self.stream,
            touched,
            ledger,
            lines: self.lines.clone(),
            clock: self.clock,
            verdicts: Verdicts::default(),
            known: Known::default(),
        };
        for pass in [Pass::Learn, Pass::Judge] {
            let mut next = first;
            while next <= end {
                if *stop.borrow() {
                    return Ok(Moved::NotKept);
                }
                let step = beside(move || {
                    let read = reader.read_from(next, READ_RECORDS, READ_BYTES);
                    let moves = read.map(|read| {
                        let ours = read.records.iter().filter(|one| one.sequence <= end);
                        (ours.flat_map(|one| look.take(pass, one)).collect::<Vec<_>>(), read.next)
                    });
                    (reader, look, moves)
                });
                let Some((back, looked, moves)) = step.await else { return Ok(Moved::Kept) };
                (reader, look) = (back, looked);
                let (moves, behind) = moves?;
                for some in moves.chunks(MOVES_AT_ONCE) {
                    let moved = self.moves(some.to_vec(), end.number()).await;
                    if moved != Moved::Kept {
                        return Ok(moved);
                    }
                }
                if behind == next {
                    break;
                }
                next = behind;
            }
        }
        Ok(Moved::Kept)
    }

    async fn moves(&self, moves: Vec<Move>, through: u64) -> Moved {
        let (done, moved) = oneshot::channel();
        let sent = self.requests.send(Request::Moves { moves, through, done });
        if sent.is_err() { Moved::NotKept } else { moved.await.unwrap_or(Moved::NotKept) }
    }
}

/// Of which lines values may change hands, in which span, and which single records.
#[derive(Clone, Debug, Default)]
struct Touched {
    lines: BTreeMap<String, Span>,
    /// By record, which measurement a spot check names.
    records: BTreeMap<String, MeasurementId>,
}

impl Touched {
    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.records.is_empty()
    }

    fn add(&mut self, line: &str, span: Span) {
        let later = |one: Option<Utc>, other: Option<Utc>| Some(one?.max(other?));
        let wide = self.lines.entry(line.to_owned()).or_insert(span);
        wide.from = wide.from.min(span.from);
        wide.until = later(wide.until, span.until);
    }

    /// Where to begin to read.
    fn first(&self, reader: &Reader, stream: StreamId) -> Result<Option<Sequence>, Error> {
        let from = self.lines.values().map(|span| span.from.plus_s(-SLACK_S)).min();
        let of_lines = match from {
            Some(from) if from > Utc::from_us(0) => Some(reader.first_since(from.us())?),
            Some(_) => Some(reader.first()),
            None => None,
        };
        let named = self.records.keys().filter_map(|id| RecordId::parse(id).ok());
        let of_records = named.filter(|id| id.is_of(stream)).map(|id| id.sequence()).min();
        Ok(of_lines.into_iter().chain(of_records).min())
    }
}

/// What these entries touch.
fn touched(examine: &Examine, ledger: &Ledger, lines: &Lines, now: Utc) -> Touched {
    let mut touched = Touched::default();
    let mut before = Ledger::clone(&examine.before);
    for (_, id) in &examine.entries {
        let Some(entry) = ledger.entry(id) else { continue };
        for change in before.changes(entry, now) {
            let Change { origin, span, measurement, .. } = change;
            let Some(line) = lines.of_origin(&origin) else { continue };
            if measurement.is_none() {
                touched.add(line, span);
            }
        }
        if let Says::SpotCheck { measurement, .. } = &entry.says {
            let record = record_of(measurement);
            touched.records.insert(record, measurement.clone());
        }
        // It was taken by the rules; a ledger that has it already is as good.
        let _ = before.add(entry.clone());
    }
    touched
}

/// The record of an observation id, or the record itself.
fn record_of(measurement: &MeasurementId) -> String {
    let text = measurement.as_str();
    match text.rsplit_once('.') {
        Some((record, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => {
            record.to_owned()
        }
        Some(_) | None => text.to_owned(),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// What has happened to statements since.
    Learn,
    /// What happens to them now.
    Judge,
}

struct Look {
    stream: StreamId,
    touched: Touched,
    ledger: Arc<Ledger>,
    lines: Lines,
    clock: BoxClock,
    verdicts: Verdicts,
    known: Known,
}

impl Look {
    fn take(&mut self, pass: Pass, record: &Record) -> Option<Move> {
        if record.kind == Kind::Audit && pass == Pass::Learn {
            held(&record.payload).iter().for_each(|act| self.known.learn_act(act));
            self.known.learn_of_the_core(&record.payload);
        }
        if record.kind != Kind::Observation {
            return None;
        }
        let written = Written::from_bytes(&record.payload)?;
        let id = RecordId::of(self.stream, record.sequence);
        let ours = self.touched.lines.contains_key(written.subject.as_ref())
            || self.touched.records.contains_key(id.as_str())
            || written.kind == EventKind::Confirmation;
        let stored = ours.then(|| written.stored()).flatten()?;
        match pass {
            Pass::Learn => {
                self.known.learn(&stored);
                None
            }
            Pass::Judge => self.judge(&id, &stored).filter(|made| !made.is_empty()),
        }
    }

    fn judge(&mut self, id: &RecordId, stored: &Stored) -> Option<Move> {
        let statement = matches!(
            stored.kind,
            EventKind::Observation
                | EventKind::Alarm
                | EventKind::PumpEvent
                | EventKind::Correction
        );
        let has = |key: &str| stored.data.contains_key(key);
        let mode = stored.data.get("mode").and_then(Json::as_str);
        if !statement
            || has("held")
            || has("disputed")
            || mode != Some("production")
            || self.known.is_replaced(id.as_str())
        {
            return None;
        }
        let line = self.lines.get(&stored.subject).filter(|line| !line.is_analyser)?;
        let around = self.around(&stored.data)?;
        let channel = stored.data.get("channel").and_then(Json::as_str).unwrap_or_default();
        let verdict = match self.touched.records.get(id.as_str()) {
            Some(measurement) => {
                let origin = Origin::Line(line.line.clone());
                let measurement = Some(measurement.clone());
                let channel = Channel::parse(channel).ok();
                let asked = Asked { origin, channel, measurement, at: around };
                super::verdicts::said(self.ledger.attribute(&asked, Utc::MAX))
            }
            None => {
                let span = self.touched.lines.get(&stored.subject)?;
                if !reaches(*span, around) {
                    return None;
                }
                self.verdicts.said(&self.ledger, (line, channel), around)
            }
        };
        let nobody = || {
            let why = crate::association::WhyNot::NotAssociated;
            let (proposal, place, entries) = (None, None, Vec::new());
            Arc::new(Err(crate::association::Unattributed { why, proposal, place, entries }))
        };
        let verdict = verdict.unwrap_or_else(nobody);
        let withdrawn = self.known.is_withdrawn(id.as_str());
        let since = if withdrawn { Since::Withdrawn } else { Since::Stands };
        let ledger = &self.ledger;
        let survivor = |patient: &_| ledger.survivor(patient);
        let mut made = moved((id, stored), since, &verdict, &self.known, survivor);
        if self.known.is_disputed(id.as_str()) {
            // It is said once.
            made.retain(|one| !one.data.contains_key("disputed"));
        }
        Some(made)
    }

    fn around(&self, data: &serde_json::Map<String, Json>) -> Option<Around> {
        let clock = data.get("times")?.pointer("/received/clock")?.as_str()?;
        if clock != "synchronised" && self.clock == BoxClock::Vouched {
            return Some(Around { earliest: Utc::MIN, latest: Utc::MAX });
        }
        around_of(data)
    }
}

/// Whether a value's time may lie in the span.
fn reaches(span: Span, around: Around) -> bool {
    let before_end = span.until.is_none_or(|until| around.earliest <= until.plus_s(SLACK_S));
    before_end && span.from.plus_s(-SLACK_S) <= around.latest
}

/// Gives the metrics of a record the observation ids that they lack.
pub(super) fn state_ids(data: &mut serde_json::Map<String, Json>, id: &RecordId) {
    let metrics = data.get_mut("metrics").and_then(Json::as_array_mut);
    for (index, metric) in metrics.into_iter().flatten().enumerate() {
        if let Some(fields) = metric.as_object_mut() {
            let stated = || serde_json::json!(ObservationId::of(id, index));
            fields.entry("observation_id").or_insert_with(stated);
        }
    }
}
