//! How long to wait before the next attempt to open a link.

use std::time::Duration;

/// The first wait: a re-plugged adapter is back within a second.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait: a device that is switched on again is heard within five seconds.
const LONGEST: Duration = Duration::from_secs(5);

/// Doubles from try to try and starts over after a success.
///
/// ```
/// use std::time::Duration;
/// use wardgate::link::back_off::BackOff;
/// let mut back_off = BackOff::default();
/// assert_eq!(back_off.next_wait(), Duration::from_millis(250));
/// assert_eq!(back_off.next_wait(), Duration::from_millis(500));
/// back_off.reset();
/// assert_eq!(back_off.next_wait(), Duration::from_millis(250));
/// ```
#[derive(Clone, Debug, Default)]
pub struct BackOff {
    tries: u32,
}

impl BackOff {
    /// The wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(2u32.saturating_pow(self.tries)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        wait
    }

    /// The attempt worked.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}
