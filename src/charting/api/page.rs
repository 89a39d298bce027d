//! The page itself: files that are part of the program, so that no file on the box can be changed
//! under it.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

/// Nothing from elsewhere, nothing inline; the decoder of camera scans is WebAssembly.
pub const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self'; img-src 'self' data:; connect-src 'self' https:; worker-src 'self'; \
     frame-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../page/", $name)))),*]
    };
}

/// The files of the page by name.
static FILES: &[(&str, &[u8])] = files![
    "acts.js",
    "box.js",
    "camera.js",
    "clock.js",
    "decoder.js",
    "dom.js",
    "icon-192.png",
    "icon-512.png",
    "icon.svg",
    "index.html",
    "keep.js",
    "key.js",
    "page.css",
    "page.webmanifest",
    "round.js",
    "rows.js",
    "screen-conflict.js",
    "screen-connect.js",
    "screen-done.js",
    "screen-entry.js",
    "screen-lists.js",
    "screen-patient.js",
    "screen-ready.js",
    "screen-sign.js",
    "screen-spot.js",
    "screen-time.js",
    "service-worker.js",
    "sheet.css",
    "shelf.js",
    "shell.js",
    "sign-in.js",
    "start.js",
    "state.js",
    "wedge.js",
    "words.js",
    "words.json",
    "vendor/zxing-reader.js",
    "vendor/zxing-reader.wasm",
];

/// It keeps the others on the phone, and is no part of what it keeps.
const KEEPER: &str = "service-worker.js";

/// What the phone keeps: each file by its address with its digest (W3C Subresource Integrity), and
/// a version of all. What they are served with is a part of it.
static LIST: LazyLock<String> = LazyLock::new(|| {
    let mut files = Map::new();
    let mut version = Sha256::new();
    version.update(POLICY);
    for (name, bytes) in FILES.iter().filter(|(name, _)| *name != KEEPER) {
        let digest = Sha256::digest(bytes);
        version.update(name);
        version.update(digest);
        let integrity = format!("sha256-{}", STANDARD.encode(digest));
        files.insert(address(name), Json::String(integrity));
    }
    let version: String = version.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "version": version, "files": files }).to_string()
});

fn address(name: &str) -> String {
    if name == "index.html" { "/".to_owned() } else { format!("/bedside/{name}") }
}

pub async fn index() -> Response {
    served("index.html")
}

pub async fn file(Path(file): Path<String>) -> Response {
    served(&file)
}

pub async fn vendored(Path(file): Path<String>) -> Response {
    served(&format!("vendor/{file}"))
}

/// The description of this interface.
pub async fn description() -> Response {
    let body = include_str!("openapi.json");
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn served(name: &str) -> Response {
    if name == "files.json" {
        return ([(header::CONTENT_TYPE, content_type(name))], LIST.as_str()).into_response();
    }
    let Some((_, bytes)) = FILES.iter().find(|(known, _)| *known == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let mut response = ([(header::CONTENT_TYPE, content_type(name))], *bytes).into_response();
    if name == KEEPER {
        // It stands among the files, and is for the page above them too.
        let allowed = HeaderName::from_static("service-worker-allowed");
        response.headers_mut().insert(allowed, HeaderValue::from_static("/"));
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn bytes(response: Response) -> axum::body::Bytes {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap()
    }

    #[tokio::test]
    async fn the_phone_is_told_each_file_by_the_digest_of_what_is_served() {
        let list: Json = serde_json::from_slice(&bytes(served("files.json")).await).unwrap();
        let files = list["files"].as_object().unwrap();
        assert_eq!(files.len(), FILES.len() - 1);
        for (address, integrity) in files {
            let response = match address.strip_prefix("/bedside/") {
                Some(name) => served(name),
                None => index().await,
            };
            assert_eq!(response.status(), StatusCode::OK, "{address}");
            let digest = STANDARD.encode(Sha256::digest(bytes(response).await));
            assert_eq!(integrity.as_str(), Some(format!("sha256-{digest}").as_str()), "{address}");
        }
        assert_eq!(list["version"].as_str().map(str::len), Some(64));
        assert!(!files.contains_key("/bedside/service-worker.js"));
        assert_eq!(served(KEEPER).headers()["service-worker-allowed"], "/");
        assert!(served("page.css").headers().get("service-worker-allowed").is_none());
    }
}
