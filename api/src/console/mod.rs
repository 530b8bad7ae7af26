//! Serves the console: a page for operators and support, which uses only the public API. `lib.rs` adds the [`routes`].
//!
//! Every path below `/console` leads to the same document, and its script shows the page of the path, so links can be
//! shared. The scripts and styles are below `/console/assets/`. They are compiled into the binary and load nothing from
//! another site, so the console works offline and in every shape.

mod assets;

use axum::Router;
use axum::extract::{Extension, Path};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use self::assets::Asset;
use crate::http::BasePath;
use crate::problem::{Problem, ProblemKind};

/// What the console may do in a browser: run its own scripts, apply its own styles, and call the service that it came from.
/// It can run no script in its document, send no form, and cannot be framed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The text in the document that is replaced by the base path.
const BASE: &str = "{base}";

/// The console's document and its assets.
pub(crate) fn routes() -> Router {
    Router::new()
        .route("/console", get(document))
        .route("/console/", get(document))
        .route("/console/{*page}", get(document))
        .route("/console/assets/{*path}", get(asset))
}

/// The document. Its script reads the path to choose the page.
async fn document(base: Option<Extension<BasePath>>, headers: HeaderMap) -> Response {
    let base = base.map(|Extension(base)| base).unwrap_or_default();
    guarded(match base.as_str() {
        "" => assets::document().response(&headers),
        // A base path has only characters that are safe in an attribute.
        base => assets::document_under(base).response(&headers),
    })
}

async fn asset(Path(path): Path<String>, headers: HeaderMap) -> Response {
    match assets::find(&path) {
        Some(asset) => guarded(asset.response(&headers)),
        None => Problem::new(ProblemKind::NotFound, "The console has no such file.").into_response(),
    }
}

/// Adds the headers that confine the console in a browser.
fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response
}

impl Asset {
    /// Answers a request for this asset: with its content, or with `304` if the client has it.
    fn response(&self, headers: &HeaderMap) -> Response {
        let cached = headers.get_all(header::IF_NONE_MATCH).iter();
        let is_cached = cached
            .filter_map(|tags| tags.to_str().ok())
            .flat_map(|tags| tags.split(','))
            .any(|tag| tag.trim().trim_start_matches("W/") == self.etag);
        let etag = HeaderValue::from_str(&self.etag).expect("a hash in hex is visible ASCII");
        // Browsers ask each time, so that no console is a mixture of two builds.
        let common = [(header::ETAG, etag), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
        if is_cached {
            return (StatusCode::NOT_MODIFIED, common).into_response();
        }
        (common, [(header::CONTENT_TYPE, self.kind)], self.content.clone()).into_response()
    }
}
