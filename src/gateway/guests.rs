//! Who may hold a connection to the box: so many in all, so many per device, so many per device and
//! address.
//!
//! # Why nobody is thrown out for being quiet
//! Analysers connect when they are switched on and send hours later; a monitor is quiet for
//! minutes. A first-byte deadline for everybody would throw them out in a loop, and some send into
//! a closed connection once before they notice. So the deadline [`FIRST_BYTE_WITHIN`] counts only
//! under pressure: when a limit is nearly reached, a connection that never said a byte, has been
//! there for longer, and has been so the longest of all, makes room for the next one. It has sent
//! nothing, so nothing of it is lost. A connection that has spoken never makes room: it is watched
//! by keep-alive (`link`), and what it begins must be finished in time (`protocol`). When nobody
//! can make room, the new one is refused.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How many connections the box holds. With the files of the house that is half of the 1,024 that a
/// process may have open by default.
pub const BOX_MAX: usize = 512;

/// How many one listening device holds: a gateway product with one connection per bed of a large
/// ward, and as many again that are dead and not noticed yet.
pub const DEVICE_MAX: usize = 128;

/// How many of them may come from one address, so that one peer gone mad leaves room for others.
pub const PEER_MAX: usize = 96;

/// How soon a connection must say something when room is short.
pub const FIRST_BYTE_WITHIN: Duration = Duration::from_secs(10);

/// All connections that devices have made to the box.
#[derive(Debug, Default)]
pub struct Guests {
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    last_number: u64,
    taken: BTreeMap<u64, Seat>,
}

#[derive(Debug)]
struct Seat {
    device: String,
    peer: IpAddr,
    since: Instant,
    has_spoken: bool,
    leave: Arc<Notify>,
}

/// Which limit leaves no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// [`PEER_MAX`].
    #[error("too many connections from this address")]
    Peer,
    /// [`DEVICE_MAX`].
    #[error("too many connections to this device's port")]
    Device,
    /// [`BOX_MAX`].
    #[error("too many connections to this box")]
    Box,
}

impl Guests {
    /// Takes in a new connection, or says why not.
    ///
    /// # Errors
    /// Which limit is reached while nobody can make room.
    pub fn admit(
        self: &Arc<Self>,
        device: &str,
        peer: IpAddr,
        now: Instant,
    ) -> Result<Guest, Full> {
        let mut seats = self.seats();
        for (limit, full) in
            [(PEER_MAX, Full::Peer), (DEVICE_MAX, Full::Device), (BOX_MAX, Full::Box)]
        {
            let concerns = |seat: &Seat| match full {
                Full::Peer => seat.device == device && seat.peer == peer,
                Full::Device => seat.device == device,
                Full::Box => true,
            };
            let taken = seats.taken.values().filter(|seat| concerns(seat)).count();
            let near = taken >= limit - limit / 4;
            let room_made = near && seats.make_room(concerns, now);
            if taken >= limit && !room_made {
                return Err(full);
            }
        }
        seats.last_number += 1;
        let number = seats.last_number;
        let leave = Arc::new(Notify::new());
        let seat = Seat {
            device: device.to_owned(),
            peer,
            since: now,
            has_spoken: false,
            leave: Arc::clone(&leave),
        };
        seats.taken.insert(number, seat);
        Ok(Guest { guests: Arc::clone(self), number, leave })
    }

    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seats {
    /// Asks the one to leave that has been silent from its beginning for the longest time.
    fn make_room(&mut self, concerns: impl Fn(&Seat) -> bool, now: Instant) -> bool {
        let overdue = |seat: &Seat| {
            !seat.has_spoken && now.saturating_duration_since(seat.since) >= FIRST_BYTE_WITHIN
        };
        // Numbers grow with time, so the first is the oldest.
        let oldest = self.taken.iter().find(|(_, seat)| concerns(seat) && overdue(seat));
        let Some(number) = oldest.map(|(number, _)| *number) else { return false };
        if let Some(seat) = self.taken.remove(&number) {
            seat.leave.notify_one();
        }
        true
    }
}

/// One connection's seat; dropping it frees it.
#[derive(Debug)]
pub struct Guest {
    guests: Arc<Guests>,
    number: u64,
    leave: Arc<Notify>,
}

impl Guest {
    /// A byte came: this one stays.
    pub fn spoke(&self) {
        if let Some(seat) = self.guests.seats().taken.get_mut(&self.number) {
            seat.has_spoken = true;
        }
    }

    /// Comes back when this connection has to make room.
    pub async fn asked_to_leave(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.guests.seats().taken.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn fill(guests: &Arc<Guests>, device: &str, peer: IpAddr, now: Instant) -> Vec<Guest> {
        std::iter::from_fn(|| guests.admit(device, peer, now).ok()).collect()
    }

    fn is_asked_to_leave(guest: &Guest) -> bool {
        use std::future::Future;
        use std::task::{Context, Waker};
        let leaving = std::pin::pin!(guest.asked_to_leave());
        leaving.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn each_limit_holds_and_room_comes_back() {
        let (guests, now) = (Arc::new(Guests::default()), Instant::now());
        let mut of_one = fill(&guests, "monitor", address(1), now);
        assert_eq!(of_one.len(), PEER_MAX);
        assert_eq!(guests.admit("monitor", address(1), now).unwrap_err(), Full::Peer);
        let of_other = fill(&guests, "monitor", address(2), now);
        assert_eq!(of_one.len() + of_other.len(), DEVICE_MAX);
        assert_eq!(guests.admit("monitor", address(3), now).unwrap_err(), Full::Device);
        of_one.pop();
        assert!(guests.admit("monitor", address(3), now).is_ok());
        drop((of_one, of_other));
        let mut all = Vec::new();
        for device in 0..BOX_MAX / PEER_MAX + 1 {
            all.extend(fill(&guests, &device.to_string(), address(1), now));
        }
        assert_eq!(all.len(), BOX_MAX);
        assert_eq!(guests.admit("other", address(9), now).unwrap_err(), Full::Box);
        drop(all);
        assert!(guests.seats().taken.is_empty());
    }

    #[test]
    fn quiet_ones_stay_while_there_is_room() {
        let (guests, now) = (Arc::new(Guests::default()), Instant::now());
        let quiet = guests.admit("analyser", address(1), now).unwrap();
        let hours_later = now + Duration::from_secs(3 * 3600);
        let half: Vec<_> =
            (0..PEER_MAX / 2).map(|_| guests.admit("analyser", address(1), hours_later)).collect();
        assert!(half.iter().all(Result::is_ok) && !is_asked_to_leave(&quiet));
    }

    #[test]
    fn under_pressure_the_longest_silent_that_never_spoke_makes_room() {
        let (guests, now) = (Arc::new(Guests::default()), Instant::now());
        let spoken = guests.admit("monitor", address(1), now).unwrap();
        spoken.spoke();
        let silent = guests.admit("monitor", address(1), now).unwrap();
        let rest = fill(&guests, "monitor", address(1), now);
        let early = now + FIRST_BYTE_WITHIN - Duration::from_millis(1);
        assert_eq!(guests.admit("monitor", address(1), early).unwrap_err(), Full::Peer);
        let late = now + FIRST_BYTE_WITHIN;
        let next = guests.admit("monitor", address(1), late).unwrap();
        assert!(is_asked_to_leave(&silent) && !is_asked_to_leave(&spoken));
        assert!(!rest.iter().any(is_asked_to_leave) && !is_asked_to_leave(&next));
        // Whoever has spoken is never asked.
        rest.iter().chain([&next]).for_each(Guest::spoke);
        assert_eq!(guests.admit("monitor", address(1), late).unwrap_err(), Full::Peer);
    }
}
