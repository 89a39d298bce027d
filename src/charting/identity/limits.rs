//! How much one address or one session may ask: a bucket that fills at a steady pace. Whoever asks
//! more is refused before anything is worked out for it, and nobody else notices.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use super::refused::Refused;

/// So many requests per second, and so many at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pub per_second: u32,
    pub at_once: u32,
}

/// One address. A ward's phones have one each; several may stand behind one access point.
pub const ADDRESS: Pace = Pace { per_second: 50, at_once: 200 };
/// One phone in one hand.
pub const SESSION: Pace = Pace { per_second: 10, at_once: 40 };
/// So many are told apart; all further ones share one bucket.
const BUCKETS_MAX: usize = 10_000;
/// The parts of one request, so that filling needs no fractions.
const PARTS: u64 = 1_000_000;

/// Buckets by who asks.
#[derive(Debug)]
pub struct Limits<K> {
    pace: Pace,
    buckets: HashMap<K, Bucket>,
    others: Option<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// `0 <= parts <= at_once * PARTS`
    parts: u64,
    filled_us: u64,
}

impl<K: Hash + Eq> Limits<K> {
    /// Everybody may ask at that pace.
    pub fn new(pace: Pace) -> Self {
        Self { pace, buckets: HashMap::new(), others: None }
    }

    /// Counts one request at that time since boot.
    ///
    /// # Errors
    /// [`Refused::TooMany`].
    pub fn take(&mut self, who: K, monotonic_us: u64) -> Result<(), Refused> {
        let pace = self.pace;
        let full = u64::from(pace.at_once) * PARTS;
        let new = Bucket { parts: full, filled_us: monotonic_us };
        if self.buckets.len() >= BUCKETS_MAX && !self.buckets.contains_key(&who) {
            // A full bucket remembers nothing.
            self.buckets.retain(|_, bucket| bucket.filled(pace, monotonic_us).parts < full);
        }
        let bucket = if self.buckets.len() < BUCKETS_MAX || self.buckets.contains_key(&who) {
            self.buckets.entry(who).or_insert(new)
        } else {
            self.others.get_or_insert(new)
        };
        *bucket = bucket.filled(pace, monotonic_us);
        match bucket.parts.checked_sub(PARTS) {
            Some(rest) => bucket.parts = rest,
            None => return Err(Refused::TooMany { retry_after_s: 1 }),
        }
        Ok(())
    }
}

impl Bucket {
    fn filled(self, pace: Pace, now_us: u64) -> Self {
        // One request a second is PARTS in 1,000,000 us, so parts and microseconds are one measure.
        let more = now_us.saturating_sub(self.filled_us).saturating_mul(pace.per_second.into());
        let full = u64::from(pace.at_once) * PARTS;
        Self { parts: self.parts.saturating_add(more).min(full), filled_us: now_us }
    }
}

/// Who asks, by address: of IPv6 the network, because a host has as many addresses as it likes.
pub fn address(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            std::net::Ipv6Addr::from(network).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_requests_a_second_are_refused_and_the_neighbour_is_not() {
        let mut limits = Limits::new(ADDRESS);
        let mut taken = 0;
        for ms in 0..1000_u64 {
            taken += u32::from(limits.take("loud", ms * 1000).is_ok());
            if ms % 100 == 0 {
                assert_eq!(limits.take("quiet", ms * 1000), Ok(()));
            }
        }
        // What stood at once, and what a second fills.
        assert!((249..=250).contains(&taken), "{taken}");
        assert!(limits.take("loud", 2_000_000).is_ok());
    }

    #[test]
    fn more_addresses_than_can_be_told_apart_share_one_bucket() {
        let mut limits = Limits::new(ADDRESS);
        for number in 0..BUCKETS_MAX {
            limits.take(number, 0).unwrap();
        }
        let taken = (BUCKETS_MAX..2 * BUCKETS_MAX).filter(|n| limits.take(*n, 0).is_ok()).count();
        assert_eq!(taken, 200);
        assert!(limits.take(5, 0).is_ok());
        assert!(limits.take(2 * BUCKETS_MAX, 10_000_000).is_ok());
        assert!(limits.buckets.len() < 10);
    }

    #[test]
    fn a_host_is_its_network() {
        let of = |text: &str| address(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
