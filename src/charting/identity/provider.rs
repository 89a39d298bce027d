//! The hospital's provider over HTTPS: its discovery document, and the keys that it names.
//!
//! `<issuer>/.well-known/openid-configuration` must name the issuer byte for byte; `jwks_uri` comes
//! from there alone. Whom to trust stands in the site's `ca` file and nowhere else; nothing follows
//! a redirect.

use std::path::PathBuf;
use std::sync::Arc;

use super::cache::Fetched;
use super::development::{Issuer, MadeUp, Places};
use super::keys::KeySet;
use super::refused::Refused;
use super::token::strict_object;
use crate::forward::http::{Answer, Http, HttpConfig, HttpError, Plain, Request};
use crate::gateway::configuration::{IdentityTable, Mode};

/// The largest document that is read.
const DOCUMENT_BYTES_MAX: usize = 256 << 10;
/// People wait for the answer.
const ANSWER_WITHIN_S: u16 = 5;

/// Where keys come from.
pub enum Source {
    Provider(Provider),
    /// Our own, for demo and tests.
    Development(Arc<Issuer>),
    #[cfg(test)]
    Simulated(Arc<super::tests::Simulated>),
}

/// How the hospital's provider is reached.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its certificate authorities, a PEM file; `https` needs it.
    pub ca: Option<PathBuf>,
    /// Where `http` is accepted.
    pub plain: Plain,
}

/// What the discovery document says that somebody here needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub jwks: String,
    /// Where people sign in.
    pub authorization: Option<String>,
    /// Where a code becomes a token.
    pub token: Option<String>,
}

/// Why there are no keys. No text of the provider is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("{what} is answered with {status}")]
    Status { what: &'static str, status: u16 },
    #[error("the discovery document is none, or of another issuer, or names no key set of https")]
    Discovery,
    #[error("the key set is none, or holds no key for us")]
    Keys,
}

impl Source {
    /// As the site's table says: its provider, or the box's own issuer.
    ///
    /// # Errors
    /// [`Refused::NotKept`]: there are no random bytes for a key.
    pub fn of(table: &IdentityTable, mode: Mode) -> Result<Self, Refused> {
        if !table.development {
            let plain = match mode {
                Mode::Production => Plain::ToLoopback,
                Mode::Bench => Plain::Anywhere,
            };
            return Ok(Self::Provider(Provider { ca: table.ca.clone(), plain }));
        }
        let client = table.clients.first().map(String::as_str).unwrap_or_default();
        let people = table.person.iter().map(|person| MadeUp {
            id: person.id.clone(),
            name: person.name.clone(),
            roles: person.roles.clone(),
            wards: person.wards.clone(),
        });
        let places = Places {
            name: table.name_claim.clone(),
            roles: table.roles_claim.clone(),
            wards: table.wards_claim.clone(),
        };
        let (issuer, audience) = (&table.issuer, &table.audience);
        let issuer = Issuer::new(issuer, audience, client, people.collect(), places)?;
        Ok(Self::Development(Arc::new(issuer)))
    }

    /// Reads keys.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn fetch(&self, issuer: &str) -> Result<Fetched, FetchError> {
        match self {
            Self::Provider(provider) => provider.fetch(issuer).await,
            Self::Development(own) => {
                let (discovery, key_set) = (own.discovery(), own.key_set());
                let keys = KeySet::parse(&key_set).ok_or(FetchError::Keys)?;
                Ok(Fetched { keys, discovery, key_set })
            }
            #[cfg(test)]
            Self::Simulated(simulated) => simulated.fetch(),
        }
    }
}

impl Endpoints {
    /// Reads a discovery document of this issuer.
    pub fn of(document: &[u8], issuer: &str) -> Option<Self> {
        let document = strict_object(document)?;
        let text = |name: &str| document.get(name).and_then(|one| one.as_str()).map(str::to_owned);
        if text("issuer")? != issuer {
            return None;
        }
        Some(Self {
            jwks: text("jwks_uri")?,
            authorization: text("authorization_endpoint"),
            token: text("token_endpoint"),
        })
    }
}

impl Provider {
    async fn fetch(&self, issuer: &str) -> Result<Fetched, FetchError> {
        let path = "/.well-known/openid-configuration";
        let discovery = self.read("the discovery document", issuer, path).await?;
        let endpoints = Endpoints::of(&discovery, issuer).ok_or(FetchError::Discovery)?;
        // A provider that is proven by TLS must not send us elsewhere for what proves people.
        if issuer.starts_with("https:") && !endpoints.jwks.starts_with("https:") {
            return Err(FetchError::Discovery);
        }
        let (base, query) = match endpoints.jwks.split_once('?') {
            Some((base, query)) => (base, format!("?{query}")),
            None => (endpoints.jwks.as_str(), String::new()),
        };
        let key_set = self.read("the key set", base, &query).await?;
        let keys = KeySet::parse(&key_set).ok_or(FetchError::Keys)?;
        Ok(Fetched { keys, discovery, key_set })
    }

    /// The `ca` file is read anew each time: it is replaced while we run.
    async fn read(
        &self,
        what: &'static str,
        base: &str,
        path: &str,
    ) -> Result<Vec<u8>, FetchError> {
        let config = HttpConfig {
            url: base.to_owned(),
            ca: self.ca.clone().filter(|_| base.starts_with("https:")),
            crl: None,
            certificate: None,
            key: None,
            oauth2: None,
            answer_within_s: ANSWER_WITHIN_S,
        };
        let http = Http::new(&config, self.plain)?;
        let mut request = Request::get(path).with("accept", "application/json");
        request.answer_bytes_max = DOCUMENT_BYTES_MAX;
        let Answer { status, body, .. } = http.send(request).await?;
        if status == 200 { Ok(body) } else { Err(FetchError::Status { what, status }) }
    }
}
