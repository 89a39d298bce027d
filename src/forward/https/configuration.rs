//! How a receiver is reached over HTTPS, as the configuration says, and whether that can work.

use std::path::PathBuf;

use serde::Deserialize;

use crate::forward::acknowledgement::RECEIVER_CHARACTERS_MAX;
use crate::forward::http::{ConfigError, HttpConfig, OAuth2Config, Plain};
use crate::forward::window::{IN_FLIGHT_BYTES_MAX, IN_FLIGHT_RECORDS_MAX};

/// `[destination.https]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpsConfig {
    /// `https://host[:port][/path]`; `/ingest/v1/...` is added.
    pub url: String,
    /// The `receiver_id`s whose answers count; at least one.
    pub receivers: Vec<String>,
    /// The certificate authorities of the receiver, a PEM file.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Lists of revoked certificates of these authorities, a PEM file.
    #[serde(default)]
    pub crl: Option<PathBuf>,
    /// Our certificate, a PEM file; with `key`.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key, a PEM file.
    #[serde(default)]
    pub key: Option<PathBuf>,
    /// Client credentials, instead of a certificate of ours or beside it.
    #[serde(default)]
    pub oauth2: Option<OAuth2Config>,
    /// The most records in one batch.
    #[serde(default = "batch_records")]
    pub batch_records: usize,
    /// The most bytes in one batch; a larger record goes alone.
    #[serde(default = "batch_bytes")]
    pub batch_bytes: usize,
    /// A request that is not answered within this time has failed.
    #[serde(default = "answer_within_s")]
    pub answer_within_s: u16,
    /// The silence after which a record is sent again that an answer did not name.
    #[serde(default = "resend_after_s")]
    pub resend_after_s: u16,
}

const fn batch_records() -> usize {
    100
}

const fn batch_bytes() -> usize {
    1 << 20
}

const fn answer_within_s() -> u16 {
    30
}

const fn resend_after_s() -> u16 {
    5
}

/// Why a destination cannot be run. [`Error::keys`] names the place below the binding's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "at least one receiver id is needed, each of 1 to {RECEIVER_CHARACTERS_MAX} characters"
    )]
    BadReceiver,
    #[error("expected 1 to {most}")]
    OutOfRange { keys: &'static [&'static str], most: usize },
    #[error(transparent)]
    Http(#[from] ConfigError),
}

impl Error {
    /// The keys below the binding's table that are wrong.
    pub const fn keys(&self) -> &'static [&'static str] {
        match self {
            Error::BadReceiver => &["receivers"],
            Error::OutOfRange { keys, .. } => keys,
            Error::Http(error) => error.keys(),
        }
    }
}

impl HttpsConfig {
    /// What can be known without a connection.
    ///
    /// ```
    /// use wardgate::forward::http::Plain;
    /// use wardgate::forward::https::HttpsConfig;
    /// let table = "url = \"http://core/\"\nreceivers = [\"core\"]";
    /// let https: HttpsConfig = toml::from_str(table).unwrap();
    /// assert_eq!(https.check(Plain::Anywhere), Ok(()));
    /// assert_eq!(https.check(Plain::ToLoopback).unwrap_err().keys(), ["url"]);
    /// ```
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, plain: Plain) -> Result<(), Error> {
        let good = |id: &String| (1..=RECEIVER_CHARACTERS_MAX).contains(&id.chars().count());
        if self.receivers.is_empty() || !self.receivers.iter().all(good) {
            return Err(Error::BadReceiver);
        }
        let ranges = [
            (&["batch_records"][..], self.batch_records, IN_FLIGHT_RECORDS_MAX),
            (&["batch_bytes"], self.batch_bytes, IN_FLIGHT_BYTES_MAX),
            (&["resend_after_s"], self.resend_after_s.into(), usize::from(u16::MAX)),
        ];
        for (keys, value, most) in ranges {
            if !(1..=most).contains(&value) {
                return Err(Error::OutOfRange { keys, most });
            }
        }
        self.http().check(plain)?;
        Ok(())
    }

    /// The part that says how the receiver is reached.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(more: &str) -> HttpsConfig {
        let table = format!("url = \"http://127.0.0.1:1\"\nreceivers = [\"core\"]\n{more}");
        toml::from_str(&table).unwrap()
    }

    #[test]
    fn a_value_that_cannot_work_is_named_by_its_keys() {
        let keys = |config: &HttpsConfig| config.check(Plain::ToLoopback).map_err(|e| e.keys());
        assert_eq!(keys(&config("")), Ok(()));
        for key in ["batch_records", "batch_bytes", "resend_after_s", "answer_within_s"] {
            assert_eq!(keys(&config(&format!("{key} = 0"))), Err(&[key][..]));
        }
        assert_eq!(keys(&config("batch_records = 257")), Err(&["batch_records"][..]));
        for receivers in [vec![], vec![String::new()]] {
            assert_eq!(keys(&HttpsConfig { receivers, ..config("") }), Err(&["receivers"][..]));
        }
        let unknown = "url = \"http://core\"\nreceivers = [\"core\"]\npasword = \"x\"";
        assert!(toml::from_str::<HttpsConfig>(unknown).is_err());
    }
}
