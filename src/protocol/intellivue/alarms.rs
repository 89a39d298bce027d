//! Alarm lists of the alert monitor (0902 of the patient, 0904 technical; facts/monitors.md 1.9),
//! as events for the record, never for notification.
//!
//! The monitor lists what is active, every second. An event is written when an alarm appears,
//! changes or is gone. A list that cannot be read whole changes nothing.

use std::ops::Range;

use super::export::PollResult;
use super::numerics::code;
use super::wire::Cursor;
use crate::vocabulary::reading::{Coding, EventKind};
use crate::vocabulary::{DeviceCode, Flag, Group, Mode, Nature, Reading, Refused, Value, Why};

mod attribute {
    pub const PATIENT_ALARMS: u16 = 0x0902;
    pub const TECHNICAL_ALARMS: u16 = 0x0904;
}

/// Forms of the information behind an entry: 516 ends with the text on the screen.
const INFORMATION_WITH_TEXT: u16 = 516;
const INFORMATION: u16 = 513;

/// Alarm codes are the numbers of the event partition: 003E with it is MDC_EVT_LO.
const EVENTS: u16 = 0x0003;

mod state {
    pub const LATCHED: u16 = 0x2000;
    pub const TEST: u16 = 0x0400;
    pub const DEMO: u16 = 0x0100;
}

const STATES: [(u16, &str); 8] = [
    (0x8000, "INHIBITED"),
    (0x4000, "SUSPENDED"),
    (state::LATCHED, "LATCHED"),
    (0x1000, "SILENCED_RESET"),
    (state::TEST, "TEST"),
    (0x0200, "STANDBY"),
    (state::DEMO, "DEMO"),
    (0x0008, "NEW"),
];

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alarm {
    source: u16,
    code: u16,
    kind: u16,
    state: u16,
    /// Number of the text in the monitor's catalogue.
    text_id: Option<u32>,
    /// The text on the screen, in the monitor's language.
    text: String,
    at: Range<usize>,
}

/// What both lists last said, over associations: handles change with them, alarms do not.
#[derive(Debug, Default)]
pub(super) struct Alarms {
    patient: Vec<Alarm>,
    technical: Vec<Alarm>,
}

impl Alarms {
    /// The events of a poll result of the alert monitor.
    pub fn read(
        &mut self,
        message: &[u8],
        poll: &PollResult,
        refusals: &mut Vec<Refused>,
    ) -> Vec<Group> {
        let mut groups = Vec::new();
        for attribute in poll.objects.iter().flat_map(|object| &object.attributes) {
            let last = match attribute.id {
                attribute::PATIENT_ALARMS => &mut self.patient,
                attribute::TECHNICAL_ALARMS => &mut self.technical,
                _ => continue,
            };
            match list(&mut Cursor::within(message, &attribute.value)) {
                Some(now) => {
                    groups.extend(changes(last, &now, &attribute.value));
                    *last = now;
                }
                None => {
                    let detail = "expected a list of alarms";
                    refusals.push(Refused::new(Why::TooShort, attribute.value.clone(), detail));
                }
            }
        }
        groups
    }
}

fn list(value: &mut Cursor<'_>) -> Option<Vec<Alarm>> {
    let (count, mut entries) = value.list("a list of alarms").ok()?;
    (0..count).map(|_| entry(&mut entries)).collect()
}

fn entry(entries: &mut Cursor<'_>) -> Option<Alarm> {
    let from = entries.at();
    let source = entries.u16("a source").ok()?;
    let code = entries.u16("a code").ok()?;
    let kind = entries.u16("a type").ok()?;
    let state = entries.u16("a state").ok()?;
    entries.array::<6>("an object").ok()?;
    let form = entries.u16("a form of information").ok()?;
    let length = entries.u16("a length").ok()?;
    let mut information = entries.part(usize::from(length), "information").ok()?;
    let (mut text_id, mut text) = (None, String::new());
    if matches!(form, INFORMATION | INFORMATION_WITH_TEXT) {
        information.u16("an instance").ok()?;
        text_id = Some(information.u32("a text's number").ok()?);
        information.array::<4>("priority and flags").ok()?;
        if form == INFORMATION_WITH_TEXT {
            text = information.string().ok()?;
        }
    }
    Some(Alarm { source, code, kind, state, text_id, text, at: from..entries.at() })
}

/// What makes two entries the same alarm.
fn same(one: &Alarm, other: &Alarm) -> bool {
    (one.source, one.code, one.text_id) == (other.source, other.code, other.text_id)
}

/// The events between two lists. Entries that are alike are told apart by their order only.
fn changes(before: &[Alarm], now: &[Alarm], list: &Range<usize>) -> Vec<Group> {
    let mut left: Vec<&Alarm> = before.iter().collect();
    let mut groups = Vec::new();
    for alarm in now {
        let known = left.iter().position(|one| same(one, alarm)).map(|at| left.remove(at));
        match known {
            None => groups.push(event(alarm, Phase::Start, alarm.at.clone())),
            Some(one) if !one.says_the_same(alarm) => {
                groups.push(event(alarm, Phase::Continue, alarm.at.clone()));
            }
            Some(_) => {}
        }
    }
    // What is gone stands nowhere: the list without it says so.
    groups.extend(left.into_iter().map(|gone| event(gone, Phase::End, list.clone())));
    groups
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    Continue,
    End,
}

impl Alarm {
    /// NEW goes by itself and is no change.
    fn says_the_same(&self, other: &Self) -> bool {
        const NEW: u16 = 0x0008;
        let content = |alarm: &Self| (alarm.kind, alarm.state & !NEW, alarm.text.clone());
        content(self) == content(other)
    }

    fn mode(&self) -> Mode {
        if self.state & state::TEST != 0 {
            Mode::Debugging
        } else if self.state & state::DEMO != 0 {
            Mode::Training
        } else {
            Mode::Production
        }
    }

    fn value(&self) -> Value {
        match self.text_id {
            _ if !self.text.is_empty() => Value::text(&self.text),
            Some(id) => {
                let number = code((id >> 16) as u16, (id & 0xffff) as u16);
                Value::coded(&number, &number, "", "MDIL")
            }
            None => {
                let number = code(EVENTS, self.code);
                Value::coded(&number, &number, "", "MDIL")
            }
        }
    }
}

/// IHE PCD's words for phase, state, kind and priority, in its order.
fn event(alarm: &Alarm, phase: Phase, at: Range<usize>) -> Group {
    let coding = Coding::new(&code(EVENTS, alarm.code), "", "MDIL");
    let mut readings =
        vec![Reading::new(DeviceCode::Codings(vec![coding]), alarm.value(), at.clone())];
    let mut part = |name: &str, value: Value| {
        let code = DeviceCode::Parameter(name.to_owned());
        readings.push(Reading::new(code, value, at.clone()));
    };
    let source = format!("{:04x}", alarm.source);
    part("attr-alert-source", Value::coded(&source, &source, "", "MDIL"));
    part(
        "attr-event-phase",
        Value::text(match phase {
            Phase::Start => "start",
            Phase::Continue => "continue",
            Phase::End => "end",
        }),
    );
    part(
        "attr-alarm-state",
        Value::text(match phase {
            Phase::End => "inactive",
            Phase::Start | Phase::Continue if alarm.state & state::LATCHED != 0 => "latched",
            Phase::Start | Phase::Continue => "active",
        }),
    );
    if let Some((priority, kind)) = kind(alarm.kind) {
        part("attr-alarm-priority", Value::text(priority));
        part("attr-alert-type", Value::text(kind));
    }
    let flags = flags(alarm.state);
    for reading in &mut readings {
        reading.nature = Nature::EventPart;
    }
    if let Some(first) = readings.first_mut() {
        first.flags = flags;
    }
    Group { mode: alarm.mode(), event: Some(EventKind::Alarm), ..Group::of(readings) }
}

fn flags(state: u16) -> Vec<Flag> {
    let named = STATES.iter().filter(|(bit, _)| state & bit != 0);
    let mut flags: Vec<Flag> = named.map(|(_, name)| Flag((*name).to_owned())).collect();
    let unnamed = STATES.iter().fold(state, |rest, (bit, _)| rest & !bit);
    if unnamed != 0 {
        flags.push(Flag(format!("STATE_{unnamed:04X}")));
    }
    flags
}

/// Priority low, medium or high; of the patient or technical. 0 is neither.
fn kind(kind: u16) -> Option<(&'static str, &'static str)> {
    match kind {
        1 => Some(("PL", "ST")),
        2 => Some(("PM", "ST")),
        4 => Some(("PH", "ST")),
        256 => Some(("PL", "SP")),
        512 => Some(("PM", "SP")),
        1024 => Some(("PH", "SP")),
        _ => None,
    }
}
