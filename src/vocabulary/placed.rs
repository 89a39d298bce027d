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
/// let (one, same) = (Arc::new("heart rate"), Arc::new("heart rate"));
/// placed.note(Arc::clone(&one), 1);
/// assert_eq!((placed.get(&one), placed.get(&same)), (Some(&1), None));
/// placed.note(Arc::new("gone"), 2); // Nobody else holds it: it goes when room is needed.
/// placed.note(Arc::clone(&same), 3);
/// assert_eq!((placed.get(&one), placed.get(&same)), (Some(&1), Some(&3)));
/// ```
#[derive(Debug)]
pub struct Placed<K, V> {
    entries: HashMap<usize, (Arc<K>, V), BuildHasherDefault<ByAddress>>,
    most: usize,
    /// At so many it is looked which of them somebody else still holds.
    look_at: usize,
}

/// Fewer are not worth a look.
const LOOK_AT_MIN: usize = 64;

impl<K, V> Placed<K, V> {
    /// Room for `most` things that others hold, too; one more, and all are forgotten. What nobody
    /// else holds any more does not come again, and is forgotten first.
    pub fn with_room(most: usize) -> Self {
        Self { entries: HashMap::default(), most, look_at: LOOK_AT_MIN.min(most) }
    }

    /// What was noted of this very thing, not of an equal one.
    pub fn get(&self, thing: &Arc<K>) -> Option<&V> {
        self.entries.get(&Arc::as_ptr(thing).addr()).map(|(_, value)| value)
    }

    /// Notes what was worked out of a thing.
    pub fn note(&mut self, thing: Arc<K>, value: V) {
        if self.entries.len() >= self.look_at {
            self.entries.retain(|_, (thing, _)| Arc::strong_count(thing) > 1);
            if self.entries.len() >= self.most {
                self.entries.clear();
            }
            self.look_at = (2 * self.entries.len()).max(LOOK_AT_MIN).min(self.most);
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
