//! What an answered manifest proves, where an acknowledgement proves too little: an engine's or a
//! broker's word may still be lost on its way to the core (`INGESTION.md`, "Acknowledgement").
//!
//! The core answers a manifest that it holds everything, by the same hash, or what it lacks. Until
//! then nothing of it is freed. An answer counts only for a manifest that went out and waits for
//! one. Pure: it reads no journal and asks no clock.

use std::collections::BTreeMap;

use super::acknowledgement::{ManifestAnswer, Range};
use super::cursor::Proven;
use super::ranges::Ranges;

/// Manifests that wait for an answer and are asked for again: a year of days. What comes beyond
/// waits for the oldest; `wardgate journal resend` brings it in.
pub const UNANSWERED_MAX: usize = 366;
/// Proven ranges above the first hole.
pub const PROVEN_RANGES_MAX: usize = 60;
/// A core that says that it lacks something is believed about one manifest once in this time: what
/// it lacks is on its way.
const DIFFERS_AGAIN_AFTER_MS: u64 = 60_000;

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    pub first: u64,
    pub last: u64,
    pub sha256: String,
}

/// What an answer comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// What the manifest covers is proven.
    Proven,
    /// These are sent again.
    Lacks(Vec<Range>),
    /// Not everything that it covers has been acknowledged yet: it is asked again then.
    TooEarly,
    /// It was answered before, and again now.
    Again,
    /// Not believed, for this reason.
    Refused(&'static str),
}

/// How far a destination is proven.
#[derive(Clone, Debug)]
pub struct Proof {
    proven: Proven,
    /// The last sequence of manifests whose answers came too early.
    early: BTreeMap<u64, u64>,
    /// When a manifest's answer was followed that something is lacking.
    followed_ms: BTreeMap<u64, u64>,
    lacked: u64,
}

impl Proof {
    /// Goes on where the cursor file says. One that was `low_water` far when its word still counted
    /// is proven up to there.
    pub fn new(saved: Option<Proven>, low_water: u64) -> Self {
        let fresh = || Proven { through: low_water, ranges: Vec::new(), unanswered: Vec::new() };
        let proven = saved.unwrap_or_else(fresh);
        Self { proven, early: BTreeMap::new(), followed_ms: BTreeMap::new(), lacked: 0 }
    }

    /// What the cursor file is to hold.
    pub const fn saved(&self) -> &Proven {
        &self.proven
    }

    /// Answers that named something that the core lacks.
    pub const fn lacked(&self) -> u64 {
        self.lacked
    }

    /// A manifest of this time is on its way; it covers everything up to `last`.
    pub fn went_out(&mut self, manifest: u64, last: u64, time_us: i64) {
        let waits = &mut self.proven.unanswered;
        let known = waits.iter().any(|(one, _)| *one == manifest);
        // The oldest are what everything else waits for.
        if known || last <= self.proven.through || waits.len() >= UNANSWERED_MAX {
            return;
        }
        waits.push((manifest, time_us));
        waits.sort_unstable();
    }

    /// The manifests that wait for an answer, oldest first.
    pub fn waiting(&self) -> Vec<u64> {
        self.proven.unanswered.iter().map(|(manifest, _)| *manifest).collect()
    }

    /// The manifests whose answers came too early, and whose records are acknowledged by now.
    pub fn due_again(&mut self, low_water: u64) -> Vec<u64> {
        let due = self.early.iter().filter(|(_, last)| **last <= low_water);
        let due: Vec<u64> = due.map(|(manifest, _)| *manifest).collect();
        self.early.retain(|manifest, _| !due.contains(manifest));
        due
    }

    /// Judges an answer to a manifest that states this. `aside`: whether a record is set aside
    /// here, so that the core rightly does not hold it.
    pub fn judge(
        &mut self,
        answer: &ManifestAnswer,
        stated: &Stated,
        (low_water, now_ms): (u64, u64),
        aside: impl Fn(u64) -> bool,
    ) -> Judged {
        let manifest = answer.manifest.number();
        if !self.proven.unanswered.iter().any(|(one, _)| *one == manifest) {
            return match stated.last <= self.proven.through {
                true => Judged::Again,
                false => Judged::Refused("it names a manifest that does not wait for an answer"),
            };
        }
        let covered = stated.first..=stated.last;
        if answer.holds {
            if !answer.differs.is_empty() {
                return Judged::Refused("it holds everything, and it does not");
            }
            if answer.sha256 != stated.sha256 {
                return Judged::Refused("it holds everything by another hash");
            }
            self.prove(manifest, covered);
            return Judged::Proven;
        }
        let inside = |one: &Range| covered.contains(one.start()) && covered.contains(one.end());
        if !answer.differs.iter().all(inside) {
            return Judged::Refused("it lacks what the manifest does not cover");
        }
        let is_aside = |one: &Range| one.clone().all(&aside);
        if !answer.differs.is_empty() && answer.differs.iter().all(is_aside) {
            self.prove(manifest, covered);
            return Judged::Proven;
        }
        if low_water < stated.last {
            self.early.insert(manifest, stated.last);
            return Judged::TooEarly;
        }
        let followed_ms = self.followed_ms.get(&manifest);
        if followed_ms.is_some_and(|at_ms| now_ms < at_ms + DIFFERS_AGAIN_AFTER_MS) {
            return Judged::Refused("it lacks the same again, sooner than it can have come");
        }
        self.followed_ms.insert(manifest, now_ms);
        self.lacked += 1;
        let whole = answer.differs.is_empty();
        Judged::Lacks(if whole { vec![covered] } else { answer.differs.clone() })
    }

    fn prove(&mut self, manifest: u64, covered: Range) {
        self.proven.unanswered.retain(|(one, _)| *one != manifest);
        self.early.remove(&manifest);
        self.followed_ms.remove(&manifest);
        let mut ranges: Ranges = self.proven.ranges.iter().copied().collect();
        ranges.add(covered);
        while let Some((first, last)) = ranges.first() {
            if first > self.proven.through + 1 {
                break;
            }
            self.proven.through = self.proven.through.max(last);
            ranges.forget_below(last + 1);
        }
        self.proven.ranges = ranges.pairs().take(PROVEN_RANGES_MAX).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::{Sequence, StreamId};

    const HASH: &str = "5f";

    fn answer(manifest: u64, holds: bool, sha256: &str, differs: &[Range]) -> ManifestAnswer {
        ManifestAnswer {
            stream: StreamId::from_bytes([1; 16]),
            manifest: Sequence::new(manifest).unwrap(),
            holds,
            sha256: sha256.to_owned(),
            differs: differs.to_vec(),
            receiver_id: "core".to_owned(),
        }
    }

    fn stated(first: u64, last: u64) -> Stated {
        Stated { first, last, sha256: HASH.to_owned() }
    }

    /// Three manifests of ten records each are on their way, and everything is acknowledged.
    fn three() -> Proof {
        let mut proof = Proof::new(None, 0);
        for (manifest, last) in [(11, 10), (22, 21), (33, 32)] {
            proof.went_out(manifest, last, 5);
            proof.went_out(manifest, last, 5);
        }
        assert_eq!(proof.waiting(), [11, 22, 33]);
        proof
    }

    const NOW: (u64, u64) = (40, 0);

    #[test]
    fn only_the_same_hash_proves_and_in_any_order() {
        let mut proof = three();
        let judge =
            |proof: &mut Proof, answer, stated| proof.judge(&answer, &stated, NOW, |_| false);
        let second = judge(&mut proof, answer(22, true, HASH, &[]), stated(11, 21));
        assert_eq!((second, proof.saved().through), (Judged::Proven, 0));
        assert_eq!(proof.saved().ranges, [(11, 21)]);
        for wrong in [
            answer(11, true, "60", &[]),
            answer(11, true, HASH, &[3..=4]),
            answer(12, true, HASH, &[]),
            answer(11, false, HASH, &[3..=11]),
            answer(11, false, HASH, &[0..=3]),
        ] {
            let judged = judge(&mut proof, wrong.clone(), stated(1, 10));
            assert!(matches!(judged, Judged::Refused(_)), "{wrong:?}");
            assert_eq!(proof.saved().through, 0);
        }
        let first = judge(&mut proof, answer(11, true, HASH, &[]), stated(1, 10));
        assert_eq!((first, proof.saved().through), (Judged::Proven, 21));
        assert_eq!(proof.waiting(), [33]);
        assert_eq!(judge(&mut proof, answer(11, true, HASH, &[]), stated(1, 10)), Judged::Again);
        // What the cursor file holds is all there is to know.
        let mut proof = Proof::new(Some(proof.saved().clone()), 99);
        let third = judge(&mut proof, answer(33, true, HASH, &[]), stated(22, 32));
        assert_eq!((third, proof.saved().through), (Judged::Proven, 32));
        assert_eq!(proof.saved(), &Proven { through: 32, ranges: vec![], unanswered: vec![] });
    }

    #[test]
    fn what_a_core_lacks_is_sent_again_once_it_was_acknowledged() {
        let mut proof = three();
        let lacks = answer(11, false, "60", &[3..=4, 9..=9]);
        let none = |_: u64| false;
        assert_eq!(proof.judge(&lacks, &stated(1, 10), (9, 0), none), Judged::TooEarly);
        assert_eq!(proof.due_again(9), Vec::<u64>::new());
        assert_eq!(proof.due_again(10), [11]);
        assert_eq!(proof.due_again(10), Vec::<u64>::new());
        let again = Judged::Lacks(vec![3..=4, 9..=9]);
        assert_eq!(proof.judge(&lacks, &stated(1, 10), (10, 0), none), again);
        let soon = proof.judge(&lacks, &stated(1, 10), (10, 59_999), none);
        assert!(matches!(soon, Judged::Refused(_)), "{soon:?}");
        assert_eq!(proof.judge(&lacks, &stated(1, 10), (10, 60_000), none), again);
        let all = proof.judge(&answer(22, false, "60", &[]), &stated(11, 21), (32, 0), none);
        assert_eq!(all, Judged::Lacks(vec![11..=21]));
        assert_eq!((proof.saved().through, proof.lacked()), (0, 3));
    }

    /// The core rejected 3 and 4 for good: they are set aside here, and it holds the rest.
    #[test]
    fn what_is_set_aside_here_need_not_be_there() {
        let mut proof = three();
        let aside = |one: u64| one == 3 || one == 4;
        let more = proof.judge(&answer(11, false, "", &[3..=5]), &stated(1, 10), NOW, aside);
        assert_eq!(more, Judged::Lacks(vec![3..=5]));
        let these = proof.judge(&answer(11, false, "", &[3..=4]), &stated(1, 10), NOW, aside);
        assert_eq!((these, proof.saved().through), (Judged::Proven, 10));
    }

    #[test]
    fn a_destination_whose_word_counted_before_is_proven_up_to_there() {
        let mut proof = Proof::new(None, 7);
        assert_eq!(proof.saved().through, 7);
        proof.went_out(8, 7, 1);
        assert!(proof.waiting().is_empty(), "nothing of it is open");
        for manifest in 10..10 + 2 * UNANSWERED_MAX as u64 {
            proof.went_out(manifest, manifest - 1, 1);
        }
        assert_eq!(proof.waiting().len(), UNANSWERED_MAX);
        assert_eq!(proof.waiting()[0], 10, "the oldest stay");
    }
}
