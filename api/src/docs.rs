//! Both descriptions: `/openapi.json` with `/docs` to read it, and `/asyncapi.json` with `/docs/events`.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Extension, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::{OpenApi, Server};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::asyncapi::{self, asyncapi};
use crate::links::BasePath;

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
    let ui = SwaggerUi::new("/docs").config(Config::new([FROM_UI]).validator_url("none"));
    let messages = Arc::new(asyncapi());
    let page = messages.clone();
    Router::from(ui)
        .layer(middleware::from_fn(redirect_under))
        .route("/openapi.json", get(describe))
        .route("/asyncapi.json", get(async move || Json(&*messages).into_response()))
        .route("/docs/events", get(async move || asyncapi::page(&page)))
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
