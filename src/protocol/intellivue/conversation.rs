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

use super::asking::{Alive, Ask, Asking};
use super::association::{self, Control};
use super::profile::IntellivueProfile;
use super::request;
use crate::protocol::Peer;
use crate::vocabulary::Moment;

/// The poll period that is asked for: 1 s.
const POLL_PERIOD_TICKS: u32 = 8_000;

const BLIND_AFTER_MS: u64 = 1_000;
const REQUEST_SPACING_MS: u64 = 2_000;
const REQUEST_AGAIN_MS: u64 = 5_000;
const ABORT_SPACING_MS: u64 = 2_000;
const RELEASE_RESPONSE_SPACING_MS: u64 = 1_000;
const CREATE_RESULT_SPACING_MS: u64 = 100;
/// How long the monitor's MDS Create Event may take after its accept.
const CREATE_EVENT_MS: u64 = 10_000;
const SILENT_MS: u64 = 5_000;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Waiting { until: Moment },
    Requested { at: Moment },
    Accepted { at: Moment },
    Associated,
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
    asking: Asking,
    /// Where associations are asked for.
    to: Peer,
    time_out_ms: u64,
    sent: Option<Moment>,
    heard: Option<Moment>,
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
        Self {
            state: State::Closed,
            asking: Asking::new(profile),
            to: Peer::STREAM,
            time_out_ms: association::time_out_ms(POLL_PERIOD_TICKS),
            sent: None,
            heard: None,
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
                self.asking.begin();
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
        self.asking.answered(invoke, poll_number)
    }

    /// Numerics came.
    pub fn numerics_came(&mut self, now: Moment) {
        self.asking.numerics_came(now);
        self.trouble.words = None;
    }

    /// The monitor could not do what was invoked with this id.
    pub fn failed(&mut self, invoke: u16, error: u16, now: Moment) {
        self.heard = Some(now);
        if let Some(words) = self.asking.failed(invoke, error) {
            self.trouble.is(words);
        }
    }

    /// An object came that no list named.
    pub fn ask_about(&mut self, of_class: u16) {
        self.asking.want(of_class);
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
                if self.asking.numerics_are_missing(now) {
                    self.trouble.is("the monitor answers, and sends no numerics");
                }
                if let Some(message) = self.asking.next(&self.alive(), profile, now) {
                    self.send(message, now);
                }
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
                let ask = self.asking.due(&self.alive());
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

    fn alive(&self) -> Alive {
        Alive { sent: self.sent, heard: self.heard, time_out_ms: self.time_out_ms }
    }

    fn silent_at(&self) -> Option<Moment> {
        self.heard.map(|heard| heard.plus_ms(SILENT_MS))
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
