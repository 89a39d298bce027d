//! Patient demographics (class 2A, group 0807; facts/monitors.md 1.9): a hint whom the monitor
//! believes to measure, as the person who admitted there typed it.
//!
//! It is a message of its own when it changes, and never put on values that came without it: the
//! monitor may have another patient since. Names, birth date and notes stay in the raw bytes.

use super::export::PollResult;
use super::number::Float;
use super::numerics;
use super::wire::{Cursor, find};
use crate::vocabulary::reading::{Coding, StatedPatientId};
use crate::vocabulary::{DeviceCode, Group, Mode, Nature, Reading, Subject, Value};

mod attribute {
    pub const STATE: u16 = 0x0957;
    pub const ID: u16 = 0x095a;
    pub const SEX: u16 = 0x0961;
    pub const TYPE: u16 = 0x0962;
    pub const HEIGHT: u16 = 0x09dc;
    pub const WEIGHT: u16 = 0x09df;
}

/// Demographic states in which a patient is there.
const ADMITTED: [u16; 2] = [1, 2];

/// What was last said.
#[derive(Debug, Default)]
pub(super) struct Patient {
    last: Option<Vec<u8>>,
}

impl Patient {
    /// The next word of the monitor counts as new: after an association was made.
    pub fn forget(&mut self) {
        self.last = None;
    }

    /// The groups of a poll result of demographics; none if nothing has changed. `place` is the
    /// monitor's label, `mode` that of its values.
    pub fn read(
        &mut self,
        message: &[u8],
        poll: &PollResult,
        place: &str,
        mode: Mode,
    ) -> Vec<Group> {
        let mut said = Vec::new();
        for attribute in poll.objects.iter().flat_map(|object| &object.attributes) {
            said.extend(attribute.id.to_be_bytes());
            said.extend(message.get(attribute.value.clone()).unwrap_or_default());
        }
        if self.last.as_ref() == Some(&said) {
            return Vec::new();
        }
        self.last = Some(said);
        let objects = poll.objects.iter();
        let groups = objects.filter_map(|object| group(message, &object.attributes, place));
        groups.map(|group| Group { mode, ..group }).collect()
    }
}

fn group(message: &[u8], attributes: &[super::wire::Attribute], place: &str) -> Option<Group> {
    let value = |id| find(attributes, id).map(|found| Cursor::within(message, &found.value));
    let state = value(attribute::STATE).and_then(|mut state| state.u16("a state").ok());
    let mut readings = Vec::new();
    let words = [
        (attribute::STATE, "demographic state", &STATES[..]),
        (attribute::SEX, "sex", &SEXES[..]),
        (attribute::TYPE, "patient type", &TYPES[..]),
    ];
    for (id, name, table) in words {
        let Some(mut field) = value(id) else { continue };
        let from = field.at();
        let Ok(number) = field.u16("a number") else { continue };
        let known = table.iter().find(|(known, _)| *known == number);
        let text = known.map_or_else(|| number.to_string(), |(_, words)| (*words).to_owned());
        let mut reading = Reading::new(named(id, name), Value::text(&text), from..field.at());
        reading.nature = Nature::DeviceFact;
        readings.push(reading);
    }
    for (id, name) in [(attribute::HEIGHT, "patient height"), (attribute::WEIGHT, "patient weight")]
    {
        let Some(mut field) = value(id) else { continue };
        let from = field.at();
        let (Ok(figure), Ok(unit)) = (field.array("a figure"), field.u16("a unit")) else {
            continue;
        };
        let mut reading = Reading::new(named(id, name), Float(figure).value(), from..field.at());
        reading.unit = Some(numerics::unit(unit));
        // A person has typed it; the monitor does not weigh.
        reading.nature = Nature::Setting;
        readings.push(reading);
    }
    if readings.is_empty() {
        return None;
    }
    let id = value(attribute::ID).and_then(|mut id| id.string().ok()).unwrap_or_default();
    let is_there = state.is_some_and(|state| ADMITTED.contains(&state)) && !id.is_empty();
    let stated = StatedPatientId { id, authority: String::new(), id_type: String::new() };
    let mut group = Group::of(readings);
    group.subject = Subject {
        patient_ids: if is_there { vec![stated] } else { Vec::new() },
        place: place.to_owned(),
        ..Subject::default()
    };
    Some(group)
}

/// An attribute of the monitor's, by its number in the object-oriented partition: no code of ours.
fn named(id: u16, name: &str) -> DeviceCode {
    const ATTRIBUTES: u16 = 0x0001;
    DeviceCode::Codings(vec![Coding::new(&numerics::code(ATTRIBUTES, id), name, "MDIL")])
}

const STATES: [(u16, &str); 4] =
    [(0, "empty"), (1, "pre-admitted"), (2, "admitted"), (8, "discharged")];
const SEXES: [(u16, &str); 4] = [(0, "unknown"), (1, "male"), (2, "female"), (9, "unspecified")];
const TYPES: [(u16, &str); 3] = [(1, "adult"), (2, "paediatric"), (3, "neonatal")];
