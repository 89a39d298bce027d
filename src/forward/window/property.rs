//! Random receivers, restarts and orders: nothing is skipped, nothing is retired that was not sent,
//! everything is delivered in the end, and statements about one observation keep their order.

use std::collections::BTreeSet;

use super::tests::{read, settle_asides};
use super::*;

const STREAM: StreamId = StreamId::from_bytes([3; 16]);
const PACE: Pace = Pace { resend_after_ms: 5_000 };
/// Enough for two jumps and a long tail.
const RECORDS: u64 = 2_500;
const SEEDS: u64 = 24;
/// Looking at every record is the most of the time.
const CHECK_EVERY: usize = 3;

struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What is outside of the window: the journal's end, the wire, the receiver's store.
struct World {
    chance: Chance,
    order: Order,
    durable: u64,
    now_ms: u64,
    window: Window<u64>,
    /// What the disk says.
    saved: State,
    generation: u64,
    /// Ever sent.
    sent: BTreeSet<u64>,
    /// At the last restart the disk did not say that they were surely not sent.
    perhaps: Ranges,
    stored: BTreeSet<u64>,
    /// Set aside at some time.
    aside: BTreeSet<u64>,
    /// What the state last said is done.
    was_done: BTreeSet<u64>,
}

/// Every seventh record states something about an earlier one.
fn names(sequence: u64) -> Option<u64> {
    let back = 1 + sequence * 31 % 700;
    (sequence.is_multiple_of(7) && back < sequence).then(|| sequence - back)
}

fn window_of(state: State, order: Order) -> Window<u64> {
    let mut window = Window::new(state, vec!["core".to_owned()], PACE);
    window.set_order(order);
    window
}

impl World {
    fn new(seed: u64) -> Self {
        let mut chance = Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let order = if chance.below(4) == 0 { Order::Strict } else { Order::Lanes };
        let saved = State::start(STREAM);
        Self {
            chance,
            order,
            durable: 0,
            now_ms: 0,
            window: window_of(saved.clone(), order),
            saved,
            generation: 0,
            sent: BTreeSet::new(),
            perhaps: Ranges::default(),
            stored: BTreeSet::new(),
            aside: BTreeSet::new(),
            was_done: BTreeSet::new(),
        }
    }

    /// As the pump does: read, save what must be durable, send.
    fn send(&mut self, most: usize) {
        read(&mut self.window, self.durable, names);
        let unsent: Ranges = self.saved.unsent.iter().copied().collect();
        if self.window.goes_beyond(self.saved.highest_sent, &unsent) {
            self.saved = self.window.state();
        }
        let mut out = Vec::new();
        let send = |one: &u64| {
            let goes = out.len() < most;
            out.extend(goes.then_some(*one));
            goes
        };
        self.window.send_due(self.now_ms, || 0, send);
        for one in out {
            if let Some(named) = names(one) {
                let first = self.sent.contains(&named) || self.aside.contains(&named);
                assert!(first, "{one} goes before {named}, which it names");
                let done = self.stored.contains(&named) || self.aside.contains(&named);
                assert!(done, "{one} goes before {named} is done");
            }
            self.sent.insert(one);
            // The wire loses some.
            if self.chance.below(10) > 0 && self.chance.below(40) > 0 {
                self.stored.insert(one);
            }
        }
    }

    /// An answer of what is stored, or a forged one of anything.
    fn answer(&mut self) {
        let from = 1 + self.chance.below(self.durable.max(1));
        let until = from + self.chance.below(300);
        let forged = self.chance.below(4) == 0;
        let accepted = if forged {
            vec![from..=until]
        } else {
            let all: Ranges = self.stored.range(from..=until).map(|one| (*one, *one)).collect();
            all.pairs().map(|(first, last)| first..=last).collect()
        };
        let mut rejected = Vec::new();
        // Without rejections, so that what is not believed is the range.
        for _ in 0..if forged { 0 } else { self.chance.below(3) } {
            let sequence = Sequence::new(from + self.chance.below(50)).unwrap();
            let permanent = self.chance.below(2) == 0;
            if !self.stored.contains(&sequence.number()) {
                let (code, text) = ("no".to_owned(), String::new());
                rejected.push(Rejection { sequence, code, text, permanent });
            }
        }
        let answer = Acknowledgement {
            stream: STREAM,
            accepted: accepted.clone(),
            rejected,
            receiver_time: "2026-11-23T08:00:00Z".to_owned(),
            receiver_id: "core".to_owned(),
        };
        let effect = self.window.acknowledge(&answer, self.now_ms, || 0);
        // A forged range that was believed was sent as a whole, so the receiver answers for it.
        if forged && !effect.disbelieved.contains(&Disbelief::NeverSent) {
            let may = |one| self.sent.contains(&one) || self.perhaps.contains(one);
            assert!((from..=until).all(may), "{from} to {until}");
            self.stored.extend(from..=until);
        }
        self.aside.extend(self.window.asides.keys());
        if self.chance.below(2) == 0 {
            settle_asides(&mut self.window);
        }
    }

    fn restart(&mut self) {
        let unsent: Ranges = self.saved.unsent.iter().copied().collect();
        let sent = unsent.outside(1..=self.saved.highest_sent);
        self.perhaps = sent.into_iter().map(Range::into_inner).collect();
        self.window = window_of(self.saved.clone(), self.order);
    }

    fn restored(&mut self) {
        // The core comes back from a backup: it lost what it stored last.
        let keeps = self.chance.below(self.durable.max(1));
        self.stored.retain(|one| *one <= keeps);
        self.aside.retain(|one| *one <= keeps);
        self.generation += 1;
        let all: Ranges = self.stored.iter().map(|one| (*one, *one)).collect();
        let ranges: Vec<Range> = all.pairs().map(|(first, last)| first..=last).collect();
        let have = Have {
            stream: STREAM,
            ranges,
            receiver_id: "core".to_owned(),
            generation: self.generation,
        };
        self.window.have(&have).unwrap();
        // What was set aside below is not among what it has: it is tried again.
        self.aside.clear();
        self.was_done.clear();
        self.saved = self.window.state();
    }

    /// Whatever counts as done was stored there or set aside.
    fn check(&mut self) {
        let state = self.window.state();
        let mut done: Ranges = state.accepted.iter().copied().collect();
        done.add(1..=state.low_water);
        for one in 1..=self.durable {
            let known = self.stored.contains(&one) || self.aside.contains(&one);
            assert!(!done.contains(one) || known, "{one} counts as done and is not");
        }
    }

    fn step(&mut self) {
        self.now_ms += self.chance.below(3_000);
        match self.chance.below(20) {
            0..=5 if self.durable < RECORDS => {
                self.durable = RECORDS.min(self.durable + 1 + self.chance.below(200));
            }
            0 => self.window.reconnected(),
            1..=9 => {
                let most = 1 + self.chance.below(300) as usize;
                self.send(most);
            }
            10..=15 => self.answer(),
            16 => self.saved = self.window.state(),
            17 => self.restart(),
            18 if self.generation < 2 && self.chance.below(4) == 0 => self.restored(),
            _ => settle_asides(&mut self.window),
        }
    }

    /// The faults stop: everything is delivered.
    fn calm(&mut self) {
        self.durable = RECORDS;
        for _ in 0..400 {
            self.now_ms += 600_000;
            read(&mut self.window, self.durable, names);
            let mut out = Vec::new();
            self.window.send_due(
                self.now_ms,
                || 0,
                |one| {
                    out.push(*one);
                    true
                },
            );
            self.sent.extend(&out);
            self.stored.extend(&out);
            for one in out {
                self.window.settle(Sequence::new(one).unwrap(), Verdict::Accepted, 0, 0);
            }
            settle_asides(&mut self.window);
            if self.window.low_water() == RECORDS {
                break;
            }
        }
        self.check();
        assert_eq!(self.window.low_water(), RECORDS);
        let missing: Vec<u64> = (1..=RECORDS)
            .filter(|one| !self.stored.contains(one) && !self.aside.contains(one))
            .collect();
        assert_eq!(missing, Vec::<u64>::new());
    }
}

#[test]
fn nothing_is_skipped_and_nothing_retired_that_was_not_sent() {
    for seed in 1..=SEEDS {
        println!("seed {seed}");
        let mut world = World::new(seed);
        for step in 0..400 {
            world.step();
            if step % CHECK_EVERY == 0 {
                world.check();
            }
        }
        world.calm();
    }
}
