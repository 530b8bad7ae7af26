//! Checks the `Host` of every request, for `lib.rs` and the admin server. An HTTP/1.1 request must name exactly one
//! host (RFC 9112, section 3.2). A service without authentication answers only requests that name its own machine.
//!
//! The rule for services without authentication prevents DNS rebinding. In that attack, the name of a malicious site
//! resolves to 127.0.0.1. A page of that site then calls the service on this machine, and the browser treats the
//! service as the same origin.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Request, Version};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;

use crate::problem::{Problem, ProblemKind};

/// The host names that requests over TCP may use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Hosts {
    /// Requests may use any name.
    #[default]
    Any,
    /// Requests may use the names of this machine (`localhost` and the loopback addresses), and these additional names.
    Local(AllowedHosts),
}

/// Host names without ports. A name matches a request with any port. The text form is a comma-separated list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedHosts(Arc<[String]>);

impl FromStr for AllowedHosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let host = |name: &str| {
            let name = name.trim();
            // In an authority, an IPv6 address is in brackets, which separate it from a port.
            let name = if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name.to_owned() };
            let authority = name.parse::<Authority>().ok();
            let is_name = |authority: &Authority| {
                authority.as_str() == authority.host() && !authority.host().contains('*')
            };
            match authority.filter(is_name) {
                Some(authority) => Ok(normal(authority.host())),
                None => Err(format!("{name:?} is not the name of a host, such as orders.internal")),
            }
        };
        text.split(',').map(host).collect::<Result<Vec<_>, _>>().map(|names| Self(names.into()))
    }
}

/// Converts a host name to the form in which names are compared: in lower case and without a trailing dot.
fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

impl Hosts {
    /// Checks the host of a request. Returns the problem to refuse the request with, or `None` if the host is allowed.
    /// Only requests over TCP are checked, because the gateway in front of Lambda has already parsed all other
    /// requests. The result is boxed, because it is nearly always `None` and should be small.
    pub(crate) fn refuse<B>(&self, request: &Request<B>) -> Option<Box<Problem>> {
        request.extensions().get::<ConnectInfo<SocketAddr>>()?;
        let mut hosts = request.headers().get_all(HOST).iter();
        let host = hosts.next().map(HeaderValue::as_bytes);
        if hosts.next().is_some() {
            return bad("The request has more than one Host header.");
        }
        if host.is_none() && request.version() >= Version::HTTP_11 {
            return bad("The request has no Host header, which HTTP/1.1 requires.");
        }
        if host.is_some_and(is_plainly_local) && request.uri().authority().is_none() {
            return None;
        }
        let named = match host {
            // The Host header is empty if the request target has no authority, for example if it is a URN.
            Some(b"") | None => None,
            Some(host) => match Authority::try_from(host) {
                Ok(authority) if !authority.as_str().contains('@') => Some(authority),
                _ => return bad("The Host header is not a host, with or without a port."),
            },
        };
        // A host in the request target takes precedence over the header.
        let authority = request.uri().authority().or(named.as_ref());
        match self {
            Self::Any => None,
            Self::Local(allowed) if authority.is_some_and(|host| allowed.has(host.host())) => None,
            Self::Local(_) => Some(Box::new(foreign(authority))),
        }
    }
}

impl Hosts {
    /// Lets `router` handle only requests to allowed hosts. The answer to any other request has the status of a problem
    /// but an empty body.
    pub fn protect(self, router: Router) -> Router {
        router.layer(middleware::from_fn(move |request: Request<Body>, next: Next| {
            let refused = self.refuse(&request);
            async move {
                match refused {
                    Some(problem) => problem.into_response(),
                    None => next.run(request).await,
                }
            }
        }))
    }
}

impl AllowedHosts {
    fn has(&self, host: &str) -> bool {
        let host = normal(host);
        is_local(&host) || self.0.contains(&host)
    }
}

/// Whether the host name always means this machine, even if a resolver returns another address for it.
fn is_local(host: &str) -> bool {
    if host == "localhost" {
        return true;
    }
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => {
            address.parse::<Ipv6Addr>().is_ok_and(|ip| IpAddr::from(ip).to_canonical().is_loopback())
        }
        None => host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback()),
    }
}

/// Whether a Host header is the usual name of this machine with a port. This comparison is faster than parsing the
/// header.
fn is_plainly_local(host: &[u8]) -> bool {
    let port = host.strip_prefix(b"127.0.0.1:").or_else(|| host.strip_prefix(b"localhost:"));
    port.is_some_and(|port| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit))
}

fn bad(detail: &'static str) -> Option<Box<Problem>> {
    Some(Box::new(Problem::new(ProblemKind::BadRequest, detail)))
}

fn foreign(authority: Option<&Authority>) -> Problem {
    let host = authority.map_or("no host", Authority::host);
    let detail = format!(
        "The request is for {host:?}. This service accepts unauthenticated requests, so it only answers to the names of its \
         own machine, such as localhost. To reach it as {host:?}, its operator can allow that name with --allowed-hosts \
         (ORDERS_ALLOWED_HOSTS)."
    );
    Problem::new(ProblemKind::ForeignHost, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_from_text() {
        let names = |text: &str| text.parse::<AllowedHosts>().map(|names| names.0.to_vec());
        assert_eq!(names("Orders.internal, 10.0.0.7,fd00::1,[fd00::2],shop."), {
            let all = ["orders.internal", "10.0.0.7", "[fd00::1]", "[fd00::2]", "shop"];
            Ok(all.map(str::to_owned).to_vec())
        });
        for text in ["", "a,,b", "http://a", "a:80", "a/b", "u@a", "*", "a b", "[fd00::1]:80"] {
            assert!(names(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        let allowed: AllowedHosts = "orders.internal".parse().unwrap();
        for host in
            ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.8.9.1", "[::1]", "[::ffff:127.0.0.1]"]
        {
            assert!(allowed.has(host) && AllowedHosts::default().has(host), "{host}");
        }
        assert!(allowed.has("Orders.Internal.") && !AllowedHosts::default().has("orders.internal"));
        for host in
            ["rebound.example", "localhost.example", "0.0.0.0", "10.0.0.1", "[::2]", "127.0.0.1.example", ""]
        {
            assert!(!allowed.has(host), "{host}");
        }
    }
}
