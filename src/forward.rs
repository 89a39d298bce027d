//! Forwarding: what the journal holds goes to a destination until the destination says that it has
//! stored it, and a durable cursor remembers how far that is.
//!
//! This room reads the journal and the cursor files, renders records, and judges acknowledgements.
//! It must not free anything (the gateway does, behind every required cursor), change a record, or
//! take a transport's receipt (an MQTT PUBACK) for an acknowledgement.
//!
//! | part | does |
//! |---|---|
//! | [`stored`] | what a forwardable record's payload is, and its CloudEvents form |
//! | [`acknowledgement`] | what a receiver answers |
//! | [`window`] | which records are in flight, and what an acknowledgement retires. Pure |
//! | [`ranges`] | a set of sequences. Pure |
//! | [`cursor`] | how far a destination is, on disk |
//! | [`earlier`] | what was kept before a destination came, and goes there all the same |
//! | [`manifest`] | what a destination must have, signed. Pure |
//! | [`proof`] | what an answered manifest proves where an acknowledgement proves too little. Pure |
//! | [`pump`] | what every binding does alike: journal, window, cursor, connections |
//! | [`tls`] | the files of a TLS client, and what is seen of the receiver's certificate |
//! | `renewal` | a connection is made anew when its files are replaced |
//! | [`http`] | the HTTP client of the bindings that speak HTTP |
//! | [`https`] | the HTTPS JSON binding |
//! | [`mqtt`] | the MQTT 5 binding |
//! | [`hl7v2`] | the HL7 v2 binding over MLLP |
//! | [`fhir`] | the FHIR R4 binding |

pub mod acknowledgement;
pub mod cursor;
pub mod earlier;
pub mod fhir;
pub mod hl7v2;
pub mod http;
pub mod https;
pub mod manifest;
pub mod mqtt;
pub mod proof;
pub mod pump;
pub mod ranges;
mod renewal;
#[cfg(test)]
pub(crate) mod simulated;
pub mod stored;
pub mod tls;
pub mod window;
pub mod wire;

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::{mpsc, oneshot};

use crate::vocabulary::{Sequence, StreamId};

/// Where a binding hands in what a core says of its own charting.
pub type Inbox = mpsc::Sender<Inbound>;

/// Something that a core says which is no answer to a record.
pub struct Inbound {
    pub payload: Vec<u8>,
    /// The ids of those who may say it.
    pub receivers: Vec<String>,
    /// What the core is told when it is durable; nothing, and it says it again.
    pub answer: oneshot::Sender<Vec<u8>>,
}

/// What a destination counts, for `status` and the metrics. Totals since the start of the daemon.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records sent for the first time.
    pub sent: AtomicU64,
    /// Records sent again after silence or a new connection.
    pub resent: AtomicU64,
    /// Records that the receiver says it has stored.
    pub acknowledged: AtomicU64,
    /// Rejections, for good or not.
    pub rejected: AtomicU64,
    /// Records set aside: rejected for good, or rejected up to the limit.
    pub set_aside: AtomicU64,
    /// Acknowledgements or ranges of them that were not believed.
    pub refused_acknowledgements: AtomicU64,
    /// Records of the journal that could not be read or rendered.
    pub unreadable: AtomicU64,
    /// Records that were needed here after the box had freed them.
    pub freed: AtomicU64,
    /// Cursor writes that failed; nothing new is sent before one succeeds.
    pub cursor_failures: AtomicU64,
    /// Connections lost, and attempts to make one that failed.
    pub losses: AtomicU64,
    /// Connections made.
    pub connections: AtomicU64,
    /// Why nothing is sent at all until somebody has looked and started again.
    pub refused: OnceLock<&'static str>,
    /// Whether there is a connection.
    pub connected: AtomicBool,
    /// How far answered manifests prove it, where only they do.
    pub proof: Mutex<Option<ProofShown>>,
    /// Why there is none, in words without data; empty while there is one.
    pub trouble: Mutex<String>,
    /// The TLS files that connections are made with.
    pub files: OnceLock<tls::TlsFiles>,
    /// What is seen of the receiver's certificate.
    pub peer: Arc<tls::Peer>,
    /// Sequences between the cursor and the journal's end.
    pub backlog: AtomicU64,
    /// The time of the oldest record in flight, microseconds since 1970 UTC; 0 for none.
    pub oldest_unacknowledged_us: AtomicI64,
    /// Records that are set aside now; the newest of them are named in the cursor file.
    pub aside: AtomicU64,
    /// Sequence and code of the newest record set aside.
    pub newest_aside: Mutex<Option<(u64, String)>>,
}

/// How far a destination is proven by answered manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofShown {
    /// Everything up to here is proven.
    pub through: u64,
    /// Manifests that have no answer that counts.
    pub waiting: usize,
    /// When the oldest of them was made, microseconds since 1970 UTC.
    pub since_us: Option<i64>,
    /// Answers since the start of the daemon that named something the core lacks.
    pub lacked: u64,
}

impl Counters {
    fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

/// Records that a destination needs and cannot get any more. The contract wants a gap record of
/// it (`INGESTION.md`, "Acknowledgement").
///
/// Some of them may not have been routed to the destination: records that cannot be read do not
/// say so any more. Each sequence is told once while the daemon runs.
#[derive(Clone, Debug)]
pub struct Unavailable {
    /// The destination's name.
    pub destination: String,
    /// The first sequence.
    pub first: u64,
    /// The last sequence.
    pub last: u64,
    pub why: UnavailableWhy,
    /// Whoever makes the gap record says here that it is durable. The cursor does not pass the
    /// range before.
    pub recorded: Recorded,
}

/// Whether a gap record is on stable storage.
#[derive(Clone, Debug, Default)]
pub struct Recorded(Arc<AtomicBool>);

impl Recorded {
    /// It is.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it is.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A record that a destination will not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    pub destination: String,
    pub stream: StreamId,
    pub sequence: Sequence,
    /// The receiver's code, or ours.
    pub code: String,
}

/// Asks for a record of it in the journal. It takes effect by [`Notice::is_durable`]; if that never
/// comes, the same is found again after the next start.
#[derive(Debug)]
pub struct Notice {
    pub what: Aside,
    answer: mpsc::UnboundedSender<(Aside, i64)>,
}

impl Notice {
    /// The journal's record of it, of this time, is on stable storage.
    pub fn is_durable(self, time_us: i64) {
        // The destination may have ended; it starts from its cursor file again.
        let _ = self.answer.send((self.what, time_us));
    }
}

/// What a person asks of a running destination.
#[derive(Debug)]
pub enum Command {
    /// Send these again. The answer comes when the cursor that says so is durable.
    Resend { ranges: Vec<(u64, u64)>, done: oneshot::Sender<bool> },
}

/// Why records cannot be had any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnavailableWhy {
    /// The box has freed them: they had been accepted, or the destination is not required.
    Freed,
    /// They cannot be read.
    Damaged,
}
