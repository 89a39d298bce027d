//! What the site says of its provider and of its people: which tokens are believed, and which
//! claims make whom.

use serde_json::{Map, Value as Json};

use super::keys::Algorithm;
use crate::gateway::configuration::{AccessTokenKind, AlgorithmName, IdentityTable};
use crate::vocabulary::role::Role;

/// More wards than this are a mistake of the claim.
const WARDS_MAX: usize = 100;
/// More roles than this are not looked at.
const VALUES_MAX: usize = 500;

/// How the provider marks its access tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessToken {
    /// As RFC 9068 says: `typ: at+jwt`, `client_id`, `jti`.
    Rfc9068,
    /// By nothing: the application may stand in `azp`, and what looks like an ID token is refused
    /// by its claims.
    Unmarked,
}

/// A claim by its path of member names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimPath(pub Vec<String>);

impl ClaimPath {
    /// The claim, if the token has it.
    pub fn find<'a>(&self, claims: &'a Map<String, Json>) -> Option<&'a Json> {
        let (first, rest) = self.0.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |found, name| found.as_object()?.get(name))
    }

    /// The texts there: one with spaces between, or an array. Anything else is none.
    pub fn texts<'a>(&self, claims: &'a Map<String, Json>) -> Vec<&'a str> {
        match self.find(claims) {
            Some(Json::String(text)) => text.split(' ').filter(|one| !one.is_empty()).collect(),
            Some(Json::Array(items)) => items.iter().filter_map(Json::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// A value of the provider's role claim, and who has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRule {
    pub value: String,
    pub role: Role,
}

/// Everything that decides whether a token is believed and what it makes of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Byte for byte as in the tokens.
    pub issuer: String,
    pub audience: String,
    pub algorithms: Vec<Algorithm>,
    /// The applications that people sign in with.
    pub clients: Vec<String>,
    /// The core systems that have a token of their own.
    pub core_clients: Vec<String>,
    pub access_token: AccessToken,
    /// A scope that every token must have.
    pub scope: Option<String>,
    pub token_s_max: i64,
    /// How long ago the person may have signed in (`auth_time`), where the site asks for it.
    pub sign_in_s_max: Option<i64>,
    pub roles_claim: ClaimPath,
    pub roles: Vec<RoleRule>,
    pub wards_claim: ClaimPath,
    pub name_claim: ClaimPath,
    pub session_s: i64,
    /// How many sessions one person may have; one more ends the oldest.
    pub sessions_per_person: usize,
    /// How often the provider has to vouch for a session while it can be reached.
    pub verify_every_s: i64,
    pub outage_s: i64,
}

impl From<&IdentityTable> for Settings {
    /// A table that was checked when it was loaded.
    fn from(table: &IdentityTable) -> Self {
        let minutes = |minutes: u32| i64::from(minutes) * 60;
        let path = |path: &[String]| ClaimPath(path.to_vec());
        let rule = |rule: &crate::gateway::configuration::RoleTable| RoleRule {
            value: rule.value.clone(),
            role: rule.role,
        };
        Self {
            issuer: table.issuer.clone(),
            audience: table.audience.clone(),
            algorithms: table.algorithms.iter().map(|name| Algorithm::from(*name)).collect(),
            clients: table.clients.clone(),
            core_clients: table.core_clients.clone(),
            access_token: match table.access_token {
                AccessTokenKind::Rfc9068 => AccessToken::Rfc9068,
                AccessTokenKind::Unmarked => AccessToken::Unmarked,
            },
            scope: table.scope.clone(),
            token_s_max: minutes(table.token_minutes_max),
            sign_in_s_max: table.sign_in_minutes_max.map(minutes),
            roles_claim: path(&table.roles_claim),
            roles: table.role.iter().map(rule).collect(),
            wards_claim: path(&table.wards_claim),
            name_claim: path(&table.name_claim),
            session_s: minutes(table.session_hours * 60),
            sessions_per_person: table.sessions_per_person as usize,
            verify_every_s: minutes(table.verify_minutes),
            outage_s: minutes(table.outage_hours * 60),
        }
    }
}

impl From<AlgorithmName> for Algorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::Es256 => Self::Es256,
            AlgorithmName::Rs256 => Self::Rs256,
        }
    }
}

impl Settings {
    /// The role of somebody with these claims: the first rule of the site that fits. A student is
    /// one under any other role too.
    pub fn role(&self, claims: &Map<String, Json>) -> Option<(Role, bool)> {
        let values = self.roles_claim.texts(claims);
        let values = values.get(..values.len().min(VALUES_MAX)).unwrap_or_default();
        let has = |rule: &&RoleRule| values.contains(&rule.value.as_str());
        let first = self.roles.iter().find(has)?;
        let student = self.roles.iter().filter(has).any(|rule| rule.role == Role::Student);
        Some((first.role, student))
    }

    /// The wards of somebody with these claims.
    pub fn wards(&self, claims: &Map<String, Json>) -> Vec<String> {
        let wards = self.wards_claim.texts(claims);
        wards.into_iter().take(WARDS_MAX).map(str::to_owned).collect()
    }
}
