//! How long a feed is usually quiet, and when it counts as silent: then what it would say is
//! unknown, which is not the same as that nothing changed.

use crate::vocabulary::Moment;

/// Before anything is learned: an hour. A hospital's feed says something more often by day.
const FIRST_LIMIT_S: u64 = 3600;
/// What is learned is not below this: a feed that says something each minute may rest.
const LIMIT_S_MIN: u64 = 15 * 60;
/// Nor above this: a day without a word is silence in any hospital.
const LIMIT_S_MAX: u64 = 24 * 3600;
/// So many times the longest quiet stretch of the last days is silence.
const TIMES_USUAL: u64 = 2;
const DAYS: usize = 7;
const DAY_S: u64 = 24 * 3600;

/// The quiet of one feed. Nothing was heard since the start is silence from the start on.
#[derive(Debug)]
pub struct Quiet {
    configured_s: Option<u64>,
    began: Moment,
    last: Option<Moment>,
    /// The longest stretch of each of the last days, today's first.
    longest_s: [u64; DAYS],
    day: u64,
    silent: bool,
}

impl Quiet {
    /// From a start, with the site's limit if it gives one.
    pub fn new(configured_s: Option<u64>, now: Moment) -> Self {
        let longest_s = [0; DAYS];
        Self { configured_s, began: now, last: None, longest_s, day: 0, silent: false }
    }

    /// Something was heard. True if a silence ends by it, which a start is, too.
    pub fn heard(&mut self, now: Moment) -> bool {
        let was_unknown = self.silent || self.last.is_none();
        if let Some(last) = self.last {
            // A stretch that counted as silence teaches no more than the limit was.
            let quiet_s = (now.since_ms(last) / 1000).min(self.limit_s());
            self.turn_to(now);
            let [today, ..] = &mut self.longest_s;
            *today = (*today).max(quiet_s);
        }
        self.last = Some(now);
        self.silent = false;
        was_unknown
    }

    fn turn_to(&mut self, now: Moment) {
        let day = now.since_ms(self.began) / 1000 / DAY_S;
        for _ in self.day..day.min(self.day + DAYS as u64) {
            self.longest_s.rotate_right(1);
            self.longest_s[0] = 0;
        }
        self.day = day;
    }

    /// How long it may be quiet.
    pub fn limit_s(&self) -> u64 {
        if let Some(configured_s) = self.configured_s {
            return configured_s;
        }
        let longest_s = self.longest_s.into_iter().max().unwrap_or(0);
        let learned_s = (longest_s * TIMES_USUAL).clamp(LIMIT_S_MIN, LIMIT_S_MAX);
        // A first day that was busy says nothing of the night.
        if self.day == 0 { learned_s.max(FIRST_LIMIT_S) } else { learned_s }
    }

    /// When it counts as silent unless something is heard; `None` while it does.
    pub fn next_wake(&self) -> Option<Moment> {
        let since = self.last.unwrap_or(self.began);
        (!self.silent).then(|| since.plus_ms(self.limit_s() * 1000))
    }

    /// The silence that begins now: since when nothing was heard.
    pub fn wake(&mut self, now: Moment) -> Option<Moment> {
        let due = self.next_wake().is_some_and(|at| at.monotonic_us() <= now.monotonic_us());
        self.silent |= due;
        due.then(|| self.last.unwrap_or(self.began))
    }

    /// Since when what the feed would say is unknown; `None` while it is heard.
    pub fn unknown_since(&self) -> Option<Moment> {
        let last = self.last.unwrap_or(self.began);
        (self.silent || self.last.is_none()).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Certainty;

    fn at(minutes: u64) -> Moment {
        let us = minutes * 60 * 1_000_000;
        Moment::new(us, 1_772_409_600_000_000 + us as i64, Certainty::Synchronised)
    }

    #[test]
    fn nothing_heard_is_unknown_and_not_no_change() {
        let mut quiet = Quiet::new(None, at(0));
        assert_eq!(quiet.unknown_since(), Some(at(0)));
        assert!(quiet.heard(at(5)));
        assert_eq!(quiet.unknown_since(), None);
        assert!(!quiet.heard(at(10)));
        assert_eq!(quiet.wake(at(69)), None);
        // An hour, as nothing of the night is known yet.
        assert_eq!(quiet.wake(at(70)), Some(at(10)));
        assert_eq!((quiet.unknown_since(), quiet.next_wake()), (Some(at(10)), None));
        assert_eq!(quiet.wake(at(80)), None);
        assert!(quiet.heard(at(90)));
    }

    #[test]
    fn it_learns_the_nights_and_forgets_what_is_a_week_old() {
        let mut quiet = Quiet::new(None, at(0));
        let day = 24 * 60;
        let (mut flagged, mut minute) = (Vec::new(), 0);
        for night in 0..6 {
            // Every 10 minutes until 18:00, then nothing until midnight.
            for step in 0..108 {
                minute = night * day + step * 10;
                quiet.heard(at(minute));
            }
            flagged.push(quiet.wake(at(minute + 6 * 60)).is_some());
        }
        // One hour, then two, four, eight.
        assert_eq!(flagged, [true, true, true, false, false, false]);
        // Twice the 370 minutes from 17:50 on.
        assert_eq!(quiet.limit_s(), 2 * 370 * 60);
        for step in 0..10 * 144 {
            quiet.heard(at(6 * day + step * 10));
        }
        assert_eq!(quiet.limit_s(), 20 * 60);
    }

    #[test]
    fn the_sites_limit_goes_before_what_is_learned() {
        let mut quiet = Quiet::new(Some(300), at(0));
        quiet.heard(at(0));
        assert_eq!(quiet.wake(at(5)), Some(at(0)));
    }
}
