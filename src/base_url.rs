//! The address of a running service. `orders dlq`, `orders tail`, `orders load` and `orders doctor` parse their URLs here.

use std::ffi::OsStr;
use std::fmt;
use std::str::FromStr;

use axum::http::uri::{Authority, Scheme, Uri};
use clap::builder::{TypedValueParser, ValueParserFactory};
use clap::{Arg, Command};

/// The default URL of the service, on this machine.
pub(crate) const LOCAL_SERVICE: &str = "http://127.0.0.1:8080";

/// The absolute http or https URL that precedes every path of the API. It contains no user name and no password, so it
/// can be printed and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    scheme: Scheme,
    authority: Authority,
    /// The path of the URL without a slash at its end. Empty if the URL has no path.
    path: String,
}

impl BaseUrl {
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The name or the IP address of the host. An IPv6 address has no brackets.
    pub(crate) fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }
}

#[cfg(feature = "load")]
impl BaseUrl {
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn port(&self) -> u16 {
        self.authority.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 })
    }

    /// The path of the URL, which precedes every path of the API.
    pub(crate) fn base_path(&self) -> &str {
        &self.path
    }

    /// The full path for a request line: the base path, followed by `path`.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.path)
    }
}

impl FromStr for BaseUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const NOT_ABSOLUTE: &str =
            "the URL must be an absolute http or https URL, such as https://orders.example/prod";
        let uri: Uri = text.parse().map_err(|_| NOT_ABSOLUTE)?;
        let scheme = uri.scheme().filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        let authority = uri.authority().filter(|authority| !authority.host().is_empty());
        let (Some(scheme), Some(authority)) = (scheme, authority) else { return Err(NOT_ABSOLUTE) };
        if authority.as_str().contains('@') {
            return Err(
                "the URL must not contain a user name or a password; pass a token in ORDERS_TOKEN or --token-file",
            );
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("the URL must not contain a query or a fragment");
        }
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme: scheme.clone(), authority: authority.clone(), path })
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

#[cfg(feature = "load")]
impl serde::Serialize for BaseUrl {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Parses the URL of a flag or variable. Errors show the URL without its secrets. clap's own URL parser would print a
/// refused URL with its password.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BaseUrlParser;

impl ValueParserFactory for BaseUrl {
    type Parser = BaseUrlParser;

    fn value_parser() -> BaseUrlParser {
        BaseUrlParser
    }
}

impl TypedValueParser for BaseUrlParser {
    type Value = BaseUrl;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<BaseUrl, clap::Error> {
        let text = value.to_string_lossy();
        let parsed = text.parse::<BaseUrl>();
        let with_parsed = move |_: &str| parsed.clone();
        with_parsed.parse_ref(command, arg, OsStr::new(&crate::redact::url(&text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_may_have_a_port_and_a_path() {
        for (text, shown) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("https://orders.example/", "https://orders.example"),
            ("https://orders.example/prod/", "https://orders.example/prod"),
            ("http://[::1]:1/a/b", "http://[::1]:1/a/b"),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().to_string(), shown);
        }
        let local: BaseUrl = "http://[::1]:80".parse().unwrap();
        assert_eq!((local.host(), local.is_https()), ("::1", false));
    }

    #[test]
    fn a_url_that_is_relative_or_not_http_or_contains_secrets_is_refused() {
        for (text, reason) in [
            ("", "absolute http or https URL"),
            ("orders.example", "absolute http or https URL"),
            ("localhost:8080", "absolute http or https URL"),
            ("ftp://a/", "absolute http or https URL"),
            ("http://", "absolute http or https URL"),
            ("/v1", "absolute http or https URL"),
            ("https://u:p@a/", "user name or a password"),
            ("https://a/?x=1", "query or a fragment"),
            ("https://a/#x", "query or a fragment"),
        ] {
            let error = text.parse::<BaseUrl>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_refused_url_is_shown_without_its_password() {
        let program = Command::new("orders").arg(Arg::new("url").long("url").value_parser(BaseUrlParser));
        let error = program.try_get_matches_from(["orders", "--url", "https://u:secret@a/"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("'https://…@a/' for '--url") && !text.contains("secret"), "{text}");
    }

    #[cfg(feature = "load")]
    #[test]
    fn api_paths_are_below_the_base_path() {
        let url = |text: &str| text.parse::<BaseUrl>().unwrap();
        assert_eq!(url("http://127.0.0.1:8080").path("/v1/orders"), "/v1/orders");
        assert_eq!(url("https://shop.example/prod/").path("/v1/orders"), "/prod/v1/orders");
        assert_eq!((url("https://shop.example").port(), url("http://shop.example:81").port()), (443, 81));
    }
}
