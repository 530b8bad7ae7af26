//! Both descriptions: `/openapi.json` with `/docs` to read it, and `/asyncapi.json` with `/docs/events`. And `/`, which
//! leads to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use utoipa::openapi::{OpenApi, Server};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::describe::asyncapi::{self, asyncapi};
use crate::describe::html::{self, escape};
use crate::http::BasePath;

/// The description's address as `/docs/` refers to it: relative, so that it holds under any base path.
const FROM_UI: &str = "../openapi.json";

/// Serves the description, and pages that show it.
pub(crate) fn routes(api: OpenApi) -> Router {
    let document = Bytes::from(serde_json::to_vec(&api).expect("an OpenAPI document is plain JSON"));
    let api = Arc::new(api);
    let describe = async move |base: Option<Extension<BasePath>>| match base {
        None => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
        Some(Extension(base)) => Json(under(&api, &base)).into_response(),
    };
    // No validator: it would send the description to a site outside.
    // The list of schemas is closed at first: it is as long as all operations.
    let config = Config::new([FROM_UI]).validator_url("none").default_models_expand_depth(0);
    let style = Bytes::from(style(&config));
    let ui = SwaggerUi::new("/docs").config(config);
    let messages = Arc::new(asyncapi());
    let page = messages.clone();
    Router::from(ui)
        .layer(middleware::from_fn(redirect_under))
        .route("/docs/index.css", get(async move || ([(header::CONTENT_TYPE, "text/css")], style)))
        .route("/", get(root))
        .route("/openapi.json", get(describe))
        .route("/asyncapi.json", get(async move || Json(&*messages).into_response()))
        .route("/docs/events", get(async move || asyncapi::page(&page)))
}

/// The style sheet of the page. Of the answers that are errors it leaves the description: each operation has about ten,
/// and all of their headers and examples made one operation as high as ten screens. What is too wide scrolls.
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

/// Where everything is: a page for people, and JSON for programs.
async fn root(base: Option<Extension<BasePath>>, headers: HeaderMap) -> Response {
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let base = base.map(|Extension(base)| base).unwrap_or_default();
    let places = PLACES.map(|(name, path, what)| (name, format!("{}/{path}", base.as_str()), what));
    let mut response = if accepts.contains("text/html") { root_page(&places) } else { root_links(places) };
    response.headers_mut().insert(header::VARY, HeaderValue::from_name(header::ACCEPT));
    response
}

/// A name, a path, and what is there.
type Place = (&'static str, String, &'static str);

/// What is here; the paths go on behind the slash of a base path.
const PLACES: [(&str, &str, &str); 7] = [
    ("docs", "docs/", "The API, to read and to try"),
    ("openapi", "openapi.json", "The API as an OpenAPI document, from which clients are generated"),
    ("events", "docs/events", "The messages on the queue"),
    ("asyncapi", "asyncapi.json", "The messages on the queue as an AsyncAPI document"),
    ("problems", "problems", "The kinds of error"),
    ("alive", "healthz", "Whether the process runs"),
    ("ready", "readyz", "Whether it can take requests"),
];

fn root_page(places: &[Place]) -> Response {
    let row = |(_, path, what): &Place| {
        format!(
            "<tr><td><a href=\"{0}\"><code>{0}</code></a></td><td>{1}</td></tr>\n",
            escape(path),
            escape(what)
        )
    };
    let rows: String = places.iter().map(row).collect();
    let body = format!(
        "<p>An event-sourced order service, version {}. Orders are under <code>/v1/orders</code>.</p>\n\
         <table>\n{rows}</table>",
        env!("CARGO_PKG_VERSION")
    );
    html::page("Orders", &body)
}

fn root_links<const N: usize>(places: [Place; N]) -> Response {
    let links: BTreeMap<_, _> = places.into_iter().map(|(name, path, _)| (name, path)).collect();
    Json(json!({ "name": "orders", "version": env!("CARGO_PKG_VERSION"), "links": links })).into_response()
}

/// The description of the API under a base path: clients add the paths to the server's address.
fn under(api: &OpenApi, base: &BasePath) -> OpenApi {
    let mut api = api.clone();
    api.servers = Some(vec![Server::new(base.as_str())]);
    api
}

/// The pages redirect to themselves, and know of no base path.
async fn redirect_under(base: Option<Extension<BasePath>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let (Some(Extension(base)), Some(location)) = (base, response.headers_mut().get_mut(header::LOCATION))
    {
        let under = [base.as_str().as_bytes(), location.as_bytes()].concat();
        *location = HeaderValue::from_bytes(&under).expect("a base path is visible ASCII");
    }
    response
}
