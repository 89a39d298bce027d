//! The provider's keys as they were read last, when they are read again, and how long they are
//! believed when they cannot be. Pure.
//!
//! | what | when |
//! |---|---|
//! | read in the background | 5 minutes after the last good reading; every 30 s while it fails |
//! | read for a token with an unknown key | at most every 30 s, whatever was asked |
//! | read before an answer | keys of 10 minutes or more, at most every 30 s |
//! | an alarm in the log | keys of an hour |
//! | believed no more | after the site's bound, 24 hours at most |

use super::keys::KeySet;
use super::sessions::Provider;
use crate::vocabulary::Moment;

/// How long keys count as fresh.
pub const FRESH_S: i64 = 600;
/// Keys are read again in the background after half of it.
const REFRESH_S: i64 = FRESH_S / 2;
/// No two readings are nearer to each other than this, good or bad.
const APART_S: u64 = 30;
/// Keys of this age are worth a person's look.
const ALARM_S: i64 = 3600;

/// What a reading of the provider gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    pub keys: KeySet,
    /// The discovery document as it came.
    pub discovery: Vec<u8>,
    /// The key set as it came.
    pub key_set: Vec<u8>,
}

/// The keys that are believed.
#[derive(Debug, Default)]
pub struct Cache {
    keys: Option<KeySet>,
    /// When they were read: seconds since 1970, and microseconds since boot if it was this boot.
    read_s: i64,
    read_us: Option<u64>,
    tried_us: Option<u64>,
    fails: bool,
    reached_since_s: i64,
    alarmed: bool,
}

impl Cache {
    /// What was kept on the disk.
    pub fn kept(keys: KeySet, read_s: i64) -> Self {
        Self { keys: Some(keys), read_s, ..Self::default() }
    }

    /// The keys, if they are not older than the bound.
    pub fn keys(&self, now: Moment, bound_s: i64) -> Option<&KeySet> {
        self.keys.as_ref().filter(|_| self.age_s(now) < bound_s)
    }

    /// Seconds since they were read, by the clock that says more: a clock that was set back makes
    /// no key younger.
    pub fn age_s(&self, now: Moment) -> i64 {
        let by_utc = now.utc_us().div_euclid(1_000_000).saturating_sub(self.read_s).max(0);
        let by_boot = self.read_us.map(|us| now.monotonic_us().saturating_sub(us) / 1_000_000);
        by_utc.max(by_boot.and_then(|s| i64::try_from(s).ok()).unwrap_or(0))
    }

    /// Whether a reading would be too near to the last one.
    pub fn must_wait(&self, now: Moment) -> bool {
        let since = |us: u64| now.monotonic_us().saturating_sub(us);
        self.tried_us.is_some_and(|us| since(us) < APART_S * 1_000_000)
    }

    /// Whether it is time to read in the background.
    pub fn is_due(&self, now: Moment) -> bool {
        let old = self.read_us.is_none() || self.age_s(now) >= REFRESH_S;
        (old || self.fails) && !self.must_wait(now)
    }

    /// Whether an answer should wait for a reading.
    pub fn is_stale(&self, now: Moment) -> bool {
        (self.keys.is_none() || self.age_s(now) >= FRESH_S) && !self.must_wait(now)
    }

    /// A reading was begun.
    pub fn tries(&mut self, now: Moment) {
        self.tried_us = Some(now.monotonic_us());
    }

    /// A reading came to its end. Whether the provider came back or went away with it.
    pub fn read(&mut self, keys: Option<KeySet>, now: Moment) -> bool {
        let was_reached = self.read_us.is_some() && !self.fails;
        self.tried_us = Some(now.monotonic_us());
        self.fails = keys.is_none();
        if let Some(keys) = keys {
            self.keys = Some(keys);
            self.read_s = now.utc_us().div_euclid(1_000_000);
            self.read_us = Some(now.monotonic_us());
            self.alarmed = false;
            if !was_reached {
                self.reached_since_s = self.read_s;
            }
        }
        was_reached == self.fails
    }

    /// Whether the provider answers. One that was not asked for long counts as away.
    pub fn provider(&self, now: Moment) -> Provider {
        if self.fails || self.read_us.is_none() || self.age_s(now) >= FRESH_S {
            return Provider::Away;
        }
        Provider::Reached { since_s: self.reached_since_s }
    }

    /// Whether somebody should look, once per outage.
    pub fn alarm(&mut self, now: Moment) -> bool {
        let first = !self.alarmed && self.age_s(now) >= ALARM_S;
        self.alarmed |= first;
        first
    }

    /// The operator does not believe a key any more.
    pub fn remove(&mut self, kid: &str) {
        if let Some(keys) = &mut self.keys {
            keys.remove(kid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Certainty;

    fn at(s: u64) -> Moment {
        let utc_us = 1_800_000_000_000_000 + (s as i64) * 1_000_000;
        Moment::new(1_000_000_000 + s * 1_000_000, utc_us, Certainty::Synchronised)
    }

    #[test]
    fn keys_are_read_at_half_of_their_life_and_believed_up_to_the_bound() {
        let mut cache = Cache::default();
        assert!(cache.is_due(at(0)) && cache.is_stale(at(0)));
        assert!(cache.keys(at(0), 86_400).is_none());
        assert!(cache.read(Some(KeySet::default()), at(0)));
        assert_eq!(cache.provider(at(1)), Provider::Reached { since_s: 1_800_000_000 });
        assert!(!cache.is_due(at(299)) && cache.is_due(at(300)) && !cache.is_stale(at(300)));
        assert!(cache.read(None, at(300)));
        assert_eq!(cache.provider(at(301)), Provider::Away);
        assert!(!cache.is_due(at(329)) && cache.is_due(at(330)));
        assert!(!cache.read(None, at(330)));
        assert!(!cache.alarm(at(3599)) && cache.alarm(at(3600)) && !cache.alarm(at(3601)));
        assert!(cache.keys(at(86_399), 86_400).is_some());
        assert!(cache.keys(at(86_400), 86_400).is_none());
        assert!(cache.read(Some(KeySet::default()), at(90_000)));
        assert_eq!(cache.provider(at(90_001)), Provider::Reached { since_s: 1_800_090_000 });
    }

    #[test]
    fn a_clock_that_is_set_back_makes_no_key_younger() {
        let mut cache = Cache::default();
        cache.read(Some(KeySet::default()), at(0));
        let set_back = Moment::new(at(90_000).monotonic_us(), at(10).utc_us(), Certainty::Unproven);
        assert_eq!(cache.age_s(set_back), 90_000);
        assert!(cache.keys(set_back, 86_400).is_none());
    }
}
