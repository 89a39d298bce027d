//! Family `medibus`: Dräger ventilators, anaesthesia machines and incubators over MEDIBUS 4.03 and
//! MEDIBUS.X (facts/monitors.md 3). Both sides ask and answer.
//!
//! | file | what it knows | what it must not know |
//! |---|---|---|
//! | `profile` | the `[protocol.medibus]` table of a device file | bytes |
//! | `wire` | frames, checksums, what is interleaved | what a code means |
//! | `payload` | the layout of each reply | parameters |
//! | `meaning` | the code table: entries to readings | timers |
//! | `pending` | one command that waits for its reply | what it asks |
//! | `session` | when to ask, when to answer, when to begin anew | values |
//! | `realtime` | the bytes between the frames | the rest |
//!
//! # What is sent
//! Commands: 51 (initialise), 52 (who are you), 30 (nothing, to be heard), the polls that the
//! device file lists (23 to 2E, all without arguments). If the file asks for real-time signals
//! and the device's MEDIBUS is 03.00 or later: 53, 54 and the enabling bytes. Answers: the code
//! that was asked with nothing behind it, our identification to 52, NAK to what is damaged or
//! unknown. Nothing else, and no command that changes anything on the device.
//!
//! # Which table
//! The id in the answer to 52 chooses the table: 06 is a compliance on one device and a minute
//! volume on another. A device that no table lists, or whose software is older than its table, is
//! read all the same; its codes stay unmapped, and the link says so.

use std::collections::VecDeque;
use std::sync::Arc;

use self::meaning::ActiveAlarms;
use self::payload::DeviceIdentification;
use self::pending::Line;
use self::profile::{PollCommand, Table};
use self::realtime::Realtime;
use self::session::Conversation;
use self::wire::{Ended, Frame, Framer, Heard};
use super::{
    Completeness, Driver, Event, Identity, LinkChange, Message, MessageId, Peer, Session, Settled,
    Site, Stated,
};
use crate::vocabulary::{Group, Moment, Refused, Why};

mod meaning;
mod payload;
mod pending;
mod profile;
mod realtime;
mod session;
mod wire;

#[cfg(test)]
mod tests;

pub use self::profile::{
    AlarmRow, DataRow, MedibusProfile, Poll, PollCommand as MedibusPollCommand, SettingRow,
    Table as MedibusTable, TableDevice, TextRow, Wave,
};

/// The driver for one device.
///
/// ```
/// use std::sync::Arc;
/// use wardgate::protocol::medibus::{MedibusDriver, MedibusProfile};
/// use wardgate::protocol::{Driver, Event, LinkChange, Peer, Session, Site};
/// use wardgate::vocabulary::{Certainty, Moment};
///
/// let text = "identification = \"0161'My PC'01.00:03.00\"\npoll = []\ntable = []";
/// let profile: MedibusProfile = toml::from_str(text).unwrap();
/// let mut driver = MedibusDriver::new(Arc::new(profile), Site::default());
/// let now = Moment::new(0, 1_700_000_000_000_000, Certainty::Synchronised);
/// driver.link(LinkChange::Opened { session: Session(1) }, now);
/// // It begins with ICC (facts/monitors.md 3.2), once the spacing from an earlier link is kept.
/// let due = driver.next_wake().unwrap();
/// driver.wake(due);
/// let bytes = b"\x1bQ6C\r".to_vec();
/// assert_eq!(driver.poll(), Some(Event::Send { bytes, to: Peer::STREAM }));
/// ```
pub struct MedibusDriver {
    profile: Arc<MedibusProfile>,
    site: Site,
    framer: Framer,
    realtime: Realtime,
    conversation: Conversation,
    /// What the device said of itself since communication was initialised.
    identification: Option<DeviceIdentification>,
    /// What its codes mean.
    table: Option<Table>,
    active: ActiveAlarms,
    desk: Desk,
}

impl MedibusDriver {
    /// A driver for one link.
    pub fn new(profile: Arc<MedibusProfile>, site: Site) -> Self {
        Self {
            conversation: Conversation::new(Arc::clone(&profile)),
            profile,
            site,
            framer: Framer::default(),
            realtime: Realtime::default(),
            identification: None,
            table: None,
            active: ActiveAlarms::default(),
            desk: Desk::default(),
        }
    }

    /// The link closes or begins anew: what was open will not end.
    fn close(&mut self, detail: &str, now: Moment) {
        self.framer.close(detail);
        self.hear(now);
        self.forget();
        self.conversation.close();
    }

    /// Communication is initialised anew: another device may be there, and every configuration is
    /// lost (facts/monitors.md 3.4).
    fn forget(&mut self) {
        self.identification = None;
        self.table = None;
        self.active = ActiveAlarms::default();
        self.realtime.configure(Vec::new());
    }

    fn hear(&mut self, now: Moment) {
        while let Some(heard) = self.framer.next() {
            match heard {
                Heard::Realtime(byte) => self.realtime.take(byte, now),
                Heard::Suspend => self.conversation.suspend(now),
                Heard::Resume => self.conversation.resume(),
                Heard::Cancelled => self.conversation.spoilt(now),
                Heard::Command(frame) => self.command(&frame, now),
                Heard::Reply(frame) => self.reply(frame, now),
                Heard::Damaged { raw, why, detail, command } => {
                    // A flipped bit makes DC1 of a digit.
                    if raw.contains(&wire::DC1) {
                        self.conversation.resume();
                    }
                    let refused = Refused::new(why, 0..raw.len(), detail);
                    self.desk.message(raw, Vec::new(), vec![refused], None, now);
                    match command {
                        Ended::Command => self.conversation.answer_nak(now),
                        Ended::Reply => self.conversation.spoilt(now),
                        Ended::Nothing => {}
                    }
                }
            }
        }
    }

    /// The device asks, and every question is answered.
    fn command(&mut self, frame: &Frame, now: Moment) {
        match frame.code {
            session::ICC => {
                self.forget();
                self.conversation.initialised_by_device(now);
            }
            session::STOP => {
                self.forget();
                self.conversation.stopped_by_device(now);
            }
            session::REALTIME_CHANGED => {
                self.realtime.configure(Vec::new());
                self.conversation.realtime_changed(now);
            }
            code => self.conversation.answer(code, now),
        }
    }

    fn reply(&mut self, frame: Frame, now: Moment) {
        if let Some(command) = PollCommand::of(frame.code) {
            self.poll_reply(command, frame, now);
            return;
        }
        match frame.code {
            session::ICC => {
                if self.conversation.initialised(now) {
                    self.forget();
                }
            }
            session::IDENTIFICATION => self.identified(frame, now),
            session::REALTIME_FORMS => self.realtime_forms(frame, now),
            session::REALTIME_CONFIGURE => self.conversation.realtime_configured(now),
            wire::NAK => self.conversation.refused(now),
            session::NOP => self.conversation.answered(session::NOP, now),
            code => {
                let detail = format!("a reply to {code:02X}, which is never sent");
                let refused = Refused::new(Why::UnknownMessage, 0..frame.raw.len(), detail);
                self.desk.message(frame.raw, Vec::new(), vec![refused], None, now);
            }
        }
    }

    fn poll_reply(&mut self, command: PollCommand, frame: Frame, now: Moment) {
        let firmware = self.identification.as_ref().map(|one| one.software.to_string());
        let table = self.table.as_ref();
        match meaning::read(command, &frame, table, &self.site, &mut self.active) {
            Ok(groups) => {
                self.desk.message(frame.raw, groups, Vec::new(), firmware, now);
                self.conversation.answered(command.code(), now);
            }
            Err(refused) => {
                self.desk.message(frame.raw, Vec::new(), vec![refused], firmware, now);
                self.conversation.spoilt(now);
            }
        }
    }

    fn identified(&mut self, frame: Frame, now: Moment) {
        let own = frame.text == self.profile.identification.as_bytes();
        let said = payload::identification(&frame.text);
        if own || (said.is_none() && !frame.text.is_empty()) {
            let what = if own {
                self.desk.trouble(Some(LOOPED.to_owned()));
                "our own identification came back"
            } else {
                "expected an id, a name and two versions"
            };
            let refused = Refused::new(Why::Unreadable, 0..frame.raw.len(), what);
            self.desk.message(frame.raw, Vec::new(), vec![refused], None, now);
            self.conversation.spoilt(now);
            return;
        }
        if self.identification != said {
            self.forget();
        }
        let firmware = said.as_ref().map(|one| one.software.to_string());
        self.table = said.as_ref().and_then(|one| self.profile.table_for(&one.id, one.software));
        self.desk.trouble(self.words_for(said.as_ref()));
        self.desk.identity(said.as_ref());
        self.desk.message(frame.raw, Vec::new(), Vec::new(), firmware, now);
        // Older devices take no arguments (facts/monitors.md 3.4).
        let takes_arguments = said.as_ref().is_some_and(|one| one.medibus >= ARGUMENTS_FROM);
        self.identification = said;
        self.conversation.identified(takes_arguments, now);
    }

    fn words_for(&self, said: Option<&DeviceIdentification>) -> Option<String> {
        let Some(said) = said else { return Some(NAMELESS.to_owned()) };
        if self.table.is_some() {
            return None;
        }
        let DeviceIdentification { id, software, .. } = said;
        Some(format!(
            "the device says that it is {id} with software {software}, which this device file has \
             no code table for: its values are kept, but not mapped"
        ))
    }

    fn realtime_forms(&mut self, frame: Frame, now: Moment) {
        match payload::signal_forms(&frame) {
            // Late, or never asked for: nothing follows from it.
            Ok(_) if !self.conversation.awaits(session::REALTIME_FORMS) => {
                self.desk.message(frame.raw, Vec::new(), Vec::new(), None, now);
            }
            Ok(forms) => {
                let streams = realtime::streams(&self.profile, self.table.as_ref(), &forms);
                self.conversation.realtime_forms(&streams, now);
                self.realtime.configure(streams);
                self.desk.message(frame.raw, Vec::new(), Vec::new(), None, now);
            }
            Err(refused) => {
                self.desk.message(frame.raw, Vec::new(), vec![refused], None, now);
                self.conversation.spoilt(now);
            }
        }
    }

    fn line(&self) -> Line {
        if self.framer.is_open() { Line::InFrame } else { Line::Quiet }
    }

    /// Whatever is due now.
    fn advance(&mut self, now: Moment) {
        if let Some(samples) = self.realtime.wake(now) {
            self.desk.events.push_back(Event::Samples(samples));
        }
        if self.framer.is_open() && self.conversation.is_late(now) {
            self.framer.give_up(Why::TimedOut, "the reply was not complete within its time");
            self.hear(now);
        }
        if let Some(begins) = self.conversation.advance(now, self.line()) {
            self.framer.close(begins.detail);
            self.hear(now);
            self.forget();
            self.conversation.trouble = Some(begins.words);
        }
        while let Some(bytes) = self.conversation.outgoing.pop_front() {
            self.desk.events.push_back(Event::Send { bytes, to: Peer::STREAM });
        }
        if let Some(words) = self.conversation.trouble.take()
            && self.desk.trouble.as_deref() != Some(LOOPED)
        {
            self.desk.trouble(Some(words.to_owned()));
        }
        if let Some(words) = self.conversation.remark.take()
            && self.desk.trouble.is_none()
        {
            self.desk.trouble(Some(words));
        }
    }
}

/// The first MEDIBUS version whose devices take arguments.
const ARGUMENTS_FROM: payload::Version = payload::Version(3, 0);

const LOOPED: &str = "what comes back on this line is what was sent: the cable loops it";

const NAMELESS: &str =
    "the device does not say which one it is: its values are kept, but not mapped";

impl Driver for MedibusDriver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                self.close("the link was opened anew in the middle", now);
                self.desk.open(session);
                self.conversation.open(now);
                self.advance(now);
            }
            LinkChange::Closed => self.close("the link closed in the middle of a frame", now),
            LinkChange::LineError(_) => {
                self.framer.line_error();
                self.realtime.spoil();
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], _from: Peer, now: Moment) {
        if !bytes.is_empty() {
            self.conversation.heard(now);
        }
        for byte in bytes {
            self.framer.take(*byte, now);
            self.hear(now);
            // Not once for all bytes: what is sent must not depend on how they were cut.
            self.advance(now);
        }
    }

    fn settled(&mut self, _message: MessageId, _how: Settled, _now: Moment) {
        // No reply waits for the journal: the device keeps nothing back for us.
    }

    fn wake(&mut self, now: Moment) {
        self.framer.wake(now);
        self.hear(now);
        self.advance(now);
    }

    fn next_wake(&self) -> Option<Moment> {
        let dues = [
            self.framer.next_wake(),
            self.realtime.next_wake(),
            self.conversation.next_wake(self.line()),
        ];
        dues.into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Event> {
        self.desk.events.pop_front()
    }
}

/// Where messages get their numbers and events wait for [`Driver::poll`].
#[derive(Default)]
struct Desk {
    session: Session,
    next_number: u64,
    events: VecDeque<Event>,
    told: Option<Identity>,
    trouble: Option<String>,
}

impl Desk {
    fn open(&mut self, session: Session) {
        self.session = session;
        self.next_number = 0;
        self.told = None;
        self.trouble = None;
    }

    fn message(
        &mut self,
        raw: Vec<u8>,
        groups: Vec<Group>,
        refusals: Vec<Refused>,
        firmware: Option<String>,
        received: Moment,
    ) {
        let id = MessageId { session: self.session, number: self.next_number };
        self.next_number += 1;
        let cut = |one: &Refused| one.why == Why::Incomplete;
        let completeness = if refusals.iter().any(cut) {
            Completeness::Incomplete
        } else {
            Completeness::Complete
        };
        self.events.push_back(Event::Message(Message {
            id,
            raw,
            received,
            groups,
            refusals,
            completeness,
            // No value has a time of the device's own: two equal replies are two.
            repeat_basis: None,
            firmware,
        }));
    }

    fn identity(&mut self, said: Option<&DeviceIdentification>) {
        let identity = said.map(|one| Identity {
            model: one.name.clone(),
            serial_number: String::new(),
            firmware: one.software.to_string(),
        });
        if let Some(identity) = identity
            && self.told.as_ref() != Some(&identity)
        {
            self.events.push_back(Event::Identity(identity.clone()));
            self.told = Some(identity);
        }
    }

    fn trouble(&mut self, words: Option<String>) {
        if self.trouble != words {
            self.trouble.clone_from(&words);
            self.events.push_back(Event::Trouble { words });
        }
    }
}

impl MedibusProfile {
    /// What the device file says that devices can report, table by table.
    pub fn stated(&self) -> Vec<Stated> {
        self.table.iter().flat_map(Table::stated).collect()
    }
}

impl Table {
    fn stated(&self) -> Vec<Stated> {
        let row =
            |parameter: &Option<String>, place: String, unit: &str, source: &str, evidence| {
                Some(Stated {
                    parameter: parameter.clone()?,
                    place: format!("{}: {place}", self.name),
                    unit: unit.to_owned(),
                    source: source.to_owned(),
                    evidence,
                })
            };
        let data = self.data.iter().filter_map(|one| {
            let command = if one.page == 1 { PollCommand::Data1 } else { PollCommand::Data2 };
            let place = format!("{:02X}:{}", command.code(), one.code);
            row(&one.parameter, place, &one.unit, &one.source, one.evidence)
        });
        let settings = self.setting.iter().filter_map(|one| {
            let place = format!("29:{}", one.code);
            row(&one.parameter, place, &one.unit, &one.source, one.evidence)
        });
        let texts = self.text.iter().filter_map(|one| {
            row(&one.parameter, format!("2A:{}", one.code), "", &one.source, one.evidence)
        });
        data.chain(settings).chain(texts).collect()
    }
}
