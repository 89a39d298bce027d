//! `[destination.fhir]`.

use std::path::PathBuf;

use serde::Deserialize;

use crate::forward::http::{ConfigError, HttpConfig, OAuth2Config, Plain};

/// The FHIR R4 binding of a destination.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FhirConfig {
    /// The base of the server: `https://host[:port]/path`.
    pub url: String,
    #[serde(default)]
    pub ca: Option<PathBuf>,
    #[serde(default)]
    pub crl: Option<PathBuf>,
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    #[serde(default)]
    pub key: Option<PathBuf>,
    #[serde(default)]
    pub oauth2: Option<OAuth2Config>,
    /// A request that is not answered within this time has failed.
    #[serde(default = "answer_within_s")]
    pub answer_within_s: u16,
    /// The first wait before a record that was refused for now is sent again.
    #[serde(default = "resend_after_s")]
    pub resend_after_s: u16,
    /// The system of observation ids and devices instead of the gateway's own id. Observation ids
    /// are unique within one gateway, so no two gateways may share it.
    #[serde(default)]
    pub identifier_system: Option<String>,
    /// The system of patient ids that come without one.
    #[serde(default)]
    pub patient_system: Option<String>,
    /// Device alarms go there, too: for the record, not for notification.
    #[serde(default)]
    pub alarms: bool,
    /// Whether each record gets a Provenance; the server must let a client choose its id.
    #[serde(default = "provenance")]
    pub provenance: bool,
}

const fn answer_within_s() -> u16 {
    30
}

const fn resend_after_s() -> u16 {
    5
}

const fn provenance() -> bool {
    true
}

/// Why the table cannot work. [`Error::keys`] names the place below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Http(#[from] ConfigError),
    #[error("expected a URI such as urn:oid:1.2.246.21")]
    BadSystem { keys: &'static [&'static str] },
    #[error("must not be 0")]
    Zero { keys: &'static [&'static str] },
}

impl Error {
    /// The keys below the binding's table that are wrong.
    pub const fn keys(&self) -> &'static [&'static str] {
        match self {
            Error::Http(error) => error.keys(),
            Error::BadSystem { keys } | Error::Zero { keys } => keys,
        }
    }
}

impl FhirConfig {
    /// How the server is reached.
    pub fn http(&self) -> HttpConfig {
        HttpConfig {
            url: self.url.clone(),
            ca: self.ca.clone(),
            crl: self.crl.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            oauth2: self.oauth2.clone(),
            answer_within_s: self.answer_within_s,
        }
    }

    /// What can be known without a connection.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, plain: Plain) -> Result<(), Error> {
        self.http().check(plain)?;
        if self.resend_after_s == 0 {
            return Err(Error::Zero { keys: &["resend_after_s"] });
        }
        let identifier = (&self.identifier_system, &["identifier_system"] as &'static [_]);
        let patient = (&self.patient_system, &["patient_system"] as &'static [_]);
        for (system, keys) in [identifier, patient] {
            if system.as_deref().is_some_and(|system| !is_uri(system)) {
                return Err(Error::BadSystem { keys });
            }
        }
        Ok(())
    }
}

/// A scheme, a colon and something behind it, of characters that a search may carry unescaped.
fn is_uri(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/".contains(c);
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    named && !rest.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> FhirConfig {
        toml::from_str(&format!("url = \"http://127.0.0.1:8080/fhir\"\n{more}")).unwrap()
    }

    #[test]
    fn what_cannot_work_is_named_by_its_key() {
        let wrong = |more: &str| config(more).check(Plain::ToLoopback).map_err(|one| one.keys());
        assert_eq!(wrong(""), Ok(()));
        assert_eq!(wrong("patient_system = \"urn:oid:1.2.246.21\""), Ok(()));
        assert_eq!(wrong("patient_system = \"1.2.246.21\""), Err(&["patient_system"] as &[_]));
        let system = "identifier_system = \"urn:x y\"";
        assert_eq!(wrong(system), Err(&["identifier_system"] as &[_]));
        assert_eq!(wrong("resend_after_s = 0"), Err(&["resend_after_s"] as &[_]));
        let far = FhirConfig { url: "http://fhir.example/base".to_owned(), ..config("") };
        assert_eq!(far.check(Plain::ToLoopback).map_err(|one| one.keys()), Err(&["url"] as &[_]));
        assert!(toml::from_str::<FhirConfig>("url = \"http://a\"\nbase = 1").is_err());
    }
}
