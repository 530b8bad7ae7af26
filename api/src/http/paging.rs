//! Builds the answers of lists: a page as JSON, and the `Link` header (RFC 8288) to the next page. The handlers of
//! lists call [`page_response`].

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::Problem;

/// Answers with a page. `next_link` is the value of the `Link` header. It is `None` on the last page.
pub(crate) fn page_response(page: impl Serialize, next_link: Option<String>) -> Result<Response, Problem> {
    with_next_link(Json(page).into_response(), next_link)
}

/// Adds the `Link` header to an answer whose body is encoded already.
pub(crate) fn with_next_link(mut response: Response, next_link: Option<String>) -> Result<Response, Problem> {
    if let Some(link) = next_link {
        let link = HeaderValue::try_from(link).map_err(anyhow::Error::from)?;
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}
