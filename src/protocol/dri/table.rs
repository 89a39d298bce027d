//! What stands where in the physiological database, as data.
//!
//! A sub-record of displayed values is 278 bytes: a time of 4, a class of 270, a marker, a reserved
//! byte and a word that says which class it is. A class is a row of groups; nearly every group
//! begins with a status word of 4 bytes and a label of 2 (facts/monitors.md 2.3). Offsets here are
//! from the start of the class, as in `phdb_offsets.csv` of the corpus: a test compares every row.

use crate::vocabulary::AbsentReason;

pub(super) mod basic;
pub(super) mod ext1;
pub(super) mod ext2;
pub(super) mod ext3;
pub(super) mod marks;

/// A group of values that share a module, a status and a label.
#[derive(Debug)]
pub(super) struct Group {
    pub name: &'static str,
    /// From the start of the class.
    pub at: usize,
    /// Whether it begins with status and label. One without is governed by the ECG's.
    pub headed: bool,
    /// What the bits of its status mean, from bit 2 on.
    pub marks: &'static [Mark],
    pub fields: &'static [Field],
}

/// One field.
#[derive(Debug)]
pub(super) struct Field {
    pub name: &'static str,
    /// From the start of the class.
    pub at: usize,
    pub form: Form,
    /// How much one step of the raw integer is; empty where it is no number.
    pub step: &'static str,
    /// In UCUM; empty for a number without unit.
    pub unit: &'static str,
    pub means: Means,
}

/// How a field stands on the wire. All are little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    I16,
    U32,
    Bytes(usize),
}

/// What a field means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// This parameter of the vocabulary.
    Parameter(&'static str),
    /// No parameter with a proven code: kept under the field's name.
    Unmapped,
    /// A parameter by the source that the ECG's status names.
    HeartRate,
    /// A parameter by the label of the pressure channel.
    Pressure(Part),
    /// A parameter by the label of the temperature channel.
    Temperature,
    /// A parameter by the interface level and, on older ones, the label.
    Co2Rate,
    /// A parameter by the label, which names the agent.
    AgentExpired,
    AgentInspired,
    /// A parameter if the label says that it is mixed venous blood.
    MixedVenous,
    /// Bits, not a number: how many post-tetanic twitches, how many twitches, which current.
    PostTetanic,
    /// Of the cuff: told once for each measurement, at its own time.
    Cuff(&'static str),
    CuffUnmapped,
    /// Likewise, of the thermodilution catheter.
    CardiacOutput,
    Wedge,
    /// 32 bits, kept as they are.
    Bits,
    /// Reserved, or a setting that is no value.
    NotRead,
}

/// Which pressure of a pulse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Systolic,
    Diastolic,
    Mean,
}

/// A bit of a group's status.
#[derive(Debug)]
pub(super) struct Mark {
    pub bit: u32,
    pub words: &'static str,
    /// Set where the bit says that what stands in the group is no measurement.
    pub absent: Option<AbsentReason>,
}

/// The four classes in the order of their numbers.
pub(super) const CLASSES: [(&str, &[Group]); 4] = [
    ("basic", basic::GROUPS),
    ("ext1", ext1::GROUPS),
    ("ext2", ext2::GROUPS),
    ("ext3", ext3::GROUPS),
];

/// How many bytes a class takes.
#[cfg(test)]
pub(super) const CLASS_BYTES: usize = 270;

const fn value(
    name: &'static str,
    at: usize,
    step: &'static str,
    unit: &'static str,
    means: Means,
) -> Field {
    Field { name, at, form: Form::I16, step, unit, means }
}

const fn bits(name: &'static str, at: usize) -> Field {
    Field { name, at, form: Form::U32, step: "", unit: "", means: Means::Bits }
}

const fn unread(name: &'static str, at: usize, form: Form) -> Field {
    Field { name, at, form, step: "", unit: "", means: Means::NotRead }
}
