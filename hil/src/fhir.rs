//! The stand-in FHIR server: as much of FHIR R4 as a gateway needs, and the faults that a gateway
//! must stand.
//!
//! | request | what |
//! |---|---|
//! | `POST /` | a transaction: `POST` with `ifNoneExist`, `PUT` by id with `ifMatch`, `PUT` by search |
//! | `GET /{kind}?identifier=system\|value` | a search |
//!
//! Resources keep their text: a number comes back digit by digit. Nothing is validated here; the
//! judges do that with what `--store` kept of the bundles.
//!
//! | file | one JSON line each |
//! |---|---|
//! | `STORE` | `{"kind", "id", "version", "resource"}`, a version of a resource, synced before the answer |
//! | `STORE.bundles` | a bundle as it came, refused or not |
//!
//! Standard output carries one JSON line when it is ready.

mod store;

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Args;
use serde_json::json;

use store::{Outcome, Store};

/// A bundle of thirty-two records and their devices is far below.
const BODY_BYTES_MAX: usize = 16 << 20;
/// `Retry-After` of a server that is told to be busy.
const RETRY_AFTER_S: &str = "1";

/// `wardgate-hil fhir`
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Where it listens; loopback only, because it has no TLS.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Where resources are stored; read back at start.
    #[arg(long)]
    pub store: PathBuf,
    /// It ignores `ifNoneExist`, as at least one well-known server did.
    #[arg(long)]
    pub duplicates: bool,
    /// It ends before it commits this transaction, counted from 1.
    #[arg(long)]
    pub die_before: Option<u64>,
    /// It ends after it has committed this transaction and before it answers.
    #[arg(long)]
    pub die_after: Option<u64>,
    /// The first so many transactions are answered 503 with Retry-After.
    #[arg(long, default_value_t = 0)]
    pub busy: u64,
    /// It refuses transactions with this text in them, for good (422).
    #[arg(long)]
    pub refuse: Option<String>,
    /// Somebody else changes what is to be updated between reading and writing, so many times.
    #[arg(long, default_value_t = 0)]
    pub meddle: u64,
}

struct Server {
    options: Options,
    store: Store,
    transactions: u64,
    meddled: u64,
}

/// Runs until it is killed or its standard input is closed.
///
/// # Errors
/// The store or the port cannot be had.
pub async fn run(options: Options) -> Result<(), std::io::Error> {
    if !options.listen.ip().is_loopback() {
        let what = "the stand-in FHIR server listens on loopback only";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, what));
    }
    let store = Store::open(&options.store, options.duplicates)?;
    let listener = tokio::net::TcpListener::bind(options.listen).await?;
    let port = listener.local_addr()?.port();
    let server = Server { options, store, transactions: 0, meddled: 0 };
    let app = Router::new()
        .route("/", post(transaction))
        .route("/{kind}", get(search))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Arc::new(Mutex::new(server)));
    println!("{}", json!({ "fhir": "ready", "port": port }));
    std::io::stdout().flush()?;
    let (closed, input) = tokio::sync::oneshot::channel::<()>();
    // A thread of its own: a read of standard input cannot be cancelled.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let ended = async {
        let _ = input.await;
    };
    axum::serve(listener, app).with_graceful_shutdown(ended).await
}

type Shared = State<Arc<Mutex<Server>>>;

async fn transaction(State(server): Shared, body: Bytes) -> Response {
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    server.transactions += 1;
    let number = server.transactions;
    if number <= server.options.busy {
        let mut answer = outcome(StatusCode::SERVICE_UNAVAILABLE, "throttled");
        let wait = HeaderValue::from_static(RETRY_AFTER_S);
        answer.headers_mut().insert(header::RETRY_AFTER, wait);
        return answer;
    }
    if server.store.note_bundle(&body).is_err() {
        return outcome(StatusCode::INTERNAL_SERVER_ERROR, "no-store");
    }
    if server.options.die_before == Some(number) {
        std::process::exit(1);
    }
    let refused = server.options.refuse.as_ref();
    if refused.is_some_and(|text| String::from_utf8_lossy(&body).contains(text.as_str())) {
        return outcome(StatusCode::UNPROCESSABLE_ENTITY, "invariant");
    }
    if server.meddled < server.options.meddle && server.store.meddle(&body) {
        server.meddled += 1;
    }
    let done = server.store.transaction(&body);
    if server.options.die_after == Some(number) {
        std::process::exit(1);
    }
    match done {
        Ok(answer) => fhir(StatusCode::OK, answer),
        Err(Outcome { status, code }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            outcome(status, code)
        }
    }
}

async fn search(State(server): Shared, Path(kind): Path<String>, query: RawQuery) -> Response {
    let RawQuery(query) = query;
    let query = query.unwrap_or_default().replace("%7C", "|").replace("%3A", ":");
    let Some(identifier) = query.strip_prefix("identifier=") else {
        return outcome(StatusCode::BAD_REQUEST, "not-supported");
    };
    let server = server.lock().unwrap_or_else(PoisonError::into_inner);
    fhir(StatusCode::OK, server.store.search(&kind, identifier))
}

fn outcome(status: StatusCode, code: &str) -> Response {
    let body = json!({
        "resourceType": "OperationOutcome",
        "issue": [{ "severity": "error", "code": code }],
    });
    fhir(status, body.to_string())
}

fn fhir(status: StatusCode, body: String) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
    (status, headers, body).into_response()
}
