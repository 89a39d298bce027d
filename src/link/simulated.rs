//! A box whose clocks a test sets, per thread: the time since boot follows the runtime's paused
//! time, UTC is whatever the box believes.

use std::cell::Cell;

use tokio::time::Instant;

use crate::vocabulary::{Certainty, Moment};

thread_local! {
    static CLOCKS: Cell<Option<Clocks>> = const { Cell::new(None) };
}

/// The clocks of a simulated box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// When `boot_us` was true.
    pub at: Instant,
    /// Microseconds since boot at that time.
    pub boot_us: u64,
    /// UTC less the time since boot.
    pub offset_us: i64,
    pub certainty: Certainty,
}

/// Sets the clocks of this thread.
pub(crate) fn set(clocks: Clocks) {
    CLOCKS.set(Some(clocks));
}

/// What they show; `None` on a thread that asks the real ones.
pub(crate) fn now() -> Option<Moment> {
    let clocks = CLOCKS.get()?;
    let passed = u64::try_from(clocks.at.elapsed().as_micros()).unwrap_or(u64::MAX);
    let boot_us = clocks.boot_us.saturating_add(passed);
    let utc_us = clocks.offset_us.saturating_add_unsigned(boot_us);
    Some(Moment::new(boot_us, utc_us, clocks.certainty))
}
