//! What the types of a destination map cannot say.

use super::convert;
use super::file::{Asked, Code, Form, KindTable, MapFile, Name, ParameterTable, SubId};
use super::file::{UniversalType, Version, When};
use crate::profile::position::Problem;
use crate::profile::position::Step::{self, Index, Key};
use crate::protocol::hl7v2::charset::Charset;
use crate::vocabulary::Vocabulary;

/// The only format so far.
const FORMAT: u32 = 1;
/// The names of HL7 table 0211 that are written.
const CHARSETS: [&str; 4] = ["ASCII", "8859/1", "8859/15", "UNICODE UTF-8"];
/// More decimals than any device shows would claim what nobody measured.
const DECIMALS_MAX: u32 = 6;
/// The first component of an HD or EI is an IS of at most 20 characters before version 2.6.
const NAME_CHARACTERS_MAX: usize = 20;

/// All that is wrong.
pub(super) fn problems(
    file: &MapFile,
    charset: Option<Charset>,
    text: &str,
    vocabulary: &Vocabulary,
) -> Vec<Problem> {
    let mut check = Check { file, text, charset, vocabulary, problems: Vec::new() };
    check.head();
    check.parties();
    check.kinds();
    check.patient();
    for (name, table) in &file.parameter {
        check.parameter(name, table);
    }
    for (name, code) in &file.unit {
        let path = [Key("unit"), Key(name)];
        if vocabulary.unit(name).is_none() {
            check.add(&path, "expected a unit of device-profiles/vocabulary/units.toml");
        }
        check.code(&path, code);
    }
    check.problems
}

struct Check<'a> {
    file: &'a MapFile,
    text: &'a str,
    charset: Option<Charset>,
    vocabulary: &'a Vocabulary,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn add(&mut self, path: &[Step<'_>], what: impl Into<String>) {
        self.problems.push(Problem::at(self.text, path, what));
    }

    fn head(&mut self) {
        if self.file.map_format != FORMAT {
            self.add(&[Key("map_format")], format!("expected {FORMAT}"));
        }
        if !CHARSETS.contains(&self.file.charset.as_str()) {
            let known = CHARSETS.join("\", \"");
            self.add(&[Key("charset")], format!("expected one of \"{known}\" (HL7 table 0211)"));
        }
        let Asked { accept, application } = self.file.acknowledgement;
        if [accept, application] == [Some(When::Never), Some(When::Never)] {
            let what = "expected at least one \"AL\": without an answer nothing is ever done";
            self.add(&[Key("acknowledgement")], what);
        }
        if accept.is_some() != application.is_some() {
            let what = "expected both accept and application (enhanced mode) or neither (original)";
            self.add(&[Key("acknowledgement")], what);
        }
    }

    fn parties(&mut self) {
        for (key, party) in [("sender", &self.file.sender), ("receiver", &self.file.receiver)] {
            self.name(&[Key(key), Key("application")], &party.application);
            if let Some(facility) = &party.facility {
                self.name(&[Key(key), Key("facility")], facility);
            }
        }
    }

    fn name(&mut self, path: &[Step<'_>], name: &Name) {
        if name.name.is_empty() || name.name.chars().count() > NAME_CHARACTERS_MAX {
            let what = format!("expected a name of 1 to {NAME_CHARACTERS_MAX} characters");
            self.add(&[path, &[Key("name")]].concat(), what);
        }
        self.writable(path, &name.name);
        let at = [path, &[Key("universal_id")]].concat();
        match (&name.universal_id, name.universal_id_type) {
            (None, None) => {}
            (Some(id), Some(UniversalType::Iso)) if is_oid(id) => {}
            (Some(id), Some(UniversalType::Eui64)) if is_eui64(id) => {}
            (Some(_), Some(UniversalType::Iso)) => self.add(&at, "expected an OID such as 1.2.246"),
            (Some(_), Some(UniversalType::Eui64)) => {
                self.add(&at, "expected 16 hexadecimal digits");
            }
            (Some(_), None) | (None, Some(_)) => {
                self.add(path, "expected universal_id and universal_id_type together");
            }
        }
    }

    fn kinds(&mut self) {
        let file = self.file;
        let oru_or = |form| [form, Form::OruR01];
        let tables = [
            ("observation", &file.observation, oru_or(Form::Pcd01)),
            ("pump-event", &file.pump_event, oru_or(Form::Pcd10)),
            ("laboratory", &file.laboratory, oru_or(Form::OulR22)),
            ("alarm", &file.alarm, [Form::Pcd04; 2]),
        ];
        let mut one_is_there = false;
        for (key, table, accepted) in tables {
            let Some(table) = table else { continue };
            one_is_there = true;
            if !accepted.contains(&table.message) {
                let accepted = accepted.map(Form::as_str).join("\" or \"");
                let what = format!("expected \"{accepted}\"");
                self.add(&[Key(key), Key("message")], what);
            }
            self.kind(key, table);
        }
        if !one_is_there {
            let what = "expected at least one of [observation], [pump-event], [laboratory]";
            self.add(&[Key("title")], what);
        }
    }

    fn kind(&mut self, key: &str, table: &KindTable) {
        let at = |last| [Key(key), Key(last)];
        if table.message.is_pcd() && self.file.version != Version::V26 {
            self.add(&at("message"), "expected version = \"2.6\" for the IHE messages");
        }
        if table.message == Form::OulR22 && self.file.version < Version::V25 {
            self.add(&at("message"), "expected version = \"2.5\" or later for OUL^R22");
        }
        self.code(&at("service"), &table.service);
        if table.message.is_pcd() {
            let asks = self.file.acknowledgement;
            if asks.accept.is_none() && asks.application.is_none() {
                let what = "expected [acknowledgement]: IHE messages ask for one (MSH-15, MSH-16)";
                self.add(&at("message"), what);
            }
            if table.service.words.is_empty() {
                self.add(&at("service"), "expected words: OBR-4 needs both in IHE messages");
            }
            if table.first != super::First::Mdc {
                self.add(&at("first"), "expected \"mdc\" in IHE messages");
            }
        } else if table.sub_id == SubId::Containment {
            let what = "expected \"number\" or \"device\": containment is of IHE messages";
            self.add(&at("sub_id"), what);
        }
        match (table.message, &table.exception) {
            (Form::Pcd04, None) => {
                let what = "expected `exception`, saying why alarms are sent although this is no \
                            alarm system";
                self.add(&at("message"), what);
            }
            (Form::Pcd04, Some(_)) | (_, None) => {}
            (_, Some(_)) => self.add(&at("exception"), "belongs to \"pcd-04\" alone"),
        }
        if let Some(kind) = &table.specimen_type {
            self.code(&at("specimen_type"), kind);
        }
        if let Some(namespace) = &table.specimen_namespace {
            self.writable(&at("specimen_namespace"), namespace);
            if namespace.is_empty() {
                self.add(&at("specimen_namespace"), "expected the laboratory's name");
            }
        }
    }

    fn patient(&mut self) {
        let file = self.file;
        for (index, identifier) in file.patient.identifier.iter().enumerate() {
            let path = [Key("patient"), Key("identifier"), Index(index)];
            if !is_oid(&identifier.authority) {
                self.add(&[&path[..], &[Key("authority")]].concat(), "expected a root OID");
            }
            if identifier.namespace.is_empty() || identifier.id_type.is_empty() {
                self.add(&path, "expected namespace and id_type (CX-4 and CX-5)");
            }
            self.writable(&path, &identifier.namespace);
        }
    }

    fn parameter(&mut self, name: &str, table: &ParameterTable) {
        let path = [Key("parameter"), Key(name)];
        let at = |last| [path.as_slice(), &[Key(last)]].concat();
        let Some(known) = self.vocabulary.parameter(name) else {
            let what = "expected a parameter of device-profiles/vocabulary/parameters.toml";
            return self.add(&path, what);
        };
        if let Some(code) = &table.code {
            self.code(&at("code"), code);
        }
        if table.left_out.is_some() && (table.code.is_some() || table.unit.is_some()) {
            self.add(&at("left_out"), "expected a code and a unit, or a reason to leave it out");
        }
        match (&table.unit, table.decimals) {
            (None, None) => {}
            (Some(_), Some(decimals)) if decimals > DECIMALS_MAX => {
                self.add(&at("decimals"), format!("expected 0 to {DECIMALS_MAX}"));
            }
            (Some(wanted), Some(_)) => {
                let ucum = |mdc: &str| self.vocabulary.unit(mdc).and_then(|unit| unit.ucum.first());
                let Some(to) = ucum(wanted) else {
                    return self.add(&at("unit"), "expected a unit of units.toml with UCUM");
                };
                let possible = |mdc: &String| {
                    mdc == wanted || ucum(mdc).is_some_and(|from| convert::converts(from, to))
                };
                if !known.units.iter().any(possible) {
                    let units = known.units.join(", ");
                    self.add(&at("unit"), format!("none of {units} can be converted to it"));
                }
            }
            (Some(_), None) => self.add(&at("unit"), "expected `decimals` beside it"),
            (None, Some(_)) => {
                self.add(&at("decimals"), "a value in the device's own unit is never rounded");
            }
        }
    }

    fn code(&mut self, path: &[Step<'_>], code: &Code) {
        if code.code.is_empty() || code.system.is_empty() {
            self.add(path, "expected code and system");
        }
        for text in [&code.code, &code.words, &code.system] {
            self.writable(path, text);
        }
    }

    fn writable(&mut self, path: &[Step<'_>], text: &str) {
        if self.charset.is_some_and(|charset| charset.encode(text).is_none()) {
            self.add(path, "holds a character that `charset` does not have");
        }
    }
}

fn is_oid(text: &str) -> bool {
    let arc = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    let first = text.split('.').next();
    matches!(first, Some("0" | "1" | "2")) && text.contains('.') && text.split('.').all(arc)
}

fn is_eui64(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
