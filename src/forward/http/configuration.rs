//! Where a receiver that speaks HTTP is, and how it and we are trusted.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use crate::forward::tls::{TlsError, TlsFiles};

/// Longer addresses are a mistake.
const URL_CHARACTERS_MAX: usize = 2000;

/// What the tables of the HTTP bindings have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// `https://host[:port][/path]`, without a query.
    pub url: String,
    /// The certificate authorities of the receiver, a PEM file. `https` needs it.
    pub ca: Option<PathBuf>,
    /// Lists of revoked certificates of these authorities, a PEM file.
    pub crl: Option<PathBuf>,
    /// Our certificate, a PEM file; with `key`.
    pub certificate: Option<PathBuf>,
    /// Its private key, a PEM file.
    pub key: Option<PathBuf>,
    pub oauth2: Option<OAuth2Config>,
    /// A request that is not answered within this time has failed.
    pub answer_within_s: u16,
}

/// OAuth2 client credentials (RFC 6749, 4.4).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth2Config {
    pub token_url: String,
    pub client_id: String,
    /// The file that holds the client secret and nothing else; a line end behind it is ignored.
    pub secret_file: PathBuf,
    #[serde(default)]
    pub scope: Option<String>,
    /// The certificate authorities of the token endpoint, where they are not the receiver's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
}

/// Where `http://` without TLS is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// Only to this box: production.
    ToLoopback,
    /// Anywhere: the bench.
    Anywhere,
}

/// Why a configuration cannot work. [`ConfigError::keys`] names the place below the binding's
/// table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("expected https://host[:port][/path], without user, query or fragment")]
    BadUrl { keys: &'static [&'static str] },
    #[error(
        "expected https: a plain connection is accepted only to this box, or in mode \"bench\""
    )]
    Plain { keys: &'static [&'static str] },
    #[error("https needs ca beside it: the authorities that the receiver is proven by")]
    NoAuthority { keys: &'static [&'static str] },
    #[error("ca, certificate and key are for https: with http nobody would look at them")]
    TlsWithoutHttps,
    #[error("must not be 0")]
    Zero { keys: &'static [&'static str] },
    #[error("expected a client id of 1 to 200 characters")]
    BadClientId,
    #[error("cannot read the secret file: {0:?}")]
    SecretFile(std::io::ErrorKind),
    #[error("the secret file holds no secret of 1 to 1000 characters on one line")]
    BadSecret,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl ConfigError {
    /// The keys below the binding's table that are wrong.
    pub const fn keys(&self) -> &'static [&'static str] {
        match self {
            ConfigError::BadUrl { keys }
            | ConfigError::Plain { keys }
            | ConfigError::NoAuthority { keys }
            | ConfigError::Zero { keys } => keys,
            ConfigError::TlsWithoutHttps => &["ca"],
            ConfigError::BadClientId => &["oauth2", "client_id"],
            ConfigError::SecretFile(_) | ConfigError::BadSecret => &["oauth2", "secret_file"],
            ConfigError::Tls(error) => match error.field().as_bytes() {
                b"ca" => &["ca"],
                b"crl" => &["crl"],
                b"certificate" => &["certificate"],
                _ => &["key"],
            },
        }
    }
}

const URL: &[&str] = &["url"];
const TOKEN_URL: &[&str] = &["oauth2", "token_url"];

impl HttpConfig {
    /// What can be known without a connection: every value makes sense, and the files can be read
    /// and belong together.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self, plain: Plain) -> Result<(), ConfigError> {
        let secure = check_url(&self.url, URL, plain)?;
        if secure && self.ca.is_none() {
            return Err(ConfigError::NoAuthority { keys: URL });
        }
        if !secure && self.tls() != TlsFiles::default() {
            return Err(ConfigError::TlsWithoutHttps);
        }
        self.tls().check()?;
        if self.answer_within_s == 0 {
            return Err(ConfigError::Zero { keys: &["answer_within_s"] });
        }
        let Some(oauth2) = &self.oauth2 else { return Ok(()) };
        let secure = check_url(&oauth2.token_url, TOKEN_URL, plain)?;
        if secure && oauth2.ca.is_none() && self.ca.is_none() {
            return Err(ConfigError::NoAuthority { keys: TOKEN_URL });
        }
        TlsFiles { ca: oauth2.ca.clone(), ..TlsFiles::default() }.check()?;
        if oauth2.client_id.is_empty() || oauth2.client_id.chars().count() > 200 {
            return Err(ConfigError::BadClientId);
        }
        oauth2.secret().map(drop)
    }

    /// The TLS files that the table names.
    pub fn tls(&self) -> TlsFiles {
        TlsFiles {
            ca: self.ca.clone(),
            crl: self.crl.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        }
    }

    /// Whether the receiver is this box.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.url)
    }

    /// Whether the receiver is proven to us by TLS, and we to it by certificate or token.
    pub fn proves_both(&self) -> bool {
        self.tls().are_mutual() || (self.ca.is_some() && self.oauth2.is_some())
    }

    pub(super) fn answer_within(&self) -> Duration {
        Duration::from_secs(self.answer_within_s.into())
    }
}

impl OAuth2Config {
    /// The secret, read from its file.
    pub(super) fn secret(&self) -> Result<String, ConfigError> {
        let text = std::fs::read_to_string(&self.secret_file)
            .map_err(|error| ConfigError::SecretFile(error.kind()))?;
        let secret = text.trim_end_matches(['\r', '\n']);
        let good = (1..=1000).contains(&secret.chars().count());
        if !good || secret.chars().any(char::is_control) {
            return Err(ConfigError::BadSecret);
        }
        Ok(secret.to_owned())
    }
}

/// Whether an address is of this box.
pub fn is_loopback(url: &str) -> bool {
    let Ok(url) = url.parse::<Url>() else { return false };
    let host = url.host_str().unwrap_or_default();
    let address: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Whether it is `https`.
fn check_url(text: &str, keys: &'static [&'static str], plain: Plain) -> Result<bool, ConfigError> {
    let bad = ConfigError::BadUrl { keys };
    if text.len() > URL_CHARACTERS_MAX {
        return Err(bad);
    }
    let url: Url = text.parse().map_err(|_| bad)?;
    let odd = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
        || url.port() == Some(0)
        || url.host_str().is_none_or(str::is_empty);
    if odd {
        return Err(bad);
    }
    match url.scheme() {
        "https" => Ok(true),
        "http" if plain == Plain::Anywhere || is_loopback(text) => Ok(false),
        "http" => Err(ConfigError::Plain { keys }),
        _ => Err(bad),
    }
}
