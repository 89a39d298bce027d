//! Which acts were taken in the last 48 hours, so that a phone that sends one again gets the same
//! answer, also after a restart of the box.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How long a client's id is remembered: longer than a phone is offline on a shift.
pub const ACTS_KEPT_S: i64 = 48 * 3600;

/// By the client's id: the record's sequence and when it was kept, microseconds since 1970 UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Acts {
    by_client: BTreeMap<String, (u64, i64)>,
}

impl Acts {
    /// The record of the act with this client's id.
    pub fn record(&self, client_id: &str) -> Option<u64> {
        self.by_client.get(client_id).map(|(sequence, _)| *sequence)
    }

    /// All of them: the client's id and the record's sequence.
    pub fn all(&self) -> Vec<(String, u64)> {
        self.by_client.iter().map(|(id, (sequence, _))| (id.clone(), *sequence)).collect()
    }

    /// Remembers an act.
    pub fn note(&mut self, client_id: &str, sequence: u64, kept_us: i64) {
        self.by_client.entry(client_id.to_owned()).or_insert((sequence, kept_us));
    }

    /// Lets go what is older than [`ACTS_KEPT_S`].
    pub fn forget(&mut self, now_us: i64) {
        let limit_us = now_us.saturating_sub(ACTS_KEPT_S * 1_000_000);
        self.by_client.retain(|_, (_, kept_us)| *kept_us >= limit_us);
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }
}
