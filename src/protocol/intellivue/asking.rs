//! What is asked for in an association, in which order and when (facts/monitors.md 1.5, 1.6).

use super::profile::IntellivueProfile;
use super::request::{self, class, group};
use crate::vocabulary::Moment;

const TICKS_PER_MS: u64 = 8;
const ASK_SPACING_MS: u64 = 100;
const POLL_SPACING_MS: u64 = 2_000;
const ASK_AGAIN_MS: u64 = 5_000;
/// How long after the last numerics they are asked for again, whatever was agreed.
const NUMERICS_MISSED_MS: u64 = 3_000;
/// How long an answer is waited for before the next thing is asked.
const ANSWER_MS: u64 = 1_000;
/// How often a list is asked for that does not come.
const LIST_TIMES_MAX: u32 = 3;
const KEEP_ALIVE_SPACING_MS: u64 = 1_000;
const KEEP_ALIVE_UNHEARD_MS: u64 = 4_000;
/// How long an extended poll runs, and when it is asked for anew.
const EXTENDED_POLL_MS: u64 = 60_000;
const RENEW_MS: u64 = 40_000;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// Identity, software, clock: before any value, so that the firmware is known.
    Mds,
    StaticNumerics,
    DynamicNumerics,
    Numerics,
    Alarms,
    /// Behind the first numerics: they say whether this is a demo.
    Patient,
    ChooseWaves,
    StaticWaves,
    DynamicWaves,
    Waves,
    KeepAlive,
}

/// In the order in which they are asked when several are due.
const ALL: [Ask; 11] = [
    Ask::KeepAlive,
    Ask::Mds,
    Ask::StaticNumerics,
    Ask::DynamicNumerics,
    Ask::Numerics,
    Ask::Alarms,
    Ask::Patient,
    Ask::ChooseWaves,
    Ask::StaticWaves,
    Ask::DynamicWaves,
    Ask::Waves,
];

impl Ask {
    /// After how long it is asked again once it was answered; `None`: only when there is cause.
    const fn again_ms(self) -> Option<u64> {
        match self {
            Self::Mds => Some(60_000),
            Self::Patient => Some(10_000),
            Self::Numerics | Self::Alarms | Self::Waves => Some(RENEW_MS),
            Self::StaticNumerics
            | Self::DynamicNumerics
            | Self::ChooseWaves
            | Self::StaticWaves
            | Self::DynamicWaves
            | Self::KeepAlive => None,
        }
    }

    /// In a biomedical engineer's words.
    const fn words(self) -> &'static str {
        match self {
            Self::Mds => "its identity",
            Self::StaticNumerics | Self::DynamicNumerics => "the list of its numerics",
            Self::Patient => "patient demographics",
            Self::Numerics => "numerics",
            Self::Alarms => "alarms",
            Self::ChooseWaves => "the choice of waves",
            Self::StaticWaves | Self::DynamicWaves => "the list of its waves",
            Self::Waves => "waves",
            Self::KeepAlive => "a keep-alive",
        }
    }

    fn message(self, invoke: u16, poll_number: u16, profile: &IntellivueProfile) -> Vec<u8> {
        let single = |class, group| request::single_poll(invoke, poll_number, class, group);
        let ticks = u32::try_from(EXTENDED_POLL_MS * TICKS_PER_MS).unwrap_or(0);
        let extended =
            |class, group| request::extended_poll(invoke, poll_number, class, group, ticks);
        match self {
            Self::Mds => single(class::MDS, group::ALL),
            Self::StaticNumerics => single(class::NUMERIC, group::STATIC),
            Self::DynamicNumerics => single(class::NUMERIC, group::DYNAMIC),
            Self::Patient => single(class::PATIENT, group::PATIENT),
            Self::Numerics => extended(class::NUMERIC, group::OBSERVED_VALUE),
            Self::Alarms => extended(class::ALERT_MONITOR, group::ALERT_MONITOR),
            Self::ChooseWaves => {
                let labels: Vec<u32> = profile.waves.iter().map(|wave| wave.number()).collect();
                request::choose_waves(invoke, &labels)
            }
            Self::StaticWaves => single(class::WAVE, group::STATIC),
            Self::DynamicWaves => single(class::WAVE, group::DYNAMIC),
            Self::Waves => extended(class::WAVE, group::OBSERVED_VALUE),
            Self::KeepAlive => single(class::ALERT_MONITOR, group::STATIC),
        }
    }
}

/// One thing that is asked for.
#[derive(Debug)]
struct Turn {
    ask: Ask,
    /// When it was last asked, in whatever association.
    sent: Option<Moment>,
    invoke: u16,
    poll_number: u16,
    is_answered: bool,
    /// How often it was asked in this association.
    times: u32,
    /// There is cause to ask again.
    is_wanted: bool,
}

/// What the keeping alive of an association hangs on.
pub(super) struct Alive {
    pub sent: Option<Moment>,
    pub heard: Option<Moment>,
    /// After how long without a message from us the monitor gives the association up.
    pub time_out_ms: u64,
}

/// All that is asked for on one link.
#[derive(Debug)]
pub(super) struct Asking {
    turns: Vec<Turn>,
    next_invoke: u16,
    next_poll: u16,
    asked: Option<Moment>,
    numerics_heard: Option<Moment>,
}

impl Asking {
    /// What a device file wants asked.
    pub fn new(profile: &IntellivueProfile) -> Self {
        let wanted = |ask: &Ask| match ask {
            Ask::Patient => profile.demographics,
            Ask::Alarms => profile.alarms,
            Ask::ChooseWaves | Ask::StaticWaves | Ask::DynamicWaves | Ask::Waves => {
                !profile.waves.is_empty()
            }
            Ask::Mds
            | Ask::StaticNumerics
            | Ask::DynamicNumerics
            | Ask::Numerics
            | Ask::KeepAlive => true,
        };
        let turns = ALL.into_iter().filter(wanted).map(Turn::new).collect();
        Self { turns, next_invoke: 1, next_poll: 1, asked: None, numerics_heard: None }
    }

    /// A new association: nothing of the one before was answered.
    pub fn begin(&mut self) {
        self.next_invoke = 1;
        self.next_poll = 1;
        self.numerics_heard = None;
        for turn in &mut self.turns {
            *turn = Turn { sent: turn.sent, ..Turn::new(turn.ask) };
        }
    }

    /// The whole answer to an invocation has come; which one, if it is known.
    pub fn answered(&mut self, invoke: u16, poll_number: Option<u16>) -> Option<Ask> {
        let fits = |turn: &&mut Turn| {
            turn.times > 0 && (turn.invoke == invoke || Some(turn.poll_number) == poll_number)
        };
        let turn = self.turns.iter_mut().find(fits)?;
        turn.is_answered = true;
        Some(turn.ask)
    }

    /// Numerics came.
    pub fn numerics_came(&mut self, now: Moment) {
        self.numerics_heard = Some(now);
    }

    /// Whether they were asked for again and again and did not come.
    pub fn numerics_are_missing(&self, now: Moment) -> bool {
        let asked = self.turns.iter().any(|turn| turn.ask == Ask::Numerics && turn.times > 2);
        let came = self.numerics_heard.is_some_and(|at| now < at.plus_ms(2 * ASK_AGAIN_MS));
        asked && !came
    }

    /// The monitor could not do what was invoked with this id: what to tell, if it is known.
    pub fn failed(&mut self, invoke: u16, error: u16) -> Option<String> {
        let fits = |turn: &&mut Turn| turn.times > 0 && turn.invoke == invoke;
        let turn = self.turns.iter_mut().find(fits)?;
        // What streams is asked for again after its spacing; the rest is not to be had.
        turn.is_answered = !matches!(turn.ask, Ask::Numerics | Ask::Alarms | Ask::Waves);
        let words = turn.ask.words();
        Some(format!("the monitor does not give {words}: {}", error_words(error)))
    }

    /// An object came that no list named.
    pub fn want(&mut self, of_class: u16) {
        let asks = if of_class == class::WAVE {
            [Ask::StaticWaves, Ask::DynamicWaves]
        } else {
            [Ask::StaticNumerics, Ask::DynamicNumerics]
        };
        for turn in self.turns.iter_mut().filter(|turn| asks.contains(&turn.ask)) {
            turn.is_wanted = true;
        }
    }

    /// When [`Asking::next`] has something next.
    pub fn due(&self, alive: &Alive) -> Option<Moment> {
        self.turns.iter().filter_map(|turn| self.turn_due(turn, alive)).min()
    }

    /// What is to be asked now.
    pub fn next(
        &mut self,
        alive: &Alive,
        profile: &IntellivueProfile,
        now: Moment,
    ) -> Option<Vec<u8>> {
        let is_due = |turn: &Turn| self.turn_due(turn, alive).is_some_and(|due| now >= due);
        let at = self.turns.iter().position(is_due)?;
        let (invoke, poll) = (self.next_invoke, self.next_poll);
        self.next_invoke = invoke.wrapping_add(1).max(1);
        self.next_poll = poll.wrapping_add(1).max(1);
        let turn = self.turns.get_mut(at)?;
        turn.sent = Some(now);
        turn.invoke = invoke;
        turn.poll_number = poll;
        turn.is_answered = false;
        turn.is_wanted = false;
        turn.times += 1;
        self.asked = Some(now);
        Some(turn.ask.message(invoke, poll, profile))
    }

    /// When the next thing may be asked: spaced, and behind the answer to the one before.
    fn free_at(&self, ask: Ask) -> Option<Moment> {
        let asked = self.asked?;
        let is_waited_for =
            |turn: &Turn| turn.times > 0 && !turn.is_answered && turn.sent == Some(asked);
        // Keeping alive waits for nobody.
        let waits = ask != Ask::KeepAlive && self.turns.iter().any(is_waited_for);
        Some(asked.plus_ms(if waits { ANSWER_MS } else { ASK_SPACING_MS }))
    }

    fn turn_due(&self, turn: &Turn, alive: &Alive) -> Option<Moment> {
        let due = self.wanted_at(turn, alive)?;
        Some(self.free_at(turn.ask).map_or(due, |free| free.max(due)))
    }

    fn wanted_at(&self, turn: &Turn, alive: &Alive) -> Option<Moment> {
        if turn.ask == Ask::KeepAlive {
            return turn.keep_alive_due(alive);
        }
        if turn.ask == Ask::Patient && turn.times == 0 && self.numerics_heard.is_none() {
            let numerics = self.turns.iter().find(|turn| turn.ask == Ask::Numerics)?;
            let asked = numerics.sent.filter(|_| numerics.times > 0)?;
            return Some(asked.plus_ms(ASK_AGAIN_MS));
        }
        let spaced = turn.sent.map(|sent| sent.plus_ms(POLL_SPACING_MS));
        if turn.times == 0 {
            return spaced.or(alive.sent);
        }
        let again = match turn.ask.again_ms() {
            _ if turn.is_wanted => ASK_AGAIN_MS,
            // A list that does not come is not asked for without end: a stranger is occasion.
            again if !turn.is_answered && (turn.times < LIST_TIMES_MAX || again.is_some()) => {
                ASK_AGAIN_MS
            }
            again => again?,
        };
        let due = turn.sent?.plus_ms(again);
        let missed = self.numerics_heard.filter(|_| turn.ask == Ask::Numerics);
        let missed = missed.map(|heard| heard.plus_ms(NUMERICS_MISSED_MS));
        let missed = missed.zip(turn.sent).map(|(at, sent)| at.max(sent.plus_ms(ASK_AGAIN_MS)));
        Some(missed.map_or(due, |missed| missed.min(due)))
    }
}

impl Turn {
    fn new(ask: Ask) -> Self {
        Self {
            ask,
            sent: None,
            invoke: 0,
            poll_number: 0,
            is_answered: false,
            times: 0,
            is_wanted: false,
        }
    }

    fn keep_alive_due(&self, alive: &Alive) -> Option<Moment> {
        let unsent = alive.sent?.plus_ms(alive.time_out_ms / 2);
        let unheard = alive.heard?.plus_ms(KEEP_ALIVE_UNHEARD_MS);
        let spaced = self.sent.map(|sent| sent.plus_ms(KEEP_ALIVE_SPACING_MS));
        let due = unsent.min(unheard);
        Some(spaced.map_or(due, |spaced| spaced.max(due)))
    }
}

fn error_words(error: u16) -> String {
    let words = match error {
        0 => "it has no such class",
        1 => "it has no such object",
        2 => "access denied",
        7 => "it could not get all of a list",
        8 => "it could not set all of a list",
        9 => "it has no such action",
        10 => "processing failure",
        15 => "invalid argument",
        16 => "invalid scope",
        17 => "invalid object",
        _ => return format!("error {error}"),
    };
    format!("{words} (error {error})")
}
