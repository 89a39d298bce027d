//! A set of sequences, kept as ranges that neither overlap nor touch.

use std::collections::BTreeMap;

use super::acknowledgement::Range;

/// Sequences, below 2^53.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// First to last.
    by_first: BTreeMap<u64, u64>,
}

impl FromIterator<(u64, u64)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(pairs: I) -> Self {
        let mut ranges = Self::default();
        pairs.into_iter().for_each(|(first, last)| ranges.add(first..=last));
        ranges
    }
}

impl Ranges {
    /// Adds a range; an empty one adds nothing.
    pub fn add(&mut self, range: Range) {
        let (mut first, mut last) = (*range.start(), *range.end());
        if first > last {
            return;
        }
        // Swallow what touches or overlaps.
        while let Some((from, until)) = self.by_first.range(..=last + 1).next_back() {
            let (from, until) = (*from, *until);
            if until + 1 < first {
                break;
            }
            self.by_first.remove(&from);
            (first, last) = (first.min(from), last.max(until));
        }
        self.by_first.insert(first, last);
    }

    pub fn contains(&self, sequence: u64) -> bool {
        let before = self.by_first.range(..=sequence).next_back();
        before.is_some_and(|(_, last)| *last >= sequence)
    }

    /// The parts of `range` that are not in the set.
    pub fn outside(&self, range: Range) -> Vec<Range> {
        let mut outside = Vec::new();
        let mut from = *range.start();
        for (first, last) in self.by_first.range(..=*range.end()) {
            if from < *first {
                outside.push(from..=first - 1);
            }
            from = from.max(last + 1);
        }
        if from <= *range.end() {
            outside.push(from..=*range.end());
        }
        outside
    }

    /// Removes a range.
    pub fn remove(&mut self, range: Range) {
        let (first, last) = (*range.start(), *range.end());
        if first > last {
            return;
        }
        while let Some((from, until)) = self.by_first.range(..=last).next_back() {
            let (from, until) = (*from, *until);
            if until < first {
                return;
            }
            self.by_first.remove(&from);
            if until > last {
                self.by_first.insert(last + 1, until);
            }
            if from < first {
                self.by_first.insert(from, first - 1);
            }
        }
    }

    /// Whether any of the range is in the set.
    pub fn touches(&self, range: &Range) -> bool {
        let before = self.by_first.range(..=*range.end()).next_back();
        before.is_some_and(|(_, last)| last >= range.start())
    }

    /// The lowest range.
    pub fn first(&self) -> Option<(u64, u64)> {
        self.by_first.first_key_value().map(|(first, last)| (*first, *last))
    }

    pub fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    /// How many ranges there are.
    pub fn len(&self) -> usize {
        self.by_first.len()
    }

    /// Removes every sequence below `first`.
    pub fn forget_below(&mut self, first: u64) {
        while let Some((from, until)) = self.by_first.first_key_value().map(|(a, b)| (*a, *b)) {
            if from >= first {
                break;
            }
            self.by_first.remove(&from);
            if until >= first {
                self.by_first.insert(first, until);
            }
        }
    }

    pub fn clear(&mut self) {
        self.by_first.clear();
    }

    /// First and last of each range, ascending.
    pub fn pairs(&self) -> impl Iterator<Item = (u64, u64)> {
        self.by_first.iter().map(|(first, last)| (*first, *last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the plainest set of all.
    #[test]
    fn it_is_the_set_of_what_was_added() {
        let mut number: u64 = 7;
        let mut below = |limit: u64| {
            number = number.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (number >> 33) % limit
        };
        for _ in 0..200 {
            let (mut ranges, mut plain) = (Ranges::default(), [false; 64]);
            for _ in 0..below(12) {
                let (first, last) = (below(60), below(60));
                ranges.add(first..=last);
                (first..=last).for_each(|one| plain[one as usize] = true);
                let least = below(20);
                if below(4) == 0 {
                    ranges.forget_below(least);
                    (0..least).for_each(|one| plain[one as usize] = false);
                }
            }
            let (first, last) = (below(60), below(60));
            ranges.remove(first..=last);
            (first..=last).for_each(|one| plain[one as usize] = false);
            let (first, last) = (below(60), below(60));
            let any = (first..=last).any(|one| plain[one as usize]);
            assert_eq!(first <= last && ranges.touches(&(first..=last)), any);
            for one in 0..64 {
                assert_eq!(ranges.contains(one), plain[one as usize]);
            }
            let (first, last) = (below(60), below(60));
            let outside: Vec<u64> = ranges.outside(first..=last).into_iter().flatten().collect();
            let expected: Vec<u64> = (first..=last).filter(|one| !plain[*one as usize]).collect();
            assert_eq!(outside, expected);
            let pairs: Vec<(u64, u64)> = ranges.pairs().collect();
            assert!(pairs.windows(2).all(|two| two[0].1 + 1 < two[1].0), "{pairs:?}");
        }
    }
}
