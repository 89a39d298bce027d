//! The bedside over HTTP: what the page and the core's app ask, and what they are answered.
//!
//! | file | what |
//! |---|---|
//! | `answers` | JSON answers, refusals with their codes |
//! | `asking` | scan, patient, values, worklists: nothing changes |
//! | `door` | who asks, and whether they may; signing in and out |
//! | `doing` | acts: kept before they are answered |
//! | `page` | the page itself, from the program |
//! | `settings` | what the page is told before anybody has signed in |
//! | `sheet` | a printable sheet of one patient |
//!
//! No identity stands in an address: patients are named by a keyed hash. What cannot be read or may
//! not be done is answered with a code for which the page has words, and nothing has changed then.

mod answers;
mod asking;
mod doing;
mod door;
mod page;
mod settings;
mod sheet;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{delete, get, post};

pub use self::answers::Refusal;
pub use self::door::Door;
use super::acts::Bedside;
use super::identity::Person;
use crate::vocabulary::{Moment, PatientId};

/// An act with all its values fits in it; more is refused with 413.
const BODY_BYTES_MAX: usize = 256 << 10;

/// One row of the audit.
#[derive(Clone, Debug)]
pub struct Audit<'a> {
    /// `scan`, `associate`, `confirm`, `see` ...
    pub act: &'a str,
    pub person: Option<&'a Person>,
    pub patient: Option<&'a PatientId>,
    /// `done`, or the code of the refusal.
    pub outcome: &'a str,
    /// What was scanned, as a keyed hash; never the text.
    pub scanned: Option<String>,
    pub reason: Option<&'a str>,
}

/// What all requests share.
#[derive(Clone)]
pub struct Server {
    pub bedside: Arc<Bedside>,
    pub door: Arc<Door>,
    pub site: Arc<SiteWords>,
}

/// What the page is told of the house.
#[derive(Clone, Debug)]
pub struct SiteWords {
    pub site: String,
    pub ward: String,
    pub name: String,
    pub is_development: bool,
    /// The ward's zone, for times that a person reads.
    pub zone: jiff::tz::TimeZone,
}

/// The routes.
pub fn router(server: Server) -> Router {
    let boxed = Arc::clone(&server.bedside);
    Router::new()
        .route("/", get(page::index))
        .route("/bedside/{file}", get(page::file))
        .route("/bedside/vendor/{file}", get(page::vendored))
        .route("/v1/settings", get(settings::settings))
        .route("/v1/scan", post(asking::scan))
        .route("/v1/patients/{patient}", get(asking::patient))
        .route("/v1/patients/{patient}/values", get(asking::patient_values))
        .route("/v1/patients/{patient}/sheet", get(sheet::sheet))
        .route("/v1/devices/{device}/values", get(asking::device_values))
        .route("/v1/worklists/{list}", get(asking::worklist))
        .route("/v1/acts", get(asking::acts))
        .route("/v1/associations", post(doing::associate))
        .route("/v1/spot-checks", post(doing::spot_check))
        .route("/v1/associations/{id}/end", post(doing::end))
        .route("/v1/associations/{id}/seen", post(doing::seen))
        .route("/v1/confirmations", post(doing::confirm))
        .route("/v1/confirmations/{id}/withdraw", post(doing::withdraw))
        .route("/v1/confirmations/{id}/countersign", post(doing::countersign))
        .route("/v1/confirmations/{id}/release", post(doing::release))
        .route("/v1/conflicts/{id}/decide", post(doing::decide))
        .route("/v1/chartings", post(doing::chartings))
        .route("/v1/core/values", post(doing::core_values))
        .route("/v1/openapi.json", get(page::description))
        .route("/v1/{*rest}", delete(answers::no_such).get(answers::no_such))
        .route("/v1/session", post(door::open_session).delete(door::sign_out))
        .route("/v1/session/verify", post(door::verify_session))
        .route("/v1/development/persons", get(door::persons))
        .route("/v1/development/token", post(door::token))
        .with_state(server)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(map_response(move |response| {
            let secured = secured(response, boxed.house.now());
            std::future::ready(secured)
        }))
}

/// What every answer carries: nothing is kept by the browser, framed, or guessed.
fn secured(mut response: Response, now: Moment) -> Response {
    use axum::http::{HeaderName, HeaderValue, header};
    let headers = response.headers_mut();
    let put = |headers: &mut axum::http::HeaderMap, name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    // Phones' clocks are wrong: what they say they say in the box's time.
    if let Ok(time) = HeaderValue::from_str(&now.utc_text()) {
        headers.insert(HeaderName::from_static("x-box-time"), time);
    }
    put(headers, header::CACHE_CONTROL, "no-store");
    put(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(headers, header::X_FRAME_OPTIONS, "DENY");
    put(headers, header::REFERRER_POLICY, "no-referrer");
    put(headers, header::CONTENT_SECURITY_POLICY, page::POLICY);
    put(headers, HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(
        headers,
        HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(), geolocation=()",
    );
    response
}
