//! What a start says of the journal that it found.

use crate::gateway::memory::Memory;
use crate::journal;

pub(super) fn report(recovery: &journal::Recovery, memory: &Memory) {
    for damage in &recovery.damaged {
        tracing::error!(?damage, "the journal is damaged below what was durable");
    }
    if let Some(folder) = &recovery.set_aside {
        tracing::warn!(folder, "the journal's end could not be proven: a new stream begins");
    }
    if recovery.last.is_some() && !memory.stopped_in_order {
        let (torn_bytes, copied) = (recovery.torn_bytes, recovery.copied_records);
        tracing::warn!(torn_bytes, copied, "the last run did not stop in order");
    }
}
