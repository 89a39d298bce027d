//! OAuth2 client credentials (RFC 6749, 4.4): a token is asked for when it is needed, kept until
//! shortly before it ends, and shown to nobody but the receiver.

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{HttpError, OAuth2Config, execute};

/// A token endpoint's answer is a small object.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// A token that does not say how long it is good for (`expires_in` is only recommended). One that
/// ends earlier is noticed by the 401.
const GOOD_FOR: Duration = Duration::from_secs(300);
/// A token is renewed so long before it ends that no request meets its end, but never in the first
/// three quarters of its life.
const RENEWED_BEFORE: Duration = Duration::from_secs(60);

/// A bearer token as the header that carries it; it has no text form.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Bearer(HeaderValue);

impl Bearer {
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

struct Held {
    token: Bearer,
    until: Instant,
}

/// Gets tokens and keeps the last one.
pub(super) struct Tokens {
    client: Client,
    url: Url,
    /// The credentials by HTTP Basic, which every token endpoint must take (RFC 6749, 2.3.1).
    credentials: HeaderValue,
    form: String,
    held: Mutex<Option<Held>>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<u64>,
}

impl Tokens {
    /// Reads the secret; nothing is sent yet.
    pub fn new(oauth2: &OAuth2Config, client: Client) -> Result<Self, HttpError> {
        let url = oauth2.token_url.parse().map_err(|_| HttpError::BadRequest)?;
        let mut form = "grant_type=client_credentials".to_owned();
        if let Some(scope) = &oauth2.scope {
            form.push_str("&scope=");
            form.push_str(&form_encoded(scope));
        }
        let credentials = basic(&client, &oauth2.client_id, &oauth2.secret()?)?;
        Ok(Self { client, url, credentials, form, held: Mutex::new(None) })
    }

    /// The token that is good now. Whoever asks while one is being fetched waits for it.
    pub async fn current(&self) -> Result<Bearer, HttpError> {
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.until) {
            return Ok(held.token.clone());
        }
        let asked = Instant::now();
        let (token, good_for) = self.fetch().await?;
        let margin = RENEWED_BEFORE.min(good_for / 4);
        let until = asked + good_for.saturating_sub(margin);
        *held = Some(Held { token: token.clone(), until });
        Ok(token)
    }

    /// The receiver does not take this token any more.
    pub async fn forget(&self, token: &Bearer) {
        let mut held = self.held.lock().await;
        // Somebody else may have fetched a newer one meanwhile.
        if held.as_ref().is_some_and(|held| held.token == *token) {
            *held = None;
        }
    }

    async fn fetch(&self) -> Result<(Bearer, Duration), HttpError> {
        let mut request = reqwest::Request::new(Method::POST, self.url.clone());
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, self.credentials.clone());
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        *request.body_mut() = Some(self.form.clone().into());
        let answer = execute(&self.client, request, ANSWER_BYTES_MAX).await?;
        if !answer.is_success() {
            let (status, retry_after) = (answer.status, answer.retry_after);
            return Err(HttpError::TokenRefused { status, retry_after });
        }
        let not = HttpError::NotAToken;
        let answer: TokenAnswer = serde_json::from_slice(&answer.body).map_err(|_| not)?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") || answer.access_token.is_empty() {
            return Err(not);
        }
        let mut header =
            HeaderValue::from_str(&format!("Bearer {}", answer.access_token)).map_err(|_| not)?;
        header.set_sensitive(true);
        // A day is longer than any token of this sort.
        let day = Duration::from_secs(86_400);
        let good_for = answer.expires_in.map_or(GOOD_FOR, Duration::from_secs).min(day);
        Ok((Bearer(header), good_for))
    }
}

/// The `Authorization` header of HTTP Basic; both parts are form-encoded first (RFC 6749, 2.3.1).
fn basic(client: &Client, id: &str, secret: &str) -> Result<HeaderValue, HttpError> {
    let request = client
        .get("http://localhost/")
        .basic_auth(form_encoded(id), Some(form_encoded(secret)))
        .build()
        .map_err(|_| HttpError::BadRequest)?;
    let mut header = request.headers().get(AUTHORIZATION).cloned().ok_or(HttpError::BadRequest)?;
    header.set_sensitive(true);
    Ok(header)
}

/// `application/x-www-form-urlencoded` of one value.
pub(super) fn form_encoded(text: &str) -> String {
    let mut url: Url = "http://localhost/".parse().expect("a fixed address");
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}
