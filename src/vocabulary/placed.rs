//! What was worked out of things that others hold, too, found again by where they lie.
//!
//! What is noted is held, so nothing else can lie where it does. Finding it costs one
//! multiplication: a monitor's message asks a hundred times.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Values by where their things lie.
///
/// ```
/// use std::sync::Arc;
/// use wardgate::vocabulary::placed::Placed;
///
/// let mut placed = Placed::with_room(2);
/// let (one, same, other) = (Arc::new("heart rate"), Arc::new("heart rate"), Arc::new("SpO2"));
/// placed.note(Arc::clone(&one), 1);
/// assert_eq!((placed.get(&one), placed.get(&same)), (Some(&1), None));
/// placed.note(same, 2);
/// placed.note(other, 3); // No room: all are forgotten first.
/// assert_eq!(placed.get(&one), None);
/// ```
#[derive(Debug)]
pub struct Placed<K, V> {
    entries: HashMap<usize, (Arc<K>, V), BuildHasherDefault<ByAddress>>,
    most: usize,
}

impl<K, V> Placed<K, V> {
    /// Room for `most` things; one more, and all are forgotten.
    pub fn with_room(most: usize) -> Self {
        Self { entries: HashMap::default(), most }
    }

    /// What was noted of this very thing, not of an equal one.
    pub fn get(&self, thing: &Arc<K>) -> Option<&V> {
        self.entries.get(&Arc::as_ptr(thing).addr()).map(|(_, value)| value)
    }

    /// Notes what was worked out of a thing.
    pub fn note(&mut self, thing: Arc<K>, value: V) {
        if self.entries.len() >= self.most {
            self.entries.clear();
        }
        self.entries.insert(Arc::as_ptr(&thing).addr(), (thing, value));
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}

/// Addresses are ours: nobody outside chooses them.
#[derive(Debug, Default)]
struct ByAddress(u64);

impl Hasher for ByAddress {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_usize(usize::from(*byte)));
    }

    fn write_usize(&mut self, address: usize) {
        // 2^64 divided by the golden ratio: neighbours come far apart.
        let mixed = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
