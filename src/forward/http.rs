//! The HTTP client of the bindings that speak HTTP: JSON and FHIR.
//!
//! It knows how to reach a receiver safely and nothing of what is sent. It must not fall back to a
//! plain connection, follow a redirect (records would go to whom the configuration does not name),
//! take a proxy from the environment, read an answer without a limit, or let a word of a peer or a
//! secret into an error or a log.
//!
//! | part | does |
//! |---|---|
//! | [`HttpConfig`] | where the receiver is and how it is trusted, and whether that can work |
//! | [`Http`] | one client, with TLS files as they were when it was made |
//! | `token` | OAuth2 client credentials (RFC 6749, 4.4) |
//! | [`retry_after`] | the wait that a busy receiver asks for (RFC 9110, 10.2.3) |

mod configuration;
pub mod retry_after;
mod token;

pub use configuration::{ConfigError, HttpConfig, OAuth2Config, Plain, is_loopback};

use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode};

use super::tls::{Peer, TlsFiles};
use token::{Bearer, Tokens};

/// A receiver on the hospital's network answers the connection within that time or is away.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// The longest wait that is followed: a receiver that asks for more is asked again after it.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// The default limit of an answer: an acknowledgement at its limits fits, and so does a bundle's
/// answer for every record in flight.
pub const ANSWER_BYTES_MAX: usize = 4 << 20;

/// Why there is no answer. No text of a peer is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot connect: {0:?}")]
    Connect(io::ErrorKind),
    #[error("TLS: {0}")]
    Tls(&'static str),
    #[error("no answer in time")]
    Timeout,
    #[error("the connection broke: {0:?}")]
    Broken(io::ErrorKind),
    #[error("an answer larger than {0} bytes")]
    TooLarge(usize),
    #[error("a path or a header of ours that HTTP cannot carry")]
    BadRequest,
    #[error("the token endpoint answers {status}")]
    TokenRefused { status: u16, retry_after: Option<Duration> },
    #[error("the token endpoint's answer is not a bearer token")]
    NotAToken,
}

impl HttpError {
    /// The wait that the token endpoint asks for.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            HttpError::TokenRefused { retry_after, .. } => *retry_after,
            HttpError::Config(_)
            | HttpError::Connect(_)
            | HttpError::Tls(_)
            | HttpError::Timeout
            | HttpError::Broken(_)
            | HttpError::TooLarge(_)
            | HttpError::BadRequest
            | HttpError::NotAToken => None,
        }
    }
}

/// What is asked of the receiver.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    /// Behind the base, with its leading `/` and its query, for example `/ingest/v1/records`.
    pub path: String,
    /// More headers, `content-type` among them.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// An answer larger than this is an error.
    pub answer_bytes_max: usize,
}

impl Request {
    /// A request without a body.
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            headers: Vec::new(),
            body: Vec::new(),
            answer_bytes_max: ANSWER_BYTES_MAX,
        }
    }

    /// A request with a body.
    pub fn post(path: impl Into<String>, content_type: &str, body: Vec<u8>) -> Self {
        let headers = vec![(CONTENT_TYPE_NAME, content_type.to_owned())];
        Self { method: Method::POST, headers, body, ..Self::get(path) }
    }

    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

const CONTENT_TYPE_NAME: &str = "content-type";

/// What the receiver answered, whatever the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The wait that it asks for, by its own clock where it sends one; at most
    /// [`RETRY_AFTER_MAX`].
    pub retry_after: Option<Duration>,
    headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    /// 200 to 299.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The text of a header, such as `etag` or `location`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A client of one receiver. The TLS files and the secret are those of the moment when it was
/// made: make a new one for each connection of a binding, because they are renewed while the
/// gateway runs.
pub struct Http {
    client: Client,
    /// Without a slash at its end.
    base: String,
    tokens: Option<Tokens>,
}

impl Http {
    /// Reads the files and prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// What is wrong with the configuration or its files.
    pub fn new(config: &HttpConfig, plain: Plain) -> Result<Self, HttpError> {
        Self::noting(config, plain, &Arc::default())
    }

    /// The same; what is seen of the receiver's certificate is noted.
    ///
    /// # Errors
    /// What is wrong with the configuration or its files.
    pub fn noting(config: &HttpConfig, plain: Plain, peer: &Arc<Peer>) -> Result<Self, HttpError> {
        config.check(plain)?;
        let client = client(config, &config.tls(), peer)?;
        let tokens = match &config.oauth2 {
            Some(oauth2) => Some(Tokens::new(oauth2, token_client(config, oauth2)?)?),
            None => None,
        };
        let base = config.url.trim_end_matches('/').to_owned();
        Ok(Self { client, base, tokens })
    }

    /// Posts JSON; `headers` are added.
    ///
    /// # Errors
    /// There is no answer. An answer with any status is none.
    pub async fn post_json(
        &self,
        path: &str,
        body: Vec<u8>,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, HttpError> {
        let mut request = Request::post(path, "application/json", body);
        request.headers.extend(headers.iter().cloned());
        self.send(request).await
    }

    /// Sends a request. With OAuth2 a 401 is answered once with a new token.
    ///
    /// # Errors
    /// There is no answer. An answer with any status is none.
    pub async fn send(&self, request: Request) -> Result<Answer, HttpError> {
        let limit = request.answer_bytes_max;
        let prepared = self.prepare(request)?;
        let Some(tokens) = &self.tokens else {
            return execute(&self.client, prepared, limit).await;
        };
        let token = tokens.current().await?;
        let answer = self.execute_with(&prepared, &token, limit).await?;
        if answer.status != StatusCode::UNAUTHORIZED.as_u16() {
            return Ok(answer);
        }
        tokens.forget(&token).await;
        let token = tokens.current().await?;
        self.execute_with(&prepared, &token, limit).await
    }

    async fn execute_with(
        &self,
        prepared: &reqwest::Request,
        token: &Bearer,
        limit: usize,
    ) -> Result<Answer, HttpError> {
        let mut request = prepared.try_clone().expect("a body of bytes can be cloned");
        request.headers_mut().insert(AUTHORIZATION, token.header());
        execute(&self.client, request, limit).await
    }

    fn prepare(&self, request: Request) -> Result<reqwest::Request, HttpError> {
        let bad = HttpError::BadRequest;
        if !request.path.is_empty() && !request.path.starts_with(['/', '?']) {
            return Err(bad);
        }
        let url = format!("{}{}", self.base, request.path);
        let url = url.parse().map_err(|_| bad)?;
        let mut prepared = reqwest::Request::new(request.method, url);
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value).map_err(|_| bad)?;
            prepared.headers_mut().insert(HeaderName::from_static(name), value);
        }
        if !request.body.is_empty() || prepared.headers().contains_key(CONTENT_TYPE) {
            *prepared.body_mut() = Some(request.body.into());
        }
        Ok(prepared)
    }
}

/// A client that trusts whom the files name.
fn client(config: &HttpConfig, files: &TlsFiles, peer: &Arc<Peer>) -> Result<Client, HttpError> {
    let tls = match files.client(peer).map_err(ConfigError::from)? {
        Some(tls) => Arc::unwrap_or_clone(tls),
        // A plain client never speaks TLS; without a configuration the builder would look for
        // the system's authorities.
        None => super::tls::trusting_nobody(),
    };
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(files.ca.is_some())
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_WITHIN.min(config.answer_within()))
        .timeout(config.answer_within())
        .tcp_nodelay(true)
        .build();
    client.map_err(|_| HttpError::Tls("the client cannot be made"))
}

/// The token endpoint may have an authority of its own, or be the receiver's neighbour.
fn token_client(config: &HttpConfig, oauth2: &OAuth2Config) -> Result<Client, HttpError> {
    let secure = oauth2.token_url.starts_with("https:");
    let files = match secure {
        // Our certificate proves us to the receiver; to the token endpoint the secret does, but
        // one that asks for both gets both.
        true if oauth2.ca.is_none() => config.tls(),
        true => TlsFiles { ca: oauth2.ca.clone(), ..TlsFiles::default() },
        false => TlsFiles::default(),
    };
    client(config, &files, &Arc::default())
}

async fn execute(
    client: &Client,
    request: reqwest::Request,
    limit: usize,
) -> Result<Answer, HttpError> {
    let mut response = client.execute(request).await.map_err(|error| named(&error))?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| named(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(HttpError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    let retry_after = retry_after::of(&headers, jiff::Timestamp::now());
    Ok(Answer { status, retry_after, headers, body })
}

/// The sort of the error: the client's own text names addresses, and TLS's text what a peer sent.
fn named(error: &reqwest::Error) -> HttpError {
    if error.is_timeout() {
        return HttpError::Timeout;
    }
    let mut kind = io::ErrorKind::Other;
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            let io = innermost(io);
            let tls = io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            if let Some(tls) = tls {
                return HttpError::Tls(super::tls::why(tls));
            }
            kind = io.kind();
        } else if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
            return HttpError::Tls(super::tls::why(tls));
        }
        cause = inner.source();
    }
    if error.is_connect() { HttpError::Connect(kind) } else { HttpError::Broken(kind) }
}

/// The libraries wrap one I/O error into the next, and only the innermost has a telling kind.
fn innermost(error: &io::Error) -> &io::Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()) {
        Some(inner) => innermost(inner),
        None => error,
    }
}

#[cfg(test)]
mod tests;
