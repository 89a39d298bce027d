//! What the types of the device file cannot say.

use super::file::{Direction, Protocol, Status};
use super::position::{Problem, Step};
use super::{Drafts, Profile, flatten};
use crate::protocol::unity::UnityProfile;
use crate::vocabulary::reading::Coding;
use crate::vocabulary::{Parameter, Vocabulary};

mod channel;
mod frame;
mod interpreted;
mod line;

use Step::{Index, Key};

mod asked;
mod medibus;

/// The version of the file format that this loader reads.
const PROFILE_FORMAT: u32 = 1;

/// All problems of a file that the types accept.
pub(super) fn problems(
    profile: &Profile,
    text: &str,
    vocabulary: &Vocabulary,
    drafts: Drafts,
) -> Vec<Problem> {
    let mut check = Check { profile, text, vocabulary, within: None, problems: Vec::new() };
    check.head(drafts);
    check.link();
    check.interpreted(&profile.file.protocol);
    match &profile.file.protocol {
        Protocol::Line(_) | Protocol::Frame(_) => {}
        Protocol::Astm(astm) => {
            if let Err(error) = astm.check() {
                check.add(&[Key("protocol"), Key("astm")], error.to_string());
            }
            check.rows("astm", "result", &astm_rows(astm));
        }
        Protocol::Hl7v2(hl7v2) => check.rows("hl7v2", "result", &hl7v2_rows(hl7v2)),
        Protocol::Intellivue(intellivue) => {
            if let Err(error) = intellivue.check() {
                check.add(&[Key("protocol"), Key("intellivue")], error.to_string());
            }
            check.rows("intellivue", "numeric", &intellivue_rows(&intellivue.numeric));
            check.rows("intellivue", "by_number", &intellivue_rows(&intellivue.by_number));
        }
        Protocol::Dri(dri) => check.asked("dri", dri.check(), &dri.source, &dri.stated()),
        Protocol::Medibus(medibus) => check.medibus(medibus),
        Protocol::Unity(unity) => check.asked("unity", Ok(()), &unity.source, &unity.stated()),
    }
    check.channels();
    check.variants();
    check.problems
}

/// A row of a code table: the parameter and the units that it accepts, empty meaning "none".
pub(crate) struct Row {
    pub parameter: String,
    pub units: Vec<String>,
    pub source: String,
}

fn astm_rows(astm: &crate::protocol::astm::AstmProfile) -> Vec<Row> {
    let rows = astm.results.iter();
    rows.map(|row| Row {
        parameter: row.parameter.clone(),
        units: vec![row.unit.clone()],
        source: row.source.clone(),
    })
    .collect()
}

fn hl7v2_rows(hl7v2: &crate::protocol::hl7v2::Hl7v2Profile) -> Vec<Row> {
    let rows = hl7v2.result.iter();
    rows.map(|row| Row {
        parameter: row.parameter.clone(),
        units: row.units.clone().unwrap_or_default(),
        source: row.source.clone(),
    })
    .collect()
}

fn intellivue_rows(rows: &[crate::protocol::intellivue::NumericRow]) -> Vec<Row> {
    rows.iter()
        .map(|row| Row {
            parameter: row.parameter.clone(),
            units: row.units.clone(),
            source: row.source.clone(),
        })
        .collect()
}

struct Check<'a> {
    profile: &'a Profile,
    text: &'a str,
    vocabulary: &'a Vocabulary,
    /// The variant and the firmware whose flattened file is looked at: its places are not in the
    /// text.
    within: Option<(usize, &'a str)>,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn add(&mut self, path: &[Step<'_>], what: impl Into<String>) {
        let problem = match self.within {
            None => Problem::at(self.text, path, what),
            Some((index, firmware)) => {
                let what = format!("with firmware {firmware:?}: {}", what.into());
                Problem::at(self.text, &[Key("variant"), Index(index)], what)
            }
        };
        self.problems.push(problem);
    }

    fn head(&mut self, drafts: Drafts) {
        let file = &self.profile.file;
        if file.profile_format != PROFILE_FORMAT {
            let what = format!("expected {PROFILE_FORMAT}, the format that this version reads");
            self.add(&[Key("profile_format")], what);
        }
        if file.revision == 0 {
            self.add(&[Key("revision")], "expected 1 or more");
        }
        if file.firmware.tested.is_empty() || file.firmware.tested.iter().any(String::is_empty) {
            let what = "expected the firmware texts that it was tested with, none of them empty";
            self.add(&[Key("firmware"), Key("tested")], what);
        }
        if file.provenance.source.is_empty() {
            self.add(&[Key("provenance"), Key("source")], "expected at least one source");
        }
        let status = [Key("provenance"), Key("status")];
        match (file.provenance.status, drafts) {
            (Status::Draft, Drafts::Refused) => self.add(
                &status,
                "a draft is for the bench: use --bench, or compare it with a device first",
            ),
            (Status::Withdrawn, _) => self.add(&status, "this file is withdrawn"),
            (
                Status::Draft | Status::BenchTested | Status::WardTrial | Status::Released,
                Drafts::Accepted | Drafts::Refused,
            ) => {}
        }
    }

    fn link(&mut self) {
        let link = &self.profile.file.link;
        if link.transport.count() != 1 {
            let what = "expected exactly one of serial, tcp_client, tcp_server, udp, udp_device";
            self.add(&[Key("link"), Key("transport")], what);
        }
        let answers = match &self.profile.file.protocol {
            Protocol::Line(line) if !line.ask.is_empty() => Direction::Poll,
            Protocol::Frame(frame) if !frame.ask.is_empty() => Direction::Poll,
            Protocol::Frame(frame) if !frame.reply.is_empty() => Direction::LinkReplies,
            Protocol::Line(_) | Protocol::Frame(_) => Direction::ListenOnly,
            Protocol::Astm(_) | Protocol::Hl7v2(_) => Direction::LinkReplies,
            Protocol::Intellivue(_) | Protocol::Dri(_) | Protocol::Medibus(_) => Direction::Poll,
            Protocol::Unity(UnityProfile { ask: true, .. }) => Direction::Poll,
            Protocol::Unity(UnityProfile { ask: false, .. }) => Direction::ListenOnly,
        };
        if link.direction != answers {
            let family = self.profile.file.protocol.family();
            let expected = answers.as_str();
            let what =
                format!("expected {expected:?}, which is what family {family} does with this file");
            self.add(&[Key("link"), Key("direction")], what);
        }
    }

    /// A parameter of the vocabulary, named at this place.
    fn known_parameter(&mut self, path: &[Step<'_>], name: &str) -> Option<&'a Parameter> {
        let known = self.vocabulary.parameter(name);
        if known.is_none() {
            let near = nearest(name, self.vocabulary.parameters().map(|(name, _)| name));
            let what = format!("the vocabulary has no parameter {name:?}; nearest: {near}");
            self.add(path, what);
        }
        known
    }

    /// A parameter with its unit: both known, and meant for each other.
    fn parameter(&mut self, path: &[Step<'_>], parameter: &str, unit: Option<&str>) {
        let with = |key| [path, &[Key(key)]].concat();
        let Some(known) = self.known_parameter(&with("parameter"), parameter) else { return };
        let Some(unit) = unit else { return };
        if unit.is_empty() && known.units.is_empty() {
            return;
        }
        let found = self.vocabulary.unit_of(&Coding::new(unit, "", ""), &known.units);
        if !found.is_some_and(|mdc| known.units.iter().any(|one| one == mdc)) {
            let accepted: Vec<&str> = known
                .units
                .iter()
                .map(|mdc| {
                    let preferred = self.vocabulary.unit(mdc).and_then(|unit| unit.ucum.first());
                    preferred.map_or(mdc.as_str(), String::as_str)
                })
                .collect();
            let what = format!("expected a unit of {parameter}: {accepted:?}, got {unit:?}");
            self.add(&with("unit"), what);
        }
    }

    /// A field's source begins with the id of a source of the file.
    fn source(&mut self, path: &[Step<'_>], source: &str) {
        let sources = &self.profile.file.provenance.source;
        let id = source.split_whitespace().next().unwrap_or_default();
        if !sources.iter().any(|one| one.id == id) {
            let ids: Vec<&str> = sources.iter().map(|one| one.id.as_str()).collect();
            let what = format!("expected a source that starts with one of {ids:?}");
            self.add(&[path, &[Key("source")]].concat(), what);
        }
    }

    fn rows(&mut self, family: &str, table: &str, rows: &[Row]) {
        for (index, row) in rows.iter().enumerate() {
            let path = [Key("protocol"), Key(family), Key(table), Index(index)];
            self.source(&path, &row.source);
            self.parameter(&path, &row.parameter, None);
            for unit in &row.units {
                self.parameter(&path, &row.parameter, Some(unit));
            }
        }
    }

    /// The families whose messages stand in the file; variants can change these alone.
    fn interpreted(&mut self, protocol: &Protocol) {
        match protocol {
            Protocol::Line(line) => self.line(line),
            Protocol::Frame(frame) => self.frame(frame),
            Protocol::Astm(_)
            | Protocol::Hl7v2(_)
            | Protocol::Intellivue(_)
            | Protocol::Dri(_)
            | Protocol::Unity(_)
            | Protocol::Medibus(_) => {}
        }
    }

    fn variants(&mut self) {
        let profile = self.profile;
        let file = &profile.file;
        for (place, variant) in file.variant.iter().enumerate() {
            let path = [Key("variant"), Index(place)];
            for firmware in &variant.firmware {
                if !self.profile.is_tested_with(firmware) {
                    let tested = &file.firmware.tested;
                    let what = format!("expected firmware from firmware.tested: {tested:?}");
                    self.add(&[&path[..], &[Key("firmware")]].concat(), what);
                }
            }
            for (index, replace) in variant.replace.iter().enumerate() {
                let path = [path[0], path[1], Key("replace"), Index(index)];
                if !flatten::has_target(&self.profile.table, file, replace) {
                    let what =
                        "expected the name of a message that has a field with this parameter";
                    self.add(&[&path[..], &[Key("message")]].concat(), what);
                }
                let field = [&path[..], &[Key("field")]].concat();
                self.parameter(&field, &replace.field.parameter, Some(&replace.field.unit));
                self.source(&field, &replace.field.source);
            }
            for firmware in &variant.firmware {
                match flatten::try_protocol(&self.profile.table, file, firmware) {
                    Ok(protocol) => self.flattened(place, firmware, &protocol),
                    Err(what) => {
                        let what =
                            format!("with firmware {firmware:?} the file does not load: {what}");
                        self.add(&path, what);
                    }
                }
            }
        }
    }

    /// What a variant makes of the file is checked like the file itself. Problems that the file has
    /// without the variant are not said again.
    fn flattened(&mut self, index: usize, firmware: &'a str, protocol: &Protocol) {
        let before = self.problems.len();
        self.within = Some((index, firmware));
        self.interpreted(protocol);
        self.within = None;
        let known: Vec<Problem> = self.problems.drain(..before).collect();
        let prefix = format!("with firmware {firmware:?}: ");
        let is_new = |problem: &Problem| {
            let what = problem.what.strip_prefix(&prefix).unwrap_or(&problem.what);
            !known.iter().any(|one| one.what == what)
        };
        self.problems.retain(is_new);
        self.problems.splice(0..0, known);
    }
}

/// The three names that share most with a misspelt one.
fn nearest<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let pairs =
        |text: &str| -> Vec<(char, char)> { text.chars().zip(text.chars().skip(1)).collect() };
    let wanted = pairs(wanted);
    let mut scored: Vec<(usize, &str)> = names
        .map(|name| {
            let own = pairs(name);
            let common = wanted.iter().filter(|pair| own.contains(pair)).count();
            (common * 100 / (own.len() + wanted.len()).max(1), name)
        })
        .collect();
    scored.sort_by_key(|(score, name)| (std::cmp::Reverse(*score), *name));
    scored.iter().take(3).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}
