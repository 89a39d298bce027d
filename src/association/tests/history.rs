//! Random histories: scans, ADT, cancellations, merges, late arrivals, restarts. A test looks at
//! many instants one by one and need not know where anything changes.

use super::*;
use crate::vocabulary::Grade;
use crate::vocabulary::chance::Chance;

const HISTORIES: u64 = 16;
const ENTRIES: u64 = 24;
const MINUTES: i64 = 36 * 60;
/// Looking at every minute of all would take long; 17 is prime to the minutes that histories use.
const STEP: usize = 17;

const DEVICES: [&str; 2] = ["mon-1", "pump-2"];
/// So many that most are scanned once.
const MANY_DEVICES: [&str; 8] =
    ["mon-1", "pump-2", "pump-3", "pump-4", "pump-5", "pump-6", "pump-7", "pump-8"];
const PORTS: [&str; 2] = ["bed-1", "bed-2"];
const PATIENTS: [&str; 3] = ["A1", "B2", "C3"];
const BEDS: [&str; 2] = ["icu/bed-1", "icu/bed-2"];

struct Historian {
    devices: &'static [&'static str],
    chance: Chance,
    entries: Vec<Entry>,
}

impl Historian {
    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.chance.below(of.len() as u64) as usize]
    }

    fn minute(&mut self) -> i64 {
        self.chance.below((MINUTES / 10) as u64) as i64 * 10
    }

    fn named(&mut self) -> EntryId {
        let number = self.chance.below(ENTRIES);
        id(&format!("e{number:02}"))
    }

    fn says(&mut self, minute: i64) -> (By, Says) {
        let now = at(0, minute);
        let earlier = at(0, (minute - self.chance.below(4) as i64 * 30).max(0));
        let device = machine(self.one(self.devices));
        let (who, other) = (patient(self.one(&PATIENTS)), patient(self.one(&PATIENTS)));
        let person = if self.chance.once_in(2) { nurse() } else { decider() };
        match self.chance.below(14) {
            0..=4 => {
                let from = if self.chance.once_in(2) { earlier } else { now };
                let by = match self.chance.below(5) {
                    0 => By::Device,
                    1 => By::Core,
                    _ => nurse(),
                };
                let channel = self.chance.once_in(4).then(|| Channel::parse("part-1").unwrap());
                let span = Span { from, until: None };
                (by, Says::Associated { device, channel, patient: who, span })
            }
            5 => (person, Says::Ended { association: self.named(), at: earlier }),
            6 => {
                let by = if self.chance.once_in(3) { By::Adt } else { person };
                (by, Says::Withdrawn { entry: self.named(), reason: "wrong".to_owned() })
            }
            7 => (person, Says::Seen { association: self.named(), at: now }),
            8 => {
                let why = if self.chance.once_in(2) { Pause::Silence } else { Pause::Standby };
                (By::Device, Says::Paused { device, why, at: now })
            }
            9 => {
                let by = if self.chance.once_in(2) { By::Device } else { person };
                (by, Says::Resumed { device, at: now })
            }
            10 => {
                let port = line(self.one(&PORTS));
                match self.chance.below(3) {
                    0 => (By::Box, Says::Unplugged { port, at: now }),
                    1 => (By::Device, Says::Plugged { port, device, from: now }),
                    _ => (nurse(), Says::Plugged { port, device, from: now }),
                }
            }
            11 => {
                let bed = place(self.one(&BEDS));
                let (movement, presence) = match self.chance.below(3) {
                    0 => (Movement::Discharge, Presence::Left),
                    1 => (Movement::Transfer, Presence::Present { place: Some(bed) }),
                    _ => (Movement::Admission, Presence::Present { place: Some(bed) }),
                };
                let says = Says::Movement {
                    patient: who,
                    encounter: None,
                    movement,
                    presence,
                    from: earlier,
                };
                (By::Adt, says)
            }
            12 => {
                let movement =
                    if self.chance.once_in(2) { Movement::Admission } else { Movement::Discharge };
                (By::Adt, Says::Cancelled { patient: who, encounter: None, movement, at: now })
            }
            _ if self.chance.once_in(2) => {
                (By::Adt, Says::Merged { retired: who, surviving: other, at: now })
            }
            _ => {
                let (holds, against) = (self.named(), vec![self.named()]);
                (decider(), Says::Decided { holds, against, reason: "seen".to_owned() })
            }
        }
    }
}

fn site(chance: &mut Chance) -> Site {
    let loose = "one_patient_places = [\"icu/bed-1\"]\n\
         enough = [\"scan\", \"core-claim\", \"device-admission-in-census\", \
         \"location-of-fixed-device\"]\n\
         unseen_hours_max = 9\n";
    let text = if chance.once_in(2) { loose } else { "" };
    let fixed = Machine { mobility: Mobility::Fixed, ..Machine::default() };
    let machines = [(machine("mon-1"), fixed)].into();
    Site { policy: toml::from_str(text).unwrap(), machines }
}

/// A site and what its ledger took.
fn history(seed: u64) -> (Site, Vec<Entry>, Chance) {
    history_of(seed, &DEVICES)
}

fn history_of(seed: u64, devices: &'static [&'static str]) -> (Site, Vec<Entry>, Chance) {
    let mut historian = Historian { devices, chance: Chance(seed), entries: Vec::new() };
    let site = site(&mut historian.chance);
    let mut known = Ledger::of_site(site.clone());
    let stand = Stand::Place(place("icu/bed-1"));
    let (by, says) =
        (By::Configuration, Says::Stands { device: machine("mon-1"), stand, from: at(0, 0) });
    historian.entries.push(entry("s1", at(0, 0), by, says));
    for number in 0..ENTRIES {
        let minute = historian.minute();
        let (by, says) = historian.says(minute);
        let mut new = entry(&format!("e{number:02}"), at(0, minute), by, says);
        new.learned = at(0, minute + historian.chance.below(5) as i64 * 15);
        historian.entries.push(new);
    }
    let taken = |entry: &Entry| known.add(entry.clone()).is_ok();
    historian.entries.retain(taken);
    (site, historian.entries, historian.chance)
}

fn streams() -> Vec<(Origin, Option<Channel>)> {
    let machines = DEVICES.iter().map(|name| Origin::Machine(machine(name)));
    let lines = PORTS.iter().map(|name| Origin::Line(line(name)));
    let origins: Vec<Origin> = machines.chain(lines).collect();
    let part = Channel::parse("part-1").unwrap();
    origins
        .into_iter()
        .flat_map(|origin| [(origin.clone(), None), (origin, Some(part.clone()))])
        .collect()
}

fn asked(origin: &Origin, channel: Option<&Channel>, at: Around) -> Asked {
    Asked { origin: origin.clone(), channel: channel.cloned(), measurement: None, at }
}

/// Every answer on a grid of minutes.
fn answers(ledger: &Ledger, known: Utc) -> Vec<Result<Attributed, Unattributed>> {
    let mut answers = Vec::new();
    for (origin, channel) in streams() {
        for minute in (0..MINUTES).step_by(2 * STEP) {
            let around = Around::exactly(at(0, minute));
            answers.push(ledger.attribute(&asked(&origin, channel.as_ref(), around), known));
        }
    }
    answers
}

fn shuffled(entries: &[Entry], chance: &mut Chance) -> Vec<Entry> {
    let mut left = entries.to_vec();
    let mut mixed = Vec::new();
    while !left.is_empty() {
        mixed.push(left.swap_remove(chance.below(left.len() as u64) as usize));
    }
    mixed
}

#[test]
fn any_order_of_arrival_gives_the_same_end_state() {
    for seed in 0..HISTORIES {
        let (site, entries, mut chance) = history(seed);
        let straight = with(site.clone(), &entries);
        let mixed = with(site, &shuffled(&entries, &mut chance));
        assert!(straight.checkpoint() == mixed.checkpoint(), "seed {seed}");
        assert!(answers(&straight, Utc::MAX) == answers(&mixed, Utc::MAX), "seed {seed}");
        assert!(straight.conflicts(Utc::MAX) == mixed.conflicts(Utc::MAX), "seed {seed}");
    }
}

#[test]
fn a_restart_at_any_entry_gives_the_same_ledger() {
    for seed in 0..HISTORIES {
        let (site, entries, mut chance) = history(seed);
        let whole = with(site.clone(), &entries);
        let cut = chance.below(entries.len() as u64) as usize;
        let (before, after) = entries.split_at(cut);
        let text = serde_json::to_string(&with(site.clone(), before).checkpoint()).unwrap();
        let mut restarted = Ledger::restore(site, serde_json::from_str(&text).unwrap()).unwrap();
        // What lies before the checkpoint may come again.
        for entry in before.iter().rev().take(3).chain(after) {
            restarted.add(entry.clone()).unwrap();
        }
        assert!(whole.checkpoint() == restarted.checkpoint(), "seed {seed}");
        assert!(answers(&whole, Utc::MAX) == answers(&restarted, Utc::MAX), "seed {seed}");
    }
}

#[test]
fn what_is_let_go_changes_no_answer_from_the_limit_on() {
    let limit = at(27, 0);
    let mut gone = 0;
    for seed in 0..3 * HISTORIES {
        let (site, entries, _) = history(seed);
        let (early, late): (Vec<Entry>, Vec<Entry>) =
            entries.into_iter().partition(|entry| entry.learned < limit);
        let mut whole = with(site, &early);
        let mut less = whole.clone();
        let count = less.forget(limit);
        assert_eq!(less.entries().count() + count, early.len(), "seed {seed}");
        gone += count;
        // What comes later may not speak of what is gone.
        let speaks = |entry: &Entry| {
            matches!(
                entry.says,
                Says::Ended { .. }
                    | Says::Seen { .. }
                    | Says::Withdrawn { .. }
                    | Says::Decided { .. }
            )
        };
        for entry in late.into_iter().filter(|entry| !speaks(entry)) {
            whole.add(entry.clone()).unwrap();
            less.add(entry).unwrap();
        }
        for (origin, channel) in streams() {
            for minute in (27 * 60..MINUTES).step_by(STEP) {
                let value = asked(&origin, channel.as_ref(), Around::exactly(at(0, minute)));
                let answers = [&whole, &less].map(|one| one.attribute(&value, Utc::MAX));
                assert!(answers[0] == answers[1], "seed {seed}, minute {minute}");
            }
        }
    }
    assert!(gone > 20, "the histories prove little: {gone}");
}

#[test]
fn what_was_known_then_is_what_the_ledger_said_then() {
    for seed in 0..HISTORIES {
        let (site, entries, _) = history(seed);
        let whole = with(site.clone(), &entries);
        let then = at(18, 0);
        let early: Vec<Entry> =
            entries.iter().filter(|entry| entry.learned <= then).cloned().collect();
        let ledger = with(site, &early);
        assert!(answers(&whole, then) == answers(&ledger, Utc::MAX), "seed {seed}");
    }
}

#[test]
fn nothing_is_filed_without_evidence_of_the_grade_that_the_policy_demands() {
    let mut filed = [0_u32; 5];
    for seed in 0..HISTORIES {
        let (site, entries, _) = history(seed);
        let ledger = with(site.clone(), &entries);
        for (origin, channel) in streams() {
            for minute in (0..MINUTES).step_by(STEP) {
                let now = at(0, minute);
                let asked = asked(&origin, channel.as_ref(), Around::exactly(now));
                let Ok(held) = ledger.attribute(&asked, Utc::MAX) else { continue };
                filed[held.grade as usize] += 1;
                let first = entries.iter().find(|entry| entry.id == held.entries[0]).unwrap();
                let is_loose = site.policy.enough.len() > 1;
                let demanded: &[Grade] = if is_loose {
                    &[Grade::Scan, Grade::CoreClaim, Grade::DeviceAdmission, Grade::Location]
                } else {
                    &[Grade::Scan]
                };
                assert!(demanded.contains(&held.grade), "seed {seed}, minute {minute}");
                assert!(first.by.grade() == Some(held.grade), "seed {seed}, minute {minute}");
                let who = if let Says::Associated { patient, span, .. } = &first.says {
                    assert!(span.from <= now, "seed {seed}, minute {minute}");
                    assert!(!is_taken_back(&entries, first, now), "seed {seed}");
                    patient
                } else if let Says::Movement { patient, from, presence, .. } = &first.says {
                    assert!(*from <= now && *presence == present("icu/bed-1"));
                    patient
                } else {
                    panic!("seed {seed}: rests on {first:?}")
                };
                assert!(ledger.survivor(who) == held.patient, "seed {seed}, minute {minute}");
            }
        }
    }
    assert!(filed[1..].iter().all(|count| *count > 15), "the histories prove little: {filed:?}");
}

/// Whether a person ended or withdrew the association, and nobody took that back.
fn is_taken_back(entries: &[Entry], association: &Entry, now: Utc) -> bool {
    let withdrawn = |of: &EntryId| {
        entries
            .iter()
            .any(|entry| matches!(&entry.says, Says::Withdrawn { entry: named, .. } if named == of))
    };
    entries.iter().any(|entry| {
        let ends = matches!(&entry.says, Says::Ended { association: named, at }
            if *named == association.id && *at <= now);
        let withdraws = matches!(&entry.says, Says::Withdrawn { entry: named, .. }
            if *named == association.id);
        (ends || withdraws) && entry.by.is_person() && !withdrawn(&entry.id)
    })
}

#[test]
fn with_a_scan_every_value_of_its_span_is_filed_unless_something_speaks_against_it() {
    let mut filed = 0;
    for seed in 0..HISTORIES {
        let (site, entries, _) = history_of(seed, &MANY_DEVICES);
        let ledger = with(site.clone(), &entries);
        for scan in entries.iter().filter(|entry| matches!(entry.by, By::Scan { .. })) {
            let Says::Associated { device, channel, patient, span } = &scan.says else { continue };
            let against = |entry: &Entry| match &entry.says {
                Says::Associated { device: same, .. } | Says::Paused { device: same, .. } => {
                    same == device
                }
                Says::Ended { association: named, .. } | Says::Withdrawn { entry: named, .. } => {
                    *named == scan.id
                }
                Says::Decided { against, .. } => against.contains(&scan.id),
                Says::Plugged { .. }
                | Says::Unplugged { .. }
                | Says::Stands { .. }
                | Says::SpotCheck { .. }
                | Says::Seen { .. }
                | Says::Resumed { .. }
                | Says::Movement { .. }
                | Says::Cancelled { .. }
                | Says::Merged { .. } => false,
            };
            if entries.iter().any(|entry| entry.id != scan.id && against(entry)) {
                continue;
            }
            let limit = site.policy.unseen_hours_max.seconds();
            let origin = Origin::Machine(device.clone());
            for minute in (0..MINUTES).step_by(STEP) {
                let now = at(0, minute);
                let far = scan.stated.plus_s(-limit);
                if now < span.from || now <= far || now >= scan.stated.plus_s(limit) {
                    continue;
                }
                let value = asked(&origin, channel.as_ref(), Around::exactly(now));
                let held = ledger.attribute(&value, Utc::MAX).unwrap();
                assert!(held.patient == ledger.survivor(patient), "seed {seed}, {minute}");
                filed += 1;
            }
        }
    }
    assert!(filed > 200, "the histories prove little: {filed}");
}

#[test]
fn an_uncertain_time_is_filed_exactly_if_every_minute_of_it_is_and_for_one_patient() {
    let (mut filed, mut spanning) = (0, 0);
    for seed in 0..HISTORIES {
        let (site, entries, mut chance) = history(seed);
        let ledger = with(site, &entries);
        for (origin, channel) in streams() {
            for _ in 0..40 {
                let from = chance.below(MINUTES as u64) as i64;
                let until = from + chance.below(25) as i64;
                let around = Around { earliest: at(0, from), latest: at(0, until) };
                let whole = ledger.attribute(&asked(&origin, channel.as_ref(), around), Utc::MAX);
                // Everything in these histories happens at full ten minutes.
                let minutes: Vec<_> = (from..=until)
                    .filter(|minute| *minute == from || minute % 10 == 0)
                    .map(|minute| {
                        let one = Around::exactly(at(0, minute));
                        let one = asked(&origin, channel.as_ref(), one);
                        ledger.attribute(&one, Utc::MAX)
                    })
                    .collect();
                let who = |one: &Result<Attributed, Unattributed>| {
                    one.as_ref().ok().map(|held| held.patient.clone())
                };
                let first = who(&minutes[0]);
                let same = minutes.iter().all(|one| who(one) == first);
                let expected = first.filter(|_| same);
                assert!(who(&whole) == expected, "seed {seed}, {from} to {until}");
                if let Ok(held) = &whole {
                    // It rests on all that any minute of it rests on, and on the weakest grade.
                    let each = || minutes.iter().flatten();
                    assert!(each().all(|one| held.entries.contains(&one.entries[0])));
                    assert_eq!(Some(held.grade), each().map(|one| one.grade).min());
                }
                filed += u32::from(expected.is_some());
                spanning += u32::from(!same);
                if !same {
                    assert_eq!(whole.unwrap_err().why, WhyNot::TimeSpansHandover, "seed {seed}");
                }
            }
        }
    }
    assert!(filed > 100 && spanning > 30, "the histories prove little: {filed}, {spanning}");
}

#[test]
fn the_changes_of_an_entry_are_the_minutes_whose_patient_differs() {
    let mut changed = 0;
    for seed in 0..HISTORIES {
        let (site, mut entries, _) = history(seed);
        let last = entries.pop().unwrap();
        let before = with(site, &entries);
        let mut after = before.clone();
        after.add(last.clone()).unwrap();
        let changes = before.changes(&last, Utc::MAX);
        for (origin, channel) in streams() {
            for minute in (0..MINUTES).step_by(STEP) {
                let now = at(0, minute);
                let value = asked(&origin, channel.as_ref(), Around::exactly(now));
                let had = before.attribute(&value, Utc::MAX).map(|held| held.patient).ok();
                let has = after.attribute(&value, Utc::MAX).map(|held| held.patient);
                let told: Vec<&Change> = changes
                    .iter()
                    .filter(|one| one.origin == origin && one.span.holds(now))
                    .filter(|one| one.channel == channel || !names(&changes, &channel))
                    .filter(|one| one.channel == channel || one.channel.is_none())
                    .collect();
                if had.map(|who| after.survivor(&who)) == has.clone().ok() {
                    let none = told.iter().all(|one| one.channel != channel);
                    assert!(none, "seed {seed}, minute {minute}");
                    continue;
                }
                changed += 1;
                let one = told.first().unwrap_or_else(|| panic!("seed {seed}, minute {minute}"));
                match (&one.then, has) {
                    (Then::Filed(who) | Then::Offered(who), Ok(held)) => assert!(*who == held),
                    (Then::Nobody(why), Err(nobody)) => assert_eq!(*why, nobody.why),
                    (then, _) => panic!("seed {seed}, minute {minute}: {then:?}"),
                }
            }
        }
    }
    assert!(changed > 30, "the histories prove little: {changed}");
}

/// Whether the changes speak of this part by its name.
fn names(changes: &[Change], channel: &Option<Channel>) -> bool {
    changes.iter().any(|one| one.channel == *channel)
}
