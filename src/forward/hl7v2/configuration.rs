//! How a receiver of HL7 v2 is reached, as the configuration says, and whether that can work.
//!
//! It reads the TLS files and nothing of the network. The map is read by whoever has a vocabulary.

use std::net::IpAddr;
use std::path::PathBuf;

use rustls::pki_types::ServerName;
use serde::Deserialize;

use crate::forward::tls::{TlsError, TlsFiles};
use crate::forward::window::IN_FLIGHT_RECORDS_MAX;

/// `[destination.hl7v2]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hl7v2Config {
    /// Name or address of the receiver.
    pub host: String,
    pub port: u16,
    /// The destination map.
    pub map: PathBuf,
    /// The certificate authorities of the receiver, a PEM file. With it the connection is TLS.
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
    /// The silence after which a message is sent again.
    #[serde(default = "answer_within_s")]
    pub answer_within_s: u16,
    /// How many messages may wait for their answers; one unless the receiver allows more.
    #[serde(default = "outstanding")]
    pub outstanding: u16,
}

/// facts/semantics.md 5.2: 10 to 30 s.
const fn answer_within_s() -> u16 {
    15
}

const fn outstanding() -> u16 {
    1
}

/// Why a destination cannot be run. Connection troubles are none: they are tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the host must be a name or an address, without a scheme or a port")]
    BadHost,
    #[error("{field} must not be 0")]
    Zero { field: &'static str },
    #[error("outstanding must not be above {IN_FLIGHT_RECORDS_MAX}")]
    TooManyOutstanding,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Error {
    /// The key of [`Hl7v2Config`] that is wrong.
    pub const fn field(&self) -> &'static str {
        match self {
            Error::BadHost => "host",
            Error::Zero { field } => field,
            Error::TooManyOutstanding => "outstanding",
            Error::Tls(error) => error.field(),
        }
    }
}

/// What can be known without a connection and without the map.
///
/// # Errors
/// The first thing that is wrong, in the order of the table.
pub fn check(config: &Hl7v2Config) -> Result<(), Error> {
    let Hl7v2Config { host, port, answer_within_s, outstanding, .. } = config;
    if host.parse::<IpAddr>().is_err() && ServerName::try_from(host.as_str()).is_err() {
        return Err(Error::BadHost);
    }
    if *port == 0 {
        return Err(Error::Zero { field: "port" });
    }
    config.tls().check()?;
    if *answer_within_s == 0 {
        return Err(Error::Zero { field: "answer_within_s" });
    }
    match usize::from(*outstanding) {
        0 => Err(Error::Zero { field: "outstanding" }),
        count if count > IN_FLIGHT_RECORDS_MAX => Err(Error::TooManyOutstanding),
        _ => Ok(()),
    }
}

impl Hl7v2Config {
    /// The TLS files that the table names.
    pub fn tls(&self) -> TlsFiles {
        TlsFiles {
            ca: self.ca.clone(),
            crl: self.crl.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_cannot_work_is_named_by_its_key() {
        let config = |more: &str| -> Hl7v2Config {
            toml::from_str(&format!("host = \"core\"\nmap = \"pcd-01.toml\"\n{more}")).unwrap()
        };
        let good = config("port = 2575");
        assert_eq!((good.answer_within_s, good.outstanding), (15, 1));
        assert_eq!(check(&good), Ok(()));
        for (more, field) in [
            ("port = 0", "port"),
            ("port = 2575\nanswer_within_s = 0", "answer_within_s"),
            ("port = 2575\noutstanding = 0", "outstanding"),
            ("port = 2575\noutstanding = 500", "outstanding"),
            ("port = 2575\ncertificate = \"x\"", "certificate"),
        ] {
            assert_eq!(check(&config(more)).unwrap_err().field(), field, "{more}");
        }
        let wrong = Hl7v2Config { host: "mllp://core".to_owned(), ..good };
        assert_eq!(check(&wrong), Err(Error::BadHost));
    }
}
