//! Bytes outside any transmission: gathered, counted and handed over as one message without groups.
//! They show a wrong line speed, another protocol, or a sender that began while we were away.

use super::Desk;
use super::assembly::Assembly;
use super::link::{CR, EOT, LF};
use crate::protocol::Completeness;
use crate::vocabulary::{Moment, Why};

/// How long they are gathered before they go out.
const GATHER_MS: u64 = 5_000;
/// How many are kept: enough to see what they are.
const BYTES_MAX: usize = 4_096;

#[derive(Default)]
pub(super) struct Stray {
    kept: Assembly,
    count: usize,
    since: Option<Moment>,
}

impl Stray {
    /// Line ends and a lone EOT are usual and mean nothing.
    pub(super) fn byte(&mut self, byte: u8, came: Moment) {
        if self.since.is_none() {
            if matches!(byte, CR | LF | EOT) {
                return;
            }
            self.since = Some(came);
        }
        self.count += 1;
        if self.count <= BYTES_MAX {
            self.kept.stray(byte);
        }
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.since.map(|since| since.plus_ms(GATHER_MS))
    }

    pub(super) fn flush(&mut self, now: Moment, desk: &mut Desk) {
        let Stray { mut kept, count, .. } = std::mem::take(self);
        if count > BYTES_MAX {
            let detail = format!("{count} bytes came outside any transmission, not all are kept");
            kept.stopped(Why::Resync, &detail);
        }
        if !kept.is_empty() {
            desk.hand_over(&kept, 0, Completeness::Complete, now);
        }
    }
}
