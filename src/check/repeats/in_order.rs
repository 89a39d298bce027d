//! Entries that are found by a digest and forgotten in the order in which they came.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// Entries by key, the oldest first. What is noted again keeps its place.
#[derive(Clone, Debug)]
pub(super) struct InOrder<K, V> {
    entries: VecDeque<(K, V)>,
    /// The number of an entry: its index and how many have gone before the first one.
    numbers: HashMap<K, u64, OfDigests>,
    gone: u64,
}

impl<K, V> Default for InOrder<K, V> {
    fn default() -> Self {
        Self { entries: VecDeque::new(), numbers: HashMap::default(), gone: 0 }
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for InOrder<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<K: Eq, V: Eq> Eq for InOrder<K, V> {}

impl<K: Copy + Eq + Hash, V> InOrder<K, V> {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn get(&self, key: &K) -> Option<&V> {
        let index = usize::try_from(self.numbers.get(key)? - self.gone).ok()?;
        self.entries.get(index).map(|(_, value)| value)
    }

    pub fn note(&mut self, key: K, value: V) {
        let next = self.gone + self.entries.len() as u64;
        let number = *self.numbers.entry(key).or_insert(next);
        let known = usize::try_from(number - self.gone).ok();
        match known.and_then(|index| self.entries.get_mut(index)) {
            Some((_, before)) => *before = value,
            None => self.entries.push_back((key, value)),
        }
    }

    pub fn oldest(&self) -> Option<&V> {
        self.entries.front().map(|(_, value)| value)
    }

    /// Forgets the oldest; `false` if there is none.
    pub fn forget_oldest(&mut self) -> bool {
        let Some((key, _)) = self.entries.pop_front() else { return false };
        self.numbers.remove(&key);
        self.gone += 1;
        true
    }

    /// Forgets all but some, which is rare.
    pub fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.entries.retain(|(_, value)| keep(value));
        self.gone = 0;
        let numbered = self.entries.iter().zip(0..).map(|((key, _), number)| (*key, number));
        self.numbers = numbered.collect();
    }

    pub fn iter(&self) -> impl Iterator<Item = &(K, V)> {
        self.entries.iter()
    }
}

/// Hashes the beginning of a digest, which is random already: one multiplication with a key of its
/// own keeps somebody who makes up messages from choosing where they go.
#[derive(Clone, Debug)]
struct OfDigests(u64);

impl Default for OfDigests {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }
}

impl BuildHasher for OfDigests {
    type Hasher = OfDigest;

    fn build_hasher(&self) -> OfDigest {
        OfDigest { key: self.0, state: 0 }
    }
}

struct OfDigest {
    key: u64,
    state: u64,
}

impl Hasher for OfDigest {
    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk() {
            let product = u128::from(u64::from_le_bytes(*first) ^ self.key) * u128::from(self.key);
            self.state ^= (product >> 64) as u64 ^ product as u64;
        }
    }

    /// The length of an array, which all keys share.
    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_a_list_would_be() {
        let mut chance = crate::vocabulary::chance::Chance(7);
        let (mut ordered, mut list) = (InOrder::<[u8; 8], u64>::default(), Vec::new());
        for step in 0..20_000 {
            let key = chance.below(300).wrapping_mul(0x0123_4567_89ab_cdef).to_le_bytes();
            match chance.below(40) {
                0 => {
                    let kept = |value: &u64| !value.is_multiple_of(3);
                    ordered.retain(kept);
                    list.retain(|(_, value)| kept(value));
                }
                1..10 => {
                    assert_eq!(ordered.forget_oldest(), !list.is_empty());
                    list.drain(..list.len().min(1));
                }
                _ => {
                    ordered.note(key, step);
                    match list.iter_mut().find(|(known, _)| *known == key) {
                        Some((_, value)) => *value = step,
                        None => list.push((key, step)),
                    }
                }
            }
            let known = list.iter().find(|(known, _)| *known == key).map(|(_, value)| value);
            assert_eq!((ordered.get(&key), ordered.len()), (known, list.len()));
            assert_eq!(ordered.oldest(), list.first().map(|(_, value)| value));
        }
        assert!(ordered.iter().eq(&list));
    }
}
