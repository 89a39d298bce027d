//! A block's content as groups of readings: segments are walked, no grammar is enforced.
//!
//! | segment | effect |
//! |---|---|
//! | PID | a new patient; specimen and order are forgotten |
//! | PV1 | its place; without a PID in front of it the patient before it is forgotten |
//! | SPM, SAC | before the first OBR (OUL^R22): a new specimen, the order is forgotten |
//! | SPM, SAC | else (ORU^R01, OUL^R24): the specimen of the order before it |
//! | OBR | a new group with its own time (OBR-7) |
//! | OBX | a reading of the group |
//! | NTE | a remark on the group |
//! | any other | looked at by control sample rules only |
//!
//! A segment that is damaged and may have been one of those (`OB|`, `pid|`) ends patient, specimen
//! and order: what follows belongs to nobody rather than to the wrong one. Other odd lines end
//! nothing, but words in an OBX that stops at its value, right before an odd line, may be cut in
//! two (`No growth` CR `in 24 h, then E. coli`): they are refused. Order and repetition of segments
//! vary from device to device: facts/lab.md 3.2.
//!
//! A value without OBX-18 has the equipment of the nearest row above it in the device's structure,
//! by OBX-4: facts/semantics.md 1.1 (OBX-18), facts/monitors.md 6.

use super::charset::{Charset, is_plain};
use super::known::Known;
use super::result::{self, Manner};
use super::segments::{Line, Odd, Segment};
use super::subject;
use super::wire::Wire;
use crate::protocol::utf8::CHARSET_GUESSED;
use crate::vocabulary::{DeviceTime, Group, Reading, Refused, Why};

/// What a message says.
#[derive(Debug, Default)]
pub struct Said {
    pub groups: Vec<Group>,
    pub refusals: Vec<Refused>,
}

/// Where the specimen of a group may stand relative to its OBR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecimenOrder {
    /// OUL^R22: SPM, then the orders on it.
    First,
    /// ORU^R01, OUL^R24: the order, then its specimen.
    Last,
}

impl SpecimenOrder {
    /// As the message itself has it: whichever of specimen and order comes first.
    pub fn of(lines: &[Line]) -> Self {
        let mut ids = lines.iter().filter_map(|line| match line {
            Line::Segment(segment) => Some(segment.id),
            Line::Odd { .. } => None,
        });
        match ids.find(|id| matches!(id, b"SPM" | b"SAC" | b"OBR")) {
            Some([b'S', ..]) => Self::First,
            _ => Self::Last,
        }
    }
}

/// A monitor's message has fewer rows.
const ROWS_USUAL: usize = 24;

/// OBX-11, the status of a result.
const OBX_STATUS: usize = 11;

/// Walks the lines of a message. `msh` is the first of them.
pub fn read(
    wire: &Wire,
    msh: &Segment,
    lines: &[Line],
    manner: &Manner,
    order: SpecimenOrder,
    known: &mut Known,
) -> Said {
    let mut walk = Walk {
        wire,
        msh,
        manner,
        order,
        known,
        patient: Vec::new(),
        specimen: Vec::new(),
        pending: Vec::new(),
        draft: None,
        said: Said::default(),
    };
    for (number, line) in lines.iter().enumerate() {
        match line {
            Line::Segment(segment) if walk.is_legible(segment) => walk.segment(segment),
            Line::Segment(segment) => walk.illegible(segment),
            Line::Odd { at, odd } => {
                walk.said.refusals.push(Refused::new(
                    Why::OddSegment,
                    at.clone(),
                    format!("line {}: {}", number + 1, expected(*odd)),
                ));
                walk.odd(*odd);
            }
        }
    }
    walk.end(lines);
    if wire.guessed() {
        for reading in walk.said.groups.iter_mut().flat_map(|group| &mut group.readings) {
            reading.flags.push(crate::vocabulary::Flag(CHARSET_GUESSED.to_owned()));
        }
    }
    // Last: what nobody reads is no doubt about what was read.
    refuse_unread_text(wire, lines, &mut walk.said.refusals);
    walk.said
}

/// Fields that nobody reads (a name, an address) are no reason to lose a value, but that their
/// bytes are not what the message claims is said: once per segment.
fn refuse_unread_text(wire: &Wire, lines: &[Line], refusals: &mut Vec<Refused>) {
    // As a rule all of it is plain.
    if is_plain(wire.raw) {
        return;
    }
    for line in lines {
        let Line::Segment(segment) = line else { continue };
        let Err(refused) = wire.legible(&segment.at) else { continue };
        let known = refusals.iter().any(|of| {
            of.why == Why::Charset && segment.at.start <= of.at.start && of.at.end <= segment.at.end
        });
        if !known {
            refusals.push(refused);
        }
    }
}

fn expected(odd: Odd) -> &'static str {
    match odd {
        Odd::Blank => "expected a segment, got a blank line",
        Odd::BadId => "expected a segment id of three capitals or digits and a field separator",
        Odd::DamagedContext => {
            "expected a segment id, got one that is damaged; what follows belongs to nobody"
        }
        Odd::BareUnknownId => "expected a segment, got three letters that are no known segment",
    }
}

struct Walk<'a> {
    wire: &'a Wire<'a>,
    msh: &'a Segment,
    manner: &'a Manner<'a>,
    order: SpecimenOrder,
    known: &'a mut Known,
    /// PID and what describes the same patient and visit.
    patient: Vec<&'a Segment>,
    /// SPM, SAC and what describes the same specimen, ahead of the orders on it.
    specimen: Vec<&'a Segment>,
    /// Segments that wait for the next OBR, such as ORC.
    pending: Vec<&'a Segment>,
    draft: Option<Draft<'a>>,
    said: Said,
}

/// A group in the making, with every segment that says something about it.
struct Draft<'a> {
    context: Vec<&'a Segment>,
    readings: Vec<Reading>,
    structure: Structure,
    /// The last segment is an OBX with a value that ends it.
    may_be_cut: bool,
    remarks: Vec<String>,
}

impl<'a> Walk<'a> {
    /// In a character set whose second bytes may look like delimiters, a segment that is not plain
    /// ASCII cannot even be taken apart.
    fn is_legible(&self, segment: &Segment) -> bool {
        self.wire.charset != Charset::AsciiPartOnly || self.wire.legible(&segment.at).is_ok()
    }

    fn illegible(&mut self, segment: &Segment) {
        if matches!(&segment.id, b"PID" | b"PV1" | b"SPM" | b"SAC" | b"ORC" | b"OBR") {
            self.forget();
        }
    }

    fn odd(&mut self, odd: Odd) {
        if odd == Odd::Blank {
            return;
        }
        if let Some(draft) = &mut self.draft
            && std::mem::take(&mut draft.may_be_cut)
            && let Some(reading) = draft.readings.pop()
        {
            let detail = "expected the rest of the OBX; its value may be cut by a line end";
            self.said.refusals.push(Refused::new(Why::Unreadable, reading.at, detail));
        }
        if odd == Odd::DamagedContext {
            self.forget();
        }
    }

    /// The message is over. An OBX that neither ends its line nor has come to its status may be
    /// cut: its value, or the mark that it is a demo, may stand in what is missing.
    fn end(&mut self, lines: &[Line]) {
        if let Some(Line::Segment(last)) = lines.last()
            && last.id == *b"OBX"
            && last.field_count() < OBX_STATUS
            && !matches!(self.wire.bytes(&(last.at.end..last.at.end + 1)), [b'\r' | b'\n'])
            && let Some(draft) = &mut self.draft
            && draft.readings.last().is_some_and(|reading| {
                last.at.start <= reading.at.start && reading.at.end <= last.at.end
            })
            && let Some(reading) = draft.readings.pop()
        {
            let detail = "the message ends inside this OBX: expected OBX-11 or the end of the line";
            self.said.refusals.push(Refused::new(Why::TooShort, reading.at, detail));
        }
        self.close();
    }

    fn segment(&mut self, segment: &'a Segment) {
        if let Some(draft) = &mut self.draft {
            draft.may_be_cut = false;
        }
        match &segment.id {
            b"MSH" => {}
            b"PID" => {
                self.forget();
                self.patient.push(segment);
            }
            b"PV1" => {
                if self.draft.is_some() || !self.specimen.is_empty() {
                    self.forget();
                }
                self.patient.push(segment);
            }
            b"SPM" if self.order == SpecimenOrder::First => {
                self.close();
                self.specimen.clear();
                self.pending.clear();
                self.specimen.push(segment);
            }
            b"SAC" if self.order == SpecimenOrder::First => {
                self.close();
                // A container with its own data follows the one before it under the same SPM.
                self.specimen.retain(|of| of.id == *b"SPM");
                self.pending.clear();
                self.specimen.push(segment);
            }
            b"OBR" => {
                self.close();
                self.open(Some(segment));
            }
            b"OBX" => self.observation(segment),
            b"NTE" => self.remark(segment),
            _ => self.other(segment),
        }
    }

    fn observation(&mut self, obx: &'a Segment) {
        if self.draft.is_none() {
            self.open(None);
        }
        let Some(draft) = &mut self.draft else { return };
        let read = self.known.read(self.wire, obx, self.manner, &draft.structure);
        draft.context.push(obx);
        match read {
            Ok(Some(reading)) => {
                draft.may_be_cut =
                    obx.field_count() == 5 && reading.value.absent_reason().is_none();
                draft.readings.push(reading);
            }
            Ok(None) => {
                let sub_id = self.wire.field_text(obx, 4);
                let equipment = result::equipment(self.wire, obx);
                if let (Ok(sub_id), Ok(equipment)) = (sub_id, equipment) {
                    draft.structure.add(&sub_id, equipment);
                }
            }
            Err(refused) => self.said.refusals.push(refused),
        }
    }

    fn remark(&mut self, nte: &'a Segment) {
        let text = self.keep(self.wire.field_text(nte, 3));
        if let (Some(draft), Some(text)) = (&mut self.draft, text)
            && !text.trim().is_empty()
            && text != "\"\""
        {
            draft.remarks.push(text);
        }
    }

    fn other(&mut self, segment: &'a Segment) {
        let ahead_of_order = segment.id == *b"ORC"
            && self.draft.as_ref().is_none_or(|draft| !draft.readings.is_empty());
        match &mut self.draft {
            Some(draft) if !ahead_of_order => draft.context.push(segment),
            Some(_) => self.pending.push(segment),
            None if ahead_of_order => self.pending.push(segment),
            None if !self.specimen.is_empty() => self.specimen.push(segment),
            None => self.patient.push(segment),
        }
    }

    fn open(&mut self, obr: Option<&'a Segment>) {
        let mut context = Vec::with_capacity(ROWS_USUAL);
        context.push(self.msh);
        context.extend(&self.patient);
        context.extend(&self.specimen);
        context.append(&mut self.pending);
        context.extend(obr);
        self.draft = Some(Draft {
            context,
            readings: Vec::with_capacity(ROWS_USUAL),
            structure: Structure::default(),
            may_be_cut: false,
            remarks: Vec::new(),
        });
    }

    /// From here on nothing is known of patient, specimen and order.
    fn forget(&mut self) {
        self.close();
        self.patient.clear();
        self.specimen.clear();
        self.pending.clear();
    }

    fn close(&mut self) {
        let Some(draft) = self.draft.take() else { return };
        if draft.readings.is_empty() {
            return;
        }
        let subject =
            subject::read(self.wire, &draft.context, self.manner, &mut self.said.refusals);
        let mode = subject::mode(self.wire, &draft.context, self.manner.profile);
        let obr = draft.context.iter().rev().find(|segment| segment.id == *b"OBR");
        let time = obr.and_then(|obr| self.keep(self.wire.field_text(obr, 7)));
        let time = time.filter(|text| !text.trim().is_empty() && text != "\"\"");
        let shared = Group {
            subject,
            mode,
            time: time.map(|text| DeviceTime::read(&text, self.manner.zone)),
            event: self.manner.event.clone(),
            readings: Vec::new(),
            remarks: draft.remarks,
        };
        self.said.groups.extend(by_mode(shared, draft.readings));
    }

    fn keep<T>(&mut self, read: Result<T, Refused>) -> Option<T> {
        read.map_err(|refused| self.said.refusals.push(refused)).ok()
    }
}

/// The rows that tell a device's structure: OBX-4 without its trailing zeros, and OBX-18.
#[derive(Default)]
pub struct Structure(Vec<(Vec<String>, Vec<String>)>);

impl Structure {
    fn add(&mut self, sub_id: &str, equipment: Vec<String>) {
        let mut parts: Vec<String> = sub_id.split('.').map(str::to_owned).collect();
        while parts.last().is_some_and(|part| part == "0") {
            parts.pop();
        }
        if !equipment.is_empty() {
            self.0.push((parts, equipment));
        }
    }

    /// The equipment of the nearest row above this OBX-4; empty without one.
    pub fn above(&self, sub_id: &str) -> &[String] {
        if self.0.is_empty() {
            return &[];
        }
        let parts: Vec<&str> = sub_id.split('.').collect();
        let above = self.0.iter().filter(|(row, _)| {
            row.len() < parts.len() && row.iter().zip(&parts).all(|(a, b)| a == b)
        });
        above
            .max_by_key(|(row, _)| row.len())
            .map(|(_, equipment)| equipment.as_slice())
            .unwrap_or_default()
    }

    /// Gives a reading without equipment that of the nearest row above it.
    pub fn complete(&self, reading: &mut Reading) {
        let above = self.above(&reading.sub_id);
        if reading.equipment.is_empty() && !above.is_empty() {
            reading.equipment = above.to_vec();
        }
    }
}

/// One group per mode: a demo value never shares a group with a patient's.
fn by_mode(shared: Group, readings: Vec<Reading>) -> Vec<Group> {
    let mode_of = |reading: &Reading| subject::mode_of_reading(shared.mode, reading);
    if readings.iter().all(|reading| mode_of(reading) == shared.mode) {
        return vec![Group { readings, ..shared }];
    }
    let mut groups: Vec<Group> = Vec::new();
    for reading in readings {
        let mode = mode_of(&reading);
        match groups.iter_mut().find(|group| group.mode == mode) {
            Some(group) => group.readings.push(reading),
            None => groups.push(Group { mode, readings: vec![reading], ..shared.clone() }),
        }
    }
    groups
}
