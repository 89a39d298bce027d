//! Who: a patient by an identifier and the root that gave it, and the encounter. An identifier is
//! the same as another only if both parts are, so a temporary code never matches across
//! organisations. Nothing here shows an identifier but `reveal`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PersonalCode, PersonalCodeError};

/// The national root of Finnish personal identity codes (facts/semantics.md 4.2).
pub const NATIONAL_ROOT: &str = "1.2.246.21";

/// The longest root and the longest value: far above what any organisation uses.
const CHARACTERS_MAX: usize = 64;

/// What the installation is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Real patients: temporary and test codes are no national identity.
    #[default]
    Production,
    /// Made-up patients: real codes are refused.
    Test,
}

/// Why an identifier is not taken. Says nothing of the identifier itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatientIdError {
    /// A root is an OID: numbers and dots.
    #[error("expected an OID such as 1.2.246.10.1234567.22.2026 as the root of the identifier")]
    Root,
    /// Empty, too long, or with control characters or blanks at its ends.
    #[error("expected 1 to 64 characters without control characters as an identifier")]
    Value,
    /// Under the national root, but no personal identity code.
    #[error("no personal identity code: {0}")]
    Code(#[from] PersonalCodeError),
    /// Individual number 900 to 999 under the national root.
    #[error("a temporary or test code is no national identity")]
    TemporaryAsNational,
    /// A real code in an installation for tests.
    #[error("a real personal identity code in test mode")]
    RealInTest,
}

/// A patient's identifier.
///
/// ```
/// use wardgate::vocabulary::{PatientId, PatientIdError, Purpose};
/// let fictional = "010594Y9032";
/// let own_root = "1.2.246.10.1234567.22.2026";
/// assert!(PatientId::given(own_root, fictional, Purpose::Production).unwrap().is_temporary());
/// assert_eq!(
///     PatientId::given("1.2.246.21", fictional, Purpose::Production),
///     Err(PatientIdError::TemporaryAsNational)
/// );
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct PatientId {
    root: String,
    value: String,
}

/// What stands in a journal: the rules of the door were kept when it went in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    root: String,
    value: String,
}

impl TryFrom<Stored> for PatientId {
    type Error = PatientIdError;

    fn try_from(stored: Stored) -> Result<Self, PatientIdError> {
        Self::well_formed(&stored.root, &stored.value)
    }
}

impl PatientId {
    /// As a scan, a message or a person gave it, by the rules of this installation.
    pub fn given(root: &str, value: &str, purpose: Purpose) -> Result<Self, PatientIdError> {
        let id = Self::well_formed(root, value)?;
        let code = PersonalCode::parse(&id.value).ok();
        let temporary = code.as_ref().map(PersonalCode::is_temporary);
        match (purpose, temporary) {
            // Also under another root: many systems keep the national code as a record number.
            (Purpose::Test, Some(false)) => Err(PatientIdError::RealInTest),
            (Purpose::Production, Some(true)) if id.is_national() => {
                Err(PatientIdError::TemporaryAsNational)
            }
            (Purpose::Test | Purpose::Production, Some(_) | None) => Ok(id),
        }
    }

    fn well_formed(root: &str, value: &str) -> Result<Self, PatientIdError> {
        let part = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if root.len() > CHARACTERS_MAX || !root.contains('.') || !root.split('.').all(part) {
            return Err(PatientIdError::Root);
        }
        if root == NATIONAL_ROOT {
            let code = PersonalCode::parse(value)?;
            return Ok(Self { root: root.to_owned(), value: code.reveal().to_owned() });
        }
        let characters = value.chars().count();
        let blank = value.trim() != value || value.chars().any(char::is_control);
        if characters == 0 || characters > CHARACTERS_MAX || blank {
            return Err(PatientIdError::Value);
        }
        Ok(Self { root: root.to_owned(), value: value.to_owned() })
    }

    /// The OID of who gave it.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The identifier. The only way to it, so that a search for this name finds every use.
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// Whether it is a personal identity code under the national root.
    pub fn is_national(&self) -> bool {
        self.root == NATIONAL_ROOT
    }

    /// Whether it is a personal identity code with an individual number from 900 on.
    pub fn is_temporary(&self) -> bool {
        PersonalCode::parse(&self.value).is_ok_and(|code| code.is_temporary())
    }
}

impl fmt::Debug for PatientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PatientId(..)")
    }
}

/// An encounter's number (PV1-19), as the patient system gave it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EncounterId(String);

impl EncounterId {
    /// 1 to 64 characters without control characters.
    pub fn parse(text: &str) -> Result<Self, PatientIdError> {
        let characters = text.chars().count();
        if characters == 0 || characters > CHARACTERS_MAX || text.chars().any(char::is_control) {
            return Err(PatientIdError::Value);
        }
        Ok(Self(text.to_owned()))
    }

    /// The number.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for EncounterId {
    type Error = PatientIdError;

    fn try_from(text: String) -> Result<Self, PatientIdError> {
        Self::parse(&text)
    }
}

impl From<EncounterId> for String {
    fn from(id: EncounterId) -> Self {
        id.0
    }
}

impl fmt::Debug for EncounterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncounterId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "131052-308T";
    const TEMPORARY: &str = "020516C903K";
    const OWN: &str = "1.2.246.10.1234567.22.2026";
    const OTHERS: &str = "1.2.246.10.7654321.22.2026";

    #[test]
    fn a_temporary_code_is_an_identity_only_under_an_organisation() {
        let given = |root, value| PatientId::given(root, value, Purpose::Production);
        assert_eq!(given(NATIONAL_ROOT, TEMPORARY), Err(PatientIdError::TemporaryAsNational));
        assert!(given(OWN, TEMPORARY).unwrap().is_temporary());
        assert!(given(OWN, TEMPORARY) != given(OTHERS, TEMPORARY));
        assert!(given(NATIONAL_ROOT, OLD).unwrap().is_national());
    }

    #[test]
    fn a_real_code_is_refused_in_test_mode_under_any_root() {
        for root in [NATIONAL_ROOT, OWN] {
            let refused = PatientId::given(root, OLD, Purpose::Test);
            assert_eq!(refused, Err(PatientIdError::RealInTest));
        }
        assert!(PatientId::given(NATIONAL_ROOT, TEMPORARY, Purpose::Test).is_ok());
    }

    #[test]
    fn roots_and_values_have_a_form() {
        for root in ["", "1", "1..2", "urn:oid:1.2", "1.2.x", "1.2."] {
            let refused = PatientId::given(root, "A1", Purpose::Production);
            assert_eq!(refused, Err(PatientIdError::Root), "{root}");
        }
        for value in ["", " A1", "A1 ", "A\u{1d}1"] {
            let refused = PatientId::given(OWN, value, Purpose::Production);
            assert_eq!(refused, Err(PatientIdError::Value));
        }
        let refused = PatientId::given(NATIONAL_ROOT, "A1", Purpose::Production);
        assert_eq!(refused, Err(PatientIdError::Code(PersonalCodeError::Form)));
    }

    #[test]
    fn it_survives_a_record_and_is_shown_by_nothing() {
        let id = PatientId::given(NATIONAL_ROOT, OLD, Purpose::Production).unwrap();
        let text = serde_json::to_string(&id).unwrap();
        assert_eq!(text, r#"{"root":"1.2.246.21","value":"131052-308T"}"#);
        assert!(serde_json::from_str::<PatientId>(&text).unwrap() == id);
        assert_eq!(format!("{id:?}"), "PatientId(..)");
        let damaged = text.replace("308T", "308U");
        let error = serde_json::from_str::<PatientId>(&damaged).unwrap_err();
        assert!(!error.to_string().contains("131052"));
        let encounter = EncounterId::parse("E-77").unwrap();
        assert_eq!(format!("{encounter:?}"), "EncounterId(..)");
    }
}
