//! What is known of the monitor's objects by their handles. Handles change with every association,
//! and so this is forgotten with it.

use std::collections::BTreeMap;

use super::export::{PollResult, PolledObject};
use super::request::{class, group};
use super::wire::{Cursor, find};

mod attribute {
    pub const LABEL: u16 = 0x0924;
    pub const LABEL_STRING: u16 = 0x0927;
    pub const TYPE: u16 = 0x092f;
    pub const METRIC_SPECIFICATION: u16 = 0x093f;
    pub const SAMPLE_SPECIFICATION: u16 = 0x096d;
    pub const SCALE: u16 = 0x096f;
    pub const SAMPLE_PERIOD: u16 = 0x098d;
    pub const UNIT: u16 = 0x0996;
    pub const FIXED_VALUES: u16 = 0x0a16;
}

/// Physiological measurements.
pub(super) const PHYSIOLOGICAL: u16 = 0x0002;
/// What a person or a device has set: all labels NLS_NOM_SETT_* of the corpus have it.
pub(super) const SETTINGS: u16 = 0x0402;
/// Classes of objects, such as numeric (0006) and wave (0009).
const OBJECTS: u16 = 0x0001;
/// Nobody has said yet what the object is: no code of ours begins with it.
const NOT_SAID: u16 = 0x0000;

/// Objects are more than a monitor has; what a damaged list names beyond it is not kept.
const OBJECTS_MAX: usize = 2048;

/// What one object says of itself. What is not said is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Described {
    /// A list named it, or it came with its type or label.
    is_told: bool,
    partition: Option<u16>,
    pub label: Option<u32>,
    /// The label on the monitor's screen.
    pub words: String,
    pub unit: Option<u16>,
    /// How samples are stored.
    pub samples: Option<SampleForm>,
    /// SCALE_SPECN as sent.
    pub scale: Option<[u8; 12]>,
    /// Ticks between two samples.
    pub sample_period: Option<u32>,
    /// Bits that mark a sample as invalid.
    pub invalid_mask: u16,
}

/// How samples are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SampleForm {
    /// Samples in one array.
    pub array_size: u16,
    /// Bits that one sample takes.
    pub bits: u8,
    /// Bits of these that hold its value.
    pub significant: u8,
}

/// All objects of one association, by context and handle.
#[derive(Debug, Default)]
pub(super) struct Objects {
    known: BTreeMap<(u16, u16), Described>,
    /// Waves by label as well: one object can hold several, each with a form of its own.
    waves: BTreeMap<(u16, u16, u32), Described>,
    /// The monitor has listed what its numerics are.
    numerics_listed: bool,
    /// An object came that no list named.
    stranger: Option<u16>,
}

impl Objects {
    /// Takes what the objects of a poll result say of themselves.
    pub fn learn(&mut self, message: &[u8], poll: &PollResult) {
        for object in &poll.objects {
            let key = (object.context, object.handle);
            if self.known.len() < OBJECTS_MAX || self.known.contains_key(&key) {
                let listed = poll.group == group::STATIC;
                learn_one(&mut self.known, message, object, listed);
                self.learn_wave(message, object);
            }
        }
    }

    /// Takes what one entry alone says of a wave.
    fn learn_wave(&mut self, message: &[u8], object: &PolledObject) {
        let mut alone = BTreeMap::new();
        learn_one(&mut alone, message, object, false);
        for ((context, handle), one) in alone {
            if let (Some(label), Some(_), Some(_)) = (one.label, one.samples, one.sample_period)
                && self.waves.len() < OBJECTS_MAX
            {
                self.waves.insert((context, handle, label), one);
            }
        }
    }

    /// The monitor has answered for a list of its numerics. An empty one is none: it says nothing
    /// of the numerics that come all the same.
    pub fn numerics_listed(&mut self) {
        self.numerics_listed |= self.known.values().any(|one| one.is_told);
    }

    /// What is known of an object.
    pub fn described(&self, object: &PolledObject) -> Described {
        self.known.get(&(object.context, object.handle)).cloned().unwrap_or_default()
    }

    /// What is known of a wave by the code of its samples and their bytes: the one labelled so, or
    /// else the only one whose array is as long. Where the monitor has described no wave of this
    /// object in one piece, what was said of the object.
    pub fn wave(&self, object: &PolledObject, physio: u16, bytes: usize) -> Option<Described> {
        let (context, handle) = (object.context, object.handle);
        let all = (context, handle, u32::MIN)..=(context, handle, u32::MAX);
        let all: Vec<&Described> = self.waves.range(all).map(|(_, one)| one).collect();
        if all.is_empty() {
            return self.known.get(&(context, handle)).cloned();
        }
        let labelled = |one: &&&Described| one.label.is_some_and(|label| label as u16 == physio);
        if let Some(own) = all.iter().find(labelled) {
            return Some((*own).clone());
        }
        let fits =
            |form: SampleForm| usize::from(form.array_size) * usize::from(form.bits) == bytes * 8;
        let mut fitting = all.iter().filter(|one| one.samples.is_some_and(fits));
        match (fitting.next(), fitting.next()) {
            (Some(one), None) => Some((*one).clone()),
            (_, _) => None,
        }
    }

    /// The partition of the codes in a numeric: what the monitor says of the object, and as long
    /// as it has said nothing of any, what numerics are as a rule. Once it has listed its numerics,
    /// one that is not on the list may be a setting as well as a measurement: its codes lead to
    /// nothing until the list is read anew.
    pub fn partition(&mut self, object: &PolledObject) -> u16 {
        match self.known.get(&(object.context, object.handle)) {
            Some(described) if described.is_told => described.partition.unwrap_or(PHYSIOLOGICAL),
            Some(_) | None if !self.numerics_listed => PHYSIOLOGICAL,
            Some(_) | None => {
                self.stranger = Some(class::NUMERIC);
                NOT_SAID
            }
        }
    }

    /// A wave came of which too little is known.
    pub fn ask_about_waves(&mut self) {
        self.stranger = Some(class::WAVE);
    }

    /// The class of an object that no list named, once.
    pub fn take_stranger(&mut self) -> Option<u16> {
        self.stranger.take()
    }
}

fn learn_one(
    known: &mut BTreeMap<(u16, u16), Described>,
    message: &[u8],
    object: &PolledObject,
    listed: bool,
) {
    let value = |id| {
        let found = find(&object.attributes, id)?;
        Some(Cursor::within(message, &found.value))
    };
    let key = (object.context, object.handle);
    let mut described = known.get(&key).cloned().unwrap_or_default();
    let before = described.clone();
    let label = value(attribute::LABEL).and_then(|mut label| label.u32("a label").ok());
    // A label of the settings' partition says it; a type as well, unless it only says that the
    // object is a numeric (0001-0006), which is all that real monitors say there.
    let kind = value(attribute::TYPE).and_then(|mut kind| kind.u16("a partition").ok());
    let of_label = label.map(|label| (label >> 16) as u16).filter(|of| *of == SETTINGS);
    let of_type = kind.filter(|of| *of != OBJECTS);
    let is_set =
        value(attribute::METRIC_SPECIFICATION).is_some_and(|mut metric| is_set(&mut metric));
    let of_metric = is_set.then_some(SETTINGS);
    described.partition = of_label.or(of_metric).or(of_type).or(described.partition);
    described.is_told |= listed || label.is_some() || kind.is_some();
    described.label = label.or(described.label);
    if let Some(words) = value(attribute::LABEL_STRING).and_then(|mut text| text.string().ok()) {
        described.words = words;
    }
    let unit = value(attribute::UNIT).and_then(|mut unit| unit.u16("a unit").ok());
    described.unit = unit.or(described.unit);
    let form = value(attribute::SAMPLE_SPECIFICATION).and_then(|mut form| sample_form(&mut form));
    described.samples = form.or(described.samples);
    let scale = value(attribute::SCALE).and_then(|mut scale| scale.array("a scale").ok());
    described.scale = scale.or(described.scale);
    let period = value(attribute::SAMPLE_PERIOD).and_then(|mut of| of.u32("a period").ok());
    described.sample_period = period.or(described.sample_period);
    if let Some(mask) = value(attribute::FIXED_VALUES).and_then(|mut list| invalid_mask(&mut list))
    {
        described.invalid_mask = mask;
    }
    if described != before {
        known.insert(key, described);
    }
}

/// METRIC_SPECN: update period, then the category. IEEE 11073-10201 names 3 and 4 the settings by
/// the device and by a person; a recorded M8000 says 1 and 5, measured and calculated.
fn is_set(metric: &mut Cursor<'_>) -> bool {
    let category = metric.u32("an update period").and_then(|_| metric.u16("a category"));
    matches!(category, Ok(3 | 4))
}

/// SA_SPECN: array size, sample size and significant bits, flags.
fn sample_form(form: &mut Cursor<'_>) -> Option<SampleForm> {
    let array_size = form.u16("an array size").ok()?;
    let bits = form.byte("a sample size").ok()?;
    let significant = form.byte("significant bits").ok()?;
    Some(SampleForm { array_size, bits, significant })
}

/// SA_FIXED_VAL_SPECN: a list of identifier and value; identifier 1 is the mask of invalid samples.
fn invalid_mask(list: &mut Cursor<'_>) -> Option<u16> {
    const INVALID: u16 = 1;
    let (count, mut entries) = list.list("a list of fixed values").ok()?;
    for _ in 0..count {
        let kind = entries.u16("an identifier").ok()?;
        let mask = entries.u16("a mask").ok()?;
        if kind == INVALID {
            return Some(mask);
        }
    }
    None
}
