//! What the types of the device file cannot say.

use super::claims::{Claims, frame_claims, line_claims};
use super::file::{Direction, Protocol, Status};
use super::position::{Problem, Step};
use super::{Drafts, FRAME_BYTES_MAX, Profile, flatten};
use crate::protocol::frame::{FrameProfile, LengthSize};
use crate::protocol::line::LineProfile;
use crate::vocabulary::Vocabulary;
use crate::vocabulary::reading::Coding;

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
    }
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

/// What is looked at in a flag of either family.
struct FlagShape<'a> {
    bit: u8,
    /// How many bits its place has.
    bits: u8,
    affects: &'a [String],
    mode: bool,
    absent: bool,
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
        let answers = match self.profile.file.protocol {
            Protocol::Line(_) | Protocol::Frame(_) => Direction::ListenOnly,
            Protocol::Astm(_) | Protocol::Hl7v2(_) => Direction::LinkReplies,
            Protocol::Intellivue(_) | Protocol::Dri(_) | Protocol::Medibus(_) => Direction::Poll,
        };
        if link.direction != answers {
            let family = self.profile.file.protocol.family();
            let expected = answers.as_str();
            let what = format!("expected {expected:?}, which is what family {family} does");
            self.add(&[Key("link"), Key("direction")], what);
        }
    }

    /// A parameter with its unit: both known, and meant for each other.
    fn parameter(&mut self, path: &[Step<'_>], parameter: &str, unit: Option<&str>) {
        let with = |key| [path, &[Key(key)]].concat();
        let Some(known) = self.vocabulary.parameter(parameter) else {
            let near = nearest(parameter, self.vocabulary.parameters().map(|(name, _)| name));
            let what = format!("the vocabulary has no parameter {parameter:?}; nearest: {near}");
            return self.add(&with("parameter"), what);
        };
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
            | Protocol::Medibus(_) => {}
        }
    }

    fn line(&mut self, line: &LineProfile) {
        let family = [Key("protocol"), Key("line")];
        let end = line.line_end.as_bytes();
        let simple = matches!(end, [_]) || matches!(end, [first, second] if first != second);
        if !simple {
            let what = "expected one character or two different ones, such as \"\\r\\n\"";
            self.add(&[&family[..], &[Key("line_end")]].concat(), what);
        }
        if line.max_line_bytes == 0 || line.max_line_bytes as usize > FRAME_BYTES_MAX {
            let what = format!("expected 1 to {FRAME_BYTES_MAX}");
            self.add(&[&family[..], &[Key("max_line_bytes")]].concat(), what);
        }
        for (index, message) in line.message.iter().enumerate() {
            let path = [family[0], family[1], Key("message"), Index(index)];
            if message.separator.is_empty() {
                self.add(&[&path[..], &[Key("separator")]].concat(), "expected a separator");
            }
            for (index, field) in message.field.iter().enumerate() {
                let path = [&path[..], &[Key("field"), Index(index)]].concat();
                self.parameter(&path, &field.parameter, Some(&field.unit));
                self.source(&path, &field.source);
            }
            let flags = message.flag.iter().map(|flag| FlagShape {
                bit: flag.bit,
                bits: 32,
                affects: &flag.affects,
                mode: flag.mode.is_some(),
                absent: flag.absent.is_some(),
            });
            let names: Vec<&str> = message.field.iter().map(|one| one.parameter.as_str()).collect();
            self.flags(&path, &flags.collect::<Vec<_>>(), &names);
            self.claims(&path, &line_claims(message), "column");
        }
    }

    fn frame(&mut self, frame: &FrameProfile) {
        let family = [Key("protocol"), Key("frame")];
        if usize::from(frame.length.at) < frame.start.0.len() {
            let what = "expected a place behind the start mark";
            self.add(&[&family[..], &[Key("length"), Key("at")]].concat(), what);
        }
        let too_wide = frame.length.size == LengthSize::U8 && frame.length.max > 255;
        if frame.length.min > frame.length.max || too_wide {
            let what = "expected min <= max, and max at most 255 for a length of one byte";
            self.add(&[&family[..], &[Key("length"), Key("max")]].concat(), what);
        }
        if frame.checksum.from > frame.length.at {
            let what = "expected a checksum that covers the length: from <= length.at";
            self.add(&[&family[..], &[Key("checksum"), Key("from")]].concat(), what);
        }
        for (index, message) in frame.message.iter().enumerate() {
            let path = [family[0], family[1], Key("message"), Index(index)];
            for (index, field) in message.field.iter().enumerate() {
                let path = [&path[..], &[Key("field"), Index(index)]].concat();
                self.parameter(&path, &field.parameter, Some(&field.unit));
                self.source(&path, &field.source);
                if crate::protocol::frame::scaled(1, &field.lsb).is_none() {
                    let what = "expected a decimal such as \"0.1\" or \"1\"";
                    self.add(&[&path[..], &[Key("lsb")]].concat(), what);
                }
                for mark in field.absent.keys() {
                    if !crate::protocol::frame::fits(mark, field.raw) {
                        let what = format!("expected a raw form of {:?}", field.raw);
                        self.add(&[&path[..], &[Key("absent"), Key(mark)]].concat(), what);
                    }
                }
            }
            let flags = message.flag.iter().map(|flag| FlagShape {
                bit: flag.bit,
                bits: 8,
                affects: &flag.affects,
                mode: flag.mode.is_some(),
                absent: flag.absent.is_some(),
            });
            let names: Vec<&str> = message.field.iter().map(|one| one.parameter.as_str()).collect();
            self.flags(&path, &flags.collect::<Vec<_>>(), &names);
            self.claims(&path, &frame_claims(message), "byte");
        }
    }

    fn flags(&mut self, path: &[Step<'_>], flags: &[FlagShape<'_>], names: &[&str]) {
        for (index, flag) in flags.iter().enumerate() {
            let path = [path, &[Key("flag"), Index(index)]].concat();
            if flag.bit >= flag.bits {
                let what = format!("expected a bit from 0 to {}", flag.bits - 1);
                self.add(&[&path[..], &[Key("bit")]].concat(), what);
            }
            // A flag that only says the mode marks no parameter of its own.
            let marks_nothing = flag.affects.is_empty() && (!flag.mode || flag.absent);
            if marks_nothing || flag.affects.iter().any(|one| !names.contains(&one.as_str())) {
                let what = format!("expected parameters of this message: {names:?}");
                self.add(&[&path[..], &[Key("affects")]].concat(), what);
            }
        }
    }

    /// Every place is claimed once; a place that nobody claims must be a known gap.
    fn claims(&mut self, path: &[Step<'_>], claims: &Claims, word: &str) {
        for place in &claims.outside {
            let what = format!("{word} {place} lies outside the message");
            self.add(path, what);
        }
        for (place, count) in &claims.count {
            if *count > 1 {
                self.add(path, format!("{word} {place} is claimed {count} times"));
            }
        }
        let provenance = &self.profile.file.provenance;
        let free: Vec<String> = claims.free().map(|place| place.to_string()).collect();
        if !free.is_empty() && provenance.known_gaps.is_empty() && provenance.caveats.is_empty() {
            let what = format!(
                "{word} {} is neither read nor ignored: list it under `ignored` with the reason, \
                 or say so in provenance.known_gaps",
                free.join(", ")
            );
            self.add(path, what);
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
