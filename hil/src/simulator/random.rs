//! Numbers that look like a patient's and are the same for the same seed. Whole numbers only: a
//! value's digits are made, never rounded.

/// SplitMix64: enough for a simulator, and three lines.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `below` - 1; 0 if there is none.
    pub fn below(&mut self, below: u64) -> u64 {
        self.next().checked_rem(below).unwrap_or(0)
    }

    /// True once in `times` on average.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// A whole number that wanders between two bounds.
#[derive(Clone, Debug)]
pub struct Walk {
    value: u32,
    low: u32,
    high: u32,
    step: u32,
}

impl Walk {
    /// Starts at `value` and moves at most `step` at a time.
    pub const fn new(value: u32, low: u32, high: u32, step: u32) -> Self {
        Self { value, low, high, step }
    }

    /// The next number.
    pub fn next(&mut self, random: &mut Random) -> u32 {
        let span = u64::from(self.step) * 2 + 1;
        let up = u32::try_from(random.below(span)).unwrap_or(0);
        let moved = self.value.saturating_add(up).saturating_sub(self.step);
        self.value = moved.clamp(self.low, self.high);
        self.value
    }
}

/// `decimal(740, 2)` is `7.40`: as many decimals as the device shows.
pub fn decimal(number: u32, places: usize) -> String {
    if places == 0 {
        return number.to_string();
    }
    let digits = format!("{number:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    format!("{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_keep_their_zeros() {
        assert_eq!(decimal(740, 2), "7.40");
        assert_eq!(decimal(5, 2), "0.05");
        assert_eq!(decimal(45, 1), "4.5");
        assert_eq!(decimal(97, 0), "97");
    }

    #[test]
    fn a_walk_stays_in_its_bounds_and_repeats_for_its_seed() {
        let path = |seed| {
            let (mut random, mut walk) = (Random::new(seed), Walk::new(97, 88, 100, 2));
            (0..200).map(|_| walk.next(&mut random)).collect::<Vec<_>>()
        };
        assert!(path(1).iter().all(|value| (88..=100).contains(value)));
        assert_eq!(path(7), path(7));
        assert_ne!(path(7), path(8));
    }
}
