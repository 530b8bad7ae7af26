//! A proxy between a process and an endpoint of AWS. The test decides what happens to each call.

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::http;

/// A call that has reached the proxy.
pub struct ForwardedCall {
    parts: Parts,
    pub body: Bytes,
    upstream: String,
    client: reqwest::Client,
}

/// The answer of the endpoint.
#[derive(Debug)]
pub struct UpstreamAnswer {
    status: StatusCode,
    headers: HeaderMap,
    pub body: Bytes,
}

/// Starts a proxy in front of `upstream`, which answers each call by `work`. Returns the proxy's endpoint.
/// The proxy ends with the runtime in which it was started.
pub async fn serve<W, A>(upstream: &str, work: W) -> String
where
    W: Fn(ForwardedCall) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Response> + Send,
{
    let (upstream, client) = (upstream.to_owned(), http::client());
    let answer = move |request: Request| {
        let (upstream, client, work) = (upstream.clone(), client.clone(), work.clone());
        async move {
            let (parts, body) = request.into_parts();
            // The caller may have ended while it sent the call.
            let Ok(body) = to_bytes(body, usize::MAX).await else {
                return StatusCode::BAD_REQUEST.into_response();
            };
            work(ForwardedCall { parts, body, upstream, client }).await
        }
    };
    http::serve(Router::new().fallback(answer)).await
}

impl ForwardedCall {
    /// The service and the operation of a call in JSON, such as `DynamoDB_20120810.PutItem`.
    pub fn target(&self) -> &str {
        self.parts.headers.get("x-amz-target").map_or("", |target| target.to_str().unwrap())
    }

    /// The operation of a call in JSON, such as `PutItem`.
    pub fn operation(&self) -> &str {
        self.target().rsplit('.').next().unwrap_or_default()
    }

    /// Passes the call on, and returns the answer. The call is carried out even if this future is dropped.
    pub async fn send(&self) -> UpstreamAnswer {
        let url = format!("{}{}", self.upstream, self.parts.uri);
        let mut headers = self.parts.headers.clone();
        headers.remove(header::HOST);
        headers.remove(header::CONTENT_LENGTH);
        let call =
            self.client.request(self.parts.method.clone(), url).headers(headers).body(self.body.clone());
        let sent = async move {
            let answer = call.send().await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            UpstreamAnswer { status, headers, body: answer.bytes().await.unwrap() }
        };
        tokio::spawn(sent).await.unwrap()
    }
}

impl IntoResponse for UpstreamAnswer {
    fn into_response(self) -> Response {
        let mut response = Response::new(self.body.into());
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        // The proxy sends the whole body in one piece, so it does not copy the headers about the length.
        response.headers_mut().remove(header::TRANSFER_ENCODING);
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response
    }
}
