//! Readings to observations: the vocabulary's codes beside the device's own words.
//!
//! Pure. It never edits a value, never converts a unit and never drops a reading: what it does not
//! know stays, unmapped and counted. One observation comes out per patient, specimen and time, and
//! per part of a device that can have a patient of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use rust_decimal::Decimal;

use crate::profile::{Profile, Protocol};
use crate::vocabulary::observation::{Doubt, Form};
use crate::vocabulary::placed::Placed;
use crate::vocabulary::reading::{Coding, Words};
use crate::vocabulary::value::decimal;
use crate::vocabulary::{
    CodedWords, DeviceCode, DeviceTime, DeviceUnit, Group, Metric, Observation, Parameter, Reading,
    Refused, Vocabulary, Why,
};

mod channel;
mod code;
mod waveform;

/// What became of the groups of one message.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    pub observations: Vec<Observation>,
    /// Values that the unit guard of a code table kept out.
    pub refusals: Vec<Refused>,
}

/// Maps the readings of one device.
pub struct Mapper {
    vocabulary: Arc<Vocabulary>,
    known: Known,
    rows: Vec<Row>,
    /// Index into `rows` by code; several rows may share a code under different systems.
    by_code: BTreeMap<String, Vec<usize>>,
    channels: channel::Channels,
}

/// What words became that a driver shares between messages: where there is a value, and where
/// there is none. Nothing else decides what they become.
struct Known([Placed<Words, Became>; 2]);

struct Became {
    coded: Arc<CodedWords>,
    doubts: Vec<Doubt>,
}

/// A few hundred parameters in several connections, a kilobyte each; all are forgotten beyond it.
const KNOWN_MAX: usize = 1024;

impl Default for Known {
    fn default() -> Self {
        Self([Placed::with_room(KNOWN_MAX), Placed::with_room(KNOWN_MAX)])
    }
}

impl Known {
    fn get(&self, words: &Arc<Words>, absent: bool) -> Option<&Became> {
        let [present, without] = &self.0;
        if absent { without.get(words) } else { present.get(words) }
    }

    fn note(&mut self, words: Arc<Words>, absent: bool, metric: &Metric) {
        let [present, without] = &mut self.0;
        let became = Became { coded: Arc::clone(&metric.words), doubts: metric.doubts.clone() };
        if absent { without.note(words, became) } else { present.note(words, became) }
    }
}

/// A row of the profile's code table.
struct Row {
    system: String,
    parameter: String,
    /// Units that may stand on the wire; empty accepts what the parameter accepts.
    units: Vec<String>,
}

impl Row {
    /// Whether this unit may stand on the wire.
    fn takes(&self, unit: Option<&DeviceUnit>) -> bool {
        let sent: Vec<&str> = unit
            .iter()
            .flat_map(|unit| &unit.codings)
            .flat_map(|coding| [coding.code.as_str(), coding.words.as_str()])
            .filter(|text| !text.is_empty())
            .collect();
        self.units.is_empty()
            || (sent.is_empty() && self.units.iter().any(String::is_empty))
            || sent.iter().any(|text| self.units.iter().any(|unit| unit == text))
    }
}

impl Mapper {
    /// A mapper for the device file in force with this firmware.
    pub fn new(profile: &Profile, firmware: &str, vocabulary: Arc<Vocabulary>) -> Self {
        let coded: Vec<(String, Row)> = match profile.protocol_for(firmware) {
            Protocol::Line(_)
            | Protocol::Frame(_)
            | Protocol::Dri(_)
            | Protocol::Unity(_)
            | Protocol::Medibus(_) => Vec::new(),
            Protocol::Astm(astm) => astm
                .results
                .into_iter()
                .map(|row| {
                    let (system, units) = (String::new(), vec![row.unit]);
                    (row.code, Row { system, parameter: row.parameter, units })
                })
                .collect(),
            Protocol::Hl7v2(hl7v2) => hl7v2
                .result
                .into_iter()
                .map(|row| {
                    let system = row.system.unwrap_or_default();
                    let units = row.units.unwrap_or_default();
                    (row.code, Row { system, parameter: row.parameter, units })
                })
                .collect(),
            Protocol::Intellivue(intellivue) => intellivue
                .numeric
                .into_iter()
                .map(|row| {
                    // Units come as codes: the parameter's own guard compares them.
                    let (system, units) = ("MDIL".to_owned(), Vec::new());
                    (row.code.into(), Row { system, parameter: row.parameter, units })
                })
                .collect(),
        };
        let mut mapper = Self {
            vocabulary,
            known: Known::default(),
            rows: Vec::new(),
            by_code: BTreeMap::new(),
            channels: channel::Channels::of(&profile.file().channel),
        };
        for (code, row) in coded {
            mapper.by_code.entry(code).or_default().push(mapper.rows.len());
            mapper.rows.push(row);
        }
        mapper
    }

    /// The observations of a message's groups, in their order.
    pub fn map(&self, groups: &[Group]) -> Mapped {
        self.mapped(groups.to_vec(), &mut Known::default())
    }

    /// Likewise, for who does not need the groups any more: nothing is copied, and what words
    /// became is remembered.
    pub fn map_owned(&mut self, groups: Vec<Group>) -> Mapped {
        let mut known = std::mem::take(&mut self.known);
        let mapped = self.mapped(groups, &mut known);
        self.known = known;
        mapped
    }

    fn mapped(&self, groups: Vec<Group>, known: &mut Known) -> Mapped {
        let mut mapped = Mapped::default();
        for group in groups {
            // By the part of the device and by time. `None`: the group's own time, whatever it is.
            let mut apart: Vec<(Option<usize>, Option<DeviceTime>, Vec<Metric>)> = Vec::new();
            let readings = group.readings.len();
            for mut reading in group.readings {
                let time = reading.time.take().filter(|time| group.time.as_ref() != Some(time));
                let metric = match self.metric_known(reading, known) {
                    Ok(metric) => metric,
                    Err(refused) => {
                        mapped.refusals.push(refused);
                        continue;
                    }
                };
                let part = self.channels.of_value(&metric.words);
                match apart.iter_mut().find(|(of, at, _)| *of == part && *at == time) {
                    Some((.., metrics)) => metrics.push(metric),
                    None => {
                        let mut metrics = Vec::with_capacity(readings);
                        metrics.push(metric);
                        apart.push((part, time, metrics));
                    }
                }
            }
            mapped.observations.extend(apart.into_iter().map(|(part, own, metrics)| {
                let device_time = own.or_else(|| group.time.clone());
                Observation {
                    subject: group.subject.clone(),
                    mode: group.mode,
                    event: group.event.clone(),
                    channel: self.channels.name(part).to_owned(),
                    device_time,
                    metrics,
                    remarks: group.remarks.clone(),
                }
            }));
        }
        mapped
    }

    fn metric_known(&self, reading: Reading, known: &mut Known) -> Result<Metric, Refused> {
        let absent = reading.value.absent_reason().is_some();
        if let Some(Became { coded, doubts }) = known.get(&reading.words, absent) {
            let (words, doubts) = (Arc::clone(coded), doubts.clone());
            let Reading { value, at, .. } = reading;
            return Ok(Metric { words, value, doubts, at });
        }
        // Words that nobody else holds do not come again.
        let shared = (Arc::strong_count(&reading.words) > 1).then(|| Arc::clone(&reading.words));
        let metric = self.metric(reading)?;
        if let Some(words) = shared {
            known.note(words, absent, &metric);
        }
        Ok(metric)
    }

    fn metric(&self, reading: Reading) -> Result<Metric, Refused> {
        let found = match &reading.code {
            DeviceCode::Parameter(name) => {
                let known = self.vocabulary.parameter(name);
                code::Found { name: known.map(|_| name.clone()), doubt: None }
            }
            DeviceCode::Codings(codings) => self.by_table_or_code(&reading, codings)?,
        };
        let parameter = found.name.as_deref().and_then(|name| self.vocabulary.parameter(name));
        let (unit_mdc, ucum) = self.unit(reading.unit.as_ref(), parameter);
        let mut doubts: Vec<Doubt> = found.doubt.into_iter().collect();
        if let Some(parameter) = parameter
            && reading.value.absent_reason().is_none()
            && !unit_fits(parameter, reading.unit.as_ref(), unit_mdc.as_deref())
        {
            doubts.push(Doubt::UnitUnexpected);
        }
        let possible = parameter.and_then(|one| self.possible(one, unit_mdc.as_deref()));
        let Reading { words, value, time: _, at } = reading;
        // Not shared by anybody, as a rule: then this moves the words and copies nothing.
        let words = Arc::unwrap_or_clone(words);
        let coded = CodedWords {
            kind: parameter.map(|parameter| parameter.kind),
            mdc_code: parameter.and_then(|parameter| parameter.mdc_code),
            mdc: parameter.map(|parameter| parameter.mdc.clone()).unwrap_or_default(),
            loinc: parameter.map(|parameter| parameter.loinc.clone()).unwrap_or_default(),
            finnish: parameter.map(|parameter| parameter.finnish.clone()).unwrap_or_default(),
            parameter: found.name,
            codings: match words.code {
                DeviceCode::Parameter(_) => Vec::new(),
                DeviceCode::Codings(codings) => codings,
            },
            sub_id: words.sub_id,
            unit_as_sent: words.unit.map(|unit| unit.codings).unwrap_or_default(),
            unit_mdc,
            ucum,
            flags: words.flags,
            status: words.status,
            nature: words.nature,
            method: words.method,
            body_site: words.body_site,
            equipment: words.equipment,
            limits: words.limits,
            usually_number: parameter.is_some_and(|parameter| !parameter.units.is_empty()),
            possible,
            form: Form::default(),
        };
        Ok(Metric { words: Arc::new(coded), value, doubts, at })
    }
    /// The bounds of a parameter, if a figure in this unit can be compared with them.
    fn possible(&self, parameter: &Parameter, unit: Option<&str>) -> Option<[Decimal; 2]> {
        let [low, high] = parameter.possible.as_ref()?;
        let comparable = match (unit, parameter.units.first()) {
            (Some(unit), Some(canonical)) => self.vocabulary.same_unit(unit, canonical),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        comparable.then_some([decimal(low)?, decimal(high)?])
    }

    /// The profile's own table first: it was written for this device.
    fn by_table_or_code(
        &self,
        reading: &Reading,
        codings: &[Coding],
    ) -> Result<code::Found, Refused> {
        let Some(row) = self.row(codings) else { return Ok(code::of(codings, &self.vocabulary)) };
        let fits = row.takes(reading.unit.as_ref());
        // A value without a figure cannot be read in the wrong unit.
        if fits || reading.value.absent_reason().is_some() {
            return Ok(code::Found { name: Some(row.parameter.clone()), doubt: None });
        }
        let detail = format!(
            "{}: expected the unit {:?} that the device file states, got another one",
            row.parameter, row.units
        );
        Err(Refused::new(Why::Unit, reading.at.clone(), detail))
    }

    /// The row of the profile's own table that is about one of these codings.
    fn row(&self, codings: &[Coding]) -> Option<&Row> {
        codings.iter().find_map(|coding| {
            let rows = self.by_code.get(&coding.code)?;
            let fits = |row: &&Row| row.system.is_empty() || row.system == coding.system;
            rows.iter().filter_map(|index| self.rows.get(*index)).find(fits)
        })
    }

    /// The unit in MDC and UCUM, where the vocabulary knows it. Codings that contradict themselves
    /// or each other leave no unit.
    fn unit(
        &self,
        unit: Option<&DeviceUnit>,
        parameter: Option<&Parameter>,
    ) -> (Option<String>, Option<String>) {
        let accepted = parameter.map(|parameter| parameter.units.as_slice()).unwrap_or_default();
        let words = &self.vocabulary;
        let mut claims: Vec<&str> = Vec::new();
        for coding in unit.iter().flat_map(|unit| &unit.codings) {
            let by_number = code::mdil(coding).and_then(|number| words.unit_by_mdc_code(number));
            let Ok(claimed) = words.unit_claimed(coding, accepted) else { return (None, None) };
            // Words beside a number count only as a unit that this parameter may have: C is a
            // temperature here and never a charge.
            let texts = [&coding.code, &coding.words];
            let written = texts.into_iter().filter_map(|text| words.accepted_unit(text, accepted));
            claims.extend(by_number.into_iter().chain(claimed).chain(written));
        }
        let found = claims.first().copied();
        if claims.iter().any(|one| found.is_some_and(|found| !words.same_unit(found, one))) {
            return (None, None);
        }
        let ucum = found
            .and_then(|mdc| self.vocabulary.unit(mdc))
            .and_then(|unit| unit.ucum.first())
            .cloned();
        (found.map(str::to_owned), ucum)
    }
}

/// A parameter with units wants one of them; a parameter without wants none.
fn unit_fits(parameter: &Parameter, sent: Option<&DeviceUnit>, mdc: Option<&str>) -> bool {
    match (parameter.units.is_empty(), sent, mdc) {
        (true, _, _) => true,
        (false, _, Some(mdc)) => parameter.units.iter().any(|one| one == mdc),
        (false, _, None) => false,
    }
}

#[cfg(test)]
mod tests;
