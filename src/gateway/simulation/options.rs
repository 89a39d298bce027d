//! What one seed makes of a simulation: everything that differs from seed to seed.

use crate::forward::simulated::core::{KIND, Manners};
use crate::forward::window::Order;
use crate::vocabulary::chance::Chance;

/// All of it follows from the seed; a failing run prints it.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub seed: u64,
    /// Lives that end badly, before the one in which nothing happens any more.
    pub lives: Vec<Life>,
    /// Messages of the oximeter, the monitor and the analyser, in all lives together.
    pub messages: [u64; 3],
    pub pause_ms: [u64; 3],
    pub device_trouble_once_in: u64,
    pub disk_ms_max: u64,
    pub segment_bytes: u64,
    pub quota_segments: u64,
    pub order: Order,
    /// `None`: no manifests, whose counting is a third of the time of a run.
    pub manifest_every_s: Option<u32>,
    /// The required destination.
    pub core: Manners,
    /// The best-effort one, if there is one.
    pub archive: Option<Manners>,
    pub broken: Option<Broken>,
    /// How long the last life may take until everything is where it belongs.
    pub limit_s: u64,
    /// How quick devices and cores are in it.
    pub last: Last,
}

/// The life in which nothing happens any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub pause_ms: Option<[u64; 3]>,
    pub core: Manners,
}

/// For proving that the simulation sees what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The disk says that it has synced the journal, and has not: acknowledged before durable.
    JournalSyncLies,
    /// The disk says that it has synced the cursors, and has not: freed before the cursor is
    /// durable.
    CursorSyncLies,
    /// The core says that it has stored what it has not.
    CoreForgets,
}

/// One life of the house.
#[derive(Clone, Debug)]
pub(super) struct Life {
    /// It ends at the latest then.
    pub ms: u64,
    /// Or at this operation of the disk.
    pub operation: Option<u64>,
    pub end: End,
    /// How long the box is away afterwards.
    pub away_ms: u64,
    pub faults: Vec<(u64, Fault)>,
    /// The box starts in 1970 and learns the time after so long.
    pub starts_in_1970_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// kill -9: what was written stays in the page cache.
    Kill,
    /// What was not synced is torn.
    PowerCut,
    /// SIGTERM.
    Stop,
}

/// What happens meanwhile; `ms`: for so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    CoreDies,
    CoreDown {
        ms: u64,
    },
    CoreHalfOpen {
        ms: u64,
    },
    CoreBackup,
    CoreRestored,
    ArchiveDown {
        ms: u64,
    },
    /// The operation of the journal's disk that comes in so many fails.
    JournalFails {
        operation: u64,
    },
    CursorFails {
        operation: u64,
    },
    CursorsFail {
        ms: u64,
    },
    DiskFull {
        ms: u64,
    },
    DiskSlow {
        ms: u64,
        wait_ms_max: u64,
    },
    /// The box's clock jumps.
    ClockStep {
        seconds: i64,
    },
}

impl Options {
    pub fn of(seed: u64) -> Self {
        let mut chance = Chance(seed ^ 0x5EED);
        let chance = &mut chance;
        let lives: Vec<Life> =
            (0..[1, 2, 2, 3][chance.below(4) as usize]).map(|_| Life::of(chance)).collect();
        let pause_ms =
            [chance.between(300, 1_500), chance.between(300, 2_000), chance.between(800, 4_000)];
        let in_all_ms = 5_000 + lives.iter().map(|life| life.ms).sum::<u64>();
        let messages = pause_ms.map(|pause_ms| (in_all_ms / pause_ms).clamp(2, 18));
        let segment_bytes = 1 << chance.between(15, 17);
        Self {
            seed,
            messages,
            pause_ms,
            device_trouble_once_in: [0, 30, 12, 6][chance.below(4) as usize],
            disk_ms_max: [1, 4, 20, 120][chance.below(4) as usize],
            segment_bytes,
            quota_segments: if chance.once_in(3) { 5 } else { chance.between(6, 16) },
            order: if chance.once_in(3) { Order::Strict } else { Order::Lanes },
            manifest_every_s: chance.once_in(6).then(|| chance.between(4, 30) as u32),
            core: manners(chance),
            archive: chance.once_in(2).then(|| manners(chance)),
            broken: None,
            limit_s: 1_800,
            last: Last { pause_ms: None, core: KIND },
            lives,
        }
    }
}

fn manners(chance: &mut Chance) -> Manners {
    let kind = chance.once_in(4);
    let once_in = |chance: &mut Chance, times: u64| {
        if kind || chance.once_in(2) { 0 } else { chance.between(times / 2, 2 * times) }
    };
    Manners {
        wait_ms_max: [2, 20, 200, 1_500][chance.below(4) as usize],
        commit_ms_min: 0,
        commit_ms_max: [1, 10, 100, 3_000][chance.below(4) as usize],
        loses_record_once_in: once_in(chance, 30),
        loses_answer_once_in: once_in(chance, 15),
        says_twice_once_in: once_in(chance, 10),
        lies_once_in: once_in(chance, 25),
        dies_once_in: once_in(chance, 60),
        answers_before_it_stores: false,
    }
}

impl Life {
    fn of(chance: &mut Chance) -> Self {
        let ms = chance.between(300, 9_000);
        let end = match chance.below(5) {
            0 | 1 => End::PowerCut,
            2 | 3 => End::Kill,
            _ => End::Stop,
        };
        let by_operation = end != End::Stop && chance.once_in(2);
        let mut faults: Vec<(u64, Fault)> =
            (0..chance.below(5)).map(|_| (chance.below(ms), Fault::of(chance, ms))).collect();
        faults.sort_by_key(|(at_ms, _)| *at_ms);
        Self {
            ms,
            operation: by_operation.then(|| chance.between(1, 400)),
            end,
            away_ms: chance.between(100, 20_000),
            faults,
            starts_in_1970_ms: chance.once_in(12).then(|| chance.between(100, 10_000)),
        }
    }
}

impl Fault {
    fn of(chance: &mut Chance, life_ms: u64) -> Self {
        let ms = chance.between(100, life_ms.max(101));
        match chance.below(16) {
            0 => Self::CoreDies,
            1 | 2 => Self::CoreDown { ms },
            3 => Self::CoreHalfOpen { ms },
            4 => Self::CoreBackup,
            5 => Self::CoreRestored,
            6 => Self::ArchiveDown { ms: 10 * ms },
            7 | 8 => Self::JournalFails { operation: chance.between(1, 40) },
            9 => Self::CursorFails { operation: chance.between(1, 10) },
            10 | 11 => Self::DiskFull { ms },
            12 | 13 => Self::CursorsFail { ms: 2 * ms },
            14 => Self::DiskSlow { ms, wait_ms_max: chance.between(50, 2_000) },
            _ => Self::ClockStep { seconds: if chance.once_in(2) { 3_600 } else { -3_600 } },
        }
    }

    /// Whether times before and after it cannot be compared.
    pub fn steps_the_clock(self) -> bool {
        matches!(self, Self::ClockStep { .. })
    }
}

impl Options {
    /// Whether the box's UTC can be leaned on all the time.
    pub fn has_a_good_clock(&self) -> bool {
        self.lives.iter().all(|life| {
            life.starts_in_1970_ms.is_none()
                && life.faults.iter().all(|(_, fault)| !fault.steps_the_clock())
        })
    }
}
