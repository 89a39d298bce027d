//! Answers in JSON, and refusals with their codes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::super::acts::Refused;

/// Why something is not done.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    pub status: u16,
    /// The page has words for it.
    pub code: String,
    pub message: String,
    pub details: Map<String, Value>,
    /// Seconds after which to try again.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    /// Without details.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { status, code, message, details: Map::new(), retry_after_s: None }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let (code, status) = refused.code();
        let retry_after_s = (status == 503).then_some(2);
        let details = refused.details();
        Self { details, retry_after_s, ..Self::new(status, code, refused.to_string()) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = self.details;
        body.insert("error".to_owned(), json!(self.code));
        body.insert("message".to_owned(), json!(self.message));
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = (status, Json(Value::Object(body))).into_response();
        if let Some(seconds) = self.retry_after_s {
            let headers = response.headers_mut();
            headers.insert(axum::http::header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// An answer, or why not.
pub type Answered = Result<Response, Refusal>;

/// An object as the answer.
pub fn ok(value: Value) -> Response {
    Json(value).into_response()
}

/// Something was made.
pub fn made(value: Value) -> Response {
    (StatusCode::CREATED, Json(value)).into_response()
}

/// The body of a request.
///
/// # Errors
/// It is no JSON of that form. What was sent is not repeated.
pub fn body<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        // The words of the error may hold what was sent; its place does not.
        let what = match error.classify() {
            serde_json::error::Category::Data => "a key or value that does not belong there",
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => "no JSON",
        };
        Refusal::new(400, "body", format!("line {line}, column {column}: {what}"))
    })
}

/// There is nothing at that address.
pub async fn no_such() -> Refusal {
    Refusal::new(404, "no-such-address", "there is nothing at that address")
}
