//! `[gateway.retention]`: how long and how much the journal keeps.

use serde::Deserialize;

use crate::gateway::room::RESERVE_SEGMENTS;

/// How long and how much the journal keeps.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionTable {
    /// What every required destination has stored is kept this long, for `explain` and for a core
    /// that comes back from an older backup. When room gets short it goes earlier.
    #[serde(default = "retention_hours")]
    pub hours: u32,
    /// What the journal may take on the disk; by default four fifths of what is free at the start.
    #[serde(default)]
    pub bytes: Option<u64>,
}

impl Default for RetentionTable {
    fn default() -> Self {
        Self { hours: retention_hours(), bytes: None }
    }
}

/// A day: who comes on shift can still explain the numbers of the shift before.
fn retention_hours() -> u32 {
    24
}

/// A shorter retention would let `explain` fail while a value is still looked at.
const RETENTION_HOURS_MIN: u32 = 1;

/// A journal of fewer segments than this would refuse devices while it works as it should: its
/// reserve, one that is written, one that is sent and one that is freed.
const QUOTA_SEGMENTS_MIN: u64 = RESERVE_SEGMENTS + 3;

impl RetentionTable {
    /// What is wrong with it in a journal with segments of this size: keys and what is expected.
    pub(super) fn problems(&self, segment_bytes: u64) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.hours < RETENTION_HOURS_MIN {
            problems.push(("hours", format!("expected {RETENTION_HOURS_MIN} or more")));
        }
        let least = QUOTA_SEGMENTS_MIN.saturating_mul(segment_bytes);
        if self.bytes.is_some_and(|bytes| bytes < least) {
            let what = format!("expected {least} or more: {QUOTA_SEGMENTS_MIN} segments");
            problems.push(("bytes", what));
        }
        problems
    }
}
