//! A client of the service's own API, for the commands that operators type.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, StatusCode, Uri, header};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::secret::TokenFile;

/// More than any answer has: a page of letters, or a letter with its body twice.
const MAX_BYTES: usize = 64 << 20;
/// A request, from the connection to the last byte. The service gives itself 30 s.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is made that comes too early for the service's rate limit.
const TRIES: u32 = 10;
/// The longest that a rate limit is waited for at once.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Where the API is, and who asks.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ApiClientArgs {
    /// Where the service is, with its base path if it has one.
    #[arg(long, env = "ORDERS_URL", default_value = "http://127.0.0.1:8080", value_name = "URL", value_parser = BaseUrl::parse)]
    pub(crate) url: BaseUrl,
    /// The bearer token to show, if the service asks for one; it needs the scope orders.operate. Other users of this
    /// machine can see flags: use the variable, or a file.
    #[arg(long, env = "ORDERS_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    #[command(flatten)]
    pub(crate) token_file: TokenFile,
}

/// The address that everything of the API is under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl(String);

impl BaseUrl {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("it must be an http or https URL, such as https://orders.example/prod");
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err("it names no host");
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err("it must not have a name or a password; use --token-file or ORDERS_TOKEN");
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("it must end with its path");
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The client. It follows no redirects, for they would carry the token elsewhere.
pub(crate) struct ApiClient {
    base: BaseUrl,
    authorization: Option<header::HeaderValue>,
    http: HttpClient<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

struct ApiResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What is told of a problem (RFC 9457), as far as people read it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProblemDetails {
    title: String,
    detail: String,
    errors: Vec<Value>,
}

impl ApiClient {
    pub(crate) fn new(args: &ApiClientArgs) -> anyhow::Result<Self> {
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .context("cannot read the certificates that this system trusts")?
            .https_or_http()
            .enable_http1()
            .build();
        let token = args.token_file.or(args.token.as_ref())?;
        let authorization = token.map(|token| {
            let value = header::HeaderValue::from_str(&format!("Bearer {token}"));
            value.map(|mut value| {
                value.set_sensitive(true);
                value
            })
        });
        Ok(Self {
            base: args.url.clone(),
            authorization: authorization.transpose().context("the token is not one line of ASCII")?,
            http: HttpClient::builder(TokioExecutor::new()).build(connector),
        })
    }

    /// What is at a path below the base.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let answer = self.ask(Method::GET, path, None).await?;
        self.read(path, &answer)
    }

    /// What is at a path below the base, or `None` if the service says that there is nothing.
    pub(crate) async fn find<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        let answer = self.ask(Method::GET, path, None).await?;
        if answer.status == StatusCode::NOT_FOUND && answer.problem().is_some() {
            return Ok(None);
        }
        self.read(path, &answer).map(Some)
    }

    /// Posts JSON, and gives the answer.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> anyhow::Result<T> {
        let answer = self.ask(Method::POST, path, Some(body)).await?;
        self.read(path, &answer)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<ApiResponse> {
        for _ in 1..TRIES {
            let answer = self.ask_once(&method, path, body).await?;
            match retry_after(&answer) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Ok(answer),
            }
        }
        self.ask_once(&method, path, body).await
    }

    async fn ask_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<ApiResponse> {
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(method, path, body)).await;
        answer.unwrap_or_else(|_| bail!("{} gave no answer in {} s", self.base, TIMEOUT.as_secs()))
    }

    async fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<ApiResponse> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(header::ACCEPT, "application/json, application/problem+json")
            .header(header::USER_AGENT, concat!("orders/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let bytes = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(bytes)))?;
        let unreachable =
            || format!("{} cannot be reached (--url or ORDERS_URL says where the service is)", self.base);
        let (parts, body) = self.http.request(request).await.with_context(unreachable)?.into_parts();
        let body = Limited::new(body, MAX_BYTES).collect().await;
        let body = body.map_err(anyhow::Error::from_boxed).context("the answer broke off")?.to_bytes();
        Ok(ApiResponse { status: parts.status, headers: parts.headers, body })
    }

    fn read<T: DeserializeOwned>(&self, path: &str, answer: &ApiResponse) -> anyhow::Result<T> {
        if !answer.status.is_success() {
            bail!("{}", answer.failure(&format!("{}{path}", self.base)));
        }
        let read = serde_json::from_slice(&answer.body);
        read.with_context(|| {
            format!("{}{path} gave an answer that is none of this API; is the URL right?", self.base)
        })
    }
}

/// How long to wait before the request is made again, if it was one too many.
fn retry_after(answer: &ApiResponse) -> Option<Duration> {
    if answer.status != StatusCode::TOO_MANY_REQUESTS {
        return None;
    }
    let seconds = answer.headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    Some(Duration::from_secs(seconds.unwrap_or(1).max(1)).min(LONGEST_WAIT))
}

impl ApiResponse {
    fn problem(&self) -> Option<ProblemDetails> {
        let kind = self.headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
        if !kind.starts_with("application/problem+json") {
            return None;
        }
        serde_json::from_slice(&self.body).ok()
    }

    /// The error in words, for whoever typed the command.
    fn failure(&self, url: &str) -> String {
        let status = self.status;
        let Some(problem) = self.problem() else {
            return format!("{url} answered {status}, and not as this API would; is the URL right?");
        };
        let mut text = match (problem.title.as_str(), problem.detail.as_str()) {
            ("", "") => format!("the service answered {status}"),
            (title, "") => title.to_owned(),
            ("", detail) => detail.to_owned(),
            (title, detail) => format!("{title}: {detail}"),
        };
        for error in &problem.errors {
            let member = |name: &str| error.get(name).and_then(Value::as_str);
            let at = member("pointer").or(member("parameter")).unwrap_or_default();
            let separator = if at.is_empty() { "" } else { ": " };
            text.push_str(&format!("\n  {at}{separator}{}", member("detail").unwrap_or_default()));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            text.push_str("\n  (--token-file or ORDERS_TOKEN: a bearer token with the scope orders.operate)");
        }
        text
    }
}

/// A text as one segment of a path.
pub(crate) fn segment(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A path with a query of these pairs.
pub(crate) fn with_query(path: &str, pairs: &[(&str, String)]) -> anyhow::Result<String> {
    ensure!(!path.contains('?'), "{path} has a query already");
    if pairs.is_empty() {
        return Ok(path.to_owned());
    }
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    Ok(format!("{path}?{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_have_a_path_and_nothing_secret() {
        for (url, base) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://orders.example/", "https://orders.example"),
            ("https://orders.example/prod/", "https://orders.example/prod"),
            ("http://[::1]:1/a/b", "http://[::1]:1/a/b"),
        ] {
            assert_eq!(BaseUrl::parse(url).unwrap().to_string(), base);
        }
        for url in
            ["", "orders.example", "ftp://a/", "/v1", "https://u:p@a/", "https://a/?x=1", "https://a/#x"]
        {
            assert!(BaseUrl::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_segment_is_one_whatever_is_in_it() {
        assert_eq!(segment("7b1d-x_1.2"), "7b1d-x_1.2");
        assert_eq!(segment("a/b ?+ä"), "a%2Fb%20%3F%2B%C3%A4");
    }

    fn answer(status: StatusCode, headers: &[(header::HeaderName, &str)], body: &str) -> ApiResponse {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        ApiResponse { status, headers: headers.collect(), body: Bytes::from(body.to_owned()) }
    }

    #[test]
    fn a_problem_is_told_with_what_is_wrong_and_where() {
        let problem = r#"{"type":"/problems/invalid-parameter","title":"Invalid parameter","status":400,
            "detail":"The query has faults.","errors":[{"parameter":"limit","code":"range","detail":"must be 1–200"}]}"#;
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let told = answer(StatusCode::BAD_REQUEST, &kind, problem).failure("http://a");
        assert_eq!(told, "Invalid parameter: The query has faults.\n  limit: must be 1–200");
        let told = answer(StatusCode::UNAUTHORIZED, &kind, "{}").failure("http://a");
        assert!(told.contains("401") && told.contains("ORDERS_TOKEN"), "{told}");
        let told = answer(StatusCode::BAD_GATEWAY, &[], "<html>").failure("http://a/x");
        assert!(told.contains("http://a/x answered 502"), "{told}");
    }

    #[test]
    fn a_rate_limit_is_waited_for_and_nothing_else_is() {
        let too_many = StatusCode::TOO_MANY_REQUESTS;
        let after = |seconds| [(header::RETRY_AFTER, seconds)];
        assert_eq!(retry_after(&answer(too_many, &after("2"), "")), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&answer(too_many, &after("4000"), "")), Some(LONGEST_WAIT));
        assert_eq!(retry_after(&answer(too_many, &[], "")), Some(Duration::from_secs(1)));
        assert_eq!(retry_after(&answer(StatusCode::SERVICE_UNAVAILABLE, &after("2"), "")), None);
    }
}
