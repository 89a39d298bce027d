//! The page itself: files that are part of the program, so that no file on the box can be changed
//! under it.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Nothing from elsewhere, nothing inline; the decoder of camera scans is WebAssembly.
pub const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
     style-src 'self'; img-src 'self' data:; connect-src 'self' https:; worker-src 'self'; \
     frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

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
    "index.html",
    "key.js",
    "page.css",
    "round.js",
    "rows.js",
    "screen-connect.js",
    "screen-done.js",
    "screen-entry.js",
    "screen-patient.js",
    "screen-ready.js",
    "screen-time.js",
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
    let Some((_, bytes)) = FILES.iter().find(|(known, _)| *known == name) else {
        return (StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    ([(header::CONTENT_TYPE, content_type(name))], *bytes).into_response()
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "text/plain; charset=utf-8",
    }
}
