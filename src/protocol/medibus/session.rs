//! When to ask, when to answer, when to begin anew (facts/monitors.md 3.4).
//!
//! ```text
//! Initialising --reply to 51, or the device's own 51--> Identifying --reply to 52--> Running
//!      ^------- 3 s of silence, or a command repeated three times in vain ----------|
//! ```
//!
//! One command at a time waits for its reply. NOP goes out beside it when nothing was sent for a
//! while: the device gives up after 3 s and may need 10 s for a reply.

use std::collections::VecDeque;
use std::sync::Arc;

use super::pending::{Line, Pending};
use super::profile::{MedibusProfile, Poll, PollCommand};
use super::realtime::Stream;
use super::wire::{ESC, NAK, SOH, framed};
use crate::vocabulary::{Certainty, Moment};

pub(super) const NOP: u8 = 0x30;
pub(super) const ICC: u8 = 0x51;
pub(super) const IDENTIFICATION: u8 = 0x52;
pub(super) const REALTIME_FORMS: u8 = 0x53;
pub(super) const REALTIME_CONFIGURE: u8 = 0x54;
pub(super) const STOP: u8 = 0x55;
pub(super) const REALTIME_CHANGED: u8 = 0x56;
const TIME_CHANGED: u8 = 0x49;
const CONFIGURE: u8 = 0x4A;

/// Answers that wait while the device wants nothing; it asks one thing at a time.
const HELD_MAX: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    /// 51 is sent at that moment.
    Initialising {
        next: Moment,
    },
    Identifying,
    Running,
}

struct Asked {
    command: PollCommand,
    every_ms: u64,
    due: Moment,
    /// The device answered NAK to it again and again.
    refused: bool,
}

/// Communication begins anew.
pub(super) struct Begins {
    /// For the refusal of what was open.
    pub detail: &'static str,
    /// For people.
    pub words: &'static str,
}

/// The conversation of one link.
pub(super) struct Conversation {
    profile: Arc<MedibusProfile>,
    state: State,
    pending: Option<Pending>,
    polls: Vec<Asked>,
    /// What is to be sent once before the polls: the real-time configuration.
    first: VecDeque<(u8, Vec<u8>)>,
    last_heard: Moment,
    last_sent: Moment,
    /// The last command, repeated or not; an answer is none.
    last_command: Moment,
    /// Nothing is asked before.
    ready: Moment,
    suspended: Option<Moment>,
    held: VecDeque<Vec<u8>>,
    takes_arguments: bool,
    enabling: Vec<u8>,
    /// How often 51 was sent in vain.
    attempts: u32,
    /// Bytes for the device, in order.
    pub outgoing: VecDeque<Vec<u8>>,
    /// What is wrong, to be told once.
    pub trouble: Option<&'static str>,
    /// What a person should know where nothing worse is wrong.
    pub remark: Option<String>,
}

const BEGINNING: Moment = Moment::new(0, 0, Certainty::Unproven);

impl Conversation {
    pub(super) fn new(profile: Arc<MedibusProfile>) -> Self {
        Self {
            profile,
            state: State::Closed,
            pending: None,
            polls: Vec::new(),
            first: VecDeque::new(),
            last_heard: BEGINNING,
            last_sent: BEGINNING,
            last_command: BEGINNING,
            ready: BEGINNING,
            suspended: None,
            held: VecDeque::new(),
            takes_arguments: false,
            enabling: Vec::new(),
            attempts: 0,
            outgoing: VecDeque::new(),
            trouble: None,
            remark: None,
        }
    }

    pub(super) fn open(&mut self, now: Moment) {
        self.last_heard = now;
        self.begin(now);
    }

    pub(super) fn close(&mut self) {
        self.begin(BEGINNING);
        self.state = State::Closed;
        self.outgoing.clear();
        self.trouble = None;
        self.remark = None;
    }

    fn begin(&mut self, next: Moment) {
        self.state = State::Initialising { next };
        self.attempts = 0;
        self.pending = None;
        self.first.clear();
        self.enabling.clear();
        self.suspended = None;
        self.held.clear();
    }

    /// Any byte.
    pub(super) fn heard(&mut self, now: Moment) {
        self.last_heard = now;
    }

    pub(super) fn suspend(&mut self, now: Moment) {
        if self.is_session() {
            self.suspended.get_or_insert(now);
        }
    }

    fn is_session(&self) -> bool {
        match self.state {
            State::Closed | State::Initialising { .. } => false,
            State::Identifying | State::Running => true,
        }
    }

    pub(super) fn resume(&mut self) {
        self.suspended = None;
    }

    /// The reply to 51. `false` if none was waited for.
    pub(super) fn initialised(&mut self, now: Moment) -> bool {
        let waited = matches!(self.state, State::Initialising { .. });
        if waited {
            self.identify(now);
        }
        waited
    }

    /// The device's own 51: it has forgotten everything, so this session begins, too.
    pub(super) fn initialised_by_device(&mut self, now: Moment) {
        self.begin(now);
        self.reply(ICC, &[], now);
        self.identify(now);
    }

    fn identify(&mut self, now: Moment) {
        self.state = State::Identifying;
        self.pending = None;
        self.rest(now);
    }

    /// Leaves the device alone for the distance between two commands.
    fn rest(&mut self, now: Moment) {
        self.ready = now.plus_ms(self.profile.spacing_ms);
    }

    /// The device ends the conversation; it is asked again after a while.
    pub(super) fn stopped_by_device(&mut self, now: Moment) {
        self.begin(now.plus_ms(self.profile.initialise_every_ms));
        self.reply(STOP, &[], now);
        self.trouble = Some("the device has ended the conversation (STOP)");
    }

    pub(super) fn identified(&mut self, takes_arguments: bool, now: Moment) {
        self.answered(IDENTIFICATION, now);
        if self.state != State::Identifying {
            return;
        }
        self.state = State::Running;
        self.pending = None;
        self.takes_arguments = takes_arguments;
        self.ready = now.plus_ms(self.profile.settle_ms);
        let ready = self.ready;
        let asked = |poll: &Poll| Asked {
            command: poll.command,
            every_ms: poll.every_ms,
            due: ready,
            refused: false,
        };
        self.polls = self.profile.poll.iter().map(asked).collect();
        self.ask_for_waves();
    }

    fn ask_for_waves(&mut self) {
        self.first.clear();
        self.enabling.clear();
        if self.profile.wave.is_empty() {
            return;
        }
        if self.takes_arguments {
            self.first.push_back((REALTIME_FORMS, Vec::new()));
        } else {
            let words = "this device's MEDIBUS is older than 03.00: it is not asked for real-time \
                         signals";
            self.remark = Some(words.to_owned());
        }
    }

    pub(super) fn realtime_forms(&mut self, streams: &[Stream], now: Moment) {
        self.answered(REALTIME_FORMS, now);
        if streams.is_empty() {
            self.remark = Some("the device has none of the real-time signals asked for".into());
            return;
        }
        let one = |stream: &Stream| format!("{}{:02X}", stream.form.code, stream.multiplier);
        let arguments: String = streams.iter().map(one).collect();
        self.first.push_back((REALTIME_CONFIGURE, arguments.into_bytes()));
        let enabled = streams.iter().enumerate().fold(0xC0u8, |bits, (at, _)| bits | (1 << at));
        // Example of facts/monitors.md 3.6: D0 C1 C3 C0 C0 enables streams 1 and 2.
        self.enabling = vec![0xD0, 0xC1, enabled, 0xC0, 0xC0];
    }

    pub(super) fn realtime_configured(&mut self, now: Moment) {
        self.answered(REALTIME_CONFIGURE, now);
        if !self.enabling.is_empty() {
            let bytes = std::mem::take(&mut self.enabling);
            self.send(bytes, now);
            self.rest(now);
        }
    }

    /// The device says that its signals have changed.
    pub(super) fn realtime_changed(&mut self, now: Moment) {
        self.reply(REALTIME_CHANGED, &[], now);
        if self.state == State::Running {
            self.ask_for_waves();
        }
    }

    /// A reply came whole.
    pub(super) fn answered(&mut self, code: u8, now: Moment) {
        if self.awaits(code) {
            self.pending = None;
            self.rest(now);
        }
    }

    /// Something came damaged; if a reply was waited for, it may have been that.
    pub(super) fn spoilt(&mut self, now: Moment) {
        let soon = now.plus_ms(self.profile.spacing_ms);
        self.pending.iter_mut().for_each(|pending| pending.spoilt(soon));
    }

    /// Whether a reply to this is waited for.
    pub(super) fn awaits(&self, code: u8) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.code == code)
    }

    /// Whether the reply that is waited for has missed its time.
    pub(super) fn is_late(&self, now: Moment) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.is_late(now))
    }

    /// NAK: the command came damaged, or the device does not know it.
    pub(super) fn refused(&mut self, now: Moment) {
        let given_up = self.pending.as_ref().filter(|pending| pending.is_last());
        let Some(code) = given_up.map(|pending| pending.code) else {
            return self.spoilt(now);
        };
        if code == IDENTIFICATION {
            return self.spoilt(now);
        }
        self.pending = None;
        self.rest(now);
        let polls = self.polls.iter_mut().filter(|one| one.command.code() == code);
        polls.for_each(|one| one.refused = true);
        self.remark = Some(format!("the device does not answer command {code:02X}"));
    }

    /// The device asks; everything that is known is answered, what is not with NAK.
    pub(super) fn answer(&mut self, code: u8, now: Moment) {
        match code {
            IDENTIFICATION => {
                let identification = self.profile.identification.clone();
                self.reply(code, identification.as_bytes(), now);
            }
            // We have no data, and no time that a device should take.
            NOP | TIME_CHANGED | CONFIGURE => self.reply(code, &[], now),
            code if PollCommand::of(code).is_some() => self.reply(code, &[], now),
            _ => self.reply(NAK, &[], now),
        }
    }

    /// A command came damaged. Before a session it may be noise at the wrong speed.
    pub(super) fn answer_nak(&mut self, now: Moment) {
        if self.is_session() {
            self.reply(NAK, &[], now);
        }
    }

    fn reply(&mut self, code: u8, text: &[u8], now: Moment) {
        if self.state == State::Closed {
            return;
        }
        let bytes = framed(SOH, code, text);
        if self.suspended.is_none() {
            self.send(bytes, now);
        } else if self.held.len() < HELD_MAX {
            self.held.push_back(bytes);
        }
    }

    fn send(&mut self, bytes: Vec<u8>, now: Moment) {
        self.outgoing.push_back(bytes);
        self.last_sent = now;
    }

    fn send_command(&mut self, bytes: Vec<u8>, now: Moment) {
        self.send(bytes, now);
        self.last_command = now;
    }

    /// No command, whichever, follows another one sooner.
    fn spaced(&self) -> Moment {
        self.last_command.plus_ms(self.profile.spacing_ms)
    }

    fn ask(&mut self, code: u8, arguments: &[u8], now: Moment) {
        let bytes = framed(ESC, code, arguments);
        self.send_command(bytes.clone(), now);
        self.pending = Some(Pending::new(code, bytes, now.plus_ms(self.profile.response_ms)));
    }

    /// Sends whatever is due. Says so if communication had to begin anew.
    pub(super) fn advance(&mut self, now: Moment, line: Line) -> Option<Begins> {
        match self.state {
            State::Closed => None,
            State::Initialising { next } => {
                if now < next.max(self.spaced()) {
                    return None;
                }
                self.send_command(framed(ESC, ICC, &[]), now);
                let next = now.plus_ms(self.profile.initialise_every_ms);
                self.state = State::Initialising { next };
                if self.attempts > 0 {
                    self.trouble = Some(NO_ANSWER);
                }
                self.attempts = self.attempts.saturating_add(1);
                None
            }
            State::Identifying | State::Running => self.advance_session(now, line),
        }
    }

    fn is_silent(&self, now: Moment) -> bool {
        now >= self.last_heard.plus_ms(self.profile.silence_ms)
    }

    fn advance_session(&mut self, now: Moment, line: Line) -> Option<Begins> {
        let suspended_too_long =
            self.suspended.is_some_and(|since| now >= since.plus_ms(self.profile.silence_ms));
        if self.is_silent(now) || suspended_too_long {
            self.begin(now);
            let words = if suspended_too_long { SUSPENDED } else { SILENT };
            return Some(Begins { detail: "the device went silent in the middle", words });
        }
        if self.suspended.is_some() {
            return None;
        }
        while let Some(bytes) = self.held.pop_front() {
            self.send(bytes, now);
        }
        if now < self.spaced() {
            return None;
        }
        let due = self.pending.as_ref().is_some_and(|pending| now >= pending.due(line));
        if due && !self.repeat(now) {
            self.begin(now.plus_ms(self.profile.initialise_every_ms));
            return Some(Begins { detail: "the reply was given up", words: UNANSWERED });
        }
        if self.pending.is_none() && now >= self.ready {
            self.ask_next(now);
        }
        if now >= self.keep_alive_due().max(self.spaced()) {
            self.send_command(framed(ESC, NOP, &[]), now);
        }
        None
    }

    fn keep_alive_due(&self) -> Moment {
        self.last_sent.plus_ms(self.profile.keep_alive_ms).max(self.ready)
    }

    /// `false` if it was repeated often enough.
    fn repeat(&mut self, now: Moment) -> bool {
        let deadline = now.plus_ms(self.profile.response_ms);
        let again = self.pending.as_mut().and_then(|pending| pending.again(deadline));
        let Some(bytes) = again else { return false };
        self.send_command(bytes, now);
        true
    }

    fn ask_next(&mut self, now: Moment) {
        if self.state == State::Identifying {
            return self.ask(IDENTIFICATION, &[], now);
        }
        if let Some((code, arguments)) = self.first.pop_front() {
            return self.ask(code, &arguments, now);
        }
        let waiting = self.polls.iter_mut().filter(|one| !one.refused && now >= one.due);
        // The longest overdue first; the file's order decides between equals.
        if let Some(poll) = waiting.min_by_key(|one| one.due) {
            poll.due = now.plus_ms(poll.every_ms);
            let code = poll.command.code();
            self.ask(code, &[], now);
        }
    }

    /// When [`Conversation::advance`] has something to do next.
    pub(super) fn next_wake(&self, line: Line) -> Option<Moment> {
        match self.state {
            State::Closed => None,
            State::Initialising { next } => Some(next.max(self.spaced())),
            State::Identifying | State::Running => {
                let silent = self.last_heard.plus_ms(self.profile.silence_ms);
                if let Some(since) = self.suspended {
                    return Some(silent.min(since.plus_ms(self.profile.silence_ms)));
                }
                let keep_alive = self.keep_alive_due();
                let next = match &self.pending {
                    Some(pending) => Some(pending.due(line)),
                    None => self.next_question(),
                };
                let next = [Some(keep_alive), next].into_iter().flatten().min();
                next.map(|next| next.max(self.spaced()).min(silent))
            }
        }
    }

    fn next_question(&self) -> Option<Moment> {
        if self.state == State::Identifying || !self.first.is_empty() {
            return Some(self.ready);
        }
        let polls = self.polls.iter().filter(|one| !one.refused);
        polls.map(|one| one.due.max(self.ready)).min()
    }
}

const NO_ANSWER: &str = "the device does not answer: is MEDIBUS chosen at this port of the device, \
                         with the baud rate, parity and stop bits of its device file?";
const SILENT: &str = "the device fell silent; communication is begun anew";
const SUSPENDED: &str = "the device asked to be left alone and did not come back; communication is \
                         begun anew";
const UNANSWERED: &str =
    "the device left a question unanswered, asked four times; communication is begun anew";
