//! Whose a value is, worked out by somebody who knows the rules of the ward and nothing of the
//! ledger: every word is looked at for every instant, again and again.
//!
//! - A value is filed for somebody only if the machine was on them for its whole uncertainty.
//! - A person may take back everything, the others what they said themselves.
//! - Scan, claim of the core and the device's own admission agree on one patient, or it is nobody's
//!   until a person decides. A bed contradicts none of them.
//! - The part of a claim before it was made counts only where nobody else had the machine.
//! - Nothing lasts longer than a day unseen by a person.
//! - Standby suspends until a person says that it goes on.
//! - A line that was open is unproven until somebody scans what hangs on it.
//! - Enough is a scan, unless the site says more.

use super::story::{LINES, OPENED_US, PATIENTS, What, Who, Word};
use crate::association::Movement;

const DAY_US: i64 = 24 * 3_600_000_000;

/// The words that the house took, and what is enough on this ward.
pub(super) struct Oracle<'a> {
    /// All of them, by number; and those that nobody who may has taken back.
    words: Vec<&'a Word>,
    counting: Vec<&'a Word>,
    /// By machine.
    ons: Vec<Vec<On<'a>>>,
    is_loose: bool,
}

/// A machine on a patient, as somebody said it.
#[derive(Clone, Copy, Debug)]
struct On<'a> {
    word: &'a Word,
    machine: usize,
    human: usize,
    from: i64,
    until: i64,
}

impl On<'_> {
    fn holds(&self, at: i64) -> bool {
        self.from <= at && at < self.until
    }

    /// "Since 08:00", said later.
    fn is_late(&self, at: i64) -> bool {
        at < self.word.stated
    }
}

fn is_person(who: Who) -> bool {
    matches!(who, Who::Scan | Who::Person | Who::Core)
}

impl<'a> Oracle<'a> {
    /// By these words.
    pub fn of(words: Vec<&'a Word>, is_loose: bool) -> Self {
        let mut oracle = Self { words, counting: Vec::new(), ons: Vec::new(), is_loose };
        oracle.counting = oracle.words.iter().copied().filter(|word| oracle.counts(word)).collect();
        oracle.ons = (0..LINES.len()).map(|machine| oracle.ons_of(machine)).collect();
        oracle
    }

    /// The same, had nobody said that two patients are one.
    pub fn without_merges(&self) -> Self {
        let words = self.words.iter().copied();
        let words = words.filter(|word| !matches!(word.what, What::Merge { .. }));
        Self::of(words.collect(), self.is_loose)
    }

    /// Whether nobody who may has taken it back.
    fn counts(&self, word: &Word) -> bool {
        !self.words.iter().any(|other| {
            other.what == What::Wrong { word: word.number }
                && (is_person(other.who) || other.who == word.who)
                && self.counts(other)
        })
    }

    fn counting(&self) -> impl Iterator<Item = &'a Word> {
        self.counting.iter().copied()
    }

    fn ons(&self, machine: usize) -> &[On<'a>] {
        &self.ons[machine]
    }

    /// The human whom this patient number is of.
    pub fn human(&self, patient: usize) -> usize {
        let merged = self.counting().find_map(|word| match word.what {
            What::Merge { retired, surviving, .. } if retired == patient => Some(surviving),
            _ => None,
        });
        merged.unwrap_or(patient)
    }

    fn ons_of(&self, of: usize) -> Vec<On<'a>> {
        let mut ons = Vec::new();
        for word in self.counting() {
            let What::On { machine, patient, from } = word.what else { continue };
            if machine != of {
                continue;
            }
            let ends = self.counting().filter_map(|end| match end.what {
                What::End { word: named, at }
                    if named == word.number && (is_person(end.who) || end.who == word.who) =>
                {
                    Some(at)
                }
                _ => None,
            });
            let until = ends.min().unwrap_or(i64::MAX);
            ons.push(On { word, machine, human: self.human(patient), from, until });
        }
        ons
    }

    /// Whether a person has looked within the last day, or will have within the next.
    fn is_fresh(&self, on: &On<'_>, at: i64) -> bool {
        let made = if is_person(on.word.who) { on.word.stated } else { on.from };
        let before = is_person(on.word.who) && at <= made && made - at < DAY_US;
        before || self.looks(on.word, made).any(|look| look <= at && at - look < DAY_US)
    }

    fn looks(&self, of: &Word, made: i64) -> impl Iterator<Item = i64> {
        let of = of.number;
        let looks = self.counting().filter_map(move |word| match word.what {
            What::Look { word: named, at } if named == of && is_person(word.who) => Some(at),
            _ => None,
        });
        looks.chain([made])
    }

    /// What hangs on a line, if that is proven.
    fn on_line(&self, line: usize, at: i64) -> Option<usize> {
        let (machine, scanned) = self.last_plug(line, at)?;
        for other in (0..LINES.len()).filter(|other| *other != line) {
            let Some((same, there)) = self.last_plug(other, at) else { continue };
            // It was scanned somewhere else, and not here since.
            if same == machine && there > scanned {
                return None;
            }
        }
        Some(machine)
    }

    /// The machine, and the scan that says so; without a scan the one of the configuration.
    fn last_plug(&self, line: usize, at: i64) -> Option<(usize, (i64, i64, usize))> {
        let plugs = self.counting().filter_map(|word| match word.what {
            What::Out { line: of, at: when } if of == line && when <= at => {
                Some(((when, false, word.stated, word.number), None))
            }
            What::In { line: of, machine, at: when } if of == line && when <= at => {
                Some(((when, true, word.stated, word.number), Some(machine)))
            }
            _ => None,
        });
        match plugs.max() {
            None => Some((line, (i64::MIN, i64::MIN, 0))),
            Some(((when, _, stated, number), machine)) => Some((machine?, (when, stated, number))),
        }
    }

    /// Since when the machine is on standby.
    fn standby(&self, machine: usize, at: i64) -> Option<i64> {
        let mut words: Vec<(i64, i64, usize, &Word)> = Vec::new();
        for word in self.counting() {
            let (What::Standby { machine: of, at: when } | What::Back { machine: of, at: when }) =
                word.what
            else {
                continue;
            };
            if of == machine && when <= at {
                words.push((when, word.stated, word.number, word));
            }
        }
        words.sort_by_key(|(when, stated, number, _)| (*when, *stated, *number));
        let mut since = None;
        for (when, _, _, word) in words {
            match word.what {
                What::Standby { .. } => since = Some(when),
                _ if is_person(word.who) => since = None,
                _ => {}
            }
        }
        since
    }

    fn is_suspended(&self, on: &On<'_>, at: i64) -> bool {
        let Some(since) = self.standby(on.machine, at) else { return false };
        let vouched = |time: i64| since <= time && time <= at;
        let said = is_person(on.word.who) && vouched(on.word.stated);
        let seen = self.looks(on.word, i64::MIN).any(vouched);
        on.from < since && !said && !seen
    }

    /// The bed of a human, by the patient administration: `None` if not here.
    fn bed(&self, human: usize, at: i64) -> Option<(usize, &'a Word)> {
        let mut words: Vec<(i64, i64, usize, &'a Word)> = Vec::new();
        for word in self.counting() {
            let (What::Moves { patient, from: when, .. } | What::Cancel { patient, at: when, .. }) =
                word.what
            else {
                continue;
            };
            if self.human(patient) == human && when <= at {
                words.push((when, word.stated, word.number, word));
            }
        }
        words.sort_by_key(|(when, stated, number, _)| (*when, *stated, *number));
        let mut moves: Vec<(Movement, Option<usize>, &Word)> = Vec::new();
        for (.., word) in words {
            match word.what {
                What::Moves { movement, bed, .. } => moves.push((movement, bed, word)),
                What::Cancel { movement, .. } => {
                    if let Some(last) = moves.iter().rposition(|(kind, ..)| *kind == movement) {
                        moves.remove(last);
                    }
                }
                _ => {}
            }
        }
        moves.last().and_then(|(_, bed, word)| Some(((*bed)?, *word)))
    }

    fn overruled(&self, on: &On<'_>, speaking: &[On<'_>]) -> bool {
        let decided = |winner: usize, loser: usize| {
            self.counting().any(|word| {
                word.what == What::Decide { holds: winner, against: loser } && is_person(word.who)
            })
        };
        let number = on.word.number;
        let mut others = speaking.iter().map(|other| other.word.number);
        others.any(|other| decided(other, number) && !decided(number, other))
    }

    /// Whether the claim speaks of the instant, and nothing that counts as much says otherwise.
    fn stands(&self, on: &On<'_>, at: i64) -> bool {
        let speaking: Vec<On<'_>> =
            self.ons(on.machine).iter().copied().filter(|other| other.holds(at)).collect();
        let valid = |other: &On<'_>| !self.overruled(other, &speaking) && self.is_fresh(other, at);
        if !on.holds(at) || !valid(on) || self.is_suspended(on, at) {
            return false;
        }
        let valid: Vec<&On<'_>> = speaking.iter().filter(|other| valid(other)).collect();
        let is_direct = valid.iter().any(|other| other.human == on.human && !other.is_late(at));
        valid.iter().filter(|other| other.human != on.human).all(|other| {
            // A claim for the past is too late where somebody had the machine.
            other.is_late(at) && is_direct
        })
    }

    fn is_enough(&self, on: &On<'_>, at: i64) -> bool {
        match on.word.who {
            Who::Scan => true,
            Who::Core => self.is_loose,
            Who::Device => self.is_loose && self.bed(on.human, at).is_some(),
            Who::Person | Who::Adt => false,
        }
    }

    /// The instants of an uncertainty at which anything may change, and its first one.
    fn instants(&self, (earliest, latest): (i64, i64)) -> Vec<i64> {
        let mut instants = vec![earliest];
        for word in &self.words {
            let at = match word.what {
                What::On { from: at, .. }
                | What::End { at, .. }
                | What::Look { at, .. }
                | What::Standby { at, .. }
                | What::Back { at, .. }
                | What::Out { at, .. }
                | What::In { at, .. }
                | What::Moves { from: at, .. }
                | What::Cancel { at, .. }
                | What::Merge { at, .. } => at,
                What::Wrong { .. } | What::Decide { .. } => word.stated,
            };
            let day_before = word.stated - DAY_US;
            let edges = [at, at + DAY_US, word.stated, word.stated + DAY_US];
            instants.extend(edges.into_iter().chain([day_before, day_before + 1]));
        }
        instants.retain(|at| *at == earliest || earliest < *at && *at <= latest);
        instants
    }

    /// The humans on whom the machine was for the whole uncertainty, on evidence that is enough.
    pub fn evidence(&self, line: usize, around: (i64, i64)) -> Vec<(usize, Rests)> {
        let instants = self.instants(around);
        let Some(machine) = self.on_line(line, around.0) else { return Vec::new() };
        if instants.iter().any(|at| self.on_line(line, *at) != Some(machine)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for human in (0..PATIENTS).filter(|human| self.human(*human) == *human) {
            let rests = instants.iter().map(|at| self.rests(machine, human, *at));
            // What rests on less at one of them rests on less.
            let weakest = rests.min_by_key(|rests| match rests {
                None => 0,
                Some(Rests::OnLess) => 1,
                Some(Rests::OnAPerson) => 2,
            });
            found.extend(weakest.flatten().map(|rests| (human, rests)));
        }
        found
    }

    /// On what it rests that the machine is on this human at an instant.
    fn rests(&self, machine: usize, human: usize, at: i64) -> Option<Rests> {
        let good =
            |on: &&On<'_>| on.human == human && self.stands(on, at) && self.is_enough(on, at);
        let good: Vec<&On<'_>> = self.ons(machine).iter().filter(good).collect();
        if good.iter().any(|on| matches!(on.word.who, Who::Scan | Who::Core)) {
            return Some(Rests::OnAPerson);
        }
        // The first machine stands in the first bed since there is a house that knows it.
        let in_bed =
            self.is_loose && machine == 0 && at >= OPENED_US && self.is_alone_in_bed(human, at);
        (!good.is_empty() || in_bed).then_some(Rests::OnLess)
    }

    /// Whether this human alone is in the first bed, and nobody says who is on its machine.
    fn is_alone_in_bed(&self, human: usize, at: i64) -> bool {
        let there = |human: usize| self.bed(human, at).filter(|(bed, _)| *bed == 0);
        let Some((_, word)) = there(human) else { return false };
        let others = (0..PATIENTS).filter(|other| self.human(*other) == *other && *other != human);
        let What::Moves { from, .. } = word.what else { return false };
        let is_fresh = self.looks(word, from).any(|look| look <= at && at - look < DAY_US);
        let claimed = self.ons(0).iter().any(|on| on.holds(at));
        is_fresh
            && !claimed
            && self.human(human) == human
            && others.into_iter().all(|other| there(other).is_none())
            && self.standby(0, at).is_none()
    }

    /// The human whose value it is by a scan that nothing at all speaks against: no other claim on
    /// the machine, no standby, no word about the scan.
    pub fn plainly_scanned(&self, line: usize, around: (i64, i64)) -> Option<usize> {
        let instants = self.instants(around);
        let machine = self.on_line(line, around.0)?;
        if instants.iter().any(|at| self.on_line(line, *at) != Some(machine)) {
            return None;
        }
        let ons = self.ons(machine);
        let inside = |on: &&On<'_>| on.from <= around.0 && around.1 < on.until;
        let scan = ons.iter().filter(inside).find(|on| on.word.who == Who::Scan)?;
        let against = self.counting().any(|word| match word.what {
            What::Standby { machine: of, .. } => of == machine,
            What::Decide { against, .. } => against == scan.word.number,
            _ => false,
        });
        let others = ons.iter().filter(|on| on.human != scan.human);
        let apart = others.into_iter().all(|on| on.until <= around.0 || around.1 < on.from);
        let seen = instants.iter().all(|at| (scan.word.stated - at).abs() < DAY_US);
        (!against && apart && seen).then_some(scan.human)
    }

    /// Whether one patient plainly has the machine when it begins, and another when it ends.
    pub fn spans_handover(&self, line: usize, around: (i64, i64)) -> bool {
        let first = self.plainly_scanned(line, (around.0, around.0));
        let last = self.plainly_scanned(line, (around.1, around.1));
        first.is_some() && last.is_some() && first != last
    }
}

/// What a value's patient rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rests {
    /// A scan, or a claim of the core.
    OnAPerson,
    /// The device's own admission or a bed: enough for what comes, never for what was.
    OnLess,
}
