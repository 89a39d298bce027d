//! Family `intellivue`: Philips IntelliVue Data Export (facts/monitors.md 1), over the LAN or a
//! serial line.
//!
//! | file | what it does |
//! |---|---|
//! | `serial` | frames out of a serial line's bytes, and back |
//! | `association` | association control: requests, accepts, aborts |
//! | `request` | the polls that are sent |
//! | `export` | data export messages: events, poll results, errors |
//! | `conversation`, `asking` | who says what when |
//! | `identity` | who the monitor is: Connect Indication, MDS |
//! | `objects` | what its objects say of themselves, by handle |
//! | `numerics`, `alarms`, `patient`, `waves` | what poll results mean |
//! | `wire`, `number`, `time` | fields, FLOAT, the monitor's clock |
//! | `profile` | what a device file may say |
//!
//! One poll result with something new in it is one message; what is no message is kept raw with the
//! reason. The monitor is acknowledged for nothing, so nothing waits for the journal. What is sent
//! stands in `conversation`, with its spacing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

mod alarms;
mod asking;
mod association;
mod conversation;
mod export;
mod identity;
mod number;
mod numerics;
mod objects;
mod patient;
mod profile;
mod request;
mod serial;
mod time;
mod waves;
mod wire;

pub use profile::{BadCode, Framing, IntellivueProfile, MdilCode, NumericRow, ProfileError};

use alarms::Alarms;
use asking::Ask;
use conversation::{Changed, Conversation};
use export::{Export, PollResult};
use identity::Says;
use numerics::{Episodes, Manner};
use objects::Objects;
use patient::Patient;
use request::{class, group};
use serial::{Content, Deframer, Piece};
use time::Anchor;

use super::{
    Completeness, Driver, Event, Identity, LinkChange, Message, MessageId, Peer, Session, Settled,
    Site,
};
use crate::vocabulary::{DeviceTime, Group, Mode, Moment, Refused, Why};

/// A datagram that the network doubled comes soon after the first: so many are compared.
const RECENT_MAX: usize = 16;
/// A result that is older than another by more than this was not overtaken: the clock was set.
const OVERTAKEN_TICKS_MAX: u32 = 10 * 8_000;

/// One link to an IntelliVue monitor.
pub struct IntellivueDriver {
    profile: Arc<IntellivueProfile>,
    site: Site,
    episodic: Vec<u16>,
    deframer: Deframer,
    conversation: Conversation,
    session: Session,
    next_number: u64,
    events: VecDeque<Event>,
    identity: Identity,
    /// Said in this association.
    is_identity_said: bool,
    /// The monitor's label.
    place: String,
    anchor: Option<Anchor>,
    objects: Objects,
    /// The newest result of each class, in ticks.
    newest: BTreeMap<u16, u32>,
    recent: VecDeque<Vec<u8>>,
    episodes: Episodes,
    alarms: Alarms,
    patient: Patient,
    /// Of the last numerics.
    mode: Mode,
}

/// A message of the protocol as it came: its bytes, and where each stands in the raw ones.
struct Received<'a> {
    message: &'a [u8],
    raw: Vec<u8>,
    /// `None`: they are the same.
    places: Option<Vec<usize>>,
    received: Moment,
}

impl IntellivueDriver {
    /// A driver for one link.
    pub fn new(profile: Arc<IntellivueProfile>, site: Site) -> Self {
        Self {
            episodic: profile.episodic.iter().map(|code| code.code()).collect(),
            conversation: Conversation::new(&profile),
            profile,
            site,
            deframer: Deframer::default(),
            session: Session(0),
            next_number: 0,
            events: VecDeque::new(),
            identity: Identity::default(),
            is_identity_said: false,
            place: String::new(),
            anchor: None,
            objects: Objects::default(),
            newest: BTreeMap::new(),
            recent: VecDeque::new(),
            episodes: Episodes::default(),
            alarms: Alarms::default(),
            patient: Patient::default(),
            mode: Mode::Production,
        }
    }

    fn piece(&mut self, piece: Piece) {
        let Piece { raw, content, received } = piece;
        match content {
            Content::UserData { user_data, places } => {
                let places = Some(places);
                self.message(Received { message: &user_data, raw, places, received });
            }
            Content::Refused { why, detail } => {
                let is_cut = matches!(why, Why::Incomplete | Why::TimedOut | Why::TooLong);
                let completeness =
                    if is_cut { Completeness::Incomplete } else { Completeness::Complete };
                let refused = Refused::new(why, 0..raw.len(), detail);
                self.keep(raw, received, Vec::new(), vec![refused], completeness);
            }
        }
    }

    fn message(&mut self, it: Received<'_>) {
        let now = it.received;
        if it.message.is_empty() {
            return;
        }
        if let Some(says) = identity::indication(it.message) {
            self.conversation.announced(says.port, now);
            self.heard_identity(says);
        } else if it.message.starts_with(&request::SESSION[..2]) {
            match export::read(it.message) {
                Ok(export) => self.export(export, it),
                Err(short) => {
                    let detail = format!("expected {}, which does not fit here", short.expected);
                    self.refuse(it, Why::TooShort, short.at, detail);
                }
            }
        } else if let Some(control) = association::read(it.message) {
            let changed = self.conversation.control(control, &self.profile, now);
            self.changed(changed);
        } else {
            let detail = "expected a Connect Indication, association control or data export";
            let all = 0..it.message.len();
            self.refuse(it, Why::UnknownMessage, all, detail.to_owned());
        }
    }

    fn export(&mut self, export: Export, it: Received<'_>) {
        let now = it.received;
        match export {
            Export::Event { invoke, confirmed, report } => {
                if confirmed && report.event == request::EVENT_MDS_CREATE {
                    self.heard_identity(identity::created(it.message, &report));
                    self.conversation.created(invoke, report.object, now);
                } else {
                    self.conversation.heard(now);
                }
            }
            Export::Error { invoke, error } => self.conversation.failed(invoke, error, now),
            Export::Other => self.conversation.heard(now),
            Export::Linked { poll, .. } => {
                self.conversation.heard(now);
                if let Some(poll) = poll {
                    self.poll_result(&poll, it);
                }
            }
            Export::Result { invoke, poll } => {
                let number = poll.as_ref().map(|poll| poll.poll_number);
                let answered = self.conversation.answered(invoke, number, now);
                if let Some(poll) = poll {
                    self.poll_result(&poll, it);
                }
                if answered == Some(Ask::StaticNumerics) {
                    self.objects.numerics_listed();
                }
            }
        }
    }

    fn poll_result(&mut self, poll: &PollResult, it: Received<'_>) {
        if self.profile.framing == Framing::Lan && !self.is_first_copy(it.message) {
            return;
        }
        let is_late = self.is_late(poll);
        let mut refusals = Vec::new();
        let mut groups = Vec::new();
        match poll.class {
            class::NUMERIC => {
                // A list of what there is brings no value yet.
                if poll.group == group::OBSERVED_VALUE {
                    self.conversation.numerics_came(it.received);
                }
                self.objects.learn(it.message, poll);
                groups = self.numerics(poll, it.message, is_late, &mut refusals);
                self.note_mode(&groups);
            }
            class::ALERT_MONITOR if !is_late => {
                groups = self.alarms.read(it.message, poll, &mut refusals);
                let time = self.time_of(poll);
                groups.iter_mut().for_each(|group| group.time.clone_from(&time));
            }
            class::PATIENT if !is_late => {
                groups = self.patient.read(it.message, poll, &self.place, self.mode);
                let time = self.time_of(poll);
                groups.iter_mut().for_each(|group| group.time.clone_from(&time));
            }
            class::MDS => self.heard_identity(identity::polled(it.message, poll)),
            class::WAVE => {
                self.objects.learn(it.message, poll);
                if !self.profile.waves.is_empty() {
                    let samples = waves::read(
                        it.message,
                        poll,
                        &mut self.objects,
                        it.received,
                        &mut refusals,
                    );
                    self.events.extend(samples.into_iter().map(Event::Samples));
                }
            }
            _ => {}
        }
        if let Some(class) = self.objects.take_stranger() {
            self.conversation.ask_about(class);
        }
        if !groups.is_empty() || !refusals.is_empty() {
            self.keep_read(it, groups, refusals);
        }
    }

    /// Whether the network has not brought this datagram already. Each result carries its number
    /// and the monitor's ticks, so equal ones are one.
    fn is_first_copy(&mut self, message: &[u8]) -> bool {
        if self.recent.iter().any(|known| known == message) {
            return false;
        }
        if self.recent.len() >= RECENT_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(message.to_vec());
        true
    }

    /// Whether a newer result of the class has overtaken this one.
    fn is_late(&mut self, poll: &PollResult) -> bool {
        let newest = self.newest.entry(poll.class).or_insert(poll.time);
        let older_by = time::older_by(poll.time, *newest);
        if (1..=OVERTAKEN_TICKS_MAX).contains(&older_by) {
            return true;
        }
        *newest = poll.time;
        false
    }

    /// A demo has a demo patient: what was said of one before or after it is another's.
    fn note_mode(&mut self, groups: &[Group]) {
        let odd = groups.iter().map(|group| group.mode).find(|mode| *mode != Mode::Production);
        let mode = odd.unwrap_or(Mode::Production);
        if !groups.is_empty() && mode != self.mode {
            self.mode = mode;
            self.patient.forget();
        }
    }

    fn time_of(&self, poll: &PollResult) -> Option<DeviceTime> {
        let zone = self.site.zone.as_ref();
        time::of_poll(&poll.absolute_time, poll.time, self.anchor, zone)
    }

    fn numerics(
        &mut self,
        poll: &PollResult,
        message: &[u8],
        is_late: bool,
        refusals: &mut Vec<Refused>,
    ) -> Vec<Group> {
        let manner = Manner { episodic: &self.episodic, is_late };
        let (objects, episodes) = (&mut self.objects, &mut self.episodes);
        let numerics = numerics::read(message, poll, objects, episodes, &manner, refusals);
        let of_poll = self.time_of(poll);
        numerics::grouped(numerics, of_poll.as_ref(), self.anchor, self.site.zone.as_ref())
    }

    fn heard_identity(&mut self, says: Says) {
        if !says.label.is_empty() {
            self.place = says.label;
        }
        if let Some((ticks, absolute)) = says.clock {
            self.anchor = Anchor::new(ticks, &absolute);
        }
        let Identity { model, serial_number, firmware } = says.identity;
        let known = &mut self.identity;
        let before = known.clone();
        if !serial_number.is_empty() && serial_number != known.serial_number {
            // Another monitor: nothing of the one before holds.
            *known = Identity { serial_number, ..Identity::default() };
        }
        if !model.is_empty() {
            known.model = model;
        }
        if !firmware.is_empty() {
            known.firmware = firmware;
        }
        let says_something = *known != Identity::default();
        if *known != before || (says_something && !self.is_identity_said) {
            self.is_identity_said = true;
            self.events.push_back(Event::Identity(known.clone()));
        }
    }

    fn changed(&mut self, changed: Changed) {
        match changed {
            Changed::Nothing => {}
            Changed::Begun | Changed::Ended => {
                self.objects = Objects::default();
                self.newest.clear();
                self.recent.clear();
                self.anchor = None;
                self.patient.forget();
                self.is_identity_said = false;
            }
        }
    }

    fn refuse(&mut self, it: Received<'_>, why: Why, at: std::ops::Range<usize>, detail: String) {
        let refused = Refused::new(why, at, detail);
        self.keep_read(it, Vec::new(), vec![refused]);
    }

    /// A message of which something was read; its places become those of the raw bytes.
    fn keep_read(&mut self, it: Received<'_>, mut groups: Vec<Group>, mut refusals: Vec<Refused>) {
        if let Some(places) = &it.places {
            let place = |at: usize| places.get(at).copied().unwrap_or(it.raw.len());
            let moved = |at: &std::ops::Range<usize>| place(at.start)..place(at.end);
            let readings = groups.iter_mut().flat_map(|group| &mut group.readings);
            readings.for_each(|reading| reading.at = moved(&reading.at));
            refusals.iter_mut().for_each(|refused| refused.at = moved(&refused.at));
        }
        self.keep(it.raw, it.received, groups, refusals, Completeness::Complete);
    }

    fn keep(
        &mut self,
        raw: Vec<u8>,
        received: Moment,
        groups: Vec<Group>,
        refusals: Vec<Refused>,
        completeness: Completeness,
    ) {
        let id = MessageId { session: self.session, number: self.next_number };
        self.next_number += 1;
        let firmware = Some(self.identity.firmware.clone()).filter(|known| !known.is_empty());
        self.events.push_back(Event::Message(Message {
            id,
            raw,
            received,
            groups,
            refusals,
            completeness,
            // A datagram that came twice is known as such before it is a message.
            repeat_basis: None,
            firmware,
        }));
    }

    /// Lets the conversation do what is due, and hands over what it wants sent and said.
    fn go_on(&mut self, now: Moment) {
        let changed = self.conversation.step(&self.profile, now);
        self.changed(changed);
        for sending in self.conversation.take() {
            let bytes = match self.profile.framing {
                Framing::Lan => sending.message,
                Framing::Rs232 => serial::framed(&sending.message),
            };
            self.events.push_back(Event::Send { bytes, to: sending.to });
        }
        if let Some(words) = self.conversation.trouble.take() {
            self.events.push_back(Event::Trouble { words });
        }
    }
}

impl Driver for IntellivueDriver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                self.link(LinkChange::Closed, now);
                self.session = session;
                self.next_number = 0;
                self.conversation.open(now);
                self.go_on(now);
            }
            LinkChange::Closed => {
                let why = "the link closed in the middle of a frame";
                if let Some(piece) = self.deframer.give_up(Why::Incomplete, why) {
                    self.piece(piece);
                }
                self.conversation.close();
                self.changed(Changed::Ended);
            }
            LinkChange::LineError(_) => self.deframer.line_error(),
        }
    }

    fn receive(&mut self, bytes: &[u8], _from: Peer, now: Moment) {
        match self.profile.framing {
            Framing::Lan => {
                let (raw, places) = (bytes.to_vec(), None);
                self.message(Received { message: bytes, raw, places, received: now });
                self.go_on(now);
            }
            Framing::Rs232 => {
                for byte in bytes {
                    if let Some(piece) = self.deframer.take(*byte, now) {
                        self.piece(piece);
                        self.go_on(now);
                    }
                }
            }
        }
    }

    fn settled(&mut self, _message: MessageId, _how: Settled, _now: Moment) {
        // The monitor is acknowledged for nothing: it shows its values again, kept or not.
    }

    fn wake(&mut self, now: Moment) {
        if self.deframer.due().is_some_and(|due| now >= due) {
            let why = "the frame did not end within its time";
            if let Some(piece) = self.deframer.give_up(Why::TimedOut, why) {
                self.piece(piece);
            }
        }
        self.go_on(now);
    }

    fn next_wake(&self) -> Option<Moment> {
        self.conversation.due().into_iter().chain(self.deframer.due()).min()
    }

    fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests;
