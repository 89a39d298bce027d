//! A record as a message, by a destination map. Pure: the same record and map give the same bytes.
//!
//! | field | holds |
//! |---|---|
//! | MSH-7 | when the gateway kept the record |
//! | MSH-10 | the record id, the same each time it is sent |
//! | OBR-3 | the record that first stated the measurement; with OBX-3 and OBX-4 the observation id |
//! | OBR-7, OBX-14 | the chart time |
//! | OBR-29 | the record that this one corrects |
//! | OBX-5 | the text that the device sent, escaped |
//! | OBX-19 | the device's own time |
//! | NTE | what the message has no place for: place, doubts, remarks, values left out |
//!
//! Patient identifiers go out only where the record states a patient, and only in the forms that
//! the map names. What the device says of a patient is a statement and stays in the box.
//!
//! Sources: facts/semantics.md 1.1, 1.4, 1.5; facts/lab.md 3.2; INGESTION, "Bindings".

use super::map::{Form, KindTable, Map, Unplaced, Version, Way, WithoutPatient};
use super::place::Triplet;
use super::statement::{Metric, Patient, Statement};
use crate::forward::pump::Routed;
use crate::vocabulary::RecordId;
use result::{Entry, Frame};
use segment::{Segment, components, entity, hierarchic, sub_components, time, triplets};

mod names;
mod result;
pub mod segment;

pub use names::{Named, names};

/// What becomes of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The bytes of the message, without the block around them.
    Message(Vec<u8>),
    /// It has no place, for this reason.
    SetAside(&'static str),
    /// The map does without such records.
    NotForHere,
    /// The journal gave something that is no record.
    Damaged,
}

/// Renders one record.
pub fn render(map: &Map, routed: &Routed) -> Outcome {
    let data = &routed.stored.data;
    let statement = data.contains_key("metrics").then(|| Statement::read(data));
    let of_laboratory = |statement: &Statement| is_laboratory(map, statement);
    let laboratory = statement.as_ref().and_then(Option::as_ref).is_some_and(of_laboratory);
    match (map.way(routed.stored.kind, laboratory), statement) {
        (Way::Without, _) => Outcome::NotForHere,
        (Way::NoPlace, _) => Outcome::SetAside("no-place-for-such-records"),
        (Way::Message(_), None | Some(None)) => Outcome::Damaged,
        (Way::Message(table), Some(Some(statement))) => {
            let message = Message { map, table, routed, statement: &statement };
            message.render().unwrap_or_else(|outcome| outcome)
        }
    }
}

/// A result has a specimen, or is of parameters that only analysers measure.
fn is_laboratory(map: &Map, statement: &Statement) -> bool {
    let mut parameters =
        statement.metrics.iter().filter_map(|metric| metric.parameter.as_deref()).peekable();
    let all_are = parameters.peek().is_some() && parameters.all(|name| map.is_of_laboratory(name));
    statement.specimen.is_some() || all_are
}

struct Message<'a> {
    map: &'a Map,
    table: &'a KindTable,
    routed: &'a Routed,
    statement: &'a Statement,
}

/// Values that were first stated by the same record.
struct Group {
    first_stated: RecordId,
    entries: Vec<Entry>,
    statuses: Vec<String>,
}

impl Message<'_> {
    fn render(&self) -> Result<Outcome, Outcome> {
        let Statement { mode, held, metrics, patient, .. } = self.statement;
        if mode != "production" || !held.is_empty() {
            return Err(Outcome::SetAside("not-production"));
        }
        if metrics.is_empty() {
            return Err(Outcome::SetAside("no-values"));
        }
        if patient.is_none() && self.map.file().without_patient == WithoutPatient::SetAside {
            return Err(Outcome::SetAside("no-patient"));
        }
        let chart_time = time(&self.statement.times.chart.utc).ok_or(Outcome::Damaged)?;
        let kept = segment::time_of_us(self.routed.time_us).ok_or(Outcome::Damaged)?;
        let (groups, left_out) = self.groups(&chart_time)?;
        let mut lines = vec![self.header(&kept)];
        lines.extend(self.patient()?);
        if self.table.message == Form::OulR22 {
            lines.push(self.specimen()?);
        }
        for (number, group) in groups.iter().enumerate() {
            lines.push(self.order(number + 1, group, &chart_time, &kept));
            let notes = if number == 0 { self.notes(&left_out) } else { Vec::new() };
            lines.extend(numbered(&notes));
            for (number, entry) in group.entries.iter().enumerate() {
                lines.push(entry.obx.clone().written(1, (number + 1).to_string()));
                lines.extend(numbered(&entry.notes));
            }
        }
        let text: String = lines.iter().map(Segment::line).collect();
        let bytes = self.map.charset().encode(&text);
        bytes.map(Outcome::Message).ok_or(Outcome::SetAside("character-not-in-charset"))
    }

    /// The values by the record that first stated them, and what has no place.
    fn groups(&self, chart_time: &str) -> Result<(Vec<Group>, Vec<String>), Outcome> {
        let device = self.statement.times.device.as_ref();
        let device_time = device.and_then(|device| time(device.utc.as_deref()?));
        let frame = Frame {
            map: self.map,
            table: self.table,
            subject: &self.routed.stored.subject,
            chart_time,
            device_time: device_time.as_deref(),
        };
        let mut groups: Vec<Group> = Vec::new();
        let mut left_out = Vec::new();
        for metric in &self.statement.metrics {
            let (first_stated, index) = first_stated(metric).ok_or(Outcome::Damaged)?;
            let entry = match frame.entry(metric, index) {
                Ok(entry) => entry,
                Err(why) => {
                    left_out.push(format!("{} ({})", metric.name(), why.as_str()));
                    continue;
                }
            };
            let status = entry.obx.field(11).to_owned();
            match groups.iter_mut().find(|group| group.first_stated == first_stated) {
                Some(group) => {
                    group.entries.push(entry);
                    group.statuses.push(status);
                }
                None => groups.push(Group {
                    first_stated,
                    entries: vec![entry],
                    statuses: vec![status],
                }),
            }
        }
        if groups.is_empty() {
            return Err(Outcome::SetAside("no-value-has-a-place"));
        }
        if !left_out.is_empty() && self.map.file().unplaced == Unplaced::SetAside {
            return Err(Outcome::SetAside("a-value-has-no-place"));
        }
        self.identities_are_good(&groups)?;
        Ok((groups, left_out))
    }

    /// OBR-3, OBX-3 and OBX-4 name one value each.
    fn identities_are_good(&self, groups: &[Group]) -> Result<(), Outcome> {
        for group in groups {
            let mut seen: Vec<(&str, &str)> = Vec::new();
            for entry in &group.entries {
                let identity = (entry.obx.field(3), entry.obx.field(4));
                if !is_sub_id(identity.1) {
                    return Err(Outcome::SetAside("sub-id-is-none"));
                }
                if seen.contains(&identity) {
                    return Err(Outcome::SetAside("sub-id-not-unique"));
                }
                seen.push(identity);
            }
        }
        Ok(())
    }

    fn header(&self, kept: &str) -> Segment {
        let file = self.map.file();
        let facility = |party: &super::map::Party| party.facility.as_ref().map(hierarchic);
        let (code, event, structure) = message_type(self.table.message);
        let structure = if file.version == Version::V23 { "" } else { structure };
        let asked = file.acknowledgement;
        Segment::new("MSH")
            .written(1, "|")
            .written(2, "^~\\&")
            .written(3, hierarchic(&file.sender.application))
            .written(4, facility(&file.sender).unwrap_or_default())
            .written(5, hierarchic(&file.receiver.application))
            .written(6, facility(&file.receiver).unwrap_or_default())
            .written(7, kept)
            .written(9, components(&[code, event, structure]))
            .text(10, self.routed.id().as_str())
            .written(11, "P")
            .written(12, file.version.as_str())
            .written(15, asked.accept.map_or("", |when| when.as_str()))
            .written(16, asked.application.map_or("", |when| when.as_str()))
            .text(18, &file.charset)
            .written(21, profile(self.table.message))
    }

    /// PID, PD1 where the data are protected, and PV1, where the record states a patient.
    fn patient(&self) -> Result<Vec<Segment>, Outcome> {
        let Some(Patient { ids }) = &self.statement.patient else { return Ok(Vec::new()) };
        let table = &self.map.file().patient;
        let mut forms = Vec::new();
        for known in &table.identifier {
            let of_it = ids.iter().filter(|id| {
                id.authority.strip_prefix("urn:oid:").unwrap_or(&id.authority) == known.authority
            });
            forms.extend(of_it.map(|id| {
                let authority = sub_components(&[&known.namespace, &known.authority, "ISO"]);
                let (id, kind) = (segment::text_of(&id.id), segment::text_of(&known.id_type));
                format!("{id}^^^{authority}^{kind}")
            }));
        }
        if forms.is_empty() {
            return Err(Outcome::SetAside("no-identifier-for-here"));
        }
        let pid =
            Segment::new("PID").written(1, "1").written(3, forms.join("~")).written(5, "^^^^^^U");
        let mut lines = vec![pid];
        if self.statement.patient_protected && table.protection_indicator {
            // Protection indicator (HL7 v2 chapter 3, table 0136): kept from whoever has no need.
            lines.push(Segment::new("PD1").written(12, "Y"));
        }
        if let Some(class) = &table.class {
            let place = self.place().unwrap_or_default();
            let parts: Vec<&str> = place.split('/').collect();
            let (ward, room, bed) = match parts.as_slice() {
                [ward] => (*ward, String::new(), ""),
                [ward, inner @ .., bed] => (*ward, inner.join("/"), *bed),
                [] => ("", String::new(), ""),
            };
            let facility = table.facility.as_deref().unwrap_or_default();
            let location = components(&[ward, &room, bed, facility]);
            lines.push(Segment::new("PV1").text(2, class).written(3, location));
        }
        Ok(lines)
    }

    fn place(&self) -> Option<&str> {
        self.statement.association.as_ref()?.place.as_deref().filter(|place| !place.is_empty())
    }

    fn specimen(&self) -> Result<Segment, Outcome> {
        let Some(specimen) = &self.statement.specimen else {
            return Err(Outcome::SetAside("no-specimen"));
        };
        let kind = match (&self.table.specimen_type, specimen.kind.as_str()) {
            (Some(code), "") => triplets(&[Triplet::local(code)]),
            (None, "") => return Err(Outcome::SetAside("no-specimen-type")),
            (_, words) => components(&["", words]),
        };
        let namespace = self.table.specimen_namespace.as_deref().unwrap_or_default();
        let id = sub_components(&[&specimen.id, namespace]);
        Ok(Segment::new("SPM").written(1, "1").written(2, id).written(4, kind))
    }

    fn order(&self, number: usize, group: &Group, chart_time: &str, kept: &str) -> Segment {
        let application = &self.map.file().sender.application;
        let filler = entity(group.first_stated.as_str(), application);
        let mut obr = Segment::new("OBR")
            .written(1, number.to_string())
            .written(2, self.placer())
            .written(3, filler)
            .written(4, self.service())
            .written(7, chart_time);
        if !self.table.message.is_pcd() {
            obr = obr.written(22, kept).written(25, status_of_all(&group.statuses));
        }
        if self.map.file().version == Version::V23 {
            // Version 2.3 requires a quantity; one is the standard's own default.
            obr = obr.written(27, "1");
        }
        if let Some(names) = &self.statement.names {
            obr = obr.written(29, format!("^{}", segment::entity_inside(names, application)));
        }
        obr
    }

    fn placer(&self) -> String {
        let specimen = self.statement.specimen.as_ref();
        match (specimen, &self.table.specimen_namespace) {
            (Some(specimen), Some(namespace)) if self.table.message == Form::OruR01 => {
                components(&[&specimen.id, namespace])
            }
            (Some(_) | None, _) => String::new(),
        }
    }

    /// What was ordered, where the record says so with all that OBR-4 needs.
    fn service(&self) -> String {
        let own = triplets(&[Triplet::local(&self.table.service)]);
        let Some(ordered) = &self.statement.ordered else { return own };
        // A test id of ASTM E1394 holds the laboratory's own code in its fourth component.
        let code = match ordered.code.strip_prefix("^^^") {
            Some(local) => local.split('^').next().unwrap_or_default(),
            None => &ordered.code,
        };
        let lacks_words = self.table.message.is_pcd() && ordered.words.is_empty();
        if code.is_empty() || lacks_words {
            return own;
        }
        components(&[code, &ordered.words, &ordered.system])
    }

    fn notes(&self, left_out: &[String]) -> Vec<String> {
        let statement = self.statement;
        let mut notes = Vec::new();
        if self.routed.stored.data.contains_key("purpose") {
            notes.push("For the record, not for notification".to_owned());
        }
        if statement.patient.is_none() {
            let why = statement.patient_absent.as_deref().unwrap_or("not-stated");
            notes.push(format!("No patient: {why}"));
            if let Some(place) = self.place() {
                let grade = statement.association.as_ref().and_then(|one| one.grade.as_deref());
                notes.push(format!("Place: {place} ({})", grade.unwrap_or("not-stated")));
            }
        }
        if let Some(specimen) = &statement.specimen
            && self.placer().is_empty()
            && self.table.message != Form::OulR22
        {
            notes.push(format!("Specimen: {} {}", specimen.id, specimen.kind).trim().to_owned());
        }
        if statement.times.chart.rule.ends_with("unproven") {
            notes.push(format!("Time: {}", statement.times.chart.rule));
        }
        if statement.incomplete {
            notes.push("Incomplete: the device stopped in the middle of its message".to_owned());
        }
        if !left_out.is_empty() {
            notes.push(format!("Left out, without a place here: {}", left_out.join(", ")));
        }
        notes.extend(statement.remarks.iter().map(|remark| format!("Remark: {remark}")));
        notes
    }
}

/// The record and the index in an observation id.
fn first_stated(metric: &Metric) -> Option<(RecordId, usize)> {
    let (record, index) = metric.observation_id.rsplit_once('.')?;
    Some((RecordId::parse(record).ok()?, index.parse().ok()?))
}

/// One to six numbers: what a receiver of PCD-01 can read (facts/semantics.md 1.1, OBX-4).
fn is_sub_id(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').count() <= 6 && text.split('.').all(number)
}

fn numbered(notes: &[String]) -> impl Iterator<Item = Segment> {
    let written = |(number, note): (usize, &String)| {
        Segment::new("NTE").written(1, (number + 1).to_string()).text(3, note)
    };
    notes.iter().enumerate().map(written)
}

fn message_type(form: Form) -> (&'static str, &'static str, &'static str) {
    match form {
        Form::Pcd01 | Form::OruR01 => ("ORU", "R01", "ORU_R01"),
        Form::Pcd10 => ("ORU", "R42", "ORU_R01"),
        Form::Pcd04 => ("ORU", "R40", "ORU_R40"),
        Form::OulR22 => ("OUL", "R22", "OUL_R22"),
    }
}

/// MSH-21 (facts/semantics.md 1.1 and 1.5, facts/pumps.md 7).
fn profile(form: Form) -> &'static str {
    match form {
        Form::Pcd01 => "IHE_PCD_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.1.1^ISO",
        Form::Pcd10 => "IHE_PCD_010^IHE PCD^1.3.6.1.4.1.19376.1.6.4.10^ISO",
        Form::Pcd04 => "IHE_PCD_ACM_001^IHE PCD^1.3.6.1.4.1.19376.1.6.1.4.1^ISO",
        Form::OruR01 | Form::OulR22 => "",
    }
}

/// OBR-25 (HL7 table 0123): no better than the least of the results.
fn status_of_all(statuses: &[String]) -> &'static str {
    let any = |wanted: &[&str]| statuses.iter().any(|one| wanted.contains(&one.as_str()));
    let all = |wanted: &str| statuses.iter().all(|one| one == wanted);
    match () {
        () if any(&["C", "W"]) => "C",
        () if any(&["R"]) => "R",
        () if any(&["P", "I"]) => "P",
        () if all("X") => "X",
        () => "F",
    }
}

#[cfg(test)]
mod tests;
