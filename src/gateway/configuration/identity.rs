//! `[identity]`: whose tokens are believed, and which claims make whom.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigurationFile, Loader, Mode};
use crate::profile::position::Step;
use crate::vocabulary::role::Role;

/// The longest shift session, in hours.
const SESSION_HOURS_MAX: u32 = 12;
/// The longest time for which keys are believed that could not be read again, in hours.
const OUTAGE_HOURS_MAX: u32 = 24;
/// The longest life of a token that a site may accept, in minutes.
const TOKEN_MINUTES_MAX: u32 = 60;
/// The most sessions that one person may have.
const SESSIONS_MAX: u32 = 10;
/// The longest text of this table.
const TEXT_CHARACTERS_MAX: usize = 500;

/// Who vouches for people, and what their tokens mean here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityTable {
    /// The provider, byte for byte as in its tokens: `https://...`.
    pub issuer: String,
    /// What the provider writes into `aud` of tokens for this box.
    pub audience: String,
    /// What tokens may be signed with.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<AlgorithmName>,
    /// The applications that people sign in with; the first is the box's own page.
    pub clients: Vec<String>,
    /// Core systems with a token of their own.
    #[serde(default)]
    pub core_clients: Vec<String>,
    /// The provider's certificate authorities, a PEM file.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// How the provider marks access tokens.
    #[serde(default)]
    pub access_token: AccessTokenKind,
    /// A scope that every token must have.
    #[serde(default)]
    pub scope: Option<String>,
    /// The longest life of a token, in minutes.
    #[serde(default = "token_minutes_max")]
    pub token_minutes_max: u32,
    /// How many minutes ago a person may have signed in to open a session.
    #[serde(default)]
    pub sign_in_minutes_max: Option<u32>,
    /// Where a token says the roles: member names from the outside in.
    #[serde(default = "roles_claim")]
    pub roles_claim: Vec<String>,
    /// Where a token says the wards.
    #[serde(default = "wards_claim")]
    pub wards_claim: Vec<String>,
    /// Where a token says the name.
    #[serde(default = "name_claim")]
    pub name_claim: Vec<String>,
    /// Which values of the role claim make whom; the first that fits counts.
    #[serde(default)]
    pub role: Vec<RoleTable>,
    /// How long a shift session lasts, in hours.
    #[serde(default = "session_hours")]
    pub session_hours: u32,
    /// How many sessions one person may have at once.
    #[serde(default = "sessions_per_person")]
    pub sessions_per_person: u32,
    /// How often the provider has to vouch for a session while it can be reached, in minutes.
    #[serde(default = "verify_minutes")]
    pub verify_minutes: u32,
    /// How long the provider may be out of reach before nobody is believed any more, in hours.
    #[serde(default = "outage_hours")]
    pub outage_hours: u32,
    /// The box's own issuer of tokens for made-up people. Refused in mode `production`.
    #[serde(default)]
    pub development: bool,
    /// The made-up people; with `development`.
    #[serde(default)]
    pub person: Vec<PersonTable>,
}

/// A signature algorithm (RFC 7518, 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum AlgorithmName {
    #[serde(rename = "ES256")]
    Es256,
    #[serde(rename = "RS256")]
    Rs256,
}

/// How the provider marks access tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessTokenKind {
    /// RFC 9068: `typ: at+jwt`, `client_id`, `jti`.
    #[default]
    Rfc9068,
    /// Not; the application may stand in `azp`.
    Unmarked,
}

/// Who has a value of the role claim.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleTable {
    /// As the provider writes it.
    pub value: String,
    pub role: Role,
}

/// Somebody made up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonTable {
    pub id: String,
    pub name: String,
    /// Values of the role claim.
    pub roles: Vec<String>,
    #[serde(default)]
    pub wards: Vec<String>,
}

fn algorithms() -> Vec<AlgorithmName> {
    vec![AlgorithmName::Es256]
}

const fn token_minutes_max() -> u32 {
    15
}

fn roles_claim() -> Vec<String> {
    vec!["roles".to_owned()]
}

fn wards_claim() -> Vec<String> {
    vec!["wards".to_owned()]
}

fn name_claim() -> Vec<String> {
    vec!["name".to_owned()]
}

const fn session_hours() -> u32 {
    SESSION_HOURS_MAX
}

const fn sessions_per_person() -> u32 {
    2
}

const fn verify_minutes() -> u32 {
    60
}

const fn outage_hours() -> u32 {
    OUTAGE_HOURS_MAX
}

/// Keys below the table, an index among them, and what is wrong there.
type Problems = Vec<(Place, String)>;

/// A place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Key(&'static str),
    /// An item of a list, or a key of a table in it.
    Item(&'static str, usize, Option<&'static str>),
}

impl Place {
    /// Below the table.
    pub(super) fn steps(self) -> Vec<Step<'static>> {
        match self {
            Self::Key(key) => vec![Step::Key(key)],
            Self::Item(key, index, below) => {
                let mut steps = vec![Step::Key(key), Step::Index(index)];
                steps.extend(below.map(Step::Key));
                steps
            }
        }
    }
}

impl IdentityTable {
    /// What can be known without a connection.
    pub(super) fn problems(&self, mode: Mode) -> Problems {
        let mut problems = Vec::new();
        let mut add = |place, what: &str| problems.push((place, what.to_owned()));
        if let Err(what) = self.issuer_problem(mode) {
            add(Place::Key("issuer"), &what);
        }
        if self.algorithms.is_empty() {
            add(Place::Key("algorithms"), "expected \"ES256\", \"RS256\" or both");
        }
        if self.clients.is_empty() {
            add(Place::Key("clients"), "expected the applications that people sign in with");
        }
        if !is_text(&self.audience) {
            add(Place::Key("audience"), "expected 1 to 500 characters");
        }
        // An ID token has the application as its audience.
        if self.clients.contains(&self.audience) {
            let what = "expected a name of this box as a resource, and not an application of \
                        `clients`: the audience of an application is what ID tokens have";
            add(Place::Key("audience"), what);
        }
        for (key, list) in [("clients", &self.clients), ("core_clients", &self.core_clients)] {
            for (index, _) in list.iter().enumerate().filter(|(_, one)| !is_text(one)) {
                add(Place::Item(key, index, None), "expected 1 to 500 characters");
            }
        }
        for (index, one) in self.core_clients.iter().enumerate() {
            if self.clients.contains(one) {
                let what = "stands in `clients` too: a person would pass for a system";
                add(Place::Item("core_clients", index, None), what);
            }
        }
        let paths = [
            ("roles_claim", &self.roles_claim),
            ("wards_claim", &self.wards_claim),
            ("name_claim", &self.name_claim),
        ];
        for (key, path) in paths {
            if path.is_empty() || !path.iter().all(|name| is_text(name)) {
                add(
                    Place::Key(key),
                    "expected member names, such as [\"realm_access\", \"roles\"]",
                );
            }
        }
        self.ranges(&mut add);
        self.roles(&mut add);
        if self.scope.as_ref().is_some_and(|scope| !is_text(scope) || scope.contains(' ')) {
            add(Place::Key("scope"), "expected one scope");
        }
        self.people(mode, &mut add);
        problems
    }

    /// An address as `Http` will take it.
    fn issuer_problem(&self, mode: Mode) -> Result<(), String> {
        use crate::forward::http::{HttpConfig, Plain};
        if self.development {
            // Nobody connects to it: the box's own issuer only has a name.
            let is_url = ["https://", "http://"].iter().any(|start| self.issuer.starts_with(start));
            let good = is_url && is_text(&self.issuer);
            return good.then_some(()).ok_or_else(|| "expected https://...".to_owned());
        }
        let plain = match mode {
            Mode::Production => Plain::ToLoopback,
            Mode::Bench => Plain::Anywhere,
        };
        let config = HttpConfig {
            url: self.issuer.clone(),
            ca: self.ca.clone(),
            crl: None,
            certificate: None,
            key: None,
            oauth2: None,
            answer_within_s: 1,
        };
        config.check(plain).map_err(|error| error.to_string())
    }

    fn ranges(&self, add: &mut impl FnMut(Place, &str)) {
        let ranges = [
            ("session_hours", self.session_hours, SESSION_HOURS_MAX),
            ("outage_hours", self.outage_hours, OUTAGE_HOURS_MAX),
            ("token_minutes_max", self.token_minutes_max, TOKEN_MINUTES_MAX),
            ("sessions_per_person", self.sessions_per_person, SESSIONS_MAX),
            ("verify_minutes", self.verify_minutes, SESSION_HOURS_MAX * 60),
        ];
        for (key, value, most) in ranges {
            if !(1..=most).contains(&value) {
                add(Place::Key(key), &format!("expected 1 to {most}"));
            }
        }
        if self.sign_in_minutes_max == Some(0) {
            add(Place::Key("sign_in_minutes_max"), "expected 1 or more");
        }
    }

    fn roles(&self, add: &mut impl FnMut(Place, &str)) {
        if self.role.is_empty() {
            let what = "expected [[identity.role]]: without one nobody may do anything";
            add(Place::Key("role"), what);
        }
        for (index, rule) in self.role.iter().enumerate() {
            if !is_text(&rule.value) {
                let place = Place::Item("role", index, Some("value"));
                add(place, "expected 1 to 500 characters");
            }
            let earlier = self.role.iter().take(index);
            if earlier.clone().any(|other| other.value == rule.value) {
                let place = Place::Item("role", index, Some("value"));
                add(place, "another role has this value");
            }
            if rule.role == Role::CoreSystem {
                let place = Place::Item("role", index, Some("role"));
                add(place, "expected a role of people: systems stand in `core_clients`");
            }
        }
    }

    fn people(&self, mode: Mode, add: &mut impl FnMut(Place, &str)) {
        if self.development && mode == Mode::Production {
            let what = "expected false: made-up people sign in without a password, which is \
                        accepted only in mode \"bench\"";
            add(Place::Key("development"), what);
        }
        if !self.development && !self.person.is_empty() {
            add(Place::Item("person", 0, None), "made-up people need `development = true`");
        }
        if self.development && self.person.is_empty() {
            add(Place::Key("development"), "expected [[identity.person]] beside it");
        }
        for (index, person) in self.person.iter().enumerate() {
            if !is_text(&person.id) || person.id.chars().count() > 128 {
                add(Place::Item("person", index, Some("id")), "expected 1 to 128 characters");
            }
            if self.person.iter().take(index).any(|other| other.id == person.id) {
                add(Place::Item("person", index, Some("id")), "another person has this id");
            }
        }
    }
}

impl Loader<'_> {
    pub(super) fn identity(&mut self, file: &ConfigurationFile) {
        let problems = file.identity.iter().flat_map(|table| table.problems(self.mode));
        for (place, what) in problems.collect::<Vec<_>>() {
            let mut path = vec![Step::Key("identity")];
            path.extend(place.steps());
            self.add(&path, what);
        }
    }
}

fn is_text(text: &str) -> bool {
    let characters = text.chars().count();
    (1..=TEXT_CHARACTERS_MAX).contains(&characters) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVELOPMENT: &str = r#"
        issuer = "https://box.example"
        audience = "wardgate"
        clients = ["bedside"]
        role = [{ value = "nurse", role = "registered-nurse" }]
        development = true
        person = [{ id = "a", name = "Aino Esimerkki", roles = ["nurse"] }]
    "#;

    fn problems(text: &str, mode: Mode) -> Vec<Place> {
        let table: IdentityTable = toml::from_str(text).unwrap();
        table.problems(mode).into_iter().map(|(place, _)| place).collect()
    }

    #[test]
    fn made_up_people_are_refused_in_production() {
        assert_eq!(problems(DEVELOPMENT, Mode::Bench), []);
        assert_eq!(problems(DEVELOPMENT, Mode::Production), [Place::Key("development")]);
        let without = DEVELOPMENT.replace("development = true", "development = false");
        let bench = problems(&without, Mode::Bench);
        assert!(bench.contains(&Place::Item("person", 0, None)), "{bench:?}");
        let twice = DEVELOPMENT
            .replace("person = [", "person = [{ id = \"a\", name = \"\", roles = [] }, ");
        assert_eq!(problems(&twice, Mode::Bench), [Place::Item("person", 1, Some("id"))]);
    }

    #[test]
    fn a_provider_over_plain_http_is_refused_in_production_beyond_this_box() {
        let of = |issuer: &str, mode| {
            let text = DEVELOPMENT.replace("https://box.example", issuer);
            let text = text.replace("development = true", "");
            let text: Vec<&str> = text.lines().filter(|line| !line.contains("person")).collect();
            problems(&text.join("\n"), mode)
        };
        let issuer = [Place::Key("issuer")];
        assert_eq!(of("http://login.example", Mode::Production), issuer);
        assert_eq!(of("http://login.example", Mode::Bench), []);
        assert_eq!(of("http://127.0.0.1:5", Mode::Production), []);
        // TLS is proven by the authorities that the site names, and by no others.
        assert_eq!(of("https://login.example", Mode::Production), issuer);
        assert_eq!(of("https://login.example/?x=1", Mode::Bench), issuer);
    }
}
