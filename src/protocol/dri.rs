//! Family `dri`: the Datex-Ohmeda Record Interface of GE S/5 and CARESCAPE monitors on a serial
//! line (facts/monitors.md 2; GE documents M1017617 and 8005313).
//!
//! ```text
//! 7E | record, escaped | sum of its bytes, escaped | 7E
//! record: header of 40 bytes with the places of up to 8 sub-records | sub-records
//! ```
//!
//! The monitor is silent until it is asked, and sends until it is told to stop or is switched off:
//! the driver subscribes displayed values, and again when they stay away. A record of displayed
//! values is one message; a cuff pressure, which repeats in every record, is told once, as a
//! message of its own. Waves are samples, and alarms are events. The link never says who the
//! patient is.
//!
//! The records' times are seconds since 1970 in the monitor's own local time, without a zone: they
//! are read in the device's zone where one is configured, and are no instant otherwise.

use std::collections::VecDeque;
use std::sync::Arc;

use self::alarm::read as read_alarm;
use self::asking::Asking;
use self::measurements::{Measurement, Measurements};
use self::numerics::{Measured, Present};
use self::record::{ALARM, Record, SubRecord, WAVE};
use self::wire::{Deframer, Piece};
use super::{
    Completeness, Driver, Event, Identity, LinkChange, Message, MessageId, Peer, Session, Settled,
    Site,
};
use crate::vocabulary::{DeviceTime, Flag, Group, Mode, Moment, Refused, Samples, Why};

mod alarm;
mod asking;
mod episode;
mod labels;
mod measurements;
mod numerics;
mod profile;
mod record;
mod request;
mod table;
mod wave;
mod wire;

pub use profile::{DriProfile, ExtraClass};
pub use request::{INTERVAL_S_MIN, SPACING_MS};
pub use wave::{SAMPLES_PER_SECOND_MAX, Wave};

/// Alarms are sent from this interface level on.
const ALARM_LEVEL_MIN: u8 = 10;
/// Kinds of sub-records of main type 0.
const DISPLAYED: u8 = 1;
const AUXILIARY: u8 = 4;
/// After so many displayed records without an auxiliary one the monitor sends none; one that has
/// sent some is waited for longer.
const RECORDS_WITHOUT_AUXILIARY: u32 = 2;
const RECORDS_BETWEEN_AUXILIARY: u32 = 5;

/// Reads a monitor by a [`DriProfile`].
pub struct DriDriver {
    profile: Arc<DriProfile>,
    site: Site,
    deframer: Deframer,
    asking: Asking,
    /// Plug id and interface level, as two records in a row or the first one said.
    identity: Option<(u16, u8)>,
    /// What one record said otherwise: damage, or another monitor.
    claimed: Option<(u16, u8)>,
    /// The number of the last record.
    number: Option<u8>,
    /// Records that were lost and are not said yet.
    lost: u8,
    present: Present,
    measurements: Measurements,
    displayed_since_auxiliary: u32,
    has_auxiliary: bool,
    in_trouble: bool,
    session: Session,
    next_number: u64,
    events: VecDeque<Event>,
}

impl DriDriver {
    /// A driver for one link.
    pub fn new(profile: Arc<DriProfile>, site: Site) -> Self {
        Self {
            profile,
            site,
            deframer: Deframer::default(),
            asking: Asking::default(),
            identity: None,
            claimed: None,
            number: None,
            lost: 0,
            present: Present::new(),
            measurements: Measurements::default(),
            displayed_since_auxiliary: 0,
            has_auxiliary: false,
            in_trouble: false,
            session: Session::default(),
            next_number: 0,
            events: VecDeque::new(),
        }
    }

    fn piece(&mut self, piece: Option<Piece>, now: Moment) {
        match piece {
            Some(Piece::Noise { raw, refused, completeness }) => {
                self.message(raw, Vec::new(), vec![refused], completeness, now);
            }
            Some(Piece::Frame { raw }) => self.frame(raw, now),
            None => {}
        }
    }

    fn frame(&mut self, raw: Vec<u8>, now: Moment) {
        let complete = Completeness::Complete;
        let record = match Record::read(&raw) {
            Ok(record) => record,
            Err(refused) => return self.message(raw, Vec::new(), vec![refused], complete, now),
        };
        if let Err(what) = self.identified(&record, now) {
            let refused = Refused::new(Why::Unparseable, 0..raw.len(), what);
            return self.message(raw, Vec::new(), vec![refused], complete, now);
        }
        self.numbered(&record);
        match record.main_type {
            WAVE => self.waves(&record, raw, now),
            ALARM => self.alarm(&record, raw, now),
            _ => self.values(&record, raw, now),
        }
    }

    /// The plug id and the interface level stay the same from record to record. One that says
    /// otherwise is damaged, unless the next one says so too: then it is another monitor.
    fn identified(&mut self, record: &Record, now: Moment) -> Result<(), &'static str> {
        let stated = (record.plug, record.level);
        let claimed = self.claimed.take();
        match self.identity {
            Some(known) if known == stated => return Ok(()),
            Some(_) if claimed != Some(stated) => {
                self.claimed = Some(stated);
                return Err("another plug id or interface level than in the record before");
            }
            Some(_) | None => {}
        }
        self.ended(now);
        self.identity = Some(stated);
        (self.number, self.lost) = (None, 0);
        self.present.clear();
        self.measurements = Measurements::default();
        self.events.push_back(Event::Identity(Identity {
            serial_number: format!("plug-id {}", record.plug),
            firmware: level(record.level),
            ..Identity::default()
        }));
        if self.profile.alarms && record.level >= ALARM_LEVEL_MIN {
            self.asking.alarms(now);
        }
        Ok(())
    }

    fn numbered(&mut self, record: &Record) {
        if let Some(before) = self.number.replace(record.number) {
            let skipped = record.number.wrapping_sub(before).wrapping_sub(1);
            self.lost = self.lost.saturating_add(skipped);
        }
    }

    /// What is said of lost records in the next message.
    fn lost(&mut self, record: &Record) -> Vec<Refused> {
        let lost = std::mem::take(&mut self.lost);
        let what = match lost {
            0 => return Vec::new(),
            255 => "a record number comes twice, or 255 records were lost".to_owned(),
            lost => format!("{lost} records before this one were lost, by the records' numbers"),
        };
        vec![Refused::new(Why::FrameNumber, record.number_at(), what)]
    }

    fn values(&mut self, record: &Record, raw: Vec<u8>, now: Moment) {
        let mut refusals = self.lost(record);
        let mut groups: Vec<Group> = Vec::new();
        let mut measured: Vec<Measured> = Vec::new();
        for part in record.parts.iter().filter(|part| part.kind != AUXILIARY) {
            if part.kind != DISPLAYED {
                let what = "trended values: nobody has asked for them";
                let at = record.part(part).place(0..part.bytes.len());
                refusals.push(Refused::new(Why::UnsupportedMessage, at, what));
                continue;
            }
            if self.asking.displayed(&self.profile, now) {
                self.trouble(None);
            }
            for block in record.blocks(part) {
                let Some(class) = record.class(&block) else { continue };
                let read = numerics::read(record, &block, class, &mut self.present);
                measured.extend(read.measured);
                refusals.extend(read.refusals);
                let time = record.part(&block).u32(0).map(|seconds| self.time(seconds));
                match groups.iter_mut().find(|group| group.time == time) {
                    Some(group) => group.readings.extend(read.readings),
                    None => groups.push(Group { time, ..Group::of(read.readings) }),
                }
            }
        }
        if record.parts.iter().any(|part| part.kind == DISPLAYED) {
            self.displayed_since_auxiliary = self.displayed_since_auxiliary.saturating_add(1);
        }
        groups.retain(|group| !group.readings.is_empty());
        let patience = match self.has_auxiliary {
            true => RECORDS_BETWEEN_AUXILIARY,
            false => RECORDS_WITHOUT_AUXILIARY,
        };
        let is_timed = self.profile.auxiliary && self.displayed_since_auxiliary <= patience;
        let is_resolved = self.site.zone.is_some();
        let mut told = Vec::new();
        for one in measured {
            match self.measurements.shown(one, &raw, is_timed, is_resolved) {
                Ok(measurement) => told.extend(measurement.map(|one| (raw.clone(), one))),
                Err(refused) => refusals.push(refused),
            }
        }
        for part in record.parts.iter().filter(|part| part.kind == AUXILIARY) {
            groups.extend(self.auxiliary(record, part, now));
        }
        self.message(raw, groups, refusals, Completeness::Complete, now);
        for (raw, measurement) in told {
            self.measurement(raw, measurement, now);
        }
    }

    /// A message of its own for one measurement, out of the frame in which it stands.
    fn measurement(&mut self, raw: Vec<u8>, measurement: Measurement, now: Moment) {
        let Measurement { kind, mut readings, values, time: seconds } = measurement;
        let time = seconds.map(|seconds| self.time(seconds));
        if time.is_none() {
            let flag = Flag("measurement-time-not-stated".to_owned());
            readings.iter_mut().for_each(|reading| reading.flags.push(flag.clone()));
        }
        let is_one = time.as_ref().is_some_and(DeviceTime::is_one_second);
        let basis = is_one.then(|| {
            let mut basis = format!("{kind:?} {seconds:?}").into_bytes();
            basis.extend(values.iter().flat_map(|raw| raw.to_le_bytes()));
            basis
        });
        let group = Group { time, ..Group::of(readings) };
        self.message(raw, vec![group], Vec::new(), Completeness::Complete, now);
        if let Some(Event::Message(message)) = self.events.back_mut() {
            message.repeat_basis = basis;
        }
    }

    /// Measurements that wait for a time which will not come.
    fn ended(&mut self, now: Moment) {
        for (raw, measurement) in self.measurements.ended() {
            self.measurement(raw, measurement, now);
        }
    }

    /// When the latest measurements were made, and the patient's body surface.
    fn auxiliary(&mut self, record: &Record, part: &SubRecord, now: Moment) -> Option<Group> {
        self.asking.auxiliary(&self.profile, now);
        (self.displayed_since_auxiliary, self.has_auxiliary) = (0, true);
        let here = record.part(part);
        self.measurements.timed(record.time, here);
        let reading = numerics::body_surface(here)?;
        Some(Group { time: Some(self.time(record.time)), ..Group::of(vec![reading]) })
    }

    fn alarm(&mut self, record: &Record, raw: Vec<u8>, now: Moment) {
        let mut refusals = self.lost(record);
        let mut groups = Vec::new();
        if record.level < ALARM_LEVEL_MIN {
            let what = "alarms come from interface level 10 on only";
            refusals.push(Refused::new(Why::UnsupportedMessage, 0..raw.len(), what));
        } else {
            for part in &record.parts {
                match read_alarm(record.part(part), self.site.charset.as_deref()) {
                    Ok((group, odd)) => {
                        groups.push(Group { time: Some(self.time(record.time)), ..group });
                        refusals.extend(odd);
                    }
                    Err(refused) => refusals.push(refused),
                }
            }
        }
        self.message(raw, groups, refusals, Completeness::Complete, now);
    }

    fn waves(&mut self, record: &Record, raw: Vec<u8>, now: Moment) {
        let wanted =
            |part: &&SubRecord| self.profile.waves.iter().any(|wave| wave.kind() == part.kind);
        let parts: Vec<&SubRecord> = record.parts.iter().filter(wanted).collect();
        if parts.is_empty() {
            if self.profile.waves.is_empty() {
                self.asking.unwanted_waves(now);
            }
            return;
        }
        self.asking.waves(now);
        let read = |part: &&SubRecord| wave::read(record.part(part), part.kind);
        let arrays: Option<Vec<_>> = parts.iter().map(read).collect();
        match arrays {
            Some(arrays) => {
                let mode = Mode::Production;
                self.events.push_back(Event::Samples(Samples { received: now, mode, arrays }));
            }
            None => {
                let what = "a wave with more samples than a second has";
                let refused = Refused::new(Why::OddSegment, 0..raw.len(), what);
                self.message(raw, Vec::new(), vec![refused], Completeness::Complete, now);
            }
        }
    }

    fn message(
        &mut self,
        raw: Vec<u8>,
        groups: Vec<Group>,
        refusals: Vec<Refused>,
        completeness: Completeness,
        now: Moment,
    ) {
        let id = MessageId { session: self.session, number: self.next_number };
        self.next_number += 1;
        let is_read = completeness == Completeness::Complete && !groups.is_empty();
        self.events.push_back(Event::Message(Message {
            id,
            raw,
            received: now,
            groups,
            refusals,
            completeness,
            repeat_basis: None,
            firmware: self.identity.filter(|_| is_read).map(|(_, number)| level(number)),
        }));
    }

    /// Seconds since 1970 as the monitor counts them, which is its local time.
    fn time(&self, seconds: u32) -> DeviceTime {
        let local = jiff::civil::DateTime::constant(1970, 1, 1, 0, 0, 0, 0)
            .saturating_add(jiff::SignedDuration::from_secs(i64::from(seconds)));
        DeviceTime::read(&local.strftime("%Y%m%d%H%M%S").to_string(), self.site.zone.as_ref())
    }

    fn trouble(&mut self, words: Option<String>) {
        if self.in_trouble || words.is_some() {
            self.in_trouble = words.is_some();
            self.events.push_back(Event::Trouble { words });
        }
    }

    fn ask(&mut self, now: Moment) {
        let Some(ask) = self.asking.ask(&self.profile, now) else { return };
        if ask.is_silent {
            let words = "the monitor sends no displayed values; they are asked for again. Is it \
                         on, and is its computer interface connected?";
            self.trouble(Some(words.to_owned()));
            // A monitor that was switched off counts its records anew.
            self.number = None;
            self.ended(now);
            if self.profile.alarms && self.identity.is_some_and(|one| one.1 >= ALARM_LEVEL_MIN) {
                self.asking.alarms(now);
            }
        }
        self.events.push_back(Event::Send { bytes: ask.bytes, to: Peer::STREAM });
    }
}

/// The interface level in words, which stands for a firmware: nothing else on the wire does.
fn level(number: u8) -> String {
    format!("DRI level {number}")
}

impl Driver for DriDriver {
    fn link(&mut self, change: LinkChange, now: Moment) {
        match change {
            LinkChange::Opened { session } => {
                let piece = self.deframer.end("the link was opened anew in the middle of a frame");
                self.piece(piece, now);
                (self.session, self.next_number) = (session, 0);
                (self.number, self.lost) = (None, 0);
                self.asking.opened(&self.profile, now);
            }
            LinkChange::Closed => {
                let piece = self.deframer.end("the link closed in the middle of a frame");
                self.piece(piece, now);
                self.ended(now);
                self.asking.closed();
            }
            LinkChange::LineError(_) => {
                let piece = self.deframer.line_error();
                self.piece(piece, now);
            }
        }
    }

    fn receive(&mut self, bytes: &[u8], _from: Peer, now: Moment) {
        for byte in bytes {
            let piece = self.deframer.take(*byte, now);
            self.piece(piece, now);
        }
    }

    fn settled(&mut self, _message: MessageId, _how: Settled, _now: Moment) {
        // The monitor waits for no acknowledgement.
    }

    fn wake(&mut self, now: Moment) {
        let piece = self.deframer.wake(now);
        self.piece(piece, now);
        self.ask(now);
    }

    fn next_wake(&self) -> Option<Moment> {
        [self.deframer.due(), self.asking.next()].into_iter().flatten().min()
    }

    fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

#[cfg(test)]
mod tests;
