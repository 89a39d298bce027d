//! `[charting]`: the bedside's port, and who owns the act of charting.
//!
//! ```toml
//! [charting]
//! listen = "0.0.0.0:8443"
//! origins = ["https://ward-3.hospital.example:8443"]
//! certificate = "/etc/wardgate/bedside.pem"
//! key = "/run/credentials/wardgate/bedside.key"
//! owner = "box"
//! ```
//!
//! Owners of wards and classes of parameter stand in `owners`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::owners::ClassTable;
use super::{Configuration, ConfigurationFile, Loader, Mode};
use crate::charting::acts::Rules;
use crate::charting::form::Form;
use crate::charting::owners::Owner;
use crate::link::tls_server::ServerFiles;
use crate::profile::position::Step::{self, Key};
use crate::vocabulary::Vocabulary;

/// The most minutes for which a set may be signed without a reason.
const AS_OF_MINUTES_MAX: u32 = 240;

/// The table.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChartingTable {
    pub listen: SocketAddr,
    /// Every address at which phones reach the box, as the browser writes it.
    pub origins: Vec<String>,
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Who confirms what nothing below names.
    #[serde(default)]
    pub owner: Owner,
    /// Who confirms on a ward.
    #[serde(default)]
    pub ward: BTreeMap<String, Owner>,
    /// Who confirms a class of parameter.
    #[serde(default)]
    pub class: Vec<ClassTable>,
    /// Where the core's own app tells what it charted in HL7 v2.
    #[serde(default)]
    pub oru: Option<OruTable>,
    /// A set for longer ago than this needs a reason.
    #[serde(default = "as_of_minutes_max")]
    pub as_of_minutes_max: u32,
    /// Patients whose values nobody has confirmed for so long are listed.
    #[serde(default = "unconfirmed_minutes")]
    pub unconfirmed_minutes: u32,
    /// A form of the site's own for what no device measures.
    #[serde(default)]
    pub form: Option<PathBuf>,
}

/// `[charting.oru]`: a port for ORU messages over MLLP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OruTable {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate, key, and the authority of those who are let in.
    #[serde(default)]
    pub tls: ServerFiles,
    /// The destination by whose map the values went out that are named here.
    pub destination: String,
}

const fn as_of_minutes_max() -> u32 {
    30
}

const fn unconfirmed_minutes() -> u32 {
    240
}

impl ChartingTable {
    /// The files of the listener.
    pub fn files(&self) -> ServerFiles {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        ServerFiles { certificate, key, client_ca: None }
    }

    /// The form of the site, or the usual one.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    pub fn form(&self) -> Result<Form, String> {
        let Some(path) = &self.form else { return Ok(Form::default()) };
        let form = read_form(path)?;
        match form.problems().into_iter().next() {
            None => Ok(form),
            Some(problem) => Err(format!("{}: {problem}", path.display())),
        }
    }

    /// What the site says of charting; the form was checked at load.
    pub fn rules(&self, vocabulary: &Vocabulary) -> Rules {
        Rules {
            owners: self.owners(vocabulary),
            as_of_minutes_max: i64::from(self.as_of_minutes_max),
            unconfirmed_minutes: i64::from(self.unconfirmed_minutes),
            form: self.form().unwrap_or_default(),
        }
    }

    /// What can be known without a connection: the key that is wrong, and what would be right.
    pub(super) fn problems(&self, mode: Mode, has_identity: bool) -> Vec<(Step<'static>, String)> {
        let mut problems = Vec::new();
        let mut add = |key, what: String| problems.push((Step::Key(key), what));
        let files = self.files().acceptor();
        match &files {
            Err(error) => add(error.field, error.what.to_owned()),
            Ok(None) if !self.listen.ip().is_loopback() || mode == Mode::Production => {
                add("certificate", "expected certificate and key: phones need TLS".to_owned());
            }
            Ok(_) => {}
        }
        if self.origins.is_empty() {
            let what = "expected the addresses of the page, such as https://ward-3.example:8443";
            add("origins", what.to_owned());
        }
        let scheme = if matches!(files, Ok(None)) { "http://" } else { "https://" };
        if let Some(wrong) = self.origins.iter().find(|one| !is_origin(one, scheme)) {
            add("origins", format!("expected {scheme}host or {scheme}host:port, got {wrong:?}"));
        }
        if !has_identity {
            let what = "expected [identity] beside it: somebody has to vouch for people";
            add("listen", what.to_owned());
        }
        if !(1..=AS_OF_MINUTES_MAX).contains(&self.as_of_minutes_max) {
            add("as_of_minutes_max", format!("expected 1 to {AS_OF_MINUTES_MAX}"));
        }
        if let Err(what) = self.form() {
            add("form", what);
        }
        problems
    }
}

impl Configuration {
    /// The ward's zone; UTC unless the gateway's table says.
    pub fn zone(&self) -> TimeZone {
        self.stated_zone().unwrap_or(TimeZone::UTC)
    }

    /// The ward's zone, if the gateway's table says it.
    pub fn stated_zone(&self) -> Option<TimeZone> {
        self.gateway.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok())
    }
}

impl Loader<'_> {
    pub(super) fn charting(&mut self, file: &ConfigurationFile) {
        let has_identity = file.identity.is_some();
        let problems = file.charting.iter();
        let problems = problems.flat_map(|table| table.problems(self.mode, has_identity));
        for (step, what) in problems.collect::<Vec<_>>() {
            self.add(&[Key("charting"), step], what);
        }
        if let Some(table) = &file.charting {
            self.owners(file, table);
        }
        let Some(oru) = file.charting.as_ref().and_then(|table| table.oru.as_ref()) else { return };
        let at = |key: &'static str| [Key("charting"), Key("oru"), Key(key)];
        self.port(&[Key("charting"), Key("oru")], oru.listen, &oru.tls);
        let named = file.destination.iter().find(|one| one.name == oru.destination);
        if named.is_none_or(|one| one.hl7v2.is_none()) {
            let what = "expected the name of a destination with hl7v2: by its map the core knows \
                        what a value is called";
            self.add(&at("destination"), what);
        }
    }
}

fn is_origin(text: &str, scheme: &str) -> bool {
    text.strip_prefix(scheme).is_some_and(|host| {
        !host.is_empty() && !host.contains(['/', ' ', '@', '?', '#']) && host.is_ascii()
    })
}

fn read_form(path: &Path) -> Result<Form, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{shown} cannot be read: {error}"))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().and_then(|span| text.get(..span.start));
        let line = line.map_or(1, |before| before.matches('\n').count() + 1);
        format!("{shown}, line {line}: {}", error.message())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "listen = \"127.0.0.1:8443\"\norigins = [\"http://127.0.0.1:8443\"]\n";

    fn problems(text: &str, mode: Mode) -> Vec<String> {
        let table: ChartingTable = toml::from_str(text).unwrap();
        let problems = table.problems(mode, true).into_iter();
        problems.map(|(step, what)| format!("{step:?}: {what}")).collect()
    }

    #[test]
    fn phones_need_tls_but_on_the_box_itself() {
        assert_eq!(problems(GOOD, Mode::Bench), Vec::<String>::new());
        let production = problems(GOOD, Mode::Production);
        assert!(production[0].contains("certificate"), "{production:?}");
        let outside = GOOD.replace("listen = \"127.0.0.1", "listen = \"0.0.0.0");
        assert!(problems(&outside, Mode::Bench)[0].contains("phones need TLS"));
        let table: ChartingTable = toml::from_str(GOOD).unwrap();
        let alone = table.problems(Mode::Bench, false);
        assert!(alone.iter().any(|(_, what)| what.contains("[identity]")), "{alone:?}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (change, words) in [
            ("origins = []", "expected the addresses"),
            ("origins = [\"https://box\"]", "expected http://host"),
            ("origins = [\"http://box/path\"]", "expected http://host"),
            ("as_of_minutes_max = 0", "expected 1 to 240"),
            ("as_of_minutes_max = 241", "expected 1 to 240"),
            ("certificate = \"/nowhere.pem\"", "needs key"),
            ("form = \"/nowhere.toml\"", "cannot be read"),
        ] {
            let key = change.split(' ').next().unwrap_or_default();
            let kept = GOOD.lines().filter(|line| !line.starts_with(key));
            let text = kept.chain([change]).collect::<Vec<_>>().join("\n");
            let found = problems(&text, Mode::Bench);
            assert!(found.iter().any(|one| one.contains(words)), "{change}: {found:?}");
        }
        assert!(toml::from_str::<ChartingTable>(&format!("{GOOD}owner = \"nobody\"")).is_err());
    }
}
