//! One class of displayed values to readings: exact decimals from raw integers, marks of absence,
//! parameters by label.

use std::collections::BTreeSet;
use std::ops::Range;

use super::episode::Shown;
use super::labels;
use super::record::{Part, Record, SubRecord};
use super::table::{CLASSES, Field, Form, Group, Means};
use crate::protocol::frame::scaled;
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{AbsentReason, DeviceCode, DeviceUnit, Flag, Reading, Refused, Value, Why};

/// The system of codes that are names of fields in the document.
pub(super) const SYSTEM: &str = "GE-DRI";
/// The class stands behind the time of 4 bytes.
const CLASS_AT: usize = 4;
/// Raw integers from here down are marks.
const MARKS_FROM: i16 = -32001;
/// The bits of the post-tetanic count are looked at above this only.
const POST_TETANIC_MARKS_FROM: i16 = -31000;

/// Which measurements come once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Cuff,
    CardiacOutput,
    Wedge,
}

/// The readings of one measurement that repeats in every record.
pub(super) struct Measured {
    pub kind: Kind,
    /// `None` where the module is not there or measures nothing.
    pub shown: Option<Shown>,
    pub readings: Vec<Reading>,
}

/// What one class holds.
#[derive(Default)]
pub(super) struct Class {
    pub readings: Vec<Reading>,
    pub measured: Vec<Measured>,
    pub refusals: Vec<Refused>,
}

/// Which groups were there in the record before: one that goes is absent once.
pub(super) type Present = BTreeSet<(usize, usize)>;

/// Reads one class. `class` is its number, which the record has proven.
pub(super) fn read(
    record: &Record,
    block: &SubRecord,
    class: usize,
    present: &mut Present,
) -> Class {
    let mut out = Class::default();
    let part = record.part(block);
    let groups = CLASSES.get(class).map_or(&[][..], |(_, groups)| groups);
    for (index, group) in groups.iter().enumerate() {
        let head = if group.headed { group } else { groups.first().unwrap_or(group) };
        let head_at = CLASS_AT + head.at;
        let (Some(status), Some(label)) = (part.u32(head_at), part.u16(head_at + 4)) else {
            continue;
        };
        let time = part.u32(0).unwrap_or(record.time);
        let was_there = present.remove(&(class, index));
        let here = Here { part, group, status, label, level: record.level, time };
        let reason = match (status & 1 != 0, status & 2 != 0) {
            (true, true) => None,
            (true, false) => Some(AbsentReason::NotMeasured),
            (false, _) if was_there => Some(AbsentReason::NotAvailable),
            // No module: nothing was said about anything.
            (false, _) => {
                here.nothing_measured(&mut out);
                continue;
            }
        };
        if status & 1 != 0 {
            present.insert((class, index));
        }
        here.read(reason, &mut out);
    }
    out
}

/// One group in its record.
struct Here<'a> {
    part: Part<'a>,
    group: &'a Group,
    status: u32,
    label: u16,
    level: u8,
    time: u32,
}

impl Here<'_> {
    fn read(&self, reason: Option<AbsentReason>, out: &mut Class) {
        let mut cuff = Vec::new();
        for field in self.group.fields {
            let at = CLASS_AT + field.at;
            match (field.form, field.means) {
                (_, Means::NotRead) | (Form::Bytes(_), _) => {}
                (Form::U32, _) => out.readings.extend(self.bits(field, at, reason)),
                (Form::I16, Means::PostTetanic) => self.post_tetanic(at, reason, out),
                (Form::I16, means) => {
                    let Some(raw) = self.part.i16(at) else { continue };
                    let Some(reading) = self.reading(field, raw, at, reason) else { continue };
                    match self.kind(means) {
                        Some(Kind::Cuff) => cuff.push((raw, reading)),
                        Some(kind) => {
                            out.measured.push(self.measured(kind, vec![(raw, reading)], reason));
                        }
                        None => out.readings.push(reading),
                    }
                }
            }
        }
        if !cuff.is_empty() {
            out.measured.push(self.measured(Kind::Cuff, cuff, reason));
        }
    }

    fn nothing_measured(&self, out: &mut Class) {
        let kinds = self.group.fields.iter().filter_map(|field| self.kind(field.means));
        for kind in kinds {
            if out.measured.iter().all(|known| known.kind != kind) {
                out.measured.push(Measured { kind, shown: None, readings: Vec::new() });
            }
        }
    }

    /// Which measurement a field belongs to. A cardiac output that is measured all the time is
    /// none: only one by bolus is (label bits 2 to 4).
    fn kind(&self, means: Means) -> Option<Kind> {
        match means {
            Means::Cuff(_) | Means::CuffUnmapped => Some(Kind::Cuff),
            Means::CardiacOutput if (self.label >> 2) & 7 == 1 => Some(Kind::CardiacOutput),
            Means::Wedge => Some(Kind::Wedge),
            Means::CardiacOutput
            | Means::Parameter(_)
            | Means::Unmapped
            | Means::HeartRate
            | Means::Pressure(_)
            | Means::Temperature
            | Means::Co2Rate
            | Means::AgentExpired
            | Means::AgentInspired
            | Means::MixedVenous
            | Means::PostTetanic
            | Means::Bits
            | Means::NotRead => None,
        }
    }

    fn measured(
        &self,
        kind: Kind,
        raw: Vec<(i16, Reading)>,
        reason: Option<AbsentReason>,
    ) -> Measured {
        let bit = |bit: u16| self.label & (1 << bit) != 0;
        let (is_old, is_measuring) = match kind {
            // Calibrating is no measurement either.
            Kind::Cuff => (bit(8), bit(5) || bit(7)),
            Kind::CardiacOutput => (bit(0), false),
            Kind::Wedge => (bit(1), false),
        };
        let (values, readings): (Vec<i16>, Vec<Reading>) = raw.into_iter().unzip();
        let is_empty = values.iter().all(|raw| *raw <= MARKS_FROM);
        let shown = Shown { time: self.time, values, is_old, is_measuring, is_empty };
        Measured { kind, shown: reason.is_none().then_some(shown), readings }
    }

    fn reading(
        &self,
        field: &Field,
        raw: i16,
        at: usize,
        reason: Option<AbsentReason>,
    ) -> Option<Reading> {
        let (reason, mark) = match reason {
            Some(reason) => (Some(reason), None),
            None => mark_of(raw, MARKS_FROM),
        };
        let value = match reason {
            Some(reason) => Value::absent(&raw.to_string(), reason),
            None => Value::number(&scaled(i64::from(raw), field.step)?)?,
        };
        let mut reading = self.named(field.name, self.parameter(field.means), value, at..at + 2);
        if !field.unit.is_empty() {
            reading.unit = Some(DeviceUnit::text(field.unit));
        }
        reading.flags.extend(mark.map(|mark| Flag(mark.to_owned())));
        if field.means == Means::HeartRate {
            let (source, words, _) = labels::heart_rate_source(self.status);
            reading.method.push(Coding::new(&source.to_string(), words, SYSTEM));
            if source == 0 {
                reading.flags.push(Flag("heart-rate-source-not-stated".to_owned()));
            }
        }
        self.marks(&mut reading);
        Some(reading)
    }

    /// A reading under the name of its field, with what its label says.
    fn named(
        &self,
        field: &str,
        parameter: Option<&str>,
        value: Value,
        at: Range<usize>,
    ) -> Reading {
        let name = format!("{}.{field}", self.group.name);
        let code = match parameter {
            Some(parameter) => DeviceCode::Parameter(parameter.to_owned()),
            None => DeviceCode::Codings(vec![Coding::new(&name, "", SYSTEM)]),
        };
        let mut reading = Reading::new(code, value, self.part.place(at));
        self.group.name.clone_into(&mut reading.sub_id);
        reading.body_site =
            self.label_words().map(|words| Coding::new(&self.label.to_string(), words, SYSTEM));
        reading
    }

    /// The words of a label that says where or what is measured.
    fn label_words(&self) -> Option<&'static str> {
        let has = |wanted: fn(&Means) -> bool| self.group.fields.iter().any(|f| wanted(&f.means));
        let unlisted = "not listed";
        if has(|means| matches!(means, Means::Pressure(_))) {
            return Some(labels::pressure(self.label).unwrap_or(unlisted));
        }
        if has(|means| matches!(means, Means::Temperature)) {
            return Some(labels::temperature(self.label).map_or(unlisted, |(words, _)| words));
        }
        if has(|means| matches!(means, Means::AgentExpired)) {
            return Some(labels::agent(self.label).map_or(unlisted, |(words, _)| words));
        }
        None
    }

    fn parameter(&self, means: Means) -> Option<&'static str> {
        match means {
            Means::Parameter(name) | Means::Cuff(name) => Some(name),
            Means::HeartRate => labels::heart_rate_source(self.status).2,
            Means::Pressure(part) => labels::pressure_parameter(self.label, part),
            Means::Temperature => labels::temperature(self.label)?.1,
            Means::AgentExpired => labels::agent(self.label)?.1.map(|(expired, _)| expired),
            Means::AgentInspired => labels::agent(self.label)?.1.map(|(_, inspired)| inspired),
            // From level 8 on always the gas module's; before, what bits 0 to 2 of the label say.
            Means::Co2Rate if self.level >= 8 => Some("co2-resp-rate"),
            Means::Co2Rate => match self.label & 7 {
                1 => Some("co2-resp-rate"),
                2 => Some("tthor-resp-rate"),
                _ => None,
            },
            Means::MixedVenous => (self.label & 3 == 2).then_some("sat-o2-ven"),
            Means::CardiacOutput => match (self.label >> 2) & 7 {
                1 => Some("output-card"),
                2 => Some("output-card-cts"),
                _ => None,
            },
            Means::Wedge => Some("press-bld-art-pulm-wedge"),
            Means::Unmapped
            | Means::PostTetanic
            | Means::CuffUnmapped
            | Means::Bits
            | Means::NotRead => None,
        }
    }

    /// What the group's status says beside its first two bits.
    fn marks(&self, reading: &mut Reading) {
        for mark in self.group.marks.iter().filter(|mark| self.status & (1 << mark.bit) != 0) {
            reading.flags.push(Flag(mark.words.to_owned()));
            if let (Some(reason), None) = (mark.absent, reading.value.absent_reason()) {
                reading.value = Value::absent(reading.value.as_sent(), reason);
            }
        }
    }

    /// 32 bits under the field's name, in hexadecimal.
    fn bits(&self, field: &Field, at: usize, reason: Option<AbsentReason>) -> Option<Reading> {
        let text = format!("0x{:08X}", self.part.u32(at)?);
        let value = match reason {
            Some(reason) => Value::absent(&text, reason),
            None => Value::text(&text),
        };
        Some(self.named(field.name, None, value, at..at + 4))
    }

    /// Bits 0 to 4: post-tetanic count, at most 21, 31 for "not available". Bits 5 to 8: twitches
    /// counted. Bits 9 to 15: stimulus current.
    fn post_tetanic(&self, at: usize, reason: Option<AbsentReason>, out: &mut Class) {
        let Some(raw) = self.part.i16(at) else { return };
        let (mark, flag) = mark_of(raw, POST_TETANIC_MARKS_FROM);
        let reason = reason.or(mark);
        let bits = raw.cast_unsigned();
        for (name, bits, unit) in [
            ("ptc", bits & 0x1f, ""),
            ("count", (bits >> 5) & 0xf, ""),
            ("current", bits >> 9, "mA"),
        ] {
            let value = match reason {
                Some(reason) => Value::absent(&raw.to_string(), reason),
                None if name == "ptc" && bits == 31 => {
                    Value::absent("31", AbsentReason::NotAvailable)
                }
                None if name == "ptc" && bits > 21 || name == "count" && bits > 4 => {
                    let what = format!("nmt.{name}: {bits} is more than there can be");
                    let at = self.part.place(at..at + 2);
                    out.refusals.push(Refused::new(Why::Unreadable, at, what));
                    continue;
                }
                None => Value::read(&bits.to_string()),
            };
            let mut reading = self.named(name, None, value, at..at + 2);
            reading.flags.extend(flag.map(|flag| Flag(flag.to_owned())));
            if !unit.is_empty() {
                reading.unit = Some(DeviceUnit::text(unit));
            }
            out.readings.push(reading);
        }
    }
}

/// Why a raw integer is no value, if it is none, and the mark in words (facts/monitors.md 2.3).
fn mark_of(raw: i16, from: i16) -> (Option<AbsentReason>, Option<&'static str>) {
    if raw > from {
        return (None, None);
    }
    match raw {
        -32767 => (Some(AbsentReason::Invalid), None),
        -32766 => (Some(AbsentReason::NotAvailable), Some("not-updated")),
        -32764 => (Some(AbsentReason::UnderRange), None),
        -32763 => (Some(AbsentReason::OverRange), None),
        -32762 => (Some(AbsentReason::Invalid), Some("not-calibrated")),
        _ => (Some(AbsentReason::NotStated), None),
    }
}

/// The patient's body surface of an auxiliary sub-record, as somebody has entered it.
pub(super) fn body_surface(part: Part<'_>) -> Option<Reading> {
    const AT: usize = 14;
    let raw = part.i16(AT)?;
    let value = match (mark_of(raw, MARKS_FROM).0, raw) {
        (Some(reason), _) => Value::absent(&raw.to_string(), reason),
        (None, 0) => Value::absent("0", AbsentReason::NotStated),
        (None, raw) => Value::number(&scaled(i64::from(raw), "0.01")?)?,
    };
    let code = DeviceCode::Codings(vec![Coding::new("aux.pat_bsa", "", SYSTEM)]);
    let mut reading = Reading::new(code, value, part.place(AT..AT + 2));
    reading.unit = Some(DeviceUnit::text("m2"));
    reading.nature = crate::vocabulary::Nature::Setting;
    Some(reading)
}
