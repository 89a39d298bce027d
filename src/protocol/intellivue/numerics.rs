//! Numerics to readings: simple (0950) and compound (094B) observed values, ten bytes each
//! (facts/monitors.md 1.7).
//!
//! | state bit | what becomes of the value |
//! |---|---|
//! | 8000 INVALID, 4000 QUESTIONABLE, 2000 UNAVAILABLE, 1000 CALIBRATING | absent, with the reason |
//! | 0800 TEST_DATA, 0400 DEMO_DATA | it stands, and is no patient's |
//! | 0200, 0100 | absent: a value is valid only if the first octet is 0, and these have no name |
//! | 0080 VALIDATED, 0040 EARLY_INDICATION, 0020 MSMT_ONGOING, 0002 IN_ALARM, 0001 AL_INHIBITED | it stands, marked |
//!
//! A cuff pressure and whatever else the device file lists as episodic is shown again with every
//! poll. It is a new measurement if the monitor gives it another time of its own, if it differs, or
//! if a measurement was under way in between; while one is under way it waits.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::tz::TimeZone;

use super::export::{PollResult, PolledObject};
use super::number::Float;
use super::objects::{Objects, PHYSIOLOGICAL, SETTINGS};
use super::time::{self, Anchor};
use super::wire::{Cursor, find};
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{
    AbsentReason, DeviceCode, DeviceTime, DeviceUnit, Flag, Group, Mode, Nature, Reading, Refused,
    Why,
};

mod attribute {
    pub const COMPOUND_VALUE: u16 = 0x094b;
    pub const VALUE: u16 = 0x0950;
    pub const TIME_STAMP_ABSOLUTE: u16 = 0x0990;
    pub const TIME_STAMP_RELATIVE: u16 = 0x0991;
}

/// One observed value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    physio: u16,
    state: u16,
    unit: u16,
    figure: Float,
    at: Range<usize>,
}

/// When the monitor says that an object was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    Absolute([u8; 8]),
    Ticks(u32),
}

/// A reading with what decides about its group.
pub(super) struct Numeric {
    pub reading: Reading,
    pub mode: Mode,
    pub time: Time,
}

/// Which time a reading has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// It is measured all the time: that of the poll.
    OfPoll,
    /// The monitor's own stamp on it.
    Own(Stamp),
    /// It was measured at some time before.
    NotSaid,
}

/// What was last seen of each episodic object, over associations: the monitor shows it again after
/// one. By the codes of its values, since handles change.
#[derive(Debug, Default)]
pub(super) struct Episodes(BTreeMap<Vec<u16>, Episode>);

#[derive(Debug, Default)]
struct Episode {
    /// Code, validity, unit and figure of each value.
    content: Vec<u8>,
    stamp: Option<Stamp>,
    under_way: bool,
}

/// Objects that take turns under codes that nobody knows are not followed without end.
const EPISODES_MAX: usize = 256;

/// The readings of a poll result of numerics.
pub(super) fn read(
    message: &[u8],
    poll: &PollResult,
    objects: &mut Objects,
    episodes: &mut Episodes,
    manner: &Manner<'_>,
    refusals: &mut Vec<Refused>,
) -> Vec<Numeric> {
    let mut numerics = Vec::new();
    for object in &poll.objects {
        let observed = observed(message, object, refusals);
        if observed.is_empty() {
            continue;
        }
        let partition = objects.partition(object);
        let described = objects.described(object);
        let named = Named { partition, label: described.label, words: &described.words };
        let stamp = stamp(message, object);
        let is_episodic = partition == PHYSIOLOGICAL
            && observed.iter().any(|one| manner.episodic.contains(&one.physio));
        if is_episodic && (manner.is_late || !episodes.is_new(&observed, stamp)) {
            continue;
        }
        let time = match (is_episodic, stamp) {
            (false, _) => Time::OfPoll,
            (true, Some(stamp)) => Time::Own(stamp),
            (true, None) => Time::NotSaid,
        };
        for one in observed {
            let mode = mode(one.state);
            numerics.push(Numeric { reading: reading(one, &named), mode, time });
        }
    }
    numerics
}

/// One group per mode and time: demo values never stand beside a patient's.
pub(super) fn grouped(
    numerics: Vec<Numeric>,
    of_poll: Option<&DeviceTime>,
    anchor: Option<Anchor>,
    zone: Option<&TimeZone>,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for Numeric { reading, mode, time } in numerics {
        let time = match time {
            Time::OfPoll => of_poll.cloned(),
            Time::NotSaid => None,
            Time::Own(Stamp::Absolute(stamp)) => time::of_absolute(&stamp, zone),
            Time::Own(Stamp::Ticks(ticks)) => {
                anchor.and_then(|anchor| time::of_ticks(ticks, anchor, zone))
            }
        };
        match groups.iter_mut().find(|group| group.mode == mode && group.time == time) {
            Some(group) => group.readings.push(reading),
            None => groups.push(Group { mode, time, ..Group::of(vec![reading]) }),
        }
    }
    groups
}

/// What the device file and the moment say.
pub(super) struct Manner<'a> {
    /// Codes of values that are measured now and then.
    pub episodic: &'a [u16],
    /// A newer result came before this one: what it shows may be over.
    pub is_late: bool,
}

struct Named<'a> {
    partition: u16,
    label: Option<u32>,
    words: &'a str,
}

fn observed(message: &[u8], object: &PolledObject, refusals: &mut Vec<Refused>) -> Vec<Observed> {
    let mut all = Vec::new();
    for attribute in &object.attributes {
        let mut value = Cursor::within(message, &attribute.value);
        let read = match attribute.id {
            attribute::VALUE => one(&mut value).map(|one| vec![one]),
            attribute::COMPOUND_VALUE => compound(&mut value),
            _ => continue,
        };
        match read {
            Some(read) => all.extend(read),
            None => {
                let detail =
                    format!("expected observed values of ten bytes in {:04X}", attribute.id);
                refusals.push(Refused::new(Why::TooShort, attribute.value.clone(), detail));
            }
        }
    }
    all
}

fn one(value: &mut Cursor<'_>) -> Option<Observed> {
    let from = value.at();
    let physio = value.u16("a code").ok()?;
    let state = value.u16("a state").ok()?;
    let unit = value.u16("a unit").ok()?;
    let figure = Float(value.array("a figure").ok()?);
    Some(Observed { physio, state, unit, figure, at: from..value.at() })
}

fn compound(value: &mut Cursor<'_>) -> Option<Vec<Observed>> {
    let (count, mut list) = value.list("a compound value").ok()?;
    (0..count).map(|_| one(&mut list)).collect()
}

fn stamp(message: &[u8], object: &PolledObject) -> Option<Stamp> {
    let value = |id| {
        let found = find(&object.attributes, id)?;
        Some(Cursor::within(message, &found.value))
    };
    let absolute = value(attribute::TIME_STAMP_ABSOLUTE)
        .and_then(|mut time| time.array::<8>("a time stamp").ok())
        .filter(|time| *time != [0xff; 8]);
    let ticks = value(attribute::TIME_STAMP_RELATIVE)
        .and_then(|mut time| time.u32("a time stamp").ok())
        .filter(|ticks| *ticks != u32::MAX);
    absolute.map(Stamp::Absolute).or(ticks.map(Stamp::Ticks))
}

impl Episodes {
    fn is_new(&mut self, observed: &[Observed], stamp: Option<Stamp>) -> bool {
        let key: Vec<u16> = observed.iter().map(|one| one.physio).collect();
        if self.0.len() >= EPISODES_MAX && !self.0.contains_key(&key) {
            self.0.clear();
        }
        let is_first = !self.0.contains_key(&key);
        let last = self.0.entry(key).or_default();
        if observed.iter().any(|one| one.state & state::MEASURING != 0) {
            last.under_way = true;
            return false;
        }
        let mut content = Vec::new();
        for one in observed {
            content.extend(one.physio.to_be_bytes());
            content.push(one.state.to_be_bytes()[0]);
            content.extend(one.unit.to_be_bytes());
            content.extend(one.figure.0);
        }
        let is_new = is_first || last.under_way || last.stamp != stamp || last.content != content;
        *last = Episode { content, stamp, under_way: false };
        is_new
    }
}

fn reading(one: Observed, named: &Named<'_>) -> Reading {
    let coding = Coding::new(&code(named.partition, one.physio), named.words, "MDIL");
    let value = match void_because(one.state) {
        Some(reason) => one.figure.void(reason),
        None => one.figure.value(),
    };
    let mut reading = Reading::new(DeviceCode::Codings(vec![coding]), value, one.at);
    reading.unit = Some(unit(one.unit));
    reading.sub_id = sub_id(named, one.physio);
    reading.flags = flags(one.state);
    if named.partition == SETTINGS {
        reading.nature = Nature::Setting;
    }
    reading
}

/// Partition and code as Philips writes them.
pub(super) fn code(partition: u16, code: u16) -> String {
    format!("{partition:04x}-{code:04x}")
}

/// A unit's code.
pub(super) fn unit(code: u16) -> DeviceUnit {
    const UNITS: u16 = 0x0004;
    DeviceUnit { codings: vec![Coding::new(&self::code(UNITS, code), "", "MDIL")] }
}

/// The label, where it says more than the code: two temperatures of one code, a pressure line.
/// A label of its own code, or of the compound that the code belongs to, says nothing more
/// (4A04 is the compound of 4A05, 4A06 and 4A07).
fn sub_id(named: &Named<'_>, physio: u16) -> String {
    let Some(label) = named.label else { return String::new() };
    let [high, low] = [(label >> 16) as u16, (label & 0xffff) as u16];
    let is_own = high == named.partition && (low == physio || low == physio & 0xfffc);
    if is_own { String::new() } else { code(high, low) }
}

/// Bits of a metric state.
pub(super) mod state {
    pub const INVALID: u16 = 0x8000;
    pub const QUESTIONABLE: u16 = 0x4000;
    pub const UNAVAILABLE: u16 = 0x2000;
    pub const CALIBRATING: u16 = 0x1000;
    pub const TEST_DATA: u16 = 0x0800;
    pub const DEMO_DATA: u16 = 0x0400;
    pub const MEASURING: u16 = 0x0020;
    /// The first octet; a value is valid only if it is 0.
    pub const VALIDITY: u16 = 0xff00;
}

const NAMES: [(u16, &str); 11] = [
    (state::INVALID, "INVALID"),
    (state::QUESTIONABLE, "QUESTIONABLE"),
    (state::UNAVAILABLE, "UNAVAILABLE"),
    (state::CALIBRATING, "CALIBRATING"),
    (state::TEST_DATA, "TEST_DATA"),
    (state::DEMO_DATA, "DEMO_DATA"),
    (0x0080, "VALIDATED"),
    (0x0040, "EARLY_INDICATION"),
    (state::MEASURING, "MSMT_ONGOING"),
    (0x0002, "IN_ALARM"),
    (0x0001, "AL_INHIBITED"),
];

/// The marks that a state puts on a value; what has no name is kept in hexadecimal.
pub(super) fn flags(state: u16) -> Vec<Flag> {
    let mut flags: Vec<Flag> = NAMES
        .iter()
        .filter(|(bit, _)| state & bit != 0)
        .map(|(_, name)| Flag((*name).to_owned()))
        .collect();
    let unnamed = NAMES.iter().fold(state, |rest, (bit, _)| rest & !bit);
    if unnamed != 0 {
        flags.push(Flag(format!("STATE_{unnamed:04X}")));
    }
    flags
}

/// Why there is no value, by the state alone; the most telling bit counts.
pub(super) fn void_because(state: u16) -> Option<AbsentReason> {
    let kept = state::TEST_DATA | state::DEMO_DATA;
    let void = state & state::VALIDITY & !kept;
    if void & state::CALIBRATING != 0 {
        Some(AbsentReason::Calibrating)
    } else if void & state::UNAVAILABLE != 0 {
        Some(AbsentReason::NotAvailable)
    } else if void != 0 {
        Some(AbsentReason::Invalid)
    } else {
        None
    }
}

/// Test goes before demo: both are no patient's.
pub(super) fn mode(state: u16) -> Mode {
    if state & state::TEST_DATA != 0 {
        Mode::Debugging
    } else if state & state::DEMO_DATA != 0 {
        Mode::Training
    } else {
        Mode::Production
    }
}
