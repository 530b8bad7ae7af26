//! Serves both descriptions and their pages: `/openapi.json` with `/docs/` and `/try/`, `/asyncapi.json` with
//! `/docs/events`, and `/`, which links to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use utoipa::openapi::{OpenApi, Server};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::describe::asyncapi::{self, asyncapi};
use crate::describe::html::{self, escape};
use crate::describe::{fields, reference};
use crate::http::BasePath;
use crate::problem::Problem;

/// The URL of the OpenAPI description. It is relative to `/try/`, so that it works under any base path.
const FROM_UI: &str = "../openapi.json";

/// The routes of the descriptions and their pages.
pub(crate) fn routes(api: OpenApi) -> Router {
    let document = Bytes::from(serde_json::to_vec(&api).expect("an OpenAPI document is plain JSON"));
    let described = Arc::new(serde_json::to_value(&api).expect("an OpenAPI document is plain JSON"));
    let api = Arc::new(api);
    let describe = async move |base: Option<Extension<BasePath>>| match base {
        None => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        Some(Extension(base)) => Json(under(&api, &base)).into_response(),
    };
    // Swagger UI's validator is turned off, because it sends the description to another site. The list of schemas is
    // collapsed, because it is as long as all operations together.
    let config = Config::new([FROM_UI]).validator_url("none").default_models_expand_depth(0);
    let style = Bytes::from(style(&config));
    let ui = SwaggerUi::new("/try").config(config);
    let messages = Arc::new(asyncapi());
    Router::from(ui)
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .layer(middleware::from_fn(redirect_under))
        .route("/try/index.css", get(async move || ([(header::CONTENT_TYPE, "text/css")], style)))
        .route("/", get(root))
        .route("/openapi.json", get(describe))
        .merge(pages(&described, &messages))
        .route("/asyncapi.json", get(async move || Json(&*messages).into_response()))
}

/// The pages of operations and messages. Their links are relative, so they work under any base path.
fn pages(api: &Arc<Value>, messages: &Arc<Value>) -> Router {
    let (index, api) = (reference::index(api), api.clone());
    let (all, messages) = (messages.clone(), messages.clone());
    let operation = async move |name: Result<Path<String>, PathRejection>| {
        let found = name.ok().and_then(|Path(name)| reference::operation(&api, &name));
        found.map(|(title, body)| html::page(&title, &body)).ok_or_else(missing)
    };
    let message = async move |name: Result<Path<String>, PathRejection>| {
        let named = name.ok().map(|Path(name)| name);
        let found = named.and_then(|name| Some((asyncapi::page::message(&messages, &name)?, name)));
        found.map(|(body, name)| html::page(&name, &body)).ok_or_else(missing)
    };
    let list = async move || html::page(fields::text(&all["info"]["title"]), &asyncapi::page::index(&all));
    Router::new()
        .route("/docs/", get(async move || html::page("The API", &index)))
        .route("/docs/operations/{id}", get(operation))
        .route("/docs/events", get(list))
        .route("/docs/events/{name}", get(message))
}

fn missing() -> Problem {
    Problem::of_status(StatusCode::NOT_FOUND)
}

/// The style sheet of the page. An error response shows only its description. Each operation has about ten error
/// responses, and their headers and examples would make one operation ten screens high. Parts that are too wide get a
/// scroll bar.
fn style(config: &Config<'static>) -> Vec<u8> {
    let own = utoipa_swagger_ui::serve("index.css", Arc::new(config.clone())).ok().flatten();
    let mut style = own.map(|file| file.bytes.into_owned()).unwrap_or_default();
    style.extend_from_slice(STYLE.as_bytes());
    style
}

const STYLE: &str = "
.swagger-ui tr.response:is([data-code^='4'], [data-code^='5']) :is(.response-controls, .model-example, .headers-wrapper) {
  display: none;
}
.swagger-ui tr.response td { padding-top: 6px; }
@media (max-width: 40rem) {
  .swagger-ui :is(.info, .opblock-section, .responses-inner, .scheme-container) { overflow-x: auto; }
  .swagger-ui :is(.wrapper, .scheme-container .schemes) { padding: 0 10px; }
  .swagger-ui .opblock .opblock-summary-path { max-width: none; }
  .swagger-ui .response-col_links { display: none; }
  .swagger-ui .topbar { display: none; }
}
";

/// Links to the descriptions, problems and health checks: as a page for browsers, and as JSON for programs.
async fn root(base: Option<Extension<BasePath>>, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let base = base.map(|Extension(base)| base).unwrap_or_default();
    let links = ROOT_LINKS.map(|(name, path, what)| (name, format!("{}/{path}", base.as_str()), what));
    let mut response = if accepts.contains("text/html") { root_page(&links) } else { root_links(links) };
    response.headers_mut().insert(header::VARY, HeaderValue::from_name(header::ACCEPT));
    response
}

/// A link on the page `/`: its name, its path, and its description.
type RootLink = (&'static str, String, &'static str);

/// The links on the page `/`. Their paths are relative to the base path.
const ROOT_LINKS: [(&str, &str, &str); 9] = [
    ("console", "console", "The console: orders, the pipeline and what is stuck"),
    ("docs", "docs/", "The API reference: every operation on a page"),
    ("try", "try/", "Requests to try"),
    ("openapi", "openapi.json", "The API as an OpenAPI document, for generating clients"),
    ("events", "docs/events", "The messages on the queue"),
    ("asyncapi", "asyncapi.json", "The messages on the queue as an AsyncAPI document"),
    ("problems", "problems", "The types of error, and what to do about each"),
    ("alive", "healthz", "Whether the process runs"),
    ("ready", "readyz", "Whether the service can handle requests"),
];

fn root_page(links: &[RootLink]) -> Response {
    let row = |(_, path, what): &RootLink| {
        format!(
            "<tr><td><a href=\"{0}\"><code>{0}</code></a></td><td>{1}</td></tr>\n",
            escape(path),
            escape(what)
        )
    };
    let rows: String = links.iter().map(row).collect();
    let body = format!(
        "<p>An event-sourced order service, version {}. Orders are under <code>/v1/orders</code>.</p>\n\
         <table>\n{rows}</table>",
        env!("CARGO_PKG_VERSION")
    );
    html::page("Orders", &body)
}

fn root_links<const N: usize>(links: [RootLink; N]) -> Response {
    let links: BTreeMap<_, _> = links.into_iter().map(|(name, path, _)| (name, path)).collect();
    Json(json!({ "name": "orders", "version": env!("CARGO_PKG_VERSION"), "links": links })).into_response()
}

/// The OpenAPI description with the base path as its server URL.
fn under(api: &OpenApi, base: &BasePath) -> OpenApi {
    let mut api = api.clone();
    api.servers = Some(vec![Server::new(base.as_str())]);
    api
}

/// Adds the base path to the redirects of Swagger UI, which does not support base paths.
async fn redirect_under(base: Option<Extension<BasePath>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let (Some(Extension(base)), Some(location)) = (base, response.headers_mut().get_mut(header::LOCATION))
    {
        let under = [base.as_str().as_bytes(), location.as_bytes()].concat();
        *location = HeaderValue::from_bytes(&under).expect("a base path is visible ASCII");
    }
    response
}
