//! The conversation: associating, asking, keeping alive, giving up (facts/monitors.md 1.5).
//!
//! ```text
//! closed -> waiting -> requested -> accepted -> associated
//!              ^           |            |            |
//!              +-- refused, no answer, aborted, released, silent --+
//! ```
//! Nothing is sent but these, each no sooner after itself than its spacing:
//!
//! | what | spacing | when |
//! |---|---|---|
//! | association request | 2 s | a Connect Indication came, or 1 s after the link opened, then every 5 s |
//! | abort | 2 s | the link opened (an earlier association of ours may be left), silence |
//! | release response | 1 s | the monitor asked for release |
//! | MDS Create Result | 0.1 s | the monitor sent its MDS Create Event |
//! | each poll, and the choice of waves | 2 s | see [`Ask`]; one at a time, 0.1 s apart |
//! | keep-alive | 1 s | half the association's time-out without anything sent, or 4 s without anything heard |

use super::association::{self, Control};
use super::profile::IntellivueProfile;
use super::request::{self, class, group};
use crate::protocol::Peer;
use crate::vocabulary::Moment;

/// The poll period that is asked for: 1 s.
const POLL_PERIOD_TICKS: u32 = 8_000;
const TICKS_PER_MS: u64 = 8;

const BLIND_AFTER_MS: u64 = 1_000;
const REQUEST_SPACING_MS: u64 = 2_000;
const REQUEST_AGAIN_MS: u64 = 5_000;
const ABORT_SPACING_MS: u64 = 2_000;
const RELEASE_RESPONSE_SPACING_MS: u64 = 1_000;
const CREATE_RESULT_SPACING_MS: u64 = 100;
/// How long the monitor's MDS Create Event may take after its accept.
const CREATE_EVENT_MS: u64 = 10_000;
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
const SILENT_MS: u64 = 5_000;
/// How long an extended poll runs, and when it is asked for anew.
const EXTENDED_POLL_MS: u64 = 60_000;
const RENEW_MS: u64 = 40_000;

/// What is asked for, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ask {
    /// Identity, software, clock: before any value, so that the firmware is known.
    Mds,
    StaticNumerics,
    DynamicNumerics,
    Patient,
    Numerics,
    Alarms,
    ChooseWaves,
    StaticWaves,
    DynamicWaves,
    Waves,
    KeepAlive,
}

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Waiting { until: Moment },
    Requested { at: Moment },
    Accepted { at: Moment },
    Associated,
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

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    pub message: Vec<u8>,
    pub to: Peer,
}

/// What came of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    Nothing,
    /// A new association: handles, alarms and polls of the one before are gone.
    Begun,
    /// There is no association any more.
    Ended,
}

/// The state of one conversation.
#[derive(Debug)]
pub(super) struct Conversation {
    state: State,
    turns: Vec<Turn>,
    /// Where associations are asked for.
    to: Peer,
    next_invoke: u16,
    next_poll: u16,
    time_out_ms: u64,
    sent: Option<Moment>,
    heard: Option<Moment>,
    numerics_heard: Option<Moment>,
    asked: Option<Moment>,
    request_sent: Option<Moment>,
    abort_sent: Option<Moment>,
    release_response_sent: Option<Moment>,
    create_result_sent: Option<Moment>,
    pub trouble: Trouble,
    outbox: Vec<Sending>,
}

/// What is wrong, and whether it was said.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    words: Option<String>,
    said: Option<String>,
}

impl Trouble {
    fn is(&mut self, words: impl Into<String>) {
        self.words = Some(words.into());
    }

    /// What has to be said, if it changed.
    pub fn take(&mut self) -> Option<Option<String>> {
        if self.said == self.words {
            return None;
        }
        self.said.clone_from(&self.words);
        Some(self.said.clone())
    }
}

impl Conversation {
    /// A conversation that is not open yet.
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
        let asks = [
            Ask::Mds,
            Ask::StaticNumerics,
            Ask::DynamicNumerics,
            Ask::Patient,
            Ask::Numerics,
            Ask::Alarms,
            Ask::ChooseWaves,
            Ask::StaticWaves,
            Ask::DynamicWaves,
            Ask::Waves,
            Ask::KeepAlive,
        ];
        Self {
            state: State::Closed,
            turns: asks.into_iter().filter(wanted).map(Turn::new).collect(),
            to: Peer::STREAM,
            next_invoke: 1,
            next_poll: 1,
            time_out_ms: association::time_out_ms(POLL_PERIOD_TICKS),
            sent: None,
            heard: None,
            numerics_heard: None,
            asked: None,
            request_sent: None,
            abort_sent: None,
            release_response_sent: None,
            create_result_sent: None,
            trouble: Trouble::default(),
            outbox: Vec::new(),
        }
    }

    /// The link is there.
    pub fn open(&mut self, now: Moment) {
        self.to = Peer::STREAM;
        self.abort(now);
        self.wait(now, BLIND_AFTER_MS);
    }

    /// The link is gone.
    pub fn close(&mut self) {
        self.state = State::Closed;
        self.outbox.clear();
    }

    /// A Connect Indication: the monitor is there and takes associations on `port`.
    pub fn announced(&mut self, port: Option<u16>, now: Moment) {
        let to = port.map_or(Peer::STREAM, |port| Peer(u32::from(port)));
        let is_asked_elsewhere = matches!(self.state, State::Requested { .. }) && self.to != to;
        if matches!(self.state, State::Waiting { .. }) || is_asked_elsewhere {
            self.to = to;
            self.state = State::Waiting { until: now };
        }
    }

    /// An association control message.
    pub fn control(
        &mut self,
        control: Control,
        profile: &IntellivueProfile,
        now: Moment,
    ) -> Changed {
        self.heard = Some(now);
        match (control, self.state) {
            (_, State::Closed) => Changed::Nothing,
            (Control::Accept { min_poll_period }, State::Requested { .. }) => {
                let granted = min_poll_period.unwrap_or(POLL_PERIOD_TICKS);
                self.time_out_ms = association::time_out_ms(granted);
                self.state = State::Accepted { at: now };
                self.next_invoke = 1;
                self.next_poll = 1;
                self.numerics_heard = None;
                for turn in &mut self.turns {
                    *turn = Turn { sent: turn.sent, ..Turn::new(turn.ask) };
                }
                Changed::Begun
            }
            // A late copy of what was accepted already, or an answer to nothing.
            (Control::Accept { .. } | Control::Request, _) => Changed::Nothing,
            (Control::Refuse, State::Requested { .. }) => {
                self.trouble.is(refused_words(profile));
                self.wait(now, REQUEST_AGAIN_MS);
                Changed::Ended
            }
            (Control::Refuse, _) => Changed::Nothing,
            (Control::ReleaseRequest, _) => {
                if is_due(self.release_response_sent, RELEASE_RESPONSE_SPACING_MS, now) {
                    self.release_response_sent = Some(now);
                    self.send(association::release_response(), now);
                }
                self.trouble.is("the monitor released the association; associating again");
                self.wait(now, REQUEST_SPACING_MS);
                Changed::Ended
            }
            (Control::Abort | Control::ReleaseResponse, State::Waiting { .. }) => Changed::Nothing,
            (Control::Abort | Control::ReleaseResponse, _) => {
                self.trouble.is("the monitor aborted the association; associating again");
                self.wait(now, REQUEST_SPACING_MS);
                Changed::Ended
            }
        }
    }

    /// The monitor's MDS Create Event.
    pub fn created(&mut self, invoke: u16, object: [u8; 6], now: Moment) {
        self.heard = Some(now);
        if !matches!(self.state, State::Accepted { .. } | State::Associated) {
            return;
        }
        if is_due(self.create_result_sent, CREATE_RESULT_SPACING_MS, now) {
            self.create_result_sent = Some(now);
            // Ticks of our own clock: they wrap like the monitor's.
            let ticks = (now.monotonic_us() / 125) as u32;
            self.send(request::mds_create_result(invoke, object, ticks), now);
        }
        self.state = State::Associated;
    }

    /// Anything else that was whole.
    pub fn heard(&mut self, now: Moment) {
        self.heard = Some(now);
    }

    /// The whole answer to an invocation, or the last part of it; which one, if it is known.
    pub fn answered(&mut self, invoke: u16, poll_number: Option<u16>, now: Moment) -> Option<Ask> {
        self.heard = Some(now);
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
        self.trouble.words = None;
    }

    /// The monitor could not do what was invoked with this id.
    pub fn failed(&mut self, invoke: u16, error: u16, now: Moment) {
        self.heard = Some(now);
        let turn = self.turns.iter_mut().find(|turn| turn.times > 0 && turn.invoke == invoke);
        if let Some(turn) = turn {
            // What streams is asked for again after its spacing; the rest is not to be had.
            turn.is_answered = !matches!(turn.ask, Ask::Numerics | Ask::Alarms | Ask::Waves);
            let words = turn.ask.words();
            self.trouble.is(format!("the monitor does not give {words}: {}", error_words(error)));
        }
    }

    /// An object came that no list named.
    pub fn ask_about(&mut self, of_class: u16) {
        let asks = if of_class == class::WAVE {
            [Ask::StaticWaves, Ask::DynamicWaves]
        } else {
            [Ask::StaticNumerics, Ask::DynamicNumerics]
        };
        for turn in self.turns.iter_mut().filter(|turn| asks.contains(&turn.ask)) {
            turn.is_wanted = true;
        }
    }

    /// Does what is due.
    pub fn step(&mut self, profile: &IntellivueProfile, now: Moment) -> Changed {
        match self.state {
            State::Waiting { until } if now >= until => {
                if is_due(self.request_sent, REQUEST_SPACING_MS, now) {
                    self.request_sent = Some(now);
                    let message =
                        association::request(POLL_PERIOD_TICKS, profile.message_bytes_max);
                    self.send(message, now);
                    self.state = State::Requested { at: now };
                }
                Changed::Nothing
            }
            State::Requested { at } if now >= at.plus_ms(REQUEST_AGAIN_MS) => {
                self.trouble.is("the monitor does not answer the association request");
                // Whatever port it announced, it may have another one by now.
                self.to = Peer::STREAM;
                self.state = State::Waiting { until: now };
                self.step(profile, now)
            }
            State::Accepted { at } if now >= at.plus_ms(CREATE_EVENT_MS) => {
                self.trouble.is("the monitor accepted the association and said nothing more");
                self.give_up(now)
            }
            State::Associated if self.silent_at().is_some_and(|at| now >= at) => {
                self.trouble.is("the monitor fell silent; associating again");
                self.give_up(now)
            }
            State::Associated => {
                self.ask(profile, now);
                Changed::Nothing
            }
            State::Closed
            | State::Waiting { .. }
            | State::Requested { .. }
            | State::Accepted { .. } => Changed::Nothing,
        }
    }

    /// When [`Conversation::step`] has something to do next.
    pub fn due(&self) -> Option<Moment> {
        match self.state {
            State::Closed => None,
            State::Waiting { until } => {
                let spaced = self.request_sent.map(|sent| sent.plus_ms(REQUEST_SPACING_MS));
                Some(spaced.map_or(until, |spaced| spaced.max(until)))
            }
            State::Requested { at } => Some(at.plus_ms(REQUEST_AGAIN_MS)),
            State::Accepted { at } => Some(at.plus_ms(CREATE_EVENT_MS)),
            State::Associated => {
                let asks = self.turns.iter().filter_map(|turn| self.turn_due(turn));
                let free = self.free_at();
                let ask = asks.min().map(|due| free.map_or(due, |free| free.max(due)));
                ask.into_iter().chain(self.silent_at()).min()
            }
        }
    }

    pub fn take(&mut self) -> Vec<Sending> {
        std::mem::take(&mut self.outbox)
    }

    fn send(&mut self, message: Vec<u8>, now: Moment) {
        self.sent = Some(now);
        self.outbox.push(Sending { message, to: self.to });
    }

    fn abort(&mut self, now: Moment) {
        if is_due(self.abort_sent, ABORT_SPACING_MS, now) {
            self.abort_sent = Some(now);
            self.send(association::abort(), now);
        }
    }

    fn wait(&mut self, now: Moment, ms: u64) {
        self.state = State::Waiting { until: now.plus_ms(ms) };
    }

    fn give_up(&mut self, now: Moment) -> Changed {
        self.abort(now);
        self.wait(now, BLIND_AFTER_MS);
        Changed::Ended
    }

    fn silent_at(&self) -> Option<Moment> {
        self.heard.map(|heard| heard.plus_ms(SILENT_MS))
    }

    /// When the next thing may be asked: spaced, and behind the answer to the one before.
    fn free_at(&self) -> Option<Moment> {
        let asked = self.asked?;
        let is_waited_for =
            |turn: &Turn| turn.times > 0 && !turn.is_answered && turn.sent == Some(asked);
        let waits = self.turns.iter().any(is_waited_for);
        Some(asked.plus_ms(if waits { ANSWER_MS } else { ASK_SPACING_MS }))
    }

    fn ask(&mut self, profile: &IntellivueProfile, now: Moment) {
        if self.free_at().is_some_and(|free| now < free) {
            return;
        }
        let is_due = |turn: &Turn| self.turn_due(turn).is_some_and(|due| now >= due);
        let Some(at) = self.turns.iter().position(is_due) else { return };
        let (invoke, poll) = (self.next_invoke, self.next_poll);
        self.next_invoke = invoke.wrapping_add(1).max(1);
        self.next_poll = poll.wrapping_add(1).max(1);
        let Some(turn) = self.turns.get_mut(at) else { return };
        turn.sent = Some(now);
        turn.invoke = invoke;
        turn.poll_number = poll;
        turn.is_answered = false;
        turn.is_wanted = false;
        turn.times += 1;
        let message = turn.ask.message(invoke, poll, profile);
        self.asked = Some(now);
        self.send(message, now);
    }

    fn turn_due(&self, turn: &Turn) -> Option<Moment> {
        if turn.ask == Ask::KeepAlive {
            return self.keep_alive_due(turn);
        }
        let spaced = turn.sent.map(|sent| sent.plus_ms(POLL_SPACING_MS));
        if turn.times == 0 {
            return spaced.or(self.sent);
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

    fn keep_alive_due(&self, turn: &Turn) -> Option<Moment> {
        let unsent = self.sent?.plus_ms(self.time_out_ms / 2);
        let unheard = self.heard?.plus_ms(KEEP_ALIVE_UNHEARD_MS);
        let spaced = turn.sent.map(|sent| sent.plus_ms(KEEP_ALIVE_SPACING_MS));
        let due = unsent.min(unheard);
        Some(spaced.map_or(due, |spaced| spaced.max(due)))
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
}

fn is_due(last: Option<Moment>, spacing_ms: u64, now: Moment) -> bool {
    last.is_none_or(|last| now >= last.plus_ms(spacing_ms))
}

fn refused_words(profile: &IntellivueProfile) -> String {
    let switch = match profile.framing {
        super::profile::Framing::Lan => "LAN data export",
        super::profile::Framing::Rs232 => "data export on this MIB port",
    };
    format!(
        "the monitor refused the association: is another client connected, or is {switch} off in \
         its configuration?"
    )
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
