//! One connection to a receiver, from the TCP handshake to its end.
//!
//! A message waits for its answer; how many may wait at once says the configuration, and of one
//! device never more than one, so that a correction does not overtake what it corrects. Silence
//! sends the same bytes again. An answer counts only for the message whose id stands in MSA-2, and
//! only while that one is on its way; everything else is counted and moves nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::answer::{Answer, Code};
use super::configuration::Hl7v2Config;
use super::map::{Map, When};
use super::render::{Outcome, render};
use crate::forward::pump::{Binding, Ended, Fate, Outbound, Pump, Settings};
use crate::forward::tls::{Peer, TlsFiles, why_network};
use crate::forward::window::{Pace, Verdict};
use crate::forward::wire::{self, Wire};
use crate::protocol::hl7v2::mllp::{Framing, Piece, PieceKind};
use crate::vocabulary::{Certainty, Moment, RecordId};

/// A receiver that takes no connection in this time is not there.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// How long the cursor may lag behind acknowledgements when nothing else wants it saved.
const SAVE_AFTER: Duration = Duration::from_millis(200);
/// The longest sleep between two looks at what is due.
const LOOK_AFTER: Duration = Duration::from_secs(1);
/// An acknowledgement is a few hundred bytes; who sends that much without ending one is no
/// receiver of ours.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What is read at once.
const READ_BYTES: usize = 4096;

/// A message on its way.
#[derive(Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The device's name: its messages go one after another.
    subject: String,
    /// The message in its block.
    block: Vec<u8>,
}

/// Speaks to one receiver. [`Pump::run`] does the work.
pub struct Hl7v2 {
    name: String,
    source: String,
    config: Hl7v2Config,
    map: Arc<Map>,
    /// Messages that went out and are not done.
    sent: BTreeMap<u64, Sent>,
}

/// What is known of a message that went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Unanswered,
    /// The receiver keeps it (CA) and owes the word of its application (AA).
    Committed,
}

/// What belongs to one connection.
struct Connection {
    wire: Box<dyn Wire>,
    framing: Framing,
    /// Bytes since the last whole piece.
    unframed: usize,
    /// Until when an answer is waited for.
    waiting: BTreeMap<u64, Instant>,
}

impl Hl7v2 {
    /// One destination. `source` is the gateway's `urn:uuid:` or `urn:oid:`.
    pub fn new(name: String, source: String, config: Hl7v2Config, map: Arc<Map>) -> Self {
        Self { name, source, config, map, sent: BTreeMap::new() }
    }

    /// What the pump of this destination needs to know.
    pub fn settings(&self, cursors: PathBuf) -> Settings {
        Settings {
            name: self.name.clone(),
            source: self.source.clone(),
            cursors,
            receivers: Vec::new(),
            pace: Pace { resend_after_ms: u64::from(self.config.answer_within_s) * 1000 },
        }
    }

    fn answer_within(&self) -> Duration {
        Duration::from_secs(u64::from(self.config.answer_within_s))
    }

    async fn connect(&self, peer: &Arc<Peer>) -> Result<Connection, String> {
        let Hl7v2Config { host, port, .. } = &self.config;
        let wire = wire::connect(host, *port, &self.config.tls(), peer).await?;
        Ok(Connection {
            wire,
            framing: Framing::new(moment(0)),
            unframed: 0,
            waiting: BTreeMap::new(),
        })
    }

    async fn converse(
        &mut self,
        pump: &mut Pump<Arc<Outgoing>>,
        connection: &mut Connection,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let mut save_at: Option<Instant> = None;
        let mut bytes = vec![0; READ_BYTES];
        loop {
            if let Err(why) = pump.fill(self).await {
                return Ended::Lost(why);
            }
            if let Err(why) = self.send(pump, connection).await {
                return Ended::Lost(why);
            }
            pump.count(*durable.borrow_and_update());
            let now = Instant::now();
            if !pump.is_behind() {
                save_at = None;
            } else if *save_at.get_or_insert(now + SAVE_AFTER) <= now {
                pump.save().await;
                save_at = None;
            }
            let wake = self.wake_at(pump, connection, save_at);
            tokio::select! {
                biased;
                _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
                read = connection.wire.read(&mut bytes) => match read {
                    Ok(0) => return Ended::Lost("closed by the receiver".to_owned()),
                    Ok(count) => {
                        let read = bytes.get(..count).unwrap_or_default();
                        if let Err(why) = self.receive(pump, connection, read) {
                            return Ended::Lost(why);
                        }
                    }
                    Err(error) => return Ended::Lost(why_network(&error)),
                },
                changed = durable.changed() => if changed.is_err() {
                    return Ended::Stopped;
                },
                () = tokio::time::sleep_until(wake) => {}
            }
            connection.framing.wake(moment(pump.now_ms()));
            self.hear(pump, connection);
        }
    }

    /// Sends what is due while answers may be waited for.
    async fn send(
        &mut self,
        pump: &mut Pump<Arc<Outgoing>>,
        connection: &mut Connection,
    ) -> Result<(), String> {
        let now = Instant::now();
        connection.waiting.retain(|_, until| *until > now);
        let outstanding = usize::from(self.config.outstanding);
        let room = outstanding.saturating_sub(connection.waiting.len());
        if room == 0 {
            return Ok(());
        }
        for (sequence, outgoing) in pump.take_due_by_lane(room, |one| &one.subject) {
            let written = async {
                connection.wire.write_all(&outgoing.block).await?;
                connection.wire.flush().await
            };
            // From here on the receiver may have it, whatever the network says.
            self.sent.insert(sequence, Sent::Unanswered);
            match tokio::time::timeout(self.answer_within(), written).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(why_network(&error)),
                Err(_) => return Err("the receiver does not read".to_owned()),
            }
            connection.waiting.insert(sequence, Instant::now() + self.answer_within());
        }
        Ok(())
    }

    fn receive(
        &mut self,
        pump: &mut Pump<Arc<Outgoing>>,
        connection: &mut Connection,
        bytes: &[u8],
    ) -> Result<(), String> {
        connection.unframed += bytes.len();
        connection.framing.receive(bytes, moment(pump.now_ms()));
        self.hear(pump, connection);
        if connection.unframed > ANSWER_BYTES_MAX {
            return Err("an endless answer".to_owned());
        }
        Ok(())
    }

    fn hear(&mut self, pump: &mut Pump<Arc<Outgoing>>, connection: &mut Connection) {
        while let Some(piece) = connection.framing.poll() {
            connection.unframed = 0;
            if let Err(why) = self.answered(pump, connection, &piece) {
                pump.disbelieve(vec![why.to_owned()]);
            }
        }
    }

    /// Applies one answer.
    fn answered(
        &mut self,
        pump: &mut Pump<Arc<Outgoing>>,
        connection: &mut Connection,
        piece: &Piece,
    ) -> Result<(), &'static str> {
        if piece.kind != PieceKind::Block {
            return Err("bytes outside a block");
        }
        let inside = piece.raw.strip_prefix(b"\x0B").unwrap_or(&piece.raw);
        let end = inside.iter().position(|byte| *byte == 0x1C).unwrap_or(inside.len());
        let block = inside.get(..end).unwrap_or_default();
        let answer = Answer::read(block).ok_or("no acknowledgement")?;
        let id = RecordId::parse(&answer.control_id).map_err(|_| "MSA-2 is no id of ours")?;
        if !id.is_of(pump.reader.stream()) {
            return Err("MSA-2 is of another stream");
        }
        let sequence = id.sequence().number();
        let Some(sent) = self.sent.get_mut(&sequence) else {
            return Err("MSA-2 names nothing that is on its way");
        };
        let asked = self.map.file().acknowledgement;
        let both = [asked.accept, asked.application] == [Some(When::Always); 2];
        let verdict = match answer.code {
            Code::CommitAccept if both && *sent == Sent::Committed => {
                return Err("the same answer again");
            }
            Code::CommitAccept if both => {
                *sent = Sent::Committed;
                return Ok(());
            }
            Code::CommitAccept | Code::Accept => Verdict::Accepted,
            Code::Error => refused(&answer, false),
            Code::Reject => refused(&answer, true),
        };
        connection.waiting.remove(&sequence);
        pump.settle(sequence, verdict);
        if pump.window.is_in_flight(sequence) {
            self.sent.insert(sequence, Sent::Unanswered);
        } else {
            self.sent.remove(&sequence);
        }
        Ok(())
    }

    fn wake_at(
        &self,
        pump: &Pump<Arc<Outgoing>>,
        connection: &Connection,
        save_at: Option<Instant>,
    ) -> Instant {
        let now = Instant::now();
        let in_ms =
            |due: u64| now + Duration::from_millis(due.saturating_sub(pump.now_ms()).max(1));
        let is_full = connection.waiting.len() >= usize::from(self.config.outstanding);
        let due = match is_full {
            true => None,
            false => pump.window.next_due_by_lane_ms(|one| &one.subject).map(in_ms),
        };
        let unfinished = connection.framing.next_wake().map(|at| in_ms(at.monotonic_us() / 1000));
        let silent = connection.waiting.values().min().copied();
        [due, unfinished, silent, save_at]
            .into_iter()
            .flatten()
            .fold(now + LOOK_AFTER, Instant::min)
    }
}

fn refused(answer: &Answer, permanent: bool) -> Verdict {
    Verdict::Refused { code: answer.letters.to_owned(), permanent }
}

/// The framing only measures with it.
fn moment(now_ms: u64) -> Moment {
    Moment::new(now_ms.saturating_mul(1000), 0, Certainty::Unproven)
}

impl Binding for Hl7v2 {
    type Message = Arc<Outgoing>;

    fn files(&self) -> TlsFiles {
        self.config.tls()
    }

    fn message(&mut self, outbound: &Outbound<'_>) -> Fate<Arc<Outgoing>> {
        let Some(routed) = outbound.routed() else { return Fate::Damaged };
        match render(&self.map, &routed) {
            Outcome::Message(message) => {
                let block = [b"\x0B", message.as_slice(), b"\x1C\x0D"].concat();
                let bytes = block.len();
                let subject = routed.stored.subject;
                Fate::Send { message: Arc::new(Outgoing { subject, block }), bytes }
            }
            Outcome::SetAside(why) => Fate::SetAside(why),
            Outcome::NotForHere => Fate::NotForHere,
            Outcome::Damaged => Fate::Damaged,
        }
    }

    async fn session(
        &mut self,
        pump: &mut Pump<Arc<Outgoing>>,
        durable: &mut watch::Receiver<u64>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        let connecting = tokio::time::timeout(CONNECT_WITHIN, self.connect(&pump.counters.peer));
        let connected = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return Ended::Stopped,
            connected = connecting => connected,
        };
        let mut connection = match connected {
            Ok(Ok(connection)) => connection,
            Ok(Err(why)) => return Ended::Lost(why),
            Err(_) => return Ended::Lost("no connection in time".to_owned()),
        };
        pump.connected();
        self.converse(pump, &mut connection, durable, stop).await
    }
}
