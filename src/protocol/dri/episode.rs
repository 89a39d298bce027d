//! Values that are measured now and then and repeat in every record: cuff pressure, cardiac output,
//! wedge pressure. Each measurement is told once.
//!
//! The auxiliary record says when the latest one was made, and the displayed record what it gave;
//! they come apart. A time belongs to values for certain where a displayed record, newer than the
//! time and not newer than the auxiliary record, shows them, and the next displayed record shows
//! the same. So a measurement waits for one more record than it needs, and no value ever gets
//! another one's time.
//!
//! Where the monitor sends no time, a measurement is new when its values change or when a measuring
//! mark has come and gone, and it has no time of its own. What was old already when it was first
//! seen is not told then: nobody knows when it was.

/// One displayed record's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// The record's own time.
    pub time: u32,
    /// The raw values.
    pub values: Vec<i16>,
    /// The monitor's mark "older than 60 s".
    pub is_old: bool,
    /// A measurement is under way: what is shown is neither the old one nor the new one.
    pub is_measuring: bool,
    /// Every value is a mark of absence: nothing has been measured, or it is no longer shown.
    pub is_empty: bool,
}

/// What to do with a displayed record's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing new.
    Nothing,
    /// A measurement, and when the monitor says that it was made.
    Measured { time: Option<u32> },
    /// An old one whose time nobody knows; said once.
    TooOld,
    /// A measurement that was replaced before its values were certain; and perhaps this is it.
    Missed,
}

/// What is known of one kind of measurement.
#[derive(Debug, Default)]
pub(super) struct Episode {
    shown: Option<Shown>,
    /// The monitor says that it does not know when it measured what it shows.
    is_untimed: bool,
    /// A time whose values are certain, not told yet.
    certain: Option<(u32, Vec<i16>)>,
    told_time: Option<u32>,
    told_values: Option<Vec<i16>>,
    /// What was told last had no time: when the time comes, it is not told again.
    told_by_change: bool,
    /// A measurement was under way since something was told.
    was_measuring: bool,
}

impl Episode {
    /// An auxiliary record of `record_time` says when the latest measurement was made.
    pub fn timed(&mut self, record_time: u32, time: u32) {
        let shown = self.shown.as_ref().filter(|shown| !shown.is_measuring && !shown.is_empty);
        self.is_untimed = time == 0 && shown.is_some();
        if time == 0 || self.told_time == Some(time) {
            return;
        }
        let Some(shown) = shown else { return };
        if time < shown.time && shown.time <= record_time {
            self.certain = Some((time, shown.values.clone()));
        }
    }

    /// A displayed record. `is_timed`: whether auxiliary records can be expected;
    /// `is_resolved`: whether their times are instants.
    pub fn displayed(&mut self, shown: Shown, is_timed: bool, is_resolved: bool) -> Told {
        self.was_measuring |= shown.is_measuring;
        let told = if shown.is_measuring {
            Told::Nothing
        } else if is_timed && !self.is_untimed {
            self.by_time(&shown, is_resolved)
        } else {
            self.by_change(&shown)
        };
        self.shown = Some(shown);
        told
    }

    /// The module is gone or measures nothing: what comes next is new.
    pub fn absent(&mut self) {
        self.shown = None;
        self.certain = None;
    }

    fn by_time(&mut self, shown: &Shown, is_resolved: bool) -> Told {
        let Some((time, values)) = self.certain.take() else { return Told::Nothing };
        if values != shown.values {
            return Told::Missed;
        }
        let is_first = self.told_values.is_none();
        // Told by its change already, before the monitor said the time.
        let is_known = self.told_by_change && self.told_values.as_ref() == Some(&values);
        self.told_by_change = false;
        self.told_time = Some(time);
        self.told_values = Some(values);
        self.was_measuring = false;
        if is_known {
            Told::Nothing
        } else if is_first && shown.is_old && !is_resolved {
            Told::TooOld
        } else {
            Told::Measured { time: Some(time) }
        }
    }

    fn by_change(&mut self, shown: &Shown) -> Told {
        let is_first = self.told_values.is_none();
        let is_new = self.told_values.as_ref() != Some(&shown.values) || self.was_measuring;
        if !is_new || shown.is_empty {
            return Told::Nothing;
        }
        self.told_time = None;
        self.told_values = Some(shown.values.clone());
        let watched = std::mem::take(&mut self.was_measuring);
        self.told_by_change = !is_first || !shown.is_old || watched;
        if self.told_by_change { Told::Measured { time: None } } else { Told::TooOld }
    }

    /// Whether what was shown last still waits for its time.
    pub fn waits(&self) -> bool {
        self.shown.as_ref().is_some_and(|shown| {
            !shown.is_measuring
                && !shown.is_empty
                && self.told_values.as_ref() != Some(&shown.values)
        })
    }

    /// No time will come any more: what waits is told as what has changed.
    pub fn ended(&mut self) -> Told {
        self.certain = None;
        match self.shown.take() {
            Some(shown) if !shown.is_measuring => self.by_change(&shown),
            Some(_) | None => Told::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(time: u32, systolic: i16) -> Shown {
        let values = vec![systolic, 7000];
        Shown { time, values, is_old: false, is_measuring: false, is_empty: false }
    }

    const NOTHING: Told = Told::Nothing;
    const fn at(time: u32) -> Told {
        Told::Measured { time: Some(time) }
    }

    #[test]
    fn a_measurement_is_told_once_at_its_own_time() {
        let mut cuff = Episode::default();
        let mut told = Vec::new();
        for (time, systolic, stated) in
            [(100, 12000, 90), (110, 12000, 90), (120, 12000, 90), (130, 11800, 125)]
        {
            told.push(cuff.displayed(shown(time, systolic), true, true));
            cuff.timed(time + 1, stated);
        }
        told.push(cuff.displayed(shown(140, 11800), true, true));
        told.push(cuff.displayed(shown(150, 11800), true, true));
        assert_eq!(told, [NOTHING, at(90), NOTHING, NOTHING, at(125), NOTHING]);
    }

    #[test]
    fn the_same_values_at_another_time_are_another_measurement() {
        let mut cuff = Episode::default();
        cuff.displayed(shown(100, 12000), true, true);
        cuff.timed(101, 90);
        assert_eq!(cuff.displayed(shown(110, 12000), true, true), at(90));
        cuff.timed(111, 105);
        assert_eq!(cuff.displayed(shown(120, 12000), true, true), at(105));
    }

    #[test]
    fn no_value_gets_another_ones_time() {
        let mut cuff = Episode::default();
        cuff.displayed(shown(100, 12000), true, true);
        // Made after the values were shown: they are not its own.
        cuff.timed(101, 100);
        assert_eq!(cuff.displayed(shown(110, 11000), true, true), NOTHING);
        cuff.timed(111, 100);
        // The next record shows a third one: whose time 100 is can no longer be proven.
        assert_eq!(cuff.displayed(shown(120, 10000), true, true), Told::Missed);
        // A record that came before the displayed one does not speak of it.
        let mut cuff = Episode::default();
        cuff.displayed(shown(100, 12000), true, true);
        cuff.timed(99, 90);
        assert_eq!(cuff.displayed(shown(110, 12000), true, true), NOTHING);
    }

    #[test]
    fn nothing_is_told_while_it_is_measured() {
        let mut cuff = Episode::default();
        let measuring = |time| Shown { is_measuring: true, ..shown(time, 15000) };
        assert_eq!(cuff.displayed(measuring(100), true, true), NOTHING);
        cuff.timed(101, 95);
        assert_eq!(cuff.displayed(measuring(110), false, true), NOTHING);
        assert_eq!(cuff.displayed(shown(120, 12000), false, true), Told::Measured { time: None });
    }

    #[test]
    fn without_a_time_a_change_or_a_measuring_mark_tells() {
        let mut cuff = Episode::default();
        let now = Told::Measured { time: None };
        assert_eq!(cuff.displayed(shown(100, 12000), false, true), now);
        assert_eq!(cuff.displayed(shown(110, 12000), false, true), NOTHING);
        assert_eq!(cuff.displayed(shown(120, 12100), false, true), now);
        cuff.displayed(Shown { is_measuring: true, ..shown(130, 0) }, false, true);
        assert_eq!(cuff.displayed(shown(140, 12100), false, true), now);
        // The monitor knows no time.
        cuff.timed(141, 0);
        assert_eq!(cuff.displayed(shown(150, 12300), true, true), now);
    }

    #[test]
    fn an_old_one_of_unknown_time_is_not_told() {
        let old = |time, systolic| Shown { is_old: true, ..shown(time, systolic) };
        let mut cuff = Episode::default();
        assert_eq!(cuff.displayed(old(100, 12000), false, true), Told::TooOld);
        assert_eq!(cuff.displayed(old(110, 12000), false, true), NOTHING);
        // Seen to change: not old when it came.
        assert_eq!(cuff.displayed(old(180, 11000), false, true), Told::Measured { time: None });
        let mut cuff = Episode::default();
        cuff.displayed(old(100, 12000), true, false);
        cuff.timed(101, 20);
        assert_eq!(cuff.displayed(old(110, 12000), true, false), Told::TooOld);
    }

    #[test]
    fn what_waits_for_its_time_is_told_without_one_when_none_will_come() {
        let mut cuff = Episode::default();
        assert_eq!(cuff.displayed(shown(100, 12000), true, true), NOTHING);
        assert!(cuff.waits());
        assert_eq!(cuff.ended(), Told::Measured { time: None });
        assert_eq!(cuff.ended(), NOTHING);
        assert!(!cuff.waits());
        // What was too old to be told without a time is told with it.
        let old = |time| Shown { is_old: true, ..shown(time, 12000) };
        let mut cuff = Episode::default();
        assert_eq!(cuff.displayed(old(100), false, true), Told::TooOld);
        cuff.timed(101, 20);
        assert_eq!(cuff.displayed(old(110), true, true), at(20));
    }

    #[test]
    fn what_was_told_by_its_change_is_not_told_again_with_its_time() {
        let mut cuff = Episode::default();
        assert_eq!(cuff.displayed(shown(100, 12000), false, true), Told::Measured { time: None });
        cuff.timed(101, 90);
        assert_eq!(cuff.displayed(shown(110, 12000), true, true), NOTHING);
    }
}
