//! The stand-in core over HTTP: the contract's two requests, a token endpoint for tests, and the
//! switch for faults.
//!
//! | request | what |
//! |---|---|
//! | `POST /ingest/v1/records` | a batch; the answer is the acknowledgement |
//! | `GET /ingest/v1/streams/{stream}` | `have`; 404 if nothing of the stream is there |
//! | `GET /ingest/v1/streams/{stream}/manifests/{sequence}` | the answer to a manifest; 404 if there is none |
//! | `POST /token` | OAuth2 client credentials, with `--client ID:SECRET` |
//! | `POST /control/faults` | one fault per line, in force from now on |

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;
use tokio::net::TcpListener;
use wardgate::charting::shaken::Shaken;

use super::answer::{answer, ranges};
use super::faults::Fault;
use super::store::{Arrived, Outcome};
use super::{Error, Shared, tls};

/// A batch of a gateway at its limits fits; more is refused with 413.
const BODY_BYTES_MAX: usize = 8 << 20;

/// Listens and serves in the background; gives the address.
pub async fn start(listen: SocketAddr, shared: Arc<Shared>) -> Result<SocketAddr, Error> {
    if !listen.ip().is_loopback() {
        return Err(Error::NotLoopback(listen));
    }
    let failed = |error| Error::Io("HTTP listener", error);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let acceptor = tls::acceptor(&shared.tls)?;
    let router = Router::new()
        .route("/ingest/v1/records", post(records))
        .route("/ingest/v1/streams/{stream}", get(have))
        .route("/ingest/v1/streams/{stream}/manifests/{sequence}", get(manifest))
        .route("/token", post(token))
        .route("/control/faults", post(control))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared);
    match acceptor {
        Some(acceptor) => {
            let listener =
                Shaken::start(listener, move || Some(acceptor.clone())).map_err(failed)?;
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
        None => {
            tokio::spawn(async move { axum::serve(listener, router).await });
        }
    }
    Ok(address)
}

async fn records(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if !shared.lets_in(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let (refused, late) = {
        let mut faults = shared.faults();
        (faults.refuses(), faults.late())
    };
    if let Some((status, retry_after)) = refused {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let mut response = status.into_response();
        if let Some(wait) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, wait.as_secs().into());
        }
        return response;
    }
    let believes = shared.faults().has(&Fault::BelieveDamaged);
    let Some(events) = elements(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let batch: Vec<Arrived> = events
        .into_iter()
        .map(|event| Arrived {
            topic: "/ingest/v1/records".to_owned(),
            response: None,
            payload: event.to_vec(),
        })
        .collect();
    let streams: Vec<Option<String>> =
        batch.iter().map(|arrived| super::store::stream_of(&arrived.payload)).collect();
    let one = streams
        .first()
        .is_some_and(|first| first.is_some() && streams.iter().all(|stream| stream == first));
    if !one && !believes {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let outcomes = match shared.receive(batch) {
        Ok(outcomes) => outcomes,
        Err(error) => {
            tracing::error!(%error, "not stored");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let whole: Vec<&Outcome> = outcomes.iter().collect();
    let mut object = answer(&whole, &shared.receiver, &shared.faults());
    if !one {
        // Believes that what it could not read was stored as well.
        let sequences = outcomes.iter().map(|outcome| outcome.sequence);
        let (first, last) = (sequences.clone().min(), sequences.max());
        object["accepted"] = json!([[first, last]]);
    }
    tokio::time::sleep(late).await;
    axum::Json(object).into_response()
}

async fn have(
    State(shared): State<Arc<Shared>>,
    Path(stream): Path<String>,
    headers: HeaderMap,
) -> Response {
    if !shared.lets_in(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let store = shared.store();
    let Some(sequences) = store.known(&stream) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let object = json!({
        "stream": stream,
        "ranges": ranges(sequences),
        "receiver_id": shared.receiver,
        "generation": store.generation(),
    });
    axum::Json(object).into_response()
}

async fn manifest(
    State(shared): State<Arc<Shared>>,
    Path((stream, sequence)): Path<(String, u64)>,
    headers: HeaderMap,
) -> Response {
    if !shared.lets_in(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let answer = shared.manifest_answer(&stream, sequence, &shared.faults());
    answer.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |answer| axum::Json(answer).into_response(),
    )
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let asked = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let grant = b"grant_type=client_credentials";
    if !shared.is_client(asked.unwrap_or_default()) {
        return (StatusCode::UNAUTHORIZED, r#"{"error":"invalid_client"}"#).into_response();
    }
    if !body.windows(grant.len()).any(|window| window == grant) {
        let error = r#"{"error":"unsupported_grant_type"}"#;
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    let token = shared.new_token();
    let answer = json!({ "access_token": token, "token_type": "Bearer", "expires_in": 3600 });
    axum::Json(answer).into_response()
}

async fn control(State(shared): State<Arc<Shared>>, body: String) -> Response {
    match shared.set_faults(body.lines()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(what) => (StatusCode::BAD_REQUEST, what).into_response(),
    }
}

/// The elements of a JSON array as they came, byte for byte.
fn elements(body: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = body.trim_ascii().strip_prefix(b"[")?.trim_ascii_start();
    let mut elements = Vec::new();
    if rest == b"]" {
        return Some(elements);
    }
    loop {
        let mut values =
            serde_json::Deserializer::from_slice(rest).into_iter::<serde::de::IgnoredAny>();
        values.next()?.ok()?;
        let (element, behind) = rest.split_at_checked(values.byte_offset())?;
        elements.push(element);
        let behind = behind.trim_ascii_start();
        if let Some(more) = behind.strip_prefix(b",") {
            rest = more.trim_ascii_start();
        } else {
            return (behind == b"]").then_some(elements);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_taken_byte_for_byte() {
        let text = br#" [ {"a": "],{", "b":7.40} , {} ] "#;
        assert_eq!(elements(text).unwrap(), [&br#"{"a": "],{", "b":7.40}"#[..], b"{}"]);
        assert_eq!(elements(b"[]").unwrap().len(), 0);
        for bad in [&b"{}"[..], b"[", b"[{}", b"[{},]", b"[{}]x", b"[{} {}]", b""] {
            assert!(elements(bad).is_none(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
