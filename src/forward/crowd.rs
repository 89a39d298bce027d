//! Whether devices wait: then a destination takes no more than it needs to keep up with a ward.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More messages than this waiting to be kept are a crowd: a ward's monitors that all speak in the
/// same moment are fewer.
const CROWD: usize = 16;

/// How many messages of devices wait to be kept. Each has a [`Place`] in it until its fate is
/// known; destinations ask.
///
/// ```
/// use std::sync::Arc;
/// use wardgate::forward::crowd::{Crowd, Place};
///
/// let crowd = Arc::new(Crowd::default());
/// let waiting: Vec<Place> = (0..40).map(|_| Place::take(&crowd)).collect();
/// assert!(crowd.is_there());
/// drop(waiting);
/// assert!(!crowd.is_there());
/// ```
#[derive(Debug, Default)]
pub struct Crowd(AtomicUsize);

impl Crowd {
    /// Whether so many wait that each record sent now holds up an acknowledgement.
    pub fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed) > CROWD
    }
}

/// A message that waits; given back when dropped.
#[derive(Debug)]
pub struct Place(Arc<Crowd>);

impl Place {
    /// One more waits.
    pub fn take(crowd: &Arc<Crowd>) -> Self {
        crowd.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(crowd))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}
